"""W5 W6 W7: what a reporter answers assigns to a person or a team, sets the status, alerts chosen people at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rows.desk import switch
from tests.rows.maildesk import MailDesk, recipient, text_of
from tests.rows.questions import make_list, report

CATEGORIES = "Sexual harassment; Fraud; Theft; Other"
ROUTES: dict[str, Any] = {
    "name": "Reports by category",
    "kind": "ticket",
    "triggers": [{"on": "form_answered", "form": "report_misconduct"}],
    "hit": "first",
    "wait_s": 0,
    "columns": [{"id": "category", "field": "ticket.fields.category", "op": "is"}],
    "steps": [
        {"id": "team", "do": "assign_team"},
        {"id": "person", "do": "assign"},
        {"id": "status", "do": "set_status"},
        {"id": "alert", "do": "notify"},
    ],
    "rows": [
        {
            "id": "grave",
            "if": {"category": {"value": "Sexual harassment"}},
            "then": {
                "team": {"team": "ethics"},
                "alert": {"users": ["hania"], "text": "A new report: {{ticket.fields.category}}", "email": True},
            },
        },
        {"id": "fraud", "if": {"category": {"value": "Fraud"}}, "then": {"person": {"users": ["leo"]}}},
        {"id": "theft", "if": {"category": {"value": "Theft"}}, "then": {"status": {"status": "waiting_team"}}},
    ],
}


@pytest.mark.parametrize("on", [True, False])
def test_w5_w6_w7_the_category_a_reporter_chose_decides_who_has_it_its_status_and_who_hears(
    mail_desk: MailDesk, on: bool
) -> None:
    mail_desk.browser("hania", teams=("ethics",))
    mail_desk.browser("leo", name="Leo of Legal")
    mia = mail_desk.browser("mia", "manager", "agent")
    what = (("Category", "choice", CATEGORIES), ("What happened", "text", ""))
    make_list(mia, "form", "Report misconduct", *what, anonymous="1")
    code = mail_desk.desk.publish(ROUTES)
    switch(mail_desk.desk, code, on=on)
    for category in CATEGORIES.split("; "):
        report(mail_desk.app, category, f"It was {category}.")
    mails = mail_desk.work()
    states = [mail_desk.desk.state(number) for number in (1, 2, 3, 4)]
    found = [(state.get("team"), state.get("assignees"), state["status"]) for state in states]
    nothing = (None, None, "open")
    to_hr, to_legal, waits = ("ethics", None, "open"), (None, ["leo"], "open"), (None, None, "waiting_team")
    assert found == ([to_hr, to_legal, waits, nothing] if on else [nothing] * 4)
    assert [recipient(mail) for mail in mails] == (["hania@deskhand.test"] if on else [])
    assert all("A new report: Sexual harassment" in text_of(mail) for mail in mails)
