"""What a caller of the gateway can rely on: freshness, one flight, stale answers, refusals, the audit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client

from connectors.addresses import AddressCeiling
from connectors.errors import (
    AddressRefused,
    BadAnswer,
    BadRequest,
    ConnectorError,
    CredentialsRejected,
    NotGranted,
    TimedOut,
    Unavailable,
    UnknownConnection,
    UnknownOperation,
)
from tests.connectors.desk import ADA, FIND, LOOPBACK, Desk, ask, crm, http_json
from tests.connectors.upstream import Asked, Reply, Serve, Stopwatch, Upstream, answers, as_json
from tests.environment.redis import RedisServer
from tickets.db import Database
from tickets.values import JSON

#: Seconds after which a server answers that is to be too late; and what one that answers at once surely keeps.
SILENT_S = 60


def test_an_answer_says_where_it_comes_from_and_how_long_it_holds(connected: Desk) -> None:
    record = ask(connected)
    assert record.data == {"id": "7", "name": "Ada", "email": "ada@example.net", "receivable": "64.9"}
    assert (record.connection, record.operation, record.cache) == ("crm", "find_customer", "miss")
    assert record.fetched_at == connected.clock.now
    assert record.fresh_until == connected.clock.now + timedelta(seconds=600)


def test_a_fresh_answer_is_not_asked_for_again(connected: Desk, server: Upstream) -> None:
    first = ask(connected)
    connected.clock.forward(599)
    second = ask(connected, " ada@example.net ")
    assert (second.cache, second.data, second.fetched_at) == ("fresh", first.data, first.fetched_at)
    connected.clock.forward(1)
    assert ask(connected).cache == "miss"
    assert len(server.asked) == 2
    assert len(connected.records()) == 2  # append-only


def test_a_caller_may_want_a_younger_answer_than_the_stored_one(connected: Desk, server: Upstream) -> None:
    ask(connected)
    connected.clock.forward(60)
    assert ask(connected, max_age_s=61).cache == "fresh"
    assert ask(connected, max_age_s=60).cache == "miss"
    assert ask(connected, max_age_s=0).cache == "miss"
    assert len(server.asked) == 3


def test_no_match_is_an_answer_that_is_believed_for_a_minute(connected: Desk, server: Upstream) -> None:
    assert ask(connected, "new@example.net").data is None
    connected.clock.forward(59)
    assert ask(connected, "new@example.net").cache == "fresh"
    connected.clock.forward(1)
    assert ask(connected, "new@example.net").cache == "miss"
    assert [row.status for row in connected.audit()] == ["none", "none"]


def test_no_match_does_not_stand_in_for_a_system_that_fails(connected: Desk, server: Upstream) -> None:
    ask(connected, "new@example.net")
    connected.clock.forward(61)
    server.answer = lambda _asked: as_json({}, 500)
    with pytest.raises(Unavailable):
        ask(connected, "new@example.net")


def test_a_stored_answer_stands_in_for_a_failing_system_and_says_so(connected: Desk, server: Upstream) -> None:
    first = ask(connected)
    server.answer = lambda _asked: as_json({}, 500)
    connected.clock.forward(601)
    stale = ask(connected)
    assert (stale.cache, stale.data, stale.fetched_at) == ("stale", first.data, first.fetched_at)
    assert stale.fresh_until < connected.clock.now
    with pytest.raises(Unavailable):
        ask(connected, max_age_s=300)
    connected.clock.forward(3_600)
    with pytest.raises(Unavailable):
        ask(connected)


def test_a_wrong_answer_is_not_stored(connected: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: Reply(b"<html>Sign in</html>", content_type="text/html")
    with pytest.raises(BadAnswer, match="crm answered 200 with a web page"):
        ask(connected)
    assert connected.records() == []
    assert [(row.status, row.http_status) for row in connected.audit()] == [("bad_answer", 200)]


def test_what_is_not_in_the_map_is_not_stored(connected: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: as_json({"items": [{**ADA, "iban": "canary-iban"}], "internal": "canary"})
    ask(connected)
    assert "canary" not in str(connected.records())


def test_new_settings_do_not_use_old_answers(connected: Desk, server: Upstream) -> None:
    ask(connected)
    connected.connect("crm", "http_json", http_json(server.url, calls_per_minute=10))
    assert ask(connected).cache == "miss"
    assert len(server.asked) == 2


def test_two_connections_do_not_share_answers(connected: Desk, server: Upstream) -> None:
    connected.connect("other", "http_json", http_json(server.url, auth="bearer", secret="another-tenants-token"))
    ask(connected)
    assert connected.call("other", "find_customer", email="ada@example.net").cache == "miss"


@pytest.mark.slow
@pytest.mark.parametrize("with_redis", [False, True], ids=["in process", "redis"])
def test_a_hundred_callers_at_once_are_one_question(
    db: Database, serve: Serve, request: pytest.FixtureRequest, with_redis: bool
) -> None:
    server = serve(lambda asked: Reply(crm(asked).body, delay_s=0.2))
    desk = Desk(db, request.getfixturevalue("redis") if with_redis else None)
    desk.connect("crm", "http_json", http_json(server.url))
    gate = threading.Barrier(100)

    def one(_: int) -> Any:
        gate.wait()
        return ask(desk)

    with ThreadPoolExecutor(100) as pool:
        records = list(pool.map(one, range(100)))
    assert len(server.asked) == 1
    assert {record.data["name"] for record in records} == {"Ada"}
    assert sorted(record.cache for record in records) == ["fresh"] * 99 + ["miss"]
    assert len(desk.audit()) == 1


def test_two_processes_share_one_flight_through_redis(db: Database, serve: Serve, redis: redis_client.Redis) -> None:
    server = serve(lambda asked: Reply(crm(asked).body, delay_s=0.3))
    first = Desk(db, redis)
    second = Desk(db, redis, box=first.box, clock=first.clock)
    first.connect("crm", "http_json", http_json(server.url))
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(ask, [first, second] * 4))
    assert len(server.asked) == 1
    assert [record.data["name"] for record in records] == ["Ada"] * 8


def test_different_questions_do_not_wait_for_each_other(desk: Desk, serve: Serve) -> None:
    all_there = threading.Barrier(4, timeout=30)

    def answer(asked: Asked) -> Reply:
        all_there.wait()  # None is answered before all have been asked.
        return crm(asked)

    server = serve(answer)
    desk.connect("crm", "http_json", http_json(server.url))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ask(desk, f"c{number}@example.net", deadline_s=60), range(4)))
    assert len(server.asked) == 4


@pytest.mark.slow
def test_who_waits_for_another_ones_question_waits_no_longer_than_his_deadline(desk: Desk, serve: Serve) -> None:
    let_go = threading.Event()

    def answer(asked: Asked) -> Reply:
        let_go.wait(60)
        return crm(asked)

    server = serve(answer)
    desk.connect("crm", "http_json", http_json(server.url))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, desk)
        while not server.asked:
            threading.Event().wait(0.01)
        with pytest.raises(TimedOut, match="Another call asks the same question"):
            ask(desk, deadline_s=0.3)
        assert not slow.done()
        let_go.set()
        assert slow.result().cache == "miss"


def test_redis_that_goes_away_breaks_no_call(
    db: Database, serve: Serve, redis: redis_client.Redis, redis_server: RedisServer
) -> None:
    server = serve(crm)
    desk = Desk(db, redis)
    desk.connect("crm", "http_json", http_json(server.url))
    assert ask(desk, max_age_s=0).cache == "miss"
    redis_server.kill()
    try:
        assert ask(desk, max_age_s=0).cache == "miss"
        assert ask(desk).cache == "fresh"
        assert desk.gateway.health()[0].breaker == "closed"
    finally:
        redis_server.start()
    assert ask(desk, max_age_s=0).cache == "miss"


def test_inputs_are_checked_before_anything_is_sent(connected: Desk, server: Upstream) -> None:
    wrong: tuple[tuple[dict[str, JSON], str], ...] = (
        ({}, "email is missing"),
        ({"email": None}, "email is missing"),
        ({"email": "nobody"}, "email is not an e-mail address"),
        ({"email": "a@example.net\r\nBcc: x"}, "email must be one line of text"),
        ({"email": ["a@example.net"]}, "email must be text"),
        ({"email": "x" * 2_000}, "email is longer than 1000 characters"),
        ({"email": "a@example.net", "limit": 5}, "there is no input 'limit'"),
    )
    for args, words in wrong:
        with pytest.raises(BadRequest, match=words):
            connected.gateway.call("crm", "find_customer", args, deadline_s=60, cause="test")
    assert server.asked == []
    assert [row.status for row in connected.audit()] == ["bad_request"] * 7


def test_what_does_not_exist_is_named_with_what_does(connected: Desk, server: Upstream) -> None:
    with pytest.raises(UnknownConnection, match="There is no connection 'erp'"):
        connected.call("erp", "find_customer", email="ada@example.net")
    with pytest.raises(UnknownOperation, match=r"crm has no operation 'delete_all'\. It has: find_customer"):
        connected.call("crm", "delete_all")
    assert server.asked == []


def test_a_connection_that_is_switched_off_sends_nothing(desk: Desk, server: Upstream) -> None:
    desk.connect("crm", "http_json", http_json(server.url), enabled=False)
    with pytest.raises(NotGranted, match="switched off"):
        ask(desk)
    assert server.asked == []
    assert desk.gateway.test("crm").error == ""


def test_an_address_outside_the_ceiling_is_refused_and_nothing_is_sent(db: Database, server: Upstream) -> None:
    desk = Desk(db, ceiling=AddressCeiling())
    desk.connect("crm", "http_json", http_json(server.url))
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 leads to 127\.0\.0\.1, a private address"):
        ask(desk)
    result = desk.gateway.test("crm")
    assert (result.ok, result.error, result.status) == (False, "address_refused", None)
    assert server.asked == []


def test_a_connection_may_narrow_the_ceiling(db: Database, server: Upstream) -> None:
    desk = Desk(db, ceiling=AddressCeiling(LOOPBACK))
    desk.connect("crm", "http_json", http_json(server.url, allowed_addresses=["10.0.0.0/8"]))
    with pytest.raises(AddressRefused, match="limited to"):
        ask(desk)
    assert server.asked == []


def test_the_database_and_redis_are_never_an_upstream(db: Database, server: Upstream) -> None:
    desk = Desk(db, ceiling=AddressCeiling(LOOPBACK, own_addresses=[f"localhost:{server.port}"]))
    desk.connect("crm", "http_json", http_json(server.url))
    with pytest.raises(AddressRefused, match="belongs to Deskhand itself"):
        ask(desk)
    assert server.asked == []


def test_refused_credentials_are_sent_once_until_somebody_acts(connected: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: as_json({}, 401)
    for _ in range(3):
        with pytest.raises(CredentialsRejected):
            ask(connected)
    assert len(server.asked) == 1
    assert connected.gateway.health()[0].needs_reauth is True
    server.answer = crm
    connected.connect("crm", "http_json", http_json(server.url, test_path="/customers"))
    assert ask(connected).data["name"] == "Ada"


def test_a_good_connection_test_clears_the_wish_for_new_credentials(connected: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: as_json({}, 401)
    with pytest.raises(CredentialsRejected):
        ask(connected)
    server.answer = crm
    assert connected.gateway.test("crm").ok is True
    assert connected.info("crm").needs_reauth is False
    assert ask(connected).cache == "miss"


@pytest.mark.parametrize(
    ("reply", "error", "reading"),
    [
        (as_json({"ok": 1}), "", "The system answered 200 with JSON."),
        (as_json({}, 401), "credentials_rejected", "crm refuses our credentials (401). Enter new ones."),
        (Reply(b"<html>", content_type="text/html"), "bad_answer", "a web page (HTML) instead of JSON"),
        (Reply(b"", delay_s=SILENT_S), "timed_out", "crm gave no answer within 0.5 s"),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/"}), "bad_answer", "redirects elsewhere (302)"),
        (as_json({}, 500), "unavailable", "failed on its side (500)"),
    ],
)
def test_a_connection_test_reads_every_failure_as_a_sentence(
    connected: Desk, server: Upstream, reply: Reply, error: str, reading: str
) -> None:
    server.answer = lambda _asked: reply
    result = connected.gateway.test("crm", deadline_s=0.5 if reply.delay_s else SILENT_S)
    assert (result.ok, result.error) == (error == "", error)
    assert reading in result.reading
    assert result.request_line == f"GET {server.url}/"
    assert connected.audit()[-1].kind == "test"


# Audit and health


def test_every_call_that_leaves_is_in_the_audit_with_masked_inputs(connected: Desk) -> None:
    connected.gateway.call("crm", "find_customer", {"email": "ada@example.net"}, deadline_s=60, cause="table A01@3/r2")
    (row,) = connected.audit()
    assert (row.connection, row.operation, row.kind, row.status) == ("crm", "find_customer", "read", "ok")
    assert (row.cause, row.http_status, row.requests) == ("table A01@3/r2", 200, 1)
    assert row.inputs == {"email": "ad…"}
    assert row.answer_bytes > 50
    assert "example.net" not in str(row)


def test_health_tells_success_failure_and_today(connected: Desk, server: Upstream) -> None:
    (before,) = connected.gateway.health()
    assert (before.last_success, before.last_error, before.calls_today) == (None, "", 0)
    ask(connected)
    good_at = connected.clock.now
    connected.clock.forward(700)
    server.answer = lambda _asked: as_json({}, 500)
    ask(connected)
    (health,) = connected.gateway.health()
    assert (health.name, health.kind, health.breaker, health.enabled) == ("crm", "http_json", "closed", True)
    assert (health.last_success, health.last_error_at) == (good_at, connected.clock.now)
    assert health.last_error == "crm failed on its side (500)."
    assert (health.calls_today, health.failures_today) == (2, 1)
    connected.clock.forward(86_400)
    assert connected.gateway.health()[0].calls_today == 0


def test_no_time_left_sends_nothing(connected: Desk, server: Upstream) -> None:
    for left in (0, -1.5, float("nan")):
        with pytest.raises(TimedOut):
            ask(connected, deadline_s=left)
    assert server.asked == []


def test_an_operations_own_timeout_bounds_a_generous_caller(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: Reply(b"{}", delay_s=SILENT_S))
    desk.connect("crm", "http_json", http_json(server.url, {**FIND, "timeout_s": 0.5}))
    with Stopwatch() as watch, pytest.raises(TimedOut):
        ask(desk, deadline_s=100)
    assert watch.seconds < SILENT_S / 2


def test_an_error_carries_nothing_of_the_http_library(connected: Desk, server: Upstream) -> None:
    for reply in (as_json({}, 500), Reply(b"x", delay_s=9), Reply(b"nope")):
        server.answer = answers(reply)
        with pytest.raises(ConnectorError) as caught:
            ask(connected, deadline_s=0.3)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
