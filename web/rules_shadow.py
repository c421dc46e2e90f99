"""A draft that runs beside the live version: starting it, stopping it, and why it is not published yet."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs import shadow
from jobs.shadow import Standing
from rules.store import Stored
from web import versions as published
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.rules_grid import check
from web.rules_open import PERMISSION, open_table, table_or_404

beside = Blueprint("beside", __name__)

#: What the form offers: for how many days, for how many tickets, and how many per cent of the events may differ.
OFFERED = {"days": (1, 3, 7, 14, 30), "tickets": (50, 100, 500, 1000), "allowed": (0, 5, 10, 25, 100)}


@beside.post("/rules/<code>/beside")
@needs(PERMISSION)
def start(code: str) -> ResponseReturnValue:
    """Let the draft run beside the live version, without effect."""
    asked = {name: request.form.get(name, -1, type=a_number) for name in OFFERED}
    if any(asked[name] not in offered for name, offered in OFFERED.items()):
        raise refuse(422, gettext("Choose one of the offered values. Nothing was started."))
    with services().db.write() as connection:
        found = open_table(connection, code)
        published.publishable(found.stored)
        errors, _ = check({**found.document, "code": code}, found.vocabulary, thorough=False)
        if errors:
            raise refuse(422, gettext("The draft has problems that must be mended first. Nothing was started."))
        shadow.start(connection, found.stored, me(), now=now(), **asked)
    flash(gettext("The draft runs beside the live version from now on. It changes and sends nothing."), "ok")
    return redirect(url_for("rules.versions.review", code=code))


@beside.post("/rules/<code>/beside/stop")
@needs(PERMISSION)
def stop(code: str) -> ResponseReturnValue:
    """Forget what the draft would have done."""
    with services().db.write() as connection:
        shadow.stop(connection, table_or_404(connection, code).code)
    flash(gettext("The draft runs beside the live version no more."), "ok")
    return redirect(url_for("rules.versions.review", code=code))


def held_back(connection: Connection, stored: Stored) -> str:
    """Why this draft is not published yet, "" when nothing is in the way."""
    held = shadow.holds_back(connection, stored)
    if held is None:
        return ""
    if held.standing is Standing.RUNNING:
        return gettext("The draft still runs beside the live version. Wait for it or stop it. Nothing was published.")
    if not held.row.events:
        return gettext(
            "The draft met no event it could be compared on. Run it longer or stop it. Nothing was published."
        )
    return gettext(
        "Beside the live version %(share)s %% of the events came out differently, and %(allowed)s %% were allowed. "
        "Change the draft or stop comparing. Nothing was published.",
        share=round(held.share),
        allowed=held.row.allowed,
    )
