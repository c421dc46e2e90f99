"""What every kind of system must do, whatever it speaks. A new kind fails here until it has a case."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from connectors import store
from connectors.errors import (
    AddressRefused,
    Ambiguous,
    BadAnswer,
    CredentialsRejected,
    RateLimited,
    TimedOut,
    TooLarge,
    Unavailable,
)
from connectors.records import AnswerType
from connectors.registry import CONNECTORS, by_kind
from tests.builders import an_object
from tests.connectors.desk import FIND, Desk, http_json
from tests.connectors.upstream import Asked, Reply, Serve, Stopwatch, Upstream, as_json
from tickets.values import from_iso, json_problem

EMAIL = "ada@example.net"
People = list[dict[str, Any]]


#: Kinds that are only told something and asked nothing; they have tests of their own.
TOLD_ONLY = {"webhook"}


@dataclass(frozen=True)
class Case:
    """One kind of system: its settings, and an upstream that speaks its protocol over these people."""

    config: Callable[[str], dict[str, Any]]
    speak: Callable[[People], Callable[[Asked], Reply]]


def stripe(people: People) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        rows = [
            {"id": f"cus_{one['id']}", "name": one["name"], "email": one["email"], "created": 1_700_000_000}
            for one in people
            if one["email"] == asked.query.get("email")
        ]
        return as_json({"object": "list", "data": rows, "has_more": False})

    return answer


def tryton(people: People) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        method, params = asked.json["method"], asked.json["params"]
        if method == "common.db.login":
            return as_json([1, "session-0123456789abcdef", None])
        if method == "model.res.user.get_preferences":
            return as_json({"company": 1, "language": "en"})
        if method != "model.party.party.search_read":
            return as_json(0)
        wanted = params[0][0][2][1][2]
        return as_json(
            [
                {
                    "id": one["id"],
                    "name": one["name"],
                    "code": str(one["id"]),
                    "receivable": {"__class__": "Decimal", "decimal": "64.90"},
                    "currency.": {"id": 1, "code": "EUR"},
                    "create_date": {
                        "__class__": "datetime", "year": 2026, "month": 1, "day": 2,
                        "hour": 3, "minute": 4, "second": 5, "microsecond": 6,
                    },
                }
                for one in people
                if one["email"] == wanted
            ]
        )  # fmt: skip

    return answer


def any_api(people: People) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        rows = [
            {"id": one["id"], "full_name": one["name"], "email": one["email"], "balance": {"open": "64.90"}}
            for one in people
            if one["email"] == asked.query.get("email")
        ]
        return as_json({"items": rows})

    return answer


CASES = {
    "stripe": Case(lambda url: {"base_url": url, "api_key": "sk_test_0123456789"}, stripe),
    "tryton": Case(
        lambda url: {"base_url": url, "database": "desk", "username": "reader", "password": "a long password"}, tryton
    ),
    "http_json": Case(lambda url: http_json(url, FIND, auth="bearer", secret="a long token"), any_api),
}
ADA = {"id": 7, "name": "Ada", "email": EMAIL}


def test_every_kind_of_system_has_a_case() -> None:
    assert set(CASES) | TOLD_ONLY == set(CONNECTORS)


@pytest.fixture(params=sorted(CASES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def crm(desk: Desk, serve: Serve, kind: str) -> tuple[Desk, Upstream]:
    """A connection named crm to an upstream that knows Ada."""
    server = serve(CASES[kind].speak([ADA]))
    desk.connect("crm", kind, CASES[kind].config(server.url))
    return desk, server


def find(desk: Desk, email: str = EMAIL, **more: Any) -> Any:
    return desk.call("crm", "find_customer", email=email, **more)


def test_a_customer_is_found_in_the_words_all_systems_share(crm: tuple[Desk, Upstream]) -> None:
    desk, _ = crm
    record = find(desk)
    assert record.data["id"].endswith("7")
    assert (record.data["name"], record.data["email"]) == ("Ada", EMAIL)
    assert json_problem(record.data) is None


def test_nobody_is_none_and_not_an_error(crm: tuple[Desk, Upstream]) -> None:
    desk, _ = crm
    assert find(desk, "nobody@example.net").data is None


def test_several_are_ambiguous_with_candidates_and_nothing_is_stored(desk: Desk, serve: Serve, kind: str) -> None:
    server = serve(CASES[kind].speak([ADA, {**ADA, "id": 8, "name": "Ada Two"}]))
    desk.connect("crm", kind, CASES[kind].config(server.url))
    with pytest.raises(Ambiguous) as caught:
        find(desk)
    assert [an_object(one)["name"] for one in caught.value.candidates] == ["Ada", "Ada Two"]
    assert desk.records() == []


def test_a_slow_system_times_out_within_the_deadline(crm: tuple[Desk, Upstream]) -> None:
    desk, server = crm
    server.answer = lambda _asked: Reply(b"{}", delay_s=30)
    with Stopwatch() as watch, pytest.raises(TimedOut, match="crm gave no answer"):
        find(desk, deadline_s=0.5)
    assert watch.seconds < 15  # and not the 30 it would have taken
    assert len(server.asked) <= 1


@pytest.mark.alike
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (as_json({}, 429, headers={"Retry-After": "120"}), RateLimited),
        (Reply(b"<html><h1>Internal Server Error</h1>", 500, content_type="text/html"), Unavailable),
        (Reply(b"<html>Scheduled maintenance", 503, content_type="text/html"), Unavailable),
        (Reply(b"<html>Please sign in", content_type="text/html"), BadAnswer),
        (Reply(b"<html>Unauthorized", 401, content_type="text/html"), CredentialsRejected),
        (Reply(b"x" * 100_000, repeat=1_000), TooLarge),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/latest/meta-data/"}), BadAnswer),
        (Reply(b"", 307, {"Location": "http://127.0.0.1:1/"}), BadAnswer),
        (as_json(None), BadAnswer),
        (as_json("text"), BadAnswer),
        (as_json([[[[]]]]), BadAnswer),
        (as_json({"data": 5, "items": 5, "result": 5}), BadAnswer),
        (as_json({"data": [5], "items": [{"balance": 5, "id": []}], "result": [{}]}), BadAnswer),
        (Reply(b"[" * 100_000), BadAnswer),
        (Reply(b'{"items": [', cut=True), Unavailable),
        (Reply(b""), BadAnswer),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status} {value.body[:20]!r}",
)
def test_a_system_that_misbehaves_gives_a_named_error_and_leaves_nothing(
    crm: tuple[Desk, Upstream], kind: str, reply: Reply, error: type[Exception]
) -> None:
    desk, server = crm
    server.answer = lambda _asked: reply
    with Stopwatch() as watch, pytest.raises(error) as caught:
        find(desk, deadline_s=60)
    assert type(caught.value) is error
    assert str(caught.value).startswith("crm")
    assert watch.seconds < 30
    assert desk.records() == []


def test_a_rate_limit_says_when_to_come_back(crm: tuple[Desk, Upstream]) -> None:
    desk, server = crm
    server.answer = lambda _asked: as_json({}, 429, headers={"Retry-After": "120"})
    with pytest.raises(RateLimited) as caught:
        find(desk)
    assert caught.value.retry_after_s == 120
    assert len(server.asked) == 1


def test_a_name_that_turns_private_between_calls_is_refused_then(desk: Desk, serve: Serve, kind: str) -> None:
    """DNS rebinding: each call looks the name up once, and what it checked is what it dials."""
    server = serve(CASES[kind].speak([ADA]))
    found = iter(["127.0.0.1", "10.0.0.5"])
    desk = Desk(desk.db, more={"resolve": lambda _host, _port: [next(found)]})
    desk.connect("crm", kind, CASES[kind].config(f"http://rebind.test:{server.port}"))
    assert find(desk).data["name"] == "Ada"
    before = len(server.asked)
    with pytest.raises(AddressRefused):
        find(desk, "other@example.net")
    assert len(server.asked) == before


def test_reads_are_repeated_after_an_outage_of_a_moment(crm: tuple[Desk, Upstream], kind: str) -> None:
    desk, server = crm
    speak = server.answer
    failed: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        if not failed:
            failed.append(asked)
            return as_json({}, 503)
        return speak(asked)

    server.answer = answer
    assert find(desk).data["name"] == "Ada"
    assert desk.audit()[-1].requests == len(server.asked)


def test_a_connection_test_passes_and_fails_in_plain_words(crm: tuple[Desk, Upstream]) -> None:
    desk, server = crm
    good = desk.gateway.test("crm")
    assert (good.ok, good.error) == (True, "")
    assert good.reading.endswith(".")
    server.answer = lambda _asked: as_json({}, 401)
    bad = desk.gateway.test("crm")
    assert (bad.ok, bad.error, bad.status) == (False, "credentials_rejected", 401)


def test_operations_are_described_well_enough_for_forms_and_columns(crm: tuple[Desk, Upstream], kind: str) -> None:
    desk, _ = crm
    described = store.describe([desk.info("crm")])
    assert {one.connection for one in described} == {"crm"}
    by_name = {one.name: one for one in described}
    find_customer = by_name["find_customer"]
    assert find_customer.bind == {"email": "customer.email"}
    assert [(put.name, put.required) for put in find_customer.inputs] == [("email", True)]
    assert {"id", "name", "email"} <= set(find_customer.fields)
    for one in described:
        assert one.label
        assert one.fields
        assert all(isinstance(field.type, AnswerType) and field.label for field in one.fields.values())
        assert 0 < one.timeout_s <= 60


def test_answers_hold_only_described_fields_of_the_described_types(crm: tuple[Desk, Upstream]) -> None:
    desk, _ = crm
    data = find(desk).data
    fields = {one.name: one for one in store.describe([desk.info("crm")])}["find_customer"].fields
    assert set(data) <= set(fields)
    for name, value in data.items():
        if value is None:
            continue
        match fields[name].type:
            case AnswerType.MONEY:
                assert isinstance(value, str)
                assert Decimal(value).is_finite()
            case AnswerType.TIME:
                assert from_iso(value)
            case AnswerType.BOOL:
                assert isinstance(value, bool)
            case AnswerType.TEXT:
                assert isinstance(value, str)


def waiting() -> set[str]:
    """The threads that wait for a deadline or look something up."""
    return {thread.name for thread in threading.enumerate() if "Timer" in thread.name or "lookup" in thread.name}


def test_a_call_leaves_no_thread_and_no_socket_behind(crm: tuple[Desk, Upstream]) -> None:
    desk, _ = crm
    find(desk)
    gc.collect()
    before = waiting()
    for number in range(5):
        find(desk, f"c{number}@example.net")
    end = time.monotonic() + 30  # a thread that was told to end takes a moment to
    while not (after := waiting()) <= before and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert after <= before


def test_two_systems_of_one_kind_are_an_error() -> None:
    both = list(CONNECTORS.values())
    with pytest.raises(ValueError, match="are both of kind"):
        by_kind([*both, both[0]])
