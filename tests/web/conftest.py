"""A desk and its application for tests of pages, on a database of its own; Redis is the session's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis

from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.environment.applications import lent
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import WALL_S
from tests.web.desk import Desk, a_desk, let_in


@pytest.fixture
def bare_desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    """A desk with teams and a brand, and nobody and nothing else."""
    made = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    yield made
    made.services.close()


@pytest.fixture
def sandboxed_desk(bare_desk: Desk, sandbox_service: SandboxService) -> Desk:
    """A bare desk whose scripts run in the session's sandbox."""
    bare_desk.services = replace(bare_desk.services, sandbox=Sandbox(sandbox_service.socket, Limits(wall_s=WALL_S)))
    return bare_desk


@pytest.fixture
def desk(bare_desk: Desk) -> Desk:
    """The desk whose pages a module looks at; a module that wants another has its own `desk`."""
    return bare_desk


@pytest.fixture
def app(desk: Desk) -> Iterator[APIFlask]:
    """The application on this desk. A bug in a page fails the test instead of making an error page."""
    with lent(desk.services) as made:
        yield made


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """A browser that nobody has signed in with."""
    return app.test_client()


@pytest.fixture
def agent(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser in which the agent Ana Nowak of the billing team is signed in."""
    email = desk.user("ana", "agent", name="Ana Nowak", teams=("billing",))
    browser = app.test_client()
    let_in(browser, email)
    return browser


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser in which the manager Mara is signed in, who is in no team."""
    browser = app.test_client()
    let_in(browser, desk.user("mara", "manager"))
    return browser


@pytest.fixture
def developer(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser in which the developer Dev is signed in."""
    browser = app.test_client()
    let_in(browser, desk.user("dev", "developer", name="Dev Ionescu"))
    return browser
