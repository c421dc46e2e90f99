"""Tryton 8.0 over JSON-RPC at /<database>/rpc/: customers, orders and invoices of an ERP.

Every call is a POST, reads included, so what may be repeated is declared by the operation and not by the method.
A session is signed in once and kept; when Tryton ends it (401), the call signs in again, once.

A note on a party ends with a reference made from the key of the change; it is looked for before a note is written, so
that the same change is one note however often it is tried.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator

from connectors.errors import Ambiguous, BadAnswer, BadRequest, CredentialsRejected
from connectors.http import Http
from connectors.records import Customer, Invoice, Note, Order, answer_fields, as_json
from connectors.system import EMAIL, Call, Input, InputType, Operation, Result, System, SystemConfig, candidates
from tickets.values import JSON, iso

#: Most orders or invoices of one answer; more is marked truncated.
MAX_ROWS = 200
#: Most parties with one address that are looked at.
MAX_PARTIES = 10

_PARTY = ("id", "code", "name", "email", "phone", "receivable", "currency.code", "create_date")
_SALE = ("id", "number", "reference", "sale_date", "state", "total_amount", "currency.code")
_INVOICE = ("id", "number", "invoice_date", "state", "total_amount", "amount_to_pay", "currency.code", "origins")


class TrytonConfig(SystemConfig):
    database: str = Field(title="Database", min_length=1, max_length=60, json_schema_extra={"order": 11})
    username: str = Field(title="User", min_length=1, max_length=100, json_schema_extra={"order": 12})
    password: SecretStr = Field(
        title="Password",
        min_length=1,
        max_length=300,
        description="Of a user who may read parties, sales and invoices; it needs no more, except to write notes.",
        json_schema_extra={"order": 13},
    )

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        if not all(char.isalnum() or char in "-_." for char in value) or value.strip(".") == "":
            raise ValueError("may hold letters, digits, - _ and .")
        return value


@dataclass(frozen=True, slots=True)
class _Session:
    authorization: str
    context: Mapping[str, Any]


class Tryton(System):
    """Parties, sales and invoices."""

    kind: ClassVar[str] = "tryton"
    label: ClassVar[str] = "Tryton"
    doc: ClassVar[str] = "Customers with their open balance, orders and invoices of a Tryton 8.0 ERP."
    Config: ClassVar[type[SystemConfig]] = TrytonConfig

    def __init__(self, config: SystemConfig) -> None:
        super().__init__(config)
        assert isinstance(config, TrytonConfig)
        self._config = config
        self._path = f"/{quote(config.database, safe='')}/rpc/"

    def operations(self) -> Mapping[str, Operation]:
        customer = answer_fields(Customer)
        kept = {name: customer[name] for name in customer if name not in ("credit_hold", "delinquent")}
        found = (
            Operation(
                "find_party",
                "Find the party",
                "read",
                (EMAIL,),
                kept,
                self._find_party,
                record="customer",
                cache_s=300,
                doc="The party with this e-mail address, with its open balance.",
            ),
            Operation(
                "find_customer",
                "Find the customer",
                "read",
                (EMAIL,),
                kept,
                self._find_party,
                record="customer",
                cache_s=300,
                doc="The same as find_party, by the name other systems use.",
            ),
            Operation(
                "list_orders",
                "List orders",
                "read",
                (EMAIL,),
                answer_fields(Order),
                self._list_orders,
                many=True,
                record="order",
                cache_s=120,
                doc="Sales of the party with this address, newest first.",
            ),
            Operation(
                "list_invoices",
                "List invoices",
                "read",
                (EMAIL,),
                answer_fields(Invoice),
                self._list_invoices,
                many=True,
                record="invoice",
                cache_s=120,
                doc="Customer invoices that are no longer drafts, newest first.",
            ),
            Operation(
                "add_note",
                "Add a note to the party",
                "write",
                (EMAIL, Input("text", InputType.LINES, doc="What the note says")),
                answer_fields(Note),
                self._add_note,
                record="note",
                timeout_s=15,
                doc="A note on the party with this e-mail address. Nothing is written when there is no such party.",
                repeatable=True,
            ),
        )
        return {one.name: one for one in found}

    def probe(self, call: Call) -> str:
        session = self._sign_in(call)
        self._send(call.http, session, "model.party.party.search_count", [])
        return f"Tryton answered, and {self._config.username} may read parties."

    def _find_party(self, call: Call) -> Result:
        party = self._party(call)
        if party is None:
            return Result(None)
        return Result(party, external_url=self._link("party.party", party["id"]))

    def _list_orders(self, call: Call) -> Result:
        return self._list(call, "sale.sale", _SALE, [], [["sale_date", "DESC"], ["id", "DESC"]], _order)

    def _list_invoices(self, call: Call) -> Result:
        domain: list[JSON] = [["type", "=", "out"], ["state", "!=", "draft"]]
        return self._list(
            call, "account.invoice", _INVOICE, domain, [["invoice_date", "DESC"], ["id", "DESC"]], _invoice
        )

    def _add_note(self, call: Call) -> Result:
        """Write the note once per key. Raises `BadRequest` when nobody has the address."""
        party = self._party(call)
        if party is None:
            raise BadRequest(f"{call.http.way.label} has no party with this address. Nothing was written.")
        resource = f"party.party,{int(str(party['id']))}"
        mark = f"[Deskhand {hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:20]}]"
        where: JSON = [["resource", "=", resource], ["message", "like", f"%{mark}"]]
        found = self._search_read(call, "ir.note", where, 1, [["id", "ASC"]], ("id", "message"))
        url = self._link("party.party", party["id"])
        if found:
            return Result(_note(found[0]["id"], party, call), external_url=url)
        body: JSON = [{"resource": resource, "message": f"{call.text('text')}\n\n{mark}"}]
        made = self._rpc(call, "model.ir.note.create", body, repeatable=False)
        if not isinstance(made, list) or len(made) != 1 or not isinstance(made[0], int):
            raise BadAnswer(f"{call.http.way.label} answered the new note, but not like Tryton 8.0")
        return Result(_note(made[0], party, call), external_url=url)

    def _list(
        self, call: Call, model: str, fields: Sequence[str], domain: list[JSON], order: JSON, read: Any
    ) -> Result:
        party = self._party(call)
        if party is None:
            return Result(None)
        where: JSON = [["party", "=", int(str(party["id"]))], *domain]
        rows = self._search_read(call, model, where, MAX_ROWS + 1, order, fields)
        kept = [read(row) for row in rows[:MAX_ROWS]]
        return Result(kept, len(rows) > MAX_ROWS, self._link("party.party", party["id"]))

    def _party(self, call: Call) -> dict[str, JSON] | None:
        """The one party with this address. Raises `Ambiguous`."""
        email = call.text("email")
        pattern = email.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        where: JSON = [["contact_mechanisms", "where", [["type", "=", "email"], ["value", "ilike", pattern]]]]
        rows = self._search_read(call, "party.party", where, MAX_PARTIES, [["id", "ASC"]], _PARTY)
        found = [_customer(row, email) for row in rows]
        if len(found) > 1:
            raise Ambiguous(
                f"{call.http.way.label} has {len(found)} parties with this address", candidates=candidates(found)
            )
        return found[0] if found else None

    def _search_read(
        self, call: Call, model: str, domain: JSON, limit: int, order: JSON, fields: Sequence[str]
    ) -> list[Mapping[str, Any]]:
        rows = self._rpc(call, f"model.{model}.search_read", domain, 0, limit, order, list(fields))
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
            raise BadAnswer(f"{call.http.way.label} answered {model} with something that is not a list of records")
        return rows

    def _rpc(self, call: Call, method: str, *params: JSON, repeatable: bool | None = None) -> Any:
        stored = call.tokens.get()
        if stored is not None:
            read = json.loads(stored)
            rejected = False
            try:
                kept = _Session(read["authorization"], read["context"])
                return self._send(call.http, kept, method, *params, repeatable=repeatable)
            except CredentialsRejected as error:
                if error.status != 401:
                    raise
                rejected = True
            assert rejected
            call.tokens.drop()
        return self._send(call.http, self._sign_in(call), method, *params, repeatable=repeatable)

    def _sign_in(self, call: Call) -> _Session:
        config = self._config
        answer = self._post(
            call.http,
            {"id": 0, "method": "common.db.login", "params": [config.username, self._secret(), "en"]},
            {},
        )
        if not isinstance(answer, list) or len(answer) < 2 or not isinstance(answer[0], int):
            raise BadAnswer(f"{call.http.way.label} answered the sign-in, but not like Tryton 8.0")
        token = base64.b64encode(f"{config.username}:{answer[0]}:{answer[1]}".encode()).decode()
        session = _Session(f"Session {token}", {})
        context = self._send(call.http, session, "model.res.user.get_preferences", True)
        if not isinstance(context, dict):
            raise BadAnswer(f"{call.http.way.label} answered the sign-in, but not like Tryton 8.0")
        # Only what questions depend on: the company decides which balance is meant.
        plain = {name: context[name] for name in ("company", "company_filter", "language") if name in context}
        session = _Session(session.authorization, {name: value for name, value in plain.items() if _is_plain(value)})
        call.tokens.put(json.dumps({"authorization": session.authorization, "context": session.context}))
        return session

    def _secret(self) -> JSON:
        return {"password": self._config.password.get_secret_value()}

    def _send(self, http: Http, session: _Session, method: str, *params: JSON, repeatable: bool | None = None) -> Any:
        http.way.scrubber.learn(session.authorization.removeprefix("Session "))
        body: JSON = {"id": 1, "method": method, "params": [*params, dict(session.context)]}
        return self._post(http, body, {"Authorization": session.authorization}, repeatable)

    def _post(self, http: Http, body: JSON, headers: Mapping[str, str], repeatable: bool | None = None) -> Any:
        answer = http.request("POST", self._path, json_body=body, headers=headers, repeatable=repeatable)
        data = answer.json(http.way.label)
        if isinstance(data, dict) and data.get("error") is not None:
            raise BadRequest(f"{http.way.label} did not accept the question: {_said(http, data['error'])}")
        if isinstance(data, dict) and "result" in data:
            data = data["result"]
        return _untyped(data)

    def _link(self, model: str, id: JSON) -> str:
        return f"{self._config.base_url}/#{quote(self._config.database, safe='')}/model/{model}/{id}"


def _customer(row: Mapping[str, Any], asked: str) -> dict[str, JSON]:
    return as_json(
        Customer(
            id=str(row["id"]),
            code=_text(row.get("code")),
            name=_text(row.get("name")),
            # The address that matched: the party's first one may be another.
            email=asked,
            phone=_text(row.get("phone")),
            receivable=_money(row.get("receivable")),
            currency=_currency(row),
            created_at=_time(row.get("create_date")),
        )
    )


def _note(id: Any, party: Mapping[str, JSON], call: Call) -> dict[str, JSON]:
    return as_json(Note(id=str(id), on=_text(party.get("name")), text=call.text("text")))


def _order(row: Mapping[str, Any]) -> dict[str, JSON]:
    return as_json(
        Order(
            id=str(row["id"]),
            number=_text(row.get("number")),
            reference=_text(row.get("reference")),
            date=_date(row.get("sale_date")),
            state=_text(row.get("state")),
            total=_money(row.get("total_amount")),
            currency=_currency(row),
        )
    )


def _invoice(row: Mapping[str, Any]) -> dict[str, JSON]:
    return as_json(
        Invoice(
            id=str(row["id"]),
            number=_text(row.get("number")),
            date=_date(row.get("invoice_date")),
            state=_text(row.get("state")),
            total=_money(row.get("total_amount")),
            due=_money(row.get("amount_to_pay")),
            currency=_currency(row),
            # "origins" names what was invoiced: the numbers of the orders.
            order=_text(row.get("origins")),
        )
    )


def _currency(row: Mapping[str, Any]) -> str | None:
    """Tryton nests a dotted field under its name with a dot at the end."""
    nested = row.get("currency.")
    return _text(nested.get("code")) if isinstance(nested, dict) else None


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _money(value: Any) -> str | None:
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else None


def _date(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, date) else None


def _time(value: Any) -> str | None:
    return iso(value) if isinstance(value, datetime) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, (bool, int, str))


def _untyped(value: Any) -> Any:
    """Tryton's typed JSON as Python values: Decimal, date and datetime (UTC). Other marked values become None."""
    if isinstance(value, list):
        return [_untyped(one) for one in value]
    if not isinstance(value, dict):
        return value
    try:
        match value.get("__class__"):
            case None:
                return {name: _untyped(inner) for name, inner in value.items()}
            case "Decimal":
                return Decimal(value["decimal"])
            case "date":
                return date(value["year"], value["month"], value["day"])
            case "datetime":
                clock = (value["hour"], value["minute"], value["second"], value["microsecond"])
                return datetime(value["year"], value["month"], value["day"], *clock, tzinfo=UTC)
            case _:
                return None
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


def _said(http: Http, error: Any) -> str:
    """The first text of Tryton's nested error list, scrubbed and cut."""
    while isinstance(error, (list, tuple)) and error:
        texts = [one for one in error if isinstance(one, str) and one]
        if len(texts) > 1 or not any(isinstance(one, (list, tuple)) for one in error):
            error = texts[-1] if texts else ""
            break
        error = next(one for one in error if isinstance(one, (list, tuple)))
    return http.way.scrubber.text(" ".join(str(error).split()))[:200]
