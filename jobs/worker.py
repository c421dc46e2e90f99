"""python -m jobs.worker drain|scripts|enrichment|outbox|clock

A worker serves one kind of work from one queue. While Redis is away it polls the database instead, so losing Redis
costs speed, never work. SIGTERM ends it after the job at hand.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested

from jobs import clock, tasks
from jobs.queues import FUNCTIONS, OurJob, Work, queue
from jobs.services import Services, build
from jobs.settings import Settings

log = logging.getLogger(__name__)

#: Seconds a worker's registration in Redis lives without a sign of life.
WORKER_TTL_S = 30


def main(arguments: list[str]) -> int:
    kinds = [*Work, "clock"]
    if len(arguments) != 1 or arguments[0] not in kinds:
        print(f"usage: python -m jobs.worker {'|'.join(kinds)}", file=sys.stderr)  # noqa: T201
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    services = build(Settings.from_environ())
    tasks.use(services)
    stop = Stop()
    if arguments[0] == "clock":
        clock.run(services, stopping=stop)
    else:
        serve(services, Work(arguments[0]), stop)
    services.close()
    return 0


class Stop:
    """Whether this process was asked to end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


class HintWorker(SimpleWorker):
    """An RQ worker that runs our short jobs in its own process and leaves no trace of itself when Redis goes away."""

    def handle_exception(self, job: object, *exc_info: object) -> None:
        log.error("job.failed", exc_info=exc_info)  # type: ignore[arg-type]


def serve(services: Services, work: Work, stop: Stop) -> None:
    """Wait for hints; without Redis, look into the database every `sweep_s`."""
    function = getattr(tasks, FUNCTIONS[work].rpartition(".")[2])
    away = False
    while not stop():
        try:
            # No socket timeout here: RQ blocks on this connection until a hint comes.
            redis = Redis.from_url(services.settings.redis, socket_connect_timeout=2)
            redis.ping()
            if away:
                log.warning("redis.back")
                away = False
            function()  # whatever came while nobody listened
            worker = HintWorker(
                [queue(work, redis)],
                connection=redis,
                job_class=OurJob,
                serializer="json",
                worker_ttl=WORKER_TTL_S,
                default_result_ttl=0,
            )
            worker.work(logging_level="WARNING")
            return  # asked to stop
        except StopRequested:
            return
        except (RedisError, OSError) as error:
            if not away:
                log.warning("redis.away", extra={"error": type(error).__name__})
            away = True
            _poll(services, function)


def _poll(services: Services, function: object) -> None:
    assert callable(function)
    try:
        function()
    except Exception:
        log.exception("poll.failed")
    time.sleep(services.settings.sweep_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
