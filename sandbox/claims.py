"""What a child says, judged on the trusted side before anybody acts on it: shapes, types, sizes, codes and places.

Every frame is a claim of a process that a hostile script may have taken over. What is not exactly as it should be
raises `ProtocolError`, and the run ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox import wire
from sandbox.contract import MANIFEST_NAMES, Manifest, Problem, ScriptError
from sandbox.errors import CHILD_CODES, PROBLEM_CODES, Code, ProtocolError
from sandbox.limits import Limits
from sandbox.source import safe_text

_TYPES: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "call": {"id": int, "c": str, "o": str, "a": dict, "line": int},
    "act": {"action": str, "params": dict, "line": int},
    "log": {"line": int, "text": str},
    "at": {"line": int},
    "result": {"end": str, "reason": str},
    "error": {"code": str, "message": str, "line": (int, type(None)), "column": (int, type(None)), "hint": str},
    "refused": {"problems": list},
    "checked": {"problems": list, "manifest": dict},
    "compiled": {"code": str},
}


def judge(frame: wire.Frame, body: bytes, limits: Limits) -> None:
    """Raise `ProtocolError` unless the frame has a known shape, exact types, and values that may cross. `body` is
    its text."""
    kind = frame.get("t")
    wanted = _TYPES.get(kind) if type(kind) is str else None
    if wanted is None or frame.keys() - {"t"} != wanted.keys():
        raise ProtocolError("The child sent a frame of an unknown shape")
    for name, types in wanted.items():
        if type(frame[name]) not in (types if isinstance(types, tuple) else (types,)):
            raise ProtocolError(f"The child sent a {kind} frame with a wrong {name}")
    depth, values = limits.depth + 3, limits.values + 100
    if not wire.plainly_sound(body, depth=depth, values=values):
        trouble = wire.problem(frame, str(kind), depth=depth, values=values)
        if trouble is not None:
            raise ProtocolError(f"The child sent what is not allowed: {trouble}")
    line = frame.get("line")
    if line is not None and not 0 <= line <= limits.source_lines:
        raise ProtocolError("The child named a line that does not exist")
    column = frame.get("column")
    if column is not None and not 0 <= column <= limits.source_kb * 1024:
        raise ProtocolError("The child named a column that does not exist")
    if kind == "error" and frame["code"] not in CHILD_CODES:
        raise ProtocolError("The child gave itself an error code that is not its to give")
    if kind == "result" and frame["end"] not in ("finished", "stopped"):
        raise ProtocolError("The child ended in an unknown way")


def problems(found: list[Any], limits: Limits) -> tuple[Problem, ...]:
    """The child's problems, each field judged. Raises `ProtocolError`."""
    made = []
    for one in found[: limits.problems]:
        if type(one) is not dict or one.keys() != Problem.__dataclass_fields__.keys():
            raise ProtocolError("The child described a problem in an unknown shape")
        numbers = [one[name] for name in ("line", "column", "end_line", "end_column")]
        texts = [one[name] for name in ("code", "severity", "message", "hint")]
        if any(type(n) is not int for n in numbers) or any(type(t) is not str for t in texts):
            raise ProtocolError("The child described a problem with a wrong type")
        if any(not 0 <= n <= limits.source_kb * 1024 for n in numbers):
            raise ProtocolError("The child described a problem at a place that does not exist")
        if one["severity"] not in ("error", "warning") or one["code"] not in PROBLEM_CODES:
            raise ProtocolError("The child described a problem of an unknown kind")
        made.append(Problem(**one | {"message": safe_text(one["message"], 400), "hint": safe_text(one["hint"], 400)}))
    return tuple(made)


def first_problem(found: list[Any], limits: Limits) -> ScriptError:
    """The first error among them, as the reason why a script was refused. Raises nothing: a bad claim is an error."""
    try:
        judged = problems(found, limits)
    except ProtocolError as error:
        return ScriptError(Code.PROTOCOL, str(error))
    first = next((one for one in judged if one.severity == "error"), None)
    if first is None:
        return ScriptError(Code.PROTOCOL, "The child refused a script without a reason")
    return ScriptError(first.code, first.message, first.line, first.column, first.hint)


def manifest(found: Mapping[str, Any]) -> Manifest:
    """The child's manifest, each name judged. Raises `ProtocolError`."""
    if found.keys() != Manifest.__dataclass_fields__.keys():
        raise ProtocolError("The child described a manifest in an unknown shape")
    for listed in found.values():
        if type(listed) is not list or len(listed) > MANIFEST_NAMES or any(type(one) is not str for one in listed):
            raise ProtocolError("The child described a manifest with a wrong type")
    return Manifest(**{name: tuple(listed) for name, listed in found.items()})
