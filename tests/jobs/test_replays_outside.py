"""What a replay asks: connected systems answer what they answered then, scripts run in the jail, nothing leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs.replays import work as replays
from jobs.services import Services
from jobs.tables import OutboxRow
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.connectors.upstream import Upstream, as_json
from tests.jobs.desk import BY_TIER, a_working_desk, clock_of, item, publish, say, table, work
from tests.jobs.lab_desk import (
    ask,
    carry_out,
    connections_opened,
    draft,
    everything_else,
    fields,
    outcomes,
    replay,
    row,
)
from tests.jobs.workers import nobody_else_writes, until

#: The same question as the live table's, and more to do with its answer.
GOLD = """
code: A02
name: Gold goes to billing
kind: ticket
triggers: [{on: created}]
wait_s: 60
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: assign_team}, {id: s2, do: post_message}]
rows: [{id: r1, if: {c1: {value: gold}}, then: {s1: {team: billing}, s2: {text: Dear gold, public: true}}}]
otherwise: {then: {s1: {team: first_line}}}
"""
ASKS = {
    "code": "S01",
    "name": "Ask",
    "source": 'who = crm.find_customer(email=customer.email)\nif who:\n    ticket.add_tags([who["tier"]])\n',
}
RUNS = """
code: A03
name: Ask by script
kind: ticket
triggers: [{on: created}]
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


@pytest.mark.slow
def test_a_recorded_answer_is_given_again_and_one_that_nobody_had_is_unknown_and_named(
    desk: Services, crm: Upstream
) -> None:
    before = a_ticket(desk.db, email="nobody-asked@example.com").item_id
    work(desk)
    table(desk, BY_TIER)
    clock_of(desk).forward(hours=1)
    asked = a_ticket(desk.db).item_id
    work(desk)
    clock_of(desk).forward(days=1)
    draft(desk, GOLD)
    questions = len(crm.asked)
    with connections_opened() as opened:
        replay_id = replay(desk, "A02")
    assert opened == []
    assert len(crm.asked) == questions == 1
    found = outcomes(desk, replay_id)
    assert fields(found[asked].outcome) == {"team": (None, "billing")}
    assert found[asked].outcome["more"] == [["message", "Dear gold"]]
    assert (found[asked].faithful, found[asked].outcome["missing"]) == (True, [])
    assert found[before].outcome["missing"] == ["crm.find_customer"]
    # Unknown is not gold: the row is passed over when its wait ends, as live, and what is otherwise decides.
    assert fields(found[before].outcome) == {"team": (None, "first_line")}
    assert [one["text"] for one in found[before].outcome["lines"]["draft"] if one["what"] == "unknown"] != []
    with desk.db.read() as connection:
        assert replays.totals(connection, replay_id).missing == {"crm.find_customer": 1}


@pytest.mark.slow
def test_an_answer_that_changed_is_given_as_it_was_at_each_time(desk: Services, crm: Upstream) -> None:
    table(
        desk,
        BY_TIER.replace("[{on: created}]", "[{on: created}, {on: message}]").replace(
            "rows: [", "rows: [{id: r2, if: {c1: {value: silver}}, then: {s1: {priority: low}}}, "
        ),
    )
    item_id = a_ticket(desk.db).item_id
    work(desk)
    clock_of(desk).forward(minutes=5)
    crm.answer = lambda _: as_json([{"id": "7", "name": "Camille", "tier": "silver"}])
    say(desk, item_id, "customer")
    work(desk)
    assert (len(crm.asked), item(desk, item_id).state["priority"]) == (2, "low")
    clock_of(desk).forward(days=1)
    draft(desk, GOLD)
    [one] = outcomes(desk, replay(desk, "A02")).values()
    assert len(crm.asked) == 2
    assert one.faithful is True
    assert one.outcome["rows"]["live"] == {"A01/r1": 1, "A01/r2": 1}
    assert one.outcome["more"] == [["message", "Dear gold"]]


def test_what_would_be_sent_stays_in_the_scratch_database(desk: Services) -> None:
    a_ticket(desk.db)
    work(desk)
    draft(
        desk,
        GOLD.replace("columns: [{id: c1, field: crm.find_customer.tier, op: is}]\n", "")
        .replace("if: {c1: {value: gold}}, ", "")
        .replace("otherwise: {then: {s1: {team: first_line}}}\n", ""),
    )
    before = everything_else(desk)
    [one] = outcomes(desk, replay(desk, "A02")).values()
    assert one.outcome["more"] == [["message", "Dear gold"]]
    assert everything_else(desk) == before
    with desk.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(OutboxRow)).scalar_one() == 0


def test_a_script_runs_again_in_the_jail_with_the_answers_that_were_recorded(desk: Services, crm: Upstream) -> None:
    publish(desk, EntryKind.SCRIPT, ASKS)
    table(desk, RUNS)
    item_id = a_ticket(desk.db).item_id
    work(desk)
    clock_of(desk).forward(days=1)
    questions = len(crm.asked)
    draft(desk, {**ASKS, "source": ASKS["source"] + 'ticket.set_priority("high")\n'}, EntryKind.SCRIPT)
    with connections_opened() as opened:
        replay_id = replay(desk, "S01")
    assert (opened, len(crm.asked)) == ([], questions)
    [one] = outcomes(desk, replay_id).values()
    assert one.faithful is True
    assert fields(one.outcome) == {"priority": ("normal", "high")}
    ran = [line for line in one.outcome["lines"]["draft"] if line.get("code") == "S01" and line["what"] == "field"]
    assert [(line["about"], line["version"]) for line in ran] == [("tags", 2), ("priority", 2)]
    assert item_id == one.item_id


def test_a_note_is_one_line_and_the_data_of_a_card_is_none_of_the_words(desk: Services, crm: Upstream) -> None:
    publish(desk, EntryKind.SCRIPT, ASKS)
    table(desk, RUNS)
    a_ticket(desk.db)
    work(desk)
    clock_of(desk).forward(days=1)
    more = 'ticket.add_note("Look!")\nticket.set_context("crm", {"tier": "gold"}, title="In the CRM")\n'
    draft(desk, {**ASKS, "source": ASKS["source"] + more}, EntryKind.SCRIPT)
    [one] = outcomes(desk, replay(desk, "S01")).values()
    did = [
        (line["what"], line.get("about"), line["text"])
        for line in one.outcome["lines"]["draft"]
        if line.get("code") == "S01" and line["what"] not in ("event", "field")
    ]
    assert sorted(did) == [("note", "bot", "Look!"), ("step", "set_context", "key: crm, title: In the CRM")]


def test_scripts_that_are_left_out_are_said_to_be_and_do_nothing(desk: Services, crm: Upstream) -> None:
    publish(desk, EntryKind.SCRIPT, ASKS)
    table(desk, RUNS)
    a_ticket(desk.db)
    work(desk)
    questions = len(crm.asked)
    draft(desk, GOLD)
    replay_id = replay(desk, "A02", scripts=False)
    assert row(desk, replay_id).scripts is False
    [one] = outcomes(desk, replay_id).values()
    assert len(crm.asked) == questions
    assert one.faithful is False
    said = [line["text"] for line in one.outcome["lines"]["live"] if line["what"] == "not_done"]
    assert said == ["script S01 is switched off"]


#: It is ended with its twelfth item in hand, as by a power cut.
KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from jobs.replays import work as replays
from jobs.services import build
from jobs.settings import Settings

services = build(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2], redis_url="unix:///nowhere.sock"))
play, begun = replays._Slice._play, []

def until_the_power_goes(*given):
    begun.append(given)
    if len(begun) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return play(*given)

replays._Slice._play = until_the_power_goes
while replays.carry_on(services, budget_s=600) is not None:
    pass
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on_where_it_was(
    database_url: str, tmp_path: Path
) -> None:
    with a_working_desk(database_url, tmp_path) as desk:
        tickets = 40
        for _ in range(tickets):
            a_ticket(desk.db)
        work(desk)
        draft(
            desk,
            GOLD.replace("crm.find_customer.tier", "ticket.subject").replace("value: gold", "value: Charged twice"),
        )
        replay_id = ask(desk, "A02")
        worker = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), database_url], timeout=110)
        assert worker.returncode == -signal.SIGKILL
        assert until(lambda: nobody_else_writes(desk))
        held = outcomes(desk, replay_id)
        assert {one.status for one in held.values()} == {"waiting", "changed"}
        assert row(desk, replay_id).status == "running"
        # It worked by the machine's clock, and so its lease was taken by it.
        clock_of(desk).at = max(row(desk, replay_id).lease_until, desk.clock.now())
        clock_of(desk).forward(seconds=1)
        before = [one for one in held.values() if one.status == "changed"]
        assert len(before) == 11
        assert carry_out(desk) == tickets - len(before)
        after = outcomes(desk, replay_id)
        assert {one.status for one in after.values()} == {"changed"}
        assert [after[one.item_id] for one in before] == before
        assert row(desk, replay_id).status == "done"


@pytest.mark.slow
@pytest.mark.timeout(900)  # two thousand plays: half a minute alone, and ten times that on a machine of others
def test_n1_five_hundred_tickets_come_to_the_known_differences_twice_and_nobody_is_asked(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "WORK_S", 3_600)  # however slow the machine is
    # Only for orders the CRM is asked: each question is an event more, and makes the same thing longer.
    orders = BY_TIER.replace("columns: [", "columns: [{id: c0, field: ticket.subject, op: contains_any}, ")
    table(desk, orders.replace("if: {", "if: {c0: {value: [order]}, "))
    gold = {a_ticket(desk.db, subject=f"Order {number}").item_id for number in range(0, 500, 5)}
    work(desk)
    plain = {
        a_ticket(desk.db, subject=f"Parcel {number}", email=f"p{number % 7}@example.com").item_id
        for number in range(400)
    }
    clock_of(desk).forward(days=2)
    work(desk)
    draft(desk, WET)
    draft(desk, FOLLOWS)
    before = everything_else(desk)
    runs = []
    with connections_opened() as opened:
        for _ in range(2):
            replay_id = replay(desk, "A05", "A06", most=500)
            assert row(desk, replay_id).status == "done"
            runs.append(
                [(one.item_id, one.status, one.faithful, one.outcome) for one in outcomes(desk, replay_id).values()]
            )
    assert opened == []
    assert everything_else(desk) == before
    assert runs[0] == runs[1]
    assert {item_id for item_id, status, _, _ in runs[0] if status == "changed"} == gold
    assert {item_id for item_id, status, _, _ in runs[0] if status == "same"} == plain
    assert {faithful for _, _, faithful, _ in runs[0]} == {True}
    assert [fields(outcome) for item_id, _, _, outcome in runs[0] if item_id in gold] == [
        {"tags": (None, ["order"]), "team": (None, "billing")}
    ] * len(gold)


WET = """
code: A05
name: Orders
kind: ticket
triggers: [{on: created}]
columns: [{id: c1, field: ticket.subject, op: contains_any}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: [order]}}, then: {s1: {tags: [order]}}}]
"""
FOLLOWS = """
code: A06
name: Orders of gold customers
kind: ticket
triggers: [{on: changed, field: ticket.tags}]
columns: [{id: c1, field: ticket.tags, op: has_any}, {id: c2, field: ticket.priority, op: is}]
steps: [{id: s1, do: assign_team}]
rows: [{id: r1, if: {c1: {value: [order]}, c2: {value: high}}, then: {s1: {team: billing}}}]
"""
