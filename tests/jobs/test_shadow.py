"""A draft beside the live version: it writes nothing but its own row, and is published once it has proved itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import func, select, update

from jobs import shadow
from jobs.services import Services
from jobs.shadow import Shadow, Standing
from jobs.tables import DecisionRow, ShadowRow
from rules import files
from rules import store as rule_list
from tests.builders import a_ticket
from tests.jobs.desk import BY_TIER, ana, clock_of, item, table, work
from tickets.db import Base
from tickets.people import Viewer

LIVE = """
code: A01
name: Urgent by mail
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.subject, op: contains_any}]
steps: [{id: s1, do: set_priority}, {id: s2, do: post_message}]
rows: [{id: r1, if: {c1: {value: [fire]}}, then: {s1: {priority: urgent}}}]
"""
#: The same, and what nothing burns in is low, with a note.
DRAFT = (
    LIVE
    + """otherwise: {then: {s1: {priority: low}, s2: {text: Nothing burns., public: false}}}
"""
)
RENAMED = LIVE.replace("Urgent by mail", "Another name")


def drafted(desk: Services, content: str) -> None:
    with desk.db.write() as connection:
        seen = rule_list.entry(connection, "A01").draft_count
        rule_list.save_draft(connection, "A01", files.load(content), author="ana", seen=seen, now=desk.clock.now())


def begin(desk: Services, viewer: Viewer, *, days: int = 7, tickets: int = 100, allowed: int = 10) -> None:
    with desk.db.write() as connection:
        stored = rule_list.entry(connection, "A01")
        shadow.start(connection, stored, viewer, days=days, tickets=tickets, allowed=allowed, now=desk.clock.now())


def stands(desk: Services) -> Shadow:
    with desk.db.read() as connection:
        found = shadow.of(connection, rule_list.entry(connection, "A01"))
    assert found is not None
    return found


def held_back(desk: Services) -> bool:
    with desk.db.read() as connection:
        return shadow.holds_back(connection, rule_list.entry(connection, "A01")) is not None


def arrive(desk: Services, *subjects: str) -> list[int]:
    found = [a_ticket(desk.db, subject=one).item_id for one in subjects]
    work(desk)
    return found


def rows(desk: Services) -> Mapping[str, int]:
    """How many rows each table has, but for the shadow's own."""
    with desk.db.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(one)).scalar_one()
            for name, one in Base.metadata.tables.items()
            if name != ShadowRow.__tablename__
        }


def test_differences_are_counted_from_its_start_on_and_nothing_else_is_written(desk: Services, viewer: Viewer) -> None:
    table(desk, LIVE)
    arrive(desk, "Water before it began")
    drafted(desk, DRAFT)
    begin(desk, viewer)
    tickets = arrive(desk, "A fire", "Water", "Another fire", "Air")
    before, states = rows(desk), [item(desk, one) for one in tickets]
    shadow.carry_on(desk, budget_s=30)
    assert rows(desk) == before
    assert [item(desk, one) for one in tickets] == states
    found = stands(desk)
    assert found.standing is Standing.RUNNING
    assert sorted(found.items) == tickets
    assert (found.row.different, len(found.row.samples)) == (2, 2)
    counted = found.row.events
    assert counted >= len(tickets)
    shadow.carry_on(desk, budget_s=30)
    assert stands(desk).row.events == counted, "what was seen once is not counted twice"


def test_an_event_that_waited_is_compared_once(crm_desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "BATCH", 1)
    table(crm_desk, BY_TIER.replace("A01", "A02"))
    table(crm_desk, LIVE)
    drafted(crm_desk, DRAFT)
    begin(crm_desk, ana(crm_desk))
    arrive(crm_desk, "Hello")
    shadow.carry_on(crm_desk, budget_s=30)
    found = stands(crm_desk).row
    with crm_desk.db.read() as connection:
        decided = connection.execute(select(func.count(DecisionRow.event_id.distinct()))).scalar_one()
    assert (found.events, found.different) == (decided, 1)


@pytest.mark.parametrize(("allowed", "standing"), [(100, Standing.PASSED), (10, Standing.FAILED)])
def test_once_it_met_its_tickets_it_passed_or_not(
    desk: Services, viewer: Viewer, allowed: int, standing: Standing
) -> None:
    table(desk, LIVE)
    drafted(desk, DRAFT)
    begin(desk, viewer, tickets=2, allowed=allowed)
    assert held_back(desk)
    arrive(desk, "Water", "Air")
    shadow.carry_on(desk, budget_s=30)
    assert stands(desk).standing is standing
    assert held_back(desk) == (standing is Standing.FAILED)
    counted = stands(desk).row.events
    arrive(desk, "Late")
    shadow.carry_on(desk, budget_s=30)
    assert stands(desk).row.events == counted, "it is over"


def test_one_that_cannot_be_looked_at_ends_and_holds_up_nobody(desk: Services, viewer: Viewer) -> None:
    table(desk, LIVE)
    drafted(desk, DRAFT)
    begin(desk, viewer)
    with desk.db.write() as connection:
        connection.execute(update(ShadowRow).values(items=5))
    arrive(desk, "Water")
    assert shadow.carry_on(desk, budget_s=30) == 0
    assert stands(desk).standing is Standing.STOPPED
    assert not held_back(desk)


def test_its_time_runs_out_and_without_any_event_it_did_not_pass(desk: Services, viewer: Viewer) -> None:
    table(desk, LIVE)
    drafted(desk, DRAFT)
    begin(desk, viewer, days=1)
    shadow.carry_on(desk, budget_s=30)
    assert stands(desk).standing is Standing.RUNNING
    clock_of(desk).forward(days=1)
    shadow.carry_on(desk, budget_s=30)
    assert stands(desk).standing is Standing.FAILED


def test_a_draft_that_says_the_same_passes(desk: Services, viewer: Viewer) -> None:
    table(desk, LIVE)
    drafted(desk, RENAMED)
    begin(desk, viewer, tickets=2, allowed=0)
    arrive(desk, "A fire", "Water")
    shadow.carry_on(desk, budget_s=30)
    assert (stands(desk).row.different, stands(desk).standing) == (0, Standing.PASSED)


def test_a_changed_draft_is_another_one(desk: Services, viewer: Viewer) -> None:
    table(desk, LIVE)
    drafted(desk, DRAFT)
    begin(desk, viewer)
    drafted(desk, RENAMED)
    assert stands(desk).standing is Standing.STOPPED
    arrive(desk, "Water")
    shadow.carry_on(desk, budget_s=30)
    assert (stands(desk).row.problem, stands(desk).row.events) == (shadow.CHANGED, 0)
    assert not held_back(desk)
