"""Signing in and out, and choosing light or dark."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user, login_user, logout_user

from web import accounts_store
from web.access import SignedIn, open_to_all, safe_path, stamp_of
from web.accounts_store import Account
from web.context import services
from web.limits import limiter
from web.passwords import MAX_CHARS, is_right

pages = Blueprint("signin", __name__)

#: Attempts: per address of the caller, and per account from anywhere.
PER_CALLER = "10 per minute; 60 per hour"
PER_ACCOUNT = "30 per hour"
THEMES = ("auto", "light", "dark")
_YEAR_S = 31_536_000


def _account() -> str:
    return f"account:{request.form.get('email', '').strip().lower()[:320]}"


@pages.get("/sign-in")
@open_to_all("one signs in here")
def page() -> ResponseReturnValue:
    """The sign-in form; who is signed in already goes on to where they wanted to go."""
    target = safe_path(request.args.get("next"))
    if current_user.is_authenticated:
        return redirect(target)
    return render_template("sign_in.html", target=target, email="", problem="")


@pages.post("/sign-in")
@open_to_all("one signs in here")
@limiter.limit(PER_CALLER)
@limiter.limit(PER_ACCOUNT, key_func=_account)
def enter() -> ResponseReturnValue:
    """Opens a session. The same words and the same time for a wrong password and an unknown address."""
    target = safe_path(request.form.get("next"))
    email = request.form.get("email", "").strip().lower()[:320]
    with services().db.read() as connection:
        account = accounts_store.account_by_email(connection, email)
    right = is_right(account.password_hash if account else None, request.form.get("password", "")[: MAX_CHARS + 1])
    if account is None or not right:
        problem = gettext("The e-mail address or the password is not right. Check both and try again.")
        return render_template("sign_in.html", target=target, email=email, problem=problem), 422
    open_session(account)
    return redirect(target)


def open_session(account: Account) -> None:
    """From now on this browser is theirs. It is a fresh session: nothing comes along of an earlier visitor's."""
    session.clear()
    session.permanent = True
    login_user(SignedIn(account.viewer, stamp_of(account.password_hash)))


@pages.post("/sign-out")
@open_to_all("ends whatever session there is")
def leave() -> ResponseReturnValue:
    logout_user()
    session.clear()
    response = make_response(redirect(url_for("signin.page")))
    # Back after sign-out shows nothing, even from the browser's own page cache.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@pages.post("/theme")
@open_to_all("sets a colour scheme and nothing else")
def theme() -> ResponseReturnValue:
    """Remembers light, dark or auto in a cookie, so that the page comes in the right colours at once."""
    chosen = request.form.get("theme", "auto")
    response = make_response(redirect(safe_path(request.form.get("next"))))
    if chosen in THEMES:
        response.set_cookie(
            "theme", chosen, max_age=_YEAR_S, samesite="Lax", httponly=True, secure=services().settings.secure_cookies
        )
    return response
