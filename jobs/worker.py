"""python -m jobs.worker drain|scripts|enrichment|outbox|clock

A worker serves one kind of work from one queue. While Redis is away it polls the database instead, so losing Redis
costs speed, never work. SIGTERM ends it after the job at hand, and after `STOP_DEADLINE_S` at the latest: what is cut
short then was not committed, and is done again by another worker.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested

from jobs import clock, logs, tasks
from jobs.queues import FUNCTIONS, OurJob, Work, queue
from jobs.services import Services, build
from jobs.settings import Settings

log = logging.getLogger(__name__)

#: Seconds a worker's registration in Redis lives without a sign of life.
WORKER_TTL_S = 30
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
    tasks.use(services)
    stop = Stop()
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
    """An RQ worker that runs our short jobs in its own process and leaves no trace of itself when Redis goes away."""

    stop: Stop

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Raises `StopRequested` between jobs; during one the worker ends after it."""
        self.stop.ask(signum, frame)
        super().request_stop(signum, frame)

    def handle_exception(self, job: object, *exc_info: object) -> None:
        log.error("job.failed", exc_info=exc_info)  # type: ignore[arg-type]


def serve(services: Services, work: Work, stop: Stop) -> None:
    """Wait for hints; without Redis, look into the database every `sweep_s`."""
    function: Callable[[], int] = getattr(tasks, FUNCTIONS[work].rpartition(".")[2])
    away = False
    while not stop():
        stop.listen()
        try:
            # No socket timeout here: RQ blocks on this connection until a hint comes.
            redis = Redis.from_url(services.settings.redis, socket_connect_timeout=2)
            redis.ping()
            if away:
                log.warning("redis.back")
                away = False
            _look(function)  # whatever came while nobody listened
            worker = HintWorker(
                [queue(work, redis)],
                connection=redis,
                job_class=OurJob,
                serializer="json",
                worker_ttl=WORKER_TTL_S,
                default_result_ttl=0,
            )
            worker.stop = stop
            worker.work(logging_level="WARNING")
            return  # asked to stop
        except StopRequested:
            return
        except (RedisError, OSError) as error:
            # RQ's own handler would raise into whatever is being done while there is no RQ worker.
            stop.listen()
            if not away:
                log.warning("redis.away", extra={"error": type(error).__name__})
            away = True
            if not stop():
                _look(function)
                time.sleep(services.settings.sweep_s)


def _look(function: Callable[[], int]) -> None:
    """Do what is due. A database that is away is no reason to end: the next look may find it."""
    try:
        function()
    except Exception:
        log.exception("look.failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
