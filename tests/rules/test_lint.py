"""Each check finds its bad table and leaves its good twin alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.lint import CHECKS, lint
from rules.vocabulary import TemplateText
from tests.rules.desk import DESK, a_table, decided, some_facts, tagging

COLUMNS = [
    {"id": "ch", "field": "ticket.channel"},
    {"id": "tags", "field": "ticket.tags"},
    {"id": "amount", "field": "ticket.fields.amount", "op": "greater"},
    {"id": "text", "field": "message.text"},
    {"id": "topic", "field": "ticket.fields.topic"},
    {"id": "subject", "field": "ticket.subject"},
    {"id": "due", "field": "ticket.due_at"},
]
#: Columns that no test row fills are not the subject here.
IGNORED = {"empty_column"}


def findings(rows: list[dict[str, Any]], **more: Any) -> list[tuple[str, str, str]]:
    table = a_table(rows, columns=COLUMNS, **more)
    return [(one.code, one.where.get("row", ""), one.message) for one in lint(table, DESK) if one.code not in IGNORED]


def cell(op: str, value: Any = None) -> dict[str, Any]:
    return {"op": op} if value is None else {"op": op, "value": value}


def test_a_row_that_an_earlier_one_always_catches_is_never_reached() -> None:
    rows = [tagging("r1", topic="outage"), tagging("r2", topic="refund"), tagging("r3", topic="refund", ch="email")]
    assert findings(rows) == [
        ("unreachable", "r3", "Never reached. Row 2 already catches every ticket this row would match.")
    ]
    assert findings(rows, hit="every") == []
    assert findings([rows[0], rows[2], rows[1]]) == []


#: earlier cell, later cell: the earlier one holds whenever the later one does
COVERS: list[tuple[str, Any, Any]] = [
    ("ch", cell("any_of", ["email", "form"]), cell("is", "form")),
    ("ch", cell("is_not", "chat"), cell("any_of", ["email", "form"])),
    ("ch", cell("none_of", ["chat"]), cell("none_of", ["chat", "email"])),
    ("ch", cell("not_empty"), cell("is", "email")),
    ("ch", cell("is_not", "email"), cell("empty")),
    ("ch", cell("changed"), cell("changed_to", "email")),
    ("ch", cell("changed_to", ["email", "form"]), cell("changed_to", "form")),
    ("tags", cell("has_any", ["a", "b"]), cell("has_any", ["A"])),
    ("tags", cell("has_none", ["a"]), cell("has_none", ["a", "b"])),
    ("tags", cell("not_empty"), cell("has_any", ["a"])),
    ("tags", cell("has_any", ["a", "c"]), cell("has_all", ["A", "b"])),
    ("tags", cell("has_all", ["a"]), cell("has_all", ["a", "b"])),
    ("text", cell("contains_any", ["refund", "x"]), cell("contains_all", ["a refund", "b"])),
    ("text", cell("contains_all", ["refund", "b"]), cell("contains_all", ["a refund now", "b"])),
    ("subject", cell("ends_with", ["re"]), cell("ends_with", ["x RE", "core"])),
    ("due", cell("older_than", "24 h"), cell("older_than", "2 d")),
    ("due", cell("newer_than", "2 d"), cell("newer_than", "2 h")),
    ("due", cell("not_empty"), cell("newer_than", "2 h")),
    ("amount", cell("greater", 10), cell("greater", 11)),
    ("amount", cell("greater_or_equal", 10), cell("greater", 10)),
    ("amount", cell("greater", 9), cell("between", [10, 20])),
    ("amount", cell("between", [1, 20]), cell("between", [1, 20.0])),
    ("amount", cell("less_or_equal", 5), cell("any_of", [5, 1])),
    ("amount", cell("less", 6), cell("less_or_equal", 5)),
    ("text", cell("contains_any", ["refund"]), cell("contains_any", ["a refund now"])),
    ("text", cell("contains_none", ["refund request"]), cell("contains_none", ["Refund"])),
    ("text", cell("not_empty"), cell("contains_any", ["x"])),
    ("subject", cell("starts_with", ["re"]), cell("starts_with", ["RE: x", "ref"])),
    ("subject", cell("contains_any", ["facture"]), cell("is", "Ma Facturé")),
]
#: twins: here something matches the later cell and not the earlier one
DOES_NOT_COVER: list[tuple[str, Any, Any]] = [
    ("ch", cell("is", "form"), cell("any_of", ["email", "form"])),
    ("ch", cell("is_not", "chat"), cell("any_of", ["email", "chat"])),
    ("ch", cell("none_of", ["chat", "email"]), cell("none_of", ["chat"])),
    ("ch", cell("not_empty"), cell("is_not", "email")),
    ("ch", cell("is", "email"), cell("empty")),
    ("ch", cell("changed_to", "email"), cell("changed")),
    ("ch", cell("changed_from", "email"), cell("changed_to", "email")),
    ("ch", cell("is", "email"), cell("changed_to", "email")),
    ("tags", cell("has_any", ["a"]), cell("has_any", ["a", "b"])),
    ("tags", cell("has_none", ["a", "b"]), cell("has_none", ["a"])),
    ("amount", cell("greater", 11), cell("greater", 10)),
    ("amount", cell("greater", 10), cell("greater_or_equal", 10)),
    ("amount", cell("between", [1, 20]), cell("greater", 1)),
    ("amount", cell("is_not", 3), cell("greater", 2)),
    ("text", cell("contains_any", ["refund"]), cell("contains_any", ["refunds"])),
    ("text", cell("contains_none", ["Refund"]), cell("contains_none", ["refund request"])),
    ("subject", cell("starts_with", ["ref"]), cell("starts_with", ["re"])),
    ("tags", cell("has_all", ["a", "b"]), cell("has_any", ["a", "b"])),
    ("tags", cell("has_any", ["c"]), cell("has_all", ["a", "b"])),
    ("text", cell("contains_all", ["a", "b"]), cell("contains_any", ["a b"])),
    ("subject", cell("matches", "refund"), cell("is", "refund")),
    ("due", cell("older_than", "2 d"), cell("older_than", "24 h")),
    ("due", cell("newer_than", "2 h"), cell("newer_than", "2 d")),
    ("due", cell("older_than", "2 h"), cell("newer_than", "2 h")),
]


@pytest.mark.parametrize(("column", "earlier", "later"), COVERS)
def test_a_wider_cell_covers_a_narrower_one(column: str, earlier: Any, later: Any) -> None:
    found = findings([tagging("r1", **{column: earlier}), tagging("r2", **{column: later})])
    assert [one[:2] for one in found] == [("unreachable", "r2")]


@pytest.mark.parametrize(("column", "earlier", "later"), DOES_NOT_COVER)
def test_a_cell_that_lets_something_through_covers_nothing(column: str, earlier: Any, later: Any) -> None:
    assert findings([tagging("r1", **{column: earlier}), tagging("r2", **{column: later})]) == []


@pytest.mark.parametrize(
    ("first", "second", "covers"),
    [
        ("wait", "match", False),
        ("skip", "match", False),
        ("no_match", "match", False),
        ("match", "match", True),
        ("match", "wait", True),
        ("wait", "no_match", True),
    ],
)
def test_a_cell_that_matches_while_nobody_knows_is_only_covered_by_one_that_does(
    first: str, second: str, covers: bool
) -> None:
    columns = [{"id": id, "field": "erp.find_party.tier", "unknown": how} for id, how in (("a", first), ("b", second))]
    table = a_table([tagging("r1", a="gold"), tagging("r2", b="gold")], columns=columns, wait_s=0)
    assert [one.code for one in lint(table, DESK)] == (["unreachable"] if covers else [])
    # The engine says the same: of an answer that failed the second row knows as little as the first.
    failed = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "No answer"}})
    assert ("A01/r2" in decided(failed, table).fired) is not covers
    # Nobody doubts the ticket's own fields.
    own = [{"id": id, "field": "ticket.channel", "unknown": how} for id, how in (("a", first), ("b", second))]
    table = a_table([tagging("r1", a="email"), tagging("r2", b="email")], columns=own)
    assert [one.code for one in lint(table, DESK)] == ["unreachable"]


def test_the_otherwise_row_behind_a_row_without_conditions_is_never_reached() -> None:
    otherwise = {"then": {"s1": {"tags": ["x"]}}}
    assert findings([tagging("r1")], otherwise=otherwise) == [
        ("unreachable", "otherwise", "Never reached. Row 1 has no conditions and matches every ticket.")
    ]
    assert findings([tagging("r1", ch="email")], otherwise=otherwise) == []


def test_a_row_written_twice_is_a_duplicate() -> None:
    rows = [tagging("r1", "x", ch="email"), tagging("r2", "x", ch="email"), tagging("r3", "y", ch="chat")]
    assert findings(rows) == [("duplicate", "r2", "Says the same as row 1.")]
    assert findings(rows, hit="every") == [("duplicate", "r2", "Says the same as row 1.")]


STEPS = [
    {"id": "team", "do": "assign_team"},
    {"id": "field", "do": "set_field"},
    {"id": "add", "do": "add_tags"},
    {"id": "remove", "do": "remove_tags"},
    {"id": "who", "do": "add_assignee"},
    {"id": "only", "do": "assign"},
]


@pytest.mark.parametrize(
    ("steps", "column", "message"),
    [
        (
            {"team": {"team": "billing"}, "field": {"field": "team", "value": "platform"}},
            "field",
            "Team is written by an earlier step of this row and then overwritten here.",
        ),
        ({"add": {"tags": ["a", "b"]}, "remove": {"tags": ["b"]}}, "remove", "Tags: this row adds and removes b."),
        (
            {"who": {"users": ["ana"]}, "only": {"users": ["ion"]}},
            "only",
            "Assignees is written by an earlier step of this row and then overwritten here.",
        ),
    ],
)
def test_steps_of_one_row_that_undo_each_other_are_a_contradiction(
    steps: dict[str, Any], column: str, message: str
) -> None:
    table = a_table([{"id": "r1", "then": steps}], columns=[], steps=STEPS)
    found = [one for one in lint(table, DESK) if one.code == "contradiction"]
    assert [(one.where, one.message) for one in found] == [({"row": "r1", "column": column}, message)]


def test_steps_that_agree_are_no_contradiction() -> None:
    steps = {
        "team": {"team": "billing"},
        "field": {"field": "team", "value": "billing"},
        "add": {"tags": ["a"]},
        "remove": {"tags": ["b"]},
    }
    table = a_table([{"id": "r1", "then": steps}], columns=[], steps=STEPS)
    assert [one for one in lint(table, DESK) if one.code == "contradiction"] == []


def test_a_column_that_no_row_fills_is_named() -> None:
    columns = [{"id": "c1", "field": "ticket.channel"}, {"id": "c2", "field": "ticket.team"}]
    steps = [{"id": "s1", "do": "add_tags"}, {"id": "s2", "do": "add_note"}]
    table = a_table([tagging("r1", c1="email")], columns=columns, steps=steps)
    assert [(one.where, one.code) for one in lint(table, DESK)] == [
        ({"column": "c2"}, "empty_column"),
        ({"column": "s2"}, "empty_column"),
    ]


def test_a_template_that_is_gone_or_broken_is_named() -> None:
    table = a_table(
        [{"id": "r1", "then": {"s1": {"template": "E01"}}}], columns=[], steps=[{"id": "s1", "do": "post_message"}]
    )
    assert lint(table, DESK) == []
    [gone] = lint(table, replace(DESK, templates={}))
    assert (gone.where, gone.code) == ({"row": "r1", "column": "s1"}, "unknown_template")
    bad = replace(DESK.templates["E01"], texts={"en": TemplateText("Hi {{customer.nmae}}")})
    [broken] = lint(table, replace(DESK, templates={"E01": bad}))
    assert broken.code == "bad_template"
    assert broken.message.startswith("Template E01 (en): There is no placeholder 'customer.nmae'.")


@pytest.mark.slow
def test_a_very_long_table_is_checked_as_far_as_the_bound_and_says_so() -> None:
    rows = [tagging(f"r{at}", amount=at) for at in range(1_000, 0, -1)]
    found = findings(rows)
    assert [(code, message) for code, _, message in found] == [
        ("lint_incomplete", "Rows from 895 on were not compared: the table is too long for that.")
    ]


@pytest.mark.parametrize(("copies", "more"), [(100, False), (101, True)])
def test_more_findings_of_one_kind_than_are_listed_are_said_to_be_more(copies: int, more: bool) -> None:
    rows = [tagging(f"r{number}", "same", ch="email") for number in range(copies + 1)]
    found = findings(rows)
    assert [one[0] for one in found] == ["duplicate"] * 100 + ["lint_incomplete"] * more
    if more:
        assert found[-1][2] == "There is more of the same: of each kind only 100 findings are listed."


def test_the_checks_are_listed() -> None:
    assert list(CHECKS) == [
        "unreachable_rows",
        "duplicate_rows",
        "contradicting_steps",
        "empty_columns",
        "unknown_templates",
    ]
