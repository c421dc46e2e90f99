"""./run bench timers: what the clock costs when nothing is due, when something is, and when a time rule goes live.

Two desks that differ only in how many open items they have are measured in turns, on SQLite and on PostgreSQL. Half of
the items were due before the rule went live; the others come due one after the other over the next three days.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from jobs import timers
from jobs.services import Services
from tests.bench.report import Figure, arguments, finish
from tests.builders import MORNING, FrozenClock, a_ticket
from tests.environment.databases import Kind, PostgresDatabases, SqliteDatabases, postgres_server
from tests.jobs.desk import a_working_desk, table
from tickets.db import table_of
from tickets.tables import EventRow, Lane, Timer, TimeTrigger, WorkItem

#: Open items of the larger desk; the smaller one has a tenth of it.
SIZE = 1_000_000
#: Looks with nothing due, and how many timers come due in the two larger looks.
IDLE_LOOKS, FEW, MANY = 60, 200, 2_000
SPREAD = timedelta(days=6)
RULE = """
code: A21
name: Too long with another team
triggers: [{on: time_in_state, status: waiting_team, for: 72 h}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [too-long]}}}]
"""
#: One item in so many is urgent; the two narrow tables are for those.
ONE_IN = 100
NARROW = """
code: A22
name: Urgent, and much too long with another team
triggers: [{on: time_in_state, status: waiting_team, for: 3000 h}]
columns: [{id: c1, field: ticket.priority}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: urgent}, then: {s1: {tags: [urgent]}}}]
"""
DAILY = NARROW.replace("A22", "A23").replace(
    "{on: time_in_state, status: waiting_team, for: 3000 h}", "{on: schedule, cron: '0 9 1 1 *'}"
)


@dataclass
class RunningClock:
    """A clock that runs: from a given morning on, as fast as time does."""

    start: datetime
    began: float

    def now(self) -> datetime:
        return self.start + timedelta(seconds=time.monotonic() - self.began)


@dataclass
class Desk:
    services: Services
    items: int
    publish_s: float = 0.0
    narrow_s: float = 0.0
    tick_s: float = 0.0
    longest_batch_s: float = 0.0
    latest_s: int = 0


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--size", type=int, default=SIZE, help="open items of the larger desk")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one database")
    options = parser.parse_args()
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deskhand-bench-timers-")))
        makers: dict[Kind, Any] = {}
        if options.only != "postgres":
            makers["sqlite"] = SqliteDatabases(folder)
        if options.only != "sqlite":
            makers["postgres"] = PostgresDatabases(stack.enter_context(postgres_server()))
        for kind, maker in makers.items():
            figures += measured(kind, maker, folder, options.size)
            if kind == "postgres":
                maker.drop_all()
    return finish(figures, options.json)


def measured(kind: Kind, maker: Any, folder: Path, size: int) -> list[Figure]:
    with ExitStack() as stack:
        desks = []
        for items in (size // 10, size):
            made = stack.enter_context(a_working_desk(maker.make(), folder / f"{kind}{items}"))
            fill(made, items)
            desk = Desk(made, items)
            publish(desk)
            narrow(desk)
            print(f"{kind}: {items} items, published in {desk.publish_s:.1f} s", file=sys.stderr, flush=True)
            desks.append(desk)
        small, large = desks
        idle = in_turns(desks, IDLE_LOOKS, lambda _desk: 0)
        few = in_turns(desks, 3, lambda desk: come_due(desk, FEW))
        # Quick runs with few items let fewer come due.
        much = min(MANY, small.items // 12)
        many = in_turns(desks, 3, lambda desk: come_due(desk, much))
    words = {one.items: f"{one.items:,} items".replace(",", " ") for one in desks}

    def budget(name: str, value: float, unit: str, target: float | None = None) -> Figure:
        return Figure(f"{kind}: {name}", value, unit, "lower", "budget", target)

    def ratio(name: str, value: float) -> Figure:
        return Figure(f"{kind}: {name}", value, "x", "lower", "ratio", 2)

    figures = []
    for one in desks:
        figures += [
            budget(f"a look with nothing due, {words[one.items]}", idle[one.items] * 1000, "ms", 20),
            budget(f"one due timer, {words[one.items]}", many[one.items] / much * 1000, "ms", 5),
            budget(f"a rule live over {words[one.items]}", one.publish_s, "s"),
            budget(f"its longest batch, {words[one.items]}", one.longest_batch_s, "s", 5),
            budget(f"a rule for one in {ONE_IN} live over {words[one.items]}", one.narrow_s, "s"),
            budget(f"a tick of a schedule for one in {ONE_IN}, {words[one.items]}", one.tick_s, "s"),
            budget(f"the latest timer meanwhile, {words[one.items]}", one.latest_s, "s", 60),
        ]
    return [
        *figures,
        Figure(
            f"{kind}: a rule live for one in {ONE_IN} / for all, {words[large.items]}",
            large.narrow_s / large.publish_s,
            "x",
            "lower",
            "ratio",
            0.5,
        ),
        ratio("a look with nothing due, ten times the items", idle[large.items] / idle[small.items]),
        ratio("as many due, ten times the items", many[large.items] / many[small.items]),
        ratio("one due timer, ten times as many due", many[large.items] / much / (few[large.items] / FEW)),
    ]


def fill(services: Services, items: int) -> None:
    """Open items beside one that was written as always, each a little longer in its status than the next."""
    first = a_ticket(services.db, status="waiting_team").item_id
    columns = [column.name for column in table_of(WorkItem).c if column.name not in ("id", "status_since")]
    step_s = SPREAD.total_seconds() / items
    sqlite = services.db.is_sqlite
    since = (
        "strftime('%Y-%m-%d %H:%M:%f', :now, '-' || (n * :step) || ' seconds') || '000'"
        if sqlite
        else "CAST(:now AS timestamptz) - n * :step * interval '1 second'"
    )
    series = (
        "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :items)"
        if sqlite
        else "WITH series(n) AS (SELECT generate_series(1, :items))"
    )
    quoted = ", ".join(f'"{name}"' for name in columns)
    lanes = [column.name for column in table_of(Lane).c if column.name != "item_id"]
    now = MORNING.replace(tzinfo=None).isoformat(sep=" ") if sqlite else MORNING
    values = {"items": items, "first": first, "now": now, "step": step_s}
    with services.db.write() as connection:
        connection.execute(
            text(
                f"INSERT INTO items (id, status_since, {quoted}) {series}"
                f" SELECT :first + n, {since}, {quoted} FROM series, items WHERE items.id = :first"
                if not sqlite
                else f"{series} INSERT INTO items (id, status_since, {quoted})"
                f" SELECT :first + n, {since}, {quoted} FROM series, items WHERE items.id = :first"
            ),
            values,
        )
        connection.execute(
            text(
                f"INSERT INTO lanes (item_id, {', '.join(lanes)})"
                f" SELECT items.id, {', '.join(f'lanes.{name}' for name in lanes)} FROM items, lanes"
                " WHERE lanes.item_id = :first AND items.id > :first"
            ),
            {"first": first},
        )
        connection.execute(text(f"UPDATE items SET priority = 'urgent' WHERE id % {ONE_IN} = 0"))
        # The first one's own event is none of this.
        connection.execute(text("UPDATE lanes SET due_at = NULL"))
        if not sqlite:
            connection.execute(text("ANALYZE"))


def publish(desk: Desk) -> None:
    """A time rule goes live while time runs, and the clock looks until every item has its timer."""
    clock = RunningClock(MORNING, time.monotonic())
    running = replace(desk.services, clock=clock)
    table(running, RULE)
    began = time.perf_counter()
    timers.sync(running)
    while True:
        batch = time.perf_counter()
        fired = timers.fire(running)
        walked = timers.walk(running)
        desk.longest_batch_s = max(desk.longest_batch_s, time.perf_counter() - batch)
        if not walked and not fired:
            break
    desk.publish_s = time.perf_counter() - began
    with desk.services.db.read() as connection:
        late = connection.execute(select(EventRow.payload).where(EventRow.kind == "timer")).scalars().all()
        kept = connection.execute(select(func.count()).select_from(Timer)).scalar_one()
    assert kept > desk.items, f"{kept} timers for {desk.items} items"
    desk.latest_s = max((int(one["late_s"]) for one in late), default=0)
    still = desk.services.clock
    assert isinstance(still, FrozenClock)
    still.at = clock.now()
    while timers.fire(desk.services):
        pass


def narrow(desk: Desk) -> None:
    """A time rule and a schedule for few of the items go live; the schedule's tick comes once and is over."""
    services = desk.services
    still = services.clock
    assert isinstance(still, FrozenClock)
    table(services, NARROW)
    began = time.perf_counter()
    timers.sync(services)
    while timers.walk(services):
        pass
    desk.narrow_s = time.perf_counter() - began
    table(services, DAILY)
    timers.sync(services)
    with services.db.read() as connection:
        kept = connection.execute(select(func.count()).where(Timer.key.like("A22:%"))).scalar_one()
        urgent = connection.execute(select(func.count()).where(WorkItem.priority == "urgent")).scalar_one()
        at, [next_at] = (
            still.at,
            connection.execute(select(TimeTrigger.next_at).where(TimeTrigger.entry == "A23")).one(),
        )
    assert next_at is not None
    assert kept == urgent, f"{kept} timers for {urgent} urgent items"
    came = 0
    ahead = replace(services, clock=FrozenClock(next_at))
    began = time.perf_counter()
    while timers.fire_schedules(ahead):
        came += 1
    desk.tick_s = time.perf_counter() - began
    with services.db.write() as connection:
        ticks = connection.execute(
            select(func.count()).where(EventRow.kind == "timer", EventRow.at == next_at)
        ).scalar_one()
        assert ticks == urgent, f"{ticks} events for {urgent} urgent items, in {came} batches"
        connection.execute(text("UPDATE lanes SET due_at = NULL"))
    still.at = at


def in_turns(desks: list[Desk], rounds: int, prepare: Any) -> dict[int, float]:
    """The median time of a look at each desk, one after the other, in seconds. Each time `prepare` says what is due."""
    took: dict[int, list[float]] = {one.items: [] for one in desks}
    for _ in range(rounds):
        for desk in desks:
            due = prepare(desk)
            began = time.perf_counter()
            fired = timers.tick(desk.services, budget_s=600)
            took[desk.items].append(time.perf_counter() - began)
            assert fired == due, f"{fired} timers fired, not {due}"
    return {items: statistics.median(times) for items, times in took.items()}


def come_due(desk: Desk, count: int) -> int:
    """Move the clock to the moment when this many more are due."""
    with desk.services.db.read() as connection:
        at = connection.execute(
            select(Timer.due_at).where(Timer.due_at.is_not(None)).order_by(Timer.due_at).offset(count - 1).limit(1)
        ).scalar_one()
    assert at is not None
    still = desk.services.clock
    assert isinstance(still, FrozenClock)
    still.at = at
    return count


if __name__ == "__main__":
    sys.exit(main())
