"""`./run test`: bring what the tests need, say loudly what cannot be had, and run them all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from run_tool.commands import complain, openly, quietly, say
from run_tool.editor import build_editor
from run_tool.environment import environment
from run_tool.errors import CannotGoOn, CommandFailed
from run_tool.places import ROOT, TOOLS
from run_tool.postgres_server import postgres_binaries
from run_tool.redis_server import redis_server

MINORS = (11, 12, 13)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_TIMEOUT_S = 600
BACKOFFICE_TIMEOUT_S = 900


def test(args: list[str]) -> int:
    """Run the tests; the exit code is pytest's, of the first Python that failed.

    In CI (CI=true) something that cannot be had fails the run before it starts; elsewhere its last lines say once more
    what was left out and why.
    """
    python = environment(dev=True)
    missing = [line for prepare in (_editor, _redis, _postgres, _chromium, _backoffice) if (line := prepare(python))]
    for line in missing:
        complain(line)
    if missing and in_ci():
        complain("In CI everything has to be there, so nothing was run.")
        return 1
    code = 0
    if not args:
        code, alone = _beside()
        missing += [alone] if alone else []
    ours = openly([python, "-m", "pytest", "--everything", *args])
    for line in missing:
        complain(line)
    return code or ours


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _beside() -> tuple[int, str]:
    """The fast part on the Python of this machine that is furthest from ours: pytest's exit code. When there is no
    other: 0, and a line that says so."""
    ours = sys.version_info[1]
    others = {minor: found for minor in MINORS if minor != ours and (found := _python(minor))}
    if not others:
        alone = f"Only Python 3.{ours} is on this machine, so the tests run on that one alone."
        say(alone)
        return 0, alone
    newest = max(others)
    minor = newest if newest > ours else min(others)
    other = environment(dev=True, venv=TOOLS / f"python-3.{minor}", base_python=others[minor])
    redis_server(other)
    say(f"The fast part on Python 3.{minor}:")
    return openly([other, "-m", "pytest", "-q", "--every-case", "-p", "no:cacheprovider"]), ""


def _python(minor: int) -> str | None:
    """A working Python 3.`minor`, from PATH or a version manager's own place."""
    homes = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"), reverse=True)
    for candidate in (f"python3.{minor}", "python3", *map(str, homes)):
        try:
            said = subprocess.run(
                [candidate, "-c", "import sys; print(sys.version_info[1], sys.executable)"],
                capture_output=True,
                text=True,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        version, _, path = said.stdout.strip().partition(" ")
        if said.returncode == 0 and version == str(minor):
            return path
    return None


def _editor(_python: Path) -> str:
    return _said(
        lambda: build_editor(required=True), "The editor bundle is not there: tests of the editor are left out."
    )


def _redis(python: Path) -> str:
    return _said(lambda: redis_server(python), "There is no Redis server: most tests cannot run.")


def _postgres(python: Path) -> str:
    if os.environ.get("DESKHAND_TEST_PG_URL"):
        return ""
    site_packages = next((python.parent.parent / "lib").glob("python3.*/site-packages"), None)
    return "" if postgres_binaries(site_packages) else "There is no PostgreSQL: tests on it are left out."


def _chromium(_python: Path) -> str:
    if any(shutil.which(name) for name in CHROMIUM_NAMES):
        return ""
    left_out = "There is no Chromium: tests that drive pages are left out."
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"{left_out} Install it (Debian, Ubuntu: apt-get install chromium)."
    say("Installing Chromium ...")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]

    def bring() -> None:
        try:
            quietly(install, "apt-get install chromium", timeout_s=APT_TIMEOUT_S, env=env)
        except CommandFailed:  # no package lists yet, or old ones
            quietly(["apt-get", "update"], "apt-get update", timeout_s=APT_TIMEOUT_S, env=env)
            quietly(install, "apt-get install chromium", timeout_s=APT_TIMEOUT_S, env=env)

    return _said(bring, left_out)


def _backoffice(python: Path) -> str:
    if not (ROOT / "tests" / "backoffice" / "__main__.py").exists():
        return ""
    say("Preparing the back office the connectors are tested against (once, a minute or two) ...")
    return _said(
        lambda: quietly(
            [python, "-m", "tests.backoffice", "build"],
            "Building the back office",
            timeout_s=BACKOFFICE_TIMEOUT_S,
            cwd=ROOT,
        ),
        "There is no Tryton and localstripe: tests against them are left out.",
    )


def _said(bring: Callable[[], object], left_out: str) -> str:
    """`left_out` with the reason when `bring` could not, else nothing."""
    try:
        bring()
    except (CannotGoOn, OSError) as error:
        return f"{left_out}\n{error}"
    return ""
