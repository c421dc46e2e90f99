"""The server behind the browser: nothing is left open by a browser that goes away while a page comes."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Served
from tests.jobs.workers import until


def test_a_file_is_closed_when_the_browser_goes_away_while_it_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left_open.append(f"{told.object!r}"))
    before = threading.active_count()
    for _ in range(20):
        gone(served)
    assert until(lambda: threading.active_count() <= before)
    assert left_open == []


def gone(served: Served) -> None:
    """Asks for a file and, with its first byte here, drops the connection without a goodbye, as browsers do with what
    a page asked for that is left."""
    at = urlsplit(served.url)
    with socket.create_connection((at.hostname, at.port)) as wire:
        wire.sendall(b"GET /static/img/mark.svg HTTP/1.1\r\nHost: desk\r\n\r\n")
        assert wire.recv(1) == b"H"
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
