"""What the rule list says about one event, as records: what callers of `rules.engine.decide` see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias, cast

from rules.facts import LookupKey
from rules.table import Step, Table
from rules.trace import Trace
from tickets.effects import Effect
from tickets.values import JSON

#: Most effects that one chain of events may have, all its decisions together.
EFFECTS_PER_ROOT = 100


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


#: All that a row does: it gives a state field this value, by this step.
Single: TypeAlias = tuple[str, JSON, Planned]


#: A row's key, and all that it does where that is one such thing.
Ready: TypeAlias = tuple[str, Single | None]


@dataclass(frozen=True, slots=True)
class RowSteps:
    """The steps of a row, planned ahead where they do not depend on the facts (None where they do).

    `single` is there when all that the row does is to give one field a value. `sentences` are the steps in words, once
    a trace was made of them."""

    steps: tuple[Step, ...]
    reason: str
    ahead: tuple[Planned | None, ...]
    single: Single | None
    sentences: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """The pass stopped at `entry`, which depends on these lookups. `seconds` None: it is never decided without them."""

    entry: str
    lookups: tuple[LookupKey, ...]
    seconds: float | None


# Tuples, which are made several times as fast as frozen records: an answer that is unknown is lacking in many rows.
class Skipped(NamedTuple):
    """A row that could not be decided. `failed`: by an error, so that asking again will not help before a fix."""

    row_key: str
    lookups: tuple[LookupKey, ...]
    reason: str
    failed: bool = False


# Neither frozen nor with slots: most decisions are `nothing`, and making a record of nine fields costs as much as
# deciding ten rows. So what most of them have in common stands in the class.
@dataclass
class Decision:
    """What the rule list says about one event. Nobody changes it.

    `fired` are the keys of all rows that fired, also those whose steps change nothing. `staged` are the state fields
    written so far, with their values then (None = emptied); give them back when resuming after a wait. `stopped` says
    why the rest of the list was not looked at when a limit was reached; `ended_by` is the row that ended the list."""

    planned: tuple[Planned, ...]
    fired: tuple[str, ...]
    trace: Trace
    staged: Mapping[str, JSON]
    wait: Wait | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: str = ""
    ended_by: str = ""


#: What says why, and what it takes: of a decision whose trace is not made unless somebody looks at it.
Why: TypeAlias = tuple[Callable[..., Trace], *tuple[Any, ...]]


#: The same for the rows that were skipped and the notes about them.
Lacks: TypeAlias = tuple[Callable[..., tuple[tuple[Skipped, ...], tuple[str, ...]]], *tuple[Any, ...]]


def _trace(decision: Decision) -> Trace:
    say, *taken = cast(Any, decision)._why
    return cast(Trace, say(*taken))


def _nothing_staged(_decision: Decision) -> Mapping[str, JSON]:
    return {}


def _skipped(decision: Decision) -> tuple[Skipped, ...]:
    decision.skipped, decision.notes = _undecided(decision)
    return decision.skipped


def _notes(decision: Decision) -> tuple[str, ...]:
    decision.skipped, decision.notes = _undecided(decision)
    return decision.notes


def _undecided(decision: Decision) -> tuple[tuple[Skipped, ...], tuple[str, ...]]:
    lacks: Lacks | None = cast(Any, decision)._lacks
    return ((), ()) if lacks is None else lacks[0](*lacks[1:])


cast(Any, Decision)._lacks = None
Decision.planned = Decision.fired = ()
for _name, _make in (("trace", _trace), ("staged", _nothing_staged), ("skipped", _skipped), ("notes", _notes)):
    # Made when somebody first looks at it, of decisions that have none of their own.
    _later = cached_property(_make)
    _later.__set_name__(Decision, _name)
    setattr(Decision, _name, _later)
_NEW = object.__new__


def nothing(why: Why) -> Decision:
    """The decision that nothing is done and nothing is to be said, which is what most are: made of what they share."""
    made: Any = _NEW(Decision)
    made._why = why
    return cast(Decision, made)


def decided(
    why: Why,
    planned: tuple[Planned, ...],
    fired: tuple[str, ...],
    staged: Mapping[str, JSON],
    lacks: Lacks | None,
) -> Decision:
    """The decision that these rows fire, and some lack what they need, made as quickly."""
    made: Any = _NEW(Decision)
    made._why, made._lacks, made.planned, made.fired, made.staged = why, lacks, planned, fired, staged
    return cast(Decision, made)
