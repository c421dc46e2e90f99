"""How service levels stand, as the ticket and the inbox show them: working time left, paused, met or breached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext
from sqlalchemy import Connection

from tickets import clocks, levels
from tickets.calendar import working_s
from tickets.sla import TARGET_LABELS, SlaClock, State
from web.look import DAY, HOUR, MINUTE

#: How loud each state is; running ones are loud when little time is left.
TONES: Mapping[State, str] = {State.RUNNING: "", State.PAUSED: "info", State.MET: "ok", State.BREACHED: "bad"}


@dataclass(frozen=True, slots=True)
class Level:
    """One clock in words. `words` is short: "3 h left"; `at` when it is due, was met or was breached."""

    target: str
    policy: str
    state: State
    words: str
    tone: str
    at: datetime | None


def levels_of(connection: Connection, items: Sequence[int], now: datetime) -> dict[int, list[Level]]:
    """The clocks of these items, the most pressing first."""
    found = levels.clocks_of(connection, items) if items else {}
    if not found:
        return {}
    policies = {one.key: one for one in levels.policies(connection)}
    calendars = clocks.calendars(connection)

    def level(clock: SlaClock) -> Level:
        policy = policies.get(clock.policy)
        state = clock.state(now)
        left_s = float(clock.left_s or 0)
        if state is State.RUNNING and clock.due_at is not None:
            left_s = working_s(calendars.get(policy.calendar) if policy else None, now, clock.due_at)
        near = state is State.RUNNING and clock.near_at is not None and clock.near_at <= now
        at = clock.met_at if state is State.MET else clock.breached_at or clock.due_at
        return Level(
            gettext(TARGET_LABELS[clock.target]),
            policy.label if policy else clock.policy,
            state,
            _words(state, left_s),
            "warn" if near else TONES[state],
            at,
        )

    order = {State.BREACHED: 0, State.RUNNING: 1, State.PAUSED: 2, State.MET: 3}
    return {
        item_id: sorted(
            (level(one) for one in clocks_.values()),
            key=lambda one: (order[one.state], one.at.timestamp() if one.at else 0.0),
        )
        for item_id, clocks_ in found.items()
    }


def pressing(levels: Sequence[Level]) -> Level | None:
    """The one clock that a list has room for: what is breached and still owed, else what runs or is paused."""
    return next((one for one in levels if one.state is not State.MET), None)


def _words(state: State, left_s: float) -> str:
    match state:
        case State.MET:
            return gettext("met")
        case State.BREACHED:
            return gettext("breached")
        case State.PAUSED:
            return gettext("paused, %(time)s left", time=_span(left_s))
        case State.RUNNING:
            return gettext("%(time)s left", time=_span(left_s))


def _span(seconds: float) -> str:
    if seconds < HOUR:
        return gettext("%(n)s min", n=int(seconds // MINUTE))
    if seconds < 2 * DAY:
        return gettext("%(n)s h", n=int(seconds // HOUR))
    return gettext("%(n)s d", n=int(seconds // DAY))
