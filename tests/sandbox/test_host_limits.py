"""What one host keeps and allows is a setting: the age of a zygote, children at one time, children kept ready."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from jobs.settings import Settings
from sandbox.limits import HostLimits, Limits
from tests.sandbox.hosts import ROOT, Host, TableGateway, a_host, alive, descendants, settled, wait_until


def zygotes(host: Host) -> set[int]:
    """The service's own children: the outer halves."""
    found = set()
    for pid in alive(descendants(host.process.pid)):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue  # It has ended since.
        if int(stat.rpartition(")")[2].split()[1]) == host.process.pid:
            found.add(pid)
    return found


@pytest.mark.slow
def test_a_zygote_is_replaced_after_so_many_runs_and_a_run_under_way_ends_well() -> None:
    env = {"DESKHAND_SANDBOX_RECYCLE_RUNS": "20", "DESKHAND_SANDBOX_READY": "1"}
    with a_host(env=env) as host:
        wait_until(lambda: host.sandbox.health().ready)
        first = zygotes(host)
        assert len(first) == 1
        go_on = threading.Event()
        gateway = TableGateway({"crm.find_customer": lambda email: go_on.wait(100) and {"name": "Ann"}})
        printed: list[list[str]] = []
        under_way = threading.Thread(
            target=lambda: printed.append(host.logged('print(crm.find_customer(email="a").name)', gateway))
        )
        under_way.start()
        wait_until(lambda: bool(gateway.calls))
        # The self-test's own children count, too, so it is less than twenty scripts until the next zygote.
        for number in range(20):
            assert host.logged(f"print({number})") == [str(number)]
        wait_until(lambda: bool(zygotes(host) - first))
        assert first <= zygotes(host)  # it waits for the run that it forked
        go_on.set()
        under_way.join(100)
        assert printed == [["Ann"]]
        wait_until(lambda: not first & zygotes(host))
        settled(host, 3)
        assert "sandbox.recycled forks=" in host.log.read_text()


@pytest.mark.slow
def test_a_zygote_is_replaced_when_it_is_old() -> None:
    with a_host(env={"DESKHAND_SANDBOX_RECYCLE_S": "0.5"}) as host:
        wait_until(lambda: host.sandbox.health().ready)
        first = zygotes(host)
        wait_until(lambda: bool(zygotes(host)) and not first & zygotes(host))
        assert host.logged("print('on')") == ["on"]


@pytest.mark.slow
def test_no_more_children_than_allowed_run_at_one_time_and_the_others_wait() -> None:
    with a_host(env={"DESKHAND_SANDBOX_CHILDREN": "2", "DESKHAND_SANDBOX_READY": "1"}) as host:
        inside, most, lock = [0], [0], threading.Lock()

        def slow(email: str) -> dict[str, str]:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            with lock:
                inside[0] -= 1
            return {"name": email}

        gateway = TableGateway({"crm.find_customer": slow})
        done: list[list[str]] = []
        threads = [
            threading.Thread(
                target=lambda: done.append(host.logged('print(crm.find_customer(email="a").name)', gateway))
            )
            for _ in range(6)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join(100)
        assert done == [["a"]] * 6
        assert most[0] <= 2


def test_what_a_script_may_use_is_what_the_settings_say_and_ready_children_fit() -> None:
    env = {"DESKHAND_SCRIPT_MEMORY_MB": "64", "DESKHAND_SCRIPT_CPU_S": "1"}
    with a_host(env=env) as host:
        wait_until(lambda: host.sandbox.health().ready)
        ready = {pid for pid in settled(host) if "Max cpu time              1 " in limits(pid)}
        assert len(ready) == 2
        outcome = host.run("x = 'x' * (90 << 20)", limits=Limits(memory_mb=64, cpu_s=20, wall_s=60))
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.message) == ("MEMORY", "The script needs more than 64 MB")


def limits(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DESKHAND_SANDBOX_RECYCLE_S", "soon", "DESKHAND_SANDBOX_RECYCLE_S must be a number, not 'soon'"),
        ("DESKHAND_SANDBOX_READY", "0", "ready must be more than 0, not 0"),
        ("DESKHAND_SCRIPT_MEMORY_MB", "-1", "The limit memory_mb must be more than 0, not -1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_said_in_one_line(name: str, value: str, says: str) -> None:
    with tempfile.TemporaryDirectory(prefix="dh-sb-") as folder:
        command = [sys.executable, "-m", "sandbox.service", "--socket", f"{folder}/s.sock"]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, name: value}, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 1
        assert ended.stderr.endswith(f"sandbox.cannot_start {says}\n")
        assert not Path(folder, "s.sock").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("allowed", "children", "serves"), [("200:4000", 400, True), ("200:1000", 400, False)])
def test_as_many_files_may_be_open_as_so_many_children_take(allowed: str, children: int, serves: bool) -> None:
    """Run out of them, the service would end in the middle of everybody's runs."""
    soft, hard = map(int, allowed.split(":"))
    set_limit = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
    with tempfile.TemporaryDirectory(prefix="dh-sb-") as folder:
        arguments = ["sandbox.service", "--socket", f"{folder}/s.sock"]
        program = (
            f"{set_limit}import sys; sys.argv = {arguments!r}; runpy.run_module('sandbox.service', run_name='__main__')"
        )
        env = {**os.environ, "DESKHAND_SANDBOX_CHILDREN": str(children)}
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            try:
                if serves:
                    wait_until(Path(folder, "s.sock").exists)
                    [open_files] = re.findall(r"^Max open files +(\d+) +(\d+)", limits(process.pid), re.MULTILINE)
                    assert (int(open_files[0]) >= 3 * children, int(open_files[1])) == (True, hard)
                else:
                    assert process.wait(60) == 1
                    assert "400 scripts at one time need 1526 open files, and this process may have 1000" in (
                        process.stderr.read()
                    )
                    assert not Path(folder, "s.sock").exists()
            finally:
                process.terminate()


def test_the_product_and_the_service_read_the_same_settings_with_the_same_defaults() -> None:
    settings = Settings()
    assert settings.script_limits == Limits()
    assert {f"script_{name}" for name in Limits.__dataclass_fields__} <= set(Settings.model_fields)
    for name in HostLimits.__dataclass_fields__:
        assert getattr(settings, f"sandbox_{name}") == getattr(HostLimits(), name)


def test_a_limit_from_the_environment_reaches_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKHAND_SCRIPT_CALLS", "7")
    monkeypatch.setenv("DESKHAND_SCRIPT_WALL_S", "2.5")
    limits = Settings.from_environ().script_limits
    assert (limits.calls, limits.wall_s, limits.actions) == (7, 2.5, 100)
