"""What a worker of a run on several cores tells of each test: how it came out, instead of six messages about it.

A test that passes is told of by its start, its setup, its call, its teardown, its end and that it is over. Of seven
thousand tests that was a tenth of the whole run's work, in the worker that writes it down and in the process that reads
it; the last, and one of the others, say all that is printed.
"""

from __future__ import annotations

import pytest
from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """As pytest's own, but what passed is told of once. Whoever asks for times or for XML is told everything."""
    option = item.config.option
    if not hasattr(item.config, "workerinput") or option.durations is not None or option.xmlpath:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True
