"""What becomes of a mail: ticket, message, or a line that says why not. Everything handed in is kept."""

from __future__ import annotations

import threading
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from connectors.channels import email as channel
from jobs import intake, mail_list, mailboxes
from jobs.intake import Outcome, reply_address
from jobs.letters import header_id
from tests.intake.mail import ADDRESS, MAILBOX, SECRET, a_mail, events, how_many, kept, messages, take
from tests.web.desk import Desk
from tickets import people, store
from tickets.attachments import ATTACHMENT_BYTES, ATTACHMENTS, MESSAGE_BYTES
from tickets.events import ActorKind, EventKind
from tickets.tables import Blob, Brand, Mailbox, PersonAddress, WorkItem


def test_a_new_mail_is_a_published_ticket_of_the_mailboxs_brand_and_its_sender(desk: Desk) -> None:
    done = take(desk, a_mail("Bonjour, où est ma commande ? Merci.", subject="Ma commande", message_id="one@c.test"))
    assert done.outcome is Outcome.CREATED
    assert done.item_id is not None
    state = desk.state(done.item_id)
    person = state.pop("customer")
    assert state == {
        "subject": "Ma commande",
        "brand": "acme",
        "channel": "email",
        "language": "fr",
        "status": "open",
        "priority": "normal",
    }
    (message,) = messages(desk, done.item_id)
    assert (message.author_kind, message.author_person, message.author_name) == ("customer", person, "Camille Laurent")
    assert (message.author_address, message.public, message.header_id) == ("camille@customer.test", True, "one@c.test")
    (event,) = events(desk, done.item_id)
    assert (event.kind, event.actor.kind, event.message_id) == (EventKind.CREATED, ActorKind.CUSTOMER, done.message_id)


def test_every_mail_is_kept_as_it_came(desk: Desk) -> None:
    mails = [a_mail(), b"\x00\xff not a mail", a_mail(Auto_Submitted="auto-replied")]
    outcomes = [take(desk, raw).outcome for raw in mails]
    assert outcomes == [Outcome.CREATED, Outcome.UNREADABLE, Outcome.AUTOMATIC]
    with desk.services.db.read() as connection:
        data = [connection.execute(select(Blob.data).where(Blob.sha256 == row.blob)).scalar_one() for row in kept(desk)]
    assert data == mails


def test_a_mail_that_cannot_be_read_is_listed_with_the_reason_and_makes_nothing(desk: Desk) -> None:
    done = take(desk, b"Subject: no sender\r\n\r\nhello")
    assert done == intake.Ingested(Outcome.UNREADABLE, reason="It names no sender's address")
    assert how_many(desk) == {"items": 0, "messages": 0, "events": 0, "inbound_mails": 1}
    (row,) = kept(desk)
    assert (row.outcome, row.reason, row.item_id) == ("unreadable", "It names no sender's address", None)


def test_the_same_message_id_in_the_same_mailbox_is_taken_in_once(desk: Desk) -> None:
    raw = a_mail(message_id="twice@c.test")
    first, second = take(desk, raw), take(desk, raw)
    assert (first.outcome, second.outcome) == (Outcome.CREATED, Outcome.DUPLICATE)
    assert (second.item_id, second.message_id) == (first.item_id, first.message_id)
    assert how_many(desk) == {"items": 1, "messages": 1, "events": 1, "inbound_mails": 1}


def test_other_bytes_under_a_known_message_id_are_kept_but_make_nothing(desk: Desk) -> None:
    first = take(desk, a_mail("One", message_id="twice@c.test"))
    second = take(desk, a_mail("Another text", message_id="twice@c.test"))
    assert second.outcome is Outcome.DUPLICATE
    assert [(row.outcome, row.item_id) for row in kept(desk)] == [
        ("created", first.item_id),
        ("duplicate", first.item_id),
    ]
    assert how_many(desk)["messages"] == 1


def test_a_mail_without_a_message_id_is_taken_in_once_by_its_bytes(desk: Desk) -> None:
    raw = b"From: a@customer.test\r\nSubject: hi\r\n\r\nhello"
    assert [take(desk, raw).outcome for _ in range(2)] == [Outcome.CREATED, Outcome.DUPLICATE]


def test_one_mail_handed_in_by_several_at_the_same_moment_is_taken_in_once(desk: Desk) -> None:
    raw = a_mail()
    start = threading.Barrier(6)
    outcomes: list[Outcome] = []

    def hand_in() -> None:
        start.wait(timeout=60)
        outcomes.append(take(desk, raw).outcome)

    threads = [threading.Thread(target=hand_in) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert sorted(outcomes) == ["created", *["duplicate"] * 5]
    assert how_many(desk) == {"items": 1, "messages": 1, "events": 1, "inbound_mails": 1}


def test_one_mail_to_two_mailboxes_is_a_ticket_in_each_and_answers_find_their_own(desk: Desk) -> None:
    with desk.services.db.write() as connection:
        connection.execute(insert(Brand).values(key="nord", label="Nord"))
        mailboxes.add_mailbox(connection, key="nord", address="hello@nord.test", brand="nord", secret="another")
    raw = a_mail(message_id="both@c.test")
    one, two = take(desk, raw), intake.ingest(desk.services, "nord", raw)
    assert (one.outcome, two.outcome) == (Outcome.CREATED, Outcome.CREATED)
    more = a_mail(In_Reply_To="<both@c.test>")
    assert intake.ingest(desk.services, "nord", more).item_id == two.item_id
    assert take(desk, more).item_id == one.item_id


def test_a_participants_answer_by_reference_is_a_customer_message_and_reopens_nothing_by_itself(desk: Desk) -> None:
    first = take(desk, a_mail(message_id="one@c.test"))
    assert first.item_id is not None
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == first.item_id).values(status="solved"))
    done = take(desk, a_mail("And now?\n\nOn 5 May 2026 Acme wrote:\n> Hello", References="<zero@c.test> <one@c.test>"))
    assert (done.outcome, done.item_id) == (Outcome.THREADED, first.item_id)
    message = messages(desk, first.item_id)[-1]
    assert (message.author_kind, message.public, message.new_text) == ("customer", True, "And now?")
    event = events(desk, first.item_id)[-1]
    assert (event.kind, event.actor.kind, event.changes) == (EventKind.MESSAGE, ActorKind.CUSTOMER, ())
    assert desk.state(first.item_id)["status"] == "solved"


def test_our_own_message_id_is_known_before_the_note_that_it_was_sent(desk: Desk) -> None:
    first = take(desk, a_mail())
    assert first.item_id is not None
    assert first.message_id is not None
    own = header_id(first.item_id, first.message_id, "Acme <support@acme.test>").strip(">")
    assert take(desk, a_mail(In_Reply_To=f"<{own}>")).item_id == first.item_id


def test_a_made_up_message_id_of_ours_finds_nothing(desk: Desk) -> None:
    first = take(desk, a_mail())
    assert take(desk, a_mail(In_Reply_To=f"<t{first.item_id}.m999@acme.test>")).outcome is Outcome.CREATED


def test_a_signed_reply_address_finds_the_ticket_and_a_forged_one_does_not(desk: Desk) -> None:
    first = take(desk, a_mail())
    assert first.item_id is not None
    good = reply_address(ADDRESS, first.item_id, desk.services.settings.keys.session)
    forged = reply_address(ADDRESS, first.item_id, "another key")
    assert take(desk, a_mail(to=good)).item_id == first.item_id
    assert take(desk, a_mail(to="x@y.test", Delivered_To=good)).item_id == first.item_id
    made = take(desk, a_mail(to=forged))
    assert (made.outcome, made.item_id != first.item_id) == (Outcome.CREATED, True)


def test_a_number_in_the_subject_counts_only_for_a_participant(desk: Desk) -> None:
    first = take(desk, a_mail())
    subject = f"Re: Where is my order? [#{first.item_id}]"
    assert take(desk, a_mail(subject=subject)).item_id == first.item_id
    stranger = take(desk, a_mail(subject=subject, sender="eve@elsewhere.test"))
    assert (stranger.outcome, stranger.item_id != first.item_id) == (Outcome.CREATED, True)


def test_a_second_address_of_the_customer_takes_part(desk: Desk) -> None:
    first = take(desk, a_mail(message_id="one@c.test"))
    assert first.item_id is not None
    person = desk.state(first.item_id)["customer"]
    with desk.services.db.write() as connection:
        connection.execute(insert(PersonAddress).values(person_id=person, kind="email", address="cam@work.test"))
    done = take(desk, a_mail(sender="CAM@work.test", In_Reply_To="<one@c.test>"))
    assert (done.outcome, messages(desk, first.item_id)[-1].author_kind) == (Outcome.THREADED, "customer")


def test_a_stranger_on_the_thread_is_a_third_party_internal_and_no_customer(desk: Desk) -> None:
    first = take(desk, a_mail(message_id="one@c.test"))
    assert first.item_id is not None
    done = take(desk, a_mail("Pay to my account", sender="Eve <eve@elsewhere.test>", In_Reply_To="<one@c.test>"))
    assert (done.outcome, done.item_id) == (Outcome.THIRD_PARTY, first.item_id)
    assert done.reason == f"eve@elsewhere.test does not take part in ticket {first.item_id}"
    message = messages(desk, first.item_id)[-1]
    assert (message.author_kind, message.public, message.author_person) == ("third_party", False, None)
    assert events(desk, first.item_id)[-1].actor.kind is ActorKind.THIRD_PARTY
    assert take(desk, a_mail(sender="eve@elsewhere.test", In_Reply_To="<one@c.test>")).outcome is Outcome.THIRD_PARTY


def test_a_colleagues_answer_is_an_agents_internal_unless_the_customer_has_it(desk: Desk) -> None:
    address = desk.user("ana", "agent", name="Ana Nowak")
    first = take(desk, a_mail(message_id="one@c.test"))
    assert first.item_id is not None
    take(desk, a_mail(sender=address, In_Reply_To="<one@c.test>"))
    take(desk, a_mail(sender=address, In_Reply_To="<one@c.test>", Cc="camille@customer.test"))
    later = messages(desk, first.item_id)[1:]
    assert [(one.author_kind, one.author_user, one.public) for one in later] == [
        ("agent", "ana", False),
        ("agent", "ana", True),
    ]


def test_a_colleague_who_may_not_see_the_ticket_is_a_third_party(desk: Desk) -> None:
    address = desk.user("ana", "agent")
    first = take(desk, a_mail(message_id="one@c.test"))
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == first.item_id).values(team="ethics"))
    assert take(desk, a_mail(sender=address, In_Reply_To="<one@c.test>")).outcome is Outcome.THIRD_PARTY


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto_Submitted": "auto-replied"}, "Auto-Submitted says 'auto-replied'"),
        ({"Precedence": "bulk"}, "Precedence is bulk"),
        ({"List_Id": "<news.shop.test>"}, "It has the header list-id"),
        ({"X_Auto_Response_Suppress": "All"}, "It has the header x-auto-response-suppress"),
        ({"Return_Path": "<>"}, "Its return path is empty"),
        ({"sender": "No Reply <no-reply@shop.test>"}, "no-reply@shop.test is not a person's address"),
        ({"sender": f"Us <{ADDRESS}>"}, "It comes from our own address"),
        ({"sender": "Us <support+t1.0011223344556677@acme.test>"}, "It comes from our own address"),
    ],
)
def test_a_machines_mail_makes_no_ticket_and_says_why(desk: Desk, headers: dict[str, str], reason: str) -> None:
    done = take(desk, a_mail(**headers))
    assert (done.outcome, done.item_id, done.reason) == (Outcome.AUTOMATIC, None, reason)
    assert how_many(desk) == {"items": 0, "messages": 0, "events": 0, "inbound_mails": 1}


def test_a_machines_mail_on_a_thread_is_attached_and_no_rule_for_messages_answers_it(desk: Desk) -> None:
    desk.publish(
        {
            "name": "Answer everything",
            "kind": "ticket",
            "enabled": True,
            "triggers": [{"on": "message"}, {"on": "changed"}],
            "hit": "every",
            "wait_s": 0,
            "columns": [],
            "steps": [{"id": "s1", "do": "set_priority"}],
            "rows": [{"id": "r1", "if": {}, "then": {"s1": {"priority": "high"}}}],
        }
    )
    first = take(desk, a_mail(message_id="one@c.test"))
    assert first.item_id is not None
    desk.work()
    done = take(desk, a_mail("I am away until Monday.", In_Reply_To="<one@c.test>", Auto_Submitted="auto-replied"))
    desk.work()
    assert (done.outcome, done.item_id) == (Outcome.AUTOMATIC, first.item_id)
    message = messages(desk, first.item_id)[-1]
    assert (message.automatic, message.public, message.author_kind) == (True, False, "third_party")
    assert desk.state(first.item_id)["priority"] == "normal"
    take(desk, a_mail("A person again", In_Reply_To="<one@c.test>"))
    desk.work()
    assert desk.state(first.item_id)["priority"] == "high"


def test_beyond_the_hourly_cap_of_a_sender_mails_are_kept_and_become_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SENDER_MAILS_PER_HOUR", 2)
    outcomes = [take(desk, a_mail()).outcome for _ in range(3)]
    assert outcomes == [Outcome.CREATED, Outcome.CREATED, Outcome.CAPPED]
    assert kept(desk)[-1].reason == ("More than 2 mails of camille@customer.test within an hour; it became no ticket")
    assert how_many(desk) == {"items": 2, "messages": 2, "events": 2, "inbound_mails": 3}
    assert take(desk, a_mail(sender="other@customer.test")).outcome is Outcome.CREATED
    desk.clock.move(hours=1, seconds=1)
    assert take(desk, a_mail()).outcome is Outcome.CREATED


def test_a_person_may_make_a_ticket_of_a_kept_mail_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SENDER_MAILS_PER_HOUR", 0)
    take(desk, a_mail("Held back", subject="Help"))
    take(desk, a_mail("On sale now", sender="news@shop.test", Precedence="bulk"))
    take(desk, b"not a mail")
    desk.user("adam", "admin", name="Adam")
    with desk.services.db.read() as connection:
        adam = people.viewer(connection, "adam")
    assert adam is not None
    capped, automatic, unreadable = kept(desk)
    item_id = intake.adopt(desk.services, capped.id, adam)
    assert item_id is not None
    assert desk.state(item_id)["subject"] == "Help"
    assert messages(desk, item_id)[0].author_kind == "customer"
    machine = intake.adopt(desk.services, automatic.id, adam)
    assert machine is not None
    assert "customer" not in desk.state(machine)
    assert (messages(desk, machine)[0].automatic, messages(desk, machine)[0].public) == (True, False)
    assert intake.adopt(desk.services, unreadable.id, adam) is None
    assert intake.adopt(desk.services, capped.id, adam) is None
    assert [(row.outcome, row.item_id) for row in kept(desk)] == [
        ("created", item_id),
        ("created", machine),
        ("unreadable", None),
    ]
    assert kept(desk)[0].reason.startswith("Adam made it a ticket.")
    assert how_many(desk)["items"] == 2


def test_an_unknown_or_switched_off_mailbox_takes_nothing(desk: Desk) -> None:
    with pytest.raises(intake.UnknownMailbox):
        intake.ingest(desk.services, "nobody", a_mail())
    with desk.services.db.write() as connection:
        connection.execute(update(Mailbox).values(active=False))
    with pytest.raises(intake.UnknownMailbox):
        take(desk, a_mail())
    assert how_many(desk)["inbound_mails"] == 0


def test_a_mail_beyond_the_cap_is_refused_and_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAIL_BYTES", 1_000)
    with pytest.raises(intake.TooLarge):
        take(desk, a_mail("x" * 1_000))
    assert how_many(desk)["inbound_mails"] == 0


def test_a_mistake_of_ours_keeps_the_mail_and_lists_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with desk.services.db.write() as connection:
        # Stands for a bug that only some mails meet: no second ticket may have the same subject.
        connection.execute(text("CREATE UNIQUE INDEX a_bug ON items (subject)"))
    take(desk, a_mail())
    done = take(desk, a_mail())
    reason = "Deskhand could not take it in (IntegrityError); the log has the details"
    assert done == intake.Ingested(Outcome.UNREADABLE, reason=reason)
    assert how_many(desk) == {"items": 1, "messages": 1, "events": 1, "inbound_mails": 2}
    assert "mail.broken" in caplog.text


def test_attachments_stand_on_the_message(desk: Desk) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@customer.test", "The invoice"
    mail.set_content("see attached")
    mail.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="../../invoice.pdf")
    done = take(desk, mail.as_bytes())
    with desk.services.db.read() as connection:
        rows = connection.execute(text("SELECT message_id, name, media_type, size FROM attachments")).all()
    assert [tuple(row) for row in rows] == [(done.message_id, "invoice.pdf", "application/pdf", 6)]


def test_the_caps_of_a_mail_are_those_of_a_message() -> None:
    assert (channel.FILES, channel.FILE_BYTES, channel.FILES_BYTES, channel.TEXT_CHARS) == (
        ATTACHMENTS,
        ATTACHMENT_BYTES,
        MESSAGE_BYTES,
        store.MESSAGE_CHARS,
    )


def test_what_one_may_not_see_is_neither_listed_nor_handed_out(desk: Desk) -> None:
    desk.user("adam", "admin")
    open_one, secret_one = take(desk, a_mail()), take(desk, a_mail())
    take(desk, b"not a mail")
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == secret_one.item_id).values(team="ethics"))
        adam: Any = people.viewer(connection, "adam")
        found = mail_list.mails(connection, adam)
        rows = kept(desk)
        assert [(one.outcome, one.item_id) for one in found.mails] == [
            (Outcome.UNREADABLE, None),
            (Outcome.CREATED, open_one.item_id),
        ]
        assert (found.total, found.hidden) == (2, 1)
        assert mail_list.raw_mail(connection, adam, rows[1].id) is None
        assert mail_list.raw_mail(connection, adam, rows[2].id) == b"not a mail"


def test_the_mailbox_of_a_secret_is_found_and_no_other(desk: Desk) -> None:
    assert mailboxes.mailbox_for(desk.services, SECRET) == MAILBOX
    assert mailboxes.mailbox_for(desk.services, SECRET + "x") is None
    assert mailboxes.mailbox_for(desk.services, "") is None
