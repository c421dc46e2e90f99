"""The breaker and the rate limit, in process and through a real Redis."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client

from connectors.errors import BadRequest, BreakerOpen, CredentialsRejected, RateLimited, Unavailable
from connectors.secrets import SecretBox
from connectors.traffic import PREFIX, Traffic
from tests.connectors.desk import Desk, http_json
from tests.connectors.upstream import Asked, Reply, Serve, Upstream, as_json
from tests.environment.redis import RedisServer
from tickets.db import Database

FAIL = as_json({}, 500)
#: Seconds a breaker stays open here. And how long a busy machine may take for a few questions.
RESET_S = 60
ASKING_S = 5


@pytest.fixture(params=["in process", "redis"])
def shared(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("redis") if request.param == "redis" else None


def connected(db: Database, redis: Any, server: Upstream, **more: Any) -> Desk:
    more.setdefault("breaker_reset_s", RESET_S)
    desk = Desk(db, redis, breaker_failures=3, **more)
    desk.connect("crm", "http_json", http_json(server.url, calls_per_minute=10_000))
    return desk


def ask(desk: Desk) -> Any:
    return desk.gateway.call(
        "crm", "find_customer", {"email": "a@example.net"}, deadline_s=60, cause="test", max_age_s=0
    )


def its_time_is_over(desk: Desk) -> None:
    """As if the breaker of the connection had been opened a minute earlier than it was."""
    name = f"crm:{desk.info('crm').config_version}"
    if desk.redis is None:
        storage = desk.gateway._traffic._local_breakers[name]
        assert storage.opened_at is not None
        storage.opened_at -= timedelta(seconds=RESET_S)
    else:
        opened_at = f"{PREFIX}:breaker:{name}:pybreaker:opened_at"
        stored: Any = desk.redis.get(opened_at)
        desk.redis.set(opened_at, int(stored) - RESET_S, keepttl=True)


def test_a_breaker_opens_tries_again_and_closes(db: Database, shared: Any, serve: Serve) -> None:
    server = serve(lambda _asked: FAIL)
    desk = connected(db, shared, server)
    for _ in range(3):
        with pytest.raises(Unavailable, match="failed on its side"):
            ask(desk)
    assert desk.gateway.health()[0].breaker == "open"
    with pytest.raises(BreakerOpen, match="failed 3 times in a row and is left in peace") as caught:
        ask(desk)
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= RESET_S
    assert len(server.asked) == 3

    its_time_is_over(desk)
    assert desk.gateway.health()[0].breaker == "half-open"
    with pytest.raises(Unavailable, match="failed on its side"):
        ask(desk)  # the trial fails: open again
    with pytest.raises(BreakerOpen):
        ask(desk)
    assert len(server.asked) == 4

    its_time_is_over(desk)
    server.answer = lambda _asked: as_json({"items": []})
    assert ask(desk).data is None
    assert desk.gateway.health()[0].breaker == "closed"
    assert ask(desk).data is None


def test_a_trial_for_which_nothing_could_be_sent_says_nothing_of_the_system(
    db: Database, shared: Any, serve: Serve
) -> None:
    server = serve(lambda _asked: FAIL)
    desk = Desk(db, shared, breaker_failures=3, breaker_reset_s=RESET_S)
    desk.connect("crm", "http_json", http_json(server.url, calls_per_minute=3))
    if shared is None and (left_s := 60 - time.time() % 60) < ASKING_S:
        time.sleep(left_s)
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask(desk)
    its_time_is_over(desk)
    with pytest.raises(RateLimited, match="3 requests of this minute"):
        ask(desk)
    assert len(server.asked) == 3
    assert desk.gateway.health()[0].breaker == "open"
    with pytest.raises(BreakerOpen):
        ask(desk)


def test_one_caller_tries_and_the_others_are_still_refused(db: Database, shared: Any, serve: Serve) -> None:
    server = serve(lambda _asked: FAIL)
    desk = connected(db, shared, server)
    for number in range(3):
        with pytest.raises(Unavailable):
            desk.call("crm", "find_customer", email=f"x{number}@example.net")
    its_time_is_over(desk)
    gate, all_others, refused = threading.Barrier(10), threading.Event(), list[int]()

    def answer(_asked: Asked) -> Reply:
        all_others.wait(30)  # who is allowed to try has no answer before the others have theirs
        return as_json({"items": []})

    def one(number: int) -> str:
        gate.wait()
        try:
            desk.call("crm", "find_customer", 60, email=f"c{number}@example.net")
        except BreakerOpen:
            refused.append(number)
            if len(refused) == 9:
                all_others.set()
            return "refused"
        return "asked"

    server.answer = answer

    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(one, range(10)))
    assert sorted(told) == ["asked"] + ["refused"] * 9
    assert len(server.asked) == 4


@pytest.mark.parametrize(("status", "error"), [(400, BadRequest), (403, CredentialsRejected), (429, RateLimited)])
def test_a_system_that_answers_no_is_alive(
    db: Database, shared: Any, serve: Serve, status: int, error: type[Exception]
) -> None:
    server = serve(lambda _asked: as_json({}, status, headers={"Retry-After": "100"}))
    desk = connected(db, shared, server)
    for _ in range(5):
        with pytest.raises(error):
            ask(desk)
    assert len(server.asked) == 5
    assert desk.gateway.health()[0].breaker == "closed"


def test_one_connections_breaker_does_not_stop_another(db: Database, shared: Any, serve: Serve) -> None:
    bad, good = serve(lambda _asked: FAIL), serve(lambda _asked: as_json({"items": []}))
    desk = connected(db, shared, bad)
    desk.connect("other", "http_json", http_json(good.url))
    for _ in range(4):
        with pytest.raises((Unavailable, BreakerOpen)):
            ask(desk)
    assert desk.call("other", "find_customer", email="a@example.net").cache == "miss"


def test_a_breaker_opened_by_one_worker_is_open_for_the_other(
    db: Database, redis: redis_client.Redis, serve: Serve
) -> None:
    server = serve(lambda _asked: FAIL)
    first = connected(db, redis, server)
    second = Desk(db, redis, box=first.box, clock=first.clock, breaker_failures=3, breaker_reset_s=60)
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask(first)
    with pytest.raises(BreakerOpen):
        ask(second)
    assert len(server.asked) == 3


def test_new_settings_begin_with_a_closed_breaker(db: Database, shared: Any, serve: Serve) -> None:
    server = serve(lambda _asked: FAIL)
    desk = connected(db, shared, server)
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask(desk)
    server.answer = lambda _asked: as_json({"items": []})
    desk.connect("crm", "http_json", http_json(server.url))
    assert ask(desk).cache == "miss"


def test_a_stored_answer_is_handed_out_while_the_breaker_is_open(db: Database, shared: Any, serve: Serve) -> None:
    row = {"id": 1, "full_name": "Ada", "email": "a@example.net", "balance": None}
    server = serve(lambda _asked: as_json({"items": [row]}))
    desk = connected(db, shared, server)
    ask(desk)
    server.answer = lambda _asked: FAIL
    desk.clock.forward(601)
    for _ in range(6):
        assert desk.call("crm", "find_customer", email="a@example.net").cache == "stale"
    assert len(server.asked) == 1 + 3


def test_a_connection_asks_no_more_than_its_rate(db: Database, shared: Any, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"items": []}))
    desk = Desk(db, shared)
    desk.connect("crm", "http_json", http_json(server.url, calls_per_minute=5))
    # In process the minutes that are counted are the clock's: where one ends, more are allowed.
    if shared is None and (left_s := 60 - time.time() % 60) < ASKING_S:
        time.sleep(left_s)
    for _ in range(5):
        ask(desk)
    with pytest.raises(RateLimited, match="5 requests of this minute") as caught:
        ask(desk)
    assert caught.value.retry_after_s is not None
    assert 1 <= caught.value.retry_after_s <= 60
    assert len(server.asked) == 5


def test_sessions_in_redis_are_sealed(redis: redis_client.Redis) -> None:
    box = SecretBox([SecretBox.generate_key()])
    traffic = Traffic(redis, box)
    traffic.put_token("erp:1", "canary-session")
    assert traffic.get_token("erp:1") == "canary-session"
    assert Traffic(redis, box).get_token("erp:1") == "canary-session"
    stored = [redis.get(key) for key in redis.keys("*token*")]
    assert stored
    for text in stored:
        assert isinstance(text, bytes)
        assert b"canary" not in text
    traffic.drop_token("erp:1")
    assert traffic.get_token("erp:1") is None


def test_a_session_sealed_with_a_lost_key_is_no_session(redis: redis_client.Redis) -> None:
    Traffic(redis, SecretBox([SecretBox.generate_key()])).put_token("erp:1", "canary-session")
    assert Traffic(redis, SecretBox([SecretBox.generate_key()])).get_token("erp:1") is None


def test_everything_in_redis_ends_by_itself(db: Database, redis: redis_client.Redis, serve: Serve) -> None:
    server = serve(lambda _asked: FAIL)
    desk = connected(db, redis, server)
    for _ in range(4):
        with pytest.raises((Unavailable, BreakerOpen)):
            ask(desk)
    keys = redis.keys("*")
    assert len(keys) >= 4
    assert [key for key in keys if redis.ttl(key) < 0] == []


def test_a_redis_client_that_decodes_is_refused(redis_server: RedisServer) -> None:
    client = redis_client.Redis.from_url(redis_server.url, decode_responses=True)
    with pytest.raises(ValueError, match="decode_responses"):
        Traffic(client, SecretBox([SecretBox.generate_key()]))
    client.close()
