"""Who is asking: the accounts that may sign in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from tickets.db import table_of
from tickets.people import Viewer, viewer
from tickets.prepared import Prepared
from tickets.tables import User

_USERS = table_of(User).c
_READ_HASH = Prepared(select(_USERS.password_hash).where(_USERS.key == bindparam("key")))


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    viewer: Viewer
    password_hash: str


def account(connection: Connection, key: str) -> Account | None:
    """The active user with this key."""
    found = viewer(connection, key)
    if found is None:
        return None
    return Account(found, _READ_HASH.scalar(connection, {"key": key}))


def account_by_email(connection: Connection, email: str) -> Account | None:
    """The active user with this address (lower case)."""
    key = connection.execute(select(User.key).where(func.lower(User.email) == email, User.active)).scalar_one_or_none()
    return None if key is None else account(connection, key)
