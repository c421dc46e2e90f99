"""The desk itself: teams, people, fields, mailbox, connections, templates, scripts and tables.

Tables, templates and scripts are the files of docs/examples, so that what people read there is what runs here.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from connectors.secrets import SecretBox
from connectors.store import save_connection
from jobs import live
from jobs.demo.places import Places, SystemName
from rules import files
from rules import store as rule_list
from rules.errors import TableInvalid
from rules.parse import problems
from rules.store import EntryKind, EntryRow
from rules.templates import text_problems
from tickets.item import FieldType, ItemKind
from tickets.tables import Brand, CustomField, Location, Mailbox, Team, TeamMember, User, WorkItem
from tickets.values import JSON

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"

MAILBOX = "support"
MAILBOX_ADDRESS = "support@lumen.example"
MANAGER, DEVELOPER, ADMIN = "ana", "dev", "admin"


@dataclass(frozen=True)
class Colleague:
    """Somebody who works at the demo company. `answers` are the languages they write to customers in."""

    key: str
    name: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    answers: tuple[str, ...]
    language: str
    zone: str

    @property
    def email(self) -> str:
        return f"{self.key}@desk.example"


COLLEAGUES: Sequence[Colleague] = (
    Colleague(MANAGER, "Ana Ionescu", ("manager", "agent"), ("first_line", "billing"), (), "en", "Europe/Bucharest"),
    Colleague(DEVELOPER, "David Nowicki", ("developer",), (), (), "en", "Europe/Warsaw"),
    Colleague(ADMIN, "Alex Morgan", ("admin",), ("first_line",), (), "en", "Europe/London"),
    Colleague("lucie", "Lucie Bernard", ("agent",), ("first_line", "billing"), ("fr",), "fr", "Europe/Paris"),
    Colleague("marek", "Marek Wójcik", ("agent",), ("first_line", "logistics"), ("pl",), "pl", "Europe/Warsaw"),
    Colleague(
        "ioana", "Ioana Dumitru", ("agent",), ("billing", "logistics", "first_line"), ("ro",), "ro", "Europe/Bucharest"
    ),
    Colleague("sam", "Sam Whitfield", ("agent",), ("logistics", "first_line"), ("en",), "en", "Europe/London"),
    Colleague("nadia", "Nadia Rahmani", ("agent",), ("billing", "logistics"), ("en", "fr"), "fr", "Europe/Paris"),
    Colleague("helen", "Helen Marsh", ("agent",), ("hr",), ("en", "fr", "pl", "ro"), "en", "Europe/London"),
)
TEAMS: Mapping[str, tuple[str, bool]] = {
    "first_line": ("First line", False),
    "billing": ("Billing", False),
    "logistics": ("Logistics", False),
    "hr": ("People and conduct", True),
}
BRANDS: Mapping[str, tuple[str, str]] = {
    "lumen": ("Lumen Home", "Europe/Paris"),
    "bramble": ("Bramble Outdoor", "Europe/Warsaw"),
}
LOCATIONS: Mapping[str, str] = {"paris": "Paris showroom", "krakow": "Kraków warehouse", "cluj": "Cluj service point"}
TOPICS: Mapping[str, str] = {
    "double_charge": "Paid twice",
    "invoice": "Invoices and refunds",
    "delivery": "Delivery",
    "return": "Returns",
    "product": "Product question",
    "account": "Account",
    "conduct": "Conduct of staff",
    "other": "Other",
}


def is_empty(connection: Connection) -> bool:
    """Whether nothing is in this desk yet that the demo could get in the way of."""
    kinds = (WorkItem.id, User.key, EntryRow.code)
    return all(
        connection.execute(select(func.count()).select_from(select(one).subquery())).scalar() == 0 for one in kinds
    )


def company(connection: Connection, *, password_hash: str, now: datetime) -> str:
    """Teams, people, brands, fields and the mailbox. Returns the mailbox's secret, which is stored as a hash only."""
    connection.execute(
        insert(Team), [{"key": key, "label": label, "restricted": closed} for key, (label, closed) in TEAMS.items()]
    )
    connection.execute(
        insert(Brand), [{"key": key, "label": label, "zone": zone} for key, (label, zone) in BRANDS.items()]
    )
    connection.execute(insert(Location), [{"key": key, "label": label} for key, label in LOCATIONS.items()])
    connection.execute(
        insert(User),
        [
            {
                "key": one.key,
                "name": one.name,
                "email": one.email,
                "password_hash": password_hash,
                "roles": list(one.roles),
                "brands": [],
                "locations": [],
                "language": one.language,
                "zone": one.zone,
                "active": True,
                "created_at": now,
            }
            for one in COLLEAGUES
        ],
    )
    connection.execute(
        insert(TeamMember), [{"team": team, "user": one.key} for one in COLLEAGUES for team in one.teams]
    )
    connection.execute(
        insert(CustomField).values(
            kind=ItemKind.TICKET, key="topic", label="Topic", type=FieldType.CHOICE, options=dict(TOPICS)
        )
    )
    secret = secrets.token_urlsafe(24)
    connection.execute(
        insert(Mailbox).values(
            key=MAILBOX,
            address=MAILBOX_ADDRESS,
            brand="lumen",
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            active=True,
        )
    )
    return secret


# Connections ------------------------------------------------------------------------------------------------------

_EMAIL: Mapping[str, JSON] = {
    "name": "email",
    "type": "email",
    "doc": "The customer's e-mail address",
    "bind": "customer.email",
}


def _text(path: str, label: str, type: str = "text") -> dict[str, JSON]:
    return {"path": path, "type": type, "label": label}


CRM_OPERATIONS: Sequence[Mapping[str, JSON]] = (
    {
        "name": "find_customer",
        "label": "Find the customer",
        "doc": "Who this is to us: tier, since when, where.",
        "inputs": [_EMAIL],
        "path": "/api/customers",
        "query": {"email": "{email}"},
        "select": "customers",
        "map": {
            "id": _text("id", "Id"),
            "name": _text("name", "Name"),
            "email": _text("email", "E-mail"),
            "tier": _text("tier", "Tier"),
            "since": _text("since", "Customer since", "time"),
            "city": _text("city", "City"),
            "country": _text("country", "Country"),
        },
        "cache_s": 3600,
    },
    {
        "name": "add_note",
        "label": "Add a note",
        "doc": "A note on the customer, for whoever looks at them in the CRM.",
        "kind": "write",
        "inputs": [_EMAIL, {"name": "text", "type": "lines", "doc": "What the note says"}],
        "method": "POST",
        "path": "/api/notes",
        "body": {"email": "{email}", "text": "{text}"},
        "select": "note",
        "map": {"id": _text("id", "Number"), "text": _text("text", "Text")},
    },
)
ERP_OPERATIONS: Sequence[Mapping[str, JSON]] = (
    {
        "name": "find_party",
        "label": "Find the party",
        "doc": "What the customer owes, and whether they are on credit hold.",
        "inputs": [_EMAIL],
        "path": "/api/parties",
        "query": {"email": "{email}"},
        "select": "parties",
        "map": {
            "id": _text("id", "Id"),
            "code": _text("code", "Code"),
            "name": _text("name", "Name"),
            "receivable": _text("receivable", "Open balance", "money"),
            "currency": _text("currency", "Currency"),
            "credit_hold": _text("credit_hold", "Credit hold", "bool"),
            "orders": _text("orders", "Orders", "number"),
        },
        "cache_s": 600,
    },
    {
        "name": "list_orders",
        "label": "List orders",
        "doc": "Every order of the customer, with what became of it.",
        "inputs": [_EMAIL],
        "path": "/api/orders",
        "query": {"email": "{email}"},
        "select": "orders",
        "match": "list",
        "map": {
            "id": _text("id", "Id"),
            "number": _text("number", "Number"),
            "date": _text("date", "Date", "date"),
            "state": _text("state", "State"),
            "total": _text("total", "Total", "money"),
            "currency": _text("currency", "Currency"),
            "product": _text("product", "Product"),
            "carrier": _text("carrier", "Carrier"),
            "tracking": _text("tracking", "Tracking number"),
        },
        "cache_s": 300,
    },
    {
        "name": "list_invoices",
        "label": "List invoices",
        "inputs": [_EMAIL],
        "path": "/api/invoices",
        "query": {"email": "{email}"},
        "select": "invoices",
        "match": "list",
        "map": {
            "id": _text("id", "Id"),
            "number": _text("number", "Number"),
            "date": _text("date", "Date", "date"),
            "state": _text("state", "State"),
            "total": _text("total", "Total", "money"),
            "due": _text("due", "To pay", "money"),
            "currency": _text("currency", "Currency"),
            "order": _text("order", "Order"),
        },
        "cache_s": 300,
    },
    {
        "name": "find_order",
        "label": "Find an order",
        "inputs": [{"name": "number", "doc": "The order's number, e.g. LH-27007"}],
        "path": "/api/orders/{number}",
        "map": {
            "number": _text("number", "Number"),
            "date": _text("date", "Date", "date"),
            "state": _text("state", "State"),
            "total": _text("total", "Total", "money"),
            "currency": _text("currency", "Currency"),
            "carrier": _text("carrier", "Carrier"),
            "tracking": _text("tracking", "Tracking number"),
        },
        "cache_s": 300,
    },
)


def connections(connection: Connection, box: SecretBox, places: Places, *, now: datetime) -> None:
    """The three connections, each to its system of the back office. Those that exist get the present keys."""
    crm: dict[str, JSON] = {
        "base_url": places.url(SystemName.CRM),
        "auth": "bearer",
        "secret": places.keys[SystemName.CRM],
        "test_path": "/api/ping",
        "idempotent": True,
        "operations": list(CRM_OPERATIONS),
        "calls_per_minute": 6000,
    }
    erp: dict[str, JSON] = {
        "base_url": places.url(SystemName.ERP),
        "auth": "header",
        "header_name": "X-Api-Key",
        "secret": places.keys[SystemName.ERP],
        "test_path": "/api/ping",
        "operations": list(ERP_OPERATIONS),
        "calls_per_minute": 6000,
    }
    billing: dict[str, JSON] = {
        "base_url": places.url(SystemName.BILLING),
        "api_key": places.keys[SystemName.BILLING],
        "calls_per_minute": 6000,
    }
    for name, kind, label, config in (
        (SystemName.CRM, "http_json", "CRM", crm),
        (SystemName.ERP, "http_json", "ERP", erp),
        (SystemName.BILLING, "stripe", "Billing", billing),
    ):
        # Notes may be written into the CRM; everything else is only asked.
        writes = name is SystemName.CRM
        save_connection(connection, box, name=name, kind=kind, label=label, config=config, now=now, allow_write=writes)
    rule_list.bump(connection)


# Templates, scripts, tables ----------------------------------------------------------------------------------------


def templates() -> list[Mapping[str, Any]]:
    """The templates of docs/examples, as stored: {"code", "name", "texts"}."""
    found: list[Mapping[str, Any]] = files.load((EXAMPLES / "templates.yaml").read_text())["templates"]
    return found


def table(name: str) -> dict[str, Any]:
    """A table of docs/examples as data."""
    found: dict[str, Any] = files.load((EXAMPLES / f"{name}.yaml").read_text())
    return found


def script(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text()


TABLES = ("A17_published", "A01_triage", "A04_reply_reopens", "A03_priority_alert")
SCRIPTS: Mapping[str, tuple[str, str]] = {
    "S01": ("Find double charges", "double_charge"),
    "S02": ("Show the order", "order_status"),
}


def first_triage() -> dict[str, Any]:
    """A01 as it was first published: without credit hold, and without the rows that were added later."""
    data = table("A01_triage")
    kept = [row for row in data["rows"] if row["id"] not in ("gold-twice", "money-hold", "best")]
    return {
        **data,
        "columns": [column for column in data["columns"] if column["id"] not in ("hold", "tier")],
        "rows": kept,
    }


def first_order_status() -> str:
    """S02 as it was first published: it fails for orders that have not left yet, which a later version mends."""
    # The tracking number is None until the parcel is handed over.
    return script("order_status").replace('order.tracking or "none yet"', "order.tracking.upper()")


def rules(connection: Connection, *, now: datetime) -> None:
    """Publish every template and script, then the tables, which name both. Raises `TableInvalid`."""
    for one in templates():
        words = live.vocabulary(connection)
        wrong = [
            problem
            for text in one["texts"].values()
            for part in (text["subject"], text["body"])
            for problem in text_problems(part, words)
        ]
        assert not wrong, wrong
        _put(connection, EntryKind.TEMPLATE, one["code"], one["name"], one, author=MANAGER, now=now)
    for code, (name, file) in SCRIPTS.items():
        source = first_order_status() if code == "S02" else script(file)
        _put(connection, EntryKind.SCRIPT, code, name, {"source": source}, author=DEVELOPER, now=now)
    for name in TABLES:
        data = first_triage() if name == "A01_triage" else table(name)
        _checked(connection, data)
        _put(connection, EntryKind.TABLE, data["code"], data["name"], data, author=MANAGER, now=now)


def second_triage(connection: Connection, now: datetime) -> None:
    """A01 as it is today: the second version, published later."""
    data = table("A01_triage")
    _checked(connection, data)
    _publish(connection, "A01", data, author=MANAGER, note="Credit hold and gold customers first", now=now)


def second_order_status(connection: Connection, now: datetime) -> None:
    """S02 as it is today."""
    content = {"source": script("order_status")}
    note = "Orders that have not left yet have no tracking number"
    _publish(connection, "S02", content, author=DEVELOPER, note=note, now=now)


#: What was published while the tickets came in: (days before today, what).
LATER: Sequence[tuple[float, Callable[[Connection, datetime], None]]] = (
    (21.4, second_order_status),
    (16.6, second_triage),
)


#: Published when the month was played: what was solved then is not noted in the CRM now, and nothing that was answered
#: then waits for approval. Everything these name has to be published already.
AFTERWARDS = ("A18_note_in_crm", "A19_suggest_refund")


def afterwards(connection: Connection, now: datetime) -> None:
    """The tables that decide from now on, about what comes in after the month that was played."""
    for name in AFTERWARDS:
        data = table(name)
        _checked(connection, data)
        _put(connection, EntryKind.TABLE, data["code"], data["name"], data, author=MANAGER, now=now)


def _checked(connection: Connection, data: Mapping[str, Any]) -> None:
    wrong = problems(data, live.vocabulary(connection))
    if wrong:
        raise TableInvalid(wrong)


def _put(
    connection: Connection,
    kind: EntryKind,
    code: str,
    name: str,
    content: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    rule_list.create(connection, kind, name, content, author=author, now=now, code=code)
    rule_list.publish(connection, code, author=author, note="First version", seen=1, now=now)


def _publish(
    connection: Connection, code: str, content: Mapping[str, Any], *, author: str, note: str, now: datetime
) -> None:
    current = rule_list.entry(connection, code)
    draft = {**content, "code": code, "name": current.name}
    seen = rule_list.save_draft(connection, code, draft, author=author, seen=current.draft_count, now=now)
    rule_list.publish(connection, code, author=author, note=note, seen=seen, now=now)
