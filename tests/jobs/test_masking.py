"""Attacks on the mask: what names, reaches or locates a person must not get through in any of these forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.masking import LONGEST, Mask
from rules.facts import Facts
from tickets.values import JSON

CUSTOMER: dict[str, JSON] = {
    "id": 4711,
    "name": "Zoë Łukasiewicz-Brønd",
    "email": "zoe.lukasiewicz@mail.example",
    "emails": ["zoe.lukasiewicz@mail.example"],
}
#: What must not be found afterwards, whatever its case and accents.
SECRETS = ("zoe", "zoë", "lukasiewicz", "łukasiewicz", "brond", "brønd", "mail.example", "4711")


def masked(value: JSON, key: str = "", *beside: JSON) -> str:
    return json.dumps(Mask(CUSTOMER, *beside).value(value, key), ensure_ascii=False)


NAMED: list[tuple[str, JSON]] = [
    ("", "for Zoë"),
    ("", "FOR ZOË ŁUKASIEWICZ"),
    ("", "zoe lukasiewicz"),
    ("", "Lukasiewicz, Zoe"),
    ("", "Zoe\u0308 decomposed"),
    ("", "Z\u200bo\u200bë hidden"),
    ("", "Zoë\u00a0Łukasiewicz"),
    ("", "zoe_lukasiewicz_2"),
    ("", "brond2"),
    ("", "Mrs.Brønd"),
    ("", "(Zoë)"),
    ("", "zoe.lukasiewicz"),
    ("", "zoe.lukasiewicz+shop@mail.example"),
    ("", "<ZOE.LUKASIEWICZ@MAIL.EXAMPLE>"),
    ("", "https://shop.example/u/zoe?mail=zoe%40mail.example"),
    ("", {"zoe.lukasiewicz@mail.example": 1}),
    ("", {"Zoë": {"paid": True}}),
    ("", [["Zoë"], {"who": ["brønd"]}]),
    ("", "Hello, this is Zoë from the shop and I would like to know"),
    ("firstName", "Zoë"),
    ("billing-contact", "Zoë Ł."),
]


@pytest.mark.parametrize(("key", "value"), NAMED)
def test_the_customers_name_and_address_get_through_in_no_form(key: str, value: JSON) -> None:
    left = masked(value, key).casefold()
    for secret in SECRETS:
        assert secret not in left, (secret, left)


REACHING: list[tuple[str, JSON, str]] = [
    ("phoneNumber", "x5550123", "5550123"),
    ("tel", 48600123456, "48600123456"),
    ("", "call 555-0123", "0123"),
    ("", "call (022) 555 1234", "1234"),
    ("", "call +40.722.123.456", "722"),
    ("", "tel 06 12 34 56 78", "34 56"),
    ("", "+48\u00a0600\u00a0123\u00a0456", "600"),
    ("", "4242 4242 4242 4242", "4242"),
    ("", "PL61 1090 1014 0000 0712 1981 2874", "1090"),
    ("", "gb29nwbk60161331926819", "nwbk"),
    ("", "from 203.0.113.7", "203"),
    ("", "2001:db8:85a3:0:0:8a2e:370:7334", "db8"),
    ("street", "Long Lane 3", "Long"),
    ("streetAddress", "Long Lane 3", "Long"),
    ("Adresse", "Rue de la Paix", "Paix"),
    ("ulica", "Długa 3", "Długa"),
    ("prenume", "Ion", "Ion"),
    ("date_of_birth", "1980-02-03", "1980"),
    ("vat_code", "RO123456", "123456"),
    ("latitude", 44.4268, "44.4"),
    ("card", "4242", "4242"),
    ("accessToken", "abc123", "abc123"),
    ("note", "Neighbour of Bob Smith", "Bob"),
    ("description", "Gift for Bob Smith", "Bob"),
    ("", "My neighbour Bob Smith took the parcel yesterday", "Bob"),
]


@pytest.mark.parametrize(("key", "value", "secret"), REACHING)
def test_what_reaches_or_locates_a_person_gets_through_in_no_form(key: str, value: JSON, secret: str) -> None:
    assert secret not in masked({key: value} if key else value)


KEPT: list[tuple[str, JSON]] = [
    ("", "order SO-1234"),
    ("", "49.90 EUR"),
    ("", "2026-11-22T12:00:00.000000+00:00"),
    ("total", 1234567),
    ("status", "paid"),
    ("sku", "KETTLE-2L"),
    ("currency", "EUR"),
    ("", "10.5.2"),
    ("", "Zoologist"),
    ("paid", True),
    ("nothing", None),
    ("note", "paid"),
]


@pytest.mark.parametrize(("key", "value"), KEPT)
def test_what_says_nothing_about_a_person_is_kept(key: str, value: JSON) -> None:
    assert Mask(CUSTOMER).value({key: value} if key else value) == ({key: value} if key else value)


def test_whoever_an_answer_names_is_looked_for_everywhere() -> None:
    answer: JSON = {"contact": {"name": "Bob Smith", "address": {"street": "Elm Street 5"}}, "ref": "for smith"}
    mask = Mask(CUSTOMER, answer)
    assert "smith" not in json.dumps(mask.value(answer)).casefold()
    assert "Smith" not in mask.text("left with Smith, Elm Street 5")
    assert "Elm" not in mask.text("left with Smith, Elm Street 5")


def test_a_question_still_finds_its_answer() -> None:
    mask = Mask(CUSTOMER)
    call = mask.call(
        {
            "connection": "crm",
            "operation": "find_customer",
            "args": {"email": "zoe.lukasiewicz@mail.example"},
            "status": "ok",
            "message": "",
            "answer": {"email": "ZOE.Lukasiewicz@mail.example", "name": "Zoë Łukasiewicz-Brønd", "tier": "gold"},
        }
    )
    assert (call["connection"], call["operation"], call["status"]) == ("crm", "find_customer", "ok")
    assert call["args"] == {"email": "person1@example.com"}
    assert call["answer"] == {"email": "person1@example.com", "name": "Person 1", "tier": "gold"}


def test_facts_keep_the_desks_keys_and_lose_what_people_wrote() -> None:
    item: dict[str, Any] = {
        "id": 9, "kind": "ticket", "subject": "Bob Smith", "status": "open", "team": "billing", "location": "paris",
        "customer": 4711, "tags": ["vip", "zoë"], "fields.order": "SO-1",
        "fields.how": "Bob Smith told me by telephone",
    }  # fmt: skip
    facts = Facts(
        item=item,
        customer=CUSTOMER,
        event={"id": 1, "kind": "changed", "actor_ref": "zoe", "changes": {"subject": ["Bob", "Bob Smith"],
               "status": ["new", "open"], "customer": [None, 4711]}},
        message={"id": 3, "subject": "From Bob", "text": "I am Bob", "new_text": "I am Bob", "author": "customer"},
        context={}, lookups={}, run=None, now="2026-11-22T12:00:00+00:00",
    )  # fmt: skip
    safe = Mask(CUSTOMER).facts(facts, {"status", "team", "location", "kind"})
    assert {key: safe.item[key] for key in ("status", "team", "location", "kind")} == {
        "status": "open", "team": "billing", "location": "paris", "kind": "ticket",
    }  # fmt: skip
    assert (safe.item["id"], safe.item["customer"], safe.item["fields.order"]) == (1, 1, "SO-1")
    text = json.dumps(safe.to_json(), ensure_ascii=False).casefold()
    for secret in (*SECRETS, "bob", "smith"):
        assert secret not in text, secret
    assert safe.event["changes"] == {
        "subject": ["(the subject)", "(the subject)"], "status": ["new", "open"], "customer": [None, 1],
    }  # fmt: skip


def test_a_text_that_is_made_to_take_long_is_replaced_whole() -> None:
    mask = Mask(CUSTOMER, {"name": "a" * 60})
    for hostile in ("1 " * 20_000, "a@" * 20_000, "+" * 40_000, "zo" * 20_000, "1-" * 20_000, "ab12 " * 8_000):
        assert mask.text(hostile).startswith("Text ")
        assert mask.text(hostile[:LONGEST])  # ends
