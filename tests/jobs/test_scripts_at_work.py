"""A card that a script is at work on is unknown to rules: neither there nor missing, until the script has ended."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import select, update

from jobs import automation, forecast, parked, runs, scripts_at_work
from jobs.counting import Count, Why, counts
from jobs.rechecking import NotKnownNow, row_says_no
from jobs.services import Services
from jobs.tables import RunRow
from rules import files
from rules import store as rule_list
from rules.compiled import CompiledTable
from rules.decision import Entry
from rules.parse import parse_table
from rules.store import EntryKind
from tests.builders import ANA, a_ticket
from tests.jobs.desk import ana, decisions, publish, table, tags, work
from tickets import people, store
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.tables import EventRow
from tickets.values import JSON

RUNS_IT = """
code: A01
name: Asks the script
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""
READS_IT = """
code: A02
name: Reads its card
kind: ticket
triggers: [{on: changed, field: priority}]
hit: every
columns:
  - {id: c1, field: context.billing.charges, op: empty}
  - {id: c2, field: context.billing.charges, op: greater}
steps: [{id: s1, do: add_tags}]
rows:
  - {id: r1, if: {c1: {}}, then: {s1: {tags: [no-charges]}}}
  - {id: r2, if: {c2: {value: 1}}, then: {s1: {tags: [charged-twice]}}}
"""
WRITES = "ticket.set_context('billing', {'charges': 2}, title='Billing')"


@pytest.fixture
def desk(scripting_desk: Services) -> Services:
    return scripting_desk


def script(desk: Services, source: str, actions: list[str], **more: object) -> None:
    manifest: JSON = {"fields_read": [], "actions": actions, "operations": []}
    content = {"code": "S01", "name": "Find charges", "source": source, "manifest": manifest, **more}
    publish(desk, EntryKind.SCRIPT, content)


def put(desk: Services, item_id: int, field: str, value: str) -> None:
    """A colleague changes a field; nobody decides that yet."""
    with desk.db.write() as connection:
        store.change_item(
            connection,
            store.read_item(connection, item_id, lock=True),
            lines=[store.Lines((SetField(field, value),), Cause("person"))],
            actor=Actor(ActorKind.AGENT, "ana", "Ana"),
            now=desk.clock.now(),
        )


def changed(desk: Services, item_id: int, to: str = "high") -> None:
    """A colleague changes the priority, and the rules decide that; no script runs meanwhile."""
    put(desk, item_id, "priority", to)
    automation.drain(desk)


def while_it_works(desk: Services) -> int:
    """A ticket whose script is queued, and which has changed since. Returns its number."""
    table(desk, RUNS_IT)
    table(desk, READS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.status)).scalars().all() == ["queued"]
    changed(desk, ticket.item_id)
    return ticket.item_id


def test_rows_on_a_card_that_a_script_is_at_work_on_are_decided_when_it_has_ended(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    ticket = while_it_works(desk)
    assert tags(desk, ticket) == []
    skipped = decisions(desk, ticket)[-1].skipped
    assert {one["row"]: one["reason"] for one in skipped} == {
        "A02/r1": "the card that Find charges may be writing",
        "A02/r2": "the card that Find charges may be writing",
    }
    work(desk)
    assert tags(desk, ticket) == ["charged-twice"]
    assert [one.skipped for one in decisions(desk, ticket)[2:]] == [[]] * len(decisions(desk, ticket)[2:])


def test_a_script_that_writes_no_cards_keeps_no_row_from_being_decided(desk: Services) -> None:
    script(desk, "ticket.add_tags(['seen'])", ["add_tags"])
    ticket = while_it_works(desk)
    assert tags(desk, ticket) == ["no-charges"]
    work(desk)
    assert tags(desk, ticket) == ["no-charges", "seen"]


def test_a_script_that_fails_leaves_the_card_missing(desk: Services) -> None:
    script(desk, f"{WRITES}\nticket.set_priority(1 // 0)", ["set_context", "set_priority"])
    ticket = while_it_works(desk)
    assert tags(desk, ticket) == []
    work(desk)
    assert tags(desk, ticket) == ["no-charges"]


def test_a_script_that_is_called_off_leaves_the_card_missing(desk: Services) -> None:
    """Such a run has no event of its own, and nobody looked at its rows again."""
    script(desk, WRITES, ["set_context"])
    ticket = while_it_works(desk)
    with desk.db.write() as connection:
        [run] = forecast.forecast(connection, ticket, desk.clock.now())
        viewer, now = people.viewer(connection, "ana"), desk.clock.now()
        assert viewer is not None
        forecast.call_off(connection, ticket, run.source, run.ref, viewer=viewer, actor=ANA, why="", now=now)
    assert tags(desk, ticket) == []
    work(desk)
    assert tags(desk, ticket) == ["no-charges"]
    assert work(desk) == 0


def test_a_card_is_unknown_while_the_script_that_wrote_it_is_at_work_again(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    table(desk, RUNS_IT.replace("{on: created}", "{on: created}, {on: changed, field: status}"))
    ticket = a_ticket(desk.db).item_id
    work(desk)
    table(desk, READS_IT)
    put(desk, ticket, "status", "waiting_team")
    automation.drain(desk)
    changed(desk, ticket)
    assert tags(desk, ticket) == []
    work(desk)
    assert tags(desk, ticket) == ["charged-twice"]


def test_what_leaves_by_such_a_row_waits_for_the_script_and_is_cancelled_by_its_card(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    table(desk, RUNS_IT.replace("{on: created}", "{on: changed, field: priority}"))
    table(desk, READS_IT.replace("{on: changed, field: priority}", "{on: created}"))
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    assert tags(desk, ticket) == ["no-charges"]
    wrote = {"event": decisions(desk, ticket)[0].event_id, "row_key": "A02/r1"}

    def no() -> str:
        with desk.db.write() as connection:
            found = store.read_item(connection, ticket)
            return row_says_no(desk, connection, found, wrote, desk.clock.now(), did="wrote it")

    assert no() == ""
    changed(desk, ticket)
    with pytest.raises(NotKnownNow):
        no()
    assert runs.run_due(desk) == 1
    with pytest.raises(NotKnownNow):  # its card comes with its event, which nobody has handled yet
        no()
    work(desk)
    assert no() == "the row of A02 that wrote it does not match any more"


def test_a_run_that_has_ended_counts_by_the_version_it_was_of(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    table(desk, RUNS_IT)
    table(desk, READS_IT)
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    put(desk, ticket, "priority", "high")
    manifest: JSON = {"fields_read": [], "actions": ["add_tags"], "operations": []}
    second: dict[str, JSON] = {"name": "Find charges", "source": "ticket.add_tags(['seen'])", "manifest": manifest}
    with desk.db.write() as connection:
        first = rule_list.entry(connection, "S01").draft_count
        seen = rule_list.save_draft(connection, "S01", second, author="ana", seen=first, now=desk.clock.now())
        rule_list.publish(connection, "S01", author="ana", note="", seen=seen, now=desk.clock.now())
    assert runs.run_due(desk) == 1
    work(desk)
    assert tags(desk, ticket) == ["charged-twice"]


def test_rows_are_looked_for_as_far_back_as_the_run_was_asked_for_and_a_bound_is_told(
    desk: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scripts_at_work, "DECISIONS", 4)
    script(desk, WRITES, ["set_context"])
    table(desk, RUNS_IT.replace("{on: created}", "{on: changed, field: status}"))
    table(desk, READS_IT)
    ticket = a_ticket(desk.db).item_id
    for priority in ("high", "low", "normal"):
        changed(desk, ticket, priority)
    assert tags(desk, ticket) == ["no-charges"]
    put(desk, ticket, "status", "waiting_team")
    automation.drain(desk)
    changed(desk, ticket)
    work(desk)
    assert tags(desk, ticket) == ["charged-twice", "no-charges"]
    assert "looked_back_no_further" not in caplog.text
    put(desk, ticket, "status", "open")
    automation.drain(desk)
    for priority in ("low", "normal", "high", "low"):
        changed(desk, ticket, priority)
    work(desk)
    assert "looked_back_no_further" in caplog.text


def test_an_event_that_is_given_back_after_the_script_had_ended_waits_for_it_no_more(desk: Services) -> None:
    script(desk, f"{WRITES}\nticket.set_priority(1 // 0)", ["set_context", "set_priority"])
    table(desk, RUNS_IT)
    table(desk, READS_IT)
    ticket = a_ticket(desk.db).item_id
    automation.drain(desk)
    put(desk, ticket, "priority", "high")
    with desk.db.write() as connection:
        aside = update(EventRow).where(EventRow.item_id == ticket, EventRow.seq == 2)
        connection.execute(aside.values(status="parked", error="The disk was full"))
    work(desk)
    assert tags(desk, ticket) == []
    with desk.db.write() as connection:
        assert parked.handle_again(connection, desk.clock.now()) == 1
    work(desk)
    assert tags(desk, ticket) == ["no-charges"]


def test_rows_wait_for_a_script_whose_own_event_is_set_aside_and_are_decided_once_when_it_is_given_back(
    desk: Services,
) -> None:
    script(desk, WRITES, ["set_context"])
    ticket = while_it_works(desk)
    assert runs.run_due(desk) == 1
    of_the_run = EventRow.kind == EventKind.SCRIPT
    with desk.db.write() as connection:
        connection.execute(update(EventRow).where(of_the_run).values(status="parked", error="The disk was full"))
    work(desk)
    assert tags(desk, ticket) == []
    with desk.db.read() as connection:
        [one] = parked.parked(connection)
    assert (one.kind, one.waits) == (EventKind.SCRIPT, ("A02/r1", "A02/r2"))
    [found] = parked.rehearse(desk, ana(desk))
    assert (found.waits, found.nothing, found.error) == (one.waits, False, "")
    with desk.db.write() as connection:
        assert [parked.handle_again(connection, desk.clock.now()) for _ in range(2)] == [1, 0]
    work(desk)
    assert tags(desk, ticket) == ["charged-twice"]
    with desk.db.read() as connection:
        looks = connection.execute(select(EventRow.id).where(EventRow.kind == EventKind.LATE_ANSWER)).all()
        assert (len(looks), parked.parked(connection)) == (1, [])


def test_a_ticket_whose_script_is_at_work_is_not_counted_for_either_row(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    a_ticket(desk.db)
    automation.drain(desk)
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    automation.drain(desk)

    def counted() -> Mapping[str, Count]:
        with desk.db.read() as connection:
            live = desk.live.current(connection)
            read = parse_table(files.load(READS_IT), live.vocabulary)
            compiled = CompiledTable.of(Entry("A02", read.name, 1, 1, True, read), 0, read, live.vocabulary)
            viewer = people.viewer(connection, "ana")
            assert viewer is not None
            given = (connection, compiled, live.vocabulary, live.scripts, viewer, desk.clock.now())
            return counts(*given, rows=["r1", "r2"], elapsed=lambda: 0.0).rows

    assert counted() == {"r1": Count(1, Why.BROKEN), "r2": Count(0, Why.BROKEN)}
    work(desk)
    assert counted() == {"r1": Count(1), "r2": Count(1)}


def test_rules_that_run_when_a_script_has_ended_see_the_card_it_wrote(desk: Services) -> None:
    script(desk, WRITES, ["set_context"])
    table(desk, RUNS_IT)
    table(desk, READS_IT.replace("{on: changed, field: priority}", "{on: script_finished}"))
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["charged-twice"]


def test_rules_behind_a_step_that_waited_for_a_script_see_the_card_it_wrote(desk: Services) -> None:
    script(desk, WRITES, ["set_context"], wait_s=60)
    table(desk, RUNS_IT)
    table(desk, READS_IT.replace("{on: changed, field: priority}", "{on: created}"))
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["charged-twice"]
    assert all(one.skipped == [] for one in decisions(desk, ticket.item_id))
