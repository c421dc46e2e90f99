"""The host service: what stands, what is missing, what dies with whom, and what comes back by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from sandbox.contract import Outcome
from sandbox.limits import Limits
from tests.environment.nobody import NOBODY, THIS_VERSION, python_for
from tests.sandbox.hosts import API, ROOT, Host, TableGateway, a_host, alive, descendants, settled, wait_until

WITHOUT = str(Path(__file__).with_name("without.py"))


def test_all_required_layers_stand_and_are_named(host: Host) -> None:
    health = host.sandbox.health()
    assert (health.ready, health.reason, health.pid) == (True, "", host.process.pid)
    assert {name for name, layer in health.layers.items() if layer.required} == {
        "fresh exec",
        "rlimits",
        "no new privileges",
        "seccomp",
    }
    assert all(layer.up for layer in health.layers.values() if layer.required)


def test_the_socket_is_closed_to_others(host: Host) -> None:
    assert stat.S_IMODE(host.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.path.parent.stat().st_mode) == 0o700


@pytest.mark.slow
def test_another_user_is_hung_up_on_even_where_the_files_would_let_him_in() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be another user")
    with a_host() as host:
        wait_until(lambda: host.sandbox.health().ready)
        host.path.parent.chmod(0o777)
        host.path.chmod(0o777)
        program = (
            "import socket, sys\nsock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "sock.connect(sys.argv[1])\n"
            'try:\n    sock.send(b\'{"t": "health"}\')\n    print(sock.recv(100))\n'
            "except OSError as error:\n    print(error)\n"
        )
        python = _python_for_nobody()
        said = subprocess.run(
            [python, "-c", program, str(host.path)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd="/",
            check=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=(),
        )
        assert "ready" not in said.stdout
        assert f"sandbox.stranger uid={NOBODY}" in host.log.read_text()


def test_the_zygote_has_no_environment_no_files_and_no_root(host: Host) -> None:
    for pid in settled(host):
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["NoNewPrivs"] == "1"
        assert "0" not in fields["Uid"].split()
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            fds = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()}
        except OSError:
            continue  # hidden even from its own user; root sees it
        assert b"hunter2" not in environ
        if descendants(pid):
            fds.discard("anon_inode:[pidfd]")  # of its children, to see their end; they themselves hold none
        assert {one.partition(":")[0] for one in fds} <= {"/dev/null", "socket", "pipe"}


@pytest.mark.parametrize(
    ("missing", "refuses", "layer"),
    [
        ("landlock", False, "landlock"),
        pytest.param("namespaces", False, "namespaces", marks=pytest.mark.slow),
        pytest.param("capabilities", False, "no capabilities", marks=pytest.mark.slow),
        pytest.param("landlock,namespaces", False, "landlock", marks=pytest.mark.slow),
        ("seccomp", True, "seccomp"),
        pytest.param("no_new_privs", True, "no new privileges", marks=pytest.mark.slow),
        pytest.param("rlimits", True, "rlimits", marks=pytest.mark.slow),
    ],
)
def test_a_missing_layer_is_named_and_a_required_one_refuses_scripts(missing: str, refuses: bool, layer: str) -> None:
    with a_host(command=[sys.executable, WITHOUT, missing]) as host:
        wait_until(lambda: host.sandbox.health().reason != "The zygote is starting")
        health = host.sandbox.health()
        assert health.ready is not refuses
        outcome = host.run('print("ran")')
        checked = host.sandbox.check("x = 1", API)
        if refuses:
            assert layer.partition(" ")[0] in health.reason
            assert (outcome.status, outcome.log) == ("unavailable", ())
            assert outcome.error is not None
            assert outcome.error.code == "SANDBOX_UNAVAILABLE"
            assert checked.problems[0].code == "SANDBOX_UNAVAILABLE"
        else:
            assert not health.layers[layer].up
            assert health.layers[layer].reason.startswith(layer)
            assert [line.text for line in outcome.log] == ["ran"]
            assert checked.problems == ()
            assert f"sandbox.layer_missing layer={layer}" in host.log.read_text()


@pytest.mark.slow
def test_an_ordinary_user_has_the_same_jail() -> None:
    """Root drops to nobody here; elsewhere every other test is this test."""
    if os.geteuid() != 0:
        pytest.skip("already an ordinary user")
    python = _python_for_nobody()
    path = os.pathsep.join([str(ROOT), *[one for one in sys.path if one.endswith("site-packages")]])
    with a_host(command=[python], user=NOBODY, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}) as host:
        health = host.sandbox.health()
        assert health.ready, health.reason
        assert {name: layer.reason for name, layer in health.layers.items() if not layer.up} == {}
        outcome = host.run('ticket.add_note(f"{crm.find_customer(email=1 and ticket.customer.email)}")')
        assert outcome.status == "finished", outcome.error
        assert outcome.actions[0].params == {"text": "None"}


def test_a_killed_zygote_comes_back(host: Host) -> None:
    before = descendants(host.process.pid)
    for pid in before:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.sandbox.health().ready and not alive(before))
    assert host.logged('print("back")') == ["back"]
    assert "sandbox.down" in host.log.read_text()


def test_a_run_whose_child_is_killed_from_outside_is_lost(host: Host) -> None:
    def kill(email: str) -> None:
        for pid in descendants(host.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    outcome = host.run(
        'ticket.add_note("x")\ncrm.find_customer(email="a")\n', TableGateway({"crm.find_customer": kill})
    )
    assert (outcome.status, outcome.actions) == ("lost", ())
    wait_until(lambda: host.sandbox.health().ready)


def test_the_child_dies_with_its_caller(host: Host) -> None:
    """A worker that is killed in the middle of a run leaves nothing running."""
    idle = len(settled(host))  # the zygote's two halves and two children in waiting
    program = (
        "import sys\nfrom tests.sandbox.hosts import *\nfrom sandbox.limits import Limits\n"
        "class Slow:\n    def call(self, *a, **k):\n        print('in call', flush=True)\n        time.sleep(30)\n"
        f"Sandbox({str(host.path)!r}, Limits(wall_s=60, "
        f"cpu_s=50)).run(RunRequest('crm.find_customer(email=\"a\")\\n', API), Slow())\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    assert caller.stdout.readline() == "in call\n"
    wait_until(lambda: len(alive(descendants(host.process.pid))) > idle)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    wait_until(lambda: len(alive(descendants(host.process.pid))) == idle)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_nothing_outlives_the_service(number: int) -> None:
    with a_host() as host:
        outcomes: list[Outcome] = []
        running = threading.Thread(
            target=lambda: outcomes.append(host.run("while True:\n    pass\n", limits=Limits(cpu_s=60, wall_s=100)))
        )
        running.start()
        wait_until(lambda: host.sandbox.health().runs == 1)
        everybody = host.processes()
        assert len(everybody) >= 4
        host.process.send_signal(number)
        assert host.process.wait(60) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        wait_until(lambda: not alive(everybody))
        running.join(60)
        assert outcomes[0].status == "lost"
        assert host.path.exists() is (number == signal.SIGKILL)


@pytest.mark.slow
def test_a_socket_left_behind_is_replaced_and_a_live_one_is_not() -> None:
    folder = Path(tempfile.mkdtemp(prefix="dh-sb-"))
    path = folder / "s.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
            left.bind(str(path))
        command = [sys.executable, "-m", "sandbox.service", "--socket", str(path)]
        first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        host = Host(path, first, folder)
        try:
            wait_until(lambda: host.sandbox.health().ready)
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert second.returncode == 1
            assert "answers on" in second.stderr
            assert host.logged("print(1)") == ["1"]
        finally:
            first.terminate()
            first.communicate(timeout=60)
    finally:
        shutil.rmtree(folder)


def test_a_folder_open_to_others_is_refused() -> None:
    folder = Path(tempfile.mkdtemp(prefix="dh-sb-"))
    folder.chmod(0o755)
    try:
        command = [sys.executable, "-m", "sandbox.service", "--socket", str(folder / "s.sock")]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert "chmod 700" in ended.stderr
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"x",
        b"[]",
        b"[" * 4000,
        b'{"t":"exec"}',
        b'{"t":"lease"}',
        b'{"t":"lease","cpu_s":"x","memory_mb":1}',
        b'{"t":"lease","cpu_s":1e999,"memory_mb":1}',
        b'{"t":"lease","cpu_s":1,"memory_mb":NaN}',
        b"x" * 9000,
    ],
)
def test_a_caller_that_talks_nonsense_is_hung_up_on(host: Host, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(host.path))
        sock.settimeout(60)
        sock.send(said)
        assert sock.recv(100) == b""
    assert host.logged("print(1)") == ["1"]


@pytest.mark.slow
def test_more_callers_than_children_wait_their_turn(host: Host) -> None:
    outcomes: list[Outcome] = []

    def run() -> None:
        outcomes.append(
            host.run('crm.find_customer(email="a")\nprint("done")\n', TableGateway({"crm.find_customer": _slow}))
        )

    threads = [threading.Thread(target=run) for _ in range(40)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(100)
    assert [one.status for one in outcomes] == ["finished"] * 40


@pytest.mark.slow
@pytest.mark.parametrize("runs", [100, 1_000])
def test_many_runs_leave_descriptors_memory_and_processes_flat(host: Host, runs: int) -> None:
    """Good ones, failing ones, refused ones, ones from kept code, ones that ask, and ones that are killed."""

    def pages(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])

    def size() -> tuple[int, int]:
        pid = host.process.pid
        return len(list(Path(f"/proc/{pid}/fd").iterdir())), len(alive(descendants(pid)))

    def zygote() -> int:
        """The one that forks: parent of the children in waiting."""
        parents = [int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in settled(host)]
        return max(set(parents), key=parents.count)

    def held(pid: int) -> int:
        """Its descriptors, where we may look."""
        with contextlib.suppress(PermissionError):
            return len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return 0

    code = host.sandbox.compiled("print(1)\n")
    assert code
    gateway = TableGateway({"crm.find_customer": {"id": 1}})

    def some(number: int) -> None:
        match number % 5:
            case 0:
                assert host.run("print(1)\n", code=code).status == "finished"
            case 1:
                assert host.run("1 / 0\n").status == "failed"
            case 2:
                assert host.run("import os\n").status == "refused"
            case 3:
                assert host.run('crm.find_customer(email="a")\n', gateway).status == "finished"
            case _:
                ended = host.run("while True:\n    pass\n", limits=Limits(wall_s=0.01), gateway=gateway)
                assert ended.status == "limit"

    settled(host)
    for number in range(40):
        some(number)
    settled(host)
    fds, processes = size()
    forker = zygote()
    forkers, forkers_fds = pages(forker), held(forker)
    memory, ours, own = pages(host.process.pid), len(os.listdir("/proc/self/fd")), pages(os.getpid())
    for number in range(runs):
        some(number)
    wait_until(lambda: size() == (fds, processes))
    assert pages(host.process.pid) - memory < 200
    assert zygote() == forker
    assert pages(forker) - forkers < 20
    assert held(forker) == forkers_fds
    assert len(os.listdir("/proc/self/fd")) == ours
    assert pages(os.getpid()) - own < 2_000


def _slow(email: str) -> None:
    time.sleep(0.05)


def _python_for_nobody() -> str:
    """This interpreter if nobody may run it, else the system's of the same version."""
    found = python_for(NOBODY, "ctypes")
    if found is None:
        pytest.skip(f"no Python {THIS_VERSION} that the user nobody may run")
    return found
