"""What the pages of replays read: the newest ones, and of one its items as their viewer may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, not_, select, true

from jobs.replays.work import MOST_ITEMS
from jobs.tables import ReplayItemRow, ReplayRow
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import User, WorkItem
from tickets.visibility import visible
from web.paging import PAGE_ROWS, Paged, counted

#: Replays that the page lists.
RECENT = 20
#: Which items a page shows, by the word in its address.
SHOWN: dict[str, ColumnElement[bool]] = {
    "changed": ReplayItemRow.status == "changed",
    "unlike": ReplayItemRow.faithful.is_(False),
    "failed": ReplayItemRow.status == "failed",
    "all": true(),
}


def recent(connection: Connection) -> Sequence[AnyRow]:
    """The newest replays with who asked for them and how far they are."""
    left = case((ReplayItemRow.status == "waiting", 1), else_=0)
    changed = case((ReplayItemRow.status == "changed", 1), else_=0)
    return connection.execute(
        select(
            *_REPLAY,
            User.name,
            func.count(ReplayItemRow.item_id).label("items"),
            func.coalesce(func.sum(left), 0).label("left"),
            func.coalesce(func.sum(changed), 0).label("changed"),
        )
        .join(User, User.key == ReplayRow.asked_by)
        .outerjoin(ReplayItemRow, ReplayItemRow.replay_id == ReplayRow.id)
        .group_by(ReplayRow.id, User.name)
        .order_by(ReplayRow.id.desc())
        .limit(RECENT)
    ).all()


#: What the list says of a replay.
_REPLAY = (ReplayRow.id, ReplayRow.drafts, ReplayRow.asked_at, ReplayRow.asked_by, ReplayRow.status)


def items(connection: Connection, viewer: Viewer, replay_id: int, shown: str, page: int) -> Paged[AnyRow]:
    """One page of the items of this replay that the viewer may see, and how many are hidden."""
    mine = _items(replay_id, shown)
    found = counted(connection, mine.where(visible(viewer)), page, hidden=mine.where(not_(visible(viewer))))
    query = _items(replay_id, shown).where(visible(viewer)).order_by(ReplayItemRow.item_id.desc())
    return found.of(connection.execute(query.limit(PAGE_ROWS).offset(found.offset)).all())


def all_items(connection: Connection, viewer: Viewer, replay_id: int) -> Sequence[AnyRow]:
    """Every item of this replay that the viewer may see."""
    query = _items(replay_id, "all").where(visible(viewer)).order_by(ReplayItemRow.item_id)
    return connection.execute(query.limit(MOST_ITEMS)).all()


def numbers(connection: Connection, viewer: Viewer, replay_id: int) -> dict[str, int]:
    """How many items the viewer may see under each word."""
    counts = [func.coalesce(func.sum(case((test, 1), else_=0)), 0).label(name) for name, test in SHOWN.items()]
    query = select(*counts).join(WorkItem, WorkItem.id == ReplayItemRow.item_id)
    row = connection.execute(query.where(ReplayItemRow.replay_id == replay_id, visible(viewer))).one()
    return {name: int(row._mapping[name]) for name in SHOWN}


def _items(replay_id: int, shown: str) -> Select[Any]:
    return (
        select(
            ReplayItemRow.item_id.label("id"),
            ReplayItemRow.status,
            ReplayItemRow.faithful,
            ReplayItemRow.outcome,
            WorkItem.kind,
            func.coalesce(WorkItem.subject, "").label("subject"),
        )
        .join(WorkItem, WorkItem.id == ReplayItemRow.item_id)
        .where(ReplayItemRow.replay_id == replay_id, SHOWN[shown])
    )
