"""What a caller of the gateway can rely on: freshness, one flight, stale answers, writes, the audit."""

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
    RateLimited,
    Retryable,
    TimedOut,
    Unavailable,
    Unclear,
    UnknownConnection,
    UnknownOperation,
)
from connectors.gateway import Gateway
from tests.connectors.desk import FIND, LOOPBACK, Desk, http_json
from tests.connectors.upstream import Asked, Reply, Serve, Stopwatch, Upstream, answers, as_json
from tests.environment.redis import RedisServer
from tickets.db import Database
from tickets.values import JSON

ADA = {"id": 7, "full_name": "Ada", "email": "ada@example.net", "balance": {"open": 64.90}}


def crm(asked: Asked) -> Reply:
    """One customer, whom everybody can find by her address."""
    return as_json({"items": [ADA] if asked.query.get("email") == "ada@example.net" else []})


@pytest.fixture
def server(serve: Serve) -> Upstream:
    return serve(crm)


@pytest.fixture
def connected(desk: Desk, server: Upstream) -> Desk:
    desk.connect("crm", "http_json", http_json(server.url))
    return desk


def ask(desk: Desk, email: str = "ada@example.net", **more: Any) -> Any:
    more = {"deadline_s": 60, "cause": "test", **more}
    return desk.gateway.call("crm", "find_customer", {"email": email}, **more)


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
        return ask(desk, deadline_s=20)

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
            connected.gateway.call("crm", "find_customer", args, deadline_s=5, cause="test")
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
        (Reply(b"", delay_s=10), "timed_out", "crm gave no answer within 0.5 s"),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/"}), "bad_answer", "redirects elsewhere (302)"),
        (as_json({}, 500), "unavailable", "failed on its side (500)"),
    ],
)
def test_a_connection_test_reads_every_failure_as_a_sentence(
    connected: Desk, server: Upstream, reply: Reply, error: str, reading: str
) -> None:
    server.answer = lambda _asked: reply
    result = connected.gateway.test("crm", deadline_s=0.5)
    assert (result.ok, result.error) == (error == "", error)
    assert reading in result.reading
    assert result.request_line == f"GET {server.url}/"
    assert connected.audit()[-1].kind == "test"


# Writes

REFUND = {
    "name": "refund",
    "kind": "write",
    "inputs": [{"name": "charge"}, {"name": "amount", "type": "decimal"}],
    "method": "POST",
    "path": "/charges/{charge}/refunds",
    "body": {"amount": "{amount}", "reason": "requested"},
    "map": {"id": "id"},
}


def refund(desk: Desk, charge: str = "ch_1", key: str = "root-5", **more: Any) -> Any:
    args = {"charge": charge, "amount": "64.90"}
    more = {"allow_write": True, "idempotency_key": key, **more}
    return desk.gateway.call("crm", "refund", args, deadline_s=5, cause="test", **more)


@pytest.fixture
def writable(desk: Desk, server: Upstream) -> Desk:
    server.answer = lambda _asked: as_json({"id": "re_1"})
    desk.connect("crm", "http_json", http_json(server.url, FIND, REFUND), allow_write=True)
    return desk


def test_a_write_needs_connection_caller_and_key_to_agree(writable: Desk, server: Upstream) -> None:
    with pytest.raises(NotGranted, match="this caller may only read"):
        refund(writable, allow_write=False)
    with pytest.raises(BadRequest, match="idempotency key"):
        refund(writable, key="")
    writable.connect("crm", "http_json", http_json(server.url, FIND, REFUND), allow_write=False)
    with pytest.raises(NotGranted, match="may only be read"):
        refund(writable)
    assert server.asked == []
    assert [row.status for row in writable.audit()] == ["not_granted", "bad_request", "not_granted"]


def test_a_write_with_the_same_key_is_sent_once(writable: Desk, server: Upstream) -> None:
    assert refund(writable).cache == "miss"
    writable.clock.forward(10**7)
    assert refund(writable).data == {"id": "re_1"}
    assert refund(writable, key="root-6").cache == "miss"
    assert [asked.headers["idempotency-key"] for asked in server.asked] == ["root-5", "root-6"]
    assert server.asked[0].path == "/charges/ch_1/refunds"
    assert server.asked[0].json == {"amount": "64.90", "reason": "requested"}


@pytest.mark.parametrize(
    "amount", ["a lot", "NaN", "-Infinity", "1E+99999", "1e9999999999", "1e-9999999999", "9" * 41, "1,5", True]
)
def test_an_amount_that_is_no_plain_number_is_refused_and_not_sent(
    writable: Desk, server: Upstream, amount: Any
) -> None:
    with pytest.raises(BadRequest, match="amount must be a decimal number as text"):
        writable.gateway.call(
            "crm", "refund", {"charge": "ch_1", "amount": amount}, deadline_s=5, cause="t", allow_write=True,
            idempotency_key="k",
        )  # fmt: skip
    assert server.asked == []


def test_an_amount_is_sent_in_plain_digits(writable: Desk, server: Upstream) -> None:
    amounts: list[JSON] = [" 64.90 ", "1E+2", "1_000.5", 7]
    for number, amount in enumerate(amounts):
        writable.gateway.call(
            "crm", "refund", {"charge": "ch_1", "amount": amount}, deadline_s=5, cause="t", allow_write=True,
            idempotency_key=f"k{number}",
        )  # fmt: skip
    assert [asked.json["amount"] for asked in server.asked] == ["64.90", "100", "1000.5", "7"]


def test_a_key_is_not_used_for_two_different_writes(writable: Desk, server: Upstream) -> None:
    refund(writable)
    with pytest.raises(BadRequest, match="used with other inputs"):
        refund(writable, charge="ch_2")
    assert len(server.asked) == 1


def test_a_write_that_fails_is_not_sent_again_on_its_own(writable: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: as_json({}, 503)
    with pytest.raises(Unclear, match=r"may have carried out refund, or not: .* \(503\)"):
        refund(writable)
    assert len(server.asked) == 1
    server.answer = lambda _asked: as_json({"id": "re_2"})
    assert refund(writable).data == {"id": "re_2"}


def test_a_write_is_sent_again_where_the_api_promises_to_do_it_once(desk: Desk, server: Upstream) -> None:
    replies = [as_json({}, 503), as_json({"id": "re_3"})]
    server.answer = lambda _asked: replies.pop(0)
    desk.connect("crm", "http_json", http_json(server.url, FIND, REFUND, idempotent=True), allow_write=True)
    assert refund(desk).data == {"id": "re_3"}
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {"root-5"}
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        as_json({}, 500),
        as_json({}, 408),
        Reply(b"", 303, {"Location": "/refunds/re_1"}),
        as_json({"other": 1}),  # a yes that cannot be read
        Reply(b"{", cut=True),
        Reply(b"{}", delay_s=30),
    ],
    ids=["failed there", "gave up", "done, look there", "unreadable", "broken off", "silent"],
)
def test_a_write_whose_end_is_open_is_unclear_and_sent_once(writable: Desk, server: Upstream, reply: Reply) -> None:
    server.answer = lambda _asked: reply
    with pytest.raises(Unclear, match="not sent again by itself"):
        writable.gateway.call(
            "crm", "refund", {"charge": "ch_1", "amount": "1"}, deadline_s=0.5, cause="t", allow_write=True,
            idempotency_key="k",
        )  # fmt: skip
    assert len(server.asked) == 1
    assert writable.audit()[-1].status == "unclear"


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429])
def test_a_write_that_was_answered_with_no_is_not_unclear(writable: Desk, server: Upstream, status: int) -> None:
    server.answer = lambda _asked: as_json({}, status)
    with pytest.raises((BadAnswer, BadRequest, CredentialsRejected, RateLimited)):
        refund(writable)
    assert len(server.asked) == 1


def test_a_write_that_never_left_is_not_unclear(writable: Desk, server: Upstream) -> None:
    server.close()
    with pytest.raises(Unavailable, match="refused"):
        refund(writable)
    writable.connect("crm", "http_json", http_json("http://192.0.2.1", FIND, REFUND), allow_write=True)
    with pytest.raises(AddressRefused):
        refund(writable)


def test_a_write_that_may_have_been_sent_before_is_not_sent_again(writable: Desk, server: Upstream) -> None:
    with pytest.raises(Unclear, match="may have carried out refund already"):
        refund(writable, sent_before=True)
    assert server.asked == []
    refund(writable)
    # Its answer is here: then it is known what became of it, and nothing is sent.
    assert refund(writable, sent_before=True).data == {"id": "re_1"}
    assert len(server.asked) == 1


def test_a_write_sent_before_is_sent_again_where_the_api_promises_to_do_it_once(desk: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: as_json({"id": "re_1"})
    desk.connect("crm", "http_json", http_json(server.url, FIND, REFUND, idempotent=True), allow_write=True)
    assert refund(desk, sent_before=True).data == {"id": "re_1"}
    assert [asked.headers["idempotency-key"] for asked in server.asked] == ["root-5"]


def test_a_write_that_answers_with_nothing_at_all_was_done(writable: Desk, server: Upstream) -> None:
    server.answer = lambda _asked: Reply(b"", status=204)
    assert refund(writable).data == {}
    assert refund(writable).cache == "fresh"
    assert len(server.asked) == 1


def test_a_change_ends_the_use_of_what_its_connection_answered_before_in_every_process(
    writable: Desk, server: Upstream
) -> None:
    elsewhere = Gateway(writable.db, None, writable.box, writable.ceiling, now=writable.clock)
    writable.connect("erp", "http_json", http_json(server.url, FIND))

    def found(name: str = "crm") -> str:
        args = {"email": "a@example.net"}
        return elsewhere.call(name, "find_customer", args, deadline_s=5, cause="test").cache

    server.answer = lambda asked: as_json({"id": "re_1"} if asked.method == "POST" else {"items": []})
    assert (found(), found(), found("erp")) == ("miss", "fresh", "miss")
    refund(writable)
    assert (found(), found(), found("erp")) == ("miss", "fresh", "fresh")
    refund(writable)  # handed out again, and nothing was sent
    assert found() == "fresh"


def test_a_change_that_may_have_been_made_does_so_too_and_a_refused_one_does_not(
    writable: Desk, server: Upstream
) -> None:
    status = [400]
    row = {"id": "c1", "full_name": "Ada", "email": "a@example.net", "balance": None}
    server.answer = lambda asked: (
        as_json({}, status[0]) if asked.method == "POST" or status[0] == 500 else as_json({"items": [row]})
    )
    assert writable.call("crm", "find_customer", email="a@example.net").cache == "miss"
    with pytest.raises(ConnectorError):
        refund(writable)
    assert writable.call("crm", "find_customer", email="a@example.net").cache == "fresh"
    status[0] = 500
    with pytest.raises(Unclear):
        refund(writable, key="root-7")
    with pytest.raises(Retryable):  # nor does it stand in for a system that does not answer
        writable.call("crm", "find_customer", email="a@example.net")


def test_an_answer_that_was_on_its_way_while_something_was_changed_is_not_kept_for_others(
    writable: Desk, server: Upstream
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return as_json({"id": "re_1"})
        if len(server.asked) == 1:
            refund(writable)  # carried out before the first answer is there
        return as_json({"items": []})

    server.answer = answer
    assert writable.call("crm", "find_customer", email="a@example.net").cache == "miss"
    assert writable.call("crm", "find_customer", email="a@example.net").cache == "miss"
    assert writable.call("crm", "find_customer", email="a@example.net").cache == "fresh"


def test_text_of_several_lines_reaches_the_system_as_it_is(desk: Desk, server: Upstream) -> None:
    note = {
        "name": "add_note", "kind": "write", "inputs": [{"name": "text", "type": "lines"}], "method": "POST",
        "path": "/notes", "body": {"text": "{text}"}, "map": {"id": "id"},
    }  # fmt: skip
    server.answer = lambda _asked: as_json({"id": "n1"})
    desk.connect("crm", "http_json", http_json(server.url, note), allow_write=True)

    def add(text: str) -> Any:
        key = f"note-{len(text)}"
        return desk.gateway.call(
            "crm", "add_note", {"text": text}, deadline_s=5, cause="t", allow_write=True, idempotency_key=key
        )

    add(" One\r\n\tTwo\n")
    with pytest.raises(BadRequest, match="text must be text"):
        add("bell \a")
    with pytest.raises(BadRequest, match="longer than 20000"):
        add("x" * 20_001)
    assert [asked.json for asked in server.asked] == [{"text": "One\n\tTwo"}]


# Audit and health


def test_every_call_that_leaves_is_in_the_audit_with_masked_inputs(connected: Desk) -> None:
    connected.gateway.call("crm", "find_customer", {"email": "ada@example.net"}, deadline_s=5, cause="table A01@3/r2")
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
    server = serve(lambda _asked: Reply(b"{}", delay_s=20))
    desk.connect("crm", "http_json", http_json(server.url, {**FIND, "timeout_s": 0.5}))
    with Stopwatch() as watch, pytest.raises(TimedOut):
        ask(desk, deadline_s=100)
    assert watch.seconds < 10


def test_an_error_carries_nothing_of_the_http_library(connected: Desk, server: Upstream) -> None:
    for reply in (as_json({}, 500), Reply(b"x", delay_s=9), Reply(b"nope")):
        server.answer = answers(reply)
        with pytest.raises(ConnectorError) as caught:
            ask(connected, deadline_s=0.3)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
