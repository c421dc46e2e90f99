"""Context on an item: what scripts and lookups found, as cards with their source and age. A key's latest counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, not_, select, update

from tickets.events import Cause
from tickets.prepared import AnyRow
from tickets.tables import ContextFact
from tickets.values import JSON

#: Characters of a card's key.
KEY_CHARS = 80
#: Under this key of a stored card's body stands that it was taken back.
TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class NewContext:
    """A card about to be written. `error` is a sentence when the facts could not be had.

    `outside`: it tells what became of a change in a connected system. Taking back what caused it leaves the change
    there, and this card here: whoever looks must not ask for it a second time."""

    key: str
    title: str
    data: JSON
    source: str
    fetched_at: datetime
    cause: Cause
    fresh_until: datetime | None = None
    error: str = ""
    outside: bool = False


def insert_context(connection: Connection, item_id: int, card: NewContext, now: datetime) -> None:
    """Store one card; the one it replaces stays as its history."""
    key = card.key[:KEY_CHARS]
    take_away(connection, item_id, key)
    connection.execute(
        insert(ContextFact).values(
            item_id=item_id,
            key=key,
            current=True,
            title=card.title[:200],
            body={"data": card.data, "outside": True} if card.outside else {"data": card.data},
            source=card.source[:200],
            error=card.error,
            fetched_at=card.fetched_at,
            fresh_until=card.fresh_until,
            cause=card.cause.to_json(),
            created_at=now,
        )
    )


def replaced_by(connection: Connection, item_id: int, ours: ColumnElement[bool]) -> dict[str, NewContext | None]:
    """The current cards that were written by `ours`, by key, each with the newest one that was not: None for none.

    One that was taken back itself does not come again."""
    current = select(ContextFact.key).where(ContextFact.item_id == item_id, ContextFact.current, ours)
    found: dict[str, NewContext | None] = dict.fromkeys(connection.execute(current.order_by(ContextFact.key)).scalars())
    for key in found:
        row = connection.execute(
            select(ContextFact.__table__)
            .where(ContextFact.item_id == item_id, ContextFact.key == key, not_(ours))
            .where(ContextFact.body[TAKEN_BACK].as_boolean().is_not(True))
            .order_by(ContextFact.id.desc())
            .limit(1)
        ).one_or_none()
        if row is not None:
            cause = Cause.from_json(row.cause)
            data = row.body.get("data")
            found[key] = NewContext(key, row.title, data, row.source, row.fetched_at, cause, row.fresh_until, row.error)
    return found


def tells_of_outside() -> ColumnElement[bool]:
    """Of a stored card, whether it is one that `NewContext.outside` speaks of."""
    told: ColumnElement[bool] = ContextFact.body["outside"].as_boolean().is_(True)
    return told


def taken_back(connection: Connection, item_id: int, key: str, ours: ColumnElement[bool]) -> None:
    """Keep with the cards of this key that were written by `ours` that they were taken back."""
    mine = select(ContextFact.id, ContextFact.body).where(ContextFact.item_id == item_id, ContextFact.key == key, ours)
    for row in connection.execute(mine).all():
        told = {**row.body, TAKEN_BACK: True}
        connection.execute(update(ContextFact).where(ContextFact.id == row.id).values(body=told))


def take_away(connection: Connection, item_id: int, key: str) -> None:
    """Leave the item without a card of this key; those it had stay as its history."""
    connection.execute(
        update(ContextFact)
        .where(ContextFact.item_id == item_id, ContextFact.key == key, ContextFact.current)
        .values(current=False)
    )


def context_cards(connection: Connection, item_id: int) -> list[AnyRow]:
    """The item's current cards, by key."""
    return list(
        connection.execute(
            select(
                ContextFact.key,
                ContextFact.title,
                ContextFact.body,
                ContextFact.source,
                ContextFact.error,
                ContextFact.fetched_at,
                ContextFact.fresh_until,
                ContextFact.cause,
            )
            .where(ContextFact.item_id == item_id, ContextFact.current)
            .order_by(ContextFact.key)
        )
    )
