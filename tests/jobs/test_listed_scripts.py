"""A script that stands in the rule list itself: its trigger, scope, order, switch and wait, through real events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from jobs.services import Services
from jobs.tables import RunRow
from rules import store as rule_list
from rules.explain import explain
from rules.facts import Facts
from rules.listed import as_table, is_listed
from rules.parse import problems
from rules.store import EntryKind
from rules.trace import Verdict
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import clock_of, decisions, publish, table, tags, work
from tests.jobs.levels import a_policy
from tickets import store as items
from tickets.events import Actor, ActorKind
from tickets.item import ItemKind
from tickets.tables import EventRow
from tickets.values import JSON, iso

TAGGING = """
code: {code}
name: Tag
kind: ticket
triggers: [{{on: created}}]
hit: first
columns: [{{id: c1, field: ticket.priority, op: is}}]
steps: [{{id: s1, do: add_tags}}]
rows: [{{id: r1, if: {{c1: {{value: high}}}}, then: {{s1: {{tags: [{code}-high]}}}}}}]
otherwise: {{then: {{s1: {{tags: [{code}]}}}}}}
"""


@pytest.fixture
def desk(scripting_desk: Services) -> Services:
    return scripting_desk


def listed(services: Services, source: str, *, code: str = "S01", **content: Any) -> str:
    given = {"code": code, "name": "Credit", "source": source, "triggers": [{"on": "created"}], **content}
    code = publish(services, EntryKind.SCRIPT, given)
    with services.db.read() as connection:
        assert services.live.current(connection).broken == {}
    return code


def ran(services: Services) -> list[Any]:
    with services.db.read() as connection:
        return list(connection.execute(select(RunRow.script, RunRow.params, RunRow.cause).order_by(RunRow.id)))


def test_a_listed_script_runs_on_its_own_trigger_without_any_table(desk: Services) -> None:
    listed(desk, "ticket.add_tags(['ran'])")
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["ran"]
    [run] = ran(desk)
    assert (run.script, run.cause["code"], run.cause["row"]) == ("S01", "S01", "listed")


def test_where_no_message_came_a_script_reads_none_and_not_an_error(desk: Services) -> None:
    listed(desk, "ticket.add_tags(['silent' if ticket.message is None else 'said'])")
    with desk.db.write() as connection:
        ana = Actor(ActorKind.AGENT, "ana", "Ana")
        state = {"subject": "A note to ourselves"}
        ticket = items.create_item(connection, kind=ItemKind.TICKET, state=state, actor=ana, now=desk.clock.now())
    work(desk)
    assert tags(desk, ticket.item_id) == ["silent"]


def test_a_script_reads_the_moments_that_the_desk_keeps(desk: Services) -> None:
    listed(desk, "ticket.add_tags([cells.newer_than(ticket.status_since, '1 h') and 'new', str(ticket.replied_at)])")
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["None", "new"]


def test_a_script_reads_how_the_service_level_stands(desk: Services) -> None:
    read = "ticket.sla_policy, ticket.sla_first_reply_state, ticket.sla_first_reply_due, ticket.sla_next_reply_due"
    listed(desk, f"ticket.add_tags([str(one) for one in ({read})])")
    without = a_ticket(desk.db)
    work(desk)
    assert tags(desk, without.item_id) == ["None"]
    a_policy(desk)
    ticket = a_ticket(desk.db)
    work(desk)
    due = iso(MORNING + timedelta(hours=4))
    assert tags(desk, ticket.item_id) == sorted(["None", "standard", "running", due])


def test_an_event_that_is_none_of_its_triggers_does_not_run_it(desk: Services) -> None:
    listed(desk, "ticket.add_tags(['ran'])", triggers=[{"on": "changed", "field": "ticket.priority"}])
    ticket = a_ticket(desk.db)
    work(desk)
    assert (tags(desk, ticket.item_id), ran(desk)) == ([], [])


def test_a_script_without_triggers_stays_out_of_the_list(desk: Services) -> None:
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Credit", "source": "ticket.add_tags(['ran'])"})
    ticket = a_ticket(desk.db)
    work(desk)
    assert (tags(desk, ticket.item_id), ran(desk)) == ([], [])
    with desk.db.read() as connection:
        live = desk.live.current(connection)
    assert (live.ruleset.entries, live.broken) == ((), {})
    assert not is_listed({"source": "", "triggers": []})


@pytest.mark.parametrize(("brand", "runs"), [("shop", 1), (None, 0)])
def test_its_scope_says_for_which_brand_it_runs(desk: Services, brand: str | None, runs: int) -> None:
    listed(desk, "ticket.add_tags(['ran'])", scope=[{"field": "ticket.brand", "op": "any_of", "value": ["shop"]}])
    ticket = a_ticket(desk.db, brand=brand)
    work(desk)
    assert (len(ran(desk)), tags(desk, ticket.item_id)) == (runs, ["ran"] * runs)


@pytest.mark.parametrize(("kind", "runs"), [("any", 1), ("ticket", 1), ("task", 0)])
def test_it_runs_on_its_kind_of_item(desk: Services, kind: str, runs: int) -> None:
    listed(desk, "ticket.add_tags(['ran'])", kind=kind)
    a_ticket(desk.db)
    work(desk)
    assert len(ran(desk)) == runs


def test_a_switched_off_script_does_not_run(desk: Services) -> None:
    listed(desk, "ticket.add_tags(['ran'])")
    with desk.db.write() as connection:
        rule_list.switch(connection, "S01", enabled=False)
    ticket = a_ticket(desk.db)
    work(desk)
    assert (tags(desk, ticket.item_id), ran(desk)) == ([], [])


def test_it_gets_the_defaults_of_its_parameters(desk: Services) -> None:
    takes = [{"name": "tag", "default": "usual"}, {"name": "days", "type": "number"}]
    listed(desk, "ticket.add_tags([params.tag, str(params.days)])", params=takes)
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["None", "usual"]


def test_a_listed_script_that_needs_a_value_nobody_gives_has_a_problem(desk: Services) -> None:
    content: dict[str, JSON] = {
        "name": "Credit",
        "triggers": [{"on": "created"}],
        "params": [{"name": "days", "required": True}],
    }
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "source": "", **content})
    with desk.db.read() as connection:
        live = desk.live.current(connection)
    assert list(live.broken) == ["S01"]
    [problem] = problems(as_table("S01", content), live.vocabulary)
    assert problem.message == "The script needs Days (days)."
    a_ticket(desk.db)
    work(desk)
    assert ran(desk) == []


def test_tables_before_it_act_first_and_the_ones_behind_wait_and_see_what_it_did(desk: Services) -> None:
    table(desk, TAGGING.format(code="A01"))
    listed(desk, "ticket.add_tags(['saw-' + '-'.join(ticket.tags)])\nticket.set_priority('high')", wait_s=60)
    table(desk, TAGGING.format(code="A02"))
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["A01", "A02-high", "saw-A01"]


def test_its_place_in_the_list_can_be_changed(desk: Services) -> None:
    table(desk, TAGGING.format(code="A01"))
    listed(desk, "ticket.add_tags(['saw-' + '-'.join(ticket.tags)])", wait_s=60)
    with desk.db.write() as connection:
        rule_list.reorder(connection, ["S01", "A01"])
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["A01", "saw-"]


def test_without_a_wait_the_list_goes_on_at_once(desk: Services) -> None:
    listed(desk, "ticket.set_priority('high')")
    table(desk, TAGGING.format(code="A02"))
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["A02"]


def test_a_listed_script_can_be_a_gate_and_says_why(desk: Services) -> None:
    listed(desk, "if ticket.brand is None:\n    stop('nobody knows the shop')\nticket.add_tags(['ok'])", wait_s=60)
    table(desk, TAGGING.format(code="A02"))
    blocked = a_ticket(desk.db)
    work(desk)
    assert tags(desk, blocked.item_id) == []
    assert decisions(desk, blocked.item_id)[1].notes == ["Credit stopped it: nobody knows the shop"]
    let_by = a_ticket(desk.db, brand="shop")
    work(desk)
    assert tags(desk, let_by.item_id) == ["A02", "ok"]


def test_it_runs_once_per_chain_of_events_and_again_in_the_next(desk: Services) -> None:
    """Its own change is a change of the field it looks at, in the same chain."""
    on = [{"on": "created"}, {"on": "changed", "field": "ticket.tags"}]
    listed(desk, "ticket.add_tags(['run-' + str(len(ticket.tags))])", triggers=on)
    ticket = a_ticket(desk.db)
    work(desk)
    assert tags(desk, ticket.item_id) == ["run-0"]
    second = a_ticket(desk.db)
    work(desk)
    assert tags(desk, second.item_id) == ["run-0"]
    assert len(ran(desk)) == 2


def test_why_and_why_not_are_explained_like_a_tables(desk: Services) -> None:
    listed(desk, "ticket.add_tags(['ran'])", scope=[{"field": "ticket.brand", "op": "is", "value": "shop"}])
    ticket = a_ticket(desk.db, brand="shop")
    work(desk)
    [first] = [one for one in decisions(desk, ticket.item_id) if one.done and one.done[0]["code"] == "S01"][:1]
    with desk.db.read() as connection:
        live = desk.live.current(connection)
    [entry] = live.ruleset.entries
    facts = Facts.from_json(first.facts)
    assert explain(entry, facts, live.vocabulary).verdict is Verdict.MATCHED
    other = Facts.from_json({**first.facts, "item": {**first.facts["item"], "brand": "other"}})
    said = explain(entry, other, live.vocabulary)
    assert (said.verdict, said.reason[:35]) == (Verdict.NOT_TRIGGERED, "The ticket is out of its scope: all")


def test_a_step_can_wait_longer_or_shorter_than_the_script_says(desk: Services) -> None:
    source = "ticket.set_priority('high')"
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Credit", "source": source, "wait_s": 0})
    runs_it = """
code: A01
name: Runs
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01, wait_s: WAIT}}}]
"""
    table(desk, runs_it.replace("WAIT", "60"))
    table(desk, TAGGING.format(code="A02"))
    waited = a_ticket(desk.db)
    work(desk)
    assert tags(desk, waited.item_id) == ["A02-high"]
    with desk.db.write() as connection:
        now = clock_of(desk).now()
        changed: dict[str, JSON] = {"code": "S01", "name": "Credit", "source": source, "wait_s": 60}
        seen = rule_list.entry(connection, "S01").draft_count
        seen = rule_list.save_draft(connection, "S01", changed, author="ana", seen=seen, now=now)
        rule_list.publish(connection, "S01", author="ana", note="", seen=seen, now=now)
        rule_list.switch(connection, "A01", enabled=False)
    publish(desk, EntryKind.TABLE, runs_it.replace("A01", "A00").replace("WAIT", "0"))
    with desk.db.write() as connection:
        rule_list.reorder(connection, ["A00", "A02"])
    not_waited = a_ticket(desk.db)
    work(desk)
    assert tags(desk, not_waited.item_id) == ["A02"]


def test_a_run_whose_parameters_no_longer_fit_its_version_is_refused_and_nothing_is_done(desk: Services) -> None:
    listed(desk, "ticket.add_tags([params.tag])", params=[{"name": "tag", "default": "usual"}])
    ticket = a_ticket(desk.db)
    from jobs import automation, runs

    automation.drain(desk)
    with desk.db.write() as connection:
        connection.execute(update(RunRow).values(params={"tag": 3}))
    runs.run_due(desk)
    work(desk)
    with desk.db.read() as connection:
        run = connection.execute(select(RunRow.status, RunRow.outcome)).one()
        open_events = list(connection.execute(select(EventRow.id).where(EventRow.status != "done")))
    assert run.status == "refused"
    assert run.outcome["error"]["message"] == "Tag takes a text, not a number."
    assert (tags(desk, ticket.item_id), open_events) == ([], [])
