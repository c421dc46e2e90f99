"""Rows as generated Python: one function for the rows of a table, made when it is first needed.

Only names made here and constants handed over beside it get into the source, never a text of a table. What has no quick
form (a lookup's answer, an age, a pattern) is left to the conditions themselves: a row is then "open", and is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, CompiledRow, Not
from rules.facts import Facts
from rules.fields import Field
from rules.folding import fold, has_keyword
from rules.forms import FORM_OF, FORMS, Form, Unfit, has_any_keyword, wanted
from rules.operators import Looks
from tickets.values import JSON

Member: TypeAlias = CompiledCondition | All | Not
#: Places of rows that certainly match, and of rows that must be asked, both in order.
Found: TypeAlias = tuple[list[int], list[int]]
#: The rows of a table on these facts. Raises `Unfit` when all of them must be asked.
Match: TypeAlias = Callable[[Facts], Found]
#: One row's rest, on values and on what was found in texts, by their places, and with what reads a value that nobody
#: looked at yet. Whatever it raises, the row must be asked.
Rest: TypeAlias = Callable[[Sequence[Any], Sequence[Any], Callable[[int], Any]], bool]
#: How a piece of generated code reads a field in a form.
Reads: TypeAlias = Callable[[Field, Form], str]
#: How it gets what was found in a text, and how the keywords it asks for are called there; None when it looks itself.
Keywords: TypeAlias = Callable[[Field, Sequence[str]], tuple[str, frozenset[Hashable]] | None]

#: Forms whose making costs more than a comparison: made when first asked for.
_LATE = frozenset({Form.TEXT, Form.WORDS, Form.SET, Form.MONEY, Form.TIME})
_EQUAL, _UNEQUAL = frozenset({"is", "any_of"}), frozenset({"is_not", "none_of"})
_ORDERS = {"greater": ">", "greater_or_equal": ">=", "less": "<", "less_or_equal": "<="}
_ORDERED = frozenset({Form.NUMBER, Form.MONEY, Form.TIME})
#: With the keywords that were found at hand.
_KEYWORDS = {
    "contains_any": "(not {0}.isdisjoint({1}))",
    "contains_none": "{0}.isdisjoint({1})",
    "contains_all": "{0}.issubset({1})",
}
#: Whether a number is not of the usual sorts, of which `rules.forms.number` says that they are as good as they are.
#: 2 ** 49 is a little less than its limit.
ODD_NUMBER = "({0}.__class__ is not int or {0} >> 49) and not ({0}.__class__ is float and 1e-9 < {0} < 1e14)"
#: Most keywords of one condition that are looked for one by one in the source itself.
MOST_IN_LINE = 8
#: What comparing costs, so that the cheap ones of a row come first, and of those the ones that most values fail.
_COST = {Form.TEXT: 100, Form.WORDS: 100, Form.SET: 40, Form.MONEY: 30, Form.TIME: 30, Form.CHANGE: 9}
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
            if (found := keywords(member.field, some)) is not None:
                return _KEYWORDS[member.operator.key].format(names.of(found[1]), found[0]), 20
        if form is Form.TEXT and member.operator.key in _KEYWORDS:
            # Folded keywords have no other space than " ".
            form = Form.TEXT if any(" " in fold(str(one)) for one in operands(member)) else Form.WORDS
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
        # Not "is": a value that nobody knows must be heard, which says `Unfit` to every comparison.
        empty = f"not {x}" if form in (Form.PLAIN, Form.TEXT, Form.SET) else f"{x} == None"
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
    if form in (Form.TEXT, Form.WORDS):
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
        if len(keywords) > MOST_IN_LINE:
            some = f"has_any({x}, {names.of(keywords)})"
        else:
            first, *others = (names.of(one) for one in keywords)
            parts = [f"{first} in (k := {x}) and has_one(k, {first})"]
            some = " or ".join([*parts, *(f"{one} in k and has_one(k, {one})" for one in others)])
        return some if key == "contains_any" else f"not ({some})"
    if key == "contains_all":
        return " and ".join(f"has_one({x}, {names.of(one)})" for one in keywords)
    return None


# A table ---------------------------------------------------------------------------------------------------------


class _Locals:
    """The values that a generated function reads: cheap ones where a row first looks at them, the others once."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.known: dict[tuple[str, Form], tuple[str, str]] = {}  # local name, expression
        self.reads: dict[str, list[str]] = {}  # by local name, how a cheap value gets there
        self.late: list[str] = []  # local names of the others
        self.parts: set[str] = set()
        self.used: list[str] = []  # since somebody emptied it

    def read(self, field: Field, form: Form) -> str:
        if field.place is None:
            raise Unfit
        key = (field.key, form)
        if key not in self.known:
            name = f"v{len(self.known)}"
            self.known[key] = name, self._read(field.place, field.state_key, form, name)
        name, expression = self.known[key]
        self.used.append(name)
        return expression

    def _read(self, place: tuple[str, str], state_key: str, form: Form, name: str) -> str:
        if form is Form.CHANGE:
            self.parts.add("changes")
            self.reads[name] = [f"{name} = changes.get({self.names.of(state_key)}) if changes else None"]
            return name
        part, key = place
        self.parts.add(part)
        raw = f"{part}.get({self.names.of(key)})"
        if part in ("customer", "message", "run"):
            raw = f"({raw} if {part} is not None else None)"
        make = self.names.of(FORMS[form])
        if form in _LATE:
            self.late.append(name)
            return f"({name} if {name} is not None else ({name} := {make}({raw})))"
        odd = {
            Form.PLAIN: f"{name}.__class__ is not str and {name} is not None",
            Form.NUMBER: ODD_NUMBER.format(name),
        }.get(form, f"{name} is not None")
        self.reads[name] = [f"{name} = {raw}", f"if {odd}: {name} = {make}({name})"]
        return name


def match_rows(rows: Sequence[CompiledRow], *, first: bool) -> Match:
    """A function that says which of the rows match, looking at no row behind the first when only that one counts."""
    names = Names()
    values = _Locals(names)
    body: list[str] = []
    there: set[str] = set()  # values that were read whatever the rows before said
    for at, row in enumerate(rows):
        tests: list[tuple[int, str, list[str]]] = []
        for member in row.all.members:
            values.used = []
            quick = said(member, values.read, names)
            if quick is not None:
                tests.append((quick[1], quick[0], [one for one in dict.fromkeys(values.used) if one in values.reads]))
        tests.sort(key=lambda one: one[0])
        hit = f"sure.append({at})"
        if len(tests) < len(row.all.members):
            hit = f"open.append({at})"
        elif first:
            hit = f"return [{at}], open"
        if tests:
            # The first test of a row is always made, the others mostly not: nor is what only they look at read.
            _, test, used = tests[0]
            for name in used:
                body += values.reads[name] if name not in there else []
            there.update(used)
            body.append(f"if {test}:")
            for name in dict.fromkeys(name for one in tests[1:] for name in one[2] if name not in there):
                body += [f"    {line}" for line in values.reads[name]]
            rest = " and ".join(test for _, test, _ in tests[1:])
            hit = f"    if {rest}: {hit}" if rest else f"    {hit}"
        body.append(hit)
    head = [f"{part} = facts.{part}" for part in sorted(values.parts - {"changes"})]
    if "changes" in values.parts:
        head.append("changes = facts.event.get('changes')")
    if values.late:
        head.append(f"{' = '.join(values.late)} = None")
    lines = [*head, "sure = []; open = []", *body, "return sure, open"]
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
            lines.append(f"{at}: lambda V, F, late: {' and '.join(one[0] for one in there)},\n")
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
