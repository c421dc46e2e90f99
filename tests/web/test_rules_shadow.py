"""A draft that runs beside the live version is started and stopped by its page, and not published before its time."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from jobs import automation, shadow
from jobs.tables import ShadowRow
from rules import store as rule_list
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import words


@pytest.fixture
def code(desk: Desk) -> str:
    """A live table with a draft that gives what nobody took to billing instead."""
    code = desk.publish()
    draft = {**TRIAGE, "otherwise": {"then": {"s1": {"team": "billing"}}}}
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        rule_list.save_draft(connection, code, draft, author="ana", seen=seen, now=desk.clock.now())
    return code


def press(browser: FlaskClient, code: str, **changed: object) -> int:
    """Start it by the form of the review page."""
    page = browser.get(f"/rules/{code}/review").text
    seen = re.search(r'name="seen" value="(\d+)"', page)
    assert seen is not None
    given = {"seen": seen[1], "days": 7, "tickets": 50, "allowed": 10, **changed}
    return send(browser, f"/rules/{code}/beside", given).status_code


def publish(browser: FlaskClient, desk: Desk, code: str) -> tuple[int, str]:
    with desk.services.db.read() as connection:
        seen = rule_list.entry(connection, code).draft_count
    answer = send(browser, f"/rules/{code}/publish", {"seen": seen, "note": "Proved"})
    return answer.status_code, words(answer.text)


def version(desk: Desk, code: str) -> int | None:
    with desk.services.db.read() as connection:
        return rule_list.entry(connection, code).live_version


def running(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(ShadowRow)).scalar_one()


def test_it_holds_the_draft_back_until_it_is_over_or_stopped(desk: Desk, manager: FlaskClient, code: str) -> None:
    assert press(manager, code) == 302
    status, said = publish(manager, desk, code)
    assert (status, version(desk, code)) == (422, 1)
    assert "The draft still runs beside the live version" in said
    desk.ticket("Hello there")
    automation.drain(desk.services)
    shadow.carry_on(desk.services, budget_s=30)
    page = words(manager.get(f"/rules/{code}/review").text)
    assert re.search(r"events of 1 tickets were compared; 1 came out differently", page)
    desk.clock.move(days=8)
    shadow.carry_on(desk.services, budget_s=30)
    status, said = publish(manager, desk, code)
    assert (status, version(desk, code)) == (422, 1)
    assert "and 10 % were allowed" in said
    assert send(manager, f"/rules/{code}/beside/stop").status_code == 302
    assert publish(manager, desk, code)[0] == 302
    assert version(desk, code) == 2


def test_one_that_proved_itself_is_published(desk: Desk, manager: FlaskClient, code: str) -> None:
    assert press(manager, code, allowed=100) == 302
    desk.ticket("Hello there")
    automation.drain(desk.services)
    shadow.carry_on(desk.services, budget_s=30)
    desk.clock.move(days=8)
    shadow.carry_on(desk.services, budget_s=30)
    assert "passed" in words(manager.get(f"/rules/{code}/review").text)
    assert publish(manager, desk, code)[0] == 302


@pytest.mark.parametrize("changed", [{"days": 400}, {"tickets": "many"}, {"allowed": -1}])
def test_what_is_not_offered_starts_nothing(
    desk: Desk, manager: FlaskClient, code: str, changed: dict[str, object]
) -> None:
    assert press(manager, code, **changed) == 422
    assert running(desk) == 0


def test_an_old_page_starts_nothing(desk: Desk, manager: FlaskClient, code: str) -> None:
    assert press(manager, code, seen=0) == 409
    assert running(desk) == 0


def test_who_may_not_edit_rules_starts_nothing(desk: Desk, app: APIFlask, code: str) -> None:
    agent = app.test_client()
    let_in(agent, desk.user("agna", "agent"))
    given = {"seen": 2, "days": 7, "tickets": 50, "allowed": 10}
    assert send(agent, f"/rules/{code}/beside", given).status_code == 403
    assert running(desk) == 0
