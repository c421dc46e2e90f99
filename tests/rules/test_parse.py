"""From data to a table: every problem at once, each with its cell; and back without loss."""

from __future__ import annotations

from typing import Any

import pytest

from rules.actions import ACTIONS
from rules.dump import dump_table
from rules.errors import MAX_PROBLEMS, Problem, TableInvalid
from rules.operators import OPERATORS
from rules.parse import MAX_COLUMNS, MAX_ROWS, parse_table, problems
from rules.table import Column, Condition, HitPolicy, Row, Step, StepColumn, Table, Trigger
from rules.triggers import TRIGGERS
from tests.rules.desk import DESK, a_table, a_table_as_data, tagging


def found(**more: Any) -> list[tuple[dict[str, str], str]]:
    return [(dict(one.where), one.message) for one in problems({**a_table_as_data(), **more}, DESK)]


def test_a_table_is_read_from_data() -> None:
    data: dict[str, Any] = {
        "code": "A01",
        "name": "New ticket triage",
        "triggers": [{"on": "created"}, {"on": "message", "by": "customer", "visibility": "public"}],
        "hit": "every",
        "wait_s": 5,
        "columns": [
            {"id": "c1", "field": "ticket.channel", "op": "is"},
            {"id": "c2", "field": "erp.find_party.receivable", "op": "greater"},
        ],
        "steps": [{"id": "s1", "do": "assign_team"}, {"id": "s2", "do": "post_message"}],
        "rows": [
            {
                "id": "r1",
                "note": "VIPs",
                "if": {"c2": {"value": 100}, "c1": {"op": "any_of", "value": ["email", "form"]}},
                "then": {"s2": {"template": "E01"}, "s1": {"team": "billing"}},
            }
        ],
        "otherwise": {"then": {"s1": {"team": "first_line"}}},
    }
    assert parse_table(data, DESK) == Table(
        code="A01",
        name="New ticket triage",
        triggers=(Trigger("created"), Trigger("message", {"by": "customer", "visibility": "public"})),
        hit=HitPolicy.EVERY,
        wait_s=5.0,
        columns=(Column("c1", "ticket.channel", "is"), Column("c2", "erp.find_party.receivable", "greater")),
        steps=(StepColumn("s1", "assign_team"), StepColumn("s2", "post_message")),
        rows=(
            Row(
                "r1",
                (Condition("c1", "any_of", ["email", "form"]), Condition("c2", "greater", "100")),
                (Step("s1", {"team": "billing"}), Step("s2", {"template": "E01", "public": True})),
                "VIPs",
            ),
        ),
        otherwise=(Step("s1", {"team": "first_line"}),),
    )


def test_a_cell_may_be_just_its_value_and_several_values_mean_or() -> None:
    [row] = a_table([tagging("r1", c1=["email", "form"])]).rows
    assert row.conditions == (Condition("c1", "any_of", ["email", "form"]),)
    [row] = a_table([tagging("r1", c1=["email"])]).rows
    assert row.conditions == (Condition("c1", "is", "email"),)


def test_an_empty_cell_is_no_condition() -> None:
    assert a_table([tagging("r1", c1=None)]).rows[0].conditions == ()


def test_what_is_dumped_reads_back_the_same() -> None:
    table = a_table(
        [tagging("r1", c1={"op": "empty"}), {"id": "r2", "note": "all", "if": {"c1": "chat"}}],
        otherwise={"then": {}},
        wait_s="never_without",
        enabled=False,
        note="Written by Ana",
        kind="any",
        triggers=[{"on": "changed", "field": "status", "to": ["solved", "closed"]}],
    )
    assert parse_table(dump_table(table), DESK) == table
    assert dump_table(table)["wait_s"] == "never_without"


#: what is wrong, where, what the sentence says
_ID = "{} needs an id of letters, digits, - and _ (up to 40)."
WRONG: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"code": "a b"}, {"table": "code"}, "The code has up to 40 letters, digits, - and _, and starts with one."),
    ({"name": ""}, {"table": "name"}, "The table needs a name."),
    ({"name": "x" * 201}, {"table": "name"}, "The name has at most 200 characters, not 201."),
    ({"kind": "tikcet"}, {"table": "kind"}, "There is no kind of item 'tikcet'. Did you mean 'ticket'?"),
    ({"hit": "frist"}, {"table": "hit"}, "There is no hit policy 'frist'. Did you mean 'first'?"),
    ({"wait_s": 90_000}, {"table": "wait_s"}, "An event waits from 0 to 86400 seconds, or 'never_without', not 90000."),
    ({"wait_s": "soon"}, {"table": "wait_s"}, "An event waits from 0 to 86400 seconds"),
    ({"enabled": "yes"}, {"table": "enabled"}, "This is yes or no. Write true or false."),
    ({"triggers": []}, {"table": "triggers"}, "Say when the table runs: created, message, changed"),
    ({"triggers": [{}]}, {"table": "triggers", "index": "0"}, "A trigger is a mapping with 'on'"),
    ({"hits": "first"}, {"table": "hits"}, "There is no key of a table 'hits'. Did you mean 'hit'?"),
    ({"rows": []}, {"table": "rows"}, "The table has no rows, so it would never do anything."),
    ({"rows": {"r1": {}}}, {"table": "rows"}, "'rows' is a list, not dict."),
    ({"rows": ["r1"]}, {"table": "rows", "index": "0"}, "A row is a mapping, not str."),
    ({"rows": [{"id": "otherwise"}]}, {"table": "rows", "index": "0"}, "Row 1 needs an id of letters, digits"),
    ({"rows": [{"id": 1}]}, {"table": "rows", "index": "0"}, _ID.format("Row 1") + " Put it in quotes: '1'."),
    ({"rows": [{"id": 1.5}]}, {"table": "rows", "index": "0"}, _ID.format("Row 1") + " Put it in quotes: '1.5'."),
    ({"rows": [{"id": True}]}, {"table": "rows", "index": "0"}, _ID.format("Row 1")),
    (
        {"code": 1},
        {"table": "code"},
        "The code has up to 40 letters, digits, - and _, and starts with one. Put it in quotes: '1'.",
    ),
    (
        {"columns": [{"id": 2, "field": "ticket.channel"}]},
        {"table": "columns", "index": "0"},
        _ID.format("Column 1") + " Put it in quotes: '2'.",
    ),
    ({"rows": [{"id": "r1"}, {"id": "r1"}]}, {"row": "r1"}, "Two rows have the id 'r1'."),
    ({"rows": [{"id": "r1", "when": {}}]}, {"row": "r1"}, "There is no key of a row 'when'. Did you mean 'then'?"),
    (
        {"rows": [tagging("r1", c9="x")]},
        {"row": "r1", "column": "c9"},
        "There is no condition column 'c9'. Allowed: c1.",
    ),
    (
        {"rows": [tagging("r1", c1="emial")]},
        {"row": "r1", "column": "c1"},
        "There is no channel 'emial'. Did you mean 'email'? Allowed: email, form, chat, api.",
    ),
    (
        {"rows": [tagging("r1", c1={"op": "iss", "value": "email"})]},
        {"row": "r1", "column": "c1"},
        "There is no operator 'iss'. Did you mean 'is'?",
    ),
    (
        {"rows": [tagging("r1", c1={"op": "greater", "value": 1})]},
        {"row": "r1", "column": "c1"},
        "'is greater than' does not fit: Channel is a choice field. Allowed: is, is_not, any_of,",
    ),
    ({"rows": [tagging("r1", c1={})]}, {"row": "r1", "column": "c1"}, "'is' needs a value."),
    ({"rows": [tagging("r1", c1={"val": 1})]}, {"row": "r1", "column": "c1"}, "There is no key of a cell 'val'."),
    ({"rows": [tagging("r1", c1={"value": "x\x00"})]}, {"row": "r1", "column": "c1"}, "holds a NUL character"),
    ({"rows": [tagging("r1", c1={"value": "x" * 64_001})]}, {"row": "r1", "column": "c1"}, "at most 64000 characters"),
    (
        {"rows": [{"id": "r1", "then": {"s1": {}}}]},
        {"row": "r1", "column": "s1"},
        "Add tags needs tags.",
    ),
    ({"rows": [{"id": "r1", "then": {"s1": "vip"}}]}, {"row": "r1", "column": "s1"}, "A step's cell is a mapping of"),
    ({"rows": [{"id": "r1", "then": {"s2": {}}}]}, {"row": "r1", "column": "s2"}, "There is no step column 's2'."),
    (
        {"otherwise": {"then": {"s1": {"tag": "x"}}}},
        {"row": "otherwise", "column": "s1"},
        "There is no parameter of 'add_tags' 'tag'. Did you mean 'tags'?",
    ),
    (
        {"columns": [{"id": "c1", "field": "ticket.chanel"}]},
        {"column": "c1"},
        "There is no field 'ticket.chanel'. Did you mean 'ticket.channel'?",
    ),
    ({"columns": [{"id": "c1"}]}, {"column": "c1"}, "A condition column needs the field it looks at."),
    (
        {"columns": [{"id": "c1", "field": "customer.email", "op": "changed"}]},
        {"column": "c1"},
        "'changed' does not fit: Customer's e-mail is no field of the ticket itself",
    ),
    (
        {"steps": [{"id": "s1", "do": "add_tag"}]},
        {"column": "s1"},
        "There is no action 'add_tag'. Did you mean 'add_tags'?",
    ),
    ({"steps": [{"id": "c1", "do": "add_tags"}]}, {"column": "c1"}, "Two columns have the id 'c1'."),
    ({"steps": [{"id": "s1", "do": "__init__"}]}, {"column": "s1"}, "There is no action '__init__'."),
]


@pytest.mark.parametrize(("wrong", "where", "sentence"), WRONG)
def test_a_problem_names_its_cell_and_what_is_allowed(
    wrong: dict[str, Any], where: dict[str, str], sentence: str
) -> None:
    report = found(**wrong)
    assert [message for place, message in report if place == where and sentence in message], report
    with pytest.raises(TableInvalid) as invalid:
        parse_table({**a_table_as_data(), **wrong}, DESK)
    assert len(invalid.value.problems) == len(report)


def test_a_good_table_has_no_problems() -> None:
    assert found() == []


def test_all_problems_come_at_once() -> None:
    report = found(
        hit="frist",
        columns=[{"id": "c1", "field": "ticket.chanel"}, {"id": "c2", "field": "ticket.team"}],
        rows=[tagging("r1", c1="x", c2="biling"), {"id": "r2", "then": {"s1": {"tags": []}}}],
    )
    assert [place for place, _ in report] == [
        {"table": "hit"},
        {"column": "c1"},
        {"row": "r1", "column": "c2"},
        {"row": "r2", "column": "s1"},
    ]


def test_the_number_of_problems_has_a_bound_that_says_so() -> None:
    rows = [tagging(f"r{at}", c1="nope") for at in range(1_000)]
    report = found(rows=rows)
    assert len(report) == MAX_PROBLEMS
    assert report[-1] == ({"table": "rows"}, "There are more than 199 problems.")


def test_rows_and_columns_have_bounds() -> None:
    rows = [{"id": f"r{at}"} for at in range(MAX_ROWS + 1)]
    assert found(rows=rows) == [({"table": "rows"}, "A table has at most 5000 rows, not 5001.")]
    columns = [{"id": f"c{at}", "field": "ticket.channel"} for at in range(MAX_COLUMNS)]
    assert found(columns=columns) == [({"table": "columns"}, "A table has at most 60 columns, not 61.")]
    for more in (columns * 2, columns[:1] * (MAX_COLUMNS + 1)):
        told = [text for _, text in found(columns=more) if text.startswith("A table has at most")]
        assert told == [f"A table has at most 60 columns, not {len(more)}."]


def test_the_exception_shows_the_first_problems_with_their_places() -> None:
    error = TableInvalid([Problem({"row": "r1", "column": "c1"}, "x", f"Wrong {at}.") for at in range(5)])
    assert (
        str(error)
        == "row r1, column c1: Wrong 0.; row r1, column c1: Wrong 1.; row r1, column c1: Wrong 2. (and 2 more)"
    )


@pytest.mark.parametrize("junk", [None, [], "table", 3, {"rows": None}, {"triggers": 3}, {"columns": [[]]}])
def test_junk_is_a_problem_and_never_a_crash(junk: Any) -> None:
    assert problems(junk, DESK) != []


#: What no parameter takes, and what every one of them could be sent by a file.
ODD: list[Any] = [[["x"]], {"x": 1}, [{"x": 1}], [None, "x"], True, 10**30, 1e400, "x" * 70_000, {"list": ["x"]}]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_whatever_a_trigger_is_given_is_refused_in_sentences(trigger: str) -> None:
    for param in TRIGGERS[trigger].params:
        usual = {one.key: "3 h" for one in TRIGGERS[trigger].params if one.required}
        for odd in ODD:
            found = problems(a_table_as_data(triggers=[{"on": trigger, **usual, param.key: odd}]), DESK)
            assert all(one.message.endswith((".", "?")) for one in found), (param.key, odd, found)


@pytest.mark.parametrize("action", ACTIONS)
def test_whatever_a_step_is_given_is_refused_in_sentences(action: str) -> None:
    for param in ACTIONS[action].params:
        for odd in ODD:
            rows = [{"id": "r1", "then": {"s1": {param.key: odd}}}]
            found = problems(a_table_as_data(rows, steps=[{"id": "s1", "do": action}]), DESK)
            assert all(one.message.endswith((".", "?")) for one in found), (param.key, odd, found)


@pytest.mark.parametrize("operator", OPERATORS)
def test_whatever_a_cell_is_given_is_refused_in_sentences(operator: str) -> None:
    for field in (
        "ticket.subject",
        "ticket.tags",
        "ticket.due_at",
        "ticket.fields.amount",
        "customer.email",
        "context.a.b",
    ):
        for odd in ODD:
            rows = [{"id": "r1", "if": {"c1": {"op": operator, "value": odd}}}]
            found = problems(a_table_as_data(rows, columns=[{"id": "c1", "field": field}]), DESK)
            assert all(one.message.endswith((".", "?")) for one in found), (field, odd, found)
