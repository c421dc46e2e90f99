"""A real HTTP server on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

#: What webhooks to a receiver are signed with: the example of Standard Webhooks.
HOOKS_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


#: Seconds until a server has read what was sent to it: a moment where the machine is ours alone.
READ_S = 30


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer. `drip_s` sends the body a byte at a time with that pause; `delay_s` comes before the status."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0
    drip_s: float = 0
    drip_head_s: float = 0
    repeat: int = 1  # the body this many times, without holding it in memory
    cut: bool = False  # promise more than is sent
    open_end_s: float = 0  # name no length, and end the answer only after this time


def as_json(data: Any, status: int = 200, **how: Any) -> Reply:
    return Reply(json.dumps(data).encode(), status, **how)


def answers(*replies: Reply) -> Callable[[Asked], Reply]:
    """Each reply once, the last one for ever."""
    left = list(replies)
    return lambda _asked: left.pop(0) if len(left) > 1 else left[0]


class Upstream:
    """`answer` may be replaced at any time; `asked` is every request so far."""

    def __init__(
        self, answer: Callable[[Asked], Reply], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self._over = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                )
                upstream.asked.append(asked)
                try:
                    upstream._send(self, upstream.answer(asked))
                except OSError:
                    self.close_connection = True

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            request_queue_size = 200
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

        self._server = Server((address, 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        self._over.wait(reply.delay_s)
        length = len(reply.body) * reply.repeat + (100 if reply.cut else 0)
        head = f"HTTP/1.0 {reply.status} Said\r\nContent-Type: {reply.content_type}\r\n"
        head += "" if reply.open_end_s else f"Content-Length: {length}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items()) + "\r\n"
        self._write(handler, head.encode(), reply.drip_head_s)
        for _ in range(reply.repeat):
            if self._over.is_set():
                break
            self._write(handler, reply.body, reply.drip_s)
        self._over.wait(reply.open_end_s)
        handler.close_connection = True

    def _write(self, handler: BaseHTTPRequestHandler, data: bytes, pause_s: float) -> None:
        if not pause_s:
            handler.wfile.write(data)
            return
        for at in range(len(data)):
            if self._over.wait(pause_s):
                return
            handler.wfile.write(data[at : at + 1])
            handler.wfile.flush()

    def heard(self, times: int) -> bool:
        """Whether it was asked so many times and no more, as soon as it has read what was sent to it."""
        end = time.monotonic() + READ_S
        while len(self.asked) < times and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.asked) == times

    def stop(self) -> None:
        """Take no more connections: the next one is refused."""
        self._server.socket.close()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(READ_S)


class Serve(Protocol):
    """Starts a server that answers what the function says."""

    def __call__(
        self, answer: Callable[[Asked], Reply], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> Upstream: ...


@contextmanager
def upstreams() -> Iterator[Serve]:
    """Starts servers, and closes them all at the end."""
    started: list[Upstream] = []

    def start(
        answer: Callable[[Asked], Reply], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> Upstream:
        started.append(Upstream(answer, address, tls))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.close()


class Stopwatch:
    """Wall time of a block, in seconds."""

    def __enter__(self) -> Stopwatch:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
