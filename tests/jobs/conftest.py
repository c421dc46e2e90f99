"""The desk that tests of `jobs` work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.services import Services
from tests.jobs.desk import a_working_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Services on a database of this test's own, SQLite and PostgreSQL; Redis is away."""
    with a_working_desk(database_url, tmp_path) as services:
        yield services
