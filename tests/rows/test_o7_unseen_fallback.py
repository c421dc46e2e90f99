"""O7: a public reply that is not seen within one minute is e-mailed, with what its recipient may see and no more."""

from __future__ import annotations

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


def test_a_reply_that_was_seen_in_the_portal_is_not_e_mailed_and_the_outbox_says_why(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    ticket = mail_desk.desk.ticket(published=True)
    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives today.", "kind": "reply"})
    mail_desk.customer_sees(ticket)
    assert mail_desk.later(minutes=2) == []
    assert mail_desk.outbox() == [("email", "cancelled", "the customer has seen it in the portal")]


def test_who_cannot_see_it_in_the_portal_gets_the_mail_at_once(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    ticket = mail_desk.desk.ticket()
    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives today.", "kind": "reply"})
    assert len(mail_desk.deliver()) == 1
