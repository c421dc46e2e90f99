"""What a row asks of which field, taken apart; and the generated code that looks a field's value up in its part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, Not
from rules.fields import dig
from rules.forms import Form, Unfit
from rules.parts import Part
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


def plain_value(part: Part, names: Names) -> str:
    """What the value of a field sets that is a choice and stands where one look finds it. Raises for an odd one."""
    assert part.field.place is not None
    source, key = part.field.place
    return f"{names.of(part.by_value)}[{source}.get({names.of(key)})]"


def looked_up(part: Part, names: Names, otherwise: str) -> list[str]:
    """How the value of a part sets its bits. Raises something for an odd value.

    `otherwise` is what is done where it takes more than a look: a lookup that is not known, a form of its own."""
    marks = _marks(part, names)
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
    known = ["v = v['data']", f"v = {value}", *marks]
    return [
        f"v = lookups.get({names.of(lookup)})",
        "if v is not None and v['state'] == 'known':",
        *(f"    {line}" for line in known),
        f"else: {otherwise}",
    ]


def _marks(part: Part, names: Names) -> list[str] | None:
    """What the value `v` of a usual sort sets; None where it has to be brought into another form first."""
    missing = names.of(part.missing)
    by_value = names.of(part.by_value)
    match part.form:
        case Form.PLAIN:
            return [f"sets |= {by_value}[v]"]
        case Form.FLAG:
            # 1 is True to a dictionary, and is neither yes nor no.
            return [
                "if v is not True and v is not False and v is not None: raise Unfit",
                f"sets |= {by_value}[v]",
            ]
        case Form.NUMBER:
            # True is 1 to a dictionary, and is no number; of numbers with a fraction there are too many to keep.
            lines = [f"if v.__class__ is int or v is None: sets |= {by_value}[v]"]
            usual = "elif v.__class__ is float and 1e-9 < v < 1e14"
            lines.append(f"{usual}: sets |= {_by_order(part, names)}")
            lines.append(f"elif v.__class__ is float: sets |= {names.of(part.of_number)}(v)")
            return [*lines, "else: raise Unfit"]
        case Form.TEXT:
            return [
                f"if v.__class__ is str or v is None: sets |= {names.of(part.of_text)}(v or '')",
                "else: raise Unfit",
            ]
        case Form.SET:
            return [
                f"if v is None: sets |= {missing}",
                "elif v.__class__ is not list and v.__class__ is not tuple: raise Unfit",
                f"elif len(v) == 1: sets |= {by_value}[v[0]]",
                "elif v:",
                "    brought = 0",
                f"    for one in v: brought |= {names.of(part.brought)}[one]",
                f"    sets |= {names.of(part.put_together)}(brought)",
                f"else: sets |= {missing}",
            ]
    return None


def _by_order(part: Part, names: Names) -> str:
    """What a number of the usual size sets, of which `rules.forms.number` says that it is as good as it is."""
    limits, table = names.of(part.order.limits), part.keys.table
    of_keys = f"{names.of(part.keys.of)}(v)"
    if table is not None:
        of_keys = (
            f"{names.of(table.get)}(v, {names.of(part.keys.otherwise)})" if table else names.of(part.keys.otherwise)
        )
    if not part.order.limits:
        return of_keys
    # Twice the limits up to it, but a limit itself is one side of its own cell: as `ByOrder.of`, with one search.
    by_limit = f"{names.of(part.order.cells)}[2 * upto({limits}, v) - (v in {names.of(frozenset(part.order.limits))})]"
    return f"{by_limit} | {of_keys}" if table is None or table or part.keys.otherwise else by_limit
