"""What the API reads and keeps: tokens, the answers to repeated requests, and pages of tickets.

Tickets come through `visible(viewer)` and nothing else, as everywhere in `web`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from jobs.tables import ApiToken, IdempotencyKey, RunRow
from tickets import people, search
from tickets.assignment import holds
from tickets.db import upsert
from tickets.people import Viewer
from tickets.store import AnyRow, read_item
from tickets.tables import Location, PersonAddress, TeamMember, User, WorkItem
from tickets.visibility import visible

#: Hours an answer is kept for a repeated request, keys one token may use within them, seconds after which a request
#: that has left no answer is taken for dead: longer than any request may run.
KEPT_H = 24
KEYS = 20_000
DEAD_S = 120
#: Minutes between two notes of when a token was last used.
USED_EVERY_MIN = 10
IN_FLIGHT = 0

_TOKEN = re.compile(r"dh_([0-9a-f]{16})_([0-9a-f]{64})")


# Tokens ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a token: what its user may see and do, it may."""

    token: str
    viewer: Viewer


def new_token(connection: Connection, *, user: str, name: str, now: datetime, days: int | None) -> str:
    """A token for this user, to be shown once: only the hash of its secret is kept."""
    token_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    connection.execute(
        insert(ApiToken).values(
            id=token_id,
            name=name[:200],
            user=user,
            secret_sha256=_digest(secret),
            expires_at=None if days is None else now + timedelta(days=days),
            created_at=now,
        )
    )
    return f"dh_{token_id}_{secret}"


def caller(connection: Connection, token: str, now: datetime) -> tuple[Caller, bool] | None:
    """Who calls with this token, and whether its use should be noted; None when it is not valid (any more)."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    row = connection.execute(
        select(
            ApiToken.user, ApiToken.secret_sha256, ApiToken.expires_at, ApiToken.revoked_at, ApiToken.last_used_at
        ).where(ApiToken.id == match[1])
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_sha256, _digest(match[2])):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    viewer = people.viewer(connection, row.user)
    if viewer is None:
        return None
    stale = row.last_used_at is None or now - row.last_used_at > timedelta(minutes=USED_EVERY_MIN)
    return Caller(match[1], viewer), stale


def note_use(connection: Connection, token: str, now: datetime) -> None:
    connection.execute(update(ApiToken).where(ApiToken.id == token).values(last_used_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# Requests that may be repeated -----------------------------------------------------------------------------------


class TooManyKeys(Exception):
    """This token has used too many Idempotency-Keys within a day. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands under a key: the request it was used for, and its answer (`status` 0: still under way)."""

    request_sha256: str
    status: int
    body: Mapping[str, Any]


def claim_key(connection: Connection, token: str, key: str, request_sha256: str, now: datetime) -> Kept | None:
    """Take the key for this request; None when it is ours now, else what stands there. Raises `TooManyKeys`."""
    mine = IdempotencyKey.principal == token
    # A request that died before it could answer has changed nothing: its effect and its answer are one transaction.
    dead = and_(IdempotencyKey.status == IN_FLIGHT, IdempotencyKey.created_at < now - timedelta(seconds=DEAD_S))
    connection.execute(
        delete(IdempotencyKey).where(
            mine, or_(IdempotencyKey.created_at < now - timedelta(hours=KEPT_H), and_(dead, IdempotencyKey.key == key))
        )
    )
    used = connection.execute(select(func.count()).select_from(IdempotencyKey).where(mine)).scalar_one()
    if used >= KEYS:
        raise TooManyKeys(f"At most {KEYS:,} Idempotency-Keys may be used within {KEPT_H} hours")
    taken = connection.execute(
        upsert(connection, IdempotencyKey)
        .values(principal=token, key=key, request_sha256=request_sha256, status=IN_FLIGHT, body={}, created_at=now)
        .on_conflict_do_nothing(index_elements=["principal", "key"])
        .returning(IdempotencyKey.key)
    ).one_or_none()
    if taken is not None:
        return None
    row = connection.execute(
        select(IdempotencyKey.request_sha256, IdempotencyKey.status, IdempotencyKey.body).where(
            mine, IdempotencyKey.key == key
        )
    ).one()
    return Kept(row.request_sha256, row.status, row.body)


def keep_answer(
    connection: Connection, token: str, key: str, claimed_at: datetime, status: int, body: Mapping[str, Any]
) -> bool:
    """Store the answer with what it answers, in one transaction. False when the claim has passed to another."""
    done = connection.execute(
        update(IdempotencyKey)
        .where(_claim(token, key, claimed_at))
        .values(status=status, body=dict(body))
        .returning(IdempotencyKey.key)
    )
    return done.one_or_none() is not None


def release_key(connection: Connection, token: str, key: str, claimed_at: datetime) -> None:
    """Give the key back after a refusal: nothing was done, so the caller may mend the request and use it again."""
    connection.execute(delete(IdempotencyKey).where(_claim(token, key, claimed_at)))


def _claim(token: str, key: str, claimed_at: datetime) -> ColumnElement[bool]:
    return and_(
        IdempotencyKey.principal == token,
        IdempotencyKey.key == key,
        IdempotencyKey.status == IN_FLIGHT,
        IdempotencyKey.created_at == claimed_at,
    )


# Tickets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page of tickets is narrowed to; None does not narrow."""

    kind: str | None = None
    status: str | None = None
    priority: str | None = None
    team: str | None = None
    brand: str | None = None
    tag: str | None = None
    assignee: str | None = None
    customer: str | None = None  # an e-mail address
    text: str | None = None  # words of subject or messages
    updated_after: datetime | None = None
    before: int | None = None
    limit: int = 50


def tickets(connection: Connection, viewer: Viewer, wanted: Wanted) -> list[int]:
    """Numbers of visible tickets, newest first; one more than `limit` when there are more."""
    parts: list[ColumnElement[bool]] = [visible(viewer)]
    for column, value in (
        (WorkItem.kind, wanted.kind),
        (WorkItem.status, wanted.status),
        (WorkItem.priority, wanted.priority),
        (WorkItem.team, wanted.team),
        (WorkItem.brand, wanted.brand),
    ):
        if value is not None:
            parts.append(column == value)
    if wanted.tag is not None:
        parts.append(holds(connection, WorkItem.tags, wanted.tag))
    if wanted.assignee is not None:
        parts.append(holds(connection, WorkItem.assignees, wanted.assignee))
    if wanted.customer is not None:
        of_address = select(PersonAddress.person_id).where(PersonAddress.address == wanted.customer.strip().lower())
        parts.append(WorkItem.customer.in_(of_address))
    if wanted.text is not None:
        parts.append(search.mentions(connection, wanted.text))
    if wanted.updated_after is not None:
        parts.append(WorkItem.updated_at > wanted.updated_after)
    if wanted.before is not None:
        parts.append(WorkItem.id < wanted.before)
    return list(
        connection.execute(
            select(WorkItem.id).where(*parts).order_by(WorkItem.id.desc()).limit(wanted.limit + 1)
        ).scalars()
    )


def run(connection: Connection, viewer: Viewer, run_id: int) -> AnyRow | None:
    """A run of a script on a visible ticket, or None."""
    row = connection.execute(select(RunRow.__table__).where(RunRow.id == run_id)).one_or_none()
    if row is not None:
        read_item(connection, row.item_id, viewer=viewer)
    return row


def location_exists(connection: Connection, key: str) -> bool:
    return connection.execute(select(Location.key).where(Location.key == key)).first() is not None


# Users, for the commands -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who works here, as `flask user list` shows them."""

    key: str
    name: str
    email: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    active: bool


def colleagues(connection: Connection) -> list[Colleague]:
    """Everybody who works here, by key."""
    teams: dict[str, list[str]] = {}
    for row in connection.execute(select(TeamMember.user, TeamMember.team).order_by(TeamMember.team)):
        teams.setdefault(row.user, []).append(row.team)
    rows = connection.execute(select(User.key, User.name, User.email, User.roles, User.active).order_by(User.key))
    return [
        Colleague(row.key, row.name, row.email, tuple(row.roles), tuple(teams.get(row.key, ())), row.active)
        for row in rows
    ]


def user_exists(connection: Connection, key: str, email: str) -> bool:
    taken = select(User.key).where(or_(User.key == key, func.lower(User.email) == email.lower()))
    return connection.execute(taken).first() is not None


def add_user(connection: Connection, *, teams: tuple[str, ...], **values: Any) -> None:
    """A new user in these teams."""
    connection.execute(insert(User).values(brands=[], locations=[], **values))
    for team in teams:
        connection.execute(insert(TeamMember).values(team=team, user=values["key"]))
