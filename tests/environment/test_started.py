"""What is forked instead of started is a process of its own like one that was started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from run_tool.places import ROOT
from tests.environment.started import Started, Starter
from tests.jobs.workers import until

ITSELF = "tests.environment.itself"
#: Seconds until something has ended, on a busy machine.
END_S = 60


@pytest.fixture(params=[False, True], ids=["interrupted", "in the background"])
def starter(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """One of our own, for whom Ctrl-C is what it usually is, or ignored as a shell does for what runs behind it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if request.param else signal.default_int_handler)
    made = Starter()
    try:
        yield made
    finally:
        made.close()
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_forked_process_finds_itself_to_be_what_a_started_one_does(starter: Starter) -> None:
    environ = {**os.environ, "TZ": "Asia/Tokyo", "DESKHAND_ONE_MORE": "given"}
    command = [sys.executable, "-m", ITSELF, "raise"]
    other = subprocess.run(command, cwd=ROOT, env=environ, input=b"a word", capture_output=True, timeout=END_S)
    with starter.start(ITSELF, "raise", environ=environ, keep=True, told="a word") as forked:
        said, complained = forked.communicate(timeout=END_S)
    assert (forked.returncode, complained) == (other.returncode, other.stderr) == (1, b"It ends like this.\n")
    assert json.loads(said) == json.loads(other.stdout)
    assert forked.pid != os.getpid()


def _state(pid: int) -> str:
    """How this process stands, as the kernel calls it: Z is one that nobody has buried yet, and nothing is none."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def _waiting(starter: Starter) -> Started:
    return starter.start(ITSELF, "wait", environ=os.environ, keep=True)


@pytest.mark.slow
def test_a_forked_process_can_be_waited_for_stopped_and_killed_and_goes_with_the_one_that_forked_it() -> None:
    starter = Starter()
    try:
        with _waiting(starter) as killed, _waiting(starter) as asked:
            with pytest.raises(subprocess.TimeoutExpired):
                killed.wait(0.1)
            assert killed.poll() is None
            killed.kill()
            assert (killed.wait(END_S), killed.poll()) == (-signal.SIGKILL, -signal.SIGKILL)
            asked.send_signal(signal.SIGSTOP)
            assert until(lambda: _state(asked.pid) == "T")
            asked.terminate()
            with pytest.raises(subprocess.TimeoutExpired):
                asked.wait(0.1)
            asked.send_signal(signal.SIGCONT)
            assert asked.wait(END_S) == -signal.SIGTERM
        with _waiting(starter) as left:
            assert left.poll() is None
            starter.close()
            assert until(lambda: _state(left.pid) in ("", "Z"))
            assert left.wait(END_S) == -signal.SIGKILL
    finally:
        starter.close()
    with pytest.raises(OSError):
        starter.start(ITSELF, environ=os.environ, keep=True)
