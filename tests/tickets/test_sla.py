"""Service levels: worked out from their start, paused, met, breached for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tickets.calendar import Calendar
from tickets.errors import BadValue
from tickets.sla import Past, Policy, SlaClock, State, Target, policy_for, reckon
from tickets.stamps import Stamps

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = Policy("gold", "Gold", {Target.FIRST_REPLY: 4 * 3_600, Target.RESOLUTION: 16 * 3_600}, near_s=3_600)
OFFICE = Calendar.from_json({"zone": "UTC", "week": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed")}})


def a_past(*statuses: tuple[int, str], replied_h: int | None = None) -> Past:
    """A ticket of Monday morning: (hours after, status), and after how many hours somebody replied."""
    trail = tuple((MONDAY + hours * HOUR, status) for hours, status in (statuses or ((0, "open"),)))
    stamps = Stamps(trail[-1][0], MONDAY, unanswered_since=MONDAY)
    if replied_h is not None:
        at = MONDAY + replied_h * HOUR
        stamps = Stamps(trail[-1][0], at, None, at, at)
    return Past(MONDAY, trail, stamps)


def clocks(past: Past, hours: float, policy: Policy = POLICY, before: dict[Target, SlaClock] | None = None):
    calendar = OFFICE if policy.calendar else None
    return reckon(policy, calendar, past, before or {}, MONDAY + hours * HOUR)


def test_a_running_clock_is_due_after_its_target_and_near_before_it() -> None:
    clock = clocks(a_past(), 1)[Target.FIRST_REPLY]
    assert (clock.due_at, clock.near_at) == (MONDAY + 4 * HOUR, MONDAY + 3 * HOUR)
    assert clock.state(MONDAY + 3 * HOUR) is State.RUNNING
    assert clock.state(MONDAY + 4 * HOUR) is State.BREACHED


def test_working_time_is_counted_in_the_policys_calendar() -> None:
    clock = clocks(a_past(), 1, replace(POLICY, calendar="office"))[Target.RESOLUTION]
    assert clock.due_at == MONDAY + timedelta(days=1, hours=8)


def test_a_pausing_status_stops_the_clock_and_what_is_left_is_kept() -> None:
    paused = a_past((0, "open"), (1, "waiting_customer"), replied_h=1)
    clock = clocks(paused, 2)[Target.RESOLUTION]
    assert (clock.due_at, clock.left_s, clock.state(MONDAY + 2 * HOUR)) == (None, 15 * 3_600, State.PAUSED)
    again = a_past((0, "open"), (1, "waiting_customer"), (11, "open"), replied_h=1)
    assert clocks(again, 12)[Target.RESOLUTION].due_at == MONDAY + 26 * HOUR


def test_a_status_that_the_policy_does_not_name_pauses_nothing() -> None:
    past = a_past((0, "open"), (1, "waiting_team"))
    assert clocks(past, 2)[Target.RESOLUTION].due_at == MONDAY + 16 * HOUR


@pytest.mark.parametrize(("replied_h", "state"), [(3, State.MET), (4, State.BREACHED), (9, State.BREACHED)])
def test_a_reply_meets_the_target_in_time_or_not(replied_h: int, state: State) -> None:
    clock = clocks(a_past(replied_h=replied_h), 20)[Target.FIRST_REPLY]
    assert (clock.met_at, clock.state(MONDAY + 20 * HOUR)) == (MONDAY + replied_h * HOUR, state)


def test_a_solved_ticket_has_met_its_resolution_and_opened_again_goes_on_where_it_was() -> None:
    solved = a_past((0, "open"), (10, "solved"))
    assert clocks(solved, 40)[Target.RESOLUTION].state(MONDAY + 40 * HOUR) is State.MET
    again = a_past((0, "open"), (10, "solved"), (40, "open"))
    clock = clocks(again, 41)[Target.RESOLUTION]
    assert (clock.met_at, clock.due_at) == (None, MONDAY + 46 * HOUR)


def test_the_next_reply_counts_from_the_oldest_unanswered_message_after_the_first_reply() -> None:
    policy = replace(POLICY, targets={Target.NEXT_REPLY: 2 * 3_600})
    assert clocks(a_past(), 1, policy) == {}
    asked = Past(MONDAY, ((MONDAY, "open"),), Stamps(MONDAY, MONDAY, MONDAY + 5 * HOUR, None, MONDAY + HOUR))
    running = clocks(asked, 6, policy)
    assert running[Target.NEXT_REPLY].due_at == MONDAY + 7 * HOUR
    answered = replace(asked, stamps=Stamps(MONDAY, MONDAY, None, MONDAY + 6 * HOUR, MONDAY + HOUR))
    clock = clocks(answered, 9, policy, running)[Target.NEXT_REPLY]
    assert (clock.start, clock.met_at) == (MONDAY + 5 * HOUR, MONDAY + 6 * HOUR)
    assert clock.state(MONDAY + 9 * HOUR) is State.MET


def test_a_changed_policy_counts_from_the_start_and_never_takes_a_breach_back() -> None:
    lax = replace(POLICY, targets={Target.FIRST_REPLY: 40 * 3_600})
    early = clocks(a_past(), 1)
    assert clocks(a_past(), 2, lax, early)[Target.FIRST_REPLY].due_at == MONDAY + 40 * HOUR
    late = clocks(a_past(), 5, lax, early)[Target.FIRST_REPLY]
    assert (late.breached_at, late.state(MONDAY + 5 * HOUR)) == (MONDAY + 4 * HOUR, State.BREACHED)
    assert clocks(a_past(), 6, lax, {Target.FIRST_REPLY: late})[Target.FIRST_REPLY].breached_at == MONDAY + 4 * HOUR


def test_pausing_after_the_breach_does_not_take_it_back() -> None:
    running = clocks(a_past(), 1)
    paused = clocks(a_past((0, "open"), (5, "waiting_customer")), 6, before=running)[Target.FIRST_REPLY]
    assert paused.state(MONDAY + 6 * HOUR) is State.BREACHED


def test_the_first_policy_that_covers_a_ticket_counts_unless_it_was_given_one() -> None:
    refunds = replace(POLICY, key="refunds", applies={"fields.topic": ("refund",), "brand": ("shop", "acme")})
    everyone = replace(POLICY, key="everyone")
    order = [refunds, everyone]
    assert policy_for(order, {"fields.topic": "refund", "brand": "shop"}) == refunds
    assert policy_for(order, {"fields.topic": "refund"}) == everyone
    assert policy_for(order, {"fields.topic": "refund", "brand": "shop", "sla": "everyone"}) == everyone
    assert policy_for([refunds], {}) is None


def test_a_policy_survives_being_stored_and_nonsense_is_refused() -> None:
    assert Policy.from_json("gold", "Gold", POLICY.to_json()) == POLICY
    with pytest.raises(BadValue, match="needs at least one target"):
        Policy.from_json("gold", "Gold", {**POLICY.to_json(), "targets": {}})
    with pytest.raises(BadValue, match="First reply takes from 1 minute"):
        Policy.from_json("gold", "Gold", {**POLICY.to_json(), "targets": {"first_reply": 5}})
