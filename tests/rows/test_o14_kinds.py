"""O14: rules exist for tickets, tasks, timesheets, projects and jobs; a rule for one kind, or for any."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.rows.desk import a_pipeline, a_rule, item_named
from tests.web.desk import Desk, send


@pytest.mark.parametrize("kind", ["task", "project", "timesheet", "job"])
def test_o14_a_rule_runs_on_its_kind_and_one_for_any_on_all(kind: str, agent: FlaskClient, desk: Desk) -> None:
    a_pipeline(desk, "Collect", "Review")
    a_rule(desk, {"on": "created"}, then=[("add_tags", {"tags": [f"a {kind}"]})], kind=kind)
    a_rule(desk, {"on": "created"}, then=[("add_tags", {"tags": ["anything"]})], kind="any")
    assert send(agent, f"/items/{kind}/new", {"subject": "Made here"}).status_code == 303
    made, ticket = item_named(desk, "Made here"), desk.ticket("Asked")
    desk.work()
    assert desk.state(made)["tags"] == [f"a {kind}", "anything"]
    assert desk.state(ticket)["tags"] == ["anything"]
    assert "Made here" in agent.get(f"/items/{kind}").get_data(as_text=True)
    assert "Made here" not in agent.get("/?queue=all").get_data(as_text=True)


def test_o14_a_board_shows_a_job_in_its_stage_and_moves_it(agent: FlaskClient, desk: Desk) -> None:
    a_pipeline(desk, "Collect", "Review")
    send(agent, "/items/job/new", {"subject": "Return 2025", "pipeline": "tax"})
    job = item_named(desk, "Return 2025")
    assert desk.state(job)["fields.stage"] == "collect"
    moved = send(agent, f"/tickets/{job}/stage", {"was": "collect", "stage": "next", "back": "board"})
    assert moved.location.startswith("/items/job/board")
    assert desk.state(job)["fields.stage"] == "review"
    too_late = send(agent, f"/tickets/{job}/stage", {"was": "collect", "stage": "collect"})
    assert too_late.status_code == 409
    assert desk.state(job)["fields.stage"] == "review"
    board = agent.get("/items/job/board").get_data(as_text=True)
    assert board.index(">Review ") < board.index("Return 2025")
