"""Trip (d), a timer: what is due becomes an event in its item's lane and takes trip (a). Nothing is decided here.

Timers are stored by the writes that begin their episodes (`tickets.clocks`). What is left for the clock: learn the time
triggers of a new revision, give the items that were there before their timers, in batches and from where it stopped,
and turn due timers and ticks of schedules into events, oldest first. Several clocks may do this at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, or_, select, update

from jobs.live import Desk
from jobs.queues import Work
from jobs.selecting import acting
from jobs.services import Services
from rules import store as rule_list
from rules.store import VersionRow
from rules.triggers import TRIGGERS
from tickets import clocks, store
from tickets.calendar import Calendar
from tickets.clocks import BEFORE, FIRED, WAITING, NewEvent, Trigger
from tickets.db import table_of, upsert
from tickets.events import CLOCK, Cause, EventKind
from tickets.item import CUSTOM, FINISHED, STATE_FIELDS
from tickets.schedule import next_tick
from tickets.snooze import asleep, wake
from tickets.stamps import Stamps
from tickets.store import AnyRow
from tickets.tables import Brand, ClockState, Timer, TimeTrigger, WorkItem
from tickets.timers import MOMENTS, On, TimeRule, Watched, timer_key, wanted
from tickets.values import JSON, iso

log = logging.getLogger(__name__)

#: Items that one transaction turns due timers, or a tick, into events of; and items given a timer by one.
FIRE, WALK = 200, 2_000
#: `walked_to` of a trigger that has not looked yet for what is due soon; how soon, and at how many of it at once.
SOON_FIRST, SOON, SOON_ITEMS = -1, timedelta(minutes=15), 20_000

_ITEMS, _TIMERS, _TRIGGERS = table_of(WorkItem), table_of(Timer), table_of(TimeTrigger)


def tick(services: Services, *, budget_s: float) -> int:
    """One look: learn what is new, fire what is due, and give timers to items, for about `budget_s` seconds.

    What is due comes before new timers, batch by batch. Returns the events written."""
    end = time.monotonic() + budget_s
    sync(services)
    fired = 0
    while True:
        done = fire(services) + fire_schedules(services)
        walked = walk(services)
        fired += done
        if (not done and not walked) or time.monotonic() >= end:
            break
    if fired:
        services.queues.hint(Work.DRAIN)
    return fired


# Learning the triggers of a revision ---------------------------------------------------------------------------------


def sync(services: Services) -> bool:
    """Make the stored time triggers those of the live revision. True when they had to be changed."""
    with services.db.read() as connection:
        if _synced(connection) == rule_list.revision(connection):
            return False
    with services.db.write() as connection:
        # One clock learns at a time; another one that waited here finds it done.
        state = connection.execute(
            select(ClockState.revision, ClockState.synced_at).where(ClockState.id == 1).with_for_update()
        ).one_or_none()
        desk = services.live.current(connection)
        if state is not None and state.revision == desk.revision:
            return False
        now = services.clock.now()
        _learn(connection, desk, state.synced_at if state is not None else None, now)
        values = {"revision": desk.revision, "synced_at": now}
        statement = upsert(connection, ClockState).values(id=1, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    return True


def _synced(connection: Connection) -> int:
    return connection.execute(select(ClockState.revision).where(ClockState.id == 1)).scalar_one_or_none() or 0


def _learn(connection: Connection, desk: Desk, synced_at: datetime | None, now: datetime) -> None:
    stored = set(connection.execute(select(_TRIGGERS.c.key)).scalars()) - {clocks.RECOUNT_KEY}
    live = {timer_key(code, rule): (code, kind, rule) for code, kind, rule in _time_rules(desk)}
    gone = sorted(stored - live.keys())
    if gone:
        # Their timers go with the next write to their item, or when they come due.
        connection.execute(delete(_TRIGGERS).where(_TRIGGERS.c.key.in_(gone)))
    published = _published(connection)
    for key in sorted(live.keys() - stored):
        code, kind, rule = live[key]
        # A version published since we last looked counts from then; a table switched on again from now.
        at = published.get(code)
        since = at if at is not None and (synced_at is None or at >= synced_at) else now
        scheduled = rule.on is On.SCHEDULE
        connection.execute(
            insert(_TRIGGERS).values(
                key=key,
                entry=code,
                kind=kind,
                rule=rule.to_json(),
                since=since,
                walked_to=None if scheduled else SOON_FIRST,
                next_at=next_tick(rule.schedule, rule.zone, since) if scheduled else None,
            )
        )
        log.info("timers.trigger", extra={"entry": code, "trigger": rule.on.value})


def _time_rules(desk: Desk) -> Iterator[tuple[str, str, TimeRule]]:
    for entry in desk.ruleset.entries:
        if entry.table is None or not entry.enabled:
            continue
        for trigger in entry.table.triggers:
            timed = TRIGGERS[trigger.on].timed
            if timed is not None:
                yield entry.code, entry.table.kind, timed(trigger.params)


def _published(connection: Connection) -> dict[str, datetime]:
    newest = select(VersionRow.code, func.max(VersionRow.published_at).label("at")).group_by(VersionRow.code)
    return {row.code: row.at for row in connection.execute(newest)}


# Giving timers to items that were there ------------------------------------------------------------------------------


def walk(services: Services, *, items: int = WALK) -> int:
    """Give the next items, in order of their number, the timers of triggers that went live. Returns how many items.

    An episode that was due before its trigger went live is entered as such and never fires."""
    with services.db.read() as connection:
        if connection.execute(_TO_WALK.limit(1)).first() is None:
            return 0
    with services.db.write() as connection:
        row = connection.execute(_TO_WALK.limit(1).with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return 0
        if row.key == clocks.RECOUNT_KEY:
            return _recount(connection, row.walked_to, services.clock.now())
        rule = TimeRule.from_json(row.rule)
        first = row.walked_to == SOON_FIRST
        query = _soon(rule, row.kind, row.since) if first else _next_items(rule, row.kind, row.walked_to, items)
        found = connection.execute(query).all() if query is not None else []
        by_key = clocks.calendars(connection) if rule.calendar else {}
        zones: Mapping[str | None, str] = {
            one.key: one.zone for one in connection.execute(select(Brand.key, Brand.zone))
        }
        lines = [_line(one, row.key, rule, row.since, by_key, zones) for one in found]
        kept = [one for one in lines if one is not None]
        if kept:
            connection.execute(upsert(connection, _TIMERS).on_conflict_do_nothing(), kept)
        walked_to = 0 if first else found[-1].id if len(found) == items else None
        connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == row.key).values(walked_to=walked_to))
    return len(found) or int(first)


def _recount(connection: Connection, after: int, now: datetime) -> int:
    """Work out the service levels, and so the timers, of the next items anew."""
    query = select(_ITEMS.c.id).where(_ITEMS.c.id > after).order_by(_ITEMS.c.id).limit(FIRE)
    ids = list(connection.execute(query.with_for_update()).scalars())
    for item_id in ids:
        clocks.keep(connection, item_id, store.watched(connection, store.read_item(connection, item_id)), now)
    one = _TRIGGERS.c.key == clocks.RECOUNT_KEY
    if len(ids) == FIRE:
        connection.execute(update(_TRIGGERS).where(one).values(walked_to=ids[-1]))
    else:
        connection.execute(delete(_TRIGGERS).where(one))
    return len(ids) or 1


_TO_WALK = (
    select(_TRIGGERS.c.key, _TRIGGERS.c.kind, _TRIGGERS.c.rule, _TRIGGERS.c.since, _TRIGGERS.c.walked_to)
    .where(_TRIGGERS.c.walked_to.is_not(None))
    .order_by(_TRIGGERS.c.since, _TRIGGERS.c.key)
)


def _next_items(rule: TimeRule, kind: str, after: int, items: int) -> Any:
    """The items that may wait for this rule, with what their timer depends on and no more."""
    columns = [
        _ITEMS.c[name] for name in ("id", "kind", "status", "brand", "created_at", "modified_at", "status_since")
    ]
    columns += [_ITEMS.c.unanswered_since, _ITEMS.c.replied_at]
    where: list[ColumnElement[bool]] = [_ITEMS.c.id > after]
    if kind != "any":
        where.append(_ITEMS.c.kind == kind)
    if rule.on is On.STATE:
        if rule.statuses:
            where.append(_ITEMS.c.status.in_(rule.statuses))
    else:
        where.append(or_(_ITEMS.c.status.is_(None), _ITEMS.c.status.not_in(sorted(FINISHED))))
    if rule.on is On.REPLY:
        where.append((_ITEMS.c.replied_at if rule.by == "customer" else _ITEMS.c.unanswered_since).is_not(None))
    if rule.on is On.DATE and rule.field not in MOMENTS:
        if rule.field in STATE_FIELDS:
            columns.append(_ITEMS.c[rule.field])
            where.append(_ITEMS.c[rule.field].is_not(None))
        else:
            columns.append(_ITEMS.c.fields)
    return select(*columns).where(*where).order_by(_ITEMS.c.id).limit(items)


def _soon(rule: TimeRule, kind: str, since: datetime) -> Any:
    """The items that come due while the walk over all of them goes on: they are first. None where SQL cannot tell.

    A look at one column of every item, once per trigger that goes live: on a million of them a second or so."""
    columns = {"last_modified": "modified_at", **{name: name for name in ("created_at", "status_since")}}
    name = {
        On.STATE: "status_since",
        On.REPLY: "replied_at" if rule.by == "customer" else "unanswered_since",
        On.DATE: columns.get(rule.field, ""),
    }.get(rule.on, "")
    if not name or rule.calendar:
        return None
    begin = since - timedelta(seconds=rule.offset_s)
    return _next_items(rule, kind, 0, SOON_ITEMS).where(_ITEMS.c[name].between(begin, begin + SOON))


def _line(
    row: AnyRow,
    key: str,
    rule: TimeRule,
    since: datetime,
    by_key: Mapping[str, Calendar],
    zones: Mapping[str | None, str],
) -> dict[str, Any] | None:
    state: dict[str, JSON] = {"status": row.status}
    if rule.field and rule.field not in MOMENTS:
        custom = rule.field.startswith(CUSTOM)
        state[rule.field] = row.fields.get(rule.field.removeprefix(CUSTOM)) if custom else row._mapping[rule.field]
    stamps = Stamps(row.status_since, row.modified_at, row.unanswered_since, row.replied_at)
    found = wanted(rule, Watched(row.kind, state, row.created_at, stamps, zones.get(row.brand, "UTC")), by_key)
    if found is None:
        return None
    before = found.due_at <= since
    return {
        "item_id": row.id,
        "key": key,
        "episode": found.episode,
        "due_at": None if before else found.due_at,
        "outcome": BEFORE if before else WAITING,
    }


# Firing --------------------------------------------------------------------------------------------------------------


def fire(services: Services, *, items: int = FIRE) -> int:
    """Turn the timers that are due into events, the oldest first, one per item at a time. Returns how many.

    Locks are taken items first, as everywhere; an item somebody is writing to is left for the next look."""
    now = services.clock.now()
    with services.db.read() as connection:
        if connection.execute(_DUE.limit(1), {"now": now}).first() is None:
            return 0
    with services.db.write() as connection:
        due = connection.execute(_DUE.limit(items), {"now": now}).all()
        ids = sorted({row.item_id for row in due})
        locked = set(connection.execute(_LOCK, {"items": ids}).scalars())
        live = {one.key: one for one in clocks.triggers(connection)}
        events: dict[int, NewEvent] = {}
        for row in connection.execute(_DUE_OF, {"now": now, "items": sorted(locked)}).all():
            trigger = live.get(row.key)
            if row.key == clocks.SNOOZE_KEY:
                _wake(connection, row.item_id, now)
            elif trigger is None:
                connection.execute(_FORGET, {"item": row.item_id, "timer": row.key})
            elif row.due_at < trigger.since:
                connection.execute(_SETTLE, {"item": row.item_id, "timer": row.key, "became": BEFORE})
            elif row.item_id not in events:
                events[row.item_id] = NewEvent(row.item_id, _payload(trigger, row.episode, row.due_at, now))
                connection.execute(_SETTLE, {"item": row.item_id, "timer": row.key, "became": FIRED})
        clocks.append(connection, list(events.values()), EventKind.TIMER, CLOCK, now)
    return len(due) if locked else 0


def _wake(connection: Connection, item_id: int, now: datetime) -> None:
    """Bring a snoozed item back: nothing is decided, what was put away comes out on time."""
    item = store.read_item(connection, item_id, lock=True)
    if not asleep(item.state):
        connection.execute(_FORGET, {"item": item_id, "timer": clocks.SNOOZE_KEY})
        return
    lines = [store.Lines(wake(item.state), Cause("system", label="Its snooze ended: the time came"))]
    store.change_item(connection, item, lines=lines, actor=CLOCK, now=now)


def _payload(trigger: Trigger, episode: str, due_at: datetime, now: datetime) -> dict[str, JSON]:
    return {
        "timer": trigger.key,
        "entry": trigger.entry,
        "trigger": trigger.rule.on.value,
        "rule": trigger.rule.digest,
        "episode": episode,
        "due_at": iso(due_at),
        "late_s": max(0, int((now - due_at).total_seconds())),
    }


_DUE = select(_TIMERS.c.item_id).where(_TIMERS.c.due_at <= bindparam("now")).order_by(_TIMERS.c.due_at)
_DUE_OF = (
    select(_TIMERS.c.item_id, _TIMERS.c.key, _TIMERS.c.episode, _TIMERS.c.due_at)
    .where(_TIMERS.c.due_at <= bindparam("now"), _TIMERS.c.item_id.in_(bindparam("items", expanding=True)))
    .order_by(_TIMERS.c.due_at, _TIMERS.c.item_id, _TIMERS.c.key)
)
_LOCK = (
    select(_ITEMS.c.id)
    .where(_ITEMS.c.id.in_(bindparam("items", expanding=True)))
    .order_by(_ITEMS.c.id)
    .with_for_update(skip_locked=True)
)
_ONE = (_TIMERS.c.item_id == bindparam("item")) & (_TIMERS.c.key == bindparam("timer"))
_FORGET = delete(_TIMERS).where(_ONE)
_SETTLE = update(_TIMERS).where(_ONE).values(due_at=None, outcome=bindparam("became"))


# Schedules -----------------------------------------------------------------------------------------------------------


def fire_schedules(services: Services, *, items: int = FIRE) -> int:
    """Write the next events of schedules whose tick has come: one for every open item they may act on, in batches.

    After downtime a schedule ticks once, not once for each tick that was missed. Returns how many events."""
    now = services.clock.now()
    begun = _TRIGGERS.c.tick_to.is_not(None)
    query = select(_TRIGGERS).where(or_(begun, _TRIGGERS.c.next_at <= now)).order_by(_TRIGGERS.c.next_at).limit(1)
    with services.db.read() as connection:
        if connection.execute(query).first() is None:
            return 0
    with services.db.write() as connection:
        row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return 0
        rule = TimeRule.from_json(row.rule)
        tick_at, tick_to = (row.tick_at, row.tick_to) if row.tick_to is not None else (row.next_at, 0)
        where = [_ITEMS.c.id > tick_to, or_(_ITEMS.c.status.is_(None), _ITEMS.c.status.not_in(sorted(FINISHED)))]
        if row.kind != "any":
            where.append(_ITEMS.c.kind == row.kind)
        # An item on which the table could but do nothing is passed by; what it does on the others, the engine says.
        ruleset = services.live.current(connection).ruleset
        where.append(acting(ruleset, row.entry, connection.dialect.name, now).may)
        # Items in the order everybody locks them in; one that somebody writes to is waited for: a tick comes once.
        found = list(
            connection.execute(
                select(_ITEMS.c.id).where(*where).order_by(_ITEMS.c.id).limit(items).with_for_update()
            ).scalars()
        )
        trigger = Trigger(row.key, row.entry, row.kind, rule, row.since)
        payload = _payload(trigger, f"tick {iso(tick_at)}", tick_at, now)
        clocks.append(connection, [NewEvent(one, payload) for one in found], EventKind.TIMER, CLOCK, now)
        more = len(found) == items
        values = {
            "tick_at": tick_at,
            "tick_to": found[-1] if more else None,
            "next_at": row.next_at if row.next_at > now else next_tick(rule.schedule, rule.zone, now),
        }
        connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == row.key).values(**values))
    return len(found) or 1
