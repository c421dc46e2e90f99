"""/metrics: figures of what really happened, for the bearer of the token alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from jobs.tables import OutboxRow
from tests.web.desk import Desk
from tickets.events import EventKind
from tickets.tables import EventRow
from web import create_app

TOKEN = "a token for the tests"


@pytest.fixture
def prometheus(desk: Desk) -> FlaskClient:
    settings = desk.services.settings.model_copy(update={"metrics_token": TOKEN})
    return create_app(replace(desk.services, settings=settings)).test_client()


def figures(client: FlaskClient) -> dict[str, float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.get_data(as_text=True).splitlines()
    for line in lines:
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [-\d.e+]+', line), line
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))}


def test_without_the_setting_there_is_no_such_page(client: FlaskClient) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer é"])
def test_without_the_token_nothing_is_told(prometheus: FlaskClient, given: str | None) -> None:
    answer = prometheus.get("/metrics", headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert b"deskhand_" not in answer.data


def test_the_figures_say_what_happened_and_what_waits(desk: Desk, prometheus: FlaskClient) -> None:
    before = figures(prometheus)
    assert before["deskhand_events_total"] == 0
    assert before["deskhand_redis_up"] == 1
    desk.publish()
    desk.ticket(subject="A refund, please")
    waiting = figures(prometheus)
    assert waiting["deskhand_events_total"] == 1
    assert waiting['deskhand_events_open{status="pending"}'] == 1
    assert waiting['deskhand_work_due{work="drain"}'] == 1
    desk.clock.move(seconds=30)
    assert figures(prometheus)['deskhand_work_oldest_seconds{work="drain"}'] == 30
    desk.work()
    done = figures(prometheus)
    assert done['deskhand_work_due{work="drain"}'] == 0
    assert done["deskhand_decisions_total"] == 2  # the creation, and the change it caused
    assert done['deskhand_decisions_lately{outcome="acted"}'] == 1
    assert done['deskhand_decision_lag_seconds{quantile="1.0"}'] == 30
    desk.clock.move(minutes=6)
    assert 'deskhand_decisions_lately{outcome="acted"}' not in figures(prometheus)


def test_mail_that_was_given_up_is_counted(desk: Desk, prometheus: FlaskClient) -> None:
    now = desk.clock.now()
    row = {"kind": "email", "payload": {}, "due_at": now, "tries": 1, "last_error": "", "created_at": now}
    with desk.services.db.write() as connection:
        for number, status in enumerate(("due", "failed", "failed", "sent")):
            connection.execute(insert(OutboxRow).values(key=f"k{number}", status=status, **row))
    counted = figures(prometheus)
    assert counted['deskhand_outbox{status="due"}'] == 1
    assert counted['deskhand_outbox{status="failed"}'] == 2
    assert 'deskhand_outbox{status="sent"}' not in counted


def test_how_late_times_came_is_told(desk: Desk, prometheus: FlaskClient) -> None:
    assert not any(name.startswith("deskhand_timer_lateness") for name in figures(prometheus))
    item_id = desk.ticket()
    with desk.services.db.write() as connection:
        connection.execute(
            update(EventRow)
            .where(EventRow.item_id == item_id)
            .values(kind=EventKind.TIMER, payload={"late_s": 7}, at=desk.clock.now())
        )
    assert figures(prometheus)['deskhand_timer_lateness_seconds{quantile="0.95"}'] == 7
