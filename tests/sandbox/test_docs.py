"""docs/scripting.md names everything a script has, and each of its error examples gives exactly its error."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox import names
from sandbox.client import Sandbox
from sandbox.contract import CallFailed, RunRequest
from sandbox.errors import Code
from sandbox.limits import Limits
from tests.sandbox.hosts import API, ROOT, Host, TableGateway

DOC = (ROOT / "docs" / "scripting.md").read_text()
CHECK_ONLY = {"ARGUMENT", "SUSPICIOUS"}
#: What happens around a script and not in it; each has a test of its own below.
OUTSIDE = {"SANDBOX_UNAVAILABLE", "CANCELLED"}


def sections() -> dict[str, str]:
    """Each "### CODE" with its example, "" where a script alone cannot cause it."""
    found = {}
    for part in re.split(r"^### ", DOC, flags=re.MULTILINE)[1:]:
        code, _, text = part.partition("\n")
        example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
        found[code.strip()] = example.group(1) if example else ""
    return found


SECTIONS = sections()


def test_every_code_has_its_section_and_no_section_is_invented() -> None:
    assert set(SECTIONS) == {str(code) for code in Code}


def test_every_name_is_in_the_documentation() -> None:
    assert [name for name in sorted(names.ALL) if not re.search(rf"(?<!\w){name}(?!\w)", DOC)] == []


@pytest.mark.parametrize("name", Limits.__dataclass_fields__)
def test_every_limit_is_in_the_documentation_with_its_default(name: str) -> None:
    row = next(line for line in DOC.splitlines() if line.startswith("|") and f"`{name}`" in line)
    value = getattr(Limits(), name)
    assert re.search(rf"(?<!\d){value:g}(?!\d)", row), (row, value)


def _answer(email: str) -> Any:
    if email.startswith("unavailable"):
        raise CallFailed("unavailable", "The CRM does not answer")
    if email.startswith("ambiguous"):
        raise CallFailed("ambiguous", "Two customers have this address", [{"id": 1}, {"id": 2}])
    if email.startswith("slow"):
        time.sleep(5)  # nobody waits for it
    return {"name": "Ann"}


#: What no script can cause in Python; tests/attacks causes each of them by going round the language.
BEYOND_SCRIPTS = {"SANDBOX_VIOLATION", "CRASH", "PROTOCOL", "LOST"}


def test_every_code_a_script_can_meet_has_an_example_and_the_others_are_attacked() -> None:
    assert {code for code, example in SECTIONS.items() if not example} == BEYOND_SCRIPTS
    attacks = "".join(path.read_text() for path in (ROOT / "tests" / "attacks").glob("test_*.py"))
    for code in BEYOND_SCRIPTS:
        assert re.search(rf"\b{code}\b", attacks)


def test_where_no_service_answers_the_example_says_so_and_nothing_ran(tmp_path: Path) -> None:
    nobody = Sandbox(tmp_path / "nobody.sock")
    outcome = nobody.run(RunRequest(SECTIONS["SANDBOX_UNAVAILABLE"], api=API), TableGateway())
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.log) == ("unavailable", "SANDBOX_UNAVAILABLE", ())


def test_a_cancelled_run_says_so_and_nothing_of_it_is_done(host: Host) -> None:
    asked: list[str] = []

    def answer(email: str) -> Any:
        asked.append(email)
        return {"name": "Ann"}

    gateway = TableGateway({"crm.find_customer": answer})
    outcome = host.run("ticket.add_note('before')\n" + SECTIONS["CANCELLED"], gateway, cancelled=lambda: bool(asked))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == ("cancelled", "CANCELLED", ())
    assert len(asked) < 50


#: Takes the second of the processor that a script has; test_limits.py shows the same code in a plain run.
SLOW = {"TIMEOUT_CPU"}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=[pytest.mark.slow] if code in SLOW else [])
        for code in sorted(code for code in SECTIONS if SECTIONS[code] and code not in OUTSIDE)
    ],
)
def test_the_example_of_a_code_gives_that_code(host: Host, code: str) -> None:
    if code in CHECK_ONLY:
        assert code in [one.code for one in host.sandbox.check(SECTIONS[code], API).problems]
        return
    grants = frozenset({"crm.find_customer"})
    limits = Limits(cpu_s=1, wall_s=0.3 if code == "TIMEOUT_WALL" else 60)
    outcome = host.run(SECTIONS[code], TableGateway({"crm.find_customer": _answer}), grants=grants, limits=limits)
    assert outcome.error is not None
    assert outcome.error.code == code
    assert outcome.actions == ()


def test_the_first_example_runs(host: Host) -> None:
    example = re.search(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert example is not None
    outcome = host.run(example.group(1), TableGateway({"crm.find_customer": {"name": "Ann"}}))
    assert [one.action for one in outcome.actions] == ["set_context", "add_tags"]
    assert host.sandbox.check(example.group(1), API).problems == ()
