"""Business calendars: when a desk works, and arithmetic in working time. No I/O; public holidays from `holidays`.

All arithmetic is on moments in UTC: a day's hours are meant in the calendar's zone and turned into moments one day at a
time, so a night in which clocks change is as long as it really was, and an hour that does not exist is not worked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tickets.errors import BadValue
from tickets.values import JSON

#: The days of a week as stored, Monday first.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: For how many years a yearly day off of a file is entered.
YEARS_AHEAD = 10
#: Most hours in one day, most days off of one calendar, and how far ahead working time is looked for, in days.
MAX_SPANS, MAX_DAYS_OFF, HORIZON_DAYS = 6, 2_000, 3_660
#: Longest name of a day off, in characters.
MAX_NAME_CHARS = 200
MINUTES = 24 * 60
SCHEMA = 1

_CLOCK = re.compile(r"([0-2]?[0-9]):([0-5][0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of one day, in minutes since its midnight: from the first to just before the second, which may be 1440."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """When work is done. `week` has the hours of each day, Monday first; `off` are days without work, with their name.

    `country` ("FR") and `subdivision` ("57" or "IDF") add the public holidays there; "" for none."""

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    country: str = ""
    subdivision: str = ""
    off: Mapping[date, str] = field(default_factory=dict)

    def holiday(self, day: date) -> str:
        """Why nobody works on this day, "" when it is an ordinary one."""
        named = self.off.get(day)
        if named is not None:
            return named or "Closed"
        return _public_holidays(self.country, self.subdivision, day.year).get(day, "") if self.country else ""

    def hours(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The moments between which work is done on this day, in order."""
        if self.holiday(day):
            return
        for span in self.week[day.weekday()]:
            start, end = _moment(day, span.start, self.zone), _moment(day, span.end, self.zone)
            if start < end:
                yield start, end

    def to_json(self) -> dict[str, JSON]:
        return {
            "schema": SCHEMA,
            "zone": self.zone.key,
            "week": {
                day: [[_clock(span.start), _clock(span.end)] for span in spans]
                for day, spans in zip(DAYS, self.week, strict=True)
            },
            "country": self.country,
            "subdivision": self.subdivision,
            "off": {day.isoformat(): name for day, name in sorted(self.off.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Calendar:
        """Read what `to_json` wrote, or what a person did. Raises `BadValue` with a sentence."""
        zone = data.get("zone")
        try:
            found = ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadValue(f"{str(zone)[:60]!r} is not a time zone such as Europe/Paris") from None
        week = data.get("week")
        if not isinstance(week, Mapping) or not set(week) <= set(DAYS):
            raise BadValue(f"The week of a calendar has hours for {', '.join(DAYS)}")
        hours = tuple(_spans(day, week.get(day, ())) for day in DAYS)
        if not any(hours):
            raise BadValue("A calendar needs hours on at least one day")
        country, subdivision = str(data.get("country") or ""), str(data.get("subdivision") or "")
        if country:
            _check_country(country, subdivision)
        elif subdivision:
            raise BadValue("A region needs its country")
        return cls(found, hours, country, subdivision, _days_off(data.get("off") or {}))


def add_working(calendar: Calendar | None, start: datetime, seconds: float) -> datetime:
    """The moment when this much working time has passed since `start`; without a calendar all time counts.

    No time at all is `start` itself, also outside of working hours. Raises `BadValue` when the calendar has not that
    much working time within ten years."""
    if calendar is None or seconds <= 0:
        return start + timedelta(seconds=max(0.0, seconds))
    left = seconds
    for begin, end in _from(calendar, start):
        worked = (end - begin).total_seconds()
        if worked >= left:
            return begin + timedelta(seconds=left)
        left -= worked
    raise BadValue("The calendar has too few working hours within ten years")


def working_s(calendar: Calendar | None, start: datetime, end: datetime) -> float:
    """The working time from `start` to `end`, in seconds; 0 when the end comes first."""
    if end <= start:
        return 0.0
    if calendar is None:
        return (end - start).total_seconds()
    total = 0.0
    for begin, stop in _from(calendar, start):
        if begin >= end:
            break
        total += (min(stop, end) - begin).total_seconds()
    return total


def is_working(calendar: Calendar, at: datetime) -> bool:
    """Whether work is done at this moment; the last moment of a day's hours is not."""
    return any(begin <= at < end for begin, end in calendar.hours(at.astimezone(calendar.zone).date()))


def _from(calendar: Calendar, start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The working hours from this moment on, for ten years."""
    day = start.astimezone(calendar.zone).date()
    for offset in range(HORIZON_DAYS):
        for begin, end in calendar.hours(day + timedelta(days=offset)):
            if end > start:
                yield max(begin, start), end


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """A time of day as a moment. One that clocks skip is the moment of the change; of two, the first."""
    day, minutes = (day + timedelta(days=1), 0) if minutes == MINUTES else (day, minutes)
    wall = datetime.combine(day, time(minutes // 60, minutes % 60))
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != wall:
        at = _change_between(at - timedelta(hours=3), at + timedelta(hours=3), zone)
    return at


def _change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the zone's offset changes between two moments."""
    begin = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == begin else (low, middle)
    return high.replace(microsecond=0)


# Reading -----------------------------------------------------------------------------------------------------------


def _minutes(text: object) -> int:
    found = _CLOCK.fullmatch(str(text).strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minutes <= MINUTES:
        raise BadValue(f"{str(text)[:20]!r} is not a time of day such as 09:00")
    return minutes


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _spans(day: str, data: JSON) -> tuple[Span, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise BadValue(f"The hours of {day} are a list such as [['09:00', '17:00']]")
    if len(data) > MAX_SPANS:
        raise BadValue(f"A day has at most {MAX_SPANS} spans of hours, not {len(data)}")
    spans = []
    for pair in data:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise BadValue(f"The hours of {day} are pairs such as ['09:00', '17:00']")
        span = Span(_minutes(pair[0]), _minutes(pair[1]))
        if span.start >= span.end:
            raise BadValue(f"On {day} work from {_clock(span.start)} to {_clock(span.end)} ends before it begins")
        spans.append(span)
    spans.sort(key=lambda span: span.start)
    for one, next_one in pairwise(spans):
        if next_one.start < one.end:
            raise BadValue(f"On {day} the hours overlap at {_clock(next_one.start)}")
    return tuple(spans)


def _days_off(data: JSON) -> dict[date, str]:
    if not isinstance(data, Mapping):
        raise BadValue("Days off are a mapping of dates to names")
    if len(data) > MAX_DAYS_OFF:
        raise BadValue(f"A calendar has at most {MAX_DAYS_OFF} days off of its own, not {len(data)}")
    days = {}
    for day, name in data.items():
        try:
            days[date.fromisoformat(str(day))] = " ".join(str(name or "").split())[:MAX_NAME_CHARS]
        except ValueError:
            raise BadValue(f"{str(day)[:20]!r} is not a date such as 2026-12-24") from None
    return days


# Public holidays ---------------------------------------------------------------------------------------------------


def countries() -> dict[str, tuple[str, ...]]:
    """The countries whose public holidays are known, by their code, each with its regions."""
    import holidays

    return {key: tuple(regions) for key, regions in sorted(holidays.list_supported_countries(False).items())}


def _check_country(country: str, subdivision: str) -> None:
    known = countries()
    if country not in known:
        raise BadValue(f"There is no country {country[:20]!r} with public holidays; use its code, such as FR")
    if subdivision and subdivision not in known[country]:
        regions = ", ".join(known[country][:30]) or "none"
        raise BadValue(f"{country} has no region {subdivision[:20]!r}; there are: {regions}")


@lru_cache(maxsize=512)
def _public_holidays(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    # Imported where it is used: the package is large, and most desks that run have no calendar with a country.
    import holidays

    # Without a language the names would follow the locale of the machine; where there is no English they are local.
    found = holidays.country_holidays(country, subdiv=subdivision or None, years=[year], language="en_US")
    return {day: str(name) for day, name in found.items()}


# A calendar file ----------------------------------------------------------------------------------------------------


#: What is read of an event. Days that it comes on besides, or does not come on, are none of those.
_ONE_TIME = "RECURRENCE-ID"
_OTHERWISE = frozenset({"EXDATE", "RDATE", "EXRULE", _ONE_TIME})
_READ = frozenset({"DTSTART", "DTEND", "DURATION", "SUMMARY", "RRULE", "STATUS"}) | _OTHERWISE
_LASTS = re.compile(r"\+?P([0-9]{1,4})([DW])", re.ASCII)


def days_off_of_ics(text: str, today: date) -> dict[date, str]:
    """The whole days of an .ics file, with their names: a file of holidays as calendars export it.

    A yearly rule is carried on until ten years from `today`, whenever it began; of the years before the last one
    nothing is kept, for nobody counts them any more. Events with a time of day, and other rules, are
    refused by name: a day that is silently left out would be worked. Raises `BadValue`."""
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    if not any(line.strip().upper() == "BEGIN:VCALENDAR" for line in lines):
        raise BadValue("This is not an .ics file: it has no BEGIN:VCALENDAR")
    days: dict[date, str] = {}
    event: dict[str, tuple[str, str]] | None = None
    inside = 0  # parts of an event that have a name and a length of their own: alarms
    for line in lines:
        head, _, value = line.partition(":")
        key, _, params = head.upper().partition(";")
        if (key, value.strip().upper()) == ("BEGIN", "VEVENT"):
            event, inside = {}, 0
        elif (key, value.strip().upper()) == ("END", "VEVENT"):
            # One time of a rule that was called off is no event of its own; it is refused with what leaves days out.
            off = event is None or (event.get("STATUS", ("", ""))[1].upper() == "CANCELLED" and _ONE_TIME not in event)
            if event is not None and not off:
                days.update(_event_days(event, today))
            event = None
        elif key in ("BEGIN", "END"):
            inside += 1 if key == "BEGIN" else -1
        elif event is not None and inside <= 0 and key in _READ:
            event[key] = (params, value.strip())
        if len(days) > MAX_DAYS_OFF:
            raise BadValue(f"The file has more than {MAX_DAYS_OFF} days off")
    if not days:
        raise BadValue("The file has no whole days in it")
    return days


def _event_days(event: Mapping[str, tuple[str, str]], today: date) -> dict[date, str]:
    name = " ".join(event.get("SUMMARY", ("", ""))[1].replace("\\,", ",").replace("\\n", " ").split())[:MAX_NAME_CHARS]
    start = _ics_date(event.get("DTSTART", ("", ""))[1], name)
    lasts = _LASTS.fullmatch(event.get("DURATION", ("", "P1D"))[1].upper())
    if lasts is None:
        raise BadValue(f"{name or start} does not last whole days: {event['DURATION'][1][:20]!r}")
    count = int(lasts[1]) * (7 if lasts[2] == "W" else 1)
    if "DTEND" in event:
        count = (_ics_date(event["DTEND"][1], name) - start).days
    count = max(1, count)
    if count > 366:
        raise BadValue(f"{name or start} lasts {count} days; a day off lasts at most a year")
    rule = dict(part.partition("=")[::2] for part in event.get("RRULE", ("", ""))[1].upper().split(";") if part)
    # The month and the day of a yearly rule say what its first day says, or they are another rule.
    yearly = {"FREQ": "YEARLY", "BYMONTH": str(start.month), "BYMONTHDAY": str(start.day)}
    every = rule.pop("INTERVAL", "1")
    usual = rule.get("FREQ") == "YEARLY" and rule.items() <= yearly.items() and re.fullmatch("[1-9][0-9]?", every)
    if not _OTHERWISE.isdisjoint(event) or ((rule or every != "1") and not usual):
        raise BadValue(f"{name or start} repeats in a way that is not read here; write its days one by one")
    years = range(start.year, today.year + YEARS_AHEAD + 1, int(every)) if rule else [start.year]
    days = {}
    for year in years:
        if rule and year < today.year - 1:
            continue
        try:
            first = start.replace(year=year)
            days.update({first + timedelta(days=offset): name for offset in range(count)})
        except (ValueError, OverflowError):
            continue  # the 29th of February, in a year without one; days beyond the last year there is
    return days


def _ics_date(value: str, name: str) -> date:
    if not re.fullmatch(r"[0-9]{8}", value):
        raise BadValue(f"{name or 'An event'} is no whole day: {value[:20]!r}")
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        raise BadValue(f"{name or 'An event'} has no date: {value!r}") from None
