"""F12 F13 F14 F15 F16: who is notified, from where, with which subject; a click opens the ticket; a digest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from tests.jobs.sink import TAKEN
from tests.rows.desk import switch
from tests.rows.maildesk import MailDesk, a_table, html_of, recipient, text_of
from tests.web.desk import send
from tickets.tables import Brand, Location, LocationGroup, LocationGroupMember, User


def places(mail_desk: MailDesk) -> None:
    with mail_desk.services.db.write() as connection:
        connection.execute(insert(Brand).values(key="outlet", label="Outlet"))
        connection.execute(insert(LocationGroup).values(key="north", label="North"))
        connection.execute(
            insert(Location),
            [{"key": key, "label": key.capitalize()} for key in ("lille", "nice", "paris")],
        )
        connection.execute(insert(LocationGroupMember).values(group="north", location="lille"))


def notify(**params: Any) -> dict[str, Any]:
    return a_table("notify", {"users": ["ana"], "text": "A grave report.", **params})


def test_f13_only_an_item_of_that_origin_notifies_them(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    places(mail_desk)
    mail_desk.desk.publish(notify(brands=["acme"], text="From Acme"))
    mail_desk.desk.publish(notify(location_groups=["north"], text="From the north"))
    mail_desk.desk.publish(notify(locations=["nice"], text="From Nice"))
    mail_desk.desk.ticket(brand="acme", location="lille")
    mail_desk.desk.ticket(brand="outlet", location="nice", email="b@customer.test")
    mail_desk.desk.ticket(brand="outlet", email="c@customer.test")
    mail_desk.work()
    assert sorted(mail_desk.bells()) == [("ana", "From Acme"), ("ana", "From Nice"), ("ana", "From the north")]
    assert "From Acme" in ana.get("/bell").get_data(as_text=True)


@pytest.mark.parametrize("on", [True, False])
def test_f5_f13_the_chosen_people_hear_of_a_brand_or_a_group_and_nobody_else_does(
    mail_desk: MailDesk, on: bool
) -> None:
    for key in ("ana", "ion", "kim"):
        mail_desk.browser(key)
    places(mail_desk)
    code = mail_desk.desk.publish(
        notify(users=["ana", "ion"], brands=["acme"], location_groups=["north"], locations=["nice"], email=True)
    )
    switch(mail_desk.desk, code, on=on)
    for number, (brand, location) in enumerate(
        (("acme", "paris"), ("outlet", "lille"), ("outlet", "nice"), ("outlet", "paris"), ("outlet", None))
    ):
        state: dict[str, Any] = {"brand": brand, **({"location": location} if location else {})}
        mail_desk.desk.ticket(f"T{number}", email=f"c{number}@customer.test", **state)
    mails = mail_desk.work()
    told = [("ana", "A grave report."), ("ion", "A grave report.")] * 3 if on else []
    assert sorted(mail_desk.bells()) == sorted(told)
    assert sorted(recipient(one) for one in mails) == sorted(f"{who}@deskhand.test" for who, _ in told)


def test_f16_without_a_comment_the_mail_begins_with_what_happened(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    mail_desk.desk.publish(notify(email=True))
    mail_desk.desk.ticket()
    [mail] = mail_desk.work()
    assert text_of(mail).startswith("A grave report.")


def test_f13_without_people_it_is_told_to_those_attached_to_that_origin(mail_desk: MailDesk) -> None:
    places(mail_desk)
    mail_desk.browser("ana")
    mail_desk.browser("ion")
    with mail_desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "ion").values(brands=["outlet"]))
    mail_desk.desk.publish(a_table("notify", {"brands": ["outlet"], "text": "From the outlet"}))
    mail_desk.desk.ticket(brand="outlet")
    mail_desk.desk.ticket(brand="acme", email="b@customer.test")
    mail_desk.work()
    assert mail_desk.bells() == [("ion", "From the outlet")]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"location_groups": ["north"]}, ["ion"]),
        ({"locations": ["lille"]}, ["ion"]),
        ({"brands": ["acme"]}, ["ana"]),
        ({"brands": ["acme"], "locations": ["lille"]}, ["ana", "ion"]),
        ({"locations": ["nice"]}, []),
    ],
    ids=lambda one: "-".join(one),
)
def test_f13_without_people_a_place_rings_its_own_people_and_not_the_whole_brand(
    mail_desk: MailDesk, named: dict[str, Any], told: list[str]
) -> None:
    places(mail_desk)
    attached: dict[str, dict[str, list[str]]] = {
        "ana": {"brands": ["acme"]},
        "ion": {"locations": ["lille"]},
        "kim": {},
    }
    for key, origin in attached.items():
        mail_desk.browser(key)
        if origin:
            with mail_desk.services.db.write() as connection:
                connection.execute(update(User).where(User.key == key).values(**origin))
    mail_desk.desk.publish(a_table("notify", {**named, "text": "From Lille"}))
    mail_desk.desk.ticket(brand="acme", location="lille")
    mail_desk.work()
    assert mail_desk.bells() == [(who, "From Lille") for who in told]


@pytest.mark.parametrize("on", [True, False])
def test_f5_f12_f14_f16_the_mail_has_the_subject_the_comment_and_a_button_to_the_ticket(
    mail_desk: MailDesk, on: bool
) -> None:
    ana = mail_desk.browser("ana")
    places(mail_desk)
    subject = "{{zone}} {{date}} {{customer}}"
    code = mail_desk.desk.publish(notify(email=True, subject=subject, comment="Please call them today."))
    switch(mail_desk.desk, code, on=on)
    ticket = mail_desk.desk.ticket(brand="acme", location="lille")
    mails = mail_desk.work()
    assert ("A grave report." in ana.get("/bell").get_data(as_text=True)) == on
    if not on:
        assert mails == []
        assert send(ana, "/bell/1").status_code == 404
        return
    [mail] = mails
    assert recipient(mail) == "ana@deskhand.test"
    assert mail["Subject"] == f"Lille 2026-11-21 Camille Laurent [#{ticket}]"
    assert text_of(mail).startswith("Please call them today.\n\nA grave report.")
    assert f'href="https://desk.shop.example/tickets/{ticket}"' in html_of(mail)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None  # a colleague's answer would go to the customer
    assert send(ana, "/bell/1").location == f"/tickets/{ticket}"


def test_f15_the_mail_shows_the_reply_that_waits_only_when_it_is_wanted(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    mail_desk.desk.publish(a_table("suggest_reply", {"text": "We are sorry."}))
    mail_desk.desk.publish(notify(email=True, subject="With", with_suggestion=True))
    mail_desk.desk.publish(notify(email=True, subject="Without"))
    ticket = mail_desk.desk.ticket()
    mails = {str(mail["Subject"]): text_of(mail) for mail in mail_desk.work()}
    assert "We are sorry." in mails[f"With [#{ticket}]"]
    assert "We are sorry." not in mails[f"Without [#{ticket}]"]


def test_nobody_is_told_of_a_ticket_they_may_not_see(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    mail_desk.desk.publish(notify(email=True))
    mail_desk.desk.ticket(team="ethics")
    assert mail_desk.work() == []
    assert mail_desk.bells() == []


def test_a_mail_to_somebody_who_may_not_see_the_ticket_any_more_is_cancelled(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    mail_desk.desk.publish(notify(email=True))
    ticket = mail_desk.desk.ticket()
    mail_desk.desk.work()
    mail_desk.set(ticket, team="ethics")
    assert mail_desk.deliver() == []
    assert mail_desk.outbox() == [("notice", "cancelled", "this colleague may not see the ticket any more")]


def test_who_wants_a_digest_gets_one_mail_of_what_is_still_unread(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    send(ana, "/bell/mail", {"mail": "digest"})
    mail_desk.desk.publish(notify(email=True))
    mail_desk.desk.ticket("First")
    mail_desk.desk.ticket("Second", email="b@customer.test")
    assert mail_desk.work() == []
    send(ana, "/bell/1")  # read
    [mail] = mail_desk.later(minutes=61)
    assert "Second: A grave report." in text_of(mail)
    assert "First" not in text_of(mail)
    assert mail["Subject"] == "Deskhand: 1 new"
    assert mail_desk.later(days=1) == []


def test_what_rings_while_a_digest_is_sent_stands_in_the_next_one(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    send(ana, "/bell/mail", {"mail": "digest"})
    mail_desk.desk.publish(notify(email=True))
    mail_desk.desk.ticket("First")
    assert mail_desk.work() == []

    def ring_once(_mail: object) -> str:
        mail_desk.sink.answer = lambda _again: TAKEN
        mail_desk.desk.ticket("Second", email="b@customer.test")
        mail_desk.desk.work()
        return TAKEN

    mail_desk.sink.answer = ring_once
    assert ["Second" in text_of(mail) for mail in mail_desk.later(minutes=61)] == [False]
    assert ["Second" in text_of(mail) for mail in mail_desk.later(minutes=61)] == [True]
    assert mail_desk.later(days=1) == []


def test_who_wants_no_mail_gets_none_and_still_finds_it_in_the_bell(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    send(ana, "/bell/mail", {"mail": "never"})
    mail_desk.desk.publish(notify(email=True))
    mail_desk.desk.ticket()
    assert mail_desk.work() == []
    assert mail_desk.bells() == [("ana", "A grave report.")]
