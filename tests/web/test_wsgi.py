"""What a web process is before its first page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from run_tool.places import ROOT

PROGRAM = """
import gc, wsgi
print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 1_000)
"""


@pytest.mark.slow
def test_garbage_is_looked_for_and_not_in_what_was_imported(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")}
    env["DESKHAND_DATA_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "True True True\n"), done.stderr
