"""What is stored of a password."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from tests.environment.passwords import as_shipped
from web import passwords


@pytest.mark.slow
def test_a_stored_password_costs_who_guesses_what_rfc_9106_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PasswordHasher, "hash", as_shipped)
    stored = passwords.hash_password("a long enough password")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.is_right(stored, "a long enough password")
    assert not passwords.is_right(stored, "a long enough passwort")


@pytest.mark.parametrize("stored", [None, "", "no such text"])
def test_without_a_stored_password_none_is_right(stored: str | None) -> None:
    assert not passwords.is_right(stored, "nobody signs in with this")
    assert not passwords.is_right(stored, "")


@pytest.mark.parametrize("password", ["x" * (passwords.MIN_CHARS - 1), "x" * (passwords.MAX_CHARS + 1)])
def test_a_password_that_is_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(passwords.WeakPassword, match=f"not {len(password)}"):
        passwords.hash_password(password)
