"""A script's drafts and versions: review, publish, throw away, compare, roll back.

Before a version is live the sandbox has checked it, its stored tests pass and the rows that run it stay right. Where
the desk wants it, one that may do more than the live version is only asked for until somebody else agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.runs import manifest_of, script_api, with_manifest
from jobs.script_tests import run_all
from rules import store as rule_list
from rules.store import Stored
from sandbox.contract import Checked, Manifest
from sandbox.errors import ServiceUnavailable
from tickets.people import Permission
from tickets.values import JSON
from web import scripts_content
from web import versions as published
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.names_store import names
from web.refusals import said
from web.scripts_content import plain, source_of
from web.scripts_tests import stored_script

versions = Blueprint("versions", __name__)

PERMISSION = Permission.EDIT_SCRIPTS


def checked_source(source: str) -> Checked:
    """What the sandbox finds in this source, on the live desk."""
    with services().db.read() as connection:
        desk = services().live.current(connection)
    return services().sandbox.check(source, script_api(desk))


@versions.get("/scripts/<code>/review")
@needs(PERMISSION)
def review(code: str) -> ResponseReturnValue:
    """What publishing would change, what the script may do, and its problems."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
    return _review(stored)


def _review(stored: Stored, note: str = "", problem: str = "") -> ResponseReturnValue:
    source = source_of(stored.working)
    checked = checked_source(source)
    with services().db.read() as connection:
        labels = Labels(names(connection))
        words = services().live.current(connection).vocabulary
    page = render_template(
        "scripts_review.html",
        beside=scripts_content.beside_source(stored.content, stored.working, words),
        entry=stored,
        code=stored.code,
        checked=checked,
        lines=scripts_content.diff(source_of(stored.content), source),
        manifest=checked.manifest,
        gained=checked.manifest.beyond(_live_manifest(stored)),
        asked=_asked(stored),
        second_person=services().settings.second_person,
        labels=labels,
        me_key=me().key,
        note=note or (_asked(stored) or {}).get("note", ""),
        problem=problem,
    )
    return page, 422 if problem else 200


def _live_manifest(stored: Stored) -> Manifest:
    """What the live version may do; nothing before the first one."""
    if stored.content is None:
        return Manifest()
    with services().db.read() as connection:
        desk = services().live.current(connection)
    try:
        return manifest_of(services().sandbox, desk, stored.content)
    except ServiceUnavailable:
        return Manifest()  # then everything counts as new


def _asked(stored: Stored) -> dict[str, Any] | None:
    """{"by", "note"} of who asked that this very draft be published, None when nobody did.

    A later save by anybody is another draft, for which nobody asked yet."""
    asked = (stored.draft or {}).get("asked")
    if not isinstance(asked, Mapping) or not asked.get("by") or asked["by"] != stored.draft_by:
        return None
    return {"by": str(asked["by"]), "note": str(asked.get("note", ""))}


def _failing_tests(content: Mapping[str, Any]) -> str:
    """Why the stored tests forbid publishing this content, "" when all pass or there are none."""
    with services().db.read() as connection:
        desk = services().live.current(connection)
    failed = [one for one in run_all(services().sandbox, desk, content) if not one.passed]
    if not failed:
        return ""
    return gettext(
        "A stored test fails, so nothing was published: %(name)s (%(why)s).",
        name=failed[0].name,
        why=said(failed[0].differences[0]),
    )


def _wrong_around(code: str, content: Mapping[str, Any]) -> str:
    """Why its parameters, triggers or the rows that run it forbid publishing this content, "" if they do not."""
    with services().db.read() as connection:
        words = services().live.current(connection).vocabulary
        entries = rule_list.entries(connection)
    wrong = scripts_content.problems_of(code, content, words)
    if wrong:
        return gettext("Nothing was published. %(why)s", why=" ".join(map(said, wrong)))
    rows = scripts_content.rows_put_wrong(entries, code, content, words)
    if not rows:
        return ""
    return gettext(
        "Nothing was published: rows that run this script would no longer be right. %(rows)s Give a parameter a "
        "default, or change the rows first.",
        rows=" ".join(rows),
    )


def _ask(connection: Connection, code: str, content: Mapping[str, Any], note: str, seen: int) -> None:
    """Keep the draft and the wish to publish it, until somebody else agrees. Aborts with 409 for an old page."""
    asked: dict[str, JSON] = {"by": me().key, "note": note}
    published.keep(connection, code, {**plain(content), "asked": asked}, author=me().key, seen=seen)


def _must_be_agreed(gained: Manifest) -> bool:
    return services().settings.second_person and bool(gained)


@versions.post("/scripts/<code>/publish")
@needs(PERMISSION)
def publish(code: str) -> ResponseReturnValue:
    """Make the draft the next version, with its manifest. Refused while the check finds an error.

    Where the desk wants a second person's yes, a version that may do more than the live one is only asked for; it is
    published when somebody else says so, in the name of who asked."""
    note, seen = published.sent_note(), published.sent_seen()
    with services().db.read() as connection:
        stored = stored_script(connection, code)
    # Checked before the transaction: the sandbox may take a moment, and the database has one writer.
    checked = checked_source(source_of(stored.working))
    if not checked.ok:
        return _review(stored, note, gettext("The script has errors that must be mended first. Nothing was published."))
    problem = published.note_problem(note)
    if problem:
        return _review(stored, note, problem)
    published.publishable(stored)
    wrong = _wrong_around(code, stored.working) or _failing_tests(stored.working)
    if wrong:
        return _review(stored, note, wrong)
    author = me().key
    added: dict[str, Any] = with_manifest(stored.working, checked.manifest)
    if _must_be_agreed(checked.manifest.beyond(_live_manifest(stored))):
        asked = _asked(stored)
        if asked is not None and asked["by"] == me().key:
            return _review(stored, note, gettext("You asked for this; somebody else has to agree. Nothing changed."))
        if asked is None:
            with services().db.write() as connection:
                _ask(connection, code, stored.working, note, seen)
            flash(
                gettext("This version may do more than the live one. It is live as soon as somebody else agrees."), "ok"
            )
            return redirect(url_for("scripts.versions.review", code=code))
        author, note = asked["by"], asked["note"]
        added["agreed_by"] = me().key
    content = {**plain(stored.working), **added}
    with services().db.write() as connection:
        version = published.publish(connection, code, note=note, seen=seen, author=author, content=content)
    published.say_live(version)
    return redirect(url_for("scripts.script", code=code))


@versions.post("/scripts/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = stored_script(connection, code)
        published.discard(connection, stored)
    return redirect(url_for("scripts.script", code=code))


@versions.get("/scripts/<code>/versions")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """Every version, and the lines that differ between two of them."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
        every = rule_list.versions(connection, code)
        labels = Labels(names(connection))
        words = services().live.current(connection).vocabulary
    chosen = published.compared(every)
    old, new = chosen.contents
    return render_template(
        "scripts_versions.html",
        entry=stored,
        code=code,
        seen=stored.draft_count,
        versions=every,
        compared=chosen,
        lines=scripts_content.diff(source_of(old), source_of(new)) if new is not None else [],
        beside=scripts_content.beside_source(old, new, words) if new is not None else [],
        labels=labels,
    )


@versions.post("/scripts/<code>/roll-back")
@needs(PERMISSION)
def roll_back(code: str) -> ResponseReturnValue:
    """Publish an earlier version again. Refused while there is a draft, or when it no longer passes the check."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
        old = published.earlier(connection, stored)
    checked = checked_source(source_of(old.content))
    if not checked.ok:
        why = next(one for one in checked.problems if one.severity == "error")
        raise refuse(
            422,
            gettext(
                "Version %(version)s no longer passes the check (line %(line)s: %(why)s). Nothing was rolled back.",
                version=old.version,
                line=why.line,
                why=said(why.message),
            ),
        )
    wrong = _wrong_around(code, old.content) or _failing_tests(old.content)
    if wrong:
        raise refuse(422, wrong)
    gained = checked.manifest.beyond(_live_manifest(stored))
    with services().db.write() as connection:
        published.unchanged(rule_list.entry(connection, code))  # the checks took their time outside the transaction
        if _must_be_agreed(gained):
            note = gettext("Back to version %(version)s", version=old.version)
            _ask(connection, code, old.content, note, stored.draft_count)
            version = 0
        else:
            version = rule_list.roll_back(connection, code, old.version, author=me().key, now=now())
    if not version:
        flash(
            gettext("That version may do more than the live one. It is live again as soon as somebody else agrees."),
            "ok",
        )
        return redirect(url_for("scripts.versions.review", code=code))
    published.say_back(version, old.version)
    return redirect(url_for("scripts.script", code=code))
