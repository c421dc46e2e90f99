"""What a cell of a table compares by, for scripts: folded text, keywords with word edges, exact numbers.

A table written as Python says the same by these as the table does. They are written a second time because nothing of
ours is within the jail's reach; a test holds both to one answer. No value makes a positive comparison False and a
negative one True. What nobody can tell is `unknown`, and so is every comparison with it: no condition holds by it, and
`... is False` does not hold either.
"""

from __future__ import annotations

import datetime
import re as real_re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import re2

from sandbox.child.values import Record, Rows, shown

#: Longest pattern, in characters, and what matching it may use, in bytes; largest power of ten of a number.
MOST_PATTERN_CHARS = 500
PATTERN_BYTES = 4 << 20
MOST_EXPONENT = 30

Ask: TypeAlias = Callable[..., Any]


class Unknown:
    """What nobody can tell: no answer from a connection, or several. It counts as no when it is asked for a yes."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown()
_LISTS = (list, tuple, Rows)


def _absent(value: Any) -> bool:
    kind = type(value)
    return value is None or ((kind is str or kind in _LISTS) and not value)


def _asks(test: Ask, when_missing: bool = False) -> Ask:
    """`test` as scripts call it: with the value first, which may be missing or unknown."""

    def ask(value: Any, operand: Any) -> Any:
        if value is UNKNOWN:
            return UNKNOWN
        return when_missing if _absent(value) else bool(test(value, operand))

    return ask


def _not(test: Ask) -> Ask:
    return _asks(lambda value, operand: not test(value, operand), when_missing=True)


def empty(value: Any) -> Any:
    """Whether there is no value."""
    return UNKNOWN if value is UNKNOWN else _absent(value)


def not_empty(value: Any) -> Any:
    """Whether there is a value."""
    return UNKNOWN if value is UNKNOWN else not _absent(value)


# Text ---------------------------------------------------------------------------------------------------------------

_UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "ʼ": "'"}
)
_UNDECOMPOSED_CASED = {
    **_UNDECOMPOSED,
    **{ord(chr(char).upper()): other.upper() for char, other in _UNDECOMPOSED.items() if chr(char) not in "ı’‘ʼ"},
}


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) in (int, float):
        return str(value)
    raise ValueError(f"A {type(value).__name__} is not a text")


def _unmarked(text: str) -> str:
    return "".join(char for char in text if not unicodedata.combining(char))


def _folded(value: Any) -> str:
    plain = unicodedata.normalize("NFKD", _text(value)).casefold().translate(_UNDECOMPOSED)
    return " ".join(_unmarked(unicodedata.normalize("NFKD", plain)).split())


def _all(operand: Any) -> list[Any]:
    return list(operand) if type(operand) in _LISTS else [operand]


def _words(operand: Any) -> list[str]:
    return [_folded(one) for one in _all(operand)]


def _has_keyword(folded: str, keyword: str) -> bool:
    if not keyword:
        return True
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


def _same(value: Any, operand: Any) -> bool:
    return _folded(value) in _words(operand)


def _contains_any(value: Any, operand: Any) -> bool:
    folded = _folded(value)
    return any(_has_keyword(folded, word) for word in _words(operand))


def _contains_all(value: Any, operand: Any) -> bool:
    folded = _folded(value)
    return all(_has_keyword(folded, word) for word in _words(operand))


def _starts_with(value: Any, operand: Any) -> bool:
    return _folded(value).startswith(tuple(_words(operand)))


def _ends_with(value: Any, operand: Any) -> bool:
    return _folded(value).endswith(tuple(_words(operand)))


def _without_accents(text: str) -> str:
    return _unmarked(unicodedata.normalize("NFD", text)).translate(_UNDECOMPOSED_CASED)


def _matches(value: Any, operand: Any) -> bool:
    pattern = _text(operand)
    if len(pattern) > MOST_PATTERN_CHARS:
        raise ValueError(f"A pattern has at most {MOST_PATTERN_CHARS} characters, not {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.max_mem = PATTERN_BYTES
    try:
        made = re2.compile(_without_accents(pattern), options)
    except re2.error:
        raise ValueError(f"{pattern[:60]!r} is not a pattern") from None
    return made.search(_without_accents(_text(value))) is not None


# Sets ---------------------------------------------------------------------------------------------------------------


def _members(value: Any) -> set[str]:
    if type(value) not in _LISTS:
        raise ValueError(f"A {type(value).__name__} is not a list")
    return {_folded(str(one)) for one in value}


def _has_any(value: Any, operand: Any) -> bool:
    return not _members(value).isdisjoint(_words(operand))


def _has_all(value: Any, operand: Any) -> bool:
    return _members(value).issuperset(_words(operand))


# Numbers, amounts and moments ---------------------------------------------------------------------------------------


def _number(value: Any) -> Decimal:
    if type(value) is Decimal:
        number = value
    elif type(value) in (int, float, str):
        try:
            number = Decimal(value if type(value) is int else str(value).strip())
        except InvalidOperation:
            raise ValueError(f"{shown(value)[:60]!r} is not a number") from None
    else:
        raise ValueError(f"A {type(value).__name__} is not a number")
    if not number.is_finite() or abs(number.adjusted()) > MOST_EXPONENT:
        raise ValueError(f"{shown(value)[:60]!r} is not a number")
    return number


def _moment(value: Any) -> datetime.datetime:
    try:
        at = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{shown(value)[:60]!r} is not a time with a zone") from None
    if at.tzinfo is None:
        raise ValueError(f"{shown(value)[:60]!r} is not a time with a zone")
    return at


def _both(value: Any, operand: Any) -> tuple[Any, Any]:
    """Both in the form in which they are ordered: moments where the operand is one, else numbers."""
    if type(operand) is str and len(operand) > 10 and operand[4] == "-" and operand[10] == "T":
        return _moment(value), _moment(operand)
    return _number(value), _number(operand)


def _equal(value: Any, operand: Any) -> bool:
    return any(here == there for here, there in (_both(value, one) for one in _all(operand)))


def _greater(value: Any, operand: Any) -> bool:
    here, there = _both(value, operand)
    return bool(here > there)


def _less(value: Any, operand: Any) -> bool:
    here, there = _both(value, operand)
    return bool(here < there)


def _between(value: Any, operand: Any) -> bool:
    low, high = _all(operand)
    return not _less(value, low) and not _greater(value, high)


_DURATION = real_re.compile(r"([0-9]{1,9}) (min|h|d|w)", real_re.ASCII)
_UNITS_S = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def _older_than(clock: Callable[[], datetime.datetime]) -> Ask:
    def test(value: Any, operand: Any) -> bool:
        found = _DURATION.fullmatch(_text(operand))
        if found is None:
            raise ValueError(f"{shown(operand)[:60]!r} is not a duration such as 30 min, 72 h, 7 d or 2 w")
        return (clock() - _moment(value)).total_seconds() >= int(found[1]) * _UNITS_S[found[2]]

    return test


# Keys and flags -----------------------------------------------------------------------------------------------------


def _one_of(value: Any, operand: Any) -> bool:
    return any(_like(value, one) == one for one in _all(operand))


def _like(value: Any, operand: Any) -> Any:
    """The value in the form of what it is compared with: an answer may give a key as a number."""
    kind = type(operand)
    if kind is str:
        return _text(value)
    if kind in (bool, int) and type(value) is not kind:
        # 1 is True to Python, and to a table it is neither yes nor no.
        raise ValueError(f"{shown(value)[:60]!r} is not a {'yes or no' if kind is bool else 'whole number'}")
    return value


# What an event changed ----------------------------------------------------------------------------------------------


def _sides(change: Any) -> tuple[Any, Any]:
    if type(change) not in _LISTS or len(change) != 2:
        raise ValueError("This is not a change [before, after]; write event.changes.get(...)")
    return change[0], change[1]


def changed(change: Any) -> bool:
    """Whether this event changed the field."""
    if change is None:
        return False
    before, after_ = _sides(change)
    return bool(before != after_)


def _side(change: Any, at: int) -> Any:
    if change is None:
        return None
    sides = _sides(change)
    here, there = sides[at], sides[1 - at]
    if type(here) in _LISTS or type(there) in _LISTS:
        known = _members(there or [])
        return [one for one in here or [] if _folded(str(one)) not in known]
    return here if here != there else None


def after(change: Any) -> Any:
    """What the event gave the field, None when it did not change it; of a set what came in."""
    return _side(change, 1)


def before(change: Any) -> Any:
    """What the event took from the field, None when it did not change it; of a set what went."""
    return _side(change, 0)


# Answers and texts --------------------------------------------------------------------------------------------------


def at(answer: Any, path: str) -> Any:
    """What stands at "a.b.0" in an answer: None when nothing does, unknown when the answer is."""
    for part in _text(path).split("."):
        if answer is UNKNOWN:
            return UNKNOWN
        if type(answer) in (dict, Record):
            answer = answer.get(part)
        elif type(answer) in _LISTS and part.isdecimal() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return None if _absent(answer) else answer


_SPACED = real_re.compile(r"( ?)\{\{([^{}]{0,200})\}\}(?=([,.;:]?))")


def filled(text: str, values: Mapping[str, Any]) -> str:
    """A text with its {{names}} replaced by these values. With one that is missing goes the space before a sign."""
    if type(values) not in (dict, Record):
        raise TypeError("cells.filled takes the values in a dict")

    def fill(match: real_re.Match[str]) -> str:
        space, name, behind = match.groups()
        value = _said(values.get(name.strip()))
        return value if not value and behind else space + value

    return _SPACED.sub(fill, _text(text))


def _said(value: Any) -> str:
    if _absent(value) or value is UNKNOWN:
        return ""
    if type(value) is bool:
        return "yes" if value else "no"
    return ", ".join(_said(one) for one in value) if type(value) in _LISTS else _text(value)


def members(clock: Callable[[], datetime.datetime]) -> dict[str, Any]:
    """The facade's members; `clock` is the run's one moment."""
    older = _older_than(clock)
    return {
        "unknown": UNKNOWN,
        "same": _asks(_same),
        "other": _not(_same),
        "equal": _asks(_equal),
        "unequal": _not(_equal),
        "one_of": _asks(_one_of),
        "none_of": _not(_one_of),
        "empty": empty,
        "not_empty": not_empty,
        "greater": _asks(_greater),
        "greater_or_equal": _asks(lambda value, operand: not _less(value, operand)),
        "less": _asks(_less),
        "less_or_equal": _asks(lambda value, operand: not _greater(value, operand)),
        "between": _asks(_between),
        "contains_any": _asks(_contains_any),
        "contains_none": _not(_contains_any),
        "contains_all": _asks(_contains_all),
        "starts_with": _asks(_starts_with),
        "ends_with": _asks(_ends_with),
        "matches": _asks(_matches),
        "older_than": _asks(older),
        "newer_than": _asks(lambda value, operand: not older(value, operand)),
        "has_any": _asks(_has_any),
        "has_all": _asks(_has_all),
        "has_none": _not(_has_any),
        "changed": changed,
        "before": before,
        "after": after,
        "at": at,
        "filled": filled,
    }
