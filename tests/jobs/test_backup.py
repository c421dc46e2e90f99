"""docs/operations.md, carried out as it is written: back up under load, restore, upgrade; nothing accepted is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from sqlalchemy import JSON, Connection, DateTime, MetaData, Table, func, insert, select, text, update

from jobs.services import Services, build
from jobs.settings import Settings
from jobs.tables import DecisionRow, OutboxRow
from rules import files
from run_tool.places import ROOT
from run_tool.postgres_server import postgres_binaries
from tests.builders import MORNING, a_ticket
from tests.environment.databases import Kind, MakeDatabase
from tests.jobs.desk import a_working_desk, table, work
from tests.jobs.tables import ANSWER_AND_TAG
from tests.jobs.workers import a_worker, until
from tickets import migrate
from tickets.db import Database, UtcDateTime
from tickets.tables import EventRow, Lane, Message
from web import create_app

PAGE = (ROOT / "docs" / "operations.md").read_text()
STEPS = dict(re.findall(r"^```sh\n# ([^\n]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
DEADLINE_S = 200


def do(step: str, url: str, data: Path, copies: Path) -> None:
    """Carry out one step of the page in a shell, with the folders of this test for those it names."""
    line = (
        STEPS[step]
        .replace("data/", f"{data}/")
        .replace(" copy.", f" {copies}/copy.")
        .replace("=copy.", f"={copies}/copy.")
    )
    line = line.replace(".venv/bin/flask", f"{sys.executable} -m flask")
    binaries = postgres_binaries(Path(psycopg.__file__).parent.parent)
    environ = {
        **os.environ,
        "DESKHAND_DATA_DIR": str(data),
        "DESKHAND_DATABASE_URL": url,
        "DATABASE": url.replace("+psycopg", ""),
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["/bin/sh", "-euc", line], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def load(services: Services) -> Iterator[list[int]]:
    """Tickets that come in until the block ends; the numbers of those that were accepted."""
    accepted: list[int] = []
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.02):
            accepted.append(a_ticket(services.db, email=f"c{len(accepted)}@example.com").item_id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield accepted
    finally:
        over.set()
        writer.join()


def open_events(db: Database) -> int:
    with db.read() as connection:
        return connection.execute(select(func.count()).where(EventRow.status != "done")).scalar_one()


def flask(services: Services, *arguments: str) -> Result:
    return create_app(services).test_cli_runner().invoke(args=arguments)


@pytest.mark.slow
def test_a_copy_made_under_load_is_restored_and_what_was_accepted_is_applied_once(
    database_kind: Kind, database_url: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    name = NAMES[database_kind]
    data, copies = tmp_path / "old", tmp_path / "copies"
    copies.mkdir()
    if database_kind == "sqlite":
        data.mkdir()
        database_url = f"sqlite:///{data}/deskhand.db"
        migrate.upgrade(database_url)
    with a_working_desk(database_url, data) as desk:
        table(desk, ANSWER_AND_TAG)
        sealed = desk.box.seal({"token": "a credential"})
        with a_worker(desk, "drain"), load(desk) as accepted:
            assert until(lambda: len(accepted) > 20)
            before = list(accepted)
            do(f"back up {name}", database_url, data, copies)
            [copy] = copies.iterdir()
            assert copy.stat().st_mode & 0o077 == 0
            assert until(lambda: len(accepted) > len(before) + 5)  # nobody had to wait for the copy
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    (new / "secrets.json").write_bytes((data / "secrets.json").read_bytes())
    (new / "secrets.json").chmod(0o600)
    if database_kind == "sqlite":
        url = f"sqlite:///{new}/deskhand.db"
        for beside in ("", "-wal", "-shm"):  # of the desk that is replaced
            (new / f"deskhand.db{beside}").write_bytes(b"what was there before")
    else:
        url = make_database("postgres", migrated=False)
    do(f"restore {name}", url, new, copies)
    restored = build(Settings(data_dir=new, database_url=url, redis_url=f"unix://{new}/none.sock"))
    try:
        looked = json.loads(flask(restored, "doctor", "--json").output)
        [found] = [one for one in looked if one["name"] == "database"]
        assert (found["state"], found["detail"]) == ("ok", f"{name}, schema {migrate.head()}")
        assert restored.box.open(sealed) == {"token": "a credential"}
        with restored.db.write() as connection:  # the desk's clock stood in the past
            connection.execute(update(Lane).where(Lane.due_at.is_not(None)).values(due_at=MORNING))
        with a_worker(restored, "drain"):
            assert until(lambda: open_events(restored.db) == 0)
        with restored.db.read() as connection:
            asked = list(connection.execute(select(Message.item_id).where(Message.author_kind == "customer")).scalars())
            answered = Counter(
                connection.execute(select(Message.item_id).where(Message.author_kind == "bot")).scalars()
            )
            mails = connection.execute(select(func.count()).select_from(OutboxRow)).scalar_one()
        assert set(before) <= set(asked)
        assert answered == dict.fromkeys(asked, 1)
        assert mails == len(asked)
    finally:
        restored.close()


def test_a_copy_is_never_written_over_what_is_there_and_is_for_its_owner_alone(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    with a_working_desk(sqlite_database.url, tmp_path / "data") as desk:
        assert flask(desk, "db", "backup", str(path)).exit_code == 0
        assert path.stat().st_mode & 0o777 == 0o600
        before = path.read_bytes()
        again = flask(desk, "db", "backup", str(path))
        assert (again.exit_code, "is there already and was left as it is" in again.output) == (1, True)
        assert path.read_bytes() == before
        nowhere = flask(desk, "db", "backup", str(tmp_path / "no" / "copy.db"))
        assert (nowhere.exit_code, "There is no copy." in nowhere.output) == (1, True)
        assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["copy.db"]


@pytest.mark.postgres
def test_the_command_does_not_copy_postgresql_and_says_what_does(make_database: MakeDatabase, tmp_path: Path) -> None:
    with a_working_desk(make_database("postgres"), tmp_path / "data") as desk:
        refused = flask(desk, "db", "backup", str(tmp_path / "copy.db"))
    assert (refused.exit_code, "pg_dump" in refused.output) == (1, True)
    assert not (tmp_path / "copy.db").exists()


# Upgrade ---------------------------------------------------------------------------------------------------------

#: What a column that has to hold something holds, when the test has nothing to say there.
_NOTHING: dict[type, Any] = {str: "", int: 0, bool: False, float: 0.0, dict: {}, list: []}


def put(connection: Connection, tables: MetaData, into: str, /, **values: Any) -> None:
    """A row as the schema of then wants it: what it must have and the test does not name is empty."""
    table = tables.tables[into]
    typed = Table(into, MetaData(), *(column._copy() for column in table.columns))
    for column in typed.columns:
        if isinstance(column.type, DateTime):
            column.type = UtcDateTime()
        if (
            column.name not in values
            and not column.nullable
            and not column.primary_key
            and column.server_default is None
        ):
            values[column.name] = (
                MORNING
                if isinstance(column.type, UtcDateTime)
                else {}
                if isinstance(column.type, JSON)
                else _NOTHING[column.type.python_type]
            )
    connection.execute(insert(typed).values(**values))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["0001", "0007"])
def test_events_that_wait_are_applied_once_after_an_upgrade(
    empty_database_url: str, tmp_path: Path, start: str
) -> None:
    migrate.upgrade(empty_database_url, start)
    old = Database(empty_database_url)
    content = {**files.load(ANSWER_AND_TAG), "enabled": True}
    numbers = range(1, 6)
    with old.write() as connection:
        then = MetaData()
        then.reflect(connection)
        put(connection, then, "rule_revision", id=1, revision=1)
        entry = {"code": "A01", "kind": "table", "name": "Answer", "position": 1, "enabled": True, "live_version": 1}
        put(connection, then, "entries", **entry)
        put(connection, then, "entry_versions", code="A01", version=1, name="Answer", content=content, author="ana")
        put(connection, then, "persons", id=1, name="Camille", anonymous=False)
        put(connection, then, "person_addresses", id=1, person_id=1, kind="email", address="camille@example.com")
        for number in numbers:
            item = {"kind": "ticket", "status": "open", "subject": "Waits", "channel": "email", "customer": 1}
            put(connection, then, "items", id=number, version=1, last_seq=1, fields={}, **item)
            said = {"author_kind": "customer", "author_person": 1, "public": True, "channel": "email", "text": "Hello?"}
            put(connection, then, "messages", id=number, item_id=number, seq=1, new_text="Hello?", **said)
            event = {"kind": "created", "actor_kind": "customer", "actor_ref": "1", "changes": [], "status": "pending"}
            put(connection, then, "events", id=number, item_id=number, seq=1, message_id=number, **event)
            put(connection, then, "lanes", item_id=number, last_seq=1, due_at=MORNING)
        if not old.is_sqlite:  # numbers that are given do not count there
            for name in ("items", "messages", "events"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {numbers[-1]})"))
    old.close()
    data = tmp_path / "data"
    services = build(Settings(data_dir=data, database_url=empty_database_url, redis_url=f"unix://{data}/none.sock"))
    try:
        looked = json.loads(flask(services, "doctor", "--json").output)
        assert [one["todo"] for one in looked if one["name"] == "database"] == ["flask db upgrade"]
        assert flask(services, "db", "upgrade").output == f"The database is at schema {migrate.head()}.\n"
        with a_worker(services, "drain"):
            assert until(lambda: open_events(services.db) == 0)
        assert work(services) == 0
        with services.db.read() as connection:
            answers = Counter(connection.execute(select(Message.item_id).where(Message.author_kind == "bot")).scalars())
            decided = Counter(connection.execute(select(DecisionRow.event_id)).scalars())
        assert answers == dict.fromkeys(numbers, 1)
        assert set(decided.values()) == {1}
    finally:
        services.close()
