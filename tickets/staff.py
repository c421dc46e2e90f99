"""Teams and users: who works here, what they may do and see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from tickets.errors import SettingRefused
from tickets.journal import (
    MAX_PARTS,
    Change,
    check_key,
    check_room,
    clean_label,
    clean_zone,
    must_be_known,
    record,
    refuse_same_label,
    refuse_with_items,
)
from tickets.people import ROLES
from tickets.places import brands, locations
from tickets.snooze import TEAM
from tickets.tables import (
    Team,
    TeamMember,
    User,
    WorkItem,
)
from tickets.values import JSON


@dataclass(frozen=True, slots=True)
class TeamSpec:
    key: str
    label: str
    restricted: bool
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserSpec:
    """Somebody who works here. Empty `brands` and `locations` mean all."""

    key: str
    name: str
    email: str
    roles: tuple[str, ...]
    teams: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    language: str = "en"
    zone: str = "UTC"
    active: bool = True


def teams(connection: Connection) -> dict[str, TeamSpec]:
    """Every team by its key, with the keys of its members."""
    members: dict[str, list[str]] = {}
    for row in connection.execute(select(TeamMember.team, TeamMember.user).order_by(TeamMember.user)):
        members.setdefault(row.team, []).append(row.user)
    rows = connection.execute(select(Team.key, Team.label, Team.restricted).order_by(Team.label, Team.key))
    return {row.key: TeamSpec(row.key, row.label, row.restricted, tuple(members.get(row.key, ()))) for row in rows}


def save_team(connection: Connection, wanted: TeamSpec, by: Change) -> None:
    """Make or change a team and who is in it. Raises `SettingRefused`."""
    before = teams(connection).get(wanted.key)
    label = clean_label(wanted.label)
    if before is None or before.label != label:
        refuse_same_label(connection, Team, wanted.key, label)
    unknown = sorted(set(wanted.members) - set(connection.execute(select(User.key)).scalars()))
    if unknown:
        raise SettingRefused(f"There is no user {unknown[0]!r}.")
    if before is None:
        check_key(wanted.key)
        check_room(connection, Team, MAX_PARTS, "teams")
        connection.execute(insert(Team).values(key=wanted.key, label=label, restricted=wanted.restricted))
    else:
        connection.execute(update(Team).where(Team.key == wanted.key).values(label=label, restricted=wanted.restricted))
        connection.execute(delete(TeamMember).where(TeamMember.team == wanted.key))
    for user in dict.fromkeys(wanted.members):
        connection.execute(insert(TeamMember).values(team=wanted.key, user=user))
    after: dict[str, JSON] = {"label": label, "restricted": wanted.restricted, "members": sorted(wanted.members)}
    record(connection, by, "team", wanted.key, _team(before), after)


def delete_team(connection: Connection, key: str, by: Change) -> None:
    """Remove a team. Raises `SettingRefused` while items have it, or sleep until it answers."""
    before = teams(connection).get(key)
    if before is None:
        return
    refuse_with_items(connection, or_(WorkItem.team == key, WorkItem.snoozed_for == f"{TEAM}{key}"), before.label)
    connection.execute(delete(TeamMember).where(TeamMember.team == key))
    connection.execute(delete(Team).where(Team.key == key))
    record(connection, by, "team", key, _team(before), None)


def _team(one: TeamSpec | None) -> dict[str, JSON] | None:
    return None if one is None else {"label": one.label, "restricted": one.restricted, "members": list(one.members)}


def users(connection: Connection) -> dict[str, UserSpec]:
    """Everybody who works or worked here, by key, in the order of their names."""
    in_teams: dict[str, list[str]] = {}
    for row in connection.execute(select(TeamMember.user, TeamMember.team).order_by(TeamMember.team)):
        in_teams.setdefault(row.user, []).append(row.team)
    rows = connection.execute(select(User.__table__).order_by(User.name, User.key))
    return {
        row.key: UserSpec(
            row.key, row.name, row.email, tuple(row.roles), tuple(in_teams.get(row.key, ())), tuple(row.brands),
            tuple(row.locations), row.language, row.zone, row.active,
        )
        for row in rows
    }  # fmt: skip


def save_user(connection: Connection, wanted: UserSpec, by: Change, *, password_hash: str | None = None) -> None:
    """Make or change somebody's account. A new one needs a password's hash.

    Raises `SettingRefused`, also when nobody would be left who may open the settings."""
    known = users(connection)
    before = known.get(wanted.key)
    name = clean_label(wanted.name)
    email = wanted.email.strip().lower()
    if any(one.email.lower() == email and one.key != wanted.key for one in known.values()):
        raise SettingRefused(f"Somebody else signs in with {email}. Nothing was saved.")
    must_be_known("role", wanted.roles, ROLES)
    must_be_known("team", wanted.teams, teams(connection))
    must_be_known("brand", wanted.brands, brands(connection))
    must_be_known("location", wanted.locations, locations(connection))
    others = [one for one in known.values() if one.key != wanted.key and one.active and "admin" in one.roles]
    if (
        before is not None
        and "admin" in before.roles
        and not others
        and not (wanted.active and "admin" in wanted.roles)
    ):
        raise SettingRefused("Nobody else may open the settings; give somebody the role admin first.")
    values: dict[str, Any] = {
        "name": name,
        "email": email,
        "roles": list(wanted.roles),
        "brands": list(wanted.brands),
        "locations": list(wanted.locations),
        "language": wanted.language,
        "zone": clean_zone(wanted.zone),
        "active": wanted.active,
    }
    if before is None:
        check_key(wanted.key)
        check_room(connection, User, MAX_PARTS, "users")
        connection.execute(
            insert(User).values(key=wanted.key, created_at=by.now, password_hash=password_hash or "", **values)
        )
    else:
        if password_hash:
            values["password_hash"] = password_hash
        connection.execute(update(User).where(User.key == wanted.key).values(**values))
        connection.execute(delete(TeamMember).where(TeamMember.user == wanted.key))
    for team in dict.fromkeys(wanted.teams):
        connection.execute(insert(TeamMember).values(team=team, user=wanted.key))
    after = UserSpec(
        wanted.key, name, email, wanted.roles, wanted.teams, wanted.brands, wanted.locations, wanted.language,
        wanted.zone, wanted.active,
    )  # fmt: skip
    said = _user(after)
    if password_hash and before is not None and said is not None:
        said["password"] = "replaced"
    record(connection, by, "user", wanted.key, _user(before), said)


def _user(one: UserSpec | None) -> dict[str, JSON] | None:
    if one is None:
        return None
    return {
        "name": one.name,
        "roles": list(one.roles),
        "teams": list(one.teams),
        "brands": list(one.brands),
        "locations": list(one.locations),
        "active": one.active,
    }
