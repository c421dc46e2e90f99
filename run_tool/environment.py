"""The Python environment in .venv: made from the hash lock, remade when the lock or the Python changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run_tool.commands import complain, quietly, say
from run_tool.errors import CannotGoOn, CommandFailed, IndexUnreachable
from run_tool.places import LOCKS, ROOT, TOOLS, VENV

RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
STAMP = "deskhand-stamp"
#: Beside the stamp of an environment that has what tests and checks need; also while a changed lock is installed.
DEV_MARK = "deskhand-dev"

VENV_TIMEOUT_S = 300
INSTALL_TIMEOUT_S = 1200

_NO_NETWORK = re.compile(
    r"name resolution|name or service not known|network is unreachable|connection (refused|timed out|error|reset)"
    r"|failed to establish|dns error|error sending request|failed to fetch|proxyerror|no route to host",
    re.IGNORECASE,
)


def environment(*, dev: bool = False, venv: Path = VENV, base_python: str = sys.executable) -> Path:
    """The environment's Python, after installing whatever the lock has that is not there yet.

    `dev` adds what tests and checks need. An environment that has more than is asked for keeps it, also when the lock
    has changed: a start of the desk must not take the tools from under a run of the tests.
    Raises CannotGoOn when the packages cannot be had.
    """
    dev = dev or (venv / DEV_MARK).exists()
    wanted = _stamp(DEV_LOCK if dev else RUNTIME_LOCK, base_python)
    enough = {wanted} if dev else {wanted, _stamp(DEV_LOCK, base_python)}
    python = venv / "bin" / "python"
    if _read_stamp(venv) in enough and python.exists():
        return python
    with installing():
        if _read_stamp(venv) not in enough:  # another ./run may have just done it
            _install(venv, base_python, DEV_LOCK if dev else RUNTIME_LOCK, wanted)
            if dev:
                (venv / DEV_MARK).touch()
    return python


@contextmanager
def installing() -> Iterator[None]:
    """One ./run at a time installs into this checkout; the others wait for it."""
    try:
        TOOLS.mkdir(exist_ok=True)
        lock = (TOOLS / "install.lock").open("w")
    except OSError as error:
        raise CannotGoOn(
            f"{ROOT} cannot be written ({error.strerror}), and Deskhand keeps its packages there. Nothing was changed. "
            "Copy the folder to a place you may write, or change its owner, and run ./run again."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(venv: Path, base_python: str, lock: Path, stamp: str) -> None:
    version = _version(base_python)
    if not _works(venv, version):
        say(f"Making the Python environment in {_shown(venv)} (Python {version}) ...")
        _make_venv(venv, base_python)
    (venv / STAMP).unlink(missing_ok=True)
    say(f"Installing the packages of {lock.name} ...")
    python = venv / "bin" / "python"
    try:
        _with_uv(python, lock)
    except CommandFailed as error:
        complain(f"uv could not install the packages, so pip does it, which is slower. {_last_line(error)}")
        _with_pip(python, lock)
    (venv / STAMP).write_text(stamp)


def _make_venv(venv: Path, base_python: str) -> None:
    try:
        quietly([base_python, "-m", "venv", "--clear", venv], "Making the Python environment", timeout_s=VENV_TIMEOUT_S)
    except CommandFailed as error:
        if "ensurepip" not in str(error):
            raise
        version = _version(base_python).rpartition(".")[0]
        raise CannotGoOn(
            f"This Python cannot make environments: its venv module is not installed. Nothing was started. "
            f"On Debian and Ubuntu: apt-get install python{version}-venv, then run ./run again."
        ) from error


def _with_uv(python: Path, lock: Path) -> None:
    uv = python.parent / "uv"
    installer = LOCKS / "installer.lock"
    wanted = re.search(r"^uv==(\S+)", installer.read_text(), re.MULTILINE)
    if wanted is None:
        raise CommandFailed(f"{installer} names no uv.")
    have = quietly([uv, "--version"], "uv --version", timeout_s=60) if uv.exists() else ""
    if f" {wanted[1]}" not in have:
        _pip(python, ["--no-deps", "-r", installer], "Installing uv")
    env = dict(os.environ)
    if "PIP_INDEX_URL" in env:
        # Whoever points pip at a mirror of their own means every installer.
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    sync: list[str | Path] = [uv, "pip", "sync", "--python", python, "--require-hashes", "--link-mode", "copy"]
    # The sandbox starts its processes with an empty environment and writes nothing: it would compile them each time.
    sync += ["--compile-bytecode", lock]
    what = "Installing the packages with uv"
    try:
        quietly(sync, what, timeout_s=INSTALL_TIMEOUT_S, env=env)
    except CommandFailed as error:
        # uv trusts the authorities it carries; a company's own is only in the system's store.
        if "--system-certs" not in str(error):
            raise
        quietly([*sync, "--system-certs"], what, timeout_s=INSTALL_TIMEOUT_S, env=env)


def _with_pip(python: Path, lock: Path) -> None:
    _pip(python, ["-r", lock], "Installing the packages with pip")


def _pip(python: Path, args: list[str | Path], what: str) -> None:
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        quietly([*pip, "--retries", "2", "--require-hashes", *args], what, timeout_s=INSTALL_TIMEOUT_S)
    except CommandFailed as error:
        raise unreachable(error) from error


def unreachable(error: CommandFailed) -> CannotGoOn:
    """`error` of an installer, in words that tell a missing network from everything else."""
    if _NO_NETWORK.search(str(error)):
        return IndexUnreachable(
            f"The package index cannot be reached, so what Deskhand needs could not be installed.\n{error}\n"
            "What was downloaded stays; nothing was started. Check the network or the proxy (HTTPS_PROXY, "
            "PIP_INDEX_URL), then run the same command again."
        )
    return CommandFailed(f"{error}\nNothing was started. Mend what the last lines name and run the same command again.")


def _stamp(lock: Path, base_python: str) -> str:
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {_version(base_python)}"


def _read_stamp(venv: Path) -> str:
    try:
        return (venv / STAMP).read_text()
    except OSError:
        return ""


def _version(base_python: str) -> str:
    if base_python == sys.executable:
        return platform.python_version()
    return quietly(
        [base_python, "-c", "import platform; print(platform.python_version())"], base_python, timeout_s=60
    ).strip()


def _works(venv: Path, version: str) -> bool:
    """Whether the environment there runs the Python we want and can install; a moved one does not."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    try:
        said = quietly(
            [python, "-c", "import pip, platform, sys; print(platform.python_version(), sys.prefix)"],
            "python",
            timeout_s=60,
        )
    except CommandFailed:
        return False
    return said.strip() == f"{version} {venv}"


def _last_line(error: Exception) -> str:
    return str(error).rstrip().splitlines()[-1].strip()


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
