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
        key = connection.dialect.name, tuple(values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _Form(self._statement, connection, values)
        return form


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
        names = compiled.positiontup
        if names is None:
            names = list(dict.fromkeys(compiled.bind_names.values()))
        #: None: the driver counts them instead.
        self.names = None if compiled.positiontup is not None else tuple(names)
        given = set(values)
        binds = {name: compiled.binds[name] for name in names}
        converts = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        # What the statement brings itself is converted once.
        self.own = [
            (at, bind.value if (convert := converts[name]) is None else convert(bind.value))
            for at, name in enumerate(names)
            if not (bind := binds[name]).required and name not in given
        ]
        own = {at for at, _ in self.own}
        taken = [(at, name, converts[name]) for at, name in enumerate(names) if at not in own]
        self.width = len(names)
        self.plain = [(at, name) for at, name, convert in taken if convert is None]
        self.converted = [(at, name, convert) for at, name, convert in taken if convert is not None]
        self.row: Any = namedtuple("row", [name for name, _ in columns]) if columns else None
        found = [kind.dialect_impl(dialect).result_processor(dialect, None) for _, kind in columns]
        self.converts = [(at, convert) for at, convert in enumerate(found) if convert is not None]
        self.first = found[0] if found else None

    def arranged(self, values: Values) -> Any:
        """The values as the driver takes them."""
        cells: list[Any] = [None] * self.width
        for at, name in self.plain:
            cells[at] = values[name]
        for at, name, convert in self.converted:
            cells[at] = convert(values[name])
        for at, value in self.own:
            cells[at] = value
        return tuple(cells) if self.names is None else dict(zip(self.names, cells, strict=True))

    def run(self, connection: Connection, arranged: Any, *, many: bool = False) -> Any:
        """The cursor after the execution. Raises what SQLAlchemy raises."""
        if not connection.in_transaction():
            connection.begin()
        cursor = connection.connection.cursor()
        listeners = connection.dispatch.before_cursor_execute
        if listeners:
            for listener in listeners:
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


def _columns(statement: Any) -> list[tuple[str, Any]]:
    """Name and type of each column that comes back."""
    columns = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
    return [(str(column.key), column.type) for column in columns]


def _defaults(compiled: SQLCompiler) -> bool:
    """Whether a column has a value that Python would have to work out."""
    return any(getattr(compiled, name, None) for name in ("insert_prefetch", "update_prefetch"))
