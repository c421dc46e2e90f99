"""E-mail for colleagues: at once, one digest for many, or none, as each of them wishes. The bell rings anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from jobs.leaving import queue
from jobs.tables import OutboxRow
from tickets.events import Cause
from tickets.people import Viewer
from tickets.tables import User
from tickets.values import iso

#: Minutes a digest collects.
DIGEST_MIN = 60


def mail_colleagues(
    connection: Connection,
    viewers: Sequence[Viewer],
    item_id: int,
    worded: Mapping[str, Any],
    *,
    key: str,
    cause: Cause,
    now: datetime,
) -> None:
    """A mail to each of these colleagues that opens the item; who wants a digest gets one later.

    `worded` is {"subject", "parts"}, or {"system", "message_id"} for what is worded when it is sent."""
    wishes = {
        row.key: row.mail
        for row in connection.execute(
            select(User.key, User.mail).where(User.key.in_([viewer.key for viewer in viewers]))
        )
    }
    for viewer in viewers:
        match wishes.get(viewer.key):
            case "never":
                continue
            case "digest":
                _queue_digest(connection, viewer, now)
                continue
        queue(
            connection,
            key=f"notice:{key}:{viewer.key}",
            kind="notice",
            recipient=viewer.email,
            item_id=item_id,
            payload={
                "to": viewer.email,
                "name": viewer.name,
                "user": viewer.key,
                "language": viewer.language,
                "cause": cause.to_json(),
                **worded,
            },
            due_at=now,
            now=now,
        )


def _queue_digest(connection: Connection, viewer: Viewer, now: datetime) -> None:
    """One digest for whatever rings within the hour; what was read until then is not in it.

    One that is being sent was written without what rings now."""
    waits = select(OutboxRow.id).where(
        OutboxRow.recipient == viewer.email,
        OutboxRow.kind == "digest",
        OutboxRow.status == "due",
        or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until < now),
    )
    if connection.execute(waits.limit(1)).first() is not None:
        return
    queue(
        connection,
        key=f"digest:{viewer.key}:{now.isoformat(timespec='seconds')}",
        kind="digest",
        recipient=viewer.email,
        item_id=None,
        payload={"user": viewer.key, "since": iso(now)},
        due_at=now + timedelta(minutes=DIGEST_MIN),
        now=now,
    )
