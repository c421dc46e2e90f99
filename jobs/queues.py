"""Hints through Redis: which kind of work is due. No ticket data, no arguments, and nothing that would be missed.

A hint wakes a worker a few milliseconds after a commit; one that has just worked, in less than one. Losing a hint costs
at most `sweep_s`: the clock looks for due work in the database and hints again, and workers look for themselves every
second and while Redis is away.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job

from jobs.listening import Bells, Ear

log = logging.getLogger(__name__)

#: Seconds one job may take before RQ raises in it. Our jobs stop by their own budget long before.
JOB_TIMEOUT_S = 120


class Work(StrEnum):
    """The kinds of work; each has one queue, and a worker serves one."""

    DRAIN = "drain"
    SCRIPTS = "scripts"
    ENRICHMENT = "enrichment"
    OUTBOX = "outbox"


#: Seconds nobody is made to wait again for a Redis that did not answer.
QUIET_S = 5
#: Drain jobs that may wait at once: more workers than this gain nothing from hints.
SLOTS = 8
#: The work whose workers listen on for a while after a job, so that under load a hint need not be a job.
LISTENED_FOR = frozenset({Work.DRAIN})
#: When RQ last wrote about a job, in its hash.
_STAMPS = ("last_heartbeat", "started_at", "enqueued_at", "created_at")
#: The function of each kind: the only ones a job may name.
FUNCTIONS = {
    Work.DRAIN: "jobs.tasks.drain",
    Work.SCRIPTS: "jobs.tasks.scripts",
    Work.ENRICHMENT: "jobs.tasks.enrichment_due",
    Work.OUTBOX: "jobs.tasks.outbox_due",
}


class UnknownJob(Exception):
    """A job in Redis names a function that is not ours. It was refused."""


class OurJob(Job):
    """A job that can only be one of our functions, without arguments, instance, callbacks or webhooks.

    RQ imports whatever dotted name stands in Redis; whoever can write there could run anything."""

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name not in FUNCTIONS.values() or self._instance is not None or self.args or self.kwargs:
            raise UnknownJob(f"{self.func_name!r} is not a job of ours; it was refused")
        function: Callable[..., Any] = super().func
        return function

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Never: webhooks named in Redis would be requests from inside."""


class Queues:
    """The way to say that something is due."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._away = False
        self._quiet_until = 0.0
        self._queues = {work: queue(work, redis) for work in Work}
        self._bells = Bells(redis)

    def hint(self, work: Work) -> None:
        """Say that this kind of work is due. Never raises: a lost hint is made good by the clock."""
        if self._away and time.monotonic() < self._quiet_until:
            return
        try:
            if work in LISTENED_FOR and self._bells.ring(work):
                self._is_back()
                return
            # Two slots: the first may belong to a job that has already looked and is about to end.
            for slot in random.sample(range(SLOTS), 2):
                try:
                    self._queues[work].enqueue_call(
                        FUNCTIONS[work],
                        job_id=f"{work}-{slot}",
                        unique=True,
                        timeout=JOB_TIMEOUT_S,
                        result_ttl=0,
                        failure_ttl=0,
                    )
                    break
                except DuplicateJobError:
                    continue
        except RedisError as error:
            if not self._away:
                log.warning("redis.away", extra={"error": type(error).__name__})
            self._away = True
            self._quiet_until = time.monotonic() + QUIET_S
            return
        self._is_back()

    def ear(self, work: Work, *, listed_s: float) -> Ear:
        """What a worker listens with, between the looks of one job."""
        assert work in LISTENED_FOR
        return Ear(self.redis, work, listed_s=listed_s)

    def _is_back(self) -> None:
        if self._away:
            log.warning("redis.back")
            self._away = False

    def forget_stale(self, now: datetime) -> None:
        """Delete the hashes of jobs that a killed worker left behind, and what is left of one where Redis was emptied
        under it: RQ would refuse their ids for ever."""
        try:
            for work in Work:
                for slot in range(SLOTS):
                    key = OurJob.key_for(f"{work}-{slot}")
                    stamps = [one for one in self.redis.hmget(key, *_STAMPS) if one]
                    if not stamps:
                        continue
                    newest = max(datetime.fromisoformat(_text(one).replace("Z", "+00:00")) for one in stamps)
                    if newest.tzinfo is None:
                        newest = newest.replace(tzinfo=UTC)
                    if (now - newest).total_seconds() > JOB_TIMEOUT_S:
                        self.redis.delete(key)
        except RedisError:
            return  # away; nothing of ours depends on this


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def queue(work: Work, redis: Redis) -> Queue:
    return Queue(work, connection=redis, job_class=OurJob, serializer="json", default_timeout=JOB_TIMEOUT_S)
