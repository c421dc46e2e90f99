"""Small things tests are made of: a desk with people and teams, a ticket, a clock that stands still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, text

from tickets import people, store
from tickets.db import Base, Database, table_of
from tickets.events import Actor, ActorKind, Cause
from tickets.item import ItemKind
from tickets.prepared import Prepared
from tickets.tables import Brand, Team, TeamMember, User
from tickets.values import JSON

MORNING = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANA = Actor(ActorKind.AGENT, "ana", "Ana Nowak")
BY_ANA = Cause("person", label="Ana Nowak")
#: Made ready once: every desk begins with these, and SQLAlchemy takes several times as long for them as the database.
INTO_BRANDS, INTO_TEAMS, INTO_MEMBERS, INTO_USERS = (
    Prepared(insert(table_of(model))) for model in (Brand, Team, TeamMember, User)
)


def an_object(data: JSON) -> Mapping[str, JSON]:
    """Data that must be one object: a record, a row, a step. Its values are looked up by name."""
    assert isinstance(data, Mapping)
    return data


@dataclass
class FrozenClock:
    """A clock that moves only when told to."""

    at: datetime = MORNING

    def now(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


def a_user(connection: Connection, key: str, *, roles: Sequence[str] = ("agent",), teams: Sequence[str] = ()) -> str:
    INTO_USERS.run(connection, user_row(key, *roles))
    INTO_MEMBERS.run_many(connection, [{"team": team, "user": key} for team in teams])
    return key


def a_team(connection: Connection, key: str, *, restricted: bool = False) -> str:
    INTO_TEAMS.run(connection, _team(key, restricted=restricted))
    return key


def user_row(key: str, *roles: str, **more: Any) -> dict[str, Any]:
    """Every column of somebody who works here: a statement made ready works out no default."""
    return {
        "key": key,
        "name": key.capitalize(),
        "email": f"{key}@desk.example",
        "password_hash": "",
        "roles": list(roles),
        "brands": [],
        "locations": [],
        "language": "en",
        "zone": "UTC",
        "active": True,
        "mail": "at_once",
        "created_at": MORNING,
        **more,
    }


def _team(key: str, *, restricted: bool = False) -> dict[str, Any]:
    return {"key": key, "label": key.replace("_", " ").capitalize(), "restricted": restricted}


def a_brand(connection: Connection, key: str) -> str:
    INTO_BRANDS.run(connection, {"key": key, "label": key.capitalize(), "zone": "Europe/Paris"})
    return key


def a_desk(db: Database) -> None:
    """Two open teams, one restricted, and somebody in each."""
    with db.write() as connection:
        a_brand(connection, "shop")
        INTO_TEAMS.run_many(connection, [_team("first_line"), _team("billing"), _team("hr", restricted=True)])
        people_here = {"ana": ("agent", "manager"), "ion": ("agent",), "hania": ("agent",), "root": ("admin",)}
        INTO_USERS.run_many(connection, [user_row(key, *roles) for key, roles in people_here.items()])
        members = {"ana": "billing", "ion": "first_line", "hania": "hr"}
        INTO_MEMBERS.run_many(connection, [{"team": team, "user": key} for key, team in members.items()])


def a_ticket(
    db: Database,
    *,
    text: str = "I was charged twice for order 20-7714.",
    email: str = "camille@example.com",
    now: datetime = MORNING,
    **state: JSON,
) -> store.Written:
    """A ticket that a customer's e-mail made."""
    with db.write() as connection:
        person = people.person_for(connection, email=email, name="Camille Laurent", language="fr", now=now)
        message = store.NewMessage(
            author="customer", public=True, channel="email", text=text, author_person=person, author_address=email
        )
        return store.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={"subject": "Charged twice", "channel": "email", "language": "fr", "customer": person, **state},
            actor=Actor(ActorKind.CUSTOMER, str(person), "Camille Laurent"),
            now=now,
            message=message,
        )


def dump(db: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with db.read() as connection:
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(text(f'SELECT * FROM "{name}"')))
            for name in Base.metadata.tables
        }
