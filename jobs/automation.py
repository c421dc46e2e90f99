"""Trip (a): one event is decided and its effects are committed, in order, once.

Reading and deciding happen outside any write transaction; the commit is one transaction: fence, revision re-read,
event done, effects on the item as it is now, history with cause, follow-up event with the net change, and rows for
everything that leaves (runs, lookups, mail). Whatever goes wrong before the commit leaves nothing behind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from rq.timeouts import BaseTimeoutException
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import OperationalError

from jobs import lanes
from jobs.asking import ask
from jobs.facts import args_key, gather
from jobs.holding import Held, first_wait, hold, planned_again
from jobs.live import Desk
from jobs.outbox import queue_message
from jobs.queues import Work
from jobs.services import Services
from jobs.tables import DecisionRow, Fired, LookupRow, Root, RunRow, SkippedRow
from rules import store as rule_list
from rules.actions import Call, plan, plan_calls, staged_by
from rules.engine import Decision, Planned, decide
from rules.errors import ActionRefused
from rules.facts import Facts, LookupKey
from rules.trace import Trace
from tickets import store
from tickets.db import table_of
from tickets.effects import (
    AddTo,
    Effect,
    LookUp,
    Notify,
    PostMessage,
    RemoveFrom,
    RunScript,
    SetContext,
    SetField,
    apply,
    writes,
)
from tickets.errors import BadValue, Fenced, UnknownField
from tickets.events import AUTOMATION, Cause, Event, EventKind
from tickets.item import Item
from tickets.tables import EventRow, Message, Notification, TeamMember
from tickets.values import JSON, from_iso, iso

log = logging.getLogger(__name__)

#: How long an event waits for a lookup "never without it", in seconds.
LONGEST_WAIT_S = 86_400
#: Characters of an error kept with its event.
ERROR_CHARS = 2_000


class RevisionChanged(Exception):
    """Somebody published while this event was being decided. Nothing was written; it is decided again."""


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


@dataclass(frozen=True, slots=True)
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


def drain(services: Services, *, budget_s: float | None = None) -> int:
    """Claim due lanes and work them off until none is due or the budget is used up. Returns the events handled."""
    end = time.monotonic() + (services.settings.drain_budget_s if budget_s is None else budget_s)
    handled = 0
    while time.monotonic() < end:
        claim = lanes.claim(services.db, services.clock.now(), lease_s=services.settings.lease_s)
        if not claim.items:
            break
        for item_id in claim.items:
            try:
                handled += work_lane(services, claim.token, item_id)
            except Fenced:
                log.warning("lane.fenced", extra={"item": item_id})
    return handled


def work_lane(services: Services, token: str, item_id: int) -> int:
    """Handle the lane's events in order until none is left or one waits. Raises `Fenced`."""
    handled = 0
    while True:
        row: store.AnyRow | None = None
        try:
            with services.db.read() as connection:
                row = lanes.next_open(connection, item_id)
                read = None if row is None else _read(services, connection, row, services.clock.now())
            if read is None:
                if _release_if_empty(services, token, item_id):
                    return handled
                continue
            more = _handle(services, token, read)
        except RevisionChanged:
            continue
        except (Fenced, OperationalError, BaseTimeoutException):
            raise  # not the event's fault: the lane is another's, the database is away, or RQ's time is up
        except Exception as error:
            if row is None:
                raise
            more = _failed(services, token, item_id, row, error)
        handled += 1
        if not more:
            return handled


def _release_if_empty(services: Services, token: str, item_id: int) -> bool:
    """Give the lane back unless an event came since we looked; looked at again under the lock."""
    with services.db.write() as connection:
        lanes.fence(connection, item_id, token, services.clock.now(), lease_s=services.settings.lease_s)
        if lanes.next_open(connection, item_id) is not None:
            return False
        lanes.release(connection, item_id, token, due_at=None)
        return True


def _handle(services: Services, token: str, read: Read) -> bool:
    """Decide and commit one event. True when the lane may hold more to do at once."""
    if read.awaited is not None and not _wait_is_over(services, read):
        return _wait_on(services, token, read)
    started = time.perf_counter_ns()
    outcomes, staged = _run_outcomes(read)
    decision, held = _go_on(read, staged, outcomes) if read.awaited is not None else _decide(read, staged)
    decide_us = (time.perf_counter_ns() - started) // 1000
    outcomes += [_outcome(one) for one in decision.planned]
    hints: set[Work] = set()
    with services.db.write() as connection:
        now = services.clock.now()
        item = store.read_item(connection, read.event.item_id, lock=True)
        last_seq = lanes.fence(connection, item.id, token, now, lease_s=services.settings.lease_s)
        if rule_list.revision(connection) != read.desk.revision:
            raise RevisionChanged
        applied = _apply(services, connection, read, item, outcomes, now, hints)
        waiting_until = _finish_event(services, connection, read, decision, held, now, hints)
        waits = waiting_until is not None
        skipped = _record(connection, read, decision, outcomes, applied, decide_us, now, waits=waits)
        if skipped:
            hints.add(Work.ENRICHMENT)
        if waiting_until is not None:
            lanes.release(connection, item.id, token, due_at=waiting_until)
            more = False
        else:
            more = applied is not None or last_seq > read.event.seq
            if not more:
                lanes.release(connection, item.id, token, due_at=None)
    for work in hints:
        services.queues.hint(work)
    return more


# Reading ---------------------------------------------------------------------------------------------------------


def _read(services: Services, connection: Connection, row: store.AnyRow, now: datetime) -> Read:
    event = store.event_of(row)
    desk = services.live.current(connection)
    item = store.read_item(connection, event.item_id)
    later = store.later_events(connection, item.id, event.seq) if item.last_seq > event.seq else []
    progress: Mapping[str, Any] = row.progress or {}
    held: frozenset[str] = frozenset()
    used = 0
    if progress or event.root_id != event.id:  # else this event begins its chain, and nothing can have fired
        held = frozenset(connection.execute(_HELD, {"root": event.root_id}).scalars().all())
        used = connection.execute(_USED, {"root": event.root_id}).scalar_one_or_none() or 0
    read = Read(
        event=event,
        item=item,
        facts=gather(connection, event, item, later, desk.vocabulary, now, own_root_stays=bool(progress)),
        desk=desk,
        held=held,
        effects_left=max(0, services.settings.effects_per_root - used),
        may_wait=event.depth < services.settings.depth_per_root,
        progress=progress,
        since=event.seq,
    )
    if "run" in progress:
        return _with_awaited(connection, read)
    if event.kind is EventKind.SCRIPT:
        return _with_run(connection, read)
    if event.kind is EventKind.LATE_ANSWER:
        return _with_original(connection, read, now)
    return read


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
    well = run.status in ("finished", "stopped") and _run_key(cause) not in read.held
    return cause, tuple(run.outcome.get("actions", ())) if well else ()


def _run_key(cause: Cause) -> str:
    """What says in the ledger of the chain that a run's actions were applied: by the event that waited, or its own."""
    return f"{cause.code}/run{cause.run_id}"


def _with_awaited(connection: Connection, read: Read) -> Read:
    """An event that waits for a run applies, once that has ended, what it collected."""
    run = connection.execute(_AWAITED, {"key": read.progress["run"]}).one()
    cause, actions = _collected(read, run)
    return replace(read, run_actions=actions, run_cause=cause, awaited=run)


def _wait_is_over(services: Services, read: Read) -> bool:
    assert read.awaited is not None
    until = from_iso(str(read.progress["until"]))
    return read.awaited.finished_at is not None or services.clock.now() >= until


def _wait_on(services: Services, token: str, read: Read) -> bool:
    """Woken by something else: give the lane back until the wait is over. True when the run ended meanwhile."""
    with services.db.write() as connection:
        # The end of a run is written under the item's lock, so it is either seen here or wakes the lane afterwards.
        store.read_item(connection, read.event.item_id, lock=True)
        lanes.fence(connection, read.event.item_id, token, services.clock.now(), lease_s=services.settings.lease_s)
        if connection.execute(_AWAITED, {"key": read.progress["run"]}).one().finished_at is not None:
            return True
        lanes.release(connection, read.event.item_id, token, due_at=from_iso(str(read.progress["until"])))
    return False


def _with_original(connection: Connection, read: Read, now: datetime) -> Read:
    """A late answer decides the skipped rows of its original event again, with the facts of then plus the answer."""
    original_id = cast(int, read.event.payload["event_id"])
    original = store.event(connection, original_id)
    stored = connection.execute(
        select(DecisionRow.facts).where(DecisionRow.event_id == original_id).order_by(DecisionRow.part.desc()).limit(1)
    ).scalar_one()
    then = Facts.from_json(stored)
    answers = {**then.lookups, **read.facts.lookups}
    return replace(
        read,
        facts=replace(then, lookups=answers, context=read.facts.context, now=iso(now)),
        only_rows=frozenset(cast(Sequence[str], read.event.payload["rows"])),
        since=original.seq,
    )


# Deciding --------------------------------------------------------------------------------------------------------


def _decide(read: Read, staged: Mapping[str, JSON], *, effects_left: int | None = None) -> tuple[Decision, Held | None]:
    """What the rule list says, up to a script it waits for. A late answer's rows wait for nothing any more."""
    at, only_rows = _resume(read)
    before = {**cast(Mapping[str, JSON], read.progress.get("staged", {})), **staged}
    decision = decide(
        read.desk.ruleset,
        read.facts,
        held=read.held | frozenset(cast(Iterable[str], read.progress.get("held", ()))),
        after=at,
        staged=before,
        wait_over=frozenset(cast(Iterable[str], read.progress.get("over", ()))),
        only_rows=only_rows,
        effects_left=read.effects_left if effects_left is None else effects_left,
    )
    if only_rows is not None or not read.may_wait:
        return decision, None
    return hold(decision, read.desk, read.facts, before)


def _go_on(read: Read, staged: Mapping[str, JSON], outcomes: list[Outcome]) -> tuple[Decision, Held | None]:
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
        outcomes += [_outcome(planned_again(step, ()), "stopped", reason) for step in rest]
        return replace(nothing, notes=(reason,), stopped=reason), None
    left = read.effects_left - sum(len(one.effects) for one in outcomes if one.result == "done")
    planned: list[Planned] = []
    for place, step in enumerate(rest):
        facts = read.facts.with_state(before)
        try:
            effects = plan(str(step["action"]), cast(Mapping[str, JSON], step["params"]), facts, read.desk.vocabulary)
        except ActionRefused as error:
            outcomes.append(_outcome(planned_again(step, ()), "refused", str(error)))
            continue
        left -= len(effects)
        if left < 0:
            reason = "this chain of events has reached its limit of effects"
            outcomes += [_outcome(planned_again(one, ()), "stopped", reason) for one in rest[place:]]
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
    decision, next_held = _decide(read, {**staged, **before}, effects_left=left)
    note = ""
    if run.finished_at is None:
        note = f"{cause.label} took longer than the rules wait for it; they went on without it"
    elif run.status != "finished" or refused:
        note = f"{cause.label} did not end well ({run.status}); the rules went on without it"
    return (
        replace(
            decision,
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


def _run_outcomes(read: Read) -> tuple[list[Outcome], dict[str, JSON]]:
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
            row_key=_run_key(cause),
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


def _outcome(planned: Planned, result: str = "done", reason: str = "") -> Outcome:
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


# Applying --------------------------------------------------------------------------------------------------------


def _apply(
    services: Services,
    connection: Connection,
    read: Read,
    item: Item,
    outcomes: Sequence[Outcome],
    now: datetime,
    hints: set[Work],
) -> int | None:
    """Apply all effects to the item as it is now. Returns the id of the follow-up event, None when nothing changed."""
    event = read.event
    settings = services.settings
    if not outcomes:
        return None
    if event.depth >= settings.depth_per_root:
        for outcome in outcomes:
            outcome.result = "stopped"
            outcome.reason = f"the chain is {settings.depth_per_root} automatic steps long"
        return None
    taken = _fields_people_changed(connection, item, read.since) if item.last_seq > read.since else {}
    lines: list[store.Lines] = []
    messages: list[store.NewMessage] = []
    cards: list[store.NewContext] = []
    rings: list[tuple[Outcome, Notify]] = []
    runs: list[tuple[Outcome, RunScript]] = []
    asks: list[LookUp] = []
    state: Mapping[str, JSON] = item.state
    for outcome in outcomes:
        if outcome.result != "done":
            continue
        for effect in outcome.effects:
            if read.event.kind is EventKind.LATE_ANSWER and _sent_already(connection, read, effect):
                outcome.result, outcome.reason = "skipped", "it was already done when the answer was not there yet"
                continue
            match effect:
                case SetField() | AddTo() | RemoveFrom():
                    who = taken.get(effect.field)
                    if who is not None:
                        outcome.result, outcome.reason = "overtaken", f"{who} changed {effect.field} in between"
                        continue
                    state, changes = apply(state, (effect,))
                    outcome.changes += [
                        {"field": one.field, "before": one.before, "after": one.after} for one in changes
                    ]
                    lines.append(store.Lines((effect,), outcome.cause))
                case PostMessage():
                    messages.append(_bot_message(effect, item, outcome.cause))
                case SetContext():
                    cards.append(_card(effect, outcome.cause, now))
                case Notify():
                    rings.append((outcome, effect))
                case RunScript():
                    runs.append((outcome, effect))
                case LookUp():
                    asks.append(effect)
    root = _spend(connection, event, item.id, sum(len(one.effects) for one in outcomes), now)
    chain = store.Chain(root_id=root, depth=event.depth + 1)
    written = store.change_item(
        connection, item, lines=lines, actor=AUTOMATION, now=now, messages=messages, context=cards, chain=chain
    )
    anchor = written.event_id if written.event_id is not None else event.id
    for outcome in outcomes:
        if outcome.result == "overtaken":
            for effect in outcome.effects:
                store.not_done(
                    connection,
                    item.id,
                    anchor,
                    field=writes(effect) or "",
                    value=cast(JSON, getattr(effect, "value", None)),
                    cause=outcome.cause,
                    outcome="overtaken",
                    now=now,
                )
    for message, message_id in zip(messages, written.message_ids, strict=True):
        if message.public:
            queue_message(connection, item, message_id, now)
            hints.add(Work.OUTBOX)
    for outcome, ring in rings:
        users = _users(connection, ring)
        key = f"ev{event.id}:{outcome.row_key}:{outcome.step}"
        store.notify(connection, users, item.id, ring.text, cause=outcome.cause, key=key, now=now)
    for outcome, run in runs:
        if _queue_run(connection, read, outcome, run, root, anchor, now):
            hints.add(Work.SCRIPTS)
    for one in asks:
        ask(connection, item.id, one.connection, one.operation, one.args, root=root, depth=event.depth + 1, now=now)
        hints.add(Work.ENRICHMENT)
    return written.event_id


def _sent_already(connection: Connection, read: Read, effect: Effect) -> bool:
    """Whether the original event's decision already sent this: a late answer sends nothing twice."""
    item_id = read.event.item_id
    match effect:
        case PostMessage():
            same = select(Message.id).where(
                Message.item_id == item_id,
                Message.seq > read.since,
                Message.author_kind == "bot",
                Message.public == effect.public,
                Message.text == effect.text,
            )
            return connection.execute(same.limit(1)).first() is not None
        case Notify():
            rung = select(Notification.id).where(
                Notification.item_id == item_id,
                Notification.text == effect.text[: store.NOTIFICATION_CHARS],
                Notification.created_at >= from_iso(str(read.facts.event["at"])),
            )
            return connection.execute(rung.limit(1)).first() is not None
        case RunScript():
            ran = select(RunRow.params).where(RunRow.root_id == read.event.root_id, RunRow.script == effect.script)
            return any(params == dict(effect.params) for params in connection.execute(ran).scalars())
        case _:
            return False


def _fields_people_changed(connection: Connection, item: Item, since: int) -> dict[str, str]:
    """Fields a person changed after this sequence, and who."""
    return {
        change.field: event.actor.name or event.actor.ref
        for event in store.later_events(connection, item.id, since)
        if event.actor.kind.is_person
        for change in event.changes
    }


def _bot_message(effect: PostMessage, item: Item, cause: Cause) -> store.NewMessage:
    return store.NewMessage(
        author="bot",
        public=effect.public,
        channel=str(item.state.get("channel", "email")),
        text=effect.text,
        subject=effect.subject,
        language=effect.language,
        author_name="Deskhand",
        automatic=True,
        cause=cause,
    )


def _card(effect: SetContext, cause: Cause, now: datetime) -> store.NewContext:
    return store.NewContext(
        key=effect.key,
        title=effect.title or effect.key,
        data=effect.data,
        source=effect.source,
        fetched_at=from_iso(effect.fetched_at) if effect.fetched_at else now,
        fresh_until=from_iso(effect.fresh_until) if effect.fresh_until else None,
        error=effect.error,
        cause=cause,
    )


def _users(connection: Connection, ring: Notify) -> list[str]:
    members = connection.execute(select(TeamMember.user).where(TeamMember.team.in_(ring.teams))).scalars()
    return sorted({*ring.users, *members})


def _spend(connection: Connection, event: Event, item_id: int, effects: int, now: datetime) -> int:
    """Count effects against the root's budget; makes the root's row when this is its first."""
    spend = _SPEND_SQLITE if connection.dialect.name == "sqlite" else _SPEND_POSTGRESQL
    values = {"root_id": event.root_id, "item_id": item_id, "effects": effects, "started_at": now}
    connection.execute(spend, values)
    return event.root_id


def _run_row_key(event: Event, row_key: str, step: str) -> str:
    return f"ev{event.id}:{row_key}:{step}"


def _queue_run(
    connection: Connection, read: Read, outcome: Outcome, run: RunScript, root: int, anchor: int, now: datetime
) -> bool:
    script = read.desk.scripts.get(run.script)
    if script is None or not script.enabled:
        outcome.result = "skipped"
        outcome.reason = f"script {run.script} is switched off" if script else f"there is no script {run.script}"
        return False
    connection.execute(
        insert(RunRow).values(
            key=_run_row_key(read.event, outcome.row_key, outcome.step),
            item_id=read.event.item_id,
            event_id=read.event.id,
            script=script.code,
            version=script.version,
            params=dict(run.params),
            cause=outcome.cause.to_json(),
            root_id=root,
            depth=read.event.depth + 1,
            status="queued",
            attempt=0,
            due_at=now,
            outcome={},
            created_at=now,
        )
    )
    return True


# Recording -------------------------------------------------------------------------------------------------------


def _finish_event(
    services: Services,
    connection: Connection,
    read: Read,
    decision: Decision,
    held: Held | None,
    now: datetime,
    hints: set[Work],
) -> datetime | None:
    """Mark the event done, or waiting for lookups or a run; returns when the lane is due again if it waits."""
    wait = decision.wait
    values: dict[str, Any] = {"status": "done", "progress": None, "error": ""}
    until: datetime | None = None
    if wait is not None:
        for key in wait.lookups:
            _ask_key(connection, read, key, now)
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
            "run": _run_row_key(read.event, held.at.row_key, held.at.step),
            "held": list(held.rows),
            "rest": [dict(one) for one in held.rest],
        }
    updated = connection.execute(_FINISH, {"event": read.event.id, **values})
    if updated.rowcount != 1:
        raise Fenced(f"Event {read.event.id} was already handled")
    fired = list(decision.fired)
    if read.run_cause is not None and read.run_actions:
        fired.append(_run_key(read.run_cause))
    if fired:
        connection.execute(_INSERT_FIRED, [{"root_id": read.event.root_id, "row_key": row_key} for row_key in fired])
    return until


def _wait_until(read: Read, entry: str, seconds: float | None, now: datetime) -> datetime:
    """The end of the wait: fixed when it began, however often the lane is woken meanwhile."""
    stored = read.progress.get("until")
    if stored and read.progress.get("at") == entry:
        return from_iso(str(stored))
    return now + timedelta(seconds=LONGEST_WAIT_S if seconds is None else min(seconds, LONGEST_WAIT_S))


def _ask_key(connection: Connection, read: Read, key: LookupKey, now: datetime) -> int:
    return ask(
        connection,
        read.event.item_id,
        key.connection,
        key.operation,
        dict(key.args),
        root=read.event.root_id,
        depth=read.event.depth + 1,
        now=now,
    )


def _record(
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
    connection.execute(
        _INSERT_DECISION,
        {
            "event_id": read.event.id,
            "item_id": read.event.item_id,
            "part": part + 1,
            "revision": read.desk.revision,
            "facts": read.facts.to_json(),
            "trace": decision.trace.to_json(),
            "done": [one.summary() for one in outcomes],
            "skipped": [
                {"row": one.row_key, "lookups": [key.name for key in one.lookups], "reason": one.reason}
                for one in decision.skipped
            ],
            "notes": list(decision.notes),
            "outcome": outcome,
            "applied_event": applied,
            "decide_us": decide_us,
            "at": now,
        },
    )
    if read.event.kind is EventKind.LATE_ANSWER:
        return False
    any_skipped = False
    for skipped in decision.skipped:
        for key in skipped.lookups:
            lookup_id = _lookup_id(connection, read.event.item_id, key)
            if lookup_id is not None:
                connection.execute(
                    insert(SkippedRow).values(event_id=read.event.id, row_key=skipped.row_key, lookup_id=lookup_id)
                )
                any_skipped = True
    return any_skipped


def _lookup_id(connection: Connection, item_id: int, key: LookupKey) -> int | None:
    return connection.execute(
        select(LookupRow.id).where(
            LookupRow.item_id == item_id,
            LookupRow.connection == key.connection,
            LookupRow.operation == key.operation,
            LookupRow.args_key == args_key(dict(key.args)),
        )
    ).scalar_one_or_none()


def _failed(services: Services, token: str, item_id: int, row: store.AnyRow, error: Exception) -> bool:
    """An event that could not be handled is tried again, then parked with its reason; the lane goes on after it.

    True when the lane may hold more to do at once."""
    settings = services.settings
    with services.db.write() as connection:
        now = services.clock.now()
        lanes.fence(connection, item_id, token, now, lease_s=settings.lease_s)
        tries = row.tries + 1
        park = tries >= settings.event_tries or isinstance(error, (BadValue, UnknownField))
        log.error("event.failed", exc_info=error, extra={"event": row.id, "tries": tries, "parked": park})
        connection.execute(
            update(EventRow)
            .where(EventRow.id == row.id, EventRow.status.in_(("pending", "waiting")))
            .values(
                tries=tries,
                status="parked" if park else "pending",
                error=f"{type(error).__name__}: {error}"[:ERROR_CHARS],
            )
        )
        if not park:
            lanes.release(connection, item_id, token, due_at=now + timedelta(seconds=2**tries / 2))
    return park


# Statements of the hot path, built once -------------------------------------------------------------------------

_FIRED, _ROOTS, _EVENTS = table_of(Fired), table_of(Root), table_of(EventRow)
_HELD = select(_FIRED.c.row_key).where(_FIRED.c.root_id == bindparam("root"))
_AWAITED = select(RunRow.id, RunRow.script, RunRow.version, RunRow.status, RunRow.outcome, RunRow.finished_at).where(
    RunRow.key == bindparam("key")
)
_USED = select(_ROOTS.c.effects).where(_ROOTS.c.root_id == bindparam("root"))
_FINISH = update(_EVENTS).where(_EVENTS.c.id == bindparam("event"), _EVENTS.c.status.in_(("pending", "waiting")))
_INSERT_FIRED = insert(_FIRED)
_INSERT_DECISION = insert(table_of(DecisionRow))
_SPEND_SQLITE, _SPEND_POSTGRESQL = (
    made.on_conflict_do_update(index_elements=["root_id"], set_={"effects": _ROOTS.c.effects + made.excluded.effects})
    for made in (sqlite_insert(_ROOTS), postgresql_insert(_ROOTS))
)
