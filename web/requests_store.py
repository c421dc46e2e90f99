"""What the pages about requests and lists of questions read. A request of an item is seen by who sees the item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, or_, select

from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import Blob, Person, QuestionList, RequestFile, RequestRow, WorkItem
from tickets.visibility import visible

#: Rows of the list of requests, and of questions.
LISTED = 200


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
