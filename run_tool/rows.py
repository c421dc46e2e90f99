"""Which rows of docs/capabilities.md have a test: of the products by its name, of our own promises by the page."""

from __future__ import annotations

import re
from pathlib import Path

from run_tool.places import ROOT

#: The rows of the five products; those under N are promises of our own, and the page names their tests.
_ROW = re.compile(r"^\| ([WFOHT][0-9]+) \|", re.MULTILINE)
_PROMISE = re.compile(r"^\| (N[0-9]+) \|", re.MULTILINE)
#: "- N2: `tests/web/test_ticket.py::test_why`, ..."
_SHOWN = re.compile(r"^- (N[0-9]+): (.+)$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
#: `test_o7_unseen_fallback.py`, `def test_o2_o3_a_message_is_posted_and_a_template_is_sent(`
_NAMED = re.compile(r"\btest_((?:[wfoht][0-9]+_)+)")
_FUNCTION = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


def rows(page: Path = ROOT / "docs" / "capabilities.md") -> list[str]:
    """The ids in the order of the page."""
    return _ROW.findall(page.read_text(encoding="utf-8"))


def covered(tests: Path = ROOT / "tests") -> set[str]:
    """The ids that stand in the name of a test, or of a file that has tests."""
    found: set[str] = set()
    for path in sorted(tests.rglob("test_*.py")):
        functions = _FUNCTION.findall(path.read_text(encoding="utf-8"))
        names = [*functions, path.stem + "_"] if functions else []
        for name in names:
            for match in _NAMED.finditer(name):
                found.update(one.upper() for one in match[1].split("_") if one)
    return found


def promises(page: Path = ROOT / "docs" / "capabilities.md") -> dict[str, list[tuple[str, str]]]:
    """The promises of our own, each with the files and functions that show it by the page; a file alone is a bench."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, str]]] = {one: [] for one in _PROMISE.findall(text)}
    for promise, tests in _SHOWN.findall(text):
        found.setdefault(promise, []).extend(_TEST.findall(tests))
    return found


def kept(named: dict[str, list[tuple[str, str]]], root: Path = ROOT) -> set[str]:
    """The promises all of whose named tests are there."""

    def is_there(path: str, function: str) -> bool:
        file = root / path
        return file.is_file() and (not function or function in _FUNCTION.findall(file.read_text(encoding="utf-8")))

    return {promise for promise, tests in named.items() if tests and all(is_there(*one) for one in tests)}


def sentence(ids: list[str], tested: set[str], what: str = "Rows covered") -> str:
    """How many rows are covered, and which are not."""
    missing = [one for one in ids if one not in tested]
    said = f"{what}: {len(ids) - len(missing)} of {len(ids)}."
    return f"{said} Without a test: {' '.join(missing)}." if missing else said
