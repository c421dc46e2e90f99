"""What makes a table run. One record per trigger; a table has one or more of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rules.errors import ConditionFailed, OperandRefused, UnknownField, no_such
from rules.facts import Facts
from rules.fields import AUTHOR_LABELS, RUN_STATUSES, state_backed
from rules.operators import OPERATORS, clean_operand, type_for
from rules.vocabulary import Vocabulary
from tickets.events import EventKind
from tickets.kinds import STAGE
from tickets.values import JSON

#: Longest text in a trigger's parameter, in characters.
MAX_PARAM_CHARS = 200

Params: TypeAlias = Mapping[str, JSON]
Matches: TypeAlias = Callable[[Facts], bool]
ANYONE, ANY = "anyone", "any"


@dataclass(frozen=True, slots=True)
class TriggerParam:
    """What narrows a trigger. `options` are its values; None for free ones. `many`: several values mean "or"."""

    key: str
    label: str
    doc: str
    options: Callable[[Vocabulary], Mapping[str, str]] | None = None
    default: JSON = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """One trigger: the kinds of event it can match, its parameters, and the test of one event.

    `matcher` gets cleaned parameters and returns the test."""

    key: str
    label: str
    doc: str
    kinds: frozenset[EventKind]
    params: tuple[TriggerParam, ...]
    matcher: Callable[[Params, Vocabulary], Matches]


def _always(_params: Params, _vocabulary: Vocabulary) -> Matches:
    return lambda _facts: True


def _message(params: Params, _vocabulary: Vocabulary) -> Matches:
    by, visibility = params.get("by", ANYONE), params.get("visibility", ANY)

    def matches(facts: Facts) -> bool:
        message = facts.message
        if message is None:
            return False
        if by != ANYONE and message.get("author") != by:
            return False
        return visibility == ANY or bool(message.get("public")) == (visibility == "public")

    return matches


def _changed(params: Params, vocabulary: Vocabulary) -> Matches:
    name = params.get("field")
    if not isinstance(name, str):
        return lambda facts: bool(facts.event.get("changes"))
    field = state_backed(name, vocabulary)
    tests = [
        OPERATORS[key].test(type_for(OPERATORS[key], field.type, params[side]), params[side])
        for side, key in (("from", "changed_from"), ("to", "changed_to"))
        if side in params
    ]

    def matches(facts: Facts) -> bool:
        changes = facts.event.get("changes")
        change = changes.get(field.state_key) if isinstance(changes, Mapping) else None
        return change is not None and all(test(change) for test in tests)

    return matches


def _context(params: Params, _vocabulary: Vocabulary) -> Matches:
    wanted = params.get("key")

    def matches(facts: Facts) -> bool:
        # Whoever writes a card and a field makes one event: its kind tells of the field, its payload of the card.
        payload = facts.event.get("payload")
        keys = payload.get("keys") if isinstance(payload, Mapping) else None
        cards = keys if isinstance(keys, (list, tuple)) else ()
        return wanted in cards if wanted is not None else bool(cards) or facts.event.get("kind") == EventKind.CONTEXT

    return matches


def _script(params: Params, _vocabulary: Vocabulary) -> Matches:
    script, status = params.get("script"), params.get("status")
    statuses = status if isinstance(status, (list, tuple)) else (status,)

    def matches(facts: Facts) -> bool:
        run = facts.run
        if run is None:
            return False
        return (script is None or run.get("script") == script) and (status is None or run.get("status") in statuses)

    return matches


def _stage(params: Params, _vocabulary: Vocabulary) -> Matches:
    wanted = params.get("stage")

    def matches(facts: Facts) -> bool:
        changes = facts.event.get("changes")
        change = changes.get(STAGE) if isinstance(changes, Mapping) else None
        entered = change[1] if isinstance(change, (list, tuple)) else None
        return entered is not None and (wanted is None or entered == wanted)

    return matches


def _stages(vocabulary: Vocabulary) -> dict[str, str]:
    return {stage.key: stage.label for one in vocabulary.pipelines.values() for stage in one.stages}


#: The events in which fields of an existing item change.
_CHANGING = frozenset({EventKind.CHANGED, EventKind.MESSAGE, EventKind.CONTEXT, EventKind.SCRIPT})

_RECORDS: tuple[TriggerRecord, ...] = (
    TriggerRecord(
        "created", "is created", "A new ticket, with its first message.", frozenset({EventKind.CREATED}), (), _always
    ),
    TriggerRecord(
        "message",
        "gets a message",
        "A message on a ticket that existed before. What opens a ticket is `created`.",
        frozenset({EventKind.MESSAGE}),
        (
            TriggerParam(
                "by",
                "from",
                "Whose message; a third party wrote on the thread without taking part in it.",
                lambda _vocabulary: {ANYONE: "Anyone", **AUTHOR_LABELS},
                ANYONE,
            ),
            TriggerParam(
                "visibility",
                "visibility",
                "Public messages only, internal notes only, or any.",
                lambda _vocabulary: {ANY: "Any", "public": "Public", "internal": "Internal"},
                ANY,
            ),
        ),
        _message,
    ),
    TriggerRecord(
        "changed",
        "is changed",
        "A field of an existing ticket changed, by whom- or whatever; `event.actor` says by whom.",
        _CHANGING,
        (
            TriggerParam("field", "field", "Which field; left out: any."),
            TriggerParam("from", "from", "The value before; in a set: what was removed.", many=True),
            TriggerParam("to", "to", "The value after; in a set: what was added.", many=True),
        ),
        _changed,
    ),
    TriggerRecord(
        "stage_entered",
        "enters a stage",
        "A job came into a stage of its pipeline, moved or made there.",
        _CHANGING | {EventKind.CREATED},
        (TriggerParam("stage", "stage", "Which stage; left out: any.", _stages),),
        _stage,
    ),
    TriggerRecord(
        "context_updated",
        "gets facts from outside",
        "A lookup or a script wrote a context card.",
        frozenset({EventKind.CONTEXT, EventKind.CHANGED, EventKind.MESSAGE, EventKind.SCRIPT}),
        (TriggerParam("key", "card", "Which card; left out: any."),),
        _context,
    ),
    TriggerRecord(
        "script_finished",
        "has a script that ended",
        "A script's run ended, well or badly.",
        frozenset({EventKind.SCRIPT}),
        (
            TriggerParam("script", "script", "Which script; left out: any.", lambda vocabulary: vocabulary.scripts),
            TriggerParam(
                "status", "outcome", "How it ended; left out: any way.", lambda _vocabulary: RUN_STATUSES, many=True
            ),
        ),
        _script,
    ),
)


def _by_key(records: tuple[TriggerRecord, ...]) -> Mapping[str, TriggerRecord]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two triggers have the same key")
    return by_key


TRIGGERS: Mapping[str, TriggerRecord] = _by_key(_RECORDS)


def clean_trigger(on: str, params: Params, vocabulary: Vocabulary) -> dict[str, JSON]:
    """The trigger's parameters in the form that is stored; defaults are left out.

    Raises `OperandRefused` with a sentence that says what is allowed."""
    record = TRIGGERS.get(on)
    if record is None:
        raise OperandRefused(no_such("trigger", on, {one.key: one.label for one in TRIGGERS.values()}))
    known = {param.key: param for param in record.params}
    cleaned: dict[str, JSON] = {}
    for key, value in params.items():
        if key not in known:
            raise OperandRefused(no_such(f"parameter of '{on}'", key, list(known)))
        if value is None or value == "" or value == [] or value == known[key].default:
            continue
        cleaned[key] = _clean_param(known[key], value, vocabulary)
    if on == "changed":
        _clean_changed(cleaned, vocabulary)
    return cleaned


def _clean_param(param: TriggerParam, value: JSON, vocabulary: Vocabulary) -> JSON:
    values = value if isinstance(value, (list, tuple)) else [value]
    if len(values) > 1 and not param.many:
        raise OperandRefused(f"{param.label.capitalize()} takes one value, not {len(values)}.")
    for one in values:
        if isinstance(one, str) and len(one) > MAX_PARAM_CHARS:
            raise OperandRefused(f"{param.label.capitalize()} takes at most {MAX_PARAM_CHARS} characters.")
        if not param.many and not isinstance(one, str):
            raise OperandRefused(f"{param.label.capitalize()} takes a text, not {one!r}.")
        if param.options is not None and one not in param.options(vocabulary):
            raise OperandRefused(no_such(param.label, one, param.options(vocabulary)))
    return list(values) if param.many else values[0]


def _clean_changed(cleaned: dict[str, JSON], vocabulary: Vocabulary) -> None:
    name = cleaned.get("field")
    if not isinstance(name, str):
        if "from" in cleaned or "to" in cleaned:
            raise OperandRefused("'from' and 'to' need a field.")
        return
    try:
        field = state_backed(name, vocabulary)
    except UnknownField as error:
        raise OperandRefused(str(error)) from None
    cleaned["field"] = field.key
    for side, key in (("from", "changed_from"), ("to", "changed_to")):
        if side in cleaned:
            operator = OPERATORS[key]
            type = type_for(operator, field.type, cleaned[side])
            try:
                cleaned[side] = clean_operand(operator, type, cleaned[side], field.options, field.label.casefold())
            except ConditionFailed as error:
                raise OperandRefused(str(error)) from None
