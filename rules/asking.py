"""How a condition is put to a database, said without SQL: what each operator and each field brings; no statements here.

`jobs.selecting` makes SQL of it. It answers in the same three values as the engine: the items for which a condition
surely holds, and those for which it may (it holds, or nobody can tell). What SQL cannot compare as the engine does is
never left out of the second: the engine looks at those again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How much of a comparison SQL can do."""

    EXACT = "exact"  # it finds just the items for which it holds
    SUPERSET = "superset"  # it finds these and others: the engine has to look again
    NONE = "none"  # it cannot be asked


class Shape(StrEnum):
    """What is asked about a value that is there."""

    PRESENT = "present"
    AMONG = "among"
    GREATER = "greater"
    LESS = "less"
    BETWEEN = "between"
    CONTAINS_ANY = "contains_any"
    CONTAINS_ALL = "contains_all"
    STARTS = "starts"
    ENDS = "ends"
    OLDER = "older"
    HAS_ANY = "has_any"
    HAS_ALL = "has_all"


@dataclass(frozen=True, slots=True)
class Asked:
    """An operator's part: the question, or its opposite, and how well SQL answers it at best.

    Texts and sets of them are a superset whatever stands here: letters outside ASCII are folded by us alone."""

    grade: Grade
    shape: Shape | None = None
    opposite: bool = False


NOT_ASKED = Asked(Grade.NONE)


def exactly(shape: Shape) -> Asked:
    return Asked(Grade.EXACT, shape)


def exactly_not(shape: Shape) -> Asked:
    return Asked(Grade.EXACT, shape, opposite=True)


class Other(StrEnum):
    """What else of an item is asked than the item itself."""

    CUSTOMER = "customer"
    CLOCK = "clock"
    CARD = "card"


@dataclass(frozen=True, slots=True)
class Stored:
    """A field's part: the column of `items` that its value stands in, and the path to it where that holds JSON.

    A `loose` one may hold what its type does not say (the JSON of custom fields, dates kept as text): there SQL finds
    a superset at best. One that is not `lasting` changes without a write that keeps the item's timers: all `of` another
    table, which are the column of the item's customer, of the clock of its service level or of its card called
    `which`."""

    column: str
    path: tuple[str, ...] = ()
    loose: bool = False
    lasting: bool = True
    of: Other | None = None
    which: str = ""
