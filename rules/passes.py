"""One pass in list order: each entry sees what earlier ones staged. Nothing is written, asked or sent here.

Rows of which the quick forms are certain are taken as they are; all others are asked. Why rows did or did not fire is
worked out by the same pass once more, when somebody wants to know (rules.tracing).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rules.compiled import CompiledRow, CompiledTable
from rules.decision import Planned, Ready, Skipped, Wait
from rules.errors import RulesError, UnknownEntry
from rules.facts import Facts, LookupKey
from rules.look import Look
from rules.marks import places
from rules.possible import Possible
from rules.rearm import held_by_ledger
from rules.ruleset import Bucket, RuleSet, index_of
from rules.steps import RowPlan, plan_row, ready_row
from rules.straight import Left
from rules.table import HitPolicy
from rules.trace import RowVerdict, cut
from rules.truth import (
    FAILED,
    NO,
    UNCLEAR,
    YES,
    Lack,
    Open,
    RowTruth,
    awaited,
    certainly_failed,
    could_match,
    may_become,
)
from rules.vocabulary import Vocabulary
from tickets.values import JSON

#: Most sentences one decision says about what it could not do.
MAX_NOTES = 50
#: How often tables that ask for it are decided again in one pass.
MOST_AGAIN = 5
_NOTHING = Bucket(())
#: Places of rows that certainly match, and of rows that must be asked, both in order.
Found: TypeAlias = tuple[list[int], list[int]]


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


class Fired(NamedTuple):
    """What became of a row that was to fire. `reason`: what held, or why it did not fire after all."""

    verdict: RowVerdict
    plan: RowPlan
    reason: str


def waits(compiled: CompiledTable, wait_over: frozenset[str]) -> bool:
    """Whether an answer to come, or the lack of one, keeps rows of the table that certainly match from firing."""
    wait_s = compiled.table.wait_s
    return wait_s is None or (wait_s != 0 and compiled.entry.code not in wait_over)


class Pass:
    """What one decision has come to so far."""

    # What most decisions never set.
    wait: Wait | None = None
    stopped = ended_by = ""
    short_trace = False
    sweeps = True  # whether simple tables may be decided many at a time
    possible: Possible | None = None  # set once the tables of an indexed bucket are gone through
    first_bit = next_bit = 0  # of the table being decided, and of the one behind it
    left: Left | None = None  # the rows that can match before anything is staged, if that is known
    known: tuple[int, int] | None = None  # of these, of a short list, those that match and those to be asked

    def __init__(
        self,
        ruleset: RuleSet,
        facts: Facts,
        held: frozenset[str],
        staged: Mapping[str, JSON],
        wait_over: frozenset[str],
        only_rows: frozenset[str] | None,
        effects_left: int,
        written_by: Mapping[str, str] | None = None,
    ) -> None:
        self.ruleset = ruleset
        self.look = Look(facts, staged)
        self.because = held_by_ledger(ruleset.rearms, facts) if facts.ledger else {}
        self.held = held | self.because.keys() if self.because else held
        self.wait_over, self.only_rows, self.effects_left = wait_over, only_rows, effects_left
        self.staged: dict[str, JSON] = dict(staged)
        self.planned: list[Planned] = []
        self.fired: list[str] = []
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self.busy: set[int] = set()  # places of the tables in which something was found, or nobody could say
        self.now = 0  # the place of the table being decided, then counted on, to tell what came after what
        self.decided_at: dict[int, int] = {}  # by place, of tables that ran again
        # Where the last write of a field came from; only tables that run again ask.
        self.written_at: dict[str, int] = self._places_of(written_by) if written_by and ruleset.again else {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The desk for items of this kind."""
        desk = self.ruleset.vocabulary
        return desk.of(str(self.look.item.get("kind", desk.kind)))

    def go(self, after: str | None) -> None:
        """Decide the list, from the entry `after` on. Raises `UnknownEntry` for one that is not there."""
        for compiled in self._tables(after):
            if self.only_rows is not None and compiled.keys.isdisjoint(self.only_rows):
                continue
            try:
                if self.only_rows is None and not compiled.runs_on(self.look.facts):
                    continue
                if not compiled.covers(self.look):
                    continue
            except RulesError as error:
                self.unclear(compiled, str(error))
                continue
            self.now = compiled.order + 1
            self.table(compiled)
            if self.wait is not None or self.stopped or self.ended_by:
                return
        if self.ruleset.again and self.written_at and self.only_rows is None:
            self.run_again()

    def run_again(self) -> None:
        """Decide the tables once more that asked for it and read what later ones wrote. No row fires twice."""
        facts = self.look.facts
        again = [one for one in self.ruleset.again if one.runs_on(facts)]
        self.possible = self.known = None
        self.now = len(self.ruleset.entries) + 1
        for _ in range(MOST_AGAIN):
            tables = [one for one in again if self.wants_again(one)]
            if not tables:
                return
            for compiled in tables:
                if not self.wants_again(compiled):
                    continue
                self.now += 1
                self.decided_at[compiled.order] = self.now
                # It waited the first time, if it was to wait at all.
                self.wait_over |= {compiled.entry.code}
                self.held |= set(self.fired)
                try:
                    if compiled.covers(self.look):
                        self.table(compiled)
                except RulesError as error:
                    self.unclear(compiled, str(error))
                if self.stopped or self.ended_by:
                    return
        if any(self.wants_again(one) for one in again):
            self.note(f"Tables ran again {MOST_AGAIN} times, which is the most, and what they read still changes.")

    def wants_again(self, compiled: CompiledTable) -> bool:
        """Whether a field it reads was written since it was decided: by an entry behind it, unless it ran again."""
        since = self.decided_at.get(compiled.order, compiled.order + 1)
        return any(self.written_at.get(name, 0) > since for name in compiled.reads())

    def _tables(self, after: str | None) -> Iterator[CompiledTable]:
        """The tables to decide, in order; with an index only those of which a row can match when their turn comes."""
        bucket = self.ruleset.by_kind.get(str(self.look.facts.event.get("kind")), _NOTHING)
        least = 0 if after is None else self._order_of(after)
        if self.only_rows is not None or bucket.index is None:
            tables = self.ruleset.tables if self.only_rows is not None else bucket.tables
            self.short_trace = bucket.short_trace and self.only_rows is None
            if self.known is not None:
                yield from self._busy_tables(bucket, self.known[0] | self.known[1])
                return
            yield from [one for one in tables if one.order >= least] if least else tables
            return
        possible = self.possible = Possible(bucket.index, self.look, self.left)
        self.short_trace = bucket.short_trace
        orders = [one.order for one in bucket.tables] if least else []
        place = bisect_left(orders, least)
        if place == len(bucket.tables):
            return
        self.next_bit = bucket.begins[place]
        while True:
            if possible.dirty:
                possible.refresh(self.next_bit)
            if self.sweeps and self.sweep(bucket, possible):
                return
            if (at := bisect_left(possible.bits, self.next_bit)) == len(possible.bits):
                return
            place = bucket.owner[possible.bits[at]]
            self.first_bit, self.next_bit = bucket.begins[place], bucket.begins[place + 1]
            yield bucket.tables[place]

    def _busy_tables(self, bucket: Bucket, found: int) -> Iterator[CompiledTable]:
        """The tables of a short list in which a row was found, or that may have something to do without one."""
        for place, compiled in enumerate(bucket.tables):
            self.first_bit = bucket.begins[place]
            mine = found >> self.first_bit & ((1 << len(compiled.rows)) - 1)
            if mine or place in bucket.special or not self.as_before(compiled):
                yield compiled

    def as_before(self, compiled: CompiledTable) -> bool:
        """Whether nothing was staged that this table looks at."""
        return not self.staged or compiled.reads().isdisjoint(self.staged)

    def sweep(self, bucket: Bucket, possible: Possible) -> bool:
        """Decide tables that are no more than rows which count for themselves, from `next_bit` on; True at the end.

        Stops before a table that has more to it, or with a row that is not certain. What most decisions consist of is
        done here on one record per row, because reaching for the records of many tables takes the time."""
        swept, bits, with_rest = bucket.swept, possible.bits, possible.index.with_rest
        look, read_by, all_fire = self.look, possible.index.read_by, not self.held and self.only_rows is None
        item_kind, item = look.item.get("kind"), look.own_item()
        at = bisect_left(bits, self.next_bit)
        while at < len(bits):
            bit = bits[at]
            record = swept[bit] or bucket.sweeping(bit, self.vocabulary)
            _, order, end, kind, first, key, name, value, what = record
            if not end or (kind != item_kind and kind != "any"):
                return False
            alone = end == bit + 1 or at + 1 == len(bits) or bits[at + 1] >= end
            sure = bit not in with_rest and bit not in possible.open
            if alone and sure and what is not None and all_fire and self.effects_left:
                # Of most tables one row fires: that is done without what several have in common.
                self.now, self.next_bit = order + 1, end
                self.busy.add(order)
                self.fired.append(key)
                if item.get(name) != value:
                    self.effects_left -= 1
                    self.planned.append(what)
                    self.staged[name] = value
                    self.written_at[name] = order + 1
                    look.put(name, value, key)
                    if name in read_by:
                        possible.wrote(name)
                at += 1
            else:
                stop = bisect_left(bits, end, at)
                mine = bits[at:stop]
                for one in possible.doubtful(mine):
                    matches = possible.matches(one)
                    if matches is None:
                        return False
                    if not matches:
                        mine.remove(one)
                self.now, self.next_bit = order + 1, end
                if first:
                    del mine[1:]
                if mine:
                    self.busy.add(order)
                    some = [(swept[one] or bucket.sweeping(one, self.vocabulary))[0] for one in mine]
                    self.fire_ready(some, bucket, bit)
                if self.stopped:
                    return True
                at = stop
            if possible.dirty:
                possible.refresh(end)
                at = bisect_left(bits, end)
        return True

    def _places_of(self, written_by: Mapping[str, str]) -> dict[str, int]:
        """What was written before a wait, as this pass counts; that of an entry which is gone is left out."""
        places = {entry.code: order + 1 for order, entry in enumerate(self.ruleset.entries)}
        return {name: places[code] for name, code in written_by.items() if code in places}

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

    def unclear(self, compiled: CompiledTable, reason: str) -> None:
        """Nobody can say whether the event is for this entry."""
        self.busy.add(compiled.order)
        self.note(f"{compiled.entry.code}: its trigger could not be decided: {reason}")

    def table(self, compiled: CompiledTable) -> None:
        """Decide one table: which rows fire, and what their steps plan."""
        sure, asked = self.found(compiled)
        rows = compiled.rows
        if sure or asked or compiled.otherwise_key:
            self.busy.add(compiled.order)
        if not asked:
            # The usual case: every row is certainly true or certainly false.
            if compiled.stops:
                self.end(compiled, [rows[at].key for at in sure])
            if sure:  # of a *first* table one at most
                self.fire_all(compiled, sure)
            elif compiled.otherwise_key:
                self.fire_all(compiled, (len(rows),))
            return
        if compiled.table.hit is not HitPolicy.FIRST and not waits(compiled, self.wait_over):
            self.pass_over(compiled, sure, asked)
            return
        looked_at = sorted((*sure, *asked))
        outcome = self.settle(compiled, [rows[at] for at in looked_at], frozenset(sure))
        self.settled(compiled, outcome)
        self.fire_all(compiled, [row.number - 1 for row in outcome.fires])
        if outcome.otherwise:
            self.fire_all(compiled, (len(rows),))

    def pass_over(self, compiled: CompiledTable, sure: Sequence[int], asked: Sequence[int]) -> None:
        """Decide a table of which every row counts for itself and that waits for nothing: the same as `settle`."""
        self.look.may_wait = False
        rows, fires = compiled.rows, list(sure)
        undecided: list[tuple[CompiledRow, Open]] = []
        possible, begin = self.possible, self.first_bit
        for at in asked:
            truth = rows[at].truth(self.look) if possible is None else possible.truth(begin + at)
            if isinstance(truth, Open):
                undecided.append((rows[at], truth))
            elif truth:
                fires.append(at)
        fires.sort()
        if compiled.stops:
            self.end(compiled, [rows[at].key for at in fires])
        self.report_skipped(compiled, undecided, "decided without")
        if fires or compiled.otherwise_key:
            self.fire_all(compiled, fires or (len(rows),))

    def found(self, compiled: CompiledTable) -> Found:
        """The places of rows that certainly match, and of those that must be asked; all others are certainly false."""
        if self.possible is not None:
            return self._found_by_bits(compiled, self.possible)
        if self.known is not None and self.as_before(compiled):
            every = (1 << len(compiled.rows)) - 1
            sure, asked = (one >> self.first_bit & every for one in self.known)
        else:
            index, facts = index_of(compiled), self.look.facts
            try:
                rows, lacking, _ = index.straight(facts)
                sure, asked, _ = index.certain(facts, rows, lacking)
            except Exception:
                # A value that no quick form knows: what it means, or what is wrong with it, the conditions say.
                return [], list(range(len(compiled.rows)))
        if sure and compiled.table.hit is HitPolicy.FIRST:
            sure &= -sure
            asked &= sure - 1
        return places(sure), places(asked)

    def _found_by_bits(self, compiled: CompiledTable, possible: Possible) -> Found:
        first = compiled.table.hit is HitPolicy.FIRST
        begin, bits = self.first_bit, possible.bits
        mine = bits[bisect_left(bits, begin) : bisect_left(bits, begin + len(compiled.rows))]
        doubtful = possible.doubtful(mine)
        if not first:
            sure = [bit - begin for bit in mine if bit not in doubtful]
            said = [(bit - begin, possible.matches(bit)) for bit in sorted(doubtful)]
            asked = [at for at, matches in said if matches is None]
            return sorted([*sure, *(at for at, matches in said if matches)]), asked
        asked = []
        for bit in mine:
            matches = possible.matches(bit) if bit in doubtful else True
            if matches is None:
                asked.append(bit - begin)
            elif matches:
                return [bit - begin], asked
        return [], asked

    def settled(self, compiled: CompiledTable, outcome: Outcome) -> None:
        """Take down for what the event waits, and what could not be decided."""
        if outcome.wait_for:
            self.wait = Wait(compiled.entry.code, outcome.wait_for, compiled.table.wait_s)
        elif compiled.stops and not outcome.undecided:
            matched = (row.key for row, truth in zip(outcome.rows, outcome.truths, strict=False) if truth is True)
            self.end(compiled, matched)
        if outcome.wait_for:
            return  # it will be decided when the wait is over, and say so then
        skipped = [
            (row, truth)
            for row, truth in zip(outcome.rows, outcome.truths, strict=False)
            if isinstance(truth, Open) and outcome.verdicts.get(row.key) in (RowVerdict.SKIPPED, RowVerdict.FAILED)
        ]
        done = "not decided: it never goes without" if outcome.undecided else "decided without"
        self.report_skipped(compiled, skipped, done)

    def end(self, compiled: CompiledTable, matched: Iterable[str]) -> None:
        """The list ends with this table when a row matches that says so, also when it is held back."""
        self.ended_by = next((key for key in matched if key in compiled.stops), "")
        if self.ended_by:
            self.note(f"{self.ended_by} ends the rule list: what stands behind its table was not looked at.")

    # settling ---------------------------------------------------------------------------------------------------

    def can_fire(self, key: str) -> bool:
        return bool(key) and key not in self.held and (self.only_rows is None or key in self.only_rows)

    def settle(self, compiled: CompiledTable, rows: Sequence[CompiledRow], sure: Container[int] = ()) -> Outcome:
        """Which of these rows fire, wait, are skipped; all others of the table are certainly false.

        `sure` are the places in the table of rows that certainly match. Looks at no row behind the one that decides a
        *first* table."""
        first = compiled.table.hit is HitPolicy.FIRST
        never_without = compiled.table.wait_s is None
        may_wait = (never_without or compiled.table.wait_s != 0) and compiled.entry.code not in self.wait_over
        self.look.may_wait = may_wait
        truths: list[RowTruth] = []
        for row in rows:
            truth = True if row.number - 1 in sure else self.truth(row)
            truths.append(truth)
            if first and (truth is True or certainly_failed(truth)):
                break
        matter: set[int] = set()
        if may_wait or never_without:
            matter = self.rows_that_matter(compiled, rows, truths, first=first, never_without=never_without)
        wait_for: tuple[LookupKey, ...] = ()
        if matter and may_wait:
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

    def truth(self, row: CompiledRow) -> RowTruth:
        """What the conditions of a row say that is not certain."""
        if self.possible is None:
            return row.truth(self.look)
        return self.possible.truth(self.first_bit + row.number - 1)

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

    def report_skipped(self, compiled: CompiledTable, rows: Iterable[tuple[CompiledRow, Open]], done: str) -> None:
        """Say which rows could not be decided, and that the table was `done` without an answer."""
        without: dict[str, None] = {}
        said: dict[int, Lack] = {}
        every = not self.held and self.only_rows is None
        for row, truth in rows:
            # Many rows lack the same, and share what says so.
            known = said.get(id(truth))
            if known is None:
                known = said[id(truth)] = Lack.of(truth)
                without |= dict.fromkeys(known.without)
            if every or self.can_fire(row.key):
                self.skipped.append(Skipped(row.key, known.lookups, known.reason, bool(known.error)))
            if known.error:
                self.note(f"{row.key} could not be decided: {known.error}")
        if without:
            self.note(f"{compiled.entry.code} was {done} {', '.join(without)}")

    # firing -----------------------------------------------------------------------------------------------------

    def fire(self, compiled: CompiledTable, key: str) -> Fired:
        """Plan a row's steps, all or none of them, each seeing what the ones before it staged."""
        made = plan_row(compiled, key, self.look.facts, self.vocabulary)
        if made.refused:
            self.skipped.append(Skipped(key, (), cut(f"{made.step}: {made.refused}"), failed=True))
            self.note(f"{key} could not be done: {made.step}: {made.refused}")
            return Fired(RowVerdict.FAILED, made, made.refused)
        if made.effects > self.effects_left:
            self.stopped = (
                f"Stopped at {key}: this chain of events has reached its limit of effects. "
                "Nothing of this row and of the rest of the list was done."
            )
            self.note(self.stopped)
            return Fired(RowVerdict.STOPPED, made, self.stopped)
        self.effects_left -= made.effects
        self.planned += made.planned
        self.fired.append(key)
        self.stage(made.staged, key)
        return Fired(RowVerdict.FIRED, made, "")

    def fire_all(self, compiled: CompiledTable, places: Iterable[int]) -> None:
        """`fire` those rows that may, in order; done here for the most usual one, which gives one field a value.

        The place behind all rows is that of the otherwise row."""
        ready = compiled.ready
        self.fire_ready([ready[at] or ready_row(compiled, at, self.vocabulary) for at in places], compiled, 0)

    def fire_ready(self, rows: Iterable[Ready], of: CompiledTable | Bucket, bit: int) -> None:
        """Fire these rows, each a key and the one thing that it does, if it is one.

        They are of one table: this one, or in a bucket the one with that bit, which only a row that does more reaches
        for. No row of them sees what the others write, so what is to be looked at again is said once for all."""
        if self.held or self.only_rows is not None:
            rows = [one for one in rows if self.can_fire(one[0])]
        item, left = self.look.own_item(), self.effects_left
        plan, wrote = self.planned.append, dict[str, str]()
        for key, single in rows:
            if single is None or not left:
                self.effects_left = left
                self.written(wrote)
                wrote = {}
                self.fire(of if isinstance(of, CompiledTable) else of.tables[of.owner[bit]], key)
                if self.stopped:
                    return
                left = self.effects_left
                continue
            name, value, planned = single
            self.fired.append(key)
            if item.get(name) == value:
                continue
            left -= 1
            plan(planned)
            wrote[name] = key
            if value is None:
                del item[name]
            else:
                item[name] = value
        self.effects_left = left
        self.written(wrote)

    def written(self, by: Mapping[str, str]) -> None:
        """Take down what rows have written into the item: by field, the key of the last one."""
        look, possible, now = self.look, self.possible, self.now
        for name, key in by.items():
            self.staged[name] = look.item.get(name)
            self.written_at[name] = now
            look.wrote(name, key)
            if possible is not None and name in possible.index.read_by:
                possible.wrote(name)

    def stage(self, written: Mapping[str, JSON], key: str) -> None:
        if written:
            self.staged.update(written)
            self.written_at.update(dict.fromkeys(written, self.now))
            self.look.stage(written, key)
            if self.possible is not None:
                for name in written:
                    self.possible.wrote(name)
