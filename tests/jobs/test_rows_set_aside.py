"""A row that an error kept from being decided is kept, told once, and decided again after a repair."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from jobs.parked import rehearse_rows
from jobs.retention import prune
from jobs.rows_set_aside import RowsAside, decide_again, listed
from jobs.services import Services
from jobs.tables import DecisionRow, RowSetAside
from rules import files
from rules import store as rule_list
from tests.builders import a_ticket
from tests.jobs.desk import ana, by_hand, clock_of, decisions, item, table, work
from tickets.effects import SetField
from tickets.events import EventKind
from tickets.people import Viewer
from tickets.tables import EventRow, History, Notification, User

# Nobody can be next: the ticket has no team yet, and the step names none.
BROKEN = """
code: A01
name: Give it to somebody
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.channel, op: is}]
steps: [{id: s1, do: assign_next}, {id: s2, do: set_priority}, {id: s3, do: add_tags}]
rows:
  - {id: r1, if: {c1: {value: email}}, then: {s1: {turns: round_robin}, s2: {priority: urgent}}}
  - {id: r2, then: {s3: {tags: [second]}}}
"""
REPAIRED = BROKEN.replace("{turns: round_robin}", "{turns: round_robin, team: billing}")
GREET = """
code: A02
name: Tag
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [seen]}}}]
"""


def change(services: Services, content: str) -> None:
    """Publish a new version of A01."""
    with services.db.write() as connection:
        now = services.clock.now()
        seen = rule_list.entry(connection, "A01").draft_count
        seen = rule_list.save_draft(connection, "A01", files.load(content), author="ana", seen=seen, now=now)
        rule_list.publish(connection, "A01", author="ana", note="", seen=seen, now=now)


@pytest.fixture
def viewer(desk: Services) -> Viewer:
    with desk.db.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(roles=["admin"]))
    return ana(desk)


@pytest.fixture
def aside(desk: Services, viewer: Viewer) -> int:
    """A ticket whose row was set aside; the table behind it was decided."""
    table(desk, BROKEN)
    table(desk, GREET)
    ticket = a_ticket(desk.db).item_id
    work(desk)
    return ticket


def those_listed(services: Services, viewer: Viewer) -> list[RowsAside]:
    with services.db.read() as connection:
        return listed(connection, viewer)


def again(services: Services, viewer: Viewer) -> list[int | None]:
    with services.db.write() as connection:
        live = services.live.current(connection)
        found = [decide_again(connection, live, one, services.clock.now()) for one in those_listed(services, viewer)]
    work(services)
    return found


def counts(services: Services) -> list[int]:
    with services.db.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(rows)).scalar_one()
            for rows in (EventRow, DecisionRow, History, RowSetAside)
        ]


def test_it_is_kept_with_its_reason_and_the_rest_is_decided(desk: Services, viewer: Viewer, aside: int) -> None:
    [one] = those_listed(desk, viewer)
    assert (one.event.item_id, one.event.seq, one.event.kind) == (aside, 1, "created")
    assert [key for key, _ in one.rows] == ["A01/r1"]
    assert "Nobody can be next" in one.rows[0][1]
    state = item(desk, aside).state
    assert (state["tags"], state["priority"]) == (["seen"], "normal")


def test_those_who_edit_rules_are_told_once_however_many_tickets_it_hits(
    desk: Services, viewer: Viewer, aside: int
) -> None:
    for _ in range(2):
        a_ticket(desk.db)
    work(desk)
    assert len(those_listed(desk, viewer)) == 3
    with desk.db.read() as connection:
        lines = connection.execute(select(Notification.user, Notification.text)).all()
    assert sorted(line.user for line in lines) == ["ana", "root"]
    assert "A01/r1" in lines[0].text


def test_what_would_still_apply_is_shown_and_nothing_is_changed(desk: Services, viewer: Viewer, aside: int) -> None:
    before = counts(desk), item(desk, aside)
    [found] = rehearse_rows(desk, viewer)
    assert "Nobody can be next" in found.error
    assert not found.outcomes
    change(desk, REPAIRED)
    [found] = rehearse_rows(desk, viewer)
    assert (found.error, [one.result for one in found.outcomes]) == ("", ["done", "done"])
    assert (counts(desk), item(desk, aside)) == before


def test_after_a_repair_it_is_decided_again_once_and_people_are_not_overwritten(
    desk: Services, viewer: Viewer, aside: int
) -> None:
    by_hand(desk, aside, SetField("priority", "low"))
    work(desk)
    change(desk, REPAIRED)
    [found] = rehearse_rows(desk, viewer)
    assert [one.result for one in found.outcomes] == ["done", "overtaken"]
    [event] = again(desk, viewer)
    assert event is not None
    state = item(desk, aside).state
    assert (state["priority"], state["tags"]) == ("low", ["seen"])
    assert state["assignees"]
    assert those_listed(desk, viewer) == []
    assert again(desk, viewer) == []
    [last] = [one for one in decisions(desk, aside) if one.event_id == event]
    assert [(one["row_key"], one["result"]) for one in last.done] == [("A01/r1", "done"), ("A01/r1", "overtaken")]


def test_given_back_by_two_people_at_once_it_is_decided_again_once(desk: Services, viewer: Viewer, aside: int) -> None:
    change(desk, REPAIRED)
    found, both = those_listed(desk, viewer), threading.Barrier(2, timeout=60)

    def give_back(_person: int) -> bool:
        both.wait()
        with desk.db.write() as connection:
            live = desk.live.current(connection)
            return decide_again(connection, live, found[0], desk.clock.now()) is not None

    with ThreadPoolExecutor(2) as people:
        assert sorted(people.map(give_back, range(2))) == [False, True]
    work(desk)
    with desk.db.read() as connection:
        repaired = connection.execute(select(EventRow.id).where(EventRow.kind == EventKind.REPAIRED)).all()
    assert (len(repaired), item(desk, aside).state["priority"]) == (1, "urgent")


def test_one_that_fails_again_stays_set_aside(desk: Services, viewer: Viewer, aside: int) -> None:
    before = those_listed(desk, viewer)
    clock_of(desk).forward(seconds=5)
    assert again(desk, viewer) != [None]
    assert those_listed(desk, viewer) == before
    assert item(desk, aside).state["priority"] == "normal"


def test_of_a_first_table_another_row_has_its_turn_when_the_repaired_one_does_not_match(
    desk: Services, viewer: Viewer, aside: int
) -> None:
    change(desk, BROKEN.replace("value: email", "value: chat"))
    again(desk, viewer)
    assert item(desk, aside).state["tags"] == ["second", "seen"]
    assert those_listed(desk, viewer) == []


def test_rows_of_a_table_that_cannot_be_read_stay_and_it_is_said_why(
    desk: Services, viewer: Viewer, aside: int
) -> None:
    before = those_listed(desk, viewer)
    change(desk, BROKEN.replace("{on: created}", "{on: nonsense}"))
    assert "A01" in rehearse_rows(desk, viewer)[0].error
    assert again(desk, viewer) == [None]
    assert those_listed(desk, viewer) == before


def test_rows_of_a_table_that_is_gone_are_not_listed_any_longer(desk: Services, viewer: Viewer, aside: int) -> None:
    with desk.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    [found] = rehearse_rows(desk, viewer)
    assert found.nothing
    events = counts(desk)[0]
    assert again(desk, viewer) == [None]
    assert (counts(desk)[0], those_listed(desk, viewer)) == (events, [])


def test_the_facts_of_then_are_kept_until_it_is_decided_or_too_old(desk: Services, viewer: Viewer, aside: int) -> None:
    clock_of(desk).forward(seconds=86_400 * (desk.settings.keep_checked_days + 1))
    prune(desk)
    change(desk, REPAIRED)
    assert [one.error for one in rehearse_rows(desk, viewer)] == [""]
    clock_of(desk).forward(seconds=86_400 * desk.settings.keep_decisions_days)
    prune(desk)
    assert those_listed(desk, viewer) == []
