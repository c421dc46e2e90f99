"""The script page in a browser: the real editor, the real check, a try that follows what is typed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis
from sqlalchemy import update

from rules import store as rule_list
from rules.store import EntryKind, Stored
from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.browser.conftest import Served, Visitor, serving
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import WALL_S
from tests.web.desk import a_desk
from tests.web.scripts import TEST
from tickets.tables import User
from web import create_app
from web.bundles import asset

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
SOURCE = 'ticket.set_priority("high")\nlog("looked at", ticket.id)\n'


@pytest.fixture
def served(
    make_database: MakeDatabase,
    tmp_path: Path,
    redis_server: RedisServer,
    redis: Redis,
    sandbox_service: SandboxService,
) -> Iterator[Served]:
    """A desk with one live script and one ticket, its scripts run by the session's sandbox."""
    desk = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    desk.services = dataclasses.replace(desk.services, sandbox=Sandbox(sandbox_service.socket, Limits(wall_s=WALL_S)))
    desk.user("dev", "developer", "agent", name="Dev Ionescu", teams=("billing",))
    desk.ticket("Charged twice")
    desk.work()
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        rule_list.create(connection, EntryKind.SCRIPT, "Enrich", {"source": SOURCE}, author="dev", now=now)
        rule_list.publish(connection, "S01", author="dev", note="First", seen=1, now=now)
    with serving(desk) as found:
        yield found
    desk.services.close()


def stored(served: Served) -> Stored:
    with served.desk.services.db.read() as connection:
        return rule_list.entry(connection, "S01")


def opened(visit: Visit, **how: object) -> Page:
    visitor = visit(**how)
    visitor.let_in("dev@deskhand.test")
    visitor.go("/scripts/S01")
    return visitor.page


@pytest.fixture
def built(served: Served) -> None:
    """Leaves the test out where the editor's bundle was not built (./run builds it)."""
    app = create_app(served.desk.services)
    with app.test_request_context():
        if asset("editor.js") is None:
            pytest.skip("the editor bundle is not built here; ./run builds it")


def test_a_try_runs_what_is_typed_and_an_old_result_says_so(served: Served, built: None, visit: Visit) -> None:
    page = opened(visit)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type('ticket.add_tags(["vip"])')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried")).to_contain_text("vip")
    expect(page.locator("#tried")).to_contain_text("looked at 1")
    expect(page.locator("#stale")).to_be_hidden()
    page.keyboard.type("\nlog(2)")
    expect(page.locator("#stale")).to_be_visible()
    page.locator("#try").press("Enter")
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#try")).to_be_focused()  # and again, without looking for it
    expect(page.locator("#try")).to_be_enabled()
    assert stored(served).live_version == 1
    assert served.desk.state(1)["priority"] == "normal"


def test_what_is_typed_is_saved_by_itself_and_two_editors_lose_nothing(
    served: Served, built: None, visit: Visit
) -> None:
    """Saving by hand goes on from the draft's own saves; whoever is late is told and keeps the text."""
    page, other = opened(visit), opened(visit)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("log('mine')")
    expect(page.locator("#autosave")).to_have_text("Draft saved")
    assert "log('mine')" in (stored(served).draft or {})["source"]
    other.locator(".cm-content").click()
    other.keyboard.press("Control+End")
    other.keyboard.type("log('late')")
    expect(other.locator("#autosave")).to_contain_text("somebody else saved this script")
    assert "late" not in (stored(served).draft or {})["source"]
    other.keyboard.press("Control+s")
    expect(other.get_by_role("alert")).to_contain_text("The editor holds your text")
    expect(other.locator(".cm-content")).to_contain_text("log('late')")
    page.keyboard.type("\nlog('more')")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice.ok")).to_have_text("The draft is saved.")
    assert "log('more')" in (stored(served).draft or {})["source"]


def test_a_text_that_is_too_long_and_a_session_that_is_over_are_said_as_such(
    served: Served, built: None, visit: Visit
) -> None:
    page = opened(visit)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("# " + "x" * 66_000)
    expect(page.locator("#autosave")).to_have_text(
        "A script has at most 65536 characters; shorten it. Nothing was saved."
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried")).to_contain_text("at most 65536 characters; shorten it. Nothing was run.")
    with served.desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "dev").values(active=False))
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried")).to_contain_text("You are signed out. Nothing was run.")
    expect(page.locator("#tried")).not_to_contain_text("Password")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("log('kept')")
    expect(page.locator("#autosave")).to_contain_text("Not saved: you are signed out.")
    page.context.clear_cookies()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried")).to_contain_text("Nothing was run. This form was open for too long")
    expect(page.locator(".cm-content")).to_contain_text("log('kept')")
    assert stored(served).draft is None


def test_completion_offers_what_scripts_have_and_nothing_else(served: Served, built: None, visit: Visit) -> None:
    """Python's own list has `__import__`, `breakpoint` and `open`, and takes what follows a dot for a new name."""
    page = opened(visit)
    offered = page.locator(".cm-tooltip-autocomplete")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.press("Control+Space")
    expect(offered).to_contain_text("callable")
    for name in ("__import__", "breakpoint", "BaseException"):
        expect(offered).not_to_contain_text(name)
    page.keyboard.press("Escape")
    expect(offered).to_have_count(0)
    page.keyboard.type("own_total = 1\ndatetime.")
    page.keyboard.press("Control+Space")
    expect(offered).to_contain_text("timedelta")
    for name in ("own_total", "abs", "isinstance"):
        expect(offered).not_to_contain_text(name)


def test_the_mouse_over_a_name_says_what_it_is(served: Served, built: None, visit: Visit) -> None:
    page = opened(visit)
    page.locator(".cm-content").get_by_text("set_priority").hover()
    expect(page.locator(".ed-hover")).to_contain_text("set_priority(priority: str)")


def test_the_ring_of_the_editor_lies_over_its_gutters_and_goes_with_the_focus(
    served: Served, built: None, visit: Visit
) -> None:
    visitor = visit()
    visitor.let_in("dev@deskhand.test")
    visitor.go("/scripts/S01")
    page = visitor.page
    ring = """() => {
        const style = getComputedStyle(document.querySelector(".cm-editor"), "::after");
        const over = Number(style.zIndex) > Number(getComputedStyle(document.querySelector(".cm-gutters")).zIndex);
        return style.content !== "none" && style.borderLeftWidth === "2px" && over;
    }"""
    page.locator(".cm-content").focus()
    page.wait_for_function(ring)
    page.locator("#f-name").focus()
    page.wait_for_function(f"() => !({ring})()")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_script_is_written_mended_tried_and_saved_by_keys_alone(
    served: Served, built: None, visit: Visit, width: int
) -> None:
    """Completed, explained, its problem found, tried, saved, and left again; no mouse."""
    visitor = visit(width=width, height=844 if width == 390 else 800, dark=width == 390)
    visitor.let_in("dev@deskhand.test")
    visitor.go("/scripts/S01")
    page = visitor.page
    page.locator("#f-name").focus()
    page.keyboard.press("Tab")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type("ticket.add_t")
    expect(page.locator(".cm-tooltip-autocomplete li[aria-selected]")).to_contain_text("add_tags")
    page.wait_for_timeout(100)  # a list that opened less than 75 ms ago takes Enter for typing
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("ticket.add_tags(")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Shift+Space")
    expect(page.locator(".ed-hover")).to_contain_text("set_priority(priority: str)")
    visitor.picture(f"scripts-explained-{width}")
    page.keyboard.press("Escape")
    expect(page.locator(".ed-hover")).to_have_count(0)
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("log('fine')\nimport os\n")
    expect(page.locator("#problems button")).to_contain_text("Line 2")
    page.keyboard.press("Control+m")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.closest('#problems'))"):
            break
    expect(page.locator("#problems button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Shift+End")
    page.keyboard.type("ticket.set_priority('urgent')")
    expect(page.locator("#problems button")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried")).to_contain_text("Urgent")
    visitor.picture(f"scripts-by-keys-{width}")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice.ok")).to_have_text("The draft is saved.")
    assert (stored(served).draft or {})["source"] == "log('fine')\nticket.set_priority('urgent')\n"
    assert served.desk.state(1)["priority"] == "normal"


def test_the_parameters_of_the_draft_are_completed_and_tried(served: Served, built: None, visit: Visit) -> None:
    with served.desk.services.db.write() as connection:
        draft: dict[str, Any] = {
            "source": "ticket.add_tags([params.tone])\n",
            "params": [{"name": "tone", "label": "Tone"}],
        }
        seen = rule_list.entry(connection, "S01").draft_count
        now = served.desk.clock.now()
        rule_list.save_draft(connection, "S01", {"name": "Enrich", **draft}, author="dev", seen=seen, now=now)
    page = opened(visit)
    page.get_by_label("Tone").fill("warm")
    page.locator("#try").click()
    expect(page.locator("#tried")).to_contain_text("warm")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("params.to")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("tone")


def test_problems_are_listed_with_their_line_and_publishing_is_closed(
    served: Served, built: None, visit: Visit
) -> None:
    page = opened(visit)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("import os\n")
    expect(page.locator("#problems button")).to_contain_text("Line 1")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice.ok")).to_have_text("The draft is saved.")
    page.get_by_role("link", name="Review and publish").or_(
        page.get_by_role("button", name="Review and publish")
    ).click()
    expect(page.get_by_role("button", name="Publish version 2")).to_be_disabled()
    assert stored(served).live_version == 1


def test_tab_can_leave_the_editor(served: Served, built: None, visit: Visit) -> None:
    page = opened(visit)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+m")
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.cm-editor')")


def test_a_script_is_written_tried_and_published_without_scripts(served: Served, visit: Visit) -> None:
    page = opened(visit, scripts=False)
    page.get_by_label("Source of the script").fill('ticket.set_priority("urgent")\n')
    page.get_by_role("button", name="Save draft").click()
    page.locator("#try-item").fill("1")
    page.locator("#try").click()
    expect(page.locator("#tried")).to_contain_text("Urgent")
    page.get_by_role("button", name="Review and publish").click()
    page.get_by_label("What changes, and why").fill("More urgent")
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.locator(".notice.ok")).to_have_text("Version 2 is live.")
    content = stored(served).content
    assert content is not None
    assert (content["code"], content["name"], content["source"]) == ("S01", "Enrich", 'ticket.set_priority("urgent")\n')
    assert content["manifest"] == {"fields_read": [], "actions": ["set_priority"], "operations": []}


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_about_scripts_fits_its_screen(served: Served, visit: Visit, width: int) -> None:
    visitor = visit(width=width, height=844 if width == 390 else 800)
    visitor.let_in("dev@deskhand.test")
    for path in ("/scripts", "/scripts/S01", "/scripts/S01/review", "/connections", "/connections/new/stripe", "/runs"):
        visitor.go(path)
        if path == "/scripts/S01":
            expect(visitor.page.locator(".cm-content")).to_be_visible()
        for suffix in visitor.shades():
            wide = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, path + suffix
            visitor.picture(f"{path[1:].replace('/', '-')}-{width}{suffix}")


def test_a_key_that_deleted_a_test_deletes_no_other_one(served: Served, visit: Visit) -> None:
    with served.desk.services.db.write() as connection:
        now = served.desk.clock.now()
        content = {
            **(rule_list.entry(connection, "S01").content or {}),
            "tests": [{**TEST, "name": name} for name in "AA"],
        }
        seen = rule_list.entry(connection, "S01").draft_count
        rule_list.save_draft(connection, "S01", content, author="dev", seen=seen, now=now)
    visitor = visit()
    visitor.let_in("dev@deskhand.test")
    visitor.go("/scripts/S01/tests")
    page = visitor.page
    delete = page.get_by_role("button", name="Delete A")
    expect(delete).to_have_count(2)
    delete.first.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(delete).to_have_count(1)
    expect(delete).not_to_be_focused()
    expect(page.locator("main")).to_be_focused()
    assert [one["name"] for one in (stored(served).draft or {})["tests"]] == ["A"]
