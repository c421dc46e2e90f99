"""A script changes a connected system: after the run, under what was agreed, by the one way tables have, too."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from connectors import store as connections
from jobs import outbox, runs
from jobs.services import Services
from jobs.tables import OutboxRow
from jobs.tryout import Mode, try_script
from rules import store as rule_list
from rules.store import EntryKind
from sandbox.contract import Manifest
from tests.builders import a_ticket
from tests.jobs.desk import ana, publish, table, the_run, work
from tests.jobs.noting import allow
from tests.jobs.tables import RUNS_IT, script
from tests.rows.changes import Crm
from tickets.tables import ContextFact, EventRow

SOURCE = """
receipt = crm.add_note(email=customer.email, text="{{ticket.subject}} by " + ticket.subject, amount="12.50")
print(receipt.pending, receipt.change)
ticket.add_tags(["noted"])
"""


@pytest.fixture
def crm(notes: Crm) -> Crm:
    return notes


@pytest.fixture
def desk(noting_desk: Services, crm: Crm) -> Services:
    allow(noting_desk, crm, careful=True)
    return noting_desk


def queued(desk: Services) -> int:
    with desk.db.read() as connection:
        return connection.execute(select(func.count()).select_from(OutboxRow)).scalar_one()


def test_a_run_sends_nothing_and_the_outbox_sends_it_once_after_it_ended_well(desk: Services, crm: Crm) -> None:
    script(desk, SOURCE)
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db, subject="Parcel")
    work(desk)
    run = the_run(desk)
    assert (run.status, [line["text"] for line in run.outcome["log"]]) == ("finished", ["True crm.add_note"])
    assert crm.asked == []
    outbox.deliver(desk)
    work(desk)
    [(_, note)] = crm.done
    assert note == {"email": "camille@example.com", "text": "{{ticket.subject}} by Parcel", "amount": "12.50"}
    with desk.db.read() as connection:
        [card] = connection.execute(select(ContextFact).where(ContextFact.item_id == ticket.item_id)).all()
        event = connection.execute(select(EventRow).where(EventRow.kind == "context_updated")).one()
        root = connection.execute(select(EventRow.id).where(EventRow.kind == "created")).scalar_one()
    assert (card.key, card.body["data"], card.cause["code"], card.cause["version"]) == (
        "crm_add_note",
        {"id": "n1"},
        "S01",
        1,
    )
    assert event.root_id == root
    assert event.depth >= 2


def test_a_change_nobody_agreed_to_is_refused_and_nothing_is_sent(desk: Services, crm: Crm) -> None:
    granted = Manifest(("customer.*", "ticket.*"), ("*",), ("crm.*",), ("crm.merge",))
    content = runs.with_manifest({"code": "S01", "name": "Enrich", "source": SOURCE}, granted)
    publish(desk, EntryKind.SCRIPT, content)
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    run = the_run(desk)
    assert (run.status, run.outcome["error"]["code"], run.outcome["actions"]) == ("failed", "DENIED", [])
    outbox.deliver(desk)
    assert (queued(desk), crm.asked) == (0, [])


def test_a_connection_that_may_only_be_read_has_no_such_method(desk: Services, crm: Crm) -> None:
    script(desk, SOURCE)
    table(desk, RUNS_IT)
    with desk.db.write() as connection:
        info = connections.connection_named(connection, "crm")
        connections.save_connection(
            connection, desk.box, name="crm", kind=info.kind, config=info.config, now=desk.clock.now()
        )
        rule_list.bump(connection)
    a_ticket(desk.db)
    work(desk)
    assert the_run(desk).status in ("failed", "refused")
    outbox.deliver(desk)
    assert (queued(desk), crm.asked) == (0, [])


def test_a_run_that_fails_after_it_asked_for_a_change_sends_nothing(desk: Services, crm: Crm) -> None:
    script(desk, SOURCE + "raise ValueError('no')\n")
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    assert the_run(desk).status == "failed"
    outbox.deliver(desk)
    assert (queued(desk), crm.asked) == (0, [])


@pytest.mark.parametrize("mode", [Mode.RECORDED, Mode.LIVE])
def test_a_try_shows_what_would_be_sent_and_sends_nothing(desk: Services, crm: Crm, mode: Mode) -> None:
    ticket = a_ticket(desk.db, subject="Parcel")
    tried = try_script(desk, SOURCE, ticket.item_id, ana(desk), mode)
    change, tags = tried.effects
    assert (change.line, change.kind, change.about) == (2, "change", "crm.add_note")
    assert change.after == {"email": "camille@example.com", "text": "{{ticket.subject}} by Parcel", "amount": "12.50"}
    assert tags.about == "tags"
    outbox.deliver(desk)
    assert (queued(desk), crm.asked) == (0, [])


def test_a_wrong_input_is_refused_with_its_line_and_nothing_of_the_run_is_applied(desk: Services, crm: Crm) -> None:
    ticket = a_ticket(desk.db)
    tried = try_script(desk, 'crm.add_note(email="a@b.test", text=" ")\n', ticket.item_id, ana(desk), Mode.RECORDED)
    assert tried.refused.startswith("Line 1: Text takes a text.")
    assert tried.effects == ()
    assert crm.asked == []
