"""A CRM that takes notes, once per key or not, and counts what was really done; tables that write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from connectors import store as connections
from jobs.tables import OutboxRow
from rules import store as rule_list
from tests.connectors.upstream import Asked, Reply, Upstream, as_json
from tests.rows.maildesk import MailDesk, a_table
from tickets.store import AnyRow
from tickets.tables import ContextFact
from tickets.values import JSON

ADD_NOTE: dict[str, JSON] = {
    "name": "add_note",
    "label": "Add a note",
    "kind": "write",
    "inputs": [
        {"name": "email", "type": "email", "bind": "customer.email"},
        {"name": "text", "type": "lines"},
        {"name": "amount", "type": "decimal", "required": False},
    ],
    "method": "POST",
    "path": "/notes",
    "body": {"email": "{email}", "text": "{text}", "amount": "{amount}"},
    "map": {"id": {"path": "id", "type": "text"}},
}
FIND: dict[str, JSON] = {
    "name": "find_customer",
    "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
    "path": "/customers",
    "query": {"email": "{email}"},
    "map": {"id": {"path": "id", "type": "text"}, "tier": {"path": "tier", "type": "text"}},
}
NOTE = {"change": "crm.add_note", "inputs": {"text": "{{customer.name}}: {{ticket.subject}}"}}


@dataclass
class Crm:
    """Carries out each key once when it is `careful`; else as often as it is asked. `before` and `after` may answer."""

    careful: bool = True
    done: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    after: Reply | None = None
    before: Reply | None = None

    def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.method == "GET":
            return as_json({"id": "c7", "tier": "gold"})
        if self.before is not None:
            return self.before
        key = asked.headers["idempotency-key"]
        keys = [one for one, _ in self.done]
        if not self.careful or key not in keys:
            self.done.append((key, asked.json))
        return self.after or as_json({"id": f"n{len(self.done)}"})


def connect(mail_desk: MailDesk, server: Upstream, *, careful: bool = True, allow_write: bool = True) -> None:
    """The connection `crm` to this server; `careful`: it promises to carry out a key once."""
    config: dict[str, JSON] = {"base_url": server.url, "operations": [FIND, ADD_NOTE], "idempotent": careful}
    with mail_desk.services.db.write() as connection:
        connections.save_connection(
            connection,
            mail_desk.services.box,
            name="crm",
            label="Our CRM",
            kind="http_json",
            config=config,
            now=mail_desk.desk.clock.now(),
            allow_write=allow_write,
        )
        rule_list.bump(connection)


def noting(params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A table that notes every new ticket in the CRM, unless told otherwise."""
    return a_table("change_system", params or NOTE, **more)


def cards(mail_desk: MailDesk, item_id: int) -> dict[str, tuple[Any, str, str]]:
    """The item's cards by key: data, error, and the code of who wrote it."""
    with mail_desk.services.db.read() as connection:
        rows = connection.execute(select(ContextFact).where(ContextFact.item_id == item_id, ContextFact.current))
        return {one.key: (one.body["data"], one.error, one.cause["code"]) for one in rows}


def kept(mail_desk: MailDesk) -> list[AnyRow]:
    with mail_desk.services.db.read() as connection:
        return list(connection.execute(select(OutboxRow).order_by(OutboxRow.id)).all())
