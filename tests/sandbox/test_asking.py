"""A gateway that does not keep its deadline holds up nobody: runs end in their own time, hung calls are bounded."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.asking import AT_ONCE, Question
from sandbox.contract import Answer
from sandbox.limits import Limits
from tests.sandbox.hosts import ROOT, Host, TableGateway, descendants, wait_until

ASK = 'ticket.add_note("x")\ncrm.find_customer(email="a")\nticket.add_note("y")\n'


class Hung:
    """Answers nobody until it is let go, whatever its deadline."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[float] = []

    def call(self, *_: Any, deadline_s: float) -> Answer:
        self.asked.append(deadline_s)
        assert self.let_go.wait(100)
        return Answer({"late": True})


@pytest.fixture
def hung() -> Iterator[Hung]:
    one = Hung()
    yield one
    one.let_go.set()


def test_a_run_ends_in_its_own_time_while_the_gateway_still_hangs(host: Host, hung: Hung) -> None:
    # On a busy machine the shortest run may be over before it has asked: then a longer one.
    for wall_s in (0.5, 4, 32):
        outcome = host.run(ASK, hung, limits=Limits(wall_s=wall_s))  # type: ignore[arg-type]
        assert not hung.let_go.is_set()
        assert outcome.error is not None
        assert (outcome.status, outcome.error.code, outcome.actions) == ("limit", "TIMEOUT_WALL", ())
        if hung.asked:
            break
    (call,) = outcome.calls
    assert (call.status, call.message) == ("unavailable", "The run ended before the answer came")
    assert 0 < hung.asked[0] <= wall_s


def test_a_child_that_dies_during_a_question_ends_the_run(host: Host, hung: Hung) -> None:
    def die() -> None:
        wait_until(lambda: bool(hung.asked))
        for pid in descendants(host.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=die)
    killer.start()
    outcome = host.run(ASK, hung, limits=Limits(wall_s=100))  # type: ignore[arg-type]
    killer.join()
    assert not hung.let_go.is_set()
    assert (outcome.status, outcome.actions) == ("lost", ())
    wait_until(lambda: host.sandbox.health().ready)


@pytest.mark.slow
def test_cancelling_does_not_wait_for_the_answer(host: Host, hung: Hung) -> None:
    outcome = host.run(ASK, hung, limits=Limits(wall_s=100), cancelled=lambda: bool(hung.asked))  # type: ignore[arg-type]
    assert not hung.let_go.is_set()
    assert (outcome.status, outcome.actions) == ("cancelled", ())


def test_hung_questions_are_bounded_and_one_that_nobody_waits_for_is_never_asked(hung: Hung) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(Question(hung, "crm", "find", {}, 30))
        wait_until(lambda: len(hung.asked) == AT_ONCE)
        asked: list[float] = []

        class Prompt(TableGateway):
            def call(self, *_: Any, deadline_s: float) -> Answer:
                asked.append(deadline_s)
                return Answer({})

        with Question(Prompt(), "crm", "find", {}, 30):
            pass
        patient = stack.enter_context(Question(Prompt(), "crm", "find", {}, 30))
        assert asked == []
        time.sleep(0.05)
        hung.let_go.set()
        assert patient.answer() == Answer({})
    # The time in line is part of the deadline, and the first one stayed unasked.
    assert len(asked) == 1
    assert asked[0] <= 29.95


def test_a_process_that_was_forked_asks_with_threads_of_its_own() -> None:
    program = (
        "import os\nfrom sandbox.asking import Question\nfrom sandbox.contract import Answer\n"
        "class G:\n    def call(self, *a, **k): return Answer(1)\n"
        "def ask():\n    with Question(G(), 'a', 'b', {}, 5) as one:\n        os.write(1, b'%d;' % one.answer().data)\n"
        "ask()\npid = os.fork()\nask()\n"
        "if pid: os.waitpid(pid, 0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "1;1;1;"
