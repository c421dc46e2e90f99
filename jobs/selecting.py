"""Which items a condition holds for, asked of the database: the SQL of what `rules` compiled.

One answer has two sides, because what is unknown is neither true nor false: the items for which the engine surely says
yes, and those for which it may (it says yes, or cannot tell). So the opposite of what SQL only narrows down is narrowed
down by the other side, and an item is passed by only where the engine could but say no. Nothing is decided here:
whoever acts on an item has the engine look at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    Integer,
    Text,
    and_,
    case,
    exists,
    false,
    literal,
    not_,
    or_,
    select,
    true,
)

from jobs.sqlwords import Path, Sql, Truth, Words, words
from rules.asking import Asked, Grade, Other, Shape, Stored
from rules.compiled import All, CompiledCondition, CompiledTable, Not
from rules.folding import fold
from rules.operands import as_number, as_text, as_time, duration_s, values_of
from rules.operators import type_for
from rules.ruleset import RuleSet
from rules.table import WhenUnknown
from tickets.db import UtcDateTime, table_of
from tickets.item import FieldType
from tickets.sla import State
from tickets.tables import ContextFact, Person, PersonAddress, SlaClockRow, WorkItem
from tickets.values import JSON, iso

#: Conditions and values that one statement asks for, at most: a longer one takes a good part of a second to put
#: together, and at some ten times that no database takes it. Larger tables are looked at by the engine alone.
MOST_CONDITIONS, MOST_VALUES = 100, 5_000
#: The largest whole number that both databases take.
MAX_INTEGER = 2**63 - 1

_ITEMS, _PERSONS, _ADDRESSES = table_of(WorkItem), table_of(Person), table_of(PersonAddress)
_CLOCKS, _CARDS = table_of(SlaClockRow), table_of(ContextFact)
#: What has rows of its own, which are asked where they stand: a value taken out of one would be taken out many times.
_ROWS = frozenset({Other.CLOCK, Other.CARD})
_YES, _NO = true(), false()


@dataclass(frozen=True, slots=True)
class Found:
    """The items a condition holds for, as two conditions in SQL that are never NULL.

    `sure`: the engine says yes. `may`: it says yes or cannot tell. `narrows` and `finds` say whether these say more
    than "anything may" and "nothing is sure"; `exact`, whether they are just the engine's own sets."""

    sure: Truth
    may: Truth
    narrows: bool
    finds: bool
    exact: bool

    @property
    def grade(self) -> Grade:
        return Grade.EXACT if self.exact else Grade.SUPERSET if self.narrows else Grade.NONE


#: What SQL cannot be asked.
ANY = Found(_NO, _YES, narrows=False, finds=False, exact=False)
ALWAYS = Found(_YES, _YES, narrows=True, finds=True, exact=True)
NEVER = Found(_NO, _NO, narrows=True, finds=True, exact=True)


def opposite(found: Found) -> Found:
    return Found(not_(found.may), not_(found.sure), found.finds, found.narrows, found.exact)


def all_of(members: Sequence[Found]) -> Found:
    """Kleene's and."""
    members = [one for one in members if one is not ALWAYS]
    if not members:
        return ALWAYS
    return Found(
        and_(*(one.sure for one in members)) if all(one.finds for one in members) else _NO,
        and_(*(one.may for one in members)),
        any(one.narrows for one in members),
        all(one.finds for one in members),
        all(one.exact for one in members),
    )


def any_of(members: Sequence[Found]) -> Found:
    """Kleene's or."""
    return opposite(all_of([opposite(one) for one in members]))


@dataclass(frozen=True, slots=True)
class Selecting:
    """Conditions as SQL for one kind of database ("sqlite", "postgresql").

    With a `now`, conditions on how long ago something was are asked as of then. Without, only those that no passing of
    time changes: what is ruled out stays so until a write to the item, which keeps its timers."""

    dialect: str
    now: datetime | None = None

    def table(self, compiled: CompiledTable) -> Found:
        """The items on which the table may do anything: in its scope, with a row that may hold or an otherwise row."""
        scope = compiled.scope.node if compiled.scope is not None else All(())
        rows = [row.all for row in compiled.rows]
        if _too_much(All((scope,))):
            return ANY
        inside = self.node(scope)
        if compiled.otherwise_key:
            return inside
        if _too_much(All((scope, *rows))):
            return all_of([inside, ANY])
        return all_of([inside, any_of([self.node(one) for one in rows])])

    def bounded(self, node: All | Not) -> Found:
        """A condition or a group that may be larger than what one statement can ask: then nothing is asked."""
        return ANY if _too_much(All((node,))) else self.node(node)

    def node(self, node: CompiledCondition | All | Not) -> Found:
        """A condition or a group."""
        match node:
            case CompiledCondition():
                return self.condition(node)
            case All(members):
                return all_of([self.node(one) for one in members])
            case Not(member):
                return opposite(self.node(member))
            case _:
                assert_never(node)

    def condition(self, condition: CompiledCondition) -> Found:
        """One condition, for an item whose value is missing and for one that has a value."""
        field, operator, operand = condition.field, condition.operator, condition.operand
        if field is None or condition.test is None or field.stored is None or operator.sql.shape is None:
            return ANY
        if self.now is None and not field.stored.lasting:
            return ANY
        found = self._found(condition, field.stored, type_for(operator, field.type, operand))
        return self._in_a_row(condition, field.stored, found) if field.stored.of in _ROWS else found

    def _in_a_row(self, condition: CompiledCondition, stored: Stored, found: Found) -> Found:
        """What was found of a value in a row of another table, which the item may not have: then it is missing."""
        clock = stored.of is Other.CLOCK
        # All clocks of an item are of one policy, so that is asked of any of them.
        own = [_CLOCKS.c.item_id == _ITEMS.c.id, *([_CLOCKS.c.target == stored.which] if stored.which else [])]
        if not clock:
            own = [_CARDS.c.item_id == _ITEMS.c.id, _CARDS.c.key == stored.which, _CARDS.c.current]
        row = select(literal(1)).where(*own)
        none = not_(exists(row)) if condition.operator.when_missing else _NO
        # What could not be fetched is unknown, whatever the card still holds.
        failed = _NO if clock else _CARDS.c.error != ""
        settled = clock or condition.unknown in (WhenUnknown.WAIT, WhenUnknown.SKIP)
        return Found(
            or_(exists(row.where(found.sure, not_(failed))), none),
            or_(exists(row.where(or_(found.may, failed))), none),
            found.narrows,
            found.finds,
            found.exact and settled,
        )

    def _found(self, condition: CompiledCondition, stored: Stored, type: FieldType) -> Found:
        """The condition on a value that is known or missing."""
        operator, operand = condition.operator, condition.operand
        if operand == []:
            # An empty named list: the answer is the same with and without a value.
            return ALWAYS if operator.when_missing else NEVER
        value = _read(stored, type, words(self.dialect), self.now)
        here = _asked(operator.sql, type, operand, value, self.now)
        if operator.sql.opposite:
            here = opposite(here)
        return any_of([opposite(value.there), here]) if operator.when_missing else all_of([value.there, here])


def acting(ruleset: RuleSet, code: str, dialect: str, now: datetime | None = None) -> Found:
    """The items on which this table of the live list may do anything; all of them for one that is not in the list."""
    for compiled in ruleset.tables:
        if compiled.entry.code == code:
            return Selecting(dialect, now).table(compiled)
    return ANY


# The value ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Value:
    """A field's value in SQL, in the form in which it is compared.

    `sql` is NULL where `missed`: there is a value, but not one that SQL compares as the engine does. When `failing`
    those are just the values that the engine cannot compare either. `set_of` is for sets, which have no `sql`."""

    there: Found
    sql: Sql
    missed: bool = False
    failing: bool = False
    set_of: tuple[Words, Sql, Path] | None = None

    def when(self, test: Truth, *, certain: bool = True) -> Found:
        """The items whose value passes the test; only perhaps, unless `certain`."""
        if not self.missed:
            return _found(test, test, certain)
        return _found(and_(self.sql.is_not(None), test), or_(self.sql.is_(None), test), certain, exact=self.failing)


def _found(sure: Truth, may: Truth, certain: bool, exact: bool = True) -> Found:
    return Found(sure if certain else _NO, may, narrows=True, finds=certain, exact=exact and certain)


def _read(stored: Stored, type: FieldType, own: Words, now: datetime | None) -> _Value:
    match stored.of:
        case None:
            column: Sql = _ITEMS.c[stored.column]
        case Other.CUSTOMER:
            column = _of_customer(stored.column)
        case Other.CLOCK:
            column = _state(now) if stored.column == "state" else _CLOCKS.c[stored.column]
        case Other.CARD:
            column = _CARDS.c[stored.column]
    key = stored.path
    if type is FieldType.CHOICES:
        return _Value(_there(own.there(column, key)), column, set_of=(own, column, key))
    if not key:
        return _column(column, stored, type, own)
    there = _there(own.there(column, key))
    match type:
        case FieldType.TEXT | FieldType.LONG_TEXT:
            return _Value(there, own.plain(own.text(column, key)), missed=True)
        case FieldType.CHOICE:
            return _Value(there, own.text(column, key), missed=True)
        case FieldType.TIME:
            return _Value(there, own.moment(own.text(column, key)), missed=True)
        case FieldType.NUMBER | FieldType.MONEY:
            return _Value(there, own.number(column, key), missed=True)
        case FieldType.PERSON:
            return _Value(there, own.person(column, key), missed=True, failing=True)
        case FieldType.BOOL:
            return _Value(there, own.yes(column, key), missed=True, failing=True)


def _of_customer(name: str) -> Sql:
    """What is stored of the item's customer, NULL where it has none: their first e-mail address, or a column."""
    if name != "email":
        return select(_PERSONS.c[name]).where(_PERSONS.c.id == _ITEMS.c.customer).scalar_subquery()
    return (
        select(_ADDRESSES.c.address)
        .where(_ADDRESSES.c.person_id == _ITEMS.c.customer, _ADDRESSES.c.kind == "email")
        .order_by(_ADDRESSES.c.id)
        .limit(1)
        .scalar_subquery()
    )


def _state(now: datetime | None) -> Sql:
    """How a clock stands now."""
    due = _CLOCKS.c.due_at
    return case(
        (_CLOCKS.c.breached_at.is_not(None), State.BREACHED.value),
        (_CLOCKS.c.met_at.is_not(None), State.MET.value),
        (due.is_(None), State.PAUSED.value),
        (due <= literal(now, UtcDateTime()), State.BREACHED.value),
        else_=State.RUNNING.value,
    )


def _column(column: Sql, stored: Stored, type: FieldType, own: Words) -> _Value:
    """A column of its own. An empty text in one is no value."""
    text = stored.loose or type in (FieldType.TEXT, FieldType.LONG_TEXT, FieldType.CHOICE)
    there = _there(and_(column.is_not(None), column != "") if text else column.is_not(None))
    if type in (FieldType.TEXT, FieldType.LONG_TEXT):
        return _Value(there, own.plain(column), missed=True)
    if stored.loose:
        return _Value(there, own.moment(column), missed=True)
    return _Value(there, column)


def _there(test: Truth) -> Found:
    return _found(test, test, certain=True)


# The question ---------------------------------------------------------------------------------------------------------


def _asked(asked: Asked, type: FieldType, operand: JSON, value: _Value, now: datetime | None) -> Found:
    """The question about a value that is there."""
    certain = asked.grade is Grade.EXACT
    if asked.shape is Shape.PRESENT:
        return ALWAYS
    if asked.shape is Shape.OLDER:
        if now is None:
            return ANY
        [limit] = _literals(type, iso(now - timedelta(seconds=duration_s(operand))), value)
        return value.when(value.sql <= limit)
    if value.set_of is not None:
        return _members(asked, operand, *value.set_of)
    wanted = _literals(type, operand, value)
    if not wanted:
        return ANY
    test: Truth
    match asked.shape:
        case Shape.AMONG:
            test = value.sql.in_(wanted)
        case Shape.GREATER:
            test = value.sql > wanted[0]
        case Shape.LESS:
            test = value.sql < wanted[0]
        case Shape.BETWEEN:
            test = and_(value.sql >= wanted[0], value.sql <= wanted[1])
        case Shape.CONTAINS_ANY:
            # Word edges are left to the engine.
            test = or_(*(value.sql.contains(one, autoescape=True) for one in _folded(operand)))
        case Shape.CONTAINS_ALL:
            test = and_(*(value.sql.contains(one, autoescape=True) for one in _folded(operand)))
        case Shape.STARTS:
            test = or_(*(value.sql.startswith(one, autoescape=True) for one in _folded(operand)))
        case Shape.ENDS:
            test = or_(*(value.sql.endswith(one, autoescape=True) for one in _folded(operand)))
        case _:
            return ANY
    return value.when(test, certain=certain)


def _members(asked: Asked, operand: JSON, own: Words, column: Sql, key: Path) -> Found:
    """The question about the members of a set; what is no list, the engine cannot look into either."""
    listed = own.is_list(column, key)

    def has(folded: Sequence[str]) -> Found:
        sure, maybe = (own.has(column, key, folded, or_odd=odd) for odd in (False, True))
        return _found(sure, or_(not_(listed), maybe), certain=True, exact=False)

    match asked.shape:
        case Shape.HAS_ANY:
            return has(_folded(operand))
        case Shape.HAS_ALL:
            return all_of([has([one]) for one in _folded(operand)])
        case _:
            return ANY


def _folded(operand: JSON) -> list[str]:
    return [fold(as_text(one)) for one in values_of(operand)]


def _literals(type: FieldType, operand: JSON, value: _Value) -> list[Sql]:
    """The values of a cell in the form in which `value` is compared; none of them where one has no such form."""
    made = [_literal(type, one, value) for one in values_of(operand)]
    kept = [one for one in made if one is not None]
    return kept if len(kept) == len(made) else []


def _literal(type: FieldType, one: JSON, value: _Value) -> Sql | None:
    match type:
        case FieldType.NUMBER | FieldType.MONEY:
            number = as_number(one)
            # A double that is read back as another number would compare with that one.
            return literal(float(number), Float()) if Decimal(repr(float(number))) == number else None
        case FieldType.TIME:
            at = as_time(one)
            return literal(iso(at), Text()) if value.missed else literal(at, UtcDateTime())
        case FieldType.TEXT | FieldType.LONG_TEXT:
            return literal(fold(as_text(one)), Text()) if fold(as_text(one)) else None
        case FieldType.CHOICE | FieldType.CHOICES:
            return literal(as_text(one), Text())
        case FieldType.BOOL:
            return literal(int(bool(one)), Integer()) if value.missed else literal(bool(one), Boolean())
        case FieldType.PERSON:
            number = as_number(one)
            return literal(int(number), BigInteger()) if abs(number) <= MAX_INTEGER else None


# How much there is to ask ---------------------------------------------------------------------------------------------


def conditions(node: CompiledCondition | All | Not) -> Iterator[CompiledCondition]:
    """Every condition in it, in order."""
    match node:
        case CompiledCondition():
            yield node
        case All(members):
            for member in members:
                yield from conditions(member)
        case Not(member):
            yield from conditions(member)


def size(node: CompiledCondition | All | Not) -> tuple[int, int]:
    """How much there is to ask: comparisons, and values that they compare with."""
    compared = values = 0
    for one in conditions(node):
        here = len(values_of(one.operand))
        values += here
        # Every keyword is a comparison of its own, and stands beside the others.
        compared += 1 if one.operator.sql.shape in (Shape.AMONG, Shape.HAS_ANY) else here
    return compared, values


def _too_much(node: All) -> bool:
    """Whether one statement could not ask all of it."""
    compared, values = size(node)
    return compared > MOST_CONDITIONS or values > MOST_VALUES
