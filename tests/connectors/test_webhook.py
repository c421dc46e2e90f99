"""A webhook is signed as Standard Webhooks says, under one id however often it is tried."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from connectors.errors import BadConfig, NotGranted, Unavailable
from connectors.systems.webhook import signature
from tests.connectors.desk import Desk
from tests.connectors.upstream import HOOKS_SECRET as SECRET
from tests.connectors.upstream import Asked, Reply, Serve, Upstream, as_json


def hooks(desk: Desk, server: Upstream, *, allow_write: bool = True) -> None:
    config = {"base_url": server.url, "path": "/in", "secret": SECRET}
    desk.connect("hooks", "webhook", config, allow_write=allow_write)


def send(desk: Desk, key: str = "ev1:A01/r1:s1", **more: Any) -> None:
    desk.gateway.call(
        "hooks",
        "send",
        {"event": "ticket.escalated", "at": "2026-11-21T09:30:00+00:00", "data": {"ticket": {"id": 7}}},
        deadline_s=60,
        cause="table A01@1/r1",
        allow_write=True,
        idempotency_key=key,
        **more,
    )


def test_the_signature_is_the_one_of_the_standards_example() -> None:
    body = b'{"test": 2432232314}'
    assert signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_request_carries_id_time_and_a_signature_that_fits_its_bytes(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: Reply(status=204))
    hooks(desk, server)
    send(desk)
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/in")
    assert asked.json == {
        "type": "ticket.escalated",
        "timestamp": "2026-11-21T09:30:00+00:00",
        "data": {"ticket": {"id": 7}},
    }
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{wanted}"
    assert asked.headers["idempotency-key"] == asked.headers["webhook-id"]


def test_every_try_has_the_same_id_and_one_that_was_taken_is_not_sent_again(desk: Desk, serve: Serve) -> None:
    replies = [Reply(status=503), Reply(status=200), Reply(status=200)]
    server = serve(lambda _asked: replies.pop(0))
    hooks(desk, server)
    send(desk)
    send(desk)
    send(desk, key="ev2:A01/r1:s1")
    ids = [one.headers["webhook-id"] for one in server.asked]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]


def test_a_connection_that_may_only_be_read_sends_nothing(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({}))
    hooks(desk, server, allow_write=False)
    with pytest.raises(NotGranted):
        send(desk)
    assert server.asked == []


def test_a_receiver_that_answers_with_a_failure_is_to_be_tried_again(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: Reply(status=500))
    hooks(desk, server)
    with pytest.raises(Unavailable):
        send(desk)


@pytest.mark.parametrize("secret", ["", "secret", "whsec_c2hvcnQ=", "whsec_not base64!"])
def test_a_secret_that_protects_nothing_is_refused(desk: Desk, secret: str) -> None:
    with pytest.raises(BadConfig):
        desk.connect("hooks", "webhook", {"base_url": "https://a.example", "secret": secret})


def test_the_test_button_sends_a_signed_test_event(desk: Desk, serve: Serve) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply(status=200)

    hooks(desk, serve(answer))
    assert desk.gateway.test("hooks").reading == "It took a signed test event and answered 200"
    assert seen[0].json["type"] == "deskhand.test"
