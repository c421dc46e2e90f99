"""A new ticket that somebody takes down for a customer: the form, and what it makes."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs.queues import Work
from tickets import people
from tickets import store as items
from tickets.errors import BadValue, ItemNotFound
from tickets.events import Actor, ActorKind
from tickets.item import CHANNELS, LANGUAGES, PRIORITIES, STATE_FIELDS, ItemKind, clean_value
from tickets.people import Permission
from tickets.values import JSON
from web.access import me, needs
from web.context import now, services
from web.forms import looks_like_email
from web.labels import Labels
from web.names_store import names as all_names
from web.ticket import TEXT_CHARS

pages = Blueprint("ticket_new", __name__)


@pages.get("/tickets/new")
@needs(Permission.WORK_TICKETS)
def form() -> ResponseReturnValue:
    """The form for a ticket somebody takes down for a customer."""
    return _form({}, {})


@pages.post("/tickets/new")
@needs(Permission.WORK_TICKETS)
def create() -> ResponseReturnValue:
    """Makes it; every problem is shown at once beside its field."""
    given = {
        key: request.form.get(key, "").strip()
        for key in ("subject", "text", "email", "name", "team", "priority", "brand", "language", "channel")
    }
    problems = {}
    if not given["subject"]:
        problems["subject"] = gettext("Give it a subject.")
    if not given["text"]:
        problems["text"] = gettext("Say what the customer wants.")
    if given["email"] and not looks_like_email(given["email"]):
        problems["email"] = gettext("This is not an e-mail address.")
    viewer = me()
    with services().db.read() as connection:
        names = all_names(connection)
    for field, known in (("team", names.teams), ("brand", names.brands)):
        if given[field] and given[field] not in known:
            problems[field] = gettext("Choose one of the list.")
    state: dict[str, JSON] = {key: given[key] or None for key in ("subject", "team", "priority", "brand", "language")}
    state["channel"] = given["channel"] if given["channel"] in CHANNELS else "form"
    for key in ("subject", "priority", "language"):
        try:
            clean_value(STATE_FIELDS[key], state[key])
        except BadValue as error:
            problems.setdefault(key, str(error))
    if len(given["text"]) > TEXT_CHARS:
        problems["text"] = gettext("A message has at most %(n)s characters.", n=TEXT_CHARS)
    if problems:
        return _form(given, problems), 422
    with services().db.write() as connection:
        person = None
        if given["email"]:
            person = people.person_for(
                connection, email=given["email"], name=given["name"], language=given["language"], now=now()
            )
        by_customer = person is not None
        made = items.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={**state, "customer": person},
            actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
            now=now(),
            message=items.NewMessage(
                author="customer" if by_customer else "agent",
                public=by_customer,
                channel=str(state["channel"]),
                text=given["text"],
                subject=given["subject"],
                language=given["language"],
                author_person=person,
                author_user=None if by_customer else viewer.key,
                author_name=given["name"] if by_customer else viewer.name,
                author_address=given["email"] if by_customer else viewer.email,
            ),
        )
        # Restricted teams hide what others file for them: then there is nothing to open.
        try:
            items.read_item(connection, made.item_id, viewer=viewer)
        except ItemNotFound:
            target = url_for("inbox.page")
        else:
            target = url_for("ticket.page", item_id=made.item_id)
    services().queues.hint(Work.DRAIN)
    flash(gettext("Ticket %(n)s was created.", n=made.item_id), "ok")
    return redirect(target, 303)


def _form(given: Mapping[str, str], problems: Mapping[str, str]) -> str:
    with services().db.read() as connection:
        names = all_names(connection)
    labels = Labels(names)
    nobody = ("", gettext("none"))
    return render_template(
        "ticket_new.html",
        given=given,
        problems=problems,
        teams=[nobody, *names.teams.items()],
        brands=[nobody, *names.brands.items()],
        priorities=[(key, labels.one("priority", key)) for key in PRIORITIES],
        languages=[nobody, *((key, labels.one("language", key)) for key in LANGUAGES)],
        channels=[(key, labels.one("channel", key)) for key in CHANNELS],
    )
