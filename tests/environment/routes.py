"""The addresses of the application, compiled once per session instead of once per test.

Werkzeug writes, parses and compiles two small functions for every address of every application that is made; that was
a fifth of all time of the tests of pages. What it makes depends on the rule alone, which it takes when called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing.rules import Rule

#: More than there are addresses; beyond it nothing is kept any more.
MOST_KEPT = 5_000


def compile_addresses_once() -> None:
    """From now on, for this process."""
    kept: dict[object, Callable[..., tuple[str, str]]] = {}
    compiled: Callable[..., Callable[..., tuple[str, str]]] = Rule._compile_builder

    def builder(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if self.defaults:
            return compiled(self, append_unknown)
        key = (self.rule, tuple(self._trace), append_unknown)
        made = kept.get(key)
        if made is None:
            made = compiled(self, append_unknown)
            if len(kept) < MOST_KEPT:
                kept[key] = made
        return made

    patched: Any = Rule
    patched._compile_builder = builder
