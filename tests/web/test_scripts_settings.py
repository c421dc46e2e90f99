"""When a script runs and what it takes, as pages: the form over the draft, the rule list, and the step's own form."""

from __future__ import annotations

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs import automation
from jobs.tables import RunRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import text_of, words
from tests.web.scripts import a_script, stored


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


PARAMS: list[dict[str, Any]] = [
    {"name": "days", "label": "Days back", "type": "number", "required": True},
    {"name": "tone", "type": "choice", "options": ["warm", "plain"], "default": "plain"},
]


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser in which Mia is signed in, who may edit rules and scripts."""
    browser = app.test_client()
    let_in(browser, desk.user("mia", "manager", "developer", name="Mia Ek"))
    return browser


def settings(desk: Desk, browser: FlaskClient, **fields: object) -> int:
    data = {"seen": stored(desk).draft_count, **{key.replace("__", "."): value for key, value in fields.items()}}
    return send(browser, "/scripts/S01/settings", data).status_code


def publish(desk: Desk, browser: FlaskClient) -> Any:
    return send(browser, "/scripts/S01/publish", {"seen": stored(desk).draft_count, "note": "Why"})


def with_params(desk: Desk, params: list[dict[str, Any]]) -> None:
    """The script S01, live, with these parameters."""
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        draft: Any = {"source": "log(params.days)", "params": params}
        rule_list.create(connection, EntryKind.SCRIPT, "Enrich", draft, author="dev", now=now)
        rule_list.publish(connection, "S01", author="dev", note="First", seen=1, now=now)


def a_row(desk: Desk, cell: dict[str, Any], *, live: bool = False) -> None:
    """The table A01 whose row runs a script with this cell."""
    table: Any = {
        **TRIAGE,
        "steps": [{"id": "s1", "do": "run_script"}],
        "rows": [{"id": "r1", "then": {"s1": cell}}],
        "columns": [],
        "otherwise": None,
    }
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        code = rule_list.create(connection, EntryKind.TABLE, "Runs it", table, author="mia", now=now)
        if live:
            rule_list.publish(connection, code, author="mia", note="", seen=1, now=now)


def cell_of(desk: Desk) -> Any:
    return (stored(desk, "A01").draft or {})["rows"][0]["then"].get("s1")


def test_parameters_and_triggers_stand_in_the_draft_and_are_live_with_the_publish(
    desk: Desk, developer: FlaskClient
) -> None:
    a_script(desk)
    sent = {"t0.on": "changed", "t0.changed.field": "ticket.priority", "kind": "any"}
    sent |= {"p0.name": "days", "p0.type": "number", "p0.label": "Days back", "p0.default": "3"}
    sent |= {"p1.name": "tone", "p1.type": "choice", "p1.options": "warm, plain", "p1.default": "plain"}
    sent |= {"p2.name": "loud", "p2.type": "bool", "p2.default": "no", "p2.doc": "Whether to ring"}
    assert settings(desk, developer, **sent, add="g", **{"g.new": "ticket.brand"}) == 302
    assert settings(desk, developer, **sent, **{"g1.op": "any_of", "g1.value": ["acme"]}) == 302
    draft: Any = stored(desk).draft
    assert draft["triggers"] == [{"on": "changed", "field": "ticket.priority"}]
    assert (draft["kind"], draft["scope"]) == ("any", [{"field": "ticket.brand", "value": "acme"}])
    assert draft["params"] == [
        {"name": "days", "type": "number", "label": "Days back", "default": 3},
        {"name": "tone", "type": "choice", "options": ["warm", "plain"], "default": "plain"},
        {"name": "loud", "type": "bool", "doc": "Whether to ring", "default": False},
    ]
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).ruleset.entries == ()
    review = words(text_of(developer.get("/scripts/S01/review")))
    assert "Parameters from none to days (type number, default 3), tone (type choice" in review
    assert publish(desk, developer).status_code == 302
    with desk.services.db.read() as connection:
        [entry] = desk.services.live.current(connection).ruleset.entries
    assert (entry.code, entry.enabled) == ("S01", True)
    page = text_of(developer.get("/scripts/S01/settings"))
    assert 'value="Days back"' in page
    assert "Priority" in words(page)


def test_a_wrong_parameter_is_kept_said_and_not_published(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    assert settings(desk, developer, p0__name="class", p1__name="n", p1__type="number", p1__default="many") == 302
    page = words(text_of(developer.get("/scripts/S01/settings")))
    assert "Parameter class: this name is taken by Python" in page
    assert "Parameter n: the default does not fit. N takes a number, not a text." in page
    refused = publish(desk, developer)
    assert refused.status_code == 422
    assert "Nothing was published. Parameter class" in words(text_of(refused))
    assert stored(desk).live_version == 1


def test_a_line_without_a_name_is_not_dropped_in_silence(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    before = stored(desk)
    assert settings(desk, developer, p0__label="Days back") == 422
    assert stored(desk) == before


def test_settings_somebody_else_saved_over_are_refused_and_nothing_is_lost(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    seen = stored(desk).draft_count
    assert settings(desk, developer, t0__on="created") == 302
    late = send(developer, "/scripts/S01/settings", {"seen": seen, "p0.name": "days"})
    assert late.status_code == 409
    assert "params" not in (stored(desk).draft or {})


def test_taking_the_triggers_away_takes_it_out_of_the_list(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    settings(desk, developer, t0__on="created")
    publish(desk, developer)
    assert settings(desk, developer, t0__on="") == 302
    assert "triggers" not in (stored(desk).draft or {})
    publish(desk, developer)
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).ruleset.entries == ()


def scope(desk: Desk) -> Any:
    return (stored(desk).draft or {}).get("scope")


def test_a_scope_is_edited_with_all_that_a_tables_offers_and_decides(desk: Desk, developer: FlaskClient) -> None:
    """Acme's, and none of: (a VIP's tag, and high priority)."""
    a_script(desk, "ticket.add_tags(['looked'])\n")
    trigger = {"t0.on": "created"}
    assert settings(desk, developer, **trigger, add="g", **{"g.new": "ticket.brand"}) == 302
    shape = {**trigger, "g1.op": "any_of", "g1.value": "acme"}
    assert settings(desk, developer, **shape, group="g", **{"g.newkind": "none"}) == 302
    assert settings(desk, developer, **shape, group="g2", **{"g2.newkind": "all"}) == 302
    assert settings(desk, developer, **shape, add="g2-1", **{"g2-1.new": "ticket.tags"}) == 302
    shape |= {"g2.kind": "none", "g2-1.kind": "all", "g2-1-1.op": "has_any", "g2-1-1.more": "vip"}
    assert settings(desk, developer, **shape, add="g2-1", **{"g2-1.new": "ticket.priority"}) == 302
    shape |= {"g2-1-2.op": "any_of", "g2-1-2.value": "high"}
    assert settings(desk, developer, **shape) == 302
    vip = [{"field": "ticket.tags", "value": ["vip"]}, {"field": "ticket.priority", "value": "high"}]
    assert scope(desk) == [{"field": "ticket.brand", "value": "acme"}, {"none": [{"all": vip}]}]
    page = words(text_of(developer.get("/scripts/S01/settings")))
    assert "Only for Brand is Acme Store; none of (all of (" in page
    assert publish(desk, developer).status_code == 302
    cases = {
        desk.ticket(brand="acme"): True,
        desk.ticket(brand="acme", tags=["vip"]): True,
        desk.ticket(brand="acme", tags=["vip"], priority="high"): False,
        desk.ticket(): False,
    }
    desk.work()
    with desk.services.db.read() as connection:
        asked = set(connection.execute(select(RunRow.item_id)).scalars())
    assert {item: item in asked for item in cases} == cases


def test_a_condition_is_taken_away_and_what_the_form_does_not_show_stays(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    vip: Any = {"field": "ticket.tags", "op": "has_any", "value": ["vip"]}
    acme: Any = {"field": "ticket.brand", "value": "acme"}
    with desk.services.db.write() as connection:
        draft = {**stored(desk).working, "scope": [vip, {"any": [acme]}, acme]}
        seen = stored(desk).draft_count
        rule_list.save_draft(connection, "S01", draft, author="dev", seen=seen, now=desk.clock.now())
    assert settings(desk, developer, t0__on="created") == 302
    assert scope(desk) == [vip, {"any": [acme]}, acme]
    assert settings(desk, developer, t0__on="created", remove="g2-1") == 302
    assert scope(desk) == [vip, {"any": []}, acme]
    assert settings(desk, developer, t0__on="created", remove="g2") == 302
    assert scope(desk) == [vip, acme]


@pytest.mark.parametrize(
    "fields",
    [
        {"add": "g", "g.new": "context.crm.tier"},
        {"add": "g1", "g1.new": "context.crm.tier"},
        {"add": "g", "g.new": "erp.find_party.receivable"},
        {"add": "g", "g.new": "no.such.field"},
        {"add": "g9", "g9.new": "ticket.brand"},
        {"remove": "g7"},
        {"group": "gx"},
    ],
)
def test_a_scope_takes_nothing_from_outside_and_nothing_that_is_not_there(
    desk: Desk, developer: FlaskClient, fields: dict[str, str]
) -> None:
    a_script(desk)
    assert settings(desk, developer, t0__on="created", group="g", **{"g.newkind": "any"}) == 302
    before = stored(desk)
    assert settings(desk, developer, t0__on="created", **fields) == 422
    assert stored(desk) == before
    page = text_of(developer.get("/scripts/S01/settings"))
    assert 'value="ticket.brand"' in page
    assert 'value="context.' not in page


def test_the_rule_list_shows_a_listed_script_in_its_place_and_moves_it(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    a_script(desk)
    assert "Enrich" not in words(text_of(manager.get("/rules")))
    settings(desk, manager, t0__on="created")
    publish(desk, manager)
    page = words(text_of(manager.get("/rules")))
    assert page.index("New ticket triage") < page.index("Enrich")
    assert send(manager, "/rules/S01/move", {"to": "up"}).status_code == 302
    page = words(text_of(manager.get("/rules")))
    assert page.index("Enrich") < page.index("New ticket triage")
    with desk.services.db.read() as connection:
        order = [one.code for one in desk.services.live.current(connection).ruleset.entries]
    assert order == ["S01", "A01"]


def test_a_script_that_is_not_listed_cannot_be_moved(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    a_script(desk)
    assert send(manager, "/rules/S01/move", {"to": "up"}).status_code == 404
    assert [stored(desk, code).position for code in ("A01", "S01")] == [1, 2]


def test_the_switch_in_the_rule_list_switches_a_script_and_only_who_may_edit_scripts_has_it(
    desk: Desk, manager: FlaskClient, app: APIFlask
) -> None:
    a_script(desk)
    settings(desk, manager, t0__on="created")
    publish(desk, manager)
    only_rules = app.test_client()
    let_in(only_rules, desk.user("eva", "manager", name="Eva"))
    assert "/scripts/S01" not in text_of(only_rules.get("/rules"))
    assert send(only_rules, "/scripts/S01/switch", {"enabled": "0"}).status_code == 403
    assert stored(desk).enabled
    assert send(manager, "/scripts/S01/switch", {"enabled": "0", "next": "rules"}).headers["Location"] == "/rules"
    assert not stored(desk).enabled


def test_the_ticket_says_that_the_script_stood_in_the_rule_list(desk: Desk, manager: FlaskClient) -> None:
    a_script(desk)
    settings(desk, manager, t0__on="created")
    publish(desk, manager)
    ticket = desk.ticket()
    automation.drain(desk.services, budget_s=30)
    page = text_of(manager.get(f"/tickets/{ticket}"))
    assert "in the rule list, v2" in words(page)
    assert 'href="/scripts/S01"' in page
    why = manager.get(f"/tickets/{ticket}/why/S01")
    assert why.status_code == 200
    assert "fired" in words(text_of(why))


def test_a_step_shows_the_scripts_parameters_as_a_form_and_reads_them_back(desk: Desk, manager: FlaskClient) -> None:
    with_params(desk, PARAMS)
    a_row(desk, {"script": "S01"})
    page = text_of(manager.get("/rules/A01/rows/r1"))
    assert 'name="s1.params.S01.days"' in page
    assert 'name="s1.params.S01.tone"' in page
    assert "Left out: plain." in page
    assert 'name="s1.params"' not in page
    data = {"do": "row", "row": "r1", "seen": stored(desk, "A01").draft_count, "s1.script": "S01"}
    data |= {"s1.params.S01.days": "7", "s1.params.S01.tone": "warm", "s1.wait_s": "30"}
    assert send(manager, "/rules/A01/edit", data).status_code == 302
    assert cell_of(desk) == {"script": "S01", "params": {"days": 7, "tone": "warm"}, "wait_s": 30}


def test_a_wrong_value_in_a_step_is_kept_and_said_in_its_cell(desk: Desk, manager: FlaskClient) -> None:
    with_params(desk, PARAMS)
    a_row(desk, {"script": "S01"})
    data = {"do": "cell", "row": "r1", "column": "s1", "seen": stored(desk, "A01").draft_count, "s1.script": "S01"}
    assert send(manager, "/rules/A01/edit", {**data, "s1.params.S01.days": "seven"}).status_code == 302
    assert cell_of(desk)["params"] == {"days": "seven"}
    page = words(text_of(manager.get("/rules/A01/rows/r1")))
    assert "Days back takes a number, not a text." in page
    refused = send(manager, "/rules/A01/publish", {"seen": stored(desk, "A01").draft_count, "note": "x"})
    assert refused.status_code == 422
    assert stored(desk, "A01").live_version is None


def test_a_version_that_would_put_a_live_row_wrong_is_not_published(desk: Desk, manager: FlaskClient) -> None:
    a_script(desk)
    a_row(desk, {"script": "S01"}, live=True)
    settings(desk, manager, p0__name="days", p0__type="number", p0__required="1")
    refused = publish(desk, manager)
    assert refused.status_code == 422
    said = words(text_of(refused))
    assert "A01 (Runs it), row 1: The script needs Days (days)." in said
    assert stored(desk).live_version == 1
    settings(desk, manager, p0__name="days", p0__type="number", p0__default="7")
    assert publish(desk, manager).status_code == 302
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).broken == {}


def test_the_script_names_the_tables_and_rows_that_run_it_live_or_in_a_draft(desk: Desk, manager: FlaskClient) -> None:
    with_params(desk, PARAMS)
    a_row(desk, {"script": "S01", "params": {"days": 1}})
    assert "Runs it A01, row 1 only in a draft" in words(text_of(manager.get("/scripts/S01")))
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
        rule_list.publish(connection, "A01", author="mia", note="", seen=seen, now=desk.clock.now())
    page = words(text_of(manager.get("/scripts/S01")))
    assert "Runs it A01, row 1" in page
    assert "only in a draft" not in page
    # Of a live version in which it stands behind nine others, and of the draft that has it first again.
    with desk.services.db.write() as connection:
        first = rule_list.entry(connection, "A01")
        runs = first.working["rows"]
        last = {**first.working, "rows": [*({"id": f"n{n}", "then": {}} for n in range(9)), *runs]}
        last["otherwise"] = {"then": runs[0]["then"]}
        seen, now = first.draft_count, desk.clock.now()
        seen = rule_list.save_draft(connection, "A01", last, author="mia", seen=seen, now=now)
        rule_list.publish(connection, "A01", author="mia", note="", seen=seen, now=now)
        seen = rule_list.entry(connection, "A01").draft_count
        rule_list.save_draft(connection, "A01", first.working, author="mia", seen=seen, now=now)
    assert "Runs it A01, rows 1, 10, ∞" in words(text_of(manager.get("/scripts/S01")))


def test_two_versions_are_compared_beside_their_source_too(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    settings(desk, developer, t0__on="created", wait_s="30")
    publish(desk, developer)
    page = words(text_of(developer.get("/scripts/S01/versions?version=2&against=1")))
    assert "No difference." in page
    assert "Runs from when a row runs it to a ticket is created" in page
    assert "Rules wait for it, seconds from 0 to 30" in page
    same = words(text_of(developer.get("/scripts/S01/versions?version=2&against=2")))
    assert "Rules wait for it, seconds from" not in same
