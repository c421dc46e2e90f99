"""docs/operations.md: the systemd units there are ones, and what they start becomes ready and ends when asked to."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from jobs.queues import Work
from jobs.services import connect_redis
from jobs.settings import Settings
from jobs.worker import STOP_DEADLINE_S
from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from sandbox.client import Sandbox
from tests.builders import a_desk, a_ticket
from tests.environment.databases import MakeDatabase
from tests.environment.ports import free_port
from tests.environment.redis import RedisServer
from tickets.db import Database

PAGE = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = dict(re.findall(r"^```ini\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
ENVIRON = "/etc/deskhand/environ"
UNITS = {Path(name).name: text for name, text in BLOCKS.items() if name.startswith("/etc/systemd/system/")}
FILES = dict(re.findall(r"^```(?:dockerfile|yaml)\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
CONTAINERFILE, COMPOSE = FILES["Containerfile"], yaml.safe_load(FILES["compose.yaml"])
#: The only words of systemd that are newer than 252, and ignored by it.
NEWER = ("RestartSteps", "RestartMaxDelaySec")
DEADLINE_S = 60


def _environ() -> dict[str, str]:
    return dict(line.split("=", 1) for line in BLOCKS[ENVIRON].splitlines())


def _service(name: str) -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNITS[name])
    return unit["Service"]


def _instances() -> list[str]:
    return re.findall(r"deskhand@(\w+)", UNITS["deskhand@.service"].splitlines()[0])


def test_there_is_a_unit_for_every_process_but_the_servers() -> None:
    assert set(UNITS) == {"deskhand-sandbox.service", "deskhand@.service", "deskhand-web.service"}
    assert _instances() == [*Work, "clock"]


def test_the_environment_has_only_settings_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**_environ(), "DESKHAND_SECRET_FILE": str(tmp_path / "secrets.json")}.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environ().sandbox == "/run/deskhand/sandbox.sock"


@pytest.mark.parametrize("name", ["DESKHAND_PORT", "deskhand_port", "Deskhand_Port"])
def test_a_setting_is_found_however_its_name_is_written_also_where_it_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in [one for one in os.environ if one.upper().startswith("DESKHAND_")]:
        monkeypatch.delenv(other)
    assert Settings().port == 8421
    monkeypatch.setenv(name, "9001")
    assert Settings().port == 9001


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_about_a_unit(name: str, tmp_path: Path) -> None:
    # What is not on this machine is put in its place: the user, the code.
    text = UNITS[name].replace("/opt/deskhand/.venv/bin/python", sys.executable).replace("/opt/deskhand", str(ROOT))
    (tmp_path / name).write_text(text.replace("User=deskhand", "User=root"))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, timeout=60
    )
    said = [line for line in told.stderr.splitlines() if name in line and not any(one in line for one in NEWER)]
    assert (told.returncode, said) == (0, [])


# Containers --------------------------------------------------------------------------------------------------------


def _unit_commands() -> set[str]:
    """What the units start, each as its whole command line, with the web where a container has it."""
    lines = {_service(name)["ExecStart"] for name in UNITS if name != "deskhand@.service"}
    lines |= {_service("deskhand@.service")["ExecStart"].replace("%i", one) for one in _instances()}
    return {line.removeprefix("/opt/deskhand/").replace("127.0.0.1:8421", "0.0.0.0:8421") for line in lines}


def test_a_container_starts_what_a_unit_starts_with_the_same_environment_and_time_to_end() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"upgrade", "sandbox", "web", "clock", *Work}
    upgrade = services.pop("upgrade")
    assert {one["command"] for one in services.values()} == _unit_commands()
    assert (upgrade["command"], upgrade["restart"]) == (".venv/bin/flask --app wsgi db upgrade", "no")
    for name, one in services.items():
        assert (one["restart"], one["init"], one["env_file"]) == ("always", True, ENVIRON), name
        assert one["stop_grace_period"] == _service("deskhand@.service")["TimeoutStopSec"], name
        assert float(one["stop_grace_period"].removesuffix("s")) > STOP_DEADLINE_S, name
    assert services["web"]["ports"] == [f"127.0.0.1:{Settings().port}:8421"]


def test_every_folder_that_the_environment_names_is_there_in_a_container_and_belongs_to_its_user() -> None:
    mounted = {Path(one.split(":")[1]) for one in COMPOSE["services"]["web"]["volumes"]}
    given = _environ()
    assert {
        Path(given["DESKHAND_SANDBOX_SOCKET"]).parent,
        Path(given["DESKHAND_DATA_DIR"]),
        Path(given["DESKHAND_SECRET_FILE"]),
    } == mounted
    named = {one.split(":")[0] for one in COMPOSE["services"]["web"]["volumes"] if not one.startswith("/")}
    assert named == set(COMPOSE["volumes"])
    made = re.search(r"install -d -o (\w+) -m 0700 (.+)$", CONTAINERFILE, re.MULTILINE)
    assert made
    assert set(made[2].split()) == {"/opt/deskhand", *(str(one) for one in mounted if one.suffix == "")}
    user, workdir = (re.search(rf"^{word} (.+)$", CONTAINERFILE, re.MULTILINE) for word in ("USER", "WORKDIR"))
    assert user
    assert workdir
    assert (user[1], workdir[1]) == (made[1], _service("deskhand@.service")["WorkingDirectory"])


def test_the_image_is_made_by_functions_that_there_are_on_a_python_that_will_do() -> None:
    version = re.search(r"^FROM python:(\d+)\.(\d+)-slim$", CONTAINERFILE, re.MULTILINE)
    assert version
    assert (3, 11) <= (int(version[1]), int(version[2])) < (3, 14)
    code = re.search(r'^RUN python -c "(.+)"$', CONTAINERFILE, re.MULTILINE)
    assert code
    calls = [one for one in ast.walk(ast.parse(code[1])) if isinstance(one, ast.Call)]
    for call in calls:
        module, _, function = ast.unparse(call.func).partition(".")
        found = getattr(importlib.import_module(f"run_tool.{module}"), function)
        inspect.signature(found).bind()  # without arguments
    assert len(calls) == 2


@contextmanager
def started(unit: str, environ: dict[str, str], places: dict[str, str], instance: str = "") -> Iterator[None]:
    """What ExecStart of this unit starts, as systemd does it; in the end it ends in time, and well."""
    service = _service(unit)
    line = service["ExecStart"].replace("%i", instance)
    for name, here in places.items():
        line = line.replace(name, here)
    process = subprocess.Popen(
        shlex.split(line),
        cwd=ROOT,
        env={**os.environ, **environ},
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        yield
        assert process.poll() is None, f"{line} ended by itself"
        process.send_signal(signal.SIGTERM)
        assert process.wait(float(service["TimeoutStopSec"].removesuffix("s"))) == 0, line
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.slow
def test_what_the_units_start_becomes_ready_and_ends_when_asked_to(
    tmp_path: Path, make_database: MakeDatabase, redis_server: RedisServer
) -> None:
    redis_server.start()
    url, port = make_database("sqlite"), free_port()
    run = tmp_path / "run"
    run.mkdir(mode=0o700)  # RuntimeDirectory
    environ = {
        **_environ(),
        "DESKHAND_DATABASE_URL": url,
        "DESKHAND_REDIS_URL": redis_server.url,
        "DESKHAND_SECRET_FILE": str(tmp_path / "secrets.json"),
        "DESKHAND_SANDBOX_SOCKET": str(run / "sandbox.sock"),
        "DESKHAND_DATA_DIR": str(tmp_path / "state"),
        "DESKHAND_SECURE_COOKIES": "false",
    }
    places = {
        "/opt/deskhand/.venv/bin/python": sys.executable,
        "/run/deskhand": str(run),
        "127.0.0.1:8421": f"127.0.0.1:{port}",
    }
    redis = connect_redis(redis_server.url)
    redis.flushall()
    database = Database(url)
    a_desk(database)
    with ExitStack() as stack:
        stack.enter_context(started("deskhand-sandbox.service", environ, places))
        stack.enter_context(started("deskhand@.service", environ, places, "clock"))
        a_ticket(database)  # nobody is told; the clock finds it
        until(lambda: redis.llen("rq:queue:drain"))
        redis.flushall()
        for kind in Work:
            stack.enter_context(started("deskhand@.service", environ, places, kind))
        stack.enter_context(started("deskhand-web.service", environ, places))
        until(lambda: redis.scard("rq:workers") == len(Work))
        until(lambda: _answers(f"http://127.0.0.1:{port}/healthz"))
        until(Sandbox(run / "sandbox.sock").health)
    database.close()
    redis.close()
