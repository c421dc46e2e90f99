"""What SQLite committed is on the disk before anybody is told, and nobody else waits for the disk with them."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import OperationalError

from tests.environment.disk import SOON_S, Disk, a_watched_disk
from tests.jobs.workers import until
from tickets import disk
from tickets.db import Database
from tickets.tables import SettingChange

CHANGE = insert(SettingChange).values(at=datetime(2026, 3, 1, tzinfo=UTC), who="ana", part="team", key="k", change={})


@pytest.fixture
def watched(sqlite_database: Database) -> Iterator[Disk]:
    with a_watched_disk(sqlite_database) as watched:
        yield watched


def add(database: Database) -> None:
    with database.write() as connection:
        connection.execute(CHANGE)


def test_a_write_returns_once_the_log_is_on_the_disk_with_it(watched: Disk):
    add(watched.database)
    assert watched.asked == [(watched.log, 1)]
    add(watched.database)
    assert watched.asked == [(watched.log, 1), (watched.log, 2)]
    watched.free.clear()
    thread = threading.Thread(target=add, args=(watched.database,))
    thread.start()
    assert until(lambda: len(watched.asked) == 3, seconds=SOON_S)
    assert thread.is_alive()
    watched.free.set()
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_nothing_waits_for_the_disk_that_wrote_nothing_or_would_not_be_missed(watched: Disk):
    with watched.database.read() as connection:
        connection.execute(select(SettingChange.id))
    with suppress(ZeroDivisionError), watched.database.write() as connection:
        connection.execute(CHANGE)
        raise ZeroDivisionError
    with watched.database.write(durable=False) as connection:
        connection.execute(CHANGE)
    with closing(Database(watched.database.url, synchronous="NORMAL")) as other:
        add(other)
    assert (watched.asked, watched.lines()) == ([], 2)


def test_while_one_waits_for_the_disk_the_others_read_and_write(watched: Disk):
    watched.free.clear()
    thread = threading.Thread(target=add, args=(watched.database,))
    thread.start()
    assert until(lambda: len(watched.asked) == 1, seconds=SOON_S)
    with closing(Database(watched.database.url)) as other:
        with other.write(durable=False) as connection:
            connection.execute(CHANGE)
        assert thread.is_alive()
        assert watched.lines() == 2
        watched.free.set()
        thread.join(SOON_S)


def test_what_begins_a_transaction_of_its_own_waits_for_the_disk_by_itself(watched: Disk):
    level, normal, full = text("PRAGMA synchronous"), 1, 2
    add(watched.database)
    for _ in range(2):
        with watched.database.write() as connection:
            assert connection.execute(level).scalar_one() == normal
        with watched.database.engine.begin() as connection:
            assert connection.execute(level).scalar_one() == full


def test_a_worker_goes_on_while_its_writes_are_put_on_the_disk_behind_it(watched: Disk):
    watched.free.clear()
    with watched.database.held() as held:
        for _ in range(3):
            with held.write() as connection:
                connection.execute(CHANGE)
    assert watched.lines() == 3
    assert until(lambda: len(watched.asked) == 1, seconds=SOON_S)
    thread = threading.Thread(target=watched.database.close)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()  # what is not on the disk yet is waited for
    watched.free.set()
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert watched.asked[-1][1] == 3


def test_a_worker_waits_itself_when_too_much_waits_behind_it(watched: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "MOST_BEHIND", 2)
    watched.free.clear()
    written: list[int] = []

    def write() -> None:
        with watched.database.held() as held:
            for number in range(4):
                with held.write() as connection:
                    connection.execute(CHANGE)
                written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    assert until(lambda: watched.lines() == 3, seconds=SOON_S)
    thread.join(0.1)
    assert written == [0, 1]
    watched.free.set()
    thread.join(SOON_S)
    assert written == [0, 1, 2, 3]


def test_a_disk_that_refuses_is_told_to_who_wrote(watched: Disk):
    watched.refuses = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OperationalError, match="disk I/O error"):
        add(watched.database)
    watched.refuses = None
    add(watched.database)
    # It was committed before: others may have gone on from it, so it stays.
    assert watched.lines() == 2


def test_a_disk_that_refused_behind_a_worker_is_told_with_its_next_write(watched: Disk):
    watched.refuses = OSError(errno.EIO, "Input/output error")
    with watched.database.held() as held:

        def told() -> bool:
            try:
                with held.write() as connection:
                    connection.execute(CHANGE)
            except OperationalError as error:
                return "disk I/O error" in str(error)
            return False

        assert until(told, seconds=SOON_S)
        watched.refuses = None
        until(told, seconds=0.2)  # what was refused until then may be told once more
        assert not told()


def test_the_log_is_folded_back_behind_a_worker_and_begins_anew(watched: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "FOLD_COMMITS", 10)
    monkeypatch.setattr(disk, "PAUSE_S", 0)

    def begun_anew() -> bool:
        with watched.database.held() as held, held.write() as connection:
            connection.execute(CHANGE)
        # Its "checkpoint sequence number": https://www.sqlite.org/fileformat.html, 4.1 (WAL file header).
        return int.from_bytes(Path(f"{watched.path}-wal").read_bytes()[12:16]) > before + 2

    add(watched.database)
    before = int.from_bytes(Path(f"{watched.path}-wal").read_bytes()[12:16])
    assert until(begun_anew, seconds=SOON_S)


def test_what_still_waits_when_its_connection_closes_is_on_the_disk_first(
    watched: Disk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "PAUSE_S", 1)
    with watched.database.held() as held:
        for number in (1, 2):
            with held.write() as connection:
                connection.execute(CHANGE)
            assert until(lambda: bool(watched.asked), seconds=SOON_S)
            assert watched.asked[-1][1] <= number
    assert watched.asked[-1][1] == 1  # the second waits for the end of the pause
    watched.database.engine.dispose()
    assert watched.asked[-1][1] == 2


def test_who_still_reads_the_log_keeps_it_from_beginning_anew_and_nobody_from_writing(
    watched: Disk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "FOLD_COMMITS", 1)
    add(watched.database)
    with watched.database.read() as reading:
        lines = select(func.count()).select_from(SettingChange)
        assert reading.execute(lines).scalar_one() == 1
        with watched.database.held() as held:
            for _ in range(5):
                with held.write() as connection:
                    connection.execute(CHANGE)
                time.sleep(2 * disk.PAUSE_S)
        assert reading.execute(lines).scalar_one() == 1
    assert watched.lines() == 6


def test_the_log_of_a_connection_is_let_go_with_it_and_a_new_one_has_its_own(watched: Disk):
    add(watched.database)
    watched.database.engine.dispose()  # the last one: SQLite removes the file
    assert not Path(f"{watched.path}-wal").exists()
    assert not [one for one in os.listdir("/proc/self/fd") if _leads_to(one) == f"{watched.path}-wal"]
    add(watched.database)
    assert watched.asked[-1] == (watched.log, 2)


def _leads_to(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").removesuffix(" (deleted)")
    except OSError:
        return ""
