"""The page that brings rules in from a file or a paste: looked at first, then kept as drafts or published.

The form carries the text, so nothing is stored between the look and the import, and what was typed always comes back.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from rules import store as rule_list
from rules.store import EntryKind, EntryNotFound, Stored
from tickets.people import Permission
from tickets.values import json_problem
from web import importing, rules_store, rules_words
from web.access import me, needs
from web.context import services
from web.forms import a_number
from web.importing import How, Imported, Moved
from web.limits import limiter, person
from web.rules_cells import read_cells
from web.rules_document import stamp, tidy
from web.rules_files import FileEntry, FileRefused
from web.rules_open import PERMISSION
from web.versions import note_problem, sent_note

imports = Blueprint("imports", __name__)

#: Longest text of a file here, in bytes; `flask rules import` takes longer ones.
MAX_BYTES = 1_500_000
#: Longest name of a file that is shown, in characters; most problems, hints and rows of a new table on the page.
NAME_CHARS = 100
LISTED = 100
#: How often one person may have a file looked at.
IMPORTS_PER_MINUTE = "30/minute"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the form brought: the text, what it is called in sentences, and the table whose cells it is, "" for none.

    `problem`: why there is no text to look at."""

    text: str = ""
    name: str = ""
    into: str = ""
    problem: str = ""

    @property
    def stamp(self) -> str:
        """Differs when anything differs that the outcome hangs on."""
        return stamp([self.text, self.into])


@imports.get("/rules/import")
@needs(PERMISSION)
def form() -> ResponseReturnValue:
    """The empty form."""
    return _page(Sent(into=request.args.get("into", "")))


@imports.post("/rules/import")
@limiter.limit(IMPORTS_PER_MINUTE, key_func=person)
@needs(PERMISSION)
def bring_in() -> ResponseReturnValue:
    """Look at what was sent, or put in what was looked at before."""
    sent = _sent()
    if sent.problem:
        return _page(sent, problems=[sent.problem])
    note = sent_note()
    asked = request.form.get("do", "")
    seen = request.form.get("revision", type=a_number)
    how = How(asked) if asked in (How.DRAFT, How.PUBLISH) else How.LOOK
    changed = how is not How.LOOK and (seen is None or request.form.get("looked") != sent.stamp)
    wrong = note_problem(note) if how is How.PUBLISH and not changed else ""
    try:
        if how is How.LOOK or changed or wrong:
            found = _import(sent, How.LOOK, "")
            if changed:
                wrong = gettext("The text is not the one whose differences you saw. Look at them again; then go on.")
            return _page(sent, found, note=note, wrong=wrong)
        done = _import(sent, how, note, revision=seen)
    except Moved:
        found = _import(sent, How.LOOK, "")
        wrong = gettext("The rule list was changed meanwhile. These are the differences now; nothing was imported.")
        return _page(sent, found, note=note, wrong=wrong)
    except FileRefused as refused:
        return _page(sent, problems=refused.problems, note=note)
    return _say(done, how)


def _say(done: Imported, how: How) -> ResponseReturnValue:
    changed = [one for one in done.steps if one.what != "same"]
    if how is How.DRAFT:
        kept = [one for one in changed if one.publishes]
        flash(
            ngettext(
                "%(num)s entry is kept as a draft; nothing of it is live yet.",
                "%(num)s entries are kept as drafts; nothing of them is live yet.",
                len(kept),
            ),
            "ok",
        )
    else:
        flash(ngettext("%(num)s entry is live.", "%(num)s entries are live.", done.live), "ok")
        asked = [one.entry.code for one in changed if one.asks]
        if asked:
            flash(
                gettext(
                    "%(codes)s may do more than before and is live as soon as somebody else agrees.",
                    codes=", ".join(asked),
                ),
                "warn",
            )
    if len(changed) == 1 and changed[0].entry.kind is EntryKind.TABLE:
        return redirect(url_for("rules.editor.table", code=changed[0].entry.code))
    return redirect(url_for("rules.index"))


def _sent() -> Sent:
    into = request.form.get("into", "")[:10]
    file = request.files.get("file")
    if file is not None and file.filename:
        data = file.stream.read(MAX_BYTES + 1)
        file.close()
        name = file.filename[-NAME_CHARS:]
    else:
        data = request.form.get("text", "").encode("utf-8", "replace")
        # A file that was looked at comes back as text and keeps its name.
        name = request.form.get("name", "")[-NAME_CHARS:] or gettext("pasted text")
    if len(data) > MAX_BYTES:
        text = "" if file is not None and file.filename else request.form.get("text", "")
        problem = gettext(
            "%(file)s has more than %(n)s bytes, which is the most that this page takes. Nothing was imported. Split "
            "it, or give it to the command flask rules import.",
            file=name,
            n=MAX_BYTES,
        )
        return Sent(text, name, into, problem)
    try:
        # As a browser would send it back: what was looked at must be the same text again.
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    except UnicodeDecodeError as error:
        problem = gettext(
            "%(file)s is not UTF-8 text (byte %(n)s). Save it as UTF-8, e.g. “CSV UTF-8” in a spreadsheet.",
            file=name,
            n=error.start,
        )
        return Sent("", name, into, problem)
    if not text.strip():
        return Sent("", name, into, gettext("Paste a text or choose a file. Nothing was imported."))
    if json_problem(text) is not None:
        return Sent(
            text.replace("\x00", ""),
            name,
            into,
            gettext("%(file)s holds characters that cannot be stored. Nothing was imported.", file=name),
        )
    return Sent(text, name, into)


def _import(sent: Sent, how: How, note: str, *, revision: int | None = None) -> Imported:
    """Raises `FileRefused`, and `Moved` when the rule list is no longer the one of this revision."""
    entries = None if not sent.into else [_cells(sent)]
    return importing.bring_in(
        sent.text,
        sent.name,
        how,
        author=me().key,
        note=note,
        entries=entries,
        may_scripts=me().may(Permission.EDIT_SCRIPTS),
        thorough=False,
        revision=revision,
    )


def _cells(sent: Sent) -> FileEntry:
    with services().db.read() as connection:
        try:
            stored = rule_list.entry(connection, sent.into)
        except EntryNotFound:
            stored = None
        if stored is None or stored.kind is not EntryKind.TABLE or stored.content is None:
            raise FileRefused([gettext("There is no live table %(code)s to take cells into.", code=sent.into)])
        taken = rules_store.taken_ids(connection, sent.into)
        vocabulary = services().live.current(connection).vocabulary
    return read_cells(sent.text, sent.name, stored, vocabulary.of(tidy(stored.content)["kind"]), taken)


def _tables() -> list[Stored]:
    """The tables whose cells can be replaced: those that are live."""
    with services().db.read() as connection:
        return [one for one in rule_list.entries(connection, EntryKind.TABLE) if one.content is not None]


def _page(
    sent: Sent,
    found: Imported | None = None,
    *,
    problems: list[str] | tuple[str, ...] = (),
    note: str = "",
    wrong: str = "",
) -> ResponseReturnValue:
    page = render_template(
        "rules_import.html",
        sent=sent,
        found=found,
        problems=problems[:LISTED],
        more=max(0, len(problems) - LISTED),
        tables=_tables(),
        note=note,
        wrong=wrong,
        most=MAX_BYTES,
        listed=LISTED,
        kinds={
            EntryKind.TABLE: gettext("table"),
            EntryKind.SCRIPT: gettext("script"),
            EntryKind.TEMPLATE: gettext("template"),
        },
        whats={"new": gettext("new"), "changed": gettext("changed"), "same": gettext("no difference")},
        words=rules_words,
        tidy=tidy,
    )
    return page, 422 if problems or wrong else 200
