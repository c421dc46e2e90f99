"""Who works here and who writes to us: users with roles, customers with several addresses."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from tickets.db import table_of
from tickets.errors import PersonNotFound
from tickets.prepared import AnyRow, Prepared, PreparedUpsert
from tickets.tables import Person, PersonAddress, PortalToken, TeamMember, User
from tickets.values import record

#: Groups of four hexadecimal digits in the code of an anonymous person: 16 random bits each.
CODE_GROUPS = 5


class Permission(StrEnum):
    WORK_TICKETS = "work_tickets"
    EDIT_RULES = "edit_rules"
    EDIT_SCRIPTS = "edit_scripts"
    EDIT_CONNECTIONS = "edit_connections"
    SETTINGS = "settings"


#: What each role may do. A user has any number of roles.
ROLES: Mapping[str, frozenset[Permission]] = {
    "agent": frozenset({Permission.WORK_TICKETS}),
    "manager": frozenset({Permission.WORK_TICKETS, Permission.EDIT_RULES}),
    "developer": frozenset({Permission.WORK_TICKETS, Permission.EDIT_SCRIPTS, Permission.EDIT_CONNECTIONS}),
    "admin": frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user as far as permissions go. Empty `brands` or `locations` mean every one of them."""

    key: str
    name: str
    email: str
    permissions: frozenset[Permission]
    teams: frozenset[str]
    brands: frozenset[str]
    locations: frozenset[str]
    language: str = "en"
    zone: str = "UTC"

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


@record
class Customer:
    """A person who writes to us, with every address we know."""

    id: int
    name: str
    language: str
    anonymous: bool
    emails: tuple[str, ...]
    verified: frozenset[str]

    @property
    def email(self) -> str:
        """The address we write to: the oldest one, or "" when there is none."""
        return self.emails[0] if self.emails else ""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What those who have these roles may do; a role that there is no more allows nothing."""
    return frozenset().union(*(ROLES[role] for role in roles if role in ROLES))


def viewer(connection: Connection, key: str) -> Viewer | None:
    """The active user with this key, or None."""
    row = _READ_USER.one_or_none(connection, {"key": key})
    if row is None:
        return None
    teams = _READ_TEAMS.all(connection, {"key": key})
    return Viewer(
        key=row.key,
        name=row.name,
        email=row.email,
        permissions=permissions_of(row.roles),
        teams=frozenset(one.team for one in teams),
        brands=frozenset(row.brands),
        locations=frozenset(row.locations),
        language=row.language,
        zone=row.zone,
    )


def customer(connection: Connection, person_id: int) -> Customer:
    """The person with this id. Raises `PersonNotFound`."""
    rows = _READ_PERSON.all(connection, {"person": person_id})
    if not rows:
        raise PersonNotFound(f"There is no person {person_id}")
    return customer_of(rows)


def customer_of(rows: Sequence[AnyRow]) -> Customer:
    """The value of the rows of a person, one for each address."""
    addresses = [row for row in rows if row.address is not None]
    return Customer(
        id=rows[0].id,
        name=rows[0].name,
        language=rows[0].language,
        anonymous=rows[0].anonymous,
        emails=tuple(row.address for row in addresses),
        verified=frozenset(row.address for row in addresses if row.verified),
    )


_USERS, _MEMBERS = table_of(User).c, table_of(TeamMember).c
#: Every page asks who is looking.
_READ_USER = Prepared(
    select(
        *(_USERS.key, _USERS.name, _USERS.email, _USERS.roles, _USERS.brands, _USERS.locations),
        *(_USERS.language, _USERS.zone),
    ).where(_USERS.key == bindparam("key"), _USERS.active)
)
_READ_TEAMS = Prepared(select(_MEMBERS.team).where(_MEMBERS.user == bindparam("key")))

_PERSONS, _ADDRESSES = table_of(Person), table_of(PersonAddress)
#: A person's rows, one for each address; `customer_of` makes the value of them.
A_PERSON = (
    select(
        _PERSONS.c.id,
        _PERSONS.c.name,
        _PERSONS.c.language,
        _PERSONS.c.anonymous,
        _ADDRESSES.c.address,
        _ADDRESSES.c.verified,
    )
    .outerjoin(_ADDRESSES, and_(_ADDRESSES.c.person_id == _PERSONS.c.id, _ADDRESSES.c.kind == "email"))
    .where(_PERSONS.c.id == bindparam("person"))
    .order_by(_ADDRESSES.c.id)
)
_READ_PERSON = Prepared(A_PERSON)
_INSERT_PERSON = Prepared(insert(_PERSONS).returning(_PERSONS.c.id))
#: Gives nothing back when somebody else has the address by now.
_CLAIM = PreparedUpsert(
    _ADDRESSES,
    lambda made: made.on_conflict_do_nothing(index_elements=["kind", "address"]).returning(_ADDRESSES.c.person_id),
)
_BY_EMAIL = Prepared(
    select(_ADDRESSES.c.person_id, _PERSONS.c.name)
    .join(_PERSONS, _PERSONS.c.id == _ADDRESSES.c.person_id)
    .where(_ADDRESSES.c.kind == "email", _ADDRESSES.c.address == bindparam("email"))
)


def person_by_email(connection: Connection, email: str) -> int | None:
    """The id of the person with this address, or None."""
    found: int | None = _BY_EMAIL.scalar(connection, {"email": email.lower()})
    return found


def person_for(connection: Connection, *, email: str, name: str, language: str, now: datetime) -> int:
    """The person who has this address, made anew when nobody has. Two writers at once get the same person."""
    email = email.strip().lower()
    known = _BY_EMAIL.one_or_none(connection, {"email": email})
    if known is not None:
        found: int = known.person_id
        if name and not known.name:
            connection.execute(update(Person).where(Person.id == found, Person.name == "").values(name=name[:200]))
        return found
    values = {"name": name[:200], "language": language, "anonymous": False, "zone": "", "created_at": now}
    person_id: int = _INSERT_PERSON.scalar(connection, values)
    address = {"person_id": person_id, "kind": "email", "address": email, "verified": False}
    if _CLAIM.scalar(connection, address) is not None:
        return person_id
    # Somebody else made this person between our look and our insert; theirs stays.
    connection.execute(delete(Person).where(Person.id == person_id))
    winner = person_by_email(connection, email)
    assert winner is not None
    return winner


def correct_email(connection: Connection, person: int, old: str, new: str) -> bool:
    """Put `new` in place of this person's address `old`; whether it was done. An address that somebody has stays so.

    Sign-ins sent before let nobody in any more: who reads `old` is somebody else, and proves nothing of `new`."""
    new = new.strip().lower()
    if person_by_email(connection, new) is not None:
        return False
    changed = connection.execute(
        update(PersonAddress)
        .where(
            PersonAddress.person_id == person,
            PersonAddress.kind == "email",
            PersonAddress.address == old.strip().lower(),
        )
        .values(address=new, verified=False)
    )
    if changed.rowcount == 1:
        sent = update(PortalToken).where(PortalToken.person_id == person, PortalToken.purpose == "sign_in")
        connection.execute(sent.values(expires_at=PortalToken.created_at))
    return changed.rowcount == 1


# The portal --------------------------------------------------------------------------------------------------------


def new_code(connection: Connection, person: int) -> str:
    """A code by which somebody without an address comes back to the portal; shown once, kept as a hash."""
    code = "-".join(secrets.token_hex(2) for _ in range(CODE_GROUPS))
    connection.execute(update(Person).where(Person.id == person).values(code_sha256=_code_hash(code)))
    return code


def person_by_code(connection: Connection, code: str) -> int | None:
    """The person with this code, or None. Capitals, spaces and dashes do not matter."""
    wanted = _code_hash(code)
    return connection.execute(select(Person.id).where(Person.code_sha256 == wanted)).scalar_one_or_none()


def has_code(connection: Connection, person: int) -> bool:
    found = connection.execute(select(Person.code_sha256).where(Person.id == person)).scalar_one_or_none()
    return found is not None


def _code_hash(code: str) -> str:
    plain = "".join(char for char in code.casefold() if char.isalnum())
    return hashlib.sha256(b"portal code:" + plain.encode()).hexdigest()


def verify(connection: Connection, person: int, email: str) -> None:
    """Note that this address of theirs was proved: a mail to it was read."""
    connection.execute(
        update(PersonAddress)
        .where(PersonAddress.person_id == person, PersonAddress.kind == "email", PersonAddress.address == email)
        .values(verified=True)
    )


def zone_of(connection: Connection, person: int) -> str:
    """Their time zone, "" when they chose none."""
    return connection.execute(select(Person.zone).where(Person.id == person)).scalar_one_or_none() or ""


def set_ways(connection: Connection, person: int, *, language: str, zone: str) -> None:
    """The language and zone somebody wants to be written to and shown in."""
    connection.execute(update(Person).where(Person.id == person).values(language=language, zone=zone))


def anonymous_person(connection: Connection, language: str, now: datetime) -> int:
    """Somebody who does not say who they are."""
    return connection.execute(
        insert(Person).values(name="", language=language, anonymous=True, created_at=now).returning(Person.id)
    ).scalar_one()
