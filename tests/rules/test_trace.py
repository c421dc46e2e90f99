"""What a trace keeps, how it is stored, and what an explanation adds."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from rules.engine import Entry, decide
from rules.errors import FactsInvalid
from rules.explain import explain
from rules.facts import Facts
from rules.trace import MAX_SHOWN_CHARS, Done, RowTrace, RowVerdict, Seen, Trace, Truth, Verdict
from tests.rules.desk import DESK, NOW, a_list, a_table, decided, some_facts, tagging
from tickets.values import json_problem

COLUMNS = [
    {"id": "topic", "field": "ticket.fields.topic"},
    {"id": "tier", "field": "erp.find_party.tier"},
    {"id": "status", "field": "ticket.status"},
]
ROWS = [
    tagging("r1", topic="outage", tier="gold"),
    tagging("r2", topic="refund", tier=["gold", "silver"]),
    tagging("r3", status={"op": "changed_to", "value": "solved"}),
]
FACTS = some_facts(
    {"fields.topic": "refund"},
    changes={"status": ["open", "solved"]},
    lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}, "fetched_at": NOW}},
)


def entry(**more: Any) -> Entry:
    return Entry("A01", "Triage", 15, 1, table=a_table(ROWS, columns=COLUMNS), **more)


def test_the_trace_says_for_each_condition_what_was_expected_and_what_stood_there() -> None:
    [traced] = decided(FACTS, a_table(ROWS, columns=COLUMNS)).trace.entries
    assert traced.verdict is Verdict.MATCHED
    assert traced.rows == (
        RowTrace(
            "r1",
            1,
            RowVerdict.NOT_MATCHED,
            Truth.FALSE,
            (Seen("topic", "ticket.fields.topic", "Topic", "is", "is Outage", "Refund", "ticket", NOW, Truth.FALSE),),
        ),
        RowTrace(
            "r2",
            2,
            RowVerdict.FIRED,
            Truth.TRUE,
            (
                Seen("topic", "ticket.fields.topic", "Topic", "is", "is Refund", "Refund", "ticket", NOW, Truth.TRUE),
                Seen(
                    "tier",
                    "erp.find_party.tier",
                    "Tier",
                    "any_of",
                    "is any of Gold, Silver",
                    "Gold",
                    "erp.find_party",
                    NOW,
                    Truth.TRUE,
                ),
            ),
            (Done("s1", "add_tags", "Add tags: r2", (("tags", "", "r2"),), 1),),
            "Topic is Refund; Tier is any of Gold, Silver",
        ),
    )


def test_an_explanation_has_every_row_with_every_condition() -> None:
    explained = explain(entry(), FACTS, DESK)
    assert (explained.verdict, explained.version) == (Verdict.MATCHED, 15)
    assert [(row.row, row.verdict, len(row.conditions)) for row in explained.rows] == [
        ("r1", RowVerdict.NOT_MATCHED, 2),
        ("r2", RowVerdict.FIRED, 2),
        ("r3", RowVerdict.NOT_REACHED, 1),
    ]
    assert explained.rows[2].truth is Truth.TRUE
    assert explained.rows[2].conditions[0].actual == "Open → Solved"


def test_an_entry_that_the_event_does_not_trigger_is_explained_too() -> None:
    other = some_facts({"fields.topic": "refund"}, kind="context_updated", lookups=FACTS.lookups)
    explained = explain(entry(), other, DESK)
    assert (explained.verdict, explained.reason) == (Verdict.NOT_TRIGGERED, "This event is none of its triggers.")
    assert [(row.verdict, row.truth) for row in explained.rows] == [
        (RowVerdict.NOT_REACHED, Truth.FALSE),
        (RowVerdict.NOT_REACHED, Truth.TRUE),
        (RowVerdict.NOT_REACHED, Truth.FALSE),
    ]


def test_an_entry_that_is_switched_off_says_so() -> None:
    explained = explain(entry(enabled=False), FACTS, DESK)
    assert (explained.verdict, explained.reason) == (Verdict.NOT_TRIGGERED, "It is switched off.")
    assert [row.truth for row in explained.rows] == [Truth.FALSE, Truth.TRUE, Truth.TRUE]


def test_an_entry_that_is_no_table_has_nothing_to_explain() -> None:
    assert explain(Entry("S01", "Enrich", 1, 1), FACTS, DESK).reason == "It is no table."


def test_a_trace_is_plain_json_with_a_schema_version() -> None:
    trace = decide(a_list(a_table(ROWS, columns=COLUMNS)), FACTS).trace
    data = trace.to_json()
    assert (data["schema"], json_problem(data)) == (1, None)
    assert Trace.from_json(data) == trace


@pytest.mark.parametrize("name", ['Tri "é" \\ \u2028', "half \ud83d"])
def test_the_text_that_is_stored_says_what_the_trace_and_its_facts_say(name: str) -> None:
    [entry] = decide(a_list(a_table(ROWS, columns=COLUMNS)), FACTS).trace.entries
    trace = Trace(3, (replace(entry, name=name),))
    assert json.loads(trace.to_text()) == trace.to_json()
    assert json.loads(FACTS.to_text()) == FACTS.to_json()


@pytest.mark.parametrize("data", [{}, {"schema": 2}, {"schema": 1}, {"schema": 1, "revision": 1, "entries": [{}]}])
def test_a_trace_that_cannot_be_read_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(FactsInvalid):
        Trace.from_json(data)


def test_long_values_are_cut_in_the_trace() -> None:
    table = a_table(
        [tagging("r1", text="x" * 1_000)], columns=[{"id": "text", "field": "message.text", "op": "contains_none"}]
    )
    [row] = decided(some_facts(message={"new_text": "y" * 100_000}), table).trace.entries[0].rows
    [seen] = row.conditions
    assert (len(seen.actual), len(seen.expected), seen.actual[-1]) == (MAX_SHOWN_CHARS, MAX_SHOWN_CHARS, "…")


def test_facts_are_stored_with_a_schema_version_and_read_back() -> None:
    data = FACTS.to_json()
    assert data["schema"] == 1
    assert Facts.from_json(data) == FACTS


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": 2},
        {"item": None},
        {"event": None},
        {"now": None},
        {"customer": "Ana"},
        {"lookups": {"erp.find_party": "gold"}},
        {"context": []},
    ],
)
def test_facts_that_cannot_be_read_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FactsInvalid):
        Facts.from_json({**FACTS.to_json(), **wrong})


def test_facts_with_anything_but_json_are_refused() -> None:
    with pytest.raises(FactsInvalid, match=r"facts\.item\.x is a object"):
        some_facts({"x": object()}).to_json()
    with pytest.raises(FactsInvalid, match=r"facts\.item\.x is a set"):
        some_facts({"x": {"gold"}}).to_text()


def test_the_text_of_facts_takes_any_kind_of_mapping_as_their_json_does() -> None:
    facts = replace(FACTS, clock=MappingProxyType({"status_since": "2026-11-21T09:30:00.000000+00:00"}))
    assert json.loads(facts.to_text()) == facts.to_json()
    assert facts.to_json()["clock"] == dict(facts.clock)


def test_staging_does_not_touch_the_facts_it_came_from() -> None:
    after = FACTS.with_state({"fields.topic": None, "team": "billing"})
    assert "fields.topic" not in after.item
    assert after.item["team"] == "billing"
    assert FACTS.item["fields.topic"] == "refund"
