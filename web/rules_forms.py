"""Cells as form fields and back: which fields a cell has, which choices, and what the sent form says in data.

Nothing is refused here but nonsense of the form itself: a draft may hold a wrong value, and `rules.parse` says which
and why, in its cell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from rules.action import FormField, ParamType
from rules.actions import ACTIONS
from rules.errors import UnknownField
from rules.fields import Field, all_fields, state_backed
from rules.operands import list_names, without_lists
from rules.operators import OPERATORS, Operand, Operator, Takes, default_operator, for_values, operators_for
from rules.parse import ANY_KIND, KINDS, MAX_TRIGGERS
from rules.table import DEFAULT_WAIT_S, NEVER_WITHOUT
from rules.triggers import TRIGGERS
from rules.vocabulary import GivenType, ScriptParam, Vocabulary
from tickets.item import FieldType
from tickets.values import JSON, iso
from web.labels import in_words
from web.rules_document import Document, EditRefused
from web.rules_inputs import input_widgets, read_inputs
from web.rules_labels import field_options, group_label, operator_label, param_label, param_options
from web.rules_widgets import MAX_FORM_CHARS, Choice, Widget, as_text, yes_no
from web.rules_words import column_label, field_or_none

#: What stands for "any of these" in forms with check boxes; a single ticked box is the plain operator again.
_MANY = {"is": "any_of", "is_not": "none_of"}
_ONE = {many: one for one, many in _MANY.items()}


@dataclass(frozen=True, slots=True)
class CellForm:
    """The form of one cell. `ops` is empty for a step; `valueless`: the column's own operator takes no value."""

    column: str
    side: str
    label: str
    group: str
    widgets: tuple[Widget, ...]
    ops: tuple[Choice, ...] = ()
    filled: bool = False
    valueless: bool = False


# Conditions ------------------------------------------------------------------------------------------------------


def condition_form(
    head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary, counts: Mapping[str, int] | None = None
) -> CellForm:
    """The form of a cell on the left."""
    id = str(head["id"])
    found = field_or_none(str(head.get("field", "")), vocabulary)
    data: Mapping[str, Any] = cell if isinstance(cell, Mapping) and not list_names(cell) else {"value": cell}
    value = data.get("value")
    named = list_names(value)
    plain = without_lists(value) if named else value
    many: Sequence[JSON] = plain if isinstance(plain, (list, tuple)) else [] if plain is None else [plain]
    key = str(data.get("op") or head.get("op") or default_operator(found.type if found else None).key)
    ticks = found is not None and bool(_options(found, counts, vocabulary))
    if key in OPERATORS:
        key = for_values(OPERATORS[key], value).key
    allowed = operators_for(
        found.type if found else None, state=bool(found and found.state_key), outside=bool(found and found.outside)
    )
    if ticks and found is not None and found.type is not FieldType.BOOL:
        key = _MANY.get(key, key)
        allowed = tuple(one for one in allowed if one.key not in _MANY or _MANY[one.key] not in OPERATORS)
    ops = tuple(_operator_choice(one, one.key == key) for one in allowed)
    if key not in {one.key for one in ops}:
        ops = (*ops, _operator_choice(OPERATORS[key], True) if key in OPERATORS else Choice(key, key, True))
    operator = OPERATORS.get(key)
    widgets: tuple[Widget, ...]
    texts = [as_text(one) for one in many]
    if ticks and found is not None:
        options = _options(found, counts, vocabulary)
        choices = tuple(
            Choice(option, label, option in texts, None if counts is None else counts.get(option, 0))
            for option, label in options.items()
        )
        widgets = (Widget(f"{id}.value", gettext("Values"), "ticks", choices=choices),)
        others = [one for one in texts if one not in options]
        long = ""
        if operator is not None and operator.takes is Takes.DURATION:
            long, others = ", ".join(others), []
        if found.outside:
            widgets += (Widget(f"{id}.long", gettext("How long ago, to test when it was fetched"), "line", long),)
        if found.options is None or others:
            widgets += (Widget(f"{id}.more", gettext("Others, one per line"), "lines", "\n".join(others)),)
    elif operator is not None and operator.takes is Takes.CALENDAR:
        options = dict(vocabulary.calendars) | {one: one for one in texts if one not in vocabulary.calendars}
        choices = tuple(Choice(option, label, option in texts) for option, label in options.items())
        widgets = (Widget(f"{id}.value", gettext("Calendar"), "choice", choices=choices),)
    elif found is not None and found.type in (FieldType.NUMBER, FieldType.MONEY, FieldType.TIME, FieldType.PERSON):
        pair = operator is not None and operator.operand is Operand.PAIR
        low, high = (texts[0], texts[1]) if pair and len(texts) == 2 else (texts[0] if texts else "", "")
        rest = [] if pair and len(texts) == 2 else texts[1:]
        help = ""
        if found.type is FieldType.TIME:
            help = gettext("A date and time, e.g. 2026-11-21 09:00; for older and newer how long, e.g. 72 h")
        widgets = (Widget(f"{id}.value", gettext("Value"), "pair", low, high, help=help),)
        if not pair and operator is not None and (rest or operator.operand is Operand.MANY):
            widgets += (Widget(f"{id}.more", gettext("More values, one per line"), "lines", "\n".join(rest)),)
    else:
        widgets = (
            Widget(f"{id}.more", gettext("Values"), "lines", "\n".join(texts), help=gettext("One per line means or")),
        )
    widgets += _lists_widget(id, found, named, vocabulary)
    own = OPERATORS.get(str(head.get("op") or ""))
    return CellForm(
        id,
        "if",
        column_label(head, "if", vocabulary),
        group_label(found.group) if found else "",
        widgets,
        ops,
        cell is not None,
        own is not None and own.operand is Operand.NONE,
    )


def _lists_widget(id: str, found: Field | None, chosen: Sequence[str], vocabulary: Vocabulary) -> tuple[Widget, ...]:
    """The named lists that may stand in a cell beside values of its own; none for yes or no and for a person's id."""
    if found is not None and found.type in (FieldType.BOOL, FieldType.PERSON) and not chosen:
        return ()
    options = found.options if found is not None else None
    labels = {
        key: one.label
        for key, one in vocabulary.lists.items()
        # A list of e-mail addresses is of no use among the priorities.
        if options is None or key in chosen or all(value in options for value in one.values)
    } | {name: name for name in chosen if name not in vocabulary.lists}
    if not labels:
        return ()
    choices = tuple(Choice(key, label, key in chosen) for key, label in labels.items())
    return (Widget(f"{id}.list", gettext("Named lists"), "ticks", choices=choices),)


def _operator_choice(operator: Operator, chosen: bool) -> Choice:
    return Choice(operator.key, operator_label(operator), chosen, doc=in_words(operator.doc))


def _options(found: Field, counts: Mapping[str, int] | None, vocabulary: Vocabulary) -> dict[str, str]:
    """What can be ticked: the field's own choices, or for free sets what tickets have at present."""
    if found.type is FieldType.BOOL:
        return {"true": gettext("Yes"), "false": gettext("No")}
    if found.options is not None:
        return field_options(found, vocabulary)
    if found.type is FieldType.CHOICES and counts:
        return {key: key for key in sorted(counts, key=lambda key: (-counts[key], key))[:50]}
    return {}


def read_condition(form: MultiDict[str, str], head: Mapping[str, Any], vocabulary: Vocabulary, zone: str) -> JSON:
    """What the form says of this cell: None for an empty one. Raises `EditRefused`."""
    id = str(head["id"])
    found = field_or_none(str(head.get("field", "")), vocabulary)
    default = str(head.get("op") or default_operator(found.type if found else None).key)
    key = form.get(f"{id}.op", default)
    if not key:
        return None
    operator = OPERATORS.get(key)
    if operator is None:
        raise EditRefused(gettext("There is no test %(op)s.", op=key))
    if operator.operand is Operand.NONE:
        return {"op": key} if key != default else {}
    given = [one for one in form.getlist(f"{id}.value") if one.strip()]
    if operator.takes is Takes.DURATION and f"{id}.long" in form:
        # Ticked values are no durations; the form has a field of its own for one.
        given = [form[f"{id}.long"].strip()] if form[f"{id}.long"].strip() else []
    high = form.get(f"{id}.high", "").strip()
    if operator.operand is Operand.PAIR:
        given = [*given[:1], *([high] if high else [])]
    given += [line.strip() for line in form.get(f"{id}.more", "").splitlines() if line.strip()]
    if any(len(one) > MAX_FORM_CHARS for one in given):
        raise EditRefused(gettext("A value has at most %(n)s characters.", n=MAX_FORM_CHARS))
    values = [_typed(one, found.type if found else None, zone) for one in dict.fromkeys(given)]
    values += [{"list": name} for name in dict.fromkeys(form.getlist(f"{id}.list")) if name]
    if not values:
        return None
    return compact(key, values, default)


def compact(key: str, values: Sequence[JSON], default: str) -> dict[str, JSON]:
    """A cell in its shortest form: a single value alone, the column's own operator left out."""
    single = len(values) == 1
    key = _ONE.get(key, key) if single else _MANY.get(key, key)
    usual = key == default or (_ONE.get(default) if single else _MANY.get(default)) == key
    cell: dict[str, JSON] = {} if usual else {"op": key}
    cell["value"] = values[0] if single and OPERATORS[key].operand is Operand.ONE else list(values)
    return cell


def _typed(text: str, type: FieldType | None, zone: str) -> JSON:
    """A form's text as the type wants it; left as text when it is none, so that parsing can say so."""
    match type:
        case FieldType.BOOL:
            return {"true": True, "false": False}.get(text, text)
        case FieldType.NUMBER | FieldType.PERSON:
            return _number(text)
        case FieldType.MONEY:
            return _plain_number(text)
        case FieldType.TIME:
            try:
                at = datetime.fromisoformat(text.strip())
            except ValueError:
                return text
            return iso(at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)))
        case _:
            return text


def _plain_number(text: str) -> str:
    """ "1 234,50" as "1234.50": people write numbers as their country does."""
    plain = "".join(char for char in text if not char.isspace() and char not in "\u00a0\u202f'")
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    return plain


def _number(text: str) -> JSON:
    plain = _plain_number(text)
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        number = float(plain)
    except ValueError:
        return text
    return number if abs(number) < 1e30 else text


# Steps -----------------------------------------------------------------------------------------------------------


def step_form(head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> CellForm:
    """The form of a cell on the right: one field per parameter of the action."""
    id = str(head["id"])
    record = ACTIONS.get(str(head.get("do", "")))
    data: Mapping[str, Any] = cell if isinstance(cell, Mapping) else {}
    if record is None:
        return CellForm(id, "then", str(head.get("do", "")), "", (), filled=cell is not None)
    widgets: list[Widget] = []
    offered = {param.key: param_options(param.options, vocabulary) for param in record.params}
    for field in record.form(vocabulary):
        options = None if field.options is None else offered.get(field.key, field.options)
        one = replace(field, label=in_words(field.label), doc=in_words(field.doc), options=options)
        if one.type is ParamType.GIVEN:
            widgets += _given_widgets(id, one, data, vocabulary)
        elif one.type is ParamType.INPUTS:
            widgets += input_widgets(id, one, data, vocabulary)
        else:
            widgets.append(_param_widget(f"{id}.{one.key}", one, data.get(one.key)))
    label, doc = in_words(record.label), in_words(record.doc)
    return CellForm(id, "then", label, doc, tuple(widgets), filled=cell is not None)


def _given_widgets(id: str, param: FormField, data: Mapping[str, Any], vocabulary: Vocabulary) -> list[Widget]:
    """A field for each parameter of each script, those of the chosen one shown; JSON for scripts that declare none."""
    chosen = str(data.get("script") or "")
    kept = data.get(param.key)
    given: Mapping[str, JSON] = kept if isinstance(kept, Mapping) else {}
    by = f"{id}.script"
    found: list[Widget] = []
    for script, takes in vocabulary.script_params.items():
        for one in takes:
            mine = given.get(one.name) if script == chosen else None
            widget = given_widget(f"{id}.{param.key}.{script}.{one.name}", one, mine)
            found.append(replace(widget, shown_by=by, shown_for=(script,), hidden=script != chosen))
    free = tuple(one for one in vocabulary.scripts if one not in vocabulary.script_params)
    if free or chosen not in vocabulary.script_params:
        text = "" if kept is None else json.dumps(kept, ensure_ascii=False, indent=1)
        anything = Widget(f"{id}.{param.key}", param.label, "json", text, help=param.doc)
        found.append(replace(anything, shown_by=by, shown_for=free, hidden=chosen not in free))
    return found


def given_widget(name: str, param: ScriptParam, value: JSON) -> Widget:
    """The form field of one parameter that a script declares."""
    text = as_text(value)
    usual = "" if param.default is None else gettext("Left out: %(value)s.", value=_default_words(param.default))
    doc = param.doc if not param.doc or param.doc[-1] in ".!?" else f"{param.doc}."
    help = " ".join(one for one in (doc, usual) if one)
    required = param.required and param.default is None

    def widget(kind: str, text: str = text, choices: tuple[Choice, ...] = ()) -> Widget:
        return Widget(name, param.label, kind, text, "", choices, help, required)

    match param.type:
        case GivenType.BOOL:
            return widget("radio", choices=tuple(Choice(k, v, k == text) for k, v in yes_no().items()))
        case GivenType.CHOICE:
            options = list(param.options) if not text or text in param.options else [*param.options, text]
            choices = tuple(Choice(one, one, one == text) for one in options)
            return widget("radio" if len(options) <= 8 else "choice", choices=choices)
        case GivenType.TEXTS:
            many = [str(one) for one in value] if isinstance(value, (list, tuple)) else [text] if text else []
            return widget("lines", "\n".join(many))
        case GivenType.DATE:
            return widget("date")
        case GivenType.TEXT | GivenType.NUMBER:
            return widget("line")


def _default_words(value: JSON) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return yes_no()[as_text(value)] if isinstance(value, bool) else str(value)


def read_given(form: MultiDict[str, str], name: str, param: ScriptParam) -> JSON:
    """What the form says of one parameter of a script, None for nothing. A wrong value stays as it was typed."""
    text = form.get(name, "").replace("\r\n", "\n").strip()
    if len(text) > MAX_FORM_CHARS:
        raise EditRefused(gettext("%(label)s has at most %(n)s characters.", label=param.label, n=MAX_FORM_CHARS))
    if not text:
        return None
    match param.type:
        case GivenType.NUMBER:
            return _number(text)
        case GivenType.BOOL:
            return {"true": True, "false": False}.get(text, text)
        case GivenType.TEXTS:
            return [line.strip() for line in text.splitlines() if line.strip()]
        case GivenType.TEXT | GivenType.CHOICE | GivenType.DATE:
            return text


def _read_given(form: MultiDict[str, str], id: str, key: str, label: str, vocabulary: Vocabulary) -> JSON:
    script = form.get(f"{id}.script", "")
    takes = vocabulary.script_params.get(script)
    if takes is None:
        return _read_json(label, form.get(f"{id}.{key}", ""))
    given = {one.name: read_given(form, f"{id}.{key}.{script}.{one.name}", one) for one in takes}
    return {name: value for name, value in given.items() if value is not None} or None


def _param_widget(name: str, param: FormField, value: JSON) -> Widget:
    text = as_text(value)
    many = [str(one) for one in value] if isinstance(value, (list, tuple)) else [text] if text else []

    none = param.type is not ParamType.BOOL

    def widget(kind: str, text: str = text, choices: tuple[Choice, ...] = (), help: str = param.doc) -> Widget:
        return Widget(name, param.label, kind, text, "", choices, help, param.required, none)

    options = dict(param.options or {})
    match param.type:
        case ParamType.CHOICES:
            options |= {one: one for one in many if one not in options}
            return widget("ticks", choices=tuple(Choice(key, label, key in many) for key, label in options.items()))
        case ParamType.CHOICE | ParamType.FIELD:
            if text not in options and f"ticket.{text}" in options:
                # A field of the item may be written without "ticket."; it stays as it was written.
                options = {text if key == f"ticket.{text}" else key: label for key, label in options.items()}
            if text and text not in options:
                options[text] = text
            if len(options) <= 8:
                return widget("radio", choices=tuple(Choice(key, label, key == text) for key, label in options.items()))
            return widget("choice", choices=tuple(Choice(key, label, key == text) for key, label in options.items()))
        case ParamType.TAGS:
            return widget("lines", "\n".join(many), help=gettext("One per line"))
        case ParamType.BOOL:
            chosen = text or as_text(param.default)
            return widget("radio", choices=tuple(Choice(k, v, k == chosen) for k, v in yes_no().items()))
        case ParamType.LONG_TEXT:
            return widget("long")
        case ParamType.JSON:
            return widget("json", "" if value is None else json.dumps(value, ensure_ascii=False, indent=1))
        case ParamType.VALUE:
            return widget("lines", "\n".join(many), help=gettext("Several lines for a field with several values"))
        case ParamType.GIVEN | ParamType.INPUTS:
            return widget("json", "" if value is None else json.dumps(value, ensure_ascii=False, indent=1))
        case ParamType.TEXT | ParamType.NUMBER:
            return widget("line")


def read_step(form: MultiDict[str, str], head: Mapping[str, Any], vocabulary: Vocabulary) -> JSON:
    """What the form says of this step: None when none of its fields is filled. Raises `EditRefused`."""
    id = str(head["id"])
    record = ACTIONS.get(str(head.get("do", "")))
    if record is None:
        raise EditRefused(gettext("This column does nothing that exists any more; remove it."))
    cell: dict[str, JSON] = {}
    for param in record.params:
        name = f"{id}.{param.key}"
        text = form.get(name, "")
        if len(text) > MAX_FORM_CHARS:
            raise EditRefused(
                gettext("%(label)s has at most %(n)s characters.", label=in_words(param.label), n=MAX_FORM_CHARS)
            )
        value: JSON
        match param.type:
            case ParamType.CHOICES:
                value = [one for one in form.getlist(name) if one]
            case ParamType.TAGS:
                value = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
            case ParamType.BOOL:
                value = {"true": True, "false": False}.get(text)
                value = None if value == param.default else value
            case ParamType.JSON:
                value = _read_json(in_words(param.label), text)
            case ParamType.GIVEN:
                value = _read_given(form, id, param.key, in_words(param.label), vocabulary)
            case ParamType.INPUTS:
                known = form.get(f"{id}.change", "") in vocabulary.changes
                value = read_inputs(form, id, param.key, vocabulary) if known else _read_json(param.label, text)
            case ParamType.NUMBER:
                value = _number(text) if text.strip() else None
            case ParamType.VALUE:
                value = _field_value(form.get(f"{id}.field", ""), text, vocabulary)
            case _:
                value = text.replace("\r\n", "\n").strip()
        if value not in (None, "", []):
            cell[param.key] = value
    # A yes or no alone says nothing: "internal" of which message?
    if any(param.type is not ParamType.BOOL for param in record.params) and all(
        _is_bool(record.key, key) for key in cell
    ):
        return None
    return cell or None


def _is_bool(action: str, key: str) -> bool:
    return any(param.key == key and param.type is ParamType.BOOL for param in ACTIONS[action].params)


def _read_json(label: str, text: str) -> JSON:
    if not text.strip():
        return None
    try:
        found: JSON = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EditRefused(gettext("%(label)s is not JSON: %(why)s", label=label, why=str(error))) from None
    return found


def _field_value(key: str, text: str, vocabulary: Vocabulary) -> JSON:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        type = state_backed(key, vocabulary).type
    except UnknownField:
        type = None
    if type is FieldType.CHOICES:
        return list(lines)
    if type is FieldType.LONG_TEXT:
        return text.replace("\r\n", "\n").strip()
    return _typed(lines[0], type, "UTC") if len(lines) == 1 else "\n".join(lines)


# The table's own properties ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TriggerForm:
    """One line of "runs when". `widgets` are the parameters of every trigger; only the chosen one's are read."""

    number: int
    choices: tuple[Choice, ...]
    widgets: tuple[tuple[str, Widget], ...]  # (trigger's key, field)


def trigger_forms(document: Document, vocabulary: Vocabulary) -> list[TriggerForm]:
    """The present triggers and one empty line."""
    lines = [*document["triggers"], {"on": ""}][:MAX_TRIGGERS]
    return [_trigger_form(number, line, vocabulary) for number, line in enumerate(lines)]


def _trigger_form(number: int, line: Mapping[str, Any], vocabulary: Vocabulary) -> TriggerForm:
    chosen = str(line.get("on", ""))
    choices = tuple(Choice(one.key, in_words(one.label), one.key == chosen) for one in TRIGGERS.values())
    widgets: list[tuple[str, Widget]] = []
    for record in TRIGGERS.values():
        for param in record.params:
            value = line.get(param.key) if record.key == chosen else None
            name = f"t{number}.{record.key}.{param.key}"
            options = param_options(param.options, vocabulary)
            if param.key == "field" and param.options is None:
                options = {one.key: in_words(one.label) for one in all_fields(vocabulary) if one.state_key}
                value = value if not value or str(value).startswith("ticket.") else f"ticket.{value}"
            many = (
                [str(one) for one in value] if isinstance(value, (list, tuple)) else [as_text(value)] if value else []
            )
            kind = "ticks" if options and param.many else "choice" if options else "words"
            if kind == "choice" and not many and param.default:
                many = [str(param.default)]
            widgets.append(
                (
                    record.key,
                    Widget(
                        name,
                        param_label(param),
                        kind,
                        ", ".join(many),
                        choices=tuple(Choice(key, label, key in many) for key, label in options.items()),
                        help=in_words(param.doc),
                        required=param.default is not None,
                    ),
                )
            )
    return TriggerForm(number, choices, tuple(widgets))


def read_settings(form: MultiDict[str, str], document: Document) -> Document:
    """The document with its name, kind, triggers, hit policy, wait and note from the form."""
    changed = {**document}
    changed["name"] = " ".join(form.get("name", "").split())[:200] or document["name"]
    changed["kind"] = form.get("kind", "ticket") if form.get("kind", "ticket") in KINDS else ANY_KIND
    changed["hit"] = form.get("hit", "first")
    changed["wait_s"] = _read_wait(form)
    changed.pop("run_again", None)
    if "run_again" in form:
        changed["run_again"] = True
    note = form.get("note", "").replace("\r\n", "\n").strip()
    changed.pop("note", None)
    if note:
        changed["note"] = note
    changed["triggers"] = read_triggers(form)
    return changed


def read_triggers(form: MultiDict[str, str]) -> list[JSON]:
    """The triggers that the form's lines say, in order; lines that choose none are left out."""
    triggers: list[JSON] = []
    for number in range(MAX_TRIGGERS):
        record = TRIGGERS.get(form.get(f"t{number}.on", ""))
        if record is None:
            continue
        line: dict[str, JSON] = {"on": record.key}
        for param in record.params:
            name = f"t{number}.{record.key}.{param.key}"
            given = [one for one in form.getlist(name) if one]
            if param.many:
                words = [part.strip() for one in given for part in one.split(",") if part.strip()]
                if words:
                    line[param.key] = list(words)
            elif given and given[0] != param.default:
                line[param.key] = given[0]
        triggers.append(line)
    return triggers


def _read_wait(form: MultiDict[str, str]) -> JSON:
    how = form.get("wait", "some")
    if how == "never_without":
        return NEVER_WITHOUT
    if how == "none":
        return 0
    seconds = _number(form.get("wait_s", ""))
    return seconds if isinstance(seconds, (int, float)) else DEFAULT_WAIT_S


def field_menu(vocabulary: Vocabulary, *, outside: bool = True) -> dict[str, list[tuple[str, str]]]:
    """The fields a new condition can look at, by group; those from `outside` may be left out."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in all_fields(vocabulary):
        if one.outside and not outside:
            continue
        groups.setdefault(group_label(one.group), []).append((one.key, in_words(one.label)))
    return groups


def action_menu() -> list[tuple[str, str, str]]:
    """What a new step column can do: key, label, sentence."""
    return [(one.key, in_words(one.label), in_words(one.doc)) for one in ACTIONS.values()]
