"""How a condition compares. One record per operator; forms, docs and the engine all read OPERATORS.

An operator sees a known value only. A missing value gives `when_missing` (False for positive operators, True for
negative ones), an unknown one decides nothing. Durations are elapsed time. What the comparisons do is in
`rules.comparisons`, how values are read in `rules.operands`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rules.asking import NOT_ASKED, Asked, Grade, Shape, exactly, exactly_not
from rules.comparisons import (
    SETS,
    Test,
    certain,
    contains_all,
    contains_any,
    contains_none,
    ends_with,
    has_all,
    has_any,
    has_changed,
    has_moved,
    has_none,
    is_among,
    is_between,
    is_greater,
    is_greater_or_equal,
    is_in_hours,
    is_less,
    is_less_or_equal,
    is_not_among,
    is_older,
    is_out_of_hours,
    is_younger,
    matches,
    starts_with,
)
from rules.errors import ConditionFailed, OperandRefused, no_such
from rules.folding import fold
from rules.operands import as_number, as_pattern, as_text, as_time, clean_duration, list_names, quoted, values_of
from tickets.calendar import Calendar
from tickets.item import FieldType
from tickets.values import JSON, from_iso, iso

#: Most values in one cell, and the longest of them, in characters.
MAX_VALUES = 1_000
MAX_VALUE_CHARS = 2_000


class Operand(StrEnum):
    """What stands in a cell beside the operator."""

    NONE = "none"
    ONE = "one"
    MANY = "many"
    PAIR = "pair"  # low and high, both included


class Looks(StrEnum):
    """What the operator looks at."""

    VALUE = "value"
    CHANGE = "change"  # what this event changed, [before, after]
    AGE = "age"  # how long ago the value, a time, is: seconds, less than 0 when it is still to come
    FETCHED = "fetched"  # how long ago the value, a fact from outside, was fetched: seconds


class Takes(StrEnum):
    """What the values in the cell are."""

    VALUES = "values"  # of the field's own type
    DURATION = "duration"  # "72 h"
    PATTERN = "pattern"  # a regular expression
    CALENDAR = "calendar"  # a business calendar, by its key


_SCALAR = frozenset(
    {
        FieldType.TEXT,
        FieldType.LONG_TEXT,
        FieldType.CHOICE,
        FieldType.NUMBER,
        FieldType.MONEY,
        FieldType.TIME,
        FieldType.PERSON,
    }
)
_ORDERED = frozenset({FieldType.NUMBER, FieldType.MONEY, FieldType.TIME})
_TEXTS = frozenset({FieldType.TEXT, FieldType.LONG_TEXT})
_TIMES = frozenset({FieldType.TIME})
_ALL = frozenset(FieldType)


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to compare.

    `sentence` completes "Topic ..." for people, with {value} for the operand. `when_missing` is the answer for a
    field without a value; for a field without a change it is the same. `sql` says how a database is asked for it."""

    key: str
    label: str
    types: frozenset[FieldType]
    operand: Operand
    make: Callable[[FieldType, JSON], Test]
    sentence: str
    doc: str
    when_missing: bool = False
    looks: Looks = Looks.VALUE
    takes: Takes = Takes.VALUES
    sql: Asked = field(kw_only=True)

    def test(self, type: FieldType, operand: JSON) -> Test:
        """The comparison, ready to be asked. Raises `ConditionFailed` when the operand cannot be compared with."""
        return self.make(type, operand)


_RECORDS: tuple[Operator, ...] = (
    Operator(
        "is",
        "is",
        _SCALAR | {FieldType.BOOL},
        Operand.ONE,
        is_among,
        "is {value}",
        "The value is this one.",
        sql=exactly(Shape.AMONG),
    ),
    Operator(
        "is_not",
        "is not",
        _SCALAR | {FieldType.BOOL},
        Operand.ONE,
        is_not_among,
        "is not {value}",
        "The value is another one, or there is none.",
        when_missing=True,
        sql=exactly_not(Shape.AMONG),
    ),
    Operator(
        "any_of",
        "is any of",
        _SCALAR,
        Operand.MANY,
        is_among,
        "is any of {value}",
        "The value is one of these.",
        sql=exactly(Shape.AMONG),
    ),
    Operator(
        "none_of",
        "is none of",
        _SCALAR,
        Operand.MANY,
        is_not_among,
        "is none of {value}",
        "The value is not among these, or there is none.",
        when_missing=True,
        sql=exactly_not(Shape.AMONG),
    ),
    Operator(
        "empty",
        "is empty",
        _ALL,
        Operand.NONE,
        certain(False),
        "is empty",
        "There is no value.",
        when_missing=True,
        sql=exactly_not(Shape.PRESENT),
    ),
    Operator(
        "not_empty",
        "is not empty",
        _ALL,
        Operand.NONE,
        certain(True),
        "is not empty",
        "There is a value.",
        sql=exactly(Shape.PRESENT),
    ),
    Operator(
        "greater",
        "is greater than",
        _ORDERED,
        Operand.ONE,
        is_greater,
        "is greater than {value}",
        "More, or later.",
        sql=exactly(Shape.GREATER),
    ),
    Operator(
        "greater_or_equal",
        "is at least",
        _ORDERED,
        Operand.ONE,
        is_greater_or_equal,
        "is at least {value}",
        "This much or more, then or later.",
        sql=exactly_not(Shape.LESS),
    ),
    Operator(
        "less",
        "is less than",
        _ORDERED,
        Operand.ONE,
        is_less,
        "is less than {value}",
        "Less, or earlier.",
        sql=exactly(Shape.LESS),
    ),
    Operator(
        "less_or_equal",
        "is at most",
        _ORDERED,
        Operand.ONE,
        is_less_or_equal,
        "is at most {value}",
        "This much or less, then or earlier.",
        sql=exactly_not(Shape.GREATER),
    ),
    Operator(
        "between",
        "is between",
        _ORDERED,
        Operand.PAIR,
        is_between,
        "is between {value}",
        "From the first value to the second, both included.",
        sql=exactly(Shape.BETWEEN),
    ),
    Operator(
        "contains_any",
        "contains any of",
        _TEXTS,
        Operand.MANY,
        contains_any,
        "contains {value}",
        "One of the keywords stands in the text, as a word where it is one.",
        sql=Asked(Grade.SUPERSET, Shape.CONTAINS_ANY),
    ),
    Operator(
        "contains_none",
        "contains none of",
        _TEXTS,
        Operand.MANY,
        contains_none,
        "contains none of {value}",
        "None of the keywords stands in the text, or there is no text.",
        when_missing=True,
        sql=NOT_ASKED,
    ),
    Operator(
        "contains_all",
        "contains all of",
        _TEXTS,
        Operand.MANY,
        contains_all,
        "contains all of {value}",
        "Every one of the keywords stands in the text, as a word where it is one.",
        sql=Asked(Grade.SUPERSET, Shape.CONTAINS_ALL),
    ),
    Operator(
        "starts_with",
        "starts with",
        _TEXTS,
        Operand.MANY,
        starts_with,
        "starts with {value}",
        "The text begins with one of these; the rest of the word does not matter.",
        sql=exactly(Shape.STARTS),
    ),
    Operator(
        "ends_with",
        "ends with",
        _TEXTS,
        Operand.MANY,
        ends_with,
        "ends with {value}",
        "The text ends with one of these; the rest of the word does not matter.",
        sql=exactly(Shape.ENDS),
    ),
    Operator(
        "matches",
        "matches the pattern",
        _TEXTS,
        Operand.ONE,
        matches,
        "matches {value}",
        "The pattern (RE2) is found somewhere in the text, without case and accents.",
        takes=Takes.PATTERN,
        sql=NOT_ASKED,
    ),
    Operator(
        "older_than",
        "is older than",
        _TIMES,
        Operand.ONE,
        is_older,
        "is older than {value}",
        "The time is at least this long ago, in elapsed time.",
        looks=Looks.AGE,
        takes=Takes.DURATION,
        sql=exactly(Shape.OLDER),
    ),
    Operator(
        "newer_than",
        "is newer than",
        _TIMES,
        Operand.ONE,
        is_younger,
        "is newer than {value}",
        "The time is less than this long ago, in elapsed time, or still to come.",
        looks=Looks.AGE,
        takes=Takes.DURATION,
        sql=exactly_not(Shape.OLDER),
    ),
    Operator(
        "in_working_time",
        "is in the working time of",
        _TIMES,
        Operand.ONE,
        is_in_hours,
        "is in the working time of {value}",
        "Work is done at that time, by this calendar: its hours, without its holidays.",
        takes=Takes.CALENDAR,
        sql=NOT_ASKED,
    ),
    Operator(
        "out_of_working_time",
        "is out of the working time of",
        _TIMES,
        Operand.ONE,
        is_out_of_hours,
        "is out of the working time of {value}",
        "No work is done at that time, by this calendar.",
        takes=Takes.CALENDAR,
        sql=NOT_ASKED,
    ),
    Operator(
        "fresh_within",
        "was fetched within",
        _ALL,
        Operand.ONE,
        is_younger,
        "was fetched within {value}",
        "There is a value, and it was fetched from outside less than this long ago.",
        looks=Looks.FETCHED,
        takes=Takes.DURATION,
        sql=NOT_ASKED,
    ),
    Operator(
        "has_any",
        "has any of",
        SETS,
        Operand.MANY,
        has_any,
        "has any of {value}",
        "One of these is in the set.",
        sql=exactly(Shape.HAS_ANY),
    ),
    Operator(
        "has_all",
        "has all of",
        SETS,
        Operand.MANY,
        has_all,
        "has all of {value}",
        "All of these are in the set.",
        sql=exactly(Shape.HAS_ALL),
    ),
    Operator(
        "has_none",
        "has none of",
        SETS,
        Operand.MANY,
        has_none,
        "has none of {value}",
        "None of these is in the set, or the set is empty.",
        when_missing=True,
        sql=exactly_not(Shape.HAS_ANY),
    ),
    Operator(
        "changed",
        "changed",
        _ALL,
        Operand.NONE,
        has_changed,
        "changed",
        "This event changed the field.",
        looks=Looks.CHANGE,
        sql=NOT_ASKED,
    ),
    Operator(
        "changed_to",
        "changed to",
        _ALL,
        Operand.MANY,
        has_moved(1),
        "changed to {value}",
        "This event gave the field one of these values; in a set: added one of them.",
        looks=Looks.CHANGE,
        sql=NOT_ASKED,
    ),
    Operator(
        "changed_from",
        "changed from",
        _ALL,
        Operand.MANY,
        has_moved(0),
        "changed from {value}",
        "This event took one of these values away from the field; in a set: removed one of them.",
        looks=Looks.CHANGE,
        sql=NOT_ASKED,
    ),
)


def _by_key(records: tuple[Operator, ...]) -> Mapping[str, Operator]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two operators have the same key")
    return by_key


OPERATORS: Mapping[str, Operator] = _by_key(_RECORDS)

#: What a cell without an operator means, by type.
_DEFAULTS: Mapping[FieldType, str] = {FieldType.LONG_TEXT: "contains_any", FieldType.CHOICES: "has_any"}
#: Several values in a cell mean "or".
_MANY_FOR_ONE: Mapping[str, str] = {"is": "any_of", "is_not": "none_of"}


def operators_for(type: FieldType | None, *, state: bool = True, outside: bool = False) -> tuple[Operator, ...]:
    """The operators a field of this type takes, in menu order.

    Those about changes are only for a `state` field, those about when it was fetched only for one from `outside`."""
    looks = {Looks.VALUE, Looks.AGE} | ({Looks.CHANGE} if state else set()) | ({Looks.FETCHED} if outside else set())
    return tuple(
        operator
        for operator in OPERATORS.values()
        if (type is None or type in operator.types) and operator.looks in looks
    )


def default_operator(type: FieldType | None) -> Operator:
    return OPERATORS[_DEFAULTS.get(type, "is") if type is not None else "is"]


def for_values(operator: Operator, operand: JSON) -> Operator:
    """`is` with several values or a named list means `is any of`; other operators stay what they are."""
    several = (isinstance(operand, (list, tuple)) and len(operand) > 1) or bool(list_names(operand))
    if several and operator.key in _MANY_FOR_ONE:
        return OPERATORS[_MANY_FOR_ONE[operator.key]]
    return operator


def type_for(operator: Operator, declared: FieldType | None, operand: JSON) -> FieldType:
    """The type to compare as: the field's own, or for an undeclared one what operator and operand suggest."""
    if declared is not None:
        return declared
    if operator.types == SETS:
        return FieldType.CHOICES
    if operator.types == _TIMES:
        return FieldType.TIME
    if operator.types == _TEXTS:
        return FieldType.TEXT
    sample = next(iter(values_of(operand)), None)
    if isinstance(sample, bool):
        return FieldType.BOOL
    if isinstance(sample, (int, float)):
        return FieldType.NUMBER
    if operator.types == _ORDERED:
        try:
            from_iso(str(sample))
        except ValueError:
            return FieldType.NUMBER
        return FieldType.TIME
    return FieldType.TEXT


def clean_operand(
    operator: Operator, type: FieldType, operand: JSON, options: Mapping[str, str] | None = None, what: str = "value"
) -> JSON:
    """The operand in the one form that is stored: None, one value, or a list. Raises `OperandRefused` with a sentence.

    `what` names the values for the sentence ("team"); `options` are the only ones allowed, when given."""
    if operator.operand is Operand.NONE:
        if operand not in (None, "", [], ()):
            raise OperandRefused(f"'{operator.label}' takes no value.")
        return None
    values = [one for one in values_of(operand) if one is not None and one != ""]
    if not values:
        raise OperandRefused(f"'{operator.label}' needs a value.")
    if len(values) > MAX_VALUES:
        raise OperandRefused(f"One cell takes at most {MAX_VALUES} values, not {len(values)}.")
    if operator.takes is Takes.VALUES:
        cleaned = [_clean_value(type, one, options, what) for one in values]
    else:
        cleaned = [_clean_special(operator.takes, one) for one in values]
    match operator.operand:
        case Operand.ONE:
            if len(cleaned) != 1:
                raise OperandRefused(f"'{operator.label}' takes one value, not {len(cleaned)}.")
            return cleaned[0]
        case Operand.PAIR:
            if len(cleaned) != 2:
                raise OperandRefused(f"'{operator.label}' takes two values, the lower and the higher one.")
            if is_greater(type, cleaned[1])(cleaned[0]):
                raise OperandRefused(f"'{operator.label}' needs the lower value first.")
            return cleaned
        case _:
            return list(dict.fromkeys(cleaned))


def _clean_special(takes: Takes, value: JSON) -> str:
    """A duration or a pattern in its stored form. Raises `OperandRefused`."""
    try:
        if takes is Takes.DURATION:
            return clean_duration(value)
        if takes is Takes.CALENDAR:
            return as_text(value)
        pattern = as_text(value)
        as_pattern(pattern)
    except ConditionFailed as error:
        raise OperandRefused(f"{error}.") from None
    return pattern


def _clean_value(
    type: FieldType, value: JSON, options: Mapping[str, str] | None, what: str
) -> str | int | float | bool:
    try:
        match type:
            case FieldType.NUMBER:
                number = as_number(value)
                return int(number) if number == number.to_integral_value() else float(number)
            case FieldType.MONEY:
                return format(as_number(value), "f")
            case FieldType.TIME:
                return iso(as_time(value))
            case FieldType.BOOL:
                if not isinstance(value, bool):
                    raise OperandRefused(f"{quoted(value)} is neither yes nor no. Write true or false.")
                return value
            case FieldType.PERSON:
                if isinstance(value, bool) or not isinstance(value, int):
                    raise OperandRefused(f"{quoted(value)} is not a person's id.")
                return value
            case FieldType.TEXT | FieldType.LONG_TEXT | FieldType.CHOICE | FieldType.CHOICES:
                text = as_text(value)
                if len(text) > MAX_VALUE_CHARS:
                    raise OperandRefused(f"A value has at most {MAX_VALUE_CHARS} characters, not {len(text)}.")
                if not fold(text):
                    raise OperandRefused("A value needs at least one letter, digit or sign.")
                if options is not None and text not in options:
                    raise OperandRefused(no_such(what, text, options))
                return text
    except ConditionFailed as error:
        raise OperandRefused(f"{error}.") from None


def with_hours(operator: Operator, operand: JSON, hours: Mapping[str, Calendar]) -> JSON:
    """The operand with the calendar it names in its place. Raises `ConditionFailed` for one that is gone."""
    if operator.takes is not Takes.CALENDAR:
        return operand
    found = hours.get(str(operand))
    if found is None:
        raise ConditionFailed(no_such("calendar", operand, list(hours)))
    return found.to_json()
