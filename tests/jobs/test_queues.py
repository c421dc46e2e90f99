"""Redis carries hints and nothing else: what else stands there is refused, and losing it loses nothing."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from rq import Callback, Queue, SimpleWorker, Webhook
from rq.job import Job
from sqlalchemy import select

from jobs.clock import tick
from jobs.queues import FUNCTIONS, JOB_TIMEOUT_S, OurJob, Queues, UnknownJob, Work, queue
from jobs.services import Services, quick_redis
from jobs.worker import HintWorker, Stop
from tests.builders import a_ticket
from tests.connectors.upstream import Upstream, as_json
from tests.environment.redis import RedisServer
from tests.jobs.desk import a_working_desk, table
from tests.jobs.tables import TRIAGE
from tests.jobs.workers import END_S, FLASK, WAIT_S, WORKER, a_worker, decided, in_the_past, until
from tickets.tables import WorkItem
from tickets.values import utc_now


@pytest.fixture
def desk(database_url: str, tmp_path: Path, redis: redis_client.Redis, redis_server: RedisServer) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, redis_url=redis_server.url) as services:
        yield services


def test_a_job_that_names_another_function_is_refused_and_nothing_runs(
    redis: redis_client.Redis, tmp_path: Path
) -> None:
    target = tmp_path / "pwned"
    plain = queue(Work.DRAIN, redis)
    job = plain.enqueue_call("os.mkdir", args=(str(target),), job_id="drain-0")
    SimpleWorker([plain], connection=redis, job_class=OurJob, serializer="json").work(burst=True, logging_level="ERROR")
    assert not target.exists()
    assert job.get_status(refresh=True) == "failed"


def test_our_own_function_with_arguments_is_refused_before_it_is_called(redis: redis_client.Redis) -> None:
    job = queue(Work.DRAIN, redis).enqueue_call("jobs.tasks.drain", args=("surprise",), job_id="drain-0")
    with pytest.raises(UnknownJob):
        _ = job.func


#: What RQ was made to call, by `succeeded` and `failed`.
CALLED: list[str] = []


def succeeded(job: Job, _redis: redis_client.Redis, _result: object) -> None:
    CALLED.append(f"succeeded {job.id}")


def failed(job: Job, _redis: redis_client.Redis, *_error: object) -> None:
    CALLED.append(f"failed {job.id}")


def stopped(job: Job, _redis: redis_client.Redis) -> None:
    CALLED.append(f"stopped {job.id}")


def nothing() -> None:
    """A job that ends well."""


@pytest.fixture
def listener() -> Iterator[Upstream]:
    CALLED.clear()
    server = Upstream(lambda _: as_json({}))
    yield server
    server.close()


def _with_hooks(redis: redis_client.Redis, address: str, job_class: type[Job], monkeypatch: pytest.MonkeyPatch) -> Job:
    """Run two jobs in whose data callbacks and webhooks stand; returns the one that ended well."""
    monkeypatch.setitem(FUNCTIONS, Work.DRAIN, f"{__name__}.nothing")
    plain = Queue("drain", connection=redis, job_class=job_class, serializer="json")
    hooks: dict[str, Any] = {
        "on_success": Callback(succeeded),
        "on_failure": Callback(failed),
        "on_stopped": Callback(stopped),
        "webhooks": [Webhook(f"{address}/{status}", status) for status in ("finished", "failed")],
        "result_ttl": 60,
    }
    good = plain.enqueue_call(f"{__name__}.nothing", job_id="good", **hooks)
    plain.enqueue_call("os.rmdir", args=("/nowhere",), job_id="bad", **hooks)
    worker = SimpleWorker([plain], connection=redis, job_class=job_class, serializer="json")
    worker.work(burst=True, logging_level="CRITICAL")
    assert [job_class.fetch(one, redis, serializer="json").get_status() for one in ("good", "bad")] == [
        "finished",
        "failed",
    ]
    return job_class.fetch(good.id, redis, serializer="json")


def test_callbacks_and_webhooks_that_stand_in_redis_are_not_called(
    redis: redis_client.Redis, listener: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _with_hooks(redis, listener.url, OurJob, monkeypatch)
    assert CALLED == []
    assert listener.asked == []
    assert job.stopped_callback is None


def test_a_job_of_rqs_own_would_call_them(
    redis: redis_client.Redis, listener: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above: what it puts into Redis is what RQ acts on."""
    job = _with_hooks(redis, listener.url, Job, monkeypatch)
    assert CALLED == ["succeeded good", "failed bad"]
    assert [one.path for one in listener.asked] == ["/finished", "/failed"]
    assert job.stopped_callback is stopped


def test_hints_hold_no_data_and_are_bounded(redis: redis_client.Redis) -> None:
    queues = Queues(redis)
    for _ in range(100):
        queues.hint(Work.DRAIN)
    waiting = redis.llen(queue(Work.DRAIN, redis).key)
    assert 1 <= waiting <= 8
    stored = [redis.hgetall(key) for key in redis.keys("rq:job:*")]
    assert stored
    assert "@" not in str(stored)


def test_the_hash_a_killed_worker_left_behind_is_forgotten_and_a_fresh_one_is_not(redis: redis_client.Redis) -> None:
    queues = Queues(redis)
    for slot in range(8):
        queue(Work.DRAIN, redis).enqueue_call("jobs.tasks.drain", job_id=f"drain-{slot}", unique=True)
    redis.delete(queue(Work.DRAIN, redis).key)
    queues.hint(Work.DRAIN)
    assert redis.llen(queue(Work.DRAIN, redis).key) == 0  # every id is taken
    queues.forget_stale(utc_now())
    queues.hint(Work.DRAIN)
    assert redis.llen(queue(Work.DRAIN, redis).key) == 0
    queues.forget_stale(utc_now() + timedelta(seconds=JOB_TIMEOUT_S + 5))
    queues.hint(Work.DRAIN)
    assert redis.llen(queue(Work.DRAIN, redis).key) == 1


#: The Redis that `empties` empties.
EMPTIED: list[redis_client.Redis] = []


def empties() -> None:
    """A job under which Redis loses everything."""
    EMPTIED.pop().flushall()


def empties_and_fails() -> None:
    empties()
    raise ZeroDivisionError


@pytest.mark.parametrize(("does", "failed"), [(empties, False), (empties_and_fails, True)])
def test_a_worker_under_whose_job_redis_is_emptied_goes_on_and_leaves_nothing_there(
    redis: redis_client.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    does: Callable[[], None],
    failed: bool,
) -> None:
    EMPTIED[:] = [redis]
    monkeypatch.setitem(FUNCTIONS, Work.DRAIN, f"{__name__}.{does.__name__}")
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    plain = queue(Work.DRAIN, redis)

    def hint_and_work() -> None:
        """Under the same number, which must be free."""
        worker = HintWorker([plain], connection=redis, job_class=OurJob, serializer="json")
        worker.stop = Stop()
        worker.look = lambda: None
        plain.enqueue_call(FUNCTIONS[Work.DRAIN], job_id="drain-0", unique=True, result_ttl=0, failure_ttl=0)
        worker.work(burst=True, logging_level="WARNING")
        assert worker.lost is None
        assert redis.keys("rq:job:*") == []

    try:
        hint_and_work()
        assert [one.message for one in caplog.records] == [*(["job.failed"] if failed else []), "hint.forgotten"]
        monkeypatch.setitem(FUNCTIONS, Work.DRAIN, f"{__name__}.nothing")
        hint_and_work()
        assert len(caplog.records) == 1 + failed
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)


def test_half_a_job_that_a_heartbeat_left_is_forgotten_like_a_whole_one(redis: redis_client.Redis) -> None:
    now = utc_now()
    redis.hset(OurJob.key_for("drain-0"), "last_heartbeat", now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    Queues(redis).forget_stale(now)
    assert redis.keys("rq:job:*") != []
    Queues(redis).forget_stale(now + timedelta(seconds=JOB_TIMEOUT_S + 5))
    assert redis.keys("rq:job:*") == []


@pytest.mark.slow
def test_a_hint_wakes_a_worker(desk: Services) -> None:
    table(desk, TRIAGE)
    with a_worker(desk, "drain"):
        assert until(lambda: bool(desk.redis.smembers("rq:workers")))
        a_ticket(desk.db)
        desk.queues.hint(Work.DRAIN)
        assert until(lambda: decided(desk) == 2)
        assert until(lambda: queue(Work.DRAIN, desk.redis).count == 0)  # it was woken; else it would have looked


@pytest.mark.slow
def test_a_worker_works_without_redis_and_goes_back_to_it(desk: Services, redis_server: RedisServer) -> None:
    table(desk, TRIAGE)
    redis_server.stop()
    try:
        with a_worker(desk, "drain"):
            a_ticket(desk.db)
            assert until(lambda: decided(desk) == 2)
            redis_server.start()
            assert until(lambda: bool(desk.redis.smembers("rq:workers")))
            a_ticket(desk.db)
            desk.queues.hint(Work.DRAIN)
            assert until(lambda: decided(desk) == 4)
            assert until(lambda: queue(Work.DRAIN, desk.redis).count == 0)
    finally:
        redis_server.start()


def applied_within(services: Services, *, hint: bool) -> float:
    """Seconds from the commit of a new ticket until its events are decided."""
    before = decided(services)
    a_ticket(services.db)
    begun = time.monotonic()
    if hint:
        services.queues.hint(Work.DRAIN)
    while decided(services) < before + 2:
        assert time.monotonic() - begun < WAIT_S, "it was never applied"
        time.sleep(0.01)
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "database_kind"),
    [
        pytest.param("dead", "sqlite"),
        pytest.param("dead", "postgres", marks=pytest.mark.postgres),
        pytest.param("silent", "sqlite"),
        pytest.param("silent", "postgres", marks=pytest.mark.postgres),
        pytest.param("flushed", "sqlite"),
        pytest.param("restarted", "sqlite"),
    ],
)
def test_work_goes_on_within_two_seconds_whatever_becomes_of_redis_under_a_waiting_worker(
    desk: Services, redis_server: RedisServer, how: str
) -> None:
    """RQ itself would go on asking for Redis with a growing pause, and nothing would be done meanwhile.

    What the machine takes for the same with Redis there, and a hint, is measured in between and allowed on top."""
    table(desk, TRIAGE)
    waits: list[float] = []
    control: list[float] = []
    with a_worker(desk, "drain") as worker:
        for _ in range(3):
            assert until(lambda: desk.redis.info("clients")["blocked_clients"] == 1)  # it waits for a hint
            control.append(applied_within(desk, hint=True))
            try:
                match how:
                    case "dead":
                        redis_server.kill()
                    case "silent":
                        redis_server.pause()
                    case "flushed":
                        desk.redis.flushall()
                    case "restarted":
                        redis_server.kill()
                        redis_server.start()
                waits.append(applied_within(desk, hint=False))
                if how in ("dead", "silent"):  # it stays away, and so does the next hint
                    waits.append(applied_within(desk, hint=False))
            finally:
                redis_server.go_on() if how == "silent" else redis_server.start()
        assert worker.poll() is None
    assert statistics.median(waits) < 2 + 4 * statistics.median(control), (waits, control)


@pytest.mark.slow
def test_a_worker_looks_for_itself_when_hints_are_lost_and_takes_no_orders_from_redis(desk: Services) -> None:
    table(desk, TRIAGE)
    with a_worker(desk, "drain") as worker:
        assert until(lambda: bool(desk.redis.smembers("rq:workers")))
        desk.redis.set("rq:suspended", 1)
        listening: set[Any] = desk.redis.smembers("rq:workers")
        [name] = [key.decode().removeprefix("rq:worker:") for key in listening]
        desk.redis.publish(f"rq:pubsub:{name}", '{"command": "shutdown"}')
        a_ticket(desk.db)  # nobody is told
        assert until(lambda: decided(desk) == 2)
        assert worker.poll() is None


def test_nobody_waits_twice_for_a_redis_that_is_silent(redis_server: RedisServer, redis: redis_client.Redis) -> None:
    queues = Queues(quick_redis(redis_server.url, timeout_s=0.2))
    redis_server.pause()
    try:
        queues.hint(Work.DRAIN)
        begun = time.monotonic()
        for _ in range(1000):
            queues.hint(Work.DRAIN)
        assert time.monotonic() - begun < 100  # each would wait for 0.2 s
    finally:
        redis_server.go_on()


@pytest.mark.slow
def test_the_clock_tells_of_what_nobody_was_told_about(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db)
    in_the_past(desk)
    waiting = queue(Work.DRAIN, desk.redis)
    with a_worker(desk, "clock"):
        assert until(lambda: waiting.count > 0)
    with a_worker(desk, "drain"):
        assert until(lambda: decided(desk) == 2)
    assert tick(desk) == set()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kill_9_in_the_middle_of_load_loses_and_doubles_nothing(desk: Services) -> None:
    table(desk, TRIAGE)
    with a_worker(desk, "clock"):
        tickets = [a_ticket(desk.db).item_id for _ in range(60)]
        in_the_past(desk)
        for _ in range(4):
            with a_worker(desk, "drain") as victim:
                before = decided(desk)
                until(lambda before=before: decided(desk) > before + 3, seconds=10)  # type: ignore[misc]
                victim.send_signal(signal.SIGKILL)
                victim.wait()
            desk.redis.flushall()
        with a_worker(desk, "drain"):
            assert until(lambda: decided(desk) == 2 * len(tickets), seconds=200)
    with desk.db.read() as connection:
        versions = set(connection.execute(select(WorkItem.version)).scalars())
        teams = set(connection.execute(select(WorkItem.team)).scalars())
    assert (versions, teams) == ({2}, {"billing"})


@pytest.mark.slow
def test_flask_clock_tells_and_flask_worker_decides_and_both_end_when_asked(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db)
    in_the_past(desk)
    waiting = queue(Work.DRAIN, desk.redis)
    with a_worker(desk, "clock", command=FLASK) as process:
        assert until(lambda: waiting.count > 0)
        process.terminate()
        assert process.wait(END_S) == 0
    assert decided(desk) == 0  # the clock never decides
    with a_worker(desk, "drain", command=(*FLASK, "worker")) as process:
        assert until(lambda: decided(desk) == 2)
        process.terminate()
        assert process.wait(END_S) == 0


@pytest.mark.slow
def test_a_worker_started_by_its_command_and_asked_to_end_ends(desk: Services) -> None:
    with a_worker(desk, "drain", command=WORKER) as process:
        assert until(lambda: bool(desk.redis.smembers("rq:workers")))
        process.terminate()
        assert process.wait(END_S) == 0


@pytest.mark.timeout(30)
def test_a_worker_asked_to_end_while_rq_starts_waits_for_no_hint(desk: Services) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        stop = Stop()
        stop.asked = True  # as its handler leaves it when the signal comes before RQ's own handlers stand
        worker = HintWorker([queue(Work.DRAIN, desk.redis)], connection=desk.redis, job_class=OurJob, serializer="json")
        worker.stop = stop
        looks: list[bool] = []
        worker.look = lambda: looks.append(True)  # what a worker does that has waited for a hint in vain
        worker.work(logging_level="WARNING")
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert looks == []
    assert not desk.redis.smembers("rq:workers")
