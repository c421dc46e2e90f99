"""A run or a lookup that ends its workers comes to an end itself, and what shared a worker with it does not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from jobs import automation, enrichment, runs
from jobs.claims import MOST_CUT_OFF
from jobs.lanes import SUSPECT
from jobs.services import Services
from jobs.tables import LookupRow, RunRow
from tests.builders import MORNING, a_ticket
from tests.connectors.upstream import Asked, Reply, Upstream
from tests.jobs.desk import BY_TIER, clock_of, item, table, work
from tests.jobs.tables import RUNS_IT, script
from tests.jobs.workers import killed_at
from tickets.tables import ContextFact


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def statuses(desk: Services) -> dict[int, str]:
    with desk.db.read() as connection:
        return dict(iter(connection.execute(select(RunRow.item_id, RunRow.status))))


def test_a_lookup_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_is_asked(
    desk: Services, crm: Upstream
) -> None:
    """Such a worker comes back to say nothing: what counts is that its lease ran out with the lookup still held."""
    table(desk, BY_TIER)
    guilty, other = a_ticket(desk.db).item_id, a_ticket(desk.db, email="other@example.test").item_id
    automation.drain(desk)
    taken = []
    for _ in range(MOST_CUT_OFF):
        taken.append([row.item_id for row in enrichment._claim(desk, "dead")])
        clock_of(desk).forward(minutes=10)
    assert taken == [[guilty, other]] * SUSPECT + [[guilty]] * (MOST_CUT_OFF - SUSPECT)
    assert crm.asked == []
    work(desk)
    with desk.db.read() as connection:
        rows = connection.execute(select(LookupRow.item_id, LookupRow.state, LookupRow.due_at)).all()
        card = connection.execute(select(ContextFact.error).where(ContextFact.item_id == guilty)).scalar_one()
    assert {row.item_id: (row.state, row.due_at) for row in rows} == {guilty: ("failed", None), other: ("known", None)}
    assert card == f"The worker that asked was cut off {MOST_CUT_OFF} times"
    assert [item(desk, one).state["priority"] for one in (guilty, other)] == ["normal", "high"]
    assert len(crm.asked) == 1


def test_a_run_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_is_run(desk: Services) -> None:
    script(desk, "ticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    guilty, other = a_ticket(desk.db).item_id, a_ticket(desk.db).item_id
    automation.drain(desk)
    taken = [_dead(desk) for _ in range(MOST_CUT_OFF)]
    assert taken == [[guilty, other]] * SUSPECT + [[guilty]] * (MOST_CUT_OFF - SUSPECT)
    work(desk)
    assert statuses(desk) == {guilty: "lost", other: "finished"}
    assert ("tags" in item(desk, guilty).state, item(desk, other).state["tags"]) == (False, ["done"])


def _dead(desk: Services) -> list[int]:
    """What a worker takes that ends before it has done any of it."""
    found = [row.item_id for row in runs._claim(desk, "dead", runs.RUNS_AT_ONCE)]
    clock_of(desk).forward(minutes=10)
    return found


def test_a_few_deaths_of_workers_count_against_no_run(desk: Services) -> None:
    script(desk, "ticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    for _ in range(MOST_CUT_OFF - 1):
        assert _dead(desk) == [ticket.item_id]
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["done"]


def test_a_run_that_comes_back_by_itself_is_no_more_suspected(desk: Services, crm: Upstream) -> None:
    script(desk, "ticket.add_tags([crm.find_customer(email=customer.email).tier])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    for _ in range(MOST_CUT_OFF - 1):
        _dead(desk)
    usual, crm.answer = crm.answer, lambda _: Reply(status=503)
    runs.run_due(desk)
    assert statuses(desk) == {ticket.item_id: "retrying"}
    crm.answer = usual
    clock_of(desk).forward(minutes=10)
    for _ in range(SUSPECT - 1):
        assert _dead(desk) == [ticket.item_id]
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["gold"]


def test_nothing_begins_beside_a_run_that_is_suspected(desk: Services, crm: Upstream) -> None:
    script(desk, "ticket.add_tags([crm.find_customer(email=customer.email).tier])")
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    automation.drain(desk)
    for _ in range(SUSPECT):
        _dead(desk)
    other = a_ticket(desk.db, email="other@example.test").item_id
    automation.drain(desk)
    usual = crm.answer
    meanwhile: list[str] = []

    def answer(asked: Asked) -> Reply:
        # Many looks for due work later: the first run, of which workers were cut off, is still the only one.
        if not meanwhile:
            time.sleep(0.5)
            meanwhile.append(statuses(desk)[other])
        return usual(asked)

    crm.answer = answer
    assert runs.run_due(replace(desk, settings=desk.settings.model_copy(update={"sweep_s": 0.01}))) == 2
    assert meanwhile == ["queued"]
    assert set(statuses(desk).values()) == {"finished"}


@pytest.mark.parametrize(("asked_to_end", "begun"), [(True, 1), (False, 2)])
def test_a_job_that_is_to_end_begins_no_run_and_waits_for_those_it_has(
    desk: Services, crm: Upstream, asked_to_end: bool, begun: int
) -> None:
    """One that it took with it would lie until its lease is over, and count as cut off."""
    script(desk, "ticket.add_tags([crm.find_customer(email=customer.email).tier])")
    table(desk, RUNS_IT)
    first = a_ticket(desk.db).item_id
    automation.drain(desk)
    usual = crm.answer
    later: list[int] = []

    def answer(asked: Asked) -> Reply:
        if not later:
            later.append(a_ticket(desk.db, email="other@example.test").item_id)
            automation.drain(desk)
        return usual(asked)

    crm.answer = answer
    assert runs.run_due(desk, stopping=lambda: asked_to_end and bool(later)) == begun
    found = statuses(desk)
    assert (found[first], found[later[0]]) == ("finished", "queued" if asked_to_end else "finished")
    assert runs.run_due(desk, budget_s=0) == 0
    assert runs.run_due(desk) == 2 - begun


@pytest.mark.parametrize("how", [{"budget_s": 0}, {"stopping": lambda: True}], ids=["budget", "stop"])
def test_a_job_asks_no_more_lookups_once_it_is_over(desk: Services, crm: Upstream, how: dict[str, Any]) -> None:
    """Mailboxes are looked into by the same workers: they have their turn however much there is to ask."""
    table(desk, BY_TIER)
    tickets = [a_ticket(desk.db, email=f"c{number}@example.test") for number in range(enrichment.CLAIM + 1)]
    automation.drain(desk)
    automation.drain(desk)
    assert enrichment.enrich(desk, **how) == enrichment.CLAIM
    with desk.db.read() as connection:
        left = connection.execute(select(LookupRow.tries, LookupRow.token).where(LookupRow.answered_at.is_(None))).all()
    assert left == [(0, None)]
    assert enrichment.enrich(desk) == len(crm.asked) - enrichment.CLAIM == 1
    assert len(tickets) == len(crm.asked)


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_real_workers_that_one_run_kills_each_time_are_killed_no_more_and_the_other_run_is_done(desk: Services) -> None:
    script(
        desk,
        """
if ticket.subject == "Boom":
    crm.find_customer(email=customer.email)
ticket.add_tags(["done"])
""",
    )
    table(desk, RUNS_IT)
    guilty, other = a_ticket(desk.db, subject="Boom").item_id, a_ticket(desk.db).item_id
    automation.drain(desk)
    for _ in range(MOST_CUT_OFF):
        with desk.db.write() as connection:  # the desk's clock stands in the past; the processes have the machine's
            connection.execute(update(RunRow).values(due_at=MORNING).where(RunRow.due_at.is_not(None)))
            connection.execute(update(RunRow).values(lease_until=MORNING).where(RunRow.lease_until.is_not(None)))
        killed_at(desk, "scripts", "before", "connectors.gateway:Gateway.call")
    work(desk)
    assert statuses(desk) == {guilty: "lost", other: "finished"}
    assert ("tags" in item(desk, guilty).state, item(desk, other).state["tags"]) == (False, ["done"])
