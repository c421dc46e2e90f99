"""The portal lets in whom a mail let in, shows them their own published things, and nothing to anybody else."""

from __future__ import annotations

import io
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select, update

from jobs.tables import OutboxRow
from tests.web.desk import Desk, send, token
from tests.web.portal import CAMILLE, MALLORY, a_request, asked_for, counts, enter, post, secret, status_of
from tickets import people, requests, tokens
from tickets import store as items
from tickets.attachments import NewAttachment
from tickets.events import Actor, ActorKind
from tickets.item import ItemKind
from tickets.tables import (
    Blob,
    Message,
    Person,
    PersonAddress,
    PortalToken,
    RequestFile,
    Seen,
)

# Ways in -----------------------------------------------------------------------------------------------------------


def test_a_link_lets_in_once_and_opening_it_uses_nothing_up(desk: Desk, app: APIFlask, client: FlaskClient) -> None:
    desk.ticket("Where is it?", published=True)
    link = "/portal/enter/" + tokens.text_of(secret(desk), asked_for(desk, client))
    for _ in range(3):  # a mail scanner opens every link
        assert app.test_client().get(link).status_code == 200
    page = client.get(link)
    assert client.post(link, data={"csrf_token": token(page)}).status_code == 303
    assert "Where is it?" in client.get("/portal/").get_data(as_text=True)
    other = app.test_client()
    assert other.get(link).status_code == 410
    assert post(other, link).status_code == 410
    assert other.get("/portal/").status_code == 302


def test_a_link_that_is_too_old_guessed_or_for_something_else_lets_nobody_in(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    good = tokens.text_of(secret(desk), asked_for(desk, client))
    _, answer = a_request(desk)
    tries = [good[:-1] + ("0" if good[-1] != "0" else "1"), "0" * 64, "x", answer.rsplit("/", 1)[1]]
    desk.clock.move(minutes=tokens.SIGN_IN_MIN + 1)
    for one in [*tries, good]:
        assert post(client, f"/portal/enter/{one}").status_code == 410
    assert client.get("/portal/").status_code == 302


def test_a_code_lets_in_once_and_wrong_ones_wear_it_out(desk: Desk, app: APIFlask, client: FlaskClient) -> None:
    desk.ticket(published=True)
    right = tokens.code_of(secret(desk), asked_for(desk, client))
    wrong = f"{(int(right) + 1) % 10**8:08d}"
    for _ in range(tokens.CODE_TRIES):
        assert post(client, "/portal/code", {"email": CAMILLE, "code": wrong}).status_code == 422
    assert post(client, "/portal/code", {"email": CAMILLE, "code": right}).status_code == 422
    assert client.get("/portal/").status_code == 302
    right = tokens.code_of(secret(desk), asked_for(desk, client))
    assert post(app.test_client(), "/portal/code", {"email": MALLORY, "code": right}).status_code == 422
    assert post(client, "/portal/code", {"email": CAMILLE, "code": right}).status_code == 303
    assert client.get("/portal/").status_code == 200
    assert post(app.test_client(), "/portal/code", {"email": CAMILLE, "code": right}).status_code == 422


def test_an_unknown_address_gets_the_same_words_and_no_mail(desk: Desk, app: APIFlask, client: FlaskClient) -> None:
    desk.ticket(published=True)
    answers = []
    for email in (CAMILLE, "nobody@customer.test"):
        browser = app.test_client()
        page = browser.get("/portal/sign-in")
        sent = browser.post("/portal/sign-in", data={"csrf_token": token(page), "email": email})
        text = browser.get(sent.location).get_data(as_text=True).replace(email, "")
        answers.append((sent.status_code, sent.location, re.sub(r"[\w.-]{60,}", "", text)))
    assert answers[0] == answers[1]
    with desk.services.db.read() as connection:
        assert connection.execute(select(OutboxRow.recipient)).scalars().all() == [CAMILLE]


def test_sign_ins_of_one_person_are_bounded(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    for _ in range(tokens.SIGN_INS_PER_HOUR + 2):
        asked_for(desk, client)
    with desk.services.db.read() as connection:
        made = connection.execute(select(func.count()).select_from(PortalToken)).scalar_one()
    assert made == tokens.SIGN_INS_PER_HOUR


def test_no_way_in_stands_in_the_database(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    salt = asked_for(desk, client)
    text, code = tokens.text_of(secret(desk), salt), tokens.code_of(secret(desk), salt)
    with desk.services.db.read() as connection:
        rows = [
            str(tuple(row)) for one in (PortalToken, OutboxRow) for row in connection.execute(select(one.__table__))
        ]
    assert rows
    assert not any(text in row or code in row for row in rows)


def test_a_session_ends_by_itself_and_with_the_persons_erasure(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    enter(desk, client)
    assert client.get("/portal/").status_code == 200
    with desk.services.db.write() as connection:
        connection.execute(delete(PersonAddress))
    assert client.get("/portal/").status_code == 302


def test_a_session_lasts_twelve_hours(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    enter(desk, client)
    desk.clock.move(hours=12, seconds=1)
    assert client.get("/portal/").status_code == 302


def test_neither_side_opens_the_others_pages(desk: Desk, client: FlaskClient, agent: FlaskClient) -> None:
    ticket = desk.ticket(published=True)
    enter(desk, client)
    assert client.get(f"/tickets/{ticket}").status_code == 302
    assert client.get("/").location.startswith("/sign-in")
    assert agent.get("/portal/").location.startswith("/portal/sign-in")


def test_a_way_in_sent_to_an_address_that_was_corrected_opens_nothing(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    link = "/portal/enter/" + tokens.text_of(secret(desk), asked_for(desk, client))
    with desk.services.db.write() as connection:
        person = people.person_by_email(connection, CAMILLE)
        assert person is not None
        assert people.correct_email(connection, person, CAMILLE, "camille.laurent@customer.test")
    assert post(client, link).status_code == 410
    assert client.get("/portal/").status_code == 302
    with desk.services.db.read() as connection:
        assert people.customer(connection, person).verified == frozenset()
    enter(desk, client, "camille.laurent@customer.test")


def test_going_in_proves_the_address(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    enter(desk, client)
    with desk.services.db.read() as connection:
        assert connection.execute(select(PersonAddress.verified)).scalars().all() == [True]


# What is seen ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["another's", "unpublished", "nobody's"])
def test_what_is_not_ones_own_and_published_is_as_if_it_were_not_there(
    whose: str, desk: Desk, client: FlaskClient
) -> None:
    own = desk.ticket("Mine", published=True)
    if whose == "another's":
        hidden = desk.ticket("Hidden words", email=MALLORY, published=True)
    elif whose == "unpublished":
        hidden = desk.ticket("Hidden words")
    else:
        hidden = 4711
    enter(desk, client)
    listed = client.get("/portal/").get_data(as_text=True)
    assert ("Mine" in listed, "Hidden words" in listed) == (True, False)
    assert client.get(f"/portal/items/{own}").status_code == 200
    assert client.get(f"/portal/items/{hidden}").status_code == 404
    before = counts(desk)
    assert post(client, f"/portal/items/{hidden}", {"text": "Let me in"}).status_code == 404
    assert counts(desk) == before


def test_internal_notes_and_their_files_stay_inside(desk: Desk, client: FlaskClient) -> None:
    ticket = desk.ticket("Mine", published=True)
    with desk.services.db.write() as connection:
        for public, text in ((False, "She is difficult"), (True, "We look into it")):
            items.change_item(
                connection,
                items.read_item(connection, ticket, lock=True),
                lines=(),
                actor=Actor(ActorKind.AGENT, "ana", "Ana"),
                now=desk.clock.now(),
                messages=(
                    items.NewMessage(
                        author="agent",
                        public=public,
                        channel="email",
                        text=text,
                        author_name="Ana",
                        attachments=(NewAttachment(f"{public}.txt", "text/html", b"<script>1</script>"),),
                    ),
                ),
            )
    enter(desk, client)
    page = client.get(f"/portal/items/{ticket}").get_data(as_text=True)
    assert ("We look into it" in page, "She is difficult" in page, "False.txt" in page) == (True, False, False)
    assert client.get("/portal/files/1").status_code == 404
    file = client.get("/portal/files/2")
    assert (file.status_code, file.mimetype) == (200, "application/octet-stream")
    assert file.headers["Content-Disposition"].startswith("attachment")
    with desk.services.db.read() as connection:
        seen = connection.execute(select(Seen.message_id, Seen.who)).all()
    assert len(seen) == 1  # what they saw need not be e-mailed
    assert seen[0].who.startswith("person:")


def test_a_reply_is_the_customers_public_message(desk: Desk, client: FlaskClient) -> None:
    ticket = desk.ticket("Mine", published=True)
    enter(desk, client)
    sent = post(client, f"/portal/items/{ticket}", {"text": "Any news?\r\n<b>please</b>"})
    assert sent.location == f"/portal/items/{ticket}"
    page = client.get(f"/portal/items/{ticket}").get_data(as_text=True)
    assert "Any news?" in page
    assert "<b>please</b>" not in page
    with desk.services.db.read() as connection:
        row = connection.execute(select(Message.author_kind, Message.public).order_by(Message.id.desc())).first()
    assert row is not None
    assert tuple(row) == ("customer", True)


def test_a_customer_chooses_language_and_zone(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    enter(desk, client)
    assert post(client, "/portal/settings", {"language": "fr", "zone": "Europe/Paris"}).status_code == 303
    with desk.services.db.read() as connection:
        assert tuple(connection.execute(select(Person.language, Person.zone)).one()) == ("fr", "Europe/Paris")
    page = client.get("/portal/").get_data(as_text=True)
    assert 'lang="fr"' in page
    assert "Enregistré." in page  # in the language that was chosen, not in the one before
    post(client, "/portal/settings", {"language": "xx", "zone": "Nowhere/Town"})
    with desk.services.db.read() as connection:
        assert tuple(connection.execute(select(Person.language, Person.zone)).one()) == ("fr", "Europe/Paris")


# Requests ----------------------------------------------------------------------------------------------------------


def test_a_link_answers_its_own_request_and_then_is_dead(desk: Desk, client: FlaskClient) -> None:
    first, link = a_request(desk)
    other, _ = a_request(desk, MALLORY)
    page = client.get(link)
    data = {"csrf_token": token(page), "version": "1", "do": "send", "a:year": "2025"}
    assert client.post(link, data=data).status_code == 303
    assert (status_of(desk, first), status_of(desk, other)) == ("completed", "open")
    assert client.get(link).status_code == 410
    assert client.post(link, data={**data, "a:year": "1999"}).status_code == 410
    with desk.services.db.read() as connection:
        assert requests.read(connection, first).answers == {"year": "2025"}


@pytest.mark.parametrize("why", ["expired", "withdrawn", "guessed", "asks for a sign-in", "of a sign-in"])
def test_a_link_that_is_not_good_opens_no_request(why: str, desk: Desk, client: FlaskClient) -> None:
    request, link = a_request(desk, sign_in=why == "asks for a sign-in")
    if why == "expired":
        desk.clock.move(hours=24 * tokens.REQUEST_DAYS + 1)
    elif why == "withdrawn":
        with desk.services.db.write() as connection:
            requests.withdraw(connection, request, now=desk.clock.now())
    elif why == "guessed":
        link = "/portal/answer/" + "f" * 64
    elif why == "of a sign-in":
        link = "/portal/answer/" + tokens.text_of(secret(desk), asked_for(desk, client))
    assert "Which year?" not in client.get(link).get_data(as_text=True)
    answered = post(client, link, {"version": "1", "do": "send", "a:year": "2025"})
    assert answered.status_code == 410
    with desk.services.db.read() as connection:
        assert requests.read(connection, request).answers == {}


def test_another_persons_request_is_as_if_it_were_not_there(desk: Desk, client: FlaskClient) -> None:
    desk.ticket(published=True)
    theirs, _ = a_request(desk, MALLORY)
    enter(desk, client)
    assert "Which year?" not in client.get(f"/portal/requests/{theirs}").get_data(as_text=True)
    post(client, f"/portal/requests/{theirs}", {"version": "1", "do": "send", "a:year": "2025"})
    assert status_of(desk, theirs) == "open"


def test_two_who_answer_at_once_do_not_overwrite_each_other(desk: Desk, client: FlaskClient) -> None:
    request, link = a_request(desk)
    assert post(client, link, {"version": "1", "auto": "1", "a:year": "2025"}).get_json()["version"] == 2
    late = post(client, link, {"version": "1", "auto": "1", "a:year": "1999"})
    assert late.status_code == 409
    assert post(client, link, {"version": "1", "do": "send", "a:year": "1999"}).status_code == 409
    with desk.services.db.read() as connection:
        kept = requests.read(connection, request)
    assert (dict(kept.answers), kept.status) == ({"year": "2025"}, "open")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\u202egnp.exe", "agnp.exe"),
        ('x"\r\nSet-Cookie: a=b', "x"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("..", "file"),
    ],
)
def test_a_file_with_a_hostile_name_is_only_a_file(
    name: str, kept: str, desk: Desk, client: FlaskClient, agent: FlaskClient
) -> None:
    request, link = a_request(desk, file=True)
    sent = post(
        client,
        link,
        {
            "version": "1",
            "do": "save",
            "a:year": "2025",
            "f:paper": (io.BytesIO(b"<script>1</script>"), name, "text/html"),
        },
    )
    assert sent.status_code == 303
    with desk.services.db.read() as connection:
        stored = connection.execute(select(RequestFile.name)).scalar_one()
    assert stored.replace('"', "") == kept
    for page in (client.get(link), agent.get(f"/requests/{request}")):
        assert "<img src=x" not in page.get_data(as_text=True)
    file = agent.get("/requests/files/1")
    assert (file.mimetype, file.headers["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert "sandbox" in file.headers["Content-Security-Policy"]
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert all(one.startswith("session=") for one in file.headers.getlist("Set-Cookie"))


def test_too_many_and_too_large_files_are_refused_and_nothing_is_kept(
    desk: Desk, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ATTACHMENT_BYTES", 10)
    _, link = a_request(desk, file=True)
    before = counts(desk)
    for files in ([(io.BytesIO(b"x" * 11), "a.txt")], [(io.BytesIO(b"x"), f"{n}.txt") for n in range(11)]):
        answer = post(client, link, {"version": "1", "do": "send", "a:year": "2025", "f:paper": files})
        assert answer.status_code == 413
    assert counts(desk) == before
    with desk.services.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(Blob)).scalar_one() == 0


def test_what_is_refused_keeps_no_file_and_removes_none(
    desk: Desk, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ATTACHMENT_BYTES", 10)
    monkeypatch.setattr(requests, "MESSAGE_BYTES", 15)
    request, link = a_request(desk, file=True)

    def paper(size: int = 3) -> tuple[io.BytesIO, str]:
        return io.BytesIO(b"x" * size), "a.txt"

    # The first of two questions is answered well, the second is not; or they are too large together.
    for first, second in ((3, 11), (8, 8)):
        given = {"version": "1", "do": "send", "a:year": "2025", "f:paper": paper(first), "f:more": paper(second)}
        assert post(client, link, given).status_code == 413
    with desk.services.db.read() as connection:
        assert list(requests.read(connection, request).files) == []
        assert connection.execute(select(func.count()).select_from(Blob)).scalar_one() == 0
    assert post(client, link, {"version": "1", "do": "save", "f:paper": paper()}).status_code == 303
    with desk.services.db.read() as connection:
        (kept,) = requests.read(connection, request).files
    assert post(client, link, {"version": "1", "drop": str(kept.id)}).status_code == 409  # a page from before
    with desk.services.db.read() as connection:
        assert list(requests.read(connection, request).files) == [kept]
    assert post(client, link, {"version": "2", "drop": str(10**30)}).status_code == 303  # nothing has that number
    assert post(client, link, {"version": "3", "drop": str(kept.id)}).status_code == 303
    with desk.services.db.read() as connection:
        assert list(requests.read(connection, request).files) == []


def test_a_file_of_a_restricted_items_request_is_not_served(
    desk: Desk, client: FlaskClient, agent: FlaskClient
) -> None:
    report = desk.ticket("Harassment", team="ethics")
    request, link = a_request(desk, item=report, file=True)
    post(client, link, {"version": "1", "do": "save", "a:year": "1", "f:paper": (io.BytesIO(b"secret"), "a.txt")})
    assert "Papers" not in agent.get("/requests").get_data(as_text=True)
    assert agent.get("/requests/files/1").status_code == 404
    assert "Which year?" not in agent.get(f"/requests/{request}").get_data(as_text=True)
    send(agent, f"/requests/{request}", {"do": "complete"})
    assert status_of(desk, request) == "open"


# Anonymous reports -------------------------------------------------------------------------------------------------


def test_somebody_anonymous_comes_back_by_their_code_alone(desk: Desk, app: APIFlask, client: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        person = people.anonymous_person(connection, "en", desk.clock.now())
        code = people.new_code(connection, person)
        made = items.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={"subject": "My report", "customer": person, "published": True},
            actor=Actor(ActorKind.CUSTOMER, str(person)),
            now=desk.clock.now(),
        )
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    for guess in (wrong, "", "0" * 20, f"{code}0"):
        assert post(client, "/portal/report", {"code": guess}).status_code == 422
    assert client.get("/portal/").status_code == 302
    assert post(client, "/portal/report", {"code": f" {code.upper()} "}).status_code == 303
    assert "My report" in client.get(f"/portal/items/{made.item_id}").get_data(as_text=True)
    with desk.services.db.write() as connection:
        connection.execute(update(Person).values(code_sha256=None))
    assert client.get("/portal/").status_code == 302
