"""The replay lab's pages: choosing drafts and tickets, how far it is, what it found, and who may see which of it."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from jobs import automation
from jobs.aside import HIDDEN_CAP
from jobs.replays import work as replays
from jobs.system_texts import SYSTEM_TEXTS
from jobs.tables import ReplayRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import dump
from tests.web.commands import flask
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import words
from tickets.values import JSON

#: Behind the live table: what it gave to billing is tagged, and what is tagged is urgent.
TAGS = {
    "code": "A02",
    "name": "Billing is money",
    "kind": "ticket",
    "triggers": [{"on": "changed", "field": "ticket.team"}],
    "columns": [{"id": "c1", "field": "ticket.team", "op": "is"}],
    "steps": [{"id": "s1", "do": "add_tags"}],
    "rows": [{"id": "r1", "if": {"c1": {"value": "billing"}}, "then": {"s1": {"tags": ["money"]}}}],
}
URGENT = {
    "code": "A03",
    "name": "Money is urgent",
    "kind": "ticket",
    "triggers": [{"on": "changed", "field": "ticket.tags"}],
    "columns": [{"id": "c1", "field": "ticket.tags", "op": "has_any"}],
    "steps": [{"id": "s1", "do": "set_priority"}, {"id": "s2", "do": "post_message"}],
    "rows": [
        {
            "id": "r1",
            "if": {"c1": {"value": ["money"]}},
            "then": {"s1": {"priority": "urgent"}, "s2": {"text": "=Money!", "public": False}},
        }
    ],
}


@pytest.fixture
def past(desk: Desk) -> dict[str, int]:
    """A live table, a ticket it gave to billing, one it did not, one that only some may see, and two drafts."""
    desk.publish()
    found = {
        "refund": desk.ticket("A refund, please"),
        "hello": desk.ticket("Hello there"),
    }
    automation.drain(desk.services)
    found["secret"] = desk.ticket("Secret refund", team="ethics")
    desk.clock.move(days=1)
    now = desk.clock.now()
    with desk.services.db.write() as connection:
        for one in (TAGS, URGENT):
            code, name = str(one["code"]), str(one["name"])
            rule_list.create(connection, EntryKind.TABLE, name, one, author="ana", now=now, code=code)  # type: ignore[arg-type]
    return found


def begin(browser: FlaskClient, *codes: str, **changed: object) -> tuple[int, str]:
    """Start one by the form; the status and where it leads."""
    given = {"draft": list(codes), "which": "ticket", "days": 30, "tickets": 100, "scripts": "1", **changed}
    answer = send(browser, "/rules/replay", given)
    return answer.status_code, answer.headers.get("Location", "") or words(answer.text)


def played(desk: Desk, browser: FlaskClient, *codes: str) -> str:
    """The address of a replay that was carried out."""
    status, address = begin(browser, *codes)
    assert status == 303
    while replays.carry_on(desk.services) is not None:
        pass
    return address


def count(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(ReplayRow)).scalar_one()


@pytest.mark.slow
def test_two_drafts_are_chosen_played_and_shown_ticket_by_ticket(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    form = manager.get("/rules/replay").text
    assert re.findall(r'name="draft" value="(\w+)" checked', form) == ["A02", "A03"]
    status, address = begin(manager, "A02", "A03")
    assert status == 303
    waiting = words(manager.get(address).text)
    assert "0 of 2 tickets are played" in waiting
    while replays.carry_on(desk.services) is not None:
        pass
    page = manager.get(address).text
    shown = words(page)
    assert "1 ticket differs" in shown
    assert "100 % as it really was" in shown
    assert "Billing is money, row 1 draft 0 1" in shown
    assert "Money is urgent, row 1 draft 0 1" in shown
    assert f'href="/tickets/{past["refund"]}"' in page
    assert "Priority from High to Urgent" in shown
    assert "Tags from none to money" in shown
    assert "only with the drafts: internal note =Money!" in shown
    assert "Hello there" not in shown
    assert "hx-get" not in page.partition('id="replay"')[2].partition(">")[0]  # it has ended: nothing is asked again
    everything = words(manager.get(f"{address}?show=all").text)
    assert "Hello there" in everything
    assert "1 ticket was left out, since it is hidden from who asked" in everything
    assert "Secret" not in everything
    assert "Billing is money" in words(manager.get("/rules/replay").text)


def test_what_happened_on_one_side_alone_is_marked_there(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    page = manager.get(played(desk, manager, "A02", "A03")).text
    sides = re.findall(r"<section><h3>(.*?)</h3>(.*?)</section>", page, re.S)
    alone = {
        head: [words(one) for one in re.findall(r'<li class="alone">(.*?)</li>', side, re.S)] for head, side in sides
    }
    draft = " Money is urgent v1 draft"
    assert alone == {
        "Live": [],
        "With the drafts": [
            "+ only with the drafts: Tags from none to money Billing is money v1 draft",
            f"+ only with the drafts: Priority from High to Urgent{draft}",
            f"+ only with the drafts: internal note “=Money!”{draft}",
        ],
    }
    # The rows that fire on as many tickets as before are there, folded away behind those that do not.
    assert re.findall(r"<summary>.*?</svg>\s*(2 rows fire[^<]*)<", page) == ["2 rows fire on as many tickets as before"]


def test_rows_stand_in_the_order_of_the_list_and_one_that_is_gone_has_its_live_number(
    desk: Desk, manager: FlaskClient
) -> None:
    rows = [
        {"id": f"r{n}", "if": {"c2": {"value": [f"word{n}"]}}, "then": {"s1": {"team": "billing"}}}
        for n in range(1, 12)
    ]
    code = desk.publish({**TRIAGE, "rows": rows})  # type: ignore[dict-item]
    for n in (2, 10, 11):
        desk.ticket(f"A word{n}, please")
    automation.drain(desk.services)
    desk.clock.move(days=1)
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        content = {**TRIAGE, "rows": rows[:10]}
        rule_list.save_draft(connection, code, content, author="ana", seen=seen, now=desk.clock.now())
    shown = words(manager.get(played(desk, manager, code)).text)
    gone, otherwise = "row 11 of the live version draft 1 0", "row ∞ draft 0 1"
    places = [shown.index(one) for one in (otherwise, gone, "row 2 draft 1 1", "row 10 draft 1 1")]
    assert places == sorted(places)


def test_what_was_read_stays_open_while_the_page_asks_how_far_it_is(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    _, address = begin(manager, "A02")
    replays.carry_on(desk.services, budget_s=0)
    kept = re.findall(r'<section class="card"( id="played-\d+" hx-preserve)?', manager.get(f"{address}?show=all").text)
    assert sorted(kept)[-3:] == ["", "", f' id="played-{past["refund"]}" hx-preserve']


def test_a_ticket_that_is_hidden_from_the_reader_is_counted_and_not_shown(
    desk: Desk, app: APIFlask, manager: FlaskClient, past: dict[str, int]
) -> None:
    other = app.test_client()
    let_in(other, desk.user("hana", "manager", teams=("ethics",)))
    address = played(desk, other, "A02")
    seen = words(other.get(f"{address}?show=all").text)
    assert "Secret refund" in seen
    hidden = words(manager.get(f"{address}?show=all").text)
    assert "Secret" not in hidden
    assert "1 more is about a ticket that is hidden from you" in hidden
    assert "Secret" not in manager.get(f"{address}.csv").text


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        (HIDDEN_CAP, f"At least {HIDDEN_CAP} tickets were left out"),
        (HIDDEN_CAP - 1, f"{HIDDEN_CAP - 1} tickets were left out"),
        (0, ""),
    ],
)
@pytest.mark.slow
def test_as_many_hidden_tickets_as_are_counted_are_said_to_be_more(
    desk: Desk, manager: FlaskClient, past: dict[str, int], hidden: int, sentence: str
) -> None:
    address = played(desk, manager, "A02")
    with desk.services.db.write() as connection:
        connection.execute(update(ReplayRow).values(hidden=hidden))
    page = words(manager.get(address).text)
    assert sentence in page
    assert ("At least" in page, "left out" in page) == (hidden == HIDDEN_CAP, hidden > 0)


def test_the_differences_are_a_file_for_a_spreadsheet_in_which_nothing_is_a_formula(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    address = played(desk, manager, "A02", "A03")
    answer = manager.get(f"{address}.csv")
    assert answer.mimetype == "text/csv"
    ticket, head = str(past["refund"]), ["A refund, please", "changed", "yes"]
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["Ticket", "Subject", "Outcome", "As it was", "What", "Live", "Draft"],
        [ticket, *head, "priority", "high", "urgent"],
        [ticket, *head, "tags", "", "money"],
        [ticket, *head, "note", "", "'=Money!"],
        [str(past["hello"]), "Hello there", "same", "yes", "", "", ""],
    ]


def test_it_is_stopped_by_a_button_and_what_it_found_stays(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    _, address = begin(manager, "A02")
    replays.carry_on(desk.services, budget_s=0)
    assert send(manager, f"{address}/stop", {}).status_code == 303
    assert "It was stopped after 1 of 2 tickets" in words(manager.get(address).text)
    assert replays.carry_on(desk.services) is None
    send(manager, f"{address}/stop", {})
    assert "The replay had ended before. Nothing was changed." in words(manager.get(address).text)


def test_what_cannot_be_played_is_refused_with_the_reason_and_nothing_begins(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    for given, reason in (
        ({"days": 3}, "Choose one of the offered values"),
        ({"which": "ticket:solved"}, "No ticket that you may see is like that"),
        ({"which": "project:waiting_team"}, "Choose one of the offered values"),  # a status that no project has
        ({"which": "elsewhere"}, "Choose one of the offered values"),
        ({"draft": []}, "Choose at least one draft"),
        ({"draft": ["A01"]}, "One of the chosen drafts is not there any more"),
    ):
        status, said = begin(manager, "A02", **given)
        assert (status, reason in said) == (422, True), said
    assert count(desk) == 0
    assert manager.get("/rules/replay/1").status_code == 404
    assert manager.get("/rules/replay/1.csv").status_code == 404
    assert send(manager, "/rules/replay/1/stop", {}).status_code == 404


def test_a_rule_list_that_changed_meanwhile_is_said_with_what_to_do(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    _, address = begin(manager, "A02")
    desk.publish({**TRIAGE, "name": "Another"})
    while replays.carry_on(desk.services) is not None:
        pass
    said = words(manager.get(address).text)
    assert "It ended after 0 of 2 tickets. The rules or one of the drafts were changed meanwhile" in said


def test_who_may_not_edit_scripts_is_not_offered_their_drafts_and_cannot_name_them(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    script = {"code": "S01", "name": "Ask", "source": "log('x')\n"}
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        rule_list.create(connection, EntryKind.SCRIPT, "Ask", script, author="ana", now=now, code="S01")
    assert 'value="S01"' not in manager.get("/rules/replay").text
    status, _ = begin(manager, "S01")
    assert (status, count(desk)) == (422, 0)


def test_the_draft_of_an_open_table_leads_to_its_replay(desk: Desk, manager: FlaskClient, past: dict[str, int]) -> None:
    assert 'href="/rules/replay?draft=A02"' in manager.get("/rules/A02?preview=1").text
    assert re.findall(r'value="(\w+)" checked', manager.get("/rules/replay?draft=A02").text)[:1] == ["A02"]


def test_no_more_drafts_are_chosen_for_a_person_than_can_be_played(
    desk: Desk, manager: FlaskClient, past: dict[str, int]
) -> None:
    with desk.services.db.write() as connection:
        for n in range(20):
            table: dict[str, JSON] = {**TRIAGE, "name": f"Another {n}"}
            rule_list.create(connection, EntryKind.TABLE, f"Another {n}", table, author="ana", now=desk.clock.now())
    form = manager.get("/rules/replay").text
    offered, chosen = (re.findall(rf'name="draft" value="(\w+)"{end}', form) for end in ("", " checked"))
    assert (len(offered), len(chosen)) == (22, 20)
    status, said = begin(manager, *offered)
    assert (status, "At most 20 drafts are put in place. Nothing was started." in said) == (422, True)
    assert count(desk) == 0
    assert begin(manager, *chosen)[0] == 303


def test_each_kind_is_offered_with_its_own_statuses(desk: Desk, manager: FlaskClient, past: dict[str, int]) -> None:
    form = manager.get("/rules/replay").text
    offered = re.findall(r'<option value="(\w+:?\w*)">((?:Tickets|Projects|Timesheets)[^<]*)<', form)
    assert [one for one in offered if not one[0].startswith("ticket")] == [
        ("project", "Projects"),
        ("project:open", "Projects · Planned"),
        ("project:in_progress", "Projects · In progress"),
        ("project:on_hold", "Projects · On hold"),
        ("project:closed", "Projects · Completed"),
        ("timesheet", "Timesheets"),
        ("timesheet:open", "Timesheets · Open"),
        ("timesheet:closed", "Timesheets · Closed"),
    ]
    assert offered[0] == ("ticket", "Tickets")
    status, address = begin(manager, "A02", which="ticket:open")
    assert status == 303
    while replays.carry_on(desk.services) is not None:
        pass
    assert "Hello there" in words(manager.get(f"{address}?show=all").text)


@pytest.mark.slow
def test_drafts_of_scripts_and_templates_lead_to_their_replay_and_are_played(
    sandboxed_desk: Desk, app: APIFlask
) -> None:
    desk = sandboxed_desk
    browser = app.test_client()
    let_in(browser, desk.user("mia", "manager", "developer"))
    source = "ticket.add_tags(tags=['seen'])\n"
    script: dict[str, JSON] = {"source": source, "triggers": [{"on": "created"}], "wait_s": 0}
    text: dict[str, JSON] = {"texts": {"en": {"subject": "Hello", "body": "Welcome!"}}}
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        rule_list.create(connection, EntryKind.SCRIPT, "Tag it", script, author="mia", now=now, code="S01")
        rule_list.create(connection, EntryKind.TEMPLATE, "Welcome", text, author="mia", now=now, code="E01")
        rule_list.create(
            connection, EntryKind.TEMPLATE, "Ours", text, author="mia", now=now, code=next(iter(SYSTEM_TEXTS))
        )
    for page in ("/scripts/S01", "/scripts/S01/review", "/templates/E01"):
        code = "E01" if "templates" in page else "S01"
        assert f'href="/rules/replay?draft={code}"' in browser.get(page).text, page
    # What the desk says by itself is not part of what a replay plays.
    assert re.findall(r'name="draft" value="(\w+)"', browser.get("/rules/replay").text) == ["S01", "E01"]
    desk.ticket("A refund, please")
    desk.clock.move(days=1)
    shown = words(browser.get(played(desk, browser, "S01", "E01")).text)
    assert "1 ticket differs" in shown
    assert "Tags from none to seen" in shown


def test_who_may_not_edit_rules_is_not_led_to_a_replay(desk: Desk, app: APIFlask) -> None:
    developer = app.test_client()
    let_in(developer, desk.user("dev", "developer"))
    with desk.services.db.write() as connection:
        content = {"source": "log('x')\n"}
        rule_list.create(connection, EntryKind.SCRIPT, "Ask", content, author="dev", now=desk.clock.now(), code="S01")
    for page in ("/scripts/S01", "/scripts/S01/review"):
        assert "/rules/replay" not in developer.get(page).text
    assert developer.get("/rules/replay").status_code == 403


@pytest.mark.slow
def test_the_command_plays_at_once_and_changes_nothing(desk: Desk, app: APIFlask, past: dict[str, int]) -> None:
    before = dump(desk.services.db)
    # The third has really not been decided yet.
    live = flask(app, "rules", "play")
    assert (live.exit_code, live.output) == (
        0,
        "3 tickets: 0 would differ. The live rules end where it really ended on 2 of 3.\n",
    )
    shown = flask(app, "rules", "play", "--draft", "A02", "--draft", "A03", "--no-scripts")
    assert (
        f"  ticket {past['refund']}: priority: high -> urgent; tags: None -> ['money']; + note =Money!" in shown.output
    )
    data = json.loads(flask(app, "rules", "play", "--draft", "A02", "--tickets", 1, "--json").output)
    assert [(one["item_id"], one["status"]) for one in data] == [(past["secret"], "changed")]
    mine = flask(app, "rules", "play", "--draft", "A02", "--team", "billing", "--status", "open", "--json").output
    assert [one["item_id"] for one in json.loads(mine)] == [past["refund"]]
    assert flask(app, "rules", "play", "--kind", "task").output.startswith("0 tickets: ")
    for given, reason in (
        (("--draft", "A01"), "A01 has no draft."),
        (("--draft", "A99"), "There is no A99."),
        (("--team", "moon"), "There is no team moon for tickets; there are: billing, ethics, sales."),
        (
            ("--kind", "timesheet", "--status", "solved"),
            "There is no status solved for timesheets; there are: open, closed.",
        ),
    ):
        refused = flask(app, "rules", "play", *given)
        assert (refused.exit_code, refused.output) == (1, f"{reason}\n")
    assert dump(desk.services.db) == before


def test_what_the_command_has_no_time_for_is_named(
    desk: Desk, app: APIFlask, past: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "WORK_S", 0)
    said = flask(app, "rules", "play").output
    assert said.count("The 0 seconds of work were over") == 3
