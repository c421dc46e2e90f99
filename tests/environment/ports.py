"""Ports for servers that tests start a moment later: below those that the machine hands out by itself.

Between choosing a port and binding it another server, which asked for any port, would be given one that the machine
hands out; these it gives to nobody."""

from __future__ import annotations

import random
import socket
from pathlib import Path

#: The lowest port that is handed out here; above those that a demo desk and well-known servers have.
LOWEST = 20_000
#: Where the machine's own begin when it does not say.
OWN_FROM = 32_768
TRIES = 200
_chance = random.SystemRandom()
_given: set[int] = set()


def free_port(address: str = "127.0.0.1") -> int:
    """A port on `address` that nobody has; this process is given it once. Raises OSError when there is none."""
    for _ in range(TRIES):
        port = _chance.randrange(LOWEST, _own_from())
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"No port between {LOWEST} and {_own_from()} is free on {address} after {TRIES} tries")


def _own_from() -> int:
    """The first port that the machine hands out by itself."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return OWN_FROM
    return first if first > LOWEST + TRIES else OWN_FROM
