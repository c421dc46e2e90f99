"""The actions that reach outside: cards of facts, scripts and lookups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rules.action import Action, Desk, Param, Params, ParamType
from rules.errors import ActionRefused, no_such
from rules.facts import LookupKey
from rules.fields import lookup_key
from rules.script_params import LONGEST_WAIT_S, clean_given, complete
from rules.vocabulary import Vocabulary
from tickets.effects import Effect, LookUp, RunScript, SetContext
from tickets.values import JSON


def _set_context(params: Params, _desk: Desk) -> tuple[Effect, ...]:
    error = str(params.get("error") or "")
    return (
        SetContext(
            key=str(params["key"]),
            data=None if error else params.get("data"),
            title=str(params.get("title") or ""),
            source=str(params.get("source") or ""),
            error=error,
        ),
    )


def _run_script(params: Params, desk: Desk) -> tuple[Effect, ...]:
    script, given, wait_s = str(params["script"]), params.get("params"), params.get("wait_s")
    takes = desk.vocabulary.script_params.get(script, ())
    return (
        RunScript(
            script,
            complete(takes, given if isinstance(given, Mapping) else {}),
            None if wait_s is None else int(str(wait_s)),
        ),
    )


def _look_up(params: Params, desk: Desk) -> tuple[Effect, ...]:
    spec = desk.vocabulary.lookups[str(params["lookup"])]
    given = params.get("args")
    args: dict[str, JSON] = dict(given) if isinstance(given, Mapping) else {}
    # Inputs given by hand take the place of what is bound to the ticket, one by one.
    question = lookup_key(
        replace(spec, bind={name: source for name, source in spec.bind.items() if name not in args}),
        desk.facts,
        desk.vocabulary,
    )
    if not isinstance(question, LookupKey):
        return ()  # nothing to ask with, for instance a customer without an e-mail address
    return (LookUp(spec.connection, spec.operation, {**dict(question.args), **args}),)


def _check_context(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    key = str(params["key"])
    if not key.replace("_", "a").replace("-", "a").isalnum() or len(key) > 40:
        raise ActionRefused("A card's key has up to 40 letters, digits, - and _.")
    if "data" not in params and not params.get("error"):
        raise ActionRefused("A card takes data, or the error that says why there are none.")


def _check_script(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    given, wait_s = params.get("params") or {}, params.get("wait_s")
    if not isinstance(given, Mapping):
        raise ActionRefused("A script's parameters are names with values.")
    cleaned = clean_given(vocabulary.script_params.get(str(params["script"]), ()), given)
    if cleaned or "params" in params:
        params["params"] = cleaned
    if wait_s is not None and (not isinstance(wait_s, int) or not 0 <= wait_s <= LONGEST_WAIT_S):
        raise ActionRefused(f"Rules wait for a script 0 to {LONGEST_WAIT_S} whole seconds, not {wait_s}.")


def _check_look_up(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    spec = vocabulary.lookups[str(params["lookup"])]
    args = params.get("args") or {}
    if not isinstance(args, Mapping):
        raise ActionRefused("A lookup's inputs are names with values.")
    for name in args:
        if name not in spec.inputs:
            raise ActionRefused(no_such(f"input of {spec.name}", name, spec.inputs))
    unbound = [name for name in spec.inputs if name not in spec.bind and name not in args]
    if unbound:
        raise ActionRefused(f"{spec.name} needs {', '.join(unbound)}.")


OUTSIDE_ACTIONS: tuple[Action, ...] = (
    Action(
        "set_context",
        "Set context",
        "Write a card of facts from outside onto the ticket, or say why there are none.",
        (
            Param("key", "Card", ParamType.TEXT, "The card's key, e.g. billing."),
            Param("data", "Data", ParamType.JSON, "The facts.", required=False),
            Param("title", "Title", ParamType.TEXT, "The card's heading.", required=False),
            Param(
                "source", "Source", ParamType.TEXT, "Where they came from, e.g. billing.list_charges.", required=False
            ),
            Param("error", "Error", ParamType.TEXT, "A sentence when they could not be had.", required=False),
        ),
        _set_context,
        _check_context,
    ),
    Action(
        "run_script",
        "Run script",
        "Run the live version of this script afterwards.",
        (
            Param("script", "Script", ParamType.CHOICE, "Which.", options=lambda vocabulary: vocabulary.scripts),
            Param("params", "Parameters", ParamType.GIVEN, "What it gets as `params`.", required=False),
            Param(
                "wait_s",
                "Seconds to wait",
                ParamType.NUMBER,
                "How long later steps and the rest of the list hold for it; left out: as long as the script says. "
                "Only a table's step waits.",
                required=False,
            ),
        ),
        _run_script,
        _check_script,
    ),
    Action(
        "look_up",
        "Look up",
        "Ask a connection and keep the answer as a card; nobody waits for it.",
        (
            Param(
                "lookup",
                "Lookup",
                ParamType.CHOICE,
                "What to ask, e.g. erp.find_party.",
                options=lambda vocabulary: {name: spec.label for name, spec in vocabulary.lookups.items()},
            ),
            Param("args", "Inputs", ParamType.JSON, "Inputs that do not come from the ticket.", required=False),
        ),
        _look_up,
        _check_look_up,
    ),
)
