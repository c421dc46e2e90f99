"""How many tickets match now, as the editor says it."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from jobs import counting
from jobs.counting import Count, Why
from rules import store as rule_list
from rules.store import Stored
from tests.web.desk import TRIAGE, Desk, let_in, send
from web.rules_counts import told

PART = {"HX-Request": "true"}


@pytest.fixture
def manager(desk: Desk, app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A browser of somebody in billing; besides their tickets there is one that only ethics sees."""
    # A busy machine is no reason to count less here.
    monkeypatch.setattr(counting, "ASKING_S", 600)
    email = desk.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
    desk.publish()
    for subject in ("A refund, please", "An invoice, please", "Where is my parcel?"):
        desk.ticket(subject)
    desk.ticket("A refund, quietly", team="ethics")
    browser = app.test_client()
    let_in(browser, email)
    return browser


def stored(desk: Desk) -> Stored:
    with desk.services.db.read() as connection:
        return rule_list.entry(connection, "A01")


def draft(desk: Desk, **changes: Any) -> None:
    seen = stored(desk).draft_count
    with desk.services.db.write() as connection:
        rule_list.save_draft(connection, "A01", {**TRIAGE, **changes}, author="ana", seen=seen, now=desk.clock.now())


def counted(manager: FlaskClient) -> tuple[str, dict[str, str]]:
    """(what is said of the table, of each row)."""
    page = manager.get("/rules/A01/counts", headers=PART).get_data(as_text=True)
    rows = re.findall(r'id="now-(\w+)"[^>]*><span[^>]*>([^<]*)</span><span class="sr">([^<]*)<', page)
    return page.strip().partition("\n")[0], {id: f"{short}|{said}" for id, short, said in rows}


def asked(manager: FlaskClient, place: str, **form: object) -> str:
    answer = send(manager, f"/rules/A01/rows/{place}/count", form, headers=PART)
    assert answer.status_code == 200
    return answer.get_data(as_text=True).strip()


def test_each_row_and_the_table_say_how_many_tickets_match_now(desk: Desk, manager: FlaskClient) -> None:
    assert counted(manager) == (
        "3 tickets match now.",
        {"r1": "0|0 tickets match now.", "r2": "2|2 tickets match now."},
    )
    draft(desk, otherwise=None)
    assert counted(manager)[0] == "2 tickets match now."


def test_a_row_with_a_problem_is_left_out_and_the_others_are_counted(desk: Desk, manager: FlaskClient) -> None:
    rows: Any = copy.deepcopy(TRIAGE["rows"])
    rows[0]["if"]["c1"] = {"value": "fax"}
    draft(desk, rows=rows)
    assert counted(manager)[1] == {"r2": "2|2 tickets match now."}
    draft(desk, columns=[{"id": "c1", "field": "ticket.nothing"}])
    assert counted(manager) == ("Tickets are counted when the problems are mended.", {})


def test_a_row_is_counted_as_its_form_stands_and_nothing_is_saved(desk: Desk, manager: FlaskClient) -> None:
    before = stored(desk)
    cell = {"do": "cell", "row": "r2", "column": "c2", "c2.op": "contains_any"}
    assert asked(manager, "r2", **{**cell, "c2.more": "parcel"}) == "1 ticket matches now."
    assert asked(manager, "r2", **{**cell, "c2.more": "refund\ninvoice\nparcel"}) == "3 tickets match now."
    whole = {"do": "row", "row": "r2", "c1.op": "any_of", "c1.value": "chat", "c2.op": "contains_any"}
    assert asked(manager, "r2", **{**whole, "c2.more": "refund"}) == "0 tickets match now."
    assert stored(desk) == before


def test_what_cannot_be_read_is_said_in_the_same_place(desk: Desk, manager: FlaskClient) -> None:
    cell = {"do": "cell", "row": "r2", "column": "c2", "c2.op": "matches", "c2.more": "("}
    assert asked(manager, "r2", **cell) == "Not counted: the row has problems."
    assert "nothing that can be done" in asked(manager, "r2", do="dance")
    assert asked(manager, "otherwise", do="row", row="otherwise") == ""


def test_the_scope_being_written_is_counted_by_itself(desk: Desk, manager: FlaskClient) -> None:
    form = {"do": "groups", "row": "scope", "g.new": "ticket.team", "add": "g"}
    assert asked(manager, "scope", do="groups", row="scope") == "3 tickets match now."
    assert asked(manager, "scope", **form)  # a condition without a value yet: whatever it says, it says something
    draft(desk, scope=[{"field": "ticket.subject", "op": "contains_any", "value": "refund"}])
    assert counted(manager)[0] == "1 ticket matches now."


def test_a_browser_without_scripts_gets_the_counts_with_the_page(desk: Desk, manager: FlaskClient) -> None:
    answer = manager.get("/rules/A01/counts")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/rules/A01?counted=1")
    page = manager.get("/rules/A01?counted=1").get_data(as_text=True)
    assert 'id="now-r2" data-word="now">2<' in page
    assert "3 tickets match now." in page
    assert "tickets match now" not in manager.get("/rules/A01").get_data(as_text=True)


def test_what_is_not_exact_says_what_stands_in_the_way(app: APIFlask) -> None:
    with app.test_request_context():
        assert told(Count(4, Why.OUTSIDE, "ERP party")).short == "≥ 4"
        assert told(Count(4, Why.OUTSIDE, "ERP party")).sentence == (
            "At least 4 tickets match now; for others ERP party would have to be asked."
        )
        assert (told(Count(0, Why.EVENT, "Priority")).short, told(Count(0, Why.EVENT, "Priority")).sentence) == (
            "–",
            "Not counted: it depends on what happens to a ticket (Priority).",
        )
        assert told(Count(0, Why.MORE_ITEMS)).short == "≥ 0"
        said = {told(Count(number, why, "X")).sentence for why in Why for number in (0, 1)}
        # One sentence for "only the newest" whether some match or none; every other pair differs.
        assert len(said) == 2 * len(Why)
