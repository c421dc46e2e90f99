"""Taking back what a version did: on all items, past people's later edits, setting off nothing, after restarts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from jobs import outbox, undo
from jobs.services import Services
from jobs.tables import UndoItemRow
from jobs.undo import Scope
from rules import store as rule_list
from tests.builders import a_ticket
from tests.jobs.desk import ana, by_hand, decisions, item, table, work
from tests.jobs.noting import a_change, allow
from tests.rows.changes import Crm
from tickets import store
from tickets.cards import context_cards
from tickets.effects import AddTo, SetField
from tickets.events import Actor, ActorKind
from tickets.people import Viewer
from tickets.tables import EventRow, History, Message

URGENT = """
code: A01
name: All is urgent
kind: ticket
triggers: [{on: message}]
hit: every
steps: [{id: s1, do: set_priority}, {id: s2, do: add_tags}, {id: s3, do: assign_team}, {id: s4, do: post_message}]
rows:
  - id: r1
    then: {s1: {priority: urgent}, s2: {tags: [hot]}, s3: {team: billing}, s4: {text: Looked at., public: false}}
"""
WATCHES = """
code: A02
name: Watches every change
kind: ticket
triggers: [{on: changed}, {on: context_updated}]
hit: every
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [seen]}}}]
"""


def answered(desk: Services, ticket: int) -> None:
    """A customer's message on it, and what the rules make of that."""
    with desk.db.write() as connection:
        store.change_item(
            connection,
            store.read_item(connection, ticket, lock=True),
            lines=(),
            messages=[store.NewMessage("customer", True, "email", "Hello?")],
            actor=Actor(ActorKind.CUSTOMER, "", "Cora"),
            now=desk.clock.now(),
        )
    work(desk)


def scope(desk: Services, code: str = "A01", version: int = 1) -> Scope:
    return Scope(code, version, desk.clock.now() - timedelta(days=1), desk.clock.now())


def ask(desk: Services, viewer: Viewer) -> int:
    with desk.db.write() as connection:
        return undo.start(connection, scope(desk), viewer, desk.clock.now())


def outcome(desk: Services, undo_id: int, ticket: int) -> tuple[str, dict[str, Any]]:
    with desk.db.read() as connection:
        row = connection.execute(
            select(UndoItemRow.status, UndoItemRow.outcome).where(
                UndoItemRow.undo_id == undo_id, UndoItemRow.item_id == ticket
            )
        ).one()
    return row.status, row.outcome


def test_every_item_is_as_it_was_and_what_people_changed_since_is_kept_and_listed(
    desk: Services, viewer: Viewer
) -> None:
    tickets = [a_ticket(desk.db).item_id for _ in range(4)]
    table(desk, URGENT)
    work(desk)
    before = {one: item(desk, one).state for one in tickets}
    for one in tickets[:3]:
        answered(desk, one)
    changed = tickets[1]
    by_hand(desk, changed, SetField("priority", "low"), AddTo("tags", ("mine",)))
    work(desk)
    assert item(desk, tickets[0]).state["priority"] == "urgent"

    asked = ask(desk, viewer)
    assert undo.carry_on(desk, budget_s=30) == 3
    assert item(desk, tickets[0]).state == before[tickets[0]]
    assert item(desk, tickets[2]).state == before[tickets[2]]
    assert item(desk, tickets[3]).state == before[tickets[3]]
    assert item(desk, changed).state == {**before[changed], "priority": "low", "tags": ["mine"]}

    status, told = outcome(desk, asked, changed)
    assert status == "done"
    [[field, line, member]] = told["kept"]
    with desk.db.read() as connection:
        by = connection.execute(select(History.change, History.cause).where(History.id == line)).one()
    assert (field, member) == ("priority", "")
    assert (by.change["after"], by.cause["kind"]) == ("low", "person")
    assert told["stays"] == {"post_message": 1}
    assert sorted(told["back"]) == ["tags", "team"]
    with desk.db.read() as connection:
        notes = select(func.count()).select_from(Message).where(Message.author_kind == "bot")
        assert connection.execute(notes).scalar_one() == 3, "what was said stays"


def test_taking_back_sets_off_nothing(desk: Services, viewer: Viewer) -> None:
    ticket = a_ticket(desk.db).item_id
    table(desk, URGENT)
    work(desk)
    answered(desk, ticket)
    table(desk, WATCHES)
    ask(desk, viewer)
    undo.carry_on(desk, budget_s=30)
    work(desk)
    assert "tags" not in item(desk, ticket).state
    assert decisions(desk, ticket)[-1].outcome == "checked"
    # The control: the same change by a person's hand is seen.
    by_hand(desk, ticket, SetField("priority", "high"))
    work(desk)
    assert item(desk, ticket).state["tags"] == ["seen"]


def test_a_second_time_finds_nothing_and_another_version_is_left_alone(desk: Services, viewer: Viewer) -> None:
    ticket = a_ticket(desk.db).item_id
    table(desk, URGENT)
    work(desk)
    answered(desk, ticket)
    with desk.db.read() as connection:
        assert undo.touched(connection, scope(desk, version=2)) == []
        assert undo.touched(connection, scope(desk, code="A02")) == []
        old = Scope("A01", 1, desk.clock.now() - timedelta(days=2), desk.clock.now() - timedelta(days=1))
        assert undo.touched(connection, old) == []
    ask(desk, viewer)
    undo.carry_on(desk, budget_s=30)
    after = item(desk, ticket)
    again = ask(desk, viewer)
    undo.carry_on(desk, budget_s=30)
    assert outcome(desk, again, ticket)[0] == "nothing"
    assert item(desk, ticket) == after


def test_it_goes_on_where_it_stopped_and_does_each_item_once(desk: Services, viewer: Viewer) -> None:
    table(desk, URGENT)
    tickets = [a_ticket(desk.db).item_id for _ in range(3)]
    work(desk)
    for one in tickets:
        answered(desk, one)
    asked = ask(desk, viewer)
    assert undo.carry_on(desk, budget_s=0) == 1
    with desk.db.read() as connection:
        assert undo.progress(connection, asked) == undo.Progress(waiting=2, done=1, nothing=0, failed=0)
    assert undo.carry_on(desk, budget_s=30) == 2
    assert undo.carry_on(desk, budget_s=30) == 0
    with desk.db.read() as connection:
        undone = select(EventRow.item_id).where(EventRow.kind == "undone").order_by(EventRow.item_id)
        assert list(connection.execute(undone).scalars()) == tickets


def two_answered(desk: Services) -> tuple[int, int]:
    """Two tickets that the table made urgent and somebody answered since."""
    table(desk, URGENT)
    first, second = (a_ticket(desk.db).item_id for _ in range(2))
    work(desk)
    for one in (first, second):
        answered(desk, one)
    return first, second


def test_a_value_that_is_refused_now_leaves_its_item_whole_and_the_rest_goes_on(
    desk: Services, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_answered(desk)
    with desk.db.write() as connection:
        # The team it had is gone meanwhile: history names what no field takes any more.
        line = select(History.id).where(History.item_id == first, History.field == "priority").scalar_subquery()
        connection.execute(
            update(History).where(History.id == line).values(change={"before": "gone", "after": "urgent"})
        )
    was = item(desk, first)
    asked = ask(desk, viewer)
    undo.carry_on(desk, budget_s=30)
    status, told = outcome(desk, asked, first)
    assert status == "failed"
    assert "gone" in str(told["problem"])
    assert item(desk, first) == was
    assert outcome(desk, asked, second)[0] == "done"


def test_an_item_whose_history_nobody_can_read_is_named_and_holds_up_no_other(desk: Services, viewer: Viewer) -> None:
    first, second = two_answered(desk)
    with desk.db.write() as connection:
        line = update(History).where(History.item_id == first, History.field == "priority")
        connection.execute(line.values(change={"was": "low"}))
    was = item(desk, first)
    asked = ask(desk, viewer)
    assert undo.carry_on(desk, budget_s=30) == 2
    assert outcome(desk, asked, first) == ("failed", {"problem": "it could not be taken back (KeyError)"})
    assert item(desk, first) == was
    assert outcome(desk, asked, second)[0] == "done"


def test_more_items_than_the_cap_are_refused_and_nothing_is_taken_back(
    desk: Services, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(desk, URGENT)
    tickets = [a_ticket(desk.db).item_id for _ in range(3)]
    work(desk)
    for one in tickets:
        answered(desk, one)
    monkeypatch.setattr(undo, "MOST_ITEMS", 2)
    with pytest.raises(undo.TooMany):
        ask(desk, viewer)
    assert undo.carry_on(desk, budget_s=30) == 0


CARDS = """
code: A03
name: Writes a card
kind: ticket
triggers: [{on: message}]
hit: every
steps: [{id: s1, do: set_context}]
rows: [{id: r1, then: {s1: {key: risk, title: Risk, data: {level: high}}}}]
"""


def test_a_card_gives_way_to_the_one_it_replaced(desk: Services, viewer: Viewer) -> None:
    ticket = a_ticket(desk.db).item_id
    table(desk, CARDS)
    work(desk)
    answered(desk, ticket)
    with desk.db.read() as connection:
        assert [one.key for one in context_cards(connection, ticket)] == ["risk"]
    with desk.db.write() as connection:
        undo.start(connection, scope(desk, "A03"), viewer, desk.clock.now())
    undo.carry_on(desk, budget_s=30)
    with desk.db.read() as connection:
        assert context_cards(connection, ticket) == []


def test_a_card_that_was_taken_back_does_not_come_again_for_one_that_replaced_it(
    desk: Services, viewer: Viewer
) -> None:
    """Neither when the first is taken back first, nor when the second is."""
    ticket = a_ticket(desk.db).item_id
    shown: list[list[str]] = []

    def taken_back(code: str) -> None:
        with desk.db.write() as connection:
            undo.start(connection, scope(desk, code), viewer, desk.clock.now())
        undo.carry_on(desk, budget_s=30)
        with desk.db.read() as connection:
            shown.append([str(one.body["data"]) for one in context_cards(connection, ticket)])

    for code, level in (("A03", "high"), ("A04", "low"), ("A05", "none"), ("A06", "odd")):
        table(desk, CARDS.replace("A03", code).replace("high", level))
        answered(desk, ticket)
        with desk.db.write() as connection:
            rule_list.switch(connection, code, enabled=False)
        if code in ("A03", "A04"):
            taken_back(code)
    taken_back("A06")
    taken_back("A05")
    assert shown == [[], [], ["{'level': 'none'}"], []]


def test_the_card_of_a_change_stays_as_the_change_does_and_both_are_said(noting_desk: Services, notes: Crm) -> None:
    allow(noting_desk, notes, careful=True)
    ticket = a_change(noting_desk)
    assert outbox.deliver(noting_desk) == 1
    viewer = ana(noting_desk)
    with noting_desk.db.write() as connection:
        assert undo.touched(connection, scope(noting_desk)) == [ticket]
        asked = undo.start(connection, scope(noting_desk), viewer, noting_desk.clock.now())
    undo.carry_on(noting_desk, budget_s=30)
    status, told = outcome(noting_desk, asked, ticket)
    assert (status, told["stays"]) == ("nothing", {"change_system": 1})
    with noting_desk.db.read() as connection:
        assert [(one.key, one.error) for one in context_cards(connection, ticket)] == [("crm_add_note", "")]
    assert len(notes.done) == 1
