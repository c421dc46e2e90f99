"""Tables as managers make them: by page, with the twin in which the rule is off or does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis

from rules import store as rule_list
from rules.store import Stored
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.web.desk import Desk, a_desk, send, sign_in
from tests.web.test_rules_editor import text_of, words
from tests.web.test_shipped import said
from tickets.values import JSON
from web import create_app

#: A whole desk each, many pages each: what they cover piece by piece is in tests/web.
pytestmark = pytest.mark.slow


@pytest.fixture
def desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    made = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    made.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
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
    sign_in(browser, "ana@deskhand.test")
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
    sign_in(kim, desk.user("kim", "agent"))
    refunds(desk, ana)
    before = entry(desk)
    assert 'href="/rules"' in text_of(ana.get("/more"))
    assert 'href="/rules"' not in text_of(kim.get("/more"))
    for path in ("/rules", "/rules/new", "/rules/A01", "/rules/A01/rows/r1/groups", "/rules/A01.tsv", "/lists"):
        assert (path, kim.get(path).status_code, ana.get(path).status_code) == (path, 403, 200)
    assert send(kim, "/rules/A01/publish", {"seen": before.draft_count, "note": "mine"}).status_code == 403
    assert entry(desk) == before


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
    edit(desk, ana, do="delete_column", column="c3")
    publish(desk, ana)
    cases: list[tuple[dict[str, JSON], str, bool]] = [
        ({"brand": "acme"}, "camille@customer.test", True),
        ({}, "camille@customer.test", False),
        ({"brand": "acme"}, "paul@customer.test", False),
    ]
    made = [(desk.ticket(text="a refund", email=email, **state), fits) for state, email, fits in cases]
    desk.work()
    assert [desk.state(item).get("team") == "billing" for item, _ in made] == [fits for _, fits in made]


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


@pytest.mark.parametrize(
    ("trigger", "params", "fires"),
    [
        ("created", {}, "create"),
        ("message", {"by": "customer"}, "write"),
        ("message", {"by": "agent", "visibility": "public"}, "reply"),
        ("changed", {}, "any"),
        ("changed", {"field": "ticket.status", "to": "closed"}, "close"),
    ],
)
def test_o29_h2_each_trigger_fires_on_its_event_and_on_no_other(
    desk: Desk, ana: FlaskClient, trigger: str, params: dict[str, str], fires: str
) -> None:
    send(ana, "/rules", {"name": "Tag", "trigger": trigger})
    chosen = {f"t0.{trigger}.{key}": value for key, value in params.items()}
    edit(desk, ana, do="settings", name="Tag", kind="ticket", hit="first", wait="none", **{"t0.on": trigger, **chosen})
    edit(desk, ana, do="delete_column", column="s1")
    edit(desk, ana, do="add_step", action="add_note")
    edit(desk, ana, do="cell", row="r1", column="s1", s1__text="fired")
    publish(desk, ana)
    ticket = desk.ticket()
    desk.work()
    notes = [len(said(desk, ticket))]
    send(ana, f"/tickets/{ticket}/messages", {"text": "On its way.", "kind": "reply"})
    desk.work()
    notes.append(len(said(desk, ticket)))
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "closed"})
    desk.work()
    notes.append(len(said(desk, ticket)))
    wanted = {"create": [1, 1, 1], "write": [0, 0, 0], "reply": [0, 1, 1], "any": [0, 0, 1], "close": [0, 0, 1]}
    assert notes == wanted[fires]


FILTERS: list[tuple[str, dict[str, str], dict[str, JSON], dict[str, JSON]]] = [
    ("ticket.status", {"value": "solved"}, {"status": "solved"}, {"status": "open"}),
    ("ticket.priority", {"value": "high"}, {"priority": "high"}, {"priority": "low"}),
    ("ticket.tags", {"more": "vip"}, {"tags": ["vip"]}, {"tags": ["other"]}),
    ("ticket.last_modified", {"value": "7 d", "op": "newer_than"}, {}, {}),
]


@pytest.mark.parametrize(("field", "cell", "fits", "not_fits"), FILTERS, ids=[one[0] for one in FILTERS])
def test_o30_each_filter_lets_through_what_fits(
    desk: Desk, ana: FlaskClient, field: str, cell: dict[str, str], fits: dict[str, JSON], not_fits: dict[str, JSON]
) -> None:
    send(ana, "/rules", {"name": "Filter", "trigger": "created"})
    edit(desk, ana, do="add_condition", field=field)
    edit(desk, ana, do="delete_column", column="c1")
    edit(desk, ana, do="cell", row="r1", column="c2", **{f"c2.{key}": value for key, value in cell.items()})
    edit(desk, ana, do="cell", row="r1", column="s1", s1__team="billing")
    publish(desk, ana)
    hit = desk.ticket(**fits)
    desk.work()
    assert desk.state(hit).get("team") == "billing"
    if fits != not_fits:
        miss = desk.ticket(**not_fits)
        desk.work()
        assert "team" not in desk.state(miss)


STEPS: list[tuple[str, dict[str, object], dict[str, JSON]]] = [
    ("set_status", {"status": "waiting_team"}, {"status": "waiting_team"}),
    ("set_priority", {"priority": "urgent"}, {"priority": "urgent"}),
    ("add_assignee", {"users": "ana"}, {"assignees": ["ana"]}),
    ("set_published", {"published": "true"}, {"published": True}),
    ("set_field", {"field": "ticket.language", "value": "pl"}, {"language": "pl"}),
    ("archive", {"archived": "true"}, {"archived": True}),
    ("handled_without_reply", {"status": "closed"}, {"status": "closed"}),
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
