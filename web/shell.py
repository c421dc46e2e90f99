"""The frame around every signed-in page: the menu, with what this person may open and how much waits there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Blueprint, Flask, g, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from werkzeug.routing import BuildError

from tickets.people import Permission
from web import shell_store as store
from web.access import signed_in, viewer_or_none
from web.context import services

pages = Blueprint("shell", __name__)

#: The menu counts up to this many and then says "99+".
COUNT_CAP = 99


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the menu."""

    key: str
    label: str
    icon: str
    endpoint: str
    permission: Permission
    group: str = ""


PLACES: tuple[Place, ...] = (
    Place("inbox", lazy_gettext("Inbox"), "inbox", "inbox.page", Permission.WORK_TICKETS),
    Place("items", lazy_gettext("Work"), "layers", "items.start", Permission.WORK_TICKETS),
    Place("outbox", lazy_gettext("Outbox"), "arrow-right", "outbox.page", Permission.WORK_TICKETS),
    Place("requests", lazy_gettext("Requests"), "send", "requests.index", Permission.WORK_TICKETS),
    Place("rules", lazy_gettext("Rules"), "table-2", "rules.index", Permission.EDIT_RULES, lazy_gettext("Automate")),
    Place(
        "questions",
        lazy_gettext("Questions"),
        "clipboard-list",
        "questions.index",
        Permission.EDIT_RULES,
        lazy_gettext("Automate"),
    ),
    Place(
        "scripts",
        lazy_gettext("Scripts"),
        "file-code-2",
        "scripts.index",
        Permission.EDIT_SCRIPTS,
        lazy_gettext("Automate"),
    ),
    Place(
        "connections",
        lazy_gettext("Connections"),
        "plug",
        "connections.index",
        Permission.EDIT_CONNECTIONS,
        lazy_gettext("Automate"),
    ),
    Place(
        "messages",
        lazy_gettext("Messages"),
        "mail",
        "messages.index",
        Permission.EDIT_RULES,
        lazy_gettext("Automate"),
    ),
    Place("runs", lazy_gettext("Runs"), "activity", "runs.index", Permission.WORK_TICKETS, lazy_gettext("Observe")),
    Place(
        "set_aside",
        lazy_gettext("Set aside"),
        "triangle-alert",
        "set_aside.index",
        Permission.EDIT_RULES,
        lazy_gettext("Observe"),
    ),
    Place("mails", lazy_gettext("Mail in"), "mail", "mailboxes.mails", Permission.SETTINGS, lazy_gettext("Observe")),
    Place(
        "settings", lazy_gettext("Settings"), "settings", "settings.index", Permission.SETTINGS, lazy_gettext("Observe")
    ),
    Place("demo", lazy_gettext("Demo"), "play", "demo.page", Permission.WORK_TICKETS, lazy_gettext("Observe")),
)


@dataclass(frozen=True, slots=True)
class MenuItem:
    key: str
    label: str
    icon: str
    href: str
    group: str
    count: str = ""
    unseen: str = ""  # how many of these have a customer's message that the person has not seen


def menu() -> list[MenuItem]:
    """What the signed-in person may open, in order. Pages that do not exist in this installation are left out."""
    viewer = viewer_or_none()
    if viewer is None:
        return []
    items = []
    for place in PLACES:
        if not viewer.may(place.permission):
            continue
        try:
            href = url_for(place.endpoint)
        except BuildError:
            continue
        line = MenuItem(place.key, str(place.label), place.icon, href, str(place.group))
        if place.key == "inbox":
            line = replace(line, count=_capped(waiting().mine), unseen=_capped(waiting().unseen))
        items.append(line)
    return items


@pages.get("/more")
@signed_in
def more() -> ResponseReturnValue:
    """The rest of the menu, for small screens."""
    return render_template("more.html")


def address(endpoint: str, permission: str, **values: str | int) -> str:
    """Where a page is, for a link to it; "" when this person may not open it or it is not in this installation."""
    viewer = viewer_or_none()
    if viewer is None or not viewer.may(Permission(permission)):
        return ""
    try:
        return url_for(endpoint, **values)  # type: ignore[arg-type]
    except BuildError:
        return ""


def unread() -> str:
    """How many lines of the bell are unread, as the menu shows it."""
    return _capped(waiting().unread)


def waiting() -> store.Waiting:
    """What waits for the signed-in person, read once per request."""
    if "waiting" not in g:
        viewer = viewer_or_none()
        assert viewer is not None
        with services().db.read() as connection:
            g.waiting = store.waiting(connection, viewer, cap=COUNT_CAP + 1)
    found: store.Waiting = g.waiting
    return found


def _capped(count: int) -> str:
    if count == 0:
        return ""
    return str(count) if count <= COUNT_CAP else gettext("%(n)s+", n=COUNT_CAP)


def install(app: Flask) -> None:
    app.jinja_env.globals.update(menu=menu, unread=unread, address=address)
