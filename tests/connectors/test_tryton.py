"""Tryton 8.0 as it really answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.errors import Ambiguous, BadRequest, CredentialsRejected, Unavailable
from connectors.gateway import Record
from tests.backoffice.servers import Tryton, a_person, an_amount
from tests.builders import an_object
from tests.connectors.desk import Desk
from tickets.values import from_iso


@pytest.fixture
def erp(desk: Desk, tryton: Tryton) -> Desk:
    desk.connect("erp", "tryton", config(tryton))
    return desk


def config(tryton: Tryton, **other: str) -> dict[str, str]:
    return {
        "base_url": tryton.url,
        "database": tryton.database,
        "username": tryton.username,
        "password": tryton.password,
        **other,
    }


def test_a_party_is_found_by_e_mail_in_any_case(erp: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    record = erp.call("erp", "find_party", email=person.email.upper())
    assert (record.data["name"], record.data["currency"]) == (person.name, "EUR")
    assert Decimal(record.data["receivable"]) == 0
    assert record.data["code"]
    assert from_iso(record.data["created_at"]).tzinfo is not None
    assert record.external_url == f"{tryton.url}/#helpdesk/model/party.party/{record.data['id']}"


def test_a_wildcard_in_an_address_matches_nobody_else(erp: Desk, tryton: Tryton) -> None:
    tryton.add_party(email="wild.card@example.net")
    assert erp.call("erp", "find_party", email="wild_card@example.net").data is None
    assert erp.call("erp", "find_party", email="wild%@example.net").data is None


def test_find_customer_is_the_same_question(erp: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    party = erp.call("erp", "find_party", email=person.email).data
    assert erp.call("erp", "find_customer", email=person.email).data == party


def test_what_a_party_owes_is_exact(erp: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    amounts = [an_amount(), an_amount()]
    numbers = tryton.add_invoices(person, amounts)
    party = erp.call("erp", "find_party", email=person.email).data
    assert Decimal(party["receivable"]) == sum(amounts)
    invoices = erp.call("erp", "list_invoices", email=person.email).data
    assert {(one["number"], Decimal(one["due"]), one["state"], one["currency"]) for one in invoices} == {
        (number, amount, "posted", "EUR") for number, amount in zip(numbers, amounts, strict=True)
    }
    orders = {one["number"] for one in erp.call("erp", "list_orders", email=person.email).data}
    assert {one["order"] for one in invoices} == orders


def test_orders_are_listed_newest_first_with_their_totals(erp: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    amounts = [an_amount(), an_amount(), an_amount()]
    numbers = tryton.add_orders(person, amounts)
    record = erp.call("erp", "list_orders", email=person.email)
    assert [(one["number"], Decimal(one["total"])) for one in record.data] == list(
        zip(reversed(numbers), reversed(amounts), strict=True)
    )
    assert record.truncated is False


def test_an_address_nobody_has_is_no_match_for_every_operation(erp: Desk, tryton: Tryton) -> None:
    for operation in ("find_party", "list_orders", "list_invoices"):
        assert erp.call("erp", operation, email=a_person().email).data is None


def test_two_parties_with_one_address_are_ambiguous(erp: Desk, tryton: Tryton) -> None:
    first = tryton.add_party()
    second = tryton.add_party(name="Somebody Else", email=first.email)
    with pytest.raises(Ambiguous) as caught:
        erp.call("erp", "find_party", email=first.email)
    assert {an_object(one)["name"] for one in caught.value.candidates} == {first.name, second.name}
    assert caught.value.sentence == "erp has 2 parties with this address"


def test_the_session_is_signed_in_once_and_renewed_when_tryton_ends_it(erp: Desk, tryton: Tryton) -> None:
    first, second, third = tryton.add_party(), tryton.add_party(), tryton.add_party()
    erp.call("erp", "find_party", email=first.email)
    erp.call("erp", "find_party", email=second.email)
    tryton.end_sessions()
    assert erp.call("erp", "find_party", email=third.email).data["name"] == third.name
    # Sign-in is two requests; the renewed one comes after the refused question.
    assert [row.requests for row in erp.audit()] == [3, 1, 4]
    assert erp.info("erp").needs_reauth is False


def test_a_wrong_password_is_sent_once_and_then_kept_back(desk: Desk, tryton: Tryton) -> None:
    desk.connect("erp", "tryton", config(tryton, password="not the password"))
    for _ in range(3):
        with pytest.raises(CredentialsRejected):
            desk.call("erp", "find_party", email=a_person().email)
    assert [row.requests for row in desk.audit()] == [1, 0, 0]
    assert desk.info("erp").needs_reauth is True
    result = desk.gateway.test("erp")
    assert (result.ok, result.status, result.error) == (False, 401, "credentials_rejected")
    assert result.reading == "erp refuses our credentials (401). Enter new ones."


def test_entering_the_right_password_opens_the_connection_again(desk: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    desk.connect("erp", "tryton", config(tryton, password="not the password"))
    with pytest.raises(CredentialsRejected):
        desk.call("erp", "find_party", email=person.email)
    desk.connect("erp", "tryton", config(tryton))
    assert desk.call("erp", "find_party", email=person.email).data["name"] == person.name


def test_a_database_that_does_not_exist_is_a_permanent_error(desk: Desk, tryton: Tryton) -> None:
    desk.connect("erp", "tryton", config(tryton, database="nosuch"))
    with pytest.raises(BadRequest, match="404"):
        desk.call("erp", "find_party", email=a_person().email)


def test_a_connection_test_reads_as_a_sentence(erp: Desk) -> None:
    result = erp.gateway.test("erp")
    assert (result.ok, result.reading) == (True, "Tryton answered, and admin may read parties.")


def test_a_tryton_that_is_away_is_unavailable_and_is_asked_again_when_back(erp: Desk, tryton: Tryton) -> None:
    person = tryton.add_party()
    tryton.stop()
    try:
        with pytest.raises(Unavailable, match="cannot be reached: the connection was refused"):
            erp.call("erp", "find_party", email=person.email)
    finally:
        tryton.start()
    assert erp.call("erp", "find_party", email=person.email).data["name"] == person.name


# Notes


def note(desk: Desk, email: str, text: str = "Called.\nIs content.", key: str = "ev1:A01/r1:s1") -> Record:
    args = {"email": email, "text": text}
    return desk.gateway.call(
        "erp", "add_note", args, deadline_s=15, cause="test", allow_write=True, idempotency_key=key
    )


def notes(tryton: Tryton, party: str) -> list[str]:
    rows = tryton.rpc(
        "model.ir.note.search_read", [["resource", "=", f"party.party,{party}"]], 0, 10, None, ["message"]
    )
    return [row["message"] for row in rows]


def test_a_note_is_written_once_per_key_even_when_our_memory_of_it_is_lost(desk: Desk, tryton: Tryton) -> None:
    desk.connect("erp", "tryton", config(tryton), allow_write=True)
    person = tryton.add_party()
    party = desk.call("erp", "find_party", email=person.email).data["id"]
    first = note(desk, person.email)
    written = an_object(first.data)
    assert (written["on"], written["text"]) == (person.name, "Called.\nIs content.")
    # Saved anew, the connection has no answers any more: what Tryton itself holds must tell.
    desk.connect("erp", "tryton", config(tryton), allow_write=True)
    assert an_object(note(desk, person.email).data)["id"] == written["id"]
    (message,) = notes(tryton, party)
    assert message.startswith("Called.\nIs content.\n\n[Deskhand ")
    note(desk, person.email, key="another")
    assert len(notes(tryton, party)) == 2


def test_a_note_for_nobody_is_refused_and_not_written(desk: Desk, tryton: Tryton) -> None:
    desk.connect("erp", "tryton", config(tryton), allow_write=True)
    with pytest.raises(BadRequest, match="no party with this address"):
        note(desk, a_person().email, key="nobody")
    found = tryton.rpc("model.ir.note.search_count", [["message", "ilike", "%nobody%"]])
    assert found == 0
