"""The control of ./run chaos: the ordinary way, one RQ job per event, on the same Redis under the same blows.

It does what most applications do: the change is committed, then a job is enqueued, and a worker carries it out. If the
harness found no loss here, it would prove nothing about ours.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry, SimpleWorker

#: What one job takes, in seconds: about as long as a short script.
WORK_S = 0.1


def handle(path: str, number: int) -> None:
    """Carry out one event: a line in a file that outlives every kill."""
    time.sleep(WORK_S)
    with Path(path).open("a") as file:
        file.write(f"{number}\n")


def submit(redis: Redis, path: Path, number: int) -> bool:
    """Enqueue one event; False when Redis refused it, which its sender would see."""
    try:
        queue(redis).enqueue(handle, str(path), number, retry=Retry(max=3), result_ttl=0)
    except RedisError:
        return False
    return True


def queue(redis: Redis) -> Queue:
    return Queue("plain", connection=redis, serializer="json")


def main() -> None:
    redis = Redis.from_url(sys.argv[1])
    SimpleWorker([queue(redis)], connection=redis, serializer="json").work(logging_level="WARNING")


if __name__ == "__main__":
    main()
