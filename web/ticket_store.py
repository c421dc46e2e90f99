"""What a ticket's page reads. What changes an item is in `tickets.store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, not_, or_, select, update

from jobs.tables import DecisionRow, LookupRow, OutboxRow, RunRow
from tickets.item import FINISHED
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import Attachment, Blob, EventRow, History, Message, WorkItem
from tickets.visibility import visible

#: How much of one item's past a page shows, newest kept.
MESSAGES = 200
EVENTS = 400
HISTORY_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Past:
    """Everything the timeline is made of. Only for an item that was read with a viewer."""

    events: Sequence[AnyRow]
    messages: Mapping[int, Sequence[AnyRow]]  # by the sequence of the event that added them
    attachments: Mapping[int, Sequence[AnyRow]]
    history: Mapping[int, Sequence[AnyRow]]
    decisions: Mapping[int, Sequence[AnyRow]]
    runs: Mapping[int, Sequence[AnyRow]]
    mails: Mapping[int, AnyRow]  # by message: what became of sending it
    cut: bool = False  # older events are left out


def past(connection: Connection, item_id: int) -> Past:
    """The newest events of an item with what belongs to them, oldest first."""
    events = connection.execute(
        select(
            EventRow.id,
            EventRow.seq,
            EventRow.kind,
            EventRow.at,
            EventRow.actor_kind,
            EventRow.actor_ref,
            EventRow.actor_name,
            EventRow.root_id,
            EventRow.depth,
            EventRow.changes,
            EventRow.message_id,
            EventRow.payload,
            EventRow.status,
            EventRow.error,
        )
        .where(EventRow.item_id == item_id)
        .order_by(EventRow.seq.desc())
        .limit(EVENTS + 1)
    ).all()
    cut = len(events) > EVENTS
    events = events[:EVENTS][::-1]
    since = events[0].seq if events else 0
    messages = connection.execute(
        select(Message.__table__)
        .where(Message.item_id == item_id, Message.seq >= since)
        .order_by(Message.id.desc())
        .limit(MESSAGES)
    ).all()
    message_ids = [row.id for row in messages]
    attachments = connection.execute(
        select(Attachment.id, Attachment.message_id, Attachment.name, Attachment.media_type, Attachment.size)
        .where(Attachment.message_id.in_(message_ids))
        .order_by(Attachment.id)
    ).all()
    event_ids = [row.id for row in events]
    history = connection.execute(
        select(
            History.id,
            History.event_id,
            History.field,
            History.change,
            History.outcome,
            History.cause,
            History.actor_name,
            History.at,
        )
        .where(History.item_id == item_id, History.event_id.in_(event_ids))
        .order_by(History.id.desc())
        .limit(HISTORY_LINES)
    ).all()[::-1]
    decisions = connection.execute(
        select(
            DecisionRow.id,
            DecisionRow.event_id,
            DecisionRow.part,
            DecisionRow.revision,
            DecisionRow.trace,
            DecisionRow.done,
            DecisionRow.skipped,
            DecisionRow.notes,
            DecisionRow.outcome,
            DecisionRow.applied_event,
            DecisionRow.decide_us,
            DecisionRow.at,
        )
        .where(DecisionRow.item_id == item_id, DecisionRow.event_id.in_(event_ids))
        .order_by(DecisionRow.event_id, DecisionRow.part)
    ).all()
    runs = connection.execute(
        select(RunRow.__table__).where(RunRow.item_id == item_id, RunRow.event_id.in_(event_ids)).order_by(RunRow.id)
    ).all()
    keys = {f"message:{message_id}": message_id for message_id in message_ids}
    mails = connection.execute(
        select(OutboxRow.key, OutboxRow.status, OutboxRow.tries, OutboxRow.last_error, OutboxRow.sent_at).where(
            OutboxRow.item_id == item_id, OutboxRow.key.in_(keys)
        )
    ).all()
    return Past(
        events=events,
        messages=_by(messages[::-1], "seq"),
        attachments=_by(attachments, "message_id"),
        history=_by(history, "event_id"),
        decisions=_by(decisions, "event_id"),
        runs=_by(runs, "event_id"),
        mails={keys[row.key]: row for row in mails},
        cut=cut,
    )


def lookups(connection: Connection, item_id: int, *, limit: int = 50) -> list[AnyRow]:
    """The questions asked for an item, newest first."""
    return list(
        connection.execute(
            select(LookupRow.__table__)
            .where(LookupRow.item_id == item_id)
            .order_by(LookupRow.asked_at.desc())
            .limit(limit)
        )
    )


def decisions(connection: Connection, item_id: int, *, limit: int = 60) -> list[AnyRow]:
    """The newest decisions about an item with the facts they saw and their event, newest first."""
    return list(
        connection.execute(
            select(
                DecisionRow.event_id,
                DecisionRow.facts,
                DecisionRow.trace,
                DecisionRow.done,
                EventRow.seq,
                EventRow.kind,
                EventRow.actor_name,
                EventRow.at.label("event_at"),
                func.coalesce(EventRow.root_id, EventRow.id).label("root"),
            )
            .join(EventRow, EventRow.id == DecisionRow.event_id)
            .where(DecisionRow.item_id == item_id)
            .order_by(EventRow.seq.desc(), DecisionRow.part.desc())
            .limit(limit)
        )
    )


def others_of_customer(connection: Connection, who: Viewer, person_id: int, item_id: int) -> tuple[list[AnyRow], int]:
    """The customer's other open tickets that `who` may see (at most 10, newest first), and how many stay hidden."""
    theirs = and_(
        WorkItem.customer == person_id,
        WorkItem.id != item_id,
        WorkItem.kind == "ticket",
        WorkItem.status.not_in(sorted(FINISHED)),
    )
    shown = connection.execute(
        select(WorkItem.id, WorkItem.subject, WorkItem.status)
        .where(theirs, visible(who))
        .order_by(WorkItem.updated_at.desc())
        .limit(10)
    ).all()
    hidden = connection.execute(
        select(func.count()).select_from(WorkItem).where(theirs, not_(visible(who)))
    ).scalar_one()
    return list(shown), hidden


def attachment(connection: Connection, who: Viewer, attachment_id: int) -> AnyRow | None:
    """Name, type and bytes of a file on an item that `who` may see, or None."""
    return connection.execute(
        select(Attachment.name, Attachment.media_type, Attachment.size, Blob.data)
        .join(Message, Message.id == Attachment.message_id)
        .join(WorkItem, WorkItem.id == Message.item_id)
        .join(Blob, Blob.sha256 == Attachment.blob)
        .where(Attachment.id == attachment_id, visible(who))
    ).one_or_none()


def written_since(connection: Connection, item_id: int, up_to: int, who: str) -> str | None:
    """The name of whoever else wrote the newest public message after message `up_to`, customer or colleague; None when
    nobody did. What automations say does not count: it answers nobody's question."""
    return connection.execute(
        select(Message.author_name)
        .where(
            Message.item_id == item_id,
            Message.id > up_to,
            Message.public,
            or_(
                Message.author_kind == "customer",
                and_(Message.author_kind == "agent", func.coalesce(Message.author_user, "") != who),
            ),
        )
        .order_by(Message.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def ask_again(connection: Connection, who: Viewer, lookup_id: int, now: datetime) -> int | None:
    """Make a failed or outdated lookup due now; returns its item, None when it is not visible to `who`."""
    item_id = connection.execute(
        select(LookupRow.item_id)
        .join(WorkItem, WorkItem.id == LookupRow.item_id)
        .where(LookupRow.id == lookup_id, visible(who))
    ).scalar_one_or_none()
    if item_id is not None:
        # One that somebody is asking right now keeps its lease; it is due again only if it fails.
        connection.execute(
            update(LookupRow)
            .where(LookupRow.id == lookup_id, or_(LookupRow.lease_until.is_(None), LookupRow.lease_until < now))
            .values(due_at=now, tries=0)
        )
    return item_id


def visible_of(connection: Connection, who: Viewer, numbers: Sequence[int]) -> frozenset[int]:
    """Which of these items (at most EVENTS of them are looked at) `who` may see."""
    if not numbers:
        return frozenset()
    found = select(WorkItem.id).where(WorkItem.id.in_(numbers[:EVENTS]), visible(who))
    return frozenset(connection.execute(found).scalars())


def _by(rows: Sequence[AnyRow], name: str) -> dict[int, list[AnyRow]]:
    grouped: dict[int, list[AnyRow]] = {}
    for row in rows:
        grouped.setdefault(getattr(row, name), []).append(row)
    return grouped
