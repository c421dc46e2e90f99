"""The rows that can match facts as they are, all looked for at once by one generated function.

Plain values come first: each is looked up once for the bits that it sets (rules.parts). A text is looked through only
when a row that looks at it is left. What rules stage meanwhile is followed elsewhere (rules.possible).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from rules.facts import Facts
from rules.forms import Form, Unfit
from rules.look import Look
from rules.marks import places
from rules.parts import NOT_KNOWN, Part
from rules.quick import Names, made_of
from rules.scanning import USED, Keeps, known, learned, looked_up, plain_value
from tickets.item import FieldType

#: The bits of the rows that are not out, and the parts of which nobody knows the value, each with the look that found
#: this: rows that look at these must be asked. Whatever it raises, an odd value is among the facts and nothing is said
#: of any row.
#: Last, where there are such parts, the bits that the others set, for `index.lacking`.
Left: TypeAlias = tuple[int, Mapping[Part, Look], int]
Straight: TypeAlias = Callable[[Facts], Left]


#: Of how many rows it is seen first whether one that looks at a value is left.
FEW_ROWS = 6
#: Up to how many rows in all it is seen, too, whether any is left.
FEW_IN_ALL = 30
#: No row is left. One and the same always, so that it is known by what it is.
NOTHING: Left = (0, {}, 0)
#: What looking at a value costs, so that the cheap ones come first.
_COST = {Form.FLAG: 1, Form.NUMBER: 2, Form.CHANGE: 3, Form.SET: 4}
_COST_OTHERWISE = 5

#: For each group of rows those that have it, and where its bits begin.
Groups: TypeAlias = Sequence[tuple[int, int]]


def straight(parts: Sequence[Part], whole: int, all_rows: int, groups: Groups, groups_in_text: Groups) -> Straight:
    """A function that says which of these rows are left on given facts. `whole` are the bits of rows and groups."""
    asked = (parts, whole, all_rows, groups, groups_in_text)
    # What a value leaves is a plain dictionary's to say; for a value that never came before all are learned.
    return _made(*asked, known, _made(*asked, learned))


def _made(
    parts: Sequence[Part],
    whole: int,
    all_rows: int,
    groups: Groups,
    groups_in_text: Groups,
    keeps: Keeps,
    learns: Straight | None = None,
) -> Straight:
    names = Names()
    looks = sorted((part for part in parts if part.bits), key=lambda part: _COST.get(part.form, _COST_OTHERWISE))
    plain = [part for part in looks if part.form is Form.PLAIN and part.field.place is not None]
    texts = [part for part in looks if part.form is Form.TEXT]
    few = all_rows.bit_length() <= FEW_IN_ALL

    def more(part: Part) -> str:
        return f"left &= unknown({names.of(part)}, facts, lacking)"

    def guarded(part: Part, lines: Sequence[str]) -> list[str]:
        # Of a few rows none may be left by now; of many one always is.
        if len(places(part.rows)) > FEW_ROWS and part.form is not Form.TEXT:
            return list(lines)
        some = "some := " if part.searches else ""
        return [f"if {some}left & {names.of(part.rows)}:", *(f"    {line}" for line in lines)]

    sources = Counter(part.field.place[0] for part in looks if part.field.place)
    of_plain = {part.field.place[0] for part in plain if part.field.place}
    at_once = [one for one in sorted(sources) if one == "item" or one in of_plain or sources[one] > 1]

    def read(part: Part) -> list[str]:
        # What only one part looks at is not touched where no row is left that does.
        source = part.field.place[0] if part.field.place else "item"
        first = [] if source in at_once else [_source(source)]
        return guarded(part, [*first, *looked_up(part, names, keeps, more(part), for_good=True)])

    lines: list[str] = []
    if plain:
        lines.append(f"left = {' & '.join(plain_value(part, names, keeps) for part in plain)}")
        lines += [f"if not left & {names.of(all_rows)}: return NOTHING"] if few else []
    else:
        lines.append(f"left = {names.of(whole)}")
    changing = [part for part in looks if part.form is Form.CHANGE]
    for part in looks:
        if part.form is Form.CHANGE:
            if part is changing[0]:
                about = names.of(reduce(or_, [one.rows for one in changing]))
                lines += [f"if left & {about}:", "    changes = facts.event.get('changes') or NONE"]
            key, missing = names.of(part.field.state_key), names.of(whole ^ part.missing)
            seen = f"{names.of(part.change_leaves)}(changes[{key}]) if {key} in changes else {missing}"
            guard = f"if left & {names.of(part.rows)}: " if len(changing) > 1 else ""
            lines.append(f"    {guard}left &= {seen}")
        elif part not in plain and part not in texts:
            lines += read(part)
    # The groups that may hold by what nobody knows, of which none is said not to hold.
    may_hold = "may_hold = groups_of(lacking) if lacking else 0"
    lines += [may_hold, *_fail(groups, names)]
    # Subjects before bodies: the shorter may leave no row that looks at the longer.
    for part in sorted(texts, key=lambda part: part.field.type is not FieldType.TEXT):
        lines += read(part)
    asks_texts = any("unknown(" in line for part in texts for line in looked_up(part, Names(), keeps, more(part)))
    lines += [may_hold] if asks_texts else []
    lines += _fail(groups_in_text, names)
    lines.append(f"rows = left & {names.of(all_rows)}")
    begin = [_source(source) for source in at_once]
    if any("unknown(" in line for line in lines):
        begin.append("lacking = {}")
        lines.append(f"return (rows, lacking, {names.of(whole)} ^ left if lacking else 0) if rows else NOTHING")
    else:
        lines = [line.replace(_OPEN, "left") for line in lines if line != may_hold]
        lines.append("return (rows, NONE, 0) if rows else NOTHING")
    if any("lookups." in line for line in lines):
        begin.append("lookups = facts.lookups")
    body = "".join(f"    {line}\n" for line in (*begin, *lines))
    source = f"def match(facts):\n{body}"
    if learns is not None:
        body = "".join(f"        {line}\n" for line in (*begin, *lines))
        source = f"def match(facts):\n    try:\n{body}    except KeyError: return learns(facts)\n"
    made: Straight = made_of(
        source, names, NONE={}, NOTHING=NOTHING, unknown=_unknown, groups_of=_groups_of, learns=learns, **USED
    )["match"]
    return made


def _source(source: str) -> str:
    return f"{source} = facts.{source}" + ("" if source in ("item", "event") else " or NONE")


#: The groups that do not hold for certain.
_OPEN = "(left & ~may_hold if may_hold else left)"


def _fail(groups: Groups, names: Names) -> list[str]:
    """The rows of which a group does not hold are not left, group by group."""
    lines = []
    for having, begin in groups:
        some = names.of(having)
        guard = f"if left & {some}: " if len(places(having)) <= FEW_ROWS else ""
        lines.append(f"{guard}left ^= left & {some} & {_OPEN} >> {begin}")
    return lines


def _unknown(part: Part, facts: Facts, lacking: dict[Part, Look]) -> int:
    """What a value leaves that takes more than a look; when nobody knows it, it is lacking, and leaves all."""
    look = next(iter(lacking.values()), None) or Look(facts, {})
    try:
        value = part.value(look)
        if value is not NOT_KNOWN:
            return part.whole ^ part.sets(value)
    except Exception:
        # What is wrong with it each condition says for itself.
        look.odd = True
    lacking[part] = look
    return part.whole


def _groups_of(lacking: Iterable[Part]) -> int:
    """The groups that may hold by what nobody knows: they rule nothing out."""
    may_hold = 0
    for part in lacking:
        may_hold |= part.groups
    return may_hold


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
