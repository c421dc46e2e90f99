"""One running product per database, with a real Tryton and a real Stripe API behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors import store as connections
from connectors.secrets import SecretBox
from jobs.settings import Settings
from rules import files
from rules import store as rule_list
from rules.store import EntryKind
from tests.backoffice.fixtures import back_office, localstripe, tryton
from tests.backoffice.servers import LocalStripe, Tryton
from tests.builders import a_brand, a_team
from tests.environment.databases import MakeDatabase
from tests.trips.product import Product
from tickets.db import Database
from tickets.values import utc_now

__all__ = ["back_office", "localstripe", "tryton"]

PASSWORD = "correct-horse-battery-staple"
HERE = Path(__file__).parent

ROUTING = """
code: R01
name: Debtors first
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 20
columns:
  - {id: c1, field: erp.find_party.receivable, op: greater}
steps:
  - {id: s1, do: assign_team}
rows:
  - {id: r1, if: {c1: {value: "0.00"}}, then: {s1: {team: billing}}}
otherwise: {then: {s1: {team: first_line}}}
"""
ENRICHING = """
code: R02
name: Compare payments
kind: ticket
triggers: [{on: created}]
hit: first
columns:
  - {id: c1, field: message.text, op: contains_any}
steps:
  - {id: s1, do: run_script}
rows:
  - id: r1
    if: {c1: {value: [charged twice, deux fois, dwa razy, de două ori]}}
    then: {s1: {script: S01}}
"""


@dataclass
class Desk:
    """The running product and the systems behind it."""

    product: Product
    tryton: Tryton
    localstripe: LocalStripe
    db: Database


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def desk(
    request: pytest.FixtureRequest,
    make_database: MakeDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    tryton: Tryton,
    localstripe: LocalStripe,
) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp(f"product-{request.param}")
    url = make_database(request.param)
    product = Product(
        folder=folder,
        database_url=url,
        ceiling=f"127.0.0.1:{tryton.port},127.0.0.1:{localstripe.port}",
        settings={"DESKHAND_LOOKUP_RETRY_S": "2"},
    )
    db = Database(url)
    product.start()
    try:
        _people(product, db)
        _connections(product, db, tryton, localstripe)
        _rules(db)
        yield Desk(product, tryton, localstripe, db)
    finally:
        db.close()
        product.stop()


def _people(product: Product, db: Database) -> None:
    with db.write() as connection:
        a_brand(connection, "shop")
        for key in ("first_line", "billing"):
            a_team(connection, key)
        rule_list.bump(connection)
    product.flask(
        *("user", "add", "boss", "--name", "Bo Boss", "--email", "boss@desk.example"),
        *("--role", "admin", "--team", "billing", "--password-stdin"),
        stdin=PASSWORD + "\n",
    )
    product.token = product.flask("user", "token", "boss").strip()
    product.mailbox = product.flask("mailbox", "add", "support@shop.example", "--brand", "shop").strip()


def _connections(product: Product, db: Database, tryton: Tryton, localstripe: LocalStripe) -> None:
    box = SecretBox(Settings(data_dir=product.folder).keys.sealing)
    erp: dict[str, Any] = {
        "base_url": tryton.url,
        "database": tryton.database,
        "username": tryton.username,
        "password": tryton.password,
    }
    billing: dict[str, Any] = {"base_url": localstripe.url, "api_key": localstripe.api_key}
    with db.write() as connection:
        for name, kind, config in (("crm", "tryton", erp), ("erp", "tryton", erp), ("billing", "stripe", billing)):
            connections.save_connection(
                connection, box, name=name, kind=kind, config=config, label=name.upper(), now=utc_now()
            )
        rule_list.bump(connection)


def _rules(db: Database) -> None:
    script = {"code": "S01", "name": "Compare payments", "source": (HERE / "charge.py").read_text()}
    with db.write() as connection:
        for kind, content in (
            (EntryKind.SCRIPT, script),
            (EntryKind.TABLE, files.load(ROUTING)),
            (EntryKind.TABLE, files.load(ENRICHING)),
        ):
            code = rule_list.create(
                connection, kind, content["name"], content, author="boss", now=utc_now(), code=content["code"]
            )
            rule_list.publish(connection, code, author="boss", note="", seen=1, now=utc_now())
