"""Lists, groups, recipes and settings on their screens: nothing wider than the screen, everything by keyboard."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Served, Visitor
from tests.web.desk import NOW, TRIAGE
from tickets import lists
from tickets.journal import Change
from tickets.lists import ListSpec
from tickets.values import JSON

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]

GROUPS: list[JSON] = [
    {
        "any": [
            {"field": "message.text", "value": ["refund", "invoice"]},
            {"field": "customer.email", "value": {"list": "VIPS"}},
        ]
    },
    {"none": [{"all": [{"field": "ticket.tags", "value": ["vip"]}, {"field": "ticket.priority", "value": "high"}]}]},
]


@pytest.fixture
def desk_with_groups(served: Served) -> Served:
    """An administrator, a list, and a table with groups and a scope that uses it."""
    desk = served.desk
    desk.user("alex", "admin", name="Alex Morgan", teams=("billing",))
    with desk.services.db.write() as connection:
        vips = ListSpec("VIPS", "VIPs", True, ("camille@customer.test", "jan@customer.test"))
        lists.save_list(connection, vips, Change("alex", NOW))
    table = copy.deepcopy(TRIAGE)
    table["rows"][0]["groups"] = GROUPS
    desk.publish({**table, "scope": [{"field": "ticket.brand", "value": "acme"}]})
    return served


PATHS = (
    "/rules/A01",
    "/rules/A01/rows/r1",
    "/rules/A01/rows/r1/groups",
    "/rules/A01/rows/scope/groups",
    "/rules/new",
    "/lists",
    "/lists/VIPS",
    "/settings/people",
    "/settings/people/alex",
    "/settings/teams/billing",
    "/settings/fields/new",
    "/settings/journal",
)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_lists_groups_and_settings_fit_their_screen(
    desk_with_groups: Served, visit: Visit, width: int, dark: bool
) -> None:
    visitor = visit(width=width, height=844 if width == 390 else 800, dark=dark)
    visitor.let_in("alex@deskhand.test")
    for path in PATHS:
        visitor.go(path)
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        wide = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        name = f"{path[1:].replace('/', '-')}-{width}{'-dark' if dark else ''}"
        visitor.picture(name, full=True)
        assert wide <= 0, path


def test_a_list_is_made_filled_and_deleted_from_the_keyboard_alone(desk_with_groups: Served, visit: Visit) -> None:
    visitor = visit()
    visitor.let_in("alex@deskhand.test")
    visitor.go("/lists")
    page = visitor.page
    page.locator("summary", has_text="New list").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name").fill("Angry words")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Angry words")
    page.get_by_label("Entries, one per line").fill("lawyer\npolice\nlawyer")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.ok")).to_have_text("The list is saved; the next event sees it.")
    expect(page.get_by_label("Entries, one per line")).to_have_value("lawyer\npolice")
    page.get_by_role("button", name="Delete the list").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice.ok")).to_have_text("The list Angry words is deleted.")
    visitor.go("/lists/VIPS")
    expect(page.get_by_role("button", name="Delete the list")).to_be_disabled()
