"""Between which moments an episode begins that comes due in a given time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.environment.selection import examples
from tickets.calendar import Calendar
from tickets.stamps import Stamps
from tickets.timers import On, TimeRule, Watched, begins, wanted

HOURS = [["08:30", "12:00"], ["13:00", "17:00"]]
CALENDARS = {
    "office": Calendar.from_json({"zone": "Europe/Paris", "week": dict.fromkeys(("mon", "tue", "fri"), HOURS)}),
}
SOON = timedelta(minutes=15)
#: A Friday, one hour before noon in Paris.
FRIDAY = datetime(2026, 11, 20, 10, tzinfo=UTC)


def due(rule: TimeRule, minutes: float) -> bool:
    """Whether a status that began so many minutes before FRIDAY is over within SOON."""
    begin = FRIDAY - timedelta(minutes=minutes)
    found = wanted(rule, Watched("ticket", {"status": "open"}, begin, Stamps(begin, begin)), CALENDARS)
    return found is not None and FRIDAY <= found.due_at <= FRIDAY + SOON


@examples(60)
@given(
    st.sampled_from(["", "office"]),
    st.integers(60, 3 * 86_400),
    st.lists(st.floats(-30, 14 * 1_440), min_size=20, max_size=40),
)
def test_whatever_comes_due_in_a_time_began_between_its_two_moments(
    calendar: str, offset_s: int, ages: list[float]
) -> None:
    rule = TimeRule(On.STATE, offset_s=offset_s, calendar=calendar)
    window = begins(rule, FRIDAY, FRIDAY + SOON, CALENDARS)
    assert window is not None
    for minutes in ages:
        if due(rule, minutes):
            assert window[0] <= FRIDAY - timedelta(minutes=minutes) <= window[1]


def test_the_two_moments_leave_out_what_is_due_earlier_or_later() -> None:
    for calendar in ("", "office"):
        rule = TimeRule(On.STATE, offset_s=4 * 3_600, calendar=calendar)
        window = begins(rule, FRIDAY, FRIDAY + SOON, CALENDARS)
        assert window is not None
        first, last = ((FRIDAY - at).total_seconds() / 60 for at in window)
        assert [due(rule, minutes) for minutes in (first + 0.1, first - 0.1, last + 0.1, last - 0.1)] == [
            False,
            True,
            True,
            False,
        ]


def test_a_rule_with_a_calendar_waits_for_its_working_time() -> None:
    """Four hours from a Friday at eleven in Paris: one until noon, three after lunch. Elapsed, it is three o'clock."""
    item = Watched("ticket", {"status": "open"}, FRIDAY, Stamps(FRIDAY, FRIDAY))
    for calendar, hour in (("office", 15), ("", 14)):
        found = wanted(TimeRule(On.STATE, offset_s=4 * 3_600, calendar=calendar), item, CALENDARS)
        assert found is not None
        assert found.due_at == FRIDAY.replace(hour=hour)
    longer = wanted(TimeRule(On.STATE, offset_s=8 * 3_600, calendar="office"), item, CALENDARS)
    assert longer is not None
    assert longer.due_at == datetime(2026, 11, 23, 10, 30, tzinfo=UTC)  # on Monday


def test_nothing_of_a_calendar_that_is_gone_comes_due() -> None:
    gone = TimeRule(On.STATE, offset_s=3_600, calendar="gone")
    assert begins(gone, FRIDAY, FRIDAY + SOON, CALENDARS) is None
