"""Which bits a value sets: worked out once for all conditions on a field, so that one look at a value answers for all.

A mark says that a bit is set for some values and not for others. What a bit stands for is the caller's business
(rules.index). Bits are collected as places and become whole numbers when no more come.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

#: Most marks of one bit that are set when none of some keys is there. Each such slot costs a step for every value.
MAX_SLOTS = 8
#: Most limits of one ordered field that are known.
MAX_LIMITS = 512
#: Most bytes that the answers for single keys may take all together; beyond it they are put together for each value.
MAX_TABLE_BYTES = 16 << 20


def mask(places: Sequence[int]) -> int:
    """The number with these bits set."""
    if not places:
        return 0
    if len(places) == 1:
        return 1 << places[0]
    data = bytearray((max(places) >> 3) + 1)
    for place in places:
        data[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(data, "little")


def places(rows: int) -> list[int]:
    """The places of the bits, from the lowest."""
    found: list[int] = []
    while rows:
        # From the highest: what is left becomes shorter with each.
        highest = rows.bit_length() - 1
        found.append(highest)
        rows ^= 1 << highest
    found.reverse()
    return found


class ByKey:
    """Bits by the keys that a value is, or has.

    What a key brings is one number: those of several keys are put together by "or", and turned into bits in one step.
    It has a layer for each way in which a bit hangs on keys, most have one: set when one of them is there, or unless.
    """

    def __init__(self) -> None:
        self._brings: dict[Hashable, list[tuple[int, int]]] = {}  # (layer, bit) that each key brings
        self._layers: dict[int, int] = {}  # bit -> how many layers it is in
        self._where: dict[int, int] = {}  # bit -> the layer in which keys set it
        self._slots: dict[int, int] = {}  # bit -> how many slots it has taken
        self._unless: list[list[int]] = []  # by layer the bits that keys keep from being set
        self._by_key: dict[Hashable, int] = {}
        #: How wide a layer is, and in each the bits that are set unless something is brought there.
        self.width = 0
        self.turned: list[int] = []
        self.always = 0  # the bits that any value sets, but for those that are among the turned ones
        #: What a value of this one key sets, where that is worked out; and what all other values set.
        self.table: dict[Hashable, int] | None = None
        self.otherwise = 0

    def free(self, bit: int) -> int:
        """How many slots more this bit may take."""
        return MAX_SLOTS - self._slots.get(bit, 0)

    def where(self, keys: Iterable[Hashable], bit: int) -> None:
        """Set the bit when one of these keys is there."""
        layer = self._where.get(bit)
        if layer is None:
            layer = self._where[bit] = self._layer(bit)
        self._take(layer, keys, bit)

    def unless(self, keys: Iterable[Hashable], bit: int) -> None:
        """Set the bit when none of these keys is there. Takes one slot."""
        self._slots[bit] = self._slots.get(bit, 0) + 1
        layer = self._layer(bit)
        self._unless[layer].append(bit)
        self._take(layer, keys, bit)

    def _layer(self, bit: int) -> int:
        layer = self._layers.get(bit, 0)
        self._layers[bit] = layer + 1
        if layer == len(self._unless):
            self._unless.append([])
        return layer

    def _take(self, layer: int, keys: Iterable[Hashable], bit: int) -> None:
        for key in keys:
            self._brings.setdefault(key, []).append((layer, bit))

    def finish(self, always: int, *, single: bool) -> None:
        """No more marks come. `always` are bits that any value sets; `single`: values of one key are usual."""
        self.width = max(self._layers, default=-1) + 1
        for key, some in self._brings.items():
            self._by_key[key] = mask([layer * self.width + bit for layer, bit in some])
        self.turned = [mask(bits) for bits in self._unless]
        hanging = mask([*self._layers])
        self.always = always & hanging
        if self.turned:
            # What hangs on no key is set in the same step.
            self.turned[0] |= always & ~hanging
        else:
            self.always = always
        self.otherwise = self.of_brought(0)
        self._brings, self._layers, self._where, self._slots, self._unless = {}, {}, {}, {}, []
        size = (self.otherwise.bit_length() >> 3) * len(self._by_key)
        if single and size <= MAX_TABLE_BYTES:
            self.table = {key: self.of_all((key,)) for key in self._by_key}

    def of(self, key: Hashable) -> int:
        """The bits that a value of this one key sets."""
        if self.table is None:
            return self.of_all((key,))
        return self.table.get(key, self.otherwise)

    def of_all(self, there: Iterable[Hashable]) -> int:
        """The bits that a value with these keys sets."""
        return self.of_brought(reduce(or_, map(self.brought, there), 0))

    def brings(self) -> Mapping[Any, int]:
        """What each key brings."""
        return self._by_key

    def brought(self, key: Hashable) -> int:
        """What this key brings; those of several keys are put together by "or", for `of_brought`."""
        return self._by_key.get(key, 0)

    def of_brought(self, brought: int) -> int:
        """The bits that a value sets whose keys bring this."""
        found, whole = self.always, (1 << self.width) - 1
        for layer, turned in enumerate(self.turned):
            found |= (brought >> layer * self.width & whole) ^ turned
        return found


class ByOrder:
    """Bits by limits that a value is above or below."""

    def __init__(self) -> None:
        self._above: list[tuple[Any, bool, int]] = []  # (limit, whether the limit itself counts, bit)
        self._below: list[tuple[Any, bool, int]] = []
        self._known: set[Any] = set()
        self.limits: list[Any] = []
        #: What is set between two limits, at a limit, and so on, from below the lowest to above the highest.
        self.cells: list[int] = []

    def has_room(self, limits: Iterable[Any]) -> bool:
        return len(self._known.union(limits)) <= MAX_LIMITS

    def above(self, limit: Any, inclusive: bool, bit: int) -> None:
        """Set the bit for values above the limit, and for the limit itself when it is `inclusive`."""
        self._known.add(limit)
        self._above.append((limit, inclusive, bit))

    def below(self, limit: Any, inclusive: bool, bit: int) -> None:
        self._known.add(limit)
        self._below.append((limit, inclusive, bit))

    def finish(self) -> None:
        """No more marks come."""
        self.limits = sorted(self._known)
        place = {limit: 2 * at + 1 for at, limit in enumerate(self.limits)}
        size = 2 * len(self.limits) + 1
        begins: list[list[int]] = [[] for _ in range(size)]
        ends: list[list[int]] = [[] for _ in range(size)]
        for limit, inclusive, bit in self._above:
            begins[place[limit] + (not inclusive)].append(bit)
        for limit, inclusive, bit in self._below:
            ends[place[limit] - (not inclusive)].append(bit)
        self.cells = [0] * size
        found = 0
        for at in range(size):
            found |= mask(begins[at])
            self.cells[at] |= found
        found = 0
        for at in range(size - 1, -1, -1):
            found |= mask(ends[at])
            self.cells[at] |= found
        self._above, self._below = [], []

    def of(self, value: Any) -> int:
        """The bits that this value sets."""
        # Twice the limits below it, and one more when it is a limit itself.
        return self.cells[bisect_left(self.limits, value) + bisect_right(self.limits, value)]


class ByTest:
    """Bits by what tests say, each test made once for all bits that hang on it."""

    def __init__(self) -> None:
        self._marks: dict[Hashable, tuple[Any, list[int], list[int]]] = {}
        self.tests: list[tuple[Any, int, int]] = []

    def mark(self, key: Hashable, test: Any, when: bool, bit: int) -> None:
        """Set the bit when the test says `when`. Tests with the same key say the same."""
        self._marks.setdefault(key, (test, [], []))[1 + when].append(bit)

    def finish(self) -> None:
        self.tests = [(test, mask(no), mask(yes)) for test, no, yes in self._marks.values()]
        self._marks = {}

    def of(self, value: Any) -> int:
        """The bits that this value sets. Raises what a test raises."""
        found = 0
        for test, no, yes in self.tests:
            found |= yes if test(value) else no
        return found
