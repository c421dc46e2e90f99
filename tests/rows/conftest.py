"""What tests of single rows start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.connectors.upstream import Serve, upstreams
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.rows.maildesk import MailDesk, a_mail_desk
from tests.web.conftest import agent, app, bare_desk, client, desk

__all__ = ["agent", "app", "bare_desk", "client", "desk", "mail_desk"]


@pytest.fixture
def mail_desk(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis
) -> Iterator[MailDesk]:
    """A desk whose mail goes to a real mail server."""
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url) as made:
        yield made


@pytest.fixture
def open_mail_desk(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis
) -> Iterator[MailDesk]:
    """One whose connections may reach servers on this machine."""
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url, ceiling="127.0.0.0/8") as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts real HTTP servers and stops them afterwards."""
    with upstreams() as start:
        yield start
