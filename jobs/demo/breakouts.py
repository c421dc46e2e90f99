"""Six scripts that try to get out of the jail. Each ends in a named refusal; the demo page runs them for real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.services import Services
from sandbox.contract import Answer, CallFailed, Method, Outcome, Param, RunRequest, ScriptApi
from sandbox.errors import Code
from tickets.values import JSON, iso


@dataclass(frozen=True)
class BreakOut:
    """One attempt: what it is after, its source, and the codes that may stop it."""

    key: str
    title: str
    after: str
    source: str
    stopped_by: frozenset[Code]


BREAK_OUTS: Sequence[BreakOut] = (
    BreakOut(
        "import",
        "Import the operating system",
        "Reads the password file of the machine through the module os.",
        'import os\n\nprint(os.popen("cat /etc/passwd").read())\n',
        frozenset({Code.FORBIDDEN}),
    ),
    BreakOut(
        "dunder",
        "Climb from an empty tuple to every class",
        "The classic way out: from any value to object, and from there to all classes Python has loaded.",
        'for kind in ().__class__.__base__.__subclasses__():\n    if kind.__name__ == "Popen":\n'
        '        kind(["touch", "/tmp/escaped"])\n',
        frozenset({Code.FORBIDDEN}),
    ),
    BreakOut(
        "format",
        "Let a format string do the climbing",
        "No forbidden name stands in the code: the walk to our secrets hides in a text.",
        'text = "{0.__class__.__init__.__globals__}"\nprint(text.format(ticket))\n',
        frozenset({Code.FORBIDDEN, Code.ATTRIBUTE, Code.VALUE}),
    ),
    BreakOut(
        "loop",
        "Never end",
        "Keeps a worker busy for ever, so that no other ticket gets its turn.",
        "number = 0\nwhile True:\n    number += 1\n",
        frozenset({Code.TIMEOUT_CPU}),
    ),
    BreakOut(
        "memory",
        "Eat all memory",
        "Asks for memory until the machine has none left for anybody.",
        'hoard = []\nwhile True:\n    hoard.append("x" * 1_000_000 + str(len(hoard)))\n',
        frozenset({Code.MEMORY}),
    ),
    BreakOut(
        "flood",
        "Bury the customer in messages",
        "Sends messages without end; a slip with a loop does the same.",
        'while True:\n    ticket.post_message(text="Have you seen our new lamps?")\n',
        frozenset({Code.OUTPUT_LIMIT}),
    ),
)


#: What the attempts may call: one action, collected and never carried out, and no connection.
_API = ScriptApi({"post_message": Method("post_message", (Param("text", "text", True),), "Write a message.", True)})


class _Nobody:
    """The connectors of a script that may ask nobody."""

    def call(self, connection: str, operation: str, args: Mapping[str, JSON], *, deadline_s: float) -> Answer:
        raise CallFailed("denied", "This script may ask nobody")


def try_out(services: Services, attempt: BreakOut) -> Outcome:
    """Run the attempt in the real jail, with a made-up ticket; nothing of what it asks for is carried out."""
    request = RunRequest(
        source=attempt.source,
        api=_API,
        grants=frozenset(),
        ticket={"id": 0, "subject": "A made-up ticket", "status": "open"},
        now=iso(services.clock.now()),
    )
    return services.sandbox.run(request, _Nobody())
