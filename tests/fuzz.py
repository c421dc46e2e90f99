"""`./run fuzz`: random sources into the sandbox and random bytes into the broker, for as long as is asked.

A bounded part runs with the tests (tests/attacks/test_fuzz.py). A finding names the seed that makes it again. What must
hold: every run ends in its time with an outcome that is the script's own doing, no run breaks its jail, nothing printed
shows an address or a file, nothing is applied by bytes that no child of ours would say, and the next script runs.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable

from sandbox.errors import ProtocolError
from sandbox.limits import Limits
from sandbox.wire import Reader
from tests.attacks.judge import MARKS
from tests.attacks.test_attributes import BY_TEXT, CLOSED, WALKS
from tests.attacks.test_classes_and_guards import BASES, ESCAPING, STATEMENTS, WRITES
from tests.attacks.test_every_guard import BUILTINS, FACADES
from tests.attacks.test_every_node import ALLOWED, REFUSED
from tests.attacks.test_wire import ACT, CALL, FORGED, LOG, OK, frame, talk
from tests.sandbox.hosts import API, Host, TableGateway, a_host
from tests.sandbox.test_language import WORKS

LIMITS = Limits(cpu_s=1, wall_s=4)
#: How a run may end whatever its source is; a violation or a lost child would be a finding.
SOUND = frozenset({"finished", "stopped", "refused", "failed", "limit"})
_TABLES = (WALKS, BY_TEXT, CLOSED, BASES, WRITES, ESCAPING, STATEMENTS, ALLOWED, REFUSED)
SEEDS = [
    *(one for table in _TABLES for one in table.values()),
    *(source for table in (BUILTINS, FACADES, WORKS) for source, *_ in table.values()),
]
TOKENS = (
    "().__class__ _getattr_ __builtins__ ticket crm customer log stop now json re getattr print [ ] ( ) { } : , . = +="
    " := ** * @ \\ ' \" f' ''' # lambda yield return def class try: except: finally: raise while True: for x in import"
    " from as global nonlocal del 1 1e999 0x \x0c \r \t \u202e \ufeff \u0430 \ud800 None is not if else with await"
).split(" ")


class Found(Exception):
    """Something that must not happen did."""


def a_source(chance: random.Random) -> str:
    """Attacks and everyday scripts, cut, spliced and sprinkled with tokens."""
    lines = [line for _ in range(chance.randint(1, 4)) for line in chance.choice(SEEDS).split("\n")]
    for _ in range(chance.randint(0, 6)):
        match chance.randint(0, 5):
            case 0:
                lines.insert(chance.randint(0, len(lines)), chance.choice(TOKENS))
            case 1 if lines:
                del lines[chance.randrange(len(lines))]
            case 2:
                lines.insert(chance.randint(0, len(lines)), "    " * chance.randint(0, 3) + chance.choice(SEEDS))
            case 3 if lines:
                at = chance.randrange(len(lines))
                cut = chance.randint(0, len(lines[at]))
                lines[at] = lines[at][:cut] + chance.choice(TOKENS) + lines[at][cut + chance.randint(0, 2) :]
            case 4:
                lines = ["try:", *("    " + line for line in lines), "except Exception as error:", "    print(error)"]
            case _:
                chance.shuffle(lines)
    return "\n".join(lines)


def try_source(host: Host, source: str) -> None:
    """Check and run it. Raises `Found`."""
    for problem in host.sandbox.check(source, API).problems:
        if problem.code in ("PROTOCOL", "CRASH", "SANDBOX_VIOLATION", "LOST", "SANDBOX_UNAVAILABLE"):
            raise Found(f"the check ended with {problem}")
    gateway = TableGateway({"crm.find_customer": {"id": 3, "name": "Ann", "tags": ["a"]}})
    outcome = host.run(source, gateway, limits=LIMITS, grants=frozenset({"crm.find_customer"}))
    if outcome.status not in SOUND:
        raise Found(f"the run ended with {outcome.status}: {outcome.error}")
    if outcome.status not in ("finished", "stopped") and outcome.actions:
        raise Found("a run that did not end well has actions")
    said = "\n".join(line.text for line in outcome.log) + (outcome.error.message if outcome.error else "")
    # The seeds print the mark on success, and say it in texts of their own: only the rest of MARKS tells of a leak.
    if any(mark in said for mark in MARKS if mark != "PWNED") or " at 0x" in said:
        raise Found(f"something shows: {said[:300]}")
    if {what for what, _ in gateway.calls} - {"crm.find_customer"}:
        raise Found("an operation without a grant was called")


def some_bytes(chance: random.Random) -> bytes:
    """Frames, whole and broken: forged ones, honest ones, with bits flipped, cut, doubled, with any length before."""
    bodies = [*FORGED.values(), ACT, CALL, LOG, OK]
    made = b""
    for _ in range(chance.randint(1, 5)):
        body = chance.choice(bodies)
        data = bytearray(body if isinstance(body, bytes) else json.dumps(body).encode())
        for _ in range(chance.choice([0, 0, 1, 3])):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        length = len(data) if chance.random() < 0.8 else chance.randrange(2**32)
        made += struct.pack(">I", length) + bytes(data)
    return made[: chance.randint(1, len(made))] if chance.random() < 0.3 else made


def try_bytes(data: bytes) -> None:
    """As a child would say them. Raises `Found`, and what the broker should not have raised."""
    gateway = TableGateway({"crm.find_customer": {"id": 1}})

    def play(sock: socket.socket) -> None:
        sock.sendall(data)

    outcome = talk(play, gateway, Limits(wall_s=0.3))
    if outcome.status not in ("finished", "stopped") and outcome.actions:
        raise Found("a run that did not end well has actions")
    if outcome.status in ("finished", "stopped") and frame(OK)[4:9] not in data:
        raise Found("a run ended well that nobody ended")
    if any(what != "crm.find_customer" for what, _ in gateway.calls):
        raise Found(f"something else was asked: {gateway.calls}")


def try_reader(chance: random.Random) -> None:
    """The reader alone, which is quicker: it gives frames or `ProtocolError`, in whatever pieces bytes come."""
    data = some_bytes(chance)
    reader = Reader(262_144)
    try:
        while data:
            cut = chance.randint(1, max(1, len(data)))
            reader.feed(data[:cut])
            data = data[cut:]
            while (one := reader.next()) is not None:
                if type(one) is not dict:
                    raise Found(f"a frame that is no object: {one!r}")
    except ProtocolError:
        pass


def rounds(host: Host, seed: int, sources: int, wires: int, readers: int) -> None:
    """So many of each, all decided by `seed`. Raises `Found` with the seed and what was tried."""

    def once(
        kind: str, number: int, make: Callable[[random.Random], object], attempt: Callable[[object], None]
    ) -> None:
        chance = random.Random(f"{seed} {kind} {number}")
        given = make(chance)
        try:
            attempt(given)
        except Exception as error:
            raise Found(f"seed {seed}, {kind} {number}: {error!r}\n{given!r}") from error

    for number in range(sources):
        once("source", number, a_source, lambda given: try_source(host, str(given)))
    for number in range(wires):
        once("bytes", number, some_bytes, lambda given: try_bytes(bytes(given)))  # type: ignore[call-overload]
    for number in range(readers):
        once("reader", number, lambda chance: chance, lambda given: try_reader(given))  # type: ignore[arg-type]
    if host.logged("print('next')") != ["next"]:
        raise Found(f"seed {seed}: the next script did not run")


def main() -> int:
    """Exit code 0 when nothing was found; 1 with the finding, and how to make it again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="how long (300)")
    parser.add_argument("--seed", type=int, help="one round of this seed only")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    seed = given.seed if given.seed is not None else random.randrange(10**9)
    done = 0
    with a_host() as host:
        try:
            while done == 0 or (given.seed is None and time.monotonic() < until):
                rounds(host, seed + done, sources=100, wires=10, readers=500)
                done += 1
                print(f"seed {seed + done - 1}: 100 sources, 10 conversations, 500 streams: nothing found", flush=True)
        except Found as found:
            print(f"FOUND {found}\nAgain: ./run fuzz --seed {seed + done}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
