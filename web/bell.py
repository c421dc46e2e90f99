"""The bell: what rules and colleagues told this person."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from web import bell_store as store
from web.access import me, signed_in
from web.context import now, services
from web.errors import refuse
from web.names_store import names

pages = Blueprint("bell", __name__)

#: How lines that ask for an e-mail come to a person.
MAIL_WISHES = {
    "at_once": lazy_gettext("at once"),
    "digest": lazy_gettext("one mail an hour at most"),
    "never": lazy_gettext("never"),
}


@pages.get("/bell")
@signed_in
def page() -> ResponseReturnValue:
    """The newest lines, unread ones marked."""
    with services().db.read() as connection:
        lines = store.bell(connection, me())
        found = names(connection)
        wish = store.mail_of(connection, me())
    return render_template(
        "bell.html", lines=lines, names=found, cap=store.BELL_LINES, wishes=list(MAIL_WISHES.items()), wish=wish
    )


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


@pages.post("/bell/mail")
@signed_in
def mail() -> ResponseReturnValue:
    """Sets how the lines that ask for an e-mail come to me: at once, in a digest, or never."""
    wanted = request.form.get("mail", "")
    if wanted not in MAIL_WISHES:
        raise refuse(422, gettext("Choose one of the list."))
    with services().db.write() as connection:
        store.set_mail(connection, me(), wanted)
    flash(gettext("Saved."), "ok")
    return redirect(url_for("bell.page"), 303)
