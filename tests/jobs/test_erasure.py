"""A person who is erased is nowhere any more; everybody else is where they were."""

from __future__ import annotations

import hashlib
import json
from email.message import EmailMessage

import pytest
from sqlalchemy import insert, select

from connectors.store import add_call, add_record
from jobs.erasure import erase
from jobs.intake import ingest
from jobs.outbox import queue_message
from jobs.services import Services
from jobs.tables import IdempotencyKey, LookupRow, OutboxRow, RunRow
from tests.builders import ANA, BY_ANA, a_ticket
from tests.jobs.desk import item, table, work
from tests.jobs.test_automation import TRIAGE
from tickets import people, requests, store, tokens
from tickets.attachments import NewAttachment
from tickets.cards import NewContext
from tickets.db import Base
from tickets.effects import SetField
from tickets.errors import PersonNotFound
from tickets.events import Cause
from tickets.questions import questions_from
from tickets.store import NewMessage
from tickets.tables import Mailbox, Notification
from web import create_app

#: What must be found nowhere afterwards.
SECRETS = ("dana.scully", "Dana Scully", "20-7714", "a secret plan", "IBAN-4711", "quoted by Ana", "party-of-dana")


def everything(services: Services) -> dict[str, str]:
    """Every table as text, blobs included."""
    with services.db.read() as connection:
        return {
            name: "\n".join(
                " | ".join(
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)
                    for value in row
                )
                for row in connection.execute(select(found))
            )
            for name, found in Base.metadata.tables.items()
        }


def where(services: Services, secret: str) -> list[str]:
    return [name for name, text in everything(services).items() if secret.lower() in text.lower()]


def a_mail(sender: str, text: str, *, subject: str = "IBAN-4711", automatic: bool = False) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Dana Scully <{sender}>"
    mail["To"] = "support@shop.example"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{hashlib.sha256(text.encode()).hexdigest()[:12]}@customer.example>"
    if automatic:
        mail["Auto-Submitted"] = "auto-replied"
    mail.set_content(text)
    mail.add_attachment(b"a secret plan", maintype="application", subtype="pdf", filename="plan.pdf")
    return mail.as_bytes()


@pytest.fixture
def dana(desk: Services) -> int:
    """A ticket of Dana's with everything that can hang on one; its number."""
    table(desk, TRIAGE)
    with desk.db.write() as connection:
        connection.execute(insert(Mailbox).values(key="m", address="support@shop.example", secret_sha256="x" * 64))
    address = "dana.scully@example.com"
    done = ingest(desk, "m", a_mail(address, "I was charged twice for order 20-7714."))
    ingest(desk, "m", a_mail(address, "I am away; about 20-7714 later.", automatic=True))
    work(desk)
    assert done.item_id is not None
    now = desk.clock.now()
    asked = {"email": address}
    with desk.db.write() as connection:
        person = people.person_by_email(connection, address)
        assert person is not None
        questions = questions_from([{"key": "plan", "label": "What for?"}, {"key": "f", "label": "F", "type": "file"}])
        request = requests.send(
            connection,
            requests.QuestionsToAsk("About IBAN-4711", questions),
            person=person,
            item=done.item_id,
            key="k",
            cause=BY_ANA,
            now=now,
        )
        assert request is not None
        tokens.new(connection, "secret", person=person, request=request, now=now)
        requests.save(
            connection,
            requests.read(connection, request),
            {"plan": "a secret plan"},
            seen_version=1,
            files={"f": [NewAttachment("20-7714.txt", "text/plain", b"a secret plan again")]},
        )
        requests.complete(connection, request, actor=ANA, now=now)
    work(desk)
    digest = hashlib.sha256(
        json.dumps({"order": "20-7714"}, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    with desk.db.write() as connection:
        current = store.read_item(connection, done.item_id, lock=True)
        made = store.change_item(
            connection,
            current,
            lines=[store.Lines((SetField("subject", "Dana Scully and order 20-7714"),), BY_ANA)],
            actor=ANA,
            now=now,
            messages=(
                NewMessage(
                    author="agent",
                    public=True,
                    channel="email",
                    text="quoted by Ana: I was charged twice for order 20-7714.",
                    author_user="ana",
                    attachments=(NewAttachment("x", "text/plain", b"IBAN-4711"),),
                ),
            ),
            context=(NewContext("party", "Party", {"name": "party-of-dana"}, "erp.find", now, Cause("system")),),
        )
        assert made.message_id is not None
        queue_message(connection, current, made.message_id, now)
        lookup = {"item_id": current.id, "connection": "erp", "operation": "find", "state": "known", "reason": ""}
        lookup |= {"args": {"order": "20-7714"}, "args_key": "k", "answer": {"data": "party-of-dana"}, "depth": 0}
        connection.execute(insert(LookupRow).values(asked_at=now, tries=1, **lookup))
        run = {"key": "r", "item_id": current.id, "event_id": 1, "script": "A01", "version": 1, "params": asked}
        run |= {"cause": {}, "root_id": 1, "depth": 0, "status": "finished", "attempt": 1, "created_at": now}
        connection.execute(insert(RunRow).values(outcome={"calls": [{"args": asked}], "log": ["20-7714"]}, **run))
        record = {"connection": "erp", "operation": "find", "truncated": False, "external_url": ""}
        record |= {"fetched_at": now, "fresh_until": now, "stale_until": now}
        add_record(connection, {**record, "key": "a", "inputs_hash": digest, "data": {"v": "party-of-dana"}})
        add_record(connection, {**record, "key": "b", "inputs_hash": "other", "data": {"v": [address]}})
        add_record(connection, {**record, "key": "c", "inputs_hash": "other", "data": {"v": "somebody else"}})
        call = {"at": now, "connection": "erp", "operation": "find", "kind": "read", "cause": "", "inputs": asked}
        call |= {"inputs_hash": "h", "status": "ok", "error": "", "http_status": 200, "ms": 1, "requests": 1}
        add_call(connection, {**call, "answer_bytes": 1, "request_id": ""})
        remembered = {"principal": "p", "key": "k", "request_sha256": "", "status": 201, "created_at": now}
        connection.execute(insert(IdempotencyKey).values(body={"customer": address}, **remembered))
        store.notify(connection, ["ana"], current.id, "Dana Scully wrote", cause=Cause("system"), key="n", now=now)
    work(desk)
    return done.item_id


def test_nothing_of_an_erased_person_is_left_in_any_table(desk: Services, dana: int) -> None:
    for secret in SECRETS:
        assert where(desk, secret), f"the test says nothing about {secret}"
    before = item(desk, dana)
    person = before.state["customer"]
    assert isinstance(person, int)
    done = erase(desk, person, by="a test")
    assert {secret: where(desk, secret) for secret in SECRETS} == {secret: [] for secret in SECRETS}
    assert done.rows["messages"] >= 2
    assert done.rows["mails"] == 2
    after = item(desk, dana)
    assert (after.id, after.state["status"], after.state["team"]) == (dana, "open", before.state["team"])
    assert "somebody else" in everything(desk)["connector_records"]
    with desk.db.read() as connection:
        erased = people.customer(connection, person)
    assert (erased.name, erased.emails, erased.anonymous) == ("", (), True)
    assert work(desk) == 0  # erasing is no event


def test_other_people_stay_as_they_were(desk: Services, dana: int) -> None:
    other = a_ticket(desk.db, text="Where is my parcel?", email="camille@example.com")
    work(desk)
    with desk.db.write() as connection:
        queue_message(connection, store.read_item(connection, other.item_id), 1, desk.clock.now())
    before = {one: where(desk, one) for one in ("camille@example.com", "Where is my parcel?", "Camille Laurent")}
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    assert {one: where(desk, one) for one in before} == before


def test_an_unknown_person_is_refused_and_nothing_is_changed(desk: Services, dana: int) -> None:
    before = everything(desk)
    with pytest.raises(PersonNotFound):
        erase(desk, 999, by="a test")
    assert everything(desk) == before


def test_what_a_worker_still_holds_of_an_erased_ticket_goes_nowhere(desk: Services, dana: int) -> None:
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.id)).all() == []
        assert connection.execute(select(Notification.id)).all() == []


def test_the_command_says_whom_first_and_erases_only_with_yes(desk: Services, dana: int) -> None:
    flask = create_app(desk).test_cli_runner()
    before = everything(desk)
    asked = flask.invoke(args=["person", "erase", "Dana.Scully@example.com"])
    assert "Dana Scully, dana.scully@example.com. Nothing was changed." in asked.output
    nobody = flask.invoke(args=["person", "erase", "nobody@example.com", "--yes"])
    assert (nobody.exit_code, "There is no person nobody@example.com" in nobody.output) == (1, True)
    assert everything(desk) == before
    done = flask.invoke(args=["person", "erase", "dana.scully@example.com", "--yes"])
    assert (done.exit_code, "was erased: " in done.output) == (0, True)
    assert where(desk, "dana.scully") == []
