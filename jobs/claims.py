"""Claiming due rows: a lease and a fresh token for each, so that one worker at a time holds a row.

For every table of work with `id`, `due_at`, `lease_until` and `token`. Lanes, which carry order, have their own claim.

Where a table also has `cut_off`, work that ends its workers comes to an end itself: workers were cut off with it in
hand a few times, it is taken alone, so that what shared its worker shares no blame, and a few times later given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, or_, select, update

from jobs.lanes import LEASES_AHEAD, SUSPECT
from tickets.db import Database
from tickets.prepared import AnyRow, Prepared

#: How often in a row workers were cut off with a row in hand, most of them with nothing else, until it is given up.
MOST_CUT_OFF = SUSPECT + 3


def suspected(table: Any) -> ColumnElement[bool]:
    """Of which workers were cut off so often, this claim counted in, that it must be taken alone."""
    return and_(_held(table), table.cut_off + 1 >= SUSPECT)


def times_cut_off(table: Any) -> ColumnElement[int]:
    """How often in a row workers were cut off with it in hand, this claim counted in: a value for `claim` to write."""
    return case((_held(table), table.cut_off + 1), else_=0)


def _held(table: Any) -> ColumnElement[bool]:
    """Still, though its lease is over: whoever had it was cut off."""
    held: ColumnElement[bool] = table.token.is_not(None)
    return held


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
    if db.is_sqlite:
        # A look first: taking SQLite's write lock to find nothing would make writers wait for idle workers. Most looks
        # are at a table in which nothing at all is due, and that is asked by a statement which is ready.
        with db.read() as connection:
            if _look(table).one_or_none(connection, {"now": now, "ahead": ahead}) is None:
                return []
    due = select(table.id).where(*_due(table, now, ahead), *only).order_by(table.due_at).limit(limit)
    if db.is_sqlite:
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


def _due(table: Any, now: Any, ahead: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    free = or_(table.lease_until.is_(None), table.lease_until < now, table.lease_until > ahead)
    return table.due_at <= now, free


@cache
def _look(table: Any) -> Prepared:
    return Prepared(select(table.id).where(*_due(table, bindparam("now"), bindparam("ahead"))).limit(1))
