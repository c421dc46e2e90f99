"""Which rows of docs/capabilities.md have a test named after them."""

from __future__ import annotations

import re
from pathlib import Path

from run_tool.places import ROOT

#: The rows of the five products; those under N are promises of our own and have tests all over the suite.
_ROW = re.compile(r"^\| ([WFOHT][0-9]+) \|", re.MULTILINE)
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


def sentence(ids: list[str], tested: set[str]) -> str:
    """How many rows are covered, and which are not."""
    missing = [one for one in ids if one not in tested]
    said = f"Rows covered: {len(ids) - len(missing)} of {len(ids)}."
    return f"{said} Without a test: {' '.join(missing)}." if missing else said
