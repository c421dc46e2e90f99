"""What a claim of lanes waits for, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from jobs import automation, lanes
from jobs.services import Services
from jobs.tables import DecisionRow
from tests.builders import ANA, BY_ANA, MORNING, a_desk, a_ticket
from tests.jobs.desk import clock_of
from tickets import store
from tickets.db import WAITED, WAITS_BEHIND, Database
from tickets.effects import SetField
from tickets.tables import EventRow, Lane


def test_a_lane_is_claimed_in_haste_and_decided_with_care(sqlite_database: Database):
    """What was accepted or decided is put on the disk; a lease is not waited for."""
    seen: list[str] = []

    @event.listens_for(sqlite_database.engine, "before_cursor_execute")
    def on_execute(_o: Connection, _c: Any, statement: str, _p: Any, _x: Any, _m: bool) -> None:
        if not statement.startswith(("SELECT", "PRAGMA", "BEGIN")):
            seen.append(statement.split(" SET ")[0])

    a_desk(sqlite_database)
    seen.clear()
    a_ticket(sqlite_database)
    assert (seen.count(WAITED), seen[-1]) == (1, WAITED)
    seen.clear()
    now = MORNING
    claim = lanes.claim(sqlite_database, now, lease_s=5)
    assert seen == ["UPDATE lanes"]
    with sqlite_database.held() as held:
        for transactions, waited in ((sqlite_database, WAITED), (held, WAITS_BEHIND)):
            seen.clear()
            with transactions.write() as connection:
                lanes.fence(connection, claim.items[0], claim.token, now, lease_s=5)
            assert seen == ["UPDATE lanes", waited]


@pytest.mark.parametrize(("waits_s", "flooded"), [(0.0, 1), (1.0, lanes.CLAIM)], ids=["one by one", "together"])
def test_lanes_with_many_events_let_the_others_have_their_turn(
    desk: Services, monkeypatch: pytest.MonkeyPatch, waits_s: float, flooded: int
) -> None:
    monkeypatch.setattr(automation, "TURN", 4)
    monkeypatch.setattr(automation, "FOLLOWING", 1)
    tickets = [a_ticket(desk.db).item_id for _ in range(flooded)]
    for item_id in tickets:
        with desk.db.write() as connection:
            for number in range(19):
                current = store.read_item(connection, item_id, lock=True)
                lines = [store.Lines((SetField("subject", f"Again {number}"),), BY_ANA)]
                store.change_item(connection, current, lines=lines, actor=ANA, now=desk.clock.now())
    clock_of(desk).forward(seconds=1)
    other = a_ticket(desk.db).item_id
    desk.db.waited_s = waits_s
    assert automation.drain(desk, budget_s=60) == 20 * flooded + 1
    with desk.db.read() as connection:
        both = select(DecisionRow.item_id, EventRow.seq).join(EventRow, EventRow.id == DecisionRow.event_id)
        decided = connection.execute(both.order_by(DecisionRow.id)).all()
        assert connection.execute(select(Lane.due_at, Lane.token).distinct()).all() == [(None, None)]
    assert [row.item_id for row in decided].index(other) < 12 * flooded
    for item_id in tickets:
        assert [row.seq for row in decided if row.item_id == item_id] == list(range(1, 21))
