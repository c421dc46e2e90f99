"""The rule list compiled: once per revision and process, sorted by the events its tables run on."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from rules.compiled import CompiledRow, CompiledTable
from rules.decision import Entry, Planned, Ready
from rules.errors import RulesError
from rules.facts import Facts
from rules.fields import CONTEXT, MAX_BIND_DEPTH
from rules.forms import Unfit
from rules.index import RowIndex
from rules.rearm import rearmed_rows
from rules.steps import ready_row
from rules.straight import Left, Straight
from rules.table import EVERY_TIME, Clause, HitPolicy, Member, Table
from rules.vocabulary import Vocabulary
from tickets.events import EventKind
from tickets.item import ItemKind
from tickets.values import JSON

#: From how many rows for one kind of event on it pays to follow what rules stage for all rows together; of fewer the
#: tables that read it are looked at again one by one. For each table there that takes as much longer as for so many
#: rows.
INDEX_FROM_ROWS = 220
ROWS_PER_TABLE = 2
#: From how many on a trace keeps only the rows that decided.
SHORT_TRACE_FROM_ROWS = 100
#: More rows than any rule list has: decided row by row.
NO_INDEX = 1 << 40


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A rule list, compiled once per revision and shared by all decisions: nothing in it changes."""

    revision: int
    entries: tuple[Entry, ...]
    vocabulary: Vocabulary = field(repr=False, compare=False)
    tables: tuple[CompiledTable, ...] = field(repr=False, compare=False)
    by_kind: Mapping[str, Bucket] = field(repr=False, compare=False)
    #: How rows that do not fire every time are armed again, by row key.
    rearms: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    #: The tables that run again when what they read changes.
    again: tuple[CompiledTable, ...] = field(default=(), repr=False, compare=False)
    #: Whether any condition looks at a card of the ticket, or at an answer for which one is asked with a card's value.
    looks_at_cards: bool = field(default=False, repr=False, compare=False)


def compile_ruleset(
    revision: int,
    entries: Iterable[Entry],
    vocabulary: Vocabulary,
    *,
    index_from: int = INDEX_FROM_ROWS,
    short_trace_from: int = SHORT_TRACE_FROM_ROWS,
) -> RuleSet:
    """The rule list ready to decide: entries in order, comparisons prepared, sorted by the events they run on.

    Never raises for a table that no longer fits the vocabulary (a connection that was removed): the rows concerned
    cannot be decided then, and say so. Events of a kind with `index_from` rows or more, every table counted as
    `ROWS_PER_TABLE` more, are decided with an index, which changes nothing but the time; from `short_trace_from` rows
    on a trace keeps only the rows that decided.
    Raises `ValueError` for two entries with one code."""
    with _not_collecting():
        return _compiled(revision, entries, vocabulary, index_from, short_trace_from)


@contextmanager
def _not_collecting() -> Iterator[None]:
    """No garbage is looked for meanwhile: 10 000 rows are a million records, none of them garbage, and going through
    them again and again took two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _compiled(
    revision: int, entries: Iterable[Entry], vocabulary: Vocabulary, index_from: int, short_trace_from: int
) -> RuleSet:
    ordered = tuple(sorted(entries, key=lambda entry: (entry.position, entry.code)))
    if len({entry.code for entry in ordered}) != len(ordered):
        raise ValueError("Two entries of the rule list have the same code")
    compiled = tuple(
        CompiledTable.of(entry, order, entry.table, vocabulary.of(entry.table.kind))
        for order, entry in enumerate(ordered)
        if entry.enabled and entry.table is not None
    )
    # Kinds with the same tables share their bucket.
    buckets: dict[tuple[int, ...], Bucket] = {}
    by_kind: dict[str, Bucket] = {}
    for kind in EventKind:
        tables = tuple(one for one in compiled if kind in one.kinds)
        orders = tuple(one.order for one in tables)
        if orders not in buckets:
            buckets[orders] = Bucket.of(tables, index_from, short_trace_from)
        by_kind[kind.value] = buckets[orders]
    rearms = {key: how for one in compiled for key, how in rearmed_rows(one.entry.code, one.table) if how != EVERY_TIME}
    again = tuple(one for one in compiled if one.table.run_again)
    looked_at = {name for one in compiled for name in _outside_scope(one.table)}
    cards = any(_hangs_on_a_card(name, vocabulary) for name in looked_at)
    return RuleSet(revision, ordered, vocabulary, compiled, by_kind, rearms, again, cards)


def _hangs_on_a_card(name: str, vocabulary: Vocabulary, depth: int = 0) -> bool:
    """Whether the field is of a card, or is an answer that is asked for with one's value."""
    if name.startswith(CONTEXT):
        return True
    sources = {
        source
        for spec in vocabulary.lookups.values()
        if depth < MAX_BIND_DEPTH and name.startswith(f"{spec.name}.")
        for source in spec.bind.values()
    }
    return any(_hangs_on_a_card(source, vocabulary, depth + 1) for source in sources)


def _outside_scope(table: Table) -> Iterator[str]:
    """The fields that its columns and groups look at; a scope looks at nothing from outside."""
    yield from (column.field for column in table.columns)
    members: list[Member] = [group for row in table.rows for group in row.groups]
    while members:
        member = members.pop()
        if isinstance(member, Clause):
            yield member.field
        else:
            members += member.members


#: The row ready to fire, the place of its table in the list, the first bit behind the table or 0 when the table has
#: more to it than its rows, the kind of item it is for, whether only its first row that matches fires; and what is in
#: the row ready to fire: its key, and a field, its value and the step when that is all it does, else the step None.
Swept: TypeAlias = tuple[Ready, int, int, str, bool, str, str, JSON, Planned | None]


@dataclass(slots=True)
class Bucket:
    """The tables that events of one kind may run, in order, and the index of their rows. Only `look` ever changes,
    and what is made when first needed.

    There is a bit for each row; in a long list one for each otherwise row, too, which is always possible."""

    tables: tuple[CompiledTable, ...]
    short_trace: bool = False  # keeps only the rows that decided
    index: RowIndex | None = None  # of a long list
    owner: tuple[int, ...] = ()  # bit -> place in `tables`
    begins: tuple[int, ...] = ()  # place in `tables` -> its first bit; one more for the end
    swept: list[Swept | None] = field(default_factory=list)  # by bit, made when first needed
    special: frozenset[int] = frozenset()  # places of tables with more to them than rows and what always triggers them
    short: RowIndex | None = None  # of a short one, made when first needed
    #: The rows that can match, whatever triggers their table; only for facts on which nothing was staged. Whatever it
    #: raises, a value is so odd that nothing is said.
    look: Straight = field(init=False, repr=False, compare=False)
    _easy: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.look = self._look_first if self.index is None else self._look_of_many

    @classmethod
    def of(cls, tables: tuple[CompiledTable, ...], index_from: int, short_trace_from: int) -> Bucket:
        size = sum(len(one.rows) for one in tables)
        short = size >= short_trace_from
        indexed = size + ROWS_PER_TABLE * len(tables) >= index_from
        rows: list[CompiledRow | None] = []
        owner: list[int] = []
        begins: list[int] = []
        for place, table in enumerate(tables):
            begins.append(len(rows))
            rows += table.rows
            if table.otherwise_key and indexed:
                rows.append(None)
            owner += [place] * (len(rows) - len(owner))
        begins.append(len(rows))
        swept: list[Swept | None] = [None] * len(rows)
        if not indexed:
            special = frozenset(place for place, one in enumerate(tables) if one.otherwise_key or not _is_plain(one))
            return cls(tables, short, None, tuple(owner), tuple(begins), swept, special)
        return cls(tables, short, RowIndex(rows), tuple(owner), tuple(begins), swept)

    def sweeping(self, bit: int, vocabulary: Vocabulary) -> Swept:
        """What a pass needs to know of the row of this bit when its table is a simple one."""
        place = self.owner[bit]
        table, begin, end = self.tables[place], self.begins[place], self.begins[place + 1]
        first = table.table.hit is HitPolicy.FIRST
        # Of a *first* table the otherwise row is one more row, which always matches.
        simple = _is_plain(table) and not table.stops and (first or not table.otherwise_key)
        ready = ready_row(table, bit - begin, vocabulary) if simple else ("", None)
        single = ready[1] or ("", None, None)
        known = self.swept[bit] = (
            ready,
            table.order,
            end if simple else 0,
            table.table.kind,
            first,
            ready[0],
            *single,
        )
        return known

    def easy(self, kind: str) -> int:
        """The bits of rows that count for themselves on an item of this kind, and whose table waits for nothing."""
        known = self._easy.get(kind)
        if known is None:
            known = 0
            for place, table in enumerate(self.tables):
                simple = _is_plain(table) and not table.otherwise_key and not table.stops
                if simple and table.table.hit is not HitPolicy.FIRST and table.table.wait_s == 0:
                    mine = (1 << len(table.rows)) - 1
                    known |= mine << self.begins[place] if table.table.kind in (kind, "any") else 0
            if len(self._easy) <= len(ItemKind):
                self._easy[kind] = known
        return known

    def key(self, bit: int) -> str:
        """The key of the row with this bit."""
        place = self.owner[bit]
        return self.tables[place].rows[bit - self.begins[place]].key

    def rows_index(self) -> RowIndex:
        if self.index is not None:
            return self.index
        if self.short is None:
            # Two threads may do this at the same time: both come to the same.
            self.short = RowIndex([row for table in self.tables for row in table.rows])
        return self.short

    def _look_first(self, facts: Facts) -> Left:
        self.look = self.rows_index().straight
        return self.look(facts)

    def _look_of_many(self, facts: Facts) -> Left:
        """Raises `Unfit` when rules write what others of a long list read, which is looked at apart from the rest."""
        index = self.rows_index()
        if index.moving[0]:
            raise Unfit
        return index.straight(facts)

    def concerns(self, facts: Facts) -> bool:
        """Whether a table has something to do, or to say, although no row of it can match."""
        for place in self.special:
            compiled = self.tables[place]
            try:
                if compiled.runs_on(facts) and (compiled.otherwise_key or compiled.scope is not None):
                    return True
            except RulesError:
                return True
        return False


def _is_plain(table: CompiledTable) -> bool:
    """Whether every event of its kinds makes it run, on every item of its kind."""
    return table.scope is None and table.always == {kind.value for kind in table.kinds}


def index_of(compiled: CompiledTable) -> RowIndex:
    """The index of one table's rows, made when first needed."""
    index = compiled.made.get("index")
    if index is None:
        index = compiled.made["index"] = RowIndex(compiled.rows)
    return cast(RowIndex, index)
