"""Context on an item: what scripts and lookups found, as cards with their source and age. A key's latest counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from tickets.events import Cause
from tickets.prepared import AnyRow
from tickets.tables import ContextFact
from tickets.values import JSON


@dataclass(frozen=True, slots=True)
class NewContext:
    """A card about to be written. `error` is a sentence when the facts could not be had."""

    key: str
    title: str
    data: JSON
    source: str
    fetched_at: datetime
    cause: Cause
    fresh_until: datetime | None = None
    error: str = ""


def insert_context(connection: Connection, item_id: int, card: NewContext, now: datetime) -> None:
    """Store one card; the one it replaces stays as its history."""
    connection.execute(
        update(ContextFact)
        .where(ContextFact.item_id == item_id, ContextFact.key == card.key, ContextFact.current)
        .values(current=False)
    )
    connection.execute(
        insert(ContextFact).values(
            item_id=item_id,
            key=card.key[:80],
            current=True,
            title=card.title[:200],
            body={"data": card.data},
            source=card.source[:200],
            error=card.error,
            fetched_at=card.fetched_at,
            fresh_until=card.fresh_until,
            cause=card.cause.to_json(),
            created_at=now,
        )
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
