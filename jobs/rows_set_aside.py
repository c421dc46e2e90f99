"""Rows of tables that an error kept from being decided: what they are, and deciding them again after a repair.

In a *first* table such a row sets the whole table aside for that event: another row of it may be the one that matches.
Decided again, they see what was true at their event, with answers that came since, and the live version of the table;
what people changed meanwhile is not overwritten, and nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, not_, select

from jobs.aside import COLUMNS, LISTED, Aside, counted
from jobs.deciding import Read
from jobs.live import Desk
from jobs.tables import RowSetAside
from jobs.telling import tell_of_row
from rules.decision import Decision
from rules.ruleset import RuleSet
from rules.table import HitPolicy
from tickets import store
from tickets.db import upsert
from tickets.events import AUTOMATION, EventKind, decided_about
from tickets.people import Viewer
from tickets.tables import EventRow, WorkItem
from tickets.values import JSON
from tickets.visibility import visible

#: Characters kept of a reason.
REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class RowsAside:
    """The rows of one event that were set aside: (row key, why) each."""

    event: Aside
    rows: tuple[tuple[str, str], ...]


def keep(connection: Connection, read: Read, decision: Decision, now: datetime) -> None:
    """Keep what this decision could not decide for an error; those who edit rules are told, once for each reason."""
    failed = [one for one in decision.skipped if one.failed]
    if not failed:
        return
    event_id = decided_about(read.event.id, read.event.kind, read.event.payload)
    for one in failed:
        reason = one.reason[:REASON_CHARS]
        values = {"item_id": read.event.item_id, "reason": reason, "at": now}
        statement = upsert(connection, RowSetAside).values(event_id=event_id, row_key=one.row_key[:80], **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["event_id", "row_key"], set_=values))
        tell_of_row(connection, read.event.item_id, one.row_key, reason, read.desk.revision, now)


def listed(connection: Connection, viewer: Viewer, ids: Sequence[int] | None = None) -> list[RowsAside]:
    """The newest events with rows set aside on items visible to the viewer, at most `LISTED`; of `ids` if given."""
    some = (
        select(RowSetAside.event_id)
        .join(WorkItem, WorkItem.id == RowSetAside.item_id)
        .where(visible(viewer))
        .group_by(RowSetAside.event_id)
        .order_by(RowSetAside.event_id.desc())
        .limit(LISTED)
    )
    if ids is not None:
        some = some.where(RowSetAside.event_id.in_(ids[:LISTED]))
    wanted = connection.execute(some).scalars().all()
    rows = connection.execute(
        select(*COLUMNS, RowSetAside.row_key, RowSetAside.reason)
        .join(RowSetAside, RowSetAside.event_id == EventRow.id)
        .join(WorkItem, WorkItem.id == EventRow.item_id)
        .where(EventRow.id.in_(wanted))
        .order_by(EventRow.id.desc(), RowSetAside.row_key)
    )
    found: dict[Aside, list[tuple[str, str]]] = {}
    for row in rows:
        event = Aside(row.id, row.item_id, row.seq, row.kind, row.at, row.subject)
        found.setdefault(event, []).append((row.row_key, row.reason))
    return [RowsAside(event, tuple(of_it)) for event, of_it in found.items()]


def hidden(connection: Connection, viewer: Viewer) -> int:
    """How many events with rows set aside are on items hidden from the viewer, counted up to `aside.HIDDEN_CAP`."""
    some = (
        select(RowSetAside.event_id)
        .join(WorkItem, WorkItem.id == RowSetAside.item_id)
        .where(not_(visible(viewer)))
        .group_by(RowSetAside.event_id)
    )
    return counted(connection, some)


def decide_again(connection: Connection, desk: Desk, one: RowsAside, now: datetime) -> int | None:
    """Put the rows of this event at the end of its item's lane, to be decided again.

    Returns the id of the new event; None when there is nothing to decide: they were given back already, or their table
    is gone or switched off, and then they are not listed any longer. Rows of a table that cannot be read now stay."""
    item = store.read_item(connection, one.event.item_id, lock=True)
    readable = [key for key, _ in one.rows if _table_of(key) not in desk.broken]
    taken = delete(RowSetAside).where(RowSetAside.event_id == one.event.id, RowSetAside.row_key.in_(readable))
    rows = rows_to_decide(desk.ruleset, list(connection.execute(taken.returning(RowSetAside.row_key)).scalars()))
    if not rows:
        return None
    original = store.event(connection, one.event.id)
    payload: dict[str, JSON] = {"event_id": one.event.id, "rows": rows}
    written = store.change_item(
        connection,
        item,
        lines=(),
        actor=AUTOMATION,
        now=now,
        kind=EventKind.REPAIRED,
        chain=store.Chain(root_id=original.root_id, depth=original.depth, payload=payload),
    )
    return written.event_id


def unreadable(desk: Desk, one: RowsAside) -> str:
    """Why rows of this event cannot be decided now: their table cannot be read; "" when all can."""
    broken = {code: desk.broken[code] for code in (_table_of(key) for key, _ in one.rows) if code in desk.broken}
    return "; ".join(f"{code}: {reason}" for code, reason in broken.items())


def _table_of(key: str) -> str:
    return key.partition("/")[0]


def rows_to_decide(ruleset: RuleSet, keys: Sequence[str]) -> list[str]:
    """The rows that are decided again for these: of a *first* table all, for the error set the whole table aside."""
    wanted: dict[str, None] = {}
    for compiled in ruleset.tables:
        of_it = [key for key in keys if _table_of(key) == compiled.entry.code]
        if of_it and compiled.table.hit is HitPolicy.FIRST:
            of_it = [row.key for row in compiled.rows]
            of_it += [compiled.otherwise_key] if compiled.otherwise_key else []
        wanted.update(dict.fromkeys(key for key in of_it if key in compiled.keys))
    return list(wanted)
