"""What a script would do to a ticket, without doing it: the real sandbox, the real plan, nothing applied.

*Recorded* answers every question from what was asked before and opens no connection; *live* asks the systems, read
only, through the same gateway as a run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from connectors import store as connections
from connectors.errors import BadRequest, ConnectorError
from connectors.system import check_args
from jobs.facts import gather, history
from jobs.live import Desk
from jobs.preview import effect_words
from jobs.runs import RunGateway, manifest_of, request
from jobs.services import Services
from jobs.tables import RunRow
from rules.actions import Call, PlannedCall, plan_calls
from rules.errors import ActionRefused
from rules.facts import Facts
from sandbox.client import Sandbox
from sandbox.contract import ActionCall, Answer, CallFailed, CallFailure, Gateway, Outcome, ScriptError
from sandbox.errors import Code, ServiceUnavailable
from tickets import store
from tickets.db import Database
from tickets.effects import AddTo, ChangeSystem, PostMessage, RemoveFrom, SetContext, SetField, apply
from tickets.item import Item
from tickets.people import Viewer
from tickets.tables import EventRow
from tickets.values import JSON, iso

#: How many of the ticket's newest runs are looked through for recorded answers.
RUNS_SEARCHED = 20
#: Outcomes whose actions would be applied.
APPLIED = frozenset({"finished", "stopped"})


class Mode(StrEnum):
    RECORDED = "recorded"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Would:
    """One effect the script would have. `kind` as in `jobs.preview.effect_words`; `before` and `after` for fields,
    `after` also for what a card would hold and a changed system would get.

    `about` names the field, card, script or recipients; `text` is the message that would be sent."""

    line: int | None
    action: str
    kind: str
    about: str
    before: JSON = None
    after: JSON = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """How the script ended and what would follow. `refused` says why its actions could not be carried out, else "".

    `idle` are lines whose action would change nothing."""

    item_id: int
    mode: Mode
    outcome: Outcome
    effects: tuple[Would, ...]
    idle: tuple[int, ...]
    refused: str = ""


def try_script(
    services: Services,
    source: str,
    item_id: int,
    viewer: Viewer,
    mode: Mode,
    *,
    params: Mapping[str, JSON] | None = None,
) -> Tried:
    """Run this source on the ticket as it is now and say what it would do. Nothing of it is applied or kept.

    Live mode leaves the answers and the audit lines that asking always leaves. Raises `ItemNotFound` for a ticket that
    is not visible to the viewer."""
    with services.db.read() as connection:
        desk = services.live.current(connection)
        item = store.read_item(connection, item_id, viewer=viewer)
        facts = _facts(services, connection, desk, item)
        past = history(connection, item.id, item.last_seq)
        recorded = _recorded(connection, item.id) if mode is Mode.RECORDED else {}
    gateway: Gateway
    if mode is Mode.RECORDED:
        gateway = RecordedGateway(recorded, services.db)
    else:
        gateway = RunGateway(services, f"try by {viewer.key}")
    return try_on(services.sandbox, desk, source, facts, gateway, past=past, params=params, mode=mode, item_id=item.id)


def try_on(
    sandbox: Sandbox,
    desk: Desk,
    source: str,
    facts: Facts,
    gateway: Gateway,
    *,
    past: Sequence[dict[str, JSON]] = (),
    params: Mapping[str, JSON] | None = None,
    mode: Mode = Mode.RECORDED,
    item_id: int = 0,
) -> Tried:
    """Run this source on these facts and say what it would do; the seed of its random numbers is the item's id."""
    try:
        manifest = manifest_of(sandbox, desk, {"source": source})
    except ServiceUnavailable as error:
        outcome = Outcome("unavailable", ScriptError(Code.SANDBOX_UNAVAILABLE, str(error)))
    else:
        outcome = sandbox.run(request(desk, source, manifest, facts, list(past), params or {}, seed=item_id), gateway)
    return _tried(item_id, mode, outcome, facts, desk)


def _tried(item_id: int, mode: Mode, outcome: Outcome, facts: Facts, desk: Desk) -> Tried:
    if outcome.status not in APPLIED:
        return Tried(item_id, mode, outcome, (), ())
    try:
        planned = plan_calls(_calls(outcome.actions), facts, desk.vocabulary)
    except ActionRefused as error:
        return Tried(item_id, mode, outcome, (), (), str(error))
    idle = tuple(one.call.line for one in planned if not one.effects and one.call.line is not None)
    return Tried(item_id, mode, outcome, tuple(_would(facts, planned)), idle)


def _calls(actions: Sequence[ActionCall]) -> list[Call]:
    return [Call(one.action, one.params, one.line) for one in actions]


def _would(facts: Facts, planned: Sequence[PlannedCall]) -> list[Would]:
    state: Mapping[str, JSON] = {k: v for k, v in facts.item.items() if k not in ("id", "kind", "created_at")}
    found: list[Would] = []
    for one in planned:
        for effect in one.effects:
            kind, about = effect_words(effect)
            before = after = None
            text = ""
            if isinstance(effect, (SetField, AddTo, RemoveFrom)):
                before = state.get(effect.field)
                state, _ = apply(state, [effect])
                after = state.get(effect.field)
            elif isinstance(effect, PostMessage):
                text = effect.text
            elif isinstance(effect, ChangeSystem):
                after = dict(effect.args)
            elif isinstance(effect, SetContext):
                after = effect.data
                text = effect.error
            found.append(Would(one.call.line, one.call.action, kind, about, before, after, text))
    return found


def _facts(services: Services, connection: Connection, desk: Desk, item: Item) -> Facts:
    """The facts of the ticket's newest event, with the ticket as it is now."""
    event_id = connection.execute(
        select(EventRow.id).where(EventRow.item_id == item.id).order_by(EventRow.seq.desc()).limit(1)
    ).scalar_one()
    event = store.event(connection, event_id)
    return gather(connection, event, item, [], desk.vocabulary, services.clock.now(), own_root_stays=True)


# Recorded answers ------------------------------------------------------------------------------------------------


def question(connection: str, operation: str, args: Mapping[str, JSON]) -> str:
    """One name for one question, whatever the order of its inputs; empty inputs are as good as none."""
    asked = {key: value for key, value in args.items() if value is not None and value != ""}
    return f"{connection}.{operation} {json.dumps(asked, sort_keys=True, ensure_ascii=True)}"


def answers_of(calls: Sequence[Mapping[str, Any]]) -> dict[str, Answer | CallFailed]:
    """What the calls of a recorded run were told, by question; the first answer to a question counts.

    Takes the stored form of `sandbox.contract.CallRecord`, which is also what `--recorded` files hold."""
    found: dict[str, Answer | CallFailed] = {}
    for one in calls:
        key = question(str(one["connection"]), str(one["operation"]), one.get("args") or {})
        status = str(one.get("status", "ok"))
        if status in ("ok", "none"):
            found.setdefault(key, Answer(one.get("answer"), source=f"{one['connection']}.{one['operation']}"))
        elif status in _FAILURES:
            found.setdefault(key, CallFailed(_FAILURES[status], str(one.get("message", ""))))
    return found


_FAILURES: Mapping[str, CallFailure] = {
    "unavailable": "unavailable",
    "ambiguous": "ambiguous",
    "denied": "denied",
    "bad_request": "bad_request",
}


def _recorded(connection: Connection, item_id: int) -> dict[str, Answer | CallFailed]:
    """What the ticket's newest runs were told; a newer answer wins. Failures of then are not repeated."""
    outcomes = connection.execute(
        select(RunRow.outcome).where(RunRow.item_id == item_id).order_by(RunRow.id.desc()).limit(RUNS_SEARCHED)
    ).scalars()
    found: dict[str, Answer | CallFailed] = {}
    for outcome in outcomes:
        for key, said in answers_of(outcome.get("calls", ())).items():
            if not isinstance(said, CallFailed) or said.code == "ambiguous":
                found.setdefault(key, said)
    return found


class RecordedGateway:
    """Answers from what was recorded, and only that: there is no way from here to a connection.

    First what `told` holds, then, with a database, the newest stored answer to the same question."""

    def __init__(self, told: Mapping[str, Answer | CallFailed], db: Database | None = None) -> None:
        self._told = told
        self._db = db

    def call(self, connection: str, operation: str, args: Mapping[str, JSON], *, deadline_s: float) -> Answer:
        said = self._told.get(question(connection, operation, args)) or self._stored(connection, operation, args)
        if isinstance(said, CallFailed):
            raise CallFailed(said.code, said.message, said.candidates)
        if said is None:
            raise CallFailed("unavailable", f"{connection}.{operation} with these inputs is not recorded")
        return said

    def _stored(self, name: str, operation: str, args: Mapping[str, JSON]) -> Answer | CallFailed | None:
        if self._db is None:
            return None
        with self._db.read() as connection:
            try:
                info = connections.connection_named(connection, name)
                system = connections.system_of(info)
                asked = system.operations().get(operation) if system is not None else None
                if asked is None:
                    return None
                clean = check_args(asked, args)
            except BadRequest as error:
                return CallFailed("bad_request", error.sentence)
            except ConnectorError:
                return None
            # The gateway's own key of a stored answer; a test holds the two together.
            digest = hashlib.sha256(json.dumps(clean, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
            record = connections.newest_record(connection, f"{info.name}:{info.config_version}:{operation}:{digest}")
        if record is None:
            return None
        return Answer(record.data, source=f"{name}.{operation}", fetched_at=iso(record.fetched_at), stale=True)
