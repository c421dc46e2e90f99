"""A desk whose mail goes to a real mail server, for tests of the rows about messages: pages in, mails out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from connectors.addresses import AddressCeiling
from connectors.gateway import Gateway
from jobs import outbox
from jobs.intake import Ingested, ingest
from jobs.services import Services
from jobs.tables import OutboxRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.jobs.sink import MailSink, a_mail_sink
from tests.web.desk import Desk, a_desk, sign_in
from tickets.tables import Mailbox, Message, Notification, Seen, WorkItem
from web import create_app

ADDRESS = "support@shop.example"


@dataclass
class MailDesk:
    """The desk, its web application and the mail server everything is sent to."""

    desk: Desk
    app: APIFlask
    sink: MailSink

    @property
    def services(self) -> Services:
        return self.desk.services

    def browser(self, key: str, *roles: str, name: str = "", teams: tuple[str, ...] = ()) -> FlaskClient:
        """A browser in which a new user with these roles is signed in."""
        email = self.desk.user(key, *(roles or ("agent",)), name=name, teams=teams)
        client = self.app.test_client()
        assert sign_in(client, email).status_code == 302
        return client

    def deliver(self) -> list[EmailMessage]:
        """Send what is due; the mails that arrived by it."""
        before = len(self.sink.taken)
        while outbox.deliver(self.services):
            pass
        return self.sink.taken[before:]

    def work(self) -> list[EmailMessage]:
        """Let the rules look, then send what is due."""
        self.desk.work()
        return self.deliver()

    def later(self, **span: float) -> list[EmailMessage]:
        """Time passes, and what is due by then is sent."""
        self.desk.clock.move(**span)
        return self.deliver()

    def receive(self, text: str, *, sender: str, to: str = ADDRESS, box: str = "shop", **headers: str) -> Ingested:
        """A mail comes in at the shop's address, or at another mailbox."""
        mail = EmailMessage()
        mail["From"], mail["To"] = sender, to
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        if "Message_ID" not in headers:
            mail["Message-ID"] = f"<{abs(hash((text, sender)))}@customer.test>"
        mail.set_content(text)
        done = ingest(self.services, box, mail.as_bytes())
        self.desk.work()
        return done

    def outbox(self) -> list[tuple[str, str, str]]:
        """Kind, status and reason of everything in the outbox, oldest first."""
        with self.services.db.read() as connection:
            rows = connection.execute(
                select(OutboxRow.kind, OutboxRow.status, OutboxRow.last_error).order_by(OutboxRow.id)
            )
            return [(row.kind, row.status, row.last_error) for row in rows]

    def said(self, item_id: int) -> list[tuple[str, str]]:
        """Author and text of the conversation."""
        with self.services.db.read() as connection:
            rows = connection.execute(
                select(Message.author_kind, Message.new_text).where(Message.item_id == item_id).order_by(Message.id)
            )
            return [(row.author_kind, row.new_text) for row in rows]

    def bells(self) -> list[tuple[str, str]]:
        with self.services.db.read() as connection:
            rows = connection.execute(select(Notification.user, Notification.text).order_by(Notification.id))
            return [(row.user, row.text) for row in rows]

    def customer_sees(self, item_id: int) -> None:
        """The customer looks at the conversation in the portal."""
        with self.services.db.write() as connection:
            person = connection.execute(select(WorkItem.customer).where(WorkItem.id == item_id)).scalar_one()
            for message in connection.execute(select(Message.id).where(Message.item_id == item_id)).scalars():
                connection.execute(
                    insert(Seen).values(message_id=message, who=f"person:{person}", at=self.desk.clock.now())
                )

    def set(self, item_id: int, **columns: object) -> None:
        with self.services.db.write() as connection:
            connection.execute(update(WorkItem).where(WorkItem.id == item_id).values(**columns))


@contextmanager
def a_mail_desk(url: str, data: Path, redis_url: str, *, ceiling: str = "") -> Iterator[MailDesk]:
    """`ceiling` is what connections may reach besides public addresses."""
    with a_mail_sink() as sink:
        desk = a_desk(url, data, redis_url)
        if ceiling:
            parts = desk.services
            allowed = AddressCeiling([ceiling], own_addresses=[])
            gateway = Gateway(parts.db, parts.redis, parts.box, allowed, now=parts.clock.now)
            desk = Desk(replace(parts, gateway=gateway), desk.clock)
        chosen = desk.services.settings.model_copy(
            update={
                "smtp_url": sink.url,
                "mail_from": "Acme Support <help@shop.example>",
                "public_url": "https://desk.shop.example",
            }
        )
        desk = Desk(replace(desk.services, settings=chosen), desk.clock)
        with desk.services.db.write() as connection:
            connection.execute(insert(Mailbox).values(key="shop", address=ADDRESS, secret_sha256="x" * 64))
        app = create_app(desk.services)
        app.testing = True
        try:
            yield MailDesk(desk, app, sink)
        finally:
            desk.services.close()


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def recipient(mail: EmailMessage) -> str:
    return parseaddr(mail["To"])[1]


def a_table(do: str, params: dict[str, Any], *, on: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A table with one row that does one thing, whenever a ticket is created unless told otherwise."""
    return {
        "name": f"Tests {do}",
        "kind": "ticket",
        "enabled": True,
        "triggers": [on or {"on": "created"}],
        "hit": "first",
        "wait_s": 0,
        "columns": [{"id": "c1", "field": "ticket.priority", "op": "is"}],
        "steps": [{"id": "s1", "do": do}],
        "rows": [{"id": "r1", "if": more.pop("when", {}), "then": {"s1": params}}],
        **more,
    }


HELLO: dict[str, Any] = {
    "texts": {
        "en": {"subject": "About {{ticket.subject}}", "body": "Hello, see {{ticket.id}}."},
        "fr": {"subject": "À propos de {{ticket.subject}}", "body": "Bonjour, voir {{ticket.id}}."},
    }
}


def template(mail_desk: MailDesk, content: dict[str, Any] = HELLO, name: str = "Hello") -> str:
    """Publish a template; its code."""
    with mail_desk.services.db.write() as connection:
        now = mail_desk.desk.clock.now()
        code = rule_list.create(connection, EntryKind.TEMPLATE, name, content, author="ana", now=now)
        rule_list.publish(connection, code, author="ana", note="", seen=1, now=now)
    return code


def row_id(mail_desk: MailDesk) -> int:
    """The number of the newest reply in the outbox."""
    with mail_desk.services.db.read() as connection:
        return connection.execute(
            select(OutboxRow.id).where(OutboxRow.kind == "reply").order_by(OutboxRow.id.desc()).limit(1)
        ).scalar_one()


#: The desk's clock stands at Saturday, 21 November 2026, 09:31 UTC, which is 10:31 in Paris.
WINDOW: dict[str, Any] = {
    "text": "We received it.",
    "approval": False,
    "days": ["mon", "tue"],
    "window_from": "09:00",
    "window_until": "17:00",
    "zone": "Europe/Paris",
}
