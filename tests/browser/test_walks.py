"""The desk from the keyboard alone, for longer than one thing: where the focus is after each step, and what is said."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from rules import store as rule_list
from tests.browser.conftest import Served, Visitor
from tests.web.desk import TRIAGE
from tickets.values import JSON

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
SUBJECTS = ("Double charge, refund please", "Where is my parcel?", "Broken lamp")


@pytest.fixture
def desk(served: Served) -> Served:
    """Ana, who may do everything, two tables, and three tickets of one team."""
    served.desk.user("ana", "admin", name="Ana Nowak", teams=("billing",))
    for subject in SUBJECTS:
        served.desk.ticket(subject, team="billing", tags=["vip", "slow"])
        served.desk.clock.move(minutes=3)
    table = copy.deepcopy(TRIAGE)
    table["rows"].append({"id": "r3", "if": {}, "then": {"s2": {"priority": "low"}}})
    served.desk.publish(table)
    served.desk.publish({**copy.deepcopy(TRIAGE), "name": "Second thoughts"})
    return served


def at_work(visit: Visit, path: str, **how: object) -> Page:
    visitor = visit(**how)
    visitor.let_in("ana@deskhand.test")
    visitor.go(path)
    return visitor.page


def loaded(page: Page, path: str) -> None:
    page.wait_for_url(f"**{path}", wait_until="load")


def press(page: Page, control: Locator, key: str = "Enter") -> None:
    """Press `key` on `control`, and wait for the page that answers."""
    control.focus()
    with page.expect_navigation():
        page.keyboard.press(key)


def test_j_and_k_go_on_from_the_row_that_has_the_focus_and_x_chooses_it(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/?queue=all")
    page.get_by_role("link", name="Where is my parcel?").focus()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Double charge")).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", name="Choose 1")).to_be_checked()
    page.keyboard.press("b")
    expect(page.get_by_label("With the chosen ones:")).to_be_focused()


def test_tickets_are_worked_one_after_the_other_without_going_back_to_the_list(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/?queue=all&team=billing")
    page.locator("main").focus()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    loaded(page, "/tickets/3")
    page.keyboard.press("k")
    expect(page.locator("#notices")).to_have_text("The list you came from has nothing further in this direction.")
    page.keyboard.press("j")
    loaded(page, "/tickets/2")
    page.keyboard.press("r")
    page.keyboard.type("Not for the customer")
    page.keyboard.press("Escape")
    page.keyboard.press("j")  # would lose what was typed
    expect(page.locator("#notices")).to_contain_text("A reply has been begun.")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Not for the customer")
    page.keyboard.press("r")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator(".msg.internal")).to_contain_text("Not for the customer")
    expect(page.get_by_role("button", name="Internal note")).to_be_focused()
    page.keyboard.press("j")
    loaded(page, "/tickets/1")
    page.keyboard.press("u")
    loaded(page, "/?queue=all&team=billing")


def test_a_ticket_opened_by_its_address_says_that_there_is_no_list_to_go_along(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/tickets/2")
    page.keyboard.press("j")
    expect(page.locator("#notices")).to_contain_text("Open this from a list")
    page.keyboard.press("u")
    loaded(page, "/")


def test_an_arrow_on_a_folded_list_sends_nothing_before_enter(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/tickets/2")
    page.keyboard.press("p")
    choice = page.get_by_label("Priority")
    expect(choice).to_be_focused()
    before = choice.input_value()
    page.keyboard.press("ArrowDown")
    expect(choice).not_to_have_value(before)
    expect(page.locator("details[open]").get_by_role("button", name="Save")).to_be_visible()
    page.keyboard.press("Escape")
    summary = page.locator("summary", has_text="Priority")
    expect(summary).to_be_focused()
    page.keyboard.press("p")
    expect(choice).to_be_focused()
    expect(choice).to_have_value(before)
    assert desk.desk.state(2).get("priority", "normal") == before
    page.keyboard.press("ArrowDown")
    expect(choice).not_to_have_value(before)
    chosen = choice.input_value()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(summary).to_be_focused()
    assert desk.desk.state(2)["priority"] == chosen


def test_the_focus_stays_where_a_form_was_sent_and_on_nothing_that_would_remove_more(
    desk: Served, visit: Visit
) -> None:
    page = at_work(visit, "/tickets/2")
    press(page, page.get_by_role("button", name="Follow"))
    expect(page.get_by_role("button", name="Following")).to_be_focused()
    press(page, page.get_by_role("button", name="Remove the tag slow"))
    expect(page.get_by_role("button", name="Remove the tag vip")).not_to_be_focused()
    expect(page.get_by_label("Add a tag", exact=True)).to_be_focused()
    assert desk.desk.state(2)["tags"] == ["vip"]


def test_a_table_is_moved_and_switched_again_and_again_by_one_key(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules")
    earlier = page.get_by_role("button", name="Run Second thoughts earlier")
    press(page, earlier)
    expect(earlier).to_be_disabled()  # it is the first now
    expect(page.get_by_role("button", name="Run Second thoughts later")).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run Second thoughts earlier")).to_be_enabled()
    switch = page.get_by_role("switch", name="Second thoughts")
    press(page, switch, "Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()


def test_a_refused_form_begins_with_what_is_wrong(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/settings/people/new")
    page.get_by_label("Name", exact=True).fill("Ana Again")
    page.locator("#f-email").fill("ana@deskhand.test")
    page.locator("#f-password").fill("long enough it is")
    press(page, page.get_by_role("button", name="Save"))
    expect(page.locator("main").get_by_role("alert")).to_be_focused()
    expect(page.locator("main").get_by_role("alert")).to_contain_text("ana@deskhand.test")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ana Again")


def cell(page: Page, row: str, column: str) -> Locator:
    return page.locator(f'td[data-row="{row}"][data-column="{column}"]')


def test_the_row_after_a_deleted_one_has_the_focus(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/A01")
    expect(page.locator("#facts")).to_contain_text("Runs when")
    cell(page, "r2", "s1").focus()
    page.keyboard.press("m")
    expect(page.locator("#pop")).to_be_visible()
    page.locator("#pop").get_by_role("button", name="Delete row 2").press("Enter")
    expect(cell(page, "r2", "s1")).to_have_count(0)
    expect(cell(page, "r3", "s1")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(cell(page, "r2", "s1")).to_be_visible()
    # A column, too: what stands in its place has the focus.
    page.locator('[data-head="c1"]').focus()
    page.keyboard.press("Enter")
    page.locator("#pop").get_by_role("button", name="Delete the column").press("Enter")
    expect(page.locator('[data-head="c1"]')).to_have_count(0)
    expect(page.locator("td[data-column]:focus")).to_have_count(1)
    with desk.desk.services.db.read() as connection:
        assert [one["id"] for one in rule_list.entry(connection, "A01").working["columns"]] == ["c2"]


def test_what_a_table_runs_after_is_said_after_an_edit_too(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/A02")
    facts = page.locator("#facts")
    expect(facts).to_contain_text("Runs after New ticket triage")
    cell(page, "r1", "s1").focus()
    page.keyboard.press("Delete")
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    expect(facts).to_contain_text("Runs after New ticket triage")


def test_a_cell_with_the_focus_is_not_hidden_behind_the_columns_that_stay(desk: Served, visit: Visit) -> None:
    wide = copy.deepcopy(TRIAGE)
    for number in range(3, 12):
        wide["steps"].append({"id": f"s{number}", "do": "add_tags"})
        wide["rows"][0]["then"][f"s{number}"] = {"tags": [f"a-long-tag-{number}"]}
    desk.desk.publish({**wide, "name": "Wide"})
    page = at_work(visit, "/rules/A03")
    cell(page, "r1", "c1").focus()
    covered = """() => { const box = document.activeElement.getBoundingClientRect();
        return document.elementFromPoint(box.right - 4, box.top + 8)?.closest("td") === document.activeElement; }"""
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(covered), page.evaluate("document.activeElement.dataset.column")
    expect(cell(page, "r1", "s11")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    expect(cell(page, "r1", "c1")).to_be_focused()


def test_a_table_without_conditions_has_its_steps_below_then(desk: Served, visit: Visit) -> None:
    steps: JSON = [{"id": "s1", "do": "assign_team"}]
    rows: JSON = [{"id": "r1", "if": {}, "then": {"s1": {"team": "billing"}}}]
    desk.desk.publish({**copy.deepcopy(TRIAGE), "name": "Bare", "columns": [], "steps": steps, "rows": rows})
    page = at_work(visit, "/rules/A03")
    left = "heads => heads.map(head => head.getBoundingClientRect().left)"
    over, below = page.locator("th.then.t0").evaluate_all(left)
    assert over == below
