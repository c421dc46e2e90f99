"""E-mail accepted -> context visible, through real processes, with upstreams that take 200 ms."""

from __future__ import annotations

from pathlib import Path

from tests.bench.report import Figure


def mail_to_context(folder: Path) -> list[Figure]:
    return []
