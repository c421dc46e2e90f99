"""What the run pages read: runs of items the viewer may see, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from jobs.tables import DecisionRow, RunRow
from rules.store import EntryRow
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import EventRow, WorkItem
from tickets.visibility import visible
from web.paging import PAGE_ROWS, Paged, counted

#: Tickets offered for a try; runs that "lately" looks at.
RECENT_TICKETS = 20
LATELY = 500

#: How a run stands, grouped as people ask for it.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "good": ("finished", "stopped"),
    "bad": ("failed", "refused", "limit", "violation", "lost", "unavailable", "cancelled"),
    "waiting": ("queued", "running", "retrying"),
}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What the list shows. Empty values do not filter."""

    outcome: str = ""
    script: str = ""
    item: int = 0
    page: int = 1


def runs(connection: Connection, viewer: Viewer, wanted: RunFilter) -> Paged[AnyRow]:
    """Runs on tickets this viewer may see, newest first."""
    conditions: list[ColumnElement[bool]] = [visible(viewer)]
    if wanted.outcome in OUTCOMES:
        conditions.append(RunRow.status.in_(OUTCOMES[wanted.outcome]))
    if wanted.script:
        conditions.append(RunRow.script == wanted.script)
    if wanted.item:
        conditions.append(RunRow.item_id == wanted.item)
    joined = select(RunRow.id).join(WorkItem, WorkItem.id == RunRow.item_id).where(*conditions)
    found = counted(connection, joined, wanted.page)
    rows = connection.execute(
        select(
            RunRow.id,
            RunRow.item_id,
            RunRow.script,
            RunRow.version,
            RunRow.status,
            RunRow.attempt,
            RunRow.outcome,
            RunRow.created_at,
            RunRow.finished_at,
            WorkItem.subject,
            EntryRow.name,
        )
        .join(WorkItem, WorkItem.id == RunRow.item_id)
        .join(EntryRow, EntryRow.code == RunRow.script)
        .where(*conditions)
        .order_by(RunRow.id.desc())
        .limit(PAGE_ROWS)
        .offset(found.offset)
    ).all()
    return found.of(rows)


def run(connection: Connection, viewer: Viewer, run_id: int) -> AnyRow | None:
    """One run with its ticket's subject and its script's name, or None when it is not there for this viewer."""
    return connection.execute(
        select(RunRow.__table__, WorkItem.subject, EntryRow.name)
        .join(WorkItem, WorkItem.id == RunRow.item_id)
        .join(EntryRow, EntryRow.code == RunRow.script)
        .where(RunRow.id == run_id, visible(viewer))
    ).one_or_none()


def done_by(connection: Connection, row: AnyRow) -> list[dict[str, object]]:
    """What became of the run's actions: the summaries of the decision that applied them, in order."""
    done = connection.execute(
        select(DecisionRow.done)
        .join(EventRow, EventRow.id == DecisionRow.event_id)
        # Of its own event, or of the one that waited for it: either way not before the run was asked for.
        .where(EventRow.item_id == row.item_id, DecisionRow.at >= row.created_at)
        .order_by(DecisionRow.id)
        .limit(100)
    ).scalars()
    key = f"{row.script}/run{row.id}"
    return [step for steps in done for step in steps if step.get("row_key") == key]


def lately(connection: Connection, viewer: Viewer, codes: Sequence[str]) -> dict[str, dict[str, int]]:
    """For each script how many of the newest LATELY visible runs ended well, badly, or wait: {code: {outcome: n}}."""
    of = {status: outcome for outcome, statuses in OUTCOMES.items() for status in statuses}
    newest = (
        select(RunRow.script, RunRow.status)
        .join(WorkItem, WorkItem.id == RunRow.item_id)
        .where(visible(viewer))
        .order_by(RunRow.id.desc())
        .limit(LATELY)
        .subquery()
    )
    found: dict[str, dict[str, int]] = {code: dict.fromkeys(OUTCOMES, 0) for code in codes}
    for script, status, count in connection.execute(
        select(newest.c.script, newest.c.status, func.count()).group_by(newest.c.script, newest.c.status)
    ):
        if script in found:
            found[script][of.get(status, "bad")] += count
    return found


def recent_tickets(connection: Connection, viewer: Viewer) -> list[AnyRow]:
    """The most recently changed visible tickets, to try a script on."""
    return list(
        connection.execute(
            select(WorkItem.id, WorkItem.subject)
            .where(WorkItem.kind == "ticket", visible(viewer))
            .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
            .limit(RECENT_TICKETS)
        )
    )


def scripts(connection: Connection) -> dict[str, str]:
    """Every script's code and name, for the filter."""
    query = select(EntryRow.code, EntryRow.name).where(EntryRow.kind == "script").order_by(EntryRow.name)
    return {row.code: row.name for row in connection.execute(query)}
