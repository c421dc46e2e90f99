"""The index rules out only rows that are certainly false, and rules out those it can."""

from __future__ import annotations

import contextlib
import gc
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import marks, parts, quick
from rules.compiled import CompiledTable
from rules.engine import Entry, compile_ruleset, decide
from rules.facts import Facts
from rules.fields import field
from rules.forms import Form, Unfit
from rules.index import RowIndex
from rules.look import Look
from rules.operators import OPERATORS, clean_operand
from rules.possible import Possible
from rules.table import Clause, Group, GroupKind, Row, Table
from tests.environment.selection import examples
from tests.rules.desk import DESK, a_table, decided, some_facts, tagging
from tickets.item import FieldType

ALPHABET = st.text(alphabet="ab1 é_#-$²", min_size=1, max_size=6)
AMOUNTS = st.integers(-50, 50)


def left(
    rows: list[list[tuple[str, str, Any]]],
    state: dict[str, Any],
    changes: dict[str, Any] | None = None,
    kind: GroupKind = GroupKind.ALL,
    searched: int = quick.MOST_SEARCHED,
) -> list[int]:
    """The rows, each a group of (field, operator, operand), that the index leaves on this state."""
    return left_by(indexed(rows, kind, searched), some_facts(state, changes=changes))


def indexed(
    rows: list[list[tuple[str, str, Any]]], kind: GroupKind = GroupKind.ALL, searched: int = quick.MOST_SEARCHED
) -> RowIndex:
    listed = []
    for at, row in enumerate(rows):
        clauses = []
        for name, op, value in row:
            type = field(name, DESK).type or FieldType.TEXT
            clauses.append(Clause(name, op, clean_operand(OPERATORS[op], type, value)))
        listed.append(Row(f"r{at}", groups=(Group(kind, tuple(clauses)),)))
    table = Table("T", "T", rows=tuple(listed))
    compiled = CompiledTable.of(Entry("T", "T", 1, 0, table=table), 0, table, DESK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "MOST_SEARCHED", searched)
        return RowIndex(compiled.rows)


def left_by(rows_index: RowIndex, facts: Facts) -> list[int]:
    """The rows that it leaves, which it says in two ways."""
    possible = Possible(rows_index, Look(facts, {}))
    said = {bit: possible.matches(bit) for bit in possible.bits if possible.matches(bit) is not False}
    with contextlib.suppress(Unfit):  # of an odd value the straight way says nothing at all
        sure, asked, _ = rows_index.certain(facts, *rows_index.straight(facts)[:2])
        assert said == {**dict.fromkeys(marks.places(sure), True), **dict.fromkeys(marks.places(asked))}
    return list(said)


@pytest.mark.parametrize(
    ("condition", "out", "stays"),
    [
        (("ticket.channel", "any_of", ["email"]), {"channel": "chat"}, {"channel": "email"}),
        (("ticket.channel", "none_of", ["email"]), {"channel": "email"}, {}),
        (("ticket.subject", "is", "Zwrót"), {"subject": "zwroty"}, {"subject": "ZWROT"}),
        (("ticket.subject", "contains_any", ["no refund", "#42"]), {"subject": "refunds 421"}, {"subject": "x #42"}),
        (("ticket.subject", "contains_all", ["a", "refund"]), {"subject": "a b"}, {"subject": "refund of a"}),
        (("ticket.subject", "contains_none", ["refund"]), {"subject": "a refund"}, {"subject": "refunds"}),
        (("ticket.subject", "starts_with", ["a"]), {"subject": "b"}, {"subject": "ab"}),
        (("ticket.subject", "empty", None), {"subject": "b"}, {}),
        (("ticket.tags", "has_any", ["vip"]), {"tags": ["a"]}, {"tags": ["VIP"]}),
        (("ticket.tags", "has_none", ["vip"]), {"tags": ["VIP"]}, {"tags": ["a"]}),
        (("ticket.fields.amount", "greater", 10), {"fields.amount": 9}, {"fields.amount": 11}),
        (("ticket.fields.amount", "less", 10), {"fields.amount": 11}, {"fields.amount": "many"}),
        (("ticket.fields.amount", "between", [1, 2]), {"fields.amount": 3}, {"fields.amount": 2}),
    ],
)
def test_a_value_rules_a_row_out_or_leaves_it(condition: Any, out: dict[str, Any], stays: dict[str, Any]) -> None:
    assert left([[condition]], out) == []
    assert left([[condition]], stays) == [0]


def test_a_field_that_did_not_change_rules_out_rows_about_its_change() -> None:
    row = [("ticket.channel", "changed_to", ["email"])]
    assert left([row], {"channel": "email"}) == []
    assert left([row], {"channel": "email"}, {"channel": ["chat", "email"]}) == [0]


@pytest.mark.parametrize(
    ("condition", "in_part", "whole"),
    [
        (("ticket.tags", "has_all", ["vip", "new"]), {"tags": ["vip"]}, {"tags": ["vip", "new"]}),
        (("ticket.subject", "contains_all", ["no", "way"]), {"subject": "no"}, {"subject": "no way"}),
        (("ticket.fields.amount", "between", [6, 8]), {"fields.amount": 9}, {"fields.amount": 8}),
    ],
)
def test_a_group_holds_only_where_all_of_what_its_bits_say_in_part_does(
    condition: Any, in_part: dict[str, Any], whole: dict[str, Any]
) -> None:
    row = [condition, ("ticket.channel", "is", "email")]
    assert left([row], in_part, kind=GroupKind.ANY) == []
    assert left([row], whole, kind=GroupKind.ANY) == [0]


SOME = [
    ("ticket.channel", "is", "email"),
    ("ticket.channel", "is_not", "chat"),
    ("ticket.subject", "contains_any", ["refund", "no way"]),
    ("ticket.subject", "contains_none", ["refund"]),
    ("ticket.subject", "contains_all", ["no", "way"]),
    ("ticket.subject", "is", "way"),
    ("ticket.tags", "has_any", ["vip"]),
    ("ticket.tags", "has_all", ["vip", "new"]),
    ("ticket.tags", "has_none", ["new"]),
    ("ticket.fields.amount", "greater", 5),
    ("ticket.fields.amount", "less_or_equal", 7),
    ("ticket.fields.amount", "between", [6, 8]),
    ("ticket.fields.amount", "empty", None),
    ("ticket.channel", "changed_to", ["email"]),
]


@examples(150)
@given(
    st.lists(st.lists(st.sampled_from(SOME), min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from(list(GroupKind)),
    st.fixed_dictionaries(
        {},
        optional={
            "channel": st.sampled_from(["email", "chat", "form"]),
            "subject": st.sampled_from(["refund", "No  way", "way", "no refund", "é refund"]),
            "tags": st.sampled_from([["vip"], ["VIP", "new"], ["a"]]),
            "fields.amount": st.sampled_from([5, 6, 7, 8, 8.5]),
        },
    ),
    st.booleans(),
    st.sampled_from([0, 8]),
)
def test_a_group_is_left_exactly_when_it_holds(
    rows: list[list[tuple[str, str, Any]]], kind: GroupKind, state: dict[str, Any], moved: bool, searched: int
) -> None:
    changes = {"channel": ["form", state.get("channel")]} if moved else {}
    truths = []
    for row in rows:
        said = []
        for name, op, value in row:
            operator, found = OPERATORS[op], field(name, DESK)
            there = changes.get("channel") if op == "changed_to" else state.get(found.state_key)
            type = found.type or FieldType.TEXT
            test = operator.test(type, clean_operand(operator, type, value))
            said.append(operator.when_missing if there is None else test(there))
        truths.append({"all": all(said), "any": any(said), "none": not any(said)}[kind.value])
    held = [at for at, truth in enumerate(truths) if truth]
    assert left(rows, state, changes, kind, searched) == held


@examples(200)
@given(st.lists(ALPHABET.filter(lambda one: one.strip()), min_size=1, max_size=3, unique=True), ALPHABET)
def test_a_row_with_keywords_is_left_exactly_when_it_matches(keywords: list[str], text: str) -> None:
    for key in ("contains_any", "contains_all", "contains_none", "is_not", "starts_with"):
        operator = OPERATORS[key]
        value = keywords if operator.operand.value == "many" else keywords[0]
        if text.strip():
            there = left([[("ticket.subject", key, value)]], {"subject": text}) == [0]
            assert there == operator.test(FieldType.TEXT, value)(text)


@pytest.mark.parametrize(
    ("kept", "at_a_time", "searches"), [(parts.MAX_SEARCHES, 4, [5]), (1, 4, [2]), (parts.MAX_SEARCHES, 2, [2, 1])]
)
@pytest.mark.parametrize("kind", [GroupKind.ALL, GroupKind.ANY])
def test_a_text_is_searched_for_the_rows_that_are_left_whichever_they_were_before(
    kept: int, at_a_time: int, searches: list[int], kind: GroupKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no more searches are kept, and for half of the rows at a time."""
    monkeypatch.setattr(parts, "MAX_SEARCHES", kept)
    monkeypatch.setattr(parts, "ROWS_AT_A_TIME", at_a_time)
    rows: list[list[tuple[str, str, Any]]] = [
        [("ticket.channel", "is", "email"), ("ticket.subject", "contains_any", ["refund"])],
        [("ticket.channel", "is", "chat"), ("ticket.subject", "contains_any", ["no way", "late"])],
        [("ticket.priority", "is", "high"), ("ticket.subject", "contains_none", ["late", "way"])],
        [("ticket.priority", "is", "high"), ("ticket.subject", "contains_all", ["late", "refund"])],
    ]
    index = indexed(rows, kind)
    for text in ("A REFUND", "no  way", "way", "late refund", "late", "refunds", "x", "", "é late"):
        for channel in ("email", "chat", "form"):
            for priority in ("high", "low"):
                state = {"channel": channel, "priority": priority, "subject": text or None}
                assert left_by(index, some_facts(state)) == left(rows, state, kind=kind)
    found = next(part for part in index.parts if part.form is Form.TEXT)
    # Of rows which only a group looks at none is out before the text says so.
    sets = [len(some) for some in found.searches]
    assert sets == (searches if kind is GroupKind.ALL else [1] * len(searches))


def test_many_keywords_of_few_rows_are_searched_for_all_at_once() -> None:
    """A search for each set of rows would take as much memory as all of them together, as often."""
    words = [f"word{at}" for at in range(400)]
    index = indexed([[("ticket.subject", "contains_any", words)], [("ticket.subject", "contains_none", ["refund"])]])
    assert next(part for part in index.parts if part.form is Form.TEXT).searches == ()
    for text, rows in (("a WORD399", [0, 1]), ("word7 refund", [0]), ("words", [1])):
        assert left_by(index, some_facts({"subject": text})) == rows


@pytest.mark.parametrize("rows", [1, parts.ROWS_AT_A_TIME * parts.MOST_TIMES + 1])
def test_a_text_of_nothing_but_spaces_is_asked_of_the_conditions(rows: int) -> None:
    index = indexed([[("ticket.subject", "contains_none", ["refund"])]] * rows)
    assert index.straight(some_facts({"subject": "x"}))[0] == index.all_rows
    assert index.straight(some_facts({"subject": "refund"}))[0] == 0
    with pytest.raises(Unfit):
        index.straight(some_facts({"subject": " "}))


@examples(100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["greater", "greater_or_equal", "less", "less_or_equal"]), AMOUNTS), max_size=40
    ),
    st.one_of(AMOUNTS, AMOUNTS.map(float)),
    st.integers(1, 5),
)
def test_a_row_with_a_limit_is_left_exactly_when_it_matches_however_few_limits_are_known(
    limits: list[tuple[str, int]], amount: float, steps: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks, "MAX_LIMITS", steps)
        rows = left([[("ticket.fields.amount", op, value)] for op, value in limits], {"fields.amount": amount})
    for at, (op, value) in enumerate(limits):
        assert OPERATORS[op].test(FieldType.NUMBER, value)(amount) == (at in rows)


@pytest.mark.parametrize(
    ("amount", "rows"),
    [
        (2.5, [2, 3]),
        (5, [1, 3]),
        (5.0, [1, 3]),
        (5.5, [0, 1]),
        (-5.0, [2, 3]),
        (math.nextafter(5, 0), [2, 3]),
        (math.nextafter(5, 6), [0, 1]),
        (1e-12, [2, 3]),
        (0.0, [2, 3]),
        (3e14, [0, 1]),
    ],
)
def test_a_limit_is_a_limit_for_numbers_with_a_fraction_too(amount: float, rows: list[int]) -> None:
    limits = [[("ticket.fields.amount", op, 5)] for op in ("greater", "greater_or_equal", "less", "less_or_equal")]
    assert left(limits, {"fields.amount": amount}) == rows


@pytest.mark.parametrize("amount", [math.nan, math.inf, 1e16])
def test_a_row_is_asked_about_what_is_no_number_or_too_large_to_compare_quickly(amount: float) -> None:
    rows = [[("ticket.fields.amount", "less", 5)], [("ticket.fields.amount", "greater", 5)]]
    assert left(rows, {"fields.amount": amount}) == [0, 1]
    assert left(rows, {"fields.amount": 9e13}) == [1]


@pytest.mark.parametrize(("tags", "rows"), [(["a", "b"], []), (["a", "c"], [0]), (["c", "b"], [1]), (["c", "d"], [])])
def test_several_conditions_of_a_row_on_one_set_must_hold_together(tags: list[str], rows: list[int]) -> None:
    def having(some: str, none: str) -> list[tuple[str, str, Any]]:
        return [("ticket.tags", "has_any", [some]), ("ticket.tags", "has_none", [none])]

    assert left([having("a", "b"), having("b", "a")], {"tags": tags}) == rows


def test_a_staged_write_lets_later_rows_that_read_it_match() -> None:
    rows = [tagging(f"r{at}", c1={"value": [f"t{at}"]}) for at in range(400)]
    columns = [{"id": "c1", "field": "ticket.tags"}]
    later = a_table([*rows, tagging("hit", c1=["first"])], columns=columns, code="B")
    first = a_table([tagging("r1", "first")], code="A")
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate([first, later])]
    decision = decide(compile_ruleset(1, entries, DESK), some_facts())
    assert decision.fired == ("A/r1", "B/hit")


def test_many_tables_are_decided_in_order_from_the_one_that_waited() -> None:
    tables = [
        a_table([tagging("r1", f"t{at}", c1="email" if at % 50 == 0 else "chat")], code=f"T{at}") for at in range(400)
    ]
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    ruleset = compile_ruleset(1, entries, DESK)
    email = some_facts({"channel": "email"})
    later = tuple(f"T{at}/r1" for at in range(200, 400, 50))
    assert decide(ruleset, email).fired == ("T0/r1", "T50/r1", "T100/r1", "T150/r1", *later)
    assert decide(ruleset, email, after="T50").fired == ("T50/r1", "T100/r1", "T150/r1", *later)
    assert decide(ruleset, email, after="T399").fired == ()


def test_first_means_the_first_row_only_with_an_index() -> None:
    rows = [tagging(f"r{at}", c1="chat") for at in range(400)] + [tagging("hit", c1="email"), tagging("later")]
    assert decided(some_facts({"channel": "email"}), a_table(rows)).fired == ("A01/hit",)
    every = decided(some_facts({"channel": "email"}), a_table(rows, hit="every"))
    assert every.fired == ("A01/hit", "A01/later")
    otherwise = {"then": {"s1": {"tags": ["else"]}}}
    ends = {**tagging("ends"), "stop": True}
    assert decided(some_facts({"channel": "email"}), a_table([*rows, ends], otherwise=otherwise)).fired == ("A01/hit",)


@pytest.mark.parametrize("others", [0, 400])
def test_a_group_with_an_unknown_lookup_is_asked_and_one_that_holds_without_it_matches(others: int) -> None:
    columns = [{"id": "c1", "field": "ticket.channel"}]
    gold = {"field": "erp.find_party.tier", "op": "is", "value": "gold"}

    def a_row(id: str, channel: str) -> dict[str, Any]:
        either = [{"field": "ticket.channel", "op": "is", "value": channel}, gold]
        return {**tagging(id), "groups": [{"any": either}]}

    rows = [*(tagging(f"r{at}", c1="chat") for at in range(others)), a_row("mail", "email"), a_row("form", "form")]
    table = a_table(rows, columns=columns, hit="every", wait_s=0)
    decision = decided(some_facts({"channel": "email"}), table)
    assert decision.fired == ("A01/mail",)
    assert [one.row_key for one in decision.skipped] == ["A01/form"]


def test_a_group_that_held_before_a_rule_wrote_is_asked_again_when_the_rest_of_it_is_unknown() -> None:
    low = {"field": "ticket.priority", "op": "is", "value": "low"}
    gold = {"field": "erp.find_party.tier", "op": "is", "value": "gold"}
    row = {**tagging("either"), "groups": [{"any": [low, gold]}]}
    raises = {"id": "r1", "if": {"c1": {"value": ["email"]}}, "then": {"p": {"priority": "high"}}}
    entries, _ = _many(
        a_table([row], code="BEFORE", hit="every", wait_s=0),
        a_table([raises], steps=[{"id": "p", "do": "set_priority"}], code="RAISES"),
        a_table([row], code="AFTER", hit="every", wait_s=0),
    )
    decision = decide(compile_ruleset(1, entries, DESK), some_facts({"channel": "email", "priority": "low"}))
    assert decision.fired == ("BEFORE/either", "RAISES/r1")
    assert [one.row_key for one in decision.skipped] == ["AFTER/either"]


def test_an_error_in_one_row_is_none_in_another_that_looks_at_the_same_field() -> None:
    columns = [{"id": "c1", "field": "ticket.channel"}, {"id": "n", "field": "ticket.fields.amount"}]
    rows = [tagging(f"r{at}", c1="chat") for at in range(400)]
    rows += [tagging("more", n={"op": "greater", "value": 5}), tagging("there", n={"op": "not_empty"})]
    decision = decided(some_facts({"fields.amount": "many"}), a_table(rows, columns=columns, hit="every", wait_s=0))
    assert decision.fired == ("A01/there",)
    assert [(one.row_key, one.failed) for one in decision.skipped] == [("A01/more", True)]


def _many(*more: Any) -> tuple[list[Entry], int]:
    """Many one-row tables about chats, then these."""
    tables = [*(a_table([tagging("r1", c1="chat")], code=f"T{at}") for at in range(400)), *more]
    return [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)], len(tables)


@pytest.mark.parametrize("collecting", [True, False])
def test_compiling_leaves_the_garbage_collector_as_it_was(collecting: bool) -> None:
    was_on = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        compile_ruleset(1, [], DESK)
        assert gc.isenabled() is collecting
        with pytest.raises(ValueError, match="the same code"):
            compile_ruleset(1, [Entry("A", "A", 1, 0), Entry("A", "A", 1, 1)], DESK)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if was_on else gc.disable)()


def test_a_write_of_one_of_many_tables_is_read_by_the_later_ones() -> None:
    raised = {"columns": [{"id": "c1", "field": "ticket.priority"}]}
    entries, _ = _many(
        a_table(
            [{"id": "r1", "if": {}, "then": {"p": {"priority": "high"}}}],
            steps=[{"id": "p", "do": "set_priority"}],
            code="RAISES",
        ),
        a_table([tagging("r1", "low", c1="low")], code="LOW", **raised),
        a_table([tagging("r1", "high", c1="high")], code="HIGH", **raised),
    )
    ruleset = compile_ruleset(1, entries, DESK)
    for _ in range(2):  # the first time shows the index that rules write to the field
        assert decide(ruleset, some_facts({"priority": "low"})).fired == ("RAISES/r1", "HIGH/r1")


def test_of_many_tables_one_is_decided_with_all_that_it_has() -> None:
    out_of_scope = {"scope": [{"field": "ticket.priority", "op": "is", "value": "high"}]}
    entries, _ = _many(
        a_table([tagging("r1", "plain", c1="email")], code="PLAIN"),
        a_table([tagging("r1", "scoped", c1="email")], code="SCOPED", **out_of_scope),
        a_table([tagging("r1", "task", c1="email")], code="TASK", kind="task"),
        a_table([tagging("r1", "one", c1="email"), tagging("r2", "two", c1="email")], code="FIRST"),
        a_table([tagging("r1", c1="form")], code="ELSE", otherwise={"then": {"s1": {"tags": ["else"]}}}),
        a_table([tagging("r1", c1="email")], code="ROW", hit="every", otherwise={"then": {"s1": {"tags": ["else"]}}}),
        a_table([{**tagging("r1", "end", c1="email"), "stop": True}], code="ENDS"),
        a_table([tagging("r1", "late", c1="email")], code="LATE"),
    )
    ruleset = compile_ruleset(1, entries, DESK)
    email = some_facts({"channel": "email"})
    every = ("PLAIN/r1", "FIRST/r1", "ELSE/otherwise", "ROW/r1", "ENDS/r1")
    assert decide(ruleset, email).fired == every
    assert decide(ruleset, email, held=frozenset({"PLAIN/r1"})).fired == every[1:]
    assert decide(ruleset, email, effects_left=1).fired == every[:1]


def test_a_row_is_asked_when_its_lookup_is_unknown_and_left_out_when_another_cell_is_false() -> None:
    columns = [{"id": "c1", "field": "ticket.channel"}, {"id": "tier", "field": "erp.find_party.tier"}]
    rows = [tagging(f"r{at}", c1="chat", tier="gold") for at in range(400)]
    table = a_table([*rows, tagging("rich", c1="email", tier="gold"), tagging("rest", c1="email")], columns=columns)
    waiting = decided(some_facts({"channel": "email"}), table)
    assert waiting.wait is not None
    assert [key.name for key in waiting.wait.lookups] == ["erp.find_party"]
    answered = some_facts(
        {"channel": "email"}, lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}}}
    )
    assert decided(answered, table).fired == ("A01/rich",)
    poor = some_facts({"channel": "email"}, lookups={"erp.find_party": {"state": "known", "data": {"tier": "silver"}}})
    assert decided(poor, table).fired == ("A01/rest",)
    assert decided(some_facts({"channel": "form"}), table).wait is None


@pytest.mark.parametrize(("name", "op", "value"), [("ticket.fields.amount", "is", 1), ("message.public", "is", True)])
def test_what_a_value_sets_is_not_remembered_for_another_that_a_dictionary_takes_for_the_same(
    name: str, op: str, value: Any
) -> None:
    """1 and True are one key of a dictionary: the second of them is asked, whatever the first one came to."""
    columns = [{"id": "c1", "field": name, "op": op}]
    table = a_table([tagging("r1", c1={"value": value})], columns=columns)
    ruleset = compile_ruleset(1, [Entry("T", "T", 1, 0, table=table)], DESK, index_from=0)
    for _ in range(2):
        for one in (1, True, 1.0):
            decision = decide(ruleset, some_facts({"fields.amount": one}, message={"public": one}))
            odd = isinstance(one, bool) is not isinstance(value, bool)
            assert [skipped.failed for skipped in decision.skipped] == ([True] if odd else [])
            assert list(decision.fired) == ([] if odd else ["T/r1"])


@pytest.mark.parametrize("index_from", [0, 1_000])
@pytest.mark.parametrize(("answer", "fired"), [(None, False), ({"vip": True}, False), ({}, True)])
def test_whether_an_unknown_value_is_empty_is_asked_where_only_a_group_in_a_group_looks_at_it(
    index_from: int, answer: dict[str, Any] | None, fired: bool
) -> None:
    """What the index has no bits for is compared in code, in which an unknown value must not pass for a known one."""
    vip = {"field": "crm.get_account.vip", "op": "empty"}
    inner = {"all": [{"field": "ticket.channel", "op": "is", "value": "chat"}, vip]}
    row = {"id": "r1", "groups": [{"any": [inner, vip]}], "then": {"s1": {"tags": ["found"]}}}
    ruleset = compile_ruleset(1, [Entry("T", "T", 1, 0, table=a_table([row], wait_s=0))], DESK, index_from=index_from)
    lookups = {} if answer is None else {"crm.get_account": {"state": "known", "data": answer}}
    decision = decide(ruleset, some_facts({"channel": "email"}, lookups=lookups))
    assert list(decision.fired) == (["T/r1"] if fired else [])
    assert [one.row_key for one in decision.skipped] == (["T/r1"] if answer is None else [])
