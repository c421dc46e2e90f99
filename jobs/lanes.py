"""Lanes: one item's events, in order, by one worker at a time.

A worker claims due lanes with a lease and a fresh token. Whatever it writes is fenced by that token, so a worker that
was paused beyond its lease can no longer commit; the lane has gone to another one, which does the work again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from tickets.db import Database
from tickets.errors import Fenced
from tickets.store import AnyRow
from tickets.tables import EventRow, Lane

#: Lanes one claim takes at most.
CLAIM = 8


@dataclass(frozen=True, slots=True)
class Claim:
    token: str
    items: tuple[int, ...]


def claim(db: Database, now: datetime, *, lease_s: float, lanes: int = CLAIM) -> Claim:
    """Take up to `lanes` due lanes nobody holds, the longest due first. Empty when there are none."""
    token = secrets.token_hex(16)
    due = (
        select(Lane.item_id)
        .where(Lane.due_at <= now, or_(Lane.lease_until.is_(None), Lane.lease_until < now))
        .order_by(Lane.due_at)
        .limit(lanes)
    )
    if db.is_sqlite:
        # A look first: taking SQLite's write lock to find nothing would make writers wait for idle workers.
        with db.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return Claim(token, ())
    else:
        due = due.with_for_update(skip_locked=True)
    with db.write() as connection:
        items = connection.execute(
            update(Lane)
            .where(Lane.item_id.in_(due.scalar_subquery()))
            .values(lease_until=now + timedelta(seconds=lease_s), token=token)
            .returning(Lane.item_id)
        ).scalars()
        return Claim(token, tuple(items))


def next_open(connection: Connection, item_id: int) -> AnyRow | None:
    """The item's first event that is neither done nor parked, or None."""
    return connection.execute(
        select(EventRow.id, EventRow.seq, EventRow.status, EventRow.tries, EventRow.progress)
        .where(EventRow.item_id == item_id, EventRow.status.in_(("pending", "waiting")))
        .order_by(EventRow.seq)
        .limit(1)
    ).one_or_none()


def fence(connection: Connection, item_id: int, token: str, now: datetime, *, lease_s: float) -> int:
    """Prove that the lane is still ours and renew the lease; returns its last sequence. Raises `Fenced`."""
    last_seq = connection.execute(
        update(Lane)
        .where(Lane.item_id == item_id, Lane.token == token)
        .values(lease_until=now + timedelta(seconds=lease_s))
        .returning(Lane.last_seq)
    ).scalar_one_or_none()
    if last_seq is None:
        raise Fenced(f"The lane of item {item_id} passed to another worker")
    return last_seq


def release(connection: Connection, item_id: int, token: str, *, due_at: datetime | None) -> None:
    """Give the lane back, due again at `due_at` (None: with its next event)."""
    connection.execute(
        update(Lane)
        .where(Lane.item_id == item_id, Lane.token == token)
        .values(due_at=due_at, lease_until=None, token=None)
    )


def wake(connection: Connection, item_id: int, now: datetime) -> None:
    """Make the lane due now, whoever holds it."""
    connection.execute(
        update(Lane).where(Lane.item_id == item_id, or_(Lane.due_at.is_(None), Lane.due_at > now)).values(due_at=now)
    )
