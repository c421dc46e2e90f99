"""What a claim of lanes waits for, and what it does not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, event

from jobs import lanes
from tests.builders import MORNING, a_desk, a_ticket
from tickets.db import Database


def test_a_lane_is_claimed_in_haste_and_decided_with_care(sqlite_database: Database):
    """What was accepted or decided is on the disk before anybody is told; a lease is not waited for."""
    seen = []

    @event.listens_for(sqlite_database.engine, "before_cursor_execute")
    def on_execute(connection: Connection, _c: Any, statement: str, _p: Any, _x: Any, _m: bool) -> None:
        level = connection.connection.cursor().execute("PRAGMA synchronous").fetchone()[0]
        if not statement.startswith(("SELECT", "PRAGMA", "BEGIN")):
            seen.append((statement.split(" SET ")[0], level))

    a_desk(sqlite_database)
    a_ticket(sqlite_database)
    accepted = len(seen)
    now = MORNING
    claim = lanes.claim(sqlite_database, now, lease_s=5)
    with sqlite_database.write() as connection:
        lanes.fence(connection, claim.items[0], claim.token, now, lease_s=5)
    assert {level for _, level in seen[:accepted]} == {2}
    assert seen[accepted:] == [("UPDATE lanes", 1), ("UPDATE lanes", 2)]
