"""Mail comes in over HTTP: from a mail server that knows a mailbox's secret. And the list of what came in.

No session and no form token here: the secret is the whole key, and it fixes mailbox and brand.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from werkzeug.exceptions import RequestEntityTooLarge

from connectors.channels.email import MAIL_BYTES
from jobs import intake, mail_list, mailboxes
from jobs.intake import Outcome
from tickets.people import Permission
from web.access import me, needs, open_to_all
from web.context import services
from web.forms import a_number
from web.limits import limiter

#: For programs, without session and form token; `create_app` exempts it from CSRF by name.
programs = Blueprint("inbound", __name__)
pages = Blueprint("mailboxes", __name__)

MEDIA_TYPE = "message/rfc822"
#: Mails one caller may hand in; a mail server keeps what it is refused and comes again.
PER_CALLER = "3000 per minute"
#: Seconds after which a refused mail server is asked to come again.
RETRY_AFTER_S = 60
#: Longest secret that is looked at, in characters.
SECRET_CHARS = 200

OUTCOMES = {
    Outcome.CREATED: lazy_gettext("New ticket"),
    Outcome.THREADED: lazy_gettext("On its ticket"),
    Outcome.THIRD_PARTY: lazy_gettext("Third party"),
    Outcome.AUTOMATIC: lazy_gettext("Automatic"),
    Outcome.DUPLICATE: lazy_gettext("Duplicate"),
    Outcome.CAPPED: lazy_gettext("Too many"),
    Outcome.UNREADABLE: lazy_gettext("Unreadable"),
}
#: What nobody sees on a ticket: this is what the list shows first.
NOT_ON_A_TICKET = (Outcome.UNREADABLE, Outcome.CAPPED)


@programs.post("/inbound/email")
@programs.post("/inbound/email/<secret>")
@open_to_all("the mailbox's secret is checked instead")
@limiter.limit(PER_CALLER)
def email(secret: str = "") -> ResponseReturnValue:
    """Takes one raw mail. 202 says that it is kept for good and what became of it; anything else: hand it in again
    (400, 429, 503) or mend the call (401, 411, 413, 415)."""
    try:
        return _take(secret or _bearer())
    except intake.NotNow as away:
        return _refused(503, "Deskhand cannot take mail now", str(away), {"Retry-After": str(RETRY_AFTER_S)})


def _take(secret: str) -> ResponseReturnValue:
    mailbox = mailboxes.mailbox_for(services(), secret) if 0 < len(secret) <= SECRET_CHARS else None
    if mailbox is None:
        said = "Give the mailbox's secret as 'Authorization: Bearer ...'; nothing was kept"
        return _refused(401, "This is no mailbox's secret", said, {"WWW-Authenticate": "Bearer"})
    if request.mimetype != MEDIA_TYPE:
        said = f"Send the raw mail with Content-Type: {MEDIA_TYPE}; nothing was kept"
        return _refused(415, "This is not a raw mail", said)
    if request.content_length is None:
        said = "Send the mail with a Content-Length, so that one cut short is noticed; nothing was kept"
        return _refused(411, "The length of the mail is missing", said)
    mail = request.get_data(cache=False)
    if len(mail) != request.content_length:
        # Half a mail under a Message-ID would make the whole one, when it comes again, a duplicate.
        said = f"{len(mail):,} of {request.content_length:,} bytes arrived; nothing was kept, hand it in again"
        return _refused(400, "The mail was cut short", said)
    try:
        done = intake.ingest(services(), mailbox, mail)
    except intake.TooLarge as error:
        return too_large(error)
    except intake.UnknownMailbox as error:
        return _refused(401, "This is no mailbox's secret", str(error), {"WWW-Authenticate": "Bearer"})
    return (
        jsonify(
            {
                "outcome": done.outcome.value,
                "ticket": done.item_id,
                "message": done.message_id,
                "reason": done.reason,
            }
        ),
        202,
    )


@programs.errorhandler(RequestEntityTooLarge)
def too_large(error: Exception) -> ResponseReturnValue:
    """Loud, with the cap, and before the body is read where the caller says how long it is."""
    cap = min(MAIL_BYTES, current_app.config["MAX_CONTENT_LENGTH"])
    return _refused(413, "This mail is too large", f"A mail has at most {cap:,} bytes; nothing was kept")


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refused(status: int, error: str, detail: str, headers: dict[str, str] | None = None) -> ResponseReturnValue:
    return jsonify({"error": error, "detail": detail}), status, headers or {}


@pages.get("/mailboxes/mails")
@needs(Permission.SETTINGS)
def mails() -> ResponseReturnValue:
    """What was handed in and what became of it; first of all what became no ticket, with the reason."""
    chosen = request.args.get("outcome", "not_on_a_ticket")
    outcomes = NOT_ON_A_TICKET if chosen == "not_on_a_ticket" else (chosen,) if chosen in set(Outcome) else ()
    page = min(max(1, request.args.get("page", 1, type=a_number)), mail_list.COUNT_CAP)
    with services().db.read() as connection:
        found = mail_list.mails(connection, me(), outcomes=outcomes, page=page)

    def href(number: int) -> str:
        return url_for("mailboxes.mails", outcome=chosen, page=number)

    tabs = [
        (gettext("Without a ticket"), url_for("mailboxes.mails"), chosen == "not_on_a_ticket", ""),
        (gettext("All mail"), url_for("mailboxes.mails", outcome="all"), chosen == "all", ""),
        *(
            (str(label), url_for("mailboxes.mails", outcome=one.value), chosen == one.value, "")
            for one, label in OUTCOMES.items()
        ),
    ]
    first = (found.page - 1) * mail_list.PAGE_ROWS
    shown = gettext(
        "%(first)s–%(last)s of %(total)s", first=first + 1, last=first + len(found.mails), total=found.total
    )
    return render_template(
        "inbound_mails.html",
        found=found,
        tabs=tabs,
        outcomes=OUTCOMES,
        adoptable=intake.ADOPTABLE,
        href=href,
        shown=shown,
        chosen=chosen,
    )


@pages.post("/mailboxes/mails/<int:mail_id>/ticket")
@needs(Permission.SETTINGS)
def adopt(mail_id: int) -> ResponseReturnValue:
    """Makes a ticket of a mail that was only kept: a person knows better than a cap or a header."""
    item_id = intake.adopt(services(), mail_id, me())
    if item_id is None:
        flash(gettext("No ticket was made: this mail is one already, or cannot be read."), "bad")
        return redirect(url_for("mailboxes.mails"), 303)
    flash(gettext("Ticket %(n)s was made of this mail.", n=item_id), "ok")
    return redirect(url_for("ticket.page", item_id=item_id), 303)


@pages.get("/mailboxes/mails/<int:mail_id>.eml")
@needs(Permission.SETTINGS)
def raw(mail_id: int) -> ResponseReturnValue:
    """The mail as it came, to keep: always as a download, never shown by the browser."""
    with services().db.read() as connection:
        data = mail_list.raw_mail(connection, me(), mail_id)
    if data is None:
        abort(404)
    return Response(
        data,
        mimetype="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="mail-{mail_id}.eml"'},
    )
