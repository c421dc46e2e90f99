"""Sources made to hurt whoever reads them. They are refused before parsing, or inside the jail; nobody crashes."""

from __future__ import annotations

import pytest

from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.sandbox.hosts import API, Host

BOMBS = {
    "parentheses": "(" * 30_000 + ")" * 30_000,
    "brackets": "x = " + "[" * 30_000 + "]" * 30_000,
    "unary": "x = " + "-" * 60_000 + "1",
    "not": "x = " + "not " * 15_000 + "1",
    "attributes": "x = ticket" + ".a" * 30_000,
    "calls": "x = now" + "()" * 30_000,
    "subscripts": "x = ticket" + "[0]" * 20_000,
    "lambdas": "x = " + "lambda: " * 8_000 + "1",
    "additions": "x = " + "+".join(["1"] * 30_000),
    "powers": "x = " + "2**" * 20_000 + "2",
    "chained_targets": "x = " * 16_000 + "1",
    "nested_blocks": "".join(" " * i + "if 1:\n" for i in range(300)) + " " * 300 + "x = 1",
    "nested_functions": "".join(" " * i + f"def f{i}():\n" for i in range(90)) + " " * 90 + "x = 1",
    "f_strings": "x = " + "f'{" * 1 + "1" + "}'" * 1 + " + f'{1}'" * 7_000,
    "nested_f_string_specs": "x = f'{1:{1:{1:{1}}}}'",
    "one_huge_number": "x = " + "9" * 60_000,
    "comparisons": "x = " + "1<" * 30_000 + "1",
    "decorators": "@now\n" * 1_900 + "def f(): pass",
    "comprehensions": "x = [1" + " for a in [1]" * 4_000 + "]",
    "dedent_error": "if 1:\n  x\n y",
    "backslashes": "\\\n" * 1_900 + "x",
    "unfinished_text": "'" + "x" * 60_000,
    "constant_folding": "x = 'a' * 10**9 + " + "('b' * 10**9) * 10**9",
}


#: Half a second of the processor each.
SLOW = {"comparisons", "comprehensions"}


@pytest.mark.alike
@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in BOMBS])
def test_a_bomb_hurts_neither_run_nor_check(host: Host, name: str) -> None:
    limits = Limits(cpu_s=1, wall_s=60)
    outcome = host.run(BOMBS[name], limits=limits)
    assert outcome.status in ("finished", "refused", "failed", "limit"), outcome.error
    assert outcome.usage.cpu_ms < 3000
    for problem in Sandbox(host.path, limits).check(BOMBS[name], API).problems:
        assert problem.code in ("SYNTAX", "NAME", "FORBIDDEN", "TIMEOUT_CPU", "MEMORY", "ATTRIBUTE"), problem
        assert len(problem.message) <= 400


EARLY = {
    "too_large": ("x = 1 # " + "y" * 65_536, "64 kB"),
    "too_many_lines": ("\n" * 2_000, "2000"),
    "nul": ("x = 1\n\x00", "NUL"),
    "bidi_override": ("x = '\u202e'", "U+202E"),
    "bidi_isolate": ("# \u2066", "U+2066"),
    "mark": ("a\u200e = 1", "U+200E"),
    "surrogate": ("x = '\ud800'", "surrogate"),
}


@pytest.mark.parametrize("name", EARLY)
def test_some_sources_are_not_even_parsed(host: Host, name: str) -> None:
    source, word = EARLY[name]
    runs = host.sandbox.health().runs
    outcome = host.run(source)
    assert outcome.status == "refused"
    assert outcome.error is not None
    assert outcome.error.code == "FORBIDDEN"
    assert word in outcome.error.message
    (problem,) = host.sandbox.check(source, API).problems
    assert (problem.message, problem.severity) == (outcome.error.message, "error")
    assert host.sandbox.health().runs == runs


def test_a_name_with_foreign_letters_is_pointed_out(host: Host) -> None:
    checked = host.sandbox.check("ti\u0441ket = 1\n", API)
    assert [(p.code, p.severity, p.line, p.column, p.end_column) for p in checked.problems] == [
        ("SUSPICIOUS", "warning", 1, 0, 6)
    ]
    assert checked.ok
