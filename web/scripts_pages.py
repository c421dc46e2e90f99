"""Scripts: the list, and one script's editor with a try on a real ticket beside it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.runs import manifest_of, script_api, with_manifest
from jobs.script_tests import run_all
from jobs.tryout import Mode, Tried, Would, try_script
from rules import store as rule_list
from rules.errors import ActionRefused
from rules.script_params import complete, declared_or_none
from rules.store import EntryKind, NothingToPublish, StaleDraft, Stored
from rules.vocabulary import ScriptParam
from sandbox.contract import Checked, Manifest
from sandbox.errors import ServiceUnavailable
from tickets.errors import ItemNotFound
from tickets.people import Permission
from tickets.values import JSON, json_problem
from web import rules_store, runs_store, scripts_content
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.limits import limiter, person
from web.names_store import names
from web.refusals import full_stop, said
from web.rules_document import EditRefused
from web.rules_forms import given_widget, read_given
from web.scripts_api import completion
from web.scripts_settings import settings
from web.scripts_tests import stored_script as _script
from web.scripts_tests import tests

pages = Blueprint("scripts", __name__)
pages.register_blueprint(tests)
pages.register_blueprint(settings)

PERMISSION = Permission.EDIT_SCRIPTS
NOTE_CHARS = 2_000
RUNS_SHOWN = 20
#: A check while somebody types, and a try, per person and minute.
CHECKS_PER_MINUTE = "120/minute"
TRIES_PER_MINUTE = "30/minute"
BLANK = '# What this script is for, in a sentence.\n\nlog("looking at", ticket.id)\n'


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a difference between two sources: "+", "-" or " "."""

    sign: str
    text: str


@pages.get("/scripts")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every script, who uses it, and how it fared lately."""
    with services().db.read() as connection:
        stored = rule_list.entries(connection)
        scripts = [one for one in stored if one.kind is EntryKind.SCRIPT]
        fared = runs_store.lately(connection, me(), [one.code for one in scripts])
    return render_template(
        "scripts_list.html",
        scripts=scripts,
        used={one.code: rules_store.used_by(stored, one.code) for one in scripts},
        fared=fared,
    )


@pages.post("/scripts")
@needs(PERMISSION)
def create() -> ResponseReturnValue:
    """A new script, as a draft."""
    name = " ".join(request.form.get("name", "").split())[:200]
    if not name:
        raise refuse(422, gettext("The script needs a name. Nothing was created."))
    with services().db.write() as connection:
        code = rule_list.create(connection, EntryKind.SCRIPT, name, {"source": BLANK}, author=me().key, now=now())
    return redirect(url_for("scripts.script", code=code))


@pages.post("/scripts/<code>/switch")
@needs(PERMISSION)
def switch(code: str) -> ResponseReturnValue:
    """Switch a script on or off, live at once."""
    with services().db.write() as connection:
        _script(connection, code)
        rule_list.switch(connection, code, enabled=request.form.get("enabled") == "1")
    return redirect(url_for("rules.index" if request.form.get("next") == "rules" else "scripts.index"))


@pages.get("/scripts/api.json")
@needs(PERMISSION)
def api() -> ResponseReturnValue:
    """The names the editor completes; with `code` those of this script's parameters, too."""
    code = request.args.get("code", "")
    with services().db.read() as connection:
        desk = services().live.current(connection)
        takes = declared_or_none(_script(connection, code).working) if code else ()
    return jsonify(completion(desk, takes))


@pages.post("/scripts/check")
@limiter.limit(CHECKS_PER_MINUTE, key_func=person)
@needs(PERMISSION)
def check() -> ResponseReturnValue:
    """The problems of a source that somebody is typing: {"source"} -> {"problems": [...]}."""
    data = request.get_json(silent=True)
    source = data.get("source") if isinstance(data, dict) else None
    if not isinstance(source, str):
        return jsonify(error=gettext('Send the source as JSON: {"source": "..."}.')), 400
    found = [replace(one, message=full_stop(one.message), hint=said(one.hint)) for one in _checked(source).problems]
    return jsonify(problems=[asdict(one) for one in found])


def _checked(source: str) -> Checked:
    with services().db.read() as connection:
        desk = services().live.current(connection)
    return services().sandbox.check(source, script_api(desk))


# The editor ------------------------------------------------------------------------------------------------------


def _source(content: Mapping[str, Any] | None) -> str:
    return str((content or {}).get("source", ""))


def _sent_source() -> str:
    """The source of the form with plain line ends. Aborts with 422 for text that cannot be stored."""
    source = request.form.get("source", "").replace("\r\n", "\n")
    most = services().sandbox.limits.source_kb * 1024
    if len(source) > most:
        raise refuse(
            422,
            gettext("A script has at most %(n)s characters. Nothing was saved; go back and shorten it.", n=most),
        )
    if json_problem(source) is not None:
        raise refuse(422, gettext("The source holds characters that cannot be stored. Nothing was saved."))
    return source


@pages.get("/scripts/<code>")
@needs(PERMISSION)
def script(code: str) -> ResponseReturnValue:
    """The editor, and what the last try on the ticket in the address would do."""
    with services().db.read() as connection:
        stored = _script(connection, code)
    return _editor(stored, _source(stored.working))


def _editor(
    stored: Stored,
    source: str,
    *,
    tried: Tried | None = None,
    problem: str = "",
    theirs: str | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    with services().db.read() as connection:
        desk = services().live.current(connection)
        labels = Labels(names(connection), desk.vocabulary.custom_fields)
        recent = runs_store.recent_tickets(connection, me())
        used = scripts_content.uses(rule_list.entries(connection), stored.code)
    checked = services().sandbox.check(source, script_api(desk))
    page = render_template(
        "scripts_editor.html",
        entry=stored,
        code=stored.code,
        source=source,
        checked=checked,
        tried=tried,
        problem=problem,
        theirs=theirs,
        labels=labels,
        recent=recent,
        used=used,
        given=[
            given_widget(f"p.{one.name}", one, read_given(request.form, f"p.{one.name}", one))
            for one in declared_or_none(stored.working)
        ],
        item=request.values.get("item", recent[0].id if recent else "", type=str),
        mode=_mode().value,
        limits=services().sandbox.limits,
        effect_tone=_effect_tone,
        words=_words(),
        template_names={code: one.name for code, one in desk.vocabulary.templates.items()},
    )
    return page, status


def _words() -> dict[str, str]:
    """The editor's own sentences in the reader's language."""
    return {
        "none": gettext("No problems found."),
        "one": gettext("1 problem."),
        "many": gettext("{n} problems."),
        "line": gettext("Line {line}:"),
        "saved": gettext("Draft saved"),
        "saving": gettext("Saving …"),
        "unsaved": gettext("Not saved: Deskhand cannot be reached. It is tried again with your next change."),
        "clash": gettext("Not saved: somebody else saved this script. Save it yourself to see both."),
        "tooMany": gettext("Too many tries in a minute. Nothing was run; wait a moment."),
        "failed": gettext("That did not work. Nothing was run."),
        "away": gettext("Deskhand cannot be reached. Nothing was run."),
    }


def _mode() -> Mode:
    return Mode.LIVE if request.values.get("mode") == "live" else Mode.RECORDED


def _effect_tone(effect: Would) -> tuple[str, str]:
    """(class, sign) of an effect in the list."""
    if effect.kind == "field":
        return ("add", "+") if effect.before in (None, []) else ("mod", "~")
    return ("out", "↗") if effect.kind in ("message", "notify", "script", "lookup") else ("add", "+")


@pages.post("/scripts/<code>")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Save the draft. The page's own script does so while somebody types, and is told the count to go on from."""
    source = _sent_source()
    seen = request.form.get("seen", -1, type=int)
    by_itself = request.headers.get("X-Part") == "1"
    saved = seen
    with services().db.write() as connection:
        stored = _script(connection, code)
        try:
            content = _content(stored, source)
            if not by_itself or content != _plain(stored.working) or stored.draft_count != seen:
                saved = rule_list.save_draft(connection, code, content, author=me().key, seen=seen, now=now())
        except StaleDraft as stale:
            clash = str(stale)
        else:
            clash = ""
    if by_itself:
        return (jsonify(error=clash), 409) if clash else jsonify(seen=saved)
    if clash:
        # Both stand on the page; what is in the editor is theirs to save on top, or to copy from.
        return _editor(stored, source, problem=clash, theirs=_source(stored.working), status=409)
    if request.form.get("then") == "review":
        return redirect(url_for("scripts.review", code=code))
    flash(gettext("The draft is saved."), "ok")
    return redirect(url_for("scripts.script", code=code))


def _content(stored: Stored, source: str) -> dict[str, Any]:
    name = " ".join(request.form.get("name", "").split())[:200] or str(stored.working.get("name") or stored.name)
    return {**_plain(stored.working), "name": name, "source": source}


#: What publishing adds to a version. Never carried over from a draft: nobody may bring an agreement along.
_ADDED = frozenset({"manifest", "manifest_sha256", "asked", "agreed_by"})


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _ADDED}


@pages.post("/scripts/<code>/try")
@limiter.limit(TRIES_PER_MINUTE, key_func=person)
@needs(PERMISSION)
def try_it(code: str) -> ResponseReturnValue:
    """Run what is in the editor on a ticket and show what it would do. Nothing is saved, changed or sent."""
    source = _sent_source()
    part = request.headers.get("X-Part") == "1"
    with services().db.read() as connection:
        stored = _script(connection, code)
        desk = services().live.current(connection)
        labels = Labels(names(connection), desk.vocabulary.custom_fields)
    tried, problem = _try(source, declared_or_none(stored.working))
    if not part:
        return _editor(stored, source, tried=tried, problem=problem, status=422 if problem else 200)
    return render_template(
        "scripts_tried.html",
        tried=tried,
        problem=problem,
        labels=labels,
        limits=services().sandbox.limits,
        effect_tone=_effect_tone,
        template_names={code: one.name for code, one in desk.vocabulary.templates.items()},
    )


def _given(takes: Sequence[ScriptParam]) -> dict[str, JSON]:
    """The parameters of the try's form. Raises `ActionRefused`."""
    given = {one.name: read_given(request.form, f"p.{one.name}", one) for one in takes}
    return complete(takes, {name: value for name, value in given.items() if value is not None})


def _try(source: str, takes: Sequence[ScriptParam]) -> tuple[Tried | None, str]:
    wanted = request.form.get("item", "").strip().removeprefix("#")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 9):
        return None, gettext("Enter the number of a ticket to try it on.")
    try:
        given = _given(takes)
    except (ActionRefused, EditRefused) as refused:
        return None, gettext("%(why)s Nothing was run.", why=full_stop(str(refused)))
    try:
        return try_script(services(), source, int(wanted), me(), _mode(), params=given), ""
    except ItemNotFound:
        return None, gettext("There is no ticket %(n)s, or it is not visible to you. Nothing was run.", n=wanted)


# Publishing, versions ----------------------------------------------------------------------------------------------


def diff(before: str, after: str, context: int = 3) -> list[DiffLine]:
    """The lines that differ between two sources, with some around them; at most 2 000 lines."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    found = [DiffLine("…", "") if line.startswith("@@") else DiffLine(line[:1], line[1:]) for line in list(lines)[2:]]
    return found[:2_000]


@pages.get("/scripts/<code>/review")
@needs(PERMISSION)
def review(code: str) -> ResponseReturnValue:
    """What publishing would change, what the script may do, and its problems."""
    with services().db.read() as connection:
        stored = _script(connection, code)
    return _review(stored)


def _review(stored: Stored, note: str = "", problem: str = "") -> ResponseReturnValue:
    source = _source(stored.working)
    checked = _checked(source)
    with services().db.read() as connection:
        labels = Labels(names(connection))
        words = services().live.current(connection).vocabulary
    page = render_template(
        "scripts_review.html",
        beside=scripts_content.beside_source(stored.content, stored.working, words),
        entry=stored,
        code=stored.code,
        checked=checked,
        lines=diff(_source(stored.content), source),
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
        why=failed[0].differences[0],
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
    """Keep the draft and the wish to publish it, until somebody else agrees. Raises `StaleDraft`."""
    asked: dict[str, JSON] = {"by": me().key, "note": note}
    rule_list.save_draft(connection, code, {**_plain(content), "asked": asked}, author=me().key, seen=seen, now=now())


def _must_be_agreed(gained: Manifest) -> bool:
    return services().settings.second_person and bool(gained)


@pages.post("/scripts/<code>/publish")
@needs(PERMISSION)
def publish(code: str) -> ResponseReturnValue:
    """Make the draft the next version, with its manifest. Refused while the check finds an error.

    Where the desk wants a second person's yes, a version that may do more than the live one is only asked for; it is
    published when somebody else says so, in the name of who asked."""
    note = request.form.get("note", "").replace("\r\n", "\n").strip()
    seen = request.form.get("seen", -1, type=int)
    with services().db.read() as connection:
        stored = _script(connection, code)
    # Checked before the transaction: the sandbox may take a moment, and the database has one writer.
    checked = _checked(_source(stored.working))
    if not checked.ok:
        return _review(stored, note, gettext("The script has errors that must be mended first. Nothing was published."))
    if not note:
        return _review(stored, note, gettext("Say in a sentence what changes and why. Nothing was published."))
    if len(note) > NOTE_CHARS:
        return _review(
            stored, note, gettext("The note has at most %(n)s characters. Nothing was published.", n=NOTE_CHARS)
        )
    if stored.draft_count != seen:
        raise refuse(409, gettext("Somebody saved this script since you opened the page. Nothing was published."))
    if stored.draft is None:
        raise refuse(422, gettext("There is no draft. Nothing was published."))
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
                try:
                    _ask(connection, code, stored.working, note, seen)
                except StaleDraft as stale:
                    raise refuse(409, str(stale)) from None
            flash(
                gettext("This version may do more than the live one. It is live as soon as somebody else agrees."), "ok"
            )
            return redirect(url_for("scripts.review", code=code))
        author, note = asked["by"], asked["note"]
        added["agreed_by"] = me().key
    with services().db.write() as connection:
        try:
            content = {**_plain(stored.working), **added}
            seen = rule_list.save_draft(connection, code, content, author=author, seen=seen, now=now())
            version = rule_list.publish(connection, code, author=author, note=note, seen=seen, now=now())
        except StaleDraft as stale:
            raise refuse(409, str(stale)) from None
        except NothingToPublish as nothing:
            raise refuse(422, str(nothing)) from None
    flash(gettext("Version %(version)s is live.", version=version), "ok")
    return redirect(url_for("scripts.script", code=code))


@pages.post("/scripts/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = _script(connection, code)
        if stored.draft_count != request.form.get("seen", -1, type=int):
            raise refuse(409, gettext("Somebody saved this draft since you opened it. It was not thrown away."))
        rule_list.discard_draft(connection, code)
    return redirect(url_for("scripts.script", code=code))


@pages.get("/scripts/<code>/versions")
@needs(PERMISSION)
def versions(code: str) -> ResponseReturnValue:
    """Every version, and the lines that differ between two of them."""
    with services().db.read() as connection:
        stored = _script(connection, code)
        every = rule_list.versions(connection, code)
        labels = Labels(names(connection))
        words = services().live.current(connection).vocabulary
    numbers = {one.version: one for one in every}
    chosen = numbers.get(request.args.get("version", 0, type=int))
    old = numbers.get(request.args.get("against", chosen.version - 1 if chosen else 0, type=int))
    lines = diff(_source(old.content if old else None), _source(chosen.content)) if chosen else []
    return render_template(
        "scripts_versions.html",
        entry=stored,
        code=code,
        versions=every,
        chosen=chosen,
        against=old,
        lines=lines,
        beside=scripts_content.beside_source(old.content if old else None, chosen.content, words) if chosen else [],
        labels=labels,
    )


@pages.post("/scripts/<code>/roll-back")
@needs(PERMISSION)
def roll_back(code: str) -> ResponseReturnValue:
    """Publish an earlier version again. Refused while there is a draft, or when it no longer passes the check."""
    number = request.form.get("version", 0, type=int)
    with services().db.read() as connection:
        stored = _script(connection, code)
        old = next((one for one in rule_list.versions(connection, code) if one.version == number), None)
    if old is None:
        abort(404)
    if stored.draft is not None:
        raise refuse(422, gettext("There is a draft. Publish it or throw it away first. Nothing was rolled back."))
    checked = _checked(_source(old.content))
    if not checked.ok:
        why = next(one for one in checked.problems if one.severity == "error")
        raise refuse(
            422,
            gettext(
                "Version %(version)s no longer passes the check (line %(line)s: %(why)s). Nothing was rolled back.",
                version=number,
                line=why.line,
                why=said(why.message),
            ),
        )
    wrong = _wrong_around(code, old.content) or _failing_tests(old.content)
    if wrong:
        raise refuse(422, wrong)
    seen = request.form.get("seen", -1, type=int)
    gained = checked.manifest.beyond(_live_manifest(stored))
    with services().db.write() as connection:
        if rule_list.entry(connection, code).draft_count != seen:
            raise refuse(
                409, gettext("Somebody changed this script since you opened the page. Nothing was rolled back.")
            )
        if _must_be_agreed(gained):
            _ask(connection, code, old.content, gettext("Back to version %(version)s", version=number), seen)
            version = 0
        else:
            version = rule_list.roll_back(connection, code, number, author=me().key, now=now())
    if not version:
        flash(
            gettext("That version may do more than the live one. It is live again as soon as somebody else agrees."),
            "ok",
        )
        return redirect(url_for("scripts.review", code=code))
    flash(gettext("Version %(version)s is live; it says what version %(old)s said.", version=version, old=number), "ok")
    return redirect(url_for("scripts.script", code=code))


@pages.get("/scripts/<code>.py")
@needs(PERMISSION)
def export(code: str) -> ResponseReturnValue:
    """The source as a file."""
    with services().db.read() as connection:
        stored = _script(connection, code)
    return Response(
        _source(stored.working),
        mimetype="text/plain",
        headers={"Content-Disposition": f'attachment; filename="{stored.code}.py"'},
    )
