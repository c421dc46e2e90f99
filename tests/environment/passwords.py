"""Passwords in tests are hashed at the least cost: at the product's own, each takes as long as a dozen tests of pages.

What it costs on a desk is proven where a test takes `as_shipped` back."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher

#: How the library hashes, with the costs that a hasher was made with.
as_shipped = PasswordHasher.hash

_CHEAPEST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hash_passwords_cheaply() -> None:
    """From now on, for this process. A check takes what the stored text says that it takes."""

    def hash_(_self: PasswordHasher, password: str | bytes, *, salt: bytes | None = None) -> str:
        return as_shipped(_CHEAPEST, password, salt=salt)

    patched: Any = PasswordHasher
    patched.hash = hash_
