"""Tables as frozen records: what `parse` makes from data and the engine compiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from tickets.values import JSON

#: How long an event waits at a table for lookups unless the table says otherwise, and at most, in seconds.
DEFAULT_WAIT_S = 60.0
MAX_WAIT_S = 86_400.0
#: What `wait_s` says in data when the table must never be decided without its lookups.
NEVER_WITHOUT = "never_without"
#: When a row may fire again for the same item; the fourth way is a duration, "24 h".
EVERY_TIME, ONCE_PER_EPISODE, ONCE_PER_ITEM = "every_time", "once_per_episode", "once_per_item"
#: The row id of the row that fires when no other row matched; no other row may take it.
OTHERWISE = "otherwise"


class HitPolicy(StrEnum):
    FIRST = "first"  # the first row that matches fires
    EVERY = "every"  # every row that matches fires


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes a table run: the key of a record in TRIGGERS, and what narrows it."""

    on: str
    params: Mapping[str, JSON] = field(default_factory=dict)


class WhenUnknown(StrEnum):
    """What a condition counts as whose field nobody can tell."""

    WAIT = "wait"  # the event waits as long as the table says; then the row is skipped
    SKIP = "skip"  # nobody asks or waits on its account; the row is skipped
    MATCH = "match"  # after the table's wait it holds
    NO_MATCH = "no_match"  # after the table's wait it does not hold


@dataclass(frozen=True, slots=True)
class Column:
    """A condition column: which field its cells look at, and with which operator unless a cell names its own.

    `unknown` is what its cells count as while the field is unknown; an error is never counted as anything."""

    id: str
    field: str
    op: str
    unknown: WhenUnknown = WhenUnknown.WAIT


@dataclass(frozen=True, slots=True)
class StepColumn:
    """A step column: which action its cells do."""

    id: str
    do: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One filled cell on the left: the column, the operator used here, its operand (None where it takes none)."""

    column: str
    op: str
    value: JSON = None


class GroupKind(StrEnum):
    ALL = "all"  # all of its members hold
    ANY = "any"  # at least one does
    NONE = "none"  # none does


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition outside the columns: in a group of a row, or in the table's scope."""

    field: str
    op: str
    value: JSON = None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that hold together as `kind` says. A group in a row may hold groups; those hold clauses only."""

    kind: GroupKind
    members: tuple[Member, ...]


Member: TypeAlias = Clause | Group


@dataclass(frozen=True, slots=True)
class Step:
    """One filled cell on the right: the column and the action's parameters."""

    column: str
    params: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Conditions and groups that must all hold, and the steps then done.

    Ids are stable: the ledger of fired rows goes by them. `rearm` says when it may fire again for the same item: every
    time, once per episode, once per item, or at most once in a duration ("24 h"); `rules.rearm` reads it. When a row
    with `stop` matches, also when it is held back, the rest of the rule list is not looked at."""

    id: str
    conditions: tuple[Condition, ...] = ()
    steps: tuple[Step, ...] = ()
    note: str = ""
    groups: tuple[Group, ...] = ()
    rearm: str = EVERY_TIME
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the rule list, as one version of it says.

    `kind` is the kind of item it runs on, or "any". `wait_s` is how long an event waits here for lookups; None means
    that the table is never decided without them. `scope` must hold for any row, the otherwise row too. `otherwise` are
    the steps when no row matched, None for no such row. With `run_again` it is decided again when a later entry changes
    a field it reads; its rows fire once all the same. `enabled` is only carried for import and export; the list entry's
    switch is what counts."""

    code: str
    name: str
    kind: str = "ticket"
    enabled: bool = True
    triggers: tuple[Trigger, ...] = ()
    hit: HitPolicy = HitPolicy.FIRST
    wait_s: float | None = DEFAULT_WAIT_S
    columns: tuple[Column, ...] = ()
    steps: tuple[StepColumn, ...] = ()
    rows: tuple[Row, ...] = ()
    otherwise: tuple[Step, ...] | None = None
    note: str = ""
    scope: tuple[Member, ...] = ()
    otherwise_rearm: str = EVERY_TIME
    run_again: bool = False

    def number_of(self, row_id: str) -> int:
        """The row's number as people count, from 1; 0 for the otherwise row and for one that is not there."""
        return next((number for number, row in enumerate(self.rows, 1) if row.id == row_id), 0)
