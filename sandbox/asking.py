"""One question to the gateway, asked on one of a bounded number of threads: whoever asked can stop waiting, whatever
the gateway does.

A gateway keeps the deadline it is given. This is for the day it does not: a run ends when its time is up, and the
thread that still waits counts against the bound, so that hung calls are bounded, too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from sandbox.contract import Answer, CallFailed, Gateway
from sandbox.wire import JSON

log = logging.getLogger(__name__)

#: Questions of this process at the same time, those that nobody waits for any more included. More of them wait in
#: line, each within the time of its own run.
AT_ONCE = 32


class Question:
    """Asked when made, as a context: leaving it is to stop waiting."""

    def __init__(
        self, gateway: Gateway, connection: str, operation: str, args: Mapping[str, JSON], deadline_s: float
    ) -> None:
        self._gateway = gateway
        self._words = (connection, operation, args)
        self._until = time.monotonic() + deadline_s
        self._lock = threading.Lock()
        self._waited_for = True
        self._bell: int | None = None
        self._answered = threading.Lock()
        self._answered.acquire()
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        _threads.ask(self)

    def soon(self, most_s: float) -> bool:
        """Wait up to `most_s` seconds. Whether there is an answer or an error."""
        if not self._answered.acquire(timeout=most_s):
            return False
        self._answered.release()
        return True

    def bell(self) -> int:
        """A descriptor that is readable once there is an answer or an error. It lives as long as the question."""
        with self._lock:
            if self._bell is None:
                self._bell = os.eventfd(0 if self._answered.locked() else 1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return self._bell

    def answer(self) -> Answer:
        """What the gateway said. Waits for it. Raises what the gateway raised, first of all `CallFailed`."""
        with self._answered:
            if self._error is not None:
                raise self._error
            assert self._answer is not None
            return self._answer

    def ask(self) -> None:
        """On a thread: ask, unless nobody waits any more, and ring. Raises nothing."""
        with self._lock:
            if not self._waited_for:
                return
        try:
            self._answer = self._gateway.call(*self._words, deadline_s=max(0.0, self._until - time.monotonic()))
        except BaseException as error:  # whoever asked gets it, or the log
            self._error = error
        with self._lock:
            self._answered.release()
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)
            late = not self._waited_for
        if late and self._error is not None and not isinstance(self._error, CallFailed):
            log.warning("sandbox.late_call_failed", extra={"error": type(self._error).__name__})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits any more. A question still in line is never asked; one under way ends by its own deadline."""
        with self._lock:
            self._waited_for = False
            if self._bell is not None:
                # Under the lock: a bell rung later would ring whatever has its number then.
                os.close(self._bell)
                self._bell = None


class _Threads:
    """Up to `AT_ONCE` threads, each made when all others are busy, and the line before them.

    The standard library's pool does the same for four times the time, which is paid with every call of every run."""

    def __init__(self) -> None:
        self._line: SimpleQueue[Question] = SimpleQueue()
        self._lock = threading.Lock()
        self._made = 0
        #: Threads that nothing in the line is meant for. Too many once all are made, where nobody looks at it.
        self._idle = 0

    def ask(self, question: Question) -> None:
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._made < AT_ONCE:
                # Daemons: a process that ends does not wait for a gateway that hangs.
                threading.Thread(target=self._work, name=f"ask_{self._made}", daemon=True).start()
                self._made += 1
        self._line.put(question)

    def _work(self) -> None:
        while True:
            self._line.get().ask()
            with self._lock:
                self._idle += 1


_threads = _Threads()


def _forget() -> None:
    """Threads do not follow a fork."""
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_forget)
