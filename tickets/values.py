"""The plain values that travel: JSON, and times that always know their zone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar, dataclass_transform

from pydantic_core import PydanticSerializationError, to_json

JSON: TypeAlias = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

#: Deepest nesting and most values that one stored JSON document may have.
MAX_DEPTH = 32
MAX_VALUES = 20_000
#: Moments whose text is remembered: an event says the same few some ten times.
MOMENTS = 1_024


_Record = TypeVar("_Record")


@dataclass_transform(frozen_default=True)
def record(kind: type[_Record]) -> type[_Record]:
    """A frozen dataclass with slots, of which an event makes dozens.

    That nobody writes to one is held by the type checker alone: to have Python hold it, too, makes each field of each
    of them take ten times as long to set, a twentieth of all that an event takes of the processor."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


def utc_now() -> datetime:
    """The present moment. Called at the edges only; everything inside takes `now` as an argument."""
    return datetime.now(UTC)


def iso(at: datetime) -> str:
    """The one text form of a time that we store in JSON: UTC, microseconds, `+00:00`.

    Raises `ValueError` for a time without a zone, or outside the years there are in UTC."""
    # Remembered only in UTC: of an hour that a zone has twice, both are equal to a dictionary.
    return _utc_text(at if at.tzinfo is UTC else _in_utc(at))


@lru_cache(maxsize=MOMENTS)
def _utc_text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def from_iso(text: str) -> datetime:
    """Read what `iso` wrote. Raises `ValueError` for anything without a zone, or outside the years there are in UTC."""
    return _in_utc(datetime.fromisoformat(text))


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at!r} is no moment in UTC") from None


class JsonText(str):
    """A JSON document that is text already: columns of JSON store it as it is."""

    __slots__ = ()


def json_text(value: Any, plain: Callable[[], JSON]) -> JsonText:
    """The text of a document of which `json_problem` has nothing to say, in a fifth of the time of `json.dumps`.

    In `value`, records stand for their fields, tuples for lists and enums for their values. What no text in UTF-8 can
    hold (half of a surrogate pair) is written by `json.dumps` from `plain()`, which is the same without records."""
    try:
        return JsonText(to_json(value, inf_nan_mode="constants").decode())
    except PydanticSerializationError:
        return JsonText(json.dumps(plain()))


def text_of(value: JSON) -> JsonText:
    """`json_text` of what is plain JSON from top to bottom."""
    return json_text(value, lambda: value)


def json_problem(value: object, path: str = "value", *, most: int = MAX_VALUES) -> str | None:
    """Why `value` may not be stored as JSON, with the place, or None when it may.

    Exact types only: no subclasses, no infinite numbers, no integers beyond 64 bit, no NUL and no lone
    surrogates in text, at most 32 levels and `most` values (20 000)."""
    # Nearly every value is fine, and to say where one is not costs several times what it costs to look.
    return None if _are_plain((value,), 0, most) >= 0 else _problem(value, path, most)


def _are_plain(parts: Collection[Any], depth: int, left: int) -> int:
    """How many more values there may be after these and all in them, negative where `_problem` has something to say."""
    left -= len(parts)
    if left < 0 or depth > MAX_DEPTH:
        return -1
    for part in parts:
        kind = type(part)
        if kind is str:
            if "\x00" in part or not (part.isascii() or _is_whole(part)):
                return -1
        elif part is None or kind is bool:
            continue
        elif kind is int:
            if not -(2**63) <= part < 2**63:
                return -1
        elif kind is dict:
            # Keys are looked at in place: with every event a hundred are.
            for key in part:
                if type(key) is not str or "\x00" in key or not (key.isascii() or _is_whole(key)):
                    return -1
            if part:
                left = _are_plain(part.values(), depth + 1, left - len(part))
        elif kind is list or kind is tuple:
            if part:
                left = _are_plain(part, depth + 1, left)
        elif kind is not float or not math.isfinite(part):
            return -1
        if left < 0:
            return -1
    return left


def _is_whole(text: str) -> bool:
    """Whether no half of a surrogate pair stands alone in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _problem(value: object, path: str, most: int) -> str | None:
    seen = 0
    stack: list[tuple[object, str, int]] = [(value, path, 0)]
    while stack:
        part, where, depth = stack.pop()
        seen += 1
        if seen > most:
            return f"{path} holds more than {most} values"
        if depth > MAX_DEPTH:
            return f"{where} is nested more than {MAX_DEPTH} levels deep"
        kind = type(part)
        if part is None or kind is bool:
            continue
        if kind is int:
            assert isinstance(part, int)
            if not -(2**63) <= part < 2**63:
                return f"{where} is an integer beyond 64 bit"
        elif kind is float:
            assert isinstance(part, float)
            if not math.isfinite(part):
                return f"{where} is not a finite number"
        elif kind is str:
            assert isinstance(part, str)
            if "\x00" in part:
                return f"{where} holds a NUL character"
            if not part.isascii() and any("\ud800" <= char <= "\udfff" for char in part):
                return f"{where} holds half of a surrogate pair"
        elif kind is list or kind is tuple:
            assert isinstance(part, (list, tuple))
            stack.extend((inner, f"{where}[{index}]", depth + 1) for index, inner in enumerate(part))
        elif kind is dict:
            assert isinstance(part, dict)
            for key, inner in part.items():
                if type(key) is not str:
                    quoted = f"; put it in quotes: '{key}'" if type(key) in (int, float) else ""
                    return f"{where} has the key {key!r}, which is not text{quoted}"
                stack.append((key, f"{where} key", depth + 1))
                stack.append((inner, f"{where}.{key}", depth + 1))
        else:
            return f"{where} is a {kind.__name__}, which cannot be stored"
    return None
