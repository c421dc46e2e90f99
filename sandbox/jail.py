"""The walls, one function each, by ctypes and the standard library. Order matters; see `zygote.serve`.

Namespaces come before no_new_privs and seccomp (which would forbid them), landlock after no_new_privs (which it needs),
seccomp last of all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
from collections.abc import Mapping

from sandbox.errors import LayerMissing

NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

#: For what every run pays for: a call that keeps no error number and lets go of no lock touches a third of the pages.
#: Why one failed is asked of `_libc` afterwards.
_bare = ctypes.PyDLL(None)
_bare_fork, _bare_prctl, _bare_wait4 = _bare.fork, _bare.prctl, _bare.wait4
_fork = ctypes.PyDLL(None, use_errno=True).fork
_setrlimit, _dup2, _closerange = resource.setrlimit, os.dup2, os.closerange

_PDEATHSIG, _DUMPABLE, _SECCOMP, _NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_FILTER = 2
_SIGKILL = int(signal.SIGKILL)  # a member of an enum is looked up at each use
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_CAPABILITY_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
#: The user namespace comes first: it is what lets an ordinary user have the others.
_NAMESPACES = _NEWUSER | _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET


_HIGHEST_FD = 2**31 - 1


class Program:
    """A BPF program in memory that stays put, ready for the kernel. Built before the first fork, used after it."""

    class _Header(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    def __init__(self, code: bytes) -> None:
        self._code = ctypes.create_string_buffer(code, len(code))
        self._header = self._Header(len(code) // 8, ctypes.addressof(self._code))
        self._pointer = ctypes.byref(self._header)

    def install(self) -> None:
        """Put the filter on this process and all it will fork. Needs no_new_privs. Raises `LayerMissing`."""
        if _bare_prctl(_SECCOMP, _SECCOMP_FILTER, self._pointer) == 0:
            return
        if _libc.prctl(_SECCOMP, _SECCOMP_FILTER, ctypes.addressof(self._header), 0, 0) != 0:
            raise LayerMissing(f"seccomp: the kernel refused the filter ({_why()})")


def fork() -> int:
    """fork(2) itself, for a process that has one thread. Raises `OSError`.

    `os.fork` also frees the child from locks that threads it does not have may have held. The zygote never has a
    second thread, and that work would write to twenty pages that every child would have to copy."""
    child: int = _bare_fork()
    if child < 0:
        child = _fork()  # once more, now with the reason
    if child < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return child


class Burial:
    """wait4(2) for a child that has ended, into memory that stays put.

    `os.wait4` makes a record of sixteen numbers, of a module that it imports anew each time."""

    _USAGE = struct.Struct("qqqqq")  # user time, system time (each in seconds and microseconds), peak memory in kB

    def __init__(self) -> None:
        self._status, self._usage = ctypes.c_int(), ctypes.create_string_buffer(256)
        self._to_status, self._to_usage = ctypes.byref(self._status), ctypes.byref(self._usage)

    def of(self, child: int) -> tuple[int, int, int]:
        """Its wait status, CPU time in microseconds, and peak of memory in kB. Raises `ChildProcessError`."""
        if _bare_wait4(child, self._to_status, 0, self._to_usage) != child:
            raise ChildProcessError(f"There is no child {child} to wait for")
        user_s, user_us, system_s, system_us, peak_kb = self._USAGE.unpack_from(self._usage)
        return self._status.value, (user_s + system_s) * 1_000_000 + user_us + system_us, peak_kb


def no_new_privs() -> None:
    """No exec can ever give more rights again. Raises `LayerMissing`."""
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise LayerMissing(f"no_new_privs: {_why()}")


def undumpable() -> None:
    """Nobody of the same user may trace or read this process, and it leaves no core."""
    if _libc.prctl(_DUMPABLE, 0, 0, 0, 0) != 0:
        raise LayerMissing(f"undumpable: {_why()}")


def die_with_parent() -> None:
    """SIGKILL when the parent ends. Whoever calls this looks afterwards whether the parent is still the same."""
    if _bare_prctl(_PDEATHSIG, _SIGKILL) != 0:
        raise LayerMissing("parent death signal: the kernel has none")


def no_capabilities() -> None:
    """Give up every capability, also those a user namespace of one's own hands out. Raises `LayerMissing`.

    The first process of a user namespace may do there what root may: mount, make devices, change its network."""
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    nothing = ctypes.create_string_buffer(bytes(24))
    number = _CAPSET.get(platform.machine())
    if number is None or _libc.syscall(number, header, nothing) != 0:
        raise LayerMissing(f"no capabilities: {_why()}")


def drop_root(uid: int) -> None:
    """Become the ordinary user `uid`, for good: real, effective and saved ids, and no groups."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change of user hides /proc/self from its owner, but the id maps below are written through it.
    _libc.prctl(_DUMPABLE, 1, 0, 0, 0)


def namespaces() -> None:
    """Own users, mounts, processes, network, IPC and host name. Takes effect for processes on the next fork.

    Raises `LayerMissing` where the kernel, a container or AppArmor does not allow it; nothing has changed then."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NAMESPACES) != 0:
        raise LayerMissing(
            f"namespaces: unshare failed ({_why()}). Containers often forbid it; seccomp carries the jail without it"
        )
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise LayerMissing(f"namespaces: /proc/self/{name} cannot be written ({error.strerror})") from error


def landlock() -> int:
    """No file, no TCP, no signal or abstract socket beyond this domain, ever again. Returns the kernel's ABI number.

    Raises `LayerMissing` on kernels without it (before 5.13, or not switched on)."""
    abi = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if abi <= 0:
        raise LayerMissing(f"landlock: the kernel has none ({_why()}). Linux 5.13 or newer with lsm=landlock has it")
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(abi, 0xFFFF)
    rules = struct.pack("QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    buffer = ctypes.create_string_buffer(rules, len(rules))
    ruleset = _libc.syscall(
        _LANDLOCK_CREATE, ctypes.c_void_p(ctypes.addressof(buffer)), ctypes.c_size_t(size), ctypes.c_uint(0)
    )
    if ruleset < 0:
        raise LayerMissing(f"landlock: no ruleset ({_why()})")
    failed = _libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))
    why = _why()
    os.close(ruleset)
    if failed:
        raise LayerMissing(f"landlock: cannot restrict ({why})")
    return int(abi)


def address_space_bytes() -> int:
    """The address space of this process now. Children get this much plus their memory limit."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


Bounds = tuple[tuple[int, tuple[int, int]], ...]
#: What the host allows at most, looked up once. Empty where it does not say: then the kernel refuses what is too much.
_most: dict[int, int] = {}


def rlimits_for_all() -> None:
    """The bounds that every child has in common and the zygote can live with. Raises `LayerMissing`."""
    in_common = {
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_STACK: (8 << 20, 8 << 20),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for kind in (*in_common, resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        _most[kind] = _hard(kind)
    rlimits(_allowed(in_common))


def bounds_of_child(base_bytes: int, memory_mb: int, cpu_s: int) -> Bounds:
    """The kernel's own bounds for one child, on top of what it has from the zygote. SIGXCPU at `cpu_s`, SIGKILL a
    second later."""
    return _allowed(
        {
            resource.RLIMIT_AS: (base_bytes + memory_mb * 1024 * 1024,) * 2,
            resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),
            resource.RLIMIT_NOFILE: (8, 8),
            resource.RLIMIT_NPROC: (0, 0),
        }
    )


def rlimits(bounds: Bounds) -> None:
    """Set them, for good. Raises `LayerMissing` when one of them cannot be set."""
    try:
        for kind, pair in bounds:
            _setrlimit(kind, pair)
    except (ValueError, OSError) as error:
        raise LayerMissing(f"rlimits: {error}") from error


def _allowed(wanted: Mapping[int, tuple[int, int]]) -> Bounds:
    """A host may already allow less than we ask for; raising a hard limit is not ours to do."""
    bounds = []
    for kind, (soft, hard) in wanted.items():
        most = _most.get(kind, resource.RLIM_INFINITY)
        bounds.append((kind, (_least(soft, most), _least(hard, most))))
    return tuple(bounds)


def _hard(kind: int) -> int:
    try:
        return resource.getrlimit(kind)[1]
    except (ValueError, OSError) as error:
        raise LayerMissing(f"rlimits: {error}") from error


def _least(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def close_all_but(fd: int) -> None:
    """Make `fd` number 3 and close everything above it, however high."""
    if fd != 3:
        _dup2(fd, 3, False)
    _closerange(4, _HIGHEST_FD)


def open_fds() -> list[int]:
    """The descriptors of this process, as the kernel lists them."""
    with os.scandir("/proc/self/fd") as entries:
        found = [int(entry.name) for entry in entries]
    # The scan itself held one; it is closed by now.
    return sorted(fd for fd in found if _is_open(fd))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return False
    return True


def _why() -> str:
    number = ctypes.get_errno()
    return errno.errorcode.get(number, str(number))
