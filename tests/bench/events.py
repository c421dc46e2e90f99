"""./run bench events: what one event costs from accepted to committed, and how long a customer's mail takes.

The yardstick for the cost is the database's own work: the statements of the same run, recorded, are replayed through
the raw driver on a copy of the same database with the same commits. What is above it is ours.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url

from jobs import automation
from jobs.services import Services
from tests.bench.mail import mail_to_context
from tests.bench.report import Figure, arguments, finish
from tests.builders import a_ticket
from tests.environment.databases import Kind, PostgresDatabases, SqliteDatabases, postgres_server
from tests.jobs.desk import a_working_desk, table
from tests.jobs.test_automation import TRIAGE
from tickets.db import Database

#: Events per round and rounds; each round measures ours and the replay one after the other.
EVENTS = 150
ROUNDS = 5


@dataclass
class Recording:
    """Statements of one connection after another, with their transactions."""

    steps: list[tuple[str, Any, bool]] = field(default_factory=list)


@dataclass
class Cost:
    wall_s: float
    cpu_s: float
    events: int


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--no-mail", action="store_true", help="leave out the mail-to-context time")
    options = parser.parse_args()
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        makers: dict[Kind, Any] = {
            "sqlite": SqliteDatabases(folder),
            "postgres": PostgresDatabases(stack.enter_context(postgres_server())),
        }
        for kind, maker in makers.items():
            figures += cost(kind, maker, folder)
        makers["postgres"].drop_all()
        if not options.no_mail:
            figures += mail_to_context(folder)
    return finish(figures, options.json)


def cost(kind: Kind, maker: Any, folder: Path) -> list[Figure]:
    """Ours and the raw replay, interleaved; medians of the rounds."""
    ratios: list[float] = []
    ours: list[Cost] = []
    for number in range(ROUNDS):
        url = maker.make()
        with a_working_desk(url, folder / f"{kind}{number}") as services:
            table(services, TRIAGE)
            warm(services)
            copy = copied(kind, maker, url, services, folder / f"{kind}{number}.copy")
            recording, measured = measure(services)
        replayed = replay(copy, recording)
        ours.append(measured)
        ratios.append(replayed / measured.wall_s)
    middle = sorted(ours, key=lambda one: one.wall_s)[len(ours) // 2]
    ratio = sorted(ratios)[len(ratios) // 2]
    return [
        Figure(f"{kind}: events per second, one worker", middle.events / middle.wall_s, "events/s", "higher", "budget"),
        Figure(f"{kind}: time per event", middle.wall_s / middle.events * 1000, "ms", "lower", "budget"),
        Figure(f"{kind}: CPU per event", middle.cpu_s / middle.events * 1000, "ms", "lower", "budget"),
        Figure(f"{kind}: raw replay of the same statements / ours", ratio, "x", "higher", "ratio"),
    ]


def warm(services: Services) -> None:
    for _ in range(5):
        a_ticket(services.db)
    automation.drain(services, budget_s=30)


def measure(services: Services) -> tuple[Recording, Cost]:
    """Accept and decide; the recording costs a little and is counted against us."""
    recording = Recording()
    with recorded(services.db, recording):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(EVENTS):
            a_ticket(services.db)
        handled = automation.drain(services, budget_s=120)
        measured = Cost(time.perf_counter() - wall, time.process_time() - cpu, handled)
    assert handled == 2 * EVENTS, f"{handled} events were handled, not {2 * EVENTS}"
    return recording, measured


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


def replay(url: str, recording: Recording) -> float:
    """The seconds the raw driver takes for the same statements and commits."""
    db = Database(url)
    raw = db.engine.raw_connection()
    connection: Any = raw.driver_connection
    if not db.is_sqlite:
        connection.autocommit = False
    cursor = connection.cursor()
    started = time.perf_counter()
    for statement, parameters, many in recording.steps:
        if statement == "COMMIT":
            connection.commit()
        elif statement == "ROLLBACK":
            connection.rollback()
        elif many:
            cursor.executemany(statement, parameters)
        else:
            cursor.execute(statement, parameters)
            if cursor.description is not None:
                cursor.fetchall()
    took = time.perf_counter() - started
    connection.rollback()
    raw.close()
    db.close()
    return took


if __name__ == "__main__":
    sys.exit(main())
