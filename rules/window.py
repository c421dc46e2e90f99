"""The send window: on which days and between which hours an automatic reply may leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.errors import ActionRefused
from tickets.values import JSON

#: Days of the week by key, Monday first.
DAYS: Mapping[str, str] = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
_KEYS = tuple(DAYS)


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Open on `days` (keys of DAYS) from `start` to `end`, wall clock of `zone`.

    `end` before `start` runs past midnight into the next day; equal ones mean the whole day."""

    days: frozenset[str]
    start: time
    end: time
    zone: str

    def opens(self, at: datetime) -> datetime:
        """`at` itself while the window is open, else the moment it opens next, in UTC."""
        zone = ZoneInfo(self.zone)
        local = at.astimezone(zone)
        best: datetime | None = None
        # The day before, for a window that runs past midnight; eight days on, for the same weekday next week.
        for ahead in range(-1, 9):
            day = local.date() + timedelta(days=ahead)
            if _KEYS[day.weekday()] not in self.days:
                continue
            begin = datetime.combine(day, self.start, zone)
            until = datetime.combine(day + timedelta(days=1 if self.end <= self.start else 0), self.end, zone)
            # Compared in UTC: on the day of a time change the wall clock is no measure.
            begin, until = begin.astimezone(at.tzinfo), until.astimezone(at.tzinfo)
            if begin <= at < until:
                return at
            if begin > at and (best is None or begin < best):
                best = begin
        assert best is not None, "a window has at least one day"
        return best

    def to_json(self) -> dict[str, JSON]:
        return {
            "days": [one for one in _KEYS if one in self.days],
            "from": self.start.strftime("%H:%M"),
            "until": self.end.strftime("%H:%M"),
            "zone": self.zone,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> SendWindow:
        """Read back what `to_json` made. Raises `ActionRefused`."""
        days = data.get("days")
        members = [str(one) for one in days] if isinstance(days, (list, tuple)) else []
        return window(members, str(data.get("from") or ""), str(data.get("until") or ""), str(data.get("zone") or ""))


def window(days: Sequence[str], start: str, end: str, zone: str) -> SendWindow:
    """A window from what a form says; left out: every day, the whole day, UTC. Raises `ActionRefused`."""
    unknown = [one for one in days if one not in DAYS]
    if unknown:
        raise ActionRefused(f"There is no day {unknown[0]!r}; write {', '.join(_KEYS)}.")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ActionRefused(f"There is no time zone {zone!r}; write for instance Europe/Paris.") from None
    return SendWindow(frozenset(days or _KEYS), _time(start), _time(end), zone or "UTC")


def _time(text: str) -> time:
    if not text:
        return time(0, 0)
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  # a wall-clock time, no moment
    except ValueError:
        raise ActionRefused(f"{text!r} is no time of the day; write for instance 09:00.") from None
