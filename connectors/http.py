"""The one guarded way out: every address checked and pinned, no redirects, no proxies, a deadline, a size cap.

One `Http` serves one call of one connection and is then closed, so neither cookies nor credentials nor pooled
connections pass from one connection to another.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.addresses import Address, AddressCeiling, Entry
from connectors.errors import (
    BadAnswer,
    BadRequest,
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    Retryable,
    TimedOut,
    TooLarge,
    Unavailable,
)
from connectors.secrets import Scrubber
from tickets.values import JSON

CONNECT_TIMEOUT_S = 2.0
#: Most bytes of one answer, counted after decompression.
MAX_ANSWER_BYTES = 1_000_000
#: Most tries of one request that may be repeated.
MAX_TRIES = 3
#: Most HTTP requests one call may make: sign-in, pages and retries together.
MAX_REQUESTS = 50
#: Most look-ups of host names at the same time in one process: one that hangs cannot be interrupted.
MAX_LOOKUPS = 32
#: Statuses that another try may cure.
RETRY_STATUSES = frozenset({429, 502, 503, 504})
#: How much of an upstream's own error message an error sentence quotes, in characters.
MAX_QUOTED_CHARS = 200

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]


def system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of `host`, as the system's resolver gives them. Raises `OSError`."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, within the size cap. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, where: str) -> Any:
        """The body as JSON, with fractions as Decimal so that money stays exact. Raises `BadAnswer`."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, InvalidOperation, RecursionError):  # the second: an exponent of nineteen digits
            pass
        start = self.body[:200].lstrip().lower()
        kind = self.headers.get("content-type", "").split(";")[0].strip()
        if not self.body.strip():
            found = "an empty answer"
        elif start.startswith((b"<!doctype html", b"<html")) or kind == "text/html":
            found = "a web page (HTML)"
        else:
            found = f"{kind or 'something'} that is not JSON"
        raise BadAnswer(f"{where} answered {self.status} with {found} instead of JSON. Check the address and the path.")


@dataclass(slots=True)
class Exchange:
    """What happened on the wire during one call, for the audit and the connection test. No headers: they hold keys."""

    request_line: str = ""
    status: int | None = None
    requests: int = 0
    size: int = 0
    body: bytes = b""
    request_id: str = ""
    #: Whether the last request may have arrived there: it left, and nothing says that it did not.
    may_have_arrived: bool = False
    #: Whether an earlier try of the last request was left open: what comes of a later one says nothing about it.
    was_open: bool = False

    @property
    def open(self) -> bool:
        """Whether the last try may have been carried out, as far as one can know from here.

        3xx and 4xx are answers and mean "no"; 303 (done, and more of it elsewhere), 408 and 5xx, silence and an
        unreadable "yes" leave it open."""
        said_no = self.status is not None and 300 <= self.status < 500 and self.status not in (303, 408)
        return self.may_have_arrived and not said_no


class Deadline:
    """A point in time until which one call must have its answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return self._ends - time.monotonic()


@dataclass(frozen=True, slots=True)
class Way:
    """How one connection may go out. Built by the gateway; `before_request` is its rate limit."""

    label: str
    base_url: str
    ceiling: AddressCeiling
    narrowed: Sequence[Entry] = ()
    scrubber: Scrubber = field(default_factory=lambda: Scrubber(()))
    resolve: Resolve = system_resolve
    ca_file: Path | None = None
    max_bytes: int = MAX_ANSWER_BYTES
    before_request: Callable[[], None] = lambda: None


class Http:
    """The requests of one call. Use as a context manager; it closes its connections."""

    def __init__(self, way: Way, deadline: Deadline, *, repeatable: bool = True) -> None:
        """`repeatable` says whether the operation may be sent again after a failure: reads, and writes with a key
        that the system honours."""
        self.way = way
        self.deadline = deadline
        self.exchange = Exchange()
        self._repeatable = repeatable
        self._sockets: list[socket.socket] = []
        self._addresses: dict[tuple[str, int], list[Address]] = {}
        self._expired = threading.Event()
        self._watch = threading.Timer(max(deadline.left_s, 0), self._expire)
        self._watch.daemon = True
        self._session = _Session()
        # Otherwise HTTP_PROXY leads round the address check, and .netrc adds other credentials.
        self._session.trust_env = False
        adapter = _GuardedAdapter(self)
        self._session.adapters.clear()
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self) -> Http:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        json_body: JSON = None,
        raw_body: bytes | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        accept_status: Sequence[int] = (),
        repeatable: bool | None = None,
    ) -> Answer:
        """One request to `path` below the connection's address, repeated within the deadline where that is allowed.

        `raw_body` is sent byte for byte, for requests that are signed; its Content-Type is in `headers`.
        A failing status raises, except those in `accept_status`. Raises `ConnectorError`."""
        if not path.startswith("/"):
            raise BadRequest(f"The path {path!r} must begin with a slash")
        again = self._repeatable if repeatable is None else repeatable
        self.exchange.was_open = False
        request = requests.Request(
            method,
            self.way.base_url.rstrip("/") + path,
            params=list(params.items()) if isinstance(params, Mapping) else list(params),
            json=json_body,
            data=raw_body if raw_body is not None else dict(form) if form is not None else None,
            headers={"Accept": "application/json", "User-Agent": "Deskhand", **(headers or {})},
            # As bytes: requests would write text in Latin-1 and fail on the first other letter, naming the password.
            auth=(auth[0].encode(), auth[1].encode()) if auth is not None else None,
        )
        tries = Retrying(
            retry=retry_if_exception_type(_Again),
            # Retry-After beyond the deadline ends the call at once instead of sleeping it away.
            stop=stop_after_attempt(MAX_TRIES if again else 1) | stop_before_delay(max(self.deadline.left_s, 0)),
            wait=_wait,
            before_sleep=lambda _: self._look_back(method),
            reraise=True,
        )
        failure: ConnectorError | None = None
        try:
            answer = tries(self._try, request, frozenset(accept_status), again)
        except _Again as error:
            failure = error.failure
        if failure is not None:
            raise failure
        return answer

    def _look_back(self, method: str) -> None:
        """Before another try: keep in mind whether the one before may have been carried out."""
        if method != "GET" and self.exchange.open:
            self.exchange.was_open = True

    def _try(self, request: requests.Request, accept: frozenset[int], again: bool) -> Answer:
        answer = self._send(request)
        if answer.status < 300 or answer.status in accept:
            return answer
        failure = self._failure(answer)
        if again and answer.status in RETRY_STATUSES and isinstance(failure, Retryable):
            raise _Again(failure, failure.retry_after_s)
        raise failure

    def _send(self, request: requests.Request) -> Answer:
        label = self.way.label
        if self.exchange.requests >= MAX_REQUESTS:
            raise BadAnswer(f"{label} needed more than {MAX_REQUESTS} requests for one answer")
        self._check_time()
        try:
            self.way.before_request()
        except RateLimited as limited:
            limited.unsent = self.exchange.requests == 0
            raise
        failure: ConnectorError
        again = False
        try:
            prepared = self._session.prepare_request(request)
            self.exchange.requests += 1
            self.exchange.request_line = f"{prepared.method} {self.way.scrubber.text(prepared.url or '')}"
            self.exchange.status = None
            self.exchange.may_have_arrived = True
            left = max(self.deadline.left_s, 0.001)
            response = self._session.send(
                prepared,
                timeout=(min(CONNECT_TIMEOUT_S, left), left),
                allow_redirects=False,
                stream=True,
                verify=str(self.way.ca_file) if self.way.ca_file else True,
                proxies={},
            )
            try:
                self.exchange.status = response.status_code
                named = response.headers.get("Request-Id") or response.headers.get("X-Request-Id") or ""
                self.exchange.request_id = self.way.scrubber.text(named) if named.isprintable() else ""
                body = self._read(response)
            finally:
                response.close()
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)
        except ConnectorError:
            if self.exchange.status is None:
                self.exchange.may_have_arrived = False  # the address was refused, or its name not found
            raise
        except requests.exceptions.SSLError:
            self.exchange.may_have_arrived = False
            failure = Unavailable(
                f"{label} has a TLS certificate that does not fit its name or is not trusted. Nothing was sent."
            )
        except requests.exceptions.ConnectTimeout:
            self.exchange.may_have_arrived = False
            failure, again = TimedOut(f"{label} did not accept a connection within {CONNECT_TIMEOUT_S:.0f} s"), True
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            failure = self._timed_out()
        except requests.exceptions.InvalidURL:
            self.exchange.may_have_arrived = False
            failure = BadRequest(f"{label}: the address that this question makes is not valid. Nothing was sent.")
        except requests.exceptions.ConnectionError as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            how = "refused" if isinstance(reason, urllib3.exceptions.NewConnectionError) else "broken"
            self.exchange.may_have_arrived = how == "broken"
            failure = Unavailable(f"{label} cannot be reached: the connection was {how}")
            again = True
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError):
            failure, again = Unavailable(f"{label} broke off its answer"), True
        self._check_time()
        if again and isinstance(failure, Retryable):
            raise _Again(failure, None)
        raise failure

    def _read(self, response: requests.Response) -> bytes:
        """The body, counted as it is decompressed, so that a small bomb does not become a large one."""
        chunks: list[bytes] = []
        size = 0
        limit = self.way.max_bytes
        # read1 hands over what has arrived: with read(n) a byte per second would never meet the deadline.
        while chunk := response.raw.read1(65_536, decode_content=True):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"{self.way.label} answered with more than {limit:,} bytes; it was dropped")
            chunks.append(chunk)
            self._check_time()
        body = b"".join(chunks)
        # The watch ended the connection, and without a Content-Length that looks like the end of the answer.
        self._check_time()
        self.exchange.size += size
        self.exchange.body = body
        return body

    def _failure(self, answer: Answer) -> ConnectorError:
        label, status = self.way.label, answer.status
        said = self._said(answer)
        match status:
            case 401:
                return CredentialsRejected(f"{label} refuses our credentials (401). Enter new ones.", status=401)
            case 403:
                return CredentialsRejected(
                    f"{label} does not allow these credentials to do this (403).{said}", status=403
                )
            case 429:
                after = _retry_after_s(answer.headers.get("retry-after", ""))
                when = f" It asks us to wait {after:.0f} s." if after is not None else ""
                return RateLimited(f"{label} says we ask too often (429).{when}", retry_after_s=after)
            case _ if 300 <= status < 400:
                return BadAnswer(
                    f"{label} redirects elsewhere ({status}); connectors do not follow. Check the address."
                )
            case _ if status >= 500:
                after = _retry_after_s(answer.headers.get("retry-after", ""))
                return Unavailable(f"{label} failed on its side ({status}).{said}", retry_after_s=after)
            case 404:
                return BadRequest(f"{label} has nothing at this path (404).{said}")
            case 408:
                return TimedOut(f"{label} gave up waiting for our question (408).")
            case _:
                return BadRequest(f"{label} did not accept the question ({status}).{said}")

    def _said(self, answer: Answer) -> str:
        """What the system itself says about its failure, when it says it in JSON."""
        try:
            data = json.loads(answer.body)
        except (ValueError, RecursionError):
            return ""
        found = data.get("error", data.get("message", data.get("detail"))) if isinstance(data, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if not isinstance(found, str):
            return ""
        plain = " ".join("".join(char if char.isprintable() else " " for char in found).split())
        return f" It says: {self.way.scrubber.text(plain)[:MAX_QUOTED_CHARS]}"

    def _timed_out(self) -> TimedOut:
        return TimedOut(f"{self.way.label} gave no answer within {self.deadline.seconds:.1f} s")

    def _check_time(self) -> None:
        if self._expired.is_set() or self.deadline.left_s <= 0:
            raise self._timed_out()

    def _expire(self) -> None:
        """Runs at the deadline: timeouts count from the last byte, so a dripping answer never meets one."""
        self._expired.set()
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def watch(self, one: socket.socket | None) -> None:
        if one is not None:
            self._sockets.append(one)

    def addresses_of(self, host: str, port: int) -> list[Address]:
        """Resolve `host`, once per call, waiting no longer than a connection attempt may. Raises `ConnectorError`."""
        host = host.strip("[]")
        known = self._addresses.get((host, port))
        if known is not None:
            return known
        found: list[str] | OSError | UnicodeError = OSError("no answer")
        done = threading.Event()

        def look_up() -> None:
            nonlocal found
            try:
                found = list(self.way.resolve(host, port))
            except (OSError, UnicodeError) as error:
                found = error
            finally:
                _lookups.release()
                done.set()

        if not _lookups.acquire(timeout=max(min(CONNECT_TIMEOUT_S, self.deadline.left_s), 0)):
            raise Unavailable(f"{host} was not looked up: {MAX_LOOKUPS} other look-ups hang")
        threading.Thread(target=look_up, name="connector-lookup", daemon=True).start()
        if not done.wait(max(min(CONNECT_TIMEOUT_S, self.deadline.left_s), 0)):
            raise TimedOut(f"The name {host} could not be resolved in time (DNS)")
        if not isinstance(found, list):
            raise Unavailable(f"The name {host} cannot be resolved (DNS). Check the address.")
        addresses = [ipaddress.ip_address(text.split("%")[0]) for text in found]
        # IPv4 first: a host without an IPv6 route would otherwise fail on the first of two good addresses.
        ordered = sorted(dict.fromkeys(addresses), key=lambda address: address.version)
        return self._addresses.setdefault((host, port), ordered)

    def __repr__(self) -> str:
        return f"Http({self.way.label})"


class _Session(requests.Session):
    """A session that sees no redirects: even unfollowed ones, requests would read to the end whatever their size."""

    def get_redirect_target(self, _resp: requests.Response) -> str | None:
        return None


class _Again(Exception):
    """Inside this file: a failure that another try may cure, after `after_s` if the system said so."""

    def __init__(self, failure: ConnectorError, after_s: float | None) -> None:
        super().__init__()
        self.failure = failure
        self.after_s = after_s


_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, _Again) and error.after_s is not None:
        return error.after_s
    return float(min(0.1 * 2 ** (state.attempt_number - 1), 2.0))


def _retry_after_s(text: str) -> float | None:
    """Retry-After in seconds. A date is read too; what cannot be read is None."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 86_400))
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return min(max(at.timestamp() - time.time(), 0.0), 86_400.0)


class _GuardedAdapter(HTTPAdapter):
    """Resolves once, checks every address, and pins the connection to a checked one; Host, SNI and certificate name
    stay those of the host."""

    def __init__(self, owner: Http) -> None:
        self._owner = owner
        self._attempt = 0
        super().__init__(pool_connections=4, pool_maxsize=1, max_retries=0)
        # Connections that hand their socket to the watch; see Http._expire.
        self.poolmanager.pool_classes_by_scheme = {"http": _pool_class(owner), "https": _tls_pool_class(owner)}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host_params: Any
        pool_params: Any
        host_params, pool_params = super().build_connection_pool_key_attributes(request, verify, cert)
        scheme, host = str(host_params["scheme"]), str(host_params["host"])
        explicit = host_params["port"]
        port = int(explicit or (443 if scheme == "https" else 80))
        # ConnectorErrors pass through requests untouched: it handles OSError and ValueError, and they are neither.
        addresses = self._owner.addresses_of(host, port)
        way = self._owner.way
        way.ceiling.check(scheme, host, port, addresses, narrowed=way.narrowed)
        # A second try goes to the next address of the same checked answer.
        chosen = addresses[self._attempt % len(addresses)]
        self._attempt += 1
        request.headers["Host"] = f"{host}:{explicit}" if explicit else host
        if scheme == "https":
            # Both what is asked for (SNI) and what the certificate must name.
            pool_params["server_hostname"] = host.strip("[]")
        host_params["host"] = str(chosen) if chosen.version == 4 else f"[{chosen}]"
        return host_params, pool_params


def _pool_class(owner: Http) -> type[urllib3.HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            owner.watch(self.sock)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    return Pool


def _tls_pool_class(owner: Http) -> type[urllib3.HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            owner.watch(self.sock)

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def base_url_problem(url: str) -> str | None:
    """Why `url` cannot be a connection's address, or None when it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with https:// (or http:// inside your own network) and a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password; there are fields for them"
    if parts.query or parts.fragment:
        return "must not hold a query or a fragment"
    if port == 0 or any(char.isspace() or not char.isprintable() for char in url) or "\\" in url:
        return "is not an address"
    return None
