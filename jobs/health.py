"""How well each table and script does: how often it acted, what it cost, and how often colleagues reversed it (N14).

Counted over the last `DAYS` from what is kept anyway: decisions, runs and history. A change counts as *reversed* when a
colleague changed that field of that item away from what the rule had left, within `REVERSED_WITHIN`, before anything
else did; of a set (tags, assignees) each member counts. A status goes on with the work, so only putting it back counts.
What customers do, and what is taken back as a whole (`jobs.undo`), is no reversal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobs.tables import DecisionRow, RunRow
from rules.store import EntryKind, Stored
from rules.table import OTHERWISE
from tickets.events import ActorKind, EventKind
from tickets.item import CUSTOM, STATE_FIELDS
from tickets.tables import EventRow, History
from tickets.values import JSON

#: Days that are looked at; decisions, runs and lines of history read at most, the newest of each.
DAYS = 30
MOST_DECISIONS = 20_000
MOST_RUNS = 20_000
MOST_LINES = 50_000
#: How soon after a rule's change a colleague's counts as reversing it.
REVERSED_WITHIN = timedelta(hours=1)
#: From how many changes on a share of reversals says something, and from which share on a rule is distrusted.
FEWEST_CHANGES = 10
DISTRUSTED = 0.3
#: Seconds that a step by hand is taken to need: what "time saved" is reckoned with. An estimate, and called one.
HAND_S = 20


class Changed(NamedTuple):
    """One line of history. `code`: the rule that made it, "" for anybody else; `agent`: a colleague made it by hand."""

    item: int
    field: str
    before: JSON
    after: JSON
    at: datetime
    code: str
    agent: bool


@dataclass(slots=True)
class Health:
    """What one table or script did in the time looked at. `rows` counts how often each row acted; CPU in ms."""

    acted: int = 0
    last: datetime | None = None
    steps: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    reversed: int = 0
    runs: int = 0
    failed: int = 0
    cpu_ms: int = 0
    calls: int = 0

    @property
    def distrust(self) -> float | None:
        """The share of its changes that colleagues reversed, 0 to 1; None when it made too few to say."""
        return self.reversed / self.changes if self.changes >= FEWEST_CHANGES else None

    @property
    def saved_s(self) -> int:
        """Seconds of handwork it took off people, estimated at `HAND_S` a step; what was reversed saved nothing."""
        return max(0, self.steps - self.reversed) * HAND_S


@dataclass(frozen=True, slots=True)
class Report:
    """The health of every entry, by code. `cut`: there was more than is read, so counts are of the newest part."""

    of: Mapping[str, Health]
    since: datetime
    cut: bool


def report(connection: Connection, now: datetime) -> Report:
    """Count it all, in one reading."""
    since = now - timedelta(days=DAYS)
    found: dict[str, Health] = {}

    def health(code: str) -> Health:
        return found.setdefault(code, Health())

    decisions = connection.execute(
        select(DecisionRow.at, DecisionRow.done)
        .where(DecisionRow.at >= since, DecisionRow.outcome == "acted")
        .order_by(DecisionRow.id.desc())
        .limit(MOST_DECISIONS)
    ).all()
    for at, done in decisions:
        for key, steps in _by_row(done).items():
            one = health(str(steps[0]["code"]))
            one.acted += 1
            one.last = at if one.last is None else max(one.last, at)
            one.steps += sum(step["result"] == "done" for step in steps)
            row = str(steps[0]["row"])
            if row and "/run" not in key:
                one.rows[row] = one.rows.get(row, 0) + 1
    # Not the whole outcome: a month of logs and answers would not fit into the memory of a web process.
    used = RunRow.outcome["usage"]
    runs = connection.execute(
        select(RunRow.script, RunRow.status, used["cpu_ms"].as_integer(), used["calls"].as_integer())
        .where(RunRow.created_at >= since, RunRow.finished_at.is_not(None))
        .order_by(RunRow.id.desc())
        .limit(MOST_RUNS)
    ).all()
    for script, status, cpu_ms, calls in runs:
        one = health(script)
        one.runs += 1
        one.failed += status not in ("finished", "stopped")
        one.cpu_ms += cpu_ms or 0
        one.calls += calls or 0
    lines = changed(connection, since)
    for code, (changes, gone) in reversals(lines).items():
        health(code).changes, health(code).reversed = changes, gone
    cut = len(decisions) == MOST_DECISIONS or len(runs) == MOST_RUNS or len(lines) == MOST_LINES
    return Report(found, since, cut)


def changed(connection: Connection, since: datetime) -> list[Changed]:
    """The newest lines of history of fields, oldest first, at most `MOST_LINES`."""
    rows = connection.execute(
        select(
            History.item_id,
            History.field,
            History.change,
            History.cause,
            History.at,
            EventRow.kind,
            EventRow.actor_kind,
        )
        .join(EventRow, EventRow.id == History.event_id)
        .where(EventRow.at >= since, History.outcome == "done")
        .order_by(History.id.desc())
        .limit(MOST_LINES)
    ).all()
    return [
        Changed(
            row.item_id,
            row.field,
            row.change["before"],
            row.change["after"],
            row.at,
            _code(row.cause),
            row.actor_kind == ActorKind.AGENT and row.kind != EventKind.UNDONE and row.cause.get("kind") == "person",
        )
        for row in reversed(rows)
        if row.field in STATE_FIELDS or row.field.startswith(CUSTOM)
    ]


def reversals(lines: Iterable[Changed]) -> dict[str, tuple[int, int]]:
    """By rule: (the changes it made, those a colleague reversed in time). `lines` oldest first."""
    counts: dict[str, list[int]] = {}
    # Who last set a field, or put in or took out a member of it, and when.
    last: dict[tuple[int, str, str | None], Changed] = {}
    for line in lines:
        for member in _members(line):
            place = (line.item, line.field, member)
            before = last.get(place)
            if line.agent and before is not None and before.code and _away(before, line):
                counts[before.code][1] += 1
            if line.code:
                counts.setdefault(line.code, [0, 0])[0] += 1
            last[place] = line
    return {code: (made, gone) for code, (made, gone) in counts.items()}


def _away(before: Changed, line: Changed) -> bool:
    """Whether a colleague's line reverses the rule's line before it."""
    in_time = line.at - before.at <= REVERSED_WITHIN
    return in_time and (line.field != "status" or line.after == before.before)


def _members(line: Changed) -> Sequence[str | None]:
    """The members of a set that a line touched; of any other field [None], the field as a whole."""
    if not isinstance(line.before, list) and not isinstance(line.after, list):
        return (None,)
    before, after = (set(map(str, one)) if isinstance(one, list) else set() for one in (line.before, line.after))
    return sorted(before ^ after)


def advice(entry: Stored, health: Health, now: datetime, live_since: datetime | None) -> str:
    """Why somebody should look at it: "distrusted", "never" (live all the time, and did nothing), "" for no reason."""
    if health.distrust is not None and health.distrust >= DISTRUSTED:
        return "distrusted"
    idle = not health.acted and not health.runs
    return "never" if entry.enabled and idle and live_since and live_since <= now - timedelta(days=DAYS) else ""


def rows_never(entry: Stored, health: Health) -> list[str]:
    """The ids of a live table's rows that did not act in the time looked at, in their order."""
    if entry.kind is not EntryKind.TABLE or entry.content is None:
        return []
    ids = [str(row["id"]) for row in entry.content.get("rows", ())]
    ids += [OTHERWISE] if entry.content.get("otherwise") else []
    return [one for one in ids if one not in health.rows]


def _by_row(done: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for step in done:
        found.setdefault(str(step["row_key"]), []).append(step)
    return found


def _code(cause: Mapping[str, Any]) -> str:
    return str(cause.get("code") or "") if cause.get("kind") in ("table", "script") else ""
