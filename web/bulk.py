"""Several tickets at once, and rules that run when somebody says so: each item gets an event of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from sqlalchemy import Connection

from jobs.live import Desk
from jobs.queues import Work
from rules.operands import duration_s
from tickets import store as items
from tickets.effects import AddTo, SetField, StateEffect
from tickets.errors import BadValue, ItemNotFound, UnknownField
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.item import FINISHED, Item
from tickets.kinds import statuses_of
from tickets.people import Permission, Viewer
from tickets.snooze import SNOOZED, asleep, snooze, wake
from web.access import me, needs, safe_path
from web.context import now, services
from web.forms import a_number
from web.names_store import names
from web.snooze_pages import SNOOZES

pages = Blueprint("bulk", __name__)

#: Most items that are changed at once: one page of the inbox.
MOST = 50
RUN_NOW = "run_now"


@pages.post("/bulk")
@needs(Permission.WORK_TICKETS)
def change() -> ResponseReturnValue:
    """Does one thing to every chosen item; one that it does not fit, or that one may not see, stays as it is."""
    given = request.form
    chosen = list(dict.fromkeys(given.getlist("item", type=a_number)))
    if not chosen:
        raise BadValue(gettext("Choose at least one ticket. Nothing was changed."))
    if len(chosen) > MOST:
        raise BadValue(gettext("At most %(n)s tickets at once. Nothing was changed.", n=MOST))
    action, _, value = given.get("do", "").partition(":")
    value = value or given.get("tag", "").strip()
    done, left = 0, 0
    for number in chosen:
        # One transaction each: what somebody else holds or may not be changed must not stop the others.
        try:
            if action == "run":
                _run(number, value)
            else:
                _change(number, action, value)
        except (ItemNotFound, BadValue, UnknownField):
            left += 1
        else:
            done += 1
    services().queues.hint(Work.DRAIN)
    if done:
        flash(ngettext("%(num)s ticket was changed.", "%(num)s tickets were changed.", done), "ok")
    if left:
        flash(
            ngettext(
                "%(num)s was left as it was: it is not visible to you, or this does not fit it.",
                "%(num)s were left as they were: they are not visible to you, or this does not fit them.",
                left,
            ),
            "warn",
        )
    return redirect(safe_path(given.get("back"), url_for("inbox.page")), 303)


@pages.post("/tickets/<int:item_id>/run/<code>")
@needs(Permission.WORK_TICKETS)
def run(item_id: int, code: str) -> ResponseReturnValue:
    """Runs one table on one item, as an event of its own."""
    try:
        name = _run(item_id, code)
    except BadValue:
        abort(404)
    services().queues.hint(Work.DRAIN)
    flash(gettext("%(name)s runs now; what it does appears here.", name=name), "ok")
    return redirect(url_for("ticket.page", item_id=item_id), 303)


def runnable(desk: Desk, kind: str) -> list[tuple[str, str]]:
    """The tables that somebody may run by hand on items of this kind: code and name, in the order of the list."""
    return [
        (entry.code, entry.name)
        for entry in desk.ruleset.entries
        if entry.enabled
        and entry.table is not None
        and entry.table.kind in (kind, "any")
        and any(trigger.on == RUN_NOW for trigger in entry.table.triggers)
    ]


def _run(number: int, code: str) -> str:
    """The name of the table. Raises `ItemNotFound`, and `BadValue` for one that does not run by hand on this kind."""
    viewer = me()
    with services().db.write() as connection:
        item = items.read_item(connection, number, viewer=viewer, lock=True)
        known = dict(runnable(services().live.current(connection), item.kind))
        if code not in known:
            raise BadValue(gettext("This rule is not run by hand on such an item. Nothing was done."))
        items.change_item(
            connection,
            item,
            lines=(),
            actor=_actor(viewer),
            now=now(),
            kind=EventKind.RUN_NOW,
            chain=items.Chain(payload={"entry": code}),
        )
    return known[code]


def _change(number: int, action: str, value: str) -> None:
    viewer = me()
    with services().db.write() as connection:
        item = items.read_item(connection, number, viewer=viewer, lock=True)
        items.change_item(
            connection,
            item,
            lines=(items.Lines(tuple(_effects(connection, item, action, value)), Cause("person", label=viewer.name)),),
            actor=_actor(viewer),
            now=now(),
        )


def _effects(connection: Connection, item: Item, action: str, value: str) -> Sequence[StateEffect]:
    known = names(connection)
    match action:
        case "status" if value in statuses_of(item.kind) and value != SNOOZED:
            return (SetField("status", value),)
        case "snooze" if value in SNOOZES and item.state.get("status") not in FINISHED:
            return snooze(item.state, now() + timedelta(seconds=duration_s(value)))
        case "wake" if asleep(item.state):
            return wake(item.state)
        case "priority":
            return (SetField("priority", value),)  # what a priority may be is checked where it is stored
        case "team" if value in known.teams:
            return (SetField("team", value),)
        case "assign" if value in known.working:
            return (SetField("assignees", [value]),)
        case "add_assignee" if value in known.working:
            return (AddTo("assignees", (value,)),)
        case "tag" if value:
            return (AddTo("tags", (value,)),)
        case "archive":
            return (SetField("archived", True),)
    raise BadValue(gettext("This does not fit. Nothing was changed."))


def _actor(viewer: Viewer) -> Actor:
    return Actor(ActorKind.AGENT, viewer.key, viewer.name)
