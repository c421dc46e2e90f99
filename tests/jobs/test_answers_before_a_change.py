"""What a connection said before it was changed is asked again: in its chain, on other tickets, by every process."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from jobs import outbox
from jobs.services import Services
from jobs.tables import LookupRow, OutboxRow
from tests.builders import a_ticket
from tests.connectors.upstream import Asked, Reply, as_json
from tests.environment.redis import RedisServer
from tests.jobs.desk import clock_of, item, let_write, save, table, work
from tests.jobs.workers import a_worker, until
from tests.rows.changes import ADD_NOTE, FIND, Crm
from tickets import people
from tickets.values import utc_now

NOTES = """
code: A01
name: Note it once
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: change_system}, {id: s2, do: change_system}]
rows:
  - id: r1
    if: {c1: {value: gold}}
    then:
      s1: {change: crm.add_note, inputs: {email: a@b.test, text: one}}
      s2: {change: crm.add_note, inputs: {email: a@b.test, text: two}}
"""
LOOKS_AGAIN = """
code: A02
name: What it is now
kind: ticket
triggers: [{on: context_updated, key: crm_add_note}]
hit: every
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: add_tags}]
rows:
  - {id: r1, if: {c1: {value: gold}}, then: {s1: {tags: [as-before]}}}
  - {id: r2, if: {c1: {value: noted}}, then: {s1: {tags: [as-now]}}}
"""


class Turning(Crm):
    """A customer with a note has another tier."""

    def __call__(self, asked: Asked) -> Reply:
        if asked.method == "GET" and self.done:
            self.asked.append(asked)
            return as_json({"id": "c7", "tier": "noted"})
        return super().__call__(asked)

    @property
    def reads(self) -> int:
        return sum(asked.method == "GET" for asked in self.asked)


@pytest.fixture
def notes() -> Turning:
    return Turning()


@pytest.fixture
def desk(noting_desk: Services) -> Services:
    let_write(noting_desk, [{**FIND, "cache_s": 3600, "stale_s": 3600}, ADD_NOTE])
    clock_of(noting_desk).at = utc_now()
    return noting_desk


def changes(desk: Services) -> list[str]:
    with desk.db.read() as connection:
        return list(connection.execute(select(OutboxRow.status).where(OutboxRow.kind == "change")).scalars())


def test_what_follows_from_a_change_is_decided_on_what_the_system_says_after_it(desk: Services, notes: Turning) -> None:
    table(desk, NOTES)
    table(desk, LOOKS_AGAIN)
    ticket = a_ticket(desk.db, now=desk.clock.now()).item_id
    work(desk)
    assert (notes.reads, changes(desk)) == (1, ["due", "due"])
    assert outbox.deliver(desk) == 2  # the second one's row is looked at once more: on what it was decided on
    assert changes(desk) == ["sent", "sent"]
    work(desk)
    assert item(desk, ticket).state["tags"] == ["as-now"]
    assert notes.reads == 2


def test_a_change_whose_row_depends_on_what_is_being_asked_again_waits_for_the_answer(
    desk: Services, notes: Turning
) -> None:
    table(desk, NOTES)
    a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(state="asked", due_at=desk.clock.now()))
    outbox.deliver(desk)
    assert (changes(desk), notes.done) == (["due", "due"], [])
    work(desk)
    clock_of(desk).forward(minutes=2)
    assert outbox.deliver(desk) == 2
    assert len(notes.done) == 2


def test_a_change_whose_row_depends_on_what_nobody_asked_has_it_asked(desk: Services, notes: Turning) -> None:
    """The customer was put right before the change left: the answer was about somebody else."""
    table(desk, NOTES)
    ticket = a_ticket(desk.db, now=desk.clock.now()).item_id
    work(desk)
    with desk.db.write() as connection:
        email = "somebody.else@example.com"
        other = people.person_for(connection, email=email, name="", language="", now=desk.clock.now())
    save(desk, ticket, customer=other)
    work(desk)
    assert notes.reads == 1
    outbox.deliver(desk)
    assert (changes(desk), notes.done) == (["due", "due"], [])
    work(desk)
    assert [one.query for one in notes.asked if one.method == "GET"][1:] == [{"email": email}]
    clock_of(desk).forward(minutes=2)
    assert outbox.deliver(desk) == 2
    assert len(notes.done) == 2


def test_without_a_change_an_answer_serves_the_next_ticket_and_after_one_it_does_not(
    desk: Services, notes: Turning
) -> None:
    table(desk, NOTES)
    for read, waiting in ((1, 2), (1, 4)):
        a_ticket(desk.db, now=desk.clock.now())
        work(desk)
        assert (notes.reads, len(changes(desk))) == (read, waiting)
    assert outbox.deliver(desk) == 4
    a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    assert (notes.reads, len(changes(desk))) == (2, 4)


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_change_that_another_process_made_is_seen_here_at_once(
    desk: Services, notes: Turning, redis_server: RedisServer
) -> None:
    def tier() -> tuple[Any, str]:
        args = {"email": "camille@example.com"}
        said = desk.gateway.call("crm", "find_customer", args, deadline_s=60, cause="test")
        assert isinstance(said.data, dict)
        return said.data["tier"], said.cache

    table(desk, NOTES)
    a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    assert tier() == ("gold", "fresh")
    ceiling = {"DESKHAND_ADDRESS_CEILING": desk.settings.address_ceiling, "DESKHAND_REDIS_URL": redis_server.url}
    with a_worker(desk, "outbox", ceiling):
        assert until(lambda: changes(desk) == ["sent", "sent"])
    assert tier() == ("noted", "miss")
    assert tier() == ("noted", "fresh")
