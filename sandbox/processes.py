"""The service's processes seen from outside: how a zygote is started, asked for children, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.ending import ENDED
from sandbox.errors import SandboxError
from sandbox.jail import NOBODY
from sandbox.zygote import HELLO, MESSAGE_BYTES, ORDER, PIDFD

#: How long a zygote may take to start, and to fork.
BOOT_S = 20.0
FORK_S = 5.0

#: What the zygote runs. There is no stderr in there, so a failed import is told through the control socket.
#:
#: Every page it holds or writes costs each child at its fork. So nothing is done after a fork: `random` would seed a
#: generator that no script reaches. And `inspect`, with all that it brings, stays out: `dataclasses` wants it for the
#: docs of classes that have none, and from Python 3.13 on to read a class's own annotations. What a run hardly touches
#: is imported first, so that the rest lies together.
_BOOT = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
os.register_at_fork = lambda **_: None
shell = sys.modules["inspect"] = type(sys)("inspect")
shell.signature = lambda _: ""
shell.get_annotations = lambda of: dict(of.__dict__.get("__annotations__", ()))
try:
    from sandbox import heap
    heap.begin()
    import calendar, ctypes, decimal, random, re2, sandbox.policy
    from sandbox import packing
    packing.fill_holes()
    from sandbox import zygote
    from sandbox.child.main import preload, serve
except BaseException as error:
    os.write(int(sys.argv[2]), f"E{type(error).__name__}: {error}".encode()[:4000])
    os._exit(1)
del sys.modules["inspect"]
zygote.main(sys.argv[2:], serve, preload)
"""


class ZygoteDied(SandboxError):
    """The zygote ended or did not answer in time."""


class Zygote:
    """One zygote process, seen from outside."""

    def __init__(self, command: Callable[[int], list[str]] | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        self.born = time.monotonic()
        self.forks = 0
        self.lent = 0
        try:
            # -s and -P instead of -I: -I would also ignore PYTHONHASHSEED, and then two runs of one script may differ.
            # -S: what `site` would run from the environment's .pth files has no business here.
            self.process = subprocess.Popen(
                (command or _command)(theirs.fileno()),
                env={"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pidfd = os.pidfd_open(self.process.pid)

    def hello(self) -> dict[str, str]:
        """Wait for its report: each layer with "" or why it is missing. Raises `ZygoteDied`."""
        self.control.settimeout(BOOT_S)
        try:
            said = self.control.recv(MESSAGE_BYTES)
        except (TimeoutError, ConnectionResetError) as error:
            raise ZygoteDied(f"The zygote did not start within {BOOT_S:g} s") from error
        if said[:1] != HELLO:
            raise ZygoteDied(f"The zygote did not start: {said[1:].decode(errors='replace') or 'it ended at once'}")
        self.control.settimeout(FORK_S)
        return dict(json.loads(said[1:]))

    def fork(self, kind: bytes, cpu_s: int, memory_mb: int, number: int = 0) -> Child:
        """A new child, jailed and waiting for its first frame. Raises `ZygoteDied`."""
        talk, childs = socket.socketpair()
        ended, tell = os.pipe()
        try:
            socket.send_fds(self.control, [ORDER.pack(kind, cpu_s, memory_mb, number)], [childs.fileno(), tell])
            said, fds, _, _ = socket.recv_fds(self.control, 16, 1)
            if said != PIDFD or len(fds) != 1:
                raise ZygoteDied("The zygote ended while it was asked for a child")
        except (OSError, ZygoteDied) as error:
            talk.close()
            os.close(ended)
            raise (
                error if isinstance(error, ZygoteDied) else ZygoteDied(f"The zygote does not answer: {error}")
            ) from error
        finally:
            childs.close()
            os.close(tell)
        self.forks += 1
        self.lent += 1
        return Child(self, talk, ended, fds[0])

    def stop(self) -> None:
        """Kill it and, with it, every child. Returns when it is gone."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        os.close(self.pidfd)


@dataclass(slots=True)
class Child:
    """One single-use child: ready, or lent to a caller."""

    zygote: Zygote
    talk: socket.socket
    ended_fd: int
    pidfd: int
    born: float = field(default_factory=time.monotonic)

    def end(self) -> None:
        """Kill it, if it still lives, and forget it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.talk.close()
        os.close(self.ended_fd)
        os.close(self.pidfd)
        self.zygote.lent -= 1

    def has_ended(self) -> bool:
        """Whether its process is over."""
        poll = select.poll()  # `select` takes no descriptor beyond 1023
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def wait_status(self, most_s: float) -> int | None:
        """How it ended, as `os.wait` tells it; None when nobody said so within `most_s` seconds."""
        poll = select.poll()
        poll.register(self.ended_fd, select.POLLIN)
        if not poll.poll(int(most_s * 1000)):
            return None
        data = os.read(self.ended_fd, ENDED.size)
        return int(ENDED.unpack(data)[0]) if len(data) == ENDED.size else None


def _command(fd: int) -> list[str]:
    """The zygote's command line. It drops root by itself, after reading what only root may be able to read."""
    home = str(Path(__file__).resolve().parent.parent)
    path = [home, *(str(Path(one).resolve()) for one in sys.path if one)]
    return [
        *(sys.executable, "-s", "-S", "-P", "-c", _BOOT, json.dumps(list(dict.fromkeys(path)))),
        *(str(fd), str(os.getpid()), str(NOBODY)),
    ]
