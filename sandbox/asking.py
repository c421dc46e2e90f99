"""One question to the gateway, asked on a thread of a bounded pool: whoever asked can stop waiting, whatever it does.

A gateway keeps the deadline it is given. This is for the day it does not: a run ends when its time is up, and the
thread that still waits counts against the pool, so that hung calls are bounded, too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from sandbox.contract import Answer, CallFailed, Gateway
from sandbox.wire import JSON

log = logging.getLogger(__name__)

#: Questions of this process at the same time, those that nobody waits for any more included. More of them wait in
#: line, each within the time of its own run.
AT_ONCE = 32


class Question:
    """Asked when made. `bell` is a descriptor that is readable once there is an answer or an error."""

    def __init__(
        self, gateway: Gateway, connection: str, operation: str, args: Mapping[str, JSON], deadline_s: float
    ) -> None:
        until = time.monotonic() + deadline_s
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._waited_for = True

        def call() -> Answer:
            return gateway.call(connection, operation, args, deadline_s=max(0.0, until - time.monotonic()))

        try:
            self._future: Future[Answer] = _pool().submit(call)
        except BaseException:
            os.close(self.bell)
            raise
        self._future.add_done_callback(self._ring)

    def answer(self) -> Answer:
        """What the gateway said. Waits for it. Raises what the gateway raised, first of all `CallFailed`."""
        return self._future.result()

    def _ring(self, future: Future[Answer]) -> None:
        with self._lock:
            if self._waited_for:
                os.eventfd_write(self.bell, 1)
                return
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, CallFailed):
            log.warning("sandbox.late_call_failed", extra={"error": type(error).__name__})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits any more. A question still in line is never asked; one under way ends by its own deadline."""
        with self._lock:
            self._waited_for = False
            # Under the lock: a bell rung later would ring whatever has its number then.
            os.close(self.bell)
        self._future.cancel()


_made = threading.Lock()
_current: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    global _current
    with _made:
        if _current is None:
            _current = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask")
        return _current


def _forget() -> None:
    """Threads do not follow a fork."""
    global _current, _made
    _made = threading.Lock()
    _current = None


os.register_at_fork(after_in_child=_forget)
