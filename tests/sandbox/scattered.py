"""The sandbox service with a zygote that lies in memory as Python leaves it: what the real one is compared with.

    python scattered.py fill_holes,gather -m sandbox.service --socket PATH

The named functions of sandbox.packing do nothing in it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sandbox import processes, service

#: What each does instead: as little as its callers can bear.
INSTEAD = {
    "fill_holes": "lambda: 0",
    "gather": "lambda act: (act(), 0)[1]",
    "written_by": "lambda act: (act(), [])[1]",
}

if __name__ == "__main__":
    import_ = "    from sandbox import packing\n"
    left_out = "".join(f"    packing.{name} = {INSTEAD[name]}\n" for name in sys.argv[1].split(","))
    assert import_ in processes._BOOT
    processes._BOOT = processes._BOOT.replace(import_, import_ + left_out)
    sys.argv[1:] = sys.argv[4:]
    sys.exit(service.main())
