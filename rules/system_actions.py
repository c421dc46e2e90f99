"""The action that changes something in a connected system: an operation and its inputs, typed, filled in from facts.

A cell gives each input as text with placeholders, of any field a condition may look at; a script gives values. What
comes out is held to the input's type here, and to the system's own rules once more when it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from rules.action import Action, Desk, Param, Params, ParamType
from rules.errors import ActionRefused, UnknownField, no_such
from rules.facts import Facts, Known, Missing
from rules.fields import Field, all_fields, field
from rules.templates import shown
from rules.vocabulary import ChangeInput, ChangeSpec, Vocabulary
from tickets.effects import ChangeSystem, Effect
from tickets.values import JSON, json_problem

#: Longest text of an input, of one line and of several, in characters; most placeholders in one.
MAX_LINE_CHARS = 1_000
MAX_LINES_CHARS = 20_000
MAX_PLACEHOLDERS = 20

_PLACEHOLDER = re.compile(r"\{\{([^{}]{0,200})\}\}")


def planned_change(name: str, args: Mapping[str, JSON], vocabulary: Vocabulary) -> tuple[Effect, ...]:
    """What a script's `crm.add_note(...)` comes to: values as they are, nothing filled in. Raises `ActionRefused`."""
    spec = _spec(name, vocabulary)
    for key in args:
        if key not in {one.name for one in spec.inputs}:
            raise ActionRefused(no_such(f"input of {spec.name}", key, [one.name for one in spec.inputs]))
    given = {one.name: _typed(one, args[one.name]) for one in spec.inputs if args.get(one.name) not in (None, "")}
    _whole(spec, given)
    return (ChangeSystem(spec.connection, spec.operation, given, recheck=False),)


def _change(params: Params, desk: Desk) -> tuple[Effect, ...]:
    spec = _spec(str(params["change"]), desk.vocabulary)
    listed = params.get("inputs")
    given: Mapping[str, JSON] = listed if isinstance(listed, Mapping) else {}
    args: dict[str, JSON] = {}
    for one in spec.inputs:
        value = _filled(one, given.get(one.name), desk)
        if value not in (None, ""):
            args[one.name] = _typed(one, value)
    _whole(spec, args)
    return (ChangeSystem(spec.connection, spec.operation, args, recheck=params.get("recheck") is not False),)


def _check(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    """At saving: the inputs exist, what is written out fits them, and their placeholders name fields."""
    spec = _spec(str(params["change"]), vocabulary)
    given = params.get("inputs") or {}
    if not isinstance(given, Mapping):
        raise ActionRefused("The inputs of a change are names with values.")
    known = {one.name: one for one in spec.inputs}
    kept: dict[str, JSON] = {}
    for name, value in given.items():
        if name not in known:
            raise ActionRefused(no_such(f"input of {spec.name}", name, list(known)))
        if value in (None, ""):
            continue
        names = _names(value)
        if len(names) > MAX_PLACEHOLDERS:
            raise ActionRefused(f"{known[name].label} takes at most {MAX_PLACEHOLDERS} placeholders, not {len(names)}.")
        for placeholder in names:
            _field(placeholder, vocabulary)
        kept[name] = value if names else _typed(known[name], value)
    if kept or "inputs" in params:
        params["inputs"] = kept
    _whole(spec, {**{one.name: one.bind for one in spec.inputs if one.bind}, **kept})


def _spec(name: str, vocabulary: Vocabulary) -> ChangeSpec:
    spec = vocabulary.changes.get(name)
    if spec is None:
        raise ActionRefused(no_such("change", name, _changes(vocabulary)))
    return spec


def _changes(vocabulary: Vocabulary) -> Mapping[str, str]:
    """The changes that a step can make; one that needs a whole body of data is for scripts."""
    return {name: spec.label for name, spec in vocabulary.changes.items() if spec.in_tables}


def _whole(spec: ChangeSpec, given: Mapping[str, JSON]) -> None:
    missing = [one for one in spec.inputs if one.required and given.get(one.name) in (None, "")]
    if missing:
        raise ActionRefused(f"{spec.name} needs {', '.join(one.name for one in missing)}.")


def _filled(one: ChangeInput, value: JSON, desk: Desk) -> JSON:
    """What a cell's input holds for this item; None when there is nothing. Raises `ActionRefused` for an unknown."""
    if value in (None, ""):
        return _reading(field(one.bind, desk.vocabulary), desk.facts) if one.bind else None
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").strip()
    whole = _PLACEHOLDER.fullmatch(text)
    if whole is not None:
        return _reading(_field(whole[1], desk.vocabulary), desk.facts)

    def fill(match: re.Match[str]) -> str:
        found = _field(match[1], desk.vocabulary)
        read = _reading(found, desk.facts)
        return "" if read is None else shown(found, read)

    return _PLACEHOLDER.sub(fill, text)


def _reading(found: Field, facts: Facts) -> JSON:
    """The field's value, None when it has none. What is not known yet is not sent as nothing: that is refused."""
    reading = found.read(facts)
    if isinstance(reading, Known):
        return reading.value
    if isinstance(reading, Missing):
        return None
    raise ActionRefused(f"{found.label} is not known: {reading.reason}")


def _names(value: JSON) -> list[str]:
    return _PLACEHOLDER.findall(value) if isinstance(value, str) else []


def _field(name: str, vocabulary: Vocabulary) -> Field:
    try:
        return field(name.strip(), vocabulary)
    except UnknownField:
        allowed = {one.key: one.label for one in all_fields(vocabulary)}
        raise ActionRefused(no_such("placeholder", name.strip(), allowed)) from None


def _typed(one: ChangeInput, value: JSON) -> JSON:
    """This value as the input takes it. Raises `ActionRefused`: a wrong one is not sent as something like it."""
    problem = json_problem(value, one.label)
    if problem:
        raise ActionRefused(f"{problem}.")
    plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    text = str(value).strip() if plain else ""
    match one.type:
        case "body":
            if isinstance(value, Mapping):
                return dict(value)
            raise ActionRefused(f"{one.label} takes names with values.")
        case "bool":
            if isinstance(value, bool):
                return value
            raise ActionRefused(f"{one.label} takes yes or no. Write true or false.")
        case "integer":
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            if re.fullmatch(r"-?[0-9]{1,18}", text):
                return int(text)
            raise ActionRefused(f"{one.label} takes a whole number, not {text[:40]!r}.")
        case "decimal":
            try:
                number = Decimal(text) if text and len(text) <= 40 else None
            except InvalidOperation:
                number = None
            if number is None or not number.is_finite():
                raise ActionRefused(f"{one.label} takes an amount like 64.90, not {text[:40]!r}.")
            return f"{number:f}"
        case "date":
            try:
                if len(text) == 10 and date.fromisoformat(text).isoformat() == text:
                    return text
            except ValueError:
                pass
            raise ActionRefused(f"{one.label} takes a date, YYYY-MM-DD, not {text[:40]!r}.")
        case "lines":
            most = MAX_LINES_CHARS
        case _:
            text, most = " ".join(text.split()), MAX_LINE_CHARS
    if not text:
        raise ActionRefused(f"{one.label} takes a text.")
    if len(text) > most:
        raise ActionRefused(f"{one.label} takes at most {most} characters, not {len(text)}.")
    return text


SYSTEM_ACTIONS: tuple[Action, ...] = (
    Action(
        "change_system",
        "Change in a system",
        "Change something in a connected system that may be written to, e.g. add a note to the customer. It is sent "
        "after the ticket was changed, tried again until it was taken, and its answer becomes a card.",
        (
            Param("change", "Change", ParamType.CHOICE, "What to change, e.g. crm.add_note.", options=_changes),
            Param(
                "inputs",
                "Inputs",
                ParamType.INPUTS,
                "What is sent; {{ticket.subject}}, {{customer.email}} and other facts are filled in.",
                required=False,
            ),
            Param(
                "recheck",
                "Look again before it is sent",
                ParamType.BOOL,
                "Yes: when the row does not match any more at that moment, nothing is sent.",
                required=False,
                default=True,
            ),
        ),
        _change,
        _check,
        in_scripts=False,
    ),
)
