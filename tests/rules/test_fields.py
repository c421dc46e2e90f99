"""What a field reads: known with its source, missing with its reason, unknown with the question that would tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.engine import Entry, compile_ruleset, decide
from rules.errors import UnknownField
from rules.facts import Facts, Known, LookupKey, Missing, Unknown
from rules.fields import FIELDS, all_fields, field, lookup_key, state_backed
from tests.rules.desk import DESK, NOW, a_table, some_facts, tagging
from tickets import store
from tickets.item import CUSTOM_NAMES, STATE_FIELDS, FieldType
from tickets.values import from_iso


def read(key: str, facts: Facts) -> Any:
    return field(key, DESK).read(facts)


def test_a_field_of_the_ticket_is_known_as_of_the_event() -> None:
    assert read("ticket.status", some_facts()) == Known("open", "ticket", NOW)
    assert read("ticket.team", some_facts()) == Missing("Team is empty")


def test_every_state_field_is_a_field() -> None:
    assert {f"ticket.{key}" for key in STATE_FIELDS} <= set(FIELDS)


def test_a_custom_field_has_its_label_type_and_menu() -> None:
    topic = field("ticket.fields.topic", DESK)
    assert (topic.label, topic.type, dict(topic.options or {})) == (
        "Topic",
        FieldType.CHOICE,
        {"refund": "Refund", "invoice": "Invoice", "outage": "Outage"},
    )
    assert topic.read(some_facts({"fields.topic": "refund"})) == Known("refund", "ticket", NOW)


def test_menus_that_depend_on_the_desk_come_from_its_vocabulary() -> None:
    assert field("ticket.team", DESK).options == DESK.teams
    assert field("ticket.assignees", DESK).options == DESK.users


def test_message_text_is_the_new_text_without_quotes() -> None:
    facts = some_facts(message={"new_text": "Thanks", "text": "Thanks\n> refund", "author": "customer", "public": True})
    assert read("message.text", facts) == Known("Thanks", "message", NOW)
    assert read("message.full_text", facts) == Known("Thanks\n> refund", "message", NOW)
    assert read("message.public", facts) == Known(True, "message", NOW)
    assert read("message.text", some_facts()) == Missing("The event brought no message")


def test_changed_by_is_a_field() -> None:
    assert read("event.actor", some_facts(actor="automation")) == Known("automation", "event", NOW)


def test_a_ticket_without_a_customer_has_no_customer_fields() -> None:
    facts = Facts(item={"id": 1, "kind": "ticket"}, event={"kind": "created"}, now=NOW)
    assert read("customer.email", facts) == Missing("The ticket has no customer")


def test_a_context_card_is_read_by_path_with_its_source_and_time() -> None:
    card = {"data": {"charges": [{"amount": "64.90"}]}, "source": "billing.list_charges", "fetched_at": NOW}
    facts = some_facts(context={"payments": card})
    assert read("context.payments.charges.0.amount", facts) == Known("64.90", "billing.list_charges", NOW)
    assert read("context.payments.charges.1.amount", facts) == Missing("The card 'payments' has no charges.1.amount")
    assert read("context.crm.tier", facts) == Missing("The ticket has no card 'crm'")


def test_a_context_card_in_error_is_unknown_not_missing() -> None:
    facts = some_facts(context={"payments": {"data": None, "title": "Payments", "error": "Billing did not answer"}})
    assert read("context.payments.duplicate", facts) == Unknown("Payments: Billing did not answer")


PARTY = LookupKey("erp", "find_party", (("email", "camille@example.com"),))


@pytest.mark.parametrize("answer", [None, {"state": "asked"}])
def test_a_lookup_without_an_answer_is_unknown_and_worth_waiting_for(answer: dict[str, Any] | None) -> None:
    facts = some_facts(lookups={} if answer is None else {"erp.find_party": answer})
    assert read("erp.find_party.receivable", facts) == Unknown("ERP party has not answered yet", PARTY, True)


@pytest.mark.parametrize("state", ["ambiguous", "failed"])
def test_a_lookup_that_failed_is_unknown_and_not_worth_waiting_for(state: str) -> None:
    facts = some_facts(lookups={"erp.find_party": {"state": state, "reason": "Two parties have this address"}})
    assert read("erp.find_party.tier", facts) == Unknown("Two parties have this address", PARTY, False)


def test_a_lookup_that_answered_none_is_missing() -> None:
    facts = some_facts(lookups={"erp.find_party": {"state": "missing", "reason": ""}})
    assert read("erp.find_party.tier", facts) == Missing("ERP party found nothing")


def test_an_answer_is_read_by_path() -> None:
    data = {"tier": None, "address": {"country": "FR"}}
    facts = some_facts(lookups={"erp.find_party": {"state": "known", "data": data, "fetched_at": NOW}})
    assert read("erp.find_party.address.country", facts) == Known("FR", "erp.find_party", NOW)
    assert read("erp.find_party.tier", facts) == Missing("ERP party has no Tier")


def test_a_lookup_with_nothing_to_ask_with_is_missing() -> None:
    facts = some_facts(customer={"id": 7, "name": "Camille"})
    assert read("erp.find_party.tier", facts) == Missing(
        "ERP party needs Customer's e-mail: Customer's e-mail is empty"
    )


def test_a_lookup_that_hangs_on_another_asks_that_one_first() -> None:
    spec = DESK.lookups["billing.list_charges"]
    account = LookupKey("crm", "get_account", (("name", "Camille"),))
    assert lookup_key(spec, some_facts(), DESK) == Unknown("CRM account has not answered yet", account, True)
    facts = some_facts(lookups={"crm.get_account": {"state": "known", "data": {"score": 9}}})
    charges = LookupKey("billing", "list_charges", (("account", 9),))
    assert lookup_key(spec, facts, DESK) == charges
    assert read("billing.list_charges.count", facts) == Unknown("Charges has not answered yet", charges, True)


def test_a_lookup_is_asked_with_one_value_and_a_list_only_keeps_its_own_rows_from_being_decided() -> None:
    """A card's list where one value was meant ended the whole event in an error."""
    party = replace(DESK.lookups["erp.find_party"], bind={"email": "context.shop.emails"})
    desk = replace(DESK, lookups={**DESK.lookups, "erp.find_party": party})
    why = Unknown("ERP party is asked with one value, and shop: emails holds several")
    asking = a_table(columns=[{"id": "c1", "field": "erp.find_party.tier"}], rows=[{"id": "r1", "if": {"c1": "gold"}}])
    entries = [Entry("A01", "Asks", 1, 1, table=asking), Entry("A02", "Tags", 1, 2, table=a_table([tagging("seen")]))]
    for several in ([], ["a@example.com", "b@example.com"], {"first": "a@example.com"}):
        facts = some_facts(context={"shop": {"data": {"emails": several}}})
        expected = Missing("ERP party needs shop: emails: The card 'shop' has no emails") if several == [] else why
        assert lookup_key(party, facts, desk) == expected
        decision = decide(compile_ruleset(1, entries, desk), facts)
        assert (decision.fired, decision.wait) == (("A02/seen",), None)
        assert [one.row_key for one in decision.skipped] == ([] if several == [] else ["A01/r1"])
    one = some_facts(context={"shop": {"data": {"emails": "a@example.com"}}})
    assert lookup_key(party, one, desk) == LookupKey("erp", "find_party", (("email", "a@example.com"),))


def test_lookups_that_hang_on_each_other_in_a_circle_are_refused_when_read() -> None:
    party = DESK.lookups["erp.find_party"]
    account = DESK.lookups["crm.get_account"]
    circle = replace(
        DESK,
        lookups={
            "erp.find_party": replace(party, bind={"email": "crm.get_account.score"}),
            "crm.get_account": replace(account, bind={"name": "erp.find_party.tier"}),
        },
    )
    with pytest.raises(UnknownField, match="through more than 3 other lookups"):
        field("erp.find_party.tier", circle).read(some_facts())


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("ticket.chanel", "There is no field 'ticket.chanel'. Did you mean 'ticket.channel'? Allowed: ticket.subject,"),
        ("custmer.email", "There is no field 'custmer.email'. Did you mean 'customer.email'?"),
        ("status", "There is no field 'status'. Did you mean 'ticket.status'?"),
        ("Topic", "There is no field 'Topic'. Did you mean 'ticket.fields.topic'?"),
        ("erp.find_party.recievable", "Did you mean 'erp.find_party.receivable'?"),
        ("context.payments", "There is no field 'context.payments'."),
        ("ticket..status", "'ticket..status' is not the name of a field."),
        ("__class__.x", "There is no field '__class__.x'."),
    ],
)
def test_an_unknown_field_names_the_nearest_one(key: str, sentence: str) -> None:
    with pytest.raises(UnknownField) as unknown:
        field(key, DESK)
    assert sentence in str(unknown.value)


def test_a_state_field_goes_by_both_names() -> None:
    assert state_backed("fields.topic", DESK).key == "ticket.fields.topic"
    assert state_backed("ticket.status", DESK).key == "ticket.status"
    with pytest.raises(UnknownField):
        state_backed("customer.email", DESK)


def test_every_field_a_menu_offers_can_be_made_and_read() -> None:
    for one in all_fields(DESK):
        made = field(one.key, DESK)
        assert (made.key, made.label, made.type) == (one.key, one.label, one.type)
        assert isinstance(made.read(some_facts()), Known | Missing | Unknown)
    keys = [one.key for one in all_fields(DESK)]
    assert len(keys) == len(set(keys))
    assert {"ticket.fields.topic", "context.payments.duplicate", "erp.find_party.address.country"} <= set(keys)


def test_a_custom_field_has_one_name_in_all_items_and_rules() -> None:
    """Which is found without a look at its letters."""
    place = field("ticket.fields.topic", DESK).place
    assert place is not None
    nothing = [None] * (len(store.ITEM_COLUMNS) - 7)
    for _ in range(2):
        key = "".join(["to", "pic"])
        item = store.item_of([1, "ticket", from_iso(NOW), from_iso(NOW), 1, 0, {key: "refund"}, *nothing])
        (name,) = item.state
        assert name is place[1]


def test_so_many_names_of_custom_fields_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    names = type(CUSTOM_NAMES)()
    monkeypatch.setattr("tickets.item.MAX_NAMES_KEPT", 1)
    assert [names["topic"], names["amount"], names["amount"]] == ["fields.topic", "fields.amount", "fields.amount"]
    assert len(names) == 1
