"""Stripe's API as localstripe really answers it, and the shapes it cannot produce from a small server."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from connectors.errors import Ambiguous, BadRequest, CredentialsRejected, Unavailable
from connectors.gateway import Record
from connectors.records import from_minor, to_minor
from tests.backoffice.servers import LocalStripe, a_person, an_amount
from tests.builders import an_object
from tests.connectors.desk import Desk
from tests.connectors.upstream import Asked, Reply, Serve, as_json
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
        assert {an_object(one)["id"] for one in caught.value.candidates} == {first, second}
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


def test_paging_stops_at_a_cursor_that_repeats_and_says_so(desk: Desk, serve: Serve) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/customers":
            return as_json({"data": [{"id": "cus_1", "email": "a@example.net"}], "has_more": False})
        return as_json({"data": [{"id": "ch_1", "amount": 1, "currency": "eur"}], "has_more": True})

    server = serve(answer)
    desk.connect("billing", "stripe", {"base_url": server.url, "api_key": "sk_test_123456"})
    record = desk.call("billing", "list_charges", email="a@example.net")
    assert record.truncated is True
    assert len([asked for asked in server.asked if asked.path == "/v1/charges"]) == 2


def test_paging_stops_after_five_pages_and_says_so(desk: Desk, serve: Serve) -> None:
    counter = iter(range(1000))

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/customers":
            return as_json({"data": [{"id": "cus_1", "email": "a@example.net"}], "has_more": False})
        return as_json({"data": [{"id": f"ch_{next(counter)}", "amount": 1, "currency": "eur"}], "has_more": True})

    server = serve(answer)
    desk.connect("billing", "stripe", {"base_url": server.url, "api_key": "sk_test_123456"})
    record = desk.call("billing", "list_charges", email="a@example.net")
    assert (record.truncated, len(record.data)) == (True, 5)


# Refunds


def refund(desk: Desk, charge: str, key: str = "ev1:A01/r1:s1", **more: str) -> Record:
    return desk.gateway.call(
        "billing", "refund", {"charge": charge, **more}, deadline_s=10, cause="test", allow_write=True,
        idempotency_key=key,
    )  # fmt: skip


@pytest.fixture
def refunding(desk: Desk, localstripe: LocalStripe) -> tuple[Desk, str, str]:
    """A connection that may refund, a charge of 64.90 EUR, and the address of who paid it."""
    config = {"base_url": localstripe.url, "api_key": localstripe.api_key}
    desk.connect("billing", "stripe", config, allow_write=True)
    id, person = localstripe.add_customer()
    return desk, localstripe.add_charge(id, 6490), person.email


def test_a_payment_is_refunded_once_per_key_even_when_our_memory_of_it_is_lost(
    refunding: tuple[Desk, str, str], localstripe: LocalStripe
) -> None:
    desk, charge, email = refunding
    first = refund(desk, charge, amount="10.00", currency="eur")
    paid_back = an_object(first.data)
    assert (paid_back["amount"], paid_back["currency"], paid_back["charge"]) == ("10.00", "EUR", charge)
    # Saved anew, the connection has no answers any more: what Stripe itself holds must tell.
    desk.connect("billing", "stripe", {"base_url": localstripe.url, "api_key": localstripe.api_key}, allow_write=True)
    again = refund(desk, charge, amount="10.00", currency="EUR")
    assert (again.cache, an_object(again.data)["id"]) == ("miss", paid_back["id"])
    refund(desk, charge, key="another", amount="5", currency="EUR")
    (paid,) = desk.call("billing", "list_charges", email=email).data
    assert paid["refunded"] == "15.00"


def test_without_an_amount_all_of_it_is_paid_back(refunding: tuple[Desk, str, str]) -> None:
    desk, charge, _ = refunding
    assert an_object(refund(desk, charge).data)["amount"] == "64.90"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"amount": "10", "currency": "USD"}, "was paid in EUR, not USD"),
        ({"amount": "10"}, "An amount takes its currency"),
        ({"currency": "EUR"}, "An amount takes its currency"),
        ({"amount": "0.001", "currency": "EUR"}, "is no amount"),
        ({"amount": "-1", "currency": "EUR"}, "is no amount"),
        ({"amount": "64.91", "currency": "EUR"}, "only 64.90 EUR can still be paid back"),
    ],
)
def test_a_wrong_amount_pays_nothing_back(refunding: tuple[Desk, str, str], more: dict[str, str], reason: str) -> None:
    desk, charge, email = refunding
    with pytest.raises(BadRequest, match=reason):
        refund(desk, charge, **more)
    (paid,) = desk.call("billing", "list_charges", email=email).data
    assert paid["refunded"] == "0.00"


def test_a_refund_whose_answer_was_lost_is_found_and_not_paid_twice(desk: Desk, serve: Serve) -> None:
    made: list[dict[str, object]] = []

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/charges/ch_1":
            return as_json({"id": "ch_1", "currency": "eur", "amount": 500, "amount_refunded": 0})
        if asked.method == "GET":
            return as_json({"data": made, "has_more": False})
        form = dict(parse_qsl(asked.body.decode()))
        assert len(asked.headers["idempotency-key"]) == 40
        made.append({"id": "re_1", "currency": "eur", "amount": 500,
                     "metadata": {"deskhand": form["metadata[deskhand]"]}})  # fmt: skip
        return Reply(b"{", cut=True)

    server = serve(answer)
    desk.connect("billing", "stripe", {"base_url": server.url, "api_key": "sk_test_123456"}, allow_write=True)
    with pytest.raises(Unavailable):
        refund(desk, "ch_1")
    assert an_object(refund(desk, "ch_1").data)["id"] == "re_1"
    assert [asked.method for asked in server.asked].count("POST") == 1
    assert len(made) == 1


def test_decimal_text_becomes_minor_units_or_nothing() -> None:
    assert [to_minor("64.90", "eur"), to_minor("500", "JPY"), to_minor("1.234", "kwd")] == [6490, 500, 1234]
    assert [to_minor("0.001", "eur"), to_minor("5.5", "jpy")] == [None, None]
