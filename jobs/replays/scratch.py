"""The folders of scratch desks: private, and taken away also when their process was killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from jobs.services import Services

#: Where they are, in the folder of what this host keeps, and how their names begin.
FOLDER, PREFIX = "replays", "lab-"
#: Seconds after which one that nobody took away is an orphan: longer than any turn at a replay.
ORPHAN_S = 600


def new_folder(services: Services) -> Path:
    """A new folder that only this user can read. Whoever asks for it takes it away.

    What others left is looked for first: a clock on another host cannot."""
    take_away_orphans(services)
    home = services.settings.data / FOLDER
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))


def take_away_orphans(services: Services) -> int:
    """Delete what processes of this host left that were killed: a scratch database holds customers' words.

    By the clock of the file system, which wrote their times. Returns how many."""
    gone = 0
    for folder in (services.settings.data / FOLDER).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another clock was first
            if time.time() - folder.stat().st_mtime > ORPHAN_S:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
    return gone
