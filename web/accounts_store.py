"""Who is asking: the accounts that may sign in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tickets.people import Viewer, viewer
from tickets.tables import User


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
    stored = connection.execute(select(User.password_hash).where(User.key == key)).scalar_one()
    return Account(found, stored)


def account_by_email(connection: Connection, email: str) -> Account | None:
    """The active user with this address (lower case)."""
    key = connection.execute(select(User.key).where(func.lower(User.email) == email, User.active)).scalar_one_or_none()
    return None if key is None else account(connection, key)
