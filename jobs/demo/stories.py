"""What customers wrote and what colleagues answered, over thirty days. Deterministic, no I/O but the text files.

A story is one ticket: when it came, from whom, in which words, and what people did with it afterwards. What the
automations did with it is not written here; they do it themselves when the story is played.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from jobs.demo.world import Customer, Order
from rules import files

TEXTS = Path(__file__).parent / "texts"
TICKETS = 400
DAYS = 30
LANGUAGES = ("en", "fr", "pl", "ro")
#: Topics and how many of a hundred tickets are about each.
SHARES: Mapping[str, int] = {
    "delivery": 29,
    "invoice": 21,
    "product": 16,
    "return": 12,
    "account": 8,
    "other": 8,
    "double_charge": 5,
    "conduct": 1,
}
#: How many of a hundred tickets come in each language.
SPOKEN = {"en": 32, "fr": 28, "pl": 22, "ro": 18}
#: Letters of a currency as people write them behind an amount.
SIGNS = {"GBP": "£", "EUR": "€", "PLN": "zł", "RON": "lei"}


class Did(StrEnum):
    """What a person did."""

    ASKED = "asked"  # the customer's first message
    WROTE = "wrote"  # the customer again
    ANSWERED = "answered"  # a colleague answers and waits for the customer
    SOLVED = "solved"  # a colleague answers and that settles it
    NOTED = "noted"  # an internal note
    HURRIED = "hurried"  # the manager raises the priority
    CLOSED = "closed"  # the manager closes what is settled


@dataclass(frozen=True)
class Act:
    """One thing a person did in a story. `text` is empty for acts without words, `value` the new priority."""

    at: datetime
    story: int
    did: Did
    text: str = ""
    subject: str = ""
    value: str = ""


@dataclass(frozen=True)
class Story:
    number: int
    customer: Customer
    topic: str
    channel: str
    brand: str
    acts: tuple[Act, ...]


@cache
def texts(language: str) -> Mapping[str, Any]:
    """What people write in this language: greetings, topics with subjects and bodies, answers and so on."""
    found: Mapping[str, Any] = files.load((TEXTS / f"{language}.yaml").read_text(encoding="utf-8"))
    return found


def stories(people: Sequence[Customer], *, seed: int, now: datetime, count: int = TICKETS) -> list[Story]:
    """`count` stories that began in the DAYS before `now`, oldest first. What had not happened by `now` is left out."""
    rng = random.Random(seed)
    begins = sorted(_begin(rng, now, number, count) for number in range(count))
    topics = _dealt(rng, SHARES, count)
    spoken = _dealt(rng, SPOKEN, count)
    made = []
    for number, (at, topic, language) in enumerate(zip(begins, topics, spoken, strict=True)):
        made.append(_story(rng, number, at, topic, language, people, now))
    return made


def message(rng: random.Random, customer: Customer, order: Order, topic: str) -> tuple[str, str]:
    """(subject, text) of a customer's first message about this order."""
    spoken = texts(customer.language)
    words = spoken["topics"][topic]
    values = _values(customer, order)
    # Subjects and bodies go in pairs.
    subject, body = rng.choice(list(zip(words["subjects"], words["bodies"], strict=True)))
    greeting, closing = rng.choice(spoken["greetings"]), rng.choice(spoken["closings"])
    body = Template(body).substitute(values)
    return Template(subject).substitute(values), f"{greeting}\n\n{_sentence(body)}\n\n{closing}\n{customer.name}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _begin(rng: random.Random, now: datetime, number: int, count: int) -> datetime:
    """A moment within the last DAYS, more by day than by night, and a few of the last hours."""
    if number >= count - 6:
        return now - timedelta(minutes=rng.randrange(12, 300))
    while True:
        at = now - timedelta(minutes=rng.randrange(90, DAYS * 24 * 60 - 60))
        weight = 1.0 if 7 <= at.hour < 19 else 0.45 if 19 <= at.hour < 23 else 0.08
        if rng.random() < weight * (0.45 if at.weekday() >= 5 else 1):
            return at.replace(second=rng.randrange(60), microsecond=0)


def _dealt(rng: random.Random, shares: Mapping[str, int], count: int) -> list[str]:
    dealt = [key for key, share in shares.items() for _ in range(round(share * count / 100))]
    dealt = (dealt + [next(iter(shares))] * count)[:count]
    rng.shuffle(dealt)
    return dealt


def _story(
    rng: random.Random,
    number: int,
    at: datetime,
    topic: str,
    language: str,
    people: Sequence[Customer],
    now: datetime,
) -> Story:
    of_language = [one for one in people if one.language == language]
    customer = rng.choice(of_language)
    if topic == "double_charge" and rng.random() < 0.85:
        # Some believe they paid twice and did not: the payments tell.
        customer = rng.choice([one for one in of_language if one.doubled() is not None])
    order = customer.doubled() if topic == "double_charge" else None
    about = order or _order_by(rng, customer, at, missing=topic == "delivery")
    subject, text = message(rng, customer, about, topic)
    acts = [Act(at, number, Did.ASKED, text, subject), *_afterwards(rng, number, at, topic, customer, about, now)]
    return Story(
        number=number,
        customer=customer,
        topic=topic,
        channel=rng.choices(("email", "form", "chat"), (74, 20, 6))[0],
        brand=rng.choices(("lumen", "bramble"), (7, 3))[0],
        acts=tuple(sorted((one for one in acts if one.at <= now), key=lambda one: one.at)),
    )


def _order_by(rng: random.Random, customer: Customer, at: datetime, *, missing: bool) -> Order:
    """An order that was placed before the message was written; the oldest when there is none.

    Who asks where the parcel is, asks for one that has not come, if there is such a one."""
    before = [one for one in customer.orders if one.date < at.date().isoformat()]
    if missing:
        before = [one for one in before if one.state != "delivered"] or before
    return rng.choice(before) if before else min(customer.orders, key=lambda one: one.date)


def _afterwards(
    rng: random.Random,
    number: int,
    at: datetime,
    topic: str,
    customer: Customer,
    order: Order,
    now: datetime,
) -> list[Act]:
    spoken = texts(customer.language)
    values = _values(customer, order)
    acts: list[Act] = []

    def act(did: Did, text: str = "", value: str = "") -> None:
        acts.append(Act(at, number, did, text, value=value))

    def answer() -> str:
        greeting = rng.choice(spoken["greetings"])
        return f"{greeting}\n\n{_sentence(Template(rng.choice(spoken['answers'][topic])).substitute(values))}"

    if rng.random() < 0.13:
        at += _worked(rng, 0.1, 2)
        act(Did.HURRIED, value=rng.choices(("urgent", "critical", "low"), (5, 2, 3))[0])
    if rng.random() < 0.07:
        return acts  # nobody has got round to it
    if rng.random() < 0.12:
        at += _worked(rng, 0.2, 4)
        act(Did.NOTED, rng.choice(spoken["notes"]))
    at += _worked(rng, 0.4, 9)
    settled = rng.random() < 0.42
    act(Did.SOLVED if settled else Did.ANSWERED, answer())
    if settled:
        if rng.random() < 0.14:
            at += _worked(rng, 3, 40)
            act(Did.WROTE, rng.choice(spoken["followups"]))
            at += _worked(rng, 1, 12)
            act(Did.SOLVED, answer())
        elif rng.random() < 0.15:
            at += _worked(rng, 3, 30)
            act(Did.WROTE, rng.choice(spoken["thanks"]))
            at += _worked(rng, 0.5, 8)
            act(Did.CLOSED)
            return acts
    else:
        if rng.random() < 0.3:
            return acts  # waits for the customer
        at += _worked(rng, 2, 44)
        act(Did.WROTE, rng.choice(spoken["followups"]))
        if rng.random() < 0.1:
            return acts
        at += _worked(rng, 1, 14)
        act(Did.SOLVED, answer())
    if rng.random() < 0.6:
        at += timedelta(days=4 + rng.random() * 4)
        act(Did.CLOSED)
    return acts


def _worked(rng: random.Random, least_h: float, most_h: float) -> timedelta:
    """Some hours, short ones more often."""
    return timedelta(hours=least_h + (most_h - least_h) * rng.random() ** 2)


def _values(customer: Customer, order: Order) -> dict[str, str]:
    sign = SIGNS[order.currency]
    amount = f"{sign}{order.total}" if sign == "£" else f"{order.total.replace('.', ',')} {sign}"
    day = datetime.fromisoformat(order.date)
    return {
        "order": order.number,
        "product": order.product[customer.language],
        "amount": amount,
        "date": f"{day.day:02}.{day.month:02}.{day.year}" if customer.language != "en" else f"{day.day} {day:%B}",
        "city": customer.city,
        "name": customer.name,
    }
