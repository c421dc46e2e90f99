"""Text from scripts, in and out: what is judged before anything parses it, and what is cut before anybody reads it."""

from __future__ import annotations

import re

from sandbox.contract import Problem
from sandbox.errors import Code
from sandbox.limits import Limits

#: Characters that make text read in another order than it runs.
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


#: Control characters that would move a terminal's cursor or hide text; line feeds and tabs stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def safe_text(text: str, most: int) -> str:
    """Text fit for a page or a log: no control characters, no half surrogates, at most `most` characters."""
    clean = _CONTROL.sub("", text[: most + 1]).encode("utf-8", "replace").decode()
    return clean if len(clean) <= most else clean[: most - 3] + "..."


def source_problem(source: str, limits: Limits) -> Problem | None:
    """Why this source is not even parsed, or None."""
    lines = source.count("\n") + 1
    if lines > limits.source_lines:
        return _problem(
            limits.source_lines,
            0,
            f"The script has {lines} lines; {limits.source_lines} are allowed",
            "Split it in two.",
        )
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        line, column = _place(source, error.start)
        return _problem(
            line, column, "Half of a surrogate pair stands here, which is not text", "Delete and type it again."
        )
    if size > limits.source_kb * 1024:
        return _problem(1, 0, f"The script has {size} bytes; {limits.source_kb} kB are allowed", "Split it in two.")
    for index, char in enumerate(source):
        if char == "\x00" or char in BIDI:
            line, column = _place(source, index)
            what = (
                "A NUL character"
                if char == "\x00"
                else f"An invisible character that changes reading order (U+{ord(char):04X})"
            )
            return _problem(line, column, f"{what} stands here", "Delete it. It could hide what the script does.")
    return None


def _place(source: str, index: int) -> tuple[int, int]:
    before = source[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1)


def _problem(line: int, column: int, message: str, hint: str) -> Problem:
    return Problem(line, column, line, column + 1, Code.FORBIDDEN, "error", message, hint)
