"""Passwords of the people who work here: argon2id, checked in the same time whether or not the account exists."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Shortest and longest password taken, in characters.
MIN_CHARS = 10
MAX_CHARS = 200

# RFC 9106's second recommended option (64 MiB, 3 passes); one sign-in takes some 50 ms on purpose.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)


class WeakPassword(ValueError):
    """The password is shorter or longer than allowed."""


def hash_password(password: str) -> str:
    """The text to store for this password. Raises `WeakPassword`."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise WeakPassword(f"A password has {MIN_CHARS} to {MAX_CHARS} characters, not {len(password)}")
    return _HASHER.hash(password)


def is_right(stored: str | None, password: str) -> bool:
    """Whether `password` belongs to `stored`. None or "" (no such account, no password) takes as long and is wrong."""
    try:
        _HASHER.verify(stored or _nobody(), password[:MAX_CHARS])
    except (VerificationError, InvalidHashError):
        return False
    return bool(stored)


@cache
def _nobody() -> str:
    return _HASHER.hash("nobody signs in with this")
