"""Which addresses this installation may reach. Decided on the resolved address, never on the spelling of a host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from connectors.errors import AddressRefused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Refused whatever anybody allows: this host's wildcard, link-local (cloud metadata lives there), multicast, reserved,
#: and the ranges that carry an IPv4 address inside an IPv6 one by way of a translator.
NEVER: Sequence[Network] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "::ffff:0:0:0/96",
        "2002::/16",
        "2001::/32",
    )
)
#: The same for IPv4-compatible addresses; its ::1 is loopback and judged like 127.0.0.1.
COMPATIBLE = ipaddress.ip_network("::/96")
#: IPv6's public addresses are these and no others: site-local fec0::/10 counts as global for Python, and reaches what
#: 10.0.0.0/8 does.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
DOCUMENTATION = ipaddress.ip_network("3fff::/20")
#: Carrier-grade NAT counts as private although Python does not say so.
SHARED = ipaddress.ip_network("100.64.0.0/10")


@dataclass(frozen=True, slots=True)
class Entry:
    """One allowed place: a network, or a host name, with one port or any."""

    network: Network | None
    host: str
    port: int | None

    def covers(self, host: str, port: int, address: Address) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is None:
            return self.host == host.casefold().rstrip(".")
        return address.version == self.network.version and address in self.network


def entry(text: str) -> Entry:
    """Read "10.0.0.0/8", "10.1.2.3", "127.0.0.1:8069", "[::1]:8069", "erp.internal" or "erp.internal:8000".

    Raises `ValueError`."""
    text = text.strip()
    where, port = text, ""
    if text.startswith("["):
        where, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address, a network or host:port")
        port = rest[1:]
    elif text.count(":") == 1:
        where, _, port = text.partition(":")
    if (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)) or not where:
        raise ValueError(f"{text!r} is not an address, a network or host:port")
    number = int(port) if port else None
    try:
        return Entry(ipaddress.ip_network(where, strict=False), "", number)
    except ValueError:
        name = where.casefold().rstrip(".")
        if not name or not all(char.isalnum() or char in "-._" for char in name) or name.replace(".", "").isdigit():
            raise ValueError(f"{text!r} is not an address, a network or host:port") from None
        return Entry(None, name, number)


class AddressCeiling:
    """What the environment allows. A connection can narrow it, never widen it.

    Public addresses are allowed, over https only; private ones only where an entry of `allowed` covers them.
    `own_addresses` (our Redis, database and web ports) are refused whatever `allowed` says."""

    def __init__(
        self, allowed: Iterable[str] = (), *, own_addresses: Iterable[str] = (), allow_public: bool = True
    ) -> None:
        """Raises `ValueError` for an entry that cannot be read, or for an own address without a port."""
        self._allowed = tuple(entry(text) for text in allowed)
        own = [(text, entry(text)) for text in own_addresses]
        for text, one in own:
            if one.port is None:
                raise ValueError(f"{text!r} must name a port")
        self._own = tuple(one for _, one in own)
        self._allow_public = allow_public

    def check(
        self, scheme: str, host: str, port: int, addresses: Sequence[Address], *, narrowed: Sequence[Entry] = ()
    ) -> None:
        """Refuse unless every one of `addresses`, which `host` resolved to, may be reached. Raises `AddressRefused`.

        Every address counts: one private address among public ones is how a name is turned against us."""
        if not addresses:
            raise AddressRefused(f"{host} has no address. Nothing was sent.")
        for address in addresses:
            reason = self._refusal(scheme, host, port, _plain(address), narrowed)
            if reason:
                raise AddressRefused(f"{host} leads to {address}, {reason}. Nothing was sent.")

    def _refusal(self, scheme: str, host: str, port: int, address: Address, narrowed: Sequence[Entry]) -> str:
        if any(address.version == network.version and address in network for network in NEVER):
            return "an address that connectors never reach"
        if address.version == 6 and address in COMPATIBLE and not address.is_loopback:
            return "an address that connectors never reach"
        if self._is_own(host, port, address):
            return f"port {port} of which belongs to Deskhand itself"
        if narrowed and not any(one.covers(host, port, address) for one in narrowed):
            return "which is outside the addresses this connection is limited to"
        if any(one.covers(host, port, address) for one in self._allowed):
            return ""
        if _is_public(address):
            if not self._allow_public:
                return "and this installation may not reach public addresses"
            return "" if scheme == "https" else "a public address, which must be asked over https"
        return "a private address that this installation may not reach (DESKHAND_ADDRESS_CEILING names those it may)"

    def _is_own(self, host: str, port: int, address: Address) -> bool:
        for own in self._own:
            if own.port != port:
                continue
            if own.network is None:
                # The name of a service of ours; "localhost" is every loopback address.
                if own.host == host.casefold().rstrip(".") or (own.host == "localhost" and address.is_loopback):
                    return True
                continue
            first = own.network.network_address
            # Bound to the wildcard, it answers on every private address of this machine.
            if first.is_unspecified and (address.is_loopback or address.is_private):
                return True
            if (first.is_loopback and address.is_loopback) or own.covers(host, port, address):
                return True
        return False

    def __repr__(self) -> str:
        return f"AddressCeiling({len(self._allowed)} allowed, {len(self._own)} own)"


def _is_public(address: Address) -> bool:
    if address.version == 4:
        return address.is_global and address not in SHARED
    return address.is_global and address in GLOBAL_UNICAST and address not in DOCUMENTATION


def _plain(address: Address) -> Address:
    """The address that is really dialled: ::ffff:10.0.0.1 is 10.0.0.1."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
