"""H16: the same handling each time, also in a spike of volume."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from jobs.tables import DecisionRow
from tests.rows.desk import a_rule, switch
from tests.web.desk import Desk
from tickets.tables import EventRow, WorkItem

SPIKE = 150


def test_h16_every_ticket_of_a_spike_is_handled_alike_and_once(desk: Desk) -> None:
    rule = a_rule(
        desk,
        {"on": "created"},
        when={"ticket.subject": ("contains_any", ["refund"])},
        then=[("assign_team", {"team": "billing"}), ("set_priority", {"priority": "high"})],
    )
    numbers = [desk.ticket(f"{'REFUND' if at % 3 else 'Parcel'} {at}") for at in range(SPIKE)]
    while desk.work():
        pass
    handled = Counter((bool(at % 3), *_team_and_priority(desk, number)) for at, number in enumerate(numbers))
    assert handled == {(True, "billing", "high"): 100, (False, None, "normal"): 50}
    with desk.services.db.read() as connection:
        decided = connection.execute(
            select(DecisionRow.event_id)
            .join(EventRow, EventRow.id == DecisionRow.event_id)
            .where(EventRow.kind == "created")
        ).scalars()
        assert sorted(Counter(decided).values()) == [1] * SPIKE

    switch(desk, rule, on=False)
    later = desk.ticket("Refund again")
    desk.work()
    assert _team_and_priority(desk, later) == (None, "normal")


def _team_and_priority(desk: Desk, number: int) -> tuple[str | None, str]:
    with desk.services.db.read() as connection:
        row = connection.execute(select(WorkItem.team, WorkItem.priority).where(WorkItem.id == number)).one()
    return row.team, row.priority
