"""Service levels on the desks of `jobs`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from jobs.services import Services
from rules import store as rule_list
from tests.builders import MORNING
from tickets import levels
from tickets.sla import SlaClock, Target
from tickets.tables import SlaPolicy

FOUR_HOURS: dict[str, Any] = {
    "targets": {"first_reply": 4 * 3_600, "resolution": 24 * 3_600},
    "near_s": 3_600,
    "pauses": ["waiting_customer"],
}


def a_policy(services: Services, key: str = "standard", **body: Any) -> None:
    """An SLA policy for every ticket: an answer within four hours, unless told otherwise."""
    with services.db.write() as connection:
        connection.execute(
            insert(SlaPolicy).values(
                key=key, label=key, position=1, enabled=True, body={**FOUR_HOURS, **body}, updated_at=MORNING
            )
        )
        rule_list.bump(connection)


def clock(services: Services, item_id: int, target: Target = Target.FIRST_REPLY) -> SlaClock:
    """What this target of a ticket stands at."""
    with services.db.read() as connection:
        return levels.clocks_of(connection, [item_id])[item_id][target]
