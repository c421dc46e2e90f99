"""A real SMTP server for the tests, in a thread, that remembers what it took and refuses what it is told to."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from tests.environment.ports import free_port

TAKEN = "250 OK"
#: Seconds until it listens; a second where the machine is ours alone.
START_S = 60


@dataclass
class MailSink:
    """`url` is what DESKHAND_SMTP_URL takes. `answer` may be replaced; it sees each mail before it is answered."""

    url: str
    taken: list[EmailMessage] = field(default_factory=list)
    refused_recipients: dict[str, str] = field(default_factory=dict)
    answer: Callable[[EmailMessage], str] = lambda _mail: TAKEN
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return TAKEN

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=default)
        said = self.answer(mail)
        if said == TAKEN:
            with self._lock:
                self.taken.append(mail)
        return said

    def ids(self) -> list[str]:
        """The Message-IDs of what was taken, in order, copies included."""
        with self._lock:
            return [str(one["Message-ID"]) for one in self.taken]


class DyingServer(socketserver.ThreadingTCPServer):
    """A mail server that has the whole mail and ends before its 250, so many times; then it takes mails as others do.

    `had` are the mails that it was given, `taken` those that it said it took."""

    daemon_threads = True

    def __init__(self, deaths: int) -> None:
        super().__init__(("127.0.0.1", 0), _Dying)
        self.deaths = deaths
        self.had: list[EmailMessage] = []
        self.taken: list[EmailMessage] = []
        self.url = f"smtp://127.0.0.1:{self.server_address[1]}"


class _Dying(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, DyingServer)
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline(1_000):
            if line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            if line.upper().strip() != b"DATA":
                self.wfile.write(b"250 OK\r\n")
                continue
            self.wfile.write(b"354 go on\r\n")
            lines: list[bytes] = []
            while (given := self.rfile.readline(10_000)) != b".\r\n":
                lines.append(given)
            mail = message_from_bytes(b"".join(lines), policy=default)
            server.had.append(mail)
            if len(server.had) <= server.deaths:
                return
            server.taken.append(mail)
            self.wfile.write(b"250 OK\r\n")


@contextmanager
def a_dying_server(deaths: int = 1) -> Iterator[DyingServer]:
    with DyingServer(deaths) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(START_S)


@contextmanager
def a_mail_sink(host: str = "127.0.0.1") -> Iterator[MailSink]:
    port = free_port(host)
    sink = MailSink(f"smtp://{host}:{port}")
    controller = Controller(sink, hostname=host, port=port, ready_timeout=START_S)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
