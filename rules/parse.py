"""From data (database, YAML, the editor) to a `Table`, or a list of problems with the cell of each.

All problems at once, up to a bound; nothing half-parsed leaves this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from rules.actions import ACTIONS, clean_params
from rules.errors import (
    MAX_PROBLEMS,
    ActionRefused,
    ConditionFailed,
    OperandRefused,
    Problem,
    TableInvalid,
    UnknownField,
    no_such,
)
from rules.fields import Field, field
from rules.operands import list_names, with_lists, without_lists
from rules.operators import (
    MAX_VALUES,
    OPERATORS,
    Looks,
    Operand,
    Operator,
    Takes,
    clean_operand,
    default_operator,
    for_values,
    operators_for,
    type_for,
)
from rules.rearm import clean_rearm
from rules.table import (
    DEFAULT_WAIT_S,
    EVERY_TIME,
    MAX_WAIT_S,
    NEVER_WITHOUT,
    OTHERWISE,
    Clause,
    Column,
    Condition,
    Group,
    GroupKind,
    HitPolicy,
    Member,
    Row,
    Step,
    StepColumn,
    Table,
    Trigger,
    WhenUnknown,
)
from rules.triggers import TRIGGERS, clean_trigger
from rules.vocabulary import Vocabulary
from tickets.item import ItemKind
from tickets.values import JSON, json_problem

MAX_ROWS = 5_000
MAX_COLUMNS = 60  # condition columns and step columns together
MAX_TRIGGERS = 20
MAX_FILLED_CELLS = 50_000  # and conditions in groups
MAX_GROUPS = 20  # of one row
MAX_MEMBERS = 100  # of one group, and of a scope
#: Groups in a row, and groups in those.
MAX_GROUP_DEPTH = 2
#: Largest cell and longest name and note, in characters.
MAX_CELL_CHARS = 64_000
MAX_NAME_CHARS = 200
MAX_NOTE_CHARS = 2_000
#: Item kinds a table may run on.
ANY_KIND = "any"
KINDS: Mapping[str, str] = {**{kind.value: kind.capitalize() for kind in ItemKind}, ANY_KIND: "Any"}

Where: TypeAlias = Mapping[str, str]
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_TABLE_KEYS = (
    "code",
    "name",
    "kind",
    "enabled",
    "triggers",
    "hit",
    "wait_s",
    "columns",
    "steps",
    "rows",
    "otherwise",
    "note",
    "scope",
    "run_again",
)

_ROW_KEYS = ("id", "note", "rearm", "stop", "if", "groups", "then")


def parse_table(data: Mapping[str, JSON], vocabulary: Vocabulary) -> Table:
    """The table that `data` describes. Raises `TableInvalid` with every problem (up to 200) when there is one."""
    parser = _Parser(vocabulary)
    table = parser.table(data)
    if parser.problems or table is None:
        raise TableInvalid(parser.problems)
    return table


def problems(data: Mapping[str, JSON], vocabulary: Vocabulary) -> list[Problem]:
    """Everything that is wrong with `data`, up to 200 problems; empty when `parse_table` would accept it."""
    parser = _Parser(vocabulary)
    parser.table(data)
    return parser.problems


#: Where too many columns or steps are said to be.
_HEADS = ({"table": "columns"}, {"table": "steps"})


class _TooMany(Exception):
    """The bound on problems is reached; parsing ends there."""


class _Parser:
    """One pass over the data, collecting problems."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.problems: list[Problem] = []
        self.columns: dict[str, tuple[Column, Field]] = {}
        self.steps: dict[str, StepColumn] = {}
        self.broken: set[str] = set()  # columns whose own head is wrong: their cells are not checked
        self.cells = 0

    def report(self, where: Where, code: str, message: str) -> None:
        if len(self.problems) >= MAX_PROBLEMS - 1:
            self.problems.append(
                Problem({"table": "rows"}, "too_many_problems", f"There are more than {MAX_PROBLEMS - 1} problems.")
            )
            raise _TooMany
        self.problems.append(Problem(where, code, message))

    def table(self, data: JSON) -> Table | None:
        try:
            return self._table(data)
        except _TooMany:
            return None

    def _table(self, data: JSON) -> Table | None:
        if not isinstance(data, Mapping):
            self.report({"table": "rows"}, "not_a_table", f"A table is a mapping, not {_kind(data)}.")
            return None
        self.vocabulary = self.vocabulary.of(str(data.get("kind", "ticket")))
        self._known_keys(data, _TABLE_KEYS, lambda key: {"table": key}, "key of a table")
        table = Table(
            code=self._key(data.get("code"), {"table": "code"}, "code"),
            name=self._text(data.get("name"), {"table": "name"}, "name", MAX_NAME_CHARS, required=True),
            kind=self._choice(data.get("kind", "ticket"), KINDS, {"table": "kind"}, "kind of item"),
            enabled=self._bool(data.get("enabled", True), {"table": "enabled"}),
            triggers=self._triggers(data.get("triggers")),
            hit=HitPolicy(
                self._choice(data.get("hit", "first"), [one.value for one in HitPolicy], {"table": "hit"}, "hit policy")
            ),
            wait_s=self._wait(data.get("wait_s", DEFAULT_WAIT_S)),
            columns=self._columns(data.get("columns")),
            steps=self._steps(data.get("steps")),
            rows=self._rows(data.get("rows")),
            otherwise=self._otherwise(data.get("otherwise")),
            note=self._text(data.get("note"), {"table": "note"}, "note", MAX_NOTE_CHARS),
            scope=self._scope(data.get("scope")),
            otherwise_rearm=self._otherwise_rearm(data.get("otherwise")),
            run_again=self._bool(data.get("run_again", False), {"table": "run_again"}),
        )
        count = len(table.columns) + len(table.steps)
        if count > MAX_COLUMNS and not any(one.code == "too_many" and one.where in _HEADS for one in self.problems):
            self.report({"table": "columns"}, "too_many", f"A table has at most {MAX_COLUMNS} columns, not {count}.")
        if not table.rows and table.otherwise is None:
            self.report({"table": "rows"}, "no_rows", "The table has no rows, so it would never do anything.")
        return table

    # heads ----------------------------------------------------------------------------------------------------

    def _triggers(self, data: JSON) -> tuple[Trigger, ...]:
        found = self._list(data, {"table": "triggers"}, "triggers", MAX_TRIGGERS)
        if not found:
            self.report({"table": "triggers"}, "no_trigger", f"Say when the table runs: {', '.join(TRIGGERS)}.")
        triggers = []
        for number, one in enumerate(found):
            where = {"table": "triggers", "index": str(number)}
            if isinstance(one, str):
                one = {"on": one}
            # YAML 1.1 reads the bare word `on` as yes, and people write triggers in YAML.
            if isinstance(one, Mapping):
                one = {"on" if str(key) == "True" else key: value for key, value in one.items()}
            if not isinstance(one, Mapping) or not isinstance(one.get("on"), str):
                self.report(where, "not_a_trigger", "A trigger is a mapping with 'on', e.g. {on: created}.")
                continue
            on = str(one["on"])
            try:
                params = clean_trigger(on, {key: value for key, value in one.items() if key != "on"}, self.vocabulary)
            except OperandRefused as error:
                self.report(where, "trigger", str(error))
                continue
            triggers.append(Trigger(on, params))
        return tuple(triggers)

    def _columns(self, data: JSON) -> tuple[Column, ...]:
        columns = []
        for number, one in enumerate(self._list(data, {"table": "columns"}, "columns", MAX_COLUMNS), 1):
            head = self._head(one, number, "columns", ("id", "field", "op", "unknown"))
            if head is None:
                continue
            id, where = head, {"column": head}
            assert isinstance(one, Mapping)
            name = one.get("field")
            if not isinstance(name, str):
                self._broken(id, where, "no_field", "A condition column needs the field it looks at.")
                continue
            try:
                found = field(name, self.vocabulary)
            except UnknownField as error:
                self._broken(id, where, "unknown_field", str(error))
                continue
            op = one.get("op")
            operator = default_operator(found.type) if op is None else self._operator(op, found, where)
            if operator is None:
                self.broken.add(id)
                continue
            unknown = self._choice(one.get("unknown", "wait"), list(WhenUnknown), where, "policy for unknown values")
            column = Column(id, name, operator.key, WhenUnknown(unknown))
            self.columns[id] = (column, found)
            columns.append(column)
        return tuple(columns)

    def _steps(self, data: JSON) -> tuple[StepColumn, ...]:
        steps = []
        for number, one in enumerate(self._list(data, {"table": "steps"}, "steps", MAX_COLUMNS), 1):
            head = self._head(one, number, "steps", ("id", "do"))
            if head is None:
                continue
            assert isinstance(one, Mapping)
            do = one.get("do")
            if not isinstance(do, str) or do not in ACTIONS:
                actions = {action.key: action.label for action in ACTIONS.values()}
                self._broken(head, {"column": head}, "unknown_action", no_such("action", do, actions))
                continue
            step = StepColumn(head, do)
            self.steps[head] = step
            steps.append(step)
        return tuple(steps)

    def _head(self, one: JSON, number: int, table_key: str, keys: Sequence[str]) -> str | None:
        where = {"table": table_key, "index": str(number - 1)}
        if not isinstance(one, Mapping):
            self.report(where, "not_a_column", f"A column is a mapping, not {_kind(one)}.")
            return None
        id = one.get("id")
        if not isinstance(id, str) or not _KEY.fullmatch(id):
            message = f"Column {number} needs an id of letters, digits, - and _ (up to 40).{_quote(id)}"
            self.report(where, "bad_id", message)
            return None
        if id in self.columns or id in self.steps or id in self.broken:
            self.report({"column": id}, "duplicate_id", f"Two columns have the id {id!r}.")
            return None
        self._known_keys(one, keys, lambda _key: {"column": id}, "key of a column")
        return id

    def _broken(self, id: str, where: Where, code: str, message: str) -> None:
        self.broken.add(id)
        self.report(where, code, message)

    def _operators(self, found: Field) -> tuple[Operator, ...]:
        return operators_for(found.type, state=bool(found.state_key), outside=found.outside)

    def _operator(self, op: JSON, found: Field, where: Where) -> Operator | None:
        allowed = {one.key: one.label for one in self._operators(found)}
        if isinstance(op, str) and op in allowed:
            return OPERATORS[op]
        if isinstance(op, str) and op in OPERATORS:
            if OPERATORS[op].looks is Looks.CHANGE and not found.state_key:
                reason = "is no field of the ticket itself, so events do not say when it changed"
            elif OPERATORS[op].looks is Looks.FETCHED:
                reason = "is not fetched from outside"
            else:
                reason = f"is a {found.type} field" if found.type else "does not take it"
            message = f"'{OPERATORS[op].label}' does not fit: {found.label} {reason}. Allowed: {', '.join(allowed)}."
            self.report(where, "operator_does_not_fit", message)
        else:
            self.report(where, "unknown_operator", no_such("operator", op, allowed))
        return None

    # rows ---------------------------------------------------------------------------------------------------------

    def _rows(self, data: JSON) -> tuple[Row, ...]:
        rows: list[Row] = []
        seen: set[str] = set()
        for number, one in enumerate(self._list(data, {"table": "rows"}, "rows", MAX_ROWS), 1):
            where = {"table": "rows", "index": str(number - 1)}
            if not isinstance(one, Mapping):
                self.report(where, "not_a_row", f"A row is a mapping, not {_kind(one)}.")
                continue
            id = one.get("id")
            if not isinstance(id, str) or not _KEY.fullmatch(id) or id == OTHERWISE:
                message = f"Row {number} needs an id of letters, digits, - and _ (up to 40).{_quote(id)}"
                self.report(where, "bad_id", message)
                continue
            if id in seen:
                self.report({"row": id}, "duplicate_id", f"Two rows have the id {id!r}.")
                continue
            seen.add(id)
            self._known_keys(one, _ROW_KEYS, lambda _key, id=id: {"row": id}, "key of a row")
            rows.append(
                Row(
                    id,
                    self._conditions(one.get("if"), id),
                    self._step_cells(one.get("then"), id),
                    self._text(one.get("note"), {"row": id}, "note", MAX_NOTE_CHARS),
                    self._groups(one.get("groups"), id),
                    self._rearm(one.get("rearm"), {"row": id}),
                    self._bool(one.get("stop", False), {"row": id}),
                )
            )
        return tuple(rows)

    def _otherwise(self, data: JSON) -> tuple[Step, ...] | None:
        if data is None:
            return None
        where = {"row": OTHERWISE}
        if not isinstance(data, Mapping):
            self.report(where, "not_a_row", "The otherwise row is a mapping with 'then'.")
            return None
        self._known_keys(data, ("then", "rearm"), lambda _key: where, "key of the otherwise row")
        return self._step_cells(data.get("then"), OTHERWISE)

    def _otherwise_rearm(self, data: JSON) -> str:
        return self._rearm(data.get("rearm"), {"row": OTHERWISE}) if isinstance(data, Mapping) else EVERY_TIME

    def _rearm(self, data: JSON, where: Where) -> str:
        try:
            return clean_rearm(data)
        except OperandRefused as error:
            self.report(where, "rearm", str(error))
            return EVERY_TIME

    def _conditions(self, data: JSON, row: str) -> tuple[Condition, ...]:
        filled = {}
        for column, cell in self._cells(data, row, "if").items():
            if cell is None or column in self.broken:
                continue
            if column not in self.columns:
                message = no_such("condition column", column, list(self.columns))
                self.report({"row": row, "column": column}, "unknown_column", message)
                continue
            condition = self._condition(cell, {"row": row, "column": column})
            if condition is not None:
                filled[column] = condition
        # In the order of the columns, which is the order people read them in.
        return tuple(filled[id] for id in self.columns if id in filled)

    def _condition(self, cell: JSON, where: Where) -> Condition | None:
        column, found = self.columns[where["column"]]
        if not isinstance(cell, Mapping) or list_names(cell):
            cell = {"value": cell}
        self._known_keys(cell, ("op", "value"), lambda _key: where, "key of a cell")
        said = self._test(cell, found, OPERATORS[column.op], where)
        return None if said is None else Condition(column.id, *said)

    def _test(self, cell: Mapping[str, JSON], found: Field, usual: Operator, where: Where) -> tuple[str, JSON] | None:
        """The operator and operand of a cell or clause on this field."""
        if not self._small(cell, where):
            return None
        op, value = cell.get("op"), cell.get("value")
        operator = usual if op is None else self._operator(op, found, where)
        if operator is None:
            return None
        operator = for_values(operator, value)
        try:
            return operator.key, self._operand(operator, found, value)
        except (ConditionFailed, OperandRefused) as error:
            self.report(where, "value", str(error))
            return None

    def _operand(self, operator: Operator, found: Field, value: JSON) -> JSON:
        """The operand as stored. Named lists stay names; what is in them must suit the field all the same."""
        if found.type is not None and found.type not in operator.types:
            raise OperandRefused(f"{found.label} is compared with one value, not with several or a list.")
        known = isinstance(value, str) and value in self.vocabulary.calendars
        if operator.takes is Takes.CALENDAR and not known:
            raise OperandRefused(no_such("calendar", value, self.vocabulary.calendars))
        type = type_for(operator, found.type, value)
        names = list(dict.fromkeys(list_names(value)))
        if not names:
            return clean_operand(operator, type, value, found.options, found.label.casefold())
        if operator.operand is not Operand.MANY:
            raise OperandRefused(f"'{operator.label}' takes no list.")
        stored: list[JSON] = []
        rest = without_lists(value)
        if rest:
            cleaned = clean_operand(operator, type, rest, found.options, found.label.casefold())
            assert isinstance(cleaned, list)
            stored += cleaned
        for name in names:
            listed = with_lists({"list": name}, self.vocabulary.lists)
            try:
                assert isinstance(listed, list)
                # An empty list is none of the table's faults: its owner may fill it tomorrow.
                for first in range(0, len(listed), MAX_VALUES):
                    part = listed[first : first + MAX_VALUES]
                    clean_operand(operator, type, part, found.options, found.label.casefold())
            except OperandRefused as error:
                raise OperandRefused(f"The list {name}: {error}") from None
            stored.append({"list": name})
        return stored[0] if len(stored) == 1 else stored

    # groups and scope -------------------------------------------------------------------------------------------

    def _groups(self, data: JSON, row: str) -> tuple[Group, ...]:
        groups = []
        for number, one in enumerate(self._list(data, {"row": row}, "groups", MAX_GROUPS), 1):
            where = {"row": row, "group": str(number)}
            group = self._group(one, where, 1)
            if group is not None:
                groups.append(group)
        return tuple(groups)

    def _scope(self, data: JSON) -> tuple[Member, ...]:
        members = []
        for number, one in enumerate(self._list(data, {"table": "scope"}, "scope", MAX_MEMBERS)):
            member = self._member(one, {"table": "scope", "index": str(number)}, 1)
            if member is not None:
                members.append(member)
        return tuple(members)

    def _group(self, data: JSON, where: Where, depth: int) -> Group | None:
        kinds = [kind.value for kind in GroupKind]
        kind = next(iter(data)) if isinstance(data, Mapping) and len(data) == 1 else None
        if not isinstance(data, Mapping) or kind not in kinds:
            message = f"A group is a mapping with one of {', '.join(kinds)}, e.g. {{any: [...]}}."
            self.report(where, "not_a_group", message)
            return None
        if depth > MAX_GROUP_DEPTH:
            self.report(where, "too_deep", "A group in a group of a row holds conditions, no more groups.")
            return None
        listed = self._list(data[kind], where, "members", MAX_MEMBERS)
        if not listed:
            self.report(where, "empty_group", "A group needs at least one condition.")
            return None
        members = []
        for number, one in enumerate(listed, 1):
            inside = {**where, "group": f"{where['group']}.{number}"} if "group" in where else where
            member = self._member(one, inside, depth + 1)
            if member is not None:
                members.append(member)
        return Group(GroupKind(kind), tuple(members))

    def _member(self, data: JSON, where: Where, depth: int) -> Member | None:
        if not isinstance(data, Mapping) or not isinstance(data.get("field"), str):
            return self._group(data, where, depth)
        self.cells += 1
        if self.cells > MAX_FILLED_CELLS:
            self.report({"table": "rows"}, "too_many", f"A table has at most {MAX_FILLED_CELLS} filled cells.")
            raise _TooMany
        self._known_keys(data, ("field", "op", "value"), lambda _key: where, "key of a condition")
        name = str(data["field"])
        try:
            found = field(name, self.vocabulary)
        except UnknownField as error:
            self.report(where, "unknown_field", str(error))
            return None
        if found.outside and where.get("table") == "scope":
            message = f"A scope looks at what is known at once; {found.label} comes from outside. Give it a column."
            self.report(where, "scope_waits", message)
            return None
        said = self._test(data, found, default_operator(found.type), where)
        return None if said is None else Clause(name, *said)

    def _step_cells(self, data: JSON, row: str) -> tuple[Step, ...]:
        filled = {}
        for column, cell in self._cells(data, row, "then").items():
            if cell is None or column in self.broken:
                continue
            where = {"row": row, "column": column}
            if column not in self.steps:
                self.report(where, "unknown_column", no_such("step column", column, list(self.steps)))
                continue
            if not isinstance(cell, Mapping):
                self.report(where, "not_a_step", "A step's cell is a mapping of parameters, e.g. {team: billing}.")
                continue
            if not self._small(cell, where):
                continue
            try:
                filled[column] = Step(column, clean_params(self.steps[column].do, cell, self.vocabulary))
            except ActionRefused as error:
                self.report(where, "step", str(error))
        return tuple(filled[id] for id in self.steps if id in filled)

    def _cells(self, data: JSON, row: str, side: str) -> Mapping[str, JSON]:
        if data is None:
            return {}
        if not isinstance(data, Mapping):
            self.report({"row": row}, "not_cells", f"'{side}' is a mapping of columns to cells, not {_kind(data)}.")
            return {}
        self.cells += len(data)
        if self.cells > MAX_FILLED_CELLS:
            self.report({"table": "rows"}, "too_many", f"A table has at most {MAX_FILLED_CELLS} filled cells.")
            raise _TooMany
        return data

    def _small(self, cell: Mapping[str, JSON], where: Where) -> bool:
        problem = json_problem(cell, "The cell")
        if problem:
            self.report(where, "not_json", f"{problem}.")
            return False
        size = len(repr(cell))
        if size > MAX_CELL_CHARS:
            self.report(where, "too_large", f"A cell has at most {MAX_CELL_CHARS} characters, not {size}.")
            return False
        return True

    # plain values -----------------------------------------------------------------------------------------------

    def _known_keys(self, data: Mapping[str, JSON], known: Sequence[str], where: object, what: str) -> None:
        for key in data:
            if key not in known:
                assert callable(where)
                self.report(where(str(key)[:40]), "unknown_key", no_such(what, key, known))

    def _list(self, data: JSON, where: Where, what: str, most: int) -> Sequence[JSON]:
        if data is None:
            return ()
        if not isinstance(data, (list, tuple)):
            self.report(where, "not_a_list", f"'{what}' is a list, not {_kind(data)}.")
            return ()
        if len(data) > most:
            self.report(where, "too_many", f"A table has at most {most} {what}, not {len(data)}.")
        return data[:most]

    def _key(self, value: JSON, where: Where, what: str) -> str:
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            message = f"The {what} has up to 40 letters, digits, - and _, and starts with one.{_quote(value)}"
            self.report(where, "bad_id", message)
            return ""
        return value

    def _text(self, value: JSON, where: Where, what: str, most: int, *, required: bool = False) -> str:
        if value is None or value == "":
            if required:
                self.report(where, "empty", f"The table needs a {what}.")
            return ""
        if not isinstance(value, str) or json_problem(value) is not None:
            self.report(where, "not_text", f"The {what} is a text.")
            return ""
        if len(value) > most:
            self.report(where, "too_large", f"The {what} has at most {most} characters, not {len(value)}.")
        return value

    def _choice(self, value: JSON, allowed: Mapping[str, str] | Sequence[str], where: Where, what: str) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        self.report(where, "unknown_value", no_such(what, value, allowed))
        return next(iter(allowed))

    def _bool(self, value: JSON, where: Where) -> bool:
        if not isinstance(value, bool):
            self.report(where, "not_bool", "This is yes or no. Write true or false.")
            return True
        return value

    def _wait(self, value: JSON) -> float | None:
        if value == NEVER_WITHOUT:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_WAIT_S:
            allowed = f"from 0 to {MAX_WAIT_S:.0f} seconds, or {NEVER_WITHOUT!r}"
            self.report({"table": "wait_s"}, "bad_wait", f"An event waits {allowed}, not {value!r}.")
            return DEFAULT_WAIT_S
        return float(value)


def _quote(id: JSON) -> str:
    """What to do about an id that files without quotes read as a number."""
    return f" Put it in quotes: '{id}'." if isinstance(id, (int, float)) and not isinstance(id, bool) else ""


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
