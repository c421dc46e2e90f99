"""Trip (b): a queued run is executed by the sandbox, asks through the gateway, and enters its item's lane once.

The worker that claims a run holds a lease on it; a run cut off by a crash is started again, which is safe because
what a script does is only collected until the run has ended well.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, not_, select, update

from connectors.errors import Ambiguous, BadRequest, ConnectorError, NotGranted, Retryable, UnknownOperation
from connectors.system import InputType
from jobs.claims import MOST_CUT_OFF, claim, suspected, times_cut_off
from jobs.facts import gather, history
from jobs.forgetting import Question, forget_late
from jobs.lanes import SUSPECT
from jobs.live import Desk
from jobs.queues import Work
from jobs.services import Services
from jobs.tables import CompiledScript, RunRow
from rules.actions import script_methods
from rules.errors import ActionRefused
from rules.facts import Facts
from rules.fields import clocks_of
from rules.script_params import complete, declared_or_none
from rules.store import VersionRow
from sandbox.client import Sandbox
from sandbox.contract import (
    Answer,
    CallFailed,
    Manifest,
    Method,
    Outcome,
    Param,
    ParamType,
    RunRequest,
    ScriptApi,
    ScriptError,
)
from sandbox.errors import BadContract, Code, ServiceUnavailable
from sandbox.stamp import code_key
from tickets import store
from tickets.db import AWAY, upsert
from tickets.events import AUTOMATION, EventKind
from tickets.item import STATE_FIELDS
from tickets.store import AnyRow
from tickets.values import JSON, iso

log = logging.getLogger(__name__)

#: Where a run that is tried again keeps how often it was for which reason, beside what came of its last try.
TRIED = "tried"
#: Runs one worker drives at the same time, most of them waiting for somebody's answer.
RUNS_AT_ONCE = 32
#: Seconds one job goes on claiming. With the longest run it is well within what RQ gives a job; then it ends when its
#: last run has ended.
BUDGET_S = 60
#: Pauses before a run that failed for want of an answer is tried again, in seconds.
RETRY_S = (60, 300, 1800)
#: Pauses before one whose process was lost is, in seconds. More than one: a host that is being restarted, or what
#: kills once more, is no reason to give up a ticket's script; a script that ends its own process each time is.
LOST_RETRY_S = (5, 15, 45)
#: While no sandbox service answers nothing has begun, so a run waits for one: the shortest and the longest pause, in
#: seconds, and how long, in hours. An upgrade or a night without the service costs no run.
AWAY_PAUSE_S = (5, 30)
AWAY_H = 24
#: Days after which a compiled script is made anew, so that those of old versions go away.
KEEP_CODE_DAYS = 30
#: Problems of a check that say nothing about the script: ours to try again.
_NOT_CHECKED = frozenset({Code.SANDBOX_UNAVAILABLE, Code.LOST, Code.PROTOCOL, Code.CRASH})
#: How scripts write the inputs of operations.
_INPUT_TYPES: Mapping[InputType, ParamType] = {
    InputType.TEXT: "text",
    InputType.EMAIL: "text",
    InputType.INTEGER: "integer",
    InputType.DECIMAL: "decimal",
    InputType.BOOL: "bool",
    InputType.DATE: "date",
    InputType.LINES: "text",
    InputType.BODY: "json",
}
#: What scripts see of a context card beside its data: where they are from, until when they count, why there are none.
_CARD_PARTS = ("title", "source", "fetched_at", "fresh_until", "error")
#: What is handed over whatever the manifest says: whether there is a customer or an event shows through them.
_ALWAYS = frozenset({"ticket.id", "ticket.kind", "customer.id", "event.id", "event.kind"})


class RunGateway:
    """The connectors as one run sees them: read only, errors as sentences, no exception chains.

    A change never comes here: the broker collects it with the run's actions, and the outbox sends it."""

    def __init__(self, services: Services, cause: str) -> None:
        self._services = services
        self._cause = cause

    def call(self, connection: str, operation: str, args: Mapping[str, JSON], *, deadline_s: float) -> Answer:
        try:
            record = self._services.gateway.call(connection, operation, args, deadline_s=deadline_s, cause=self._cause)
        except Ambiguous as error:
            raise CallFailed("ambiguous", error.sentence, list(error.candidates)) from None
        except Retryable as error:
            raise CallFailed("unavailable", error.sentence) from None
        except NotGranted as error:
            raise CallFailed("denied", error.sentence) from None
        except (BadRequest, UnknownOperation) as error:
            raise CallFailed("bad_request", error.sentence) from None
        except ConnectorError as error:
            raise CallFailed("unavailable", error.sentence) from None
        return Answer(
            record.data,
            source=f"{connection}.{operation}",
            fetched_at=iso(record.fetched_at),
            stale=record.cache == "stale",
        )


def script_api(desk: Desk) -> ScriptApi:
    """What scripts of this desk can call: the action catalogue and every operation of its connections.

    Those that write are there where their connection may be written to; they are collected, like actions."""
    connections: dict[str, dict[str, Method]] = {}
    for one in desk.operations:
        writes = one.kind == "write"
        if writes and f"{one.connection}.{one.name}" not in desk.vocabulary.changes:
            continue
        params = tuple(Param(put.name, _INPUT_TYPES[put.type], put.required, put.doc) for put in one.inputs)
        connections.setdefault(one.connection, {})[one.name] = Method(
            one.name, params, one.doc or one.label, writes=writes
        )
    actions = {
        method.name: Method(
            method.name,
            tuple(Param(put.name, put.type, put.required, put.doc) for put in method.params),  # type: ignore[arg-type]
            method.doc,
            writes=True,
        )
        for method in script_methods(desk.vocabulary)
    }
    return ScriptApi(actions, connections)


def manifest_of(sandbox: Sandbox, desk: Desk, content: Mapping[str, Any]) -> Manifest:
    """What this version of a script may read, do and ask: what was agreed to when it was published.

    A version that came without, or with that of another text, from a file for example, gets what its text shows; a
    manifest that cannot be read grants nothing. Raises `ServiceUnavailable`."""
    stored, source = content.get("manifest"), str(content.get("source", ""))
    if stored is None or content.get("manifest_sha256") != _sha256(source):
        checked = sandbox.check(source, script_api(desk))
        for one in checked.problems:
            if one.code in _NOT_CHECKED:
                raise ServiceUnavailable(one.message)
        return checked.manifest
    try:
        return Manifest.from_json(stored)
    except BadContract as error:
        log.error("run.manifest_unreadable", extra={"script": content.get("code"), "reason": str(error)})
        return Manifest()


def with_manifest(content: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """The content of a version with what was agreed that it may do."""
    return {**content, "manifest": manifest.to_json(), "manifest_sha256": _sha256(str(content.get("source", "")))}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def code_for(services: Services, source: str) -> bytes:
    """The compiled form of this source: kept from before, else made now by a child that runs nothing, and kept.

    Empty when there is none to be had; the run then compiles for itself. Raises `ServiceUnavailable`."""
    key = code_key(source)
    with services.db.read() as connection:
        kept = connection.execute(select(CompiledScript.code).where(CompiledScript.key == key)).scalar_one_or_none()
    if kept is not None:
        return bytes(kept)
    made = services.sandbox.compiled(source)
    if made is None:
        return b""
    now = services.clock.now()
    with services.db.write() as connection:
        values = {"key": key, "code": made, "made_at": now}
        connection.execute(upsert(connection, CompiledScript).values(**values).on_conflict_do_nothing())
        old = now - timedelta(days=KEEP_CODE_DAYS)
        connection.execute(delete(CompiledScript).where(CompiledScript.made_at < old))
    return made


def forget_code(services: Services, source: str) -> None:
    """Drop the compiled form of this source; the next run has it made anew."""
    with services.db.write() as connection:
        connection.execute(delete(CompiledScript).where(CompiledScript.key == code_key(source)))


def request(
    desk: Desk,
    source: str,
    manifest: Manifest,
    facts: Facts,
    past: list[dict[str, JSON]],
    params: Mapping[str, JSON],
    seed: int,
) -> RunRequest:
    """The whole input of a run, from the same facts a table sees: of these only what its manifest says it reads."""
    ticket: dict[str, JSON] = dict.fromkeys(STATE_FIELDS)
    ticket.update(clocks_of(facts))
    ticket.update(facts.item)
    words = desk.vocabulary.of(str(facts.item.get("kind")))
    custom = {
        key: value
        for key, value in ((key, ticket.pop(f"fields.{key}", None)) for key in words.custom_fields)
        if manifest.reads(f"ticket.fields.{key}")
    }
    ticket["message"] = facts.message
    ticket = _chosen("ticket", ticket, manifest)
    ticket["fields"] = custom
    ticket["context"] = {key: _card(card) for key, card in facts.context.items() if _reads_card(manifest, key)}
    whole_customer = manifest.reads("ticket.customer")
    return RunRequest(
        source=source,
        api=script_api(desk),
        grants=frozenset((*manifest.operations, *manifest.changes)),
        actions=frozenset(manifest.actions),
        ticket=ticket,
        customer=(
            facts.customer
            if facts.customer is None or whole_customer
            else _chosen("customer", facts.customer, manifest)
        ),
        event=_chosen("event", facts.event, manifest),
        history=tuple(past) if "history.*" in manifest.fields_read else tuple({} for _ in past),
        params=dict(params),
        now=facts.now,
        seed=seed,
    )


def _reads_card(manifest: Manifest, key: str) -> bool:
    """Of a card whose key begins like another's, which has a dot behind it, nothing is handed over with that one."""
    return manifest.reads("ticket.context") or f"ticket.context.{key}" in manifest.fields_read


def _card(card: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"data": card.get("data"), **{part: card.get(part) or None for part in _CARD_PARTS}}


def _chosen(name: str, facts: Mapping[str, JSON], manifest: Manifest) -> dict[str, JSON]:
    return {key: value for key, value in facts.items() if f"{name}.{key}" in _ALWAYS or manifest.reads(f"{name}.{key}")}


def run_due(services: Services, *, budget_s: float = BUDGET_S, stopping: Callable[[], bool] = lambda: False) -> int:
    """Execute every run that is due, up to RUNS_AT_ONCE at the same time, until none is; none is begun any more once
    the budget is used up or the process is to end. Returns how many.

    A place that becomes free is given to the next run at once: one that waits for a slow system holds up nobody. Only
    one that is suspected of its workers' end goes alone."""
    total = 0
    end = time.monotonic() + budget_s
    going: set[Future[None]] = set()
    with ThreadPoolExecutor(max_workers=RUNS_AT_ONCE, thread_name_prefix="run") as pool:
        while True:
            over = stopping() or time.monotonic() >= end
            free = 0 if over else RUNS_AT_ONCE - len(going)
            token = secrets.token_hex(16)
            # Only what can begin now is claimed: a lease must not run out while its run stands in a queue of ours.
            claimed = _claim(services, token, free) if free else []
            going |= {pool.submit(_execute, services, token, row) for row in claimed}
            if not going:
                return total
            alone = any(row.cut_off >= SUSPECT for row in claimed)
            most_s = None if alone else services.settings.sweep_s
            ended, going = wait(going, timeout=most_s, return_when=FIRST_COMPLETED)
            for one in ended:
                one.result()
            if ended:
                total += len(ended)
                services.queues.hint(Work.DRAIN)


_SUSPECTED = suspected(RunRow)
_NOT_SUSPECTED = not_(_SUSPECTED)
_TAKING = {"status": "running", "attempt": RunRow.attempt + 1, "cut_off": times_cut_off(RunRow)}
_TAKEN = (
    RunRow.id,
    RunRow.item_id,
    RunRow.event_id,
    RunRow.script,
    RunRow.version,
    RunRow.params,
    RunRow.root_id,
    RunRow.depth,
    RunRow.attempt,
    RunRow.cut_off,
    RunRow.created_at,
    RunRow.outcome[TRIED].as_json().label(TRIED),
)


def _claim(services: Services, token: str, free: int) -> list[AnyRow]:
    suspect = _take(services, token, 1, _SUSPECTED) if free == RUNS_AT_ONCE else []
    return suspect or _take(services, token, free, _NOT_SUSPECTED)


def _take(services: Services, token: str, limit: int, which: ColumnElement[bool]) -> list[AnyRow]:
    now = services.clock.now()
    return claim(
        services.db,
        RunRow,
        token=token,
        now=now,
        lease_s=services.settings.run_lease_s,
        limit=limit,
        values={**_TAKING, "started_at": now},
        returning=_TAKEN,
        only=(which,),
    )


def _execute(services: Services, token: str, row: AnyRow) -> None:
    try:
        outcome = _outcome(services, row) if row.cut_off < MOST_CUT_OFF else _cut_off(row)
    except AWAY:
        raise
    except Exception as error:
        # It would fail again with every lease for ever, and end the turn of all others each time.
        log.error("run.broken", exc_info=error, extra=_ids(row))
        outcome = Outcome("lost", ScriptError(Code.LOST, f"It could not be run ({type(error).__name__})"))
    _log_refusals(row, outcome)
    _finish(services, row, token, outcome)


def _cut_off(row: AnyRow) -> Outcome:
    log.error("run.cut_off", extra={**_ids(row), "times": row.cut_off})
    return Outcome("lost", ScriptError(Code.LOST, f"The worker that ran it was cut off {row.cut_off} times"))


def _outcome(services: Services, row: AnyRow) -> Outcome:
    """What came of running it once. Raises what nobody foresaw."""
    with services.db.read() as connection:
        desk = services.live.current(connection)
        event = store.event(connection, row.event_id)
        item = store.read_item(connection, row.item_id)
        # The item as the step that asked for this run left it: its own chain's changes are part of the picture.
        later = store.later_events(connection, item.id, event.seq)
        facts = gather(connection, event, item, later, desk.vocabulary, services.clock.now(), own_root_stays=True)
        past = history(connection, item.id, event.seq)
        content: Mapping[str, Any] = connection.execute(
            select(VersionRow.content).where(VersionRow.code == row.script, VersionRow.version == row.version)
        ).scalar_one()
    try:
        # Once more, against the version that runs: whatever asked for it, a script gets what it declares and no more.
        given = complete(declared_or_none(content), row.params)
        manifest = manifest_of(services.sandbox, desk, content)
        asked = request(desk, str(content.get("source", "")), manifest, facts, past, given, row.id)
        asked = replace(asked, code=code_for(services, asked.source))
    except ServiceUnavailable as error:
        return Outcome("unavailable", ScriptError(Code.SANDBOX_UNAVAILABLE, str(error)))
    except ActionRefused as error:
        return Outcome("refused", ScriptError(Code.VALUE, str(error)))
    gateway = RunGateway(services, f"run {row.id} of {row.script}@{row.version}")
    outcome = services.sandbox.run(asked, gateway)
    if asked.code and outcome.status == "violation":
        # A script cannot crash its jail by itself; what was kept may be damaged, and the next run compiles anew.
        forget_code(services, asked.source)
    return outcome


def _ids(row: AnyRow) -> dict[str, int]:
    """What every log line about a run names, so that an event can be followed through."""
    return {"run": row.id, "item": row.item_id, "event": row.event_id}


def _log_refusals(row: AnyRow, outcome: Outcome) -> None:
    """What the run reached for beyond its manifest, where whoever looks after the desk finds it."""
    facts = {**_ids(row), "script": row.script, "version": row.version}
    for call in outcome.calls:
        if call.status == "denied":
            log.warning("run.denied", extra={**facts, "what": f"{call.connection}.{call.operation}", "line": call.line})
    if outcome.error is not None and outcome.error.code == Code.DENIED:
        log.warning("run.denied", extra={**facts, "what": outcome.error.message, "line": outcome.error.line})


def _finish(services: Services, row: AnyRow, token: str, outcome: Outcome) -> None:
    with services.db.write() as connection:
        now = services.clock.now()
        item = store.read_item(connection, row.item_id, lock=True)
        again = _again(row, outcome, now)
        retry_at = None if again is None else again[0]
        values: dict[str, Any] = {
            "status": "retrying" if retry_at else outcome.status,
            "outcome": outcome_json(outcome) if again is None else {**outcome_json(outcome), TRIED: again[1]},
            "due_at": retry_at,
            "lease_until": None,
            "token": None,
            "finished_at": None if retry_at else now,
        }
        if retry_at is not None:
            # From when its pause counts, by the clock that reckoned it: one that was ahead is known by that.
            values["started_at"] = now
        kept = connection.execute(update(RunRow).where(RunRow.id == row.id, RunRow.token == token).values(**values))
        if kept.rowcount != 1:
            log.warning("run.fenced", extra=_ids(row))
            if _erased(connection, row):
                asked = [Question(one.connection, one.operation, one.args) for one in outcome.calls]
                forget_late(connection, asked, **_ids(row))
            return
        log.info("run.ended", extra={**_ids(row), "status": values["status"], "attempt": row.attempt})
        if retry_at is not None:
            return
        store.change_item(
            connection,
            item,
            lines=(),
            actor=AUTOMATION,
            now=now,
            kind=EventKind.SCRIPT,
            chain=store.Chain(
                root_id=row.root_id,
                depth=row.depth,
                payload={
                    "run_id": row.id,
                    "script": row.script,
                    "version": row.version,
                    "status": outcome.status,
                },
            ),
        )


def _erased(connection: Connection, row: AnyRow) -> bool:
    """Whether the person it was about was erased while it ran: who calls a run off leaves a word."""
    found = connection.execute(select(RunRow.status, RunRow.outcome).where(RunRow.id == row.id)).one_or_none()
    return found is None or (found.status == "cancelled" and not found.outcome)


def _again(row: AnyRow, outcome: Outcome, now: datetime) -> tuple[datetime, Mapping[str, int]] | None:
    """When to try again, and how often that was for which reason; None for never. Nothing of the run was applied.

    Each reason has tries of its own: those that another one took say nothing about it."""
    tried: dict[str, int] = dict(row.tried or {})
    if outcome.status == "unavailable":
        waited = now - row.created_at
        shortest, longest = (timedelta(seconds=one) for one in AWAY_PAUSE_S)
        return (now + min(max(waited / 2, shortest), longest), tried) if waited < timedelta(hours=AWAY_H) else None
    if row.cut_off >= MOST_CUT_OFF:
        return None
    if outcome.status == "lost":
        reason, pauses_s = "lost", LOST_RETRY_S
    elif outcome.status == "failed" and _is_unanswered(outcome):
        reason, pauses_s = "unanswered", RETRY_S
    else:
        return None
    before = tried.get(reason, 0)
    if before >= len(pauses_s):
        return None
    return now + timedelta(seconds=pauses_s[before]), {**tried, reason: before + 1}


def _is_unanswered(outcome: Outcome) -> bool:
    """Whether it failed for want of an answer of a connected system."""
    asked = outcome.error is not None and outcome.error.code == "CONNECTOR"
    return asked and bool(outcome.calls) and outcome.calls[-1].status == "unavailable"


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The stored form of an outcome."""
    return asdict(outcome)
