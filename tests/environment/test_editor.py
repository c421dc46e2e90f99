"""The editor in a real browser, on a page that keeps its contract (web/assets/README.md) under a strict policy."""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from run_tool.editor import build_editor
from run_tool.places import ASSETS, DIST, ROOT

pytestmark = pytest.mark.browser

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-n0nce'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SOURCE = """# 🙂 is one character
import os
party = erp.find_party(email=customer.email)
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Script</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
{nonce}<meta name="csrf-token" content="token">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/static/css/deskhand.css">
<script type="module" src="/editor.js"></script></head><body><main><h1>Script</h1>
<p id="help">Ctrl+M lets Tab leave the editor.</p>
<form method="post" action="/save"><textarea data-editor name="source" aria-label="Script source"
 aria-describedby="help" data-api="/api.json" data-check="/check" data-problems="problems">{source}</textarea>
<div class="probs" id="problems"></div>
<button>Save</button></form></main></body></html>"""
API = {
    "globals": {"ticket": {"kind": "object", "type": "Ticket"}, "erp": {"kind": "object", "type": "erp"}},
    "types": {
        "Ticket": {
            "members": {
                "subject": {"kind": "property", "type": "text"},
                "set_priority": {"kind": "method", "sig": "(priority)", "snippet": "set_priority(${'high'})"},
            }
        },
        "erp": {"members": {"find_party": {"kind": "method", "sig": "(email)", "doc": "One customer of the ERP."}}},
    },
}


class Site:
    """A page with the editor on 127.0.0.1, and what was sent to it."""

    def __init__(self) -> None:
        self.nonce = True
        self.check_status = 200
        self.checked: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.saved: list[str] = []
        self.address = ""

    def problems(self, source: str) -> list[dict[str, Any]]:
        found = []
        for number, line in enumerate(source.splitlines(), 1):
            for word, severity in (("os", "error"), ("character", "warning")):
                at = line.find(word)
                if at >= 0:
                    place = {"line": number, "column": at, "end_line": number, "end_column": at + len(word)}
                    message = {"code": "IMPORT", "severity": severity, "message": f"No {word}.", "hint": "Use erp."}
                    found.append({**place, **message})
        return found


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    bundle = json.loads((DIST / "manifest.json").read_text())["editor.js"]
    files: dict[str, tuple[str, Callable[[], bytes]]] = {
        "/editor.js": ("text/javascript", (DIST / bundle).read_bytes),
        "/icon.svg": ("image/svg+xml", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        "/api.json": ("application/json", lambda: json.dumps(API).encode()),
        "/": (
            "text/html; charset=utf-8",
            lambda: PAGE.format(
                source=SOURCE, nonce='<meta name="csp-nonce" content="n0nce">' if site.nonce else ""
            ).encode(),
        ),
    }

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            static = ROOT / "web" / self.path[1:]
            if self.path.startswith("/static/") and static.is_file():
                self.answer(200, mimetypes.guess_type(static)[0] or "application/octet-stream", static.read_bytes())
                return
            kind, read = files.get(self.path, ("text/plain", lambda: b""))
            self.answer(200 if self.path in files else 404, kind, read())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/save":
                site.saved.append(body)
                self.answer(204, "text/plain", b"")
                return
            sent = json.loads(body)
            site.checked.append(sent)
            site.tokens.add(self.headers["X-CSRF-Token"])
            answer = {"problems": site.problems(sent["source"])} if site.check_status == 200 else {}
            self.answer(site.check_status, "application/json", json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bundle() -> None:
    build_editor(required=True)


@contextmanager
def opened(site: Site, browser: Browser, *, allowed: tuple[str, ...] = ()) -> Iterator[Page]:
    """The page in Chromium; anything on its console that is not `allowed` fails the test."""
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(site.address)
        yield page
    finally:
        page.close()
    assert [line for line in said if not any(part in line for part in allowed)] == []


def test_problems_are_shown_where_they_are(bundle: None, site: Site, browser: Browser) -> None:
    with opened(site, browser) as page:
        expect(page.locator(".cm-lintRange-error")).to_have_text(["os"])
        # Columns count characters; the smiley before it is one of them and two of the browser's.
        expect(page.locator(".cm-lintRange-warning")).to_have_text(["character"])
        expect(page.locator(".ed-status")).to_have_text("2 problems.")
        assert page.locator("#problems button").all_inner_texts() == [
            "Line 1: No character. Use erp.",
            "Line 2: No os. Use erp.",
        ]
        page.locator("#problems button").last.click()
        page.keyboard.type("X")
        assert page.locator("textarea").input_value().splitlines()[1] == "import Xos"
    assert site.tokens == {"token"}
    assert site.checked[0] == {"source": SOURCE}


def test_members_of_a_name_are_completed(bundle: None, site: Site, browser: Browser) -> None:
    with opened(site, browser) as page:
        page.locator(".cm-content").click()
        page.keyboard.press("Control+End")
        page.keyboard.type("ticket.")
        expect(page.locator(".cm-completionLabel")).to_have_text(["set_priority", "subject"])
        page.keyboard.type("set_")
        expect(page.locator(".cm-completionLabel")).to_have_text(["set_priority"])
        page.keyboard.press("Enter")
        expect(page.locator("textarea")).to_have_value(f"{SOURCE}ticket.set_priority('high')")


def test_the_textarea_stays_the_form_field(bundle: None, site: Site, browser: Browser) -> None:
    with opened(site, browser) as page:
        page.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.type("x = 1")
        with page.expect_response("**/save"):
            page.keyboard.press("Control+s")
    assert site.saved == ["source=x+%3D+1"]


def test_a_bracket_typed_over_a_selection_goes_around_it(bundle: None, site: Site, browser: Browser) -> None:
    with opened(site, browser) as page:
        page.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.type("name")
        page.keyboard.press("Control+a")
        page.keyboard.type("(")
        expect(page.locator("textarea")).to_have_value("(name)")


def test_tab_leaves_the_editor_after_ctrl_m(bundle: None, site: Site, browser: Browser) -> None:
    with opened(site, browser) as page:
        page.locator(".cm-content").click()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className").startswith("cm-content")
        page.keyboard.press("Control+m")
        page.keyboard.press("Shift+Tab")
        assert not page.evaluate("document.activeElement.className").startswith("cm-content")
        assert page.locator(".cm-content").get_attribute("aria-label") == "Script source"
        assert page.locator(".cm-content").get_attribute("aria-describedby") == "help"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(429, "Not checked: too many checks"), (401, "Not checked: you are signed out"), (503, "Not checked: the server")],
)
def test_an_answer_that_did_not_come_is_not_no_problems(
    bundle: None, site: Site, browser: Browser, status: int, sentence: str
) -> None:
    site.check_status = status
    with opened(site, browser, allowed=(f"status of {status}",)) as page:
        expect(page.locator(".ed-status")).to_contain_text(sentence)
        assert page.locator(".cm-lint-marker").count() == 0


def test_without_a_nonce_the_textarea_stays_as_it_is(bundle: None, site: Site, browser: Browser) -> None:
    site.nonce = False
    with opened(site, browser) as page:
        expect(page.locator("h1")).to_have_text("Script")
        assert page.evaluate("performance.getEntriesByName('editor-ready').length") == 1
        assert page.locator("textarea").is_visible()
        assert page.locator(".cm-editor").count() == 0


def test_the_lock_names_no_address() -> None:
    lock = json.loads((ASSETS / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_the_bundle_is_within_its_budget(bundle: None) -> None:
    import gzip

    manifest = json.loads((DIST / "manifest.json").read_text())
    sizes = {name: len(gzip.compress((DIST / file).read_bytes())) for name, file in manifest.items()}
    assert set(sizes) == {"editor.js", "htmx.js"}
    assert sum(sizes.values()) < 190_000
