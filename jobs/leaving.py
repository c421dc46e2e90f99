"""Rows of what leaves the house, written in the transaction that causes them. `jobs.outbox` delivers them.

Kinds: "email" (a public message to its customer), "template" and "notice" (a mail to somebody, nothing posted),
"digest" (a colleague's unread bell), "reply" (a suggested reply), "webhook", "change" (in a connected system).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jobs.tables import OutboxRow
from tickets import people
from tickets.db import upsert
from tickets.errors import PersonNotFound
from tickets.item import Item
from tickets.values import JSON

#: Seconds a customer has to see a message in the portal before it is e-mailed.
UNSEEN_S = 60
#: Statuses of a row that still waits for something: a worker, or a person.
WAITING = ("due", "approval")


def queue(
    connection: Connection,
    *,
    key: str,
    kind: str,
    recipient: str,
    item_id: int | None,
    payload: Mapping[str, Any],
    due_at: datetime,
    now: datetime,
    status: str = "due",
) -> bool:
    """Queue something under its stable key, once however often it is called; whether this call did it."""
    made = connection.execute(
        upsert(connection, OutboxRow)
        .values(
            key=key[:160],
            kind=kind,
            recipient=recipient[:320],
            item_id=item_id,
            payload=dict(payload),
            status=status,
            due_at=due_at,
            tries=0,
            last_error="",
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(OutboxRow.id)
    )
    return made.first() is not None


def queue_message(connection: Connection, item: Item, message_id: int, now: datetime) -> None:
    """Queue a public message for the item's customer by e-mail, once per message. Nothing without an address.

    Who can see it in the portal has `UNSEEN_S` to do so; then, and from others at once, it goes by e-mail."""
    person = customer_of(connection, item)
    if person is None or not person.email:
        return
    seen_in_portal = item.state.get("published") is True
    queue(
        connection,
        key=f"message:{message_id}",
        kind="email",
        recipient=person.email,
        item_id=item.id,
        payload={"message_id": message_id, "to": person.email, "name": person.name, "person": person.id},
        due_at=now + timedelta(seconds=UNSEEN_S) if seen_in_portal else now,
        now=now,
    )


def customer_of(connection: Connection, item: Item) -> people.Customer | None:
    person_id = item.state.get("customer")
    if not isinstance(person_id, int):
        return None
    try:
        return people.customer(connection, person_id)
    except PersonNotFound:
        return None


def print_of(*values: JSON) -> str:
    """A short fingerprint of what is sent: the same thing is not sent again by a late answer."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
