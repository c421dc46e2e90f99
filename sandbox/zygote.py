"""The process every script's child is forked from: a fresh exec that knows no secret, walled in before the first fork.

It holds one socket, to the service, and never sees a script: it gets two descriptors (the child's own socket and a pipe
for the exit status), forks, and sends a pidfd back. The child finishes its jail before it reads its first byte.
"""

from __future__ import annotations

import _socket as socket  # the one of Python brings `selectors` along, and the names of all that there is
import contextlib
import functools
import gc
import json
import os
import select
import stat
import struct
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from sandbox import attack, jail, packing, seccomp
from sandbox.ending import ENDED, EXIT_NO_JAIL
from sandbox.errors import LayerMissing
from sandbox.limits import MOST_CPU_S, MOST_MEMORY_MB

#: Service to zygote: what to fork ("F" a script's child, "T" a self-test), CPU seconds, MB, and the attack's number.
ORDER = struct.Struct("<cIII")
FORK, TEST, HELLO, PIDFD, FAILED = b"F", b"T", b"H", b"P", b"E"
CHILD_FD = 3
#: Descriptors as they travel.
_ONE, _TWO = struct.Struct("i"), struct.Struct("ii")
_SPACE_FOR_TWO = socket.CMSG_SPACE(_TWO.size)
MESSAGE_BYTES = 16_384


def main(arguments: list[str], runner: Callable[[int], None], preload: Callable[[], None]) -> NoReturn:
    """Become the zygote. Arguments: descriptor of the control socket, pid of the service, uid to drop to or -1."""
    fd, service, drop_to = map(int, arguments)
    os.dup2(fd, CHILD_FD, inheritable=False)
    if fd != CHILD_FD:
        os.close(fd)
    control = socket.socket(fileno=CHILD_FD)
    try:
        serve(control, service, drop_to, runner, preload)
    except BaseException as error:
        # There is no stderr: the service is told why, and shows it to people.
        os.write(CHILD_FD, FAILED + f"{type(error).__name__}: {error}".encode()[: MESSAGE_BYTES - 1])
        os._exit(1)
    os._exit(0)


def serve(
    control: socket.socket, service: int, drop_to: int, runner: Callable[[int], None], preload: Callable[[], None]
) -> None:
    """Raise the walls, say which stand, and fork on request until the control socket closes."""
    layers = {"fresh exec": _fresh_exec()}
    os.environ["TZ"] = "UTC"  # scripts see one zone, not the host's
    time.tzset()
    preload()
    if drop_to >= 0 and os.geteuid() == 0:
        jail.drop_root(drop_to)
    layers["namespaces"] = _raise_wall(jail.namespaces)
    # Also after a failure half-way: the process may already stand in a new PID namespace, where it cannot fork twice.
    inner = os.fork()
    if inner:
        _wait_for(inner, control, service)
    base_bytes = jail.address_space_bytes()
    jail.die_with_parent()
    layers["no new privileges"] = _raise_wall(jail.no_new_privs)
    layers["undumpable"] = _raise_wall(jail.undumpable)
    layers["landlock"] = _raise_wall(jail.landlock)
    rlimits = _raise_wall(jail.rlimits_for_all)
    if rlimits:
        layers["rlimits"] = rlimits
    layers["no capabilities"] = _raise_wall(jail.no_capabilities)
    machine = seccomp.arch()
    filter_of_child = jail.Program(seccomp.child_program(machine, CHILD_FD))
    filter_of_zygote = jail.Program(seccomp.zygote_program(machine))

    gc.collect()
    packing.fill_holes()  # what a child makes lies on pages of its own
    gc.freeze()  # children share these pages instead of copying them at their first collection
    layers["seccomp"] = _raise_wall(filter_of_zygote.install)
    os.write(CHILD_FD, HELLO + json.dumps(layers).encode())  # send() is a call the filter does not know

    me = os.getpid()
    living: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(CHILD_FD, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != CHILD_FD:
                # A pidfd is readable when its process has ended. No SIGCHLD: a handler costs every run four calls more.
                poll.unregister(fd)
                _bury(fd, *living.pop(fd))
                continue
            data, fds = _receive(control)
            if not data:
                os._exit(0)  # the service is gone; our death takes every child along
            kind, cpu_s, memory_mb, number = ORDER.unpack(data)
            if len(fds) != 2:
                os._exit(1)
            child = jail.fork()
            if child == 0:
                _become_child(
                    fds[0],
                    me,
                    base_bytes,
                    min(memory_mb, MOST_MEMORY_MB),
                    min(cpu_s, MOST_CPU_S),
                    filter_of_child,
                    runner if kind == FORK else functools.partial(_self_test, number),
                )
            os.close(fds[0])
            pidfd = os.pidfd_open(child)
            living[pidfd] = (child, fds[1])
            poll.register(pidfd, select.POLLIN)
            control.sendmsg([PIDFD], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _ONE.pack(pidfd))])


def _become_child(
    fd: int,
    zygote: int,
    base_bytes: int,
    memory_mb: int,
    cpu_s: int,
    seccomp_filter: jail.Program,
    runner: Callable[[int], None],
) -> NoReturn:
    """From fork to exit of one single-use child. Whatever goes wrong before the last wall ends it."""
    code = EXIT_NO_JAIL
    try:
        jail.close_all_but(fd)
        jail.die_with_parent()
        if os.getppid() != zygote:
            os._exit(EXIT_NO_JAIL)  # the zygote died before we asked to die with it
        jail.rlimits(base_bytes, memory_mb, cpu_s)
        seccomp_filter.install()
        code = 1
        runner(CHILD_FD)
        code = 0
    finally:
        os._exit(code)


def _wait_for(inner: int, control: socket.socket, service: int) -> NoReturn:
    """The outer half: exists only so that the service has a process to wait for and to kill."""
    control.close()
    jail.die_with_parent()
    if os.getppid() != service:
        os._exit(1)
    # The inner half reports what is missing; this one only has to go on standing here.
    with contextlib.suppress(LayerMissing):
        jail.no_new_privs()
        jail.undumpable()
    os.waitpid(inner, 0)
    os._exit(0)


def _raise_wall(wall: Callable[[], object]) -> str:
    """ "" when it stands, else why it does not."""
    try:
        wall()
    except LayerMissing as error:
        return str(error)
    return ""


def _self_test(number: int, _fd: int) -> None:
    attack.attempt(number)


def _fresh_exec() -> str:
    """ "" when this process started clean: no environment, no descriptor of others, nothing on 0 to 2."""
    # LC_CTYPE is set by Python itself, which coerces the C locale to UTF-8.
    strange = set(os.environ) - {"PYTHONHASHSEED", "LC_CTYPE"}
    if strange:
        return f"fresh exec: the environment holds {', '.join(sorted(strange))}"
    fds = jail.open_fds()
    if fds != [0, 1, 2, CHILD_FD]:
        return f"fresh exec: the descriptors {fds} are open"
    null = os.stat("/dev/null").st_rdev
    if not all(stat.S_ISCHR((now := os.fstat(fd)).st_mode) and now.st_rdev == null for fd in (0, 1, 2)):
        return "fresh exec: a standard stream is not /dev/null"
    if sys.flags.hash_randomization:
        return "fresh exec: hashes are random, so two runs of one script may differ"
    return ""


def _bury(pidfd: int, child: int, pipe: int) -> None:
    """Tell whoever waits how this child ended."""
    _, status, used = os.wait4(child, 0)
    os.close(pidfd)
    with contextlib.suppress(OSError):  # nobody waits any more
        os.write(pipe, ENDED.pack(status, int((used.ru_utime + used.ru_stime) * 1e6), used.ru_maxrss))
    os.close(pipe)


def _receive(control: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    data, ancillary, _, _ = control.recvmsg(ORDER.size, _SPACE_FOR_TWO)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(payload) == _TWO.size:
            return data, _TWO.unpack(payload)
    return data, ()
