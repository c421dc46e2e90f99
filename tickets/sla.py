"""Service levels: by when a customer is answered and a ticket resolved. Pure arithmetic; SQL is in `tickets.clocks`.

A clock is always worked out from its start: working time of the policy's calendar, less the time spent in statuses that
pause it. So a changed policy counts what has been, and nothing drifts. What was breached once stays breached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import cast

from tickets.calendar import Calendar, add_working, working_s
from tickets.errors import BadValue
from tickets.item import FINISHED
from tickets.stamps import Stamps
from tickets.values import JSON

SCHEMA = 1
#: Most conditions of one policy, and values of each.
MAX_CONDITIONS, MAX_VALUES = 10, 100
#: Shortest and longest target, in seconds.
MIN_TARGET_S, MAX_TARGET_S = 60, 365 * 86_400


class Target(StrEnum):
    FIRST_REPLY = "first_reply"
    NEXT_REPLY = "next_reply"
    RESOLUTION = "resolution"


TARGET_LABELS: Mapping[Target, str] = {
    Target.FIRST_REPLY: "First reply",
    Target.NEXT_REPLY: "Next reply",
    Target.RESOLUTION: "Resolution",
}


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"


STATE_LABELS: Mapping[State, str] = {
    State.RUNNING: "Running",
    State.PAUSED: "Paused",
    State.MET: "Met",
    State.BREACHED: "Breached",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. `applies`: state fields and the values one of which they must have, all of them; none: every ticket.

    `targets` in seconds of working time; `near_s` is how much of it may be left when a breach counts as near; `pauses`
    are statuses in which no clock runs. `calendar` "" counts all time."""

    key: str
    label: str
    targets: Mapping[Target, int]
    applies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calendar: str = ""
    pauses: tuple[str, ...] = ("waiting_customer",)
    near_s: int = 3_600

    def covers(self, state: Mapping[str, JSON]) -> bool:
        """Whether a ticket in this state is under the policy unless it is given another one."""
        for name, wanted in self.applies.items():
            value = state.get(name)
            has = {str(one) for one in value} if isinstance(value, (list, tuple)) else {str(value)}
            if not has & set(wanted):
                return False
        return True

    def to_json(self) -> dict[str, JSON]:
        return {
            "schema": SCHEMA,
            "targets": {target.value: seconds for target, seconds in self.targets.items()},
            "applies": {name: list(values) for name, values in self.applies.items()},
            "calendar": self.calendar,
            "pauses": list(self.pauses),
            "near_s": self.near_s,
        }

    @classmethod
    def from_json(cls, key: str, label: str, data: Mapping[str, JSON]) -> Policy:
        """Read what `to_json` wrote. Raises `BadValue` with a sentence."""
        targets = cast("Mapping[str, int]", data.get("targets") or {})
        found = {target: int(targets[target]) for target in Target if targets.get(target)}
        if not found:
            raise BadValue("A policy needs at least one target")
        for target, seconds in found.items():
            if not MIN_TARGET_S <= seconds <= MAX_TARGET_S:
                raise BadValue(f"{TARGET_LABELS[target]} takes from 1 minute to 365 days")
        applies = cast("Mapping[str, Sequence[str]]", data.get("applies") or {})
        if len(applies) > MAX_CONDITIONS or any(len(values) > MAX_VALUES for values in applies.values()):
            raise BadValue(f"A policy has at most {MAX_CONDITIONS} conditions of {MAX_VALUES} values")
        near_s = int(cast(int, data.get("near_s") or 0))
        if not 0 <= near_s <= MAX_TARGET_S:
            raise BadValue("A breach is near from 0 minutes to 365 days before it")
        return cls(
            key,
            label,
            found,
            {name: tuple(str(one) for one in values) for name, values in applies.items()},
            str(data.get("calendar") or ""),
            tuple(str(one) for one in cast("Sequence[str]", data.get("pauses") or ())),
            near_s,
        )


@dataclass(frozen=True, slots=True)
class Past:
    """What has been: the statuses of the ticket since it was created, (since, status), oldest first, and its stamps."""

    created_at: datetime
    statuses: tuple[tuple[datetime, str], ...]
    stamps: Stamps


@dataclass(frozen=True, slots=True)
class SlaClock:
    """One clock of one ticket. While it is paused `due_at` and `near_at` are None; `left_s` of working time is left."""

    policy: str
    target: Target
    start: datetime
    due_at: datetime | None = None
    near_at: datetime | None = None
    left_s: int | None = None
    met_at: datetime | None = None
    breached_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Met in time, breached (whatever came after), paused or running."""
        if self.breached_at is not None:
            return State.BREACHED
        if self.met_at is not None:
            return State.MET
        if self.due_at is None:
            return State.PAUSED
        return State.BREACHED if self.due_at <= now else State.RUNNING


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a ticket's time in one status, and how much working time of it counts."""

    status: str
    begin: datetime
    end: datetime | None  # None: still going on
    counts: bool


def policy_for(policies: Sequence[Policy], state: Mapping[str, JSON]) -> Policy | None:
    """The policy a ticket is under: the one it was given, else the first in order that covers it."""
    given = state.get("sla")
    if given:
        return next((one for one in policies if one.key == given), None)
    return next((one for one in policies if one.covers(state)), None)


def reckon(
    policy: Policy | None,
    calendar: Calendar | None,
    past: Past,
    before: Mapping[Target, SlaClock],
    now: datetime,
) -> dict[Target, SlaClock]:
    """Every clock of the ticket, worked out anew. `before` are those stored: only their breaches count.

    A breach under an earlier policy stays one for as long as the clock has the same start. Without a policy there are
    no clocks."""
    if policy is None:
        return {}
    found: dict[Target, SlaClock] = {}
    for target, seconds in policy.targets.items():
        begun = _begun(target, past, before.get(target))
        if begun is None:
            continue
        start, met_at = begun
        clock = _clock(policy, calendar, target, seconds, start, met_at, past)
        known = before.get(target)
        breached = clock.due_at if clock.due_at is not None and clock.due_at <= (met_at or now) else None
        if known is not None and known.start == start:
            old = known.breached_at
            if old is None and known.met_at is None and known.due_at is not None and known.due_at <= (met_at or now):
                old = known.due_at
            breached = old if breached is None else min(breached, old or breached)
        found[target] = replace(clock, breached_at=breached)
    return found


def parts(policy: Policy, target: Target, start: datetime, statuses: Sequence[tuple[datetime, str]]) -> Iterator[Part]:
    """The ticket's time from `start` on, status by status, and which of it counts for the target."""
    for index, (since, status) in enumerate(statuses):
        end = statuses[index + 1][0] if index + 1 < len(statuses) else None
        if end is not None and end <= start:
            continue
        yield Part(status, max(since, start), end, status not in policy.pauses and status not in FINISHED)


def due(
    policy: Policy, calendar: Calendar | None, target: Target, seconds: int, start: datetime, past: Past
) -> tuple[datetime | None, int]:
    """When this much counted time since `start` is used up, None while it is paused; and what is left, in seconds."""
    left = float(seconds)
    for part in parts(policy, target, start, past.statuses):
        if not part.counts:
            continue
        if part.end is None:
            try:
                return add_working(calendar, part.begin, left), int(left)
            except BadValue:
                return None, int(left)
        worked = working_s(calendar, part.begin, part.end)
        if worked >= left:
            return add_working(calendar, part.begin, left), 0
        left -= worked
    return None, int(left)


def _begun(target: Target, past: Past, known: SlaClock | None) -> tuple[datetime, datetime | None] | None:
    """When the clock began and when it was met, None when it has not begun."""
    stamps = past.stamps
    if target is Target.FIRST_REPLY:
        if stamps.first_reply_at is None:
            # Who was there first may be one of us: nobody waits for a reply before the customer wrote.
            return (stamps.unanswered_since, None) if stamps.unanswered_since is not None else None
        return (known.start if known is not None else past.created_at, stamps.first_reply_at)
    if target is Target.NEXT_REPLY:
        if stamps.first_reply_at is None:
            return None
        if stamps.unanswered_since is not None:
            return stamps.unanswered_since, None
        # Answered: what remains is how it ended.
        return (known.start, known.met_at or stamps.replied_at or stamps.modified_at) if known is not None else None
    since, status = past.statuses[-1]
    return past.created_at, since if status in FINISHED else None


def _clock(
    policy: Policy,
    calendar: Calendar | None,
    target: Target,
    seconds: int,
    start: datetime,
    met_at: datetime | None,
    past: Past,
) -> SlaClock:
    due_at, left_s = due(policy, calendar, target, seconds, start, past)
    near_at, _ = due(policy, calendar, target, max(0, seconds - policy.near_s), start, past)
    if met_at is not None:
        return SlaClock(policy.key, target, start, due_at, None, None, met_at)
    return SlaClock(policy.key, target, start, due_at, near_at if due_at else None, None if due_at else left_s)
