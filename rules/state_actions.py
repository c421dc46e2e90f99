"""The actions that write the item's own fields: values, team, assignees, tags."""

from __future__ import annotations

from rules.action import Action, Desk, Effects, Param, Params, ParamType, texts
from rules.errors import ActionRefused, UnknownField, no_such
from rules.fields import state_backed, state_field_of, state_fields
from rules.vocabulary import Vocabulary
from tickets.effects import AddTo, Effect, RemoveFrom, SetField
from tickets.errors import BadValue
from tickets.item import MAX_TAGS, clean_value
from tickets.kinds import PIPELINE, STAGE
from tickets.values import JSON

#: Fields of the state that `set_field` does not write: where the ticket came from, and what `move_stage` moves.
READ_ONLY = frozenset({"customer", "channel", PIPELINE, STAGE})


def _set_field(params: Params, desk: Desk) -> tuple[Effect, ...]:
    return (SetField(_state_key(params, desk.vocabulary), params.get("value")),)


def _state_key(params: Params, vocabulary: Vocabulary) -> str:
    return state_backed(str(params["field"]), vocabulary).state_key


def _sets(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (SetField(state_key, params[param]),)


def _assign(params: Params, _desk: Desk) -> tuple[Effect, ...]:
    return (SetField("assignees", sorted(texts(params["users"]))),)


def _adds(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (AddTo(state_key, texts(params[param])),)


def _removes(state_key: str, param: str) -> Effects:
    return lambda params, _desk: (RemoveFrom(state_key, texts(params[param])),)


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


_TAGS = Param("tags", "Tags", ParamType.TAGS, f"Up to {MAX_TAGS} tags.")


STATE_ACTIONS: tuple[Action, ...] = (
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
        (Param("status", "Status", ParamType.CHOICE, "The status.", options=lambda vocabulary: vocabulary.statuses),),
        _sets("status", "status"),
    ),
    Action(
        "set_priority",
        "Set priority",
        "Give the ticket this priority.",
        (
            Param(
                "priority",
                "Priority",
                ParamType.CHOICE,
                "The priority.",
                options=lambda vocabulary: vocabulary.priorities,
            ),
        ),
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
)
