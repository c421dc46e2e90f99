"""A demo desk for tests: its back office on free ports, and a few dozen tickets played once for all of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs import services
from jobs.demo import load, places
from jobs.demo.backoffice import BackOffice
from jobs.demo.places import Places
from jobs.services import Services
from jobs.settings import Settings
from tests.builders import FrozenClock
from tests.environment.databases import MakeDatabase
from tests.environment.ports import free_port
from tests.environment.sandbox import SandboxService

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TICKETS = 36


def made_places(folder: Path) -> Places:
    """Places on ports of their own: tests may run while a demo desk has the usual ones."""
    control, *others = (free_port() for _ in range(4))
    made = places.make(folder, today=NOW.date())
    file = places.path(folder)
    content = json.loads(file.read_text())
    file.write_text(
        json.dumps({**content, "control_port": control, "ports": dict(zip(made.ports, others, strict=True))})
    )
    return places.read(folder)


@pytest.fixture
def found(tmp_path: Path) -> Places:
    """The places of a back office that is not running yet."""
    return made_places(tmp_path)


@pytest.fixture
def office(found: Places) -> Iterator[BackOffice]:
    """A running back office; a slow system takes half a second."""
    running = BackOffice(found, slow_s=0.5)
    running.start()
    yield running
    running.stop()


def settings_for(folder: Path, database_url: str, socket_path: str = "", **more: Any) -> Settings:
    return Settings(
        data_dir=folder,
        database_url=database_url,
        redis_url=f"unix://{folder}/no-redis.sock",
        sandbox_socket=socket_path,
        demo=True,
        script_wall_s=45,  # the most there is: a busy machine takes its time
        **more,
    )


@dataclass(frozen=True)
class Played:
    """A loaded demo desk: its folder and what `load` told."""

    folder: Path
    database: Path
    socket: str
    loaded: load.Loaded


@pytest.fixture(scope="session")
def played(
    tmp_path_factory: pytest.TempPathFactory, make_database: MakeDatabase, sandbox_service: SandboxService
) -> Played:
    """A demo desk with TICKETS tickets, loaded once; tests that change it take `desk`."""
    folder = tmp_path_factory.mktemp("demo")
    made_places(folder)
    url = make_database("sqlite")
    built = services.build(settings_for(folder, url, str(sandbox_service.socket)), clock=FrozenClock(NOW))
    loaded = load.load(built, lambda password: f"hash of {password}", count=TICKETS)
    built.close()
    return Played(folder, Path(url.removeprefix("sqlite:///")), str(sandbox_service.socket), loaded)


@pytest.fixture
def desk(played: Played, tmp_path: Path) -> Iterator[Services]:
    """A copy of the played desk that only this test has, with its own clock at the end of the history."""
    data = tmp_path / "data"
    shutil.copytree(played.folder, data)
    for suffix in ("", "-wal", "-shm"):
        source = played.database.with_name(played.database.name + suffix)
        if source.exists():
            shutil.copyfile(source, data / f"desk.db{suffix}")
    found = places.read(data)
    settings = settings_for(data, f"sqlite:///{data}/desk.db", played.socket, address_ceiling=",".join(found.addresses))
    built = services.build(settings, clock=FrozenClock(NOW))
    yield built
    built.close()
