"""Somebody else than root: the user `nobody`, and a Python that such a user may run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534
#: Of the Python that runs the tests, e.g. "3.11".
THIS_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def python_for(user: int | None, needed: str, versions: Sequence[str] = (THIS_VERSION,)) -> str | None:
    """A Python of one of these versions that this user (None: who runs the tests) may run and that has the module
    `needed`; the one the tests run with may be in root's home. None when there is none on this machine."""
    here = [sys.executable, str(Path(sys.base_prefix) / "bin" / "python3")] if THIS_VERSION in versions else []
    here += [f"{place}/python{version}" for version in versions for place in ("/usr/bin", "/usr/local/bin")]
    groups = None if user is None else ()
    for python in here:
        try:
            command = [python, "-c", f"import {needed}"]
            subprocess.run(
                command, user=user, group=user, extra_groups=groups, check=True, cwd="/", capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None
