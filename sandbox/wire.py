"""Frames between broker and child: four bytes of length, then JSON. Exact types only, and every size is capped first.

JSON rather than a binary format: what crosses is small, and a hostile child's text goes through one well-worn parser.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sandbox.errors import ProtocolError

JSON: TypeAlias = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Frame: TypeAlias = dict[str, Any]

HEAD = struct.Struct(">I")
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=True, separators=(",", ":"))


def _text_of() -> Callable[[Mapping[str, object]], str]:
    """`_ENCODER.encode`; where json has its C half, that half made once instead of for every frame."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _ENCODER.encode
    # No markers for circles: what refers to itself ends as a RecursionError, which `encode` expects.
    pieces = make(None, _ENCODER.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda frame: "".join(pieces(frame, 0))


_text = _text_of()


def problem(value: object, path: str = "value", *, depth: int = 32, values: int = 20_000) -> str | None:
    """Why `value` may not cross, with the place, or None when it may.

    `type(x) is` on purpose: a subclass may bring methods of its own, and those would run on our side."""
    if _sound(value, depth, values):
        return None
    seen = 0
    stack: list[tuple[object, str, int]] = [(value, path, 0)]
    while stack:
        part, where, level = stack.pop()
        seen += 1
        if seen > values:
            return f"{path} holds more than {values} values"
        if level > depth:
            return f"{_short(where)} is nested more than {depth} levels deep"
        kind = type(part)
        if part is None or kind is bool:
            continue
        if kind is int:
            if not -(2**63) <= part < 2**63:  # type: ignore[operator]
                return f"{_short(where)} is a whole number beyond 64 bit"
        elif kind is float:
            if not math.isfinite(part):  # type: ignore[arg-type]
                return f"{_short(where)} is not a finite number"
        elif kind is str:
            assert isinstance(part, str)
            if "\x00" in part:
                return f"{_short(where)} holds a NUL character"
            # isascii is a flag lookup; only text beyond ASCII can hold surrogates and pays for the scan.
            if not part.isascii() and any("\ud800" <= char <= "\udfff" for char in part):
                return f"{_short(where)} holds half of a surrogate pair"
        elif kind is list:
            assert isinstance(part, list)
            stack.extend((inner, f"{where}[{index}]", level + 1) for index, inner in enumerate(part))
        elif kind is dict:
            assert isinstance(part, dict)
            for key, inner in part.items():
                if type(key) is not str:
                    return f"{_short(where)} has a key that is not text"
                stack.append((key, f"{where} key", level + 1))
                stack.append((inner, f"{where}.{key}", level + 1))
        else:
            return f"{_short(where)} is a {kind.__name__}, which is not JSON"
    return None


#: In the text of a frame: an escaped character, which may be NUL or half of a pair; a number that may be beyond 64 bit
#: or infinite.
_DOUBTFUL = re.compile(rb"\\u|[0-9]{17}|[0-9][eE]")


def plainly_sound(body: bytes, *, depth: int = 32, values: int = 20_000) -> bool:
    """Whether the mere text of a JSON object shows that `problem` has nothing against what it holds, at a tenth of the
    cost. False where only `problem` can tell; most frames are short and plain."""
    return (
        len(body) <= values  # a value takes a character at least
        and body.isascii()
        and _DOUBTFUL.search(body) is None
        and body.count(b"{") + body.count(b"[") <= depth
    )


def _sound(value: object, depth: int, values: int) -> bool:
    """The same judgement without a place to name, which costs half. False also where only `problem` can tell."""
    if type(value) is str:
        return value.isascii() and "\x00" not in value  # by far the most
    seen = 0
    level: list[object] = [value]
    while level:
        seen += len(level)
        if depth < 0 or seen > values:
            return False
        depth -= 1
        below: list[object] = []
        for part in level:
            kind = type(part)
            if kind is str:
                if not part.isascii() or "\x00" in part:  # type: ignore[attr-defined,operator]
                    return False
            elif kind is int:
                if not -(2**63) <= part < 2**63:  # type: ignore[operator]
                    return False
            elif kind is dict:
                below += part  # type: ignore[arg-type]
                below += part.values()  # type: ignore[attr-defined]
                for key in part:  # type: ignore[attr-defined]  # a generator would be made anew each time
                    if type(key) is not str:
                        return False
            elif kind is list:
                below += part  # type: ignore[arg-type]
            elif kind is float:
                if not math.isfinite(part):  # type: ignore[arg-type]
                    return False
            elif part is not None and kind is not bool:
                return False
        level = below
    return True


def exact(value: object, depth: int = 64) -> Any:
    """The same value in exact JSON types: mappings become dicts, sequences lists. Raises `TypeError` for the rest."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool or kind is float:
        return value
    if depth == 0:
        raise TypeError("it is nested too deeply")
    if kind is dict or isinstance(value, Mapping):
        return {key: exact(inner, depth - 1) for key, inner in value.items()}  # type: ignore[attr-defined]
    if isinstance(value, (list, tuple)):
        return [exact(inner, depth - 1) for inner in value]
    raise TypeError(f"a {type(value).__name__} is not JSON")


def encode(frame: Mapping[str, object], cap_bytes: int) -> bytes:
    """The frame as bytes. Raises `ProtocolError` when it is larger than `cap_bytes` or not JSON."""
    try:
        body = _text(frame).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"A frame cannot be written as JSON: {error}") from error
    if len(body) > cap_bytes:
        raise ProtocolError(f"A frame of {len(body)} bytes is larger than {cap_bytes}")
    return HEAD.pack(len(body)) + body


def decode(body: bytes | bytearray) -> Frame:
    """The frame in `body`. Raises `ProtocolError` for anything that is not exactly one JSON object with text keys."""
    try:
        text = body.decode("utf-8")
        frame, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"A frame is not JSON: {type(error).__name__}") from error
    if end != len(text):
        raise ProtocolError("A frame goes on after its JSON")
    if type(frame) is not dict:
        raise ProtocolError("A frame is not a JSON object")
    return frame


class Reader:
    """Cuts a byte stream into frames. The size is judged from the head, before a byte of the body is kept."""

    def __init__(self, cap_bytes: int) -> None:
        self._buffer = bytearray()
        self._cap_bytes = cap_bytes
        #: The text of the last frame, for those who judge it by its looks.
        self.body = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, or None until more bytes come. Raises `ProtocolError`."""
        if len(self._buffer) < HEAD.size:
            return None
        (size,) = HEAD.unpack_from(self._buffer)
        if size > self._cap_bytes:
            raise ProtocolError(f"A frame announces {size} bytes; {self._cap_bytes} are allowed")
        if len(self._buffer) < HEAD.size + size:
            return None
        self.body = bytes(self._buffer[HEAD.size : HEAD.size + size])
        del self._buffer[: HEAD.size + size]
        return decode(self.body)

    @property
    def pending(self) -> int:
        """Bytes that arrived and are not read yet."""
        return len(self._buffer)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key appears twice")
    return made


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)


def _short(path: str) -> str:
    return path if len(path) <= 120 else path[:117] + "..."
