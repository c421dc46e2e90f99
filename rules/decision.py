"""What the rule list says about one event, as records: what callers of `rules.engine.decide` see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias

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


# Not frozen, though nobody changes it: a frozen record takes several times as long to make.
@dataclass(slots=True)
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

    def but(self, **changes: Any) -> Decision:
        """The same with these fields changed."""
        return Decision(**{**{one.name: getattr(self, one.name) for one in fields(Decision)}, **changes})
