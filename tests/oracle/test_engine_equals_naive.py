"""On random rule lists and facts the engine, the explanation and the linter say what the naive evaluator says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.dump import dump_table
from rules.engine import NO_INDEX, Decision, Entry, compile_ruleset, decide
from rules.explain import explain
from rules.facts import Facts
from rules.lint import lint
from rules.operators import OPERATORS
from rules.parse import parse_table
from rules.table import EVERY_TIME, ONCE_PER_EPISODE, ONCE_PER_ITEM, HitPolicy, WhenUnknown
from rules.trace import RowVerdict, Trace, Verdict
from tests.environment.selection import examples
from tests.oracle.lists import HITS, REARMS, SORTS, UNKNOWNS, chains, facts, lists, operators_of, tables
from tests.oracle.naive import Said, say
from tests.rules.desk import DESK, rows_fired


def entries_of(data: list[dict[str, Any]]) -> list[Entry]:
    return [Entry(one["code"], one["name"], 1, at, table=parse_table(one, DESK)) for at, one in enumerate(data)]


def as_said(decision: Decision, before: Facts) -> Said:
    state = before.with_state(decision.staged).item
    wait = decision.wait
    return Said(
        fired=list(decision.fired),
        state=dict(state),
        wait=None if wait is None else (wait.entry, frozenset(key.name for key in wait.lookups)),
        skipped=[(one.row_key, one.failed) for one in decision.skipped],
        ended=decision.ended_by,
    )


@st.composite
def circumstances(draw: st.DrawFn, data: list[dict[str, Any]]) -> dict[str, Any]:
    """What was fired before, whose wait is over, which rows are asked again."""
    keys = [f"{table['code']}/{row['id']}" for table in data for row in table["rows"]]
    keys += [f"{table['code']}/otherwise" for table in data]
    some = st.frozensets(st.sampled_from(keys))
    return {
        "held": draw(st.one_of(st.just(frozenset()), some)),
        "wait_over": draw(st.sampled_from([frozenset(), frozenset(table["code"] for table in data)])),
        "only_rows": draw(st.one_of(st.none(), st.none(), some)),
    }


def test_every_operator_and_policy_is_drawn() -> None:
    """What a table can say and the lists here never do would be compared by nobody."""
    drawn = {op for name in SORTS for op in operators_of(name)}
    assert drawn == set(OPERATORS)
    assert set(UNKNOWNS) == set(WhenUnknown)
    assert set(HITS) == set(HitPolicy)
    assert set(REARMS) > {EVERY_TIME, ONCE_PER_EPISODE, ONCE_PER_ITEM}


@examples(300)
@given(st.data(), lists(), facts())
def test_the_engine_says_what_the_naive_evaluator_says(
    data: st.DataObject, rule_list: list[dict[str, Any]], before: Facts
) -> None:
    how = data.draw(circumstances(rule_list))
    decision = decide(compile_ruleset(1, entries_of(rule_list), DESK), before, **how)
    assert as_said(decision, before) == say(rule_list, SORTS, before, **how)


@examples(150)
@given(chains(), facts(), st.booleans())
def test_tables_run_again_as_the_naive_evaluator_lets_them(
    rule_list: list[dict[str, Any]], before: Facts, indexed: bool
) -> None:
    over = frozenset(table["code"] for table in rule_list)
    compiled = compile_ruleset(1, entries_of(rule_list), DESK, index_from=0 if indexed else NO_INDEX)
    decision = decide(compiled, before, wait_over=over)
    assert as_said(decision, before) == say(rule_list, SORTS, before, wait_over=over)
    at_once = decide(compiled, before, wait_over=over, with_trace=True)
    assert at_once.but() == decision.but()


@pytest.mark.slow
@examples(300)
@given(st.data(), lists(), facts())
def test_the_index_changes_nothing_but_the_time(
    data: st.DataObject, rule_list: list[dict[str, Any]], before: Facts
) -> None:
    how = data.draw(circumstances(rule_list))
    entries = entries_of(rule_list)
    plain = decide(compile_ruleset(1, entries, DESK, index_from=NO_INDEX), before, **how)
    short = data.draw(st.sampled_from([0, NO_INDEX]))  # as a long list, or as a short one
    compiled = compile_ruleset(1, entries, DESK, index_from=short, short_trace_from=0)
    indexed = decide(compiled, before, **how)
    # Why is worked out by asking every row; it must tell of what was done.
    assert rows_fired(plain) == rows_fired(indexed) == sorted(plain.fired)
    assert indexed.but(trace=plain.trace) == plain.but()
    for one in (plain, indexed):
        ruleset = compiled if one is indexed else compile_ruleset(1, entries, DESK, index_from=NO_INDEX)
        at_once = decide(ruleset, before, **how, with_trace=True)
        assert at_once.but() == one.but()
    # Of its trace the rows that decided are left, and no row twice.
    kept = {entry.code: {row.row: row for row in entry.rows} for entry in plain.trace.entries}
    for entry in indexed.trace.entries:
        for row in entry.rows:
            assert kept[entry.code][row.row] == row
    assert [entry.code for entry in indexed.trace.entries] == [
        entry.code
        for entry in plain.trace.entries
        if entry.verdict is not Verdict.NOT_MATCHED or how["only_rows"] is not None
    ]


@examples(120)
@given(tables("T0"), facts(), st.booleans())
def test_an_explanation_never_disagrees_with_the_decision(data: dict[str, Any], before: Facts, over: bool) -> None:
    [entry] = entries_of([data])
    decision = decide(compile_ruleset(1, [entry], DESK), before, wait_over=frozenset({"T0"}) if over else frozenset())
    explained = explain(entry, before, DESK, wait_over=over)
    if not decision.trace.entries:
        assert explained.verdict is Verdict.NOT_TRIGGERED
        assert explained.reason.startswith("The ticket is out of its scope: ")
        return
    [short] = decision.trace.entries
    assert explained.verdict is short.verdict
    full = {row.row: row for row in explained.rows}
    for row in short.rows:
        assert (full[row.row].verdict, full[row.row].truth, full[row.row].steps) == (row.verdict, row.truth, row.steps)
        assert full[row.row].conditions[: len(row.conditions)] == row.conditions
    assert {row.row for row in explained.rows} >= {row["id"] for row in data["rows"]}
    assert [row.row for row in explained.rows if row.verdict is RowVerdict.FIRED] == [
        key.partition("/")[2] for key in decision.fired
    ]


@examples(120)
@given(tables("T0"), facts())
def test_a_row_called_unreachable_never_fires(data: dict[str, Any], before: Facts) -> None:
    [entry] = entries_of([data])
    assert entry.table is not None
    unreachable = {f"T0/{problem.where['row']}" for problem in lint(entry.table, DESK) if problem.code == "unreachable"}
    if data["hit"] == "first":
        unreachable |= {
            f"T0/{problem.where['row']}" for problem in lint(entry.table, DESK) if problem.code == "duplicate"
        }
    decision = decide(compile_ruleset(1, [entry], DESK), before, wait_over=frozenset({"T0"}))
    assert unreachable.isdisjoint(decision.fired)


@examples(80)
@given(lists(2), facts())
def test_going_on_after_a_wait_fires_what_one_pass_fires(rule_list: list[dict[str, Any]], before: Facts) -> None:
    ruleset = compile_ruleset(1, entries_of(rule_list), DESK)
    over = frozenset(table["code"] for table in rule_list)
    whole = decide(ruleset, before, wait_over=over)
    fired: list[str] = []
    staged: dict[str, Any] = {}
    after, done = None, frozenset[str]()
    for _ in range(len(rule_list) + 1):
        part = decide(ruleset, before, after=after, staged=staged, wait_over=done, held=frozenset(fired))
        fired += part.fired
        staged = dict(part.staged)
        if part.wait is None:
            break
        after, done = part.wait.entry, done | {part.wait.entry}
    assert part.wait is None
    assert (fired, staged) == (list(whole.fired), dict(whole.staged))


@examples(80)
@given(tables("T0"))
def test_a_table_survives_the_way_to_data_and_back(data: dict[str, Any]) -> None:
    table = parse_table(data, DESK)
    assert parse_table(dump_table(table), DESK) == table


@examples(50)
@given(lists(2), facts())
def test_traces_and_facts_survive_storage(rule_list: list[dict[str, Any]], before: Facts) -> None:
    trace = decide(compile_ruleset(1, entries_of(rule_list), DESK), before).trace
    assert Trace.from_json(trace.to_json()) == trace
    assert Facts.from_json(before.to_json()) == before
    assert all(entry.verdict is not Verdict.NOT_TRIGGERED for entry in trace.entries)
