"""Which rows of a long list match: one bit per row, a few steps per field instead of one per row.

What conditions say about known values is worked out once for all rows that look at a field (rules.parts): a value sets
the bits of the rows that it rules out, and of the groups that it makes true. What has no quick form is compared row by
row among the rows that are left (`rest`), or asked of the conditions themselves (`open`). A field that is unknown, or
whose value makes no sense, rules out nothing: its rows are asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from enum import Enum
from functools import reduce
from operator import or_
from sys import intern
from typing import Any, NamedTuple, TypeAlias

from rules.compiled import All, CompiledCondition, CompiledRow
from rules.facts import Facts
from rules.fields import Field
from rules.forms import Form
from rules.look import Look
from rules.marks import mask, places
from rules.parts import Mark, Part
from rules.quick import Member, Names, form_of, made_of, rests
from rules.scanning import USED, Literal, learned, literals, looked_up, units
from rules.straight import Found, Left, Values, straight

#: Most groups of one row ("one of", "none of") that have bits of their own: each makes every number longer by the rows.
MAX_GROUPS = 2

#: From how many rows on that look at a text its words are looked up all at once; fewer search it when all else holds.
TEXT_FROM_ROWS = 100

#: For how many rows it is kept what of them looks at fields that are unknown together.
MAX_LACKING = 50_000


class Lacking(NamedTuple):
    """What must hold together in a row and looks at what nobody knows."""

    left: All
    #: Where all conditions that do look at one field and say the same while it is unknown: one of them, whether there
    #: are more, and words for that, the same for all rows.
    one: CompiledCondition | None = None
    several: bool = False
    words: str = ""
    #: The bits of the groups that they stand in; and whether one stands in no group.
    groups: tuple[int, ...] = ()
    alone: bool = True


#: The bits that what a decision sees sets; what is not usual is said by `Possible.sets`.
Scan: TypeAlias = Callable[[Any, Look], int]


def scan(parts: Sequence[Part]) -> Scan:
    """The first look at all fields as one generated function: what is usual in line, what is not by `Possible.sets`."""
    names = Names()
    parts = [part for part in parts if part.bits]
    sources = {part.field.place[0] for part in parts if part.field.place}
    whole = names.of(parts[0].whole if parts else 0)
    lines = [f"{one} = look.part({one!r})" for one in sorted(sources)]
    lines += ["lookups = look.given.lookups", f"left = {whole}"]
    changes = [part for part in parts if part.form is Form.CHANGE]
    if changes:
        lines += ["changes = look.changes()", "if changes:"]
        for part in changes:
            one = f"possible.sets({names.of(part)}) if {names.of(part.field.state_key)} in changes"
            lines.append(f"    left &= {whole} ^ ({one} else {names.of(part.missing)})")
        lines.append(f"else: left &= {whole} ^ {names.of(reduce(or_, [part.missing for part in changes]))}")
    for part in parts:
        if part.form is Form.CHANGE:
            continue
        one = f"left &= {whole} ^ possible.sets({names.of(part)})"
        # An odd value ends up in some exception, and costs nothing where there is none.
        lines += ["try:", *(f"    {line}" for line in looked_up(part, names, learned, one)), f"except Exception: {one}"]
    lines.append(f"return {whole} ^ left")
    source = "def scan(possible, look):\n" + "".join(f"    {line}\n" for line in lines)
    made: Scan = made_of(source, names, **USED)["scan"]
    return made


class Sorted(NamedTuple):
    """Rows by what they lack. Each number has the bits of rows; those in `seen` were sorted."""

    seen: int = 0
    sure: int = 0  # they lack it, whatever else there is
    odd: int = 0  # only their conditions can say
    inside: int = 0  # they look at it in groups only, so that they match where another member holds
    in_group: tuple[int, ...] = (0,) * MAX_GROUPS  # of these, for each of their groups those that look at it there
    #: By words: the rows, and one of the conditions.
    by_words: Mapping[str, tuple[int, CompiledCondition]] = {}


class LackingRows(dict[int, Lacking]):
    """What rows lack while some fields are unknown together; worked out when first asked for and kept while there is
    room."""

    sorted = Sorted()

    def __init__(self, index: RowIndex, names: Set[str]) -> None:
        super().__init__()
        self._index, self._names = index, names

    def __missing__(self, bit: int) -> Lacking:
        made = self._index.lacks(bit, self._names)
        if self._index.lacking_left > 0:
            self._index.lacking_left -= 1
            self[bit] = made
        return made

    def sort(self, rows: int) -> Sorted:
        """These rows, and those that were asked for before, by what they lack."""
        known = self.sorted
        new = rows & ~known.seen
        if not new:
            return known
        size = self._index.size
        odd, inside, in_group, by_words = known.odd, known.inside, list(known.in_group), dict(known.by_words)
        for bit in places(new):
            _, one, _, words, groups, alone = self[bit]
            if one is None or not one.stays_open:
                odd |= 1 << bit
                continue
            inside |= 0 if alone else 1 << bit
            for group in groups:
                in_group[group // size - 1] |= 1 << bit
            mine, first = by_words.get(words, (0, one))
            by_words[words] = mine | 1 << bit, first
        # All at once: of two threads that do this one is forgotten, and sorts its rows again.
        seen = known.seen | new
        self.sorted = Sorted(seen, seen & ~(odd | inside), odd, inside, tuple(in_group), by_words)
        return self.sorted

    def split(self, rows: int, sets: int, whole: int) -> tuple[int, int, int]:
        """Of these rows the bits of those that match, of those that cannot be decided, and of those that must be asked
        one by one, as those in `whole` must. `sets` are the bits that the known parts set."""
        if not rows & (whole | ~self.sorted.sure):
            return 0, rows, 0
        _, _, odd, inside, in_group, _ = self.sort(rows & ~whole)
        one_by_one = rows & (whole | odd)
        rows ^= one_by_one
        match, begin = rows & inside, self._index.size
        for some in in_group:
            if match & some:
                # Those of which another member holds, and those that do not look at it in this group.
                match ^= match & some & ~(sets >> begin)
            begin += self._index.size
        rows ^= match
        return match, rows, one_by_one


class Taken(Enum):
    """How much of what some conditions say the bits say."""

    WHOLE = "whole"
    IN_PART = "in part"  # bits that are not set are right, the others must be compared


class RowIndex:
    """Built once per revision from the rows of a bucket, in order; None stands for a row that is always possible.

    The lowest bits are the rows that are out; above them, as many again for each group of a row, those that hold."""

    def __init__(self, rows: Sequence[CompiledRow | None]) -> None:
        self.rows = rows
        self.size = len(rows)
        self.all_rows = (1 << len(rows)) - 1
        self._by_field: dict[tuple[str, Form], Part] = {}
        self.parts: list[Part] = []
        self._group_bits: dict[tuple[int, int], int] = {}  # by row and unit
        grouped: list[list[int]] = [[] for _ in range(MAX_GROUPS)]
        in_text: list[set[int]] = [set() for _ in range(MAX_GROUPS)]
        rest: list[tuple[int, list[Member]]] = []
        for at, row in enumerate(rows):
            left: list[Member] = []
            groups = 0
            for number, unit in enumerate([] if row is None else units(row.all, True)):
                some = literals(unit, True)
                if some is None:
                    left.append(unit)
                elif len(some) == 1:
                    left += [] if self._takes(some, False, at, at) else [unit]
                elif groups < MAX_GROUPS and (taken := self._takes(some, True, at, at + (groups + 1) * self.size)):
                    left += [] if taken is Taken.WHOLE else [unit]
                    self._group_bits[at, number] = at + (groups + 1) * self.size
                    grouped[groups].append(at)
                    if any(form_of(one) is Form.TEXT for one, _ in some):
                        in_text[groups].add(at)
                    groups += 1
                else:
                    left.append(unit)
            if left:
                rest.append((at, left))
        #: For each group the rows that have it, and where its bits begin: of groups that look at no text, and of those
        #: that do.
        self.groups = self._groups([[*set(some) - texts] for some, texts in zip(grouped, in_text, strict=True)])
        self.groups_in_text = self._groups([[*texts] for texts in in_text])
        self.rests = rests(rest, self._read, self._keywords)
        self.with_rest = frozenset(self.rests)
        self.compared = mask(sorted(self.rests))
        #: Rows with something that only the conditions themselves can say.
        self.open = mask([at for at, _ in rest if at not in self.rests])
        self.doubtful = self.compared | self.open
        self.whole = {at for at, _ in rest}  # rows that are asked as a whole, if at all
        #: The bits of all rows and of their groups.
        self.all_bits = (1 << self.size * (1 + sum(1 for some in grouped if some))) - 1
        for part in self.parts:
            part.finish(self.all_bits)
        #: Which rows are left on given facts.
        self.straight = straight(self.parts, self.all_bits, self.all_rows, self.groups, self.groups_in_text)
        #: The parts that rules were seen to write to, and the look at all others.
        self.moving: tuple[tuple[Part, ...], Scan] = ((), scan(self.parts))
        self._lacking: dict[frozenset[int], LackingRows] = {}
        self.lacking_left = MAX_LACKING
        self.read_by: dict[str, list[Part]] = {}
        for part in self.parts:
            for state_key in part.field.reads if part.form is not Form.CHANGE else ():
                self.read_by.setdefault(state_key, []).append(part)
        #: The state fields that a row looks at, whichever way.
        self.reads = frozenset(self.read_by).union(*(_reads(rows[at]) for at in places(self.open)))

    def _groups(self, rows: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
        return tuple((mask(some), (at + 1) * self.size) for at, some in enumerate(rows) if some)

    def _part(self, field: Field, form: Form) -> Part:
        part = self._by_field.get((field.key, form))
        if part is None:
            part = self._by_field[field.key, form] = Part(field, form, len(self.parts), max(1, self.size))
            self.parts.append(part)
        return part

    def _takes(self, some: Sequence[Literal], when: bool, row: int, bit: int) -> Taken | None:
        """Take one condition in, its bit set where it does `not` hold, or several, theirs set where one of them does.

        How much of what they say the index knows now; None where it knows nothing of it."""
        marks: list[Mark] = []
        slots: Counter[Part] = Counter()
        looked_at = []
        taken = Taken.WHOLE
        for condition, positive in some:
            form = form_of(condition)
            if form is None or condition.field is None:
                return None
            part = self._part(condition.field, form)
            made = part.mark(condition, when == positive)
            if made is None and when and positive:
                made, taken = part.mark_likely(condition), Taken.IN_PART
            if made is None:
                return None
            slots[part] += made[0]
            if slots[part] > part.keys.free(bit):
                return None
            marks.append(made[1])
            looked_at.append(part)
        for mark_at in marks:
            mark_at(bit)
        for part in looked_at:
            part.look_at(row)
        return taken

    def _read(self, field: Field, form: Form) -> str:
        """How the rest of a row reads a value: by its place, whether or not other rows look at it, too."""
        return f"V[{self._part(field, form).place}]"

    def _keywords(self, field: Field, keywords: Sequence[str]) -> tuple[str, frozenset[str]]:
        """How the rest of a row finds out which of these keywords stand in a text, in which all are looked for."""
        part = self._part(field, Form.TEXT)
        return f"F[{part.place}]", frozenset(map(part.keyword, keywords))

    def moves(self, part: Part) -> None:
        """Rules write to this part: from the next decision on it is looked at by itself, so that it can be again."""
        moving = (*self.moving[0], part)
        # Two threads may do this at the same time: one of the parts is then taken in by a later decision.
        self.moving = moving, scan([one for one in self.parts if one not in moving])

    def split(self, rows: int, left: Left, whole: int) -> tuple[int, int, int]:
        """`LackingRows.split` of what is left, where something is lacking."""
        _, lacking, sets = left
        look = next(iter(lacking.values()), None)
        if look is None or look.odd:
            return 0, 0, rows  # of a value without sense each row says something else
        return self.lacking(frozenset([part.place for part in lacking])).split(rows, sets, whole)

    def lacking(self, unknown: frozenset[int]) -> LackingRows:
        """By row what must hold together in it and looks at one of these parts, by place."""
        known = self._lacking.get(unknown)
        if known is None:
            known = LackingRows(self, {self.parts[place].field.key for place in unknown})
            if self.lacking_left > 0:
                self.lacking_left -= 1
                self._lacking[unknown] = known
        return known

    def lacks(self, bit: int, names: Set[str]) -> Lacking:
        """What must hold together in a row and looks at one of these fields."""
        row = self.rows[bit]
        if row is None:
            return Lacking(All(()))
        left = All(tuple(one for one in row.all.members if not _names(one).isdisjoint(names)))
        asking: list[CompiledCondition] = []
        groups: list[int] = []
        alone = False
        for at, unit in enumerate(units(row.all, True)):
            if _names(unit).isdisjoint(names):
                continue
            some, group = literals(unit, True), self._group_bits.get((bit, at))
            if some is None or (len(some) > 1 and group is None):
                return Lacking(left)
            asked = [(one, positive) for one, positive in some if one.name in names]
            if not all(positive for _, positive in asked):
                return Lacking(left)
            asking += [one for one, _ in asked]
            alone = alone or len(some) == 1
            groups += [group] if group is not None and len(some) > 1 else []
        words = {f"{one.name} {one.operator.looks.value} {one.unknown.value}" for one in asking}
        if len(words) != 1:
            return Lacking(left)
        # One text for all rows that say the same: no look at its letters then.
        return Lacking(left, asking[0], len(asking) > 1, intern(words.pop()), tuple(groups), alone)

    def certain(self, facts: Facts, rows: int, lacking: Mapping[Part, Look]) -> tuple[int, int, int]:
        """Of the rows that are left on these facts those that certainly match, and those that must be asked.

        Last those of the second that must be asked as a whole: of the others all holds that looks at what is known."""
        asked = self.open
        for part in lacking:
            asked |= part.rows
        asked &= rows
        compared, whole = rows & self.compared, asked & self.open
        if compared:
            # Whoever found out that nobody knows a value has read why.
            look = next(iter(lacking.values()), None) or Look(facts, {})
            values, found = Values(self.parts, look), Found(self.parts, look)
            for bit in places(compared):
                try:
                    rows ^= 0 if self.rests[bit](values, found) else 1 << bit
                except Exception:
                    # An odd value, or one that nobody knows: what it means the conditions say.
                    asked |= 1 << bit
                    whole |= 1 << bit
        return rows & ~asked, asked & rows, whole

    def left(self, sets: int) -> int:
        """The rows that are not out, given the bits that the values set."""
        out = sets
        for having, begin in (*self.groups, *self.groups_in_text):
            out |= having & ~(sets >> begin)
        return self.all_rows & ~out


def _reads(row: CompiledRow | None) -> frozenset[str]:
    """The state fields that the row looks at."""
    if row is None:
        return frozenset()
    leaves = [*row.conditions, *(one for group in row.groups for one, _, _ in group.leaves)]
    return frozenset().union(*(one.field.reads for one in leaves if one.field is not None))


def _names(member: Member) -> frozenset[str]:
    """The fields that the member looks at."""
    if isinstance(member, CompiledCondition):
        return frozenset((member.name,))
    inner = member.members if isinstance(member, All) else (member.member,)
    return frozenset().union(*(_names(one) for one in inner))
