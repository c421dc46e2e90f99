"""Who hands things in while ./run chaos goes on, each in a process of its own, and the outside ledger of both.

One writes through the store, as a web process would. The other is the world outside: mail servers and programs that
know nothing of us but HTTP, and take a request for accepted when its answer says so. A mail server, and a program that
gave an Idempotency-Key, ask again until there is an answer; what a program without a key asked, and nobody answered,
may have happened or not.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import IO

import requests
from sqlalchemy.exc import SQLAlchemyError

from jobs.queues import Queues, Work
from jobs.services import ShiftedClock, connect_redis
from tests import chaos_plain
from tickets import people, store
from tickets.db import Database
from tickets.events import Actor, ActorKind
from tickets.item import ItemKind
from tickets.store import NewMessage
from tickets.values import iso

#: Messages of one ticket: fewer than the outbox's cap per ticket, so that every one must be sent.
PER_TICKET = 6
#: Events a second that are written through the store, at most, and how many at once.
RATE = 20
BURST = 20
#: Customers outside, each of whom waits for an answer before the next request; their numbers begin at this many each.
CUSTOMERS = 8
NUMBERS = 1_000_000
#: Seconds between two requests of one customer; for one answer; and for which it is asked again.
BREATH_S = 0.6
ANSWER_S = 5
AGAIN_S = 30
#: Seconds after which the time comes that a ticket waits for.
DUE_S = 4
#: Numbers in one file of the ledger: while there is no room on the disk, files of more than 64 kB cannot grow.
PER_FILE = 1_000

#: Where mail is handed in.
SECRET = "m" * 43
MAILBOX = "m"


class Ledger:
    """What one writer was told, line by line: try, ok, unsure, plain; each with its number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._lines = 0
        self._file: IO[str] | None = None

    def write(self, word: str, number: int, why: str = "") -> None:
        if self._file is None or self._lines % (3 * PER_FILE) == 0:
            self.close()
            path = self._folder / f"ledger-{self._name}-{self._lines // (3 * PER_FILE)}"
            self._file = path.open("a", buffering=1)
        self._lines += 1
        self._file.write(f"{word} {number} {why}\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def ledger(folder: Path) -> list[list[str]]:
    """Every line of every ledger there."""
    return [line.split() for path in sorted(folder.glob("ledger-*")) for line in path.read_text().splitlines()]


# Through the store -----------------------------------------------------------------------------------------------


def feed_the_store(url: str, redis_url: str, folder: Path, seconds: float, seed: int) -> None:
    """Hand in changes as the web would, and write down what was accepted before the next one."""
    clock = ShiftedClock(folder / "clock")
    rng = random.Random(seed)
    db = Database(url)
    redis = connect_redis(redis_url)
    queues = Queues(redis)
    tickets: list[tuple[int, int, str]] = []  # number, messages so far, address
    end = time.monotonic() + seconds
    number = 0
    told = Ledger(folder, "store")
    while time.monotonic() < end:
        number += 1
        told.write("try", number)
        try:
            if not tickets or rng.random() < 0.3:
                tickets.append((_create(db, number, clock.now()), 1, f"c{number}@customer.example"))
            else:
                at = rng.randrange(len(tickets))
                item_id, count, address = tickets[at]
                _write_again(db, item_id, number, address, clock.now())
                tickets[at] = (item_id, count + 1, address)
                if count + 1 == PER_TICKET:
                    del tickets[at]
        except SQLAlchemyError as error:
            told.write("unsure", number, type(error).__name__)
            time.sleep(0.2)
            continue
        told.write("ok", number)
        if rng.random() < 0.9:  # else: the process died between commit and hint
            queues.hint(Work.DRAIN)
        if chaos_plain.submit(redis, folder / "plain", number):
            told.write("plain", number)
        # In bursts, as a newsletter or an outage brings them: an even trickle would never meet a full queue.
        if number % BURST == 0:
            time.sleep(BURST / RATE)
    told.close()
    db.close()


def _create(db: Database, number: int, now: datetime) -> int:
    address = f"c{number}@customer.example"
    with db.write() as connection:
        person = people.person_for(connection, email=address, name=f"Customer {number}", language="en", now=now)
        return store.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={
                "subject": f"Case {number}",
                "channel": "email",
                "customer": person,
                "due_at": iso(now + timedelta(seconds=DUE_S)),
            },
            actor=Actor(ActorKind.CUSTOMER, str(person), f"Customer {number}"),
            now=now,
            message=_message(number, person, address),
        ).item_id


def _write_again(db: Database, item_id: int, number: int, address: str, now: datetime) -> None:
    with db.write() as connection:
        item = store.read_item(connection, item_id, lock=True)
        person = item.state["customer"]
        assert isinstance(person, int)
        actor = Actor(ActorKind.CUSTOMER, str(person), "Customer")
        message = _message(number, person, address)
        store.change_item(connection, item, lines=(), actor=actor, now=now, messages=(message,))


def _message(number: int, person: int, address: str) -> NewMessage:
    return NewMessage(
        author="customer",
        public=True,
        channel="email",
        text=f"[c{number}]",
        author_person=person,
        author_address=address,
    )


# From outside ----------------------------------------------------------------------------------------------------


def feed_the_web(address: str, token: str, folder: Path, seconds: float, seed: int) -> None:
    """Be some customers at once, who know an address and nothing else."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(CUSTOMERS) as pool:
        asked = [
            pool.submit(_Customer(address, token, folder, at, random.Random(seed + at)).go, end)
            for at in range(1, CUSTOMERS + 1)
        ]
        for one in asked:
            one.result()


@dataclass
class _Customer:
    """One customer: the mails and requests of one sender, each sent when the one before it was answered."""

    address: str
    token: str
    folder: Path
    at: int
    rng: random.Random

    def go(self, end: float) -> None:
        told = Ledger(self.folder, f"web{self.at}")
        threads: list[tuple[int, int]] = []  # the number of its first mail, mails so far
        number = self.at * NUMBERS
        while time.monotonic() < end:
            number += 1
            told.write("try", number)
            way = self.rng.choice(("mail", "mail", "with a key", "without a key"))
            first: tuple[int, int] | None = None
            ask: Callable[[], requests.Response]
            if way != "mail":
                key = f"chaos-{number}" if way == "with a key" else ""
                ask = _Request(self, number, key).create
            else:
                first = threads.pop() if threads and self.rng.random() < 0.7 else None
                ask = _Request(self, number, "").mail if first is None else _Request(self, number, "", first[0]).mail
            answer = _ask(ask, again_s=0 if way == "without a key" else AGAIN_S)
            if answer == "":
                told.write("ok", number)
                if way == "mail":
                    begun, count = first or (number, 0)
                    if count + 1 < PER_TICKET:
                        threads.append((begun, count + 1))
            else:
                told.write("odd" if answer.startswith("4") and answer != "409" else "unsure", number, answer)
            time.sleep(BREATH_S)
        told.close()


@dataclass(frozen=True)
class _Request:
    """One thing handed in, the same however often it is sent."""

    customer: _Customer
    number: int
    key: str
    thread: int | None = None

    def mail(self) -> requests.Response:
        mail = EmailMessage()
        mail["From"] = f"Customer <w{self.thread or self.number}@customer.example>"
        mail["To"] = "support@shop.example"
        mail["Subject"] = f"Case {self.number}"
        mail["Message-ID"] = f"<{self.number}@customer.example>"
        if self.thread is not None:
            mail["In-Reply-To"] = f"<{self.thread}@customer.example>"
        mail.set_content(f"[c{self.number}]")
        return requests.post(
            f"{self.customer.address}/inbound/email",
            data=mail.as_bytes(),
            headers={"Content-Type": "message/rfc822", "Authorization": f"Bearer {SECRET}"},
            timeout=ANSWER_S,
        )

    def create(self) -> requests.Response:
        who = {"email": f"a{self.number}@customer.example", "name": f"Customer {self.number}"}
        return requests.post(
            f"{self.customer.address}/api/v1/tickets",
            json={"subject": f"Case {self.number}", "text": f"[c{self.number}]", "customer": who},
            headers={
                "Authorization": f"Bearer {self.customer.token}",
                **({"Idempotency-Key": self.key} if self.key else {}),
            },
            timeout=ANSWER_S,
        )


def _ask(ask: Callable[[], requests.Response], *, again_s: float) -> str:
    """Ask, and again for so long while there is no answer or one that says so. Returns "" when it was accepted."""
    end = time.monotonic() + again_s
    while True:
        try:
            answer = ask()
        except requests.RequestException as error:
            said = type(error).__name__
        else:
            if answer.status_code in (200, 201, 202):
                return ""
            said = str(answer.status_code)
            if answer.status_code < 500 and answer.status_code not in (409, 429):
                return f"{said} {json.dumps(answer.text[:200])}"
        if time.monotonic() >= end:
            return said
        time.sleep(0.3)


def main() -> None:
    kind, *given, folder, seconds, seed = sys.argv[1:]
    feed = {"store": feed_the_store, "web": feed_the_web}[kind]
    feed(given[0], given[1], Path(folder), float(seconds), int(seed))


if __name__ == "__main__":
    main()
