"""Cells as text, as they stand in a spreadsheet: out, and in again as the same cell.

A comma means "or" (a value with a comma stands in quotes), labels stand for keys, an operator other than the column's
comes first. What goes out is English; what comes in may be English or in the reader's language. Where words would not
come back as the same cell, whoever reads them, the text is the cell's JSON.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from flask_babel import get_locale
from werkzeug.datastructures import MultiDict

from rules.action import ParamType
from rules.actions import ACTIONS
from rules.fields import Field
from rules.operands import list_names
from rules.operators import OPERATORS, Operand, Operator, default_operator, for_values
from rules.vocabulary import Vocabulary
from tickets.item import FieldType
from tickets.values import JSON
from web.catalogs import OPERATOR, OTHERS, label, phrase
from web.rules_document import IF, THEN, Document
from web.rules_forms import compact, read_condition
from web.rules_words import field_or_none

#: What a spreadsheet would take for a formula; such a text gets an apostrophe in front, which is taken off again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: The languages in which a file may be read again.
READERS = ("en", *OTHERS)
#: Choices of fields whose labels in one language are kept in a process: every cell of a column asks for the same.
MOST_KEPT = 200
_KEYED = re.compile(r"([a-z_]{2,30}):(?: (.*))?", re.DOTALL)


# Out -------------------------------------------------------------------------------------------------------------


def cell_text(side: str, head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> str:
    """The text of a cell, "" for an empty one."""
    if cell is None:
        return ""
    candidates = _condition_texts(head, cell, vocabulary) if side == IF else _step_texts(head, cell, vocabulary)
    for text in candidates:
        if text and all(
            _same(side, head, from_text(side, head, text, vocabulary, language), cell, vocabulary)
            for language in READERS
        ):
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


def from_text(side: str, head: Mapping[str, Any], text: str, vocabulary: Vocabulary, language: str = "") -> JSON:
    """One cell of a spreadsheet. What is not understood stays as text, and its cell says so.

    `language` is the reader's, where it is not that of the page."""
    language = language or str(get_locale() or "en")[:2]
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
    return _step(head, text, vocabulary, language) if side == THEN else _condition(head, text, vocabulary, language)


@dataclass(frozen=True, slots=True)
class _Phrases:
    """How operators begin a cell in one language, the longest first, and those that are a whole cell.

    `any` has the beginnings alone: most cells begin with none of them, which is asked in one go."""

    begin: tuple[tuple[str, Operator], ...]
    any: tuple[str, ...]
    alone: Mapping[str, Operator]


@cache
def _phrases(language: str) -> _Phrases:
    """The words of this language behind the English ones, which go first."""
    begin: dict[str, Operator] = {}
    alone: dict[str, Operator] = {}
    for tongue in dict.fromkeys(("en", language)):
        for one in OPERATORS.values():
            for english in dict.fromkeys((one.label, one.sentence)):
                said = phrase(english, OPERATOR, tongue).partition("{value}")[0].strip().casefold()
                # "is" and "changed" begin many a sentence that means something else.
                if one.key not in ("is", "changed"):
                    begin.setdefault(f"{said} ", one)
                if one.operand is Operand.NONE:
                    alone.setdefault(said, one)
    return _Phrases(tuple(sorted(begin.items(), key=lambda one: -len(one[0]))), tuple(begin), alone)


def _condition(head: Mapping[str, Any], text: str, vocabulary: Vocabulary, language: str) -> JSON:
    found = field_or_none(str(head.get("field", "")), vocabulary)
    default = str(head.get("op") or default_operator(found.type if found else None).key)
    folded = text.casefold()
    phrases = _phrases(language)
    if folded in phrases.alone:
        return {} if phrases.alone[folded].key == default else {"op": phrases.alone[folded].key}
    keyed = _KEYED.fullmatch(text)
    if keyed and keyed[1] in OPERATORS:
        return compact(keyed[1], _members(keyed[2] or "", found, vocabulary, language), default)
    for prefix, operator in phrases.begin if folded.startswith(phrases.any) else ():
        if folded.startswith(prefix):
            return compact(operator.key, _members(text[len(prefix) :], found, vocabulary, language), default)
    return compact(default, _members(text, found, vocabulary, language), default)


def _keys(options: Mapping[str, str], language: str) -> dict[str, str]:
    """The key of each label, in the reader's language or as it is given: what stands in files."""
    return _keys_of(tuple(options.items()), language)


@lru_cache(maxsize=MOST_KEPT)
def _keys_of(options: tuple[tuple[str, str], ...], language: str) -> dict[str, str]:
    said = {label(text, language).casefold(): key for key, text in options} if language != "en" else {}
    return said | {text.casefold(): key for key, text in options}


def _members(text: str, found: Field | None, vocabulary: Vocabulary, language: str) -> list[JSON]:
    keys = _keys(found.options or {}, language) if found is not None else {}
    if found is not None and found.type is FieldType.BOOL:
        keys = _keys({"true": "Yes", "false": "No"}, language)
    parts = _split(text)
    named = {part: _list_of(part, vocabulary, language) for part in parts} if vocabulary.lists else {}
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


def _list_of(text: str, vocabulary: Vocabulary, language: str) -> str:
    """The key of the named list that "list VIPs" means, "" for anything else."""
    folded = text.casefold()
    for word in ("list", label("list %(name)s", language).partition("%")[0].strip().casefold()):
        name = folded.removeprefix(f"{word} ").strip()
        if name != folded:
            for key, one in vocabulary.lists.items():
                if name in (key.casefold(), one.label.casefold()):
                    return key
    return ""


def _step(head: Mapping[str, Any], text: str, vocabulary: Vocabulary, language: str) -> JSON:
    """The text goes into the action's first parameter, the one people fill."""
    record = ACTIONS.get(str(head.get("do", "")))
    if record is None or not record.params:
        return None
    param = next((one for one in record.params if one.required), record.params[0])
    labels = _keys(param.options(vocabulary) if param.options else {}, language)
    if param.type in (ParamType.CHOICES, ParamType.TAGS):
        return {param.key: [labels.get(part.casefold(), part) for part in _split(text)]}
    for one in record.params:
        by_label = _keys(one.options(vocabulary) if one.options else {}, language)
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
