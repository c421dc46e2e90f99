"""The customer's form: without signing in, without scripts, not for robots."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.web.desk import Desk, token
from tickets.tables import EventRow, Message, PersonAddress, WorkItem

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
