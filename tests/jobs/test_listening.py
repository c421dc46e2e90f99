"""A hint rings at a worker that is listening and is a job otherwise; whatever is lost on the way, work is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_client

from jobs import tasks
from jobs.listening import Ear
from jobs.queues import Queues, Work, queue
from jobs.services import Services, quick_redis
from tests.builders import a_ticket
from tests.environment.redis import RedisServer
from tests.jobs.desk import a_working_desk, table
from tests.jobs.tables import TRIAGE
from tests.jobs.workers import END_S, a_worker, decided, until

LISTED_S = 60
#: A worker that listens for so long that a busy machine sees it do so; less than it has to end when it is asked to.
LISTENS_LONGER = """
import runpy, sys
from jobs import tasks
tasks.QUIET_S, tasks.LISTEN_S = 4.0, 60.0
sys.argv[0] = "jobs.worker"
runpy.run_module("jobs.worker", run_name="__main__", alter_sys=True)
"""


def jobs(redis: redis_client.Redis) -> int:
    return queue(Work.DRAIN, redis).count


@pytest.fixture
def desk(database_url: str, tmp_path: Path, redis: redis_client.Redis, redis_server: RedisServer) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, redis_url=redis_server.url) as services:
        table(services, TRIAGE)
        yield services
    tasks._services = tasks._stopping = None


def test_a_hint_is_heard_by_one_that_listens_and_the_next_one_is_a_job(redis: redis_client.Redis) -> None:
    queues, ear = Queues(redis), Ear(redis, Work.DRAIN, listed_s=LISTED_S)
    assert ear.open()
    queues.hint(Work.DRAIN)
    assert jobs(redis) == 0
    queues.hint(Work.DRAIN)  # if the one that was told has died, somebody else is told now
    assert jobs(redis) == 1
    assert ear.heard(LISTED_S)
    assert not ear.heard(0)


def test_each_hint_is_heard_by_one_of_those_that_listen(redis: redis_client.Redis) -> None:
    queues, ears = Queues(redis), [Ear(redis, Work.DRAIN, listed_s=LISTED_S) for _ in range(3)]
    assert all(ear.open() for ear in ears)
    for _ in range(2):
        queues.hint(Work.DRAIN)
    assert sorted(ear.heard(0) for ear in ears) == [False, True, True]
    assert jobs(redis) == 0


@pytest.mark.parametrize("how", ["never listed", "has looked", "closed", "listed too long ago"])
def test_where_nobody_listens_any_more_a_hint_is_a_job(redis: redis_client.Redis, how: str) -> None:
    ear = Ear(redis, Work.DRAIN, listed_s=0 if how == "listed too long ago" else LISTED_S)
    if how != "never listed":
        assert ear.open()
    if how == "has looked":
        assert not ear.heard(0.01)
    if how == "closed":
        ear.close()
    Queues(redis).hint(Work.DRAIN)
    assert jobs(redis) == 1
    assert not ear.heard(0)


def test_of_those_that_listened_only_one_that_still_does_is_told(redis: redis_client.Redis) -> None:
    """A worker that was killed while it listened stays listed, among others that come back to it."""
    queues = Queues(redis)
    ear, dead = Ear(redis, Work.DRAIN, listed_s=LISTED_S), Ear(redis, Work.DRAIN, listed_s=0)
    assert ear.open()
    assert dead.open()
    for _ in range(2):
        queues.hint(Work.DRAIN)
    assert ear.heard(0)
    assert jobs(redis) == 1


def test_other_work_is_a_job_although_somebody_listens_for_events(redis: redis_client.Redis) -> None:
    ear = Ear(redis, Work.DRAIN, listed_s=LISTED_S)
    assert ear.open()
    Queues(redis).hint(Work.OUTBOX)
    assert queue(Work.OUTBOX, redis).count == 1
    assert not ear.heard(0)


def test_without_redis_nobody_listens_and_who_listened_looks_once_more(
    redis: redis_client.Redis, redis_server: RedisServer
) -> None:
    impatient = quick_redis(redis_server.url, timeout_s=1)
    ear, other = (Ear(impatient, Work.DRAIN, listed_s=LISTED_S) for _ in range(2))
    assert ear.open()
    redis_server.pause()
    try:
        assert ear.heard(0)
        assert not ear.open()
        assert not other.open()
    finally:
        redis_server.go_on()


def test_a_word_that_comes_when_a_listening_job_is_about_to_end_is_not_lost(desk: Services) -> None:
    def asked_to_end() -> bool:
        a_ticket(desk.db)
        desk.queues.hint(Work.DRAIN)
        return True

    tasks.use(desk, stopping=asked_to_end)
    assert tasks.drain() == 2
    assert (decided(desk), jobs(desk.redis)) == (2, 0)
    a_ticket(desk.db)
    desk.queues.hint(Work.DRAIN)  # and from now on nobody listens
    assert (decided(desk), jobs(desk.redis)) == (2, 1)


def test_a_job_listens_on_for_what_comes_and_ends_when_it_is_quiet(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "QUIET_S", 0.01)
    still_to_come = [1, 2, 3]

    def not_yet() -> bool:
        if still_to_come.pop():
            a_ticket(desk.db)
            desk.queues.hint(Work.DRAIN)
        still_to_come[:] = still_to_come or [0]
        return False

    tasks.use(desk, stopping=not_yet)
    assert tasks.drain() == 6
    assert (decided(desk), jobs(desk.redis)) == (6, 0)


def test_a_job_that_is_told_without_end_ends_by_itself(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "LISTEN_S", 0)
    told = []

    def always_more() -> bool:
        told.append(a_ticket(desk.db))
        desk.queues.hint(Work.DRAIN)
        return False

    tasks.use(desk, stopping=always_more)
    assert tasks.drain() == 2
    assert len(told) == 1


@pytest.mark.slow
def test_a_worker_that_has_worked_is_told_of_more_without_a_job_and_ends_when_asked(desk: Services) -> None:
    with a_worker(desk, "drain", command=("-c", LISTENS_LONGER)) as worker:
        assert until(lambda: bool(desk.redis.smembers("rq:workers")))
        for number in range(1, 6):
            a_ticket(desk.db)
            desk.queues.hint(Work.DRAIN)
            assert until(lambda number=number: decided(desk) == 2 * number)  # type: ignore[misc]
            assert until(lambda: desk.redis.zcard("deskhand:ears:drain") == 1)  # it listens again
        assert len(desk.redis.keys("rq:job:*")) <= 2  # the one it is in, and at most one that came before it listened
        worker.terminate()
        assert worker.wait(END_S) == 0


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_came_while_a_silent_redis_was_asked_to_list_it_is_looked_for(
    desk: Services, redis_server: RedisServer
) -> None:
    """Else RQ would first wait for the same Redis to note that the job has ended."""
    tasks.use(desk, stopping=lambda: False)
    redis_server.pause()
    try:
        job = threading.Thread(target=tasks.drain)
        job.start()
        time.sleep(0.5)  # it has looked, and waits for the answer
        a_ticket(desk.db)
        job.join(100)
        assert decided(desk) == 2
    finally:
        redis_server.go_on()
