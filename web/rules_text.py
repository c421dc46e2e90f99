"""Cells as text, as they stand in a spreadsheet: out, and in again as the same cell.

A comma means "or" (a value with a comma stands in quotes), labels stand for keys, an operator other than the column's
comes first. Where words would not come back as the same cell, the text is the cell's JSON.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from rules.action import ParamType
from rules.actions import ACTIONS
from rules.fields import Field
from rules.operands import list_names
from rules.operators import OPERATORS, Operand, Operator, default_operator, for_values
from rules.vocabulary import Vocabulary
from tickets.item import FieldType
from tickets.values import JSON
from web.rules_document import IF, THEN, Document
from web.rules_forms import compact, read_condition
from web.rules_words import field_or_none

#: What a spreadsheet would take for a formula; such a text gets an apostrophe in front, which is taken off again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_KEYED = re.compile(r"([a-z_]{2,30}):(?: (.*))?", re.DOTALL)


# Out -------------------------------------------------------------------------------------------------------------


def cell_text(side: str, head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> str:
    """The text of a cell, "" for an empty one."""
    if cell is None:
        return ""
    candidates = _condition_texts(head, cell, vocabulary) if side == IF else _step_texts(head, cell, vocabulary)
    for text in candidates:
        if text and _same(side, head, from_text(side, head, text, vocabulary), cell, vocabulary):
            return text
    return json.dumps(cell if isinstance(cell, Mapping) else {"value": cell}, ensure_ascii=False)


def lines(document: Document, vocabulary: Vocabulary) -> Iterator[list[str]]:
    """The rows of the table, every cell as text that a spreadsheet leaves alone."""
    heads = [(IF, one) for one in document["columns"]] + [(THEN, one) for one in document["steps"]]
    for row in document["rows"]:
        yield [harmless(cell_text(side, head, row[side].get(head["id"]), vocabulary)) for side, head in heads]


def separated(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]], delimiter: str) -> str:
    """The rows as CSV or TSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _condition_texts(head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> Iterator[str]:
    found = field_or_none(str(head.get("field", "")), vocabulary)
    op, value = _read(head, cell, found)
    operator = OPERATORS.get(op)
    if operator is None:
        return
    if operator.operand is Operand.NONE:
        yield operator.label
        return
    values = value if isinstance(value, (list, tuple)) else [value]
    text = _joined([_shown(one, found, vocabulary) for one in values])
    yield text
    yield f"{operator.label} {text}"
    yield f"{op}: {text}"


def _shown(value: JSON, found: Field | None, vocabulary: Vocabulary) -> str:
    names = list_names(value)
    if names:
        listed = vocabulary.lists.get(names[0])
        return f"list {listed.label if listed else names[0]}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    options = (found.options if found is not None else None) or {}
    return options.get(str(value), str(value))


def _joined(values: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue().replace(",", ", ") if not any("," in one or '"' in one for one in values) else out.getvalue()


def _step_texts(head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> Iterator[str]:
    record = ACTIONS.get(str(head.get("do", "")))
    if record is None or not isinstance(cell, Mapping):
        return
    for param in record.params:
        value = cell.get(param.key)
        options = dict(param.options(vocabulary)) if param.options else {}
        if isinstance(value, str):
            yield options.get(value, value)
        elif isinstance(value, (list, tuple)) and value:
            yield _joined([options.get(str(one), str(one)) for one in value])


# In --------------------------------------------------------------------------------------------------------------


def from_text(side: str, head: Mapping[str, Any], text: str, vocabulary: Vocabulary) -> JSON:
    """One cell of a spreadsheet. What is not understood stays as text, and its cell says so."""
    if text.startswith("'") and text[1:].startswith((*_FORMULA, "'")):
        text = text[1:]
    if not text:
        return None
    if text.startswith("{"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
    return _step(head, text, vocabulary) if side == THEN else _condition(head, text, vocabulary)


def _prefixes() -> list[tuple[str, Operator]]:
    found = [
        (prefix.casefold(), one)
        for one in OPERATORS.values()
        for prefix in {one.label, one.sentence.partition("{value}")[0].strip()}
        # "is" and "changed" begin many a sentence that means something else.
        if one.key not in ("is", "changed")
    ]
    return sorted(found, key=lambda one: -len(one[0]))


_PREFIXES = _prefixes()
_ALONE = {
    prefix.casefold(): one
    for one in OPERATORS.values()
    if one.operand is Operand.NONE
    for prefix in {one.label, one.sentence.strip()}
}


def _condition(head: Mapping[str, Any], text: str, vocabulary: Vocabulary) -> JSON:
    found = field_or_none(str(head.get("field", "")), vocabulary)
    default = str(head.get("op") or default_operator(found.type if found else None).key)
    folded = text.casefold()
    if folded in _ALONE:
        return {} if _ALONE[folded].key == default else {"op": _ALONE[folded].key}
    keyed = _KEYED.fullmatch(text)
    if keyed and keyed[1] in OPERATORS:
        return compact(keyed[1], _members(keyed[2] or "", found, vocabulary), default)
    for prefix, operator in _PREFIXES:
        if folded.startswith(f"{prefix} "):
            return compact(operator.key, _members(text[len(prefix) :], found, vocabulary), default)
    return compact(default, _members(text, found, vocabulary), default)


def _members(text: str, found: Field | None, vocabulary: Vocabulary) -> list[JSON]:
    keys = {label.casefold(): key for key, label in (found.options or {}).items()} if found is not None else {}
    if found is not None and found.type is FieldType.BOOL:
        keys = {"yes": "true", "no": "false", gettext("Yes").casefold(): "true", gettext("No").casefold(): "false"}
    parts = _split(text)
    named = {part: _list_of(part, vocabulary) for part in parts} if vocabulary.lists else {}
    form = MultiDict[str, str]()
    form.setlist("x.value", [keys.get(part.casefold(), part) for part in parts if not named.get(part)])
    form.setlist("x.list", [key for key in named.values() if key])
    cell = read_condition(form, {"id": "x", "field": found.key if found else "", "op": "any_of"}, vocabulary, "UTC")
    value = cell.get("value") if isinstance(cell, Mapping) else None
    return list(value) if isinstance(value, list) else [value]


def _split(text: str) -> list[str]:
    """The values between commas; a comma in quotes belongs to its value."""
    one_line = text.strip().replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    parts = next(csv.reader([one_line], skipinitialspace=True), [])
    return [part.strip() for part in parts if part.strip()]


def _list_of(text: str, vocabulary: Vocabulary) -> str:
    """The key of the named list that "list VIPs" means, "" for anything else."""
    folded = text.casefold()
    for word in ("list", gettext("list %(name)s", name="").strip().casefold()):
        name = folded.removeprefix(f"{word} ").strip()
        if name != folded:
            for key, one in vocabulary.lists.items():
                if name in (key.casefold(), one.label.casefold()):
                    return key
    return ""


def _step(head: Mapping[str, Any], text: str, vocabulary: Vocabulary) -> JSON:
    """The text goes into the action's first parameter, the one people fill."""
    record = ACTIONS.get(str(head.get("do", "")))
    if record is None or not record.params:
        return None
    param = next((one for one in record.params if one.required), record.params[0])
    labels = {label.casefold(): key for key, label in (param.options(vocabulary) if param.options else {}).items()}
    if param.type in (ParamType.CHOICES, ParamType.TAGS):
        return {param.key: [labels.get(part.casefold(), part) for part in _split(text)]}
    for one in record.params:
        by_label = {label.casefold(): key for key, label in (one.options(vocabulary) if one.options else {}).items()}
        if text.casefold() in by_label:
            return {one.key: by_label[text.casefold()]}
    return {param.key: labels.get(text.casefold(), text)}


# Whether two cells say the same -----------------------------------------------------------------------------------


def _same(side: str, head: Mapping[str, Any], left: JSON, right: JSON, vocabulary: Vocabulary) -> bool:
    if side == THEN:
        return left == right
    found = field_or_none(str(head.get("field", "")), vocabulary)
    return _plain(head, left, found) == _plain(head, right, found)


def _plain(head: Mapping[str, Any], cell: JSON, found: Field | None) -> tuple[str, list[JSON]]:
    op, value = _read(head, cell, found)
    values = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
    # In lists the order of values makes no difference; named ones come back behind the others.
    listed = [one for one in values if list_names(one)]
    return op, [one for one in values if not list_names(one)] + listed


def _read(head: Mapping[str, Any], cell: JSON, found: Field | None) -> tuple[str, JSON]:
    """The operator that counts and the value."""
    data: Mapping[str, Any] = cell if isinstance(cell, Mapping) and not list_names(cell) else {"value": cell}
    key = str(data.get("op") or head.get("op") or default_operator(found.type if found else None).key)
    value = data.get("value")
    return (for_values(OPERATORS[key], value).key if key in OPERATORS else key), value
