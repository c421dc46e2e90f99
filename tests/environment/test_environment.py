"""The ground the other tests stand on is what it claims to be."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import inspect, make_url, text
from werkzeug.exceptions import HTTPException

from run_tool import postgres_server
from tests.environment.applications import lent
from tests.environment.databases import Kind, MakeDatabase, PostgresDatabases
from tests.environment.loopback import OutsideThisMachine
from tests.environment.redis import RedisServer
from tests.environment.together import made_once
from tests.web.desk import a_desk
from tickets import migrate
from tickets.db import Database
from web.context import EXTENSION


def test_the_redis_server_is_on_a_socket_only_we_can_reach(
    redis: redis_client.Redis, redis_server: RedisServer
) -> None:
    redis.set("a", "1")
    assert redis.get("a") == b"1"
    assert redis.config_get("port") == {"port": "0"}
    assert redis_server.socket.parent.stat().st_mode & 0o777 == 0o700
    assert redis_server.socket.stat().st_mode & 0o777 == 0o600


def test_each_test_finds_redis_empty(redis: redis_client.Redis) -> None:
    assert redis.dbsize() == 0
    redis.set("left behind", "1")


def test_each_test_finds_redis_empty_again(redis: redis_client.Redis) -> None:
    assert redis.dbsize() == 0


def test_a_killed_redis_server_comes_back_empty(redis_server: RedisServer) -> None:
    client = redis_client.Redis.from_url(redis_server.url)
    client.set("a", "1")
    redis_server.kill()
    with pytest.raises(redis_client.ConnectionError):
        client.get("a")
    redis_server.start()
    assert client.get("a") is None
    client.close()


def test_a_database_is_migrated_to_this_version(database: Database) -> None:
    with database.read() as connection:
        assert migrate.current(connection) == migrate.head()
    assert "items" in inspect(database.engine).get_table_names()


def test_each_test_gets_a_database_of_its_own(make_database: MakeDatabase, database_kind: Kind) -> None:
    first, second = Database(make_database(database_kind)), Database(make_database(database_kind))
    with first.write() as connection:
        connection.execute(text("CREATE TABLE only_here (id INTEGER)"))
    assert "only_here" in inspect(first.engine).get_table_names()
    assert "only_here" not in inspect(second.engine).get_table_names()
    first.close()
    second.close()


def test_an_empty_database_has_no_table(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    assert inspect(database.engine).get_table_names() == []
    database.close()


@pytest.mark.postgres
@pytest.mark.skipif("DESKHAND_TEST_PG_URL" in os.environ, reason="somebody else's server")
def test_our_postgresql_does_not_run_as_root(make_database: MakeDatabase) -> None:
    database = Database(make_database("postgres"))
    with database.read() as connection:
        server_pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        assert Path(f"/proc/{server_pid}").stat().st_uid != 0
    database.close()


@pytest.mark.postgres
def test_a_database_is_dropped_when_its_test_is_over(postgres_databases: PostgresDatabases) -> None:
    """Also when somebody is still connected."""
    url = postgres_databases.make()
    other = Database(postgres_databases.make())
    left_open = Database(url)
    with left_open.read() as connection:
        connection.execute(text("SELECT 1"))
    postgres_databases.drop(url)
    with other.read() as connection:
        names = set(connection.execute(text("SELECT datname FROM pg_database")).scalars())
    assert make_url(url).database not in names
    assert make_url(other.url).database in names
    left_open.close()
    other.close()


def test_what_a_killed_run_left_of_its_server_is_cleared_and_a_living_one_is_not(tmp_path: Path) -> None:
    gone, living, starting, other = (
        tmp_path / name for name in ("deskhand-pg-1", "deskhand-pg-2", "deskhand-pg-3", "x")
    )
    for folder, pid in ((gone, 2**30), (living, os.getpid()), (starting, 0), (other, 2**30)):
        (folder / "data").mkdir(parents=True)
        if pid:
            (folder / "data" / "postmaster.pid").write_text(f"{pid}\n{folder}\n")
        if folder != starting:
            os.utime(folder, (1, 1))
    postgres_server._clear(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"deskhand-pg-2", "deskhand-pg-3", "x"}


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("169.254.169.254", 80)])
def test_a_test_cannot_reach_another_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as connection, pytest.raises(OutsideThisMachine):
        connection.connect(address)


def test_a_test_can_reach_a_server_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_an_application_is_lent_again_unless_a_test_changed_it(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: redis_client.Redis
) -> None:
    desks = [a_desk(make_database("sqlite"), tmp_path / str(at), redis_server.url) for at in range(4)]
    with lent(desks[0].services) as first:
        # An error of each kind: Flask looks for its handler.
        assert first.test_client().get("/nonsense").status_code == 404
        assert first.test_client().post("/sign-in").status_code == 400
    with lent(desks[1].services) as second:
        assert second is first
        assert second.extensions[EXTENSION] is desks[1].services
        second.error_handler_spec[None][418][HTTPException] = lambda _error: ("tea", 200)
    with lent(desks[2].services) as third:
        assert third is not first
        third.view_functions["signin.page"] = lambda: "nobody signs in"
    with lent(desks[3].services) as fourth:
        assert fourth not in (first, third)
    for desk in desks:
        desk.services.close()


def test_what_the_workers_of_a_run_share_is_made_by_the_first_and_never_there_by_halves(tmp_path: Path) -> None:
    made: list[Path] = []

    def breaks(path: Path) -> None:
        path.write_text("half")
        raise OSError("no room left")

    def makes(path: Path) -> None:
        made.append(path)
        path.write_text("whole")

    shared = tmp_path / "template.db"
    with pytest.raises(OSError, match="no room left"):
        made_once(shared, breaks)
    assert not shared.exists()
    assert [made_once(shared, makes).read_text() for _ in range(2)] == ["whole", "whole"]
    assert len(made) == 1
