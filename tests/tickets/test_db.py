"""SQLite's one write lock: who waits for it gets it, or is told that it did not; reading waits for nobody."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import OperationalError

from tickets import db
from tickets.db import Database
from tickets.tables import SettingChange

CHANGE = insert(SettingChange).values(at=datetime(2026, 3, 1, tzinfo=UTC), who="ana", part="team", key="k", change={})


def _lines(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(SettingChange.id)).all())


def test_a_writer_waits_for_the_one_before_it_and_both_write(sqlite_database: Database):
    other = Database(sqlite_database.url)
    waiting = threading.Event()

    def write() -> None:
        waiting.set()
        with other.write() as connection:
            connection.execute(CHANGE)

    thread = threading.Thread(target=write)
    with sqlite_database.write() as connection:
        thread.start()
        assert waiting.wait(30)
        connection.execute(CHANGE)
    thread.join(30)
    assert not thread.is_alive()
    assert _lines(sqlite_database) == 2
    other.close()


def test_a_writer_that_waits_too_long_says_so_and_has_written_nothing(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
):
    other = Database(sqlite_database.url)
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 20)
    with sqlite_database.write() as held:
        held.execute(CHANGE)
        with pytest.raises(OperationalError, match="database is locked"), other.write() as connection:
            connection.execute(CHANGE)
        assert _lines(other) == 0  # reading goes on meanwhile
    with other.write() as connection:
        connection.execute(CHANGE)
        # Everything else that may find the file busy, as after a crash, waits as long as ever.
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 20
    assert _lines(sqlite_database) == 2
    other.close()
