"""Scripts that take too much: time, memory, calls, output. Each ends with its own code; nothing of it is applied."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.contract import Outcome
from sandbox.limits import Limits
from tests.sandbox.hosts import Host, TableGateway

#: The CPU second ends these; on a machine with much else to do it takes its time.
SHORT = Limits(cpu_s=1, wall_s=30)


def ended(outcome: Outcome, code: str, status: str = "limit") -> None:
    assert outcome.error is not None
    assert (outcome.error.code, outcome.status, outcome.actions) == (code, status, ())


SPINS = {
    "loop_that_catches_everything": "while True:\n    try:\n        while True:\n            1/0\n"
    "    except:\n        pass",
    "one_call_in_c": "x = 10**10**8",
}


@pytest.mark.slow  # a second of the processor each; the loop below shows the same in a plain run
@pytest.mark.parametrize("name", SPINS)
def test_computing_without_end_is_killed_on_cpu_time(host: Host, name: str) -> None:
    # Six seconds may be less than one of processor on a machine that has much else to do.
    outcome = host.run(SPINS[name], limits=Limits(cpu_s=1, wall_s=60))
    ended(outcome, "TIMEOUT_CPU")
    assert 500 <= outcome.usage.cpu_ms < 3000


@pytest.mark.slow
def test_a_loop_that_does_not_end_is_shown_with_its_line(host: Host) -> None:
    outcome = host.run("x = 1\n\nwhile x:\n    x = x + 1\n", limits=SHORT)
    assert outcome.error is not None
    assert outcome.error.line in (3, 4)
    assert outcome.error.hint == "Look for a loop that does not end."


EATERS = {
    "list": "x = [0] * 10**9",
    "text": 'x = "x" * 10**9',
    "doubling": 'x = "x"\nwhile True:\n    x += x',
    "list_of_lists": "x = []\nwhile True:\n    x.append([0] * 100000)",
    "range": "x = list(range(10**9))",
    "format_width": 'x = f"{1:>1999999999}"',
    "percent_width": 'x = "%1999999999d" % 1',
    "ljust": 'x = "".ljust(2**31)',
    "join": 'x = ("x" * 10**6).join(["y"] * 10**5)',
    "replace": 'x = ("x" * 10**6).replace("x", "y" * 10**4)',
    "expandtabs": 'x = ("\\t" * 10**5).expandtabs(10**5)',
    "shift": "x = 1 << 2**34",
    "json": 'x = json.loads("[" + "1," * 10**7 + "1]")',
    "caught": "try:\n    x = [0] * 10**9\nexcept Exception:\n    print('PWNED')",
    "caught_bare": "while True:\n    try:\n        x = [0] * 10**9\n    except:\n        pass",
    "caught_in_a_function": "def f():\n    try:\n        return [0] * 10**9\n    except:\n"
    "        return 1\nprint('PWNED', f())",
    "kept_in_the_error": "x = []\ntry:\n    while True:\n"
    "        x.append('x' * 10**6 + str(len(x)))\nexcept:\n    print('PWNED')",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", EATERS)
def test_taking_too_much_memory_ends_the_script(host: Host, name: str) -> None:
    outcome = host.run('ticket.add_note("x")\n' + EATERS[name])
    ended(outcome, "MEMORY")
    assert outcome.log == ()
    assert outcome.usage.memory_kb < 300_000


DEEP = {
    "recursion": "def f(): return f()\nf()",
    "recursion_in_a_hook": "class A:\n    def __eq__(self, o): return self == o\nA() == 1",
    "recursion_in_a_sort": "def f(x): return sorted([x], key=f)\nf(1)",
    "deep_list_shown": "x = []\nfor i in range(100000):\n    x = [x]\nprint(x)",
    "deep_json": 'json.loads("[" * 100000)',
}


@pytest.mark.parametrize("name", DEEP)
def test_endless_depth_is_an_error_with_a_sentence(host: Host, name: str) -> None:
    outcome = host.run(DEEP[name])
    ended(outcome, "RUNTIME", "failed")
    assert outcome.error is not None
    assert outcome.error.message == "The script's functions call each other without end"


def test_the_call_after_the_last_raises_an_error_that_says_so(host: Host) -> None:
    gateway = TableGateway()
    outcome = host.run('for i in range(60):\n    crm.find_customer(email="a")\n', gateway, limits=Limits(calls=3))
    ended(outcome, "TOO_MANY_CALLS")
    assert len(gateway.calls) == 3
    assert [call.status for call in outcome.calls] == ["none", "none", "none", "too_many"]


def test_a_script_that_catches_that_error_and_goes_on_is_killed(host: Host) -> None:
    gateway = TableGateway()
    source = 'while True:\n    try:\n        crm.find_customer(email="a")\n    except:\n        pass\n'
    outcome = host.run(source, gateway)
    ended(outcome, "TOO_MANY_CALLS")
    assert len(gateway.calls) == 50
    assert len(outcome.calls) == 60


def test_more_actions_than_allowed_cannot_be_caught(host: Host) -> None:
    outcome = host.run('while True:\n    try:\n        ticket.add_note("x")\n    except:\n        pass\n')
    ended(outcome, "OUTPUT_LIMIT")


def test_all_actions_that_are_allowed_go_through(host: Host) -> None:
    outcome = host.run('for i in range(100):\n    ticket.add_note("x")\n')
    assert (outcome.status, len(outcome.actions)) == ("finished", 100)


def test_facts_beyond_their_bound_are_said_before_a_child_is_asked_for(host: Host) -> None:
    before = host.sandbox.health().runs
    outcome = host.run("ticket.add_note('x')", ticket={"subject": "x" * 4_200_000})
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == ("failed", "VALUE", ())
    assert "larger than" in outcome.error.message
    assert outcome.error.hint == "Give the script fewer facts."
    assert host.sandbox.health().runs == before
    assert host.logged("print(len(ticket.subject))", ticket={"subject": "x" * 4_100_000}) == ["4100000"]


def test_output_is_cut_and_the_script_goes_on(host: Host) -> None:
    outcome = host.run('for i in range(5000):\n    print("line", i)\nticket.add_note("done")\n')
    assert outcome.status == "finished"
    assert len(outcome.log) == 1000
    assert outcome.log[-1].text == "... output cut"
    assert outcome.log[-2].text == "line 998"
    assert len(outcome.actions) == 1


def test_one_huge_line_is_cut(host: Host) -> None:
    outcome = host.run('print("a")\nprint("x" * 10_000_000)\nprint("b")\n')
    assert [line.text for line in outcome.log] == ["a", "... output cut"]
    assert outcome.status == "finished"


def test_everything_said_has_one_bound(host: Host) -> None:
    outcome = host.run('for i in range(90):\n    ticket.add_note("x" * 60_000)\n', limits=Limits(out_kb=500))
    ended(outcome, "OUTPUT_LIMIT")


def test_one_value_that_is_too_large_says_which(host: Host) -> None:
    outcome = host.run('ticket.add_note("x" * 70_000)')
    ended(outcome, "VALUE", "failed")
    assert outcome.error is not None
    assert outcome.error.message == "ticket.add_note(text) is larger than 64 kB"


def test_waiting_for_a_connection_counts_as_wall_time(host: Host) -> None:
    source = 'print("before")\ncrm.find_customer(email="a")\nticket.add_note("x")\n'
    # On a busy machine the shortest run may be over before it has asked: then a longer one.
    for wall_s in (0.4, 4, 32):

        def slow(email: str, answers_after_s: float = wall_s + 5) -> Any:
            time.sleep(answers_after_s)
            return {"id": 1}

        gateway = TableGateway({"crm.find_customer": slow})
        outcome = host.run(source, gateway, limits=Limits(wall_s=wall_s))
        ended(outcome, "TIMEOUT_WALL")
        if gateway.calls:
            break
    assert outcome.error is not None
    assert outcome.error.line == 2
    assert [line.text for line in outcome.log] == ["before"]


def test_an_answer_that_is_too_large_is_an_error_of_the_call(host: Host) -> None:
    outcome = host.run('crm.find_customer(email="a")', TableGateway({"crm.find_customer": {"text": "x" * 300_000}}))
    ended(outcome, "VALUE", "failed")
    assert outcome.error is not None
    assert outcome.error.message == "The answer of crm is larger than 256 kB; ask for less"


def test_a_pattern_that_would_need_much_memory_is_refused(host: Host) -> None:
    outcome = host.run('re.compile("((a{100}){100}){100}")')
    ended(outcome, "RUNTIME", "failed")


def test_limits_larger_than_the_machine_allows_are_clamped(host: Host) -> None:
    outcome = host.run("x = 'x' * (1100 * 1024 * 1024)", limits=Limits(memory_mb=1_000_000, cpu_s=1_000_000))
    ended(outcome, "MEMORY")
