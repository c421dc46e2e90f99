"""Worker processes: they end when asked to, in time, outlive their servers, and log lines a program can read."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import select, update

from jobs.logs import FACT_CHARS, JsonLines, Words, configure
from jobs.services import Services
from jobs.tables import OutboxRow
from jobs.worker import STOP_DEADLINE_S
from run_tool.places import ROOT
from tests.builders import a_ticket
from tests.jobs.desk import a_reply, a_working_desk
from tests.jobs.sink import TAKEN, MailSink
from tests.jobs.workers import END_S, WAIT_S, a_worker, until
from tickets.values import utc_now


@pytest.fixture
def desk(sqlite_url: str, tmp_path: Path) -> Iterator[Services]:
    with a_working_desk(sqlite_url, tmp_path, mail_from="help@shop.example") as services:
        yield services


@pytest.fixture
def sqlite_url(make_database: object) -> str:
    url: str = make_database("sqlite")  # type: ignore[operator]
    return url


@pytest.mark.slow
def test_a_worker_that_hangs_in_a_send_ends_in_time_and_the_mail_is_sent_by_the_next_one(
    desk: Services, sink: MailSink
) -> None:
    a_reply(desk, a_ticket(desk.db).item_id)
    with desk.db.write() as connection:
        connection.execute(update(OutboxRow).values(created_at=utc_now()))
    asked, go_on = threading.Event(), threading.Event()

    def hang(_mail: EmailMessage) -> str:
        asked.set()
        go_on.wait(100)
        return "451 too late"

    sink.answer = hang
    settings = {"DESKHAND_SMTP_URL": sink.url, "DESKHAND_MAIL_FROM": "help@shop.example"}
    with a_worker(desk, "outbox", settings) as process:
        assert asked.wait(WAIT_S)
        begun = time.monotonic()
        process.terminate()
        assert process.wait(END_S) == 1  # it hung on, and cut itself short
        assert time.monotonic() - begun >= STOP_DEADLINE_S - 1
    go_on.set()
    sink.answer = lambda _mail: TAKEN
    with desk.db.write() as connection:
        assert connection.execute(select(OutboxRow.status)).scalar_one() == "due"
        connection.execute(update(OutboxRow).values(lease_until=desk.clock.now()))  # time passes
    with a_worker(desk, "outbox", settings):
        assert until(lambda: len(sink.taken) == 1)


@pytest.mark.parametrize("kind", ["drain", "clock"])
@pytest.mark.slow
def test_a_worker_without_redis_ends_at_once_when_asked(desk: Services, kind: str) -> None:
    took = []
    for _ in range(3):  # on a busy machine the best of them counts
        with a_worker(desk, kind) as process:
            assert until(lambda process=process: _waits(process.pid))  # type: ignore[misc]
            begun = time.monotonic()
            process.terminate()
            assert process.wait(END_S) == 0
            took.append(time.monotonic() - begun)
        if took[-1] < STOP_DEADLINE_S / 2:
            break
    assert min(took) < STOP_DEADLINE_S / 2, took


@pytest.mark.slow
def test_a_worker_whose_database_is_away_waits_for_it(desk: Services, tmp_path: Path) -> None:
    place = f"postgresql://nobody@/nothing?host={tmp_path}"
    with a_worker(desk, "drain", {"DESKHAND_DATABASE_URL": place}) as process:
        assert until(lambda: _waits(process.pid))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.terminate()
        assert process.wait(END_S) == 0


def test_log_lines_are_one_json_object_each_with_the_facts_of_their_event(desk: Services) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import logging; from jobs.logs import configure; configure(as_json=True);"
            "log = logging.getLogger('jobs.outbox');"
            "log.warning('outbox.later', extra={'outbox': 7, 'item': 3, 'error': 'a\\nb'});"
            "log.error('outbox.broken', exc_info=ValueError('no'));"
            "logging.getLogger('urllib3.connectionpool').debug('GET /?email=camille')",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [one["event"] for one in lines] == ["outbox.later", "outbox.broken"]
    assert {name: lines[0][name] for name in ("level", "logger", "outbox", "item", "error")} == {
        "level": "warning",
        "logger": "jobs.outbox",
        "outbox": 7,
        "item": 3,
        "error": "a\nb",
    }
    assert "ValueError: no" in lines[1]["error"]


def test_a_fact_on_a_line_is_short_and_cannot_make_a_second_line() -> None:
    record = logging.LogRecord("jobs.outbox", logging.WARNING, "", 0, "outbox.later", None, None)
    record.error = "x\nINFO forged " + "y" * 1000
    said = Words().format(record)
    assert said.count("\n") == 0
    assert said.endswith("y" * 10)
    assert len(json.loads(JsonLines().format(record))["error"]) == FACT_CHARS


def test_lines_that_say_too_much_or_nothing_stay_off_whatever_the_level() -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure(as_json=False, level=logging.DEBUG)
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("alembic.runtime.plugins.setup").isEnabledFor(logging.INFO)
        assert logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().handlers[:] = before[0]
        logging.getLogger().setLevel(before[1])


def _waits(pid: int) -> bool:
    """Whether the process has come as far as sleeping between looks: its signals are set by then."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught & (1 << 14))


#: A real worker, and beside it somebody who looks at it from within once it has settled, and then ends it.
LOOKED_AT = """
import gc, os, runpy, signal, sys, threading, time
def tell():
    while not gc.get_freeze_count():
        time.sleep(0.01)
    while not gc.isenabled():
        time.sleep(0.01)
    print(gc.get_freeze_count() > 100_000, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=tell, daemon=True).start()
sys.argv[0] = "jobs.worker"
runpy.run_module("jobs.worker", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_a_worker_looks_for_garbage_and_not_in_what_it_imported(desk: Services) -> None:
    environ = {
        **os.environ,
        "DESKHAND_DATA_DIR": str(desk.settings.data),
        "DESKHAND_DATABASE_URL": desk.settings.database,
        "DESKHAND_REDIS_URL": desk.settings.redis,
    }
    done = subprocess.run(
        [sys.executable, "-c", LOOKED_AT, "clock"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
