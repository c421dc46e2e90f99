"""Who is in the portal: a customer who came by a link, a code in a mail, or the code of an anonymous report.

It is kept apart from the sign-in of people who work here: neither opens the other's pages.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar
from zoneinfo import available_timezones

from flask import g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from tickets import people
from tickets.errors import PersonNotFound
from tickets.item import LANGUAGES
from tickets.people import Customer
from tickets.values import from_iso, iso
from web.access import MARK
from web.context import now, services

P = ParamSpec("P")
R = TypeVar("R")

#: Where the session keeps it, and hours until somebody has to come by a link or code again.
KEY = "portal"
HOURS = 12


def enter(customer: Customer, zone: str) -> None:
    """Let this person in, for HOURS, in their language and zone."""
    session[KEY] = {
        "person": customer.id,
        "until": iso(now() + timedelta(hours=HOURS)),
        "language": customer.language if customer.language in LANGUAGES else "",
        "zone": zone if zone in available_timezones() else "",
    }
    session.permanent = True


def leave() -> None:
    session.pop(KEY, None)


def customer() -> Customer | None:
    """Who is in, None when nobody is, or the time is up, or they were erased."""
    if "portal_customer" not in g:
        g.portal_customer = _customer()
    found: Customer | None = g.portal_customer
    return found


def _customer() -> Customer | None:
    kept = session.get(KEY)
    if not isinstance(kept, dict) or from_iso(str(kept.get("until"))) <= now():
        return None
    try:
        with services().db.read() as connection:
            found = people.customer(connection, int(kept["person"]))
            known = found.emails or people.has_code(connection, found.id)
    except PersonNotFound:
        return None
    return found if known else None


def here() -> Customer:
    """Who is in, in a view that only lets customers in."""
    found = customer()
    assert found is not None
    return found


def customers_only(view: Callable[P, R]) -> Callable[P, R | ResponseReturnValue]:
    """Lets in who is in the portal; others go to its sign-in and back again."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
        if customer() is None:
            wanted = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("portal_signin.page", next=wanted))
        return view(*args, **kwargs)

    setattr(guarded, MARK, "open: a customer's own session is checked")
    return guarded


def language() -> str:
    """The language somebody in the portal chose, "" for none."""
    kept = session.get(KEY)
    return str(kept.get("language") or "") if isinstance(kept, dict) else ""


def zone() -> str:
    """Their time zone, "" for none."""
    kept = session.get(KEY)
    return str(kept.get("zone") or "") if isinstance(kept, dict) else ""
