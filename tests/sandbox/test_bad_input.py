"""Whatever is pasted or uploaded as a script is answered soon, with a short message at its place, and runs nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox.client import Sandbox
from sandbox.contract import Problem
from sandbox.limits import Limits
from tests.sandbox.hosts import API, Host

#: Each by what is wrong with it: the source, the code, words of the message, line and column.
BAD = {
    "binary": (bytes(range(256)).decode("latin-1") * 20, "FORBIDDEN", "A NUL character", 1, 0),
    "binary_without_nul": ("\x7fELF\x02\x01\x01" + "\x03\x90" * 400, "SYNTAX", "invalid non-printable", 1, 0),
    "byte_order_mark": ("\ufeffx = 1\n", "FORBIDDEN", "byte order mark (U+FEFF)", 1, 0),
    "byte_order_mark_inside": ("x = 1\ny = '\ufeff'\n", "FORBIDDEN", "byte order mark (U+FEFF)", 2, 5),
    "brackets": ("[" * 65_536, "SYNTAX", "too many nested parentheses", 1, 200),
    "closed_brackets": ("(" * 32_768 + ")" * 32_768, "SYNTAX", "too many nested parentheses", 1, 200),
    "bidi": ("if ok:\n    x = 'a\u202e'\n", "FORBIDDEN", "U+202E", 2, 10),
    "a_line_of_1_mb": ("x = (" + "1, " * 350_000 + "\n", "FORBIDDEN", "64 kB", 1, 0),
    "a_long_line_with_a_syntax_error": ("x = '" + "a" * 60_000 + "' y\n", "SYNTAX", "", 1, 60_007),
    "many_lines_of_old_macs": ("x = 1\r" * 2_001, "FORBIDDEN", "2000", 2_000, 0),
    "half_a_pair": ("x = '\ud83d'\n", "FORBIDDEN", "surrogate", 1, 5),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_source_is_answered_soon_with_a_short_message(host: Host, name: str) -> None:
    source, code, words, line, column = BAD[name]
    # Soon: neither takes a child two seconds of the processor, which would end it with another code, nor us.
    limits = Limits(cpu_s=2, wall_s=60)
    began = time.thread_time()
    checked = Sandbox(host.path, limits).check(source, API)
    started = "print('ran')\n" + source if name == "a_long_line_with_a_syntax_error" else source
    outcome = host.run(started, limits=limits)
    assert time.thread_time() - began < 2
    problem = checked.problems[0]
    assert (problem.code, problem.line, problem.column) == (code, line, column), problem
    assert words in problem.message
    assert len(problem.message) <= 400
    assert (outcome.status, outcome.log, outcome.actions) == ("refused", (), ())
    assert outcome.error is not None
    assert outcome.error.code == code


def test_lines_may_end_as_on_windows_and_places_stay_right(host: Host) -> None:
    assert host.logged("x = 1\r\nif x:\r\n    print('ok')\r\n") == ["ok"]
    (problem,) = host.sandbox.check("x = 1\r\n\r\nprint(xx)\r\n", API).problems
    assert (problem.line, problem.column) == (3, 6)


def test_a_page_break_or_a_line_separator_in_a_text_moves_no_line(host: Host) -> None:
    """Python does not end a line there; counting one would point a line too far."""
    source = "x = 'a\x0cb\u2028c'\ny = (1,\n  zz)\n"
    (problem,) = host.sandbox.check(source, API).problems
    assert (problem.line, problem.column, problem.end_column) == (3, 2, 4)
    outcome = host.run("x = 'é\u2028'; é = 1; y = 1 / 0\n")
    assert outcome.error is not None
    assert (outcome.error.line, outcome.error.column) == (1, 21)


LOOK_ALIKES = {"cyrillic": "ti\u0441ket", "greek": "\u03bfrder", "dotless": "pr\u0131ce", "armenian": "te\u0570a"}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_name_that_reads_like_another_is_pointed_out_and_still_runs(host: Host, name: str) -> None:
    checked = host.sandbox.check(f"{LOOK_ALIKES[name]} = 1\n", API)
    assert [(one.code, one.severity, one.line, one.column) for one in checked.problems] == [
        ("SUSPICIOUS", "warning", 1, 0)
    ]
    assert checked.ok


@pytest.mark.parametrize("good", ["numéro", "żółw", "preț", "straße", "naïve", "señal"])
def test_a_name_in_the_authors_own_language_is_not(host: Host, good: str) -> None:
    assert host.sandbox.check(f"{good} = 1\nprint({good})\n", API).problems == ()


def test_a_source_that_is_refused_early_needs_no_service(tmp_path: Path) -> None:
    (problem,) = Sandbox(tmp_path / "nobody.sock").check("\x00", API).problems
    assert isinstance(problem, Problem)
    assert problem.message == "A NUL character stands here"
