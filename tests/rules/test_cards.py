"""Which rule lists look at cards: where none does, nobody asks which scripts may be writing one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.engine import Entry, compile_ruleset, decide
from rules.parse import parse_table
from rules.vocabulary import FieldSpec, LookupSpec, Vocabulary
from tests.rules.desk import DESK, a_table_as_data, some_facts, tagging
from tickets.item import FieldType

#: The CRM is asked with what a script wrote on a card, and the shop with what the CRM says.
CHAIN: Vocabulary = replace(
    DESK,
    lookups={
        **DESK.lookups,
        "crm.by_id": LookupSpec(
            "crm", "by_id", "CRM by id", {"id": "Id"}, {"id": "context.crm.id"}, {"name": FieldSpec("Name")}
        ),
        "shop.orders": LookupSpec(
            "shop", "orders", "Orders", {"of": "Of"}, {"of": "crm.by_id.name"}, {"n": FieldSpec("N", FieldType.NUMBER)}
        ),
    },
)


def ruleset_of(**more: Any) -> Any:
    table = parse_table(a_table_as_data(**more), CHAIN)
    return compile_ruleset(1, [Entry("A01", "A01", 1, 0, table=table)], CHAIN)


@pytest.mark.parametrize(
    ("field", "looks"),
    [
        ("context.payments.duplicate", True),
        ("crm.by_id.name", True),
        ("shop.orders.n", True),
        ("crm.get_account.vip", False),
        ("billing.list_charges.count", False),
        ("ticket.channel", False),
    ],
)
def test_a_list_looks_at_cards_where_a_field_hangs_on_one(field: str, looks: bool) -> None:
    column = [{"id": "c1", "field": field, "op": "not_empty"}]
    row = {"id": "r1", "if": {"c1": {}}, "then": {"s1": {"tags": ["x"]}}}
    assert ruleset_of(columns=column, rows=[row]).looks_at_cards is looks
    group = {"id": "r1", "if": {}, "groups": [{"any": [{"field": field, "op": "not_empty"}]}], "then": row["then"]}
    assert ruleset_of(rows=[group]).looks_at_cards is looks


def test_an_answer_asked_for_with_a_card_is_unknown_while_a_script_may_write_the_card() -> None:
    rows = [tagging("r1", c1={"op": "empty"})]
    ruleset = ruleset_of(columns=[{"id": "c1", "field": "crm.by_id.name"}], rows=rows)
    assert decide(ruleset, some_facts()).fired == ("A01/r1",)
    writing = decide(ruleset, replace(some_facts(), writing={"S01": {"name": "Who", "runs": [1]}}))
    assert writing.fired == ()
    assert [one.reason for one in writing.skipped] == ["the card that Who may be writing"]
