"""O24 T4 W9: the portal as customers meet it: plain words, their zone, their reply, links for one request alone."""

from __future__ import annotations

import io
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import MailDesk
from tests.web.desk import NOW, Desk, send, token
from tests.web.portal import CAMILLE, MALLORY, a_request, counts, enter, post, status_of
from tickets import requests, tokens
from tickets.tables import Brand, EventRow, Message, Person, RequestRow


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ("open", "ticket", "We are working on it"),
        ("waiting_customer", "ticket", "We are waiting for you"),
        ("waiting_team", "ticket", "We are working on it"),
        ("snoozed", "ticket", "We are working on it"),
        ("solved", "ticket", "Done"),
        ("closed", "ticket", "Done"),
    ],
)
def test_o24_a_customer_reads_where_it_stands_in_plain_words_and_none_of_ours(
    status: str, kind: str, words: str, desk: Desk, client: FlaskClient
) -> None:
    ticket = desk.ticket("Parcel", published=True, status=status, team="billing", priority="critical", tags=["vip"])
    enter(desk, client)
    post(client, "/portal/settings", {"language": "en", "zone": ""})
    for path in ("/portal/", f"/portal/items/{ticket}"):
        page = client.get(path).get_data(as_text=True)
        pills = re.findall(r'<span class="t">([^<]+)</span>', page)
        assert words in pills
        assert not {"Open", "Waiting for another team", "Snoozed", "Solved", "Closed", "Critical"} & {*pills}
        assert "vip" not in page


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("", "09:31"), ("Europe/Paris", "10:31"), ("Asia/Kolkata", "15:01"), ("America/New_York", "04:31")],
)
def test_o24_every_time_in_the_portal_is_in_the_customers_zone(
    zone: str, shown: str, desk: Desk, client: FlaskClient
) -> None:
    ticket = desk.ticket("Parcel", published=True)
    enter(desk, client)
    assert post(client, "/portal/settings", {"language": "en", "zone": zone}).status_code == 303
    for path in ("/portal/", f"/portal/items/{ticket}"):
        page = client.get(path).get_data(as_text=True)
        times = re.findall(r'<time datetime="([^"]+)"[^>]*>([^<]*)<', page)
        assert times
        assert {at[:16] for at, _ in times} == {NOW.isoformat()[:16]}
        assert all(shown in words for _, words in times), times


def test_o8_a_customer_reads_the_name_of_the_store_and_not_that_of_the_program(desk: Desk, client: FlaskClient) -> None:
    for poster in ("", "lea"):
        params = {"text": "We have it.", **({"poster": poster} if poster else {})}
        if poster:
            desk.user("lea", "agent", name="Lea Martin")
        a_rule(desk, {"on": "created"}, then=[("post_message", params)])
    ticket = desk.ticket("Parcel", published=True, brand="acme")
    desk.work()
    enter(desk, client)
    page = client.get(f"/portal/items/{ticket}").get_data(as_text=True)
    with desk.services.db.read() as connection:
        brand = connection.execute(select(Brand.label).where(Brand.key == "acme")).scalar_one()
    assert re.findall(r'<article class="said[^"]*"><header><b>([^<]*)</b>', page)[1:] == [brand, "Lea Martin"]
    for one in (page, client.get("/portal/").get_data(as_text=True)):
        assert f"<span>{brand}</span>" in one
        assert "<span>Deskhand</span>" not in one


@pytest.mark.parametrize(("brand", "shown"), [("acme", "10:31"), (None, "09:31")])
def test_o24_who_never_chose_a_zone_reads_the_times_of_the_store(
    brand: str | None, shown: str, desk: Desk, client: FlaskClient
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(Brand).where(Brand.key == "acme").values(zone="Europe/Paris"))
    ticket = desk.ticket("Parcel", published=True, brand=brand)
    enter(desk, client)
    assert shown in client.get(f"/portal/items/{ticket}").get_data(as_text=True)
    post(client, "/portal/settings", {"language": "en", "zone": "Asia/Kolkata"})
    assert "15:01" in client.get(f"/portal/items/{ticket}").get_data(as_text=True)


# W9: somebody nobody knows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
def test_w9_an_anonymous_reporter_answers_in_the_portal_and_no_mail_leaves_the_house(
    on: bool, mail_desk: MailDesk
) -> None:
    ana = mail_desk.browser("ana", "agent", "manager")
    questions = {"label": "Report misconduct", "purpose": "form", "kind": "ticket", "active": "1", "key": ""}
    first = {"label0": "What happened", "type0": "text", "options0": "", "required0": "1"}
    assert send(ana, "/questions", {**questions, **first, "anonymous": "1"}).status_code == 303
    a_rule(
        mail_desk.desk,
        {"on": "form_answered", "form": "report_misconduct"},
        then=[("post_message", {"text": "We have your report."}), ("set_published", {"published": True})],
    )
    reopens = a_rule(
        mail_desk.desk,
        {"on": "message", "by": "customer"},
        then=[("add_tags", {"tags": ["they wrote again"]}), ("post_message", {"text": "Thank you for that."})],
    )
    switch(mail_desk.desk, reopens, on=on)
    reporter = mail_desk.app.test_client()
    page = reporter.get("/portal/forms/report_misconduct")
    given = {"csrf_token": token(page), "a:what_happened": "The till is short.", "anonymous": "1", "email": ""}
    done = reporter.post("/portal/forms/report_misconduct", data=given).get_data(as_text=True)
    code = re.search(r'class="bigcode">([^<]+)<', done)
    assert code is not None
    assert mail_desk.work() == []
    # By a browser that knows nothing of the first one: the code is all there is.
    back = mail_desk.app.test_client()
    entered = back.post("/portal/report", data={"csrf_token": token(back.get("/portal/report")), "code": code[1]})
    assert entered.status_code == 303
    assert "We have your report." in back.get("/portal/items/1").get_data(as_text=True)
    sent = post(back, "/portal/items/1", {"text": "It was on Friday.", "files": (io.BytesIO(b"x"), "till.txt")})
    assert sent.location == "/portal/items/1"
    send(ana, "/tickets/1/messages", {"text": "Who else knows?", "kind": "reply"})
    assert mail_desk.work() == []
    read = back.get("/portal/items/1").get_data(as_text=True)
    assert [words in read for words in ("Who else knows?", "till.txt", "Thank you for that.")] == [True, True, on]
    assert mail_desk.later(days=3) == []
    assert [kind for kind, _, _ in mail_desk.outbox() if kind in ("email", "template", "portal")] == []
    said = mail_desk.said(1)
    assert ("customer", "It was on Friday.") in said
    assert mail_desk.desk.state(1).get("tags") == (["they wrote again"] if on else None)
    with mail_desk.services.db.read() as connection:
        person = connection.execute(select(Person.name, Person.anonymous)).one()
        wrote = connection.execute(
            select(Message.author_name, Message.author_address).where(Message.author_kind == "customer")
        ).all()
        actors = set(connection.execute(select(EventRow.actor_name)).scalars())
    assert tuple(person) == ("", True)
    assert {value for row in wrote for value in row} == {""}
    assert not [name for name in actors if "@" in name]


@pytest.mark.parametrize("who", ["the customer", "staff", "nobody yet"])
def test_h11_a_ticket_that_sleeps_wakes_when_its_customer_has_answered_a_request(
    who: str, desk: Desk, client: FlaskClient, agent: FlaskClient
) -> None:
    ticket = desk.ticket("Papers")
    number, link = a_request(desk, CAMILLE, item=ticket)
    send(agent, f"/tickets/{ticket}/snooze", {"for": "", "answer": "customer"})
    given = {"csrf_token": token(client.get(link)), "version": "1", "a:year": "2025"}
    if who == "staff":
        send(agent, f"/requests/{number}", {"do": "complete"})
    else:
        # What is only kept is no answer yet.
        assert (
            client.post(
                link, data={**given, **({"do": "send"} if who == "the customer" else {"auto": "1"})}
            ).status_code
            < 400
        )
    assert status_of(desk, number) == ("open" if who == "nobody yet" else "completed")
    assert desk.state(ticket)["status"] == ("open" if who == "the customer" else "snoozed")


# T4: a link opens one request ------------------------------------------------------------------------------------


def asked(desk: Desk, email: str, label: str) -> tuple[int, str]:
    """A request with one question of its own: its number, and the path of its link."""
    number, link = a_request(desk, email)
    desk.clock.move(seconds=1)  # a request of its own
    with desk.services.db.write() as connection:
        questions = [{"key": f"q{number}", "label": label, "type": "text", "required": True}]
        connection.execute(update(RequestRow).where(RequestRow.id == number).values(questions=questions))
    return number, link


def answers(desk: Desk, *numbers: int) -> list[dict[str, object]]:
    with desk.services.db.read() as connection:
        return [dict(requests.read(connection, one).answers) for one in numbers]


@pytest.mark.parametrize("whose", [CAMILLE, MALLORY], ids=["of the same customer", "of another customer"])
def test_t4_a_link_opens_its_own_request_and_never_another(
    whose: str, desk: Desk, app: APIFlask, client: FlaskClient
) -> None:
    first, link = asked(desk, CAMILLE, "Which year?")
    other, other_link = asked(desk, whose, "How many children?")
    page = client.get(link)
    assert "Which year?" in page.get_data(as_text=True)
    assert "How many children?" not in page.get_data(as_text=True)
    given = {"csrf_token": token(page), "version": "1"}
    # What is meant for the other request, sent by this link, reaches neither.
    meant = {**given, "do": "send", f"a:q{other}": "7", "request": str(other), "request_id": str(other)}
    assert client.post(link, data=meant).status_code == 422
    assert answers(desk, first, other) == [{}, {}]
    # The link signs nobody in: neither their own pages nor the other request open.
    for path in ("/portal/", f"/portal/requests/{first}", f"/portal/requests/{other}"):
        assert client.get(path).location.startswith("/portal/sign-in")
    given["version"] = re.findall(r'name="version" value="(\d+)"', client.get(link).get_data(as_text=True))[0]
    assert client.post(link, data={**given, "do": "send", f"a:q{first}": "2025"}).status_code == 303
    assert answers(desk, first, other) == [{f"q{first}": "2025"}, {}]
    assert (status_of(desk, first), status_of(desk, other)) == ("completed", "open")
    # Used up, it opens nothing, while the other's own link still does.
    stranger = app.test_client()
    assert (stranger.get(link).status_code, stranger.get(other_link).status_code) == (410, 200)
    assert "Which year?" not in stranger.get(link).get_data(as_text=True)


def test_t4_a_link_that_was_used_is_over_for_a_page_that_was_open_already(
    desk: Desk, app: APIFlask, client: FlaskClient
) -> None:
    number, link = asked(desk, CAMILLE, "Which year?")
    second = app.test_client()
    pages = {browser: browser.get(link) for browser in (client, second)}
    given = {browser: {"csrf_token": token(page), "version": "1"} for browser, page in pages.items()}
    assert client.post(link, data={**given[client], "do": "send", f"a:q{number}": "2025"}).status_code == 303
    for way in ({"do": "send"}, {"do": "keep"}, {"auto": "1"}):
        assert second.post(link, data={**given[second], **way, f"a:q{number}": "1999"}).status_code == 410
    assert answers(desk, number) == [{f"q{number}": "2025"}]


def test_t4_a_link_is_over_to_the_second_and_what_was_kept_in_time_stays(desk: Desk, client: FlaskClient) -> None:
    number, link = asked(desk, CAMILLE, "Which year?")
    page = client.get(link)
    kept = {"csrf_token": token(page), "version": "1", "auto": "1", f"a:q{number}": "20"}
    assert client.post(link, data=kept).status_code == 200
    desk.clock.move(days=tokens.REQUEST_DAYS, seconds=-2)
    assert client.get(link).status_code == 200
    desk.clock.move(seconds=2)
    before = counts(desk)
    assert client.get(link).status_code == 410
    assert client.post(link, data={**kept, "version": "2", f"a:q{number}": "2025"}).status_code == 410
    assert (answers(desk, number), status_of(desk, number), counts(desk)) == ([{f"q{number}": "20"}], "open", before)
