"""The fixtures are imported as a plugin, once pytest has been configured; whatever is imported before cannot be one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from run_tool.places import ROOT


@pytest.mark.slow
def test_a_run_of_one_folder_with_a_conftest_of_its_own_begins() -> None:
    """Its conftest is read before the plugin is: `pytest tests/browser/...` ended in an internal error once."""
    narrow = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--ignore-glob=*/test_*",
    ]
    folders = sorted({str(one.parent.relative_to(ROOT)) for one in ROOT.glob("tests/**/conftest.py")})
    done = subprocess.run([*narrow, *folders], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout[-2_000:]
