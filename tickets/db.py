"""The database handle: SQLite (WAL) or PostgreSQL, two kinds of transaction, and the column types all tables share.

Nothing above this file says BEGIN. `write()` takes SQLite's write lock at once (BEGIN IMMEDIATE), because a read
transaction that turns into a write one fails under load whatever the busy timeout; `read()` never takes it.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Protocol, cast

from pydantic_core import from_json
from sqlalchemy import JSON as SqlJSON
from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, Table, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from tickets.disk import Behind, Log
from tickets.values import JsonText

#: What the driver raises when the database is away or too busy to answer.
AWAY = (OperationalError, InterfaceError, PoolTimeout)
#: Seconds a pooled connection may lie idle before it is asked whether it is alive.
IDLE_S = 1.0
#: How long a write waits for SQLite's lock before it gives up, in milliseconds.
BUSY_TIMEOUT_MS = 15_000
#: Pages of SQLite's log (4 kB each) after which a commit folds them back into the file, which makes that commit take
#: many times as long. A ticket writes some 50. Behind a worker they are folded back long before: see `tickets.disk`.
CHECKPOINT_PAGES = 16_000
#: Milliseconds between two looks whether SQLite's lock is free, at least and at most; and the first so many looks, each
#: of which comes after a fraction of that: most who hold it have written within a millisecond.
BUSY_PAUSE_MS = (0.5, 2.0)
BUSY_SOON, BUSY_SOON_PART = 8, 0.2
#: Moments whose text is remembered: an event writes and reads the same few some twenty times.
MOMENTS = 1_024
#: Characters of a moment in SQLite: without its zone, which is always UTC.
_TEXT_CHARS = len("2026-11-22 09:00:00.000000")
#: The kinds of SQLite's transactions: one that reads, and two that write.
_READ, _DURABLE, _SOON = "read", "durable", "soon"
#: What is said of a connection of SQLite: that it does not wait for the disk by itself; its log, which is put there.
_HASTY, _LOG = "deskhand_hasty", "deskhand_log"
#: That it has a log which is to be on the disk: not one in memory, or of who does not mind.
_OWN = "deskhand_own"
#: That it is inside a transaction that SQLAlchemy did not begin: with its own first statement it joins in.
_INSIDE = "deskhand_inside"
#: What those who listen to statements are told where a commit waits for the disk, here or behind; no statement.
WAITED, WAITS_BEHIND = "fdatasync", "fdatasync behind"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. Refuses naive times going in; every time that comes out knows its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    # An event writes and reads some twenty moments. What the two above and SQLite's own type do one after the other
    # is done in one step here; the text in the database is the same.

    def bind_processor(self, dialect: Dialect) -> Any:
        return _sqlite_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _sqlite_moment if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _sqlite_text(value: datetime | None) -> str | None:
    """2026-11-22 09:00:00.000000, in UTC."""
    if value is None:
        return None
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        # Remembered only in UTC: of an hour that a zone has twice, both are equal to a dictionary.
        value = value.astimezone(UTC)
    return _utc_text(value)


@lru_cache(maxsize=MOMENTS)
def _utc_text(value: datetime) -> str:
    return value.isoformat(" ", "microseconds")[:_TEXT_CHARS]


@lru_cache(maxsize=MOMENTS)
def _sqlite_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The one metadata. Each package's store maps its own tables on it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime,
        dict[str, Any]: SqlJSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        list[Any]: SqlJSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
    }


class Database:
    """One database. Hand it down; never keep a connection beyond the `with` block that opened it."""

    def __init__(self, url: str, *, pool_size: int = 5, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
        """`url` is sqlite:///PATH or postgresql+psycopg://...; plain postgresql:// is taken as psycopg 3.

        `synchronous` is SQLite's: FULL loses nothing at power loss, NORMAL may lose the last commits then."""
        if url.startswith("postgresql://"):
            url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
        self.url = url
        self.synchronous = synchronous
        self.is_sqlite = url.startswith("sqlite")
        #: Seconds the last durable write over a held connection of SQLite waited for its turn, and for the disk where
        #: too much waits for that already.
        self.waited_s = 0.0
        self._behind = Behind()
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            **HOW_JSON_IS_WRITTEN,
        )
        if self.is_sqlite:
            _prepare_sqlite(self.engine, synchronous)
        else:
            _ping_after_idling(self.engine)

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads, one consistent view; rolled back at the end."""
        return _OnSqlite(self, _READ) if self.is_sqlite else self._read()

    def write(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back when it raises.

        On the disk at the end of the block. Not `durable` only for what nobody misses when the power fails: SQLite then
        does not wait for the disk. It is there for every process at once, and on the disk with the next durable one.
        PostgreSQL makes no difference. Raises `OperationalError`; where the disk refused what was committed already,
        nobody knows whether it would outlive the machine."""
        return _OnSqlite(self, _DURABLE if durable else _SOON) if self.is_sqlite else self._write()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            connection.rollback()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def held(self) -> Iterator[Held]:
        """One connection for many short transactions, one after the other.

        To take a connection for each costs a worker in full flow as much as the statements of a small transaction.
        On SQLite they are put on the disk behind it, for what nobody is told of before somebody else wrote after it:
        when the power fails, the last few are undone together with all that came of them."""
        with self.engine.connect() as connection:
            yield Held(self, connection)

    def version(self, connection: Connection) -> int | None:
        """None: what `Held.version` says is true of one connection."""
        return None

    def to_disk(self) -> None:
        """Returns when all that was committed over held connections is on the disk; raises `OSError` if it refused."""
        self._behind.close()

    def close(self) -> None:
        try:
            self.to_disk()
        finally:
            self.engine.dispose()

    def __repr__(self) -> str:
        return f"Database({self.engine.url.render_as_string(hide_password=True)})"


class Transactions(Protocol):
    """What transactions are asked of: a `Database`, or one connection of it that is `Held`."""

    @property
    def is_sqlite(self) -> bool: ...

    def read(self) -> AbstractContextManager[Connection]: ...

    def write(self, *, durable: bool = True) -> AbstractContextManager[Connection]: ...

    def version(self, connection: Connection) -> int | None: ...


class Held:
    """One connection: its transactions follow one another, and are of the same two kinds as those of a `Database`."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection
        self.is_sqlite = database.is_sqlite

    def read(self) -> AbstractContextManager[Connection]:
        """As `Database.read`."""
        return _OnSqlite(self._database, _READ, self._connection) if self.is_sqlite else self._read()

    def write(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """As `Database.write`, but for SQLite's disk: see `Database.held`."""
        if not self.is_sqlite:
            return self._write()
        return _OnSqlite(self._database, _DURABLE if durable else _SOON, self._connection)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        self._connection.execution_options(isolation_level="REPEATABLE READ")
        try:
            yield self._connection
        finally:
            self._connection.rollback()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        connection = self._connection
        # What a transaction before this one set stays with the connection.
        connection.execution_options(isolation_level=connection.default_isolation_level)
        connection.begin()
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def version(self, connection: Connection) -> int | None:
        """On SQLite, inside a transaction: another number than in the one before when anybody else has committed
        since. None on PostgreSQL, which has no such number."""
        if not self.is_sqlite:
            return None
        cursor = connection.connection.cursor()
        _execute(connection, cursor, "PRAGMA data_version")
        found: int = cast(Any, cursor.fetchone())[0]
        return found


class _OnSqlite:
    """A transaction of SQLite, over a held connection or one of the pool.

    It begins and ends past SQLAlchemy, which takes several times as long for it as the database, and joins in with the
    first statement that is its own."""

    __slots__ = ("_connection", "_database", "_held", "_kind", "_waited_s")

    def __init__(self, database: Database, kind: str, held: Connection | None = None) -> None:
        self._database, self._kind, self._held = database, kind, held

    def __enter__(self) -> Connection:
        started = time.perf_counter()
        connection = self._held
        if connection is None:
            connection = self._database.engine.connect()
        try:
            _begin_sqlite(connection, self._kind)
            connection.info[_INSIDE] = True
        except BaseException:
            if self._held is None:
                connection.close()
            raise
        self._connection = connection
        self._waited_s = time.perf_counter() - started
        return connection

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        connection = self._connection
        try:
            if self._kind is _READ or error is not None:
                _end_sqlite(connection, commit=False)
                return
            done = time.perf_counter()
            try:
                _end_sqlite(connection, commit=True)
            except BaseException:
                _end_sqlite(connection, commit=False)
                raise
            if self._kind is not _DURABLE:
                return
            if connection.connection.info.get(_HASTY):
                _to_disk(connection, None if self._held is None else self._database._behind)
            if self._held is not None:
                self._database.waited_s = self._waited_s + time.perf_counter() - done
        finally:
            if self._held is None:
                connection.close()


def _end_sqlite(connection: Connection, *, commit: bool) -> None:
    fairy = connection.connection
    fairy.info.pop(_INSIDE, None)
    driver: Any = fairy.dbapi_connection
    if commit and not driver.in_transaction:
        raise _given_up("COMMIT")
    if connection.in_transaction():
        (connection.commit if commit else connection.rollback)()
        return
    listeners = connection.engine.dispatch.commit if commit else connection.engine.dispatch.rollback
    if listeners:
        for listener in listeners:
            listener(connection)
    try:
        (driver.commit if commit else driver.rollback)()
    except sqlite3.Error as error:
        raise as_raised(connection, error, "COMMIT" if commit else "ROLLBACK") from error


def _to_disk(connection: Connection, behind: Behind | None) -> None:
    """Have what this connection committed on the disk: now, or behind."""
    fairy = connection.connection
    info = fairy.info
    _tell_listeners(connection, None, WAITED if behind is None else WAITS_BEHIND)
    try:
        log: Log | None = info.get(_LOG)
        if log is None:
            log = info[_LOG] = Log(fairy.dbapi_connection)
        if behind is None:
            log.to_disk()
        else:
            behind.to_disk(log)
    except OSError as error:
        raise OperationalError("fdatasync", (), sqlite3.OperationalError(f"disk I/O error: {error}")) from error


def as_raised(
    connection: Connection,
    error: Exception,
    statement: str,
    parameters: Any = (),
    *,
    cursor: Any = None,
    many: bool = False,
) -> Exception:
    """What SQLAlchemy would raise for this error of the driver, whose connection is invalidated where it is lost."""
    base = connection.dialect.loaded_dbapi.Error
    lost = connection.dialect.is_disconnect(cast(Any, error), connection.connection.dbapi_connection, cursor)
    made = DBAPIError.instance(
        statement, parameters, error, base, connection_invalidated=lost, dialect=connection.dialect, ismulti=many
    )
    if lost:
        connection.invalidate(error)
    assert isinstance(made, Exception)
    return made


def _given_up(statement: str) -> OperationalError:
    # When the disk is full, say, SQLite rolls back by itself. What came after it must not be kept without it.
    return OperationalError(statement, (), sqlite3.OperationalError("the transaction was given up by the database"))


def _to_json(value: Any) -> str:
    """As `json.dumps`; what is text already stays as it is. Half of what is stored is an empty list or object; to say
    so takes a tenth."""
    if not value:
        if type(value) is list:
            return "[]"
        if type(value) is dict:
            return "{}"
    if type(value) is JsonText:
        # The driver takes plain text at once, and asks around how to take a kind of text.
        return str(value)
    return json.dumps(value)


def _from_json(text: str | bytes) -> Any:
    """As `json.loads`, in half of the time."""
    if len(text) == len("[]"):
        if text == "[]":
            return []
        if text == "{}":
            return {}
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)  # half of a surrogate pair, or a thousand levels


def json_to_cell(value: Any) -> str | None:
    """A value as a column of JSON stores it in SQLite."""
    return None if value is None else _to_json(value)


def json_from_cell(cell: Any) -> Any:
    """What a column of JSON holds in SQLite, which keeps a document that is but a number as one."""
    return _from_json(cell) if type(cell) is str else cell


#: What an engine is told of JSON.
HOW_JSON_IS_WRITTEN: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": _from_json}


def table_of(model: type[Base]) -> Table:
    """The table behind a mapped class. Statements on it cost a fraction of those on the class; hot paths use it."""
    return cast(Table, model.__table__)


def upsert(connection: Connection, table: Any) -> Any:
    """An INSERT into `table` that can say ON CONFLICT, in the connection's dialect."""
    return sqlite_insert(table) if connection.dialect.name == "sqlite" else postgresql_insert(table)


def _ping_after_idling(engine: Engine) -> None:
    """Ask a pooled connection whether it is alive only when it has lain idle: a worker in full flow would spend one
    question in ten on it. One that has died is replaced, as with the pool's own ping."""

    @event.listens_for(engine, "checkin")
    def on_checkin(_dbapi_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def on_checkout(dbapi_connection: Any, record: Any, _fairy: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) < IDLE_S:
            return
        try:
            alive = engine.dialect.do_ping(dbapi_connection)
        except Exception as error:
            raise DisconnectionError("the connection has died") from error
        if not alive:
            raise DisconnectionError("the connection has died")


def _prepare_sqlite(engine: Engine, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(dbapi_connection: Any, record: Any) -> None:
        # The driver must not open transactions on its own: begin() below says which kind.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        (mode,) = cursor.execute("PRAGMA journal_mode=WAL").fetchone()
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        record.info[_OWN] = mode == "wal" and synchronous == "FULL"

    @event.listens_for(engine, "close")
    def on_close(_dbapi_connection: Any, record: Any) -> None:
        log = record.info.pop(_LOG, None)
        if log is not None:
            log.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if connection.info.get(_INSIDE) is None:
            _waits(connection, True)
            _begin_sqlite(connection, _READ)
        elif not cast(Any, connection.connection.dbapi_connection).in_transaction:
            raise _given_up("BEGIN")


def _begin_sqlite(connection: Connection, kind: str) -> None:
    """Past what SQLAlchemy does for a statement: there are three transactions to an event."""
    cursor = cast(Any, connection.connection.dbapi_connection).cursor()
    if kind is _READ:
        _execute(connection, cursor, "BEGIN DEFERRED")
        return
    _waits(connection, False)
    _begin_immediate(connection, cursor)


def _waits(connection: Connection, itself: bool) -> None:
    """Whether this connection waits for the disk by itself: where nobody puts its log there, it does."""
    info = connection.connection.info
    if info[_OWN] and itself is info.get(_HASTY, False):
        # Said before it is so: whatever ends this process's patience in between, no durable commit is hasty.
        info[_HASTY] = True
        cursor = cast(Any, connection.connection.dbapi_connection).cursor()
        _execute(connection, cursor, "PRAGMA synchronous=FULL" if itself else "PRAGMA synchronous=NORMAL")
        info[_HASTY] = not itself


def _begin_immediate(connection: Connection, cursor: Any) -> None:
    """Take SQLite's write lock, or raise `OperationalError` when it is not free within `BUSY_TIMEOUT_MS`.

    SQLite itself looks less and less often, up to every 100 ms, so that who has waited longest is served last, long
    after the lock was free. Looking often costs a few microseconds each time, and only who waits pays."""
    statement = "BEGIN IMMEDIATE"
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        end, looks = 0.0, 0
        while True:
            try:
                cursor.execute(statement)
            except sqlite3.OperationalError as error:
                end = end or time.monotonic() + BUSY_TIMEOUT_MS / 1000
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY and time.monotonic() < end:
                    looks += 1
                    part = BUSY_SOON_PART if looks <= BUSY_SOON else 1
                    time.sleep(part * random.uniform(*BUSY_PAUSE_MS) / 1000)
                    continue
                raise OperationalError(statement, (), error) from error
            _tell_listeners(connection, cursor, statement)
            return
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _execute(connection: Connection, cursor: Any, statement: str) -> None:
    _tell_listeners(connection, cursor, statement)
    cursor.execute(statement)


def _tell_listeners(connection: Connection, cursor: Any, statement: str) -> None:
    listeners = connection.engine.dispatch.before_cursor_execute  # as prepared statements do
    if listeners:
        for listener in listeners:
            listener(connection, cursor, statement, (), None, False)
