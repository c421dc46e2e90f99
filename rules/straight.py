"""The rows that can match facts as they are, all looked for at once by one generated function.

Plain values come first: each is looked up once for the bits that it sets (rules.parts). A text is looked through only
when a row that looks at it is left. What rules stage meanwhile is followed elsewhere (rules.possible).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from rules.facts import Facts
from rules.forms import Form, Unfit
from rules.look import Look
from rules.marks import places
from rules.parts import Part
from rules.quick import Names, made_of
from rules.scanning import USED, looked_up, plain_value
from tickets.item import FieldType

#: The bits of the rows that are not out, and the parts of which nobody knows the value, each with the look that found
#: this: rows that look at these must be asked. Whatever it raises, an odd value is among the facts and nothing is said
#: of any row.
#: Last the bits that were set, for `index.lacking`.
Left: TypeAlias = tuple[int, Mapping[Part, Look], int]
Straight: TypeAlias = Callable[[Facts], Left]


#: Of how many rows it is seen first whether one that looks at a value is left.
FEW_ROWS = 6
#: What looking at a value costs, so that the cheap ones come first.
_COST = {Form.FLAG: 1, Form.NUMBER: 2, Form.CHANGE: 3, Form.SET: 4}
_COST_OTHERWISE = 5

#: For each group of rows those that have it, and where its bits begin.
Groups: TypeAlias = Sequence[tuple[int, int]]


def straight(parts: Sequence[Part], all_rows: int, groups: Groups, groups_in_text: Groups) -> Straight:
    """A function that says which of these rows are left on given facts."""
    names = Names()
    lines: list[str] = []
    for source in sorted({part.field.place[0] for part in parts if part.field.place}):
        lines.append(f"{source} = facts.{source}" + ("" if source in ("item", "event") else " or NONE"))
    lines += ["lookups = facts.lookups", "sets = 0", "lacking = {}"]

    def more(part: Part) -> str:
        return f"sets |= unknown({names.of(part)}, facts, lacking)"

    def guarded(part: Part, lines: Sequence[str]) -> list[str]:
        # Of a few rows none may be left by now; of many one always is.
        if len(places(part.rows)) > FEW_ROWS and part.form is not Form.TEXT:
            return list(lines)
        return [f"if rows & {names.of(part.rows)}:", *(f"    {line}" for line in (*lines, "rows &= ~sets"))]

    looks = sorted((part for part in parts if part.bits), key=lambda part: _COST.get(part.form, _COST_OTHERWISE))
    plain = [part for part in looks if part.form is Form.PLAIN and part.field.place is not None]
    if plain:
        lines.append(f"sets = {' | '.join(plain_value(part, names) for part in plain)}")
    lines.append(f"rows = {names.of(all_rows)} & ~sets")
    texts = [part for part in looks if part.form is Form.TEXT]
    for part in looks:
        if part.form is Form.CHANGE:
            key, missing = names.of(part.field.state_key), names.of(part.missing)
            seen = f"{names.of(part.of_change)}(changes[{key}]) if {key} in changes else {missing}"
            lines += guarded(
                part, ["changes = facts.event.get('changes')", f"sets |= ({seen}) if changes else {missing}"]
            )
        elif part not in plain and part not in texts:
            lines += guarded(part, looked_up(part, names, more(part)))
    either = "either = sets | groups_of(lacking) if lacking else sets"
    lines += [either, f"rows &= ~({' | '.join(['sets', *_fail(groups, names)])})"]
    # Subjects before bodies: the shorter may leave no row that looks at the longer.
    for part in sorted(texts, key=lambda part: part.field.type is not FieldType.TEXT):
        lines += guarded(part, looked_up(part, names, more(part)))
    lines += [either] if groups_in_text else []
    for (having, _), one in zip(groups_in_text, _fail(groups_in_text, names), strict=True):
        lines.append(f"if rows & {names.of(having)}: rows &= ~({one})")
    lines.append("return rows, lacking, sets")
    source = "def match(facts):\n" + "".join(f"    {line}\n" for line in lines)
    made: Straight = made_of(source, names, NONE={}, unknown=_unknown, groups_of=_groups_of, **USED)["match"]
    return made


def _fail(groups: Groups, names: Names) -> list[str]:
    """The rows of which a group does not hold, group by group."""
    return [f"{names.of(having)} & ~(either >> {begin})" for having, begin in groups]


def _unknown(part: Part, facts: Facts, lacking: dict[Part, Look]) -> int:
    """What a value sets that takes more than a look; when nobody knows it, it is lacking, and sets nothing."""
    look = Look(facts, {})
    try:
        return part.sets(part.read(look))
    except Exception:
        lacking[part] = look
        return 0


def _groups_of(lacking: Iterable[Part]) -> int:
    """The groups that may hold by what nobody knows: they rule nothing out."""
    return reduce(or_, [part.groups for part in lacking])


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
