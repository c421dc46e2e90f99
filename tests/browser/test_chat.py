"""The chat on another site's page: a button, a frame, and an answer that appears without a reload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Served, Visitor
from tests.builders import ANA
from tickets.store import NewMessage, change_item, read_item
from web import chat

pytestmark = pytest.mark.browser


@pytest.fixture
def shop(served: Served) -> Iterator[str]:
    """A shop's own page on another origin, which embeds the button."""
    page = (
        f'<!doctype html><title>Shop</title><h1>Shop</h1><script src="{served.url}/chat/acme/button.js" async></script>'
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/"
            self.send_response(200 if found else 204)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode() if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def answer(served: Served, text: str) -> None:
    with served.desk.services.db.write() as connection:
        item = read_item(connection, 1, lock=True)
        message = NewMessage(author="agent", public=True, channel="chat", text=text, author_name="Ana Nowak")
        change_item(connection, item, lines=(), actor=ANA, now=served.desk.clock.now(), messages=(message,))


def test_a_visitor_of_a_shop_writes_and_reads_the_answer(
    served: Served, shop: str, visit: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "WAIT_S", 2.0)
    page = visit(width=390).page
    page.goto(shop)
    page.get_by_role("button", name="Chat with us").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("How can we help?")).to_be_visible()
    frame.get_by_label("Your name").fill("Kim")
    frame.get_by_label("Your message").fill("Where is <my> parcel?")
    frame.get_by_label("Your message").press("Enter")
    expect(frame.get_by_role("listitem")).to_have_text(["YouWhere is <my> parcel?"])
    expect(frame.get_by_text("How can we help?")).to_be_hidden()
    answer(served, "It arrives today.")
    expect(frame.get_by_role("listitem").last).to_have_text("Ana NowakIt arrives today.")
    expect(frame.get_by_label("Your name")).to_be_hidden()
    page.screenshot(path="tests/browser/screenshots/chat-390.png")
    page.get_by_role("button", name="Close the chat").click()
    expect(page.locator("iframe")).to_be_hidden()
    page.goto("about:blank")
    # A look that waits reads the database, which ends with this test.
    for _ in range(chat.WAITING):
        assert chat._places.acquire(timeout=60)
    chat._places.release(chat.WAITING)
