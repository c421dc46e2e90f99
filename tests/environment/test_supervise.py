"""./run keeps its programs up and leaves none behind: tried with real processes and real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from run_tool.places import ROOT
from run_tool.supervise import PAUSE_FIRST_S, PAUSE_MOST_S

#: Seconds until something has to be so: a second where the machine is ours alone.
DEADLINE_S = 60

SUPERVISE = """
import json, sys
from pathlib import Path
from run_tool.errors import CannotGoOn, Interrupted
from run_tool import supervise
from run_tool.supervise import Program, Supervisor
for flag in sys.argv[4:]:
    name, _, value = flag.partition("=")
    if value:
        assert hasattr(supervise, name)
        setattr(supervise, name, float(value))
logs, programs, once = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
with Supervisor({"PATH": "/usr/bin:/bin"}, logs) as supervisor:
    try:
        for name, source in programs.items():
            supervisor.start(Program(name, (sys.executable, "-u", "-c", source), stops_last=name == "last"))
        for name, source in once.items():
            supervisor.run_once(Program(name, (sys.executable, "-u", "-c", source)), timeout_s=60)
        if "--starting" in sys.argv:
            supervisor.wait_for(lambda: False, deadline_s=100)
        supervisor.keep_up()
    except Interrupted:
        print("interrupted", flush=True)
    except CannotGoOn as error:
        print(error, flush=True)
print("left", flush=True)
"""
SLEEPS = "import time; print('up'); time.sleep(300)"
#: A child that says who it is, leaves a grandchild in a session of its own, and lives on.
WITH_GRANDCHILD = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("up", flush=True)
time.sleep(300)
"""

Supervised = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Starts a supervisor of some programs in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(programs: dict[str, str], *flags: str, once: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, tmp_path, json.dumps(programs), json.dumps(once or {}), *flags],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def log(tmp_path: Path, name: str) -> str:
    try:
        return (tmp_path / f"{name}.log").read_text()
    except FileNotFoundError:  # not begun yet, or just put aside
        return ""


def wait_until(fact: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not fact():
        assert time.monotonic() < until, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


def parents() -> dict[int, int]:
    """Each process on this machine and its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    tree, found, last = parents(), set[int](), {pid}
    while last:
        last = {child for child, parent in tree.items() if parent in last}
        found |= last
    return found


def test_sigterm_stops_everything_and_leaves_no_process(supervised: Supervised, tmp_path: Path) -> None:
    supervisor = supervised({"one": SLEEPS, "two": WITH_GRANDCHILD, "last": SLEEPS})
    wait_until(lambda: all("up" in log(tmp_path, name) for name in ("one", "two", "last")), "all three up")
    wait_until(lambda: len(descendants(supervisor.pid)) == 4, "the grandchild")
    family = descendants(supervisor.pid)
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert output.split() == ["interrupted", "left"]
    assert family & set(parents()) == set()


def test_a_killed_supervisor_takes_its_children_along(supervised: Supervised, tmp_path: Path) -> None:
    supervisor = supervised({"one": SLEEPS, "two": SLEEPS})
    wait_until(lambda: all("up" in log(tmp_path, name) for name in ("one", "two")), "both up")
    family = descendants(supervisor.pid)
    assert len(family) == 2
    supervisor.kill()
    wait_until(lambda: not family & set(parents()), "the children gone")


@pytest.mark.slow
def test_what_a_dead_program_left_behind_is_killed(supervised: Supervised, tmp_path: Path) -> None:
    supervisor = supervised({"two": WITH_GRANDCHILD})
    wait_until(lambda: len(descendants(supervisor.pid)) == 2, "child and grandchild")
    before = descendants(supervisor.pid)
    child = next(pid for pid, parent in parents().items() if parent == supervisor.pid)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not before & set(parents()), "both gone")
    wait_until(lambda: len(descendants(supervisor.pid)) == 2, "a new child with a new grandchild")
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert "two ended (killed by SIGKILL) and is started again in 0.5 s." in output


def pauses(said: str, name: str) -> list[float]:
    """After how many seconds it was started again each time it had ended."""
    return [float(one) for one in re.findall(rf"{name} ended \(exit 3\) and is started again in ([\d.]+) s", said)]


@pytest.mark.slow
def test_the_pause_before_a_restart_doubles_up_to_its_bound_and_the_others_go_on(
    supervised: Supervised, tmp_path: Path
) -> None:
    """The pauses are an eighth of the real ones here; nothing else is other."""
    dies = "import sys; print('born'); sys.exit(3)"
    flags = ("PAUSE_FIRST_S=0.0625", "PAUSE_MOST_S=0.5")
    supervisor = supervised({"one": SLEEPS, "dies": dies}, *flags)
    wait_until(lambda: log(tmp_path, "dies").count("born") == 7, "six restarts")
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert pauses(output, "dies")[:6] == [0.0625, 0.125, 0.25, 0.5, 0.5, 0.5]
    assert log(tmp_path, "one").count("up") == 1


def test_the_real_pauses_are_those_that_the_page_names() -> None:
    found = [min(PAUSE_FIRST_S * 2**deaths, PAUSE_MOST_S) for deaths in range(8)]
    assert found == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert "started again after 0.5 s, then 1,\n2, 4 ... at most 30 s" in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.slow
def test_a_program_that_lived_long_enough_begins_with_the_first_pause_again(
    supervised: Supervised, tmp_path: Path
) -> None:
    """It dies twice at once, and then after it has been sound."""
    lives = f"""
import sys, time
from pathlib import Path
print("born", flush=True)
counter = Path({str(tmp_path / "counter")!r})
number = len(counter.read_text()) if counter.exists() else 0
counter.write_text("x" * (number + 1))
if number == 2:
    time.sleep(8)
sys.exit(3)
"""
    flags = ("PAUSE_FIRST_S=0.0625", "PAUSE_MOST_S=0.5", "SOUND_S=6")
    supervisor = supervised({"lives": lives}, *flags)
    wait_until(lambda: log(tmp_path, "lives").count("born") >= 5, "four restarts")
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert pauses(output, "lives")[:4] == [0.0625, 0.125, 0.0625, 0.125]


@pytest.mark.slow
def test_a_program_that_keeps_dying_ends_the_start_with_its_last_words(supervised: Supervised, tmp_path: Path) -> None:
    dies = "import sys; print('no such table: tickets'); sys.exit(3)"
    supervisor = supervised({"one": SLEEPS, "dies": dies}, "--starting")
    output, _ = supervisor.communicate(timeout=100)
    assert "dies does not start: it ended 4 times (exit 3).\n    no such table: tickets" in output
    assert output.rstrip().endswith("left")
    assert log(tmp_path, "dies").count("no such table") == 4


def test_a_program_that_ignores_sigterm_is_killed_at_the_second_signal(supervised: Supervised, tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(300)"
    # The first signal alone would take longer than the test looks.
    supervisor = supervised({"deaf": deaf}, f"STOP_DEADLINE_S={2 * DEADLINE_S}")
    wait_until(lambda: "up" in log(tmp_path, "deaf"), "up")
    family = descendants(supervisor.pid)
    supervisor.terminate()
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "interrupted\n"
    assert supervisor.poll() is None
    supervisor.send_signal(signal.SIGINT)
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert "deaf did not stop" in output
    assert family & set(parents()) == set()


def test_work_that_ends_badly_says_so_and_stops_the_rest(supervised: Supervised, tmp_path: Path) -> None:
    supervisor = supervised({"one": SLEEPS}, once={"migrate": "import sys; print('disk is full'); sys.exit(1)"})
    output, _ = supervisor.communicate(timeout=DEADLINE_S)
    assert output == "migrate failed (exit 1).\n    disk is full\nleft\n"


def test_work_that_ends_well_lets_the_others_go_on(supervised: Supervised, tmp_path: Path) -> None:
    supervisor = supervised({"one": SLEEPS}, once={"migrate": "import time; time.sleep(0.5); print('done')"})
    wait_until(lambda: "done" in log(tmp_path, "migrate"), "the work done")
    wait_until(lambda: len(descendants(supervisor.pid)) == 1, "one alone")
    supervisor.terminate()
    assert supervisor.communicate(timeout=DEADLINE_S)[0].split() == ["interrupted", "left"]


def test_a_log_has_an_end(supervised: Supervised, tmp_path: Path) -> None:
    talks = "import time\nfor _ in range(120): print('x' * 100_000)\nprint('last words')\ntime.sleep(300)"
    supervised({"talks": talks})
    wait_until(lambda: "last words" in log(tmp_path, "talks"), "all of it written")
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("talks*")}
    assert set(sizes) == {"talks.log", "talks.log.1"}
    assert max(sizes.values()) <= 5_000_000


def test_a_command_on_the_terminal_leaves_no_process_either(tmp_path: Path) -> None:
    leaves = WITH_GRANDCHILD.replace("time.sleep(300)\n", "sys.exit(7)\n") + "\n"
    openly = f"""
import os, sys
from run_tool.commands import children_of_this_process, openly
print(openly([sys.executable, "-c", {leaves!r}]), children_of_this_process())
"""
    done = subprocess.run([sys.executable, "-c", openly], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.stdout.split("\n")[-2] == "7 set()", done
