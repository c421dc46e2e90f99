"""No control that does nothing: every page of a desk with data in it is looked at as a browser would.

A link has to answer, a form has to have somewhere to go, a button has to be in a form or be heard by a script of ours,
a label has to be somebody's.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from jobs.demo.desk import ADMIN
from tests.demo.test_page import app, sign_in
from web.bundles import STATIC

__all__ = ["app"]

pytestmark = pytest.mark.slow

#: Pages of one view that are opened: a ticket with much on it, one with little, and some more.
PAGES_PER_VIEW = 4
#: Pages in all; the crawl is cut off there, which fails the test.
PAGES = 600

#: Attributes that a browser acts on by itself.
OF_BROWSERS = frozenset({"popovertarget", "commandfor", "form"})
#: What htmx asks for, and by which method.
OF_HTMX = {"hx-get": "GET", "hx-post": "POST"}


def heard() -> frozenset[str]:
    """The data attributes our scripts look for with a selector."""
    sources = [*STATIC.glob("js/*.js"), STATIC.parent / "assets" / "editor.js"]
    return frozenset(name for one in sources for name in re.findall(r"\[(data-[a-z-]+)", one.read_text()))


HEARD = heard()


@dataclass
class Looked(HTMLParser):
    """What a page has to press, and what it asks of the server."""

    links: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)
    pointed: list[tuple[str, str]] = field(default_factory=list)
    _forms: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids[given["id"]] += 1
        for name, method in OF_HTMX.items():
            if name in given:
                self.asked.append((method, given[name]))
        if tag == "form":
            self._forms += 1
            self.asked.append((given.get("method", "get").upper(), given.get("action", "")))
        elif tag == "a":
            self._link(given)
        elif tag == "label" and "for" in given:
            self.pointed.append(("label for", given["for"]))
        elif tag == "button" or (tag == "input" and given.get("type") in ("submit", "button", "image")):
            self._button(given)
        elif tag in ("input", "select", "textarea"):
            self._control(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._forms -= 1

    def _link(self, given: dict[str, str]) -> None:
        target = given.get("href")
        if target is None or target == "#":
            if not (HEARD | set(OF_HTMX)) & given.keys():
                self.dead.append(f"a link that leads nowhere: {given}")
        elif target.startswith("#"):
            self.pointed.append(("a href", target[1:]))
        else:
            self.links.append(target)

    def _button(self, given: dict[str, str]) -> None:
        if "formaction" in given:
            self.asked.append((given.get("formmethod", "post").upper(), given["formaction"]))
        for name in OF_BROWSERS & given.keys():
            self.pointed.append((f"button {name}", given[name]))
        sends = given.get("type", "submit") != "button" and (self._forms or "form" in given)
        acts = (OF_BROWSERS - {"form"} | HEARD | set(OF_HTMX)) & given.keys()
        if not (sends or acts or "disabled" in given):
            self.dead.append(f"a button that does nothing: {given}")

    def _control(self, tag: str, given: dict[str, str]) -> None:
        if "form" in given:
            self.pointed.append((f"{tag} form", given["form"]))
        if not (self._forms or "form" in given or HEARD & given.keys() or "disabled" in given):
            self.dead.append(f"a field of no form: {tag} {given}")


def look(page: str) -> Looked:
    looked = Looked()
    looked.feed(page)
    looked.close()
    looked.dead += [
        f"{what} names #{name}, which is not there" for what, name in looked.pointed if not looked.ids[name]
    ]
    return looked


@pytest.mark.parametrize(
    "page",
    [
        "<button>Save</button>",
        '<form><button type="button">Save</button></form>',
        '<form></form><button data-nobody-listens="1">Save</button>',
        '<button popovertarget="menu">Menu</button>',
        '<label for="name">Name</label><form><input id="nam"></form>',
        "<select><option>1</option></select>",
        "<a>More</a>",
        '<a href="#">More</a>',
        '<a href="#more">More</a>',
    ],
)
def test_the_crawl_sees_what_does_nothing(page: str) -> None:
    assert len(look(page).dead) == 1


@pytest.mark.parametrize(
    "page",
    [
        '<form id="f"><button>Save</button></form>',
        '<form id="f"></form><button form="f">Save</button>',
        '<button type="button" data-dialog="keys">Keys</button>',
        '<button popovertarget="menu">Menu</button><div id="menu" popover></div>',
        '<form><label for="name">Name</label><input id="name"></form>',
        '<a href="#more">More</a><p id="more">Text</p>',
    ],
)
def test_the_crawl_lets_pass_what_does_something(page: str) -> None:
    assert look(page).dead == []


class Crawl:
    """Opens what it finds, a few pages of each view, and writes down what is wrong."""

    def __init__(self, app: APIFlask, browser: FlaskClient) -> None:
        self.browser = browser
        self.routes = app.url_map.bind("localhost")
        self.wrong: list[str] = []
        self.opened: Counter[str] = Counter()
        self.asked: set[tuple[str, str]] = set()
        self._queue: deque[tuple[str, str]] = deque()
        self._known: set[str] = set()

    def run(self, *first: str) -> None:
        for path in first:
            self._follow("the beginning", path)
        while self._queue and self.opened.total() < PAGES:
            self._open(*self._queue.popleft())
        assert not self._queue, f"{len(self._queue)} pages were not opened: the crawl takes {PAGES}"

    def _open(self, page: str, address: str) -> None:
        answer = self.browser.get(address)
        if answer.status_code in (301, 302, 303, 307, 308):
            self._follow(page, urljoin(address, answer.location))
            return
        if answer.status_code != 200:
            self.wrong.append(f"{page}: {address} answers {answer.status_code}")
        if answer.mimetype != "text/html":
            return
        looked = look(answer.get_data(as_text=True))
        self.wrong += [f"{address}: {sentence}" for sentence in looked.dead]
        for target in looked.links:
            self._follow(address, urljoin(f"http://localhost{address}", target))
        for method, target in looked.asked:
            self.ask(address, method, urljoin(address, target))

    def _follow(self, page: str, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("", "http", "https") or parts.netloc not in ("", "localhost"):
            return  # somebody else's page, an e-mail address, a telephone number
        view = self._view(page, "GET", parts.path)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if view and path not in self._known and self.opened[view] < PAGES_PER_VIEW:
            self._known.add(path)
            self.opened[view] += 1
            self._queue.append((page, path))

    def ask(self, page: str, method: str, address: str) -> None:
        """A form is not sent, which would change the desk: its address has to take its method."""
        if method != "DIALOG":
            path = urlsplit(address).path
            self.asked.add((method, self._view(page, method, path)))

    def _view(self, page: str, method: str, path: str) -> str:
        try:
            endpoint, _ = self.routes.match(path, method)
        except RequestRedirect:
            return "redirect"
        except HTTPException as error:
            self.wrong.append(f"{page}: {method} {path} answers {error.code}")
            return ""
        return str(endpoint)


def test_an_address_that_is_not_there_or_takes_no_form_is_written_down(app: APIFlask) -> None:
    crawl = Crawl(app, app.test_client())
    crawl.run("/nowhere")
    crawl.ask("/", "POST", "/runs")
    crawl.ask("/", "POST", "/sign-out")
    assert crawl.wrong == ["the beginning: GET /nowhere answers 404", "/: POST /runs answers 405"]


def test_no_page_has_a_control_that_does_nothing(app: APIFlask) -> None:
    crawl = Crawl(app, sign_in(app, ADMIN))
    crawl.run("/", "/demo")
    assert crawl.wrong == []
    assert len(crawl.opened) > 55
    assert len([1 for method, _ in crawl.asked if method == "POST"]) > 50
