"""A gateway over a database of its own, with a clock the test moves; builders for connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from sqlalchemy import select

from connectors import store
from connectors.addresses import AddressCeiling
from connectors.gateway import Gateway
from connectors.secrets import SecretBox
from connectors.store import ConnectionInfo
from connectors.traffic import Traffic
from tests.connectors.upstream import Asked, Reply, as_json
from tickets.db import Database

LOOPBACK = ("127.0.0.0/8", "::1")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Desk:
    db: Database
    redis: Redis | None = None
    ceiling: AddressCeiling = field(default_factory=lambda: AddressCeiling(LOOPBACK))
    box: SecretBox = field(default_factory=lambda: SecretBox([SecretBox.generate_key()]))
    clock: Clock = field(default_factory=Clock)
    more: dict[str, Any] = field(default_factory=dict)
    breaker_failures: int = 5
    breaker_reset_s: float = 30.0

    def __post_init__(self) -> None:
        traffic = Traffic(
            self.redis, self.box, breaker_failures=self.breaker_failures, breaker_reset_s=self.breaker_reset_s
        )
        self.gateway = Gateway(
            self.db, self.redis, self.box, self.ceiling, now=self.clock, traffic=traffic, **self.more
        )

    def connect(self, name: str, kind: str, config: Mapping[str, Any], **more: Any) -> ConnectionInfo:
        with self.db.write() as db:
            return store.save_connection(db, self.box, name=name, kind=kind, config=config, now=self.clock.now, **more)

    def call(self, connection: str, operation: str, deadline_s: float = 60, **args: Any) -> Any:
        """The `Record`, whose data has whatever shape the operation gives it."""
        return self.gateway.call(connection, operation, args, deadline_s=deadline_s, cause="test")

    def audit(self) -> list[Any]:
        with self.db.read() as db:
            return list(db.execute(select(store.CallTable.__table__).order_by(store.CallTable.id)))

    def records(self) -> list[Any]:
        with self.db.read() as db:
            return list(db.execute(select(store.RecordTable.__table__).order_by(store.RecordTable.id)))

    def info(self, name: str) -> ConnectionInfo:
        with self.db.read() as db:
            return store.connection_named(db, name)


FIND = {
    "name": "find_customer",
    "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
    "path": "/customers",
    "query": {"email": "{email}"},
    "select": "items",
    "map": {
        "id": {"path": "id", "type": "text", "label": "Id"},
        "name": {"path": "full_name", "type": "text"},
        "email": {"path": "email", "type": "text"},
        "receivable": {"path": "balance.open", "type": "money"},
    },
    "cache_s": 600,
    "stale_s": 3600,
}


def http_json(url: str, *operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"base_url": url, "operations": list(operations) or [FIND], **more}


ADA = {"id": 7, "full_name": "Ada", "email": "ada@example.net", "balance": {"open": 64.90}}


def crm(asked: Asked) -> Reply:
    """One customer, whom everybody can find by her address."""
    return as_json({"items": [ADA] if asked.query.get("email") == "ada@example.net" else []})


def ask(desk: Desk, email: str = "ada@example.net", **more: Any) -> Any:
    """Ask the connection `crm` for a customer; the `Record`."""
    more = {"deadline_s": 60, "cause": "test", **more}
    return desk.gateway.call("crm", "find_customer", {"email": email}, **more)
