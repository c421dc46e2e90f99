"""The small back office: CRM, ERP and billing, each a real HTTP server on its own loopback port, and one for control.

A system that is stopped closes its listening socket, so connectors meet a refused connection and not a pretence of
one. Billing speaks as much of Stripe's API as a helpdesk asks.
"""

from __future__ import annotations

import base64
import calendar
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jobs.demo.errors import PortsTaken
from jobs.demo.places import Places, SystemName
from jobs.demo.world import Books, Charge, Customer, Invoice, Order, TooManyCustomers, customers

log = logging.getLogger(__name__)

#: Seconds a slow system takes to answer: more than connectors wait for a first byte.
SLOW_S = 8.0
#: Requests one system answers at the same time; more are hung up on.
AT_ONCE = 32
#: Seconds a silent client may hold a connection, and the largest body taken, in bytes.
CLIENT_TIMEOUT_S = 15
MAX_BODY_BYTES = 200_000
#: Notes that the CRM keeps, until it is started anew.
MAX_NOTES = 10_000
#: Rows of one page, as Stripe has it.
PAGE_ROWS = 100


class Mood(StrEnum):
    """How a system behaves."""

    UP = "up"
    SLOW = "slow"  # answers after SLOW_S
    HTML_ERROR = "html-error"  # a proxy's HTML page with status 502
    STOPPED = "stopped"  # nobody listens


@dataclass(frozen=True)
class Asked:
    """One request: path, the first value of each query name, headers in lower case, the body."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    status: int
    body: Mapping[str, Any] | None = None
    html: str = ""


def said(body: Mapping[str, Any]) -> Said:
    return Said(200, body)


class System:
    """One of the three: who may ask, and what it answers."""

    name: SystemName

    def __init__(self, books: Books, key: str) -> None:
        self.books = books
        self.key = key

    def admits(self, headers: Mapping[str, str]) -> bool:
        raise NotImplementedError

    def refuse(self) -> Said:
        return Said(401, {"error": "Wrong or missing key"})

    def answer(self, asked: Asked) -> Said:
        raise NotImplementedError


class Crm(System):
    """Who a customer is to us: tier, since when, language."""

    name = SystemName.CRM

    def __init__(self, books: Books, key: str) -> None:
        super().__init__(books, key)
        self.notes: dict[str, tuple[int, str, str]] = {}
        self._noting = threading.Lock()

    def admits(self, headers: Mapping[str, str]) -> bool:
        return _same(headers.get("authorization", ""), f"Bearer {self.key}")

    def answer(self, asked: Asked) -> Said:
        match asked.path:
            case "/api/ping":
                return said({"ok": True, "system": "crm"})
            case "/api/customers":
                found = self.books.by_email(asked.query.get("email", ""), self.name)
                return said({"customers": [] if found is None else [_crm_record(found)]})
            case "/api/notes" if asked.body:
                return self._note(asked)
        return Said(404, {"error": "There is nothing here"})

    def _note(self, asked: Asked) -> Said:
        """Keep a note on a customer; the same Idempotency-Key is one note, however often it comes."""
        key = asked.headers.get("idempotency-key", "")
        try:
            given = json.loads(asked.body)
            email, text = str(given["email"]), str(given["text"])
        except (ValueError, KeyError, TypeError):
            return Said(400, {"error": "A note has the email of its customer and a text"})
        if not key or self.books.by_email(email, self.name) is None:
            return Said(422, {"error": "Nobody here has this address" if key else "A note needs an Idempotency-Key"})
        with self._noting:
            if key not in self.notes and len(self.notes) >= MAX_NOTES:
                return Said(409, {"error": f"There is room for {MAX_NOTES} notes"})
            number, kept_email, kept_text = self.notes.setdefault(key, (len(self.notes) + 1, email, text))
        return said({"note": {"id": f"N-{number}", "email": kept_email, "text": kept_text}})


class Erp(System):
    """What a customer ordered and owes."""

    name = SystemName.ERP

    def admits(self, headers: Mapping[str, str]) -> bool:
        return _same(headers.get("x-api-key", ""), self.key)

    def answer(self, asked: Asked) -> Said:
        found = self.books.by_email(asked.query.get("email", ""), self.name)
        match asked.path.split("/"):
            case ["", "api", "ping"]:
                return said({"ok": True, "system": "erp"})
            case ["", "api", "parties"]:
                return said({"parties": [] if found is None else [_party(found)]})
            case ["", "api", "orders"]:
                return said({"orders": [] if found is None else [_order(one, found.language) for one in found.orders]})
            case ["", "api", "invoices"]:
                return said({"invoices": [] if found is None else [_invoice(one) for one in found.invoices]})
            case ["", "api", "orders", number]:
                order = self.books.by_order(number)
                return Said(404, {"error": "no such order"}) if order is None else said(_order(order[1], "en"))
        return Said(404, {"error": "There is nothing here"})


class Billing(System):
    """Payments and subscriptions, in the words of Stripe's API."""

    name = SystemName.BILLING

    def admits(self, headers: Mapping[str, str]) -> bool:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(value, self.key)
        try:
            user = base64.b64decode(value, validate=True).decode().partition(":")[0]
        except ValueError:
            return False
        return scheme.lower() == "basic" and _same(user, self.key)

    def refuse(self) -> Said:
        return Said(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}})

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/v1/customers":
            return self._customers(asked.query)
        owner = self.books.by_billing_id(asked.query.get("customer", ""))
        match asked.path:
            case "/v1/charges":
                # The newest first, as Stripe lists them.
                charges = sorted(owner.charges if owner else (), key=lambda one: one.created, reverse=True)
                return _listed([_charge(one) for one in charges], asked)
            case "/v1/subscriptions":
                return _listed([_subscription(owner)] if owner is not None and owner.plan else [], asked)
            case "/v1/invoices":
                invoices = reversed(owner.invoices if owner else ())
                return _listed([_stripe_invoice(one) for one in invoices], asked)
        message = f"Unrecognized request URL (GET: {asked.path})."
        return Said(404, {"error": {"type": "invalid_request_error", "message": message}})

    def _customers(self, query: Mapping[str, str]) -> Said:
        if "email" in query:
            found = self.books.by_email(query["email"], self.name)
            known = [] if found is None else [found]
        else:
            known = [one for one in self.books.all() if self.name in one.systems]
        rows = [_stripe_customer(one, billing_id) for one in known for billing_id in one.billing_ids]
        return _listed(rows, Asked("/v1/customers", query, {}, b""))


class Server:
    """One system on its port, in one of four moods."""

    def __init__(self, system: System, port: int, *, slow_s: float = SLOW_S) -> None:
        self.system = system
        self.port = port
        self.slow_s = slow_s
        self.mood = Mood.STOPPED
        self._lock = threading.Lock()
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    def set(self, mood: Mood) -> None:
        """Behave like this from the next request on. Raises `OSError` when the port cannot be had again."""
        with self._lock:
            if mood is Mood.STOPPED:
                self._close()
            elif self._http is None:
                self._http = _Http(self.port, self._reply)
                self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
                self._thread.start()
            self.mood = mood
        log.info("backoffice.mood", extra={"system": self.system.name, "mood": mood})

    def _close(self) -> None:
        if self._http is None:
            return
        self._http.shutdown()
        self._http.server_close()
        self._http = None
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _reply(self, _method: str, asked: Asked) -> Said:
        if self.mood is Mood.HTML_ERROR:
            return Said(502, html="<html><body><h1>502 Bad Gateway</h1><p>The upstream is being serviced.</p></body>")
        if self.mood is Mood.SLOW:
            time.sleep(self.slow_s)
        if not self.system.admits(asked.headers):
            return self.system.refuse()
        return self.system.answer(asked)


class BackOffice:
    """All three systems and the control port."""

    def __init__(self, places: Places, *, slow_s: float = SLOW_S) -> None:
        self.places = places
        self.books = Books([*customers(places.seed, places.began), *_added(places)])
        made: tuple[System, ...] = (
            Crm(self.books, places.keys[SystemName.CRM]),
            Erp(self.books, places.keys[SystemName.ERP]),
            Billing(self.books, places.keys[SystemName.BILLING]),
        )
        self.servers = {one.name: Server(one, places.ports[one.name], slow_s=slow_s) for one in made}
        self._writing = threading.Lock()
        self._control: _Http | None = None

    def start(self, *, control: bool = True) -> None:
        """Open every port. Raises `PortsTaken`; what was opened is closed again."""
        try:
            for server in self.servers.values():
                server.set(Mood.UP)
            if control:
                self._control = _Http(self.places.control_port, self._command)
                threading.Thread(target=self._control.serve_forever, args=(0.05,), daemon=True).start()
        except OSError as error:
            self.stop()
            taken = ", ".join(str(port) for port in (*self.places.ports.values(), self.places.control_port))
            raise PortsTaken(
                f"The back office needs the ports {taken} on 127.0.0.1 and cannot have one of them "
                f"({error.strerror}). Nothing was started. Stop the program that has it, or write other ports into "
                f"{self.places.folder / 'backoffice.json'}, reset the demo and load it anew."
            ) from error

    def stop(self) -> None:
        for server in self.servers.values():
            server.set(Mood.STOPPED)
        if self._control is not None:
            self._control.shutdown()
            self._control.server_close()
            self._control = None

    def add(self, customer: Customer) -> None:
        """Know one more customer, also after a restart. Raises `TooManyCustomers`."""
        with self._writing:
            self.books.add(customer)
            with self.places.added.open("a", encoding="utf-8") as file:
                file.write(json.dumps(customer.to_json()) + "\n")

    def _command(self, method: str, asked: Asked) -> Said:
        if not _same(asked.headers.get("authorization", ""), f"Bearer {self.places.token}"):
            return Said(401, {"error": "Wrong or missing token"})
        match method, asked.path.split("/"):
            case "GET", ["", "systems"]:
                return said({name.value: server.mood.value for name, server in self.servers.items()})
            case "POST", ["", "systems", name, mood]:
                if name not in list(SystemName) or mood not in list(Mood):
                    return Said(404, {"error": f"There is no system {name!r}, or it cannot be {mood!r}"})
                try:
                    self.servers[SystemName(name)].set(Mood(mood))
                except OSError as error:
                    return Said(409, {"error": f"{name} cannot be started: {error}"})
                return said({name: mood})
            case "POST", ["", "customers"]:
                try:
                    self.add(Customer.from_json(json.loads(asked.body)))
                except TooManyCustomers as error:
                    return Said(409, {"error": str(error)})
                except (ValueError, KeyError, TypeError) as error:
                    return Said(400, {"error": f"That is no customer: {error!r}"})
                return said({"added": True})
        return Said(404, {"error": "There is nothing here"})


def _added(places: Places) -> list[Customer]:
    if not places.added.exists():
        return []
    with places.added.open(encoding="utf-8") as file:
        return [Customer.from_json(json.loads(line)) for line in file if line.strip()]


# What each system writes ------------------------------------------------------------------------------------------


def _crm_record(one: Customer) -> dict[str, Any]:
    return {
        "id": f"C-{one.number}",
        "name": one.name,
        "email": one.email,
        "tier": one.tier,
        "since": f"{one.since}T09:00:00+00:00",
        "language": one.language,
        "city": one.city,
        "country": one.country,
        "phone": one.phone,
        # Internal, and never asked for: connectors keep what their allow-list names.
        "notes": "sales call notes",
    }


def _party(one: Customer) -> dict[str, Any]:
    return {
        "id": str(one.number),
        "code": f"P{one.number}",
        "name": one.name,
        "email": one.email,
        "receivable": one.receivable,
        "currency": one.currency,
        "credit_hold": one.credit_hold,
        "country": one.country,
        "orders": len(one.orders),
    }


def _order(one: Order, language: str) -> dict[str, Any]:
    return {
        "id": one.number.removeprefix("LH-"),
        "number": one.number,
        "date": one.date,
        "state": one.state,
        "total": one.total,
        "currency": one.currency,
        "product": one.product[language],
        "carrier": one.carrier or None,
        "tracking": one.tracking or None,
    }


def _invoice(one: Invoice) -> dict[str, Any]:
    return {
        "id": one.number,
        "number": one.number,
        "date": one.date,
        "state": one.state,
        "total": one.total,
        "due": one.due,
        "currency": one.currency,
        "order": one.order,
    }


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))


def _stripe_customer(one: Customer, billing_id: str) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "customer",
        "name": one.name,
        "email": one.email,
        "phone": one.phone,
        "currency": one.currency.lower(),
        "balance": 0,
        "delinquent": one.credit_hold,
        "created": min([charge.created for charge in one.charges], default=one.plan_since or 1_700_000_000),
    }


def _charge(one: Charge) -> dict[str, Any]:
    return {
        "id": one.id,
        "object": "charge",
        "amount": _minor(one.amount),
        "amount_refunded": _minor(one.refunded),
        "currency": one.currency.lower(),
        "created": one.created,
        "status": one.status,
        "description": one.description,
        "metadata": {"order": one.order},
    }


def _subscription(one: Customer) -> dict[str, Any]:
    price = {"unit_amount": 490, "currency": one.currency.lower(), "nickname": one.plan, "id": "price_care"}
    return {
        "id": f"sub_{one.number}",
        "object": "subscription",
        "status": "past_due" if one.credit_hold else "active",
        "created": one.plan_since,
        "cancel_at_period_end": False,
        "items": {
            "data": [
                {
                    "quantity": 1,
                    "current_period_end": one.plan_since + 13 * 30 * 86_400,
                    "price": {**price, "recurring": {"interval": "month"}},
                }
            ]
        },
    }


def _stripe_invoice(one: Invoice) -> dict[str, Any]:
    return {
        "id": f"in_{one.number}",
        "object": "invoice",
        "number": one.number,
        "status": one.state,
        "total": _minor(one.total),
        "amount_remaining": _minor(one.due),
        "currency": one.currency.lower(),
        "created": calendar.timegm(time.strptime(one.date, "%Y-%m-%d")),
        "metadata": {"order": one.order},
    }


def _listed(rows: Sequence[Mapping[str, Any]], asked: Asked) -> Said:
    after = asked.query.get("starting_after", "")
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    try:
        limit = min(max(int(asked.query.get("limit", "10")), 1), PAGE_ROWS)
    except ValueError:
        return Said(400, {"error": {"type": "invalid_request_error", "message": "Invalid integer: limit"}})
    page = list(rows[start : start + limit])
    more = len(rows) > start + limit
    return said({"object": "list", "url": asked.path, "has_more": more, "data": page})


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


# HTTP -------------------------------------------------------------------------------------------------------------


class _Http(ThreadingHTTPServer):
    """A loopback server that answers at most AT_ONCE requests at a time."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, reply: Callable[[str, Asked], Said]) -> None:
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(("127.0.0.1", port), _handler(reply))

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hung up is no event; anything else is a bug of ours and belongs in the log.
        log.debug("backoffice.client_gone", exc_info=True)


def _handler(reply: Callable[[str, Asked], Said]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S
        server_version = "BackOffice/1"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("content-length", "0"))
            except ValueError:
                length = -1
            if not 0 <= length <= MAX_BODY_BYTES:
                self.send_error(413)
                return
            self._answer(self.rfile.read(length))

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=50).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = reply(self.command, Asked(parts.path, query, headers, body))
            html = answer.body is None
            data = answer.html.encode() if html else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/html; charset=utf-8" if html else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    return Handler
