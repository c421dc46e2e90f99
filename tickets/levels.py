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
_READ_TRAIL = (
    select(_HISTORY.c.at, _HISTORY.c.change)
    .where(_HISTORY.c.item_id == bindparam("item"), _HISTORY.c.field == "status", _HISTORY.c.outcome == "done")
    .order_by(_HISTORY.c.id.desc())
    .limit(MAX_TRAIL)
)
_POLICIES = (
    select(SlaPolicy.key, SlaPolicy.label, SlaPolicy.body)
    .where(SlaPolicy.enabled)
    .order_by(SlaPolicy.position, SlaPolicy.key)
)


def policies(connection: Connection) -> list[Policy]:
    """The policies that are switched on, in their order."""
    return [Policy.from_json(row.key, row.label, row.body) for row in connection.execute(_POLICIES)]


def calendar_of(connection: Connection, key: str) -> Calendar | None:
    """The calendar with this key; None for "" and for one that is gone: then all time counts."""
    if not key:
        return None
    body = connection.execute(select(BusinessCalendar.body).where(BusinessCalendar.key == key)).scalar_one_or_none()
    return None if body is None else Calendar.from_json(body)


def clocks_of(connection: Connection, items: Sequence[int]) -> dict[int, dict[Target, SlaClock]]:
    """The clocks of these items as they were last worked out."""
    found: dict[int, dict[Target, SlaClock]] = {}
    for row in connection.execute(_READ_CLOCKS, {"items": list(items)}):
        values: dict[str, Any] = {name: row._mapping[name] for name in _COLUMNS}
        values["target"] = Target(values["target"])
        found.setdefault(row.item_id, {})[values["target"]] = SlaClock(**values)
    return found


def statuses(connection: Connection, item_id: int, item: Watched) -> tuple[tuple[datetime, str], ...]:
    """The statuses of the item since it was created, oldest first."""
    rows = list(reversed(connection.execute(_READ_TRAIL, {"item": item_id}).all()))
    now_in = str(item.state.get("status", ""))
    first = str(rows[0].change.get("before") or now_in) if rows else now_in
    return ((item.created_at, first), *((row.at, str(row.change.get("after") or "")) for row in rows))


def keep_clocks(connection: Connection, item_id: int, item: Watched, now: datetime) -> Mapping[Target, SlaClock]:
    """Work out the item's clocks and store them. Called with every write, after its history was written."""
    before = clocks_of(connection, [item_id]).get(item_id, {})
    policy = policy_for(policies(connection), item.state)
    if policy is None and not before:
        return {}
    past = Past(item.created_at, statuses(connection, item_id, item), item.stamps)
    calendar = calendar_of(connection, policy.calendar) if policy is not None else None
    found = reckon(policy, calendar, past, before, now)
    if found == before:
        return found
    if before:
        connection.execute(delete(_CLOCKS).where(_CLOCKS.c.item_id == item_id))
    if found:
        rows = [{"item_id": item_id, **{name: getattr(one, name) for name in _COLUMNS}} for one in found.values()]
        connection.execute(insert(_CLOCKS), rows)
    return found
