"""What the pages of an undo read: the items as their viewer may see them, and who changed what was left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, not_, select

from jobs.tables import UndoItemRow, UndoRow
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import History, User, WorkItem
from tickets.undoing import Kept
from tickets.visibility import visible

#: Items that a page lists; undos that a rule's page lists.
LISTED = 200
RECENT = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Of some items: those the viewer may see, in order, with their subjects, and how many are hidden."""

    rows: Sequence[AnyRow]
    hidden: int


def seen_of(connection: Connection, viewer: Viewer, items: Sequence[int], most: int) -> Seen:
    """The first `most` of these items that the viewer may see. `items` at most `jobs.undo.MOST_ITEMS` and one."""
    rows: list[AnyRow] = []
    shown = 0
    for start in range(0, len(items), 500):  # names in one statement: SQLite takes 32 766, PostgreSQL 65 535
        some = items[start : start + 500]
        found = connection.execute(
            select(WorkItem.id, WorkItem.kind, func.coalesce(WorkItem.subject, "").label("subject"))
            .where(WorkItem.id.in_(some), visible(viewer))
            .order_by(WorkItem.id)
        ).all()
        shown += len(found)
        rows += found[: most - len(rows)]
    return Seen(rows, len(items) - shown)


def undo_of(connection: Connection, code: str, undo_id: int) -> AnyRow | None:
    """The undo with who asked for it; None when there is none of this rule."""
    return connection.execute(_UNDO.where(UndoRow.id == undo_id, UndoRow.code == code)).one_or_none()


def recent(connection: Connection, code: str) -> Sequence[AnyRow]:
    """The newest undos of this rule."""
    return connection.execute(_UNDO.where(UndoRow.code == code).order_by(UndoRow.id.desc()).limit(RECENT)).all()


_UNDO = select(
    UndoRow.id,
    UndoRow.code,
    UndoRow.version,
    UndoRow.since,
    UndoRow.until,
    UndoRow.asked_at,
    UndoRow.asked_by,
    User.name,
).join(User, User.key == UndoRow.asked_by)


def lines_of(connection: Connection, viewer: Viewer, undo_id: int) -> Seen:
    """Each item of an undo that the viewer may see: those with something left alone or failed first."""
    rows = connection.execute(
        select(
            UndoItemRow.item_id.label("id"),
            UndoItemRow.status,
            UndoItemRow.outcome,
            WorkItem.kind,
            func.coalesce(WorkItem.subject, "").label("subject"),
        )
        .join(WorkItem, WorkItem.id == UndoItemRow.item_id)
        .where(UndoItemRow.undo_id == undo_id, visible(viewer))
        .order_by(_RANK.desc(), UndoItemRow.item_id)
        .limit(LISTED)
    ).all()
    hidden = connection.execute(
        select(func.count())
        .select_from(UndoItemRow)
        .join(WorkItem, WorkItem.id == UndoItemRow.item_id)
        .where(UndoItemRow.undo_id == undo_id, not_(visible(viewer)))
    ).scalar_one()
    return Seen(rows, hidden)


#: An undo is looked at for what it could not do.
_RANK = func.length(func.coalesce(UndoItemRow.outcome["problem"].as_string(), "")) + (
    func.length(func.coalesce(UndoItemRow.outcome["kept"].as_string(), "[]"))
)


def since_lines(connection: Connection, kept: Sequence[Kept]) -> Mapping[int, AnyRow]:
    """The lines of history that stand in the way, by id."""
    rows = connection.execute(
        select(History.id, History.cause, History.change, History.actor_name, History.at).where(
            History.id.in_({one.since for one in kept})
        )
    )
    return {row.id: row for row in rows}
