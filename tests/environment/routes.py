"""The addresses of the application, compiled once per session instead of once per test.

Werkzeug parses every address of every application that is made and writes and compiles two small functions for it;
that was a third of all time of the tests of pages. What it makes depends on the rule's text alone: its functions take
the rule when called, and the converters that we use never look at the map that they were made for.
"""

from __future__ import annotations

from typing import Any

from werkzeug.routing.rules import Rule

#: More than there are addresses; beyond it nothing is kept any more.
MOST_KEPT = 5_000


def compile_addresses_once() -> None:
    """From now on, for this process."""
    kept: dict[object, Rule] = {}
    compiled = Rule.compile

    def compile_(self: Rule) -> None:
        if self.map is None or self.defaults or self.subdomain or self.host:
            compiled(self)
            return
        key = (self.rule, self.merge_slashes, *self.map.converters.values())
        first = kept.get(key)
        if first is None:
            compiled(self)
            if len(kept) < MOST_KEPT:
                kept[key] = self
            return
        self._parts, self._trace, self._converters = first._parts, first._trace, first._converters
        self.arguments.update(first._converters)
        for name in ("_build", "_build_unknown"):
            setattr(self, name, getattr(first, name).__func__.__get__(self, None))

    patched: Any = Rule
    patched.compile = compile_
