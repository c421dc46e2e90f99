"""O6: the one message of the system: a new message in a conversation goes to all its followers.

It cannot be switched off and can be reworded; what is internal reaches users only."""

from __future__ import annotations

from sqlalchemy import insert

from tests.rows.maildesk import ADDRESS, MailDesk, recipient, text_of
from tests.web.desk import send
from tickets.tables import Follower


def followed(mail_desk: MailDesk, *keys: str) -> int:
    ticket = mail_desk.desk.ticket("Parcel")
    with mail_desk.services.db.write() as connection:
        for key in keys:
            connection.execute(insert(Follower).values(item_id=ticket, user=key))
    return ticket


def test_a_customers_reply_reaches_every_follower_and_opens_the_item(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    mail_desk.browser("ion")
    mail_desk.browser("kim")
    ticket = followed(mail_desk, "ana", "ion")
    mail_desk.receive("And now?", sender="camille@customer.test", to=ADDRESS, Subject=f"Re: [#{ticket}]")
    mails = {recipient(mail): mail for mail in mail_desk.deliver()}
    assert sorted(mails) == ["ana@deskhand.test", "ion@deskhand.test"]
    mail = mails["ana@deskhand.test"]
    assert mail["Subject"] == f"New message: Parcel [#{ticket}]"
    assert text_of(mail).startswith("camille@customer.test wrote:\n\nAnd now?")
    assert f"https://desk.shop.example/tickets/{ticket}" in text_of(mail)
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_public_reply_reaches_followers_and_the_customer_a_note_followers_alone(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    mail_desk.browser("ion")
    ticket = followed(mail_desk, "ana", "ion")
    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives today.", "kind": "reply"})
    assert sorted(recipient(mail) for mail in mail_desk.deliver()) == ["camille@customer.test", "ion@deskhand.test"]
    send(ana, f"/tickets/{ticket}/messages", {"text": "They lost it.", "kind": "note"})
    [mail] = mail_desk.deliver()
    assert recipient(mail) == "ion@deskhand.test"
    assert text_of(mail).startswith("Ana Nowak wrote:\n\nThey lost it.")


def test_who_does_not_follow_is_not_told(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    mail_desk.browser("ion")
    ticket = followed(mail_desk)
    send(ana, f"/tickets/{ticket}/messages", {"text": "They lost it.", "kind": "note"})
    assert mail_desk.deliver() == []
    assert mail_desk.bells() == []


def test_it_can_be_reworded_but_neither_switched_off_nor_deleted(mail_desk: MailDesk) -> None:
    boss = mail_desk.browser("boss", "manager")
    ana = mail_desk.browser("ana", name="Ana")
    mail_desk.browser("ion")
    ticket = followed(mail_desk, "ion")
    send(boss, "/messages/M01/reword")
    texts = {"en.subject": "News: {{ticket.subject}}", "en.body": "{{message.author}}: {{message.text}}"}
    send(boss, "/templates/M01", {**texts, "seen": 1, "do": "publish", "note": "Shorter"})
    for what in ("switch", "delete"):
        assert send(boss, f"/messages/M01/{what}", {"on": "0"}).status_code == 422
    send(ana, f"/tickets/{ticket}/messages", {"text": "They lost it.", "kind": "note"})
    [mail] = mail_desk.deliver()
    assert mail["Subject"] == f"News: Parcel [#{ticket}]"
    assert text_of(mail).startswith("Ana: They lost it.")


def test_a_placeholder_it_does_not_know_is_refused_with_its_place_and_the_old_wording_stays(
    mail_desk: MailDesk,
) -> None:
    boss = mail_desk.browser("boss", "manager")
    ana = mail_desk.browser("ana", name="Ana")
    mail_desk.browser("ion")
    ticket = followed(mail_desk, "ion")
    send(boss, "/messages/M01/reword")
    hostile = {"en.body": "{{message.text.__class__}} {{ ''.__class__ }}", "seen": 1, "do": "publish", "note": "x"}
    answer = send(boss, "/templates/M01", hostile)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert 'href="#f-en.body"' in page
    assert "There is no placeholder" in page
    send(ana, f"/tickets/{ticket}/messages", {"text": "They lost it.", "kind": "note"})
    [mail] = mail_desk.deliver()
    assert text_of(mail).startswith("Ana wrote:")
