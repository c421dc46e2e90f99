"""Connections, their sealed credentials, the answers they gave, and the audit of what was asked.

Answers are append-only: the newest row of a key is the stored record, older ones are what decisions were made from.
The key holds the version of the connection's configuration, so an answer never outlives the settings it was given
under, and never reaches a caller with other credentials. A change made through a connection is counted, and an answer
from before it is used by nobody any more, in no process: it may say what the change made untrue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import Connection, Index, String, Table, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from connectors.errors import BadConfig, ConnectorError, Problem, UnknownConnection
from connectors.records import AnswerField
from connectors.registry import CONNECTORS
from connectors.secrets import SecretBox
from connectors.system import FormField, Input, System, form_fields, read_config
from tickets.db import Base
from tickets.prepared import Prepared
from tickets.values import JSON, json_problem

#: A connection's name is the word scripts and tables use for it.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Names that scripts already give to something else.
RESERVED_NAMES = frozenset(
    {"context", "customer", "datetime", "decimal", "event", "history", "item", "json", "log", "lookups", "math"}
    | {"message", "now", "params", "print", "random", "re", "run", "stop", "ticket"}
)
#: Most connections one installation has.
MAX_CONNECTIONS = 200


class ConnectionTable(Base):
    """A configured system. `config` holds no secret; `secrets` is ciphertext."""

    __tablename__ = "connections"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(String(120))
    config: Mapped[dict[str, Any]]
    secrets: Mapped[str] = mapped_column(Text)
    config_version: Mapped[int]
    enabled: Mapped[bool]
    allow_write: Mapped[bool]
    needs_reauth: Mapped[bool]
    #: Changes made through it, or that may have been. Each makes the answers from before it worthless.
    writes: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RecordTable(Base):
    """One answer. `data` is {"v": answer}: an answer may be null, and a null column would read as "no row"."""

    __tablename__ = "connector_records"
    __table_args__ = (Index("ix_connector_records_key_id", "key", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    connection: Mapped[str] = mapped_column(String(40))
    operation: Mapped[str] = mapped_column(String(80))
    inputs_hash: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]
    truncated: Mapped[bool]
    external_url: Mapped[str] = mapped_column(String(500))
    fetched_at: Mapped[datetime] = mapped_column(index=True)
    fresh_until: Mapped[datetime]
    stale_until: Mapped[datetime]
    #: How many changes had been made through the connection when it was asked.
    writes: Mapped[int] = mapped_column(default=0, server_default="0")


class CallTable(Base):
    """One call that left, or was refused on its way. Inputs are masked; answers are not kept here."""

    __tablename__ = "connector_calls"
    __table_args__ = (Index("ix_connector_calls_connection_at", "connection", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    connection: Mapped[str] = mapped_column(String(40))
    operation: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(8))  # read | write | test
    cause: Mapped[str] = mapped_column(String(200))
    inputs: Mapped[dict[str, Any]]
    inputs_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(40))  # ok | none | stale | a ConnectorError's code
    error: Mapped[str] = mapped_column(String(500))
    http_status: Mapped[int | None]
    ms: Mapped[int]
    requests: Mapped[int]
    answer_bytes: Mapped[int]
    request_id: Mapped[str] = mapped_column(String(120))


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection as pages and callers see it: which secrets are set, never what they are."""

    id: int
    name: str
    kind: str
    label: str
    config: Mapping[str, JSON]
    secrets_set: tuple[str, ...]
    config_version: int
    enabled: bool
    allow_write: bool
    needs_reauth: bool
    writes: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """One thing a table or a script may ask: `<connection>.<name>(inputs)`.

    `bind` is where each input comes from when a table column asks, e.g. {"email": "customer.email"}; an operation whose
    required inputs are not all bound cannot be a column. With `many` the answer is a list of records with these
    `fields`; otherwise one record, or nothing."""

    connection: str
    connection_label: str
    name: str
    label: str
    kind: str  # read | write
    inputs: tuple[Input, ...]
    bind: Mapping[str, str]
    fields: Mapping[str, AnswerField]
    many: bool
    record: str
    doc: str
    cache_s: float
    timeout_s: float
    allowed: bool  # False for a write on a connection that may not write, or a switched-off connection


@dataclass(frozen=True, slots=True)
class StoredRecord:
    id: int
    data: JSON
    truncated: bool
    external_url: str
    inputs_hash: str
    fetched_at: datetime
    fresh_until: datetime
    stale_until: datetime
    writes: int


_CONNECTIONS = cast("Table", ConnectionTable.__table__)
_RECORDS = cast("Table", RecordTable.__table__)
_CALLS = cast("Table", CallTable.__table__)
# Every page about rules reads them, and so does every worker after each publish.
_READ_CONNECTIONS = Prepared(select(_CONNECTIONS).order_by(_CONNECTIONS.c.name).limit(MAX_CONNECTIONS))
_READ_NAMED = Prepared(select(_CONNECTIONS).where(_CONNECTIONS.c.name == bindparam("named")))


def connections(connection: Connection) -> list[ConnectionInfo]:
    """Every connection, by name."""
    return [_info(row) for row in _READ_CONNECTIONS.all(connection, {})]


def connection_named(connection: Connection, name: str) -> ConnectionInfo:
    """Raises `UnknownConnection`."""
    row = _READ_NAMED.one_or_none(connection, {"named": name})
    if row is None:
        raise UnknownConnection(f"There is no connection {name!r}")
    return _info(row)


def save_connection(
    connection: Connection,
    box: SecretBox,
    *,
    name: str,
    kind: str,
    config: Mapping[str, JSON],
    label: str = "",
    enabled: bool = True,
    allow_write: bool = False,
    now: datetime,
) -> ConnectionInfo:
    """Make the connection `name` or change it, and start a new version: answers stored under older ones are not used.

    `config` is the form: a secret left blank keeps the stored one, unless the address or the way of signing in
    changed, for then a stored secret would be sent to a place it was not given for. Raises `BadConfig` with every
    problem; nothing is saved then."""
    problems: list[Problem] = []
    if not NAME.fullmatch(name):
        problems.append(Problem("name", "must be a lower-case letter, then up to 39 letters, digits or _"))
    elif name in RESERVED_NAMES:
        problems.append(Problem("name", f"{name!r} already means something else in scripts; take another"))
    if len(label) > 120:
        problems.append(Problem("label", "is longer than 120 characters"))
    if kind not in CONNECTORS:
        problems.append(Problem("kind", f"must be one of {', '.join(CONNECTORS)}"))
        raise BadConfig(problems)
    old = connection.execute(select(_CONNECTIONS).where(_CONNECTIONS.c.name == name)).one_or_none()
    if old is not None and old.kind != kind:
        problems.append(Problem("kind", f"{name} is of kind {old.kind}; delete it before making another"))
    total = connection.execute(select(func.count()).select_from(_CONNECTIONS)).scalar_one()
    if old is None and total >= MAX_CONNECTIONS:
        problems.append(Problem("name", f"there are already {MAX_CONNECTIONS} connections"))

    config_class = CONNECTORS[kind].Config
    values = dict(config)
    blank = [one for one in config_class.secret_names() if values.get(one) in (None, "")]
    for one in blank:
        values.pop(one, None)
    if old is not None and blank and old.kind == kind:
        stored = _readable(box, str(old.secrets))
        kept = {one: stored[one] for one in blank if one in stored}
        if kept and _destination(config_class, old.config) != _destination(config_class, values):
            problems += [Problem(one, "the address or sign-in changed: enter it again") for one in kept]
        values.update(kept)
    try:
        checked = read_config(config_class, values)
    except BadConfig as error:
        problems += error.problems
    if problems:
        raise BadConfig(problems)
    plain = checked.model_dump(mode="json", exclude=set(config_class.secret_names()))
    wrong = json_problem(plain, "config")
    if wrong:
        raise BadConfig([Problem("config", wrong)])
    row = {
        "kind": kind,
        "label": label or name,
        "config": plain,
        "secrets": box.seal(checked.secrets()) if checked.secrets() else "",
        "enabled": enabled,
        "allow_write": allow_write,
        "needs_reauth": False,
        "updated_at": now,
    }
    if old is None:
        connection.execute(insert(_CONNECTIONS).values(name=name, config_version=1, created_at=now, **row))
    else:
        version = _CONNECTIONS.c.config_version + 1
        connection.execute(
            update(_CONNECTIONS).where(_CONNECTIONS.c.id == old.id).values(config_version=version, **row)
        )
    return connection_named(connection, name)


def delete_connection(connection: Connection, name: str) -> None:
    """Forget the connection, its credentials and its answers; the audit stays. Raises `UnknownConnection`."""
    if connection.execute(delete(_CONNECTIONS).where(_CONNECTIONS.c.name == name)).rowcount == 0:
        raise UnknownConnection(f"There is no connection {name!r}")
    connection.execute(delete(_RECORDS).where(_RECORDS.c.connection == name))


def describe(connections: Iterable[ConnectionInfo]) -> list[OperationInfo]:
    """What may be asked of these connections, in their order. One whose stored settings no longer read has none."""
    described: list[OperationInfo] = []
    for one in connections:
        system = system_of(one)
        if system is None:
            continue
        for operation in system.operations().values():
            described.append(
                OperationInfo(
                    connection=one.name,
                    connection_label=one.label,
                    name=operation.name,
                    label=operation.label,
                    kind=operation.kind,
                    inputs=operation.inputs,
                    bind={put.name: put.bind for put in operation.inputs if put.bind},
                    fields=operation.fields,
                    many=operation.many,
                    record=operation.record,
                    doc=operation.doc,
                    cache_s=operation.cache_s,
                    timeout_s=operation.timeout_s,
                    allowed=one.enabled and (operation.kind == "read" or one.allow_write),
                )
            )
    return described


def form(kind: str) -> list[FormField]:
    """The fields of the form for a connection of this kind."""
    return form_fields(CONNECTORS[kind].Config)


def system_of(info: ConnectionInfo, secrets: Mapping[str, str] | None = None) -> System | None:
    """The system with this configuration, or None when its kind is gone or its settings no longer read.

    Without `secrets` it can only describe itself: secrets are then placeholders."""
    kind = CONNECTORS.get(info.kind)
    if kind is None:
        return None
    values: dict[str, Any] = dict(info.config)
    for name in kind.Config.secret_names():
        if secrets is not None:
            if name in secrets:
                values[name] = SecretStr(secrets[name])
        elif name in info.secrets_set:
            values[name] = SecretStr("not loaded")
    try:
        return kind(read_config(kind.Config, values))
    except BadConfig:
        return None


def sealed_secrets(connection: Connection, name: str) -> str:
    """The ciphertext of a connection's secrets. For the gateway. Raises `UnknownConnection`."""
    found = connection.execute(select(_CONNECTIONS.c.secrets).where(_CONNECTIONS.c.name == name)).scalar_one_or_none()
    if found is None:
        raise UnknownConnection(f"There is no connection {name!r}")
    return str(found)


def rotate_secrets(connection: Connection, box: SecretBox) -> int:
    """Seal every connection's secrets with the box's first key; how many there were. Raises `SecretsUnreadable`."""
    rows = connection.execute(select(_CONNECTIONS.c.id, _CONNECTIONS.c.secrets)).all()
    for row in rows:
        sealed = box.rotate(row.secrets)
        connection.execute(update(_CONNECTIONS).where(_CONNECTIONS.c.id == row.id).values(secrets=sealed))
    return len(rows)


def set_needs_reauth(connection: Connection, name: str, config_version: int, needs: bool) -> bool:
    """Mark whether a person must enter new credentials; True when that changed, so that it is told once.

    Only for this version: a late 401 must not spoil credentials entered in the meantime."""
    table = _CONNECTIONS
    done = connection.execute(
        update(table)
        .where(table.c.name == name, table.c.config_version == config_version, table.c.needs_reauth.is_(not needs))
        .values(needs_reauth=needs)
    )
    return done.rowcount == 1


def newest_record(connection: Connection, key: str) -> StoredRecord | None:
    row = connection.execute(
        select(_RECORDS).where(_RECORDS.c.key == key).order_by(_RECORDS.c.id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    return StoredRecord(
        row.id,
        row.data["v"],
        row.truncated,
        row.external_url,
        row.inputs_hash,
        row.fetched_at,
        row.fresh_until,
        row.stale_until,
        row.writes,
    )


def count_write(connection: Connection, name: str) -> None:
    """Note that something was, or may have been, changed through this connection: answers from before are not used."""
    connection.execute(update(_CONNECTIONS).where(_CONNECTIONS.c.name == name).values(writes=_CONNECTIONS.c.writes + 1))


def add_record(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(_RECORDS).values(**row))


def add_call(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(_CALLS).values(**row))


def last_calls(connection: Connection, name: str, *, limit: int = 50) -> Sequence[Any]:
    """The newest audit rows of a connection, newest first; at most 500."""
    return connection.execute(
        select(_CALLS).where(_CALLS.c.connection == name).order_by(_CALLS.c.id.desc()).limit(min(limit, 500))
    ).all()


def call_figures(connection: Connection, name: str, now: datetime) -> tuple[Any, Any, int, int]:
    """(newest good call's time, newest failed call's row, calls since 00:00 UTC, failures among them)."""
    of_it = _CALLS.c.connection == name
    good = _CALLS.c.status.in_(("ok", "none"))
    last_good = connection.execute(
        select(_CALLS.c.at).where(of_it, good).order_by(_CALLS.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    last_bad = connection.execute(
        select(_CALLS.c.at, _CALLS.c.error).where(of_it, ~good).order_by(_CALLS.c.id.desc()).limit(1)
    ).one_or_none()
    midnight = now - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    today = connection.execute(
        select(func.count(), func.count().filter(~good)).where(of_it, _CALLS.c.at >= midnight)
    ).one()
    return last_good, last_bad, int(today[0]), int(today[1])


def _info(row: Any) -> ConnectionInfo:
    kind = CONNECTORS.get(row.kind)
    return ConnectionInfo(
        id=row.id,
        name=row.name,
        kind=row.kind,
        label=row.label,
        config=row.config,
        secrets_set=tuple(kind.Config.secret_names()) if kind is not None and row.secrets else (),
        config_version=row.config_version,
        enabled=row.enabled,
        allow_write=row.allow_write,
        needs_reauth=row.needs_reauth,
        writes=row.writes,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _readable(box: SecretBox, sealed: str) -> dict[str, str]:
    """The stored secrets, or none when they belong to a lost key: the form then asks for them like the first time."""
    try:
        return box.open(sealed)
    except ConnectorError:
        return {}


def _destination(config_class: Any, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where a secret would go: scheme, host, port, and whatever else decides how it is sent."""
    parts = urlsplit(str(values.get("base_url", "")).strip())
    default = {"https": 443, "http": 80}.get(parts.scheme)
    try:
        port = parts.port or default
    except ValueError:
        port = None
    how = []
    for name in ("auth", "header_name", "username", "database"):
        if name in config_class.model_fields:
            how.append(values.get(name) or config_class.model_fields[name].default)
    return (parts.scheme, (parts.hostname or "").casefold(), port, *how)
