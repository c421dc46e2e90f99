"""Settings: what this desk is made of. One list, one form and one way to delete for every part of it.

Everything is live with the next event. What rules still use is not deleted: the page says who uses it, rows and drafts
and switched-off entries too. A save after which a table could no longer be read is refused as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs import live, retention
from rules import parse
from rules import store as rule_list
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from tickets import journal
from tickets.errors import SettingRefused
from tickets.journal import Change
from tickets.people import Permission
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.names_store import names
from web.passwords import WeakPassword
from web.refusals import said
from web.settings_parts import PARTS, Part
from web.used_by import Use, still_used, uses

pages = Blueprint("settings", __name__)

PERMISSION = Permission.SETTINGS


@pages.get("/settings")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """The first part."""
    return redirect(url_for("settings.part", part=next(iter(PARTS))))


@pages.get("/settings/journal")
@needs(PERMISSION)
def changes() -> ResponseReturnValue:
    """Who changed what in the settings and lists, newest first."""
    with services().db.read() as connection:
        lines = journal.lines(connection)
        labels = Labels(names(connection))
    return render_template("settings_journal.html", lines=lines, labels=labels, most=journal.JOURNAL_LINES, parts=PARTS)


@pages.get("/settings/kept")
@needs(PERMISSION)
def kept() -> ResponseReturnValue:
    """What is kept for how long, and by which setting of the installation."""
    words = {
        "decisions": (
            gettext("Decisions, with their facts and traces"),
            gettext("and runs of scripts, what was taken back, what was not delivered"),
        ),
        "checked": (
            gettext("Decisions that found nothing to do"),
            gettext("after that, Why has no answer for so old an event"),
        ),
        "answers": (
            gettext("Answers of connected systems"),
            gettext("and the list of calls; an answer that may still stand in for a system that is away stays"),
        ),
        "lookups": (
            gettext("What was asked for a ticket"),
            gettext("as long as the decisions that used the answer; after that, the next event asks again"),
        ),
        "bell": (
            gettext("Lines of the bell, read or not"),
            gettext("as long as the decisions that rang it, at least"),
        ),
        "sent": (gettext("The record of sent e-mail"), gettext("what was written stays on the ticket")),
        "replays": (gettext("Replays"), gettext("counted from when they were asked for")),
        "portal_tokens": (gettext("Ways into the portal"), gettext("counted from when they ran out")),
    }
    lines = [(*words[one.what], one.days, one.setting) for one in retention.kept(services().settings)]
    return render_template("settings_kept.html", lines=lines, parts=PARTS)


@pages.get("/settings/<part>")
@needs(PERMISSION)
def part(part: str) -> ResponseReturnValue:
    """Everything of one part: every team, every field ..."""
    found = _part(part)
    with services().db.read() as connection:
        specs = found.load(connection)
        labels = Labels(names(connection))
    return render_template("settings_list.html", parts=PARTS, part=found, specs=specs, labels=labels)


@pages.get("/settings/<part>/new")
@needs(PERMISSION)
def new(part: str) -> ResponseReturnValue:
    """The empty form."""
    found = _part(part)
    with services().db.read() as connection:
        return _page(connection, found, "", None)


@pages.get("/settings/<part>/<key>")
@needs(PERMISSION)
def one(part: str, key: str) -> ResponseReturnValue:
    """One of them: its form, and who uses it."""
    found = _part(part)
    with services().db.read() as connection:
        return _page(connection, found, key, _spec(connection, found, key))


@pages.post("/settings/<part>/new")
@needs(PERMISSION)
def create(part: str) -> ResponseReturnValue:
    """Make one."""
    return _save(_part(part), "")


@pages.post("/settings/<part>/<key>")
@needs(PERMISSION)
def save(part: str, key: str) -> ResponseReturnValue:
    """Change one, live with the next event."""
    return _save(_part(part), key)


def _save(found: Part, key: str) -> ResponseReturnValue:
    try:
        with services().db.write() as connection:
            before = _spec(connection, found, key) if key else None
            if before is not None and request.form.get("seen") != stamp(before):
                raise SettingRefused(gettext("Somebody changed this since you opened it. Nothing was saved."))
            words = services().live.current(connection).vocabulary
            made = found.save(connection, key, request.form, Change(me().key, now()))
            rule_list.bump(connection)
            broken = _broken(connection, words, live.vocabulary(connection))
            if broken:
                # Leaving by an exception undoes the save.
                raise SettingRefused(broken)
    except (SettingRefused, WeakPassword) as refused:
        with services().db.read() as connection:
            current = _spec(connection, found, key) if key else None
            return _page(connection, found, key, current, problem=said(str(refused))), 422
    flash(gettext("Saved; the next event sees it."), "ok")
    return redirect(url_for("settings.one", part=found.key, key=made))


def _broken(connection: Connection, before: Vocabulary, after: Vocabulary) -> str:
    """Which table could not be read any more with these words, "" when every one still can."""
    for entry in rule_list.entries(connection, EntryKind.TABLE):
        content = {**(entry.content or entry.draft or {}), "code": entry.code}
        wrong = parse.problems(content, after)
        if wrong:
            known = {str(one) for one in parse.problems(content, before)}
            fresh = [one for one in wrong if str(one) not in known]
            if fresh:
                return gettext(
                    "%(table)s could not be read any more: %(why)s Nothing was saved.",
                    table=f"{entry.code} {entry.name}",
                    why=fresh[0].message,
                )
    return ""


@pages.post("/settings/<part>/<key>/delete")
@needs(PERMISSION)
def delete(part: str, key: str) -> ResponseReturnValue:
    """Delete one that nothing uses; otherwise say who does, and delete nothing."""
    found = _part(part)
    if found.delete is None:
        abort(404)
    with services().db.read() as connection:
        spec = _spec(connection, found, key)
        used = _uses(connection, found, key)
        if used:
            return _page(connection, found, key, spec, problem=still_used(found.name_of(spec), used)), 409
    try:
        with services().db.write() as connection:
            # Asked again inside: a table may have begun to use it since.
            if _uses(connection, found, key):
                raise refuse(409, gettext("Somebody began to use it just now. Nothing was deleted."))
            found.delete(connection, key, Change(me().key, now()))
            rule_list.bump(connection)
    except SettingRefused as refused:
        with services().db.read() as connection:
            return _page(connection, found, key, spec, problem=said(str(refused))), 409
    flash(gettext("%(label)s is deleted.", label=found.name_of(spec)), "ok")
    return redirect(url_for("settings.part", part=found.key))


def stamp(spec: Any) -> str:
    """What a form carries to find out whether somebody saved since it was opened."""
    return hashlib.sha256(repr(spec).encode()).hexdigest()[:16]


def _part(key: str) -> Part:
    found = PARTS.get(key)
    if found is None:
        abort(404)
    return found


def _spec(connection: Connection, found: Part, key: str) -> Any:
    spec = found.load(connection).get(key)
    if spec is None:
        abort(404)
    return spec


def _uses(connection: Connection, found: Part, key: str) -> list[Use]:
    if not found.used_as:
        return []
    kind, _, bare = key.rpartition(".")
    used = uses(rule_list.entries(connection), found.used_as, bare, services().live.current(connection).vocabulary)
    return [one for one in used if not kind or _may_mean(one.entry, kind)]


def _may_mean(entry: Stored, kind: str) -> bool:
    """Whether a field named in this entry can be one of this kind of item; scripts and templates do not say."""
    kinds = {
        str(content.get("kind", "ticket")) for content in (entry.content, entry.draft) if isinstance(content, Mapping)
    }
    return entry.kind is not EntryKind.TABLE or bool(kinds & {kind, parse.ANY_KIND})


def _page(connection: Connection, found: Part, key: str, spec: Any, *, problem: str = "") -> str:
    return render_template(
        "settings_one.html",
        parts=PARTS,
        part=found,
        key=key,
        spec=spec,
        form=request.form if problem else found.form(spec),
        seen=stamp(spec) if spec is not None else "",
        problem=problem,
        used=_uses(connection, found, key) if key else [],
        menus=found.menus(connection),
        doors=_doors(key) if found.key == "brands" and spec is not None else {},
    )


def _doors(brand: str) -> Mapping[str, str]:
    """The addresses under which customers reach this brand from its own site."""
    base = services().settings.public_url.rstrip("/") or request.url_root.rstrip("/")
    return {
        "form": base + url_for("portal.form", brand=brand),
        "chat": base + url_for("chat.window", brand=brand),
        "button": base + url_for("chat.button", brand=brand),
    }
