"""The ledger of rows that fired: once per episode, once per ticket, at most every so often, through every version."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from jobs.services import Services
from jobs.tables import LedgerRow
from rules import store as rule_list
from tests.builders import ANA, BY_ANA, a_ticket
from tests.jobs.desk import clock_of, decisions, table, work
from tickets import store
from tickets.effects import SetField
from tickets.tables import Message

NUDGE = """
code: A05
name: Tell the team that the customer wrote
triggers: [{on: message, by: customer}]
steps: [{id: s1, do: post_message}]
rows:
  - {id: r1, rearm: %s, then: {s1: {text: The customer wrote., public: false}}}
"""


def writes(services: Services, item_id: int) -> None:
    with services.db.write() as connection:
        item = store.read_item(connection, item_id, lock=True)
        said = store.NewMessage(author="customer", public=True, channel="email", text="And?")
        store.change_item(connection, item, lines=(), messages=[said], actor=ANA, now=services.clock.now())
    work(services)


def set_status(services: Services, item_id: int, status: str) -> None:
    with services.db.write() as connection:
        item = store.read_item(connection, item_id, lock=True)
        lines = [store.Lines((SetField("status", status),), BY_ANA)]
        store.change_item(connection, item, lines=lines, actor=ANA, now=services.clock.now())
    work(services)


def nudges(services: Services) -> int:
    with services.db.read() as connection:
        return len(connection.execute(select(Message.id).where(Message.author_kind == "bot")).all())


def a_nudged_ticket(services: Services, rearm: str) -> int:
    table(services, NUDGE % rearm)
    item_id = a_ticket(services.db).item_id
    work(services)
    writes(services, item_id)
    assert nudges(services) == 1
    return item_id


def test_once_per_ticket_is_once_whatever_happens_and_the_page_says_so(desk: Services) -> None:
    item_id = a_nudged_ticket(desk, "once_per_item")
    set_status(desk, item_id, "waiting_team")
    clock_of(desk).forward(days=30)
    writes(desk, item_id)
    assert nudges(desk) == 1
    [row] = decisions(desk, item_id)[-1].trace["entries"][0]["rows"]
    assert (row["verdict"], row["reason"]) == (
        "held",
        "It matched, but fires once per ticket and fired on 2026-11-21 09:30 UTC.",
    )


def test_every_time_is_every_time_and_keeps_no_ledger(desk: Services) -> None:
    item_id = a_nudged_ticket(desk, "every_time")
    writes(desk, item_id)
    assert nudges(desk) == 2
    with desk.db.read() as connection:
        assert connection.execute(select(LedgerRow.row_key)).all() == []


def test_once_per_episode_is_once_for_each_stay_in_a_status(desk: Services) -> None:
    item_id = a_nudged_ticket(desk, "once_per_episode")
    writes(desk, item_id)
    assert nudges(desk) == 1
    clock_of(desk).forward(minutes=1)
    set_status(desk, item_id, "waiting_team")
    writes(desk, item_id)
    assert nudges(desk) == 2


def test_at_most_every_day_begins_with_the_last_time_it_fired(desk: Services) -> None:
    item_id = a_nudged_ticket(desk, "24 h")
    clock_of(desk).forward(hours=23)
    writes(desk, item_id)
    assert nudges(desk) == 1
    clock_of(desk).forward(hours=1)
    writes(desk, item_id)
    assert nudges(desk) == 2


@pytest.mark.parametrize(("same_id", "expected"), [(True, 1), (False, 2)])
def test_the_ledger_goes_by_row_ids_through_new_versions(desk: Services, same_id: bool, expected: int) -> None:
    item_id = a_nudged_ticket(desk, "once_per_item")
    with desk.db.write() as connection:
        live = rule_list.entry(connection, "A05")
        assert live.content is not None
        row: dict[str, Any] = live.content["rows"][0]
        rows = [{**row, "id": "r9"}] if not same_id else [row]
        now = desk.clock.now()
        draft = {**live.content, "name": "Better", "rows": rows}
        seen = rule_list.save_draft(connection, "A05", draft, author="ana", seen=live.draft_count, now=now)
        rule_list.publish(connection, "A05", author="ana", note="", seen=seen, now=now)
    writes(desk, item_id)
    assert nudges(desk) == expected
