"""Words for keys: the labels of everything that items name by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, literal, select, true, union_all

from connectors.store import ConnectionTable
from rules.store import EntryRow
from tickets.store import AnyRow
from tickets.tables import Brand, Location, Team, User


@dataclass(frozen=True, slots=True)
class Names:
    """Labels of everything that items name by key. `users` has those who left, too: old tickets still name them."""

    teams: Mapping[str, str]
    users: Mapping[str, str]
    working: frozenset[str]  # keys of the users who can be assigned
    brands: Mapping[str, str]
    locations: Mapping[str, str]
    entries: Mapping[str, str]
    systems: Mapping[str, str] = field(default_factory=dict)  # connections, by the name that scripts use

    @property
    def colleagues(self) -> dict[str, str]:
        """Key and name of everybody who can be assigned, by name."""
        return {key: name for key, name in self.users.items() if key in self.working}


def names(connection: Connection) -> Names:
    """All labels, in one query."""
    kinds = (
        select(literal("team"), Team.key, Team.label, true()),
        select(literal("user"), User.key, User.name, User.active),
        select(literal("brand"), Brand.key, Brand.label, true()),
        select(literal("location"), Location.key, Location.label, true()),
        select(literal("entry"), EntryRow.code, EntryRow.name, true()),
        select(literal("system"), ConnectionTable.name, ConnectionTable.label, true()),
    )
    found: dict[str, dict[str, str]] = {
        "team": {},
        "user": {},
        "brand": {},
        "location": {},
        "entry": {},
        "system": {},
    }
    working = set()
    for kind, key, label, active in sorted(
        connection.execute(union_all(*kinds)), key=lambda row: str(row[2]).casefold()
    ):
        found[kind][key] = label
        if kind == "user" and active:
            working.add(key)
    return Names(
        found["team"],
        found["user"],
        frozenset(working),
        found["brand"],
        found["location"],
        found["entry"],
        found["system"],
    )


def active_users(connection: Connection) -> dict[str, str]:
    """Who can be assigned: key and name."""
    return names(connection).colleagues


def brand(connection: Connection, key: str) -> AnyRow | None:
    """Key and label of this brand, or None."""
    return connection.execute(select(Brand.key, Brand.label).where(Brand.key == key)).one_or_none()
