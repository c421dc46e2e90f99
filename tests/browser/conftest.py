"""Real pages in a real browser: a served desk, Chromium, and every console message about our policy a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from apiflask import APIFlask
from playwright.sync_api import Browser, BrowserContext, Page
from redis import Redis
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.environment.databases import MakeDatabase
from tests.environment.patience import PATIENCE_MS
from tests.environment.redis import RedisServer
from tests.web.desk import PASSWORD, Desk, a_desk, let_in
from web import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SCREENSHOTS = Path(__file__).parent / "screenshots"
#: Where a request's surroundings keep what answers it.
ANSWER = "tests.answer"
#: What a machine asks pages for, and how pictures of it end.
SHADES: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", ""), ("dark", "-dark"))


@dataclass
class Served:
    """A desk that answers on an address."""

    desk: Desk
    app: APIFlask
    url: str


@dataclass
class Visitor:
    """A person with a browser. `console` holds what pages complained about."""

    page: Page
    served: Served
    console: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.served.url

    def let_in(self, email: str) -> None:
        """The session that `sign_in` opens, without its two pages, which take half a second of the processor: most
        tests are about what comes behind the door."""
        client = self.served.app.test_client()
        let_in(client, email)
        name = self.served.app.config["SESSION_COOKIE_NAME"]
        kept = client.get_cookie(name)
        assert kept is not None
        self.page.context.add_cookies([{"name": name, "value": kept.value, "url": self.url}])

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Through the page, as a person does."""
        self.page.goto(f"{self.url}/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def shades(self) -> Iterator[str]:
        """The page that is open as those have it whose machine is light, and dark: what its pictures are called for."""
        for shade, suffix in SHADES:
            self.page.emulate_media(color_scheme=shade)
            yield suffix

    def picture(self, name: str, *, full: bool = False) -> Path:
        """Keep a screenshot for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=full)
        return path


class _Handler(WSGIRequestHandler):
    """Closes what an answer is read from also where the browser went away while it came: werkzeug's own does not when
    the reset is met as it looks for more of the request, and a file that nobody closed fails a test that has nothing
    to do with it."""

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        close = getattr((environ or {}).get(ANSWER), "close", None)
        if close:
            close()


def _kept(app: WSGIApplication) -> WSGIApplication:
    """This application, its answers remembered with what they answer."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        found = environ[ANSWER] = app(environ, start)
        return found

    return answer


@contextmanager
def serving(desk: Desk, app: APIFlask | None = None) -> Iterator[Served]:
    """This desk (by its own application, or `app`) on a free port, served by threads of this process."""
    app = app or create_app(desk.services)
    server = make_server("127.0.0.1", 0, _kept(app), threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Served(desk, app, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join(timeout=60)
    server.server_close()


@pytest.fixture
def served(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Served]:
    """A desk with teams and a brand, and nobody and nothing else."""
    desk = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    with serving(desk) as found:
        yield found
    desk.services.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors: `visit(width=390, dark=True, scripts=False)`. A complaint in any console fails the test."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def make(*, width: int = 1280, height: int = 800, dark: bool = False, scripts: bool = True) -> Visitor:
        options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "java_script_enabled": scripts}
        context = browser.new_context(**options, color_scheme="dark" if dark else "light", locale="en-GB")
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        visitor = Visitor(context.new_page(), served)
        visitor.page.on("console", lambda message: _note(visitor, message.type, message.text))
        visitor.page.on("pageerror", lambda error: visitor.console.append(f"pageerror: {error}"))
        visitors.append(visitor)
        return visitor

    yield make
    complaints = [line for visitor in visitors for line in visitor.console]
    for context in contexts:
        context.close()
    assert complaints == []


def _note(visitor: Visitor, kind: str, text: str) -> None:
    # A refused form answers 4xx on purpose, and the browser says so in its console.
    expected = text.startswith("Failed to load resource: the server responded with a status of 4")
    if kind in ("error", "warning") and not expected:
        visitor.console.append(f"{kind}: {text}")
