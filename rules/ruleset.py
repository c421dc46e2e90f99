"""The rule list compiled: once per revision and process, sorted by the events its tables run on."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from rules.compiled import CompiledRow, CompiledTable
from rules.decision import Entry, Ready
from rules.facts import Facts
from rules.index import RowIndex
from rules.quick import Found, Match, match_rows
from rules.rearm import rearmed_rows
from rules.steps import ready_row
from rules.table import EVERY_TIME, HitPolicy
from rules.vocabulary import Vocabulary
from tickets.events import EventKind

#: From how many rows for one kind of event on an index pays (./run bench rules); fewer are generated code, a function
#: for each table: asking one of these takes as long as so many rows.
INDEX_FROM_ROWS = 250
ROWS_PER_TABLE = 8
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
    return RuleSet(revision, ordered, vocabulary, compiled, by_kind, rearms, again)


#: The row ready to fire, the place of its table in the list, the first bit behind the table or 0 when the table has
#: more to it than rows that count for themselves, and the kind of item it is for.
Swept: TypeAlias = tuple[Ready, int, int, str]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tables that events of one kind may run, in order, and for many rows the index of these.

    The index has a bit for each row, and one for each otherwise row, which is always possible."""

    tables: tuple[CompiledTable, ...]
    short_trace: bool = False  # keeps only the rows that decided
    index: RowIndex | None = None
    owner: tuple[int, ...] = ()  # bit -> place in `tables`
    begins: tuple[int, ...] = ()  # place in `tables` -> its first bit; one more for the end
    swept: list[Swept | None] = field(default_factory=list)  # by bit, made when first needed

    @classmethod
    def of(cls, tables: tuple[CompiledTable, ...], index_from: int, short_trace_from: int) -> Bucket:
        size = sum(len(one.rows) for one in tables)
        short = size >= short_trace_from
        if size + ROWS_PER_TABLE * len(tables) < index_from:
            return cls(tables, short)
        rows: list[CompiledRow | None] = []
        owner: list[int] = []
        begins: list[int] = []
        for place, table in enumerate(tables):
            begins.append(len(rows))
            rows += table.rows
            if table.otherwise_key:
                rows.append(None)
            owner += [place] * (len(rows) - len(owner))
        return cls(tables, short, RowIndex(rows), tuple(owner), (*begins, len(rows)), [None] * len(rows))

    def sweeping(self, bit: int, vocabulary: Vocabulary) -> Swept:
        """What a pass needs to know of the row of this bit when its table is a simple one."""
        place = self.owner[bit]
        table, begin, end = self.tables[place], self.begins[place], self.begins[place + 1]
        simple = (
            table.scope is None
            and not table.stops
            and not table.otherwise_key
            and table.always == {kind.value for kind in table.kinds}
            and (table.table.hit is HitPolicy.EVERY or len(table.rows) == 1)
        )
        ready = ready_row(table, bit - begin, vocabulary) if simple else ("", None)
        known = self.swept[bit] = ready, table.order, end if simple else 0, table.table.kind
        return known

    def first(self, facts: Facts) -> tuple[CompiledTable, Found | None] | None:
        """The first table that may have something to do, and what is found in it; None when certainly none has.

        Only for facts on which nothing was staged yet. It finds nothing out about a table that has more to it than
        rows, or that cannot be decided: such a table may have something to do."""
        item_kind, kind = facts.item.get("kind"), facts.event.get("kind")
        for compiled in self.tables:
            try:
                always = kind in compiled.always and compiled.table.kind in ("any", item_kind)
                if not always and not compiled.runs_on(facts):
                    continue
                if compiled.otherwise_key or compiled.scope is not None:
                    return compiled, None
                match = compiled.made.get("match") or match_of(compiled)
                found = cast(Match, match)(facts)
            except Exception:
                # What cannot be decided the pass itself says, with the reason.
                return compiled, None
            if found[0] or found[1]:
                return compiled, found
        return None


def match_of(compiled: CompiledTable) -> Match:
    """The rows of a table as generated code, made when first needed."""
    match = compiled.made.get("match")
    if match is None:
        match = compiled.made["match"] = match_rows(compiled.rows, first=compiled.table.hit is HitPolicy.FIRST)
    return cast(Match, match)
