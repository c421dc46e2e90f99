"""A row that has fired for a ticket, and when it may fire for it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.dump import dump_table
from rules.errors import TableInvalid
from rules.facts import Facts
from rules.parse import parse_table
from rules.rearm import episode
from rules.trace import RowVerdict
from tests.rules.desk import DESK, a_table, a_table_as_data, decided, some_facts, tagging

#: The row fired for this ticket an hour before the event of `some_facts`.
AN_HOUR_AGO = {"A01/r1": {"at": "2026-11-21T08:31:00.000000+00:00", "episodes": ["status since monday"]}}


def fired_before(status_since: str = "monday", **event: Any) -> Facts:
    facts = some_facts({"channel": "email"})
    return replace(facts, ledger=AN_HOUR_AGO, clock={"status_since": status_since}, event={**facts.event, **event})


def rows_fired(facts: Facts, rearm: str) -> tuple[str, ...]:
    return decided(facts, a_table([{**tagging("r1"), "rearm": rearm}, tagging("r2")])).fired


@pytest.mark.parametrize("rearm", ["once_per_item", "once_per_episode", "2 h"])
def test_a_row_held_back_by_the_ledger_still_matches_ends_its_table_and_says_why(rearm: str) -> None:
    decision = decided(fired_before(), a_table([{**tagging("r1"), "rearm": rearm}, tagging("r2")]))
    assert decision.fired == ()
    [row] = decision.trace.entries[0].rows
    assert row.verdict is RowVerdict.HELD
    assert row.reason.startswith("It matched, but fires")
    assert "2026-11-21 08:31 UTC" in row.reason


@pytest.mark.parametrize("rearm", ["every_time", "1 h", "30 min"])
def test_a_row_that_may_fire_again_does(rearm: str) -> None:
    assert rows_fired(fired_before(), rearm) == ("A01/r1",)


def test_a_new_stay_in_a_status_is_a_new_episode_but_the_same_ticket() -> None:
    assert rows_fired(fired_before("tuesday"), "once_per_episode") == ("A01/r1",)
    assert rows_fired(fired_before("tuesday"), "once_per_item") == ()


def test_a_time_trigger_names_its_own_episode() -> None:
    named = fired_before(episode="no reply since noon")
    assert episode(named) == "no reply since noon"
    assert rows_fired(named, "once_per_episode") == ("A01/r1",)


def test_the_otherwise_row_is_armed_again_as_it_says() -> None:
    ledger = {"A01/otherwise": AN_HOUR_AGO["A01/r1"]}
    facts = replace(some_facts({"channel": "chat"}), ledger=ledger)
    rest = {"then": {"s1": {"tags": ["rest"]}}}
    rows = [tagging("r1", c1="email")]
    assert decided(facts, a_table(rows, otherwise=rest)).fired == ("A01/otherwise",)
    assert decided(facts, a_table(rows, otherwise={**rest, "rearm": "once_per_item"})).fired == ()


def test_how_a_row_is_armed_again_survives_the_file() -> None:
    rest = {"then": {"s1": {"tags": ["rest"]}}, "rearm": "once_per_item"}
    table = a_table([{**tagging("r1"), "rearm": "24 hours"}, tagging("r2")], otherwise=rest)
    assert (table.rows[0].rearm, table.rows[1].rearm, table.otherwise_rearm) == ("24 h", "every_time", "once_per_item")
    assert parse_table(dump_table(table), DESK) == table


def test_a_way_that_does_not_exist_is_refused_with_those_there_are() -> None:
    with pytest.raises(TableInvalid) as refused:
        parse_table(a_table_as_data([{**tagging("r1"), "rearm": "sometimes"}]), DESK)
    [problem] = refused.value.problems
    assert (problem.where, problem.code) == ({"row": "r1"}, "rearm")
    assert "once_per_episode" in problem.message
    assert "30 min" in problem.message
