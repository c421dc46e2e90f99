"""What ships with Deskhand: the tables that a new desk begins with, and recipes that a new table may begin with.

Both are files of docs/examples, run as tests; this is the one list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from jobs import live
from rules import files
from rules.store import EntryRow
from web import rules_files
from web.rules_document import Document, tidy
from web.rules_files import FileEntry, FileRefused

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
#: Who the versions of the tables that ship say published them.
AUTHOR = "deskhand"

#: The tables of a new desk, in the order in which they run.
DEFAULTS = (
    "A17_published",
    "A02_portal_invitation",
    "A11_answered_waits",
    "A07_close_the_silent",
    "A20_finished",
    "A06_task_status",
    "A28_project_status",
)
#: What a new table may begin with, in the order of the page. Each file is one table; it gets a code of its own.
RECIPES = (
    "H5_department",
    "H9_vip",
    "H6_several_actions",
    "H2_reply_opens",
    "O25_keyword_closes",
    "O26_five_stars",
    "W15_danger_words",
    "W15_not_opened",
    "W5_by_category",
    "W7_grave_report",
    "F1_theme_alert",
    "F8_thanks",
    "O27_due_date_moved",
    "O28_timesheet_approved",
    "T6_next_stage",
    "H12_delayed_answer",
    "W12_time_in_status",
    "W13_no_action",
)


class NotNew(Exception):
    """The rule list holds something already, or did once. Nothing was added."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A table to begin with: its key, its name, what it is for in a sentence, and its draft."""

    key: str
    name: str
    doc: str
    draft: Document


def defaults() -> list[FileEntry]:
    """The tables of a new desk and the templates they send."""
    return [one for name in DEFAULTS for one in rules_files.read(_text(name), f"{name}.yaml")]


def install(connection: Connection, now: datetime) -> list[FileEntry]:
    """Publish what a new desk begins with, in the caller's transaction. Raises `NotNew`, `FileRefused`."""
    if connection.execute(select(func.count()).select_from(EntryRow)).scalar_one():
        raise NotNew("The rule list is not empty. Nothing was added.")
    entries = defaults()
    words = live.vocabulary(connection)
    errors, _ = rules_files.problems(entries, words, "defaults", None)
    if errors:
        raise FileRefused(errors)
    steps = rules_files.plan(connection, entries, words)
    rules_files.apply(connection, steps, author=AUTHOR, note="Ships with Deskhand", now=now)
    return entries


@cache
def recipes() -> Mapping[str, Recipe]:
    """Every recipe by its key, read once: the files are part of the program."""
    return {key: _recipe(key) for key in RECIPES}


def _recipe(key: str) -> Recipe:
    text = _text(f"recipes/{key}" if (EXAMPLES / "recipes" / f"{key}.yaml").exists() else key)
    content: dict[str, Any] = {name: value for name, value in files.load(text).items() if name != "code"}
    doc = text.partition("\n")[0].removeprefix("# ")
    return Recipe(key, str(content["name"]), doc, tidy(content))


def _text(name: str) -> str:
    return (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
