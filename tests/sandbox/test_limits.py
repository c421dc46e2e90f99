"""Each limit, set small and reached: the run says which one and how much it is, and nothing of the run stands."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.sandbox.hosts import API, Host, TableGateway

#: What is set, the script that reaches it, and the code and words that say so.
ENDS = {
    "wall_s": ({"wall_s": 0.2}, "crm.find_customer(email='slow')", "TIMEOUT_WALL", "longer than 0.2 s"),
    "cpu_s": ({"cpu_s": 1, "wall_s": 60}, "while True:\n    pass", "TIMEOUT_CPU", "more than 1 s"),
    "memory_mb": ({"memory_mb": 20}, "x = [0] * 10**7", "MEMORY", "more than 20 MB"),
    "calls": ({"calls": 2}, "for n in 'abc':\n    crm.find_customer(email=n)", "TOO_MANY_CALLS", "more than 2 times"),
    "calls_over": (
        {"calls": 2, "calls_over": 3},
        "for n in range(20):\n    try:\n        crm.find_customer(email='a')\n    except Exception:\n        print(n)",
        "TOO_MANY_CALLS",
        "more than 2 times",
    ),
    "message_kb": ({"message_kb": 1}, "crm.find_customer(email='long')", "VALUE", "larger than 1 kB"),
    "start_kb": ({"start_kb": 1}, "x = 1\n" * 300, "VALUE", "larger than 1 kB together"),
    "out_kb": ({"out_kb": 1}, "for n in range(5):\n    print('x' * 500)", "OUTPUT_LIMIT", "more than 1 kB"),
    "actions": ({"actions": 2}, "for n in 'abc':\n    ticket.add_note(n)", "OUTPUT_LIMIT", "more than 2 actions"),
    "value_kb": ({"value_kb": 1}, "ticket.add_note('x' * 2000)", "VALUE", "larger than 1 kB"),
    "depth": ({"depth": 3}, "ticket.set_context('k', [[[[1]]]])", "VALUE", "more than 3 levels"),
    "values": ({"values": 20}, "ticket.set_context('k', [1] * 30)", "VALUE", "more than 20 values"),
    "source_kb": ({"source_kb": 1}, "x = 1\n" * 300, "FORBIDDEN", "1 kB"),
    "source_lines": ({"source_lines": 3}, "x = 1\n" * 5, "FORBIDDEN", "3"),
}
#: What is only cut: the run goes on, and the cut shows.
CUTS = {"log_kb", "log_lines", "problems", "error_chars"}


def test_every_limit_is_reached_here() -> None:
    assert {*ENDS, *CUTS} == set(Limits.__dataclass_fields__)


def answer(email: str) -> Any:
    if email == "slow":
        time.sleep(5)  # Much more than the time there is; nobody waits for it.
    return {"name": "x" * (2000 if email == "long" else 1)}


# A second of the processor; in a plain run a loop that does not end is shown with its line in tests/attacks.
SLOW = {"cpu_s"}


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in ENDS])
def test_a_limit_that_is_reached_says_which_and_nothing_stands(host: Host, name: str) -> None:
    given, source, code, words = ENDS[name]
    gateway = TableGateway({"crm.find_customer": answer})
    small: Any = given
    before = "" if name in ("source_kb", "source_lines", "start_kb") else "ticket.add_note('before')\n"
    outcome = host.run(before + source, gateway, limits=Limits(**{"wall_s": 60, "cpu_s": 20, **small}))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) == (code, ())
    assert words in outcome.error.message
    assert len(gateway.calls) <= 2
    if name == "calls_over":
        assert [line.text for line in outcome.log] == ["2", "3", "4"]


@pytest.mark.parametrize(("given", "kept"), [({"log_kb": 1}, 1), ({"log_lines": 3}, 2)])
def test_a_log_that_is_full_says_so_and_the_run_goes_on(host: Host, given: Any, kept: int) -> None:
    source = "for n in range(10):\n    print('x' * 600)\nticket.add_note('after')"
    outcome = host.run(source, limits=Limits(**given))
    assert (outcome.status, len(outcome.actions)) == ("finished", 1)
    assert [len(line.text) for line in outcome.log[:-1]] == [600] * kept
    assert outcome.log[-1].text == "... output cut"


def test_an_error_is_cut_at_its_length(host: Host) -> None:
    outcome = host.run("raise ValueError('x' * 500)", limits=Limits(error_chars=40))
    assert outcome.error is not None
    assert outcome.error.message.startswith("Your script raised ValueError: xxx")
    assert len(outcome.error.message) == 40


def test_problems_beyond_the_first_are_counted(host: Host) -> None:
    problems = Sandbox(host.path, Limits(problems=3)).check("\n".join("abcdefg"), API).problems
    assert len(problems) == 3
    assert "5 more" in problems[-1].message


@pytest.mark.slow
def test_the_hint_of_a_run_that_took_too_long_fits_what_it_did(host: Host) -> None:
    """One that never asked anybody is not told to ask less."""
    limits = Limits(wall_s=0.5, cpu_s=60)
    gateway = TableGateway({"crm.find_customer": answer})
    for source in ("while True:\n    pass\n", "crm.find_customer(email='slow')"):
        outcome = host.run(source, gateway, limits=limits)
        assert outcome.error is not None
        # On a busy machine the time may be over before the script asks.
        hint = "Ask for less, or in fewer calls." if outcome.calls else "Look for a loop that does not end."
        assert (outcome.error.code, outcome.error.hint) == ("TIMEOUT_WALL", hint)
        assert not (outcome.calls and source.startswith("while"))
