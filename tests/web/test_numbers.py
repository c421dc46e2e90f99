"""Numbers in fields and addresses: one that no row can have counts as none given, and never reaches a database."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask

from run_tool.places import ROOT
from tests.web.desk import Desk, let_in, send
from web.forms import LARGEST_KEY, a_number

BEYOND = str(2**63)


def test_a_number_that_no_row_can_have_is_none() -> None:
    assert a_number(str(LARGEST_KEY)) == LARGEST_KEY
    for wrong in (str(LARGEST_KEY + 1), str(-LARGEST_KEY - 1), BEYOND, "9" * 5_000, "x", ""):
        with pytest.raises(ValueError):
            a_number(wrong)


def test_no_page_reads_a_number_in_another_way() -> None:
    found = [
        path.name for path in ROOT.glob("web/*.py") if re.search(r"(get|getlist)\([^()]*type=int\b", path.read_text())
    ]
    assert found == []


def test_pages_take_a_number_beyond_all_for_none(desk: Desk, app: APIFlask) -> None:
    item_id = desk.ticket("Refund")
    browser = app.test_client()
    let_in(browser, desk.user("root", "admin"))
    assert browser.get(f"/tickets/{item_id}/why/A01?event={BEYOND}").status_code == 404
    assert send(browser, f"/tickets/{item_id}/seen", {"up_to": BEYOND}).status_code < 400
    assert (
        send(browser, f"/tickets/{item_id}/messages", {"text": "Hello", "kind": "note", "up_to": BEYOND}).status_code
        < 400
    )
    assert send(browser, "/bulk", {"item": BEYOND, "action": "archive"}).status_code < 500
    assert browser.get(f"/tickets?page={BEYOND}").status_code < 500
