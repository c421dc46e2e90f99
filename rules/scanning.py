"""What a row asks of which field, taken apart; and the generated code that looks a field's value up in its part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, Not
from rules.fields import dig
from rules.forms import Form, Unfit
from rules.parts import Kept, Part
from rules.quick import Member, Names

#: A condition, and whether it or its opposite must hold.
Literal: TypeAlias = tuple[CompiledCondition, bool]
#: What the code of `looked_up` calls.
USED: Mapping[str, Any] = {"upto": bisect_right, "dig": dig, "Unfit": Unfit}


def units(member: Member, positive: bool) -> Iterable[Member]:
    """What must hold together for the member to hold, or not to hold."""
    if isinstance(member, Not):
        yield from units(member.member, not positive)
    elif isinstance(member, All) and positive:
        for one in member.members:
            yield from units(one, True)
    else:
        yield member if positive else Not(member)


def literals(member: Member, positive: bool) -> list[Literal] | None:
    """The conditions of which one must hold; None for what says more than that."""
    if isinstance(member, CompiledCondition):
        return [(member, positive)]
    if isinstance(member, Not):
        return literals(member.member, not positive)
    if positive and len(member.members) != 1:
        return None
    found: list[Literal] = []
    for one in member.members:
        some = literals(one, positive)
        if some is None:
            return None
        found += some
    return found


#: How the code finds what is kept for a value: it and the value in, an expression out.
Keeps: TypeAlias = Callable[[Kept, str, Names], str]


def known(kept: Kept, value: str, names: Names) -> str:
    """Raises KeyError for a value that never came before."""
    return f"{names.of(kept.known)}[{value}]"


def learned(kept: Kept, value: str, names: Names) -> str:
    return f"{names.of(kept.learn)}({value})"


def plain_value(part: Part, names: Names, keeps: Keeps) -> str:
    """What the value of a field leaves that is a choice and stands where one look finds it. Raises for an odd one."""
    assert part.field.place is not None
    source, key = part.field.place
    return keeps(part.by_value, f"{source}.get({names.of(key)})", names)


def looked_up(part: Part, names: Names, keeps: Keeps, otherwise: str, *, for_good: bool = False) -> list[str]:
    """How what the value of a part leaves is left. Raises something for an odd value.

    `otherwise` is what is done where it takes more than a look: a lookup that is not known, a form of its own.
    `for_good`: a row that is out stays out, so that nothing need be said of it any more."""
    marks = _marks(part, names, keeps, for_good)
    if marks is None:
        return [otherwise]
    if part.field.place is not None:
        source, key = part.field.place
        return [f"v = {source}.get({names.of(key)})", *marks]
    if part.field.answer is None:
        return [otherwise]
    lookup, path = part.field.answer
    value = f"dig(v, {names.of(path)})"
    if len(path) == 1:
        value = f"v.get({names.of(path[0])}) if v.__class__ is dict else {value}"
    found = ["v = v['data']", f"v = {value}", *marks]
    return [
        f"v = lookups.get({names.of(lookup)})",
        "if v is not None and v['state'] == 'known':",
        *(f"    {line}" for line in found),
        f"else: {otherwise}",
    ]


def _marks(part: Part, names: Names, keeps: Keeps, for_good: bool) -> list[str] | None:
    """What the value `v` of a usual sort leaves; None where it has to be brought into another form first."""
    missing = f"left &= {names.of(part.whole ^ part.missing)}"
    match part.form:
        case Form.PLAIN:
            return [f"left &= {keeps(part.by_value, 'v', names)}"]
        case Form.FLAG:
            # 1 is True to a dictionary, and is neither yes nor no.
            return [
                "if v is not True and v is not False and v is not None: raise Unfit",
                f"left &= {keeps(part.by_value, 'v', names)}",
            ]
        case Form.NUMBER:
            # True is 1 to a dictionary, and is no number; of numbers with a fraction there are too many to keep.
            return [
                f"if v.__class__ is int or v is None: left &= {keeps(part.by_value, 'v', names)}",
                f"elif v.__class__ is float: left &= {_of_float(part, names)}",
                "else: raise Unfit",
            ]
        case Form.TEXT:
            return _of_text(part, names, for_good)
        case Form.SET:
            several = f"{names.of(part.together_leave)}(brought)"
            several = several if part.turned is None else f"brought ^ {names.of(part.turned)}"
            return [
                f"if v is None: {missing}",
                "elif v.__class__ is not list and v.__class__ is not tuple: raise Unfit",
                f"elif len(v) == 1: left &= {keeps(part.by_value, 'v[0]', names)}",
                "elif v:",
                "    brought = 0",
                f"    for one in v: brought |= {keeps(part.brought, 'one', names)}",
                f"    left &= {several} if brought else {names.of(part.whole ^ part.keys.otherwise)}",
                f"else: {missing}",
            ]
    return None


def _of_text(part: Part, names: Names, for_good: bool) -> list[str]:
    whole = names.of(part.text_leaves)
    usual = [f"if v.__class__ is str or v is None: left &= {whole}(v or '')", "else: raise Unfit"]
    if part.search is None or not for_good:
        return usual
    nothing = f"left &= {names.of(part.together_leave(0))}"
    leave = f"{names.of(part.together_leave)}(brought)"
    leave = leave if part.turned is None else f"brought ^ {names.of(part.turned)}"
    # To fold an ASCII text would do no more to it than even out its spaces, and no word has one.
    lines = ["if v.__class__ is str and v.isascii():", "    data = v.lower().encode()"]
    search, brought_by = "search", "brought_by"
    if not part.searches:
        search, brought_by = map(names.of, part.search)
    elif len(part.searches) == 1:
        # `some` are those of its rows that are left.
        lines.append(f"    search, brought_by = {names.of(part.searches[0])}[some]")
    if len(part.searches) <= 1:
        lines += [f"    hits = {search}(data)", f"    brought = {brought_by}(hits, data, v) if hits else 0"]
    else:
        lines.append("    brought = 0")
        for searches in part.searches:
            lines += [
                f"    if some := left & {names.of(searches.rows)}:",
                f"        search, brought_by = {names.of(searches)}[some]",
                "        hits = search(data)",
                "        if hits: brought |= brought_by(hits, data, v)",
            ]
    return [
        *lines,
        f"    if brought: left &= {leave}",
        f"    elif v and not v.isspace(): {nothing}",
        f"    else: left &= {whole}(v)",
        *_else(usual),
    ]


def _else(lines: Sequence[str]) -> list[str]:
    return [f"el{lines[0]}", *lines[1:]]


def _of_float(part: Part, names: Names) -> str:
    steps, asked = part.steps(), f"{names.of(part.number_leaves)}(v)"
    if steps is None:
        return asked
    begins, leaves = steps
    return f"{names.of(leaves)}[upto({names.of(begins)}, v)] or {asked}"
