"""What comes stands on the ticket, and can be called off there."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import insert, select

from jobs.erasure import erase
from jobs.tables import LookupRow
from tests.web.desk import Desk, send, token
from tests.web.pages import words
from tickets.sla import Policy, Target
from tickets.tables import SlaPolicy, WorkItem


def a_lookup(desk: Desk, item_id: int) -> None:
    now = desk.clock.now()
    with desk.services.db.write() as connection:
        connection.execute(
            insert(LookupRow).values(
                item_id=item_id, connection="erp", operation="find_party", args={}, args_key="k", state="failed",
                answer={}, reason="It is away.", depth=0, asked_at=now, due_at=now, tries=2,
            )
        )  # fmt: skip


def test_what_comes_is_called_off_with_a_reason_that_stands_in_the_timeline(desk: Desk, agent: FlaskClient) -> None:
    ticket = desk.ticket("Where is it?")
    a_lookup(desk, ticket)
    page = agent.get(f"/tickets/{ticket}")
    assert "look up again erp.find_party" in words(page.get_data(as_text=True))
    form = {"source": "lookup", "ref": "1", "why": "The ERP <b>moved</b>", "csrf_token": token(page)}
    answer = agent.post(f"/tickets/{ticket}/coming/call-off", data=form, follow_redirects=True)
    after = answer.get_data(as_text=True)
    assert "called off: look up again erp.find_party" in words(after)
    assert "&lt;b&gt;moved&lt;/b&gt;" in after
    assert "Nothing is planned" in after
    with desk.services.db.read() as connection:
        assert connection.execute(select(LookupRow.due_at)).scalar_one() is None
    late = agent.post(f"/tickets/{ticket}/coming/call-off", data=form, follow_redirects=True)
    assert "Nothing was changed" in late.get_data(as_text=True)


def test_why_something_was_called_off_goes_with_the_person_it_was_about(desk: Desk, agent: FlaskClient) -> None:
    ticket = desk.ticket("Where is it?")
    a_lookup(desk, ticket)
    form = {"source": "lookup", "ref": "1", "why": "Camille asked for it"}
    send(agent, f"/tickets/{ticket}/coming/call-off", dict(form))
    assert "Camille asked" in agent.get(f"/tickets/{ticket}").get_data(as_text=True)
    with desk.services.db.read() as connection:
        person = connection.execute(select(WorkItem.customer)).scalar_one()
    assert person is not None
    erase(desk.services, person, by="test")
    answer = agent.get(f"/tickets/{ticket}")
    assert answer.status_code == 200
    assert "Camille" not in answer.get_data(as_text=True)


def test_nobody_calls_off_on_a_ticket_they_may_not_see(desk: Desk, agent: FlaskClient) -> None:
    hidden = desk.ticket("Contract", team="ethics")
    shown = desk.ticket("Parcel")
    a_lookup(desk, hidden)
    form = {"source": "lookup", "ref": "1", "csrf_token": token(agent.get(f"/tickets/{shown}"))}
    assert agent.post(f"/tickets/{hidden}/coming/call-off", data=form).status_code == 404
    assert agent.post(f"/tickets/{shown}/coming/call-off", data=form, follow_redirects=True).status_code == 200
    with desk.services.db.read() as connection:
        assert connection.execute(select(LookupRow.due_at)).scalar_one() is not None


def test_a_snooze_is_called_off_only_where_an_answer_ends_it_and_the_page_says_why_not(
    desk: Desk, agent: FlaskClient
) -> None:
    alone, awaited = desk.ticket("Where is it?"), desk.ticket("Where is mine?")
    send(agent, f"/tickets/{alone}/snooze", {"for": "4 h"})
    send(agent, f"/tickets/{awaited}/snooze", {"for": "4 h", "answer": "team"})
    page = agent.get(f"/tickets/{alone}").get_data(as_text=True)
    assert "Nothing else brings it back for sure." in page
    assert 'name="source" value="snooze"' not in page
    form = {"source": "snooze", "ref": "until", "why": "They call us", "csrf_token": token(agent.get("/more"))}
    assert "Nothing was changed" in agent.post(
        f"/tickets/{alone}/coming/call-off", data=form, follow_redirects=True
    ).get_data(as_text=True)
    assert desk.state(alone)["snoozed_until"]
    assert 'name="source" value="snooze"' in agent.get(f"/tickets/{awaited}").get_data(as_text=True)
    after = agent.post(f"/tickets/{awaited}/coming/call-off", data=form, follow_redirects=True).get_data(as_text=True)
    assert "called off: back from its snooze" in words(after)
    assert "They call us" in after
    assert (desk.state(awaited)["status"], "snoozed_until" in desk.state(awaited)) == ("snoozed", False)


def test_the_page_says_when_a_service_level_is_over_and_that_a_promise_is_not_called_off(
    desk: Desk, agent: FlaskClient
) -> None:
    with desk.services.db.write() as connection:
        body = Policy("fast", "Fast", {Target.FIRST_REPLY: 4 * 3_600}).to_json()
        values = {"key": "fast", "label": "Fast", "body": body, "position": 1, "enabled": True}
        connection.execute(insert(SlaPolicy).values(**values, updated_at=desk.clock.now()))
    page = agent.get(f"/tickets/{desk.ticket('Where is it?')}").get_data(as_text=True)
    assert "the time for the first reply is over" in page
    assert "A promise is kept or paused, not called off." in page
    assert 'name="source" value="breach"' not in page
