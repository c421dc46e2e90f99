"""H4 H5 H6: several things at once, on arrival and by hand, on one ticket and on many."""

from __future__ import annotations

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from tests.rows.desk import Steps, a_rule, switch
from tests.web.desk import Desk, let_in, send
from tickets.tables import EventRow

STEPS: Steps = [
    ("set_status", {"status": "waiting_team"}),
    ("set_priority", {"priority": "urgent"}),
    ("add_tags", {"tags": ["escalated"]}),
    ("assign_team", {"team": "billing"}),
    ("assign", {"users": ["ana"]}),
    ("notify", {"users": ["ana"], "text": "Escalated {{ticket.id}}"}),
]
AFTER = {"status": "waiting_team", "priority": "urgent", "tags": ["escalated"], "team": "billing", "assignees": ["ana"]}


def events(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(EventRow)).scalar_one()


def test_h4_h6_one_rule_does_all_of_it_on_arrival(agent: FlaskClient, desk: Desk) -> None:
    rule = a_rule(desk, {"on": "created"}, then=STEPS)
    first = desk.ticket("Help")
    desk.work()
    assert desk.state(first) | AFTER == desk.state(first)
    assert f"Escalated {first}" in agent.get("/bell").get_data(as_text=True)
    switch(desk, rule, on=False)
    second = desk.ticket("Help")
    desk.work()
    assert [key for key, value in AFTER.items() if desk.state(second).get(key) == value] == []
    assert "team" not in desk.state(second)


def test_h6_a_rule_runs_by_its_button_on_one_ticket_and_by_the_menu_on_several(agent: FlaskClient, desk: Desk) -> None:
    code = a_rule(desk, {"on": "run_now"}, then=STEPS, name="Escalate")
    other = a_rule(desk, {"on": "run_now"}, then=[("add_tags", {"tags": ["wrong rule"]})], name="Another")
    by_itself = a_rule(desk, {"on": "changed"}, then=[("add_tags", {"tags": ["by itself"]})], name="By itself")
    tickets = [desk.ticket(f"Help {n}") for n in range(4)]
    desk.work()
    assert all("tags" not in desk.state(one) for one in tickets)
    assert "Escalate" in agent.get(f"/tickets/{tickets[0]}").get_data(as_text=True)
    assert send(agent, f"/tickets/{tickets[0]}/run/{by_itself}").status_code == 404  # only where a rule says so
    switch(desk, by_itself, on=False)
    send(agent, f"/tickets/{tickets[0]}/run/{code}")
    before = events(desk)
    sent = send(
        agent, "/bulk", {"do": f"run:{code}", "item": [str(one) for one in tickets[1:3]], "back": "/?queue=all"}
    )
    assert sent.location == "/?queue=all"
    assert events(desk) == before + 2  # one for each item
    desk.work()
    for one in tickets[:3]:
        assert desk.state(one) | AFTER == desk.state(one)
    assert "tags" not in desk.state(tickets[3])
    switch(desk, other, on=False)
    assert send(agent, f"/tickets/{tickets[3]}/run/{other}").status_code == 404


def test_h6_a_rule_with_a_button_is_offered_on_the_ticket_and_in_the_bulk_menu_while_it_is_on(
    agent: FlaskClient, desk: Desk
) -> None:
    code = a_rule(desk, {"on": "run_now"}, then=STEPS, name="Escalate it")
    a_rule(desk, {"on": "created"}, then=STEPS, name="By itself alone")
    jobs_only = a_rule(desk, {"on": "run_now"}, then=STEPS, name="For jobs", kind="job")
    ticket = desk.ticket("Help")
    for on in (True, False):
        switch(desk, code, on=on)
        page, inbox = (agent.get(path).get_data(as_text=True) for path in (f"/tickets/{ticket}", "/?queue=all"))
        assert (f'action="/tickets/{ticket}/run/{code}"' in page) == on
        assert (f'<option value="run:{code}">Escalate it</option>' in inbox) == on
        for text in (page, inbox):
            assert f"/run/{jobs_only}" not in text
            assert f'value="run:{jobs_only}"' not in text
        assert 'value="run:A02"' not in inbox


def test_h5_bulk_changes_leave_out_what_one_may_not_see_and_what_does_not_fit(
    agent: FlaskClient, app: APIFlask, desk: Desk
) -> None:
    report, plain = desk.ticket("Harassment", team="ethics"), desk.ticket("Help")
    for do, field, value in (
        ("team:billing", "team", "billing"),
        ("assign:ana", "assignees", ["ana"]),
        ("status:solved", "status", "solved"),
        ("priority:urgent", "priority", "urgent"),
        ("tag", "tags", ["seen"]),
        ("archive", "archived", True),
    ):
        send(agent, "/bulk", {"do": do, "tag": "seen", "item": [str(report), str(plain), "4711"]})
        assert desk.state(plain)[field] == value
    assert desk.state(report)["team"] == "ethics"
    assert desk.state(report) == {**desk.state(report), "status": "open", "priority": "normal"}
    before = desk.state(plain)
    for do in ("status:in_progress", "assign:nobody", "team:nowhere", "priority:x", "run:A99", "sudo:x", ""):
        send(agent, "/bulk", {"do": do, "item": [str(plain)]})
    assert send(agent, "/bulk", {"do": "archive", "item": [str(n) for n in range(51)]}).status_code == 422
    assert desk.state(plain) == before
    other = app.test_client()
    let_in(other, desk.user("hania", "agent", teams=("ethics",)))
    send(other, "/bulk", {"do": "status:solved", "item": [str(report)]})
    assert desk.state(report)["status"] == "solved"


def test_h5_somebody_away_is_passed_over_until_they_are_back(agent: FlaskClient, desk: Desk) -> None:
    desk.user("bea", "agent", teams=("billing",))
    a_rule(desk, {"on": "created"}, then=[("assign_next", {"team": "billing", "turns": "round_robin"})])
    send(agent, "/away", {"last_day": "2026-11-22"})
    assert "You are away until" in agent.get("/away").get_data(as_text=True)
    got = []
    for days in (0, 0, 2, 0):
        desk.clock.move(days=days)
        ticket = desk.ticket("Help")
        desk.work()
        got.append(desk.state(ticket)["assignees"])
    assert got == [["bea"], ["bea"], ["ana"], ["bea"]]
    assert send(agent, "/away", {"last_day": "2020-01-01"}).status_code == 422
