from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.hosts import Host, a_host


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """One service for all tests that do not break it."""
    with a_host() as one:
        yield one
