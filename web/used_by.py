"""Who uses what: the tables, rows, templates and scripts that name a team, field, list, connection ...

Drafts and switched-off entries count: what they name must not disappear under them. What a cell means is read from the
catalogues, so a new field or action is looked through without a word here. Scripts are searched as text, by the ways in
which a script can name the thing; a name in a comment counts, which errs on the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from flask_babel import gettext

from rules.action import ParamType
from rules.actions import ACTIONS
from rules.fields import FIELDS
from rules.operands import list_names
from rules.operators import OPERATORS, Takes
from rules.store import EntryKind, Stored
from rules.table import OTHERWISE
from rules.triggers import TRIGGERS
from rules.vocabulary import Vocabulary
from sandbox.source import lines_of
from tickets.item import CUSTOM
from tickets.snooze import FOR, awaited
from web.rules_document import IF, THEN, tidy
from web.rules_words import column_label, field_or_none, row_name

#: Most places named of one entry; the rest is counted.
MAX_PLACES = 20

#: (part, key), e.g. ("team", "billing"), ("field", "topic"), ("connection", "erp"), ("list", "VIPS")
Named: TypeAlias = tuple[str, str]

_PLACEHOLDER = re.compile(r"\{\{\s*ticket\.fields\.([a-z0-9_]+)", re.IGNORECASE)
_ANY_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\s]{1,200})\s*\}\}")
#: The mappings of the vocabulary, by the part they list.
_MAPPINGS = {
    "team": "teams",
    "user": "users",
    "brand": "brands",
    "location": "locations",
    "script": "scripts",
    "template": "templates",
    "location_group": "location_groups",
    "calendar": "calendars",
    "sla": "slas",
    "request": "requests",
    "form": "forms",
    "procedure": "procedures",
    "connection": "webhooks",
}


@dataclass(frozen=True, slots=True)
class Use:
    """One entry that uses something, and where in it. `draft`: only its draft does."""

    entry: Stored
    places: tuple[str, ...]
    draft: bool

    @property
    def sentence(self) -> str:
        """E.g. "A01 New ticket triage (row 3, Assign team; switched off)"."""
        parts = [*self.places]
        if self.draft:
            parts.append(gettext("only in the draft"))
        if not self.entry.enabled:
            parts.append(gettext("switched off"))
        return f"{self.entry.code} {self.entry.name} ({'; '.join(parts)})"


def uses(entries: Iterable[Stored], part: str, key: str, vocabulary: Vocabulary) -> list[Use]:
    """Every entry that names this thing, with the places, in list order."""
    return uses_of(entries, [(part, key)], vocabulary)[part, key]


def uses_of(entries: Iterable[Stored], wanted: Sequence[Named], vocabulary: Vocabulary) -> dict[Named, list[Use]]:
    """`uses` of several things in one pass over the entries."""
    found: dict[Named, list[Use]] = {named: [] for named in wanted}
    for entry in entries:
        live = _places(entry, entry.content, wanted, vocabulary)
        draft = _places(entry, entry.draft, wanted, vocabulary)
        for named in wanted:
            places = list(dict.fromkeys([*live.get(named, ()), *draft.get(named, ())]))
            if not places or entry.code == named[1]:
                continue
            more = len(places) - MAX_PLACES
            shown = (*places[:MAX_PLACES], gettext("and %(n)s more places", n=more)) if more > 0 else tuple(places)
            found[named].append(Use(entry, shown, named not in live))
    return found


def still_used(label: str, used: Sequence[Use]) -> str:
    """The sentence that refuses to delete what is used."""
    return gettext(
        "%(label)s is used by %(who)s. Nothing was deleted.",
        label=label,
        who=", ".join(one.sentence for one in used),
    )


def _places(
    entry: Stored, content: Mapping[str, Any] | None, wanted: Sequence[Named], vocabulary: Vocabulary
) -> dict[Named, list[str]]:
    if not content:
        return {}
    if entry.kind is EntryKind.SCRIPT:
        source = str(content.get("source", ""))
        return {named: places for named in wanted if (places := _of_script(source, named))}
    texts = content.get("texts")
    marks = (
        _of_table(content, vocabulary)
        if entry.kind is EntryKind.TABLE
        else _of_texts(texts if isinstance(texts, Mapping) else {})
    )
    found: dict[Named, list[str]] = {}
    looked_for = set(wanted)
    for where, named in marks:
        if named in looked_for:
            found.setdefault(named, []).append(where)
    return found


# Tables ----------------------------------------------------------------------------------------------------------


def named_in(content: Mapping[str, Any], vocabulary: Vocabulary) -> set[Named]:
    """Everything that a table names, whether or not it exists."""
    return {named for _, named in _of_table(content, vocabulary)}


def _of_table(content: Mapping[str, Any], vocabulary: Vocabulary) -> Iterator[tuple[str, Named]]:
    document = tidy(content)
    vocabulary = vocabulary.of(document["kind"])
    for line in document["triggers"]:
        for one in _of_trigger(line, vocabulary):
            yield gettext("runs when"), one
    for clause in clauses(content.get("scope")):
        for one in _of_test(clause, clause.get("value"), vocabulary):
            yield gettext("scope"), one
    for head in document["columns"]:
        label = column_label(head, IF, vocabulary)
        for one in _of_field(str(head.get("field", ""))):
            yield gettext("column %(label)s", label=label), one
    for row in document["rows"]:
        name = row_name(document, row["id"])
        for head in document["columns"]:
            cell = row[IF].get(head["id"])
            if cell is None:
                continue
            value = cell.get("value") if isinstance(cell, Mapping) and not list_names(cell) else cell
            op = cell.get("op") if isinstance(cell, Mapping) else None
            for one in _of_values(str(head.get("field", "")), value, vocabulary, str(op or head.get("op") or "")):
                yield f"{name}, {column_label(head, IF, vocabulary)}", one
        for clause in clauses(row.get("groups")):
            for one in _of_test(clause, clause.get("value"), vocabulary):
                group = gettext("group")
                yield f"{name}, {group}", one
        yield from _of_steps(document["steps"], row[THEN], name, vocabulary)
    last = document.get(OTHERWISE, {}).get(THEN, {})
    yield from _of_steps(document["steps"], last, row_name(document, OTHERWISE), vocabulary)


def _of_steps(
    heads: Sequence[Mapping[str, Any]], cells: Mapping[str, Any], name: str, vocabulary: Vocabulary
) -> Iterator[tuple[str, Named]]:
    for head in heads:
        cell = cells.get(head["id"])
        if isinstance(cell, Mapping):
            for one in _of_step(str(head.get("do", "")), cell, vocabulary):
                yield f"{name}, {column_label(head, THEN, vocabulary)}", one


def _of_step(action: str, cell: Mapping[str, Any], vocabulary: Vocabulary) -> Iterator[Named]:
    record = ACTIONS.get(action)
    if record is None:
        return
    written = ""
    for param in record.params:
        value = cell.get(param.key)
        if value is None:
            continue
        if param.type is ParamType.FIELD:
            written = str(value)
            yield from _of_field(_ticket(written))
        elif param.type is ParamType.VALUE and written:
            yield from _of_values(_ticket(written), value, vocabulary)
        elif param.type is ParamType.LONG_TEXT:
            yield from (("field", key) for key in _PLACEHOLDER.findall(str(value)))
        elif param.options is not None:
            options = param.options(vocabulary)
            for part in _parts_of(options, vocabulary, param.key):
                yield from ((part, one) for one in _texts(value))
        elif param.type is ParamType.INPUTS and isinstance(value, Mapping):
            for text in value.values():
                for named in _ANY_PLACEHOLDER.findall(str(text)):
                    yield from _of_field(named)
        if param.key in ("lookup", "change"):
            yield "connection", str(value).partition(".")[0]


def _of_trigger(line: Mapping[str, Any], vocabulary: Vocabulary) -> Iterator[Named]:
    record = TRIGGERS.get(str(line.get("on", "")))
    if record is None:
        return
    field = line.get("field")
    if isinstance(field, str):
        yield from _of_field(_ticket(field))
    for param in record.params:
        value = line.get(param.key)
        if value is None or param.key == "field":
            continue
        if param.key in ("from", "to") and isinstance(field, str):
            yield from _of_values(_ticket(field), value, vocabulary)
        elif param.options is not None:
            for part in _parts_of(param.options(vocabulary), vocabulary, param.key):
                yield from ((part, one) for one in _texts(value))


def _of_test(clause: Mapping[str, Any], value: Any, vocabulary: Vocabulary) -> Iterator[Named]:
    key = str(clause.get("field", ""))
    yield from _of_field(key)
    yield from _of_values(key, value, vocabulary, str(clause.get("op") or ""))


def _of_field(key: str) -> Iterator[Named]:
    if key.startswith(f"ticket.{CUSTOM}"):
        yield "field", key.removeprefix(f"ticket.{CUSTOM}")
    elif key not in FIELDS and not key.startswith("context.") and key.count(".") >= 2:
        yield "connection", key.partition(".")[0]


def _of_values(key: str, value: Any, vocabulary: Vocabulary, op: str = "") -> Iterator[Named]:
    yield from (("list", name) for name in list_names(value))
    if op in OPERATORS and OPERATORS[op].takes is Takes.CALENDAR:
        yield from (("calendar", one) for one in _texts(value))
        return
    if key == "ticket.snoozed_for":
        for one in _texts(value):
            yield from zip(("team", "user"), awaited({FOR: one}), strict=True)
        return
    found = field_or_none(key, vocabulary)
    if found is not None and found.options is not None:
        for part in _parts_of(found.options, vocabulary, ""):
            yield from ((part, one) for one in _texts(value))


def _parts_of(options: Mapping[str, str], vocabulary: Vocabulary, key: str) -> Iterator[str]:
    """Which part of the desk a menu lists: the very mapping of the vocabulary, or by the parameter's name."""
    for part, name in _MAPPINGS.items():
        if options is getattr(vocabulary, name) or key in (part, name):
            yield part


def clauses(members: Any) -> Iterator[Mapping[str, Any]]:
    """Every condition in these groups, however deep."""
    waiting = list(members) if isinstance(members, (list, tuple)) else []
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, Mapping):
            continue
        if isinstance(one.get("field"), str):
            yield one
        else:
            for inner in one.values():
                waiting += inner if isinstance(inner, (list, tuple)) else []


def _texts(value: Any) -> list[str]:
    members = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in members if isinstance(one, str)]


def _ticket(key: str) -> str:
    return key if key.startswith("ticket.") else f"ticket.{key}"


# Texts and scripts -----------------------------------------------------------------------------------------------


def _of_texts(texts: Mapping[str, Any]) -> Iterator[tuple[str, Named]]:
    for language, text in texts.items():
        if isinstance(text, Mapping):
            for part in ("subject", "body"):
                for key in _PLACEHOLDER.findall(str(text.get(part, ""))):
                    yield f"{language}, {part}", ("field", key)


def _of_script(source: str, named: Named) -> list[str]:
    part, key = named
    quoted = rf"""["']{re.escape(key)}["']"""
    match part:
        case "connection":
            pattern = rf"\b{re.escape(key)}\."
        case "field":
            pattern = rf"\bfields\.{re.escape(key)}\b|{quoted}"
        case _:
            pattern = quoted
    word = re.compile(pattern)
    return [
        gettext("line %(number)s", number=number)
        for number, line in enumerate(lines_of(source), 1)
        if word.search(line)
    ]
