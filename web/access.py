"""Who may open a page: signed-in people with a permission, or everybody.

Every view says which of them; the app refuses to start with one that does not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user

from tickets.people import Permission, Viewer
from web import accounts_store
from web.context import services

P = ParamSpec("P")
R = TypeVar("R")

#: Where a view keeps what it said about itself; `check_views` reads it.
MARK = "_deskhand_access"
#: Views of the frameworks, which cannot carry a mark.
UNMARKED = frozenset({"static", "openapi.spec"})


class NotSaid(RuntimeError):
    """A view does not say who may open it. Decorate it with `needs(...)`, `signed_in` or `open_to_all(reason)`."""


class SignedIn(UserMixin):
    """The person behind the session. `stamp` ties the session to the password it was opened with."""

    def __init__(self, viewer: Viewer, stamp: str) -> None:
        self.viewer = viewer
        self.stamp = stamp

    def get_id(self) -> str:
        return f"{self.viewer.key}|{self.stamp}"


def stamp_of(password_hash: str) -> str:
    """A short fingerprint of a stored password hash: changing the password ends every open session."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, b"session:" + password_hash.encode(), hashlib.sha256).hexdigest()[:24]


def me() -> Viewer:
    """The signed-in person. Asked where nobody is signed in, it ends the request at the sign-in page."""
    if not current_user.is_authenticated:
        abort(401)
    return cast(SignedIn, current_user).viewer


def viewer_or_none() -> Viewer | None:
    """The signed-in person, or None."""
    return cast(SignedIn, current_user).viewer if current_user.is_authenticated else None


def needs(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R | ResponseReturnValue]]:
    """Lets in who is signed in and has this permission; others get the sign-in page or a 403 page."""

    def decorate(view: Callable[P, R]) -> Callable[P, R | ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
            if not current_user.is_authenticated:
                return ask_to_sign_in()
            if not me().may(permission):
                abort(403)
            return view(*args, **kwargs)

        setattr(guarded, MARK, permission)
        return guarded

    return decorate


def signed_in(view: Callable[P, R]) -> Callable[P, R | ResponseReturnValue]:
    """Lets in whoever is signed in, with any role."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
        if not current_user.is_authenticated:
            return ask_to_sign_in()
        return view(*args, **kwargs)

    setattr(guarded, MARK, "signed in")
    return guarded


def open_to_all(reason: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets everybody in; `reason` says why that is right, or what else guards the view (a token, a secret)."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        setattr(view, MARK, f"open: {reason}")
        return view

    return decorate


def check_views(app: Flask) -> None:
    """Raises `NotSaid` when a view has none of the three marks."""
    for endpoint, view in app.view_functions.items():
        if endpoint not in UNMARKED and not hasattr(view, MARK):
            raise NotSaid(f"The view {endpoint!r} does not say who may open it")


def ask_to_sign_in() -> ResponseReturnValue:
    """To the sign-in page and back again. A partial update is told to load that page instead of showing it inside."""
    if request.headers.get("HX-Request"):
        return (
            "",
            401,
            {
                "HX-Redirect": url_for(
                    "signin.page", next=safe_path(_path_of(request.headers.get("HX-Current-URL", "")))
                )
            },
        )
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("signin.page", next=wanted if wanted != "/" else None))


def safe_path(target: str | None, default: str = "/") -> str:
    """`target` if it is a plain path on this site, else `default`. Nothing else may be a redirect's goal."""
    if not target or len(target) > 2_000:
        return default
    # Browsers read backslashes as slashes and drop control characters, so "/\\evil" and "/\t/evil" leave the site.
    if not target.startswith("/") or "\\" in target or any(ord(char) < 33 or ord(char) == 127 for char in target):
        return default
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or target.startswith("//"):
        return default
    return target


def install(app: Flask) -> None:
    """Teaches the app to find the person behind a session."""
    manager = LoginManager()
    manager.session_protection = "basic"
    manager.user_loader(_load)
    manager.init_app(app)


def _load(session_id: str) -> SignedIn | None:
    key, _, stamp = session_id.partition("|")
    with services().db.read() as connection:
        found = accounts_store.account(connection, key)
    if found is None or not hmac.compare_digest(stamp_of(found.password_hash), stamp):
        return None
    return SignedIn(found.viewer, stamp)


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def may(permission: str) -> bool:
    """For templates: whether the signed-in person has this permission."""
    viewer: Any = viewer_or_none()
    return viewer is not None and viewer.may(Permission(permission))
