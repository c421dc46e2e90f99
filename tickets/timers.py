"""Which moments an item's time rules wait for. Pure arithmetic: SQL is in `tickets.clocks`, firing in `jobs.timers`.

A timer is a reason to look again, no decision: when it is due, an event goes into the item's lane and the rule list
says what to do. Timers are derived from the item and the live rules, so what ends an episode (an answer, a new status)
takes its timer away without any rule saying so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from tickets.calendar import Calendar, add_working
from tickets.errors import BadValue
from tickets.item import FINISHED
from tickets.sla import SlaClock, Target
from tickets.stamps import Stamps
from tickets.values import JSON, from_iso, iso, record

#: Longest name of an episode, in characters.
EPISODE_CHARS = 120
#: How far back the begin of an episode is looked for: at first in seconds, and at last.
MIN_SPAN_S, MAX_SPAN = 3_600, timedelta(days=3_660)


class On(StrEnum):
    """What a time rule waits for."""

    STATE = "time_in_state"
    REPLY = "no_reply"
    DATE = "date"
    SLA = "sla"
    SCHEDULE = "schedule"


#: Moments of the item that are no fields of its state, by the name rules use.
MOMENTS = ("created_at", "last_modified", "status_since", "unanswered_since", "replied_at")


@dataclass(frozen=True, slots=True)
class TimeRule:
    """What one trigger of one table waits for.

    `offset_s` counts from the beginning of the episode, in seconds; below 0 for "before a date". In the working time of
    `calendar` when it names one. `statuses` empty: any. `by`: whose reply is missing. `target` is of
    service levels. `schedule` is a cron line in `zone`."""

    on: On
    statuses: tuple[str, ...] = ()
    by: str = ""
    field: str = ""
    offset_s: int = 0
    calendar: str = ""
    target: str = ""
    schedule: str = ""
    zone: str = ""

    def to_json(self) -> dict[str, JSON]:
        data: dict[str, JSON] = {"on": self.on.value}
        if self.statuses:
            data["statuses"] = list(self.statuses)
        for name in ("by", "field", "offset_s", "calendar", "target", "schedule", "zone"):
            if getattr(self, name):
                data[name] = getattr(self, name)
        return data

    @classmethod
    def from_json(cls, data: JSON) -> TimeRule:
        """Read what `to_json` wrote. Raises `BadValue` for anything else: it comes from a database."""
        try:
            known = {**cast("Mapping[str, JSON]", data)}
            on, statuses = On(str(known.pop("on"))), cast("list[str]", known.pop("statuses", []))
            for name, value in known.items():
                if type(value) is not (int if name == "offset_s" else str):
                    raise TypeError(f"{name} is of another type")
            for one in statuses:
                if type(one) is not str:
                    raise TypeError("a status is of another type")
            if on is On.SLA:
                Target(str(known.get("target")))
            found = cls(on, tuple(statuses), **cast("dict[str, str]", known))  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise BadValue(f"What it waits for cannot be read: {type(error).__name__}: {error}"[:200]) from None
        return found

    @property
    def digest(self) -> str:
        """A short name for what it waits for: two triggers that wait for the same have the same."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def timer_key(entry: str, rule: TimeRule) -> str:
    """The name of a table's timer: it outlives new versions of the table that wait for the same."""
    return f"{entry}:{rule.digest}"


@record
class Watched:
    """What of an item the timers look at."""

    kind: str
    state: Mapping[str, JSON]
    created_at: datetime
    stamps: Stamps
    clocks: Mapping[Target, SlaClock] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A moment to look again, and the episode it belongs to: an episode fires once."""

    episode: str
    due_at: datetime


def wanted(rule: TimeRule, item: Watched, calendars: Mapping[str, Calendar]) -> Wanted | None:
    """The timer this item should have for this rule, None for none. It may be past already: the caller says what then.

    Finished items wait for nothing but the time in their status. A calendar that is gone, or has no hours in ten years,
    lets the rule wait for nothing, and so does a date too near to an end of the years there are."""
    status = str(item.state.get("status", ""))
    begin: datetime | None
    if rule.on is On.STATE:
        if rule.statuses and status not in rule.statuses:
            return None
        begin, name = item.stamps.status_since, f"{status} since"
    elif rule.on is On.SLA:
        return _level(rule, item.clocks.get(Target(rule.target)))
    elif status in FINISHED:
        return None
    elif rule.on is On.REPLY:
        begin = item.stamps.replied_at if rule.by == "customer" else item.stamps.unanswered_since
        name = f"no reply by {rule.by} since"
    elif rule.on is On.DATE:
        begin, name = moment(rule.field, item), rule.field
    else:
        return None
    if begin is None:
        return None
    due_at = _due(rule, begin, calendars)
    return None if due_at is None else Wanted(f"{name} {iso(begin)}"[:EPISODE_CHARS], due_at)


def _level(rule: TimeRule, clock: SlaClock | None) -> Wanted | None:
    if clock is None or clock.met_at is not None:
        return None
    due_at = clock.near_at if rule.by == "near" else clock.breached_at or clock.due_at
    return (
        None if due_at is None else Wanted(f"{clock.policy} {clock.target} {iso(clock.start)}"[:EPISODE_CHARS], due_at)
    )


def moment(name: str, item: Watched) -> datetime | None:
    """The moment this field holds, None for none. Who enters a date has its midnight stored."""
    named = {
        "created_at": item.created_at,
        "last_modified": item.stamps.modified_at,
        "status_since": item.stamps.status_since,
        "unanswered_since": item.stamps.unanswered_since,
        "replied_at": item.stamps.replied_at,
    }
    if name in named:
        return named[name]
    value = item.state.get(name)
    if not isinstance(value, str) or not value:
        return None
    try:
        return from_iso(value)
    except ValueError:
        return None


def begins(
    rule: TimeRule, first: datetime, last: datetime, calendars: Mapping[str, Calendar]
) -> tuple[datetime, datetime] | None:
    """The moments between which an episode must begin to be due from `first` to `last`, to the second.

    None when nothing of this rule is ever due: its calendar is gone."""
    if not rule.calendar:
        offset = timedelta(seconds=rule.offset_s)
        return first - offset, last - offset
    if rule.calendar not in calendars or rule.offset_s < 0:
        return None
    return _first_begin(rule, first, calendars), _first_begin(rule, last + timedelta(seconds=1), calendars)


def _first_begin(rule: TimeRule, until: datetime, calendars: Mapping[str, Calendar]) -> datetime:
    """The earliest begin, to the second, that is due at `until` or later: what begins later is never due earlier."""

    def is_late(begin: datetime) -> bool:
        due_at = _due(rule, begin, calendars)
        return due_at is None or due_at >= until

    span = timedelta(seconds=max(rule.offset_s, MIN_SPAN_S))
    while span < MAX_SPAN and is_late(until - span):
        span *= 2
    early, late = until - span, until
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        early, late = (early, middle) if is_late(middle) else (middle, late)
    return early


def _due(rule: TimeRule, begin: datetime, calendars: Mapping[str, Calendar]) -> datetime | None:
    calendar = calendars.get(rule.calendar)
    if rule.calendar and (calendar is None or rule.offset_s < 0):
        return None
    try:
        if calendar is None:
            return begin + timedelta(seconds=rule.offset_s)
        return add_working(calendar, begin, rule.offset_s)
    except (BadValue, OverflowError):  # 9999-12-31, which stands for "never", and three days: no moment there is
        return None
