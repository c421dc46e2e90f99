"""README's demo, by its words: `./run`, sign in with what it prints, Demo, one press; and the picture README shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from run_tool.places import ROOT
from tests.browser.conftest import SCREENSHOTS
from tests.environment.test_start import FIRST_START_S, SIGN_IN, Desk, alone

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1800)]

#: The picture in README; delete it to have it made anew.
PICTURE = ROOT / "docs" / "screenshot.png"
#: From the press until every system has answered and the script has said what it found, in milliseconds.
WORKED_MS = 240_000


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with alone(tmp_path_factory):
        started = Desk(tmp_path / "data")
        try:
            started.wait_until_ready(deadline_s=FIRST_START_S)
            assert SIGN_IN.search(started.output), started.output
            assert (tmp_path / "data" / "logs" / "backoffice.log").exists()
            yield started
        finally:
            started.end()


def test_the_double_charge_button_ends_in_a_ticket_that_says_why(desk: Desk, browser: Browser) -> None:
    email, password = re.search(r"(\S+@\S+).*?^Password: (\S+)$", desk.output, re.MULTILINE | re.DOTALL).groups()  # type: ignore[union-attr]
    url = f"http://127.0.0.1:{desk.port}"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB")
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Demo", exact=True).click()
    page.get_by_role("button", name="Send the double-charge e-mail").click()
    page.wait_for_url(re.compile(r"/tickets/\d+$"))

    # As the page says, it shows what they do: nobody reloads it.
    expect(page.locator(".msg", has_text="was paid twice").first).to_be_visible(timeout=WORKED_MS)
    expect(page.locator("summary", has_text="Team")).to_contain_text("Billing")
    for card in ("Customer in the CRM", "Orders", "Payments"):
        expect(page.get_by_role("heading", name=card, exact=True)).to_be_visible()
    group = page.locator(".ev > details, .run > details").first
    if group.get_attribute("open") is None:
        group.locator("summary").first.click()
    expect(group.locator("summary").first).to_be_visible()

    SCREENSHOTS.mkdir(exist_ok=True)
    page.evaluate("() => document.activeElement?.blur()")
    for path in [SCREENSHOTS / "demo-ticket.png", *([] if PICTURE.exists() else [PICTURE])]:
        page.screenshot(path=path)

    # One key stops a system and starts it again: what takes a button's place has the focus.
    page.goto(f"{url}/demo")
    page.get_by_role("button", name="Stop CRM").focus()
    for said in ("Start CRM", "Stop CRM"):
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.get_by_role("button", name=said)).to_be_focused()
    context.close()
    assert "backoffice ended" not in desk.output
    desk.stop()
    assert desk.process.returncode == 0, desk.output
