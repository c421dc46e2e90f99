"""W11: automations create projects that group reports."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.rows.desk import a_rule, item_named, switch
from tests.web.desk import Desk


def test_w11_a_report_opens_a_project_that_contains_it(agent: FlaskClient, desk: Desk) -> None:
    rule = a_rule(
        desk,
        {"on": "created"},
        when={"ticket.subject": ("contains_any", ["report"])},
        then=[("create_item", {"kind": "project", "subject": "Case {{ticket.id}}", "way": "contains"})],
    )
    report = desk.ticket("A report about the warehouse")
    desk.work()
    project = item_named(desk, f"Case {report}")
    listed = agent.get("/items/project").get_data(as_text=True)
    assert f"Case {report}" in listed
    assert "0 of 1 done" in listed
    assert f'href="/tickets/{project}"' in agent.get(f"/tickets/{report}").get_data(as_text=True)

    switch(desk, rule, on=False)
    desk.ticket("A report about the office")
    desk.work()
    assert agent.get("/items/project").get_data(as_text=True).count("Case ") == listed.count("Case ")
