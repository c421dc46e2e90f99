"""O28: approval status changes to approved on a billable timesheet -> a template goes to the one who handed it in."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.rows.desk import a_rule, item_named, switch
from tests.rows.maildesk import MailDesk, recipient, template, text_of
from tests.web.desk import send

APPROVED = {"en": {"subject": "Approved: {{ticket.subject}}", "body": "{{ticket.fields.hours}} hours will be billed."}}


def hand_in(browser: FlaskClient, mail_desk: MailDesk, subject: str, who: str, billing: str) -> int:
    sheet = {"subject": subject, "assignees": who, "fields.hours": "2.5", "fields.billing": billing}
    assert send(browser, "/items/timesheet/new", sheet).status_code == 303
    return item_named(mail_desk.desk, subject)


@pytest.mark.parametrize("on", [True, False])
def test_o28_an_approved_billable_timesheet_tells_who_handed_it_in(mail_desk: MailDesk, on: bool) -> None:
    boss, kim = mail_desk.browser("boss", "manager", "agent"), mail_desk.browser("kim")
    template(mail_desk, {"texts": APPROVED}, "Approved")
    rule = a_rule(
        mail_desk.desk,
        {"on": "changed", "field": "ticket.fields.approval", "to": ["approved"]},
        when={"ticket.fields.billing": ("is", "billable")},
        then=[("send_template", {"template": "E01", "to": ["assignees"]})],
        kind="timesheet",
    )
    switch(mail_desk.desk, rule, on=on)
    paid = hand_in(kim, mail_desk, "Week 1", "kim", "billable")
    unpaid = hand_in(kim, mail_desk, "Week 2", "kim", "not_billable")
    assert mail_desk.work() == []
    got = {}
    for was, approval in (("draft", "submitted"), ("submitted", "rejected"), ("rejected", "approved")):
        for sheet in (paid, unpaid):
            fields = {"was:fields.approval": was, "fields.approval": approval}
            assert send(boss, f"/tickets/{sheet}/details", fields).status_code == 303
        got[approval] = [
            (recipient(one), str(one["Subject"]), text_of(one).splitlines()[0]) for one in mail_desk.work()
        ]
    told = ("kim@deskhand.test", f"Approved: Week 1 [#{paid}]", "2.5 hours will be billed.")
    assert got == {"submitted": [], "rejected": [], "approved": [told] if on else []}
    assert mail_desk.said(paid) == []  # e-mailed, posted nowhere
