"""Normalised records: the same words for a customer whichever system knows them.

Money is decimal text with a currency beside it ("64.90", "EUR"), never a float; times are ISO 8601 with their zone.
What a system does not know is None.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from tickets.values import JSON, iso


class AnswerType(StrEnum):
    """What a field of an answer holds; operators for table columns follow from it."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"  # decimal as text
    BOOL = "bool"
    TIME = "time"  # ISO 8601 with zone
    DATE = "date"  # ISO 8601, YYYY-MM-DD
    TEXTS = "texts"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One field of an answer, for people and for table columns."""

    type: AnswerType
    label: str


def _text(label: str, type: AnswerType = AnswerType.TEXT) -> Any:
    return field(default=None, metadata={"field": AnswerField(type, label)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Somebody who buys. `receivable` is what they owe us now."""

    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    code: str | None = _text("Code")
    name: str | None = _text("Name")
    email: str | None = _text("E-mail")
    phone: str | None = _text("Phone")
    receivable: str | None = _text("Open balance", AnswerType.MONEY)
    currency: str | None = _text("Currency")
    credit_hold: bool | None = _text("Credit hold", AnswerType.BOOL)
    delinquent: bool | None = _text("Payment overdue", AnswerType.BOOL)
    created_at: str | None = _text("Customer since", AnswerType.TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    number: str | None = _text("Number")
    reference: str | None = _text("Reference")
    date: str | None = _text("Date", AnswerType.DATE)
    state: str | None = _text("State")
    total: str | None = _text("Total", AnswerType.MONEY)
    currency: str | None = _text("Currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """`due` is what remains to be paid."""

    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    number: str | None = _text("Number")
    date: str | None = _text("Date", AnswerType.DATE)
    state: str | None = _text("State")
    total: str | None = _text("Total", AnswerType.MONEY)
    due: str | None = _text("To pay", AnswerType.MONEY)
    currency: str | None = _text("Currency")
    order: str | None = _text("Order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    status: str | None = _text("Status")
    plan: str | None = _text("Plan")
    amount: str | None = _text("Price", AnswerType.MONEY)
    currency: str | None = _text("Currency")
    interval: str | None = _text("Interval")
    created: str | None = _text("Since", AnswerType.TIME)
    current_period_end: str | None = _text("Paid until", AnswerType.TIME)
    cancel_at_period_end: bool | None = _text("Ends then", AnswerType.BOOL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A charge. `order` is our order number where the payment carries one."""

    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    amount: str | None = _text("Amount", AnswerType.MONEY)
    currency: str | None = _text("Currency")
    created: str | None = _text("Time", AnswerType.TIME)
    status: str | None = _text("Status")
    order: str | None = _text("Order")
    description: str | None = _text("Description")
    refunded: str | None = _text("Refunded", AnswerType.MONEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back on a charge."""

    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    charge: str | None = _text("Charge")
    amount: str | None = _text("Amount", AnswerType.MONEY)
    currency: str | None = _text("Currency")
    created: str | None = _text("Time", AnswerType.TIME)
    status: str | None = _text("Status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark that stands with a record over there."""

    id: str = field(metadata={"field": AnswerField(AnswerType.TEXT, "Id")})
    on: str | None = _text("On")
    text: str | None = _text("Text")


RecordType: TypeAlias = Customer | Order | Invoice | Subscription | Payment | Refund | Note

#: Currencies whose smallest unit is not a hundredth, as card processors count. ISK and UGX have no cents in ISO 4217,
#: yet processors go on counting them in hundredths.
ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMAL = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))


def answer_fields(record: type[RecordType]) -> dict[str, AnswerField]:
    """The fields of this kind of record, in the order they are shown."""
    return {one.name: one.metadata["field"] for one in dataclasses.fields(record)}


def as_json(record: RecordType) -> dict[str, JSON]:
    return dataclasses.asdict(record)


def from_minor(amount: int, currency: str) -> str:
    """Minor units as decimal text: (6490, "eur") is "64.90", (500, "jpy") is "500"."""
    code = currency.upper()
    digits = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    return f"{Decimal(amount).scaleb(-digits):f}"


def to_minor(amount: str, currency: str) -> int | None:
    """Decimal text as minor units: ("64.90", "eur") is 6490. None for a fraction of the smallest unit."""
    code = currency.upper()
    digits = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    minor = Decimal(amount).scaleb(digits)
    return int(minor) if minor == minor.to_integral_value() else None


def from_epoch(seconds: int) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))
