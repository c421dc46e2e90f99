"""A table as Python of our scripts that says the same: conditions as ifs, steps as calls of the ticket.

Python's own words where they mean exactly what the cell means; else `cells`, which scripts have for it. What a script
cannot say is listed: in `missing` where its outcome would differ, so that no script is made of it, in `told` where it
stands beside the source, or is a little different. `rules.from_python` reads it back.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rules.actions import ACTIONS, CHANGE_SYSTEM
from rules.errors import ConditionFailed, UnknownField
from rules.fields import CLOCKS, Field
from rules.fields import field as field_by_key
from rules.operands import list_names, values_of, with_lists
from rules.operators import OPERATORS, Looks, Operand, Operator, Takes, type_for
from rules.table import (
    EVERY_TIME,
    Clause,
    Column,
    Group,
    GroupKind,
    HitPolicy,
    Member,
    Row,
    Step,
    Table,
    WhenUnknown,
)
from rules.vocabulary import ANY_KIND, LookupSpec, Vocabulary
from tickets.item import CUSTOM, FieldType
from tickets.values import JSON

#: Longest line before a condition is written with one part per line, in characters.
LINE_CHARS = 100
#: Most choices whose labels a text with placeholders brings along.
MOST_LABELS = 40

_TEXTS = frozenset({FieldType.TEXT, FieldType.LONG_TEXT})
_ORDERED = frozenset({FieldType.NUMBER, FieldType.MONEY, FieldType.TIME})
_PLACEHOLDER = re.compile(r"\{\{([^{}]{0,200})\}\}")


class Gap(StrEnum):
    """What Python does not say of a table. `about` names the field, action or row."""

    # The outcome would differ: nothing is made of it.
    FIELD = "field"  # scripts cannot look at this field
    OPERATOR = "operator"  # scripts cannot compare like this
    ACTION = "action"  # scripts do this by another name, or not at all
    PLACEHOLDER = "placeholder"  # a text holds a name that a script cannot fill in as people read it
    REARM = "rearm"  # the ledger of fired rows is the table's
    RUN_AGAIN = "run_again"
    NEVER_WITHOUT = "never_without"  # the table waits for its lookups for a day, a script does not
    BROKEN = "broken"  # the table names what is gone
    # Said beside the source, or a little different.
    LIST = "list"  # what the named list holds now stands in the source
    ASKS = "asks"  # a connection is asked at once and for every event
    UNKNOWN = "unknown"  # a column that does not wait
    TOGETHER = "together"  # all steps are applied together or none; a row's own error stops only the row
    BESIDE = "beside"  # triggers, scope and kind stand in the script's place in the list


#: Stands where scripts have no words; no script has this name, so that none with it is published by mistake.
UNSAYABLE = "cannot_be_said"
#: With one of these no script is made.
IN_THE_WAY = frozenset(
    {Gap.FIELD, Gap.OPERATOR, Gap.ACTION, Gap.PLACEHOLDER, Gap.REARM, Gap.RUN_AGAIN, Gap.NEVER_WITHOUT, Gap.BROKEN}
)


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that the source does not say: what, about what, and the number of the row ("" for the whole table)."""

    gap: Gap
    about: str = ""
    row: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A table as Python. With anything in `missing` the source is to be read, not to be run."""

    source: str
    missing: tuple[Said, ...]
    told: tuple[Said, ...]


def as_python(table: Table, vocabulary: Vocabulary) -> Written:
    """The table in the words of scripts."""
    return Writer(table, vocabulary.of(table.kind)).write()


class _Unsayable(Exception):
    """This cannot be said in Python; what cannot."""

    def __init__(self, gap: Gap, about: str) -> None:
        self.gap, self.about = gap, about


@dataclass(frozen=True, slots=True)
class _Expr:
    """A condition: its text, whether it is certainly True or False, and which operator holds it together."""

    text: str
    sure: bool
    joined: str = ""  # "and", "or", "not" or "is"; "" for what needs no parentheses

    def inside(self) -> str:
        return f"({self.text})" if self.joined in ("and", "or") else self.text

    def denied(self) -> _Expr:
        """It certainly does not hold."""
        if self.sure:
            return _Expr(f"not ({self.text})" if self.joined else f"not {self.text}", True, "not")
        return _Expr(f"{self.inside()} is False", True, "is")


def literal(value: JSON) -> str:
    """A JSON value as Python reads it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\x7f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    return repr(value)


def _joined(word: str, parts: Sequence[_Expr]) -> _Expr:
    if len(parts) == 1:
        return parts[0]
    return _Expr(f" {word} ".join(one.inside() for one in parts), all(one.sure for one in parts), word)


def equality(type: FieldType, *, sure: bool) -> tuple[str, str] | None:
    """What of `cells` says that values of this type are equal, and that they are not; None where Python's own does."""
    if type in _TEXTS:
        return "same", "other"
    if type in _ORDERED:
        return "equal", "unequal"
    return None if sure else ("one_of", "none_of")


#: The operators that ask whether a value is one of some, and the one each is for what an event gave or took.
_EQUAL = frozenset({"is", "any_of"})
_UNEQUAL = frozenset({"is_not", "none_of"})
_SIDES: Mapping[str, str] = {"changed_to": "after", "changed_from": "before"}


def compared(operator: Operator, type: FieldType, value: str, operand: str, *, sure: bool) -> str | None:
    """The comparison as Python, None where scripts have no word for it. `value` and `operand` are Python already.

    `value` is the change itself, `event.changes.get(...)`, for an operator that looks at one; `sure`: it is never
    unknown."""
    if operator.takes is Takes.CALENDAR or operator.looks is Looks.FETCHED:
        return None
    if operator.key in _SIDES:
        side = f"cells.{_SIDES[operator.key]}({value})"
        key = "has_any" if type is FieldType.CHOICES else "any_of"
        return compared(OPERATORS[key], type, side, operand, sure=True)
    if operator.operand is Operand.NONE:
        return f"cells.{operator.key}({value})"
    if operator.key in _EQUAL | _UNEQUAL:
        words = equality(type, sure=sure)
        if words is not None:
            return f"cells.{words[operator.key in _UNEQUAL]}({value}, {operand})"
        if operator.operand is Operand.MANY:
            return f"{value} {'in' if operator.key in _EQUAL else 'not in'} {operand}"
        if type is FieldType.BOOL:
            return f"{value} {'is' if operator.key in _EQUAL else 'is not'} {operand}"
        return f"{value} {'==' if operator.key in _EQUAL else '!='} {operand}"
    return f"cells.{operator.key}({value}, {operand})"


def answer_name(spec: LookupSpec) -> str:
    """The name that an operation's answer has in the source."""
    return f"{spec.connection}_{spec.operation}"


def value_of(found: Field, table_kind: str) -> str | None:
    """Where scripts find this field of the ticket, customer, message or event; None where they cannot look at it."""
    if found.state_key.startswith(CUSTOM):
        key = literal(found.state_key.removeprefix(CUSTOM))
        return f"ticket.fields.get({key})" if table_kind == ANY_KIND else f"ticket.fields[{key}]"
    if found.place is None:
        return _OF_TICKET.get(found.key)
    part, key = found.place
    match part:
        case "item":
            return f"ticket.{key}"
        case "customer":
            return f"(customer and customer.{key})"
        case "message":
            return f"(ticket.message and ticket.message.{key})"
        case "event":
            return f"event.{key}"
    return None


#: Where scripts find what every ticket has beside its state.
_OF_TICKET: Mapping[str, str] = {
    **{key: key for key in ("ticket.id", "ticket.kind", "ticket.created_at")},
    **{record.key: f"ticket.{name}" for name, record in CLOCKS.items()},
}


@dataclass
class Writer:
    """Writes one table; what it writes of answers and texts is what `rules.from_python` expects there."""

    table: Table
    vocabulary: Vocabulary
    said: list[Said] = field(default_factory=list)
    asked: dict[str, None] = field(default_factory=dict)  # the operations whose answers it looks at, in order
    row: str = ""  # the number of the row being written

    def write(self) -> Written:
        self._beside()
        few = len(self.table.rows) < 2  # then both policies are the same
        first = few or self.table.hit is HitPolicy.FIRST
        rows = [self._row(number, row) for number, row in enumerate(self.table.rows, 1)]
        self.row = "∞"
        last = self._steps(self.table.otherwise) if self.table.otherwise is not None else None
        if last is not None and self.table.otherwise_rearm != EVERY_TIME:
            self._note(Gap.REARM, self.table.otherwise_rearm)
        self.row = ""
        body = list(_first(rows, last) if first else _every(rows, last))
        if self.asked and self.table.wait_s is None:
            self._note(Gap.NEVER_WITHOUT)
        asking = [line for name in self.asked for line in self.asking(name)]
        how = "" if few else ": the first row that matches" if first else ": every row that matches"
        lines = [*_comment(f"{self.table.name}{how}."), *_comment(self.table.note), ""]
        lines += [*asking, ""] if asking else []
        missing = tuple(one for one in dict.fromkeys(self.said) if one.gap in IN_THE_WAY)
        told = tuple(one for one in dict.fromkeys(self.said) if one.gap not in IN_THE_WAY)
        return Written("\n".join([*lines, *(body or ["pass"]), ""]), missing, told)

    def _note(self, gap: Gap, about: str = "") -> None:
        self.said.append(Said(gap, about, self.row))

    def _beside(self) -> None:
        self._note(Gap.BESIDE)
        self._note(Gap.TOGETHER)
        if self.table.run_again:
            self._note(Gap.RUN_AGAIN)

    # rows -------------------------------------------------------------------------------------------------------

    def _row(self, number: int, row: Row) -> _RowText:
        self.row = str(number)
        columns = {column.id: column for column in self.table.columns}
        parts: list[_Expr] = []
        for condition in row.conditions:
            column = columns[condition.column]
            parts.append(self._counted(column, self.leaf(column.field, condition.op, condition.value)))
        parts += [self._group(group) for group in row.groups]
        if row.rearm != EVERY_TIME:
            self._note(Gap.REARM, row.rearm)
        return _RowText(number, row.note, tuple(parts), tuple(self._steps(row.steps)), row.stop)

    def _counted(self, column: Column, leaf: _Expr) -> _Expr:
        """The cell of a column that counts as something while its field is unknown."""
        if column.unknown is WhenUnknown.WAIT or leaf.sure:
            return leaf
        self._note(Gap.UNKNOWN, self._label(column.field))
        if column.unknown is WhenUnknown.SKIP:
            return leaf
        ending = "is not False" if column.unknown is WhenUnknown.MATCH else "is True"
        return _Expr(f"{leaf.text} {ending}", True, "is")

    def _group(self, group: Group) -> _Expr:
        parts = [self._member(member) for member in group.members]
        if group.kind is GroupKind.ALL:
            return _joined("and", parts)
        if group.kind is GroupKind.ANY:
            return _joined("or", parts)
        if all(part.sure for part in parts):
            return _joined("or", parts).denied()
        return _joined("and", [self._denied(member) for member in group.members])

    def _member(self, member: Member) -> _Expr:
        return self._group(member) if isinstance(member, Group) else self.leaf(member.field, member.op, member.value)

    def _denied(self, member: Member) -> _Expr:
        """That this certainly does not hold; what is unknown is neither."""
        if isinstance(member, Clause):
            return self._member(member).denied()
        if member.kind is GroupKind.NONE:
            return self._group(Group(GroupKind.ANY, member.members))
        whole = self._group(member)
        if whole.sure:
            return whole.denied()
        word = "or" if member.kind is GroupKind.ALL else "and"
        return _joined(word, [self._denied(one) for one in member.members])

    # conditions -------------------------------------------------------------------------------------------------

    def _label(self, key: str) -> str:
        try:
            return field_by_key(key, self.vocabulary).label
        except UnknownField:
            return key

    def leaf(self, key: str, op: str, value: JSON) -> _Expr:
        """One condition."""
        try:
            return self._condition(field_by_key(key, self.vocabulary), OPERATORS[op], value)
        except (UnknownField, ConditionFailed):
            gap, about = Gap.BROKEN, key
        except _Unsayable as unsayable:
            gap, about = unsayable.gap, unsayable.about
        self._note(gap, about)
        return _Expr(f"{UNSAYABLE}({literal(f'{key} {op}')})", True)

    def _condition(self, found: Field, operator: Operator, value: JSON) -> _Expr:
        if list_names(value):
            self._note(Gap.LIST, ", ".join(list_names(value)))
            value = list(dict.fromkeys(values_of(with_lists(value, self.vocabulary.lists))))
            if value == []:
                return _Expr(str(operator.when_missing), True)
        sure = not found.lookup
        if operator.looks is Looks.CHANGE:
            where: str | None = f"event.changes.get({literal(found.state_key)})"
            sure = True
        else:
            where = self._answer(found) if found.lookup else value_of(found, self.table.kind)
        if where is None:
            raise _Unsayable(Gap.FIELD, found.label)
        kind = type_for(operator, found.type, value)
        text = compared(operator, kind, where, literal(value), sure=sure)
        if text is None:
            raise _Unsayable(Gap.OPERATOR, f"{found.label} {operator.label}")
        return _Expr(text, sure, "" if text.startswith("cells.") else "is")

    def _answer(self, found: Field) -> str:
        """A path in what a connection answered, which is asked before the first row."""
        spec = self.vocabulary.lookups[found.lookup]
        path = found.key.removeprefix(f"{found.lookup}.")
        if not all(one.isidentifier() and not keyword.iskeyword(one) for one in (spec.connection, spec.operation)):
            raise _Unsayable(Gap.FIELD, found.label)
        for source in spec.bind.values():
            bound = field_by_key(source, self.vocabulary)
            if bound.lookup or value_of(bound, self.table.kind) is None:
                raise _Unsayable(Gap.FIELD, found.label)
        self._note(Gap.ASKS, spec.label)
        self.asked.setdefault(found.lookup)
        return f"cells.at({answer_name(spec)}, {literal(path)})"

    def asking(self, operation: str) -> Iterator[str]:
        """The lines that ask a connection before the first row."""
        spec = self.vocabulary.lookups[operation]
        name = answer_name(spec)
        given, needs = [], []
        for put, source in spec.bind.items():
            value = value_of(field_by_key(source, self.vocabulary), self.table.kind)
            given.append(f"{put}={value}")
            needs.append(f"cells.not_empty({value})")
        call = f"{operation}({', '.join(given)})"
        yield "try:"
        yield f"    {name} = {call} if {' and '.join(needs)} else None" if needs else f"    {name} = {call}"
        yield "except (Unavailable, Ambiguous):"
        yield f"    {name} = cells.unknown"

    # steps ------------------------------------------------------------------------------------------------------

    def _steps(self, steps: Iterable[Step]) -> list[str]:
        actions = {column.id: column.do for column in self.table.steps}
        return [self._step(actions[step.column], step.params) for step in steps]

    def _step(self, action: str, params: Mapping[str, JSON]) -> str:
        record = ACTIONS[action]
        if not record.in_scripts:
            about = str(params.get("change") or record.label) if action == CHANGE_SYSTEM else record.label
            self._note(Gap.ACTION, about)
            return f"pass  # {record.label}: {about}"
        given = []
        for param in record.params:
            if param.key in params:
                value = params[param.key]
                text = literal(value)
                if isinstance(value, str) and "{{" in value:
                    try:
                        text = self.filled(value, param.names)
                    except _Unsayable as unsayable:
                        self._note(unsayable.gap, unsayable.about)
                given.append(f"{param.key}={text}")
        return f"ticket.{action}({', '.join(given)})"

    def filled(self, text: str, own: Sequence[str]) -> str:
        """A text with placeholders, and the values of its names as people read them. No script knows the `own` ones."""
        names = dict.fromkeys(name.strip() for name in _PLACEHOLDER.findall(text))
        return f"cells.filled({literal(text)}, {{{', '.join(f'{literal(n)}: {self._shown(n, own)}' for n in names)}}})"

    def _shown(self, name: str, own: Sequence[str]) -> str:
        try:
            found = field_by_key(name, self.vocabulary)
        except UnknownField:
            raise _Unsayable(Gap.PLACEHOLDER, name) from None
        value = value_of(found, self.table.kind)
        if name in own or value is None or found.type is FieldType.TIME:
            raise _Unsayable(Gap.PLACEHOLDER, name)
        if not found.options:
            return value
        if found.type is not FieldType.CHOICE or len(found.options) > MOST_LABELS:
            raise _Unsayable(Gap.PLACEHOLDER, name)
        return f"{literal(dict(found.options))}.get({value}, {value})"


# Laying out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RowText:
    number: int
    note: str
    parts: tuple[_Expr, ...]
    steps: tuple[str, ...]
    stop: bool

    @property
    def head(self) -> list[str]:
        return [f"# Row {self.number}", *_comment(self.note)]

    @property
    def reason(self) -> str:
        return f'stop("Row {self.number} ends the list")'


def _comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.splitlines()]


def _condition_lines(word: str, parts: Sequence[_Expr], ending: str = ":") -> Iterator[str]:
    """`if ...:`, with one part per line where it would be long."""
    whole = _joined("and", parts).text if parts else "True"
    if len(whole) + len(word) <= LINE_CHARS or len(parts) < 2:
        yield f"{word}{whole}{ending}"
        return
    yield f"{word}("
    for at, part in enumerate(parts):
        yield f"    {'and ' if at else ''}{part.inside()}"
    yield f"){ending}"


def _body(steps: Sequence[str]) -> Iterator[str]:
    yield from (f"    {step}" for step in steps or ("pass",))


def _first(rows: Sequence[_RowText], last: Sequence[str] | None) -> Iterator[str]:
    for at, row in enumerate(rows):
        yield from row.head
        yield from _condition_lines("elif " if at else "if ", row.parts)
        yield from _body([*row.steps, row.reason] if row.stop else row.steps)
    if last is not None and rows:
        yield "else:"
        yield from _body(last)
    elif last is not None:
        yield from last


def _every(rows: Sequence[_RowText], last: Sequence[str] | None) -> Iterator[str]:
    """Rows whose answer is needed once more, by the last row or at the end, get a name."""
    for row in rows:
        yield from row.head
        if last is not None or row.stop:
            yield from _condition_lines(f"row_{row.number} = ", row.parts, "")
            yield f"if row_{row.number}:"
        else:
            yield from _condition_lines("if ", row.parts)
        yield from _body(row.steps)
    names = [f"row_{row.number}" for row in rows]
    if last is not None and rows:
        yield f"if not ({' or '.join(names)}):" if len(names) > 1 else f"if not {names[0]}:"
        yield from _body(last)
    elif last is not None:
        yield from last
    for row in rows:
        if row.stop:
            yield f"if row_{row.number}:"
            yield f"    {row.reason}"
