"""Events and rows that were set aside for an error: which, why, what would come of them now, and once more.

Nobody handles them again unseen: first the page shows what each would do, by the function that would do it.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from jobs import parked as set_aside
from jobs import rows_set_aside
from jobs.aside import LISTED
from jobs.deciding import Outcome
from jobs.queues import Work
from rules.actions import step_sentence
from tickets.people import Permission
from web.access import me, needs
from web.context import now, services
from web.forms import LARGEST_KEY
from web.labels import event_word
from web.names_store import names
from web.traced import step_words

pages = Blueprint("set_aside", __name__)


@pages.get("/set-aside")
@needs(Permission.EDIT_RULES)
def index() -> ResponseReturnValue:
    """The newest events that were set aside, with the reason."""
    viewer = me()
    with services().db.read() as connection:
        rows = set_aside.parked(connection, viewer)
        asides = rows_set_aside.listed(connection, viewer)
        hidden = set_aside.hidden(connection, viewer) + rows_set_aside.hidden(connection, viewer)
        entries = names(connection).entries
    return render_template(
        "set_aside_list.html",
        rows=rows,
        asides=asides,
        hidden=hidden,
        cap=LISTED,
        event_word=event_word,
        row_name=lambda key: _row_name(key, entries),
    )


@pages.get("/set-aside/look")
@needs(Permission.EDIT_RULES)
def look() -> ResponseReturnValue:
    """What handling the chosen ones again, or all, would come to. Nothing is kept, sent or asked."""
    chosen, asides = _chosen(request.args.getlist("event")), _chosen(request.args.getlist("rows"))
    everything = not chosen and not asides
    rehearsals = set_aside.rehearse(services(), me(), None if everything else chosen)
    rehearsals += set_aside.rehearse_rows(services(), me(), None if everything else asides)
    with services().db.read() as connection:
        entries = names(connection).entries
        desk = services().live.current(connection)
    return render_template(
        "set_aside_look.html",
        rehearsals=rehearsals,
        entries=entries,
        event_word=event_word,
        sentence=lambda one: _sentence(one, desk.vocabulary),
        row_name=lambda key: _row_name(key, entries),
        cap=set_aside.REHEARSED,
    )


@pages.post("/set-aside/again")
@needs(Permission.EDIT_RULES)
def again() -> ResponseReturnValue:
    """Handles the named ones again."""
    chosen, asides = _chosen(request.form.getlist("event")), _chosen(request.form.getlist("rows"))
    if not chosen and not asides:
        flash(gettext("Choose at least one event. Nothing was changed."), "warn")
        return redirect(url_for("set_aside.index"))
    with services().db.write() as connection:
        desk = services().live.current(connection)
        count = set_aside.handle_again(connection, now(), chosen, viewer=me())
        found = sorted(rows_set_aside.listed(connection, me(), asides), key=lambda one: one.event.id)
        count += sum(rows_set_aside.decide_again(connection, desk, one, now()) is not None for one in found)
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
    return [one for one in numbers if 0 < one <= LARGEST_KEY][:LISTED]


def _row_name(key: str, entries: Mapping[str, str]) -> str:
    """A row of a table as people know it: its table's name and its own id."""
    code, _, row = key.partition("/")
    return f"{entries.get(code, code)} ({code}), {row}"


def _sentence(one: Outcome, vocabulary: object) -> str:
    return step_words(one.action, step_sentence(one.action, one.params, vocabulary))  # type: ignore[arg-type]
