"""Deciding from files alone, with the desk's words as data; `web.rules_assumed` takes them from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs import live
from rules.engine import Decision, Entry, RuleSet, compile_ruleset
from rules.errors import FactsInvalid
from rules.facts import Facts
from rules.parse import parse_table
from rules.vocabulary import FieldSpec, LookupSpec, Vocabulary
from tickets.calendar import Calendar
from tickets.effects import Effect
from tickets.errors import BadValue
from tickets.item import CUSTOM, FieldType, StateField
from tickets.values import JSON

_LABELS = (
    "teams",
    "users",
    "brands",
    "locations",
    "location_groups",
    "webhooks",
    "scripts",
    "slas",
    "requests",
    "forms",
    "procedures",
)


class VocabularyRefused(Exception):
    """The vocabulary in the file has the wrong shape."""


def vocabulary(data: Mapping[str, Any]) -> Vocabulary:
    """A desk's words from data: `{teams: {key: label}, users, brands, locations, location_groups, webhooks, scripts,
    slas, requests, forms, procedures, custom_fields: {key: {label, type, options}}, templates: {code: {name, texts}},
    calendars: {key: {zone, week: {mon: [["09:00", "17:00"]]}, country, off}}, lookups: {"erp.find_party": {label, bind,
    fields: {path: {label, type}}}}}`. Raises `VocabularyRefused`."""
    unknown = sorted(set(data) - {*_LABELS, "custom_fields", "templates", "lookups", "calendars"})
    if unknown:
        raise VocabularyRefused(f"A vocabulary has no {unknown[0]!r}")
    try:
        labels = {key: {str(k): str(v) for k, v in (data.get(key) or {}).items()} for key in _LABELS}
        hours = {str(key): Calendar.from_json(one) for key, one in (data.get("calendars") or {}).items()}
        return Vocabulary(
            teams=labels["teams"],
            users=labels["users"],
            brands=labels["brands"],
            locations=labels["locations"],
            location_groups=labels["location_groups"],
            webhooks=labels["webhooks"],
            scripts=labels["scripts"],
            slas=labels["slas"],
            requests=labels["requests"],
            forms=labels["forms"],
            procedures=labels["procedures"],
            hours=hours,
            calendars={key: key for key in hours},
            custom_fields={
                key: StateField(CUSTOM + key, one.get("label", key), FieldType(one["type"]), one.get("options"))
                for key, one in (data.get("custom_fields") or {}).items()
            },
            templates={code: live.template(code, one) for code, one in (data.get("templates") or {}).items()},
            lookups={name: _lookup(name, one) for name, one in (data.get("lookups") or {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError, BadValue) as error:
        why = str(error) if isinstance(error, BadValue) else repr(error)
        raise VocabularyRefused(f"The vocabulary cannot be read: {why}") from error


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
