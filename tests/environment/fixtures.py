"""Fixtures every test may use. The servers behind them start when a test first asks.

`database` runs a test once on SQLite and once on PostgreSQL (the second with `./run test` or `-m postgres` only).
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_client
from hypothesis import settings
from playwright.sync_api import Browser, expect, sync_playwright

from run_tool.testing import CHROMIUM_NAMES
from tests.environment.absent import absent
from tests.environment.databases import Kind, MakeDatabase, PostgresDatabases, SqliteDatabases, postgres_server
from tests.environment.memory import home
from tests.environment.passwords import hash_passwords_cheaply
from tests.environment.patience import PATIENCE_MS
from tests.environment.redis import RedisServer
from tests.environment.routes import compile_addresses_once
from tests.environment.sandbox import SandboxService
from tests.environment.statements import compile_statements_once
from tests.environment.templates import compile_templates_once
from tests.environment.together import folder_of_the_run
from tickets.db import Database

#: No sandbox of its own (tests run as root in containers) and no traffic of its own. What paints is a thread and no
#: process, as there is no graphics card to be guarded from: a twentieth less of the processor. Each person's browser
#: has one process for its pages, and none is kept ready for a page that few tests open: an eighth less.
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --in-process-gpu --renderer-process-limit=1 --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --disable-domain-reliability"
).split()


def pytest_configure(config: pytest.Config) -> None:
    # The same examples in every run, as Hypothesis has them in CI: what fails was changed, and not drawn by chance.
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("ci")
    compile_addresses_once()
    compile_statements_once()
    hash_passwords_cheaply()
    compile_templates_once(folder_of_the_run(config))


@pytest.fixture(autouse=True)
def ctrl_c_still_stops_the_tests() -> Iterator[None]:
    """Workers take over signals when a test runs one in this process; afterwards they are pytest's again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """This session's Redis server. A test that stops or kills it starts it again."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[redis_client.Redis]:
    """A client of this session's Redis server, which is empty when the test begins."""
    redis_server.start()
    client = redis_client.Redis.from_url(redis_server.url, driver_info=None)  # as jobs.services connects
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of this session's PostgreSQL server; ask `make_database("postgres")` for a database on it."""
    with postgres_server(home()) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator[PostgresDatabases]:
    """The maker behind `make_database("postgres")`; it drops what it made before the server goes."""
    databases = PostgresDatabases(postgres_url)
    yield databases
    databases.drop_all()


@pytest.fixture(scope="session")
def make_database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> MakeDatabase:
    """Makes databases: `make_database("sqlite")`, `make_database("postgres", migrated=False)`; each is a new one's URL.

    For modules that share one database over their tests; a test that wants its own takes `database`."""
    sqlite = SqliteDatabases(tmp_path_factory.mktemp("sqlite"), folder_of_the_run(request.config))

    def make(kind: Kind, *, migrated: bool = True, like: str = "") -> str:
        if kind == "sqlite":
            return sqlite.make(migrated=migrated, like=like)
        postgres: PostgresDatabases = request.getfixturevalue("postgres_databases")
        return postgres.make(migrated=migrated, like=like)

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """sqlite, then postgres: a test that asks for this runs on both."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def database_url(database_kind: Kind, make_database: MakeDatabase, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated database that only this test has."""
    yield from lent(make_database, database_kind, request, migrated=True)


@pytest.fixture
def empty_database_url(
    database_kind: Kind, make_database: MakeDatabase, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a database with no table in it, for tests of the migrations."""
    yield from lent(make_database, database_kind, request, migrated=False)


def lent(make: MakeDatabase, kind: Kind, request: pytest.FixtureRequest, *, migrated: bool) -> Iterator[str]:
    """A database until its test is over: hundreds of PostgreSQL's would fill the place that they are in."""
    url = make(kind, migrated=migrated)
    if kind == "sqlite":
        yield url
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    yield url
    databases.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database that only this test has, once on SQLite and once on PostgreSQL."""
    handle = Database(database_url)
    yield handle
    handle.close()


@pytest.fixture
def sqlite_database(make_database: MakeDatabase) -> Iterator[Database]:
    """A migrated SQLite database that only this test has, where the kind of database does not matter."""
    handle = Database(make_database("sqlite"))
    yield handle
    handle.close()


@pytest.fixture(scope="session")
def sandbox_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxService]:
    """This session's sandbox service; `sandbox.client.Sandbox(sandbox_service.socket)` talks to it."""
    service = SandboxService(tmp_path_factory.mktemp("sandbox"))
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium binary of this machine."""
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        absent("no Chromium here (./run test installs it when root, else apt-get install chromium)")
    return Path(found)


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """This session's Chromium, for all tests that drive pages: Playwright runs once per process, not twice."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(chromium), headless=True, args=CHROMIUM_FLAGS, timeout=PATIENCE_MS
        )
        expect.set_options(timeout=PATIENCE_MS)
        yield started
        started.close()
