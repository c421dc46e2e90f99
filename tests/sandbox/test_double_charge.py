"""The canonical script, docs/examples/double_charge.py, in the real jail."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.contract import CallFailed, Method, Outcome, Param, ScriptApi
from tests.sandbox.hosts import API, ROOT, Host, TableGateway

SOURCE = (ROOT / "docs" / "examples" / "double_charge.py").read_text()


def _actions() -> dict[str, Method]:
    card = ("key", True), ("data", False), ("title", False), ("source", False), ("error", False)
    params = tuple(Param(name, "json" if name == "data" else "text", needed) for name, needed in card)
    priority = Method("set_priority", (Param("priority", "text", True),), "Set the priority.", True)
    return {
        **API.actions,
        "set_context": Method("set_context", params, "Write a card.", True),
        "set_priority": priority,
    }


DESK = ScriptApi(_actions(), API.connections)


def a_charge(number: int, order: str, **changes: Any) -> dict[str, Any]:
    charge = {"id": f"ch_{number}", "amount": "64.90", "currency": "EUR", "created": f"2026-11-{number:02}T10:00:00Z"}
    return {**charge, "status": "succeeded", "order": order, "description": f"Order {order}", **changes}


ANSWERS = {
    "crm.find_customer": {"tier": "platinum", "since": "2020-01-01", "city": "Lyon", "name": "Ann Ek"},
    "erp.list_orders": [{"number": "SO-7", "date": "2026-11-01", "state": "done", "total": "64.90"}],
    "billing.list_charges": [a_charge(1, "SO-7"), a_charge(2, "SO-7"), a_charge(3, "SO-8")],
}


def run(host: Host, **answers: Any) -> Outcome:
    return host.run(SOURCE, TableGateway({**ANSWERS, **answers}), api=DESK)


def tags(outcome: Outcome) -> list[Any]:
    return [one.params["tags"] for one in outcome.actions if one.action == "add_tags"]


def notes(outcome: Outcome) -> list[Any]:
    return [one.params["text"] for one in outcome.actions if one.action == "add_note"]


def cards(outcome: Outcome) -> dict[Any, Any]:
    return {one.params["key"]: one.params for one in outcome.actions if one.action == "set_context"}


def test_it_has_no_problems_and_asks_only_what_it_says(host: Host) -> None:
    checked = host.sandbox.check(SOURCE, DESK)
    assert checked.problems == ()
    assert checked.manifest.operations == ("billing.list_charges", "crm.find_customer", "erp.list_orders")
    assert checked.manifest.actions == ("add_note", "add_tags", "set_context", "set_priority")
    assert "*" not in "".join(checked.manifest.fields_read)


def test_two_payments_for_one_order_are_found(host: Host) -> None:
    outcome = run(host)
    assert outcome.status == "finished", outcome.error
    assert tags(outcome) == [["double-charge"]]
    assert notes(outcome) == ["Order SO-7 was paid twice: 64.90 EUR. Refund payment ch_2."]
    assert list(cards(outcome)) == ["crm", "orders", "billing"]
    assert cards(outcome)["billing"]["title"] == "Payments"
    assert cards(outcome)["billing"]["source"] == "billing.list_charges"


@pytest.mark.parametrize(
    "second",
    [
        a_charge(2, "SO-7", amount="12.00"),
        a_charge(2, "SO-7", currency="USD"),
        a_charge(2, "SO-9"),
        a_charge(2, "SO-7", status="failed"),
    ],
)
def test_payments_that_differ_are_not_a_double_charge(host: Host, second: dict[str, Any]) -> None:
    outcome = run(host, **{"billing.list_charges": [a_charge(1, "SO-7"), second]})
    assert (outcome.status, tags(outcome)) == ("finished", [])


@pytest.mark.parametrize(("operation", "card"), [("crm.find_customer", "crm"), ("erp.list_orders", "orders")])
def test_a_system_that_does_not_answer_gets_a_card_and_the_others_go_on(host: Host, operation: str, card: str) -> None:
    outcome = run(host, **{operation: CallFailed("unavailable", "No answer")})
    assert outcome.status == "finished"
    assert cards(outcome)[card]["error"].endswith("did not answer.")
    assert tags(outcome) == [["double-charge"]]


def test_without_billing_a_person_is_asked_to_look(host: Host) -> None:
    outcome = run(host, **{"billing.list_charges": CallFailed("unavailable", "No answer")})
    assert outcome.status == "stopped"
    assert tags(outcome) == [["check-payments"]]
    assert cards(outcome)["billing"]["error"] == "Billing did not answer."


def test_several_customers_are_for_a_person_to_choose(host: Host) -> None:
    outcome = run(host, **{"billing.list_charges": CallFailed("ambiguous", "Two", [{"id": 1}, {"id": 2}])})
    assert outcome.status == "stopped"
    assert tags(outcome) == [["check-payments"]]
    assert any("choose the right one" in note for note in notes(outcome))


def test_nobody_in_any_system_is_an_answer(host: Host) -> None:
    outcome = run(host, **dict.fromkeys(ANSWERS))
    assert outcome.status == "finished", outcome.error
    assert tags(outcome) == []
