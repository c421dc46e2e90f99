"""What rows say against each other: fields written twice, rows never reached, gaps, circles; each with an example.

Nothing is reported on suspicion. An example is a ticket and an event that the engine itself decided: on it both rows
fire, no row matches, the circle comes round. Where the bounds end the search, that is reported too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import cast

from rules.actions import intended
from rules.compiled import All, CompiledCondition, CompiledRow, CompiledTable
from rules.decision import Entry
from rules.engine import compile_ruleset, decide
from rules.errors import ActionRefused, Problem, RulesError
from rules.examples import NOW, Example, example
from rules.facts import Facts
from rules.fields import Field, state_backed
from rules.operators import Looks
from rules.ruleset import NO_INDEX, RuleSet
from rules.table import HitPolicy, Step
from rules.templates import shown
from rules.vocabulary import Vocabulary
from tickets.effects import SetField
from tickets.item import FieldType
from tickets.values import JSON

#: Most findings of one check, and examples that are looked for in one table or list.
MAX_FINDINGS = 20
MAX_SEARCHES = 400
#: Rows of a table in which rows are searched that all earlier ones together catch, and gaps; steps of one search.
MOST_ROWS = 60
MOST_STEPS = 20_000
#: Rows in a circle, at most.
MOST_ROUND = 4
#: Values of a field that stand for all others in its search.
MOST_CELLS = 60


@dataclass(frozen=True, slots=True)
class Found:
    """A problem, the rows it is about ("A01/r3"), and the ticket and event that show it; None for what never comes."""

    problem: Problem
    rows: tuple[str, ...] = ()
    example: Facts | None = None


@dataclass(frozen=True, slots=True)
class _Writes:
    """A row of a table, and the values that it gives to fields whatever the ticket is."""

    compiled: CompiledTable
    row: CompiledRow
    values: Mapping[str, JSON]

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def words(self) -> str:
        return f"{self.compiled.entry.code} row {self.row.number}"


class _Searches:
    """How many examples may still be looked for."""

    def __init__(self) -> None:
        self.left = MAX_SEARCHES

    def one(self, look: Callable[[], Example | None]) -> Example | None:
        if self.left <= 0:
            return None
        self.left -= 1
        return look()


def in_table(entry: Entry, vocabulary: Vocabulary) -> list[Found]:
    """What the rows of one table say against each other."""
    assert entry.table is not None
    vocabulary = vocabulary.of(entry.table.kind)
    compiled = CompiledTable.of(entry, 0, entry.table, vocabulary)
    searches = _Searches()
    found = [*_never_reached(compiled), *_gaps(compiled, vocabulary, searches)]
    if entry.table.hit is HitPolicy.EVERY:
        writers = list(_writers(compiled, vocabulary))
        found += _limited(_twice(combinations(writers, 2), vocabulary, searches))
    return [*found, *_not_all(searches)]


def in_list(ruleset: RuleSet, code: str) -> list[Found]:
    """What the rows of one table say against those of the others in the list, and circles that go through it."""
    own = next((one for one in ruleset.tables if one.entry.code == code), None)
    if own is None:
        return []
    vocabulary = ruleset.vocabulary
    searches = _Searches()
    mine = list(_writers(own, vocabulary))
    pairs = [
        (first, second) if one.order < own.order else (second, first)
        for one in ruleset.tables
        if one is not own and (one.kinds & own.kinds) and _same_items(one, own)
        for first in _writers(one, vocabulary)
        for second in mine
    ]
    found = [*_limited(_twice(pairs, vocabulary, searches)), *_limited(_circles(ruleset, own, vocabulary, searches))]
    return [*found, *_not_all(searches)]


def _limited(found: Iterator[Found]) -> list[Found]:
    kept = []
    for one in found:
        kept.append(one)
        if len(kept) >= MAX_FINDINGS:
            break
    return kept


def _not_all(searches: _Searches) -> list[Found]:
    if searches.left > 0:
        return []
    message = "Not every pair of rows was compared: there are too many for that."
    return [Found(Problem({"table": "rows"}, "conflicts_incomplete", message))]


def _same_items(one: CompiledTable, other: CompiledTable) -> bool:
    return "any" in (one.table.kind, other.table.kind) or one.table.kind == other.table.kind


# Two rows that write one field ----------------------------------------------------------------------------------------


def _writers(compiled: CompiledTable, vocabulary: Vocabulary) -> Iterator[_Writes]:
    vocabulary = vocabulary.of(compiled.table.kind)
    for row in compiled.rows:
        values = _constant(compiled, row.row.steps, vocabulary)
        if values:
            yield _Writes(compiled, row, values)


def _constant(compiled: CompiledTable, steps: Sequence[Step], vocabulary: Vocabulary) -> dict[str, JSON]:
    """The fields that these steps give a value which does not depend on the ticket."""
    values: dict[str, JSON] = {}
    for step in steps:
        try:
            one, other = (
                intended(compiled.actions[step.column], step.params, facts, vocabulary) for facts in (_SOME, _OTHER)
            )
        except ActionRefused:
            continue
        for effect in one:
            if isinstance(effect, SetField) and effect in other:
                values[effect.field] = effect.value
    return values


_SOME = Facts(item={"id": 1, "kind": "ticket"}, event={"kind": "created", "at": NOW}, now=NOW)
_OTHER = Facts(item={"id": 2, "kind": "ticket", "subject": "?"}, event={"kind": "created", "at": NOW}, now=NOW)


def _twice(
    pairs: Iterator[tuple[_Writes, _Writes]] | Sequence[tuple[_Writes, _Writes]],
    vocabulary: Vocabulary,
    searches: _Searches,
) -> Iterator[Found]:
    """Rows that fire on one event and give one field different values: the later one's stands."""
    said: set[str] = set()
    for first, second in pairs:
        if second.key in said:
            continue  # one reason to look at a row is enough
        names = [name for name, value in second.values.items() if first.values.get(name, value) != value]
        if not names:
            continue
        own = first.compiled is second.compiled
        others = () if own else (first.compiled,)
        shows = searches.one(
            lambda a=first, b=second, others=others: example(  # type: ignore[misc]  # bound now, called at once
                b.compiled, (a.row.all, b.row.all), vocabulary.of(b.compiled.table.kind), others=others
            )
        )
        if shows is None or not _both_fire(first, second, shows.facts, vocabulary):
            continue
        said.add(second.key)
        field = state_backed(names[0], vocabulary.of(second.compiled.table.kind))
        was, now = (shown(field, one.values[names[0]]) for one in (first, second))
        before = f"row {first.row.number}" if own else first.words
        yield Found(
            Problem(
                {"row": second.row.row.id} if own else {"table": "rows"},
                "written_twice",
                f"Row {second.row.number} writes over what {before} wrote: {field.label} becomes {was}, then {now}. "
                f"For example: {shows.words}."
                if own
                else f"{second.words} writes over what {before} wrote: {field.label} becomes {was}, then {now}. "
                f"For example: {shows.words}.",
            ),
            (first.key, second.key),
            shows.facts,
        )


def _both_fire(first: _Writes, second: _Writes, facts: Facts, vocabulary: Vocabulary) -> bool:
    """Whether the engine fires both on these facts, one after the other as in the list."""
    tables = {one.compiled.entry.code: one.compiled.entry for one in (first, second)}
    ruleset = compile_ruleset(
        0, [replace(one, enabled=True) for one in tables.values()], vocabulary, index_from=NO_INDEX
    )
    return {first.key, second.key} <= set(decide(ruleset, facts).fired)


# Rows that earlier ones catch together, and gaps ----------------------------------------------------------------------

#: Types whose values a handful of cells stands for, all of them.
_CLOSED = frozenset({FieldType.CHOICE, FieldType.BOOL, FieldType.NUMBER, FieldType.MONEY})
_MISSING = object()
#: No key of a menu looks like this.
_STALE = "\x00 no longer in the menu"


def _never_reached(compiled: CompiledTable) -> Iterator[Found]:
    """Rows of a *first* table whose every ticket one of several earlier rows takes.

    Only where the fields have values that can be counted up; one earlier row that takes all is `rules.lint`'s."""
    if compiled.table.hit is not HitPolicy.FIRST or len(compiled.rows) > MOST_ROWS:
        return
    cells = _cells(compiled.rows, stale=True)
    for at, row in enumerate(compiled.rows):
        if at < 2 or cells is None or row.groups or any(one.groups for one in compiled.rows[:at]):
            continue
        if any(_caught(before, row, cells) for before in compiled.rows[:at]):
            continue
        free = _Free(compiled.rows[:at], cells)
        if free.find(row) is False:
            problem = Problem(
                {"row": row.row.id},
                "unreachable_together",
                "Never reached. Together, the rows before it catch every ticket this row would match.",
            )
            yield Found(problem, (row.key,))


def _caught(before: CompiledRow, row: CompiledRow, cells: _Cells) -> bool:
    """Whether one row takes everything that the other would: then that is what is said of it."""
    return all(
        set(_held(one, cells[one.name])) >= _all_held(row, one.name, cells[one.name]) for one in before.conditions
    )


def _all_held(row: CompiledRow, name: str, values: Sequence[object]) -> set[int]:
    kept = set(range(len(values)))
    for one in row.conditions:
        if one.name == name:
            kept &= set(_held(one, values))
    return kept


_Cells = dict[str, tuple[object, ...]]


def _cells(rows: Sequence[CompiledRow], *, stale: bool = False) -> _Cells | None:
    """For each field a value of every sort that the rows tell apart; None when that is not a matter of counting.

    `stale`: a ticket may still have a value that its menu has lost."""
    conditions: dict[str, list[CompiledCondition]] = {}
    for row in rows:
        for one in row.conditions:
            if one.field is None or one.test is None or one.operator.looks is not Looks.VALUE:
                return None
            if one.field.type not in _CLOSED or one.field.outside or not _counted(one.field):
                return None
            conditions.setdefault(one.name, []).append(one)
    cells: _Cells = {}
    for name, several in conditions.items():
        field = several[0].field
        assert field is not None
        values: list[object] = [*_sorts(field, several), _MISSING]
        if stale and field.type is FieldType.CHOICE:
            values.append(_STALE)
        if len(values) > MOST_CELLS:
            return None
        cells[name] = tuple(values)
    return cells


def _counted(field: Field) -> bool:
    return field.type is not FieldType.CHOICE or bool(field.options)


def _sorts(field: Field, conditions: Sequence[CompiledCondition]) -> list[object]:
    if field.type is FieldType.BOOL:
        return [True, False]
    if field.type is FieldType.CHOICE:
        return list(field.options or ())
    marks = sorted({float(v) for one in conditions for v in _numbers(one.operand)})
    if not marks:
        return [0]
    ends = [marks[0] - 1, marks[-1] + 1]
    return [*marks, *((a + b) / 2 for a, b in pairwise(marks)), *ends]


def _numbers(operand: JSON) -> Iterator[float]:
    for one in operand if isinstance(operand, (list, tuple)) else [operand]:
        try:
            yield float(str(one))
        except ValueError:
            continue


def _held(condition: CompiledCondition, values: Sequence[object]) -> list[int]:
    """The places of the values for which it says yes."""
    assert condition.test is not None
    return [
        at
        for at, value in enumerate(values)
        if (condition.operator.when_missing if value is _MISSING else condition.test(cast(JSON, value)))
    ]


class _Free:
    """Looks for a ticket that none of some rows takes: field by field, with the rows that still might."""

    def __init__(self, rows: Sequence[CompiledRow], cells: _Cells) -> None:
        self.cells = cells
        self.names = sorted(cells)
        self.everything = (1 << len(rows)) - 1
        #: By field and value: the rows that this value does not rule out.
        self.masks: dict[str, list[int]] = {}
        for name in self.names:
            masks = [self.everything] * len(cells[name])
            for bit, row in enumerate(rows):
                held = _all_held(row, name, cells[name])
                for at in range(len(masks)):
                    if at not in held:
                        masks[at] &= ~(1 << bit)
            self.masks[name] = masks

    def find(self, row: CompiledRow | None) -> dict[str, object] | bool | None:
        """Values, by field, that this row takes and none of the others; False when there are none, None when nobody
        knows within the bound."""
        self.steps = 0
        self.seen: set[tuple[int, int]] = set()
        chosen: dict[str, object] = {}
        allowed = {
            name: _all_held(row, name, self.cells[name]) if row is not None else set(range(len(self.cells[name])))
            for name in self.names
        }
        found = self._go(0, self.everything, allowed, chosen)
        return chosen if found else None if self.steps > MOST_STEPS else False

    def _go(self, depth: int, left: int, allowed: Mapping[str, set[int]], chosen: dict[str, object]) -> bool:
        self.steps += 1
        if self.steps > MOST_STEPS:
            return False
        if left == 0:
            for name in self.names[depth:]:
                at = min(allowed[name], default=None)
                if at is None:
                    return False
                chosen[name] = self.cells[name][at]
            return True
        if depth == len(self.names) or (depth, left) in self.seen:
            return False
        self.seen.add((depth, left))
        name = self.names[depth]
        for at in sorted(allowed[name]):
            chosen[name] = self.cells[name][at]
            if self._go(depth + 1, left & self.masks[name][at], allowed, chosen):
                return True
        chosen.pop(name, None)
        return False


def _gaps(compiled: CompiledTable, vocabulary: Vocabulary, searches: _Searches) -> Iterator[Found]:
    """A ticket that no row takes, of a *first* table that goes through the values of a field and has no otherwise row.

    A table of single cases is not meant to take every ticket, so nothing is said of one."""
    if compiled.table.hit is not HitPolicy.FIRST or compiled.otherwise_key or not 2 <= len(compiled.rows) <= MOST_ROWS:
        return
    shared = set.intersection(*({one.name for one in row.conditions} for row in compiled.rows))
    first = {one.name: one.field for one in compiled.rows[0].conditions}
    if not any(field is not None and field.type in _CLOSED for name, field in first.items() if name in shared):
        return
    cells = _cells(compiled.rows)
    if cells is None or any(row.groups for row in compiled.rows):
        return
    chosen = _Free(compiled.rows, cells).find(None)
    if not isinstance(chosen, dict):
        return
    shows = searches.one(lambda: example(compiled, (), vocabulary, false=[row.all for row in compiled.rows]))
    if shows is None:
        return
    fields = {one.name: one.field for row in compiled.rows for one in row.conditions}
    told = [
        f"{field.label} = {'(empty)' if value is _MISSING else shown(field, cast(JSON, value))}"
        for name, value in chosen.items()
        if (field := fields[name]) is not None
    ]
    message = f"No row takes every ticket, and there is no otherwise row. For example, none takes: {'; '.join(told)}."
    yield Found(Problem({"table": "rows"}, "gap", message), (), shows.facts)


# Circles --------------------------------------------------------------------------------------------------------------


def _circles(ruleset: RuleSet, own: CompiledTable, vocabulary: Vocabulary, searches: _Searches) -> Iterator[Found]:
    """Rows whose writes bring each other about, back to the first: a row of this table is one of them."""
    writers = {
        row.key: row
        for one in ruleset.tables
        if any(trigger.on == "changed" for trigger in one.table.triggers)
        for row in _writers(one, vocabulary)
    }
    follows = {key: [other for other in writers.values() if _brings(row, other)] for key, row in writers.items()}
    for start in [row for row in writers.values() if row.compiled is own]:
        for path in _paths(start, follows, [start]):
            shows = searches.one(lambda path=path: _round(path, vocabulary))  # type: ignore[misc]  # called at once
            if shows is None or not _comes_round(path, shows.facts, vocabulary):
                continue
            way = " → ".join(one.words for one in (*path, path[0]))
            yield Found(
                Problem(
                    {"row": start.row.row.id},
                    "circle",
                    f"Rows bring each other about in a circle: {way}. Each fires once per event that began it, then "
                    f"the chain ends. For example: {shows.words}.",
                ),
                tuple(one.key for one in path),
                shows.facts,
            )
            break


def _brings(row: _Writes, other: _Writes) -> bool:
    """Whether a change that the row makes could be one that the other's table runs on."""
    event: dict[str, JSON] = {"kind": "changed", "at": NOW, "actor": "automation", "depth": 1, "payload": {}}
    kind = other.compiled.table.kind if other.compiled.table.kind != "any" else "ticket"
    for name, value in row.values.items():
        changes: dict[str, JSON] = {name: [None, value]}
        facts = Facts({"id": 1, "kind": kind, **row.values}, {**event, "changes": changes}, NOW)
        try:
            if other.compiled.runs_on(facts):
                return True
        except RulesError:
            continue
    return False


def _paths(start: _Writes, follows: Mapping[str, list[_Writes]], path: list[_Writes]) -> Iterator[list[_Writes]]:
    for one in follows[path[-1].key]:
        if one.key == start.key:
            yield list(path)
        elif len(path) < MOST_ROUND and all(one.key != before.key for before in path):
            yield from _paths(start, follows, [*path, one])


def _round(path: Sequence[_Writes], vocabulary: Vocabulary) -> Example | None:
    """An event on which the first row fires, on a ticket that has what the later ones look at besides."""
    written = {name for one in path for name in one.values}
    later = [
        condition
        for one in path[1:]
        for condition in one.row.conditions
        if condition.field is not None
        and condition.field.state_key not in written
        and condition.operator.looks is not Looks.CHANGE
    ]
    first = path[0]
    return example(first.compiled, (first.row.all, All(tuple(later))), vocabulary.of(first.compiled.table.kind))


def _comes_round(path: Sequence[_Writes], facts: Facts, vocabulary: Vocabulary) -> bool:
    """Whether each row fires on what the one before it wrote, and the first once more at the end."""
    for one in (*path, path[0]):
        alone = compile_ruleset(0, [replace(one.compiled.entry, enabled=True)], vocabulary, index_from=NO_INDEX)
        decision = decide(alone, facts)
        if one.key not in decision.fired:
            return False
        changes: dict[str, JSON] = {
            name: [facts.item.get(name), value]
            for name, value in decision.staged.items()
            if facts.item.get(name) != value
        }
        event = {**facts.event, "kind": "changed", "actor": "automation", "changes": changes, "payload": {}}
        facts = replace(facts.with_state(decision.staged), event=event, message=None)
    return True
