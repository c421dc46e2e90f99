"""Items as rows of their tables, and what SQL finds of them beside what the engine says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert, select

from jobs.facts import gather
from jobs.selecting import Found, Selecting
from rules.asking import Grade
from rules.compiled import All, CompiledCondition, Not
from rules.facts import Facts
from rules.fields import field
from rules.look import Look
from rules.operands import list_names
from rules.operators import OPERATORS, clean_operand, for_values, type_for
from rules.table import Clause, GroupKind
from rules.truth import RowTruth, Undecided
from rules.vocabulary import NamedList
from tests.builders import ANA, MORNING
from tests.rules.desk import DESK as RULES_DESK
from tickets.db import table_of
from tickets.events import Event, EventKind
from tickets.item import FieldType, StateField
from tickets.store import read_item
from tickets.tables import ContextFact, SlaClockRow, WorkItem
from tickets.values import JSON

CUSTOM = {
    "topic": StateField("topic", "Topic", FieldType.CHOICE, {"refund": "Refund", "invoice": "Invoice"}),
    "amount": StateField("amount", "Amount", FieldType.NUMBER),
    "price": StateField("price", "Price", FieldType.MONEY),
    "labels": StateField("labels", "Labels", FieldType.CHOICES, {"a": "A", "b": "B"}),
    "note": StateField("note", "Note", FieldType.TEXT),
    "story": StateField("story", "Story", FieldType.LONG_TEXT),
    "deadline": StateField("deadline", "Deadline", FieldType.TIME),
    "vip": StateField("vip", "VIP", FieldType.BOOL),
    "buyer": StateField("buyer", "Buyer", FieldType.PERSON),
}

DESK = replace(
    RULES_DESK,
    custom_fields=CUSTOM,
    lists={"MONEY": NamedList("Money words", ("refund", "Überweisung")), "NOBODY": NamedList("Nobody", ())},
)

HOUR = timedelta(hours=1)
ITEM_ROWS = table_of(WorkItem)
CARD_ROWS = table_of(ContextFact)
CLOCK_ROWS = table_of(SlaClockRow)


def put(
    connection: Connection,
    *,
    cards: Mapping[str, tuple[JSON, str]] | None = None,
    clocks: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,
) -> int:
    """An item with these columns, whatever stands in them, its cards (data, error) and its clocks by target."""
    stamps = dict.fromkeys(("created_at", "updated_at", "modified_at", "status_since"), MORNING)
    values: dict[str, Any] = {"kind": "ticket", "fields": {}, "version": 1, "last_seq": 0, **stamps, **given}
    item_id = int(connection.execute(insert(ITEM_ROWS).values(**values).returning(ITEM_ROWS.c.id)).scalar_one())
    for key, (data, error) in (cards or {}).items():
        for old in (True, False):
            # The one it replaced stays, and is not asked.
            body = {"data": {"tier": "gold", "total": 7} if old else data}
            connection.execute(
                insert(CARD_ROWS).values(
                    item_id=item_id,
                    key=key,
                    current=not old,
                    title=key,
                    body=body,
                    source=key,
                    error="" if old else error,
                    fetched_at=MORNING,
                    cause={},
                    created_at=MORNING,
                )
            )
    for target, clock in (clocks or {}).items():
        moments = dict.fromkeys(("due_at", "met_at", "breached_at"))
        row = {"item_id": item_id, "target": target, "policy": "gold", "start": MORNING, **moments, **clock}
        connection.execute(insert(CLOCK_ROWS).values(**row))
    return item_id


def facts(connection: Connection, item_id: int) -> Facts:
    """The item as a table that is run by hand sees it."""
    item = read_item(connection, item_id)
    event = Event(0, item_id, 0, EventKind.RUN_NOW, MORNING, ANA, 0, 0)
    return gather(connection, event, item, (), DESK, MORNING)


def holds(name: str, op: str, value: JSON = None) -> CompiledCondition:
    """The condition as a table of this desk would have it."""
    own = field(name, DESK)
    operator = for_values(OPERATORS[op], value)
    if not list_names(value):
        value = clean_operand(operator, type_for(operator, own.type, value), value)
    return CompiledCondition.of_clause(Clause(name, operator.key, value), DESK)


def group(kind: GroupKind, *members: CompiledCondition | All | Not) -> All | Not:
    """The group as the engine has it."""
    if kind is GroupKind.ALL:
        return All(members)
    none = All(tuple(Not(one) for one in members))
    return none if kind is GroupKind.NONE else Not(none)


def truth(node: CompiledCondition | All | Not, seen: Facts) -> RowTruth | Undecided:
    """What the engine says of these facts."""
    look = Look(seen, {})
    return node.ask(look) if isinstance(node, CompiledCondition) else node.truth(look)


def picked(connection: Connection, found: Found) -> tuple[set[int], set[int]]:
    """The items SQL is sure of, and those it leaves possible; each item is in one of a test and its opposite."""
    everything = set(connection.execute(select(ITEM_ROWS.c.id)).scalars())
    sides = []
    for test in (found.sure, found.may):
        yes = set(connection.execute(select(ITEM_ROWS.c.id).where(test)).scalars())
        no = set(connection.execute(select(ITEM_ROWS.c.id).where(~test)).scalars())
        assert (yes | no, yes & no) == (everything, set()), "neither true nor false for SQL"
        sides.append(yes)
    return sides[0], sides[1]


def compared(
    connection: Connection,
    ids: Sequence[int],
    node: CompiledCondition | All | Not,
    seen: Mapping[int, Facts] | None = None,
) -> Found:
    """SQL's two sides beside the engine's three answers."""
    found = Selecting(connection.dialect.name, MORNING).node(node)
    sure, may = picked(connection, found)
    answers = {one: truth(node, seen[one] if seen else facts(connection, one)) for one in ids}
    true = {one for one, answer in answers.items() if answer is True}
    possible = {one for one, answer in answers.items() if answer is not False}
    assert sure <= true, (answers, sure)
    assert possible <= may, (answers, may)
    if found.grade is Grade.EXACT:
        assert (sure, may) == (true, possible), (answers, sure, may)
    if found.grade is Grade.NONE:
        assert may == set(ids)
    return found
