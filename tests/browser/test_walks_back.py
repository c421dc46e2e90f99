"""From the keyboard alone: versions and what they did taken back, files brought in, tests of scripts, and refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from jobs import undo
from jobs.undo import Scope
from rules import files
from rules import store as rule_list
from tests.browser.conftest import Served, Visitor
from tests.browser.test_walks import at_work, press
from tests.web.desk import PASSWORD, TRIAGE
from tickets import people

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]


@pytest.fixture
def desk(served: Served) -> Served:
    """Ana, who may do everything, and a table with two versions."""
    served.desk.user("ana", "admin", name="Ana Nowak", teams=("billing",))
    served.desk.publish(copy.deepcopy(TRIAGE))
    return served


def second_version(desk: Served, *, keep: int = 1, name: str = "New ticket triage") -> None:
    table = {**copy.deepcopy(TRIAGE), "name": name}
    table["rows"] = table["rows"][:keep]
    with desk.desk.services.db.write() as connection:
        now = desk.desk.clock.now()
        seen = rule_list.entry(connection, "A01").draft_count
        seen = rule_list.save_draft(connection, "A01", {**table, "code": "A01"}, author="ana", seen=seen, now=now)
        rule_list.publish(connection, "A01", author="ana", note="Shorter", seen=seen, now=now)


def test_what_a_version_changed_is_where_the_page_goes_on(desk: Served, visit: Visit) -> None:
    second_version(desk)
    page = at_work(visit, "/rules/A01/versions")
    press(page, page.get_by_role("link", name="Compare with live"))
    expect(page.locator("#differences")).to_be_focused()
    expect(page.locator("#differences")).to_contain_text("From version 1 to version 2")
    page.keyboard.press("Tab")
    again = page.get_by_role("button", name="Publish version 1 again")
    expect(again).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("main .notice")).to_contain_text("Version 3 is live; it says what version 1 said.")


def test_what_has_the_focus_keeps_it_while_the_page_asks_how_far_taking_back_is(desk: Served, visit: Visit) -> None:
    desk.desk.ticket("Double charge, refund please")
    desk.desk.work()
    with desk.desk.services.db.write() as connection:
        now = desk.desk.clock.now()
        version = rule_list.versions(connection, "A01")[0]
        scope = Scope("A01", 1, version.published_at, now)
        assert undo.touched(connection, scope) == [1]
        ana = people.viewer(connection, "ana")
        assert ana is not None
        undo_id = undo.start(connection, scope, ana, now)
    page = at_work(visit, f"/rules/A01/undo/{undo_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Version 1 of New ticket triage is being taken back")
    page.locator("#undo").get_by_role("link", name="1").focus()
    undo.carry_on(desk.desk.services, budget_s=10)
    expect(page.get_by_role("heading", level=1)).to_have_text("Version 1 of New ticket triage is taken back")
    expect(page.locator("#undo").get_by_role("link", name="1")).to_be_focused()
    expect(page.locator("#live")).to_have_text("Done: 1 ticket is as it was.")


def test_what_a_file_would_change_is_where_the_page_goes_on(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/import")
    text = page.get_by_label("Or paste it here")
    begins = page.locator("[data-begin]")
    text.fill(files.dump({**copy.deepcopy(TRIAGE), "code": "A01", "name": "Triage of everything"}))
    press(page, page.get_by_role("button", name="Show what would change"))
    expect(begins).to_be_focused()
    expect(begins).to_have_text("Nothing is imported yet. This is what would change:")
    with desk.desk.services.db.read() as connection:
        live = rule_list.entry(connection, "A01").content
    page.get_by_text("Change the text").press("Enter")
    text.fill(files.dump({**(live or {}), "code": "A01"}))
    press(page, page.get_by_role("button", name="Show what would change"))
    expect(begins).to_be_focused()
    expect(begins).to_contain_text("There is nothing to import.")


def test_two_who_move_a_row_at_once_read_which_row_the_second_took(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/A01")
    expect(page.locator("#facts")).to_contain_text("Runs when")
    second_version(desk, keep=2, name="Triage first")
    page.locator('td[data-row="r1"]').first.focus()
    page.keyboard.press("Alt+ArrowDown")
    conflict = page.locator(".conflict")
    expect(conflict.locator("li")).to_contain_text(["Row 2 moved"])
    expect(conflict.locator(".versus")).to_have_count(0)  # both would say the same


def test_a_ticket_that_cannot_be_linked_leaves_its_number_to_be_mended(desk: Served, visit: Visit) -> None:
    desk.desk.ticket("Broken lamp")
    desk.desk.ticket("Where is my parcel?")
    page = at_work(visit, "/tickets/1")
    page.get_by_label("This ticket").select_option("part_of")
    number = page.get_by_label("Ticket number")
    number.fill("#77")
    press(page, number)
    expect(number).to_be_focused()
    expect(number).to_have_value("#77")
    expect(number).to_have_accessible_description("There is no ticket 77, or it is not visible to you.")
    expect(page.get_by_label("This ticket")).to_have_value("part_of")
    number.fill("2")
    press(page, number)
    expect(page.locator(".linked")).to_contain_text("Where is my parcel?")


def test_what_was_typed_in_a_rows_form_comes_along_to_a_new_condition_and_back(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/A01/rows/r1")
    page.get_by_label("Note for colleagues").fill("Ask Ana first")
    press(page, page.get_by_role("button", name="Add a condition"))
    press(page, page.get_by_role("button", name="Language ticket.language"))
    fresh = page.get_by_role("group", name="Language")
    expect(fresh).to_be_focused()
    expect(page.get_by_label("Note for colleagues")).to_have_value("Ask Ana first")
    press(page, page.get_by_role("button", name="Groups: any of, none of"))
    press(page, page.get_by_role("button", name="Add group"))
    press(page, page.get_by_role("link", name="Cancel"))
    expect(page.get_by_role("heading", name="If", exact=True)).to_be_visible()
    press(page, page.get_by_role("button", name="Save row").last)
    expect(page.locator("main .notice.ok")).to_have_text("The draft is saved.")


def test_looking_at_what_could_be_added_makes_no_draft(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/rules/A01/rows/r1")
    press(page, page.get_by_role("button", name="Add a step"))
    press(page, page.get_by_role("link", name="Row 1"))
    expect(page.get_by_role("button", name="Add a step")).to_be_visible()
    with desk.desk.services.db.read() as connection:
        assert rule_list.entry(connection, "A01").draft is None


def test_who_goes_back_from_a_refusal_finds_what_they_typed(desk: Served, visit: Visit) -> None:
    desk.desk.ticket("Broken lamp")
    page = at_work(visit, "/tickets/1")
    page.keyboard.press("z")
    until = page.get_by_label("or until", exact=True)
    until.fill("2020-01-01T09:30")
    press(page, page.get_by_role("button", name="Snooze", exact=True))
    expect(page.locator("main").get_by_role("alert")).to_have_text(
        "A ticket sleeps until a time to come. Nothing was changed."
    )
    press(page, page.get_by_role("link", name="Go back"))
    expect(until).to_be_focused()
    expect(until).to_have_value("2020-01-01T09:30")
    assert desk.desk.state(1)["status"] == "open"
    # Once only: who comes later begins anew.
    page.reload()
    page.keyboard.press("z")
    expect(until).to_have_value("")


@pytest.mark.parametrize("who", ["ana", "bob"])
def test_who_was_signed_out_while_writing_finds_it_after_signing_in_and_nobody_else_does(
    who: str, desk: Served, visit: Visit
) -> None:
    desk.desk.user("bob", "admin", name="Bob Dudek", teams=("billing",))
    desk.desk.ticket("Broken lamp")
    page = at_work(visit, "/tickets/1")
    page.get_by_label("Message").fill("A long answer, written over lunch")
    page.context.clear_cookies()
    press(page, page.get_by_role("button", name="Internal note"))
    expect(page.locator("main")).to_contain_text("This form was open for too long")
    press(page, page.get_by_role("link", name="Go back"))
    page.get_by_label("E-mail").fill(f"{who}@deskhand.test")
    page.get_by_label("Password").fill("not this one")
    press(page, page.get_by_role("button", name="Sign in"))
    expect(page.locator("main")).to_contain_text("The e-mail address or the password is not right")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, page.get_by_role("button", name="Sign in"))
    expect(page.get_by_role("heading", name="Broken lamp")).to_be_visible()
    expect(page.get_by_label("Message")).to_have_value("A long answer, written over lunch" if who == "ana" else "")
