"""How many items match a row now: exactly the engine's answer, or less and the reason why."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, update

from jobs import counting
from jobs.counting import Count, Counts, Why, counts
from rules.compiled import CompiledTable
from rules.decision import Entry
from rules.parse import parse_table
from tests.builders import MORNING, a_desk, a_ticket
from tests.rules.desk import DESK as RULES_DESK
from tickets import people
from tickets.db import Database, table_of
from tickets.people import Viewer
from tickets.tables import WorkItem

DESK = replace(RULES_DESK, teams={**RULES_DESK.teams, "hr": "HR"})
TABLE: dict[str, Any] = {
    "code": "A01",
    "name": "Triage",
    "triggers": ["created"],
    "columns": [
        {"id": "team", "field": "ticket.team"},
        {"id": "subject", "field": "ticket.subject", "op": "contains_any"},
        {"id": "tier", "field": "erp.find_party.tier"},
        {"id": "prio", "field": "ticket.priority", "op": "changed"},
        {"id": "text", "field": "message.text", "op": "contains_any"},
    ],
    "steps": [{"id": "s1", "do": "add_tags"}],
}
THEN = {"s1": {"tags": ["x"]}}


@pytest.fixture
def desk(database: Database) -> Database:
    """Four tickets, one of them in a team that only its members see, and a task."""
    a_desk(database)
    a_ticket(database, subject="Refund, please", team="billing", text="Where is it?")
    a_ticket(database, subject="Réfund, please", team="first_line", text="A refund!")
    a_ticket(database, subject="refundable?", team="billing", text="I wonder")
    a_ticket(database, subject="A refund for Ion", team="hr", text="A refund!")
    return database


def viewer(connection: Connection, key: str = "ana") -> Viewer:
    found = people.viewer(connection, key)
    assert found is not None
    return found


def counted(db: Database, rows: list[dict[str, Any]], *, who: str = "ana", **more: Any) -> Counts:
    table = parse_table({**TABLE, "rows": rows, **more}, DESK)
    compiled = CompiledTable.of(Entry("A01", "Triage", 1, 1, True, table), 0, table, DESK)
    with db.read() as connection:
        seen = viewer(connection, who)
        # The time that is left is not the subject here, and a busy machine must not make it one.
        ids = [row["id"] for row in rows]
        return counts(connection, compiled, DESK, {}, seen, MORNING, rows=ids, elapsed=lambda: 0.0)


def row(id: str = "r1", **cells: Any) -> dict[str, Any]:
    return {"id": id, "if": cells, "then": THEN}


def test_a_row_counts_what_it_matches_and_nothing_its_reader_may_not_see(desk: Database) -> None:
    rows = [row("r1", team="billing"), row("r2", team="hr"), row("r3")]
    assert counted(desk, rows) == Counts({"r1": Count(2), "r2": Count(0), "r3": Count(3)}, Count(3))
    assert counted(desk, rows, who="hania").rows == {"r1": Count(2), "r2": Count(1), "r3": Count(4)}


def test_only_items_of_the_tables_kind_and_in_its_scope_are_counted(desk: Database) -> None:
    assert counted(desk, [row()], kind="task").rows == {"r1": Count(0)}
    scope = [{"field": "ticket.team", "value": "billing"}]
    assert counted(desk, [row()], scope=scope) == Counts({"r1": Count(2)}, Count(2))


def test_what_sql_leaves_open_the_engine_decides(desk: Database) -> None:
    # An accent is folded and a word edge required: SQL can say neither.
    assert counted(desk, [row(subject="refund")]).rows == {"r1": Count(2)}
    # The newest message of the customer is what a table run by hand would see.
    assert counted(desk, [row(text="refund")]).rows == {"r1": Count(1)}


def test_conditions_on_the_customer_alone_are_counted_by_the_database(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_LOOKED_AT", 0)
    columns = [
        {"id": "lang", "field": "customer.language"},
        {"id": "mail", "field": "customer.email", "op": "ends_with"},
    ]
    rows = [row("r1", lang="fr"), row("r2", lang="pl"), row("r3", mail="example.com")]
    assert counted(desk, rows, columns=columns) == Counts({"r1": Count(3), "r2": Count(0), "r3": Count(3)}, Count(3))


def test_the_table_counts_what_any_of_its_rows_matches_once(desk: Database) -> None:
    rows = [row("r1", team="billing"), row("r2", subject="refund")]
    assert counted(desk, rows).table == Count(3)
    assert counted(desk, rows[:1]).table == Count(2)
    assert counted(desk, rows[:1], otherwise={"then": THEN}).table == Count(3)


def test_a_row_that_needs_an_answer_or_an_event_says_so_instead_of_none(desk: Database) -> None:
    rows = [row("r1", tier="gold"), row("r2", prio={"op": "changed"}), row("r3", tier="gold", team="platform")]
    found = counted(desk, rows).rows
    assert found["r1"] == Count(0, Why.OUTSIDE, "ERP party")
    assert found["r2"] == Count(0, Why.EVENT, "Priority")
    # Whatever the ERP would say, nothing is in that team.
    assert found["r3"] == Count(0)


def test_of_two_ways_to_match_the_one_that_is_known_is_counted(desk: Database) -> None:
    either = {"any": [{"field": "ticket.team", "value": "billing"}, {"field": "erp.find_party.tier", "value": "gold"}]}
    assert counted(desk, [{**row(), "groups": [either]}]).rows == {"r1": Count(2, Why.OUTSIDE, "ERP party")}


def test_more_items_than_are_counted_make_it_at_least(desk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_ITEMS", 2)
    # The newest two that Ana may see: one in each team.
    assert counted(desk, [row("r1", team="billing"), row("r2")]).rows == {
        "r1": Count(1, Why.MORE_ITEMS),
        "r2": Count(2, Why.MORE_ITEMS),
    }
    monkeypatch.setattr(counting, "MOST_ITEMS", 3)
    assert counted(desk, [row("r1", team="billing")]).rows == {"r1": Count(2)}


def test_the_engine_looks_at_so_many_items_and_says_when_that_was_not_all(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_LOOKED_AT", 1)
    assert counted(desk, [row(text="refund")]).rows == {"r1": Count(0, Why.TOO_MANY)}


def test_nothing_is_begun_when_the_time_is_up(desk: Database) -> None:
    table = parse_table({**TABLE, "rows": [row()]}, DESK)
    compiled = CompiledTable.of(Entry("A01", "Triage", 1, 1, True, table), 0, table, DESK)
    ticking = count(0, 10)
    with desk.read() as connection:
        made = counts(
            connection, compiled, DESK, {}, viewer(connection), MORNING, rows=["r1"], elapsed=lambda: next(ticking)
        )
    assert made == Counts({"r1": Count(0, Why.TOO_MANY)}, Count(0, Why.TOO_MANY))


@pytest.mark.slow
def test_many_rows_with_long_lists_are_asked_in_statements_that_fit(desk: Database) -> None:
    many = {"op": "any_of", "value": ["billing", "first_line"]}
    words = {"op": "contains_any", "value": [f"word {n}" for n in range(60)]}
    rows = [row(f"r{n}", team=many, subject=words) for n in range(30)]
    found = counted(desk, [*rows, row("last", team="billing")]).rows
    assert set(found.values()) == {Count(0), Count(2)}
    assert found["last"] == Count(2)


def test_to_who_sees_no_item_none_matches(desk: Database) -> None:
    with desk.write() as connection:
        connection.execute(update(table_of(WorkItem)).values(team="hr"))
    assert counted(desk, [row()]) == Counts({"r1": Count(0)}, Count(0))
    assert counted(desk, [row()], who="hania") == Counts({"r1": Count(4)}, Count(4))
