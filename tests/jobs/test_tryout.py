"""Trying a script: the real jail, the real plan, and a ticket and a desk that are afterwards what they were."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete

from connectors.store import RecordTable
from jobs.services import Services
from jobs.tables import RunRow
from jobs.tryout import Mode, RecordedGateway, answers_of, try_script
from rules import store as rule_list
from rules.store import EntryKind
from sandbox.contract import Answer, CallFailed
from tests.builders import MORNING, a_ticket, dump
from tests.connectors.upstream import Upstream
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import ana, item, publish, table, work
from tests.jobs.tables import RUNS_IT, SCRIPT
from tickets.errors import ItemNotFound

ASKS = """
person = crm.find_customer(email=customer.email)
log("tier", person.tier if person else "none")
ticket.add_tags(["tier-" + person.tier])
"""


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def test_a_try_says_before_and_after_and_changes_nothing(desk: Services, crm: Upstream) -> None:
    ticket = a_ticket(desk.db, priority="low")
    before = dump(desk.db)
    source = 'ticket.set_priority("high")\nticket.add_tags(["vip"])\nticket.add_note("Look here")\nlog("done", 3)\n'
    tried = try_script(desk, source, ticket.item_id, ana(desk), Mode.RECORDED)
    assert tried.outcome.status == "finished"
    assert [(one.line, one.kind, one.about, one.before, one.after) for one in tried.effects[:2]] == [
        (1, "field", "priority", "low", "high"),
        (2, "field", "tags", None, ["vip"]),
    ]
    assert (tried.effects[2].kind, tried.effects[2].text) == ("note", "Look here")
    assert [(one.line, one.text) for one in tried.outcome.log] == [(4, "done 3")]
    assert dump(desk.db) == before
    assert crm.asked == []


def test_an_action_that_would_change_nothing_is_named_by_its_line(desk: Services) -> None:
    ticket = a_ticket(desk.db, priority="high")
    tried = try_script(desk, 'ticket.set_priority("high")\n', ticket.item_id, ana(desk), Mode.RECORDED)
    assert (tried.effects, tried.idle) == ((), (1,))


def test_recorded_mode_opens_no_connection_and_says_what_is_not_recorded(desk: Services, crm: Upstream) -> None:
    ticket = a_ticket(desk.db)
    before = dump(desk.db)
    tried = try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.RECORDED)
    assert crm.asked == []
    assert tried.outcome.status == "failed"
    assert tried.outcome.error is not None
    assert tried.outcome.error.code == "CONNECTOR"
    assert [(one.status, one.message) for one in tried.outcome.calls] == [
        ("unavailable", "crm.find_customer with these inputs is not recorded")
    ]
    assert tried.effects == ()
    assert dump(desk.db) == before


def test_live_mode_asks_and_the_answer_is_then_recorded(desk: Services, crm: Upstream) -> None:
    ticket = a_ticket(desk.db)
    live = try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.LIVE)
    assert len(crm.asked) == 1
    assert [one.after for one in live.effects] == [["tier-gold"]]
    assert "tags" not in item(desk, ticket.item_id).state
    recorded = try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.RECORDED)
    assert len(crm.asked) == 1
    assert recorded.effects == live.effects


def test_recorded_mode_uses_what_the_tickets_own_run_was_told(desk: Services, crm: Upstream) -> None:
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Enrich", "source": SCRIPT})
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.write() as connection:
        connection.execute(delete(RecordTable))
    tried = try_script(desk, ASKS.replace("tier-", "again-"), ticket.item_id, ana(desk), Mode.RECORDED)
    assert [one.after for one in tried.effects] == [["again-gold", "tier-gold"]]
    assert len(crm.asked) == 1


def test_a_recorded_failure_of_then_is_not_repeated(desk: Services) -> None:
    told = answers_of([{"connection": "crm", "operation": "find_customer", "args": {"email": "a@b.c"},
                        "status": "unavailable", "message": "down"}])  # fmt: skip
    gateway = RecordedGateway(told)
    with pytest.raises(CallFailed, match="down"):
        gateway.call("crm", "find_customer", {"email": "a@b.c"}, deadline_s=1)
    ticket = a_ticket(desk.db)
    with desk.db.write() as connection:
        connection.execute(
            RunRow.__table__.insert().values(  # type: ignore[attr-defined]
                key="k", item_id=ticket.item_id, event_id=ticket.event_id, script=publish_script(connection), version=1,
                params={}, cause={}, root_id=ticket.event_id, depth=1, status="failed", attempt=1,
                outcome={"calls": [{"connection": "crm", "operation": "find_customer",
                                    "args": {"email": "camille@example.com"}, "status": "unavailable",
                                    "message": "down"}]},
                created_at=desk.clock.now(),
            )
        )  # fmt: skip
    tried = try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.RECORDED)
    assert tried.outcome.calls[0].message == "crm.find_customer with these inputs is not recorded"


def publish_script(connection: Any) -> str:
    return rule_list.create(
        connection, EntryKind.SCRIPT, "Enrich", {"source": ""}, author="ana", now=MORNING, code="S09"
    )


def test_recorded_answers_are_found_whatever_the_order_of_inputs() -> None:
    gateway = RecordedGateway(
        answers_of([{"connection": "erp", "operation": "find", "args": {"a": "1", "b": "2"}, "answer": {"id": 7}}])
    )
    said = gateway.call("erp", "find", {"b": "2", "a": "1", "c": None}, deadline_s=1)
    assert said == Answer({"id": 7}, source="erp.find")


def test_wrong_actions_are_refused_with_the_line_and_nothing_would_be_done(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    tried = try_script(
        desk, 'ticket.add_tags(["x"])\nticket.assign_team("biling")\n', ticket.item_id, ana(desk), Mode.RECORDED
    )
    assert tried.effects == ()
    assert tried.refused.startswith("Line 2: There is no team 'biling'. Did you mean 'billing'?")


def test_a_ticket_the_viewer_may_not_see_is_not_tried_on(desk: Services) -> None:
    ticket = a_ticket(desk.db, team="hr")
    with pytest.raises(ItemNotFound):
        try_script(desk, "log(ticket.subject)\n", ticket.item_id, ana(desk), Mode.RECORDED)


def test_a_script_with_errors_is_not_run(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    tried = try_script(desk, "import os\n", ticket.item_id, ana(desk), Mode.LIVE)
    assert tried.outcome.status == "refused"
    assert tried.outcome.error is not None
    assert tried.outcome.error.line == 1
    assert tried.effects == ()


# At the edge of the system: sockets -----------------------------------------------------------------------------

#: Addresses outside this process's own host services that sockets of this process were connected to while watched.
WATCHED: list[object] = []
_WATCHING: list[bool] = []


def _watch(event: str, args: tuple[object, ...]) -> None:
    if _WATCHING and event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        WATCHED.append(args[1] if event == "socket.connect" else args)


@pytest.fixture
def connects() -> Iterator[list[object]]:
    """Every connect and name lookup of this process's Python while the test runs. An audit hook cannot be taken off
    again, so it is put on once and watches only here."""
    if not hasattr(_watch, "on"):
        sys.addaudithook(_watch)
        _watch.on = True  # type: ignore[attr-defined]
    WATCHED.clear()
    _WATCHING.append(True)
    yield WATCHED
    _WATCHING.clear()


def test_the_recorded_mode_connects_to_nothing_but_the_sandbox_and_the_live_mode_does(
    desk: Services, crm: Upstream, connects: list[object], sandbox_service: SandboxService
) -> None:
    ticket = a_ticket(desk.db)
    connects.clear()
    try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.RECORDED)
    assert {str(one) for one in connects} == {str(sandbox_service.socket)}
    assert crm.asked == []
    connects.clear()
    try_script(desk, ASKS, ticket.item_id, ana(desk), Mode.LIVE)
    port = urlsplit(crm.url).port
    assert [one for one in connects if isinstance(one, tuple) and port in one]
    assert len(crm.asked) == 1


def test_a_live_try_leaves_nothing_but_its_own_record(desk: Services, crm: Upstream) -> None:
    """The answer and the audit line that asking always leaves; every other table is what it was, byte for byte."""
    ticket = a_ticket(desk.db, priority="low")
    source = ASKS + 'ticket.set_priority("high")\nticket.add_note("x")\nticket.post_message(text="x")\nstop("y")\n'
    before = dump(desk.db)
    tried = try_script(desk, source, ticket.item_id, ana(desk), Mode.LIVE)
    assert tried.outcome.status == "stopped"
    assert len(tried.effects) == 4
    after = dump(desk.db)
    assert {name for name in after if after[name] != before[name]} == {"connector_records", "connector_calls"}
    assert len(crm.asked) == 1
    assert {one.method for one in crm.asked} == {"GET"}


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0\n",
        "import os\n",
        "ticket.add_tags(['y' * 300])\n",
        pytest.param("while True:\n    pass\n", marks=pytest.mark.slow),
    ],
)
def test_a_try_that_ends_badly_changes_nothing_either(desk: Services, source: str) -> None:
    ticket = a_ticket(desk.db)
    before = dump(desk.db)
    tried = try_script(desk, f"ticket.set_priority('high')\n{source}", ticket.item_id, ana(desk), Mode.RECORDED)
    assert tried.effects == ()
    assert dump(desk.db) == before
