"""Erasing a person: their words, names and addresses go from everywhere; that something happened stays.

One transaction. What was written on the person's tickets is erased whoever wrote it, because answers repeat what they
answer. On other people's tickets only the person's own messages are.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, func, or_, select, update

from connectors.store import CallTable, RecordTable
from jobs.bounces import FIELD as MAIL
from jobs.forecast import FIELD as COMING
from jobs.services import Services
from jobs.tables import DecisionRow, IdempotencyKey, LookupRow, OutboxRow, RowSetAside, RunRow
from tickets import people, search, store
from tickets.attachments import store_blob
from tickets.item import CUSTOM, FieldType
from tickets.tables import (
    Attachment,
    Blob,
    ContextFact,
    EventRow,
    History,
    InboundMail,
    Message,
    Notification,
    Person,
    PersonAddress,
    PortalToken,
    RequestFile,
    RequestRow,
    WorkItem,
)

log = logging.getLogger(__name__)

#: What stands where something was erased.
ERASED = "(erased)"
#: Values one statement names at most.
CHUNK = 500
#: Mails that became no ticket which are looked through for the person's addresses, the newest first.
LOOSE_MAILS = 10_000
_TEXTS = frozenset({FieldType.TEXT, FieldType.LONG_TEXT})


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
        items = list(
            connection.execute(
                select(WorkItem.id).where(WorkItem.customer == person_id).order_by(WorkItem.id)
            ).scalars()
        )
        addresses = list(
            connection.execute(select(PersonAddress.address).where(PersonAddress.person_id == person_id)).scalars()
        )
        blobs = _messages(connection, person_id, items, addresses, done)
        blobs |= _inbound(connection, items, addresses, done)
        blobs |= _requests(connection, person_id, done)
        _asked_outside(connection, items, addresses, done)
        for some in _chunks(items):
            _items(connection, some, done)
            _work(connection, some, done)
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


def _messages(
    connection: Connection, person_id: int, items: Sequence[int], addresses: Sequence[str], done: Erased
) -> set[str]:
    """Their words, and those of others on their tickets; the blobs of the attachments that went."""
    ids: set[int] = set()
    mine = or_(Message.author_person == person_id, func.lower(Message.author_address).in_(addresses))
    ids.update(connection.execute(select(Message.id).where(mine)).scalars())
    for some in _chunks(items):
        ids.update(connection.execute(select(Message.id).where(Message.item_id.in_(some))).scalars())
    blobs: set[str] = set()
    for some in _chunks(sorted(ids)):
        erased = {"text": ERASED, "new_text": ERASED, "html": "", "subject": "", "header_id": ""}
        done.count("messages", connection.execute(update(Message).where(Message.id.in_(some)).values(erased)).rowcount)
        not_ours = Message.author_kind.in_(("customer", "third_party"))
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


def _requests(connection: Connection, person_id: int, done: Erased) -> set[str]:
    """What they were asked and answered, with the files, and their ways into the portal; the blobs that went."""
    connection.execute(delete(PortalToken).where(PortalToken.person_id == person_id))
    theirs = select(RequestRow.id).where(RequestRow.person_id == person_id)
    files = delete(RequestFile).where(RequestFile.request_id.in_(theirs)).returning(RequestFile.blob)
    blobs = set(connection.execute(files).scalars())
    done.count("requests", connection.execute(delete(RequestRow).where(RequestRow.person_id == person_id)).rowcount)
    return blobs


def _inbound(connection: Connection, items: Sequence[int], addresses: Sequence[str], done: Erased) -> set[str]:
    """The raw mails of their tickets, and those they sent that became no ticket."""
    blobs: set[str] = set()
    for some in _chunks(items):
        blobs |= _forget_mails(connection, InboundMail.item_id.in_(some), done)
    wanted = [address.encode() for address in addresses]
    loose = connection.execute(
        select(InboundMail.id, Blob.data)
        .join(Blob, Blob.sha256 == InboundMail.blob)
        .where(InboundMail.item_id.is_(None))
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


def _items(connection: Connection, items: Sequence[int], done: Erased) -> None:
    """What the tickets themselves, their events and their history say in free text."""
    for row in connection.execute(select(WorkItem.id, WorkItem.kind, WorkItem.fields).where(WorkItem.id.in_(items))):
        texts = _text_fields(connection, row.kind)
        kept = {name: value for name, value in row.fields.items() if CUSTOM + name not in texts}
        connection.execute(update(WorkItem).where(WorkItem.id == row.id).values(subject=ERASED, fields=kept))
        for event in connection.execute(
            select(EventRow.id, EventRow.changes, EventRow.actor_kind, EventRow.payload).where(
                EventRow.item_id == row.id
            )
        ).all():
            changes = [
                one if one["field"] not in texts else {**one, "before": None, "after": None} for one in event.changes
            ]
            values: dict[str, Any] = {"changes": changes, "error": ""}
            if "answers" in event.payload:
                said = ("answers", "title")
                values["payload"] = {key: value for key, value in event.payload.items() if key not in said}
            if event.actor_kind in ("customer", "third_party"):
                values["actor_name"] = ""
            connection.execute(update(EventRow).where(EventRow.id == event.id).values(values))
        connection.execute(
            update(History)
            .where(History.item_id == row.id, History.field.in_({*texts, COMING, MAIL}))
            .values(change={"before": None, "after": None})
        )
        from_them = select(EventRow.id).where(
            EventRow.item_id == row.id, EventRow.actor_kind.in_(("customer", "third_party"))
        )
        connection.execute(
            update(History)
            .where(History.item_id == row.id, History.event_id.in_(from_them))
            .values(actor_name="", cause={"kind": "person"})
        )
        done.count("tickets", 1)


def _text_fields(connection: Connection, kind: str) -> frozenset[str]:
    custom = store.custom_fields(connection, kind)
    return frozenset({"subject"} | {one.key for one in custom.values() if one.type in _TEXTS})


def _work(connection: Connection, items: Sequence[int], done: Erased) -> None:
    """How their tickets were decided, what scripts were told, and what was sent."""
    for what, statement in (
        ("decisions", delete(DecisionRow).where(DecisionRow.item_id.in_(items))),
        ("rows set aside", delete(RowSetAside).where(RowSetAside.item_id.in_(items))),
        ("cards", delete(ContextFact).where(ContextFact.item_id.in_(items))),
        ("notifications", delete(Notification).where(Notification.item_id.in_(items))),
        ("deliveries", delete(OutboxRow).where(OutboxRow.item_id.in_(items))),
        ("runs", update(RunRow).where(RunRow.item_id.in_(items)).values(outcome={}, params={})),
    ):
        done.count(what, connection.execute(statement).rowcount)


def _asked_outside(connection: Connection, items: Sequence[int], addresses: Sequence[str], done: Erased) -> None:
    """What connected systems were asked about them and said: lookups, stored answers, the list of calls."""
    digests: set[str] = set()
    for some in _chunks(items):
        for row in connection.execute(select(LookupRow.id, LookupRow.args).where(LookupRow.item_id.in_(some))).all():
            digests.add(_digest(row.args))
            connection.execute(
                update(LookupRow)
                .where(LookupRow.id == row.id)
                .values(
                    args={},
                    args_key=f"erased-{row.id}",
                    answer={"data": None, "candidates": []},
                    state="failed",
                    reason="The person was erased",
                    due_at=None,
                    lease_until=None,
                    token=None,
                )
            )
            done.count("lookups", 1)
        for outcome in connection.execute(select(RunRow.outcome).where(RunRow.item_id.in_(some))).scalars():
            digests.update(_digest(one.get("args") or {}) for one in outcome.get("calls", ()))
    digests.discard(_digest({}))  # a question without inputs is about nobody
    for hashes in _chunks(sorted(digests)):
        records = delete(RecordTable).where(RecordTable.inputs_hash.in_(hashes))
        calls = delete(CallTable).where(CallTable.inputs_hash.in_(hashes))
        done.count("answers", connection.execute(records).rowcount)
        done.count("calls", connection.execute(calls).rowcount)
    for address in addresses:
        for what, told in (("answers", RecordTable.data), ("calls", CallTable.inputs), ("calls", CallTable.error)):
            model = told.class_
            said = func.lower(cast(told, Text)).contains(address, autoescape=True)
            done.count(what, connection.execute(delete(model).where(said)).rowcount)


def _digest(args: Mapping[str, Any]) -> str:
    """The gateway's own name of a question's inputs."""
    return hashlib.sha256(json.dumps(args, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _elsewhere(connection: Connection, person_id: int, addresses: Sequence[str], done: Erased) -> None:
    """Traces of them on other people's tickets, and in answers the API remembers."""
    done.count("deliveries", connection.execute(delete(OutboxRow).where(OutboxRow.recipient.in_(addresses))).rowcount)
    connection.execute(
        update(EventRow)
        .where(EventRow.actor_kind.in_(("customer", "third_party")), EventRow.actor_ref == str(person_id))
        .values(actor_name="")
    )
    for address in addresses:
        for what, told in (
            ("API answers", IdempotencyKey.body),
            ("decisions", DecisionRow.facts),
            ("decisions", DecisionRow.trace),
            ("rows set aside", RowSetAside.reason),
        ):
            said = func.lower(cast(told, Text)).contains(address, autoescape=True)
            done.count(what, connection.execute(delete(told.class_).where(said)).rowcount)


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
