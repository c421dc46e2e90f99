"""python -m jobs.worker drain|scripts|enrichment|outbox|clock

A worker serves one kind of work from one queue. Between hints, and while Redis is away, it looks into the database, so
losing a hint, or Redis, costs at most two seconds and never work. SIGTERM ends it after the job at hand, and after
`STOP_DEADLINE_S` at the latest: what is cut short then was not committed, and is done again by another worker.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    # What is imported here stays, and looking for garbage in it takes an eighth of a worker's start; see wsgi.py.
    gc.disable()

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, InvalidJobOperation, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.worker import WorkerStatus

from jobs import clock, logs, tasks
from jobs.queues import OurJob, Work, queue
from jobs.services import Services, build, quick_redis
from jobs.settings import Settings

log = logging.getLogger(__name__)

#: Seconds a worker's registration in Redis lives without a sign of life.
WORKER_TTL_S = 30
#: Seconds one wait for a hint lasts; then the worker looks for itself, whatever became of the hint.
WAIT_S = 1
#: Seconds until a Redis that does not answer counts as away, and until one that is asked whether it is back does.
ANSWER_S = 0.5
PROBE_S = 0.5
#: Seconds from SIGTERM until the process ends, whatever it is doing; `./run` kills after 10.
STOP_DEADLINE_S = 8


def main(arguments: list[str]) -> int:
    kinds = [*Work, "clock"]
    if len(arguments) != 1 or arguments[0] not in kinds:
        print(f"usage: python -m jobs.worker {'|'.join(kinds)}", file=sys.stderr)  # noqa: T201
        return 2
    settings = Settings.from_environ()
    logs.configure(as_json=settings.log_json)
    services = build(settings)
    stop = Stop()
    tasks.use(services, stopping=stop)
    gc.freeze()
    gc.enable()
    if arguments[0] == "clock":
        clock.run(services, stopping=stop)
    else:
        serve(services, Work(arguments[0]), stop)
    services.close()
    return 0


class Stop:
    """Whether this process was asked to end. From then on it has `STOP_DEADLINE_S`."""

    def __init__(self) -> None:
        self.asked = False
        self.listen()

    def listen(self) -> None:
        """Be told of SIGTERM and SIGINT, whoever was told before."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask)

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            deadline = threading.Timer(STOP_DEADLINE_S, _cut_short)
            deadline.daemon = True
            deadline.start()

    def __call__(self) -> bool:
        return self.asked


def _cut_short() -> None:
    log.warning("worker.cut_short", extra={"after_s": STOP_DEADLINE_S})
    os._exit(1)


class HintWorker(SimpleWorker):
    """An RQ worker that runs our short jobs in its own process, and ends as soon as Redis does not answer.

    RQ's own would go on waiting for Redis with a growing pause, and nothing would be done meanwhile."""

    stop: Stop
    look: Callable[[], None]
    #: Why it ended without being asked to.
    lost: Exception | None = None
    looking: bool = False

    @property
    def dequeue_timeout(self) -> int:
        return WAIT_S

    @property
    def connection_timeout(self) -> float:  # type: ignore[override]  # RQ compares it, and hands it to redis
        return WAIT_S + ANSWER_S

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next hint; between waits the worker looks for itself. Never waits for a Redis that is away."""
        try:
            self.set_state(WorkerStatus.IDLE)
            while True:
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()
                try:
                    found = self.queue_class.dequeue_any(
                        self.queues,
                        timeout,
                        connection=self.connection,
                        job_class=self.job_class,
                        serializer=self.serializer,
                        death_penalty_class=self.death_penalty_class,
                    )
                    if found is not None:
                        found[0].redis_server_version = self.get_redis_server_version()
                    return found
                except DequeueTimeout:
                    self.look_between()
                    if self.stop():
                        raise StopRequested from None
        except (RedisError, OSError) as error:
            self.lost = error
            raise StopRequested from error

    def execute_job(self, job: Job, queue: Queue) -> None:
        """As RQ does. A Redis that falls silent under a job is left at its first missed answer: RQ would go on to note
        the failure, and to say goodbye, and wait for each of these answers, too. One that was emptied under a job, by
        a restart, say, would end RQ's worker."""
        try:
            try:
                super().execute_job(job, queue)
            except InvalidJobOperation:
                self._forget(job)
        except (RedisError, OSError) as error:
            self.lost = error
            raise StopRequested from error

    def _forget(self, job: Job) -> None:
        """Redis was emptied under this job, which was done; RQ finds nothing to write its end into. What else it had
        told is lost as well, so it is looked for at once."""
        log.warning("hint.forgotten", extra={"job": job.id})
        self.executions.clear()
        if not self.connection.hexists(job.key, "status"):
            # What its heartbeats wrote since: half a job, whose number RQ would refuse.
            self.connection.delete(job.key)
        self.look_between()
        self.set_state(WorkerStatus.IDLE)

    def _finalize_failure(self, job: Job, queue: Queue, execution: Execution, exc_info: Any) -> None:
        """Our jobs raise nothing of Redis or RQ: what did is what was to be written there about the job."""
        if isinstance(exc_info[1], (RedisError, InvalidJobOperation)):
            raise exc_info[1]
        super()._finalize_failure(job, queue, execution, exc_info)

    def look_between(self) -> None:
        """Do what is due although no hint came."""
        self.looking = True
        try:
            self.look()
        finally:
            self.looking = False

    def check_for_suspension(self, burst: bool) -> None:
        """Never: a word in Redis must not make work wait."""

    def subscribe(self) -> None:
        """To nothing: workers take no orders from Redis."""

    def unsubscribe(self) -> None:
        """There is nothing to end."""

    def teardown(self) -> None:
        """Say goodbye, unless there is nobody to say it to: the registration then ends by itself."""
        if self.lost is None:
            super().teardown()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Raises `StopRequested` between jobs; during one, or a look, the worker ends after it."""
        self.stop.ask(signum, frame)
        if not self.looking:
            super().request_stop(signum, frame)

    def _install_signal_handlers(self) -> None:
        """Asked to end while RQ was starting, when only `Stop` listened: the loop must know, or it waits for a hint."""
        super()._install_signal_handlers()
        self._stop_requested = self.stop()

    def handle_exception(self, job: object, *exc_info: object) -> None:
        log.error("job.failed", exc_info=exc_info)  # type: ignore[arg-type]


def serve(services: Services, work: Work, stop: Stop) -> None:
    """Wait for hints and look in between; without Redis, look into the database every `sweep_s`."""
    away = False
    while not stop():
        stop.listen()
        try:
            _probe(services.settings.redis)
            if away:
                log.warning("redis.back")
                away = False
            _look(work)  # whatever came while nobody listened
            redis = quick_redis(services.settings.redis, timeout_s=WAIT_S + ANSWER_S)
            worker = HintWorker(
                [queue(work, redis)],
                connection=redis,
                job_class=OurJob,
                serializer="json",
                worker_ttl=WORKER_TTL_S,
                default_result_ttl=0,
            )
            worker.stop = stop
            worker.look = lambda: _look(work)
            worker.work(logging_level="WARNING")
            if worker.lost is not None:
                raise worker.lost
            if stop():
                return
        except StopRequested:
            return
        except (RedisError, OSError) as error:
            # RQ's own handler would raise into whatever is being done while there is no RQ worker.
            stop.listen()
            if not away:
                log.warning("redis.away", extra={"error": type(error).__name__})
            away = True
        if not stop():
            _look(work)
            time.sleep(services.settings.sweep_s)


def _probe(url: str) -> None:
    """Raises what Redis raises when it is away, or does not answer at once."""
    with quick_redis(url, timeout_s=PROBE_S) as redis:
        redis.ping()


def _look(work: Work) -> None:
    """Do what is due. A database that is away is no reason to end: the next look may find it."""
    try:
        tasks.look(work)
    except Exception:
        log.exception("look.failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
