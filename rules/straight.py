"""The rows that can match facts as they are, all looked for at once by one generated function.

Plain values come first: each is looked up once for the bits that it sets (rules.parts). A text is looked through only
when a row that looks at it is left. What rules stage meanwhile is followed elsewhere (rules.possible).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from rules.facts import Facts
from rules.forms import Form, Unfit
from rules.look import Look
from rules.parts import Part
from rules.quick import Names, made_of
from rules.scanning import USED, looked_up
from tickets.item import FieldType

#: The bits of the rows that are not out, and the parts of which nobody knows the value: rows that look at these must be
#: asked. Whatever it raises, an odd value is among the facts and nothing is said of any row.
Left: TypeAlias = tuple[int, list[Part]]
Straight: TypeAlias = Callable[[Facts], Left]


#: For each group of rows those that have it, and where its bits begin.
Groups: TypeAlias = Sequence[tuple[int, int]]


def straight(parts: Sequence[Part], all_rows: int, groups: Groups, groups_in_text: Groups) -> Straight:
    """A function that says which of these rows are left on given facts."""
    names = Names()
    lines: list[str] = []
    for source in sorted({part.field.place[0] for part in parts if part.field.place}):
        lines.append(f"{source} = facts.{source}" + ("" if source in ("item", "event") else " or NONE"))
    lines += ["lookups = facts.lookups", "sets = 0", "lacking = []"]

    def more(part: Part) -> str:
        return f"sets |= unknown({names.of(part)}, facts, lacking)"

    texts = [part for part in parts if part.form is Form.TEXT and part.bits]
    changes = [part for part in parts if part.form is Form.CHANGE and part.bits]
    if changes:
        lines += ["changes = facts.event.get('changes')", "if changes:"]
        for part in changes:
            one = f"{names.of(part.of_change)}(changes[{names.of(part.field.state_key)}])"
            lines.append(f"    if {names.of(part.field.state_key)} in changes: sets |= {one}")
            lines += [f"    else: sets |= {names.of(part.missing)}"] if part.missing else []
        lines.append(f"else: sets |= {names.of(reduce(or_, [part.missing for part in changes]))}")
    for part in parts:
        if part.bits and part not in texts and part not in changes:
            lines += looked_up(part, names, more(part))
    lines.append(f"rows = {names.of(all_rows)} & ~({' | '.join(['sets', *_fail(groups, names)])})")
    # Subjects before bodies: the shorter may leave no row that looks at the longer.
    for part in sorted(texts, key=lambda part: part.field.type is not FieldType.TEXT):
        lines += [f"if rows & {names.of(part.rows)}:", *(f"    {line}" for line in looked_up(part, names, more(part)))]
        lines.append("    rows &= ~sets")
    lines += [f"rows &= ~({one})" for one in _fail(groups_in_text, names)]
    lines.append("return rows, lacking")
    source = "def match(facts):\n" + "".join(f"    {line}\n" for line in lines)
    made: Straight = made_of(source, names, NONE={}, unknown=_unknown, **USED)["match"]
    return made


def _fail(groups: Groups, names: Names) -> list[str]:
    """The rows of which a group does not hold, group by group."""
    return [f"{names.of(having)} & ~(sets >> {begin})" for having, begin in groups]


def _unknown(part: Part, facts: Facts, lacking: list[Part]) -> int:
    """What a value sets that takes more than a look; when nobody knows it, it is lacking, and rules nothing out."""
    try:
        return part.sets(part.read(Look(facts, {})))
    except Exception:
        lacking.append(part)
        return part.groups


class Values(dict[int, Any]):
    """The values that the rest of rows looks at, by the place of their part, each read when first asked for."""

    def __init__(self, parts: Sequence[Part], look: Look) -> None:
        super().__init__()
        self._parts, self._look = parts, look

    def __missing__(self, place: int) -> Any:
        """Raises what reading it raises."""
        part = self._parts[place]
        value = self[place] = part.as_compared(part.read(self._look))
        return value


class Found(dict[int, frozenset[str]]):
    """The same for the keywords that stand in texts."""

    def __init__(self, parts: Sequence[Part], look: Look) -> None:
        super().__init__()
        self._parts, self._look = parts, look

    def __missing__(self, place: int) -> frozenset[str]:
        part = self._parts[place]
        value = part.read(self._look)
        if value is not None and value.__class__ is not str:
            raise Unfit
        found = self[place] = part.keywords_in(value or "")
        return found
