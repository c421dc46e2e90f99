"""Rows as generated Python: one function for the rows of a table, made when it is first needed.

Only names made here and constants handed over beside it get into the source, never a text of a table. What has no quick
form (a lookup's answer, an age, a pattern) is left to the conditions themselves: a row is then "open", and is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, Not
from rules.fields import Field
from rules.folding import fold, has_keyword
from rules.forms import FORM_OF, Form, Unfit, wanted
from rules.operators import Looks
from tickets.values import JSON

Member: TypeAlias = CompiledCondition | All | Not
#: One row's rest, on values and on the keywords found in texts, by their places. Whatever it raises, the row must be
#: asked.
Rest: TypeAlias = Callable[[Mapping[int, Any], Mapping[int, frozenset[str]]], bool]
#: How a piece of generated code reads a field in a form.
Reads: TypeAlias = Callable[[Field, Form], str]
#: How it gets the keywords found in a text, and how those it asks for are called there.
Keywords: TypeAlias = Callable[[Field, Sequence[str]], tuple[str, frozenset[str]]]

_EQUAL, _UNEQUAL = frozenset({"is", "any_of"}), frozenset({"is_not", "none_of"})
_ORDERS = {"greater": ">", "greater_or_equal": ">=", "less": "<", "less_or_equal": "<="}
_ORDERED = frozenset({Form.NUMBER, Form.MONEY, Form.TIME})
#: With the keywords that were found at hand.
_KEYWORDS = {
    "contains_any": "(not {0}.isdisjoint({1}))",
    "contains_none": "{0}.isdisjoint({1})",
    "contains_all": "{0}.issubset({1})",
}
#: With so few keywords that they are searched one by one, in the few rows that are left by then.
_SEARCHES = {
    "contains_any": "has_any({0}, {1})",
    "contains_none": "not has_any({0}, {1})",
    "contains_all": "has_all({0}, {1})",
}
MOST_SEARCHED = 8
#: Up to how many bits numbers stand in the code themselves.
MOST_BITS_SAID = 1_000
#: What comparing costs, so that the cheap ones of a row come first, and of those the ones that most values fail.
_COST = {Form.TEXT: 100, Form.SET: 40, Form.MONEY: 30, Form.TIME: 30, Form.CHANGE: 9}
_COST_OF_OPERATOR = {"is": 10, "any_of": 12}
_COST_OTHERWISE = 15


def form_of(condition: CompiledCondition) -> Form | None:
    """In which form the condition compares its field; None when it has no quick form."""
    found, operator = condition.field, condition.operator
    if found is None or condition.test is None or condition.operand == []:
        return None
    if operator.looks is Looks.CHANGE:
        return Form.CHANGE
    if operator.looks is not Looks.VALUE or found.type is None or operator.key == "matches":
        return None
    return FORM_OF[found.type]


@dataclass
class Names:
    """The constants of a piece of generated code."""

    values: dict[str, Any] = field(default_factory=dict)

    def of(self, value: object) -> str:
        """How it is called there."""
        if value.__class__ is int and abs(value) >> MOST_BITS_SAID == 0:
            return hex(value)  # which is read sooner than by a name
        name = f"K{len(self.values)}"
        self.values[name] = value
        return name


def operands(condition: CompiledCondition) -> list[JSON]:
    operand = condition.operand
    return list(operand) if isinstance(operand, (list, tuple)) else [operand]


def said(member: Member, reads: Reads, names: Names, keywords: Keywords) -> tuple[str, int] | None:
    """The member as an expression, and its cost; None when it has no quick form."""
    if isinstance(member, Not):
        inner = said(member.member, reads, names, keywords)
        return None if inner is None else (f"not {inner[0]}", inner[1])
    if isinstance(member, All):
        parts = [said(one, reads, names, keywords) for one in member.members]
        there = [one for one in parts if one is not None]
        if len(there) < len(parts) or not there:
            return None
        there.sort(key=lambda one: one[1])
        return f"({' and '.join(one[0] for one in there)})", sum(one[1] for one in there)
    form = form_of(member)
    if form is None:
        return None
    assert member.field is not None
    try:
        if member.operator.key in _KEYWORDS and len(operands(member)) > MOST_SEARCHED:
            found, some = keywords(member.field, [str(one) for one in operands(member)])
            return _KEYWORDS[member.operator.key].format(names.of(some), found), 20
        text = _comparison(member, form, reads(member.field, form), names)
    except Unfit:
        return None
    cost = _COST.get(form) or _COST_OF_OPERATOR.get(member.operator.key, _COST_OTHERWISE)
    return None if text is None else (f"({text})", cost)


def _comparison(condition: CompiledCondition, form: Form, x: str, names: Names) -> str | None:
    """Raises `Unfit` for an operand that has no quick form."""
    key = condition.operator.key
    if form is Form.CHANGE:
        return f"(k := {x}) is not None and {names.of(condition.test)}(k)"
    if key in ("empty", "not_empty"):
        empty = f"not {x}" if form in (Form.PLAIN, Form.TEXT, Form.SET) else f"{x} is None"
        return empty if key == "empty" else f"not ({empty})"
    if form is Form.SET:
        some = names.of(frozenset(fold(str(one)) for one in operands(condition)))
        return {
            "has_any": f"not {some}.isdisjoint({x})",
            "has_all": f"{some} <= {x}",
            "has_none": f"{some}.isdisjoint({x})",
        }.get(key)
    if key in _EQUAL or key in _UNEQUAL:
        values = [wanted(form, one) for one in operands(condition)]
        equal = key in _EQUAL
        if len(values) == 1:
            return f"{x} {'==' if equal else '!='} {names.of(values[0])}"
        return f"{x} {'in' if equal else 'not in'} {names.of(frozenset(values))}"
    if form is Form.TEXT:
        return _text(key, x, tuple(fold(str(one)) for one in operands(condition)), names)
    if form in _ORDERED and key in _ORDERS:
        return f"(k := {x}) is not None and k {_ORDERS[key]} {names.of(wanted(form, operands(condition)[0]))}"
    if form in _ORDERED and key == "between":
        low, high = (names.of(wanted(form, one)) for one in operands(condition))
        return f"(k := {x}) is not None and {low} <= k <= {high}"
    return None


def _text(key: str, x: str, texts: tuple[str, ...], names: Names) -> str | None:
    if not all(texts):
        raise Unfit
    if key in ("starts_with", "ends_with"):
        return f"{x}.{'startswith' if key == 'starts_with' else 'endswith'}({names.of(texts)})"
    return _SEARCHES[key].format(x, names.of(texts)) if key in _SEARCHES else None


def _has_any(folded: str, keywords: tuple[str, ...]) -> bool:
    return any(keyword in folded and has_keyword(folded, keyword) for keyword in keywords)


def _has_all(folded: str, keywords: tuple[str, ...]) -> bool:
    return all(keyword in folded and has_keyword(folded, keyword) for keyword in keywords)


# Rows ------------------------------------------------------------------------------------------------------------


def rests(rows: Iterable[tuple[int, Sequence[Member]]], reads: Reads, keywords: Keywords) -> dict[int, Rest]:
    """For each row a test of these members together; no entry for a row with one that has no quick form."""
    names = Names()
    lines = []
    for at, members in rows:
        parts = [said(one, reads, names, keywords) for one in members]
        there = sorted((one for one in parts if one is not None), key=lambda one: one[1])
        if len(there) == len(parts):
            lines.append(f"{at}: lambda V, F: {' and '.join(one[0] for one in there)},\n")
    made: dict[int, Rest] = {}
    for begin in range(0, len(lines), 500):
        made |= made_of("rests = {\n" + "".join(lines[begin : begin + 500]) + "}\n", names)["rests"]
    return made


def made_of(source: str, names: Names, **more: object) -> dict[str, Any]:
    """What the source defines. Every name in it is one of ours."""
    made: dict[str, Any] = {"has_any": _has_any, "has_all": _has_all, **more, **names.values}
    # Names and operators written here, nothing of a table: what a table says is a constant beside it.
    exec(compile(source, "<rows>", "exec"), made)  # noqa: S102
    return made
