"""N10 where it counts: a table as Python, run in the real jail on the facts of a run, does what the table does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rules.actions import Call, plan_calls, staged_by
from rules.as_python import as_python
from rules.engine import Entry, compile_ruleset, decide
from rules.facts import Facts
from rules.parse import parse_table
from sandbox.contract import CallFailed, CallFailure
from tests.oracle.scripts import api_of, ticket_of, whole
from tests.rules.desk import DESK, some_facts
from tests.sandbox.hosts import Host, TableGateway
from tickets.values import JSON

TIER = {"id": "c1", "field": "erp.find_party.tier", "op": "is", "unknown": "match"}
TABLE: dict[str, Any] = {
    "code": "A01",
    "name": "Who pays",
    "triggers": [{"on": "created"}],
    "hit": "every",
    "wait_s": 0,
    "columns": [
        TIER,
        {"id": "c2", "field": "message.text", "op": "contains_any"},
        {"id": "c3", "field": "ticket.due_at", "op": "older_than"},
        {"id": "c4", "field": "ticket.status_since", "op": "older_than"},
        {"id": "c5", "field": "sla.first_reply_state"},
    ],
    "steps": [{"id": "s1", "do": "add_tags"}, {"id": "s2", "do": "add_note"}],
    "rows": [
        {"id": "r1", "if": {"c1": {"value": "gold"}}, "then": {"s1": {"tags": ["gold"]}}},
        {
            "id": "r2",
            "if": {"c2": {"value": ["Rembours\u00e9", "refund"]}, "c3": {"value": "1 h"}},
            "then": {"s1": {"tags": ["late"]}, "s2": {"text": "{{customer.name}} waits, {{ticket.status}}."}},
        },
        {
            "id": "r3",
            "groups": [{"none": [{"field": "erp.find_party.tier", "op": "is", "value": "gold"}]}],
            "then": {"s1": {"tags": ["not gold"]}},
        },
        {"id": "r4", "if": {"c4": {"value": "2 d"}}, "then": {"s1": {"tags": ["stuck"]}}},
        {"id": "r5", "if": {"c5": {"value": "breached"}}, "then": {"s1": {"tags": ["too late"]}}},
    ],
    "otherwise": {"then": {"s1": {"tags": ["nobody"]}}},
}
KNOWN: dict[str, Any] = {"state": "known", "data": {"tier": "gold"}, "fetched_at": "2026-11-21T09:00:00.000000+00:00"}
CASES: dict[str, dict[str, Any]] = {
    "gold": {"lookups": {"erp.find_party": KNOWN}},
    "silver": {"lookups": {"erp.find_party": {**KNOWN, "data": {"tier": "silver"}}}},
    "nobody there": {"lookups": {"erp.find_party": {"state": "missing", "data": None}}},
    "no answer": {"lookups": {"erp.find_party": {"state": "failed", "data": None, "reason": "down"}}},
    "several": {"lookups": {"erp.find_party": {"state": "ambiguous", "data": None, "reason": "two"}}},
    "late": {
        "state": {"due_at": "2026-11-21T08:00:00.000000+00:00"},
        "message": {"new_text": "Quand serai-je REMBOURSE ?"},
        "lookups": {"erp.find_party": {**KNOWN, "data": {"tier": "silver"}}},
    },
}


def answers(facts: Facts) -> TableGateway:
    known = facts.lookups["erp.find_party"]
    failures: dict[JSON, CallFailure] = {"failed": "unavailable", "ambiguous": "ambiguous"}
    failed = failures.get(known["state"])
    return TableGateway({"erp.find_party": CallFailed(failed, "no") if failed else known["data"]})


@pytest.mark.parametrize("case", CASES)
def test_tables_come_to_the_same_in_the_jail(host: Host, case: str) -> None:
    stuck: Mapping[str, JSON] = {
        "status_since": "2026-11-18T09:00:00.000000+00:00",
        "first_reply_state": "breached",
    }
    clock = stuck if case == "late" else {}
    facts = replace(whole(some_facts(**CASES[case]), DESK), clock=clock)
    table = parse_table(TABLE, DESK)
    written = as_python(table, DESK)
    assert written.missing == ()
    ran = host.run(
        written.source,
        answers(facts),
        api=api_of(DESK),
        grants=frozenset({"erp.find_party"}),
        actions=frozenset({"add_tags", "add_note"}),
        ticket=ticket_of(facts, DESK),
        customer=facts.customer,
        event=dict(facts.event),
        now=facts.now,
    )
    assert ran.status == "finished", ran.error
    planned = plan_calls([Call(one.action, one.params) for one in ran.actions], facts, DESK)
    effects = [effect for one in planned for effect in one.effects]
    decision = decide(compile_ruleset(1, [Entry("A01", "Who pays", 1, 0, table=table)], DESK), facts)
    assert staged_by(effects, facts) == dict(decision.staged)
    assert ("stuck" in str(decision.staged)) is ("too late" in str(decision.staged)) is (case == "late")
    assert effects == [effect for one in decision.planned for effect in one.effects]
