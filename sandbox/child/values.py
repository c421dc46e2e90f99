"""What a script holds in its hands: facts and answers it may read but not change, and errors it may catch."""

from __future__ import annotations

import datetime
import decimal
import re
import sys
from collections.abc import Mapping
from types import FrameType, FunctionType
from typing import Any, TypeVar

from sandbox.policy import SCRIPT

_getframe = sys._getframe
_Named = TypeVar("_Named")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
MAX_COPY_DEPTH = 32


class Record(dict[str, Any]):
    """A read-only mapping that also reads by attribute. `dict(record)` is a copy the script may change."""

    __slots__ = ()


class Rows(list[Any]):
    """A read-only list. `list(rows)` is a copy the script may change."""

    __slots__ = ()


class Forbidden(Exception):
    """The script did something that scripts may not do; `hint` says what works instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Missing(AttributeError):
    """No such attribute; `hint` has the nearest one. Never carries the object itself, as AttributeError.obj would."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadArgument(TypeError):
    """An action or operation was called with arguments it does not take."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadValue(ValueError):
    """A value that cannot leave the script, with its place in `message`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Unavailable(Exception):
    """A connection gave no answer. Scripts catch it by this name."""

    connection = ""
    operation = ""
    from_call = False


class Ambiguous(Exception):
    """Several records match; `candidates` lists them. Scripts catch it by this name."""

    candidates: Rows = Rows()
    connection = ""
    operation = ""
    from_call = False


# Scripts know them by these names alone.
Unavailable.__module__ = Ambiguous.__module__ = "builtins"


class CallDenied(Exception):
    """The script was not granted this operation."""


class CallRefused(ValueError):
    """The connection does not take these arguments."""


class TooManyCalls(Exception):
    """The run has used up its connector calls."""


class Stop(BaseException):
    """stop("reason") was called. A BaseException, so that no handler of the script takes it for an error."""


class LimitReached(BaseException):
    """The script said or did too much; nothing of the script may catch this."""


def readable(value: Any) -> Any:
    """Facts and answers as the script sees them: records and rows all the way down."""
    kind = type(value)
    if kind is dict:
        record = Record(value)
        for key, inner in value.items():
            if type(inner) in _NESTED:
                record[key] = readable(inner)
        return record
    if kind is list:
        rows = Rows(value)
        for index, inner in enumerate(value):
            if type(inner) in _NESTED:
                rows[index] = readable(inner)
        return rows
    return value


_NESTED = (dict, list)


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """The JSON form of a script's value: dates and decimals become text, tuples lists. Raises `BadValue`."""
    kind = type(value)
    if depth > MAX_COPY_DEPTH:
        raise BadValue(f"{path[:120]} is nested more than {MAX_COPY_DEPTH} levels deep")
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (list, tuple, Rows):
        return [plain(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
    if kind in (dict, Record):
        made: dict[str, Any] = {}
        for key, inner in value.items():
            if type(key) is not str:
                raise BadValue(f"{path[:120]} has the key {shown(key)[:60]}, which is not text", "Use str(key).")
            made[key] = plain(inner, f"{path}.{key}", depth + 1)
        return made
    if kind is decimal.Decimal:
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date)) and not _is_foreign(kind):
        return value.isoformat()
    if kind in (set, frozenset):
        raise BadValue(f"{path[:120]} is a set, which has no order", "Use sorted(...).")
    raise BadValue(
        f"{path[:120]} is a {kind.__name__}, which cannot leave the script", "Give text, numbers, lists or dicts."
    )


def _is_foreign(kind: type) -> bool:
    # Types of scripts have a metaclass of their own; everything else here is ours or Python's.
    return type(kind) is not type


def shown(value: Any) -> str:
    """str(value) without memory addresses. A text is left as it is: a customer may quote one."""
    return value if type(value) is str else without_addresses(str(value))


def without_addresses(text: str) -> str:
    return _ADDRESS.sub("", text) if " at 0x" in text else text


def called(name: str, function: _Named) -> _Named:
    """The same function, which errors about its arguments call by the name that scripts know."""
    inner = getattr(function, "__func__", function)
    if type(inner) is FunctionType:
        inner.__qualname__ = name
    return function


def script_line() -> int:
    """The line of the script that is running now, 0 when none is."""
    frame: FrameType | None = _getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == SCRIPT:
            return int(frame.f_lineno or 0)
        frame = frame.f_back
    return 0


def facts_of_ticket(ticket: Mapping[str, Any], customer: Any) -> dict[str, Any]:
    """The ticket's readable attributes: fields by name, custom ones under `fields`, cards under `context`, the
    customer's record if known."""
    facts: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for key, value in ticket.items():
        if key.startswith("fields."):
            custom[key.removeprefix("fields.")] = readable(value)
        elif key == "fields" and type(value) is dict:
            custom |= readable(value)
        else:
            facts[key] = readable(value)
    facts["fields"] = Record(custom)
    if "context" not in facts:
        facts["context"] = Record({})
    if facts.get("tags") is None:
        facts["tags"] = Rows()
    if customer is not None:
        facts["customer"] = customer
    facts.setdefault("customer", None)
    return facts
