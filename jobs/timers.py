"""Trip (d), a timer: what is due becomes an event in its item's lane and takes trip (a). Nothing is decided here.

Timers are stored by the writes that begin their episodes (`tickets.clocks`). What is left for the clock: learn the time
triggers of a new revision, give the items that were there before their timers, in batches and from where it stopped,
and turn due timers and ticks of schedules into events, oldest first. Several clocks may do this at once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, bindparam, delete, func, insert, or_, select, true, update

from jobs.live import Desk
from jobs.queues import Work
from jobs.selecting import acting
from jobs.services import Services
from jobs.sqlwords import words
from jobs.telling import tell_of_timer
from rules import store as rule_list
from rules.store import EntryRow, VersionRow
from rules.triggers import TRIGGERS
from tickets import clocks, levels, store
from tickets.calendar import Calendar
from tickets.clocks import BEFORE, FIRED, WAITING, NewEvent, Trigger
from tickets.db import AWAY, table_of, upsert
from tickets.errors import BadValue
from tickets.events import CLOCK, Cause, EventKind
from tickets.item import CUSTOM, FINISHED, STATE_FIELDS
from tickets.schedule import next_tick
from tickets.sla import SlaClock, Target
from tickets.snooze import asleep, wake
from tickets.stamps import Stamps
from tickets.store import AnyRow
from tickets.tables import ClockState, SlaClockRow, Timer, TimeTrigger, WorkItem
from tickets.timers import MOMENTS, On, TimeRule, Watched, begins, timer_key, wanted
from tickets.values import JSON, iso

log = logging.getLogger(__name__)

#: Items that one transaction turns due timers, or a tick, into events of; and items given a timer by one.
FIRE, WALK = 200, 2_000
#: `walked_to` of a trigger that has not looked yet for what is due soon; how soon, and at how many of it at once.
SOON_FIRST, SOON, SOON_ITEMS = -1, timedelta(minutes=15), 20_000
#: Items, by their numbers, that one transaction looks through at most for those that a table may act on.
STRETCH = 100_000
ONE_DAY = timedelta(days=1)
#: Seconds until a snooze or a schedule that failed is tried again.
BROKEN_S = 3_600

_ITEMS, _TIMERS, _TRIGGERS = table_of(WorkItem), table_of(Timer), table_of(TimeTrigger)
_LEVELS = table_of(SlaClockRow)


def tick(services: Services, *, budget_s: float) -> int:
    """One look: learn what is new, fire what is due, and give timers to items, for about `budget_s` seconds.

    What is due comes before new timers, batch by batch. Returns the events written. One of these steps that fails keeps
    no other from being done; afterwards its error is raised."""
    end = time.monotonic() + budget_s
    failed: dict[Callable[[Services], int], Exception] = {}

    def apart(step: Callable[[Services], int]) -> int:
        if step in failed:
            return 0
        try:
            return step(services)
        except AWAY:
            raise
        except Exception as error:
            failed[step] = error
            return 0

    apart(sync)
    fired = 0
    while True:
        done = apart(fire) + apart(fire_schedules)
        walked = apart(walk)
        fired += done
        if (not done and not walked) or time.monotonic() >= end:
            break
    if fired:
        services.queues.hint(Work.DRAIN)
    for error in failed.values():
        raise error
    return fired


# Learning the triggers of a revision ---------------------------------------------------------------------------------


def sync(services: Services) -> bool:
    """Make the stored time triggers those of the live revision. True when they had to be changed."""
    with services.db.read() as connection:
        if _synced(connection) == rule_list.revision(connection) and not _to_mend(services, connection):
            return False
    with services.db.write() as connection:
        # One clock learns at a time; another one that waited here finds it done.
        state = connection.execute(
            select(ClockState.revision, ClockState.synced_at).where(ClockState.id == 1).with_for_update()
        ).one_or_none()
        desk = services.live.current(connection)
        if state is not None and state.revision == desk.revision and not _to_mend(services, connection):
            return False
        now = services.clock.now()
        _learn(connection, desk, state.synced_at if state is not None else None, now)
        values = {"revision": desk.revision, "synced_at": now}
        statement = upsert(connection, ClockState).values(id=1, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    return True


def _synced(connection: Connection) -> int:
    return connection.execute(select(ClockState.revision).where(ClockState.id == 1)).scalar_one_or_none() or 0


def _to_mend(services: Services, connection: Connection) -> bool:
    """Whether a stored trigger cannot be read and its table can."""
    unreadable = clocks.triggers(connection).unreadable
    return bool(unreadable) and any(
        code not in services.live.current(connection).broken for code, _ in unreadable.values()
    )


def _learn(connection: Connection, desk: Desk, synced_at: datetime | None, now: datetime) -> None:
    columns = select(_TRIGGERS.c.key, _TRIGGERS.c.entry, _TRIGGERS.c.kind, _TRIGGERS.c.picks)
    known = connection.execute(columns.where(_TRIGGERS.c.key != clocks.RECOUNT_KEY)).all()
    stored: dict[str, tuple[str, str]] = {row.key: (row.kind, row.picks) for row in known}
    live = {timer_key(code, rule): (code, kind, rule) for code, kind, rule in _time_rules(desk)}
    # What a table waited for that cannot be read any more is set aside with it, until it is mended or switched off.
    aside = _switched_on(connection, desk.broken)
    gone = sorted(stored.keys() - live.keys() - {row.key for row in known if row.entry in aside})
    if gone:
        # Their timers go with the next write to their item, or when they come due.
        connection.execute(delete(_TRIGGERS).where(_TRIGGERS.c.key.in_(gone)))
    for key in sorted(clocks.triggers(connection).unreadable.keys() & live.keys()):
        rule = live[key][2]
        connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == key).values(rule=rule.to_json()))
        log.warning("timers.mended", extra={"entry": live[key][0], "trigger": rule.on.value})
    published = _published(connection)

    def live_since(code: str) -> datetime:
        # A version published since we last looked counts from then; a table switched on again from now.
        at = published.get(code)
        return at if at is not None and (synced_at is None or at >= synced_at) else now

    for key in sorted(live):
        code, kind, rule = live[key]
        picks = _picks(connection, desk, code, rule)
        since, scheduled = live_since(code), rule.on is On.SCHEDULE
        if key in stored:
            was_kind, was_picks = stored[key]
            # What its table looks at has changed: those that the walk passed by may have to be given their timers.
            if kind != was_kind or (was_picks and picks.name != was_picks):
                values = {"kind": kind, "picks": picks.name, "picked_at": since}
                values["walked_to"] = None if scheduled else SOON_FIRST
                connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == key).values(**values))
            continue
        connection.execute(
            insert(_TRIGGERS).values(
                key=key,
                entry=code,
                kind=kind,
                rule=rule.to_json(),
                since=since,
                walked_to=None if scheduled else SOON_FIRST,
                next_at=next_tick(rule.schedule, rule.zone, since) if scheduled else None,
                picks=picks.name,
            )
        )
        log.info("timers.trigger", extra={"entry": code, "trigger": rule.on.value})


@dataclass(frozen=True, slots=True)
class _Picks:
    """Which items a walk gives timers to, as SQL, and the name of that for comparing; "" for all of them."""

    name: str
    test: ColumnElement[bool]


_ALL_ITEMS = _Picks("", true())


def _picks(connection: Connection, desk: Desk, code: str, rule: TimeRule) -> _Picks:
    """The items on which the table could do anything as they are. Every write to one of the others gives it its timer.

    Only where an episode begins with a moment that the desk sets itself: a date may be set into the past, and a timer
    that is missing then could be one that was passed by long ago, or one that has to fire late."""
    moments = rule.on in (On.STATE, On.REPLY) or (rule.on is On.DATE and rule.field in MOMENTS)
    if not moments or rule.offset_s < 0:
        return _ALL_ITEMS
    found = acting(desk.ruleset, code, connection.dialect.name)
    if not found.narrows:
        return _ALL_ITEMS
    said = found.may.compile(dialect=connection.dialect)
    text = f"{said} {sorted(said.params.items())}"
    return _Picks(hashlib.sha256(text.encode()).hexdigest(), found.may)


def _time_rules(desk: Desk) -> Iterator[tuple[str, str, TimeRule]]:
    for entry in desk.ruleset.entries:
        if entry.table is None or not entry.enabled:
            continue
        for trigger in entry.table.triggers:
            timed = TRIGGERS[trigger.on].timed
            if timed is not None:
                yield entry.code, entry.table.kind, timed(trigger.params)


def _switched_on(connection: Connection, codes: Collection[str]) -> set[str]:
    """Those of these entries that are not switched off."""
    if not codes:
        return set()
    return set(connection.execute(select(EntryRow.code).where(EntryRow.code.in_(codes), EntryRow.enabled)).scalars())


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
        unreadable = sorted(clocks.triggers(connection).unreadable)
        to_walk = _TO_WALK.where(_TRIGGERS.c.key.not_in(unreadable)).limit(1)
        if unreadable and connection.execute(to_walk).first() is None:
            return 0
    with services.db.write() as connection:
        row = connection.execute(to_walk.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return 0
        if row.key == clocks.RECOUNT_KEY:
            return _recount(connection, row.walked_to, services.clock.now())
        rule = TimeRule.from_json(row.rule)
        picks = _picks(connection, services.live.current(connection), row.entry, rule)
        # Newer than what the trigger was learnt for, or from an older program: then nothing is passed by.
        test = picks.test if picks.name == row.picks else true()
        since = row.since if row.picked_at is None else max(row.since, row.picked_at)
        by_key = clocks.calendars(connection) if rule.calendar else {}
        last: int | None
        if row.walked_to == SOON_FIRST:
            query, last = _soon(connection, rule, row.kind, since, by_key), 0
        else:
            last = _stretch(connection, row.walked_to)
            query = _next_items(rule, row.kind, row.walked_to, items)
            if last is not None:
                query = query.where(_ITEMS.c.id <= last)
        found = connection.execute(query.where(test)).all() if query is not None else []
        running = levels.clocks_of(connection, [one.id for one in found]) if rule.on is On.SLA else {}
        lines = [_line(one, row.key, rule, since, by_key, running.get(one.id, {})) for one in found]
        kept = [one for one in lines if one is not None]
        if kept:
            connection.execute(upsert(connection, _TIMERS).on_conflict_do_nothing(), kept)
        walked_to = found[-1].id if row.walked_to != SOON_FIRST and len(found) == items else last
        connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == row.key).values(walked_to=walked_to))
    return len(found) or 1


def _stretch(connection: Connection, after: int) -> int | None:
    """The number up to which one transaction looks for items, None when there are none behind it: a table that takes
    hardly any item must not have it look through all of them."""
    last = after + STRETCH
    return last if connection.execute(select(_ITEMS.c.id).where(_ITEMS.c.id > last).limit(1)).first() else None


def _recount(connection: Connection, after: int, now: datetime) -> int:
    """Work out the service levels, and so the timers, of the next items anew."""
    query = select(_ITEMS.c.id).where(_ITEMS.c.id > after).order_by(_ITEMS.c.id).limit(FIRE)
    ids = list(connection.execute(query.with_for_update()).scalars())
    for item_id in ids:
        clocks.keep(connection, item_id, store.watched(store.read_item(connection, item_id)), now)
    one = _TRIGGERS.c.key == clocks.RECOUNT_KEY
    if len(ids) == FIRE:
        connection.execute(update(_TRIGGERS).where(one).values(walked_to=ids[-1]))
    else:
        connection.execute(delete(_TRIGGERS).where(one))
    return len(ids) or 1


_TO_WALK = (
    select(
        *(_TRIGGERS.c[name] for name in ("key", "entry", "kind", "rule", "since", "walked_to", "picks", "picked_at"))
    )
    .where(_TRIGGERS.c.walked_to.is_not(None))
    .order_by(_TRIGGERS.c.since, _TRIGGERS.c.key)
)


def _next_items(rule: TimeRule, kind: str, after: int, items: int) -> Any:
    """The items that may wait for this rule, with what their timer depends on and no more."""
    columns = [_ITEMS.c[name] for name in ("id", "kind", "status", "created_at", "modified_at", "status_since")]
    columns += [_ITEMS.c.unanswered_since, _ITEMS.c.replied_at]
    where: list[ColumnElement[bool]] = [_ITEMS.c.id > after]
    if kind != "any":
        where.append(_ITEMS.c.kind == kind)
    if rule.on is On.STATE:
        if rule.statuses:
            where.append(_ITEMS.c.status.in_(rule.statuses))
    elif rule.on is On.SLA:
        where.append(_ITEMS.c.id.in_(_levels_of(rule)))
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


def _levels_of(rule: TimeRule) -> Any:
    """The items whose clock of this target still runs or is over, unmet."""
    return select(_LEVELS.c.item_id).where(_LEVELS.c.target == rule.target, _LEVELS.c.met_at.is_(None))


def _soon(connection: Connection, rule: TimeRule, kind: str, since: datetime, by_key: Mapping[str, Calendar]) -> Any:
    """The items that come due while the walk over all of them goes on: they are first. None where nothing does.

    A look at one column of every item, once per trigger that goes live: on a million of them a second or so."""
    columns = {"last_modified": "modified_at", **{name: name for name in ("created_at", "status_since")}}
    name = {
        On.STATE: "status_since",
        On.REPLY: "replied_at" if rule.by == "customer" else "unanswered_since",
        On.DATE: columns.get(rule.field, rule.field),
    }.get(rule.on, "")
    query = _next_items(rule, kind, 0, SOON_ITEMS)
    if rule.on is On.SLA:
        at = _LEVELS.c.near_at if rule.by == "near" else _LEVELS.c.due_at
        return query.where(_ITEMS.c.id.in_(_levels_of(rule).where(at.between(since, since + SOON))))
    window = begins(rule, since, since + SOON, by_key)
    if not name or window is None:
        return None
    if rule.on is not On.DATE or rule.field in MOMENTS:
        return query.where(_ITEMS.c[name].between(*window))
    custom = name.startswith(CUSTOM)
    own = words(connection.dialect.name)
    text = own.text(_ITEMS.c.fields, (name.removeprefix(CUSTOM),)) if custom else _ITEMS.c[name]
    # Dates stand there as they were written, in any zone: their day is at most one off.
    first, last = ((at + off).date().isoformat() for at, off in zip(window, (-ONE_DAY, ONE_DAY), strict=True))
    return query.where(func.substr(text, 1, len(first), type_=Text).between(first, last))


def _line(
    row: AnyRow,
    key: str,
    rule: TimeRule,
    since: datetime,
    by_key: Mapping[str, Calendar],
    running: Mapping[Target, SlaClock],
) -> dict[str, Any] | None:
    state: dict[str, JSON] = {"status": row.status}
    if rule.field and rule.field not in MOMENTS:
        custom = rule.field.startswith(CUSTOM)
        state[rule.field] = row.fields.get(rule.field.removeprefix(CUSTOM)) if custom else row._mapping[rule.field]
    stamps = Stamps(row.status_since, row.modified_at, row.unanswered_since, row.replied_at)
    found = wanted(rule, Watched(row.kind, state, row.created_at, stamps, running), by_key)
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
        known = clocks.triggers(connection)
        live = {one.key: one for one in known.readable}
        desk = services.live.current(connection)
        events: dict[int, NewEvent] = {}
        for row in connection.execute(_DUE_OF, {"now": now, "items": sorted(locked)}).all():
            trigger = live.get(row.key)
            if row.key == clocks.SNOOZE_KEY:
                _wake_or_later(connection, row.item_id, now)
            elif row.key in known.unreadable:
                code, why = known.unreadable[row.key]
                _set_aside(connection, desk, row, code, why, now)
            elif trigger is not None and trigger.entry in desk.broken:
                _set_aside(connection, desk, row, trigger.entry, desk.broken[trigger.entry], now)
            elif trigger is None:
                connection.execute(_FORGET, {"item": row.item_id, "timer": row.key})
            elif row.due_at < trigger.since:
                connection.execute(_SETTLE, {"item": row.item_id, "timer": row.key, "became": BEFORE})
            elif row.item_id not in events:
                events[row.item_id] = NewEvent(row.item_id, _payload(trigger, row.episode, row.due_at, now))
                connection.execute(_SETTLE, {"item": row.item_id, "timer": row.key, "became": FIRED})
        clocks.append(connection, list(events.values()), EventKind.TIMER, CLOCK, now)
    return len(due) if locked else 0


def _set_aside(connection: Connection, desk: Desk, row: AnyRow, code: str, why: str, now: datetime) -> None:
    """A time whose table cannot be read comes later, when it can; those who can mend it are told once."""
    log.error("timer.set_aside", extra={"entry": code, "item": row.item_id, "again_in_s": BROKEN_S})
    later = now + timedelta(seconds=BROKEN_S)
    connection.execute(_PUT_OFF, {"item": row.item_id, "timer": row.key, "later": later})
    tell_of_timer(connection, row.item_id, code, why, desk.revision, now)


def _wake_or_later(connection: Connection, item_id: int, now: datetime) -> None:
    """One item that cannot be brought back must not hold up the times of all others: it is tried again later."""
    try:
        with connection.begin_nested():
            _wake(connection, item_id, now)
    except AWAY:
        raise
    except Exception as error:
        log.error("timer.broken", exc_info=error, extra={"item": item_id, "again_in_s": BROKEN_S})
        later = now + timedelta(seconds=BROKEN_S)
        connection.execute(_PUT_OFF, {"item": item_id, "timer": clocks.SNOOZE_KEY, "later": later})


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
_PUT_OFF = update(_TIMERS).where(_ONE).values(due_at=bindparam("later"))
_SETTLE = update(_TIMERS).where(_ONE).values(due_at=None, outcome=bindparam("became"))


# Schedules -----------------------------------------------------------------------------------------------------------


def fire_schedules(services: Services, *, items: int = FIRE) -> int:
    """Write the next events of schedules whose tick has come: one for every open item they may act on, in batches.

    After downtime a schedule ticks once, not once for each tick that was missed. Returns how many events. One that
    cannot tick is put off, so that it holds up no other, and its error is raised."""
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
        try:
            with connection.begin_nested():
                return _ticked(services, connection, row, now, items)
        except AWAY:
            raise
        except Exception as error:
            broken = error
            one = update(_TRIGGERS).where(_TRIGGERS.c.key == row.key, _TRIGGERS.c.next_at <= now)
            connection.execute(one.values(next_at=now + timedelta(seconds=BROKEN_S)))
            # A schedule is of no single item: those who can mend it are told at the newest one.
            newest = connection.execute(select(_ITEMS.c.id).order_by(_ITEMS.c.id.desc()).limit(1)).scalar_one_or_none()
            if newest is not None:
                revision = services.live.current(connection).revision
                tell_of_timer(connection, newest, row.entry, str(broken), revision, now)
    raise broken


def _ticked(services: Services, connection: Connection, row: AnyRow, now: datetime, items: int) -> int:
    """The next events of this schedule's tick. Returns how many."""
    why = services.live.current(connection).broken.get(row.entry)
    if why is not None:
        raise BadValue(why)
    rule = TimeRule.from_json(row.rule)
    tick_at, tick_to = (row.tick_at, row.tick_to) if row.tick_to is not None else (row.next_at, 0)
    where = [_ITEMS.c.id > tick_to, or_(_ITEMS.c.status.is_(None), _ITEMS.c.status.not_in(sorted(FINISHED)))]
    if row.kind != "any":
        where.append(_ITEMS.c.kind == row.kind)
    # An item on which the table could but do nothing is passed by; what it does on the others, the engine says.
    ruleset = services.live.current(connection).ruleset
    where.append(acting(ruleset, row.entry, connection.dialect.name, now).may)
    last = _stretch(connection, tick_to)
    if last is not None:
        where.append(_ITEMS.c.id <= last)
    # Items in the order everybody locks them in; one that somebody writes to is waited for: a tick comes once.
    found = list(
        connection.execute(
            select(_ITEMS.c.id).where(*where).order_by(_ITEMS.c.id).limit(items).with_for_update()
        ).scalars()
    )
    trigger = Trigger(row.key, row.entry, row.kind, rule, row.since)
    payload = _payload(trigger, f"tick {iso(tick_at)}", tick_at, now)
    clocks.append(connection, [NewEvent(one, payload) for one in found], EventKind.TIMER, CLOCK, now)
    values = {
        "tick_at": tick_at,
        "tick_to": found[-1] if len(found) == items else last,
        "next_at": row.next_at if row.next_at > now else next_tick(rule.schedule, rule.zone, now),
    }
    connection.execute(update(_TRIGGERS).where(_TRIGGERS.c.key == row.key).values(**values))
    return len(found) or 1
