"""A table that runs again does so for what was written before the event waited, as it would without a wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors import store as connections
from jobs import automation
from jobs.services import Services
from jobs.tables import DecisionRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.connectors.upstream import Upstream, as_json
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import a_working_desk, clock_of, item, publish, table, work
from tests.jobs.tables import ERP
from tickets.tables import EventRow

#: Reads the priority, which entries behind it set, and says what it saw.
READER = """
code: A01
name: Reader
kind: ticket
triggers: [{on: created}]
hit: first
run_again: true
columns: [{id: c1, field: ticket.priority, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: high}}, then: {s1: {tags: [seen-high]}}}]
"""
WRITER = """
code: A02
name: Writer
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: set_priority}]
rows: [{id: r1, then: {s1: {priority: high}}}]
"""
DEBTORS = """
code: A03
name: Debtors
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 60
columns: [{id: c1, field: erp.find_party.receivable, op: greater}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: "100.00"}}, then: {s1: {tags: [debtor]}}}]
"""
SCRIPTED = """
code: A03
name: Scripted
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}, {id: s2, do: add_tags}]
rows: [{id: r1, then: {s1: {script: S01}, s2: {tags: [after]}}}]
"""


@pytest.fixture
def desk(database_url: str, tmp_path: Path, sandbox_service: SandboxService) -> Iterator[Services]:
    erp = Upstream(lambda _: as_json([{"id": "7", "name": "Camille", "receivable": "149.70"}]))
    limits = {"sandbox_socket": str(sandbox_service.socket), "address_ceiling": "127.0.0.0/8"}
    with a_working_desk(database_url, tmp_path, **limits) as services:
        with services.db.write() as connection:
            connections.save_connection(
                connection,
                services.box,
                name="erp",
                kind="http_json",
                config={**ERP, "base_url": erp.url},
                label="ERP",
                now=clock_of(services).at,
            )
            rule_list.bump(connection)
        yield services
    erp.close()


def tags_after(desk: Services, *tables: str, waits: bool) -> list[str]:
    """The tags of a new ticket once all is done; its event stops on the way, or does not."""
    for one in tables:
        table(desk, one)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.read() as connection:
        waiting = connection.execute(select(EventRow.id).where(EventRow.status == "waiting")).first()
    assert (waiting is not None) is waits
    work(desk)
    found = item(desk, ticket.item_id).state.get("tags", [])
    assert isinstance(found, list)
    return [str(one) for one in found]


def script(desk: Services, source: str) -> None:
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Check", "source": source, "wait_s": 60})


@pytest.mark.slow
def test_without_a_wait_a_later_write_makes_the_table_run_again(desk: Services) -> None:
    assert tags_after(desk, READER, WRITER, waits=False) == ["seen-high"]


def test_a_write_before_the_wait_for_a_lookup_makes_the_table_run_again_after_it(desk: Services) -> None:
    assert tags_after(desk, READER, WRITER, DEBTORS, waits=True) == ["debtor", "seen-high"]


def test_a_write_before_the_wait_for_a_script_makes_the_table_run_again_after_it(desk: Services) -> None:
    script(desk, "ticket.add_tags(['scripted'])")
    assert tags_after(desk, READER, WRITER, SCRIPTED, waits=True) == ["after", "scripted", "seen-high"]


def test_what_the_script_wrote_that_a_later_table_waited_for_makes_the_table_run_again(desk: Services) -> None:
    script(desk, "ticket.set_priority('high')")
    assert tags_after(desk, READER, SCRIPTED, waits=True) == ["after", "seen-high"]


def test_a_table_that_did_not_ask_for_it_does_not_run_again_after_a_wait(desk: Services) -> None:
    once = READER.replace("run_again: true\n", "")
    assert tags_after(desk, once, WRITER, DEBTORS, waits=True) == ["debtor"]


def test_what_a_table_wrote_itself_before_the_wait_does_not_make_it_run_again_after_it(desk: Services) -> None:
    """Its second row did not see what its first one wrote, and would match by now."""
    steps = "[{id: s2, do: set_priority}, {id: s1, do: add_tags}]"
    own = READER.replace("hit: first", "hit: every").replace("[{id: s1, do: add_tags}]", steps)
    own = own.replace("rows: [", "rows: [{id: r0, then: {s2: {priority: high}}}, ")
    assert tags_after(desk, own, DEBTORS, waits=True) == ["debtor"]


def readers_row(desk: Services) -> list[list[str]]:
    """What each part of the event's decision says of the reader's row: its verdict, where it is in the trace."""
    with desk.db.read() as connection:
        traces = connection.execute(select(DecisionRow.trace).order_by(DecisionRow.id)).scalars().all()
    return [
        [row["verdict"] for entry in trace["entries"] if entry["code"] == "A01" for row in entry["rows"]]
        for trace in traces
    ]


def test_why_an_event_stopped_at_a_script_does_not_tell_of_what_runs_again_behind_it(desk: Services) -> None:
    """The reader runs again when the list has been gone through, which is after the wait: that part says so."""
    script(desk, "ticket.add_tags(['scripted'])")
    for one in (READER, WRITER, SCRIPTED):
        table(desk, one)
    a_ticket(desk.db)
    automation.drain(desk)
    assert readers_row(desk) == [["not_matched"]]
    work(desk)
    assert readers_row(desk)[0] == ["not_matched"]
    assert ["fired"] in readers_row(desk)[1:]
