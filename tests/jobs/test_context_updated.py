"""The trigger "context updated": an answer, a row's and a script's card each raise it, for tables of that card only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from jobs.services import Services
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.connectors.upstream import Upstream, as_json
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import BY_TIER, a_desk_with_a_crm, decisions, item, publish, table, work
from tickets.events import EventKind
from tickets.store import AnyRow
from tickets.tables import EventRow

WRITES = """
code: A01
name: Write a card
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: set_context}]
rows: [{id: r1, then: {s1: {key: origin, data: {campaign: autumn}}}}]
"""

RUNS = """
code: A01
name: Run the script
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""

LISTENS = """
code: A02
name: Told of a card
kind: ticket
triggers: [{on: context_updated, key: KEY}]
hit: first
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [told]}}}]
"""

SOURCES = pytest.mark.parametrize(
    ("source", "card"),
    [
        pytest.param(BY_TIER, "crm.find_customer", id="a lookup's answer"),
        pytest.param(WRITES, "origin", id="a row"),
        pytest.param(RUNS, "origin", id="a script"),
    ],
)


@pytest.fixture
def desk(database_url: str, tmp_path: Path, sandbox_service: SandboxService) -> Iterator[Services]:
    crm = Upstream(lambda _: as_json([{"id": "c1", "name": "Camille", "tier": "gold"}]))
    with a_desk_with_a_crm(database_url, tmp_path, crm.url, str(sandbox_service.socket)) as services:
        source = 'ticket.set_context("origin", {"campaign": "autumn"}, title="Origin")\n'
        publish(services, EntryKind.SCRIPT, {"code": "S01", "name": "Origin", "source": source})
        yield services
    crm.close()


def told(services: Services) -> list[AnyRow]:
    """The events that tell of cards."""
    columns = (EventRow.id, EventRow.kind, EventRow.changes, EventRow.payload, EventRow.actor_kind)
    with services.db.read() as connection:
        found = connection.execute(select(*columns).order_by(EventRow.id)).all()
    return [one for one in found if "keys" in one.payload]


@SOURCES
def test_a_card_raises_context_updated_and_a_table_that_waits_for_it_acts(
    desk: Services, source: str, card: str
) -> None:
    table(desk, source)
    table(desk, LISTENS.replace("KEY", card))
    ticket = a_ticket(desk.db)
    work(desk)
    [event] = told(desk)
    assert (event.kind, event.payload["keys"]) == (EventKind.CONTEXT, [card])
    assert (event.changes, event.actor_kind) == ([], "automation")
    assert item(desk, ticket.item_id).state["tags"] == ["told"]
    [acted] = [one for one in decisions(desk, ticket.item_id) if one.event_id == event.id]
    assert [one["code"] for one in acted.trace["entries"]] == ["A02"]


@SOURCES
def test_a_table_that_waits_for_another_card_does_nothing(desk: Services, source: str, card: str) -> None:
    table(desk, source)
    table(desk, LISTENS.replace("KEY", "billing"))
    ticket = a_ticket(desk.db)
    work(desk)
    [event] = told(desk)
    assert (event.kind, event.payload["keys"]) == (EventKind.CONTEXT, [card])
    assert "tags" not in item(desk, ticket.item_id).state
    assert [one.outcome for one in decisions(desk, ticket.item_id) if one.event_id == event.id] == ["checked"]
