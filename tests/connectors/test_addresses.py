"""The corpus of addresses that must not be reached, and of those that may."""

from __future__ import annotations

import ipaddress

import pytest

from connectors.addresses import AddressCeiling, entry
from connectors.errors import AddressRefused

ANYWHERE = AddressCeiling(["0.0.0.0/0", "::/0"])


def check(ceiling: AddressCeiling, *addresses: str, host: str = "erp.test", port: int = 443, scheme: str = "https"):
    ceiling.check(scheme, host, port, [ipaddress.ip_address(one) for one in addresses])


NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:1::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::169.254.169.254",
    "::ffff:0:10.0.0.1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "fc00::1",
    "fd12:3456::1",
    "2001:db8::1",
    "fec0::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_refused_even_when_everything_is_allowed(address: str) -> None:
    with pytest.raises(AddressRefused, match="never reach"):
        check(ANYWHERE, address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_the_ceiling_covers_it(address: str) -> None:
    with pytest.raises(AddressRefused, match="private address"):
        check(AddressCeiling(), address)
    check(ANYWHERE, address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_reached_over_https_only(address: str) -> None:
    check(AddressCeiling(), address)
    with pytest.raises(AddressRefused, match="over https"):
        check(AddressCeiling(), address, scheme="http", port=80)
    with pytest.raises(AddressRefused, match="may not reach public"):
        check(AddressCeiling(allow_public=False), address)


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(AddressRefused, match=r"erp\.test leads to 10\.0\.0\.1"):
        check(AddressCeiling(), "93.184.216.34", "10.0.0.1")


def test_a_host_without_addresses_is_refused() -> None:
    with pytest.raises(AddressRefused, match="no address"):
        check(ANYWHERE)


def test_an_entry_with_a_port_allows_that_port_only() -> None:
    ceiling = AddressCeiling(["127.0.0.1:18069"])
    check(ceiling, "127.0.0.1", port=18069, scheme="http")
    for address, port in (("127.0.0.1", 18070), ("127.0.0.2", 18069)):
        with pytest.raises(AddressRefused):
            check(ceiling, address, port=port, scheme="http")


def test_an_entry_may_name_a_host_of_our_network() -> None:
    ceiling = AddressCeiling(["tryton:8000"])
    check(ceiling, "172.18.0.5", host="tryton", port=8000, scheme="http")
    check(ceiling, "172.18.0.5", host="Tryton.", port=8000, scheme="http")
    with pytest.raises(AddressRefused):
        check(ceiling, "172.18.0.5", host="other", port=8000, scheme="http")
    with pytest.raises(AddressRefused, match="never reach"):
        check(ceiling, "169.254.169.254", host="tryton", port=8000, scheme="http")


@pytest.mark.parametrize(
    ("own", "address", "port"),
    [
        ("127.0.0.1:6379", "127.0.0.1", 6379),
        ("127.0.0.1:6379", "127.0.0.9", 6379),
        ("127.0.0.1:6379", "::1", 6379),
        ("127.0.0.1:6379", "::ffff:127.0.0.1", 6379),
        ("localhost:5432", "127.0.0.1", 5432),
        ("localhost:5432", "::1", 5432),
        ("0.0.0.0:8421", "192.168.7.7", 8421),
        ("[::]:8421", "10.0.0.3", 8421),
        ("10.0.0.5:5432", "10.0.0.5", 5432),
    ],
)
def test_our_own_ports_are_refused_whatever_is_allowed(own: str, address: str, port: int) -> None:
    ceiling = AddressCeiling(["0.0.0.0/0", "::/0"], own_addresses=[own])
    with pytest.raises(AddressRefused, match="belongs to Deskhand itself"):
        check(ceiling, address, port=port, scheme="http")
    check(ceiling, address, port=port + 1, scheme="http")


def test_our_own_services_are_refused_by_name() -> None:
    ceiling = AddressCeiling(["10.0.0.0/8"], own_addresses=["redis:6379"])
    with pytest.raises(AddressRefused, match="itself"):
        check(ceiling, "10.0.0.2", host="redis", port=6379, scheme="http")


def test_a_connection_narrows_the_ceiling_and_never_widens_it() -> None:
    narrow = [entry("10.1.0.0/16"), entry("192.168.0.1")]
    ceiling = AddressCeiling(["10.0.0.0/8"])

    def ask(address: str) -> None:
        ceiling.check("http", "erp.test", 80, [ipaddress.ip_address(address)], narrowed=narrow)

    ask("10.1.2.3")
    with pytest.raises(AddressRefused, match="limited to"):
        ask("10.2.0.1")
    with pytest.raises(AddressRefused, match="private address"):
        ask("192.168.0.1")


@pytest.mark.parametrize(
    "text",
    ["", ":80", "10.0.0.0/8:99999", "10.0.0.0/33", "host:0", "host:70000", "host:x", "[::1", "a b", "1.2.3", "::1]:8"],
)
def test_an_entry_that_cannot_be_read_is_an_error_and_not_an_empty_rule(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        entry(text)


def test_an_own_address_without_a_port_is_an_error() -> None:
    with pytest.raises(ValueError, match="must name a port"):
        AddressCeiling(own_addresses=["127.0.0.1"])
