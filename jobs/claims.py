"""Claiming due rows: a lease and a fresh token for each, so that one worker at a time holds a row.

For every table of work with `id`, `due_at`, `lease_until` and `token`. Lanes, which carry order, have their own claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update

from jobs.lanes import LEASES_AHEAD
from tickets.db import Database
from tickets.store import AnyRow


def claim(
    db: Database,
    table: Any,
    *,
    token: str,
    now: datetime,
    lease_s: float,
    limit: int,
    values: dict[str, Any],
    returning: Sequence[Any],
    only: Sequence[ColumnElement[bool]] = (),
) -> list[AnyRow]:
    """Take up to `limit` due rows nobody holds, the longest due first, writing `values` on them."""
    ahead = now + timedelta(seconds=lease_s * LEASES_AHEAD)
    free = or_(table.lease_until.is_(None), table.lease_until < now, table.lease_until > ahead)
    due = select(table.id).where(table.due_at <= now, free, *only).order_by(table.due_at).limit(limit)
    if db.is_sqlite:
        # A look first: taking SQLite's write lock to find nothing would make writers wait for idle workers.
        with db.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
    else:
        due = due.with_for_update(skip_locked=True)
    with db.write() as connection:
        return list(
            connection.execute(
                update(table)
                .where(table.id.in_(due.scalar_subquery()))
                .values(lease_until=now + timedelta(seconds=lease_s), token=token, **values)
                .returning(*returning)
            )
        )
