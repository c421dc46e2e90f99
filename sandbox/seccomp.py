"""Which system calls the jail lets through: two allow-lists as BPF programs, for x86_64 and aarch64.

Raw BPF rather than libseccomp: building it costs a fifth, and there is nothing to install. The lists name what CPython
and glibc 2.28-2.40 really call; the self-test at start finds out when a libc calls something else.
Anything not named kills the whole process with SIGSYS, which the parent sees as a violation.
"""

from __future__ import annotations

import errno
import platform
import struct

from sandbox.errors import LayerMissing

#: name: (x86_64, aarch64); None where the architecture has no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "open": (2, None),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "ioctl": (16, 29),
    "access": (21, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup": (32, 23),
    "dup2": (33, None),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "socket": (41, 198),
    "connect": (42, 203),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "exit": (60, 93),
    "wait4": (61, 260),
    "uname": (63, 160),
    "fcntl": (72, 25),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "gettimeofday": (96, 169),
    "sysinfo": (99, 179),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "prctl": (157, 167),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "getdents64": (217, 61),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "tgkill": (234, 131),
    "openat": (257, 56),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "dup3": (292, 24),
    "pipe2": (293, 59),
    "prlimit64": (302, 261),
    "getrandom": (318, 278),
    "statx": (332, 291),
    "rseq": (334, 293),
    "seccomp": (317, 277),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "faccessat2": (439, 439),
}

#: The child computes and speaks on one socket; read and write are further tied to that descriptor, `madvise` to giving
#: memory back, and clocks and futexes to those of no other process.
CHILD_ALLOW = (
    "close fstat munmap brk rt_sigaction rt_sigprocmask rt_sigreturn mremap madvise getpid exit exit_group futex"
    " clock_gettime clock_nanosleep nanosleep getrandom rseq sigaltstack gettimeofday time restart_syscall gettid"
    " sched_yield poll ppoll"
).split()
#: Refused with EPERM instead of death: honest library code may try these (a late import, a start of a thread).
CHILD_EPERM = (
    "open stat lstat access openat newfstatat readlink readlinkat getcwd socket connect getdents64 statx faccessat"
    " faccessat2 openat2 uname getuid geteuid getgid getegid getppid sysinfo prlimit64 dup fcntl pipe2 lseek ioctl"
    " tgkill clone fork vfork"
).split()
#: The zygote also forks, waits, and passes descriptors. It cannot open, connect, exec, or signal anybody.
ZYGOTE_ALLOW = [
    *CHILD_ALLOW,
    *(
        "read write clone fork vfork wait4 sendmsg recvmsg pidfd_open dup2 dup3 close_range prctl seccomp prlimit64"
        " getppid set_robust_list fcntl ioctl lseek newfstatat tgkill"
    ).split(),
]

_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_X32 = 0x40000000
_PROT_EXEC = 4
#: What a process may advise about its memory: to take it back. glibc does so; nobody here has other advice to give.
_DONTNEED, _FREE = 4, 8
#: From here on the number of a clock is made of a process id: the kernel shows anybody the CPU time of anybody by it.
_CLOCK_OF_A_PROCESS = 0x80000000
#: A futex of this process alone. Without it a word of a library's code is one futex for all who have that file mapped.
_FUTEX_PRIVATE = 128
#: What says nothing of the operation itself: private, and by which clock. What is left: wait, wake, and both by bits. A
#: lock that lends its priority names its owner by process id, and the kernel tells anybody whether there is such a one.
_FUTEX_FLAGS, _FUTEX_CALLS = 128 | 256, (0, 1, 9, 10)


def _do(code: int, value: int) -> bytes:
    return struct.pack("HBBI", code, 0, 0, value)


def _jump(code: int, value: int, yes: int, no: int) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def arch() -> str:
    """This machine's name in the tables. Raises `LayerMissing` where there is no table."""
    machine = platform.machine()
    if machine not in _ARCHES:
        raise LayerMissing(f"There is no system call table for {machine}; {' and '.join(_ARCHES)} have one")
    return machine


def numbers(names: list[str], machine: str) -> list[int]:
    """The numbers of these calls on `machine`, leaving out those it does not have."""
    column = _ARCHES[machine][0]
    found = (NUMBERS[name][column] for name in names)
    return [number for number in found if number is not None]


def child_program(machine: str, fd: int) -> bytes:
    """The filter of a child that may only read and write `fd`."""
    answers = dict.fromkeys(numbers(CHILD_EPERM, machine), "EPERM")
    answers |= dict.fromkeys(numbers(CHILD_ALLOW, machine), "ALLOW")
    answers |= dict.fromkeys(numbers(["read", "write"], machine), "OWN_FD")
    return _program(machine, answers, fd)


def zygote_program(machine: str) -> bytes:
    """The filter of the zygote, which every child inherits under its own."""
    answers = dict.fromkeys(numbers(CHILD_EPERM, machine), "EPERM")
    answers |= dict.fromkeys(numbers(ZYGOTE_ALLOW, machine), "ALLOW")
    return _program(machine, answers, 0)


def _program(machine: str, answers: dict[int, str], fd: int) -> bytes:
    """A search tree over the call's number, then one block per answer. What has no answer kills.

    A tree because of the kernel: when a filter is installed, it runs it once for every call there is, to know which
    ones are always allowed; asking for one number after the other made that the dearest part of a child's jail."""
    answers |= dict.fromkeys(numbers(["mmap", "mprotect"], machine), "NO_EXEC")
    answers |= dict.fromkeys(numbers(["madvise"], machine), "GIVE_BACK")
    answers |= dict.fromkeys(numbers(["clock_gettime", "clock_nanosleep"], machine), "OWN_CLOCK")
    answers |= dict.fromkeys(numbers(["futex"], machine), "OWN_FUTEX")
    # ENOSYS, not EPERM: glibc then falls back to clone, which is judged by its own line.
    answers |= dict.fromkeys(numbers(["clone3"], machine), "ENOSYS")
    head = [_do(_LD, 4), _jump(_JEQ, _ARCHES[machine][1], 1, 0), _do(_RET, _KILL), _do(_LD, 0)]
    if machine == "x86_64":
        # The x32 ABI reaches the same kernel functions under other numbers.
        head += [_jump(_JGE, _X32, 0, 1), _do(_RET, _KILL)]
    blocks = {
        "KILL": [_do(_RET, _KILL)],
        "ALLOW": [_do(_RET, _ALLOW)],
        "EPERM": [_do(_RET, _ERRNO | errno.EPERM)],
        "ENOSYS": [_do(_RET, _ERRNO | errno.ENOSYS)],
        "OWN_FD": [
            _do(_LD, 16),
            _jump(_JEQ, fd, 0, 1),
            _do(_RET, _ALLOW),
            _do(_RET, _ERRNO | errno.EPERM),
        ],
        # Merging, cooling, evicting and poisoning pages tells of, or does something to, processes that have them, too.
        "GIVE_BACK": [
            _do(_LD, 32),
            _jump(_JEQ, _DONTNEED, 1, 0),
            _jump(_JEQ, _FREE, 0, 1),
            _do(_RET, _ALLOW),
            _do(_RET, _ERRNO | errno.EPERM),
        ],
        "OWN_CLOCK": [
            _do(_LD, 16),
            _jump(_JGE, _CLOCK_OF_A_PROCESS, 0, 1),
            _do(_RET, _ERRNO | errno.EPERM),
            _do(_RET, _ALLOW),
        ],
        "OWN_FUTEX": [
            _do(_LD, 24),
            _jump(_JSET, _FUTEX_PRIVATE, 0, len(_FUTEX_CALLS) + 1),
            _do(_AND, 0xFFFFFFFF ^ _FUTEX_FLAGS),
            *(_jump(_JEQ, one, len(_FUTEX_CALLS) - at, 0) for at, one in enumerate(_FUTEX_CALLS)),
            _do(_RET, _ERRNO | errno.EPERM),
            _do(_RET, _ALLOW),
        ],
        # The third argument is prot; its low half lies at offset 32 on both (little endian) machines.
        "NO_EXEC": [_do(_LD, 32), _jump(_JSET, _PROT_EXEC, 0, 1), _do(_RET, _KILL), _do(_RET, _ALLOW)],
    }
    tree = _tree(sorted(answers))
    starts, at = {}, len(tree)
    for name, block in blocks.items():
        starts[name] = at
        at += len(block)
    made = []
    for index, (code, value, yes, no) in enumerate(tree):
        if code == _JEQ:
            # A leaf: the answer of this number, or of none.
            made.append(_jump(_JEQ, value, starts[answers[value]] - index - 1, starts["KILL"] - index - 1))
        else:
            made.append(_jump(code, value, yes, no))
    return b"".join(head + made + [one for block in blocks.values() for one in block])


def _tree(ordered: list[int]) -> list[tuple[int, int, int, int]]:
    """Instructions that come to the leaf of a number: (code, value, jump if so, jump if not), leaves without jumps."""
    if len(ordered) == 1:
        return [(_JEQ, ordered[0], 0, 0)]
    middle = len(ordered) // 2
    low, high = _tree(ordered[:middle]), _tree(ordered[middle:])
    return [(_JGE, ordered[middle], len(low), 0), *low, *high]
