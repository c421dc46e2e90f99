"""W1 W2 W5 W6 W8 W9 W10: what a reporter answers and what a handler answers decide what happens to a report.

A harassment report goes to a restricted team, and nobody else finds it by any page, search, bell, preview or the API.
"""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from jobs.preview import preview
from tests.rows.desk import a_rule, item_named, said_to_customer, switch
from tests.rows.questions import make_list, report
from tests.web.desk import Desk, let_in, send, token
from tickets import people
from tickets.values import JSON
from web import api_store

SECRET = "Zorgon touched my shoulder"


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("mia", "manager", name="Mia Manager"))
    return browser


@pytest.fixture
def report_form(manager: FlaskClient) -> None:
    make_list(
        manager,
        "form",
        "Report misconduct",
        ("Category", "choice", "Harassment; Fraud"),
        ("What happened", "text", ""),
        anonymous="1",
    )


ROUTING = {
    "then": [
        ("assign_team", {"team": "ethics"}),
        ("add_tags", {"tags": ["harassment"]}),
        ("notify", {"teams": ["ethics"], "text": "A report: {{ticket.subject}}"}),
        ("post_message", {"text": "We have your report and take it seriously."}),
    ],
    "when": {"ticket.fields.category": ("is", "Harassment")},
}


def test_w1_w5_w9_w10_a_reporters_answers_route_tag_and_answer_the_report(
    report_form: None, app: APIFlask, agent: FlaskClient, desk: Desk
) -> None:
    desk.user("hania", "agent", teams=("ethics",))
    rule = a_rule(desk, {"on": "form_answered", "form": "report_misconduct"}, **ROUTING)  # type: ignore[arg-type]
    browser, code = report(app, "Harassment", SECRET)
    report(app, "Fraud", "Somebody took the till")
    desk.work()
    assert (desk.state(1)["team"], desk.state(1)["tags"]) == ("ethics", ["harassment"])
    assert desk.state(1)["fields.category"] == "Harassment"
    assert "team" not in desk.state(2)
    # W9: the reporter, whom nobody knows, reads the answer by the code alone.
    page = browser.get("/portal/report")
    assert browser.post("/portal/report", data={"csrf_token": token(page), "code": code}).status_code == 303
    answer = browser.get("/portal/items/1").get_data(as_text=True)
    assert "We have your report and take it seriously." in answer
    with desk.services.db.read() as connection:
        customer = people.customer(connection, int(str(desk.state(1)["customer"])))
    assert (customer.anonymous, customer.name, customer.emails) == (True, "", ())
    switch(desk, rule, on=False)
    report(app, "Harassment", "Again")
    desk.work()
    assert "team" not in desk.state(3)
    assert said_to_customer(desk, 3) == []


def test_w2_w6_w8_a_handlers_answers_set_the_status_and_tell_the_team(
    manager: FlaskClient, agent: FlaskClient, desk: Desk
) -> None:
    make_list(manager, "procedure", "First inquiry", ("Evidence found", "yes_no", ""), ("Summary", "text", ""))
    rule = a_rule(
        desk,
        {"on": "procedure_answered", "procedure": "first_inquiry"},
        when={"ticket.fields.evidence_found": ("is", True)},
        then=[
            ("set_status", {"status": "waiting_team"}),
            ("notify", {"users": ["ana"], "text": "Evidence in {{ticket.id}}"}),
        ],
    )
    first, second, third = (desk.ticket(f"Case {n}") for n in range(3))
    desk.work()
    assert "First inquiry" in agent.get(f"/tickets/{first}").get_data(as_text=True)
    answers = {"a:summary": "Two witnesses"}
    send(agent, f"/tickets/{first}/procedures/first_inquiry", {"a:evidence_found": "yes", **answers})
    send(agent, f"/tickets/{second}/procedures/first_inquiry", {"a:evidence_found": "no", **answers})
    left = send(agent, f"/tickets/{third}/procedures/first_inquiry", {"a:evidence_found": "yes"})
    assert left.status_code == 422
    desk.work()
    assert [desk.state(one)["status"] for one in (first, second, third)] == ["waiting_team", "open", "open"]
    assert desk.state(second)["fields.evidence_found"] is False
    assert "fields.evidence_found" not in desk.state(third)
    bell = agent.get("/bell").get_data(as_text=True)
    assert (f"Evidence in {first}" in bell, f"Evidence in {second}" in bell) == (True, False)
    switch(desk, rule, on=False)
    send(agent, f"/tickets/{third}/procedures/first_inquiry", {"a:evidence_found": "yes", **answers})
    desk.work()
    assert desk.state(third)["status"] == "open"


def test_w5_a_harassment_report_is_found_by_its_team_alone(
    report_form: None, manager: FlaskClient, app: APIFlask, agent: FlaskClient, desk: Desk
) -> None:
    hr = app.test_client()
    let_in(hr, desk.user("hania", "agent", teams=("ethics",)))
    admin = app.test_client()
    let_in(admin, desk.user("root", "admin"))
    # The bell of somebody who is not in the team is told, too, by a careless rule; they must not see the line.
    notes = [*ROUTING["then"], ("notify", {"users": ["ana", "root"], "text": "Zorgon again"})]
    code = a_rule(desk, {"on": "form_answered"}, when=ROUTING["when"], then=notes)  # type: ignore[arg-type]
    report(app, "Harassment", SECRET)
    desk.work()
    number = item_named(desk, "Report misconduct")
    routes = [
        "/?queue=all",
        "/?queue=unassigned",
        "/?queue=everything&text=Zorgon",
        "/?queue=all&text=shoulder",
        f"/?queue=all&text={number}",
        f"/tickets/{number}",
        f"/tickets/{number}?view=automation",
        f"/tickets/{number}/why/{code}",
        "/bell",
        "/runs",
        "/requests",
        "/outbox",
        "/items/task",
        f"/requests/new?item={number}",
    ]
    for browser in (agent, manager, admin):
        for route in routes:
            page = browser.get(route).get_data(as_text=True)
            assert "Zorgon" not in page.replace("text=Zorgon", "").replace('value="Zorgon"', ""), route
            assert "Report misconduct" not in page, route
    assert "Zorgon" in hr.get(f"/tickets/{number}").get_data(as_text=True)
    assert "Report misconduct" in hr.get("/?queue=all&text=shoulder").get_data(as_text=True)
    assert "A report: Report misconduct" in hr.get("/bell").get_data(as_text=True)
    # Changing it by its number is refused as well, and nothing happens.
    before = desk.state(number)
    for path, data in (
        (f"/tickets/{number}/fields/team", {"value": ""}),
        (f"/tickets/{number}/tags", {"add": "mine"}),
        (f"/tickets/{number}/messages", {"text": "hello"}),
        (f"/tickets/{number}/details", {"was:subject": "Report misconduct", "subject": "x"}),
        (f"/tickets/{number}/follow", {"on": "1"}),
        ("/bulk", {"do": "team:billing", "item": str(number)}),
        ("/requests/new", {"item": str(number), "title": "x", "label0": "Who are you?"}),
    ):
        send(admin, path, data)
    assert desk.state(number) == before
    # A preview over history and the API count it as hidden or not at all.
    with desk.services.db.write() as connection:
        tokens = {
            user: api_store.new_token(connection, user=user, name="t", now=desk.clock.now(), days=1)
            for user in ("ana", "hania")
        }
    for user, sees in (("ana", False), ("hania", True)):
        headers = {"Authorization": f"Bearer {tokens[user]}"}
        listed = app.test_client().get("/api/v1/tickets", headers=headers).get_data(as_text=True)
        one = app.test_client().get(f"/api/v1/tickets/{number}/timeline", headers=headers)
        assert ("Report misconduct" in listed, one.status_code == 200) == (sees, sees)
    with desk.services.db.read() as connection:
        ana, hania = (people.viewer(connection, user) for user in ("ana", "hania"))
    assert ana is not None
    assert hania is not None
    draft: dict[str, JSON] = {
        "name": "Draft",
        "triggers": [{"on": "created"}],
        "columns": [],
        "steps": [{"id": "s1", "do": "add_tags"}],
        "rows": [{"id": "r1", "then": {"s1": {"tags": ["seen"]}}}],
    }
    outside, inside = (preview(desk.services, code, draft, viewer) for viewer in (ana, hania))
    assert (outside.events, outside.hidden) == (0, inside.events)
    assert inside.events > 0
    assert "Report misconduct" not in str(outside)
