"""A desk with one mailbox, its application, and the ways mail gets in; on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis

from jobs.mailboxes import add_mailbox
from tests.environment.applications import lent
from tests.environment.redis import RedisServer
from tests.intake.api import Api
from tests.intake.mail import ADDRESS, MAILBOX, SECRET
from tests.web.desk import Desk, a_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    """A desk with the brand acme, whose mailbox is support@acme.test."""
    made = a_desk(database_url, tmp_path, redis_server.url)
    with made.services.db.write() as connection:
        add_mailbox(connection, key=MAILBOX, address=ADDRESS, brand="acme", secret=SECRET)
    yield made
    made.services.close()


@pytest.fixture
def app(desk: Desk) -> Iterator[APIFlask]:
    """The application on this desk. A bug fails the test instead of making an error page."""
    with lent(desk.services) as made:
        yield made


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """A program that nobody has signed in."""
    return app.test_client()


@pytest.fixture
def api(desk: Desk, app: APIFlask) -> Api:
    """The API with a token of the agent ana of the billing team."""
    desk.user("ana", "agent", name="Ana Nowak", teams=("billing",))
    return Api(app.test_client(), desk.services, "ana")
