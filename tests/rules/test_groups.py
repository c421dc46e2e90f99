"""Groups in rows, the scope of a table and named lists: what they mean, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.dump import dump_table
from rules.engine import Entry, compile_ruleset, decide
from rules.explain import explain
from rules.lint import lint
from rules.parse import parse_table, problems
from rules.trace import RowVerdict, Trace, Verdict
from rules.vocabulary import NamedList
from tests.rules.desk import DESK, a_list, a_table, a_table_as_data, decided, some_facts, tagging, tags_of

EMAIL = some_facts({"channel": "email", "subject": "Refund", "brand": "acme"})
IS_EMAIL = {"field": "ticket.channel", "op": "is", "value": "email"}
IS_CHAT = {"field": "ticket.channel", "op": "is", "value": "chat"}
REFUND = {"field": "ticket.subject", "op": "contains_any", "value": ["refund"]}
IS_GOLD = {"field": "erp.find_party.tier", "op": "is", "value": "gold"}
IS_VIP = {"field": "crm.get_account.vip", "op": "is", "value": True}


def grouped(*groups: dict[str, Any], **cells: Any) -> dict[str, Any]:
    return {**tagging("hit", **cells), "groups": list(groups)}


@pytest.mark.parametrize(
    ("group", "holds"),
    [
        ({"any": [IS_CHAT, REFUND]}, True),
        ({"any": [IS_CHAT]}, False),
        ({"all": [IS_EMAIL, REFUND]}, True),
        ({"all": [IS_EMAIL, IS_CHAT]}, False),
        ({"none": [IS_CHAT]}, True),
        ({"none": [IS_CHAT, REFUND]}, False),
        ({"any": [IS_CHAT, {"all": [IS_EMAIL, REFUND]}]}, True),
        ({"none": [{"all": [IS_EMAIL, REFUND]}]}, False),
        ({"none": [{"none": [IS_EMAIL]}]}, True),
    ],
)
def test_a_group_holds_as_its_word_says(group: dict[str, Any], holds: bool) -> None:
    assert tags_of(decided(EMAIL, a_table([grouped(group)]))) == (["hit"] if holds else [])


def test_cells_and_all_groups_of_a_row_must_hold() -> None:
    either = {"any": [IS_CHAT, REFUND]}
    assert tags_of(decided(EMAIL, a_table([grouped(either, c1="email")]))) == ["hit"]
    assert tags_of(decided(EMAIL, a_table([grouped(either, c1="chat")]))) == []
    assert tags_of(decided(EMAIL, a_table([grouped(either, {"none": [IS_EMAIL]})]))) == []


def test_unknown_satisfies_neither_a_group_nor_its_negation() -> None:
    for kind in ("any", "all", "none"):
        decision = decided(EMAIL, a_table([grouped({kind: [IS_GOLD]})], wait_s=0))
        assert (decision.fired, decision.trace.entries[0].rows[0].verdict) == ((), RowVerdict.SKIPPED)


def test_one_certain_member_decides_a_group_without_a_wait() -> None:
    assert decided(EMAIL, a_table([grouped({"any": [IS_GOLD, REFUND]})])).fired == ("A01/hit",)
    for group in ({"none": [IS_GOLD, REFUND]}, {"all": [IS_GOLD, IS_CHAT]}):
        decision = decided(EMAIL, a_table([grouped(group)]))
        assert (decision.fired, decision.wait) == ((), None)


def test_a_group_waits_for_an_answer_although_another_has_failed() -> None:
    failed = replace(EMAIL, lookups={"crm.get_account": {"state": "failed", "reason": "The CRM is down"}})
    waiting = decided(failed, a_table([grouped({"any": [IS_VIP, IS_GOLD]})])).wait
    assert waiting is not None
    assert [key.name for key in waiting.lookups] == ["erp.find_party"]
    # All of both cannot hold any more, whatever the ERP says.
    assert decided(failed, a_table([grouped({"all": [IS_VIP, IS_GOLD]})])).wait is None


def test_the_trace_names_the_group_of_a_condition_and_survives_storage() -> None:
    table = a_table([grouped({"any": [IS_CHAT, {"none": [IS_EMAIL]}]}, c1="email")])
    trace = decided(EMAIL, table).trace
    seen = [(one.label, one.group, one.truth.value) for one in trace.entries[0].rows[0].conditions]
    assert seen == [
        ("Channel", "", "true"),
        ("One of: Channel", "1", "false"),
        ("One of: None of: Channel", "1.2", "true"),
    ]
    assert Trace.from_json(trace.to_json()) == trace
    fired = decided(EMAIL, a_table([grouped({"any": [IS_CHAT, REFUND]}, c1="email")]))
    assert fired.planned[0].reason == "Channel is E-mail; one of (Channel is Chat; Subject contains refund)"


def test_rows_that_differ_in_their_groups_are_neither_the_same_nor_unreachable() -> None:
    rows = [{**grouped({"any": [IS_CHAT]}), "id": "a"}, {**grouped({"any": [REFUND]}), "id": "b"}]
    columns: list[dict[str, Any]] = []
    assert lint(a_table(rows, columns=columns), DESK) == []
    again = {**grouped({"any": [IS_CHAT]}), "id": "c"}
    assert [one.code for one in lint(a_table([*rows, again], columns=columns), DESK)] == ["duplicate"]
    wide = {**tagging("a"), "groups": [{"any": [IS_CHAT]}]}
    narrow = {**tagging("b"), "groups": [{"any": [IS_CHAT]}, {"none": [REFUND]}]}
    assert [one.code for one in lint(a_table([wide, narrow], columns=columns), DESK)] == ["unreachable"]
    assert lint(a_table([narrow, wide], columns=columns), DESK) == []


# Scope ----------------------------------------------------------------------------------------------------------------


def test_a_ticket_out_of_scope_gets_no_row_and_no_otherwise() -> None:
    table = a_table([tagging("r1", c1="chat")], scope=[IS_EMAIL], otherwise={"then": {"s1": {"tags": ["rest"]}}})
    assert tags_of(decided(EMAIL, table)) == ["rest"]
    decision = decided(some_facts({"channel": "chat"}), table)
    assert (decision.fired, decision.trace.entries) == ((), ())


def test_a_scope_sees_what_earlier_entries_staged() -> None:
    first = a_table([tagging("r1", "seen")], code="B")
    second = a_table([tagging("r1", "after")], scope=[{"field": "ticket.tags", "value": ["seen"]}], code="A")
    assert decided(EMAIL, first, second).fired == ("B/r1", "A/r1")
    assert decided(EMAIL, second, first).fired == ("B/r1",)


def test_a_late_answer_decides_nothing_on_a_ticket_that_left_the_scope() -> None:
    table = a_table([grouped({"any": [IS_GOLD]})], scope=[IS_EMAIL])
    answered: dict[str, Any] = {"erp.find_party": {"state": "known", "data": {"tier": "gold"}}}
    rows = frozenset({"A01/hit"})
    assert decide(a_list(table), replace(EMAIL, lookups=answered), only_rows=rows).fired == ("A01/hit",)
    moved = some_facts({"channel": "chat"}, lookups=answered)
    assert decide(a_list(table), moved, only_rows=rows).fired == ()


def test_a_scope_that_cannot_be_decided_parks_its_table_and_is_never_out_of_scope() -> None:
    table = a_table([tagging("r1")], scope=[{"field": "ticket.fields.amount", "op": "greater", "value": 1}])
    decision = decided(some_facts({"fields.amount": "many"}), table)
    assert decision.fired == ()
    assert decision.trace.entries[0].verdict is Verdict.PARKED
    assert decision.notes == ("A01: its trigger could not be decided: scope: Amount: 'many' is not a number",)
    told = explain(Entry("A01", "Triage", 1, 0, table=table), some_facts({"fields.amount": "many"}), DESK)
    assert (told.verdict, told.reason) == (Verdict.PARKED, decision.trace.entries[0].reason)
    assert [row.row for row in told.rows] == ["r1"]


def test_an_explanation_says_that_the_ticket_is_out_of_scope() -> None:
    table = a_table([tagging("r1", c1="email")], scope=[IS_CHAT, {"none": [REFUND]}])
    told = explain(Entry("A01", "Triage", 1, 0, table=table), EMAIL, DESK)
    assert told.verdict is Verdict.NOT_TRIGGERED
    assert told.reason == (
        "The ticket is out of its scope: all of (Channel is Chat; none of (Subject contains refund))."
    )
    assert [row.verdict for row in told.rows] == [RowVerdict.NOT_REACHED]


# Named lists ----------------------------------------------------------------------------------------------------------


def test_a_named_list_stands_for_its_values() -> None:
    table = a_table(
        [tagging("r1", c1={"list": "WRITTEN"}), tagging("r2", c1=["chat", {"list": "WRITTEN"}])], hit="every"
    )
    assert decided(EMAIL, table).fired == ("A01/r1", "A01/r2")
    assert decided(some_facts({"channel": "chat"}), table).fired == ("A01/r2",)
    rows: Any = dump_table(table)["rows"]
    [first, second] = rows
    assert first["if"] == {"c1": {"op": "any_of", "value": {"list": "WRITTEN"}}}
    assert second["if"] == {"c1": {"op": "any_of", "value": ["chat", {"list": "WRITTEN"}]}}
    [seen] = decided(EMAIL, table).trace.entries[0].rows[0].conditions
    assert seen.expected == "is any of the list Written channels"


def test_a_change_of_the_list_changes_the_table_with_the_next_compilation() -> None:
    table = a_table([tagging("r1", c1={"list": "WRITTEN"})])
    desk = replace(DESK, lists={"WRITTEN": NamedList("Written channels", ("chat",))})
    assert decide(compile_ruleset(2, [Entry("A01", "Triage", 1, 0, table=table)], desk), EMAIL).fired == ()


def test_nothing_is_one_of_an_empty_list_and_everything_is_none_of_it() -> None:
    rows = [tagging("in", c1={"list": "NOBODY"}), tagging("out", c1={"op": "none_of", "value": {"list": "NOBODY"}})]
    table = a_table(rows, hit="every")
    assert decided(EMAIL, table).fired == ("A01/out",)
    columns = [{"id": "c1", "field": "ticket.tags", "op": "has_all"}]
    assert decided(some_facts({"tags": ["a"]}), a_table([rows[0]], columns=columns)).fired == ()


def test_a_list_that_is_gone_makes_its_rows_undecidable() -> None:
    entry = Entry("A01", "Triage", 1, 0, table=a_table([tagging("r1", c1={"list": "WRITTEN"})]))
    decision = decide(compile_ruleset(2, [entry], replace(DESK, lists={})), EMAIL)
    assert decision.fired == ()
    assert decision.trace.entries[0].rows[0].reason == "There is no list 'WRITTEN'; none exist yet."


# What is refused ------------------------------------------------------------------------------------------------------

DEEP = {"any": [{"all": [{"none": [IS_CHAT]}]}]}


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"groups": [{"some": [IS_CHAT]}]}, {"group": "1"}, "A group is a mapping with one of all, any, none"),
        ({"groups": [{"any": [], "all": []}]}, {"group": "1"}, "A group is a mapping with one of all, any, none"),
        ({"groups": [{"any": []}]}, {"group": "1"}, "A group needs at least one condition."),
        ({"groups": [{"any": [IS_CHAT] * 101}]}, {"group": "1"}, "A table has at most 100 members, not 101."),
        ({"groups": [{"any": [IS_CHAT]}] * 21}, {}, "A table has at most 20 groups, not 21."),
        ({"groups": [DEEP]}, {"group": "1.1.1"}, "A group in a group of a row holds conditions, no more groups."),
        ({"groups": [{"any": [{"field": "ticket.chanel"}]}]}, {"group": "1.1"}, "There is no field 'ticket.chanel'."),
        ({"groups": [{"any": [{**IS_CHAT, "value": "fax"}]}]}, {"group": "1.1"}, "There is no channel 'fax'."),
        ({"groups": [{"any": [{**IS_CHAT, "op": "less"}]}]}, {"group": "1.1"}, "'is less than' does not fit: Channel"),
        ({"groups": [{"any": [{**IS_CHAT, "not": 1}]}]}, {"group": "1.1"}, "There is no key of a condition 'not'."),
        ({"if": {"c1": {"list": "VIPS"}}}, {"column": "c1"}, "There is no list 'VIPS'."),
        ({"if": {"c1": {"list": "MONEY"}}}, {"column": "c1"}, "The list MONEY: There is no channel 'refund'."),
        ({"if": {"c1": {"op": "empty", "value": {"list": "WRITTEN"}}}}, {"column": "c1"}, "'is empty' takes no list."),
    ],
)
def test_a_group_or_list_that_makes_no_sense_is_refused_at_its_place(
    change: dict[str, Any], where: dict[str, str], message: str
) -> None:
    [problem] = problems(a_table_as_data([{**tagging("r1"), **change}]), DESK)
    assert problem.where == {"row": "r1", **where}
    assert problem.message.startswith(message)


def test_a_scope_cannot_wait() -> None:
    for member in (IS_GOLD, {"any": [IS_GOLD]}, {"field": "context.payments.duplicate", "value": True}):
        [problem] = problems(a_table_as_data(scope=[IS_EMAIL, member]), DESK)
        assert (problem.where, problem.code) == ({"table": "scope", "index": "1"}, "scope_waits")
        assert problem.message.startswith("A scope looks at what is known at once; ")


def test_several_values_of_yes_or_no_are_refused() -> None:
    data = a_table_as_data([tagging("r1", c1=[True, False])], columns=[{"id": "c1", "field": "crm.get_account.vip"}])
    assert [one.message for one in problems(data, DESK)] == [
        "VIP is compared with one value, not with several or a list."
    ]


def test_groups_and_scope_survive_the_way_to_data_and_back() -> None:
    rows = [grouped({"any": [IS_CHAT, {"none": [{"field": "ticket.team", "op": "empty"}]}]}, c1="email")]
    table = a_table(rows, scope=[IS_EMAIL, {"none": [REFUND]}])
    assert parse_table(dump_table(table), DESK) == table
