"""The self-test: at start, real attacks in throwaway children that stand where a script would stand.

A child that succeeds exits with 0. A refusal by the kernel exits with 1, or ends it with SIGSYS."""

from __future__ import annotations

import _socket as socket
import ctypes
import mmap
import os
import signal
from collections.abc import Callable

#: What a child that was refused exits with.
EXIT_REFUSED = 1


def _open() -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))


def _write_other_fd() -> None:
    os.write(2, b"!")


def _socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _exec() -> None:
    os.execv("/bin/true", ["true"])


def _kill_parent() -> None:
    # Signal 0 asks only for permission: the self-test must not harm what it runs in.
    os.kill(os.getppid(), 0)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIG_DFL)


def _map_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _trace() -> None:
    if ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0:
        raise PermissionError


def _eat_memory() -> None:
    bytearray(1024 * 1024 * 1024)


#: Name, attack, and the layer that is missing when it succeeds. The order is the number on the wire.
ATTACKS: tuple[tuple[str, Callable[[], None], str], ...] = (
    ("open a file", _open, "seccomp"),
    ("write to another descriptor", _write_other_fd, "seccomp"),
    ("make a socket", _socket, "seccomp"),
    ("fork", _fork, "seccomp"),
    ("execute a program", _exec, "seccomp"),
    ("signal the parent", _kill_parent, "seccomp"),
    ("signal itself", _kill_self, "seccomp"),
    ("map executable memory", _map_code, "seccomp"),
    ("trace", _trace, "seccomp"),
    ("take 1 GB of memory", _eat_memory, "rlimits"),
)


def attempt(number: int) -> None:
    """Try attack `number` in this process and end it with the result."""
    try:
        ATTACKS[number][1]()
    except (OSError, MemoryError):
        os._exit(EXIT_REFUSED)
    os._exit(0)
