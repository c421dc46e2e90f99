"""Which rows of a long list match: one bit per row, a few steps per field instead of one per row.

What conditions say about known values is worked out once for all rows that look at a field (rules.parts): a value sets
the bits of the rows that it rules out, and of the groups that it makes true. What has no quick form is compared row by
row among the rows that are left (`rest`), or asked of the conditions themselves (`open`). A field that is unknown, or
whose value makes no sense, rules out nothing: its rows are asked.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from rules.compiled import All, CompiledCondition, CompiledRow
from rules.fields import Field
from rules.forms import Form, Unfit
from rules.look import Look
from rules.marks import mask, places
from rules.parts import Mark, Part
from rules.quick import Member, Names, form_of, made_of, rests
from rules.scanning import USED, Literal, literals, marks_of, reading, units
from rules.truth import Open, RowTruth

#: Most groups of one row ("one of", "none of") that have bits of their own: each makes every number longer by the rows.
MAX_GROUPS = 2

#: From how many rows on that look at a text its words are looked up all at once; fewer search it when all else holds.
TEXT_FROM_ROWS = 100

#: For how many rows it is kept what of them looks at fields that are unknown together.
MAX_LACKING = 50_000

#: What a row lacks; and where that is one condition, what it has in common with others that lack the same, else "".
Lacking: TypeAlias = tuple[All, str]


class RowIndex:
    """Built once per revision from the rows of a bucket, in order; None stands for a row that is always possible.

    The lowest bits are the rows that are out; above them, as many again for each group of a row, those that hold."""

    def __init__(self, rows: Sequence[CompiledRow | None]) -> None:
        self.rows = rows
        self.size = len(rows)
        self.all_rows = (1 << len(rows)) - 1
        self._by_field: dict[tuple[str, Form], Part] = {}
        self.parts: list[Part] = []
        looks = Counter(field for row in rows if row is not None for field in _texts(row.all))
        self._searched = {field for field, count in looks.items() if count >= TEXT_FROM_ROWS}
        grouped: list[list[int]] = [[] for _ in range(MAX_GROUPS)]
        rest: list[tuple[int, list[Member]]] = []
        for at, row in enumerate(rows):
            left: list[Member] = []
            groups = 0
            for unit in [] if row is None else units(row.all, True):
                some = literals(unit, True)
                if some is None:
                    left.append(unit)
                elif len(some) == 1:
                    left += [] if self._takes(some, False, at, at) else [unit]
                elif groups < MAX_GROUPS and self._takes(some, True, at, at + (groups + 1) * self.size):
                    grouped[groups].append(at)
                    groups += 1
                else:
                    left.append(unit)
            if left:
                rest.append((at, left))
        #: For each group the rows that have it, and where its bits begin.
        self.groups = tuple((mask(some), (at + 1) * self.size) for at, some in enumerate(grouped) if some)
        self.rests = rests(rest, self._read, self._keywords)
        self.with_rest = frozenset(self.rests)
        #: Rows with something that only the conditions themselves can say.
        self.open = mask([at for at, _ in rest if at not in self.rests])
        self.whole = {at for at, _ in rest}  # rows that are asked as a whole, if at all
        for part in self.parts:
            part.finish()
        #: The parts that rules were seen to write to, and the look at all others. Every decision begins with these.
        self.moving: tuple[tuple[Part, ...], _Scan] = ((), _scan(self.parts))
        self._lacking: dict[tuple[int, frozenset[int]], Lacking] = {}
        self.read_by: dict[str, list[Part]] = {}
        for part in self.parts:
            for state_key in part.field.reads if part.form is not Form.CHANGE else ():
                self.read_by.setdefault(state_key, []).append(part)

    def _part(self, field: Field, form: Form) -> Part:
        part = self._by_field.get((field.key, form))
        if part is None:
            part = self._by_field[field.key, form] = Part(field, form, len(self.parts), max(1, self.size))
            self.parts.append(part)
        return part

    def _takes(self, some: Sequence[Literal], when: bool, row: int, bit: int) -> bool:
        """Take one condition in, its bit set where it does `not` hold, or several, theirs set where one of them does.

        Whether the index knows now all that they say; it knows all of them or none."""
        marks: list[Mark] = []
        slots: Counter[Part] = Counter()
        looked_at = []
        for condition, positive in some:
            form = form_of(condition)
            if form is None or condition.field is None:
                return False
            if form is Form.TEXT and condition.field.key not in self._searched:
                return False
            part = self._part(condition.field, form)
            made = part.mark(condition, when == positive)
            if made is None:
                return False
            slots[part] += made[0]
            if slots[part] > part.keys.free(bit):
                return False
            marks.append(made[1])
            looked_at.append(part)
        for mark_at in marks:
            mark_at(bit)
        for part in looked_at:
            part.look_at(row)
        return True

    def _read(self, field: Field, form: Form) -> str:
        """How the rest of a row reads a value: by its place, whether or not other rows look at it, too."""
        part = self._part(field, form)
        if form is Form.SET or (form in (Form.TEXT, Form.WORDS) and field.key not in self._searched):
            part.late = True
            return f"(V[{part.place}] if V[{part.place}] is not None else late({part.place}))"
        part.kept = True
        return f"V[{part.place}]"

    def _keywords(self, field: Field, keywords: Sequence[str]) -> tuple[str, frozenset[Hashable]] | None:
        """How the rest of a row finds out which of these keywords stand in a text where all are looked for at once."""
        if field.key not in self._searched:
            return None
        part = self._part(field, Form.TEXT)
        return f"F[{part.place}]", frozenset(part.asks(one) for one in keywords)

    def moves(self, part: Part) -> None:
        """Rules write to this part: from the next decision on it is looked at by itself, so that it can be again."""
        moving = (*self.moving[0], part)
        # Two threads may do this at the same time: one of the parts is then taken in by a later decision.
        self.moving = moving, _scan([one for one in self.parts if one not in moving])

    def lacking(self, bit: int, unknown: frozenset[int]) -> Lacking:
        """What must hold together in a row and looks at one of these parts, by place."""
        known = self._lacking.get((bit, unknown))
        if known is None:
            names = {self.parts[place].field.key for place in unknown}
            row = self.rows[bit]
            members = () if row is None else row.all.members
            left = tuple(one for one in members if not _names(one).isdisjoint(names))
            known = All(left), _lack(left[0]) if len(left) == 1 else ""
            if len(self._lacking) < MAX_LACKING:
                self._lacking[bit, unknown] = known
        return known

    def left(self, sets: int) -> int:
        """The rows that are not out, given the bits that the values set."""
        out = sets
        for having, begin in self.groups:
            out |= having & ~(sets >> begin)
        return self.all_rows & ~out


def _lack(member: Member) -> str:
    """The same for all conditions that say the same while their field is unknown; "" for a group."""
    if not isinstance(member, CompiledCondition):
        return ""
    return f"{member.name} {member.operator.looks.value} {member.unknown.value}"


def _texts(member: Member) -> frozenset[str]:
    """The texts that the member looks at."""
    if isinstance(member, CompiledCondition):
        return frozenset((member.name,)) if form_of(member) is Form.TEXT else frozenset()
    inner = member.members if isinstance(member, All) else (member.member,)
    return frozenset().union(*(_texts(one) for one in inner))


def _names(member: Member) -> frozenset[str]:
    """The fields that the member looks at."""
    if isinstance(member, CompiledCondition):
        return frozenset((member.name,))
    inner = member.members if isinstance(member, All) else (member.member,)
    return frozenset().union(*(_names(one) for one in inner))


#: The bits that these facts set; notes the values that the rest of rows looks at.
_Scan: TypeAlias = Callable[["Possible", Look], int]


def _scan(parts: Sequence[Part]) -> _Scan:
    """The first look at all fields as one generated function: what is usual in line, what is not by `Possible.sets`."""
    names = Names()
    parts = [part for part in parts if part.scanned]
    sources = {part.field.place[0] for part in parts if part.field.place}
    lines = [f"{one} = look.part({one!r})" for one in sorted(sources)]
    lines += ["V, F = possible.values, possible.found", "lookups = look.given.lookups", "sets = 0"]
    changes = [part for part in parts if part.form is Form.CHANGE]
    if changes:
        lines += ["changes = look.changes()", "if changes:"]
        for part in changes:
            one = f"possible.sets({names.of(part)}) if {names.of(part.field.state_key)} in changes"
            lines.append(f"    sets |= {one} else {names.of(part.missing)}")
        lines.append(f"else: sets |= {names.of(reduce(or_, [part.missing for part in changes]))}")
    for part in parts:
        if part.form is Form.CHANGE:
            continue
        name = names.of(part)
        read, marks = reading(part, names), marks_of(part, names)
        if read is None or marks is None:
            lines.append(f"sets |= possible.sets({name})")
            continue
        # An odd value ends up in some exception, and costs nothing where there is none.
        lines += ["try:", *(f"    {line}" for line in (*read, *marks))]
        lines.append(f"except Exception: sets |= possible.sets({name})")
    lines.append("return sets")
    source = "def scan(possible, look):\n" + "".join(f"    {line}\n" for line in lines)
    made: _Scan = made_of(source, names, **USED)["scan"]
    return made


class _Odd:
    """Stands for a value of which nobody can say anything: whatever is done with it raises `Unfit`."""

    def _unfit(self, *_: object) -> Any:
        raise Unfit

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __iter__ = __bool__ = __getattr__ = _unfit
    __hash__ = _unfit


_ODD = _Odd()


class Possible:
    """The rows that can match during one decision, in order; follows what rules stage.

    `bits` are their places. Of these, `open` must be asked; those with a rest must have it compared on `values`; all
    others match."""

    def __init__(self, index: RowIndex, look: Look) -> None:
        self.index, self._look = index, look
        self.values: list[Any] = [None] * len(index.parts)
        self.found: list[Any] = [()] * len(index.parts)  # words and keywords by text
        self._unknown: dict[int, Part] = {}  # by place
        self._lacking: dict[tuple[str, bool], Open] = {}
        self.dirty: set[Part] = set()  # what `refresh` has to look at again
        moving, scan = index.moving
        self._others = scan(self, look)  # what the parts set that nobody writes to
        self._sets = {part: self.sets(part) for part in moving}  # and each of the others
        self._base: int | None = None  # the rows left by `_others` and those of the others that groups look at
        self._rows = self._left() if moving else index.left(self._others)
        self.bits = places(self._rows)
        self.open = self._open()

    def sets(self, part: Part) -> int:
        """The bits that the value of this part sets."""
        try:
            sets = part.sets(part.read(self._look), self.found, self.values)
        except Exception:
            # Unknown, or an odd value: what it means the conditions say. Nothing is out and every group may be true.
            self.values[part.place] = self.found[part.place] = _ODD
            self._unknown[part.place] = part
            return part.bits & ~self.index.all_rows
        if self._unknown:
            self._unknown.pop(part.place, None)
        return sets

    def late(self, place: int) -> Any:
        """The value of a part that is only looked at when a row needs it. Raises what its reading raises."""
        part = self.index.parts[place]
        value = self.values[place] = part.as_compared(part.read(self._look))
        return value

    def _open(self) -> frozenset[int]:
        self._lacked = frozenset(self._unknown)
        rows = self.index.open
        for part in self._unknown.values():
            rows |= part.rows
        rows &= self._rows
        return frozenset(places(rows)) if rows else _NO_BITS

    def truth(self, bit: int) -> RowTruth:
        """What the conditions of a row say; of a row in `bits`, or one that does not match."""
        row = self.index.rows[bit]
        if row is None:
            return True
        if bit not in self.open or (bit in self.index.whole and bit not in self.index.rests):
            return row.truth(self._look)
        if bit in self.index.rests:
            matches = self._rest(bit)
            if not matches:
                return row.truth(self._look) if matches is None else False
        # All that looks at other fields holds: the bits and the rest have said so.
        left, lack = self.index.lacking(bit, self._lacked)
        if not lack:
            return left.truth(self._look)
        # Most rows are left for this one reason, and one answer does for all that lack the same.
        lacking = lack, self._look.may_wait
        known = self._lacking.get(lacking)
        if known is None:
            [condition] = left.members
            assert isinstance(condition, CompiledCondition)
            answer = condition.ask(self._look)
            if isinstance(answer, bool):
                return answer
            known = Open.leaf(answer)
            if not known.failed:  # an error is the condition's own
                self._lacking[lacking] = known
        return known

    def doubtful(self, bits: Sequence[int]) -> frozenset[int]:
        """Those of these rows of which their bit alone does not say that they match."""
        rests = self.index.with_rest.intersection(bits) if self.index.rests else _NO_BITS
        return rests | self.open.intersection(bits) if self.open else rests

    def matches(self, bit: int) -> bool | None:
        """Whether the row certainly matches; None when its conditions must be asked. Only of rows in `bits`."""
        return None if bit in self.open else self._rest(bit)

    def _rest(self, bit: int) -> bool | None:
        rest = self.index.rests.get(bit)
        try:
            return rest is None or rest(self.values, self.found, self.late)
        except Exception:
            return None  # an odd value: what it means the conditions say

    def wrote(self, name: str) -> None:
        """A rule wrote this state field: what rows read of it is not what it was."""
        for part in self.index.read_by.get(name, ()):
            if part.late:
                self.values[part.place] = None
            if part.scanned:
                self.dirty.add(part)

    def _left(self) -> int:
        """The rows that are not out. Written parts that no group looks at rule out what the others have left."""
        if self._base is None:
            sets, all_rows = self._others, self.index.all_rows
            for part, some in self._sets.items():
                sets |= some if part.bits > all_rows else 0
            self._base = self.index.left(sets)
        rows = self._base
        for part, some in self._sets.items():
            if part.bits <= self.index.all_rows:
                rows &= ~some
        return rows

    def refresh(self, after: int) -> None:
        """Look again at what was written, for the rows from bit `after` on."""
        for part in self.dirty - self._sets.keys():
            self.index.moves(part)
            # This decision has looked at it together with the others, once: all of them again, by themselves.
            self._others, self._base = 0, None
            self._sets = {one: self.sets(one) for one in self.index.parts if one.scanned}
        for part in self.dirty:
            sets = self.sets(part)
            if sets != self._sets[part]:
                self._sets[part] = sets
                if part.bits > self.index.all_rows:
                    self._base = None
        self.dirty = set()
        self._lacking.clear()
        rows = self._left()
        new, self._rows = (rows ^ self._rows) >> after, rows
        for place in places(new):
            bit = after + place
            if rows >> bit & 1:
                insort(self.bits, bit)
            else:
                self.bits.remove(bit)
        if self.open or self._unknown or self.index.open:
            self.open = self._open()


_NO_BITS: frozenset[int] = frozenset()
