"""One pass in list order: each entry sees what earlier ones staged. Nothing is written, asked or sent here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rules.actions import plan, staged_by, step_sentence
from rules.compiled import CompiledRow, CompiledTable, because
from rules.decision import Decision, Planned, Skipped, Wait
from rules.errors import ActionRefused, RulesError, UnknownEntry
from rules.facts import Facts, LookupKey
from rules.fields import state_backed
from rules.index import Possible
from rules.look import Look
from rules.rearm import held_by_ledger
from rules.ruleset import Bucket, RuleSet
from rules.table import OTHERWISE, HitPolicy, Step
from rules.templates import shown
from rules.trace import MAX_TRACED_ROWS, Done, EntryTrace, RowTrace, RowVerdict, Seen, Trace, Truth, Verdict, cut
from rules.tracing import RowTraces, seen_at
from rules.truth import (
    FAILED,
    NO,
    UNCLEAR,
    YES,
    RowTruth,
    awaited,
    certainly_failed,
    could_match,
    ends,
    may_become,
    truth_of,
)
from tickets.effects import Effect
from tickets.values import JSON

#: Most sentences one decision says about what it could not do.
MAX_NOTES = 50


@dataclass(slots=True)
class Outcome:
    """What the rows of one table say together, before any step is planned."""

    truths: list[RowTruth]  # of the rows looked at, in order
    fires: list[CompiledRow]
    otherwise: bool
    verdicts: dict[str, RowVerdict]
    rows: Sequence[CompiledRow] = ()  # those looked at, with `truths` beside them; all others are certainly false
    wait_for: tuple[LookupKey, ...] = ()
    undecided: bool = False  # "never without it": nothing fires although no wait helps
    parked: bool = False


class Pass:
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
        self.ruleset = ruleset
        self.vocabulary = ruleset.vocabulary.of(str(facts.item.get("kind", ruleset.vocabulary.kind)))
        self.look = Look(facts, staged)
        self.because = held_by_ledger(ruleset.rearms, facts) if facts.ledger else {}
        self.held = held | self.because.keys()
        self.wait_over, self.only_rows, self.effects_left = wait_over, only_rows, effects_left
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

    def _tables(self, after: str | None) -> Iterator[CompiledTable]:
        """The tables to decide, in order; with an index only those of which a row can match when their turn comes."""
        kind = str(self.look.facts.event.get("kind"))
        bucket = self.ruleset.by_kind.get(kind, Bucket(()))
        least = 0 if after is None else self._order_of(after)
        if self.only_rows is not None or bucket.index is None:
            tables = self.ruleset.tables if self.only_rows is not None else bucket.tables
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

    def unclear(self, compiled: CompiledTable, reason: str) -> EntryTrace:
        """An entry of which nobody can say whether the event is for it."""
        entry = compiled.entry
        self.note(f"{entry.code}: its trigger could not be decided: {reason}")
        return EntryTrace(entry.code, entry.name, entry.version, Verdict.PARKED, reason=cut(reason))

    def table(self, compiled: CompiledTable, *, full: bool = False) -> EntryTrace:
        """Decide one table: settle its rows, plan the steps of those that fire, say why."""
        entry = compiled.entry
        outcome = self.settle(compiled)
        # Before anything is staged: the trace shows what the conditions saw.
        traces = self.row_traces(compiled, outcome, full=full)
        if outcome.wait_for:
            self.wait = Wait(entry.code, outcome.wait_for, compiled.table.wait_s)
        self.report_skipped(compiled, outcome)
        for row in outcome.fires:
            reason = because(row)
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

    def settle(self, compiled: CompiledTable) -> Outcome:
        """Which rows fire, wait, are skipped. Looks at no row behind the one that decides a *first* table."""
        first = compiled.table.hit is HitPolicy.FIRST
        truths: list[RowTruth] = []
        rows = self.rows_to_ask(compiled)
        for row in rows:
            truth = row.truth(self.look)
            truths.append(truth)
            if first and (truth is True or certainly_failed(truth)):
                break
        never_without = compiled.table.wait_s is None
        matter = self.rows_that_matter(compiled, rows, truths, first=first, never_without=never_without)
        may_wait = never_without or compiled.table.wait_s != 0
        wait_for: tuple[LookupKey, ...] = ()
        if matter and may_wait and compiled.entry.code not in self.wait_over:
            wait_for = tuple(dict.fromkeys(key for at in matter for key in awaited(truths[at])))
        undecided = never_without and bool(matter) and not wait_for
        outcome = Outcome(truths, [], False, {}, rows, wait_for, undecided)
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

    def rows_to_ask(self, compiled: CompiledTable) -> Sequence[CompiledRow]:
        """All rows; with an index those that can match."""
        if self.possible is None:
            return compiled.rows
        left = (self.possible.rows >> self.first_bit) & ((1 << len(compiled.rows)) - 1)
        rows: list[CompiledRow] = []
        while left:
            lowest = left & -left
            rows.append(compiled.rows[lowest.bit_length() - 1])
            left ^= lowest
        return rows

    def rows_that_matter(
        self,
        compiled: CompiledTable,
        rows: Sequence[CompiledRow],
        truths: Sequence[RowTruth],
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
                if isinstance(truth, bool) or not could_match(truth, never_without):
                    continue
                # A match takes the otherwise row away, even when the row itself has fired before.
                if self.can_fire(rows[at].key) or otherwise:
                    matter.add(at)
            return matter
        reached = len(truths)  # rows from here on are never reached: one before them surely ends the table
        for at, truth in enumerate(truths):
            if truth is True or (truth is not False and not may_become(truth, never_without) & (NO | UNCLEAR)):
                reached = at + 1
                break
        behind = otherwise and reached == len(truths) and not (truths and certainly_failed(truths[-1]))
        for at in range(reached - 1, -1, -1):
            truth = truths[at]
            if isinstance(truth, bool):
                behind = self.can_fire(rows[at].key) if truth else behind
                continue
            may = may_become(truth, never_without)
            fires, passes = bool(may & YES) and self.can_fire(rows[at].key), bool(may & (NO | UNCLEAR))
            ends = bool(may & FAILED) or (bool(may & YES) and not fires)
            if (fires and (ends or passes)) or (ends and passes and behind):
                matter.add(at)
            behind = fires or (passes and behind)
        return matter

    def report_skipped(self, compiled: CompiledTable, outcome: Outcome) -> None:
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
        compiled: CompiledTable,
        outcome: Outcome,
        key: str,
        row_id: str,
        steps: Sequence[Step],
        reason: str,
        traces: RowTraces,
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

    def refuse(self, compiled: CompiledTable, outcome: Outcome, key: str, reason: str) -> None:
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

    def verdict(self, outcome: Outcome) -> Verdict:
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

    def row_traces(self, compiled: CompiledTable, outcome: Outcome, *, full: bool) -> RowTraces:
        """The rows looked at, as many as the trace has room for; with `full` all rows, and all their conditions."""
        traces = RowTraces(compiled)
        rows = compiled.rows if full else outcome.rows
        if len(rows) < len(compiled.rows):
            # Those before the last one looked at were looked at too, all at once.
            ended = bool(outcome.truths) and compiled.table.hit is HitPolicy.FIRST and ends(outcome.truths[-1])
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
                one = seen_at(condition, self.look, self.vocabulary)
                seen.append(one)
                if one.truth is Truth.FALSE and not full:
                    break
            else:
                seen += self.group_traces(row, full=full)
            reason = (
                "" if isinstance(truth, bool) else cut("; ".join(dict.fromkeys(one.reason for one in truth.leaves)))
            )
            if verdict is RowVerdict.HELD:
                reason = self.because.get(row.key) or "It matched, but had fired before in this chain of events."
            traces.kept[row.key] = RowTrace(row.row.id, row.number, verdict, truth_of(truth), tuple(seen), (), reason)
        return traces

    def group_traces(self, row: CompiledRow, *, full: bool) -> list[Seen]:
        """The conditions in the groups of a row, up to the end of the first group that does not hold."""
        seen: list[Seen] = []
        for group in row.groups:
            for condition, place, prefix in group.leaves:
                one = seen_at(condition, self.look, self.vocabulary)
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
