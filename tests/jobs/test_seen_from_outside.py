"""What whoever runs the desk sees of it: every figure of /metrics after real work, one event in the log."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from jobs import automation, metrics, outbox
from jobs.logs import JsonLines
from jobs.services import Services
from jobs.tables import DecisionRow, OutboxRow, RunRow
from tests.builders import a_ticket
from tests.connectors.upstream import Upstream, as_json
from tests.jobs.desk import clock_of, table, tick, work
from tests.jobs.sink import a_mail_sink
from tests.jobs.tables import ANSWER_AND_TAG, RUNS_IT, WAITING, script
from tests.jobs.workers import END_S, a_worker, decided, in_the_past, until
from tickets.tables import EventRow, Lane

EVERYTHING = """
code: A01
name: Answer, and ask a script
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: post_message}, {id: s2, do: run_script}]
rows: [{id: r1, if: {c1: {value: gold}}, then: {s1: {text: We look into it., public: true}, s2: {script: S01}}}]
"""


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def figures(desk: Services) -> dict[str, float]:
    lines = metrics.text(desk).splitlines()
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))}


def test_every_figure_is_right_after_real_work(desk: Services) -> None:
    script(desk, "found = crm.find_customer(email=customer.email)\nticket.add_tags([found.tier])")
    table(desk, EVERYTHING)
    table(desk, WAITING)
    tick(desk)
    a_ticket(desk.db, status="waiting_team")
    assert figures(desk)['deskhand_events_open{status="pending"}'] == 1
    clock_of(desk).forward(seconds=30)
    lane = figures(desk)
    assert (lane['deskhand_work_due{work="drain"}'], lane['deskhand_work_oldest_seconds{work="drain"}']) == (1, 30)
    automation.drain(desk)
    assert figures(desk)['deskhand_work_due{work="enrichment"}'] == 1
    assert figures(desk)['deskhand_events_open{status="waiting"}'] == 1
    work(desk)
    clock_of(desk).forward(seconds=20)
    done = figures(desk)
    with desk.db.read() as connection:
        events = connection.execute(select(func.count()).select_from(EventRow)).scalar_one()
        decisions = connection.execute(select(func.count()).select_from(DecisionRow)).scalar_one()
        acted = connection.execute(select(func.count()).where(DecisionRow.outcome == "acted")).scalar_one()
    assert (done["deskhand_events_total"], done["deskhand_decisions_total"]) == (events, decisions)
    assert done["deskhand_runs_total"] == done['deskhand_runs_lately{status="finished"}'] == 1
    assert done['deskhand_decisions_lately{outcome="acted"}'] == acted > 0
    assert done['deskhand_decision_lag_seconds{quantile="1.0"}'] == 30
    assert done['deskhand_connector_calls_lately{connection="crm",status="ok"}'] == 2  # the table's, and the script's
    assert done['deskhand_outbox{status="due"}'] == 1
    assert done['deskhand_work_oldest_seconds{work="outbox"}'] == 20
    assert done["deskhand_redis_up"] == 0
    with a_mail_sink() as sink:
        settings = desk.settings.model_copy(update={"smtp_url": sink.url, "mail_from": "help@shop.example"})
        assert outbox.deliver(replace(desk, settings=settings)) == 1
    assert 'deskhand_outbox{status="due"}' not in figures(desk)
    clock_of(desk).forward(hours=72, seconds=7 - 50)
    tick(desk)
    assert figures(desk)['deskhand_timer_lateness_seconds{quantile="1.0"}'] == 7


def test_a_run_that_fails_and_a_call_that_fails_are_counted_as_that(desk: Services, crm: Upstream) -> None:
    crm.answer = lambda _: as_json({}, status=503)
    script(desk, "ticket.add_tags([crm.find_customer(email='a@example.com').tier, 1 / 0])")
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    found = figures(desk)
    assert found['deskhand_runs_lately{status="retrying"}'] == 1
    assert found['deskhand_connector_calls_lately{connection="crm",status="unavailable"}'] >= 1
    assert 'deskhand_runs_lately{status="finished"}' not in found
    assert not any(name.startswith("deskhand_connector_calls_lately") and '"ok"' in name for name in found)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_one_event_is_followed_through_the_log_by_its_ids(desk: Services, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    script(desk, "found = crm.find_customer(email=customer.email)\nticket.add_tags([found.tier])")
    table(desk, EVERYTHING)
    other = a_ticket(desk.db, email="ion@example.com")
    work(desk)
    caplog.clear()
    made = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        run = connection.execute(select(RunRow.id).where(RunRow.item_id == made.item_id)).scalar_one()
        sent = connection.execute(select(OutboxRow.id).where(OutboxRow.item_id == made.item_id)).scalar_one()
    with a_mail_sink() as sink:
        settings = desk.settings.model_copy(update={"smtp_url": sink.url, "mail_from": "help@shop.example"})
        outbox.deliver(replace(desk, settings=settings))
    lines = [json.loads(JsonLines().format(one)) for one in caplog.records if one.name.startswith("jobs.")]
    ours = [one for one in lines if one.get("item") == made.item_id]
    named = {one["event"]: one for one in ours}  # `event` is the line's own name
    assert list(named)[:2] == ["event.waits", "lookup.answered"]
    assert named["event.waits"]["event_id"] == made.event_id
    assert made.event_id in [one["event_id"] for one in ours if one["event"] == "event.done"]
    assert (named["run.ended"]["run"], named["run.ended"]["event_id"]) == (run, made.event_id)
    assert named["outbox.sent"]["outbox"] == sent
    assert {one["item"] for one in lines if "item" in one} == {made.item_id, other.item_id}  # the other's mail
    told = json.dumps(lines)
    assert "camille@example.com" not in told
    assert "We look into it" not in told


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_worker_asked_to_end_in_full_flow_ends_in_time_and_holds_nothing(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    for number in range(300):
        a_ticket(desk.db, email=f"c{number}@example.com")
    in_the_past(desk)
    with a_worker(desk, "drain", quiet=True) as process:
        assert until(lambda: decided(desk) > 0)
        process.terminate()
        assert process.wait(END_S) == 0  # later it would have cut itself short, and said 1
    with desk.db.read() as connection:
        held = connection.execute(select(func.count()).where(Lane.token.is_not(None))).scalar_one()
        half = connection.execute(
            select(func.count()).where(EventRow.status == "done", EventRow.id.not_in(select(DecisionRow.event_id)))
        ).scalar_one()
    assert (held, half) == (0, 0)
