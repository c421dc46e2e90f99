"""The timers of items, kept by every write: SQL of `tickets.timers`.

`keep` runs inside the transaction that changes the item and under its lock, so a stored timer is never about a state
that is over. `append` puts events that nobody wrote by hand into lanes: the item itself is not changed by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, exists, insert, or_, select, update

from tickets import levels
from tickets.calendar import Calendar
from tickets.db import UtcDateTime, table_of, upsert
from tickets.errors import BadValue
from tickets.events import Actor, EventKind
from tickets.prepared import Prepared
from tickets.snooze import SNOOZED, UNTIL
from tickets.tables import (
    Brand,
    BusinessCalendar,
    EventRow,
    Lane,
    SlaClockRow,
    SlaPolicy,
    Timer,
    TimeTrigger,
    WorkItem,
)
from tickets.timers import On, TimeRule, Wanted, Watched, moment, wanted
from tickets.values import JSON, from_iso, iso

#: What became of a timer's episode.
WAITING, FIRED, BEFORE, PASSED = "waiting", "fired", "before", "passed"
#: Timers of no table: the end of a snooze; and the walk that works out service levels anew.
SNOOZE_KEY, RECOUNT_KEY = "*snooze", "*levels"

_ITEMS, _EVENTS, _LANES = table_of(WorkItem), table_of(EventRow), table_of(Lane)
_TRIGGERS, _TIMERS = table_of(TimeTrigger), table_of(Timer)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A time trigger of a live table."""

    key: str
    entry: str
    kind: str
    rule: TimeRule
    since: datetime
    walked_to: int | None = None
    picks: str = ""
    picked_at: datetime | None = None

    @property
    def counts_from(self) -> datetime:
        """What came due before this moment is none of its business: no walk gives it a timer."""
        return self.since if self.picked_at is None else max(self.since, self.picked_at)

    def covers(self, kind: str) -> bool:
        return self.kind in ("any", kind)


@dataclass(frozen=True, slots=True)
class Triggers:
    """The time triggers of all live tables, but for schedules, which are of no single item.

    `unreadable` is what is stored and cannot be read any more, schedules too: (table, why) by key. Nobody waits for
    these, and what waited for them already goes on waiting."""

    readable: tuple[Trigger, ...]
    unreadable: Mapping[str, tuple[str, str]]


def triggers(connection: Connection) -> Triggers:
    """What is stored of them. One that cannot be read holds up no other, nor any write to an item."""
    readable: list[Trigger] = []
    unreadable: dict[str, tuple[str, str]] = {}
    for row in _READ_TRIGGERS.all(connection, {}):
        if row.key == RECOUNT_KEY:
            continue
        try:
            rule = TimeRule.from_json(row.rule)
        except BadValue as error:
            unreadable[row.key] = (row.entry, str(error))
            continue
        if rule.on is not On.SCHEDULE:
            readable.append(
                Trigger(row.key, row.entry, row.kind, rule, row.since, row.walked_to, row.picks, row.picked_at)
            )
    return Triggers(tuple(readable), unreadable)


def recount(connection: Connection, now: datetime) -> None:
    """Have every item's service levels worked out anew, in batches: a policy or a calendar changed."""
    values = {"entry": "", "kind": "any", "rule": TimeRule(On.SLA).to_json(), "since": now, "walked_to": 0}
    statement = upsert(connection, _TRIGGERS).values(key=RECOUNT_KEY, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


def calendars(connection: Connection) -> dict[str, Calendar]:
    """The desk's business calendars, by key, but for those that cannot be read."""
    return read_calendars(connection)[0]


def read_calendars(connection: Connection) -> tuple[dict[str, Calendar], dict[str, str]]:
    """The desk's business calendars, and why others cannot be read: their zone is gone with an update, say."""
    found: dict[str, Calendar] = {}
    unreadable: dict[str, str] = {}
    rows = connection.execute(select(BusinessCalendar.key, BusinessCalendar.body).order_by(BusinessCalendar.key))
    for row in rows:
        try:
            found[row.key] = Calendar.from_json(row.body)
        except BadValue as error:
            unreadable[row.key] = str(error)
    return found, unreadable


def zone_of(connection: Connection, brand: JSON, usual: str = "UTC") -> str:
    """The zone that dates of this brand's items are meant in; the `usual` one where there is no brand."""
    if brand is None:
        return usual
    found: str | None = _READ_ZONE.scalar(connection, {"brand": brand})
    return found or usual


def keep(connection: Connection, item_id: int, item: Watched, now: datetime) -> None:
    """Bring the item's timers in line with what it is now. An episode that fired, or is none of its rule's, stays so.

    One that is due already (a date in the past was set) is due now: late, but once. But where the walk of a trigger
    passed items by, one whose time came meanwhile is over: nothing could have been done when it came."""
    [there] = _THERE.all(connection, {"item": item_id})
    if there.levels:
        item = replace(item, clocks=levels.keep_clocks(connection, item_id, item, now))
    known = triggers(connection) if there.triggers else Triggers((), {})
    live = [one for one in known.readable if one.covers(item.kind)]
    stored = {row.key: row for row in _READ_TIMERS.all(connection, {"item": item_id})} if there.timers else {}
    sleeps = item.state.get("status") == SNOOZED and item.state.get(UNTIL) is not None
    if not live and not stored and not sleeps:
        return
    named = any(one.rule.calendar for one in live)
    by_key, without_hours = read_calendars(connection) if named else ({}, {})
    # What cannot be read now may be mended: its timers stay, with the episodes that they fired for.
    held = {*known.unreadable, *(one.key for one in live if one.rule.calendar in without_hours)}
    want: dict[str, Wanted] = {}
    for one in live:
        found = wanted(one.rule, item, by_key)
        if found is not None:
            want[one.key] = found
    if sleeps:
        until = from_iso(str(item.state[UNTIL]))
        want[SNOOZE_KEY] = Wanted(f"snoozed until {iso(until)}", until)
        live.append(Trigger(SNOOZE_KEY, "", item.kind, TimeRule(On.DATE, field=UNTIL), now))
    # An episode that is settled stays so while its clock is paused or its item finished: they go on where they were.
    goes_on = {one.key for one in live if one.rule.on is not On.DATE or moment(one.rule.field, item) is not None}
    held |= {key for key, row in stored.items() if row.due_at is None and key in goes_on}
    gone = [key for key in stored if key not in want and key not in held]
    if gone:
        connection.execute(_DROP_TIMERS, {"item": item_id, "gone": gone})
    for one in live:
        if one.key not in want:
            continue
        episode, due_at = want[one.key].episode, want[one.key].due_at
        old = stored.get(one.key)
        if old is not None and old.episode == episode and (old.due_at is None or old.due_at == due_at):
            continue
        is_new = old is None or old.due_at is None
        unwalked = is_new and one.walked_to is not None and one.walked_to < item_id
        before = unwalked and due_at <= one.counts_from
        passed = is_new and bool(one.picks) and due_at < now
        values = {
            "episode": episode,
            "due_at": None if before or passed else max(due_at, now),
            "outcome": BEFORE if before else PASSED if passed else WAITING,
        }
        statement = upsert(connection, _TIMERS).values(item_id=item_id, key=one.key, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["item_id", "key"], set_=values))


def current_episode(connection: Connection, key: str, item_id: int, item: Watched) -> str:
    """The episode that this trigger's timer stands for now, "" when the item waits for nothing of it any more."""
    for one in triggers(connection).readable:
        if one.key == key:
            if one.rule.on is On.SLA:
                item = replace(item, clocks=levels.own_clocks(connection, item_id))
            found = wanted(one.rule, item, calendars(connection) if one.rule.calendar else {})
            return found.episode if found is not None else ""
    return ""


@dataclass(frozen=True, slots=True)
class NewEvent:
    item_id: int
    payload: Mapping[str, JSON]


def append(connection: Connection, events: Sequence[NewEvent], kind: EventKind, actor: Actor, now: datetime) -> int:
    """One event each for these items, at most one per item, at the end of their lanes. Returns how many.

    The caller holds the items' locks. Nothing of the item changes: neither its version nor when it was updated."""
    by_item = {one.item_id: one for one in sorted(events, key=lambda one: one.item_id)}
    if not by_item:
        return 0
    seqs: dict[int, int] = {row.id: row.last_seq for row in connection.execute(_COUNT_UP, {"items": list(by_item)})}
    connection.execute(
        _INSERT_EVENTS,
        [
            {
                "item_id": item_id,
                "seq": seqs[item_id],
                "kind": kind,
                "at": now,
                "actor_kind": actor.kind,
                "actor_ref": actor.ref,
                "actor_name": actor.name,
                "root_id": None,
                "depth": 0,
                "changes": [],
                "message_id": None,
                "payload": dict(one.payload),
                "status": "pending",
                "tries": 0,
                "error": "",
            }
            for item_id, one in by_item.items()
            if item_id in seqs
        ],
    )
    connection.execute(_WAKE, {"items": list(seqs), "now": now})
    return len(seqs)


# Statements, built once --------------------------------------------------------------------------------------------

_READ_TRIGGERS = Prepared(
    select(
        *(_TRIGGERS.c[name] for name in ("key", "entry", "kind", "rule", "since", "walked_to", "picks", "picked_at"))
    ).order_by(_TRIGGERS.c.key)
)
_READ_TIMERS = Prepared(
    select(_TIMERS.c.key, _TIMERS.c.episode, _TIMERS.c.due_at).where(_TIMERS.c.item_id == bindparam("item"))
)
_READ_ZONE = Prepared(select(table_of(Brand).c.zone).where(table_of(Brand).c.key == bindparam("brand")))
_POLICIES, _CLOCKS = table_of(SlaPolicy), table_of(SlaClockRow)
#: What there is to keep at all, in one look: most writes of most desks end here.
_THERE = Prepared(
    select(
        or_(
            exists().where(_POLICIES.c.enabled),
            exists().where(_CLOCKS.c.item_id == bindparam("item")),
        ).label("levels"),
        exists(select(_TRIGGERS.c.key)).label("triggers"),
        exists().where(_TIMERS.c.item_id == bindparam("item")).label("timers"),
    )
)
_DROP_TIMERS = delete(_TIMERS).where(
    _TIMERS.c.item_id == bindparam("item"), _TIMERS.c.key.in_(bindparam("gone", expanding=True))
)
_COUNT_UP = (
    update(_ITEMS)
    .where(_ITEMS.c.id.in_(bindparam("items", expanding=True)))
    .values(last_seq=_ITEMS.c.last_seq + 1)
    .returning(_ITEMS.c.id, _ITEMS.c.last_seq)
)
_INSERT_EVENTS: Any = insert(_EVENTS)
_WAKE = (
    update(_LANES)
    .where(_LANES.c.item_id.in_(bindparam("items", expanding=True)))
    .values(
        last_seq=_LANES.c.last_seq + 1,
        due_at=case((_LANES.c.due_at < bindparam("now"), _LANES.c.due_at), else_=bindparam("now", type_=UtcDateTime)),
    )
)
