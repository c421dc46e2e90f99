"""Run a program on a kernel that lacks something: a seccomp filter makes chosen calls fail, then the program starts.

    python without.py landlock,namespaces -m sandbox.service --socket PATH

A filter, not a patch: the program meets what it would meet on such a machine. x86_64 and aarch64."""

from __future__ import annotations

import errno
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sandbox import jail

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X86 = os.uname().machine == "x86_64"
#: What fails, and with which error: system call number, and the first argument where only that one fails.
MISSING: dict[str, list[tuple[int, int | None, int]]] = {
    "landlock": [(444, None, errno.ENOSYS)],
    "capabilities": [(126 if _X86 else 91, None, errno.EPERM)],
    "namespaces": [(272 if _X86 else 97, None, errno.EPERM)],
    "seccomp": [(157 if _X86 else 167, 22, errno.EINVAL), (317 if _X86 else 277, None, errno.ENOSYS)],
    "no_new_privs": [(157 if _X86 else 167, 38, errno.EINVAL)],
    "rlimits": [(302 if _X86 else 261, None, errno.EPERM)],
}


def program(names: list[str]) -> bytes:
    """The filter: allow everything but what is missing."""
    made = b""
    for name in names:
        for number, argument, error in MISSING[name]:
            refuse = struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | error)
            made += struct.pack("HBBI", _LOAD, 0, 0, 0)
            if argument is None:
                made += struct.pack("HBBI", _EQUAL, 0, 1, number) + refuse
            else:
                made += struct.pack("HBBI", _EQUAL, 0, 3, number) + struct.pack("HBBI", _LOAD, 0, 0, 16)
                made += struct.pack("HBBI", _EQUAL, 0, 1, argument) + refuse
    return made + struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)


if __name__ == "__main__":
    jail.no_new_privs()
    jail.Program(program(sys.argv[1].split(","))).install()
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
