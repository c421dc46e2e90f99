"""What tests of single rows start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.rows.maildesk import MailDesk, a_mail_desk
from tests.web.conftest import agent, app, client, compiled_templates, desk

__all__ = ["agent", "app", "client", "compiled_templates", "desk", "mail_desk"]


@pytest.fixture
def mail_desk(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis
) -> Iterator[MailDesk]:
    """A desk whose mail goes to a real mail server."""
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url) as made:
        yield made
