"""Text from scripts, in and out: what is judged before anything parses it, and what is cut before anybody reads it."""

from __future__ import annotations

import re

from sandbox.contract import Problem
from sandbox.errors import Code
from sandbox.limits import Limits

#: What ends a line for Python: not what `str.splitlines` takes for one, which counts form feeds and U+2028, too.
_LINE_END = re.compile(r"\r\n|\r|\n")
#: Characters that make text read in another order than it runs.
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
#: Some editors put it at the start of a file; Python takes it for a letter of the first name.
BYTE_ORDER_MARK = "\ufeff"
_BAD = re.compile("[\x00" + BYTE_ORDER_MARK + "".join(BIDI) + "]")


#: Control characters that would move a terminal's cursor or hide text; line feeds and tabs stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def safe_text(text: str, most: int) -> str:
    """Text fit for a page or a log: no control characters, no half surrogates, at most `most` characters."""
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    clean = _CONTROL.sub("", text[: most + 1]).encode("utf-8", "replace").decode()
    return clean if len(clean) <= most else clean[: most - 3] + "..."


def lines_of(source: str) -> list[str]:
    """The lines of a source as Python counts them, at least one."""
    return _LINE_END.split(source)


def source_problem(source: str, limits: Limits) -> Problem | None:
    """Why this source is not even parsed, or None."""
    # More than there are where a line ends with both; only then they are told apart.
    lines = 1 + source.count("\n") + source.count("\r")
    if lines > limits.source_lines and (lines := len(lines_of(source))) > limits.source_lines:
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
    found = None if source.isascii() and "\x00" not in source else _BAD.search(source)
    if found is None:
        return None
    line, column = _place(source, found.start())
    char = found[0]
    if char == BYTE_ORDER_MARK:
        message = "A byte order mark (U+FEFF) stands here"
        return _problem(line, column, message, "Delete it, or save the file as UTF-8 without one.")
    what = (
        "A NUL character"
        if char == "\x00"
        else f"An invisible character that changes reading order (U+{ord(char):04X})"
    )
    return _problem(line, column, f"{what} stands here", "Delete it. It could hide what the script does.")


def _place(source: str, index: int) -> tuple[int, int]:
    before = lines_of(source[:index])
    return len(before), len(before[-1])


def _problem(line: int, column: int, message: str, hint: str) -> Problem:
    return Problem(line, column, line, column + 1, Code.FORBIDDEN, "error", message, hint)
