"""Python that says what a table can say, read back as a table's data. The other way is `rules.as_python`.

Only a small shape is read, and nothing of it is run: ifs over known fields, calls of the ticket with written-out
values. Every line of another shape is named. The source must have been through the jail's check before: what it could
parse, Python's parser can be given here, too.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any, TypeAlias

from rules.actions import ACTIONS
from rules.as_python import Writer, answer_name, value_of
from rules.errors import RulesError, TableInvalid, UnknownField
from rules.fields import Field, all_fields, state_backed
from rules.fields import field as field_by_key
from rules.operators import OPERATORS, Operand
from rules.parse import MAX_GROUP_DEPTH, parse_table
from rules.table import Table
from rules.vocabulary import Vocabulary
from tickets.values import JSON, json_problem

#: Longest source that is read, in characters and lines: as much as a script may have.
MAX_CHARS, MAX_LINES = 65_536, 2_000
#: Most lines that are named.
MAX_REASONS = 50


class Why(StrEnum):
    """Why a line is nothing that a table says."""

    PYTHON = "python"  # it cannot be read at all
    STATEMENT = "statement"  # another statement than if, a call of the ticket, stop
    CONDITION = "condition"
    FIELD = "field"  # `about` is no field that tables look at
    OPERATOR = "operator"  # the field takes no such comparison
    VALUE = "value"  # a value that is not written out
    ACTION = "action"  # `about` is no action with these parameters
    ORDER = "order"  # ifs with and without else do not mix
    BEHIND = "behind"  # a row behind a stop, or behind what is done when no row matches
    ASKING = "asking"  # a connection is asked in another way than tables do
    TABLE = "table"  # `about` says what is wrong with the table


@dataclass(frozen=True, slots=True)
class Line:
    """One line that cannot be read as a table, from 1, and why."""

    number: int
    why: Why
    about: str = ""


class NotATable(RulesError):
    """The source says something that a table cannot. `lines` name what; nothing was made."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__(f"{len(lines)} lines are nothing that a table can say")
        self.lines = tuple(lines)


def from_python(source: str, around: Mapping[str, JSON], vocabulary: Vocabulary) -> dict[str, JSON]:
    """The data of the table that `source` says. `around` has what does not stand in it: code, name, kind, triggers.

    Raises `NotATable` with up to 50 lines."""
    if len(source) > MAX_CHARS or source.count("\n") >= MAX_LINES:
        raise NotATable([Line(1, Why.PYTHON)])
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotATable([Line(getattr(error, "lineno", None) or 1, Why.PYTHON)]) from None
    kind = str(around.get("kind") or "ticket")
    # Lines as Python counts them: `splitlines` would end one at a form feed or a U+2028 within a text, too.
    lines = io.StringIO(source, newline=None).read().split("\n")
    reader = _Reader(lines, vocabulary.of(kind), kind)
    try:
        document = {**around, **reader.table(tree.body)}
    except RecursionError:
        raise NotATable([Line(1, Why.PYTHON)]) from None
    if reader.lines:
        raise NotATable(sorted(reader.lines, key=lambda line: line.number)[:MAX_REASONS])
    try:
        parse_table(document, vocabulary)
    except TableInvalid as invalid:
        raise NotATable(
            [Line(reader.line_of(one.where), Why.TABLE, one.message) for one in invalid.problems[:MAX_REASONS]]
        ) from None
    return document


class _Other(Exception):
    """Another shape than a table's."""

    def __init__(self, node: ast.AST, why: Why, about: str = "") -> None:
        self.line = Line(getattr(node, "lineno", 1), why, about)


@dataclass(frozen=True, slots=True)
class _Leaf:
    field: str
    op: str
    value: JSON
    unknown: str = ""

    def data(self) -> dict[str, JSON]:
        value = {} if self.value is None else {"value": self.value}
        return {"field": self.field, "op": self.op, **value}


@dataclass(frozen=True, slots=True)
class _Group:
    kind: str
    members: tuple[_Leaf | _Group, ...]

    def data(self) -> dict[str, JSON]:
        return {self.kind: [one.data() for one in self.members]}

    @property
    def depth(self) -> int:
        return 1 + max(one.depth if isinstance(one, _Group) else 0 for one in self.members)

    def leaves(self) -> Iterator[_Leaf]:
        for one in self.members:
            yield from one.leaves() if isinstance(one, _Group) else (one,)


_Condition: TypeAlias = "_Leaf | _Group"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    parts: tuple[_Condition, ...]
    steps: tuple[tuple[str, dict[str, JSON]], ...]
    note: str
    stop: bool


@dataclass
class _Reader:
    text: Sequence[str]
    vocabulary: Vocabulary
    kind: str
    lines: list[Line] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # the operation behind a name
    row_lines: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # a field's key, by what is written for it

    def __post_init__(self) -> None:
        for one in all_fields(self.vocabulary):
            value = None if one.lookup else value_of(one, self.kind)
            if value is not None:
                self.places[_shape(value)] = one.key
        self.writer = Writer(Table("x", "x", kind=self.kind), self.vocabulary)

    def line_of(self, where: Mapping[str, str]) -> int:
        return self.row_lines.get(where.get("row", ""), 1)

    # the whole --------------------------------------------------------------------------------------------------

    def table(self, body: Sequence[ast.stmt]) -> dict[str, Any]:
        rows: list[_Row] = []
        named: dict[str, tuple[int, ast.expr]] = {}  # conditions with a name, by it
        at: dict[str, int] = {}  # the row of a name
        last: list[ast.stmt] | None = None
        alone: list[ast.stmt] = []  # steps that no row has, which is all of a table without rows
        chains = single = 0
        for statement in body:
            try:
                match statement:
                    case ast.Try():
                        self._asked(statement)
                    case ast.Assign(targets=[ast.Name(id=name)], value=value) if (
                        name.startswith("row_") and name not in named
                    ):
                        named[name] = statement.lineno, value
                    case ast.If(test=ast.Name(id=name), body=inner, orelse=[]) if name in at:
                        if [*self._stops(inner)] != [True] or len(inner) != 1:
                            raise _Other(statement, Why.STATEMENT)
                        rows[at[name]] = replace(rows[at[name]], stop=True)
                    case ast.If(test=test, body=inner, orelse=[]) if at and last is None and _names(test) == set(at):
                        if len(at) != len(rows) or not _denies(test, list(at)):
                            raise _Other(statement, Why.CONDITION)
                        last = inner
                    case ast.If():
                        if last is not None or any(row.stop for row in rows):
                            raise _Other(statement, Why.BEHIND)
                        single += 1
                        if isinstance(statement.test, ast.Name) and statement.test.id in named and not statement.orelse:
                            line, value = named[statement.test.id]
                            at[statement.test.id] = len(rows)
                            rows.append(_Row(line, (), (), "", False))  # its name is known, even if it is no row
                            rows[-1] = self._row(line, value, statement.body)
                        else:
                            chain, last = self._chain(statement)
                            rows += chain
                            chains += len(chain) > 1 or last is not None
                        if single > 1 and chains:
                            raise _Other(statement, Why.ORDER)
                    case ast.Pass() if len(body) == 1:
                        last = []
                    case ast.Expr():
                        alone.append(statement)
                    case _:
                        raise _Other(statement, Why.STATEMENT)
            except _Other as other:
                self.lines.append(other.line)
        # What is never looked at may be anything, a call that changes something, too.
        unread = named.keys() - set().union(*(_names(one.test) for one in body if isinstance(one, ast.If)))
        self.lines += [Line(named[name][0], Why.STATEMENT) for name in unread]
        if alone and single:
            self.lines += [Line(one.lineno, Why.STATEMENT) for one in alone]
        elif alone:
            last = alone
        every = bool(named) or (single > 1 and not chains)
        return self._document(rows, self._try_steps(last) if last is not None else None, every=every)

    def _chain(self, node: ast.If) -> tuple[list[_Row], list[ast.stmt] | None]:
        rows = [self._row(node.lineno, node.test, node.body)]
        while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node = node.orelse[0]
            try:
                rows.append(self._row(node.lineno, node.test, node.body))
            except _Other as other:
                self.lines.append(other.line)
        return rows, node.orelse or None

    def _row(self, line: int, test: ast.expr, body: Sequence[ast.stmt]) -> _Row:
        stops = any(self._stops(body[-1:]))
        steps = self._steps(body[:-1] if stops else body)
        return _Row(line, self._parts(test), steps, self._note_above(line), stops)

    def _note_above(self, line: int) -> str:
        """The comment over a row, without the row's number."""
        at = line - 1
        while at > 0 and self.text[at - 1].startswith("#"):
            at -= 1
        found = [one.removeprefix("#").removeprefix(" ") for one in self.text[at : line - 1]]
        return "\n".join(found[1:] if found and _NUMBER.fullmatch(found[0]) else found)

    # steps ------------------------------------------------------------------------------------------------------

    def _stops(self, body: Sequence[ast.stmt]) -> Iterator[bool]:
        for one in body:
            match one:
                case ast.Expr(value=ast.Call(func=ast.Name(id="stop"), args=[ast.Constant(value=str())], keywords=[])):
                    yield True

    def _try_steps(self, body: Sequence[ast.stmt]) -> tuple[tuple[str, dict[str, JSON]], ...]:
        try:
            return self._steps(body)
        except _Other as other:
            self.lines.append(other.line)
            return ()

    def _steps(self, body: Sequence[ast.stmt]) -> tuple[tuple[str, dict[str, JSON]], ...]:
        found = []
        for one in body:
            match one:
                case ast.Pass():
                    continue
                case ast.Expr(
                    value=ast.Call(func=ast.Attribute(value=ast.Name(id="ticket"), attr=action), args=[], keywords=put)
                ):
                    if action not in ACTIONS or not ACTIONS[action].in_scripts:
                        raise _Other(one, Why.ACTION, action)
                    names = {param.key: param.names for param in ACTIONS[action].params}
                    params = {}
                    for keyword in put:
                        if keyword.arg is None or keyword.arg not in names:
                            raise _Other(one, Why.ACTION, f"{action}({keyword.arg or '**'})")
                        params[keyword.arg] = self._given(keyword.value, names[keyword.arg])
                    found.append((action, params))
                case _:
                    raise _Other(one, Why.STATEMENT)
        return tuple(found)

    def _given(self, node: ast.expr, own: Sequence[str]) -> JSON:
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="cells"), attr="filled"),
                args=[ast.Constant(value=str() as text), ast.Dict()],
                keywords=[],
            ):
                try:
                    expected = self.writer.filled(text, own)
                except Exception as error:
                    raise _Other(node, Why.VALUE) from error
                if _shape(expected) != ast.dump(node):
                    raise _Other(node, Why.VALUE)
                return text
        value = _literal(node)
        if isinstance(value, str) and "{{" in value:
            # A script says it as it stands; a table would fill it in.
            raise _Other(node, Why.VALUE)
        return value

    # conditions -------------------------------------------------------------------------------------------------

    def _asked(self, node: ast.Try) -> None:
        """What a connection is asked must be asked as a table would ask it."""
        for name in self.vocabulary.lookups:
            if ast.dump(node) == _shape("\n".join(self._asking(name)), statement=True):
                self.answers[answer_name(self.vocabulary.lookups[name])] = name
                return
        raise _Other(node, Why.ASKING)

    def _asking(self, name: str) -> Iterator[str]:
        try:
            yield from self.writer.asking(name)
        except UnknownField:
            yield "pass"

    def _parts(self, test: ast.expr) -> tuple[_Condition, ...]:
        """The conditions of a row: cells of columns first, then groups."""
        if isinstance(test, ast.Constant) and test.value is True:
            return ()
        values = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
        parts = tuple(self._condition(one) for one in values)
        depth = max((one.depth for one in parts if isinstance(one, _Group)), default=0)
        if len(values) > 1 and (depth > MAX_GROUP_DEPTH or _none_of(values)):
            parts = (self._condition(test),)
        first_group = next((at for at, one in enumerate(parts) if isinstance(one, _Group)), len(parts))
        for at, part in enumerate(parts):
            if any(
                one.unknown
                for one in (part.leaves() if isinstance(part, _Group) else [part] if at > first_group else [])
            ):
                # Only a column says what a condition counts as while nobody can tell.
                raise _Other(test, Why.CONDITION)
        return parts

    def _condition(self, node: ast.expr) -> _Condition:
        """What must hold."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                if _none_of(values):
                    return self._none(values)
                together = _Group("all", tuple(self._condition(one) for one in values))
                if together.depth <= MAX_GROUP_DEPTH:
                    return together
                return self._none(values)  # the only other way in which a table is written like this
            case ast.BoolOp(values=values):
                return _Group("any", tuple(self._condition(one) for one in values))
        inner = _denial(node)
        if inner is None:
            return self._leaf(node)
        if isinstance(inner, ast.BoolOp) and isinstance(inner.op, ast.Or):
            return _Group("none", tuple(self._condition(one) for one in inner.values))
        return _Group("none", (self._condition(inner),))

    def _none(self, values: Sequence[ast.expr]) -> _Group:
        return _Group("none", tuple(self._denied(one) for one in values))

    def _denied(self, node: ast.expr) -> _Condition:
        """What certainly does not hold."""
        if isinstance(node, ast.BoolOp):
            if all(_denial(one) is not None for one in node.values):
                kind = "all" if isinstance(node.op, ast.Or) else "any"
                return _Group(kind, tuple(self._denied(one) for one in node.values))
            if isinstance(node.op, ast.Or):
                return _Group("none", tuple(self._condition(one) for one in node.values))
            raise _Other(node, Why.CONDITION)
        inner = _denial(node)
        return self._condition(inner) if inner is not None else _Group("none", (self._condition(node),))

    def _leaf(self, node: ast.expr) -> _Leaf:
        match node:
            case ast.Compare(left=ast.Call() as inner, ops=[ast.Is()], comparators=[ast.Constant(value=True)]):
                return self._counting(self._leaf(inner), "no_match")
            case ast.Compare(left=ast.Call() as inner, ops=[ast.IsNot()], comparators=[ast.Constant(value=False)]):
                return self._counting(self._leaf(inner), "match")
            case ast.Compare(left=value, ops=[op], comparators=[operand]):
                key = _PLAIN.get(type(op))
                if key is None:
                    raise _Other(node, Why.CONDITION)
                return self._compared(node, value, key, _literal(operand))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="cells"), attr=word), args=[value], keywords=[]):
                if word not in ("empty", "not_empty", "changed"):
                    raise _Other(node, Why.OPERATOR, word)
                return self._compared(node, value, word, None)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="cells"), attr=word), args=[value, put], keywords=[]):
                given = _literal(put)
                return self._compared(node, value, _equal(word, given), given)
        raise _Other(node, Why.CONDITION)

    def _counting(self, leaf: _Leaf, unknown: str) -> _Leaf:
        return _Leaf(leaf.field, leaf.op, leaf.value, unknown)

    def _compared(self, node: ast.expr, value: ast.expr, op: str, operand: JSON) -> _Leaf:
        match value:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="cells"), attr=("after" | "before") as side), args=[one]
            ):
                if op not in ("any_of", "has_any"):
                    raise _Other(node, Why.OPERATOR, side)
                op, value = "changed_to" if side == "after" else "changed_from", one
        found, changes = self._field(value)
        if op in OPERATORS and (OPERATORS[op].operand in (Operand.MANY, Operand.PAIR)) != isinstance(operand, list):
            raise _Other(node, Why.VALUE)
        if op not in OPERATORS or (op in ("changed", "changed_to", "changed_from")) != changes:
            raise _Other(node, Why.OPERATOR, op)
        leaf = _Leaf(found.key, op, operand)
        # The one way in which a table is written says the rest: which word goes with which type.
        if _shape(self._written(leaf, node)) != ast.dump(node):
            raise _Other(node, Why.OPERATOR, f"{found.label}: {OPERATORS[op].label}")
        return leaf

    def _written(self, leaf: _Leaf, node: ast.expr) -> str:
        try:
            return self.writer.leaf(leaf.field, leaf.op, leaf.value).text
        except Exception as error:
            raise _Other(node, Why.OPERATOR, leaf.field) from error

    def _field(self, node: ast.expr) -> tuple[Field, bool]:
        """The field that stands here, and whether it is its change."""
        try:
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="event"), attr="changes"), attr="get"),
                    args=[ast.Constant(value=str() as key)],
                    keywords=[],
                ):
                    return state_backed(key, self.vocabulary), True
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="cells"), attr="at"),
                    args=[ast.Name(id=name), ast.Constant(value=str() as path)],
                    keywords=[],
                ) if name in self.answers:
                    return field_by_key(f"{self.answers[name]}.{path}", self.vocabulary), False
            return field_by_key(self.places[ast.dump(node)], self.vocabulary), False
        except (UnknownField, KeyError):
            raise _Other(node, Why.FIELD, ast.unparse(node)[:80]) from None

    # the table's data -------------------------------------------------------------------------------------------

    def _document(
        self, rows: Sequence[_Row], last: Sequence[tuple[str, dict[str, JSON]]] | None, *, every: bool
    ) -> dict[str, Any]:
        columns: list[_Column] = []
        actions: list[_Column] = []
        cells = [_placed(columns, [(one.field, one.unknown) for one in _cells(row)]) for row in rows]
        done = [_placed(actions, [(action, "") for action, _ in row.steps]) for row in rows]
        ending = _placed(actions, [(action, "") for action, _ in last or ()])
        # A column that was put in between moves those behind it: only now does each know its place.
        for letter, some in (("c", columns), ("s", actions)):
            for number, column in enumerate(some, 1):
                column.id = f"{letter}{number}"
        made = [
            self._made(f"r{number}", row, where, does)
            for number, (row, where, does) in enumerate(zip(rows, cells, done, strict=True), 1)
        ]
        document: dict[str, Any] = {
            "hit": "every" if every else "first",
            "columns": [
                {"id": one.id, "field": one.key, "op": one.op, **({"unknown": one.unknown} if one.unknown else {})}
                for one in columns
            ],
            "steps": [{"id": one.id, "do": one.key} for one in actions],
            "rows": made,
        }
        if last is not None:
            document["otherwise"] = {"then": _then(ending, last)}
        return document

    def _made(self, id: str, row: _Row, where: Sequence[_Column], does: Sequence[_Column]) -> dict[str, Any]:
        self.row_lines[id] = row.line
        filled = {}
        for leaf, column in zip(_cells(row), where, strict=True):
            column.op = column.op or leaf.op
            data = leaf.data()
            filled[column.id] = {
                key: value for key, value in data.items() if key == "value" or (key == "op" and value != column.op)
            }
        groups = [one.data() if isinstance(one, _Group) else {"all": [one.data()]} for one in row.parts[len(where) :]]
        return {
            "id": id,
            **({"note": row.note} if row.note else {}),
            **({"stop": True} if row.stop else {}),
            "if": filled,
            **({"groups": groups} if groups else {}),
            "then": _then(does, row.steps),
        }


# Pieces ----------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"Row \d+")
#: Python's own comparisons, and the operator each is.
_PLAIN: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "is",
    ast.NotEq: "is_not",
    ast.Is: "is",
    ast.IsNot: "is_not",
    ast.In: "any_of",
    ast.NotIn: "none_of",
}
#: What of `cells` stands for these operators, with one value and with several.
_WORDS = {
    **dict.fromkeys(("same", "equal", "one_of"), ("is", "any_of")),
    **dict.fromkeys(("other", "unequal", "none_of"), ("is_not", "none_of")),
}


@dataclass(eq=False)
class _Column:
    """A column on either side while its place is not yet known. `key`: its field or its action."""

    key: str
    unknown: str = ""
    op: str = ""
    id: str = ""


def _placed(columns: list[_Column], keys: Sequence[tuple[str, str]]) -> list[_Column]:
    """A column for each of these, in this order; those there are serve first, new ones are put in between."""
    found: list[_Column] = []
    at = 0
    for key, unknown in keys:
        there = next((n for n in range(at, len(columns)) if (columns[n].key, columns[n].unknown) == (key, unknown)), -1)
        if there < 0:
            there = at
            columns.insert(there, _Column(key, unknown))
        found.append(columns[there])
        at = there + 1
    return found


def _then(columns: Sequence[_Column], steps: Sequence[tuple[str, dict[str, JSON]]]) -> dict[str, JSON]:
    return {column.id: params for column, (_, params) in zip(columns, steps, strict=True)}


def _cells(row: _Row) -> list[_Leaf]:
    """The conditions of a row before its first group: what stands in columns."""
    return [one for one in takewhile(lambda part: isinstance(part, _Leaf), row.parts) if isinstance(one, _Leaf)]


def _equal(word: str, operand: JSON) -> str:
    one, several = _WORDS.get(word, (word, word))
    return several if isinstance(operand, list) else one


def _none_of(values: Sequence[ast.expr]) -> bool:
    """Whether together they are how a group "none" is written. One of nothing but what is certainly known would be
    one `not` of all its members, so several plain ones are groups of their own."""
    return all(_denial(one) is not None for one in values) and not all(isinstance(one, ast.UnaryOp) for one in values)


def _denial(node: ast.expr) -> ast.expr | None:
    """What is denied here: `not x`, or `x is False` of something that may be unknown; None for anything else."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return inner
        case ast.Compare(
            left=ast.Call() | ast.BoolOp() as inner, ops=[ast.Is()], comparators=[ast.Constant(value=False)]
        ):
            return inner
    return None


def _denies(test: ast.expr, names: Sequence[str]) -> bool:
    """Whether this is `not (row_1 or row_2)` of these names."""
    return ast.dump(test) == _shape(f"not ({' or '.join(names)})")


def _names(test: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(test) if isinstance(one, ast.Name)}


def _literal(node: ast.expr) -> JSON:
    """A value that is written out, as JSON. Raises `_Other`."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Other(node, Why.VALUE) from None
    if json_problem(value) is not None:
        raise _Other(node, Why.VALUE)
    return value  # type: ignore[no-any-return]


def _shape(text: str, *, statement: bool = False) -> str:
    """How Python reads this, without places."""
    tree = ast.parse(text)
    return ast.dump(tree.body[0] if statement else tree.body[0].value)  # type: ignore[attr-defined]
