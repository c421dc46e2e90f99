"""The clock passes by items on which a table could do nothing, and none that its table still has to look at."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from jobs import timers
from jobs.services import Services
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import clock_of, decisions, table, work
from tests.jobs.test_timers import tags, tick
from tickets.tables import EventRow

DAILY = """
code: A21
name: Every morning
triggers: [{on: schedule, cron: '0 9 * * *'}]
columns:
  - {id: c1, field: ticket.priority}
  - {id: c2, field: ticket.subject, op: starts_with}
steps: [{id: s1, do: add_tags}]
rows:
  - {id: r1, if: {c1: urgent, c2: charged}, then: {s1: {tags: [looked-at]}}}
"""
NINE = MORNING.replace(day=22, hour=9, minute=0)


def looked_at(services: Services) -> list[int]:
    """The items that a time came for."""
    with services.db.read() as connection:
        query = select(EventRow.item_id).where(EventRow.kind == "timer").order_by(EventRow.item_id)
        return list(connection.execute(query).scalars())


def tickets(services: Services, states: Sequence[dict[str, str]]) -> list[int]:
    made = [a_ticket(services.db, **state).item_id for state in states]
    work(services)
    return made


def test_a_schedule_passes_by_what_its_rows_rule_out_and_asks_the_engine_about_the_rest(desk: Services) -> None:
    table(desk, DAILY)
    tick(desk)
    low, other, urgent, accents = tickets(
        desk,
        [
            {"priority": "low"},
            {"priority": "urgent", "subject": "Lost parcel"},
            {"priority": "urgent"},
            {"priority": "urgent", "subject": "Pas chargé"},
        ],
    )
    clock_of(desk).at = NINE
    tick(desk)
    # Letters outside ASCII are folded by the engine alone: it is asked, and says no.
    assert looked_at(desk) == [urgent, accents]
    assert [tags(desk, one) for one in (low, other, urgent, accents)] == [[], [], ["looked-at"], []]
    assert len(decisions(desk, low)) == len(decisions(desk, other)) == len(decisions(desk, accents)) - 1


def test_a_schedule_passes_by_what_is_out_of_its_scope_and_nothing_else_before_an_otherwise_row(
    desk: Services,
) -> None:
    scope = "scope: [{field: ticket.brand, op: empty}]\notherwise: {then: {s1: {tags: [rest]}}}\n"
    table(desk, DAILY + scope)
    tick(desk)
    low, shop = tickets(desk, [{"priority": "low"}, {"priority": "urgent", "brand": "shop"}])
    clock_of(desk).at = NINE
    tick(desk)
    assert looked_at(desk) == [low]
    assert (tags(desk, low), tags(desk, shop)) == (["rest"], [])


def test_a_schedule_counts_ages_when_its_tick_comes(desk: Services) -> None:
    old = "{id: c1, field: ticket.status_since, op: older_than}"
    table(desk, DAILY.replace("{id: c1, field: ticket.priority}", old).replace("c1: urgent", "c1: 24 h"))
    tick(desk)
    early = tickets(desk, [{}])[0]
    clock_of(desk).at = NINE
    tick(desk)
    assert looked_at(desk) == []
    clock_of(desk).forward(hours=24)
    tick(desk)
    assert looked_at(desk) == [early]
    assert tags(desk, early) == ["looked-at"]


@pytest.mark.parametrize("condition", ["customer.name, op: empty", "message.text, op: matches"])
def test_a_schedule_comes_for_all_where_sql_cannot_tell(desk: Services, condition: str) -> None:
    column = f"{{id: c1, field: {condition}}}"
    value = "c1: nothing" if "matches" in condition else "c1: {}"
    table(desk, DAILY.replace("{id: c1, field: ticket.priority}", column).replace("c1: urgent", value))
    tick(desk)
    both = tickets(desk, [{}, {"priority": "low"}])
    clock_of(desk).at = NINE
    timers.tick(desk, budget_s=30)
    assert looked_at(desk) == both
