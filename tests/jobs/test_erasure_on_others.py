"""What somebody who is erased did on tickets of others: their words and their name go there, too, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.message import EmailMessage

import pytest
from sqlalchemy import insert, select, update

from jobs.erasure import erase
from jobs.intake import Outcome, ingest
from jobs.services import Services
from jobs.tables import OutboxRow
from tests.builders import BY_ANA, a_ticket
from tests.jobs.desk import a_reply, ana, item, work
from tests.jobs.test_erasure_everywhere import everything
from tickets import people, requests
from tickets.events import Actor, ActorKind
from tickets.questions import questions_from
from tickets.tables import CustomField, Mailbox
from web.outbox_store import again

DANA, HERS = "dana.scully@example.com", ("zq", "scully")


@pytest.fixture
def other(desk: Services) -> int:
    """Camille's ticket, made by a mail; its number."""
    with desk.db.write() as connection:
        connection.execute(insert(Mailbox).values(key="m", address="support@shop.example", secret_sha256="x" * 64))
    found = ingest(desk, "m", a_mail("camille@example.com", "Where is my parcel?", id="c1")).item_id
    assert found is not None
    return found


def a_mail(sender: str, text: str, *, id: str, headers: Mapping[str, str] | None = None) -> bytes:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = "support@shop.example"
    mail["Subject"] = "A mail"
    mail["Message-ID"] = f"<{id}@customer.example>"
    for name, value in (headers or {}).items():
        mail[name] = value
    mail.set_content(text)
    return mail.as_bytes()


def erase_dana(desk: Services, address: str = DANA) -> dict[str, str]:
    """Erase her; what is left in every table."""
    work(desk)
    with desk.db.read() as connection:
        person = people.person_by_email(connection, address)
    assert person is not None
    assert left(everything(desk))
    erase(desk, person, by="a test")
    return everything(desk)


def left(found: Mapping[str, str]) -> dict[str, str]:
    return {where: text for where, text in found.items() if any(one in text.casefold() for one in HERS)}


@pytest.mark.parametrize("known", [True, False])
def test_who_wrote_on_a_ticket_of_others_is_not_named_there_known_then_or_not(
    desk: Services, other: int, known: bool
) -> None:
    on_it = a_mail(f"Dana Scully <{DANA}>", "zq, I saw it.", id="d1", headers={"In-Reply-To": "<c1@customer.example>"})
    own = a_mail(f"Dana Scully <{DANA}>", "zq of my own.", id="d2")
    for mail in (own, on_it) if known else (on_it, own):
        ingest(desk, "m", mail)
    after = erase_dana(desk)
    assert left(after) == {}
    assert "Where is my parcel?" in after["messages"]


def test_a_second_copy_of_their_mail_on_a_ticket_of_others_goes_as_the_first_does(desk: Services, other: int) -> None:
    a_ticket(desk.db, email=DANA, text="zq of my own.")
    for way in ("one", "another"):
        headers = {"In-Reply-To": "<c1@customer.example>", "X-Came-By": way}
        done = ingest(desk, "m", a_mail(DANA, "zq, I saw it.", id="d1", headers=headers))
        assert done.item_id == other
    assert done.outcome is Outcome.DUPLICATE
    assert left(erase_dana(desk)) == {}


def test_what_they_answered_about_a_ticket_of_others_goes_and_what_stands_beside_it_stays(
    desk: Services, other: int
) -> None:
    a_ticket(desk.db, email=DANA, text="zq of my own.")
    with desk.db.write() as connection:
        for key in ("seen", "plan"):
            connection.execute(insert(CustomField).values(kind="ticket", key=key, label=key, type="text", options={}))
        camille = item(desk, other).state["customer"]
        dana = people.person_by_email(connection, DANA)
        for number, (person, key, name) in enumerate(((camille, "plan", "Camille"), (dana, "seen", "Dana Scully"))):
            assert isinstance(person, int)
            asked = requests.QuestionsToAsk("Your view", questions_from([{"key": key, "label": "What?"}]))
            made = requests.send(
                connection, asked, person=person, item=other, key=f"r{number}", cause=BY_ANA, now=desk.clock.now()
            )
            assert made is not None
            said = "I go to Lyon." if name == "Camille" else "zq, at the gate."
            requests.save(connection, requests.read(connection, made, lock=True), {key: said}, seen_version=1)
            actor = Actor(ActorKind.CUSTOMER, str(person), name)
            requests.complete(connection, made, actor=actor, now=desk.clock.now(), person=person)
    assert item(desk, other).state["fields.seen"] == "zq, at the gate."
    after = erase_dana(desk)
    assert left(after) == {}
    assert item(desk, other).state["fields.plan"] == "I go to Lyon."
    assert all("I go to Lyon." in after[where] for where in ("events", "history", "requests", "decisions"))


@pytest.mark.parametrize("address", [DANA, "zq.jürgen@exämple.com"], ids=["ascii", "beyond"])
def test_that_a_mail_about_a_ticket_of_others_went_to_their_address_is_not_kept(
    desk: Services, other: int, address: str
) -> None:
    a_ticket(desk.db, email=address, text="zq of my own.")
    message = a_reply(desk, other)
    with desk.db.write() as connection:
        row = connection.execute(select(OutboxRow.id).where(OutboxRow.key == f"message:{message}")).scalar_one()
        connection.execute(update(OutboxRow).where(OutboxRow.id == row).values(status="failed"))
        again(connection, ana(desk), row, desk.clock.now(), to=address)
    assert json.dumps(address) in everything(desk)["history"] or address in everything(desk)["history"]
    assert left(erase_dana(desk, address)) == {}
