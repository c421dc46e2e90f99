"""On SQLite events of a lane that change nothing share the commit of the one before them, and fail by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import select

from jobs import automation, lanes
from jobs.recording import record
from jobs.services import Services
from jobs.tables import DecisionRow
from tests.builders import a_ticket
from tests.jobs.desk import a_working_desk, by_hand, clock_of, decisions, item, table
from tests.jobs.tables import TRIAGE
from tests.jobs.test_together import LONG_S, commits_of, outcome, some_tickets, statuses
from tickets.effects import SetField
from tickets.tables import EventRow

URGENT = """
code: A02
name: Urgent
kind: ticket
triggers: [{on: changed, field: priority}]
hit: first
columns: [{id: c1, field: ticket.priority, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: urgent}}, then: {s1: {tags: [urgent]}}}]
"""


@pytest.fixture
def desk(make_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """On SQLite, one lane at a time, however slow the machine is."""
    monkeypatch.setattr(automation, "TOGETHER_FROM_S", LONG_S)
    monkeypatch.setattr(automation, "TOGETHER_S", LONG_S)
    monkeypatch.setattr(automation, "FOLLOWING_S", LONG_S)
    with a_working_desk(make_database("sqlite"), tmp_path) as services:
        table(services, TRIAGE)
        yield services


def decided_in_order(desk: Services, item_id: int) -> list[int]:
    """The sequence of each decided event, in the order of the decisions."""
    with desk.db.read() as connection:
        return [
            *connection.execute(
                select(EventRow.seq)
                .join(DecisionRow, DecisionRow.event_id == EventRow.id)
                .where(EventRow.item_id == item_id)
                .order_by(DecisionRow.id)
            ).scalars()
        ]


def test_what_a_rule_changed_shares_the_commit_of_its_cause(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    one = a_ticket(desk.db).item_id
    assert commits_of(desk) == 1 + 1  # the claim, then the event and the change that it came to
    monkeypatch.setattr(automation, "FOLLOWING", 0)
    other = a_ticket(desk.db).item_id
    assert commits_of(desk) == 1 + 2
    assert item(desk, one).state["team"] == "billing"
    assert outcome(desk, one) == outcome(desk, other)


def test_lanes_that_are_committed_together_take_what_follows_with_them(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = some_tickets(desk)
    assert commits_of(desk) == 1 + 4
    monkeypatch.setattr(automation, "TOGETHER_FROM_S", 0.0)
    together = some_tickets(desk)
    assert commits_of(desk) == 1 + 1
    assert [outcome(desk, one) for one in together] == [outcome(desk, one) for one in alone]


def test_so_many_share_a_commit_and_no_more(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "FOLLOWING", 2)
    ticket = a_ticket(desk.db).item_id
    for priority in ("low", "high", "low", "normal"):
        by_hand(desk, ticket, SetField("priority", priority))
    assert commits_of(desk) == 1 + 2
    assert decided_in_order(desk, ticket) == [1, 2, 3, 4, 5, 6]
    assert set(statuses(desk).values()) == {("done", 0)}


def test_an_event_on_which_a_rule_acts_has_a_commit_of_its_own(desk: Services) -> None:
    table(desk, URGENT)
    ticket = a_ticket(desk.db).item_id
    by_hand(desk, ticket, SetField("priority", "urgent"))
    by_hand(desk, ticket, SetField("status", "solved"))
    # The claim; the creation; the change to urgent, with all that follows it.
    assert commits_of(desk) == 1 + 2
    assert decided_in_order(desk, ticket) == [1, 2, 3, 4, 5]
    assert item(desk, ticket).state["tags"] == ["double-charge", "urgent"]


def test_one_that_fails_costs_the_event_before_it_nothing(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = a_ticket(desk.db).item_id

    def recorded(*args: Any, **named: Any) -> bool:
        if args[1].event.seq == 2:
            raise ValueError("this one cannot be written")
        return record(*args, **named)

    monkeypatch.setattr(automation, "record", recorded)
    automation.drain(desk, budget_s=LONG_S)
    assert statuses(desk) == {(ticket, 1): ("done", 0), (ticket, 2): ("pending", 1)}
    assert item(desk, ticket).state["team"] == "billing"
    assert len(decisions(desk, ticket)) == 1


def test_time_that_is_up_over_one_leaves_nothing_of_the_event_before_it(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = a_ticket(desk.db).item_id

    def recorded(*args: Any, **named: Any) -> bool:
        if args[1].event.seq == 2:
            raise JobTimeoutException("time is up")
        return record(*args, **named)

    monkeypatch.setattr(automation, "record", recorded)
    with pytest.raises(JobTimeoutException):
        automation.drain(desk, budget_s=LONG_S)
    assert statuses(desk) == {(ticket, 1): ("pending", 0)}
    assert item(desk, ticket).version == 1
    assert decisions(desk, ticket) == []


def test_where_a_worker_was_cut_off_no_event_shares_a_commit(desk: Services) -> None:
    ticket = a_ticket(desk.db).item_id
    lanes.claim(desk.db, clock_of(desk).now(), lease_s=1)
    clock_of(desk).forward(seconds=5)
    assert commits_of(desk) == 1 + 2
    assert statuses(desk) == {(ticket, 1): ("done", 0), (ticket, 2): ("done", 0)}
