"""The comparisons themselves: each takes the type and the operand and gives the test that a known value is asked.

Building one raises `ConditionFailed` when the operand cannot be compared with, asking it when the value cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from rules.errors import ConditionFailed
from rules.folding import fold, has_keyword, without_accents
from rules.operands import (
    as_members,
    as_number,
    as_pattern,
    as_text,
    as_time,
    comparable,
    duration_s,
    quoted,
    values_of,
)
from tickets.calendar import Calendar, is_working
from tickets.errors import BadValue
from tickets.item import FieldType
from tickets.values import JSON

Test: TypeAlias = Callable[[JSON], bool]

#: Types whose values are sets.
SETS = frozenset({FieldType.CHOICES})


def is_among(type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(comparable(type, one) for one in values_of(operand))
    if type is FieldType.CHOICE:
        return lambda value: value in wanted if isinstance(value, str) else as_text(value) in wanted
    return lambda value: comparable(type, value) in wanted


def is_not_among(type: FieldType, operand: JSON) -> Test:
    among = is_among(type, operand)
    return lambda value: not among(value)


def is_greater(type: FieldType, operand: JSON) -> Test:
    if type is FieldType.TIME:
        moment = as_time(operand)
        return lambda value: as_time(value) > moment
    limit = as_number(operand)
    return lambda value: as_number(value) > limit


def is_less(type: FieldType, operand: JSON) -> Test:
    if type is FieldType.TIME:
        moment = as_time(operand)
        return lambda value: as_time(value) < moment
    limit = as_number(operand)
    return lambda value: as_number(value) < limit


def is_greater_or_equal(type: FieldType, operand: JSON) -> Test:
    less = is_less(type, operand)
    return lambda value: not less(value)


def is_less_or_equal(type: FieldType, operand: JSON) -> Test:
    greater = is_greater(type, operand)
    return lambda value: not greater(value)


def is_between(type: FieldType, operand: JSON) -> Test:
    low, high = values_of(operand)
    below, above = is_less(type, low), is_greater(type, high)
    return lambda value: not below(value) and not above(value)


def contains_any(_type: FieldType, operand: JSON) -> Test:
    keywords = tuple(fold(as_text(one)) for one in values_of(operand))

    def test(value: JSON) -> bool:
        folded = fold(as_text(value))
        # Most keywords are not there at all, and `in` sees that fastest.
        there = [keyword for keyword in keywords if keyword in folded]
        return any(has_keyword(folded, keyword) for keyword in there)

    return test


def contains_none(type: FieldType, operand: JSON) -> Test:
    contains = contains_any(type, operand)
    return lambda value: not contains(value)


def starts_with(_type: FieldType, operand: JSON) -> Test:
    beginnings = tuple(fold(as_text(one)) for one in values_of(operand))
    return lambda value: fold(as_text(value)).startswith(beginnings)


def contains_all(_type: FieldType, operand: JSON) -> Test:
    keywords = tuple(fold(as_text(one)) for one in values_of(operand))

    def test(value: JSON) -> bool:
        folded = fold(as_text(value))
        return all(has_keyword(folded, keyword) for keyword in keywords)

    return test


def ends_with(_type: FieldType, operand: JSON) -> Test:
    ends = tuple(fold(as_text(one)) for one in values_of(operand))
    return lambda value: fold(as_text(value)).endswith(ends)


def matches(_type: FieldType, operand: JSON) -> Test:
    pattern = as_pattern(as_text(operand))
    return lambda value: pattern.search(without_accents(as_text(value))) is not None


def is_older(_type: FieldType, operand: JSON) -> Test:
    limit_s = duration_s(operand)
    return lambda age_s: as_number(age_s) >= limit_s


def is_younger(type: FieldType, operand: JSON) -> Test:
    older = is_older(type, operand)
    return lambda age_s: not older(age_s)


def is_in_hours(_type: FieldType, operand: JSON) -> Test:
    """The operand is the calendar itself, as JSON: `with_hours` has put it in the place of its key."""
    if not isinstance(operand, Mapping):
        raise ConditionFailed(f"There is no calendar {quoted(operand)}")
    try:
        calendar = Calendar.from_json(operand)
    except BadValue as error:
        raise ConditionFailed(f"The calendar cannot be read: {error}") from None
    return lambda value: is_working(calendar, as_time(value))


def is_out_of_hours(type: FieldType, operand: JSON) -> Test:
    working = is_in_hours(type, operand)
    return lambda value: not working(value)


def has_all(_type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(fold(as_text(one)) for one in values_of(operand))
    return lambda value: wanted.issubset(map(fold, as_members(value)))


def has_any(_type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(fold(as_text(one)) for one in values_of(operand))
    return lambda value: not wanted.isdisjoint(map(fold, as_members(value)))


def has_none(type: FieldType, operand: JSON) -> Test:
    has = has_any(type, operand)
    return lambda value: not has(value)


def certain(answer: bool) -> Callable[[FieldType, JSON], Test]:
    return lambda _type, _operand: lambda _value: answer


def _side(change: JSON, at: int) -> JSON:
    """What stood before (0) or after (1) in a change [before, after]."""
    if not isinstance(change, (list, tuple)) or len(change) != 2:
        raise ConditionFailed(f"{quoted(change)} is not a change [before, after]")
    return change[at]


def has_changed(_type: FieldType, _operand: JSON) -> Test:
    return lambda change: _side(change, 0) != _side(change, 1)


def has_moved(to: int) -> Callable[[FieldType, JSON], Test]:
    """Changed so that the `to` side is among the values. For sets: so that a member came (1) or went (0)."""

    def make(type: FieldType, operand: JSON) -> Test:
        if type in SETS:
            wanted = frozenset(fold(as_text(one)) for one in values_of(operand))

            def came_or_went(change: JSON) -> bool:
                there = {fold(one) for one in as_members(_side(change, to) or ())}
                here = {fold(one) for one in as_members(_side(change, 1 - to) or ())}
                return bool((there - here) & wanted)

            return came_or_went
        among = is_among(type, operand)

        def moved(change: JSON) -> bool:
            there, here = _side(change, to), _side(change, 1 - to)
            return there != here and there is not None and among(there)

        return moved

    return make
