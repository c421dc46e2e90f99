"""What stands in a cell, and the value beside it, read in the one form in which they are compared.

A value of the wrong sort is a failed condition with a sentence, never a "no".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

import re2

from rules.errors import ConditionFailed, no_such
from rules.folding import fold, without_accents
from rules.vocabulary import NamedList
from tickets.item import FieldType
from tickets.values import JSON, from_iso

#: Longest pattern, in characters, and what matching it may use, in bytes. RE2 takes time in proportion to the text.
MAX_PATTERN_CHARS = 500
PATTERN_MEMORY_BYTES = 4 << 20
#: Shortest and longest duration a cell may name, in seconds.
MIN_DURATION_S, MAX_DURATION_S = 60, 3_650 * 86_400
#: Numbers with a larger power of ten than this, either way, are not amounts of anything.
MAX_EXPONENT = 30


def values_of(operand: JSON) -> Sequence[JSON]:
    """The values in a cell, one or several."""
    return operand if isinstance(operand, (list, tuple)) else (operand,)


# One value in its comparable form ------------------------------------------------------------------------------------


def as_number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ConditionFailed(f"{quoted(value)} is not a number")
    try:
        number = Decimal(value if isinstance(value, int) else str(value).strip())
    except InvalidOperation:
        raise ConditionFailed(f"{quoted(value)} is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
        raise ConditionFailed(f"{quoted(value)} is not a number")
    return number


def as_time(value: object) -> datetime:
    try:
        return from_iso(str(value))
    except ValueError:
        raise ConditionFailed(f"{quoted(value)} is not a time with a zone") from None


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ConditionFailed(f"{quoted(value)} is not a text")


def as_members(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(one) for one in value)
    raise ConditionFailed(f"{quoted(value)} is not a list")


def quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def comparable(type: FieldType, value: object) -> object:
    """`value` in the form in which values of this type are equal or not. Raises `ConditionFailed`."""
    match type:
        case FieldType.NUMBER | FieldType.MONEY:
            return as_number(value)
        case FieldType.TIME:
            return as_time(value)
        case FieldType.TEXT | FieldType.LONG_TEXT:
            return fold(as_text(value))
        case FieldType.BOOL:
            if not isinstance(value, bool):
                raise ConditionFailed(f"{quoted(value)} is neither yes nor no")
            return value
        case FieldType.CHOICE:
            return as_text(value)
        case FieldType.PERSON:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConditionFailed(f"{quoted(value)} is not a person's id")
            return value
        case FieldType.CHOICES:
            return frozenset(as_members(value))


# Durations and patterns ----------------------------------------------------------------------------------------------

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
        raise ConditionFailed(f"{quoted(value)} is not a duration such as 30 min, 72 h, 7 d or 2 w")
    seconds = int(found[1]) * _UNITS_S[unit]
    if not MIN_DURATION_S <= seconds <= MAX_DURATION_S:
        raise ConditionFailed(f"A duration is from 1 min to {MAX_DURATION_S // 86_400} d, not {quoted(value)}")
    return f"{int(found[1])} {unit}"


def duration_s(value: object) -> int:
    """How long a duration is, in seconds of elapsed time. Raises `ConditionFailed`."""
    number, unit = clean_duration(value).split()
    return int(number) * _UNITS_S[unit]


def as_pattern(pattern: str) -> Any:
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
        raise ConditionFailed(f"{quoted(pattern)} is not a pattern: {why[:100]} ({hint})") from None


# Named lists ---------------------------------------------------------------------------------------------------------


def list_names(operand: JSON) -> tuple[str, ...]:
    """The named lists that stand in an operand, as {"list": name}."""
    return tuple(str(one["list"]) for one in values_of(operand) if _is_list(one))


def without_lists(operand: JSON) -> JSON:
    """What stands in the operand beside named lists."""
    return [one for one in values_of(operand) if not _is_list(one)]


def with_lists(operand: JSON, lists: Mapping[str, NamedList]) -> JSON:
    """The operand with the values of its named lists in their place. Raises `ConditionFailed` for one that is gone."""
    names = list_names(operand)
    if not names:
        return operand
    for name in names:
        if name not in lists:
            raise ConditionFailed(no_such("list", name, {key: one.label for key, one in lists.items()}))
    expanded: list[JSON] = []
    for one in values_of(operand):
        expanded += lists[str(one["list"])].values if _is_list(one) else (one,)
    return expanded


def _is_list(value: JSON) -> TypeGuard[Mapping[str, JSON]]:
    return isinstance(value, Mapping) and set(value) == {"list"} and isinstance(value["list"], str)
