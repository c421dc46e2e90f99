"""The table being edited, as one document: the draft's data, and every edit as a function from document to document.

A draft may hold anything (an old shape, half a table), so `tidy` makes the one shape that pages read; whether it is a
table is said by `rules.parse`, cell by cell. Nothing here knows of Flask or the database.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from flask_babel import gettext

from rules.actions import ACTIONS
from rules.errors import UnknownField
from rules.fields import field
from rules.operators import default_operator
from rules.parse import MAX_COLUMNS, MAX_ROWS
from rules.table import OTHERWISE, WhenUnknown
from rules.vocabulary import Vocabulary
from tickets.values import JSON

Document: TypeAlias = dict[str, Any]
Side: TypeAlias = str

IF, THEN = "if", "then"


class EditRefused(Exception):
    """The edit does not fit the table as it is. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column stands: on which side, and as which of them, from 0."""

    side: Side
    index: int


def blank(name: str, trigger: str = "created") -> Document:
    """A new table's draft: one condition, one step, one empty row."""
    return tidy(
        {
            "name": name,
            "triggers": [{"on": trigger}],
            "columns": [{"id": "c1", "field": "message.text"}],
            "steps": [{"id": "s1", "do": "assign_team"}],
            "rows": [{"id": "r1"}],
        }
    )


def tidy(content: Mapping[str, Any]) -> Document:
    """`content` in the shape that pages read, everything it holds kept where it has a place. A copy."""
    rows = [one for one in _dicts(content.get("rows")) if isinstance(one.get("id"), str)]
    document: Document = {
        **{key: fresh(value) for key, value in content.items() if isinstance(key, str)},
        "name": str(content.get("name") or ""),
        "kind": str(content.get("kind") or "ticket"),
        "triggers": [_trigger(one) for one in _listed(content.get("triggers"))],
        "hit": str(content.get("hit") or "first"),
        "columns": [one for one in _dicts(content.get("columns")) if isinstance(one.get("id"), str)],
        "steps": [one for one in _dicts(content.get("steps")) if isinstance(one.get("id"), str)],
        "rows": [{**row, IF: _mapping(row.get(IF)), THEN: _mapping(row.get(THEN))} for row in rows],
    }
    if isinstance(content.get(OTHERWISE), Mapping):
        document[OTHERWISE] = {**_rearm(content[OTHERWISE]), THEN: _mapping(content[OTHERWISE].get(THEN))}
    else:
        document.pop(OTHERWISE, None)
    return document


def _rearm(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"rearm": row["rearm"]} if row.get("rearm") else {}


def fresh(value: Any) -> Any:
    """A copy of JSON data all the way down. Five times as fast as `copy.deepcopy`, which a long table notices."""
    if type(value) is dict:
        return {key: fresh(one) for key, one in value.items()}
    if type(value) is list:
        return [fresh(one) for one in value]
    return copy.deepcopy(value) if isinstance(value, (dict, list, tuple)) else value


def place(document: Document, column: str) -> Place:
    """Where the column stands. Raises `EditRefused`."""
    for side, key in ((IF, "columns"), (THEN, "steps")):
        for index, one in enumerate(document[key]):
            if one["id"] == column:
                return Place(side, index)
    raise EditRefused(
        gettext("The table has no column %(column)s any more; somebody may have removed it.", column=column)
    )


def row_at(document: Document, row: str) -> int:
    """The row's index. Raises `EditRefused`."""
    for index, one in enumerate(document["rows"]):
        if one["id"] == row:
            return index
    raise EditRefused(gettext("The table has no row %(row)s any more; somebody may have removed it.", row=row))


def cell(document: Document, row: str, column: str) -> JSON:
    """What stands in a cell, None for an empty one."""
    where = place(document, column)
    if row == OTHERWISE:
        return cast(JSON, document.get(OTHERWISE, {}).get(THEN, {}).get(column)) if where.side == THEN else None
    return cast(JSON, document["rows"][row_at(document, row)][where.side].get(column))


# Edits -----------------------------------------------------------------------------------------------------------


def set_cell(document: Document, row: str, column: str, value: JSON) -> Document:
    """The document with this cell filled, or emptied with None."""
    changed = fresh(document)
    where = place(changed, column)
    if row == OTHERWISE:
        if where.side == IF:
            raise EditRefused(gettext("The last row has no conditions: it fires when no other row matches."))
        cells = changed.setdefault(OTHERWISE, {THEN: {}})[THEN]
    else:
        cells = changed["rows"][row_at(changed, row)][where.side]
    if value is None:
        cells.pop(column, None)
    else:
        cells[column] = value
    if row == OTHERWISE and not cells:
        changed.pop(OTHERWISE)
    return changed


def set_note(document: Document, row: str, note: str) -> Document:
    changed = fresh(document)
    target = changed["rows"][row_at(changed, row)]
    target.pop("note", None)
    if note:
        target["note"] = note
    return changed


def set_stop(document: Document, row: str, stop: bool) -> Document:
    """The document in which this row ends the rule list when it matches, or does not."""
    changed = fresh(document)
    target = changed["rows"][row_at(changed, row)]
    target.pop("stop", None)
    if stop:
        target["stop"] = True
    return changed


def set_unknown(document: Document, column: str, unknown: str) -> Document:
    """What cells of this column count as while nobody can tell the value; "wait" is the usual."""
    changed = fresh(document)
    where = place(changed, column)
    if where.side != IF:
        raise EditRefused(gettext("Only columns on the left look at a value."))
    head = changed["columns"][where.index]
    head.pop("unknown", None)
    if unknown != WhenUnknown.WAIT:
        head["unknown"] = unknown
    return changed


def set_rearm(document: Document, row: str, how: str) -> Document:
    """The document with this row armed again as `how` says; "" is every time."""
    changed = fresh(document)
    target = changed.get(OTHERWISE) if row == OTHERWISE else changed["rows"][row_at(changed, row)]
    if target is None:
        return changed
    target.pop("rearm", None)
    if how:
        target["rearm"] = how
    return changed


def add_row(document: Document, taken: Sequence[str], *, after: str = "") -> tuple[Document, str]:
    """An empty row after another one, or at the end, and its id, which none of `taken` had."""
    return _insert(document, taken, {IF: {}, THEN: {}}, after)


def duplicate_row(document: Document, taken: Sequence[str], row: str) -> tuple[Document, str]:
    """A copy of this row below it."""
    source = document["rows"][row_at(document, row)]
    return _insert(document, taken, {key: value for key, value in source.items() if key != "id"}, row)


def _insert(document: Document, taken: Sequence[str], row: Mapping[str, Any], after: str) -> tuple[Document, str]:
    changed = fresh(document)
    if len(changed["rows"]) >= MAX_ROWS:
        raise EditRefused(gettext("A table has at most %(n)s rows. Nothing was added.", n=MAX_ROWS))
    new = new_id("r", [*taken, *(one["id"] for one in changed["rows"])])
    at = row_at(changed, after) + 1 if after else len(changed["rows"])
    changed["rows"].insert(at, {"id": new, **fresh(dict(row))})
    return changed, new


def delete_row(document: Document, row: str) -> Document:
    changed = fresh(document)
    if row == OTHERWISE:
        changed.pop(OTHERWISE, None)
    else:
        del changed["rows"][row_at(changed, row)]
    return changed


def move_row(document: Document, row: str, *, by: int = 0, before: str = "") -> Document:
    """The row some places down (negative: up), or right before another one. It stays at an end it has reached."""
    changed = fresh(document)
    at = row_at(changed, row)
    moved = changed["rows"].pop(at)
    to = row_at(changed, before) if before else max(0, min(len(changed["rows"]), at + by))
    changed["rows"].insert(to, moved)
    return changed


def add_condition(document: Document, taken: Sequence[str], key: str, vocabulary: Vocabulary) -> tuple[Document, str]:
    """A new column on the left that looks at this field. Raises `EditRefused` for one that does not exist."""
    try:
        found = field(key, vocabulary)
    except UnknownField as error:
        raise EditRefused(str(error)) from None
    new = _new_column(document, taken, "c")
    changed = fresh(document)
    changed["columns"].append({"id": new, "field": found.key, "op": default_operator(found.type).key})
    return changed, new


def add_step(document: Document, taken: Sequence[str], action: str) -> tuple[Document, str]:
    """A new column on the right that does this action."""
    if action not in ACTIONS:
        raise EditRefused(gettext("Choose what the new column should do."))
    new = _new_column(document, taken, "s")
    changed = fresh(document)
    changed["steps"].append({"id": new, "do": action})
    return changed, new


def _new_column(document: Document, taken: Sequence[str], letter: str) -> str:
    ids = [one["id"] for one in (*document["columns"], *document["steps"])]
    if len(ids) >= MAX_COLUMNS:
        raise EditRefused(gettext("A table has at most %(n)s columns. Nothing was added.", n=MAX_COLUMNS))
    return new_id(letter, [*taken, *ids])


def delete_column(document: Document, column: str) -> Document:
    """Without the column and every cell in it."""
    changed = fresh(document)
    where = place(changed, column)
    del changed["columns" if where.side == IF else "steps"][where.index]
    for row in changed["rows"]:
        row[where.side].pop(column, None)
    if where.side == THEN and OTHERWISE in changed:
        changed[OTHERWISE][THEN].pop(column, None)
    return changed


def move_column(document: Document, column: str, by: int) -> Document:
    """The column some places to the right (negative: left) on its own side."""
    changed = fresh(document)
    where = place(changed, column)
    columns = changed["columns" if where.side == IF else "steps"]
    moved = columns.pop(where.index)
    columns.insert(max(0, min(len(columns), where.index + by)), moved)
    return changed


def set_operator(document: Document, column: str, op: str) -> Document:
    """The operator that cells of this column have when they name none. Cells keep what they say now."""
    changed = fresh(document)
    where = place(changed, column)
    if where.side != IF:
        raise EditRefused(gettext("Only columns on the left have an operator."))
    head = changed["columns"][where.index]
    before = head.get("op")
    head["op"] = op
    for row in changed["rows"]:
        here = row[IF].get(column)
        if isinstance(here, dict) and here.get("op") == op:
            del here["op"]
        elif before and here is not None and not (isinstance(here, dict) and "op" in here):
            row[IF][column] = {"op": before, **(here if isinstance(here, dict) else {"value": here})}
    return changed


def new_id(letter: str, taken: Sequence[str]) -> str:
    """The next free id, counting on from the highest ever used: the ledger of fired rows goes by ids."""
    numbers = [int(one[1:]) for one in taken if one[:1] == letter and one[1:].isdecimal() and len(one) < 9]
    return f"{letter}{max(numbers, default=0) + 1}"


def ids(contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every id of rows and columns that these versions use."""
    found: list[str] = []
    for content in contents:
        document = tidy(content)
        found += [one["id"] for key in ("columns", "steps", "rows") for one in document[key]]
    return found


def same(left: Document, right: Document) -> bool:
    """Whether two documents say the same table."""
    return canonical(left) == canonical(right)


def canonical(document: Mapping[str, Any]) -> Document:
    """The document without what makes no difference: empty cells, empty notes, the switch of the list entry."""
    plain = tidy(document)
    plain.pop("enabled", None)
    for row in plain["rows"]:
        if not row.get("note"):
            row.pop("note", None)
        for side in (IF, THEN):
            row[side] = {key: value for key, value in row[side].items() if value is not None}
    for key in ("note", "code"):
        if not plain.get(key):
            plain.pop(key, None)
    return plain


def stamp(value: object) -> str:
    """What a form carries of the cell or row it shows, to find out whether somebody changed that since."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [fresh(dict(one)) for one in _listed(value) if isinstance(one, Mapping)]


def _mapping(value: object) -> dict[str, Any]:
    return fresh(dict(value)) if isinstance(value, Mapping) else {}


def _trigger(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        # YAML 1.1 reads the bare word `on` as yes.
        return {"on" if str(key) == "True" else str(key): fresh(one) for key, one in value.items()}
    return {"on": str(value)}


Edit: TypeAlias = Callable[[Document], Document]
