"""README and the map in docs/architecture.md say what there is."""

from __future__ import annotations

import re
from inspect import signature

import pytest

from connectors.gateway import Gateway
from jobs.demo.breakouts import BREAK_OUTS
from run_tool.__main__ import HELP
from run_tool.places import DEFAULT_PORT, ROOT, VENV

README = (ROOT / "README.md").read_text()
MAP = (ROOT / "docs" / "architecture.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_the_first_two_commands_are_all_a_newcomer_needs() -> None:
    assert COMMANDS[:2] == ["./run", "./run test"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_readme_exists(command: str) -> None:
    program, *args = command.split()
    if program == "./run":
        assert re.search(rf"^{re.escape(' '.join([program, *args[:1]]))}\b", HELP, re.MULTILINE)
    else:
        assert program == ".venv/bin/pytest"
        assert (VENV / "bin" / "pytest").exists()


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_to_a_file(page: str) -> None:
    source = ROOT / page
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", source.read_text())
    assert [link for link in links if not (source.parent / link).exists()] == []


def test_the_picture_is_one_of_a_whole_page() -> None:
    data = (ROOT / "docs" / "screenshot.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20]) >= 1280
    assert "(docs/screenshot.png)" in README


def test_what_readme_says_of_the_demo_is_there() -> None:
    assert f"http://127.0.0.1:{DEFAULT_PORT}" in README
    page = (ROOT / "web" / "templates" / "demo" / "page.html").read_text()
    for words in ("Send the double-charge e-mail", "Try to break out"):
        assert words in page
        assert words in " ".join(README.split())
    assert len(BREAK_OUTS) == 6
    assert "runs six scripts" in " ".join(README.split())


def test_everything_the_map_names_is_there() -> None:
    table = MAP[MAP.index("## Where to look") : MAP.index("## Values that cross seams")]
    named = set(re.findall(r"`([a-z_]+/[\w./]*)`", table)) - {"web/static/dist/"}
    assert len(named) > 30
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_call_the_map_shows_is_the_gateways() -> None:
    shown = re.search(r"Gateway\.call\((.*?)\)", MAP)
    assert shown is not None
    names = [part.partition("=")[0].strip() for part in shown[1].split(",")]
    assert names == list(signature(Gateway.call).parameters)[1 : len(names) + 1]
