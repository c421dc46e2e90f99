"""The demo page: who may open it, what each button does, and the whole way from a mail to a compared payment."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default

import pytest
from apiflask import APIFlask
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from jobs import automation, enrichment, outbox, runs
from jobs.demo import control, places
from jobs.demo.backoffice import BackOffice, Crm, Mood
from jobs.demo.breakouts import BREAK_OUTS
from jobs.demo.mail import mail, new_customer
from jobs.demo.places import Places, SystemName
from jobs.services import Services
from jobs.tables import OutboxRow, RunRow
from tests.builders import ANA, FrozenClock, a_ticket
from tests.demo.conftest import NOW
from tickets import store
from tickets.effects import SetField
from tickets.events import Cause
from tickets.tables import ContextFact, History, Message, User, WorkItem
from web import create_app

PASSWORD = "amber-birch-comet-dune"


@pytest.fixture
def running(desk: Services) -> Iterator[BackOffice]:
    """The back office of this desk."""
    office = BackOffice(places.read(desk.settings.data))
    office.start()
    yield office
    office.stop()


@pytest.fixture
def app(desk: Services) -> APIFlask:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with desk.db.write() as connection:
        connection.execute(update(User).values(password_hash=cheap))
    made = create_app(desk)
    made.testing = True
    return made


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def sign_in(app: APIFlask, key: str) -> FlaskClient:
    browser = app.test_client()
    form = browser.get("/sign-in").get_data(as_text=True)
    answer = browser.post(
        "/sign-in", data={"csrf_token": token(form), "email": f"{key}@desk.example", "password": PASSWORD}
    )
    assert answer.status_code == 302
    return browser


def press(browser: FlaskClient, path: str) -> tuple[int, str, str]:
    """Press a button of the demo page: (status, location, page)."""
    page = browser.get("/demo").get_data(as_text=True)
    assert f'action="{path}' in page
    answer = browser.post(path, data={"csrf_token": token(page)})
    return answer.status_code, answer.headers.get("Location", ""), answer.get_data(as_text=True)


def work(desk: Services) -> None:
    """What the workers of a running desk do."""
    clock = desk.clock
    assert isinstance(clock, FrozenClock)
    for _ in range(4):
        automation.drain(desk)
        clock.forward(seconds=1)
        enrichment.enrich(desk)
        runs.run_due(desk)


def test_the_mail_is_a_real_one_with_everything_a_mail_program_writes(found: Places) -> None:
    customer = new_customer(found, random.Random(7), NOW)
    read = message_from_bytes(mail(customer, random.Random(7), NOW), policy=default)
    assert read["From"].addresses[0].addr_spec == customer.email
    assert read["From"].addresses[0].display_name == customer.name
    assert read["To"].addresses[0].addr_spec == "support@lumen.example"
    assert read["Date"].datetime == NOW
    assert read["Message-ID"].startswith("<")
    plain = read.get_body(("plain",))
    assert plain is not None
    assert customer.orders[0].number in plain.get_content() + read["Subject"]


def test_the_double_charge_button_ends_in_a_ticket_that_shows_both_payments(
    desk: Services, app: APIFlask, running: BackOffice
) -> None:
    status, location, _ = press(sign_in(app, "ana"), "/demo/double-charge")
    assert status == 302
    ticket = int(location.rpartition("/")[2])
    work(desk)
    with desk.db.read() as connection:
        item = store.read_item(connection, ticket)
        assert item.state["team"] == "billing"
        assert item.state["priority"] in ("high", "urgent")
        assert item.state["fields.topic"] == "double_charge"
        assert "double-charge" in item.state["tags"]  # type: ignore[operator]
        card = connection.execute(
            select(ContextFact.body).where(ContextFact.item_id == ticket, ContextFact.key == "billing")
        ).scalar_one()
        assert len(card["data"]) == 2
        assert card["data"][0]["order"] == card["data"][1]["order"]
        notes = connection.execute(
            select(Message.text).where(Message.item_id == ticket, Message.public.is_(False))
        ).scalars()
        assert any("was paid twice" in note for note in notes)
        causes = connection.execute(
            select(History.cause).where(History.item_id == ticket, History.field == "team")
        ).scalars()
        assert [(cause["code"], cause["row"]) for cause in causes] == [("A01", "twice")]


def replies(desk: Services, ticket: int) -> list[tuple[str, str]]:
    """The suggested replies of a ticket: (status, template@language)."""
    with desk.db.read() as connection:
        rows = connection.execute(
            select(OutboxRow.status, OutboxRow.payload).where(OutboxRow.item_id == ticket, OutboxRow.kind == "reply")
        )
        return [(row.status, f"{row.payload['template']}@{row.payload['language']}") for row in rows]


def test_a_refund_is_worded_already_and_waits_until_billing_approves_it(
    desk: Services, app: APIFlask, running: BackOffice
) -> None:
    ana = sign_in(app, "ana")
    ticket = int(press(ana, "/demo/double-charge")[1].rpartition("/")[2])
    work(desk)
    with desk.db.read() as connection:
        language = store.read_item(connection, ticket).state["language"]
    assert replies(desk, ticket) == [("approval", f"E09@{language}")]
    assert "waits for approval" in ana.get(f"/tickets/{ticket}").get_data(as_text=True)


def test_who_complains_and_did_not_pay_twice_gets_no_refund_suggested(desk: Services, running: BackOffice) -> None:
    once = "nobody.paid@post.example"
    ticket = a_ticket(desk.db, email=once, now=desk.clock.now(), subject="Charged twice", text="I was charged twice")
    work(desk)
    with desk.db.read() as connection:
        finished = select(RunRow.script, RunRow.status).where(RunRow.item_id == ticket.item_id)
        assert [tuple(row) for row in connection.execute(finished)] == [("S01", "finished")]
    assert replies(desk, ticket.item_id) == []


@pytest.mark.parametrize(("solved", "notes"), [("solved", 1), ("waiting_customer", 0)])
def test_a_gold_customers_solved_ticket_is_noted_in_the_crm_once(
    desk: Services, running: BackOffice, solved: str, notes: int
) -> None:
    crm = running.servers[SystemName.CRM].system
    assert isinstance(crm, Crm)
    ticket = a_ticket(desk.db, email="camille.laurent@courrier.example", now=desk.clock.now(), subject="Parcel").item_id
    work(desk)
    for status in (solved, "open", solved):
        with desk.db.write() as connection:
            store.change_item(
                connection,
                store.read_item(connection, ticket, lock=True),
                lines=(store.Lines((SetField("status", status),), Cause("person", label="Ana")),),
                actor=ANA,
                now=desk.clock.now(),
            )
        work(desk)
        while outbox.deliver(desk):
            pass
    assert [text for _, _, text in crm.notes.values()] == [f"Ticket {ticket} is solved: Parcel"] * notes
    with desk.db.read() as connection:
        card = select(ContextFact.body, ContextFact.cause).where(
            ContextFact.item_id == ticket, ContextFact.key == "crm_add_note"
        )
        found = [(row.body["data"]["id"], row.cause["code"]) for row in connection.execute(card)]
    assert found == [("N-1", "A18")] * notes


def test_two_presses_are_two_customers_with_two_tickets(desk: Services, app: APIFlask, running: BackOffice) -> None:
    browser = sign_in(app, "ana")
    first, second = (press(browser, "/demo/double-charge")[1] for _ in range(2))
    assert first != second
    with desk.db.read() as connection:
        numbers = [int(one.rpartition("/")[2]) for one in (first, second)]
        customers = connection.execute(select(WorkItem.customer).where(WorkItem.id.in_(numbers))).scalars().all()
    assert len(set(customers)) == 2


def test_with_billing_stopped_the_ticket_says_what_is_missing(
    desk: Services, app: APIFlask, running: BackOffice
) -> None:
    browser = sign_in(app, "ana")
    assert press(browser, "/demo/systems/billing/stopped")[0] == 302
    assert "Stopped" in browser.get("/demo").get_data(as_text=True)
    ticket = int(press(browser, "/demo/double-charge")[1].rpartition("/")[2])
    work(desk)
    with desk.db.read() as connection:
        card = connection.execute(
            select(ContextFact.error).where(ContextFact.item_id == ticket, ContextFact.key == "billing")
        ).scalar_one()
        run = connection.execute(select(RunRow.status).where(RunRow.item_id == ticket)).scalar_one()
        item = store.read_item(connection, ticket)
    assert card == "Billing did not answer."
    assert run == "stopped"
    assert item.state["team"] == "billing"
    assert item.state["tags"] == ["check-payments"]


#: A plain run tries one of them.
SYSTEMS = [pytest.param(one, marks=[] if one is SystemName.BILLING else pytest.mark.slow) for one in SystemName]


@pytest.mark.parametrize("system", SYSTEMS)
def test_systems_are_stopped_and_started_by_their_buttons(
    app: APIFlask, running: BackOffice, system: SystemName
) -> None:
    browser = sign_in(app, "ana")
    found = running.places
    for mood in (Mood.STOPPED, Mood.SLOW, Mood.HTML_ERROR, Mood.UP):
        assert press(browser, f"/demo/systems/{system}/{mood}")[0] == 302
        assert control.moods(found) == {**dict.fromkeys(SystemName, Mood.UP), system: mood}
    page = browser.get("/demo").get_data(as_text=True)
    post = {"csrf_token": token(page)}
    for path in ("/demo/systems/payroll/stopped", f"/demo/systems/{system}/burning", "/demo/break-out/none"):
        assert browser.post(path, data=post).status_code == 404
    assert set(control.moods(found).values()) == {Mood.UP}


@pytest.mark.parametrize("attempt", [one for one in BREAK_OUTS if one.key != "loop"], ids=lambda one: one.key)
def test_a_break_out_shows_its_source_and_the_name_of_what_stopped_it(
    desk: Services, app: APIFlask, attempt: object
) -> None:
    assert attempt in BREAK_OUTS
    one = next(other for other in BREAK_OUTS if other == attempt)
    status, _, page = press(sign_in(app, "ana"), f"/demo/break-out/{one.key}")
    assert status == 200
    assert any(f'<span class="pill bad mono">{code}</span>' in page for code in one.stopped_by)
    assert "Nothing was done." in page


def test_without_the_back_office_the_page_says_so_and_makes_no_ticket(desk: Services, app: APIFlask) -> None:
    browser = sign_in(app, "ana")
    with desk.db.read() as connection:
        before = connection.execute(select(func.count(WorkItem.id))).scalar_one()
    page = browser.get("/demo").get_data(as_text=True)
    assert "The back office does not answer" in page
    assert press(browser, "/demo/double-charge")[1] == "/demo"
    assert "The back office does not answer" in browser.get("/demo").get_data(as_text=True)
    with desk.db.read() as connection:
        assert connection.execute(select(func.count(WorkItem.id))).scalar_one() == before


def test_a_press_without_the_sessions_token_does_nothing(app: APIFlask, running: BackOffice) -> None:
    browser = sign_in(app, "ana")
    for path in ("/demo/double-charge", "/demo/systems/erp/stopped", "/demo/break-out/import"):
        assert browser.post(path, data={}).status_code == 400
    assert set(control.moods(running.places).values()) == {Mood.UP}


def test_only_who_works_on_tickets_opens_the_page(desk: Services, app: APIFlask) -> None:
    with desk.db.write() as connection:
        connection.execute(update(User).where(User.key == "sam").values(roles=[]))
    assert app.test_client().get("/demo").status_code == 302
    assert sign_in(app, "sam").get("/demo").status_code == 403
    page = sign_in(app, "dev").get("/demo")
    assert page.status_code == 200
    assert "script-src" in page.headers["Content-Security-Policy"]


def test_an_installation_that_is_no_demo_has_no_such_page(desk: Services) -> None:
    from dataclasses import replace

    plain = replace(desk, settings=desk.settings.model_copy(update={"demo": False}))
    browser = create_app(plain).test_client()
    assert browser.get("/demo").status_code == 404
    assert browser.post("/demo/double-charge").status_code in (400, 404)


def test_the_menu_leads_to_the_demo(app: APIFlask) -> None:
    assert 'href="/demo"' in sign_in(app, "ana").get("/").get_data(as_text=True)


def test_the_command_says_that_the_demo_is_loaded_already(desk: Services) -> None:
    result = create_app(desk).test_cli_runner().invoke(args=["demo", "load"])
    assert result.exit_code == 0
    assert "loaded already" in result.output


def test_reset_asks_first(desk: Services) -> None:
    runner = create_app(desk).test_cli_runner()
    assert runner.invoke(args=["demo", "reset"], input="n\n").exit_code == 1
    with desk.db.read() as connection:
        assert connection.execute(select(func.count(WorkItem.id))).scalar_one() > 0
    assert runner.invoke(args=["demo", "reset", "--yes"]).exit_code == 0
    with desk.db.read() as connection:
        assert connection.execute(select(func.count(WorkItem.id))).scalar_one() == 0
