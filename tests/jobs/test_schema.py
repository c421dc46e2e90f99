"""Workers of one version leave a database of another alone: nothing is lost, counted or given up by them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from jobs import automation, clock, tasks
from jobs.queues import Work
from jobs.schema import Schema
from jobs.services import Services
from jobs.tables import OutboxRow
from tests.builders import a_ticket
from tests.jobs.desk import a_reply, a_working_desk, events
from tests.jobs.sink import MailSink
from tickets import migrate
from tickets.tables import EventRow


@pytest.fixture
def desk(database_url: str, tmp_path: Path, sink: MailSink) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, smtp_url=sink.url, mail_from="help@shop.example") as services:
        yield services


def of_schema(desk: Services, number: str | None) -> None:
    """Have the database say that it is of this schema; None: it says nothing."""
    with desk.db.write() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if number is not None:
            connection.execute(text("INSERT INTO alembic_version VALUES (:number)"), {"number": number})


@pytest.mark.parametrize("found", [None, "0001", "9999"])
def test_a_worker_leaves_a_database_of_another_schema_alone_until_it_fits(
    desk: Services, sink: MailSink, caplog: pytest.LogCaptureFixture, found: str | None
) -> None:
    a_reply(desk, a_ticket(desk.db).item_id)
    waiting = events(desk)
    assert {status for _, status in waiting} == {"pending"}
    of_schema(desk, found)
    tasks.use(desk)
    with caplog.at_level(logging.WARNING, "jobs.schema"):
        assert [tasks.look(work) for work in Work] == [0, 0, 0, 0]
        assert tasks.drain() == 0
        assert [one.getMessage() for one in caplog.records] == ["schema.differs"]
    assert events(desk) == waiting
    assert sink.taken == []
    with desk.db.read() as connection:
        assert set(connection.execute(select(OutboxRow.tries)).scalars()) == {0}
        assert set(connection.execute(select(EventRow.tries)).scalars()) == {0}
    of_schema(desk, migrate.head())
    tasks.use(desk)
    assert tasks.look(Work.DRAIN) == len(waiting)
    assert tasks.look(Work.OUTBOX) == 1
    assert {status for _, status in events(desk)} == {"done"}
    assert len(sink.taken) == 1


def test_it_is_noticed_while_a_worker_is_at_work_and_said_once_each_way(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    schema = Schema(desk.db, look_s=0)
    with caplog.at_level(logging.WARNING, "jobs.schema"):
        assert schema.fits()
        of_schema(desk, "9999")
        assert [schema.fits(), schema.fits()] == [False, False]
        of_schema(desk, migrate.head())
        assert [schema.fits(), schema.fits()] == [True, True]
    assert [one.getMessage() for one in caplog.records] == ["schema.differs", "schema.fits"]


def test_a_clock_makes_no_event_of_a_time_in_a_database_of_another_schema(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticked: list[Services] = []
    monkeypatch.setattr(clock, "tick", lambda services, _failing: ticked.append(services))
    looks = iter([False, True])
    of_schema(desk, "9999")
    clock.run(desk, stopping=lambda: next(looks))
    assert ticked == []
    of_schema(desk, migrate.head())
    looks = iter([False, True])
    clock.run(desk, stopping=lambda: next(looks))
    assert ticked == [desk]


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"])
def test_without_looking_an_event_would_be_counted_against(desk: Services) -> None:
    """What the others are for: to PostgreSQL a column that is not there is the fault of the statement."""
    a_ticket(desk.db)
    with desk.db.write() as connection:
        connection.execute(text("ALTER TABLE decisions RENAME COLUMN trace TO traces"))
    automation.drain(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(EventRow.tries)).scalar_one() == 1
