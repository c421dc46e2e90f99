"""Connections to mail servers that people entered: every address is checked, and the checked one used."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from connectors.addresses import AddressCeiling
from connectors.http import system_resolve


class CannotDial(Exception):
    """The server cannot be reached, or its name cannot be resolved. Nothing was sent."""


def dial(
    host: str,
    port: int,
    *,
    encrypted: bool,
    ceiling: AddressCeiling,
    timeout_s: float,
    resolve: Callable[[str, int], Sequence[str]] = system_resolve,
) -> socket.socket:
    """A connection to one of the host's addresses, all of which were allowed. Raises `CannotDial`, `AddressRefused`.

    The name is resolved once, so that a second answer cannot lead elsewhere than the one that was checked."""
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError):
        raise CannotDial(f"The name {host} cannot be resolved (DNS). Check the address.") from None
    addresses = [ipaddress.ip_address(text.split("%")[0]) for text in dict.fromkeys(found)]
    ceiling.check("https" if encrypted else "http", host, port, addresses)
    failure = "no address"
    for address in sorted(addresses, key=lambda one: one.version):
        try:
            return socket.create_connection((str(address), port), timeout=timeout_s)
        except OSError as error:
            failure = type(error).__name__ if not error.strerror else error.strerror
    raise CannotDial(f"{host}:{port} cannot be reached: {failure}")
