"""Watching over the desk's processes: start, restart with a growing pause, stop all of them, leave none behind.

One thread and one loop. Every child leads a process group of its own and dies with this process, whatever ends it; what
a dead child leaves behind is handed to this process by the kernel, and killed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from run_tool.commands import (
    TAIL_LINES,
    children_of_this_process,
    complain,
    die_with_parent,
    inherit_orphans,
    kill_group,
    kill_orphans,
)
from run_tool.errors import CannotGoOn, Interrupted
from run_tool.places import ROOT

#: A dead program is started again after this long; twice as long each time, at most PAUSE_MOST_S.
PAUSE_FIRST_S = 0.5
PAUSE_MOST_S = 30.0
#: A program that lived this long starts over with the first pause.
SOUND_S = 60.0
#: While everything starts, this many deaths of one program end the start.
START_TRIES = 4
#: From the first SIGTERM to SIGKILL.
STOP_DEADLINE_S = 10.0
#: For those the others lean on, which stop last.
STOP_LAST_DEADLINE_S = 3.0
#: One log file per program, and one older one beside it.
LOG_BYTES = 5_000_000
LINE_BYTES = 8192
#: A program that talks without end must not keep the loop from the others; each read is at most 64 kB.
READS_PER_TURN = 16


@dataclass(frozen=True)
class Program:
    """One process of the desk. `stops_last`: the others need it until they are gone.

    `needed` False: the desk is of use without it, so its deaths are said and never end the start.
    """

    name: str
    argv: tuple[str, ...]
    stops_last: bool = False
    needed: bool = True


@dataclass
class _Child:
    program: Program
    log: _Log
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    start_again_at: float | None = None
    rest: bytes = b""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class Supervisor:
    """Starts programs and keeps them up. Use as a context manager: leaving it stops all of them.

    SIGINT, SIGTERM and SIGHUP ask it to stop; `keep_up`, `wait_for` and `run_once` then raise Interrupted.
    A second signal while it stops kills at once.
    """

    def __init__(self, env: Mapping[str, str], logs: Path) -> None:
        #: What programs that are started from now on find in their environment.
        self.env = dict(env)
        self._logs = logs
        self._children: list[_Child] = []
        self._once: _Child | None = None
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._signals_heeded = 0
        self._starting = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        inherit_orphans()
        # A signal also wakes the selector: a handler alone would be noticed up to a second late.
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._wake_sender = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._on_signal)
        # So that a child's end wakes the selector too.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._stop()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            self._selector.close()
            self._wake.close()
            self._wake_sender.close()

    def start(self, program: Program) -> None:
        """Start a program and keep it up from now on."""
        child = _Child(program, _Log(self._logs / f"{program.name}.log"))
        self._children.append(child)
        self._spawn(child)

    def run_once(self, program: Program, *, timeout_s: float) -> None:
        """Run a program that ends by itself. Raises CannotGoOn with its last lines when it fails or takes too long."""
        child = _Child(program, _Log(self._logs / f"{program.name}.log"))
        self._once = child
        self._spawn(child)
        assert child.process is not None
        until = time.monotonic() + timeout_s
        try:
            while child.process.poll() is None:
                if time.monotonic() > until:
                    raise CannotGoOn(f"{program.name} took more than {timeout_s:.0f} s and was stopped.{_last(child)}")
                self._turn(0.2)
        finally:
            self._end(child)
            child.log.close()
            self._once = None
        if child.process.returncode != 0:
            raise CannotGoOn(f"{program.name} failed ({_how(child.process.returncode)}).{_last(child)}")

    def wait_for(self, check: Callable[[], bool], *, deadline_s: float) -> bool:
        """Keep everything up until `check` is true; False when the deadline came first."""
        until = time.monotonic() + deadline_s
        while not check():
            if time.monotonic() > until:
                return False
            self._turn(0.1)
        return True

    def keep_up(self) -> None:
        """Keep everything up until a signal comes, which raises Interrupted."""
        self._starting = False
        while True:
            self._turn(1.0)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1

    def _turn(self, wait_s: float) -> None:
        """One turn of the loop: copy what was said, see who died, start again whose pause is over."""
        self._listen(wait_s)
        if self._signals:
            self._signals_heeded = self._signals
            raise Interrupted
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._died(child, now)
            elif child.start_again_at is not None and now >= child.start_again_at:
                self._spawn(child)
        self._kill_orphans()

    def _listen(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._copy(key.data)

    def _spawn(self, child: _Child) -> None:
        child.start_again_at = None
        child.started = time.monotonic()
        try:
            child.process = subprocess.Popen(
                child.program.argv,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise CannotGoOn(f"{child.program.name} cannot be started: {error}") from error
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _died(self, child: _Child, now: float) -> None:
        assert child.process is not None
        returncode = child.process.returncode
        self._end(child)
        child.process = None
        child.deaths = 1 if now - child.started >= SOUND_S else child.deaths + 1
        name = child.program.name
        if self._starting and child.program.needed and child.deaths >= START_TRIES:
            raise CannotGoOn(
                f"{name} does not start: it ended {child.deaths} times ({_how(returncode)}).{_last(child)}\n"
                f"Everything is being stopped; its whole log is {child.log.path}."
            )
        pause_s = min(PAUSE_FIRST_S * 2 ** min(child.deaths - 1, 10), PAUSE_MOST_S)
        child.start_again_at = now + pause_s
        complain(f"{name} ended ({_how(returncode)}) and is started again in {pause_s:g} s.{_last(child)}")

    def _end(self, child: _Child) -> None:
        """Close what is left of a child: its group, its pipe, its last line."""
        assert child.process is not None
        kill_group(child.process.pid)
        if child.process.poll() is None:
            child.process.wait()
        self._copy(child)
        pipe = _pipe(child)
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)
        pipe.close()

    def _copy(self, child: _Child) -> None:
        pipe = _pipe(child)
        if pipe.closed:
            return
        for _ in range(READS_PER_TURN):
            try:
                data = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                # Its last writer is gone; registered, it would wake the loop for ever.
                with contextlib.suppress(KeyError):
                    self._selector.unregister(pipe)
                return
            child.log.write(data)
            *lines, child.rest = (child.rest + data).split(b"\n")
            child.rest = child.rest[-LINE_BYTES:]
            child.tail.extend(line[:LINE_BYTES].decode(errors="replace") for line in lines if line.strip())

    def _kill_orphans(self) -> None:
        kill_orphans(but={child.process.pid for child in (*self._children, self._once) if child and child.process})

    def _stop(self) -> None:
        running = [child for child in self._children if child.process is not None]
        self._stop_these([child for child in running if not child.program.stops_last], STOP_DEADLINE_S)
        self._stop_these([child for child in running if child.program.stops_last], STOP_LAST_DEADLINE_S)
        until = time.monotonic() + STOP_LAST_DEADLINE_S
        while children_of_this_process() and time.monotonic() < until:
            self._kill_orphans()
            time.sleep(0.02)
        for child in self._children:
            child.log.close()

    def _stop_these(self, children: Iterable[_Child], deadline_s: float) -> None:
        waiting = [child for child in children if child.process is not None]
        for child in waiting:
            assert child.process is not None
            child.process.terminate()
        until = time.monotonic() + deadline_s
        while waiting and time.monotonic() < until and self._signals == self._signals_heeded:
            self._listen(0.1)
            waiting = [child for child in waiting if child.process is not None and child.process.poll() is None]
        for child in waiting:
            complain(f"{child.program.name} did not stop in time and is killed.")
        for child in children:
            if child.process is not None:
                self._end(child)
                child.process = None


class _Log:
    """A program's output in a file of at most LOG_BYTES, and as much again in an older one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        if self._file.tell() + len(data) > LOG_BYTES:
            self._file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self._file = self.path.open("ab", buffering=0)
        self._file.write(data)

    def close(self) -> None:
        self._file.close()


def _pipe(child: _Child) -> IO[bytes]:
    assert child.process is not None
    assert child.process.stdout is not None
    return child.process.stdout


def _how(returncode: int) -> str:
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return f"exit {returncode}"


def _last(child: _Child) -> str:
    return "".join(f"\n    {line}" for line in child.tail)
