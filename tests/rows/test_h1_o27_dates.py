"""H1: assign, update, escalate, put away and bring back at the right time. O27: a project's due date moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from jobs import timers
from rules import files
from tests.rows.desk import Steps, a_rule, item_named, shown_messages, switch
from tests.rows.maildesk import MailDesk, recipient, template
from tests.web.desk import send
from tickets import store
from tickets.events import SYSTEM
from tickets.item import ItemKind
from tickets.tables import Brand, BusinessCalendar, User
from tickets.values import JSON

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "recipes"
OFFICE = {"zone": "Europe/Paris", "week": {"mon": [["00:00", "24:00"]]}}


def passes(desk: MailDesk, **span: float) -> None:
    """Time passes; the clock and the workers do what is due."""
    desk.desk.clock.move(**span)
    timers.tick(desk.services, budget_s=30)
    desk.work()


def test_h1_a_ticket_is_assigned_updated_escalated_put_away_and_brought_back(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    rules = [
        a_rule(
            mail_desk.desk,
            {"on": "created"},
            then=[("assign_team", {"team": "billing"}), ("add_tags", {"tags": ["new"]})],
        ),
        a_rule(
            mail_desk.desk,
            {"on": "changed", "field": "ticket.status", "to": ["waiting_team"]},
            when={"event.actor": ("is", "agent")},
            then=[("snooze", {"for": "2 d"}), ("set_priority", {"priority": "high"})],
        ),
    ]
    passes(mail_desk)
    ticket, twin = (mail_desk.receive("Help", sender=f"{who}@customer.test").item_id for who in ("kim", "lee"))
    assert ticket is not None
    assert twin is not None
    state = mail_desk.desk.state(ticket)
    assert (state["team"], state["tags"]) == ("billing", ["new"])
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "waiting_team"})
    passes(mail_desk)
    state = mail_desk.desk.state(ticket)
    assert (state["status"], state["priority"]) == ("snoozed", "high")
    assert f"/tickets/{ticket}" not in ana.get("/?queue=all").get_data(as_text=True)
    passes(mail_desk, days=2)
    assert mail_desk.desk.state(ticket)["status"] == "waiting_team"
    assert f"/tickets/{ticket}" in ana.get("/?queue=waiting").get_data(as_text=True)

    for code in rules:
        switch(mail_desk.desk, code, on=False)
    send(ana, f"/tickets/{twin}/fields/status", {"value": "waiting_team"})
    passes(mail_desk)
    state = mail_desk.desk.state(twin)
    assert (state["status"], state["priority"]) == ("waiting_team", "normal")


@pytest.mark.parametrize("status", ["waiting_customer", "waiting_team"])
@pytest.mark.parametrize("on", [True, False])
def test_h11_what_waits_leaves_the_active_queue_and_comes_back_on_time_or_with_an_answer(
    mail_desk: MailDesk, status: str, on: bool
) -> None:
    ana = mail_desk.browser("ana")
    then = [("snooze", {"for": "3 d", "answer": "customer"})]
    by_hand = {"event.actor": ("is", "agent")}
    rule = a_rule(mail_desk.desk, {"on": "changed", "field": "ticket.status", "to": [status]}, when=by_hand, then=then)
    switch(mail_desk.desk, rule, on=on)
    passes(mail_desk)
    on_time, answered = (
        mail_desk.receive("Help", sender=f"{who}@customer.test", Message_ID=f"<{who}@customer.test>").item_id
        for who in ("kim", "lee")
    )

    def queued() -> list[bool]:
        page = ana.get("/?queue=all").get_data(as_text=True)
        return [f'href="/tickets/{one}"' in page for one in (on_time, answered)]

    assert queued() == [True, True]
    for one in (on_time, answered):
        send(ana, f"/tickets/{one}/fields/status", {"value": status})
    passes(mail_desk)
    assert queued() == [not on, not on]
    passes(mail_desk, days=1)
    mail_desk.receive("Here it is.", sender="lee@customer.test", In_Reply_To="<lee@customer.test>")
    passes(mail_desk)
    assert queued() == [not on, True]
    passes(mail_desk, days=2)
    assert queued() == [True, True]
    assert [mail_desk.desk.state(one)["status"] for one in (on_time, answered) if one] == [status, status]


def test_o27_a_projects_moved_due_date_stands_in_an_internal_note(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    code = mail_desk.desk.publish(files.load((RECIPES / "O27_due_date_moved.yaml").read_text()))
    send(ana, "/items/project/new", {"subject": "Move the shop", "priority": "normal"})
    mail_desk.work()
    project = item_named(mail_desk.desk, "Move the shop")
    before = mail_desk.said(project)
    moved = send(ana, f"/tickets/{project}/details", {"was:due_at": "", "due_at": "2026-12-24"})
    assert moved.status_code < 400
    mail_desk.work()
    [(author, text)] = mail_desk.said(project)[len(before) :]
    assert (author, "2026" in text, "The due date is now" in text) == ("bot", True, True)
    switch(mail_desk.desk, code, on=False)
    send(ana, f"/tickets/{project}/details", {"was:due_at": "2026-12-24", "due_at": "2026-12-31"})
    mail_desk.work()
    assert len(mail_desk.said(project)) == len(before) + 1


def test_a_date_on_a_page_is_midnight_where_the_items_brand_is(mail_desk: MailDesk) -> None:
    """Ana reads in UTC: what she enters is the day there, and what she sees is the day she entered."""
    ana = mail_desk.browser("ana")
    with mail_desk.services.db.write() as connection:
        connection.execute(update(Brand).where(Brand.key == "acme").values(zone="Europe/Paris"))
    for brand, stored in (("acme", "2026-12-23T23:00"), (None, "2026-12-24T00:00")):
        ticket = mail_desk.desk.ticket(brand=brand)
        send(ana, f"/tickets/{ticket}/details", {"was:due_at": "", "due_at": "2026-12-24"})
        assert str(mail_desk.desk.state(ticket)["due_at"]).startswith(stored)
        [entered] = re.findall(
            r'<input[^>]* name="due_at"[^>]* value="([^"]*)"', ana.get(f"/tickets/{ticket}").get_data(as_text=True)
        )
        assert entered == "2026-12-24"


@pytest.mark.parametrize("on", [True, False])
def test_o27_a_message_as_oneself_stays_in_the_house_and_a_template_goes_out(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana", "manager", "agent", name="Ana Nowak")
    moved = {"en": {"subject": "{{ticket.subject}} moves", "body": "It is due on {{ticket.due_at}}."}}
    template(mail_desk, {"texts": moved}, "Moved")
    note: dict[str, JSON] = {"text": "The schedule has changed.", "public": False, "poster": "ana"}
    trigger = {"on": "changed", "field": "ticket.due_at"}
    then: Steps = [("post_message", note), ("send_template", {"template": "E01", "to": ["customer"]})]
    code = a_rule(mail_desk.desk, trigger, then=then, kind="project")
    switch(mail_desk.desk, code, on=on)
    for kind in ("project", "task"):
        send(ana, f"/items/{kind}/new", {"subject": f"The {kind}", "email": "camille@customer.test"})
    mail_desk.work()
    project, task = (item_named(mail_desk.desk, f"The {kind}") for kind in ("project", "task"))
    for item in (project, task):
        send(ana, f"/tickets/{item}/details", {"was:due_at": "", "due_at": "2026-12-24"})
    mails = [(recipient(mail), str(mail["Subject"])) for mail in mail_desk.work()]
    assert mails == ([("camille@customer.test", f"The project moves [#{project}]")] if on else [])
    shown = shown_messages(ana.get(f"/tickets/{project}").get_data(as_text=True))
    said = [(who, public) for who, public, text in shown if "The schedule has changed." in text]
    assert (said, len(shown)) == (([("Ana Nowak", False)], 1) if on else ([], 0))
    assert mail_desk.said(task) == []


@pytest.mark.parametrize(("day", "on"), [("0001-01-01", "before_date"), ("9999-12-31", "after_date")])
@pytest.mark.parametrize("calendar", ["", "office"])
def test_a_date_at_either_end_of_the_calendar_keeps_no_clock_from_going(
    mail_desk: MailDesk, day: str, on: str, calendar: str
) -> None:
    """Other systems write these two for "never": what would come before or after them never does."""
    ana = mail_desk.browser("ana")
    trigger: dict[str, JSON] = {"on": on, "field": "ticket.due_at", "by": "3 d"}
    if calendar and on == "after_date":
        at = mail_desk.services.clock.now()
        calendar_row = {"key": calendar, "label": "Office", "body": OFFICE, "updated_at": at}
        with mail_desk.services.db.write() as connection:
            connection.execute(insert(BusinessCalendar).values(calendar_row))
        trigger["calendar"] = calendar
    a_rule(mail_desk.desk, trigger, then=[("add_tags", {"tags": ["first"]})])
    passes(mail_desk)
    ends, ordinary = mail_desk.desk.ticket(brand=None), mail_desk.desk.ticket(brand=None)
    for ticket, due_at in ((ends, day), (ordinary, "2026-12-24")):
        given = send(ana, f"/tickets/{ticket}/details", {"was:due_at": "", "due_at": due_at})
        assert given.status_code == 303
        assert str(mail_desk.desk.state(ticket)["due_at"]).startswith(due_at)
    a_rule(mail_desk.desk, trigger, then=[("add_tags", {"tags": ["second"]})])
    passes(mail_desk, days=60)
    assert mail_desk.desk.state(ordinary)["tags"] == ["first", "second"]
    assert mail_desk.desk.state(ends).get("tags") is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00.000000+00:00", "9999-12-31T23:59:59.000000+00:00"])
def test_a_moment_that_is_none_where_the_reader_is_is_shown_as_it_is_in_utc(mail_desk: MailDesk, at: str) -> None:
    ana = mail_desk.browser("ana")
    with mail_desk.services.db.write() as connection:
        made = store.create_item(
            connection,
            kind=ItemKind.PROJECT,
            state={"subject": "Move the shop", "due_at": at},
            actor=SYSTEM,
            now=mail_desk.services.clock.now(),
        )
    project = made.item_id
    for zone in ("Europe/Warsaw", "America/New_York"):
        with mail_desk.services.db.write() as connection:
            connection.execute(update(User).where(User.key == "ana").values(zone=zone))
        for page in (f"/tickets/{project}", "/items/project"):
            shown = ana.get(page)
            assert (page, shown.status_code) == (page, 200)
            assert f'<time datetime="{at[:19]}+00:00"' in shown.get_data(as_text=True)
        said = re.findall(r'<input[^>]* name="due_at"[^>]* value="([^"]*)"', ana.get(f"/tickets/{project}").text)
        assert said == [at[:10]]
