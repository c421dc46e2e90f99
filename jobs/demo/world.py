"""Whom the demo company sells to, and what its three systems know about them. Made from a seed and a day, no I/O.

The company is a small lamp and outdoor shop in four countries. All people are invented; their addresses end in
`.example`, which nobody can own.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from jobs.demo.errors import DemoError

#: Longest list of customers the back office keeps, those of the demo page included.
MAX_CUSTOMERS = 2_000

CURRENCY = {"en": "GBP", "fr": "EUR", "pl": "PLN", "ro": "RON"}
COUNTRY = {"en": "GB", "fr": "FR", "pl": "PL", "ro": "RO"}
DOMAIN = {"en": "post.example", "fr": "courrier.example", "pl": "poczta.example", "ro": "curier.example"}
DIAL = {"en": "+44 20 7946 0", "fr": "+33 1 99 00 ", "pl": "+48 22 555 ", "ro": "+40 21 555 "}
CARRIERS = {"en": "Royal Parcel", "fr": "Colis Rapide", "pl": "Paczka24", "ro": "Curier Expres"}
TIERS = ("standard", "standard", "standard", "silver", "silver", "gold", "platinum")

#: (name, city) of every demo customer; twelve for each language.
PEOPLE: Mapping[str, Sequence[tuple[str, str]]] = {
    "fr": (
        ("Camille Laurent", "Lyon"),
        ("Thierry Morel", "Nantes"),
        ("Aïcha Benali", "Marseille"),
        ("Julien Lefèvre", "Lille"),
        ("Nathalie Girard", "Bordeaux"),
        ("Mathis Rousseau", "Rennes"),
        ("Sophie Delmas", "Toulouse"),
        ("Karim Haddad", "Strasbourg"),
        ("Élodie Fontaine", "Dijon"),
        ("Bernard Pichon", "Tours"),
        ("Manon Garnier", "Annecy"),
        ("Olivier Caron", "Paris"),
    ),
    "en": (
        ("Priya Raman", "Leicester"),
        ("George Whitlock", "Bristol"),
        ("Hannah Osei", "London"),
        ("Callum Fraser", "Glasgow"),
        ("Megan Rhys", "Cardiff"),
        ("Daniel Achebe", "Manchester"),
        ("Ruth Ellison", "York"),
        ("Tom Barrowclough", "Leeds"),
        ("Siobhan Kearney", "Belfast"),
        ("Iris Pemberton", "Norwich"),
        ("Marcus Lindqvist", "Brighton"),
        ("Amelia Stokes", "Exeter"),
    ),
    "pl": (
        ("Agnieszka Wrona", "Kraków"),
        ("Paweł Sikora", "Gdańsk"),
        ("Magdalena Żak", "Wrocław"),
        ("Tomasz Lis", "Poznań"),
        ("Ewa Jabłońska", "Łódź"),
        ("Krzysztof Pająk", "Lublin"),
        ("Joanna Śliwa", "Katowice"),
        ("Marcin Gołąb", "Szczecin"),
        ("Zofia Bielak", "Warszawa"),
        ("Rafał Mróz", "Rzeszów"),
        ("Karolina Dudek", "Toruń"),
        ("Wojciech Hajduk", "Olsztyn"),
    ),
    "ro": (
        ("Andreea Munteanu", "Cluj-Napoca"),
        ("Mihai Stoica", "Iași"),
        ("Elena Rădulescu", "București"),
        ("Vlad Țurcanu", "Timișoara"),
        ("Ioana Șerban", "Brașov"),
        ("Cristian Dobre", "Constanța"),
        ("Raluca Anghel", "Sibiu"),
        ("Bogdan Ilie", "Oradea"),
        ("Daniela Pavel", "Craiova"),
        ("Sorin Neagu", "Ploiești"),
        ("Larisa Moldovan", "Baia Mare"),
        ("Florin Cozma", "Bacău"),
    ),
}

#: (product in the four languages, price in euros).
PRODUCTS: Sequence[tuple[Mapping[str, str], str]] = (
    ({"en": "desk lamp Alba", "fr": "lampe de bureau Alba", "pl": "lampa biurkowa Alba", "ro": "veioza Alba"}, "64.90"),
    (
        {"en": "floor lamp Orion", "fr": "lampadaire Orion", "pl": "lampa stojąca Orion", "ro": "lampadarul Orion"},
        "149.00",
    ),
    (
        {"en": "camping lantern Fjord", "fr": "lanterne Fjord", "pl": "latarnia Fjord", "ro": "felinarul Fjord"},
        "39.50",
    ),
    (
        {
            "en": "trekking tent Tatra 2",
            "fr": "tente Tatra 2",
            "pl": "namiot Tatra 2",
            "ro": "cortul Tatra 2",
        },
        "229.00",
    ),
    ({"en": "head torch Lynx", "fr": "lampe frontale Lynx", "pl": "czołówka Lynx", "ro": "frontala Lynx"}, "45.20"),
    (
        {
            "en": "sleeping bag Nordic",
            "fr": "sac de couchage Nordic",
            "pl": "śpiwór Nordic",
            "ro": "sacul de dormit Nordic",
        },
        "118.75",
    ),
    (
        {"en": "wall light Duo", "fr": "applique Duo", "pl": "kinkiet Duo", "ro": "aplica Duo"},
        "72.30",
    ),
    (
        {"en": "garden lights set", "fr": "guirlande de jardin", "pl": "lampki ogrodowe", "ro": "luminile de grădină"},
        "54.00",
    ),
)
#: How many units of a currency the shop takes for a euro; prices stay plain decimals.
RATE = {"GBP": Decimal("0.86"), "EUR": Decimal(1), "PLN": Decimal("4.30"), "RON": Decimal("4.97")}


class TooManyCustomers(DemoError):
    """The back office keeps no more customers than its limit. Nothing was added."""


@dataclass(frozen=True)
class Order:
    """`state`: processing, shipped, delivered, backorder, returned. `tracking` is empty until it has left."""

    number: str
    date: str
    state: str
    total: str
    currency: str
    product: Mapping[str, str]
    carrier: str = ""
    tracking: str = ""


@dataclass(frozen=True)
class Charge:
    id: str
    amount: str
    currency: str
    created: int  # seconds since 1970, as card processors write it
    status: str
    order: str
    description: str
    refunded: str = "0.00"


@dataclass(frozen=True)
class Invoice:
    number: str
    date: str
    state: str
    total: str
    due: str
    currency: str
    order: str


@dataclass(frozen=True)
class Customer:
    """One customer as the three systems know them together.

    `systems` says which of them know the person at all; `billing_ids` has two where one address is there twice."""

    number: int
    name: str
    email: str
    language: str
    city: str
    tier: str
    since: str
    phone: str
    receivable: str
    credit_hold: bool
    orders: tuple[Order, ...]
    charges: tuple[Charge, ...]
    invoices: tuple[Invoice, ...]
    plan: str = ""  # the care plan they pay for every month, "" for none
    plan_since: int = 0
    systems: tuple[str, ...] = ("crm", "erp", "billing")
    billing_ids: tuple[str, ...] = field(default=())

    @property
    def currency(self) -> str:
        return CURRENCY[self.language]

    @property
    def country(self) -> str:
        return COUNTRY[self.language]

    def doubled(self) -> Order | None:
        """The order this customer paid twice, or None."""
        seen: dict[tuple[str, str], int] = {}
        for charge in self.charges:
            if charge.status == "succeeded":
                seen[charge.order, charge.amount] = seen.get((charge.order, charge.amount), 0) + 1
        twice = {order for (order, _amount), count in seen.items() if count > 1}
        return next((order for order in self.orders if order.number in twice), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Customer:
        parts = dict(data)
        return cls(
            **{
                **parts,
                "orders": tuple(Order(**one) for one in parts["orders"]),
                "charges": tuple(Charge(**one) for one in parts["charges"]),
                "invoices": tuple(Invoice(**one) for one in parts["invoices"]),
                "systems": tuple(parts["systems"]),
                "billing_ids": tuple(parts["billing_ids"]),
            }
        )


def customers(seed: int, today: date) -> tuple[Customer, ...]:
    """Everybody the demo company knows when it begins, the same for the same seed and day."""
    made: list[Customer] = []
    number = 1001
    for language, people in PEOPLE.items():
        for place, (name, city) in enumerate(people):
            made.append(_customer(number, name, city, language, place, seed, today))
            number += 1
    return tuple(made)


def double_charged(seed: int, today: date, *, language: str, name: str, city: str, number: int) -> Customer:
    """A new customer who has just paid one order twice. Everything but the name comes from the seed."""
    rng = random.Random(f"{seed}:{number}")
    at = datetime.combine(today, time(rng.randrange(7, 20), rng.randrange(60)), UTC) - timedelta(days=1)
    order = replace(_order(rng, number, 0, at.date(), language, "shipped"), number=f"LH-{number}")
    return Customer(
        number=number,
        name=name,
        email=_email(name, language, number),
        language=language,
        city=city,
        tier=rng.choice(TIERS),
        since=(today - timedelta(days=rng.randrange(40, 1500))).isoformat(),
        phone=_phone(rng, language),
        receivable="0.00",
        credit_hold=False,
        orders=(order,),
        charges=_charges(order, number, 0, at, twice=True),
        invoices=(_invoice(order, number, 0, paid=True),),
        billing_ids=(_billing_id(number),),
    )


def _customer(number: int, name: str, city: str, language: str, place: int, seed: int, today: date) -> Customer:
    rng = random.Random(f"{seed}:{number}")
    # The first three of each language have paid an order twice; Camille Laurent is the first of all.
    doubled = place < 3
    count = 2 if doubled else rng.randrange(1, 5)
    orders: list[Order] = []
    charges: list[Charge] = []
    invoices: list[Invoice] = []
    owed = Decimal(0)
    # Some owe money; of those the ones who owe long get nothing more on credit.
    owes = place % 4 == 3
    for index in range(count):
        age = rng.randrange(33, 60) if index == 0 else rng.randrange(3, 32)
        at = datetime.combine(today, time(rng.randrange(6, 22), rng.randrange(60), rng.randrange(60)), UTC)
        at -= timedelta(days=age)
        state = "delivered" if age > 9 else rng.choice(("shipped", "processing"))
        if index == 0 and place % 4 == 2 and not doubled:
            state = "backorder"
        order = _order(rng, number, index, at.date(), language, state)
        paid = not (owes and index == count - 1)
        orders.append(order)
        invoices.append(_invoice(order, number, index, paid=paid))
        if paid:
            charges.extend(_charges(order, number, index, at, twice=doubled and index == 0))
        else:
            owed += Decimal(order.total)
    systems = {7: ("erp", "billing"), 10: ("crm",)}.get(place, ("crm", "erp", "billing"))
    ids = (_billing_id(number), _billing_id(number + 5000)) if place == 8 else (_billing_id(number),)
    plan = place % 3 == 1
    return Customer(
        number=number,
        name=name,
        email=_email(name, language),
        language=language,
        city=city,
        tier="gold" if number == 1001 else rng.choice(TIERS),
        since=(today - timedelta(days=rng.randrange(60, 2400))).isoformat(),
        phone=_phone(rng, language),
        receivable=f"{owed:.2f}",
        credit_hold=owes and owed > 60 * RATE[CURRENCY[language]],
        orders=tuple(orders),
        charges=tuple(charges),
        invoices=tuple(invoices),
        plan="Care plan" if plan else "",
        plan_since=_epoch(today - timedelta(days=rng.randrange(70, 400))) if plan else 0,
        systems=systems,
        billing_ids=ids,
    )


def _order(rng: random.Random, number: int, index: int, at: date, language: str, state: str) -> Order:
    product, euros = rng.choice(PRODUCTS)
    currency = CURRENCY[language]
    total = (Decimal(euros) * RATE[currency]).quantize(Decimal("0.01"))
    left = state in ("shipped", "delivered")
    return Order(
        number=f"LH-{20000 + number * 7 % 9000 + index * 9001}",
        date=at.isoformat(),
        state=state,
        total=f"{total}",
        currency=currency,
        product=product,
        carrier=CARRIERS[language] if left else "",
        tracking=f"{COUNTRY[language]}{rng.randrange(10**9, 10**10)}" if left else "",
    )


def _charges(order: Order, number: int, index: int, at: datetime, *, twice: bool) -> tuple[Charge, ...]:
    first = Charge(
        id=f"ch_{number}{index}a",
        amount=order.total,
        currency=order.currency,
        created=int(at.timestamp()),
        status="succeeded",
        order=order.number,
        description=f"Order {order.number}",
    )
    if not twice:
        return (first,)
    # The shop's checkout sent the card payment again when its first answer was late.
    return (replace(first, id=f"ch_{number}{index}b", created=first.created + 41), first)


def _invoice(order: Order, number: int, index: int, *, paid: bool) -> Invoice:
    return Invoice(
        number=f"F-{number}{index}",
        date=order.date,
        state="paid" if paid else "open",
        total=order.total,
        due="0.00" if paid else order.total,
        currency=order.currency,
        order=order.number,
    )


def _billing_id(number: int) -> str:
    return f"cus_LH{number}"


def _email(name: str, language: str, number: int | None = None) -> str:
    plain = unicodedata.normalize("NFKD", name.lower().replace("ł", "l"))
    local = "".join(char for char in plain if char.isascii() and (char.isalnum() or char == " ")).replace(" ", ".")
    # Two who are made up with the same name are still two people.
    return f"{local}{'' if number is None else f'.{number}'}@{DOMAIN[language]}"


def _phone(rng: random.Random, language: str) -> str:
    return f"{DIAL[language]}{rng.randrange(1000, 10000)}"


def _epoch(day: date) -> int:
    return int(datetime.combine(day, time(9), UTC).timestamp())


class Books:
    """What the back office knows: the customers it began with and those added since, by e-mail address."""

    def __init__(self, known: Sequence[Customer]) -> None:
        self._by_email = {one.email: one for one in known}

    def add(self, customer: Customer) -> None:
        """Raises `TooManyCustomers`."""
        if customer.email not in self._by_email and len(self._by_email) >= MAX_CUSTOMERS:
            raise TooManyCustomers(
                f"The back office keeps {MAX_CUSTOMERS} customers and has that many; nothing was added"
            )
        self._by_email[customer.email] = customer

    def by_email(self, email: str, system: str) -> Customer | None:
        """The customer with this address if this system knows the person."""
        found = self._by_email.get(email.strip().lower())
        return found if found is not None and system in found.systems else None

    def by_billing_id(self, billing_id: str) -> Customer | None:
        return next((one for one in self._by_email.values() if billing_id in one.billing_ids), None)

    def by_order(self, number: str) -> tuple[Customer, Order] | None:
        for one in self._by_email.values():
            if "erp" in one.systems:
                for order in one.orders:
                    if order.number == number:
                        return one, order
        return None

    def all(self) -> tuple[Customer, ...]:
        return tuple(self._by_email.values())
