"""Runs: what scripts did, newest first, and one run in full: its log, its calls, and what became of its actions."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from rules import store as rule_list
from rules.actions import step_sentence
from rules.store import EntryNotFound
from sandbox.source import lines_of
from tickets.people import Permission
from web import runs_store
from web.access import me, needs
from web.context import services
from web.labels import Labels
from web.names_store import names
from web.paging import asked_page
from web.traced import step_words

pages = Blueprint("runs", __name__)


@pages.get("/runs")
@needs(Permission.WORK_TICKETS)
def index() -> ResponseReturnValue:
    """Runs on visible tickets, narrowed by outcome, script or ticket."""
    given = request.args
    outcome = given.get("outcome", "")
    wanted = runs_store.RunFilter(
        outcome=outcome if outcome in runs_store.OUTCOMES else "",
        script=given.get("script", "")[:10],
        item=_number(given.get("item", "")),
        page=asked_page(),
    )
    with services().db.read() as connection:
        found = runs_store.runs(connection, me(), wanted)
        scripts = runs_store.scripts(connection)
    return render_template(
        "runs_list.html",
        found=found,
        wanted=wanted,
        scripts=scripts,
        outcomes={"good": gettext("Ended well"), "bad": gettext("Failed"), "waiting": gettext("Waiting or running")},
        word=run_word,
        tone=run_tone,
        href=lambda number: url_for(
            "runs.index",
            outcome=wanted.outcome or None,
            script=wanted.script or None,
            item=wanted.item or None,
            page=number,
        ),
    )


def _number(text: str) -> int:
    plain = text.strip().removeprefix("#")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) <= 9 else 0


def run_word(status: str) -> str:
    """A run's status as people say it."""
    words = {
        "queued": gettext("queued"),
        "running": gettext("running"),
        "retrying": gettext("will try again"),
        "finished": gettext("finished"),
        "stopped": gettext("stopped itself"),
        "refused": gettext("not run: has errors"),
        "failed": gettext("failed"),
        "limit": gettext("over a limit"),
        "violation": gettext("tried to break out"),
        "lost": gettext("cut off"),
        "unavailable": gettext("could not be run here"),
        "cancelled": gettext("cancelled"),
    }
    return words.get(status, status)


def run_tone(status: str) -> str:
    tones = {"finished": "ok", "stopped": "warn", "queued": "info", "running": "info", "retrying": "warn"}
    return tones.get(status, "bad")


@pages.get("/runs/<int:run_id>")
@needs(Permission.WORK_TICKETS)
def run(run_id: int) -> ResponseReturnValue:
    """One run."""
    with services().db.read() as connection:
        row = runs_store.run(connection, me(), run_id)
        if row is None:
            abort(404)
        desk = services().live.current(connection)
        labels = Labels(names(connection), desk.vocabulary.custom_fields)
        done = runs_store.done_by(connection, row)
        source = ""
        if me().may(Permission.EDIT_SCRIPTS):
            try:
                source = next(
                    str(one.content.get("source", ""))
                    for one in rule_list.versions(connection, row.script)
                    if one.version == row.version
                )
            except (EntryNotFound, StopIteration):
                source = ""
    return render_template(
        "runs_run.html",
        run=row,
        done=done,
        source=lines_of(source.removesuffix("\n")) if source else [],
        labels=labels,
        limits=services().sandbox.limits,
        word=run_word,
        tone=run_tone,
        sentence=lambda action, params: step_words(action, step_sentence(action, params, desk.vocabulary)),
    )
