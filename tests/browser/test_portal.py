"""A request from both sides: a customer answers, with scripts and without, and the job has moved on the board."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from tests.browser.conftest import Served, Visitor
from tests.rows.desk import a_pipeline
from tickets import people, requests, tokens
from tickets import store as items
from tickets.events import Actor, ActorKind, Cause
from tickets.item import ItemKind
from tickets.questions import questions_from
from tickets.tables import PortalToken

pytestmark = pytest.mark.browser

QUESTIONS = [{"key": "year", "label": "Which year?"}, {"key": "married", "label": "Are you married?", "type": "yes_no"}]


@pytest.fixture
def link(served: Served) -> str:
    """The link of a request that belongs to a job in the first stage."""
    desk = served.desk
    desk.user("ana", "agent", name="Ana Nowak")
    a_pipeline(desk, "Collect", "Review", automove=("Collect",))
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        person = people.person_for(connection, email="camille@customer.test", name="Camille", language="en", now=now)
        job = items.create_item(
            connection,
            kind=ItemKind.JOB,
            state={"subject": "Return 2025", "customer": person, "fields.stage": "collect"},
            actor=Actor(ActorKind.AGENT, "ana", "Ana"),
            now=now,
        )
        made = requests.send(
            connection,
            requests.QuestionsToAsk("Your papers", questions_from(QUESTIONS)),
            person=person,
            item=job.item_id,
            key="k",
            cause=Cause("person", label="Ana"),
            now=now,
        )
        assert made is not None
        secret = desk.services.settings.keys.session
        number = tokens.new(connection, secret, person=person, request=made, now=now)
        salt = connection.execute(select(PortalToken.salt).where(PortalToken.id == number)).scalar_one()
    return f"/portal/answer/{tokens.text_of(secret, salt)}"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_customer_answers_and_the_job_moves(
    scripts: bool, link: str, served: Served, visit: Callable[..., Visitor]
) -> None:
    staff = visit()
    staff.let_in("ana@deskhand.test")
    staff.go("/items/job/board")
    expect(staff.page.get_by_role("region", name="Collect").get_by_text("1 pending")).to_be_visible()

    customer = visit(width=390, scripts=scripts)
    customer.go(link)
    customer.page.get_by_label("Which year?").fill("2025")
    if scripts:
        expect(customer.page.get_by_text("Saved. You can come back later.")).to_be_visible()
    else:
        customer.page.get_by_role("button", name="Save for later").click()
    customer.go(link)
    expect(customer.page.get_by_label("Which year?")).to_have_value("2025")
    customer.page.get_by_label("Are you married?").select_option("no")
    customer.page.get_by_role("button", name="Send").click()
    expect(customer.page.get_by_role("heading", level=1)).to_have_text("Thank you, we have your answers")

    served.desk.work()
    staff.page.reload()
    expect(staff.page.get_by_role("region", name="Review").get_by_text("Return 2025")).to_be_visible()


def test_a_customer_writes_again_from_the_keyboard_and_reads_that_it_was_sent(
    served: Served, visit: Callable[..., Visitor]
) -> None:
    desk = served.desk
    with desk.services.db.write() as connection:
        secret = desk.services.settings.keys.session
        person = people.person_for(
            connection, email="camille@customer.test", name="", language="en", now=desk.clock.now()
        )
        number = tokens.new(connection, secret, person=person, request=None, now=desk.clock.now())
        salt = connection.execute(select(PortalToken.salt).where(PortalToken.id == number)).scalar_one()
    desk.ticket("Parcel", published=True)
    desk.ticket("Lamp", published=True, status="closed")
    visitor = visit(width=390)
    page = visitor.page
    visitor.go(f"/portal/enter/{tokens.text_of(secret, salt)}")
    page.get_by_role("button", name="Go in").press("Enter")
    expect(page.get_by_role("region", name="What we work on for you")).to_contain_text("Parcel")
    expect(page.get_by_role("region", name="Done")).to_contain_text("Lamp")
    page.get_by_role("link", name="Parcel").press("Enter")
    reply = page.get_by_label("Your reply")
    page.get_by_role("button", name="Send").press("Enter")
    expect(reply).to_be_focused()
    expect(reply).to_have_accessible_description("Write something first.")
    page.keyboard.type("It has come.")
    page.get_by_role("button", name="Send").press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Your message is sent. You find our answer here.")
    expect(page.locator(".said")).to_contain_text(["It was due on Monday.", "It has come."])
