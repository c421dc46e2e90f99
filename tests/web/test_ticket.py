"""The ticket page: what it shows of what really happened, and what one can change from it."""

from __future__ import annotations

import io

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from jobs.asking import ask
from jobs.tables import LookupRow, OutboxRow
from tests.web.desk import Desk, let_in, send
from tests.web.pages import readable, ticket_page
from tickets.tables import Attachment, History, Message, WorkItem
from web.ticket import written


@pytest.fixture
def triaged(desk: Desk) -> int:
    """A ticket that row 2 of "New ticket triage" really changed."""
    desk.publish()
    item_id = desk.ticket("Refund please", "Hello")
    assert desk.work() == 2
    return item_id


# What it shows ---------------------------------------------------------------------------------------------------


def test_an_automation_is_one_folded_group_with_because_and_it_did(triaged: int, agent: FlaskClient) -> None:
    page = ticket_page(agent, triaged)
    seen = readable(page)
    assert "1 automation ran 2 changes" in seen
    assert "New ticket triage row 2 of v1" in seen
    assert "Subject contains refund, invoice “Refund please”" in seen
    assert "It did Team from none to Billing Priority from Normal to High" in seen
    assert "Why not the row above 1 Channel is Chat was “E-mail”" in seen
    assert "<details open" not in page.partition('class="ev"')[2].partition("</summary>")[0]


def test_a_rule_is_a_link_only_for_who_may_open_it(triaged: int, desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    assert 'href="/rules/A01"' not in ticket_page(agent, triaged)
    browser = app.test_client()
    let_in(browser, desk.user("max", "manager"))
    assert '<a href="/rules/A01">New ticket triage</a>' in ticket_page(browser, triaged)


def test_a_group_with_a_problem_opens_by_itself(desk: Desk, agent: FlaskClient) -> None:
    from tickets.tables import EventRow

    item_id = desk.ticket("Refund")
    desk.work()
    with desk.services.db.write() as connection:
        connection.execute(update(EventRow).values(status="parked", error="KeyError: <b>secret</b>"))
    page = ticket_page(agent, item_id)
    assert "<details open>" in page
    assert "This event could not be handled and was set aside" in page
    assert "KeyError" not in page


def test_what_a_person_changed_is_a_line_of_its_own(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/fields/team", {"value": "billing"})
    assert "Ana Nowak Team from none to Billing" in readable(ticket_page(agent, item_id))


def test_a_field_says_who_or_what_set_it(triaged: int, desk: Desk, agent: FlaskClient) -> None:
    send(agent, f"/tickets/{triaged}/fields/team", {"value": "sales"})
    seen = readable(ticket_page(agent, triaged))
    assert "Team Sales set by Ana Nowak, 09:31" in seen
    assert "Priority High set by New ticket triage, 09:31" in seen


@pytest.mark.parametrize(
    ("status", "tries", "error", "said"),
    [
        ("due", 0, "", "waiting to be sent"),
        ("due", 2, "The mail server did not answer", "will be tried again The mail server did not answer"),
        ("failed", 10, "No such mailbox", "not delivered No such mailbox"),
        ("sent", 1, "", "sent"),
    ],
)
def test_a_reply_says_what_became_of_its_mail(
    status: str, tries: int, error: str, said: str, desk: Desk, agent: FlaskClient
) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/messages", {"text": "On its way.", "kind": "reply"})
    with desk.services.db.write() as connection:
        connection.execute(update(OutboxRow).values(status=status, tries=tries, last_error=error))
    assert f"Ana Nowak to the customer Sat 21 Nov, 09:31 {said}" in readable(ticket_page(agent, item_id))


def test_the_tabs_narrow_the_timeline(triaged: int, agent: FlaskClient) -> None:
    assert "1 automation ran" not in ticket_page(agent, triaged, "?view=messages")
    only_automation = ticket_page(agent, triaged, "?view=automation")
    assert "1 automation ran" in only_automation
    assert 'class="msg"' not in only_automation


def test_a_card_says_its_source_its_age_and_when_it_went_out_of_date(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    desk.card(item_id, "crm.get_customer", {"tier": "Gold", "since": None}, title="Customer file", fresh_s=60)
    desk.clock.move(minutes=3)
    seen = readable(ticket_page(agent, item_id))
    assert "Customer file crm.get_customer, 3 min ago Tier Gold out of date since 09:32" in seen
    assert "Since" not in seen


def test_a_failed_lookup_says_so_and_can_be_tried_now(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    later = desk.clock.now().replace(hour=10)
    with desk.services.db.write() as connection:
        lookup = ask(connection, item_id, "erp", "order", {"n": "7"}, root=None, depth=0, now=desk.clock.now())
        connection.execute(
            update(LookupRow).where(LookupRow.id == lookup).values(state="failed", due_at=later, tries=3)
        )
    desk.card(item_id, "erp.order", None, title="Order 7", error="The ERP did not answer.")
    page = ticket_page(agent, item_id)
    assert "Order 7 erp.order The ERP did not answer. Tried 09:31 , next try 10:31 . Try now" in readable(page)
    assert "look up again erp.order" in readable(page)
    answer = send(agent, f"/lookups/{lookup}/again")
    assert answer.location == f"/tickets/{item_id}"
    with desk.services.db.read() as connection:
        row = connection.execute(select(LookupRow.due_at, LookupRow.tries)).one()
    assert row == (desk.clock.now(), 0)


def test_a_lookup_of_a_hidden_ticket_cannot_be_asked(desk: Desk, agent: FlaskClient) -> None:
    hidden = desk.ticket("Secret", team="ethics")
    later = desk.clock.now().replace(hour=10)
    with desk.services.db.write() as connection:
        lookup = ask(connection, hidden, "erp", "order", {}, root=None, depth=0, now=later)
    assert send(agent, f"/lookups/{lookup}/again").status_code == 404
    with desk.services.db.read() as connection:
        assert connection.execute(select(LookupRow.due_at)).scalar_one() == later


def test_the_customers_other_tickets_are_links_and_hidden_ones_a_number(desk: Desk, agent: FlaskClient) -> None:
    first, second = desk.ticket("One"), desk.ticket("Two")
    desk.ticket("Three", team="ethics")
    page = ticket_page(agent, first)
    assert f'href="/tickets/{second}"' in page
    assert "1 hidden" in page
    assert "Three" not in page


def test_times_stand_in_the_readers_zone(desk: Desk, app: APIFlask) -> None:
    item_id = desk.ticket("Refund")
    browser = app.test_client()
    let_in(browser, desk.user("ola", "agent", zone="Europe/Bucharest"))
    assert "Sat 21 Nov, 11:31" in ticket_page(browser, item_id)


def test_why_explains_every_row_also_those_never_reached(triaged: int, agent: FlaskClient) -> None:
    seen = readable(agent.get(f"/tickets/{triaged}/why/A01").get_data(as_text=True))
    assert "New ticket triage v1 acted" in seen
    assert "Row 1 did not match Channel is Chat “E-mail”" in seen
    assert "Row 2 fired Subject contains refund, invoice “Refund please”" in seen


def test_the_right_column_loads_the_explanation_alone(triaged: int, agent: FlaskClient) -> None:
    part = agent.get(f"/tickets/{triaged}/why/A01", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "<html" not in part
    assert "Row 2 fired Subject contains refund, invoice" in readable(part)


def test_why_of_a_hidden_ticket_or_an_unknown_table_is_not_there(desk: Desk, agent: FlaskClient) -> None:
    desk.publish()
    hidden, seen = desk.ticket("Secret", team="ethics"), desk.ticket("Refund")
    assert agent.get(f"/tickets/{hidden}/why/A01").status_code == 404
    assert agent.get(f"/tickets/{seen}/why/A77").status_code == 404
    assert "There is nothing to explain" in agent.get(f"/tickets/{seen}/why/A01").get_data(as_text=True)


# What one changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "after"),
    [
        ("status", "solved", "solved"),
        ("team", "sales", "sales"),
        ("team", "", None),
        ("priority", "urgent", "urgent"),
        ("language", "pl", "pl"),
        ("assignees", ["ana"], ["ana"]),
        ("assignees", [], None),
    ],
)
def test_a_field_is_changed_in_place_with_its_cause(
    field: str, value: object, after: object, desk: Desk, agent: FlaskClient
) -> None:
    item_id = desk.ticket("Refund", team="billing", assignees=["ana"] if value == [] else None, language="fr")
    answer = send(agent, f"/tickets/{item_id}/fields/{field}", {"value": value})
    assert (answer.status_code, answer.location) == (303, f"/tickets/{item_id}")
    assert desk.state(item_id).get(field) == after
    with desk.services.db.read() as connection:
        line = connection.execute(select(History.field, History.cause, History.actor_name)).one()
    assert (line.field, line.cause["kind"], line.cause["label"], line.actor_name) == (
        field,
        "person",
        "Ana Nowak",
        "Ana Nowak",
    )


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("status", "exploded", 422),
        ("team", "no-such-team", 422),
        ("assignees", ["nobody"], 422),
        ("priority", "x" * 3000, 422),
        ("subject", "renamed", 404),
        ("customer", "1", 404),
        ("fields.evil", "1", 404),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_nothing_changes(
    field: str, value: object, status: int, desk: Desk, agent: FlaskClient
) -> None:
    item_id = desk.ticket("Refund")
    before = desk.state(item_id)
    assert send(agent, f"/tickets/{item_id}/fields/{field}", {"value": value}).status_code == status
    assert desk.state(item_id) == before
    with desk.services.db.read() as connection:
        assert connection.execute(select(History.id)).all() == []


def test_nobody_overwrites_what_somebody_else_has_just_set(desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    other = app.test_client()
    let_in(other, desk.user("marc", "agent", name="Marc Petit"))
    seen = {"was": written("normal"), "value": "high"}
    assert send(other, f"/tickets/{item_id}/fields/priority", {**seen, "value": "low"}).status_code == 303
    answer = send(agent, f"/tickets/{item_id}/fields/priority", seen)
    assert answer.status_code == 409
    assert "Priority was changed by somebody else" in answer.get_data(as_text=True)
    assert desk.state(item_id)["priority"] == "low"


def test_another_field_changed_meanwhile_is_no_conflict(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/fields/team", {"value": "billing"})
    answer = send(agent, f"/tickets/{item_id}/fields/priority", {"was": written("normal"), "value": "high"})
    assert answer.status_code == 303
    assert desk.state(item_id)["priority"] == "high"


def test_tags_are_added_and_taken_away_one_by_one(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund", tags=["old"])
    send(agent, f"/tickets/{item_id}/tags", {"add": " vip , double  charge,,"})
    assert desk.state(item_id)["tags"] == ["double charge", "old", "vip"]
    send(agent, f"/tickets/{item_id}/tags", {"remove": "old"})
    assert desk.state(item_id)["tags"] == ["double charge", "vip"]


def test_more_tags_than_fit_are_refused(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    answer = send(agent, f"/tickets/{item_id}/tags", {"add": ",".join(str(n) for n in range(21))})
    assert answer.status_code == 422
    assert "tags" not in desk.state(item_id)


def test_a_reply_is_stored_mailed_and_can_set_the_status_in_the_same_event(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(
        agent, f"/tickets/{item_id}/messages", {"text": "On its way.\r\n", "kind": "reply", "then": "waiting_customer"}
    )
    with desk.services.db.read() as connection:
        message = connection.execute(
            select(Message.id, Message.text, Message.public, Message.author_user, Message.seq).order_by(
                Message.id.desc()
            )
        ).first()
        mail = connection.execute(select(OutboxRow.key, OutboxRow.payload, OutboxRow.status)).one()
        last_seq = connection.execute(select(WorkItem.last_seq)).scalar_one()
    assert message is not None
    assert (message.text, message.public, message.author_user) == ("On its way.", True, "ana")
    assert (mail.key, mail.payload["to"], mail.status) == (f"message:{message.id}", "camille@customer.test", "due")
    assert desk.state(item_id)["status"] == "waiting_customer"
    assert message.seq == last_seq == 2
    assert "send an e-mail to the customer" in readable(ticket_page(agent, item_id))


def test_an_internal_note_is_never_mailed(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/messages", {"text": "Looks like ours.", "kind": "note"})
    with desk.services.db.read() as connection:
        assert connection.execute(select(OutboxRow.id)).all() == []
        assert connection.execute(select(Message.public).order_by(Message.id.desc())).scalars().first() is False
    assert "internal note" in ticket_page(agent, item_id)


@pytest.mark.parametrize(("text", "said"), [("  ", "There is nothing to send yet"), ("x" * 50_001, "at most 50000")])
def test_a_message_that_cannot_be_sent_stays_in_its_box(text: str, said: str, desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    answer = send(agent, f"/tickets/{item_id}/messages", {"text": text, "kind": "reply"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in page
    assert text.strip() in page
    with desk.services.db.read() as connection:
        assert len(connection.execute(select(Message.id)).all()) == 1


def test_a_file_comes_back_as_a_download_that_nothing_opens(desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    evil = b"<script>alert(1)</script>"
    send(
        agent,
        f"/tickets/{item_id}/messages",
        {"text": "", "kind": "reply", "files": (io.BytesIO(evil), "..\\..\\etc/évil '.html", "text/html")},
        content_type="multipart/form-data",
    )
    with desk.services.db.read() as connection:
        file = connection.execute(select(Attachment.id, Attachment.name)).one()
    assert file.name == "évil '.html"
    answer = agent.get(f"/files/{file.id}")
    assert answer.data == evil
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).values(team="ethics"))
    assert agent.get(f"/files/{file.id}").status_code == 404


def test_a_message_larger_than_the_desk_takes_is_refused_in_words(
    desk: Desk, app: APIFlask, agent: FlaskClient
) -> None:
    item_id = desk.ticket("Refund")
    app.config["MAX_CONTENT_LENGTH"] = 10_000
    answer = send(agent, f"/tickets/{item_id}/messages", {"text": "x" * 20_000, "kind": "reply"})
    assert answer.status_code == 413
    assert "That was too large" in answer.get_data(as_text=True)


def test_a_hidden_ticket_can_neither_be_read_nor_written(desk: Desk, agent: FlaskClient) -> None:
    hidden = desk.ticket("Secret", team="ethics")
    before = desk.state(hidden)
    answers = [
        agent.get(f"/tickets/{hidden}"),
        send(agent, f"/tickets/{hidden}/fields/team", {"value": "billing"}),
        send(agent, f"/tickets/{hidden}/tags", {"add": "x"}),
        send(agent, f"/tickets/{hidden}/messages", {"text": "hi", "kind": "reply"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert all("Secret" not in answer.get_data(as_text=True) for answer in answers)
    assert desk.state(hidden) == before


# A new one -------------------------------------------------------------------------------------------------------


def test_a_ticket_taken_down_for_a_customer_runs_the_rules(desk: Desk, agent: FlaskClient) -> None:
    desk.publish()
    answer = send(
        agent,
        "/tickets/new",
        {"subject": "Invoice", "text": "Wrong address", "email": "Ola@Customer.test", "name": "Ola", "channel": "chat"},
    )
    assert answer.location == "/tickets/1"
    desk.work()
    state = desk.state(1)
    assert (state["team"], state["channel"], state["customer"]) == ("sales", "chat", 1)
    assert "ola@customer.test" in ticket_page(agent, 1)


def test_every_problem_of_a_form_is_shown_at_once_and_nothing_is_made(desk: Desk, agent: FlaskClient) -> None:
    answer = send(agent, "/tickets/new", {"subject": "", "text": "", "email": "nobody", "team": "x", "priority": "y"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "5 things are not right yet" in page
    assert page.count('aria-invalid="true"') == 5
    with desk.services.db.read() as connection:
        assert connection.execute(select(WorkItem.id)).all() == []


def test_a_page_may_ask_whether_its_ticket_changed_and_only_of_one_it_may_see(desk: Desk, agent: FlaskClient) -> None:
    ticket, hidden = desk.ticket("Lamp"), desk.ticket("Secret", team="ethics")
    first = agent.get(f"/tickets/{ticket}/version").json
    send(agent, f"/tickets/{ticket}/tags", {"add": "vip"})
    assert (first, agent.get(f"/tickets/{ticket}/version").json) == ({"version": 1}, {"version": 2})
    assert agent.get(f"/tickets/{hidden}/version").status_code == 404
