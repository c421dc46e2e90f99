"""./run brings the whole product up for somebody who may write their own files and nothing else of the machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_tool.places import ROOT
from tests.environment.absent import absent
from tests.environment.nobody import NOBODY, python_for
from tests.environment.test_start import FIRST_START_S, Desk, alone
from tests.environment.test_supervise import descendants, parents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: Who that is: `nobody` where the tests run as root, else who runs them.
USER = NOBODY if os.geteuid() == 0 else None
#: What a checkout does not bring: what ./run, tests and desks made in this one. The built editor comes along.
MADE_HERE = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".*_cache", ".hypothesis", "__pycache__", "node_modules", "data"
)
#: Names in the environment that lead to files of somebody else.
OF_ANOTHER = {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR", "VIRTUAL_ENV", "PYTHONPATH"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder that is the user's own, outside those that only root may enter."""
    with tempfile.TemporaryDirectory(prefix="deskhand-user-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def checkout(home: Path) -> Path:
    """A copy of this checkout that belongs to the user, with nothing installed in it."""
    made = home / "deskhand"
    shutil.copytree(ROOT, made, ignore=MADE_HERE, symlinks=True)
    if USER is not None:
        for path in (home, made, *made.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
    return made


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that the user can run and make environments with."""
    found = python_for(USER, "ensurepip, venv", ("3.13", "3.12", "3.11"))
    if found is None:
        absent("no Python here that an ordinary user may run (Debian: apt-get install python3 python3-venv)")
    return found


def owners(pids: set[int]) -> set[int]:
    """Who these processes run as, also those that nobody may look into: their folders in /proc are root's."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):  # one that waited for a script has ended since
            status = Path(f"/proc/{pid}/status").read_text()
            found.add(int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1]))
    return found


@pytest.fixture
def desk(
    checkout: Path, home: Path, python: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    for name in OF_ANOTHER:
        monkeypatch.delenv(name, raising=False)
    with alone(tmp_path_factory):
        given = {"HOME": str(home), "DESKHAND_PYTHON": python}
        started = Desk(checkout / "data", "--empty", checkout=checkout, user=USER, given=given)
        yield started
        started.end()


def test_an_ordinary_user_starts_the_whole_desk_from_a_fresh_checkout(desk: Desk, checkout: Path) -> None:
    desk.wait_until_ready(deadline_s=FIRST_START_S)
    assert "Installing the packages of requirements.lock" in desk.output
    with urllib.request.urlopen(f"http://127.0.0.1:{desk.port}/readyz", timeout=60) as answer:
        found = json.load(answer)
    # Everything is up, and what a run of a script needs to be held at all needs no root.
    assert found["missing"] == []
    assert {found["parts"][f"sandbox: {layer}"] for layer in ("seccomp", "rlimits", "fresh exec")} == {"ok"}

    family = descendants(desk.process.pid)
    owner = os.geteuid() if USER is None else USER
    assert owners(family) == {owner}
    assert {path.stat().st_uid for path in (desk.data, desk.data / "secrets.json", checkout / ".venv")} == {owner}
    # What is installed is no secret: tests that root runs as nobody read it.
    [flask] = (checkout / ".venv").glob("lib/python3*/site-packages/flask/__init__.py")
    assert flask.stat().st_mode & 0o044 == 0o044

    desk.stop()
    assert desk.process.returncode == 0, desk.output
    assert family & set(parents()) == set()
