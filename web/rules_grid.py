"""The table as the page shows it: columns, rows, cells, what differs from the live version, each problem in place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_babel import gettext

from rules import conflicts, lint
from rules.decision import Entry
from rules.errors import Problem, TableInvalid
from rules.parse import parse_table
from rules.table import OTHERWISE
from rules.vocabulary import Vocabulary
from web.refusals import said
from web.rules_document import IF, THEN, Document, stamp, tidy
from web.rules_labels import group_label
from web.rules_words import ChangeLine, Words, cell_words, changes, column_label, field_or_none, members

#: Rows on one page of the grid: more would make the browser slow.
PAGE_ROWS = 200
#: Rows above which rows are compared with each other only where people wait for it: on the review page.
COMPARED_ROWS = 300
#: And above which examples of what rows say against each other are looked for there only.
EXAMPLE_ROWS = 60
#: Where lint says which row catches another.
_CATCHER = re.compile(r"Never reached\. Row (\d{1,5}) ")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in its place. `blocks`: it must be mended before publishing. `column` is the label, "" for the row.

    `above` is the row this one could be moved above, `drop` whether deleting it would mend it."""

    text: str
    blocks: bool
    code: str
    column: str = ""
    column_id: str = ""
    above: str = ""
    above_number: int = 0
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    id: str
    side: str
    label: str
    op: str
    key: str
    group: str
    new: bool
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """`changed`: differs from the live version. `bad`: has a problem. `stamp`: what its form carries of it."""

    column: Column
    words: Words
    changed: bool
    bad: bool
    stamp: str


@dataclass(frozen=True, slots=True)
class RowView:
    id: str
    number: int
    note: str
    left: tuple[Cell, ...]
    right: tuple[Cell, ...]
    new: bool
    findings: tuple[Finding, ...]
    groups: str = ""  # the conditions beside the cells, in words
    groups_changed: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """One page of the table. `problems` are the table's own; `blocking` counts everything that blocks publishing."""

    left: tuple[Column, ...]
    right: tuple[Column, ...]
    rows: tuple[RowView, ...]
    otherwise: RowView
    problems: tuple[Finding, ...]
    blocking: int
    warnings: int
    total: int
    first: int
    changes: tuple[ChangeLine, ...]
    found: tuple[tuple[str, Finding], ...]  # every finding of every row, whatever the page, with the row's id

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_ROWS))

    @property
    def page(self) -> int:
        return self.first // PAGE_ROWS + 1


@dataclass(slots=True)
class _Places:
    """Problems by where they belong."""

    cells: dict[str, dict[str, list[Finding]]] = field(default_factory=dict)  # by row, then column
    rows: dict[str, list[Finding]] = field(default_factory=dict)
    columns: dict[str, list[Finding]] = field(default_factory=dict)
    table: list[Finding] = field(default_factory=list)

    def of(self, row: str) -> list[Finding]:
        """What is wrong with a row and its cells."""
        return [*self.rows.get(row, ()), *(one for many in self.cells.get(row, {}).values() for one in many)]


def check(
    document: Mapping[str, Any], vocabulary: Vocabulary, *, thorough: bool = True, examples: bool | None = None
) -> tuple[list[Problem], list[Problem]]:
    """(what must be mended, what is only worth a look) in this table.

    Not `thorough`, a table of more than COMPARED_ROWS rows gets no hints but the one that says so. With `examples`
    (left out: as `thorough`) rows that say something against each other are looked for, too, which takes longer."""
    try:
        table = parse_table(document, vocabulary)
    except TableInvalid as error:
        return list(error.problems), []
    if not thorough and len(table.rows) > COMPARED_ROWS:
        sentence = gettext(
            "The table has %(number)s rows; whether one catches another is looked at on the review page.",
            number=len(table.rows),
        )
        return [], [Problem({"table": "rows"}, "not_compared", sentence)]
    found = lint.lint(table, vocabulary)
    if thorough if examples is None else examples:
        found += [
            one.problem for one in conflicts.in_table(Entry(table.code, table.name, 0, 0, True, table), vocabulary)
        ]
    return [], found


def grid(
    document: Document,
    live: Mapping[str, Any] | None,
    vocabulary: Vocabulary,
    code: str,
    *,
    page: int = 1,
    thorough: bool = False,
) -> Grid:
    """The page's view of `document`; what differs from `live` (the published content, None before) is marked."""
    few = len(document["rows"]) <= EXAMPLE_ROWS
    errors, warnings = check({**document, "code": code}, vocabulary, thorough=thorough, examples=thorough or few)
    places = _places(document, errors, warnings, vocabulary)
    old = tidy(live) if live is not None else None
    left = tuple(_column(head, IF, old, places, vocabulary) for head in document["columns"])
    right = tuple(_column(head, THEN, old, places, vocabulary) for head in document["steps"])
    total = len(document["rows"])
    first = min(max(0, page - 1), max(0, (total - 1) // PAGE_ROWS)) * PAGE_ROWS
    old_rows = {row["id"]: row for row in old["rows"]} if old is not None else {}
    rows = tuple(
        _row(number, row, old, old_rows.get(row["id"]), document, left, right, places, vocabulary)
        for number, row in list(enumerate(document["rows"], 1))[first : first + PAGE_ROWS]
    )
    last = {"id": OTHERWISE, THEN: document.get(OTHERWISE, {}).get(THEN, {}), IF: {}}
    old_last = {"id": OTHERWISE, THEN: old.get(OTHERWISE, {}).get(THEN, {}), IF: {}} if old is not None else None
    return Grid(
        left=left,
        right=right,
        rows=rows,
        otherwise=_row(0, last, old, old_last, document, left, right, places, vocabulary),
        problems=tuple(places.table),
        blocking=len(errors),
        warnings=len(warnings),
        total=total,
        first=first,
        changes=tuple(changes(live, document, vocabulary)) if live is not None else (),
        found=tuple((id, one) for id in (*(row["id"] for row in document["rows"]), OTHERWISE) for one in places.of(id)),
    )


def _column(
    head: Mapping[str, Any], side: str, old: Document | None, places: _Places, vocabulary: Vocabulary
) -> Column:
    id = head["id"]
    heads = old["columns" if side == IF else "steps"] if old is not None else None
    found = field_or_none(str(head.get("field", "")), vocabulary) if side == IF else None
    return Column(
        id=id,
        side=side,
        label=column_label(head, side, vocabulary),
        op=str(head.get("op") or ""),
        key=str(head.get("field" if side == IF else "do", "")),
        group=group_label(found.group) if found else "",
        new=heads is not None and all(one["id"] != id for one in heads),
        findings=tuple(places.columns.get(id, ())),
    )


def _row(
    number: int,
    row: Mapping[str, Any],
    old: Document | None,
    old_row: Mapping[str, Any] | None,
    document: Document,
    left: Sequence[Column],
    right: Sequence[Column],
    places: _Places,
    vocabulary: Vocabulary,
) -> RowView:
    id = row["id"]

    def cells(columns: Sequence[Column], heads: Sequence[Mapping[str, Any]], side: str) -> tuple[Cell, ...]:
        made = []
        old_heads = {one["id"]: one for one in old["columns" if side == IF else "steps"]} if old is not None else {}
        for column, head in zip(columns, heads, strict=True):
            words = cell_words(head, side, row[side].get(column.id), vocabulary)
            was_head = old_heads.get(column.id)
            was = Words()
            if old_row is not None and was_head is not None:
                was = cell_words(was_head, side, old_row[side].get(column.id), vocabulary)
            changed = old_row is not None and words != was
            bad = column.id in places.cells.get(id, {})
            made.append(Cell(column, words, changed, bad, stamp(row[side].get(column.id))))
        return tuple(made)

    return RowView(
        id=id,
        number=number,
        note=str(row.get("note") or ""),
        left=cells(left, document["columns"], IF),
        right=cells(right, document["steps"], THEN),
        new=old is not None and old_row is None,
        findings=tuple(places.of(id)),
        groups=members(row.get("groups"), vocabulary),
        groups_changed=old_row is not None and old_row.get("groups") != row.get("groups"),
    )


def _places(
    document: Document, errors: Sequence[Problem], warnings: Sequence[Problem], vocabulary: Vocabulary
) -> _Places:
    places = _Places()
    labels = {head["id"]: column_label(head, IF, vocabulary) for head in document["columns"]}
    labels |= {head["id"]: column_label(head, THEN, vocabulary) for head in document["steps"]}
    ids = [row["id"] for row in document["rows"]]
    for problem, blocks in (*((one, True) for one in errors), *((one, False) for one in warnings)):
        where = problem.where
        row, column = where.get("row"), where.get("column")
        finding = Finding(
            said(problem.message),
            blocks,
            problem.code,
            labels.get(column or "", column or ""),
            column or "",
            drop=problem.code in ("unreachable", "unreachable_together", "duplicate"),
            **_above(problem, ids),
        )
        if row is not None and column is not None:
            places.cells.setdefault(row, {}).setdefault(column, []).append(finding)
        elif row is not None:
            places.rows.setdefault(row, []).append(finding)
        elif column is not None:
            places.columns.setdefault(column, []).append(finding)
        elif where.get("table") == "rows" and (where.get("index") or "").isdecimal():
            places.rows.setdefault(ids[int(where["index"])], []).append(finding)
        else:
            places.table.append(finding)
    return places


def _above(problem: Problem, ids: Sequence[str]) -> dict[str, Any]:
    found = _CATCHER.match(problem.message) if problem.code == "unreachable" else None
    number = int(found[1]) if found else 0
    if not 0 < number <= len(ids) or problem.where.get("row") == OTHERWISE:
        return {}
    return {"above": ids[number - 1], "above_number": number}
