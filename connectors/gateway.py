"""The one door to connected systems: every question passes the same steps, whoever asks.

permission → inputs → stored record still fresh? → one flight per question → breaker → rate limit → guarded request
→ size cap → parse → map → allow-list → store → audit

A change made through a connection, or one that may have been made, ends the use of every answer it gave before.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from redis import Redis

from connectors import store
from connectors.addresses import AddressCeiling, entry
from connectors.errors import (
    BadAnswer,
    BadRequest,
    ConnectorError,
    CredentialsRejected,
    NotGranted,
    Permanent,
    Retryable,
    TimedOut,
    Unclear,
    UnknownOperation,
)
from connectors.http import Deadline, Exchange, Http, Resolve, Way, system_resolve
from connectors.secrets import Scrubber, SecretBox
from connectors.store import ConnectionInfo, StoredRecord
from connectors.system import NONE_CACHE_S, Call, Operation, Result, System, check_args, fingerprint, only
from connectors.traffic import ConnectionTokens, Traffic
from tickets.db import Database
from tickets.values import JSON, json_problem, utc_now

log = logging.getLogger(__name__)

#: Longest deadline a caller may give, in seconds.
MAX_DEADLINE_S = 120.0
#: How much of an answer a connection test shows, in characters.
MAX_SHOWN_CHARS = 2_000
#: Largest stored answer, in characters of JSON.
MAX_RECORD_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """An answer and where it comes from. `data` None = the system has no such record.

    `cache`: "miss" = asked just now; "fresh" = stored and still fresh; "stale" = past its time, handed out because the
    system does not answer."""

    data: JSON
    connection: str
    operation: str
    fetched_at: datetime
    fresh_until: datetime
    cache: Literal["fresh", "stale", "miss"]
    truncated: bool
    external_url: str
    writes: int  # changes that had been made through the connection when it was asked


@dataclass(frozen=True, slots=True)
class TestResult:
    """What testing a connection showed. `reading` is the plain reading of it; `body` is scrubbed and cut to 2 000
    characters."""

    __test__ = False

    ok: bool
    reading: str
    request_line: str
    status: int | None
    ms: int
    body: str
    error: str = ""  # the ConnectorError's code, "" when it went well


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """How a connection fares. Days begin at 00:00 UTC; answers from the store are not calls."""

    name: str
    label: str
    kind: str
    enabled: bool
    needs_reauth: bool
    last_success: datetime | None
    last_error: str
    last_error_at: datetime | None
    breaker: str  # closed | open | half-open
    calls_today: int
    failures_today: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A connection ready to be asked."""

    info: ConnectionInfo
    system: System
    way: Way
    tokens: ConnectionTokens

    @property
    def key(self) -> str:
        return f"{self.info.name}:{self.info.config_version}"

    def outdated(self, asked: Operation, stored: StoredRecord) -> bool:
        """Whether something was changed there since this answer."""
        return asked.kind == "read" and stored.writes < self.info.writes


class Gateway:
    """Asks connected systems. Safe to use from many threads; holds no connection state of its own."""

    def __init__(
        self,
        db: Database,
        redis: Redis | None,
        secrets: SecretBox,
        ceiling: AddressCeiling,
        *,
        now: Callable[[], datetime] = utc_now,
        resolve: Resolve = system_resolve,
        ca_file: Path | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """`ca_file` holds the certificate authorities to trust instead of the public ones. Without Redis, flights,
        breakers and limits hold inside this process only."""
        self._db = db
        self._secrets = secrets
        self._ceiling = ceiling
        self._now = now
        self._resolve = resolve
        self._ca_file = ca_file
        self._traffic = traffic or Traffic(redis, secrets)

    def call(
        self,
        connection: str,
        operation: str,
        args: Mapping[str, JSON],
        *,
        deadline_s: float,
        cause: str,
        allow_write: bool = False,
        max_age_s: float | None = None,
        idempotency_key: str = "",
        sent_before: bool = False,
    ) -> Record:
        """Ask one question and have the answer within `deadline_s` seconds.

        `cause` says who asks, for the audit, e.g. "table A01@3/r2". `max_age_s` wants an answer no older than that;
        0 asks the system itself. A write needs the connection, the operation and `allow_write` to agree, and an
        `idempotency_key`: the same key is sent once and its answer handed out again. `sent_before` says that an earlier
        try under this key may have got as far as sending: only what may be repeated is then sent again, and a write
        that may not raises `Unclear`, as does one whose own try leaves open whether it was carried out.
        Raises `ConnectorError`; a stored answer that may still be used is returned, marked stale, instead of a
        `Retryable`."""
        if not deadline_s > 0:
            raise TimedOut("There is no time left to ask")
        started = time.monotonic()
        loaded = self._load(connection)
        asked = loaded.system.operations().get(operation)
        if asked is None:
            names = ", ".join(sorted(loaded.system.operations()))
            raise UnknownOperation(f"{connection} has no operation {operation!r}. It has: {names}")
        deadline = Deadline(min(deadline_s, MAX_DEADLINE_S, asked.timeout_s))
        refused: ConnectorError | None = None
        clean: dict[str, JSON] = {}
        try:
            self._permit(loaded.info, asked, allow_write, idempotency_key)
            clean = check_args(asked, args)
        except ConnectorError as error:
            refused = error
        if refused is not None:
            self._audit(connection, operation, asked.kind, cause, {}, "", refused, "", 0, Exchange())
            raise refused
        inputs_hash = fingerprint(clean)
        if asked.kind == "write":
            told = hashlib.sha256(idempotency_key.encode()).hexdigest()
            key = f"{loaded.key}:{operation}:write:{told}"
        else:
            key = f"{loaded.key}:{operation}:{inputs_hash}"

        stored = self._stored(key)
        if stored is not None and self._usable(loaded, asked, stored, inputs_hash, max_age_s):
            return self._record(loaded.info, operation, stored, "fresh")
        known = stored.id if stored is not None else 0
        exchange = Exchange()
        failure: ConnectorError
        try:
            with self._traffic.flight(key, deadline):
                stored = self._stored(key)
                # An answer that arrived while we waited is as young as ours would be, however young it was wanted.
                if stored is not None and (
                    (stored.id > known and not loaded.outdated(asked, stored))
                    or self._usable(loaded, asked, stored, inputs_hash, max_age_s)
                ):
                    return self._record(loaded.info, operation, stored, "fresh")
                if loaded.info.needs_reauth:
                    # Not sent again and again: many systems lock an account after a few wrong passwords.
                    raise CredentialsRejected(
                        f"{loaded.way.label} refused our credentials before. Nothing was sent; enter new ones."
                    )
                if sent_before and asked.kind == "write" and not asked.repeatable:
                    raise Unclear(
                        f"{loaded.info.label} may have carried out {asked.name} already: we were interrupted while it "
                        "was being sent. It was not sent again, for that could do it twice."
                    )
                result = self._ask(loaded, asked, clean, deadline, idempotency_key, exchange)
                stored = self._keep(key, loaded, asked, clean, inputs_hash, result, cause, started, exchange)
            return self._record(loaded.info, operation, stored, "miss")
        except ConnectorError as error:
            failure = _judged(loaded.info, asked, exchange, error)
        self._after_failure(loaded, asked, clean, inputs_hash, failure, cause, started, exchange)
        if (
            isinstance(failure, (Retryable, CredentialsRejected, BadAnswer))
            and asked.kind == "read"
            and stored is not None
            and not loaded.outdated(asked, stored)
            and self._now() < stored.stale_until
            and (max_age_s is None or self._now() < stored.fetched_at + timedelta(seconds=max_age_s))
        ):
            return self._record(loaded.info, operation, stored, "stale")
        raise failure

    def test(self, connection: str, *, deadline_s: float = 10) -> TestResult:
        """Ask the system one harmless question and tell what happened in plain words; nothing is stored but the audit.

        Goes past breaker and store, and clears "needs new credentials" when they work.
        Raises `UnknownConnection`; every other failure is in the result."""
        started = time.monotonic()
        exchange = Exchange()
        failure: ConnectorError | None = None
        said = ""
        info: ConnectionInfo | None = None
        scrubber = Scrubber(())
        try:
            loaded = self._load(connection, even_disabled=True)
            info, scrubber = loaded.info, loaded.way.scrubber
            loaded.tokens.drop()
            deadline = Deadline(min(max(deadline_s, 0.1), MAX_DEADLINE_S))
            with Http(loaded.way, deadline) as http:
                exchange = http.exchange
                said = loaded.system.probe(Call({}, http, loaded.tokens))
        except ConnectorError as error:
            failure = error
        if info is None:
            with self._db.read() as db:
                info = store.connection_named(db, connection)
        ms = round((time.monotonic() - started) * 1000)
        self._audit(info.name, "test", "test", "test", {}, "", failure, "ok", ms, exchange)
        if failure is None:
            self._set_needs_reauth(info, False)
        elif isinstance(failure, CredentialsRejected) and failure.status == 401:
            self._set_needs_reauth(info, True)
        body = exchange.body[: 4 * MAX_SHOWN_CHARS].decode("utf-8", "replace")
        return TestResult(
            ok=failure is None,
            reading=failure.sentence if failure is not None else said,
            request_line=exchange.request_line,
            status=exchange.status,
            ms=ms,
            body=scrubber.text(body)[:MAX_SHOWN_CHARS],
            error=failure.code if failure is not None else "",
        )

    def health(self) -> list[ConnectionHealth]:
        """How every connection fares, by name."""
        now = self._now()
        found: list[ConnectionHealth] = []
        with self._db.read() as db:
            figures = [(info, store.call_figures(db, info.name, now)) for info in store.connections(db)]
        for info, (last_good, last_bad, calls, failures) in figures:
            found.append(
                ConnectionHealth(
                    name=info.name,
                    label=info.label,
                    kind=info.kind,
                    enabled=info.enabled,
                    needs_reauth=info.needs_reauth,
                    last_success=last_good,
                    last_error=last_bad.error if last_bad is not None else "",
                    last_error_at=last_bad.at if last_bad is not None else None,
                    breaker=self._traffic.breaker_state(f"{info.name}:{info.config_version}"),
                    calls_today=calls,
                    failures_today=failures,
                )
            )
        return found

    # The steps

    def _load(self, name: str, *, even_disabled: bool = False) -> _Loaded:
        with self._db.read() as db:
            info = store.connection_named(db, name)
            sealed = store.sealed_secrets(db, name)
        if not info.enabled and not even_disabled:
            raise NotGranted(f"The connection {info.label} is switched off. Nothing was sent.")
        secrets = self._secrets.open(sealed)
        system = store.system_of(info, secrets)
        if system is None:
            raise NotGranted(f"The settings of {info.label} no longer read. Open the connection and save it again.")
        config = system.config
        key = f"{info.name}:{info.config_version}"
        way = Way(
            label=info.label,
            base_url=config.base_url,
            ceiling=self._ceiling,
            narrowed=tuple(entry(text) for text in config.allowed_addresses),
            scrubber=Scrubber(secrets.values()),
            resolve=self._resolve,
            ca_file=self._ca_file,
            before_request=lambda: self._traffic.take(info.name, info.label, config.calls_per_minute),
        )
        return _Loaded(info, system, way, ConnectionTokens(self._traffic, key))

    def _permit(self, info: ConnectionInfo, asked: Operation, allow_write: bool, idempotency_key: str) -> None:
        if asked.kind == "read":
            return
        if not info.allow_write:
            raise NotGranted(
                f"{info.label} may only be read. Nothing was sent; allow writing on its page if you mean it."
            )
        if not allow_write:
            raise NotGranted(f"{asked.name} changes {info.label}, and this caller may only read. Nothing was sent.")
        if not idempotency_key:
            raise BadRequest(f"{asked.name} changes {info.label} and needs an idempotency key. Nothing was sent.")

    def _stored(self, key: str) -> StoredRecord | None:
        with self._db.read() as db:
            return store.newest_record(db, key)

    def _usable(
        self, loaded: _Loaded, asked: Operation, stored: StoredRecord, inputs_hash: str, max_age_s: float | None
    ) -> bool:
        if asked.kind == "write":
            if stored.inputs_hash != inputs_hash:
                raise BadRequest(f"{asked.name}: this idempotency key was used with other inputs. Nothing was sent.")
            return True
        if loaded.outdated(asked, stored):
            return False
        now = self._now()
        if max_age_s is not None and stored.fetched_at + timedelta(seconds=max_age_s) <= now:
            return False
        return now < stored.fresh_until

    def _ask(
        self,
        loaded: _Loaded,
        asked: Operation,
        args: Mapping[str, JSON],
        deadline: Deadline,
        idempotency_key: str,
        exchange: Exchange,
    ) -> Result:
        def ask() -> Result:
            with Http(loaded.way, deadline, repeatable=asked.kind == "read" or asked.repeatable) as http:
                http.exchange = exchange
                return asked.run(Call(args, http, loaded.tokens, idempotency_key))

        result = self._traffic.guarded(loaded.key, loaded.info.label, ask)
        data = loaded.way.scrubber.data(only(asked.fields, result.data))
        problem = json_problem(data, "the answer")
        if problem:
            raise BadAnswer(f"{loaded.info.label}: {problem}")
        if len(json.dumps(data)) > MAX_RECORD_CHARS:
            raise BadAnswer(f"{loaded.info.label}: the answer is longer than {MAX_RECORD_CHARS:,} characters")
        return replace(result, data=data)

    def _keep(
        self,
        key: str,
        loaded: _Loaded,
        asked: Operation,
        args: Mapping[str, JSON],
        inputs_hash: str,
        result: Result,
        cause: str,
        started: float,
        exchange: Exchange,
    ) -> StoredRecord:
        """Store the answer and its audit row in one transaction."""
        now = self._now()
        none = result.data is None
        fresh_s = min(asked.cache_s, NONE_CACHE_S) if none else asked.cache_s
        # "No such customer" does not stand in for a failing system: it would hide one who signed up since.
        stale_s = fresh_s if none else max(asked.stale_s, fresh_s)
        row: dict[str, Any] = {
            "key": key,
            "connection": loaded.info.name,
            "operation": asked.name,
            "inputs_hash": inputs_hash,
            "data": {"v": result.data},
            "truncated": result.truncated,
            "external_url": result.external_url[:500],
            "fetched_at": now,
            "fresh_until": now + timedelta(seconds=fresh_s),
            "stale_until": now + timedelta(seconds=stale_s),
            # As counted before it was asked: a change that came between makes this answer as old as any.
            "writes": loaded.info.writes,
        }
        ms = round((time.monotonic() - started) * 1000)
        audit = _audit_row(
            now, loaded.info.name, asked.name, asked.kind, cause, _masked(args), inputs_hash, None,
            "none" if none else "ok", ms, exchange,
        )  # fmt: skip
        with self._db.write() as db:
            store.add_record(db, row)
            store.add_call(db, audit)
            if asked.kind == "write":
                store.count_write(db, loaded.info.name)
        return StoredRecord(
            0, result.data, result.truncated, result.external_url[:500], inputs_hash, now, row["fresh_until"],
            row["stale_until"], loaded.info.writes,
        )  # fmt: skip

    def _after_failure(
        self,
        loaded: _Loaded,
        asked: Operation,
        args: Mapping[str, JSON],
        inputs_hash: str,
        failure: ConnectorError,
        cause: str,
        started: float,
        exchange: Exchange,
    ) -> None:
        ms = round((time.monotonic() - started) * 1000)
        self._audit(
            loaded.info.name, asked.name, asked.kind, cause, _masked(args), inputs_hash, failure, "", ms, exchange
        )
        if failure.may_be_done:
            with self._db.write() as db:
                store.count_write(db, loaded.info.name)
        if isinstance(failure, CredentialsRejected) and failure.status == 401 and not loaded.info.needs_reauth:
            self._set_needs_reauth(loaded.info, True)

    def _set_needs_reauth(self, info: ConnectionInfo, needs: bool) -> None:
        if info.needs_reauth == needs:
            return
        with self._db.write() as db:
            changed = store.set_needs_reauth(db, info.name, info.config_version, needs)
        if changed:
            level = logging.WARNING if needs else logging.INFO
            log.log(level, "connection.needs_reauth", extra={"connection": info.name, "needs": needs})

    def _audit(
        self,
        connection: str,
        operation: str,
        kind: str,
        cause: str,
        inputs: dict[str, JSON],
        inputs_hash: str,
        failure: ConnectorError | None,
        status: str,
        ms: int,
        exchange: Exchange,
    ) -> None:
        row = _audit_row(
            self._now(), connection, operation, kind, cause, inputs, inputs_hash, failure, status, ms, exchange
        )
        with self._db.write() as db:
            store.add_call(db, row)
        if failure is not None:
            level = logging.WARNING if isinstance(failure, Permanent) else logging.INFO
            log.log(level, "connection.failed", extra={"connection": connection, "error": failure.code, "ms": ms})

    def _record(
        self,
        info: ConnectionInfo,
        operation: str,
        stored: StoredRecord,
        cache: Literal["fresh", "stale", "miss"],
    ) -> Record:
        return Record(
            data=stored.data,
            connection=info.name,
            operation=operation,
            fetched_at=stored.fetched_at,
            fresh_until=stored.fresh_until,
            cache=cache,
            truncated=stored.truncated,
            external_url=stored.external_url,
            writes=stored.writes,
        )


def _judged(info: ConnectionInfo, asked: Operation, exchange: Exchange, failure: ConnectorError) -> ConnectorError:
    """The failure, marked when it was a write that may have been done; `Unclear` where it may not be repeated."""
    if isinstance(failure, Unclear):
        failure.may_be_done = True
        return failure
    if asked.kind == "read" or not (exchange.open or exchange.was_open):
        return failure
    if not asked.repeatable:
        failure = Unclear(
            f"{info.label} may have carried out {asked.name}, or not: {failure.sentence} It is not sent again by "
            "itself, for that could do it twice."
        )
    failure.may_be_done = True
    return failure


def _audit_row(
    at: datetime,
    connection: str,
    operation: str,
    kind: str,
    cause: str,
    inputs: dict[str, JSON],
    inputs_hash: str,
    failure: ConnectorError | None,
    status: str,
    ms: int,
    exchange: Exchange,
) -> dict[str, Any]:
    return {
        "at": at,
        "connection": connection,
        "operation": operation,
        "kind": kind,
        "cause": cause[:200],
        "inputs": inputs,
        "inputs_hash": inputs_hash,
        "status": failure.code if failure is not None else status,
        "error": failure.sentence if failure is not None else "",
        "http_status": exchange.status,
        "ms": ms,
        "requests": exchange.requests,
        "answer_bytes": exchange.size,
        "request_id": exchange.request_id[:120],
    }


def _masked(args: Mapping[str, JSON]) -> dict[str, JSON]:
    """Inputs as the audit shows them: enough to recognise, too little to be a second copy of personal data."""
    return {
        name: f"{value[:2]}…" if isinstance(value, str) else "…" if isinstance(value, Mapping) else value
        for name, value in args.items()
    }
