"""E-mail accepted -> context visible: the whole product by `./run`, upstreams that take 200 ms each, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from connectors import store as connections
from connectors.secrets import SecretBox
from jobs.settings import Settings
from rules import files
from rules import store as rule_list
from rules.store import EntryKind
from tests.bench.report import Figure, percentile
from tests.builders import a_brand, a_team
from tests.connectors.upstream import Asked, Upstream, as_json
from tests.trips.product import Product
from tickets import migrate
from tickets.db import Database
from tickets.values import utc_now

MAILS = 20
#: How long each upstream takes to answer, and how long a mail may take until its context is visible, in seconds.
UPSTREAM_S = 0.2
BUDGET_S = 3.0

SCRIPT = """
known = crm.find_customer(email=customer.email)
party = erp.find_customer(email=customer.email)
paid = billing.find_customer(email=customer.email)
ticket.set_context("all", {"crm": known.name, "erp": party.name, "billing": paid.name}, title="All", source="crm")
"""
TABLE = """
code: A01
name: Enrich
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""


def mail_to_context(folder: Path) -> list[Figure]:
    """Times of one mail after another, and of several at once."""
    url = f"sqlite:///{folder}/mail.db"
    migrate.upgrade(url)
    with ExitStack() as stack:
        upstreams = {name: stack.enter_context(Opened(_answer(name))) for name in ("crm", "erp", "billing")}
        (folder / "product").mkdir()
        ceiling = ",".join(f"127.0.0.1:{one.port}" for one in upstreams.values())
        product = Product(folder / "product", url, ceiling)
        product.start()
        stack.callback(product.stop)
        _set_up(product, url, upstreams)
        _time(product, 0)  # the first one fills caches and is not counted
        took = [_time(product, number) for number in range(1, MAILS + 1)]
    return [
        Figure("mail accepted -> context visible, p50", percentile(took, 0.5), "s", "lower", "budget"),
        Figure("mail accepted -> context visible, p95", percentile(took, 0.95), "s", "lower", "budget", BUDGET_S),
    ]


def _time(product: Product, number: int) -> float:
    ticket = product.send(
        sender=f"customer{number}@example.net", name="Camille", subject=f"Question {number}", text="Where is it?"
    )
    accepted = time.monotonic()
    while time.monotonic() - accepted < 30:
        if any(card["key"] == "all" for card in product.get(f"/tickets/{ticket}/timeline")["context"]):
            return time.monotonic() - accepted
        time.sleep(0.02)
    raise TimeoutError(f"the context of ticket {ticket} did not come in 30 s")


def _answer(name: str) -> Callable[[Asked], Any]:
    return lambda _: as_json([{"id": "1", "name": f"{name} knows"}], delay_s=UPSTREAM_S)


class Opened:
    """An upstream that is closed at the end."""

    def __init__(self, answer: Callable[[Asked], Any]) -> None:
        self._upstream = Upstream(answer)

    def __enter__(self) -> Upstream:
        return self._upstream

    def __exit__(self, *_: object) -> None:
        self._upstream.close()


def _set_up(product: Product, url: str, upstreams: dict[str, Upstream]) -> None:
    db = Database(url)
    box = SecretBox(Settings(data_dir=product.folder).keys.sealing)
    operation = {
        "name": "find_customer",
        "path": "/customers",
        "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
        "query": {"email": "{email}"},
        "map": {"id": "id", "name": "name"},
        "cache_s": 0,
    }
    with db.write() as connection:
        a_brand(connection, "shop")
        a_team(connection, "first_line")
        for name, upstream in upstreams.items():
            config: dict[str, Any] = {"base_url": upstream.url, "operations": [operation]}
            connections.save_connection(connection, box, name=name, kind="http_json", config=config, now=utc_now())
        for kind, content in (
            (EntryKind.SCRIPT, {"code": "S01", "name": "Enrich", "source": SCRIPT}),
            (EntryKind.TABLE, files.load(TABLE)),
        ):
            rule_list.create(
                connection, kind, content["name"], content, author="bench", now=utc_now(), code=content["code"]
            )
            rule_list.publish(connection, content["code"], author="bench", note="", seen=1, now=utc_now())
    db.close()
    who = ("--name", "Bo", "--email", "bo@desk.example", "--role", "admin", "--password-stdin")
    product.flask("user", "add", "bo", *who, stdin="correct-horse-battery-staple\n")
    product.token = product.flask("user", "token", "bo").strip()
    product.mailbox = product.flask("mailbox", "add", "support@shop.example", "--brand", "shop").strip()
