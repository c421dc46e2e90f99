"""A table ready to decide: comparisons prepared, groups as one tree, triggers as tests. The one meaning of a row.

Whatever finds rows faster (rules.index) must say the same as `CompiledRow.truth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import cast

from rules.comparisons import Test
from rules.decision import Entry, Ready, RowSteps
from rules.errors import ConditionFailed, RulesError, UnknownField
from rules.facts import Facts, Known, Missing, Unknown
from rules.fields import Field
from rules.fields import field as field_by_key
from rules.look import Look
from rules.operands import list_names, with_lists
from rules.operators import OPERATORS, Looks, Operator, Takes, type_for, with_hours
from rules.table import OTHERWISE, Clause, Condition, Group, GroupKind, Row, Table, WhenUnknown
from rules.templates import shown
from rules.trace import MAX_SHOWN_CHARS, cut
from rules.triggers import TRIGGERS, Matches, every_event
from rules.truth import Answer, Open, RowTruth, Undecided, both
from rules.vocabulary import Vocabulary
from tickets.events import EventKind
from tickets.values import JSON


@dataclass(frozen=True, slots=True)
class All:
    """What must hold together: the conditions and groups of a row, the members of a group, a scope."""

    members: tuple[CompiledCondition | All | Not, ...]

    def truth(self, look: Look) -> RowTruth:
        """Kleene's and: one no is no, whatever the others are."""
        undecided: Open | None = None
        for member in self.members:
            answer = member.ask(look) if isinstance(member, CompiledCondition) else member.truth(look)
            if answer is True:
                continue
            if answer is False:
                return False
            more = answer if isinstance(answer, Open) else Open.leaf(answer)
            if undecided is None:
                undecided = more
            else:
                undecided = Open(
                    undecided.leaves + more.leaves,
                    both(undecided.may, more.may),
                    both(undecided.may_at_last, more.may_at_last),
                )
        return True if undecided is None else undecided


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; what is undecided stays so."""

    member: CompiledCondition | All | Not

    def truth(self, look: Look) -> RowTruth:
        answer = self.member.ask(look) if isinstance(self.member, CompiledCondition) else self.member.truth(look)
        if isinstance(answer, bool):
            return not answer
        return (answer if isinstance(answer, Open) else Open.leaf(answer)).opposite()


GROUP_WORDS = {GroupKind.ALL: "All of", GroupKind.ANY: "One of", GroupKind.NONE: "None of"}


@dataclass(frozen=True, slots=True)
class CompiledGroup:
    """A group of a row, and its conditions one by one for the trace, each with its place and the words before it."""

    node: All | Not
    words: str  # "one of (Topic is Refund; Channel is Chat)"
    leaves: tuple[tuple[CompiledCondition, str, str], ...]

    @classmethod
    def of(cls, group: Group, place: str, prefix: str, vocabulary: Vocabulary) -> CompiledGroup:
        prefix += GROUP_WORDS[group.kind] + ": "
        members: list[CompiledCondition | All | Not] = []
        words: list[str] = []
        leaves: list[tuple[CompiledCondition, str, str]] = []
        for number, member in enumerate(group.members, 1):
            if isinstance(member, Group):
                inner = cls.of(member, f"{place}.{number}", prefix, vocabulary)
                members.append(inner.node)
                words.append(inner.words)
                leaves += inner.leaves
            else:
                condition = CompiledCondition.of_clause(member, vocabulary)
                members.append(condition)
                words.append(condition.words)
                leaves.append((condition, place, prefix))
        node: All | Not = All(tuple(members))
        if group.kind is not GroupKind.ALL:
            node = All(tuple(Not(member) for member in members))
        if group.kind is GroupKind.ANY:
            node = Not(node)
        return cls(node, f"{GROUP_WORDS[group.kind].lower()} ({'; '.join(words)})", tuple(leaves))


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    column: str
    name: str  # the field's key
    operator: Operator
    operand: JSON
    field: Field | None
    test: Test | None
    expected: str  # "is any of Gold, Platinum"
    broken: str = ""  # why it can never be decided in this vocabulary
    unknown: WhenUnknown = WhenUnknown.WAIT

    @classmethod
    def of(
        cls,
        name: str,
        found: Field | str,
        cell: Condition,
        vocabulary: Vocabulary,
        unknown: WhenUnknown = WhenUnknown.WAIT,
    ) -> CompiledCondition:
        """The cell on the field called `name`; `found` is that field, or why there is none."""
        operator = OPERATORS[cell.op]
        if isinstance(found, str):
            expected = _expected(operator, cell.value, None, vocabulary)
            return cls(cell.column, name, operator, cell.value, None, None, expected, found)
        expected = _expected(operator, cell.value, found, vocabulary)
        try:
            operand = with_hours(operator, with_lists(cell.value, vocabulary.lists), vocabulary.hours)
            test = operator.test(type_for(operator, found.type, operand), operand)
        except ConditionFailed as error:
            return cls(cell.column, name, operator, cell.value, None, None, expected, str(error))
        if operand == [] and list_names(cell.value):
            # Nothing is in the list: nothing is one of these, everything is none of these, nothing holds all of them.
            test = _constant(operator.when_missing)
        return cls(cell.column, name, operator, operand, found, test, expected, unknown=unknown)

    @classmethod
    def of_clause(cls, clause: Clause, vocabulary: Vocabulary) -> CompiledCondition:
        found = _field_or_reason(clause.field, vocabulary)
        return cls.of(clause.field, found, Condition("", clause.op, clause.value), vocabulary)

    @property
    def words(self) -> str:
        return f"{self.field.label if self.field is not None else self.name} {self.expected}"

    def _unknown(self, reading: Unknown, look: Look) -> Answer:
        """What the condition counts as while nobody can tell the value."""
        if self.unknown is WhenUnknown.WAIT:
            return Undecided(reading.reason, reading.lookup, reading.worth_waiting)
        if self.unknown is WhenUnknown.SKIP:
            return Undecided(reading.reason, reading.lookup, worth_waiting=False)
        if reading.worth_waiting and look.may_wait:
            return Undecided(reading.reason, reading.lookup, worth_waiting=True)
        return self.unknown is WhenUnknown.MATCH

    @property
    def stays_open(self) -> bool:
        """Whether it is undecided, and not by an error, while nobody can tell the value: as `ask`, which says why."""
        sound = self.field is not None and self.test is not None and self.operator.looks is not Looks.CHANGE
        return sound and self.unknown in (WhenUnknown.WAIT, WhenUnknown.SKIP)

    def ask(self, look: Look) -> Answer:
        """Yes, no or undecided. Anything that goes wrong in here makes it undecided, with the reason."""
        found, test = self.field, self.test
        if found is None or test is None:
            return Undecided(self.broken, failed=True)
        try:
            if self.operator.looks is Looks.CHANGE:
                change = look.change(found.state_key)
                return self.operator.when_missing if change is None else test(change)
            reading = look.read(found)
            if isinstance(reading, Known):
                return test(reading.value if self.operator.looks is Looks.VALUE else look.age_s(self.operator, reading))
            if isinstance(reading, Missing):
                return self.operator.when_missing
            return self._unknown(reading, look)
        except RulesError as error:
            return Undecided(f"{found.label}: {error}", failed=True)
        except Exception as error:
            # A fault of ours in one comparison must not look like "no match" to anybody, nor stop the other rows.
            return Undecided(f"{found.label}: {type(error).__name__}: {cut(str(error))}", failed=True)


@dataclass(frozen=True, slots=True)
class CompiledRow:
    key: str
    row: Row
    number: int
    conditions: tuple[CompiledCondition, ...]
    groups: tuple[CompiledGroup, ...]
    all: All

    @classmethod
    def of(
        cls, key: str, row: Row, number: int, conditions: tuple[CompiledCondition, ...], vocabulary: Vocabulary
    ) -> CompiledRow:
        groups = tuple(CompiledGroup.of(group, str(place), "", vocabulary) for place, group in enumerate(row.groups, 1))
        return cls(key, row, number, conditions, groups, All((*conditions, *(group.node for group in groups))))

    def truth(self, look: Look) -> RowTruth:
        return self.all.truth(look)


@dataclass(frozen=True, slots=True)
class CompiledTable:
    entry: Entry
    order: int
    table: Table
    rows: tuple[CompiledRow, ...]
    otherwise_key: str  # "" when there is none
    actions: Mapping[str, str]  # step column -> action
    triggers: tuple[tuple[frozenset[EventKind], Matches], ...]
    kinds: frozenset[EventKind]
    always: frozenset[str]  # the kinds of event that make it run whatever else there is to them
    keys: frozenset[str]
    scope: CompiledGroup | None
    stops: frozenset[str]  # keys of the rows that end the list
    #: Made when first needed, and the same in every decision: steps planned ahead by row key, code for the rows.
    steps: dict[str, RowSteps] = field(default_factory=dict, repr=False, compare=False)
    #: By the place of the row, and last for the otherwise row: its key, and what it does when that is one thing only.
    ready: list[Ready | None] = field(default_factory=list, repr=False, compare=False)
    made: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entry: Entry, order: int, table: Table, vocabulary: Vocabulary) -> CompiledTable:
        names = {column.id: column.field for column in table.columns}
        found = {id: _field_or_reason(name, vocabulary) for id, name in names.items()}
        unknown = {column.id: column.unknown for column in table.columns}
        rows = tuple(
            CompiledRow.of(
                f"{entry.code}/{row.id}",
                row,
                number,
                tuple(
                    CompiledCondition.of(names[cell.column], found[cell.column], cell, vocabulary, unknown[cell.column])
                    for cell in row.conditions
                ),
                vocabulary,
            )
            for number, row in enumerate(table.rows, 1)
        )
        triggers = []
        for trigger in table.triggers:
            record = TRIGGERS[trigger.on]
            try:
                triggers.append((record.kinds, record.matcher(trigger.params, vocabulary)))
            except UnknownField:
                # A field that is gone cannot change any more, so this trigger cannot come again.
                continue
        otherwise_key = f"{entry.code}/{OTHERWISE}" if table.otherwise is not None else ""
        return cls(
            entry,
            order,
            table,
            rows,
            otherwise_key,
            {step.id: step.do for step in table.steps},
            tuple(triggers),
            frozenset(chain.from_iterable(kinds for kinds, _ in triggers)),
            frozenset(kind.value for kinds, matches in triggers if matches is every_event for kind in kinds)
            - {kind.value for kind in _BY_NAME},
            frozenset(row.key for row in rows) | ({otherwise_key} if otherwise_key else frozenset()),
            CompiledGroup.of(Group(GroupKind.ALL, table.scope), "", "", vocabulary) if table.scope else None,
            frozenset(row.key for row in rows if row.row.stop),
            ready=[None] * (len(rows) + 1),
        )

    def reads(self) -> frozenset[str]:
        """The state fields that its conditions and its scope look at."""
        known = self.made.get("reads")
        if known is None:
            leaves = [one for row in self.rows for one in row.conditions]
            groups = [group for row in self.rows for group in row.groups] + ([self.scope] if self.scope else [])
            leaves += [one for group in groups for one, _, _ in group.leaves]
            known = self.made["reads"] = frozenset(
                key
                for one in leaves
                if one.field is not None and one.operator.looks is not Looks.CHANGE
                for key in one.field.reads
            )
        return cast("frozenset[str]", known)

    def covers(self, look: Look) -> bool:
        """Whether the item, as earlier rules left it, is in the table's scope. Raises `ConditionFailed`."""
        if self.scope is None:
            return True
        truth = self.scope.node.truth(look)
        if isinstance(truth, bool):
            return truth
        raise ConditionFailed(f"scope: {truth.leaves[0].reason}")

    def runs_on(self, facts: Facts) -> bool:
        """Whether this event on this kind of item makes the table run."""
        if self.table.kind not in ("any", facts.item.get("kind")):
            return False
        kind = facts.event.get("kind")
        if kind in self.always:
            return True
        payload = facts.event.get("payload")
        if kind in _BY_NAME and isinstance(payload, Mapping) and payload.get("entry") != self.entry.code:
            return False  # the timer of another table, or another one was run by hand
        return any(kind in kinds and matches(facts) for kinds, matches in self.triggers)


#: Events that name the one table that they are for.
_BY_NAME = frozenset({EventKind.TIMER, EventKind.RUN_NOW})


def _field_or_reason(name: str, vocabulary: Vocabulary) -> Field | str:
    try:
        return field_by_key(name, vocabulary)
    except UnknownField as error:
        return str(error)


def _constant(answer: bool) -> Test:
    return lambda _value: answer


def _expected(operator: Operator, operand: JSON, found: Field | None, vocabulary: Vocabulary) -> str:
    """The operator's sentence with the operand in words; no more of a long list than a trace shows."""
    values = operand if isinstance(operand, (list, tuple)) else (operand,)
    plain = found is None or operator.takes is not Takes.VALUES
    words = []
    for one in values[:MAX_SHOWN_CHARS]:
        if named := list_names(one):
            listed = vocabulary.lists.get(named[0])
            words.append(f"the list {listed.label if listed else named[0]}")
        elif operator.takes is Takes.CALENDAR:
            words.append(vocabulary.calendars.get(str(one), str(one)))
        else:
            words.append(str(one) if plain or found is None else shown(found, one))
    return cut(operator.sentence.replace("{value}", (" and " if operator.key == "between" else ", ").join(words)))


def because(row: CompiledRow) -> str:
    """What held, as a sentence: "Channel is E-mail, Topic is Refund"."""
    parts = [condition.words for condition in row.conditions] + [group.words for group in row.groups]
    return cut("; ".join(parts)) if parts else "The row has no conditions"
