"""What a step may do. One record per action: tables, scripts, forms and docs all read ACTIONS.

`plan` is the only door: a table's cell and a script's call give it the action's key and parameters and get back
effects, or `ActionRefused` with a sentence. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from rules.errors import ActionRefused, OperandRefused, UnknownField, no_such
from rules.facts import Facts, LookupKey
from rules.fields import lookup_key, state_backed, state_field_of, state_fields
from rules.templates import MAX_TEXT_CHARS, render, text_problems
from rules.vocabulary import DEFAULT_LANGUAGE, Vocabulary
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
)
from tickets.errors import BadValue
from tickets.item import MAX_TAG_CHARS, MAX_TAGS, PRIORITIES, STATUSES, clean_value
from tickets.values import JSON, json_problem

#: Most members in one list parameter, longest short text, and largest JSON parameter in characters of its text form.
MAX_MEMBERS = 100
MAX_SHORT_CHARS = 500
MAX_JSON_CHARS = 64_000
#: Fields of the state that no step may write: they say where the ticket came from.
READ_ONLY = frozenset({"customer", "channel"})

Params: TypeAlias = Mapping[str, JSON]


class ParamType(StrEnum):
    """What a parameter takes; the form's widget and the check follow from it."""

    TEXT = "text"
    LONG_TEXT = "long_text"  # with placeholders when it comes from a table
    CHOICE = "choice"
    CHOICES = "choices"
    TAGS = "tags"  # a list of free texts
    BOOL = "bool"
    JSON = "json"
    FIELD = "field"  # the key of a state field
    VALUE = "value"  # whatever the field named beside it takes


#: The words that the script editor and the sandbox use for them.
_SCRIPT_TYPES: Mapping[ParamType, str] = {
    ParamType.TEXT: "text",
    ParamType.LONG_TEXT: "text",
    ParamType.CHOICE: "text",
    ParamType.CHOICES: "list",
    ParamType.TAGS: "list",
    ParamType.BOOL: "bool",
    ParamType.JSON: "json",
    ParamType.FIELD: "text",
    ParamType.VALUE: "any",
}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `options` gives the allowed values of this desk; `default` is used when it is left out."""

    key: str
    label: str
    type: ParamType
    doc: str
    required: bool = True
    options: Callable[[Vocabulary], Mapping[str, str]] | None = None
    default: JSON = None


@dataclass(frozen=True, slots=True)
class FormField:
    """A parameter as a form shows it in this desk."""

    key: str
    label: str
    type: ParamType
    required: bool
    doc: str
    options: Mapping[str, str] | None
    default: JSON


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


@dataclass(frozen=True, slots=True)
class _Desk:
    """What an action's `effects` may look at. `literal`: texts are taken as they are, without placeholders."""

    facts: Facts
    vocabulary: Vocabulary
    literal: bool

    def text(self, text: str) -> str:
        return text if self.literal else render(text, self.facts, self.vocabulary).text


Effects: TypeAlias = Callable[[Params, _Desk], tuple[Effect, ...]]
Check: TypeAlias = Callable[[dict[str, JSON], Vocabulary], None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a step can do. `effects` gets cleaned parameters; `check` looks at several of them together."""

    key: str
    label: str
    doc: str
    params: tuple[Param, ...]
    effects: Effects
    check: Check | None = None

    def form(self, vocabulary: Vocabulary) -> tuple[FormField, ...]:
        """The form fields for a step of this action in this desk."""
        return tuple(
            FormField(
                param.key,
                param.label,
                param.type,
                param.required,
                param.doc,
                param.options(vocabulary) if param.options else None,
                param.default,
            )
            for param in self.params
        )


# What each action comes to --------------------------------------------------------------------------------------


def _set_field(params: Params, desk: _Desk) -> tuple[Effect, ...]:
    return (SetField(_state_key(params, desk.vocabulary), params.get("value")),)


def _state_key(params: Params, vocabulary: Vocabulary) -> str:
    return state_backed(str(params["field"]), vocabulary).state_key


def _sets(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (SetField(state_key, params[param]),)


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, (list, tuple)) else ()


def _assign(params: Params, _desk: _Desk) -> tuple[Effect, ...]:
    return (SetField("assignees", sorted(_texts(params["users"]))),)


def _adds(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (AddTo(state_key, _texts(params[param])),)


def _removes(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (RemoveFrom(state_key, _texts(params[param])),)


def _post_message(params: Params, desk: _Desk) -> tuple[Effect, ...]:
    public = bool(params["public"])
    code = params.get("template")
    if not isinstance(code, str):
        return (PostMessage(desk.text(str(params["text"])), public),)
    language = str(desk.facts.item.get("language") or (desk.facts.customer or {}).get("language") or DEFAULT_LANGUAGE)
    chosen = desk.vocabulary.templates[code].text_for(language)
    if chosen is None:
        raise ActionRefused(f"The template {code} has no text in any language.")
    used, text = chosen
    # Templates are written by managers, so their placeholders are filled in for scripts too.
    body = render(text.body, desk.facts, desk.vocabulary).text
    subject = render(text.subject, desk.facts, desk.vocabulary).text
    return (PostMessage(body, public, code, used, subject),)


def _add_note(params: Params, desk: _Desk) -> tuple[Effect, ...]:
    return (PostMessage(desk.text(str(params["text"])), public=False),)


def _notify(params: Params, desk: _Desk) -> tuple[Effect, ...]:
    return (Notify(_texts(params.get("users")), _texts(params.get("teams")), desk.text(str(params["text"]))),)


def _set_context(params: Params, _desk: _Desk) -> tuple[Effect, ...]:
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


def _run_script(params: Params, _desk: _Desk) -> tuple[Effect, ...]:
    given = params.get("params")
    return (RunScript(str(params["script"]), dict(given) if isinstance(given, Mapping) else {}),)


def _look_up(params: Params, desk: _Desk) -> tuple[Effect, ...]:
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


# What several parameters must be together ------------------------------------------------------------------------


def _check_field(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    try:
        target = state_backed(str(params["field"]), vocabulary)
    except UnknownField as error:
        raise ActionRefused(str(error)) from None
    if target.state_key in READ_ONLY:
        raise ActionRefused(f"{target.label} cannot be set by a rule.")
    params["field"] = target.key
    declared = state_field_of(target, vocabulary)
    try:
        cleaned = clean_value(declared, params.get("value"))
    except BadValue as error:
        value = params.get("value")
        if declared.options is not None and isinstance(value, str):
            raise ActionRefused(no_such(target.label.casefold(), value, declared.options)) from None
        raise ActionRefused(f"{error}.") from None
    if declared.options is not None and isinstance(cleaned, list):
        for one in cleaned:
            if one not in declared.options:
                raise ActionRefused(no_such(target.label.casefold(), one, declared.options))
    params["value"] = cleaned


def _check_message(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if ("text" in params) == ("template" in params):
        raise ActionRefused("A message takes either a text or a template, and one of them.")


def _check_notify(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not params.get("users") and not params.get("teams"):
        raise ActionRefused("Name at least one user or team to notify.")


def _check_context(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    key = str(params["key"])
    if not key.replace("_", "a").replace("-", "a").isalnum() or len(key) > 40:
        raise ActionRefused("A card's key has up to 40 letters, digits, - and _.")
    if "data" not in params and not params.get("error"):
        raise ActionRefused("A card takes data, or the error that says why there are none.")


def _check_script(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not isinstance(params.get("params") or {}, Mapping):
        raise ActionRefused("A script's parameters are names with values.")


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


_TEXT = Param(
    "text", "Text", ParamType.LONG_TEXT, "The text; {{ticket.*}} and {{customer.*}} are filled in from a table."
)
_TAGS = Param("tags", "Tags", ParamType.TAGS, f"Up to {MAX_TAGS} tags.")


def _optional(param: Param) -> Param:
    return replace(param, required=False)


_RECORDS: tuple[Action, ...] = (
    Action(
        "set_field",
        "Set field",
        "Give a field of the ticket this value; no value empties it.",
        (
            Param(
                "field",
                "Field",
                ParamType.FIELD,
                "Which field, e.g. fields.topic.",
                options=lambda vocabulary: {
                    one.key: one.label for one in state_fields(vocabulary) if one.state_key not in READ_ONLY
                },
            ),
            Param("value", "Value", ParamType.VALUE, "The value; left out: empty.", required=False),
        ),
        _set_field,
        _check_field,
    ),
    Action(
        "set_status",
        "Set status",
        "Give the ticket this status.",
        (Param("status", "Status", ParamType.CHOICE, "The status.", options=lambda _vocabulary: STATUSES),),
        _sets("status", "status"),
    ),
    Action(
        "set_priority",
        "Set priority",
        "Give the ticket this priority.",
        (Param("priority", "Priority", ParamType.CHOICE, "The priority.", options=lambda _vocabulary: PRIORITIES),),
        _sets("priority", "priority"),
    ),
    Action(
        "assign_team",
        "Assign team",
        "Give the ticket to this team.",
        (Param("team", "Team", ParamType.CHOICE, "The team.", options=lambda vocabulary: vocabulary.teams),),
        _sets("team", "team"),
    ),
    Action(
        "assign",
        "Assign",
        "Give the ticket to these people, in place of those who had it.",
        (Param("users", "People", ParamType.CHOICES, "Who has it then.", options=lambda vocabulary: vocabulary.users),),
        _assign,
    ),
    Action(
        "add_assignee",
        "Add assignee",
        "Add these people to those who have the ticket.",
        (Param("users", "People", ParamType.CHOICES, "Who is added.", options=lambda vocabulary: vocabulary.users),),
        _adds("assignees", "users"),
    ),
    Action("add_tags", "Add tags", "Put these tags on the ticket.", (_TAGS,), _adds("tags", "tags")),
    Action("remove_tags", "Remove tags", "Take these tags off the ticket.", (_TAGS,), _removes("tags", "tags")),
    Action(
        "post_message",
        "Post message",
        "Write a message from the bot: a text or a template, for the customer (public) or as an internal note.",
        (
            _optional(_TEXT),
            Param(
                "template",
                "Template",
                ParamType.CHOICE,
                "A template instead of a text, in the ticket's language where it has one.",
                required=False,
                options=lambda vocabulary: {one.code: one.name for one in vocabulary.templates.values()},
            ),
            Param(
                "public",
                "Public",
                ParamType.BOOL,
                "Yes: the customer gets it. No: an internal note.",
                required=False,
                default=True,
            ),
        ),
        _post_message,
        _check_message,
    ),
    Action("add_note", "Add note", "Write an internal note.", (_TEXT,), _add_note),
    Action(
        "notify",
        "Notify",
        "Tell people and teams in the bell.",
        (
            Param(
                "users",
                "People",
                ParamType.CHOICES,
                "Who.",
                required=False,
                options=lambda vocabulary: vocabulary.users,
            ),
            Param(
                "teams",
                "Teams",
                ParamType.CHOICES,
                "Which.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            _TEXT,
        ),
        _notify,
        _check_notify,
    ),
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
            Param("params", "Parameters", ParamType.JSON, "What it gets as `params`.", required=False),
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


def _by_key(records: tuple[Action, ...]) -> Mapping[str, Action]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two actions have the same key")
    return by_key


ACTIONS: Mapping[str, Action] = _by_key(_RECORDS)


def script_methods(vocabulary: Vocabulary) -> tuple[Method, ...]:
    """The methods of `ticket` in scripts: exactly the catalogue, parameters in the same order."""
    methods = []
    for action in ACTIONS.values():
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
            if param.type is ParamType.LONG_TEXT and not literal:
                problems = text_problems(value, vocabulary)
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
                raise ActionRefused(f"{param.label} takes yes or no.")
            return value
        case ParamType.JSON | ParamType.VALUE:
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
    cleaned = clean_params(action, params, vocabulary, literal=literal)
    try:
        return ACTIONS[action].effects(cleaned, _Desk(facts, vocabulary, literal))
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
    """A step in words, e.g. "Assign team: Billing"."""
    record = ACTIONS.get(action)
    if record is None:
        return action
    # A card's facts stand on the card; in a sentence they would be punctuation.
    words = [
        _in_words(param, params[param.key], vocabulary)
        for param in record.params
        if params.get(param.key) is not None and param.type is not ParamType.JSON
    ]
    return f"{record.label}: {' · '.join(words)}" if words else record.label


def _in_words(param: Param, value: JSON, vocabulary: Vocabulary) -> str:
    if isinstance(value, bool) and param.type is ParamType.BOOL:
        return param.label.casefold() if value else f"not {param.label.casefold()}"
    options = param.options(vocabulary) if param.options else {}
    members = value if isinstance(value, (list, tuple)) else [value]
    words = ", ".join(options.get(str(one), str(one)) for one in members)
    return words if len(words) <= 80 else words[:77] + "..."
