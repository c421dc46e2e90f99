"""A zygote whose children run any Python at all: what a script would be after a complete escape from the language.

Only tests start this program. The product's zygote has one runner, `sandbox.child.main.serve`, and no way to choose
another.
"""

from __future__ import annotations

import importlib
import json
import os
import sys


def preload() -> None:
    """What an attacker would like to find in memory."""
    for name in (
        "ctypes fcntl mmap resource select signal socket subprocess threading time encodings.idna sandbox.wire"
        " sandbox.child.main".split()
    ):
        importlib.import_module(name)


def run_anything(fd: int) -> None:
    """Read one program, run it without any restriction, say what it printed and how it ended."""
    from sandbox.wire import Reader, encode

    reader = Reader(1 << 20)
    while (start := reader.next()) is None:
        reader.feed(os.read(fd, 65536))
    printed: list[str] = []
    raised = ""
    try:
        exec(
            compile(start["source"], "raw", "exec"), {"out": lambda *a: printed.append(" ".join(map(str, a))), "fd": fd}
        )
    except BaseException as error:
        raised = f"{type(error).__name__}: {error}"
    os.write(fd, encode({"printed": printed[:100], "raised": raised[:500]}, 1 << 20))


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])
    from sandbox import zygote

    zygote.main(sys.argv[2:], run_anything, preload)
