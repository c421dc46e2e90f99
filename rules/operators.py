"""How a condition compares. One record per operator; forms, docs and the engine all read OPERATORS.

An operator sees a known value only. A missing value gives `when_missing` (False for positive operators, True for
negative ones), an unknown one decides nothing. Text is compared without case and accents; a keyword needs a word edge
only on the side where it begins or ends with a letter or digit itself. Durations are elapsed time.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeAlias, TypeGuard

import re2

from rules.errors import ConditionFailed, OperandRefused, no_such
from rules.vocabulary import NamedList
from tickets.calendar import Calendar, is_working
from tickets.errors import BadValue
from tickets.item import FieldType
from tickets.values import JSON, from_iso, iso

#: Most values in one cell, and the longest of them, in characters.
MAX_VALUES = 1_000
MAX_VALUE_CHARS = 2_000
#: How many folded texts are kept, long ones (messages) and short ones (tags): one decision looks at each often.
FOLDED_LONG_TEXTS, FOLDED_SHORT_TEXTS, SHORT_CHARS = 16, 4_096, 200
#: Longest pattern, in characters, and what matching it may use, in bytes. RE2 takes time in proportion to the text.
MAX_PATTERN_CHARS = 500
PATTERN_MEMORY_BYTES = 4 << 20
#: Shortest and longest duration a cell may name, in seconds.
MIN_DURATION_S, MAX_DURATION_S = 60, 3_650 * 86_400
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
_SETS = frozenset({FieldType.CHOICES})
_TIMES = frozenset({FieldType.TIME})
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
    if text.isascii() and text.isprintable() and "  " not in text and not (text[:1] == " " or text[-1:] == " "):
        return text.lower()  # nothing else to do: by far the most texts
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    plain = unicodedata.normalize("NFKD", plain)
    if not plain.isascii():
        plain = _unmarked(plain)
    return " ".join(plain.split())


def _unmarked(text: str) -> str:
    return "".join(char for char in text if not unicodedata.combining(char))


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


#: As `_UNDECOMPOSED`, for text that keeps its case.
_UNDECOMPOSED_CASED = {
    **_UNDECOMPOSED,
    **{ord(chr(char).upper()): other.upper() for char, other in _UNDECOMPOSED.items() if chr(char) not in "ı’‘ʼ"},
}


def without_accents(text: str) -> str:
    """`text` as patterns see it: no accents and one kind of apostrophe, but its case, lines and spaces as they are."""
    if text.isascii():
        return text
    return _unmarked(unicodedata.normalize("NFD", text)).translate(_UNDECOMPOSED_CASED)


_UNITS_S: Mapping[str, int] = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNIT_NAMES: Mapping[str, str] = {
    "m": "min",
    "min": "min",
    "minute": "min",
    "minutes": "min",
    "h": "h",
    "hour": "h",
    "hours": "h",
    "d": "d",
    "day": "d",
    "days": "d",
    "w": "w",
    "week": "w",
    "weeks": "w",
}
_DURATION = re.compile(r"([0-9]{1,9}) ?([a-z]{1,7})", re.ASCII)


def clean_duration(value: object) -> str:
    """A duration in its one form, e.g. "72 h" for "72 hours". Raises `ConditionFailed`."""
    found = _DURATION.fullmatch(" ".join(str(value).casefold().split()))
    unit = _UNIT_NAMES.get(found[2]) if found else None
    if found is None or unit is None:
        raise ConditionFailed(f"{_shown(value)} is not a duration such as 30 min, 72 h, 7 d or 2 w")
    seconds = int(found[1]) * _UNITS_S[unit]
    if not MIN_DURATION_S <= seconds <= MAX_DURATION_S:
        raise ConditionFailed(f"A duration is from 1 min to {MAX_DURATION_S // 86_400} d, not {_shown(value)}")
    return f"{int(found[1])} {unit}"


def duration_s(value: object) -> int:
    """How long a duration is, in seconds of elapsed time. Raises `ConditionFailed`."""
    number, unit = clean_duration(value).split()
    return int(number) * _UNITS_S[unit]


def _pattern(pattern: str) -> Any:
    """The compiled pattern, without case and accents. Raises `ConditionFailed`."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ConditionFailed(f"A pattern has at most {MAX_PATTERN_CHARS} characters, not {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.max_mem = PATTERN_MEMORY_BYTES
    try:
        return re2.compile(without_accents(pattern), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        hint = "patterns have no lookahead, lookbehind or back-references"
        raise ConditionFailed(f"{_shown(pattern)} is not a pattern: {why[:100]} ({hint})") from None


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


# Named lists ---------------------------------------------------------------------------------------------------------


def list_names(operand: JSON) -> tuple[str, ...]:
    """The named lists that stand in an operand, as {"list": name}."""
    return tuple(str(one["list"]) for one in _values(operand) if _is_list(one))


def without_lists(operand: JSON) -> JSON:
    """What stands in the operand beside named lists."""
    return [one for one in _values(operand) if not _is_list(one)]


def with_lists(operand: JSON, lists: Mapping[str, NamedList]) -> JSON:
    """The operand with the values of its named lists in their place. Raises `ConditionFailed` for one that is gone."""
    names = list_names(operand)
    if not names:
        return operand
    for name in names:
        if name not in lists:
            raise ConditionFailed(no_such("list", name, {key: one.label for key, one in lists.items()}))
    expanded: list[JSON] = []
    for one in _values(operand):
        expanded += lists[str(one["list"])].values if _is_list(one) else (one,)
    return expanded


def _is_list(value: JSON) -> TypeGuard[Mapping[str, JSON]]:
    return isinstance(value, Mapping) and set(value) == {"list"} and isinstance(value["list"], str)


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


def _contains_all(_type: FieldType, operand: JSON) -> Test:
    keywords = tuple(fold(_text(one)) for one in _values(operand))

    def test(value: JSON) -> bool:
        folded = fold(_text(value))
        return all(has_keyword(folded, keyword) for keyword in keywords)

    return test


def _ends_with(_type: FieldType, operand: JSON) -> Test:
    ends = tuple(fold(_text(one)) for one in _values(operand))
    return lambda value: fold(_text(value)).endswith(ends)


def _matches(_type: FieldType, operand: JSON) -> Test:
    pattern = _pattern(_text(operand))
    return lambda value: pattern.search(without_accents(_text(value))) is not None


def _older(_type: FieldType, operand: JSON) -> Test:
    limit_s = duration_s(operand)
    return lambda age_s: _number(age_s) >= limit_s


def _younger(type: FieldType, operand: JSON) -> Test:
    older = _older(type, operand)
    return lambda age_s: not older(age_s)


def _in_hours(_type: FieldType, operand: JSON) -> Test:
    """The operand is the calendar itself, as JSON: `with_hours` has put it in the place of its key."""
    if not isinstance(operand, Mapping):
        raise ConditionFailed(f"There is no calendar {_shown(operand)}")
    try:
        calendar = Calendar.from_json(operand)
    except BadValue as error:
        raise ConditionFailed(f"The calendar cannot be read: {error}") from None
    return lambda value: is_working(calendar, _time(value))


def _out_of_hours(type: FieldType, operand: JSON) -> Test:
    working = _in_hours(type, operand)
    return lambda value: not working(value)


def with_hours(operator: Operator, operand: JSON, hours: Mapping[str, Calendar]) -> JSON:
    """The operand with the calendar it names in its place. Raises `ConditionFailed` for one that is gone."""
    if operator.takes is not Takes.CALENDAR:
        return operand
    found = hours.get(str(operand))
    if found is None:
        raise ConditionFailed(no_such("calendar", operand, list(hours)))
    return found.to_json()


def _has_all(_type: FieldType, operand: JSON) -> Test:
    wanted = frozenset(fold(_text(one)) for one in _values(operand))
    return lambda value: wanted.issubset(map(fold, _members(value)))


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
    takes: Takes = Takes.VALUES

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
        "contains_all",
        "contains all of",
        _TEXTS,
        Operand.MANY,
        _contains_all,
        "contains all of {value}",
        "Every one of the keywords stands in the text, as a word where it is one.",
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
        "ends_with",
        "ends with",
        _TEXTS,
        Operand.MANY,
        _ends_with,
        "ends with {value}",
        "The text ends with one of these; the rest of the word does not matter.",
    ),
    Operator(
        "matches",
        "matches the pattern",
        _TEXTS,
        Operand.ONE,
        _matches,
        "matches {value}",
        "The pattern (RE2) is found somewhere in the text, without case and accents.",
        takes=Takes.PATTERN,
    ),
    Operator(
        "older_than",
        "is older than",
        _TIMES,
        Operand.ONE,
        _older,
        "is older than {value}",
        "The time is at least this long ago, in elapsed time.",
        looks=Looks.AGE,
        takes=Takes.DURATION,
    ),
    Operator(
        "newer_than",
        "is newer than",
        _TIMES,
        Operand.ONE,
        _younger,
        "is newer than {value}",
        "The time is less than this long ago, in elapsed time, or still to come.",
        looks=Looks.AGE,
        takes=Takes.DURATION,
    ),
    Operator(
        "in_working_time",
        "is in the working time of",
        _TIMES,
        Operand.ONE,
        _in_hours,
        "is in the working time of {value}",
        "Work is done at that time, by this calendar: its hours, without its holidays.",
        takes=Takes.CALENDAR,
    ),
    Operator(
        "out_of_working_time",
        "is out of the working time of",
        _TIMES,
        Operand.ONE,
        _out_of_hours,
        "is out of the working time of {value}",
        "No work is done at that time, by this calendar.",
        takes=Takes.CALENDAR,
    ),
    Operator(
        "fresh_within",
        "was fetched within",
        _ALL,
        Operand.ONE,
        _younger,
        "was fetched within {value}",
        "There is a value, and it was fetched from outside less than this long ago.",
        looks=Looks.FETCHED,
        takes=Takes.DURATION,
    ),
    Operator(
        "has_any", "has any of", _SETS, Operand.MANY, _has_any, "has any of {value}", "One of these is in the set."
    ),
    Operator(
        "has_all", "has all of", _SETS, Operand.MANY, _has_all, "has all of {value}", "All of these are in the set."
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
    if operator.types == _SETS:
        return FieldType.CHOICES
    if operator.types == _TIMES:
        return FieldType.TIME
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
            if _greater(type, cleaned[1])(cleaned[0]):
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
            return _text(value)
        pattern = _text(value)
        _pattern(pattern)
    except ConditionFailed as error:
        raise OperandRefused(f"{error}.") from None
    return pattern


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
