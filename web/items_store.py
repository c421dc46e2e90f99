"""What the lists and boards of tasks, projects, timesheets and jobs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, func, not_, or_, select
from sqlalchemy.orm import aliased

from tickets import requests, search
from tickets.assignment import holds
from tickets.item import FINISHED
from tickets.linking import LinkKind
from tickets.people import Viewer
from tickets.tables import Link, Person, PipelineRow, WorkItem
from tickets.values import JSON
from tickets.visibility import visible
from web.inbox_store import name_like
from web.paging import PAGE_ROWS, Paged, counted

#: Most cards of one board.
BOARD_CARDS = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list shows. Empty texts do not filter; without a status or `finished`, only what is not finished."""

    kind: str
    status: str = ""
    team: str = ""
    mine: str = ""  # "1": what is assigned to the viewer
    finished: str = ""  # "1": finished and archived ones instead
    approval: str = ""
    pipeline: str = ""
    stage: str = ""
    text: str = ""
    page: int = 1

    @property
    def narrowed(self) -> bool:
        return any((self.status, self.team, self.mine, self.finished, self.approval, self.stage, self.text))


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a list. `parts` are the items that are part of it, `open_parts` those not finished."""

    id: int
    version: int
    subject: str
    status: str
    priority: str
    team: str | None
    assignees: tuple[str, ...]
    customer: str
    due_at: str | None
    fields: Mapping[str, JSON]
    updated_at: datetime
    parts: int = 0
    open_parts: int = 0


def listed(connection: Connection, who: Viewer, wanted: Wanted) -> Paged[Line]:
    """One page of a kind, newest change first, of what `who` may see."""
    theirs = and_(*_conditions(connection, who, wanted))
    every = select(WorkItem.id).where(theirs)
    # Only without a filter: one that counts hidden items would let somebody guess what is in them.
    hidden = None if wanted.narrowed else every.where(not_(visible(who)))
    found = counted(connection, every.where(visible(who)), wanted.page, hidden=hidden)
    return found.of(_lines(connection, who, theirs, limit=PAGE_ROWS, offset=found.offset))


def board(connection: Connection, who: Viewer, wanted: Wanted) -> tuple[dict[str, list[Line]], bool]:
    """The cards of a pipeline by stage, and whether there are more than BOARD_CARDS."""
    theirs = and_(*_conditions(connection, who, wanted), WorkItem.fields["pipeline"].as_string() == wanted.pipeline)
    found = _lines(connection, who, theirs, limit=BOARD_CARDS + 1, offset=0)
    stages: dict[str, list[Line]] = {}
    for line in found[:BOARD_CARDS]:
        stages.setdefault(str(line.fields.get("stage") or ""), []).append(line)
    return stages, len(found) > BOARD_CARDS


def _lines(connection: Connection, who: Viewer, theirs: ColumnElement[bool], *, limit: int, offset: int) -> list[Line]:
    rows = connection.execute(
        select(
            WorkItem.id,
            WorkItem.version,
            WorkItem.subject,
            WorkItem.status,
            WorkItem.priority,
            WorkItem.team,
            WorkItem.assignees,
            WorkItem.due_at,
            WorkItem.fields,
            WorkItem.updated_at,
            Person.name.label("customer"),
        )
        .outerjoin(Person, Person.id == WorkItem.customer)
        .where(theirs, visible(who))
        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()
    parts = progress(connection, [row.id for row in rows])
    return [
        Line(
            row.id,
            row.version,
            row.subject or "",
            row.status or "open",
            row.priority or "normal",
            row.team,
            tuple(row.assignees or ()),
            row.customer or "",
            row.due_at,
            row.fields,
            row.updated_at,
            *parts.get(row.id, (0, 0)),
        )
        for row in rows
    ]


def progress(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Of each item: how many items and requests belong to it, and how many of those are not done."""
    if not ids:
        return {}
    # As `tickets.linking.done`, for many items at once.
    owner, payment = aliased(WorkItem), WorkItem.fields["payment_status"].as_string()
    unfinished = case(
        (WorkItem.status.in_(sorted(FINISHED)), 0),
        (payment == "paid", 0),
        (and_(payment == "debit", PipelineRow.debit_at_once), 0),
        else_=1,
    )
    rows = connection.execute(
        select(Link.from_item, func.count(), func.sum(unfinished))
        .join(WorkItem, WorkItem.id == Link.to_item)
        .join(owner, owner.id == Link.from_item)
        .outerjoin(PipelineRow, PipelineRow.key == owner.fields["pipeline"].as_string())
        .where(Link.from_item.in_(ids), Link.kind == LinkKind.CONTAINS)
        .group_by(Link.from_item)
    )
    found = {row[0]: (int(row[1]), int(row[2])) for row in rows}
    for item_id, (asked, still_open) in requests.counted(connection, ids).items():
        total, unfinished_parts = found.get(item_id, (0, 0))
        found[item_id] = (total + asked, unfinished_parts + still_open)
    return found


def _conditions(connection: Connection, who: Viewer, wanted: Wanted) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = [WorkItem.kind == wanted.kind]
    over = WorkItem.status.in_(sorted(FINISHED)) | WorkItem.archived.is_(True)
    if wanted.finished:
        parts.append(over)
    elif not wanted.status:
        parts.append(not_(over))
    if wanted.status:
        parts.append(WorkItem.status == wanted.status)
    if wanted.team:
        parts.append(WorkItem.team == wanted.team)
    if wanted.mine:
        parts.append(holds(connection, WorkItem.assignees, who.key))
    for name, value in (("approval", wanted.approval), ("stage", wanted.stage)):
        if value:
            parts.append(WorkItem.fields[name].as_string() == value)
    if wanted.text:
        parts.append(or_(name_like(wanted.text), search.mentions(connection, wanted.text)))
    return parts
