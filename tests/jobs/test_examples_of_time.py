"""The time rules of docs/examples, run by the clock: each does what it says, and its twin shows when it does not."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jobs.services import Services
from tests.builders import ANA, BY_ANA, a_ticket
from tests.jobs.desk import bells, clock_of, example, item, save, say, switched_off, table, tick
from tickets import store
from tickets.effects import AddTo
from tickets.events import AUTOMATION, Cause
from tickets.item import ItemKind
from tickets.tables import Message


def bot_said(services: Services) -> list[str]:
    with services.db.read() as connection:
        query = select(Message.text).where(Message.author_kind == "bot").order_by(Message.id)
        return list(connection.execute(query).scalars())


def by_a_rule(services: Services, item_id: int) -> None:
    with services.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        lines = [store.Lines((AddTo("tags", ("seen",)),), Cause("table", "A99", 1, "r1"))]
        store.change_item(connection, current, lines=lines, actor=AUTOMATION, now=services.clock.now())


@pytest.mark.parametrize("touched_by", ["nobody", "a rule", "a person", "the customer", "nobody, off"])
def test_o22_a07_closes_what_no_person_touched_for_a_week(desk: Services, touched_by: str) -> None:
    example(desk, "A07_close_the_silent")
    off = touched_by == "nobody, off"
    if off:
        switched_off(desk, "A07")
    item_id = a_ticket(desk.db, status="waiting_customer").item_id
    clock_of(desk).forward(days=5)
    if touched_by == "a rule":
        by_a_rule(desk, item_id)
    elif touched_by == "a person":
        save(desk, item_id, priority="high")
    elif touched_by == "the customer":
        say(desk, item_id, "customer")
    clock_of(desk).forward(days=2)
    tick(desk)
    closed = touched_by in ("nobody", "a rule")
    assert item(desk, item_id).state["status"] == ("closed" if closed else "waiting_customer")
    clock_of(desk).forward(days=5)
    tick(desk)
    assert item(desk, item_id).state["status"] == ("waiting_customer" if off else "closed")


def test_o22_a07_leaves_alone_what_does_not_wait_for_the_customer(desk: Services) -> None:
    example(desk, "A07_close_the_silent")
    item_id = a_ticket(desk.db, status="open").item_id
    clock_of(desk).forward(days=8)
    tick(desk)
    assert item(desk, item_id).state["status"] == "open"
    assert bot_said(desk) == []


@pytest.mark.parametrize("on", [True, False])
def test_w12_time_in_a_status_sends_messages(desk: Services, on: bool) -> None:
    example(desk, "W12_time_in_status")
    if not on:
        switched_off(desk, "W12")
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(days=2)
    tick(desk)
    told = ["Hello Camille Laurent, another team is still at it. You will hear from us."] if on else []
    assert bot_said(desk) == told
    assert bells(desk) == []
    clock_of(desk).forward(days=3)
    tick(desk)
    assert bot_said(desk) == told
    assert bells(desk) == (["ion"] if on else [])
    assert item(desk, item_id).state["status"] == "waiting_team"


def test_w12_says_nothing_when_the_status_was_left_in_time(desk: Services) -> None:
    example(desk, "W12_time_in_status")
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(days=1)
    save(desk, item_id, status="open")
    clock_of(desk).forward(days=9)
    tick(desk)
    assert (bot_said(desk), bells(desk)) == ([], [])


@pytest.mark.parametrize("action", ["none", "taken", "answered", "none, off"])
def test_w13_a_report_without_action_goes_to_another_and_the_manager_is_told(desk: Services, action: str) -> None:
    example(desk, "W13_no_action")
    if action == "none, off":
        switched_off(desk, "W13")
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=2)
    if action == "taken":
        take(desk, item_id)
    elif action == "answered":
        say(desk, item_id, "agent")
    clock_of(desk).forward(hours=22)
    tick(desk)
    state = item(desk, item_id).state
    if action == "none":
        assert (state["assignees"], state["priority"], bells(desk)) == (["ana"], "high", ["ana"])
    else:
        assert (state.get("assignees"), state["priority"], bells(desk)) == (
            ["ion"] if action == "taken" else None,
            "normal",
            [],
        )


def take(services: Services, item_id: int) -> None:
    with services.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        lines = [store.Lines((AddTo("assignees", ("ion",)),), BY_ANA)]
        store.change_item(connection, current, lines=lines, actor=ANA, now=services.clock.now())


@pytest.mark.parametrize(("answered", "off"), [(False, False), (True, False), (False, True)])
def test_h12_a_delayed_answer_raises_priority_reassigns_and_tells(desk: Services, answered: bool, off: bool) -> None:
    example(desk, "H12_delayed_answer")
    if off:
        switched_off(desk, "H12")
    item_id = a_ticket(desk.db, team="first_line").item_id
    clock_of(desk).forward(hours=7)
    if answered:
        say(desk, item_id, "agent")
    clock_of(desk).forward(hours=1)
    tick(desk)
    state = item(desk, item_id).state
    expected = ("normal", "first_line", []) if answered or off else ("urgent", "billing", ["ana"])
    assert (state["priority"], state["team"], bells(desk)) == expected


MOVED = """
code: O27
name: The schedule of a project changed
kind: project
triggers: [{on: changed, field: due_at}]
steps: [{id: say, do: post_message}]
rows: [{id: r1, then: {say: {text: "The schedule has changed.", public: false}}}]
"""


@pytest.mark.parametrize("kind", [ItemKind.PROJECT, ItemKind.TASK])
def test_o27_a_changed_due_date_of_a_project_writes_an_internal_message(desk: Services, kind: ItemKind) -> None:
    table(desk, MOVED)
    with desk.db.write() as connection:
        made = store.create_item(connection, kind=kind, state={"subject": "Move"}, actor=ANA, now=desk.clock.now())
    save(desk, made.item_id, priority="high")
    tick(desk)
    assert bot_said(desk) == []
    save(desk, made.item_id, due_at="2026-12-01T00:00:00+00:00")
    tick(desk)
    assert bot_said(desk) == (["The schedule has changed."] if kind is ItemKind.PROJECT else [])
