"""How a rule list behaves in a working desk, each promise beside its negative twin: what looks alike and must not be.

Chains, the ledger and effects on other items have theirs in test_automation, test_ledger and test_beside; two people
who publish one draft at once in tests/web/test_versions.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from jobs import automation
from jobs.deciding import Read
from jobs.services import Services
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import by_hand, decisions, item, publish, tags, work
from tickets.effects import AddTo, SetField
from tickets.tables import EventRow, History


def a_rule(
    services: Services,
    code: str,
    then: dict[str, Any],
    *,
    on: str = "created",
    when: tuple[str, str, Any] | None = None,
    **trigger: Any,
) -> None:
    """A table of one row: when this field compares so, do this."""
    field, op, value = when or ("ticket.subject", "not_empty", None)
    cell = {"op": op} if value is None else {"op": op, "value": value}
    data = {
        "code": code,
        "name": code,
        "kind": "ticket",
        "triggers": [{"on": on, **trigger}],
        "hit": "first",
        "columns": [{"id": "c", "field": field}],
        "steps": [{"id": do, "do": do} for do in then],
        "rows": [{"id": "r1", "if": {"c": cell} if when else {}, "then": then}],
    }
    publish(services, EntryKind.TABLE, data)


def priority(value: str) -> dict[str, Any]:
    return {"set_priority": {"priority": value}}


def tag(*tags: str) -> dict[str, Any]:
    return {"add_tags": {"tags": list(tags)}}


def events(services: Services) -> list[str]:
    with services.db.read() as connection:
        return list(connection.execute(select(EventRow.kind).order_by(EventRow.id)).scalars())


def results(services: Services, item_id: int) -> list[tuple[str, str]]:
    """(row, what became of it) of every step that was to be done."""
    return [(str(step["code"]), str(step["result"])) for one in decisions(services, item_id) for step in one.done]


# Order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second", "seen"), [("A01", "A02", ["urgent"]), ("A02", "A01", [])])
def test_an_entry_sees_what_stands_before_it_wrote_and_not_what_stands_behind_it_writes(
    desk: Services, first: str, second: str, seen: list[str]
) -> None:
    a_rule(desk, "A01", priority("urgent"))
    a_rule(desk, "A02", tag("urgent"), when=("ticket.priority", "is", "urgent"))
    with desk.db.write() as connection:
        rule_list.reorder(connection, [first, second])
    ticket = a_ticket(desk.db)
    work(desk)
    assert (item(desk, ticket.item_id).state["priority"], tags(desk, ticket.item_id)) == ("urgent", seen)


# No-op -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "follows"), [("normal", []), ("high", ["changed"])])
def test_a_list_that_ends_where_it_began_raises_nothing(desk: Services, last: str, follows: list[str]) -> None:
    a_rule(desk, "A01", priority("urgent"))
    a_rule(desk, "A02", priority(last))
    a_rule(desk, "A03", tag("again"), on="changed", field="ticket.priority")
    ticket = a_ticket(desk.db)
    work(desk)
    # The tag that A03 puts on raises an event of its own.
    assert events(desk) == ["created", *follows, *follows]
    assert tags(desk, ticket.item_id) == ["again"] * len(follows)


@pytest.mark.parametrize(("value", "lines"), [("normal", 0), ("high", 1)])
def test_a_step_that_writes_what_stands_there_leaves_no_history_and_raises_nothing(
    desk: Services, value: str, lines: int
) -> None:
    a_rule(desk, "A01", priority(value))
    a_ticket(desk.db)
    assert work(desk) == 1 + lines
    with desk.db.read() as connection:
        assert len(list(connection.execute(select(History.id).where(History.field == "priority")))) == lines


@pytest.mark.parametrize(("value", "tagged"), [("normal", []), ("high", ["changed"])])
def test_a_person_who_saves_what_stands_there_changes_nothing(desk: Services, value: str, tagged: list[str]) -> None:
    a_rule(desk, "A01", tag("changed"), on="changed")
    ticket = a_ticket(desk.db)
    work(desk)
    by_hand(desk, ticket.item_id, SetField("priority", value))
    work(desk)
    assert tags(desk, ticket.item_id) == tagged


# Changed and is --------------------------------------------------------------------------------------------------


def test_is_holds_while_it_is_so_and_changed_to_only_when_it_became_so(desk: Services) -> None:
    a_rule(desk, "A01", tag("is"), on="changed", when=("ticket.priority", "is", "high"))
    a_rule(desk, "A02", tag("became"), on="changed", when=("ticket.priority", "changed_to", ["high"]))
    ticket = a_ticket(desk.db, priority="high")
    work(desk)
    by_hand(desk, ticket.item_id, SetField("team", "billing"))
    work(desk)
    assert tags(desk, ticket.item_id) == ["is"]
    by_hand(desk, ticket.item_id, SetField("priority", "low"))
    by_hand(desk, ticket.item_id, SetField("priority", "high"))
    work(desk)
    assert tags(desk, ticket.item_id) == ["became", "is"]


# Changed by ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_rule", [False, True])
def test_changed_by_tells_a_person_from_a_rule(desk: Services, by_rule: bool) -> None:
    a_rule(desk, "A01", tag("agent"), on="changed", field="priority", when=("event.actor", "is", "agent"))
    a_rule(desk, "A02", tag("automation"), on="changed", field="priority", when=("event.actor", "is", "automation"))
    if by_rule:
        a_rule(desk, "A03", priority("high"))
    ticket = a_ticket(desk.db)
    work(desk)
    if not by_rule:
        by_hand(desk, ticket.item_id, SetField("priority", "high"))
        work(desk)
    assert tags(desk, ticket.item_id) == ["automation" if by_rule else "agent"]


# Overtaken -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "left", "result"),
    [("priority", "low", "low", "overtaken"), ("team", "billing", "high", "done")],
)
def test_only_the_field_that_a_person_changed_in_between_is_left_alone(
    desk: Services, field: str, value: str, left: str, result: str
) -> None:
    a_rule(desk, "A01", priority("high"))
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField(field, value))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == left
    assert results(desk, ticket.item_id) == [("A01", result)]


def test_what_a_person_changed_before_the_event_is_not_in_between(desk: Services) -> None:
    a_rule(desk, "A01", priority("high"), on="changed", field="tags")
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("priority", "low"))
    by_hand(desk, ticket.item_id, AddTo("tags", ("vip",)))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert results(desk, ticket.item_id) == [("A01", "done")]


def test_what_a_rule_changed_in_between_does_not_stop_the_next_one(desk: Services) -> None:
    a_rule(desk, "A01", priority("low"))
    a_rule(desk, "A02", priority("high"), on="changed", field="tags")
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, AddTo("tags", ("vip",)))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert results(desk, ticket.item_id) == [("A01", "done"), ("A02", "done")]


def test_a_person_who_put_it_back_has_overtaken_all_the_same(desk: Services) -> None:
    a_rule(desk, "A01", priority("high"))
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("priority", "low"))
    by_hand(desk, ticket.item_id, SetField("priority", "normal"))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "normal"
    assert results(desk, ticket.item_id) == [("A01", "overtaken")]


# Publish races ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_a_version_published_while_an_event_is_decided_decides_it_and_one_published_after_does_not(
    desk: Services, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    a_rule(desk, "A01", tag("old"))
    decide = automation.decided
    seen: list[int] = []

    def publish_again() -> None:
        with desk.db.write() as connection:
            stored = rule_list.entry(connection, "A01")
            changed = {**(stored.content or {}), "rows": [{"id": "r1", "if": {}, "then": tag("new")}]}
            count = rule_list.save_draft(connection, "A01", changed, author="ion", seen=stored.draft_count, now=MORNING)
            rule_list.publish(connection, "A01", author="ion", note="", seen=count, now=MORNING)

    def decided(read: Read) -> Any:
        made = decide(read)
        seen.append(read.desk.revision)
        if len(seen) == 1 and not late:
            publish_again()  # between what was read and the transaction that would write it
        return made

    monkeypatch.setattr(automation, "decided", decided)
    ticket = a_ticket(desk.db)
    work(desk)
    if late:
        publish_again()
        work(desk)
    assert tags(desk, ticket.item_id) == (["old"] if late else ["new"])
    [made] = [one for one in decisions(desk, ticket.item_id) if one.done]
    assert made.done[0]["version"] == (1 if late else 2)
    assert (seen[1] > seen[0]) is not late
