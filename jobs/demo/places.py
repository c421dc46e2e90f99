"""Where the demo's back office is and how one gets in: one file in the data folder, made once, mode 0600."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from jobs.demo.errors import NotLoaded, PortsTaken

#: The first seed of every demo desk; another one in the file gives other people and orders.
SEED = 20418
#: The first of the four ports on 127.0.0.1: control, CRM, ERP, billing. A second desk on one machine takes the next
#: four that are free, of this many. The file may be edited; DESKHAND_ADDRESS_CEILING must name what it says.
FIRST_PORT = 18470
BLOCKS = 20


class SystemName(StrEnum):
    """The three systems of the back office; also the names of the demo's connections."""

    CRM = "crm"
    ERP = "erp"
    BILLING = "billing"


@dataclass(frozen=True)
class Places:
    """Ports, keys and the day the demo began. `token` opens the control port; the demo page and tests hold it."""

    ports: Mapping[str, int]
    control_port: int
    keys: Mapping[str, str]
    token: str
    began: date
    seed: int
    folder: Path

    def url(self, system: SystemName) -> str:
        return f"http://127.0.0.1:{self.ports[system]}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """What the address ceiling must allow: host:port of the three systems. The control port is not among them."""
        return tuple(f"127.0.0.1:{self.ports[system]}" for system in SystemName)

    @property
    def added(self) -> Path:
        """The customers that the demo page made up, one JSON document per line."""
        return self.folder / "added.jsonl"

    def __repr__(self) -> str:
        return f"Places({', '.join(self.addresses)})"


def path(data: Path) -> Path:
    return data / "demo" / "backoffice.json"


def read(data: Path) -> Places:
    """The places of the demo in this data folder. Raises `NotLoaded`."""
    file = path(data)
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise NotLoaded(f"There is no demo desk in {data}. Load it with: flask demo load") from error
    return Places(
        ports={name: int(port) for name, port in found["ports"].items()},
        control_port=int(found["control_port"]),
        keys=found["keys"],
        token=found["token"],
        began=date.fromisoformat(found["began"]),
        seed=int(found["seed"]),
        folder=file.parent,
    )


def make(data: Path, *, today: date, but: int = 0) -> Places:
    """Choose ports and keys and write the file, readable by its owner alone; an existing one keeps its ports.

    `but` is the port of the desk's own pages: while a demo is loaded nobody may be listening there yet.

    A new day begins with it: what the back office knows is dated relative to `today`. Raises `PortsTaken`."""
    file = path(data)
    if file.exists():
        kept = read(data)
        ports, control_port = kept.ports, kept.control_port
    else:
        control_port, *others = _free_ports(but)
        ports = dict(zip(SystemName, others, strict=True))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Places(
        ports={str(name): port for name, port in ports.items()},
        control_port=control_port,
        keys={
            SystemName.CRM: f"crm-{secrets.token_hex(16)}",
            SystemName.ERP: f"erp-{secrets.token_hex(16)}",
            SystemName.BILLING: f"sk_test_{secrets.token_hex(16)}",
        },
        token=secrets.token_urlsafe(32),
        began=today,
        seed=SEED,
        folder=file.parent,
    )
    content = {**asdict(made), "began": today.isoformat()}
    del content["folder"]
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=1)
    draft.replace(file)
    made.added.unlink(missing_ok=True)
    return made


def _free_ports(but: int) -> tuple[int, int, int, int]:
    """Four ports in a row that nobody listens on: the default ones if they are free. Raises `PortsTaken`."""
    for first in range(FIRST_PORT, FIRST_PORT + 10 * BLOCKS, 10):
        block = (first, first + 1, first + 2, first + 3)
        if but not in block and all(_is_free(port) for port in block):
            return block
    raise PortsTaken(
        f"The back office found no four free ports in a row on 127.0.0.1 from {FIRST_PORT} to "
        f"{FIRST_PORT + 10 * BLOCKS}. Nothing was loaded. Stop another demo desk and load again."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
