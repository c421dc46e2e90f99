"""What scripts see of the ticket's context cards."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from jobs import runs
from jobs.services import Services
from jobs.tables import RunRow
from rules.store import EntryKind
from sandbox.contract import Manifest
from tests.builders import a_ticket
from tests.connectors.upstream import Reply, Upstream
from tests.jobs.desk import BY_TIER, item, publish, table, work
from tests.jobs.tables import script
from tickets.values import JSON


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


#: When a card comes, a script reads it.
ON_A_CARD = """
code: A02
name: Read the card
kind: ticket
triggers: [{on: context_updated}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""
READS = 'print(json.dumps(dict(ticket.context["crm.find_customer"])))'


def printed(desk: Services) -> list[JSON]:
    with desk.db.read() as connection:
        row = connection.execute(select(RunRow.status, RunRow.outcome)).one()
    assert row.status == "finished", row.outcome["error"]
    return [json.loads(one["text"]) for one in row.outcome["log"]]


def agreed(desk: Services, source: str, manifest: Manifest) -> None:
    content = {"code": "S01", "name": "Read", "source": source}
    publish(desk, EntryKind.SCRIPT, runs.with_manifest(content, manifest))


def test_a_script_reads_a_card_with_where_it_is_from(desk: Services) -> None:
    script(desk, f'{READS}\nticket.add_tags([ticket.context["crm.find_customer"].data.tier])')
    table(desk, BY_TIER)
    table(desk, ON_A_CARD)
    ticket = a_ticket(desk.db)
    work(desk)
    (card,) = printed(desk)
    assert isinstance(card, dict)
    assert card.pop("fetched_at") is not None
    assert card.pop("fresh_until") is not None
    assert card == {
        "data": {"id": "c1", "name": "Camille", "tier": "gold"},
        "title": "crm: find customer",
        "source": "crm.find_customer",
        "error": None,
    }
    assert item(desk, ticket.item_id).state["tags"] == ["gold"]


def test_a_card_of_a_lookup_that_failed_says_why_and_has_no_data(desk: Services, crm: Upstream) -> None:
    crm.answer = lambda _: Reply(status=400)
    script(desk, READS)
    table(desk, BY_TIER)
    table(desk, ON_A_CARD)
    a_ticket(desk.db)
    work(desk)
    (card,) = printed(desk)
    assert isinstance(card, dict)
    assert card["data"] is None
    assert card["error"]


def test_a_card_that_is_not_there_is_none_and_an_error_that_names_it(desk: Services) -> None:
    script(desk, 'print(json.dumps([ticket.context.get("crm"), "crm" in ticket.context]))\nticket.context["crm"]')
    table(desk, ON_A_CARD.replace("context_updated", "created"))
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        outcome = connection.execute(select(RunRow.outcome)).scalar_one()
    assert [one["text"] for one in outcome["log"]] == ["[null, false]"]
    assert (outcome["error"]["code"], outcome["error"]["line"]) == ("RUNTIME", 2)
    assert "crm" in outcome["error"]["message"]


@pytest.mark.parametrize(
    ("reads", "seen"),
    [
        (("ticket.context.crm.find_customer",), ["crm.find_customer"]),
        (("ticket.context",), ["crm.find_customer"]),
        (("ticket.*",), ["crm.find_customer"]),
        (("ticket.context.crm",), []),
        (("ticket.context.other", "ticket.subject"), []),
        ((), []),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_only_the_cards_of_the_manifest_are_handed_over(
    desk: Services, reads: tuple[str, ...], seen: list[str]
) -> None:
    agreed(desk, "print(json.dumps(sorted(ticket.context)))", Manifest(reads))
    table(desk, BY_TIER)
    table(desk, ON_A_CARD)
    a_ticket(desk.db)
    work(desk)
    assert printed(desk) == [seen]


def test_cards_are_read_only(desk: Services) -> None:
    script(desk, 'ticket.context["crm"] = {"data": {}}')
    table(desk, ON_A_CARD.replace("context_updated", "created"))
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.status)).scalar_one() in ("failed", "refused")
