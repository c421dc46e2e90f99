"""Scripts that are at work on an item: a card that one of them may write is unknown until it has ended.

A run's end stands behind the events that came meanwhile, so these do not wait for it: their rows that look at such a
card are skipped, and decided again when the run's own event has been (docs/decisions/0012).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, bindparam, func, select

from jobs.live import Desk, LiveScript
from jobs.second_looks import decide_again
from jobs.tables import DecisionRow, Fired, RunRow
from rules.facts import Facts
from tickets.db import table_of
from tickets.events import Event, EventKind, decided_about
from tickets.prepared import Prepared
from tickets.tables import EventRow
from tickets.values import JSON

log = logging.getLogger(__name__)

#: Runs of one item that are looked at, the oldest first; of more, the next ones count when these have ended.
RUNS = 100
#: Decisions of one item since a run was asked for that are looked through for rows that it kept from being decided,
#: the newest first. That there were more is logged.
DECISIONS = 200
#: What an event says of the run that was called off with it.
CALLED_OFF = "called_off_run"
_TO_BE_HANDLED = ("pending", "waiting")


def with_scripts_at_work(
    facts: Facts, connection: Connection, desk: Desk, event: Event, later: Sequence[Event]
) -> Facts:
    """The facts of `event` with the scripts that may still write cards of its item, where any table looks at cards."""
    if not desk.ruleset.looks_at_cards:
        return facts
    return replace(facts, writing=at_work(connection, desk.scripts, event.item_id, later))


def at_work(
    connection: Connection, scripts: Mapping[str, LiveScript], item_id: int, later: Sequence[Event] = ()
) -> Mapping[str, Mapping[str, JSON]]:
    """The scripts that may still write cards of this item, as `rules.facts.Facts.writing`.

    Those that are queued or run, and those that have ended but whose own event, among `later`, is still to be handled.
    One that was handled, or set aside, brings no card any more to an event that is given back."""
    found: dict[str, dict[str, Any]] = {}
    runs = [(row.id, row.script, row.version) for row in _UNFINISHED.all(connection, {"item": item_id})]
    ended = [one for one in later if one.kind is EventKind.SCRIPT]
    if ended:
        left = select(EventRow.id).where(
            EventRow.id.in_([one.id for one in ended]), EventRow.status.in_(_TO_BE_HANDLED)
        )
        open_ids = set(connection.execute(left).scalars())
        keys = {_key(one): one for one in ended if one.id in open_ids}
        roots = {one.root_id for one in keys.values()}
        done = connection.execute(select(Fired.row_key).where(Fired.root_id.in_(roots), Fired.row_key.in_(keys)))
        for row in done:  # the event that waited for this run has applied it
            keys.pop(row.row_key, None)
        runs += [(_run_of(one), str(one.payload["script"]), one.payload.get("version")) for one in keys.values()]
    for run_id, code, version in runs:
        script = scripts.get(code)
        if script is not None and version == script.version and not _writes_cards(script.content):
            continue
        line = found.setdefault(code, {"name": script.name if script else code, "runs": []})
        line["runs"].append(run_id)
    return found


def without(writing: Mapping[str, Mapping[str, JSON]], run_id: int) -> Mapping[str, Mapping[str, JSON]]:
    """The scripts at work but for this run."""
    left = {
        code: {**script, "runs": [one for one in cast(Sequence[int], script["runs"]) if one != run_id]}
        for code, script in writing.items()
    }
    return {code: script for code, script in left.items() if script["runs"]}


def run_key(script: str, run_id: JSON) -> str:
    """What says in the ledger of the chain that a run's actions were applied: by the event that waited, or its own."""
    return f"{script}/run{run_id}"


def _run_of(ended: Event) -> int:
    return cast(int, ended.payload["run_id"])


def _key(ended: Event) -> str:
    return run_key(str(ended.payload["script"]), _run_of(ended))


def _writes_cards(content: Mapping[str, Any]) -> bool:
    """Whether the script may: a version whose manifest nobody wrote down may do anything."""
    manifest = content.get("manifest")
    actions = manifest.get("actions") if isinstance(manifest, Mapping) else None
    return not isinstance(actions, list) or "set_context" in actions or "*" in actions


def noted(facts: Facts) -> dict[str, JSON]:
    """What is kept with a row that could not be decided: the runs that were at work then."""
    runs = [run for script in facts.writing.values() for run in cast(Sequence[int], script["runs"])]
    return {"runs": list(runs)} if runs else {}


def look_again(connection: Connection, event: Event, now: datetime) -> bool:
    """Once the event of a run's end, or of its being called off, is handled: have the rows decided that could not be
    while it was at work.

    True when there are such rows."""
    if event.kind is EventKind.SCRIPT:
        run_id = _run_of(event)
    elif CALLED_OFF in event.payload:
        run_id = cast(int, event.payload[CALLED_OFF])
    else:
        return False
    rows = _kept_by(connection, event.item_id, run_id)
    decide_again(connection, event.item_id, dict(sorted(rows.items())), {"run": run_id}, now)
    return bool(rows)


def waiting_rows(connection: Connection, item_id: int, run_id: int) -> tuple[str, ...]:
    """The rows that wait for the own event of this run to be handled."""
    rows = _kept_by(connection, item_id, run_id)
    return tuple(dict.fromkeys(key for event_id in sorted(rows) for key in rows[event_id]))


def waiting_for(run_id: JSON, skipped: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of these rows that were left out, as decisions store them, those that wait for this run; each once."""
    return list(dict.fromkeys(str(one["row"]) for one in skipped if run_id in one.get("runs", ())))


def _kept_by(connection: Connection, item_id: int, run_id: int) -> dict[int, list[str]]:
    """The rows that could not be decided while this run was at work, by the event that they belong to."""
    rows: dict[int, list[str]] = {}
    asked = select(func.min(DecisionRow.id)).join(RunRow, RunRow.event_id == DecisionRow.event_id)
    decisions = connection.execute(
        select(DecisionRow.skipped, EventRow.id, EventRow.kind, EventRow.payload)
        .join(EventRow, EventRow.id == DecisionRow.event_id)
        .where(
            DecisionRow.item_id == item_id,
            DecisionRow.id >= func.coalesce(asked.where(RunRow.id == run_id).scalar_subquery(), 0),
            EventRow.status == "done",
        )
        .order_by(DecisionRow.id.desc())
        .limit(DECISIONS + 1)
    ).all()
    if len(decisions) > DECISIONS:
        log.warning("script.looked_back_no_further", extra={"item": item_id, "run": run_id, "most": DECISIONS})
    for one in decisions[:DECISIONS]:
        event_id = decided_about(one.id, one.kind, one.payload)
        if waiting := waiting_for(run_id, one.skipped):
            known = rows.setdefault(event_id, [])
            known += [key for key in waiting if key not in known]
    return rows


_RUNS = table_of(RunRow)
_UNFINISHED = Prepared(
    select(_RUNS.c.id, _RUNS.c.script, _RUNS.c.version)
    .where(_RUNS.c.item_id == bindparam("item"), _RUNS.c.finished_at.is_(None))
    .order_by(_RUNS.c.id)
    .limit(RUNS)
)
