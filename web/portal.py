"""The customer's side: a form per brand that works without scripts, without signing in, and not for robots."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext

from jobs.queues import Work
from tickets import people
from tickets import store as items
from tickets.errors import AttachmentRefused
from tickets.events import Actor, ActorKind
from tickets.item import LANGUAGES, ItemKind
from web import store
from web.access import open_to_all
from web.context import now, services
from web.forms import looks_like_email, received_files
from web.limits import limiter

pages = Blueprint("portal", __name__)

#: How often one caller may send the form, and the longest message, in characters.
PER_CALLER = "6 per minute; 40 per hour"
TEXT_CHARS = 20_000
SUBJECT_CHARS = 300
NAME_CHARS = 200


@pages.get("/form/<brand>")
@open_to_all("customers write to us here")
def form(brand: str) -> ResponseReturnValue:
    """The empty form of this brand."""
    return _form(brand, {}, {})


@pages.post("/form/<brand>")
@open_to_all("customers write to us here")
@limiter.limit(PER_CALLER)
def send(brand: str) -> ResponseReturnValue:
    """Makes a ticket of what a customer wrote. A robot that fills the hidden field is thanked, and nothing is kept."""
    given = {
        key: request.form.get(key, "").replace("\r\n", "\n").strip() for key in ("name", "email", "subject", "text")
    }
    if request.form.get("website"):
        return render_template("portal_thanks.html", brand=_brand(brand), number=None)
    problems = _problems(given)
    files: list[items.NewAttachment] = []
    try:
        files = received_files()
        items.check_attachments(files)
    except AttachmentRefused as error:
        problems["files"] = str(error)
    if problems:
        return _form(brand, given, problems), 422
    known = _brand(brand)
    language = str(get_locale() or "en")
    with services().db.write() as connection:
        person = people.person_for(connection, email=given["email"], name=given["name"], language=language, now=now())
        made = items.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={
                "subject": given["subject"],
                "brand": known.key,
                "channel": "form",
                "language": language if language in LANGUAGES else None,
                "customer": person,
            },
            actor=Actor(ActorKind.CUSTOMER, str(person), given["name"] or given["email"]),
            now=now(),
            message=items.NewMessage(
                author="customer",
                public=True,
                channel="form",
                text=given["text"],
                subject=given["subject"],
                language=language,
                author_person=person,
                author_name=given["name"],
                author_address=given["email"].lower(),
                attachments=tuple(files),
            ),
        )
    services().queues.hint(Work.DRAIN)
    return render_template("portal_thanks.html", brand=known, number=made.item_id)


def _problems(given: Mapping[str, str]) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not looks_like_email(given["email"]):
        problems["email"] = gettext("We need an e-mail address to answer you, such as name@example.com.")
    if len(given["name"]) > NAME_CHARS:
        problems["name"] = gettext("At most %(n)s characters.", n=NAME_CHARS)
    if not given["subject"]:
        problems["subject"] = gettext("In a few words, what is it about?")
    elif len(given["subject"]) > SUBJECT_CHARS:
        problems["subject"] = gettext("At most %(n)s characters.", n=SUBJECT_CHARS)
    if not given["text"]:
        problems["text"] = gettext("Tell us what happened and what you need.")
    elif len(given["text"]) > TEXT_CHARS:
        problems["text"] = gettext("At most %(n)s characters; please shorten it.", n=TEXT_CHARS)
    return problems


def _form(brand: str, given: Mapping[str, str], problems: Mapping[str, str]) -> str:
    return render_template("portal_form.html", brand=_brand(brand), given=given, problems=problems)


def _brand(key: str) -> items.AnyRow:
    with services().db.read() as connection:
        found = store.brand(connection, key)
    if found is None:
        abort(404)
    return found
