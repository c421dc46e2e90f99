"""Events that were set aside because they could not be handled: which, why, what would come of them now, and once more.

Nobody handles them again unseen: first the page shows what each would do, by the function that would do it.
"""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from jobs import parked as set_aside
from jobs.deciding import Outcome
from jobs.queues import Work
from rules.actions import step_sentence
from tickets.people import Permission
from web.access import me, needs
from web.context import now, services
from web.forms import LARGEST_KEY
from web.labels import event_word
from web.names_store import names

pages = Blueprint("set_aside", __name__)


@pages.get("/set-aside")
@needs(Permission.EDIT_RULES)
def index() -> ResponseReturnValue:
    """The newest events that were set aside, with the reason."""
    viewer = me()
    with services().db.read() as connection:
        rows = set_aside.parked(connection, viewer)
        hidden = set_aside.hidden(connection, viewer)
    return render_template("set_aside_list.html", rows=rows, hidden=hidden, cap=set_aside.LISTED, event_word=event_word)


@pages.get("/set-aside/look")
@needs(Permission.EDIT_RULES)
def look() -> ResponseReturnValue:
    """What handling the chosen ones again, or all, would come to. Nothing is kept, sent or asked."""
    chosen = _chosen(request.args.getlist("event"))
    rehearsals = set_aside.rehearse(services(), me(), chosen or None)
    with services().db.read() as connection:
        entries = names(connection).entries
        desk = services().live.current(connection)
    return render_template(
        "set_aside_look.html",
        rehearsals=rehearsals,
        entries=entries,
        event_word=event_word,
        sentence=lambda one: _sentence(one, desk.vocabulary),
        cap=set_aside.REHEARSED,
    )


@pages.post("/set-aside/again")
@needs(Permission.EDIT_RULES)
def again() -> ResponseReturnValue:
    """Handles the named ones again."""
    chosen = _chosen(request.form.getlist("event"))
    if not chosen:
        flash(gettext("Choose at least one event. Nothing was changed."), "warn")
        return redirect(url_for("set_aside.index"))
    with services().db.write() as connection:
        count = set_aside.handle_again(connection, now(), chosen, viewer=me())
    services().queues.hint(Work.DRAIN)
    if count:
        said = ngettext(
            "%(num)s event is handled again, in its ticket's order.",
            "%(num)s events are handled again, in their tickets' order.",
            count,
        )
        flash(said, "ok")
    else:
        flash(gettext("None of them is set aside any more. Nothing was changed."), "warn")
    return redirect(url_for("set_aside.index"))


def _chosen(given: list[str]) -> list[int]:
    numbers = [int(one) for one in given if one.isascii() and one.isdigit() and len(one) <= 10]
    return [one for one in numbers if 0 < one <= LARGEST_KEY][: set_aside.LISTED]


def _sentence(one: Outcome, vocabulary: object) -> str:
    return step_sentence(one.action, one.params, vocabulary)  # type: ignore[arg-type]
