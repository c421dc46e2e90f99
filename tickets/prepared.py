"""Statements of hot paths, made ready once per dialect and then handed to the driver as they are.

SQLAlchemy works out every execution anew: which compiled form fits, which parameters it takes, what the rows look like.
For a statement that is always the same this costs several times what the driver itself takes; here it is done once.
Everything else is as with `connection.execute`: the transaction, the column types, the errors, and whoever listens to
`before_cursor_execute`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, cast

from sqlalchemy import JSON, Connection, Dialect, Executable, Row, Table, insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import Select

from tickets.db import as_raised, json_from_cell, json_to_cell, upsert

Values = Mapping[str, Any]
#: A row of a prepared statement: its columns are attributes, as on a row of SQLAlchemy.
AnyRow = Row[*tuple[Any, ...]]
_Convert = Callable[[Any], Any]


class NotPreparable(Exception):
    """A statement that is not the same at every execution (a list of any length, a default worked out in Python)."""


class Prepared:
    """One Core statement. Its `bindparam`s, or an INSERT's or UPDATE's columns, are given at each execution."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        # By which values are given and by dialect; both are few.
        self._forms: dict[tuple[str, ...], _Form] = {}

    def all(self, connection: Connection, values: Values) -> list[AnyRow]:
        """The rows, each with its columns as attributes."""
        form = self._form(connection, values)
        return form.rows(form.run(connection, form.arranged(values)).fetchall())

    def one_or_none(self, connection: Connection, values: Values) -> AnyRow | None:
        """The row, or None. At most one is looked at: the statement is to find no more."""
        form = self._form(connection, values)
        found = form.run(connection, form.arranged(values)).fetchall()
        return form.rows(found[:1])[0] if found else None

    def scalar(self, connection: Connection, values: Values) -> Any:
        """The first column of the row, None without one."""
        form = self._form(connection, values)
        found = form.run(connection, form.arranged(values)).fetchall()
        if not found:
            return None
        convert = form.first
        return found[0][0] if convert is None else convert(found[0][0])

    def run(self, connection: Connection, values: Values) -> int:
        """Execute it for what it does; how many rows it met."""
        form = self._form(connection, values)
        met: int = form.run(connection, form.arranged(values)).rowcount
        return met

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it once for each of these values, which all give the same names."""
        if len(rows) == 1:
            self.run(connection, rows[0])
        elif rows:
            form = self._form(connection, rows[0])
            form.run(connection, [form.arranged(one) for one in rows], many=True)

    def _form(self, connection: Connection, values: Values) -> _Form:
        key = (*values, connection.dialect.name)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _Form(self._said(connection), connection, values)
        return form

    def _said(self, connection: Connection) -> Executable:
        return self._statement


class PreparedUpsert(Prepared):
    """An INSERT with ON CONFLICT, which each kind of database has a construct of its own for."""

    def __init__(self, table: Table, finished: Callable[[Any], Executable]) -> None:
        """`finished` makes the statement of an INSERT into `table`."""
        super().__init__(insert(table))
        self._table, self._finished = table, finished

    def _said(self, connection: Connection) -> Executable:
        return self._finished(upsert(connection, self._table))


class _Form:
    """A statement as one driver takes it, for values of certain names."""

    def __init__(self, statement: Executable, connection: Connection, values: Iterable[str]) -> None:
        dialect = connection.dialect
        columns = _columns(statement)
        # As if for many: an INSERT that is to give nothing back is not made to give back its key.
        compiled = cast(Any, statement).compile(dialect=dialect, column_keys=list(values), for_executemany=not columns)
        assert isinstance(compiled, SQLCompiler)
        if compiled.post_compile_params or _defaults(compiled):
            raise NotPreparable(f"This differs from one execution to the next: {compiled.string}")
        self.sql = compiled.string
        self._is_sqlite = dialect.name == "sqlite"
        names = compiled.positiontup
        if names is None:
            names = list(dict.fromkeys(compiled.bind_names.values()))
        given = set(values)
        own: dict[str, Any] = {}
        taken: dict[str, _Convert | None] = {}
        for name in names:
            bind = compiled.binds[name]
            convert = _bound(bind.type, dialect)
            if bind.required or name in given:
                taken[name] = convert
            else:  # what the statement brings itself is converted once
                own[name] = bind.value if convert is None else convert(bind.value)
        #: The values as the driver takes them.
        self.arranged = _arranging(names, own, taken, by_name=compiled.positiontup is None)
        found = [_found(kind, dialect) for _, kind in columns]
        self.row: Any = namedtuple("row", [name for name, _ in columns]) if columns else None
        self.converts = [(at, convert) for at, convert in enumerate(found) if convert is not None]
        self.first = found[0] if found else None

    def run(self, connection: Connection, arranged: Any, *, many: bool = False) -> Any:
        """The cursor after the execution. Raises what SQLAlchemy raises."""
        driver: Any = connection.connection.dbapi_connection
        # SQLite's transactions may be begun past SQLAlchemy; its driver is the quicker to ask in any case.
        if not (self._is_sqlite and driver.in_transaction) and not connection.in_transaction():
            connection.begin()
        cursor = driver.cursor()
        # Whoever listens does so to all connections: to ask this one takes four times as long as to ask the engine.
        listeners = connection.engine.dispatch.before_cursor_execute
        if listeners:
            for listener in listeners:
                listener(connection, cursor, self.sql, arranged, None, many)
        try:
            (cursor.executemany if many else cursor.execute)(self.sql, arranged)
        except Exception as error:
            if not isinstance(error, connection.dialect.loaded_dbapi.Error):
                raise
            raise as_raised(connection, error, self.sql, arranged, cursor=cursor, many=many) from error
        return cursor

    def rows(self, found: list[Sequence[Any]]) -> list[AnyRow]:
        row, converts = self.row, self.converts
        made = []
        for one in found:
            cells = list(one)
            for at, convert in converts:
                cells[at] = convert(cells[at])
            made.append(_ROW(row, cells))
        return made


#: A row of these cells: `_make` of a namedtuple, without counting them.
_ROW: Any = tuple.__new__


def _arranging(
    names: Sequence[str], own: Mapping[str, Any], taken: Mapping[str, _Convert | None], *, by_name: bool
) -> Callable[[Values], Any]:
    """A function from values by name to what the driver takes: a tuple in this order, or a dictionary.

    Written out once for all executions: an event arranges some two hundred values."""
    known: dict[str, Any] = {}
    numbers = count()

    def constant(value: Any) -> str:
        name = f"c{next(numbers)}"
        known[name] = value
        return name

    parts = []
    for name in names:
        value = constant(own[name]) if name in own else f"v[{constant(name)}]"
        convert = taken.get(name)
        parts.append(value if convert is None else f"{constant(convert)}({value})")
    if by_name:
        body = ", ".join(f"{constant(name)}: {part}" for name, part in zip(names, parts, strict=True))
        source = f"lambda v: {{{body}}}"
    else:
        source = f"lambda v: ({''.join(f'{part}, ' for part in parts)})"
    # Nothing of a statement is in it: names and values are constants beside it.
    made: Callable[[Values], Any] = eval(compile(source, "<arranged>", "eval"), known)  # noqa: S307
    return made


def _bound(kind: Any, dialect: Dialect) -> _Convert | None:
    """How a value of this type is made ready for the driver."""
    if dialect.name == "sqlite" and isinstance(kind, JSON) and kind.none_as_null:
        return json_to_cell
    return cast("_Convert | None", kind.dialect_impl(dialect).bind_processor(dialect))


def _found(kind: Any, dialect: Dialect) -> _Convert | None:
    """How what the driver found of this type is read."""
    if dialect.name == "sqlite" and isinstance(kind, JSON):
        return json_from_cell
    return cast("_Convert | None", kind.dialect_impl(dialect).result_processor(dialect, None))


def _columns(statement: Any) -> list[tuple[str, Any]]:
    """Name and type of each column that comes back."""
    columns = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
    return [(str(column.key), column.type) for column in columns]


def _defaults(compiled: SQLCompiler) -> bool:
    """Whether a column has a value that Python would have to work out."""
    return any(getattr(compiled, name, None) for name in ("insert_prefetch", "update_prefetch"))
