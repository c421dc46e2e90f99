"""Databases for tests: each test gets one of its own, copied from a template that was migrated once."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from run_tool.errors import CannotGoOn
from run_tool.postgres_server import postgres_binaries, postgres_cluster
from tests.environment.absent import absent
from tests.environment.together import made_once
from tickets.migrate import upgrade

Kind = Literal["sqlite", "postgres"]


class MakeDatabase(Protocol):
    """Makes a database of a kind and returns its URL: migrated, with nothing in it, or a copy of another one that
    nobody is connected to (`like` is its URL)."""

    def __call__(self, kind: Kind, *, migrated: bool = True, like: str = "") -> str: ...


#: The modules that map tables on tickets.db.Base.
TABLES = ("tickets.tables", "rules.store", "connectors.store", "jobs.tables")


class SqliteDatabases:
    """SQLite files in one folder, copied from a migrated one, which the workers of a run have in common."""

    def __init__(self, folder: Path, of_the_run: Path | None = None) -> None:
        self._folder = folder
        self._of_the_run = of_the_run or folder
        self._numbers = itertools.count(1)
        self._template: Path | None = None

    def make(self, *, migrated: bool = True, like: str = "") -> str:
        path = self._folder / f"test_{next(self._numbers)}.db"
        if like:
            shutil.copyfile(like.removeprefix("sqlite:///"), path)
        elif migrated:
            if self._template is None:
                self._template = made_once(self._of_the_run / "template.db", _migrated)
            shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"


def _migrated(path: Path) -> None:
    upgrade(f"sqlite:///{path}")
    # Everything into the one file, so that copying it copies all.
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


class PostgresDatabases:
    """Databases on one server, copied from a migrated one by PostgreSQL itself."""

    _names = itertools.count(1)

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url)
        # Several sessions may share a server that DESKHAND_TEST_PG_URL names.
        self._prefix = f"deskhand_test_{secrets.token_hex(4)}"
        self._template = ""
        self._made: list[str] = []
        self._strategy: sql.SQL | None = None
        # One connection for all: a run makes and drops hundreds, and each costs the server a process.
        self._connection: psycopg.Connection | None = None

    def make(self, *, migrated: bool = True, like: str = "") -> str:
        if like:
            return self._url(self._create(str(make_url(like).database)))
        if migrated and not self._template:
            self._template = self._create("template0")
            upgrade(self._url(self._template))
        return self._url(self._create(self._template if migrated else "template0"))

    def drop(self, url: str) -> None:
        """Drop one that nobody wants any more, whoever is still connected: a session makes hundreds, 10 MB each."""
        self._drop(str(make_url(url).database))

    def drop_all(self) -> None:
        """Drop what this session made, whoever is still connected."""
        for name in self._made[::-1]:
            self._drop(name)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _drop(self, name: str) -> None:
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.remove(name)

    def _create(self, template: str) -> str:
        name = f"{self._prefix}_{next(self._names)}"
        if self._strategy is None:
            self._strategy = self._how_to_copy()
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        self._execute(create + self._strategy)
        self._made.append(name)
        return name

    def _how_to_copy(self) -> sql.SQL:
        """File by file where nothing waits for a disk, instead of page by page through the log of changes."""
        asked = "SELECT current_setting('server_version_num')::int >= 150000 AND current_setting('fsync') = 'off'"
        found = self._server_itself.execute(asked).fetchone()
        return sql.SQL(" STRATEGY FILE_COPY" if found == (True,) else "")

    @property
    def _plain(self) -> str:
        return self._server.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def _server_itself(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._plain, autocommit=True)
        return self._connection

    def _execute(self, statement: sql.Composed) -> None:
        self._server_itself.execute(statement)

    def _url(self, name: str) -> str:
        return self._server.set(database=name, drivername="postgresql+psycopg").render_as_string(hide_password=False)


@contextmanager
def postgres_server(home: Path | None = None) -> Iterator[str]:
    """The URL of a PostgreSQL server: DESKHAND_TEST_PG_URL, else one of our own, whose files are in `home`; leaves the
    test out without any."""
    given = os.environ.get("DESKHAND_TEST_PG_URL")
    if given:
        yield given
        return
    site_packages = Path(psycopg.__file__).parent.parent
    binaries = postgres_binaries(site_packages)
    if binaries is None:
        absent("no PostgreSQL here (DESKHAND_TEST_PG_URL, PATH, /usr/lib/postgresql, or ./run test)")
    try:
        with postgres_cluster(binaries, home) as url:
            yield url
    except CannotGoOn as error:
        absent(f"PostgreSQL does not start here: {error}")
