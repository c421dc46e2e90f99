"""Trip (a), what is kept of a decision: its event marked done or waiting, its trace with the facts it used, its rows.

All in the transaction that applies the effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from jobs import rows_set_aside
from jobs.asking import ask_for
from jobs.deciding import Outcome, Read, run_row_key, written_by
from jobs.facts import args_key
from jobs.holding import Held
from jobs.queues import Work
from jobs.scripts_at_work import noted, run_key
from jobs.services import Services
from jobs.tables import DecisionRow, Fired, LedgerRow, LookupRow, SkippedRow
from rules.engine import Decision
from rules.facts import LookupKey
from rules.rearm import EPISODE_CHARS, episode
from rules.table import Table, WhenUnknown
from rules.vocabulary import Vocabulary
from tickets.db import table_of, upsert
from tickets.errors import Fenced
from tickets.events import decided_about
from tickets.prepared import Prepared
from tickets.tables import EventRow
from tickets.values import from_iso, iso, text_of

#: How long an event waits for a lookup "never without it", in seconds.
LONGEST_WAIT_S = 86_400


def finish_event(
    services: Services,
    connection: Connection,
    read: Read,
    decision: Decision,
    held: Held | None,
    outcomes: Sequence[Outcome],
    now: datetime,
    hints: set[Work],
) -> datetime | None:
    """Mark the event done, or waiting for lookups or a run; returns when the lane is due again if it waits.

    `outcomes` are all its steps of this part: a waiting event remembers which entry wrote which field last."""
    wait = decision.wait
    values: dict[str, Any] = {"status": "done", "progress": None, "error": ""}
    until: datetime | None = None
    if wait is not None:
        for key in wait.lookups:
            ask_for(connection, read.event, key, now)
        hints.add(Work.ENRICHMENT)
        until = _wait_until(read, wait.entry, wait.seconds, now)
        over = list(read.progress.get("over", ()))
        if now >= until:
            over.append(wait.entry)
            until = now
        position = next(one.position for one in read.desk.ruleset.entries if one.code == wait.entry)
        progress: dict[str, Any] = {
            **({"held": read.progress["held"]} if "held" in read.progress else {}),
            "at": wait.entry,
            "position": position,
            "staged": dict(decision.staged),
            "until": iso(until),
            "over": over,
            "part": int(read.progress.get("part", 0)) + 1,
            "written": dict(written_by(read, outcomes)),
        }
        values = {"status": "waiting", "progress": progress, "error": ""}
    elif held is not None:
        until = now + timedelta(seconds=held.seconds)
        entry = next(one for one in read.desk.ruleset.entries if one.code == held.at.code)
        values["status"] = "waiting"
        values["progress"] = {
            "at": entry.code,
            "position": entry.position,
            "staged": dict(decision.staged),
            "until": iso(until),
            "over": list(read.progress.get("over", ())),
            "part": int(read.progress.get("part", 0)) + 1,
            "run": run_row_key(read.event, held.at.row_key, held.at.step),
            "written": dict(written_by(read, outcomes)),
            "held": list(held.rows),
            "rest": [dict(one) for one in held.rest],
        }
    if _FINISH.run(connection, {"event": read.event.id, **values}) != 1:
        raise Fenced(f"Event {read.event.id} was already handled")
    fired = list(decision.fired)
    if read.run_cause is not None and read.run_actions:
        fired.append(run_key(read.run_cause.code, read.run_cause.run_id))
    if fired:
        _INSERT_FIRED.run_many(connection, [{"root_id": read.event.root_id, "row_key": row_key} for row_key in fired])
    _enter(connection, read, decision.fired, now)
    return until


def _enter(connection: Connection, read: Read, fired: Sequence[str], now: datetime) -> None:
    """Enter rows that do not fire every time into the ledger, for the episode they fired for."""
    rearms = read.desk.ruleset.rearms
    for key in fired:
        if key not in rearms:
            continue
        line = {"item_id": read.event.item_id, "row_key": key, "episode": episode(read.facts)[:EPISODE_CHARS]}
        again = {"event_id": read.event.id, "at": now}
        statement = upsert(connection, LedgerRow).values(**line, **again)
        connection.execute(statement.on_conflict_do_update(index_elements=list(line), set_=again))


def _wait_until(read: Read, entry: str, seconds: float | None, now: datetime) -> datetime:
    """The end of the wait: fixed when it began, however often the lane is woken meanwhile.

    That for a script ended another one: what the same table asks after it has its own."""
    stored = read.progress.get("until")
    if stored and read.progress.get("at") == entry and "run" not in read.progress:
        return from_iso(str(stored))
    return now + timedelta(seconds=LONGEST_WAIT_S if seconds is None else min(seconds, LONGEST_WAIT_S))


def record(
    connection: Connection,
    read: Read,
    decision: Decision,
    outcomes: Sequence[Outcome],
    applied: int | None,
    decide_us: int,
    now: datetime,
    *,
    waits: bool,
) -> bool:
    """Store the decision with its facts and trace. True when rows were skipped for want of an answer."""
    part = int(read.progress.get("part", 0))
    outcome = "waiting" if waits else "acted" if outcomes else "checked"
    _INSERT_DECISION.run(
        connection,
        {
            "event_id": read.event.id,
            "item_id": read.event.item_id,
            "part": part + 1,
            "revision": read.desk.revision,
            "facts": read.facts.to_text(),
            "trace": decision.trace.to_text(),
            "done": text_of([one.summary() for one in outcomes]) if outcomes else [],
            "skipped": [
                {
                    "row": one.row_key,
                    "lookups": [key.name for key in one.lookups],
                    "reason": one.reason,
                    **(noted(read.facts) if not one.failed else {}),
                }
                for one in decision.skipped
            ],
            "notes": list(decision.notes),
            "outcome": outcome,
            "applied_event": applied,
            "decide_us": decide_us,
            "at": now,
        },
    )
    rows_set_aside.keep(connection, read, decision, now)
    # A second look may lack something else: what hangs on the answer that came, or one that was asked for anew since.
    event_id = decided_about(read.event.id, read.event.kind, read.event.payload)
    any_skipped = False
    _ask_at_once(connection, read, decision, now)
    for skipped in decision.skipped:
        for key in skipped.lookups:
            lookup_id = _lookup_id(connection, read.event.item_id, key)
            if lookup_id is not None:
                line = {"event_id": event_id, "row_key": skipped.row_key, "lookup_id": lookup_id}
                statement = upsert(connection, SkippedRow).values(**line)
                # It is there already where the row was skipped before, for one by a table that runs again.
                again = statement.on_conflict_do_update(index_elements=list(line), set_={"settled_at": None})
                connection.execute(again)
                any_skipped = True
    return any_skipped


def _ask_at_once(connection: Connection, read: Read, decision: Decision, now: datetime) -> None:
    """Ask what tables lack that wait for nothing: the answer comes late, and decides the rows that were skipped."""
    tables = {one.code: one.table for one in read.desk.ruleset.entries} if decision.skipped else {}
    for one in decision.skipped:
        table = tables.get(one.row_key.partition("/")[0])
        if table is None or table.wait_s != 0 or one.failed:
            continue
        for key in one.lookups:
            if key.name not in read.facts.lookups and _asks(table, key, read.desk.vocabulary):
                ask_for(connection, read.event, key, now)


def _asks(table: Table, key: LookupKey, vocabulary: Vocabulary) -> bool:
    """Whether a column asks this, or what needs its answer, rather than skip its row."""
    of = {one.id: ".".join(one.field.split(".")[:2]) for one in table.columns}
    own = [one for one in table.columns if of[one.id] == key.name]
    around = own or [one for one in table.columns if of[one.id] in vocabulary.lookups]
    return not around or any(one.unknown is not WhenUnknown.SKIP for one in around)


def _lookup_id(connection: Connection, item_id: int, key: LookupKey) -> int | None:
    return connection.execute(
        select(LookupRow.id).where(
            LookupRow.item_id == item_id,
            LookupRow.connection == key.connection,
            LookupRow.operation == key.operation,
            LookupRow.args_key == args_key(dict(key.args)),
        )
    ).scalar_one_or_none()


# Statements of the hot path, built once -------------------------------------------------------------------------

_EVENTS = table_of(EventRow)
_FINISH = Prepared(
    update(_EVENTS).where(
        _EVENTS.c.id == bindparam("event"), or_(_EVENTS.c.status == "pending", _EVENTS.c.status == "waiting")
    )
)
_INSERT_FIRED = Prepared(insert(table_of(Fired)))
_INSERT_DECISION = Prepared(insert(table_of(DecisionRow)))
