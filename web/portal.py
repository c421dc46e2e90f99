"""The customer's side: a form per brand that works without scripts, without signing in, and not for robots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext

from connectors.channels.mail_text import guess_language
from jobs.queues import Work
from tickets import people
from tickets import store as items
from tickets.attachments import NewAttachment, check_attachments
from tickets.errors import AttachmentRefused
from tickets.events import Actor, ActorKind
from tickets.item import LANGUAGES, FieldType, ItemKind, StateField
from web import names_store
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
#: The custom field that customers choose themselves, where the desk has it, and the longest free text in it.
TOPIC = "topic"
TOPIC_CHARS = 200


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
        key: request.form.get(key, "").replace("\r\n", "\n").strip()
        for key in ("name", "email", "subject", "text", TOPIC)
    }
    if request.form.get("website"):
        return render_template("portal_thanks.html", brand=_brand(brand)[0], number=None)
    known, topic = _brand(brand)
    problems = _problems(given, topic)
    files: list[NewAttachment] = []
    try:
        files = received_files()
        check_attachments(files)
    except AttachmentRefused as error:
        problems["files"] = str(error)
    if problems:
        return _form(brand, given, problems), 422
    # What somebody writes says more than the browser they were given.
    language = guess_language(f"{given['subject']}\n{given['text']}") or str(get_locale() or "en")
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
                **({topic.key: given[TOPIC]} if topic is not None else {}),
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


def _problems(given: Mapping[str, str], topic: StateField | None) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not looks_like_email(given["email"]):
        problems["email"] = gettext("We need an e-mail address to answer you, such as name@example.com.")
    if len(given["name"]) > NAME_CHARS:
        problems["name"] = gettext("At most %(n)s characters.", n=NAME_CHARS)
    if topic is not None and given[TOPIC]:
        if topic.options and given[TOPIC] not in topic.options:
            problems[TOPIC] = gettext("Choose one of the list.")
        elif len(given[TOPIC]) > TOPIC_CHARS:
            problems[TOPIC] = gettext("At most %(n)s characters.", n=TOPIC_CHARS)
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
    known, topic = _brand(brand)
    return render_template(
        "portal_form.html", brand=known, given=given, problems=problems, topic=topic, topics=_choices(topic)
    )


def _choices(topic: StateField | None) -> Sequence[tuple[str, str]]:
    """What the topic can be, beginning with none; empty where it is free text."""
    return [("", gettext("none of these")), *topic.options.items()] if topic is not None and topic.options else ()


def _brand(key: str) -> tuple[items.AnyRow, StateField | None]:
    """The brand, and the field for the topic where this desk has one that a customer can fill in."""
    with services().db.read() as connection:
        found = names_store.brand(connection, key)
        topic = items.custom_fields(connection, ItemKind.TICKET).get(TOPIC)
    if found is None:
        abort(404)
    fits = topic is not None and (topic.type is FieldType.TEXT or (topic.type is FieldType.CHOICE and topic.options))
    return found, topic if fits else None
