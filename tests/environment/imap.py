"""A real IMAP server for the tests: pymap, in an environment of its own, since it wants a newer Python than we do.

The environment is built once, in the cache of the tests, from versions that are pinned here. A machine without
Python 3.12 or newer cannot have it: the tests that need it say so and are left out; in CI that is a failure.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.backoffice.build import cache_folder
from tests.environment.ports import free_port

REQUIREMENTS = ("pymap==0.36.7", "proxy-protocol==0.11.3", "pysasl==1.2.0", "typing_extensions==4.16.0")
#: Seconds the build, the start of a server, and its end in good order may take.
BUILD_S = 300
START_S = 90
STOP_S = 30


class NoImapServer(Exception):
    """This machine cannot run the IMAP server; the message says what is missing."""


@dataclass(frozen=True)
class Imap:
    """A running server with one mailbox, four mails in it. Loopback, without TLS."""

    host: str
    port: int
    user: str
    password: str


def python_for_it() -> Path:
    """A Python that pymap runs on. Raises `NoImapServer`."""
    names = ("python3.13", "python3.12", "python3.14")
    homes = [Path(sys.base_prefix).parent, Path.home() / ".pyenv" / "versions"]
    found = [Path(sys.executable)] if sys.version_info >= (3, 12) else []
    found += [Path(which) for name in names if (which := shutil.which(name))]
    found += [python for home in homes for python in sorted(home.glob("3.1[2-9]*/bin/python"), reverse=True)]
    asks = "import sys; print(sys.version_info >= (3, 12))"
    for one in found:
        # A shim that leads nowhere answers, too, but not with a version.
        told = subprocess.run([one, "-c", asks], capture_output=True, timeout=60)
        if told.returncode == 0 and told.stdout.strip() == b"True":
            return one
    raise NoImapServer("the IMAP server of the tests needs Python 3.12 or newer on PATH")


def environment() -> Path:
    """The folder of the built environment; builds it when there is none. Raises `NoImapServer`."""
    folder = cache_folder() / f"imap-{REQUIREMENTS[0].partition('==')[2]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "READY").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        python = python_for_it()
        try:
            subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True, timeout=BUILD_S)
            subprocess.run(
                [folder / "bin" / "python", "-m", "pip", "install", "-q", *REQUIREMENTS],
                check=True,
                capture_output=True,
                timeout=BUILD_S,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NoImapServer(
                f"the IMAP server of the tests could not be installed ({type(error).__name__})"
            ) from None
        (folder / "READY").touch()
    return folder


@contextmanager
def an_imap_server() -> Iterator[Imap]:
    """A server of this test's own. Raises `NoImapServer`."""
    folder = environment()
    port = free_port()
    server = Imap("127.0.0.1", port, "support", "a-password")
    process = subprocess.Popen(
        [
            *(folder / "bin" / "pymap", "--no-service", "managesieve", "--no-service", "admin"),
            *("--host", server.host, "--port", str(port), "--no-tls"),
            *("dict", "--demo-data", "--demo-user", server.user, "--demo-password", server.password),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", "")},
    )
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((server.host, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise NoImapServer("the IMAP server of the tests did not start") from None
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
