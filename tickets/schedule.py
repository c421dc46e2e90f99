"""Schedules in cron's five fields, with the zone they are meant in. No I/O.

A tick that falls into the hour that clocks skip comes once, right after the gap; one in the hour that comes twice,
comes once, the first time. Schedules of wildcards (every 30 minutes) follow the real time through both.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tickets.errors import BadValue

#: Longest schedule, in characters.
MAX_CRON_CHARS = 100


def clean_zone(zone: str) -> str:
    """The zone's IANA name. Raises `BadValue`."""
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValue(f"{zone[:60]!r} is not a time zone such as Europe/Paris") from None


def clean_cron(cron: str) -> str:
    """The schedule with single spaces. Raises `BadValue` for what is none, or never comes."""
    text = " ".join(cron.split())
    example = "five fields such as '0 9 * * 1-5' (minute, hour, day, month, day of the week)"
    if len(text) > MAX_CRON_CHARS or len(text.split()) != 5:
        raise BadValue(f"{text[:60]!r} is not a schedule: it has {example}")
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise BadValue(f"{text[:60]!r} is not a schedule ({str(error)[:60]}): it has {example}") from None
    except StopIteration:
        raise BadValue(f"{text!r} never comes") from None
    return text


def next_tick(cron: str, zone: str, after: datetime) -> datetime:
    """The first tick after this moment, in UTC. Raises `BadValue` when there is none."""
    try:
        found: datetime = next(CronSim(cron, after.astimezone(ZoneInfo(zone))))
    except (CronSimError, StopIteration):
        raise BadValue(f"{cron[:60]!r} has no further tick") from None
    return found.astimezone(UTC)
