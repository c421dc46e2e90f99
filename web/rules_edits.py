"""One sent form, one edit of the document: `do` says which, the other fields say where and what."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from rules.files import MAX_FILE_VALUES
from rules.operators import OPERATORS
from rules.parse import MAX_NOTE_CHARS, MAX_ROWS
from rules.table import EVERY_TIME, OTHERWISE, WhenUnknown
from rules.vocabulary import Vocabulary
from tickets.values import JSON, json_problem
from web import rules_document as documents
from web import rules_groups
from web.rules_document import IF, THEN, Document, EditRefused
from web.rules_forms import read_condition, read_settings, read_step
from web.rules_text import from_text
from web.rules_words import AT_MOST

#: Most rows and cells in one paste, and the longest paste, in characters.
PASTE_ROWS = MAX_ROWS
PASTE_CHARS = 1_500_000
#: Longest way to arm a row again, in characters.
MAX_REARM_CHARS = 40


@dataclass(frozen=True, slots=True)
class Edited:
    """The document after an edit, and the cell or row the page should show then."""

    document: Document
    row: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an edit may look at besides the document: the desk's words, the ids ever used, the reader's zone."""

    vocabulary: Vocabulary
    taken: Sequence[str]
    zone: str


def edit(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    """Carry out the edit that this form asks for. Raises `EditRefused` with a sentence; nothing has changed then."""
    make = EDITS.get(form.get("do", ""))
    if make is None:
        raise EditRefused(gettext("This form asks for nothing that can be done to a table."))
    return make(document, form, desk)


def _cell(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    row, column = form.get("row", ""), form.get("column", "")
    value = None if "clear" in form else _read(document, column, form, desk)
    return Edited(documents.set_cell(document, row, column, value), row, column)


def _read(document: Document, column: str, form: MultiDict[str, str], desk: Desk) -> JSON:
    where = documents.place(document, column)
    head = document["columns" if where.side == IF else "steps"][where.index]
    if where.side == THEN:
        return read_step(form, head, desk.vocabulary)
    return read_condition(form, head, desk.vocabulary, desk.zone)


def _row(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    """Every cell of one row at once: the form view."""
    row = form.get("row", "")
    changed = document
    heads = [*document["steps"]] if row == OTHERWISE else [*document["columns"], *document["steps"]]
    for head in heads:
        changed = documents.set_cell(changed, row, head["id"], _read(document, head["id"], form, desk))
    if row != OTHERWISE:
        changed = documents.set_note(changed, row, _note(form))
    if "rearm" in form:
        changed = documents.set_rearm(changed, row, _rearm(form))
    return Edited(_with_stop(changed, row, form), row)


def _with_stop(document: Document, row: str, form: MultiDict[str, str]) -> Document:
    """The row ends the list or not, where the form asked."""
    return documents.set_stop(document, row, "stop" in form) if "stop_asked" in form and row != OTHERWISE else document


def _note(form: MultiDict[str, str]) -> str:
    note = form.get("note", "").replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE_CHARS:
        raise EditRefused(gettext("A note has at most %(n)s characters.", n=MAX_NOTE_CHARS))
    return note


def _set_note(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    row = form.get("row", "")
    return Edited(documents.set_note(document, row, _note(form)), row)


def _rearm(form: MultiDict[str, str]) -> str:
    """When the row may fire again; what is no duration is kept, and its row says so."""
    how = form.get("rearm", EVERY_TIME)
    if how == AT_MOST:
        how = form.get("rearm_every", "").strip()[:MAX_REARM_CHARS]
    return "" if how == EVERY_TIME else how


def _set_rearm(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    row = form.get("row", "")
    return Edited(_with_stop(documents.set_rearm(document, row, _rearm(form)), row, form), row)


def _add_row(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    return Edited(*documents.add_row(document, desk.taken, after=form.get("after", "")))


def _duplicate_row(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    changed, new = documents.duplicate_row(document, desk.taken, form.get("row", ""))
    return Edited(changed, new, form.get("column", ""))


def _delete_row(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    row = form.get("row", "")
    ids = [one["id"] for one in document["rows"]]
    at = ids.index(row) if row in ids else 0
    near = (ids[at + 1 : at + 2] or ids[max(0, at - 1) : at] or [""])[0]
    return Edited(documents.delete_row(document, row), near, form.get("column", ""))


def _move_row(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    row, before = form.get("row", ""), form.get("before", "")
    by = _whole(form.get("by", "0"))
    return Edited(documents.move_row(document, row, by=by, before=before), row, form.get("column", ""))


def _add_condition(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    changed, new = documents.add_condition(document, desk.taken, form.get("field", ""), desk.vocabulary)
    return Edited(changed, form.get("row", ""), new)


def _add_step(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    changed, new = documents.add_step(document, desk.taken, form.get("action", ""))
    return Edited(changed, form.get("row", ""), new)


def _column(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    column, op = form.get("column", ""), form.get("op", "")
    if op not in OPERATORS:
        raise EditRefused(gettext("Choose how the column compares."))
    changed = documents.set_operator(document, column, op)
    if "unknown" in form:
        unknown = form["unknown"]
        if unknown not in list(WhenUnknown):
            raise EditRefused(gettext("Choose what an unknown value counts as."))
        changed = documents.set_unknown(changed, column, unknown)
    return Edited(changed, column=column)


def _delete_column(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    return Edited(documents.delete_column(document, form.get("column", "")), form.get("row", ""))


def _move_column(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    column = form.get("column", "")
    return Edited(documents.move_column(document, column, _whole(form.get("by", "0"))), form.get("row", ""), column)


def _settings(document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    return Edited(read_settings(form, document))


def _groups(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    return Edited(rules_groups.read(document, form, desk.vocabulary, desk.zone), form.get("row", ""))


def _document(_document: Document, form: MultiDict[str, str], _desk: Desk) -> Edited:
    """The whole document at once: undo and redo."""
    try:
        data = json.loads(form.get("document", ""))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or json_problem(data, most=MAX_FILE_VALUES) is not None:
        raise EditRefused(gettext("That is not a table."))
    return Edited(documents.tidy(data), form.get("row", ""), form.get("column", ""))


def _paste(document: Document, form: MultiDict[str, str], desk: Desk) -> Edited:
    row, column = form.get("row", ""), form.get("column", "")
    return Edited(paste(document, row, column, form.get("text", ""), desk), row, column)


def _whole(text: str) -> int:
    try:
        return max(-10_000, min(10_000, int(text)))
    except ValueError:
        return 0


EDITS: Mapping[str, Callable[[Document, MultiDict[str, str], Desk], Edited]] = {
    "cell": _cell,
    "row": _row,
    "note": _set_note,
    "rearm": _set_rearm,
    "add_row": _add_row,
    "duplicate_row": _duplicate_row,
    "delete_row": _delete_row,
    "move_row": _move_row,
    "add_condition": _add_condition,
    "add_step": _add_step,
    "column": _column,
    "delete_column": _delete_column,
    "move_column": _move_column,
    "settings": _settings,
    "groups": _groups,
    "document": _document,
    "paste": _paste,
}


# Paste from a spreadsheet --------------------------------------------------------------------------------------


def paste(document: Document, row: str, column: str, text: str, desk: Desk) -> Document:
    """The document with a block of cells from a spreadsheet put in from this cell on; rows are added below as needed.

    A comma inside a cell means "or", as in the grid; labels are taken for keys. Raises `EditRefused`."""
    if len(text) > PASTE_CHARS:
        raise EditRefused(gettext("A paste has at most %(n)s characters.", n=PASTE_CHARS))
    try:
        lines = list(csv.reader(io.StringIO(text.strip("\r\n"), newline=None), delimiter="\t"))
    except csv.Error as error:  # Line ends and quotes cannot be wrong here: it is the longest cell.
        longest = csv.field_size_limit()
        raise EditRefused(gettext("A pasted cell has at most %(n)s characters.", n=longest)) from error
    if not any(cell.strip() for line in lines for cell in line):
        raise EditRefused(gettext("There is nothing to paste."))
    if len(lines) > PASTE_ROWS:
        raise EditRefused(gettext("A paste has at most %(n)s rows, not %(found)s.", n=PASTE_ROWS, found=len(lines)))
    heads = [(IF, one) for one in document["columns"]] + [(THEN, one) for one in document["steps"]]
    at = next((index for index, (_, one) in enumerate(heads) if one["id"] == column), None)
    if at is None or row == OTHERWISE:
        raise EditRefused(gettext("Choose a cell of a row to paste from."))
    widest = max(len(line) for line in lines)
    if widest > len(heads) - at:
        raise EditRefused(
            gettext(
                "The paste is %(found)s columns wide, but from here there are %(left)s. Nothing was pasted.",
                found=widest,
                left=len(heads) - at,
            )
        )
    changed = copy.deepcopy(document)
    rows = changed["rows"]
    start = documents.row_at(changed, row)
    taken = [*desk.taken, *(one["id"] for one in rows)]
    if start + len(lines) > MAX_ROWS:
        raise EditRefused(gettext("A table has at most %(n)s rows. Nothing was pasted.", n=MAX_ROWS))
    number = int(documents.new_id("r", taken)[1:])
    for offset, line in enumerate(lines):
        if start + offset >= len(rows):
            rows.append({"id": f"r{number}", IF: {}, THEN: {}})
            number += 1
        for (side, head), cell in zip(heads[at:], line, strict=False):
            value = from_text(side, head, cell.strip(), desk.vocabulary)
            if value is None:
                rows[start + offset][side].pop(head["id"], None)
            else:
                rows[start + offset][side][head["id"]] = value
    return changed
