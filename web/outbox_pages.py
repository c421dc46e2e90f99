"""The outbox: what waits, what left, what did not and why; and suggested replies, which people approve or reject."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy import Connection

from jobs import suggestions
from jobs.bounces import READDRESSED
from jobs.queues import Work
from tickets.errors import ItemNotFound
from tickets.people import Permission
from web import outbox_store
from web.access import me, needs, safe_path
from web.context import now, services
from web.forms import looks_like_email
from web.labels import Labels
from web.names_store import names
from web.paging import asked_page

pages = Blueprint("outbox", __name__)

STATES = {
    "approval": lazy_gettext("Waits for approval"),
    "waiting": lazy_gettext("Waits to leave"),
    "dead": lazy_gettext("Not delivered"),
    "sent": lazy_gettext("Sent"),
    "cancelled": lazy_gettext("Cancelled"),
}
KINDS = {
    "email": lazy_gettext("Message to the customer"),
    "template": lazy_gettext("Template by e-mail"),
    "notice": lazy_gettext("E-mail to a colleague"),
    "digest": lazy_gettext("Digest"),
    "reply": lazy_gettext("Suggested reply"),
    "webhook": lazy_gettext("Webhook"),
    "portal": lazy_gettext("Link into the portal"),
    "change": lazy_gettext("Change in a system"),
}


@pages.get("/outbox")
@needs(Permission.WORK_TICKETS)
def page() -> ResponseReturnValue:
    """One state of the outbox, a page at a time."""
    state = request.args.get("state", "approval")
    if state not in STATES:
        state = "approval"
    with services().db.read() as connection:
        found = outbox_store.outbox(connection, me(), state, page=asked_page())
        waiting = outbox_store.waiting_for_approval(connection, me())
        labels = Labels(names(connection))
    return render_template(
        "outbox.html",
        found=found,
        state=state,
        kinds=KINDS,
        readdressed=READDRESSED,
        labels=labels,
        may_send_again=me().may(Permission.EDIT_RULES),
        tabs=[
            (str(label), url_for("outbox.page", state=key), key == state, waiting if key == "approval" else 0)
            for key, label in STATES.items()
        ],
        href=lambda n: url_for("outbox.page", state=state, page=n),
    )


@pages.post("/outbox/<int:row_id>/approve")
@needs(Permission.WORK_TICKETS)
def approve(row_id: int) -> ResponseReturnValue:
    """Sends a suggested reply as mine, worded as the form has it."""
    text, then = request.form.get("text", ""), request.form.get("then", "")

    def do(connection: Connection) -> int | None:
        return suggestions.approve(services(), connection, me(), row_id, text, then=then)

    return _done(do, gettext("Sent as your reply."))


@pages.post("/outbox/<int:row_id>/edit")
@needs(Permission.WORK_TICKETS)
def edit(row_id: int) -> ResponseReturnValue:
    """Words a suggested reply anew; it waits on."""
    text = request.form.get("text", "")
    return _done(
        lambda connection: suggestions.edit(services(), connection, me(), row_id, text),
        gettext("The wording is saved."),
    )


@pages.post("/outbox/<int:row_id>/reject")
@needs(Permission.WORK_TICKETS)
def reject(row_id: int) -> ResponseReturnValue:
    """Rejects a suggested reply: nothing is sent."""
    return _done(
        lambda connection: suggestions.reject(services(), connection, me(), row_id),
        gettext("Rejected. Nothing was sent."),
    )


@pages.post("/outbox/<int:row_id>/cancel")
@needs(Permission.WORK_TICKETS)
def cancel(row_id: int) -> ResponseReturnValue:
    """Keeps something from leaving."""
    return _done(
        lambda connection: outbox_store.cancel(connection, me(), row_id, now()),
        gettext("Cancelled. It will not be sent."),
    )


@pages.post("/outbox/<int:row_id>/again")
@needs(Permission.WORK_TICKETS)
def again(row_id: int) -> ResponseReturnValue:
    """Tries something again that was given up, held back, cancelled or came back; a mail also to another address."""
    to, keep = request.form.get("to", "").strip().lower(), request.form.get("keep") == "1"
    if to and not looks_like_email(to):
        flash(gettext("“%(text)s” is no e-mail address. Nothing was sent.", text=to[:80]), "bad")
        return redirect(safe_path(request.form.get("next"), url_for("outbox.page")), 303)
    return _done(
        lambda connection: outbox_store.again(connection, me(), row_id, now(), to=to, keep=keep),
        gettext("It will be tried again."),
    )


@pages.post("/outbox/<int:row_id>/done")
@needs(Permission.WORK_TICKETS)
def done(row_id: int) -> ResponseReturnValue:
    """Says that a change of which it was unclear was made: I looked. It is not sent again."""
    return _done(
        lambda connection: outbox_store.found_done(connection, me(), row_id),
        gettext("Noted. It will not be sent again."),
    )


def _done(do: Callable[[Connection], int | None], said: str) -> ResponseReturnValue:
    """Do it in one transaction and go back to where the form stood, with what came of it."""
    back = safe_path(request.form.get("next"), url_for("outbox.page"))
    try:
        with services().db.write() as connection:
            do(connection)
    except ItemNotFound:
        abort(404)
    except suggestions.SuggestionError as error:
        flash(str(error), "bad")
        return redirect(back, 303)
    except outbox_store.NotAllowed:
        abort(403)
    except outbox_store.MayBeMade:
        flash(gettext("It may have been made already, so it cannot be cancelled: that is found out first."), "bad")
        return redirect(back, 303)
    except outbox_store.NotNow:
        flash(gettext("It is being sent right now, or somebody was faster. Nothing was done."), "bad")
        return redirect(back, 303)
    services().queues.hint(Work.DRAIN)
    services().queues.hint(Work.OUTBOX)
    flash(said, "ok")
    return redirect(back, 303)
