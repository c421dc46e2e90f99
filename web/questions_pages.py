"""Lists of questions to use again: requests to customers, forms for reporters, procedures for handlers.

The answers to a form or procedure become fields of the item, so those lists make the fields of their questions.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection, insert, select, update

from rules import store as rule_list
from tickets.db import upsert
from tickets.errors import BadValue
from tickets.item import FieldType, ItemKind
from tickets.kinds import KIND_FIELDS, KIND_LABELS
from tickets.people import Permission
from tickets.questions import Purpose, Question, QuestionType, keyed, questions_from
from tickets.tables import CustomField, QuestionList
from web import requests_store
from web.access import needs
from web.context import services
from web.question_forms import read_questions, rows, type_words, typed

pages = Blueprint("questions", __name__)

#: Most lists of questions, and the longest name in characters.
MOST_LISTS = 200
NAME_CHARS = 200
FIELD_TYPES = {
    QuestionType.TEXT: FieldType.LONG_TEXT,
    QuestionType.CHOICE: FieldType.CHOICE,
    QuestionType.DATE: FieldType.TIME,
    QuestionType.YES_NO: FieldType.BOOL,
}


@pages.get("/questions")
@needs(Permission.EDIT_RULES)
def index() -> ResponseReturnValue:
    """Every list, by what it is for."""
    with services().db.read() as connection:
        found = requests_store.question_lists(connection)
    return render_template("questions_list.html", lists=found, purposes=_purposes())


@pages.get("/questions/new")
@needs(Permission.EDIT_RULES)
def new() -> ResponseReturnValue:
    """An empty list of questions."""
    purpose = request.args.get("purpose", "")
    return _form(None, purpose if purpose in _purposes() else Purpose.REQUEST)


@pages.get("/questions/<key>")
@needs(Permission.EDIT_RULES)
def edit(key: str) -> ResponseReturnValue:
    """One list of questions."""
    with services().db.read() as connection:
        found = next((one for one in requests_store.question_lists(connection) if one.key == key), None)
    if found is None:
        abort(404)
    return _form(found, found.purpose)


@pages.post("/questions")
@needs(Permission.EDIT_RULES)
def save() -> ResponseReturnValue:
    """Saves a list, new or known. What was sent before keeps the questions it was sent with."""
    form = request.form
    label = " ".join(form.get("label", "").split())
    purpose, kind = form.get("purpose", ""), form.get("kind", ItemKind.TICKET)
    if purpose not in _purposes() or kind not in KIND_LABELS:
        raise BadValue(gettext("Choose one of the list."))
    problem = ""
    questions: tuple[Question, ...] = ()
    try:
        if not 1 <= len(label) <= NAME_CHARS:
            raise BadValue(gettext("A name has 1 to %(n)s characters.", n=NAME_CHARS))
        questions = read_questions(form)
    except BadValue as error:
        problem = str(error)
    if problem:
        return _form(None, purpose, problem=problem, label=label, key=form.get("key", "")), 422
    values = {
        "label": label,
        "kind": kind,
        "questions": [one.to_json() for one in questions],
        "anonymous": form.get("anonymous") == "1" and purpose == Purpose.FORM,
        "active": form.get("active") == "1",
    }
    with services().db.write() as connection:
        key = form.get("key", "")
        known = list(connection.execute(select(QuestionList.key)).scalars())
        if key:
            changed = update(QuestionList).where(QuestionList.key == key, QuestionList.purpose == purpose)
            if connection.execute(changed.values(values)).rowcount != 1:
                abort(404)
        elif len(known) >= MOST_LISTS:
            raise BadValue(gettext("There are %(n)s lists of questions already.", n=MOST_LISTS))
        else:
            connection.execute(insert(QuestionList).values(key=keyed(label, known), purpose=purpose, **values))
        if purpose != Purpose.REQUEST:
            _make_fields(connection, kind, questions)
        rule_list.bump(connection)
    flash(gettext("%(name)s was saved.", name=label), "ok")
    return redirect(url_for("questions.index"), 303)


def _make_fields(connection: Connection, kind: str, questions: tuple[Question, ...]) -> None:
    """A field of the item for each question that rules can look at; one that is there keeps its name and type."""
    for one in questions:
        if one.type not in FIELD_TYPES or one.key in KIND_FIELDS.get(kind, {}):
            continue
        options = {option: option for option in one.options}
        connection.execute(
            upsert(connection, CustomField)
            .values(kind=kind, key=one.key, label=one.label[:200], type=FIELD_TYPES[one.type], options=options)
            .on_conflict_do_nothing(index_elements=["kind", "key"])
        )
        if options:
            known = connection.execute(
                select(CustomField.options).where(
                    CustomField.kind == kind, CustomField.key == one.key, CustomField.type == FieldType.CHOICE
                )
            ).scalar_one_or_none()
            if known is not None and not options.keys() <= known.keys():
                # Answers given before stay readable: choices are added, never taken away.
                both = {**known, **{key: text for key, text in options.items() if key not in known}}
                connection.execute(
                    update(CustomField).where(CustomField.kind == kind, CustomField.key == one.key).values(options=both)
                )


def _form(found: object, purpose: str, *, problem: str = "", label: str = "", key: str = "") -> str:
    questions = questions_from(found.questions) if found is not None else ()  # type: ignore[attr-defined]
    kind, anonymous = getattr(found, "kind", ItemKind.TICKET), getattr(found, "anonymous", False)
    active = getattr(found, "active", True)
    if problem:
        given = request.form
        kind, anonymous = given.get("kind", ItemKind.TICKET), given.get("anonymous") == "1"
        active = given.get("active") == "1"
    return render_template(
        "questions_edit.html",
        kind=kind,
        anonymous=anonymous,
        active=active,
        key=key or getattr(found, "key", ""),
        label=label or getattr(found, "label", ""),
        purpose=purpose,
        purposes=_purposes(),
        kinds=[(one, gettext(text)) for one, text in KIND_LABELS.items()],
        rows=rows(typed(request.form) if problem else questions),
        types=type_words(),
        problem=problem,
    )


def _purposes() -> dict[str, str]:
    return {
        Purpose.REQUEST: gettext("Requests to customers"),
        Purpose.FORM: gettext("Forms for reporters"),
        Purpose.PROCEDURE: gettext("Procedures for handlers"),
    }
