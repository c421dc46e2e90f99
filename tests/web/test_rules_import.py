"""Rules from a file or a paste, in the browser: looked at, then kept as drafts or published, or refused whole."""

from __future__ import annotations

import copy
import io
import json
import re
from html import unescape
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from rules import files
from rules import store as rule_list
from rules.parse import MAX_ROWS
from rules.store import EntryKind
from tests.builders import dump
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import stored, words
from tickets.lists import ListSpec
from web.rules_import import MAX_BYTES

WELCOME = {"code": "E01", "name": "Welcome", "texts": {"en": {"subject": "Hi", "body": "Dear {{customer.name}}"}}}


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser of somebody who may edit rules and no scripts."""
    browser = app.test_client()
    let_in(browser, desk.user("ana", "manager", name="Ana Nowak"))
    return browser


def a_table(**changed: object) -> dict[str, Any]:
    return copy.deepcopy({"code": "A01", **TRIAGE, **changed})


def text_of(answer: TestResponse) -> str:
    return unescape(answer.get_data(as_text=True))


def look(client: FlaskClient, text: str, into: str = "", **more: object) -> TestResponse:
    return send(client, "/rules/import", {"do": "look", "text": text, "into": into, **more})


def go(client: FlaskClient, looked: TestResponse, do: str, note: str = "As agreed", **more: object) -> TestResponse:
    """Send what the page of a look would send: its hidden fields, its text and a button."""
    page = looked.get_data(as_text=True)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    text = re.search(r'<textarea id="f-text"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    into = re.search(r'<option value="(\w+)" selected>', page)
    assert text is not None
    sent = {key: unescape(hidden[key]) for key in ("looked", "revision", "name") if key in hidden}
    into_code = into[1] if into else ""
    return send(
        client, "/rules/import", {**sent, "text": unescape(text[1]), "into": into_code, "do": do, "note": note, **more}
    )


# A file of entries -----------------------------------------------------------------------------------------------


def test_a_pasted_table_is_looked_at_and_nothing_changes_before_it_is_published(
    desk: Desk, manager: FlaskClient
) -> None:
    desk.publish()
    changed = a_table()
    changed["rows"][1]["then"]["s2"] = {"priority": "urgent"}
    before = dump(desk.services.db)
    looked = look(manager, files.dump({"tables": [changed]}))
    assert looked.status_code == 200
    assert "Row 2, Set priority from High to Urgent" in words(text_of(looked))
    assert dump(desk.services.db) == before
    answer = go(manager, looked, "publish", "Refunds are urgent")
    assert answer.headers["Location"].endswith("/rules/A01")
    with desk.services.db.read() as connection:
        newest = rule_list.versions(connection, "A01")[0]
    assert (newest.version, newest.author, newest.note) == (2, "ana", "Refunds are urgent")
    assert newest.content["rows"][1]["then"]["s2"] == {"priority": "urgent"}
    ticket = desk.ticket("A refund, please")
    desk.work()
    assert desk.state(ticket)["priority"] == "urgent"


def test_kept_as_drafts_it_decides_nothing(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    data = {"tables": [a_table(hit="every"), {**a_table(name="Second", enabled=False), "code": "A02"}],
            "templates": [WELCOME]}  # fmt: skip
    answer = go(manager, look(manager, json.dumps(data)), "draft", note="")
    assert answer.headers["Location"].endswith("/rules")
    first, second, template = stored(desk), stored(desk, "A02"), stored(desk, "E01")
    assert (first.live_version, first.draft_by, (first.draft or {})["hit"]) == (1, "ana", "every")
    assert (second.live_version, second.enabled, (second.draft or {})["name"]) == (None, False, "Second")
    assert (template.kind, template.live_version, template.draft is not None) == (EntryKind.TEMPLATE, None, True)
    assert "3 entries are kept as drafts" in text_of(manager.get("/rules"))


def test_publishing_needs_a_note_and_keeps_the_text(desk: Desk, manager: FlaskClient) -> None:
    before = dump(desk.services.db)
    text = files.dump({"tables": [a_table()]})
    answer = go(manager, look(manager, text), "publish", note="  ")
    page = text_of(answer)
    assert (answer.status_code, "Say in a sentence what changes and why" in page, text.strip() in page) == (
        422,
        True,
        True,
    )
    assert dump(desk.services.db) == before


def test_every_problem_names_file_row_cell_and_what_is_allowed_and_the_text_comes_back(
    desk: Desk, manager: FlaskClient
) -> None:
    wrong = a_table()
    wrong["rows"][0]["if"]["c1"] = {"value": "smoke"}
    wrong["rows"][1]["then"]["s1"] = {"team": "biling"}
    text = files.dump({"tables": [wrong], "templates": [{**WELCOME, "texts": {"en": {"body": "{{customer.nom}}"}}}]})
    before = dump(desk.services.db)
    answer = send(
        manager,
        "/rules/import",
        {"do": "look", "file": (io.BytesIO(text.encode()), "desk.yaml"), "text": ""},
        content_type="multipart/form-data",
    )
    page = text_of(answer)
    assert answer.status_code == 422
    assert "3 things are not right yet; nothing was imported" in page
    assert "desk.yaml: A01, row 1 (r1), column c1 (Channel): " in page
    assert "desk.yaml: A01, row 2 (r2), column s1 (Assign team): There is no team 'biling'." in page
    assert "desk.yaml: E01, en.body: There is no placeholder 'customer.nom'" in page
    assert text.strip() in page
    assert 'value="publish"' not in page
    assert dump(desk.services.db) == before


def test_one_wrong_entry_keeps_all_others_out(desk: Desk, manager: FlaskClient) -> None:
    data = {"tables": [a_table(), {**a_table(hit="sometimes"), "code": "A02"}]}
    assert look(manager, json.dumps(data)).status_code == 422
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Paste a text or choose a file"),
        ("tables: [", "pasted text: This is not YAML at line 1"),
        ("just words", "pasted text: entry 1: an entry is a mapping, not str"),
        ("rules: []\ntables: []", "there is no list 'rules'; a file has templates, scripts, tables, lists"),
        ("[" * 500, "more than 100 levels deep at line 1"),
        ("a\x01b: \ud83d", "pasted text"),
        ("x" * (MAX_BYTES + 1), f"more than {MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_file_of_rules_is_refused_in_a_sentence(
    desk: Desk, manager: FlaskClient, text: str, sentence: str
) -> None:
    answer = look(manager, text.encode("utf-8", "replace").decode())
    assert (answer.status_code, sentence in text_of(answer)) == (422, True)
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xfe\x00t", "desk.yaml is not UTF-8 text (byte 0). Save it as UTF-8"),
        (b"x" * 2_001, "desk.yaml has more than 2000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(
    manager: FlaskClient, data: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.rules_import.MAX_BYTES", 2_000)  # a larger upload would wait on disk
    answer = send(
        manager, "/rules/import", {"file": (io.BytesIO(data), "desk.yaml")}, content_type="multipart/form-data"
    )
    assert (answer.status_code, sentence in text_of(answer)) == (422, True)


def test_what_is_live_already_has_nothing_to_import(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    page = text_of(look(manager, text_of(manager.get("/rules/A01.yaml"))))
    assert "All of this is live already" in page
    assert 'value="publish"' not in page


def test_a_text_changed_after_the_look_is_looked_at_again(desk: Desk, manager: FlaskClient) -> None:
    looked = look(manager, files.dump({"tables": [a_table()]}))
    answer = go(manager, looked, "publish", text=files.dump({"tables": [a_table(name="Another")]}))
    assert (answer.status_code, "not the one whose differences you saw" in text_of(answer)) == (422, True)
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []
    assert go(manager, answer, "publish").status_code == 302
    assert stored(desk).name == "Another"


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_a_file_with_other_line_ends_is_the_same_text_when_it_comes_back(
    desk: Desk, manager: FlaskClient, ends: str
) -> None:
    text = ends + files.dump({"tables": [a_table()]}).replace("\n", ends)
    assert go(manager, look(manager, text), "publish").status_code == 302
    assert stored(desk).live_version == 1


def test_a_rule_list_that_moved_after_the_look_is_compared_again(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    looked = look(manager, files.dump({"tables": [a_table(hit="every")]}))
    with desk.services.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    answer = go(manager, looked, "publish")
    assert (answer.status_code, "The rule list was changed meanwhile" in text_of(answer)) == (422, True)
    assert (stored(desk).live_version, stored(desk).enabled) == (1, False)
    assert go(manager, answer, "publish").status_code == 302
    assert (stored(desk).live_version, stored(desk).enabled) == (2, True)


def test_a_draft_somebody_works_on_is_not_overwritten(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    with desk.services.db.write() as connection:
        rule_list.save_draft(connection, "A01", {"name": "x"}, author="ion", seen=2, now=desk.clock.now())
    before = dump(desk.services.db)
    answer = look(manager, files.dump({"tables": [a_table(hit="every")]}))
    assert (answer.status_code, "ion has a draft of A01" in text_of(answer)) == (422, True)
    assert dump(desk.services.db) == before


def test_a_script_is_refused_to_who_may_not_edit_scripts(desk: Desk, manager: FlaskClient) -> None:
    script = {"code": "S01", "name": "Enrich", "source": "log(1)\n"}
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        rule_list.create(connection, EntryKind.SCRIPT, "Enrich", script, author="dev", now=now)
        rule_list.publish(connection, "S01", author="dev", note="", seen=1, now=now)
    before = dump(desk.services.db)
    answer = look(manager, json.dumps({"scripts": [{**script, "source": "log(2)\n"}]}))
    assert (
        answer.status_code,
        "S01 is a script that would change, and you may not edit scripts" in text_of(answer),
    ) == (
        422,
        True,
    )
    assert dump(desk.services.db) == before


def test_lists_are_published_with_their_tables_and_never_kept_as_drafts(desk: Desk, manager: FlaskClient) -> None:
    table = a_table()
    table["rows"][0]["if"] = {"c2": {"value": {"list": "PLACES"}}}
    text = json.dumps({"lists": {"PLACES": {"label": "Places", "entries": ["Cluj"]}}, "tables": [table]})
    looked = look(manager, text)
    assert (looked.status_code, "List PLACES" in text_of(looked)) == (200, True)
    refused = go(manager, looked, "draft")
    assert (refused.status_code, "lists have no drafts, and PLACES would change" in text_of(refused)) == (422, True)
    with desk.services.db.read() as connection:
        assert (rule_list.entries(connection), lists_of(desk)) == ([], {})
    assert go(manager, look(manager, text), "publish").status_code == 302
    assert lists_of(desk)["PLACES"].members == ("Cluj",)


def lists_of(desk: Desk) -> dict[str, ListSpec]:
    from tickets import lists

    with desk.services.db.read() as connection:
        return dict(lists.lists(connection))


# Rows of one table -----------------------------------------------------------------------------------------------


def test_an_exported_csv_comes_back_changed_cell_by_cell(desk: Desk, manager: FlaskClient) -> None:
    noted = a_table()
    noted["rows"][1]["note"] = "Money first"
    desk.publish(noted)
    csv = manager.get("/rules/A01.csv").get_data(as_text=True)
    lines = csv.splitlines()
    changed = "\n".join([lines[0], lines[2].replace("High", "Urgent"), lines[1], ",E-mail,spam,Sales,Low"])
    looked = look(manager, changed, "A01")
    said = words(text_of(looked))
    assert "Row 1, Set priority from High to Urgent" in said
    assert "Row 3 added" in said
    assert "moved" in said
    go(manager, looked, "publish")
    rows = (stored(desk).content or {})["rows"]
    assert [one["id"] for one in rows] == ["r2", "r1", "r3"]
    assert (rows[0]["note"], rows[0]["then"]["s2"]) == ("Money first", {"priority": "urgent"})
    assert rows[2]["if"] == {"c1": {"value": "email"}, "c2": {"value": ["spam"]}}


def test_an_exported_tsv_comes_back_whatever_its_cells_list(desk: Desk, manager: FlaskClient) -> None:
    listing = a_table()
    listing["rows"][0]["if"]["c2"] = {"value": ["refund", "invoice", "money back", "paid twice", "wrong amount"]}
    desk.publish(listing)
    tsv = manager.get("/rules/A01.tsv").get_data(as_text=True)
    said = words(text_of(look(manager, tsv.replace("High", "Urgent"), "A01")))
    assert "Row 2, Set priority from High to Urgent" in said
    assert "added" not in said


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_cells_are_found_by_heading_whatever_stands_between_them(desk: Desk, manager: FlaskClient, mark: str) -> None:
    desk.publish()
    text = f"Assign team{mark}Row{mark}c1\nBilling{mark}1{mark}E-mail\n"
    go(manager, look(manager, text, "A01"), "draft", note="")
    (row,) = (stored(desk).draft or {})["rows"]
    assert row == {"id": "r1", "if": {"c1": {"value": "email"}}, "then": {"s1": {"team": "billing"}}}


def test_the_row_numbers_of_a_file_exported_in_another_language_are_known(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    csv = manager.get("/rules/A01.csv", headers={"Accept-Language": "fr"}).get_data(as_text=True)
    looked = look(manager, csv.replace("Row,", "Ligne,").replace("High", "Low"), "A01")
    said = words(text_of(looked))
    assert "Row 2, Set priority from High to Low" in said
    assert "added" not in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Row,Chanel,Subject\n1,Chat,x\n",
            "the heading of column 2 is none of this table, or stands there twice. It has",
        ),
        ("Row,Channel,Channel\n1,Chat,Chat\n", "the heading of column 3 is none of this table"),
        ("Row,Channel\n1,Chat,spam\n", "row 1 has 3 cells, and there are 2 columns: Channel"),
        ("Row,Channel\nfirst,Chat\n", "row 1, column Row: 'first' is no row number"),
        ("Row,Channel\n1,Chat\n1,E-mail\n", "row 2: number 1 stands there twice"),
        ("Row,Channel\n1,Chat\n2,smoke\n", "A01, row 2 (r2), column c1 (Channel): "),
        (",,\n\n", "there are no cells in it"),
        ("Row,Channel\n1," + "x" * 140_000 + "\n", "a cell has at most 131072 characters"),
    ],
)
def test_a_wrong_cell_is_named_and_nothing_is_imported(
    desk: Desk, manager: FlaskClient, text: str, sentence: str
) -> None:
    desk.publish()
    before = dump(desk.services.db)
    answer = look(manager, text, "A01")
    assert (answer.status_code, sentence in text_of(answer)) == (422, True), words(text_of(answer))[:600]
    assert dump(desk.services.db) == before


def test_cells_go_into_no_table_that_is_not_live(desk: Desk, manager: FlaskClient) -> None:
    answer = look(manager, "Row,Channel\n1,Chat\n", "A07")
    assert (answer.status_code, "There is no live table A07" in text_of(answer)) == (422, True)


def test_more_rows_than_a_table_may_have_are_refused_with_the_cap(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    answer = look(manager, "Chat\tx\tBilling\n" * (MAX_ROWS + 1), "A01")
    assert (answer.status_code, f"at most {MAX_ROWS} rows, not {MAX_ROWS + 1}" in text_of(answer)) == (422, True)
    assert stored(desk).draft is None


@pytest.mark.slow
def test_as_many_rows_as_a_table_may_have_are_imported(desk: Desk, manager: FlaskClient) -> None:
    desk.publish({**TRIAGE, "rows": [{"id": "r1"}]})
    text = "\n".join(f"Chat\tword{n}\tBilling" for n in range(MAX_ROWS))
    go(manager, look(manager, text, "A01"), "publish")
    rows = (stored(desk).content or {})["rows"]
    assert len(rows) == MAX_ROWS
    assert rows[-1]["if"]["c2"] == {"value": [f"word{MAX_ROWS - 1}"]}


# Who may ---------------------------------------------------------------------------------------------------------


def test_an_agent_may_not_import_and_a_form_without_its_token_changes_nothing(
    desk: Desk, manager: FlaskClient, app: APIFlask
) -> None:
    before = dump(desk.services.db)
    text = files.dump({"tables": [a_table()]})
    assert manager.post("/rules/import", data={"do": "publish", "text": text, "note": "x"}).status_code == 400
    other = app.test_client()
    let_in(other, desk.user("kim", "agent"))
    between = dump(desk.services.db)
    assert other.get("/rules/import").status_code == 403
    assert look(other, text).status_code == 403
    assert dump(desk.services.db) == between
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []
    assert before != {}


def test_what_a_file_says_is_shown_as_text(desk: Desk, manager: FlaskClient) -> None:
    hostile = "</textarea><script>alert(1)</script>"
    for answer in (
        look(manager, f"code: A01\nname: '{hostile}'\n", name=hostile),
        look(manager, files.dump({"tables": [a_table(name=hostile)]})),
    ):
        assert hostile not in answer.get_data(as_text=True)
