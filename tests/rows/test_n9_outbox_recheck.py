"""N9: what waits is looked at once more when it leaves: answered meanwhile is cancelled with the reason."""

from __future__ import annotations

import pytest

from rules import store as rule_list
from tests.rows.maildesk import ADDRESS, WINDOW, MailDesk, a_table, row_id
from tests.web.desk import send


def test_an_answer_of_the_customer_in_between_cancels_it(mail_desk: MailDesk) -> None:
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    mail_desk.receive("Forget it, it came.", sender="camille@customer.test", to=ADDRESS, Subject=f"Re: [#{ticket}]")
    assert mail_desk.later(days=3) == []
    assert mail_desk.outbox() == [("reply", "cancelled", "the customer has answered since it was suggested")]
    assert [who for who, _ in mail_desk.said(ticket)] == ["customer", "customer"]


def test_a_colleagues_answer_cancels_it_and_a_note_does_not(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    answered, noted = mail_desk.desk.ticket(), mail_desk.desk.ticket(email="jo@customer.test", name="Jo")
    mail_desk.work()
    send(ana, f"/tickets/{answered}/messages", {"text": "It is on its way.", "kind": "reply"})
    send(ana, f"/tickets/{noted}/messages", {"text": "Asked the carrier.", "kind": "note"})
    assert [mail["To"] for mail in mail_desk.deliver()] == ["Camille Laurent <camille@customer.test>"]  # Ana's own
    assert [mail["To"] for mail in mail_desk.later(days=3)] == ["Jo <jo@customer.test>"]
    assert ("reply", "cancelled", "Ana Nowak has answered since it was suggested") in mail_desk.outbox()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "solved"}, "the ticket is solved"),
        ({"archived": True}, "the ticket was archived"),
        ({"priority": "high"}, "the row of A01 that suggested it does not match any more"),
    ],
)
def test_what_is_no_longer_so_cancels_it(mail_desk: MailDesk, change: dict[str, object], reason: str) -> None:
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW, when={"c1": {"value": "normal"}}))
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    mail_desk.set(ticket, **change)
    assert mail_desk.later(days=3) == []
    assert mail_desk.outbox() == [("reply", "cancelled", reason)]


def test_a_rule_that_was_switched_off_sends_nothing_that_still_waited(mail_desk: MailDesk) -> None:
    code = mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    mail_desk.desk.ticket()
    mail_desk.work()
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=False)
    assert mail_desk.later(days=3) == []
    assert mail_desk.outbox() == [("reply", "cancelled", f"{code}, which suggested it, is switched off")]


def test_what_the_row_itself_changed_does_not_cancel_its_reply(mail_desk: MailDesk) -> None:
    table = a_table("suggest_reply", WINDOW, when={"c1": {"value": "normal"}})
    table["steps"].append({"id": "s2", "do": "set_priority"})
    table["rows"][0]["then"]["s2"] = {"priority": "high"}
    mail_desk.desk.publish(table)
    mail_desk.desk.ticket()
    mail_desk.work()
    assert len(mail_desk.later(days=3)) == 1


def test_a_cancelled_one_can_be_put_back_and_then_waits_for_a_person(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    mail_desk.set(ticket, status="solved")
    mail_desk.later(days=3)
    send(ana, f"/outbox/{row_id(mail_desk)}/again")
    assert mail_desk.later(days=3) == []
    assert mail_desk.outbox() == [("reply", "approval", "")]
