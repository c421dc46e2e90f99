"""The parts, put together: the only place where settings become objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from connectors.addresses import AddressCeiling
from connectors.gateway import Gateway
from connectors.secrets import SecretBox
from jobs.live import Live
from jobs.queues import Queues
from jobs.settings import Settings
from sandbox.client import Sandbox
from tickets.db import Database
from tickets.values import utc_now

#: Seconds a Redis call may take. Redis carries hints only; nobody waits long for one.
REDIS_TIMEOUT_S = 2


class Clock(Protocol):
    """Where the present moment comes from."""

    def now(self) -> datetime:
        """Now, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return utc_now()


class ShiftedClock:
    """The machine's clock, off by as many seconds as a file says: for ./run chaos, in which clocks jump."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        try:
            off_s = float(self._file.read_text() or 0)
        except (OSError, ValueError):
            off_s = 0.0  # not there, or being written
        return utc_now() + timedelta(seconds=off_s)


def clock_of_process(environ: Mapping[str, str] = os.environ) -> Clock:
    """The machine's clock; in ./run chaos the one that DESKHAND_TEST_CLOCK names."""
    file = environ.get("DESKHAND_TEST_CLOCK", "")
    return ShiftedClock(Path(file)) if file else SystemClock()


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a worker or the web needs, built once per process."""

    settings: Settings
    db: Database
    redis: Redis
    queues: Queues
    sandbox: Sandbox
    box: SecretBox
    gateway: Gateway
    live: Live = field(default_factory=Live)
    clock: Clock = field(default_factory=SystemClock)

    def close(self) -> None:
        self.db.close()
        self.redis.close()


def connect_redis(url: str) -> Redis:
    """A client that gives up soon; the worker's own blocking connection is another one."""
    return quick_redis(url, timeout_s=REDIS_TIMEOUT_S)


def quick_redis(url: str, *, timeout_s: float) -> Redis:
    """A client that waits this long for an answer, once.

    The library's own would try a silent server four times. A connection that was cut is opened anew, once: after a
    restart of Redis every connection in the pool is such a one."""
    retry = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
    # No `driver_info`: for each new connection the library would look up its own version in the file system and tell
    # the server of it in two more commands, which costs more than all the rest of connecting.
    client: Redis = Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry, driver_info=None
    )
    return client


def build(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Put the parts together. Opens no connection yet, so it works while PostgreSQL or Redis is still away."""
    db = Database(settings.database)
    redis = connect_redis(settings.redis)
    box = SecretBox(settings.keys.sealing)
    allowed = [one.strip() for one in settings.address_ceiling.split(",") if one.strip()]
    ceiling = AddressCeiling(allowed, own_addresses=own_addresses(settings))
    chosen = clock or clock_of_process()
    return Services(
        settings=settings,
        db=db,
        redis=redis,
        queues=Queues(redis),
        sandbox=Sandbox(settings.sandbox, settings.script_limits),
        box=box,
        gateway=Gateway(db, redis, box, ceiling, now=chosen.now),
        clock=chosen,
    )


def own_addresses(settings: Settings) -> list[str]:
    """host:port of our own servers: no connection may reach them, whatever the ceiling says."""
    own = [f"127.0.0.1:{settings.port}"]
    for url, default in ((settings.database, 5432), (settings.redis, 6379)):
        parts = urlsplit(url)
        if parts.hostname:
            own.append(f"{parts.hostname}:{parts.port or default}")
    return own
