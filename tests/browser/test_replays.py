"""A replay from the draft's dock to the last detail, by keyboard, and nothing wider than the screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from jobs import automation
from jobs.replays import work as replays
from rules import store as rule_list
from rules.store import EntryKind
from tests.browser.conftest import Served
from tests.browser.test_desk import Visit
from tests.web.test_replays_pages import TAGS, URGENT

pytestmark = pytest.mark.browser


def test_a_replay_is_asked_for_followed_and_read(served: Served, visit: Visit) -> None:
    desk = served.desk
    desk.publish()
    refund = desk.ticket("A refund, please")
    desk.ticket("Hello there")
    automation.drain(desk.services)
    desk.clock.move(days=1)
    with desk.services.db.write() as connection:
        for one in (TAGS, URGENT):
            code, name = str(one["code"]), str(one["name"])
            rule_list.create(connection, EntryKind.TABLE, name, one, author="ana", now=desk.clock.now(), code=code)  # type: ignore[arg-type]
    email = desk.user("mara", "manager")
    visitor = visit()
    page = visitor.page
    visitor.let_in(email)
    visitor.go("/rules")
    page.get_by_role("link", name="Replay", exact=True).click()
    visitor.picture("replays-form", full=True)
    box = page.get_by_role("checkbox", name="Money is urgent")
    expect(box).to_be_checked()
    page.get_by_role("button", name="Start the replay").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#replay > p[data-say-at]")).to_contain_text("0 of 2 tickets are played")
    page.get_by_role("button", name="Stop").focus()
    replays.carry_on(desk.services, budget_s=0)
    # The page asks again by itself until the replay has ended, and takes nobody's place in it away.
    expect(page.locator("#replay")).to_contain_text("1 of 2 tickets are played")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    happened = page.get_by_text("What happened, old and new")
    happened.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="With the drafts")).to_be_visible()
    while replays.carry_on(desk.services) is not None:
        pass
    expect(page.locator("#replay")).to_contain_text("1 ticket differs")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.get_by_role("heading", name="With the drafts")).to_be_visible()
    expect(happened).to_be_focused()
    expect(page.get_by_role("link", name=str(refund), exact=True)).to_have_attribute("href", f"/tickets/{refund}")
    visitor.picture("replays-one", full=True)
    address = page.url.removeprefix(served.url)
    for width, dark in ((390, False), (1280, True), (390, True)):
        other = visit(width=width, dark=dark)
        other.let_in(email)
        for name, path in (("form", "/rules/replay"), ("one", f"{address}?show=all")):
            other.go(path)
            if name == "one":
                other.page.get_by_text("What happened, old and new").first.click()
            assert other.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (width, path)
            other.picture(f"replays-{name}-{width}{'-dark' if dark else ''}", full=True)
