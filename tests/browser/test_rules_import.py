"""Rules brought in from a file: from the keyboard, without scripts, and what is pasted wrong comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from rules import files
from rules import store as rule_list
from tests.browser.conftest import Served, Visitor
from tests.web.desk import TRIAGE

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]


@pytest.fixture
def triage(served: Served) -> Served:
    """Ana the manager and a live table."""
    served.desk.user("ana", "manager", "agent", name="Ana Nowak")
    served.desk.publish(TRIAGE)
    return served


def versions(served: Served) -> int:
    with served.desk.services.db.read() as connection:
        return len(rule_list.versions(connection, "A01"))


def test_a_paste_is_looked_at_and_published_from_the_keyboard(triage: Served, visit: Visit) -> None:
    visitor = visit()
    visitor.let_in("ana@deskhand.test")
    visitor.go("/rules")
    page = visitor.page
    page.get_by_role("link", name="Import").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Import rules")).to_be_visible()
    page.get_by_label("What it holds").focus()
    page.keyboard.type("Rows of A01")
    page.keyboard.press("Tab")  # the file
    page.keyboard.press("Tab")  # the text
    page.keyboard.insert_text("Row,Channel,Assign team\n1,Smoke,Sales\n")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A01, row 1 (r1), column c1 (Channel)")
    expect(page.get_by_label("Or paste it here")).to_have_value("Row,Channel,Assign team\n1,Smoke,Sales\n")
    page.get_by_label("Or paste it here").fill("Row,Channel,Assign team\n1,E-mail,Sales\n")
    page.get_by_role("button", name="Show what would change").press("Enter")
    expect(page.locator("ul.changes").first).to_contain_text("Row 2 removed")
    assert versions(triage) == 1
    page.get_by_label("What changes, and why").fill("E-mail goes to sales")
    page.get_by_role("button", name="Publish", exact=True).press("Enter")
    expect(page.get_by_text("1 entry is live.")).to_be_visible()
    assert versions(triage) == 2


def test_a_file_is_kept_as_a_draft_on_a_phone_without_scripts(triage: Served, visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(files.dump({"tables": [{**TRIAGE, "code": "A01", "hit": "every"}]}))
    visitor = visit(width=390, scripts=False)
    visitor.let_in("ana@deskhand.test")
    visitor.go("/rules/import")
    page = visitor.page
    page.get_by_label("File").set_input_files(path)
    page.get_by_role("button", name="Show what would change").click()
    expect(page.locator("ul.changes")).to_contain_text("every row that matches")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Keep as drafts").click()
    expect(page.get_by_text("1 entry is kept as a draft")).to_be_visible()
    with triage.desk.services.db.read() as connection:
        entry = rule_list.entry(connection, "A01")
    assert (entry.live_version, (entry.draft or {})["hit"]) == (1, "every")
