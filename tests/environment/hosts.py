"""Hosts for tests: network namespaces on one bridge where this machine allows it; else all are this one, said loudly.

What is "on" a host reaches the others by addresses only, and its cable can be pulled. The bridge is in a namespace
of its own, too, and the test's thread with it: a browser of another test ends what it is asking for when an address
of its machine comes or goes (net::ERR_NETWORK_CHANGED).
"""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from tests.environment.loopback import own_network

#: Seconds one `ip` command may take.
IP_S = 60
#: <linux/sched.h>: what unshare(2) and setns(2) call a network namespace.
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Host:
    """One host: its address, and the namespace its processes are in; "" is this machine itself."""

    address: str
    namespace: str = ""
    cable: str = ""

    def start(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a process on this host. It dies with this one."""
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        with log.open("ab") as file:
            return subprocess.Popen(
                [*inside, *command],
                cwd=ROOT,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def pull_the_cable(self) -> None:
        """Nothing comes in or goes out any more, and nobody is told. Without namespaces nothing happens."""
        if self.cable:
            _ip("link", "set", self.cable, "down")

    def plug_it_in(self) -> None:
        if self.cable:
            _ip("link", "set", self.cable, "up")


@dataclass(frozen=True)
class Network:
    """`here` is the address of this machine as the hosts see it."""

    here: str
    hosts: tuple[Host, ...]

    @property
    def separated(self) -> bool:
        return bool(self.hosts[0].namespace)


@contextmanager
def some_hosts(number: int) -> Iterator[Network]:
    """So many hosts on one network; taken down at the end, whatever happened."""
    name = f"dh{secrets.token_hex(3)}"
    net = f"10.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
    with ExitStack() as stack:
        try:
            network = _build(stack, name, net, number)
        except (OSError, subprocess.SubprocessError) as error:
            stack.close()
            reason = getattr(error, "stderr", "") or error
            print(f"!! No network namespaces here ({reason}): all hosts are this one.", file=sys.stderr, flush=True)
            network = Network("127.0.0.1", tuple(Host("127.0.0.1") for _ in range(number)))
        with own_network(f"{net}."):
            yield network


def _build(stack: ExitStack, name: str, net: str, number: int) -> Network:
    if os.geteuid() != 0:
        raise OSError("only root makes them")
    stack.enter_context(_a_network_of_our_own())
    _ip("link", "add", name, "type", "bridge")
    _ip("addr", "add", f"{net}.1/24", "dev", name)
    _ip("link", "set", name, "up")
    hosts = []
    for at in range(number):
        namespace, cable, address = f"{name}n{at}", f"{name}c{at}", f"{net}.{at + 10}"
        _ip("netns", "add", namespace)
        stack.callback(_take_down, namespace)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", cable, "master", name, "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        hosts.append(Host(address, namespace, cable))
    return Network(f"{net}.1", tuple(hosts))


@contextmanager
def _a_network_of_our_own() -> Iterator[None]:
    """This thread, and the threads and processes it starts, on a network with nothing but a loopback of its own.

    The kernel takes it and its bridge down when the last of them has gone. Raises `OSError` where that is not allowed.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        _must(_LIBC.unshare(CLONE_NEWNET))
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            _must(_LIBC.setns(before.fileno(), CLONE_NEWNET))


_LIBC = ctypes.CDLL(None, use_errno=True)


def _must(status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _take_down(namespace: str) -> None:
    with suppress(subprocess.SubprocessError):
        _ip("netns", "del", namespace)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=IP_S)
