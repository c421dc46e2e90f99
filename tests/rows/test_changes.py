"""A rule changes something in a connected system: once, after a last look, with its answer on the ticket."""

from __future__ import annotations

from typing import Any

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import select, update

from connectors import store as connections
from connectors.store import CallTable, RecordTable
from jobs import changes, enrichment
from jobs import outbox as deliveries
from jobs.claims import MOST_CUT_OFF
from jobs.erasure import erase
from jobs.preview import preview
from jobs.retention import prune
from jobs.tables import DecisionRow, OutboxRow
from rules import store as rule_list
from tests.connectors.upstream import Asked, Reply, Serve, as_json
from tests.rows.changes import NOTE, Crm, cards, connect, kept, noting
from tests.rows.maildesk import MailDesk
from tests.web.desk import send
from tickets import people
from tickets.tables import EventRow, WorkItem


@pytest.fixture
def crm(open_mail_desk: MailDesk, serve: Serve) -> Crm:
    """A CRM that carries out a key once, behind the connection `crm`, which may be written to."""
    made = Crm()
    connect(open_mail_desk, serve(made))
    return made


@pytest.fixture
def careless(open_mail_desk: MailDesk, serve: Serve) -> Crm:
    """A CRM that carries out whatever it gets, however often."""
    made = Crm(careful=False)
    connect(open_mail_desk, serve(made), careful=False)
    return made


def test_a_rule_writes_a_note_and_its_answer_is_a_card_of_that_rule(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    code = desk.desk.publish(noting())
    ticket = desk.desk.ticket("Parcel {{customer.email}}")
    desk.work()
    assert desk.outbox() == [("change", "sent", "")]
    [(key, note)] = crm.done
    # What the customer wrote is not read as a placeholder.
    assert note == {"email": "camille@customer.test", "text": "Camille Laurent: Parcel {{customer.email}}"}
    assert cards(desk, ticket) == {"crm_add_note": ({"id": "n1"}, "", code)}
    assert len(key) == 40
    desk.work()
    assert len(crm.done) == 1


def test_the_answer_is_an_event_of_the_same_chain_that_rules_can_act_on(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting())
    told = noting(
        {"text": "written as {{context.crm_add_note.id}}"}, on={"on": "context_updated", "key": "crm_add_note"}
    )
    told["steps"][0]["do"] = "add_tags"
    told["rows"][0]["then"]["s1"] = {"tags": ["noted"]}
    told["columns"] = [{"id": "c1", "field": "context.crm_add_note.id", "op": "is"}]
    told["rows"][0]["if"] = {"c1": {"value": "n1"}}
    desk.desk.publish(told)
    ticket = desk.desk.ticket()
    desk.work()
    desk.work()
    with desk.services.db.read() as connection:
        events = connection.execute(select(EventRow).where(EventRow.item_id == ticket).order_by(EventRow.seq)).all()
        chain = [(one.kind, one.root_id, one.depth) for one in events]
        first = connection.execute(select(EventRow.id).where(EventRow.kind == "created")).scalar_one()
    assert chain == [
        ("created", None, 0),
        ("context_updated", first, 1),
        ("changed", first, 2),  # the tag, by the rule that looked at the answer
    ]


def test_a_failing_system_is_asked_again_under_the_same_key_and_does_it_once(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    desk = open_mail_desk
    crm.after = as_json({}, 503)  # it does it, and the answer is lost
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.work()
    [(kind, status, reason)] = desk.outbox()
    assert (kind, status) == ("change", "due")
    assert "503" in reason
    first = kept(desk)[0].due_at
    assert first > desk.desk.clock.now()
    desk.later(hours=1)
    assert kept(desk)[0].due_at - desk.desk.clock.now() > (first - desk.desk.clock.now())
    crm.after = None
    desk.later(hours=1)
    assert desk.outbox() == [("change", "sent", "")]
    assert len(crm.done) == 1
    assert len({one.headers["idempotency-key"] for one in crm.asked}) == 1


def test_a_row_that_no_longer_matches_sends_nothing_and_says_so(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting(when={"c1": {"value": "normal"}}))
    ticket = desk.desk.ticket()
    desk.desk.work()
    desk.set(ticket, priority="high")
    desk.deliver()
    assert desk.outbox() == [("change", "cancelled", "the row of A01 that asked for it does not match any more")]
    assert crm.asked == []


def test_a_row_that_does_not_want_a_second_look_sends_all_the_same(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting({**NOTE, "recheck": False}, when={"c1": {"value": "normal"}}))
    ticket = desk.desk.ticket()
    desk.desk.work()
    desk.set(ticket, priority="high")
    desk.deliver()
    assert desk.outbox() == [("change", "sent", "")]


def test_a_rule_that_was_switched_off_changes_nothing_that_still_waited(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    code = desk.desk.publish(noting())
    desk.desk.ticket()
    desk.desk.work()
    with desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=False)
    desk.deliver()
    assert desk.outbox() == [("change", "cancelled", f"{code}, which asked for it, is switched off")]
    assert crm.asked == []


def test_a_try_that_may_have_been_carried_out_is_found_out_and_not_looked_at_again(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    """The first try did it and its answer was lost: to cancel it now would say that it was not done."""
    desk = open_mail_desk
    crm.after = as_json({}, 503)
    desk.desk.publish(noting(when={"c1": {"value": "normal"}}))
    ticket = desk.desk.ticket()
    desk.work()
    desk.set(ticket, priority="high")
    crm.after = None
    desk.later(hours=1)
    assert desk.outbox() == [("change", "sent", "")]
    assert len(crm.done) == 1


@pytest.mark.parametrize("reply", [as_json({}, 500), Reply(b"{", cut=True), as_json({"other": 1})])
def test_a_lost_answer_of_a_system_that_keeps_no_keys_sets_it_aside_for_a_person(
    open_mail_desk: MailDesk, careless: Crm, reply: Reply
) -> None:
    desk = open_mail_desk
    desk.browser("max", "manager")
    careless.after = reply
    desk.desk.publish(noting())
    ticket = desk.desk.ticket()
    desk.work()
    careless.after = None
    desk.later(hours=50)
    [(kind, status, reason)] = desk.outbox()
    assert (kind, status) == ("change", "unclear")
    assert reason.startswith("Our CRM may have carried out add_note, or not: ")
    assert reason.endswith("It is not sent again by itself, for that could do it twice.")
    assert len(careless.done) == 1
    [(who, text)] = desk.bells()
    assert who == "max"
    assert text.startswith("A change in a connected system may have been made, or not; please look: Our CRM")
    assert cards(desk, ticket)["crm_add_note"][1] == reason


@pytest.mark.parametrize(("begun", "status"), [(True, "unclear"), (False, "failed")])
def test_a_change_that_ends_every_worker_is_not_said_to_be_undone_once_it_was_begun(
    open_mail_desk: MailDesk, crm: Crm, begun: bool, status: str
) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.desk.work()
    with desk.services.db.write() as connection:
        payload = connection.execute(select(OutboxRow.payload)).scalar_one()
        held = {"token": "dead", "cut_off": MOST_CUT_OFF - 1, "payload": {**payload, "begun": begun}}
        connection.execute(update(OutboxRow).values(**held))
    desk.deliver()
    assert desk.outbox() == [("change", status, f"the worker that sent it was cut off {MOST_CUT_OFF} times")]
    assert crm.asked == []


def test_a_change_that_breaks_us_once_it_was_sent_is_not_said_to_be_undone(
    open_mail_desk: MailDesk, careless: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_mail_desk

    def broken(*_given: object) -> None:
        raise ValueError("nobody foresaw it")

    monkeypatch.setattr(desk.services.gateway, "_keep", broken)
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.work()
    assert desk.outbox() == [("change", "unclear", "it was broken off while it was sent (ValueError)")]
    assert len(careless.done) == 1
    monkeypatch.setattr(changes, "_look_once_more", broken)
    desk.desk.ticket("Another")
    desk.work()
    assert desk.outbox()[1] == ("change", "failed", "it could not be written (ValueError)")


def test_a_change_whose_last_try_is_cut_short_once_it_was_sent_is_not_said_to_be_undone(
    open_mail_desk: MailDesk, careless: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_mail_desk

    def cut_short(*_given: object) -> None:
        raise JobTimeoutException

    monkeypatch.setattr(desk.services.gateway, "_keep", cut_short)
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.desk.work()
    with desk.services.db.write() as connection:
        connection.execute(update(OutboxRow).values(tries=deliveries.TRIES - 1))
    desk.deliver()
    [(_, status, reason)] = desk.outbox()
    assert (status, len(careless.done)) == ("unclear", 1)
    assert reason == f"it was not taken in {deliveries.TRIES} tries: it took too long"


def test_what_never_arrived_is_tried_again_even_without_keys(open_mail_desk: MailDesk, careless: Crm) -> None:
    desk = open_mail_desk
    careless.before = as_json({}, 429)
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.work()
    assert desk.outbox()[0][:2] == ("change", "due")
    careless.before = None
    desk.later(hours=1)
    assert desk.outbox() == [("change", "sent", "")]
    assert len(careless.done) == 1


def test_an_unclear_change_is_settled_by_a_person_or_sent_again_by_who_edits_rules(
    open_mail_desk: MailDesk, careless: Crm
) -> None:
    desk = open_mail_desk
    ana, max = desk.browser("ana", name="Ana Nowak"), desk.browser("max", "manager")
    careless.after = as_json({}, 500)
    desk.desk.publish(noting())
    desk.desk.ticket("One")
    desk.desk.ticket("Two")
    desk.work()
    careless.after = None
    page = ana.get("/outbox?state=dead").get_data(as_text=True)
    assert "Look in the system, then say which it is." in page
    assert "It was not made: send it again" not in page
    assert ana.post("/outbox/1/again").status_code in (400, 403)
    assert send(ana, "/outbox/1/again").status_code == 403
    assert [row[1] for row in desk.outbox()] == ["unclear", "unclear"]
    send(ana, "/outbox/1/done")
    assert desk.outbox()[0] == ("change", "sent", "Ana Nowak found that it was made")
    assert "It was not made: send it again" in max.get("/outbox?state=dead").get_data(as_text=True)
    send(max, "/outbox/2/again")
    desk.deliver()
    assert desk.outbox()[1] == ("change", "sent", "")
    assert len(careless.done) == 3


def test_a_refused_change_stands_in_the_outbox_with_what_was_sent_and_no_secret(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    desk = open_mail_desk
    max = desk.browser("max", "manager")
    crm.before = as_json({"error": "no such customer"}, 422)
    desk.desk.publish(noting())
    ticket = desk.desk.ticket("Parcel")
    desk.work()
    assert [row[:2] for row in desk.outbox()] == [("change", "failed")]
    page = max.get("/outbox?state=dead").get_data(as_text=True)
    for said in ("Change in a system", "crm.add_note", "camille@customer.test", "Camille Laurent: Parcel", "Try again"):
        assert said in page
    assert "no such customer" in cards(desk, ticket)["crm_add_note"][1]
    crm.before = None
    send(max, "/outbox/1/again")
    desk.deliver()
    assert desk.outbox() == [("change", "sent", "")]
    assert cards(desk, ticket)["crm_add_note"][:2] == ({"id": "n1"}, "")
    assert "n1" in max.get("/outbox?state=sent").get_data(as_text=True)


def test_a_refused_change_that_is_tried_again_with_all_others_is_one_that_was_never_made(
    open_mail_desk: MailDesk, careless: Crm
) -> None:
    desk = open_mail_desk
    careless.before = as_json({"error": "no such customer"}, 422)
    desk.desk.publish(noting())
    ticket = desk.desk.ticket("Parcel")
    desk.work()
    assert [row[:2] for row in desk.outbox()] == [("change", "failed")]
    careless.before = None
    with desk.services.db.write() as connection:
        assert deliveries.retry(connection, desk.desk.clock.now()) == 1
    desk.deliver()
    assert desk.outbox() == [("change", "sent", "")]
    assert len(careless.done) == 1
    assert cards(desk, ticket)["crm_add_note"][:2] == ({"id": "n1"}, "")


def test_a_cancelled_change_is_sent_after_all_when_a_person_says_so(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    max = desk.browser("max", "manager")
    desk.desk.publish(noting(when={"c1": {"value": "normal"}}))
    ticket = desk.desk.ticket()
    desk.desk.work()
    desk.set(ticket, priority="high")
    desk.deliver()
    assert desk.outbox()[0][1] == "cancelled"
    send(max, "/outbox/1/again")
    desk.deliver()
    assert desk.outbox() == [("change", "sent", "")]
    assert len(crm.done) == 1


def test_a_change_that_is_to_come_stands_on_the_ticket_and_can_be_called_off(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    desk = open_mail_desk
    ana = desk.browser("ana", name="Ana Nowak")
    desk.desk.publish(noting())
    ticket = desk.desk.ticket()
    desk.desk.work()
    assert "change in a system: crm.add_note" in ana.get(f"/tickets/{ticket}").get_data(as_text=True)
    send(ana, f"/tickets/{ticket}/coming/call-off", {"source": "delivery", "ref": "1", "why": "by phone"})
    desk.deliver()
    assert desk.outbox() == [("change", "cancelled", "Called off by Ana Nowak: by phone")]
    assert crm.asked == []


def test_a_change_that_may_be_made_is_not_cancelled_and_not_called_off(open_mail_desk: MailDesk, crm: Crm) -> None:
    """Cancelled it would say that it was not made, and sent after all it would be made twice."""
    desk = open_mail_desk
    ana = desk.browser("ana", name="Ana Nowak")
    crm.after = as_json({}, 503)  # it does it, and the answer is lost
    desk.desk.publish(noting())
    ticket = desk.desk.ticket()
    desk.work()
    page = send(ana, "/outbox/1/cancel", follow_redirects=True).get_data(as_text=True)
    assert "It may have been made already, so it cannot be cancelled" in page
    page = ana.get(f"/tickets/{ticket}").get_data(as_text=True)
    assert "crm.add_note" in page
    assert "/coming/call-off" not in page
    send(ana, f"/tickets/{ticket}/coming/call-off", {"source": "delivery", "ref": "1", "why": "by phone"})
    assert desk.outbox()[0][1] == "due"
    crm.after = None
    desk.later(hours=1)
    assert desk.outbox() == [("change", "sent", "")]
    assert len(crm.done) == 1


def test_changes_beyond_the_cap_of_a_system_are_held_back_on_record(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    max = desk.browser("max", "manager")
    object.__setattr__(desk.services, "settings", desk.services.settings.model_copy(update={"changes_per_hour": 2}))
    desk.desk.publish(noting())
    for number in range(3):
        desk.desk.ticket(f"Parcel {number}", email=f"c{number}@customer.test")
    desk.work()
    said = "crm was changed 2 times within an hour; 2 are allowed, more are held back"
    assert [row[1:] for row in desk.outbox()] == [("sent", ""), ("sent", ""), ("capped", said)]
    assert len(crm.done) == 2
    desk.desk.clock.move(hours=2)
    send(max, "/outbox/3/again")
    desk.deliver()
    assert len(crm.done) == 3


def test_a_connection_that_may_only_be_read_is_no_change_that_a_row_can_name(
    open_mail_desk: MailDesk, serve: Serve
) -> None:
    desk = open_mail_desk
    made = Crm()
    server = serve(made)
    connect(desk, server, allow_write=False)
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.work()
    with desk.services.db.read() as connection:
        broken = desk.services.live.current(connection).broken
    assert "There is no change 'crm.add_note'" in str(broken)
    assert (desk.outbox(), made.asked) == ([], [])


def test_writing_that_is_no_longer_allowed_when_it_should_leave_is_refused_and_nothing_is_sent(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting({**NOTE, "recheck": False}))
    desk.desk.ticket()
    desk.desk.work()
    with desk.services.db.write() as connection:
        info = connections.connection_named(connection, "crm")
        connections.save_connection(
            connection, desk.services.box, name="crm", kind=info.kind, config=info.config, now=desk.desk.clock.now()
        )
    desk.deliver()
    [(_, status, reason)] = desk.outbox()
    assert (status, "may only be read" in reason) == ("failed", True)
    assert crm.asked == []


def test_an_input_that_is_not_known_yet_refuses_the_row_and_sends_nothing(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting({"change": "crm.add_note", "inputs": {"text": "{{crm.find_customer.tier}}"}}))
    desk.desk.ticket()
    desk.work()
    assert (desk.outbox(), crm.asked) == ([], [])
    with desk.services.db.read() as connection:
        [trace] = connection.execute(select(DecisionRow.trace)).scalars()
    assert "is not known" in str(trace)


def test_an_input_can_be_what_another_system_answered(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    table = noting({"change": "crm.add_note", "inputs": {"text": "tier {{crm.find_customer.tier}}", "amount": "12.50"}})
    table["columns"] = [{"id": "c1", "field": "crm.find_customer.tier", "op": "is"}]
    table["rows"][0]["if"] = {"c1": {"value": "gold"}}
    table["wait_s"] = 60
    desk.desk.publish(table)
    desk.desk.ticket()
    desk.work()
    enrichment.enrich(desk.services)
    desk.work()
    [(_, note)] = crm.done
    assert (note["text"], note["amount"]) == ("tier gold", "12.50")


def test_preview_shows_the_change_and_opens_no_connection(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    code = desk.desk.publish(noting(when={"c1": {"value": "urgent"}}))
    desk.desk.ticket()
    desk.work()
    desk.desk.user("max", "manager")
    with desk.services.db.read() as connection:
        max = people.viewer(connection, "max")
    assert max is not None
    found = preview(desk.services, code, noting(), max)
    assert [one.more for one in found.different] == [(("change", "crm.add_note"),)]
    assert desk.deliver() == []
    assert (desk.outbox(), crm.asked) == ([], [])


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({}, "crm.add_note needs text."),
        ({"text": "x", "colour": "red"}, "There is no input of crm.add_note 'colour'."),
        ({"text": "x", "amount": "a lot"}, "Amount takes an amount like 64.90, not 'a lot'."),
        ({"text": "{{ticket.subjekt}}"}, "There is no placeholder 'ticket.subjekt'."),
        ({"text": "{{secrets.crm}}"}, "There is no placeholder 'secrets.crm'."),
    ],
)
def test_a_row_with_wrong_inputs_is_not_live(
    open_mail_desk: MailDesk, crm: Crm, inputs: dict[str, Any], problem: str
) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting({"change": "crm.add_note", "inputs": inputs}))
    desk.desk.ticket()
    desk.work()
    with desk.services.db.read() as connection:
        assert problem in str(desk.services.live.current(connection).broken)
    assert (desk.outbox(), crm.asked) == ([], [])


@pytest.mark.parametrize("rearm", ["once_per_item", "once_per_episode", "24 h"])
def test_a_row_that_fires_once_still_makes_its_change(open_mail_desk: MailDesk, crm: Crm, rearm: str) -> None:
    """The second look is at the same event: that the row has fired for it is no reason not to do what it said."""
    desk = open_mail_desk
    table = noting(when={"c1": {"value": "normal"}})
    table["rows"][0]["rearm"] = rearm
    desk.desk.publish(table)
    desk.desk.ticket()
    desk.work()
    assert desk.outbox() == [("change", "sent", "")]
    assert len(crm.done) == 1


def test_a_change_of_one_who_was_erased_is_not_sent_and_not_kept(open_mail_desk: MailDesk, crm: Crm) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting())
    desk.desk.ticket("Before")
    desk.work()
    desk.desk.ticket("Waits")
    desk.desk.work()
    with desk.services.db.read() as connection:
        kept = connection.execute(select(RecordTable.inputs_hash)).scalars().all()
    assert len(kept) == 1
    with desk.services.db.read() as connection:
        camille = connection.execute(select(WorkItem.customer)).scalars().first()
    assert camille is not None
    erase(desk.services, camille, by="a test")
    desk.deliver()
    assert len(crm.done) == 1
    with desk.services.db.read() as connection:
        assert connection.execute(select(RecordTable.id)).all() == []
        assert connection.execute(select(CallTable.id)).all() == []


def test_the_answer_to_a_change_of_long_ago_is_found_when_its_customer_is_erased(
    open_mail_desk: MailDesk, crm: Crm
) -> None:
    desk = open_mail_desk
    desk.desk.publish(noting())
    ticket = desk.desk.ticket()
    desk.work()
    desk.desk.clock.move(days=desk.services.settings.keep_answers_days - 1)
    prune(desk.services)
    camille = desk.desk.state(ticket)["customer"]
    assert isinstance(camille, int)
    with desk.services.db.read() as connection:
        assert len(connection.execute(select(RecordTable.id)).all()) == 1
    erase(desk.services, camille, by="a test")
    with desk.services.db.read() as connection:
        assert connection.execute(select(RecordTable.id)).all() == []


def test_a_change_whose_customer_is_erased_while_it_is_sent_leaves_no_answer(
    open_mail_desk: MailDesk, serve: Serve
) -> None:
    desk, crm = open_mail_desk, Crm()
    people_left: list[int] = []

    def slow(asked: Asked) -> Reply:
        for person in people_left:
            erase(desk.services, person, by="a test")
        return crm(asked)

    connect(desk, serve(slow))
    desk.desk.publish(noting())
    desk.desk.ticket()
    desk.desk.work()
    with desk.services.db.read() as connection:
        people_left += [one for one in connection.execute(select(WorkItem.customer)).scalars() if one]
    desk.deliver()
    assert len(crm.done) == 1
    with desk.services.db.read() as connection:
        left = [connection.execute(select(table.id)).all() for table in (RecordTable, CallTable, OutboxRow)]
    assert left == [[], [], []]
