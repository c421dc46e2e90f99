"""O7: a public reply that is not seen within one minute is e-mailed, with what its recipient may see and no more."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.rows.desk import Steps, a_rule
from tests.rows.maildesk import MailDesk, html_of, text_of
from tests.web.desk import send


def test_a_reply_not_seen_within_a_minute_is_e_mailed_once(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    ticket = mail_desk.desk.ticket("Where is my parcel?", "It was due on Monday.", published=True)
    send(ana, f"/tickets/{ticket}/messages", {"text": "Ask Jo, he lost one before.", "kind": "note"})
    send(
        ana,
        f"/tickets/{ticket}/messages",
        {"text": "It arrives <today>.\n\nSee https://track.example/1.", "kind": "reply"},
    )
    assert mail_desk.later(seconds=59) == []
    [mail] = mail_desk.later(seconds=2)
    assert mail["Subject"] == f"Where is my parcel?: It was due on Monday. [#{ticket}]"
    text, html = text_of(mail), html_of(mail)
    assert text.startswith("It arrives <today>.\n\nSee https://track.example/1.")
    assert "> It was due on Monday." in text
    assert "It arrives &lt;today&gt;." in html
    assert 'href="https://track.example/1"' in html
    assert "<style" not in html
    assert "Jo" not in text + html  # the internal note
    assert mail["Auto-Submitted"] is None
    assert mail_desk.later(hours=1) == []


def answered_and_seen(mail_desk: MailDesk) -> FlaskClient:
    """Ana's browser: she has answered, and the customer has seen it in the portal before it was e-mailed."""
    ana = mail_desk.browser("ana")
    ticket = mail_desk.desk.ticket(published=True)
    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives today.", "kind": "reply"})
    mail_desk.customer_sees(ticket)
    assert mail_desk.later(minutes=2) == []
    return ana


def test_a_reply_that_was_seen_in_the_portal_is_not_e_mailed_and_the_outbox_says_why(mail_desk: MailDesk) -> None:
    answered_and_seen(mail_desk)
    assert mail_desk.outbox() == [("email", "cancelled", "the customer has seen it in the portal")]


def test_what_was_seen_is_e_mailed_all_the_same_when_a_person_says_so(mail_desk: MailDesk) -> None:
    ana = answered_and_seen(mail_desk)
    send(ana, "/outbox/1/again")
    assert len(mail_desk.deliver()) == 1
    assert mail_desk.outbox() == [("email", "sent", "")]


def test_who_cannot_see_it_in_the_portal_gets_the_mail_at_once(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    ticket = mail_desk.desk.ticket()
    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives today.", "kind": "reply"})
    assert len(mail_desk.deliver()) == 1


def test_the_mail_has_all_that_its_recipient_may_see_under_a_subject_that_can_be_reworded(mail_desk: MailDesk) -> None:
    ana, boss = mail_desk.browser("ana"), mail_desk.browser("boss", "manager")
    first = {"Subject": "Parcel", "Message_ID": "<first@customer.test>"}
    ticket = mail_desk.receive("Where is it?", sender="camille@customer.test", **first).item_id
    assert ticket is not None
    mail_desk.set(ticket, published=True)
    send(ana, f"/tickets/{ticket}/messages", {"text": "We ask the carrier.", "kind": "reply"})
    mail_desk.later(minutes=2)
    mail_desk.receive("Any news?", sender="camille@customer.test", In_Reply_To="<first@customer.test>")
    mail_desk.receive("I am their lawyer.", sender="eve@other.test", In_Reply_To="<first@customer.test>")
    send(ana, f"/tickets/{ticket}/messages", {"text": "Jo lost it.", "kind": "note"})
    send(boss, "/messages/M02/reword")
    news = {"en.subject": "News of {{ticket.subject}}, {{first_message}}"}
    news |= {"en.body": "{{message.text}}\n\n{{conversation}}", "note": "Kinder"}
    assert send(boss, "/templates/M02", {**news, "seen": 1, "do": "publish"}).status_code == 302
    send(ana, f"/tickets/{ticket}/messages", {"text": "It comes tomorrow.", "kind": "reply"})
    [mail] = mail_desk.later(minutes=2)
    assert mail["Subject"] == f"News of Parcel, Where is it? [#{ticket}]"
    for half in (text_of(mail), html_of(mail)):
        places = [
            half.rindex(one) for one in ("It comes tomorrow.", "Any news?", "We ask the carrier.", "Where is it?")
        ]
        assert places == sorted(places)
        assert "Jo lost it." not in half
        assert "lawyer" not in half


@pytest.mark.parametrize("seen", [True, False])
def test_o2_a_rules_message_is_e_mailed_only_when_it_was_not_seen(mail_desk: MailDesk, seen: bool) -> None:
    when = {"ticket.subject": ("contains_any", ["refund"])}
    a_rule(mail_desk.desk, {"on": "created"}, when=when, then=[("post_message", {"text": "Dear {{customer.name}}."})])
    ticket = mail_desk.desk.ticket("A refund", published=True)
    other = mail_desk.desk.ticket("A question", published=True, email="lee@customer.test")
    assert mail_desk.work() == []
    if seen:
        mail_desk.customer_sees(ticket)
    assert [text_of(one).splitlines()[0] for one in mail_desk.later(minutes=2)] == (
        [] if seen else ["Dear Camille Laurent."]
    )
    assert mail_desk.said(ticket)[1:] == [("bot", "Dear Camille Laurent.")]
    assert len(mail_desk.said(other)) == 1


@pytest.mark.parametrize("seen", [True, False])
def test_a_message_of_a_rule_that_publishes_the_ticket_leaves_its_customer_the_minute_too(
    mail_desk: MailDesk, seen: bool
) -> None:
    steps: Steps = [("post_message", {"text": "We look into it."}), ("set_published", {"published": True})]
    a_rule(mail_desk.desk, {"on": "created"}, then=steps)
    ticket = mail_desk.desk.ticket("A refund")
    assert mail_desk.work() == []
    assert mail_desk.desk.state(ticket)["published"] is True
    assert mail_desk.later(seconds=59) == []
    if seen:
        mail_desk.customer_sees(ticket)
    assert [text_of(one).splitlines()[0] for one in mail_desk.later(seconds=2)] == (
        [] if seen else ["We look into it."]
    )


def test_a_message_of_a_rule_that_hides_the_ticket_is_e_mailed_at_once(mail_desk: MailDesk) -> None:
    steps: Steps = [("set_published", {"published": False}), ("post_message", {"text": "We look into it."})]
    a_rule(mail_desk.desk, {"on": "created"}, then=steps)
    mail_desk.desk.ticket("A refund", published=True)
    assert [text_of(one).splitlines()[0] for one in mail_desk.work()] == ["We look into it."]
    assert mail_desk.later(hours=1) == []
