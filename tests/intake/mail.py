"""Mail for tests, as bytes, and what the database says about it afterwards."""

from __future__ import annotations

from email.message import EmailMessage
from itertools import count
from typing import Any

from sqlalchemy import func, select

from jobs.intake import Ingested, ingest
from tests.web.desk import Desk
from tickets.events import Event
from tickets.store import later_events
from tickets.tables import EventRow, InboundMail, Message, WorkItem

MAILBOX = "acme_support"
ADDRESS = "support@acme.test"
SECRET = "a-mailbox-secret-nobody-guesses"
CAMILLE = "Camille Laurent <camille@customer.test>"
_NUMBERS = count(1)


def a_mail(
    text: str = "Hello, where is my order? Thank you.",
    *,
    sender: str = CAMILLE,
    subject: str = "Where is my order?",
    message_id: str | None = None,
    to: str = ADDRESS,
    **headers: str,
) -> bytes:
    """A plain mail; further headers by name with _ for -."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{message_id or f'mail-{next(_NUMBERS)}@customer.test'}>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()


def take(desk: Desk, raw: bytes) -> Ingested:
    return ingest(desk.services, MAILBOX, raw)


def messages(desk: Desk, item_id: int) -> list[Any]:
    """The ticket's messages, oldest first."""
    with desk.services.db.read() as connection:
        return list(
            connection.execute(select(Message.__table__).where(Message.item_id == item_id).order_by(Message.id))
        )


def events(desk: Desk, item_id: int) -> list[Event]:
    """The ticket's events, oldest first."""
    with desk.services.db.read() as connection:
        return later_events(connection, item_id, 0)


def kept(desk: Desk) -> list[Any]:
    """The rows of mail handed in, oldest first."""
    with desk.services.db.read() as connection:
        return list(connection.execute(select(InboundMail.__table__).order_by(InboundMail.id)))


def how_many(desk: Desk) -> dict[str, int]:
    """Counts of what a mail may leave behind."""
    with desk.services.db.read() as connection:
        return {
            table.__tablename__: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (WorkItem, Message, EventRow, InboundMail)
        }
