"""A run on several cores says of each test what a run on one says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from run_tool.places import ROOT

CONFTEST = "from tests.environment.reports import pytest_runtest_protocol\n"
TESTS = """
import os
import pytest

@pytest.fixture
def torn():
    yield
    raise ValueError("on the way out")

@pytest.fixture
def unmade():
    raise ValueError("on the way in")

def test_passes(): pass
def test_fails(): print("a last word"); assert 1 == 2
def test_cannot_begin(unmade): pass
def test_passes_and_cannot_end(torn): pass
def test_fails_and_cannot_end(torn): assert 1 == 3
@pytest.mark.skip(reason="not here")
def test_is_skipped(): pass
@pytest.mark.xfail(strict=True)
def test_fails_as_it_should(): assert 1 == 4
"""
KILLED = """
def test_is_killed(): os._exit(7)
"""


def told(folder: Path, *arguments: str) -> tuple[list[str], str]:
    """Each test with how it came out, and all that was printed."""
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-c", os.devnull, *arguments]
    ran = subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = re.findall(r"^(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL) .*$", ran.stdout, re.MULTILINE)
    return sorted(lines), ran.stdout


@pytest.mark.slow
def test_on_several_cores_each_outcome_is_told_as_on_one(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(TESTS)
    alone, _ = told(tmp_path, "-n", "0")
    assert len(alone) == 9
    for arguments in (("-n", "2"), ("-n", "2", "--durations=0", "--durations-min=0")):
        lines, said = told(tmp_path, *arguments)
        assert lines == alone
        assert "a last word" in said
        assert "on the way out" in said
        assert "2 failed, 2 passed, 1 skipped, 1 xfailed, 3 errors" in said
        assert ("setup    test_all.py" in said) is ("--durations=0" in arguments)


@pytest.mark.slow
def test_a_worker_that_dies_is_told_with_its_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(TESTS + KILLED)
    lines, said = told(tmp_path, "-n", "2")
    assert "crashed while running 'test_all.py::test_is_killed'" in said
    assert len([line for line in lines if line.startswith("PASSED")]) == 2
