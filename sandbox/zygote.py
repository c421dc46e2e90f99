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

from sandbox import attack, heap, jail, seccomp
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
#: Pairs of CPU and memory limits whose bounds are kept ready.
_KEPT_BOUNDS = 16
#: By these names, because looking into a module or a class leaves traces in the interpreter's cache, a page each.
_close_all_but, _die_with_parent, _rlimits = jail.close_all_but, jail.die_with_parent, jail.rlimits
_getppid = os.getppid


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
    heap.end()  # by the process that forks: what it shared with its outer half would not lie in a row
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
    gc.freeze()  # children share these pages instead of copying them at their first collection
    layers["seccomp"] = _raise_wall(filter_of_zygote.install)
    os.write(CHILD_FD, HELLO + json.dumps(layers).encode())  # send() is a call the filter does not know

    _fork_on_request(control, functools.partial(jail.bounds_of_child, base_bytes), filter_of_child, runner)


def _fork_on_request(
    control: socket.socket,
    bounds_of: Callable[[int, int], jail.Bounds],
    filter_of_child: jail.Program,
    runner: Callable[[int], None],
) -> NoReturn:
    """Until the service is gone. Every page that is written to in here, for a reference counted, is one that zygote and
    child no longer share: so what is called stands in names of this function, and little is called."""
    me = os.getpid()
    fork, pidfd_open, close, tell, bury = jail.fork, os.pidfd_open, os.close, os.write, jail.Burial().of
    hear, say, unpack, pack = control.recvmsg, control.sendmsg, ORDER.unpack, _ONE.pack
    order_bytes, news, unpack_two = ORDER.size, ENDED.pack, _TWO.unpack
    at_socket, rights, readable = socket.SOL_SOCKET, socket.SCM_RIGHTS, select.POLLIN
    bounds: dict[tuple[int, int], jail.Bounds] = {}
    living: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(CHILD_FD, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != CHILD_FD:
                # A pidfd is readable when its process has ended. No SIGCHLD: a handler costs every run four calls more.
                poll.unregister(fd)
                child, pipe = living.pop(fd)
                how = news(*bury(child))
                close(fd)
                try:  # noqa: SIM105  an object more for every run
                    tell(pipe, how)
                except OSError:
                    pass  # nobody waits any more
                close(pipe)
                continue
            data, ancillary, _, _ = hear(order_bytes, _SPACE_FOR_TWO)
            if not data:
                os._exit(0)  # the service is gone; our death takes every child along
            kind, cpu_s, memory_mb, number = unpack(data)
            [(level, what, two)] = ancillary
            if level != at_socket or what != rights:
                os._exit(1)
            own, pipe = unpack_two(two)
            limits = bounds.get((cpu_s, memory_mb))
            if limits is None:
                limits = bounds_of(min(memory_mb, MOST_MEMORY_MB), min(cpu_s, MOST_CPU_S))
                if len(bounds) < _KEPT_BOUNDS:
                    bounds[cpu_s, memory_mb] = limits
            child = fork()
            if child == 0:
                _become_child(
                    own,
                    me,
                    limits,
                    filter_of_child,
                    runner if kind == FORK else functools.partial(_self_test, number),
                )
            close(own)
            pidfd = pidfd_open(child)
            living[pidfd] = (child, pipe)
            poll.register(pidfd, readable)
            say([PIDFD], [(at_socket, rights, pack(pidfd))])


def _become_child(
    fd: int, zygote: int, limits: jail.Bounds, seccomp_filter: jail.Program, runner: Callable[[int], None]
) -> NoReturn:
    """From fork to exit of one single-use child. Whatever goes wrong before the last wall ends it."""
    code = EXIT_NO_JAIL
    try:
        _close_all_but(fd)
        _die_with_parent()
        if _getppid() != zygote:
            os._exit(EXIT_NO_JAIL)  # the zygote died before we asked to die with it
        _rlimits(limits)
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
    # LC_CTYPE is set by Python itself, which coerces the C locale to UTF-8. LD_BIND_NOW: what a library is first called
    # for in a child would be looked up there, in every child anew.
    strange = set(os.environ) - {"PYTHONHASHSEED", "LC_CTYPE", "LD_BIND_NOW"}
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
