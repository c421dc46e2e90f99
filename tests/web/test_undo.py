"""What a version did is looked at first, then taken back on every ticket, and its page says what became of each."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from jobs import automation, undo
from jobs.tables import UndoRow
from tests.web.desk import Desk, let_in, send
from tests.web.pages import words
from tickets import store as items
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause
from tickets.tables import Team


@pytest.fixture
def code(desk: Desk) -> str:
    """The triage table, live; it gave two refunds to billing, and somebody changed one since."""
    return desk.publish()


@pytest.fixture
def tickets(desk: Desk, code: str) -> list[int]:
    found = [desk.ticket("A refund, please"), desk.ticket("My invoice")]
    automation.drain(desk.services)
    desk.clock.move(seconds=60)
    with desk.services.db.write() as connection:
        item = items.read_item(connection, found[1], lock=True)
        lines = [items.Lines((SetField("priority", "low"),), Cause("person", label="Ana Nowak"))]
        items.change_item(
            connection, item, lines=lines, actor=Actor(ActorKind.AGENT, "ana", "Ana Nowak"), now=desk.clock.now()
        )
    automation.drain(desk.services)
    desk.clock.move(seconds=60)
    return found


def state(desk: Desk, ticket: int) -> dict[str, object]:
    with desk.services.db.read() as connection:
        return dict(items.read_item(connection, ticket).state)


def look(browser: FlaskClient, code: str, **asked: str) -> str:
    answer = browser.get(f"/rules/{code}/undo", query_string=asked)
    assert answer.status_code == 200
    return words(answer.text)


def order(browser: FlaskClient, code: str, **changed: str) -> TestResponse:
    """Press the button, with these of its hidden values changed."""
    page = browser.get(f"/rules/{code}/undo").text
    given = dict(re.findall(r'<input type="hidden" name="(version|since|until)" value="([^"]*)">', page))
    assert set(given) == {"version", "since", "until"}
    return send(browser, f"/rules/{code}/undo", {**given, **changed})


def test_the_page_shows_what_goes_back_and_what_stays_and_changes_nothing(
    desk: Desk, manager: FlaskClient, code: str, tickets: list[int]
) -> None:
    before = [state(desk, one) for one in tickets]
    page = look(manager, code)
    assert "Version 1 changed 2 tickets in this time" in page
    assert re.search(r"A refund, please .{0,60}Priority from High to Normal", page)
    assert "Priority stays: changed since by Ana Nowak" in page
    assert "This version is live and goes on working" in page
    assert [state(desk, one) for one in tickets] == before
    with desk.services.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(UndoRow)).scalar_one() == 0


def test_it_is_taken_back_by_the_clock_and_the_page_says_what_became_of_each(
    desk: Desk, manager: FlaskClient, code: str, tickets: list[int]
) -> None:
    answer = order(manager, code)
    assert answer.status_code == 303
    where = answer.headers["Location"]
    assert "0 of 2 tickets are done" in words(manager.get(where).text)
    undo.carry_on(desk.services, budget_s=30)
    page = words(manager.get(where).text)
    assert "Done: 2 tickets are as they were" in page
    assert "Priority stays: changed since by Ana Nowak" in page
    assert state(desk, tickets[0])["priority"] == "normal"
    assert "team" not in state(desk, tickets[0])
    assert state(desk, tickets[1])["priority"] == "low"
    assert "Taken back before" in look(manager, code)
    assert "took back what New ticket triage did" in words(manager.get(f"/tickets/{tickets[0]}").text)


def test_a_ticket_of_a_restricted_team_is_taken_back_and_not_named(
    desk: Desk, manager: FlaskClient, code: str, tickets: list[int]
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(Team).where(Team.key == "billing").values(restricted=True))
    page = look(manager, code)
    assert "A refund" not in page
    assert "My invoice" not in page
    assert "2 more are hidden from you" in page


def test_who_may_not_edit_rules_takes_nothing_back(desk: Desk, app: APIFlask, code: str, tickets: list[int]) -> None:
    agent = app.test_client()
    let_in(agent, desk.user("agna", "agent"))
    assert agent.get(f"/rules/{code}/undo").status_code == 403
    assert send(agent, f"/rules/{code}/undo").status_code == 403
    assert undo.carry_on(desk.services, budget_s=30) == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [({"version": "7"}, 404), ({"since": "yesterday"}, 422), ({"until": "2026-11-21"}, 422)],
)
def test_a_form_that_names_nothing_takes_nothing_back(
    desk: Desk, manager: FlaskClient, code: str, tickets: list[int], given: dict[str, str], status: int
) -> None:
    answer = order(manager, code, **given)
    assert answer.status_code == status
    assert undo.carry_on(desk.services, budget_s=30) == 0


def test_another_span_and_a_rule_that_is_not_there(
    desk: Desk, manager: FlaskClient, code: str, tickets: list[int]
) -> None:
    desk.clock.move(hours=2)
    assert "Version 1 changed no ticket in this time" in look(manager, code, hours="1")
    assert "2 tickets" in look(manager, code, hours="24")
    assert manager.get("/rules/Z99/undo").status_code == 404
    assert manager.get(f"/rules/{code}/undo/77").status_code == 404
