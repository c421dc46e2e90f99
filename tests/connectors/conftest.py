from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backoffice.fixtures import back_office, localstripe, tryton
from tests.connectors.desk import Desk, crm, http_json
from tests.connectors.upstream import Serve, Upstream, upstreams
from tickets.db import Database

__all__ = ["back_office", "localstripe", "tryton"]


@pytest.fixture
def db(sqlite_database: Database) -> Database:
    """A database of its own for each test, on SQLite; test_store runs on PostgreSQL too."""
    return sqlite_database


@pytest.fixture
def desk(db: Database) -> Desk:
    """A gateway without Redis."""
    return Desk(db)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start an upstream that answers what the function says."""
    with upstreams() as start:
        yield start


@pytest.fixture
def server(serve: Serve) -> Upstream:
    """A CRM that knows Ada."""
    return serve(crm)


@pytest.fixture
def connected(desk: Desk, server: Upstream) -> Desk:
    """A gateway with the connection `crm` to it."""
    desk.connect("crm", "http_json", http_json(server.url))
    return desk


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the back office, before the fast part of the tests is chosen."""
    for item in items:
        for name in ("tryton", "localstripe"):
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)
