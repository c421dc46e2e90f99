"""A list that waits for a script: later steps and later rows hold, its actions come first, `stop` blocks the rest."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from jobs import automation, lanes, runs
from jobs.services import Services
from jobs.tables import DecisionRow, RunRow
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, decisions, events, publish, table, tags, work
from tickets.tables import EventRow, History, Message

#: Runs the script, then does two more things; the second row and the second table come behind it.
FIRST = """
code: A01
name: Check
kind: ticket
triggers: [{on: created}]
hit: every
columns: [{id: c1, field: ticket.priority, op: is}]
steps: [{id: s1, do: add_tags}, {id: s2, do: run_script}, {id: s3, do: add_tags}]
rows:
  - {id: r1, then: {s1: {tags: [before]}, s2: {script: S01}, s3: {tags: [after]}}}
  - {id: r2, if: {c1: {value: high}}, then: {s1: {tags: [high-row]}}}
"""
BEHIND = """
code: A02
name: Behind
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.priority, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: high}}, then: {s1: {tags: [behind]}}}]
otherwise: {then: {s1: {tags: [behind-otherwise]}}}
"""
#: What its second row asks is not asked before the script, which sets what that row looks at first, has ended.
RUNS_AND_ASKS = """
code: A01
name: Runs and asks
kind: ticket
triggers: [{on: created}]
hit: every
wait_s: 30
columns: [{id: c1, field: ticket.tags, op: has_any}, {id: c2, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: run_script}, {id: s2, do: add_tags}]
rows:
  - {id: r1, then: {s1: {script: S01}}}
  - {id: r2, if: {c1: {value: [ran]}, c2: {value: gold}}, then: {s2: {tags: [gold]}}}
"""
ENDED = """
code: A03
name: When it ended
kind: ticket
triggers: [{on: script_finished, script: S01}]
hit: first
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [told]}}}]
"""


@pytest.fixture
def desk(scripting_desk: Services) -> Services:
    return scripting_desk


def script(services: Services, source: str, *, code: str = "S01", wait_s: int = 60) -> None:
    publish(services, EntryKind.SCRIPT, {"code": code, "name": "Credit", "source": source, "wait_s": wait_s})


def waiting(services: Services) -> list[str]:
    with services.db.read() as connection:
        return list(connection.execute(select(EventRow.kind).where(EventRow.status == "waiting")).scalars())


def tables(services: Services) -> None:
    for one in (FIRST, BEHIND):
        table(services, one)


def test_later_steps_rows_and_tables_hold_until_the_run_ended_and_see_what_it_did(desk: Services) -> None:
    script(desk, "ticket.set_priority('high')\nticket.add_tags(['scripted'])")
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    assert tags(desk, ticket.item_id) == ["before"]
    assert waiting(desk) == ["created"]
    work(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind", "high-row", "scripted"]
    assert waiting(desk) == []
    parts = [one for one in decisions(desk, ticket.item_id) if one.part > 1 or one.outcome == "waiting"]
    assert [one.outcome for one in parts] == ["waiting", "acted"]
    assert parts[0].notes == ["A01/r1 waits for S01 (Credit), at most 60 s"]
    assert [entry["code"] for entry in parts[0].trace["entries"]] == ["A01"]
    assert [row["row"] for row in parts[0].trace["entries"][0]["rows"]] == ["r1"]


def test_a_run_that_was_waited_for_is_applied_once_with_its_own_cause(desk: Services) -> None:
    script(desk, "ticket.set_priority('high')\nticket.add_note('once')")
    tables(desk)
    table(desk, ENDED)
    ticket = a_ticket(desk.db)
    work(desk)
    assert "told" in tags(desk, ticket.item_id)
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
        causes = list(connection.execute(select(History.cause).where(History.field == "priority")).scalars())
    assert notes == ["once"]
    assert [(one["kind"], one["code"]) for one in causes] == [("script", "S01")]


def test_stop_blocks_the_later_steps_and_the_rest_of_the_list_and_shows_the_reason(desk: Services) -> None:
    script(desk, "ticket.add_tags(['scripted'])\nstop('not ours')")
    tables(desk)
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["before", "scripted"]
    last = next(one for one in decisions(desk, ticket.item_id) if one.part == 2)
    assert last.notes == ["Credit stopped it: not ours"]
    assert [(one["step"], one["result"], one["reason"]) for one in last.done if one["code"] == "A01"] == [
        ("s3", "stopped", "Credit stopped it: not ours")
    ]
    assert waiting(desk) == []


def test_a_run_that_takes_too_long_is_not_waited_for_and_applied_when_it_ends(desk: Services) -> None:
    script(desk, "ticket.add_tags(['late'])", wait_s=5)
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    clock_of(desk).forward(seconds=4)
    assert automation.drain(desk) == 0
    assert tags(desk, ticket.item_id) == ["before"]
    clock_of(desk).forward(seconds=1)
    automation.drain(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind-otherwise"]
    second = next(one for one in decisions(desk, ticket.item_id) if one.part == 2)
    assert second.notes[0] == "Credit took longer than the rules wait for it; they went on without it"
    work(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind-otherwise", "late"]


def test_a_run_that_failed_applies_nothing_and_the_list_goes_on_and_says_so(desk: Services) -> None:
    script(desk, "ticket.add_tags(['never'])\n1 / 0")
    tables(desk)
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind-otherwise"]
    second = next(one for one in decisions(desk, ticket.item_id) if one.part == 2)
    assert second.notes[0] == "Credit did not end well (failed); the rules went on without it"


def test_something_else_that_wakes_the_lane_does_not_end_the_wait(desk: Services) -> None:
    script(desk, "ticket.add_tags(['scripted'])")
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:
        from jobs import lanes

        lanes.wake(connection, ticket.item_id, clock_of(desk).now())
    automation.drain(desk)
    assert (tags(desk, ticket.item_id), waiting(desk)) == (["before"], ["created"])
    with desk.db.read() as connection:
        assert len(connection.execute(select(DecisionRow.id)).all()) == 1
    work(desk)
    assert "after" in tags(desk, ticket.item_id)


def test_a_worker_that_dies_while_the_run_runs_changes_nothing(desk: Services) -> None:
    script(desk, "ticket.set_priority('high')\nticket.add_note('once')")
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:
        dead = {"lease_until": clock_of(desk).now(), "token": "dead", "status": "running", "attempt": 1}
        connection.execute(update(RunRow).values(**dead))
    clock_of(desk).forward(seconds=1)
    work(desk)
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
    assert notes == ["once"]
    assert tags(desk, ticket.item_id) == ["after", "before", "behind", "high-row"]


def test_two_scripts_in_one_row_run_one_after_the_other(desk: Services) -> None:
    script(desk, "ticket.add_tags(['one'])")
    script(desk, "ticket.add_tags(['two-saw-' + str(len(ticket.tags))])", code="S02")
    table(
        desk,
        """
code: A01
name: Two
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}, {id: s2, do: run_script}, {id: s3, do: add_tags}]
rows: [{id: r1, then: {s1: {script: S01}, s2: {script: S02}, s3: {tags: [end]}}}]
otherwise: {then: {s3: {tags: [never]}}}
""",
    )
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["end", "one", "two-saw-1"]


def test_a_script_without_a_wait_holds_nothing(desk: Services) -> None:
    script(desk, "ticket.set_priority('high')", wait_s=0)
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind-otherwise"]
    assert waiting(desk) == []


def test_a_wait_is_bounded_whatever_the_version_says() -> None:
    from jobs.holding import wait_s
    from rules.script_params import LONGEST_WAIT_S

    assert [wait_s({"wait_s": given}) for given in (10**9, -5, True, "60", None, 30)] == [
        LONGEST_WAIT_S, 0, 0, 0, 0, 30,
    ]  # fmt: skip
    assert wait_s({}) == 0


def test_the_table_that_waits_may_be_changed_meanwhile(desk: Services) -> None:
    script(desk, "ticket.add_tags(['scripted'])")
    tables(desk)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:
        from rules import store as rule_list

        rule_list.switch(connection, "A01", enabled=False)
    runs.run_due(desk)
    work(desk)
    assert tags(desk, ticket.item_id) == ["after", "before", "behind-otherwise", "scripted"]


def test_what_the_same_table_asks_after_a_script_is_waited_for_in_full(crm_desk: Services) -> None:
    """It got what was left of the wait for the script: here a second."""
    script(crm_desk, "ticket.add_tags(['ran'])")
    table(crm_desk, RUNS_AND_ASKS)
    ticket = a_ticket(crm_desk.db).item_id
    automation.drain(crm_desk)
    clock_of(crm_desk).forward(seconds=59)
    runs.run_due(crm_desk)
    automation.drain(crm_desk)
    clock_of(crm_desk).forward(seconds=29)
    automation.drain(crm_desk)
    assert events(crm_desk)[0] == (0, "waiting")
    work(crm_desk)
    assert set(tags(crm_desk, ticket)) == {"gold", "ran"}


def test_the_wait_after_a_script_ends_in_its_own_time(crm_desk: Services) -> None:
    script(crm_desk, "ticket.add_tags(['ran'])")
    table(crm_desk, RUNS_AND_ASKS)
    ticket = a_ticket(crm_desk.db).item_id
    automation.drain(crm_desk)
    runs.run_due(crm_desk)
    for _ in range(30):  # however often the lane is woken
        automation.drain(crm_desk)
        assert events(crm_desk)[0] == (0, "waiting")
        clock_of(crm_desk).forward(seconds=1)
        with crm_desk.db.write() as connection:
            lanes.wake(connection, ticket, crm_desk.clock.now())
    automation.drain(crm_desk)
    assert events(crm_desk)[0] == (1, "done")
    assert tags(crm_desk, ticket) == ["ran"]
