"""The whole product, started by ./run in a folder of its own, as a newcomer starts it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from tests.environment.ports import free_port
from tests.environment.test_supervise import descendants, parents, wait_until
from tests.environment.together import only_one

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FIRST_START_S = 400
#: Until it has ended after a signal; it kills after thirteen what does not end by itself.
STOP_S = 60
#: Of the processor, on all cores together: a later start installs, migrates and loads nothing.
LATER_START_CPU_S = 20
SIGN_IN = re.compile(r"^Sign in to the demo desk.*@.*^Password: \S+$", re.MULTILINE | re.DOTALL)
PROGRAMS = {"redis", "sandbox", "web", "drain", "scripts", "enrichment", "outbox", "clock"}


def cpu_s(pids: set[int]) -> float:
    """Processor seconds these processes and those they have buried have used: a busy machine does not change them."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


class Desk:
    """One `./run` of a checkout, its output so far, and the pages behind it. `given` stands in its environment, and it
    is started as `user`, or as who runs the tests."""

    def __init__(
        self,
        data: Path,
        *args: str,
        checkout: Path = ROOT,
        user: int | None = None,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.port = free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")}
        env |= {"DESKHAND_PORT": str(self.port), "DESKHAND_DATA_DIR": str(data), **(given or {})}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [checkout / "run", *args],
            env=env,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            preexec_fn=die_with_parent,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_ready(self, *, deadline_s: float) -> float:
        """Seconds from the start until it said that it is ready."""

        def ready_or_ended() -> bool:
            # The last line: how to sign in comes between.
            said = "Deskhand is ready" in self.output and "Ctrl-C stops everything." in self.output
            return said or self.process.poll() is not None

        wait_until(ready_or_ended, f"ready:\n{self.output}", deadline_s=deadline_s)
        assert self.process.poll() is None, self.output
        return time.monotonic() - self.began

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=STOP_S)
        self._reader.join(timeout=STOP_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(timeout=STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@contextlib.contextmanager
def alone(factory: pytest.TempPathFactory) -> Iterator[None]:
    """One worker of this test run at a time starts whole desks: two first starts at once would choose the same ports
    for their back offices, and each keeps every core busy anyway."""
    base = factory.getbasetemp()
    with only_one((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole-desk.lock"):
        yield


@pytest.fixture
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Desk]]:
    started: list[Desk] = []
    with alone(tmp_path_factory):
        yield started
        for desk in started:
            desk.end()


def test_an_empty_desk_starts_serves_restarts_and_stops_and_when_killed_leaves_no_process(
    data: Path, desks: list[Desk]
) -> None:
    desk = Desk(data, "--empty")
    desks.append(desk)
    desk.wait_until_ready(deadline_s=FIRST_START_S)
    assert f"http://127.0.0.1:{desk.port}" in desk.output
    assert desk.get("/readyz") == 200
    assert {path.stem for path in (data / "logs").glob("*.log")} == PROGRAMS | {"migrate", "defaults"}
    assert (data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700

    # A worker killed in the middle of it comes back, and the desk stays up.
    family = descendants(desk.process.pid)
    drain = next(pid for pid in family if b"jobs.worker\0drain" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(drain, signal.SIGKILL)
    wait_until(lambda: "drain ended (killed by SIGKILL) and is started again in 0.5 s." in desk.output, "said")
    assert desk.get("/readyz") == 200

    family = descendants(desk.process.pid)
    desk.stop(signal.SIGINT)
    assert desk.process.returncode == 0, desk.output
    assert family & set(parents()) == set()
    assert desk.output.rstrip().endswith("Stopped.")

    again = Desk(data)
    desks.append(again)
    again.wait_until_ready(deadline_s=FIRST_START_S)
    used = cpu_s({again.process.pid, *descendants(again.process.pid)})
    print(f"a later start took {used:.1f} s of the processor")
    assert 0 < used < LATER_START_CPU_S
    assert not re.search(r"Installing|Making|Building|Loading", again.output), again.output
    # It stays the kind of desk it was.
    assert not (data / "logs" / "demo.log").exists()

    # Killed, it takes everything with it, and starts again.
    family = descendants(again.process.pid)
    assert len(family) >= len(PROGRAMS)
    again.process.kill()
    again.process.wait()
    wait_until(lambda: not family & set(parents()), "all gone")
    third = Desk(data)
    desks.append(third)
    third.wait_until_ready(deadline_s=FIRST_START_S)
    assert third.get("/readyz") == 200
    third.stop()
    assert third.process.returncode == 0, third.output


def test_a_first_start_that_was_cut_short_begins_anew_and_says_how_to_sign_in(data: Path, desks: list[Desk]) -> None:
    """A first start that nobody cuts short is tests/browser/test_demo_desk.py's."""
    first = Desk(data)
    desks.append(first)

    def half_loaded() -> bool:
        return "tickets" in (data / "logs" / "demo.log").read_text() if (data / "logs" / "demo.log").exists() else False

    wait_until(half_loaded, f"loading:\n{first.output}", deadline_s=FIRST_START_S)
    first.process.kill()
    first.process.wait()
    again = Desk(data)
    desks.append(again)
    again.wait_until_ready(deadline_s=FIRST_START_S)
    assert "Clearing a demo desk that was loaded half" in again.output
    assert SIGN_IN.search(again.output), again.output
    assert (data / "logs" / "backoffice.log").exists()
    assert "backoffice ended" not in again.output
    again.stop()
    assert again.process.returncode == 0
