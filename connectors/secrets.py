"""Credentials at rest, and keeping them out of everything that is shown, logged or stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from connectors.errors import SecretsUnreadable
from tickets.values import JSON

#: Shorter values are not scrubbed from answers: replacing every "ab" would destroy the data and protect nothing.
MIN_SCRUBBED_CHARS = 6
MASK = "•••"


class SecretBox:
    """Seals credentials for the database. The first key seals; all keys open, so keys can be rotated without a stop."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are Fernet keys (44 characters, url-safe base64), newest first. Raises `ValueError`, showing none."""
        if not keys:
            raise ValueError("A secret box needs at least one key")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
            failed = False
        except ValueError:
            failed = True
        if failed:
            raise ValueError("A key for stored credentials must be 32 bytes in url-safe base64 (44 characters)")

    @staticmethod
    def generate_key() -> str:
        return Fernet.generate_key().decode()

    def seal(self, secrets: Mapping[str, str]) -> str:
        return self._fernet.encrypt(json.dumps(dict(secrets)).encode()).decode()

    def open(self, sealed: str) -> dict[str, str]:
        """What `seal` sealed. Raises `SecretsUnreadable` when none of our keys fits."""
        if not sealed:
            return {}
        try:
            plain = self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            plain = b""
        if not plain:
            raise SecretsUnreadable
        return {str(name): str(value) for name, value in json.loads(plain).items()}

    def rotate(self, sealed: str) -> str:
        """The same secrets, sealed with the first key. Raises `SecretsUnreadable`."""
        return self.seal(self.open(sealed)) if sealed else ""

    def __repr__(self) -> str:
        return "SecretBox(•••)"


class Scrubber:
    """Replaces known secrets, as they are and as they are sent (base64, percent-encoded), with a mask."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms: list[str] = []
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Scrub this one too from now on: a session that was signed in for is as good as the password."""
        if len(secret) < MIN_SCRUBBED_CHARS:
            return
        forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *_in_base64(secret.encode())}
        # Longest first, so that a secret inside another form does not leave the rest of that form behind.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def data(self, value: JSON) -> JSON:
        """`value` with every text in it scrubbed, keys included."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.data(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(inner) for inner in value]
        return value

    def __repr__(self) -> str:
        return "Scrubber(•••)"


def _in_base64(secret: bytes) -> set[str]:
    """How `secret` looks inside base64, wherever in the text it begins: "user:secret" shifts it by any of 3 bytes."""
    found: set[str] = set()
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret).decode().rstrip("=")
        # The first and the last character may also depend on the neighbours.
        begin = (0, 2, 3)[shift]
        end = len(whole) - (1 if (shift + len(secret)) % 3 else 0)
        if end - begin >= MIN_SCRUBBED_CHARS:
            found |= {whole[begin:end], whole[begin:end].translate(str.maketrans("+/", "-_"))}
    return found
