"""Tests that are stored with a script: these facts and answers in, these effects out. They must pass to publish.

A test runs the script in the sandbox exactly like *Try* with recorded answers: no connection can be reached from it,
and nothing is applied. A test made from a run carries no personal data: what names or reaches a person is replaced, the
same thing by the same thing everywhere, so that a question asked with an e-mail address still finds its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import select

from jobs.facts import gather
from jobs.live import Desk
from jobs.masking import Mask
from jobs.services import Services
from jobs.tables import RunRow
from jobs.tryout import RecordedGateway, Tried, answers_of, try_on
from rules.errors import ActionRefused, FactsInvalid
from rules.facts import Facts
from rules.script_params import complete, declared_or_none
from rules.vocabulary import GivenType
from sandbox.client import Sandbox
from tickets import store
from tickets.errors import ItemNotFound
from tickets.events import EventKind, undo
from tickets.item import STATE_FIELDS, FieldType
from tickets.people import Viewer
from tickets.values import JSON, json_problem

#: Most tests of one script; longest name, in characters; most recorded calls of one test.
MAX_TESTS = 20
MAX_NAME_CHARS = 200
MAX_CALLS = 60
#: Parts of a call that a test keeps.
_CALL = ("connection", "operation", "args", "status", "message", "answer")


class BadTest(Exception):
    """A stored test does not have the shape of one."""


class RunNotFound(Exception):
    """There is no such run, or it is not visible, or it has not ended."""


@dataclass(frozen=True, slots=True)
class ScriptTest:
    """One test. `calls` are recorded answers; `expect` is {"status", "error", "effects"} as `observed` says it."""

    name: str
    facts: Facts
    params: Mapping[str, JSON]
    calls: tuple[Mapping[str, Any], ...]
    expect: Mapping[str, JSON]

    def to_json(self) -> dict[str, JSON]:
        facts = {key: value for key, value in self.facts.to_json().items() if value not in (None, {})}
        calls = [{key: one[key] for key in _CALL if key in one} for one in self.calls]
        return {
            "name": self.name,
            "facts": facts,
            "params": dict(self.params),
            "calls": cast(JSON, calls),
            "expect": dict(self.expect),
        }

    @classmethod
    def from_json(cls, data: object) -> ScriptTest:
        """Read a stored or typed test. Raises `BadTest` with a sentence."""
        if not isinstance(data, Mapping) or not data.keys() <= {"name", "facts", "params", "calls", "expect"}:
            raise BadTest("A test has name, facts, params, calls and expect")
        problem = json_problem(data, "the test")
        if problem:
            raise BadTest(problem)
        name, params, calls = data.get("name"), data.get("params") or {}, data.get("calls") or []
        expect = data.get("expect")
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_CHARS:
            raise BadTest(f"A test needs a name of at most {MAX_NAME_CHARS} characters")
        if not isinstance(params, Mapping) or not isinstance(data.get("facts"), Mapping):
            raise BadTest(f"{name}: facts and params are mappings")
        if not isinstance(calls, list) or len(calls) > MAX_CALLS or not all(_is_call(one) for one in calls):
            raise BadTest(
                f"{name}: calls is a list of at most {MAX_CALLS}, each with connection, operation, args and answer"
            )
        if not isinstance(expect, Mapping) or set(expect) != {"status", "error", "effects"}:
            raise BadTest(f"{name}: expect has status, error and effects")
        try:
            facts = Facts.from_json(data["facts"])
        except FactsInvalid as error:
            raise BadTest(f"{name}: {error}") from error
        return cls(" ".join(name.split()), facts, params, tuple(calls), expect)


def _is_call(one: object) -> bool:
    return (
        isinstance(one, Mapping)
        and isinstance(one.get("connection"), str)
        and isinstance(one.get("operation"), str)
        and isinstance(one.get("args") or {}, Mapping)
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test came out. `differences` are sentences, empty when it passed; `got` is what it would have to expect."""

    name: str
    differences: tuple[str, ...]
    got: Mapping[str, JSON]

    @property
    def passed(self) -> bool:
        return not self.differences


def tests_of(content: Mapping[str, Any]) -> list[ScriptTest | Tested]:
    """The tests in a script's content, in order; one that cannot be read is a failed result: it is not passed over."""
    found: list[ScriptTest | Tested] = []
    stored = content.get("tests") or []
    for number, one in enumerate(stored if isinstance(stored, list) else [stored], 1):
        if number > MAX_TESTS:
            found.append(Tested(f"Test {number}", (f"A script has at most {MAX_TESTS} tests",), {}))
            break
        try:
            found.append(ScriptTest.from_json(one))
        except BadTest as error:
            found.append(Tested(f"Test {number}", (str(error),), {}))
    return found


def run_all(sandbox: Sandbox, desk: Desk, content: Mapping[str, Any]) -> list[Tested]:
    """Run every test of this content on its source, in order."""
    return [run_test(sandbox, desk, content, one) if isinstance(one, ScriptTest) else one for one in tests_of(content)]


def run_test(sandbox: Sandbox, desk: Desk, content: Mapping[str, Any], test: ScriptTest) -> Tested:
    """Run one test: the content's source on its facts, parameters and answers, and nothing else."""
    try:
        given = complete(declared_or_none(content), test.params)
    except ActionRefused as error:
        return Tested(test.name, (str(error),), {"status": "refused", "error": "VALUE", "effects": []})
    got = observed(_run(sandbox, desk, str(content.get("source", "")), replace(test, params=given)))
    differences: list[str] = []
    for key in ("status", "error"):
        if got[key] != test.expect[key]:
            differences.append(f"{key}: expected {test.expect[key] or 'none'}, got {got[key] or 'none'}")
    differences += _effect_differences(test.expect["effects"], got["effects"])
    return Tested(test.name, tuple(differences), got)


def _run(sandbox: Sandbox, desk: Desk, source: str, test: ScriptTest) -> Tried:
    gateway = RecordedGateway(answers_of(test.calls))
    return try_on(sandbox, desk, source, test.facts, gateway, params=test.params)


def observed(tried: Tried) -> dict[str, JSON]:
    """What a test compares: how it ended, the error's code or the refusal, and each effect without its line."""
    error = tried.outcome.error
    effects: list[JSON] = [
        {"action": one.action, "kind": one.kind, "about": one.about, "after": one.after, "text": one.text}
        for one in tried.effects
    ]
    return {
        "status": tried.outcome.status,
        "error": str(error.code) if error is not None else tried.refused,
        "effects": effects,
    }


def _effect_differences(expected: JSON, got: JSON) -> list[str]:
    wanted = list(expected) if isinstance(expected, (list, tuple)) else [expected]
    found = list(got) if isinstance(got, (list, tuple)) else [got]
    said = []
    for number in range(1, max(len(wanted), len(found)) + 1):
        want = wanted[number - 1] if number <= len(wanted) else None
        have = found[number - 1] if number <= len(found) else None
        if want != have:
            said.append(f"effect {number}: expected {_effect_words(want)}, got {_effect_words(have)}")
    return said[:20]


def _effect_words(effect: JSON) -> str:
    if not isinstance(effect, Mapping):
        return "nothing" if effect is None else str(effect)[:200]
    value = effect.get("text") or effect.get("after")
    words = f"{effect.get('action')} {effect.get('about')}"
    return f"{words}: {value}"[:200] if value not in (None, "") else words


# From a run ------------------------------------------------------------------------------------------------------


def from_run(services: Services, code: str, content: Mapping[str, Any], run_id: int, viewer: Viewer) -> ScriptTest:
    """A test of what this run saw and was told, without personal data; it expects what `content` does with that now.

    Raises `RunNotFound` for a run of another script, one that has not ended, or one the viewer may not see."""
    with services.db.read() as connection:
        row = connection.execute(
            select(RunRow.id, RunRow.item_id, RunRow.event_id, RunRow.params, RunRow.outcome, RunRow.started_at).where(
                RunRow.id == run_id, RunRow.script == code, RunRow.finished_at.is_not(None)
            )
        ).one_or_none()
        if row is None:
            raise RunNotFound(f"There is no run {run_id} of {code} that has ended")
        try:
            item = store.read_item(connection, row.item_id, viewer=viewer)
        except ItemNotFound as error:
            raise RunNotFound(f"There is no run {run_id} of {code} that has ended") from error
        desk = services.live.current(connection)
        event = store.event(connection, row.event_id)
        later = store.later_events(connection, item.id, event.seq)
        ended = next(
            (one.seq for one in later if one.kind is EventKind.SCRIPT and one.payload.get("run_id") == row.id),
            item.last_seq + 1,
        )
        # The item as it was before the run's own actions, which came after its end.
        item = replace(item, state=undo(item.state, [one for one in later if one.seq > ended]))
        before = [one for one in later if one.seq <= ended]
        now = row.started_at or services.clock.now()
        facts = gather(connection, event, item, before, desk.vocabulary, now, own_root_stays=True)
    calls = [{key: one[key] for key in _CALL if key in one} for one in row.outcome.get("calls", ())[:MAX_CALLS]]
    mask = Mask(facts.customer, row.params, calls, {key: facts.item[key] for key in facts.item if key not in _KEPT})
    chosen = {one.name for one in declared_or_none(content) if one.type not in (GivenType.TEXT, GivenType.TEXTS)}
    test = ScriptTest(
        name=f"Like run {row.id}",
        facts=mask.facts(replace(facts, context={}, lookups={}, run=None), _kept(desk)),
        params={name: value if name in chosen else mask.value(value, name) for name, value in row.params.items()},
        calls=tuple(mask.call(one) for one in calls),
        expect={},
    )
    nothing: Mapping[str, JSON] = {"status": "", "error": "", "effects": []}
    return replace(test, expect=run_test(services.sandbox, desk, content, replace(test, expect=nothing)).got)


#: Fields of an item that hold keys of the desk, moments and switches: nothing that somebody wrote.
_KEPT = frozenset(STATE_FIELDS) - {"subject", "tags", "customer"} | {"kind", "created_at"}
_WRITTEN = frozenset({FieldType.TEXT, FieldType.LONG_TEXT})


def _kept(desk: Desk) -> frozenset[str]:
    """The item's fields that a mask leaves alone: those, and the desk's own that offer choices."""
    fields = desk.vocabulary.custom_fields.items()
    return _KEPT | {f"fields.{key}" for key, field in fields if field.options or field.type not in _WRITTEN}
