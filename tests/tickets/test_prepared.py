"""A prepared statement is the ordinary one, executed with less ado: same rows, same errors, same transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.builders import a_desk, a_ticket
from tickets.db import Database, table_of
from tickets.prepared import NotPreparable, Prepared
from tickets.tables import EventRow, Lane, Notification, WorkItem

ITEMS, EVENTS, LANES, LINES = (table_of(one) for one in (WorkItem, EventRow, Lane, Notification))
AT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
LINE = {
    "user": "ana",
    "text": "50 % off: {'a': ?} %s %(b)s",
    "cause": {"kind": "system", "deep": [1, None, "é"]},
    "key": "k1",
    "created_at": AT,
    "read_at": None,
}


@pytest.fixture
def desk(database: Database) -> Database:
    a_desk(database)
    return database


def _lines(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(LINES).order_by(LINES.c.id))]


def test_it_finds_what_the_ordinary_statement_finds(desk: Database):
    made = a_ticket(desk)
    for table, key in ((ITEMS, "id"), (EVENTS, "item_id"), (LANES, "item_id")):
        statement = select(table).where(table.c[key] == bindparam("item")).limit(5)
        prepared = Prepared(statement)
        with desk.read() as connection:
            [row] = connection.execute(statement, {"item": made.item_id})
            for _ in range(2):  # made ready, and then from memory
                [same] = prepared.all(connection, {"item": made.item_id})
                assert tuple(same) == tuple(row)
                assert {name: getattr(same, name) for name in row._mapping} == dict(row._mapping)
            assert prepared.one_or_none(connection, {"item": made.item_id + 1}) is None
            assert prepared.scalar(connection, {"item": made.item_id + 1}) is None


def test_what_it_writes_is_what_the_ordinary_statement_writes(desk: Database):
    item = a_ticket(desk).item_id
    giving = Prepared(insert(LINES).returning(LINES.c.id))
    quiet = Prepared(insert(LINES))
    mark = Prepared(update(LINES).where(LINES.c.key == bindparam("which")))
    with desk.write() as connection:
        connection.execute(insert(LINES).values(**LINE, item_id=item))
        number = giving.scalar(connection, {**LINE, "item_id": item, "key": "k2"})
        quiet.run_many(connection, [{**LINE, "item_id": item, "key": key} for key in ("k3", "k4")])
        quiet.run_many(connection, [])
        assert mark.run(connection, {"which": "k4", "read_at": AT}) == 1
        assert mark.run(connection, {"which": "k9", "read_at": AT}) == 0
    with desk.read() as connection:
        lines = _lines(connection)
    assert [one[-3:] for one in lines] == [("k1", AT, None), ("k2", AT, None), ("k3", AT, None), ("k4", AT, AT)]
    assert number == lines[1][0]
    assert {one[1:-3] for one in map(repr_of, lines)} == {repr_of(lines[0])[1:-3]}


def repr_of(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(map(repr, row))


def test_its_errors_are_those_of_sqlalchemy_and_nothing_stays(desk: Database):
    item = a_ticket(desk).item_id
    quiet = Prepared(insert(LINES))
    with desk.write() as connection:
        quiet.run(connection, {**LINE, "item_id": item})
    with pytest.raises(IntegrityError, match="INSERT INTO notifications"), desk.write() as connection:
        quiet.run_many(connection, [{**LINE, "item_id": item, "key": key} for key in ("k2", "k1")])
    with desk.read() as connection:
        assert [one[-3] for one in _lines(connection)] == ["k1"]


@pytest.mark.postgres
def test_a_lost_connection_is_said_to_be_lost_and_the_next_one_works(make_database: Any):
    database = Database(make_database("postgres"))
    a_desk(database)
    look = Prepared(select(LANES.c.item_id).where(LANES.c.item_id == bindparam("item")))
    with database.engine.connect() as connection:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with database.write() as other:
            other.execute(text(f"SELECT pg_terminate_backend({int(mine)})"))
        with pytest.raises(OperationalError) as caught:
            look.all(connection, {"item": 1})
    assert caught.value.connection_invalidated
    with database.read() as connection:
        assert look.all(connection, {"item": 1}) == []
    database.close()


def test_who_listens_to_statements_hears_of_it(sqlite_database: Database):
    heard: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        heard.append((statement, parameters))

    look = Prepared(select(LANES.c.item_id).where(LANES.c.item_id == bindparam("item")))
    event.listen(sqlite_database.engine, "before_cursor_execute", note)
    with sqlite_database.read() as connection:
        look.all(connection, {"item": 7})
    event.remove(sqlite_database.engine, "before_cursor_execute", note)
    assert heard[-1] == ("SELECT lanes.item_id \nFROM lanes \nWHERE lanes.item_id = ?", (7,))


def test_it_begins_the_transaction_where_nobody_has(sqlite_database: Database):
    look = Prepared(select(LANES.c.item_id).where(LANES.c.item_id == bindparam("item")))
    with sqlite_database.engine.connect() as connection:
        assert not connection.in_transaction()
        look.all(connection, {"item": 7})
        assert connection.in_transaction()


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        pytest.param(select(LANES.c.item_id).where(LANES.c.item_id.in_([1, 2])), {}, id="a list of any length"),
        pytest.param(insert(LANES), {"item_id": 1, "last_seq": 1, "due_at": None}, id="a default made in Python"),
    ],
)
def test_a_statement_that_differs_each_time_is_refused(sqlite_database: Database, statement: Any, values: Any):
    with sqlite_database.write() as connection, pytest.raises(NotPreparable):
        Prepared(statement).run(connection, values)
    with sqlite_database.read() as connection:
        assert connection.execute(select(LANES)).all() == []
