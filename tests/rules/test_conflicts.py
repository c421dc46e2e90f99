"""Rows that say something against each other are found, each with an example on which the engine shows it (N4)."""

from __future__ import annotations

from typing import Any

import pytest

from rules import conflicts, reach
from rules.compiled import CompiledTable
from rules.conflicts import in_list, in_table
from rules.engine import Entry, decide
from rules.examples import Found, example
from rules.table import Table
from tests.rules.desk import DESK, a_list, a_table, decided

COLUMNS = [
    {"id": "ch", "field": "ticket.channel", "op": "any_of"},
    {"id": "amount", "field": "ticket.fields.amount", "op": "greater"},
    {"id": "text", "field": "message.text", "op": "contains_any"},
    {"id": "topic", "field": "ticket.fields.topic"},
    {"id": "tier", "field": "erp.find_party.tier"},
]
STEPS = [{"id": "p", "do": "set_priority"}, {"id": "s", "do": "set_status"}, {"id": "t", "do": "add_tags"}]


def row(id: str, *, priority: str = "", status: str = "", **cells: Any) -> dict[str, Any]:
    then: dict[str, Any] = {"p": {"priority": priority}} if priority else {}
    if status:
        then["s"] = {"status": status}
    return {"id": id, "if": cells, "then": then or {"t": {"tags": ["x"]}}}


def table(*rows: dict[str, Any], columns: Any = None, **more: Any) -> Table:
    return a_table(list(rows), columns=COLUMNS if columns is None else columns, steps=STEPS, **more)


def found(one: Table) -> list[Found]:
    return in_table(Entry(one.code, one.name, 1, 0, table=one), DESK)


def codes(several: list[Found]) -> list[tuple[str, str]]:
    return [(one.problem.code, one.problem.where.get("row", "")) for one in several]


# Two rows of a table


def test_n4_two_rows_that_write_one_field_differently_are_found_and_the_example_fires_both() -> None:
    both = table(
        row("r1", priority="high", ch=["email"]), row("r2", priority="low", amount=100, text=["refund"]), hit="every"
    )
    [one] = found(both)
    assert (one.problem.code, one.problem.where) == ("written_twice", {"row": "r2"})
    assert one.problem.message == (
        "Row 2 writes over what row 1 wrote: Priority becomes High, then Low. "
        "For example: Channel = E-mail; Amount = 101; Message = refund."
    )
    assert one.example is not None
    decision = decided(one.example, both)
    assert decision.fired == ("A01/r1", "A01/r2")
    assert decision.staged["priority"] == "low"


@pytest.mark.parametrize(
    "second",
    [
        row("r2", priority="low", ch=["chat"]),  # no ticket comes both ways
        row("r2", priority="high", amount=100),  # both say the same
        row("r2", status="solved", amount=100),  # another field
        row("r2", amount=100),  # writes nothing that the first does
    ],
)
def test_rows_that_cannot_fire_together_or_agree_are_left_alone(second: dict[str, Any]) -> None:
    assert found(table(row("r1", priority="high", ch=["email"]), second, hit="every")) == []


def test_of_a_first_table_one_row_fires_so_nothing_is_written_twice() -> None:
    rows = (row("r1", priority="high", ch=["email"]), row("r2", priority="low", amount=100))
    assert found(table(*rows)) == []
    assert codes(found(table(*rows, hit="every"))) == [("written_twice", "r2")]


def test_groups_a_scope_and_answers_from_outside_stand_in_the_example() -> None:
    first = row("r1", priority="high", tier="gold")
    first["groups"] = [
        {"any": [{"field": "ticket.team", "value": "billing"}, {"field": "ticket.subject", "value": "x"}]}
    ]
    both = table(
        first, row("r2", priority="low"), hit="every", scope=[{"field": "ticket.tags", "op": "has_any", "value": "vip"}]
    )
    [one] = found(both)
    assert one.example is not None
    assert one.example.item["tags"] == ["vip"]
    assert one.example.item["team"] == "billing"
    assert one.example.lookups["erp.find_party"]["data"] == {"tier": "gold"}
    assert decided(one.example, both).fired == ("A01/r1", "A01/r2")


# Never reached, and gaps


def test_n4_a_row_that_earlier_ones_catch_together_is_never_reached() -> None:
    is_not = {"op": "is_not", "value": "refund"}
    rows = [row("r1", topic="refund"), row("r2", topic=is_not), row("r3", ch=["email"])]
    assert codes(found(table(*rows))) == [("unreachable_together", "r3")]
    # What is not known satisfies neither, so of two rows about an answer from outside the third takes over.
    gold = [row("r1", tier="gold"), row("r2", tier={"op": "is_not", "value": "gold"}), row("r3", ch=["email"])]
    assert codes(found(table(*gold))) == []
    assert codes(found(table(rows[0], rows[2]))) == []
    # A ticket may still have a topic that the menu has lost, so to name all of today's is not to name all.
    every, empty = {"op": "any_of", "value": ["refund", "invoice"]}, {"op": "empty"}
    none = [row("r1", topic=every), row("r2", topic="outage"), row("r3", topic=empty), row("r4", ch=["email"])]
    assert ("unreachable_together", "r4") not in codes(found(table(*none)))
    assert codes(found(table(*rows, hit="every"))) == []


def test_numbers_are_caught_up_to_their_bounds() -> None:
    def rows(low: dict[str, Any]) -> list[dict[str, Any]]:
        return [row("r1", amount=10), row("r2", amount=low), row("r3", amount={"op": "between", "value": [5, 20]})]

    at_most = {"op": "less_or_equal", "value": 10}
    assert ("unreachable_together", "r3") in codes(found(table(*rows(at_most))))
    # Ten itself is left over.
    assert codes(found(table(*rows({"op": "less", "value": 10})))) == [("gap", "")]


def test_an_empty_number_is_counted_beside_the_numbers_that_are_compared() -> None:
    empty, there = {"op": "empty"}, {"op": "not_empty"}
    rows = [row("r1", amount=empty), row("r2", amount=10), row("r3", amount={"op": "less_or_equal", "value": 10})]
    assert codes(found(table(*rows))) == []
    assert ("unreachable_together", "r4") in codes(found(table(*rows, row("r4", amount=there))))
    assert codes(found(table(row("r1", amount=empty), row("r2", amount=there)))) == []


def test_n4_a_table_that_goes_through_values_and_leaves_one_out_has_a_gap() -> None:
    rows = [row("r1", ch=["email"]), row("r2", ch=["chat", "form"])]
    [one] = found(table(*rows))
    assert one.problem.message == (
        "No row takes every ticket, and there is no otherwise row. For example, none takes: Channel = API."
    )
    assert one.example is not None
    assert decided(one.example, table(*rows)).fired == ()
    assert found(table(*rows, otherwise={"then": {"t": {"tags": ["x"]}}})) == []
    assert codes(found(table(*rows, row("r3", topic="refund")))) == []  # single cases, not a list of values


@pytest.mark.parametrize(
    ("field", "op", "cells"),
    [
        ("message.author", "any_of", [["customer", "agent"], ["bot", "third_party"]]),
        ("message.public", "is", [True, False]),
        ("event.actor", "any_of", [["agent", "customer"], ["third_party", "automation", "system"]]),
        ("event.depth", "less", [1, {"op": "greater_or_equal", "value": 1}]),
    ],
)
def test_what_every_message_and_event_has_leaves_no_gap(field: str, op: str, cells: list[Any]) -> None:
    def gaps(*triggers: dict[str, str]) -> list[tuple[str, str]]:
        rows = [row(f"r{n}", c=cell) for n, cell in enumerate(cells)]
        return codes(found(table(*rows, columns=[{"id": "c", "field": field, "op": op}], triggers=list(triggers))))

    message = {"on": "message", "by": "anyone"}
    assert ("gap", "") not in gaps(message)
    # Beside a message there may be none.
    beside = gaps(message, {"on": "created"})
    assert (("gap", "") in beside) is field.startswith("message.")


def test_what_a_scope_excludes_is_no_gap_and_the_example_is_what_is_told() -> None:
    by_chat = [{"field": "ticket.channel", "value": "chat"}]
    rest = row("r2", ch=["chat"], topic={"op": "is_not", "value": "refund"})
    assert found(table(row("r1", ch=["chat"], topic="refund"), rest, scope=by_chat)) == []
    leaves_out = table(row("r1", ch=["chat"], topic="refund"), row("r2", ch=["chat"], topic="invoice"), scope=by_chat)
    [one] = found(leaves_out)
    assert one.problem.message == (
        "No row takes every ticket, and there is no otherwise row. "
        "For example, none takes: Channel = Chat; Topic = Outage."
    )
    assert one.example is not None
    assert (one.example.item["channel"], one.example.item["fields.topic"]) == ("chat", "outage")
    assert decided(one.example, leaves_out).fired == ()


def test_to_name_every_status_leaves_no_gap() -> None:
    status = [{"id": "st", "field": "ticket.status", "op": "any_of"}]
    begun, over = ["open", "waiting_customer", "waiting_team"], ["snoozed", "solved", "closed"]
    assert found(table(row("r1", st=begun), row("r2", st=over), columns=status)) == []
    [one] = found(table(row("r1", st=begun), row("r2", st=over[1:]), columns=status))
    assert one.problem.message.endswith("none takes: Status = Snoozed.")
    # A topic may well be empty.
    topics = [row("r1", topic={"op": "any_of", "value": ["refund", "invoice"]}), row("r2", topic="outage")]
    [one] = found(table(*topics))
    assert one.problem.message.endswith("none takes: Topic = (empty).")


def test_a_row_with_a_text_or_a_group_is_held_against_the_rows_that_can_be_counted() -> None:
    """It takes no more than its other cells would alone; and catches nothing for certain itself."""
    is_not = {"op": "is_not", "value": "refund"}
    rows = [row("r1", topic="refund"), row("r2", text=["vat"], ch=["chat"]), row("r3", topic=is_not)]
    grouped = row("r4", ch=["email"], text=["vat"])
    grouped["groups"] = [{"any": [{"field": "ticket.subject", "value": "x"}]}]
    assert codes(found(table(*rows, grouped))) == [("unreachable_together", "r4")]
    only_some = [rows[0], row("r2", topic=is_not, text=["vat"]), grouped]
    assert codes(found(table(*only_some))) == []


# Tables of a list


def test_n4_two_tables_that_write_one_field_differently_are_found_and_the_example_fires_both() -> None:
    first = table(row("r1", priority="high", ch=["email"]))
    second = table(row("r1", priority="low", amount=5), code="A02")
    ruleset = a_list(first, second)
    for code in ("A01", "A02"):
        [one] = in_list(ruleset, code)
        assert one.rows == ("A01/r1", "A02/r1")
        assert one.problem.message == (
            "A02 row 1 writes over what A01 row 1 wrote: Priority becomes High, then Low. "
            "For example: Channel = E-mail; Amount = 6."
        )
        assert one.example is not None
        assert decide(ruleset, one.example).fired == one.rows


def test_tables_that_never_run_on_one_event_are_left_alone() -> None:
    first = table(row("r1", priority="high", ch=["email"]))
    later = table(row("r1", priority="low"), code="A02", triggers=[{"on": "message", "by": "customer"}])
    assert in_list(a_list(first, later), "A01") == []
    task = table(row("r1", priority="low"), code="A02", kind="task", columns=[])
    assert in_list(a_list(first, task), "A01") == []
    stopped = row("r1", priority="high", ch=["email"]) | {"stop": True}
    assert in_list(a_list(table(stopped), table(row("r1", priority="low", amount=5), code="A02")), "A01") == []


def changing(code: str, to: str, then: str) -> Table:
    return table(
        row("r1", priority=then, ch=["email"]), code=code, triggers=[{"on": "changed", "field": "priority", "to": to}]
    )


def test_n4_a_circle_of_changes_is_found_and_the_example_goes_round() -> None:
    ruleset = a_list(changing("A01", "low", "high"), changing("A02", "high", "low"))
    circles = [one for one in in_list(ruleset, "A01") if one.problem.code == "circle"]
    [one] = circles
    assert one.rows == ("A01/r1", "A02/r1")
    assert "A01 row 1 → A02 row 1 → A01 row 1" in one.problem.message
    assert one.example is not None
    assert "A01/r1" in decide(ruleset, one.example).fired


def test_a_write_that_ends_where_it_began_closes_no_circle() -> None:
    # The second sets what the first waited for, but that is already so: nothing changes, so nothing runs.
    first = table(row("r1", status="open"), triggers=[{"on": "changed", "field": "priority", "to": "low"}])
    second = table(row("r1", priority="low"), code="A02", triggers=[{"on": "changed", "field": "status", "to": "open"}])
    assert in_list(a_list(first, second), "A01") == []
    assert in_list(a_list(changing("A01", "low", "high"), changing("A02", "urgent", "low")), "A01") == []


# Bounds


def test_a_search_that_ends_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "MAX_SEARCHES", 1)
    rows = [row(f"r{n}", priority=("high", "low")[n % 2], amount=n) for n in range(4)]
    assert codes(found(table(*rows, hit="every"))) == [("written_twice", "r1"), ("conflicts_incomplete", "")]


def test_a_count_that_ends_early_says_so_and_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    is_not = {"op": "is_not", "value": "refund"}
    rows = [row("r1", topic="refund"), row("r2", topic=is_not), row("r3", ch=["email"])]
    assert codes(found(table(*rows))) == [("unreachable_together", "r3")]
    monkeypatch.setattr(reach, "MOST_STEPS", 1)
    assert codes(found(table(*rows))) == [("reach_incomplete", "")]
    monkeypatch.setattr(reach, "MOST_STEPS", 100)
    monkeypatch.setattr(reach, "MOST_CELLS", 3)
    assert codes(found(table(*rows))) == [("reach_incomplete", "")]


def test_pairs_beyond_the_bound_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tables of a thousand rows have a million pairs: the review page does not wait for them."""
    first = table(row("r1", priority="high", amount=5), row("r2", priority="high", ch=["email"]))
    ruleset = a_list(first, table(row("r1", priority="low", ch=["email"]), code="A02"))
    monkeypatch.setattr(conflicts, "MAX_COMPARED", 1)
    assert [one.problem.code for one in in_list(ruleset, "A02")] == ["written_twice", "conflicts_incomplete"]
    monkeypatch.setattr(conflicts, "MAX_COMPARED", 0)
    assert [one.problem.code for one in in_list(ruleset, "A02")] == ["conflicts_incomplete"]
    monkeypatch.setattr(conflicts, "MAX_COMPARED", 10)
    assert [one.problem.code for one in in_list(ruleset, "A02")] == ["written_twice"]


def test_values_beyond_the_bound_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    both = table(row("r1", priority="high", ch=["email"]), row("r2", priority="low", amount=100), hit="every")
    monkeypatch.setattr(conflicts, "MAX_TRIED", 2)
    assert codes(found(both)) == [("conflicts_incomplete", "")]
    monkeypatch.setattr(conflicts, "MAX_TRIED", 20)
    assert codes(found(both)) == [("written_twice", "r2")]


def test_what_no_value_fulfils_is_not_tried_again_for_every_way() -> None:
    """Two rows that exclude each other, each with groups: the review page does not wait for all ways to fulfil them."""
    any_of_ten = {"any": [{"field": "message.text", "op": "contains_any", "value": [f"w{n}"]} for n in range(10)]}
    first, second = row("r1", text=["x"], ch=["email"]), row("r2", text=["y"], ch=["chat"])
    first["groups"] = second["groups"] = [any_of_ten]
    one = table(first, second)
    compiled = CompiledTable.of(Entry("A01", "T", 1, 0, table=one), 0, one, DESK)
    tried: list[None] = []
    nodes = [each.all for each in compiled.rows]
    assert example(compiled, nodes, DESK, tried=lambda: tried.append(None)) is None
    assert len(tried) < 200  # thirty-two ways, some ten values each


def test_more_findings_than_are_shown_are_said_to_be_more() -> None:
    rows = [row(f"r{n}", priority=("high", "low")[n % 2]) for n in range(conflicts.MAX_FINDINGS + 2)]
    told = codes(found(table(*rows, hit="every")))
    assert len(told) == conflicts.MAX_FINDINGS + 1
    assert told[-1] == ("conflicts_incomplete", "")
    assert ("conflicts_incomplete", "") not in codes(found(table(*rows[:-1], hit="every")))


def test_an_example_is_not_made_up_where_conditions_exclude_each_other() -> None:
    one = table(row("r1", ch=["email"], amount=10), row("r2", ch=["chat"]))
    compiled = CompiledTable.of(Entry("A01", "T", 1, 0, table=one), 0, one, DESK)
    assert example(compiled, [row.all for row in compiled.rows], DESK) is None
    made = example(compiled, [compiled.rows[0].all], DESK, false=[compiled.rows[1].all])
    assert made is not None
    assert decided(made.facts, one).fired == ("A01/r1",)
