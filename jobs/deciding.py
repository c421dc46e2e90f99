"""Trip (a), the first half: what the decision of an event reads, and what the rule list says. Nothing is written here.

One read transaction gathers everything; deciding itself is pure. `jobs.applying` carries out what comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, bindparam, select

from jobs import lanes
from jobs.facts import card_fact, gather, gather_on, ledger
from jobs.holding import Held, first_wait, hold, planned_again
from jobs.live import Desk
from jobs.scripts_at_work import run_key, with_scripts_at_work, without
from jobs.services import Services
from jobs.tables import DecisionRow, Fired, Root, RunRow
from rules.actions import Call, plan, plan_calls, staged_by
from rules.engine import Decision, Planned, decide
from rules.errors import ActionRefused
from rules.facts import Facts
from rules.ruleset import RuleSet
from rules.trace import Trace
from tickets import clocks, store
from tickets.db import table_of
from tickets.effects import AddTo, Effect, RemoveFrom, SetContext, SetField
from tickets.events import SECOND_LOOKS, Cause, Event, EventKind
from tickets.item import Item
from tickets.prepared import Prepared
from tickets.tables import EventRow
from tickets.values import JSON, from_iso, iso, record


@dataclass(slots=True)
class Outcome:
    """What one step of a decision came to, as the ticket page shows it."""

    row_key: str
    code: str
    version: int
    row: str
    step: str
    action: str
    params: Mapping[str, JSON]
    effects: tuple[Effect, ...]
    cause: Cause
    result: str = "done"
    reason: str = ""
    changes: list[dict[str, JSON]] = field(default_factory=list)

    def summary(self) -> dict[str, JSON]:
        return {
            "row_key": self.row_key,
            "code": self.code,
            "version": self.version,
            "row": self.row,
            "step": self.step,
            "action": self.action,
            "params": dict(self.params),
            "result": self.result,
            "reason": self.reason,
            "changes": list(self.changes),
        }


@record
class Read:
    """Everything one decision needs, from one read transaction."""

    event: Event
    item: Item
    facts: Facts
    desk: Desk
    held: frozenset[str]
    effects_left: int
    may_wait: bool  # for a script; False where the chain is too long for one to be run at all
    progress: Mapping[str, Any]
    since: int  # sequence whose later person changes make a step "overtaken"
    only_rows: frozenset[str] | None = None
    run_actions: tuple[Mapping[str, JSON], ...] = ()
    run_cause: Cause | None = None
    awaited: store.AnyRow | None = None  # the run this event waits for, as it stands


# Reading ---------------------------------------------------------------------------------------------------------


def read_next(services: Services, connection: Connection, following: lanes.Next, now: datetime) -> Read:
    """What the decision of a lane's next event needs, where its item and the revision are at hand already."""
    return _read(services, connection, following.row, following.item, following.revision, now)


def read_event(services: Services, connection: Connection, row: store.AnyRow, now: datetime) -> Read:
    """What the decision of the event of this row needs."""
    return _read(services, connection, row, store.read_item(connection, row.item_id), None, now)


def _read(
    services: Services, connection: Connection, row: store.AnyRow, item: Item, revision: int | None, now: datetime
) -> Read:
    event = store.event_of(row)
    desk = services.live.current(connection, revision)
    later = store.later_changes(connection, item.id, event.seq) if item.last_seq > event.seq else []
    progress: Mapping[str, Any] = row.progress or {}
    held: frozenset[str] = frozenset()
    used = 0
    if progress or event.root_id != event.id:  # else this event begins its chain, and nothing can have fired
        held = frozenset(one.row_key for one in _HELD.all(connection, {"root": event.root_id}))
        used = _USED.scalar(connection, {"root": event.root_id}) or 0
    facts = gather(connection, event, item, later, desk.vocabulary, now, own_root_stays=bool(progress))
    if event.kind is EventKind.TIMER and _is_over(connection, event, item):
        payload = {**event.payload, "overtaken": True}
        facts = replace(facts, event={**facts.event, "payload": payload})
    left = services.settings.effects_per_root - used
    read = _around(services, connection, event, item, facts, desk, later, progress, held, left)
    if "run" in progress:
        return _with_awaited(connection, read)
    if event.kind is EventKind.SCRIPT:
        return _with_run(connection, read)
    if event.kind in SECOND_LOOKS:
        return _with_original(connection, read, now)
    return read


#: Events that are followed by nothing but what they say: no answer, run or timer came with them, no part was done.
PLAIN = frozenset({EventKind.CREATED, EventKind.CHANGED, EventKind.MESSAGE, EventKind.FORM, EventKind.UNDONE})


def read_on(
    services: Services,
    connection: Connection,
    read: Read,
    outcomes: Sequence[Outcome],
    fired: Sequence[str],
    written: store.Written,
    now: datetime,
    *,
    as_read: bool,
) -> Read | None:
    """`read_next` for the event that the changes of one became, in the transaction that wrote it: without reading what
    is known. None where it has to be read.

    The caller knows that the new event is the next of its lane; with `as_read` that nobody else wrote since `read` was,
    else what is told of customer, message and cards is read again. What rows of its chain did elsewhere meanwhile is
    not in it: enough for an event that comes to nothing, and one that does more is read and decided again by itself."""
    event, item = written.event, written.item
    if event is None or item is None or event.kind is not EventKind.CHANGED:
        return None
    if read.event.kind not in PLAIN or read.progress:
        return None
    effects = [effect for one in outcomes for effect in one.effects]
    if not all(isinstance(effect, (SetField, AddTo, RemoveFrom)) for effect in effects):
        return None
    vocabulary = read.desk.vocabulary
    if as_read:
        facts = gather_on(connection, read.facts, event, item, vocabulary, now)
    else:
        facts = gather(connection, event, item, (), vocabulary, now)
    held, left = read.held | frozenset(fired), read.effects_left - len(effects)
    return _around(services, connection, event, item, facts, read.desk, [], {}, held, left)


def _is_over(connection: Connection, event: Event, item: Item) -> bool:
    """Whether what this timer waited for ended before its event had its turn: with an answer, say."""
    if event.payload.get("trigger") == "schedule":
        return False
    watched = store.watched(item)
    return clocks.current_episode(connection, str(event.payload["timer"]), item.id, watched) != event.payload["episode"]


def _around(
    services: Services,
    connection: Connection,
    event: Event,
    item: Item,
    facts: Facts,
    desk: Desk,
    later: Sequence[Event],
    progress: Mapping[str, Any],
    held: frozenset[str],
    left: int,
) -> Read:
    """With what rows and scripts have done for the item before, where the rules look at that."""
    if desk.ruleset.rearms:
        facts = replace(facts, ledger=ledger(connection, item.id))
    facts = with_scripts_at_work(facts, connection, desk, event, later)
    return Read(
        event=event,
        item=item,
        facts=facts,
        desk=desk,
        held=held,
        effects_left=max(0, left),
        may_wait=event.depth < services.settings.depth_per_root,
        progress=progress,
        since=event.seq,
    )


def _with_run(connection: Connection, read: Read) -> Read:
    """The event of a finished run carries what the script collected; it is applied once, here."""
    run = connection.execute(
        select(RunRow.id, RunRow.script, RunRow.version, RunRow.status, RunRow.outcome, RunRow.event_id).where(
            RunRow.id == read.event.payload["run_id"]
        )
    ).one()
    asked_at = connection.execute(select(EventRow.seq).where(EventRow.id == run.event_id)).scalar_one()
    cause, actions = _collected(read, run)
    return replace(read, run_actions=actions, run_cause=cause, since=asked_at)


def _collected(read: Read, run: store.AnyRow) -> tuple[Cause, tuple[Mapping[str, JSON], ...]]:
    """The cause of a run's actions, and the actions; none when they were applied before, or are not to be."""
    script = read.desk.scripts.get(run.script)
    cause = Cause("script", run.script, run.version, "", run.id, None, script.name if script else run.script)
    well = run.status in ("finished", "stopped") and run_key(cause.code, cause.run_id) not in read.held
    return cause, tuple(run.outcome.get("actions", ())) if well else ()


def run_row_key(event: Event, row_key: str, step: str) -> str:
    """The name of the run that this step asked for: the same step asks for it once."""
    return f"ev{event.id}:{row_key}:{step}"


def _with_awaited(connection: Connection, read: Read) -> Read:
    """An event that waits for a run applies, once that has ended, what it collected."""
    run = connection.execute(AWAITED, {"key": read.progress["run"]}).one()
    cause, actions = _collected(read, run)
    if run.finished_at is not None:
        # Its own event comes later, but what it collected is applied now.
        read = replace(read, facts=replace(read.facts, writing=without(read.facts.writing, run.id)))
    return replace(read, run_actions=actions, run_cause=cause, awaited=run)


def wait_is_over(services: Services, read: Read) -> bool:
    assert read.awaited is not None
    until = from_iso(str(read.progress["until"]))
    return read.awaited.finished_at is not None or services.clock.now() >= until


def _with_original(connection: Connection, read: Read, now: datetime) -> Read:
    """A second look decides some rows of its original event again, with the facts of then plus what is known since."""
    original_id = cast(int, read.event.payload["event_id"])
    original = store.event(connection, original_id)
    stored = connection.execute(
        select(DecisionRow.facts).where(DecisionRow.event_id == original_id).order_by(DecisionRow.part.desc()).limit(1)
    ).scalar_one()
    then = Facts.from_json(stored)
    answers = {**then.lookups, **read.facts.lookups}
    return replace(
        read,
        facts=replace(then, lookups=answers, context=read.facts.context, writing=read.facts.writing, now=iso(now)),
        only_rows=frozenset(cast(Sequence[str], read.event.payload["rows"])),
        since=original.seq,
    )


# Deciding --------------------------------------------------------------------------------------------------------


def decide_rows(
    read: Read, staged: Mapping[str, JSON], *, effects_left: int | None = None, done: Sequence[Outcome] = ()
) -> tuple[Decision, Held | None]:
    """What the rule list says, up to a script it waits for. A late answer's rows wait for nothing any more.

    `done` is what the event did since its wait for a script ended, before the list goes on."""
    at, only_rows = _resume(read)
    before = {**cast(Mapping[str, JSON], read.progress.get("staged", {})), **staged}
    ruleset = read.desk.ruleset

    def decided(rules: RuleSet) -> Decision:
        return decide(
            rules,
            read.facts,
            held=read.held | frozenset(cast(Iterable[str], read.progress.get("held", ()))),
            after=at,
            staged=before,
            wait_over=frozenset(cast(Iterable[str], read.progress.get("over", ()))),
            only_rows=only_rows,
            effects_left=read.effects_left if effects_left is None else effects_left,
            written_by=written_by(read, done),
            with_trace=True,  # it is stored with the decision
        )

    decision = decided(ruleset)
    if only_rows is not None or not read.may_wait:
        return decision, None
    cut, held = hold(decision, read.desk, read.facts, before)
    if held is not None and ruleset.again:
        # Tables run again behind the whole list, so behind the wait, too: neither done now nor part of why.
        once = hold(decided(replace(ruleset, again=())), read.desk, read.facts, before)
        if once[1] is not None:
            return once
    return cut, held


def written_by(read: Read, outcomes: Iterable[Outcome]) -> Mapping[str, str]:
    """Which entry wrote each field last, of those that this event staged before and with these outcomes.

    It is kept over a wait, so that a table which runs again when a later one wrote what it reads does so in two parts
    as in one. What a script did that the event waited for counts as its entry's; any other came before the list."""
    found = dict(cast(Mapping[str, str], read.progress.get("written", {})))
    for one in outcomes:
        if one.cause.kind == "script" and read.awaited is None:
            continue
        code = str(read.progress["at"]) if one.cause.kind == "script" else one.code
        # Effects that change nothing are not planned at all.
        found.update({it.field: code for it in one.effects if isinstance(it, (SetField, AddTo, RemoveFrom))})
    return found


def go_on(read: Read, staged: Mapping[str, JSON], outcomes: list[Outcome]) -> tuple[Decision, Held | None]:
    """After the wait for a run: the steps that were held, then the rest of the list. `stop` blocks both."""
    run, cause = read.awaited, read.run_cause
    assert run is not None
    assert cause is not None
    rest = cast(Sequence[Mapping[str, JSON]], read.progress.get("rest", ()))
    before = {**cast(Mapping[str, JSON], read.progress.get("staged", {})), **staged}
    refused = any(one.result == "refused" for one in outcomes)
    nothing = Decision((), (), Trace(read.desk.revision, ()), before)
    if run.status == "stopped" and run.finished_at is not None:
        reason = f"{cause.label} stopped it: {run.outcome.get('stop_reason') or 'without a reason'}"
        outcomes += [outcome_of(planned_again(step, ()), "stopped", reason) for step in rest]
        return replace(nothing, notes=(reason,), stopped=reason), None
    left = read.effects_left - sum(len(one.effects) for one in outcomes if one.result == "done")
    planned: list[Planned] = []
    for place, step in enumerate(rest):
        facts = read.facts.with_state(before)
        try:
            effects = plan(str(step["action"]), cast(Mapping[str, JSON], step["params"]), facts, read.desk.vocabulary)
        except ActionRefused as error:
            outcomes.append(outcome_of(planned_again(step, ()), "refused", str(error)))
            continue
        left -= len(effects)
        if left < 0:
            reason = "this chain of events has reached its limit of effects"
            outcomes += [outcome_of(planned_again(one, ()), "stopped", reason) for one in rest[place:]]
            return replace(nothing, planned=tuple(planned), staged=before, notes=(reason,), stopped=reason), None
        again = planned_again(step, effects)
        planned.append(again)
        before.update(staged_by(effects, facts))
        found = first_wait([again], read.desk) if read.may_wait else None
        if found is not None:
            _, script, seconds = found
            rows = tuple(cast(Iterable[str], read.progress.get("held", ())))
            held = Held(again, script, seconds, tuple(rest[place + 1 :]), rows)
            return replace(nothing, planned=tuple(planned), staged=before), held
    done = [*outcomes, *(outcome_of(one) for one in planned)]
    decision, next_held = decide_rows(read, {**staged, **before}, effects_left=left, done=done)
    note = ""
    if run.finished_at is None:
        note = f"{cause.label} took longer than the rules wait for it; they went on without it"
    elif run.status != "finished" or refused:
        note = f"{cause.label} did not end well ({run.status}); the rules went on without it"
    return (
        decision.but(
            planned=(*planned, *decision.planned),
            notes=(note, *decision.notes) if note else decision.notes,
        ),
        next_held,
    )


def _resume(read: Read) -> tuple[str | None, frozenset[str] | None]:
    """Where a waiting event goes on: at its entry, or at the next one when that was removed meanwhile."""
    at = cast("str | None", read.progress.get("at"))
    if at is None:
        return None, read.only_rows
    rest = [one for one in read.desk.ruleset.entries if one.position >= cast(int, read.progress["position"])]
    if any(one.code == at for one in read.desk.ruleset.entries):
        return at, read.only_rows
    return (rest[0].code, read.only_rows) if rest else (None, frozenset())


def with_cards(read: Read, outcomes: Sequence[Outcome]) -> Read:
    """With the cards that a finished run writes by these steps: the rules of the same event see what it found."""
    cards = {
        effect.key: card_fact(effect, one.cause, read.facts.now)
        for one in outcomes
        if one.result == "done"
        for effect in one.effects
        if isinstance(effect, SetContext)
    }
    return replace(read, facts=replace(read.facts, context={**read.facts.context, **cards})) if cards else read


def run_outcomes(read: Read) -> tuple[list[Outcome], dict[str, JSON]]:
    """The collected actions of a finished run, through the tables' own door, and the state they stage.

    A script's actions are applied together or not at all."""
    if read.run_cause is None or not read.run_actions:
        return [], {}
    cause = read.run_cause
    calls = [
        Call(str(one["action"]), cast(Mapping[str, JSON], one["params"]), cast("int | None", one.get("line")))
        for one in read.run_actions
    ]
    refusal = ""
    effects: list[tuple[Effect, ...]] = [()] * len(calls)
    try:
        planned = plan_calls(calls, read.facts, read.desk.vocabulary, effects_left=read.effects_left)
        effects = [one.effects for one in planned]
    except ActionRefused as error:
        refusal = f"{error} Nothing of this run was applied."
    outcomes = [
        Outcome(
            row_key=run_key(cause.code, cause.run_id),
            code=cause.code,
            version=cause.version,
            row="",
            step=str(number),
            action=call.action,
            params=call.params,
            effects=effects[number],
            cause=replace(cause, line=call.line),
            result="refused" if refusal else "done",
            reason=refusal,
        )
        for number, call in enumerate(calls)
    ]
    staged = staged_by([effect for group in effects for effect in group], read.facts)
    return outcomes, staged


def outcome_of(planned: Planned, result: str = "done", reason: str = "") -> Outcome:
    return Outcome(
        row_key=planned.row_key,
        code=planned.code,
        version=planned.version,
        row=planned.row,
        step=planned.step,
        action=planned.action,
        params=planned.params,
        effects=planned.effects,
        cause=Cause("table", planned.code, planned.version, planned.row),
        result=result,
        reason=reason,
    )


# Statements of the hot path, built once -------------------------------------------------------------------------

_FIRED, _ROOTS = table_of(Fired), table_of(Root)
_HELD = Prepared(select(_FIRED.c.row_key).where(_FIRED.c.root_id == bindparam("root")))
_USED = Prepared(select(_ROOTS.c.effects).where(_ROOTS.c.root_id == bindparam("root")))
#: The run that an event waits for, as it stands.
AWAITED = select(RunRow.id, RunRow.script, RunRow.version, RunRow.status, RunRow.outcome, RunRow.finished_at).where(
    RunRow.key == bindparam("key")
)
