"""The product's one sentence, for real: an e-mail arrives, a table decides on an ERP fact, a script in the jail asks
CRM, ERP and billing, and the answer stands on the ticket with who did it and why.

Everything is generated for each test and looked at over HTTP and in the browser only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from rules import store as rule_list
from tests.backoffice.servers import Person, a_person, an_amount
from tests.environment.patience import PATIENCE_MS
from tests.trips.conftest import PASSWORD, Desk

pytestmark = [pytest.mark.tryton, pytest.mark.localstripe, pytest.mark.postgres, pytest.mark.timeout(600)]

TEXTS = {
    "en": ("Charged twice", "Hello, I was charged twice for order {order}: {amount} EUR on {date}. Please look."),
    "fr": (
        "Double prélèvement",
        "Bonjour, j'ai été prélevé deux fois pour {order} : {amount} € le {date}.",
    ),
    "pl": ("Podwójna opłata", "Dzień dobry, zapłaciłem dwa razy za zamówienie {order}: {amount} EUR, {date}."),
    "ro": ("Plată dublă", "Bună ziua, am plătit de două ori comanda {order}: {amount} EUR la {date}."),
}
_chance = random.Random()


@dataclass(frozen=True)
class Complaint:
    """One customer's story."""

    person: Person
    amount: Decimal
    order: str
    language: str
    subject: str
    text: str

    @property
    def cents(self) -> int:
        return int(self.amount * 100)


def a_complaint() -> Complaint:
    amount, language = an_amount(), _chance.choice(sorted(TEXTS))
    order = f"{_chance.randrange(10, 99)}-{_chance.randrange(1000, 9999)}"
    date = f"2026-{_chance.randrange(1, 12):02}-{_chance.randrange(1, 28):02}"
    subject, text = TEXTS[language]
    return Complaint(
        a_person(), amount, order, language, f"{subject} {order}", text.format(order=order, amount=amount, date=date)
    )


def mail(desk: Desk, complaint: Complaint) -> int:
    return desk.product.send(
        sender=complaint.person.email, name=complaint.person.name, subject=complaint.subject, text=complaint.text
    )


def charged(desk: Desk, complaint: Complaint, times: int) -> None:
    customer, _ = desk.localstripe.add_customer(complaint.person)
    for _ in range(times):
        desk.localstripe.add_charge(customer, complaint.cents, order=complaint.order)


def state(timeline: dict[str, Any]) -> dict[str, Any]:
    ticket: dict[str, Any] = timeline["ticket"]
    return ticket


def run_ended(timeline: dict[str, Any]) -> bool:
    return any(run["status"] not in ("queued", "running", "retrying") for run in timeline["runs"])


def settled(timeline: dict[str, Any]) -> bool:
    return all(event["status"] == "done" for event in timeline["events"])


def looks(timeline: dict[str, Any], field: str) -> list[tuple[str, str, str]]:
    """What each decision saw of this field: (expected, actual, truth)."""
    return [
        (seen["expected"], seen["actual"], seen["truth"])
        for decision in timeline["decisions"]
        for entry in decision["trace"]["entries"]
        for row in entry["rows"]
        for seen in row["conditions"]
        if seen["field"] == field
    ]


def cards(timeline: dict[str, Any]) -> dict[str, Any]:
    return {card["key"]: card for card in timeline["context"]}


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text) if message.type == "error" else None)
    page.goto(f"{desk.product.url}/sign-in")
    page.get_by_label("E-mail").fill("boss@desk.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    yield page
    context.close()
    assert console == []


@pytest.mark.browser
def test_h9_a_double_charge_is_routed_found_and_shown_with_its_reasons(desk: Desk, page: Page) -> None:
    complaint = a_complaint()
    desk.tryton.add_party(complaint.person)
    owed = an_amount()
    desk.tryton.add_invoices(complaint.person, [owed])
    charged(desk, complaint, times=2)

    ticket = mail(desk, complaint)
    timeline = desk.product.see(ticket, "the end of the run", lambda one: run_ended(one) and settled(one))

    assert state(timeline)["team"] == "billing"
    assert state(timeline)["tags"] == ["double-charge"]
    assert state(timeline)["priority"] == "high"
    assert state(timeline)["language"] == complaint.language
    expected, actual, truth = looks(timeline, "erp.find_party.receivable")[-1]
    assert (expected, Decimal(actual), truth) == ("is greater than 0.00", owed, "true")
    note = f"Order {complaint.order} was paid twice: {complaint.amount} EUR."
    internal = [one for one in timeline["messages"] if not one["public"]]
    assert [one["text"] for one in internal] == [note]
    found = cards(timeline)
    assert found["party"]["data"]["name"] == complaint.person.name
    assert Decimal(found["party"]["data"]["open_balance"]) == owed
    assert [one["order"] for one in found["payments"]["data"]] == [complaint.order] * 2
    (run,) = timeline["runs"]
    assert run["status"] == "finished"
    assert [one["text"] for one in run["log"]] == [f"compared 2 payments of {complaint.person.name}"]
    causes = {
        (one["field"], one["cause"]["kind"], one["cause"]["code"])
        for event in timeline["events"]
        for one in event["causes"]
    }
    assert {("team", "table", "R01"), ("tags", "script", "S01"), ("priority", "script", "S01")} <= causes

    page.goto(f"{desk.product.url}/tickets/{ticket}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(complaint.order)
    body = page.locator("main")
    expect(body).to_contain_text("double-charge")
    expect(body).to_contain_text(note)
    expect(body).to_contain_text(complaint.person.name)
    expect(body).to_contain_text(f"{complaint.amount} EUR")
    for group in page.locator("details").all():
        group.evaluate("element => { element.open = true }")
    expect(body).to_contain_text("Because")
    expect(body).to_contain_text("It did")
    expect(body).to_contain_text("Debtors first")
    page.goto(f"{desk.product.url}/runs/{run['id']}")
    expect(page.locator("main")).to_contain_text(f"compared 2 payments of {complaint.person.name}")


def test_one_charge_is_no_double_charge(desk: Desk) -> None:
    complaint = a_complaint()
    desk.tryton.add_party(complaint.person)
    charged(desk, complaint, times=1)
    ticket = mail(desk, complaint)
    timeline = desk.product.see(ticket, "the end of the run", lambda one: run_ended(one) and settled(one))
    assert timeline["runs"][0]["status"] == "finished"
    assert state(timeline)["team"] == "first_line"
    assert "tags" not in state(timeline) or state(timeline)["tags"] in (None, [])
    assert [one for one in timeline["messages"] if not one["public"]] == []


def test_two_parties_with_the_address_are_a_question_for_a_person(desk: Desk) -> None:
    complaint = a_complaint()
    for _ in range(2):
        desk.tryton.add_party(email=complaint.person.email, name=a_person().name)
    charged(desk, complaint, times=2)
    ticket = mail(desk, complaint)
    timeline = desk.product.see(ticket, "the end of the run", lambda one: run_ended(one) and settled(one))
    assert state(timeline)["tags"] == ["ask-a-person"]
    assert "party" not in cards(timeline)
    assert timeline["runs"][0]["status"] == "stopped"
    assert [one["text"] for one in timeline["messages"] if not one["public"]] == [
        "Several parties have this address. Please choose the right one."
    ]


def test_a_stopped_erp_is_named_the_rest_decides_and_it_recovers(desk: Desk) -> None:
    complaint = a_complaint()
    desk.tryton.add_party(complaint.person)
    desk.tryton.add_invoices(complaint.person, [an_amount()])
    charged(desk, complaint, times=2)
    desk.tryton.stop()
    try:
        ticket = mail(desk, complaint)
        timeline = desk.product.see(
            ticket, "the decision without the ERP", lambda one: state(one).get("team") == "first_line"
        )
        notes = [note for one in timeline["decisions"] for note in one["notes"]]
        assert any("without" in note and "erp.find_party" in note for note in notes)
        card = desk.product.see(ticket, "the error card", lambda one: "erp.find_party" in cards(one))
        assert cards(card)["erp.find_party"]["error"]
        assert {truth for _, _, truth in looks(card, "erp.find_party.receivable")} == {"unknown"}
        tried = desk.product.see(ticket, "the script's first try", lambda one: one["runs"] and one["runs"][0]["error"])
        (run,) = tried["runs"]
        assert (run["error"]["code"], run["error"]["line"]) == ("CONNECTOR", 4)
        assert "CRM cannot be reached" in run["error"]["message"]
        assert (run["actions"], run["log"]) == ([], [])
        assert [one for one in tried["messages"] if not one["public"]] == []
    finally:
        desk.tryton.start()
    timeline = desk.product.see(ticket, "the late answer", lambda one: state(one).get("team") == "billing")
    assert not cards(timeline)["erp.find_party"]["error"]
    assert looks(timeline, "erp.find_party.receivable")[-1][2] == "true"


def test_a_script_that_is_switched_off_does_nothing(desk: Desk) -> None:
    with desk.db.write() as connection:
        rule_list.switch(connection, "S01", enabled=False)
    try:
        complaint = a_complaint()
        desk.tryton.add_party(complaint.person)
        charged(desk, complaint, times=2)
        ticket = mail(desk, complaint)
        timeline = desk.product.see(
            ticket, "the routing", lambda one: state(one).get("team") == "first_line" and settled(one)
        )
    finally:
        with desk.db.write() as connection:
            rule_list.switch(connection, "S01", enabled=True)
    assert timeline["runs"] == []
    assert set(cards(timeline)) <= {"erp.find_party"}
    assert [one for one in timeline["messages"] if not one["public"]] == []
