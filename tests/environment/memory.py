"""What tests keep in memory: their files where the machine can, since thousands of small commits wait for a disk; and
what was imported and collected, which is not looked through for garbage over and over.

What is proven about a full disk or a power cut is proven by tests that name their own places."""

from __future__ import annotations

import gc
import os
from pathlib import Path

MEMORY = Path("/dev/shm")
#: Bytes that must be free there; a whole run keeps about a tenth of it.
NEEDED_BYTES = 4 * 1024**3
#: New objects until Python looks for garbage among them; its own 700 suits programs with less than a test makes.
LOOK_AFTER = 20_000


def work_in_memory() -> None:
    """Let pytest make its temporary folders in memory, unless the caller said where."""
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and _usable(MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def home() -> Path | None:
    """Where servers of tests keep their files: in memory, if the tests do; else None, where everybody does."""
    return MEMORY if os.environ.get("PYTEST_DEBUG_TEMPROOT") == str(MEMORY) else None


def look_for_garbage_less_often() -> None:
    """Importing and collecting tests makes half a million objects that stay."""
    gc.set_threshold(LOOK_AFTER, *gc.get_threshold()[1:])


def keep_what_was_collected() -> None:
    """From now on only what tests make is looked through for garbage."""
    gc.freeze()


def _usable(place: Path) -> bool:
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return False
    room = os.statvfs(place)
    return room.f_bavail * room.f_frsize >= NEEDED_BYTES and not room.f_flag & os.ST_NOEXEC
