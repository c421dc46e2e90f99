"""Whoever can write to the cache of compiled scripts chooses the bytecode of a run, and wins nothing in the jail."""

from __future__ import annotations

import hashlib
import marshal
from typing import Any

import pytest

from sandbox import stamp, wire
from sandbox.broker import Broker, start_frame
from sandbox.contract import Outcome, RunRequest
from sandbox.limits import Limits
from sandbox.stamp import STAMP
from tests.attacks.judge import MARKS
from tests.sandbox.hosts import API, CUSTOMER, NOW, TICKET, Host, TableGateway

SOURCE = 'log("as published")\n'
#: Unrestricted Python: none of the policy's guards are in this bytecode.
TO_OS = (
    "for kind in ().__class__.__base__.__subclasses__():\n"
    "    if kind.__name__ == '_wrap_close':\n"
    "        os = kind.__init__.__globals__\n"
)
SPINS = "while True:\n    pass\n"
POISON = {
    "read_a_file": TO_OS + "        print('PWNED', os['open']('/etc/passwd', 0))\n",
    "fork": TO_OS + "        os['fork']()\n        print('PWNED')\n",
    "run_a_program": TO_OS + "        os['execv']('/bin/sh', ['sh', '-c', 'echo PWNED'])\n",
    "signal_the_parent": TO_OS + "        os['kill'](os['getppid'](), 9)\n        print('PWNED')\n",
    "import": "import os\nprint('PWNED', os.environ)\n",
    "wait_for_ever": SPINS,
}


def poisoned(text: str) -> bytes:
    return marshal.dumps(compile(text, "<script>", "exec"))


def run(host: Host, code: bytes, gateway: TableGateway | None = None, **more: Any) -> Outcome:
    return host.run(SOURCE, gateway, code=code, **more)


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] if POISON[one] is SPINS else []) for one in POISON]
)
def test_poisoned_code_meets_the_walls(host: Host, name: str) -> None:
    outcome = run(host, poisoned(POISON[name]), limits=Limits(cpu_s=1, wall_s=60))
    printed = " ".join(line.text for line in outcome.log)
    assert not any(mark in printed for mark in MARKS), printed
    assert outcome.actions == ()
    assert outcome.status in ("failed", "limit", "violation")
    assert host.logged("log('well')") == ["well"]


def test_poisoned_code_gets_no_operation_and_no_action_that_was_not_agreed_to(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": {"id": 1}})
    asked = run(host, poisoned("crm.operations['find_customer']('a')"), gateway, grants=frozenset())
    assert asked.error is not None
    assert (asked.error.code, gateway.calls) == ("DENIED", [])
    acted = run(host, poisoned("ticket.actions['add_note']('x')"), actions=frozenset({"add_tags"}))
    assert acted.error is not None
    assert (acted.error.code, acted.actions) == ("DENIED", ())


@pytest.mark.parametrize(
    "code",
    [
        b"\x00",
        b"not marshal at all",
        marshal.dumps(compile("print('PWNED')", "<script>", "exec"))[:-9],
        marshal.dumps({"a": 1}),
        marshal.dumps(compile("print('PWNED')", "elsewhere.py", "exec")),
    ],
)
def test_code_that_is_none_is_ignored_and_the_source_runs(host: Host, code: bytes) -> None:
    outcome = run(host, code)
    assert [line.text for line in outcome.log] == ["as published"]


@pytest.mark.parametrize("said", ["", "0" * 64])
def test_code_of_another_python_or_policy_is_ignored_and_the_source_runs(host: Host, said: str) -> None:
    request = RunRequest(SOURCE, API, ticket=TICKET, customer=CUSTOMER, now=NOW, code=poisoned("print('PWNED')"))
    reader = wire.Reader(1 << 20)
    reader.feed(start_frame("run", request, Limits()))
    frame = reader.next()
    assert frame is not None
    assert (frame["stamp"], frame["code"], reader.pending) == (STAMP, len(request.code), len(request.code))
    lease = host.sandbox._lease()
    try:
        broker = Broker(lease, Limits(), API, frozenset(), frozenset(), TableGateway())
        outcome = broker.run(wire.encode({**frame, "stamp": said}, 1 << 20) + request.code)
    finally:
        lease.close()
    assert [line.text for line in outcome.log] == ["as published"]


def test_the_same_code_runs_under_the_stamp_of_this_python(host: Host) -> None:
    """The counterpart of the tests above: what they send is code that would run."""
    assert [line.text for line in run(host, poisoned("print('chosen')")).log] == ["chosen"]


def test_compiling_runs_nothing_and_refuses_what_the_policy_refuses(host: Host) -> None:
    assert host.sandbox.compiled("while True:\n    crm.find_customer(email='a')\n")
    assert host.sandbox.compiled("import os\n") is None
    assert host.sandbox.compiled("x = (\n") is None
    assert host.sandbox.compiled("x = '" + "a" * 70_000 + "'\n") is None


def test_a_run_from_kept_code_is_the_run_of_its_source(host: Host) -> None:
    source = 'log(ticket.id)\nticket.add_tags(["a"])\ndef f():\n    return 1 / 0\n\nf()\n'
    code = host.sandbox.compiled(source)
    assert code
    fresh, kept = host.run(source), host.run(source, code=code)
    assert (kept.error, kept.status) == (fresh.error, "failed")
    assert kept.error is not None
    assert (kept.error.line, kept.error.column) == (4, 11)
    assert [line.text for line in kept.log] == [line.text for line in fresh.log]


def test_the_key_names_source_python_and_policy() -> None:
    assert stamp.code_key("a") != stamp.code_key("b")
    assert stamp.code_key("a") != hashlib.sha256(f"{'0' * 64}\na".encode()).hexdigest()
