"""Mail that means harm, from the mailbox to what the desk sends: what became of it, and what did not happen."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage

import pytest
from sqlalchemy import func, select

from jobs.intake import Ingested, Outcome, ingest
from jobs.mailboxes import add_mailbox
from tests.rows.desk import a_rule
from tests.rows.maildesk import ADDRESS, MailDesk, a_table, recipient, template, text_of
from tests.web.desk import send
from tickets.tables import Attachment, Blob, InboundMail, Message, Person, WorkItem

CAMILLE = "Camille <camille@customer.test>"
EVE = "Eve <eve@elsewhere.test>"
TAKEN = (WorkItem, Message, Person)


def take(mail_desk: MailDesk, raw: bytes) -> Ingested:
    done = ingest(mail_desk.services, "shop", raw)
    mail_desk.desk.work()
    return done


def count(mail_desk: MailDesk, *tables: type) -> tuple[int, ...]:
    with mail_desk.services.db.read() as connection:
        return tuple(connection.execute(select(func.count()).select_from(one)).scalar_one() for one in tables)


def threads(mail_desk: MailDesk, item_id: int) -> list[tuple[str, bool, str]]:
    """Author, public and new text of a conversation."""
    with mail_desk.services.db.read() as connection:
        found = select(Message.author_kind, Message.public, Message.new_text).where(Message.item_id == item_id)
        return [(row.author_kind, row.public, row.new_text) for row in connection.execute(found.order_by(Message.id))]


def crowd(people: int) -> bytes:
    half = [f"p{number}@crowd.test" for number in range(people // 2)]
    other = [f"q{number}@crowd.test" for number in range(people // 2)]
    head = f"From: {CAMILLE}\nTo: {ADDRESS},\n " + ",\n ".join(half) + "\nCc: " + ",\n ".join(other)
    return f"{head}\nMessage-ID: <crowd@customer.test>\nSubject: To all of you\n\nLook at this.\n".encode()


def test_a_mail_to_ten_thousand_is_one_ticket_of_its_sender_and_its_answer_goes_to_them_alone(
    mail_desk: MailDesk,
) -> None:
    a_rule(mail_desk.desk, {"on": "created"}, then=[("post_message", {"text": "We have it."})])
    done = take(mail_desk, crowd(10_000))
    assert done.outcome is Outcome.CREATED
    assert done.item_id is not None
    assert count(mail_desk, WorkItem, Person) == (1, 1)
    ana = mail_desk.browser("ana")
    send(ana, f"/tickets/{done.item_id}/messages", {"text": "Which one is yours?", "kind": "reply"})
    mails = mail_desk.later(minutes=2)
    assert {recipient(mail) for mail in mails} == {"camille@customer.test"}
    assert all(mail["Cc"] is None and mail["Bcc"] is None for mail in mails)
    assert "crowd.test" not in "".join(mail.as_string() for mail in mails)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (crowd(30_000), "Its headers are longer than 256 kB"),
        (b"From: a@b.test\nContent-Type: " + b"(" * 5_000 + b"\n\nx", "Its parts or comments are nested too deep"),
    ],
    ids=["thirty thousand recipients", "comments in comments"],
)
def test_a_mail_that_is_too_much_is_kept_and_listed_and_makes_nothing(
    mail_desk: MailDesk, raw: bytes, reason: str
) -> None:
    before = count(mail_desk, *TAKEN)
    done = take(mail_desk, raw)
    assert (done.outcome, done.reason) == (Outcome.UNREADABLE, reason)
    assert count(mail_desk, *TAKEN) == before
    assert mail_desk.deliver() == []
    staff = mail_desk.browser("lena", "admin")
    assert reason in staff.get("/mailboxes/mails").get_data(as_text=True)
    with mail_desk.services.db.read() as connection:
        kept = connection.execute(select(Blob.data).join(InboundMail, InboundMail.blob == Blob.sha256)).scalar_one()
    assert kept == raw


def test_a_text_in_another_charset_than_it_names_is_read_and_the_list_says_what_could_not_be(
    mail_desk: MailDesk,
) -> None:
    head = f"From: {CAMILLE}\nTo: {ADDRESS}\nMessage-ID: <one@customer.test>\nSubject: Tasse\n"
    raw = head.encode() + b"Content-Type: text/plain; charset=utf-8\n\nLa tasse est cass\xe9e.\n"
    done = take(mail_desk, raw)
    staff = mail_desk.browser("lena", "admin")
    assert "La tasse est cassée." in staff.get(f"/tickets/{done.item_id}").get_data(as_text=True)
    assert "not in the charset it names" in staff.get("/mailboxes/mails?outcome=created").get_data(as_text=True)


def test_what_is_packed_stays_packed(mail_desk: MailDesk) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(3):
            packed.writestr(f"{number}.txt", b"\0" * 20_000_000)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"], mail["Subject"] = CAMILLE, ADDRESS, "<zip@customer.test>", "Papers"
    mail.set_content("See the papers.")
    mail.add_attachment(bomb.getvalue(), maintype="application", subtype="zip", filename="papers.zip")
    done = take(mail_desk, mail.as_bytes())
    with mail_desk.services.db.read() as connection:
        [kept] = connection.execute(
            select(Attachment.id, Attachment.name, Blob.size, Blob.data).join(Blob, Blob.sha256 == Attachment.blob)
        )
    assert (kept.name, kept.size, kept.data) == ("papers.zip", len(bomb.getvalue()), bomb.getvalue())
    assert kept.size < 100_000  # of 60 MB that it would be
    staff = mail_desk.browser("ana")
    assert "papers.zip" in staff.get(f"/tickets/{done.item_id}").get_data(as_text=True)


@pytest.mark.parametrize("sign", ["In-Reply-To", "References"])
def test_a_forged_thread_puts_nothing_into_a_customers_mouth_and_opens_nothing(mail_desk: MailDesk, sign: str) -> None:
    a_rule(
        mail_desk.desk,
        {"on": "message", "by": "customer"},
        when={"message.text": ("contains_any", ["$closeticket"])},
        then=[("set_status", {"status": "closed"}), ("post_message", {"text": "Closed."})],
    )
    ticket = mail_desk.receive("Where is it?", sender=CAMILLE, Message_ID="<hers@customer.test>").item_id
    assert ticket is not None
    ana = mail_desk.browser("ana")
    send(ana, f"/tickets/{ticket}/messages", {"text": "On its way.", "kind": "reply"})
    [sent] = mail_desk.later(minutes=2)
    # Eve has a ticket of her own, so that she is a customer, too; she names Camille's mails and numbers as hers.
    own = mail_desk.receive("Mine", sender=EVE, Message_ID="<own@elsewhere.test>").item_id
    named = {"In-Reply-To": sent["Message-ID"], "References": f"<own@elsewhere.test> {sent['Message-ID']}"}[sign]
    raw = f"From: {EVE}\nTo: {ADDRESS}\nSubject: [#{ticket}]\nMessage-ID: <f@elsewhere.test>\n{sign}: {named}\n\n"
    done = take(mail_desk, raw.encode() + b"$closeticket\n")
    assert (done.outcome, done.item_id) == (Outcome.THIRD_PARTY, ticket)
    assert threads(mail_desk, ticket)[-1] == ("third_party", False, "$closeticket")
    assert mail_desk.desk.state(ticket).get("status") == "open"
    assert len(threads(mail_desk, own or 0)) == 1
    assert mail_desk.work() == []
    # The same words from Camille are hers.
    mail_desk.receive("$closeticket", sender=CAMILLE, In_Reply_To=sent["Message-ID"], Message_ID="<2@customer.test>")
    assert mail_desk.desk.state(ticket).get("status") == "closed"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_mail_under_the_id_of_our_own_draws_no_answers_to_its_ticket(mail_desk: MailDesk, when: str) -> None:
    ana = mail_desk.browser("ana")
    ticket = mail_desk.receive("Where is it?", sender=CAMILLE, Message_ID="<hers@customer.test>").item_id
    # Our ids can be guessed: item and message are numbers. One more message comes before ours when Eve is first.
    ours = f"t{ticket}.m{3 if when == 'before' else 2}@shop.example"
    if when == "before":
        take(mail_desk, f"From: {EVE}\nTo: {ADDRESS}\nMessage-ID: <{ours}>\n\nMine.\n".encode())
    send(ana, f"/tickets/{ticket}/messages", {"text": "On its way.", "kind": "reply"})
    [sent] = mail_desk.later(minutes=2)
    assert sent["Message-ID"] == f"<{ours}>"
    if when == "after":
        take(mail_desk, f"From: {EVE}\nTo: {ADDRESS}\nMessage-ID: <{ours}>\n\nMine.\n".encode())
    answer = mail_desk.receive("Thank you", sender=CAMILLE, In_Reply_To=f"<{ours}>", Message_ID="<2@customer.test>")
    assert (answer.outcome, answer.item_id) == (Outcome.THREADED, ticket)


def test_a_mail_under_a_customers_id_draws_no_answers_to_its_ticket(mail_desk: MailDesk) -> None:
    ticket = mail_desk.receive("Where is it?", sender=CAMILLE, Message_ID="<hers@customer.test>").item_id
    with mail_desk.services.db.write() as connection:
        # By another address of the shop, so that it is no duplicate.
        add_mailbox(connection, key="other", address="other@shop.example", brand=None, secret="y" * 32)
    stolen = f"From: {EVE}\nTo: other@shop.example\nMessage-ID: <hers@customer.test>\n\nMine.\n"
    assert ingest(mail_desk.services, "other", stolen.encode()).outcome is Outcome.CREATED
    answer = mail_desk.receive("And?", sender=CAMILLE, In_Reply_To="<hers@customer.test>", Message_ID="<2@c.test>")
    assert (answer.outcome, answer.item_id) == (Outcome.THREADED, ticket)


def test_a_strangers_words_fill_a_template_and_are_neither_header_nor_placeholder(mail_desk: MailDesk) -> None:
    texts = {"en": {"subject": "About {{ticket.subject}}", "body": "Hello {{customer.name}}: {{ticket.subject}}."}}
    template(mail_desk, {"texts": texts})
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer"]}))
    raw = (
        f"From: =?utf-8?q?Eve_=7B=7Bticket.id=7D=7D?= <eve@elsewhere.test>\nTo: {ADDRESS}\n"
        "Subject: =?utf-8?q?hi=0D=0ABcc:_boss@shop.example_=7B=7Bcustomer.email=7D=7D"
        "_=7B=7B''.=5F=5Fclass=5F=5F=7D=7D_%(name)s?=\n"
        "Message-ID: <x@elsewhere.test>\n\nHello\n"
    )
    take(mail_desk, raw.encode())
    [mail] = mail_desk.deliver()
    assert recipient(mail) == "eve@elsewhere.test"
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("About hi Bcc: boss@shop.example {{customer.email}}")
    assert text_of(mail).startswith(
        "Hello Eve {{ticket.id}}: hi Bcc: boss@shop.example {{customer.email}} {{''.__class__}} %(name)s."
    )
