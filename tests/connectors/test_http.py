"""The guarded way out, against real servers that misbehave."""

from __future__ import annotations

import base64
import gzip
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.addresses import AddressCeiling
from connectors.errors import (
    AddressRefused,
    BadAnswer,
    BadRequest,
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    TimedOut,
    TooLarge,
    Unavailable,
)
from connectors.http import MAX_ANSWER_BYTES, Deadline, Http, Way, base_url_problem
from tests.connectors.desk import LOOPBACK
from tests.connectors.upstream import Reply, Serve, Stopwatch, Upstream, answers, as_json
from tests.environment.ports import free_port

OK = as_json({"ok": True})


@contextmanager
def way_out(url: str, deadline_s: float = 60, *, repeatable: bool = True, **more: Any) -> Iterator[Http]:
    way = Way("the ERP", url, more.pop("ceiling", AddressCeiling(LOOPBACK)), **more)
    with Http(way, Deadline(deadline_s), repeatable=repeatable) as http:
        yield http


def test_an_answer_is_read(serve: Serve) -> None:
    server = serve(answers(OK))
    with way_out(server.url) as http:
        answer = http.request("GET", "/x", params={"a": "b c&d"}, auth=("me", "pw"))
    assert answer.json("it") == {"ok": True}
    (asked,) = server.asked
    assert (asked.query, asked.headers["host"]) == ({"a": "b c&d"}, f"127.0.0.1:{server.port}")
    assert asked.headers["authorization"].startswith("Basic ")


def test_credentials_outside_latin_1_are_sent_in_utf_8(serve: Serve) -> None:
    server = serve(answers(OK))
    with way_out(server.url) as http:
        http.request("GET", "/", auth=("zażółć", "gęślą-🙂"))
    sent = base64.b64decode(server.asked[0].headers["authorization"].removeprefix("Basic "))
    assert sent.decode() == "zażółć:gęślą-🙂"


HOSTS = [
    "http://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://2130706433:{port}",
    "http://0x7f.1:{port}",
    "http://0177.0.0.1:{port}",
    "http://127.1:{port}",
    "http://0:{port}",
    "http://0.0.0.0:{port}",
    "http://[::]:{port}",
]


@pytest.mark.parametrize("url", HOSTS)
def test_every_spelling_of_loopback_is_refused_and_nothing_is_sent(serve: Serve, url: str) -> None:
    server = serve(answers(OK))
    with way_out(url.format(port=server.port), ceiling=AddressCeiling()) as http, pytest.raises(AddressRefused):
        http.request("GET", "/")
    assert server.asked == []


def test_an_address_inside_the_ceiling_is_reached_by_name_with_its_own_host_header(serve: Serve) -> None:
    server = serve(answers(OK))
    with way_out(f"http://erp.test:{server.port}", resolve=lambda _h, _p: ["127.0.0.1"]) as http:
        http.request("GET", "/")
    assert server.asked[0].headers["host"] == f"erp.test:{server.port}"


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_dialled(serve: Serve) -> None:
    """DNS rebinding: the second answer would lead to another place; nobody asks for it."""
    server = serve(answers(OK))
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with way_out(f"http://rebind.test:{server.port}", resolve=resolve) as http:
        http.request("GET", "/")
        assert asked == ["rebind.test"]
    assert len(server.asked) == 1


def test_a_name_that_turns_private_during_a_call_is_not_asked_again(serve: Serve) -> None:
    server = serve(answers(as_json({}, 503), OK))
    found = iter([["127.0.0.1"], ["10.9.9.9"]])
    with way_out(f"http://rebind.test:{server.port}", resolve=lambda _h, _p: next(found)) as http:
        assert http.request("GET", "/").status == 200
    assert len(server.asked) == 2
    assert next(found) == ["10.9.9.9"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/meta-data/", "{own}/elsewhere"])
def test_a_redirect_is_not_followed(serve: Serve, status: int, to: str) -> None:
    server = serve(lambda _asked: Reply(b"", status, {"Location": to.format(own=server.url)}))
    with way_out(server.url) as http, pytest.raises(BadAnswer, match="redirects elsewhere"):
        http.request("GET", "/")
    assert [asked.path for asked in server.asked] == ["/"]


def test_a_redirect_with_a_huge_body_is_dropped_like_any_other_answer(serve: Serve) -> None:
    """Also one that is not followed would be read to its end, whatever its size, before anybody could count."""
    server = serve(answers(Reply(b"x" * 100_000, 302, {"Location": "http://127.0.0.1:1/"}, repeat=100)))
    with way_out(server.url) as http, pytest.raises(TooLarge, match="more than 1,000,000 bytes"):
        http.request("GET", "/")
    assert [asked.path for asked in server.asked] == ["/"]


def test_proxies_and_netrc_of_the_environment_are_not_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, proxy = serve(answers(OK)), serve(answers(OK))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with way_out(server.url) as http:
        http.request("GET", "/")
    assert proxy.asked == []
    assert "authorization" not in server.asked[0].headers


def test_cookies_do_not_pass_from_one_call_to_the_next(serve: Serve) -> None:
    server = serve(answers(as_json({}, headers={"Set-Cookie": "session=abc"})))
    for _ in range(2):
        with way_out(server.url) as http:
            http.request("GET", "/")
    assert ["cookie" in asked.headers for asked in server.asked] == [False, False]


def test_a_hundred_megabytes_are_dropped_after_one(serve: Serve) -> None:
    server = serve(answers(Reply(b"x" * 100_000, repeat=1_000)))
    with Stopwatch() as watch, way_out(server.url) as http:
        with pytest.raises(TooLarge, match="more than 1,000,000 bytes"):
            http.request("GET", "/")
        assert http.exchange.size == 0
    assert watch.seconds < 30
    assert len(server.asked) == 1


def test_a_small_bomb_is_counted_as_what_it_unpacks_to(serve: Serve) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < MAX_ANSWER_BYTES
    server = serve(answers(Reply(bomb, headers={"Content-Encoding": "gzip"})))
    with way_out(server.url) as http, pytest.raises(TooLarge):
        http.request("GET", "/")


@pytest.mark.parametrize("layers", [2, 3])
def test_a_bomb_in_a_bomb_never_stands_in_memory(serve: Serve, layers: int) -> None:
    """A few hundred bytes become 30 MB, which would all be there before the first of them was counted."""
    bomb = b"0" * 30_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    assert len(bomb) < 1_000
    server = serve(answers(Reply(bomb, headers={"Content-Encoding": ", ".join(["gzip"] * layers)})))
    tracemalloc.start()
    try:
        with way_out(server.url) as http, pytest.raises(TooLarge):
            http.request("GET", "/")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10_000_000


def test_a_compressed_answer_within_the_cap_is_read(serve: Serve) -> None:
    server = serve(answers(Reply(gzip.compress(b'{"a": 1}' + b" " * 300_000), headers={"Content-Encoding": "gzip"})))
    with way_out(server.url) as http:
        assert http.request("GET", "/").json("it") == {"a": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"x" * 200, delay_s=30),
        Reply(b"x" * 200, drip_s=0.5),
        Reply(b"x", drip_head_s=0.5),
        Reply(b"{}", open_end_s=30),
    ],
    ids=["silent", "dripping body", "dripping head", "open end"],
)
def test_the_deadline_holds_whatever_the_server_does(serve: Serve, reply: Reply) -> None:
    server = serve(answers(reply))
    said = r"gave no answer within 1\.0 s"
    with Stopwatch() as watch, way_out(server.url, 1.0) as http, pytest.raises(TimedOut, match=said):
        http.request("GET", "/")
    assert 0.9 < watch.seconds < 15
    assert server.heard(1)


@pytest.mark.slow
def test_a_system_that_takes_long_may_take_all_the_time_that_there_is(serve: Serve) -> None:
    """It was given up after five seconds, whatever its operation allowed."""
    server = serve(answers(Reply(b"late", delay_s=6)))
    with way_out(server.url, 60) as http:
        assert http.request("GET", "/").body == b"late"
    assert len(server.asked) == 1


def test_a_look_up_that_hangs_ends_with_the_deadline() -> None:
    gate = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[str]:
        gate.wait(60)
        return []

    way = way_out("http://hang.test", 0.5, resolve=resolve)
    with Stopwatch() as watch, way as http, pytest.raises(TimedOut, match="DNS"):
        http.request("GET", "/")
    gate.set()
    assert watch.seconds < 30


def test_a_name_that_does_not_exist_reads_as_such() -> None:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with (
        way_out("https://nosuch.test", resolve=resolve) as http,
        pytest.raises(Unavailable, match=r"nosuch\.test.*DNS"),
    ):
        http.request("GET", "/")


def test_a_failing_read_is_repeated_and_then_answered(serve: Serve) -> None:
    server = serve(answers(as_json({}, 503), as_json({}, 502), OK))
    with way_out(server.url) as http:
        assert http.request("GET", "/").status == 200
        assert http.exchange.requests == 3
    assert len(server.asked) == 3


def test_what_may_not_be_repeated_is_sent_once(serve: Serve) -> None:
    for reply in (as_json({}, 503), as_json({}, 429), Reply(b"{}", cut=True)):
        server = serve(answers(reply))
        with way_out(server.url, repeatable=False) as http, pytest.raises(ConnectorError):
            http.request("POST", "/", json_body={"a": 1})
        assert len(server.asked) == 1


def test_tries_are_bounded(serve: Serve) -> None:
    server = serve(answers(as_json({}, 503)))
    with way_out(server.url) as http, pytest.raises(Unavailable, match="failed on its side"):
        http.request("GET", "/")
    assert len(server.asked) == 3


def test_a_server_error_that_is_not_an_outage_is_not_repeated(serve: Serve) -> None:
    server = serve(answers(Reply(b"<html>Traceback</html>", 500, content_type="text/html")))
    with way_out(server.url) as http, pytest.raises(Unavailable) as caught:
        http.request("GET", "/")
    assert caught.value.sentence == "the ERP failed on its side (500)."
    assert len(server.asked) == 1


@pytest.mark.slow
def test_retry_after_is_waited_for_when_there_is_time(serve: Serve) -> None:
    server = serve(answers(as_json({}, 429, headers={"Retry-After": "1"}), OK))
    with Stopwatch() as watch, way_out(server.url) as http:
        assert http.request("GET", "/").status == 200
    assert 0.9 < watch.seconds < 15


def test_retry_after_beyond_the_deadline_ends_the_call_at_once(serve: Serve) -> None:
    server = serve(answers(as_json({}, 429, headers={"Retry-After": "3600"})))
    with Stopwatch() as watch, way_out(server.url) as http, pytest.raises(RateLimited) as caught:
        http.request("GET", "/")
    assert caught.value.retry_after_s == 3600
    assert watch.seconds < 30
    assert len(server.asked) == 1


@pytest.mark.parametrize(("text", "seconds"), [("soon", None), ("-5", None), ("99999999999", 86_400.0), ("", None)])
def test_an_odd_retry_after_is_bounded_or_ignored(serve: Serve, text: str, seconds: float | None) -> None:
    server = serve(answers(as_json({}, 429, headers={"Retry-After": text} if text else {})))
    with way_out(server.url, repeatable=False) as http, pytest.raises(RateLimited) as caught:
        http.request("GET", "/")
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (as_json({}, 401), CredentialsRejected, "refuses our credentials"),
        (as_json({"error": {"message": "No scope"}}, 403), CredentialsRejected, "It says: No scope"),
        (as_json({}, 404), BadRequest, "nothing at this path"),
        (as_json({"detail": "email?"}, 422), BadRequest, "did not accept the question .422.. It says: email?"),
        (as_json({"message": "x" * 9_000}, 400), BadRequest, "x" * 200),
        (as_json({"message": ["no text"]}, 400), BadRequest, "400"),
        (Reply(b"{" * 100_000, 400), BadRequest, "400"),
    ],
)
def test_a_failing_status_is_read_as_a_sentence(
    serve: Serve, reply: Reply, kind: type[ConnectorError], words: str
) -> None:
    server = serve(answers(reply))
    with way_out(server.url) as http, pytest.raises(kind, match=words) as caught:
        http.request("GET", "/")
    assert len(caught.value.sentence) <= 500
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<!DOCTYPE html><p>Maintenance", "text/html", "a web page"),
        (b"", "application/json", "an empty answer"),
        (b"id,name\n1,x", "text/csv", "text/csv that is not JSON"),
        (b"[" * 50_000, "application/json", "not JSON"),
        (b"\xff\xfe\xfa", "application/json", "not JSON"),
    ],
)
def test_an_answer_that_is_not_json_says_what_it_is(serve: Serve, body: bytes, content_type: str, words: str) -> None:
    server = serve(answers(Reply(body, content_type=content_type)))
    with way_out(server.url) as http, pytest.raises(BadAnswer, match=words):
        http.request("GET", "/").json("the ERP")


def test_an_answer_cut_short_is_an_outage(serve: Serve) -> None:
    server = serve(answers(Reply(b'{"a": 1}', cut=True)))
    with way_out(server.url) as http, pytest.raises(Unavailable):
        http.request("GET", "/")


def test_a_closed_port_is_an_outage() -> None:
    with way_out(f"http://127.0.0.1:{free_port()}") as http, pytest.raises(Unavailable, match="refused"):
        http.request("GET", "/")


def test_the_second_of_two_addresses_is_tried_when_the_first_is_closed(serve: Serve) -> None:
    server = serve(answers(OK))
    with way_out(f"http://two.test:{server.port}", resolve=lambda _h, _p: ["127.0.0.9", "127.0.0.1"]) as http:
        assert http.request("GET", "/").status == 200


def test_one_call_may_not_ask_for_ever(serve: Serve) -> None:
    server = serve(answers(OK))
    with way_out(server.url) as http:
        for _ in range(50):
            http.request("GET", "/")
        with pytest.raises(BadAnswer, match="more than 50 requests"):
            http.request("GET", "/")
    assert len(server.asked) == 50


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for erp.test that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "erp.test")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("erp.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()))
    (folder / "cert.pem").write_bytes(cert.public_bytes(pem))
    return folder / "key.pem", folder / "cert.pem"


@pytest.fixture
def tls(serve: Serve, certificate: tuple[Path, Path]) -> tuple[Upstream, list[str]]:
    names: list[str] = []
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    return serve(answers(OK), tls=context), names


def test_https_to_a_pinned_address_keeps_name_and_certificate(
    tls: tuple[Upstream, list[str]], certificate: tuple[Path, Path]
) -> None:
    server, names = tls
    url = f"https://erp.test:{server.port}"
    with way_out(url, resolve=lambda _h, _p: ["127.0.0.1"], ca_file=certificate[1]) as http:
        assert http.request("GET", "/").status == 200
    assert names == ["erp.test"]
    assert server.asked[0].headers["host"] == f"erp.test:{server.port}"


def test_a_certificate_for_another_name_is_refused(
    tls: tuple[Upstream, list[str]], certificate: tuple[Path, Path]
) -> None:
    server, _ = tls
    url = f"https://evil.test:{server.port}"
    way = way_out(url, resolve=lambda _h, _p: ["127.0.0.1"], ca_file=certificate[1])
    with way as http, pytest.raises(Unavailable, match="TLS certificate"):
        http.request("GET", "/")
    assert server.asked == []


def test_a_certificate_of_nobody_we_trust_is_refused(tls: tuple[Upstream, list[str]]) -> None:
    server, _ = tls
    way = way_out(f"https://erp.test:{server.port}", resolve=lambda _h, _p: ["127.0.0.1"])
    with way as http, pytest.raises(Unavailable, match="TLS certificate"):
        http.request("GET", "/")
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://erp.test",
        "file:///etc/passwd",
        "gopher://erp.test",
        "erp.test",
        "//erp.test",
        "https://",
        "https://me:pw@erp.test",
        "https://me@erp.test",
        "https://erp.test?x=1",
        "https://erp.test#x",
        "https://erp.test:99999",
        "https://erp.test\\@evil.test",
        "https://erp.test/a b",
        "https://[::1",
        "unix:///run/redis.sock",
    ],
)
def test_an_address_that_is_not_plainly_one_is_refused(url: str) -> None:
    assert base_url_problem(url) is not None


@pytest.mark.parametrize("url", ["https://api.stripe.com", "http://10.0.0.5:8069", "https://[::1]:8443/api/v2"])
def test_a_plain_address_is_taken(url: str) -> None:
    assert base_url_problem(url) is None
