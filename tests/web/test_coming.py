"""What comes stands on the ticket, and can be called off there."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import insert, select

from jobs.erasure import erase
from jobs.tables import LookupRow
from tests.web.desk import Desk, send, token
from tests.web.test_runs_pages import words
from tickets.tables import WorkItem


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
