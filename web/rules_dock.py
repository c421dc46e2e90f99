"""What would be different if a draft were live: the dock below the grid, and both decisions on one event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, gettext

from jobs.preview import Preview, preview
from jobs.preview import why as why_different
from rules.errors import TableInvalid
from web.access import me, needs
from web.context import services
from web.errors import refuse
from web.rules_open import PERMISSION, Open, is_part, open_table, view_of

dock = Blueprint("dock", __name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """The preview, or the reason why there is none."""

    preview: Preview | None
    reason: str = ""
    bars: tuple[tuple[str, float, float], ...] = ()


def shown_preview(found: Open) -> Shown:
    """The draft against live over the newest events this person may see."""
    try:
        made = preview(services(), found.code, found.document, me())
    except TableInvalid as error:
        return Shown(
            None,
            gettext(
                "The preview comes when the problems above are mended. There are %(number)s.",
                number=len(error.problems),
            ),
        )
    tallest = max((events for _, events, _ in made.days), default=1)
    bars = tuple(
        (format_date(date.fromisoformat(day), "d MMM"), events / tallest, changed / tallest)
        for day, events, changed in made.days[-14:]
    )
    return Shown(made, "", bars)


@dock.get("/rules/<code>/preview")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """What would be different if the draft were live."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    if not is_part():
        return redirect(url_for("rules.editor.table", code=code, preview=1, _anchor="dock"))
    return render_template("rules_dock.html", shown=shown_preview(found), **view_of(found))


@dock.get("/rules/<code>/why/<int:event_id>")
@needs(PERMISSION)
def why(code: str, event_id: int) -> ResponseReturnValue:
    """Both decisions on one event, row by row."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    try:
        made = why_different(services(), code, found.document, me(), event_id)
    except TableInvalid:
        raise refuse(422, gettext("The draft has problems; mend them to see what it would do.")) from None
    if made is None:
        abort(404)
    sides = [
        (gettext("If you publish this draft"), next((one for one in made.draft.entries if one.code == code), None)),
        (gettext("What is live"), next((one for one in made.live.entries if one.code == code), None)),
    ]
    return render_template("rules_why.html", made=made, sides=sides, **view_of(found))
