"""How a condition compares. One record per operator; forms, docs and the engine all read OPERATORS.

An operator sees a known value only. A missing value gives `when_missing` (False for positive operators, True for
negative ones), an unknown one decides nothing. Text is compared without case and accents; a keyword needs a word edge
only on the side where it begins or ends with a letter or digit itself.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeAlias

from rules.errors import ConditionFailed, OperandRefused, no_such
from tickets.item import FieldType
from tickets.values import JSON, from_iso, iso

#: Most values in one cell, and the longest of them, in characters.
MAX_VALUES = 1_000
MAX_VALUE_CHARS = 2_000
#: How many folded texts are kept, long ones (messages) and short ones (tags): one decision looks at each often.
FOLDED_LONG_TEXTS, FOLDED_SHORT_TEXTS, SHORT_CHARS = 16, 4_096, 200
#: Numbers with a larger power of ten than this, either way, are not amounts of anything.
MAX_EXPONENT = 30

Test: TypeAlias = Callable[[JSON], bool]
Comparable: TypeAlias = Decimal | datetime


class Operand(StrEnum):
    """What stands in a cell beside the operator."""

    NONE = "none"
    ONE = "one"
    MANY = "many"
    PAIR = "pair"  # low and high, both included


class Looks(StrEnum):
    """What the operator looks at: the value, or what this event changed."""

    VALUE = "value"
    CHANGE = "change"


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
_SETS = frozenset({FieldType.CHOICES})
_ALL = frozenset(FieldType)


# What text is equal to what --------------------------------------------------------------------------------------

#: Letters that Unicode does not take apart into a base letter and an accent.
_UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "ʼ": "'"}
)


def fold(text: str) -> str:
    """`text` as comparisons see it: no case, no accents, one kind of apostrophe, single spaces."""
    return _fold_short(text) if len(text) <= SHORT_CHARS else _fold_long(text)


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    plain = unicodedata.normalize("NFKD", plain)
    if not plain.isascii():
        plain = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(plain.split())


_fold_short = functools.lru_cache(maxsize=FOLDED_SHORT_TEXTS)(_fold)
_fold_long = functools.lru_cache(maxsize=FOLDED_LONG_TEXTS)(_fold)


def has_keyword(folded: str, keyword: str) -> bool:
    """Whether folded text contains a folded keyword, with a word edge where the keyword has a letter or digit."""
    left, right = keyword[0].isalnum(), keyword[-1].isalnum()
    at = folded.find(keyword)
    while at >= 0:
        end = at + len(keyword)
        if not (left and at > 0 and folded[at - 1].isalnum()) and not (
            right and end < len(folded) and folded[end].isalnum()
        ):
            return True
        at = folded.find(keyword, at + 1)
    return False


# One value in its comparable form ------------------------------------------------------------------------------


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ConditionFailed(f"{_shown(value)} is not a number")
    try:
        number = Decimal(value if isinstance(value, int) else str(value).strip())
    except InvalidOperation:
        raise ConditionFailed(f"{_shown(value)} is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
        raise ConditionFailed(f"{_shown(value)} is not a number")
    return number


def _time(value: object) -> datetime:
    try:
        return from_iso(str(value))
    except ValueError:
        raise ConditionFailed(f"{_shown(value)} is not a time with a zone") from None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ConditionFailed(f"{_shown(value)} is not a text")


def _members(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(one) for one in value)
    raise ConditionFailed(f"{_shown(value)} is not a list")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def comparable(type: FieldType, value: object) -> object:
    """`value` in the form in which values of this type are equal or not. Raises `ConditionFailed`."""
    match type:
        case FieldType.NUMBER | FieldType.MONEY:
            return _number(value)
        case FieldType.TIME:
            return _time(value)
        case FieldType.TEXT | FieldType.LONG_TEXT:
            return fold(_text(value))
        case FieldType.BOOL:
            if not isinstance(value, bool):
                raise ConditionFailed(f"{_shown(value)} is neither yes nor no")
            return value
        case FieldType.CHOICE:
            return _text(value)
        case FieldType.PERSON:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConditionFailed(f"{_shown(value)} is not a person's id")
            return value
        case FieldType.CHOICES:
            return frozenset(_members(value))


def _ordered(type: FieldType, value: object) -> Comparable:
    return _time(value) if type is FieldType.TIME else _number(value)


# The tests ---------------------------------------------------------------------------------------------------------


def _values(operand: JSON) -> Sequence[JSON]:
    return operand if isinstance(operand, (list, tuple)) else (operand,)


def _among(type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(comparable(type, one) for one in _values(operand))
    if type is FieldType.CHOICE:
        return lambda value: value in wanted if isinstance(value, str) else _text(value) in wanted
    return lambda value: comparable(type, value) in wanted


def _not_among(type: FieldType, operand: JSON) -> Test:
    among = _among(type, operand)
    return lambda value: not among(value)


def _greater(type: FieldType, operand: JSON) -> Test:
    if type is FieldType.TIME:
        moment = _time(operand)
        return lambda value: _time(value) > moment
    limit = _number(operand)
    return lambda value: _number(value) > limit


def _less(type: FieldType, operand: JSON) -> Test:
    if type is FieldType.TIME:
        moment = _time(operand)
        return lambda value: _time(value) < moment
    limit = _number(operand)
    return lambda value: _number(value) < limit


def _greater_or_equal(type: FieldType, operand: JSON) -> Test:
    less = _less(type, operand)
    return lambda value: not less(value)


def _less_or_equal(type: FieldType, operand: JSON) -> Test:
    greater = _greater(type, operand)
    return lambda value: not greater(value)


def _between(type: FieldType, operand: JSON) -> Test:
    low, high = _values(operand)
    below, above = _less(type, low), _greater(type, high)
    return lambda value: not below(value) and not above(value)


def _contains_any(_type: FieldType, operand: JSON) -> Test:
    keywords = tuple(fold(_text(one)) for one in _values(operand))

    def test(value: JSON) -> bool:
        folded = fold(_text(value))
        # Most keywords are not there at all, and `in` sees that fastest.
        there = [keyword for keyword in keywords if keyword in folded]
        return any(has_keyword(folded, keyword) for keyword in there)

    return test


def _contains_none(type: FieldType, operand: JSON) -> Test:
    contains_any = _contains_any(type, operand)
    return lambda value: not contains_any(value)


def _starts_with(_type: FieldType, operand: JSON) -> Test:
    beginnings = tuple(fold(_text(one)) for one in _values(operand))
    return lambda value: fold(_text(value)).startswith(beginnings)


def _has_any(_type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(fold(_text(one)) for one in _values(operand))
    return lambda value: not wanted.isdisjoint(map(fold, _members(value)))


def _has_none(type: FieldType, operand: JSON) -> Test:
    has_any = _has_any(type, operand)
    return lambda value: not has_any(value)


def _certain(answer: bool) -> Callable[[FieldType, JSON], Test]:
    return lambda _type, _operand: lambda _value: answer


def _side(change: JSON, at: int) -> JSON:
    """What stood before (0) or after (1) in a change [before, after]."""
    if not isinstance(change, (list, tuple)) or len(change) != 2:
        raise ConditionFailed(f"{_shown(change)} is not a change [before, after]")
    return change[at]


def _changed(_type: FieldType, _operand: JSON) -> Test:
    return lambda change: _side(change, 0) != _side(change, 1)


def _moved(to: int) -> Callable[[FieldType, JSON], Test]:
    """Changed so that the `to` side is among the values. For sets: so that a member came (1) or went (0)."""

    def make(type: FieldType, operand: JSON) -> Test:
        if type in _SETS:
            wanted = frozenset(fold(_text(one)) for one in _values(operand))

            def came_or_went(change: JSON) -> bool:
                there = {fold(one) for one in _members(_side(change, to) or ())}
                here = {fold(one) for one in _members(_side(change, 1 - to) or ())}
                return bool((there - here) & wanted)

            return came_or_went
        among = _among(type, operand)

        def moved(change: JSON) -> bool:
            there, here = _side(change, to), _side(change, 1 - to)
            return there != here and there is not None and among(there)

        return moved

    return make


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to compare.

    `sentence` completes "Topic ..." for people, with {value} for the operand. `when_missing` is the answer for a
    field without a value; for a field without a change it is the same."""

    key: str
    label: str
    types: frozenset[FieldType]
    operand: Operand
    make: Callable[[FieldType, JSON], Test]
    sentence: str
    doc: str
    when_missing: bool = False
    looks: Looks = Looks.VALUE

    def test(self, type: FieldType, operand: JSON) -> Test:
        """The comparison, ready to be asked. Raises `ConditionFailed` when the operand cannot be compared with."""
        return self.make(type, operand)


_RECORDS: tuple[Operator, ...] = (
    Operator("is", "is", _SCALAR | {FieldType.BOOL}, Operand.ONE, _among, "is {value}", "The value is this one."),
    Operator(
        "is_not",
        "is not",
        _SCALAR | {FieldType.BOOL},
        Operand.ONE,
        _not_among,
        "is not {value}",
        "The value is another one, or there is none.",
        when_missing=True,
    ),
    Operator("any_of", "is any of", _SCALAR, Operand.MANY, _among, "is any of {value}", "The value is one of these."),
    Operator(
        "none_of",
        "is none of",
        _SCALAR,
        Operand.MANY,
        _not_among,
        "is none of {value}",
        "The value is not among these, or there is none.",
        when_missing=True,
    ),
    Operator(
        "empty", "is empty", _ALL, Operand.NONE, _certain(False), "is empty", "There is no value.", when_missing=True
    ),
    Operator("not_empty", "is not empty", _ALL, Operand.NONE, _certain(True), "is not empty", "There is a value."),
    Operator(
        "greater", "is greater than", _ORDERED, Operand.ONE, _greater, "is greater than {value}", "More, or later."
    ),
    Operator(
        "greater_or_equal",
        "is at least",
        _ORDERED,
        Operand.ONE,
        _greater_or_equal,
        "is at least {value}",
        "This much or more, then or later.",
    ),
    Operator("less", "is less than", _ORDERED, Operand.ONE, _less, "is less than {value}", "Less, or earlier."),
    Operator(
        "less_or_equal",
        "is at most",
        _ORDERED,
        Operand.ONE,
        _less_or_equal,
        "is at most {value}",
        "This much or less, then or earlier.",
    ),
    Operator(
        "between",
        "is between",
        _ORDERED,
        Operand.PAIR,
        _between,
        "is between {value}",
        "From the first value to the second, both included.",
    ),
    Operator(
        "contains_any",
        "contains any of",
        _TEXTS,
        Operand.MANY,
        _contains_any,
        "contains {value}",
        "One of the keywords stands in the text, as a word where it is one.",
    ),
    Operator(
        "contains_none",
        "contains none of",
        _TEXTS,
        Operand.MANY,
        _contains_none,
        "contains none of {value}",
        "None of the keywords stands in the text, or there is no text.",
        when_missing=True,
    ),
    Operator(
        "starts_with",
        "starts with",
        _TEXTS,
        Operand.MANY,
        _starts_with,
        "starts with {value}",
        "The text begins with one of these; the rest of the word does not matter.",
    ),
    Operator(
        "has_any", "has any of", _SETS, Operand.MANY, _has_any, "has any of {value}", "One of these is in the set."
    ),
    Operator(
        "has_none",
        "has none of",
        _SETS,
        Operand.MANY,
        _has_none,
        "has none of {value}",
        "None of these is in the set, or the set is empty.",
        when_missing=True,
    ),
    Operator(
        "changed",
        "changed",
        _ALL,
        Operand.NONE,
        _changed,
        "changed",
        "This event changed the field.",
        looks=Looks.CHANGE,
    ),
    Operator(
        "changed_to",
        "changed to",
        _ALL,
        Operand.MANY,
        _moved(1),
        "changed to {value}",
        "This event gave the field one of these values; in a set: added one of them.",
        looks=Looks.CHANGE,
    ),
    Operator(
        "changed_from",
        "changed from",
        _ALL,
        Operand.MANY,
        _moved(0),
        "changed from {value}",
        "This event took one of these values away from the field; in a set: removed one of them.",
        looks=Looks.CHANGE,
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


def operators_for(type: FieldType | None, *, state: bool = True) -> tuple[Operator, ...]:
    """The operators a field of this type takes, in menu order; those about changes only for a state field."""
    return tuple(
        operator
        for operator in OPERATORS.values()
        if (type is None or type in operator.types) and (state or operator.looks is Looks.VALUE)
    )


def default_operator(type: FieldType | None) -> Operator:
    return OPERATORS[_DEFAULTS.get(type, "is") if type is not None else "is"]


def for_values(operator: Operator, operand: JSON) -> Operator:
    """`is` with several values means `is any of`; other operators stay what they are."""
    if isinstance(operand, (list, tuple)) and len(operand) > 1 and operator.key in _MANY_FOR_ONE:
        return OPERATORS[_MANY_FOR_ONE[operator.key]]
    return operator


def type_for(operator: Operator, declared: FieldType | None, operand: JSON) -> FieldType:
    """The type to compare as: the field's own, or for an undeclared one what operator and operand suggest."""
    if declared is not None:
        return declared
    if operator.types == _SETS:
        return FieldType.CHOICES
    if operator.types == _TEXTS:
        return FieldType.TEXT
    sample = next(iter(_values(operand)), None)
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
    values = [one for one in _values(operand) if one is not None and one != ""]
    if not values:
        raise OperandRefused(f"'{operator.label}' needs a value.")
    if len(values) > MAX_VALUES:
        raise OperandRefused(f"One cell takes at most {MAX_VALUES} values, not {len(values)}.")
    cleaned = [_clean_value(type, one, options, what) for one in values]
    match operator.operand:
        case Operand.ONE:
            if len(cleaned) != 1:
                raise OperandRefused(f"'{operator.label}' takes one value, not {len(cleaned)}.")
            return cleaned[0]
        case Operand.PAIR:
            if len(cleaned) != 2:
                raise OperandRefused(f"'{operator.label}' takes two values, the lower and the higher one.")
            if _greater(type, cleaned[1])(cleaned[0]):
                raise OperandRefused(f"'{operator.label}' needs the lower value first.")
            return cleaned
        case _:
            return list(dict.fromkeys(cleaned))


def _clean_value(
    type: FieldType, value: JSON, options: Mapping[str, str] | None, what: str
) -> str | int | float | bool:
    try:
        match type:
            case FieldType.NUMBER:
                number = _number(value)
                return int(number) if number == number.to_integral_value() else float(number)
            case FieldType.MONEY:
                return format(_number(value), "f")
            case FieldType.TIME:
                return iso(_time(value))
            case FieldType.BOOL:
                if not isinstance(value, bool):
                    raise OperandRefused(f"{_shown(value)} is neither yes nor no.")
                return value
            case FieldType.PERSON:
                if isinstance(value, bool) or not isinstance(value, int):
                    raise OperandRefused(f"{_shown(value)} is not a person's id.")
                return value
            case FieldType.TEXT | FieldType.LONG_TEXT | FieldType.CHOICE | FieldType.CHOICES:
                text = _text(value)
                if len(text) > MAX_VALUE_CHARS:
                    raise OperandRefused(f"A value has at most {MAX_VALUE_CHARS} characters, not {len(text)}.")
                if not fold(text):
                    raise OperandRefused("A value needs at least one letter, digit or sign.")
                if options is not None and text not in options:
                    raise OperandRefused(no_such(what, text, options))
                return text
    except ConditionFailed as error:
        raise OperandRefused(f"{error}.") from None
