"""Which tests a plain `pytest` runs, and on how many cores: the fast part on all of them, and it says what it left out.

`pytest --everything` (what ./run test calls), `-m`, or naming one test by its id run what is asked for. A test marked
`alike` says one thing of many cases: a plain run of all tests tries a few, a run of a part of them each, as does
`--every-case`. With `--hypothesis-profile=default` properties are tried with other examples each time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.environment.absent import REASONS

if TYPE_CHECKING:
    from hypothesis import settings

#: Markers of tests that need much time or things a machine may not have.
LEFT_OUT = ("postgres", "tryton", "localstripe", "browser", "slow")
#: Each of these goes in by a door and out by another; there is one per row of docs/capabilities.md and more.
ROWS = Path(__file__).parents[1] / "rows"
#: Each worker has servers of its own (Redis, sandbox, back office), so more of them than this gain nothing.
MOST_WORKERS = 4
#: The marker of a test with many cases that are alike, and how many of them a plain run of all tests tries.
ALIKE = "alike"
FEW = 6
#: What a plain run tries of the examples of a property that ./run test tries all of.
PLAIN_SHARE = 0.05

Case = TypeVar("Case")

_everything = False

_counts = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="also run what takes long or needs servers and browsers")
    parser.addoption("--every-case", action="store_true", help="try each case of a test that has many alike")


def _wants_everything(config: pytest.Config) -> bool:
    return bool(config.option.everything or config.option.markexpr or any("::" in arg for arg in config.args))


def tries(count: int) -> int:
    """How often a test tries something it draws: `count` times, and a share of that in a plain run."""
    return count if _everything else max(10, int(count * PLAIN_SHARE))


def examples(count: int) -> settings:
    """How many examples a property is tried with: as many as `tries` says."""
    # Here, because the process that hands tests out would wait for it.
    from hypothesis import HealthCheck, settings

    return settings(max_examples=tries(count), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_configure(config: pytest.Config) -> None:
    global _everything
    _everything = _wants_everything(config)
    config.stash[_counts] = Counter()


def only_hands_out(config: pytest.Config) -> bool:
    """Whether this process runs no test, but tells workers which to run. They begin after it, so what only tests need
    would be imported once more, and waited for."""
    option = config.option
    return not hasattr(config, "workerinput") and option.dist != "no" and bool(option.tx) and not option.collectonly


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process per core for the whole run, and one more because tests wait for other processes; none for a narrow run,
    which starts faster and can be watched."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return int(os.environ["PYTEST_XDIST_AUTO_NUM_WORKERS"])
    if _is_narrow(config) or config.option.capture == "no":
        return 0
    cores = len(os.sched_getaffinity(0))
    return min(cores + 1, MOST_WORKERS) if cores > 1 else 0


def _is_narrow(config: pytest.Config) -> bool:
    """Whether a part of the tests is asked for."""
    named = any(arg.rstrip("/") != "tests" for arg in config.args)
    return bool(named or config.option.keyword or config.option.markexpr)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not any(Path(arg.partition("::")[0]).resolve().is_relative_to(ROWS) for arg in config.args):
        for item in items:
            if item.path.is_relative_to(ROWS):
                item.add_marker("slow")
    if _wants_everything(config):
        # What waits for processes, seconds and browsers begins first, beside what computes; at the end nothing waits.
        items.sort(key=lambda item: _left_out(item) is None)
        return
    beyond_few = set() if config.option.every_case or _is_narrow(config) else _more_of_the_same(items)
    kept, left_out = [], []
    for item in items:
        marker = _left_out(item) or (ALIKE if item in beyond_few else None)
        if marker is None:
            kept.append(item)
        else:
            left_out.append(item)
            config.stash[_counts][marker] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _left_out(item: pytest.Item) -> str | None:
    """The marker for which a plain run leaves a test out."""
    return next((name for name in LEFT_OUT if item.get_closest_marker(name)), None)


def _more_of_the_same(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Of each test that has many cases alike, those beyond FEW: the first and the last stay, and some on the way."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker(ALIKE) and _left_out(item) is None:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return {case for alike in cases.values() for case in set(alike) - set(few(alike))}


def few(cases: Sequence[Case]) -> list[Case]:
    """FEW of these, or all: the first, the last, and between them one at each of the same distance."""
    if len(cases) <= FEW:
        return list(cases)
    return [cases[number * (len(cases) - 1) // (FEW - 1)] for number in range(FEW)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands what it left out to the process that writes the summary."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        counts = session.config.stash[_counts]
        output["left_out"] = dict(counts)
        output["absent"] = list(REASONS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What one worker said. Every worker leaves out the same; what is absent only the one that asked has met."""
    output: dict[str, Any] = getattr(node, "workeroutput", {})
    config: pytest.Config = node.config
    left_out: Counter[str] = Counter(output.get("left_out", {}))
    if left_out:
        config.stash[_counts] = left_out
    REASONS.extend(reason for reason in output.get("absent", ()) if reason not in REASONS)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[_counts]
    if counts:
        named = ", ".join(f"{count} {marker}" for marker, count in counts.most_common())
        terminalreporter.write_line(f"Left out of this run: {named}. ./run test runs them too.", yellow=True)
    for reason in REASONS:
        terminalreporter.write_line(f"!! Tests were left out: {reason}", red=True)
