"""Rows that each give one field a value are fired without a pass; whatever has more to it is not taken for one of them.

Each list here is one that the straight way would decide wrongly if it did not leave it to a pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.engine import Entry, compile_ruleset, decide
from rules.table import Table
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
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    decision = decide(compile_ruleset(1, entries, DESK, index_from=index_from), facts, **how)
    again = decide(compile_ruleset(1, entries, DESK, index_from=index_from), facts, after=tables[0].code, **how)
    assert (decision.fired, decision.planned, decision.staged) == (again.fired, again.planned, again.staged)
    assert (decision.stopped, decision.notes) == (again.stopped, again.notes)
    return list(decision.fired), dict(decision.staged), len(decision.planned)


@LISTS
def test_rows_that_set_one_field_fire_in_order_and_what_is_so_already_plans_nothing(index_from: int) -> None:
    rows = [setting("r1", "low"), setting("r2", "high"), setting("r3", "high"), setting("no", "normal", "chat")]
    table = a_setting_table(rows, hit="every")
    assert said(index_from, table) == (["A/r1", "A/r2", "A/r3"], {"priority": "high"}, 1)
    both = a_setting_table([setting("r1", "high"), setting("r2", "low")], hit="every")
    assert said(index_from, both) == (["A/r1", "A/r2"], {"priority": "low"}, 2)


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
    assert said(index_from, *tables)[0]


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
