"""Transactions: SQLite's one write lock, connections that are held for several, and the values that go through them."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, QueuePool, insert, select, text
from sqlalchemy.exc import OperationalError, StatementError

from tickets import db
from tickets.db import Database
from tickets.prepared import Prepared
from tickets.tables import SettingChange
from tickets.values import json_text

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
        assert waiting.wait(60)
        connection.execute(CHANGE)
    thread.join(60)
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


def test_a_writer_that_waited_too_long_keeps_no_connection(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch):
    other = Database(sqlite_database.url)
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 5)
    with sqlite_database.write() as held:
        held.execute(CHANGE)
        with pytest.raises(OperationalError, match="database is locked") as error, other.write():
            raise AssertionError
    # Whoever keeps the error does not keep the connection with it.
    assert error.value.__traceback__ is not None
    assert cast(QueuePool, other.engine.pool).checkedout() == 0
    assert _lines(other) == 1
    other.close()


def test_transactions_over_one_connection_are_those_of_the_database(database: Database):
    other = Database(database.url)
    with database.held() as held:
        for number in (1, 2):
            with held.read() as reading:
                before = len(reading.execute(select(SettingChange.id)).all())
                with other.write() as connection:  # reading keeps nobody from writing, and does not see it
                    connection.execute(CHANGE)
                assert len(reading.execute(select(SettingChange.id)).all()) == before
            with held.write() as connection:
                connection.execute(CHANGE)
                assert len(connection.execute(select(SettingChange.id)).all()) == before + 2
            assert _lines(other) == 2 * number
    other.close()


def test_what_goes_wrong_over_a_held_connection_is_undone_and_the_next_transaction_begins_anew(database: Database):
    with database.held() as held:
        for transaction in (held.write, held.read):
            with suppress(ZeroDivisionError), transaction() as connection:
                connection.execute(CHANGE)
                raise ZeroDivisionError
        assert _lines(database) == 0
        with held.write() as connection:
            connection.execute(CHANGE)
    assert _lines(database) == 1


def test_a_write_over_a_held_connection_takes_the_lock_at_once(sqlite_database: Database):
    other = Database(sqlite_database.url)
    with sqlite_database.held() as held:
        with held.read() as connection:
            connection.execute(select(SettingChange.id))
        with held.write(), other.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            connection.rollback()
            with pytest.raises(OperationalError, match="database is locked"):
                connection.execute(CHANGE)
            connection.exec_driver_sql(f"PRAGMA busy_timeout={db.BUSY_TIMEOUT_MS}")
    assert _lines(other) == 0
    other.close()


def test_a_transaction_that_the_database_gave_up_keeps_nothing_of_what_came_after_it(sqlite_database: Database):
    look = Prepared(select(SettingChange.id))

    def given_up(connection: Connection) -> Connection:
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()  # as SQLite does by itself when the disk is full
        return connection

    for after in (lambda one: one.execute(CHANGE), lambda one: look.all(one, {}), lambda one: None):
        with sqlite_database.held() as held:
            for transactions in (held, sqlite_database):
                with pytest.raises(OperationalError, match="given up"), transactions.write() as connection:
                    after(given_up(connection))
                assert _lines(sqlite_database) == 0
                with suppress(ZeroDivisionError), transactions.write():
                    raise ZeroDivisionError
                with transactions.write() as connection:
                    assert look.all(connection, {}) == []


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7, minutes=-30)), ZoneInfo("Europe/Paris")])
def test_a_moment_comes_back_as_it_went_in_and_is_kept_in_utc(database: Database, zone: tzinfo):
    for at in (datetime(2026, 3, 1, 12, 30, 15, 7, tzinfo=zone), datetime(2026, 7, 1, tzinfo=zone)):
        with database.write() as connection:
            key = connection.execute(CHANGE.values(at=at)).inserted_primary_key
            assert key is not None
            found = connection.execute(select(SettingChange.at).where(SettingChange.id == key[0])).scalar_one()
            assert (found, found.tzinfo) == (at, UTC)
            assert connection.execute(select(SettingChange.id).where(SettingChange.at == at)).scalar_one() == key[0]
            if database.is_sqlite:
                kept = connection.execute(text("SELECT at FROM setting_changes WHERE id = :id"), {"id": key[0]})
                utc = at.astimezone(UTC)
                assert kept.scalar_one() == utc.strftime("%Y-%m-%d %H:%M:%S.%f")


def test_the_hour_that_a_zone_has_twice_is_two_hours_in_the_database(database: Database):
    once = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    for at, hour in ((once, 0), (once.replace(fold=1), 1)):
        with database.write() as connection:
            key = connection.execute(CHANGE.values(at=at)).inserted_primary_key
            assert key is not None
            found = connection.execute(select(SettingChange.at).where(SettingChange.id == key[0])).scalar_one()
        assert found == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)


def test_a_moment_without_a_zone_is_refused_and_not_written(database: Database):
    with pytest.raises(StatementError, match="has no time zone"), database.write() as connection:
        connection.execute(CHANGE.values(at=datetime(2026, 3, 1)))  # noqa: DTZ001
    assert _lines(database) == 0


@pytest.mark.parametrize("value", [{}, {"a": []}, {"a": {}, "b": [None, "", 0, False, 1.5, "é\u2028"]}, {"[]": "{}"}])
def test_json_comes_back_as_it_went_in(database: Database, value: dict[str, Any]):
    with database.write() as connection:
        connection.execute(CHANGE.values(change=value))
        assert connection.execute(select(SettingChange.change)).scalar_one() == value


@pytest.mark.parametrize(
    "value",
    [
        {"many": 2**70, "tiny": 1e-7, "long": 0.1 + 0.2, "whole": 1e16, "minus": -0.0},
        {"half": "\ud800", "text": 'é "quoted" \\ \u2028', "": [None, True, [], {}]},
        {"deep": [[[[["x"] * 3]]]] * 3},
    ],
    ids=["numbers", "text", "nested"],
)
def test_json_that_is_text_already_is_read_as_what_it_was_made_of(sqlite_database: Database, value: dict[str, Any]):
    ready = json_text(value, lambda: value)
    with sqlite_database.write() as connection:
        for one in (value, ready):
            connection.execute(CHANGE.values(change=one))
    with sqlite_database.read() as connection:
        plain, same = connection.execute(select(SettingChange.change).order_by(SettingChange.id)).scalars()
    assert repr(plain) == repr(same) == repr(value)


def test_what_is_no_json_is_refused_and_not_written(sqlite_database: Database):
    with pytest.raises(StatementError, match="not JSON serializable"), sqlite_database.write() as connection:
        connection.execute(CHANGE.values(change={"tags": {"a", "b"}}))
    assert _lines(sqlite_database) == 0
