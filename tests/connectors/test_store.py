"""Connections and their answers in the database, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from connectors import store
from connectors.errors import BadConfig, UnknownConnection
from connectors.registry import CONNECTORS
from connectors.secrets import SecretBox
from connectors.store import ConnectionTable
from tests.connectors.desk import FIND, Desk, http_json
from tests.connectors.upstream import as_json
from tickets.db import Database

STRIPE = {"base_url": "https://api.stripe.com", "api_key": "sk_test_0123456789"}


@pytest.fixture
def desk(database: Database) -> Desk:
    """On both databases, with the schema that migrations make."""
    return Desk(database)


def secrets_of(desk: Desk, name: str) -> dict[str, str]:
    with desk.db.read() as db:
        return desk.box.open(store.sealed_secrets(db, name))


def fields(caught: pytest.ExceptionInfo[BadConfig]) -> list[str]:
    return [problem.field for problem in caught.value.problems]


def test_a_connection_is_saved_and_read_without_its_secret(desk: Desk) -> None:
    info = desk.connect("billing", "stripe", STRIPE, label="Billing")
    assert desk.info("billing") == info
    assert (info.kind, info.label, info.config_version, info.enabled, info.allow_write, info.needs_reauth) == (
        "stripe",
        "Billing",
        1,
        True,
        False,
        False,
    )
    assert info.secrets_set == ("api_key",)
    assert "api_key" not in info.config
    assert (info.created_at, info.updated_at) == (desk.clock.now, desk.clock.now)
    assert secrets_of(desk, "billing") == {"api_key": "sk_test_0123456789"}


def test_a_blank_secret_keeps_the_stored_one_and_the_version_grows(desk: Desk) -> None:
    desk.connect("billing", "stripe", STRIPE)
    desk.clock.forward(60)
    for blank in ("", None):
        changed = desk.connect("billing", "stripe", {**STRIPE, "api_key": blank, "calls_per_minute": 30})
    assert (changed.config_version, changed.config["calls_per_minute"]) == (3, 30)
    assert changed.updated_at - changed.created_at == timedelta(seconds=60)
    assert secrets_of(desk, "billing") == {"api_key": "sk_test_0123456789"}
    desk.connect("billing", "stripe", {**STRIPE, "api_key": "sk_test_another_one"})
    assert secrets_of(desk, "billing") == {"api_key": "sk_test_another_one"}


MOVES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("host", {}, {"base_url": "https://evil.test"}),
    ("port", {}, {"base_url": "https://crm.test:8443"}),
    ("scheme", {}, {"base_url": "http://crm.test"}),
    ("header", {"auth": "header", "header_name": "X-Key"}, {"header_name": "X-Other"}),
    ("way", {}, {"auth": "header", "header_name": "X-Key"}),
    ("user", {"auth": "basic", "username": "a"}, {"username": "b"}),
]


@pytest.mark.parametrize(("change"), MOVES, ids=[name for name, _, _ in MOVES])
def test_a_stored_secret_is_not_sent_to_a_place_it_was_not_given_for(desk: Desk, change: Any) -> None:
    _, before, after = change
    first = http_json("https://crm.test", auth="bearer", secret="a long token") | before
    desk.connect("crm", "http_json", first)
    with pytest.raises(BadConfig, match="enter it again") as caught:
        desk.connect("crm", "http_json", {**first, "secret": "", **after})
    assert "secret" in fields(caught)
    assert desk.info("crm").config_version == 1
    desk.connect("crm", "http_json", {**first, **after})
    assert desk.info("crm").config_version == 2


def test_another_path_on_the_same_host_keeps_the_secret(desk: Desk) -> None:
    first = http_json("https://crm.test", auth="bearer", secret="a long token")
    desk.connect("crm", "http_json", first)
    desk.connect("crm", "http_json", {**first, "secret": "", "base_url": "https://CRM.test:443/api/v2"})
    assert secrets_of(desk, "crm") == {"secret": "a long token"}


def test_a_connection_whose_key_is_lost_asks_for_its_secret(desk: Desk) -> None:
    desk.connect("billing", "stripe", STRIPE)
    desk.box = SecretBox([SecretBox.generate_key()])
    with pytest.raises(BadConfig, match="Field required") as caught:
        desk.connect("billing", "stripe", {**STRIPE, "api_key": ""})
    assert fields(caught) == ["api_key"]


@pytest.mark.parametrize("name", ["", "Billing", "2nd", "a-b", "a b", "ticket", "json", "_x", "a" * 41, "ä", "a.b"])
def test_a_name_that_scripts_could_not_use_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(BadConfig) as caught:
        desk.connect(name, "stripe", STRIPE)
    assert fields(caught) == ["name"]
    with desk.db.read() as db:
        assert store.connections(db) == []


def test_a_kind_that_does_not_exist_and_a_kind_that_changes_are_refused(desk: Desk) -> None:
    with pytest.raises(BadConfig, match="must be one of tryton, stripe, http_json"):
        desk.connect("crm", "odoo", {})
    desk.connect("billing", "stripe", STRIPE)
    with pytest.raises(BadConfig, match="billing is of kind stripe"):
        desk.connect("billing", "http_json", http_json("https://api.stripe.com"))


def test_a_deleted_connection_takes_its_answers_along_and_leaves_its_audit(desk: Desk, serve: Any) -> None:
    row = {"id": 1, "full_name": "Ada", "email": "a@example.net", "balance": None}
    server = serve(lambda _asked: as_json({"items": [row]}))
    desk.connect("crm", "http_json", http_json(server.url))
    desk.call("crm", "find_customer", email="a@example.net")
    with desk.db.write() as db:
        store.delete_connection(db, "crm")
    assert desk.records() == []
    assert len(desk.audit()) == 1
    with pytest.raises(UnknownConnection), desk.db.write() as db:
        store.delete_connection(db, "crm")


def test_answers_come_back_from_the_database_as_they_were(desk: Desk, serve: Any) -> None:
    row = {"id": 1, "x": {"ż": [1, 2.5, None, True, "🙂"]}}
    server = serve(lambda _asked: as_json({"items": [row]}))
    desk.connect("crm", "http_json", http_json(server.url, {**FIND, "map": {"x": "x"}}))
    first = desk.call("crm", "find_customer", email="a@example.net")
    second = desk.call("crm", "find_customer", email="a@example.net")
    assert (first.cache, second.cache) == ("miss", "fresh")
    assert first.data == second.data == {"x": row["x"]}
    assert (first.fetched_at, first.fresh_until) == (second.fetched_at, second.fresh_until)


def test_a_late_401_does_not_spoil_new_credentials(desk: Desk) -> None:
    desk.connect("billing", "stripe", STRIPE)
    desk.connect("billing", "stripe", {**STRIPE, "api_key": "sk_test_another_one"})
    with desk.db.write() as db:
        assert store.set_needs_reauth(db, "billing", 1, True) is False
        assert store.set_needs_reauth(db, "billing", 2, True) is True
        assert store.set_needs_reauth(db, "billing", 2, True) is False
    assert desk.info("billing").needs_reauth is True


def test_every_connection_is_described_in_order_and_a_broken_one_has_no_operations(desk: Desk) -> None:
    desk.connect("crm", "http_json", http_json("https://crm.test"))
    desk.connect("billing", "stripe", STRIPE)
    broken = desk.connect("erp", "http_json", http_json("https://erp.test"))
    with desk.db.write() as db:
        db.execute(
            update(ConnectionTable).where(ConnectionTable.id == broken.id).values(config={"base_url": "nonsense"})
        )
    with desk.db.read() as db:
        described = store.describe(store.connections(db))
    assert [(one.connection, one.name) for one in described] == [
        ("billing", "find_customer"),
        ("billing", "list_charges"),
        ("billing", "list_subscriptions"),
        ("billing", "list_invoices"),
        ("billing", "refund"),
        ("crm", "find_customer"),
    ]


def test_a_write_is_described_as_not_allowed_until_the_connection_may_write(desk: Desk) -> None:
    refund = {"name": "refund", "kind": "write", "method": "POST", "path": "/refunds", "map": {"id": "id"}}
    config = http_json("https://crm.test", FIND, refund)

    def allowed(**how: bool) -> dict[str, bool]:
        return {one.name: one.allowed for one in store.describe([desk.connect("crm", "http_json", config, **how)])}

    assert allowed() == {"find_customer": True, "refund": False}
    assert allowed(allow_write=True) == {"find_customer": True, "refund": True}
    assert allowed(allow_write=True, enabled=False) == {"find_customer": False, "refund": False}


def test_there_is_a_bound_on_connections(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_CONNECTIONS", 2)
    for name in ("a", "b"):
        desk.connect(name, "stripe", STRIPE)
    with pytest.raises(BadConfig, match="already 2 connections"):
        desk.connect("c", "stripe", STRIPE)
    desk.connect("a", "stripe", STRIPE)
    with desk.db.read() as db:
        assert db.execute(select(func.count()).select_from(ConnectionTable.__table__)).scalar_one() == 2


def test_every_kind_has_a_form_whose_values_make_a_connection(desk: Desk) -> None:
    typed = {
        "base_url": "https://erp.test",
        "database": "d",
        "username": "u",
        "password": "secret-password",
        "api_key": "sk_test_123456",
        "secret": "whsec_" + "c2VjcmV0" * 4,
    }
    for kind in CONNECTORS:
        form = store.form(kind)
        values = {field.name: typed.get(field.name, field.default) for field in form if field.type != "secret"}
        values |= {field.name: typed[field.name] for field in form if field.type == "secret" and field.name in typed}
        assert desk.connect(kind, kind, values).kind == kind


def test_forms_know_what_is_required_and_what_can_be_chosen() -> None:
    tryton = {field.name: field for field in store.form("tryton")}
    assert [name for name, field in tryton.items() if field.required] == [
        "base_url",
        "database",
        "username",
        "password",
    ]
    http = {field.name: field for field in store.form("http_json")}
    assert (http["auth"].type, http["auth"].choices) == ("choice", ("none", "basic", "bearer", "header"))
    kinds = {name: http[name].type for name in ("operations", "calls_per_minute", "allowed_addresses", "idempotent")}
    assert kinds == {
        "operations": "json",
        "calls_per_minute": "number",
        "allowed_addresses": "list",
        "idempotent": "bool",
    }
