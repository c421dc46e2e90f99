"""How a rule list is decided: order, hit policies, unknowns and waits, held rows, errors, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rules.engine import NO_INDEX, Entry, Skipped, Wait, compile_ruleset, decide
from rules.errors import UnknownEntry
from rules.facts import LookupKey
from rules.parse import parse_table
from rules.trace import MAX_TRACED_ROWS, RowVerdict, Truth, Verdict
from rules.vocabulary import Vocabulary
from tests.rules import desk
from tests.rules.desk import DESK, a_list, a_table, a_table_as_data, decided, some_facts, tagging, tags_of
from tickets.effects import AddTo, PostMessage, SetField

EMAIL = some_facts({"channel": "email"})
PARTY = LookupKey("erp", "find_party", (("email", "camille@example.com"),))
ACCOUNT = LookupKey("crm", "get_account", (("name", "Camille"),))
BY_DEBT = [
    {"id": "debt", "field": "erp.find_party.receivable", "op": "greater"},
    {"id": "topic", "field": "ticket.fields.topic"},
    {"id": "vip", "field": "crm.get_account.vip"},
]


@pytest.fixture(autouse=True, params=[NO_INDEX, 0], ids=["table by table", "by index"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way a list is decided, it comes to the same."""
    monkeypatch.setattr(desk, "index_from", request.param)


def known(**data: Any) -> dict[str, Any]:
    return {"state": "known", "data": data}


# Hit policies ---------------------------------------------------------------------------------------------------------


def test_first_fires_the_first_row_that_matches_only() -> None:
    rows = [tagging("r1", c1="chat"), tagging("r2", c1="email"), tagging("r3", c1=["email", "form"])]
    assert decided(EMAIL, a_table(rows)).fired == ("A01/r2",)


def test_every_fires_all_rows_that_match_in_order() -> None:
    rows = [tagging("r1", c1=["email", "form"]), tagging("r2", c1="chat"), tagging("r3", c1="email")]
    assert decided(EMAIL, a_table(rows, hit="every")).fired == ("A01/r1", "A01/r3")


@pytest.mark.parametrize("hit", ["first", "every"])
def test_otherwise_fires_only_when_no_row_matched(hit: str) -> None:
    table = a_table([tagging("r1", c1="chat")], hit=hit, otherwise={"then": {"s1": {"tags": ["rest"]}}})
    assert decided(EMAIL, table).fired == ("A01/otherwise",)
    assert decided(some_facts({"channel": "chat"}), table).fired == ("A01/r1",)


def test_a_row_without_cells_matches_everything() -> None:
    assert decided(EMAIL, a_table([tagging("r1")])).fired == ("A01/r1",)


def test_all_cells_of_a_row_must_hold() -> None:
    columns = [{"id": "c1", "field": "ticket.channel"}, {"id": "c2", "field": "ticket.tags"}]
    table = a_table([tagging("r1", c1="email", c2="vip")], columns=columns)
    assert decided(EMAIL, table).fired == ()
    assert decided(some_facts({"channel": "email", "tags": ["vip"]}), table).fired == ("A01/r1",)


# Order and staging ----------------------------------------------------------------------------------------------------


def test_entries_run_in_list_order_and_see_what_earlier_ones_staged() -> None:
    first = a_table([tagging("r1", "seen")], code="B")
    second = a_table([tagging("r1", "after", tags="seen")], columns=[{"id": "tags", "field": "ticket.tags"}], code="A")
    assert decided(EMAIL, first, second).fired == ("B/r1", "A/r1")
    assert decided(EMAIL, second, first).fired == ("B/r1",)


def test_a_staged_value_names_the_row_it_came_from() -> None:
    first = a_table([tagging("r1", "seen")], code="B")
    second = a_table([tagging("r1", "after", tags="seen")], columns=[{"id": "tags", "field": "ticket.tags"}], code="A")
    [seen] = decided(EMAIL, first, second).trace.entries[1].rows[0].conditions
    assert (seen.actual, seen.source) == ("seen", "B/r1")


def test_rows_of_one_table_do_not_see_each_others_writes() -> None:
    columns = [{"id": "tags", "field": "ticket.tags", "op": "has_none"}]
    rows = [tagging("r1", "x", tags="x"), tagging("r2", "y", tags="x")]
    assert decided(EMAIL, a_table(rows, columns=columns, hit="every")).fired == ("A01/r1", "A01/r2")


def test_changed_looks_at_the_event_and_not_at_what_rules_stage() -> None:
    writer = a_table(
        [{"id": "r1", "then": {"s1": {"status": "solved"}}}], code="W", steps=[{"id": "s1", "do": "set_status"}]
    )
    reader = a_table([tagging("r1", c={"op": "changed"})], code="R", columns=[{"id": "c", "field": "ticket.status"}])
    assert decided(EMAIL, writer, reader).fired == ("W/r1",)
    moved = some_facts(kind="created", changes={"status": ["snoozed", "open"]})
    assert decided(moved, writer, reader).fired == ("W/r1", "R/r1")


@pytest.mark.parametrize(
    ("cell", "fired"),
    [({"op": "empty"}, ("A/r1", "B/r1")), ({"op": "fresh_within", "value": "1 h"}, ("B/r1",))],
    ids=["empty", "fresh"],
)
def test_a_staged_write_makes_lookups_that_hang_on_it_be_read_again(cell: dict[str, Any], fired: tuple[str]) -> None:
    desk = replace(
        DESK, lookups={"erp.find_party": replace(DESK.lookups["erp.find_party"], bind={"email": "ticket.subject"})}
    )
    columns = [{"id": "c", "field": "erp.find_party.tier"}]
    first = parse_table(a_table_as_data([tagging("r1", c=cell)], columns=columns, code="A"), desk)
    writer = parse_table(
        a_table_as_data(
            [{"id": "r1", "then": {"s1": {"field": "subject", "value": "new"}}}],
            steps=[{"id": "s1", "do": "set_field"}],
            columns=[],
            code="B",
        ),
        desk,
    )
    last = replace(first, code="C")
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate((first, writer, last))]
    decision = decide(compile_ruleset(1, entries, desk), EMAIL)
    assert decision.fired == fired  # no subject: nothing to ask with, so the tier is missing
    assert decision.wait == Wait("C", (LookupKey("erp", "find_party", (("email", "new"),)),), 60.0)


# Planning -----------------------------------------------------------------------------------------------------------


def test_a_fired_row_plans_its_steps_with_a_reason() -> None:
    table = a_table(
        [{"id": "r1", "if": {"c1": ["email", "form"]}, "then": {"s1": {"team": "billing"}, "s2": {"text": "Hi"}}}],
        steps=[{"id": "s1", "do": "assign_team"}, {"id": "s2", "do": "add_note"}],
    )
    first, second = decided(EMAIL, table).planned
    assert (first.row_key, first.code, first.version, first.row, first.step) == ("A01/r1", "A01", 1, "r1", "s1")
    assert (first.action, first.params, first.effects) == (
        "assign_team",
        {"team": "billing"},
        (SetField("team", "billing"),),
    )
    assert first.reason == "Channel is any of E-mail, Web form"
    assert second.effects == (PostMessage("Hi", public=False),)


def test_steps_of_a_row_see_what_the_ones_before_staged() -> None:
    steps = [{"id": f"s{at}", "do": "add_tags"} for at in range(3)]
    then = {"s0": {"tags": ["x"]}, "s1": {"tags": ["y"]}, "s2": {"tags": ["x", "y"]}}
    decision = decided(EMAIL, a_table([{"id": "r1", "then": then}], columns=[], steps=steps))
    assert [one.effects for one in decision.planned] == [(AddTo("tags", ("x",)),), (AddTo("tags", ("y",)),)]
    assert decision.staged == {"tags": ["x", "y"]}


@pytest.mark.parametrize("beside", [(), ("r2",)], ids=["alone", "beside a row with two steps"])
def test_a_step_that_changes_nothing_plans_nothing_but_stands_in_the_trace(beside: tuple[str, ...]) -> None:
    same = {"s1": {"team": "billing"}}
    rows = [{"id": "r1", "then": same}, *({"id": one, "then": {**same, "s2": {"team": "billing"}}} for one in beside)]
    steps = [{"id": one, "do": "assign_team"} for one in ("s1", "s2")]
    table = a_table(rows, steps=steps, columns=[], hit="every")
    decision = decided(some_facts({"team": "billing"}), table)
    fired = tuple(f"A01/{one}" for one in ("r1", *beside))
    assert (decision.planned, decision.fired, decision.staged) == ((), fired, {})
    [step] = decision.trace.entries[0].rows[0].steps
    assert (step.sentence, step.changes, step.effects) == ("Assign team: Billing (nothing to change)", (), 0)


def test_the_trace_of_a_step_shows_before_and_after() -> None:
    table = a_table(
        [{"id": "r1", "then": {"s1": {"priority": "high"}}}], steps=[{"id": "s1", "do": "set_priority"}], columns=[]
    )
    [step] = decided(some_facts({"priority": "normal"}), table).trace.entries[0].rows[0].steps
    assert step.changes == (("priority", "Normal", "High"),)


# Unknown ---------------------------------------------------------------------------------------------------------


def test_a_table_waits_for_the_lookup_that_could_still_change_what_fires() -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT, otherwise={"then": {"s1": {"tags": ["rest"]}}})
    decision = decided(EMAIL, table)
    assert decision.wait == Wait("A01", (PARTY,), 60.0)
    assert (decision.planned, decision.fired, decision.staged) == ((), (), {})
    entry = decision.trace.entries[0]
    assert (entry.verdict, entry.lookups) == (Verdict.WAITING, ("erp.find_party",))
    assert entry.rows[0].conditions[0].reason == "ERP party has not answered yet"


def test_earlier_entries_stand_while_a_later_one_waits_and_it_goes_on_there() -> None:
    first = a_table([tagging("r1", "early")], code="A")
    second = a_table([tagging("r1", "rich", debt="100")], columns=BY_DEBT, code="B")
    third = a_table([tagging("r1", "late")], code="C")
    rules = a_list(first, second, third)
    part = decide(rules, EMAIL)
    assert (part.fired, part.staged) == (("A/r1",), {"tags": ["early"]})
    assert part.wait is not None
    assert part.wait.entry == "B"
    answered = replace(EMAIL, lookups={"erp.find_party": known(receivable="120")})
    rest = decide(rules, answered, after="B", staged=part.staged, held=frozenset(part.fired))
    assert (rest.fired, rest.staged) == (("B/r1", "C/r1"), {"tags": ["early", "late", "rich"]})
    assert rest.planned[0].effects == (AddTo("tags", ("rich",)),)


def test_going_on_at_an_entry_that_is_gone_is_an_error_with_its_name() -> None:
    with pytest.raises(UnknownEntry, match=r"revision 1\) has no entry 'B' to go on at"):
        decide(a_list(a_table()), EMAIL, after="B")


def test_rows_that_are_false_already_cause_no_wait() -> None:
    table = a_table([tagging("r1", debt="100", topic="refund"), tagging("r2")], columns=BY_DEBT)
    assert decided(EMAIL, table).fired == ("A01/r2",)
    assert decided(some_facts({"fields.topic": "refund"}), table).wait == Wait("A01", (PARTY,), 60.0)


def test_rows_behind_a_certain_match_of_a_first_table_cause_no_wait() -> None:
    rows = [tagging("r1"), tagging("r2", debt="100")]
    assert decided(EMAIL, a_table(rows, columns=BY_DEBT)).fired == ("A01/r1",)
    assert decided(EMAIL, a_table(rows, columns=BY_DEBT, hit="every")).wait is not None


def test_no_row_of_a_table_fires_while_it_waits() -> None:
    decision = decided(EMAIL, a_table([tagging("r1"), tagging("r2", debt="100")], columns=BY_DEBT, hit="every"))
    assert decision.wait == Wait("A01", (PARTY,), 60.0)
    assert (decision.planned, decision.fired, decision.staged) == ((), (), {})


def test_a_wait_names_only_the_lookups_of_rows_that_matter() -> None:
    rows = [tagging("r1", debt="100", topic="refund"), tagging("r2", vip=True)]
    assert decided(EMAIL, a_table(rows, columns=BY_DEBT)).wait == Wait("A01", (ACCOUNT,), 60.0)


def test_after_the_wait_unknown_rows_are_skipped_and_the_rest_decide() -> None:
    rows = [tagging("r1", debt="100"), tagging("r2", c1="email")]
    table = a_table(rows, columns=[*BY_DEBT, {"id": "c1", "field": "ticket.channel"}])
    decision = decided(EMAIL, table, wait_over=frozenset({"A01"}))
    assert (decision.fired, decision.wait) == (("A01/r2",), None)
    assert decision.skipped == (Skipped("A01/r1", (PARTY,), "ERP party has not answered yet"),)
    assert decision.notes == ("A01 was decided without erp.find_party",)
    assert decision.trace.entries[0].rows[0].verdict is RowVerdict.SKIPPED


def test_after_the_wait_the_otherwise_row_decides_too() -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT, otherwise={"then": {"s1": {"tags": ["rest"]}}})
    assert decided(EMAIL, table, wait_over=frozenset({"A01"})).fired == ("A01/otherwise",)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a row with two steps"])
@pytest.mark.parametrize("hit", ["first", "every"])
def test_a_table_with_no_wait_decides_at_once(hit: str, beside: bool) -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT, wait_s=0, hit=hit)
    steps = [{"id": one, "do": "assign_team"} for one in ("s1", "s2")]
    both = {"s1": {"team": "billing"}, "s2": {"team": "platform"}}
    other = a_table([{"id": "r1", "then": both}], steps=steps, columns=[], code="B")
    decision = decided(EMAIL, table, *([other] if beside else []))
    assert (decision.wait, decision.fired) == (None, ("B/r1",) if beside else ())
    assert [one.row_key for one in decision.skipped] == ["A01/r1"]


@pytest.mark.parametrize("state", ["failed", "ambiguous"])
def test_a_failed_lookup_is_not_waited_for(state: str) -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT, otherwise={"then": {"s1": {"tags": ["rest"]}}})
    facts = some_facts(lookups={"erp.find_party": {"state": state, "reason": "The ERP did not answer"}})
    decision = decided(facts, table)
    assert (decision.wait, decision.fired) == (None, ("A01/otherwise",))
    assert decision.skipped == (Skipped("A01/r1", (PARTY,), "The ERP did not answer"),)


def test_a_row_that_lacks_a_failed_lookup_does_not_wait_for_the_other() -> None:
    table = a_table([tagging("r1", debt="100", vip=True)], columns=BY_DEBT)
    facts = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "down"}})
    assert decided(facts, table).wait is None


def test_never_without_waits_without_end_and_then_stays_undecided() -> None:
    table = a_table(
        [tagging("r1", debt="100")],
        columns=BY_DEBT,
        wait_s="never_without",
        otherwise={"then": {"s1": {"tags": ["rest"]}}},
    )
    assert decided(EMAIL, table).wait == Wait("A01", (PARTY,), None)
    failed = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "down"}})
    for decision in (decided(failed, table), decided(EMAIL, table, wait_over=frozenset({"A01"}))):
        assert (decision.fired, decision.wait) == ((), None)
        assert decision.notes == ("A01 was not decided: it never goes without erp.find_party",)
        assert decision.trace.entries[0].verdict is Verdict.SKIPPED


def test_unknown_satisfies_neither_a_condition_nor_its_negation() -> None:
    columns = [{"id": "c", "field": "crm.get_account.vip"}]
    rows = [tagging("yes", c={"op": "is", "value": True}), tagging("no", c={"op": "is_not", "value": True})]
    table = a_table(rows, columns=columns, hit="every", wait_s=0)
    assert decided(EMAIL, table).fired == ()
    missing = some_facts(lookups={"crm.get_account": {"state": "missing"}})
    assert decided(missing, table).fired == ("A01/no",)


def test_a_lookup_without_anything_to_ask_with_is_missing_and_not_waited_for() -> None:
    table = a_table([tagging("r1", debt={"op": "empty"})], columns=BY_DEBT)
    assert decided(some_facts(customer={"id": 7, "name": "Camille"}), table).fired == ("A01/r1",)


def test_a_late_answer_decides_the_skipped_rows_again_and_only_those() -> None:
    rows = [tagging("r1", "rich", debt="100"), tagging("r2", "plain")]
    table = a_table(rows, columns=BY_DEBT)
    first = decided(EMAIL, table, wait_over=frozenset({"A01"}))
    assert first.fired == ("A01/r2",)
    answered = some_facts(
        {"channel": "email", "tags": ["plain"]},
        kind="late_answer",
        lookups={"erp.find_party": known(receivable="120")},
    )
    again = decided(answered, table, only_rows=frozenset({"A01/r1"}), held=frozenset(first.fired))
    assert (again.fired, tags_of(again)) == (("A01/r1",), ["plain", "rich"])
    poor = replace(answered, lookups={"erp.find_party": known(receivable="1")})
    assert decided(poor, table, only_rows=frozenset({"A01/r1"})).fired == ()


# Held -----------------------------------------------------------------------------------------------------------


def test_a_held_row_still_matches_and_ends_a_first_table() -> None:
    table = a_table([tagging("r1"), tagging("r2")], otherwise={"then": {"s1": {"tags": ["rest"]}}})
    decision = decided(EMAIL, table, held=frozenset({"A01/r1"}))
    assert decision.fired == ()
    [row] = decision.trace.entries[0].rows
    assert (row.verdict, row.reason) == (
        RowVerdict.HELD,
        "It matched, but had fired before in this chain of events.",
    )
    assert decision.trace.entries[0].verdict is Verdict.HELD


def test_a_held_row_of_an_every_table_keeps_the_otherwise_row_away() -> None:
    table = a_table([tagging("r1")], hit="every", otherwise={"then": {"s1": {"tags": ["rest"]}}})
    assert decided(EMAIL, table, held=frozenset({"A01/r1"})).fired == ()


def test_a_held_row_with_nothing_behind_it_is_not_waited_for() -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT)
    assert decided(EMAIL, table, held=frozenset({"A01/r1"})).wait is None


def test_a_held_row_is_waited_for_when_a_row_behind_it_could_fire() -> None:
    rows = [tagging("r1", vip=True), tagging("r2", debt="100")]
    decision = decided(EMAIL, a_table(rows, columns=BY_DEBT), held=frozenset({"A01/r1"}))
    assert decision.wait == Wait("A01", (ACCOUNT, PARTY), 60.0)


def test_a_held_row_is_not_waited_for_on_behalf_of_an_otherwise_row_that_is_out() -> None:
    rows = [tagging("r1"), tagging("r2", debt="100")]
    otherwise = {"then": {"s1": {"tags": ["rest"]}}}
    held = frozenset({"A01/r2"})
    table = a_table(rows, columns=BY_DEBT, hit="every", otherwise=otherwise)
    assert decided(EMAIL, table, held=held).fired == ("A01/r1",)
    alone = a_table(rows[1:], columns=BY_DEBT, hit="every", otherwise=otherwise)
    assert decided(EMAIL, alone, held=held).wait == Wait("A01", (PARTY,), 60.0)


def test_while_it_waits_nothing_is_reported_as_skipped() -> None:
    facts = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "down"}})
    table = a_table([tagging("r1", debt="100"), tagging("r2", vip=True)], columns=BY_DEBT)
    waiting = decided(facts, table)
    assert waiting.wait == Wait("A01", (ACCOUNT,), 60.0)
    assert (waiting.skipped, waiting.notes) == ((), ())
    over = decided(facts, table, wait_over=frozenset({"A01"}))
    assert [one.row_key for one in over.skipped] == ["A01/r1", "A01/r2"]
    assert over.notes == ("A01 was decided without erp.find_party, crm.get_account",)


# Errors -----------------------------------------------------------------------------------------------------------

BY_AMOUNT = [
    {"id": "amount", "field": "ticket.fields.amount", "op": "greater"},
    {"id": "c1", "field": "ticket.channel"},
]
BROKEN = some_facts({"fields.amount": "many", "channel": "email"})


def test_an_error_in_a_condition_parks_a_first_table_and_is_never_no_match() -> None:
    table = a_table([tagging("r1", amount=3), tagging("r2", c1="email")], columns=BY_AMOUNT)
    decision = decided(BROKEN, table)
    assert decision.fired == ()
    assert decision.skipped == (Skipped("A01/r1", (), "Amount: 'many' is not a number", failed=True),)
    assert decision.notes == ("A01/r1 could not be decided: Amount: 'many' is not a number",)
    assert decision.trace.entries[0].verdict is Verdict.PARKED
    [row] = decision.trace.entries[0].rows
    assert (row.verdict, row.truth) == (RowVerdict.FAILED, Truth.UNKNOWN)


def test_rows_behind_a_failed_row_of_a_first_table_cause_no_wait() -> None:
    rows = [tagging("r1", amount=3), tagging("r2", debt="100")]
    decision = decided(BROKEN, a_table(rows, columns=[*BY_AMOUNT, *BY_DEBT]))
    assert (decision.wait, decision.trace.entries[0].verdict) == (None, Verdict.PARKED)


def test_a_failed_row_that_an_answer_could_make_false_is_waited_for() -> None:
    rows = [tagging("r1", amount=3, debt="100"), tagging("r2")]
    table = a_table(rows, columns=[*BY_AMOUNT, *BY_DEBT])
    assert decided(BROKEN, table).wait == Wait("A01", (PARTY,), 60.0)
    alone = a_table(rows[:1], columns=[*BY_AMOUNT, *BY_DEBT])
    assert decided(BROKEN, alone).wait is None  # nothing stands behind it that could fire
    poor = replace(BROKEN, lookups={"erp.find_party": known(receivable="1")})
    assert decided(poor, table).fired == ("A01/r2",)


def test_an_error_in_a_row_of_an_every_table_parks_that_row_only() -> None:
    table = a_table([tagging("r1", amount=3), tagging("r2", c1="email")], columns=BY_AMOUNT, hit="every")
    assert decided(BROKEN, table).fired == ("A01/r2",)


def test_an_error_beside_a_false_cell_does_not_matter() -> None:
    table = a_table([tagging("r1", amount=3, c1="chat"), tagging("r2")], columns=BY_AMOUNT)
    decision = decided(BROKEN, table)
    assert (decision.fired, decision.skipped, decision.notes) == (("A01/r2",), (), ())


class Faulty(dict[str, Any]):
    """An answer that breaks whoever looks into it."""

    def get(self, key: str, default: Any = None) -> Any:
        raise ZeroDivisionError("division by zero")


def test_a_fault_of_ours_makes_its_row_unknown() -> None:
    """The one place where the engine catches everything: a bug must not look like "no match" to a manager."""
    table = a_table([tagging("r1", debt="100"), tagging("r2")], columns=BY_DEBT, hit="every")
    decision = decided(some_facts(lookups={"erp.find_party": {"state": "known", "data": Faulty()}}), table)
    assert decision.fired == ("A01/r2",)
    assert decision.skipped[0].failed
    assert decision.notes == ("A01/r1 could not be decided: Receivable: ZeroDivisionError: division by zero",)


def test_a_field_that_is_gone_makes_its_rows_undecidable_and_says_why() -> None:
    table = a_table([tagging("r1", debt="100")], columns=BY_DEBT, otherwise={"then": {"s1": {"tags": ["rest"]}}})
    rules = compile_ruleset(1, [Entry("A01", "Triage", 1, 1, table=table)], Vocabulary())
    decision = decide(rules, EMAIL)
    assert decision.fired == ()
    assert decision.notes[0].startswith("A01/r1 could not be decided: There is no field 'erp.find_party.receivable'.")


def test_a_step_that_is_refused_undoes_its_whole_row() -> None:
    table = a_table(
        [{"id": "r1", "then": {"s1": {"tags": ["x"]}, "s2": {"team": "billing"}}}],
        columns=[],
        steps=[{"id": "s1", "do": "add_tags"}, {"id": "s2", "do": "assign_team"}],
    )
    without_team = replace(DESK, teams={"platform": "Platform"})
    rules = compile_ruleset(1, [Entry("A01", "Triage", 1, 1, table=table)], without_team)
    decision = decide(rules, EMAIL)
    assert (decision.planned, decision.fired, decision.staged) == ((), (), {})
    assert decision.skipped[0].failed
    assert decision.notes[0].startswith("A01/r1 could not be done: Assign team: billing: There is no team 'billing'.")
    assert decision.trace.entries[0].verdict is Verdict.PARKED


# Limits -----------------------------------------------------------------------------------------------------------


def test_the_limit_of_effects_stops_the_list_visibly_and_whole_rows_only() -> None:
    two = a_table(
        [{"id": "r1", "then": {"s1": {"tags": ["x"]}, "s2": {"text": "note"}}}],
        columns=[],
        code="B",
        steps=[{"id": "s1", "do": "add_tags"}, {"id": "s2", "do": "add_note"}],
    )
    last = a_table([tagging("r1", "late")], code="C")
    first = a_table([tagging("r1", "early")], code="A")
    decision = decided(EMAIL, first, two, last, effects_left=2)
    assert (decision.fired, decision.staged) == (("A/r1",), {"tags": ["early"]})
    assert decision.stopped.startswith("Stopped at B/r1: this chain of events has reached its limit of effects.")
    assert decision.notes == (decision.stopped,)
    assert [entry.verdict for entry in decision.trace.entries] == [Verdict.MATCHED, Verdict.STOPPED]
    assert decided(EMAIL, first, two, last, effects_left=4).fired == ("A/r1", "B/r1", "C/r1")


def test_a_row_of_one_effect_stops_at_the_limit_too() -> None:
    steps = [{"id": "s1", "do": "set_priority"}]
    row = {"id": "r1", "then": {"s1": {"priority": "high"}}}
    decision = decided(EMAIL, a_table([row], columns=[], steps=steps), effects_left=0)
    assert (decision.fired, decision.staged) == ((), {})
    assert decision.stopped.startswith("Stopped at A01/r1: ")
    same = decided(some_facts({"priority": "high"}), a_table([row], columns=[], steps=steps), effects_left=1)
    assert (same.fired, same.planned, same.stopped) == (("A01/r1",), (), "")


def test_a_long_table_keeps_a_bounded_trace_with_the_deciding_row() -> None:
    rows = [tagging(f"r{at}", c1="chat") for at in range(1_000)] + [tagging("hit", c1="email")]
    listed = [Entry("A01", "Triage", 1, 0, table=a_table(rows))]
    [entry] = decide(compile_ruleset(1, listed, DESK, short_trace_from=NO_INDEX), EMAIL).trace.entries
    assert len(entry.rows) == MAX_TRACED_ROWS + 1
    assert entry.omitted == 1_000 - MAX_TRACED_ROWS
    assert (entry.rows[-1].row, entry.rows[-1].number, entry.rows[-1].verdict) == ("hit", 1_001, RowVerdict.FIRED)


@pytest.mark.parametrize("before", [200, 1_000])
def test_the_trace_of_a_long_list_keeps_only_rows_that_decided(before: int) -> None:
    rows = [tagging(f"r{at}", c1="chat") for at in range(before)] + [tagging("hit", c1="email"), tagging("later")]
    [entry] = decided(EMAIL, a_table(rows)).trace.entries
    assert [(row.row, row.number, row.verdict) for row in entry.rows] == [("hit", before + 1, RowVerdict.FIRED)]
    assert entry.omitted == before


class Counting(dict[str, Any]):
    """A state that counts how often each field is asked for."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state)
        self.asked: Counter[str] = Counter()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked[key] += 1
        return super().get(key, default)


def test_a_field_is_read_once_per_decision_however_many_rows_look_at_it() -> None:
    """Once more when nobody has seen its value before: what that comes to is kept for all events to come."""
    rules = a_list(a_table([tagging(f"r{at}", c1="chat") for at in range(50)]))
    for often in (2, 1, 1):
        state = Counting(EMAIL.item)
        decide(rules, replace(EMAIL, item=state))
        assert state.asked["channel"] == often


def test_two_entries_with_one_code_are_refused() -> None:
    entry = Entry("A01", "Triage", 1, 1, table=a_table())
    with pytest.raises(ValueError, match="same code"):
        compile_ruleset(1, [entry, entry], DESK)


def test_an_empty_list_decides_nothing() -> None:
    decision = decide(compile_ruleset(7, [], DESK), EMAIL)
    assert (decision.planned, decision.fired, decision.trace.entries, decision.trace.revision) == ((), (), (), 7)
