"""Requests as a customer sees them: answered after signing in, or by the link of the mail, which opens this one alone.

Answers are kept as they are given: by a button, and with scripts by themselves. Only sending them completes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.queues import Work
from tickets import people, tokens
from tickets import requests as asked
from tickets.attachments import NewAttachment
from tickets.errors import AttachmentRefused, BadValue, StaleItem
from tickets.events import Actor, ActorKind
from tickets.questions import QuestionType, clean_answer
from tickets.requests import NoSuchRequest, Request
from tickets.values import JSON
from web.access import open_to_all
from web.context import now, services
from web.forms import a_number, files_of
from web.limits import limiter
from web.portal_session import customers_only, here

pages = Blueprint("portal_requests", __name__, url_prefix="/portal")

#: Saves one caller may make: typing saves by itself every few seconds.
PER_CALLER = "60 per minute; 1000 per hour"
#: Guesses at a token that one caller has.
PER_GUESS = "30 per minute; 200 per hour"


@pages.get("/requests/<int:request_id>")
@customers_only
def mine(request_id: int) -> ResponseReturnValue:
    """One of their own requests."""
    with services().db.read() as connection:
        found = asked.read(connection, request_id, person=here().id)
    return _show(found, url_for("portal_requests.answer_mine", request_id=request_id))


@pages.post("/requests/<int:request_id>")
@customers_only
@limiter.limit(PER_CALLER)
def answer_mine(request_id: int) -> ResponseReturnValue:
    """Keeps or sends the answers."""
    return _answer(request_id, here().id, url_for("portal_requests.mine", request_id=request_id))


@pages.get("/answer/<token>")
@open_to_all("the token in the address opens one request")
@limiter.limit(PER_GUESS)
def by_link(token: str) -> ResponseReturnValue:
    """The request of a mail's link."""
    with services().db.read() as connection:
        found = _of_token(connection, token)
    if found is None:
        return render_template("portal_over.html"), 410
    return _show(found, url_for("portal_requests.answer_by_link", token=token))


@pages.post("/answer/<token>")
@open_to_all("the token in the address opens one request")
@limiter.limit(PER_CALLER)
def answer_by_link(token: str) -> ResponseReturnValue:
    """Keeps or sends the answers; the link is dead once they are sent."""
    with services().db.read() as connection:
        found = _of_token(connection, token)
    if found is None:
        return render_template("portal_over.html"), 410
    return _answer(found.id, found.person, url_for("portal_requests.by_link", token=token))


def _of_token(connection: Connection, token: str) -> Request | None:
    """The open request that this token opens without signing in."""
    good = tokens.find(connection, tokens.REQUEST, token, now())
    if good is None or good.request is None:
        return None
    found = asked.read(connection, good.request, person=good.person)
    return found if found.open and not found.sign_in else None


def _show(
    found: Request,
    address: str,
    *,
    problems: Mapping[str, str] | None = None,
    said: str = "",
    status: int = 200,
    saved: bool = False,
) -> ResponseReturnValue:
    page = render_template(
        "portal_request.html",
        asked=found,
        address=address,
        problems=problems or {},
        said=said,
        saved=saved,
        types=QuestionType,
    )
    return make_response(page, status)


def _answer(request_id: int, person: int, back: str) -> ResponseReturnValue:
    """What the form says is kept; with `do=send` the request is completed if nothing is missing.

    What is wrong with one answer is said beside it and the others are kept."""
    auto = request.form.get("auto") == "1"
    sends = request.form.get("do") == "send"
    problems: dict[str, str] = {}
    said = ""
    status = 200
    with services().db.read() as connection:
        found = asked.read(connection, request_id, person=person)
    if not found.open:
        return ({"error": gettext("This is not open any more.")}, 409) if auto else _over(back)
    answers, files = _read(found, problems)
    try:
        # What is refused leaves the transaction: a part of it, such as a removed file, must not stay.
        with services().db.write() as connection:
            current = asked.read(connection, request_id, person=person, lock=True)
            version = request.form.get("version", 0, type=a_number)
            drop = request.form.get("drop", 0, type=a_number)
            if drop > 0:
                asked.drop_file(connection, current, drop)
            asked.save(connection, current, answers, seen_version=version, files={} if auto else files)
    except (StaleItem, AttachmentRefused) as error:
        said, status = str(error), 409 if isinstance(error, StaleItem) else 413
    except NoSuchRequest:
        return ({"error": gettext("This is not open any more.")}, 409) if auto else _over(back)
    with services().db.read() as connection:
        current = asked.read(connection, request_id, person=person)
    if auto:
        return jsonify({"version": current.version, "problem": said, "problems": problems}), status
    if status != 200:
        return _show(current, request.path, problems=problems, said=said, status=status)
    if sends:
        problems = {one.key: gettext("Please answer this.") for one in current.unanswered()} | problems
    if problems:
        return _show(current, request.path, problems=problems, status=422)
    if not sends:
        return redirect(back, 303)
    return _send(request_id, person)


def _send(request_id: int, person: int) -> ResponseReturnValue:
    with services().db.write() as connection:
        who = people.customer(connection, person)
        asked.complete(
            connection,
            request_id,
            actor=Actor(ActorKind.CUSTOMER, str(person), who.name or who.email),
            now=now(),
            person=person,
        )
    services().queues.hint(Work.DRAIN)
    return redirect(url_for("portal_requests.thanks"), 303)


@pages.get("/thanks")
@open_to_all("it says thank you and nothing else")
def thanks() -> ResponseReturnValue:
    return render_template("portal_answered.html")


def _over(back: str) -> ResponseReturnValue:
    return render_template("portal_over.html"), 410


def _read(found: Request, problems: dict[str, str]) -> tuple[dict[str, JSON], dict[str, list[NewAttachment]]]:
    """The answers of the form, those that are wrong left out and named in `problems`; and the files."""
    answers: dict[str, JSON] = {}
    files: dict[str, list[NewAttachment]] = {}
    for one in found.questions:
        if one.type is QuestionType.FILE:
            files[one.key] = files_of(f"f:{one.key}")
            continue
        if f"a:{one.key}" not in request.form:
            continue
        try:
            answers[one.key] = clean_answer(one, request.form[f"a:{one.key}"])
        except BadValue as error:
            problems[one.key] = str(error)
    return answers, files
