"""What the outbox page reads: what leaves, about items that this person may see, and what one may do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select, update

from jobs.bounces import READDRESSED, send_again, well
from jobs.changes import none_begun
from jobs.leaving import WAITING
from jobs.outbox import GIVEN_UP, MAILS, SEEN_OR_NOT
from jobs.tables import OutboxRow
from tickets.errors import ItemNotFound
from tickets.people import Permission, Viewer
from tickets.store import AnyRow
from tickets.tables import Message, WorkItem
from tickets.visibility import visible
from web.paging import COUNT_CAP, PAGE_ROWS, Paged, counted

#: Replies shown on one ticket.
SUGGESTIONS = 20

#: What the tabs show, by their key in the address.
STATES: Mapping[str, tuple[str, ...]] = {
    "approval": ("approval",),
    "waiting": ("due",),
    "dead": GIVEN_UP,
    "sent": ("sent",),
    "cancelled": ("cancelled",),
}


#: What can be sent again, or after all.
GIVEN_BACK = (*GIVEN_UP, "cancelled")


class NotAllowed(Exception):
    """Only who may edit rules may send a change in a connected system again. Nothing was done."""


class NotNow(Exception):
    """It is being sent at this moment, was sent, or was decided by somebody else. Nothing was done."""


class MayBeMade(Exception):
    """An earlier try may have made this change: to cancel it would say that it was not made. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """One row of the outbox. `text` is what it says, where that is known before it is written."""

    id: int
    kind: str
    recipient: str
    item_id: int | None
    subject: str
    status: str
    reason: str
    tries: int
    due_at: datetime
    created_at: datetime
    sent_at: datetime | None
    payload: Mapping[str, Any]
    text: str
    written_since: bool = False  # somebody wrote on the item after this reply was suggested


_COLUMNS = (
    OutboxRow.id,
    OutboxRow.kind,
    OutboxRow.recipient,
    OutboxRow.item_id,
    WorkItem.subject,
    OutboxRow.status,
    OutboxRow.last_error,
    OutboxRow.tries,
    OutboxRow.due_at,
    OutboxRow.created_at,
    OutboxRow.sent_at,
    OutboxRow.payload,
)


def outbox(connection: Connection, viewer: Viewer, state: str, *, page: int = 1) -> Paged[Leaving]:
    """One page of what is in this state, newest first; what waits, the next one first."""
    wanted = OutboxRow.status.in_(STATES[state])
    shown = and_(wanted, _may_see(viewer))
    every = select(OutboxRow.id).outerjoin(WorkItem, WorkItem.id == OutboxRow.item_id)
    hidden = every.where(wanted, not_(_may_see(viewer)))
    found = counted(connection, every.where(shown), page, hidden=hidden)
    order = (OutboxRow.due_at, OutboxRow.id) if state == "waiting" else (OutboxRow.id.desc(),)
    rows = connection.execute(
        select(*_COLUMNS)
        .outerjoin(WorkItem, WorkItem.id == OutboxRow.item_id)
        .where(shown)
        .order_by(*order)
        .limit(PAGE_ROWS)
        .offset(found.offset)
    ).all()
    return found.of(_leaving(connection, rows))


def waiting_for_approval(connection: Connection, viewer: Viewer) -> int:
    """How many replies wait for a person, of those this person may see; at most COUNT_CAP."""
    base = (
        select(OutboxRow.id)
        .join(WorkItem, WorkItem.id == OutboxRow.item_id)
        .where(OutboxRow.status == "approval", visible(viewer))
        .limit(COUNT_CAP)
        .subquery()
    )
    return connection.execute(select(func.count()).select_from(base)).scalar_one()


def suggestions(connection: Connection, item_id: int) -> Sequence[Leaving]:
    """The replies that wait on this item, oldest first. Only for an item that was read with a viewer."""
    rows = connection.execute(
        select(*_COLUMNS)
        .join(WorkItem, WorkItem.id == OutboxRow.item_id)
        .where(OutboxRow.item_id == item_id, OutboxRow.kind == "reply", OutboxRow.status.in_(WAITING))
        .order_by(OutboxRow.id)
        .limit(SUGGESTIONS)
    ).all()
    return _leaving(connection, rows)


def cancel(connection: Connection, viewer: Viewer, row_id: int, now: datetime) -> int | None:
    """Do not send this; its item's number. Raises `NotNow`, `MayBeMade`, and `ItemNotFound` where it is not visible."""
    row = _row(connection, viewer, row_id)
    done = connection.execute(
        update(OutboxRow)
        .where(
            OutboxRow.id == row_id,
            OutboxRow.status == "due",
            or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until < now),
            none_begun(),
        )
        .values(status="cancelled", last_error=f"{viewer.name} cancelled it", token=None, lease_until=None)
    )
    if done.rowcount != 1:
        raise MayBeMade if row.status == "due" and row.payload.get("begun") else NotNow
    found: int | None = row.item_id
    return found


def again(
    connection: Connection, viewer: Viewer, row_id: int, now: datetime, *, to: str = "", keep: bool = False
) -> int | None:
    """Try it again, or after all; a reply that was cancelled waits for a person again. Raises as `cancel` does.

    `to`: another address for a mail to a customer; `keep` makes it the customer's own.
    A change in a connected system that was not needed any more, or may have been made, is sent because this person says
    so: it is not looked at once more. For that one must be allowed to edit rules, else `NotAllowed`."""
    row = _row(connection, viewer, row_id)
    if to and row.kind not in READDRESSED:
        raise NotNow
    if row.kind == "change" and not viewer.may(Permission.EDIT_RULES):
        raise NotAllowed
    back = "approval" if row.kind == "reply" else "due"
    values: dict[str, Any] = {}
    if row.kind == "change":
        said_so = row.status in ("cancelled", "unclear")
        values["payload"] = {
            **row.payload,
            "begun": False,
            "recheck": bool(row.payload.get("recheck")) and not said_so,
            "sent_by": viewer.key,
        }
        values["sent_at"] = None
    elif row.kind == "email" and row.status == "cancelled":
        values["payload"] = {**row.payload, SEEN_OR_NOT: True}
    done = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == row_id, OutboxRow.status == row.status, OutboxRow.status.in_(GIVEN_BACK))
        .values(
            status=back,
            due_at=now,
            created_at=now,
            tries=0,
            lease_until=None,
            token=None,
            last_error="",
            **values,
        )
    )
    if done.rowcount != 1:
        raise NotNow
    # Who sends there says that the address takes mail; where it does not, it comes back once more.
    well(connection, to or row.recipient)
    if to and to != row.recipient.lower():
        send_again(connection, viewer, row, to, keep=keep, now=now)
    found: int | None = row.item_id
    return found


def found_done(connection: Connection, viewer: Viewer, row_id: int) -> int | None:
    """This person looked, and the change was made: it is not sent again. Raises as `cancel` does."""
    row = _row(connection, viewer, row_id)
    done = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == row_id, OutboxRow.status == "unclear")
        .values(status="sent", last_error=f"{viewer.name} found that it was made")
    )
    if done.rowcount != 1:
        raise NotNow
    found: int | None = row.item_id
    return found


def _row(connection: Connection, viewer: Viewer, row_id: int) -> AnyRow:
    row = connection.execute(
        select(
            OutboxRow.id, OutboxRow.item_id, OutboxRow.kind, OutboxRow.recipient, OutboxRow.status, OutboxRow.payload
        )
        .outerjoin(WorkItem, WorkItem.id == OutboxRow.item_id)
        .where(OutboxRow.id == row_id, _may_see(viewer))
    ).one_or_none()
    if row is None:
        raise ItemNotFound(f"There is nothing with number {row_id} in the outbox, or it is not visible to you")
    return row


def _may_see(viewer: Viewer) -> ColumnElement[bool]:
    """What is about an item is seen by who sees the item; what is about none (a digest) by who runs the desk."""
    about_none = OutboxRow.item_id.is_(None)
    seen = and_(OutboxRow.item_id.is_not(None), visible(viewer))
    return or_(seen, about_none) if viewer.may(Permission.SETTINGS) else seen


def _leaving(connection: Connection, rows: Sequence[AnyRow]) -> list[Leaving]:
    if not rows:  # as on most tickets
        return []
    messages = [row.payload["message_id"] for row in rows if row.kind == "email"]
    texts = dict(connection.execute(select(Message.id, Message.new_text).where(Message.id.in_(messages))).all())
    newest = dict(
        connection.execute(
            select(Message.item_id, func.max(Message.id))
            .where(
                Message.item_id.in_([row.item_id for row in rows if row.kind == "reply"]),
                Message.public,
                Message.author_kind.in_(("customer", "agent")),
            )
            .group_by(Message.item_id)
        ).all()
    )
    return [
        Leaving(
            row.id,
            row.kind,
            row.recipient,
            row.item_id,
            row.subject or "",
            row.status,
            row.last_error,
            row.tries,
            row.due_at,
            row.created_at,
            row.sent_at,
            row.payload,
            _text(row, texts),
            row.kind == "reply" and newest.get(row.item_id, 0) > int(row.payload.get("newest") or 0),
        )
        for row in rows
    ]


def _text(row: AnyRow, texts: Mapping[int, str]) -> str:
    if row.kind == "email":
        return texts.get(row.payload["message_id"], "")
    if row.kind in MAILS:
        return "\n\n".join(str(one["text"]) for one in row.payload.get("parts", ()) if one.get("kind") != "button")
    if row.kind == "change":
        return f"{row.recipient}.{row.payload['operation']}"
    return str(row.payload.get("text") or row.payload.get("event") or "")
