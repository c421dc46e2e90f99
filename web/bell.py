"""The bell: what rules and colleagues told this person."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from web import bell_store as store
from web.access import me, signed_in
from web.context import now, services
from web.names_store import names

pages = Blueprint("bell", __name__)


@pages.get("/bell")
@signed_in
def page() -> ResponseReturnValue:
    """The newest lines, unread ones marked."""
    with services().db.read() as connection:
        lines = store.bell(connection, me())
        found = names(connection)
    return render_template("bell.html", lines=lines, names=found, cap=store.BELL_LINES)


@pages.post("/bell/read")
@signed_in
def read_all() -> ResponseReturnValue:
    """Marks every line as read."""
    with services().db.write() as connection:
        store.read_bell(connection, me(), now())
    return redirect(url_for("bell.page"))


@pages.post("/bell/<int:line_id>")
@signed_in
def follow(line_id: int) -> ResponseReturnValue:
    """Marks one line as read and opens its ticket."""
    with services().db.write() as connection:
        item_id = store.read_bell(connection, me(), now(), line_id)
    if item_id is None:
        abort(404)
    return redirect(url_for("ticket.page", item_id=item_id))
