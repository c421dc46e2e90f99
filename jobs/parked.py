"""Events that could not be handled and were set aside: what they were, why, and handling them again.

A lane goes on past a parked event. Handled again, it is decided on what was true at its own place in the lane; what
people changed since is not overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from jobs import lanes
from tickets.tables import EventRow

#: Rows of the list, and events handled again by one command.
LISTED = 200


@dataclass(frozen=True, slots=True)
class Parked:
    """One event that was set aside, with the error of its last try."""

    id: int
    item_id: int
    seq: int
    kind: str
    at: datetime
    tries: int
    error: str


def parked(connection: Connection) -> list[Parked]:
    """The newest parked events, at most `LISTED`."""
    rows = connection.execute(
        select(EventRow.id, EventRow.item_id, EventRow.seq, EventRow.kind, EventRow.at, EventRow.tries, EventRow.error)
        .where(EventRow.status == "parked")
        .order_by(EventRow.id.desc())
        .limit(LISTED)
    )
    return [Parked(*row) for row in rows]


def handle_again(connection: Connection, now: datetime, ids: Sequence[int] | None = None) -> int:
    """Give these parked events (None: the newest `LISTED`) back to their lanes, oldest first; how many.

    An event that is not parked is left alone."""
    wanted = sorted({one.id for one in parked(connection)} if ids is None else set(ids))[:LISTED]
    again = connection.execute(
        update(EventRow)
        .where(EventRow.id.in_(wanted), EventRow.status == "parked")
        .values(status="pending", tries=0, error="")
        .returning(EventRow.item_id)
    ).scalars()
    items = list(again)
    for item_id in sorted(set(items)):
        lanes.wake(connection, item_id, now)
    return len(items)
