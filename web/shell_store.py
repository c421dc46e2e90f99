"""What the menu counts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from tickets.people import Viewer
from tickets.tables import Notification, WorkItem
from tickets.visibility import visible
from web.inbox_store import Filter, conditions
from web.seen_store import unread

#: Statements that are kept, one per person and kind of database; all go beyond it.
MOST_KEPT = 1_000

_made: dict[tuple[str, Viewer, int], Select[int, int, int]] = {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person, each counted up to a cap: their open tickets, how many of these have a customer's
    message they have not seen, and unread lines of the bell."""

    mine: int
    unread: int
    unseen: int = 0


def waiting(connection: Connection, who: Viewer, *, cap: int) -> Waiting:
    """Counts for the menu."""
    # Every page has a menu, and to write this statement down takes longer than to execute it. What it says depends on
    # nothing but the person: other teams, other brands, and it is another one.
    key = connection.dialect.name, who, cap
    statement = _made.get(key)
    if statement is None:
        if len(_made) >= MOST_KEPT:
            _made.clear()
        statement = _made[key] = _counts(connection, who, cap)
    return Waiting(*connection.execute(statement).one())


def _counts(connection: Connection, who: Viewer, cap: int) -> Select[int, int, int]:
    mine = select(WorkItem.id).where(*conditions(connection, who, Filter(queue="mine")), visible(who))
    lines = (
        select(Notification.id)
        .join(WorkItem, WorkItem.id == Notification.item_id)
        .where(Notification.user == who.key, Notification.read_at.is_(None), visible(who))
    )
    return select(
        *(
            select(func.count()).select_from(one.limit(cap).subquery()).scalar_subquery()
            for one in (mine, lines, mine.where(unread(who)))
        )
    )
