"""A replay and what stands beside an item: who follows it, and other items that set off something on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from jobs.services import Services
from jobs.telling import tell_of_message
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, item, publish, save, say, table, tick
from tests.jobs.lab_desk import draft, fields, outcomes, replay
from tickets import linking
from tickets.tables import Follower, Message

LATE = {"texts": {"en": {"subject": "Still open", "body": "Nobody answered."}}}
TELLS = """
code: A01
name: Tells who follows it
triggers: [{on: no_reply, for: 24 h}]
steps: [{id: s1, do: send_template}, {id: s2, do: follow}]
rows: [{id: r1, then: {s1: {template: E01, to: [followers]}, s2: {users: [ion]}}}]
"""
PARTS = """
code: A01
name: Parts are done
kind: ticket
triggers: [{on: linked_done}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [part-done]}}}]
"""


def test_who_followed_a_ticket_follows_it_when_it_is_played_and_it_ends_as_it_did(desk: Services) -> None:
    publish(desk, EntryKind.TEMPLATE, {"code": "E01", "name": "Late", **LATE})
    table(desk, TELLS)
    ticket = a_ticket(desk.db).item_id
    tick(desk)
    with desk.db.write() as connection:
        connection.execute(insert(Follower).values(item_id=ticket, user="ana"))
    clock_of(desk).forward(hours=30)
    tick(desk)
    say(desk, ticket, "customer")
    with desk.db.write() as connection:
        newest = select(Message.id).where(Message.item_id == ticket).order_by(Message.id.desc()).limit(1)
        assert "ana" in tell_of_message(connection, ticket, connection.execute(newest).scalar_one(), desk.clock.now())
    clock_of(desk).forward(hours=1)
    draft(desk, TELLS.replace("for: 24 h", "for: 300 h"))
    found = outcomes(desk, replay(desk, "A01"))[ticket]
    assert (found.faithful, found.outcome["real"]) == (True, None)
    assert found.outcome["less"] == [
        ["follow", "ion"],
        ["mail", "E01: ana@desk.example"],
        ["mail", "E01: ion@desk.example"],
    ]
    assert found.outcome["more"] == []


def test_what_another_item_set_off_comes_and_what_the_rules_made_of_it_is_found_anew(desk: Services) -> None:
    table(desk, PARTS)
    whole, part = a_ticket(desk.db, subject="The whole").item_id, a_ticket(desk.db, subject="A part").item_id
    with desk.db.write() as connection:
        linking.join(connection, whole, part, "contains")
    tick(desk)
    clock_of(desk).forward(hours=1)
    save(desk, part, status="solved")
    tick(desk)
    assert item(desk, whole).state["tags"] == ["part-done"]
    clock_of(desk).forward(hours=1)
    draft(desk, PARTS.replace("part-done", "look"))
    found: dict[int, Any] = outcomes(desk, replay(desk, "A01"))
    assert fields(found[whole].outcome) == {"tags": (["part-done"], ["look"])}
    assert found[whole].outcome["rows"] == {"live": {"A01/r1": 1}, "draft": {"A01/r1": 1}}
    assert found[whole].faithful is True
