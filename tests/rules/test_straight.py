"""Rows that each give one field a value are fired without a pass; whatever has more to it is not taken for one of them.

Each list here is one that the straight way would decide wrongly if it did not leave it to a pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.engine import Decision, Entry, RuleSet, Skipped, Wait, compile_ruleset, decide
from rules.facts import LookupKey
from rules.table import Table, WhenUnknown
from tests.rules.desk import DESK, a_table, some_facts, tagging

LISTS = pytest.mark.parametrize("index_from", [0, 1_000], ids=["long", "short"])
EMAIL = some_facts({"channel": "email", "priority": "low"})


def setting(id: str, priority: str, channel: str = "email", **more: Any) -> dict[str, Any]:
    """A row about a channel that sets the priority."""
    return {"id": id, "if": {"c1": {"value": [channel]}}, "then": {"p": {"priority": priority}}, **more}


def a_setting_table(rows: list[dict[str, Any]], code: str = "A", field: str = "ticket.channel", **more: Any) -> Table:
    columns, steps = [{"id": "c1", "field": field}], [{"id": "p", "do": "set_priority"}]
    return a_table(rows, columns=columns, steps=steps, code=code, **more)


def said(index_from: int, *tables: Table, facts: Any = EMAIL, **how: Any) -> tuple[list[str], dict[str, Any], int]:
    """The rows that fired, what was staged, how many steps are planned."""
    decision = as_a_pass(index_from, *tables, facts=facts, **how)
    return list(decision.fired), dict(decision.staged), len(decision.planned)


def as_a_pass(index_from: int, *tables: Table, facts: Any = EMAIL, **how: Any) -> Decision:
    """What is decided, which is what a pass decides: whoever says where to begin gets one."""
    decision = decide(compiled(index_from, *tables), facts, **how)
    again = decide(compiled(index_from, *tables), facts, after=tables[0].code, **how)
    assert decision.but(trace=again.trace) == again
    assert decision.trace == again.trace
    return decision


def compiled(index_from: int, *tables: Table) -> RuleSet:
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    return compile_ruleset(1, entries, DESK, index_from=index_from)


@LISTS
def test_rows_that_set_one_field_fire_in_order_and_what_is_so_already_plans_nothing(index_from: int) -> None:
    rows = [setting("r1", "low"), setting("r2", "high"), setting("r3", "high"), setting("no", "normal", "chat")]
    table = a_setting_table(rows, hit="every")
    assert said(index_from, table) == (["A/r1", "A/r2", "A/r3"], {"priority": "high"}, 1)
    both = a_setting_table([setting("r1", "high"), setting("r2", "low")], hit="every")
    assert said(index_from, both) == (["A/r1", "A/r2"], {"priority": "low"}, 2)


@LISTS
def test_one_row_by_itself_fires_where_it_would_beside_others(index_from: int) -> None:
    alone = a_setting_table([setting("r1", "high"), setting("no", "low", "chat")], hit="every")
    assert said(index_from, alone) == (["A/r1"], {"priority": "high"}, 1)
    assert said(index_from, alone, held=frozenset({"A/r1"})) == ([], {}, 0)
    assert said(index_from, alone, effects_left=0)[1:] == ({}, 0)
    so_already = a_setting_table([setting("r1", "low"), setting("no", "high", "chat")])
    assert said(index_from, so_already) == (["A/r1"], {}, 0)
    assert said(index_from, a_setting_table([setting("r1", "high")], kind="task")) == ([], {}, 0)
    reads = a_setting_table([setting("high", "normal", "high")], "B", "ticket.priority")
    assert said(index_from, alone, reads)[0] == ["A/r1", "B/high"]


@LISTS
@pytest.mark.parametrize(("last", "fired"), [("email", ["A/r1"]), ("form", [])])
def test_a_row_that_its_bits_leave_fires_only_where_the_rest_of_it_holds(
    index_from: int, last: str, fired: list[str]
) -> None:
    """A row has bits for two groups; the third is compared."""
    groups = [
        {"any": [{"field": "ticket.channel", "op": "is", "value": one} for one in (channel, "chat")]}
        for channel in ("email", "email", last)
    ]
    row = {"id": "r1", "then": {"p": {"priority": "high"}}, "groups": groups}
    assert said(index_from, a_setting_table([row]))[0] == fired


@LISTS
def test_of_a_first_table_one_row_fires_and_the_tables_behind_it_go_on(index_from: int) -> None:
    first = a_setting_table([setting("no", "normal", "chat"), setting("r1", "high"), setting("r2", "normal")])
    behind = a_setting_table([setting("r1", "normal")], code="B")
    assert said(index_from, first, behind)[0] == ["A/r1", "B/r1"]


@LISTS
def test_a_held_row_does_nothing_and_ends_a_first_table(index_from: int) -> None:
    first = a_setting_table([setting("r1", "high"), setting("r2", "normal")])
    assert said(index_from, first, held=frozenset({"A/r1"})) == ([], {}, 0)
    every = a_setting_table([setting("r1", "high"), setting("r2", "normal")], hit="every")
    assert said(index_from, every, held=frozenset({"A/r1"})) == (["A/r2"], {"priority": "normal"}, 1)


@LISTS
def test_what_a_later_table_reads_is_seen_by_it(index_from: int) -> None:
    writes = a_setting_table([setting("r1", "high")])
    reads = a_setting_table(
        [setting("low", "urgent", "low"), setting("high", "normal", "high")], "B", "ticket.priority"
    )
    assert said(index_from, writes, reads)[0] == ["A/r1", "B/high"]


@LISTS
def test_the_limit_of_effects_stops_the_list(index_from: int) -> None:
    table = a_setting_table([setting("r1", "low"), setting("r2", "high"), setting("r3", "normal")], hit="every")
    assert said(index_from, table, effects_left=1) == (["A/r1", "A/r2"], {"priority": "high"}, 1)


@LISTS
def test_a_row_that_ends_the_list_ends_it(index_from: int) -> None:
    ends, behind = a_setting_table([setting("r1", "high", stop=True)]), a_setting_table([setting("r1", "low")], "B")
    assert said(index_from, ends, behind)[0] == ["A/r1"]


@LISTS
def test_a_table_for_another_kind_of_item_does_nothing(index_from: int) -> None:
    tables = [
        a_setting_table([setting("r1", "high")], code, kind=kind) for code, kind in (("A", "task"), ("B", "ticket"))
    ]
    assert said(index_from, *tables)[0] == ["B/r1"]


@LISTS
@pytest.mark.parametrize("channel", ["email", "chat"])
def test_an_otherwise_row_and_a_scope_count(index_from: int, channel: str) -> None:
    otherwise = a_setting_table([setting("r1", "high", "chat")], otherwise={"then": {"p": {"priority": "normal"}}})
    scope = [{"field": "ticket.channel", "op": "is", "value": "chat"}]
    scoped = a_table(
        [{"id": "r1", "then": {"p": {"priority": "urgent"}}}],
        columns=[],
        steps=[{"id": "p", "do": "set_priority"}],
        code="B",
        scope=scope,
    )
    facts = some_facts({"channel": channel})
    expected = ["A/r1", "B/r1"] if channel == "chat" else ["A/otherwise"]
    assert said(index_from, otherwise, scoped, facts=facts)[0] == expected


@LISTS
def test_a_row_that_was_done_once_for_this_item_is_not_done_again(index_from: int) -> None:
    once = a_setting_table([setting("r1", "high", rearm="once_per_item"), setting("r2", "normal")])
    assert said(index_from, once)[0] == ["A/r1"]
    before = replace(EMAIL, ledger={"A/r1": {"at": EMAIL.now, "episode": ""}})
    assert said(index_from, once, facts=before)[0] == []


@LISTS
def test_a_table_that_runs_again_sees_what_the_later_one_wrote(index_from: int) -> None:
    again = a_table(
        [tagging("low", "low", c1="low"), tagging("high", "high", c1="high")],
        columns=[{"id": "c1", "field": "ticket.priority"}],
        hit="every",
        run_again=True,
    )
    assert said(index_from, again, a_setting_table([setting("r1", "high")], "B"))[0] == ["A01/low", "B/r1", "A01/high"]


def test_a_text_is_looked_through_only_for_rows_that_are_left_and_says_what_a_pass_says() -> None:
    rows = [
        {**setting("mail", "high"), "groups": [{"any": [_contains("refund"), _contains("c++")]}]},
        {**setting("chat", "low", "chat"), "groups": [{"all": [_contains("refund")]}]},
    ]
    table = a_setting_table(rows, hit="every")
    for text, fired in (("A REFUND!", ["A/mail"]), ("refunds", []), ("C++17", ["A/mail"]), ("", [])):
        assert said(1_000, table, facts=some_facts({"channel": "email", "subject": text}))[0] == fired
        assert said(0, table, facts=some_facts({"channel": "form", "subject": text}))[0] == []


def _contains(keyword: str) -> dict[str, Any]:
    return {"field": "ticket.subject", "op": "contains_any", "value": [keyword]}


# Unknown answers -----------------------------------------------------------------------------------------------------

PARTY = LookupKey("erp", "find_party", (("email", "camille@example.com"),))
LACKED = "ERP party has not answered yet"


def gold(id: str, priority: str, channel: str = "email", **more: Any) -> dict[str, Any]:
    """A row about a channel and what only a lookup knows that sets the priority."""
    conditions = {"c1": {"value": [channel]}, "tier": {"value": ["gold"]}}
    return {"id": id, "if": conditions, "then": {"p": {"priority": priority}}, **more}


def an_asking_table(rows: list[dict[str, Any]], code: str = "A", **more: Any) -> Table:
    columns = [{"id": "c1", "field": "ticket.channel"}, {"id": "tier", "field": "erp.find_party.tier"}]
    steps = [{"id": "p", "do": "set_priority"}]
    return a_table(rows, columns=columns, steps=steps, code=code, **{"hit": "every", "wait_s": 0, **more})


MIXED = [gold("r1", "high"), setting("r2", "normal"), gold("r3", "urgent"), gold("no", "urgent", "chat")]


@LISTS
def test_rows_that_lack_an_answer_are_skipped_in_order_and_the_others_fire(index_from: int) -> None:
    table, behind = an_asking_table(MIXED), an_asking_table([gold("r1", "low")], "B")
    decision = as_a_pass(index_from, table, behind)
    assert decision.fired == ("A/r2",)
    assert decision.skipped == tuple(Skipped(key, (PARTY,), LACKED) for key in ("A/r1", "A/r3", "B/r1"))
    assert decision.notes == tuple(f"{code} was decided without erp.find_party" for code in "AB")
    known = replace(EMAIL, lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}, "fetched_at": ""}})
    assert as_a_pass(index_from, table, behind, facts=known).fired == ("A/r1", "A/r2", "A/r3", "B/r1")


@LISTS
def test_a_held_row_that_lacks_an_answer_is_not_told_of(index_from: int) -> None:
    decision = as_a_pass(index_from, an_asking_table(MIXED), held=frozenset({"A/r1"}))
    assert [one.row_key for one in decision.skipped] == ["A/r3"]


@LISTS
def test_a_first_table_skips_what_lacks_an_answer_up_to_the_row_that_fires(index_from: int) -> None:
    decision = as_a_pass(index_from, an_asking_table(MIXED, hit="first"))
    assert ([one.row_key for one in decision.skipped], decision.fired) == (["A/r1"], ("A/r2",))


@LISTS
def test_a_table_that_waits_does_and_goes_on_without_the_answer_when_its_wait_is_over(index_from: int) -> None:
    table = an_asking_table(MIXED, wait_s=60)
    decision = as_a_pass(index_from, table)
    assert (decision.wait, decision.fired, decision.skipped) == (Wait("A", (PARTY,), 60), (), ())
    over = as_a_pass(index_from, table, wait_over=frozenset({"A"}))
    assert (over.wait, over.fired, len(over.skipped)) == (None, ("A/r2",), 2)


@LISTS
def test_an_answer_without_sense_is_an_error_and_told_as_one(index_from: int) -> None:
    rich = [{"all": [{"field": "erp.find_party.receivable", "op": "greater", "value": "100"}]}]
    table = an_asking_table([setting("r1", "high", groups=rich), setting("r2", "low")])
    odd: dict[str, Any] = {"erp.find_party": {"state": "known", "data": {"receivable": "much"}, "fetched_at": ""}}
    decision = as_a_pass(index_from, table, facts=replace(EMAIL, lookups=odd))
    assert [(one.row_key, one.failed) for one in decision.skipped] == [("A/r1", True)]
    assert (decision.fired, len(decision.notes)) == (("A/r2",), 1)
    assert decision.notes[0].startswith("A/r1 could not be decided: ")


def test_in_a_pass_over_many_tables_the_one_row_that_is_left_of_each_fires_where_it_may() -> None:
    either = [{"any": [{"field": "ticket.channel", "op": "is", "value": one} for one in ("email", "chat")]}] * 2
    rich = [{"any": [{"field": "ticket.fields.amount", "op": "greater", "value": one} for one in (1, 2)]}]
    tables = (
        a_setting_table([setting("r1", "high")]),
        a_setting_table([setting("no", "low", "chat"), setting("r2", "urgent")], "B", hit="every"),
        a_setting_table([setting("poor", "high", groups=[*either, *rich])], "C"),
        an_asking_table([gold("gold", "high")], "D"),
        a_setting_table([setting("r1", "low"), setting("r2", "normal")], "E", hit="every"),
        a_setting_table([setting("r1", "high"), setting("r2", "low")], "F"),
    )
    ruleset = compiled(0, *tables)

    def fired(**how: Any) -> Decision:
        return decide(
            ruleset, some_facts({"channel": "email", "priority": "low", "fields.amount": 1}), after="A", **how
        )

    every = fired()
    assert every.fired == ("A/r1", "B/r2", "E/r1", "E/r2", "F/r1")
    assert ([one.row_key for one in every.skipped], every.staged, len(every.planned)) == (
        ["D/gold"],
        {"priority": "high"},
        5,
    )
    assert fired(held=frozenset({"B/r2"})).fired == ("A/r1", "E/r1", "E/r2", "F/r1")
    limited = fired(effects_left=1)
    assert (limited.fired, limited.stopped.partition(":")[0]) == (("A/r1",), "Stopped at B/r2")


@LISTS
def test_a_row_that_lacked_an_answer_is_asked_as_a_whole_when_something_else_in_it_makes_no_sense(
    index_from: int,
) -> None:
    likely = {"any": [{"field": "ticket.channel", "op": "is", "value": one} for one in ("email", "chat")]}
    rich = {"any": [{"field": "ticket.fields.amount", "op": "greater", "value": one} for one in (1, 2)]}
    # A third group is no bits any more: it is compared.
    ruleset = compiled(index_from, an_asking_table([gold("r1", "high", groups=[likely, likely, rich])]))
    for amount, failed in ((5, False), ("much", True), (5, False)):
        decision = decide(ruleset, some_facts({"channel": "email", "fields.amount": amount}))
        assert [(one.row_key, one.failed) for one in decision.skipped] == [("A/r1", failed)]


@LISTS
def test_a_group_that_holds_by_what_is_known_lacks_nothing(index_from: int) -> None:
    either = [{"field": "ticket.channel", "op": "any_of", "value": ["email"]}]
    either += [{"field": "erp.find_party.tier", "op": "any_of", "value": ["gold"]}]
    rows = [
        {"id": id, "then": {"p": {"priority": "high"}}, "groups": [{"any": some}]}
        for id, some in (("both", either), ("one", [{**either[0], "value": ["chat"]}, either[1]]))
    ]
    decision = as_a_pass(index_from, an_asking_table(rows))
    assert (decision.fired, [one.row_key for one in decision.skipped]) == (("A/both",), ["A/one"])


@LISTS
def test_a_table_that_the_event_is_not_for_lacks_nothing(index_from: int) -> None:
    changed = some_facts({"channel": "email"}, kind="changed", changes={"subject": ["a", "b"]})
    fitting = an_asking_table([gold("r1", "high")], triggers=[{"on": "changed", "field": "ticket.subject"}])
    other = an_asking_table([gold("r1", "high")], "B", triggers=[{"on": "changed", "field": "ticket.priority"}])
    assert [one.row_key for one in as_a_pass(index_from, fitting, other, facts=changed).skipped] == ["A/r1"]


@LISTS
def test_a_table_for_another_kind_of_item_lacks_nothing(index_from: int) -> None:
    tables = an_asking_table([gold("r1", "high")]), an_asking_table([gold("r1", "high")], "B", kind="task")
    assert [one.row_key for one in as_a_pass(index_from, *tables).skipped] == ["A/r1"]


@LISTS
@pytest.mark.parametrize(("unknown", "fired"), [("match", ("A/r1", "A/r3")), ("no_match", ())])
def test_a_condition_that_counts_as_something_without_an_answer_lacks_none(
    index_from: int, unknown: str, fired: tuple[str, ...]
) -> None:
    table = an_asking_table([MIXED[0], MIXED[2], MIXED[3]])
    columns = [replace(one, unknown=WhenUnknown(unknown)) if one.id == "tier" else one for one in table.columns]
    decision = as_a_pass(index_from, replace(table, columns=tuple(columns)))
    assert (decision.fired, decision.skipped, decision.notes) == (fired, (), ())


@LISTS
def test_rows_that_lack_different_answers_are_told_of_in_the_order_of_the_list(index_from: int) -> None:
    vip = [{"all": [{"field": "crm.get_account.vip", "op": "is", "value": True}]}]
    rows = [gold("r1", "high"), setting("r2", "low", groups=vip), gold("r3", "urgent"), setting("r4", "high")]
    decision = as_a_pass(index_from, an_asking_table(rows), an_asking_table(rows[1:3], "B"))
    assert [one.row_key for one in decision.skipped] == ["A/r1", "A/r2", "A/r3", "B/r2", "B/r3"]
    assert decision.notes == (
        "A was decided without erp.find_party, crm.get_account",
        "B was decided without crm.get_account, erp.find_party",
    )


@LISTS
def test_a_pattern_is_compared_with_what_was_written_before(index_from: int) -> None:
    step = [{"id": "p", "do": "set_field"}]
    write = {"id": "r1", "if": {"c1": {"value": ["email"]}}, "then": {"p": {"field": "subject", "value": "new"}}}
    writes = a_table([write], columns=[{"id": "c1", "field": "ticket.channel"}], steps=step, code="A")
    pattern = [{"field": "ticket.subject", "op": "matches", "value": "^n.w$"}]
    reads = a_setting_table(
        [{"id": "r1", "then": {"p": {"priority": "high"}}, "groups": [{"all": pattern}]}], "B", wait_s=0
    )
    assert as_a_pass(index_from, writes, reads).fired == ("A/r1", "B/r1")
    assert as_a_pass(index_from, reads, writes).fired == ("A/r1",)


@LISTS
def test_ordinary_facts_are_looked_at_straight(index_from: int) -> None:
    """What the look raises leaves everything to a pass, which decides the same: nothing but the time would tell."""
    compared = [
        ("ticket.channel", "any_of", ["email"]),
        ("ticket.subject", "contains_any", ["refund"]),
        ("ticket.tags", "has_any", ["vip"]),
        ("ticket.fields.amount", "greater", 5),
        ("ticket.fields.price", "greater", "5"),
        ("ticket.priority", "changed", None),
        ("ticket.created_at", "not_empty", None),
        ("message.text", "contains_none", ["spam"]),
        ("message.public", "is", True),
        ("customer.email", "not_empty", None),
        ("event.actor", "any_of", ["customer"]),
        ("run.status", "none_of", ["failed"]),
        ("erp.find_party.receivable", "greater", "100"),
        ("erp.find_party.groups", "has_any", ["a"]),
        ("crm.get_account.vip", "is", True),
        ("crm.get_account.score", "greater", 3),
        ("payments.duplicate", "is", True),
    ]
    rows: list[dict[str, Any]] = []
    for at, (name, op, value) in enumerate(compared):
        field = f"context.{name}" if name.startswith("payments") else name
        clause = {"field": field, "op": op} | ({} if value is None else {"value": value})
        group = [{"all": [clause]}]
        rows += [
            {"id": f"r{at}", "then": {"p": {"priority": "high"}}, "groups": group},
            {"id": f"g{at}", "then": {"p": {"priority": "high"}}, "groups": [{"any": [clause, *group[0]["all"]]}]},
        ]
    bucket = compiled(index_from, an_asking_table(rows)).by_kind["created"]
    answers = {
        "erp.find_party": {"state": "known", "data": {"receivable": "120.5", "groups": ["a", "b"]}, "fetched_at": ""},
        "crm.get_account": {"state": "known", "data": {"vip": True, "score": 4.5}, "fetched_at": ""},
    }
    state = {"channel": "email", "subject": "A refund", "tags": ["vip", "x"], "fields.amount": 7.5, "fields.price": "6"}
    changes = {"priority": ["low", "high"]}
    for message in (None, {"new_text": "Please", "text": "Please", "public": True}):
        for lookups in (answers, {}, {**answers, "erp.find_party": {"state": "failed", "reason": "down"}}):
            facts = some_facts(state, changes=changes, message=message, lookups=lookups)
            left, lacking, _ = bucket.look(facts)
            assert left
            assert {part.field.lookup for part in lacking} <= {"erp.find_party", "crm.get_account"} | {""}
            assert bool(lacking) == (lookups is not answers)
