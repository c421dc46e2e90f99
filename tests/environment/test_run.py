"""What ./run says when it cannot go on, and that it then has done nothing."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_tool import environment, start, testing
from run_tool.errors import CannotGoOn
from run_tool.places import LOCKS, ROOT, desk_from
from run_tool.redis_server import redis_server
from tests.environment.nobody import NOBODY
from tests.environment.ports import free_port

#: A package index that nobody answers at, for pip and for uv, whatever this machine is set up with.
NO_INDEX = {
    "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_RETRIES": "0",
}


def no_index(data: Path) -> dict[str, str]:
    """An environment without an index, for a desk in `data` on a port that no desk of somebody else has."""
    return NO_INDEX | {"DESKHAND_DATA_DIR": str(data), "DESKHAND_PORT": str(free_port())}


def run(*args: str, env: dict[str, str], user: int | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`./run ARGS` with only what `env` says of Deskhand in the environment."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")}
    return subprocess.run(
        [cwd / "run", *args],
        env=plain | env,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        user=user,
        group=user,
    )


def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(env={"DESKHAND_PORT": str(port), "DESKHAND_DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used (Address already in use)" in done.stderr
    assert f"DESKHAND_PORT={port + 1} ./run" in done.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["run.lock"]


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"ports": {"crm": "x"}, "control_port": 1}', '{"ports": [1]}', None])
def test_a_back_office_that_says_no_ports_is_named_and_the_desk_goes_on_without_it(
    tmp_path: Path, kept: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = desk_from({"DESKHAND_PORT": str(free_port()), "DESKHAND_DATA_DIR": str(tmp_path)})
    places = tmp_path / "demo" / "backoffice.json"
    places.parent.mkdir()
    if kept is not None:
        places.write_text(kept)
    start._port_is_free(desk)
    env = {"DESKHAND_ADDRESS_CEILING": "10.0.0.1:80"}
    start._let_the_demo_be_reached(env, desk)
    assert env == {"DESKHAND_ADDRESS_CEILING": "10.0.0.1:80"}
    assert f"The demo's back office has no address ({places}: " in capsys.readouterr().err


def test_the_ports_of_the_demos_back_office_are_opened_to_connectors(tmp_path: Path) -> None:
    desk = desk_from({"DESKHAND_DATA_DIR": str(tmp_path)})
    places = tmp_path / "demo" / "backoffice.json"
    places.parent.mkdir()
    places.write_text('{"ports": {"crm": 18471, "erp": 18472}, "control_port": 18470}')
    env = {"DESKHAND_ADDRESS_CEILING": "10.0.0.1:80"}
    start._let_the_demo_be_reached(env, desk)
    assert env == {"DESKHAND_ADDRESS_CEILING": "10.0.0.1:80,127.0.0.1:18471,127.0.0.1:18472"}


def test_the_port_of_the_demos_back_office_is_refused_before_anything_starts(tmp_path: Path) -> None:
    kept = tmp_path / "data" / "demo" / "backoffice.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"ports": {"crm": 18471, "erp": 18472, "billing": 18473}, "control_port": 18470}')
    for port in ("18470", "18473"):
        done = run(env={"DESKHAND_PORT": port, "DESKHAND_DATA_DIR": str(tmp_path / "data")})
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Port {port} is one of the demo's back office ({kept}). Nothing was started." in done.stderr
    assert names(tmp_path / "data") == {"run.lock", "demo", "demo/backoffice.json"}


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "٣"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path) -> None:
    with pytest.raises(CannotGoOn, match=f"DESKHAND_PORT is '{port}'"):
        desk_from({"DESKHAND_PORT": port, "DESKHAND_DATA_DIR": str(tmp_path / "data")})
    assert not (tmp_path / "data").exists()


def test_what_is_refused_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    done = run(env={"DESKHAND_PORT": "٣", "DESKHAND_DATA_DIR": str(tmp_path / "data")})
    assert (done.returncode, done.stdout) == (1, "")
    assert "DESKHAND_PORT is '٣'" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as somebody else")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = run(env={"DESKHAND_DATA_DIR": "/proc/data"}, user=NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"/proc/data cannot be written \(.+\)\. Nothing was started\.", done.stderr)


def test_a_command_it_does_not_know_is_answered_with_those_it_knows() -> None:
    done = run("tset", env={})
    assert done.returncode == 2
    assert "does not know 'tset'" in done.stderr
    assert "./run test [ARGS]" in done.stderr


def test_help_names_every_command_that_stays() -> None:
    done = run("help", env={})
    assert done.returncode == 0
    for command in ("test", "check", "bench", "chaos", "mutate", "lock", "help"):
        assert f"./run {command}" in done.stdout


def test_an_old_python_is_named_with_what_to_install(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$1" in -V) echo "Python 3.9.2";; *) exit 1;; esac\n')
    old.chmod(0o755)
    for tool in ("dirname", "sh"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = run(env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "Deskhand needs Python 3.11, 3.12 or 3.13, and none is on PATH (python3 here: Python 3.9.2)" in done.stderr
    assert "Nothing was changed." in done.stderr


def test_two_desks_cannot_share_one_folder(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "run.lock").open("w") as lock:
        lock.write("process 1, http://127.0.0.1:8421")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(env={"DESKHAND_DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 1
    assert "Deskhand runs already" in done.stderr
    assert "(process 1, http://127.0.0.1:8421)" in done.stderr
    assert "Nothing was started" in done.stderr


def test_everything_a_desk_keeps_is_in_its_data_folder(tmp_path: Path) -> None:
    desk = desk_from({"DESKHAND_DATA_DIR": str(tmp_path)})
    assert desk.database_url == f"sqlite:///{tmp_path}/deskhand.db"
    assert desk.redis_url == f"unix://{tmp_path}/redis/redis.sock"
    assert (desk.sandbox_socket, desk.secret_file) == (tmp_path / "sandbox/sandbox.sock", tmp_path / "secrets.json")


def test_a_deep_folder_gets_sockets_the_kernel_accepts() -> None:
    deep = "/srv/" + "/".join(["folder"] * 20)
    desk = desk_from({"DESKHAND_DATA_DIR": deep})
    other = desk_from({"DESKHAND_DATA_DIR": deep + "/other"})
    assert desk.own_redis_socket is not None
    assert len(str(desk.own_redis_socket)) < 100
    assert len(str(desk.sandbox_socket)) < 100
    assert desk.own_redis_socket != other.own_redis_socket


def test_somebody_elses_redis_is_not_started() -> None:
    desk = desk_from({"DESKHAND_REDIS_URL": "redis://10.0.0.1/0"})
    assert (desk.redis_url, desk.own_redis_socket) == ("redis://10.0.0.1/0", None)


def test_there_is_a_redis_server_for_this_python(tmp_path: Path) -> None:
    said = subprocess.run([redis_server(Path(sys.executable)), "--version"], capture_output=True, text=True, timeout=60)
    assert said.stdout.startswith("Redis server v=")


@pytest.mark.parametrize("lock", [ROOT / "requirements.lock", ROOT / "requirements-dev.lock", *LOCKS.glob("*.lock")])
def test_a_lock_has_hashes_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    pinned = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    hashed = re.findall(r"^[\w.-]+==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert pinned
    assert len(pinned) == len(hashed)
    assert not re.search(r"https?://|--index|--find-links|--extra-index", text)


def test_the_development_lock_has_what_the_product_runs_on() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_a_benchmark_that_is_not_there_is_named() -> None:
    done = run("bench", "nosuch", env={})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "There is no tests/bench/nosuch.py in this checkout, so nothing was run." in done.stderr


# A checkout of its own, in which nothing was ever installed -------------------------------------------------------


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What `./run` needs of a checkout before it has an environment, where any user may look."""
    with tempfile.TemporaryDirectory(prefix="deskhand-checkout-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        shutil.copy(ROOT / "run", folder)
        for lock in ROOT.glob("requirements*.lock"):
            shutil.copy(lock, folder)
        for part in ("run_tool", "web/assets"):
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        yield folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_the_python_that_made_the_environment_goes_on_with_it(tmp_path: Path) -> None:
    """Else two ./run that see different Pythons make .venv anew in turns, under the feet of what runs there."""
    shutil.copy(ROOT / "run", tmp_path)
    tool = tmp_path / "run_tool" / "__main__.py"
    tool.parent.mkdir()
    tool.write_text("import sys\nprint(sys.executable)")
    pythons = {name: tmp_path / name / "python3" for name in ("first on path", "made it", "given")}
    for python in pythons.values():
        python.parent.mkdir()
        python.symlink_to(Path(sys.executable).resolve())
    made_with = tmp_path / ".venv" / "pyvenv.cfg"
    made_with.parent.mkdir()
    path = {"PATH": f"{pythons['first on path'].parent}:{os.environ['PATH']}"}

    def chosen(**env: str) -> str:
        return run(env=path | env, cwd=tmp_path).stdout.strip()

    assert chosen() == str(pythons["first on path"])
    made_with.write_text(f"home = /nowhere\nexecutable = {pythons['made it']}\ncommand = x\n")
    assert chosen() == str(pythons["made it"])
    assert chosen(DESKHAND_PYTHON=str(pythons["given"])) == str(pythons["given"])
    pythons["made it"].unlink()
    assert chosen() == str(pythons["first on path"])


@pytest.mark.slow
def test_without_a_network_it_says_what_could_not_be_had_and_starts_nothing(checkout: Path, tmp_path: Path) -> None:
    done = run(env=no_index(tmp_path / "data"), cwd=checkout)
    assert done.returncode == 1, done.stderr
    assert "The package index cannot be reached, so what Deskhand needs could not be installed." in done.stderr
    assert "nothing was started. Check the network or the proxy (HTTPS_PROXY, PIP_INDEX_URL)" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert names(tmp_path / "data") == {"run.lock"}
    # The environment has no stamp, so the next ./run installs into it again.
    assert not (checkout / ".venv" / environment.STAMP).exists()


def test_a_checkout_that_cannot_be_written_is_named_and_stays_as_it_is(checkout: Path, tmp_path: Path) -> None:
    before = names(checkout)
    checkout.chmod(0o555)
    user = NOBODY if os.geteuid() == 0 else None  # no permission holds root back
    with tempfile.TemporaryDirectory(prefix="deskhand-data-") as data:
        Path(data).chmod(0o700)
        os.chown(data, user if user is not None else -1, -1)
        done = run(env=no_index(Path(data)), user=user, cwd=checkout)
        assert names(Path(data)) == {"run.lock"}
    checkout.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{checkout} cannot be written (Permission denied), and Deskhand keeps its packages there." in done.stderr
    assert "Nothing was changed. Copy the folder to a place you may write, or change its owner" in done.stderr
    assert names(checkout) == before


@pytest.mark.slow
def test_an_editor_that_cannot_be_built_is_said_and_stops_nothing(checkout: Path, tmp_path: Path) -> None:
    """No Node on PATH and no index to fetch one from."""
    source = "from run_tool.editor import build_editor; print('built:', build_editor())"
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"PATH": str(tmp_path), **NO_INDEX},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=checkout,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "built: False"
    assert "The script editor was not built: scripts are edited in a plain text field until it is. The" in done.stderr
    assert "The package index cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / "web" / "static").exists()


# The second Python of ./run test ----------------------------------------------------------------------------------

OURS = sys.version_info[1]
OTHERS = [minor for minor in testing.MINORS if minor != OURS]


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, and tools kept in a folder of this test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for module in (environment, testing):
        monkeypatch.setattr(module, "TOOLS", tmp_path / "tools")
    return folder


def a_python(folder: Path, minor: int, *, works: bool = True) -> None:
    """A stand-in that says its version and cannot make environments; or a version manager's that says nothing."""
    path = folder / f"python3.{minor}"
    said = f'case "$2" in *sys*) echo "{minor} {path}";; *platform*) echo "3.{minor}.99";; *) exit 1;; esac'
    path.write_text(f"#!/bin/sh\n{said if works else 'exit 127'}\n")
    path.chmod(0o755)


def chosen(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(CannotGoOn, match="Making the Python environment failed"):
        testing._beside()
    found = re.search(r"tools/python-(3\.\d+) \(Python \1\.99\)", capsys.readouterr().out)
    assert found
    return found[1]


def test_the_tests_run_on_the_python_furthest_from_ours_too(pythons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for minor in OTHERS:
        a_python(pythons, minor)
    assert chosen(capsys) == f"3.{max(OTHERS) if max(OTHERS) > OURS else min(OTHERS)}"


def test_a_python_that_does_not_work_is_passed_over(pythons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = OTHERS
    for working, broken in ((one, other), (other, one)):
        a_python(pythons, working)
        a_python(pythons, broken, works=False)
        assert chosen(capsys) == f"3.{working}"


def test_a_machine_with_one_python_says_that_the_tests_run_on_it_alone(
    pythons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_python(pythons, OURS)
    said = f"Only Python 3.{OURS} is on this machine, so the tests run on that one alone."
    assert testing._beside() == (0, said)
    assert capsys.readouterr().out == f"{said}\n"
    assert not (tmp_path / "tools").exists()


@pytest.mark.parametrize("in_ci", [False, True])
def test_what_is_left_out_is_said_in_the_last_lines_and_in_ci_nothing_runs(
    pythons: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], in_ci: bool
) -> None:
    """On a machine without PostgreSQL, Chromium and a second Python. What would run is told: it ends in order with all
    children of its process, which is this one's servers."""

    def told(argv: list[str | Path]) -> int:
        print("ran:", *argv[1:], flush=True)
        return 3

    monkeypatch.setenv("CI", "true" if in_ci else "")
    monkeypatch.delenv("DESKHAND_TEST_PG_URL", raising=False)
    monkeypatch.setattr(testing, "openly", told)
    monkeypatch.setattr(testing, "environment", lambda **_: pythons / "python")
    monkeypatch.setattr(testing, "postgres_binaries", lambda _: None)
    for name in ("_editor", "_redis", "_backoffice"):
        monkeypatch.setattr(testing, name, lambda _: "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code = testing.test([])
    out, err = capfd.readouterr()
    left_out = [line for line in err.splitlines() if line.startswith("!! ")]
    postgres, chromium = "There is no PostgreSQL: tests on it are left out.", "There is no Chromium: tests that drive"
    if in_ci:
        assert (code, out) == (1, "")
        assert left_out[-1] == "!! In CI everything has to be there, so nothing was run."
        return
    assert code == 3
    assert "ran: -m pytest --everything" in out
    last = left_out[-3:]
    assert last[0] == f"!! {postgres}"
    assert last[1].startswith(f"!! {chromium}")
    assert last[2] == f"!! Only Python 3.{OURS} is on this machine, so the tests run on that one alone."
