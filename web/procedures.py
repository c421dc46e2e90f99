"""Procedures: questions that a handler answers on an item. Each answer is a field, and together they are an event."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs.queues import Work
from tickets import requests as asked
from tickets import store as items
from tickets.errors import BadValue
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.people import Permission
from tickets.questions import Purpose, QuestionType, clean_answer, missing
from tickets.values import JSON
from web.access import me, needs
from web.context import now, services

pages = Blueprint("procedures", __name__)


@pages.post("/tickets/<int:item_id>/procedures/<key>")
@needs(Permission.WORK_TICKETS)
def answer(item_id: int, key: str) -> ResponseReturnValue:
    """Keeps the answers of a procedure on an item of its kind; what is required has to be answered."""
    viewer = me()
    with services().db.write() as connection:
        item = items.read_item(connection, item_id, viewer=viewer, lock=True)
        found = asked.question_list(connection, key, Purpose.PROCEDURE)
        if found is None or found[0].kind != item.kind:
            abort(404)
        listed, questions = found
        answers: dict[str, JSON] = {}
        for one in questions:
            try:
                value = clean_answer(one, request.form.get(f"a:{one.key}", ""))
            except BadValue as error:
                raise BadValue(f"{one.label}: {error}") from error
            if value is not None:
                answers[one.key] = value
        left = missing([one for one in questions if one.type is not QuestionType.FILE], answers, {})
        if left:
            raise BadValue(gettext("Not answered yet: %(question)s. Nothing was saved.", question=left[0].label))
        effects = asked.answers_as_fields(items.custom_fields(connection, item.kind), answers)
        items.change_item(
            connection,
            item,
            lines=(items.Lines(tuple(effects), Cause("person", label=viewer.name)),),
            actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
            now=now(),
            kind=EventKind.FORM,
            chain=items.Chain(payload={"purpose": "procedure", "form": listed.key, "answers": answers}),
        )
    services().queues.hint(Work.DRAIN)
    return redirect(url_for("ticket.page", item_id=item_id), 303)
