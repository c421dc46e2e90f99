"""Lookups as table columns: waiting for the answer, deciding without it, and the answer that comes late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from connectors import store as connections
from jobs import automation, enrichment
from jobs.services import Services
from jobs.tables import LookupRow
from rules import store as rule_list
from tests.builders import ANA, BY_ANA, a_ticket
from tests.connectors.upstream import Reply, Upstream, as_json
from tests.jobs.desk import a_working_desk, clock_of, decisions, events, item, say, table, work
from tests.jobs.tables import ERP
from tickets import store
from tickets.effects import SetField
from tickets.tables import ContextFact, EventRow, Lane, Message, Notification

DEBTORS = """
code: A01
name: Debtors to billing
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 60
columns:
  - {id: c1, field: erp.find_party.receivable, op: greater}
steps:
  - {id: s1, do: assign_team}
  - {id: s2, do: post_message}
rows:
  - {id: r1, if: {c1: {value: "100.00"}}, then: {s1: {team: billing}, s2: {text: Billing has it., public: true}}}
otherwise: {then: {s1: {team: first_line}}}
"""


@pytest.fixture
def erp() -> Iterator[Upstream]:
    server = Upstream(lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "149.70"}]))
    yield server
    server.close()


@pytest.fixture
def desk(database_url: str, tmp_path: Path, erp: Upstream) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, address_ceiling="127.0.0.0/8") as services:
        with services.db.write() as connection:
            config: dict[str, Any] = {**ERP, "base_url": erp.url}
            connections.save_connection(
                connection,
                services.box,
                name="erp",
                kind="http_json",
                config=config,
                label="ERP",
                now=clock_of(services).at,
            )
            rule_list.bump(connection)
        yield services


def lane_due(services: Services) -> Any:
    with services.db.read() as connection:
        return connection.execute(select(Lane.due_at)).scalar_one()


def test_an_event_waits_for_the_answer_and_then_takes_the_right_row(desk: Services, erp: Upstream) -> None:
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    assert automation.drain(desk) == 1
    assert "team" not in item(desk, ticket.item_id).state
    assert (lane_due(desk) - clock_of(desk).now()).total_seconds() == 60
    work(desk)
    state = item(desk, ticket.item_id).state
    assert state["team"] == "billing"
    assert [(one.path, one.query) for one in erp.asked] == [("/parties", {"email": "camille@example.com"})]
    first, second, *_ = decisions(desk, ticket.item_id)
    assert (first.outcome, second.outcome, second.part) == ("waiting", "acted", 2)
    with desk.db.read() as connection:
        card = connection.execute(select(ContextFact.key, ContextFact.body, ContextFact.error)).one()
    assert card.key == "erp.find_party"
    assert card.body["data"]["receivable"] == "149.70"


def test_a_party_that_owes_little_takes_the_other_row(desk: Services, erp: Upstream) -> None:
    erp.answer = lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "12.00"}])
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"


def test_nobody_in_the_erp_is_an_answer_and_not_a_failure(desk: Services, erp: Upstream) -> None:
    erp.answer = lambda _: as_json([])
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"
    assert all(one.notes == [] for one in decisions(desk, ticket.item_id))


def test_an_erp_that_fails_is_named_the_rest_decides_and_the_late_answer_is_applied(
    desk: Services, erp: Upstream
) -> None:
    erp.answer = lambda _: Reply(b"<h1>down</h1>", status=503, content_type="text/html")
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"
    notes = [note for one in decisions(desk, ticket.item_id) for note in one.notes]
    assert any("decided without erp.find_party" in note for note in notes)
    with desk.db.read() as connection:
        card = connection.execute(select(ContextFact.error).where(ContextFact.current)).scalar_one()
        lookup = connection.execute(select(LookupRow.state, LookupRow.due_at)).one()
    assert card != ""
    assert lookup.state == "failed"
    assert lookup.due_at > clock_of(desk).now()

    erp.answer = lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "149.70"}])
    clock_of(desk).forward(minutes=5)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "billing"
    with desk.db.read() as connection:
        cards = list(connection.execute(select(ContextFact.error, ContextFact.current).order_by(ContextFact.id)))
        public = list(connection.execute(select(Message.text).where(Message.author_kind == "bot")).scalars())
    assert [tuple(one) for one in cards][-1] == ("", True)
    assert public == ["Billing has it."]
    clock_of(desk).forward(hours=2)
    work(desk)
    with desk.db.read() as connection:
        again = list(connection.execute(select(Message.text).where(Message.author_kind == "bot")).scalars())
    assert again == ["Billing has it."]


def test_a_lookup_that_cannot_even_be_asked_has_failed_and_keeps_no_other_from_its_answer(
    desk: Services, erp: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    table(desk, DEBTORS)
    broken, well = a_ticket(desk.db).item_id, a_ticket(desk.db).item_id
    automation.drain(desk)
    with desk.db.write() as connection:  # as if somebody had meddled with the database
        connection.execute(update(LookupRow).where(LookupRow.item_id == broken).values(args=["camille"]))
    work(desk)
    assert [one.message for one in caplog.records].count("lookup.broken") == 1
    assert item(desk, well).state["team"] == "billing"
    # Unknown is not little: what is otherwise decides, and says without what.
    assert item(desk, broken).state["team"] == "first_line"
    with desk.db.read() as connection:
        found = connection.execute(select(LookupRow.state, LookupRow.reason).where(LookupRow.item_id == broken)).one()
    assert found == ("failed", "It could not be asked (AttributeError)")


def test_a_late_answer_does_not_touch_what_a_person_decided_meanwhile(desk: Services, erp: Upstream) -> None:
    erp.answer = lambda _: Reply(b"down", status=503)
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.write() as connection:
        current = store.read_item(connection, ticket.item_id, lock=True)
        lines = [store.Lines((SetField("team", "hr"),), BY_ANA)]
        store.change_item(connection, current, lines=lines, actor=ANA, now=desk.clock.now())
    erp.answer = lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "149.70"}])
    clock_of(desk).forward(minutes=5)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "hr"


def test_a_slow_answer_ends_the_wait_and_comes_late(desk: Services) -> None:
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    clock_of(desk).forward(seconds=61)
    automation.drain(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"
    enrichment.enrich(desk)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "billing"


def test_several_parties_with_the_address_are_shown_and_nobody_is_guessed(desk: Services, erp: Upstream) -> None:
    two = [{"id": "7", "name": "Camille", "receivable": "1"}, {"id": "8", "name": "Carl", "receivable": "2"}]
    erp.answer = lambda _: as_json(two)
    table(desk, DEBTORS)
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        card = connection.execute(select(ContextFact.error, ContextFact.body).where(ContextFact.current)).one()
        lookup = connection.execute(select(LookupRow.state, LookupRow.due_at)).one()
    assert len(card.body["data"]["candidates"]) == 2
    assert card.error != ""
    assert tuple(lookup) == ("ambiguous", None)


def test_earlier_tables_stand_while_the_event_waits_and_fire_once(desk: Services) -> None:
    table(
        desk,
        """
code: A00
name: Tag all
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: add_tags}, {id: s2, do: add_note}]
rows: [{id: r1, then: {s1: {tags: [seen]}, s2: {text: once}}}]
""",
    )
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["seen"]
    work(desk)
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
    assert notes == ["once"]


def test_rows_that_are_already_false_cause_no_question(desk: Services, erp: Upstream) -> None:
    table(
        desk,
        DEBTORS.replace("columns:", "columns:\n  - {id: c0, field: ticket.channel, op: is}").replace(
            "if: {c1", "if: {c0: {value: chat}, c1"
        ),
    )
    ticket = a_ticket(desk.db)
    work(desk)
    assert erp.asked == []
    assert item(desk, ticket.item_id).state["team"] == "first_line"


def test_a_second_ticket_waits_for_nobody_else(desk: Services, erp: Upstream) -> None:
    """A lane that waits holds no worker and no other lane."""
    table(desk, DEBTORS)
    a_ticket(desk.db)
    automation.drain(desk)
    other = a_ticket(desk.db, email="nobody@example.com", channel="form")
    erp.answer = lambda asked: as_json([] if asked.query["email"].startswith("nobody") else [{"id": "7"}])
    automation.drain(desk)
    with desk.db.read() as connection:
        waiting = list(connection.execute(select(EventRow.item_id).where(EventRow.status == "waiting")).scalars())
    assert other.item_id in waiting
    work(desk)
    assert item(desk, other.item_id).state["team"] == "first_line"


def test_earlier_tables_are_not_decided_again_after_a_wait(desk: Services) -> None:
    table(desk, DEBTORS.replace("code: A01", "code: A00").replace("wait_s: 60", "wait_s: 0"))
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    first, second, *_ = [one for one in decisions(desk, ticket.item_id) if one.event_id == 1]
    assert [one["code"] for one in first.trace["entries"]] == ["A00", "A01"]
    assert [one["code"] for one in second.trace["entries"]] == ["A01"]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(b"<h1>Bad gateway</h1>", status=502, content_type="text/html"), id="an error page"),
        pytest.param(Reply(b"<h1>Sign in</h1>", content_type="text/html"), id="HTML instead of JSON"),
        pytest.param(Reply(b"x" * 1_000_000, repeat=100), id="100 MB"),
        pytest.param(Reply(b"[]", delay_s=30), id="too slow"),
        pytest.param(Reply(b'[{"id": "7", "receiv', cut=True), id="cut short"),
        pytest.param(Reply(b'{"receivable": [1, 2]}'), id="another shape"),
    ],
)
def test_whatever_a_connector_does_the_ticket_says_so_and_the_rest_goes_on(
    desk: Services, erp: Upstream, reply: Reply
) -> None:
    erp.answer = lambda _: reply
    if reply.delay_s:
        desk = replace(desk, settings=desk.settings.model_copy(update={"lookup_deadline_s": 1}))
    table(desk, DEBTORS)
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"
    with desk.db.read() as connection:
        error = connection.execute(select(ContextFact.error).where(ContextFact.current)).scalar_one()
    assert error != ""
    assert any("without erp.find_party" in note for one in decisions(desk, ticket.item_id) for note in one.notes)
    other = a_ticket(desk.db, email="", channel="form")
    work(desk)
    assert item(desk, other.item_id).state["team"] == "first_line"


@pytest.mark.parametrize("ahead_s", [0, 3], ids=["", "though another clock was ahead"])
def test_a_late_answer_sends_nothing_twice(desk: Services, erp: Upstream, ahead_s: int) -> None:
    """The row that would have been right says the same as the one that was taken without the answer.

    Where the host that took the ticket has a clock that is ahead, all was sent before the ticket came."""
    erp.answer = lambda _: Reply(b"down", status=503)
    both = "{text: We look at it today., public: true}"
    table(
        desk,
        f"""
code: A01
name: Answer at once
kind: ticket
triggers: [{{on: created}}]
hit: first
columns: [{{id: c1, field: erp.find_party.receivable, op: greater}}]
steps: [{{id: s1, do: assign_team}}, {{id: s2, do: post_message}}, {{id: s3, do: notify}}]
rows:
  - id: r1
    if: {{c1: {{value: "100.00"}}}}
    then: {{s1: {{team: billing}}, s2: {both}, s3: {{users: [ana], text: New}}}}
otherwise: {{then: {{s1: {{team: first_line}}, s2: {both}, s3: {{users: [ana], text: New}}}}}}
""",
    )
    ticket = a_ticket(desk.db, now=desk.clock.now() + timedelta(seconds=ahead_s))
    with desk.db.write() as connection:
        connection.execute(update(Lane).values(due_at=desk.clock.now()))
    work(desk)
    erp.answer = lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "149.70"}])
    clock_of(desk).forward(minutes=5)
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "billing"
    with desk.db.read() as connection:
        said = list(connection.execute(select(Message.text).where(Message.author_kind == "bot")).scalars())
        rung = list(connection.execute(select(Notification.text)).scalars())
    assert (said, rung) == (["We look at it today."], ["New"])


@pytest.mark.parametrize("unknown", ["wait", "skip"])
def test_a_table_that_waits_for_nothing_asks_all_the_same(desk: Services, erp: Upstream, unknown: str) -> None:
    """It was decided without an answer that nobody had asked for, for ever; by a column that skips nobody asks."""
    column = "{id: c1, field: erp.find_party.receivable, op: greater"
    table(desk, DEBTORS.replace("wait_s: 60", "wait_s: 0").replace(column, f"{column}, unknown: {unknown}"))
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    assert item(desk, ticket).state["team"] == "first_line"
    assert decisions(desk, ticket)[0].notes == ["A01 was decided without erp.find_party"]
    work(desk)
    assert len(erp.asked) == (unknown == "wait")
    assert item(desk, ticket).state["team"] == ("billing" if erp.asked else "first_line")
    assert work(desk) == 0


def test_a_table_that_waits_for_nothing_asks_again_for_what_is_too_old(desk: Services, erp: Upstream) -> None:
    table(desk, DEBTORS.replace("wait_s: 60", "wait_s: 0").replace("on: created", "on: message, by: customer"))
    ticket = a_ticket(desk.db).item_id
    for asked in (1, 2):
        clock_of(desk).forward(hours=1)
        say(desk, ticket, "customer")
        work(desk)
        assert len(erp.asked) == asked
    assert work(desk) == 0


def test_an_answer_that_is_no_answer_is_not_asked_again_by_a_table_that_waits_for_nothing(
    desk: Services, erp: Upstream
) -> None:
    erp.answer = lambda _: as_json([{"id": "7", "receivable": "1.00"}, {"id": "8", "receivable": "2.00"}])
    table(desk, DEBTORS.replace("wait_s: 60", "wait_s: 0").replace("on: created", "on: message, by: customer"))
    ticket = a_ticket(desk.db).item_id
    for _ in range(3):
        say(desk, ticket, "customer")
        work(desk)
    assert len(erp.asked) == 1


RUNS_AGAIN = """
code: A01
name: Debtors, unless they wait
kind: ticket
triggers: [{on: created}]
hit: every
run_again: true
wait_s: 0
columns:
  - {id: c1, field: erp.find_party.receivable, op: greater}
  - {id: c2, field: ticket.priority, op: is}
steps: [{id: s1, do: assign_team}]
rows: [{id: r1, if: {c1: {value: "100.00"}, c2: {op: none_of, value: [low]}}, then: {s1: {team: billing}}}]
"""
URGENT = """
code: A02
name: Urgent
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: set_priority}]
rows: [{id: r1, then: {s1: {priority: high}}}]
"""


def test_a_table_that_runs_again_may_lack_the_same_answer_twice(desk: Services, erp: Upstream) -> None:
    """Its event could not be written, and was set aside."""
    table(desk, RUNS_AGAIN)
    table(desk, URGENT)
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    assert {status for _, status in events(desk)} == {"done"}
    assert item(desk, ticket).state["priority"] == "high"
    work(desk)
    assert item(desk, ticket).state["team"] == "billing"


#: What a party owes is asked with its number, which another question answers.
FIND_DEBT: dict[str, Any] = {
    "name": "find_debt",
    "path": "/debts",
    "inputs": [{"name": "party", "bind": "erp.find_party.id"}],
    "query": {"party": "{party}"},
    "map": {"id": "id", "name": "name", "receivable": {"path": "receivable", "type": "money"}},
    "cache_s": 0,
    "stale_s": 0,
}


def by_debt(desk: Services, erp: Upstream, wait_s: int) -> None:
    with desk.db.write() as connection:
        operations = ERP["operations"]
        assert isinstance(operations, list)
        config: dict[str, Any] = {"operations": [*operations, FIND_DEBT], "base_url": erp.url}
        connections.save_connection(
            connection, desk.box, name="erp", kind="http_json", config=config, label="ERP", now=desk.clock.now()
        )
        rule_list.bump(connection)
    wanted = DEBTORS.replace("erp.find_party.receivable", "erp.find_debt.receivable")
    table(desk, wanted.replace("wait_s: 60", f"wait_s: {wait_s}"))


@pytest.mark.parametrize("wait_s", [60, 0])
def test_what_is_asked_with_another_answer_is_asked_once(desk: Services, erp: Upstream, wait_s: int) -> None:
    """Its answer was not found, and it was asked again and again until the wait was over."""
    by_debt(desk, erp, wait_s)
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    for _ in range(4):
        enrichment.enrich(desk)
        automation.drain(desk)
    assert [one.path for one in erp.asked] == ["/parties", "/debts"]
    assert item(desk, ticket).state["team"] == "billing"
    assert work(desk) == 0


@pytest.mark.parametrize("wait_s", [60, 0])
def test_of_two_answers_that_hang_on_each_other_both_may_come_late(desk: Services, erp: Upstream, wait_s: int) -> None:
    """The second was lacking when the first had come, and its row was never looked at again."""
    by_debt(desk, erp, wait_s)
    usual = erp.answer
    works: set[str] = set()
    erp.answer = lambda asked: usual(asked) if asked.path in works else Reply(b"down", status=503)
    ticket = a_ticket(desk.db).item_id
    for path in ("", "/parties", "/debts"):
        works.add(path)
        for _ in range(3):
            work(desk)
            clock_of(desk).forward(minutes=5)
        assert item(desk, ticket).state["team"] == ("billing" if path == "/debts" else "first_line")
    assert {status for _, status in events(desk)} == {"done"}
    assert work(desk) == 0
