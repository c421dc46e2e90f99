"""What a step may do. One record per action: tables, scripts, forms and docs all read ACTIONS.

`plan` is the only door: a table's cell and a script's call give it the action's key and parameters and get back
effects, or `ActionRefused` with a sentence. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rules.action import Action, Desk, Param, Params, ParamType
from rules.errors import ActionRefused, OperandRefused, UnknownField, no_such
from rules.facts import Facts
from rules.item_actions import ITEM_ACTIONS
from rules.message_actions import MESSAGE_ACTIONS
from rules.outgoing_actions import OUTGOING_ACTIONS
from rules.outside_actions import OUTSIDE_ACTIONS
from rules.state_actions import STATE_ACTIONS
from rules.system_actions import SYSTEM_ACTIONS, planned_change
from rules.templates import MAX_TEXT_CHARS, text_problems
from rules.time_actions import TIME_ACTIONS
from rules.vocabulary import Vocabulary
from tickets.effects import AddTo, Effect, RemoveFrom, SetField, apply
from tickets.item import MAX_TAG_CHARS
from tickets.values import JSON, json_problem

#: Most members in one list parameter, longest short text, and largest JSON parameter in characters of its text form.
MAX_MEMBERS = 100
MAX_SHORT_CHARS = 500
MAX_JSON_CHARS = 64_000
#: Largest number, either way.
MAX_NUMBER = 2**53

#: The words that the script editor and the sandbox use for them.
_SCRIPT_TYPES: Mapping[ParamType, str] = {
    ParamType.TEXT: "text",
    ParamType.LONG_TEXT: "text",
    ParamType.CHOICE: "text",
    ParamType.CHOICES: "list",
    ParamType.TAGS: "list",
    ParamType.BOOL: "bool",
    ParamType.NUMBER: "number",
    ParamType.JSON: "json",
    ParamType.GIVEN: "json",
    ParamType.INPUTS: "json",
    ParamType.FIELD: "text",
    ParamType.VALUE: "any",
}


@dataclass(frozen=True, slots=True)
class MethodParam:
    """A parameter as a script sees it."""

    name: str
    type: str
    required: bool
    doc: str


@dataclass(frozen=True, slots=True)
class Method:
    """An action as a method of `ticket` in scripts."""

    name: str
    params: tuple[MethodParam, ...]
    doc: str
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """An action that a script asked for, and the line it stands on."""

    action: str
    params: Params = field(default_factory=dict)
    line: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """What one call of a script comes to. No effects: it would change nothing."""

    call: Call
    effects: tuple[Effect, ...]


def is_change(action: str) -> bool:
    """Whether a script's call is one of a connected system, e.g. "crm.add_note": no action has a dot in its name."""
    return "." in action


def _by_key(records: tuple[Action, ...]) -> Mapping[str, Action]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two actions have the same key")
    return by_key


#: The order of the forms and of the docs.
_RECORDS: tuple[Action, ...] = (
    *STATE_ACTIONS,
    *TIME_ACTIONS,
    *ITEM_ACTIONS,
    *MESSAGE_ACTIONS,
    *OUTGOING_ACTIONS,
    *OUTSIDE_ACTIONS,
    *SYSTEM_ACTIONS,
)
#: The action behind a script's `crm.add_note(...)`, whose call is named by its connection and operation.
CHANGE_SYSTEM = "change_system"
ACTIONS: Mapping[str, Action] = _by_key(_RECORDS)


def script_methods(vocabulary: Vocabulary) -> tuple[Method, ...]:
    """The methods of `ticket` in scripts: the catalogue, parameters in the same order.

    What changes a connected system is not among them: that is a method of the connection, under its own grant."""
    methods = []
    for action in ACTIONS.values():
        if not action.in_scripts:
            continue
        params = []
        for param in action.params:
            options = param.options(vocabulary) if param.options else None
            allowed = f" One of: {', '.join(list(options)[:20])}." if options else ""
            params.append(MethodParam(param.key, _SCRIPT_TYPES[param.type], param.required, param.doc + allowed))
        methods.append(Method(action.key, tuple(params), action.doc))
    return tuple(methods)


def clean_params(action: str, params: Params, vocabulary: Vocabulary, *, literal: bool = False) -> dict[str, JSON]:
    """The parameters in the form that is stored. Raises `ActionRefused` with a sentence that says what is allowed.

    With `literal` texts may hold anything; otherwise their placeholders must exist."""
    record = ACTIONS.get(action)
    if record is None:
        raise ActionRefused(no_such("action", action, {one.key: one.label for one in ACTIONS.values()}))
    known = {param.key: param for param in record.params}
    for key in params:
        if key not in known:
            raise ActionRefused(no_such(f"parameter of '{action}'", key, list(known)))
    cleaned: dict[str, JSON] = {}
    for param in record.params:
        value = params.get(param.key)
        if value is None or value == "" or (value == [] and param.type is not ParamType.JSON):
            if param.required:
                raise ActionRefused(f"{record.label} needs {param.label.casefold()}.")
            if param.default is not None:
                cleaned[param.key] = param.default
            continue
        cleaned[param.key] = _clean_param(param, value, vocabulary, literal)
    if record.check is not None:
        record.check(cleaned, vocabulary)
    return cleaned


def _clean_param(param: Param, value: JSON, vocabulary: Vocabulary, literal: bool) -> JSON:
    match param.type:
        case ParamType.TEXT | ParamType.LONG_TEXT | ParamType.CHOICE | ParamType.FIELD:
            if not isinstance(value, str):
                raise ActionRefused(f"{param.label} takes a text, not {type(value).__name__}.")
            limit = MAX_TEXT_CHARS if param.type is ParamType.LONG_TEXT else MAX_SHORT_CHARS
            if len(value) > limit:
                raise ActionRefused(f"{param.label} takes at most {limit} characters, not {len(value)}.")
            problem = json_problem(value, param.label)
            if problem:
                raise ActionRefused(f"{problem}.")
            if (param.type is ParamType.LONG_TEXT or param.filled) and not literal:
                problems = text_problems(value, vocabulary, param.names)
                if problems:
                    raise ActionRefused(" ".join(problems))
            if param.type is ParamType.CHOICE and param.options is not None:
                _must_be_option(param, value, vocabulary)
            return value
        case ParamType.CHOICES | ParamType.TAGS:
            values = [value] if isinstance(value, str) else value
            if not isinstance(values, (list, tuple)) or not all(isinstance(one, str) for one in values):
                raise ActionRefused(f"{param.label} takes a list of texts.")
            members = sorted({" ".join(str(one).split()) for one in values} - {""})
            if not members:
                raise ActionRefused(f"{param.label} needs at least one.")
            if len(members) > MAX_MEMBERS:
                raise ActionRefused(f"{param.label} takes at most {MAX_MEMBERS}, not {len(members)}.")
            for one in members:
                if len(one) > MAX_TAG_CHARS or json_problem(one):
                    raise ActionRefused(f"{param.label}: each has at most {MAX_TAG_CHARS} ordinary characters.")
                if param.options is not None:
                    _must_be_option(param, one, vocabulary)
            return members
        case ParamType.BOOL:
            if not isinstance(value, bool):
                raise ActionRefused(f"{param.label} takes yes or no. Write true or false.")
            return value
        case ParamType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_NUMBER:
                raise ActionRefused(f"{param.label} takes a number.")
            return value
        case ParamType.JSON | ParamType.GIVEN | ParamType.INPUTS | ParamType.VALUE:
            problem = json_problem(value, param.label)
            if problem:
                raise ActionRefused(f"{problem}.")
            if _json_chars(value) > MAX_JSON_CHARS:
                raise ActionRefused(f"{param.label} takes at most {MAX_JSON_CHARS} characters.")
            return value


def _must_be_option(param: Param, value: str, vocabulary: Vocabulary) -> None:
    options = param.options(vocabulary) if param.options is not None else {}
    if value not in options:
        raise ActionRefused(no_such(param.label.casefold(), value, options))


def _json_chars(value: JSON) -> int:
    """About how long the JSON text of `value` is, without writing it."""
    total, stack = 0, [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            total += len(part) + 2
        elif isinstance(part, Mapping):
            total += 2 + sum(len(key) + 4 for key in part)
            stack.extend(part.values())
        elif isinstance(part, (list, tuple)):
            total += 2 + len(part)
            stack.extend(part)
        else:
            total += 8
    return total


def plan(
    action: str, params: Params, facts: Facts, vocabulary: Vocabulary, *, literal: bool = False
) -> tuple[Effect, ...]:
    """The effects of one step on these facts; none when it would change nothing.

    `facts.item` is the item with everything staged so far. `literal` is for scripts: their texts are sent as they
    are, so that what a customer wrote is never read as a placeholder. Raises `ActionRefused` with a sentence."""
    return without_idle(intended(action, params, facts, vocabulary, literal=literal), facts)


def intended(
    action: str, params: Params, facts: Facts, vocabulary: Vocabulary, *, literal: bool = False
) -> tuple[Effect, ...]:
    """Like `plan`, with the effects that would change nothing."""
    # A table for every kind meets one kind at a time, and is held to what that kind has.
    vocabulary = vocabulary.of(str(facts.item.get("kind", vocabulary.kind)))
    cleaned = clean_params(action, params, vocabulary, literal=literal)
    try:
        return ACTIONS[action].effects(cleaned, Desk(facts, vocabulary, literal))
    except (UnknownField, OperandRefused) as error:
        raise ActionRefused(str(error)) from error


def without_idle(effects: Sequence[Effect], facts: Facts) -> tuple[Effect, ...]:
    """The effects that change something; messages and the like always do."""
    state: Mapping[str, JSON] = facts.item
    kept: list[Effect] = []
    for effect in effects:
        if isinstance(effect, (SetField, AddTo, RemoveFrom)):
            state, changes = apply(state, [effect])
            if not changes:
                continue
        kept.append(effect)
    return tuple(kept)


def staged_by(effects: Sequence[Effect], facts: Facts) -> dict[str, JSON]:
    """The state fields these effects write and their values then; None for emptied ones."""
    state_effects = [effect for effect in effects if isinstance(effect, (SetField, AddTo, RemoveFrom))]
    _, changes = apply(facts.item, state_effects)
    return {change.field: change.after for change in changes}


def plan_calls(
    calls: Sequence[Call], facts: Facts, vocabulary: Vocabulary, *, effects_left: int = 100
) -> tuple[PlannedCall, ...]:
    """What a script's calls come to, in order, each seeing what the ones before it staged.

    Raises `ActionRefused`, naming the line, for the first call that is not in order or when there are more effects
    than `effects_left`: a script's actions are applied together or not at all."""
    planned: list[PlannedCall] = []
    for call in calls:
        line = f"Line {call.line}: " if call.line is not None else ""
        try:
            if is_change(call.action):
                effects = planned_change(call.action, call.params, vocabulary)
            else:
                effects = plan(call.action, call.params, facts, vocabulary, literal=True)
        except ActionRefused as error:
            raise ActionRefused(f"{line}{error}") from error
        effects_left -= len(effects)
        if effects_left < 0:
            raise ActionRefused(f"{line}this chain of events may not do more; its limit of effects is reached.")
        facts = facts.with_state(staged_by(effects, facts))
        planned.append(PlannedCall(call, effects))
    return tuple(planned)


def step_sentence(action: str, params: Params, vocabulary: Vocabulary) -> str:
    """A step in words, e.g. "Assign team: Billing"; a script's change in a system like the table's."""
    if is_change(action):
        action, params = CHANGE_SYSTEM, {"change": action, "inputs": params}
    record = ACTIONS.get(action)
    if record is None:
        return action
    # A card's facts stand on the card; in a sentence they would be punctuation.
    words = [
        _in_words(param, params[param.key], vocabulary)
        for param in record.params
        if params.get(param.key) not in (None, {})
        and param.type is not ParamType.JSON
        # A "no" that nobody said is not worth a word.
        and not (params[param.key] is False and param.default is False)
    ]
    return f"{record.label}: {' · '.join(words)}" if words else record.label


def _in_words(param: Param, value: JSON, vocabulary: Vocabulary) -> str:
    if isinstance(value, bool) and param.type is ParamType.BOOL:
        return param.label.casefold() if value else f"not {param.label.casefold()}"
    if param.type is ParamType.NUMBER:
        return f"{param.label.casefold()} {value}"
    if isinstance(value, Mapping):
        words = ", ".join(f"{name}: {', '.join(_members(one))}" for name, one in value.items())
    else:
        options = param.options(vocabulary) if param.options else {}
        words = ", ".join(options.get(one, one) for one in _members(value))
    return words if len(words) <= 80 else words[:77] + "..."


def _members(value: JSON) -> list[str]:
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]
