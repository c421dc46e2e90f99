"""From a rule list and facts to a decision: which rows fire, what they plan, and why.

One pass in list order; each entry sees what earlier ones staged. Nothing is written, asked or sent here: a table that
depends on an answer still to come ends the pass with a `Wait`, and the caller comes back with `after`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeAlias

from rules.actions import plan, staged_by, step_sentence
from rules.errors import ActionRefused, ConditionFailed, RulesError, UnknownEntry, UnknownField
from rules.facts import Facts, Known, LookupKey, Missing, Reading
from rules.fields import Field, state_backed
from rules.fields import field as field_by_key
from rules.index import Asked, Possible, RowIndex
from rules.operators import OPERATORS, Looks, Operator, Takes, Test, list_names, type_for, with_lists
from rules.table import OTHERWISE, Clause, Condition, Group, GroupKind, HitPolicy, Row, Step, Table
from rules.templates import shown
from rules.trace import (
    MAX_SHOWN_CHARS,
    MAX_TRACED_ROWS,
    Done,
    EntryTrace,
    RowTrace,
    RowVerdict,
    Seen,
    Trace,
    Truth,
    Verdict,
    cut,
)
from rules.triggers import TRIGGERS, Matches
from rules.vocabulary import Vocabulary
from tickets.effects import Effect
from tickets.events import EventKind
from tickets.values import JSON, from_iso

#: Most effects that one chain of events may have, all its decisions together.
EFFECTS_PER_ROOT = 100
#: From how many rows for one kind of event on an index pays (./run bench rules).
INDEX_FROM_ROWS = 100
#: More rows than any rule list has: decided row by row.
NO_INDEX = 1 << 40
#: Most sentences one decision says about what it could not do.
MAX_NOTES = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the rule list: a table in one version. Its switch is `enabled`, whatever the table says."""

    code: str
    name: str
    version: int
    position: int
    enabled: bool = True
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """One step that a decision wants done. `reason` is a sentence: what held in its row."""

    row_key: str  # "A01/r3"
    code: str
    version: int
    row: str
    step: str
    action: str
    params: Mapping[str, JSON]
    effects: tuple[Effect, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The pass stopped at `entry`, which depends on these lookups. `seconds` None: it is never decided without them."""

    entry: str
    lookups: tuple[LookupKey, ...]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that could not be decided. `failed`: by an error, so that asking again will not help before a fix."""

    row_key: str
    lookups: tuple[LookupKey, ...]
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rule list says about one event.

    `fired` are the keys of all rows that fired, also those whose steps change nothing. `staged` are the state fields
    written so far, with their values then (None = emptied); give them back when resuming after a wait. `stopped` says
    why the rest of the list was not looked at, "" when it was."""

    planned: tuple[Planned, ...]
    fired: tuple[str, ...]
    trace: Trace
    staged: Mapping[str, JSON]
    wait: Wait | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A rule list, compiled once per revision and shared by all decisions: nothing in it changes."""

    revision: int
    entries: tuple[Entry, ...]
    vocabulary: Vocabulary = field(repr=False, compare=False)
    _compiled: tuple[_Compiled, ...] = field(repr=False, compare=False)
    _by_kind: Mapping[str, _Bucket] = field(repr=False, compare=False)


def compile_ruleset(
    revision: int, entries: Iterable[Entry], vocabulary: Vocabulary, *, index_from: int = INDEX_FROM_ROWS
) -> RuleSet:
    """The rule list ready to decide: entries in order, comparisons prepared, sorted by the events they run on.

    Never raises for a table that no longer fits the vocabulary (a connection that was removed): the rows concerned
    cannot be decided then, and say so. Events of a kind with `index_from` rows or more are decided with an index, which
    changes nothing but the time. Raises `ValueError` for two entries with one code."""
    ordered = tuple(sorted(entries, key=lambda entry: (entry.position, entry.code)))
    if len({entry.code for entry in ordered}) != len(ordered):
        raise ValueError("Two entries of the rule list have the same code")
    compiled = tuple(
        _Compiled.of(entry, order, entry.table, vocabulary)
        for order, entry in enumerate(ordered)
        if entry.enabled and entry.table is not None
    )
    # Kinds with the same tables share their bucket.
    buckets: dict[tuple[int, ...], _Bucket] = {}
    by_kind: dict[str, _Bucket] = {}
    for kind in EventKind:
        tables = tuple(one for one in compiled if kind in one.kinds)
        orders = tuple(one.order for one in tables)
        if orders not in buckets:
            buckets[orders] = _Bucket.of(tables, index_from)
        by_kind[kind.value] = buckets[orders]
    return RuleSet(revision, ordered, vocabulary, compiled, by_kind)


def decide(
    ruleset: RuleSet,
    facts: Facts,
    *,
    held: frozenset[str] = frozenset(),
    after: str | None = None,
    staged: Mapping[str, JSON] | None = None,
    wait_over: frozenset[str] = frozenset(),
    only_rows: frozenset[str] | None = None,
    effects_left: int = EFFECTS_PER_ROOT,
) -> Decision:
    """What the rule list says about one event.

    `held` are row keys that have fired for this root: they still match, and end a *first* table, but do nothing.
    `after` resumes AT this entry with what was `staged` before it; raises `UnknownEntry` when the list has it no more.
    `wait_over` are entries to be decided without the answers they waited for. `only_rows` decides just these rows
    again (a late answer): triggers are not asked then, all other rows count as held. At `effects_left` it stops."""
    run = _Pass(ruleset, facts, held, staged or {}, wait_over, only_rows, effects_left)
    return run.decide(after)


# Compiled form ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Undecided:
    """What a condition says when it can say neither yes nor no."""

    reason: str
    lookup: LookupKey | None = None
    worth_waiting: bool = False
    failed: bool = False


#: What something undecided may still turn out to be, one bit each: yes, no, undecided for good, failed for good.
_YES, _NO, _UNCLEAR, _FAILED = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class _Open:
    """Conditions that cannot be decided yet, or at all, and what they may become together.

    `may` counts the answers on their way, `may_at_last` those too that a table that never goes without waits for."""

    leaves: tuple[_Undecided, ...]
    may: int
    may_at_last: int

    @classmethod
    def leaf(cls, undecided: _Undecided) -> _Open:
        if undecided.failed:
            return cls((undecided,), _FAILED, _FAILED)
        return cls((undecided,), _YES | _NO if undecided.worth_waiting else _UNCLEAR, _YES | _NO)

    @property
    def failed(self) -> bool:
        """Whether an error is in it: of two reasons to be undecided that is the one that weighs."""
        return any(one.failed for one in self.leaves)

    def opposite(self) -> _Open:
        return _Open(self.leaves, _opposite(self.may), _opposite(self.may_at_last))


def _opposite(may: int) -> int:
    return (may & ~(_YES | _NO)) | (_NO if may & _YES else 0) | (_YES if may & _NO else 0)


def _both(one: int, other: int) -> int:
    """What "one and other" may become: no weighs most, then failed, then undecided."""
    # At least one is no; or none is and at least one failed; and so on down.
    result = (one | other) & _NO
    result |= _FAILED if (one | other) & _FAILED and one & ~_NO and other & ~_NO else 0
    calm_one, calm_other = one & (_YES | _UNCLEAR), other & (_YES | _UNCLEAR)
    result |= _UNCLEAR if (one | other) & _UNCLEAR and calm_one and calm_other else 0
    return result | (one & other & _YES)


_Answer: TypeAlias = bool | _Undecided
#: A row's truth: yes, no, or the conditions that could not be decided.
_RowTruth: TypeAlias = bool | _Open


@dataclass(frozen=True, slots=True)
class _All:
    """What must hold together: the conditions and groups of a row, the members of a group, a scope."""

    members: tuple[_Condition | _All | _Not, ...]

    def truth(self, look: _Look) -> _RowTruth:
        """Kleene's and: one no is no, whatever the others are."""
        undecided: _Open | None = None
        for member in self.members:
            answer = member.ask(look) if isinstance(member, _Condition) else member.truth(look)
            if answer is True:
                continue
            if answer is False:
                return False
            more = answer if isinstance(answer, _Open) else _Open.leaf(answer)
            if undecided is None:
                undecided = more
            else:
                undecided = _Open(
                    undecided.leaves + more.leaves,
                    _both(undecided.may, more.may),
                    _both(undecided.may_at_last, more.may_at_last),
                )
        return True if undecided is None else undecided


@dataclass(frozen=True, slots=True)
class _Not:
    """The opposite; what is undecided stays so."""

    member: _Condition | _All | _Not

    def truth(self, look: _Look) -> _RowTruth:
        answer = self.member.ask(look) if isinstance(self.member, _Condition) else self.member.truth(look)
        if isinstance(answer, bool):
            return not answer
        return (answer if isinstance(answer, _Open) else _Open.leaf(answer)).opposite()


_GROUP_WORDS = {GroupKind.ALL: "All of", GroupKind.ANY: "One of", GroupKind.NONE: "None of"}


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of a row, and its conditions one by one for the trace, each with its place and the words before it."""

    node: _All | _Not
    words: str  # "one of (Topic is Refund; Channel is Chat)"
    leaves: tuple[tuple[_Condition, str, str], ...]

    @classmethod
    def of(cls, group: Group, place: str, prefix: str, vocabulary: Vocabulary) -> _Group:
        prefix += _GROUP_WORDS[group.kind] + ": "
        members: list[_Condition | _All | _Not] = []
        words: list[str] = []
        leaves: list[tuple[_Condition, str, str]] = []
        for number, member in enumerate(group.members, 1):
            if isinstance(member, Group):
                inner = cls.of(member, f"{place}.{number}", prefix, vocabulary)
                members.append(inner.node)
                words.append(inner.words)
                leaves += inner.leaves
            else:
                condition = _Condition.of_clause(member, vocabulary)
                members.append(condition)
                words.append(condition.words)
                leaves.append((condition, place, prefix))
        node: _All | _Not = _All(tuple(members))
        if group.kind is not GroupKind.ALL:
            node = _All(tuple(_Not(member) for member in members))
        if group.kind is GroupKind.ANY:
            node = _Not(node)
        return cls(node, f"{_GROUP_WORDS[group.kind].lower()} ({'; '.join(words)})", tuple(leaves))


@dataclass(frozen=True, slots=True)
class _Condition:
    column: str
    name: str  # the field's key
    operator: Operator
    operand: JSON
    field: Field | None
    test: Test | None
    expected: str  # "is any of Gold, Platinum"
    broken: str = ""  # why it can never be decided in this vocabulary

    @classmethod
    def of(cls, name: str, found: Field | str, cell: Condition, vocabulary: Vocabulary) -> _Condition:
        """The cell on the field called `name`; `found` is that field, or why there is none."""
        operator = OPERATORS[cell.op]
        if isinstance(found, str):
            expected = _expected(operator, cell.value, None, vocabulary)
            return cls(cell.column, name, operator, cell.value, None, None, expected, found)
        expected = _expected(operator, cell.value, found, vocabulary)
        try:
            operand = with_lists(cell.value, vocabulary.lists)
            test = operator.test(type_for(operator, found.type, operand), operand)
        except ConditionFailed as error:
            return cls(cell.column, name, operator, cell.value, None, None, expected, str(error))
        if operand == [] and list_names(cell.value):
            # Nothing is in the list: nothing is one of these, everything is none of these, nothing holds all of them.
            test = _constant(operator.when_missing)
        return cls(cell.column, name, operator, operand, found, test, expected)

    @classmethod
    def of_clause(cls, clause: Clause, vocabulary: Vocabulary) -> _Condition:
        found = _field_or_reason(clause.field, vocabulary)
        return cls.of(clause.field, found, Condition("", clause.op, clause.value), vocabulary)

    @property
    def words(self) -> str:
        return f"{self.field.label if self.field is not None else self.name} {self.expected}"

    def ask(self, look: _Look) -> _Answer:
        """Yes, no or undecided. Anything that goes wrong in here makes it undecided, with the reason."""
        found, test = self.field, self.test
        if found is None or test is None:
            return _Undecided(self.broken, failed=True)
        try:
            if self.operator.looks is Looks.CHANGE:
                change = look.change(found.state_key)
                return self.operator.when_missing if change is None else test(change)
            reading = look.read(found)
            if isinstance(reading, Known):
                return test(reading.value if self.operator.looks is Looks.VALUE else look.age_s(self.operator, reading))
            if isinstance(reading, Missing):
                return self.operator.when_missing
            return _Undecided(reading.reason, reading.lookup, reading.worth_waiting)
        except RulesError as error:
            return _Undecided(f"{found.label}: {error}", failed=True)
        except Exception as error:
            # A fault of ours in one comparison must not look like "no match" to anybody, nor stop the other rows.
            return _Undecided(f"{found.label}: {type(error).__name__}: {cut(str(error))}", failed=True)


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    row: Row
    number: int
    conditions: tuple[_Condition, ...]
    groups: tuple[_Group, ...]
    all: _All

    @classmethod
    def of(cls, key: str, row: Row, number: int, conditions: tuple[_Condition, ...], vocabulary: Vocabulary) -> _Row:
        groups = tuple(_Group.of(group, str(place), "", vocabulary) for place, group in enumerate(row.groups, 1))
        return cls(key, row, number, conditions, groups, _All((*conditions, *(group.node for group in groups))))

    def truth(self, look: _Look) -> _RowTruth:
        return self.all.truth(look)


@dataclass(frozen=True, slots=True)
class _Compiled:
    entry: Entry
    order: int
    table: Table
    rows: tuple[_Row, ...]
    otherwise_key: str  # "" when there is none
    actions: Mapping[str, str]  # step column -> action
    triggers: tuple[tuple[frozenset[EventKind], Matches], ...]
    kinds: frozenset[EventKind]
    keys: frozenset[str]
    scope: _Group | None

    @classmethod
    def of(cls, entry: Entry, order: int, table: Table, vocabulary: Vocabulary) -> _Compiled:
        names = {column.id: column.field for column in table.columns}
        found = {id: _field_or_reason(name, vocabulary) for id, name in names.items()}
        rows = tuple(
            _Row.of(
                f"{entry.code}/{row.id}",
                row,
                number,
                tuple(
                    _Condition.of(names[cell.column], found[cell.column], cell, vocabulary) for cell in row.conditions
                ),
                vocabulary,
            )
            for number, row in enumerate(table.rows, 1)
        )
        triggers = []
        for trigger in table.triggers:
            record = TRIGGERS[trigger.on]
            try:
                triggers.append((record.kinds, record.matcher(trigger.params, vocabulary)))
            except UnknownField:
                # A field that is gone cannot change any more, so this trigger cannot come again.
                continue
        otherwise_key = f"{entry.code}/{OTHERWISE}" if table.otherwise is not None else ""
        return cls(
            entry,
            order,
            table,
            rows,
            otherwise_key,
            {step.id: step.do for step in table.steps},
            tuple(triggers),
            frozenset(chain.from_iterable(kinds for kinds, _ in triggers)),
            frozenset(row.key for row in rows) | ({otherwise_key} if otherwise_key else frozenset()),
            _Group.of(Group(GroupKind.ALL, table.scope), "", "", vocabulary) if table.scope else None,
        )

    def covers(self, look: _Look) -> bool:
        """Whether the item, as earlier rules left it, is in the table's scope. Raises `ConditionFailed`."""
        if self.scope is None:
            return True
        truth = self.scope.node.truth(look)
        if isinstance(truth, bool):
            return truth
        raise ConditionFailed(f"scope: {truth.leaves[0].reason}")

    def runs_on(self, facts: Facts) -> bool:
        """Whether this event on this kind of item makes the table run."""
        if self.table.kind not in ("any", facts.item.get("kind")):
            return False
        kind = facts.event.get("kind")
        return any(kind in kinds and matches(facts) for kinds, matches in self.triggers)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """The tables that events of one kind may run, in order, and for many rows the index of these.

    The index has a bit for each row, and one for each otherwise row, which is always possible."""

    tables: tuple[_Compiled, ...]
    index: RowIndex | None = None
    owner: tuple[int, ...] = ()  # bit -> place in `tables`
    begins: tuple[int, ...] = ()  # place in `tables` -> its first bit

    @classmethod
    def of(cls, tables: tuple[_Compiled, ...], index_from: int) -> _Bucket:
        if sum(len(one.rows) for one in tables) < index_from:
            return cls(tables)
        rows: list[list[Asked]] = []
        owner: list[int] = []
        begins: list[int] = []
        for place, table in enumerate(tables):
            begins.append(len(rows))
            rows += [list(_asked(row)) for row in table.rows]
            if table.otherwise_key:
                rows.append([])
            owner += [place] * (len(rows) - len(owner))
        return cls(tables, RowIndex(rows), tuple(owner), tuple(begins))


def _asked(row: _Row) -> Iterator[Asked]:
    """The conditions that the row cannot match without, as far as an index can know them."""
    waiting: list[_Condition | _All | _Not] = list(row.all.members)
    while waiting:
        member = waiting.pop()
        if isinstance(member, _All):
            waiting += member.members
        elif isinstance(member, _Condition) and member.field is not None and member.field.type is not None:
            yield Asked(member.field, member.operator, member.operand)


class _Look:
    """Facts with what was staged so far; each field is read once until a staged write touches it."""

    def __init__(self, facts: Facts, staged: Mapping[str, JSON]) -> None:
        self.facts = facts.with_state(staged)
        self.staged_by: dict[str, str] = dict.fromkeys(staged, "earlier rules")
        self._readings: dict[str, tuple[Field, Reading]] = {}
        changes = facts.event.get("changes")
        self._changes: Mapping[str, JSON] = changes if isinstance(changes, Mapping) else {}

    def read(self, field: Field) -> Reading:
        known = self._readings.get(field.key)
        if known is not None:
            return known[1]
        reading = field.read(self.facts)
        if isinstance(reading, Known) and field.state_key in self.staged_by:
            reading = replace(reading, source=self.staged_by[field.state_key])
        self._readings[field.key] = (field, reading)
        return reading

    def change(self, state_key: str) -> JSON:
        """[before, after] when this event changed the field. What rules stage is another event's change."""
        return self._changes.get(state_key)

    def age_s(self, operator: Operator, reading: Known) -> float:
        """How long before now the value is, or was fetched, in seconds. Raises `ConditionFailed` for no time."""
        since = reading.value if operator.looks is Looks.AGE else reading.at
        try:
            return (from_iso(self.facts.now) - from_iso(str(since))).total_seconds()
        except ValueError:
            if operator.looks is Looks.FETCHED:
                raise ConditionFailed("nobody noted when it was fetched") from None
            raise ConditionFailed(f"{cut(repr(since))} is not a time with a zone") from None

    def stage(self, written: Mapping[str, JSON], row_key: str) -> None:
        if not written:
            return
        self.facts = self.facts.with_state(written)
        self.staged_by.update(dict.fromkeys(written, row_key))
        self._readings = {
            key: (field, reading) for key, (field, reading) in self._readings.items() if field.reads.isdisjoint(written)
        }


# One pass ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Outcome:
    """What the rows of one table say together, before any step is planned."""

    truths: list[_RowTruth]  # of the rows looked at, in order
    fires: list[_Row]
    otherwise: bool
    verdicts: dict[str, RowVerdict]
    rows: Sequence[_Row] = ()  # those looked at, with `truths` beside them; all others are certainly false
    wait_for: tuple[LookupKey, ...] = ()
    undecided: bool = False  # "never without it": nothing fires although no wait helps
    parked: bool = False


class _Pass:
    def __init__(
        self,
        ruleset: RuleSet,
        facts: Facts,
        held: frozenset[str],
        staged: Mapping[str, JSON],
        wait_over: frozenset[str],
        only_rows: frozenset[str] | None,
        effects_left: int,
    ) -> None:
        self.ruleset, self.vocabulary = ruleset, ruleset.vocabulary
        self.look = _Look(facts, staged)
        self.held, self.wait_over, self.only_rows, self.effects_left = held, wait_over, only_rows, effects_left
        self.staged: dict[str, JSON] = dict(staged)
        self.planned: list[Planned] = []
        self.fired: list[str] = []
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self.entries: list[EntryTrace] = []
        self.wait: Wait | None = None
        self.stopped = ""
        self.unmatched_left = self.deciding_left = MAX_TRACED_ROWS
        self.possible: Possible | None = None  # set once the tables of an indexed bucket are gone through
        self.first_bit = 0  # of the table being decided

    def decide(self, after: str | None) -> Decision:
        for compiled in self._tables(after):
            if self.only_rows is not None and compiled.keys.isdisjoint(self.only_rows):
                continue
            try:
                if self.only_rows is None and not compiled.runs_on(self.look.facts):
                    continue
                if not compiled.covers(self.look):
                    continue
            except RulesError as error:
                self.entries.append(self.unclear(compiled, str(error)))
                continue
            trace = self.table(compiled)
            if self.possible is None or trace.verdict is not Verdict.NOT_MATCHED:
                self.entries.append(trace)
            if self.wait is not None or self.stopped:
                break
        return Decision(
            tuple(self.planned),
            tuple(self.fired),
            Trace(self.ruleset.revision, tuple(self.entries)),
            self.staged,
            self.wait,
            tuple(self.skipped),
            tuple(self.notes),
            self.stopped,
        )

    def _tables(self, after: str | None) -> Iterator[_Compiled]:
        """The tables to decide, in order; with an index only those of which a row can match when their turn comes."""
        kind = str(self.look.facts.event.get("kind"))
        bucket = self.ruleset._by_kind.get(kind, _Bucket(()))
        least = 0 if after is None else self._order_of(after)
        if self.only_rows is not None or bucket.index is None:
            tables = self.ruleset._compiled if self.only_rows is not None else bucket.tables
            yield from [one for one in tables if one.order >= least]
            return
        self.possible = bucket.index.start(self.look)
        bit = next((begin for begin, one in zip(bucket.begins, bucket.tables, strict=True) if one.order >= least), None)
        while bit is not None and (left := self.possible.rows >> bit):
            place = bucket.owner[bit + (left & -left).bit_length() - 1]
            self.first_bit = bucket.begins[place]
            yield bucket.tables[place]
            bit = bucket.begins[place + 1] if place + 1 < len(bucket.begins) else None

    def _order_of(self, code: str) -> int:
        for order, entry in enumerate(self.ruleset.entries):
            if entry.code == code:
                return order
        raise UnknownEntry(f"The rule list (revision {self.ruleset.revision}) has no entry {code!r} to go on at.")

    def note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(cut(text))
        elif len(self.notes) == MAX_NOTES:
            self.notes.append("More could not be decided; the trace says what.")

    def unclear(self, compiled: _Compiled, reason: str) -> EntryTrace:
        """An entry of which nobody can say whether the event is for it."""
        entry = compiled.entry
        self.note(f"{entry.code}: its trigger could not be decided: {reason}")
        return EntryTrace(entry.code, entry.name, entry.version, Verdict.PARKED, reason=cut(reason))

    def table(self, compiled: _Compiled, *, full: bool = False) -> EntryTrace:
        """Decide one table: settle its rows, plan the steps of those that fire, say why."""
        entry = compiled.entry
        outcome = self.settle(compiled)
        # Before anything is staged: the trace shows what the conditions saw.
        traces = self.row_traces(compiled, outcome, full=full)
        if outcome.wait_for:
            self.wait = Wait(entry.code, outcome.wait_for, compiled.table.wait_s)
        self.report_skipped(compiled, outcome)
        for row in outcome.fires:
            reason = _because(row)
            self.fire(compiled, outcome, row.key, row.row.id, row.row.steps, reason, traces)
            if self.stopped or outcome.parked:
                break
        if outcome.otherwise and not self.stopped:
            steps = compiled.table.otherwise or ()
            self.fire(compiled, outcome, compiled.otherwise_key, OTHERWISE, steps, "No row matched", traces)
        verdict = self.verdict(outcome)
        return EntryTrace(
            entry.code,
            entry.name,
            entry.version,
            verdict,
            tuple(traces.kept.values()),
            traces.omitted,
            self.stopped if verdict is Verdict.STOPPED else "",
            tuple(key.name for key in outcome.wait_for),
        )

    # settling ---------------------------------------------------------------------------------------------------

    def can_fire(self, key: str) -> bool:
        return bool(key) and key not in self.held and (self.only_rows is None or key in self.only_rows)

    def settle(self, compiled: _Compiled) -> _Outcome:
        """Which rows fire, wait, are skipped. Looks at no row behind the one that decides a *first* table."""
        first = compiled.table.hit is HitPolicy.FIRST
        truths: list[_RowTruth] = []
        rows = self.rows_to_ask(compiled)
        for row in rows:
            truth = row.truth(self.look)
            truths.append(truth)
            if first and (truth is True or _certainly_failed(truth)):
                break
        never_without = compiled.table.wait_s is None
        matter = self.rows_that_matter(compiled, rows, truths, first=first, never_without=never_without)
        may_wait = never_without or compiled.table.wait_s != 0
        wait_for: tuple[LookupKey, ...] = ()
        if matter and may_wait and compiled.entry.code not in self.wait_over:
            wait_for = tuple(dict.fromkeys(key for at in matter for key in _awaited(truths[at])))
        undecided = never_without and bool(matter) and not wait_for
        outcome = _Outcome(truths, [], False, {}, rows, wait_for, undecided)
        matched = False
        for at, (row, truth) in enumerate(zip(rows, truths, strict=False)):
            if truth is False:
                outcome.verdicts[row.key] = RowVerdict.NOT_MATCHED
            elif truth is True:
                matched = True
                fires = self.can_fire(row.key)
                idle = RowVerdict.NOT_REACHED if fires else RowVerdict.HELD
                if fires and not wait_for and not undecided:
                    outcome.fires.append(row)
                outcome.verdicts[row.key] = RowVerdict.WAITING if fires and wait_for else idle
            elif wait_for and at in matter:
                outcome.verdicts[row.key] = RowVerdict.WAITING
            elif truth.failed:
                outcome.verdicts[row.key] = RowVerdict.FAILED
                outcome.parked = outcome.parked or (first and not wait_for)
                if outcome.parked:
                    break
            else:
                outcome.verdicts[row.key] = RowVerdict.SKIPPED
        blocked = matched or outcome.parked or bool(wait_for) or undecided
        outcome.otherwise = not blocked and self.can_fire(compiled.otherwise_key)
        return outcome

    def rows_to_ask(self, compiled: _Compiled) -> Sequence[_Row]:
        """All rows; with an index those that can match."""
        if self.possible is None:
            return compiled.rows
        left = (self.possible.rows >> self.first_bit) & ((1 << len(compiled.rows)) - 1)
        rows: list[_Row] = []
        while left:
            lowest = left & -left
            rows.append(compiled.rows[lowest.bit_length() - 1])
            left ^= lowest
        return rows

    def rows_that_matter(
        self,
        compiled: _Compiled,
        rows: Sequence[_Row],
        truths: Sequence[_RowTruth],
        *,
        first: bool,
        never_without: bool,
    ) -> set[int]:
        """The undecided rows whose answer could still change what fires, by their place.

        A row counts when it may still turn out in two ways that differ in what fires. In a *first* table it fires, or
        ends the table (held or failed), or lets the rows behind it decide. A table that is never decided without its
        lookups counts failed ones too."""
        otherwise = self.can_fire(compiled.otherwise_key) and not any(truth is True for truth in truths)
        matter: set[int] = set()
        if not first:
            for at, truth in enumerate(truths):
                if isinstance(truth, bool) or not _could_match(truth, never_without):
                    continue
                # A match takes the otherwise row away, even when the row itself has fired before.
                if self.can_fire(rows[at].key) or otherwise:
                    matter.add(at)
            return matter
        reached = len(truths)  # rows from here on are never reached: one before them surely ends the table
        for at, truth in enumerate(truths):
            if truth is True or (truth is not False and not _may(truth, never_without) & (_NO | _UNCLEAR)):
                reached = at + 1
                break
        behind = otherwise and reached == len(truths) and not (truths and _certainly_failed(truths[-1]))
        for at in range(reached - 1, -1, -1):
            truth = truths[at]
            if isinstance(truth, bool):
                behind = self.can_fire(rows[at].key) if truth else behind
                continue
            may = _may(truth, never_without)
            fires, passes = bool(may & _YES) and self.can_fire(rows[at].key), bool(may & (_NO | _UNCLEAR))
            ends = bool(may & _FAILED) or (bool(may & _YES) and not fires)
            if (fires and (ends or passes)) or (ends and passes and behind):
                matter.add(at)
            behind = fires or (passes and behind)
        return matter

    def report_skipped(self, compiled: _Compiled, outcome: _Outcome) -> None:
        """Say which rows could not be decided, and that the table went on without an answer."""
        if outcome.wait_for:
            return  # it will be decided when the wait is over, and say so then
        without: dict[str, str] = {}
        for row, truth in zip(outcome.rows, outcome.truths, strict=False):
            verdict = outcome.verdicts.get(row.key)
            if isinstance(truth, bool) or verdict not in (RowVerdict.SKIPPED, RowVerdict.FAILED):
                continue
            failed = verdict is RowVerdict.FAILED
            reasons = [one.reason for one in truth.leaves if one.failed or not failed]
            lookups = tuple(dict.fromkeys(one.lookup for one in truth.leaves if one.lookup is not None))
            if self.can_fire(row.key):
                self.skipped.append(Skipped(row.key, lookups, cut("; ".join(dict.fromkeys(reasons))), failed))
            if failed:
                self.note(f"{row.key} could not be decided: {reasons[0]}")
            else:
                for one in truth.leaves:
                    without.setdefault(one.lookup.name if one.lookup else one.reason, one.reason)
        if without:
            done = "not decided: it never goes without" if outcome.undecided else "decided without"
            self.note(f"{compiled.entry.code} was {done} {', '.join(without)}")

    # firing -----------------------------------------------------------------------------------------------------

    def fire(
        self,
        compiled: _Compiled,
        outcome: _Outcome,
        key: str,
        row_id: str,
        steps: Sequence[Step],
        reason: str,
        traces: _RowTraces,
    ) -> None:
        """Plan a row's steps, all or none of them, each seeing what the ones before it staged."""
        facts, staged, planned, done = self.look.facts, {}, [], []
        entry = compiled.entry
        for step in steps:
            action = compiled.actions[step.column]
            try:
                effects = plan(action, step.params, facts, self.vocabulary)
            except ActionRefused as error:
                self.refuse(compiled, outcome, key, f"{step_sentence(action, step.params, self.vocabulary)}: {error}")
                traces.conclude(key, RowVerdict.FAILED, (), str(error))
                return
            written = staged_by(effects, facts)
            done.append(self.done(step, action, effects, written, facts))
            if effects:
                planned.append(
                    Planned(key, entry.code, entry.version, row_id, step.column, action, step.params, effects, reason)
                )
            facts = facts.with_state(written)
            staged.update(written)
        count = sum(len(one.effects) for one in planned)
        if count > self.effects_left:
            self.stopped = (
                f"Stopped at {key}: this chain of events has reached its limit of effects. "
                "Nothing of this row and of the rest of the list was done."
            )
            self.note(self.stopped)
            outcome.verdicts[key] = RowVerdict.STOPPED
            traces.conclude(key, RowVerdict.STOPPED, (), self.stopped)
            return
        self.effects_left -= count
        self.planned.extend(planned)
        self.fired.append(key)
        self.staged.update(staged)
        self.look.stage(staged, key)
        if self.possible is not None and staged:
            self.possible.staged(staged)
        outcome.verdicts[key] = RowVerdict.FIRED
        traces.conclude(key, RowVerdict.FIRED, tuple(done), reason)

    def refuse(self, compiled: _Compiled, outcome: _Outcome, key: str, reason: str) -> None:
        outcome.verdicts[key] = RowVerdict.FAILED
        outcome.parked = outcome.parked or compiled.table.hit is HitPolicy.FIRST
        self.skipped.append(Skipped(key, (), cut(reason), failed=True))
        self.note(f"{key} could not be done: {reason}")

    def done(
        self, step: Step, action: str, effects: Sequence[Effect], written: Mapping[str, JSON], facts: Facts
    ) -> Done:
        changes = tuple(
            (key, self.state_words(key, facts.item.get(key)), self.state_words(key, value))
            for key, value in written.items()
        )
        sentence = step_sentence(action, step.params, self.vocabulary)
        if not effects:
            sentence += " (nothing to change)"
        return Done(step.column, action, cut(sentence), changes, len(effects))

    def state_words(self, state_key: str, value: JSON) -> str:
        return "" if value is None else cut(shown(state_backed(state_key, self.vocabulary), value))

    def verdict(self, outcome: _Outcome) -> Verdict:
        rows = set(outcome.verdicts.values())
        if outcome.wait_for:
            return Verdict.WAITING
        if self.stopped:
            return Verdict.STOPPED
        if outcome.parked:
            return Verdict.PARKED
        if RowVerdict.FIRED in rows:
            return Verdict.MATCHED
        if RowVerdict.HELD in rows:
            return Verdict.HELD
        if outcome.undecided or not rows.isdisjoint({RowVerdict.SKIPPED, RowVerdict.FAILED}):
            return Verdict.SKIPPED
        return Verdict.NOT_MATCHED

    # tracing ----------------------------------------------------------------------------------------------------

    def row_traces(self, compiled: _Compiled, outcome: _Outcome, *, full: bool) -> _RowTraces:
        """The rows looked at, as many as the trace has room for; with `full` all rows, and all their conditions."""
        traces = _RowTraces(compiled)
        rows = compiled.rows if full else outcome.rows
        if len(rows) < len(compiled.rows):
            # Those before the last one looked at were looked at too, all at once.
            ended = bool(outcome.truths) and compiled.table.hit is HitPolicy.FIRST and _ends(outcome.truths[-1])
            traces.omitted = (rows[len(outcome.truths) - 1].number if ended else len(compiled.rows)) - len(
                outcome.truths
            )
        for at, row in enumerate(rows):
            reached = at < len(outcome.truths) and row.key in outcome.verdicts
            if not reached and not full:
                break
            truth = outcome.truths[at] if at < len(outcome.truths) else row.truth(self.look)
            verdict = outcome.verdicts.get(row.key, RowVerdict.NOT_REACHED)
            indexed = self.possible is not None and verdict is RowVerdict.NOT_MATCHED
            if not full and (indexed or not self.has_room(verdict)):
                traces.omitted += 1
                continue
            seen: list[Seen] = []
            for condition in row.conditions:
                one = _seen(condition, self.look, self.vocabulary)
                seen.append(one)
                if one.truth is Truth.FALSE and not full:
                    break
            else:
                seen += self.group_traces(row, full=full)
            reason = (
                "" if isinstance(truth, bool) else cut("; ".join(dict.fromkeys(one.reason for one in truth.leaves)))
            )
            if verdict is RowVerdict.HELD:
                reason = "It matched, but had fired before in this chain of events."
            traces.kept[row.key] = RowTrace(row.row.id, row.number, verdict, _truth(truth), tuple(seen), (), reason)
        return traces

    def group_traces(self, row: _Row, *, full: bool) -> list[Seen]:
        """The conditions in the groups of a row, up to the end of the first group that does not hold."""
        seen: list[Seen] = []
        for group in row.groups:
            for condition, place, prefix in group.leaves:
                one = _seen(condition, self.look, self.vocabulary)
                seen.append(replace(one, label=prefix + one.label, group=place))
            if not full and group.node.truth(self.look) is False:
                break
        return seen

    def has_room(self, verdict: RowVerdict) -> bool:
        """Whether one more row is kept. Rows that did not match have their own bound: they push no deciding row out."""
        if verdict is RowVerdict.NOT_MATCHED:
            self.unmatched_left -= 1
            return self.unmatched_left >= 0
        self.deciding_left -= 1
        return self.deciding_left >= 0


class _RowTraces:
    """The row traces of one entry while its rows fire. `omitted` rows were looked at but not kept."""

    def __init__(self, compiled: _Compiled) -> None:
        self.compiled = compiled
        self.kept: dict[str, RowTrace] = {}
        self.omitted = 0

    def conclude(self, key: str, verdict: RowVerdict, steps: tuple[Done, ...], reason: str) -> None:
        """What became of a row that matched. The otherwise row has no trace of its own before this."""
        if key == self.compiled.otherwise_key:
            self.kept[key] = RowTrace(OTHERWISE, 0, verdict, Truth.TRUE)
        before = self.kept.get(key)
        if before is None:
            return  # over the bound, and counted in `omitted`
        self.kept[key] = replace(before, verdict=verdict, steps=steps, reason=cut(reason))


def _ends(truth: _RowTruth) -> bool:
    """Whether a *first* table looks at no row behind this one."""
    return truth is True or _certainly_failed(truth)


def _certainly_failed(truth: _RowTruth) -> bool:
    """Whether an error keeps the row undecided whatever is answered: a *first* table ends there."""
    return not isinstance(truth, bool) and truth.may == _FAILED


def _awaited(truth: _RowTruth) -> tuple[LookupKey, ...]:
    """The lookups of a row whose answer is on its way."""
    if isinstance(truth, bool):
        return ()
    return tuple(one.lookup for one in truth.leaves if one.lookup is not None and one.worth_waiting)


def _may(truth: _Open, never_without: bool) -> int:
    """What an undecided row may still turn out to be. A failed one waits for answers on their way only."""
    return truth.may_at_last if never_without and not truth.failed else truth.may


def _could_match(truth: _Open, never_without: bool) -> bool:
    """Whether answers could make this row match: all that it lacks is on its way, or is to be had without fail."""
    return bool(_may(truth, never_without) & _YES)


def _truth(truth: _RowTruth) -> Truth:
    return Truth.UNKNOWN if not isinstance(truth, bool) else Truth.TRUE if truth else Truth.FALSE


def _field_or_reason(name: str, vocabulary: Vocabulary) -> Field | str:
    try:
        return field_by_key(name, vocabulary)
    except UnknownField as error:
        return str(error)


def _constant(answer: bool) -> Test:
    return lambda _value: answer


def _expected(operator: Operator, operand: JSON, found: Field | None, vocabulary: Vocabulary) -> str:
    """The operator's sentence with the operand in words; no more of a long list than a trace shows."""
    values = operand if isinstance(operand, (list, tuple)) else (operand,)
    plain = found is None or operator.takes is not Takes.VALUES
    words = []
    for one in values[:MAX_SHOWN_CHARS]:
        if named := list_names(one):
            listed = vocabulary.lists.get(named[0])
            words.append(f"the list {listed.label if listed else named[0]}")
        else:
            words.append(str(one) if plain or found is None else shown(found, one))
    return cut(operator.sentence.replace("{value}", (" and " if operator.key == "between" else ", ").join(words)))


def _because(row: _Row) -> str:
    """What held, as a sentence: "Channel is E-mail, Topic is Refund"."""
    parts = [condition.words for condition in row.conditions] + [group.words for group in row.groups]
    return cut("; ".join(parts)) if parts else "The row has no conditions"


def _seen(condition: _Condition, look: _Look, vocabulary: Vocabulary) -> Seen:
    """One condition as the trace shows it. Reads what was read before, so it says what the decision saw."""
    answer = condition.ask(look)
    found = condition.field
    label = found.label if found is not None else condition.name
    actual = source = at = reason = ""
    if isinstance(answer, _Undecided):
        reason, truth = answer.reason, Truth.UNKNOWN
    else:
        truth = Truth.TRUE if answer else Truth.FALSE
    if found is not None and condition.operator.looks is Looks.CHANGE:
        change = look.change(found.state_key)
        source, at = "event", str(look.facts.event.get("at", ""))
        if isinstance(change, (list, tuple)) and len(change) == 2:
            before, after = (shown(found, one) if one is not None else "nothing" for one in change)
            actual = f"{before} → {after}"
        else:
            reason = reason or "This event did not change it"
    elif found is not None and not (isinstance(answer, _Undecided) and answer.failed):
        reading = look.read(found)
        if isinstance(reading, Known):
            actual, source, at = shown(found, reading.value), reading.source, reading.at
        else:
            reason, source = reading.reason, found.lookup
    return Seen(
        condition.column,
        condition.name,
        label,
        condition.operator.key,
        condition.expected,
        cut(actual),
        source,
        at,
        truth,
        cut(reason),
    )


def explain_entry(
    entry: Entry,
    facts: Facts,
    vocabulary: Vocabulary,
    *,
    held: frozenset[str],
    staged: Mapping[str, JSON],
    wait_over: bool,
    effects_left: int,
) -> EntryTrace:
    """What `rules.explain.explain` shows: the decision about this one entry, with every row and condition kept."""
    ruleset = compile_ruleset(0, [replace(entry, enabled=True)], vocabulary, index_from=NO_INDEX)
    over = frozenset({entry.code}) if wait_over else frozenset()
    run = _Pass(ruleset, facts, held, staged, over, None, effects_left)
    if not ruleset._compiled:
        return EntryTrace(entry.code, entry.name, entry.version, Verdict.NOT_TRIGGERED, reason="It is no table.")
    compiled = ruleset._compiled[0]
    try:
        triggered = entry.enabled and compiled.runs_on(run.look.facts)
        covered = compiled.covers(run.look)
    except RulesError as error:
        rows = tuple(run.row_traces(compiled, _Outcome([], [], False, {}), full=True).kept.values())
        return replace(run.unclear(compiled, str(error)), rows=rows)
    if triggered and covered:
        return run.table(compiled, full=True)
    idle = _Outcome([], [], False, {})
    rows = tuple(run.row_traces(compiled, idle, full=True).kept.values())
    reason = "This event is none of its triggers." if entry.enabled else ""
    if triggered and compiled.scope is not None:
        reason = cut(f"The ticket is out of its scope: {compiled.scope.words}.")
    return EntryTrace(entry.code, entry.name, entry.version, Verdict.NOT_TRIGGERED, rows, 0, reason)
