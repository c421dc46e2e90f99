"""Tests talk to this machine only: a connection to anywhere else is refused before a packet leaves."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class OutsideThisMachine(RuntimeError):
    """A test tried to reach an address that is not on this machine; give it a server on 127.0.0.1."""


def stay_on_this_machine() -> None:
    """Refuse sockets of this process any address but loopback, for good. Children are not watched."""
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[object, ...]) -> None:
    # sendmsg is not among them: connected sockets were looked at when they connected.
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = args[1]
    if not isinstance(address, tuple) or not address:
        return  # a unix socket
    host = str(address[0])
    try:
        outside = not ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        outside = host != "localhost"
    if outside and not host.startswith(tuple(_OWN)):
        raise OutsideThisMachine(f"{event} to {address!r}: tests may only reach 127.0.0.1 and ::1")


#: Networks that tests made on this machine and that lead nowhere else, as the beginning of their addresses.
_OWN: set[str] = set()


@contextmanager
def own_network(beginning: str) -> Iterator[None]:
    """Addresses that begin like this are this machine's, too, for as long as this lasts: "10.1.2."."""
    _OWN.add(beginning)
    try:
        yield
    finally:
        _OWN.discard(beginning)
