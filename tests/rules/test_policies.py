"""What a table says about unknown values, about running again, and a row about ending the list."""

from __future__ import annotations

from typing import Any

import pytest

from rules.dump import dump_table
from rules.engine import Entry, Wait, compile_ruleset, decide
from rules.errors import TableInvalid
from rules.facts import LookupKey
from rules.parse import parse_table
from rules.passes import MOST_AGAIN
from rules.table import Table, WhenUnknown
from rules.trace import RowVerdict, Truth, Verdict
from tests.rules.desk import DESK, a_table, a_table_as_data, decided, rows_fired, some_facts, tagging, tags_of

PARTY = LookupKey("erp", "find_party", (("email", "camille@example.com"),))
FAILED = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "down"}})


def by_tier(unknown: str, **more: Any) -> Table:
    """A row for customers of the gold tier, and an otherwise row."""
    columns = [{"id": "tier", "field": "erp.find_party.tier", "unknown": unknown}]
    rows = [tagging("r1", "gold", tier="gold")]
    return a_table(rows, columns=columns, otherwise={"then": {"s1": {"tags": ["rest"]}}}, **more)


# Unknown values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "waits", "then"),
    [("wait", True, []), ("skip", False, []), ("match", True, ["gold"]), ("no_match", True, ["rest"])],
)
def test_an_unknown_value_counts_as_its_column_says_once_the_wait_is_over(
    unknown: str, waits: bool, then: list[str]
) -> None:
    table = by_tier(unknown)
    first = decided(some_facts(), table)
    assert first.wait == (Wait("A01", (PARTY,), 60.0) if waits else None)
    assert tags_of(first) == ([] if waits else ["rest"])
    over = decided(some_facts(), table, wait_over=frozenset({"A01"}))
    failed = decided(FAILED, table)
    assert over.wait is failed.wait is None
    wanted = then or ["rest"]
    assert (tags_of(over), tags_of(failed)) == (wanted, wanted)
    assert bool(over.skipped) == (unknown in ("wait", "skip"))


def test_a_column_that_counts_unknown_as_a_match_does_not_touch_known_values_and_errors() -> None:
    silver = some_facts(lookups={"erp.find_party": {"state": "known", "data": {"tier": "silver"}}})
    assert tags_of(decided(silver, by_tier("match"))) == ["rest"]
    columns = [{"id": "amount", "field": "ticket.fields.amount", "op": "greater", "unknown": "match"}]
    broken = decided(some_facts({"fields.amount": "many"}), a_table([tagging("r1", amount=3)], columns=columns))
    assert (broken.fired, broken.skipped[0].failed) == ((), True)


def test_a_table_that_never_goes_without_counts_a_failed_lookup_as_its_column_says() -> None:
    table = by_tier("no_match", wait_s="never_without")
    assert decided(some_facts(), table, wait_over=frozenset()).wait == Wait("A01", (PARTY,), None)
    assert tags_of(decided(FAILED, table)) == ["rest"]


def test_only_the_four_policies_are_taken() -> None:
    with pytest.raises(TableInvalid, match="maybe"):
        by_tier("maybe")


# Ending the list ------------------------------------------------------------------------------------------------------


def ending(stop: bool, hit: str = "first") -> tuple[Table, Table]:
    row = tagging("r1", c1="email")
    return a_table([{**row, "stop": stop}, tagging("r2")], code="A", hit=hit), a_table([tagging("late")], code="B")


@pytest.mark.parametrize("hit", ["first", "every"])
def test_a_row_that_says_so_ends_the_list_with_its_table(hit: str) -> None:
    email = some_facts({"channel": "email"})
    decision = decided(email, *ending(True, hit))
    assert decision.fired == (("A/r1",) if hit == "first" else ("A/r1", "A/r2"))
    assert decision.ended_by == "A/r1"
    assert decision.notes == ("A/r1 ends the rule list: what stands behind its table was not looked at.",)
    assert [entry.code for entry in decision.trace.entries] == ["A"]
    assert decided(email, *ending(False, hit)).fired[-1] == "B/late"
    other = decided(some_facts({"channel": "chat"}), *ending(True, hit))
    assert (other.fired, other.ended_by) == (("A/r2", "B/late"), "")


def test_a_row_that_ends_the_list_ends_it_when_it_is_held_back_too() -> None:
    decision = decided(some_facts({"channel": "email"}), *ending(True), held=frozenset({"A/r1"}))
    assert (decision.fired, decision.ended_by) == ((), "A/r1")


def test_a_table_that_waits_does_not_end_the_list_yet() -> None:
    columns = [{"id": "tier", "field": "erp.find_party.tier"}, {"id": "c1", "field": "ticket.channel"}]
    rows = [tagging("r1", tier="gold"), {**tagging("r2", c1="email"), "stop": True}]
    table = a_table(rows, columns=columns)
    decision = decided(some_facts({"channel": "email"}), table)
    assert (decision.wait is not None, decision.ended_by) == (True, "")
    assert decided(some_facts({"channel": "email"}), table, wait_over=frozenset({"A01"})).ended_by == "A01/r2"


# Running again --------------------------------------------------------------------------------------------------------


def by_tags(code: str, needs: str, gives: str, *, again: bool = False, **more: Any) -> Table:
    columns = [{"id": "t", "field": "ticket.tags"}]
    return a_table([tagging("r1", gives, t=needs)], columns=columns, code=code, run_again=again, **more)


@pytest.mark.parametrize("index_from", [0, 1_000])
def test_a_table_runs_again_when_a_later_entry_changes_a_field_it_reads(index_from: int) -> None:
    def fired(again: bool) -> tuple[str, ...]:
        tables = [by_tags("A", "b", "c", again=again), by_tags("B", "a", "b")]
        entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
        decision = decide(compile_ruleset(1, entries, DESK, index_from=index_from), some_facts({"tags": ["a"]}))
        assert rows_fired(decision) == sorted(decision.fired)
        return decision.fired

    assert fired(True) == ("B/r1", "A/r1")
    assert fired(False) == ("B/r1",)


def test_a_table_that_had_nothing_to_do_before_it_ran_again_stands_in_its_place_in_a_short_trace() -> None:
    tables = [by_tags("A", "b", "c", again=True), by_tags("B", "a", "b")]
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    ruleset = compile_ruleset(1, entries, DESK, index_from=0, short_trace_from=0)
    decision = decide(ruleset, some_facts({"tags": ["a"]}))
    assert decision.fired == ("B/r1", "A/r1")
    assert [one.code for one in decision.trace.entries] == ["A", "B"]


def test_a_row_fires_once_however_often_its_table_runs() -> None:
    first = by_tags("A", "a", "x", again=True)
    decision = decided(some_facts({"tags": ["a"]}), first, by_tags("B", "x", "y"))
    assert decision.fired == ("A/r1", "B/r1")
    [seen, _] = decision.trace.entries
    assert (seen.verdict, seen.rows[0].verdict, seen.rows[0].truth) == (
        Verdict.MATCHED,
        RowVerdict.FIRED,
        Truth.TRUE,
    )


def test_what_a_table_writes_itself_does_not_make_it_run_again() -> None:
    rows = [tagging("r1", "b", t="a"), tagging("r2", "c", t="b")]
    table = a_table(rows, columns=[{"id": "t", "field": "ticket.tags"}], hit="every", run_again=True)
    assert decided(some_facts({"tags": ["a"]}), table).fired == ("A01/r1",)


def test_running_again_has_a_bound_that_is_reported() -> None:
    # Each of them gives the other one a reason to run again, for longer than the bound.
    def chain(code: str, start: int) -> Table:
        rows = [tagging(f"r{at}", f"t{at + 1}", t=f"t{at}") for at in range(start, 40, 2)]
        columns = [{"id": "t", "field": "ticket.tags"}]
        return a_table(rows, columns=columns, code=code, hit="every", run_again=True)

    decision = decided(some_facts({"tags": ["t1"]}), chain("A", 0), chain("B", 1))
    assert len(decision.fired) == MOST_AGAIN + 1
    assert decision.notes == (
        f"Tables ran again {MOST_AGAIN} times, which is the most, and what they read still changes.",
    )


def test_a_table_before_a_wait_runs_again_after_it() -> None:
    columns = [{"id": "tier", "field": "erp.find_party.tier"}]
    waiting = a_table([tagging("r1", "b", tier="gold")], columns=columns, code="B")
    first = by_tags("A", "b", "c", again=True)
    part = decided(some_facts(), first, waiting)
    assert part.wait is not None
    gold = some_facts(lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}}})
    rest = decided(gold, first, waiting, after="B", staged=part.staged)
    assert rest.fired == ("B/r1", "A/r1")


@pytest.mark.parametrize("index_from", [0, 1_000])
def test_what_was_written_before_a_wait_makes_tables_run_again_as_in_one_go(index_from: int) -> None:
    columns = [{"id": "tier", "field": "erp.find_party.tier"}]
    tables = [
        by_tags("A", "b", "c", again=True),
        by_tags("B", "a", "b"),
        by_tags("C", "b", "d", again=True),
        a_table([tagging("r1", "e", tier="gold")], columns=columns, code="W"),
    ]
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    ruleset = compile_ruleset(1, entries, DESK, index_from=index_from)
    silver: dict[str, Any] = {"lookups": {"erp.find_party": {"state": "known", "data": {"tier": "silver"}}}}
    at_once = decide(ruleset, some_facts({"tags": ["a"]}, **silver))
    assert at_once.fired == ("B/r1", "C/r1", "A/r1")
    part = decide(ruleset, some_facts({"tags": ["a"]}))
    assert (part.fired, part.wait and part.wait.entry) == (("B/r1", "C/r1"), "W")

    def rest(**written_by: str) -> tuple[str, ...]:
        later = some_facts({"tags": ["a"]}, **silver)
        held = frozenset(part.fired)
        decision = decide(ruleset, later, after="W", staged=part.staged, held=held, written_by=written_by)
        assert rows_fired(decision) == sorted(decision.fired)
        return decision.fired

    assert rest(tags="C") == ("A/r1",)
    # Nobody of the list wrote it, or an entry that is gone, or the table itself: it is as it was when A was decided.
    assert rest() == rest(tags="GONE") == rest(tags="A") == ()


def test_what_was_written_before_a_table_and_before_a_wait_does_not_make_it_run_again() -> None:
    columns = [{"id": "tier", "field": "erp.find_party.tier"}]
    first, second = by_tags("A", "a", "b"), by_tags("B", "c", "d", again=True)
    waiting = a_table([tagging("r1", "c", tier="gold")], columns=columns, code="W")
    gold = some_facts({"tags": ["a"]}, lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}}})
    silver = some_facts({"tags": ["a"]}, lookups={"erp.find_party": {"state": "known", "data": {"tier": "silver"}}})
    # W resumes; B reads tags, which A wrote before it: only what W writes makes it run again.
    for facts, fired in ((gold, ("W/r1", "B/r1")), (silver, ())):
        rest = decided(facts, first, second, waiting, after="W", staged={"tags": ["a", "b"]}, written_by={"tags": "A"})
        assert rest.fired == fired
    # Its row matches by now, and would fire if it ran.
    rest = decided(silver, first, second, waiting, after="W", staged={"tags": ["c"]}, written_by={"tags": "A"})
    assert rest.fired == ()


# As data ---------------------------------------------------------------------------------------------------------


def test_all_of_it_survives_the_way_to_data_and_back_and_is_left_out_where_it_is_as_usual() -> None:
    data = a_table_as_data(
        [{**tagging("r1", tier="gold"), "stop": True}],
        columns=[{"id": "tier", "field": "erp.find_party.tier", "unknown": "no_match"}],
        run_again=True,
    )
    table = parse_table(data, DESK)
    assert (table.run_again, table.rows[0].stop, table.columns[0].unknown) == (True, True, WhenUnknown.NO_MATCH)
    assert parse_table(dump_table(table), DESK) == table
    plain = dump_table(a_table())
    assert "run_again" not in plain
    assert "stop" not in str(plain)
    assert "unknown" not in str(plain)
