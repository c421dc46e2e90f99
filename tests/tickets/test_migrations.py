"""Every database of every earlier version comes to the schema this code wants, on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Connection, column, func, insert, select
from sqlalchemy import table as sql_table
from sqlalchemy.types import TypeEngine

from tests.environment.databases import TABLES, Kind, MakeDatabase
from tickets import migrate
from tickets.db import Base, Database, UtcDateTime
from tickets.errors import UpgradeRefused


def not_the_search_index(name: str | None, _kind: str, _parents: object) -> bool:
    """tickets.search makes it of what stands in the tables."""
    return not (name or "").startswith("search_")


def test_the_models_are_exactly_what_the_migrations_make(empty_database_url: str) -> None:
    for tables in TABLES:
        importlib.import_module(tables)
    migrate.upgrade(empty_database_url)
    database = Database(empty_database_url)
    with database.read() as connection:
        opts = {"compare_type": True, "include_name": not_the_search_index}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, Base.metadata)
        assert [str(one) for one in differences] == []
        assert migrate.current(connection) == migrate.head()
    database.close()


@pytest.mark.slow
@pytest.mark.timeout(600)  # of some twenty versions
def test_an_upgrade_from_every_earlier_version_reaches_the_newest(
    empty_database_url: str, database_kind: Kind, make_database: MakeDatabase
) -> None:
    """One database goes from version to version; a copy of it goes from each to the newest in one step."""
    reached = []
    for start in migrate.revisions():
        migrate.upgrade(empty_database_url, start)
        url = make_database(database_kind, like=empty_database_url)
        migrate.upgrade(url)
        migrate.upgrade(url)
        reached.append((start, version_of(empty_database_url), version_of(url)))
    newest = migrate.head()
    assert reached == [(start, start, newest) for start in migrate.revisions()]


def version_of(url: str) -> str | None:
    with closing(Database(url)) as database, database.read() as connection:
        return migrate.current(connection)


BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
#: (item, seq, author, public, hours after BEGUN)
SAID = (
    (1, 1, "customer", True, 0),
    (1, 2, "agent", True, 1),
    (1, 3, "agent", False, 3),
    (1, 4, "customer", True, 4),
    (1, 5, "customer", True, 6),
    (2, 1, "customer", True, 0),
    (2, 2, "agent", True, 1),
    (2, 3, "agent", True, 2),
)


def after(hours: float) -> datetime:
    return BEGUN + timedelta(hours=hours)


def put(connection: Connection, name: str, **values: object) -> None:
    """A row of a table as it was then: every value has the type that its column had."""
    types: dict[type, type[TypeEngine[Any]]] = {datetime: UtcDateTime, dict: JSON}
    columns = [column(one, types.get(type(value))) for one, value in values.items()]
    connection.execute(insert(sql_table(name, *columns)).values(**values))


def a_past(connection: Connection) -> None:
    """Three tickets of schema 0003: one waits for an answer, one was answered, of one nothing is known."""
    for number in (1, 2, 3):
        stamps = dict.fromkeys(("created_at", "updated_at", "modified_at"), BEGUN)
        put(connection, "items", id=number, kind="ticket", status="open", fields={}, version=1, last_seq=9, **stamps)
    names = ("author_name", "author_address", "subject", "text", "new_text", "html", "language", "header_id")
    empty: dict[str, object] = dict.fromkeys(names, "")
    for number, (item, seq, author, public, hours) in enumerate(SAID, start=1):
        head = {"id": number, "item_id": item, "seq": seq, "author_kind": author, "public": public}
        put(connection, "messages", **head, channel="email", automatic=False, created_at=after(hours), **empty)
    actor = {"actor_kind": "agent", "actor_ref": "ana", "actor_name": "Ana", "depth": 0, "status": "done", "tries": 0}
    put(
        connection,
        "events",
        id=1,
        item_id=1,
        seq=1,
        kind="changed",
        at=BEGUN,
        changes={},
        payload={},
        error="",
        **actor,
    )
    for field, outcome, hours in (("status", "done", 2), ("status", "overtaken", 5), ("team", "done", 7)):
        line = {"item_id": 1, "event_id": 1, "field": field, "outcome": outcome, "at": after(hours)}
        put(connection, "history", change={}, cause={}, actor_name="Ana", **line)
    for who, part in (("person:1", 0.25), ("user:ana", 0.5), ("user:bo", 0.75)):
        put(connection, "seen", message_id=1, who=who, at=after(part))


def test_what_is_known_of_the_past_is_worked_out_from_the_rows_that_stood_there(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0003")
    database = Database(empty_database_url)
    with database.write() as connection:
        a_past(connection)
    migrate.upgrade(empty_database_url)
    names = ("status_since", "unanswered_since", "first_reply_at", "replied_at", "opened_at")
    items = sql_table("items", column("id"), *[column(one, UtcDateTime) for one in names])
    with database.read() as connection:
        found = [tuple(row) for row in connection.execute(select(items).order_by(items.c.id))]
        kept = connection.execute(select(func.count()).select_from(sql_table("messages"))).scalar_one()
    database.close()
    assert found == [
        (1, after(2), after(4), after(1), None, after(0.5)),
        (2, BEGUN, None, after(1), after(2), after(1)),
        (3, BEGUN, None, None, None, None),
    ]
    assert kept == len(SAID)


def test_the_newest_schema_is_known_without_alembic() -> None:
    assert migrate.wanted() == migrate.head()


def test_an_upgrade_that_would_leave_a_row_pointing_at_nothing_is_refused_and_undone(
    make_database: MakeDatabase,
) -> None:
    url = make_database("sqlite", migrated=False)
    migrate.upgrade(url, "0003")
    database = Database(url)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as plain, plain:
        # What no version of ours can have written: it keeps foreign keys on.
        plain.execute("INSERT INTO seen (message_id, who, at) VALUES (4711, 'user:ana', '2026-03-02 09:00:00.000000')")
    with pytest.raises(UpgradeRefused, match="of seen would point at nothing in messages"):
        migrate.upgrade(url)
    with database.read() as connection:
        assert migrate.current(connection) == "0003"
        assert connection.execute(select(func.count()).select_from(sql_table("seen"))).scalar_one() == 1
    database.close()
