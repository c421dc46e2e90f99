"""A person who is erased while somebody asks about them: what comes back is not kept, whoever asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from connectors.store import CallTable, RecordTable
from jobs import automation, enrichment, runs
from jobs.erasure import erase
from jobs.services import Services
from jobs.tables import RunRow
from tests.builders import a_ticket
from tests.connectors.upstream import Asked, Reply, Upstream, as_json
from tests.jobs.desk import BY_TIER, item, table, work
from tests.jobs.tables import RUNS_IT, script
from tickets.tables import ContextFact

GOLD = as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def kept(desk: Services) -> tuple[int, int, int]:
    """How many answers, calls and cards there are."""
    with desk.db.read() as connection:
        one, two, three = (
            len(connection.execute(select(table.id)).all()) for table in (RecordTable, CallTable, ContextFact)
        )
    return one, two, three


def erased_meanwhile(desk: Services, item_id: int) -> Callable[[Asked], Reply]:
    """An answer that takes so long that the ticket's customer is erased before it comes."""
    person = item(desk, item_id).state["customer"]
    assert isinstance(person, int)
    left = [person]

    def answer(_asked: Asked) -> Reply:
        if left:
            erase(desk, left.pop(), by="a test")
        return GOLD

    return answer


def test_an_answer_that_comes_when_its_customer_was_erased_is_not_kept(desk: Services, crm: Upstream) -> None:
    table(desk, BY_TIER)
    ticket, other = a_ticket(desk.db).item_id, a_ticket(desk.db, email="other@example.test").item_id
    automation.drain(desk)
    crm.answer = erased_meanwhile(desk, ticket)
    assert enrichment.enrich(desk) == 2
    assert len(crm.asked) == 2
    assert kept(desk) == (1, 1, 1)  # the other customer's
    work(desk)
    assert [item(desk, one).state["priority"] for one in (ticket, other)] == ["normal", "high"]


def test_what_a_script_was_told_of_a_customer_who_was_erased_meanwhile_is_not_kept(
    desk: Services, crm: Upstream
) -> None:
    script(desk, "for tries in (1, 2):\n    found = crm.find_customer(email=customer.email)\nticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    crm.answer = erased_meanwhile(desk, ticket)
    assert runs.run_due(desk) == 1
    assert len(crm.asked) == 2
    assert kept(desk) == (0, 0, 0)
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.status, RunRow.outcome)).one() == ("cancelled", {})
    assert "tags" not in item(desk, ticket).state


def test_a_call_of_a_run_that_is_called_off_stays_in_the_list_of_calls(desk: Services, crm: Upstream) -> None:
    """Nobody was erased: that we asked is a fact that the list is there for."""
    script(desk, "crm.find_customer(email=customer.email)")
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    automation.drain(desk)

    def answer(_asked: Asked) -> Reply:
        with desk.db.write() as connection:
            ended = {"status": "cancelled", "token": None, "finished_at": desk.clock.now()}
            connection.execute(update(RunRow).values(outcome={"stop_reason": "Called off"}, **ended))
        return GOLD

    crm.answer = answer
    assert runs.run_due(desk) == 1
    assert kept(desk) == (1, 1, 0)


@pytest.mark.parametrize("under_way", [True, False])
def test_what_a_run_has_asked_before_its_customer_is_erased_goes_at_once(
    desk: Services, crm: Upstream, under_way: bool
) -> None:
    """Of one that is still running only the list of calls says what it asked. What was asked was trimmed first."""
    script(desk, "crm.find_customer(email=' ' + customer.email)\nticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    assert kept(desk)[:2] == (1, 1)
    if under_way:
        with desk.db.write() as connection:
            running: dict[str, Any] = {"status": "running", "token": "mine", "finished_at": None, "outcome": {}}
            connection.execute(update(RunRow).values(**running))
    person = item(desk, ticket.item_id).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    assert kept(desk) == (0, 0, 0)


@pytest.mark.parametrize(
    ("status", "attempt", "outcome"),
    [("cancelled", 1, {"stop_reason": "Called off by Ana"}), ("lost", 1, {}), ("finished", 2, {"calls": []})],
    ids=["called off", "lost", "the second attempt"],
)
def test_what_a_run_has_asked_that_did_not_come_to_tell_it_goes_with_its_customer(
    desk: Services, crm: Upstream, status: str, attempt: int, outcome: dict[str, Any]
) -> None:
    script(desk, "crm.find_customer(email=' ' + customer.email)\nticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.write() as connection:
        connection.execute(update(RunRow).values(status=status, attempt=attempt, outcome=outcome))
    person = item(desk, ticket.item_id).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    assert kept(desk) == (0, 0, 0)
