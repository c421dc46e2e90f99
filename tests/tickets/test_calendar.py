"""Working time: hours, holidays and nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.environment.selection import examples
from tickets.calendar import Calendar, add_working, days_off_of_ics, is_working, working_s
from tickets.errors import BadValue
from tickets.schedule import next_tick

NINE_TO_FIVE = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def a_calendar(**more: Any) -> Calendar:
    return Calendar.from_json({"zone": "Europe/Paris", "week": NINE_TO_FIVE, **more})


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-11-20 10:00", 4, "2026-11-20 14:00"),
        ("2026-11-20 15:00", 4, "2026-11-23 11:00"),  # a weekend between
        ("2026-11-21 12:00", 1, "2026-11-23 10:00"),  # begins on a Saturday
        ("2026-11-20 10:00", 7, "2026-11-20 17:00"),  # to the last moment of the day
        ("2026-11-20 08:00", 0, "2026-11-20 08:00"),
        ("2026-11-20 10:00", 40, "2026-11-27 10:00"),
    ],
)
def test_working_time_is_added_in_the_hours_of_the_calendar(start: str, hours: int, due: str) -> None:
    calendar = a_calendar()
    assert add_working(calendar, paris(start), hours * 3_600) == paris(due)
    assert working_s(calendar, paris(start), paris(due)) == hours * 3_600


def test_without_a_calendar_all_time_counts() -> None:
    at = paris("2026-11-20 23:00")
    assert add_working(None, at, 7_200) == at + timedelta(hours=2)
    assert working_s(None, at, at + timedelta(hours=2)) == 7_200
    assert working_s(None, at, at - timedelta(hours=2)) == 0


def test_public_holidays_and_days_off_are_not_worked_and_have_a_name() -> None:
    calendar = a_calendar(country="FR", off={"2026-12-24": "Christmas Eve"})
    assert calendar.holiday(date(2026, 12, 25)) == "Christmas Day"
    assert add_working(calendar, paris("2026-12-23 16:00"), 7_200) == paris("2026-12-28 10:00")
    assert add_working(a_calendar(), paris("2026-12-23 16:00"), 7_200) == paris("2026-12-24 10:00")


def test_the_holidays_of_a_region_are_its_own() -> None:
    day = date(2026, 12, 26)  # St Stephen's, in the east only
    assert a_calendar(country="FR", subdivision="57").holiday(day)
    assert not a_calendar(country="FR").holiday(day)


@pytest.mark.parametrize(("day", "length_h"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-30", 24)])
def test_a_day_is_as_long_as_it_really_is(day: str, length_h: int) -> None:
    always = a_calendar(week={one: [["00:00", "24:00"]] for one in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")})
    begin = paris(f"{day} 00:00")
    assert add_working(always, begin, length_h * 3_600) == paris(f"{day} 00:00") + timedelta(hours=length_h)
    [hours] = always.hours(date.fromisoformat(day))
    assert hours[1] - hours[0] == timedelta(hours=length_h)


def test_an_hour_that_clocks_skip_is_not_worked() -> None:
    nights = a_calendar(week={"sun": [["01:00", "02:30"], ["02:30", "04:00"]]})
    spans = list(nights.hours(date(2026, 3, 29)))
    change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert spans == [(change - timedelta(hours=1), change), (change, change + timedelta(hours=1))]


def test_working_or_not_at_a_moment() -> None:
    calendar = a_calendar()
    assert is_working(calendar, paris("2026-11-20 09:00"))
    assert not is_working(calendar, paris("2026-11-20 17:00"))
    assert not is_working(calendar, paris("2026-11-21 12:00"))


@examples(60)
@given(
    st.integers(0, 1_000_000).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
)
def test_adding_twice_is_adding_the_sum_and_what_was_added_is_measured_again(start: datetime, a: int, b: int) -> None:
    calendar = a_calendar(country="FR")
    once = add_working(calendar, start, a + b)
    twice = add_working(calendar, add_working(calendar, start, a), b)
    assert working_s(calendar, start, twice) == a + b
    # At the end of a day and at the beginning of the next one the same working time has passed.
    assert working_s(calendar, min(once, twice), max(once, twice)) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Mars/Base"}, "'Mars/Base' is not a time zone"),
        ({"week": {}}, "needs hours on at least one day"),
        ({"week": {"mon": [["17:00", "09:00"]]}}, "On mon work from 17:00 to 09:00 ends before it begins"),
        ({"week": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "On mon the hours overlap at 11:00"),
        ({"week": {"mon": [["9", "12:00"]]}}, "'9' is not a time of day"),
        ({"week": {"monday": []}}, "has hours for mon, tue"),
        ({"country": "XX"}, "There is no country 'XX'"),
        ({"country": "FR", "subdivision": "ZZ"}, "FR has no region 'ZZ'; there are:"),
        ({"off": {"24.12.": "x"}}, "'24.12.' is not a date"),
    ],
)
def test_a_calendar_that_is_none_is_refused_with_what_is_wrong(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        a_calendar(**wrong)


def test_a_calendar_survives_being_stored() -> None:
    calendar = a_calendar(country="FR", subdivision="57", off={"2026-12-24": "Eve"})
    assert Calendar.from_json(calendar.to_json()) == calendar


TODAY = date(2026, 11, 21)
ICS = """BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261224
DTEND;VALUE=DATE:20261227
SUMMARY:Winter\\, closed
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20260501
RRULE:FREQ=YEARLY
SUMMARY:Our
  birthday
END:VEVENT
END:VCALENDAR
"""


def test_the_days_of_an_ics_file_are_days_off() -> None:
    days = days_off_of_ics(ICS.replace("\n", "\r\n"), TODAY)
    assert [days[date(2026, 12, day)] for day in (24, 25, 26)] == ["Winter, closed"] * 3
    assert date(2026, 12, 27) not in days
    assert days[date(2026, 5, 1)] == days[date(2035, 5, 1)] == "Our birthday"


def _event(*lines: str) -> str:
    return "\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"])


@pytest.mark.parametrize(("lasts", "days"), [("P3D", 3), ("P1W", 7)])
def test_a_day_off_lasts_as_long_as_the_file_says(lasts: str, days: int) -> None:
    alarm = ("BEGIN:VALARM", "TRIGGER:-PT15M", "DURATION:PT5M", "SUMMARY:Wake up", "END:VALARM")
    for lines in ((f"DURATION:{lasts}", *alarm), (*alarm, f"DURATION:{lasts}")):
        found = days_off_of_ics(_event("DTSTART;VALUE=DATE:20261224", "SUMMARY:Winter", *lines), TODAY)
        assert found == {date(2026, 12, 24) + timedelta(days=day): "Winter" for day in range(days)}


def test_a_day_off_that_was_called_off_is_none() -> None:
    off = ICS.replace("SUMMARY:Winter", "STATUS:CANCELLED\nSUMMARY:Winter")
    days = days_off_of_ics(off, TODAY)
    assert date(2026, 12, 24) not in days
    assert date(2026, 5, 1) in days


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;VALUE=DATE:20270501",
        "RDATE;VALUE=DATE:20270601",
        "RECURRENCE-ID;VALUE=DATE:20270501\nSTATUS:CANCELLED",
    ],
)
def test_a_day_off_that_also_comes_or_does_not_come_on_other_days_is_refused_by_name(line: str) -> None:
    with pytest.raises(BadValue, match="Ours repeats in a way that is not read here"):
        days_off_of_ics(_event("DTSTART;VALUE=DATE:20260501", "RRULE:FREQ=YEARLY", line, "SUMMARY:Ours"), TODAY)


@pytest.mark.parametrize(
    ("began", "every", "off", "worked"),
    [
        ("20090501", "", [2025, 2026, 2036], [2009, 2024, 2037]),
        ("20260501", "", [2026, 2036], [2025, 2037]),
        ("20240501", ";INTERVAL=2;BYMONTH=5;BYMONTHDAY=1", [2026, 2028], [2025, 2027]),
        ("20080229", "", [2028, 2032], []),
    ],
)
def test_a_yearly_day_off_is_off_for_ten_years_from_now_whenever_it_began(
    began: str, every: str, off: list[int], worked: list[int]
) -> None:
    rule = f"DTSTART;VALUE=DATE:{began}\nRRULE:FREQ=YEARLY{every}\nSUMMARY:Ours"
    days = days_off_of_ics(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{rule}\nEND:VEVENT\nEND:VCALENDAR", TODAY)
    month, day = int(began[4:6]), int(began[6:])
    assert all(days[date(year, month, day)] == "Ours" for year in off)
    assert not [year for year in worked if date(year, month, day) in days]
    assert all((one.month, one.day) == (month, day) for one in days)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "no BEGIN:VCALENDAR"),
        (ICS.replace("FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=often"), "Our birthday repeats in a way that is not read"),
        (ICS.replace("FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=0"), "Our birthday repeats in a way that is not read"),
        (ICS.replace("FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=6"), "Our birthday repeats in a way that is not read"),
        (ICS.replace("FREQ=YEARLY", "FREQ=WEEKLY"), "Our birthday repeats in a way that is not read here"),
        (ICS.replace("VALUE=DATE:20260501", "TZID=Europe/Paris:20260501T090000"), "Our birthday is no whole day"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR", "no whole days in it"),
    ],
)
def test_a_calendar_file_is_read_whole_or_refused(text: str, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        days_off_of_ics(text, TODAY)


@pytest.mark.parametrize(
    ("cron", "after", "tick"),
    [
        ("0 9 * * *", "2026-11-20 09:00", "2026-11-21T08:00:00+00:00"),
        ("30 2 * * *", "2026-03-28 12:00", "2026-03-29T01:00:00+00:00"),  # skipped: once, right after the gap
        ("30 2 * * *", "2026-10-24 12:00", "2026-10-25T00:30:00+00:00"),  # comes twice: the first time
        ("*/30 * * * *", "2026-03-29 01:30", "2026-03-29T01:00:00+00:00"),
    ],
)
def test_a_schedule_ticks_in_its_zone_through_changes_of_clocks(cron: str, after: str, tick: str) -> None:
    assert next_tick(cron, "Europe/Paris", paris(after)).isoformat() == tick


def test_a_skipped_tick_comes_once() -> None:
    first = next_tick("30 2 * * *", "Europe/Paris", paris("2026-03-28 12:00"))
    assert next_tick("30 2 * * *", "Europe/Paris", first).isoformat() == "2026-03-30T00:30:00+00:00"
