"""Ways into the portal: links that open one request, links and codes that sign somebody in once.

Of a token the database has a hash and a salt; the text in the mail is worked out from the salt with the installation's
own key, so that neither the database nor a mail that waits in it lets anybody in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from tickets.tables import PortalToken

#: How long each kind of token opens anything.
SIGN_IN_MIN = 20
REQUEST_DAYS = 60
#: Wrong codes after which a sign-in is dead, and sign-ins one person may ask for within an hour.
CODE_TRIES = 5
SIGN_INS_PER_HOUR = 6
CODE_DIGITS = 8
REQUEST, SIGN_IN = "request", "sign_in"


class TooManySignIns(Exception):
    """This person asked for too many sign-ins within an hour. None was made."""


@dataclass(frozen=True, slots=True)
class Token:
    """A valid token. `request` is the one request it opens, None for a sign-in."""

    id: int
    person: int
    request: int | None


def text_of(secret: str, salt: str) -> str:
    """The token as it stands in a link."""
    return hmac.new(secret.encode(), b"portal:link:" + salt.encode(), hashlib.sha256).hexdigest()


def code_of(secret: str, salt: str) -> str:
    """The code of a sign-in, for who reads the mail on another device."""
    digest = hmac.new(secret.encode(), b"portal:code:" + salt.encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def new(connection: Connection, secret: str, *, person: int, request: int | None, now: datetime) -> int:
    """A token for this person: with a request it opens only that. Raises `TooManySignIns`."""
    purpose = SIGN_IN if request is None else REQUEST
    if request is None:
        lately = connection.execute(
            select(func.count())
            .select_from(PortalToken)
            .where(
                PortalToken.person_id == person,
                PortalToken.purpose == SIGN_IN,
                PortalToken.created_at > now - timedelta(hours=1),
            )
        ).scalar_one()
        if lately >= SIGN_INS_PER_HOUR:
            raise TooManySignIns(f"At most {SIGN_INS_PER_HOUR} sign-ins are sent within an hour")
    salt = secrets.token_hex(32)
    lives = timedelta(minutes=SIGN_IN_MIN) if request is None else timedelta(days=REQUEST_DAYS)
    made: int = connection.execute(
        insert(PortalToken)
        .values(
            purpose=purpose,
            sha256=hashed(text_of(secret, salt)),
            salt=salt,
            person_id=person,
            request_id=request,
            tries=0,
            created_at=now,
            expires_at=now + lives,
        )
        .returning(PortalToken.id)
    ).scalar_one()
    return made


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def find(connection: Connection, purpose: str, text: str, now: datetime) -> Token | None:
    """The token that this text is, None for one that is wrong, used, expired or for something else."""
    row = connection.execute(
        select(PortalToken.id, PortalToken.person_id, PortalToken.request_id).where(
            PortalToken.sha256 == hashed(text[:200]),
            PortalToken.purpose == purpose,
            PortalToken.used_at.is_(None),
            PortalToken.expires_at > now,
        )
    ).one_or_none()
    return None if row is None else Token(row.id, row.person_id, row.request_id)


def use(connection: Connection, token: int, now: datetime) -> bool:
    """Use the token up; False when somebody else just did."""
    used = update(PortalToken).where(PortalToken.id == token, PortalToken.used_at.is_(None)).values(used_at=now)
    return connection.execute(used).rowcount == 1


def find_by_code(connection: Connection, secret: str, person: int, code: str, now: datetime) -> Token | None:
    """The newest sign-in of this person if the code is its own; a wrong code counts against it."""
    row = connection.execute(
        select(PortalToken.id, PortalToken.salt, PortalToken.tries)
        .where(
            PortalToken.person_id == person,
            PortalToken.purpose == SIGN_IN,
            PortalToken.used_at.is_(None),
            PortalToken.expires_at > now,
        )
        .order_by(PortalToken.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or row.tries >= CODE_TRIES:
        return None
    connection.execute(update(PortalToken).where(PortalToken.id == row.id).values(tries=PortalToken.tries + 1))
    if not hmac.compare_digest(code_of(secret, row.salt), code.strip()):
        return None
    return Token(row.id, person, None)


def end_for_request(connection: Connection, request: int, now: datetime) -> None:
    """Once a request is done or withdrawn, its links open nothing any more."""
    connection.execute(
        update(PortalToken).where(PortalToken.request_id == request, PortalToken.used_at.is_(None)).values(used_at=now)
    )
