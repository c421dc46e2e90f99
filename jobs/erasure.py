"""Erasing a person: their words, names and addresses go from everywhere; that something happened stays.

One transaction. What was written on the person's tickets is erased whoever wrote it, because answers repeat what they
answer. On other people's tickets only the person's own messages are.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Text, cast, delete, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from connectors.store import CallTable, RecordTable
from jobs.bounces import FIELD as MAIL
from jobs.forecast import FIELD as COMING
from jobs.forgetting import ERASED_KEY, Question, asked_by_run, forget, prints
from jobs.services import Services
from jobs.tables import (
    DecisionRow,
    HeldAddress,
    IdempotencyKey,
    LedgerRow,
    LookupRow,
    OutboxRow,
    ReplayItemRow,
    RowSetAside,
    RunRow,
    UndoItemRow,
)
from tickets import custom_fields, people, search, store
from tickets.attachments import store_blob
from tickets.item import CUSTOM, FieldType
from tickets.tables import (
    Attachment,
    Blob,
    ContextFact,
    EventRow,
    History,
    InboundMail,
    Lane,
    Message,
    Notification,
    Person,
    PersonAddress,
    PortalToken,
    RequestFile,
    RequestRow,
    Timer,
    WorkItem,
)

log = logging.getLogger(__name__)

#: What stands where something was erased.
ERASED = "(erased)"
#: Values one statement names at most.
CHUNK = 500
#: Mails that became no message which are looked through for the person's addresses, the newest first.
LOOSE_MAILS = 10_000
_TEXTS = frozenset({FieldType.TEXT, FieldType.LONG_TEXT})
#: Types of the desk's own fields that name nobody: one of a few words, or yes or no. A number may be an account's.
_NOBODYS = frozenset({FieldType.CHOICE, FieldType.CHOICES, FieldType.BOOL})
#: The ends of a run that comes to them by itself: what it asked in that attempt stands in its outcome.
_TELLS_ITS_CALLS = ("finished", "stopped", "refused", "failed")
#: Who acts without being one of ours.
_OUTSIDE = ("customer", "third_party")
#: What stays of an event's own facts: our words and numbers. What is not named here goes, so that nothing is forgotten.
_PAYLOAD = frozenset(
    "entry event_id form item keys late_s list lookup purpose request rows rule run_id script status timer token "
    "trigger user via".split()
)
#: The ticket that an answer kept for the API is about, as its address says it.
_TICKET = re.compile(r'/tickets/(\d+)"')


@dataclass(slots=True)
class Erased:
    """How many rows of what were erased."""

    person_id: int
    rows: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, number: int) -> None:
        self.rows[what] = self.rows.get(what, 0) + number


def erase(services: Services, person_id: int, *, by: str) -> Erased:
    """Erase this person, for good. Raises `PersonNotFound`; then nothing was changed.

    Backups, and what already left the house, are out of reach."""
    with services.db.write() as connection:
        person = people.customer(connection, person_id)
        done = Erased(person_id)
        # In one order with everybody else who takes several: theirs, and those of others on which they did something.
        acted = WorkItem.id.in_(select(EventRow.item_id).where(*_acted(person_id)))
        held = select(WorkItem.id, WorkItem.customer).where(or_(WorkItem.customer == person_id, acted))
        locked = connection.execute(held.order_by(WorkItem.id).with_for_update()).all()
        items = [row.id for row in locked if row.customer == person_id]
        _replays(connection, person_id, items, done)
        addresses = list(
            connection.execute(select(PersonAddress.address).where(PersonAddress.person_id == person_id)).scalars()
        )
        blobs = _messages(connection, person_id, items, addresses, done)
        blobs |= _inbound(connection, items, addresses, done)
        blobs |= _requests(connection, person_id, items, done)
        _asked_outside(connection, items, addresses, done)
        for some in _chunks(items):
            _end_work(connection, some, services.clock.now())
            _items(connection, some, done)
            _work(connection, some, done)
        _api_answers(connection, set(items), done)
        _elsewhere(connection, person_id, addresses, done)
        _drop_unused(connection, blobs, done)
        search.forget(connection)
        connection.execute(delete(PersonAddress).where(PersonAddress.person_id == person_id))
        connection.execute(
            update(Person)
            .where(Person.id == person_id)
            .values(name="", language="", anonymous=True, zone="", code_sha256=None)
        )
    log.info("person.erased", extra={"person": person.id, "by": by, **done.rows})
    return done


def _replays(connection: Connection, person_id: int, items: Sequence[int], done: Erased) -> None:
    """What replays found on their tickets, and on others where they wrote: while it is known where that was."""
    wrote = select(Message.item_id).where(Message.author_person == person_id)
    elsewhere = delete(ReplayItemRow).where(ReplayItemRow.item_id.in_(wrote))
    done.count("replayed", connection.execute(elsewhere).rowcount)
    for some in _chunks(items):
        theirs = delete(ReplayItemRow).where(ReplayItemRow.item_id.in_(some))
        done.count("replayed", connection.execute(theirs).rowcount)


def _messages(
    connection: Connection, person_id: int, items: Sequence[int], addresses: Sequence[str], done: Erased
) -> set[str]:
    """Their words, and those of others on their tickets; the blobs of the attachments that went."""
    ids: set[int] = set()
    mine = or_(Message.author_person == person_id, func.lower(Message.author_address).in_(addresses))
    ids.update(connection.execute(select(Message.id).where(mine)).scalars())
    _on_others(connection, person_id, sorted(ids), set(items), done)
    for some in _chunks(items):
        ids.update(connection.execute(select(Message.id).where(Message.item_id.in_(some))).scalars())
    blobs: set[str] = set()
    for some in _chunks(sorted(ids)):
        erased = {"text": ERASED, "new_text": ERASED, "html": "", "subject": "", "header_id": ""}
        done.count("messages", connection.execute(update(Message).where(Message.id.in_(some)).values(erased)).rowcount)
        not_ours = Message.author_kind.in_(_OUTSIDE)
        nobody = {"author_name": "", "author_address": ""}
        connection.execute(update(Message).where(Message.id.in_(some), not_ours).values(nobody))
        files = delete(Attachment).where(Attachment.message_id.in_(some)).returning(Attachment.blob)
        found = list(connection.execute(files).scalars())
        done.count("attachments", len(found))
        blobs.update(found)
    # The mails those messages came in.
    for some in _chunks(sorted(ids)):
        blobs |= _forget_mails(connection, InboundMail.message_id.in_(some), done)
    return blobs


def _on_others(connection: Connection, person_id: int, messages: Sequence[int], items: set[int], done: Erased) -> None:
    """What they did on tickets of others, and what was decided, run and said about it."""
    of_it = select(EventRow.id, EventRow.item_id)
    found = list(connection.execute(of_it.where(*_acted(person_id))))
    for some in _chunks(messages):
        found += connection.execute(of_it.where(EventRow.message_id.in_(some)))
    asked: dict[int, set[int]] = {}
    for row in found:
        if row.item_id not in items:
            asked.setdefault(row.item_id, set()).add(row.id)
    about = set(messages)
    for item_id, events in asked.items():
        wrote = _events_of_theirs(connection, item_id, sorted(events))
        rows = select(DecisionRow.id, DecisionRow.event_id, DecisionRow.facts).where(DecisionRow.item_id == item_id)
        named = [
            row.id
            for row in connection.execute(rows)
            if row.event_id in events
            or (row.facts.get("message") or {}).get("id") in about
            or any((row.facts.get("item") or {}).get(name) == value for name, value in wrote)
        ]
        for some in _chunks(named):
            gone = connection.execute(delete(DecisionRow).where(DecisionRow.id.in_(some)))
            done.count("decisions", gone.rowcount)
        for some in _chunks(sorted(events)):
            told = update(RunRow).where(RunRow.event_id.in_(some), RunRow.finished_at.is_not(None))
            done.count("runs", connection.execute(told.values(outcome={}, params={})).rowcount)
        # Both are keyed by the step that caused them (ev7:A01/r1:s1), or by the message they are about (message:7).
        written = connection.execute(
            select(EventRow.message_id).where(EventRow.id.in_(events), EventRow.message_id.is_not(None))
        ).scalars()
        for key in sorted({f"ev{one}:" for one in events} | {f"message:{one}:" for one in written}):
            bell = delete(Notification).where(Notification.key.startswith(key))
            done.count("notifications", connection.execute(bell).rowcount)
            left = OutboxRow.key.contains(f":{key}"), OutboxRow.status != "due"
            done.count("deliveries", connection.execute(delete(OutboxRow).where(*left)).rowcount)


def _acted(person_id: int) -> tuple[ColumnElement[bool], ...]:
    return EventRow.actor_kind.in_(_OUTSIDE), EventRow.actor_ref == str(person_id)


def _events_of_theirs(connection: Connection, item_id: int, events: Sequence[int]) -> list[tuple[str, Any]]:
    """Their name and words in these events of somebody else's ticket, and in its history; the fields they wrote, each
    with what they wrote. Where that still stands on the ticket, it goes as well."""
    item = connection.execute(select(WorkItem.kind, WorkItem.fields).where(WorkItem.id == item_id)).one()
    texts = _text_fields(connection, item.kind)
    wrote: list[tuple[str, Any]] = []
    for some in _chunks(events):
        rows = connection.execute(_EVENTS.where(EventRow.id.in_(some), EventRow.actor_kind.in_(_OUTSIDE))).all()
        for row in rows:
            wrote += [(one["field"], one["after"]) for one in row.changes if one["field"] in texts]
            connection.execute(update(EventRow).where(EventRow.id == row.id).values(_without_words(row, texts)))
        lines = update(History).where(History.event_id.in_([row.id for row in rows]))
        connection.execute(lines.values(actor_name=""))
        connection.execute(lines.where(History.field.in_(texts)).values(change={"before": None, "after": None}))
    wrote = [(name, value) for name, value in wrote if value is not None]
    kept = {name: value for name, value in item.fields.items() if (CUSTOM + name, value) not in wrote}
    if kept != item.fields:
        connection.execute(update(WorkItem).where(WorkItem.id == item_id).values(fields=kept))
    return wrote


def _requests(connection: Connection, person_id: int, items: Sequence[int], done: Erased) -> set[str]:
    """What they were asked and answered, and what others were about their tickets, with the files, and the ways into
    the portal to them; the blobs that went."""
    connection.execute(delete(PortalToken).where(PortalToken.person_id == person_id))
    ids = set(connection.execute(select(RequestRow.id).where(RequestRow.person_id == person_id)).scalars())
    for some in _chunks(items):
        ids.update(connection.execute(select(RequestRow.id).where(RequestRow.item_id.in_(some))).scalars())
    blobs: set[str] = set()
    for some in _chunks(sorted(ids)):
        connection.execute(delete(PortalToken).where(PortalToken.request_id.in_(some)))
        files = delete(RequestFile).where(RequestFile.request_id.in_(some)).returning(RequestFile.blob)
        blobs.update(connection.execute(files).scalars())
        done.count("requests", connection.execute(delete(RequestRow).where(RequestRow.id.in_(some))).rowcount)
    return blobs


def _inbound(connection: Connection, items: Sequence[int], addresses: Sequence[str], done: Erased) -> set[str]:
    """The raw mails of their tickets, and those they sent that became no message: a second copy, what is only kept."""
    blobs: set[str] = set()
    for some in _chunks(items):
        blobs |= _forget_mails(connection, InboundMail.item_id.in_(some), done)
    wanted = [address.encode() for address in addresses]
    loose = connection.execute(
        select(InboundMail.id, Blob.data)
        .join(Blob, Blob.sha256 == InboundMail.blob)
        .where(InboundMail.message_id.is_(None))
        .order_by(InboundMail.id.desc())
        .limit(LOOSE_MAILS)
        .execution_options(yield_per=50)
    )
    theirs = [row.id for row in loose if any(one in row.data.lower() for one in wanted)]
    for chosen in _chunks(theirs):
        blobs |= _forget_mails(connection, InboundMail.id.in_(chosen), done)
    return blobs


def _forget_mails(connection: Connection, which: Any, done: Erased) -> set[str]:
    nothing = store_blob(connection, b"")
    rows = connection.execute(select(InboundMail.id, InboundMail.blob).where(which, InboundMail.blob != nothing)).all()
    for some in _chunks([row.id for row in rows]):
        connection.execute(update(InboundMail).where(InboundMail.id.in_(some)).values(blob=nothing, reason=ERASED))
    done.count("mails", len(rows))
    return {row.blob for row in rows}


def _end_work(connection: Connection, items: Sequence[int], now: datetime) -> None:
    """End what is under way about their tickets: it knows what is erased, and would write it down again.

    A worker that has read a ticket loses its lane, and reads again; what an event that waits holds back is not done."""
    connection.execute(
        update(EventRow)
        .where(EventRow.item_id.in_(items), EventRow.status == "waiting")
        .values(status="done", progress=None)
    )
    connection.execute(
        update(RunRow)
        .where(RunRow.item_id.in_(items), RunRow.finished_at.is_(None))
        .values(status="cancelled", finished_at=now, due_at=None, lease_until=None, token=None)
    )
    connection.execute(update(Lane).where(Lane.item_id.in_(items)).values(due_at=now, lease_until=None, token=None))


def _items(connection: Connection, items: Sequence[int], done: Erased) -> None:
    """What the tickets themselves, their events and their history say in free text."""
    for row in connection.execute(
        select(WorkItem.id, WorkItem.kind, WorkItem.fields).where(WorkItem.id.in_(items))
    ).all():
        texts = _text_fields(connection, row.kind)
        known = {one.key for one in store.custom_fields(connection, row.kind).values()} - texts
        kept = {name: value for name, value in row.fields.items() if CUSTOM + name in known}
        connection.execute(update(WorkItem).where(WorkItem.id == row.id).values(subject=ERASED, fields=kept))
        for event in connection.execute(_EVENTS.where(EventRow.item_id == row.id)).all():
            connection.execute(update(EventRow).where(EventRow.id == event.id).values(_without_words(event, texts)))
        connection.execute(
            update(History)
            .where(History.item_id == row.id, History.field.in_({*texts, COMING, MAIL}))
            .values(change={"before": None, "after": None})
        )
        from_them = select(EventRow.id).where(EventRow.item_id == row.id, EventRow.actor_kind.in_(_OUTSIDE))
        connection.execute(
            update(History)
            .where(History.item_id == row.id, History.event_id.in_(from_them))
            .values(actor_name="", cause={"kind": "person"})
        )
        _dates(connection, row.id)
        done.count("tickets", 1)


_EVENTS = select(EventRow.id, EventRow.changes, EventRow.actor_kind, EventRow.payload)


def _without_words(event: Any, texts: frozenset[str]) -> dict[str, Any]:
    """What stays of this event: our words and numbers, and who of ours did it."""
    changes = [one if one["field"] not in texts else {**one, "before": None, "after": None} for one in event.changes]
    payload = {key: value for key, value in event.payload.items() if key in _PAYLOAD}
    values: dict[str, Any] = {"changes": changes, "payload": payload, "error": ""}
    return {**values, "actor_name": ""} if event.actor_kind in _OUTSIDE else values


def _dates(connection: Connection, item_id: int) -> None:
    """Episodes are named by the date they are about. That a row has fired stays, so that it does not again."""
    connection.execute(delete(Timer).where(Timer.item_id == item_id, Timer.episode.startswith(CUSTOM)))
    fired = (LedgerRow.item_id == item_id, LedgerRow.episode.startswith(CUSTOM))
    for number, row in enumerate(connection.execute(select(LedgerRow.row_key, LedgerRow.episode).where(*fired)).all()):
        one = (*fired, LedgerRow.row_key == row.row_key, LedgerRow.episode == row.episode)
        connection.execute(update(LedgerRow).where(*one).values(episode=f"{ERASED} {number}"))


def _text_fields(connection: Connection, kind: str) -> frozenset[str]:
    """The fields of this kind that go: what is free text, and of the desk's own all that could name somebody."""
    found = {one.key for one in store.custom_fields(connection, kind).values() if one.type in _TEXTS}
    own = {
        CUSTOM + one.key for one in custom_fields.fields(connection) if one.kind == kind and one.type not in _NOBODYS
    }
    return frozenset({"subject"} | found | own)


def _work(connection: Connection, items: Sequence[int], done: Erased) -> None:
    """How their tickets were decided, what scripts were told, and what was sent."""
    for what, statement in (
        ("decisions", delete(DecisionRow).where(DecisionRow.item_id.in_(items))),
        ("rows set aside", delete(RowSetAside).where(RowSetAside.item_id.in_(items))),
        ("cards", delete(ContextFact).where(ContextFact.item_id.in_(items))),
        ("notifications", delete(Notification).where(Notification.item_id.in_(items))),
        ("deliveries", delete(OutboxRow).where(OutboxRow.item_id.in_(items))),
        ("undone", update(UndoItemRow).where(UndoItemRow.item_id.in_(items)).values(outcome={})),
        ("runs", update(RunRow).where(RunRow.item_id.in_(items)).values(outcome={}, params={})),
    ):
        done.count(what, connection.execute(statement).rowcount)


def _asked_outside(connection: Connection, items: Sequence[int], addresses: Sequence[str], done: Erased) -> None:
    """What connected systems were asked about them and said: lookups, stored answers, the list of calls."""
    asked: list[Question] = []
    hashes: set[str] = set()
    for some in _chunks(items):
        lookups = select(LookupRow.id, LookupRow.connection, LookupRow.operation, LookupRow.args)
        for row in connection.execute(lookups.where(LookupRow.item_id.in_(some))).all():
            asked.append(Question(row.connection, row.operation, row.args))
            connection.execute(
                update(LookupRow)
                .where(LookupRow.id == row.id)
                .values(
                    args={},
                    args_key=f"{ERASED_KEY}{row.id}",
                    answer={"data": None, "candidates": []},
                    state="failed",
                    reason="The person was erased",
                    due_at=None,
                    lease_until=None,
                    token=None,
                )
            )
            done.count("lookups", 1)
        runs = select(RunRow.id, RunRow.outcome, RunRow.status, RunRow.attempt).where(RunRow.item_id.in_(some))
        for run in connection.execute(runs).all():
            for call in run.outcome.get("calls", ()):
                asked.append(Question(call.get("connection", ""), call.get("operation", ""), call.get("args") or {}))
            if run.attempt > 1 or run.status not in _TELLS_ITS_CALLS:
                hashes |= asked_by_run(connection, run.id)
        leaving = select(OutboxRow.recipient, OutboxRow.payload).where(OutboxRow.item_id.in_(some))
        for change in connection.execute(leaving.where(OutboxRow.kind == "change")).all():
            payload = change.payload
            asked.append(Question(change.recipient, str(payload.get("operation")), payload.get("args") or {}))
    answers, calls = forget(connection, hashes | prints(connection, asked))
    done.count("answers", answers)
    done.count("calls", calls)
    for address in addresses:
        for what, told in (("answers", RecordTable.data), ("calls", CallTable.inputs), ("calls", CallTable.error)):
            model = told.class_
            said = _says(told, address)
            done.count(what, connection.execute(delete(model).where(said)).rowcount)


def _api_answers(connection: Connection, items: set[int], done: Erased) -> None:
    """What the API answered about their tickets, kept for a program that asks again."""
    rows = connection.execute(select(IdempotencyKey.principal, IdempotencyKey.key, IdempotencyKey.body)).all()
    for row in rows:
        named = {int(one) for one in _TICKET.findall(json.dumps(row.body))}
        body = row.body.get("body")
        if isinstance(body, Mapping) and isinstance(body.get("ticket"), int):
            named.add(body["ticket"])
        if named & items:
            one = (IdempotencyKey.principal == row.principal, IdempotencyKey.key == row.key)
            done.count("API answers", connection.execute(delete(IdempotencyKey).where(*one)).rowcount)


def _elsewhere(connection: Connection, person_id: int, addresses: Sequence[str], done: Erased) -> None:
    """Traces of them on other people's tickets, and in answers the API remembers."""
    theirs = delete(OutboxRow).where(func.lower(OutboxRow.recipient).in_(addresses))
    done.count("deliveries", connection.execute(theirs).rowcount)
    connection.execute(delete(HeldAddress).where(HeldAddress.address.in_([one.lower() for one in addresses])))
    connection.execute(update(EventRow).where(*_acted(person_id)).values(actor_name=""))
    for address in addresses:
        for what, told in (
            ("API answers", IdempotencyKey.body),
            ("decisions", DecisionRow.facts),
            ("decisions", DecisionRow.trace),
            ("rows set aside", RowSetAside.reason),
            ("notifications", Notification.text),
        ):
            said = _says(told, address)
            done.count(what, connection.execute(delete(told.class_).where(said)).rowcount)
        # Where a mail to them about somebody else's ticket came back, or was sent again.
        named = History.field == MAIL, _says(History.change, address)
        connection.execute(update(History).where(*named).values(change={"before": None, "after": None}))
        # What still has to leave is somebody else's; what has left is only remembered.
        left = _says(OutboxRow.payload, address), OutboxRow.status != "due"
        done.count("deliveries", connection.execute(delete(OutboxRow).where(*left)).rowcount)


def _says(column: InstrumentedAttribute[Any], address: str) -> ColumnElement[bool]:
    """Whether this address stands in what a column says, in JSON also with its letters beyond ASCII as numbers."""
    text = func.lower(cast(column, Text))
    written = {address, json.dumps(address)[1:-1]} if isinstance(column.type, JSON) else {address}
    return or_(*(text.contains(one, autoescape=True) for one in sorted(written)))


def _drop_unused(connection: Connection, blobs: Iterable[str], done: Erased) -> None:
    """The bytes nobody else refers to."""
    for some in _chunks(sorted(blobs)):
        used = set(connection.execute(select(Attachment.blob).where(Attachment.blob.in_(some))).scalars())
        used |= set(connection.execute(select(InboundMail.blob).where(InboundMail.blob.in_(some))).scalars())
        used |= set(connection.execute(select(RequestFile.blob).where(RequestFile.blob.in_(some))).scalars())
        unused = [one for one in some if one not in used]
        done.count("files", connection.execute(delete(Blob).where(Blob.sha256.in_(unused))).rowcount)


def _chunks(values: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(values)
    while some := list(islice(rest, CHUNK)):
        yield some
