"""Taking back what a version of a table or script did: what it would come to, the order to do it, and how far it is.

Nobody takes back unseen: first the page shows, by the function that does it, what goes back, what stays since somebody
changed it, and what cannot be taken back at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs import undo
from jobs.undo import Plan, Scope
from rules import store as rule_list
from rules.store import EntryKind, EntryNotFound, Stored
from tickets.effects import value_after
from tickets.people import Permission
from tickets.store import AnyRow
from tickets.undoing import Kept
from tickets.values import JSON, from_iso, iso
from web import undo_store
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.labels import Labels, action_word, by_itself
from web.names_store import names

#: Tickets whose plan a page shows before it is done.
PLANNED = 50
#: How far back the page offers to go, in hours; 0 is since the version was published.
HOURS = (0, 1, 24, 168, 720)


def undoing(kind: EntryKind, permission: Permission) -> Blueprint:
    """The pages for one kind of entry, to be nested into those that people with this permission open."""
    part = Blueprint("undo", __name__)
    home = "rules" if kind is EntryKind.TABLE else "scripts"

    @part.get(f"/{home}/<code>/undo")
    @needs(permission)
    def look(code: str) -> ResponseReturnValue:
        """What taking back a version would come to. Nothing is changed."""
        with services().db.read() as connection:
            stored = _entry(connection, code, kind)
            return _shown(connection, stored, home)

    @part.post(f"/{home}/<code>/undo")
    @needs(permission)
    def ask(code: str) -> ResponseReturnValue:
        """Take it back on every ticket; the next page says how far it is."""
        with services().db.write() as connection:
            stored = _entry(connection, code, kind)
            scope = Scope(stored.code, _version(connection, stored).version, *_times())
            try:
                undo_id = undo.start(connection, scope, me(), now())
            except undo.TooMany:
                raise refuse(422, _too_many()) from None
        return redirect(url_for(f"{home}.undo.done", code=code, undo_id=undo_id), 303)

    @part.get(f"/{home}/<code>/undo/<int:undo_id>")
    @needs(permission)
    def done(code: str, undo_id: int) -> ResponseReturnValue:
        """How far it is, and what became of each ticket."""
        with services().db.read() as connection:
            stored = _entry(connection, code, kind)
            found = undo_store.undo_of(connection, code, undo_id)
            if found is None:
                abort(404)
            lines = undo_store.lines_of(connection, me(), undo_id)
            kept = {one.id: _kept_of(one.outcome) for one in lines.rows}
            return render_template(
                "undo_done.html",
                entry=stored,
                code=code,
                home=home,
                undo=found,
                progress=undo.progress(connection, undo_id),
                lines=lines,
                kept=kept,
                listed=undo_store.LISTED,
                **_words(connection, [one for some in kept.values() for one in some]),
            )

    return part


@dataclass(frozen=True, slots=True)
class Planned:
    """One ticket before it is taken back: (field, before, after) of what goes back, and the rest of its plan."""

    row: AnyRow
    plan: Plan
    changes: Sequence[tuple[str, JSON, JSON]]


def _shown(connection: Connection, stored: Stored, home: str) -> ResponseReturnValue:
    versions = rule_list.versions(connection, stored.code)
    if not versions:
        raise refuse(422, gettext("Nothing of it was ever live, so there is nothing to take back."))
    version = _version(connection, stored)
    hours = request.args.get("hours", 0, type=a_number)
    until = now()
    since = until - timedelta(hours=hours) if hours in HOURS and hours else version.published_at
    scope = Scope(stored.code, version.version, since, until)
    touched = undo.touched(connection, scope)
    seen = undo_store.seen_of(connection, me(), touched, PLANNED)
    planned = [_planned(connection, row, scope) for row in seen.rows]
    return render_template(
        "undo_look.html",
        entry=stored,
        code=stored.code,
        home=home,
        version=version,
        versions=versions,
        hours=hours,
        spans=HOURS,
        since=iso(since),
        until=iso(until),
        count=len(touched),
        most=undo.MOST_ITEMS,
        hidden=seen.hidden,
        planned=planned,
        recent=undo_store.recent(connection, stored.code),
        too_many=_too_many(),
        **_words(connection, [one for some in planned for one in some.plan.kept]),
    )


def _planned(connection: Connection, row: AnyRow, scope: Scope) -> Planned:
    plan = undo.plan(connection, row.id, scope)
    state = dict(plan.item.state)
    changes = []
    for effect in plan.effects:
        before = state.get(effect.field)
        state[effect.field] = value_after(effect, before)
        changes.append((effect.field, before, state[effect.field]))
    return Planned(row, plan, changes)


def _words(connection: Connection, kept: Sequence[Kept]) -> dict[str, object]:
    """What both pages need to say a plan in words."""
    known = names(connection)
    desk = services().live.current(connection)
    lines = undo_store.since_lines(connection, kept)
    return {
        "labels": Labels(known, desk.vocabulary.custom_fields),
        "who": {line_id: _who(line, known.entries) for line_id, line in lines.items()},
        "when": {line_id: line.at for line_id, line in lines.items()},
        "action_word": action_word,
    }


def _who(line: AnyRow, entries: Mapping[str, str]) -> str:
    """Who changed it since: a person, a rule or the desk itself."""
    code = str(line.cause.get("code") or "")
    if code:
        return entries.get(code, code)
    return line.actor_name or by_itself(str(line.cause.get("label", ""))) or gettext("somebody")


def _kept_of(outcome: Mapping[str, JSON]) -> list[Kept]:
    """What an item's row says was left alone; of an item whose customer was erased it says nothing."""
    stored = outcome.get("kept")
    return [Kept(str(field), int(str(line)), str(member)) for field, line, member in stored or ()]  # type: ignore[misc,union-attr]


def _entry(connection: Connection, code: str, kind: EntryKind) -> Stored:
    try:
        stored = rule_list.entry(connection, code)
    except EntryNotFound:
        abort(404)
    if stored.kind is not kind:
        abort(404)
    return stored


def _version(connection: Connection, stored: Stored) -> rule_list.Version:
    """The version that is named, the live one when none is; aborts with 404 for one that never was."""
    wanted = request.values.get("version", stored.live_version or 0, type=a_number)
    found = next((one for one in rule_list.versions(connection, stored.code) if one.version == wanted), None)
    if found is None:
        abort(404)
    return found


def _times() -> tuple[datetime, datetime]:
    """The time that the page showed: what happened since is not taken back unseen."""
    try:
        since, until = from_iso(request.form.get("since", "")), from_iso(request.form.get("until", ""))
    except ValueError:
        raise refuse(422, gettext("The times of this form are not readable. Nothing was taken back.")) from None
    return since, min(until, now())


def _too_many() -> str:
    return gettext(
        "It changed more than %(n)s tickets in this time, and so many are not taken back at once. "
        "Choose a shorter time. Nothing was taken back.",
        n=undo.MOST_ITEMS,
    )
