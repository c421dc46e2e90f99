"""The rows of a short list, all tables together, as one generated function on facts as they are.

Fields are looked up first, each value once, for the bits of the rows that it rules out (rules.parts). What else a row
asks is compared in the code itself, in the rows that are left, with texts last. Once something is staged, the tables
that read it are decided one by one (rules.quick).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from rules.compiled import CompiledRow
from rules.facts import Facts
from rules.fields import Field
from rules.forms import FORMS, Form, Unfit
from rules.marks import mask
from rules.parts import Part
from rules.quick import Member, Names, form_of, made_of, said
from rules.scanning import USED, literals, marks_of, reading, units

#: The bits of rows that certainly match, and of those that must be asked. Whatever it raises, all must be asked.
Few: TypeAlias = Callable[[Facts], tuple[int, int]]

#: In which forms values are looked up. What looks at a text or a change is compared in the rows that are left.
_LOOKED_UP = frozenset({Form.PLAIN, Form.FLAG, Form.NUMBER, Form.SET})
#: Bits of a number on which Python works at once.
CHUNK = 30


class _Values:
    """The values that rows compare, each made where the first of them asks for it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.known: dict[tuple[str, Form], tuple[str, str]] = {}  # local name, expression
        self.sources: set[str] = set()

    def read(self, field: Field, form: Form) -> str:
        """How a comparison reads it. Raises `Unfit` where that takes more than a look."""
        if field.place is None:
            raise Unfit
        if form is Form.CHANGE:
            self.sources.add("event")
            return f"(event.get('changes') or NONE).get({self.names.of(field.state_key)})"
        if (field.key, form) not in self.known:
            name, (source, key) = f"v{len(self.known)}", field.place
            self.sources.add(source)
            made = f"{self.names.of(FORMS[form])}({source}.get({self.names.of(key)}))"
            self.known[field.key, form] = name, f"({name} if {name} is not None else ({name} := {made}))"
        return self.known[field.key, form][1]


def few_rows(rows: Sequence[CompiledRow]) -> Few:
    """A function that says which of these rows match, in bits by their place."""
    names = Names()
    values = _Values(names)
    parts: dict[tuple[str, Form], Part] = {}
    chunks: list[list[str]] = [[] for _ in range(0, len(rows), CHUNK)]
    sure: list[int] = []
    for at, row in enumerate(rows):
        left = [one for one in units(row.all, True) if not _taken(one, at, parts, len(rows))]
        quick = [said(one, values.read, names) for one in left]
        there = sorted((one for one in quick if one is not None), key=lambda one: one[1])
        if not left:
            sure.append(at)
            continue
        found = "sure" if len(there) == len(left) else "asked"
        test = "".join(f" and {one[0]}" for one in there)
        chunks[at // CHUNK].append(f"if left & {1 << at % CHUNK}{test}: {found} |= {names.of(1 << at)}")
    body = ["sets = 0"]
    for part in parts.values():
        part.finish()
        assert part.field.place is not None
        values.sources.add(part.field.place[0])
        body += [*(reading(part, names) or ()), *(marks_of(part, names) or ())]
    body += [f"rows = {names.of((1 << len(rows)) - 1)} & ~sets", f"sure = rows & {names.of(mask(sure))}", "asked = 0"]
    for at, lines in enumerate(chunks):
        if lines:
            body += [
                f"left = rows >> {at * CHUNK} & {(1 << CHUNK) - 1}",
                "if left:",
                *(f"    {line}" for line in lines),
            ]
    late = "".join(f"{name} = " for name, _ in values.known.values())
    head = [f"{source} = facts.{source} or NONE" for source in sorted(values.sources)]
    lines = [*head, *([f"{late}None"] if late else []), *body, "return sure, asked"]
    source = "def match(facts):\n" + "".join(f"    {line}\n" for line in lines)
    made: Few = made_of(source, names, NONE={}, **USED)["match"]
    return made


def _taken(unit: Member, at: int, parts: dict[tuple[str, Form], Part], width: int) -> bool:
    """Whether looking a value up says of this row all that the unit says: its bit is set where it does not hold."""
    some = literals(unit, True)
    if some is None or len(some) != 1:
        return False
    [(condition, positive)] = some
    form, field = form_of(condition), condition.field
    if form not in _LOOKED_UP or field is None or field.place is None:
        return False
    part = parts.get((field.key, form)) or Part(field, form, 0, max(1, width))
    made = part.mark(condition, not positive)
    if made is None or made[0] > part.keys.free(at):
        return False
    parts[field.key, form] = part
    made[1](at)
    return True
