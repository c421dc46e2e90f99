"""The customer's form: without signing in, without scripts, not for robots."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from tests.web.desk import Desk, token
from tickets.tables import CustomField, EventRow, Message, PersonAddress, WorkItem

GOOD = {"email": "Kim@Customer.test", "name": "Kim", "subject": "Broken lamp", "text": "It arrived broken."}


def fill(client: FlaskClient, data: dict[str, str], brand: str = "acme") -> tuple[int, str]:
    held = token(client.get("/form/acme"))
    answer = client.post(f"/form/{brand}", data={"csrf_token": held, **data})
    return answer.status_code, answer.get_data(as_text=True)


def items(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return len(connection.execute(select(WorkItem.id)).all())


def test_a_customer_writes_and_a_ticket_of_that_brand_is_there(desk: Desk, client: FlaskClient) -> None:
    status, page = fill(client, GOOD)
    assert status == 200
    assert 'Its number is <b class="num">1</b>' in page
    state = desk.state(1)
    assert (state["subject"], state["brand"], state["channel"], state["language"]) == (
        "Broken lamp",
        "acme",
        "form",
        "en",
    )
    with desk.services.db.read() as connection:
        address = connection.execute(select(PersonAddress.address, PersonAddress.verified)).one()
        message = connection.execute(select(Message.author_kind, Message.public, Message.text)).one()
        event = connection.execute(select(EventRow.kind, EventRow.actor_kind)).one()
    assert address == ("kim@customer.test", False)
    assert message == ("customer", True, "It arrived broken.")
    assert event == ("created", "customer")


def test_the_form_speaks_the_customers_language_as_far_as_we_do(client: FlaskClient) -> None:
    page = client.get("/form/acme", headers={"Accept-Language": "xx,de;q=0.5"}).get_data(as_text=True)
    assert '<html lang="en">' in page


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"email": ""}, "We need an e-mail address"),
        ({"email": "kim@localhost"}, "We need an e-mail address"),
        ({"email": "kim@a.b\r\nBcc: all@x.test"}, "We need an e-mail address"),
        ({"email": "<kim@customer.test>"}, "We need an e-mail address"),
        ({"subject": " "}, "In a few words"),
        ({"text": ""}, "Tell us what happened"),
        ({"subject": "x" * 301}, "At most 300 characters"),
        ({"name": "x" * 201}, "At most 200 characters"),
        ({"text": "x" * 20_001}, "At most 20000 characters"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_kept(
    change: dict[str, str], problem: str, desk: Desk, client: FlaskClient
) -> None:
    status, page = fill(client, {**GOOD, **change})
    assert status == 422
    assert problem in page
    assert items(desk) == 0


def test_a_robot_is_thanked_and_nothing_is_kept(desk: Desk, client: FlaskClient) -> None:
    status, page = fill(client, {**GOOD, "website": "https://spam.test"})
    assert status == 200
    assert "Thank you" in page
    assert items(desk) == 0


def test_a_brand_that_is_not_there_has_no_form(desk: Desk, client: FlaskClient) -> None:
    assert client.get("/form/nowhere").status_code == 404
    assert fill(client, GOOD, "nowhere")[0] == 404
    assert items(desk) == 0


def test_one_caller_cannot_flood_the_desk(desk: Desk, client: FlaskClient) -> None:
    seen = [fill(client, GOOD)[0] for _ in range(7)]
    assert seen == [200] * 6 + [429]
    assert items(desk) == 6


def test_a_form_sent_from_another_site_is_refused(desk: Desk, client: FlaskClient) -> None:
    assert client.post("/form/acme", data=GOOD).status_code == 400
    assert items(desk) == 0


def test_a_customer_sees_no_page_of_the_desk(client: FlaskClient, app: APIFlask) -> None:
    page = client.get("/form/acme").get_data(as_text=True)
    assert "/sign-in" not in page
    assert 'class="nav"' not in page


# In which language, about what ------------------------------------------------------------------------------------

FRENCH = "Bonjour, je n'ai pas reçu ma commande et le colis est perdu. Merci de me répondre."


@pytest.mark.parametrize(
    ("text", "browser", "language"),
    [(FRENCH, "pl", "fr"), ("???", "pl", "pl"), ("It is broken and I would like my money back.", "ro", "en")],
)
def test_the_words_say_the_language_and_else_the_browser(
    text: str, browser: str, language: str, desk: Desk, app: APIFlask
) -> None:
    client = app.test_client()
    held = token(client.get("/form/acme"))
    sent = {"csrf_token": held, **GOOD, "subject": "Lamp", "text": text}
    assert client.post("/form/acme", data=sent, headers={"Accept-Language": browser}).status_code == 200
    assert desk.state(1)["language"] == language
    with desk.services.db.read() as connection:
        assert connection.execute(select(Message.language)).scalar_one() == language


def test_a_ticket_of_the_form_is_published(desk: Desk, client: FlaskClient) -> None:
    fill(client, GOOD)
    assert "published" not in desk.state(1)  # whether the customer sees it is for a rule to say: A17


def a_topic(desk: Desk, kind: str, options: dict[str, str]) -> None:
    with desk.services.db.write() as connection:
        connection.execute(
            insert(CustomField).values(kind="ticket", key="topic", label="Topic", type=kind, options=options)
        )


def test_the_topic_is_asked_where_the_desk_has_one(desk: Desk, client: FlaskClient) -> None:
    assert 'name="topic"' not in client.get("/form/acme").get_data(as_text=True)
    fill(client, {**GOOD, "topic": "refund"})
    assert "fields.topic" not in desk.state(1)
    a_topic(desk, "choice", {"refund": "Refund", "delivery": "Delivery"})
    assert '<option value="refund">Refund</option>' in client.get("/form/acme").get_data(as_text=True)
    assert fill(client, {**GOOD, "topic": "refund"})[0] == 200
    assert desk.state(2)["fields.topic"] == "refund"
    assert fill(client, {**GOOD, "topic": ""})[0] == 200
    assert "fields.topic" not in desk.state(3)


@pytest.mark.parametrize(
    ("kind", "options", "topic"), [("choice", {"refund": "Refund"}, "made_up"), ("text", {}, "x" * 201)]
)
def test_a_topic_that_cannot_be_is_refused_and_nothing_is_kept(
    kind: str, options: dict[str, str], topic: str, desk: Desk, client: FlaskClient
) -> None:
    a_topic(desk, kind, options)
    status, page = fill(client, {**GOOD, "topic": topic})
    assert status == 422
    assert 'href="#f-topic"' in page
    assert items(desk) == 0
