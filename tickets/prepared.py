"""Statements of hot paths, made ready once per dialect and then handed to the driver as they are.

SQLAlchemy works out every execution anew: which compiled form fits, which parameters it takes, what the rows look like.
For a statement that is always the same this costs several times what the driver itself takes; here it is done once.
Everything else is as with `connection.execute`: the transaction, the column types, the errors, and whoever listens to
`before_cursor_execute`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import Select

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
        # By dialect and by which values are given; both are few.
        self._forms: dict[tuple[str, tuple[str, ...]], _Form] = {}

    def all(self, connection: Connection, values: Values) -> list[AnyRow]:
        """The rows, each with its columns as attributes."""
        form = self._form(connection, values)
        cursor = form.run(connection, form.arranged(values))
        return form.rows(cursor.fetchall())

    def one_or_none(self, connection: Connection, values: Values) -> AnyRow | None:
        """The row, or None. At most one is looked at: the statement is to find no more."""
        rows = self.all(connection, values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, values: Values) -> Any:
        """The first column of the row, None without one."""
        rows = self.all(connection, values)
        return rows[0][0] if rows else None

    def run(self, connection: Connection, values: Values) -> int:
        """Execute it for what it does; how many rows it met."""
        form = self._form(connection, values)
        return cast(int, form.run(connection, form.arranged(values)).rowcount)

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it once for each of these values, which all give the same names."""
        if len(rows) == 1:
            self.run(connection, rows[0])
        elif rows:
            form = self._form(connection, rows[0])
            form.run(connection, [form.arranged(one) for one in rows], many=True)

    def _form(self, connection: Connection, values: Values) -> _Form:
        key = connection.dialect.name, tuple(values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _Form(self._statement, connection, values)
        return form


class _Form:
    """A statement as one driver takes it."""

    def __init__(self, statement: Executable, connection: Connection, values: Iterable[str]) -> None:
        dialect = connection.dialect
        columns = _columns(statement)
        # As if for many: an INSERT that is to give nothing back is not made to give back its key.
        compiled = cast(Any, statement).compile(dialect=dialect, column_keys=list(values), for_executemany=not columns)
        assert isinstance(compiled, SQLCompiler)
        if compiled.post_compile_params or _defaults(compiled):
            raise NotPreparable(f"This differs from one execution to the next: {compiled.string}")
        self.sql = compiled.string
        self.positional = compiled.positiontup is not None
        names = (
            compiled.positiontup
            if compiled.positiontup is not None
            else list(dict.fromkeys(compiled.bind_names.values()))
        )
        own = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self.binds: list[tuple[str, _Convert | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
        ]
        self.own = {name: value for name, value in own.items() if name in names}
        self.row: Any = namedtuple("row", [name for name, _ in columns]) if columns else None
        converts = [kind.dialect_impl(dialect).result_processor(dialect, None) for _, kind in columns]
        self.converts = [(at, convert) for at, convert in enumerate(converts) if convert is not None]

    def arranged(self, values: Values) -> Any:
        """The values as the driver takes them."""
        given = {**self.own, **values} if self.own else values
        if self.positional:
            return tuple([given[name] if convert is None else convert(given[name]) for name, convert in self.binds])
        return {name: given[name] if convert is None else convert(given[name]) for name, convert in self.binds}

    def run(self, connection: Connection, arranged: Any, *, many: bool = False) -> Any:
        """The cursor after the execution. Raises what SQLAlchemy raises."""
        if not connection.in_transaction():
            connection.begin()
        cursor = connection.connection.cursor()
        for listener in connection.dispatch.before_cursor_execute:
            listener(connection, cursor, self.sql, arranged, None, many)
        try:
            (cursor.executemany if many else cursor.execute)(self.sql, arranged)
        except Exception as error:
            base = connection.dialect.loaded_dbapi.Error
            if not isinstance(error, base):
                raise
            lost = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
            wrapped = DBAPIError.instance(
                self.sql, arranged, error, base, connection_invalidated=lost, dialect=connection.dialect, ismulti=many
            )
            if lost:
                connection.invalidate(error)
            raise wrapped from error
        return cursor

    def rows(self, found: list[Sequence[Any]]) -> list[AnyRow]:
        make = self.row._make
        if not self.converts:
            return [make(one) for one in found]
        made = []
        for one in found:
            cells = list(one)
            for at, convert in self.converts:
                cells[at] = convert(cells[at])
            made.append(make(cells))
        return made


def _columns(statement: Any) -> list[tuple[str, Any]]:
    """Name and type of each column that comes back."""
    columns = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
    return [(str(column.key), column.type) for column in columns]


def _defaults(compiled: SQLCompiler) -> bool:
    """Whether a column has a value that Python would have to work out."""
    return any(getattr(compiled, name, None) for name in ("insert_prefetch", "update_prefetch"))
