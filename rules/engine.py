"""From a rule list and facts to a decision: which rows fire, what they plan, and why.

One pass in list order; each entry sees what earlier ones staged. Nothing is written, asked or sent here: a table that
depends on an answer still to come ends the pass with a `Wait`, and the caller comes back with `after`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from rules.decision import EFFECTS_PER_ROOT, Decision, Entry, Planned, Skipped, Wait
from rules.errors import RulesError
from rules.facts import Facts
from rules.fields import MAX_WORKED_OUT
from rules.index import RowIndex
from rules.marks import places
from rules.passes import MAX_NOTES, Outcome, Pass, waits
from rules.possible import Lacked
from rules.ruleset import INDEX_FROM_ROWS, NO_INDEX, Bucket, RuleSet, compile_ruleset
from rules.straight import NOTHING, Left
from rules.trace import EntryTrace, Trace, Verdict, cut
from rules.tracing import TracedPass
from rules.truth import Lack, Open
from rules.vocabulary import Vocabulary
from tickets.values import JSON

__all__ = [
    "EFFECTS_PER_ROOT",
    "INDEX_FROM_ROWS",
    "NO_INDEX",
    "Decision",
    "Entry",
    "Planned",
    "RuleSet",
    "Skipped",
    "Wait",
    "compile_ruleset",
    "decide",
    "explain_entry",
]


def decide(
    ruleset: RuleSet,
    facts: Facts,
    held: frozenset[str] = frozenset(),
    after: str | None = None,
    staged: Mapping[str, JSON] | None = None,
    wait_over: frozenset[str] = frozenset(),
    only_rows: frozenset[str] | None = None,
    effects_left: int = EFFECTS_PER_ROOT,
    written_by: Mapping[str, str] | None = None,
    with_trace: bool = False,
) -> Decision:
    """What the rule list says about one event.

    `held` are row keys that have fired for this root: they still match, and end a *first* table, but do nothing.
    `after` resumes AT this entry with what was `staged` before it; raises `UnknownEntry` when the list has it no more.
    `wait_over` are entries to be decided without the answers they waited for. `only_rows` decides just these rows
    again (a late answer): triggers are not asked then, all other rows count as held. At `effects_left` it stops.
    `written_by` are the entries that last wrote the fields in `staged`, for tables that run again when a later one
    did; a field that is not in it was written before the list was gone through. `with_trace`: somebody will ask why, so
    what takes a pass is seen in the same one; else the trace is a pass of its own, made when it is looked at."""
    known = left = None
    if not staged and after is None and only_rows is None:
        event: Mapping[str, Any] = facts.event
        try:
            bucket = ruleset.by_kind[event["kind"]]
            left = bucket.look(facts)
        except Exception:
            # What cannot be decided a pass says, with the reason.
            pass
        else:
            plain = not bucket.special or not bucket.concerns(facts)
            if plain and left is NOTHING:
                # In threes: of more values Python would make a tuple first.
                nothing: Plain = Plain()
                nothing.ruleset, nothing.facts, nothing.left = ruleset, facts, left
                nothing.held, nothing.wait_over, nothing.written_by = held, wait_over, written_by
                nothing.effects_left, nothing.found = effects_left, 0
                return nothing
            sure, lacking, _ = left
            index, open, whole = bucket.short or bucket.rows_index(), 0, 0
            if lacking or sure & index.doubtful:
                sure, open, whole = index.certain(facts, sure, lacking)
            known = sure, open
            if plain and not (facts.ledger and ruleset.rearms):
                made = fired_straight(
                    ruleset, bucket, index, facts, left, sure, open, whole, held, wait_over, effects_left
                )
                if made is not None:
                    made.ruleset, made.facts, made.left = ruleset, facts, left
                    made.held, made.wait_over, made.written_by = held, wait_over, written_by
                    made.effects_left, made.found = effects_left, sure | open
                    return made
    asked = (ruleset, facts, held, staged or {}, wait_over, only_rows, effects_left, written_by)
    run: Pass
    if with_trace:
        run = traced = TracedPass(*asked)
        traced.left = left
        traced.go(after)
        trace = Trace(ruleset.revision, traced.entries)
    else:
        run = Pass(*asked)
        run.known, run.left = known, left
        run.go(after)
        trace = Trace(ruleset.revision, (), (_traced, after, run.busy, left, asked))
    return Decision(
        tuple(run.planned),
        tuple(run.fired),
        trace,
        run.staged,
        run.wait,
        tuple(run.skipped),
        tuple(run.notes),
        run.stopped,
        run.ended_by,
    )


class Plain(Decision):
    """The decision that nothing is done, or that rows fire which each set one field: what most decisions are.

    To make a record of nine fields takes as long as deciding ten rows. So only what it is made of is ever set; a field
    that was not set is worked out when somebody first looks at it."""

    __slots__ = ("effects_left", "facts", "found", "held", "lacks", "left", "ruleset", "wait_over", "written_by")
    ruleset: RuleSet
    facts: Facts
    held: frozenset[str]
    wait_over: frozenset[str]
    effects_left: int
    written_by: Mapping[str, str] | None
    found: int  # the bits of the rows that match or are not decided
    left: Left
    lacks: Lacks | None

    # Nothing is handed over, so nothing of Python's is run to make one.
    __init__ = object.__init__

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there."""
        if name in _UNTOLD:
            value = _UNTOLD[name]
        elif name == "trace":
            value = _trace(self)
        elif name in ("skipped", "notes"):
            lacks = self.lacks
            self.skipped, self.notes = ((), ()) if lacks is None else lacks[0](*lacks[1:])
            return self.skipped if name == "skipped" else self.notes
        else:
            raise AttributeError(f"A decision has no {name!r}", name=name, obj=self)
        setattr(self, name, value)
        return value


#: What says which rows were skipped, with the notes about them, and what it takes.
Lacks: TypeAlias = tuple[Callable[..., tuple[tuple[Skipped, ...], tuple[str, ...]]], *tuple[Any, ...]]
#: What a decision says that nothing else was said of.
_UNTOLD: Mapping[str, object] = {
    "planned": (),
    "fired": (),
    "staged": MappingProxyType({}),
    "wait": None,
    "stopped": "",
    "ended_by": "",
    "lacks": None,
}
_NONE: frozenset[int] = frozenset()


def fired_straight(
    ruleset: RuleSet,
    bucket: Bucket,
    index: RowIndex,
    facts: Facts,
    left: Left,
    sure: int,
    open: int,
    whole: int,
    held: frozenset[str],
    wait_over: frozenset[str],
    effects_left: int,
) -> Plain | None:
    """What the rows that certainly match come to, where each gives one field a value that no row looks at, and the
    `open` ones, where their tables wait for nothing that they lack.

    That is what most decisions are; whatever has more to it is left to a pass, which begins anew: None."""
    item, swept, read_by = facts.item, bucket.swept, index.reads
    kind = item.get("kind")
    if not open and sure and not sure & sure - 1:
        # Mostly it is one row, of which no list has to be made.
        bit = sure.bit_length() - 1
        _, _, _, of, _, key, name, value, what = swept[bit] or bucket.sweeping(bit, ruleset.vocabulary.of(str(kind)))
        made: Plain = Plain()
        if (of == kind or of == "any") and key not in held:
            if what is None:  # also of a table with more to it than its rows
                return None
            made.fired = (key,)
            if item.get(name) != value:
                if name in read_by or effects_left < 1:
                    return None
                made.planned, made.staged = (what,), {name: value}
        return made
    behind = undecided = 0
    planned: list[Planned] = []
    fired: list[str] = []
    staged: dict[str, JSON] = {}
    asked = _NONE
    lacked: Lacked | None = None
    alone: list[tuple[int, Open]] = []
    if open:
        easy = bucket.easy(str(kind))
        match, undecided, odd = index.split(open & easy, left, whole)
        sure |= match
        open = odd | open & ~easy
        if open:
            lacked, asked = Lacked.of(index, facts, left, whole), frozenset(places(open))
    rows = sure | open
    for bit in places(rows):
        if bit < behind:
            continue
        record = swept[bit] or bucket.sweeping(bit, ruleset.vocabulary.of(str(kind)))
        _, _, end, of, first, key, name, value, what = record
        if of != kind and of != "any":
            continue
        if asked and bit in asked and lacked is not None:
            if not end or waits(bucket.tables[bucket.owner[bit]], wait_over):
                return None
            truth = lacked.truth(bit)
            if truth is False:
                continue
            if truth is not True:
                if truth.failed:
                    return None
                alone.append((bit, truth))
                continue
        if first:
            behind = end
        if key in held:
            continue
        if what is None:  # also of a table with more to it than its rows
            return None
        fired.append(key)
        if (staged[name] if name in staged else item.get(name)) == value:
            continue
        if name in read_by or len(planned) >= effects_left:
            return None
        staged[name] = value
        planned.append(what)
    made = Plain()
    made.planned, made.fired, made.staged = tuple(planned), tuple(fired), staged
    if undecided or alone:
        if len(bucket.tables) > MAX_NOTES:
            bits = places(undecided) + [bit for bit, _ in alone]
            if len({bucket.owner[bit] for bit in bits}) > MAX_NOTES:
                return None
        made.lacks = (_lack, bucket, index, facts, left, undecided, alone, held)
    return made


def _lack(
    bucket: Bucket,
    index: RowIndex,
    facts: Facts,
    left: Left,
    undecided: int,
    alone: Sequence[tuple[int, Open]],
    held: frozenset[str],
) -> tuple[tuple[Skipped, ...], tuple[str, ...]]:
    """The rows that could not be decided, in order, and a note for each table that was decided without an answer.

    Of those that were asked `alone` what each lacks stands beside it; of the others many lack the same."""
    said = [(bit, Lack.of(truth)) for bit, truth in alone]
    for rows, truth in Lacked.of(index, facts, left).reasons(undecided) if undecided else ():
        lack = Lack.of(truth)
        said += [(bit, lack) for bit in places(rows)]
    said.sort(key=lambda one: one[0])
    skipped: list[Skipped] = []
    without: dict[str, dict[str, None]] = {}
    for bit, lack in said:
        without.setdefault(bucket.tables[bucket.owner[bit]].entry.code, {}).update(dict.fromkeys(lack.without))
        key = bucket.key(bit)
        if key not in held:
            skipped.append(Skipped(key, lack.lookups, lack.reason, False))
    notes = [cut(f"{code} was decided without {', '.join(one)}") for code, one in without.items() if one]
    return tuple(skipped), tuple(notes)


def _trace(made: Plain) -> Trace:
    ruleset, found = made.ruleset, made.found
    bucket = ruleset.by_kind[cast(str, made.facts.event["kind"])]
    if not found and (bucket.short_trace or not bucket.tables):
        return Trace(ruleset.revision)
    busy = frozenset([bucket.tables[bucket.owner[bit]].order for bit in places(found)])
    asked: tuple[Any, ...] = (
        ruleset,
        made.facts,
        made.held,
        {},
        made.wait_over,
        None,
        made.effects_left,
        made.written_by,
    )
    return Trace(ruleset.revision, (), (_traced, None, busy, made.left, asked))


def _traced(after: str | None, busy: Set[int], left: Left | None, asked: tuple[Any, ...]) -> Sequence[EntryTrace]:
    # Deciding is pure, so the same pass comes to the same once more; most decisions are never asked why.
    traced = TracedPass(*asked)
    traced.known_busy, traced.left = busy, left
    traced.go(after)
    return traced.entries


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
    ruleset = _alone(entry, vocabulary)
    over = frozenset({entry.code}) if wait_over else frozenset()
    run = TracedPass(ruleset, facts, held, staged, over, None, effects_left)
    if not ruleset.tables:
        return EntryTrace(entry.code, entry.name, entry.version, Verdict.NOT_TRIGGERED, reason="It is no table.")
    compiled = ruleset.tables[0]
    try:
        triggered = entry.enabled and compiled.runs_on(run.look.facts)
        covered = compiled.covers(run.look)
    except RulesError as error:
        rows = tuple(run.row_traces(compiled, Outcome([], [], False, {}), full=True).kept.values())
        return replace(run.not_clear(compiled, str(error)), rows=rows)
    if triggered and covered:
        return run.traced(compiled, full=True)
    idle = Outcome([], [], False, {})
    rows = tuple(run.row_traces(compiled, idle, full=True).kept.values())
    reason = "This event is none of its triggers." if entry.enabled else ""
    if triggered and compiled.scope is not None:
        reason = cut(f"The ticket is out of its scope: {compiled.scope.words}.")
    return EntryTrace(entry.code, entry.name, entry.version, Verdict.NOT_TRIGGERED, rows, 0, reason)


def _alone(entry: Entry, vocabulary: Vocabulary) -> RuleSet:
    """A list of this one entry, switched on; kept with the vocabulary, for whoever explains it on many events."""
    known = vocabulary.worked_out.get(("alone", entry.code))
    same = (entry.name, entry.version)
    if isinstance(known, tuple) and known[0] is entry.table and known[1] == same:
        return cast(RuleSet, known[2])
    alone = [replace(entry, enabled=True)]
    ruleset = compile_ruleset(0, alone, vocabulary, index_from=NO_INDEX, short_trace_from=NO_INDEX)
    if len(vocabulary.worked_out) < MAX_WORKED_OUT:
        vocabulary.worked_out["alone", entry.code] = (entry.table, same, ruleset)
    return ruleset
