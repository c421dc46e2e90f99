"""Changing something in a connected system: looked at once more, sent under one key, its answer written on the item.

That a try begins is noted before anything leaves. Whoever takes the row up after a crash then knows that it may have
been sent, and the gateway sends it again only where the system carries out a key once. What may have been done and
cannot be found out is set aside as "unclear", and a person is asked.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from connectors import store as connections
from connectors.errors import ConnectorError, Retryable, UnknownConnection
from connectors.gateway import Record
from jobs.forgetting import Question, forget_late
from jobs.queues import Work
from jobs.rechecking import row_says_no
from jobs.services import Services
from jobs.tables import LookupRow, OutboxRow
from tickets import store
from tickets.cards import NewContext
from tickets.events import AUTOMATION, Cause
from tickets.item import Item
from tickets.store import AnyRow

log = logging.getLogger(__name__)

#: Seconds one try may take; never longer than half a lease, so that nobody else has the row meanwhile.
DEADLINE_S = 15
#: What a re-check's sentence says of the row.
DID = "asked for it"


class ChangeNotTaken(Exception):
    """The system did not take it this time; try again later. `may_be_done`: or it did, and the answer was lost."""

    def __init__(self, reason: str, *, may_be_done: bool) -> None:
        super().__init__(reason)
        self.may_be_done = may_be_done


class ChangeRefused(Exception):
    """The system, or what this installation allows, will never take it. Nothing was changed there."""


class ChangeUnclear(Exception):
    """It may have been carried out, or not. A person has to look."""


class ChangeNotNeeded(Exception):
    """The row behind it would not do it any more. It is cancelled with this reason."""


class ChangeCapped(Exception):
    """The system was changed too often within an hour. It is held back, with this reason."""


def begun(row: AnyRow) -> bool:
    """Whether a try of this change got as far as sending and nobody knows what came of it."""
    return row.kind == "change" and bool(row.payload.get("begun"))


def got_as_far_as_sending(services: Services, row: AnyRow) -> bool:
    """The same, the try that ends here counted in: `row` was read before it began."""
    if row.kind != "change":
        return False
    with services.db.read() as connection:
        now = select(OutboxRow.payload["begun"].as_boolean()).where(OutboxRow.id == row.id)
        return bool(connection.execute(now).scalar_one_or_none())


def none_begun() -> ColumnElement[bool]:
    """Of the outbox's rows those that are no such change: what may have been carried out cannot be called back."""
    return OutboxRow.payload["begun"].as_boolean().is_not(True)


def send_change(services: Services, row: AnyRow, token: str) -> bool:
    """One try: True when it was carried out and its answer stands on the item, False when the row is not ours any more.

    Raises the exceptions of this module, and `rechecking.NotKnownNow`."""
    sent_before = begun(row)
    if not sent_before:
        _look_once_more(services, row)
    if not _begin(services, row, token):
        return False
    cause = Cause.from_json(row.payload["cause"])
    try:
        record = services.gateway.call(
            row.recipient,
            str(row.payload["operation"]),
            row.payload["args"],
            deadline_s=min(DEADLINE_S, services.settings.outbox_lease_s / 2),
            cause=f"{cause.kind} {cause.code}@{cause.version}" + (f"/{cause.row}" if cause.row else ""),
            allow_write=True,
            idempotency_key=key_of(row.key),
            sent_before=sent_before,
        )
    except Retryable as error:
        if not error.may_be_done and not sent_before:
            _not_begun(services, row, token)
        raise ChangeNotTaken(error.sentence, may_be_done=error.may_be_done or sent_before) from None
    except ConnectorError as error:
        if error.may_be_done or sent_before:
            raise ChangeUnclear(error.sentence) from None
        # Whoever tries it again, with all others from the command line too, knows that nothing was changed.
        _not_begun(services, row, token)
        raise ChangeRefused(error.sentence) from None
    return _done(services, row, token, record, cause)


def key_of(key: str) -> str:
    """The idempotency key of an outbox row as systems get it: the same for all its tries, and fit for any header."""
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def card_key(connection: str, operation: str) -> str:
    """The card that holds the answer, a name that conditions can use: context.crm_add_note.id."""
    return f"{connection}_{operation}"


def tell_failure(connection: Connection, row: AnyRow, item: Item, reason: str, now: datetime) -> None:
    """Say on the item that the change was not made, or may not have been: rules may act on the card's error."""
    _card(connection, row, item, now, title=_title(connection, row), error=reason)


def _look_once_more(services: Services, row: AnyRow) -> None:
    """Raises `ChangeNotNeeded` when its row would not ask for it now, `ChangeCapped` when there were too many, and
    `NotKnownNow`."""
    with services.db.read() as connection:
        now = services.clock.now()
        cause = Cause.from_json(row.payload["cause"])
        if row.payload.get("recheck") and cause.kind == "table":
            item = store.read_item(connection, row.item_id)
            reason = row_says_no(services, connection, item, row.payload, now, did=DID)
            if reason:
                raise ChangeNotNeeded(reason)
        most = services.settings.changes_per_hour
        made = connection.execute(
            select(func.count())
            .select_from(OutboxRow)
            .where(
                OutboxRow.recipient == row.recipient,
                OutboxRow.kind == "change",
                OutboxRow.sent_at > now - timedelta(hours=1),
            )
        ).scalar_one()
        if made >= most:
            raise ChangeCapped(
                f"{row.recipient} was changed {made} times within an hour; {most} are allowed, more are held back"
            )


def _begin(services: Services, row: AnyRow, token: str) -> bool:
    """Note that it is about to be sent. False when the row passed to somebody else."""
    with services.db.write() as connection:
        return _keep(connection, row, token, payload={**row.payload, "begun": True})


def _not_begun(services: Services, row: AnyRow, token: str) -> None:
    with services.db.write() as connection:
        _keep(connection, row, token, payload={**row.payload, "begun": False})


def _keep(connection: Connection, row: AnyRow, held: str, **values: Any) -> bool:
    """Write these values if the row is still held under this token."""
    kept = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == row.id, OutboxRow.token == held, OutboxRow.status == "due")
        .values(**values)
    )
    return kept.rowcount == 1


def _done(services: Services, row: AnyRow, token: str, record: Record, cause: Cause) -> bool:
    """The answer as a card, the row as sent and the event about it, in one transaction; all of it, or nothing."""
    with services.db.write() as connection:
        now = services.clock.now()
        item = store.read_item(connection, row.item_id, lock=True)
        kept = _keep(
            connection,
            row,
            token,
            status="sent",
            sent_at=now,
            lease_until=None,
            token=None,
            last_error="",
            payload={**row.payload, "begun": False, "answer": record.data, "url": record.external_url},
        )
        if not kept:
            log.warning("change.fenced", extra={"outbox": row.id})
            if connection.execute(select(OutboxRow.id).where(OutboxRow.id == row.id)).first() is None:
                # Gone while it was sent: whom it was about was erased.
                asked = Question(row.recipient, str(row.payload["operation"]), row.payload["args"])
                forget_late(connection, (asked,), outbox=row.id, item=row.item_id)
            return False
        _card(connection, row, item, now, title=_title(connection, row), data=record)
    services.queues.hint(Work.DRAIN)
    log.info("change.made", extra={"outbox": row.id, "item": row.item_id, "connection": row.recipient})
    return True


def _card(
    connection: Connection,
    row: AnyRow,
    item: Item,
    now: datetime,
    *,
    title: str,
    data: Record | None = None,
    error: str = "",
) -> None:
    operation = str(row.payload["operation"])
    # What was answered for this chain before is no answer for what follows from the change.
    connection.execute(
        update(LookupRow)
        .where(
            LookupRow.item_id == row.item_id,
            LookupRow.connection == row.recipient,
            LookupRow.answered_at.is_not(None),
            LookupRow.not_from_seq.is_(None),  # an earlier change stands
        )
        .values(not_from_seq=item.last_seq + 1)
    )
    store.change_item(
        connection,
        item,
        lines=(),
        actor=AUTOMATION,
        now=now,
        context=(
            NewContext(
                key=card_key(row.recipient, operation),
                title=title,
                data=data.data if data is not None else None,
                source=f"{row.recipient}.{operation}",
                fetched_at=data.fetched_at if data is not None else now,
                fresh_until=None,
                error=error,
                cause=Cause.from_json(row.payload["cause"]),
                outside=True,
            ),
        ),
        chain=store.Chain(root_id=row.payload.get("root"), depth=int(row.payload.get("depth") or 1)),
    )


def _title(connection: Connection, row: AnyRow) -> str:
    """E.g. "CRM: Add a note"; the bare names when the connection is gone."""
    operation = str(row.payload["operation"])
    try:
        info = connections.connection_named(connection, row.recipient)
    except UnknownConnection:
        return f"{row.recipient}: {operation}"
    label = next((one.label for one in connections.describe([info]) if one.name == operation), operation)
    return f"{info.label}: {label}"
