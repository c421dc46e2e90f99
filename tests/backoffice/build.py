"""Builds, once, the environment the test back office runs in, and the empty but configured Tryton database.

The folder is named after everything that went into it (lock file, seed, Python), so a change of version builds a new
one and never reuses half of an old one. It takes about 80 seconds and 120 MB.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import secrets
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
SEED = HERE / "seed_tryton.py"
DATABASE_NAME = "helpdesk"
MODULES = ("party", "sale", "account_invoice")
#: Longest that one step of the build may take, in seconds; a loaded machine needs about a tenth.
STEP_TIMEOUT_S = 600


class CannotBuild(Exception):
    """The test back office cannot be built on this machine. The message says which step failed and how it ended."""


@dataclass(frozen=True, slots=True)
class BackOffice:
    """A finished build. `tryton_folder` is only ever copied, never run on."""

    python: Path
    tryton_folder: Path
    admin_password: str


def cache_folder() -> Path:
    """Where builds are kept: DESKHAND_TEST_CACHE, else `.tools/backoffice` in the checkout."""
    chosen = os.environ.get("DESKHAND_TEST_CACHE")
    return Path(chosen) if chosen else HERE.parent.parent / ".tools" / "backoffice"


def build_key() -> str:
    """Names the build: the same key means the same packages, the same seed and the same Python."""
    digest = hashlib.sha256()
    for part in (LOCK.read_bytes(), SEED.read_bytes(), " ".join(MODULES).encode(), sys.version.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def is_built() -> bool:
    return (cache_folder() / build_key() / "READY").exists()


def build(say: bool = True) -> BackOffice:
    """The finished build, made now if it does not exist. Several test runs at once wait for one build.

    Raises `CannotBuild`."""
    folder = cache_folder() / build_key()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "READY").exists():
            _make(folder, say)
            (folder / "READY").write_text("ok\n")
    return BackOffice(
        python=folder / "venv" / "bin" / "python",
        tryton_folder=folder / "tryton",
        admin_password=(folder / "admin_password").read_text(),
    )


def trytond_conf(folder: Path, port: int) -> str:
    """The configuration for a Tryton whose database lies in `folder`, served on this loopback port."""
    return (
        f"[database]\nuri = sqlite://\npath = {folder}\n\n[web]\nlisten = 127.0.0.1:{port}\n\n"
        # Tests sign in on purpose with wrong passwords; the throttle would make the next test wait for it.
        "[session]\nmax_attempt = 1000\nmax_attempt_ip_network = 1000\n"
    )


def _make(folder: Path, say: bool) -> None:
    environment = folder / "venv"
    python = environment / "bin" / "python"
    if say:
        print(f"building the test back office in {folder} (once, about 80 s)", file=sys.stderr, flush=True)
    venv.create(environment, clear=True, with_pip=importlib.util.find_spec("uv") is None)
    if importlib.util.find_spec("uv") is not None:
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    else:
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _step("install packages", [*install, "--require-hashes", "-r", str(LOCK)], folder)

    tryton = folder / "tryton"
    tryton.mkdir(exist_ok=True)
    database = tryton / f"{DATABASE_NAME}.sqlite"
    database.unlink(missing_ok=True)
    database.touch()  # trytond answers "Database doesn't exist" when the file is not there
    password_file = folder / "admin_password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(12))
    conf = folder / "build.conf"
    conf.write_text(trytond_conf(tryton, 0))
    admin = [str(environment / "bin" / "trytond-admin"), "-c", str(conf), "-d", DATABASE_NAME]
    _step("make the database", [*admin, "--all", "--email", "admin@example.org", "-p"], folder)
    _step("activate the modules", [*admin, "-u", *MODULES, "--activate-dependencies"], folder)
    _step("seed the company", [str(python), str(SEED), str(conf), DATABASE_NAME], folder)


def _step(name: str, command: list[str], folder: Path) -> None:
    environ = {**os.environ, "TRYTONPASSFILE": str(folder / "admin_password"), "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            ["nice", "-n", "10", *command],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{name}: {error}") from error
    if done.returncode != 0:
        raise CannotBuild(f"{name} ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
