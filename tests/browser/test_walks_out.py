"""From the keyboard alone: replies that wait for approval, and tables taken away as files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import select

from jobs.tables import OutboxRow
from tests.browser.conftest import Served, Visitor
from tests.browser.test_walks import at_work, press
from tests.web.desk import TRIAGE

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]

SUGGESTS = {
    **copy.deepcopy(TRIAGE),
    "name": "Kind answers",
    "columns": [],
    "steps": [{"id": "s1", "do": "suggest_reply"}],
    "rows": [{"id": "r1", "if": {}, "then": {"s1": {"text": "We are sorry, {{customer.name}}."}}}],
    "otherwise": {"then": {}},
}


@pytest.fixture
def desk(served: Served) -> Served:
    """Ana, who may do everything, and two tickets; on each a reply waits for somebody to approve it."""
    served.desk.user("ana", "admin", name="Ana Nowak", teams=("billing",))
    served.desk.publish(copy.deepcopy(SUGGESTS))
    for subject in ("Broken lamp", "Where is my parcel?"):
        served.desk.ticket(subject)
        served.desk.clock.move(minutes=1)
    served.desk.work()
    return served


def replies(desk: Served) -> dict[int | None, tuple[str, str]]:
    """Of each ticket, what became of the suggested reply, and its wording."""
    with desk.desk.services.db.read() as connection:
        rows = connection.execute(
            select(OutboxRow.item_id, OutboxRow.status, OutboxRow.payload).where(OutboxRow.kind == "reply")
        )
        return {row.item_id: (row.status, row.payload["text"]) for row in rows}


def word(reply: Locator, text: str) -> None:
    """Say this instead, and go on to the next control."""
    reply.get_by_role("textbox", name="Suggested reply").focus()
    for key in ("Control+a", *text, "Tab"):
        reply.page.keyboard.press(key)


def test_a_reply_is_worded_and_approved_and_the_next_takes_its_place(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/outbox?state=approval")
    lamp = page.locator(".outbox > li", has_text="Broken lamp")
    word(lamp, "A new lamp is on its way.")
    expect(lamp.get_by_role("button", name="Send as my reply")).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("main .notice")).to_have_text("Sent as your reply.")
    expect(lamp).to_have_count(0)
    expect(page.locator(".outbox > li")).to_be_focused()
    assert replies(desk) == {
        1: ("sent", "A new lamp is on its way."),
        2: ("approval", "We are sorry, Camille Laurent."),
    }


def test_on_a_ticket_what_is_approved_becomes_a_message_and_the_page_stays_where_it_was(
    desk: Served, visit: Visit
) -> None:
    page = at_work(visit, "/tickets/1")
    press(page, page.get_by_role("button", name="Send as my reply"))
    expect(page.locator("main .notice")).to_have_text("Sent as your reply.")
    expect(page.locator(".msg").get_by_text("We are sorry")).to_be_visible()
    expect(page.get_by_role("textbox", name="Suggested reply")).to_have_count(0)
    assert replies(desk)[1] == ("sent", "We are sorry, Camille Laurent.")


@pytest.mark.parametrize(
    ("link", "name", "says"),
    [("YAML", "A01.yaml", "Kind answers"), ("CSV", "A01.csv", "We are sorry"), ("TSV", "A01.tsv", "We are sorry")],
)
def test_a_table_is_taken_away_as_a_file_from_the_menu(
    desk: Served, visit: Visit, link: str, name: str, says: str
) -> None:
    page = at_work(visit, "/rules/A01")
    menu = page.get_by_label("Download", exact=True)
    menu.press("Enter")
    for _ in range(("YAML", "CSV", "TSV").index(link) + 1):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=f"{link}:")).to_be_focused()
    with page.expect_download() as begun:
        page.keyboard.press("Enter")
    assert begun.value.suggested_filename == name
    assert says in Path(begun.value.path()).read_text(encoding="utf-8")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(page.get_by_role("link", name=f"{link}:")).to_be_hidden()


def test_a_reply_is_rejected_and_the_next_takes_its_place(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/outbox?state=approval")
    lamp = page.locator(".outbox > li", has_text="Broken lamp")
    lamp.get_by_role("textbox", name="Suggested reply").focus()
    for button in ("Send as my reply", "Save the wording", "Reject"):
        page.keyboard.press("Tab")
        expect(lamp.get_by_role("button", name=button)).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("main .notice")).to_have_text("Rejected. Nothing was sent.")
    expect(lamp).to_have_count(0)
    expect(page.locator(".outbox > li")).to_be_focused()
    assert {item: status for item, (status, _) in replies(desk).items()} == {1: "cancelled", 2: "approval"}


@pytest.mark.parametrize("path", ["/outbox?state=approval", "/tickets/1"])
def test_a_wording_is_saved_and_the_focus_stays_on_what_was_pressed(desk: Served, visit: Visit, path: str) -> None:
    page = at_work(visit, path)
    lamp = page.locator("form.suggest").filter(has=page.locator('[formaction$="/outbox/1/edit"]'))
    word(lamp, "A new lamp is on its way.")
    page.keyboard.press("Tab")
    expect(lamp.get_by_role("button", name="Save the wording")).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("main .notice")).to_have_text("The wording is saved.")
    expect(lamp.get_by_role("textbox", name="Suggested reply")).to_have_value("A new lamp is on its way.")
    expect(lamp).to_contain_text("worded by Ana Nowak")
    expect(lamp.get_by_role("button", name="Save the wording")).to_be_focused()
    assert replies(desk)[1] == ("approval", "A new lamp is on its way.")
    press(page, lamp.get_by_role("button", name="Send as my reply"))
    assert replies(desk)[1] == ("sent", "A new lamp is on its way.")


def test_on_a_ticket_what_is_rejected_is_gone_and_the_keyboard_goes_on_in_the_page(desk: Served, visit: Visit) -> None:
    page = at_work(visit, "/tickets/1")
    press(page, page.get_by_role("button", name="Reject"))
    expect(page.locator("main .notice")).to_have_text("Rejected. Nothing was sent.")
    expect(page.get_by_role("textbox", name="Suggested reply")).to_have_count(0)
    expect(page.locator(".msg").get_by_text("We are sorry")).to_have_count(0)
    expect(page.get_by_role("main")).to_be_focused()
    assert replies(desk)[1][0] == "cancelled"
