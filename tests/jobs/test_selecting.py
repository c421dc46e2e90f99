"""SQL says the same as the engine about which items a condition holds for, or leaves it to the engine.

The engine's own answer is taken with `CompiledRow.truth` and its parts on the items as they are read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select

from jobs.selecting import MOST_CONDITIONS, MOST_VALUES, Selecting
from rules.asking import Grade
from rules.compiled import All, CompiledCondition, CompiledTable, Not
from rules.decision import Entry
from rules.errors import OperandRefused
from rules.fields import field
from rules.look import Look
from rules.operators import OPERATORS, clean_operand, for_values, operators_for, type_for
from rules.parse import parse_table
from rules.table import Clause, GroupKind, WhenUnknown
from tests.builders import MORNING, a_desk
from tests.environment.selection import examples
from tests.jobs.selection import (
    CARD_ROWS,
    CLOCK_ROWS,
    CUSTOM,
    DESK,
    HOUR,
    ITEM_ROWS,
    compared,
    facts,
    group,
    holds,
    picked,
    put,
)
from tickets.db import Database, table_of
from tickets.item import FieldType
from tickets.sla import Target
from tickets.tables import Person, PersonAddress
from tickets.values import JSON, iso


@pytest.fixture
def desk(database: Database) -> Database:
    a_desk(database)
    with database.write() as connection:
        people = [(7, "Camille", "fr"), (8, "", ""), (9, " Réne  K", "pl")]
        connection.execute(
            insert(table_of(Person)),
            [{"id": id, "name": name, "language": language, "created_at": MORNING} for id, name, language in people],
        )
        addresses = [(7, "email", "camille@example.com"), (7, "email", "c@old.test"), (9, "phone", "+48 1")]
        connection.execute(
            insert(table_of(PersonAddress)),
            [{"person_id": id, "kind": kind, "address": at, "verified": False} for id, kind, at in addresses],
        )
    return database


# Each operator on each sort of stored value ---------------------------------------------------------------------------

#: Items by a letter. What a field does not hold is missing.
WAITING = MORNING - 72 * HOUR
ITEMS: Mapping[str, Mapping[str, Any]] = {
    "a": {
        "subject": "Refund for order 7",
        "status": "open",
        "tags": ["billing", "vip"],
        "customer": 7,
        "published": True,
        "due_at": iso(MORNING - HOUR),
        "status_since": WAITING,
        "unanswered_since": MORNING,
        "cards": {"crm": ({"tier": "gold", "total": 5, "vip": True, "order": {"id": "a1"}}, ""), "pay": ({}, "")},
        "clocks": {"first_reply": {"due_at": MORNING}, "resolution": {"due_at": MORNING + HOUR}},
        "fields": {
            "topic": "refund",
            "amount": 10,
            "price": "64.90",
            "labels": ["a"],
            "note": "Blue bike",
            "deadline": iso(MORNING + HOUR),
            "vip": True,
            "buyer": 7,
        },
    },
    "b": {
        "subject": "Réfund for order 8",
        "status": "solved",
        "tags": ["Bílling"],
        "published": False,
        "due_at": "2026-11-21T12:00:00+02:00",
        "status_since": WAITING + timedelta(microseconds=1),
        "cards": {"crm": ({"tier": "silver", "total": "many", "vip": False}, ""), "pay": ({"tier": "gold"}, "")},
        "clocks": {
            "first_reply": {"due_at": MORNING + HOUR, "met_at": MORNING - HOUR},
            "resolution": {"left_s": 60, "policy": "gold"},
        },
        "fields": {
            "topic": "invoice",
            "amount": 10.5,
            "price": "1e3",
            "labels": ["ä"],
            "note": "blúe bike",
            "deadline": "2026-11-22",
            "vip": False,
            "buyer": 8,
        },
    },
    "c": {},
    "d": {
        "subject": " refunded twice",
        "status": "",
        "tags": [],
        # What it still holds is not believed.
        "cards": {"crm": ({"tier": "gold", "total": 5, "vip": True}, "did not answer")},
        "clocks": {"first_reply": {"due_at": MORNING + HOUR, "breached_at": MORNING - HOUR, "met_at": MORNING}},
        "fields": {
            "topic": 5,
            "amount": "9",
            "price": "many",
            "labels": "a",
            "note": 12,
            "deadline": "2026-02-31T00:00:00.000000+00:00",
            "vip": "true",
            "buyer": True,
        },
    },
    "e": {
        "subject": "refunded",
        "status": "Open",
        "tags": ["VIP"],
        "due_at": iso(MORNING),
        "cards": {"crm": ({"tier": ["gold"], "total": 4.5, "vip": "true"}, "")},
        "fields": {
            "topic": "",
            "amount": None,
            "labels": [],
            "note": "bike blue",
            "deadline": iso(MORNING - HOUR),
            "amount_": 1,
        },
    },
}

#: field, operator, value, the items SQL is sure of, those it leaves possible, how good that is.
CASES: list[tuple[str, str, JSON, str, str, Grade]] = [
    ("ticket.status", "is", "open", "a", "a", Grade.EXACT),
    ("ticket.status", "is_not", "open", "bcde", "bcde", Grade.EXACT),
    ("ticket.status", "any_of", ["open", "solved"], "ab", "ab", Grade.EXACT),
    ("ticket.status", "none_of", ["open", "solved"], "cde", "cde", Grade.EXACT),
    ("ticket.status", "empty", None, "cd", "cd", Grade.EXACT),
    ("ticket.status", "not_empty", None, "abe", "abe", Grade.EXACT),
    ("ticket.status", "any_of", {"list": "NOBODY"}, "", "", Grade.EXACT),
    ("ticket.status", "none_of", {"list": "NOBODY"}, "abcde", "abcde", Grade.EXACT),
    ("ticket.kind", "is", "ticket", "abcde", "abcde", Grade.EXACT),
    ("ticket.customer", "is", 7, "a", "a", Grade.EXACT),
    ("ticket.customer", "is_not", 7, "bcde", "bcde", Grade.EXACT),
    ("ticket.customer", "is", 2**40, "", "", Grade.EXACT),
    ("ticket.published", "is", True, "a", "a", Grade.EXACT),
    ("ticket.published", "is", False, "b", "b", Grade.EXACT),
    ("ticket.published", "is_not", True, "bcde", "bcde", Grade.EXACT),
    ("ticket.status_since", "older_than", "72 h", "a", "a", Grade.EXACT),
    ("ticket.status_since", "newer_than", "72 h", "bcde", "bcde", Grade.EXACT),
    ("ticket.status_since", "greater", iso(WAITING), "bcde", "bcde", Grade.EXACT),
    ("ticket.status_since", "less_or_equal", iso(WAITING), "a", "a", Grade.EXACT),
    ("ticket.unanswered_since", "empty", None, "bcde", "bcde", Grade.EXACT),
    ("ticket.created_at", "is", iso(MORNING), "abcde", "abcde", Grade.EXACT),
    # Texts: what is not plain ASCII is left to the engine.
    ("ticket.subject", "is", "REFUNDED", "e", "bde", Grade.SUPERSET),
    ("ticket.subject", "is_not", "refunded", "ac", "abcd", Grade.SUPERSET),
    ("ticket.subject", "starts_with", "Refund", "ae", "abde", Grade.SUPERSET),
    ("ticket.subject", "ends_with", "ed", "e", "bde", Grade.SUPERSET),
    ("ticket.subject", "contains_any", ["refund", "100%"], "", "abde", Grade.SUPERSET),
    ("ticket.subject", "contains_all", ["refund", "order"], "", "abd", Grade.SUPERSET),
    ("ticket.subject", "contains_none", "refund", "", "abcde", Grade.NONE),
    ("ticket.subject", "matches", "^re", "", "abcde", Grade.NONE),
    ("ticket.subject", "empty", None, "c", "c", Grade.EXACT),
    # Sets: one member that is not plain leaves the item to the engine.
    ("ticket.tags", "has_any", ["Vip"], "ae", "abe", Grade.SUPERSET),
    ("ticket.tags", "has_all", ["vip", "billing"], "a", "ab", Grade.SUPERSET),
    ("ticket.tags", "has_none", ["vip"], "cd", "bcd", Grade.SUPERSET),
    ("ticket.tags", "empty", None, "cd", "cd", Grade.EXACT),
    # Moments kept as text: those in another form are left to the engine.
    ("ticket.due_at", "older_than", "1 h", "a", "ab", Grade.SUPERSET),
    ("ticket.due_at", "newer_than", "1 h", "e", "be", Grade.SUPERSET),
    ("ticket.due_at", "greater_or_equal", iso(MORNING), "e", "be", Grade.SUPERSET),
    # The desk's own fields may hold anything.
    ("ticket.fields.topic", "is", "refund", "a", "ad", Grade.SUPERSET),
    ("ticket.fields.topic", "is_not", "refund", "bce", "bcde", Grade.SUPERSET),
    ("ticket.fields.topic", "empty", None, "ce", "ce", Grade.EXACT),
    ("ticket.fields.amount", "is", 10, "a", "a", Grade.SUPERSET),
    ("ticket.fields.amount", "greater", 10, "b", "b", Grade.SUPERSET),
    ("ticket.fields.amount", "less", 10, "d", "d", Grade.SUPERSET),
    ("ticket.fields.amount", "between", [9, 10], "ad", "ad", Grade.SUPERSET),
    ("ticket.fields.price", "less_or_equal", "64.9", "a", "abd", Grade.SUPERSET),
    ("ticket.fields.price", "greater", "0.1000000000000000055", "", "abd", Grade.SUPERSET),
    ("ticket.fields.labels", "has_any", ["A"], "a", "abd", Grade.SUPERSET),
    ("ticket.fields.labels", "has_none", ["a"], "ce", "bcde", Grade.SUPERSET),
    ("ticket.fields.note", "starts_with", "BLUE", "a", "abd", Grade.SUPERSET),
    ("ticket.fields.deadline", "older_than", "1 h", "e", "bde", Grade.SUPERSET),
    ("ticket.fields.vip", "is", True, "a", "ad", Grade.EXACT),
    ("ticket.fields.vip", "is_not", True, "bce", "bcde", Grade.EXACT),
    ("ticket.fields.buyer", "is", 7, "a", "ad", Grade.EXACT),
    # The item's customer, as they are now: the oldest address is the one.
    ("customer.name", "is", "CAMILLE", "a", "a", Grade.SUPERSET),
    ("customer.name", "empty", None, "bcde", "bcde", Grade.EXACT),
    ("customer.language", "is", "fr", "a", "a", Grade.EXACT),
    ("customer.language", "is_not", "fr", "bcde", "bcde", Grade.EXACT),
    ("customer.email", "ends_with", "example.com", "a", "a", Grade.SUPERSET),
    ("customer.email", "ends_with", "old.test", "", "", Grade.SUPERSET),
    # How its service level stands as of now.
    ("sla.policy", "is", "gold", "abd", "abd", Grade.EXACT),
    ("sla.policy", "empty", None, "ce", "ce", Grade.EXACT),
    ("sla.first_reply_state", "is", "breached", "ad", "ad", Grade.EXACT),
    ("sla.first_reply_state", "is", "met", "b", "b", Grade.EXACT),
    ("sla.first_reply_state", "is_not", "breached", "bce", "bce", Grade.EXACT),
    ("sla.resolution_state", "is", "running", "a", "a", Grade.EXACT),
    ("sla.resolution_state", "is", "paused", "b", "b", Grade.EXACT),
    ("sla.resolution_due", "newer_than", "1 h", "a", "a", Grade.EXACT),
    ("sla.resolution_due", "empty", None, "bcde", "bcde", Grade.EXACT),
    ("sla.first_reply_due", "less_or_equal", iso(MORNING), "a", "a", Grade.EXACT),
    # Cards may hold anything; one whose facts could not be had is unknown.
    ("context.crm.tier", "is", "gold", "a", "ade", Grade.SUPERSET),
    ("context.crm.tier", "is_not", "gold", "bc", "bcde", Grade.SUPERSET),
    ("context.crm.tier", "empty", None, "c", "cd", Grade.EXACT),
    ("context.crm.total", "greater", 4, "ae", "abde", Grade.SUPERSET),
    ("context.crm.vip", "is", True, "a", "ade", Grade.EXACT),
    ("context.crm.order.id", "is", "A1", "a", "ad", Grade.SUPERSET),
    ("context.crm.tier", "any_of", {"list": "NOBODY"}, "", "d", Grade.EXACT),
    ("context.pay.tier", "is", "gold", "b", "b", Grade.SUPERSET),
    # What stands elsewhere, or is of an event, is not asked.
    ("customer.identity", "is", "claimed", "", "abcde", Grade.NONE),
    ("message.text", "contains_any", "refund", "", "abcde", Grade.NONE),
    ("erp.find_party.tier", "is", "gold", "", "abcde", Grade.NONE),
    ("context.crm.orders.0.id", "is", "a1", "", "abcde", Grade.NONE),
    ("ticket.status", "changed", None, "", "abcde", Grade.NONE),
    ("ticket.created_at", "in_working_time", "office", "", "abcde", Grade.NONE),
]


@pytest.fixture
def letters(desk: Database) -> Mapping[str, int]:
    with desk.write() as connection:
        return {letter: put(connection, **given) for letter, given in ITEMS.items()}


@pytest.mark.slow
def test_a_condition_finds_what_the_engine_finds_or_leaves_it_possible(
    desk: Database, letters: Mapping[str, int]
) -> None:
    wrong = []
    with desk.read() as connection:
        seen = {one: facts(connection, one) for one in letters.values()}
        for name, op, value, sure, may, grade in CASES:
            found = compared(connection, list(letters.values()), node := holds(name, op, value), seen)
            sides = tuple("".join(x for x in letters if letters[x] in side) for side in picked(connection, found))
            if (*sides, found.grade) != (sure, may, grade):
                wrong.append((name, op, value, *sides, found.grade.value))
            compared(connection, list(letters.values()), Not(node), seen)
    assert not wrong


@pytest.mark.parametrize(("unknown", "exact"), [("wait", True), ("skip", True), ("match", False), ("no_match", False)])
def test_a_column_that_counts_a_card_in_error_as_something_is_left_to_the_engine(
    desk: Database, letters: Mapping[str, int], unknown: str, exact: bool
) -> None:
    node = replace(holds("context.crm.vip", "is", True), unknown=WhenUnknown(unknown))
    with desk.read() as connection:
        found = compared(connection, list(letters.values()), node)
        compared(connection, list(letters.values()), Not(node))
        assert picked(connection, found) == ({letters["a"]}, {letters[one] for one in "ade"})
    assert (found.grade is Grade.EXACT) is exact


def test_without_a_policy_the_clocks_that_are_left_of_one_are_not_asked() -> None:
    assert field("sla.policy", DESK).stored is not None
    assert field("sla.policy", replace(DESK, slas={})).stored is None


def test_every_operator_is_asked_about_or_said_not_to_be() -> None:
    shown = {for_values(OPERATORS[op], value).key for _, op, value, *_ in CASES}
    silent = {key for key, one in OPERATORS.items() if one.sql.shape is None}
    assert set(OPERATORS) - shown <= silent


# Any condition, group and table on any items --------------------------------------------------------------------------

_WORDS = (
    "refund|Refund!|REFUNDED|réfund|  refund|re  fund|a refund, twice|100%_x|\ufb01nd|STRA\u1e9eE|\u212aelvin|10|9.5|-3"
)
_DATES = "2026-11-21T10:30:00.000000+01:00|2026-02-29T00:00:00.000000+00:00|2026-11-21T24:00:00.000000+00:00|2026-11-21"
_MORE = ("\u0661", "open", "a\tb", "x" * 300, "", "Überweisung", "\u2003", iso(MORNING))
TEXTS = st.sampled_from([*_WORDS.split("|"), *_DATES.split("|"), *_MORE])
MOMENTS = st.integers(-3, 3).map(lambda hours: MORNING + hours * HOUR)
NUMBERS = st.sampled_from([0, 1, 9, 10, 10.5, -3, 0.1, 0.30000000000000004, 1e20, 2**53 + 1, -(2**63), 1e-20, 7, 1e300])
VALUES: st.SearchStrategy[JSON] = st.one_of(
    TEXTS,
    NUMBERS,
    MOMENTS.map(iso),
    st.booleans(),
    st.none(),
    st.lists(st.one_of(TEXTS, NUMBERS), max_size=3),
    st.just({}),
)
MAYBE_MOMENT = st.none() | MOMENTS
STORED = st.fixed_dictionaries(
    {
        "subject": st.none() | TEXTS,
        "status": st.sampled_from([None, "", "open", "solved", "Open"]),
        "team": st.sampled_from([None, "billing", "first_line"]),
        "customer": st.sampled_from([None, 7, 8, 9]),
        "published": st.sampled_from([None, True, False]),
        "tags": st.none() | st.lists(TEXTS, max_size=3),
        "due_at": st.none() | MOMENTS.map(iso) | TEXTS.map(lambda text: text[:40]),
        "created_at": MOMENTS,
        "status_since": MOMENTS,
        "modified_at": MOMENTS,
        "unanswered_since": MAYBE_MOMENT,
        "opened_at": MAYBE_MOMENT,
        "cards": st.dictionaries(
            st.sampled_from(["crm", "pay"]),
            st.tuples(
                st.dictionaries(st.sampled_from(["tier", "total", "vip"]), VALUES, max_size=3) | VALUES,
                st.sampled_from(["", "", "did not answer"]),
            ),
            max_size=2,
        ),
        "clocks": st.dictionaries(
            st.sampled_from(Target).map(str),
            st.fixed_dictionaries(dict.fromkeys(("due_at", "met_at", "breached_at"), MAYBE_MOMENT)),
            max_size=2,
        ),
        "fields": st.dictionaries(st.sampled_from([*CUSTOM, "other"]), VALUES, max_size=5),
    }
)
NAMES = [
    *(
        "subject",
        "status",
        "team",
        "customer",
        "published",
        "tags",
        "due_at",
        "created_at",
        "status_since",
        "last_modified",
    ),
    *("unanswered_since", "id", "kind", *(f"fields.{key}" for key in CUSTOM)),
]
OPERANDS: Mapping[FieldType, st.SearchStrategy[JSON]] = {
    FieldType.NUMBER: NUMBERS,
    FieldType.MONEY: st.sampled_from(["10", "9.5", "64.90", "0.1000000000000000055", "-3"]),
    FieldType.TIME: MOMENTS.map(iso),
    FieldType.BOOL: st.booleans(),
    FieldType.PERSON: st.sampled_from([7, 8, 0, 2**40]),
}
DURATIONS = st.sampled_from(["1 h", "2 h", "90 min", "1 d"])


@st.composite
def conditions(draw: st.DrawFn) -> CompiledCondition:
    """A condition that a table of this desk may hold, on an item's field or on one that is missing or unknown."""
    elsewhere = ("customer.name", "customer.email", "customer.language", "erp.find_party.tier")
    cards = tuple(f"context.{path}" for path in ("crm.tier", "crm.total", "crm.vip", "pay.tier", "payments.duplicate"))
    levels = ("sla.policy", "sla.first_reply_due", "sla.first_reply_state", "sla.resolution_state")
    names = [*(f"ticket.{name}" for name in NAMES), *elsewhere, *cards, *levels]
    own = field(draw(st.sampled_from(names)), DESK)
    operator = draw(st.sampled_from(operators_for(own.type, outside=own.outside)))
    if operator.key in ("in_working_time", "out_of_working_time"):
        return CompiledCondition.of_clause(Clause(own.key, operator.key, "office"), DESK)
    values = DURATIONS if operator.takes == "duration" else OPERANDS.get(own.type or FieldType.TEXT, TEXTS)
    operand: JSON = None
    if operator.operand == "one":
        operand = draw(values)
    elif operator.operand in ("many", "pair"):
        operand = draw(st.lists(values, min_size=2, max_size=2 if operator.operand == "pair" else 3))
        if operator.operand == "many" and own.type is not None and draw(st.booleans()):
            named = draw(st.sampled_from(["MONEY", "NOBODY"]))
            if own.type in (FieldType.TEXT, FieldType.LONG_TEXT, FieldType.CHOICE, FieldType.CHOICES):
                return CompiledCondition.of_clause(Clause(own.key, operator.key, [{"list": named}]), DESK)
    try:
        cleaned = clean_operand(operator, type_for(operator, own.type, operand), operand)
    except OperandRefused:
        assume(False)
        raise
    return CompiledCondition.of_clause(Clause(own.key, operator.key, cleaned), DESK)


GROUPS: st.SearchStrategy[CompiledCondition | All | Not] = st.recursive(
    conditions(),
    lambda members: st.builds(
        lambda kind, inner: group(kind, *inner), st.sampled_from(GroupKind), st.lists(members, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def test_whatever_is_asked_of_whatever_items_sql_contradicts_the_engine_nowhere(desk: Database) -> None:
    grades: set[Grade] = set()

    @settings(examples(80), suppress_health_check=list(HealthCheck))
    @given(st.lists(STORED, min_size=1, max_size=4), GROUPS)
    def contradicts_nowhere(items: list[dict[str, Any]], node: CompiledCondition | All | Not) -> None:
        with desk.write() as connection:
            for one in (CARD_ROWS, CLOCK_ROWS, ITEM_ROWS):
                connection.execute(delete(one))
            grades.add(compared(connection, [put(connection, **one) for one in items], node).grade)

    # Chance alone may leave one out of the first examples.
    for _ in range(10):
        contradicts_nowhere()
        if grades == set(Grade):
            break
    assert grades == set(Grade)


COLUMNS = [{"id": "c1", "field": "ticket.status"}, {"id": "c2", "field": "ticket.fields.amount", "op": "greater"}]
ROWS = [
    {"id": "r1", "if": {"c1": "open", "c2": 9}, "then": {"s1": {"tags": ["x"]}}},
    {
        "id": "r2",
        "if": {"c1": "solved"},
        "groups": [{"none": [{"field": "ticket.tags", "value": "billing"}]}],
        "then": {"s1": {"tags": ["y"]}},
    },
]
TABLE: dict[str, Any] = {
    "code": "A31",
    "name": "Narrow",
    "triggers": [{"on": "schedule", "cron": "0 9 * * *"}],
    "columns": COLUMNS,
    "steps": [{"id": "s1", "do": "add_tags"}],
    "rows": ROWS,
}


def acting(connection: Connection, letters: Mapping[str, int], **table: Any) -> tuple[str, Grade]:
    """The items that the table may do something on, by letter, and the grade; the engine agrees."""
    parsed = parse_table({**TABLE, **table}, DESK)
    compiled = CompiledTable.of(Entry("A31", "Narrow", 1, 1, True, parsed), 0, parsed, DESK)
    found = Selecting(connection.dialect.name, MORNING).table(compiled)
    _, may = picked(connection, found)
    for item_id in letters.values():
        look = Look(facts(connection, item_id), {})
        inside = compiled.scope is None or compiled.scope.node.truth(look) is not False
        acts = inside and (bool(compiled.otherwise_key) or any(row.truth(look) is not False for row in compiled.rows))
        assert not acts or item_id in may
    return "".join(letter for letter in letters if letters[letter] in may), found.grade


def test_a_table_may_act_where_its_scope_and_one_of_its_rows_may_hold(
    desk: Database, letters: Mapping[str, int]
) -> None:
    with desk.read() as connection:
        assert acting(connection, letters) == ("ab", Grade.SUPERSET)
        assert acting(connection, letters, rows=ROWS[:1]) == ("a", Grade.SUPERSET)
        scope = [{"field": "ticket.customer", "op": "empty"}]
        assert acting(connection, letters, scope=scope) == ("b", Grade.SUPERSET)
        # With an otherwise row anything inside the scope may be acted on.
        otherwise = {"then": {"s1": {"tags": ["z"]}}}
        assert acting(connection, letters, otherwise=otherwise) == ("abcde", Grade.EXACT)
        assert acting(connection, letters, otherwise=otherwise, scope=scope) == ("bcde", Grade.EXACT)


def test_a_table_larger_than_one_statement_takes_is_narrowed_by_its_scope_alone(
    desk: Database, letters: Mapping[str, int]
) -> None:
    rows = [{"id": f"r{n}", "if": {"c1": "solved"}, "then": {"s1": {"tags": ["x"]}}} for n in range(MOST_CONDITIONS)]
    scope = [{"field": "ticket.customer", "op": "empty"}]
    with desk.read() as connection:
        assert acting(connection, letters, rows=rows) == ("b", Grade.EXACT)
        assert acting(connection, letters, rows=rows, scope=scope) == ("bcde", Grade.SUPERSET)
        assert acting(connection, letters, rows=[*rows, {**rows[0], "id": "more"}]) == ("abcde", Grade.NONE)


@pytest.mark.parametrize(
    ("name", "op", "value"),
    [
        pytest.param("ticket.fields.deadline", "older_than", "72 h", marks=pytest.mark.slow),
        pytest.param("context.crm.tier", "is_not", "gold", marks=pytest.mark.slow),
        pytest.param("sla.first_reply_state", "is_not", "breached", marks=pytest.mark.slow),
        ("ticket.fields.labels", "has_none", [str(n) for n in range(MOST_VALUES // MOST_CONDITIONS)]),
    ],
)
def test_the_largest_table_that_is_asked_fits_into_one_statement(
    desk: Database, letters: Mapping[str, int], name: str, op: str, value: JSON
) -> None:
    together = group(GroupKind.ANY, *[holds(name, op, value)] * MOST_CONDITIONS)
    with desk.read() as connection:
        may = [Selecting(connection.dialect.name, MORNING).node(one).may for one in (together, holds(name, op, value))]
        many, alone = (set(connection.execute(select(ITEM_ROWS.c.id).where(one)).scalars()) for one in may)
        assert many == alone != set()


def test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out(
    desk: Database, letters: Mapping[str, int]
) -> None:
    lasting = Selecting("sqlite" if desk.is_sqlite else "postgresql")
    assert lasting.node(holds("ticket.status", "is", "open")).grade is Grade.EXACT
    assert lasting.node(holds("ticket.status_since", "greater", iso(WAITING))).grade is Grade.EXACT
    for op in ("older_than", "newer_than"):
        found = lasting.node(holds("ticket.status_since", op, "72 h"))
        with desk.read() as connection:
            # Every item has been in its status since some time: all of them may come to it.
            assert picked(connection, found) == (set(), set(letters.values()))
    # Who writes a customer writes no item of theirs, and who opens an item nothing else of it: nobody looks again.
    assert lasting.node(holds("customer.language", "is", "fr")).grade is Grade.NONE
    assert replace(lasting, now=MORNING).node(holds("customer.language", "is", "fr")).grade is Grade.EXACT
    # A card, and a policy that changes, are no write to the item either.
    for name, value in (("context.crm.tier", "gold"), ("sla.policy", "gold"), ("sla.first_reply_state", "met")):
        assert lasting.node(holds(name, "is", value)).grade is Grade.NONE
        assert replace(lasting, now=MORNING).node(holds(name, "is", value)).grade is not Grade.NONE
    assert lasting.node(holds("ticket.opened_at", "empty")).grade is Grade.NONE
    assert replace(lasting, now=MORNING).node(holds("ticket.opened_at", "empty")).grade is Grade.EXACT
