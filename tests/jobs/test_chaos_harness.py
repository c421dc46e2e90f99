"""Nothing lost, nothing doubled, nothing out of order: ./run chaos on both databases, and its control beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from run_tool.places import ROOT
from tests.environment.databases import Kind

#: Seconds of blows, and until a run has to be over.
BLOWS_S = 60
DEADLINE_S = 800


def chaos(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stdout


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match, text
    return int(match[1])


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 20)
def test_everything_accepted_is_applied_once_in_order_while_processes_are_killed(database_kind: Kind) -> None:
    code, said = chaos("--seconds", str(BLOWS_S), "--seed", "5", "--database", database_kind)
    assert code == 0, said
    assert number(r"submitted (\d+) =", said) == number(r"= applied (\d+)", said) > 2 * BLOWS_S
    assert number(r"(\d+) kills", said) >= 0.95 * BLOWS_S
    assert number(r"submitted, (\d+) lost", said) > 0  # the control
    assert number(r"(\d+) of them were accepted over HTTP", said) > 0
    assert number(r"(\d+) webhooks arrived, each under one id", said) > BLOWS_S / 2
    assert number(r"(\d+) changes made, each under one key", said) > BLOWS_S / 2
    assert number(r"(\d+) of them while the blows fell, each once", said) > 0
    assert re.search(r"deaths: .*\d web\b", said), said


@pytest.mark.parametrize("arguments", [("--seconds", "many"), ("--database", "oracle")])
@pytest.mark.slow
def test_what_it_does_not_know_is_refused_before_anything_is_started(arguments: Sequence[str]) -> None:
    code, said = chaos(*arguments)
    assert code == 2
    assert "seed" not in said.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 20)
def test_without_blows_the_control_loses_nothing_and_the_run_fails() -> None:
    """A harness that says "nothing lost" whatever happens would say it here."""
    code, said = chaos("--seconds", "2", "--seed", "5")
    assert code == 1
    assert "the control lost nothing" in said
