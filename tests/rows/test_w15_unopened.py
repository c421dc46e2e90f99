"""W15: conditions on category and location, a keyword means high priority, and what nobody opens is escalated."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert

from jobs import timers
from rules import files
from rules import store as rule_list
from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import ADDRESS, MailDesk, recipient
from tests.web.desk import send
from tickets.tables import CustomField, Location

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "recipes"


def passes(desk: MailDesk, **span: float) -> None:
    desk.desk.clock.move(**span)
    timers.tick(desk.services, budget_s=30)
    desk.desk.work()


@pytest.mark.parametrize("on", [True, False])
def test_w15_a_report_nobody_opens_for_two_days_nudges_and_escalates(mail_desk: MailDesk, on: bool) -> None:
    ion = mail_desk.browser("ion")
    mail_desk.browser("ana", "manager", "agent")
    code = mail_desk.desk.publish(files.load((RECIPES / "W15_not_opened.yaml").read_text()))
    switch(mail_desk.desk, code, on=on)
    numbers = []
    for who in ("kim", "lee", "zoe"):
        made = mail_desk.receive("A report", sender=f"{who}@customer.test", to=ADDRESS).item_id
        assert made is not None
        numbers.append(made)
    _, opened, solved = numbers
    passes(mail_desk, hours=24)
    # What the page of a ticket says as soon as somebody looks at it; looking is no answer and no change of it.
    assert send(ion, f"/tickets/{opened}/seen", {"up_to": "99"}).status_code < 400
    send(ion, "/bulk", {"do": "status:solved", "item": [str(solved)]})
    passes(mail_desk, hours=23, minutes=59)
    assert mail_desk.deliver() == []
    passes(mail_desk, minutes=1)
    assert [recipient(mail) for mail in mail_desk.deliver()] == (["ana@deskhand.test"] if on else [])
    found = [(mail_desk.desk.state(one)["priority"], mail_desk.desk.state(one).get("assignees")) for one in numbers]
    assert found == [("high", ["ana"]) if on else ("normal", None), ("normal", None), ("normal", None)]
    passes(mail_desk, days=9)
    assert mail_desk.deliver() == []  # once


@pytest.mark.parametrize("on", [True, False])
def test_w15_category_and_location_are_conditions_and_a_keyword_means_high_priority(
    mail_desk: MailDesk, on: bool
) -> None:
    ana = mail_desk.browser("ana")
    with mail_desk.services.db.write() as connection:
        options = {"safety": "Safety", "other": "Other"}
        connection.execute(
            insert(CustomField).values(kind="ticket", key="category", label="Category", type="choice", options=options)
        )
        connection.execute(insert(Location), [{"key": "lille", "label": "Lille"}, {"key": "nice", "label": "Nice"}])
        rule_list.bump(connection)
    where = {"ticket.fields.category": ("is", "safety"), "ticket.location": ("is", "lille")}
    team = a_rule(
        mail_desk.desk, {"on": "changed"}, when=where, then=[("assign_team", {"team": "billing"})], name="Where"
    )
    words = {"message.text": ("contains_any", ["accident"])}
    rank = a_rule(mail_desk.desk, {"on": "created"}, when=words, then=[("set_priority", {"priority": "high"})])
    for code in (team, rank):
        switch(mail_desk.desk, code, on=on)
    found = []
    for category, location, text in (
        ("safety", "lille", "An accident."),
        ("safety", "nice", "A question."),
        ("other", "lille", "A question."),
    ):
        sender = f"{category}.{location}@customer.test"
        number = mail_desk.receive(text, sender=sender, to=ADDRESS).item_id
        assert number is not None
        given = {"was:fields.category": "", "fields.category": category, "was:location": "", "location": location}
        assert send(ana, f"/tickets/{number}/details", given).status_code == 303
        mail_desk.work()
        state = mail_desk.desk.state(number)
        found.append((state.get("team"), state["priority"]))
    plain = (None, "normal")
    assert found == [("billing", "high") if on else plain, plain, plain]
