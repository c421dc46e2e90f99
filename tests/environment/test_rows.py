"""`./run check` counts the rows of docs/capabilities.md that have a test."""

from __future__ import annotations

from pathlib import Path

from run_tool.rows import covered, rows, sentence


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
