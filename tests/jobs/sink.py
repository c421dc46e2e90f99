"""A real SMTP server for the tests, in a thread, that remembers what it took and refuses what it is told to."""

from __future__ import annotations

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
