"""Stripe over its REST API. Customers are found by `list?email=`, which is exact and up to date; search lags behind.

A refund carries Stripe's Idempotency-Key. Stripe forgets keys after a day and we go on trying for two, so the key also
stands in the refund's metadata, and is looked for there before anything is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import quote

from pydantic import Field, SecretStr

from connectors.errors import Ambiguous, BadAnswer, BadRequest
from connectors.http import Http
from connectors.records import (
    Customer,
    Invoice,
    Payment,
    Refund,
    Subscription,
    answer_fields,
    as_json,
    from_epoch,
    from_minor,
    to_minor,
)
from connectors.system import EMAIL, Call, Input, InputType, Operation, Result, System, SystemConfig, candidates
from tickets.values import JSON

#: Rows per page (Stripe's own most) and most pages of one answer; more is marked truncated.
PAGE_ROWS = 100
MAX_PAGES = 5

CUSTOMER = Input(
    "customer", required=False, doc="Stripe's customer id, for when one address has several customers; wins over email"
)


#: Where a refund keeps the key of the change that made it.
KEY = "deskhand"


class StripeConfig(SystemConfig):
    base_url: str = Field(
        default="https://api.stripe.com", title="Address", max_length=500, json_schema_extra={"order": 20}
    )
    api_key: SecretStr = Field(
        title="Secret key",
        min_length=8,
        max_length=300,
        description="A restricted key that may read customers, charges, invoices and subscriptions is enough; to "
        "refund, it must also be allowed to write refunds.",
        json_schema_extra={"order": 10},
    )


class Stripe(System):
    """Payments, invoices and subscriptions of a customer."""

    kind: ClassVar[str] = "stripe"
    label: ClassVar[str] = "Stripe"
    doc: ClassVar[str] = "Payments, invoices and subscriptions, found by the customer's e-mail address."
    Config: ClassVar[type[SystemConfig]] = StripeConfig

    def __init__(self, config: SystemConfig) -> None:
        super().__init__(config)
        assert isinstance(config, StripeConfig)
        self._key = config.api_key

    def operations(self) -> Mapping[str, Operation]:
        lists = (EMAIL, CUSTOMER)
        found = (
            Operation(
                "find_customer",
                "Find the customer",
                "read",
                (EMAIL,),
                answer_fields(Customer),
                self._find_customer,
                record="customer",
                cache_s=600,
            ),
            Operation(
                "list_charges",
                "List payments",
                "read",
                lists,
                answer_fields(Payment),
                self._list_charges,
                many=True,
                record="payment",
                cache_s=60,
                doc="Newest first. `order` is the charge's metadata order or order_id.",
            ),
            Operation(
                "list_subscriptions",
                "List subscriptions",
                "read",
                lists,
                answer_fields(Subscription),
                self._list_subscriptions,
                many=True,
                record="subscription",
                cache_s=300,
                doc="Ended ones included.",
            ),
            Operation(
                "list_invoices",
                "List invoices",
                "read",
                lists,
                answer_fields(Invoice),
                self._list_invoices,
                many=True,
                record="invoice",
                cache_s=300,
            ),
            Operation(
                "refund",
                "Refund a payment",
                "write",
                (
                    Input("charge", doc="Stripe's id of the payment, ch_..."),
                    Input("amount", InputType.DECIMAL, required=False, doc="How much; all that is left when empty"),
                    Input("currency", required=False, doc="Of the amount, e.g. EUR; must be the payment's"),
                ),
                answer_fields(Refund),
                self._refund,
                record="refund",
                timeout_s=15,
                doc="Gives a payment back, all or a part. An amount takes its currency.",
                repeatable=True,
            ),
        )
        return {one.name: one for one in found}

    def probe(self, call: Call) -> str:
        rows = self._page(call.http, "/v1/customers", {"limit": "1"}).get("data")
        if not isinstance(rows, list):
            raise BadAnswer(f"{call.http.way.label} answered, but not like Stripe")
        return "Stripe answered and accepts the key."

    def _find_customer(self, call: Call) -> Result:
        found = self._customers(call)
        if not found:
            return Result(None)
        records = [_customer(one) for one in found]
        if len(records) > 1:
            raise Ambiguous(
                f"{call.http.way.label} has {len(records)} customers with this address", candidates=candidates(records)
            )
        return Result(records[0], external_url=self._dashboard(str(records[0]["id"])))

    def _list_charges(self, call: Call) -> Result:
        return self._list(call, "/v1/charges", {}, _payment)

    def _list_subscriptions(self, call: Call) -> Result:
        return self._list(call, "/v1/subscriptions", {"status": "all"}, _subscription)

    def _list_invoices(self, call: Call) -> Result:
        return self._list(call, "/v1/invoices", {}, _invoice)

    def _refund(self, call: Call) -> Result:
        """Refund once per key. Raises `BadRequest` for an amount that is not one of the charge's currency."""
        http, charge = call.http, call.text("charge")
        key = hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:40]
        made, cut = self._all(http, "/v1/refunds", {"charge": charge})
        done = next((one for one in made if (one.get("metadata") or {}).get(KEY) == key), None)
        if done is not None:
            return Result(_given_back(done), external_url=self._payment_page(charge))
        if cut:
            raise BadRequest(f"{http.way.label}: {charge} has too many refunds to look through. Nothing was sent.")
        paid = self._page(http, f"/v1/charges/{quote(charge, safe='')}", {})
        currency = str(paid.get("currency", ""))
        form = {"charge": charge, f"metadata[{KEY}]": key}
        amount, named = call.text("amount"), call.text("currency")
        if bool(amount) != bool(named):
            raise BadRequest("An amount takes its currency, and a currency its amount. Nothing was sent.")
        if amount:
            if named.casefold() != currency.casefold():
                raise BadRequest(f"{charge} was paid in {currency.upper()}, not {named.upper()}. Nothing was sent.")
            minor = to_minor(amount, currency)
            if minor is None or minor <= 0:
                raise BadRequest(f"{amount} {currency.upper()} is no amount that can be paid back. Nothing was sent.")
            paid_minor, back = paid.get("amount"), paid.get("amount_refunded") or 0
            if isinstance(paid_minor, int) and isinstance(back, int) and minor > paid_minor - back:
                left = from_minor(paid_minor - back, currency)
                raise BadRequest(
                    f"Of {charge} only {left} {currency.upper()} can still be paid back. Nothing was sent."
                )
            form["amount"] = str(minor)
        answer = http.request(
            "POST",
            "/v1/refunds",
            form=form,
            headers={"Idempotency-Key": key},
            auth=(self._key.get_secret_value(), ""),
            # Sent again by the outbox, which looks first; here a broken connection could hide that it was done.
            repeatable=False,
        )
        data = answer.json(http.way.label)
        if not isinstance(data, dict) or "id" not in data:
            raise BadAnswer(f"{http.way.label} answered, but not like Stripe")
        return Result(_given_back(data), external_url=self._payment_page(charge))

    def _list(self, call: Call, path: str, extra: Mapping[str, str], read: Any) -> Result:
        customer = call.text("customer")
        if not customer:
            found = self._customers(call)
            if not found:
                return Result(None)
            if len(found) > 1:
                raise Ambiguous(
                    f"{call.http.way.label} has {len(found)} customers with this address; ask with customer=",
                    candidates=candidates([_customer(one) for one in found]),
                )
            customer = str(found[0]["id"])
        rows, truncated = self._all(call.http, path, {"customer": customer, **extra})
        return Result([read(row) for row in rows], truncated, self._dashboard(customer))

    def _customers(self, call: Call) -> list[Mapping[str, Any]]:
        found = self._page(call.http, "/v1/customers", {"email": call.text("email"), "limit": "10"})
        return [row for row in _rows(call.http, found) if not row.get("deleted")]

    def _all(self, http: Http, path: str, params: Mapping[str, str]) -> tuple[list[Mapping[str, Any]], bool]:
        rows: list[Mapping[str, Any]] = []
        after = ""
        for _page in range(MAX_PAGES):
            query = {**params, "limit": str(PAGE_ROWS), **({"starting_after": after} if after else {})}
            answer = self._page(http, path, query)
            got = _rows(http, answer)
            rows.extend(got)
            if not answer.get("has_more") or not got:
                return rows, False
            last = str(got[-1].get("id", ""))
            # The same cursor twice would ask for the same page for ever.
            if not last or last == after:
                return rows, True
            after = last
        return rows, True

    def _page(self, http: Http, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        answer = http.request("GET", path, params=params, auth=(self._key.get_secret_value(), ""))
        data = answer.json(http.way.label)
        if not isinstance(data, dict):
            raise BadAnswer(f"{http.way.label} answered, but not like Stripe")
        return data

    def _payment_page(self, charge: str) -> str:
        found = self._dashboard("")
        return found.replace("customers/", f"payments/{quote(charge, safe='')}") if found else ""

    def _dashboard(self, customer: str) -> str:
        if self.config.base_url != "https://api.stripe.com":
            return ""
        test = "test/" if "_test_" in self._key.get_secret_value() else ""
        return f"https://dashboard.stripe.com/{test}customers/{customer}"


def _rows(http: Http, answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows = answer.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise BadAnswer(f"{http.way.label} answered, but not with a list as Stripe does")
    return rows


def _customer(row: Mapping[str, Any]) -> dict[str, JSON]:
    currency = row.get("currency")
    balance = row.get("balance", row.get("account_balance"))
    owes = from_minor(int(balance), str(currency)) if currency and isinstance(balance, int) else None
    return as_json(
        Customer(
            id=str(row["id"]),
            name=_text(row.get("name")),
            email=_text(row.get("email")),
            phone=_text(row.get("phone")),
            receivable=owes,
            currency=str(currency).upper() if currency else None,
            delinquent=row["delinquent"] if isinstance(row.get("delinquent"), bool) else None,
            created_at=_time(row.get("created")),
        )
    )


def _payment(row: Mapping[str, Any]) -> dict[str, JSON]:
    currency = str(row.get("currency", ""))
    metadata = cast("Mapping[str, Any]", row.get("metadata") or {})
    return as_json(
        Payment(
            id=str(row["id"]),
            amount=_money(row.get("amount"), currency),
            currency=currency.upper() or None,
            created=_time(row.get("created")),
            status=_text(row.get("status")),
            order=_text(metadata.get("order") or metadata.get("order_id")),
            description=_text(row.get("description")),
            refunded=_money(row.get("amount_refunded"), currency),
        )
    )


def _given_back(row: Mapping[str, Any]) -> dict[str, JSON]:
    currency = str(row.get("currency", ""))
    return as_json(
        Refund(
            id=str(row["id"]),
            charge=_text(row.get("charge")),
            amount=_money(row.get("amount"), currency),
            currency=currency.upper() or None,
            created=_time(row.get("created")),
            status=_text(row.get("status")),
        )
    )


def _subscription(row: Mapping[str, Any]) -> dict[str, JSON]:
    items = (row.get("items") or {}).get("data") or []
    item: Mapping[str, Any] = items[0] if items else {}
    plan: Mapping[str, Any] = item.get("price") or item.get("plan") or row.get("plan") or {}
    recurring: Mapping[str, Any] = plan.get("recurring") or {}
    currency = str(plan.get("currency", ""))
    amount = plan.get("unit_amount", plan.get("amount"))
    quantity = item.get("quantity") or 1
    # Since 2025 Stripe keeps the period on the subscription's items.
    until = row.get("current_period_end") or item.get("current_period_end")
    ends = row.get("cancel_at_period_end")
    return as_json(
        Subscription(
            id=str(row["id"]),
            status=_text(row.get("status")),
            plan=_text(plan.get("nickname") or plan.get("name") or plan.get("id")),
            amount=_money(amount * quantity if isinstance(amount, int) else None, currency),
            currency=currency.upper() or None,
            interval=_text(recurring.get("interval") or plan.get("interval")),
            created=_time(row.get("created")),
            current_period_end=_time(until),
            cancel_at_period_end=ends if isinstance(ends, bool) else None,
        )
    )


def _invoice(row: Mapping[str, Any]) -> dict[str, JSON]:
    currency = str(row.get("currency", ""))
    at = _time(row.get("created") or row.get("date"))
    metadata = cast("Mapping[str, Any]", row.get("metadata") or {})
    return as_json(
        Invoice(
            id=str(row["id"]),
            number=_text(row.get("number")),
            date=at[:10] if at else None,
            state=_text(row.get("status")),
            total=_money(row.get("total"), currency),
            due=_money(row.get("amount_remaining", row.get("amount_due")), currency),
            currency=currency.upper() or None,
            order=_text(metadata.get("order") or metadata.get("order_id")),
        )
    )


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _money(amount: Any, currency: str) -> str | None:
    return from_minor(amount, currency) if isinstance(amount, int) and currency else None


def _time(seconds: Any) -> str | None:
    return from_epoch(seconds) if isinstance(seconds, int) and not isinstance(seconds, bool) else None
