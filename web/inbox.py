"""The inbox: queues of tickets, narrowed by a filter that lives in the address."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, gettext, lazy_gettext
from sqlalchemy import Connection

from tickets.item import MAX_TAG_CHARS, PRIORITIES, STATUSES, ItemKind
from tickets.people import Permission
from web import inbox_store as store
from web.access import me, needs
from web.bulk import runnable
from web.context import now, services
from web.labels import PRIORITY_TONES, STATUS_TONES, Labels
from web.levels_view import levels_of, pressing
from web.look import DAY, HOUR, MINUTE
from web.names_store import names
from web.paging import asked_page
from web.shell import waiting
from web.snooze_pages import SNOOZES

pages = Blueprint("inbox", __name__)

QUEUES = {
    "mine": lazy_gettext("Mine"),
    "teams": lazy_gettext("My teams"),
    "unassigned": lazy_gettext("Unassigned"),
    "all": lazy_gettext("All open"),
    "waiting": lazy_gettext("Waiting"),
    "snoozed": lazy_gettext("Snoozed"),
    "closed": lazy_gettext("Closed"),
    "any": lazy_gettext("Everything"),
}
#: Longest search text, in characters.
TEXT_CHARS = 200


@pages.get("/")
@needs(Permission.WORK_TICKETS)
def page() -> ResponseReturnValue:
    """One queue, newest change first, a page at a time."""
    wanted = _wanted()
    with services().db.read() as connection:
        if "queue" not in request.args and not wanted.narrowed:
            wanted = replace(wanted, queue=_first_queue(connection))
        labels = Labels(names(connection))
        desk = services().live.current(connection)
        found = store.inbox(connection, me(), wanted, labels.names.entries)
        tags = store.tags_in_use(connection, me())
        levels = levels_of(connection, [line.id for line in found.rows], now())
    wanted = replace(wanted, page=found.page)
    return render_template(
        "inbox.html",
        wanted=wanted,
        found=found,
        labels=labels,
        tags=tags,
        levels={item_id: pressing(some) for item_id, some in levels.items()},
        queues=[(label, _address(queue=key), key == wanted.queue, 0) for key, label in QUEUES.items()],
        statuses=STATUSES,
        snoozes=SNOOZES,
        priorities=PRIORITIES,
        status_tones=STATUS_TONES,
        priority_tones=PRIORITY_TONES,
        href=lambda number: _address(**{**asdict(wanted), "page": number}),
        changed=_changed,
        full=lambda at: format_datetime(at, "full"),
        nothing=_nothing(wanted),
        runnable=runnable(desk, ItemKind.TICKET),
    )


def _first_queue(connection: Connection) -> str:
    """Where somebody begins who did not choose: at their own tickets, else at the nearest that hold work."""
    if waiting().mine:
        return "mine"
    return "teams" if me().teams and store.any_in(connection, me(), "teams") else "all"


def _changed(at: datetime) -> str:
    """How long ago, under a day, else the date: short enough for a narrow column."""
    seconds = max(0.0, (now() - at).total_seconds())
    if seconds < HOUR:
        return gettext("%(n)s min", n=max(1, int(seconds // MINUTE)))
    if seconds < DAY:
        return gettext("%(n)s h", n=int(seconds // HOUR))
    return format_datetime(at, "d MMM" if at.year == now().year else "MMM y")


def _wanted() -> store.Filter:
    """The filter of the address; what is not one of its choices is left out rather than refused."""
    given = request.args
    queue = given.get("queue", "mine")
    status = given.get("status", "")
    priority = given.get("priority", "")
    return store.Filter(
        queue=queue if queue in QUEUES else "mine",
        status=status if status in STATUSES else "",
        team=given.get("team", "")[:60],
        priority=priority if priority in PRIORITIES else "",
        tag=given.get("tag", "").strip()[:MAX_TAG_CHARS],
        text=given.get("text", "").strip()[:TEXT_CHARS],
        page=asked_page(),
    )


def _address(**values: Any) -> str:
    """The inbox's address with these choices, defaults left out."""
    default = asdict(store.Filter())
    # The queue is always said: without one, the first page chooses.
    chosen = {key: value for key, value in values.items() if value and (key == "queue" or value != default[key])}
    return url_for("inbox.page", **chosen)


def _nothing(wanted: store.Filter) -> tuple[str, str, str, str]:
    """What an empty list says: what is not there, what will be, and one thing to do: its words and address."""
    every = gettext("All open tickets"), _address(queue="all")
    if wanted.narrowed:
        if wanted.queue == "any":
            said = gettext("Words are looked for from their beginning, in subjects, messages and customers.")
            return gettext("No ticket matches"), said, *every
        further = gettext("All tickets"), _address(**{**asdict(wanted), "queue": "any", "page": 1})
        return (
            gettext("No ticket matches"),
            gettext("Take a filter away, or look in all tickets, closed ones too."),
            *further,
        )
    match wanted.queue:
        case "mine":
            free = gettext("Unassigned tickets"), _address(queue="unassigned")
            return gettext("Nothing is assigned to you"), gettext("Take one that nobody has yet."), *free
        case "teams":
            return (
                gettext("Nothing waits in your teams"),
                gettext("New tickets of your teams will appear here."),
                *every,
            )
        case "unassigned":
            return (
                gettext("Somebody has every ticket"),
                gettext("New tickets appear here until one is assigned."),
                *every,
            )
        case "waiting":
            said = gettext("Tickets that wait for a customer or another team stand here.")
            return gettext("Nothing is waiting"), said, *every
        case "closed":
            return gettext("Nothing is closed yet"), gettext("Solved and closed tickets will appear here."), *every
    make = gettext("New ticket"), url_for("ticket_new.form")
    return gettext("Nothing is open"), gettext("New tickets will appear here."), *make
