"""The page of rules' health names those to look at first, and counts what colleagues reversed."""

from __future__ import annotations

import re

from apiflask import APIFlask
from flask.testing import FlaskClient

from jobs import automation, health
from tests.web.desk import TRIAGE, Desk, let_in
from tests.web.pages import words
from tickets import store as items
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause


def line(browser: FlaskClient, name: str) -> str:
    """The row of one rule, in words."""
    page = browser.get("/rules/health")
    assert page.status_code == 200
    [found] = [row for row in re.findall(r"<tr>.*?</tr>", page.text, re.S) if f"<b>{name}</b>" in row]
    return words(found)


def test_what_colleagues_reverse_makes_a_rule_distrusted_and_stands_first(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish()
    other = desk.publish({**TRIAGE, "name": "Another", "triggers": [{"on": "message"}]})
    tickets = [desk.ticket("A refund, please") for _ in range(6)]
    automation.drain(desk.services)
    assert "no need" in line(manager, "New ticket triage")
    desk.clock.move(minutes=5)
    for one in tickets:
        with desk.services.db.write() as connection:
            item = items.read_item(connection, one, lock=True)
            lines = [items.Lines((SetField("team", "sales"),), Cause("person", label="Ana"))]
            ana = Actor(ActorKind.AGENT, "ana", "Ana")
            items.change_item(connection, item, lines=lines, actor=ana, now=desk.clock.now())
    shown = line(manager, "New ticket triage")
    assert f"{code} 6" in shown
    assert "6 (50 %)" in shown
    assert "colleagues reverse it" in shown
    assert "1, ∞" in shown  # by the numbers of the grid, as everywhere
    page = manager.get("/rules/health").text
    assert page.index(code) < page.index(f">{other}<")


def test_a_rule_that_never_did_anything_is_asked_about_after_the_time(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    assert "no need" in line(manager, "New ticket triage")
    desk.clock.move(days=health.DAYS + 1)
    assert "retire it?" in line(manager, "New ticket triage")


def test_an_agent_without_rules_does_not_see_it(desk: Desk, app: APIFlask) -> None:
    agent = app.test_client()
    let_in(agent, desk.user("agna", "agent"))
    assert agent.get("/rules/health").status_code == 403
