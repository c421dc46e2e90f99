"""The rule editor as people use it: from the keyboard alone, by mouse, on a phone, without scripts, by two at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from jobs import counting
from rules import store as rule_list
from rules.store import Stored
from tests.browser.conftest import Served, Visitor
from tests.web.desk import TRIAGE

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]


@pytest.fixture
def triage(served: Served) -> Served:
    """Ana the manager, a live table, and tickets it has decided."""
    desk = served.desk
    desk.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
    desk.user("ion", "manager", "agent", name="Ion Popescu", teams=("sales",))
    table = copy.deepcopy(TRIAGE)
    table["rows"].append({"id": "r3", "if": {}, "then": {"s2": {"priority": "low"}}})
    desk.publish(table)
    for subject in ("An invoice, please", "A refund, please", "Where is my parcel?"):
        desk.ticket(subject)
    desk.work()
    return served


def opened(visit: Visit, who: str = "ana", **how: object) -> Page:
    visitor = visit(**how)
    visitor.let_in(f"{who}@deskhand.test")
    visitor.go("/rules/A01")
    expect(visitor.page.locator("#dock .dock")).to_be_visible()
    return visitor.page


def cell(page: Page, row: str, column: str) -> Locator:
    return page.locator(f'td[data-row="{row}"][data-column="{column}"]')


def stored(served: Served) -> Stored:
    with served.desk.services.db.read() as connection:
        return rule_list.entry(connection, "A01")


def rows(served: Served) -> list[dict[str, Any]]:
    return list(stored(served).working["rows"])


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    expect(page.locator("#grid")).not_to_have_class("busy")


def test_a_cell_is_changed_from_the_keyboard_alone_and_focus_comes_back(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r1", "c1").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(cell(page, "r2", "s2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pop")).to_be_visible()
    expect(page.locator("#pop [data-finder]")).to_be_focused()
    page.keyboard.type("urg")
    page.keyboard.press("Enter")  # ticks the only value left
    page.keyboard.press("Enter")  # saves
    expect(page.locator("#pop")).to_be_hidden()
    expect(cell(page, "r2", "s2")).to_have_text("Urgent")
    expect(cell(page, "r2", "s2")).to_be_focused()
    saved(page)
    assert rows(triage)[1]["then"]["s2"] == {"priority": "urgent"}


def test_escape_leaves_the_cell_as_it_was(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    before = stored(triage).draft_count
    cell(page, "r2", "s1").focus()
    page.keyboard.press("F2")
    expect(page.locator("#pop")).to_be_visible()
    page.get_by_role("radio", name="Sales").check()
    page.keyboard.press("Escape")
    expect(page.locator("#pop")).to_be_hidden()
    expect(cell(page, "r2", "s1")).to_be_focused()
    expect(cell(page, "r2", "s1")).to_have_text("Billing")
    assert stored(triage).draft_count == before


def test_rows_and_columns_are_worked_by_keys_and_undone(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r2", "s1").focus()
    page.keyboard.press("Control+d")
    expect(cell(page, "r4", "s1")).to_be_focused()
    assert [row["id"] for row in rows(triage)] == ["r1", "r2", "r4", "r3"]
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("tbody tr").nth(1)).to_have_id("row-r4")
    expect(cell(page, "r4", "s1")).to_be_focused()
    page.keyboard.press("Delete")
    expect(cell(page, "r4", "s1").locator(".any")).to_have_count(1)
    page.keyboard.press("Alt+ArrowRight")
    expect(page.locator("thead [data-head]").nth(3)).to_have_attribute("data-head", "s1")
    for _ in range(4):
        page.keyboard.press("Control+z")
        saved(page)
    expect(page.locator("[data-do=undo]")).to_be_disabled()
    expect(cell(page, "r4", "s1")).to_have_count(0)
    assert [row["id"] for row in rows(triage)] == ["r1", "r2", "r3"]
    assert [step["id"] for step in stored(triage).working["steps"]] == ["s1", "s2"]
    page.keyboard.press("Control+y")
    expect(cell(page, "r4", "s1")).to_be_visible()


def test_tab_leaves_the_table_and_comes_back_to_the_same_cell(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r2", "c2").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('td[data-column]')")
    page.keyboard.press("Shift+Tab")
    expect(cell(page, "r2", "c2")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_count_that_comes_later_leaves_save_under_the_pointer(triage: Served, visit: Visit, width: int) -> None:
    page = opened(visit, width=width)
    save = page.locator("#pop").get_by_role("button", name="Save")
    sentence = "At least 2 tickets match now; for others it depends on what happens to them. " * 3
    before = []

    def later(route: Route) -> None:
        save.wait_for()
        before.append(save.bounding_box())
        route.fulfill(body=sentence)

    page.route("**/rows/r2/count", later)
    cell(page, "r2", "c2").click()
    expect(page.locator("#pop .matches")).to_contain_text("At least 2 tickets")
    assert [save.bounding_box()] == before


def test_the_dock_follows_the_draft_and_marks_the_rows(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    expect(page.locator("#dock")).to_contain_text("Nothing would differ")
    expect(page.locator('[data-hits="r2"] .v')).to_have_text("2")
    cell(page, "r2", "c2").click()
    page.locator("#pop textarea").fill("refund")
    page.locator("#pop").get_by_role("button", name="Save").click()
    expect(page.locator('[data-hits="r2"] .v')).to_have_text("1")
    expect(page.locator('[data-hits="r2"] .down')).to_have_text("−1")
    expect(page.locator("#dock .list tbody tr")).to_have_count(1)
    expect(page.locator("#dock")).to_contain_text("An invoice, please")
    expect(page.locator("#state")).to_contain_text("Draft, 1 change")
    expect(cell(page, "r2", "c2")).to_have_class("if chg")
    page.get_by_role("link", name="Why").click()
    expect(page.get_by_role("heading", name="An invoice, please")).to_be_visible()


def test_a_condition_and_a_step_are_added_from_searchable_menus(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    page.get_by_role("link", name="Add a condition").click()
    page.locator("#pop [data-finder]").fill("langu")
    page.locator("#pop").get_by_role("button", name="Language ticket.language").click()
    expect(page.locator("thead [data-head=c3]")).to_have_text("Language")
    page.get_by_role("link", name="Add a step").click()
    page.locator("#pop").get_by_role("button", name="Add tags").click()
    expect(page.locator("thead [data-head=s3]")).to_have_text("Add tags")
    cell(page, "r1", "c3").click()
    page.locator("#pop").get_by_label("French").check()
    page.locator("#pop").get_by_label("Polish").check()
    page.locator("#pop").get_by_role("button", name="Save").click()
    expect(cell(page, "r1", "c3")).to_contain_text("French")
    saved(page)
    assert rows(triage)[0]["if"]["c3"] == {"value": ["fr", "pl"]}


def test_on_a_phone_a_condition_and_a_step_are_added_below_the_rows(triage: Served, visit: Visit) -> None:
    """Its cards have no heads of columns, where the buttons stand otherwise."""
    page = opened(visit, width=390)
    for words, found, key, left in (
        ("Add a condition", "Language ticket.language", "columns", "c3"),
        ("Add a step", "Add tags", "steps", "s3"),
    ):
        page.get_by_role("link", name=words).click()
        page.locator("#pop").get_by_role("button", name=found).click()
        expect(page.locator("#pop")).to_be_hidden()
        expect(page.get_by_role("link", name=words)).to_be_focused()
        saved(page)
        assert [one["id"] for one in stored(triage).working[key]][-1] == left


def test_enter_on_a_cell_of_words_begins_with_the_words(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r3", "c2").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#pop textarea")).to_be_focused()
    page.keyboard.type("parcel")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#pop")).to_be_hidden()
    expect(cell(page, "r3", "c2")).to_contain_text("parcel")
    saved(page)
    assert rows(triage)[2]["if"] == {"c2": {"value": ["parcel"]}}


def test_two_people_see_that_they_met_and_choose(triage: Served, visit: Visit) -> None:
    ana, ion = opened(visit), opened(visit, "ion")
    cell(ana, "r2", "s2").click()
    ana.get_by_role("radio", name="Urgent").check()
    ana.locator("#pop").get_by_role("button", name="Save").click()
    expect(cell(ana, "r2", "s2")).to_have_text("Urgent")
    cell(ion, "r2", "s2").click()
    ion.get_by_role("radio", name="Low").check()
    ion.locator("#pop").get_by_role("button", name="Save").click()
    expect(ion.locator("#ask")).to_contain_text("Ana Nowak saved this draft since you opened it")
    expect(ion.locator("#ask .versus section").nth(0)).to_contain_text("Set priority: Urgent")
    expect(ion.locator("#ask .versus section").nth(1)).to_contain_text("Set priority: Low")
    assert rows(triage)[1]["then"]["s2"] == {"priority": "urgent"}
    ion.get_by_role("button", name="Put my change on top").click()
    expect(cell(ion, "r2", "s2")).to_have_text("Low")
    saved(ion)
    assert rows(triage)[1]["then"]["s2"] == {"priority": "low"}
    ion.keyboard.press("Control+z")
    expect(cell(ion, "r2", "s2")).to_have_text("Urgent")  # hers, not what was there before her


def test_two_people_in_different_cells_do_not_disturb_each_other(triage: Served, visit: Visit) -> None:
    ana, ion = opened(visit), opened(visit, "ion")
    cell(ana, "r2", "s2").click()
    ana.get_by_role("radio", name="Urgent").check()
    ana.locator("#pop").get_by_role("button", name="Save").click()
    expect(cell(ana, "r2", "s2")).to_have_text("Urgent")
    cell(ion, "r2", "s1").click()
    ion.get_by_role("radio", name="Sales").check()
    ion.locator("#pop").get_by_role("button", name="Save").click()
    expect(cell(ion, "r2", "s1")).to_have_text("Sales")
    expect(cell(ion, "r2", "s2")).to_have_text("Urgent")
    assert rows(triage)[1]["then"] == {"s1": {"team": "sales"}, "s2": {"priority": "urgent"}}


def test_a_group_is_made_and_read_back_from_the_keyboard_alone(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r1", "c1").focus()
    page.keyboard.press("g")
    expect(page.get_by_role("heading", level=1)).to_have_text("Groups of row 1")
    page.get_by_role("button", name="Add group").focus()
    page.keyboard.press("Enter")
    page.get_by_label("What the new condition looks at").select_option("message.text")
    page.get_by_role("button", name="Add condition").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Values").fill("refund")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("tr.groups")).to_contain_text("at least one of (Message contains refund)")
    assert rows(triage)[0]["groups"] == [{"any": [{"field": "message.text", "value": ["refund"]}]}]


def test_a_paste_from_a_spreadsheet_is_shown_and_then_saved(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    cell(page, "r3", "c1").focus()
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text/plain", text);
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true})); }""",
        "Chat\tparcel, delivery\tSales\tHigh\nE-mail\t\tBilling\t",
    )
    expect(page.locator("#ask")).to_contain_text("Row 4 added")
    page.locator("#ask").get_by_role("button", name="Paste").click()
    expect(cell(page, "r4", "s1")).to_have_text("Billing")
    saved(page)
    assert rows(triage)[2]["if"] == {"c1": {"value": "chat"}, "c2": {"value": ["parcel", "delivery"]}}


def test_a_table_is_edited_and_published_without_scripts(triage: Served, visit: Visit) -> None:
    visitor = visit(scripts=False)
    visitor.let_in("ana@deskhand.test")
    visitor.go("/rules/A01")
    page = visitor.page
    cell(page, "r2", "s2").get_by_role("link").click()
    page.get_by_role("radio", name="Urgent").check()
    page.get_by_role("button", name="Save").click()
    expect(cell(page, "r2", "s2")).to_have_text("Urgent")
    page.get_by_role("link", name="Try it on the last tickets").click()
    expect(page.locator("#dock .list tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Review and publish").click()
    page.get_by_label("What changes, and why").fill("Money is urgent")
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.locator(".notice.ok")).to_have_text("Version 2 is live.")
    assert stored(triage).live_version == 2


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_of_the_editor_fits_its_screen(triage: Served, visit: Visit, width: int) -> None:
    visitor = visit(width=width, height=844 if width == 390 else 800)
    visitor.let_in("ana@deskhand.test")
    for path in ("", "/A01", "/A01/rows/r2", "/A01/settings", "/A01/review", "/A01/versions?version=1", "/A01/python"):
        visitor.go(f"/rules{path}")
        if path == "/A01":
            expect(visitor.page.locator("#dock .dock")).to_be_visible()
        name = f"rules{path}".replace("/", "-").partition("?")[0]
        for suffix in visitor.shades():
            wide = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, path + suffix
            visitor.picture(f"{name}-{width}{suffix}")


def test_each_row_says_how_many_match_now_and_follows_what_is_typed(
    triage: Served, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "ASKING_S", 600)  # however busy the machine is
    page = opened(visit)
    expect(page.locator("#now-r2")).to_contain_text("2 tickets match now.")
    expect(page.locator("#counts")).to_contain_text("3 tickets match now.")
    before = stored(triage).draft_count
    cell(page, "r2", "c2").click()
    expect(page.locator("#pop .matches")).to_have_text("2 tickets match now.")
    page.locator("#pop textarea").fill("refund")
    # Counted before it is saved, and nothing is saved by it.
    expect(page.locator("#pop .matches")).to_have_text("1 ticket matches now.")
    assert stored(triage).draft_count == before
    page.locator("#pop").get_by_role("button", name="Save").click()
    expect(page.locator("#now-r2")).to_contain_text("1 ticket matches now.")


def test_on_a_phone_a_duration_is_read_whole_and_a_second_value_is_asked_only_between(
    triage: Served, visit: Visit
) -> None:
    desk = triage.desk
    table = copy.deepcopy(TRIAGE)
    table["columns"].append({"id": "c3", "field": "ticket.status_since", "op": "older_than"})
    table["rows"][0]["if"]["c3"] = {"value": "72 h"}
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
        rule_list.save_draft(connection, "A01", table, author="ana", seen=seen, now=desk.clock.now())
    visitor = visit(width=390)
    visitor.let_in("ana@deskhand.test")
    visitor.go("/rules/A01/rows/r1")
    page = visitor.page
    value = page.locator('input[name="c3.value"]')
    expect(value).to_have_value("72 h")
    assert value.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert value.evaluate("box => box.offsetWidth") >= 90
    upper = page.locator('input[name="c3.high"]')
    expect(upper).to_be_hidden()
    page.locator('select[name="c3.op"]').select_option("between")
    expect(upper).to_be_visible()


def test_the_python_of_a_table_is_reached_and_copied_by_keyboard(triage: Served, visit: Visit) -> None:
    page = opened(visit)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="As Python").focus()
    page.keyboard.press("Enter")
    text = page.get_by_role("region", name="As Python")
    expect(text).to_contain_text('ticket.assign_team(team="sales")')
    page.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text.text_content()
    page.keyboard.press("Tab")
    expect(text).to_be_focused()  # a long line is read by the arrow keys


def test_a_wide_table_keeps_its_bar_in_one_line_and_shows_that_it_goes_on(served: Served, visit: Visit) -> None:
    served.desk.user("ana", "manager", name="Ana Nowak")
    before = {**copy.deepcopy(TRIAGE), "name": "What comes first of all, and has a name for which there is no room"}
    wide = copy.deepcopy(TRIAGE)
    wide["steps"] = [{"id": f"s{at}", "do": "post_message"} for at in range(7)]
    said = {"text": "This takes as much room as a column has.", "public": False}
    wide["rows"] = [{"id": "r1", "if": {}, "then": {one["id"]: said for one in wide["steps"]}}]
    wide.pop("otherwise", None)
    codes = [served.desk.publish(one) for one in (before, wide)]
    visitor = visit()
    visitor.let_in("ana@deskhand.test")
    visitor.go(f"/rules/{codes[1]}")
    page = visitor.page
    shown = ".bar > :not(.grow, #saved)"
    middles = page.eval_on_selector_all(
        shown, "all => all.map((one) => { const at = one.getBoundingClientRect(); return at.top + at.height / 2; })"
    )
    assert len(middles) >= 5
    assert max(middles) - min(middles) < 4
    cut = "one => one.scrollWidth > one.clientWidth"
    assert page.locator(".facts .after").evaluate(cut)
    assert page.locator(".band .says small").evaluate(cut)
    grid = page.locator("#grid")
    expect(grid).to_have_class("sheet further")
    grid.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
    expect(grid).to_have_class("sheet")
