"""A word to a worker that is listening: one command each way, where a job through RQ is some forty of them.

Between two looks a worker of events lists its ear and waits a moment. A hint rings at one ear that is listed, and goes
through RQ when there is none. Like every hint it may be lost, with Redis or with the worker whose ear it was: an ear is
listed for a few seconds and rung at once, so a worker that died takes one hint with it at most, and the clock says
again what is due.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

#: Seconds a rung bell stays for an ear that does not come to hear it.
RUNG_S = 10

_NOW = "local now = redis.call('TIME'); local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)\n"
#: KEYS: the listed ears. ARGV: which one, and for how many milliseconds.
_LIST = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], now_ms + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(ARGV[2], redis.call('PTTL', KEYS[1])))
return 1
"""
)
#: KEYS: the listed ears. ARGV: the milliseconds of RUNG_S. Says whether there was one.
_RING = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
local ear = redis.call('ZPOPMAX', KEYS[1])[1]
if not ear then return 0 end
redis.call('RPUSH', KEYS[1] .. ':' .. ear, 1)
redis.call('PEXPIRE', KEYS[1] .. ':' .. ear, ARGV[1])
return 1
"""
)


def _listed(work: str) -> str:
    return f"deskhand:ears:{work}"


class Bells:
    """The side that tells."""

    def __init__(self, redis: Redis) -> None:
        self._ring = redis.register_script(_RING)

    def ring(self, work: str) -> bool:
        """Tell one of those that listen for this kind of work; False when nobody does. Raises `RedisError`."""
        return bool(self._ring(keys=[_listed(work)], args=[RUNG_S * 1000]))


class Ear:
    """The side that is told. Between `open` and `heard` it looks for itself: what came before is not told again."""

    def __init__(self, redis: Redis, work: str, *, listed_s: float) -> None:
        """`listed_s`: the longest time from `open` to the end of `heard`; after it nobody rings here any more."""
        self._redis = redis
        self._listed = _listed(work)
        self._name = secrets.token_hex(8)
        self._bell = f"{self._listed}:{self._name}"
        self._listed_ms = int(listed_s * 1000)
        self._list = redis.register_script(_LIST)
        self._open = False
        #: Redis did not answer: what was said meanwhile nobody heard, so look once more.
        self.deaf = False

    def open(self) -> bool:
        """List this ear, for one ring. False when Redis is away."""
        if self.deaf:
            return False
        try:
            self._list(keys=[self._listed], args=[self._name, self._listed_ms])
        except RedisError:
            self.deaf = True
        self._open = not self.deaf
        return self._open

    def heard(self, wait_s: float) -> bool:
        """Whether somebody rang since `open`, waiting so long for it (0: only looking); the ear is not listed then.

        True when Redis went away meanwhile, too: to look once too often does no harm."""
        self._open = False
        try:
            if wait_s and self._redis.blpop([self._bell], timeout=wait_s) is not None:
                return True
            if self._redis.zrem(self._listed, self._name):
                return False
            return self._redis.lpop(self._bell) is not None  # rung in the last moment
        except RedisError:
            self.deaf = True
            return True

    def close(self) -> None:
        """Have nobody ring here any more."""
        if self._open:
            with suppress(RedisError):
                self._redis.zrem(self._listed, self._name)
