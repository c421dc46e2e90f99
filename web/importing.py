"""A rule list from a file into the desk: read, judged, compared with what is live, put in, all or nothing.

`flask rules import` and the page of the same purpose are two ways to say what this does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flask_babel import gettext
from sqlalchemy import Connection

from jobs.live import Desk
from jobs.runs import script_api
from rules import store as rule_list
from rules.store import EntryKind
from rules.vocabulary import Vocabulary
from tickets import people
from tickets.journal import Change
from tickets.lists import ListSpec
from tickets.people import Permission
from web import rules_files, rules_files_lists, rules_files_scripts
from web.context import services
from web.rules_files import FileEntry, FileRefused, Step


class How(StrEnum):
    """What becomes of a file: it goes the whole way and is taken back, is kept as drafts, or is live."""

    LOOK = "look"
    DRAFT = "draft"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Imported:
    """What the file came to. `lists`: what was different in named lists, in words; `revision`: of the rule list
    before."""

    steps: tuple[Step, ...]
    lists: Mapping[str, tuple[str, ...]]
    hints: tuple[str, ...]
    vocabulary: Vocabulary
    revision: int

    @property
    def changes(self) -> int:
        """How many entries and lists are new or different."""
        return sum(1 for one in self.steps if one.what != "same") + len(self.lists)

    @property
    def live(self) -> int:
        """How many entries are live as the file says: those that were only asked for are not."""
        return sum(1 for one in self.steps if one.what != "same" and not one.asks)


class Moved(Exception):
    """The rule list is no longer the one that was looked at. Nothing was imported."""


class _OnlyShown(Exception):
    """A look: what was done is taken back."""


_NOBODY_ASKS = (
    "A script of this file may do more than before, and this desk wants a second person's yes. Say who asks with "
    "--author, the key of somebody who may edit scripts; somebody else agrees on the script's page"
)


def bring_in(
    text: str,
    name: str,
    how: How,
    *,
    author: str,
    note: str,
    entries: Sequence[FileEntry] | None = None,
    may_scripts: bool = True,
    thorough: bool = True,
    revision: int | None = None,
) -> Imported:
    """Read the file called `name` and do with it what `how` says, in one transaction.

    `entries` stand for the text where it is no file of entries (`web.rules_cells`). Without `may_scripts` no script
    may be new or different. Not `thorough`, rows of long tables are not compared with each other. Raises
    `FileRefused` with every problem and its place, and `Moved` when the rule list is no longer of this `revision`;
    nothing was changed then."""
    named: dict[str, ListSpec] = {}
    if entries is None:
        entries = rules_files.read(text, name)
        named = rules_files_lists.read(text, name)
    with services().db.read() as connection:
        desk = services().live.current(connection)
        stored = rule_list.entries(connection)
        seen = rule_list.revision(connection)
    words = rules_files_lists.with_lists(desk.vocabulary, named)
    if not may_scripts:
        _refuse_scripts(entries, {one.code: one for one in stored}, words, name)
    judged, errors, hints = _judged(desk, entries, words, name, thorough=thorough)
    if errors:
        raise FileRefused(errors)
    to_agree = frozenset(judged.gained) if services().settings.second_person else frozenset()
    now = services().clock.now()
    with contextlib.suppress(_OnlyShown), services().db.write() as connection:
        if revision is not None and rule_list.revision(connection) != revision:
            raise Moved
        saved = rules_files_lists.apply(connection, named, Change(author[:60], now))
        if saved:
            rule_list.bump(connection)
        steps = rules_files.plan(connection, entries, words, to_agree=to_agree)
        if how is How.DRAFT:
            if saved:
                raise FileRefused([_no_draft_of_lists(name, saved)])
            rules_files.keep(connection, steps, author=author[:60], now=now)
        else:
            if any(one.asks for one in steps) and not _may_ask(connection, author):
                raise FileRefused([_NOBODY_ASKS])
            rules_files.apply(connection, steps, author=author[:60], note=note, now=now, contents=judged.contents)
        if how is How.LOOK:
            raise _OnlyShown  # it has gone the whole way, and the transaction is rolled back
    return Imported(tuple(steps), saved, tuple(hints), words, seen)


def _judged(
    desk: Desk, entries: Sequence[FileEntry], words: Vocabulary, name: str, *, thorough: bool
) -> tuple[rules_files_scripts.Judged, list[str], list[str]]:
    """(what was found about scripts, every error, every hint)."""
    sandbox, api = services().sandbox, script_api(desk)
    with services().db.read() as connection:
        stored = rule_list.entries(connection)
    errors, hints = rules_files.problems(
        entries, words, name, lambda source: sandbox.check(source, api), thorough=thorough
    )
    judged = rules_files_scripts.judge(sandbox, desk, entries, stored, name)
    return judged, [*errors, *judged.errors], [*hints, *judged.hints]


def _refuse_scripts(
    entries: Sequence[FileEntry], stored: Mapping[str, rule_list.Stored], words: Vocabulary, name: str
) -> None:
    """Raises `FileRefused` for scripts that the file would change. Asked before any of their tests would run."""
    wrong = [
        gettext(
            "%(file)s: %(code)s is a script that would change, and you may not edit scripts.", file=name, code=one.code
        )
        for one in entries
        if one.kind is EntryKind.SCRIPT and rules_files.step(one, stored.get(one.code), words).what != "same"
    ]
    if wrong:
        raise FileRefused(wrong)


def _no_draft_of_lists(name: str, saved: Mapping[str, object]) -> str:
    return gettext(
        "%(file)s: lists have no drafts, and %(lists)s would change. Publish the file, or leave its lists out.",
        file=name,
        lists=", ".join(saved),
    )


def _may_ask(connection: Connection, author: str) -> bool:
    """Whether this is somebody who may edit scripts, so that their own yes does not count."""
    viewer = people.viewer(connection, author)
    return viewer is not None and viewer.may(Permission.EDIT_SCRIPTS)
