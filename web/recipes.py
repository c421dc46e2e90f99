"""Recipes: tables that a new table may begin with. Files of docs/examples, run as tests; this is the one list of them.

Their names and sentences are translated as texts of pages are (`web.catalogs` gathers them), what they decide is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rules import files
from web.rules_document import Document, tidy

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """A table to begin with: its key, its name, what it is for in a sentence, and its draft."""

    key: str
    name: str
    doc: str
    draft: Document


@cache
def recipes() -> Mapping[str, Recipe]:
    """Every recipe by its key, read once: the files are part of the program."""
    return {key: _recipe(key) for key in RECIPES}


def _recipe(key: str) -> Recipe:
    folder = EXAMPLES / "recipes"
    source = folder / f"{key}.yaml" if (folder / f"{key}.yaml").exists() else EXAMPLES / f"{key}.yaml"
    text = source.read_text(encoding="utf-8")
    content: dict[str, Any] = {name: value for name, value in files.load(text).items() if name != "code"}
    doc = text.partition("\n")[0].removeprefix("# ")
    return Recipe(key, str(content["name"]), doc, tidy(content))
