"""A run from source to outcome: what comes back, and that nothing happens behind it."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from sandbox.client import Sandbox
from sandbox.contract import ActionCall, CallFailed, RunRequest, ScriptApi
from sandbox.errors import BadContract
from sandbox.limits import Limits
from tests.sandbox.hosts import API, PATIENT, TICKET, Host, TableGateway


def test_a_script_asks_prints_and_acts(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": {"id": 3, "tier": "gold"}})
    outcome = host.run(
        'found = crm.find_customer(email=ticket.customer.email)\nprint("tier", found.tier, found["id"])\n'
        'ticket.add_tags([found.tier])\nticket.set_field("order", value=ticket.fields["order"])\n',
        gateway,
    )
    assert outcome.status == "finished"
    assert outcome.error is None
    assert gateway.calls == [("crm.find_customer", {"email": "ann@example.com"})]
    assert outcome.actions == (
        ActionCall("add_tags", {"tags": ["gold"]}, 3),
        ActionCall("set_field", {"field": "order", "value": "SO-7"}, 4),
    )
    assert [(line.line, line.text) for line in outcome.log] == [(2, "tier gold 3")]
    (call,) = outcome.calls
    assert (call.connection, call.operation, call.status, call.line) == ("crm", "find_customer", "ok", 1)
    assert call.answer == {"id": 3, "tier": "gold"}
    assert outcome.usage.calls == 1
    assert outcome.usage.memory_kb > 1000


def test_the_gateway_is_told_the_seconds_that_are_left(host: Host) -> None:
    gateway = TableGateway()
    host.run('crm.find_customer(email="a")\n', gateway, limits=Limits(wall_s=3))
    assert 2 < gateway.deadlines_s[0] <= 3


def test_no_match_is_none(host: Host) -> None:
    assert host.logged('print(crm.find_customer(email="a"))') == ["None"]


def test_stop_ends_the_script_and_keeps_what_it_did_so_far(host: Host) -> None:
    outcome = host.run(
        'ticket.add_note("before")\ntry:\n    stop("Too new")\nexcept:\n    pass\nticket.add_note("after")\n'
    )
    assert (outcome.status, outcome.stop_reason, outcome.error) == ("stopped", "Too new", None)
    assert [one.params for one in outcome.actions] == [{"text": "before"}]


def test_what_stands_before_a_dot_is_not_taken_for_a_function_when_it_runs_either(host: Host) -> None:
    """The check lets a name pass that the script itself binds, if only later; no connection is called `crm` here."""

    def hint(line: str) -> str:
        outcome = host.run(f"{line}\ncrm = cr = tiket = None\n", api=ScriptApi(API.actions, {}))
        error = outcome.error
        assert error is not None
        assert (error.code, error.line, outcome.actions) == ("NAME", 1, ())
        return error.hint

    assert "chr" not in hint("crm.find_customer(email='a')")
    assert "chr" not in hint("ticket.add_note('€€'); crm  .find_customer(email='a')")
    assert hint("print(tiket.id)") == "Did you mean 'ticket'?"
    assert hint("print(cr('a'))") == "Did you mean 'chr'?"


def test_a_failed_script_has_no_actions(host: Host) -> None:
    outcome = host.run('ticket.add_note("x")\nprint("seen")\n1 / 0\n')
    assert outcome.status == "failed"
    assert outcome.actions == ()
    assert [line.text for line in outcome.log] == ["seen"]
    error = outcome.error
    assert error is not None
    assert (error.code, error.line, error.column) == ("RUNTIME", 3, 0)
    assert error.message == "Your script raised ZeroDivisionError: division by zero"


def test_unavailable_can_be_caught(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": CallFailed("unavailable", "The CRM does not answer")})
    lines = host.logged(
        'try:\n    crm.find_customer(email="a")\nexcept Unavailable as error:\n'
        "    print(error, error.connection, error.operation, error.message)\n",
        gateway,
    )
    assert lines == ["The CRM does not answer crm find_customer The CRM does not answer"]


@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (CallFailed("unavailable", "The CRM does not answer"), "CONNECTOR", "failed"),
        (CallFailed("ambiguous", "Two match", [{"id": 1}, {"id": 2}]), "AMBIGUOUS", "failed"),
        (CallFailed("denied", "Not granted"), "DENIED", "failed"),
        (CallFailed("bad_request", "No such address"), "VALUE", "failed"),
    ],
)
def test_an_uncaught_failure_of_a_call_says_which(host: Host, failure: CallFailed, code: str, status: str) -> None:
    outcome = host.run(
        'ticket.add_note("x")\ncrm.find_customer(email="a")\n', TableGateway({"crm.find_customer": failure})
    )
    assert outcome.status == status
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.line) == (code, 2)
    assert outcome.error.message == failure.message
    assert outcome.actions == ()
    assert outcome.calls[0].status == failure.code


def test_ambiguous_brings_its_candidates(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": CallFailed("ambiguous", "Two", [{"name": "A"}, {"name": "B"}])})
    lines = host.logged(
        'try:\n    crm.find_customer(email="a")\nexcept Ambiguous as several:\n'
        "    print([one.name for one in several.candidates])\n",
        gateway,
    )
    assert lines == ["['A', 'B']"]


def test_a_script_cannot_claim_that_a_connection_failed(host: Host) -> None:
    """An uncaught CONNECTOR error runs the script again later; only a call that really failed may cause that."""
    outcome = host.run('raise Unavailable("made up")\n')
    assert outcome.error is not None
    assert outcome.error.code == "RUNTIME"


def test_an_operation_without_a_grant_is_denied_and_not_called(host: Host) -> None:
    gateway = TableGateway({"erp.find_party": {"id": 1}})
    outcome = host.run('erp.find_party(email="a")\n', gateway, grants=frozenset({"crm.find_customer"}))
    assert gateway.calls == []
    assert outcome.error is not None
    assert outcome.error.code == "DENIED"
    assert outcome.error.message == "This script may not call erp.find_party"


def test_a_cancelled_run_ends_soon_and_applies_nothing(host: Host) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    outcome = host.run('ticket.add_note("x")\nwhile True:\n    pass\n', cancelled=cancelled)
    assert (outcome.status, outcome.actions) == ("cancelled", ())
    assert outcome.usage.cpu_ms < 1000 * PATIENT.cpu_s / 2  # and not by that limit


def test_a_bug_in_the_gateway_is_not_swallowed_and_leaves_no_child(host: Host) -> None:
    class Broken:
        def call(self, *_: Any, **__: Any) -> NoReturn:
            raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        host.sandbox.run(RunRequest('crm.find_customer(email="a")', API, ticket=TICKET), Broken())
    assert host.logged("print(1)") == ["1"]


def test_a_request_without_a_zone_is_the_callers_mistake(host: Host) -> None:
    with pytest.raises(BadContract, match="no zone"):
        host.run("print(1)", now="2026-01-01T00:00:00")


def test_facts_that_are_too_large_do_not_run(host: Host) -> None:
    outcome = host.run("print(1)", params={"text": "x" * 5_000_000})
    assert (outcome.status, outcome.log) == ("failed", ())
    assert outcome.error is not None
    assert outcome.error.code == "VALUE"


def test_without_a_service_the_outcome_says_how_to_start_one() -> None:
    outcome = Sandbox("/nonexistent/s.sock").run(RunRequest("print(1)", API), TableGateway())
    assert outcome.status == "unavailable"
    assert outcome.error is not None
    assert outcome.error.code == "SANDBOX_UNAVAILABLE"
    assert "python -m sandbox.service --socket" in outcome.error.message


def test_two_runs_of_one_request_are_the_same_to_the_byte(host: Host) -> None:
    source = (
        "import random, datetime\n"
        'print(random.random(), random.choice("abc"), {"b", "a", "c"}, now(), datetime.date.today(), hex(7))\n'
        'ticket.set_context("k", {"n": random.randint(1, 1000), "at": now()})\n'
    )
    first, second = host.run(source, seed=5), host.run(source, seed=5)
    assert first.status == "finished"
    assert first.actions == second.actions
    assert [line.text for line in first.log] == [line.text for line in second.log]
    other = host.run(source, seed=6)
    assert other.actions != first.actions


@pytest.mark.alike
@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("print(foo=1)", "print"),
        ("stop(1, 2)", "stop"),
        ("now(1)", "now"),
        ("log(x=1)", "log"),
        ("str(a=1)", "str"),
        ("repr()", "repr"),
        ("getattr(1)", "getattr"),
        ("isinstance(1)", "isinstance"),
        ("format()", "format"),
        ("json.loads()", "json.loads"),
        ("re.sub('a')", "re.sub"),
        ("re.search()", "re.search"),
        ("re.compile()", "re.compile"),
        ("random.shuffle()", "random.shuffle"),
        ("datetime.datetime.now(1, 2, 3)", "datetime.now"),
        ("now().date().strftime()", "strftime"),
        ("ticket.tags.copy(1)", "copy"),
    ],
)
def test_an_error_calls_a_function_by_the_name_that_scripts_know(host: Host, called: str, name: str) -> None:
    outcome = host.run(called)
    assert outcome.error is not None
    assert outcome.error.message.startswith(f"Your script raised TypeError: {name}() ")
