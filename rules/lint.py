"""What a table says without meaning it: rows never reached, rows twice, steps that undo each other.

Warnings, not errors: a table with findings can be published. Every check is sound: what it calls unreachable is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

from rules.actions import intended
from rules.errors import ActionRefused, ConditionFailed, Problem, UnknownField, no_such
from rules.facts import Facts
from rules.fields import Field, field, state_backed
from rules.folding import fold
from rules.operands import comparable, duration_s, list_names, with_lists
from rules.operators import OPERATORS, Looks, Takes, type_for
from rules.table import OTHERWISE, Condition, HitPolicy, Row, Step, Table, WhenUnknown
from rules.templates import text_problems
from rules.vocabulary import Vocabulary
from tickets.effects import AddTo, Effect, RemoveFrom, SetField
from tickets.item import FieldType
from tickets.values import JSON

#: Most pairs of rows that are compared; a table with more is checked as far as that goes, and the report says so.
MAX_PAIRS = 400_000
#: Most findings of one check.
MAX_FINDINGS = 100

Check: TypeAlias = Callable[[Table, Vocabulary], Iterator[Problem]]


def lint(table: Table, vocabulary: Vocabulary) -> list[Problem]:
    """Everything that CHECKS find in the table, in their order, at most 100 findings of each; more are said to be."""
    vocabulary = vocabulary.of(table.kind)
    found: list[Problem] = []
    for check in CHECKS.values():
        for number, problem in enumerate(check(table, vocabulary)):
            if number >= MAX_FINDINGS:
                message = f"There is more of the same: of each kind only {MAX_FINDINGS} findings are listed."
                found.append(Problem({"table": "rows"}, "lint_incomplete", message))
                break
            found.append(problem)
    return found


# Rows ----------------------------------------------------------------------------------------------------------------


def unreachable_rows(table: Table, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Rows of a *first* table that an earlier row always catches, duplicates aside."""
    if table.hit is not HitPolicy.FIRST:
        return
    cells = [_Cells(table, row, vocabulary) for row in table.rows]
    pairs = 0
    for at, later in enumerate(table.rows):
        for before in range(at):
            pairs += 1
            if pairs > MAX_PAIRS:
                message = f"Rows from {at + 1} on were not compared: the table is too long for that."
                yield Problem({"row": later.id}, "lint_incomplete", message)
                return
            if cells[before].cover(cells[at]) and not _same(table.rows[before], later):
                catcher = table.number_of(table.rows[before].id)
                yield Problem(
                    {"row": later.id},
                    "unreachable",
                    f"Never reached. Row {catcher} already catches every ticket this row would match.",
                )
                break
    if table.otherwise is not None:
        for row in table.rows:
            if not row.conditions and not row.groups:
                yield Problem(
                    {"row": OTHERWISE},
                    "unreachable",
                    f"Never reached. Row {table.number_of(row.id)} has no conditions and matches every ticket.",
                )
                return


def duplicate_rows(table: Table, _vocabulary: Vocabulary) -> Iterator[Problem]:
    """Rows with the same cells as an earlier one."""
    seen: dict[str, Row] = {}
    for row in table.rows:
        key = repr((row.conditions, row.groups, row.steps))
        if key in seen:
            yield Problem({"row": row.id}, "duplicate", f"Says the same as row {table.number_of(seen[key].id)}.")
        else:
            seen[key] = row


def contradicting_steps(table: Table, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Steps of one row that write the same field differently, or add and remove the same member."""
    actions = {step.id: step.do for step in table.steps}
    rows = [(row.id, row.steps) for row in table.rows]
    if table.otherwise is not None:
        rows.append((OTHERWISE, table.otherwise))
    for row_id, steps in rows:
        planned = [(step, _effects(actions[step.column], step, vocabulary)) for step in steps]
        for (_, earlier), (step, later) in combinations(planned, 2):
            reason = next((why for one in earlier for other in later if (why := _clash(one, other, vocabulary))), "")
            if reason:
                yield Problem({"row": row_id, "column": step.column}, "contradiction", reason)


#: Facts of no ticket: what a step writes does not depend on them, only on what the cell says.
_NOTHING = Facts(item={}, event={"kind": "created"}, now="1970-01-01T00:00:00.000000+00:00")


def _effects(action: str, step: Step, vocabulary: Vocabulary) -> tuple[Effect, ...]:
    try:
        return intended(action, step.params, _NOTHING, vocabulary)
    except ActionRefused:
        return ()  # another check, or parsing, says what is wrong with it


def _clash(earlier: Effect, later: Effect, vocabulary: Vocabulary) -> str:
    if not isinstance(earlier, (SetField, AddTo, RemoveFrom)) or not isinstance(later, (SetField, AddTo, RemoveFrom)):
        return ""
    if earlier.field != later.field:
        return ""
    label = state_backed(earlier.field, vocabulary).label
    if isinstance(later, SetField):
        if isinstance(earlier, SetField) and earlier.value == later.value:
            return ""
        return f"{label} is written by an earlier step of this row and then overwritten here."
    if isinstance(earlier, SetField) or type(earlier) is type(later):
        return ""
    both = sorted(set(earlier.values) & set(later.values))
    return f"{label}: this row adds and removes {', '.join(both[:5])}." if both else ""


# Columns and templates -----------------------------------------------------------------------------------------------


def empty_columns(table: Table, _vocabulary: Vocabulary) -> Iterator[Problem]:
    """Columns in which no row has a cell."""
    used = {cell.column for row in table.rows for cell in row.conditions}
    used |= {step.column for row in table.rows for step in row.steps}
    used |= {step.column for step in table.otherwise or ()}
    for id in [column.id for column in table.columns] + [step.id for step in table.steps]:
        if id not in used:
            yield Problem({"column": id}, "empty_column", "No row fills this column.")


def unknown_templates(table: Table, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Steps whose template is gone, or has placeholders that no longer exist."""
    rows = [(row.id, row.steps) for row in table.rows]
    rows.append((OTHERWISE, table.otherwise or ()))
    for row_id, steps in rows:
        for step in steps:
            code = step.params.get("template")
            where = {"row": row_id, "column": step.column}
            if not isinstance(code, str):
                continue
            template = vocabulary.templates.get(code)
            if template is None:
                names = {one.code: one.name for one in vocabulary.templates.values()}
                yield Problem(where, "unknown_template", no_such("template", code, names))
                continue
            for language, text in template.texts.items():
                for sentence in text_problems(text.body, vocabulary) + text_problems(text.subject, vocabulary):
                    yield Problem(where, "bad_template", f"Template {code} ({language}): {sentence}")


# When one cell says no less than another ---------------------------------------------------------------------------


class _Cells:
    """The conditions of one row by field, ready to be compared."""

    def __init__(self, table: Table, row: Row, vocabulary: Vocabulary) -> None:
        columns = {column.id: column for column in table.columns}
        self.groups = row.groups
        #: The last of each: whether it counts as a match while nobody knows the value.
        self.by_field: dict[str, list[tuple[Field | None, Condition, bool]]] = {}
        for cell in row.conditions:
            name = columns[cell.column].field
            try:
                found: Field | None = field(name, vocabulary)
            except UnknownField:
                found = None
            unknown = (found is None or found.outside) and columns[cell.column].unknown is WhenUnknown.MATCH
            self.by_field.setdefault(name, []).append((found, _expanded(cell, vocabulary), unknown))

    def cover(self, other: _Cells) -> bool:
        """Whether every ticket that matches `other` matches this row too. Groups count as the same or as unlike."""
        if any(group not in other.groups for group in self.groups):
            return False
        for name, mine in self.by_field.items():
            theirs = other.by_field.get(name)
            if theirs is None:
                return False
            for found, wide, matches in mine:
                if not any((matches or not without) and _covers(found, wide, narrow) for _, narrow, without in theirs):
                    return False
        return True


def _expanded(cell: Condition, vocabulary: Vocabulary) -> Condition:
    """The cell with its named lists filled in, where that gives values that can be compared."""
    if not list_names(cell.value):
        return cell
    try:
        return replace(cell, value=with_lists(cell.value, vocabulary.lists) or cell.value)
    except ConditionFailed:
        return cell


def _same(one: Row, other: Row) -> bool:
    return (one.conditions, one.groups, one.steps) == (other.conditions, other.groups, other.steps)


def _covers(found: Field | None, wide: Condition, narrow: Condition) -> bool:
    """Whether `wide` holds whenever `narrow` does, on the same field. False when that cannot be told."""
    if (wide.op, wide.value) == (narrow.op, narrow.value):
        return True
    if found is None:
        return False
    wide_op, narrow_op = OPERATORS[wide.op], OPERATORS[narrow.op]
    type = type_for(wide_op, found.type, wide.value)
    if type != type_for(narrow_op, found.type, narrow.value) and narrow.op not in ("empty", "not_empty"):
        return False
    try:
        return _covers_as(type, wide, narrow, untyped=found.type is None)
    except ConditionFailed:
        return False


def _covers_as(type: FieldType, wide: Condition, narrow: Condition, *, untyped: bool) -> bool:
    wide_op, narrow_op = OPERATORS[wide.op], OPERATORS[narrow.op]
    if (wide_op.looks is Looks.CHANGE) is not (narrow_op.looks is Looks.CHANGE):
        return False
    if wide.op == "changed":
        return narrow.op in ("changed_to", "changed_from")
    if wide.op in ("changed_to", "changed_from"):
        return wide.op == narrow.op and _subset(type, narrow.value, wide.value)
    if narrow.op == "empty":
        return wide_op.when_missing
    if wide.op == "not_empty":
        return not narrow_op.when_missing
    if untyped:
        return False  # values of any type may come: a comparison that fails on some is not covered by one that does not
    if wide_op.takes is not narrow_op.takes or wide_op.takes is Takes.PATTERN:
        return False
    if wide_op.takes is Takes.CALENDAR:
        return wide.op == narrow.op and wide.value == narrow.value
    if wide_op.takes is Takes.DURATION:
        return wide.op == narrow.op and _lasts(wide, narrow)
    if narrow.op in ("is", "any_of") and type is not FieldType.CHOICES:
        test = wide_op.test(type, wide.value)
        return all(test(value) for value in _values(narrow.value))
    match wide.op, narrow.op:
        case ("is_not" | "none_of", "is_not" | "none_of"):
            return _subset(type, wide.value, narrow.value)
        case ("has_any", "has_any"):
            return _folded(narrow.value) <= _folded(wide.value)
        case ("has_any", "has_all"):
            return not _folded(narrow.value).isdisjoint(_folded(wide.value))
        case ("has_all", "has_all"):
            return _folded(wide.value) <= _folded(narrow.value)
        case ("has_none", "has_none"):
            return _folded(wide.value) <= _folded(narrow.value)
        case ("contains_any", "contains_any"):
            # Inside the narrow keyword the wide one stands with its word edges, so it does in every text that has it.
            test = wide_op.test(type, wide.value)
            return all(test(keyword) for keyword in _values(narrow.value))
        case ("contains_none", "contains_none"):
            test = OPERATORS["contains_any"].test(type, narrow.value)
            return all(test(keyword) for keyword in _values(wide.value))
        case ("contains_any", "contains_all"):
            test = wide_op.test(type, wide.value)
            return any(test(keyword) for keyword in _values(narrow.value))
        case ("contains_all", "contains_all"):
            tests = [wide_op.test(type, keyword) for keyword in _values(wide.value)]
            return all(any(test(keyword) for keyword in _values(narrow.value)) for test in tests)
        case ("starts_with", "starts_with") | ("ends_with", "ends_with"):
            test = wide_op.test(type, wide.value)
            return all(test(beginning) for beginning in _values(narrow.value))
    bounds = _bounds(type, narrow)
    if bounds is None or wide.op not in _RANGES:
        return False
    return _inside(type, bounds, wide)


def _lasts(wide: Condition, narrow: Condition) -> bool:
    """Whether the wide one of two ages takes in the narrow one."""
    longer, shorter = duration_s(wide.value), duration_s(narrow.value)
    return longer <= shorter if wide.op == "older_than" else longer >= shorter


_RANGES = frozenset({"greater", "greater_or_equal", "less", "less_or_equal", "between"})


def _bounds(type: FieldType, cell: Condition) -> tuple[object, bool, object, bool] | None:
    """(low, low included, high, high included) of a range; None for an open end; None for what is no range."""
    match cell.op:
        case "greater" | "greater_or_equal":
            return comparable(type, cell.value), cell.op != "greater", None, False
        case "less" | "less_or_equal":
            return None, False, comparable(type, cell.value), cell.op != "less"
        case "between":
            low, high = _values(cell.value)
            return comparable(type, low), True, comparable(type, high), True
    return None


def _inside(type: FieldType, bounds: tuple[object, bool, object, bool], wide: Condition) -> bool:
    outer = _bounds(type, wide)
    assert outer is not None
    low, low_in, high, high_in = bounds
    wide_low, wide_low_in, wide_high, wide_high_in = outer
    return _beyond(low, low_in, wide_low, wide_low_in, sign=1) and _beyond(
        high, high_in, wide_high, wide_high_in, sign=-1
    )


def _beyond(end: object, included: bool, wide_end: object, wide_included: bool, *, sign: int) -> bool:
    """Whether a range's end lies within the wide range's end on the same side."""
    if wide_end is None:
        return True
    if end is None:
        return False
    if end == wide_end:
        return wide_included or not included
    return bool(end > wide_end) if sign > 0 else bool(end < wide_end)  # type: ignore[operator]  # both of one type


def _values(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _subset(type: FieldType, small: JSON, large: JSON) -> bool:
    if type is FieldType.CHOICES:
        return _folded(small) <= _folded(large)
    have = {comparable(type, one) for one in _values(large)}
    return all(comparable(type, one) in have for one in _values(small))


def _folded(value: JSON) -> set[str]:
    return {fold(str(one)) for one in _values(value)}


CHECKS: Mapping[str, Check] = {
    "unreachable_rows": unreachable_rows,
    "duplicate_rows": duplicate_rows,
    "contradicting_steps": contradicting_steps,
    "empty_columns": empty_columns,
    "unknown_templates": unknown_templates,
}
