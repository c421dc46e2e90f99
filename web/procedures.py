"""Procedures: questions that a handler answers on an item. Each answer is a field, and together they are an event.

Files that answer a question stand on an internal note of the item: who may see the item sees them, its customer never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.queues import Work
from jobs.telling import tell_of_message
from tickets import requests as asked
from tickets import store as items
from tickets.attachments import NewAttachment, check_attachments
from tickets.clocks import zone_of
from tickets.errors import AttachmentRefused, BadValue
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.item import Item
from tickets.people import Permission
from tickets.questions import MOST_FILES, Purpose, Question, QuestionType, clean_answer, missing
from tickets.values import JSON
from web import requests_store, seen_store, ticket
from web.access import me, needs
from web.context import now, services
from web.forms import files_of

pages = Blueprint("procedures", __name__)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a handler answered: values and files by question, and what is wrong with them by question."""

    values: dict[str, JSON] = field(default_factory=dict)
    files: list[tuple[Question, NewAttachment]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


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
        given = _read(questions, requests_store.procedure_files(connection, item_id).get(key, {}))
        if not given.problems:
            _keep(connection, item, listed, questions, given)
    if given.problems:
        refused = ticket.Refused(key, {name[2:]: value for name, value in request.form.items()}, given.problems)
        return ticket.show(item_id, refused=refused, status=422)
    services().queues.hint(Work.DRAIN)
    return redirect(url_for("ticket.page", item_id=item_id), 303)


def _read(questions: Sequence[Question], kept: Mapping[str, Sequence[tuple[int, str]]]) -> _Answers:
    """The form. Files kept by earlier answers count as given."""
    found = _Answers()
    counts = {question: len(files) for question, files in kept.items()}
    for one in questions:
        if one.type is QuestionType.FILE:
            given = files_of(f"f:{one.key}")
            counts[one.key] = counts.get(one.key, 0) + len(given)
            if given and counts[one.key] > MOST_FILES:
                found.problems[one.key] = gettext("A question takes at most %(n)s files.", n=MOST_FILES)
            found.files.extend((one, file) for file in given)
            continue
        try:
            value = clean_answer(one, request.form.get(f"a:{one.key}", ""))
        except BadValue as error:
            found.problems[one.key] = str(error)
            continue
        if value is not None:
            found.values[one.key] = value
    for left in missing(questions, found.values, counts):
        found.problems.setdefault(left.key, gettext("Please answer this."))
    if found.files:
        try:
            check_attachments([file for _, file in found.files])
        except AttachmentRefused as error:
            found.problems.setdefault(found.files[0][0].key, str(error))
    return found


def _keep(
    connection: Connection, item: Item, listed: items.AnyRow, questions: Sequence[Question], given: _Answers
) -> None:
    """One event: the fields, and a note with the files when there are any."""
    viewer = me()
    payload: dict[str, JSON] = {"purpose": "procedure", "form": listed.key, "answers": given.values}
    messages: tuple[items.NewMessage, ...] = ()
    if given.files:
        # In the order in which the attachments are kept: so each is found again by its question.
        payload["files"] = [[one.key, file.name] for one, file in given.files]
        named = "\n".join(
            f"{one.label}: {', '.join(file.name for about, file in given.files if about == one)}"
            for one in questions
            if any(about == one for about, _ in given.files)
        )
        messages = (
            items.NewMessage(
                author="agent",
                public=False,
                channel="api",
                text=f"{listed.label}\n\n{named}",
                author_user=viewer.key,
                author_name=viewer.name,
                author_address=viewer.email,
                attachments=tuple(file for _, file in given.files),
            ),
        )
    zone = zone_of(connection, item.state.get("brand"))
    effects = asked.answers_as_fields(items.custom_fields(connection, item.kind), given.values, zone)
    made = items.change_item(
        connection,
        item,
        lines=(items.Lines(tuple(effects), Cause("person", label=viewer.name)),),
        actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
        now=now(),
        messages=messages,
        kind=EventKind.FORM,
        chain=items.Chain(payload=payload),
    )
    if made.message_id is not None:
        seen_store.mark_seen(connection, viewer, item.id, made.message_id, now())
        tell_of_message(connection, item.id, made.message_id, now())
