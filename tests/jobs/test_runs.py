"""Trip (b): a row runs a script in the jail, it asks a connection, and what it collected is applied once."""

from __future__ import annotations

import marshal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from jobs import automation, runs
from jobs.services import Services
from jobs.tables import CompiledScript, RunRow
from rules import store as rule_list
from rules.store import EntryKind
from sandbox.client import Sandbox
from sandbox.contract import Manifest
from sandbox.limits import Limits
from sandbox.stamp import code_key
from tests.builders import a_ticket
from tests.connectors.upstream import Reply, Upstream, as_json
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import WALL_S, a_working_desk, clock_of, item, publish, table, the_run, work
from tests.jobs.tables import RUNS_IT, SCRIPT, script
from tests.jobs.workers import a_worker, until
from tests.web.desk import Clock, Desk, let_in
from tickets.tables import ContextFact, EventRow, History, Message
from tickets.values import utc_now
from web import create_app


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def test_a_run_asks_the_crm_and_its_actions_are_applied_with_their_cause(desk: Services, crm: Upstream) -> None:
    script(desk, SCRIPT)
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    state = item(desk, ticket.item_id).state
    assert (state["tags"], state["priority"]) == (["tier-gold"], "high")
    run = the_run(desk)
    assert run.status == "finished"
    assert [one["text"] for one in run.outcome["log"]] == ["found Camille"]
    assert [(one["connection"], one["status"]) for one in run.outcome["calls"]] == [("crm", "ok")]
    with desk.db.read() as connection:
        causes = list(connection.execute(select(History.field, History.cause).order_by(History.id)))
        card = connection.execute(select(ContextFact.key, ContextFact.body, ContextFact.cause)).one()
    assert {(row.cause["kind"], row.cause["code"], row.cause["run_id"]) for row in causes} == {
        ("script", "S01", run.id)
    }
    assert card.body["data"]["tier"] == "gold"
    assert len(crm.asked) == 1
    clock_of(desk).forward(hours=3)
    work(desk)
    assert len(crm.asked) == 1


def test_nobody_in_the_crm_is_none_for_the_script(desk: Services, crm: Upstream) -> None:
    crm.answer = lambda _: as_json([])
    script(desk, SCRIPT)
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
    assert notes == ["The CRM does not know this address."]
    assert "tags" not in item(desk, ticket.item_id).state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("ticket.add_tags(['x'])\nwhile True:\n    pass", "limit", "TIMEOUT_CPU"),
        ("ticket.add_tags(['x'])\nkeep = 'x' * 10\nwhile True:\n    keep = keep + keep", "limit", "MEMORY"),
        ("ticket.add_tags(['x'])\nimport os", "refused", "FORBIDDEN"),
        ("ticket.add_tags(['x'])\n1 / 0", "failed", "RUNTIME"),
        ("ticket.add_tags(['x'])\nticket.add_tags(['y' * 300])", "finished", ""),
    ],
)
def test_a_script_that_misbehaves_ends_by_name_and_nothing_of_it_is_applied(
    desk: Services, source: str, status: str, code: str
) -> None:
    script(desk, source)
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    run = the_run(desk)
    assert run.status == status
    assert (run.outcome["error"] or {}).get("code", "") == code
    assert "tags" not in item(desk, ticket.item_id).state
    table(
        desk,
        RUNS_IT.replace("A01", "A02").replace("run_script", "add_tags").replace("{script: S01}", "{tags: [alive]}"),
    )
    other = a_ticket(desk.db)
    work(desk)
    assert item(desk, other.item_id).state["tags"] == ["alive"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param("while True:\n    print('flood ' * 100)", "TIMEOUT_CPU", id="print"),
        pytest.param("while True:\n    ticket.add_tags(['y'])", "OUTPUT_LIMIT", id="actions"),
    ],
)
def test_a_script_that_floods_is_named_on_its_ticket_and_its_worker_goes_on(
    desk: Services, sandbox_service: SandboxService, source: str, code: str
) -> None:
    """The worker is the process of its own that `./run` starts; what floods it may print, but not keep."""
    clock_of(desk).at = utc_now()  # the worker has the machine's
    script(desk, "ticket.add_tags(['x'])\n" + source)
    publish(desk, EntryKind.SCRIPT, {"code": "S02", "name": "Tag", "source": "ticket.add_tags(['alive'])"})
    by_channel = "columns: [{id: c1, field: ticket.channel, op: is}]\nsteps"
    for table_code, script_code, channel in (("A01", "S01", "email"), ("A02", "S02", "chat")):
        made = RUNS_IT.replace("A01", table_code).replace("S01", script_code).replace("steps", by_channel, 1)
        table(desk, made.replace("{id: r1, then", f"{{id: r1, if: {{c1: {{value: {channel}}}}}, then"))
    settings = {"DESKHAND_SANDBOX_SOCKET": str(sandbox_service.socket), "DESKHAND_SCRIPT_WALL_S": "45"}
    with a_worker(desk, "scripts", settings) as worker:
        flooding = _run_of(desk, a_ticket(desk.db).item_id, "limit")
        other = _run_of(desk, a_ticket(desk.db, channel="chat").item_id, "finished")
        assert worker.poll() is None
    assert flooding.outcome["error"]["code"] == code
    assert len(flooding.outcome["log"]) <= Limits().log_lines + 1
    assert "tags" not in item(desk, flooding.item_id).state
    assert item(desk, other.item_id).state["tags"] == ["alive"]
    browser = create_app(desk).test_client()
    let_in(browser, Desk(desk, Clock()).user("eve", "agent"))
    assert flooding.outcome["error"]["message"] in browser.get(f"/tickets/{flooding.item_id}").get_data(as_text=True)


def _run_of(services: Services, item_id: int, status: str) -> Any:
    """The run this ticket's arrival asks for, when the worker has ended it this way and the ticket was told."""

    def found() -> Any:
        with services.db.read() as connection:
            columns = (RunRow.status, RunRow.outcome, RunRow.item_id)
            return connection.execute(select(*columns).where(RunRow.item_id == item_id)).one()

    automation.drain(services)
    until(lambda: found().status not in ("queued", "running", "retrying"))
    assert found().status == status
    clock_of(services).at = utc_now()
    automation.drain(services)
    return found()


def test_an_answer_that_cannot_be_had_discards_the_run_and_it_is_tried_again(desk: Services, crm: Upstream) -> None:
    crm.answer = lambda _: Reply(b"down", status=503)
    script(desk, "ticket.add_tags(['before'])\n" + SCRIPT)
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    run = the_run(desk)
    assert (run.status, run.attempt) == ("retrying", 1)
    assert (run.due_at - clock_of(desk).now()).total_seconds() == 60
    assert "tags" not in item(desk, ticket.item_id).state
    crm.answer = lambda _: as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])
    clock_of(desk).forward(minutes=2)
    work(desk)
    assert the_run(desk).status == "finished"
    assert item(desk, ticket.item_id).state["tags"] == ["before", "tier-gold"]


def test_a_caught_failure_lets_the_effects_stand(desk: Services, crm: Upstream) -> None:
    crm.answer = lambda _: Reply(b"down", status=503)
    script(
        desk,
        "try:\n    crm.find_customer(email=customer.email)\nexcept Unavailable:\n    ticket.add_tags(['crm-down'])\n",
    )
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    assert the_run(desk).status == "finished"
    assert item(desk, ticket.item_id).state["tags"] == ["crm-down"]


def test_stop_ends_the_script_keeps_what_it_did_and_says_why(desk: Services) -> None:
    script(desk, "ticket.add_tags(['seen'])\nstop('not ours')\nticket.add_tags(['never'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    run = the_run(desk)
    assert (run.status, run.outcome["stop_reason"]) == ("stopped", "not ours")
    assert item(desk, ticket.item_id).state["tags"] == ["seen"]


def test_the_end_of_a_run_is_a_trigger(desk: Services) -> None:
    script(desk, "1 / 0")
    table(desk, RUNS_IT)
    table(
        desk,
        """
code: A02
name: Tell when it fails
kind: ticket
triggers: [{on: script_finished, script: S01}]
hit: first
columns: [{id: c1, field: run.status, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: failed}}, then: {s1: {tags: [script-failed]}}}]
""",
    )
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["script-failed"]


def test_a_script_that_is_switched_off_is_not_run_and_the_step_says_so(desk: Services, crm: Upstream) -> None:
    script(desk, SCRIPT)
    table(desk, RUNS_IT)
    with desk.db.write() as connection:
        rule_list.switch(connection, "S01", enabled=False)
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.id)).all() == []
    assert crm.asked == []


def test_a_run_cut_off_by_a_crash_is_started_again_and_applied_once(desk: Services) -> None:
    script(desk, "ticket.add_tags(['done'])\nticket.add_note('once')")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:  # a worker took it and died
        lease = clock_of(desk).now()
        connection.execute(update(RunRow).values(lease_until=lease, token="dead", status="running", attempt=1))
    clock_of(desk).forward(seconds=1)
    work(desk)
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
        finished = list(connection.execute(select(EventRow.id).where(EventRow.kind == "script_finished")).scalars())
    assert (notes, len(finished)) == (["once"], 1)
    assert item(desk, ticket.item_id).state["tags"] == ["done"]


def test_a_run_that_cannot_even_begin_is_given_up_after_some_tries_and_keeps_no_other_from_running(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    script(desk, "ticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    broken, well = a_ticket(desk.db).item_id, a_ticket(desk.db).item_id
    automation.drain(desk)
    with desk.db.write() as connection:  # as if somebody had meddled with the database
        connection.execute(update(RunRow).where(RunRow.item_id == broken).values(version=7))
    tries = 0
    while runs.run_due(desk):
        automation.drain(desk)
        tries += 1
        clock_of(desk).forward(minutes=1)
    assert tries == 1 + len(runs.LOST_RETRY_S)
    assert [one.message for one in caplog.records].count("run.broken") == tries
    with desk.db.read() as connection:
        found = dict(iter(connection.execute(select(RunRow.item_id, RunRow.status))))
    assert found == {broken: "lost", well: "finished"}
    assert ("tags" in item(desk, broken).state, item(desk, well).state["tags"]) == (False, ["done"])


def test_a_run_stored_as_failed_is_not_applied_whatever_it_collected(desk: Services) -> None:
    script(desk, "ticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    runs.run_due(desk)
    with desk.db.write() as connection:
        connection.execute(update(RunRow).values(status="failed"))
    work(desk)
    assert len(the_run(desk).outcome["actions"]) == 1
    assert "tags" not in item(desk, ticket.item_id).state


def test_scripts_are_refused_loudly_while_the_sandbox_is_away(database_url: str, tmp_path: Path) -> None:
    with a_working_desk(database_url, tmp_path, sandbox_socket=str(tmp_path / "nobody.sock")) as services:
        script(services, "ticket.add_tags(['x'])")
        table(services, RUNS_IT)
        ticket = a_ticket(services.db)
        work(services)
        run = the_run(services)
        assert run.status == "retrying"
        assert run.outcome["error"]["code"] == "SANDBOX_UNAVAILABLE"
        for _ in range(5):
            clock_of(services).forward(minutes=10)
            work(services)
        assert the_run(services).status == "retrying"
        clock_of(services).forward(hours=runs.AWAY_H)
        work(services)
        assert the_run(services).status == "unavailable"
        assert "tags" not in item(services, ticket.item_id).state


def test_a_run_waits_for_a_sandbox_that_is_away_and_spends_none_of_its_tries_on_it(
    database_url: str, tmp_path: Path, sandbox_service: SandboxService
) -> None:
    with a_working_desk(database_url, tmp_path, sandbox_socket=str(tmp_path / "nobody.sock")) as services:
        script(services, "ticket.add_tags(['x'])")
        table(services, RUNS_IT)
        ticket = a_ticket(services.db)
        for _ in range(10):
            work(services)
            clock_of(services).forward(minutes=1)
        run = the_run(services)
        assert (run.status, run.attempt, run.outcome[runs.TRIED]) == ("retrying", 10, {})
        back = replace(services, sandbox=Sandbox(sandbox_service.socket, Limits(wall_s=WALL_S)))
        assert "tags" not in item(back, ticket.item_id).state
        work(back)
        assert the_run(back).status == "finished"
        assert item(back, ticket.item_id).state["tags"] == ["x"]


def agreed(services: Services, source: str, manifest: Manifest) -> None:
    """A version that was published with this manifest."""
    content = runs.with_manifest({"code": "S01", "name": "Enrich", "source": source}, manifest)
    publish(services, EntryKind.SCRIPT, content)


def test_an_action_nobody_agreed_to_is_refused_logged_and_nothing_is_applied(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    agreed(desk, "ticket.add_tags(['seen'])\nticket.add_note('more')", Manifest((), ("add_tags",)))
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    with caplog.at_level("WARNING", "jobs.runs"):
        work(desk)
    run = the_run(desk)
    assert (run.status, run.outcome["error"]["code"], run.outcome["actions"]) == ("failed", "DENIED", [])
    assert "tags" not in item(desk, ticket.item_id).state
    with desk.db.read() as connection:
        assert connection.execute(select(Message.id).where(~Message.public)).all() == []
    logged = [one for one in caplog.records if one.message == "run.denied"]
    assert [(vars(one)["script"], vars(one)["line"]) for one in logged] == [("S01", 2)]


def test_an_operation_nobody_agreed_to_is_not_asked_and_that_is_logged(
    desk: Services, crm: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    agreed(desk, SCRIPT, Manifest(("customer.email",), ("add_note", "set_context", "add_tags", "set_priority")))
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    with caplog.at_level("WARNING", "jobs.runs"):
        work(desk)
    assert the_run(desk).outcome["error"]["code"] == "DENIED"
    assert crm.asked == []
    assert {vars(one)["what"] for one in caplog.records if one.message == "run.denied"} >= {"crm.find_customer"}


def test_facts_outside_the_manifest_are_not_handed_over(desk: Services) -> None:
    agreed(desk, "log(sorted(customer))\nlog(ticket.subject)", Manifest(("customer.email",)))
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    run = the_run(desk)
    assert [one["text"] for one in run.outcome["log"]] == ["['email', 'id']"]
    assert (run.outcome["error"]["code"], run.outcome["error"]["line"]) == ("ATTRIBUTE", 2)


def test_a_manifest_of_another_text_counts_for_nothing(desk: Services) -> None:
    content = runs.with_manifest({"code": "S01", "name": "Enrich", "source": "log(1)"}, Manifest((), ("*",)))
    publish(desk, EntryKind.SCRIPT, {**content, "source": "ticket.add_tags(['seen'])"})
    with desk.db.read() as connection:
        live = desk.live.current(connection)
    assert runs.manifest_of(desk.sandbox, live, live.scripts["S01"].content) == Manifest((), ("add_tags",))


def test_a_manifest_that_cannot_be_read_grants_nothing(desk: Services) -> None:
    content = runs.with_manifest({"code": "S01", "name": "Enrich", "source": "ticket.add_tags(['x'])"}, Manifest())
    publish(desk, EntryKind.SCRIPT, {**content, "manifest": {"actions": "*"}})
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    assert the_run(desk).outcome["error"]["code"] == "DENIED"
    assert "tags" not in item(desk, ticket.item_id).state


def kept(services: Services) -> list[Any]:
    with services.db.read() as connection:
        return list(connection.execute(select(CompiledScript.key, CompiledScript.code, CompiledScript.made_at)))


def test_a_script_is_compiled_once_and_kept_under_its_source_python_and_policy(desk: Services) -> None:
    source = "ticket.add_tags(['done'])"
    script(desk, source)
    table(desk, RUNS_IT)
    first = a_ticket(desk.db)
    work(desk)
    [row] = kept(desk)
    assert row.key == code_key(source)
    clock_of(desk).forward(minutes=5)
    second = a_ticket(desk.db)
    work(desk)
    assert kept(desk) == [row]
    assert item(desk, first.item_id).state["tags"] == item(desk, second.item_id).state["tags"] == ["done"]


def poison(services: Services, key: str, text: str) -> None:
    with services.db.write() as connection:
        code = marshal.dumps(compile(text, "<script>", "exec"))
        connection.execute(insert(CompiledScript).values(key=key, code=code, made_at=services.clock.now()))


def test_a_poisoned_entry_does_nothing_that_was_not_agreed_to(desk: Services, crm: Upstream) -> None:
    source = "ticket.add_tags(['done'])"
    agreed(desk, source, Manifest((), ("add_tags",)))
    poison(desk, code_key(source), "ticket.actions['set_priority']('high')\ncrm.operations['find_customer']('a')")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    before = dict(item(desk, ticket.item_id).state)
    work(desk)
    assert the_run(desk).outcome["error"]["code"] == "DENIED"
    assert item(desk, ticket.item_id).state == before
    assert crm.asked == []


def test_an_entry_under_another_key_is_not_used(desk: Services) -> None:
    source = "ticket.add_tags(['done'])"
    script(desk, source)
    poison(desk, code_key(source + " "), "print('chosen')")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    work(desk)
    assert the_run(desk).outcome["log"] == []
    assert item(desk, ticket.item_id).state["tags"] == ["done"]


def test_an_entry_that_breaks_its_jail_is_dropped_and_old_ones_go(desk: Services) -> None:
    source = "ticket.add_tags(['done'])"
    script(desk, source)
    exits = "for k in ().__class__.__base__.__subclasses__():\n    if k.__name__ == '_wrap_close':\n"
    poison(desk, code_key(source), exits + "        k.__init__.__globals__['_exit'](3)\n")
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    assert (the_run(desk).status, kept(desk)) == ("violation", [])
    poison(desk, "f" * 64, "1")
    clock_of(desk).forward(days=runs.KEEP_CODE_DAYS + 1)
    ticket = a_ticket(desk.db)
    work(desk)
    assert [row.key for row in kept(desk)] == [code_key(source)]
    assert item(desk, ticket.item_id).state["tags"] == ["done"]


def queued(services: Services, count: int) -> None:
    """So many runs of one script, each of a customer of its own."""
    script(services, "crm.find_customer(email=customer.email)\nticket.add_tags(['done'])")
    table(services, RUNS_IT)
    for number in range(count):
        a_ticket(services.db, email=f"c{number}@example.com")
    automation.drain(services, budget_s=30)


def test_runs_that_wait_for_an_answer_wait_together(desk: Services, crm: Upstream) -> None:
    """Each answer is held back until eight are asked for at once: with fewer at a time all of them would fail."""
    together = threading.Barrier(8, timeout=60)

    def answer(_: object) -> Reply:
        together.wait()
        return as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])

    crm.answer = answer
    queued(desk, 8)
    assert runs.run_due(desk) == 8
    with desk.db.read() as connection:
        assert set(connection.execute(select(RunRow.status)).scalars()) == {"finished"}


@pytest.mark.slow
def test_no_more_runs_than_the_bound_are_driven_at_once(
    desk: Services, crm: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUNS_AT_ONCE", 3)
    guard, most, now = threading.Lock(), [0], [0]
    together = threading.Barrier(3, timeout=60)  # nobody is answered before as many ask as may

    def answer(_: object) -> Reply:
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait()
        time.sleep(0.05)
        with guard:
            now[0] -= 1
        return as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])

    crm.answer = answer
    queued(desk, 9)
    assert runs.run_due(desk) == 9
    assert most[0] == 3
    with desk.db.read() as connection:
        assert set(connection.execute(select(RunRow.status)).scalars()) == {"finished"}
    assert runs.run_due(desk) == 0
