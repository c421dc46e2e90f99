"""Putting one ticket to sleep by hand, and waking it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from jobs.queues import Work
from rules.errors import ConditionFailed
from rules.operands import duration_s
from tickets import store
from tickets.errors import BadValue
from tickets.events import Actor, ActorKind, Cause
from tickets.item import FINISHED
from tickets.people import Permission
from tickets.snooze import AWAITED, FOR, asleep, awaited, snooze, wake
from web.access import me, needs
from web.context import now, services
from web.names_store import names as all_names

pages = Blueprint("snooze", __name__)

#: For how long a ticket is usually put away, as `duration_s` reads it, and in words.
SNOOZES = {
    "4 h": lazy_gettext("4 hours"),
    "1 d": lazy_gettext("a day"),
    "3 d": lazy_gettext("3 days"),
    "7 d": lazy_gettext("a week"),
}


@pages.post("/tickets/<int:item_id>/snooze")
@needs(Permission.WORK_TICKETS)
def put_away(item_id: int) -> ResponseReturnValue:
    """Snoozes a ticket for a while, until a time, or until somebody's answer."""
    until, awaits = _until(), request.form.get("answer", "")
    if awaits and not _known(awaits):
        raise BadValue(
            gettext("A ticket sleeps until the answer of the customer, a team or a colleague. Nothing was changed.")
        )
    if until is None and not awaits:
        raise BadValue(
            gettext("Say how long, until when, or until whose answer the ticket sleeps. Nothing was changed.")
        )
    _change(item_id, wakes=False, until=until, awaits=awaits)
    return redirect(url_for("inbox.page"), 303) if request.form.get("next") == "inbox" else _back(item_id)


@pages.post("/tickets/<int:item_id>/wake")
@needs(Permission.WORK_TICKETS)
def wake_up(item_id: int) -> ResponseReturnValue:
    """Brings a snoozed ticket back now, with the status it had."""
    _change(item_id, wakes=True)
    return _back(item_id)


def _known(awaits: str) -> bool:
    with services().db.read() as connection:
        names = all_names(connection)
    team, person = awaited({FOR: awaits})
    return awaits in AWAITED or team in names.teams or person in names.colleagues


def _until() -> datetime | None:
    span, moment = request.form.get("for", "").strip(), request.form.get("until", "").strip()
    if span and not moment:
        try:
            return now() + timedelta(seconds=duration_s(span))
        except ConditionFailed as error:
            unchanged = gettext("Nothing was changed.")
            raise BadValue(f"{error}. {unchanged}") from None
    if not moment:
        return None
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise BadValue(gettext("A time is written like 2026-11-21T09:30. Nothing was changed.")) from None
    at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(me().zone))
    if at <= now():
        raise BadValue(gettext("A ticket sleeps until a time to come. Nothing was changed."))
    return at


def _change(item_id: int, *, wakes: bool, until: datetime | None = None, awaits: str = "") -> None:
    viewer = me()
    with services().db.write() as connection:
        item = store.read_item(connection, item_id, viewer=viewer, lock=True)
        if wakes and not asleep(item.state):
            return
        if not wakes and item.state.get("status") in FINISHED:
            raise BadValue(gettext("A finished ticket needs no snooze. Nothing was changed."))
        effects = wake(item.state) if wakes else snooze(item.state, until, awaits)
        store.change_item(
            connection,
            item,
            lines=[store.Lines(effects, Cause("person", label=viewer.name))],
            actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
            now=now(),
        )
    services().queues.hint(Work.DRAIN)


def _back(item_id: int) -> ResponseReturnValue:
    return redirect(url_for("ticket.page", item_id=item_id), 303)
