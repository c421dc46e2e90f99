"""./run bench events: what one event costs, accepted to committed, with 100 tables live, and what handing it out costs.

Three yardsticks, each in the same run. The database's own work: the statements of our run, recorded, are replayed
through the raw driver on a copy of the same database with the same commits; what is above it is ours. One RQ job per
event, by RQ's SimpleWorker, doing the same work: what it spends beyond that work is its dispatch. And RQ's ceiling:
jobs that do nothing. Both databases, one worker and four, one event per lane and ten.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker
from sqlalchemy import event, func, make_url, select

from jobs import automation, lanes
from jobs.queues import Work
from jobs.services import Services, build
from jobs.settings import Settings
from jobs.tables import DecisionRow
from rules.store import EntryKind
from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from tests.bench import events_jobs
from tests.bench.mail import mail_to_context
from tests.bench.report import Figure, arguments, finish, percentile
from tests.builders import FrozenClock, a_ticket
from tests.environment.databases import Kind, PostgresDatabases, SqliteDatabases, postgres_server
from tests.environment.redis import RedisServer
from tests.jobs.desk import a_working_desk, publish, table
from tests.jobs.tables import TRIAGE
from tests.jobs.workers import WORKER, a_worker
from tickets import store
from tickets.db import WAITED, WAITS_BEHIND, Database
from tickets.disk import Behind, Log
from tickets.events import Actor, ActorKind
from tickets.tables import EventRow
from tickets.values import utc_now

#: Tables that are live: one that acts and others that look and pass.
TABLES = 100
#: Tickets per round, and rounds: each measures ours and then the replay of the same, so that what else the machine does
#: meets both. A round on PostgreSQL takes four times as long.
EVENTS = 60
ROUNDS: dict[Kind, int] = {"sqlite": 9, "postgres": 5}
#: Messages that follow the first one in the rounds with ten events per lane, and tickets of such a round.
FOLLOWING = 9
LONG_LANES = 8
#: Seconds the worker whose memory is watched goes on unless told how many events, and when it has settled: after so
#: many events, or this share of them.
MEMORY_S = 20
SETTLED_EVENTS = 5_000
SETTLED = 0.34
#: Tickets that are handled one by one, before and after each part of half load, to know what one event takes inline.
ALONE = 30
#: Seconds of half load (half of the events per second that one worker accepts, decides and commits), in so many parts,
#: and how often before each of them that number is measured.
HALF_LOAD_S = 15
HALF_LOAD_PARTS = 5
HALF_LOAD_MEASURED = 3
#: Customers that write in a second of it.
CUSTOMERS_S = 5
WORKERS = 4
#: Times hints are given until everything has to be done.
MOST_BURSTS = 20
#: Seconds a worker has at most for what is still waiting when half load ends.
MOST_WAIT_S = 120
#: What must hold.
REPLAY_RATIO = 0.6
DISPATCH_RATIO = 0.1
LAG_RATIO = 5.0
MEMORY_RATIO = 1.05

LOOKS_AND_PASSES = """
code: {code}
name: Looks and passes
kind: ticket
triggers: [{{on: created}}, {{on: message, by: customer, visibility: public}}]
hit: every
columns:
  - {{id: c1, field: message.text, op: contains_any}}
  - {{id: c2, field: ticket.priority, op: is}}
steps: [{{id: s1, do: add_tags}}]
rows:
  - {{id: r1, if: {{c1: {{value: [keyword{number}, word{number}]}}}}, then: {{s1: {{tags: [t{number}]}}}}}}
  - {{id: r2, if: {{c1: {{value: [other{number}]}}, c2: {{value: urgent}}}}, then: {{s1: {{tags: [u{number}]}}}}}}
"""


@dataclass
class Recording:
    """Statements of one connection after another, with their transactions."""

    steps: list[tuple[str, Any, bool]] = field(default_factory=list)


@dataclass
class Cost:
    wall_s: float
    cpu_s: float
    events: int
    drain_s: float  # of wall_s, without accepting


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--no-mail", action="store_true", help="leave out the mail-to-context time")
    parser.add_argument(
        "--memory", type=int, metavar="EVENTS", help="watch a worker's memory over so many, and no more"
    )
    parser.add_argument("--drain", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drain:
        drain_until_told(options.drain[0], Path(options.drain[1]))
        return 0
    if options.memory:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            return finish(memory(SqliteDatabases(folder), folder, events=options.memory), options.json)
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        makers: dict[Kind, Any] = {
            "sqlite": SqliteDatabases(folder),
            "postgres": PostgresDatabases(stack.enter_context(postgres_server())),
        }
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        for kind, maker in makers.items():
            figures += cost(kind, maker, folder)
            figures += several_workers(kind, maker, folder)
            figures += handing_out(kind, maker, folder, redis)
            figures += half_load(kind, maker, folder, redis)
        figures += ceiling(redis)
        figures += memory(makers["sqlite"], folder)
        makers["postgres"].drop_all()
        if not options.no_mail:
            figures += mail_to_context(folder)
    return finish(figures, options.json)


def hundred_tables(services: Services) -> None:
    table(services, TRIAGE)
    for number in range(2, TABLES + 1):
        publish(services, EntryKind.TABLE, LOOKS_AND_PASSES.format(code=f"A{number:02}", number=number))
    with services.db.read() as connection:
        assert services.live.current(connection).broken == {}
    warm(services)


def cost(kind: Kind, maker: Any, folder: Path) -> list[Figure]:
    """Ours and the raw replay, turn by turn; medians of the turns. And the seconds one event takes, inline.

    The raw driver waits for the disk with each commit, as it does by itself. On SQLite it is looked at, too, what it
    takes when its commits are put on the disk behind it where ours are."""
    figures = []
    inline: list[float] = []
    url = maker.make()
    with a_working_desk(url, folder / f"{kind}-cost") as services:
        hundred_tables(services)
        for lanes, accept in (("one", one_per_lane), ("ten", ten_per_lane)):
            ways = ("waiting", "behind") if kind == "sqlite" else ("waiting",)
            told, *replayed = (
                copied(kind, maker, url, services, folder / f"{kind}-{lanes}.{copy}") for copy in ("told", *ways)
            )
            recordings = record(services, told, accept, ROUNDS[kind])
            ours: list[Cost] = []
            ratios: dict[str, list[float]] = {way: [] for way in ways}
            with ExitStack() as stack:
                replays = {
                    way: stack.enter_context(replaying(copy, waiting=way == "waiting"))
                    for way, copy in zip(ways, replayed, strict=True)
                }
                for number, recording in enumerate(recordings):
                    ours.append(measure(services, accept, number))
                    for way in ways if number % 2 else reversed(ways):
                        ratios[way].append(replays[way](recording) / ours[-1].wall_s)
            for one in replayed:
                with closing(Database(one)) as copy:
                    assert decided(copy) == decided(services.db), "the replay did not do the same work"
            what = f"{kind}, {lanes} per lane"
            a_second = median(one.events / one.wall_s for one in ours)
            cpu = median(one.cpu_s / one.events for one in ours)
            figures += [
                Figure(f"{what}: events per second, one worker", a_second, "/s", "higher", "budget"),
                Figure(f"{what}: CPU per event", cpu * 1000, "ms", "lower", "budget"),
                Figure(f"{what}: raw replay / ours", median(ratios["waiting"]), "x", "higher", "ratio", REPLAY_RATIO),
            ]
            if "behind" in ratios:
                name = f"{what}: raw replay with the disk behind it / ours"
                figures.append(Figure(name, median(ratios["behind"]), "x", "higher", "ratio"))
            if accept is one_per_lane:
                inline = [one.drain_s / one.events for one in ours]
    return [*figures, Figure(f"{kind}: decide and commit, inline", median(inline) * 1000, "ms", "lower", "budget")]


def decided(db: Database) -> list[Any]:
    """What was decided of which events."""
    columns = DecisionRow.event_id, DecisionRow.outcome
    with db.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(*columns))]


def warm(services: Services) -> None:
    for _ in range(5):
        a_ticket(services.db)
    automation.drain(services, budget_s=30)


def one_per_lane(services: Services, number: int = 0) -> int:
    """Tickets with one event each; their triage makes another. How many events there will be.

    Each `number` has a customer of its own: nobody has a thousand open tickets."""
    for _ in range(EVENTS):
        a_ticket(services.db, email=f"customer{number}@example.com")
    return 2 * EVENTS


def ten_per_lane(services: Services, number: int = 0) -> int:
    """Tickets with one event and nine messages each, all waiting at once."""
    for _ in range(LONG_LANES):
        item_id = a_ticket(services.db, email=f"patron{number}@example.com").item_id
        for following in range(FOLLOWING):
            with services.db.write() as connection:
                item = store.read_item(connection, item_id, lock=True)
                person = item.state["customer"]
                assert isinstance(person, int)
                said = store.NewMessage("customer", True, "email", f"And {following}", author_person=person)
                actor = Actor(ActorKind.CUSTOMER, str(person), "Camille Laurent")
                store.change_item(connection, item, lines=(), actor=actor, now=services.clock.now(), messages=(said,))
    return LONG_LANES * (FOLLOWING + 2)


def measure(services: Services, accept: Callable[[Services, int], int], number: int = 0) -> Cost:
    """Accept and decide."""
    wall, cpu = time.perf_counter(), time.process_time()
    expected = accept(services, number)
    accepted = time.perf_counter()
    handled = automation.drain(services, budget_s=120)
    services.db.to_disk()
    ended = time.perf_counter()
    assert handled == expected, f"{handled} events were handled, not {expected}"
    return Cost(ended - wall, time.process_time() - cpu, handled, ended - accepted)


def record(services: Services, url: str, accept: Callable[[Services, int], int], rounds: int) -> list[Recording]:
    """The statements of each round's work, done on a copy of the database: to write them down takes a tenth of its
    time."""
    recordings = []
    with closing(Database(url)) as db:
        for number in range(rounds):
            recordings.append(Recording())
            with recorded(db, recordings[-1]):
                measure(replace(services, db=db), accept, number)
    return recordings


# Several workers -----------------------------------------------------------------------------------------------------


def several_workers(kind: Kind, maker: Any, folder: Path) -> list[Figure]:
    """Events per second of four processes that drain one database; their start is not counted."""
    url = maker.make()
    with a_working_desk(url, folder / f"{kind}-four") as services:
        hundred_tables(services)
        expected = one_per_lane(services) + one_per_lane(services)
    told = folder / f"{kind}-four"
    command = [sys.executable, "-m", "tests.bench.events", "--drain", url, str(told)]
    workers = [subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent) for _ in range(WORKERS)]
    while len(list(told.glob("ready-*"))) < WORKERS:
        time.sleep(0.05)
    begun = time.perf_counter()
    (told / "go").touch()
    for worker in workers:
        worker.wait(180)
    took = time.perf_counter() - begun
    handled = sum(int(one.read_text()) for one in told.glob("done-*"))
    assert handled == expected, f"{handled} events were handled, not {expected}"
    name = f"{kind}: events per second, {WORKERS} workers"
    return [Figure(name, handled / took, "/s", "higher", "budget")]


def drain_until_told(url: str, folder: Path) -> None:
    """One of several workers: drains when all are ready, and says how many events it has handled."""
    own = folder / f"worker-{os.getpid()}"
    own.mkdir()
    services = build(Settings(data_dir=own, database_url=url, redis_url=f"unix://{own}/none"), clock=FrozenClock())
    with services.db.read() as connection:
        services.live.current(connection)
    (folder / f"ready-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)
    handled = automation.drain(services, budget_s=120)
    (folder / f"done-{os.getpid()}").write_text(str(handled))
    services.close()


# Handing out ---------------------------------------------------------------------------------------------------------


def handing_out(kind: Kind, maker: Any, folder: Path, redis: RedisServer) -> list[Figure]:
    """The processor's time per event that is spent outside the work itself: by our hints, and by a job per event."""
    spent = {}
    for name, function, jobs in (
        ("ours", events_jobs.drain_all, 2),
        ("a job per event", events_jobs.drain_one, 2 * EVENTS),
    ):
        with a_working_desk(maker.make(), folder / f"{kind}-{name[0]}") as services:
            hundred_tables(services)
            one_per_lane(services)
            one_per_lane(services)
            events_jobs.AT_WORK.update(services=services, inside_s=0.0, handled=0)
            client = Redis.from_url(redis.url)
            waiting = Queue(f"bench-{kind}-{name[0]}", connection=client, serializer="json")
            begun = time.process_time()
            worker = SimpleWorker([waiting], connection=client, serializer="json")
            for _ in range(MOST_BURSTS):  # a job of ours ends with its budget; the clock then hints again
                for _ in range(jobs):
                    waiting.enqueue(function, result_ttl=0)
                worker.work(burst=True, logging_level="ERROR")
                if events_jobs.AT_WORK["handled"] == 4 * EVENTS:
                    break
            total = time.process_time() - begun
            client.close()
            handled = int(events_jobs.AT_WORK["handled"])
            assert handled == 4 * EVENTS, f"{handled} events were handled, not {4 * EVENTS}"
            spent[name] = (total - float(events_jobs.AT_WORK["inside_s"])) / handled
    return [
        *(
            Figure(f"{kind}: dispatch per event, {name}", seconds * 1000, "ms CPU", "lower", "budget")
            for name, seconds in spent.items()
        ),
        Figure(
            f"{kind}: dispatch, ours / a job per event",
            spent["ours"] / spent["a job per event"],
            "x",
            "lower",
            "ratio",
            DISPATCH_RATIO,
        ),
    ]


def ceiling(redis: RedisServer) -> list[Figure]:
    """How many jobs that do nothing RQ's SimpleWorker gets through in a second: no job per event can be faster."""
    client = Redis.from_url(redis.url)
    waiting = Queue("bench-nothing", connection=client, serializer="json")
    for _ in range(2 * EVENTS):
        waiting.enqueue(events_jobs.nothing, result_ttl=0)
    worker = SimpleWorker([waiting], connection=client, serializer="json")
    begun = time.perf_counter()
    worker.work(burst=True, logging_level="ERROR")
    took = time.perf_counter() - begun
    client.close()
    return [Figure("RQ: jobs that do nothing", 2 * EVENTS / took, "/s", "higher", "budget")]


# Half load and memory ------------------------------------------------------------------------------------------------


def half_load(kind: Kind, maker: Any, folder: Path, redis: RedisServer) -> list[Figure]:
    """Accepted -> applied with a real worker process and real hints, at half of what one worker gets through.

    In parts: what an event takes inline just now, on a desk of its own, alone and, accepted and all, where many wait;
    then the load that is half of the latter; then once more what one takes alone. On a machine that others use, too,
    they can be compared only side by side."""
    here, there = folder / f"{kind}-inline", folder / f"{kind}-half"
    parts: list[tuple[dict[int, float], float]] = []
    with (
        a_working_desk(maker.make(), here) as alone,
        a_working_desk(maker.make(), there, redis_url=redis.url) as services,
        (there / "worker.log").open("wb") as log,
        a_worker(services, "drain", {"DESKHAND_LOG_JSON": "true"}, command=WORKER, log=log),
    ):
        hundred_tables(alone)
        hundred_tables(services)
        while not services.redis.smembers("rq:workers"):
            time.sleep(0.05)
        handled_one(services)  # the worker has read the rules: what is measured is its way, not its start
        for part in range(HALF_LOAD_PARTS):
            before_s = inline(alone)
            numbers = range(part * HALF_LOAD_MEASURED, (part + 1) * HALF_LOAD_MEASURED)
            event_s = median(one.wall_s / one.events for one in (measure(alone, one_per_lane, at) for at in numbers))
            # A ticket is two events; half load leaves as much time again as accepting, deciding and committing took.
            accepted = under_load(services, 2 * 2 * event_s)
            parts.append((accepted, (before_s + inline(alone)) / 2))
        services.redis.flushall()
        at = applied(services, there / "worker.log")
    lags = [[at[event_id] - then for event_id, then in accepted.items()] for accepted, _ in parts]
    ratios = [percentile(found, 0.95) / inline_s for found, (_, inline_s) in zip(lags, parts, strict=True)]
    p50, p95 = (percentile([lag for found in lags for lag in found], part) * 1000 for part in (0.5, 0.95))
    return [
        Figure(f"{kind}: accepted -> applied at half load, p50", p50, "ms", "lower", "budget"),
        Figure(f"{kind}: accepted -> applied at half load, p95", p95, "ms", "lower", "budget"),
        Figure(f"{kind}: that p95 / decided and committed inline", median(ratios), "x", "lower", "ratio", LAG_RATIO),
    ]


def inline(services: Services) -> float:
    """Seconds until a ticket's event is decided and committed, each by itself, as its worker says of one under load:
    where many wait, several may share a commit, and on SQLite what it became shares its own."""
    took_s = 0.0
    with told_done() as done:
        for _ in range(ALONE):
            a_ticket(services.db)
            claim = lanes.claim(services.db, services.clock.now(), lease_s=10)
            done.clear()
            begun = time.perf_counter()
            handled = sum(automation.work_lane(services, claim.token, item_id) for item_id in claim.items)
            assert handled == 2, f"{handled} events were handled, not the ticket's and the one that it became"
            took_s += done[0] - begun
    return took_s / ALONE


@contextmanager
def told_done() -> Iterator[list[float]]:
    """When events were said to be done, in this process."""
    told: list[float] = []

    class Done(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "event.done":
                told.append(time.perf_counter())

    logger, handler = logging.getLogger(automation.__name__), Done()
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True


def under_load(services: Services, pause_s: float) -> dict[int, float]:
    """One ticket every `pause_s` seconds; of the event of each, when it was accepted: on the disk, in seconds UTC.

    Rules are told how many open tickets a customer has, so there are several: nobody has a thousand."""
    end = time.monotonic() + HALF_LOAD_S / HALF_LOAD_PARTS
    accepted: dict[int, float] = {}
    while time.monotonic() < end:
        begun = time.monotonic()
        customer = f"caller{int(begun * CUSTOMERS_S)}@example.com"
        event_id = a_ticket(services.db, now=utc_now(), email=customer).event_id
        assert event_id is not None
        accepted[event_id] = time.time()
        services.queues.hint(Work.DRAIN)
        time.sleep(max(0.0, pause_s - (time.monotonic() - begun)))
    until_all_is_done(services)
    return accepted


def applied(services: Services, log: Path) -> dict[int, float]:
    """When each event was applied, in seconds UTC: its worker says after the commit how long ago it had come in."""
    with services.db.read() as connection:
        came = {row.id: row.at for row in connection.execute(select(EventRow.id, EventRow.at))}
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    done = {line["event_id"]: line["after_us"] for line in lines if line["event"] == "event.done"}
    return {event_id: came[event_id].timestamp() + us / 1_000_000 for event_id, us in done.items()}


def handled_one(services: Services) -> None:
    """Returns when the worker has handled one ticket."""
    a_ticket(services.db, now=utc_now())
    services.queues.hint(Work.DRAIN)
    until_all_is_done(services)


def until_all_is_done(services: Services) -> None:
    waiting = select(func.count()).where(EventRow.status != "done")
    for _ in range(int(MOST_WAIT_S / 0.05)):
        with services.db.read() as connection:
            if not connection.execute(waiting).scalar_one():
                return
        time.sleep(0.05)
    raise TimeoutError(f"Not all events were handled within {MOST_WAIT_S} s")


def memory(maker: Any, folder: Path, *, events: int = 0) -> list[Figure]:
    """The memory of a process that handles so many events (0: as many as there is time for), settled and at the end."""
    sizes: list[tuple[int, float]] = []
    handled = 0
    url = maker.make()
    with a_working_desk(url, folder / "memory") as desk, closing(Database(url, synchronous="NORMAL")) as db:
        # What stays in memory does not depend on the disk; how many events there is time for does.
        services = replace(desk, db=db)
        hundred_tables(services)
        end = time.monotonic() + MEMORY_S
        while handled < events if events else time.monotonic() < end:
            for number in range(EVENTS):  # of as many customers: nobody has a thousand open tickets
                a_ticket(services.db, email=f"customer{handled + number}@example.com")
            handled += automation.drain(services, budget_s=60)
            sizes.append((handled, _resident_mb()))
    settled = next(size for at, size in sizes if at >= min(SETTLED_EVENTS, SETTLED * handled))
    return [
        Figure("events handled while memory was watched", handled, "events", "higher", "budget"),
        Figure("memory of a process in the end", sizes[-1][1], "MB", "lower", "budget"),
        Figure("memory in the end / when settled", sizes[-1][1] / settled, "x", "lower", "ratio", MEMORY_RATIO),
    ]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


# Recording and replay ------------------------------------------------------------------------------------------------


@contextmanager
def recorded(db: Database, recording: Recording) -> Iterator[None]:
    def on_execute(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        recording.steps.append((statement, parameters, many))

    def on_commit(_c: Any) -> None:
        recording.steps.append(("COMMIT", (), False))

    def on_rollback(_c: Any) -> None:
        recording.steps.append(("ROLLBACK", (), False))

    listeners = (("before_cursor_execute", on_execute), ("commit", on_commit), ("rollback", on_rollback))
    for name, listener in listeners:
        event.listen(db.engine, name, listener)
    yield
    for name, listener in listeners:
        event.remove(db.engine, name, listener)


def copied(kind: Kind, maker: Any, url: str, services: Services, path: Path) -> str:
    """A copy of the database as it is now."""
    services.db.engine.dispose()
    if kind == "postgres":
        name = make_url(url).database
        return str(maker._url(maker._create(name)))
    source = url.removeprefix("sqlite:///")
    with services.db.write() as connection:
        connection.exec_driver_sql("SELECT 1")
    services.db.engine.dispose()

    with sqlite3.connect(source) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    shutil.copyfile(source, path)
    return f"sqlite:///{path}"


@contextmanager
def replaying(url: str, *, waiting: bool) -> Iterator[Callable[[Recording], float]]:
    """Gives the seconds the raw driver takes for the same statements and commits.

    `waiting`: it waits for the disk with each commit that is to be there; else only where ours waited."""
    db = Database(url)
    raw = db.engine.raw_connection()
    connection: Any = raw.driver_connection
    cursor = connection.cursor()
    behind = Behind()
    if db.is_sqlite:
        # What `synchronous` FULL does within a commit comes after it here: claims do without, and say so each time.
        cursor.execute("PRAGMA synchronous=NORMAL")
        log = Log(connection)
    else:
        connection.autocommit = False

    def replay(recording: Recording) -> float:
        started = time.perf_counter()
        for statement, parameters, many in recording.steps:
            if statement == "COMMIT":
                connection.commit()
            elif statement == WAITED or (waiting and statement == WAITS_BEHIND):
                log.to_disk()
            elif statement == WAITS_BEHIND:
                behind.to_disk(log)
            elif statement == "ROLLBACK":
                connection.rollback()
            elif many:
                cursor.executemany(statement, parameters)
            else:
                cursor.execute(statement, parameters)
                if cursor.description is not None:
                    cursor.fetchall()
        return time.perf_counter() - started

    yield replay
    connection.rollback()
    behind.close()
    raw.close()
    db.close()


if __name__ == "__main__":
    sys.exit(main())
