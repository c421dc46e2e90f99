"""O2 O3 O9 O17: a message is posted in the conversation; a template is e-mailed and posted nowhere."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from jobs.tables import OutboxRow
from rules import store as rule_list
from tests.rows.desk import shown_messages, switch
from tests.rows.maildesk import MailDesk, a_table, recipient, template, text_of
from tickets.tables import Follower, User


def test_o3_o17_every_recipient_gets_one_in_their_language_and_nothing_is_posted(mail_desk: MailDesk) -> None:
    for key in ("ana", "ion", "kim", "lea"):
        mail_desk.browser(key, teams=("sales",) if key == "kim" else ())
    with mail_desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(language="fr"))
    template(mail_desk)
    to = {"to": ["customer", "assignees", "followers"], "teams": ["sales"], "addresses": ["Boss@shop.example"]}
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", **to}))
    ticket = mail_desk.desk.ticket("Parcel", assignees=["ana"], language="en")
    with mail_desk.services.db.write() as connection:
        connection.execute(insert(Follower).values(item_id=ticket, user="ion"))
    mails = {recipient(mail): mail for mail in mail_desk.work()}
    assert sorted(mails) == [
        "ana@deskhand.test",
        "boss@shop.example",
        "camille@customer.test",
        "ion@deskhand.test",
        "kim@deskhand.test",
    ]
    assert mails["ana@deskhand.test"]["Subject"] == f"À propos de Parcel [#{ticket}]"
    assert text_of(mails["camille@customer.test"]) == f"Hello, see {ticket}.\n"
    assert mails["camille@customer.test"]["Reply-To"].startswith("support+t")
    assert len(mail_desk.said(ticket)) == 1


@pytest.mark.parametrize("on", [True, False])
def test_o17_it_goes_to_one_user_one_customer_and_who_has_it_and_to_nobody_else(mail_desk: MailDesk, on: bool) -> None:
    for key in ("ana", "ion", "kim"):
        mail_desk.browser(key)
    template(mail_desk)
    to = {"to": ["assignees"], "users": ["kim"], "addresses": ["vip@customer.test"]}
    code = mail_desk.desk.publish(a_table("send_template", {"template": "E01", **to}))
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=on)
    ticket = mail_desk.desk.ticket("Parcel", assignees=["ana"], language="en")
    told = ["ana@deskhand.test", "kim@deskhand.test", "vip@customer.test"]
    assert sorted(recipient(mail) for mail in mail_desk.work()) == (told if on else [])
    assert len(mail_desk.said(ticket)) == 1


def test_a_colleague_who_may_not_see_the_ticket_any_more_gets_none_and_the_customer_does(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    template(mail_desk)
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer", "assignees"]}))
    ticket = mail_desk.desk.ticket("Parcel", assignees=["ana"])
    mail_desk.desk.work()
    mail_desk.set(ticket, team="ethics")
    assert [recipient(mail) for mail in mail_desk.deliver()] == ["camille@customer.test"]
    assert mail_desk.outbox() == [
        ("template", "sent", ""),
        ("template", "cancelled", "this colleague may not see the ticket any more"),
    ]


@pytest.mark.parametrize("on", [True, False])
def test_o9_without_a_poster_the_companys_bot_says_it(mail_desk: MailDesk, on: bool) -> None:
    switch(
        mail_desk.desk, mail_desk.desk.publish(a_table("post_message", {"text": "About {{ticket.subject}}."})), on=on
    )
    ticket = mail_desk.desk.ticket("Parcel", language="en")
    mail_desk.work()
    shown = shown_messages(mail_desk.browser("ana").get(f"/tickets/{ticket}").get_data(as_text=True))
    said = [(who, public) for who, public, text in shown if "About Parcel." in text]
    assert said == ([("Deskhand", True)] if on else [])


def test_a_colleague_who_may_not_see_the_ticket_gets_none(mail_desk: MailDesk) -> None:
    mail_desk.browser("ion")
    template(mail_desk)
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "users": ["ion"]}))
    mail_desk.desk.ticket(team="ethics")
    assert mail_desk.work() == []
    with mail_desk.services.db.read() as connection:
        assert connection.execute(select(OutboxRow.kind)).all() == []  # nor was one to leave


@pytest.mark.parametrize("on", [True, False])
def test_o2_o9_a_message_is_posted_and_e_mailed_in_the_name_of_its_poster(mail_desk: MailDesk, on: bool) -> None:
    mail_desk.browser("lea", name="Lea Martin")
    template(mail_desk)
    code = mail_desk.desk.publish(a_table("post_message", {"template": "E01", "poster": "lea"}))
    switch(mail_desk.desk, code, on=on)
    ticket = mail_desk.desk.ticket("Parcel", language="en")
    mails = mail_desk.work()
    if not on:
        assert mails == []
        assert len(mail_desk.said(ticket)) == 1
        return
    [mail] = mails
    assert mail["Subject"] == f"About Parcel [#{ticket}]"
    assert mail_desk.said(ticket)[1:] == [("bot", f"Hello, see {ticket}.")]
    page = mail_desk.browser("ana").get(f"/tickets/{ticket}").get_data(as_text=True)
    assert "<b>Lea Martin</b>" in page


@pytest.mark.parametrize("on", [True, False])
def test_o9_an_internal_message_stays_in_the_house(mail_desk: MailDesk, on: bool) -> None:
    template(mail_desk)
    code = mail_desk.desk.publish(a_table("post_message", {"template": "E01", "public": False}))
    switch(mail_desk.desk, code, on=on)
    ticket = mail_desk.desk.ticket("Parcel", language="en")
    assert mail_desk.work() == []
    assert len(mail_desk.said(ticket)) == (2 if on else 1)


def test_o21_a_template_that_is_switched_off_is_not_sent_and_the_rest_of_its_row_is_done(mail_desk: MailDesk) -> None:
    code = template(mail_desk)
    table = a_table("post_message", {"template": "E01"})
    table["steps"].append({"id": "s2", "do": "add_tags"})
    table["rows"][0]["then"]["s2"] = {"tags": ["seen"]}
    mail_desk.desk.publish(table)
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer"]}))
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=False)
    ticket = mail_desk.desk.ticket()
    assert mail_desk.work() == []
    assert len(mail_desk.said(ticket)) == 1
    assert mail_desk.desk.state(ticket)["tags"] == ["seen"]
