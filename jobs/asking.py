"""Asking a connection about an item: the row that enrichment workers serve."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from jobs.facts import args_key
from jobs.tables import LookupRow
from rules.facts import LookupKey
from tickets.db import upsert
from tickets.events import Event
from tickets.values import JSON


def ask(
    connection: Connection,
    item_id: int,
    name: str,
    operation: str,
    args: Mapping[str, JSON],
    *,
    root: int | None,
    depth: int,
    now: datetime,
) -> int:
    """Ask this question for this item and return the lookup's id.

    The same question is one row: while it is being asked nothing happens, an answer that is no longer fresh is asked
    anew, and a failed one that will be tried again is left to its own time."""
    key = args_key(args)
    asked: dict[str, Any] = {
        "state": "asked",
        "reason": "",
        "due_at": now,
        "asked_at": now,
        "tries": 0,
        "root_id": root,
        "depth": depth,
        "not_from_seq": None,
    }
    inserted = connection.execute(
        upsert(connection, LookupRow)
        .values(
            item_id=item_id, connection=name, operation=operation, args=dict(args), args_key=key, answer={}, **asked
        )
        .on_conflict_do_nothing(index_elements=["item_id", "connection", "operation", "args_key"])
        .returning(LookupRow.id)
    ).scalar_one_or_none()
    if inserted is not None:
        return int(inserted)
    same = and_(
        LookupRow.item_id == item_id,
        LookupRow.connection == name,
        LookupRow.operation == operation,
        LookupRow.args_key == key,
    )
    connection.execute(
        update(LookupRow)
        .where(
            same,
            or_(
                LookupRow.state.in_(("known", "missing", "ambiguous")),
                and_(LookupRow.state == "failed", LookupRow.due_at.is_(None)),
            ),
        )
        .values(**asked)
    )
    return connection.execute(select(LookupRow.id).where(same)).scalar_one()


def ask_for(connection: Connection, event: Event, key: LookupKey, now: datetime) -> int:
    """Ask what the rules want to know to decide this event; the lookup's id."""
    return ask(
        connection,
        event.item_id,
        key.connection,
        key.operation,
        dict(key.args),
        root=event.root_id,
        depth=event.depth + 1,
        now=now,
    )
