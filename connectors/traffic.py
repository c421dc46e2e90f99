"""Keeping peace between many callers and one system: one flight per question, a breaker and a limit per connection.

All three are shared through Redis. Redis is a hint here: when it is away they go on inside this process, which asks the
system a little more often and loses nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pybreaker
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis
from redis.exceptions import LockError, RedisError

from connectors.errors import BreakerOpen, RateLimited, SecretsUnreadable, TimedOut, Unavailable
from connectors.http import Deadline
from connectors.secrets import SecretBox

_T = TypeVar("_T")

#: Failures in a row that open a breaker, and how long it then stays open, in seconds.
BREAKER_FAILURES = 5
BREAKER_RESET_S = 30.0
#: How long a Redis that failed is left alone, in seconds: every call would otherwise wait for its timeout again.
REDIS_PAUSE_S = 5.0
#: How long an unused breaker and a signed-in session are remembered, in seconds.
FORGET_BREAKER_S = 86_400
TOKEN_S = 3_600
#: Most breakers and sessions this process remembers on its own; there are at most 200 connections.
MAX_LOCAL = 1_000
PREFIX = "deskhand:connectors"


class Traffic:
    """Shared by all calls of one gateway; safe to use from many threads."""

    def __init__(
        self,
        redis: Redis | None,
        box: SecretBox,
        *,
        breaker_failures: int = BREAKER_FAILURES,
        breaker_reset_s: float = BREAKER_RESET_S,
    ) -> None:
        """Raises `ValueError` for a client that decodes answers: the breaker reads bytes."""
        if redis is not None and redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("The gateway needs a Redis client without decode_responses")
        self._redis = redis
        self._box = box
        self._failures = breaker_failures
        self._reset_s = breaker_reset_s
        self._redis_again_at = 0.0
        self._mutex = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        self._local_breakers: dict[str, pybreaker.CircuitMemoryStorage] = {}
        self._local_trials: dict[str, float] = {}
        self._local_tokens: dict[str, tuple[str, float]] = {}
        self._local_limiter: SlidingWindowCounterRateLimiter | None = None
        self._shared_limiter: SlidingWindowCounterRateLimiter | None = None

    # One flight per question

    @contextlib.contextmanager
    def flight(self, key: str, deadline: Deadline) -> Iterator[None]:
        """Hold the only flight for `key`, in this process and across processes. Raises `TimedOut`.

        Who gets it must look at the stored record again: the one before has usually answered."""
        with self._mutex:
            flight = self._flights.setdefault(key, _Flight())
            flight.users += 1
        try:
            if not flight.lock.acquire(timeout=max(deadline.left_s, 0)):
                raise TimedOut("Another call asks the same question and has no answer yet")
            try:
                with self._shared_flight(key, deadline):
                    yield
            finally:
                flight.lock.release()
        finally:
            with self._mutex:
                flight.users -= 1
                if flight.users == 0:
                    self._flights.pop(key, None)

    @contextlib.contextmanager
    def _shared_flight(self, key: str, deadline: Deadline) -> Iterator[None]:
        lock = None
        redis = self._shared()
        if redis is not None:
            left = max(deadline.left_s, 0.01)
            # Outlives the deadline a little, so that a lost holder does not block the question for long.
            lock = redis.lock(f"{PREFIX}:flight:{key}", timeout=left + 5, blocking_timeout=left, sleep=0.02)
            try:
                if not lock.acquire():
                    raise TimedOut("Another call asks the same question and has no answer yet")
            except RedisError as error:
                self._away(error)
                lock = None
        try:
            yield
        finally:
            if lock is not None:
                with contextlib.suppress(LockError, RedisError):
                    lock.release()

    # The breaker

    def guarded(self, key: str, label: str, ask: Callable[[], _T]) -> _T:
        """Call `ask` unless the breaker of `key` is open. Only time-outs and outages count as failures, and a trial for
        which nothing could be sent: it is no sign that the system is back.

        Raises what `ask` raises, and `BreakerOpen`."""
        storage = self._breaker_storage(key)
        trial = False

        def harmless(error: BaseException) -> bool:
            if isinstance(error, RateLimited) and error.unsent:
                return not trial
            return not isinstance(error, (TimedOut, Unavailable))

        # A breaker object per call: pybreaker holds its lock while it calls, which would queue all calls of a
        # connection behind the slowest. The storage is what is shared.
        breaker = pybreaker.CircuitBreaker(
            fail_max=self._failures,
            reset_timeout=self._reset_s,
            exclude=[harmless],
            state_storage=storage,
            throw_new_error_on_trip=False,
        )
        trial = breaker.current_state != pybreaker.STATE_CLOSED
        if trial and not self._take_trial(key):
            raise self._open(storage, label)
        try:
            return breaker.call(ask)
        except pybreaker.CircuitBreakerError:
            pass
        finally:
            if trial:
                self._end_trial(key)
            redis = self._shared()
            if redis is not None:
                try:
                    self._forget_later(redis, key)
                except RedisError as error:
                    self._away(error)
        raise self._open(storage, label)

    def breaker_state(self, key: str) -> str:
        """ "closed", "open" or "half-open". An open one that may be tried again is half-open."""
        storage = self._breaker_storage(key)
        state = str(storage.state)
        if state == pybreaker.STATE_OPEN and self._left_s(storage) <= 0:
            return str(pybreaker.STATE_HALF_OPEN)
        return state

    def _open(self, storage: pybreaker.CircuitBreakerStorage, label: str) -> BreakerOpen:
        left = max(self._left_s(storage), 1.0)
        return BreakerOpen(
            f"{label} failed {self._failures} times in a row and is left in peace for {left:.0f} s. Nothing was sent.",
            retry_after_s=left,
        )

    def _left_s(self, storage: pybreaker.CircuitBreakerStorage) -> float:
        opened_at = storage.opened_at
        return opened_at.timestamp() + self._reset_s - time.time() if opened_at is not None else 0.0

    def _breaker_storage(self, key: str) -> pybreaker.CircuitBreakerStorage:
        redis = self._shared()
        if redis is not None:
            namespace = f"{PREFIX}:breaker:{key}"
            try:
                # A namespace per connection: without it all connections share one breaker.
                storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, redis, namespace=namespace)
                self._forget_later(redis, key)
            except RedisError as error:
                self._away(error)
            else:
                return storage
        with self._mutex:
            if len(self._local_breakers) >= MAX_LOCAL:
                self._local_breakers.clear()
            return self._local_breakers.setdefault(key, pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED))

    def _forget_later(self, redis: Redis, key: str) -> None:
        """Let the breaker's keys end by themselves: pybreaker sets them for ever, and again with every change."""
        pipe = redis.pipeline(transaction=False)
        for part in ("fail_counter", "success_counter", "state", "opened_at"):
            pipe.expire(f"{PREFIX}:breaker:{key}:pybreaker:{part}", FORGET_BREAKER_S)
        pipe.execute()

    def _take_trial(self, key: str) -> bool:
        """Whether this caller may be the one that tries a system again; the others are still refused."""
        redis = self._shared()
        if redis is not None:
            try:
                return bool(redis.set(f"{PREFIX}:trial:{key}", "1", nx=True, ex=60))
            except RedisError as error:
                self._away(error)
        with self._mutex:
            if self._local_trials.get(key, 0.0) > time.monotonic():
                return False
            self._local_trials[key] = time.monotonic() + 60
            return True

    def _end_trial(self, key: str) -> None:
        with self._mutex:
            self._local_trials.pop(key, None)
        redis = self._shared()
        if redis is not None:
            try:
                redis.delete(f"{PREFIX}:trial:{key}")
            except RedisError as error:
                self._away(error)

    # The rate limit

    def take(self, key: str, label: str, per_minute: int) -> None:
        """Count one request of the connection `key`. Raises `RateLimited` when it has used its minute."""
        item = RateLimitItemPerMinute(per_minute)
        limiter = self._limiter()
        try:
            allowed = limiter.hit(item, key)
            after = 0.0 if allowed else limiter.get_window_stats(item, key).reset_time - time.time()
        except RedisError as error:
            self._away(error)
            limiter = self._limiter()
            allowed = limiter.hit(item, key)
            after = 0.0 if allowed else limiter.get_window_stats(item, key).reset_time - time.time()
        if not allowed:
            after = min(max(after, 1.0), 60.0)
            raise RateLimited(
                f"{label} has had its {per_minute} requests of this minute. Nothing was sent; again in {after:.0f} s.",
                retry_after_s=after,
            )

    def _limiter(self) -> SlidingWindowCounterRateLimiter:
        redis = self._shared()
        with self._mutex:
            if redis is not None:
                try:
                    if self._shared_limiter is None:
                        storage = RedisStorage(
                            "redis://", connection_pool=redis.connection_pool, key_prefix=f"{PREFIX}:limit"
                        )
                        self._shared_limiter = SlidingWindowCounterRateLimiter(storage)
                    return self._shared_limiter
                except RedisError as error:
                    self._away(error)
            if self._local_limiter is None:
                self._local_limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
            return self._local_limiter

    # Sessions that systems signed in for

    def get_token(self, key: str) -> str | None:
        redis = self._shared()
        if redis is not None:
            try:
                sealed = redis.get(f"{PREFIX}:token:{key}")
                if isinstance(sealed, bytes):
                    return self._box.open(sealed.decode()).get("token")
            except RedisError as error:
                self._away(error)
            except SecretsUnreadable:
                return None  # sealed with a key that is gone: signing in again is all it takes
        with self._mutex:
            token, until = self._local_tokens.get(key, ("", 0.0))
        return token if until > time.monotonic() else None

    def put_token(self, key: str, token: str) -> None:
        """Keep a session for an hour, sealed: Redis is not where credentials lie open."""
        redis = self._shared()
        if redis is not None:
            try:
                redis.set(f"{PREFIX}:token:{key}", self._box.seal({"token": token}), ex=TOKEN_S)
                return
            except RedisError as error:
                self._away(error)
        with self._mutex:
            if len(self._local_tokens) >= MAX_LOCAL:
                self._local_tokens.clear()
            self._local_tokens[key] = (token, time.monotonic() + TOKEN_S)

    def drop_token(self, key: str) -> None:
        with self._mutex:
            self._local_tokens.pop(key, None)
        redis = self._shared()
        if redis is not None:
            try:
                redis.delete(f"{PREFIX}:token:{key}")
            except RedisError as error:
                self._away(error)

    # Redis, or not

    def _shared(self) -> Redis | None:
        return self._redis if self._redis is not None and time.monotonic() >= self._redis_again_at else None

    def _away(self, _error: RedisError) -> None:
        self._redis_again_at = time.monotonic() + REDIS_PAUSE_S


class _Flight:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


@dataclass(frozen=True, slots=True)
class ConnectionTokens:
    """The sessions of one version of one connection; see `connectors.system.Tokens`."""

    traffic: Traffic
    key: str

    def get(self) -> str | None:
        return self.traffic.get_token(self.key)

    def put(self, token: str) -> None:
        self.traffic.put_token(self.key, token)

    def drop(self) -> None:
        self.traffic.drop_token(self.key)

    def __repr__(self) -> str:
        return f"ConnectionTokens({self.key})"
