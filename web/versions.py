"""Drafts and versions as every page has them: what tables, scripts and templates share from review to roll back.

What may be published differs (cells, the sandbox's check, languages) and is judged by each part's own page. The note,
who saved meanwhile, which two versions are compared, and what is said afterwards are here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, flash, request
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException

from rules import store as rule_list
from rules.store import NothingToPublish, StaleDraft, Stored, Version
from web.access import me
from web.context import now
from web.errors import refuse
from web.forms import a_number

#: Longest note of a publish, in characters.
NOTE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Compared:
    """The two versions that the address names: `new`, and the one it is compared with. Either may be None."""

    new: Version | None
    old: Version | None

    @property
    def contents(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """(old, new) content; None where there is no such version."""
        return (self.old.content if self.old else None, self.new.content if self.new else None)


def sent_seen() -> int:
    """The count of the draft that the sent form's page showed; -1, which no draft has, without one."""
    return request.form.get("seen", -1, type=a_number)


def sent_note() -> str:
    """What the form says about a version, with plain line ends."""
    return request.form.get("note", "").replace("\r\n", "\n").strip()


def note_problem(note: str) -> str:
    """Why nothing can be published with this note, "" when it can."""
    if not note:
        return gettext("Say in a sentence what changes and why. Nothing was published.")
    if len(note) > NOTE_CHARS:
        return gettext("The note has at most %(n)s characters. Nothing was published.", n=NOTE_CHARS)
    return ""


def publishable(stored: Stored) -> None:
    """Aborts with 409 when somebody saved since the form's page was opened, 422 when there is no draft."""
    if stored.draft_count != sent_seen():
        raise _saved_meanwhile()
    if stored.draft is None:
        raise _no_draft()


def _saved_meanwhile() -> HTTPException:
    return refuse(409, gettext("Somebody saved this since you opened the page. Nothing was published."))


def _no_draft() -> HTTPException:
    return refuse(422, gettext("There is no draft. Nothing was published."))


def keep(connection: Connection, code: str, content: Mapping[str, Any], *, author: str, seen: int) -> int:
    """Save this as the draft and return its count. Aborts with 409 when the draft is not the one `seen`."""
    try:
        return rule_list.save_draft(connection, code, content, author=author, seen=seen, now=now())
    except StaleDraft:
        raise refuse(409, gettext("Somebody saved this since you opened the page. Nothing was changed.")) from None


def publish(
    connection: Connection,
    code: str,
    *,
    note: str,
    seen: int,
    author: str = "",
    content: Mapping[str, Any] | None = None,
) -> int:
    """Make the draft somebody has `seen` the next version, in the caller's transaction; returns its number.

    `content` takes the draft's place, with what publishing adds to it. By me, unless another `author` asked for it.
    Aborts with 409 when somebody saved meanwhile, 422 without a draft: the transaction is rolled back then."""
    author = author or me().key
    if content is not None:
        seen = keep(connection, code, content, author=author, seen=seen)
    try:
        return rule_list.publish(connection, code, author=author, note=note, seen=seen, now=now())
    except StaleDraft:
        raise _saved_meanwhile() from None
    except NothingToPublish:
        raise _no_draft() from None


def discard(connection: Connection, stored: Stored) -> None:
    """Throw the draft away that the form's page showed; what is live stays. Aborts with 409 or 422 otherwise."""
    if stored.draft_count != sent_seen():
        raise refuse(409, gettext("Somebody saved this draft since you opened it. It was not thrown away."))
    if stored.live_version is None:
        raise refuse(422, gettext("Nothing is published yet, so the draft is all there is. It was not thrown away."))
    rule_list.discard_draft(connection, stored.code)


def compared(every: Sequence[Version]) -> Compared:
    """The versions that the address asks to compare: `version`, against `against` or the one before it."""
    numbers = {one.version: one for one in every}
    new = numbers.get(request.args.get("version", 0, type=a_number))
    before = new.version - 1 if new is not None else 0
    return Compared(new, numbers.get(request.args.get("against", before, type=a_number)))


def unchanged(stored: Stored) -> None:
    """Aborts with 409 when somebody saved or published since the form's page was opened."""
    if stored.draft_count != sent_seen():
        raise refuse(409, gettext("Somebody changed this since you opened the page. Nothing was rolled back."))


def earlier(connection: Connection, stored: Stored) -> Version:
    """The version that the form wants to be live again.

    Aborts with 409 when the page it came from is old, 422 while there is a draft, which would be lost, 404 for no such
    version."""
    unchanged(stored)
    if stored.draft is not None:
        raise refuse(422, gettext("There is a draft. Publish it or throw it away first. Nothing was rolled back."))
    wanted = request.form.get("version", 0, type=a_number)
    old = next((one for one in rule_list.versions(connection, stored.code) if one.version == wanted), None)
    if old is None:
        abort(404)
    return old


def say_live(version: int) -> None:
    """Tell on the next page that this version is live."""
    flash(gettext("Version %(version)s is live.", version=version), "ok")


def say_back(version: int, old: int) -> None:
    """Tell on the next page that what an old version said is live again."""
    flash(gettext("Version %(version)s is live; it says what version %(old)s said.", version=version, old=old), "ok")
