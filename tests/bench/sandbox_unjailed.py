"""The sandbox service with its walls off, for `./run bench sandbox`: the same lease, child, messages and script.

    python sandbox_unjailed.py SOCKET

What ours costs more than this is what the jail costs. Never part of the product; it runs scripts without any wall.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sandbox.processes import Zygote
from sandbox.service import REQUIRED, Service

PROGRAM = Path(__file__).with_name("sandbox_forks.py")


def plain_zygote() -> Zygote:
    path = json.dumps([str(PROGRAM.parents[2]), *[one for one in sys.path if one]])
    return Zygote(lambda fd: [sys.executable, "-s", "-S", "-P", str(PROGRAM), path, str(fd)])


class WallsOff(Service):
    """Lends out children of a plain fork server, and attacks nothing, since nothing would hold."""

    def _attack(self, zygote: Zygote) -> dict[str, str]:
        return dict.fromkeys(REQUIRED, "")


if __name__ == "__main__":
    os.umask(0o077)
    WallsOff(Path(sys.argv[1]), start_zygote=plain_zygote).serve()
