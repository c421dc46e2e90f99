"""Where things are: the checkout, the environment, tools that ./run fetches, and the desk's own data."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from run_tool.errors import CannotGoOn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
LOCKS = ROOT / "run_tool" / "locks"
DIST = ROOT / "web" / "static" / "dist"
ASSETS = ROOT / "web" / "assets"

DEFAULT_PORT = 8421
#: A unix socket's path may have 107 bytes on Linux; some room is left for names a server adds while it binds.
SOCKET_PATH_BYTES = 100


@dataclass(frozen=True)
class Desk:
    """One desk's data on this machine and the addresses its processes share. Paths are absolute."""

    data: Path
    port: int
    database_url: str
    redis_url: str
    own_redis_socket: Path | None  # None: DESKHAND_REDIS_URL names somebody else's server
    sandbox_socket: Path
    secret_file: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    def environment(self) -> dict[str, str]:
        """What the desk's processes find in their environment; jobs/settings.py reads these names."""
        return {
            "DESKHAND_DATA_DIR": str(self.data),
            "DESKHAND_DATABASE_URL": self.database_url,
            "DESKHAND_REDIS_URL": self.redis_url,
            "DESKHAND_SANDBOX_SOCKET": str(self.sandbox_socket),
            "DESKHAND_PORT": str(self.port),
            "DESKHAND_SECRET_FILE": str(self.secret_file),
        }


def desk_from(environ: dict[str, str]) -> Desk:
    """The desk that `environ` describes. Raises CannotGoOn for a port that is none."""
    data = Path(environ.get("DESKHAND_DATA_DIR") or ROOT / "data").expanduser().absolute()
    text = environ.get("DESKHAND_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise CannotGoOn(f"DESKHAND_PORT is {text!r}; it has to be a number from 1 to 65535. Nothing was started.")
    redis_url = environ.get("DESKHAND_REDIS_URL") or ""
    own_socket = None if redis_url else _socket(data, "redis", "redis.sock")
    return Desk(
        data=data,
        port=int(text),
        database_url=environ.get("DESKHAND_DATABASE_URL") or f"sqlite:///{data / 'deskhand.db'}",
        redis_url=redis_url or f"unix://{quote(str(own_socket))}",
        own_redis_socket=own_socket,
        sandbox_socket=Path(
            environ.get("DESKHAND_SANDBOX_SOCKET") or _socket(data, "sandbox", "sandbox.sock")
        ).absolute(),
        secret_file=Path(environ.get("DESKHAND_SECRET_FILE") or data / "secrets.json").expanduser().absolute(),
    )


def private_folder(path: Path) -> Path:
    """`path` as a folder only its owner can enter. Raises CannotGoOn when it cannot be made or is somebody else's."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.geteuid():
            raise CannotGoOn(f"{path} belongs to another user, so Deskhand keeps nothing in it. Nothing was started.")
        path.chmod(0o700)
    except OSError as error:
        raise CannotGoOn(
            f"{path} cannot be written ({error.strerror}). Nothing was started. "
            "Make the folder writable, or set DESKHAND_DATA_DIR to one that is."
        ) from error
    return path


def _socket(data: Path, folder: str, name: str) -> Path:
    path = data / folder / name
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    # The kernel refuses longer names; the folder's hash keeps two desks of one user apart.
    short = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"deskhand-{os.geteuid()}-{short}" / folder / name
