"""A suggested reply on its way: a person approves, edits or rejects it, or it publishes itself inside its window.

Whatever publishes itself is looked at once more at that moment: who has written since, whether the item is finished,
and whether the row that wrote it would still do so. What a person approves is that person's reply.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from jobs.leaving import WAITING, queue_message
from jobs.rechecking import row_says_no
from jobs.services import Services
from jobs.tables import OutboxRow
from jobs.telling import tell_of_message
from rules.errors import ActionRefused
from rules.window import SendWindow
from tickets import people, store
from tickets.effects import SetField
from tickets.errors import ItemNotFound
from tickets.events import AUTOMATION, Actor, ActorKind, Cause
from tickets.item import FINISHED, STATUSES, Item
from tickets.people import Viewer
from tickets.store import AnyRow, Chain, Lines, NewMessage
from tickets.tables import Message

log = logging.getLogger(__name__)

#: Characters of a reply.
REPLY_CHARS = 50_000


class SuggestionError(Exception):
    """Base of what a person is told when a suggested reply cannot be acted on. Nothing was done."""


class DecidedAlready(SuggestionError):
    """Somebody else, or the clock, was first. Nothing was done."""


class NothingToSay(SuggestionError):
    """The reply is empty or too long. Nothing was done."""


def publish_itself(services: Services, row: AnyRow, token: str) -> bool:
    """Post the reply, put it off until its window opens, or cancel it with the reason. True when it was posted."""
    with services.db.write() as connection:
        now = services.clock.now()
        # The item before the row, as everybody takes them: who decides about the reply now is waited for, and counts.
        item = store.read_item(connection, row.item_id, lock=True)
        held = connection.execute(
            select(OutboxRow.payload).where(OutboxRow.id == row.id, OutboxRow.token == token, OutboxRow.status == "due")
        ).scalar_one_or_none()
        if held is None:
            return False  # its lease passed to another worker, or a person decided
        opens = _opens(held, now)
        if opens > now:
            _write(connection, row.id, due_at=opens, tries=0, last_error="its window was closed")
            return False
        reason = why_not(services, connection, item, held, now)
        if reason:
            _write(connection, row.id, status="cancelled", last_error=reason)
            log.info("suggestion.cancelled", extra={"outbox": row.id, "item": item.id})
            return False
        poster = _poster(connection, str(held.get("poster") or ""))
        written = store.change_item(
            connection,
            item,
            lines=(),
            actor=AUTOMATION,
            now=now,
            messages=(
                NewMessage(
                    author="bot",
                    public=True,
                    channel=str(item.state.get("channel", "email")),
                    text=str(held["text"]),
                    subject=str(held.get("subject") or ""),
                    language=str(held.get("language") or ""),
                    author_user=poster.key if poster else None,
                    author_name=poster.name if poster else "Deskhand",
                    automatic=True,
                    cause=Cause.from_json(held["cause"]),
                ),
            ),
            chain=Chain(root_id=held.get("root"), depth=int(held.get("depth") or 1)),
        )
        assert written.message_id is not None
        queue_message(connection, item, written.message_id, now)
        _write(connection, row.id, status="sent", sent_at=now, last_error="")
    log.info("suggestion.published", extra={"outbox": row.id, "item": row.item_id})
    return True


def approve(
    services: Services, connection: Connection, viewer: Viewer, row_id: int, text: str, *, then: str = ""
) -> int:
    """Send it as this person's reply, worded as they left it, and set a status if wanted; the item's number.

    Raises `DecidedAlready` or `NothingToSay`."""
    text = _checked(text)
    row, item = _locked(connection, viewer, row_id)
    now = services.clock.now()
    lines = (Lines((SetField("status", then),), Cause("person", label=viewer.name)),) if then in STATUSES else ()
    written = store.change_item(
        connection,
        item,
        lines=lines,
        actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
        now=now,
        messages=(
            NewMessage(
                author="agent",
                public=True,
                channel="email",
                text=text,
                subject=str(row.payload.get("subject") or ""),
                language=str(row.payload.get("language") or ""),
                author_user=viewer.key,
                author_name=viewer.name,
                author_address=viewer.email,
                cause=Cause.from_json(row.payload["cause"]),
            ),
        ),
    )
    assert written.message_id is not None
    queue_message(connection, item, written.message_id, now)
    tell_of_message(connection, item.id, written.message_id, now)
    payload = {**row.payload, "text": text, "decided_by": viewer.key, "edited": text != row.payload["text"]}
    _write(connection, row.id, status="sent", sent_at=now, last_error="", payload=payload)
    return item.id


def reject(services: Services, connection: Connection, viewer: Viewer, row_id: int) -> int:
    """Not to be sent. Nothing is posted; the item's number. Raises `DecidedAlready`."""
    row, item = _locked(connection, viewer, row_id)
    payload = {**row.payload, "decided_by": viewer.key}
    _write(connection, row.id, status="cancelled", last_error=f"{viewer.name} rejected it", payload=payload)
    return item.id


def edit(services: Services, connection: Connection, viewer: Viewer, row_id: int, text: str) -> int:
    """Word it anew; it waits on. Returns the item's number. Raises `DecidedAlready` or `NothingToSay`."""
    text = _checked(text)
    row, item = _locked(connection, viewer, row_id)
    _write(connection, row.id, payload={**row.payload, "text": text, "edited_by": viewer.key})
    return item.id


def why_not(services: Services, connection: Connection, item: Item, payload: Mapping[str, Any], now: datetime) -> str:
    """Why this reply is not to publish itself any more, "" when it still is."""
    if item.state.get("archived") is True:
        return "the ticket was archived"
    status = str(item.state.get("status"))
    if status in FINISHED:
        return f"the ticket is {STATUSES[status].casefold()}"
    later = connection.execute(
        select(Message.author_kind, Message.author_name)
        .where(
            Message.item_id == item.id,
            Message.id > int(payload.get("newest") or 0),
            Message.public,
            Message.author_kind.in_(("customer", "agent")),
        )
        .order_by(Message.id)
        .limit(1)
    ).one_or_none()
    if later is not None:
        who = "the customer" if later.author_kind == "customer" else later.author_name or "a colleague"
        return f"{who} has answered since it was suggested"
    cause = Cause.from_json(payload["cause"])
    if cause.kind != "table":
        return ""
    return row_says_no(services, connection, item, payload, now, did="suggested it")


def _opens(payload: Mapping[str, Any], now: datetime) -> datetime:
    window = payload.get("window")
    if not window:
        return now
    try:
        return SendWindow.from_json(window).opens(now)
    except ActionRefused:
        return now


def _poster(connection: Connection, key: str) -> Viewer | None:
    return people.viewer(connection, key) if key else None


def _checked(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise NothingToSay("There is nothing to send yet: write something first.")
    if len(text) > REPLY_CHARS:
        raise NothingToSay(f"A message has at most {REPLY_CHARS} characters; this one has {len(text)}.")
    return text


def _locked(connection: Connection, viewer: Viewer, row_id: int) -> tuple[AnyRow, Item]:
    """The reply and its item, both locked, if this person may see it and nobody decided yet."""
    found = connection.execute(
        select(OutboxRow.item_id).where(OutboxRow.id == row_id, OutboxRow.kind == "reply")
    ).scalar_one_or_none()
    if found is None:
        raise ItemNotFound(f"There is no suggested reply {row_id}, or it is not visible to you")
    item = store.read_item(connection, found, viewer=viewer, lock=True)
    row = connection.execute(
        select(OutboxRow.id, OutboxRow.payload, OutboxRow.status)
        .where(OutboxRow.id == row_id, OutboxRow.status.in_(WAITING))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise DecidedAlready("This reply was sent or rejected in the meantime. Nothing was done.")
    return row, item


def _write(connection: Connection, row_id: int, **values: Any) -> None:
    connection.execute(
        update(OutboxRow).where(OutboxRow.id == row_id).values(**{"lease_until": None, "token": None, **values})
    )
