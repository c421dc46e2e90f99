"""W7 W8 W9: a grave report alerts at once, what a manager does tells the others, a reporter hears it arrived."""

from __future__ import annotations

from typing import Any

import pytest

from rules import store as rule_list
from tests.rows.maildesk import ADDRESS, MailDesk, a_table, recipient, text_of
from tests.web.desk import send


def publish(mail_desk: MailDesk, table: dict[str, Any], on: bool) -> None:
    code = mail_desk.desk.publish(table)
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=on)


def when(table: dict[str, Any], field: str, value: Any, op: str = "is") -> dict[str, Any]:
    return {
        **table,
        "columns": [{"id": "c1", "field": field, "op": op}],
        "rows": [{**table["rows"][0], "if": {"c1": {"value": value}}}],
    }


@pytest.mark.parametrize("on", [True, False])
def test_w7_a_grave_report_is_e_mailed_to_chosen_people_at_once(mail_desk: MailDesk, on: bool) -> None:
    mail_desk.browser("hania", teams=("ethics",))
    mail_desk.browser("ion")
    alert = a_table("notify", {"users": ["hania"], "text": "A grave report came in.", "email": True})
    publish(mail_desk, when(alert, "ticket.subject", ["harassment"], "contains_any"), on)
    mail_desk.desk.ticket("Harassment at work", team="ethics")
    mail_desk.desk.ticket("A lamp is broken", email="b@customer.test")
    assert [recipient(mail) for mail in mail_desk.work()] == (["hania@deskhand.test"] if on else [])


@pytest.mark.parametrize("on", [True, False])
def test_w8_how_a_manager_proceeds_tells_the_team(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    mail_desk.browser("kim", teams=("sales",))
    told = a_table(
        "notify",
        {"teams": ["sales"], "text": "The case waits for the customer.", "email": True},
        on={"on": "changed", "field": "status"},
    )
    publish(mail_desk, when(told, "ticket.status", "waiting_customer"), on)
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "waiting_customer"})
    assert [recipient(mail) for mail in mail_desk.work()] == (["kim@deskhand.test"] if on else [])
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "open"})
    assert mail_desk.work() == []


@pytest.mark.parametrize("on", [True, False])
def test_w9_a_reporter_is_answered_on_submission_and_told_of_progress(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    publish(mail_desk, a_table("post_message", {"text": "We received your report."}), on)
    progress = a_table("post_message", {"text": "We look into it."}, on={"on": "changed", "field": "assignees"})
    publish(mail_desk, progress, on)
    done = mail_desk.receive("It happened on Monday.", sender="rep@customer.test", to=ADDRESS, Subject="A report")
    first = mail_desk.later(minutes=2)
    send(ana, f"/tickets/{done.item_id}/fields/assignees", {"value": "ana"})
    mail_desk.desk.work()
    second = mail_desk.later(minutes=2)
    said = [text_of(mail).splitlines()[0] for mail in (*first, *second) if recipient(mail) == "rep@customer.test"]
    assert said == (["We received your report.", "We look into it."] if on else [])
