"""A scratch desk in which an item's past happens again: the production code, a clock that jumps, no way out.

It has a database of its own in a private folder, holds the set-up of the live desk and one item at a time, answers
questions by what was recorded, tells no queue, and sends nothing: what would leave stays in its outbox. The live
database is only read.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from redis import Redis
from sqlalchemy import Connection, bindparam, create_mock_engine, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite

from connectors.store import ConnectionTable
from jobs import automation, enrichment, runs, timers
from jobs.live import Live
from jobs.queues import Queues, Work
from jobs.replays.recorded import RecordedConnectors
from jobs.replays.scratch import new_folder
from jobs.replays.story import Happening, Story
from jobs.replays.told import Told, tell
from jobs.services import Services
from jobs.tables import CompiledScript, LookupRow, RunRow
from rules import store as rule_list
from rules.store import EntryKind, EntryRow, RevisionRow, VersionRow
from tickets import store
from tickets.db import Base, Database, UtcDateTime, table_of
from tickets.item import FINISHED
from tickets.prepared import Prepared
from tickets.schedule import next_tick
from tickets.tables import (
    Brand,
    BusinessCalendar,
    CustomField,
    Follower,
    JobStatusRow,
    Lane,
    ListRow,
    Location,
    LocationGroup,
    LocationGroupMember,
    Mailbox,
    Person,
    PersonAddress,
    PipelineRow,
    QuestionList,
    Rotation,
    SlaPolicy,
    StageRow,
    Team,
    TeamMember,
    Timer,
    TimeTrigger,
    User,
    WorkItem,
)
from tickets.timers import TimeRule
from tickets.values import JSON

#: Moments between its events at which one item's clock stops, for a timer or the end of a wait.
MOST_MOMENTS = 200
#: Times that lanes, lookups and scripts take turns at one moment.
MOST_ROUNDS = 50
#: Other open items that a customer is given at most.
MOST_OTHERS = 100
#: Seconds of work that one item may take, on one side.
ITEM_S = 10.0
#: Where the rule list of a scratch desk begins before an item does: a moment, so that no clock of its rules is late.
BEFORE = timedelta(seconds=1)
#: What a scratch desk takes over from the live one.
SET_UP: tuple[type[Base], ...] = (
    Team,
    Brand,
    Location,
    LocationGroup,
    LocationGroupMember,
    ListRow,
    User,
    TeamMember,
    CustomField,
    PipelineRow,
    JobStatusRow,
    StageRow,
    QuestionList,
    Rotation,
    Mailbox,
    BusinessCalendar,
    SlaPolicy,
    EntryRow,
    VersionRow,
    RevisionRow,
    ConnectionTable,
    CompiledScript,
)
#: What is left out of it: a scratch desk has nothing to keep safe.
_BLANK: Mapping[str, str] = {"password_hash": "", "sealed": ""}


@dataclass(frozen=True, slots=True)
class Played:
    """The end of a story on one side. `cut`: at which bound it was left, None when it was told to its end."""

    told: Told
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """A bound that was reached. `what`: "seconds" of work, "moments" at which something was due, or "rounds" at one."""

    what: str
    most: int


class _Left(Exception):
    """A bound was reached; what happened until then stands."""

    def __init__(self, what: str, most: float) -> None:
        super().__init__(what, most)
        self.cut = Cut(what, int(most))


class JumpingClock:
    """A clock that is moved to the next moment at which something happens."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def now(self) -> datetime:
        assert self.at is not None, "the story has not begun"
        return self.at


class _Deaf(Queues):
    """Hints nobody: the lab does by itself, at once, what is due."""

    def __init__(self) -> None:
        pass

    def hint(self, work: Work) -> None:
        """Nothing."""


@contextmanager
def lab(services: Services, drafts: Mapping[str, Mapping[str, Any]], *, scripts: bool) -> Iterator[Lab]:
    """A scratch desk with the live rule list and these drafts, by code, in the place of what is live.

    `scripts` False leaves scripts out: where a row would run one, the step says that it is switched off."""
    folder = new_folder(services)
    db = Database(f"sqlite:///{folder}/scratch.db", synchronous="NORMAL")
    try:
        with closing(db.engine.raw_connection()) as connection:
            connection.cursor().executescript(_tables())
        with services.db.read() as live, db.write() as scratch:
            _furnish(live, scratch, drafts, scripts=scripts)
        clock = JumpingClock()
        connectors = RecordedConnectors(services.db, clock)
        own = replace(
            services,
            db=db,
            redis=Redis(unix_socket_path=f"{folder}/no-redis.sock"),
            queues=_Deaf(),
            gateway=connectors,
            live=Live(),
            clock=clock,
        )
        yield Lab(own, clock, connectors)
    finally:
        db.close()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _tables() -> str:
    """What makes the tables, worded once: a small replay would spend a third of its time on finding these words."""
    statements = ["BEGIN"]
    words = sqlite.dialect()
    no_engine = create_mock_engine("sqlite://", lambda one, *_: statements.append(str(one.compile(dialect=words))))
    Base.metadata.create_all(no_engine, checkfirst=False)
    return ";\n".join([*statements, "COMMIT"])


def _furnish(live: Connection, scratch: Connection, drafts: Mapping[str, Mapping[str, Any]], *, scripts: bool) -> None:
    for model in SET_UP:
        table = table_of(model)
        query = select(table)
        if model is VersionRow:
            query = query.join(
                EntryRow, (EntryRow.code == VersionRow.code) & (EntryRow.live_version == table.c.version)
            )
        rows = [{**one, **{key: _BLANK[key] for key in one if key in _BLANK}} for one in live.execute(query).mappings()]
        if model is ConnectionTable:
            # That there are some is part of what a connection can be asked; which they are is nobody's business here.
            rows = [{**one, "secrets": "-" if one["secrets"] else "", "writes": 0} for one in rows]
        if rows:
            scratch.execute(insert(table), rows)
    for code, draft in drafts.items():
        stored = rule_list.entry(scratch, code)
        version = (stored.live_version or 0) + 1
        content = {**draft, "code": code}
        scratch.execute(
            insert(VersionRow).values(
                code=code,
                version=version,
                name=str(draft.get("name") or stored.name)[:200],
                content=content,
                author="",
                note="",
                published_at=stored.draft_at or datetime.fromtimestamp(0, UTC),
            )
        )
        # On even when the switch is off: who edits a table wants to see what it would do.
        scratch.execute(update(EntryRow).where(EntryRow.code == code).values(live_version=version, enabled=True))
    if not scripts:
        scratch.execute(update(EntryRow).where(EntryRow.kind == EntryKind.SCRIPT).values(enabled=False))
    rule_list.bump(scratch)


class Lab:
    """One scratch desk. It plays one story at a time, and each the same way however often."""

    def __init__(self, services: Services, clock: JumpingClock, connectors: RecordedConnectors) -> None:
        self.services = services
        self._clock = clock
        self._connectors = connectors
        self._ends = 0.0
        self._moments = 0
        with services.db.read() as connection:
            desk = services.live.current(connection)
            self.revision = desk.revision
            #: Tables that cannot be read, by code, with the reason.
            self.broken = dict(desk.broken)
            #: The rotation as it was taken over, and whom the desk knows: each story begins with them.
            kept = {one.__tablename__ for one in SET_UP} - {Rotation.__tablename__}
            tables = [one for one in reversed(Base.metadata.sorted_tables) if one.name not in kept]
            self._clearing = [str(delete(one)) for one in tables]
            self._turns = [dict(one) for one in connection.execute(select(table_of(Rotation))).mappings()]

    def play(self, story: Story) -> Played:
        """Let this past happen again, from its beginning to `story.until`. Raises what the store refuses."""
        self._ends = time.monotonic() + ITEM_S
        self._moments = 0
        self._connectors.tell(story.answers)
        cut: Cut | None = None
        with _quiet():
            item_id = self._begin(story)
            try:
                self._settle()
                for one in story.happenings:
                    self._until(one.at)
                    self._happen(item_id, one)
                    self._settle()
                self._until(story.until)
            except _Left as reached:
                cut = reached.cut
            with self.services.db.read() as connection:
                return Played(tell(connection, item_id, story.until, self._connectors.missing), cut)

    # Beginning -----------------------------------------------------------------------------------------------------

    def _begin(self, story: Story) -> int:
        """An empty desk in which the rule list is live, and the item as it came into being."""
        db = self.services.db
        begins = story.begins
        self._clock.at = begins.at - BEFORE
        with db.write() as connection:
            self._clear(connection)
            if story.persons:
                connection.execute(insert(table_of(Person)), [dict(one) for one in story.persons])
            if story.addresses:
                connection.execute(insert(table_of(PersonAddress)), [dict(one) for one in story.addresses])
            connection.execute(update(VersionRow).values(published_at=self._clock.at))
        timers.sync(self.services)
        while timers.walk(self.services):
            pass  # over no items: what goes live before an item is there counts for all of it
        self._clock.at = begins.at
        with db.write() as connection:
            _number_next(connection, story.item_id, begins.at)
            written = store.create_item(
                connection,
                kind=story.kind,
                state=story.state,
                actor=begins.actor,
                now=begins.at,
                message=begins.messages[0] if begins.messages else None,
                chain=store.Chain(payload=begins.payload),
            )
            connection.execute(delete(WorkItem).where(WorkItem.id == story.item_id - 1))
            if story.followers:
                follows = [{"item_id": written.item_id, "user": one} for one in story.followers]
                connection.execute(insert(table_of(Follower)), follows)
            _others(connection, story.state.get("customer"), begins)
        assert written.item_id == story.item_id
        return written.item_id

    def _clear(self, connection: Connection) -> None:
        # By the driver itself: two thirds of what is executed for a play are these, and most of them meet no row.
        cursor = connection.connection.cursor()
        for statement in self._clearing:
            cursor.execute(statement)
        if self._turns:
            connection.execute(insert(table_of(Rotation)), self._turns)

    def _happen(self, item_id: int, one: Happening) -> None:
        with self.services.db.write() as connection:
            item = store.read_item(connection, item_id, lock=True)
            _others(connection, item.state.get("customer"), one)
            store.change_item(
                connection,
                item,
                lines=one.lines,
                actor=one.actor,
                now=self._clock.now(),
                messages=one.messages,
                context=one.cards,
                chain=store.Chain(payload=one.payload),
                kind=one.kind,
            )

    # Going on ------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Do what is due at this moment: events, lookups, scripts, until none is."""
        for _ in range(MOST_ROUNDS):
            left_s = self._ends - time.monotonic()
            if left_s <= 0:
                raise _Left("seconds", ITEM_S)
            done = automation.drain(self.services, budget_s=left_s)
            done += enrichment.enrich(self.services)
            done += runs.run_due(self.services)
            if not done:
                return
        raise _Left("rounds", MOST_ROUNDS)

    def _until(self, to: datetime) -> None:
        """Let the time pass up to `to`, stopping wherever something is due."""
        while True:
            moment = self._next(to)
            if moment is None:
                self._clock.at = max(self._clock.now(), to)
                return
            self._moments += 1
            if self._moments > MOST_MOMENTS:
                raise _Left("moments", MOST_MOMENTS)
            self._clock.at = max(self._clock.now(), moment)
            while timers.fire(self.services) + timers.fire_schedules(self.services):
                pass
            self._settle()

    def _next(self, to: datetime) -> datetime | None:
        """The next moment up to `to` at which something is due."""
        with self.services.db.read() as connection:
            found = [earliest.scalar(connection, {}) for earliest in _EARLIEST]
            ticks = _TICKS.all(connection, {"to": to})
            working = ticks and connection.execute(_WORKED_ON.limit(1)).first() is not None
        if working:
            found += [one.next_at for one in ticks]
        due = [one for one in found if one is not None and one <= to]
        if due:
            return min(due)
        if ticks:
            # Nobody is there to hear them; without this the first after that would be late for all of them.
            with self.services.db.write() as connection:
                for one in ticks:
                    rule = TimeRule.from_json(one.rule)
                    following = next_tick(rule.schedule, rule.zone, to)
                    connection.execute(update(TimeTrigger).where(TimeTrigger.key == one.key).values(next_at=following))
        return None


_EARLIEST = [
    Prepared(select(func.min(one).label("due_at")))
    for one in (Timer.due_at, Lane.due_at, RunRow.due_at, LookupRow.due_at)
]
_TICKS = Prepared(
    select(TimeTrigger.key, TimeTrigger.next_at, TimeTrigger.rule).where(
        TimeTrigger.next_at <= bindparam("to", type_=UtcDateTime)
    )
)
_WORKED_ON = select(WorkItem.id).where(
    WorkItem.id > 0, WorkItem.status.is_(None) | WorkItem.status.not_in(sorted(FINISHED))
)


def _number_next(connection: Connection, item_id: int, now: datetime) -> None:
    """Have SQLite give the next item this number: it counts on from the highest there is."""
    if item_id > 1:
        connection.execute(insert(table_of(WorkItem)), _stand_in(item_id - 1, now))


def _others(connection: Connection, customer: JSON, one: Happening) -> None:
    """Have the customer as many other open items as they had then: rules may ask how many there are.

    They have no lane and no event, and numbers below zero, so nothing ever happens to them."""
    if one.open_others is None or not isinstance(customer, int):
        return
    connection.execute(delete(WorkItem).where(WorkItem.id < 0))
    rows = [
        {**_stand_in(-number, one.at), "status": "open", "customer": customer}
        for number in range(1, min(one.open_others, MOST_OTHERS) + 1)
    ]
    if rows:
        connection.execute(insert(table_of(WorkItem)), rows)


def _stand_in(item_id: int, now: datetime) -> dict[str, Any]:
    return {
        "id": item_id,
        "kind": "elsewhere",
        "fields": {},
        "version": 1,
        "last_seq": 1,
        "created_at": now,
        "updated_at": now,
        "modified_at": now,
        "status_since": now,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines meanwhile: they would speak of events, under numbers, that are none of the desk's."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def codes_of(connection: Connection) -> Sequence[rule_list.Stored]:
    """The entries that have a draft, in list order."""
    return [one for one in rule_list.entries(connection) if one.draft is not None]
