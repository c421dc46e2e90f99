"""How an attack is judged: by what it printed and did and how it was refused; never by text that echoes its source."""

from __future__ import annotations

from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.sandbox.hosts import API, Host, TableGateway

#: Nothing of these may ever be printed: the mark of success, the host's environment, its files.
MARKS = ("PWNED", "hunter2", "root:", "0x7")


def refused(host: Host, source: str, *codes: str) -> str:
    """The attack is refused with one of these codes and nothing happened. Returns the message."""
    gateway = TableGateway({"crm.find_customer": {"id": 3, "name": "Ann", "tags": ["a"]}})
    outcome = host.run(source, gateway)
    assert outcome.error is not None, [line.text for line in outcome.log]
    assert outcome.error.code in codes, outcome.error
    assert outcome.status in ("refused", "failed", "limit")
    assert outcome.actions == ()
    printed = "\n".join(line.text for line in outcome.log)
    assert not any(mark in printed for mark in MARKS), printed
    return outcome.error.message


def each_line_refused(host: Host, lines: list[str]) -> list[str]:
    """Each of these lines is refused for itself as what is forbidden, before any runs. Returns the messages."""
    source = "\n".join(lines)
    refused(host, source, "FORBIDDEN")
    problems = Sandbox(host.path, Limits(problems=5 * len(lines))).check(source, API).problems
    forbidden = {one.line: one.message for one in problems if one.code == "FORBIDDEN"}
    assert sorted(forbidden) == list(range(1, len(lines) + 1)), problems
    return [forbidden[line] for line in sorted(forbidden)]


def harmless(host: Host, source: str) -> list[str]:
    """The attempt runs to its end without what it wanted. Returns what it printed."""
    gateway = TableGateway()
    outcome = host.run(source, gateway)
    assert outcome.status == "finished", outcome.error
    assert outcome.actions == ()
    assert gateway.calls == []
    lines = [line.text for line in outcome.log]
    assert not any(mark in line for line in lines for mark in MARKS), lines
    return lines
