"""What leaves the house: rows written in the transaction that causes them, delivered after it, at least once.

Every row has one stable key; receivers use it (Message-ID, Idempotency-Key) to drop the copy that a crash between
sending and noting may cause.
"""

from __future__ import annotations

import logging
import secrets
import smtplib
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, func, select, update

from jobs.claims import claim
from jobs.services import Services
from jobs.tables import OutboxRow
from tickets import people
from tickets.db import upsert
from tickets.errors import PersonNotFound
from tickets.item import Item
from tickets.store import AnyRow
from tickets.tables import Message

log = logging.getLogger(__name__)

#: Deliveries one claim takes, seconds it may hold them, tries before the row is left as failed, longest pause.
CLAIM = 20
LEASE_S = 60
TRIES = 10
PAUSE_S = 3600
SMTP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    user: str
    password: str

    @classmethod
    def from_url(cls, url: str) -> MailServer:
        parts = urlsplit(url)
        return cls(
            parts.hostname or "127.0.0.1",
            parts.port or 25,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


def queue_message(connection: Connection, item: Item, message_id: int, now: datetime) -> None:
    """Queue a public message for the item's customer by e-mail, once per message. Nothing without an address."""
    person_id = item.state.get("customer")
    if not isinstance(person_id, int):
        return
    try:
        person = people.customer(connection, person_id)
    except PersonNotFound:
        return
    if not person.email:
        return
    connection.execute(
        upsert(connection, OutboxRow)
        .values(
            key=f"message:{message_id}",
            kind="email",
            item_id=item.id,
            payload={"message_id": message_id, "to": person.email, "name": person.name},
            status="due",
            due_at=now,
            tries=0,
            last_error="",
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )


def deliver(services: Services) -> int:
    """Send what is due. Returns how many were sent."""
    if not services.settings.smtp_url:
        return 0
    now = services.clock.now()
    token = secrets.token_hex(16)
    claimed = claim(
        services.db,
        OutboxRow,
        token=token,
        now=now,
        lease_s=LEASE_S,
        limit=CLAIM,
        values={"tries": OutboxRow.tries + 1},
        returning=(OutboxRow.id, OutboxRow.key, OutboxRow.payload, OutboxRow.tries, OutboxRow.item_id),
        only=(OutboxRow.status == "due",),
    )
    sent = 0
    for row in claimed:
        try:
            _send(services, row)
        except (OSError, smtplib.SMTPException) as error:
            _later(services, row, token, error)
        else:
            _note(services, row, token)
            sent += 1
    return sent


def _send(services: Services, row: AnyRow) -> None:
    with services.db.read() as connection:
        message = connection.execute(
            select(
                Message.id, Message.item_id, Message.subject, Message.text, Message.automatic, Message.created_at
            ).where(Message.id == row.payload["message_id"])
        ).one()
        references = list(
            connection.execute(
                select(Message.header_id)
                .where(Message.item_id == message.item_id, Message.header_id != "", Message.id < message.id)
                .order_by(Message.id.desc())
                .limit(10)
            ).scalars()
        )
    settings = services.settings
    mail = EmailMessage()
    mail["Message-ID"] = f"<{header_id(message.item_id, message.id, settings.mail_from)}>"
    mail["Date"] = format_datetime(message.created_at)
    mail["From"] = settings.mail_from
    mail["To"] = formataddr((row.payload["name"], row.payload["to"]))
    mail["Subject"] = " ".join(f"{message.subject} [#{message.item_id}]".split())
    if references:
        mail["In-Reply-To"] = f"<{references[0]}>"
        mail["References"] = " ".join(f"<{one}>" for one in reversed(references))
    if message.automatic:
        # RFC 3834: so that no other machine answers this one.
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.text)
    server = MailServer.from_url(settings.smtp_url)
    with smtplib.SMTP(server.host, server.port, timeout=SMTP_TIMEOUT_S) as smtp:
        if server.user:
            smtp.starttls()
            smtp.login(server.user, server.password)
        smtp.send_message(mail)


def header_id(item_id: int, message_id: int, mail_from: str) -> str:
    """The Message-ID our message has whenever it is sent: replies to it find the item again."""
    return f"t{item_id}.m{message_id}@{mail_from.rpartition('@')[2]}"


def _note(services: Services, row: AnyRow, token: str) -> None:
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(status="sent", sent_at=services.clock.now(), lease_until=None, token=None, last_error="")
        )
        connection.execute(
            update(Message)
            .where(Message.id == row.payload["message_id"], Message.header_id == "")
            .values(header_id=header_id(row.item_id, row.payload["message_id"], services.settings.mail_from))
        )


def _later(services: Services, row: AnyRow, token: str, error: Exception) -> None:
    pause_s = min(PAUSE_S, 15 * 2**row.tries)
    final = row.tries >= TRIES
    log.warning(
        "outbox.failed", extra={"outbox": row.id, "tries": row.tries, "final": final, "error": str(error)[:200]}
    )
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(
                status="failed" if final else "due",
                due_at=services.clock.now() + timedelta(seconds=pause_s),
                lease_until=None,
                token=None,
                last_error=f"{type(error).__name__}: {error}"[:500],
            )
        )


def waiting_unsent(connection: Connection) -> int:
    """How many messages wait to leave."""
    return connection.execute(select(func.count()).select_from(OutboxRow).where(OutboxRow.status == "due")).scalar_one()
