"""One guard switched off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """`old` becomes `new` in `file`; then `test` (a pytest id) must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str
