"""The product's own connectors reach the back office over HTTP, and say in words what is wrong when they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from connectors import store
from connectors.addresses import AddressCeiling
from connectors.errors import AddressRefused, Ambiguous, ConnectorError, CredentialsRejected, Unavailable
from connectors.gateway import Gateway
from connectors.secrets import SecretBox
from jobs.demo import control, desk
from jobs.demo.backoffice import BackOffice, Crm, Mood
from jobs.demo.places import Places, SystemName
from jobs.demo.world import customers
from tests.demo.conftest import NOW
from tickets.db import Database

CAMILLE = "camille.laurent@courrier.example"


@pytest.fixture
def gateway(sqlite_database: Database, found: Places, office: BackOffice) -> Gateway:
    box = SecretBox((Fernet.generate_key().decode(),))
    with sqlite_database.write() as connection:
        desk.connections(connection, box, found, now=NOW)
    return Gateway(sqlite_database, None, box, AddressCeiling(found.addresses))


def call(gateway: Gateway, name: str, email: str = CAMILLE, **more: Any) -> object:
    connection, operation = name.split(".")
    return gateway.call(connection, operation, {"email": email}, deadline_s=60, cause="test", **more).data


def test_every_operation_finds_camille(gateway: Gateway) -> None:
    found = call(gateway, "crm.find_customer")
    assert isinstance(found, dict)
    assert found["tier"] == "gold"
    assert "notes" not in found
    party = call(gateway, "erp.find_party")
    assert isinstance(party, dict)
    assert (party["receivable"], party["credit_hold"], party["orders"]) == ("0.00", False, 2)
    orders = call(gateway, "erp.list_orders")
    assert isinstance(orders, list)
    charges = call(gateway, "billing.list_charges")
    assert isinstance(charges, list)
    doubled = [one for one in charges if one["order"] == orders[0]["number"]]
    assert [(one["amount"], one["currency"], one["status"]) for one in doubled] == [("64.90", "EUR", "succeeded")] * 2
    assert len(call(gateway, "erp.list_invoices")) == len(call(gateway, "billing.list_invoices")) == 2  # type: ignore[arg-type]


def test_each_connection_passes_its_own_test(gateway: Gateway) -> None:
    assert {name: gateway.test(name).ok for name in SystemName} == dict.fromkeys(SystemName, True)


def test_somebody_unknown_is_no_error_and_one_address_twice_is_ambiguous(gateway: Gateway, found: Places) -> None:
    assert call(gateway, "crm.find_customer", "nobody@nowhere.example") is None
    assert call(gateway, "billing.list_charges", "nobody@nowhere.example") is None
    twice = next(one for one in customers(found.seed, found.began) if len(one.billing_ids) == 2)
    with pytest.raises(Ambiguous) as ambiguous:
        call(gateway, "billing.list_charges", twice.email)
    assert len(ambiguous.value.candidates) == 2


def test_a_stopped_system_is_unavailable_and_answers_again_when_started(gateway: Gateway, found: Places) -> None:
    control.set_mood(found, SystemName.ERP, Mood.STOPPED)
    with pytest.raises(Unavailable, match="refused"):
        call(gateway, "erp.find_party")
    control.set_mood(found, SystemName.ERP, Mood.HTML_ERROR)
    with pytest.raises(ConnectorError) as error_page:
        call(gateway, "erp.find_party")
    assert "<" not in error_page.value.sentence
    control.set_mood(found, SystemName.ERP, Mood.UP)
    assert call(gateway, "erp.find_party") is not None


def test_a_wrong_key_is_told_as_such(sqlite_database: Database, found: Places, office: BackOffice) -> None:
    box = SecretBox((Fernet.generate_key().decode(),))
    wrong = replace(found, keys={**found.keys, "crm": "crm-of-yesterday"})
    with sqlite_database.write() as connection:
        desk.connections(connection, box, wrong, now=NOW)
    gateway = Gateway(sqlite_database, None, box, AddressCeiling(found.addresses))
    with pytest.raises(CredentialsRejected):
        call(gateway, "crm.find_customer")


def test_without_the_environments_leave_the_back_office_is_out_of_reach(
    sqlite_database: Database, found: Places, office: BackOffice
) -> None:
    box = SecretBox((Fernet.generate_key().decode(),))
    with sqlite_database.write() as connection:
        desk.connections(connection, box, found, now=NOW)
    with pytest.raises(AddressRefused):
        call(Gateway(sqlite_database, None, box, AddressCeiling()), "crm.find_customer")


def test_a_note_in_the_crm_is_written_once_per_key_and_for_nobody_unknown(gateway: Gateway, office: BackOffice) -> None:
    def note(text: str, key: str, email: str = CAMILLE) -> Any:
        return gateway.call(
            "crm",
            "add_note",
            {"email": email, "text": text},
            deadline_s=60,
            cause="test",
            allow_write=True,
            idempotency_key=key,
        ).data

    crm = office.servers[SystemName.CRM].system
    assert isinstance(crm, Crm)
    first = note("Paid twice.\nRefunded.", "one")
    assert first == {"id": "N-1", "text": "Paid twice.\nRefunded."}
    note("Called.", "two")
    with pytest.raises(ConnectorError, match="Nobody here has this address"):
        note("Who?", "three", "nobody@nowhere.example")
    assert [text for _, _, text in crm.notes.values()] == ["Paid twice.\nRefunded.", "Called."]


def test_only_the_crm_may_be_written_to(gateway: Gateway, sqlite_database: Database) -> None:
    with sqlite_database.read() as connection:
        found = {one.name: one.allow_write for one in store.connections(connection)}
    assert found == {"crm": True, "erp": False, "billing": False}
