"""Pytest fixtures: `tryton` and `localstripe`, one of each per test session, started when first asked for.

Import the three names into a conftest: `from tests.backoffice.fixtures import back_office, localstripe, tryton`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backoffice.build import BackOffice, CannotBuild, build
from tests.backoffice.servers import LocalStripe, Tryton
from tests.environment.absent import absent


@pytest.fixture(scope="session")
def back_office() -> BackOffice:
    """The built environment. When it cannot be had: skipped with one loud line, and in CI a failure."""
    try:
        return build()
    except CannotBuild as error:
        absent(f"no test back office (Tryton, Stripe): {error}")


@pytest.fixture(scope="session")
def tryton(back_office: BackOffice, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    server = Tryton(back_office, _folder(tmp_path_factory, "tryton"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def localstripe(back_office: BackOffice, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    server = LocalStripe(back_office, _folder(tmp_path_factory, "localstripe"))
    server.start()
    yield server
    server.stop()


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name)
