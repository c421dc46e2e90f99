"""What the rule pages read besides the rule list itself: when a table last acted, and how often values occur.

Reading only, bounded, and about items only what the viewer may see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from jobs.tables import DecisionRow
from rules import store as rule_list
from rules.store import Stored
from tickets.item import CUSTOM
from tickets.people import Viewer
from tickets.tables import WorkItem
from tickets.visibility import visible
from web.rules_document import ids

#: How many decisions "last acted" looks back over, how many items are counted for a value, and since when.
DECISIONS = 500
COUNTED_ITEMS = 5_000
COUNTED_DAYS = 14


def last_acted(connection: Connection) -> dict[str, datetime]:
    """When each table or script last did something, among the newest DECISIONS decisions that acted."""
    found: dict[str, datetime] = {}
    for at, done in connection.execute(
        select(DecisionRow.at, DecisionRow.done)
        .where(DecisionRow.outcome == "acted")
        .order_by(DecisionRow.id.desc())
        .limit(DECISIONS)
    ):
        for step in done:
            found.setdefault(str(step.get("code", "")), at)
    return found


def value_counts(connection: Connection, viewer: Viewer, state_key: str, now: datetime) -> dict[str, int] | None:
    """How many of the tickets made in the last COUNTED_DAYS days have each value; None for a field not counted.

    Of the newest COUNTED_ITEMS tickets at most; of a set field every member counts."""
    custom = state_key.startswith(CUSTOM)
    column = WorkItem.fields if custom else getattr(WorkItem, state_key, None)
    if column is None:
        return None
    values = connection.execute(
        select(column)
        .where(WorkItem.created_at >= now - timedelta(days=COUNTED_DAYS), visible(viewer))
        .order_by(WorkItem.id.desc())
        .limit(COUNTED_ITEMS)
    ).scalars()
    counts: Counter[str] = Counter()
    for value in values:
        one = (value or {}).get(state_key.removeprefix(CUSTOM)) if custom else value
        if one is None:
            continue
        members = one if isinstance(one, (list, tuple)) else [one]
        counts.update("true" if member is True else "false" if member is False else str(member) for member in members)
    return dict(counts)


def used_by(entries: Sequence[Stored], needle: str) -> list[Stored]:
    """The entries whose live version or draft names this script, template or connection in some cell or column.

    A needle ending in "." finds columns of a connection ("erp." finds erp.find_party.receivable)."""
    return [
        one
        for one in entries
        if one.code != needle and any(_names(content, needle) for content in (one.content, one.draft) if content)
    ]


def _names(value: object, needle: str) -> bool:
    if isinstance(value, str):
        return value.startswith(needle) if needle.endswith(".") else value == needle
    if isinstance(value, Mapping):
        return any(_names(one, needle) for one in value.values())
    if isinstance(value, (list, tuple)):
        return any(_names(one, needle) for one in value)
    return False


def taken_ids(connection: Connection, code: str) -> list[str]:
    """The ids of rows and columns of every version, which new ones must not take."""
    return ids([one.content for one in rule_list.versions(connection, code)])
