"""`./run`."""

from __future__ import annotations


def start(*, demo: bool) -> int:
    raise NotImplementedError
