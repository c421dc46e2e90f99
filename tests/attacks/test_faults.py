"""A child that has escaped the language, behind real walls, against the real broker: floods, half frames, forged ends.

The bytecode of each run is chosen by the attacker (see test_cached_code.py); it finds `os` and writes what it likes to
its socket. Whatever it does, the run ends in its time, nothing is applied that was not asked for in turn, and the next
script runs."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.contract import Outcome
from sandbox.limits import Limits
from tests.attacks.test_cached_code import TO_OS, poisoned
from tests.sandbox.hosts import Host, TableGateway, settled


def frame(body: Any) -> bytes:
    data = json.dumps(body).encode()
    return struct.pack(">I", len(data)) + data


CALL = frame({"t": "call", "id": 1, "c": "crm", "o": "find_customer", "a": {"email": "a"}, "line": 1})
NOTE = frame({"t": "act", "action": "add_note", "params": {"text": "x"}, "line": 1})
LOG = frame({"t": "log", "line": 1, "text": "x"})
DONE = frame({"t": "result", "end": "finished", "reason": ""})
#: What a run has that is to end by its time, and one that is to end by what it says.
SHORT_S, LONG_S = 1.0, 60.0


def attack(host: Host, body: str, gateway: TableGateway | None = None, wall_s: float = LONG_S) -> Outcome:
    """The outcome of a run whose code is `body`, with `say(bytes)` to write to the broker."""
    source = TO_OS + "\nsay = lambda data: os['write'](3, data)\n" + body
    limits = Limits(wall_s=wall_s, cpu_s=1)
    began = time.monotonic()
    outcome = host.run("log('as published')\n", gateway, code=poisoned(source), limits=limits)
    # Two graces of two seconds for the end of the child, and a busy machine.
    assert time.monotonic() - began < wall_s + 30
    assert host.logged("print('next')") == ["next"]
    return outcome


#: What the child says, and how the run ends. `DONE` is never reached where it stands last.
FAULTS = {
    "flood_without_reading": (f"while True:\n    say({CALL!r})\n", "PROTOCOL"),
    "flood_of_logs": (f"while True:\n    say({LOG!r})\n", "OUTPUT_LIMIT"),
    "flood_of_actions": (f"while True:\n    say({NOTE!r})\n", "OUTPUT_LIMIT"),
    "partial_frame": (f"say({NOTE!r})\nsay({DONE[:-1]!r})\nwhile True:\n    os['read'](3, 1)\n", "TIMEOUT_WALL"),
    "partial_length": (f"say({NOTE!r})\nsay(b'\\x00\\x00')\nwhile True:\n    os['read'](3, 1)\n", "TIMEOUT_WALL"),
    "partial_frame_and_end": (f"say({NOTE!r})\nsay({DONE[:-1]!r})\nos['_exit'](0)\n", "CRASH"),
    "forged_length_of_4_gb": (f"say(b'\\xff\\xff\\xff\\xff' + b'x' * 1000)\nsay({DONE!r})\n", "PROTOCOL"),
    "words_after_the_end": (f"say({NOTE!r})\nsay({DONE!r} + {NOTE!r})\nos['_exit'](0)\n", "PROTOCOL"),
    "two_ends": (f"say({NOTE!r})\nsay({DONE!r})\nsay({DONE!r})\nos['_exit'](0)\n", "PROTOCOL"),
    "end_and_violation": (f"say({NOTE!r})\nsay({DONE!r})\nos['kill'](1, 9)\n", "SANDBOX_VIOLATION"),
    "end_and_crash": (f"say({NOTE!r})\nsay({DONE!r})\nos['abort']()\n", "SANDBOX_VIOLATION CRASH"),
    "exit_code_of_no_jail": ("os['_exit'](71)\n", "SANDBOX_UNAVAILABLE"),
    "spin": ("while True:\n    pass\n", "TIMEOUT_WALL TIMEOUT_CPU"),
}


@pytest.mark.alike
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_its_run_and_applies_nothing(host: Host, name: str) -> None:
    body, codes = FAULTS[name]
    gateway = TableGateway({"crm.find_customer": {"id": 1}})
    outcome = attack(host, body, gateway, SHORT_S if "TIMEOUT_WALL" in codes else LONG_S)
    assert outcome.error is not None
    assert outcome.error.code in codes.split()
    assert outcome.actions == ()
    assert len(gateway.calls) <= 1


@pytest.mark.slow
def test_a_forged_end_and_then_spinning_leaves_no_process_and_no_more_than_it_said_before(host: Host) -> None:
    outcome = attack(host, f"say({NOTE!r})\nsay({DONE!r})\nwhile True:\n    pass\n")
    # The first end counts, or the kernel's word on what came after it; either way what it asked for is what it said.
    if outcome.error is None:
        assert [one.action for one in outcome.actions] == ["add_note"]
    else:
        # Its own handler may still say where it was when its CPU time ran out: a word after the end.
        assert outcome.error.code in ("TIMEOUT_CPU", "PROTOCOL")
        assert outcome.actions == ()
    settled(host)


def test_what_a_child_says_costs_the_broker_a_bounded_memory(host: Host) -> None:
    def resident_kb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024

    body = "big = b'x' * 200_000\nhead = (200_000).to_bytes(4, 'big')\nwhile True:\n    say(head + big)\n"
    attack(host, body)
    before = resident_kb()
    for _ in range(5):
        outcome = attack(host, body)
        assert outcome.error is not None
        assert outcome.error.code == "PROTOCOL"
    assert resident_kb() - before < 20_000
