"""Processes of the product that tests start by the dozen, forked by tests/environment/starter.py in a hundredth of
the time that a start takes. At least one test of each kind of process starts it by its real command line instead."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Protocol

from run_tool.commands import die_with_parent
from run_tool.places import ROOT

#: Seconds until the starter has imported everything, on a busy machine.
START_S = 120
#: Bytes of what the starter answers: a number.
ANSWER_BYTES = 64


class Process(Protocol):
    """What tests need of a process, whoever started it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Started:
    """A process that was forked for us, with the names of subprocess.Popen."""

    returncode: int | None = None

    def __init__(self, pid: int, files: Sequence[IO[bytes]]) -> None:
        """Its output and what it complains of, if they are kept, and where its exit code will stand."""
        self.pid = pid
        *self._kept, self._ended = files

    def poll(self) -> int | None:
        if self.returncode is None and self._is_told(0):
            said = self._ended.read()
            self._ended.close()
            # If nobody is left to say so: the kernel kills what was forked together with its parent.
            self.returncode = int(said or -signal.SIGKILL)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not self._is_told(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def _is_told(self, timeout: float | None) -> bool:
        return bool(select.select([self._ended], [], [], timeout)[0])

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What it said and what it complained of, when it has ended."""
        self.wait(timeout)
        for file in self._kept:
            file.seek(0)
        said, complained = (file.read() for file in self._kept)
        return said, complained

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It ends before the block is left, as subprocess.Popen's does; an error does not wait for it."""
        try:
            if kind is not None:
                self.kill()
            self.wait()
        finally:
            for file in self._kept:
                file.close()


class Starter:
    """One process that has imported the product; it goes with us, and what it forked with it."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.settimeout(START_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.environment.starter", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                preexec_fn=die_with_parent,
            )

    def start(
        self,
        module: str,
        *arguments: str,
        environ: Mapping[str, str],
        keep: bool = False,
        quiet: bool = False,
        told: str = "",
        log: IO[bytes] | None = None,
    ) -> Started:
        """As `python -m module arguments`, which reads what it is `told`. With `keep` it is kept what it said and
        complained of, with `quiet` nobody hears what it complained of, with a `log` both are written there and it is
        in a session of its own, and otherwise it writes where we do."""
        with ExitStack() as ours, ExitStack() as theirs:
            kept: list[IO[bytes]] = [ours.enter_context(tempfile.TemporaryFile()) for _ in range(2 if keep else 0)]
            reads, writes = os.pipe()
            ended = ours.enter_context(open(reads, "rb"))
            code = theirs.enter_context(open(writes, "wb"))
            nowhere = theirs.enter_context(open(os.devnull, "wb"))
            reading = theirs.enter_context(tempfile.TemporaryFile())
            reading.write(told.encode())
            reading.seek(0)
            said, complained = [file.fileno() for file in kept] or [1, nowhere.fileno() if quiet else 2]
            if log is not None:
                said = complained = log.fileno()
            asked = {"module": module, "arguments": arguments, "environ": dict(environ), "alone": log is not None}
            request = json.dumps(asked).encode()
            with self._alone:
                socket.send_fds(self._door, [request], [reading.fileno(), said, complained, code.fileno()])
                pid = int(self._door.recv(ANSWER_BYTES) or 0)
            if not pid:
                raise RuntimeError("the process that starts others has ended")
            ours.pop_all()  # they are the new process's now
            return Started(pid, [*kept, ended])

    def close(self) -> None:
        self._door.close()
        self._process.wait()


def logged(command: Sequence[str], environ: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process by its real command line, in a session of its own, that writes into `log` and goes with us."""
    return subprocess.Popen(
        command,
        env=environ,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


_starter: Starter | None = None
_first = threading.Lock()


def start(
    module: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    keep: bool = False,
    quiet: bool = False,
    told: str = "",
) -> Started:
    """A process of the product, as `python -m module arguments` with these variables; see `Starter.start`."""
    global _starter
    with _first:
        if _starter is None:
            _starter = Starter()
            atexit.register(_starter.close)
    return _starter.start(module, *arguments, environ=environ, keep=keep, quiet=quiet, told=told)
