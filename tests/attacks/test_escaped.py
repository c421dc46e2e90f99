"""After a complete escape: unrestricted Python in the child, with ctypes, against the walls alone. Nothing may succeed.

As root and as an ordinary user. Each attack either sees an error or is killed by the kernel; the host looks afterwards
whether anything happened."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import seccomp
from sandbox.ending import ENDED
from sandbox.processes import Child, Zygote
from sandbox.service import REQUIRED
from sandbox.service import WANTED as WANTED_LAYERS
from sandbox.wire import Reader, encode
from sandbox.zygote import FORK
from tests.sandbox.hosts import ROOT

#: Seconds until a child has to have said or ended something: a moment where the machine is ours alone.
WAIT_S = 60.0

#: Given to every attack: libc, a raw system call that raises on error, and the modules it may want.
PRELUDE = """
import ctypes, errno, fcntl, mmap, os, resource, select, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    args = [a if isinstance(a, bytes) or a is None else ctypes.c_long(a) for a in args]
    made = libc.syscall(ctypes.c_long(number), *args)
    if made < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return made
"""

FILES = {
    "open": "out('PWNED', open('/etc/passwd').read(9))",
    "open_write": "open('{folder}/made', 'w').write('PWNED'); out('PWNED')",
    "open_for_creation": "os.close(os.open('{folder}/made', os.O_CREAT | os.O_WRONLY)); out('PWNED')",
    "openat2": "call(437, -100, b'/etc/passwd', struct.pack('QQQ', 0, 0, 0), 24); out('PWNED')",
    "open_by_handle": "call(304, -100, b'x' * 16, 0); out('PWNED')",
    "name_to_handle": "call(303, -100, b'/etc', b'x' * 200, b'x' * 8, 0); out('PWNED')",
    "environ": "out('PWNED', open('/proc/self/environ').read())",
    "environment_of_python": "out('PWNED', os.environ['SECRET_OF_THE_HOST'], os.environ['PATH'])",
    "parent_environ": "out('PWNED', open(f'/proc/{os.getpid()}/environ').read())",
    "own_memory_as_a_file": "open('/proc/self/mem', 'r+b').write(b'PWNED'); out('PWNED')",
    "own_layout": "out('PWNED', open('/proc/self/maps').read())",
    "memory_of_others": "open('/proc/1/mem', 'rb'); out('PWNED')",
    "listdir": "out('PWNED', os.listdir('/'))",
    "stat": "os.stat('/etc/passwd'); out('PWNED')",
    "statx": "call(332, -100, b'/etc/passwd', 0, 0xfff, b'x' * 256); out('PWNED')",
    "getcwd": "out('PWNED', os.getcwd())",
    "chdir": "os.chdir('/'); out('PWNED')",
    "chroot": "os.chroot('/'); out('PWNED')",
    "mkdir": "os.mkdir('{folder}/made'); out('PWNED')",
    "unlink": "os.unlink('{folder}/kept'); out('PWNED')",
    "rename": "os.rename('{folder}/kept', '{folder}/made'); out('PWNED')",
    "symlink": "os.symlink('/etc', '{folder}/made'); out('PWNED')",
    "chmod": "os.chmod('{folder}/kept', 0o777); out('PWNED')",
    "truncate": "os.truncate('{folder}/kept', 0); out('PWNED')",
    "mknod": "os.mknod('{folder}/made'); out('PWNED')",
    "mount": "call(165, b'none', b'/tmp', b'tmpfs', 0, None); out('PWNED')",
    "fsopen": "call(430, b'tmpfs', 0); out('PWNED')",
    "open_tree": "call(428, -100, b'/', 0); out('PWNED')",
    "pivot_root": "call(155, b'/', b'/'); out('PWNED')",
    "memfd": "call(319, b'x', 0); out('PWNED')",
    "memfd_secret": "call(447, 0); out('PWNED')",
    "fanotify": "call(300, 0, 0); out('PWNED')",
    "inotify": "call(294, 0); out('PWNED')",
    "dup": "os.dup(fd); out('PWNED')",
    "write_to_stderr": "os.write(2, b'PWNED'); out('PWNED')",
    "read_from_another_fd": "os.read(0, 1); out('PWNED')",
    "sendfile": "call(40, fd, 0, None, 10); out('PWNED')",
    "splice": "call(275, 0, None, fd, None, 10, 0); out('PWNED')",
    "readv": "os.readv(fd, [bytearray(1)]); out('PWNED')",
    "writev": "os.writev(fd, [b'PWNED']); out('PWNED')",
    "preadv": "os.preadv(0, [bytearray(1)], 0); out('PWNED')",
}
NETWORK = {
    "tcp": "socket.socket().connect(('127.0.0.1', {port})); out('PWNED')",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'PWNED', ('127.0.0.1', {port})); out('PWNED')",
    "udp_outside": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53)); out('PWNED')",
    "raw": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); out('PWNED')",
    "packet": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW); out('PWNED')",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); out('PWNED')",
    "unix": "socket.socket(socket.AF_UNIX); out('PWNED')",
    "unix_abstract": "s = socket.socket(socket.AF_UNIX); s.connect('\\0x'); out('PWNED')",
    "vsock": "socket.socket(40, socket.SOCK_STREAM); out('PWNED')",
    "alg": "socket.socket(38, socket.SOCK_SEQPACKET); out('PWNED')",
    "pair": "socket.socketpair(); out('PWNED')",
    "accept": "call(43, fd, None, None); out('PWNED')",
    "bind": "call(49, fd, b'\\0' * 16, 16); out('PWNED')",
    "listen": "call(50, fd, 1); out('PWNED')",
    "sendto": "call(44, fd, b'PWNED', 5, 0, None, 0); out('PWNED')",
    "sendmsg": "call(46, fd, b'\\0' * 56, 0); out('PWNED')",
    "recvmsg": "call(47, fd, b'\\0' * 56, 0x40); out('PWNED')",
    "pass_a_descriptor": "socket.send_fds(socket.socket(fileno=fd), [b'x'], [0]); out('PWNED')",
    "getaddrinfo": "socket.getaddrinfo('example.com', 80); out('PWNED')",
    "io_uring": "call(425, 8, b'\\0' * 120); out('PWNED')",
    "io_uring_enter": "call(426, fd, 1, 0, 0, None, 0); out('PWNED')",
    "io_uring_register": "call(427, -1, 0, None, 0); out('PWNED')",
}
PROCESSES = {
    "fork": "pid = os.fork(); out('PWNED') if pid else os._exit(0)",
    "vfork": "call(58); out('PWNED')",
    "clone": "call(56, 17, 0, 0, 0, 0) or os._exit(0); out('PWNED')",
    "clone3": "call(435, struct.pack('11Q', 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88) or os._exit(0); out('PWNED')",
    "thread": "threading.Thread(target=lambda: out('PWNED')).start()",
    "exec": "os.execv('/bin/sh', ['sh', '-c', 'echo PWNED > {folder}/made'])",
    "execveat": "call(322, -100, b'/bin/true', None, None, 0); out('PWNED')",
    "system": "out('PWNED') if os.system('touch {folder}/made') == 0 else None",
    "popen": "out('PWNED', subprocess.check_output(['id']))",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], dict()); out('PWNED')",
    "kill_parent": "os.kill(os.getppid(), 9); out('PWNED')",
    "kill_all": "os.kill(-1, 0); out('PWNED')",
    "kill_test": "os.kill({pid}, 9); out('PWNED')",
    "tgkill": "call(234, {pid}, {pid}, 9); out('PWNED')",
    "tkill": "call(200, {pid}, 9); out('PWNED')",
    "sigqueue": "call(129, {pid}, 9, b'\\0' * 128); out('PWNED')",
    "sigqueue_of_a_thread": "call(297, {pid}, {pid}, 9, b'\\0' * 128); out('PWNED')",
    "robust_list_of_others": "call(274, {pid}, b'\\0' * 8, b'\\0' * 8); out('PWNED')",
    "clock_of_others": "b = ctypes.create_string_buffer(16)\n"
    "call(228, (~{pid} << 3) | 2, ctypes.addressof(b)); out('PWNED')",
    "clock_of_the_first": "b = ctypes.create_string_buffer(16)\n"
    "call(228, (~1 << 3) | 2, ctypes.addressof(b)); out('PWNED')",
    "sleep_by_the_clock_of_others": "call(230, (~1 << 3) | 2, 0, struct.pack('qq', 0, 1), None); out('PWNED')",
    "usage_of_others": "resource.getrusage(resource.RUSAGE_CHILDREN); out('PWNED')",
    "schedule_of_others": "out('PWNED', os.sched_getscheduler({pid}))",
    "affinity_of_others": "out('PWNED', os.sched_getaffinity({pid}))",
    "priority_of_others": "out('PWNED', os.getpriority(os.PRIO_PROCESS, {pid}))",
    "session_of_others": "out('PWNED', os.getsid({pid}))",
    "pages_of_others": "call(279, {pid}, 1, b'\\0' * 8, None, b'\\0' * 8, 0); out('PWNED')",
    "release_of_others": "call(448, fd, 0); out('PWNED')",
    "pidfd_open": "call(434, {pid}, 0); out('PWNED')",
    "pidfd_send_signal": "call(424, fd, 9, None, 0); out('PWNED')",
    "pidfd_getfd": "call(438, fd, 0, 0); out('PWNED')",
    "ptrace_attach": "call(101, 16, {pid}, 0, 0); out('PWNED')",
    "ptrace_me": "call(101, 0, 0, 0, 0); out('PWNED')",
    "read_memory": "call(310, {pid}, b'\\0' * 16, 1, b'\\0' * 16, 1, 0); out('PWNED')",
    "write_memory": "call(311, {pid}, b'\\0' * 16, 1, b'\\0' * 16, 1, 0); out('PWNED')",
    "kcmp": "call(312, {pid}, {pid}, 0, 0, 0); out('PWNED')",
    "setuid": "os.setuid(0); out('PWNED')",
    "setresuid": "os.setresuid(0, 0, 0); out('PWNED')",
    "setgroups": "os.setgroups([0]); out('PWNED')",
    "capset": "call(126, b'\\0' * 8, b'\\xff' * 24); out('PWNED')",
    "setsid": "os.setsid(); out('PWNED')",
    "nice": "os.nice(-5); out('PWNED')",
    "affinity": "os.sched_setaffinity(0, [0]); out('PWNED')",
    "alarm": "signal.alarm(1); out('PWNED')",
    "timer": "signal.setitimer(signal.ITIMER_REAL, 1); out('PWNED')",
    "wait_for_others": "os.waitpid(-1, os.WNOHANG); out('PWNED')",
    "owner_of_a_lock": "call(202, ctypes.addressof(ctypes.c_int({pid})), 6 | 128, 0, None, None, 0); out('PWNED')",
    "owner_of_a_lock_once": "call(202, ctypes.addressof(ctypes.c_int({pid})), 8 | 128, 0, None, None, 0); out('PWNED')",
    "owner_of_a_requeued_lock": "call(202, ctypes.addressof(ctypes.c_int(0)), 12 | 128, 1, 1, "
    "ctypes.addressof(ctypes.c_int({pid})), 0); out('PWNED')",
}
KERNEL = {
    "map_code": "mmap.mmap(-1, 4096, prot=7); out('PWNED')",
    "protect_code": "m = mmap.mmap(-1, 4096); a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
    "call(10, a, 4096, 5); out('PWNED')",
    "rewrite_code": "at = ctypes.cast(libc.getppid, ctypes.c_void_p).value & ~4095\n"
    "call(10, at, 4096, 3)\nctypes.c_char.from_address(at).value = b'x'\ncall(10, at, 4096, 5); out('PWNED')",
    "standard_stream_as_memory": "call(9, 0, 4096, 3, 1, 0, 0); out('PWNED')",
    "socket_as_memory": "call(9, 0, 4096, 3, 1, fd, 0); out('PWNED')",
    "a_handler_for_the_filters_signal": "signal.signal(signal.SIGSYS, lambda *_: out('PWNED'))\ncall(9999)",
    "pkey_mprotect": "call(329, 0, 4096, 5, 0); out('PWNED')",
    "remap_file_pages": "call(216, 0, 4096, 0, 0, 0); out('PWNED')",
    "x32_getpid": "call(0x40000000 + 39); out('PWNED')",
    "x32_open": "call(0x40000000 + 2, b'/etc/passwd', 0); out('PWNED')",
    "code_of_a_callback": "ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7); mmap.mmap(-1, 4096, prot=7); out('PWNED')",
    "code_by_a_wide_argument": "call(9, 0, 4096, 7 | 1 << 32, 0x22, -1, 0); out('PWNED')",
    "protect_by_a_wide_argument": "m = mmap.mmap(-1, 4096); a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
    "call(10, a, 4096, 1 << 32 | 4); out('PWNED')",
    "second_name_of_code": "call(25, ctypes.cast(libc.malloc, ctypes.c_void_p).value & ~4095, 0, 4096, 1, 0)\n"
    "out('PWNED')",
    "guard_pages": "m = mmap.mmap(-1, 4096); a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
    "call(28, a, 4096, 102); out('PWNED')",
    "high_number": "call(0xffff); out('PWNED')",
    "personality": "call(135, 0x0400000); out('PWNED')",
    "unshare": "call(272, 0x10000000); out('PWNED')",
    "setns": "call(308, fd, 0); out('PWNED')",
    "bpf": "call(321, 0, b'\\0' * 64, 64); out('PWNED')",
    "perf_event": "call(298, b'\\0' * 112, 0, -1, -1, 0); out('PWNED')",
    "userfaultfd": "call(323, 0); out('PWNED')",
    "keyctl": "call(250, 0, -3, 0); out('PWNED')",
    "add_key": "call(248, b'user', b'x', b'x', 1, -3); out('PWNED')",
    "shmget": "call(29, 0, 4096, 0o1666); out('PWNED')",
    "msgget": "call(68, 0, 0o1666); out('PWNED')",
    "semget": "call(64, 0, 1, 0o1666); out('PWNED')",
    "mq_open": "call(240, b'x', 0o102, 0o666, None); out('PWNED')",
    "prctl_dumpable": "call(157, 4, 1, 0, 0, 0); out('PWNED')",
    "prctl_parent_death": "call(157, 1, 0, 0, 0, 0); out('PWNED')",
    "seccomp_again": "call(317, 1, 0, b'\\0' * 16); out('PWNED')",
    "landlock": "call(444, None, 0, 1); out('PWNED')",
    "raise_a_limit": "resource.setrlimit(resource.RLIMIT_CPU, (100, 100)); out('PWNED')",
    "prlimit": "call(302, {pid}, 7, None, b'\\0' * 16); out('PWNED')",
    "reboot": "call(169, 0, 0, 0, None); out('PWNED')",
    "init_module": "call(175, b'x', 1, b''); out('PWNED')",
    "kexec": "call(246, 0, 0, None, 0); out('PWNED')",
    "settime": "time.clock_settime(time.CLOCK_REALTIME, 0); out('PWNED')",
    "sethostname": "socket.sethostname('pwned'); out('PWNED')",
    "swapoff": "call(168, b'/x'); out('PWNED')",
    "iopl": "call(172, 3); out('PWNED')",
    "modify_ldt": "call(154, 1, b'\\0' * 16, 16); out('PWNED')",
    "arch_prctl": "call(158, 0x1001, 0); out('PWNED')",
    "timer_create": "call(222, 0, None, b'\\0' * 8); out('PWNED')",
    "timerfd": "call(283, 0, 0); out('PWNED')",
    "epoll": "select.epoll(); out('PWNED')",
    "eventfd": "os.eventfd(0); out('PWNED')",
    "signalfd": "call(289, -1, b'\\0' * 8, 8, 0); out('PWNED')",
    "pipe": "os.pipe(); out('PWNED')",
    "ioctl_tiocsti": "fcntl.ioctl(fd, 0x5412, b'x'); out('PWNED')",
    "fcntl": "fcntl.fcntl(fd, 0); out('PWNED')",
    "process_madvise": "call(440, fd, None, 0, 0, 0); out('PWNED')",
    "merge_pages": "mmap.mmap(-1, 1 << 20).madvise(mmap.MADV_MERGEABLE); out('PWNED')",
    "evict_a_library": "call(28, ctypes.cast(libc.malloc, ctypes.c_void_p).value & ~4095, 4096, 21); out('PWNED')",
    "cool_a_library": "call(28, ctypes.cast(libc.malloc, ctypes.c_void_p).value & ~4095, 4096, 20); out('PWNED')",
    "who_has_a_library_in_memory": "call(27, ctypes.cast(libc.malloc, ctypes.c_void_p).value & ~4095, 4096, b'x'); "
    "out('PWNED')",
    "cachestat": "call(451, fd, b'\\0' * 16, b'\\0' * 40, 0); out('PWNED')",
    "shadow_stack": "call(453, 0, 4096, 0); out('PWNED')",
    "seal_memory": "call(462, 0, 4096, 0); out('PWNED')",
    "list_mounts": "call(458, b'\\0' * 24, b'\\0' * 64, 8, 0); out('PWNED')",
    "security_of_itself": "call(459, 100, b'\\0' * 64, b'\\0' * 4, 0); out('PWNED')",
    "futex_of_the_new_kind": "call(449, b'\\0' * 24, 1, 0, None, 1); out('PWNED')",
    "membarrier": "call(324, 0, 0, 0); out('PWNED')",
    "set_mempolicy": "call(238, 0, None, 0); out('PWNED')",
    "uname": "out('PWNED', os.uname().nodename)",
}
EXHAUST = {
    "memory": "x = bytearray(2 << 30); out('PWNED')",
    "memory_by_mmap": "mmap.mmap(-1, 2 << 30); out('PWNED')",
    "locked_memory": "call(149, 0, 4096); out('PWNED')",
}
ATTACKS = FILES | NETWORK | PROCESSES | KERNEL | EXHAUST
KNOWN_ATTACKS = set(ATTACKS)
#: Numbers above are x86_64's; elsewhere only what goes by Python's own functions means the same.
if os.uname().machine != "x86_64":
    ATTACKS = {name: source for name, source in ATTACKS.items() if "call(" not in source}


#: Each layer of the jail: attacks that it stands against, alone or with others.
LAYERS = {
    "fresh exec": "environ parent_environ environment_of_python dup",
    "rlimits": "memory memory_by_mmap locked_memory raise_a_limit",
    "no new privileges": "exec execveat setuid setresuid",
    "seccomp": "open tcp udp fork exec kill_parent map_code x32_open io_uring bpf",
    "namespaces": "unshare setns kill_all mount sethostname shmget",
    "landlock": "open open_write tcp unix_abstract landlock",
    "no capabilities": "capset mount chroot pivot_root mknod settime",
    "undumpable": "ptrace_attach read_memory write_memory memory_of_others prctl_dumpable",
}


def test_every_layer_has_its_attacks() -> None:
    assert LAYERS.keys() == {*REQUIRED, *WANTED_LAYERS}
    for names in LAYERS.values():
        assert set(names.split()) <= KNOWN_ATTACKS


@dataclass
class Raw:
    """One zygote whose children run anything."""

    zygote: Zygote

    def run(self, source: str, wait_s: float = WAIT_S) -> tuple[dict[str, object] | None, int]:
        """What the child said, if it lived to say it, and its wait status."""
        return self.heard(self.started(source), wait_s)

    def started(self, source: str) -> Child:
        child = self.zygote.fork(FORK, 1, 128)
        child.talk.sendall(encode({"source": source}, 1 << 20))
        return child

    def heard(self, child: Child, wait_s: float = WAIT_S) -> tuple[dict[str, object] | None, int]:
        try:
            child.talk.settimeout(wait_s)
            reader = Reader(1 << 20)
            said = None
            while said is None and (data := _receive(child.talk)):
                reader.feed(data)
                said = reader.next()
            ready, _, _ = select.select([child.ended_fd], [], [], wait_s)
            assert ready, "the child did not end"
            return said, int(ENDED.unpack(os.read(child.ended_fd, ENDED.size))[0])
        finally:
            child.end()


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""


#: What a container or an old kernel may not have; seccomp and rlimits must do without.
WANTED = "landlock,namespaces,capabilities"
#: Who the child is, and which layers its kernel lacks. A plain run tries how it is on a desk, and the least there is.
ROOT_HERE = os.geteuid() == 0
USERS = [
    pytest.param((65534, ""), id="nobody"),
    pytest.param((65534, WANTED), id="nobody-seccomp_and_rlimits_alone", marks=[pytest.mark.slow] if ROOT_HERE else []),
]
if ROOT_HERE:
    USERS += [
        pytest.param((-1, ""), id="root", marks=pytest.mark.slow),
        pytest.param((-1, WANTED), id="root-seccomp_and_rlimits_alone"),
    ]


def a_zygote(user: int, missing: str = "") -> Zygote:
    program = str(ROOT / "tests" / "attacks" / "raw_zygote.py")
    path = json.dumps([str(ROOT), *[one for one in sys.path if one]])

    def command(fd: int) -> list[str]:
        kernel = [str(ROOT / "tests" / "sandbox" / "without.py"), missing] if missing else []
        return [sys.executable, *kernel, "-s", "-S", "-P", program, path, str(fd), str(os.getpid()), str(user)]

    return Zygote(command)


@pytest.fixture(scope="module", params=USERS)
def raw(request: pytest.FixtureRequest) -> Iterator[Raw]:
    user, missing = request.param
    zygote = a_zygote(user, missing)
    try:
        down = {name for name, why in zygote.hello().items() if why}
        assert {"landlock", "namespaces", "no capabilities"} & down == down
        assert down or not missing
        yield Raw(zygote)
    finally:
        zygote.stop()


@pytest.fixture
def listener() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        yield tcp, udp


@pytest.mark.alike
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_succeeds(raw: Raw, name: str, tmp_path: Path, listener: tuple[socket.socket, socket.socket]) -> None:
    (tmp_path / "kept").write_text("kept")
    tmp_path.chmod(0o777)
    attack = ATTACKS[name]
    for word, value in (("folder", tmp_path), ("port", listener[0].getsockname()[1]), ("pid", os.getpid())):
        attack = attack.replace("{" + word + "}", str(value))
    said, status = raw.run(PRELUDE + attack)

    if said is None:
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGSYS
    else:
        assert said["printed"] == []
        if name != "system":  # os.system tells a refused fork by its return value
            error = str(said["raised"]).partition(":")[0]
            assert error in (
                "PermissionError",
                "OSError",
                "RuntimeError",
                "MemoryError",
                "ValueError",
                "gaierror",
                "KeyError",
            ), said
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("kept", "kept")]
    ready, _, _ = select.select(list(listener), [], [], 0)
    assert ready == []


def test_the_child_can_do_what_it_is_for(raw: Raw) -> None:
    """Guards the tests above: the walls stop attacks, not everything."""
    said, status = raw.run("out(sum(range(10)), sorted('ba'), 'x' * 3)")
    assert said == {"printed": ["45 ['a', 'b'] xxx"], "raised": ""}
    assert status == 0


def test_the_memory_of_the_zygote_holds_no_secret(raw: Raw) -> None:
    said, _ = raw.run("import os\nout(sorted(os.environ))")
    assert said is not None
    assert set(str(said["printed"]).split("'")) & {"HOME", "PATH", "USER"} == set()
    said, _ = raw.run("import gc\nout([s for s in gc.get_objects() if type(s) is dict and 'PATH' in s])")
    assert said is not None
    assert said["printed"] == ["[]"]


@pytest.mark.parametrize("raw", [(65534, "")], indirect=True)
@pytest.mark.slow
def test_a_child_that_ignores_every_signal_is_killed_for_its_cpu(raw: Raw) -> None:
    source = (
        "import signal\nfor n in range(1, 64):\n    try:\n"
        "        signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
        "while True:\n    pass"
    )
    said, status = raw.run(source, 50)
    assert said is None
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has this page")
def test_the_old_page_of_calls_is_behind_the_filter(raw: Raw) -> None:
    """Which processor this is: the page answers without a call, so the kernel asks the filter itself; or it is gone."""
    source = "import ctypes\nasked = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_void_p] * 3)\n"
    said, status = raw.run(source + "asked(0xFFFFFFFFFF600800)(0, 0, 0)\nout('PWNED')")
    assert said is None
    assert os.WTERMSIG(status) in (signal.SIGSYS, signal.SIGSEGV)


@pytest.mark.parametrize("source", ["import ctypes\nctypes.string_at(0)", "import os\nos.abort()"])
def test_a_crash_is_seen_as_a_crash(raw: Raw, source: str) -> None:
    said, status = raw.run(source)
    assert said is None
    assert os.WTERMSIG(status) in (signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS)


#: Closes whatever it can but its own socket, up to beyond any number a descriptor may have here.
FIND_DESCRIPTORS = (
    "import os\nclosed = []\nfor n in [*range(70_000), 2**20 - 1, 2**20, 2**30]:\n    if n == fd: continue\n"
    "    try:\n        os.close(n)\n        closed.append(n)\n    except OSError:\n        pass\nout(fd, closed)"
)


def test_the_child_has_no_descriptor_but_its_own(raw: Raw) -> None:
    """0 to 2 are /dev/null, which it may neither read nor write."""
    said, _ = raw.run(FIND_DESCRIPTORS)
    assert said is not None
    assert said["printed"] == ["3 [0, 1, 2]"]


def test_a_descriptor_with_a_high_number_reaches_neither_zygote_nor_child() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard if hard != resource.RLIM_INFINITY else 2**20, 2**20)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    high = fcntl.fcntl(0, fcntl.F_DUPFD, most - 1)  # without close-on-exec, as a library may leave one
    try:
        assert os.get_inheritable(high)
        zygote = a_zygote(65534)
        try:
            assert zygote.hello()["fresh exec"] == ""
            said, _ = Raw(zygote).run(f"import os\nos.close({high})\nout('PWNED')")
        finally:
            zygote.stop()
    finally:
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert said is not None
    assert said["printed"] == []
    assert "Bad file descriptor" in str(said["raised"])


#: Writes to every mapping that Python knows of, then says what stands there.
LEAVE_A_WORD = """
import mmap, sys
found = [one for module in list(sys.modules.values()) for one in vars(module).values() if type(one) is mmap.mmap]
for one in found:
    out(len(one), bytes(one[:6]))
    one[:6] = b"PWNED!"
out(len(found))
"""


def test_a_run_leaves_nothing_in_memory_for_the_next_one(raw: Raw) -> None:
    """A mapping that zygote and children share would be a letter box between runs on tickets of different people."""
    first, _ = raw.run(LEAVE_A_WORD)
    second, _ = raw.run(LEAVE_A_WORD)
    assert first is not None
    assert first["printed"] == [f"{1 << 20} {bytes(6)!r}", "1"]
    assert second == first


#: A word of a library that every child has mapped, and what stands there.
SHARED_WORD = (
    "at = ctypes.cast(libc.malloc, ctypes.c_void_p).value & ~4095\nstands = ctypes.c_int.from_address(at).value\n"
)
WAIT_THERE = "call(202, at, 0, stands, struct.pack('qq', 1, 0), None, 0)\nout('PWNED, woken')"
WAKE_THERE = (
    "end = time.monotonic() + 0.5\nwhile time.monotonic() < end:\n    if call(202, at, 1, 9): out('PWNED, woke one')"
)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_two_runs_at_once_cannot_signal_each_other_through_the_code_they_share(raw: Raw) -> None:
    """Read-only as it is: a futex that is not private is known by its file."""
    both = [raw.started(PRELUDE + SHARED_WORD + one) for one in (WAIT_THERE, WAKE_THERE)]
    for one in [raw.heard(child)[0] for child in both]:
        assert one is not None
        assert (one["printed"], str(one["raised"]).partition(":")[0]) == ([], "PermissionError")


#: A lock that lends its priority, said to be held by one process and by another.
WHO_IS_THERE = """
for pid in ({pid}, 4194303):
    try:
        call(202, ctypes.addressof(ctypes.create_string_buffer(struct.pack('I', pid))), 6 | 128, 0, None, None, 0)
        out('PWNED')
    except OSError as error:
        out(errno.errorcode[error.errno])
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_no_lock_tells_which_processes_there_are(raw: Raw) -> None:
    """Without namespaces the kernel would say ESRCH of the second one alone."""
    said, _ = raw.run(PRELUDE + WHO_IS_THERE.replace("{pid}", str(os.getpid())))
    assert said == {"printed": ["EPERM", "EPERM"], "raised": ""}


# Each system call of the tables, by its number -----------------------------------------------------------------------


def test_every_call_that_is_refused_is_refused_in_a_child(raw: Raw) -> None:
    """Generated from the table: what stands there answers EPERM in a real child, whatever it is called with."""
    machine = seccomp.arch()
    refused = {name: number for name in seccomp.CHILD_EPERM for number in seccomp.numbers([name], machine)}
    source = f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nfor name, number in {refused!r}.items():\n"
    source += "    made = libc.syscall(number, fd, 0, 0, 0, 0, 0)\n    out(name, made, ctypes.get_errno())"
    said, status = raw.run(source)
    assert said is not None
    assert said["printed"] == [f"{name} -1 {errno.EPERM}" for name in refused]
    assert status == 0


@pytest.mark.alike
@pytest.mark.parametrize("name", sorted({*seccomp.ZYGOTE_ALLOW} - {*seccomp.CHILD_ALLOW, *seccomp.CHILD_EPERM}))
def test_what_only_the_zygote_may_call_kills_or_fails_in_a_child(raw: Raw, name: str) -> None:
    numbers = seccomp.numbers([name], seccomp.arch())
    if not numbers:
        pytest.skip(f"this machine has no {name}")
    said, status = raw.run(PRELUDE + f"call({numbers[0]}, 0, 0, 0, 0, 0, 0)\nout('PWNED')")
    if name in ("read", "write"):  # these belong to its own descriptor
        assert said is not None
        assert (said["printed"], str(said["raised"]).partition(":")[0]) == ([], "PermissionError")
    else:
        assert said is None
        assert os.WTERMSIG(status) == signal.SIGSYS


#: uretprobe and uprobe, which newer kernels let past every filter; they serve a probe that the kernel itself has set,
#: and end or fail where there is none.
UNFILTERED = {335, 336} if os.uname().machine == "x86_64" else set()


@pytest.mark.slow
@pytest.mark.parametrize("raw", [(65534, WANTED)], indirect=True)
def test_no_number_beyond_the_tables_is_answered(raw: Raw) -> None:
    """Each in a real child, with seccomp and rlimits alone: also what kernels got after this was written."""
    machine = seccomp.arch()
    named = {number for name in seccomp.NUMBERS for number in seccomp.numbers([name], machine)}
    for number in sorted({*range(600), 0x40000000, 0x40000001, 2**31 - 1} - named):
        said, status = raw.run(f"import ctypes\nout(ctypes.CDLL(None).syscall({number}, 0, 0, 0, 0, 0, 0))")
        if number in UNFILTERED:
            assert said is None or said["printed"] == ["-1"], number
        else:
            assert (number, said) == (number, None)
            assert os.WTERMSIG(status) == signal.SIGSYS


#: What could be made of a call that every child may make: the attempt, and what it must not print.
ABUSE = {
    "close": "os.close(fd)\nos.read(fd, 1)\nout('PWNED')",
    "fstat": "out('PWNED') if os.fstat(0).st_size else os.fstat(99)",
    "munmap": "call(11, 0x1000, 4096)\nout('still here')\nraise OSError",
    "brk": "x = [bytearray(1 << 20) for n in range(400)]\nout('PWNED')",
    "rt_sigaction": "signal.signal(signal.SIGKILL, signal.SIG_IGN)\nout('PWNED')",
    "rt_sigprocmask": "signal.pthread_sigmask(signal.SIG_BLOCK, [9])\nout('PWNED') if 9 in "
    "signal.pthread_sigmask(signal.SIG_BLOCK, []) else os.kill(0, 0)",
    "rt_sigreturn": "libc.syscall(ctypes.c_long(15))\nout('PWNED')",
    "mremap": "m = mmap.mmap(-1, 4096)\nm.resize(2 << 30)\nout('PWNED')",
    "madvise": "m = mmap.mmap(-1, 1 << 20)\nm.madvise(mmap.MADV_HWPOISON if hasattr(mmap, 'MADV_HWPOISON') else 100)\n"
    "out('PWNED')",
    "getpid": "os.kill(os.getpid(), 0)\nout('PWNED')",
    "exit": "libc.syscall(ctypes.c_long(60), ctypes.c_long(0))\nout('PWNED')",
    "exit_group": "os._exit(0)\nout('PWNED')",
    "futex": "call(202, ctypes.addressof(ctypes.c_int(1)), 134, 0, struct.pack('QQ', 0, 1), None, 0)\nout('PWNED')",
    "clock_gettime": "call(228, 99, ctypes.addressof(ctypes.create_string_buffer(16)))\nout('PWNED')",
    "clock_nanosleep": "time.sleep(-1)\nout('PWNED')",
    "nanosleep": "call(35, struct.pack('qq', -1, 0), None)\nout('PWNED')",
    "getrandom": "call(318, 1, 8, 0)\nout('PWNED')",
    "rseq": "call(334, 1, 32, 0, 0)\nout('PWNED')",
    "sigaltstack": "call(131, struct.pack('QiiQ', 1, 0, 0, 1), None)\nout('PWNED')",
    "gettimeofday": "call(96, 1, 0)\nout('PWNED')",
    "time": "call(201, 1)\nout('PWNED')",
    "restart_syscall": "call(219)\nout('PWNED')",
    "gettid": "call(186)\ncall(200, call(186), 0)\nout('PWNED')",
    "sched_yield": "call(24)\ncall(144, 0, 1, b'\\0' * 8)\nout('PWNED')",
    "poll": "p = select.poll()\np.register(99, 1)\nout('PWNED') if p.poll(0) != [(99, select.POLLNVAL)] else os.fork()",
    "ppoll": "call(271, 1, 99, 1, None, 0)\nout('PWNED')",
}


def test_every_call_a_child_may_make_has_an_attempt_to_abuse_it() -> None:
    assert set(ABUSE) == set(seccomp.CHILD_ALLOW)


@pytest.mark.alike
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
@pytest.mark.parametrize("name", ABUSE)
def test_what_is_allowed_wins_nothing(raw: Raw, name: str) -> None:
    said, status = raw.run(PRELUDE + ABUSE[name])
    if said is None:
        assert os.WIFSIGNALED(status) or os.WIFEXITED(status)
    else:
        assert "PWNED" not in str(said["printed"])
        assert said["raised"]
    assert raw.run("out('next')")[0] == {"printed": ["next"], "raised": ""}


def test_when_the_outer_half_of_the_zygote_is_killed_everything_below_it_dies() -> None:
    """The control socket stays open here: only the parent death signal can do it."""
    zygote = a_zygote(65534)
    try:
        zygote.hello()
        child = zygote.fork(FORK, 1, 128)
        try:
            zygote.process.kill()
            for wire in (zygote.control, child.talk):
                wire.settimeout(WAIT_S)
                assert _receive(wire) == b""
        finally:
            child.end()
    finally:
        zygote.stop()
