"""A script run as the jail's child runs it, without the jail: compiled by the policy, behind every guard.

Only for text that a test has made itself. What the jail adds keeps a script in; it changes nothing of what one says.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rules.actions import ACTIONS, Call
from rules.facts import Facts, Missing
from rules.fields import clocks_of, field
from rules.vocabulary import Vocabulary
from sandbox.child import facades, guards, values
from sandbox.child.main import _SCOPE
from sandbox.contract import Method, Param, ScriptApi
from sandbox.limits import Limits
from sandbox.policy import compile_script
from tickets.item import STATE_FIELDS


@dataclass(frozen=True)
class Ran:
    """What a run asked for, in order, and whether it called stop()."""

    calls: tuple[Call, ...]
    stopped: bool


def api_of(vocabulary: Vocabulary) -> ScriptApi:
    connections: dict[str, dict[str, Method]] = {}
    for spec in vocabulary.lookups.values():
        puts = tuple(Param(name, "text", True) for name in spec.inputs)
        connections.setdefault(spec.connection, {})[spec.operation] = Method(spec.operation, puts, spec.label)
    actions = {
        one.key: Method(one.key, tuple(Param(put.key, "any", False) for put in one.params), one.doc, True)
        for one in ACTIONS.values()
        if one.in_scripts
    }
    return ScriptApi(actions, connections)


def whole(facts: Facts, vocabulary: Vocabulary) -> Facts:
    """The facts as a desk gives them: every key there, and nothing answered that nobody could have asked."""
    customer = None if facts.customer is None else {**dict.fromkeys(_CUSTOMER), **facts.customer}
    message = None if facts.message is None else {**dict.fromkeys(_MESSAGE), **facts.message}
    made = replace(facts, customer=customer, message=message)
    lookups = {
        name: answer
        for name, answer in facts.lookups.items()
        if not any(isinstance(field(one, vocabulary).read(made), Missing) for one in _binds(name, vocabulary))
    }
    return replace(made, lookups=lookups)


_CUSTOMER = ("id", "name", "email", "emails", "language", "identity", "open_items")
_MESSAGE = ("id", "author", "public", "automatic", "channel", "subject", "new_text", "text", "language")


def _binds(name: str, vocabulary: Vocabulary) -> list[str]:
    return list(vocabulary.lookups[name].bind.values())


def ticket_of(facts: Facts, vocabulary: Vocabulary) -> dict[str, Any]:
    """The ticket as `jobs.runs.request` hands it over."""
    return {
        **dict.fromkeys(STATE_FIELDS),
        **clocks_of(facts),
        **{f"fields.{key}": None for key in vocabulary.custom_fields},
        **facts.item,
        "message": facts.message,
    }


def answer_of(facts: Facts, name: str) -> Any:
    """What a connection says of what the facts know. Raises the errors that scripts catch."""
    known = facts.lookups.get(name) or {"state": "asked"}
    match known["state"]:
        case "known":
            return known["data"]
        case "missing":
            return None
        case "ambiguous":
            raise values.Ambiguous("several")
    raise values.Unavailable("no answer")


def run(source: str, facts: Facts, vocabulary: Vocabulary) -> Ran:
    """Run it. An error of the script is raised."""
    compiled = compile_script(source, api_of(vocabulary), Limits(), look_closer=True)
    assert compiled.code is not None, compiled.problems
    assert [one for one in compiled.problems if one.severity == "error"] == [], source
    calls: list[Call] = []

    def act(name: str) -> Callable[..., None]:
        return lambda **params: calls.append(Call(name, values.plain(params, name)))

    def ask(name: str) -> Callable[..., Any]:
        return lambda **_: values.readable(answer_of(facts, name))

    def stop(_reason: str) -> None:
        raise values.Stop

    facades.begin(datetime.datetime.fromisoformat(facts.now), 0)
    customer = values.readable(facts.customer and dict(facts.customer))
    connections: dict[str, dict[str, Any]] = {}
    for name, spec in vocabulary.lookups.items():
        connections.setdefault(spec.connection, {})[spec.operation] = ask(name)
    scope: dict[str, Any] = {
        **_SCOPE,
        "ticket": guards.Ticket(
            values.facts_of_ticket(ticket_of(facts, vocabulary), customer), {name: act(name) for name in ACTIONS}
        ),
        "customer": customer,
        "event": values.readable(_plain(facts.event)),
        "stop": stop,
        **{name: guards.Connection(name, operations) for name, operations in connections.items()},
    }
    try:
        exec(compiled.code, scope)  # a text that the test has made
    except values.Stop:
        return Ran(tuple(calls), True)
    return Ran(tuple(calls), False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
