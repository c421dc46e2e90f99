"""Rows that were decided without something are decided again once it is there, in an event of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from tickets import store
from tickets.events import AUTOMATION, EventKind
from tickets.values import JSON


def decide_again(
    connection: Connection,
    item_id: int,
    rows: Mapping[int, Sequence[str]],
    because: Mapping[str, JSON],
    now: datetime,
) -> None:
    """Have these rows decided again: {event: keys of its rows}. `because` says in the new events what came."""
    for event_id, keys in rows.items():
        original = store.event(connection, event_id)
        payload: dict[str, JSON] = {"event_id": event_id, "rows": list(keys), **because}
        store.change_item(
            connection,
            store.read_item(connection, item_id, lock=True),
            lines=(),
            actor=AUTOMATION,
            now=now,
            kind=EventKind.LATE_ANSWER,
            chain=store.Chain(root_id=original.root_id, depth=original.depth, payload=payload),
        )
