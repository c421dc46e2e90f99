"""Values in the forms that quick comparisons take: what the generated code and the index look at.

A form says nothing of a value that it does not know well: it raises `Unfit`, and the conditions themselves are asked,
so that an odd value still means what rules.operators says it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from rules.errors import ConditionFailed
from rules.folding import fold
from rules.operands import comparable
from tickets.item import FieldType
from tickets.values import JSON

#: Numbers up to here, either way, are compared as they are; larger ones are left to the conditions.
MOST_NUMBER = 10**15
#: Smallest distance from nothing of a number with a fraction.
LEAST_FRACTION = 1e-15


class Unfit(Exception):
    """Of this value a quick comparison says nothing."""


class Form(StrEnum):
    """What a value becomes before it is compared. Without a value: None, for a text "", for a set the empty one."""

    PLAIN = "plain"  # a choice, as it is
    FLAG = "flag"
    PERSON = "person"
    NUMBER = "number"  # int or float
    MONEY = "money"  # Decimal
    TIME = "time"
    TEXT = "text"  # folded
    SET = "set"  # of folded members
    CHANGE = "change"  # [before, after], None when the event did not change it


Compared: TypeAlias = str | int | float | bool | Decimal | datetime | frozenset[str] | None

#: How a value of a type is compared.
FORM_OF: Mapping[FieldType, Form] = {
    FieldType.CHOICE: Form.PLAIN,
    FieldType.BOOL: Form.FLAG,
    FieldType.PERSON: Form.PERSON,
    FieldType.NUMBER: Form.NUMBER,
    FieldType.MONEY: Form.MONEY,
    FieldType.TIME: Form.TIME,
    FieldType.TEXT: Form.TEXT,
    FieldType.LONG_TEXT: Form.TEXT,
    FieldType.CHOICES: Form.SET,
}


def plain(value: JSON) -> str | None:
    if value.__class__ is str:
        return value or None
    _nothing(value)
    return None


def flag(value: JSON) -> bool | None:
    if value is True or value is False:
        return value
    _nothing(value)
    return None


def person(value: JSON) -> int | None:
    if value.__class__ is int:
        return value
    _nothing(value)
    return None


def number(value: JSON) -> int | float | None:
    """The number itself where ordinary arithmetic orders it as decimal arithmetic does. Raises `Unfit`."""
    if value.__class__ is int:
        if -MOST_NUMBER < value < MOST_NUMBER:
            return value
    elif value.__class__ is float:
        # Two numbers that are printed differently are different, and in the order of what is printed.
        if LEAST_FRACTION < abs(value) < MOST_NUMBER or value == 0:
            return value
    elif not value and value is not False:
        return None
    raise Unfit


def money(value: JSON) -> Decimal | None:
    if value.__class__ is str or value.__class__ is int or value.__class__ is float:
        return None if value == "" else _comparable(FieldType.MONEY, value)
    _nothing(value)
    return None


def time(value: JSON) -> datetime | None:
    if value.__class__ is str:
        return _comparable(FieldType.TIME, value) if value else None
    _nothing(value)
    return None


def text(value: JSON) -> str:
    if value.__class__ is str:
        folded = fold(value) if value else ""
        if folded or not value:
            return folded
        raise Unfit  # there is a value, of nothing but spaces
    _nothing(value)
    return ""


def members(value: JSON) -> frozenset[str]:
    if value.__class__ is list or value.__class__ is tuple:
        return frozenset([fold(str(one)) for one in value]) if value else _EMPTY
    _nothing(value)
    return frozenset()


_EMPTY: frozenset[str] = frozenset()


def change(value: JSON) -> JSON:
    return value


def _comparable(type: FieldType, value: JSON) -> Any:
    try:
        return comparable(type, value)
    except ConditionFailed:
        raise Unfit from None


def _nothing(value: JSON) -> None:
    if value is None or value == "" or value == [] or value == ():
        return
    raise Unfit


FORMS: Mapping[Form, Callable[[JSON], object]] = {
    Form.PLAIN: plain,
    Form.FLAG: flag,
    Form.PERSON: person,
    Form.NUMBER: number,
    Form.MONEY: money,
    Form.TIME: time,
    Form.TEXT: text,
    Form.SET: members,
    Form.CHANGE: change,
}

_SCALAR: Mapping[Form, FieldType] = {
    Form.PLAIN: FieldType.CHOICE,
    Form.FLAG: FieldType.BOOL,
    Form.PERSON: FieldType.PERSON,
    Form.NUMBER: FieldType.NUMBER,
    Form.MONEY: FieldType.MONEY,
    Form.TIME: FieldType.TIME,
    Form.TEXT: FieldType.TEXT,
}


def wanted(form: Form, value: JSON) -> Compared:
    """What stands in a cell, in the form it is compared in. Raises `Unfit`."""
    made: Compared = _comparable(_SCALAR[form], value)
    if made == "":
        raise Unfit
    if form is not Form.NUMBER:
        return made
    assert isinstance(made, Decimal)
    quick = int(made) if made == made.to_integral_value() else float(made)
    if Decimal(repr(quick)) != made:
        raise Unfit  # more digits than a float holds
    return number(quick)


# Words ---------------------------------------------------------------------------------------------------------------

#: What `str.isalnum` calls letters and digits, in runs: `\w` is those and "_".
_WORD = re.compile(r"[^\W_]+")
_ASCII_SIGNS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})


def words(folded: str) -> list[str]:
    """The runs of letters and digits of a folded text. A keyword that is one of these stands in it as a word."""
    return folded.translate(_ASCII_SIGNS).split() if folded.isascii() else _WORD.findall(folded)


def longest_word(keyword: str) -> str:
    """The longest run of letters and digits of a folded keyword. It stands as a word wherever the keyword stands:
    inside the keyword it has signs around it, at its ends the keyword needs a word edge."""
    return max(_WORD.findall(keyword), key=len, default="")
