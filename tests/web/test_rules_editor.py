"""The rule pages as a browser without scripts sees them, and the answers the page's own script gets."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import store as rule_list
from rules.store import EntryKind
from rules.triggers import TRIGGERS
from tests.builders import dump
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import edit, stored, text_of, words


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser in which the manager Ana Nowak is signed in."""
    email = desk.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
    browser = app.test_client()
    let_in(browser, email)
    return browser


# The list --------------------------------------------------------------------------------------------------------


def test_the_list_shows_tables_in_run_order_with_their_sentence(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    reply = {**TRIAGE, "name": "Reopen", "triggers": [{"on": "message", "by": "customer", "visibility": "public"}]}
    desk.publish(reply)
    page = words(text_of(manager.get("/rules")))
    assert page.index("New ticket triage") < page.index("Reopen")
    assert "a ticket is created" in page
    assert "a ticket gets a message from Customer (public)" in page


def test_a_new_table_is_a_draft_that_decides_nothing(desk: Desk, manager: FlaskClient) -> None:
    answer = send(manager, "/rules", {"name": "  After hours  ", "trigger": "message"})
    assert answer.headers["Location"].endswith("/rules/A01")
    made = stored(desk)
    assert (made.name, made.live_version, made.draft is not None) == ("After hours", None, True)
    assert made.working["triggers"] == [{"on": "message"}]
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).ruleset.entries == ()
    assert manager.get("/rules/A01").status_code == 200


def test_a_table_without_a_name_is_not_made(desk: Desk, manager: FlaskClient) -> None:
    assert send(manager, "/rules", {"name": "  "}).status_code == 422
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []


def test_moving_a_table_changes_the_order_and_the_revision(desk: Desk, manager: FlaskClient) -> None:
    first, second = desk.publish(), desk.publish({**TRIAGE, "name": "Second"})
    with desk.services.db.read() as connection:
        before = rule_list.revision(connection)
    send(manager, f"/rules/{second}/move", {"to": "up"})
    with desk.services.db.read() as connection:
        assert [one.code for one in rule_list.entries(connection, EntryKind.TABLE)] == [second, first]
        assert rule_list.revision(connection) == before + 1
    send(manager, f"/rules/{second}/move", {"to": "up"})
    with desk.services.db.read() as connection:
        assert rule_list.revision(connection) == before + 1


def test_a_switched_off_table_is_off_for_the_next_ticket(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish()
    send(manager, f"/rules/{code}/switch", {"enabled": "0"})
    ticket = desk.ticket("An invoice, please")
    desk.work()
    assert "team" not in desk.state(ticket)
    send(manager, f"/rules/{code}/switch", {"enabled": "1"})
    ticket = desk.ticket("An invoice, please")
    desk.work()
    assert desk.state(ticket)["team"] == "billing"


# Editing ---------------------------------------------------------------------------------------------------------


def test_the_grid_shows_words_and_not_keys(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    page = words(text_of(manager.get("/rules/A01")))
    assert "contains refund , or invoice" in page
    assert "Runs when a ticket is created" in page
    assert "Uses the first row that matches" in page
    assert "No row matches" in page


def test_a_cell_sent_as_a_plain_form_is_in_the_draft_and_not_live(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    answer = edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    assert answer.headers["Location"].endswith("/rules/A01#row-r2")
    after = stored(desk)
    assert after.working["rows"][1]["then"]["s2"] == {"priority": "urgent"}
    assert after.content is not None
    assert after.content["rows"][1]["then"]["s2"] == {"priority": "high"}
    page = text_of(manager.get("/rules/A01"))
    assert "Draft, 1 change" in words(page)
    assert 'class="then chg"' in page


def test_a_whole_row_is_saved_from_its_form(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    page = text_of(manager.get("/rules/A01/rows/r2"))
    assert 'name="c2.more"' in page
    assert 'name="s1.team"' in page
    edit(
        manager, desk, do="row", row="r2", note="Money first", c1__op="any_of", c1__value=["email", "form"],
        c2__op="contains_any", c2__more="refund\r\nfacture", s1__team="billing", s2__priority="",
    )  # fmt: skip
    assert stored(desk).working["rows"][1] == {
        "id": "r2",
        "note": "Money first",
        "if": {"c1": {"value": ["email", "form"]}, "c2": {"value": ["refund", "facture"]}},
        "then": {"s1": {"team": "billing"}},
    }


def test_every_form_of_the_editor_opens_without_scripts(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    for path in (
        "rows/r1", "rows/otherwise", "rows/r1?only=c1", "rows/r1?only=s2", "rows/r1/menu", "settings", "columns/c1",
        "columns/s1", "columns/new?side=if", "columns/new?side=then", "paste", "review", "versions", "?preview=1",
    ):  # fmt: skip
        answer = manager.get(f"/rules/A01/{path}".replace("/?", "?"))
        assert answer.status_code == 200, path
        assert "<h1" in text_of(answer), path
        if path not in ("versions", "review"):
            assert 'name="csrf_token"' in text_of(answer), path


@pytest.mark.parametrize("path", ["rows/r9", "rows/r1?only=c9", "columns/c9", "why/999"])
def test_what_is_not_in_the_table_is_not_found(desk: Desk, manager: FlaskClient, path: str) -> None:
    desk.publish()
    assert manager.get(f"/rules/A01/{path}").status_code == 404


def test_settings_are_read_from_their_form(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(
        manager, desk, do="settings", name="Triage of mail", kind="any", hit="every", wait="never_without", note="",
        t0__on="message", t0__message__by="customer", t0__message__visibility="any",
        t1__on="changed", t1__changed__field="ticket.status", t1__changed__to="open, solved",
    )  # fmt: skip
    working = stored(desk).working
    assert (working["name"], working["kind"], working["hit"], working["wait_s"]) == (
        "Triage of mail", "any", "every", "never_without",
    )  # fmt: skip
    assert working["triggers"] == [
        {"on": "message", "by": "customer"},
        {"on": "changed", "field": "ticket.status", "to": ["open", "solved"]},
    ]
    assert "to mend" not in words(text_of(manager.get("/rules")))


def test_a_new_row_and_a_new_column_get_ids_no_version_had(desk: Desk, manager: FlaskClient) -> None:
    table = copy.deepcopy(TRIAGE)
    table["rows"].append({"id": "r9", "if": {}, "then": {"s1": {"team": "sales"}}})
    desk.publish(table)
    edit(manager, desk, do="delete_row", row="r9")
    send(manager, "/rules/A01/publish", {"seen": stored(desk).draft_count, "note": "Out with it"})
    edit(manager, desk, do="add_row")
    edit(manager, desk, do="add_condition", field="ticket.language")
    working = stored(desk).working
    assert [row["id"] for row in working["rows"]] == ["r1", "r2", "r10"]
    assert working["columns"][-1] == {"id": "c3", "field": "ticket.language", "op": "is"}


def test_a_problem_stands_in_its_cell_with_what_is_allowed(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    draft = copy.deepcopy(dict(stored(desk).working))
    draft["rows"][0]["then"]["s1"] = {"team": "biling"}
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
        rule_list.save_draft(connection, "A01", draft, author="ana", seen=seen, now=desk.clock.now())
    page = text_of(manager.get("/rules/A01"))
    assert "There is no team 'biling'. Did you mean 'billing'?" in words(page).replace("&#39;", "'")
    assert 'class="then t0 chg bad"' in page
    assert "preview comes when the problems above are mended" in words(
        text_of(manager.get("/rules/A01/preview", headers={"X-Part": "1"}))
    )


def test_a_row_never_reached_can_be_moved_above_its_catcher_in_one_click(desk: Desk, manager: FlaskClient) -> None:
    table = copy.deepcopy(TRIAGE)
    table["rows"].append(
        {"id": "r3", "if": {"c1": {"value": "email"}, "c2": {"value": ["refund"]}}, "then": {"s1": {"team": "sales"}}}
    )
    desk.publish(table)
    page = text_of(manager.get("/rules/A01"))
    assert "Never reached. Row 2 already catches every ticket this row would match." in page
    assert "Move it above row 2" in page
    edit(manager, desk, do="move_row", row="r3", before="r2")
    assert [row["id"] for row in stored(desk).working["rows"]] == ["r1", "r3", "r2"]
    assert "Never reached" not in text_of(manager.get("/rules/A01"))


def test_two_people_saving_show_both_and_lose_neither(desk: Desk, manager: FlaskClient, app: APIFlask) -> None:
    desk.publish()
    opened = stored(desk).draft_count
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    other = app.test_client()
    let_in(other, desk.user("ion", "manager", name="Ion Popescu"))
    late = {"do": "cell", "row": "r2", "column": "s2", "s2.priority": "low", "seen": opened}
    clash = send(other, "/rules/A01/edit", late)
    assert clash.status_code == 409
    page = words(text_of(clash))
    assert "Ana Nowak saved this draft since you opened it. Yours was not saved." in page
    assert "Row 2, Set priority" in page
    assert "Urgent" in page
    assert "Low" in page
    assert stored(desk).working["rows"][1]["then"]["s2"] == {"priority": "urgent"}
    send(other, "/rules/A01/edit", {**late, "seen": stored(desk).draft_count})
    assert stored(desk).working["rows"][1]["then"]["s2"] == {"priority": "low"}


def test_the_pages_script_gets_the_grid_and_the_new_count(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    seen = stored(desk).draft_count
    part = {"X-Part": "1"}
    answer = send(manager, "/rules/A01/edit", {"do": "duplicate_row", "row": "r1", "seen": seen}, headers=part)
    body = answer.get_json()
    assert body["seen"] == seen + 1
    assert body["row"] == "r3"
    assert [row["id"] for row in body["document"]["rows"]] == ["r1", "r3", "r2"]
    assert 'id="row-r3"' in body["grid"]
    refused = send(manager, "/rules/A01/edit", {"do": "add_step", "action": "no", "seen": seen + 1}, headers=part)
    assert (refused.status_code, refused.get_json()["error"]) == (422, "Choose what the new column should do.")
    stale = send(manager, "/rules/A01/edit", {"do": "add_row", "seen": seen}, headers=part)
    assert stale.status_code == 409
    assert "Put my change on top" in stale.get_json()["html"]
    assert stored(desk).draft_count == seen + 1


def test_undo_puts_the_whole_document_back(desk: Desk, manager: FlaskClient) -> None:
    import json

    desk.publish()
    before = json.loads(json.dumps(dict(stored(desk).working)))
    edit(manager, desk, do="delete_column", column="c2")
    edit(manager, desk, do="document", document=json.dumps(before))
    assert stored(desk).working["rows"] == before["rows"]
    assert "Draft, 0 changes" in words(text_of(manager.get("/rules/A01")))


def test_a_paste_is_shown_before_it_is_saved(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    before = dump(desk.services.db)
    sent = {"row": "r1", "column": "c1", "text": "E-mail\tspam\tSales\tLow"}
    page = words(text_of(send(manager, "/rules/A01/paste", sent)))
    assert "Row 1, Channel from Chat to E-mail" in page
    assert dump(desk.services.db) == before
    edit(manager, desk, do="paste", **sent)
    assert stored(desk).working["rows"][0]["if"] == {"c1": {"value": "email"}, "c2": {"value": ["spam"]}}


def test_long_tables_come_in_pages(desk: Desk, manager: FlaskClient) -> None:
    table = copy.deepcopy(TRIAGE)
    table["rows"] = [
        {"id": f"r{n}", "if": {"c2": {"value": [f"word{n}"]}}, "then": {"s1": {"team": "sales"}}} for n in range(1, 451)
    ]
    desk.publish(table)
    page = text_of(manager.get("/rules/A01?page=3"))
    assert "Rows 401 to 450 of 450" in words(page)
    assert page.count('class="rn"') == 51
    assert "word450" in page
    assert "word400<" not in page


@pytest.mark.slow
def test_rows_of_a_long_table_are_compared_on_the_review_page(desk: Desk, manager: FlaskClient) -> None:
    table = copy.deepcopy(TRIAGE)
    table["rows"] = [
        {"id": f"r{n}", "if": {"c2": {"value": [f"word{n % 301}"]}}, "then": {"s1": {"team": "sales"}}}
        for n in range(1, 303)
    ]
    desk.publish(table)
    page = words(text_of(manager.get("/rules/A01?page=2")))
    assert "The table has 302 rows; whether one catches another is looked at on the review page." in page
    assert "Says the same as row 1." not in page
    edit(manager, desk, do="note", row="r1", note="x")
    assert "Says the same as row 1." in words(text_of(manager.get("/rules/A01/review")))


# Publishing ------------------------------------------------------------------------------------------------------


def test_the_review_says_in_words_what_changes_and_on_which_tickets(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    ticket = desk.ticket("An invoice, please")
    desk.work()
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    page = text_of(manager.get("/rules/A01/review"))
    assert "Row 2, Set priority from High to Urgent" in words(page)
    assert "compared with v1 on the last" in page
    assert f'href="/tickets/{ticket}"' in page
    assert "Priority from High to Urgent" in words(page)


def test_publishing_needs_a_note_and_is_live_with_the_next_ticket(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    seen = stored(desk).draft_count
    refused = send(manager, "/rules/A01/publish", {"seen": seen, "note": "  "})
    assert refused.status_code == 422
    assert "Nothing was published." in text_of(refused)
    assert stored(desk).live_version == 1
    assert send(manager, "/rules/A01/publish", {"seen": seen, "note": "Money is urgent"}).status_code == 302
    assert stored(desk).live_version == 2
    ticket = desk.ticket("An invoice, please")
    desk.work()
    assert desk.state(ticket)["priority"] == "urgent"
    assert "Money is urgent" in text_of(manager.get("/rules/A01/versions"))


def test_a_draft_with_a_problem_is_not_published(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="cell", row="r1", column="c1", c1__op="any_of", c1__more="emial")
    answer = send(manager, "/rules/A01/publish", {"seen": stored(desk).draft_count, "note": "Try"})
    assert answer.status_code == 422
    assert stored(desk).live_version == 1


def test_a_draft_somebody_saved_meanwhile_is_not_published(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    reviewed = stored(desk).draft_count
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="low")
    answer = send(manager, "/rules/A01/publish", {"seen": reviewed, "note": "As reviewed"})
    assert answer.status_code == 409
    assert (stored(desk).live_version, stored(desk).draft is not None) == (1, True)


def test_rolling_back_publishes_the_old_content_as_the_newest_version(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    send(manager, "/rules/A01/publish", {"seen": stored(desk).draft_count, "note": "Urgent"})
    page = words(text_of(manager.get("/rules/A01/versions?version=2&against=1")))
    assert "Row 2, Set priority from High to Urgent" in page
    answer = send(manager, "/rules/A01/roll-back", {"version": 1, "seen": stored(desk).draft_count})
    assert answer.status_code == 302
    after = stored(desk)
    assert after.live_version == 3
    assert after.content is not None
    assert after.content["rows"][1]["then"]["s2"] == {"priority": "high"}


def test_rolling_back_does_not_throw_a_draft_away(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="cell", row="r2", column="s2", s2__priority="urgent")
    answer = send(manager, "/rules/A01/roll-back", {"version": 1, "seen": stored(desk).draft_count})
    assert answer.status_code == 422
    assert (stored(desk).live_version, stored(desk).draft is not None) == (1, True)


def test_a_discarded_draft_is_gone_and_live_stays(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    edit(manager, desk, do="delete_row", row="r1")
    old = stored(desk).draft_count - 1
    assert send(manager, "/rules/A01/discard", {"seen": old}).status_code == 409
    assert stored(desk).draft is not None
    assert send(manager, "/rules/A01/discard", {"seen": old + 1}).status_code == 302
    assert stored(desk).draft is None
    assert len(stored(desk).working["rows"]) == 2


def test_the_why_page_explains_both_sides(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    desk.ticket("An invoice, please")
    desk.work()
    edit(manager, desk, do="cell", row="r2", column="c2", c2__op="contains_any", c2__more="refund")
    part = text_of(manager.get("/rules/A01/preview", headers={"X-Part": "1"}))
    link = re.search(r'href="(/rules/A01/why/\d+)"', part)
    assert link is not None
    page = words(text_of(manager.get(link[1])))
    assert "If you publish this draft" in page
    assert "“An invoice, please”" in page


# Who may --------------------------------------------------------------------------------------------------------

PATHS = ["", "/A01", "/A01/rows/r1", "/A01/settings", "/A01/review", "/A01/versions", "/A01/preview", "/A01.yaml"]
POSTS = [
    "",
    "/A01/edit",
    "/A01/publish",
    "/A01/switch",
    "/A01/move",
    "/A01/discard",
    "/A01/roll-back",
    "/A01/paste",
    "/A01/delete",
]


def test_agents_may_neither_read_nor_change_rules(desk: Desk, agent: FlaskClient) -> None:
    desk.publish()
    before = dump(desk.services.db)
    for path in PATHS:
        assert agent.get(f"/rules{path}").status_code == 403, path
    for path in POSTS:
        assert send(agent, f"/rules{path}", {"seen": 2, "do": "add_row", "name": "x"}).status_code == 403, path
    assert agent.get("/templates").status_code == 403
    assert dump(desk.services.db) == before


def test_a_form_without_its_token_changes_nothing(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    before = dump(desk.services.db)
    for path in POSTS:
        assert manager.post(f"/rules{path}", data={"seen": 2, "do": "add_row", "name": "x"}).status_code == 400, path
    assert dump(desk.services.db) == before


def test_scripts_and_templates_are_not_opened_as_tables(desk: Desk, manager: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        rule_list.create(
            connection, EntryKind.SCRIPT, "S", {"source": ""}, author="ana", now=desk.clock.now(), code="S01"
        )
    assert manager.get("/rules/S01").status_code == 404
    assert manager.get("/rules/A77").status_code == 404
    assert send(manager, "/rules/S01/edit", {"do": "add_row", "seen": 1}).status_code == 404


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"])
def test_what_people_type_is_shown_as_text(desk: Desk, manager: FlaskClient, hostile: str) -> None:
    table = copy.deepcopy(TRIAGE)
    table["name"] = hostile
    table["rows"][1]["if"]["c2"]["value"] = [hostile]
    table["rows"][1]["note"] = hostile
    desk.publish(table)
    edit(manager, desk, do="note", row="r1", note=hostile)
    for path in ("", "/A01", "/A01/rows/r2", "/A01/rows/r1/menu", "/A01/review", "/A01/settings"):
        page = text_of(manager.get(f"/rules{path}"))
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "49" not in re.findall(r"<h1[^>]*>([^<]*)", page)


def test_no_page_of_the_editor_has_inline_code_or_style(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    for path in ("", "/A01", "/A01/rows/r1", "/A01/settings", "/A01/review", "/A01/preview"):
        page = text_of(manager.get(f"/rules{path}", follow_redirects=True))
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"\sstyle=|\son[a-z]+=", page), path


# Templates -------------------------------------------------------------------------------------------------------


def a_template(desk: Desk, manager: FlaskClient) -> str:
    location = send(manager, "/templates", {"name": "Welcome"}).headers["Location"]
    return str(location).rpartition("/")[2]


def test_a_template_is_written_published_and_sent_by_a_table(desk: Desk, manager: FlaskClient) -> None:
    code = a_template(desk, manager)
    sent: dict[str, Any] = {
        "name": "Welcome",
        "en.subject": "Hello",
        "en.body": "Dear {{customer.name}},",
        "do": "save",
    }
    assert send(manager, f"/templates/{code}", {**sent, "seen": 1}).status_code == 302
    assert stored(desk, code).live_version is None
    answer = send(manager, f"/templates/{code}", {**sent, "seen": 2, "do": "publish", "note": "First"})
    assert answer.status_code == 302
    content = stored(desk, code).content
    assert content is not None
    assert content["texts"] == {"en": {"subject": "Hello", "body": "Dear {{customer.name}},"}}
    table = copy.deepcopy(TRIAGE)
    table["steps"].append({"id": "s3", "do": "post_message"})
    table["rows"][1]["then"]["s3"] = {"template": code}
    desk.publish(table)
    assert "New ticket triage" in text_of(manager.get(f"/templates/{code}"))
    assert "Welcome" in words(text_of(manager.get("/rules/A01")))


def test_a_placeholder_that_does_not_exist_blocks_publishing_and_says_what_does(
    desk: Desk, manager: FlaskClient
) -> None:
    code = a_template(desk, manager)
    sent = {"name": "W", "fr.body": "Bonjour {{customer.nom}}", "seen": 1, "do": "publish", "note": "First"}
    answer = send(manager, f"/templates/{code}", sent)
    assert answer.status_code == 422
    assert "There is no placeholder" in text_of(answer)
    assert "Bonjour {{customer.nom}}" in text_of(answer)
    assert (stored(desk, code).live_version, stored(desk, code).draft_count) == (None, 1)


def test_a_template_somebody_else_saved_is_not_overwritten(desk: Desk, manager: FlaskClient) -> None:
    code = a_template(desk, manager)
    send(manager, f"/templates/{code}", {"name": "W", "en.body": "First", "seen": 1, "do": "save"})
    late = send(manager, f"/templates/{code}", {"name": "W", "en.body": "Second", "seen": 1, "do": "save"})
    assert late.status_code == 409
    assert "Second" in text_of(late)
    assert stored(desk, code).working["texts"]["en"]["body"] == "First"


def test_forms_of_two_people_in_different_rows_are_both_saved_and_in_one_row_are_shown(
    desk: Desk, manager: FlaskClient
) -> None:
    desk.publish()

    def of(path: str) -> dict[str, str]:
        """What the form on this page carries of the row."""
        page = text_of(manager.get(f"/rules/A01/rows/{path}"))
        (form,) = [part for part in page.split("<form") if 'name="was"' in part]
        return dict(re.findall(r'name="(was|seen|do|row|column)" value="([^"]*)"', form.partition("</form>")[0]))

    first, second, third = of("r1?only=s1"), of("r2"), of("r1?only=s1")
    assert send(manager, "/rules/A01/edit", {**first, "s1.team": "billing"}).status_code == 302
    assert send(manager, "/rules/A01/edit", {**second, "s1.team": "sales"}).status_code == 302
    assert stored(desk).draft_count == int(first["seen"]) + 2
    now = [row["then"] for row in stored(desk).working["rows"]]
    assert now == [{"s1": {"team": "billing"}}, {"s1": {"team": "sales"}}]
    answer = send(manager, "/rules/A01/edit", {**third, "s1.team": "sales"})
    assert answer.status_code == 409
    page = words(text_of(answer))
    assert "Saved Row 1 Channel: Chat → Assign team: Billing" in page
    assert "Yours Row 1 Channel: Chat → Assign team: Sales" in page
    assert [row["then"] for row in stored(desk).working["rows"]] == now


def test_without_scripts_too_only_the_parameters_of_the_chosen_trigger_are_shown() -> None:
    css = (Path(__file__).parents[2] / "web" / "static" / "css" / "rules_editor.css").read_text(encoding="utf-8")
    for key, record in TRIGGERS.items():
        if record.params:
            assert f'.trig:not(:has(option[value="{key}"]:checked)) > .params > [data-for="{key}"]' in css, key
