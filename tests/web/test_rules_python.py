"""A table is shown as Python and made a script of, a simple script is made a table; nothing goes live by it."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import store as rule_list
from rules.store import EntryKind, Stored
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import words


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


@pytest.fixture
def both(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser of somebody who may edit rules and scripts."""
    browser = app.test_client()
    let_in(browser, desk.user("mia", "manager", "developer"))
    return browser


def entries(desk: Desk) -> list[Stored]:
    with desk.services.db.read() as connection:
        return rule_list.entries(connection)


def scripts(desk: Desk) -> list[Stored]:
    return [one for one in entries(desk) if one.kind is EntryKind.SCRIPT]


def python_of(browser: FlaskClient, code: str) -> str:
    page = browser.get(f"/rules/{code}/python")
    assert page.status_code == 200
    found = re.search(r'<pre class="code python"[^>]*>(.*?)</pre>', page.text, re.S)
    assert found is not None
    return re.sub(r"<[^>]+>", "", found[1]).replace("&#34;", '"').replace("&gt;", ">")


def test_a_table_is_shown_as_python(desk: Desk, manager: FlaskClient) -> None:
    source = python_of(manager, desk.publish())
    assert 'if ticket.channel == "chat":\n    ticket.assign_team(team="sales")\n' in source
    assert scripts(desk) == []


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\U0001f642"])
def test_python_is_shown_whole_whatever_characters_its_texts_hold(desk: Desk, manager: FlaskClient, odd: str) -> None:
    rows = [{"id": "r1", "if": {"c1": {"value": "chat"}}, "then": {"s1": {"text": f"One{odd}two", "public": False}}}]
    code = desk.publish({**TRIAGE, "steps": [{"id": "s1", "do": "post_message"}], "rows": rows, "otherwise": None})  # type: ignore[dict-item]
    assert python_of(manager, code) == (
        "# New ticket triage.\n\n# Row 1\n"
        'if ticket.channel == "chat":\n'
        f'    ticket.post_message(text="One{odd}two", public=False)\n'
    )


def test_a_script_is_made_behind_the_table_and_nothing_goes_live(desk: Desk, both: FlaskClient) -> None:
    code = desk.publish()
    later = desk.publish({**TRIAGE, "name": "Later"})
    source = python_of(both, code)
    answer = send(both, f"/rules/{code}/python")
    [made] = scripts(desk)
    assert answer.headers["Location"].endswith(f"/scripts/{made.code}")
    assert (made.live_version, made.name) == (None, "New ticket triage")
    assert made.draft is not None
    assert made.draft["source"] == source
    assert made.draft["triggers"] == TRIAGE["triggers"]
    assert made.draft["wait_s"] == 60
    assert [one.code for one in entries(desk)] == [code, made.code, later]
    checked = words(both.get(f"/scripts/{made.code}/review").text)
    assert "Problems" not in checked


def test_the_script_is_made_a_table_again(desk: Desk, both: FlaskClient) -> None:
    code = desk.publish()
    send(both, f"/rules/{code}/python")
    [script] = scripts(desk)
    assert "Everything in this script" in words(both.get(f"/scripts/{script.code}/table").text)
    answer = send(both, f"/scripts/{script.code}/table")
    again = answer.headers["Location"].rpartition("/")[2]
    assert python_of(both, again) == python_of(both, code)
    assert [one.code for one in entries(desk)] == [code, script.code, again]
    assert entries(desk)[2].live_version is None


def test_what_is_made_of_a_draft_is_called_as_the_draft_is(desk: Desk, both: FlaskClient) -> None:
    code = desk.publish()
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        draft = {**TRIAGE, "name": "Triage by language"}
        rule_list.save_draft(connection, code, draft, author="mia", seen=seen, now=desk.clock.now())
    send(both, f"/rules/{code}/python")
    [script] = scripts(desk)
    assert script.name == "Triage by language"
    with desk.services.db.write() as connection:
        renamed = {**(script.draft or {}), "name": "Triage by tongue"}
        seen = script.draft_count
        rule_list.save_draft(connection, script.code, renamed, author="mia", seen=seen, now=desk.clock.now())
    send(both, f"/scripts/{script.code}/table")
    again = entries(desk)[2]
    assert (again.name, (again.draft or {})["name"]) == ("Triage by tongue", "Triage by tongue")


def test_the_notes_of_rows_are_read_from_their_own_lines(desk: Desk, both: FlaskClient) -> None:
    rows = [
        {"id": "r1", "if": {"c2": {"value": ["one\u2028two", "three\x85four"]}}, "then": {"s1": {"team": "billing"}}},
        {"id": "r2", "note": "What chats ask", "if": {"c1": {"value": "chat"}}, "then": {"s1": {"team": "sales"}}},
    ]
    code = desk.publish({**TRIAGE, "rows": rows})  # type: ignore[dict-item]
    send(both, f"/rules/{code}/python")
    [script] = scripts(desk)
    send(both, f"/scripts/{script.code}/table")
    draft = entries(desk)[2].draft
    assert draft is not None
    assert [one.get("note", "") for one in draft["rows"]] == ["", "What chats ask"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("for one in ticket.tags:\n    ticket.add_note(text=one)\n", "Line 1: A table only has rows"),
        ('if ticket.subjct == "x":\n    ticket.add_tags(tags=["a"])\n', "Line 1:"),
        (
            'if ticket.priority == "high":\n    ticket.add_note(text=ticket.subject)\n',
            "Line 2: A table only has values",
        ),
        ("if len(ticket.tags) > 1:\n    pass\n", "Line 1: This is no condition"),
        ("if True\n", "Line 1:"),
    ],
)
def test_a_script_that_says_more_is_told_line_by_line_and_no_table_made(
    desk: Desk, both: FlaskClient, source: str, why: str
) -> None:
    content: dict[str, Any] = {"source": source, "triggers": [{"on": "created"}]}
    with desk.services.db.write() as connection:
        code = rule_list.create(connection, EntryKind.SCRIPT, "More", content, author="mia", now=desk.clock.now())
    page = words(both.get(f"/scripts/{code}/table").text)
    assert why in page
    assert "Make a table of it" not in page
    assert send(both, f"/scripts/{code}/table").status_code == 422
    assert [one.code for one in entries(desk)] == [code]


def test_what_the_jail_refuses_is_told_in_its_words_and_parsed_nowhere_else(desk: Desk, both: FlaskClient) -> None:
    content: dict[str, Any] = {
        "source": 'if ticket.status == "open":\n    ticket._x\n',
        "triggers": [{"on": "created"}],
    }
    with desk.services.db.write() as connection:
        code = rule_list.create(connection, EntryKind.SCRIPT, "More", content, author="mia", now=desk.clock.now())
    page = words(both.get(f"/scripts/{code}/table").text)
    assert "Line 2: The attribute '_x' starts with an underscore" in html.unescape(page)
    assert "A table only has" not in page
    assert send(both, f"/scripts/{code}/table").status_code == 422
    assert len(entries(desk)) == 1


def test_of_a_table_that_no_script_can_say_none_is_made(desk: Desk, both: FlaskClient) -> None:
    rows = [{**row, "rearm": "once_per_item"} for row in TRIAGE["rows"]]
    code = desk.publish({**TRIAGE, "rows": rows})
    page = words(both.get(f"/rules/{code}/python").text)
    # One sentence for all rows that it is about.
    assert "Rows 1, 2: It does not fire every time" in page
    assert "Make a script of it" not in page
    assert send(both, f"/rules/{code}/python").status_code == 422
    assert scripts(desk) == []


def test_who_may_not_edit_scripts_sees_the_python_and_makes_no_script(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish()
    assert "Make a script of it" not in words(manager.get(f"/rules/{code}/python").text)
    assert send(manager, f"/rules/{code}/python").status_code == 403
    assert scripts(desk) == []


def test_who_may_not_edit_rules_makes_no_table(desk: Desk, app: APIFlask, both: FlaskClient) -> None:
    send(both, f"/rules/{desk.publish()}/python")
    [script] = scripts(desk)
    developer = app.test_client()
    let_in(developer, desk.user("dev", "developer"))
    page = developer.get(f"/scripts/{script.code}/table")
    assert "Who edits rules can make a table of it" in words(page.text)
    assert send(developer, f"/scripts/{script.code}/table").status_code == 403
    assert len(entries(desk)) == 2


def test_a_draft_with_problems_is_no_python_yet(desk: Desk, both: FlaskClient) -> None:
    code = desk.publish()
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        broken = {**TRIAGE, "columns": [{"id": "c1", "field": "ticket.nothing", "op": "is"}]}
        rule_list.save_draft(connection, code, broken, author="mia", seen=seen, now=desk.clock.now())
    assert "problems that must be mended first" in words(both.get(f"/rules/{code}/python").text)
    assert send(both, f"/rules/{code}/python").status_code == 422
    assert scripts(desk) == []
