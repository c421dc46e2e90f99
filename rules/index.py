"""Which rows of a long list match: one bit per row, a few steps per field instead of one per row.

What a condition says about known values is worked out once for all rows that look at the field. What has no quick form
is compared row by row among the rows that are left (`rest`), or asked of the conditions themselves (`open`). A field
that is unknown, or whose value makes no sense, rules out nothing: its rows are asked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.compiled import All, CompiledCondition, CompiledRow
from rules.errors import RulesError
from rules.facts import Known, Missing
from rules.fields import Field
from rules.folding import fold, has_keyword
from rules.forms import FORMS, MOST_NUMBER, Form, Unfit, longest_word, wanted, words
from rules.look import Look
from rules.quick import Member, Names, Rest, form_of, made_of, operands, rests
from tickets.values import JSON

#: Most limits of one ordered field that the index knows; rows with others are compared one by one.
MAX_LIMITS = 512
#: Most conditions of one row on one field that the index knows.
MAX_SLOTS = 4


@dataclass(slots=True)
class _Keys:
    """Rows by the keys that a value must have, or must not have, for them to match.

    A row that needs several keys at once, or has several conditions on the field, has one of them in each slot."""

    needs: list[tuple[int, dict[Hashable, int]]] = field(default_factory=list)  # rows with a need, rows by key
    forbidding: dict[Hashable, int] = field(default_factory=dict)
    postings: dict[Hashable, list[tuple[int, int]]] = field(default_factory=dict)

    def need(self, keys: Iterable[Hashable], row: int) -> bool:
        """Whether there was a slot for it."""
        for at, (needing, having) in enumerate(self.needs):
            if not needing & row:
                self.needs[at] = (needing | row, having)
                break
        else:
            if len(self.needs) >= MAX_SLOTS:
                return False
            having = {}
            self.needs.append((row, having))
        for key in keys:
            having[key] = having.get(key, 0) | row
        return True

    def forbid(self, keys: Iterable[Hashable], row: int) -> bool:
        for key in keys:
            self.forbidding[key] = self.forbidding.get(key, 0) | row
        return True

    def free(self, row: int, wanted: int) -> bool:
        """Whether a row has room for so many needs more."""
        return sum(bool(needing & row) for needing, _ in self.needs) + wanted <= MAX_SLOTS

    def out_of(self, key: Hashable) -> int:
        """Rows that a value of this one key rules out."""
        out = self.forbidding.get(key, 0)
        for needing, having in self.needs:
            out |= needing ^ having.get(key, 0)
        return out

    def finish(self) -> None:
        """Take in no more rows: what each key brings to which slot, beside what it forbids."""
        for at, (_, having) in enumerate(self.needs):
            for key, rows in having.items():
                self.postings.setdefault(key, []).append((at, rows))
        for key, rows in self.forbidding.items():
            self.postings.setdefault(key, []).append((-1, rows))

    def out_of_all(self, keys: Iterable[Hashable]) -> int:
        """Rows that a value with just these keys rules out."""
        there = [0] * (len(self.needs) + 1)  # by slot; the last is for what is forbidden
        postings = self.postings
        for key in keys:
            if key in postings:
                for slot, rows in postings[key]:
                    there[slot] |= rows
        out = there[-1]
        for (needing, _), rows in zip(self.needs, there, strict=False):
            out |= needing ^ rows
        return out


class _Order:
    """Rows by the lowest and the highest value with which they match."""

    def __init__(self) -> None:
        #: (limit, bit, whether the limit itself is out)
        self.low: list[tuple[Any, int, bool]] = []
        self.high: list[tuple[Any, int, bool]] = []
        self.known: set[Any] = set()
        self.limits: list[Any] = []
        self.out: list[int] = []

    def at_least(self, limit: Any, row: int, strict: bool) -> bool:
        return self._take(self.low, limit, row, strict)

    def at_most(self, limit: Any, row: int, strict: bool) -> bool:
        return self._take(self.high, limit, row, strict)

    def _take(self, side: list[tuple[Any, int, bool]], limit: Any, row: int, strict: bool) -> bool:
        """Whether there was room for this limit."""
        if limit not in self.known and len(self.known) >= MAX_LIMITS:
            return False
        self.known.add(limit)
        side.append((limit, row, strict))
        return True

    def finish(self) -> None:
        """Take in no more rows: work out which are out below, at and above each limit."""
        self.limits = sorted(self.known)
        place = {limit: 2 * at + 1 for at, limit in enumerate(self.limits)}
        cells = 2 * len(self.limits) + 1  # between two limits, then the limit itself, and so on
        below, above = [0] * (cells + 1), [0] * (cells + 1)
        for limit, row, strict in self.low:
            below[place[limit] - (not strict)] |= row
        for limit, row, strict in self.high:
            above[place[limit] + (not strict)] |= row
        for at in range(cells - 1, -1, -1):
            below[at] |= below[at + 1]
        for at in range(1, cells):
            above[at] |= above[at - 1]
        self.out = [below[at] | above[at] for at in range(cells)]

    def out_of(self, value: Any) -> int:
        # Twice the limits below it, and one more when it is a limit itself.
        return self.out[bisect_left(self.limits, value) + bisect_right(self.limits, value)]


class _Part:
    """All conditions on one field in one form."""

    def __init__(self, field: Field, form: Form, place: int) -> None:
        self.field, self.form, self.place = field, form, place
        self.make = FORMS[form]
        self.keys, self.order = _Keys(), _Order()
        self.rows = 0  # that look at it at all, so that must be asked when it is unknown
        self.missing_out = 0  # rows that are false without a value
        self.known_out = 0  # rows that are false with any value
        self.phrases: dict[str, list[str]] = {}  # keywords of several words, by the longest of these
        self.signs: list[str] = []  # keywords without a letter or digit
        self.whole = False  # whether a row looks at the text as a whole
        self.asked_words: set[str] = set()  # that the rest of a row compares
        self.words: frozenset[Hashable] = frozenset()

    def add(self, condition: CompiledCondition, row: int) -> bool:
        """Take a condition in; whether the index knows now all that it says."""
        self.rows |= row
        if not condition.operator.when_missing:
            self.missing_out |= row
        key = condition.operator.key
        if self.form is Form.CHANGE:
            return False  # rules out what did not change; the rest is compared
        if key in ("empty", "not_empty"):
            self.known_out |= row if key == "empty" else 0
            return True
        adder = _ADDERS.get(key)
        try:
            return adder is not None and adder(self, operands(condition), row)
        except Unfit:
            return False

    def finish(self) -> None:
        self.order.finish()
        self.keys.finish()
        self.words = frozenset([*self.keys.postings, *self.phrases, *self.asked_words])

    def value(self, facts: Mapping[str, Any], look: Look) -> object:
        """What stands there, in the form. Raises `Unfit` when nobody can say."""
        if self.form is Form.CHANGE:
            return look.change(self.field.state_key)
        if self.field.place is not None:
            part, key = self.field.place
            return self.make(facts[part].get(key))
        reading = look.read(self.field)
        if isinstance(reading, Known):
            return self.make(reading.value)
        if isinstance(reading, Missing):
            return self.make(None)
        raise Unfit

    def out(self, value: Any, found: list[Any]) -> int:
        """Rows that are certainly false with this value. Notes the keywords found in a text."""
        form = self.form
        if value is None or value == "" or (form is Form.SET and not value):
            found[self.place] = _NO_KEYS
            return self.missing_out
        out = self.known_out
        if form is Form.TEXT:
            keys = found[self.place] = self._found(value)
            return out | self.keys.out_of_all(keys)
        if form is Form.SET:
            return out | self.keys.out_of_all(value)
        if form is Form.CHANGE:
            return out
        out |= self.keys.out_of(value)
        return out | self.order.out_of(value) if self.order.limits else out

    def _found(self, folded: str) -> set[Hashable]:
        """The keywords that stand in the text, and the text itself for those that must be all of it."""
        found: set[Hashable] = set(self.words.intersection(words(folded))) if self.words else set()
        if self.phrases:
            for word in found & self.phrases.keys():
                found.update(one for one in self.phrases[word] if has_keyword(folded, one))  # type: ignore[index]
        if self.signs:
            found.update(one for one in self.signs if has_keyword(folded, one))
        if self.whole:
            found.add(("is", folded))
        return found

    def keyword(self, text: JSON) -> Hashable:
        folded = fold(str(text))
        if not folded:
            raise Unfit
        longest = longest_word(folded)
        if not longest:
            self.signs.append(folded)
        elif longest != folded:
            self.phrases.setdefault(longest, []).append(folded)
        return folded

    def plain_key(self, value: JSON) -> Hashable:
        if self.form is not Form.TEXT:
            return wanted(self.form, value)
        self.whole = True
        return ("is", wanted(self.form, value))


# What each operator rules out ----------------------------------------------------------------------------------------
# An operator that is not here rules out nothing but rows without a value.


def _equal(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.need([part.plain_key(one) for one in values], row)


def _unequal(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.forbid([part.plain_key(one) for one in values], row)


def _limit(low: bool, strict: bool) -> _Adder:
    def add(part: _Part, values: Sequence[JSON], row: int) -> bool:
        limit = wanted(part.form, values[0])
        return part.order.at_least(limit, row, strict) if low else part.order.at_most(limit, row, strict)

    return add


def _between(part: _Part, values: Sequence[JSON], row: int) -> bool:
    low, high = (wanted(part.form, one) for one in values)
    return part.order.at_least(low, row, False) and part.order.at_most(high, row, False)


def _any_member(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.need([fold(str(one)) for one in values], row)


def _all_members(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.free(row, len(values)) and all(part.keys.need([fold(str(one))], row) for one in values)


def _no_member(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.forbid([fold(str(one)) for one in values], row)


def _any_word(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.need([part.keyword(one) for one in values], row)


def _all_words(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.free(row, len(values)) and all(part.keys.need([part.keyword(one)], row) for one in values)


def _no_word(part: _Part, values: Sequence[JSON], row: int) -> bool:
    return part.keys.forbid([part.keyword(one) for one in values], row)


_Adder = Callable[[_Part, Sequence[JSON], int], bool]
_ADDERS: Mapping[str, _Adder] = {
    "is": _equal,
    "any_of": _equal,
    "is_not": _unequal,
    "none_of": _unequal,
    "greater": _limit(low=True, strict=True),
    "greater_or_equal": _limit(low=True, strict=False),
    "less": _limit(low=False, strict=True),
    "less_or_equal": _limit(low=False, strict=False),
    "between": _between,
    "has_any": _any_member,
    "has_all": _all_members,
    "has_none": _no_member,
    "contains_any": _any_word,
    "contains_all": _all_words,
    "contains_none": _no_word,
}


_NO_KEYS: frozenset[Hashable] = frozenset()


class RowIndex:
    """Built once per revision from the rows of a bucket, in order; None stands for a row that is always possible."""

    def __init__(self, rows: Sequence[CompiledRow | None]) -> None:
        self.size = len(rows)
        self.all_rows = (1 << len(rows)) - 1
        self._by_field: dict[tuple[str, Form], _Part] = {}
        self.parts: list[_Part] = []
        self.open = 0  # rows with something that only the conditions themselves can say
        rest: list[tuple[int, list[Member]]] = []
        for at, row in enumerate(rows):
            left = [] if row is None else [one for one in _flat(row.all) if not self._take(one, 1 << at)]
            if left:
                rest.append((at, left))
        self.rests: Mapping[int, Rest] = rests(rest, self._read, self._keywords)
        for at, _ in rest:
            self.open |= 0 if at in self.rests else 1 << at
        for part in self.parts:
            part.finish()
        self.scan = _scan(self.parts)
        self.read_by: dict[str, list[_Part]] = {}
        for part in self.parts:
            for state_key in part.field.reads if part.form is not Form.CHANGE else ():
                self.read_by.setdefault(state_key, []).append(part)

    def _part(self, field: Field, form: Form) -> _Part:
        part = self._by_field.get((field.key, form))
        if part is None:
            part = self._by_field[field.key, form] = _Part(field, form, len(self.parts))
            self.parts.append(part)
        return part

    def _read(self, field: Field, form: Form) -> str:
        """How the rest of a row reads a value: by its place, whether or not other rows look at it, too."""
        return f"V[{self._part(field, form).place}]"

    def _keywords(self, field: Field, keywords: Sequence[str]) -> str:
        """How the rest of a row finds out which of these keywords stand in a text: they were all looked for at once."""
        part = self._part(field, Form.TEXT)
        part.asked_words.update(str(part.keyword(one)) for one in keywords)
        return f"F[{part.place}]"

    def _take(self, member: Member, row: int) -> bool:
        form = form_of(member) if isinstance(member, CompiledCondition) else None
        if form is None or not isinstance(member, CompiledCondition) or member.field is None:
            return False
        part = self._part(member.field, form)
        return part.add(member, row)

    def start(self, look: Look) -> Possible:
        """What can match on these facts."""
        return Possible(self, look)


def _flat(member: Member) -> Iterable[Member]:
    if isinstance(member, All):
        for one in member.members:
            yield from _flat(one)
    else:
        yield member


#: Rows that these facts rule out; notes what it saw.
_Scan = Callable[["Possible", Mapping[str, Any], list[Any]], int]


def _scan(parts: Sequence[_Part]) -> _Scan:
    """The first look at all fields as one generated function: what is usual in line, what is not by `Possible.out`."""
    names = Names()
    parts_read = sorted({part.field.place[0] for part in parts if part.field.place is not None} | {"event"})
    lines = [f"{one} = facts[{one!r}]" for one in parts_read]
    lines += ["changes = event.get('changes') or {}", "out = 0"]
    for part in parts:
        name, missing = names.of(part), names.of(part.missing_out)
        if part.form is Form.CHANGE:
            lines.append(f"v = V[{part.place}] = changes.get({names.of(part.field.state_key)})")
            lines.append(f"if v is None: out |= {missing}")
            continue
        if part.field.place is None or part.form not in (Form.PLAIN, Form.NUMBER, Form.FLAG):
            lines.append(f"out |= possible.out({name})")
            continue
        said = [names.of(part.known_out)] if part.known_out else []
        if part.keys.needs or part.keys.forbidding:
            said.append(f"{names.of(part.keys.out_of)}(v)")
        if part.order.limits:
            limits = names.of(part.order.limits)
            said.append(f"{names.of(part.order.out)}[below({limits}, v) + upto({limits}, v)]")
        usual = {
            Form.PLAIN: "v.__class__ is str and v",
            Form.NUMBER: f"v.__class__ is int and {-MOST_NUMBER} < v < {MOST_NUMBER}",
            Form.FLAG: "v.__class__ is bool",
        }[part.form]
        source, key = part.field.place
        lines.append(f"v = V[{part.place}] = {source}.get({names.of(key)})")
        lines.append(f"if {usual}: out |= {' | '.join(said) or '0'}")
        lines.append(f"elif v is None: out |= {missing}")
        lines.append(f"else: out |= possible.out({name})")
    lines.append("return out")
    source = "def scan(possible, facts, V):\n" + "".join(f"    {line}\n" for line in lines)
    made: _Scan = made_of(source, names, below=bisect_left, upto=bisect_right)["scan"]
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
        self.found: list[Any] = [_NO_KEYS] * len(index.parts)  # keywords by text
        self._facts = look.parts()
        self._asked: dict[int, int] = {}  # place of a part that is unknown -> its rows
        self._outs: list[int] | None = None  # by part, once something was staged
        self._rows = index.all_rows & ~index.scan(self, self._facts, self.values)
        self.bits = _bits(self._rows)
        self.open = self._ask()

    def out(self, part: _Part) -> int:
        """Rows that this part rules out."""
        try:
            value = part.value(self._facts, self._look)
            out = part.out(value, self.found)
        except (Unfit, RulesError):
            self.values[part.place] = self.found[part.place] = _ODD
            self._asked[part.place] = part.rows
            return 0
        self.values[part.place] = value
        if self._asked:
            self._asked.pop(part.place, None)
        return out

    def _ask(self) -> set[int]:
        asked = self.index.open
        for rows in self._asked.values():
            asked |= rows
        asked &= self._rows
        return set(_bits(asked)) if asked else _NO_BITS

    def matches(self, bit: int) -> bool | None:
        """Whether the row certainly matches; None when its conditions must be asked. Only of rows in `bits`."""
        if bit in self.open:
            return None
        rest = self.index.rests.get(bit)
        try:
            return rest is None or rest(self.values, self.found)
        except Exception:
            return None  # an odd value: what it means the conditions say

    def staged(self, written: Iterable[str], look: Look, after: int) -> None:
        """Look again at the fields that these state fields bear on, for the rows from bit `after` on."""
        read_by = self.index.read_by
        again = {part.place: part for key in written if key in read_by for part in read_by[key]}
        if not again:
            return
        self._facts = look.parts()
        if self._outs is None:
            self._outs = [self.out(part) for part in self.index.parts]
        else:
            for place, part in again.items():
                self._outs[place] = self.out(part)
        out = 0
        for one in self._outs:
            out |= one
        rows = self.index.all_rows & ~out
        new, self._rows = (rows ^ self._rows) >> after, rows
        while new:
            lowest = new & -new
            bit = after + lowest.bit_length() - 1
            new ^= lowest
            if rows >> bit & 1:
                insort(self.bits, bit)
            else:
                self.bits.remove(bit)
        self.open = self._ask()


_NO_BITS: set[int] = set()


def _bits(rows: int) -> list[int]:
    """The places of the bits, from the lowest."""
    found: list[int] = []
    if rows.bit_count() < 8:
        while rows:
            lowest = rows & -rows
            found.append(lowest.bit_length() - 1)
            rows ^= lowest
        return found
    size = (rows.bit_length() + 63) // 64 * 8
    for at, word in enumerate(memoryview(rows.to_bytes(size, "little")).cast("Q")):
        while word:
            lowest = word & -word
            found.append((at << 6) + lowest.bit_length() - 1)
            word ^= lowest
    return found
