"""What ships with Deskhand: the tables that a new desk begins with. Recipes for more are in `web.recipes`.

They are files of docs/examples, run as tests; this is the one list of them.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from jobs import live
from rules.store import EntryRow
from web import rules_files
from web.recipes import EXAMPLES
from web.rules_files import FileEntry, FileRefused

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


class NotNew(Exception):
    """The rule list holds something already, or did once. Nothing was added."""


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


def _text(name: str) -> str:
    return (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
