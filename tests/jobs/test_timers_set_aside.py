"""What waits for a time and cannot be read any more is set aside and told: the times of all others come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from jobs import clock, timers
from jobs.doctor import State, examine
from jobs.services import Services
from rules import store as rule_list
from rules.store import VersionRow
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import clock_of, item, save, say, table, tags, tick, work
from tests.jobs.levels import a_policy
from tests.jobs.levels import clock as level
from tests.jobs.tables import WAITING
from tickets import levels
from tickets.tables import BusinessCalendar, Notification, SlaPolicy, Timer, TimeTrigger

OTHER = WAITING.replace("A21", "A22").replace("too-long", "other")
IN_STATE = "{on: time_in_state, status: waiting_team, for: 72 h}"
WORKING = WAITING.replace("for: 72 h}", "for: 2 h, calendar: office}")
DAILY = WAITING.replace(IN_STATE, "{on: schedule, cron: '0 9 * * *', zone: Europe/Paris}")
OFFICE = {"zone": "Europe/Paris", "week": {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}}
NOWHERE = "Atlantis/Poseidonis"


def told(services: Services) -> list[str]:
    with services.db.read() as connection:
        query = select(Notification.text).where(Notification.user == "ana").order_by(Notification.id)
        return list(connection.execute(query).scalars())


def found(services: Services, *names: str) -> dict[str, tuple[State, str]]:
    wanted = names or ("rules", "calendars")
    return {one.name: (one.state, one.detail) for one in examine(services) if one.name in wanted}


def rewrite(services: Services, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Change what is stored of the live version of A21, with nobody asking whether it can be read; what it was."""
    with services.db.write() as connection:
        mine = VersionRow.code == "A21"
        kept: dict[str, Any] = connection.execute(select(VersionRow.content).where(mine)).scalar_one()
        connection.execute(update(VersionRow).where(mine).values(content=change(kept)))
        rule_list.bump(connection)
    return kept


def office(services: Services, body: dict[str, Any]) -> None:
    with services.db.write() as connection:
        connection.execute(update(BusinessCalendar).where(BusinessCalendar.key == "office").values(body=body))
        rule_list.bump(connection)


@pytest.fixture
def waits(desk: Services, request: pytest.FixtureRequest) -> int:
    """A ticket that A21 and A22 wait for; A21 in the way that the test asks for."""
    with desk.db.write() as connection:
        connection.execute(
            insert(BusinessCalendar).values(key="office", label="Office", body=OFFICE, updated_at=MORNING)
        )
        rule_list.bump(connection)
    table(desk, getattr(request, "param", WAITING))
    table(desk, OTHER)
    tick(desk)
    return a_ticket(desk.db, status="waiting_team").item_id


@pytest.mark.parametrize(
    "change",
    [lambda kept: {**kept, "triggers": [{"on": "eclipse"}]}, lambda _kept: {}, lambda _kept: "not a table"],
    ids=["no such trigger", "nothing", "no table at all"],
)
def test_a_table_that_cannot_be_read_waits_and_no_other_does(
    desk: Services, waits: int, change: Callable[[dict[str, Any]], Any]
) -> None:
    kept = rewrite(desk, change)
    clock_of(desk).forward(hours=72)
    tick(desk)
    tick(desk)
    assert tags(desk, waits) == ["other"]
    [text] = told(desk)
    assert text.startswith("A21 waited for a time that has come, and cannot be read. It is tried again: ")
    state, detail = found(desk)["rules"]
    assert (state, detail[:16]) == (State.WARNING, "A21 cannot run: ")
    rewrite(desk, lambda _: kept)
    tick(desk)
    assert tags(desk, waits) == ["other"]  # in its time
    clock_of(desk).forward(seconds=timers.BROKEN_S)
    tick(desk)
    tick(desk)
    assert tags(desk, waits) == ["other", "too-long"]
    assert (len(told(desk)), found(desk)) == (1, {"rules": (State.OK, "every live version can be read")})


@pytest.mark.parametrize("waits", [DAILY], indirect=True)
def test_a_schedule_of_a_zone_that_is_gone_waits_and_is_told_and_comes_when_it_is_back(
    desk: Services, waits: int
) -> None:
    save(desk, waits, status="open")
    kept = rewrite(desk, lambda kept: {**kept, "triggers": [{**kept["triggers"][0], "zone": NOWHERE}]})
    clock_of(desk).forward(hours=24)
    for _ in range(2):
        clock.tick(desk)
    work(desk)
    assert tags(desk, waits) == []
    [text] = told(desk)
    assert text.startswith("A21 waited")
    assert NOWHERE in text
    rewrite(desk, lambda _: kept)
    clock_of(desk).forward(seconds=timers.BROKEN_S)
    tick(desk)
    assert tags(desk, waits) == ["too-long"]


@pytest.mark.parametrize("waits", [WORKING], indirect=True)
def test_a_calendar_that_cannot_be_read_sets_aside_what_counts_in_it_alone(desk: Services, waits: int) -> None:
    office(desk, {**OFFICE, "zone": NOWHERE})
    save(desk, waits, priority="high")  # nor is anybody kept from writing
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert tags(desk, waits) == ["other"]
    assert len(told(desk)) == 1
    assert found(desk)["calendars"] == (
        State.WARNING,
        f"office cannot be read: '{NOWHERE}' is not a time zone such as Europe/Paris",
    )
    office(desk, OFFICE)
    clock_of(desk).forward(seconds=timers.BROKEN_S)
    tick(desk)
    assert tags(desk, waits) == ["other", "too-long"]


@pytest.mark.parametrize(
    "rule", [{}, {"on": "eclipse"}, "no rule", {"on": "sla", "target": "x"}, {"on": "date", "by": 1}]
)
def test_a_stored_trigger_that_cannot_be_read_is_written_anew_from_its_table(
    desk: Services, waits: int, rule: Any
) -> None:
    with desk.db.write() as connection:
        connection.execute(update(TimeTrigger).where(TimeTrigger.entry == "A21").values(rule=rule))
    save(desk, waits, priority="high")  # nobody is kept from writing, and the timer stays
    with desk.db.read() as connection:
        assert len(connection.execute(select(Timer.key).where(Timer.item_id == waits)).all()) == 2
    clock_of(desk).forward(hours=72)
    assert timers.fire(desk) == 2  # before the clock has learnt it anew
    work(desk)
    assert tags(desk, waits) == ["other"]
    assert len(told(desk)) == 1
    clock_of(desk).forward(seconds=timers.BROKEN_S)
    tick(desk)
    tick(desk)
    assert tags(desk, waits) == ["other", "too-long"]
    assert found(desk)["rules"][0] is State.OK


def test_a_stored_trigger_that_cannot_be_read_holds_up_no_walk(desk: Services) -> None:
    waits = a_ticket(desk.db, status="waiting_team").item_id
    table(desk, WAITING)
    table(desk, OTHER)
    timers.sync(desk)
    with desk.db.write() as connection:
        connection.execute(update(TimeTrigger).where(TimeTrigger.entry == "A21").values(rule={}))
    while timers.walk(desk):
        pass
    with desk.db.read() as connection:
        keys = connection.execute(select(Timer.key).where(Timer.item_id == waits)).scalars()
    assert [one[:4] for one in keys] == ["A22:"]
    with desk.db.write():  # what is left to walk is looked at without anybody's lock
        assert timers.walk(desk) == 0


def test_a_table_that_is_switched_off_has_nothing_set_aside(desk: Services, waits: int) -> None:
    rewrite(desk, lambda _: {})
    tick(desk)
    with desk.db.write() as connection:
        rule_list.switch(connection, "A21", enabled=False)
    tick(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(TimeTrigger.entry)).scalars().all() == ["A22"]
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert (tags(desk, waits), told(desk)) == (["other"], [])


def test_a_service_level_whose_hours_cannot_be_read_stands_and_the_ticket_can_be_written_to(
    desk: Services, waits: int
) -> None:
    a_policy(desk, calendar="office", pauses=[])
    save(desk, waits, priority="high")
    before = level(desk, waits)
    office(desk, {**OFFICE, "zone": NOWHERE})
    clock_of(desk).forward(hours=1)
    say(desk, waits, "agent")
    assert (item(desk, waits).state["priority"], level(desk, waits)) == ("high", before)
    office(desk, OFFICE)
    save(desk, waits, priority="low")
    met = clock_of(desk).now()
    assert level(desk, waits).met_at == met


def test_a_service_level_whose_policy_cannot_be_read_stands_and_tickets_can_be_written_to(
    desk: Services, waits: int
) -> None:
    a_policy(desk, pauses=[])
    save(desk, waits, priority="high")
    before = level(desk, waits)
    with desk.db.write() as connection:
        kept = connection.execute(select(SlaPolicy.body)).scalar_one()
        connection.execute(update(SlaPolicy).values(body={**kept, "targets": {}}))
    clock_of(desk).forward(hours=1)
    say(desk, waits, "agent")
    assert (item(desk, waits).state["priority"], level(desk, waits)) == ("high", before)
    new = a_ticket(desk.db, status="waiting_team").item_id
    with desk.db.read() as connection:
        assert levels.own_clocks(connection, new) == {}
        [policy] = connection.execute(select(SlaPolicy.key)).scalars()
    assert found(desk, "sla") == {
        "sla": (State.WARNING, f"{policy} cannot be read: A policy needs at least one target")
    }
    with desk.db.write() as connection:
        connection.execute(update(SlaPolicy).values(body=kept))
    save(desk, waits, priority="low")
    assert level(desk, waits).met_at == clock_of(desk).now()
    assert found(desk, "sla") == {}
