"""Which tests a plain `pytest` runs: the fast part, and it says what it left out.

`pytest --everything` (what ./run test calls), `-m`, or naming one test by its id run what is asked for.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.environment.absent import REASONS

#: Markers of tests that need much time or things a machine may not have.
LEFT_OUT = ("postgres", "tryton", "localstripe", "browser", "slow")

_counts = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="also run what takes long or needs servers and browsers")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_counts] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.everything or config.option.markexpr or any("::" in arg for arg in config.args):
        return
    kept, left_out = [], []
    for item in items:
        marker = next((name for name in LEFT_OUT if item.get_closest_marker(name)), None)
        if marker is None:
            kept.append(item)
        else:
            left_out.append(item)
            config.stash[_counts][marker] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[_counts]
    if counts:
        named = ", ".join(f"{count} {marker}" for marker, count in counts.most_common())
        terminalreporter.write_line(f"Left out of this run: {named}. ./run test runs them too.", yellow=True)
    for reason in REASONS:
        terminalreporter.write_line(f"!! Tests were left out: {reason}", red=True)
