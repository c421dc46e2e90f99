"""Two people answer a customer at once: one answer leaves, and the other one's words wait for a second look."""

from __future__ import annotations

import io
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from jobs.tables import OutboxRow
from tests.web.desk import Desk, let_in, send
from tickets import store as items
from tickets.events import Actor, ActorKind
from tickets.tables import Blob, Message


@pytest.fixture
def ion(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("ion", "agent", name="Ion Popa"))
    return browser


def up_to(browser: FlaskClient, ticket: int) -> str:
    found = re.search(r'name="up_to" value="(\d+)"', browser.get(f"/tickets/{ticket}").get_data(as_text=True))
    assert found
    return found[1]


def kept(desk: Desk) -> tuple[int, ...]:
    with desk.services.db.read() as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(one)).scalar_one() for one in (Message, OutboxRow, Blob)
        )


def test_of_two_who_answer_at_once_the_second_reads_the_first_and_keeps_the_words(
    agent: FlaskClient, ion: FlaskClient, desk: Desk
) -> None:
    ticket = desk.ticket("Refund?")
    path = f"/tickets/{ticket}/messages"
    seen = up_to(agent, ticket)
    assert up_to(ion, ticket) == seen
    assert send(agent, path, {"text": "Yes, today.", "kind": "reply", "up_to": seen}).status_code == 303
    before = kept(desk), desk.state(ticket)
    file = (io.BytesIO(b"x"), "a.txt")
    late = send(ion, path, {"text": "No.", "kind": "reply", "up_to": seen, "then": "solved", "files": file})
    page = late.get_data(as_text=True)
    assert late.status_code == 409
    assert "Ana Nowak has written since you opened this. Nothing was sent" in page
    assert "Choose your files again." in page
    assert ">No.</textarea>" in page
    assert "Yes, today." in page
    assert (kept(desk), desk.state(ticket)) == before
    # Having read it, the second may say something, too.
    now_seen = re.search(r'name="up_to" value="(\d+)"', page)
    assert now_seen
    again = send(ion, path, {"text": "And it was my mistake.", "kind": "reply", "up_to": now_seen[1]})
    assert again.status_code == 303


def test_a_note_and_ones_own_second_reply_are_held_up_by_nobody(
    agent: FlaskClient, ion: FlaskClient, desk: Desk
) -> None:
    ticket = desk.ticket("Refund?")
    path = f"/tickets/{ticket}/messages"
    seen = up_to(agent, ticket)
    assert send(agent, path, {"text": "Yes.", "kind": "reply", "up_to": seen}).status_code == 303
    assert send(agent, path, {"text": "Today.", "kind": "reply", "up_to": seen}).status_code == 303
    assert send(ion, path, {"text": "Good.", "kind": "note", "up_to": seen}).status_code == 303


def test_a_reply_to_what_the_customer_has_taken_back_meanwhile_waits(agent: FlaskClient, desk: Desk) -> None:
    ticket = desk.ticket("Refund?")
    seen = up_to(agent, ticket)
    with desk.services.db.write() as connection:
        items.change_item(
            connection,
            items.read_item(connection, ticket, lock=True),
            lines=(),
            actor=Actor(ActorKind.CUSTOMER, "1", "Camille"),
            now=desk.clock.now(),
            messages=(items.NewMessage(author="customer", public=True, channel="email", text="No need any more."),),
        )
    late = send(agent, f"/tickets/{ticket}/messages", {"text": "Yes.", "kind": "reply", "up_to": seen})
    assert late.status_code == 409
    assert "Somebody has written since you opened this." in late.get_data(as_text=True)
    assert "No need any more." in late.get_data(as_text=True)
