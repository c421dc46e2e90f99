"""python -m tests.environment.starter FD: has imported the product, and forks for each process that tests ask for.

What it forks is a process as `python -m MODULE ARGUMENTS` makes one: with the environment, the standard streams and
the exit code of its own, and its own connections, for none is open here and no thread runs. It only need not import
the product again, which is nine tenths of what such a process of a test takes. The other end of the socket FD is
tests/environment/started.py.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    # As in jobs.worker: what is imported here stays.
    gc.disable()

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from run_tool.commands import die_with_parent

#: What the processes of tests run, with all that it imports.
PRELOADED = ("jobs.worker", "tests.jobs.faults", "tests.chaos_plain", "tests.web.desk", "web")
#: Bytes of one request: its arguments and its environment.
REQUEST_BYTES = 1 << 18
#: Standard input, output and error of the new process, and where its exit code is to be told.
STREAMS = 4


@dataclass(frozen=True)
class Asked:
    """What a new process is to run."""

    module: str
    arguments: list[str]
    environ: dict[str, str]
    #: In a session of its own.
    alone: bool


def serve(door: socket.socket, interrupted: Any) -> Asked | None:
    """Fork for each request until the other end closes. Returns in each new process what it is to run.

    `interrupted`: what Ctrl-C does there."""
    ourselves = os.getpid()
    with selectors.DefaultSelector() as watched:
        watched.register(door, selectors.EVENT_READ)
        while True:
            for key, _ in watched.select():
                if key.fileobj is not door:
                    watched.unregister(key.fd)
                    _tell(*key.data)
                    os.close(key.fd)
                    continue
                request, streams, _flags, _from = socket.recv_fds(door, REQUEST_BYTES, STREAMS)
                if not request:
                    return None
                pid = os.fork()
                if pid == 0:
                    asked = Asked(**json.loads(request))
                    _become(asked, streams, ourselves, interrupted)
                    return asked
                for stream in streams[:-1]:
                    os.close(stream)
                watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, streams[-1]))
                door.send(str(pid).encode())


def _tell(pid: int, stream: int) -> None:
    """Bury the process `pid` and tell how it ended."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more
        os.write(stream, str(code).encode())
    os.close(stream)


def _become(asked: Asked, streams: list[int], parent: int, interrupted: Any) -> None:
    """In a new process: whatever it has of its parent and would not have had otherwise, is gone."""
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    if asked.alone:
        os.setsid()
    for number, stream in enumerate(streams[:-1]):
        os.dup2(stream, number)
    os.closerange(len(streams) - 1, os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, interrupted)
    os.environ.clear()
    os.environ.update(asked.environ)
    time.tzset()
    gc.enable()


def main() -> None:
    die_with_parent()
    # Ctrl-C reaches the whole group; the tests decide what ends when. Whoever started us may have had it ignored.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in PRELOADED:
        importlib.import_module(module)
        # It is run as the main module, and then was not imported before.
        if module.rpartition(".")[0]:
            del sys.modules[module]
    gc.freeze()
    door = socket.socket(fileno=int(sys.argv[1]))
    asked = serve(door, interrupted)
    if asked is None:
        return
    door.detach()  # closed already, with all else
    sys.argv = ["", *asked.arguments]
    runpy.run_module(asked.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
