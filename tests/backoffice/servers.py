"""Running copies of the back office. Tests add generated customers through the systems' own APIs."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from run_tool.commands import die_with_parent
from tests.backoffice.build import DATABASE_NAME, HERE, BackOffice, trytond_conf
from tests.environment.ports import free_port

#: Longest a server may take to answer for the first time, in seconds.
START_TIMEOUT_S = 60
_FIRST = ("Ada", "Bogdan", "Chloé", "Dorota", "Emil", "Florin", "Grażyna", "Hélène", "Ioana", "Jakub")
_LAST = ("Achterberg", "Bălan", "Cieślak", "Dupont", "Ionescu", "Kowalczyk", "Lefèvre", "Moreau", "Nowak", "Popa")
_number = itertools.count(1)
_chance = random.Random()


@dataclass(frozen=True, slots=True)
class Person:
    """A generated customer: nobody's, and different in every run."""

    name: str
    email: str


def a_person() -> Person:
    first, last = _chance.choice(_FIRST), _chance.choice(_LAST)
    return Person(f"{first} {last}", f"customer.{next(_number)}.{_chance.randrange(10**6)}@example.net")


def an_amount() -> Decimal:
    """An amount between 1.00 and 999.99."""
    return Decimal(_chance.randrange(100, 100_000)).scaleb(-2)


class Server:
    """One process on one loopback port, which `stop` and `start` keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self._process is not None:
            return
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        ends = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            try:
                if self.answers():
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{type(self).__name__} did not start: {(self.folder / 'server.log').read_text()[-1500:]}")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None


class Tryton(Server):
    """A Tryton of its own with an empty company in euro, asked as its administrator."""

    database = DATABASE_NAME
    username = "admin"

    def __init__(self, office: BackOffice, folder: Path) -> None:
        super().__init__(folder)
        self.password = office.admin_password
        self._python = office.python
        shutil.copytree(office.tryton_folder, folder / "tryton")
        (folder / "trytond.conf").write_text(trytond_conf(folder / "tryton", self.port))
        self._http = requests.Session()
        self._http.trust_env = False
        self._context: dict[str, Any] = {}

    def command(self) -> list[str]:
        trytond = str(self._python.parent / "trytond")
        return [trytond, "-c", str(self.folder / "trytond.conf"), "-d", self.database]

    def answers(self) -> bool:
        return self._http.post(f"{self.url}/rpc/", json=_body("common.server.version"), timeout=2).status_code == 200

    def rpc(self, method: str, *params: Any) -> Any:
        """Call Tryton as its administrator, with typed JSON passed through as it is."""
        if "Authorization" not in self._http.headers:
            uid, session = self._post("common.db.login", self.username, {"password": self.password}, "en")[:2]
            token = base64.b64encode(f"{self.username}:{uid}:{session}".encode()).decode()
            self._http.headers["Authorization"] = f"Session {token}"
            self._context = self._post("model.res.user.get_preferences", True, {})
        return self._post(method, *params, self._context)

    def add_party(self, person: Person | None = None, *, name: str = "", email: str = "") -> Person:
        """A party with an e-mail address and a postal address."""
        person = person or a_person()
        person = Person(name or person.name, email or person.email)
        self.rpc(
            "model.party.party.create",
            [
                {
                    "name": person.name,
                    "addresses": [["create", [{"street": "1 Test Street", "city": "Testville"}]]],
                    "contact_mechanisms": [["create", [{"type": "email", "value": person.email}]]],
                }
            ],
        )
        return person

    def add_orders(self, person: Person, amounts: Sequence[Decimal]) -> list[str]:
        """Confirmed orders of these totals, in order; their numbers."""
        party, address = self._party(person)
        (product,) = self.rpc("model.product.product.search_read", [], 0, 1, None, ["id", "default_uom"])
        (term,) = self.rpc("model.account.invoice.payment_term.search", [], 0, 1, None)
        ids: list[int] = []
        for amount in amounts:
            line = {
                "type": "line",
                "product": product["id"],
                "unit": product["default_uom"],
                "quantity": 1.0,
                "unit_price": _decimal(amount),
            }
            sale = {
                "party": party,
                "invoice_party": party,
                "shipment_party": party,
                "invoice_address": address,
                "shipment_address": address,
                "payment_term": term,
                "invoice_method": "order",
                "lines": [["create", [line]]],
            }
            ids += self.rpc("model.sale.sale.create", [sale])
        for step in ("quote", "confirm"):
            self.rpc(f"model.sale.sale.{step}", ids)
        rows = self.rpc("model.sale.sale.read", ids, ["id", "number"])
        return [row["number"] for row in sorted(rows, key=lambda row: ids.index(row["id"]))]

    def add_invoices(self, person: Person, amounts: Sequence[Decimal]) -> list[str]:
        """Posted, unpaid invoices of these totals, each for an order; their numbers."""
        orders = self.add_orders(person, amounts)
        sales = self.rpc("model.sale.sale.search_read", [["number", "in", orders]], 0, None, None, ["id", "number"])
        ids = [next(row["id"] for row in sales if row["number"] == number) for number in orders]
        self.rpc("model.sale.sale.process", ids)
        invoices: list[int] = []
        for sale in self.rpc("model.sale.sale.read", ids, ["id", "invoices"]):
            invoices += sale["invoices"]
        today = dt.date.today()  # noqa: DTZ011
        date = {"__class__": "date", "year": today.year, "month": today.month, "day": today.day}
        self.rpc("model.account.invoice.write", invoices, {"invoice_date": date})
        self.rpc("model.account.invoice.post", invoices)
        return [row["number"] for row in self.rpc("model.account.invoice.read", invoices, ["number"])]

    def end_sessions(self) -> None:
        """Make Tryton forget every session, as it does when one has been idle for long."""
        with sqlite3.connect(self.folder / "tryton" / f"{self.database}.sqlite", timeout=10) as database:
            database.execute("DELETE FROM ir_session")
        self._http.headers.pop("Authorization", None)

    def stop(self) -> None:
        super().stop()
        self._http.close()
        self._http = requests.Session()
        self._http.trust_env = False

    def _party(self, person: Person) -> tuple[int, int]:
        where = [["contact_mechanisms.value", "=", person.email]]
        (row,) = self.rpc("model.party.party.search_read", where, 0, 2, None, ["id", "addresses"])
        return row["id"], row["addresses"][0]

    def _post(self, method: str, *params: Any) -> Any:
        answer = self._http.post(f"{self.url}/{self.database}/rpc/", json=_body(method, *params), timeout=30)
        if answer.status_code != 200:
            raise RuntimeError(f"Tryton answered {method} with {answer.status_code}: {answer.text[:500]}")
        data = answer.json()
        if isinstance(data, dict) and data.get("error"):
            raise RuntimeError(f"Tryton answered {method} with {data['error']}")
        return data["result"] if isinstance(data, dict) and "result" in data else data


class LocalStripe(Server):
    """A Stripe API double of its own, empty at the start and after every restart."""

    def __init__(self, office: BackOffice, folder: Path) -> None:
        super().__init__(folder)
        self._python = office.python
        self.api_key = f"sk_test_{_chance.randrange(10**11, 10**12)}"
        self._http = requests.Session()
        self._http.trust_env = False

    def command(self) -> list[str]:
        return [str(self._python), str(HERE / "run_localstripe.py"), str(self.port)]

    def answers(self) -> bool:
        return self._http.get(f"{self.url}/v1/customers", auth=(self.api_key, ""), timeout=2).status_code == 200

    def add_customer(self, person: Person | None = None, *, name: str = "", email: str = "") -> tuple[str, Person]:
        """A customer with a card that works; (id, person)."""
        person = person or a_person()
        person = Person(name or person.name, email or person.email)
        customer = self._post("/v1/customers", {"email": person.email, "name": person.name})["id"]
        card = {
            "card[number]": "4242424242424242",
            "card[exp_month]": "12",
            "card[exp_year]": "2040",
            "card[cvc]": "123",
        }
        token = self._post("/v1/tokens", card)["id"]
        self._post(f"/v1/customers/{customer}/sources", {"source": token})
        return str(customer), person

    def add_charge(
        self, customer: str, amount: int, *, currency: str = "eur", order: str = "", description: str = ""
    ) -> str:
        """A charge of `amount` minor units on the customer's card; its id."""
        form = {"customer": customer, "amount": str(amount), "currency": currency}
        if order:
            form["metadata[order]"] = order
        if description:
            form["description"] = description
        return str(self._post("/v1/charges", form)["id"])

    def add_subscription(self, customer: str, amount: int, *, currency: str = "eur") -> str:
        """A running monthly subscription of `amount` minor units, whose first invoice is paid; its id."""
        product = self._post("/v1/products", {"name": "Support", "type": "service"})["id"]
        plan = self._post(
            "/v1/plans",
            {"amount": str(amount), "currency": currency, "interval": "month", "product": product, "nickname": "Pro"},
        )["id"]
        return str(self._post("/v1/subscriptions", {"customer": customer, "items[0][plan]": plan})["id"])

    def _post(self, path: str, form: dict[str, str]) -> Any:
        answer = self._http.post(f"{self.url}{path}", data=form, auth=(self.api_key, ""), timeout=10)
        if answer.status_code != 200:
            raise RuntimeError(f"localstripe answered {path} with {answer.status_code}: {answer.text[:500]}")
        return answer.json()


def _body(method: str, *params: Any) -> dict[str, Any]:
    return {"id": 1, "method": method, "params": list(params)}


def _decimal(amount: Decimal) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": str(amount)}
