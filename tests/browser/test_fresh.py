"""An open ticket shows what happens to it, and leaves alone what somebody is writing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Served, Visitor
from tests.builders import ANA
from tickets.effects import AddTo
from tickets.events import Cause
from tickets.store import Lines, NewMessage, change_item, read_item

pytestmark = pytest.mark.browser


def a_colleague_writes(served: Served, text: str, tag: str, *, public: bool = False) -> None:
    with served.desk.services.db.write() as connection:
        item = read_item(connection, 1, lock=True)
        message = NewMessage(author="agent", public=public, channel="api", text=text, author_name="Marek Wójcik")
        lines = [Lines((AddTo("tags", (tag,)),), Cause("person", label="Marek"))]
        change_item(connection, item, lines=lines, actor=ANA, now=served.desk.clock.now(), messages=(message,))


def test_a_ticket_shows_what_is_new_and_keeps_what_is_being_written(
    served: Served, visit: Callable[..., Visitor]
) -> None:
    email = served.desk.user("ana", "agent", name="Ana Nowak")
    served.desk.ticket("Broken lamp")
    visitor = visit()
    visitor.let_in(email)
    visitor.go("/tickets/1")
    page = visitor.page
    page.get_by_label("Message", exact=True).fill("Dear Camille, ")
    a_colleague_writes(served, "She called about it.", "called")
    expect(page.get_by_text("She called about it.")).to_be_visible()
    expect(page.locator(".tags")).to_contain_text("called")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Dear Camille, ")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("we are sorry.")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Dear Camille, we are sorry.")

    # In the middle of a choice nothing moves: the page says that there is something new.
    page.locator("summary", has_text="Priority").click()
    a_colleague_writes(served, "And again.", "again")
    expect(page.get_by_text("This ticket has just changed.")).to_be_visible()
    expect(page.get_by_text("And again.")).to_have_count(0)
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_text("And again.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_colleagues_answer_is_read_before_ones_own_is_sent(
    scripts: bool, served: Served, visit: Callable[..., Visitor]
) -> None:
    email = served.desk.user("ana", "agent", name="Ana Nowak")
    served.desk.ticket("Broken lamp")
    visitor = visit(scripts=scripts)
    visitor.let_in(email)
    visitor.go("/tickets/1")
    page = visitor.page
    page.get_by_label("Message", exact=True).fill("Dear Camille, a new one is on its way.")
    a_colleague_writes(served, "We send you another lamp.", "lamp", public=True)
    if scripts:
        # Shown as it came: what is on the screen has been read.
        expect(page.get_by_text("We send you another lamp.")).to_be_visible()
    else:
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Marek Wójcik has written since you opened this.")).to_be_visible()
        expect(page.get_by_text("We send you another lamp.")).to_be_visible()
        expect(page.get_by_label("Message", exact=True)).to_have_value("Dear Camille, a new one is on its way.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".msg", has_text="a new one is on its way")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
