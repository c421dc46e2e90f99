"""Snoozed tickets are out of the way until a time comes or somebody answers, and come back with the status they had."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from jobs.services import Services
from jobs.timers import BROKEN_S
from tests.builders import ANA, BY_ANA, MORNING, a_ticket
from tests.jobs.desk import clock_of, decisions, item, save, say, table, tick
from tickets import store
from tickets.snooze import snooze
from tickets.tables import History, WorkItem


def put_away(services: Services, item_id: int, *, hours: int | None = None, awaits: str = "") -> None:
    with services.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        until = None if hours is None else services.clock.now() + timedelta(hours=hours)
        lines = [store.Lines(snooze(current.state, until, awaits), BY_ANA)]
        store.change_item(connection, current, lines=lines, actor=ANA, now=services.clock.now())


def left(services: Services, item_id: int) -> tuple[str, list[str]]:
    state = item(services, item_id).state
    return str(state["status"]), sorted(key for key in state if key.startswith("snoozed"))


def test_a_snoozed_ticket_comes_back_on_time_with_the_status_it_had(desk: Services) -> None:
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    put_away(desk, item_id, hours=4)
    assert item(desk, item_id).state["status"] == "snoozed"
    clock_of(desk).forward(hours=4, seconds=-1)
    tick(desk)
    assert item(desk, item_id).state["status"] == "snoozed"
    clock_of(desk).forward(seconds=1)
    tick(desk)
    assert left(desk, item_id) == ("waiting_team", [])
    # Coming back is no person's modification.
    assert item(desk, item_id).stamps.modified_at == MORNING


def test_one_that_cannot_come_back_holds_up_no_other_and_comes_when_it_can(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = (a_ticket(desk.db, status="waiting_team").item_id for _ in range(2))
    for number, one in enumerate((broken, well)):
        put_away(desk, one, hours=4 + number)
    with desk.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == broken).values(snoozed_from="not a status"))
    clock_of(desk).forward(hours=6)
    tick(desk)
    assert item(desk, broken).state["status"] == "snoozed"
    assert left(desk, well) == ("waiting_team", [])
    assert [one.message for one in caplog.records if one.name == "jobs.timers"].count("timer.broken") == 1
    with desk.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == broken).values(snoozed_from="waiting_team"))
    tick(desk)
    assert item(desk, broken).state["status"] == "snoozed"
    clock_of(desk).forward(seconds=BROKEN_S)
    tick(desk)
    assert left(desk, broken) == ("waiting_team", [])


@pytest.mark.parametrize(
    ("awaits", "author", "public", "woken"),
    [
        ("customer", "customer", True, True),
        ("", "customer", True, True),
        ("customer", "agent", True, False),
        ("team", "agent", False, True),
        ("team", "bot", True, False),
        ("team:billing", "customer", True, True),
        ("person:ion", "customer", True, True),
    ],
)
def test_whose_answer_wakes_a_ticket(desk: Services, awaits: str, author: str, public: bool, woken: bool) -> None:
    item_id = a_ticket(desk.db).item_id
    put_away(desk, item_id, hours=48, awaits=awaits)
    say(desk, item_id, author, public=public)
    tick(desk)
    assert left(desk, item_id)[0] == ("open" if woken else "snoozed")
    clock_of(desk).forward(hours=48)
    save(desk, item_id, status="solved")
    tick(desk)
    assert left(desk, item_id) == ("solved", [])


@pytest.mark.parametrize(
    ("awaits", "author", "by", "reason"),
    [
        ("team:billing", "agent", "ana", "the awaited team answered"),
        ("team:billing", "agent", "ion", ""),
        ("team:billing", "bot", "ana", ""),
        ("person:ion", "agent", "ion", "the awaited colleague answered"),
        ("person:ion", "agent", "ana", ""),
        ("team:gone", "agent", "ana", ""),
        ("team", "agent", "ion", "somebody of ours answered"),
    ],
)
def test_h11_a_ticket_that_waits_for_one_team_or_person_sleeps_on_when_somebody_else_writes(
    desk: Services, awaits: str, author: str, by: str, reason: str
) -> None:
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    put_away(desk, item_id, awaits=awaits)
    say(desk, item_id, author, public=False, by=by)
    assert left(desk, item_id)[0] == ("waiting_team" if reason else "snoozed")
    with desk.db.read() as connection:
        when = select(History.cause).where(History.field == "status").order_by(History.id)
        causes = connection.execute(when).scalars()
        assert [one["label"] for one in causes][1:] == ([f"Its snooze ended: {reason}"] if reason else [])


def test_a_ticket_that_sleeps_until_an_answer_has_no_time(desk: Services) -> None:
    item_id = a_ticket(desk.db).item_id
    put_away(desk, item_id, awaits="customer")
    clock_of(desk).forward(days=400)
    tick(desk)
    assert item(desk, item_id).state["status"] == "snoozed"
    say(desk, item_id, "customer")
    assert left(desk, item_id) == ("open", [])


SNOOZING = """
code: H11
name: Put away what waits for another team
triggers: [{on: changed, field: status, to: waiting_team}]
columns: [{id: by, field: event.actor}]
steps: [{id: s1, do: snooze}, {id: s2, do: set_due_date}]
rows: [{id: r1, if: {by: agent}, then: {s1: {for: 2 d, answer: team}, s2: {for: 3 d}}}]
"""


FOR_ONE = """
code: H11
name: Put away what waits for billing, or for Ion
triggers: [{on: changed, field: status, to: waiting_team}]
columns: [{id: team, field: ticket.team}]
steps: [{id: s1, do: snooze}]
rows:
  - {id: r1, if: {team: billing}, then: {s1: {team: billing}}}
  - {id: r2, if: {team: first_line}, then: {s1: {for: 2 d, person: ion}}}
"""


@pytest.mark.parametrize(
    ("team", "awaits", "others", "theirs"),
    [("billing", "team:billing", "ion", "ana"), ("first_line", "person:ion", "ana", "ion")],
)
def test_h11_a_rule_puts_tickets_away_until_one_team_or_person_answers(
    desk: Services, team: str, awaits: str, others: str, theirs: str
) -> None:
    table(desk, FOR_ONE)
    item_id = a_ticket(desk.db, team=team).item_id
    tick(desk)
    save(desk, item_id, status="waiting_team")
    tick(desk)
    assert item(desk, item_id).state["snoozed_for"] == awaits
    say(desk, item_id, "agent", public=False, by=others)
    assert item(desk, item_id).state["status"] == "snoozed"
    say(desk, item_id, "agent", public=False, by=theirs)
    assert left(desk, item_id) == ("waiting_team", [])


@pytest.mark.parametrize("enabled", [True, False])
def test_h11_a_rule_puts_tickets_away_and_they_come_back(desk: Services, enabled: bool) -> None:
    if enabled:
        table(desk, SNOOZING)
    item_id = a_ticket(desk.db).item_id
    tick(desk)
    save(desk, item_id, status="waiting_team")
    tick(desk)
    state = item(desk, item_id).state
    assert state["status"] == ("snoozed" if enabled else "waiting_team")
    assert state.get("due_at") == ("2026-11-24T09:30:00.000000+00:00" if enabled else None)
    clock_of(desk).forward(days=2)
    tick(desk)
    # Coming back into the status is a change by the clock, which the rule does not look at.
    assert left(desk, item_id) == ("waiting_team", [])


def test_a_time_that_is_past_is_refused_and_nothing_is_put_away(desk: Services) -> None:
    table(desk, SNOOZING.replace("{for: 2 d, answer: team}", '{until: "2026-11-01T09:00+01:00"}'))
    item_id = a_ticket(desk.db).item_id
    tick(desk)
    save(desk, item_id, status="waiting_team")
    tick(desk)
    state = item(desk, item_id).state
    assert (state["status"], state.get("due_at")) == ("waiting_team", None)
    assert any("snoozed until a time to come" in note for note in decisions(desk, item_id)[-1].notes)
