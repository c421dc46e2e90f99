"""What goes wrong in a script, said to its author: the error of a call, and the sentence, place and way out of an error
that nobody caught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.child import values
from sandbox.errors import Code
from sandbox.hints import name_hint
from sandbox.policy import SCRIPT
from sandbox.source import lines_of


def explained(
    error: BaseException, scope: Mapping[str, Any], source: str
) -> tuple[Code, str, tuple[int | None, int | None], str]:
    """What an uncaught error is to its author: code, sentence, place, way out."""
    place = place_of(error, source)
    hint = getattr(error, "hint", "") if type(error).__module__ == values.__name__ else ""
    text = values.shown(error)
    match error:
        case values.Forbidden():
            return Code.FORBIDDEN, text, place, hint
        case values.Unavailable() if error.from_call:
            return Code.CONNECTOR, text, place, "Catch it with `except Unavailable:` to go on without this answer."
        case values.Ambiguous() if error.from_call:
            return Code.AMBIGUOUS, text, place, "Catch it with `except Ambiguous as several:`; see several.candidates."
        case values.CallDenied():
            return Code.DENIED, text, place, "Whoever publishes the script can grant it."
        case values.TooManyCalls():
            return (
                Code.TOO_MANY_CALLS,
                text,
                place,
                "Ask for many records with one call, or remember answers in a dict.",
            )
        case values.BadValue() | values.CallRefused():
            return Code.VALUE, text, place, hint
        case values.BadArgument():
            return Code.RUNTIME, text, place, hint
        case AttributeError():
            return Code.ATTRIBUTE, text, place, hint
        case NameError():
            wrong = str(getattr(error, "name", None) or "")
            if wrong:
                known = {*scope, *scope["__builtins__"]}
                hint = name_hint(wrong, known, dotted=_before_a_dot(wrong, source, place))
            return Code.NAME, text, place, hint
        case RecursionError():
            return Code.RUNTIME, "The script's functions call each other without end", place, "Look at what stops them."
    name = type(error).__name__
    return Code.RUNTIME, f"Your script raised {name}: {text}" if text else f"Your script raised {name}", place, hint


def _before_a_dot(name: str, source: str, place: tuple[int | None, int | None]) -> bool:
    """Whether a dot follows the name that stands at this place of the source."""
    line, column = place
    lines = lines_of(source)
    if line is None or column is None or not 1 <= line <= len(lines):
        return False
    return lines[line - 1][column:].removeprefix(name).lstrip().startswith(".")


def place_of(error: BaseException, source: str = "") -> tuple[int | None, int | None]:
    """Line and column of the script's innermost frame in this error."""
    line: int | None = None
    column: int | None = None
    trace = error.__traceback__
    for _ in range(10_000):
        if trace is None:
            break
        if trace.tb_frame.f_code.co_filename == SCRIPT:
            line = trace.tb_lineno
            positions = list(trace.tb_frame.f_code.co_positions())
            index = trace.tb_lasti // 2
            column = positions[index][2] if index < len(positions) else None
        trace = trace.tb_next
    lines = lines_of(source)
    if line is not None and column is not None and 1 <= line <= len(lines):
        column = len(lines[line - 1].encode()[:column].decode(errors="ignore"))
    return line, column


def call_error(error: Mapping[str, Any], connection: str, operation: str) -> Exception:
    message = str(error["message"])
    match error["code"]:
        case "unavailable":
            made: Exception = values.Unavailable(message)
        case "ambiguous":
            made = values.Ambiguous(message)
            made.candidates = values.readable(error["candidates"])
        case "denied":
            return values.CallDenied(message)
        case "too_many":
            return values.TooManyCalls(message)
        case _:
            return values.CallRefused(message)
    assert isinstance(made, (values.Unavailable, values.Ambiguous))
    made.connection, made.operation, made.from_call = connection, operation, True
    return made
