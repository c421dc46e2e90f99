"""A mail of ours that comes back: marked with its reason, told, and sent again by a person, never by itself."""

from __future__ import annotations

from email.message import EmailMessage
from typing import TypedDict

import pytest
from flask.testing import FlaskClient

from jobs.bounces import held
from jobs.intake import Ingested, Outcome, ingest
from jobs.outbox import retry
from tests.rows.maildesk import MailDesk, a_table, recipient
from tests.web.desk import send

CUSTOMER = "camille@customer.test"


class Said(TypedDict, total=False):
    """What a report says about a mail, where it is not what `report` says by itself."""

    action: str
    to: str
    message_id: str


def report(
    mail: EmailMessage,
    *,
    action: str = "failed",
    to: str = CUSTOMER,
    message_id: str = "",
    number: int = 1,
    why: str = "5.1.1 no such\r\n user here",
) -> bytes:
    """What a mail server says about this mail of ours (RFC 3464)."""
    return (
        f"From: Mail Delivery System <MAILER-DAEMON@mx.test>\r\nTo: help@shop.example\r\nSubject: Undelivered\r\n"
        f"Message-ID: <report-{number}@mx.test>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=q\r\n\r\n"
        "--q\r\n\r\nYour mail was not delivered.\r\n"
        "--q\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        f"Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: {why[:5]}\r\n"
        f"Diagnostic-Code: smtp; 550 {why}\r\n\r\n"
        f"--q\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id or mail['Message-ID']}\r\n"
        f"To: Camille <{mail['To'] if action == 'forwarded' else to}>\r\nSubject: s\r\n\r\n--q--\r\n"
    ).encode()


def comes_back(mail_desk: MailDesk, raw: bytes) -> Ingested:
    done = ingest(mail_desk.services, "shop", raw)
    mail_desk.desk.work()
    return done


@pytest.fixture
def ana(mail_desk: MailDesk) -> FlaskClient:
    return mail_desk.browser("ana", name="Ana Nowak", teams=("billing",))


def answered(mail_desk: MailDesk, ana: FlaskClient) -> tuple[int, EmailMessage]:
    """A ticket that Ana has answered, and the mail that left."""
    item_id = mail_desk.desk.ticket(email=CUSTOMER, assignees=["tea"])
    send(ana, f"/tickets/{item_id}/messages", {"text": "It left on Friday."})
    [mail] = mail_desk.work()
    assert recipient(mail) == CUSTOMER
    return item_id, mail


def test_a_mail_that_came_back_is_marked_and_told_and_goes_to_the_corrected_address(
    mail_desk: MailDesk, ana: FlaskClient
) -> None:
    mail_desk.desk.user("tea", "agent")
    item_id, mail = answered(mail_desk, ana)
    done = comes_back(mail_desk, report(mail))
    assert (done.outcome, done.item_id) == (Outcome.AUTOMATIC, item_id)
    why = "550 5.1.1 no such user here"
    assert mail_desk.outbox() == [("email", "bounced", f"it came back: {why}")]
    # Who wrote it and who has the ticket; nothing leaves because of it, now or later.
    told = f"The e-mail to {CUSTOMER} came back: {why}"
    assert mail_desk.bells() == [("ana", told), ("tea", told)]
    assert mail_desk.later(days=1) == []
    page = ana.get(f"/tickets/{item_id}").get_data(as_text=True)
    assert f"the mail to {CUSTOMER} came back: {why}" in page
    assert "came back</span>" in page
    assert "/outbox?state=dead" in page
    listed = ana.get("/outbox?state=dead").get_data(as_text=True)
    assert f'name="to" value="{CUSTOMER}"' in listed
    assert why in listed
    row = int(listed.split("/outbox/")[1].split("/again")[0])
    send(ana, f"/outbox/{row}/again", {"to": "Camille@Right.test", "keep": "1"})
    [again] = mail_desk.deliver()
    assert (recipient(again), again["Message-ID"]) == ("camille@right.test", mail["Message-ID"])
    assert mail_desk.outbox() == [("email", "sent", "")]
    assert "sent again to camille@right.test" in ana.get(f"/tickets/{item_id}").get_data(as_text=True)
    # It is the customer's address now: what comes from there is theirs, and what goes out goes there.
    assert (
        mail_desk.receive("Thank you", sender="camille@right.test", In_Reply_To=str(mail["Message-ID"])).item_id
        == item_id
    )
    assert mail_desk.said(item_id)[-1] == ("customer", "Thank you")
    send(ana, f"/tickets/{item_id}/messages", {"text": "You are welcome."})
    to_customers = {recipient(one) for one in mail_desk.work()} - {
        "tea@deskhand.test"
    }  # who is told of what was written
    assert to_customers == {"camille@right.test"}


def test_a_mail_goes_to_another_address_once_without_making_it_the_customers(
    mail_desk: MailDesk, ana: FlaskClient
) -> None:
    item_id, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    send(ana, "/outbox/1/again", {"to": "office@right.test"})
    assert [recipient(one) for one in mail_desk.deliver()] == ["office@right.test"]
    send(ana, f"/tickets/{item_id}/messages", {"text": "And one more thing."})
    assert [recipient(one) for one in mail_desk.work()] == [CUSTOMER]


def test_an_address_that_somebody_else_has_stays_theirs_though_the_mail_goes_there(
    mail_desk: MailDesk, ana: FlaskClient
) -> None:
    other = mail_desk.desk.ticket("Mine", email="office@right.test", name="Olga")
    item_id, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    send(ana, "/outbox/1/again", {"to": "office@right.test", "keep": "1"})
    assert [recipient(one) for one in mail_desk.deliver()] == ["office@right.test"]
    assert "which is the customer" not in ana.get(f"/tickets/{item_id}").get_data(as_text=True)
    for ticket, address in ((item_id, CUSTOMER), (other, "office@right.test")):
        send(ana, f"/tickets/{ticket}/messages", {"text": "And one more thing."})
        assert [recipient(one) for one in mail_desk.work()] == [address]


@pytest.mark.parametrize("to", ["nobody", "a b@right.test", "x@y.test,z@y.test"])
def test_what_is_no_address_is_refused_and_nothing_is_sent(to: str, mail_desk: MailDesk, ana: FlaskClient) -> None:
    _, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    send(ana, "/outbox/1/again", {"to": to, "keep": "1"})
    assert mail_desk.deliver() == []
    assert [status for _, status, _ in mail_desk.outbox()] == ["bounced"]


@pytest.mark.parametrize(
    "changed",
    [
        {"action": "delayed"},
        {"action": "delivered"},
        {"to": "somebody.else@customer.test"},
        {"message_id": "<t1.m99@shop.example>"},
        {"message_id": "<t1.o99999999999@shop.example>"},
        {"message_id": "<portal.request.1.1.0@shop.example>"},
    ],
    ids=lambda changed: next(iter(changed.values())),
)
def test_a_report_about_something_else_marks_nothing_and_rings_nowhere(
    changed: Said, mail_desk: MailDesk, ana: FlaskClient
) -> None:
    _, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail, **changed))
    assert mail_desk.outbox() == [("email", "sent", "")]
    assert mail_desk.bells() == []


def test_a_second_report_about_the_same_mail_rings_no_second_time(mail_desk: MailDesk, ana: FlaskClient) -> None:
    _, mail = answered(mail_desk, ana)
    for number in (1, 2, 2):
        comes_back(mail_desk, report(mail, number=number))
    assert [user for user, _ in mail_desk.bells()] == ["ana"]
    # Sent again to the same address, it may come back again, and that is told.
    send(ana, "/outbox/1/again", {"to": CUSTOMER})
    assert len(mail_desk.deliver()) == 1
    mail_desk.desk.clock.move(minutes=1)
    comes_back(mail_desk, report(mail, number=3))
    assert [user for user, _ in mail_desk.bells()] == ["ana", "ana"]


@pytest.mark.parametrize("team", ["billing", None])
def test_a_rules_mail_that_came_back_is_told_to_the_team_and_sets_no_rule_off(
    team: str | None, mail_desk: MailDesk, ana: FlaskClient
) -> None:
    mail_desk.desk.publish(a_table("post_message", {"text": "We have it.", "public": True}))
    mail_desk.desk.publish(
        a_table(
            "post_message", {"text": "We have that, too.", "public": True}, on={"on": "message", "by": "third_party"}
        )
    )
    item_id = mail_desk.desk.ticket(email=CUSTOMER, team=team)
    [mail] = mail_desk.work()
    comes_back(mail_desk, report(mail))
    assert mail_desk.later(hours=2) == []
    assert [user for user, _ in mail_desk.bells()] == (["ana"] if team else [])
    assert [kind for kind, _ in mail_desk.said(item_id)] == ["customer", "bot", "third_party"]
    # A stranger's own words do set that rule off.
    mail_desk.receive("Me too", sender="stranger@else.test", In_Reply_To=str(mail["Message-ID"]))
    assert [kind for kind, _ in mail_desk.said(item_id)][3:] == ["third_party", "bot"]


def to_customer(mails: list[EmailMessage]) -> list[str]:
    """Of these mails, those that go to the customer; colleagues are told of what was written."""
    return [recipient(one) for one in mails if recipient(one) == CUSTOMER]


GREETS = a_table("post_message", {"text": "We have it.", "public": True}, on={"on": "message", "by": "customer"})
HELD = "an earlier e-mail came back for good: 550 5.1.1 no such user here; automatic ones are held back"


def test_what_is_written_by_itself_does_not_go_to_an_address_that_takes_no_mail_until_a_person_says_so(
    mail_desk: MailDesk, ana: FlaskClient
) -> None:
    mail_desk.desk.user("tea", "agent")
    item_id, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    mail_desk.desk.publish(GREETS)
    mail_desk.receive("Hello?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    assert to_customer(mail_desk.work()) == []
    assert ("email", "held", HELD) in mail_desk.outbox()
    page = ana.get(f"/tickets/{item_id}").get_data(as_text=True)
    assert "takes no mail</span>" in page
    assert HELD in page
    assert "held back</span>" in ana.get("/outbox?state=dead").get_data(as_text=True)
    # What a person writes goes out all the same, and asking for everything again brings nothing there.
    send(ana, f"/tickets/{item_id}/messages", {"text": "By hand."})
    assert to_customer(mail_desk.work()) == [CUSTOMER]
    with mail_desk.services.db.write() as connection:
        assert retry(connection, mail_desk.services.clock.now()) == 0
    assert to_customer(mail_desk.deliver()) == []

    assert "no address of the ticket" in send(ana, f"/tickets/{item_id}/address", {"address": "x@y.test"}).text
    mail_desk.receive("Still there?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    assert to_customer(mail_desk.work()) == []
    send(ana, f"/tickets/{item_id}/address", {"address": CUSTOMER})
    page = ana.get(f"/tickets/{item_id}").get_data(as_text=True)
    assert "takes no mail</span>" not in page
    assert f"said that {CUSTOMER} takes mail again" in page
    mail_desk.receive("And now?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    assert to_customer(mail_desk.work()) == [CUSTOMER]
    with mail_desk.services.db.write() as connection:
        assert retry(connection, mail_desk.services.clock.now()) == 2
    assert to_customer(mail_desk.deliver()) == [CUSTOMER, CUSTOMER]


def held_back(mail_desk: MailDesk, ana: FlaskClient) -> tuple[EmailMessage, int]:
    """A mail of Ana's that came back for good, and the row of the outbox that was held back because of it."""
    mail_desk.desk.user("tea", "agent")
    _, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    mail_desk.desk.publish(GREETS)
    mail_desk.receive("Hello?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    mail_desk.work()
    return mail, 1 + [status for _, status, _ in mail_desk.outbox()].index("held")


def test_who_sends_a_held_mail_again_says_that_the_address_is_well(mail_desk: MailDesk, ana: FlaskClient) -> None:
    mail, row = held_back(mail_desk, ana)
    send(ana, f"/outbox/{row}/again", {"to": CUSTOMER})
    assert to_customer(mail_desk.deliver()) == [CUSTOMER]
    mail_desk.receive("And now?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    assert to_customer(mail_desk.work()) == [CUSTOMER]


def test_who_names_a_held_mail_by_its_number_says_so_too(mail_desk: MailDesk, ana: FlaskClient) -> None:
    _, row = held_back(mail_desk, ana)
    with mail_desk.services.db.write() as connection:
        assert retry(connection, mail_desk.services.clock.now(), [row]) == 1
    assert to_customer(mail_desk.deliver()) == [CUSTOMER]


@pytest.mark.parametrize("why", ["5.2.2 mailbox full", "5.7.1 looks like spam"])
def test_a_mailbox_that_is_full_or_one_mail_that_is_refused_holds_nothing_back(
    why: str, mail_desk: MailDesk, ana: FlaskClient
) -> None:
    item_id, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail, why=why))
    assert [status for _, status, _ in mail_desk.outbox()] == ["bounced"]
    mail_desk.desk.publish(GREETS)
    mail_desk.receive("Hello?", sender=CUSTOMER, In_Reply_To=str(mail["Message-ID"]))
    assert to_customer(mail_desk.work()) == [CUSTOMER]
    assert "takes no mail" not in ana.get(f"/tickets/{item_id}").get_data(as_text=True)


def test_whose_ticket_is_hidden_from_me_has_no_address_that_i_can_speak_for(
    mail_desk: MailDesk, ana: FlaskClient
) -> None:
    item_id, mail = answered(mail_desk, ana)
    comes_back(mail_desk, report(mail))
    mail_desk.set(item_id, team="ethics")
    assert send(ana, f"/tickets/{item_id}/address", {"address": CUSTOMER}).status_code == 404
    with mail_desk.services.db.read() as connection:
        assert held(connection, [CUSTOMER.upper()]) == {CUSTOMER: "550 5.1.1 no such user here"}
