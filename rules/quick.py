"""Rows as generated Python: one function for the rows of a table, made when it is first needed.

Only names made here and constants handed over beside it get into the source, never a text of a table. What has no quick
form (a lookup's answer, an age, a pattern) is left to the conditions themselves: a row is then "open", and is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, CompiledRow, Not
from rules.facts import Facts
from rules.fields import Field
from rules.folding import fold, has_keyword
from rules.forms import FORM_OF, FORMS, MOST_NUMBER, Form, Unfit, has_any_keyword, wanted
from rules.operators import Looks
from tickets.values import JSON

Member: TypeAlias = CompiledCondition | All | Not
#: Places of rows that certainly match, and of rows that must be asked, both in order.
Found: TypeAlias = tuple[list[int], list[int]]
#: The rows of a table on these facts. Raises `Unfit` when all of them must be asked.
Match: TypeAlias = Callable[[Facts], Found]
#: One row's rest, on values and on keywords found, by their places. Whatever it raises, the row must be asked.
Rest: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], bool]
#: How a piece of generated code reads a field in a form.
Reads: TypeAlias = Callable[[Field, Form], str]
#: How it gets the keywords that were found in a text, of those it asks for.
Keywords: TypeAlias = Callable[[Field, Sequence[str]], str]

#: Forms whose making costs more than a comparison: made when first asked for.
_LATE = frozenset({Form.TEXT, Form.SET, Form.MONEY, Form.TIME})
_EQUAL, _UNEQUAL = frozenset({"is", "any_of"}), frozenset({"is_not", "none_of"})
_ORDERS = {"greater": ">", "greater_or_equal": ">=", "less": "<", "less_or_equal": "<="}
_ORDERED = frozenset({Form.NUMBER, Form.MONEY, Form.TIME})
#: With the keywords that were found at hand.
_KEYWORDS = {
    "contains_any": "(not {0}.isdisjoint({1}))",
    "contains_none": "{0}.isdisjoint({1})",
    "contains_all": "({0} <= {1})",
}
#: What comparing costs, so that the cheap ones of a row come first.
_COST = {Form.TEXT: 10, Form.SET: 4, Form.MONEY: 3, Form.TIME: 3, Form.CHANGE: 2}


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
        name = f"K{len(self.values)}"
        self.values[name] = value
        return name


def operands(condition: CompiledCondition) -> list[JSON]:
    operand = condition.operand
    return list(operand) if isinstance(operand, (list, tuple)) else [operand]


def said(member: Member, reads: Reads, names: Names, keywords: Keywords | None = None) -> tuple[str, int] | None:
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
        if keywords is not None and member.operator.key in _KEYWORDS:
            some = tuple(fold(str(one)) for one in operands(member))
            found = keywords(member.field, some)
            return _KEYWORDS[member.operator.key].format(names.of(frozenset(some)), found), 2
        text = _comparison(member, form, reads(member.field, form), names)
    except Unfit:
        return None
    return None if text is None else (f"({text})", _COST.get(form, 1))


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


def _text(key: str, x: str, keywords: tuple[str, ...], names: Names) -> str | None:
    if not all(keywords):
        raise Unfit
    if key in ("starts_with", "ends_with"):
        return f"{x}.{'startswith' if key == 'starts_with' else 'endswith'}({names.of(keywords)})"
    if key in ("contains_any", "contains_none"):
        if len(keywords) > 3:
            some = f"has_any({x}, {names.of(keywords)})"
        else:
            there = [names.of(one) for one in keywords]
            some = " or ".join(f"({one} in (k := {x}) and has_one(k, {one}))" for one in there)
        return some if key == "contains_any" else f"not ({some})"
    if key == "contains_all":
        return " and ".join(f"has_one({x}, {names.of(one)})" for one in keywords)
    return None


# A table ---------------------------------------------------------------------------------------------------------


class _Locals:
    """The values that a generated function reads: cheap ones at its beginning, the others when first asked for."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.known: dict[tuple[str, Form], str] = {}
        self.head: list[str] = []
        self.parts: set[str] = set()

    def read(self, field: Field, form: Form) -> str:
        if field.place is None:
            raise Unfit
        key = (field.key, form)
        if key not in self.known:
            self.known[key] = self._read(field.place, field.state_key, form, f"v{len(self.known)}")
        return self.known[key]

    def _read(self, place: tuple[str, str], state_key: str, form: Form, name: str) -> str:
        if form is Form.CHANGE:
            self.parts.add("changes")
            self.head.append(f"{name} = changes.get({self.names.of(state_key)}) if changes else None")
            return name
        part, key = place
        self.parts.add(part)
        raw = f"{part}.get({self.names.of(key)})"
        if part in ("customer", "message", "run"):
            raw = f"({raw} if {part} is not None else None)"
        make = self.names.of(FORMS[form])
        if form in _LATE:
            self.head.append(f"{name} = None")
            return f"({name} if {name} is not None else ({name} := {make}({raw})))"
        self.head.append(f"{name} = {raw}")
        odd = {
            Form.PLAIN: f"{name}.__class__ is not str and {name} is not None",
            Form.NUMBER: f"{name}.__class__ is not int or not {-MOST_NUMBER} < {name} < {MOST_NUMBER}",
        }.get(form, f"{name} is not None")
        self.head.append(f"if {odd}: {name} = {make}({name})")
        return name


def match_rows(rows: Sequence[CompiledRow], *, first: bool) -> Match:
    """A function that says which of the rows match, looking at no row behind the first when only that one counts."""
    names = Names()
    values = _Locals(names)
    body = []
    for at, row in enumerate(rows):
        parts = [(one, said(one, values.read, names)) for one in row.all.members]
        quick = sorted((one for _, one in parts if one is not None), key=lambda one: one[1])
        test = " and ".join(one[0] for one in quick) or "True"
        if len(quick) < len(parts):
            body.append(f"if {test}: open.append({at})")
        elif first:
            body.append(f"if {test}: return [{at}], open")
        else:
            body.append(f"if {test}: sure.append({at})")
    head = [f"{part} = facts.{part}" for part in sorted(values.parts - {"changes"})]
    if "changes" in values.parts:
        head.append("changes = facts.event.get('changes')")
    lines = [*head, *values.head, "sure = []; open = []", *body, "return sure, open"]
    source = "def match(facts):\n" + "".join(f"    {line}\n" for line in lines)
    made: Match = made_of(source, names)["match"]
    return made


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
    made: dict[str, Any] = {"has_one": has_keyword, "has_any": has_any_keyword, **more, **names.values}
    # Names and operators written here, nothing of a table: what a table says is a constant beside it.
    exec(compile(source, "<rows>", "exec"), made)  # noqa: S102
    return made
