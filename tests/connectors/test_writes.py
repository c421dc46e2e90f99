"""Writes through the gateway: who may, once per key, and what is known of one whose answer was lost."""

from __future__ import annotations

from typing import Any

import pytest

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
)
from connectors.gateway import Gateway
from tests.connectors.desk import FIND, Desk, http_json
from tests.connectors.upstream import Asked, Reply, Upstream, as_json
from tickets.values import JSON

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
    return desk.gateway.call("crm", "refund", args, deadline_s=60, cause="test", **more)


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
            "crm", "refund", {"charge": "ch_1", "amount": amount}, deadline_s=60, cause="t", allow_write=True,
            idempotency_key="k",
        )  # fmt: skip
    assert server.asked == []


def test_an_amount_is_sent_in_plain_digits(writable: Desk, server: Upstream) -> None:
    amounts: list[JSON] = [" 64.90 ", "1E+2", "1_000.5", 7]
    for number, amount in enumerate(amounts):
        writable.gateway.call(
            "crm", "refund", {"charge": "ch_1", "amount": amount}, deadline_s=60, cause="t", allow_write=True,
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
    for deadline_s in (0.5, 4, 16) if reply.delay_s else (60,):
        with pytest.raises((Unclear, TimedOut)) as caught:
            writable.gateway.call(
                "crm", "refund", {"charge": "ch_1", "amount": "1"}, deadline_s=deadline_s, cause="t", allow_write=True,
                idempotency_key="k",
            )  # fmt: skip
        if isinstance(caught.value, Unclear):  # else the machine was so busy that nothing had left yet
            break
    assert isinstance(caught.value, Unclear)
    assert "not sent again by itself" in str(caught.value)
    assert server.heard(1)
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


@pytest.mark.parametrize("then", ["refused", 429, 400], ids=["does not answer any more", "too often", "no"])
def test_a_no_to_a_second_try_says_nothing_of_the_first(desk: Desk, server: Upstream, then: str | int) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return as_json({"items": []})
        if len(server.asked) > 2:
            return as_json({}, int(then))
        if then == "refused":
            server.stop()
        return Reply(b"{", cut=True)  # carried out, and the answer is lost

    server.answer = answer
    desk.connect("crm", "http_json", http_json(server.url, FIND, REFUND, idempotent=True), allow_write=True)
    desk.call("crm", "find_customer", email="a@example.net")
    with pytest.raises((Unavailable, RateLimited, BadRequest)) as caught:
        refund(desk)
    assert caught.value.may_be_done
    assert len(server.asked) == 2 if then == "refused" else len(server.asked) > 2
    assert desk.info("crm").writes == 1


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
        return elsewhere.call(name, "find_customer", args, deadline_s=60, cause="test").cache

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
            "crm", "add_note", {"text": text}, deadline_s=60, cause="t", allow_write=True, idempotency_key=key
        )

    add(" One\r\n\tTwo\n")
    with pytest.raises(BadRequest, match="text must be text"):
        add("bell \a")
    with pytest.raises(BadRequest, match="longer than 20000"):
        add("x" * 20_001)
    assert [asked.json for asked in server.asked] == [{"text": "One\n\tTwo"}]
