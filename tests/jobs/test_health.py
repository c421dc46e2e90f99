"""How rules do: what they did, cost and had reversed by colleagues, counted exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from jobs import health, undo
from jobs.health import Changed, Health, reversals
from jobs.services import Services
from jobs.tables import RunRow
from jobs.undo import Scope
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import ana, by_hand, clock_of, publish, table, work
from tickets.effects import AddTo, RemoveFrom, SetField
from tickets.tables import EventRow

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def line(
    minute: float, before: Any, after: Any, by: str = "", *, field: str = "priority", agent: bool = True
) -> Changed:
    """A change at that minute: by a rule with this code, else by a colleague, or by a customer."""
    return Changed(1, field, before, after, AT + timedelta(minutes=minute), by, agent and not by)


RULE = line(0, "normal", "urgent", "A01")
REVERSALS = {
    "put back within the hour": ([RULE, line(60, "urgent", "normal")], (1, 1)),
    "set to something else within the hour": ([RULE, line(5, "urgent", "low")], (1, 1)),
    "a minute too late": ([RULE, line(61, "urgent", "normal")], (1, 0)),
    "by a customer": ([RULE, line(5, "urgent", "normal", agent=False)], (1, 0)),
    "once reversed it is theirs": ([RULE, line(5, "urgent", "normal"), line(6, "normal", "low")], (1, 1)),
    "by another rule first": ([RULE, line(1, "urgent", "high", "A02"), line(5, "high", "low")], (1, 0)),
    "another field": ([RULE, line(5, "billing", "sales", field="team")], (1, 0)),
    "another item": ([RULE, line(5, "urgent", "low")._replace(item=2)], (1, 0)),
    "a status that goes on": (
        [line(0, "open", "waiting", "A01", field="status"), line(5, "waiting", "closed", field="status")],
        (1, 0),
    ),
    "a status put back": (
        [line(0, "open", "closed", "A01", field="status"), line(5, "closed", "open", field="status")],
        (1, 1),
    ),
    "one tag of two": (
        [line(0, None, ["a", "b"], "A01", field="tags"), line(5, ["a", "b"], ["b"], field="tags")],
        (2, 1),
    ),
    "a tag beside it": (
        [line(0, None, ["a"], "A01", field="tags"), line(5, ["a"], ["a", "mine"], field="tags")],
        (1, 0),
    ),
}


@pytest.mark.parametrize(("lines", "counted"), REVERSALS.values(), ids=REVERSALS)
def test_what_a_colleague_reverses_is_counted_and_nothing_else(lines: list[Changed], counted: tuple[int, int]) -> None:
    assert reversals(lines)["A01"] == counted


def test_too_few_changes_say_nothing_and_many_reversals_are_distrusted() -> None:
    assert Health(changes=9, reversed=9).distrust is None
    assert Health(changes=10, reversed=3).distrust == 0.3


TABLE = """
code: A01
name: Urgent by mail
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.channel, op: is}]
steps: [{id: s1, do: set_priority}, {id: s2, do: add_tags}]
rows:
  - {id: r1, if: {c1: {value: email}}, then: {s1: {priority: urgent}, s2: {tags: [hot]}}}
  - {id: r2, if: {c1: {value: chat}}, then: {s1: {priority: high}}}
"""


def test_the_report_counts_what_really_happened(desk: Services) -> None:
    table(desk, TABLE)
    tickets = [a_ticket(desk.db).item_id for _ in range(4)]
    work(desk)
    clock_of(desk).at += timedelta(minutes=10)
    by_hand(desk, tickets[0], SetField("priority", "low"))  # reversed
    by_hand(desk, tickets[1], RemoveFrom("tags", ("hot",)), AddTo("tags", ("mine",)))  # reversed
    clock_of(desk).at += timedelta(minutes=55)
    by_hand(desk, tickets[2], SetField("priority", "low"))  # too late
    boss = ana(desk)
    with desk.db.write() as connection:
        scope = Scope("A01", 1, desk.clock.now() - timedelta(days=1), desk.clock.now())
        undo.start(connection, scope, boss, desk.clock.now(), items=tickets[3:])
    undo.carry_on(desk, budget_s=30)  # taken back as a whole: no reversal
    work(desk)
    with desk.db.read() as connection:
        found = health.report(connection, desk.clock.now())
        entry = rule_list.entry(connection, "A01")
    one = found.of["A01"]
    assert (one.acted, one.steps, one.changes, one.reversed) == (4, 8, 8, 2)
    assert one.rows == {"r1": 4}
    assert health.rows_never(entry, one) == ["r2"]
    assert one.saved_s == 6 * health.HAND_S
    assert not found.cut
    assert health.advice(entry, one, desk.clock.now(), entry_since(desk)) == ""


def entry_since(desk: Services) -> datetime:
    with desk.db.read() as connection:
        return min(one.published_at for one in rule_list.versions(connection, "A01"))


def test_what_runs_cost_is_summed_and_one_that_was_erased_cost_nothing(desk: Services) -> None:
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Looks", "source": "log(1)"})
    ticket = a_ticket(desk.db)
    now = desk.clock.now()
    run: dict[str, Any] = {"item_id": ticket.item_id, "event_id": ticket.event_id, "root_id": ticket.event_id}
    run |= {"script": "S01", "version": 1, "params": {}, "cause": {}, "depth": 0, "attempt": 1, "created_at": now}
    used = {"usage": {"cpu_ms": 40, "calls": 3}, "calls": [{"answer": "x"}], "log": ["long"]}
    with desk.db.write() as connection:
        for key, status, outcome in (
            ("one", "finished", used),
            ("two", "failed", used),
            ("erased", "stopped", {}),
        ):
            values = {**run, "key": key, "status": status, "outcome": outcome, "finished_at": now}
            connection.execute(insert(RunRow).values(values))
        connection.execute(insert(RunRow).values({**run, "key": "waits", "status": "retrying", "outcome": used}))
    with desk.db.read() as connection:
        found = health.report(connection, now).of["S01"]
    assert (found.runs, found.failed, found.cpu_ms, found.calls) == (3, 1, 80, 6)


def test_what_is_older_than_the_time_looked_at_does_not_count(desk: Services) -> None:
    table(desk, TABLE)
    a_ticket(desk.db)
    work(desk)
    clock_of(desk).at += timedelta(days=health.DAYS + 1)
    with desk.db.read() as connection:
        found = health.report(connection, desk.clock.now())
        entry = rule_list.entry(connection, "A01")
    assert found.of == {}
    assert health.advice(entry, Health(), desk.clock.now(), entry_since(desk)) == "never"
    assert health.advice(entry, Health(changes=10, reversed=5), desk.clock.now(), entry_since(desk)) == "distrusted"


def test_more_than_is_read_is_said_and_the_newest_count(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    table(desk, TABLE)
    for _ in range(3):
        a_ticket(desk.db)
    work(desk)
    monkeypatch.setattr(health, "MOST_DECISIONS", 2)
    with desk.db.read() as connection:
        found = health.report(connection, desk.clock.now())
    assert found.cut
    assert found.of["A01"].acted == 2


def test_an_event_of_a_customer_is_no_colleagues(desk: Services) -> None:
    """The control of `agent`: what counts is who made the event, as stored."""
    table(desk, TABLE)
    ticket = a_ticket(desk.db).item_id
    work(desk)
    by_hand(desk, ticket, SetField("priority", "low"))
    with desk.db.write() as connection:
        connection.execute(
            update(EventRow)
            .where(EventRow.kind == "changed", EventRow.actor_kind == "agent")
            .values(actor_kind="customer")
        )
    with desk.db.read() as connection:
        assert health.report(connection, desk.clock.now()).of["A01"].reversed == 0
