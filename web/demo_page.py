"""The demo page: a customer's mail, the three systems of the back office, and six attempts to break out of the jail.

Only where the installation says that it is a demo; elsewhere its addresses do not exist.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from flask import Blueprint, Flask, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from jobs.demo import control, places
from jobs.demo.backoffice import Mood
from jobs.demo.breakouts import BREAK_OUTS, try_out
from jobs.demo.errors import BackOfficeAway, DemoError
from jobs.demo.mail import send_double_charge
from jobs.demo.places import Places, SystemName
from jobs.intake import IntakeError
from jobs.services import Services
from tickets.people import Permission
from web.access import needs
from web.context import EXTENSION, services
from web.limits import limiter

pages = Blueprint("demo", __name__, url_prefix="/demo")

#: Presses of one button: a break-out keeps a processor busy for up to three seconds.
PRESSES = "30 per minute"
LABELS = {SystemName.CRM: "CRM", SystemName.ERP: "ERP", SystemName.BILLING: lazy_gettext("Billing")}
KNOWS = {
    SystemName.CRM: lazy_gettext("Who a customer is: tier, since when, where"),
    SystemName.ERP: lazy_gettext("Orders, invoices, what is owed, credit hold"),
    SystemName.BILLING: lazy_gettext("Payments and subscriptions, in Stripe's words"),
}
MOODS = {
    Mood.UP: (lazy_gettext("Up"), "ok"),
    Mood.SLOW: (lazy_gettext("Slow"), "warn"),
    Mood.HTML_ERROR: (lazy_gettext("Error page"), "bad"),
    Mood.STOPPED: (lazy_gettext("Stopped"), "bad"),
}
BUTTONS = {
    Mood.UP: lazy_gettext("Start"),
    Mood.SLOW: lazy_gettext("Make slow"),
    Mood.HTML_ERROR: lazy_gettext("Give errors"),
    Mood.STOPPED: lazy_gettext("Stop"),
}


@dataclass(frozen=True, slots=True)
class SystemLine:
    """One system as the page shows it. `mood` is None while the back office does not say."""

    name: str
    label: str
    knows: str
    address: str
    mood: Mood | None
    state: str
    tone: str
    buttons: tuple[tuple[str, str], ...]


@pages.get("")
@needs(Permission.WORK_TICKETS)
def page() -> ResponseReturnValue:
    """Everything one can press."""
    return _show()


@pages.post("/double-charge")
@needs(Permission.WORK_TICKETS)
@limiter.limit(PRESSES)
def double_charge() -> ResponseReturnValue:
    """A new customer who paid twice writes to us; shows the ticket that became of the mail."""
    try:
        done = send_double_charge(services(), random.SystemRandom())
    except (DemoError, IntakeError) as error:
        flash(str(error), "bad")
        return redirect(url_for("demo.page"))
    if done.item_id is None:
        flash(gettext("The mail was kept but made no ticket: %(why)s", why=done.reason or done.outcome), "warn")
        return redirect(url_for("demo.page"))
    flash(gettext("The mail is in. Rules and script act within seconds, and this page shows what they do."), "ok")
    return redirect(url_for("ticket.page", item_id=done.item_id))


@pages.post("/systems/<name>/<mood>")
@needs(Permission.WORK_TICKETS)
@limiter.limit(PRESSES)
def set_mood(name: str, mood: str) -> ResponseReturnValue:
    """Stops, starts, slows a system, or has it answer with an error page."""
    if name not in list(SystemName) or mood not in list(Mood):
        abort(404)
    try:
        control.set_mood(places.read(services().settings.data), SystemName(name), Mood(mood))
    except DemoError as error:
        flash(str(error), "bad")
    return redirect(url_for("demo.page", _anchor="systems"))


@pages.post("/break-out/<key>")
@needs(Permission.WORK_TICKETS)
@limiter.limit(PRESSES)
def break_out(key: str) -> ResponseReturnValue:
    """Runs one attempt in the real jail and shows how it ended."""
    attempt = next((one for one in BREAK_OUTS if one.key == key), None)
    if attempt is None:
        abort(404)
    return _show(tried=key, outcome=try_out(services(), attempt))


def _show(**more: object) -> str:
    problem = ""
    lines: list[SystemLine] = []
    try:
        found = places.read(services().settings.data)
        moods: dict[SystemName, Mood] = {}
        try:
            moods = control.moods(found)
        except BackOfficeAway as error:
            problem = str(error)
        lines = [_line(found, name, moods.get(name)) for name in SystemName]
    except DemoError as error:
        problem = str(error)
    return render_template(
        "demo/page.html", problem=problem, systems=lines, attempts=BREAK_OUTS, **{"tried": "", "outcome": None, **more}
    )


def _line(found: Places, name: SystemName, mood: Mood | None) -> SystemLine:
    state, tone = (gettext("Unknown"), "") if mood is None else (str(MOODS[mood][0]), MOODS[mood][1])
    buttons = tuple((other.value, str(label)) for other, label in BUTTONS.items() if mood is not None and other != mood)
    address = f"127.0.0.1:{found.ports[name]}"
    return SystemLine(name.value, str(LABELS[name]), str(KNOWS[name]), address, mood, state, tone, buttons)


def install(app: Flask) -> None:
    """Give the application this page, if the installation is a demo."""
    made: Services = app.extensions[EXTENSION]
    if made.settings.demo:
        app.register_blueprint(pages)
