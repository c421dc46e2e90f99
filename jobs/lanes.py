"""Lanes: one item's events, in order, by one worker at a time.

A worker claims due lanes with a lease and a fresh token. Whatever it writes is fenced by that token, so a worker that
was paused beyond its lease can no longer commit; the lane has gone to another one, which does the work again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from rules import store as rule_list
from tickets import store
from tickets.db import Transactions, table_of
from tickets.errors import Fenced
from tickets.item import Item
from tickets.prepared import AnyRow, Prepared
from tickets.tables import EventRow, Lane, WorkItem
from tickets.values import record

#: Lanes one claim takes at most.
CLAIM = 8
#: A lease that ends later than this many leases from now was taken by a clock that was ahead; it counts as over.
LEASES_AHEAD = 2
#: How often in a row workers must have been cut off with a lane in hand until its next event is suspected of it.
SUSPECT = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """Lanes that are ours for the lease. Of `suspects` the workers before us did not live to commit anything, again and
    again; of those `cut_off` the last one did not."""

    token: str
    items: tuple[int, ...]
    suspects: frozenset[int] = frozenset()
    cut_off: frozenset[int] = frozenset()


_LANES, _EVENTS, _ITEMS = table_of(Lane), table_of(EventRow), table_of(WorkItem)
_DUE = (
    select(_LANES.c.item_id)
    .where(
        _LANES.c.due_at <= bindparam("now"),
        or_(
            _LANES.c.lease_until.is_(None),
            _LANES.c.lease_until < bindparam("now"),
            _LANES.c.lease_until > bindparam("ahead"),
        ),
    )
    .order_by(_LANES.c.due_at)
)


def _claiming(due: Select[int]) -> ReturningUpdate[int]:
    claimed = due.limit(bindparam("lanes")).scalar_subquery()
    values: dict[str, Any] = {
        "lease_until": bindparam("until"),
        "token": bindparam("mine"),
        # Still held when its lease is over: whoever had it was cut off.
        "cut_off": case((_LANES.c.token.is_(None), 0), else_=_LANES.c.cut_off + 1),
    }
    claiming = update(_LANES).where(_LANES.c.item_id.in_(claimed)).values(values)
    return claiming.returning(_LANES.c.item_id, _LANES.c.cut_off)


_LOOK = Prepared(_DUE.limit(1))
_CLAIM = Prepared(_claiming(_DUE))
_CLAIM_SKIPPING = Prepared(_claiming(_DUE.with_for_update(skip_locked=True)))
#: What handling an event needs of its row.
OPEN_COLUMNS = (*store.EVENT_COLUMNS, _EVENTS.c.tries, _EVENTS.c.progress)
_A_NEXT = (
    select(*OPEN_COLUMNS)
    .where(_EVENTS.c.item_id == bindparam("item"), or_(_EVENTS.c.status == "pending", _EVENTS.c.status == "waiting"))
    .order_by(_EVENTS.c.seq)
    .limit(1)
)
_NEXT = Prepared(_A_NEXT)
#: The same with its item and the live revision, in one look.
_NEXT_AND_ITEM = Prepared(
    _A_NEXT.join(_ITEMS, _ITEMS.c.id == _EVENTS.c.item_id).add_columns(
        *(column.label(f"now_{column.key}") for column in store.ITEM_COLUMNS), rule_list.LIVE_REVISION.label("live")
    )
)
_MINE = update(_LANES).where(_LANES.c.item_id == bindparam("item"), _LANES.c.token == bindparam("mine"))
_HELD = (_LANES.c.last_seq, rule_list.LIVE_REVISION.label("revision"))
_RENEW = Prepared(_MINE.values(lease_until=bindparam("until")).returning(*_HELD))
_FENCE = Prepared(_MINE.values(lease_until=bindparam("until"), cut_off=0).returning(*_HELD))
_RELEASE = Prepared(_MINE.values(due_at=bindparam("due"), lease_until=None, token=None))
_END = Prepared(
    _MINE.where(_LANES.c.last_seq == bindparam("seq"))
    .values(due_at=None, lease_until=None, token=None, cut_off=0)
    .returning(*_HELD)
)
_GIVE_BACK = (
    update(_LANES)
    .where(_LANES.c.token == bindparam("mine"), _LANES.c.item_id != bindparam("but"))
    .values(lease_until=None, token=None)
)


def claim(db: Transactions, now: datetime, *, lease_s: float, lanes: int = CLAIM) -> Claim:
    """Take up to `lanes` due lanes nobody holds, the longest due first. Empty when there are none."""
    token = secrets.token_hex(16)
    ahead = now + timedelta(seconds=lease_s * LEASES_AHEAD)
    if db.is_sqlite:
        # A look first: taking SQLite's write lock to find nothing would make writers wait for idle workers.
        with db.read() as connection:
            if _LOOK.one_or_none(connection, {"now": now, "ahead": ahead}) is None:
                return Claim(token, ())
    claiming = _CLAIM if db.is_sqlite else _CLAIM_SKIPPING
    values = {"now": now, "ahead": ahead, "lanes": lanes, "until": now + timedelta(seconds=lease_s), "mine": token}
    # A lease need not outlive the machine: whoever holds it does not.
    with db.write(durable=False) as connection:
        taken = claiming.all(connection, values)
    return Claim(
        token,
        tuple(row.item_id for row in taken),
        frozenset(row.item_id for row in taken if row.cut_off >= SUSPECT),
        frozenset(row.item_id for row in taken if row.cut_off),
    )


def pause(tries: int) -> timedelta:
    """How long an event that failed so often waits until it is tried again."""
    return timedelta(seconds=2**tries / 2)


def lock_items(connection: Connection, items: Iterable[int]) -> None:
    """Take these items, as everybody does before lanes and events: in another order two could wait for each other.

    They are not read: that may be what fails. SQLite has one writer anyway."""
    some = select(_ITEMS.c.id).where(_ITEMS.c.id.in_(sorted(set(items)))).order_by(_ITEMS.c.id)
    connection.execute(some.with_for_update()).all()


def next_open(connection: Connection, item_id: int) -> AnyRow | None:
    """The item's first event that is neither done nor parked, or None."""
    return _NEXT.one_or_none(connection, {"item": item_id})


@record
class Next:
    """The next event of a lane, with its item and the revision that is live, from one look."""

    row: AnyRow
    item: Item
    revision: int


def next_with_item(connection: Connection, item_id: int) -> Next | None:
    """As `next_open`, with what handling the event begins with."""
    row = _NEXT_AND_ITEM.one_or_none(connection, {"item": item_id})
    return None if row is None else Next(row, store.item_of(row[len(OPEN_COLUMNS) :]), row.live)


@record
class Held:
    """A lane that is ours: its last sequence, and the revision of the rule list that is live in this transaction."""

    last_seq: int
    revision: int


def fence(
    connection: Connection, item_id: int, token: str, now: datetime, *, lease_s: float, done: bool = True
) -> Held:
    """Prove that the lane is still ours and renew the lease. Raises `Fenced`.

    `done` False: nothing of the lane is settled by this transaction, so who was cut off before still counts."""
    values = {"item": item_id, "mine": token, "until": now + timedelta(seconds=lease_s)}
    held = (_FENCE if done else _RENEW).one_or_none(connection, values)
    if held is None:
        raise Fenced(f"The lane of item {item_id} passed to another worker")
    return Held(held.last_seq, held.revision)


def release(connection: Connection, item_id: int, token: str, *, due_at: datetime | None) -> None:
    """Give the lane back, due again at `due_at` (None: with its next event)."""
    _RELEASE.run(connection, {"item": item_id, "mine": token, "due": due_at})


def end(connection: Connection, item_id: int, token: str, seq: int) -> Held | None:
    """`fence` and `release` in one, where the event of this sequence is the lane's last; None where it is not, or the
    lane is no longer ours: then nothing was done."""
    held = _END.one_or_none(connection, {"item": item_id, "mine": token, "seq": seq})
    return None if held is None else Held(held.last_seq, held.revision)


def give_back(connection: Connection, token: str, *, but: int) -> None:
    """Give back every lane of this claim, due as before, except the one of item `but`."""
    connection.execute(_GIVE_BACK, {"mine": token, "but": but})


def wake(connection: Connection, item_id: int, now: datetime) -> None:
    """Make the lane due now, whoever holds it."""
    connection.execute(
        update(Lane).where(Lane.item_id == item_id, or_(Lane.due_at.is_(None), Lane.due_at > now)).values(due_at=now)
    )


def take_back(connection: Connection, items: Iterable[int], now: datetime) -> None:
    """Make these lanes due now and take them from whoever holds them, who could give one back as if it were empty:
    what was put into it stands before the event that they have read. What they have decided is decided again."""
    connection.execute(
        update(Lane).where(Lane.item_id.in_(sorted(items))).values(due_at=now, lease_until=None, token=None)
    )
