"""What will happen to a ticket by itself, as its page says it, and calling one of these things off."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs import forecast
from jobs.queues import Work
from tickets.events import Actor, ActorKind
from tickets.people import Permission
from web.access import me, needs
from web.context import now, services

pages = Blueprint("coming", __name__)


def words(kind: str, what: str, entries: Mapping[str, str]) -> str:
    """One thing that comes, or came not, in words: a sentence without its time."""
    name = entries.get(what, what)
    return {
        "wait": gettext("%(what)s goes on without the answers it waits for", what=name),
        "wait_for_run": gettext("%(what)s goes on without the script it waits for", what=name),
        "lookup": gettext("look up %(what)s", what=what),
        "lookup_again": gettext("look up again %(what)s", what=what),
        "run": gettext("run %(what)s", what=name),
        "running": gettext("%(what)s is running", what=name),
        "run_again": gettext("run %(what)s again", what=name),
        "send": _sends(what),
        "sending": gettext("being sent now"),
        "send_again": gettext("try again: %(what)s", what=_sends(what)),
        "wake": gettext("back from its snooze"),
        "breach": _over(what),
    }.get(kind, what)


def why_not(kind: str) -> str:
    """Why a thing of this kind cannot be called off, where that needs a word; "" for what is under way."""
    return {
        "wake": gettext("Nothing else brings it back for sure. Wake it, or let it sleep until somebody's answer, too."),
        "breach": gettext("A promise is kept or paused, not called off. What rules do then is listed by itself."),
    }.get(kind, "")


def _over(target: str) -> str:
    """The service level that is over at that time, if it is not met before."""
    return {
        "first_reply": gettext("the time for the first reply is over"),
        "next_reply": gettext("the time for the next reply is over"),
        "resolution": gettext("the time for the resolution is over"),
    }.get(target, target)


def _sends(kind: str) -> str:
    """What one kind of row in the outbox does when its time comes; of a change also where, e.g. change:crm.add_note."""
    if kind.startswith("change:"):
        return gettext("change in a system: %(what)s", what=kind.removeprefix("change:"))
    return {
        "email": gettext("send an e-mail to the customer"),
        "template": gettext("e-mail a template"),
        "notice": gettext("e-mail a colleague"),
        "reply": gettext("publish the suggested reply"),
        "webhook": gettext("send a webhook"),
    }.get(kind, gettext("send: %(what)s", what=kind))


@pages.post("/tickets/<int:item_id>/coming/call-off")
@needs(Permission.WORK_TICKETS)
def call_off(item_id: int) -> ResponseReturnValue:
    """Makes one thing that was to come not happen. Who did it, and why, stands in the timeline."""
    viewer = me()
    given = request.form
    try:
        with services().db.write() as connection:
            forecast.call_off(
                connection,
                item_id,
                given.get("source", ""),
                given.get("ref", ""),
                viewer=viewer,
                actor=Actor(ActorKind.AGENT, viewer.key, viewer.name),
                why=given.get("why", ""),
                now=now(),
            )
    except forecast.NotComing:
        flash(
            gettext("It has happened, is happening now, or was called off already. Nothing was changed."),
            "warn",
        )
    else:
        services().queues.hint(Work.DRAIN)
        flash(gettext("Called off. It stands in the timeline."), "ok")
    return redirect(url_for("ticket.page", item_id=item_id))
