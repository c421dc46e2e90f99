"""A disk that can be held up or refuse.

A real one does neither when a test wants it, so this stands where the kernel is asked to put something there."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tickets.db import Database

#: Seconds a test waits for what comes at once.
SOON_S = 60


@dataclass
class Disk:
    """What was put on it: each time the file and how many lines of the settings' history others saw by then."""

    database: Database
    path: Path
    free: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[int, int]] = field(default_factory=list)
    refuses: OSError | None = None

    def fdatasync(self, fd: int) -> None:
        self.asked.append((os.fstat(fd).st_ino, self.lines()))
        assert self.free.wait(SOON_S)
        if self.refuses is not None:
            raise self.refuses

    def lines(self) -> int:
        with closing(sqlite3.connect(self.path)) as plain:
            found: int = plain.execute("SELECT count(*) FROM setting_changes").fetchone()[0]
            return found

    @property
    def log(self) -> int:
        """The number of the log's file."""
        return Path(f"{self.path}-wal").stat().st_ino


@contextmanager
def a_watched_disk(database: Database) -> Iterator[Disk]:
    """The disk under this database of SQLite; free until told otherwise."""
    path = database.engine.url.database
    assert path is not None
    watched = Disk(database, Path(path))
    watched.free.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", watched.fdatasync)
        try:
            yield watched
        finally:
            watched.refuses = None
            watched.free.set()
            database.close()
