"""Stripe's API as localstripe really answers it, and the shapes it cannot produce from a small server."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.errors import Ambiguous, CredentialsRejected
from connectors.records import from_minor
from tests.backoffice.servers import LocalStripe, a_person, an_amount
from tests.connectors.desk import Desk
from tests.connectors.upstream import as_json
from tickets.values import from_iso


@pytest.fixture
def billing(desk: Desk, localstripe: LocalStripe) -> Desk:
    desk.connect("billing", "stripe", {"base_url": localstripe.url, "api_key": localstripe.api_key})
    return desk


def test_a_customer_is_found_by_e_mail(billing: Desk, localstripe: LocalStripe) -> None:
    id, person = localstripe.add_customer()
    record = billing.call("billing", "find_customer", email=person.email)
    assert (record.data["id"], record.data["name"], record.data["email"]) == (id, person.name, person.email)
    assert record.cache == "miss"
    assert from_iso(record.data["created_at"]).year >= 2026


def test_an_address_nobody_has_is_no_match_and_no_error(billing: Desk, localstripe: LocalStripe) -> None:
    assert billing.call("billing", "find_customer", email=a_person().email).data is None
    assert billing.call("billing", "list_charges", email=a_person().email).data is None
    assert [row.status for row in billing.audit()] == ["none", "none"]


def test_two_customers_with_one_address_are_ambiguous_and_told_apart(billing: Desk, localstripe: LocalStripe) -> None:
    first, person = localstripe.add_customer()
    second, _ = localstripe.add_customer(email=person.email)
    for operation in ("find_customer", "list_charges"):
        with pytest.raises(Ambiguous) as caught:
            billing.call("billing", operation, email=person.email)
        assert {one["id"] for one in caught.value.candidates} == {first, second}
    assert billing.records() == []


def test_one_of_two_customers_can_be_asked_for_by_id(billing: Desk, localstripe: LocalStripe) -> None:
    first, person = localstripe.add_customer()
    localstripe.add_customer(email=person.email)
    charge = localstripe.add_charge(first, 1234)
    record = billing.call("billing", "list_charges", email=person.email, customer=first)
    assert [one["id"] for one in record.data] == [charge]


def test_charges_have_exact_amounts_and_their_order(billing: Desk, localstripe: LocalStripe) -> None:
    id, person = localstripe.add_customer()
    amount = an_amount()
    localstripe.add_charge(id, int(amount * 100), order="SO-17", description="Twice?")
    localstripe.add_charge(id, int(amount * 100))
    localstripe.add_charge(id, 500, currency="jpy")
    charges = billing.call("billing", "list_charges", email=person.email).data
    found = {(one["amount"], one["currency"], one["order"], one["status"]) for one in charges}
    text = f"{amount:.2f}"
    assert found == {
        (text, "EUR", "SO-17", "succeeded"),
        (text, "EUR", None, "succeeded"),
        ("500", "JPY", None, "succeeded"),
    }
    assert len(charges) == 3
    assert all(isinstance(one["amount"], str) for one in charges)


def test_subscriptions_and_their_invoices_are_listed(billing: Desk, localstripe: LocalStripe) -> None:
    id, person = localstripe.add_customer()
    subscription = localstripe.add_subscription(id, 4990)
    (one,) = billing.call("billing", "list_subscriptions", email=person.email).data
    assert (one["id"], one["status"], one["amount"], one["currency"]) == (subscription, "active", "49.90", "EUR")
    (invoice,) = billing.call("billing", "list_invoices", email=person.email).data
    assert (invoice["total"], invoice["currency"], invoice["state"]) == ("49.90", "EUR", "paid")


def test_more_charges_than_a_page_are_all_fetched(billing: Desk, localstripe: LocalStripe) -> None:
    id, person = localstripe.add_customer()
    made = {localstripe.add_charge(id, 100 + number) for number in range(103)}
    record = billing.call("billing", "list_charges", email=person.email)
    assert {one["id"] for one in record.data} == made
    assert len(record.data) == 103
    assert record.truncated is False


def test_a_connection_test_says_that_stripe_accepts_the_key(billing: Desk) -> None:
    result = billing.gateway.test("billing")
    assert (result.ok, result.status, result.error) == (True, 200, "")
    assert result.reading == "Stripe answered and accepts the key."
    assert result.request_line.startswith("GET http://127.0.0.1:")


def test_a_wrong_key_is_rejected_and_asks_for_new_credentials_once(desk: Desk, localstripe: LocalStripe) -> None:
    # localstripe takes every key that begins like a secret one.
    desk.connect("billing", "stripe", {"base_url": localstripe.url, "api_key": "pk_wrong_key_123"})
    with pytest.raises(CredentialsRejected):
        desk.call("billing", "find_customer", email=a_person().email)
    assert desk.info("billing").needs_reauth is True


def test_answers_come_back_after_the_double_was_away(billing: Desk, localstripe: LocalStripe) -> None:
    _, person = localstripe.add_customer()
    before = billing.call("billing", "find_customer", email=person.email)
    billing.clock.forward(3_600)
    localstripe.stop()
    try:
        stale = billing.call("billing", "find_customer", email=person.email)
    finally:
        localstripe.start()
    assert (stale.cache, stale.data, stale.fetched_at) == ("stale", before.data, before.fetched_at)
    assert billing.audit()[-1].status == "unavailable"
    assert billing.call("billing", "find_customer", email=person.email).data is None  # restarted empty


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(6490, "eur", "64.90"), (500, "JPY", "500"), (1234, "kwd", "1.234"), (-5, "usd", "-0.05"), (0, "eur", "0.00")],
)
def test_minor_units_become_exact_decimal_text(minor: int, currency: str, text: str) -> None:
    assert from_minor(minor, currency) == text
    assert Decimal(text) == Decimal(from_minor(minor, currency))


def test_paging_stops_at_a_cursor_that_repeats_and_says_so(desk: Desk, serve) -> None:
    def answer(asked):
        if asked.path == "/v1/customers":
            return as_json({"data": [{"id": "cus_1", "email": "a@example.net"}], "has_more": False})
        return as_json({"data": [{"id": "ch_1", "amount": 1, "currency": "eur"}], "has_more": True})

    server = serve(answer)
    desk.connect("billing", "stripe", {"base_url": server.url, "api_key": "sk_test_123456"})
    record = desk.call("billing", "list_charges", email="a@example.net")
    assert record.truncated is True
    assert len([asked for asked in server.asked if asked.path == "/v1/charges"]) == 2


def test_paging_stops_after_five_pages_and_says_so(desk: Desk, serve) -> None:
    counter = iter(range(1000))

    def answer(asked):
        if asked.path == "/v1/customers":
            return as_json({"data": [{"id": "cus_1", "email": "a@example.net"}], "has_more": False})
        return as_json({"data": [{"id": f"ch_{next(counter)}", "amount": 1, "currency": "eur"}], "has_more": True})

    server = serve(answer)
    desk.connect("billing", "stripe", {"base_url": server.url, "api_key": "sk_test_123456"})
    record = desk.call("billing", "list_charges", email="a@example.net")
    assert (record.truncated, len(record.data)) == (True, 5)
