"""Of many cases that are alike a plain run of all tests tries a few, and says so; whoever asks for more gets all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from run_tool.places import ROOT
from tests.environment.selection import FEW, few

CONFTEST = """
from tests.environment.selection import pytest_addoption, pytest_configure
from tests.environment.selection import pytest_collection_modifyitems, pytest_terminal_summary
"""
SETTINGS = """
[pytest]
testpaths = tests
markers =
    alike: many
    slow: late
"""
#: Of its 21 cases one takes long, and is left out for that.
TESTS = """
import pytest

@pytest.mark.alike
@pytest.mark.parametrize("number", [*range(20), pytest.param(20, marks=pytest.mark.slow)])
def test_many(number): print(f"<{number}>")

@pytest.mark.parametrize("number", range(100, 120))
def test_each_of_its_own(number): print(f"<{number}>")
"""


def test_the_first_and_the_last_stay_and_some_between_and_few_are_all() -> None:
    assert few(range(11)) == [0, 2, 4, 6, 8, 10]
    assert few(range(1000)) == [0, 199, 399, 599, 799, 999]
    assert few(range(7)) == [0, 1, 2, 3, 4, 6]
    assert few(range(FEW)) == list(range(FEW))
    assert few([]) == []


@pytest.mark.slow
def test_a_plain_run_of_all_tries_few_of_those_alike_and_any_other_tries_each(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "test_all.py").write_text(TESTS)
    own = set(range(100, 120))
    tried, said = run(tmp_path)
    assert tried == own | set(few(range(20)))
    assert f"Left out of this run: {20 - FEW} alike, 1 slow." in said
    tried, said = run(tmp_path, "--every-case")
    assert tried == own | set(range(20))
    assert "Left out of this run: 1 slow." in said
    assert run(tmp_path, "tests/test_all.py")[0] == own | set(range(20))
    assert run(tmp_path, "-k", "many")[0] == set(range(20))
    assert run(tmp_path, "--everything")[0] == own | set(range(21))


def run(folder: Path, *arguments: str) -> tuple[set[int], str]:
    """The numbers that were tried, and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-q", "-n", "0", "-p", "no:cacheprovider", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {int(part.partition(">")[0]) for part in done.stdout.split("<")[1:]}, done.stdout
