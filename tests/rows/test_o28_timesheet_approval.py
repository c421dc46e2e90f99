"""O28: approval status changes to approved on a billable timesheet -> the one who handed it in is told."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.rows.desk import a_rule, item_named
from tests.web.desk import Desk, send


def hand_in(agent: FlaskClient, desk: Desk, subject: str, billing: str) -> int:
    made = send(
        agent,
        "/items/timesheet/new",
        {"subject": subject, "assignees": "ana", "fields.hours": "2.5", "fields.billing": billing},
    )
    assert made.status_code == 303
    return item_named(desk, subject)


def test_o28_an_approved_billable_timesheet_tells_who_handed_it_in(agent: FlaskClient, desk: Desk) -> None:
    a_rule(
        desk,
        {"on": "changed", "field": "ticket.fields.approval", "to": ["approved"]},
        when={"ticket.fields.billing": ("is", "billable")},
        then=[("notify", {"users": ["ana"], "text": "Timesheet {{ticket.id}} was approved"})],
        kind="timesheet",
    )
    paid, unpaid = (hand_in(agent, desk, f"Week {n}", kind) for n, kind in ((1, "billable"), (2, "not_billable")))
    desk.work()
    assert desk.state(paid) | {"fields.hours": 2.5, "fields.approval": "draft"} == desk.state(paid)
    for sheet in (paid, unpaid):
        saved = send(
            agent, f"/tickets/{sheet}/details", {"was:fields.approval": "draft", "fields.approval": "approved"}
        )
        assert saved.status_code == 303
    desk.work()
    assert desk.state(unpaid)["fields.approval"] == "approved"
    bell = agent.get("/bell").get_data(as_text=True)
    assert f"Timesheet {paid} was approved" in bell
    assert f"Timesheet {unpaid} was approved" not in bell
