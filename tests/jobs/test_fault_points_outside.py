"""Where something comes in or goes out, each step cut off once in a real process: times, webhooks, edits, requests.

What is asked again has happened once, what was not committed has not happened, and what left has one key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from jobs import automation, outbox
from jobs.services import Services
from jobs.tables import OutboxRow
from rules import store as rule_list
from tests.builders import MORNING, a_ticket
from tests.connectors.upstream import Reply, Upstream
from tests.jobs.desk import a_working_desk, clock_of, connect_hooks, events, item, table, tick, work
from tests.jobs.tables import WAITING
from tests.jobs.workers import killed_at
from tests.web.desk import Clock, Desk
from tickets.events import EventKind
from tickets.tables import EventRow, Mailbox, Message, WorkItem
from tickets.values import utc_now
from web import api_store, create_app

pytestmark = pytest.mark.slow

AN_HOUR = WAITING.replace("72 h", "1 h")
#: Ticks once on the day of the tests, and then in a year.
ONCE_A_YEAR = """
code: A22
name: On one day
triggers: [{on: schedule, cron: "0 10 21 11 *"}]
steps: [{id: s1, do: add_note}]
rows: [{id: r1, then: {s1: {text: It is the day.}}}]
"""
TELLS = """
code: A01
name: Tell
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: webhook}]
rows: [{id: r1, then: {s1: {connection: hooks, event: ticket.created}}}]
"""
TAGS = """
code: A01
name: Tag
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [TAG]}}}]
"""


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, address_ceiling="127.0.0.0/8") as services:
        yield services


def count(desk: Services, model: type, *where: Any) -> int:
    with desk.db.read() as connection:
        return connection.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


# A time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        ("after", "jobs.timers:_learn"),  # the triggers of a new revision
        ("after", "jobs.timers:walk"),  # it has its timer, and nobody was told
        ("before", "tickets.clocks:append"),
        ("after", "tickets.clocks:append"),  # the event is written, nothing is committed
        ("after", "jobs.timers:fire"),
        ("before", "jobs.queues:Queues.hint"),
    ],
    ids=lambda step: " ".join(step),
)
def test_a_time_whose_clock_is_killed_at_any_step_comes_once(desk: Services, step: tuple[str, str]) -> None:
    table(desk, AN_HOUR)
    ticket = a_ticket(desk.db, status="waiting_team")
    automation.drain(desk)
    killed_at(desk, "clock", *step)
    tick(desk)
    tick(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["too-long"]
    assert count(desk, EventRow, EventRow.kind == EventKind.TIMER) == 1


@pytest.mark.parametrize("step", [("before", "tickets.clocks:append"), ("after", "tickets.clocks:append")])
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_schedule_whose_clock_is_killed_while_it_ticks_ticks_once(desk: Services, step: tuple[str, str]) -> None:
    table(desk, ONCE_A_YEAR)
    tickets = [a_ticket(desk.db, email=f"c{number}@example.com").item_id for number in range(3)]
    work(desk)
    killed_at(desk, "clock", *step)
    tick(desk)
    tick(desk)
    assert count(desk, EventRow, EventRow.kind == EventKind.TIMER) == len(tickets)
    assert count(desk, Message, Message.text == "It is the day.") == len(tickets)


# A webhook -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hooks(desk: Services) -> Iterator[Upstream]:
    server = Upstream(lambda _: Reply(status=204))
    with desk.db.write() as connection:
        connect_hooks(connection, desk, server.url)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("step", "copies"),
    [
        (("after", "jobs.outbox:_claim"), 1),
        (("before", "connectors.systems.webhook:Webhook._post"), 1),
        (("after", "connectors.systems.webhook:Webhook._post"), 2),  # it was taken, and nobody noted it
        (("before", "jobs.outbox:_note"), None),
        (("after", "jobs.outbox:_note"), 1),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_webhook_whose_deliverer_is_killed_at_any_step_arrives_under_one_id(
    desk: Services, hooks: Upstream, step: tuple[str, str], copies: int | None
) -> None:
    clock_of(desk).at = utc_now()
    table(desk, TELLS)
    ticket = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    killed_at(desk, "outbox", *step)
    outbox.deliver(desk)
    ids = [one.headers["webhook-id"] for one in hooks.asked]
    # The gateway remembers what it was told was taken: then it is not sent again. Without that, it is, under its id.
    assert len(ids) == copies if copies is not None else len(ids) in (1, 2)
    assert len(set(ids)) == 1
    assert {one.headers["idempotency-key"] for one in hooks.asked} == set(ids)
    assert {one.json["data"]["ticket"]["id"] for one in hooks.asked} == {ticket.item_id}
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.status)).scalars().all() == ["sent"]


# An edit ---------------------------------------------------------------------------------------------------------


def form(desk: Services, path: str, data: dict[str, str]) -> dict[str, str]:
    """The environment that makes a process send this form as somebody who may edit rules."""
    with desk.db.read() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
    request = {"sign_in": "eve@deskhand.test", "path": path, "data": {"seen": str(seen), **data}}
    return {"FAULTS_REQUEST": json.dumps(request)}


def live(desk: Services) -> tuple[int | None, list[int], int]:
    """Which version is live, which there are, and the revision."""
    with desk.db.read() as connection:
        every = sorted(one.version for one in rule_list.versions(connection, "A01"))
        return rule_list.entry(connection, "A01").live_version, every, rule_list.revision(connection)


def tagged(desk: Services) -> object:
    """How a ticket that comes now is tagged."""
    made = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    return item(desk, made.item_id).state.get("tags")


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (("before", "rules.store:_put"), False),
        (("before", "rules.store:bump"), False),  # the version is written
        (("after", "rules.store:bump"), False),  # all is written, nothing is committed
        (("before", "web.versions:say_live"), True),
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else "",
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_publish_that_is_killed_at_any_step_is_live_whole_or_not_at_all(
    desk: Services, step: tuple[str, str], done: bool
) -> None:
    Desk(desk, Clock()).user("eve", "agent", "manager")
    table(desk, TAGS.replace("TAG", "one"))
    with desk.db.write() as connection:
        stored = rule_list.entry(connection, "A01")
        assert stored.live_version == 1
        document = rule_list.versions(connection, "A01")[0].content
        second = json.loads(json.dumps(document).replace('"one"', '"two"'))
        rule_list.save_draft(connection, "A01", second, author="eve", seen=stored.draft_count, now=desk.clock.now())
    before = live(desk)
    assert tagged(desk) == ["one"]
    killed_at(desk, "web", *step, **form(desk, "/rules/A01/publish", {"note": "Second"}))
    if not done:
        assert live(desk) == before
        assert tagged(desk) == ["one"]
        with desk.db.write() as connection:  # the draft is still there; they press the button again
            seen = rule_list.entry(connection, "A01").draft_count
            rule_list.publish(connection, "A01", author="eve", note="Second", seen=seen, now=desk.clock.now())
    assert live(desk) == (2, [1, 2], before[2] + 1)
    assert tagged(desk) == ["two"]
    with desk.db.read() as connection:
        assert rule_list.entry(connection, "A01").draft is None  # there is nothing that could be published twice


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (("before", "rules.store:bump"), False),
        (("after", "rules.store:bump"), False),
        (("before", "web.versions:say_back"), True),
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else "",
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_roll_back_that_is_killed_at_any_step_is_live_whole_or_not_at_all(
    desk: Services, step: tuple[str, str], done: bool
) -> None:
    Desk(desk, Clock()).user("eve", "agent", "manager")
    table(desk, TAGS.replace("TAG", "one"))
    with desk.db.write() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
        document = rule_list.versions(connection, "A01")[0].content
        second = json.loads(json.dumps(document).replace('"one"', '"two"'))
        seen = rule_list.save_draft(connection, "A01", second, author="eve", seen=seen, now=desk.clock.now())
        rule_list.publish(connection, "A01", author="eve", note="", seen=seen, now=desk.clock.now())
    before = live(desk)
    killed_at(desk, "web", *step, **form(desk, "/rules/A01/roll-back", {"version": "1"}))
    assert live(desk) == ((3, [1, 2, 3], before[2] + 1) if done else before)
    assert tagged(desk) == (["one"] if done else ["two"])


# A request -------------------------------------------------------------------------------------------------------

MAILBOX_SECRET = "m" * 43
MAIL = b"""From: Dana <dana@example.com>\r
To: support@shop.example\r
Subject: Charged twice\r
Message-ID: <1@example.com>\r
\r
I was charged twice.\r
"""
TICKET = {"subject": "Charged twice", "text": "I was charged twice.", "customer": {"email": "dana@example.com"}}


def a_request(path: str, data: bytes, headers: dict[str, str]) -> dict[str, str]:
    return {"FAULTS_REQUEST": json.dumps({"path": path, "data": data.decode(), "headers": headers})}


def browser(desk: Services) -> FlaskClient:
    """The web process that comes after the one that was killed."""
    return create_app(desk).test_client()


def all_there_is(desk: Services) -> tuple[int, int, int]:
    """Items, messages of customers, and events that created something."""
    return (
        count(desk, WorkItem),
        count(desk, Message, Message.author_kind == "customer"),
        count(desk, EventRow, EventRow.kind == EventKind.CREATED),
    )


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (("after", "jobs.intake:_claim"), False),
        (("after", "tickets.store:create_item"), False),
        (("before", "jobs.queues:Queues.hint"), True),  # it is committed, and nobody was told, nor answered
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else "",
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_mail_whose_web_process_is_killed_at_any_step_is_one_ticket_when_it_comes_again(
    desk: Services, step: tuple[str, str], done: bool
) -> None:
    with desk.db.write() as connection:
        digest = sha256(MAILBOX_SECRET.encode()).hexdigest()
        connection.execute(insert(Mailbox).values(key="m", address="support@shop.example", secret_sha256=digest))
    headers = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {MAILBOX_SECRET}"}
    killed_at(desk, "web", *step, **a_request("/inbound/email", MAIL, headers))
    assert all_there_is(desk) == ((1, 1, 1) if done else (0, 0, 0))
    for outcome in ("duplicate" if done else "created", "duplicate"):
        answer = browser(desk).post("/inbound/email", data=MAIL, headers=headers)
        assert (answer.status_code, (answer.json or {})["outcome"]) == (202, outcome)
    assert all_there_is(desk) == (1, 1, 1)
    work(desk)
    assert {status for _, status in events(desk)} == {"done"}


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (("before", "web.api_store:claim_key"), False),
        (("after", "tickets.store:create_item"), False),
        (("after", "web.api_store:keep_answer"), False),  # answer and ticket are written, nothing is committed
        (("before", "jobs.queues:Queues.hint"), True),
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else "",
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_request_with_a_key_whose_web_process_is_killed_at_any_step_makes_one_ticket(
    desk: Services, step: tuple[str, str], done: bool
) -> None:
    with desk.db.write() as connection:
        token = api_store.new_token(connection, user="ana", name="", now=MORNING, days=None)
    body = json.dumps(TICKET).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    killed_at(desk, "web", *step, **a_request("/api/v1/tickets", body, headers))
    assert all_there_is(desk) == ((1, 1, 1) if done else (0, 0, 0))
    claimed = step[1] != "web.api_store:claim_key"
    clock_of(desk).at = utc_now()
    if claimed and not done:
        # The first one may still be at work; who asks at once is asked to wait, and nothing is done twice.
        answer = browser(desk).post("/api/v1/tickets", data=body, headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
        assert all_there_is(desk) == (0, 0, 0)
        clock_of(desk).forward(seconds=api_store.DEAD_S + 1)
    first, again = (browser(desk).post("/api/v1/tickets", data=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert first.headers.get("Idempotency-Replayed") == ("true" if done else None)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert all_there_is(desk) == (1, 1, 1)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_without_a_key_the_same_request_twice_makes_two_tickets(desk: Services) -> None:
    """The twin of the test above: it is the key that makes it one."""
    with desk.db.write() as connection:
        token = api_store.new_token(connection, user="ana", name="", now=MORNING, days=None)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    body = json.dumps(TICKET).encode()
    killed_at(desk, "web", "before", "jobs.queues:Queues.hint", **a_request("/api/v1/tickets", body, headers))
    clock_of(desk).at = utc_now()
    assert browser(desk).post("/api/v1/tickets", data=body, headers=headers).status_code == 201
    assert all_there_is(desk) == (2, 2, 2)
