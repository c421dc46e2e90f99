"""The connection pages: a form from the connector's schema, secrets that never come back, and a test in plain words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import update

from connectors import store as connections
from connectors.addresses import AddressCeiling
from connectors.gateway import Gateway
from connectors.store import ConnectionInfo
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import dump
from tests.connectors.upstream import Reply, Upstream, as_json
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.web.desk import TRIAGE, Desk, a_desk, let_in, send
from tests.web.pages import readable, words
from tickets.tables import User

CANARY = "sk_test_canary_51Hxyz"


@pytest.fixture
def desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    """A desk whose connections may reach this machine."""
    made = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    ceiling = AddressCeiling(["127.0.0.0/8"], own_addresses=[])
    gateway = Gateway(made.services.db, made.services.redis, made.services.box, ceiling)
    made.services = dataclasses.replace(made.services, gateway=gateway)
    yield made
    made.services.close()


@pytest.fixture
def developer(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("dev", "developer", name="Dev"))
    return browser


@pytest.fixture
def crm() -> Iterator[Upstream]:
    server = Upstream(lambda _: as_json({"hello": "there"}))
    yield server
    server.close()


def info(desk: Desk, name: str) -> ConnectionInfo:
    with desk.services.db.read() as connection:
        return connections.connection_named(connection, name)


def revision(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return rule_list.revision(connection)


def make(client: FlaskClient, url: str = "https://crm.example", name: str = "crm", **more: str) -> int:
    sent = {"name": name, "label": "CRM", "enabled": "1", "c.base_url": url, "c.auth": "bearer", "c.secret": CANARY}
    return send(client, "/connections/new/http_json", {**sent, **more}).status_code


def test_a_connection_is_made_from_the_form_of_its_schema(desk: Desk, developer: FlaskClient) -> None:
    page = developer.get("/connections/new/http_json").get_data(as_text=True)
    assert re.search(r'<input id="f-c\.secret" name="c\.secret" type="password"', page)
    before = revision(desk)
    assert make(developer) == 302
    made = info(desk, "crm")
    assert (made.label, made.enabled, made.allow_write, made.config["base_url"]) == (
        "CRM", True, False, "https://crm.example",
    )  # fmt: skip
    assert made.secrets_set == ("secret",)
    assert revision(desk) == before + 1


def test_the_form_is_in_the_language_of_who_reads_it_with_every_word_of_its_schema(
    desk: Desk, developer: FlaskClient
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "dev").values(language="fr"))
    page = readable(developer.get("/connections/new/http_json").get_data(as_text=True))
    for french in ("HTTP et JSON", "S'identifier par", "jeton (bearer)", "Mot de passe, jeton ou clé", "Opérations"):
        assert french in page
    for english in ("Sign in with", "Password, token or key", "Most requests per minute", "never widens it"):
        assert english not in page
    assert "Any API that answers" not in words(developer.get("/connections/new").get_data(as_text=True))


def test_every_problem_of_the_form_stands_at_its_field_and_nothing_is_saved(desk: Desk, developer: FlaskClient) -> None:
    sent = {"name": "CRM!", "c.base_url": "ftp://crm", "c.operations": "[{", "c.calls_per_minute": "many"}
    answer = send(developer, "/connections/new/http_json", sent)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert page.count("does not read") == 4  # two fields, each in the summary and at the field
    answer = send(developer, "/connections/new/http_json", {"name": "CRM!", "c.base_url": "ftp://crm"})
    assert answer.status_code == 422
    assert 'href="#f-name"' in answer.get_data(as_text=True)
    assert 'href="#f-c.base_url"' in answer.get_data(as_text=True)
    with desk.services.db.read() as connection:
        assert connections.connections(connection) == []


def test_a_secret_is_never_shown_and_a_blank_field_keeps_it(desk: Desk, developer: FlaskClient) -> None:
    make(developer)
    with desk.services.db.read() as connection:
        sealed = connections.sealed_secrets(connection, "crm")
    for path in ("/connections", "/connections/crm", "/connections/new/http_json", "/scripts/api.json"):
        assert CANARY not in developer.get(path).get_data(as_text=True), path
    page = words(developer.get("/connections/crm").get_data(as_text=True))
    assert "Set. Leave it empty to keep it; type to replace it." in page
    send(developer, "/connections/crm", {"label": "The CRM", "enabled": "1", "c.base_url": "https://crm.example",
                                         "c.auth": "bearer", "c.secret": ""})  # fmt: skip
    assert info(desk, "crm").label == "The CRM"
    with desk.services.db.read() as connection:
        opened = desk.services.box.open(connections.sealed_secrets(connection, "crm"))
    assert opened == desk.services.box.open(sealed) == {"secret": CANARY}


def test_a_secret_does_not_follow_the_connection_to_another_address(desk: Desk, developer: FlaskClient) -> None:
    make(developer)
    answer = send(developer, "/connections/crm", {"label": "CRM", "enabled": "1", "c.base_url": "https://evil.example",
                                                  "c.auth": "bearer", "c.secret": ""})  # fmt: skip
    assert answer.status_code == 422
    assert "enter it again" in words(answer.get_data(as_text=True))
    assert info(desk, "crm").config["base_url"] == "https://crm.example"


def test_a_refused_form_does_not_send_the_secret_back(desk: Desk, developer: FlaskClient) -> None:
    answer = send(developer, "/connections/new/http_json", {"name": "X", "c.base_url": "nowhere", "c.secret": CANARY})
    assert answer.status_code == 422
    assert CANARY not in answer.get_data(as_text=True)


def test_a_test_asks_the_system_once_and_reads_the_answer_in_words(
    desk: Desk, developer: FlaskClient, crm: Upstream
) -> None:
    make(developer, crm.url)
    answer = send(developer, "/connections/crm/test", {})
    page = words(answer.get_data(as_text=True))
    assert "It answers" in page
    assert len(crm.asked) == 1
    assert crm.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in answer.get_data(as_text=True)
    crm.answer = lambda _: Reply(b"no", 401)
    page = words(send(developer, "/connections/crm/test", {}).get_data(as_text=True))
    assert "It does not work" in page
    assert "credentials_rejected" in page
    assert info(desk, "crm").needs_reauth
    assert "needs new credentials" in words(developer.get("/connections").get_data(as_text=True))


def test_a_connection_in_use_is_not_deleted(desk: Desk, developer: FlaskClient) -> None:
    make(developer)
    desk.publish({**TRIAGE, "columns": [{"id": "c1", "field": "crm.find_customer.tier", "op": "is"}], "rows": []})
    with desk.services.db.write() as connection:
        rule_list.create(
            connection, EntryKind.SCRIPT, "Ask", {"source": "x = crm.find_customer(email='a')"}, author="ana",
            now=desk.clock.now(),
        )  # fmt: skip
    before = revision(desk)
    answer = send(developer, "/connections/crm/delete", {})
    assert answer.status_code == 422
    page = words(answer.get_data(as_text=True))
    assert "A01 New ticket triage (column " in page
    assert "S01 Ask (line 1; only in the draft)" in page
    assert info(desk, "crm").name == "crm"
    assert revision(desk) == before
    page = words(developer.get("/connections").get_data(as_text=True))
    assert "New ticket triage, Ask" in page.replace(" ,", ",")


def test_an_unused_connection_is_deleted_with_its_credentials(desk: Desk, developer: FlaskClient) -> None:
    make(developer)
    before = revision(desk)
    assert send(developer, "/connections/crm/delete", {}).status_code == 302
    assert developer.get("/connections/crm").status_code == 404
    assert revision(desk) == before + 1
    assert CANARY not in str(dump(desk.services.db))


def test_a_second_connection_of_the_same_name_does_not_replace_the_first(desk: Desk, developer: FlaskClient) -> None:
    make(developer)
    assert make(developer, "https://other.example") == 422
    assert info(desk, "crm").config["base_url"] == "https://crm.example"


def test_others_may_not_look_at_connections(desk: Desk, agent: FlaskClient, developer: FlaskClient) -> None:
    make(developer)
    before = dump(desk.services.db)
    for path in ("", "/new", "/new/http_json", "/crm"):
        assert agent.get(f"/connections{path}").status_code == 403, path
    for path in ("/new/http_json", "/crm", "/crm/test", "/crm/delete"):
        assert send(agent, f"/connections{path}", {"name": "x"}).status_code == 403, path
    assert dump(desk.services.db) == before
    assert developer.get("/connections/new/fax").status_code == 404
