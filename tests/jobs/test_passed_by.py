"""The clock passes by items on which a table could do nothing, and none that its table still has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select

from jobs import timers
from jobs.services import Services
from rules import files
from rules import store as rule_list
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import clock_of, decisions, save, table, tags, tick, work
from tests.jobs.tables import WAITING
from tickets import lists
from tickets.calendar import Calendar
from tickets.journal import Change
from tickets.tables import BusinessCalendar, CustomField, EventRow, Timer, TimeTrigger
from tickets.values import iso

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
    made = [a_ticket(services.db, now=services.clock.now(), **state).item_id for state in states]
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


@pytest.mark.parametrize("condition", ["customer.identity, op: empty", "message.text, op: matches"])
def test_a_schedule_comes_for_all_where_sql_cannot_tell(desk: Services, condition: str) -> None:
    column = f"{{id: c1, field: {condition}}}"
    value = "c1: nothing" if "matches" in condition else "c1: {}"
    table(desk, DAILY.replace("{id: c1, field: ticket.priority}", column).replace("c1: urgent", value))
    tick(desk)
    both = tickets(desk, [{}, {"priority": "low"}])
    clock_of(desk).at = NINE
    timers.tick(desk, budget_s=30)
    assert looked_at(desk) == both


# A time rule goes live ------------------------------------------------------------------------------------------------

TRIGGER = "{on: time_in_state, status: waiting_team, for: 72 h}"
NARROW = WAITING.replace("rows:\n", "columns: [{id: c1, field: ticket.priority}]\nrows:\n").replace(
    "{id: r1,", "{id: r1, if: {c1: urgent},"
)


def live(services: Services, content: str = NARROW) -> None:
    """Publish a table and give every item that it may act on its timer."""
    table(services, content)
    timers.tick(services, budget_s=30)


def again(services: Services, content: str, code: str = "A21") -> None:
    """Publish the next version of the table, and give more items their timers."""
    with services.db.write() as connection:
        seen, now = rule_list.entry(connection, code).draft_count, services.clock.now()
        seen = rule_list.save_draft(connection, code, files.load(content), author="ana", seen=seen, now=now)
        rule_list.publish(connection, code, author="ana", note="", seen=seen, now=now)
    timers.tick(services, budget_s=30)


def outcomes(services: Services) -> dict[int, str]:
    """What became of each item's timer; an item without one is not there."""
    with services.db.read() as connection:
        return {row.item_id: row.outcome for row in connection.execute(select(Timer.item_id, Timer.outcome))}


def waiting_team(services: Services, *priorities: str) -> list[int]:
    return tickets(services, [{"status": "waiting_team", "priority": one} for one in priorities])


def test_on_publish_only_items_that_the_table_may_act_on_get_timers(desk: Services) -> None:
    low, urgent = waiting_team(desk, "low", "urgent")
    live(desk)
    assert outcomes(desk) == {urgent: "waiting"}
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert looked_at(desk) == [urgent]
    assert (tags(desk, low), tags(desk, urgent)) == ([], ["too-long"])


def test_a_write_to_an_item_that_was_passed_by_gives_it_its_timer_in_time(desk: Services) -> None:
    [late, still] = waiting_team(desk, "low", "low")
    live(desk)
    assert outcomes(desk) == {}
    clock_of(desk).forward(hours=71)
    save(desk, late, priority="urgent")
    assert outcomes(desk) == {late: "waiting"}
    clock_of(desk).forward(hours=1)
    tick(desk)
    assert (tags(desk, late), tags(desk, still)) == (["too-long"], [])


def test_an_item_passed_by_until_its_time_was_over_is_late_for_good_like_any_other(desk: Services) -> None:
    [there] = waiting_team(desk, "low")
    live(desk)
    [later] = waiting_team(desk, "low")
    assert outcomes(desk) == {later: "waiting"}
    clock_of(desk).forward(hours=73)
    tick(desk)
    for one in (there, later):
        save(desk, one, priority="urgent")
    tick(desk)
    assert outcomes(desk) == {there: "passed", later: "fired"}
    assert (tags(desk, there), tags(desk, later)) == ([], [])
    # The next episode is like the first of any other item.
    save(desk, there, status="open")
    save(desk, there, status="waiting_team")
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert tags(desk, there) == ["too-long"]


def test_a_version_with_other_conditions_gives_timers_to_those_that_the_last_one_passed_by(desk: Services) -> None:
    [gone] = waiting_team(desk, "high")
    clock_of(desk).forward(hours=1)
    low, high, urgent = waiting_team(desk, "low", "high", "urgent")
    live(desk)
    assert outcomes(desk) == {urgent: "waiting"}
    clock_of(desk).forward(hours=71, minutes=30)
    again(desk, NARROW.replace("c1: urgent", "c1: [urgent, high]"))
    # What came due before this version is none of its business, as before the first one.
    assert outcomes(desk) == {gone: "before", high: "waiting", urgent: "waiting"}
    clock_of(desk).forward(hours=1)
    tick(desk)
    assert [tags(desk, one) for one in (gone, low, high, urgent)] == [[], [], ["too-long"], ["too-long"]]
    again(desk, WAITING)
    assert outcomes(desk) == {gone: "before", low: "before", high: "fired", urgent: "fired"}


def test_a_version_that_waits_for_the_same_items_walks_over_none_of_them_again(desk: Services) -> None:
    waiting_team(desk, "urgent")
    live(desk)
    with desk.db.write() as connection:
        seen, now = rule_list.entry(connection, "A21").draft_count, desk.clock.now()
        other = files.load(NARROW.replace("too-long]", "much-too-long]"))
        seen = rule_list.save_draft(connection, "A21", other, author="ana", seen=seen, now=now)
        rule_list.publish(connection, "A21", author="ana", note="", seen=seen, now=now)
    assert timers.sync(desk)
    assert timers.walk(desk) == 0


def test_a_named_list_that_grows_gives_timers_to_those_it_was_too_short_for(desk: Services) -> None:
    def save_list(*members: str, saves: int) -> None:
        with desk.db.write() as connection:
            spec = lists.ListSpec("PARTS", "Parts", False, members, saves=saves)
            lists.save_list(connection, spec, Change("ana", desk.clock.now()))
            rule_list.bump(connection)

    save_list("alpha", saves=0)
    [item_id] = tickets(desk, [{"status": "waiting_team", "subject": "Beta"}])
    live(desk, NARROW.replace("ticket.priority", "ticket.subject").replace("c1: urgent", "c1: {list: PARTS}"))
    assert outcomes(desk) == {}
    save_list("alpha", "beta", saves=1)
    timers.tick(desk, budget_s=30)
    assert outcomes(desk) == {item_id: "waiting"}


def test_a_date_is_waited_for_whatever_the_conditions_say_now(desk: Services) -> None:
    # A date may be set into the past and is late then; that it was passed by could not be told from that.
    past, ahead = (iso(desk.clock.now() + timedelta(hours=hours)) for hours in (-1, 1))
    old, new = tickets(desk, [{"due_at": past, "priority": "low"}, {"due_at": ahead, "priority": "low"}])
    live(
        desk, NARROW.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: after_date, field: due_at}")
    )
    assert outcomes(desk) == {old: "before", new: "waiting"}
    save(desk, old, priority="urgent")
    tick(desk)
    assert tags(desk, old) == []
    save(desk, old, due_at=iso(desk.clock.now() - timedelta(minutes=1)))
    tick(desk)
    assert tags(desk, old) == ["too-long"]


def test_a_walk_that_finds_hardly_anything_stops_after_a_stretch_all_the_same(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "STRETCH", 2)
    ids = waiting_team(desk, "low", "low", "low", "low", "urgent")
    table(desk, NARROW)
    timers.sync(desk)
    reached: list[tuple[int | None, dict[int, str]]] = []
    while timers.walk(desk):
        with desk.db.read() as connection:
            reached.append((connection.execute(select(TimeTrigger.walked_to)).scalar_one(), outcomes(desk)))
    assert reached == [(0, {}), (2, {}), (4, {}), (None, {ids[-1]: "waiting"})]


def test_a_schedule_that_takes_hardly_any_item_stops_after_a_stretch_all_the_same(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "STRETCH", 2)
    table(desk, DAILY)
    timers.tick(desk, budget_s=30)
    ids = tickets(desk, [{"priority": "low"}] * 4 + [{"priority": "urgent"}])
    clock_of(desk).at = NINE
    reached = []
    while timers.fire_schedules(desk):
        with desk.db.read() as connection:
            reached.append(connection.execute(select(TimeTrigger.tick_to)).scalar_one())
    assert reached == [2, 4, None]
    assert looked_at(desk) == [ids[-1]]


#: The same rule in words that the database cannot be asked: none of its items is passed by.
NEVER = "{field: ticket.subject, op: matches, value: zzz}"
WHOLE = WAITING.replace("A21", "A22").replace("too-long]", "whole]")
CONDITIONS = ("value: urgent", "value: [urgent, high]", "value: low", "op: is_not, value: low")


def both(condition: str) -> tuple[str, str]:
    """The table that passes items by, and the one that does not."""
    own = f"{{field: ticket.priority, {condition}}}"
    return (
        WAITING.replace("{id: r1,", f"{{id: r1, groups: [any: [{own}]],"),
        WHOLE.replace("{id: r1,", f"{{id: r1, groups: [any: [{own}, {NEVER}]],"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_passing_items_by_changes_nothing_of_what_a_rule_does(desk: Services, seed: int) -> None:
    random = Random(seed)
    priorities, statuses = ("low", "high", "urgent"), ("waiting_team", "open")
    ids = waiting_team(desk, "low", "urgent")
    ids += tickets(desk, [{"priority": random.choice(priorities), "status": random.choice(statuses)} for _ in range(2)])
    clock_of(desk).forward(hours=random.choice([1, 30, 80]))
    for content in both(random.choice(CONDITIONS)):
        table(desk, content)
    tick(desk)
    # Of each condition, one of the first two is passed by.
    assert len(outcomes_of(desk, "A21")) < len(outcomes_of(desk, "A22"))
    for _ in range(14):
        match random.choice(["priority", "priority", "status", "time", "time", "time", "version"]):
            case "priority":
                save(desk, random.choice(ids), priority=random.choice(priorities))
            case "status":
                save(desk, random.choice(ids), status=random.choice(statuses))
            case "time":
                clock_of(desk).forward(hours=random.choice([1, 20, 40, 73]))
            case "version":
                for code, content in zip(("A21", "A22"), both(random.choice(CONDITIONS)), strict=True):
                    again(desk, content, code)
        tick(desk)
        for item_id in ids:
            assert tags(desk, item_id) in ([], ["too-long", "whole"])


def outcomes_of(services: Services, code: str) -> list[str]:
    with services.db.read() as connection:
        return list(connection.execute(select(Timer.outcome).where(Timer.key.like(f"{code}:%"))).scalars())


# What comes due while a walk goes on ----------------------------------------------------------------------------------


OFFICE = Calendar.from_json(
    {"zone": "Europe/Paris", "week": {"sat": [["09:00", "17:00"]], "mon": [["09:00", "17:00"]]}}
)


@pytest.mark.parametrize(
    ("trigger", "soon", "later"),
    [
        # Four working hours of Saturday (from 9 in Paris) are over at 13:05; MORNING is 10:30 there.
        (
            "{on: time_in_state, status: waiting_team, for: 4 h, calendar: office}",
            {"status": "waiting_team", "at": MORNING + timedelta(minutes=5)},
            {"status": "waiting_team", "at": MORNING + timedelta(hours=2)},
        ),
        (
            "{on: after_date, by: 4 h, field: fields.deadline}",
            {"fields.deadline": iso(MORNING + timedelta(minutes=5))},
            {"fields.deadline": iso(MORNING + timedelta(days=9))},
        ),
        (
            "{on: after_date, by: 4 h, field: due_at}",
            {"due_at": "2026-11-22T00:35:00+15:00"},
            {"due_at": "2026-11-30T00:00:00+00:00"},
        ),
        (
            "{on: after_date, by: 4 h, calendar: office, field: due_at}",
            {"due_at": iso(MORNING + timedelta(minutes=5))},
            {"due_at": iso(MORNING + timedelta(days=9))},
        ),
    ],
    ids=["working time", "a field of the desk's own", "a date in another zone", "working time after a date"],
)
def test_what_comes_due_while_a_walk_goes_on_is_first_by_working_time_and_any_date_too(
    desk: Services, trigger: str, soon: dict[str, Any], later: dict[str, Any]
) -> None:
    with desk.db.write() as connection:
        made = {"key": "office", "label": "Office", "body": OFFICE.to_json(), "updated_at": MORNING}
        connection.execute(insert(BusinessCalendar).values(made))
        kept = {"kind": "ticket", "key": "deadline", "label": "Deadline", "type": "time", "options": {}}
        connection.execute(insert(CustomField).values(kept))
        rule_list.bump(connection)

    def ticket(state: dict[str, Any]) -> int:
        at = state.get("at", MORNING)
        return a_ticket(desk.db, now=at, **{key: value for key, value in state.items() if key != "at"}).item_id

    others = [ticket(later) for _ in range(4)]
    first = ticket(soon)
    clock_of(desk).forward(hours=4)
    table(desk, WAITING.replace(TRIGGER, trigger))
    timers.sync(desk)
    timers.walk(desk, items=2)
    assert outcomes(desk) == {first: "waiting"}
    while timers.walk(desk, items=2):
        pass
    assert set(outcomes(desk)) == {*others, first}
