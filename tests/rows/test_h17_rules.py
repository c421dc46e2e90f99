"""H17: what a rule of such a desk reacts to and looks at, and that it may end the processing of further rules."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from rules import store as rule_list
from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import ADDRESS, MailDesk, a_table
from tests.web.desk import send
from tickets.tables import Brand, CustomField, Mailbox

KINDS = {"question": "Question", "rma": "Return (RMA)"}


def tagged(desk: MailDesk, ticket: int | None) -> bool:
    assert ticket is not None
    return "fired" in (desk.desk.state(ticket).get("tags") or [])  # type: ignore[operator]


def tags(desk: MailDesk, *triggers: dict[str, Any], on: bool, when: dict[str, Any] | None = None) -> None:
    rule = a_rule(desk.desk, *triggers, when=when, then=[("add_tags", {"tags": ["fired"]})])
    switch(desk.desk, rule, on=on)


@pytest.mark.parametrize("on", [True, False])
def test_h17_a_ticket_is_created_before_any_reply_is_attached(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    tags(mail_desk, {"on": "created"}, on=on, when={"message.author": ("is", "customer")})
    # Answered before the rules had their turn: they look at the ticket as it was made all the same.
    ticket = mail_desk.desk.ticket(status="open")
    send(ana, f"/tickets/{ticket}/messages", {"text": "It is on its way.", "kind": "reply"})
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "solved"})
    late = mail_desk.desk.ticket(email="lee@customer.test")
    mail_desk.work()
    assert (tagged(mail_desk, ticket), tagged(mail_desk, late)) == (on, on)


@pytest.mark.parametrize("on", [True, False])
def test_h17_a_ticket_is_assigned_to_staff(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    tags(mail_desk, {"on": "changed", "field": "ticket.assignees", "to": ["ana"]}, on=on)
    mail_desk.browser("ion")
    mine, his, nobodys = (mail_desk.desk.ticket(f"T{n}") for n in range(3))
    mail_desk.work()
    send(ana, f"/tickets/{mine}/fields/assignees", {"value": "ana"})
    send(ana, f"/tickets/{his}/fields/assignees", {"value": "ion"})
    send(ana, f"/tickets/{nobodys}/fields/priority", {"value": "high"})
    mail_desk.work()
    assert [tagged(mail_desk, one) for one in (mine, his, nobodys)] == [on, False, False]


@pytest.mark.parametrize("on", [True, False])
def test_h17_a_ticket_is_converted_to_a_return(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    with mail_desk.services.db.write() as connection:
        connection.execute(
            insert(CustomField).values(kind="ticket", key="sort", label="Sort", type="choice", options=KINDS)
        )
        rule_list.bump(connection)
    tags(mail_desk, {"on": "changed", "field": "ticket.fields.sort", "to": ["rma"]}, on=on)
    converted, other = (mail_desk.desk.ticket(f"T{n}") for n in range(2))
    mail_desk.work()
    for ticket, sort in ((converted, "rma"), (other, "question")):
        send(ana, f"/tickets/{ticket}/details", {"was:fields.sort": "", "fields.sort": sort})
    mail_desk.work()
    assert mail_desk.desk.state(other)["fields.sort"] == "question"
    assert [tagged(mail_desk, one) for one in (converted, other)] == [on, False]


@pytest.mark.parametrize(
    ("field", "operator", "days"), [("ticket.created_at", "older_than", 3), ("ticket.last_modified", "older_than", 3)]
)
def test_h17_conditions_look_at_when_it_was_created_and_updated(
    mail_desk: MailDesk, field: str, operator: str, days: int
) -> None:
    ana = mail_desk.browser("ana")
    tags(mail_desk, {"on": "run_now"}, on=True, when={field: (operator, f"{days} d")})
    old = mail_desk.desk.ticket("Old")
    mail_desk.work()
    mail_desk.desk.clock.move(days=days - 1)
    new = mail_desk.desk.ticket("New")
    mail_desk.work()
    mail_desk.desk.clock.move(days=1)
    for ticket in (old, new):
        send(ana, f"/tickets/{ticket}/run/A01")
    mail_desk.work()
    assert (tagged(mail_desk, old), tagged(mail_desk, new)) == (True, False)


def test_h17_conditions_look_at_the_store_and_the_last_messages_text(mail_desk: MailDesk) -> None:
    with mail_desk.services.db.write() as connection:
        connection.execute(insert(Brand).values(key="outlet", label="Outlet"))
        for key in ("acme", "outlet"):
            connection.execute(
                insert(Mailbox).values(key=key, address=f"hi@{key}.example", brand=key, secret_sha256=key * 10)
            )
    when = {"ticket.brand": ("is", "outlet"), "message.text": ("contains_any", ["refund"])}
    tags(mail_desk, {"on": "message", "by": "customer"}, on=True, when=when)
    found = []
    for store, words in (("outlet", "A refund!"), ("acme", "A refund!"), ("outlet", "Hello?")):
        first = {"Message_ID": f"<{store}{words[0]}@customer.test>"}
        begun = mail_desk.receive(
            "Refund me.", sender="kim@customer.test", to=f"hi@{store}.example", box=store, **first
        )
        reply = {"In_Reply_To": first["Message_ID"], "Message_ID": f"<2{store}{words[0]}@customer.test>"}
        mail_desk.receive(words, sender="kim@customer.test", to=f"hi@{store}.example", box=store, **reply)
        found.append(tagged(mail_desk, begun.item_id))
    assert found == [True, False, False]


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_h17_a_rule_that_stops_further_rules_processing_keeps_the_next_ones_from_running(
    mail_desk: MailDesk, stop: bool, on: bool
) -> None:
    first = a_table("set_priority", {"priority": "high"}, name="Rank them")
    first["rows"][0]["stop"] = stop
    code = mail_desk.desk.publish(first)
    switch(mail_desk.desk, code, on=on)
    mail_desk.desk.publish(a_table("assign_team", {"team": "billing"}, name="Route them"))
    ticket = mail_desk.receive("Hello", sender="kim@customer.test", to=ADDRESS).item_id
    assert ticket is not None
    state = mail_desk.desk.state(ticket)
    assert state["priority"] == ("high" if on else "normal")
    assert state.get("team") == (None if on and stop else "billing")
