"""Dana Scully, who is to be erased: her mails, her answers, and everything that was written down because of them."""

from __future__ import annotations

import hashlib
import json
from email.message import EmailMessage

from sqlalchemy import insert

from connectors.store import add_call, add_record
from jobs.intake import ingest
from jobs.outbox import queue_message
from jobs.services import Services
from jobs.tables import IdempotencyKey, LookupRow, RunRow
from tests.builders import ANA, BY_ANA
from tests.jobs.desk import table, work
from tests.jobs.tables import TRIAGE
from tickets import people, requests, store, tokens
from tickets.attachments import NewAttachment
from tickets.cards import NewContext
from tickets.effects import SetField
from tickets.events import Cause
from tickets.questions import questions_from
from tickets.store import NewMessage
from tickets.tables import Mailbox


def a_mail(sender: str, text: str, *, subject: str = "IBAN-4711", automatic: bool = False) -> bytes:
    """A mail of hers with an attachment."""
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


def a_ticket_of_dana(desk: Services) -> int:
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
