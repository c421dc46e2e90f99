"""docs/commands.md: every example runs, in order, and every command there exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from jobs.services import build
from jobs.settings import Settings
from run_tool.places import ROOT
from tests.environment.sandbox import SandboxService
from web import create_app

PAGE = (ROOT / "docs" / "commands.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def app(tmp_path: Path, sandbox_service: SandboxService) -> Iterator[APIFlask]:
    """The application on an empty data folder."""
    services = build(Settings(data_dir=tmp_path / "data", sandbox_socket=str(sandbox_service.socket)))
    yield create_app(services)
    services.close()


@pytest.mark.slow
def test_every_example_runs_as_it_says(app: APIFlask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = app.test_cli_runner()
    ran = 0
    for language, text in BLOCK.findall(PAGE):
        named = re.match(r"# file: (\S+)\n", text)
        if named:
            (tmp_path / named[1]).write_text(text)
        elif language == "sh":
            for line in text.splitlines():
                command, _, comment = line.partition("#")
                wanted = 1 if comment.strip().startswith("exit 1") else 0
                words = shlex.split(command)
                assert words[0] == "flask"
                done = runner.invoke(args=words[1:])
                assert done.exit_code == wanted, f"{line}\n{done.output}\n{done.exception!r}"
                assert done.exception is None or isinstance(done.exception, SystemExit)
                ran += 1
    assert ran >= 12


def test_the_table_names_the_commands_that_there_are(app: APIFlask) -> None:
    for name, command in app.cli.commands.items():
        if name in ("run", "shell", "routes"):
            continue
        assert f"`flask {name}" in PAGE, name
        for inner in getattr(command, "commands", {}):
            assert re.search(rf"`flask {name} {inner}\b|`{inner}`", PAGE), f"{name} {inner}"
