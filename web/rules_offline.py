"""Deciding from files alone: the desk's words as data, or taken from what the tables themselves name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs import live
from rules.action import ParamType
from rules.actions import ACTIONS
from rules.engine import Decision, Entry, RuleSet, compile_ruleset
from rules.errors import FactsInvalid
from rules.facts import Facts
from rules.fields import FIELDS
from rules.operators import OPERATORS
from rules.parse import parse_table
from rules.vocabulary import FieldSpec, LookupSpec, Template, TemplateText, Vocabulary
from tickets.effects import Effect
from tickets.item import CUSTOM, FieldType, StateField
from tickets.values import JSON
from web.rules_document import tidy

_LABELS = ("teams", "users", "brands", "locations", "scripts")


class VocabularyRefused(Exception):
    """The vocabulary in the file has the wrong shape."""


def vocabulary(data: Mapping[str, Any]) -> Vocabulary:
    """A desk's words from data: `{teams: {key: label}, users, brands, locations, scripts, custom_fields: {key: {label,
    type, options}}, templates: {code: {name, texts}}, lookups: {"erp.find_party": {label, bind, fields: {path: {label,
    type}}}}}`. Raises `VocabularyRefused`."""
    unknown = sorted(set(data) - {*_LABELS, "custom_fields", "templates", "lookups"})
    if unknown:
        raise VocabularyRefused(f"A vocabulary has no {unknown[0]!r}")
    try:
        labels = {key: {str(k): str(v) for k, v in (data.get(key) or {}).items()} for key in _LABELS}
        return Vocabulary(
            teams=labels["teams"],
            users=labels["users"],
            brands=labels["brands"],
            locations=labels["locations"],
            scripts=labels["scripts"],
            custom_fields={
                key: StateField(CUSTOM + key, one.get("label", key), FieldType(one["type"]), one.get("options"))
                for key, one in (data.get("custom_fields") or {}).items()
            },
            templates={code: live.template(code, one) for code, one in (data.get("templates") or {}).items()},
            lookups={name: _lookup(name, one) for name, one in (data.get("lookups") or {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VocabularyRefused(f"The vocabulary cannot be read: {error!r}") from error


def _lookup(name: str, data: Mapping[str, Any]) -> LookupSpec:
    connection, _, operation = name.partition(".")
    return LookupSpec(
        connection,
        operation,
        str(data.get("label", name)),
        bind=dict(data.get("bind") or {}),
        fields={
            path: FieldSpec(str(one.get("label", path)), FieldType(one.get("type", "text")), one.get("options"))
            for path, one in (data.get("fields") or {}).items()
        },
    )


def assumed(tables: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """The words that these tables use, taken as existing: for files that come without a vocabulary.

    A field's type is what its operators take; a lookup is bound to nothing, so it is known only where facts say so."""
    teams: set[str] = set()
    users: set[str] = set()
    scripts: set[str] = set()
    templates: set[str] = set()
    custom: dict[str, FieldType] = {}
    lookups: dict[str, dict[str, FieldType]] = {}
    for data in tables:
        document = tidy(data)
        for head in document["columns"]:
            cells = [row["if"].get(head["id"]) for row in document["rows"]]
            key, type = str(head.get("field", "")), _type_of(head, cells)
            if key.startswith("ticket.fields."):
                custom.setdefault(key.removeprefix("ticket.fields."), type)
            elif key not in FIELDS and not key.startswith("context.") and key.count(".") >= 2:
                connection, operation, path = key.split(".", 2)
                lookups.setdefault(f"{connection}.{operation}", {})[path] = type
        for head in document["steps"]:
            steps = [row["then"].get(head["id"]) for row in document["rows"]]
            steps.append(document.get("otherwise", {}).get("then", {}).get(head["id"]))
            for cell in steps:
                if isinstance(cell, Mapping):
                    _names(str(head.get("do", "")), cell, teams, users, scripts, templates, custom)
    return Vocabulary(
        teams={key: key for key in sorted(teams)},
        users={key: key for key in sorted(users)},
        scripts={key: key for key in sorted(scripts)},
        templates={key: Template(key, key, {"en": TemplateText(key, key)}) for key in sorted(templates)},
        custom_fields={key: StateField(CUSTOM + key, key, type) for key, type in custom.items()},
        lookups={
            name: LookupSpec(
                name.partition(".")[0],
                name.partition(".")[2],
                name,
                fields={path: FieldSpec(path, type) for path, type in paths.items()},
            )
            for name, paths in lookups.items()
        },
    )


def _type_of(head: Mapping[str, Any], cells: Sequence[Any]) -> FieldType:
    """The type whose fields take these operators and values; text where several would do."""
    ops = {str(head.get("op") or "")}
    values: list[Any] = []
    for cell in cells:
        data = cell if isinstance(cell, Mapping) else {"value": cell}
        ops.add(str(data.get("op") or ""))
        value = data.get("value")
        values += value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) for one in values):
        return FieldType.BOOL
    if any(isinstance(one, (int, float)) for one in values):
        return FieldType.NUMBER
    for type in (FieldType.TEXT, FieldType.NUMBER, FieldType.CHOICES):
        if all(op not in OPERATORS or type in OPERATORS[op].types for op in ops):
            return type
    return FieldType.TEXT


def _names(
    do: str,
    cell: Mapping[str, Any],
    teams: set[str],
    users: set[str],
    scripts: set[str],
    templates: set[str],
    custom: dict[str, FieldType],
) -> None:
    record = ACTIONS.get(do)
    if record is None:
        return
    for param in record.params:
        value = cell.get(param.key)
        members = {str(one) for one in value} if isinstance(value, list) else {str(value)} if value else set()
        match param.key:
            case "team" | "teams":
                teams |= members
            case "users":
                users |= members
            case "script":
                scripts |= members
            case "template":
                templates |= members
        if param.type is ParamType.FIELD:
            for one in members:
                key = one.removeprefix("ticket.")
                if key.startswith(CUSTOM):
                    custom.setdefault(key.removeprefix(CUSTOM), FieldType.TEXT)


def ruleset(tables: Sequence[Mapping[str, Any]], words: Vocabulary) -> RuleSet:
    """These tables in this order, as version 1 each. Raises `TableInvalid`."""
    entries = [
        Entry(str(data.get("code", "")), str(data.get("name", "")), 1, number, data.get("enabled", True) is not False,
              parse_table(data, words))
        for number, data in enumerate(tables, 1)
    ]  # fmt: skip
    return compile_ruleset(1, entries, words)


def facts(data: Mapping[str, JSON]) -> Facts:
    """Facts from a file: the shape of docs/architecture.md; `now` may be left out when the event has a time.

    Raises `FactsInvalid`."""
    event = data.get("event")
    at = event.get("at") if isinstance(event, Mapping) else None
    if "now" not in data and not isinstance(at, str):
        raise FactsInvalid("Facts need 'now', or the event's time 'at'.")
    return Facts.from_json({"now": at, **data})


def decision_json(decision: Decision) -> dict[str, JSON]:
    """A decision as data: what fired, what it plans, what it waits for, and why."""
    return {
        "fired": list(decision.fired),
        "planned": [
            {
                "row": one.row_key,
                "step": one.step,
                "action": one.action,
                "params": dict(one.params),
                "effects": [effect_json(effect) for effect in one.effects],
                "reason": one.reason,
            }
            for one in decision.planned
        ],
        "changes": dict(decision.staged),
        "waits_for": None
        if decision.wait is None
        else {"entry": decision.wait.entry, "lookups": [key.name for key in decision.wait.lookups]},
        "skipped": [
            {"row": one.row_key, "lookups": [key.name for key in one.lookups], "reason": one.reason}
            for one in decision.skipped
        ],
        "notes": list(decision.notes),
        "trace": decision.trace.to_json(),
    }


def effect_json(effect: Effect) -> dict[str, JSON]:
    """An effect with its kind and its fields."""
    fields: dict[str, JSON] = {"effect": type(effect).__name__}
    for name in effect.__dataclass_fields__:
        value = getattr(effect, name)
        fields[name] = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    return fields
