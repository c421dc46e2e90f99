"""A table's rows from a spreadsheet: CSV or TSV with a line of headings, as a new version of a table that is live.

A column is found by its heading: its label, or its id. A row is found by its number in the column "Row" (in any of our
languages) and keeps what no spreadsheet shows (note, groups, how often it fires); one without a number is new, and one
that is left out is gone. Without headings the cells stand in the order of the grid.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import force_locale, gettext

from rules.parse import MAX_ROWS
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from tickets.item import LANGUAGES
from web.rules_document import IF, THEN, fresh, new_id, tidy
from web.rules_files import FileEntry, FileRefused
from web.rules_text import from_text
from web.rules_words import column_label, heading

#: What may stand between two cells: a tab where there is one, for commas stand in cells, too; else, of what could be
#: either, the one that gives the first line the most cells.
TAB, DELIMITERS = "\t", (",", ";")
#: Stands for the column of row numbers among the ids of columns.
_ROW = ""


def read_cells(text: str, name: str, stored: Stored, vocabulary: Vocabulary, taken: Sequence[str]) -> FileEntry:
    """The table with the rows of this text; `taken` are the ids that rows of it ever had.

    Raises `FileRefused` with what is wrong with headings, widths and row numbers; a cell that says nothing to its
    column stays as it is, and is found by the check of the table."""
    document = tidy(stored.content or {})
    heads = {one["id"]: (side, one) for side, key in ((IF, "columns"), (THEN, "steps")) for one in document[key]}
    lines = _lines(text, name)
    columns = _columns(lines[0], heads, vocabulary)
    if columns is None:
        columns = list(heads)
    else:
        lines = lines[1:]
    if len(lines) > MAX_ROWS:
        raise FileRefused(
            [
                gettext(
                    "%(file)s: a table has at most %(n)s rows, not %(found)s.", file=name, n=MAX_ROWS, found=len(lines)
                )
            ]
        )
    problems = _wrong_headings(columns, lines, heads, vocabulary, name)
    before = document["rows"]
    places = _places(lines, columns, len(before), name, problems)
    if problems:
        raise FileRefused(problems)
    free = int(new_id("r", [*taken, *(one["id"] for one in before)])[1:])
    rows: list[dict[str, Any]] = []
    for line, place in zip(lines, places, strict=True):
        if place is None:
            row: dict[str, Any] = {"id": f"r{free}", IF: {}, THEN: {}}
            free += 1
        else:
            row = fresh(before[place])
        for id, cell in zip(columns, line, strict=False):
            if id is None or id == _ROW:
                continue
            side, head = heads[id]
            value = from_text(side, head, cell.strip(), vocabulary)
            row[side].pop(id, None)
            if value is not None:
                row[side][id] = value
        rows.append(row)
    return FileEntry(EntryKind.TABLE, stored.code, stored.name, {**document, "code": stored.code, "rows": rows})


def _lines(text: str, name: str) -> list[list[str]]:
    """The lines that hold anything."""
    body = text.lstrip("\ufeff").strip("\r\n")
    first = re.sub('"[^"]*"', "", body.partition("\n")[0])
    delimiter = TAB if TAB in first else max(DELIMITERS, key=first.count)
    try:
        found = list(csv.reader(io.StringIO(body, newline=None), delimiter=delimiter))
    except csv.Error as error:
        raise FileRefused(
            [gettext("%(file)s: a cell has at most %(n)s characters.", file=name, n=csv.field_size_limit())]
        ) from error
    lines = [line for line in found if any(cell.strip() for cell in line)]
    if not lines:
        raise FileRefused([gettext("%(file)s: there are no cells in it.", file=name)])
    return lines


def _columns(
    line: Sequence[str], heads: Mapping[str, tuple[str, Mapping[str, Any]]], vocabulary: Vocabulary
) -> list[str | None] | None:
    """The column under each heading, None for a heading of no column; None as a whole for a line of no headings."""
    known: dict[str, list[str]] = {}
    for id, (side, head) in heads.items():
        for word in {id.casefold(), heading(head, side, vocabulary).casefold()}:
            known.setdefault(word, []).append(id)
    english = frozenset(known)
    for language in LANGUAGES:
        with force_locale(language):
            known.setdefault(gettext("Row").casefold(), [_ROW])
            # As the grid says it, so that a sheet made by hand works too; files of ours have the English words.
            for id, (side, head) in heads.items():
                word = column_label(head, side, vocabulary).casefold()
                if word not in english and id not in known.setdefault(word, []):
                    known[word].append(id)
    used: set[str] = set()
    found: list[str | None] = []
    for cell in line:
        # Two columns may have one label: they come in the order of the grid.
        ids = [id for id in known.get(" ".join(cell.split()).casefold(), ()) if id not in used]
        found.append(ids[0] if ids else None)
        used.update(ids[:1])
    return found if used else None


def _wrong_headings(
    columns: Sequence[str | None],
    lines: Sequence[Sequence[str]],
    heads: Mapping[str, tuple[str, Mapping[str, Any]]],
    vocabulary: Vocabulary,
    name: str,
) -> list[str]:
    problems = []
    labels = ", ".join(column_label(head, side, vocabulary) for side, head in heads.values())
    for number, id in enumerate(columns, 1):
        if id is None:
            problems.append(
                gettext(
                    "%(file)s: the heading of column %(n)s is none of this table, or stands there twice. "
                    "It has: %(labels)s.",
                    file=name,
                    n=number,
                    labels=labels,
                )
            )
    for number, line in enumerate(lines, 1):
        if any(cell.strip() for cell in line[len(columns) :]):
            problems.append(
                gettext(
                    "%(file)s: row %(row)s has %(found)s cells, and there are %(n)s columns: %(labels)s.",
                    file=name,
                    row=number,
                    found=len(line),
                    n=len(columns),
                    labels=labels,
                )
            )
    return problems


def _places(
    lines: Sequence[Sequence[str]], columns: Sequence[str | None], rows: int, name: str, problems: list[str]
) -> list[int | None]:
    """Which of the present rows each line is, from 0, None for a new one. Adds to `problems`."""
    if _ROW not in columns:
        return [index if index < rows else None for index in range(len(lines))]
    at = columns.index(_ROW)
    found: list[int | None] = []
    for number, line in enumerate(lines, 1):
        text = line[at].strip() if at < len(line) else ""
        whole = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        if text and not whole:
            problems.append(
                gettext(
                    "%(file)s: row %(row)s, column Row: %(text)s is no row number. Leave it empty for a new row.",
                    file=name,
                    row=number,
                    text=repr(text[:40]),
                )
            )
        place = whole - 1 if 0 < whole <= rows else None
        if place is not None and place in found:
            problems.append(
                gettext("%(file)s: row %(row)s: number %(text)s stands there twice.", file=name, row=number, text=text)
            )
        found.append(place)
    return found
