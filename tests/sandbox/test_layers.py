"""Each wall by itself: where another one stands behind it, no attack shows that it is gone, so these look at it."""

from __future__ import annotations

import errno
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import seccomp
from sandbox.broker import start_frame
from sandbox.client import Sandbox
from sandbox.contract import RunRequest
from sandbox.ending import EXIT_NO_JAIL
from sandbox.limits import MOST_CPU_S, MOST_MEMORY_MB, Limits
from sandbox.processes import Zygote, _command
from sandbox.zygote import FORK
from tests.sandbox.hosts import (
    API,
    CUSTOMER,
    NOW,
    PATIENT,
    ROOT,
    TICKET,
    Host,
    a_host,
    alive,
    descendants,
    settled,
    wait_until,
)
from tests.sandbox.test_service import WITHOUT

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003


def verdict(program: bytes, arch: int, number: int, *args: int) -> int:
    """What the kernel would answer: the few BPF instructions these programs use, run here."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*args, *[0] * (6 - len(args))))
    code = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    loaded, at = 0, 0
    while True:
        kind, yes, no, value = code[at]
        at += 1
        if kind == 0x06:
            return int(value)
        if kind == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
            continue
        if kind == 0x54:
            loaded &= value
            continue
        true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[kind]
        at += yes if true else no


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["child", "zygote"])
def program(request: pytest.FixtureRequest, machine: str) -> bytes:
    return seccomp.child_program(machine, 3) if request.param == "child" else seccomp.zygote_program(machine)


def call(machine: str, name: str) -> int:
    [number] = seccomp.numbers([name], machine)
    return number


def test_system_calls_of_another_architecture_kill(program: bytes, machine: str) -> None:
    """Their numbers mean other calls: 4 is `write` for i386."""
    for number in range(500):
        assert verdict(program, I386, number) == KILL


def test_a_call_that_is_not_named_kills(program: bytes, machine: str) -> None:
    known = {number for pair in seccomp.NUMBERS.values() for number in pair}
    for number in set(range(600)) - known:
        assert verdict(program, ARCH[machine], number) == KILL


def test_memory_becomes_code_under_no_call(program: bytes, machine: str) -> None:
    for name in ("mmap", "mprotect"):
        assert verdict(program, ARCH[machine], call(machine, name), 0, 4096, 3) == ALLOW
        assert verdict(program, ARCH[machine], call(machine, name), 0, 4096, 4) == KILL
        assert verdict(program, ARCH[machine], call(machine, name), 0, 4096, 7) == KILL


def test_a_child_reads_and_writes_its_own_descriptor_only(machine: str) -> None:
    program = seccomp.child_program(machine, 3)
    for name in ("read", "write"):
        answers = [verdict(program, ARCH[machine], call(machine, name), fd) for fd in range(6)]
        assert answers == [EPERM, EPERM, EPERM, ALLOW, EPERM, EPERM]


def test_no_process_reads_or_waits_for_the_clock_of_another(program: bytes, machine: str) -> None:
    """A clock's number may be made of a process id, and the kernel asks nobody for a permission."""
    others = [2**32 - 8 * pid - 6 for pid in (0, 1, 2, 4_194_304)] + [2**31, 2**32 - 1]
    for name in ("clock_gettime", "clock_nanosleep"):
        assert {verdict(program, ARCH[machine], call(machine, name), clock) for clock in others} == {EPERM}
        assert {verdict(program, ARCH[machine], call(machine, name), clock) for clock in range(32)} == {ALLOW}


def test_a_futex_is_of_one_process_alone(program: bytes, machine: str) -> None:
    """And names no other: a lock that lends its priority holds the process id of its owner."""
    answers = {one: verdict(program, ARCH[machine], call(machine, "futex"), 0, one) for one in range(1024)}
    wait, wake, wait_for_bits, wake_for_bits, private, by_the_wall_clock = 0, 1, 9, 10, 128, 256
    harmless = {private | one for one in (wait, wake, wait_for_bits, wake_for_bits)}
    assert {one for one, answer in answers.items() if answer == ALLOW} == harmless | {
        by_the_wall_clock | one for one in harmless
    }
    assert set(answers.values()) == {ALLOW, EPERM}


def test_memory_is_given_back_and_nothing_else_is_advised(program: bytes, machine: str) -> None:
    answers = {
        advice: verdict(program, ARCH[machine], call(machine, "madvise"), 0, 4096, advice) for advice in range(128)
    }
    assert {advice for advice, answer in answers.items() if answer == ALLOW} == {4, 8}
    assert set(answers.values()) == {ALLOW, EPERM}


@pytest.mark.parametrize("name", ["openat", "socket", "connect", "openat2", "uname", "getdents64"])
def test_what_opens_a_way_out_is_refused_to_both(program: bytes, machine: str, name: str) -> None:
    assert verdict(program, ARCH[machine], call(machine, name)) == EPERM


def test_only_the_zygote_forks_and_nobody_by_clone3(machine: str) -> None:
    child, zygote = seccomp.child_program(machine, 3), seccomp.zygote_program(machine)
    assert verdict(child, ARCH[machine], call(machine, "clone")) == EPERM
    assert verdict(zygote, ARCH[machine], call(machine, "clone")) == ALLOW
    assert [verdict(one, ARCH[machine], call(machine, "clone3")) for one in (child, zygote)] == [ENOSYS, ENOSYS]


HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), "x86_64"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), "aarch64"),  # aarch64 takes its numbers from there
}


def test_the_numbers_of_both_tables_are_the_kernels(machine: str) -> None:
    """aarch64's table cannot be run here; it is compared with the kernel's own list and decoded above."""
    file, column = HEADERS[machine]
    if not file.exists():
        pytest.skip(f"{file} is not installed (linux-libc-dev)")
    listed = {
        name: int(number)
        for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", file.read_text(), re.M)
    }
    if machine == "aarch64":
        listed["newfstatat"] = listed["fstatat"]
    at = ("x86_64", "aarch64").index(column)
    ours = {name: pair[at] for name, pair in seccomp.NUMBERS.items()}
    assert {name: number for name, number in ours.items() if number is not None and listed[name] != number} == {}
    only_old = {name for name, number in ours.items() if number is None}
    assert only_old & listed.keys() == set()


# The processes of a running service ----------------------------------------------------------------------------------


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def idle(host: Host) -> list[int]:
    """The zygote's two halves and two children in waiting, once nothing else is there."""
    return sorted(settled(host))


def children(host: Host) -> list[int]:
    """The children in waiting."""
    parents = {pid: int(status_of(pid)["PPid"]) for pid in idle(host)}
    [zygote] = [pid for pid, parent in parents.items() if parents.get(parent) == host.process.pid]
    found = [pid for pid, parent in parents.items() if parent == zygote]
    assert len(found) == 2
    return found


def test_the_zygote_and_each_child_stand_behind_a_filter_of_their_own(host: Host) -> None:
    """The outer half has none: it neither forks nor hears anybody."""
    assert sorted(int(status_of(pid)["Seccomp_filters"]) for pid in idle(host)) == [0, 1, 2, 2]


def test_nobody_below_the_service_has_a_second_thread(host: Host) -> None:
    """`jail.fork` relies on it: a lock that another thread held would stay locked in the child for good."""
    host.run('crm.find_customer(email="a")')
    assert {status_of(pid)["Threads"].strip() for pid in idle(host)} == {"1"}


def test_nobody_below_the_service_holds_a_capability(host: Host) -> None:
    """A user namespace of one's own would hand out all of them, and with them every mistake of the kernel there."""
    [zygote, *_] = {int(status_of(pid)["PPid"]) for pid in children(host)}
    for pid in (zygote, *children(host)):
        held = {name: status_of(pid)[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
        assert set(held.values()) == {"0" * 16}, held


def test_nobody_of_the_same_user_may_look_into_them(host: Host) -> None:
    for pid in idle(host):
        uid = int(status_of(pid)["Uid"].split()[0])
        assert uid != 0
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0


def test_no_child_has_memory_in_common_with_another_that_it_may_write_to(host: Host) -> None:
    """Pages of the zygote are copied before they are changed; a shared mapping would not be."""
    try:
        seen = [Path(f"/proc/{pid}/maps").read_text().splitlines() for pid in children(host)]
    except PermissionError:
        pytest.skip("only root may look at their memory; the attack with the same aim runs for everybody")
    for lines in seen:
        assert len(lines) > 50
        assert [line for line in lines if line.split()[1][1] == "w" and line.split()[1][3] == "s"] == []


@pytest.mark.parametrize(
    ("name", "soft", "hard"),
    [
        ("Max cpu time", str(PATIENT.cpu_s), str(PATIENT.cpu_s + 1)),
        ("Max file size", "0", "0"),
        ("Max open files", "8", "8"),
        ("Max core file size", "0", "0"),
        ("Max processes", "0", "0"),
        ("Max stack size", "8388608", "8388608"),
        ("Max locked memory", "0", "0"),
        ("Max msgqueue size", "0", "0"),
    ],
)
def test_a_childs_limits_are_the_kernels_own(host: Host, name: str, soft: str, hard: str) -> None:
    for pid in children(host):
        [line] = [one for one in Path(f"/proc/{pid}/limits").read_text().splitlines() if one.startswith(name)]
        assert line.removeprefix(name).split()[:2] == [soft, hard]


def test_a_childs_memory_is_what_the_zygote_has_and_its_limit(host: Host) -> None:
    for pid in children(host):
        [line] = re.findall(r"^Max address space +(\d+) +(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
        soft, hard = map(int, line)
        assert soft == hard
        assert soft - int(status_of(pid)["VmSize"].split()[0]) * 1024 <= Limits().memory_mb * 1024 * 1024


@pytest.mark.slow
def test_a_child_dies_with_its_zygote_also_without_a_pid_namespace() -> None:
    """In a namespace the kernel ends everybody with the first process; containers often forbid namespaces."""
    with a_host(command=[sys.executable, WITHOUT, "namespaces"]) as host:
        wait_until(lambda: host.sandbox.health().ready)
        # Longer than the test looks: it is not the CPU limit that ends it.
        limits = Limits(cpu_s=MOST_CPU_S, wall_s=100)
        running = threading.Thread(target=lambda: host.run("while True:\n    pass\n", limits=limits))
        ready = children(host)
        running.start()
        wait_until(lambda: host.sandbox.health().runs == 1)
        zygote = int(status_of(ready[0])["PPid"])
        wait_until(lambda: len(alive(descendants(zygote))) == 3)
        of_zygote = alive(descendants(zygote))
        os.kill(zygote, signal.SIGKILL)
        wait_until(lambda: not alive(of_zygote), MOST_CPU_S / 2)
        running.join(60)
        assert not running.is_alive()


@pytest.mark.parametrize(("gone", "said"), [(False, "0 read"), (True, f"{EXIT_NO_JAIL} nothing")])
def test_a_child_whose_zygote_is_gone_by_the_time_it_asks_to_die_with_it_reads_nothing(gone: bool, said: str) -> None:
    """Another parent than the one that forked it: the zygote died in between, and nobody would end the child."""
    program = (
        "import os, socket\nfrom sandbox import jail, seccomp, zygote\n"
        "ours, childs = socket.socketpair()\nours.send(b'x')\njail.no_new_privs()\n"
        "walls = jail.Program(seccomp.child_program(seccomp.arch(), zygote.CHILD_FD))\nme = os.getpid()\n"
        "if os.fork() == 0:\n"
        f"    zygote._become_child(childs.fileno(), me + {int(gone)},"
        " jail.bounds_of_child(jail.address_space_bytes(), 128, 2), walls, lambda fd: os.write(fd, os.read(fd, 1)))\n"
        "childs.close()\n_, status = os.wait()\n"
        "try:\n    heard = ours.recv(1)\nexcept ConnectionResetError:\n    heard = b''\n"
        "print(os.waitstatus_to_exitcode(status), 'read' if heard == b'x' else 'nothing')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == said, done.stderr


def test_the_zygote_gives_no_child_more_than_the_machine_allows() -> None:
    """Whatever the service asks for."""
    zygote = Zygote()
    try:
        zygote.hello()
        child = zygote.fork(FORK, 4_000, 1_000_000)
        [pid] = [
            int(line.split()[1])
            for line in Path(f"/proc/self/fdinfo/{child.pidfd}").read_text().splitlines()
            if line.startswith("Pid:")
        ]
        wait_until(lambda: status_of(pid)["Seccomp_filters"] == "2")  # its last wall
        limits = Path(f"/proc/{pid}/limits").read_text()
        [space] = re.findall(r"^Max address space +(\d+)", limits, re.MULTILINE)
        assert int(space) - int(status_of(pid)["VmSize"].split()[0]) * 1024 <= MOST_MEMORY_MB * 1024 * 1024
        assert re.search(rf"^Max cpu time +{MOST_CPU_S} +{MOST_CPU_S + 1} ", limits, re.MULTILINE)
        child.end()
    finally:
        zygote.stop()


def test_a_child_that_computes_ends_when_its_caller_lets_go(host: Host) -> None:
    """It reads nothing, so it does not notice by itself."""
    # Longer than the test looks, here too.
    limits = Limits(cpu_s=MOST_CPU_S, wall_s=100)
    lease = Sandbox(host.path, limits)._lease()
    request = RunRequest("while True:\n    pass\n", API, ticket=TICKET, customer=CUSTOMER, now=NOW)
    lease.talk.sendall(start_frame("run", request, limits))
    lines = Path(f"/proc/self/fdinfo/{lease.pidfd}").read_text().splitlines()
    [pid] = [int(line.split()[1]) for line in lines if line.startswith("Pid:")]
    wait_until(lambda: _cpu_ticks(pid) > 5)
    lease.close()
    wait_until(lambda: not alive({pid}), MOST_CPU_S / 2)


def _cpu_ticks(pid: int) -> int:
    """What it has computed so far, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


# What a zygote says about how it was started -------------------------------------------------------------------------


def started(command: Callable[[int], list[str]]) -> dict[str, str]:
    zygote = Zygote(command)
    try:
        return zygote.hello()
    finally:
        zygote.stop()


def _by_shell(redirected: str, fd: int) -> list[str]:
    """The zygote's command with one more redirection; the shell's own variable is taken away again."""
    return ["/bin/sh", "-c", f'exec /usr/bin/env -u PWD "$@" {redirected}', "sh", *_command(fd)]


def test_a_zygote_with_an_environment_says_so() -> None:
    layers = started(lambda fd: ["/usr/bin/env", "SECRET_OF_THE_HOST=hunter2", *_command(fd)])
    assert layers["fresh exec"] == "fresh exec: the environment holds SECRET_OF_THE_HOST"


def test_a_zygote_with_a_descriptor_of_others_says_so() -> None:
    layers = started(lambda fd: _by_shell("9</dev/null", fd))
    assert layers["fresh exec"] == "fresh exec: the descriptors [0, 1, 2, 3, 9] are open"


def test_a_zygote_with_a_standard_stream_of_others_says_so(tmp_path: Path) -> None:
    layers = started(lambda fd: _by_shell(f"2>{tmp_path}/log", fd))
    assert layers["fresh exec"] == "fresh exec: a standard stream is not /dev/null"


def test_a_zygote_that_hashes_at_random_says_so() -> None:
    layers = started(lambda fd: ["/usr/bin/env", "PYTHONHASHSEED=random", *_command(fd)])
    assert layers["fresh exec"] == "fresh exec: hashes are random, so two runs of one script may differ"
