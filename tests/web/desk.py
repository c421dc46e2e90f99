"""A small desk with real data for tests of pages: people, teams, tickets, and rules that really ran."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from apiflask import APIFlask
from argon2 import PasswordHasher
from flask import session
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from jobs import automation
from jobs.services import Services, build
from jobs.settings import Settings
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import INTO_BRANDS, INTO_MEMBERS, INTO_TEAMS, INTO_USERS, user_row
from tickets import people
from tickets import store as items
from tickets.cards import NewContext, insert_context
from tickets.events import Actor, ActorKind, Cause
from tickets.item import ItemKind
from tickets.values import JSON
from web.accounts_store import account_by_email
from web.context import services as web_services
from web.signin import open_session

NOW = datetime(2026, 11, 21, 9, 31, tzinfo=UTC)
PASSWORD = "a long enough password"
# The cheapest argon2 there is: checking takes what the stored hash says, and tests sign in often.
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

TRIAGE: dict[str, Any] = {
    "name": "New ticket triage",
    "kind": "ticket",
    "enabled": True,
    "triggers": [{"on": "created"}],
    "hit": "first",
    "wait_s": 0,
    "columns": [
        {"id": "c1", "field": "ticket.channel", "op": "is"},
        {"id": "c2", "field": "ticket.subject", "op": "contains_any"},
    ],
    "steps": [{"id": "s1", "do": "assign_team"}, {"id": "s2", "do": "set_priority"}],
    "rows": [
        {"id": "r1", "if": {"c1": {"value": "chat"}}, "then": {"s1": {"team": "sales"}}},
        {
            "id": "r2",
            "if": {"c2": {"value": ["refund", "invoice"]}},
            "then": {"s1": {"team": "billing"}, "s2": {"priority": "high"}},
        },
    ],
    "otherwise": {"then": {"s1": {"team": "sales"}}},
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Desk:
    """The services of one test and the few things tests do with them."""

    services: Services
    clock: Clock

    def user(self, key: str, *roles: str, name: str = "", teams: tuple[str, ...] = (), zone: str = "UTC") -> str:
        """A person who works here; returns the address to sign in with. The password is PASSWORD."""
        with self.services.db.write() as connection:
            more = {"email": f"{key}@deskhand.test", "password_hash": _HASH, "zone": zone, "created_at": NOW}
            INTO_USERS.run(connection, user_row(key, *roles, name=name or key.capitalize(), **more))
            INTO_MEMBERS.run_many(connection, [{"team": team, "user": key} for team in teams])
        return f"{key}@deskhand.test"

    def ticket(
        self,
        subject: str = "Where is my parcel?",
        text: str = "It was due on Monday.",
        *,
        email: str = "camille@customer.test",
        name: str = "Camille Laurent",
        html: str = "",
        author_name: str | None = None,
        **state: JSON,
    ) -> int:
        """A ticket that a customer wrote; its number."""
        with self.services.db.write() as connection:
            person = people.person_for(connection, email=email, name=name, language="fr", now=self.clock.now())
            made = items.create_item(
                connection,
                kind=ItemKind.TICKET,
                state={"subject": subject, "channel": "email", "customer": person, **state},
                actor=Actor(ActorKind.CUSTOMER, str(person), name),
                now=self.clock.now(),
                message=items.NewMessage(
                    author="customer",
                    public=True,
                    channel="email",
                    text=text,
                    html=html,
                    author_person=person,
                    author_name=name if author_name is None else author_name,
                    author_address=email,
                ),
            )
        return made.item_id

    def card(
        self, item_id: int, key: str, data: JSON, *, title: str = "", error: str = "", fresh_s: float = 600
    ) -> None:
        """A context card on a ticket, as a lookup would leave it."""
        with self.services.db.write() as connection:
            insert_context(
                connection,
                item_id,
                NewContext(
                    key=key,
                    title=title or key,
                    data=data,
                    source=key,
                    fetched_at=self.clock.now(),
                    fresh_until=self.clock.now() + timedelta(seconds=fresh_s),
                    error=error,
                    cause=Cause("system", label=key),
                ),
                self.clock.now(),
            )

    def publish(self, table: Mapping[str, JSON] = TRIAGE) -> str:
        """Make a table live; its code."""
        with self.services.db.write() as connection:
            code = rule_list.create(
                connection, EntryKind.TABLE, str(table["name"]), table, author="ana", now=self.clock.now()
            )
            rule_list.publish(connection, code, author="ana", note="", seen=1, now=self.clock.now())
        return code

    def work(self) -> int:
        """Let the rule list look at everything that waits; the number of events."""
        return automation.drain(self.services, budget_s=60)

    def state(self, item_id: int) -> dict[str, JSON]:
        with self.services.db.read() as connection:
            return dict(items.read_item(connection, item_id).state)


def a_desk(url: str, data: Path, redis_url: str) -> Desk:
    """A desk on this database with two open teams, a restricted one, and a brand."""
    clock = Clock()
    services = build(Settings(data_dir=data, database_url=url, redis_url=redis_url), clock=clock)
    with services.db.write() as connection:
        INTO_TEAMS.run_many(
            connection,
            [
                {"key": "billing", "label": "Billing", "restricted": False},
                {"key": "sales", "label": "Sales", "restricted": False},
                {"key": "ethics", "label": "Ethics", "restricted": True},
            ],
        )
        INTO_BRANDS.run(connection, {"key": "acme", "label": "Acme Store", "zone": "UTC"})
    return Desk(replace(services), clock)


def address_of(app: APIFlask, rule: Rule, parts: dict[str, Any]) -> str:
    """The address of a view with these parts in it."""
    with app.test_request_context():
        return app.url_for(rule.endpoint, **parts)


def token(page: TestResponse) -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf-token" content="([^"]+)"', page.get_data(as_text=True))
    assert found, "the page has no form token"
    return found[1]


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    """Sign in through the form, as a person does."""
    form = client.get("/sign-in")
    return client.post("/sign-in", data={"csrf_token": token(form), "email": email, "password": password})


def let_in(client: FlaskClient, email: str) -> None:
    """The session that `sign_in` opens, without its two pages: most tests are about what comes behind the door."""
    app = client.application
    with app.test_request_context("/sign-in", method="POST", environ_base=client.environ_base):
        with web_services().db.read() as connection:
            account = account_by_email(connection, email)
        assert account, f"nobody works here with the address {email}"
        open_session(account)
        form_token = generate_csrf()
        answer = app.response_class()
        app.session_interface.save_session(app, session, answer)
        _form_tokens[client] = session["csrf_token"], form_token
    name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    client.set_cookie(name, value)


#: What stands for the form token in a browser's session, and the token: good for as long as it stands there.
_form_tokens: WeakKeyDictionary[FlaskClient, tuple[str, str]] = WeakKeyDictionary()


def form_token(client: FlaskClient) -> str:
    """The form token of this browser's session, taken from the smallest page that carries it, whoever is signed in;
    from that page once per session."""
    kept = _session_of(client).get("csrf_token")
    known = _form_tokens.get(client)
    if kept is None or known is None or known[0] != kept:
        found = token(client.get("/portal/sign-in"))
        known = _form_tokens[client] = _session_of(client)["csrf_token"], found
    return known[1]


def _session_of(client: FlaskClient) -> Mapping[str, Any]:
    """What a browser's cookie says."""
    app = client.application
    cookie = client.get_cookie(app.config["SESSION_COOKIE_NAME"])
    if cookie is None:
        return {}
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer
    kept: Mapping[str, Any] = signer.loads(cookie.value)
    return kept


def send(client: FlaskClient, path: str, data: Mapping[str, object] | None = None, **more: object) -> TestResponse:
    """Send a form with the session's token."""
    return client.post(path, data={"csrf_token": form_token(client), **(data or {})}, **more)
