"""Errors for people: what failed, what was not done, what they can do, and a reference for whoever looks after it.

A program that asks for JSON gets the same as JSON; a partial update gets the sentence alone. Never a traceback.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from flask import Flask, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from tickets.errors import (
    AttachmentRefused,
    BadValue,
    ItemNotFound,
    PersonNotFound,
    StaleItem,
    TicketsError,
    UnknownField,
)
from tickets.requests import NoSuchRequest
from web.access import ask_to_sign_in, safe_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What an error page says: the headline, what was not done, what one can do."""

    title: str
    not_done: str
    way_out: str


_NOTHING = lazy_gettext("Nothing was changed or sent.")
_WORDS = {
    400: Words(
        lazy_gettext("This request could not be read"),
        _NOTHING,
        lazy_gettext("Go back, reload the page and try once more."),
    ),
    401: Words(lazy_gettext("You are not signed in"), _NOTHING, lazy_gettext("Sign in, then try again.")),
    403: Words(
        lazy_gettext("You may not open this page"),
        _NOTHING,
        lazy_gettext("Ask an administrator for the role that goes with it."),
    ),
    404: Words(
        lazy_gettext("There is nothing here"),
        _NOTHING,
        lazy_gettext("It may have been removed, or it is not visible to you. Look for it in the inbox."),
    ),
    405: Words(
        lazy_gettext("This page cannot be used like that"), _NOTHING, lazy_gettext("Open it from the menu instead.")
    ),
    409: Words(
        lazy_gettext("Somebody was faster"),
        lazy_gettext("Your change was not saved; theirs was."),
        lazy_gettext("Go back, reload the page to see the new state, then make your change again."),
    ),
    413: Words(lazy_gettext("That was too large"), _NOTHING, lazy_gettext("Send smaller or fewer files.")),
    422: Words(
        lazy_gettext("Something in the form is not right"),
        _NOTHING,
        lazy_gettext("Go back and correct it; what you typed is still there."),
    ),
    429: Words(lazy_gettext("Too many attempts"), _NOTHING, lazy_gettext("Wait a minute, then try again.")),
    500: Words(
        lazy_gettext("Something broke on our side"),
        lazy_gettext("What you asked for was not saved."),
        lazy_gettext("Try again. If it happens again, give the reference below to whoever looks after Deskhand."),
    ),
    503: Words(
        lazy_gettext("A part of Deskhand is not running"),
        lazy_gettext("What you asked for was not saved."),
        lazy_gettext("Try again in a minute."),
    ),
}
_CSRF = Words(
    lazy_gettext("This form was open for too long, or came from somewhere else"),
    _NOTHING,
    lazy_gettext("Go back, reload the page and send it again."),
)
_STATUS: dict[type[TicketsError], int] = {
    ItemNotFound: 404,
    PersonNotFound: 404,
    StaleItem: 409,
    BadValue: 422,
    UnknownField: 422,
    NoSuchRequest: 404,
    AttachmentRefused: 413,
}


def wants_json() -> bool:
    """Whether whoever asks is a program."""
    if request.path.startswith(("/api/", "/inbound/", "/healthz", "/readyz")):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return best == "application/json"


def answer(status: int, words: Words, detail: str = "") -> ResponseReturnValue:
    """The page, JSON or sentence for this error."""
    reference = secrets.token_hex(4)
    log.info("web.refused", extra={"status": status, "reference": reference, "endpoint": request.endpoint})
    return _answer(status, words, detail, reference)


def _answer(status: int, words: Words, detail: str, reference: str) -> ResponseReturnValue:
    if wants_json():
        return jsonify({"error": str(words.title), "detail": detail, "reference": reference}), status
    if request.headers.get("HX-Request"):
        sentence = f"{words.title}. {detail or words.not_done} {words.way_out} ({reference})"
        return sentence, status, {"Content-Type": "text/plain; charset=utf-8"}
    page = render_template(
        "error.html", status=status, words=words, detail=detail, reference=reference, back=_back_address()
    )
    return page, status


def _back_address() -> str:
    # Only our own pages: the address comes from a header anybody may write.
    referrer = request.referrer or ""
    return (
        safe_path(referrer.removeprefix(request.host_url.rstrip("/"))) if referrer.startswith(request.host_url) else "/"
    )


def install(app: Flask) -> None:
    @app.errorhandler(CSRFError)
    def forged(error: CSRFError) -> ResponseReturnValue:
        return answer(400, _CSRF)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None or error.code is None or error.code < 400:
            return error
        if error.code == 401 and not wants_json():
            return ask_to_sign_in()
        words = _WORDS.get(error.code, _WORDS[500 if error.code >= 500 else 400])
        # Werkzeug's own sentences are for programmers; ours come with abort(code, description=Sentence(...)).
        detail = str(error.description) if isinstance(error.description, Sentence) else ""
        return answer(error.code, words, detail)

    @app.errorhandler(TicketsError)
    def not_possible(error: TicketsError) -> ResponseReturnValue:
        # A kind of refusal that is not listed is answered like the nearest one it is a kind of.
        status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), None)
        if status is None:
            return broken(error)
        return answer(status, _WORDS[status], "" if status == 404 else str(error))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> ResponseReturnValue:
        reference = secrets.token_hex(4)
        log.error("web.broken", exc_info=error, extra={"reference": reference, "endpoint": request.endpoint})
        if app.config.get("PROPAGATE_EXCEPTIONS"):
            raise error
        return _answer(500, _WORDS[500], "", reference)


class Sentence(str):
    """A description written for people: `abort(422, Sentence(gettext("...")))` is shown on the error page."""


def refuse(status: int, sentence: str) -> HTTPException:
    """An error to raise whose page shows this sentence."""
    from werkzeug.exceptions import default_exceptions

    return default_exceptions[status](description=Sentence(sentence))


def sentence_of(error: Exception) -> str:
    """What to show beside a form for an error people can mend."""
    return str(error) or gettext("This could not be done.")
