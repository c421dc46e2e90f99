"""`./run check` counts the rows of docs/capabilities.md that have a test."""

from __future__ import annotations

import re
from pathlib import Path

from run_tool.places import ROOT
from run_tool.rows import covered, kept, promises, rows, sentence


def test_a_row_is_covered_by_a_test_or_a_file_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "test_o7_unseen_fallback.py").write_text("def test_a_reply_is_mailed() -> None: ...\n")
    (tmp_path / "rows" / "test_f5_nothing_yet.py").write_text("")
    (tmp_path / "test_mail.py").write_text(
        "def test_o2_o3_a_message_is_posted() -> None: ...\n# def test_h1_no(): ...\n"
    )
    assert covered(tmp_path) == {"O7", "O2", "O3"}


def test_rows_without_a_test_are_named() -> None:
    assert sentence(["O1", "O2", "W1"], {"O2"}) == "Rows covered: 1 of 3. Without a test: O1 W1."
    assert sentence(["O1"], {"O1", "H9"}) == "Rows covered: 1 of 1."


def test_the_page_lists_every_row_once() -> None:
    ids = rows()
    most = {"W": 15, "F": 16, "O": 32, "H": 17, "T": 9}
    assert ids == [f"{letter}{number}" for letter, count in most.items() for number in range(1, count + 1)]


def test_a_test_named_after_a_row_names_one_that_exists() -> None:
    assert covered() - set(rows()) == set()


def test_a_promise_is_shown_when_all_the_tests_it_names_are_there(tmp_path: Path) -> None:
    page, tests = tmp_path / "page.md", tmp_path / "tests"
    tests.mkdir()
    (tests / "test_why.py").write_text("def test_why() -> None: ...\n")
    page.write_text(
        "| N1 | Replay | x |\n| N2 | Why | y |\n| N3 | Speed | z |\n| N4 | Undo | u |\n\n"
        "- N2: `tests/test_why.py::test_why`\n- N3: `tests/test_why.py`\n"
        "- N4: `tests/test_why.py::test_why`, `tests/test_why.py::test_gone`\n"
    )
    named = promises(page)
    assert list(named) == ["N1", "N2", "N3", "N4"]
    assert kept(named, tmp_path) == {"N2", "N3"}
    assert sentence(list(named), kept(named, tmp_path), "Promises shown") == (
        "Promises shown: 2 of 4. Without a test: N1 N4."
    )


def test_every_promise_names_tests_that_exist_or_stands_among_those_not_kept_yet() -> None:
    named = promises()
    assert list(named) == [f"N{number}" for number in range(1, 20)]
    shown = kept(named)
    assert shown == {one for one, tests in named.items() if tests}
    not_yet = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8").partition("Not kept yet")[2]
    assert shown.isdisjoint(re.findall(r"\bN[0-9]+\b", not_yet))
    assert shown | set(re.findall(r"\bN[0-9]+\b", not_yet)) == set(named)
