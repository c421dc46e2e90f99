"""What the workers of one run have in common: a folder, in which each thing is made by the first that needs it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def folder_of_the_run(config: pytest.Config) -> Path | None:
    """The folder that all workers of this run see and no other run does; None where one process runs all tests."""
    given: Path | str | None = config.option.basetemp
    return Path(given).parent if hasattr(config, "workerinput") and given else None


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, which `make` makes if nobody has made it yet; the others wait for it. Made by halves it is not there."""
    with only_one(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            make(unfinished)
            unfinished.rename(path)
    return path


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """One process at a time; the lock of one that was killed is free at once."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
