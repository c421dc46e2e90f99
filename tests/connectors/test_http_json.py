"""Operations as configuration: what may be written, and what is really sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.errors import Ambiguous, BadAnswer, BadConfig, BadRequest, Unavailable
from tests.connectors.desk import FIND, Desk, http_json
from tests.connectors.upstream import Asked, Reply, Serve, Upstream, as_json
from tickets.values import JSON

ORDER = {
    "name": "get_order",
    "inputs": [{"name": "number"}, {"name": "lang", "required": False}],
    "path": "/shops/eu/orders/{number}",
    "query": {"lang": "{lang}", "expand": True, "v": 2},
    "map": {"id": "id", "total": {"path": "sum", "type": "money"}},
}
LIST = {
    "name": "list_orders",
    "inputs": [{"name": "email", "type": "email"}],
    "path": "/orders",
    "query": {"email": "{email}"},
    "select": "orders",
    "match": "list",
    "map": {"id": {"path": "id", "type": "text"}},
}


def crm(desk: Desk, server: Upstream, *operations: dict[str, Any], **more: Any) -> Desk:
    desk.connect("crm", "http_json", http_json(server.url, *operations, **more))
    return desk


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("SO-1", "/shops/eu/orders/SO-1"),
        ("a/b", "/shops/eu/orders/a%2Fb"),
        ("../../admin", "/shops/eu/orders/..%2F..%2Fadmin"),
        ("x?admin=1#y", "/shops/eu/orders/x%3Fadmin%3D1%23y"),
        ("%2e%2e", "/shops/eu/orders/%252e%252e"),
        ("http://evil.test/", "/shops/eu/orders/http%3A%2F%2Fevil.test%2F"),
        ("@evil.test", "/shops/eu/orders/%40evil.test"),
        ("ż{number}", "/shops/eu/orders/%C5%BC%7Bnumber%7D"),
    ],
)
def test_an_input_stays_inside_its_path_segment(desk: Desk, serve: Serve, value: str, path: str) -> None:
    server = serve(lambda _asked: as_json({"id": 1, "sum": 5}))
    crm(desk, server, ORDER).call("crm", "get_order", number=value)
    assert [asked.path for asked in server.asked] == [path]


@pytest.mark.parametrize("value", [".", ".."])
def test_a_segment_that_means_another_folder_is_refused(desk: Desk, serve: Serve, value: str) -> None:
    server = serve(lambda _asked: as_json({"id": 1}))
    with pytest.raises(BadRequest, match="number may not be"):
        crm(desk, server, ORDER).call("crm", "get_order", number=value)
    assert server.asked == []


def test_query_values_are_whole_and_absent_ones_are_left_out(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"id": 1, "sum": "7.10"}))
    crm(desk, server, ORDER)
    desk.call("crm", "get_order", number="1", lang="en&admin=1")
    desk.call("crm", "get_order", number="1")
    assert [asked.query for asked in server.asked] == [
        {"lang": "en&admin=1", "expand": "true", "v": "2"},
        {"expand": "true", "v": "2"},
    ]


def test_a_body_keeps_the_types_of_its_inputs(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"found": {"id": 9}}))
    operation = {
        "name": "search",
        "inputs": [
            {"name": "text"},
            {"name": "limit", "type": "integer"},
            {"name": "exact", "type": "bool"},
            {"name": "zone", "required": False},
        ],
        "method": "POST",
        "path": "/search",
        "body": {"q": "{text}", "page": {"size": "{limit}", "zone": "{zone}"}, "flags": ["{exact}", "fixed"]},
        "select": "found",
        "map": {"id": "id"},
    }
    crm(desk, server, operation).call("crm", "search", text='"}, "admin": {"', limit=5, exact=True)
    assert server.asked[0].json == {"q": '"}, "admin": {"', "page": {"size": 5}, "flags": [True, "fixed"]}


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"auth": "bearer", "secret": "token-123"}, "authorization", "Bearer token-123"),
        ({"auth": "header", "header_name": "X-Api-Key", "secret": "key-1234"}, "x-api-key", "key-1234"),
        ({"auth": "basic", "username": "me", "secret": "pw-1234"}, "authorization", "Basic bWU6cHctMTIzNA=="),
    ],
)
def test_credentials_are_sent_as_configured(
    desk: Desk, serve: Serve, auth: dict[str, str], header: str, value: str
) -> None:
    server = serve(lambda _asked: as_json({"items": []}))
    crm(desk, server, FIND, **auth).call("crm", "find_customer", email="a@example.net")
    assert server.asked[0].headers[header] == value


TYPED = [
    ("money", "64.90", "64.90"),
    ("money", 64.9, "64.9"),
    ("money", 6490, "6490"),
    ("money", "1e2", "100"),
    ("number", 5, 5),
    ("number", "5.50", 5.5),
    ("text", 5, "5"),
    ("text", "x", "x"),
    ("bool", False, False),
    ("time", "2026-11-22T10:00:00+01:00", "2026-11-22T09:00:00.000000+00:00"),
    ("time", 1_700_000_000, "2023-11-14T22:13:20.000000+00:00"),
    ("date", "2026-11-22", "2026-11-22"),
    ("texts", ["a", "b"], ["a", "b"]),
    ("any", {"a": [1, 2.5, None]}, {"a": [1, 2.5, None]}),
]


@pytest.mark.alike
@pytest.mark.parametrize(("type", "sent", "kept"), TYPED)
def test_a_typed_field_has_one_form(desk: Desk, serve: Serve, type: str, sent: Any, kept: Any) -> None:
    server = serve(lambda _asked: as_json({"items": [{"x": sent}]}))
    crm(desk, server, {**FIND, "map": {"x": {"path": "x", "type": type}}})
    data = desk.call("crm", "find_customer", email="a@example.net").data
    assert data == {"x": kept}
    assert repr(data["x"]) == repr(kept)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("type", "sent"),
    [
        ("money", "about 5"),
        ("money", "NaN"),
        ("money", "1e999"),
        ("money", True),
        ("money", {}),
        ("number", "many"),
        ("number", [1]),
        ("text", {"a": 1}),
        ("text", True),
        ("bool", "false"),
        ("bool", 0),
        ("time", "2026-11-22T10:00:00"),
        ("time", "yesterday"),
        ("time", 10**30),
        ("time", 1_700_000_000 * 10**9),  # in nanoseconds
        ("date", "22.11.2026"),
        ("texts", "a"),
        ("texts", [1]),
    ],
)
def test_a_field_of_the_wrong_type_is_an_error_and_not_a_guess(desk: Desk, serve: Serve, type: str, sent: Any) -> None:
    server = serve(lambda _asked: as_json({"items": [{"x": sent, "id": 1}]}))
    crm(desk, server, {**FIND, "map": {"x": {"path": "x", "type": type}, "id": "id"}})
    with pytest.raises(BadAnswer, match=f"the field x is not a {type}"):
        desk.call("crm", "find_customer", email="a@example.net")
    assert desk.records() == []


def test_money_is_exact_however_the_api_writes_it(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: Reply(b'{"items": [{"x": 12345678901234567890.12, "y": 0.1}]}'))
    money = {"type": "money"}
    crm(desk, server, {**FIND, "map": {"x": {"path": "x", **money}, "y": {"path": "y", **money}}})
    data = desk.call("crm", "find_customer", email="a@example.net").data
    assert data == {"x": "12345678901234567890.12", "y": "0.1"}


@pytest.mark.parametrize(
    ("type", "path", "kept"),
    [
        ("money", "to_number(open)", "64.90"),
        ("money", "to_number('64.90')", "64.90"),
        ("money", "sum(lines[].net)", "15.10"),
        ("money", "max_by(lines, &net).net", "10.05"),
        ("money", "sort_by(lines, &net)[0].net", "5.05"),
        ("money", "abs(min(lines[].net))", "5.05"),
        ("number", "avg(lines[].net)", 7.55),
        ("number", "avg(`[1, 2]`)", 1.5),
        ("number", "ceil(open)", 65),
        ("number", "floor(open)", 64),
        ("text", "to_string(open)", "64.90"),
        ("text", "to_string(lines[0])", '{"net":10.05}'),
        ("text", "type(open)", "number"),
        ("money", "lines[?net == `10.05`].net | [0]", "10.05"),
        ("money", "lines[?net <= `5.05`].net | [0]", "5.05"),
        ("money", "missing || `0.10`", "0.1"),
        ("any", "to_number('a lot')", None),
        ("any", "to_number('NaN')", None),
        ("any", "to_number(lines)", None),
    ],
)
def test_an_expression_reckons_with_exact_fractions(desk: Desk, serve: Serve, type: str, path: str, kept: JSON) -> None:
    server = serve(
        lambda _asked: Reply(b'{"items": [{"id": 1, "open": 64.90, "lines": [{"net": 10.05}, {"net": 5.05}]}]}')
    )
    crm(desk, server, {**FIND, "map": {"x": {"path": path, "type": type}, "id": "id"}})
    assert desk.call("crm", "find_customer", email="a@example.net").data == {"x": kept, "id": 1}


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (b"1e9999999999999999999", "n"),
        (b"9e999999999999999999", "sum([n, n])"),
        (b"9e999999999999999", "n"),
        (b"9e999999999999999", "floor(n)"),
        (b'"9e999999999999999"', "ceil(to_number(n))"),
    ],
)
def test_a_number_beyond_all_bounds_is_a_bad_answer(desk: Desk, serve: Serve, number: bytes, path: str) -> None:
    server = serve(lambda _asked: Reply(b'{"items": [{"n": ' + number + b"}]}"))
    crm(desk, server, {**FIND, "map": {"x": {"path": path, "type": "number"}}})
    with pytest.raises(BadAnswer):
        desk.call("crm", "find_customer", email="a@example.net")
    assert [row.status for row in desk.audit()] == ["bad_answer"]


def test_an_answer_that_changed_shape_is_not_taken_for_nobody(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"results": []}))
    with pytest.raises(BadAnswer, match="found no record and no list at 'items'"):
        crm(desk, server).call("crm", "find_customer", email="a@example.net")


def test_null_means_nobody_where_the_operation_says_so(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"items": None}))
    crm(desk, server, {**FIND, "null_is_none": True})
    assert desk.call("crm", "find_customer", email="a@example.net").data is None


def test_a_record_without_any_of_its_fields_is_not_a_record(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"status": "error"}))
    with pytest.raises(BadAnswer, match="has none of the fields"):
        crm(desk, server, {**FIND, "select": "@"}).call("crm", "find_customer", email="a@example.net")


def test_a_404_is_nobody_where_the_path_names_the_record_and_a_wrong_path_elsewhere(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"error": "not found"}, 404))
    crm(desk, server, ORDER, FIND, LIST)
    assert desk.call("crm", "get_order", number="SO-404").data is None
    for operation in ("find_customer", "list_orders"):
        with pytest.raises(BadRequest, match="nothing at this path"):
            desk.call("crm", operation, email="a@example.net")


def test_two_records_where_one_is_expected_are_ambiguous(desk: Desk, serve: Serve) -> None:
    rows = [{"id": number, "full_name": f"N{number}", "email": "a@example.net"} for number in range(30)]
    server = serve(lambda _asked: as_json({"items": rows}))
    with pytest.raises(Ambiguous, match="30 records that match") as caught:
        crm(desk, server).call("crm", "find_customer", email="a@example.net")
    assert len(caught.value.candidates) == 10


# Pages


def paged(pages: dict[str, tuple[list[int], Any]], param: str) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        rows, following = pages[asked.query.get(param, "")]
        return as_json({"orders": [{"id": one} for one in rows], "next": following})

    return answer


def ids(desk: Desk) -> tuple[list[str], bool]:
    record = desk.call("crm", "list_orders", email="a@example.net")
    return [one["id"] for one in record.data], record.truncated


def test_cursor_pages_are_followed_to_the_end(desk: Desk, serve: Serve) -> None:
    server = serve(paged({"": ([1, 2], "b"), "b": ([3], "c"), "c": ([4], None)}, "after"))
    pages = {"type": "cursor", "param": "after", "cursor_path": "next"}
    assert ids(crm(desk, server, {**LIST, "paginate": pages})) == (["1", "2", "3", "4"], False)
    assert len(server.asked) == 3


def test_the_same_cursor_twice_stops_and_is_reported(desk: Desk, serve: Serve) -> None:
    server = serve(paged({"": ([1], "b"), "b": ([2], "b")}, "after"))
    pages = {"type": "cursor", "param": "after", "cursor_path": "next", "max_pages": 20}
    assert ids(crm(desk, server, {**LIST, "paginate": pages})) == (["1", "2"], True)
    assert len(server.asked) == 2


def test_an_empty_page_with_a_further_cursor_is_not_the_end(desk: Desk, serve: Serve) -> None:
    pages = {"type": "cursor", "param": "after", "cursor_path": "next"}
    server = serve(paged({"": ([1], "b"), "b": ([], "c"), "c": ([2], None)}, "after"))
    assert ids(crm(desk, server, {**LIST, "paginate": pages})) == (["1", "2"], False)
    # Nothing, and the same cursor again, is how other systems end.
    server = serve(paged({"": ([1], "b"), "b": ([], "b")}, "after"))
    assert ids(crm(desk, server, {**LIST, "paginate": pages})) == (["1"], False)


def test_a_cursor_is_a_value_and_never_an_address(desk: Desk, serve: Serve) -> None:
    evil = serve(lambda _asked: as_json({}))
    server = serve(paged({"": ([1], f"{evil.url}/x"), f"{evil.url}/x": ([2], None)}, "after"))
    pages = {"type": "cursor", "param": "after", "cursor_path": "next"}
    assert ids(crm(desk, server, {**LIST, "paginate": pages})) == (["1", "2"], False)
    assert evil.asked == []


def test_numbered_pages_and_offsets_end_at_a_short_page(desk: Desk, serve: Serve) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"]) if "offset" in asked.query else (int(asked.query["page"]) - 1) * 2
        return as_json({"orders": [{"id": one} for one in range(5)[start : start + 2]]})

    server = serve(answer)
    limit = {"limit_param": "size", "limit": 2}
    crm(desk, server, {**LIST, "paginate": {"type": "page", "param": "page", **limit}})
    assert ids(desk) == (["0", "1", "2", "3", "4"], False)
    crm(desk, server, {**LIST, "paginate": {"type": "offset", "param": "offset", **limit}})
    assert ids(desk) == (["0", "1", "2", "3", "4"], False)
    assert [asked.query.get("page") or asked.query["offset"] for asked in server.asked] == [
        "1",
        "2",
        "3",
        "0",
        "2",
        "4",
    ]
    assert {asked.query["size"] for asked in server.asked} == {"2"}


def test_the_page_cap_holds_and_is_reported(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"orders": [{"id": 1}, {"id": 2}]}))
    pages = {"type": "page", "param": "page", "limit": 2, "max_pages": 3}
    found, truncated = ids(crm(desk, server, {**LIST, "paginate": pages}))
    assert (len(found), truncated, len(server.asked)) == (6, True, 3)


def test_a_failing_later_page_fails_the_answer_instead_of_shortening_it(desk: Desk, serve: Serve) -> None:
    first = as_json({"orders": [{"id": 1}, {"id": 2}]})
    server = serve(lambda asked: first if asked.query["page"] == "1" else as_json({}, 500))
    pages = {"type": "page", "param": "page", "limit": 2}
    with pytest.raises(Unavailable):
        ids(crm(desk, server, {**LIST, "paginate": pages}))
    assert desk.records() == []


def test_records_of_one_answer_are_capped_and_that_is_reported(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({"orders": [{"id": one} for one in range(1_500)]}))
    found, truncated = ids(crm(desk, server, LIST))
    assert (len(found), truncated) == (1_000, True)


# Settings

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"path": "orders"}, "must begin with one slash"),
    ({"path": "//evil.test/x"}, "must begin with one slash"),
    ({"path": "/a//b"}, "must begin with one slash"),
    ({"path": "/a?x=1"}, "queries go into query"),
    ({"path": "/a/../b"}, r"\. or \.\."),
    ({"path": "/a/x{email}"}, "whole path segment"),
    ({"path": "/a/{nobody}"}, "must be a required input"),
    ({"query": {"q": "email:{email}"}}, "must be the whole value"),
    ({"query": {"q": "{nobody}"}}, "is not an input"),
    ({"method": "POST", "body": {"q": "name = '{email}'"}}, "must be the whole value"),
    ({"method": "POST", "body": {"q": [{"x": "{nobody}"}]}}, "is not an input"),
    ({"body": {"a": 1}}, "GET has no body"),
    ({"method": "DELETE"}, "is GET or POST"),
    ({"method": "TRACE"}, "Input should be"),
    ({"select": "items["}, "not a JMESPath"),
    ({"map": {"id": "]["}}, "not a JMESPath"),
    ({"map": {}}, "at least 1"),
    ({"map": {"Id": "id"}}, "lower-case letter"),
    ({"name": "__class__"}, "lower-case letter"),
    ({"inputs": [{"name": "email"}, {"name": "email"}]}, "same name"),
    ({"timeout_s": 1_000}, "less than or equal to 60"),
    ({"paginate": {"type": "page", "param": "p"}}, "match: list has pages"),
    ({"paginate": {"type": "cursor", "param": "p"}, "match": "list"}, "needs cursor_path"),
    ({"paginate": {"type": "auto", "param": "p"}, "match": "list"}, "Input should be"),
    ({"surprise": 1}, "Extra inputs"),
]


@pytest.mark.alike
@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_operation_is_refused_when_it_is_saved(desk: Desk, change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig, match=words) as caught:
        desk.connect("crm", "http_json", http_json("https://crm.test", {**FIND, **change}))
    assert caught.value.problems[0].field.startswith("operations.0")
    with desk.db.read() as db:
        from connectors import store

        assert store.connections(db) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"auth": "bearer"}, "needs a secret"),
        ({"auth": "basic", "secret": "x" * 9}, "needs a user name"),
        ({"auth": "basic", "secret": "x" * 9, "username": "a:b"}, "without a colon"),
        ({"auth": "header", "secret": "x" * 9}, "cannot be used as a header"),
        ({"auth": "header", "secret": "x" * 9, "header_name": "Host"}, "cannot be used as a header"),
        ({"auth": "header", "secret": "x" * 9, "header_name": "X-A\r\nX-B"}, "cannot be used as a header"),
        ({"auth": "bearer", "secret": "line\r\nX-Evil: 1"}, "cannot be sent in a header"),
        ({"idempotency_header": "Cookie"}, "cannot be used as a header"),
        ({"test_path": "status"}, "must begin with a slash"),
        ({"base_url": "https://me:pw@crm.test"}, "must not hold a user name"),
        ({"allowed_addresses": ["everything!"]}, "not an address"),
        ({"calls_per_minute": 0}, "greater than or equal to 1"),
        ({"operations": [FIND, FIND]}, "two operations have the same name"),
    ],
)
def test_wrong_settings_are_refused_when_they_are_saved(desk: Desk, change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        desk.connect("crm", "http_json", {**http_json("https://crm.test"), **change})


def test_every_problem_is_told_at_once(desk: Desk) -> None:
    wrong = {"base_url": "ftp://x", "calls_per_minute": 0, "operations": [{**FIND, "path": "x"}, {**FIND, "map": {}}]}
    with pytest.raises(BadConfig) as caught:
        desk.connect("Wrong Name", "http_json", wrong)
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"name", "base_url", "calls_per_minute", "operations.0", "operations.1.map"}
