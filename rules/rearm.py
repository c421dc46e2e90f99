"""When a row that has fired may fire again for the same item. Pure: the ledger of what fired is a fact.

A row held back by the ledger still matches, and ends a *first* table: what it means has been done for this item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rules.errors import ConditionFailed, OperandRefused, no_such
from rules.facts import Facts
from rules.operands import clean_duration, duration_s
from rules.table import EVERY_TIME, ONCE_PER_EPISODE, ONCE_PER_ITEM, OTHERWISE, Table
from tickets.values import JSON, from_iso

#: Longest name of an episode, in characters.
EPISODE_CHARS = 120
#: The ways that are not a duration, in words.
REARMS: Mapping[str, str] = {
    EVERY_TIME: "Every time",
    ONCE_PER_EPISODE: "Once per episode",
    ONCE_PER_ITEM: "Once per ticket",
}


def clean_rearm(value: JSON) -> str:
    """The one stored form: a key of REARMS, or a duration such as "24 h". Raises `OperandRefused`."""
    if value is None or value == "":
        return EVERY_TIME
    if isinstance(value, str) and value in REARMS:
        return value
    try:
        return clean_duration(value)
    except ConditionFailed as error:
        allowed = no_such("way to arm a row again", value, {**REARMS, "24 h": "At most every 24 hours"})
        raise OperandRefused(f"{allowed} {error}.") from None


def rearmed_rows(code: str, table: Table) -> Iterator[tuple[str, str]]:
    """The key of each row of the entry with this code, "A01/r3", and how it is armed again."""
    for row in table.rows:
        yield f"{code}/{row.id}", row.rearm
    if table.otherwise is not None:
        yield f"{code}/{OTHERWISE}", table.otherwise_rearm


def episode(facts: Facts) -> str:
    """What "once per episode" counts for this event.

    A time trigger names its own. For any other event it is the item's stay in its present status."""
    named = facts.event.get("episode")
    return str(named) if named else f"status since {facts.clock.get('status_since', '')}"


def held_by_ledger(rearms: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """The rows that the ledger holds back now, by key, and the sentence that says why.

    A line of the ledger is {"at": when it last fired, "episodes": those it fired for}."""
    held: dict[str, str] = {}
    for key, line in facts.ledger.items():
        reason = _reason(rearms.get(key, EVERY_TIME), line, facts)
        if reason:
            held[key] = reason
    return held


def _reason(rearm: str, line: Mapping[str, JSON], facts: Facts) -> str:
    at = str(line.get("at", ""))
    episodes = line.get("episodes")
    before = f"on {at[:16].replace('T', ' ')} UTC"
    if rearm == EVERY_TIME:
        return ""
    if rearm == ONCE_PER_ITEM:
        return f"It matched, but fires once per ticket and fired {before}."
    if rearm == ONCE_PER_EPISODE:
        known = isinstance(episodes, Sequence) and episode(facts) in episodes
        return f"It matched, but fires once per episode and fired for this one {before}." if known else ""
    if from_iso(at) + timedelta(seconds=duration_s(rearm)) <= from_iso(facts.now):
        return ""
    return f"It matched, but fires at most every {rearm} and fired {before}."
