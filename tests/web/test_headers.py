"""What every answer says to the browser: no inline code, nothing from elsewhere, no copies kept."""

from __future__ import annotations

import re
from pathlib import Path

from apiflask import APIFlask
from flask import render_template_string
from flask.testing import FlaskClient

import web
from tests.web.desk import TRIAGE, Desk, address_of
from web import create_app
from web.access import open_to_all

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
TEMPLATES = sorted((Path(web.__file__).parent / "templates").rglob("*.html"))


def directives(header: str) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in header.split(";"))


def test_every_answer_carries_the_policy_and_is_not_kept(app: APIFlask, agent: FlaskClient, desk: Desk) -> None:
    desk.publish(TRIAGE)
    ticket = desk.ticket("Refund")
    desk.work()
    seen = 0
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint == "static":
            continue
        known = {"item_id": ticket, "brand": "acme", "code": "A01", "form": "csv"}
        values = {name: known.get(name, 1 if name.endswith("_id") else "x") for name in rule.arguments}
        path = address_of(app, rule, values)
        answer = agent.get(path)
        assert answer.status_code < 500 or path == "/readyz", path
        policy = directives(answer.headers["Content-Security-Policy"])
        if rule.endpoint.startswith("scripts.") and "nonce-" in policy["style-src"]:
            policy["style-src"] = "'self'"
        if rule.endpoint.startswith("chat."):
            assert policy.pop("frame-ancestors") == "*"
            policy["frame-ancestors"] = "'none'"
        assert (path, policy) == (path, POLICY)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        kept = "public, max-age=300" if rule.endpoint == "chat.button" else "no-store"
        assert answer.headers["Cache-Control"] == kept, path
        seen += 1
    assert seen >= 12


def test_an_error_page_carries_the_policy_too(client: FlaskClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert directives(answer.headers["Content-Security-Policy"]) == POLICY
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_a_page_that_asks_gets_a_nonce_and_each_time_another(desk: Desk) -> None:
    @open_to_all("a test")
    def page() -> str:
        return render_template_string('<meta name="csp-nonce" content="{{ style_nonce() }}">')

    app = create_app(desk.services)
    app.add_url_rule("/with-nonce", "with_nonce", page)
    browser = app.test_client()
    nonces = []
    for _ in range(2):
        answer = browser.get("/with-nonce")
        nonces.append(re.findall(r'content="([^"]+)"', answer.get_data(as_text=True))[0])
        style = directives(answer.headers["Content-Security-Policy"])["style-src"]
        assert style == f"'self' 'nonce-{nonces[-1]}'"
        assert "nonce" not in directives(answer.headers["Content-Security-Policy"])["script-src"]
    assert nonces[0] != nonces[1]


def test_static_files_are_kept_for_ever_only_under_their_version(app: APIFlask, client: FlaskClient) -> None:
    page = client.get("/sign-in").get_data(as_text=True)
    css = re.findall(r'href="(/static/css/[^"]+)"', page)[0]
    for address, said in (
        (css, "immutable"),
        (css.partition("?")[0], "no-cache"),
        ("/static/fonts/inter-5.3.0-latin.woff2", "immutable"),
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        assert said in answer.headers["Cache-Control"]
        answer.close()


def test_pages_say_that_they_differ_for_partial_updates(client: FlaskClient) -> None:
    assert "HX-Request" in client.get("/sign-in").headers["Vary"]


def test_no_template_holds_inline_code_or_style() -> None:
    for template in TEMPLATES:
        source = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", source), template.name
        assert not re.search(r"<style\b", source), template.name
        assert not re.search(r"\s(style|on[a-z]+)\s*=\s*[\"']", source), template.name
        assert "|safe" not in source.replace(" ", ""), template.name


def test_a_database_key_out_of_range_leads_nowhere(agent: FlaskClient) -> None:
    assert agent.get("/tickets/2147483648").status_code == 404
    assert agent.get("/tickets/99999999999999999999999999").status_code == 404


def test_a_nul_character_is_refused_before_a_database_sees_it(agent: FlaskClient) -> None:
    answer = agent.get("/?text=a%00b")
    assert answer.status_code == 400
    assert "a character that is no text" in answer.get_data(as_text=True)
