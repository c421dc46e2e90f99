"""What the pages about requests and lists of questions read. A request of an item is seen by who sees the item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, or_, select

from tickets.events import EventKind
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import Attachment, Blob, EventRow, Person, QuestionList, RequestFile, RequestRow, WorkItem
from tickets.visibility import visible

#: Rows of the list of requests, and of questions.
LISTED = 200
#: Answers to procedures of one item whose files are looked at, newest first.
ANSWERED = 100


@dataclass(frozen=True, slots=True)
class Line:
    id: int
    title: str
    status: str
    item: int | None
    subject: str
    customer: str
    created_at: datetime
    completed_at: datetime | None


def may_see(who: Viewer) -> ColumnElement[bool]:
    """True for requests that are linked to nothing, or to an item this user may see."""
    return or_(RequestRow.item_id.is_(None), RequestRow.item_id.in_(select(WorkItem.id).where(visible(who))))


def listed(connection: Connection, who: Viewer, status: str) -> list[Line]:
    """Requests of this status, newest first."""
    rows = connection.execute(
        select(
            RequestRow.id,
            RequestRow.title,
            RequestRow.status,
            RequestRow.item_id,
            WorkItem.subject,
            Person.name,
            RequestRow.created_at,
            RequestRow.completed_at,
        )
        .join(Person, Person.id == RequestRow.person_id)
        .outerjoin(WorkItem, WorkItem.id == RequestRow.item_id)
        .where(RequestRow.status == status, may_see(who))
        .order_by(RequestRow.id.desc())
        .limit(LISTED)
    )
    return [Line(row[0], row[1], row[2], row[3], row[4] or "", row[5], row[6], row[7]) for row in rows]


def seen(connection: Connection, who: Viewer, request_id: int) -> bool:
    """Whether this user may see the request."""
    found = select(RequestRow.id).where(RequestRow.id == request_id, may_see(who))
    return connection.execute(found).first() is not None


def file(connection: Connection, who: Viewer, file_id: int) -> AnyRow | None:
    """Name and bytes of a file that answers a request this user may see, or None."""
    return connection.execute(
        select(RequestFile.name, Blob.data)
        .join(RequestRow, RequestRow.id == RequestFile.request_id)
        .join(Blob, Blob.sha256 == RequestFile.blob)
        .where(RequestFile.id == file_id, may_see(who))
    ).one_or_none()


def question_lists(connection: Connection, purpose: str = "", *, active: bool = False) -> Sequence[AnyRow]:
    """Lists of questions by name, of one purpose if it is given."""
    query = select(
        QuestionList.key,
        QuestionList.label,
        QuestionList.purpose,
        QuestionList.kind,
        QuestionList.questions,
        QuestionList.anonymous,
        QuestionList.active,
    )
    if purpose:
        query = query.where(QuestionList.purpose == purpose)
    if active:
        query = query.where(QuestionList.active)
    return connection.execute(query.order_by(QuestionList.label).limit(LISTED)).all()


def procedure_files(connection: Connection, item_id: int) -> dict[str, dict[str, list[tuple[int, str]]]]:
    """The files that answered procedures of an item the caller may see: procedure, question, then id and name of
    each. Of the last ANSWERED answers."""
    events = connection.execute(
        select(EventRow.payload, EventRow.message_id)
        .where(EventRow.item_id == item_id, EventRow.kind == EventKind.FORM.value, EventRow.message_id.is_not(None))
        .order_by(EventRow.id.desc())
        .limit(ANSWERED)
    ).all()
    notes = [row.message_id for row in events if row.payload.get("purpose") == "procedure" and row.payload.get("files")]
    if not notes:
        return {}
    kept: dict[int, list[tuple[int, str]]] = {}
    for row in connection.execute(
        select(Attachment.id, Attachment.message_id, Attachment.name)
        .where(Attachment.message_id.in_(notes))
        .order_by(Attachment.id)
    ):
        kept.setdefault(row.message_id, []).append((row.id, row.name))
    found: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for event in reversed(events):
        of_procedure = found.setdefault(str(event.payload.get("form")), {})
        # Fewer attachments than names: they were erased.
        for (question, _), file in zip(event.payload.get("files") or (), kept.get(event.message_id, ()), strict=False):
            of_procedure.setdefault(str(question), []).append(file)
    return found
