"""W11: automations create projects that group reports."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.rows.desk import a_rule, item_named, switch
from tests.web.desk import Desk, send


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


@pytest.mark.parametrize("on", [True, False])
def test_w11_reports_of_one_matter_are_grouped_in_a_project_that_people_work_on_together(
    agent: FlaskClient, desk: Desk, on: bool
) -> None:
    desk.user("ion", "agent")
    about = {"ticket.subject": ("contains_any", ["warehouse"])}
    made = {"kind": "project", "subject": "The warehouse", "way": "contains", "users": ["ana", "ion"]}
    opens = a_rule(desk, {"on": "run_now"}, when=about, then=[("create_item", made)], name="Open a project")
    first = desk.ticket("The warehouse is cold")
    send(agent, f"/tickets/{first}/run/{opens}")
    desk.work()
    project = item_named(desk, "The warehouse")
    assert desk.state(project)["assignees"] == ["ana", "ion"]
    joins = a_rule(desk, {"on": "created"}, when=about, then=[("link", {"number": str(project), "way": "contains"})])
    switch(desk, joins, on=on)
    second, other = desk.ticket("Again the warehouse"), desk.ticket("The canteen")
    desk.work()
    pages = [agent.get(f"/tickets/{one}").get_data(as_text=True) for one in (first, second, other)]
    found = [f'href="/tickets/{project}"' in page for page in pages]
    assert found == [True, on, False]
    assert f"of {2 if on else 1} done" in agent.get("/items/project").get_data(as_text=True)
