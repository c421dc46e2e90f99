"""How many items match a row now: for whoever writes it, before it is published.

Asked of the database in one statement for many rows, where SQL can say (`jobs.selecting`); where it only narrows them
down, the engine looks at those that are left, the newest first, as if somebody ran the table on them by hand. Items,
looks and time have bounds, and what is not exact says so. Nothing is asked outside and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, not_, or_, select

from jobs.facts import gather
from jobs.live import LiveScript
from jobs.scripts_at_work import at_work
from jobs.selecting import MOST_CONDITIONS, MOST_VALUES, Found, Selecting, conditions, size
from jobs.tables import RunRow
from rules.compiled import All, CompiledCondition, CompiledTable, Not
from rules.facts import Facts
from rules.fields import CONTEXT
from rules.look import Look
from rules.operators import Looks
from rules.truth import Open, Undecided
from rules.vocabulary import Vocabulary
from tickets.db import table_of
from tickets.events import Actor, ActorKind, Event, EventKind
from tickets.people import Viewer
from tickets.store import read_item
from tickets.tables import WorkItem
from tickets.visibility import visible

#: The newest items that are counted; of more, counts say "at least".
MOST_ITEMS = 10_000
#: Items that the engine looks at for all rows of one page together, and for how long at most, in seconds.
MOST_LOOKED_AT = 300
LOOKING_S = 0.8
#: When no further statement is begun, in seconds since the first.
ASKING_S = 1.5
#: Parts of the facts that only an event has: as an item stands, nobody can tell them.
_OF_EVENTS = frozenset({"event", "run"})

_ITEMS = table_of(WorkItem)
_AT_WORK = exists().where(RunRow.item_id == _ITEMS.c.id, RunRow.finished_at.is_(None))


class Why(StrEnum):
    """Why a count is not the whole one."""

    EXACT = "exact"  # it is
    MORE_ITEMS = "more_items"  # there are older items than were counted
    EVENT = "event"  # the row depends on what happens, not only on how the item stands
    OUTSIDE = "outside"  # a connected system would have to be asked
    TOO_MANY = "too_many"  # it would take too long to look at all
    BROKEN = "broken"  # a condition of it cannot be decided


@dataclass(frozen=True, slots=True)
class Count:
    """Items that surely match, and why there may be more of them. `about` is the label of the field that stands in
    the way."""

    number: int
    why: Why = Why.EXACT
    about: str = ""

    @property
    def exact(self) -> bool:
        return self.why is Why.EXACT


@dataclass(frozen=True, slots=True)
class Counts:
    """By row id; `table` are the items on which the table would do anything, were its trigger to come."""

    rows: Mapping[str, Count]
    table: Count


def counts(
    connection: Connection,
    compiled: CompiledTable,
    vocabulary: Vocabulary,
    scripts: Mapping[str, LiveScript],
    viewer: Viewer,
    now: datetime,
    *,
    rows: Sequence[str],
    elapsed: Callable[[], float] = time.monotonic,
) -> Counts:
    """What matches these rows, and the table, among the newest MOST_ITEMS items that the viewer may see.

    `scripts` are the live ones: a card that one of them is at work on is unknown.

    A row is counted with the table's scope, whether or not an earlier row takes the item before it."""
    scope: All | Not = compiled.scope.node if compiled.scope is not None else All(())
    nodes: dict[str, All | Not] = {
        row.row.id: All((scope, row.all)) for row in compiled.rows if row.row.id in frozenset(rows)
    }
    asking = _Asking(connection, compiled.table.kind, vocabulary, scripts, viewer, now, elapsed)
    found = asking.all(nodes)
    # Any of its rows, said as none of them not; with an otherwise row the scope alone counts.
    whole = scope
    if not compiled.otherwise_key:
        whole = All((scope, Not(All(tuple(Not(row.all) for row in compiled.rows)))))
    return Counts(found, asking.all({"": whole})[""])


class _Asking:
    """One page's worth of counting: the items it is about, and what is left of its bounds."""

    def __init__(
        self,
        connection: Connection,
        kind: str,
        vocabulary: Vocabulary,
        scripts: Mapping[str, LiveScript],
        viewer: Viewer,
        now: datetime,
        elapsed: Callable[[], float],
    ) -> None:
        self.connection, self.vocabulary, self.scripts = connection, vocabulary, scripts
        self.viewer, self.now, self.elapsed = viewer, now, elapsed
        self.begun = elapsed()
        self.selecting = Selecting(connection.dialect.name, now)
        self.looked: dict[int, Facts] = {}
        self.inside: list[ColumnElement[bool]] = [visible(viewer)]
        if kind != "any":
            self.inside.append(_ITEMS.c.kind == kind)
        oldest = connection.execute(
            select(_ITEMS.c.id).where(*self.inside).order_by(_ITEMS.c.id.desc()).offset(MOST_ITEMS - 1).limit(1)
        ).scalar_one_or_none()
        self.more = False
        if oldest is not None:
            older = select(_ITEMS.c.id).where(*self.inside, _ITEMS.c.id < oldest).limit(1)
            self.more = self.connection.execute(older).first() is not None
            self.inside.append(_ITEMS.c.id >= oldest)

    def all(self, nodes: Mapping[str, All | Not]) -> dict[str, Count]:
        """The count of each."""
        done: dict[str, Count] = {}
        for chunk in _chunks(nodes):
            if self.elapsed() - self.begun > ASKING_S:
                done |= {key: Count(0, Why.TOO_MANY) for key, _ in chunk}
                continue
            found = {key: self._found(node) for key, node in chunk}
            sides = [
                func.coalesce(func.sum(case((test, 1), else_=0)), 0)
                for one in found.values()
                for test in (one.sure, one.may)
            ]
            numbers = self.connection.execute(select(*sides).where(*self.inside)).one()
            for at, (key, node) in enumerate(chunk):
                sure, may = int(numbers[2 * at]), int(numbers[2 * at + 1])
                done[key] = self._count(node, found[key], sure, may)
        return done

    def _found(self, node: All | Not) -> Found:
        found = self.selecting.bounded(node)
        if not any(one.field is not None and one.field.key.startswith(CONTEXT) for one in conditions(node)):
            return found
        # Cards of an item with a script at work are for the engine to look at, which knows what the script may write.
        sure, may = and_(found.sure, not_(_AT_WORK)), or_(found.may, _AT_WORK)
        return replace(found, sure=sure, may=may, exact=False)

    def _count(self, node: All | Not, found: Found, sure: int, may: int) -> Count:
        whole = Count(sure, Why.MORE_ITEMS if self.more else Why.EXACT)
        if sure == may:
            return whole
        leaves = list(conditions(node))
        broken = next((one for one in leaves if one.field is None or one.test is None), None)
        if broken is not None:
            return Count(sure, Why.BROKEN, broken.name)
        event = next((one for one in leaves if _of_an_event(one)), None)
        if event is not None:
            return Count(sure, Why.EVENT, _label(event))
        return self._looked_at(node, found, whole, may - sure)

    def _looked_at(self, node: All | Not, found: Found, whole: Count, undecided: int) -> Count:
        """The engine's word on what SQL left open: as many as the bounds allow, the newest first."""
        left = select(_ITEMS.c.id).where(*self.inside, found.may, ~found.sure).order_by(_ITEMS.c.id.desc())
        number, why, about = whole.number, whole.why, ""
        seen = 0
        for item_id in self.connection.execute(left.limit(MOST_LOOKED_AT)).scalars().all():
            facts = self._facts(item_id)
            if facts is None:
                break
            seen += 1
            truth = node.truth(Look(facts, {}))
            if truth is True:
                number += 1
            elif isinstance(truth, Open) and why in (Why.EXACT, Why.MORE_ITEMS):
                why, about = _reason(truth, node)
        if seen < undecided:
            why, about = (Why.TOO_MANY, "") if why in (Why.EXACT, Why.MORE_ITEMS) else (why, about)
        return Count(number, why, about)

    def _facts(self, item_id: int) -> Facts | None:
        """The item as a table run by hand would see it; None where the bounds are reached."""
        facts = self.looked.get(item_id)
        if facts is None:
            if len(self.looked) >= MOST_LOOKED_AT or self.elapsed() - self.begun > ASKING_S + LOOKING_S:
                return None
            item = read_item(self.connection, item_id, viewer=self.viewer)
            event = Event(
                id=0,
                item_id=item_id,
                seq=item.last_seq,
                kind=EventKind.RUN_NOW,
                at=self.now,
                actor=Actor(ActorKind.AGENT, self.viewer.key),
                root_id=0,
                depth=0,
            )
            facts = gather(self.connection, event, item, (), self.vocabulary, self.now)
            facts = replace(facts, writing=at_work(self.connection, self.scripts, item_id))
            self.looked[item_id] = facts
        return facts


def _chunks(nodes: Mapping[str, All | Not]) -> Iterator[list[tuple[str, All | Not]]]:
    """The nodes in pieces of which each can be asked in one statement."""
    chunk: list[tuple[str, All | Not]] = []
    compared = values = 0
    for key, node in nodes.items():
        own = size(node)
        if chunk and (compared + own[0] > MOST_CONDITIONS or values + own[1] > MOST_VALUES):
            yield chunk
            chunk, compared, values = [], 0, 0
        chunk.append((key, node))
        compared, values = compared + own[0], values + own[1]
    if chunk:
        yield chunk


def _of_an_event(one: CompiledCondition) -> bool:
    if one.field is None:
        return False
    return one.operator.looks is Looks.CHANGE or one.field.key.partition(".")[0] in _OF_EVENTS


def _label(one: CompiledCondition) -> str:
    return one.field.label if one.field is not None else one.name


def _reason(truth: Open, node: All | Not) -> tuple[Why, str]:
    asked: Undecided | None = next((one for one in truth.leaves if one.lookup is not None), None)
    if asked is not None and asked.lookup is not None:
        name = asked.lookup.name
        field = next(
            (one.field for one in conditions(node) if one.field is not None and one.field.lookup == name), None
        )
        return Why.OUTSIDE, field.group if field is not None else name
    return Why.BROKEN, ""
