"""What SQLite and PostgreSQL say differently about JSON and text, for `jobs.selecting`: one class each.

A value that is not of the sort asked for gives NULL, never an error: so a cast stands behind a CASE, because
PostgreSQL may look at both sides of an AND.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Float,
    Numeric,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

Sql: TypeAlias = ColumnElement[Any]
Path: TypeAlias = tuple[str, ...]
Truth: TypeAlias = ColumnElement[bool]

#: Numbers beyond these are left to the engine: a double holds whole numbers up to 2**53, and what is nearly nothing may
#: be too small to be an amount.
MOST, LEAST = float(2**53), 1e-15
#: The longest number in a text that is read in SQL, in digits before and behind the point: as many as a double keeps.
DIGITS = 7
#: A time in the one text form that sorts by time, but for its day: years that Python knows, and no 24th hour.
_DIGIT = "[0-9]"
_CLOCK = f"T[0-2]{_DIGIT}:[0-5]{_DIGIT}:[0-5]{_DIGIT}.{_DIGIT * 6}+00:00"
_DAY = (
    "[12][0-9]{3}-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))"
)


class Words(Protocol):
    """One database's words. A JSON value stands in a column at a path of names; with () it is the column itself."""

    def there(self, column: Sql, path: Path) -> Truth:
        """Whether there is a value: neither null nor an empty text nor an empty list. Never NULL."""

    def text(self, column: Sql, path: Path) -> Sql:
        """The text that the value is, NULL for anything else."""

    def number(self, column: Sql, path: Path) -> Sql:
        """The number that the value is, or that its text is in plain digits; NULL for anything else."""

    def person(self, column: Sql, path: Path) -> Sql:
        """The whole number that the value is, NULL for anything else."""

    def yes(self, column: Sql, path: Path) -> Sql:
        """1 for true, 0 for false, NULL for anything else."""

    def is_list(self, column: Sql, path: Path) -> Truth:
        """Whether the value is a list. Never NULL."""

    def has(self, column: Sql, path: Path, folded: Sequence[str], *, or_odd: bool) -> Truth:
        """Whether a member of the list is one of `folded` without its case; with `or_odd` also if it has a member that
        takes more than that to compare. Never NULL; false for what is no list."""

    def plain(self, text: Sql) -> Sql:
        """A text as `rules.folding.fold` folds it, NULL where that takes more than lower case."""

    def moment(self, text: Sql) -> Sql:
        """A time in the one text form that sorts by time, NULL for any other text."""


class SqliteWords:
    def _kind(self, column: Sql, path: Path) -> Sql:
        return func.json_type(column, _json_path(path))

    def _value(self, column: Sql, path: Path) -> Sql:
        return func.json_extract(column, _json_path(path))

    def there(self, column: Sql, path: Path) -> Truth:
        kind, value = self._kind(column, path), self._value(column, path)
        empty = or_(and_(kind == "text", value == ""), and_(kind == "array", value == "[]"))
        return case((func.coalesce(kind, "null") == "null", false()), (empty, false()), else_=~false())

    def text(self, column: Sql, path: Path) -> Sql:
        return case((self._kind(column, path) == "text", self._value(column, path)))

    def number(self, column: Sql, path: Path) -> Sql:
        kind, value = self._kind(column, path), self._value(column, path)
        return case(
            (kind.in_(("integer", "real")), case((_ordinary(value), value))),
            (and_(kind == "text", _plain_number(value)), cast(value, Float)),
        )

    def person(self, column: Sql, path: Path) -> Sql:
        return case((self._kind(column, path) == "integer", self._value(column, path)))

    def yes(self, column: Sql, path: Path) -> Sql:
        kind = self._kind(column, path)
        return case((kind == "true", literal(1)), (kind == "false", literal(0)))

    def is_list(self, column: Sql, path: Path) -> Truth:
        return func.coalesce(self._kind(column, path), "null") == "array"

    def has(self, column: Sql, path: Path, folded: Sequence[str], *, or_odd: bool) -> Truth:
        each = func.json_each(column, _json_path(path)).table_valued("value", "type", joins_implicitly=True)
        return and_(self.is_list(column, path), _some(self, each.c.value, each.c.type != "text", folded, or_odd))

    def plain(self, text: Sql) -> Sql:
        odd = or_(text.op("GLOB")("*[^ -~]*"), func.trim(text) != text, func.instr(text, "  ") > 0)
        return case((~odd, func.lower(text)))

    def moment(self, text: Sql) -> Sql:
        shape = f"[12]{_DIGIT * 3}-[01]{_DIGIT}-[0-3]{_DIGIT}{_CLOCK}"
        day = func.substr(text, 1, 10)
        # Without "+0 days" the 31st of February is taken as it is.
        real = and_(func.date(day, "+0 days") == day, func.substr(text, 12, 2) < "24")
        return case((and_(text.op("GLOB")(shape), real), text))


class PostgresWords:
    def _json(self, column: Sql, path: Path) -> Sql:
        return func.jsonb_extract_path(column, *path, type_=JSONB) if path else column

    def _kind(self, column: Sql, path: Path) -> Sql:
        return func.jsonb_typeof(self._json(column, path), type_=SqlText)

    def _told(self, column: Sql, path: Path) -> Sql:
        """The value as text, whatever it is."""
        return _told(self._json(column, path))

    def there(self, column: Sql, path: Path) -> Truth:
        kind, told = self._kind(column, path), self._told(column, path)
        empty = or_(and_(kind == "string", told == ""), and_(kind == "array", told == "[]"))
        return case((func.coalesce(kind, "null") == "null", false()), (empty, false()), else_=~false())

    def text(self, column: Sql, path: Path) -> Sql:
        return case((self._kind(column, path) == "string", self._told(column, path)))

    def number(self, column: Sql, path: Path) -> Sql:
        kind, told = self._kind(column, path), self._told(column, path)
        read, digits = cast(told, Numeric), f"[0-9]{{1,{DIGITS}}}"
        return case(
            (kind == "number", case((_ordinary(read), read))),
            (and_(kind == "string", _ascii(told).op("~")(f"^{digits}(\\.{digits})?$")), read),
        )

    def person(self, column: Sql, path: Path) -> Sql:
        kind, told = self._kind(column, path), self._told(column, path)
        return case((and_(kind == "number", _ascii(told).op("~")("^-?[0-9]+$")), cast(told, Numeric)))

    def yes(self, column: Sql, path: Path) -> Sql:
        told = self._told(column, path)
        return case((self._kind(column, path) == "boolean", case((told == "true", literal(1)), else_=literal(0))))

    def is_list(self, column: Sql, path: Path) -> Truth:
        return func.coalesce(self._kind(column, path), "null") == "array"

    def has(self, column: Sql, path: Path, folded: Sequence[str], *, or_odd: bool) -> Truth:
        listed = case((self.is_list(column, path), self._json(column, path)), else_=cast(literal("[]"), JSONB))
        each = func.jsonb_array_elements(listed).table_valued("value", joins_implicitly=True)
        return _some(self, _told(each.c.value), func.jsonb_typeof(each.c.value) != "string", folded, or_odd)

    def plain(self, text: Sql) -> Sql:
        odd = or_(_ascii(text).op("~")("[^ -~]"), func.btrim(text) != text, func.strpos(text, "  ") > 0)
        return case((~odd, func.lower(_ascii(text))))

    def moment(self, text: Sql) -> Sql:
        clock = _CLOCK.replace(".", "\\.").replace("+", "\\+").replace("T[0-2][0-9]", "T([01][0-9]|2[0-3])")
        return case((_ascii(text).op("~")(f"^{_DAY}{clock}$"), _ascii(text)))


def words(dialect: str) -> Words:
    """The words of the database with this name of SQLAlchemy's."""
    return SqliteWords() if dialect == "sqlite" else PostgresWords()


def _some(own: Words, text: Sql, odd: Truth, folded: Sequence[str], or_odd: bool) -> Truth:
    """Whether some member is one of `folded`, or takes more than lower case to compare."""
    plain = case((odd, None), else_=own.plain(text))
    found = plain.in_(list(folded))
    wanted = or_(plain.is_(None), found) if or_odd else and_(plain.is_not(None), found)
    return exists(select(literal(1)).where(wanted))


def _told(value: Sql) -> Sql:
    return value.op("#>>", return_type=SqlText())(cast(literal("{}"), ARRAY(SqlText)))


def _ordinary(number: Sql) -> Truth:
    """Whether it is of a size that SQL and the engine compare alike."""
    return and_(number < MOST, number > -MOST, or_(number > LEAST, number < -LEAST, number == 0))


def _json_path(path: Path) -> Sql:
    return literal("$" + "".join(f'."{name}"' for name in path))


def _ascii(text: Sql) -> Sql:
    """The same text, compared code point by code point whatever the database's language."""
    return text.collate("C")


def _plain_number(text: Sql) -> Truth:
    """Digits with at most one point between them: what a regular expression says for PostgreSQL."""
    glob = text.op("GLOB")
    return and_(
        glob("[0-9]*[0-9]") | glob("[0-9]"),
        ~glob("*[^0-9.]*"),
        text.not_like("%.%.%"),
        func.length(text) <= 2 * DIGITS + 1,
    )
