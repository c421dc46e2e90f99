"""O26: priority changes to five stars -> the manager is added to who has the task."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.rows.desk import a_rule, item_named, switch
from tests.web.desk import Desk, send


def test_o26_a_task_given_five_stars_gets_the_manager_too(agent: FlaskClient, desk: Desk) -> None:
    desk.user("mia", "manager", name="Mia Manager")
    rule = a_rule(
        desk,
        {"on": "changed", "field": "ticket.priority", "to": ["critical"]},
        then=[("add_assignee", {"users": ["mia"]})],
        kind="task",
    )
    for subject in ("Call the bank", "Call the court"):
        made = send(agent, "/items/task/new", {"subject": subject, "assignees": "ana", "priority": "normal"})
        assert made.status_code == 303
    desk.work()
    task, other = item_named(desk, "Call the bank"), item_named(desk, "Call the court")
    page = agent.get(f"/tickets/{task}").get_data(as_text=True)
    assert "5 stars" in page
    send(agent, f"/tickets/{task}/fields/priority", {"value": "critical"})
    desk.work()
    assert desk.state(task)["assignees"] == ["ana", "mia"]

    switch(desk, rule, on=False)
    send(agent, f"/tickets/{other}/fields/priority", {"value": "critical"})
    desk.work()
    assert desk.state(other)["assignees"] == ["ana"]
