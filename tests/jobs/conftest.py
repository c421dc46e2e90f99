"""The desks that tests of `jobs` work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.services import Services
from tests.connectors.upstream import Upstream, as_json
from tests.environment.sandbox import SandboxService
from tests.jobs.dana import a_ticket_of_dana
from tests.jobs.desk import a_desk_with_a_crm, a_working_desk, ana
from tests.jobs.sink import MailSink, a_mail_sink
from tests.rows.changes import Crm
from tickets.people import Viewer


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Services on a database of this test's own, SQLite and PostgreSQL; Redis is away."""
    with a_working_desk(database_url, tmp_path) as services:
        yield services


@pytest.fixture
def viewer(desk: Services) -> Viewer:
    """Ana, who edits rules."""
    return ana(desk)


@pytest.fixture
def scripting_desk(database_url: str, tmp_path: Path, sandbox_service: SandboxService) -> Iterator[Services]:
    """A desk that runs scripts and has no connections."""
    with a_working_desk(database_url, tmp_path, sandbox_socket=str(sandbox_service.socket)) as services:
        yield services


@pytest.fixture
def dana(desk: Services) -> int:
    """A ticket of Dana's with everything that can hang on one; its number."""
    return a_ticket_of_dana(desk)


@pytest.fixture
def sink() -> Iterator[MailSink]:
    """A mail server that keeps what it is given."""
    with a_mail_sink() as found:
        yield found


@pytest.fixture
def crm() -> Iterator[Upstream]:
    """A CRM in which everybody is one gold customer."""
    server = Upstream(lambda _: as_json([{"id": "c1", "name": "Camille", "tier": "gold"}]))
    yield server
    server.close()


@pytest.fixture
def crm_desk(database_url: str, tmp_path: Path, crm: Upstream, sandbox_service: SandboxService) -> Iterator[Services]:
    """A desk that may read this CRM, and runs scripts."""
    with a_desk_with_a_crm(database_url, tmp_path, crm.url, str(sandbox_service.socket)) as services:
        yield services


@pytest.fixture
def notes() -> Crm:
    """A CRM that takes notes."""
    return Crm()


@pytest.fixture
def noting_desk(database_url: str, tmp_path: Path, notes: Crm, sandbox_service: SandboxService) -> Iterator[Services]:
    """A desk that has that one, and runs scripts; whether it may write there is for the test to say."""
    server = Upstream(notes)
    with a_desk_with_a_crm(database_url, tmp_path, server.url, str(sandbox_service.socket)) as services:
        yield services
    server.close()
