"""Requests to customers as people here see them: sent, linked, answered, set to completed."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.portal_mail import MOST_REMINDERS, queue_request
from jobs.queues import Work
from rules.item_actions import REMINDERS
from tickets import people
from tickets import requests as asked
from tickets import store as items
from tickets.errors import BadValue, ItemNotFound
from tickets.events import Actor, ActorKind, Cause
from tickets.item import Item
from tickets.people import Permission
from tickets.questions import Purpose, Question
from tickets.requests import NoSuchRequest, QuestionsToAsk, Request
from web import requests_store
from web.access import me, needs
from web.context import now, services
from web.forms import LARGEST_KEY, looks_like_email
from web.portal_items import download
from web.question_forms import read_questions, rows, type_words, typed

pages = Blueprint("requests", __name__)

STATUSES = ("open", "completed", "withdrawn")
#: From so many questions on a request is long: customers answer at one sitting what is short.
LONG_LIST = 10


@pages.get("/requests")
@needs(Permission.WORK_TICKETS)
def index() -> ResponseReturnValue:
    """The requests one may see, open ones first."""
    status = request.args.get("status", "open")
    status = status if status in STATUSES else "open"
    with services().db.read() as connection:
        found = requests_store.listed(connection, me(), status)
    return render_template("requests_list.html", found=found, tabs=_tabs(status), status=status)


@pages.get("/requests/new")
@needs(Permission.WORK_TICKETS)
def new() -> ResponseReturnValue:
    """Asks a customer something, about an item if the address names one."""
    return _form({"item": request.args.get("item", "")[:10]})


@pages.post("/requests/new")
@needs(Permission.WORK_TICKETS)
def create() -> ResponseReturnValue:
    """Sends it: a mail with a link, and reminders if wanted."""
    given = request.form
    viewer = me()
    try:
        with services().db.write() as connection:
            item = _item(connection, given.get("item", ""))
            person = _person(connection, given.get("email", ""), item)
            ask = _what(connection)
            made = asked.send(
                connection,
                ask,
                person=person.id,
                item=item.id if item is not None else None,
                key=f"user:{viewer.key}:{asked.fresh_key()}",
                cause=Cause("person", label=viewer.name),
                now=now(),
            )
            assert made is not None
            mailed = queue_request(
                services(),
                connection,
                made,
                person,
                item.id if item is not None else None,
                now(),
                remind_h=REMINDERS.get(given.get("remind", ""), ("", 0))[1],
            )
    except BadValue as error:
        return _form(given.to_dict(), problem=str(error)), 422
    services().queues.hint(Work.OUTBOX)
    if len(ask.questions) >= LONG_LIST:
        flash(
            gettext(
                "%(n)s questions are many to answer at once. Several shorter requests are answered sooner; nothing is "
                "lost that the customer typed.",
                n=len(ask.questions),
            ),
            "warn",
        )
    said = gettext("Sent. The customer gets a mail with a link.")
    flash(said if mailed else gettext("Made. The customer has no e-mail address; they find it in the portal."), "ok")
    return redirect(url_for("requests.page", request_id=made), 303)


def _item(connection: Connection, given: str) -> Item | None:
    number = given.strip().removeprefix("#")
    if not number:
        return None
    try:
        if not (number.isascii() and number.isdigit() and 0 < int(number[:11]) <= LARGEST_KEY):
            raise ItemNotFound
        return items.read_item(connection, int(number), viewer=me(), lock=True)
    except ItemNotFound as error:
        raise BadValue(gettext("There is no ticket %(n)s, or it is not visible to you.", n=number[:20])) from error


def _person(connection: Connection, given: str, item: Item | None) -> people.Customer:
    email = given.strip().lower()
    if not email:
        known = item.state.get("customer") if item is not None else None
        if not isinstance(known, int):
            raise BadValue(gettext("Say whom to ask: an e-mail address, or an item that has a customer."))
        return people.customer(connection, known)
    if not looks_like_email(email):
        raise BadValue(gettext("This is not an e-mail address."))
    return people.customer(connection, people.person_for(connection, email=email, name="", language="", now=now()))


def _what(connection: Connection) -> QuestionsToAsk:
    """A known list of questions, or those of the form."""
    given = request.form
    sign_in = given.get("sign_in") == "1"
    key = given.get("list", "")

    def asked_here(questions: tuple[Question, ...]) -> tuple[Question, ...]:
        """The questions as this request asks them: all of them may be left open when it says so."""
        return tuple(replace(one, required=False) for one in questions) if given.get("optional") == "1" else questions

    if key:
        found = asked.question_list(connection, key, Purpose.REQUEST)
        if found is None:
            raise BadValue(gettext("Choose one of the list."))
        return QuestionsToAsk(given.get("title", "").strip() or found[0].label, asked_here(found[1]), key, sign_in)
    return QuestionsToAsk(given.get("title", "").strip(), asked_here(read_questions(given)), "", sign_in)


@pages.get("/requests/<int:request_id>")
@needs(Permission.WORK_TICKETS)
def page(request_id: int) -> ResponseReturnValue:
    """One request with its answers."""
    with services().db.read() as connection:
        found = _seen(connection, request_id)
        person = people.customer(connection, found.person)
    return render_template("requests_page.html", asked=found, person=person)


@pages.post("/requests/<int:request_id>")
@needs(Permission.WORK_TICKETS)
def change(request_id: int) -> ResponseReturnValue:
    """Links it to an item, sets it to completed, or withdraws it."""
    viewer = me()
    action = request.form.get("do", "")
    with services().db.write() as connection:
        _seen(connection, request_id)
        match action:
            case "complete":
                actor = Actor(ActorKind.AGENT, viewer.key, viewer.name)
                asked.complete(connection, request_id, actor=actor, now=now())
            case "withdraw":
                asked.withdraw(connection, request_id, now=now())
            case "link":
                item = _item(connection, request.form.get("item", ""))
                if item is None:
                    raise BadValue(gettext("Say which item."))
                asked.link(connection, request_id, item.id)
            case _:
                abort(404)
    services().queues.hint(Work.DRAIN)
    return redirect(url_for("requests.page", request_id=request_id), 303)


@pages.get("/requests/files/<int:file_id>")
@needs(Permission.WORK_TICKETS)
def file(file_id: int) -> ResponseReturnValue:
    """A file that a customer uploaded, always as a download."""
    with services().db.read() as connection:
        found = requests_store.file(connection, me(), file_id)
    if found is None:
        abort(404)
    return download(found.data, found.name)


def _seen(connection: Connection, request_id: int) -> Request:
    """The request, if the viewer may see it; else it is as one that is not there."""
    if not requests_store.seen(connection, me(), request_id):
        raise NoSuchRequest(gettext("There is no such request, or it is not visible to you."))
    return asked.read(connection, request_id)


def _form(given: dict[str, str], *, problem: str = "") -> str:
    with services().db.read() as connection:
        lists = requests_store.question_lists(connection, Purpose.REQUEST, active=True)
    return render_template(
        "requests_new.html",
        given=given,
        problem=problem,
        lists=[("", gettext("the questions below")), *((one.key, one.label) for one in lists)],
        reminders=[(key, gettext(label)) for key, (label, _) in REMINDERS.items()],
        most=MOST_REMINDERS,
        rows=rows(typed(request.form) if problem else ()),
        types=type_words(),
    )


def _tabs(status: str) -> list[tuple[str, str, bool, int]]:
    words = {"open": gettext("Open"), "completed": gettext("Completed"), "withdrawn": gettext("Withdrawn")}
    return [(words[one], url_for("requests.index", status=one), one == status, 0) for one in STATUSES]
