"""On SQLite what a rule changed is decided without being read back, unless somebody else has written meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from jobs import automation, lanes
from jobs.services import Services
from tests.builders import a_ticket, dump
from tests.jobs.desk import a_working_desk, by_hand, clock_of, decisions, item, table
from tests.jobs.tables import TRIAGE
from tests.jobs.test_following import URGENT
from tests.jobs.test_together import LONG_S, commits_of
from tickets import store
from tickets.db import Database
from tickets.effects import AddTo, SetField
from tickets.events import Actor, ActorKind
from tickets.item import ItemKind
from tickets.tables import CustomField, Person

#: What is told of messages and customers, and what a change comes to that comes of a change.
LOOKS_ROUND = """
code: A03
name: Looks round
kind: ticket
triggers: [{on: changed, field: tags}]
hit: every
columns:
  - {id: c1, field: message.text, op: contains_any}
  - {id: c2, field: customer.open_items, op: greater}
  - {id: c3, field: customer.name, op: is}
steps: [{id: s1, do: set_field}, {id: s2, do: set_due_date}]
rows:
  - {id: r1, if: {c1: {value: [parcel]}}, then: {s1: {field: fields.topic, value: delivery}}}
  - {id: r2, if: {c2: {value: 1}}, then: {s2: {for: 2 d}}}
  - {id: r3, if: {c3: {value: Nobody}}, then: {s1: {field: fields.topic, value: nobody}}}
"""
SAID = """
code: A04
name: Said
kind: ticket
triggers: [{on: message, by: customer}, {on: message, by: agent}]
hit: every
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [zz-said, aa-said]}}}]
"""
BESIDE = """
code: A05
name: Beside
kind: ticket
triggers: [{on: created}]
hit: every
columns: [{id: c1, field: message.text, op: contains_any}]
steps: [{id: s1, do: create_item}]
rows:
  - {id: r1, if: {c1: {value: [hello]}}, then: {s1: {kind: task, subject: Look it up, customer: true}}}
"""
SOONER = """
code: A06
name: Sooner
kind: ticket
triggers: [{on: created}, {on: changed, field: due_at}]
hit: every
steps: [{id: s1, do: set_due_date}]
rows: [{id: r1, then: {s1: {for: 2 d}}}]
"""
UNSAID = """
code: A07
name: Unsaid
kind: ticket
triggers: [{on: changed, field: due_at}]
hit: every
columns: [{id: c1, field: message.text, op: contains_none}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: [charged]}}, then: {s1: {tags: [unsaid]}}}]
"""
KEPT = ("decisions", "events", "fired", "history", "items", "lanes", "roots")


@pytest.fixture
def a_desk_of(make_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Desks on SQLite, one lane at a time, however slow the machine is."""
    monkeypatch.setattr(automation, "TOGETHER_FROM_S", LONG_S)
    monkeypatch.setattr(automation, "FOLLOWING_S", LONG_S)
    made: list[Any] = []

    def make(*tables: str) -> Services:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(a_working_desk(make_database("sqlite"), folder))
        services: Services = made[-1].__enter__()
        with services.db.write() as connection:
            topic = {"kind": "ticket", "key": "topic", "label": "Topic", "type": "text", "options": []}
            connection.execute(insert(CustomField), topic)
        for one in tables:
            table(services, one)
        return services

    yield make
    for one in made:
        one.__exit__(None, None, None)


def reading_all(desk: Services) -> None:
    """Work off what is due, each transaction over a connection of its own: nothing is known to be as it was."""
    while (claim := lanes.claim(desk.db, clock_of(desk).now(), lease_s=60)).items:
        for one in claim.items:
            automation.work_lane(desk, claim.token, one)


def said(desk: Services, item_id: int, author: str, what: str) -> None:
    with desk.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        message = store.NewMessage(author, author == "customer", "email", what)
        actor = Actor(ActorKind(author), "7", "Somebody")
        store.change_item(connection, current, lines=(), actor=actor, now=desk.clock.now(), messages=(message,))


def a_day(desk: Services, work: Callable[[Services], Any]) -> dict[str, list[str]]:
    """Tickets, messages and changes, worked off as they come; what there is in the end."""
    a_ticket(desk.db, email="ana@example.com")
    a_ticket(desk.db, email="ben@example.com")
    first = a_ticket(desk.db, text="Charged twice, and where is my parcel?", tags=["zebra", "ant"], priority="low")
    work(desk)
    others = [a_ticket(desk.db, text=what).item_id for what in ("Charged twice again", "A parcel", "Hello")]
    work(desk)
    by_hand(desk, others[2], SetField("priority", "urgent"), AddTo("tags", ("by-hand",)))
    work(desk)
    said(desk, others[0], "agent", "Let me see")
    said(desk, others[1], "customer", "It is a parcel")
    work(desk)
    said(desk, others[1], "agent", "Which one?")
    clock_of(desk).forward(seconds=90)
    by_hand(desk, first.item_id, SetField("priority", "urgent"))
    said(desk, first.item_id, "customer", "Still charged twice")
    work(desk)
    with desk.db.write() as connection:
        connection.execute(text("UPDATE decisions SET decide_us = 0"))
    found = dump(desk.db)
    return {name: found[name] for name in KEPT}


def test_without_being_read_back_it_comes_to_the_same_to_the_letter(a_desk_of: Any) -> None:
    tables = (TRIAGE, URGENT, LOOKS_ROUND, SAID, BESIDE)
    quick = a_day(a_desk_of(*tables), lambda desk: automation.drain(desk, budget_s=LONG_S))
    assert quick == a_day(a_desk_of(*tables), reading_all)
    assert len(quick["events"]) > 15
    assert "delivery" in "".join(quick["items"])


def selects(desk: Services, *, meanwhile: Callable[[], None] | None = None) -> list[str]:
    """What is read while what is due is worked off; `meanwhile` happens once an event's facts were read."""
    told: list[str] = []
    left = [meanwhile] if meanwhile else []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    def ended(_c: Any) -> None:
        if left and any("FROM persons" in one for one in told):
            left.pop()()

    event.listen(desk.db.engine, "before_cursor_execute", note)
    event.listen(desk.db.engine, "rollback", ended)
    automation.drain(desk, budget_s=LONG_S)
    event.remove(desk.db.engine, "before_cursor_execute", note)
    event.remove(desk.db.engine, "rollback", ended)
    assert not left
    return [one for one in told if one.startswith("SELECT")]


def test_nothing_is_read_twice_while_nobody_else_writes(a_desk_of: Any) -> None:
    desk = a_desk_of(TRIAGE)
    a_ticket(desk.db)
    read = selects(desk)
    for source in ("FROM persons", "FROM messages", "FROM context_facts", "FROM events JOIN items"):
        assert sum(source in one for one in read) == 1, source
    assert not any(one.endswith("WHERE items.id = ?") or "FROM fired" in one or "FROM roots" in one for one in read)


def test_what_somebody_else_wrote_meanwhile_is_seen(a_desk_of: Any) -> None:
    desk = a_desk_of(TRIAGE, LOOKS_ROUND)

    def renamed() -> None:
        with closing(Database(desk.db.url)) as other, other.write() as connection:
            connection.execute(update(Person).values(name="Nobody"))

    ticket = a_ticket(desk.db).item_id
    read = selects(desk, meanwhile=renamed)
    assert sum(one.endswith("WHERE items.id = ?") for one in read) == 1
    # Their own first event, and what the second became: what the first became is known, but for the customer.
    assert sum("FROM events JOIN items" in one for one in read) == 2
    assert sum("FROM persons" in one for one in read) == 3
    assert [one.facts["customer"]["name"] for one in decisions(desk, ticket)] == ["Camille Laurent", "Nobody", "Nobody"]
    assert item(desk, ticket).state["fields.topic"] == "nobody"


def test_a_row_that_fired_does_not_fire_on_what_it_changed(a_desk_of: Any) -> None:
    desk = a_desk_of(SOONER)
    ticket = a_ticket(desk.db).item_id
    assert commits_of(desk) == 1 + 1  # the claim; the event with what it became
    first, again = decisions(desk, ticket)
    assert [one["verdict"] for one in again.trace["entries"]] == ["held"]
    assert (first.outcome, again.outcome) == ("acted", "checked")


@pytest.mark.parametrize(("author", "tags"), [("customer", []), ("agent", ["unsaid"]), ("third_party", ["unsaid"])])
def test_a_change_looks_at_what_the_customer_said_whoever_began_the_ticket(
    a_desk_of: Any, author: str, tags: list[str]
) -> None:
    desk = a_desk_of(SOONER, UNSAID)
    message = store.NewMessage(author, True, "email", "You were charged twice")
    with desk.db.write() as connection:
        made = store.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={"subject": "Charged twice"},
            actor=Actor(ActorKind(author), "7", "Somebody"),
            now=desk.clock.now(),
            message=message,
        )
    automation.drain(desk, budget_s=LONG_S)
    assert item(desk, made.item_id).state.get("tags", []) == tags
