"""POST /inbound/email: who gets in, what is answered, and that nothing is kept when it refuses."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from jobs import intake
from jobs.queues import Work, queue
from tests.intake.mail import SECRET, a_mail, how_many, kept, take
from tests.web.desk import Desk, let_in, send
from tickets.db import Database
from web import create_app

RFC822 = "message/rfc822"
BEARER = {"Authorization": f"Bearer {SECRET}"}
NOTHING = {"items": 0, "messages": 0, "events": 0, "inbound_mails": 0}


def test_a_mail_with_the_mailboxs_secret_becomes_a_ticket_and_workers_are_told(desk: Desk, client: FlaskClient) -> None:
    desk.services.redis.flushall()
    answer = client.post("/inbound/email", data=a_mail(), content_type=RFC822, headers=BEARER)
    (row,) = kept(desk)
    assert (answer.status_code, answer.json) == (
        202,
        {"outcome": "created", "ticket": row.item_id, "message": row.message_id, "reason": ""},
    )
    assert desk.state(row.item_id)["subject"] == "Where is my order?"
    assert len(queue(Work.DRAIN, desk.services.redis)) == 1


def test_the_secret_may_stand_in_the_path(desk: Desk, client: FlaskClient) -> None:
    answer = client.post(f"/inbound/email/{SECRET}", data=a_mail(), content_type=RFC822)
    assert (answer.status_code, how_many(desk)["items"]) == (202, 1)


def test_without_the_secret_nothing_is_kept(desk: Desk, client: FlaskClient) -> None:
    for authorization in [
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {SECRET}",
        f"Bearer {SECRET}x",
        "Bearer " + "x" * 5_000,
    ]:
        headers = {"Authorization": authorization} if authorization else {}
        answer = client.post("/inbound/email", data=a_mail(), content_type=RFC822, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert how_many(desk) == NOTHING


def test_what_is_not_declared_a_mail_is_refused(desk: Desk, client: FlaskClient) -> None:
    for content_type in ["text/plain", "application/json", "multipart/form-data; boundary=x"]:
        answer = client.post("/inbound/email", data=a_mail(), content_type=content_type, headers=BEARER)
        assert answer.status_code == 415
        assert answer.json is not None
        assert answer.json["detail"] == "Send the raw mail with Content-Type: message/rfc822; nothing was kept"
        assert how_many(desk) == NOTHING


@pytest.mark.slow
def test_what_comes_packed_is_not_unpacked(desk: Desk, client: FlaskClient) -> None:
    packed = gzip.compress(a_mail("x" * 20_000_000))
    answer = client.post(
        "/inbound/email", data=packed, content_type=RFC822, headers={**BEARER, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 202
    assert answer.json is not None
    assert (answer.json["outcome"], answer.json["ticket"]) == ("unreadable", None)
    assert how_many(desk) == {**NOTHING, "inbound_mails": 1}


def test_a_mail_beyond_the_cap_is_refused_with_the_cap(desk: Desk, client: FlaskClient) -> None:
    answer = client.post("/inbound/email", data=b"x" * 30_000_001, content_type=RFC822, headers=BEARER)
    assert (answer.status_code, answer.json) == (
        413,
        {"error": "This mail is too large", "detail": "A mail has at most 30,000,000 bytes; nothing was kept"},
    )
    assert how_many(desk) == NOTHING


@pytest.fixture
def port(app: APIFlask) -> Iterator[int]:
    """The application behind a real server that, like the one in production, ends bodies where they end."""

    class Handler(WSGIRequestHandler):
        def make_environ(self) -> Any:
            return {**super().make_environ(), "wsgi.input_terminated": True}

        def log(self, *args: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join(timeout=60)
    server.server_close()


def say(port: int, request: bytes) -> bytes:
    """Send these bytes, say that there are no more, and read the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_mail_cut_short_on_the_way_is_not_kept_and_the_whole_one_is_no_duplicate(desk: Desk, port: int) -> None:
    mail = a_mail("A long letter. " * 50)
    head = f"POST /inbound/email/{SECRET} HTTP/1.0\r\nContent-Type: {RFC822}\r\n".encode()
    length = f"Content-Length: {len(mail)}\r\n\r\n".encode()
    cut = say(port, head + length + mail[:-100])
    assert cut.split(b"\r\n")[0].split()[1] == b"400"
    assert f"{len(mail) - 100:,} of {len(mail):,} bytes arrived" in cut.decode()
    assert how_many(desk) == NOTHING
    whole = say(port, head + length + mail)
    assert b'"outcome":"created"' in whole.replace(b" ", b"")


def test_a_mail_without_a_length_is_refused(desk: Desk, port: int) -> None:
    head = f"POST /inbound/email/{SECRET} HTTP/1.0\r\nContent-Type: {RFC822}\r\n\r\n".encode()
    assert say(port, head + a_mail()).split(b"\r\n")[0].split()[1] == b"411"
    assert how_many(desk) == NOTHING


def test_while_the_database_is_away_the_mail_server_is_asked_to_come_again(desk: Desk) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    app = create_app(replace(desk.services, db=away))
    app.testing = True
    answer = app.test_client().post("/inbound/email", data=a_mail(), content_type=RFC822, headers=BEARER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    away.close()


def test_a_mail_that_cannot_be_read_is_accepted_and_says_so(desk: Desk, client: FlaskClient) -> None:
    answer = client.post("/inbound/email", data=b"\x00\x01", content_type=RFC822, headers=BEARER)
    assert (answer.status_code, answer.json) == (
        202,
        {"outcome": "unreadable", "ticket": None, "message": None, "reason": "It names no sender's address"},
    )


def test_a_browser_cannot_read_the_mailbox(client: FlaskClient) -> None:
    assert client.get("/inbound/email").status_code == 405


# The list of mails ---------------------------------------------------------------------------------------------


def test_the_list_shows_what_became_no_ticket_with_its_reason_and_the_raw_mail(desk: Desk, app: APIFlask) -> None:
    take(desk, a_mail(subject="A good one"))
    take(desk, b"Subject: <script>alert(1)</script>\r\n\r\nno sender")
    client = app.test_client()
    let_in(client, desk.user("adam", "admin"))
    page = client.get("/mailboxes/mails").get_data(as_text=True)
    bad = kept(desk)[1]
    assert "It names no sender&#39;s address" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert f"/mailboxes/mails/{bad.id}.eml" in page
    assert f"/mailboxes/mails/{kept(desk)[0].id}.eml" not in page
    assert f"/mailboxes/mails/{kept(desk)[0].id}.eml" in client.get("/mailboxes/mails?outcome=all").get_data(
        as_text=True
    )
    raw = client.get(f"/mailboxes/mails/{bad.id}.eml")
    assert raw.data == b"Subject: <script>alert(1)</script>\r\n\r\nno sender"
    assert raw.headers["Content-Disposition"] == f'attachment; filename="mail-{bad.id}.eml"'
    assert raw.mimetype == "application/octet-stream"


def test_only_who_may_change_settings_sees_the_mails(desk: Desk, app: APIFlask) -> None:
    take(desk, b"unreadable")
    client = app.test_client()
    let_in(client, desk.user("ana", "agent"))
    mail_id = kept(desk)[0].id
    assert [client.get(path).status_code for path in ("/mailboxes/mails", f"/mailboxes/mails/{mail_id}.eml")] == [
        403,
        403,
    ]
    assert app.test_client().get("/mailboxes/mails").status_code == 302


def test_a_kept_mail_is_made_a_ticket_by_its_button_and_only_there(desk: Desk, app: APIFlask) -> None:
    take(desk, a_mail(Precedence="bulk"))
    mail_id = kept(desk)[0].id
    agent, admin = app.test_client(), app.test_client()
    let_in(agent, desk.user("ana", "agent"))
    let_in(admin, desk.user("adam", "admin"))
    assert admin.post(f"/mailboxes/mails/{mail_id}/ticket").status_code == 400
    assert send(agent, f"/mailboxes/mails/{mail_id}/ticket").status_code == 403
    assert how_many(desk)["items"] == 0
    assert f"/mailboxes/mails/{mail_id}/ticket" in admin.get("/mailboxes/mails?outcome=automatic").get_data(
        as_text=True
    )
    made = send(admin, f"/mailboxes/mails/{mail_id}/ticket")
    assert (made.status_code, made.location) == (303, f"/tickets/{kept(desk)[0].item_id}")
    again = send(admin, f"/mailboxes/mails/{mail_id}/ticket")
    assert (again.location, how_many(desk)["items"]) == ("/mailboxes/mails", 1)


def test_a_mail_that_is_not_there_is_not_found(desk: Desk, app: APIFlask) -> None:
    client = app.test_client()
    let_in(client, desk.user("adam", "admin"))
    for path in ("/mailboxes/mails/999999.eml", "/mailboxes/mails/99999999999999999999.eml"):
        assert client.get(path).status_code == 404


def test_every_tab_of_the_list_opens(desk: Desk, app: APIFlask) -> None:
    client = app.test_client()
    let_in(client, desk.user("adam", "admin"))
    for outcome in ("all", "nonsense", *intake.Outcome):
        assert client.get(f"/mailboxes/mails?outcome={outcome}&page=7").status_code == 200
