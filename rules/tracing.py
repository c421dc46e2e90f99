"""What a decision saw, row by row and condition by condition: the same pass once more, with its trace kept."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Any

from rules.actions import step_sentence
from rules.compiled import CompiledCondition, CompiledRow, CompiledTable
from rules.decision import RowSteps
from rules.facts import Known
from rules.fields import state_backed
from rules.look import Look
from rules.operators import Looks
from rules.passes import Fired, Outcome, Pass
from rules.steps import RowPlan, steps_of
from rules.table import OTHERWISE, HitPolicy
from rules.templates import shown
from rules.trace import MAX_TRACED_ROWS, Done, EntryTrace, RowTrace, RowVerdict, Seen, Truth, Verdict, cut
from rules.truth import Undecided, ends, truth_of
from rules.vocabulary import Vocabulary
from tickets.values import JSON


class TracedPass(Pass):
    """A pass that asks every row it looks at, and keeps what was seen in `entries`."""

    sweeps = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.entries: list[EntryTrace] = []
        self.orders: list[int] = []  # the places of their tables in the list
        #: The places of the tables in which the pass before found something; None: nobody knows.
        self.known_busy: Set[int] | None = None
        self.unmatched_left = self.deciding_left = MAX_TRACED_ROWS

    def _tables(self, after: str | None) -> Iterator[CompiledTable]:
        """All that are decided; for a short trace, which leaves the others out, those in which something was found."""
        busy = self.known_busy
        last = -1 if busy is None else max(busy, default=-1)
        for compiled in super()._tables(after):
            if not self.short_trace or busy is None:
                yield compiled
                continue
            if compiled.order in busy:
                yield compiled
            if compiled.order >= last:
                return  # what is written now no table looks at that found something

    def unclear(self, compiled: CompiledTable, reason: str) -> None:
        super().unclear(compiled, reason)
        at = bisect_right(self.orders, compiled.order)
        self.entries.insert(at, self.not_clear(compiled, reason))
        self.orders.insert(at, compiled.order)

    def not_clear(self, compiled: CompiledTable, reason: str) -> EntryTrace:
        entry = compiled.entry
        return EntryTrace(entry.code, entry.name, entry.version, Verdict.PARKED, reason=cut(reason))

    def table(self, compiled: CompiledTable) -> None:
        if self.short_trace and self.certainly_idle(compiled):
            return
        trace = self.traced(compiled, full=False)
        at = bisect_left(self.orders, compiled.order)
        if self.orders[at : at + 1] == [compiled.order]:
            self.entries[at] = _both_times(self.entries[at], trace)  # it ran again
        elif not self.short_trace or trace.verdict is not Verdict.NOT_MATCHED:
            # Behind all others, unless it had nothing to do before it ran again.
            self.entries.insert(at, trace)
            self.orders.insert(at, compiled.order)

    def certainly_idle(self, compiled: CompiledTable) -> bool:
        """Whether no row can match, so that a short trace leaves the table out: of a long list this is nearly all."""
        if compiled.otherwise_key or compiled.order in self.decided_at:
            return False
        sure, asked = self.found(compiled)
        return not sure and not asked

    def traced(self, compiled: CompiledTable, *, full: bool) -> EntryTrace:
        """Decide one table and say why; with `full` for every row and every condition of it."""
        entry = compiled.entry
        outcome = self.settle(compiled, self.rows_to_ask(compiled))
        # Before anything is staged: the trace shows what the conditions saw.
        traces = self.row_traces(compiled, outcome, full=full)
        self.settled(compiled, outcome)
        for row in outcome.fires:
            fired = self.fire(compiled, row.key)
            self.conclude(compiled, outcome, traces, row.key, fired)
            if self.stopped or outcome.parked:
                break
        if outcome.otherwise and not self.stopped:
            fired = self.fire(compiled, compiled.otherwise_key)
            self.conclude(compiled, outcome, traces, compiled.otherwise_key, fired)
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

    def rows_to_ask(self, compiled: CompiledTable) -> Sequence[CompiledRow]:
        """All rows; of a long list those that can match."""
        if not self.short_trace:
            return compiled.rows
        sure, asked = self.found(compiled)
        return [compiled.rows[at] for at in sorted((*sure, *asked))]

    def conclude(self, compiled: CompiledTable, outcome: Outcome, traces: RowTraces, key: str, fired: Fired) -> None:
        outcome.verdicts[key] = fired.verdict
        if fired.verdict is RowVerdict.FAILED:
            outcome.parked = outcome.parked or compiled.table.hit is HitPolicy.FIRST
        if fired.verdict is not RowVerdict.FIRED:
            traces.conclude(key, fired.verdict, (), fired.reason)
            return
        known = steps_of(compiled, key, self.vocabulary)
        traces.conclude(key, fired.verdict, self.done(compiled, known, fired.plan), known.reason)

    def done(self, compiled: CompiledTable, known: RowSteps, made: RowPlan) -> tuple[Done, ...]:
        said, steps, sentences = [], known.steps, self.sentences(compiled, known)
        for step, changes, effects, sentence in zip(steps, made.changes, made.counts, sentences, strict=True):
            action = compiled.actions[step.column]
            if not effects:
                sentence += " (nothing to change)"
            changed = tuple((key, self.state_words(key, old), self.state_words(key, new)) for key, old, new in changes)
            said.append(Done(step.column, action, cut(sentence), changed, effects))
        return tuple(said)

    def sentences(self, compiled: CompiledTable, known: RowSteps) -> Sequence[str]:
        """The steps of a row in words: once per revision, unless what a word means may differ between kinds."""
        said = known.sentences
        if not said:
            made = [step_sentence(compiled.actions[one.column], one.params, self.vocabulary) for one in known.steps]
            if compiled.table.kind == "any":
                return made
            said[:] = made  # two threads may do this at the same time: both come to the same
        return said

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
            passed_over = self.short_trace and verdict is RowVerdict.NOT_MATCHED
            if not full and (passed_over or not self.has_room(verdict)):
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
                seen.append(seen_at(condition, self.look, self.vocabulary, prefix, place))
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


def _both_times(first: EntryTrace, again: EntryTrace) -> EntryTrace:
    """A table that ran again: its rows as they were seen last, but those that fired as they were when they did."""
    rows = {row.row: row for row in again.rows}
    rows |= {row.row: row for row in first.rows if row.row not in rows or row.verdict is RowVerdict.FIRED}
    ordered = tuple(sorted(rows.values(), key=lambda row: (row.number == 0, row.number)))
    verdict = Verdict.MATCHED if Verdict.MATCHED in (first.verdict, again.verdict) else again.verdict
    return replace(again, verdict=verdict, rows=ordered)


class RowTraces:
    """The row traces of one entry while its rows fire. `omitted` rows were looked at but not kept."""

    def __init__(self, compiled: CompiledTable) -> None:
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


def seen_at(
    condition: CompiledCondition, look: Look, vocabulary: Vocabulary, prefix: str = "", group: str = ""
) -> Seen:
    """One condition as the trace shows it, with the `prefix` and the place of its group when it stands in one.

    Reads what was read before, so it says what the decision saw."""
    answer = condition.ask(look)
    found = condition.field
    label = prefix + (found.label if found is not None else condition.name)
    actual = source = at = reason = ""
    if isinstance(answer, Undecided):
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
    elif found is not None and not (isinstance(answer, Undecided) and answer.failed):
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
        group,
    )
