"""Which rows of a long list can still match: one bit per row, a few steps per field instead of one per row.

It only rules out rows that are certainly false; what is left is decided by the conditions themselves, so that there is
one meaning of every operator. A field that is unknown, or whose value makes no sense, rules out nothing.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from rules.errors import ConditionFailed, RulesError
from rules.facts import Known, Missing, Reading
from rules.fields import Field
from rules.operators import Looks, Operator, comparable, fold
from tickets.item import FieldType
from tickets.values import JSON

#: Most steps into which the limits of one ordered field are divided. Rows between two steps are left to be decided.
MAX_STEPS = 512
#: How many texts are kept taken apart into words: one decision looks at each once per change of it.
KEPT_TEXTS = 16

#: What `str.isalnum` calls letters and digits, in runs: `\w` is those and "_".
_WORD = re.compile(r"[^\W_]+")


class Looked(Protocol):
    """What a decision sees: values, and what the event changed."""

    def read(self, field: Field, /) -> Reading: ...

    def change(self, state_key: str, /) -> JSON: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition that a row cannot match without: named lists filled in, the field's type known."""

    field: Field
    operator: Operator
    operand: JSON


class RowIndex:
    """Built once per revision from the conditions of all rows of a bucket, in order; shared by all decisions."""

    def __init__(self, rows: Sequence[Iterable[Asked]]) -> None:
        self.size = len(rows)
        self.all_rows = (1 << len(rows)) - 1
        by_field: dict[str, _FieldIndex] = {}
        for at, conditions in enumerate(rows):
            for asked in conditions:
                if asked.field.key not in by_field:
                    by_field[asked.field.key] = _FieldIndex(asked.field)
                by_field[asked.field.key].add(asked, 1 << at)
        self.fields = tuple(by_field.values())
        for one in self.fields:
            one.order.finish()

    def start(self, look: Looked) -> Possible:
        """What can match on these facts."""
        return Possible(self, look)


class Possible:
    """The rows that can match during one decision: `rows` has their bits, and follows what rules stage."""

    def __init__(self, index: RowIndex, look: Looked) -> None:
        self._index, self._look = index, look
        self._out = [one.excluded(look) for one in index.fields]
        self.rows = self._left()

    def staged(self, written: Mapping[str, JSON]) -> None:
        """Look again at the fields that these state fields bear on. Call it after the look has taken them in."""
        again = [at for at, one in enumerate(self._index.fields) if not one.field.reads.isdisjoint(written)]
        for at in again:
            self._out[at] = self._index.fields[at].excluded(self._look)
        if again:
            self.rows = self._left()

    def _left(self) -> int:
        out = 0
        for mask in self._out:
            out |= mask
        return self._index.all_rows & ~out


@dataclass(slots=True)
class _Keys:
    """Rows by the keys that a value must have, or must not have, for them to match."""

    needing: int = 0  # rows that need one of their keys to be there
    having: dict[Hashable, int] = field(default_factory=dict)
    forbidding: dict[Hashable, int] = field(default_factory=dict)

    def need(self, keys: Iterable[Hashable], row: int) -> None:
        self.needing |= row
        for key in keys:
            self.having[key] = self.having.get(key, 0) | row

    def forbid(self, keys: Iterable[Hashable], row: int) -> None:
        for key in keys:
            self.forbidding[key] = self.forbidding.get(key, 0) | row

    def excluded(self, keys: Iterable[Hashable]) -> int:
        there, out = 0, 0
        having, forbidding = self.having, self.forbidding
        for key in keys:
            if key in having:
                there |= having[key]
            if key in forbidding:
                out |= forbidding[key]
        return (self.needing & ~there) | out


class _Order:
    """Rows by the lowest and the highest value with which they can match."""

    def __init__(self) -> None:
        self.lowest: dict[Any, int] = {}
        self.highest: dict[Any, int] = {}
        self.from_steps: list[Any] = []
        self.from_rows: list[int] = []  # rows that need this step or more; one more, for beyond the last: none
        self.to_steps: list[Any] = []
        self.to_rows: list[int] = []  # rows that need less than this step; the first: none

    def at_least(self, value: object, row: int) -> None:
        self.lowest[value] = self.lowest.get(value, 0) | row

    def at_most(self, value: object, row: int) -> None:
        self.highest[value] = self.highest.get(value, 0) | row

    def finish(self) -> None:
        """Take in no more rows, and be ready to be asked."""
        self.from_steps, above = self._steps(self.lowest)
        self.from_rows = [0] * (len(above) + 1)
        for at in range(len(above) - 1, -1, -1):
            self.from_rows[at] = self.from_rows[at + 1] | above[at]
        # Steps from the top, so that here too rows between two steps belong to the one they surely need.
        highest = {_Turned(value): rows for value, rows in self.highest.items()}
        turned, below = self._steps(highest)
        self.to_steps = [step.value for step in reversed(turned)]
        self.to_rows = [0]
        for rows in reversed(below):
            self.to_rows.append(self.to_rows[-1] | rows)
        self.lowest, self.highest = {}, {}

    @property
    def used(self) -> bool:
        return bool(self.from_steps or self.to_steps)

    def _steps(self, limits: Mapping[Any, int]) -> tuple[list[Any], list[int]]:
        """At most `MAX_STEPS` of the limits in order, each with the rows from it up to the next."""
        ordered = sorted(limits)  # all of one type
        size = max(1, -(-len(ordered) // MAX_STEPS))
        steps = ordered[::size]
        rows = [0] * len(steps)
        for at, limit in enumerate(ordered):
            rows[at // size] |= limits[limit]
        return steps, rows

    def excluded(self, value: object) -> int:
        above = self.from_rows[bisect_right(self.from_steps, value)] if self.from_steps else 0
        below = self.to_rows[bisect_left(self.to_steps, value)] if self.to_steps else 0
        return above | below


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class _Turned:
    """A value in the opposite order."""

    value: Any

    def __lt__(self, other: _Turned) -> bool:
        return bool(self.value > other.value)


class _FieldIndex:
    """All conditions on one field."""

    def __init__(self, field: Field) -> None:
        assert field.type is not None
        self.field, self.type = field, field.type
        self.equal, self.members, self.words = _Keys(), _Keys(), _Keys()
        self.order = _Order()
        self.values = 0  # rows that look at the value at all
        self.known_out = 0  # rows that are false with any value
        self.missing_out = 0  # rows that are false without one
        self.change_out = 0  # rows that are false without a change

    def add(self, asked: Asked, row: int) -> None:
        operator = asked.operator
        if operator.looks is Looks.CHANGE:
            self.change_out |= row
            return
        self.values |= row
        if not operator.when_missing:
            self.missing_out |= row
        if operator.key == "empty":
            self.known_out |= row
        adder = _ADDERS.get(operator.key)
        if adder is not None:
            values = asked.operand if isinstance(asked.operand, (list, tuple)) else (asked.operand,)
            adder(self, values, row)

    def excluded(self, look: Looked) -> int:
        out = 0
        if self.change_out and look.change(self.field.state_key) is None:
            out = self.change_out
        if not self.values:
            return out
        try:
            reading = look.read(self.field)
        except RulesError:
            return out  # its rows are undecided, and say why when they are asked
        if isinstance(reading, Missing):
            return out | self.missing_out
        if isinstance(reading, Known):
            return out | self.known_out | self._by_value(reading.value)
        return out

    def _by_value(self, value: JSON) -> int:
        # What cannot be compared is an error and no "no": such a value rules out nothing.
        out = 0
        equal, order = self.equal, self.order
        try:
            if equal.needing or equal.forbidding or order.used:
                one = comparable(self.type, value)
                out = equal.excluded((one,))
                if order.used:
                    out |= order.excluded(one)
            if self.members.needing or self.members.forbidding:
                out |= self.members.excluded(_members(value))
            if self.words.needing or self.words.forbidding:
                out |= self.words.excluded(_words(fold(_text(value))))
        except ConditionFailed:
            return 0
        return out


def _members(value: JSON) -> Iterable[str]:
    return map(fold, cast("frozenset[str]", comparable(FieldType.CHOICES, value)))


def _text(value: JSON) -> str:
    return str(comparable(FieldType.CHOICE, value))


@functools.lru_cache(maxsize=KEPT_TEXTS)
def _words(folded: str) -> frozenset[str]:
    return frozenset(_WORD.findall(folded))


# How each operator rules rows out ------------------------------------------------------------------------------------
# An operator that is not here rules out nothing but rows without a value.


def _equal(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.equal.need((comparable(index.type, one) for one in values), row)


def _unequal(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.equal.forbid((comparable(index.type, one) for one in values), row)


def _low(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.order.at_least(comparable(index.type, values[0]), row)


def _high(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.order.at_most(comparable(index.type, values[-1]), row)


def _between(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    _low(index, values, row)
    _high(index, values, row)


def _any_member(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.members.need((fold(str(one)) for one in values), row)


def _all_members(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.members.need((fold(str(one)) for one in values[:1]), row)


def _no_member(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    index.members.forbid((fold(str(one)) for one in values), row)


def _any_word(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    # Every run of letters and digits in a keyword stands in the text as a whole word: inside the keyword it has signs
    # around it, at its ends the keyword needs a word edge. So the longest one tells whether to look closer.
    words = [max(_WORD.findall(fold(_text(one))), key=len, default="") for one in values]
    if all(words):
        index.words.need(words, row)


def _all_words(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    longest = max((max(_WORD.findall(fold(_text(one))), key=len, default="") for one in values), key=len, default="")
    if longest or not values:
        index.words.need([longest] if longest else [], row)


def _no_word(index: _FieldIndex, values: Sequence[JSON], row: int) -> None:
    folded = [fold(_text(one)) for one in values]
    index.words.forbid((one for one in folded if _WORD.fullmatch(one)), row)


_Adder = Callable[[_FieldIndex, Sequence[JSON], int], None]
_ADDERS: Mapping[str, _Adder] = {
    "is": _equal,
    "any_of": _equal,
    "is_not": _unequal,
    "none_of": _unequal,
    "greater": _low,
    "greater_or_equal": _low,
    "less": _high,
    "less_or_equal": _high,
    "between": _between,
    "has_any": _any_member,
    "has_all": _all_members,
    "has_none": _no_member,
    "contains_any": _any_word,
    "contains_all": _all_words,
    "contains_none": _no_word,
}
