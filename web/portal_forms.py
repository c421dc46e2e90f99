"""Forms for reporters: questions whose answers make an item. Who may stay anonymous comes back with a code."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext
from sqlalchemy import Connection

from jobs.queues import Work
from tickets import people
from tickets import requests as asked
from tickets import store as items
from tickets.attachments import NewAttachment, check_attachments
from tickets.effects import SetField
from tickets.errors import AttachmentRefused, BadValue
from tickets.events import Actor, ActorKind
from tickets.item import LANGUAGES, ItemKind
from tickets.questions import Purpose, Question, QuestionType, clean_answer, missing
from tickets.values import JSON
from web.access import open_to_all
from web.context import now, services
from web.forms import files_of, looks_like_email
from web.limits import limiter

pages = Blueprint("portal_forms", __name__, url_prefix="/portal/forms")

#: How often one caller may send a form.
PER_CALLER = "6 per minute; 40 per hour"
NAME_CHARS = 200


@pages.get("/<key>")
@open_to_all("reporters fill it in here")
def form(key: str) -> ResponseReturnValue:
    """The empty form."""
    return _form(key, {}, {})


@pages.post("/<key>")
@open_to_all("reporters fill it in here")
@limiter.limit(PER_CALLER)
def send(key: str) -> ResponseReturnValue:
    """Makes an item of the answers: each is a field that rules look at. An anonymous reporter is shown a code once."""
    if request.form.get("website"):  # only a robot fills in what nobody sees
        return render_template("portal_reported.html", number=None, code="")
    listed, questions = _list(key)
    problems: dict[str, str] = {}
    answers, files = _answers(questions, problems)
    hidden = listed.anonymous and request.form.get("anonymous") == "1"
    email = request.form.get("email", "").strip()
    name = " ".join(request.form.get("name", "").split())[:NAME_CHARS]
    if not hidden and not looks_like_email(email):
        problems["email"] = gettext("We need an e-mail address to answer you, such as name@example.com.")
    if problems:
        return make_response(_form(key, request.form, problems), 422)
    language = str(get_locale() or "en")
    with services().db.write() as connection:
        code = ""
        if hidden:
            person = people.anonymous_person(connection, language, now())
            code = people.new_code(connection, person)
        else:
            person = people.person_for(connection, email=email, name=name, language=language, now=now())
        made = _make(connection, listed, questions, answers, files, person, language)
    services().queues.hint(Work.DRAIN)
    return render_template("portal_reported.html", number=made.item_id, code=code)


def _make(
    connection: Connection,
    listed: items.AnyRow,
    questions: tuple[Question, ...],
    answers: Mapping[str, JSON],
    files: list[NewAttachment],
    person: int,
    language: str,
) -> items.Written:
    known = items.custom_fields(connection, listed.kind)
    fields: dict[str, JSON] = {
        one.field: one.value for one in asked.answers_as_fields(known, answers) if isinstance(one, SetField)
    }
    text = "\n\n".join(f"{one.label}\n{_said(answers[one.key])}" for one in questions if one.key in answers)
    who = people.customer(connection, person)
    return items.create_item(
        connection,
        kind=ItemKind(listed.kind),
        state={
            "subject": listed.label,
            "channel": "form",
            "language": language if language in LANGUAGES else None,
            "customer": person,
            # Who stays anonymous has no other way to our answer; for everybody else the rules say what is published.
            "published": True if who.anonymous else None,
            **fields,
        },
        actor=Actor(ActorKind.CUSTOMER, str(person), who.name or who.email),
        now=now(),
        message=items.NewMessage(
            author="customer",
            public=True,
            channel="form",
            text=text or listed.label,
            subject=listed.label,
            language=language,
            author_person=person,
            author_name=who.name,
            author_address=who.email,
            attachments=tuple(files),
        ),
        chain=items.Chain(payload={"purpose": "form", "form": listed.key, "answers": dict(answers)}),
    )


def _said(value: JSON) -> str:
    return (
        {True: gettext("Yes"), False: gettext("No")}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _answers(questions: tuple[Question, ...], problems: dict[str, str]) -> tuple[dict[str, JSON], list[NewAttachment]]:
    answers: dict[str, JSON] = {}
    files: list[NewAttachment] = []
    counts: dict[str, int] = {}
    for one in questions:
        if one.type is QuestionType.FILE:
            given = files_of(f"f:{one.key}")
            counts[one.key] = len(given)
            files += given
            continue
        try:
            value = clean_answer(one, request.form.get(f"a:{one.key}", ""))
        except BadValue as error:
            problems[one.key] = str(error)
            continue
        if value is not None:
            answers[one.key] = value
    for left in missing(questions, answers, counts):
        problems.setdefault(left.key, gettext("Please answer this."))
    try:
        check_attachments(files)
    except AttachmentRefused as error:
        problems["files"] = str(error)
    return answers, files


def _list(key: str) -> tuple[items.AnyRow, tuple[Question, ...]]:
    with services().db.read() as connection:
        found = asked.question_list(connection, key, Purpose.FORM)
    if found is None:
        abort(404)
    return found


def _form(key: str, given: Mapping[str, str], problems: Mapping[str, str]) -> str:
    listed, questions = _list(key)
    return render_template("portal_form_list.html", listed=listed, questions=questions, given=given, problems=problems)
