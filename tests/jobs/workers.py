"""Processes in tests of `jobs`: workers as they are started, and some that are cut off at a step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import IO

from sqlalchemy import func, select, text, update

from jobs.services import Services
from jobs.tables import DecisionRow
from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from tests.builders import MORNING
from tests.environment.started import Process, Started, start
from tests.jobs.desk import clock_of
from tickets.tables import Lane
from tickets.values import utc_now

#: How long a test waits for what other processes do, in seconds.
WAIT_S = 60
#: Until a worker that was asked to end has: it cuts itself short long before, and then says so by its exit code.
END_S = 60

_OPEN_BESIDE_US = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    " AND backend_type = 'client backend'"
)

#: What stands between the interpreter and the kind of a worker, and the name of a command of the product.
WORKER = ("-m", "jobs.worker")
FLASK = ("-m", "flask", "--app", "wsgi")


def until(true: Callable[[], bool], *, seconds: float = WAIT_S) -> bool:
    """Whether this becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def waits_for_a_lock(services: Services) -> bool:
    """Whether somebody in this database waits for what somebody else has locked."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with services.db.read() as connection:
        return bool(connection.execute(text(asked)).scalar_one())


@contextmanager
def a_worker(
    services: Services,
    kind: str,
    settings: Mapping[str, str] | None = None,
    *,
    quiet: bool = False,
    command: Sequence[str] = (),
    log: IO[bytes] | None = None,
) -> Iterator[Process]:
    """A worker of this kind on the desk's database and Redis, with these variables; it is ended with the block.

    It is forked, or started anew by this command and then writes into `log`."""
    environ = {
        **os.environ,
        "DESKHAND_DATA_DIR": str(services.settings.data),
        "DESKHAND_DATABASE_URL": services.settings.database,
        "DESKHAND_REDIS_URL": services.settings.redis,
        **(settings or {}),
    }
    process: Process = (
        subprocess.Popen(
            [sys.executable, *command, kind],
            cwd=ROOT,
            env=environ,
            stderr=log or (subprocess.DEVNULL if quiet else None),
            preexec_fn=die_with_parent,
        )
        if command
        else start(WORKER[-1], [kind], environ, quiet=quiet)
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def decided(services: Services) -> int:
    """How many decisions are stored."""
    with services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(DecisionRow)).scalar_one()


def in_the_past(services: Services) -> None:
    """The desk's clock stands in the past; worker processes have the machine's."""
    with services.db.write() as connection:
        connection.execute(update(Lane).where(Lane.due_at.is_not(None)).values(due_at=MORNING))


#: Seconds a process that is cut off held what it had: longer than a busy machine takes to look at it, and no longer
#: than the desk's own workers believe (twice their lease). And seconds until one has to be where it cuts itself off.
LEASE_S, DEADLINE_S = 20, 60


def process(desk: Services, *arguments: str, **settings: str) -> Started:
    """`tests.jobs.faults` with these arguments on the desk's database and Redis."""
    given = desk.settings
    environ = {
        **os.environ,
        "DESKHAND_DATA_DIR": str(given.data),
        "DESKHAND_DATABASE_URL": given.database,
        "DESKHAND_REDIS_URL": given.redis,
        "DESKHAND_SANDBOX_SOCKET": given.sandbox,
        "DESKHAND_ADDRESS_CEILING": given.address_ceiling,
        "DESKHAND_LEASE_S": str(LEASE_S),
        **settings,
    }
    return start("tests.jobs.faults", arguments, environ, keep=True)


def killed_at(desk: Services, *arguments: str, **settings: str) -> None:
    """Let a process work until it kills itself at this step; afterwards it is an hour later."""
    with process(desk, *arguments, "KILL", **settings) as done:
        said, complained = done.communicate(timeout=DEADLINE_S)
    assert done.returncode == -signal.SIGKILL, f"it never came to that step: {said.decode()} {complained.decode()}"
    assert until(lambda: nobody_else_writes(desk)), "PostgreSQL did not notice that it is gone"
    clock_of(desk).at = utc_now() + timedelta(hours=1)


def nobody_else_writes(desk: Services) -> bool:
    """Whether no transaction is open beside ours. PostgreSQL notices a moment late that a process is gone: until then
    it may still commit what that process had sent, and nobody else is given the rows that it had locked."""
    if desk.db.is_sqlite:
        return True
    with desk.db.read() as connection:
        return not connection.execute(_OPEN_BESIDE_US).scalar_one()
