"""`flask doctor` says what is up and what is missing; `flask worker` knows the kinds of work there are."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from sandbox.client import Sandbox
from tests.sandbox.hosts import a_host, wait_until
from tests.sandbox.test_service import WITHOUT
from tests.web.commands import flask
from tests.web.desk import Desk
from tickets import migrate
from web import create_app

NEEDED = ("database", "redis", "sandbox")


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    """A desk of which everything is up but the e-mail."""
    return sandboxed_desk


def examined(desk: Desk) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code of `flask doctor --json`, and what it found by name."""
    done = flask(create_app(desk.services), "doctor", "--json")
    return done.exit_code, {one["name"]: one for one in json.loads(done.stdout)}


@pytest.mark.slow
def test_the_doctor_of_a_desk_that_works_names_its_parts_and_ends_well(desk: Desk) -> None:
    code, found = examined(desk)
    assert code == 0
    assert {name: found[name]["state"] for name in NEEDED} == dict.fromkeys(NEEDED, "ok")
    assert found["database"] == {
        "name": "database",
        "state": "ok",
        "detail": f"SQLite, schema {migrate.head()}",
        "todo": "",
    }
    assert {"sandbox: seccomp", "sandbox: rlimits", "work", "e-mail", "fields"} <= found.keys()


def test_the_doctors_words_are_one_line_per_part_with_what_to_do(desk: Desk) -> None:
    done = flask(create_app(desk.services), "doctor")
    _, found = examined(desk)
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert [line.split()[0] for line in lines] == [one["state"].upper() for one in found.values()]
    [mail] = [line for line in lines if "e-mail" in line]
    assert mail.startswith("WARNING")
    assert mail.endswith("no SMTP server is set; 0 messages wait in the outbox  -> set DESKHAND_SMTP_URL")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "layer", "code", "state"),
    [("seccomp", "sandbox: seccomp", 1, "missing"), ("landlock", "sandbox: landlock", 0, "warning")],
)
def test_a_layer_that_is_missing_is_named_and_a_required_one_ends_in_failure(
    desk: Desk, missing: str, layer: str, code: int, state: str
) -> None:
    with a_host(command=[sys.executable, WITHOUT, missing]) as host:
        wait_until(lambda: host.sandbox.health().reason != "The zygote is starting", 10)
        desk.services = dataclasses.replace(desk.services, sandbox=host.sandbox)
        ended, found = examined(desk)
    assert ended == code
    assert (found[layer]["state"], found[layer]["todo"]) == (state, "docs/threats.md")
    assert missing in found[layer]["detail"]
    assert (found["sandbox"]["state"] == "missing") is (code == 1)
    assert found["database"]["state"] == "ok"


def test_without_a_sandbox_service_the_doctor_says_so_and_looks_at_the_rest(desk: Desk, tmp_path: Path) -> None:
    desk.services = dataclasses.replace(desk.services, sandbox=Sandbox(tmp_path / "none.sock"))
    code, found = examined(desk)
    assert code == 1
    assert {name: found[name]["state"] for name in NEEDED} == {"database": "ok", "redis": "ok", "sandbox": "missing"}


def test_a_kind_of_work_that_does_not_exist_is_refused_with_those_that_do(desk: Desk) -> None:
    done = flask(create_app(desk.services), "worker", "juggling")
    assert done.exit_code == 2
    assert "'drain', 'scripts', 'enrichment', 'outbox'" in done.output
