"""Service levels in the database: policies, and the clocks of each item, worked out anew with every write to it.

The arithmetic is `tickets.sla`. Working a clock out is no change of the item: it moves neither its version nor *last
modified*, and raises no event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from tickets.calendar import Calendar
from tickets.db import table_of
from tickets.errors import BadValue
from tickets.prepared import AnyRow, Prepared
from tickets.sla import Past, Policy, SlaClock, Target, policy_for, reckon
from tickets.tables import BusinessCalendar, History, SlaClockRow, SlaPolicy
from tickets.timers import Watched

#: Status changes of one item that clocks look at, the newest ones. What is older counts as one stretch.
MAX_TRAIL = 500

_CLOCKS, _HISTORY = table_of(SlaClockRow), table_of(History)
_COLUMNS = ("policy", "target", "start", "due_at", "near_at", "left_s", "met_at", "breached_at")
_READ_CLOCKS = select(_CLOCKS.c.item_id, *(_CLOCKS.c[name] for name in _COLUMNS)).where(
    _CLOCKS.c.item_id.in_(bindparam("items", expanding=True))
)
_READ_OWN = Prepared(
    select(_CLOCKS.c.item_id, *(_CLOCKS.c[name] for name in _COLUMNS)).where(_CLOCKS.c.item_id == bindparam("item"))
)
_READ_TRAIL = Prepared(
    select(_HISTORY.c.at, _HISTORY.c.change)
    .where(_HISTORY.c.item_id == bindparam("item"), _HISTORY.c.field == "status", _HISTORY.c.outcome == "done")
    .order_by(_HISTORY.c.id.desc())
    .limit(MAX_TRAIL)
)
_SLAS = table_of(SlaPolicy)
_POLICIES = Prepared(
    select(_SLAS.c.key, _SLAS.c.label, _SLAS.c.body).where(_SLAS.c.enabled).order_by(_SLAS.c.position, _SLAS.c.key)
)
_CALENDARS = table_of(BusinessCalendar)
_READ_CALENDAR = Prepared(select(_CALENDARS.c.body).where(_CALENDARS.c.key == bindparam("calendar")))


def policies(connection: Connection) -> list[Policy]:
    """The policies that are switched on, in their order, but for those that cannot be read."""
    return read_policies(connection)[0]


def read_policies(connection: Connection) -> tuple[list[Policy], dict[str, str]]:
    """The policies that are switched on, in their order, and why others cannot be read: they cover nothing new."""
    found: list[Policy] = []
    unreadable: dict[str, str] = {}
    for row in _POLICIES.all(connection, {}):
        try:
            found.append(Policy.from_json(row.key, row.label, row.body))
        except BadValue as error:
            unreadable[row.key] = str(error)
    return found, unreadable


def calendar_of(connection: Connection, key: str) -> Calendar | None:
    """The calendar with this key; None for "" and for one that is gone: then all time counts."""
    if not key:
        return None
    body = _READ_CALENDAR.scalar(connection, {"calendar": key})
    return None if body is None else Calendar.from_json(body)


def clocks_of(connection: Connection, items: Sequence[int]) -> dict[int, dict[Target, SlaClock]]:
    """The clocks of these items as they were last worked out."""
    found: dict[int, dict[Target, SlaClock]] = {}
    for row in connection.execute(_READ_CLOCKS, {"items": list(items)}):
        clock = _clock(row)
        found.setdefault(row.item_id, {})[clock.target] = clock
    return found


def own_clocks(connection: Connection, item_id: int) -> dict[Target, SlaClock]:
    """The clocks of one item as they were last worked out."""
    found = [_clock(row) for row in _READ_OWN.all(connection, {"item": item_id})]
    return {one.target: one for one in found}


def _clock(row: AnyRow) -> SlaClock:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
    values["target"] = Target(values["target"])
    return SlaClock(**values)


def statuses(connection: Connection, item_id: int, item: Watched) -> tuple[tuple[datetime, str], ...]:
    """The statuses of the item since it was created, oldest first."""
    rows = list(reversed(_READ_TRAIL.all(connection, {"item": item_id})))
    now_in = str(item.state.get("status", ""))
    first = str(rows[0].change.get("before") or now_in) if rows else now_in
    return ((item.created_at, first), *((row.at, str(row.change.get("after") or "")) for row in rows))


def keep_clocks(connection: Connection, item_id: int, item: Watched, now: datetime) -> Mapping[Target, SlaClock]:
    """Work out the item's clocks and store them. Called with every write, after its history was written."""
    before = own_clocks(connection, item_id)
    known, unreadable = read_policies(connection)
    if any(one.policy in unreadable for one in before.values()):
        return before  # its policy cannot be read: nothing is reckoned anew until it can
    policy = policy_for(known, item.state)
    if policy is None and not before:
        return {}
    past = Past(item.created_at, statuses(connection, item_id, item), item.stamps)
    try:
        calendar = calendar_of(connection, policy.calendar) if policy is not None else None
    except BadValue:
        return before  # its hours cannot be read: nothing is reckoned anew until they can
    found = reckon(policy, calendar, past, before, now)
    if found == before:
        return found
    if before:
        connection.execute(delete(_CLOCKS).where(_CLOCKS.c.item_id == item_id))
    if found:
        rows = [{"item_id": item_id, **{name: getattr(one, name) for name in _COLUMNS}} for one in found.values()]
        connection.execute(insert(_CLOCKS), rows)
    return found
