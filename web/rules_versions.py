"""A table's drafts and versions: review, publish, throw away, compare, roll back."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs import shadow
from rules import conflicts
from rules import store as rule_list
from rules.decision import Entry
from rules.engine import compile_ruleset
from rules.errors import TableInvalid
from rules.parse import parse_table
from web import rules_words
from web import versions as published
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.refusals import said
from web.rules_dock import shown_preview
from web.rules_grid import check
from web.rules_open import PERMISSION, Open, open_table, table_or_404, view_of
from web.rules_shadow import OFFERED, held_back

versions = Blueprint("versions", __name__)

#: Rows of the live list above which a draft is not compared with them.
LISTED_ROWS = 2_000


@versions.get("/rules/<code>/review")
@needs(PERMISSION)
def review(code: str) -> ResponseReturnValue:
    """What publishing would change, in words, and on the tickets of the last days."""
    return _review(code)


def _review(code: str, note: str = "", problem: str = "") -> str:
    with services().db.read() as connection:
        found = open_table(connection, code)
        against = against_others(connection, found)
        running = shadow.of(connection, found.stored)
    view = view_of(found, thorough=True)
    return render_template(
        "rules_review.html",
        shown=shown_preview(found),
        note=note,
        problem=problem,
        against=against,
        shadow=running,
        offered=OFFERED,
        **view,
    )


def against_others(connection: Connection, found: Open) -> list[str]:
    """What the draft's rows say against those of the other live tables, as sentences; none while it has problems."""
    try:
        table = parse_table({**found.document, "code": found.code}, found.vocabulary)
    except TableInvalid:
        return []
    desk = services().live.current(connection)
    draft = Entry(found.code, found.stored.name, 0, found.stored.position, True, table)
    entries = [one for one in desk.ruleset.entries if one.code != found.code]
    if sum(len(one.table.rows) for one in entries if one.table is not None) > LISTED_ROWS:
        return [
            gettext("The list has more than %(n)s rows, so this table was not compared with the others.", n=LISTED_ROWS)
        ]
    ruleset = compile_ruleset(desk.revision, [*entries, draft], desk.vocabulary)
    return [said(one.problem.message) for one in conflicts.in_list(ruleset, found.code)]


@versions.post("/rules/<code>/publish")
@needs(PERMISSION)
def publish(code: str) -> ResponseReturnValue:
    """Make the draft the next version, live with the next event."""
    note = published.sent_note()
    with services().db.write() as connection:
        found = open_table(connection, code)
        errors, _ = check({**found.document, "code": code}, found.vocabulary, thorough=False)
        if errors:
            problem = gettext("The draft has problems that must be mended first. Nothing was published.")
        else:
            problem = published.note_problem(note) or held_back(connection, found.stored)
        if not problem:
            version = published.publish(connection, code, note=note, seen=published.sent_seen())
    if problem:
        return _review(code, note, problem), 422
    published.say_live(version)
    return redirect(url_for("rules.editor.table", code=code))


@versions.post("/rules/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = table_or_404(connection, code)
        published.discard(connection, stored)
    flash(gettext("The draft is gone; version %(version)s is live as before.", version=stored.live_version), "ok")
    return redirect(url_for("rules.editor.table", code=code))


@versions.get("/rules/<code>/versions")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """Every version, and what differs between two of them."""
    with services().db.read() as connection:
        found = open_table(connection, code)
        every = rule_list.versions(connection, code)
    chosen = published.compared(every)
    old, new = chosen.contents
    lines = rules_words.changes(old or {}, new, found.vocabulary) if new is not None else []
    return render_template("rules_versions.html", versions=every, compared=chosen, lines=lines, **view_of(found))


@versions.post("/rules/<code>/roll-back")
@needs(PERMISSION)
def roll_back(code: str) -> ResponseReturnValue:
    """Publish an earlier version again. Refused while there is a draft, or when it names what is gone."""
    with services().db.write() as connection:
        found = open_table(connection, code)
        old = published.earlier(connection, found.stored)
        errors, _ = check({**old.content, "code": code}, found.vocabulary, thorough=False)
        if errors:
            raise refuse(
                422,
                gettext(
                    "Version %(version)s names things that no longer exist, e.g. %(why)s Nothing was rolled back.",
                    version=old.version,
                    why=said(errors[0].message),
                ),
            )
        version = rule_list.roll_back(connection, code, old.version, author=me().key, now=now())
    published.say_back(version, old.version)
    return redirect(url_for("rules.editor.table", code=code))
