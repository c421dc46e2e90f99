"""/readyz: what is missing, in words that say what to do, and no 200 until it is there."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.services import Services, build
from jobs.settings import Settings
from sandbox.client import Sandbox
from sandbox.service import REQUIRED
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.environment.sandbox import SandboxService
from tests.sandbox.hosts import a_host, wait_until
from tests.sandbox.test_service import WITHOUT
from tests.web.desk import Desk
from tickets import migrate
from web import create_app


def ready(services: Services) -> tuple[int, dict[str, Any]]:
    answer = create_app(services).test_client().get("/readyz")
    body: dict[str, Any] = answer.json or {}
    return answer.status_code, body


def missing(body: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["todo"] for one in body["missing"]}


def test_without_a_database_it_is_not_ready_and_says_what_to_check(
    tmp_path: Path, redis_server: RedisServer, sandbox_service: SandboxService
) -> None:
    url = f"postgresql+psycopg://nobody@/nothing?host={tmp_path}&connect_timeout=2"
    chosen = Settings(
        data_dir=tmp_path, database_url=url, redis_url=redis_server.url, sandbox_socket=str(sandbox_service.socket)
    )
    services = build(chosen)
    try:
        status, body = ready(services)
        assert create_app(services).test_client().get("/healthz").status_code == 200  # a restart would not cure it
    finally:
        services.close()
    assert status == 503
    assert missing(body) == {"database": "check that it runs and that DESKHAND_DATABASE_URL is right"}
    assert (body["status"], body["oldest_due_s"]) == ("not ready", None)
    assert str(tmp_path) not in str(body)


@pytest.mark.parametrize("schema", [pytest.param(None, marks=pytest.mark.slow), *migrate.revisions()[-2:-1]])
def test_with_an_old_schema_or_none_it_is_not_ready_until_it_is_upgraded(
    make_database: MakeDatabase,
    tmp_path: Path,
    redis_server: RedisServer,
    sandbox_service: SandboxService,
    schema: str | None,
) -> None:
    url = make_database("sqlite", migrated=False)
    if schema is not None:
        migrate.upgrade(url, schema)
    chosen = Settings(
        data_dir=tmp_path, database_url=url, redis_url=redis_server.url, sandbox_socket=str(sandbox_service.socket)
    )
    services = build(chosen)
    try:
        status, body = ready(services)
        assert (status, missing(body)) == (503, {"database": "flask db upgrade"})
        migrate.upgrade(url)
        assert ready(services)[0] == 200
    finally:
        services.close()


@pytest.mark.slow
def test_without_a_layer_that_the_sandbox_requires_it_is_not_ready_and_says_where_to_read(
    sandboxed_desk: Desk,
) -> None:
    with a_host(command=[sys.executable, WITHOUT, "seccomp"]) as host:
        wait_until(lambda: host.sandbox.health().reason != "The zygote is starting")
        status, body = ready(replace(sandboxed_desk.services, sandbox=Sandbox(host.path)))
    assert status == 503
    assert missing(body)["sandbox"] == "docs/threats.md says what each layer needs"
    assert (
        {"sandbox", "sandbox: seccomp"} <= set(missing(body)) <= {"sandbox", *(f"sandbox: {one}" for one in REQUIRED)}
    )


@pytest.mark.slow
def test_without_a_layer_that_it_can_do_without_it_is_ready_and_says_so(sandboxed_desk: Desk) -> None:
    """The twin of the test above."""
    with a_host(command=[sys.executable, WITHOUT, "landlock"]) as host:
        wait_until(lambda: host.sandbox.health().ready)
        status, body = ready(replace(sandboxed_desk.services, sandbox=Sandbox(host.path)))
    assert (status, body["missing"]) == (200, [])
    assert body["parts"]["sandbox: landlock"] == "warning"


def test_an_event_that_waits_too_long_is_told_and_takes_no_web_out_of_service(sandboxed_desk: Desk) -> None:
    """A worker is missing, not a web: whoever took it away would have nothing that answers."""
    sandboxed_desk.ticket()
    sandboxed_desk.clock.move(minutes=30)
    status, body = ready(sandboxed_desk.services)
    assert (status, body["oldest_due_s"]) == (200, 1800)
    sandboxed_desk.work()
    assert ready(sandboxed_desk.services)[1]["oldest_due_s"] == 0
