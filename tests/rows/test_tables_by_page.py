"""Tables as managers make them: by page, with the twin in which the rule is off or does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import insert

from jobs import timers
from jobs.intake import ingest
from jobs.mailboxes import add_mailbox
from rules import store as rule_list
from rules.store import Stored
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.intake.mail import ADDRESS, MAILBOX, SECRET, a_mail, take
from tests.rows.desk import item_named
from tests.web.desk import Desk, a_desk, let_in, send
from tests.web.pages import text_of, words
from tests.web.test_settings import save
from tests.web.test_shipped import said
from tickets.tables import Brand
from tickets.values import JSON
from web import create_app

#: A whole desk each, many pages each: what they cover piece by piece is in tests/web.
pytestmark = pytest.mark.slow


@pytest.fixture
def desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    made = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    made.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
    with made.services.db.write() as connection:
        connection.execute(insert(Brand).values(key="outlet", label="Outlet"))
        add_mailbox(connection, key=MAILBOX, address=ADDRESS, brand="acme", secret=SECRET)
        add_mailbox(connection, key="outlet_support", address="hi@outlet.test", brand="outlet", secret="another-secret")
    yield made
    made.services.close()


@pytest.fixture
def app(desk: Desk) -> APIFlask:
    made = create_app(desk.services)
    made.testing = True
    return made


@pytest.fixture
def ana(app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, "ana@deskhand.test")
    return browser


def entry(desk: Desk, code: str = "A01") -> Stored:
    with desk.services.db.read() as connection:
        return rule_list.entry(connection, code)


def edit(desk: Desk, client: FlaskClient, **fields: object) -> None:
    """One form of the editor, as it is sent."""
    data = {"seen": entry(desk).draft_count, **{key.replace("__", "."): value for key, value in fields.items()}}
    assert send(client, "/rules/A01/edit", data).status_code == 302


def publish(desk: Desk, client: FlaskClient) -> None:
    answer = send(client, "/rules/A01/publish", {"seen": entry(desk).draft_count, "note": "made by page"})
    assert answer.status_code == 302, words(text_of(answer))


def refunds(desk: Desk, client: FlaskClient, **step: object) -> None:
    """A table made with menus alone: messages about refunds go to billing."""
    send(client, "/rules", {"name": "Refunds", "trigger": "created"})
    edit(desk, client, do="cell", row="r1", column="c1", c1__op="contains_any", c1__more="refund")
    edit(desk, client, do="cell", row="r1", column="s1", s1__team="billing")


def test_w3_who_may_not_edit_rules_has_no_tab_and_no_page(desk: Desk, app: APIFlask, ana: FlaskClient) -> None:
    kim = app.test_client()
    let_in(kim, desk.user("kim", "agent"))
    refunds(desk, ana)
    before = entry(desk)
    assert 'href="/rules"' in text_of(ana.get("/more"))
    assert 'href="/rules"' not in text_of(kim.get("/more"))
    for path in ("/rules", "/rules/new", "/rules/A01", "/rules/A01/rows/r1/groups", "/rules/A01.tsv", "/lists"):
        assert (path, kim.get(path).status_code, ana.get(path).status_code) == (path, 403, 200)
    assert send(kim, "/rules/A01/publish", {"seen": before.draft_count, "note": "mine"}).status_code == 403
    assert entry(desk) == before


def test_w3_the_tab_comes_and_goes_with_the_role(desk: Desk, app: APIFlask, ana: FlaskClient) -> None:
    boss = app.test_client()
    let_in(boss, desk.user("root", "admin"))
    kim = app.test_client()
    let_in(kim, desk.user("kim", "agent"))
    found = []
    for roles in (["agent"], ["agent", "manager"], ["agent"]):
        given = {"name": "Kim", "email": "kim@deskhand.test", "roles": roles, "active": "1"}
        assert save(boss, "/settings/people/kim", **given).status_code == 302
        found.append(('href="/rules"' in text_of(kim.get("/more")), kim.get("/rules").status_code))
    assert found == [(False, 403), (True, 200), (False, 403)]


@pytest.mark.parametrize("on", [True, False])
def test_w4_f2_o4_a_table_is_made_with_menus_conditions_first_then_steps(
    desk: Desk, ana: FlaskClient, on: bool
) -> None:
    refunds(desk, ana)
    page = text_of(ana.get("/rules/A01/rows/r1"))
    assert '<select name="c1.op"' in page
    assert 'name="s1.team" value="billing"' in page
    assert page.index('name="c1.op"') < page.index('name="s1.team"')
    publish(desk, ana)
    if not on:
        send(ana, "/rules/A01/switch", {"enabled": "0"})
    hit, miss = desk.ticket(text="a refund please"), desk.ticket(text="hello")
    desk.work()
    assert (desk.state(hit).get("team"), desk.state(miss).get("team")) == ("billing" if on else None, None)


def test_f2_the_way_to_a_new_workflow_is_a_tab_a_button_and_two_steps(desk: Desk, ana: FlaskClient) -> None:
    assert 'href="/rules"' in text_of(ana.get("/more"))
    assert 'href="/rules/new"' in text_of(ana.get("/rules"))
    assert 'name="trigger"' in text_of(ana.get("/rules/new"))
    made = send(ana, "/rules", {"name": "Refunds", "trigger": "created"}).headers["Location"]
    grid = text_of(ana.get(made))
    assert "Refunds" in grid
    row = text_of(ana.get(f"{made}/rows/r1"))
    assert row.index('name="c1.op"') < row.index('name="s1.')
    # Nothing of it decides anything before it is published.
    ticket = desk.ticket(text="a refund")
    desk.work()
    assert "team" not in desk.state(ticket)


def test_f3_only_the_ticked_classes_of_interaction_pass_the_scope(desk: Desk, ana: FlaskClient) -> None:
    refunds(desk, ana)
    edit(desk, ana, do="groups", row="scope", add="g", g__new="ticket.channel")
    edit(desk, ana, do="groups", row="scope", g1__op="any_of", g1__value=["email", "chat"])
    publish(desk, ana)
    items = {channel: desk.ticket(text="a refund", channel=channel) for channel in ("email", "chat", "form", "api")}
    desk.work()
    teams = {channel: desk.state(item).get("team") for channel, item in items.items()}
    assert teams == {"email": "billing", "chat": "billing", "form": None, "api": None}


def test_f4_h3_several_conditions_of_different_things_must_all_hold(desk: Desk, ana: FlaskClient) -> None:
    refunds(desk, ana)
    for number, (field, value) in enumerate(
        (("ticket.brand", {"value": "acme"}), ("message.subject", {"more": "order"}),
         ("customer.email", {"more": "camille@customer.test"})), 2,
    ):  # fmt: skip
        edit(desk, ana, do="add_condition", field=field)
        key, given = next(iter(value.items()))
        edit(desk, ana, do="cell", row="r1", column=f"c{number}", **{f"c{number}.{key}": given},
             **({f"c{number}.op": "contains_any"} if field == "message.subject" else {}))  # fmt: skip
    publish(desk, ana)
    fits = {"brand": "acme", "subject": "My order 4711", "text": "a refund", "email": "camille@customer.test"}
    others = {"brand": "outlet", "subject": "Hello", "text": "a question", "email": "paul@customer.test"}
    made = [mailed(desk, fits), *(mailed(desk, {**fits, key: other}) for key, other in others.items())]
    assert [desk.state(item).get("team") for item in made] == ["billing", None, None, None, None]
    send(ana, "/rules/A01/switch", {"enabled": "0"})
    assert desk.state(mailed(desk, fits)).get("team") is None


def mailed(desk: Desk, given: dict[str, str]) -> int:
    """A mail to the store, with this subject, text and sender; its ticket."""
    mailbox = MAILBOX if given["brand"] == "acme" else "outlet_support"
    raw = a_mail(given["text"], subject=given["subject"], sender=given["email"])
    found = ingest(desk.services, mailbox, raw).item_id
    assert found is not None
    desk.work()
    return found


def test_o10_what_is_applied_in_the_draft_is_live_only_once_published(desk: Desk, ana: FlaskClient) -> None:
    refunds(desk, ana)
    edit(desk, ana, do="add_step", action="post_message")
    edit(desk, ana, do="cell", row="r1", column="s2", s2__text="We look at it.", s2__public="true")
    before = desk.ticket(text="a refund")
    desk.work()
    assert said(desk, before) == []
    publish(desk, ana)
    after = desk.ticket(text="a refund")
    desk.work()
    assert (said(desk, before), said(desk, after)) == ([], [("We look at it.", True)])


def test_o21_the_list_shows_renames_disables_and_deletes(desk: Desk, ana: FlaskClient) -> None:
    refunds(desk, ana)
    publish(desk, ana)
    assert 'aria-checked="true" aria-label="Refunds"' in text_of(ana.get("/rules"))
    settings = {"t0.on": "created", "kind": "ticket", "hit": "first", "wait": "none"}
    edit(desk, ana, do="settings", name="Money back", **settings)
    publish(desk, ana)
    send(ana, "/rules/A01/switch", {"enabled": "0"})
    assert 'aria-checked="false" aria-label="Money back"' in text_of(ana.get("/rules"))
    off = desk.ticket(text="a refund")
    desk.work()
    assert "team" not in desk.state(off)
    stale = send(ana, "/rules/A01/delete", {"seen": entry(desk).draft_count - 1})
    assert (stale.status_code, entry(desk).name) == (409, "Money back")
    assert send(ana, "/rules/A01/delete", {"seen": entry(desk).draft_count}).headers["Location"] == "/rules"
    assert "Money back" not in text_of(ana.get("/rules")).replace("Money back is deleted", "")
    assert ana.get("/rules/A01").status_code == 404
    # Its code is not given again: what A01 did stays explained as A01's.
    assert send(ana, "/rules", {"name": "New"}).headers["Location"] == "/rules/A02"


#: What happens to a ticket, one after the other.
HAPPENINGS = ("made", "customer writes", "agent replies", "due date", "priority", "closed", "an hour")
CHANGED = ["due date", "priority", "closed"]
TRIGGERS: list[tuple[str, dict[str, str], list[str]]] = [
    ("created", {}, ["made"]),
    ("message", {"by": "customer"}, ["customer writes"]),
    ("message", {"by": "agent", "visibility": "public"}, ["agent replies"]),
    ("message", {"by": "anyone", "visibility": "internal"}, []),
    ("changed", {}, CHANGED),
    ("changed", {"field": "ticket.due_at"}, ["due date"]),
    ("changed", {"field": "ticket.priority"}, ["priority"]),
    ("changed", {"field": "ticket.priority", "to": "high"}, ["priority"]),
    ("changed", {"field": "ticket.priority", "to": "low"}, []),
    ("changed", {"field": "ticket.status", "to": "solved"}, ["closed"]),
    ("time_in_state", {"status": "solved", "for": "1 h"}, ["an hour"]),
]


@pytest.mark.parametrize(("trigger", "params", "fires"), TRIGGERS, ids=lambda one: "-".join(map(str, one)) or "none")
def test_o29_h2_each_trigger_fires_on_its_event_and_on_no_other(
    desk: Desk, ana: FlaskClient, trigger: str, params: dict[str, str], fires: list[str]
) -> None:
    notes_when(desk, ana, trigger, params)
    ticket = take(desk, a_mail("Hello", message_id="first@customer.test")).item_id
    assert ticket is not None
    path, before, fired = f"/tickets/{ticket}", 0, []
    for what in HAPPENINGS:
        match what:
            case "customer writes":
                assert take(desk, a_mail("And?", In_Reply_To="<first@customer.test>")).item_id == ticket
            case "agent replies":
                send(ana, f"{path}/messages", {"text": "On its way.", "kind": "reply"})
            case "due date":
                send(ana, f"{path}/details", {"was:due_at": "", "due_at": "2026-12-24"})
            case "priority":
                send(ana, f"{path}/fields/priority", {"value": "high"})
            case "closed":
                send(ana, f"{path}/fields/status", {"value": "solved"})
            case "an hour":
                passes(desk, hours=1)
        desk.work()
        if (now := len(said(desk, ticket))) > before:
            fired.append(what)
        before = now
    assert fired == fires


@pytest.mark.parametrize("on", [True, False])
def test_o29_the_every_hour_trigger_comes_with_each_hour(desk: Desk, ana: FlaskClient, on: bool) -> None:
    notes_when(desk, ana, "schedule", {"cron": "0 * * * *"})
    if not on:
        send(ana, "/rules/A01/switch", {"enabled": "0"})
    ticket = desk.ticket()
    said_after = []
    for minutes in (28, 1, 60, 59):  # 09:31 is now: 09:59, 10:00, 11:00, 11:59
        passes(desk, minutes=minutes)
        said_after.append(len(said(desk, ticket)))
    assert said_after == ([0, 1, 2, 2] if on else [0, 0, 0, 0])


@pytest.mark.parametrize("on", [True, False])
def test_o29_an_approval_status_that_changes_fires_its_rule(desk: Desk, ana: FlaskClient, on: bool) -> None:
    approved = {"field": "ticket.fields.approval", "to": "approved"}
    notes_when(desk, ana, "changed", approved, kind="timesheet")
    if not on:
        send(ana, "/rules/A01/switch", {"enabled": "0"})
    send(ana, "/items/timesheet/new", {"subject": "Week 47", "fields.hours": "8", "fields.billing": "billable"})
    sheet = item_named(desk, "Week 47")
    notes = []
    for was, approval in (("draft", "submitted"), ("submitted", "approved")):
        send(ana, f"/tickets/{sheet}/details", {"was:fields.approval": was, "fields.approval": approval})
        desk.work()
        notes.append(len(said(desk, sheet)))
    assert notes == ([0, 1] if on else [0, 0])


def notes_when(desk: Desk, client: FlaskClient, trigger: str, params: dict[str, str], kind: str = "ticket") -> None:
    """A rule made by page that writes a note whenever its trigger fires."""
    send(client, "/rules", {"name": "Note", "trigger": trigger})
    chosen = {f"t0.{trigger}.{key}": value for key, value in params.items()}
    settings = {"name": "Note", "hit": "first", "wait": "none", "kind": kind, "t0.on": trigger}
    edit(desk, client, do="settings", **settings, **chosen)
    edit(desk, client, do="delete_column", column="s1")
    edit(desk, client, do="add_step", action="add_note")
    edit(desk, client, do="cell", row="r1", column="s1", s1__text="fired")
    publish(desk, client)


def passes(desk: Desk, **span: float) -> None:
    """Time passes; the clock makes events of what is due, and the rules look at them."""
    desk.work()  # what was just published waits from now on
    timers.tick(desk.services, budget_s=30)
    desk.clock.move(**span)
    timers.tick(desk.services, budget_s=30)
    desk.work()


FILTERS: list[tuple[str, dict[str, object], dict[str, JSON], dict[str, JSON]]] = [
    ("ticket.status", {"value": "solved"}, {"status": "solved"}, {"status": "open"}),
    ("ticket.priority", {"value": "high"}, {"priority": "high"}, {"priority": "low"}),
    ("ticket.tags", {"more": "vip"}, {"tags": ["vip"]}, {"tags": ["other"]}),
    ("ticket.brand", {"value": "acme"}, {"brand": "acme"}, {}),
    ("message.text", {"more": "$closeticket"}, {"text": "thanks, $closeticket"}, {"text": "close it"}),
    ("customer.email", {"more": "kim@x.test"}, {"email": "kim@x.test"}, {"email": "lee@x.test"}),
    ("customer.name", {"more": "Kim"}, {"name": "Kim", "email": "k@x.test"}, {"name": "Lee", "email": "l@x.test"}),
]


@pytest.mark.parametrize(("field", "cell", "fits", "not_fits"), FILTERS, ids=[one[0] for one in FILTERS])
def test_o30_each_filter_lets_through_what_fits(
    desk: Desk, ana: FlaskClient, field: str, cell: dict[str, object], fits: dict[str, Any], not_fits: dict[str, Any]
) -> None:
    filtered(desk, ana, field, cell)
    hit, miss = desk.ticket(**fits), desk.ticket(**not_fits)
    desk.work()
    assert (desk.state(hit).get("team"), desk.state(miss).get("team")) == ("billing", None)
    send(ana, "/rules/A01/switch", {"enabled": "0"})
    off = desk.ticket(**fits)
    desk.work()
    assert desk.state(off).get("team") is None


def test_o30_last_modified_so_many_days_ago_lets_by_what_no_person_touched(desk: Desk, ana: FlaskClient) -> None:
    filtered(desk, ana, "ticket.last_modified", {"value": "7 d", "op": "older_than"}, kind="ticket",
             **{"t0.on": "schedule", "t0.schedule.cron": "0 12 * * *"})  # fmt: skip
    silent, touched = desk.ticket("Silent"), desk.ticket("Touched", email="lee@x.test")
    passes(desk, days=3)
    send(ana, f"/tickets/{touched}/fields/priority", {"value": "high"})
    passes(desk, days=3, hours=20)
    assert [desk.state(one).get("team") for one in (silent, touched)] == [None, None]  # four hours are missing
    passes(desk, days=1)
    assert [desk.state(one).get("team") for one in (silent, touched)] == ["billing", None]


@pytest.mark.parametrize(
    ("field", "cell", "kind", "given"),
    [
        ("ticket.kind", {"value": "task"}, "any", ({"kind": "task"}, {"kind": "project"})),
        (
            "ticket.fields.billing",
            {"value": "billable"},
            "timesheet",
            (
                {"kind": "timesheet", "fields.billing": "billable"},
                {"kind": "timesheet", "fields.billing": "not_billable"},
            ),
        ),
    ],
    ids=["type", "billing type"],
)  # fmt: skip
def test_o30_type_and_billing_type_let_through_what_fits(
    desk: Desk, ana: FlaskClient, field: str, cell: dict[str, object], kind: str, given: tuple[dict[str, str], ...]
) -> None:
    filtered(desk, ana, field, cell, kind=kind, **{"t0.on": "created"})
    for number, one in enumerate(given):
        send(ana, f"/items/{one['kind']}/new", {"subject": f"Item {number}", "fields.hours": "1", **one})
    desk.work()
    assert [desk.state(item_named(desk, f"Item {n}")).get("team") for n in (0, 1)] == ["billing", None]


def filtered(desk: Desk, client: FlaskClient, field: str, cell: dict[str, object], **settings: str) -> None:
    """A rule made by page that gives to billing what one condition lets through. `settings`: of the table."""
    send(client, "/rules", {"name": "Filter", "trigger": "created"})
    if "kind" in settings:
        edit(desk, client, do="settings", name="Filter", hit="first", wait="none", **settings)
    edit(desk, client, do="add_condition", field=field)
    edit(desk, client, do="delete_column", column="c1")
    edit(desk, client, do="cell", row="r1", column="c2", **{f"c2.{key}": value for key, value in cell.items()})
    edit(desk, client, do="cell", row="r1", column="s1", s1__team="billing")
    publish(desk, client)


STEPS: list[tuple[str, dict[str, object], dict[str, JSON]]] = [
    ("set_status", {"status": "waiting_team"}, {"status": "waiting_team"}),
    ("set_priority", {"priority": "urgent"}, {"priority": "urgent"}),
    ("add_assignee", {"users": "ana"}, {"assignees": ["ana"]}),
    ("set_published", {"published": "true"}, {"published": True}),
    ("set_field", {"field": "ticket.language", "value": "pl"}, {"language": "pl"}),
    ("archive", {"archived": "true"}, {"archived": True}),
    ("handled_without_reply", {"status": "closed"}, {"status": "closed"}),
    ("assign_team", {"team": "sales"}, {"team": "sales"}),
    ("add_tags", {"tags": "vip"}, {"tags": ["vip"]}),
]


@pytest.mark.parametrize(("action", "params", "gives"), STEPS, ids=[one[0] for one in STEPS])
def test_o31_f7_f8_each_step_chosen_in_the_form_is_done(
    desk: Desk, ana: FlaskClient, action: str, params: dict[str, object], gives: dict[str, JSON]
) -> None:
    send(ana, "/rules", {"name": "Step", "trigger": "created"})
    edit(desk, ana, do="add_step", action=action)
    edit(desk, ana, do="delete_column", column="s1")
    edit(desk, ana, do="cell", row="r1", column="c1", c1__op="contains_any", c1__more="refund")
    edit(desk, ana, do="cell", row="r1", column="s2", **{f"s2.{key}": value for key, value in params.items()})
    publish(desk, ana)
    hit, miss = desk.ticket(text="a refund"), desk.ticket(text="hello")
    desk.work()
    assert {key: desk.state(hit).get(key) for key in gives} == gives
    assert all(desk.state(miss).get(key) != value for key, value in gives.items())
    send(ana, "/rules/A01/switch", {"enabled": "0"})
    off = desk.ticket(text="a refund")
    desk.work()
    assert all(desk.state(off).get(key) != value for key, value in gives.items())
