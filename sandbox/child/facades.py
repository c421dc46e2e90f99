"""The modules a script finds: closed lists of functions, never the modules themselves.

A real module is a way out in one line (`json.codecs.open`, `re.enum.sys.modules`), so nothing here hands one over.
"""

from __future__ import annotations

import datetime as real_datetime
import decimal as real_decimal
import json as real_json
import math as real_math
import random as real_random
import re as real_re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.child import cells
from sandbox.child.patterns import FLAGS, Match, Pattern, ReError, compiled
from sandbox.child.values import BadArgument, Forbidden, called, plain
from sandbox.hints import json_argument_hint


class Namespace:
    """A facade: a name and a fixed set of members. The guards read `members`; scripts cannot."""

    __slots__ = ("members", "name")

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        self.name = name
        self.members = members
        for key, member in members.items():
            called(f"{name}.{key}", member)

    def __repr__(self) -> str:
        return f"<{self.name}>"


def begin(now: real_datetime.datetime, seed: int) -> None:
    """Set the facades to one run: `now` is its one moment, `seed` its randomness."""
    # One child runs one script, so the module may carry the run's clock and its chance.
    _clock.now = now.astimezone(real_datetime.UTC)
    _chance.seed = seed
    _chance.made = None


class Log:
    """`log("...")`, and log.info, log.warning, log.error for those who expect them: all the same line."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[..., None]) -> None:
        self.write = write

    def __call__(self, *args: Any) -> None:
        self.write(*args)

    def __repr__(self) -> str:
        return "<log>"


# json


def loads(text: str, **more: Any) -> Any:
    """json.loads without hooks; NaN and Infinity are refused."""
    _nothing_more("json.loads", more)
    if type(text) is not str:
        raise TypeError("json.loads takes text")
    return real_json.loads(text, parse_constant=_no_constant)


def dumps(
    value: Any, indent: int | None = None, sort_keys: bool = False, ensure_ascii: bool = False, **more: Any
) -> str:
    """json.dumps of plain values; records, dates and decimals are written as JSON has them."""
    _nothing_more("json.dumps", more)
    depth = None if indent is None else max(0, min(int(indent), 8))
    return real_json.dumps(
        plain(value, "value"), indent=depth, sort_keys=bool(sort_keys), ensure_ascii=bool(ensure_ascii), allow_nan=False
    )


def _nothing_more(what: str, more: Mapping[str, Any]) -> None:
    for name in more:
        raise BadArgument(f"{what} has no argument {name[:60]!r}", json_argument_hint(what, name))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


# re, in linear time: see `patterns`


def _regex() -> Namespace:
    def by_name(name: str) -> Callable[..., Any]:
        def call(of: str | Pattern, text: str, flags: int = 0) -> Any:
            return getattr(compiled(of, flags), name)(text)

        return call

    def sub(of: str | Pattern, repl: Any, text: str, count: int = 0, flags: int = 0) -> str:
        return compiled(of, flags).sub(repl, text, count)

    def subn(of: str | Pattern, repl: Any, text: str, count: int = 0, flags: int = 0) -> tuple[str, int]:
        return compiled(of, flags).subn(repl, text, count)

    def split(of: str | Pattern, text: str, maxsplit: int = 0, flags: int = 0) -> list[Any]:
        return compiled(of, flags).split(text, maxsplit)

    def escape(text: str) -> str:
        if type(text) is not str:
            raise TypeError("Patterns work on text")
        return real_re.escape(text)

    members: dict[str, Any] = {n: by_name(n) for n in ("search", "match", "fullmatch", "findall", "finditer")}
    members |= {"sub": sub, "subn": subn, "split": split, "escape": escape, "error": ReError}
    members["compile"] = lambda text, flags=0: compiled(text, flags)
    return Namespace("re", members | {name: int(flag) for name, flag in FLAGS.items()})


# datetime, with a clock that stands still


class _Clock:
    """The run's one moment. Not an attribute of the classes below: what is known of a class is forgotten when it is
    written to."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = real_datetime.datetime(2000, 1, 1, tzinfo=real_datetime.UTC)


_clock = _Clock()


class Moment(real_datetime.datetime):
    """datetime.datetime whose clock is the run's.

    Formatting happens in our frames: C code would import through the script's."""

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Moment:
        moment = _clock.now.astimezone(tz or real_datetime.UTC)
        return cls.fromisoformat((moment if tz else moment.replace(tzinfo=None)).isoformat())

    @classmethod
    def utcnow(cls) -> Moment:
        return cls.now()

    @classmethod
    def today(cls) -> Moment:
        return cls.now()

    @classmethod
    def strptime(cls, text: str, pattern: str) -> Moment:
        return super().strptime(text, pattern)

    def strftime(self, pattern: str) -> str:
        return super().strftime(pattern)


class Day(real_datetime.date):
    """datetime.date whose today is the run's."""

    @classmethod
    def today(cls) -> Day:
        return cls(_clock.now.year, _clock.now.month, _clock.now.day)

    def strftime(self, pattern: str) -> str:
        return super().strftime(pattern)


Moment.__name__ = Moment.__qualname__ = Moment.__module__ = "datetime"
Day.__name__ = Day.__qualname__ = "date"
Day.__module__ = "datetime"
Pattern.__module__ = Match.__module__ = "re"
for _kind in (Moment, Day):
    for _name, _method in vars(_kind).items():
        called(f"{_kind.__name__}.{_name}", _method)


def _datetime() -> Namespace:
    return Namespace(
        "datetime",
        {
            "datetime": Moment,
            "date": Day,
            "time": real_datetime.time,
            "timedelta": real_datetime.timedelta,
            "timezone": real_datetime.timezone,
            "UTC": real_datetime.UTC,
        },
    )


class _Chance:
    """The randomness of the run, made at its first use: its state is large, and most scripts never ask."""

    __slots__ = ("made", "seed")

    def __init__(self) -> None:
        self.seed = 0
        self.made: real_random.Random | None = None

    def source(self) -> real_random.Random:
        if self.made is None:
            self.made = real_random.Random(self.seed)
        return self.made


_chance = _Chance()


def _random() -> Namespace:
    def method(name: str) -> Callable[..., Any]:
        return lambda *given, **named: getattr(_chance.source(), name)(*given, **named)

    def shuffle(given: list[Any]) -> None:
        if type(given) is not list:
            raise Forbidden("Only a list of the script's own can be shuffled", "Make a copy with list(...) first.")
        _chance.source().shuffle(given)

    names = ("random", "randint", "randrange", "choice", "choices", "sample", "uniform", "gauss")
    return Namespace("random", {name: method(name) for name in names} | {"shuffle": shuffle})


#: All facades, by name. Made before the first fork, so that children share their pages.
FACADES = {
    "json": Namespace("json", {"loads": loads, "dumps": dumps}),
    "re": _regex(),
    "math": Namespace("math", {n: getattr(real_math, n) for n in dir(real_math) if not n.startswith("_")}),
    "datetime": _datetime(),
    "decimal": Namespace(
        "decimal",
        {"Decimal": real_decimal.Decimal, "InvalidOperation": real_decimal.InvalidOperation}
        | {n: getattr(real_decimal, n) for n in dir(real_decimal) if n.startswith("ROUND_")},
    ),
    "random": _random(),
    "cells": Namespace("cells", cells.members(lambda: _clock.now)),
}
