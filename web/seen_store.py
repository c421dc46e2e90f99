"""What one person has seen and follows: the little that pages write about items themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, not_, select

from jobs.telling import MOST_FOLLOWERS
from tickets.db import upsert
from tickets.errors import BadValue
from tickets.people import Viewer
from tickets.store import opened, read_item
from tickets.tables import Follower, Message, Seen, WorkItem

#: Messages of one item that are marked as seen at once.
SEEN_AT_ONCE = 5_000


def unread(who: Viewer) -> ColumnElement[bool]:
    """Whether a customer wrote something on the item that this person has not seen."""
    seen = exists(select(Seen.who).where(Seen.message_id == Message.id, Seen.who == seer(who)))
    return exists(
        select(Message.id).where(Message.item_id == WorkItem.id, Message.author_kind == "customer", not_(seen))
    )


def seer(who: Viewer) -> str:
    return f"user:{who.key}"


def mark_seen(connection: Connection, who: Viewer, item_id: int, up_to: int, now: datetime) -> None:
    """Note that this person has seen the item's messages up to this one. Raises `ItemNotFound`."""
    read_item(connection, item_id, viewer=who)
    opened(connection, item_id, now)
    known = exists(select(Seen.who).where(Seen.message_id == Message.id, Seen.who == seer(who)))
    fresh = select(Message.id).where(Message.item_id == item_id, Message.id <= up_to, not_(known))
    ids = connection.execute(fresh.order_by(Message.id.desc()).limit(SEEN_AT_ONCE)).scalars().all()
    if ids:
        # Two windows of one person may say so at the same moment.
        connection.execute(
            upsert(connection, Seen).on_conflict_do_nothing(index_elements=["message_id", "who"]),
            [{"message_id": one, "who": seer(who), "at": now} for one in ids],
        )


def followers(connection: Connection, item_id: int) -> list[str]:
    """The keys of those who follow an item that was read with a viewer."""
    found = select(Follower.user).where(Follower.item_id == item_id).order_by(Follower.user).limit(MOST_FOLLOWERS)
    return list(connection.execute(found).scalars())


def follow(connection: Connection, who: Viewer, item_id: int) -> None:
    """Tell this person of every message on the item from now on. Raises `ItemNotFound`, `BadValue`."""
    read_item(connection, item_id, viewer=who, lock=True)
    known = followers(connection, item_id)
    if who.key not in known:
        if len(known) >= MOST_FOLLOWERS:
            raise BadValue(f"A ticket has at most {MOST_FOLLOWERS} followers. You were not added.")
        connection.execute(insert(Follower).values(item_id=item_id, user=who.key))


def unfollow(connection: Connection, who: Viewer, item_id: int) -> None:
    """Tell this person no more. Raises `ItemNotFound`."""
    read_item(connection, item_id, viewer=who)
    connection.execute(delete(Follower).where(Follower.item_id == item_id, Follower.user == who.key))
