"""What a customer sees in the portal: their own published items, and of these what was said in public."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, select

from tickets.db import upsert
from tickets.errors import ItemNotFound
from tickets.store import AnyRow
from tickets.tables import Attachment, Blob, Brand, Message, Seen, WorkItem

#: Most items of the list, and messages of one item, newest kept.
ITEMS = 200
MESSAGES = 200


def theirs(person: int) -> ColumnElement[bool]:
    """The one predicate of the portal: an item is this customer's own, and published."""
    return and_(WorkItem.customer == person, WorkItem.published.is_(True))


@dataclass(frozen=True, slots=True)
class Line:
    id: int
    kind: str
    subject: str
    status: str
    updated_at: datetime
    unread: bool
    brand: str = ""  # its name


def listed(connection: Connection, person: int) -> list[Line]:
    """Their items, newest change first."""
    seen = exists(select(Seen.who).where(Seen.message_id == Message.id, Seen.who == seer(person)))
    unread = exists(
        select(Message.id).where(
            Message.item_id == WorkItem.id, Message.public, Message.author_kind.in_(("agent", "bot")), not_(seen)
        )
    )
    rows = connection.execute(
        select(
            WorkItem.id,
            WorkItem.kind,
            WorkItem.subject,
            WorkItem.status,
            WorkItem.updated_at,
            unread.label("unread"),
            Brand.label.label("brand"),
        )
        .outerjoin(Brand, Brand.key == WorkItem.brand)
        .where(theirs(person))
        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
        .limit(ITEMS)
    )
    return [
        Line(
            row.id,
            row.kind,
            row.subject or "",
            row.status or "open",
            row.updated_at,
            bool(row.unread),
            row.brand or "",
        )
        for row in rows
    ]


def usual_zone(connection: Connection, person: int) -> str:
    """The zone of the brand they last had to do with, for who never chose one; "" when there is none."""
    newest = (
        select(Brand.zone)
        .join(WorkItem, WorkItem.brand == Brand.key)
        .where(theirs(person))
        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
        .limit(1)
    )
    return connection.execute(newest).scalar_one_or_none() or ""


def item(connection: Connection, person: int, item_id: int) -> AnyRow:
    """One of their items. Raises `ItemNotFound` for another's and for one that is not published."""
    row = connection.execute(
        select(
            WorkItem.id,
            WorkItem.kind,
            WorkItem.subject,
            WorkItem.status,
            WorkItem.created_at,
            WorkItem.version,
            Brand.label.label("brand"),
        )
        .outerjoin(Brand, Brand.key == WorkItem.brand)
        .where(WorkItem.id == item_id, theirs(person))
    ).one_or_none()
    if row is None:
        raise ItemNotFound(f"There is nothing with the number {item_id} here")
    return row


def messages(connection: Connection, item_id: int) -> tuple[Sequence[AnyRow], dict[int, list[AnyRow]]]:
    """What was said in public on an item that `item` gave, oldest first, and the files of each message."""
    rows = connection.execute(
        select(
            Message.id,
            Message.author_kind,
            Message.author_name,
            Message.author_user,
            Message.text,
            Message.new_text,
            Message.created_at,
        )
        .where(Message.item_id == item_id, Message.public)
        .order_by(Message.id.desc())
        .limit(MESSAGES)
    ).all()[::-1]
    files: dict[int, list[AnyRow]] = {}
    for one in connection.execute(
        select(Attachment.id, Attachment.message_id, Attachment.name, Attachment.size)
        .where(Attachment.message_id.in_([row.id for row in rows]))
        .order_by(Attachment.id)
    ):
        files.setdefault(one.message_id, []).append(one)
    return rows, files


def file(connection: Connection, person: int, attachment_id: int) -> AnyRow | None:
    """A file of a public message on one of their items, or None."""
    return connection.execute(
        select(Attachment.name, Blob.data)
        .join(Message, Message.id == Attachment.message_id)
        .join(WorkItem, WorkItem.id == Message.item_id)
        .join(Blob, Blob.sha256 == Attachment.blob)
        .where(Attachment.id == attachment_id, Message.public, theirs(person))
    ).one_or_none()


def mark_seen(connection: Connection, person: int, message_ids: Sequence[int], now: datetime) -> None:
    """They have seen these messages: what waits to be e-mailed of them need not be."""
    if message_ids:
        connection.execute(
            upsert(connection, Seen).on_conflict_do_nothing(index_elements=["message_id", "who"]),
            [{"message_id": one, "who": seer(person), "at": now} for one in message_ids],
        )


def seer(person: int) -> str:
    return f"person:{person}"
