"""What the rows of a *first* table leave over: rows that the ones before them keep every ticket from, and gaps.

Values are counted up: of each field the sorts that the rows tell apart. Where a field cannot be counted (texts, times,
answers from outside, which may be unknown) nothing is claimed of what hangs on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import cast

from rules.compiled import All, CompiledCondition, CompiledRow, CompiledTable
from rules.errors import Problem
from rules.examples import Found, with_values
from rules.fields import Field
from rules.operands import as_number, values_of
from rules.operators import Looks
from rules.table import HitPolicy
from rules.vocabulary import Vocabulary
from tickets.events import EventKind
from tickets.item import FieldType
from tickets.values import JSON

#: Steps of the search in one table, and values of one field that stand for all others.
MOST_STEPS = 50_000
MOST_CELLS = 200

#: Types whose values a handful of cells stands for, all of them.
_CLOSED = frozenset({FieldType.CHOICE, FieldType.BOOL, FieldType.NUMBER, FieldType.MONEY})
#: What every ticket and every event has, and every message: to have none of it is no gap.
_ALWAYS = frozenset(
    {"ticket.id", "ticket.kind", "ticket.status", "ticket.priority", "event.kind", "event.actor", "event.depth"}
)
_OF_MESSAGES = frozenset({"message.author", "message.public", "message.automatic"})
_MISSING = object()
#: No key of a menu looks like this.
_STALE = "\x00 no longer in the menu"


def left_over(compiled: CompiledTable, vocabulary: Vocabulary) -> list[Found]:
    """What can be said of one table, and that not all could be looked for where a bound ended it."""
    if compiled.table.hit is not HitPolicy.FIRST or len(compiled.rows) < 2:
        return []
    search = _Search(compiled)
    found: list[Found] = []
    try:
        for several in (_never_reached(compiled.rows, search), _gaps(compiled, vocabulary, search)):
            found.extend(several)
    except _Enough:
        search.whole = False
    if not search.whole:
        message = "Not every row was held against all rows before it: there are too many for that."
        found.append(Found(Problem({"table": "rows"}, "reach_incomplete", message)))
    return found


def _never_reached(rows: Sequence[CompiledRow], search: _Search) -> Iterator[Found]:
    """Rows whose every ticket one of several earlier rows takes; one earlier row that takes all is `rules.lint`'s."""
    for at, row in enumerate(rows):
        before = search.counted & ((1 << at) - 1)
        allowed = search.allowed(row.conditions)
        if before.bit_count() < 2 or not all(allowed.values()) or search.catching_all(allowed) & before:
            continue
        if search.free_of(before, allowed) is None:
            problem = Problem(
                {"row": row.row.id},
                "unreachable_together",
                "Never reached. Together, the rows before it catch every ticket this row would match.",
            )
            yield Found(problem, (row.key,))


def _gaps(compiled: CompiledTable, vocabulary: Vocabulary, search: _Search) -> Iterator[Found]:
    """A ticket that no row takes, of a table that goes through the values of a field and has no otherwise row.

    A table of single cases is not meant to take every ticket, so nothing is said of one."""
    every = (1 << len(compiled.rows)) - 1
    if compiled.otherwise_key or search.counted != every:
        return
    if not set.intersection(*({one.name for one in row.conditions} for row in compiled.rows)):
        return
    chosen = search.free_of(every, search.allowed((), likely=True))
    if chosen is None:
        return
    values = [(search.fields[name], _value(search.fields[name], value)) for name, value in chosen.items()]
    shows = with_values(compiled, values, vocabulary, false=[row.all for row in compiled.rows])
    if shows is not None:
        message = f"No row takes every ticket, and there is no otherwise row. For example, none takes: {shows.words}."
        yield Found(Problem({"table": "rows"}, "gap", message), (), shows.facts)


class _Enough(Exception):
    """The bound on steps is reached; what was found until then stands."""


class _Search:
    """Looks for a ticket that none of some rows takes: field by field, with the rows that still might.

    `counted` are the rows, as bits, whose tickets are known by counting; `whole`: no bound left something out."""

    def __init__(self, compiled: CompiledTable) -> None:
        self.whole = True
        self._steps = MOST_STEPS
        scope = compiled.scope.node if compiled.scope is not None else All(())
        members = scope.members if isinstance(scope, All) else ()
        #: A ticket outside of the scope is nobody's, so what the scope excludes need not be caught.
        self._scope = tuple(one for one in members if isinstance(one, CompiledCondition))
        self._always = _ALWAYS | (_OF_MESSAGES if compiled.kinds == {EventKind.MESSAGE} else frozenset())
        self.fields, self._values = self._cells(compiled)
        self._names = sorted(self._values)
        self.counted = 0
        #: By field and value: the rows that this value does not rule out.
        self._masks = {name: [0] * len(values) for name, values in self._values.items()}
        for at, row in enumerate(compiled.rows):
            if row.groups or not all(one.name in self._values and _countable(one) for one in row.conditions):
                continue
            self.counted |= 1 << at
            for name, held in self._held_by(row.conditions).items():
                for place in held:
                    self._masks[name][place] |= 1 << at

    def _cells(self, compiled: CompiledTable) -> tuple[dict[str, Field], dict[str, tuple[object, ...]]]:
        """For each field that can be counted a value of every sort that the rows and the scope tell apart."""
        asked: dict[str, list[CompiledCondition]] = {}
        for row in compiled.rows:
            for one in filter(_countable, row.conditions):
                asked.setdefault(one.name, []).append(one)
        for one in filter(_countable, self._scope):
            if one.name in asked:
                asked[one.name].append(one)
        fields: dict[str, Field] = {}
        cells: dict[str, tuple[object, ...]] = {}
        for name, several in asked.items():
            field = several[0].field
            assert field is not None
            values = [*_sorts(field, several), _MISSING]
            if field.type is FieldType.CHOICE:
                values.append(_STALE)  # a ticket may still have a value that its menu has lost
            if len(values) > MOST_CELLS:
                self.whole = False
                continue
            fields[name], cells[name] = field, tuple(values)
        return fields, cells

    def _held_by(self, conditions: Sequence[CompiledCondition]) -> dict[str, set[int]]:
        """The places of the values, by field, for which all these conditions say yes; what is not counted is left."""
        held = {name: set(range(len(values))) for name, values in self._values.items()}
        for one in conditions:
            if one.name in held and _countable(one):
                held[one.name] &= set(_held(one, self._values[one.name]))
        return held

    def allowed(self, conditions: Sequence[CompiledCondition], *, likely: bool = False) -> dict[str, set[int]]:
        """The values of tickets in the scope on which these may hold; `likely`: which a ticket of today may have."""
        held = self._held_by((*conditions, *self._scope))
        if likely:
            for name, values in self._values.items():
                odd = (_STALE, _MISSING) if name in self._always else (_STALE,)
                held[name] = {at for at in held[name] if values[at] not in odd}
        return held

    def catching_all(self, allowed: Mapping[str, set[int]]) -> int:
        """The rows that take every such ticket on their own."""
        kept = self.counted
        for name, places in allowed.items():
            for place in places:
                kept &= self._masks[name][place]
        return kept

    def free_of(self, rows: int, allowed: Mapping[str, set[int]]) -> dict[str, object] | None:
        """Allowed values, by field, that none of these rows takes, None where there are none. Raises `_Enough`."""
        chosen: dict[str, object] = {}
        return chosen if self._go(0, rows, allowed, chosen, set()) else None

    def _go(
        self,
        depth: int,
        left: int,
        allowed: Mapping[str, set[int]],
        chosen: dict[str, object],
        seen: set[tuple[int, int]],
    ) -> bool:
        self._steps -= 1
        if self._steps < 0:
            raise _Enough
        if depth == len(self._names):
            return left == 0
        if (depth, left) in seen:
            return False
        seen.add((depth, left))
        name = self._names[depth]
        for at in sorted(allowed[name]):
            chosen[name] = self._values[name][at]
            if self._go(depth + 1, left & self._masks[name][at], allowed, chosen, seen):
                return True
        return False


def _countable(condition: CompiledCondition) -> bool:
    field = condition.field
    return (
        field is not None
        and condition.test is not None
        and condition.operator.looks is Looks.VALUE
        and field.type in _CLOSED
        and not field.outside
        and (field.type is not FieldType.CHOICE or bool(field.options))
    )


def _sorts(field: Field, conditions: Sequence[CompiledCondition]) -> list[object]:
    if field.type is FieldType.BOOL:
        return [True, False]
    if field.type is FieldType.CHOICE:
        return list(field.options or ())
    compared = [one.operand for one in conditions if one.operand is not None]  # "is empty" compares with nothing
    marks = sorted({as_number(value) for operand in compared for value in values_of(operand)})
    if not marks:
        return ["0"]
    ends = [marks[0] - 1, marks[-1] + 1]
    # As text, which every number is read from as it is: a float may be another number.
    return [f"{one:f}" for one in (*marks, *((a + b) / 2 for a, b in pairwise(marks)), *ends)]


def _value(field: Field, value: object) -> JSON:
    """A value of the count as a ticket has it."""
    if value is _MISSING:
        return None
    if field.type is FieldType.NUMBER:
        number = as_number(value)
        return int(number) if number == int(number) else float(number)
    return cast(JSON, value)


def _held(condition: CompiledCondition, values: Sequence[object]) -> list[int]:
    """The places of the values for which it says yes."""
    assert condition.test is not None
    return [
        at
        for at, value in enumerate(values)
        if (condition.operator.when_missing if value is _MISSING else condition.test(cast(JSON, value)))
    ]
