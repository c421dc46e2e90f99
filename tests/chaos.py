"""./run chaos: the product's real processes under load while they are killed; then everything is counted.

Outside processes hand in changes, through the store and over HTTP (`chaos_feed`), and keep a ledger of what was
accepted; tables answer, ask a CRM, run a script that asks it, too, tell a receiver of webhooks, write into the books,
and wait for a time.
Meanwhile at least one process a second is killed (-9), workers of every kind, the web, the sandbox service and the
clock; Redis is flushed and killed, PostgreSQL is crashed, SQLite finds no room to write, drain workers are paused
beyond their lease, clocks jump an hour ahead and half an hour back, and one commit in ten is never announced.
Afterwards: every accepted event has had its effect exactly once, in its item's order; every e-mail it caused reached a
real SMTP server at least once under one Message-ID, every webhook its receiver under one id and every change its system
under one key; every time came once; nothing of ours is left running. An ordinary RQ handler, one job per event, goes
through the same, and must show losses.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select

from jobs.tables import LookupRow, OutboxRow, RunRow
from run_tool.commands import children_of_this_process, die_with_parent, inherit_orphans, kill_group, tail
from run_tool.places import ROOT
from run_tool.postgres_server import NOBODY, _initdb, _stop, _wait_for, postgres_binaries
from tests import chaos_plain
from tests.chaos_count import Found, count
from tests.chaos_desk import fill
from tests.connectors.upstream import Reply, Upstream, as_json
from tests.environment.ports import free_port
from tests.environment.redis import RedisServer
from tests.environment.started import Process, Starter, logged
from tests.jobs.sink import MailSink, a_mail_sink
from tickets.db import Database
from tickets.events import EventKind
from tickets.migrate import upgrade
from tickets.tables import EventRow, Lane, Timer

WORKERS = ("drain", "drain", "scripts", "enrichment", "outbox", "clock", "sandbox", "web")
MAIL_FROM = "help@chaos.example"
#: Seconds a worker holds a lane and a delivery here; a paused worker sleeps this much longer than the first.
LEASE_S = 2
PAUSE_EXTRA_S = 1.5
#: Seconds between kills, flushes, deaths of Redis, pauses and crashes of PostgreSQL; seconds Redis stays away.
KILL_EVERY_S = 0.95
FLUSH_EVERY_S = 4
REDIS_EVERY_S = 15
REDIS_AWAY_S = 1.5
PAUSE_EVERY_S = 9
POSTGRES_EVERY_S = 14
#: Of how many kills one hits a worker of the control, too; seconds until the outside process has to be at work.
PLAIN_EVERY = 4
#: In a run of this many seconds every process has to die at least once.
EACH_DIES_S = 30
START_S = 60
#: Seconds between jumps of the clock and how long each lasts; how far they go, in seconds, in turn.
JUMP_EVERY_S = 11
JUMP_S = 3
JUMPS_S = (3600, -1800)
#: Seconds between the times in which nothing can be written, how long each lasts, and how far files may grow then.
FULL_EVERY_S = 13
FULL_S = 2
FULL_BYTES = 64 * 1024
#: Seconds until all work must be done once the blows end, and until the control has had its chance. A minute's blows on
#: PostgreSQL left work for 118 s on two cores with a load of 20.
QUIET_S = 300
CONTROL_S = 10
#: Seconds until a process that was asked to end has, and until what it left is gone: what does not end never would.
STOP_S = 40
#: Seconds those who hand in may go on after the last blow; and how far the clock then goes ahead, so that the times
#: come that were reckoned by a clock which was ahead.
FED_S = 60
LATER_S = 7200


# The servers and the processes -----------------------------------------------------------------------------------


class Postgres:
    """A PostgreSQL server that can be crashed. What it said was committed survives that: nothing is left unsynced
    that the operating system would not still have."""

    def __init__(self, folder: Path, *, listen: str = "") -> None:
        """On a socket in this folder, and with `listen` on a free port of that address, too."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found = postgres_binaries(Path(psycopg.__file__).parent.parent)
        if found is None:
            raise SystemExit("There is no PostgreSQL here; nothing was started. Use --database sqlite.")
        self._binaries = found
        self._folder = folder
        self._as_nobody: dict[str, object] = {}
        if os.geteuid() == 0:
            self._as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(folder, NOBODY, NOBODY)
        _initdb(found, folder / "data", self._as_nobody)
        self._listen, self._port = listen, free_port(listen) if listen else 5432
        if listen:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {listen.rpartition('.')[0]}.0/24 trust\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql+psycopg://deskhand@/postgres?host={quote(str(folder), safe='')}&port={self._port}"

    def url_at(self, address: str) -> str:
        """The server as another host reaches it."""
        return f"postgresql+psycopg://deskhand@{address}:{self._port}/postgres"

    def start(self) -> None:
        settings = {
            "listen_addresses": self._listen,
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
            "fsync": "off",
            "synchronous_commit": "on",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **self._as_nobody,  # type: ignore[call-overload]
            )
        _wait_for(self._folder / f".s.PGSQL.{self._port}", self._process, self._folder / "log")

    def crash(self) -> None:
        """Immediate shutdown, and up again after it has recovered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_S)
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            _stop(self._process)


@dataclass
class Fleet:
    """The processes, started again whenever they are dead."""

    commands: dict[str, list[str]]
    environ: dict[str, str]
    logs: Path
    web: str  # the address of the web process
    running: dict[str, Process] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    paused: dict[str, float] = field(default_factory=dict)  # until when, on the monotonic clock
    deaths: Counter[str] = field(default_factory=Counter)
    #: Of workers that died: half the processor would go into what each imports.
    starter: Starter = field(default_factory=Starter)

    def keep_up(self) -> None:
        """Start what is not running, let go on what was paused long enough."""
        now = time.monotonic()
        for name, command in self.commands.items():
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                continue
            self.paused.pop(name, None)
            if process is not None:
                self.deaths[name] += 1
                kill_group(process.pid)  # as ./run does: what it left running is none of the next one's
            with (self.logs / f"{name}.log").open("ab") as log:
                self.running[name] = self._start(command, log, again=process is not None)
            self.started[name] = now
        for name, until in list(self.paused.items()):
            if now >= until:
                self.running[name].send_signal(signal.SIGCONT)
                del self.paused[name]

    def _start(self, command: list[str], log: IO[bytes], *, again: bool) -> Process:
        """By its command line, or, if it is a worker that died, forked."""
        _python, _dash, module, *arguments = command
        if again and module in ("jobs.worker", "tests.chaos_plain"):
            return self.starter.start(module, *arguments, environ=self.environ, log=log)
        return logged(command, self.environ, log)

    def kill_one(self, rng: random.Random, *, plain: bool) -> None:
        """kill -9 one of the half that has run longest, so that what is killed has had time to begin something."""
        able = [one for one in self.running if one not in self.paused and one.startswith("plain") == plain]
        able.sort(key=lambda one: self.started[one])
        if able:
            self.running[rng.choice(able[: max(2, len(able) // 2 + 1)])].kill()

    def pause_a_drain(self, rng: random.Random) -> None:
        name = rng.choice([one for one in self.running if one.startswith("drain")])
        if name not in self.paused and self.running[name].poll() is None:
            self.running[name].send_signal(signal.SIGSTOP)
            self.paused[name] = time.monotonic() + LEASE_S + PAUSE_EXTRA_S

    def room_for_files(self, limit: int, *others: int) -> None:
        """How large a file may be that these processes, and the others given, write to from now on."""
        pids = [*(one.pid for one in self.running.values()), *others]
        for pid in [*pids, *_children(self.running["web"].pid)]:
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def stop(self) -> list[str]:
        """SIGTERM to all; the names of those that had to be killed after `STOP_S`."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        stubborn = []
        end = time.monotonic() + STOP_S
        for name, process in self.running.items():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                stubborn.append(name)
                process.kill()
                process.wait()
        self.starter.close()
        return stubborn


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


# One run ---------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long there are blows, in seconds")
    parser.add_argument("--seed", type=int, default=None, help="the same blows again")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"chaos on {options.database} for {options.seconds:.0f} s, seed {seed}", flush=True)
    inherit_orphans()
    with tempfile.TemporaryDirectory(prefix="deskhand-chaos-") as name:
        found = rampage(Path(name), options.database, options.seconds, seed)
    print(f"submitted {found.submitted} = applied {found.applied}" if not found.faults else "FAILED")
    for fault in found.faults:
        print(f"!! {fault}")
    if found.faults:
        print(f"again: ./run chaos --seconds {options.seconds:.0f} --database {options.database} --seed {seed}")
    return 1 if found.faults else 0


def rampage(folder: Path, kind: str, seconds: float, seed: int) -> Found:
    """Everything, in this folder; what is left running at the end is a fault, and killed."""
    folder.chmod(0o755)  # PostgreSQL runs as nobody
    rng = random.Random(seed)
    with ExitStack() as stack:
        sink = stack.enter_context(a_mail_sink())
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        postgres = None
        if kind == "postgres":
            postgres = Postgres(folder / "pg")
            postgres.start()
            stack.callback(postgres.stop)
        url = postgres.url if postgres else f"sqlite:///{folder}/chaos.db"
        upgrade(url)
        crm = Upstream(lambda _: as_json([{"id": "c1", "name": "Camille", "tier": "gold"}]))
        stack.callback(crm.close)
        hooks = Upstream(lambda _: Reply(status=204))
        stack.callback(hooks.close)
        books = Upstream(lambda asked: as_json({"id": asked.headers["idempotency-key"]}))
        stack.callback(books.close)
        token = fill(folder, url, redis.url, crm=crm.url, hooks=hooks.url, books=books.url)
        fleet = _fleet(folder, url, redis.url, sink)
        try:
            fleet.keep_up()
            feeders = {"store": (url, redis.url), "web": (fleet.web, token)}
            counts, faults = _blows(fleet, redis, postgres, rng, feeders, (folder, seconds, seed))
            print(", ".join(f"{times} {what}" for what, times in sorted(counts.items())), flush=True)
            print("deaths: " + ", ".join(f"{times} {name}" for name, times in sorted(fleet.deaths.items())), flush=True)
            found = Found(faults=faults)
            db = Database(url)
            quiet_s = _wait_for_quiet(db, fleet)
            if quiet_s is None:
                found.faults.append(f"work is left {QUIET_S} s after the last blow: {_left(db)}")
            else:
                print(f"quiet {quiet_s:.1f} s after the last blow", flush=True)
            found.times_in_time = _times_that_came(db)
            # What was reckoned by a clock that was ahead comes when that hour does.
            (folder / "clock").write_text(str(LATER_S))
            if _wait_for_quiet(db, fleet, times=True) is None:
                found.faults.append(f"times that did not come: {_left(db, times=True)}")
            _let_the_control_finish(redis.url, folder, fleet)
            found.faults += [f"{one} did not end on SIGTERM" for one in fleet.stop()]
            count(found, db, sink, folder, MAIL_FROM, hooks.asked, books.asked)
            db.close()
        finally:
            fleet.stop()
        if counts["kills"] < seconds * 0.95:
            found.faults.append(f"only {counts['kills']} kills in {seconds:.0f} s: at least one a second is promised")
        spared = sorted(one for one in fleet.commands if not one.startswith("plain") and not fleet.deaths[one])
        if spared and seconds >= EACH_DIES_S:
            found.faults.append(f"never killed: {', '.join(spared)}")
        if found.faults:
            for log in sorted((folder / "logs").glob("*.log")):
                print(f"--- {log.stem}\n{tail(log.read_text(errors='replace'), 8)}")
    found.faults += _orphans()
    return found


def _fleet(folder: Path, url: str, redis_url: str, sink: MailSink) -> Fleet:
    (folder / "logs").mkdir()
    (folder / "sandbox").mkdir(mode=0o700)
    socket = folder / "sandbox" / "sandbox.sock"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")},
        "DESKHAND_DATA_DIR": str(folder),
        "DESKHAND_DATABASE_URL": url,
        "DESKHAND_REDIS_URL": redis_url,
        "DESKHAND_SANDBOX_SOCKET": str(socket),
        "DESKHAND_SMTP_URL": sink.url,
        "DESKHAND_MAIL_FROM": MAIL_FROM,
        "DESKHAND_LEASE_S": str(LEASE_S),
        "DESKHAND_OUTBOX_LEASE_S": str(LEASE_S),
        "DESKHAND_RUN_LEASE_S": "10",
        "DESKHAND_CHANGES_PER_HOUR": "100000",
        "DESKHAND_LOOKUP_DEADLINE_S": "2",
        "DESKHAND_LOOKUP_RETRY_S": "2",
        "DESKHAND_ADDRESS_CEILING": "127.0.0.0/8",
        "DESKHAND_TEST_CLOCK": str(folder / "clock"),
    }
    at = f"127.0.0.1:{free_port()}"
    commands: dict[str, list[str]] = {}
    for kind in WORKERS:
        name = kind if kind not in commands else f"{kind}2"
        match kind:
            case "sandbox":
                commands[name] = [sys.executable, "-m", "sandbox.service", "--socket", str(socket)]
            case "web":
                commands[name] = [sys.executable, "-m", "gunicorn", "--bind", at, "--threads", "8"]
                commands[name] += ["--worker-class", "gthread", "--no-control-socket", "wsgi:app"]
            case _:
                commands[name] = [sys.executable, "-m", "jobs.worker", kind]
    for name in ("plain", "plain2"):
        commands[name] = [sys.executable, "-m", "tests.chaos_plain", redis_url]
    return Fleet(commands, environ, folder / "logs", f"http://{at}")


def _blows(
    fleet: Fleet,
    redis: RedisServer,
    postgres: Postgres | None,
    rng: random.Random,
    outside: Mapping[str, tuple[str, str]],
    what: tuple[Path, float, int],
) -> tuple[Counter[str], list[str]]:
    folder, seconds, seed = what
    counts: Counter[str] = Counter()
    client = Redis.from_url(redis.url, socket_timeout=2)
    feeders = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.chaos_feed", name, *given, str(folder), str(seconds), str(seed)],
            cwd=ROOT,
            preexec_fn=die_with_parent,
        )
        for name, given in outside.items()
    }
    writer = feeders["store"].pid
    patience = time.monotonic() + START_S
    # Blows before there is load would prove nothing.
    while not (folder / "ledger-store-0").exists() and time.monotonic() < patience:
        fleet.keep_up()
        time.sleep(0.05)
    begun = time.monotonic()
    due = {"kills": 1.0, "flushes": 3.0, "deaths of Redis": 8.0, "pauses": 5.0, "crashes of PostgreSQL": 10.0}
    due["jumps of the clock"] = 4.0
    if postgres is None:
        due["times without room"] = 6.0
    redis_back = clock_back = room_back = 0.0
    while (at := time.monotonic() - begun) < seconds:
        fleet.keep_up()
        if at >= due["kills"]:
            fleet.kill_one(rng, plain=False)
            counts["kills"] += 1
            if counts["kills"] % PLAIN_EVERY == 0:
                fleet.kill_one(rng, plain=True)
            due["kills"] += KILL_EVERY_S
        if at >= due["flushes"]:
            with suppress(RedisError):
                client.flushall()
                counts["flushes"] += 1
            due["flushes"] = at + FLUSH_EVERY_S
        if at >= due["deaths of Redis"]:
            redis.kill()
            redis_back = at + REDIS_AWAY_S
            counts["deaths of Redis"] += 1
            due["deaths of Redis"] = at + REDIS_EVERY_S
        if redis_back and at >= redis_back:
            redis.start()
            redis_back = 0.0
        if at >= due["pauses"]:
            fleet.pause_a_drain(rng)
            counts["pauses"] += 1
            due["pauses"] = at + PAUSE_EVERY_S
        if postgres is not None and at >= due["crashes of PostgreSQL"]:
            postgres.crash()
            counts["crashes of PostgreSQL"] += 1
            due["crashes of PostgreSQL"] = at + POSTGRES_EVERY_S
        if at >= due["jumps of the clock"]:
            (folder / "clock").write_text(str(JUMPS_S[counts["jumps of the clock"] % len(JUMPS_S)]))
            clock_back = at + JUMP_S
            counts["jumps of the clock"] += 1
            due["jumps of the clock"] = at + JUMP_EVERY_S
        if clock_back and at >= clock_back:
            (folder / "clock").write_text("0")
            clock_back = 0.0
        if at >= due.get("times without room", at + 1):
            fleet.room_for_files(FULL_BYTES, writer)
            room_back = at + FULL_S
            counts["times without room"] += 1
            due["times without room"] = at + FULL_EVERY_S
        if room_back and at >= room_back:
            fleet.room_for_files(resource.RLIM_INFINITY, writer)
            room_back = 0.0
        time.sleep(0.05)
    (folder / "clock").write_text("0")
    fleet.room_for_files(resource.RLIM_INFINITY, writer)
    redis.start()
    client.close()
    end = time.monotonic() + FED_S
    while any(one.poll() is None for one in feeders.values()) and time.monotonic() < end:
        fleet.keep_up()
        time.sleep(0.05)
    faults = [
        f"who handed in through the {name} ended with {one.poll()}" for name, one in feeders.items() if one.poll()
    ]
    for name, one in feeders.items():
        if one.poll() is None:
            faults.append(f"who handed in through the {name} did not end")
            one.kill()
            one.wait()
    return counts, faults


def _wait_for_quiet(db: Database, fleet: Fleet, *, times: bool = False) -> float | None:
    begun = time.monotonic()
    while time.monotonic() - begun < QUIET_S:
        fleet.keep_up()
        if not any(_left(db, times=times).values()):
            return time.monotonic() - begun
        time.sleep(0.2)
    return None


def _left(db: Database, *, times: bool = False) -> dict[str, int]:
    with db.read() as connection:
        counted = {
            "events": select(func.count()).where(EventRow.status.in_(("pending", "waiting"))),
            "lanes": select(func.count()).where(Lane.due_at.is_not(None)),
            "mails": select(func.count()).where(OutboxRow.status == "due"),
            "runs": select(func.count()).where(RunRow.finished_at.is_(None)),
            "lookups": select(func.count()).where(LookupRow.due_at.is_not(None)),
        }
        if times:
            counted["times"] = select(func.count()).where(Timer.due_at.is_not(None))
        return {name: connection.execute(query).scalar_one() for name, query in counted.items()}


def _times_that_came(db: Database) -> int:
    with db.read() as connection:
        return connection.execute(select(func.count()).where(EventRow.kind == EventKind.TIMER)).scalar_one()


def _let_the_control_finish(redis_url: str, folder: Path, fleet: Fleet) -> None:
    """Until its queue is empty and nothing more comes, at most `CONTROL_S`."""
    client = Redis.from_url(redis_url)
    end = time.monotonic() + CONTROL_S
    while time.monotonic() < end and chaos_plain.queue(client).count:
        fleet.keep_up()
        time.sleep(0.2)
    time.sleep(1)
    client.close()


# Orphans -------------------------------------------------------------------------------------------------------


def _orphans() -> list[str]:
    """What is still running although everything was stopped; it is killed."""
    end = time.monotonic() + STOP_S
    alive: dict[int, str] = {}
    while time.monotonic() < end:
        alive = {pid: name for pid in children_of_this_process() if (name := _running(pid))}
        if not alive:
            return []
        time.sleep(0.1)
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"an orphan was left running: {pid} {name}" for pid, name in alive.items()]


def _running(pid: int) -> str:
    """The command of this child, "" when it is dead; then it is buried."""
    with suppress(ChildProcessError, ProcessLookupError, FileNotFoundError):
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") or "?"
    return ""


if __name__ == "__main__":
    sys.exit(main())
