"""Into the portal without a password: a link or a code by e-mail, or the code of an anonymous report."""

from __future__ import annotations

from contextlib import suppress
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext

from jobs.portal_mail import queue_sign_in
from jobs.queues import Work
from tickets import people, tokens
from tickets.item import LANGUAGES
from web import portal_session, portal_store
from web.access import open_to_all, safe_path
from web.context import now, services
from web.forms import looks_like_email
from web.limits import limiter
from web.portal_session import customers_only

pages = Blueprint("portal_signin", __name__, url_prefix="/portal")

#: Attempts: per address of the caller, and per e-mail address from anywhere.
PER_CALLER = "10 per minute; 60 per hour"
PER_ADDRESS = "20 per hour"
#: Where the session keeps the address that a code was sent to, and where to go afterwards.
ASKED, NEXT = "portal_asked", "portal_next"


def _address() -> str:
    return f"portal:{_email()}"


def _email() -> str:
    return (request.form.get("email") or str(session.get(ASKED) or "")).strip().lower()[:320]


@pages.get("/sign-in")
@open_to_all("customers ask for a link here")
def page() -> ResponseReturnValue:
    """Asks for an e-mail address."""
    session[NEXT] = safe_path(request.args.get("next"), url_for("portal_items.index"))
    return render_template("portal_sign_in.html", email="", problem="")


@pages.post("/sign-in")
@open_to_all("customers ask for a link here")
@limiter.limit(PER_CALLER)
@limiter.limit(PER_ADDRESS, key_func=_address)
def ask() -> ResponseReturnValue:
    """Sends a link and a code to a known address; says the same for one that nobody has."""
    email = _email()
    if not looks_like_email(email):
        problem = gettext("This is not an e-mail address.")
        return render_template("portal_sign_in.html", email=email, problem=problem), 422
    with services().db.write() as connection:
        person = people.person_by_email(connection, email)
        if person is not None:
            # Past the limit those sent within this hour still work, and nobody learns whether the address is known.
            with suppress(tokens.TooManySignIns):
                queue_sign_in(services(), connection, people.customer(connection, person), email, now())
    services().queues.hint(Work.OUTBOX)
    session[ASKED] = email
    return redirect(url_for("portal_signin.code"), 303)


@pages.get("/code")
@open_to_all("the code from the mail is typed here")
def code() -> ResponseReturnValue:
    """Asks for the code of the mail, for who reads it on another device."""
    return render_template("portal_code.html", email=_email(), problem="", minutes=tokens.SIGN_IN_MIN)


@pages.post("/code")
@open_to_all("the code from the mail is typed here")
@limiter.limit(PER_CALLER)
@limiter.limit(PER_ADDRESS, key_func=_address)
def check_code() -> ResponseReturnValue:
    """Lets in who has the code. A wrong one, one for nobody and one that ran out get the same words."""
    email = _email()
    given = "".join(request.form.get("code", "").split())[:20]
    with services().db.write() as connection:
        person = people.person_by_email(connection, email)
        found = (
            tokens.find_by_code(connection, services().settings.keys.session, person, given, now())
            if person is not None
            else None
        )
        used = found is not None and tokens.use(connection, found.id, now())
    if found is None or not used:
        problem = gettext("This code is not right, or does not work any more. Ask for a new mail.")
        return render_template("portal_code.html", email=email, problem=problem, minutes=tokens.SIGN_IN_MIN), 422
    return _let_in(found.person)


@pages.get("/enter/<token>")
@open_to_all("the token in the address is checked")
@limiter.limit(PER_CALLER)
def arrive(token: str) -> ResponseReturnValue:
    """A button, and nothing more: programs that open every link of a mail must not use it up."""
    with services().db.read() as connection:
        good = tokens.find(connection, tokens.SIGN_IN, token, now()) is not None
    return render_template("portal_enter.html", token=token, good=good), 200 if good else 410


@pages.post("/enter/<token>")
@open_to_all("the token in the address is checked")
@limiter.limit(PER_CALLER)
def enter(token: str) -> ResponseReturnValue:
    """Uses the link up and lets its owner in."""
    with services().db.write() as connection:
        found = tokens.find(connection, tokens.SIGN_IN, token, now())
        used = found is not None and tokens.use(connection, found.id, now())
    if found is None or not used:
        return render_template("portal_enter.html", token=token, good=False), 410
    return _let_in(found.person)


@pages.get("/report")
@open_to_all("the code of a report is typed here")
def report() -> ResponseReturnValue:
    """Asks for the code that an anonymous reporter was shown."""
    return render_template("portal_report.html", problem="")


@pages.post("/report")
@open_to_all("the code of a report is typed here")
@limiter.limit(PER_CALLER)
def check_report() -> ResponseReturnValue:
    """Lets in who has the code of a report: 80 random bits, so that guessing leads nowhere."""
    with services().db.read() as connection:
        person = people.person_by_code(connection, request.form.get("code", "")[:60])
    if person is None:
        return render_template("portal_report.html", problem=gettext("There is no report with this code.")), 422
    return _let_in(person)


def _let_in(person: int) -> ResponseReturnValue:
    """A session of the portal; a mail that was read proves the address it went to."""
    target = safe_path(str(session.get(NEXT) or ""), url_for("portal_items.index"))
    with services().db.write() as connection:
        found = people.customer(connection, person)
        if len(found.emails) == 1:  # with several, the session does not say which one was read
            people.verify(connection, person, found.email)
        zone = people.zone_of(connection, person) or portal_store.usual_zone(connection, person)
    # A fresh session: what an earlier visitor of this browser left behind does not come along.
    session.clear()
    portal_session.enter(found, zone)
    return redirect(target, 303)


@pages.post("/sign-out")
@customers_only
def sign_out() -> ResponseReturnValue:
    portal_session.leave()
    return redirect(url_for("portal_signin.page"), 303)


@pages.post("/settings")
@customers_only
def settings() -> ResponseReturnValue:
    """The language and time zone somebody wants to be written to and shown in."""
    person = portal_session.here()
    language = request.form.get("language", "")
    zone = request.form.get("zone", "").strip()
    if language not in LANGUAGES or (zone and zone not in available_timezones()):
        flash(gettext("Choose one of the list. Nothing was changed."), "bad")
        return redirect(url_for("portal_items.index"), 303)
    with services().db.write() as connection:
        people.set_ways(connection, person.id, language=language, zone=zone)
        found = people.customer(connection, person.id)
        zone = zone or portal_store.usual_zone(connection, person.id)
    portal_session.enter(found, zone)
    with force_locale(language):  # the page that says so is in the new one
        flash(gettext("Saved."), "ok")
    return redirect(url_for("portal_items.index"), 303)
