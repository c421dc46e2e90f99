"""Requests: questions to a customer, linked to an item now or later, answered in the portal or set completed here.

What is answered is an event of the linked item, and each answer whose key is a field of that item is written there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, func, insert, select, update

from tickets import store, tokens
from tickets.attachments import ATTACHMENT_BYTES, MESSAGE_BYTES, NewAttachment, store_blob
from tickets.clocks import zone_of
from tickets.db import upsert
from tickets.effects import SetField, StateEffect
from tickets.errors import AttachmentRefused, BadValue, StaleItem
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.item import CUSTOM, FieldType, Item, StateField, clean_value
from tickets.questions import MOST_FILES, Question, QuestionType, missing, questions_from
from tickets.store import read_item
from tickets.tables import QuestionList, RequestFile, RequestRow
from tickets.values import JSON, iso

#: Most open requests of one customer, and longest title in characters.
MOST_OPEN = 50
TITLE_CHARS = 300
#: The cause of what follows from a customer's answers.
ANSWERED = Cause("system", label="Request")


class NoSuchRequest(BadValue):
    """There is no such request, it is not yours, or it is not open any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is now. `files` are id, question, name and size of what was uploaded."""

    id: int
    person: int
    item: int | None
    list_key: str
    title: str
    questions: tuple[Question, ...]
    answers: Mapping[str, JSON]
    sign_in: bool
    status: str
    version: int
    created_at: datetime
    completed_at: datetime | None
    completed_by: str
    files: Sequence[store.AnyRow] = field(default=())

    @property
    def open(self) -> bool:
        return self.status == "open"

    def files_of(self, question: str) -> list[store.AnyRow]:
        return [one for one in self.files if one.question == question]

    def unanswered(self) -> list[Question]:
        """The required questions without an answer."""
        counts: dict[str, int] = {}
        for one in self.files:
            counts[one.question] = counts.get(one.question, 0) + 1
        return missing(self.questions, self.answers, counts)


@dataclass(frozen=True, slots=True)
class QuestionsToAsk:
    """What a new request asks."""

    title: str
    questions: tuple[Question, ...]
    list_key: str = ""
    sign_in: bool = False


def question_list(connection: Connection, key: str, purpose: str) -> tuple[store.AnyRow, tuple[Question, ...]] | None:
    """An active list of questions with this key and purpose, or None."""
    row = connection.execute(
        select(
            QuestionList.key, QuestionList.label, QuestionList.kind, QuestionList.questions, QuestionList.anonymous
        ).where(QuestionList.key == key, QuestionList.purpose == purpose, QuestionList.active)
    ).one_or_none()
    return None if row is None else (row, questions_from(row.questions))


def send(
    connection: Connection,
    ask: QuestionsToAsk,
    *,
    person: int,
    item: int | None,
    key: str,
    cause: Cause,
    now: datetime,
) -> int | None:
    """Store a new open request; its id, or None when the same step has made it already. Raises `BadValue`."""
    title = " ".join(ask.title.split())[:TITLE_CHARS]
    if not title:
        raise BadValue("A request needs a title")
    mine = (
        select(func.count()).select_from(RequestRow).where(RequestRow.person_id == person, RequestRow.status == "open")
    )
    if connection.execute(mine).scalar_one() >= MOST_OPEN:
        raise BadValue(f"A customer has at most {MOST_OPEN} open requests")
    made: int | None = connection.execute(
        upsert(connection, RequestRow)
        .values(
            key=key[:120],
            person_id=person,
            item_id=item,
            list_key=ask.list_key,
            title=title,
            questions=[one.to_json() for one in ask.questions],
            answers={},
            sign_in=ask.sign_in,
            status="open",
            version=1,
            cause=cause.to_json(),
            created_at=now,
            completed_by="",
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(RequestRow.id)
    ).scalar_one_or_none()
    return made


_COLUMNS = (
    RequestRow.id,
    RequestRow.person_id,
    RequestRow.item_id,
    RequestRow.list_key,
    RequestRow.title,
    RequestRow.questions,
    RequestRow.answers,
    RequestRow.sign_in,
    RequestRow.status,
    RequestRow.version,
    RequestRow.created_at,
    RequestRow.completed_at,
    RequestRow.completed_by,
)


def fresh_key() -> str:
    """A key for a request that nobody makes twice."""
    return secrets.token_hex(8)


def read(connection: Connection, request_id: int, *, person: int | None = None, lock: bool = False) -> Request:
    """The request; with `person` only theirs. Raises `NoSuchRequest`."""
    query = select(*_COLUMNS).where(RequestRow.id == request_id)
    if person is not None:
        query = query.where(RequestRow.person_id == person)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NoSuchRequest(f"There is no request {request_id}, or it is not yours")
    files = connection.execute(
        select(RequestFile.id, RequestFile.question, RequestFile.name, RequestFile.size)
        .where(RequestFile.request_id == request_id)
        .order_by(RequestFile.id)
    ).all()
    return _request(row, files)


def _request(row: store.AnyRow, files: Sequence[store.AnyRow] = ()) -> Request:
    return Request(
        row.id,
        row.person_id,
        row.item_id,
        row.list_key,
        row.title,
        questions_from(row.questions),
        row.answers,
        row.sign_in,
        row.status,
        row.version,
        row.created_at,
        row.completed_at,
        row.completed_by,
        files,
    )


def of_item(connection: Connection, item_id: int) -> list[Request]:
    """The requests linked to an item that the caller may see, newest first, at most MOST_OPEN."""
    query = select(*_COLUMNS).where(RequestRow.item_id == item_id).order_by(RequestRow.id.desc()).limit(MOST_OPEN)
    return [_request(row) for row in connection.execute(query)]


def of_person(connection: Connection, person: int) -> list[Request]:
    """A customer's own requests, open ones first, then newest first, at most MOST_OPEN."""
    query = (
        select(*_COLUMNS)
        .where(RequestRow.person_id == person, RequestRow.status != "withdrawn")
        .order_by(RequestRow.status.desc(), RequestRow.id.desc())
        .limit(MOST_OPEN)
    )
    return [_request(row) for row in connection.execute(query)]


def counted(connection: Connection, item_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Of each item: how many requests it has, withdrawn ones left out, and how many of them are open."""
    rows = connection.execute(
        select(RequestRow.item_id, RequestRow.status, func.count())
        .where(RequestRow.item_id.in_(item_ids), RequestRow.status != "withdrawn")
        .group_by(RequestRow.item_id, RequestRow.status)
    )
    found: dict[int, tuple[int, int]] = {}
    for item_id, status, count in rows:
        assert item_id is not None
        total, still_open = found.get(item_id, (0, 0))
        found[item_id] = (total + count, still_open + (count if status == "open" else 0))
    return found


def save(
    connection: Connection,
    request: Request,
    answers: Mapping[str, JSON],
    *,
    seen_version: int,
    files: Mapping[str, Sequence[NewAttachment]] | None = None,
) -> int:
    """Keep these answers of an open request that was read with `lock`; the new version.

    Raises `NoSuchRequest` when it is not open, `StaleItem` when somebody saved a newer version since, and
    `AttachmentRefused` with the cap that was passed; then nothing was kept."""
    if not request.open:
        raise NoSuchRequest("This request is not open any more; nothing was saved")
    if seen_version != request.version:
        raise StaleItem("Somebody else has answered meanwhile; reload the page to see it. Nothing was saved")
    known = {one.key: one for one in request.questions}
    kept = {**request.answers, **{key: value for key, value in answers.items() if key in known}}
    asked_for = {key for key, one in known.items() if one.type is QuestionType.FILE}
    uploaded = {key: given for key, given in (files or {}).items() if key in asked_for}
    _check_files(request, uploaded)
    for key, given in uploaded.items():
        for one in given:
            connection.execute(
                insert(RequestFile).values(
                    request_id=request.id,
                    question=key,
                    name=one.name[:255],
                    media_type=one.media_type[:120],
                    size=len(one.data),
                    blob=store_blob(connection, one.data),
                )
            )
    connection.execute(
        update(RequestRow)
        .where(RequestRow.id == request.id)
        .values(answers={key: value for key, value in kept.items() if value is not None}, version=request.version + 1)
    )
    return request.version + 1


def _check_files(request: Request, uploaded: Mapping[str, Sequence[NewAttachment]]) -> None:
    for key, given in uploaded.items():
        if len(request.files_of(key)) + len(given) > MOST_FILES:
            raise AttachmentRefused(f"A question takes at most {MOST_FILES} files")
        for one in given:
            if len(one.data) > ATTACHMENT_BYTES:
                raise AttachmentRefused(f"{one.name} is larger than {ATTACHMENT_BYTES // 1_000_000} MB")
    new = sum(len(one.data) for given in uploaded.values() for one in given)
    if new and sum(one.size for one in request.files) + new > MESSAGE_BYTES:
        raise AttachmentRefused(f"The files of one request together are larger than {MESSAGE_BYTES // 1_000_000} MB")


def drop_file(connection: Connection, request: Request, file_id: int) -> None:
    """Take an uploaded file back while the request is open. Raises `NoSuchRequest`."""
    if not request.open:
        raise NoSuchRequest("This request is not open any more; nothing was removed")
    connection.execute(delete(RequestFile).where(RequestFile.id == file_id, RequestFile.request_id == request.id))


def complete(
    connection: Connection, request_id: int, *, actor: Actor, now: datetime, person: int | None = None
) -> Request:
    """Mark an open request as completed, and tell the linked item of it. Raises `NoSuchRequest`, and `BadValue` when a
    customer has not answered what is required; a person here may complete it all the same."""
    request = _locked(connection, request_id, person)
    by_customer = actor.kind is ActorKind.CUSTOMER
    left = request.unanswered()
    if by_customer and left:
        raise BadValue(f"Not answered yet: {left[0].label}")
    connection.execute(
        update(RequestRow)
        .where(RequestRow.id == request.id)
        .values(
            status="completed",
            version=request.version + 1,
            completed_at=now,
            completed_by="customer" if by_customer else actor.name or actor.ref,
        )
    )
    tokens.end_for_request(connection, request.id, now)
    if request.item is not None:
        item = read_item(connection, request.item, lock=True)
        cause = ANSWERED if by_customer else Cause("person", label=actor.name)
        lines = [store.Lines(tuple(_fields(connection, item, request)), cause)]
        payload: dict[str, JSON] = {
            "request": request.id,
            "list": request.list_key,
            "title": request.title,
            "answers": dict(request.answers),
        }
        store.change_item(
            connection,
            item,
            lines=lines,
            actor=actor,
            now=now,
            kind=EventKind.REQUEST,
            chain=store.Chain(payload=payload),
        )
    return request


def _locked(connection: Connection, request_id: int, person: int | None = None) -> Request:
    """An open request, its item locked before it: locks are always taken item first."""
    before = read(connection, request_id, person=person)
    if before.item is not None:
        read_item(connection, before.item, lock=True)
    request = read(connection, request_id, person=person, lock=True)
    if not request.open or request.item != before.item:
        raise NoSuchRequest("This request is not open any more; nothing was changed")
    return request


def _fields(connection: Connection, item: Item, request: Request) -> list[StateEffect]:
    """The answers whose keys are fields of the item, where they fit."""
    known = store.custom_fields(connection, item.kind)
    return answers_as_fields(known, request.answers, zone_of(connection, item.state.get("brand")))


def answers_as_fields(
    known: Mapping[str, StateField], answers: Mapping[str, JSON], zone: str = "UTC"
) -> list[StateEffect]:
    """Effects that write each answer into the field of its key, where there is one that can hold it.

    A date is its midnight in this `zone`, the one of the item's brand."""
    effects: list[StateEffect] = []
    for key, value in answers.items():
        target = known.get(key)
        if target is None:
            continue
        try:
            if target.type is FieldType.TIME and isinstance(value, str) and len(value) == len("2026-01-31"):
                value = iso(datetime.combine(date.fromisoformat(value), time(), ZoneInfo(zone)))
            effects.append(SetField(CUSTOM + key, clean_value(target, value)))
        except (BadValue, ValueError):  # words of ten letters are no date, and not every date is a moment
            continue  # the answer stands with the request; the field holds something else
    return effects


def withdraw(connection: Connection, request_id: int, *, now: datetime) -> None:
    """Ask no more: the links die and reminders are not sent. Raises `NoSuchRequest`."""
    request = _locked(connection, request_id)
    connection.execute(update(RequestRow).where(RequestRow.id == request.id).values(status="withdrawn"))
    tokens.end_for_request(connection, request.id, now)


def link(connection: Connection, request_id: int, item_id: int) -> None:
    """Link a request to an item that was read with `lock`, instead of what it was linked to. Raises `NoSuchRequest`."""
    request = read(connection, request_id, lock=True)
    if request.status == "withdrawn":
        raise NoSuchRequest("This request was withdrawn; it was not linked")
    connection.execute(update(RequestRow).where(RequestRow.id == request.id).values(item_id=item_id))
