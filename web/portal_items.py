"""The portal's own pages: a customer's published items in plain words, and their replies. No script is needed."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs.queues import Work
from jobs.telling import tell_of_message
from tickets import requests
from tickets import store as items
from tickets.attachments import check_attachments
from tickets.errors import AttachmentRefused
from tickets.events import Actor, ActorKind
from tickets.item import FINISHED, LANGUAGES
from web import portal_session, portal_store
from web.context import now, services
from web.forms import received_files
from web.limits import limiter
from web.portal_session import customers_only, here

pages = Blueprint("portal_items", __name__, url_prefix="/portal")

#: Replies one caller may send, and the longest, in characters.
PER_CALLER = "10 per minute; 100 per hour"
TEXT_CHARS = 20_000


def plain_status(status: str) -> tuple[str, str]:
    """A status as a customer would say it, and its colour."""
    if status in FINISHED:
        return gettext("Done"), "off"
    if status == "waiting_customer":
        return gettext("We are waiting for you"), "warn"
    if status == "on_hold":
        return gettext("On hold"), "info"
    return gettext("We are working on it"), "ok"


@pages.get("/")
@customers_only
def index() -> ResponseReturnValue:
    """What is asked of them, and their items."""
    person = here()
    with services().db.read() as connection:
        lines = portal_store.listed(connection, person.id)
        asked = requests.of_person(connection, person.id)
    return render_template(
        "portal_index.html",
        person=person,
        brands={line.brand for line in lines},
        open=[line for line in lines if line.status not in FINISHED],
        done=[line for line in lines if line.status in FINISHED],
        most=portal_store.ITEMS if len(lines) == portal_store.ITEMS else 0,
        asked=[one for one in asked if one.open],
        answered=[one for one in asked if not one.open],
        plain_status=plain_status,
        languages=LANGUAGES,
        language_now=portal_session.language() or "en",
        zones=sorted(available_timezones()),
        zone_now=portal_session.zone(),
    )


@pages.get("/items/<int:item_id>")
@customers_only
def item(item_id: int) -> ResponseReturnValue:
    """One item: what was said, and a reply."""
    return _show(item_id)


def _show(item_id: int, *, draft: str = "", problem: str = "", status: int = 200) -> ResponseReturnValue:
    person = here()
    with services().db.read() as connection:
        found = portal_store.item(connection, person.id, item_id)
        said, files = portal_store.messages(connection, item_id)
    with services().db.write() as connection:
        portal_store.mark_seen(
            connection, person.id, [row.id for row in said if row.author_kind in ("agent", "bot")], now()
        )
    page = render_template(
        "portal_item.html",
        item=found,
        said=said,
        files=files,
        plain_status=plain_status,
        draft=draft,
        problem=problem,
    )
    return make_response(page, status)


@pages.post("/items/<int:item_id>")
@customers_only
@limiter.limit(PER_CALLER)
def reply(item_id: int) -> ResponseReturnValue:
    """Their reply is a public message of the item, with files, as if they had written a mail."""
    person = here()
    text = request.form.get("text", "").replace("\r\n", "\n").strip()
    try:
        files = received_files()
        check_attachments(files)
    except AttachmentRefused as error:
        return _show(item_id, draft=text, problem=str(error), status=413)
    if not text and not files:
        return _show(item_id, problem=gettext("Write something first."), status=422)
    if len(text) > TEXT_CHARS:
        return _show(item_id, draft=text, problem=gettext("At most %(n)s characters.", n=TEXT_CHARS), status=422)
    with services().db.write() as connection:
        portal_store.item(connection, person.id, item_id)
        found = items.read_item(connection, item_id, lock=True)
        made = items.change_item(
            connection,
            found,
            lines=(),
            actor=Actor(ActorKind.CUSTOMER, str(person.id), person.name or person.email),
            now=now(),
            messages=(
                items.NewMessage(
                    author="customer",
                    public=True,
                    channel="form",
                    text=text,
                    author_person=person.id,
                    author_name=person.name,
                    author_address=person.email,
                    attachments=tuple(files),
                ),
            ),
        )
        assert made.message_id is not None
        tell_of_message(connection, item_id, made.message_id, now())
    services().queues.hint(Work.DRAIN)
    flash(gettext("Your message is sent. You find our answer here."), "ok")
    return redirect(url_for("portal_items.item", item_id=item_id), 303)


@pages.get("/files/<int:attachment_id>")
@customers_only
def file(attachment_id: int) -> ResponseReturnValue:
    """A file of a public message, always as a download."""
    with services().db.read() as connection:
        found = portal_store.file(connection, here().id, attachment_id)
    if found is None:
        abort(404)
    return download(found.data, found.name)


def download(data: bytes, name: str) -> ResponseReturnValue:
    """Bytes that no browser opens on our address, whatever is in them."""
    response = make_response(data)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
