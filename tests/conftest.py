"""How the tests run: which of them, on how many cores, with what in memory. What they may use is in
tests/environment/fixtures.py."""

from __future__ import annotations

import pytest

from tests.environment import reports, selection
from tests.environment.loopback import stay_on_this_machine
from tests.environment.memory import keep_what_was_collected, look_for_garbage_less_often, work_in_memory

pytest_addoption = selection.pytest_addoption
pytest_runtest_protocol = reports.pytest_runtest_protocol
pytest_collection_modifyitems = selection.pytest_collection_modifyitems
pytest_sessionfinish = selection.pytest_sessionfinish
pytest_testnodedown = selection.pytest_testnodedown
pytest_xdist_auto_num_workers = selection.pytest_xdist_auto_num_workers
pytest_terminal_summary = selection.pytest_terminal_summary


def pytest_configure(config: pytest.Config) -> None:
    selection.pytest_configure(config)
    look_for_garbage_less_often()
    work_in_memory()
    stay_on_this_machine()
    if not selection.only_hands_out(config):
        config.pluginmanager.import_plugin("tests.environment.fixtures")


def pytest_collection_finish() -> None:
    keep_what_was_collected()
