"""The headers of every answer: a Content-Security-Policy without inline anything, and no copies of pages in caches."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'{nonce}",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
}
_FRAMED = {"Cross-Origin-Resource-Policy": "cross-origin"}
#: A year, in seconds: for files whose address carries their content's hash.
_FOREVER_S = 31_536_000


def style_nonce() -> str:
    """The nonce for styles on this page. Only the script editor asks for one; without it no inline style applies."""
    if "style_nonce" not in g:
        g.style_nonce = secrets.token_urlsafe(16)
    return str(g.style_nonce)


def policy() -> str:
    """The Content-Security-Policy of this answer."""
    nonce = g.get("style_nonce")
    said = "; ".join(_POLICY).format(nonce=f" 'nonce-{nonce}'" if nonce else "")
    return said.replace("frame-ancestors 'none'", "frame-ancestors *") if g.get("framed") else said


def _is_named_by_content() -> bool:
    """Whether this address will always mean the same bytes: it carries their hash, or a font's version."""
    return "v" in request.args or request.path.startswith("/static/fonts/")


def install(app: Flask) -> None:
    @app.after_request
    def add_headers(response: Response) -> Response:
        # `g.framed`: what other sites embed. It has no session, so their frame around it wins nothing.
        always = {**_ALWAYS, **_FRAMED} if g.get("framed") else {**_ALWAYS, "X-Frame-Options": "DENY"}
        for name, value in always.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy())
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={_FOREVER_S}")
        if request.endpoint == "static" and response.status_code == 200:
            response.headers["Cache-Control"] = (
                f"public, max-age={_FOREVER_S}, immutable" if _is_named_by_content() else "no-cache"
            )
        else:
            response.headers.setdefault("Cache-Control", "no-store")
        if request.endpoint != "static":
            response.vary.add("HX-Request")
            response.vary.add("Cookie")
        return response
