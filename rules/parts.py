"""All conditions of a long list on one field as the bits that a value sets: what rules.index is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from rules.compiled import CompiledCondition
from rules.facts import Known, Missing
from rules.fields import Field, dig
from rules.folding import fold
from rules.forms import FORMS, Form, Unfit, wanted
from rules.keywords import Keywords, Quickly
from rules.look import Look
from rules.marks import ByKey, ByOrder, ByTest, mask, places
from rules.quick import Names, made_of, operands
from tickets.values import JSON

#: Most different tests of one field's change that are made for each event, and how many changes are kept with what
#: they set.
MAX_TESTS, MAX_CHANGES_KEPT = 64, 1_000

#: A text is searched for the keywords of those rows only that are left, of so many rows that look at it at a time, so
#: many times at most; and for how many sets of such rows each time the search is kept. For few words it takes a quarter
#: of the time, but of many rows hardly the same ones are left twice.
ROWS_AT_A_TIME, MOST_TIMES, MAX_SEARCHES = 12, 6, 64

#: Most bytes that the answers for values which came before take, for one field.
MAX_KEPT_BYTES = 1 << 20
#: What keeping one takes beside its bits, in bytes; and the longest value, in characters, that is kept.
KEPT_BYTES, KEPT_CHARS = 200, 100
#: Numbers with a fraction from the first to below the second are as good as they are (`rules.forms.number`).
LEAST_QUICK, MOST_QUICK = 1e-9, 1e14

#: Sets a bit wherever a condition holds, or wherever it does not.
Mark: TypeAlias = Callable[[int], None]

#: Operators that say the opposite of another.
_OPPOSITES = {"is_not": "any_of", "none_of": "any_of", "has_none": "has_any", "contains_none": "contains_any"}
#: Whether what is above the limit holds, and whether the limit itself does.
_LIMITS = {
    "greater": (True, False),
    "greater_or_equal": (True, True),
    "less": (False, False),
    "less_or_equal": (False, True),
}


#: What stands where nobody can say what does.
NOT_KNOWN = object()


class Kept:
    """Numbers by raw value, learned when they first come and kept as long as there is room.

    `known` are those that are kept: a plain dictionary, in which a value is found in half the time."""

    __slots__ = ("_left_bytes", "_work_out", "known")

    def __init__(self, work_out: Callable[[Any], int]) -> None:
        self.known: dict[Any, int] = {}
        self._work_out, self._left_bytes = work_out, MAX_KEPT_BYTES

    def learn(self, value: Any) -> int:
        """The number, kept from now on. Raises whatever cannot be worked out raises; nothing is kept then."""
        made = self.known.get(value)
        if made is None:
            made = self._work_out(value)
            if self._left_bytes > 0 and (value.__class__ is not str or len(value) <= KEPT_CHARS):
                self._left_bytes -= KEPT_BYTES + (made.bit_length() >> 3)
                self.known[value] = made
        return made


class Searches(dict[int, Quickly]):
    """By those of some rows that are left and look at a text: what finds their keywords in it.

    Made when such rows are first left, and kept while there is room; then all their keywords are looked for."""

    def __init__(self, rows: int, search: Callable[[int], Quickly]) -> None:
        super().__init__()
        self.rows, self._search = rows, search

    def __missing__(self, rows: int) -> Quickly:
        if len(self) >= MAX_SEARCHES and rows != self.rows:
            return self[self.rows]
        made = self[rows] = self._search(rows)
        return made


def unrolled(keys: ByKey, whole: int) -> Callable[[int], int]:
    """What `keys.of_brought` leaves of these bits, with its steps one after the other."""
    names = Names()
    first, all_bits = names.of(keys.turned[0] if keys.turned else 0), names.of(whole)
    always = f" | {names.of(keys.always)}" if keys.always else ""
    lines = [f"return brought ^ {first} ^ {all_bits}"]
    if len(keys.turned) > 1 or keys.always:
        layer, behind = names.of((1 << keys.width) - 1), names.of(reduce(or_, keys.turned[1:], keys.always))
        lines = [f"if brought <= {layer}: return (brought ^ {first} | {behind}) ^ {all_bits}"]
        lines += [f"found = brought & {layer} ^ {first}{always}"]
        for turned in keys.turned[1:]:
            lines += [f"brought >>= {keys.width}", f"found |= brought & {layer} ^ {names.of(turned)}"]
        lines.append(f"return found ^ {all_bits}")
    source = "def leave(brought):\n" + "".join(f"    {line}\n" for line in lines)
    made: Callable[[int], int] = made_of(source, names)["leave"]
    return made


class Part:
    """What rows say about one field in one form.

    `read` and `sets` are for one event; the rest is only for making it: `mark`, then `finish`."""

    def __init__(self, field: Field, form: Form, place: int, width: int) -> None:
        self.field, self.form, self.place = field, form, place
        self.make = FORMS[form]
        self._width = width
        self.keys, self.order, self.tests = ByKey(), ByOrder(), ByTest()
        self.missing = 0  # the bits that are set when there is no value
        self.bits = 0  # all that may be set
        self.whole = 0  # all bits there are, of which a value leaves those that it does not set
        self.groups = 0  # of these, those of groups
        self.rows = 0  # that look at it at all, so that must be asked when it is unknown
        #: What a raw value leaves; in a set, what one with this only member does, and what each member brings.
        self.by_value, self.brought = Kept(self._raw_leaves), Kept(self._raw_brings)
        self._asking: list[int] = []
        self._missing: list[int] = []
        self._always: list[int] = []
        self._bits: list[int] = []
        self._test_keys: set[Hashable] = set()
        self._changes: dict[tuple[JSON, JSON], int] = {}  # some, with what they set
        self._keywords = Keywords()
        #: What several keys of a value leave, from the "or" of what each of them brings.
        self.together_leave: Callable[[int], int]
        #: What several keys leave is what they bring with these bits turned; None where that takes more.
        self.turned: int | None = None
        #: The bits that a text leaves. Raises `Unfit`.
        self.text_leaves: Callable[[str], int]
        #: What ASCII texts bring, where it can be said so; and where few rows look at it, the same of those rows only
        #: that are left.
        self.search: Quickly | None = None
        self.searches: Sequence[Searches] = ()

    # making ----------------------------------------------------------------------------------------------------------

    def look_at(self, row: int) -> None:
        """This row looks at it."""
        self._asking.append(row)

    def mark(self, condition: CompiledCondition, when: bool) -> tuple[int, Mark] | None:
        """What sets a bit on exactly the values of which the condition says `when`, and how many slots it takes.

        None when there is no such thing."""
        try:
            found = self._mark(condition, when)
        except Unfit:
            return None
        if found is None:
            return None
        slots, on_value = found
        on_missing = condition.operator.when_missing == when

        def mark(bit: int) -> None:
            self._bits.append(bit)
            if on_missing:
                self._missing.append(bit)
            on_value(bit)

        return slots, mark

    def mark_likely(self, condition: CompiledCondition) -> tuple[int, Mark] | None:
        """What sets a bit on all values of which the condition says yes, and maybe on others; as `mark`."""
        key, values = condition.operator.key, operands(condition)
        try:
            if key in ("has_all", "contains_all"):
                first = self._member(values[0])
                slots, on_value = self._keyed([first], True)
            elif key == "between":
                slots, on_value = 0, self._limit("greater_or_equal", [wanted(self.form, values[0])], True)
            else:
                return None
        except Unfit:
            return None

        def mark(bit: int) -> None:
            self._bits.append(bit)
            on_value(bit)

        return slots, mark

    def _mark(self, condition: CompiledCondition, when: bool) -> tuple[int, Mark] | None:
        key, values = condition.operator.key, operands(condition)
        if self.form is Form.CHANGE:
            named = (key, repr(condition.operand))
            if named not in self._test_keys and len(self._test_keys) >= MAX_TESTS:
                return None
            self._test_keys.add(named)
            return 0, lambda bit: self.tests.mark(named, condition.test, when, bit)
        if key in ("empty", "not_empty"):
            # Of a value one of them is always true, the other never.
            return 0, self._always.append if when == (key == "not_empty") else _nothing
        if key in _OPPOSITES:
            key, when = _OPPOSITES[key], not when
        if key in ("is", "any_of"):
            return self._keyed([self._plain_key(one) for one in values], when)
        if key in ("has_any", "contains_any"):
            return self._keyed([self._member(one) for one in values], when)
        if key in ("has_all", "contains_all"):
            return self._all([self._member(one) for one in values], when)
        if key in _LIMITS or key == "between":
            limits = [wanted(self.form, one) for one in values]
            # What is between two limits is no side of a limit; what is not between them is two.
            if not self.order.has_room(limits) or (key == "between" and when):
                return None
            return 0, self._limit(key, limits, when)
        return None

    def _keyed(self, keys: Sequence[Hashable], when: bool) -> tuple[int, Mark]:
        if when:
            return 0, lambda bit: self.keys.where(keys, bit)
        return 1, lambda bit: self.keys.unless(keys, bit)

    def _all(self, keys: Sequence[Hashable], when: bool) -> tuple[int, Mark] | None:
        if when:
            return self._keyed(keys, when) if len(keys) == 1 else None

        def unless_all(bit: int) -> None:
            for key in keys:
                self.keys.unless([key], bit)

        return len(keys), unless_all

    def _limit(self, key: str, limits: Sequence[Any], when: bool) -> Mark:
        if key == "between":
            low, high = limits

            def outside(bit: int) -> None:
                self.order.below(low, False, bit)
                self.order.above(high, False, bit)

            return outside
        above, inclusive = _LIMITS[key]
        if not when:
            above, inclusive = not above, not inclusive
        side = self.order.above if above else self.order.below
        return lambda bit: side(limits[0], inclusive, bit)

    def _member(self, value: JSON) -> Hashable:
        return fold(str(value)) if self.form is Form.SET else self.keyword(value)

    def keyword(self, value: JSON) -> str:
        """How a keyword is called among those found in a text. Raises `Unfit`."""
        return self._keywords.know(str(value))

    def _plain_key(self, value: JSON) -> Hashable:
        if self.form is not Form.TEXT:
            return wanted(self.form, value)
        return ("is", wanted(self.form, value))

    def finish(self, whole: int) -> None:
        """No more rows come; these are all bits there are."""
        self.whole = whole
        self.missing, self.bits, self.rows = mask(self._missing), mask(self._bits), mask(self._asking)
        self.groups = self.bits >> self._width << self._width
        always = mask(self._always)
        self.keys.finish(always, single=self.form is not Form.TEXT)
        self.together_leave = unrolled(self.keys, whole)
        if len(self.keys.turned) <= 1 and not self.keys.always:
            self.turned = whole ^ self.keys.otherwise
        if self.form is Form.TEXT:
            brings = self.keys.brings()
            texts = {key[1]: bits for key, bits in brings.items() if key.__class__ is tuple}
            self._keywords.finish(brings, texts)
            self.text_leaves = self._keywords.bits(self.together_leave, whole ^ self.missing)
            self.search = self._keywords.quickly()
            rows = places(self.rows)
            if self.search is not None and self._keywords.few and len(rows) <= ROWS_AT_A_TIME * MOST_TIMES:
                times = range(0, len(rows), ROWS_AT_A_TIME)
                self.searches = [Searches(mask(rows[at : at + ROWS_AT_A_TIME]), self.search_for) for at in times]
        self.order.finish()
        self.tests.finish()
        self._asking = self._missing = self._always = self._bits = []

    # looking ---------------------------------------------------------------------------------------------------------

    def read(self, look: Look) -> object:
        """What stands there, in the form; a text as it is. Raises `Unfit` when nobody can say."""
        value = self.value(look)
        if value is NOT_KNOWN:
            raise Unfit
        return value

    def value(self, look: Look) -> object:
        """The same; `NOT_KNOWN` when nobody can say: to raise makes a record of every call around it, which takes
        several times as long as finding that out. Raises `Unfit` for a value without sense."""
        field = self.field
        if self.form is Form.CHANGE:
            return look.change(field.state_key)
        if field.place is not None:
            part, key = field.place
            value = look.part(part).get(key)
        else:
            answer = look.given.lookups.get(field.answer[0]) if field.answer is not None else None
            if answer is not None and answer.get("state") == "known" and field.answer is not None:
                value = dig(answer.get("data"), field.answer[1])
            else:
                reading = look.read(field)
                if isinstance(reading, Known):
                    value = reading.value
                elif isinstance(reading, Missing):
                    value = None
                else:
                    return NOT_KNOWN
        return value if self.form is Form.TEXT and value.__class__ is str else self.make(value)

    def as_compared(self, value: Any) -> object:
        """What was read, in the form that rows compare. Raises `Unfit`."""
        return self.make(value) if self.form is Form.TEXT else value

    def sets(self, value: Any) -> int:
        """The bits that this value sets. Raises `Unfit`, or whatever a test of a change raises, when nobody can say."""
        form = self.form
        if form is Form.TEXT:
            return self.whole ^ self.text_leaves(value or "")
        if value is None or (form is Form.SET and not value):
            return self.missing
        if form is Form.SET:
            return self.keys.of_all(value) if len(value) > 1 else self.keys.of(*value)
        if form is Form.CHANGE:
            return self.of_change(value)
        return self._of_value(value)

    def search_for(self, rows: int) -> Quickly:
        """What ASCII texts bring of the keywords of these rows; only where there is a `search`."""
        keys = self.keys
        bits = reduce(or_, (rows << begin for begin in range(0, keys.width, self._width)), 0) & (1 << keys.width) - 1
        wanted = reduce(or_, (bits << layer * keys.width for layer in range(len(keys.turned))), 0)
        found = self._keywords.quickly(wanted)
        assert found is not None
        return found

    def _of_value(self, value: Any) -> int:
        return self.keys.of(value) | self.order.of(value) if self.order.limits else self.keys.of(value)

    def _raw_leaves(self, value: Any) -> int:
        return self.whole ^ self._of_raw(value)

    def _of_raw(self, value: Any) -> int:
        if self.form is Form.SET:
            if value.__class__ is not str:
                raise Unfit
            return self.keys.of(fold(value))
        made = self.make(value)
        return self.missing if made is None else self._of_value(made)

    def _raw_brings(self, member: Any) -> int:
        if member.__class__ is not str:
            raise Unfit
        return self.keys.brought(fold(member))

    def number_leaves(self, value: float) -> int:
        """The bits that a number with a fraction leaves. Raises `Unfit`."""
        return self.whole ^ self._of_value(self.make(value))

    def steps(self) -> tuple[list[float], list[int]] | None:
        """Numbers in order, and what is left by those from each of them on until the next; before all of them the
        first of what is left. 0 where a number with a fraction must be asked about by `number_leaves`, as it must of
        all where this is None: there are too many of them."""
        exact = {float(one) for one in (*self.order.limits, *self.keys.brings()) if LEAST_QUICK < one < MOST_QUICK}
        begins = sorted({LEAST_QUICK, *exact, *(math.nextafter(one, math.inf) for one in exact)})
        if len(begins) * (KEPT_BYTES + (self.whole.bit_length() >> 3)) > MAX_KEPT_BYTES:
            return None
        return [*begins, MOST_QUICK], [0, *map(self.number_leaves, begins), 0]

    def keywords_in(self, value: str) -> frozenset[str]:
        """The keywords of all rows that stand in this text. Raises `Unfit`."""
        return self._keywords.there(value) if value else frozenset()

    def change_leaves(self, value: Any) -> int:
        """The bits that a change leaves. Raises whatever a test of it raises."""
        return self.whole ^ self.of_change(value)

    def of_change(self, value: Any) -> int:
        """The bits that a change sets. Raises whatever a test of it raises."""
        if value is None:
            return self.missing
        if value.__class__ is not list or len(value) != 2:
            return self.tests.of(value)
        before, after = value
        if not (before is None or before.__class__ is str) or not (after is None or after.__class__ is str):
            return self.tests.of(value)
        known = self._changes.get((before, after))
        if known is None:
            known = self.tests.of(value)
            if len(self._changes) < MAX_CHANGES_KEPT:
                self._changes[before, after] = known
        return known


def _nothing(_bit: int) -> None:
    pass
