"""The rows of a long list that can match during one decision: follows what rules stage (rules.index)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from rules.compiled import CompiledCondition
from rules.facts import Facts
from rules.index import RowIndex
from rules.look import Look
from rules.marks import places
from rules.parts import Part
from rules.straight import Found, Left, Values
from rules.truth import Open, RowTruth

_NO_BITS: frozenset[int] = frozenset()


class Lacked:
    """What rows say of which all holds that looks at other fields than the unknown ones (by the place of their part).

    Those in `whole` are asked as they are. `sets` are the bits that the known parts set, as long as nothing was staged;
    once something was, this is asked no more, until what was staged is looked at again."""

    __slots__ = ("_index", "_known", "_look", "_rows", "_sets", "_whole")

    def __init__(self, index: RowIndex, look: Look, unknown: frozenset[int], sets: int | None, whole: int = 0) -> None:
        self._index, self._look, self._sets, self._whole = index, look, sets, whole
        self._rows = index.lacking(unknown)
        self._known: tuple[dict[str, Open], dict[str, Open]] = {}, {}  # the second while answers may be waited for

    @classmethod
    def of(cls, index: RowIndex, facts: Facts, left: Left, whole: int = 0) -> Lacked:
        """What they say before anything is staged. `left` is what `index.straight` said of these facts."""
        _, lacking, sets = left
        # Whoever found out that nobody knows has read why.
        look = next(iter(lacking.values()), None) or Look(facts, {})
        return cls(index, look, frozenset([part.place for part in lacking]), sets, whole)

    def why(self, condition: CompiledCondition) -> Open:
        """What a condition says that cannot be decided."""
        answer = condition.ask(self._look)
        assert not isinstance(answer, bool)
        return Open.leaf(answer)

    def truth(self, bit: int) -> RowTruth:
        """What the conditions of this row say."""
        if self._whole and self._whole >> bit & 1:
            row = self._index.rows[bit]
            return True if row is None else row.truth(self._look)
        left, one, several, words, groups, alone = self._rows[bit]
        look, sets = self._look, self._sets
        if one is None or (groups and sets is None):
            return left.truth(look)
        if sets is not None and not alone and all(sets >> group & 1 for group in groups):
            return True  # each by a member that everybody knows
        # Most rows are left for this one reason, and one answer does for all that lack the same.
        known = self._known[look.may_wait].get(words)
        if known is None:
            answer = one.ask(look)
            if several and (isinstance(answer, bool) or answer.failed):
                return left.truth(look)  # an odd value, of which each says something else
            if isinstance(answer, bool):
                return answer
            known = Open.leaf(answer)
            if not known.failed:  # an error is the condition's own
                self._known[look.may_wait][words] = known
        return known

    def reasons(self, rows: int) -> list[tuple[int, Open]]:
        """Of these rows, which lack something for certain, the bits of those that lack the same, with what that is."""
        by_words = self._rows.sort(rows).by_words.values()
        return [(rows & some, self.why(one)) for some, one in by_words if rows & some]


class Possible:
    """The rows that can match during one decision, in order; follows what rules stage.

    `bits` are their places. Of these, `open` must be asked; those with a rest must have it compared on `values`; all
    others match."""

    def __init__(self, index: RowIndex, look: Look, left: Left | None = None) -> None:
        """`left` is what `index.straight` said of the same facts, where it was asked."""
        self.index, self._look = index, look
        self._values, self._found = Values(index.parts, look), Found(index.parts, look)
        self._unknown: dict[int, Part] = {}  # by place
        self.dirty: set[Part] = set()  # what `refresh` has to look at again
        self._base: int | None = None  # the rows left by `_others` and those of the others that groups look at
        self._others = 0  # what the parts set that nobody writes to
        self._sets: dict[Part, int] = {}  # and each of the others
        #: What all of them set, as long as they were looked at together and nothing was staged.
        self._found_sets: int | None = None
        if left is None:
            self._look_at_all()
            self._rows = self._left()
        else:
            self._rows, lacking, self._found_sets = left
            self._unknown = {part.place: part for part in lacking}
        self.bits = places(self._rows)
        self.open = self._open()

    def _look_at_all(self) -> None:
        moving, scan = self.index.moving
        self._others = scan(self, self._look)
        self._sets = {part: self.sets(part) for part in moving}

    def sets(self, part: Part) -> int:
        """The bits that the value of this part sets."""
        try:
            sets = part.sets(part.read(self._look))
        except Exception:
            # Unknown, or an odd value: what it means the conditions say. Nothing is out and every group may be true.
            self._unknown[part.place] = part
            return part.groups
        if self._unknown:
            self._unknown.pop(part.place, None)
        return sets

    def _open(self) -> frozenset[int]:
        # What they say changes with what was looked at; nobody else asks for it.
        self._lacked = Lacked(self.index, self._look, frozenset(self._unknown), self._found_sets)
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
        return self._lacked.truth(bit)

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
            return rest is None or rest(self._values, self._found)
        except Exception:
            return None  # an odd value: what it means the conditions say

    def wrote(self, name: str) -> None:
        """A rule wrote this state field: what rows read of it is not what it was."""
        for part in self.index.read_by.get(name, ()):
            self._values.pop(part.place, None)
            self._found.pop(part.place, None)
            if part.bits:
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
        if self._found_sets is not None:
            self._found_sets = None
            self._look_at_all()
        for part in self.dirty - self._sets.keys():
            self.index.moves(part)
            # This decision has looked at it together with the others, once: all of them again, by themselves.
            self._others, self._base = 0, None
            self._sets = {one: self.sets(one) for one in self.index.parts if one.bits}
        for part in self.dirty:
            sets = self.sets(part)
            if sets != self._sets[part]:
                self._sets[part] = sets
                if part.bits > self.index.all_rows:
                    self._base = None
        self.dirty = set()
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
