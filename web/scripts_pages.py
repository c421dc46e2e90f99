"""Scripts: the list, and one script's editor with a try on a real ticket beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs.runs import script_api
from jobs.tryout import Mode, Tried, Would, try_script
from rules import store as rule_list
from rules.errors import ActionRefused
from rules.script_params import complete, declared_or_none
from rules.store import EntryKind, StaleDraft, Stored
from rules.vocabulary import ScriptParam
from tickets.errors import ItemNotFound
from tickets.people import Permission
from tickets.values import JSON, json_problem
from web import rules_store, runs_store, scripts_content
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.labels import Labels
from web.limits import limiter, person
from web.names_store import names
from web.refusals import full_stop, said
from web.rules_document import EditRefused
from web.rules_forms import given_widget, read_given
from web.rules_python import folded
from web.scripts_api import completion
from web.scripts_content import plain, source_of
from web.scripts_settings import settings
from web.scripts_tests import stored_script as _script
from web.scripts_tests import tests
from web.scripts_versions import checked_source, versions
from web.undo_pages import undoing

pages = Blueprint("scripts", __name__)
pages.register_blueprint(tests)
pages.register_blueprint(settings)
pages.register_blueprint(versions)

PERMISSION = Permission.EDIT_SCRIPTS
pages.register_blueprint(folded)
pages.register_blueprint(undoing(EntryKind.SCRIPT, PERMISSION))
RUNS_SHOWN = 20
#: A check while somebody types, and a try, per person and minute.
CHECKS_PER_MINUTE = "120/minute"
TRIES_PER_MINUTE = "30/minute"
BLANK = '# What this script is for, in a sentence.\n\nlog("looking at", ticket.id)\n'


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
    found = [
        replace(one, message=full_stop(one.message), hint=said(one.hint)) for one in checked_source(source).problems
    ]
    return jsonify(problems=[asdict(one) for one in found])


# The editor ------------------------------------------------------------------------------------------------------


def _sent_source() -> tuple[str, str]:
    """The source of the form with plain line ends, and why it cannot be stored or run, "" when it can."""
    source = request.form.get("source", "").replace("\r\n", "\n")
    most = services().sandbox.limits.source_kb * 1024
    if len(source) > most:
        return source, gettext("A script has at most %(n)s characters; shorten it.", n=most)
    if json_problem(source) is not None:
        return source, gettext("The source holds characters that cannot be stored.")
    return source, ""


@pages.get("/scripts/<code>")
@needs(PERMISSION)
def script(code: str) -> ResponseReturnValue:
    """The editor, and what the last try on the ticket in the address would do."""
    with services().db.read() as connection:
        stored = _script(connection, code)
    return _editor(stored, source_of(stored.working))


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
        "unchecked": gettext(
            "Not checked: the server gave no answer. Your text is kept; it is checked again with your next change."
        ),
        "busy": gettext("Not checked: too many checks in a short time. It is checked again with your next change."),
        "signedOut": gettext("Not checked: you are signed out. Copy your text before you leave this page."),
        "uncompleted": gettext("Names are not completed: their list could not be loaded."),
        "saved": gettext("Draft saved"),
        "saving": gettext("Saving …"),
        "unsaved": gettext("Not saved: Deskhand cannot be reached. It is tried again with your next change."),
        "unsavedWhy": gettext("Not saved. {why}"),
        "failedWhy": gettext("Nothing was run. {why}"),
        "signedOutUnsaved": gettext("Not saved: you are signed out. Copy your text before you leave this page."),
        "signedOutUnrun": gettext("You are signed out. Nothing was run. Copy your text before you leave this page."),
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
    return ("out", "↗") if effect.kind in ("message", "notify", "script", "lookup", "change") else ("add", "+")


@pages.post("/scripts/<code>")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Save the draft. The page's own script does so while somebody types, and is told the count to go on from."""
    source, unfit = _sent_source()
    seen = request.form.get("seen", -1, type=a_number)
    by_itself = request.headers.get("X-Part") == "1"
    if unfit:
        unfit = gettext("%(why)s Nothing was saved.", why=unfit)
        if by_itself:
            return jsonify(error=unfit), 422
        raise refuse(422, unfit)
    saved = seen
    with services().db.write() as connection:
        stored = _script(connection, code)
        try:
            content = _content(stored, source)
            if not by_itself or content != plain(stored.working) or stored.draft_count != seen:
                saved = rule_list.save_draft(connection, code, content, author=me().key, seen=seen, now=now())
        except StaleDraft as stale:
            clash = said(str(stale))
        else:
            clash = ""
    if by_itself:
        return (jsonify(error=clash), 409) if clash else jsonify(seen=saved)
    if clash:
        # Both stand on the page; what is in the editor is theirs to save on top, or to copy from.
        return _editor(stored, source, problem=clash, theirs=source_of(stored.working), status=409)
    if request.form.get("then") == "review":
        return redirect(url_for("scripts.versions.review", code=code))
    flash(gettext("The draft is saved."), "ok")
    return redirect(url_for("scripts.script", code=code))


def _content(stored: Stored, source: str) -> dict[str, Any]:
    name = " ".join(request.form.get("name", "").split())[:200] or str(stored.working.get("name") or stored.name)
    return {**plain(stored.working), "name": name, "source": source}


@pages.post("/scripts/<code>/try")
@limiter.limit(TRIES_PER_MINUTE, key_func=person)
@needs(PERMISSION)
def try_it(code: str) -> ResponseReturnValue:
    """Run what is in the editor on a ticket and show what it would do. Nothing is saved, changed or sent."""
    source, unfit = _sent_source()
    part = request.headers.get("X-Part") == "1"
    if unfit and not part:
        raise refuse(422, gettext("%(why)s Nothing was run.", why=unfit))
    with services().db.read() as connection:
        stored = _script(connection, code)
        desk = services().live.current(connection)
        labels = Labels(names(connection), desk.vocabulary.custom_fields)
    if unfit:
        tried, problem = None, gettext("%(why)s Nothing was run.", why=unfit)
    else:
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


@pages.get("/scripts/<code>.py")
@needs(PERMISSION)
def export(code: str) -> ResponseReturnValue:
    """The source as a file."""
    with services().db.read() as connection:
        stored = _script(connection, code)
    return Response(
        source_of(stored.working),
        mimetype="text/plain",
        headers={"Content-Disposition": f'attachment; filename="{stored.code}.py"'},
    )
