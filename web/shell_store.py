"""What the menu counts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tickets.people import Viewer
from tickets.tables import Notification, WorkItem
from tickets.visibility import visible
from web.inbox_store import Filter, conditions
from web.seen_store import unread


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person, each counted up to a cap: their open tickets, how many of these have a customer's
    message they have not seen, and unread lines of the bell."""

    mine: int
    unread: int
    unseen: int = 0


def waiting(connection: Connection, who: Viewer, *, cap: int) -> Waiting:
    """Counts for the menu."""
    mine = select(WorkItem.id).where(*conditions(connection, who, Filter(queue="mine")), visible(who))
    lines = (
        select(Notification.id)
        .join(WorkItem, WorkItem.id == Notification.item_id)
        .where(Notification.user == who.key, Notification.read_at.is_(None), visible(who))
    )
    counts = (
        select(func.count()).select_from(one.limit(cap).subquery()).scalar_subquery()
        for one in (mine, lines, mine.where(unread(who)))
    )
    return Waiting(*connection.execute(select(*counts)).one())
