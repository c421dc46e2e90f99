"""Lanes that are committed together come to what they come to one by one, and fail one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import event, func, insert, select, update

from jobs import automation, lanes
from jobs.automation import Hand
from jobs.recording import record
from jobs.services import Services
from jobs.tables import DecisionRow, Fired
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import a_working_desk, by_hand, clock_of, decisions, item, publish, table
from tests.jobs.tables import TRIAGE
from tickets.effects import SetField
from tickets.errors import Fenced
from tickets.tables import EventRow, History, Lane

LONG_S = 600.0


@pytest.fixture
def desk(make_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """On SQLite, where every commit counts as one that waited; of a lane one event at a time."""
    monkeypatch.setattr(automation, "TOGETHER_FROM_S", 0.0)
    monkeypatch.setattr(automation, "FOLLOWING", 0)
    monkeypatch.setattr(automation, "TOGETHER_S", LONG_S)
    with a_working_desk(make_database("sqlite"), tmp_path) as services:
        table(services, TRIAGE)
        yield services


def some_tickets(desk: Services, count: int = 4) -> list[int]:
    texts = ("I was charged twice for order 20-7714.", "Where is my parcel?")
    return [a_ticket(desk.db, text=texts[at % 2], email=f"c{at}@example.com").item_id for at in range(count)]


def commits_of(desk: Services) -> int:
    """How many transactions it takes to work off what is due."""
    made: list[object] = []
    note = made.append
    event.listen(desk.db.engine, "commit", note)
    automation.drain(desk, budget_s=LONG_S)
    event.remove(desk.db.engine, "commit", note)
    return len(made)


def outcome(desk: Services, item_id: int) -> list[Any]:
    """What became of a ticket, without what numbers and moments differ in."""
    with desk.db.read() as connection:
        events = connection.execute(
            select(EventRow.seq, EventRow.status, EventRow.tries, EventRow.depth, EventRow.changes)
            .where(EventRow.item_id == item_id)
            .order_by(EventRow.seq)
        ).all()
        history = connection.execute(
            select(History.field, History.change, History.outcome, History.cause)
            .where(History.item_id == item_id)
            .order_by(History.id)
        ).all()
        lane = connection.execute(select(Lane.due_at, Lane.token, Lane.last_seq).where(Lane.item_id == item_id)).one()
    state = {key: value for key, value in item(desk, item_id).state.items() if key != "customer"}
    made = [(one.part, one.outcome, one.done, one.notes, one.trace) for one in decisions(desk, item_id)]
    return [state, [*map(tuple, events)], [*map(tuple, history)], made, tuple(lane)]


def statuses(desk: Services) -> dict[tuple[int, int], tuple[str, int]]:
    with desk.db.read() as connection:
        rows = connection.execute(select(EventRow.item_id, EventRow.seq, EventRow.status, EventRow.tries)).all()
    return {(row.item_id, row.seq): (row.status, row.tries) for row in rows}


def test_together_they_come_to_what_they_come_to_alone(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    together = some_tickets(desk)
    assert commits_of(desk) == 1 + 2  # the claim, then two rounds: what came, and what the rules made of it
    monkeypatch.setattr(automation, "TOGETHER_FROM_S", LONG_S)
    alone = some_tickets(desk)
    assert commits_of(desk) == 1 + 2 * 4
    assert [outcome(desk, one) for one in together] == [outcome(desk, one) for one in alone]
    assert {one[0]["team"] for one in (outcome(desk, it) for it in together)} == {"billing", "first_line"}


def test_a_round_that_takes_too_long_is_cut_and_the_rest_follows(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "TOGETHER_S", 0.0)
    ids = some_tickets(desk)
    assert commits_of(desk) == 1 + 2 * 4
    assert set(statuses(desk).values()) == {("done", 0)}
    assert all(len(decisions(desk, one)) == 2 for one in ids)


def test_the_events_of_each_lane_are_decided_in_their_order(desk: Services) -> None:
    ids = some_tickets(desk, 3)
    for priority in ("low", "high", "low"):
        for one in ids:
            by_hand(desk, one, SetField("priority", priority))
    automation.drain(desk, budget_s=LONG_S)
    assert {status for status, _ in statuses(desk).values()} == {"done"}
    with desk.db.read() as connection:
        for one in ids:
            decided = connection.execute(
                select(EventRow.seq)
                .join(DecisionRow, DecisionRow.event_id == EventRow.id)
                .where(EventRow.item_id == one)
                .order_by(DecisionRow.id)
            ).scalars()
            assert [*decided] == [1, 2, 3, 4, 5]


def test_an_event_that_cannot_be_read_fails_by_itself(desk: Services) -> None:
    first, poison, last = some_tickets(desk, 3)
    with desk.db.write() as connection:
        connection.execute(update(EventRow).where(EventRow.item_id == poison).values(kind="unheard-of"))
    automation.drain(desk, budget_s=LONG_S)
    found = statuses(desk)
    assert found.pop((poison, 1)) == ("pending", 1)
    assert found == {(one, seq): ("done", 0) for one in (first, last) for seq in (1, 2)}


def test_an_event_that_cannot_be_written_takes_nothing_with_it(desk: Services) -> None:
    first, poison, last = some_tickets(desk, 3)
    with desk.db.write() as connection:
        mine = connection.execute(select(EventRow.id).where(EventRow.item_id == poison)).scalar_one()
        keys = [{"root_id": mine, "row_key": f"A01/{row}"} for row in ("r1", "r2", "otherwise")]
        connection.execute(insert(Fired), keys)
    automation.drain(desk, budget_s=LONG_S)
    found = statuses(desk)
    assert found.pop((poison, 1)) == ("pending", 1)
    assert found == {(one, seq): ("done", 0) for one in (first, last) for seq in (1, 2)}
    assert item(desk, poison).version == 1
    assert decisions(desk, poison) == []
    assert [len(decisions(desk, one)) for one in (first, last)] == [2, 2]


def test_a_worker_whose_lease_passed_on_writes_nothing_of_several_lanes(desk: Services) -> None:
    some_tickets(desk, 3)
    stopped = lanes.claim(desk.db, clock_of(desk).now(), lease_s=1)
    clock_of(desk).forward(seconds=5)
    assert automation.drain(desk, budget_s=LONG_S) == 6
    for one in stopped.items:  # new events, of which the paused worker knows nothing
        by_hand(desk, one, SetField("priority", "low"))
    before = statuses(desk)
    with desk.db.held() as db:
        assert automation.work_together(desk, db, stopped, Hand()) == (0, stopped.items)
    assert statuses(desk) == before
    for one in stopped.items:
        with pytest.raises(Fenced):
            automation.work_lane(desk, stopped.token, one)
    assert statuses(desk) == before


def test_a_lane_of_which_a_worker_was_cut_off_goes_alone(desk: Services) -> None:
    cut, other = some_tickets(desk, 2)
    lanes.claim(desk.db, clock_of(desk).now(), lease_s=1, lanes=1)
    clock_of(desk).forward(seconds=5)
    claim = lanes.claim(desk.db, clock_of(desk).now(), lease_s=LONG_S)
    assert (set(claim.items), claim.cut_off, claim.suspects) == ({cut, other}, frozenset({cut}), frozenset())
    with desk.db.held() as db:
        assert automation.work_together(desk, db, claim, Hand()) == (2, (cut,))
    assert statuses(desk) == {(cut, 1): ("pending", 0), (other, 1): ("done", 0), (other, 2): ("done", 0)}


def test_a_version_published_while_they_are_decided_decides_them(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = some_tickets(desk, 3)
    decide = automation.decided
    published: list[str] = []

    def decided(read: Any) -> Any:
        made = decide(read)
        if not published:
            published.append(publish(desk, EntryKind.TABLE, TRIAGE.replace("code: A01", "code: A02")))
        return made

    monkeypatch.setattr(automation, "decided", decided)
    automation.drain(desk, budget_s=LONG_S)
    assert set(statuses(desk).values()) == {("done", 0)}
    with desk.db.read() as connection:
        revisions = connection.execute(select(DecisionRow.revision, func.count()).group_by(DecisionRow.revision)).all()
    assert [tuple(one) for one in revisions] == [(2, 2 * len(ids))]


def test_time_that_is_up_in_the_middle_leaves_nothing_and_gives_the_others_back(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = some_tickets(desk, 3)
    seen: list[int] = []

    def recorded(*args: Any, **named: Any) -> bool:
        seen.append(args[1].event.item_id)
        if len(seen) == 2:
            raise JobTimeoutException("time is up")
        return record(*args, **named)

    monkeypatch.setattr(automation, "record", recorded)
    with pytest.raises(JobTimeoutException):
        automation.drain(desk, budget_s=LONG_S)
    monkeypatch.setattr(automation, "record", record)
    assert seen == [first, second]
    assert statuses(desk) == {(one, 1): ("pending", 0) for one in (first, second, third)}
    assert automation.drain(desk, budget_s=LONG_S) == 4  # of the two that were not in hand
    clock_of(desk).forward(seconds=desk.settings.lease_s + 1)
    assert automation.drain(desk, budget_s=LONG_S) == 2
    assert set(statuses(desk).values()) == {("done", 0)}
