"""`./run`: set up what is missing, start the whole desk, say where it is, stop all of it on Ctrl-C."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run_tool.commands import complain, say
from run_tool.editor import build_editor
from run_tool.environment import environment
from run_tool.errors import CannotGoOn, Interrupted
from run_tool.places import Desk, desk_from, private_folder
from run_tool.redis_server import answers, redis_arguments, redis_server
from run_tool.supervise import Program, Supervisor

SOCKET_DEADLINE_S = 15
MIGRATE_TIMEOUT_S = 600
DEMO_TIMEOUT_S = 300
READY_DEADLINE_S = 60
WORKERS = ("drain", "scripts", "enrichment", "outbox", "clock")
WEB_PROCESSES = 2
WEB_THREADS = 8


def start(*, demo: bool) -> int:
    """Run the desk until a signal. Without `demo` a new desk stays empty; a desk that has started once keeps its kind.

    Raises CannotGoOn when something it cannot do without is missing; nothing is left running then.
    """
    desk = desk_from(dict(os.environ))
    private_folder(desk.data)
    with _only_one(desk):
        _port_is_free(desk)
        began = time.monotonic()
        python = environment()
        build_editor()
        # What was installed is no secret, and whoever runs the tests as root runs some of them as nobody. From here on
        # tickets and keys are written, which are for nobody else on this machine.
        os.umask(0o077)
        with_demo = _has_demo(desk, otherwise=demo)
        env = _environment(desk, python, with_demo)
        with Supervisor(env, desk.logs) as supervisor:
            try:
                _bring_up(supervisor, desk, python, with_demo)
                _greet(desk, time.monotonic() - began)
                supervisor.keep_up()
            except Interrupted:
                say("\nStopping ...")
    say("Stopped.")
    return 0


def _bring_up(supervisor: Supervisor, desk: Desk, python: Path, with_demo: bool) -> None:
    if desk.own_redis_socket is not None:
        private_folder(desk.own_redis_socket.parent)
        redis = desk.own_redis_socket
        supervisor.start(Program("redis", tuple(redis_arguments(redis_server(python), redis)), stops_last=True))
        if not supervisor.wait_for(lambda: answers(redis), deadline_s=SOCKET_DEADLINE_S):
            raise CannotGoOn(
                f"Redis gave no answer on {redis} within {SOCKET_DEADLINE_S} s. Everything is being stopped."
            )
    private_folder(desk.sandbox_socket.parent)
    supervisor.start(Program("sandbox", _python(python, "-m", "sandbox.service", "--socket", str(desk.sandbox_socket))))
    flask = _python(python, "-m", "flask", "--app", "wsgi")
    supervisor.run_once(Program("migrate", (*flask, "db", "upgrade")), timeout_s=MIGRATE_TIMEOUT_S)
    if not _started_before(desk):
        if with_demo:
            _load_demo(supervisor, desk, flask)
        else:
            _begin_with_defaults(supervisor, flask)
        _remember(desk, demo=with_demo)
    if with_demo:
        _let_the_demo_be_reached(supervisor.env, desk)
    supervisor.start(Program("web", _gunicorn(python, desk)))
    if with_demo:
        supervisor.start(Program("backoffice", _python(python, "-m", "jobs.backoffice"), needed=False))
    if not supervisor.wait_for(lambda: _ready(desk)[0], deadline_s=READY_DEADLINE_S):
        _, why = _ready(desk)
        if not why:
            raise CannotGoOn(
                f"The web server gave no answer within {READY_DEADLINE_S} s. Everything is being stopped; "
                f"its log is {desk.logs / 'web.log'}."
            )
        complain(f"Deskhand runs, but not everything is up: {why}")
    # After the web: on a small machine they would only slow each other down, and what comes in waits in the database.
    for worker in WORKERS:
        supervisor.start(Program(worker, _python(python, "-m", "jobs.worker", worker)))


def _load_demo(supervisor: Supervisor, desk: Desk, flask: tuple[str, ...]) -> None:
    begun = desk.data / "demo-loading"
    if begun.exists():
        say("Clearing a demo desk that was loaded half ...")
        try:
            supervisor.run_once(Program("demo", (*flask, "demo", "reset", "--yes")), timeout_s=DEMO_TIMEOUT_S)
        except CannotGoOn as error:
            complain(str(error))  # loading decides: it refuses a desk that is not empty
    say("Loading the demo desk ...")
    begun.touch()
    supervisor.run_once(Program("demo", (*flask, "demo", "load")), timeout_s=DEMO_TIMEOUT_S)
    begun.unlink()


def _begin_with_defaults(supervisor: Supervisor, flask: tuple[str, ...]) -> None:
    """A new desk has the tables that everybody wants; one that somebody filled already is left as it is."""
    try:
        supervisor.run_once(Program("defaults", (*flask, "rules", "defaults")), timeout_s=MIGRATE_TIMEOUT_S)
    except CannotGoOn as error:
        complain(str(error))


def _places(desk: Desk) -> Path:
    return desk.data / "demo" / "backoffice.json"


def _demo_ports(desk: Desk) -> tuple[list[int], int]:
    """Those of the systems in the demo's back office, and the one it is told things at.

    Raises OSError and ValueError where nothing can be read of them."""
    found = json.loads(_places(desk).read_text())
    try:
        return [int(port) for port in found["ports"].values()], int(found["control_port"])
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"it does not say its ports: {error!r}") from error


def _let_the_demo_be_reached(env: dict[str, str], desk: Desk) -> None:
    """Only the environment opens private addresses to connectors: here those of the demo's own back office.

    `env` is what programs that are started from now on find; it is changed."""
    try:
        ports, _ = _demo_ports(desk)
    except (OSError, ValueError) as error:
        complain(f"The demo's back office has no address ({_places(desk)}: {error}); what it knows cannot be asked.")
        return
    given = env.get("DESKHAND_ADDRESS_CEILING", "")
    allowed = [given] if given else []
    env["DESKHAND_ADDRESS_CEILING"] = ",".join([*allowed, *(f"127.0.0.1:{port}" for port in ports)])


def _greet(desk: Desk, took_s: float) -> None:
    say(f"\nDeskhand is ready ({took_s:.1f} s):  {desk.address}")
    sign_in = desk.data / "sign-in.txt"
    if sign_in.exists():
        say(sign_in.read_text().rstrip())
    else:
        say("Make your first account with:  .venv/bin/flask --app wsgi user add --help")
    say(f"Data and logs are in {desk.data}. Ctrl-C stops everything.\n")


def _python(python: Path, *args: str) -> tuple[str, ...]:
    return (str(python), *args)


def _gunicorn(python: Path, desk: Desk) -> tuple[str, ...]:
    options = {
        "bind": f"127.0.0.1:{desk.port}",
        "workers": str(WEB_PROCESSES),
        "worker-class": "gthread",
        "threads": str(WEB_THREADS),
        "timeout": "60",
        "graceful-timeout": "5",
        # A customer's page may be slow to read; idle keep-alive connections must not hold up a stop.
        "keep-alive": "5",
    }
    flags = tuple(part for key, value in options.items() for part in (f"--{key}", value))
    # No control socket: it would be one more door, in the home folder, that nobody uses. The application opens nothing
    # while it is imported, so the processes share one import.
    return _python(python, "-m", "gunicorn", *flags, "--preload", "--no-control-socket", "wsgi:app")


def _environment(desk: Desk, python: Path, with_demo: bool) -> dict[str, str]:
    env = {**os.environ, **desk.environment(), "PYTHONUNBUFFERED": "1"}
    env.setdefault("DESKHAND_DEMO", "true" if with_demo else "false")
    env["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    for name in ("PYTHONPATH", "PYTHONHOME"):
        env.pop(name, None)
    return env


@contextmanager
def _only_one(desk: Desk) -> Iterator[None]:
    """Two ./run on one data folder would share a database and fight over its sockets."""
    path = desk.data / "run.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise CannotGoOn(
                f"Deskhand runs already with the data in {desk.data} ({lock.read().strip() or 'another ./run'}). "
                "Nothing was started. Stop that one, or set DESKHAND_DATA_DIR and DESKHAND_PORT for a second desk."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {desk.address}")
        lock.flush()
        yield


def _port_is_free(desk: Desk) -> None:
    try:
        ports, control_port = _demo_ports(desk)
    except (OSError, ValueError):
        ports, control_port = [], 0  # there is no demo, or what is wrong with the file is said where it is needed
    if desk.port in (*ports, control_port):
        raise CannotGoOn(
            f"Port {desk.port} is one of the demo's back office ({_places(desk)}). Nothing was started. "
            "Choose another DESKHAND_PORT."
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", desk.port))
        except OSError as error:
            raise CannotGoOn(
                f"Port {desk.port} on 127.0.0.1 cannot be used ({error.strerror}): another program may have it. "
                f"Nothing was started. Choose another one, e.g.: DESKHAND_PORT={_another(desk.port)} ./run"
            ) from error


def _another(port: int) -> int:
    return port + 1 if port < 65535 else port - 1


def _ready(desk: Desk) -> tuple[bool, str]:
    """Whether /readyz says yes, and its words when it says no; no words: there was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == 200, answer.read(4096).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return False, ""
    finally:
        connection.close()


def _memory(desk: Desk) -> Path:
    return desk.data / "desk.json"


def _started_before(desk: Desk) -> bool:
    return _memory(desk).exists()


def _has_demo(desk: Desk, *, otherwise: bool) -> bool:
    try:
        return bool(json.loads(_memory(desk).read_text())["demo"])
    except FileNotFoundError:
        return otherwise
    except (ValueError, KeyError, TypeError) as error:
        raise CannotGoOn(
            f"{_memory(desk)} cannot be read ({error}). Nothing was started. "
            'It should be {"demo": true} for a desk with the demo, {"demo": false} for one without.'
        ) from error


def _remember(desk: Desk, *, demo: bool) -> None:
    """Written when the first start is through, so that one which was cut short begins anew."""
    draft = _memory(desk).with_suffix(".new")
    draft.write_text(json.dumps({"demo": demo}) + "\n")
    draft.replace(_memory(desk))
