"""When what SQLite has committed is on the disk: after the commit, with its write lock given back.

By itself SQLite (`synchronous` FULL) waits for the disk with the lock in hand, and everybody who wants to write waits
with it. Here a commit goes into its log (WAL) at once, and whoever answers for it waits for the log to be on the disk
afterwards. After a power failure SQLite reads the log from its beginning up to the first part that is not whole (each
part's checksum continues the one before; https://sqlite.org/walformat.html, "Recovery"), and it lets the log begin
anew only when all of it is on the disk in the database's own file: what is there is always everything up to some
commit, nothing without what came before it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Any

logger = logging.getLogger(__name__)

#: Commits that may wait for the disk behind a worker; with one more it waits itself.
MOST_BEHIND = 64
#: Seconds between two times that commits are put on the disk behind a worker: all that come meanwhile go together.
PAUSE_S = 0.01
#: Commits of a worker after which the log is folded back, which takes a disk tens of milliseconds, and seconds that is
#: waited for those who still read the log when all of it is: nobody writes meanwhile.
FOLD_COMMITS, FOLD_WAIT_S = 100, 0.02


class Log:
    """The log of one open connection. SQLite removes the file with the last connection to its database, so it is held
    for as long as the connection is open, and no longer. To close it lets go of no lock: SQLite's are on its other two
    files (with those it would: https://sqlite.org/howtocorrupt.html, 2.2)."""

    def __init__(self, driver: Any) -> None:
        """Raises `OSError` when there is no such file."""
        _number, _name, self._path = driver.execute("PRAGMA database_list").fetchone()
        self._fd: int | None = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()

    def to_disk(self) -> None:
        """Returns when all that was committed before is on the disk. Raises `OSError` when the disk refuses."""
        with self._lock:
            if self._fd is not None:
                os.fdatasync(self._fd)

    def fold(self) -> None:
        """Fold the log back into the database's file, beside those who read and write, so that it begins anew.

        Raises `sqlite3.Error`."""
        with closing(sqlite3.connect(self._path, timeout=FOLD_WAIT_S)) as connection:
            # Most of it beside everybody; then, with the write lock, the little that came meanwhile.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    def close(self) -> None:
        """The connection closes. What may still wait for the disk is put there first; raises as `to_disk`."""
        with self._lock:
            if self._fd is not None:
                fd, self._fd = self._fd, None
                try:
                    os.fdatasync(fd)
                finally:
                    os.close(fd)


class Behind:
    """Puts commits on the disk while whoever made them goes on; by one thread, from the first of them on."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Log | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._refused: OSError | None = None
        self._asked = self._done = self._to_fold = 0

    def to_disk(self, log: Log) -> None:
        """Have it on the disk soon; where `MOST_BEHIND` wait for that already, wait here.

        Raises `OSError` when the disk refused, this commit or one before it."""
        self._say()
        if self._asked - self._done >= MOST_BEHIND:
            log.to_disk()
            return
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._run, name="to-disk", daemon=True)
            self._thread.start()
        self._asked += 1
        self._waiting.put(log)

    def close(self) -> None:
        """Returns when nothing waits any more, and ends the thread. Raises `OSError` when the disk refused."""
        if self._thread is not None:
            self._over.set()
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
        self._say()

    def _say(self) -> None:
        if self._refused is not None:
            refused, self._refused = self._refused, None
            raise refused

    def _run(self) -> None:
        while True:
            waiting = [self._waiting.get()]
            with suppress(Empty):
                while True:  # what came meanwhile is on the disk with it
                    waiting.append(self._waiting.get_nowait())
            logs = [one for one in waiting if one is not None]
            try:
                for one in set(logs):
                    one.to_disk()
            except OSError as error:
                logger.error("disk.refused", extra={"error": str(error)})
                self._refused = error
            self._done += len(logs)
            self._to_fold += len(logs)
            if logs and self._to_fold >= FOLD_COMMITS:
                self._to_fold = 0
                with suppress(sqlite3.Error):  # whoever writes does it then, past `CHECKPOINT_PAGES`
                    logs[-1].fold()
            if None in waiting:
                return
            self._over.wait(PAUSE_S)
