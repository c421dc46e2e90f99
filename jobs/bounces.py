"""Mail of ours that came back: which row of the outbox it was, what is noted, who is told, and sending it again.

A report is a stranger's mail, and our Message-IDs can be guessed. It counts only where it names the recipient of that
very row, too. Nothing is sent because of a report: who is told is told by the bell, so that no bounce begins another.
Where the address takes no mail at all, what is written by itself is held back from then on: servers that are written to
in vain again and again soon believe nothing of ours. A person says that the address is well, or sends there again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from connectors.channels.email import ParsedMail
from jobs.recipients import assignees, members, who_may_see
from jobs.tables import HeldAddress, OutboxRow
from tickets import people, store
from tickets.db import upsert
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.item import Item
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import History, Message
from tickets.values import JSON

log = logging.getLogger(__name__)

#: The status of a row whose mail was taken in, and came back.
BOUNCED = "bounced"
#: What history calls a mail that came back, or was sent again elsewhere. It is no field.
FIELD = "mail"
CAUSE = "E-mail"
#: Characters kept of why it came back.
REASON_CHARS = 300
#: The kinds that may be sent again to another address; a way to sign in is for one address alone.
READDRESSED = ("email", "template")
NO_REASON = "the other mail server did not say why"

_MESSAGE = re.compile(r"t\d{1,15}\.m(\d{1,15})@[^\s@]+")
_ROW = re.compile(r"(?:t\d{1,15}\.)?o(\d{1,15})@[^\s@]+")
_PORTAL = re.compile(r"portal\.([a-z0-9_.]{1,150})@[^\s@]+")


def sent_row(connection: Connection, mail: ParsedMail) -> AnyRow | None:
    """The row of the outbox that this report is about; None for no report of a failure, and for none of ours."""
    if mail.returned is None:
        return None
    for reference in mail.references:
        which = _of_reference(reference)
        if which is None:
            continue
        row = connection.execute(
            select(OutboxRow.id, OutboxRow.kind, OutboxRow.item_id, OutboxRow.recipient, OutboxRow.payload).where(
                which, OutboxRow.status == "sent"
            )
        ).one_or_none()
        if row is not None and row.recipient.lower() in mail.returned.addresses:
            return row
    return None


def _of_reference(reference: str) -> ColumnElement[bool] | None:
    if found := _MESSAGE.fullmatch(reference):
        return OutboxRow.key == f"message:{found[1]}"
    if found := _ROW.fullmatch(reference):
        return OutboxRow.id == int(found[1]) if int(found[1]) < 2**31 else None
    if found := _PORTAL.fullmatch(reference):
        return OutboxRow.key == found[1].replace(".", ":")
    return None


def came_back(connection: Connection, row: AnyRow, mail: ParsedMail, event_id: int | None, now: datetime) -> None:
    """Mark the row, once, with the reason; note it on its item beside `event_id`; ring the bells of who should know."""
    assert mail.returned is not None
    reason = mail.returned.reason[:REASON_CHARS] or NO_REASON
    marked = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == row.id, OutboxRow.status == "sent")
        .values(status=BOUNCED, last_error=f"it came back: {reason}")
    )
    if marked.rowcount != 1:
        return
    log.warning("outbox.bounced", extra={"outbox": row.id, "item": row.item_id})
    if mail.returned.no_such_address:
        hold(connection, row.recipient, reason, now)
    if row.item_id is None:
        return
    if event_id is not None:
        told = {"kind": row.kind, "to": row.recipient, "reason": reason}
        cause = Cause("system", label=CAUSE)
        store.not_done(
            connection, row.item_id, event_id, field=FIELD, value=told, cause=cause, outcome=BOUNCED, now=now
        )
    store.notify(
        connection,
        [one.key for one in who_may_see(connection, _told(connection, row), row.item_id)],
        row.item_id,
        f"The e-mail to {row.recipient} came back: {reason}",
        cause=Cause("system", label=CAUSE),
        key=f"bounced:{row.id}:{now.timestamp():.0f}",
        now=now,
    )


def _told(connection: Connection, row: AnyRow) -> list[str]:
    """Who wrote it and who has the ticket; where nobody has it, its team."""
    item = store.read_item(connection, row.item_id)
    writer = connection.execute(
        select(Message.author_user).where(Message.id == row.payload.get("message_id", 0), ~Message.automatic)
    ).scalar_one_or_none()
    found = [*([writer] if writer else ()), *assignees(item)]
    return found or members(connection, [str(item.state.get("team") or "")])


def hold(connection: Connection, address: str, reason: str, now: datetime) -> None:
    """Send nothing to this address by itself any more, until `well`."""
    values = {"reason": reason, "since": now}
    connection.execute(
        upsert(connection, HeldAddress)
        .values(address=address.lower(), **values)
        .on_conflict_do_update(index_elements=["address"], set_=values)
    )


def held(connection: Connection, addresses: Iterable[str]) -> dict[str, str]:
    """Which of these addresses get nothing that is written by itself, in lower case, each with why."""
    wanted = {one.lower() for one in addresses}
    rows = select(HeldAddress.address, HeldAddress.reason).where(HeldAddress.address.in_(wanted))
    return {row.address: row.reason for row in connection.execute(rows)} if wanted else {}


def goes_nowhere(address: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether this address of a row is one of those."""
    return func.lower(address).in_(select(HeldAddress.address))


def well(connection: Connection, address: str) -> bool:
    """Mail goes to this address again; whether it was held back."""
    return connection.execute(delete(HeldAddress).where(HeldAddress.address == address.lower())).rowcount == 1


def say_well(connection: Connection, viewer: Viewer, item_id: int, address: str, now: datetime) -> bool:
    """As `well`, because this person says so on this item, whose history keeps it. Raises `ItemNotFound`."""
    item = store.read_item(connection, item_id, viewer=viewer, lock=True)
    if not well(connection, address):
        return False
    _note(connection, viewer, item, {"to": address}, {"to": address, "well": True}, outcome="well", now=now)
    return True


def send_again(connection: Connection, viewer: Viewer, row: AnyRow, to: str, *, keep: bool, now: datetime) -> None:
    """Give a mail that was not delivered to the outbox again, for the address `to`; `keep` corrects the customer's.

    `row` has id, kind, item_id, recipient and payload, and is locked by the caller's own update. Who sent it where
    stands in the item's history. An address that somebody else has stays theirs."""
    payload: dict[str, Any] = {**row.payload, "to": to}
    payload.pop("user", None)  # it is not that colleague's any more, who would have to see the ticket
    connection.execute(update(OutboxRow).where(OutboxRow.id == row.id).values(recipient=to, payload=payload))
    item = store.read_item(connection, row.item_id, viewer=viewer, lock=True)
    person = item.state.get("customer")
    kept = keep and isinstance(person, int) and people.correct_email(connection, person, row.recipient, to)
    if kept:
        well(connection, row.recipient)  # it is nobody's now, and erasing the person would not find it
    _note(connection, viewer, item, {"to": row.recipient}, {"to": to, "kept": kept}, outcome="again", now=now)


def _note(
    connection: Connection,
    viewer: Viewer,
    item: Item,
    before: dict[str, JSON],
    after: dict[str, JSON],
    *,
    outcome: str,
    now: datetime,
) -> None:
    """A line in the item's history about mail, and the event it stands beside."""
    written = store.change_item(
        connection,
        item,
        lines=(),
        actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
        now=now,
        kind=EventKind.CHANGED,
    )
    connection.execute(
        insert(History).values(
            item_id=item.id,
            event_id=written.event_id,
            field=FIELD,
            change={"before": before, "after": after},
            outcome=outcome,
            cause=Cause("person", label=viewer.name).to_json(),
            actor_name=viewer.name,
            at=now,
        )
    )
