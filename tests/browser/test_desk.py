"""The desk as people use it: in Chromium, with and without scripts, by mouse and by keyboard, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from connectors.channels.email import NAME_CHARS
from tests.browser.conftest import Served, Visitor
from tests.web.desk import PASSWORD
from tickets.item import MAX_TAG_CHARS
from tickets.tables import WorkItem

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]


@pytest.fixture
def busy(served: Served) -> Served:
    """Ana of billing, seven tickets that a rule has looked at, and one with everything a ticket page can show."""
    desk = served.desk
    desk.user("ana", "admin", name="Ana Nowak", teams=("billing",))
    desk.publish()
    for number, subject in enumerate(
        ("Double charge, refund please", "Where is my parcel?", "Invoice 118 has the wrong address", "Broken lamp")
    ):
        desk.ticket(subject, "Hello,\n\n" + "word " * 60, assignees=["ana"] if number else None, tags=["vip"])
        desk.clock.move(minutes=3)
    desk.work()
    desk.card(
        1, "crm.get_customer", {"tier": "Gold", "customer_since": "March 2021"}, title="Customer file", fresh_s=-1
    )
    desk.card(1, "erp.get_order", None, title="Order 20-7714", error="The ERP did not answer.")
    charge = {"at": "2026-11-18T09:02:00+00:00", "order": "LH-27182", "amount": "1310.89 PLN", "status": "succeeded"}
    desk.card(1, "billing.charges", {"charges": [charge, charge], "note": "word " * 60})
    return served


def signed_in(visit: Visit, **how: object) -> Visitor:
    visitor = visit(**how)
    visitor.let_in("ana@deskhand.test")
    return visitor


def test_one_signs_in_looks_around_and_signs_out(busy: Served, visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("ana@deskhand.test")
    expect(visitor.page).to_have_title("Inbox · Deskhand")
    visitor.page.get_by_role("link", name="All open").click()
    visitor.page.get_by_role("link", name="Double charge, refund please").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Double charge, refund please")
    visitor.page.get_by_text("Ana Nowak", exact=True).first.click()
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page).to_have_title("Sign in · Deskhand")
    visitor.page.go_back()
    expect(visitor.page.get_by_text("Double charge")).to_have_count(0)


def test_the_inbox_is_worked_from_the_keyboard(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/?queue=all")
    page = visitor.page
    page.locator("main").focus()
    for key in ("j", "j", "k", "j"):
        page.keyboard.press(key)
    expect(page.locator("tr.cur a")).to_have_text("Invoice 118 has the wrong address")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visitor.url}/tickets/3")
    page.wait_for_load_state()  # a page listens for keys once it is there
    page.keyboard.press("r")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Thank you j k r")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".msg").last).to_contain_text("Thank you j k r")


def test_keys_do_nothing_while_one_types(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/?queue=all")
    visitor.page.keyboard.press("/")
    search = visitor.page.get_by_label("Search tickets")
    expect(search).to_be_focused()
    visitor.page.keyboard.type("jkc?")
    expect(search).to_have_value("jkc?")
    expect(visitor.page.locator("tr.cur")).to_have_count(0)


def test_a_field_saves_itself_when_chosen(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/2")
    page = visitor.page
    page.locator("summary", has_text="Priority").click()
    expect(page.get_by_label("Priority")).to_be_focused()
    page.get_by_label("Priority").select_option("urgent")
    expect(page.locator("summary", has_text="Priority")).to_contain_text("Urgent")
    assert busy.desk.state(2)["priority"] == "urgent"


def test_escape_closes_a_box_and_gives_the_focus_back(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/2")
    summary = visitor.page.locator("summary", has_text="Team")
    summary.focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_label("Team")).to_be_focused()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.get_by_label("Team")).to_be_hidden()
    expect(summary).to_be_focused()


def test_a_double_click_on_send_sends_once(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/2")
    visitor.page.get_by_label("Message", exact=True).fill("Only once")
    visitor.page.get_by_role("button", name="Send").dblclick()
    expect(visitor.page.locator(".msg", has_text="Only once")).to_have_count(1)
    visitor.page.wait_for_load_state("networkidle")
    visitor.go("/tickets/2")
    expect(visitor.page.locator(".msg", has_text="Only once")).to_have_count(1)


def test_everything_on_a_ticket_works_without_scripts(busy: Served, visit: Visit) -> None:
    visitor = visit(scripts=False)
    visitor.sign_in("ana@deskhand.test")
    page = visitor.page
    visitor.go("/tickets/2")
    page.locator("summary", has_text="Team").click()
    page.get_by_label("Team").select_option("billing")
    with page.expect_navigation():
        page.locator("details[open]").get_by_role("button", name="Save").click()
    assert busy.desk.state(2)["team"] == "billing"
    page.get_by_label("Message", exact=True).fill("A note without scripts")
    page.get_by_role("button", name="Internal note").click()
    expect(page.locator(".msg.internal")).to_contain_text("A note without scripts")
    with page.expect_navigation():
        page.get_by_role("button", name="Remove the tag vip").click()
    assert "tags" not in busy.desk.state(2)
    with page.expect_navigation():
        page.get_by_role("button", name="Solve").click()
    assert busy.desk.state(2)["status"] == "solved"
    page.locator(".ev summary").first.click()
    expect(page.get_by_text("It did").first).to_be_visible()


def test_the_filter_works_without_scripts(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit, scripts=False)
    visitor.go("/?queue=all")
    visitor.page.get_by_label("Team").select_option("billing")
    visitor.page.get_by_role("button", name="Filter").click()
    expect(visitor.page.locator("tbody tr")).to_have_count(2)


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_phone_the_filter_is_folded_behind_one_control(busy: Served, visit: Visit, scripts: bool) -> None:
    visitor = signed_in(visit, width=390, scripts=scripts)
    page = visitor.page
    visitor.go("/?queue=all")
    bar = page.locator("form.filters")
    expect(bar.get_by_role("searchbox")).to_be_visible()
    expect(page.get_by_label("Team")).to_be_hidden()
    visitor.picture("inbox-390-folded")
    bar.get_by_role("checkbox", name="Filter").focus()
    page.keyboard.press("Space")
    page.get_by_label("Team").select_option("billing")
    if not scripts:
        page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(bar.locator("label.btn")).to_have_text("Filter 1")  # that one is set is seen without unfolding it
    visitor.picture("inbox-390-filtered")


def test_a_customer_writes_to_us_without_scripts(served: Served, visit: Visit) -> None:
    visitor = visit(width=390, scripts=False)
    page = visitor.page
    visitor.go("/form/acme")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("3 things are not right yet")).to_be_visible()
    page.get_by_label("Your e-mail").fill("kim@customer.test")
    page.get_by_label("Subject").fill("Broken lamp")
    page.get_by_label("Your message").fill("It arrived broken.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Its number is")).to_be_visible()
    assert served.desk.state(1)["subject"] == "Broken lamp"


def test_colours_are_chosen_and_stay(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert visitor.page.evaluate(paper) == "rgb(244, 244, 241)"
    visitor.page.get_by_text("Ana Nowak", exact=True).first.click()
    visitor.page.get_by_role("button", name="Dark").click()
    expect(visitor.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert visitor.page.evaluate(paper) == "rgb(17, 19, 21)"
    visitor.go("/bell")
    assert visitor.page.evaluate(paper) == "rgb(17, 19, 21)"


def test_dark_is_followed_when_nothing_was_chosen(served: Served, visit: Visit) -> None:
    visitor = visit(dark=True)
    visitor.go("/sign-in")
    assert visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 19, 21)"


def test_why_is_told_in_place(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/1")
    visitor.page.locator(".why summary", has_text="New ticket triage").click()
    expect(visitor.page.locator(".why").get_by_role("region", name="Row 1")).to_contain_text("did not match")
    expect(visitor.page.locator(".why")).to_contain_text("Assign team: Billing")
    expect(visitor.page.locator("#live")).to_have_text("Explained")


def test_a_partial_update_that_fails_says_so(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/1")
    with busy.desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == 1).values(team="ethics"))
    visitor.page.locator(".why summary").click()
    expect(visitor.page.locator("#notices")).to_contain_text("There is nothing here. Nothing was changed or sent.")
    # The library tells the console about the refusal, too.
    [said] = visitor.console
    assert said.startswith("error: Response Status Error Code 404 from /tickets/1/why/A01")
    visitor.console.clear()


def test_a_ticket_one_has_looked_at_is_no_longer_unread(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/?queue=all")
    row = visitor.page.locator("tr", has_text="Where is my parcel?")
    expect(row.get_by_role("img", name="unread")).to_be_visible()
    with visitor.page.expect_response(lambda answer: answer.url.endswith("/tickets/2/seen")) as said:
        row.get_by_role("link").click()
    assert said.value.status == 204
    visitor.go("/?queue=all")
    expect(row.get_by_role("img", name="unread")).to_have_count(0)
    expect(visitor.page.get_by_role("img", name="unread")).to_have_count(3)


def test_without_scripts_looking_changes_nothing(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit, scripts=False)
    visitor.go("/tickets/2")
    visitor.go("/?queue=all")
    expect(visitor.page.get_by_role("img", name="unread")).to_have_count(4)


def test_one_follows_and_links_from_the_keyboard(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    page = visitor.page
    visitor.go("/tickets/1")
    page.get_by_role("button", name="Follow").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Following")).to_be_visible()
    page.get_by_label("This ticket").select_option("contains")
    page.get_by_label("Ticket number").focus()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    links = page.get_by_role("region", name="Links")
    expect(links.locator("a.ell")).to_have_text("3 Invoice 118 has the wrong address")
    links.get_by_role("button", name="Unlink 3").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".conv")).to_contain_text("unlinked: contains 3")
    expect(links.locator("a.ell")).to_have_count(0)


def test_following_and_linking_work_without_scripts(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit, width=390, scripts=False)
    page = visitor.page
    visitor.go("/tickets/1")
    page.get_by_role("button", name="Follow").click()
    expect(page.get_by_role("button", name="Following")).to_be_visible()
    page.get_by_label("Ticket number").fill("#2")
    page.get_by_role("button", name="Link", exact=True).click()
    expect(page.get_by_role("region", name="Links").locator("a.ell")).to_have_text("2 Where is my parcel?")


def test_on_a_phone_the_open_queue_and_what_to_do_with_the_chosen_ones_stay_in_sight(
    busy: Served, visit: Visit
) -> None:
    visitor = signed_in(visit, width=390, height=400)
    visitor.go("/?queue=any")
    expect(visitor.page.get_by_role("link", name="Everything")).to_be_in_viewport(ratio=0.9)
    do = visitor.page.get_by_label("With the chosen ones:")
    expect(do).not_to_be_in_viewport()
    visitor.page.locator(".pick input").first.check()
    expect(do).to_be_in_viewport(ratio=0.9)
    do.click(trial=True)  # nothing lies on it, the bar at the foot either


PAGES = ("/", "/?queue=all", "/tickets/1", "/tickets/1/why/A01", "/tickets/new", "/bell", "/more", "/nowhere")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_no_page_is_wider_than_its_window_and_every_target_can_be_hit(width: int, busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit, width=width)
    for path in PAGES:
        visitor.go(path)
        for group in visitor.page.locator(".ev > details, .run > details").all():
            group.evaluate("group => { group.open = true; }")
        assert (path, visitor.page.evaluate("document.documentElement.scrollWidth")) == (path, width)
        assert (path, too_small(visitor.page)) == (path, [])


@pytest.mark.parametrize("width", [1280, 390])
def test_words_as_long_as_they_may_be_widen_no_ticket(width: int, busy: Served, visit: Visit) -> None:
    """Whoever writes in chooses their own name."""
    name, tag = "W" * NAME_CHARS, "t" * MAX_TAG_CHARS
    ticket = busy.desk.ticket("S" * 500, "x" * 5_000, name=name, tags=[tag, "urgent"])
    visitor = signed_in(visit, width=width)
    visitor.go(f"/tickets/{ticket}")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
    for said in (visitor.page.locator(".msg header b"), visitor.page.get_by_role("button", name="Remove the tag ttt")):
        box = said.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    assert too_small(visitor.page) == []


@pytest.mark.parametrize("place", [".plain", ".quoted > div"])
def test_each_line_of_a_message_is_read_from_where_its_letters_begin(place: str, busy: Served, visit: Visit) -> None:
    html = "<div>שלום וברכה!</div><div>Hello there!</div>"
    ticket = busy.desk.ticket("Shalom", "שלום וברכה!\nHello there!", html=html)
    visitor = signed_in(visit)
    visitor.go(f"/tickets/{ticket}")
    ends: list[list[float]] = visitor.page.evaluate(
        """(place) => {
            document.querySelector(".msg .quoted").open = true;
            const found = [];
            const walk = document.createTreeWalker(document.querySelector(".msg .body " + place), NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) for (const at of walk.currentNode.data.matchAll(/[^\\s!][^!]*!/g)) {
                const [first, last] = [at.index, at.index + at[0].length - 1].map((from) => {
                    const range = document.createRange();
                    range.setStart(walk.currentNode, from);
                    range.setEnd(walk.currentNode, from + 1);
                    return range.getBoundingClientRect().left;
                });
                found.push([first, last]);
            }
            return found;
        }""",
        place,
    )
    [(shalom, its_mark), (hello, other_mark)] = ends
    assert its_mark < shalom
    assert hello < other_mark
    assert hello < its_mark


def too_small(page: Page) -> list[str]:
    """Controls smaller than 24 by 24 pixels, but for links in running text."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary, textarea")]
            .filter((one) => {
                const box = one.getBoundingClientRect();
                const inText = one.matches("a") && one.closest("p, dd, td, .body");
                const labelled = one.matches("[type=checkbox], [type=radio]") && one.closest("label");
                return box.width && box.height && (box.width < 24 || box.height < 24)
                    && !inText && !labelled && !one.closest(".sr, .hp, .skip, .link, p");
            })
            .map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found


def test_a_keyboard_reaches_the_content_first(busy: Served, visit: Visit) -> None:
    visitor = signed_in(visit)
    visitor.go("/tickets/1")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to content")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("main")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
def test_pictures_for_people_to_look_at(width: int, busy: Served, visit: Visit) -> None:
    """Not compared: looked at by eye. What fails here is a page that complains or does not come."""
    visitor = visit(width=width)
    taken: list[Path] = []

    def look(name: str, *, full: bool = False) -> None:
        taken.extend(visitor.picture(f"{name}-{width}{suffix}", full=full) for suffix in visitor.shades())

    visitor.go("/sign-in")
    look("sign-in")
    visitor.sign_in("ana@deskhand.test", PASSWORD)
    for name, path in (("inbox", "/?queue=all"), ("ticket", "/tickets/1"), ("why", "/tickets/1/why/A01")):
        visitor.go(path)
        look(name, full=name == "ticket" and width == 390)
    assert len(taken) == 8
    assert all(path.stat().st_size > 5_000 for path in taken)
