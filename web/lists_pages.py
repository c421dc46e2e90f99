"""Named lists: VIPs, keywords and whatever else many cells of tables should say under one name. Live with each save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.live import Desk
from rules import parse
from rules import store as rule_list
from rules.store import EntryKind, Stored
from rules.vocabulary import NamedList, Vocabulary
from tickets import lists
from tickets.errors import SettingRefused, StaleSetting
from tickets.journal import Change, key_from
from tickets.lists import MAX_MEMBERS, ListSpec
from tickets.people import Permission
from tickets.values import JSON
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.labels import Labels
from web.names_store import names
from web.refusals import said
from web.used_by import Use, still_used, uses, uses_of

pages = Blueprint("lists", __name__)

PERMISSION = Permission.EDIT_RULES
#: Longest text of a whole list in the form, in characters.
FORM_CHARS = 1_700_000


@dataclass(frozen=True, slots=True)
class Difference:
    """What is saved and what the form says, when somebody saved first."""

    theirs: tuple[str, ...]
    mine: tuple[str, ...]


@pages.get("/lists")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every list, how long it is, who uses it."""
    with services().db.read() as connection:
        found = lists.lists(connection)
        vocabulary = services().live.current(connection).vocabulary
        entries = rule_list.entries(connection)
        labels = Labels(names(connection))
    used = uses_of(entries, [("list", key) for key in found], vocabulary)
    return render_template("lists.html", lists=found, used=used, labels=labels)


@pages.post("/lists")
@needs(PERMISSION)
def create() -> ResponseReturnValue:
    """A new, empty list."""
    label = request.form.get("label", "")
    with services().db.write() as connection:
        key = key_from(label, lists.lists(connection), upper=True)
        try:
            lists.save_list(connection, ListSpec(key, label, request.form.get("people") == "1", ()), _by())
        except SettingRefused as refused:
            raise refuse(422, said(str(refused))) from None
        rule_list.bump(connection)
    return redirect(url_for("lists.page", key=key))


@pages.get("/lists/<key>")
@needs(PERMISSION)
def page(key: str) -> ResponseReturnValue:
    """One list: its entries, one per line, and who uses it."""
    with services().db.read() as connection:
        found = _list(connection, key)
        return _page(connection, found, found)


@pages.post("/lists/<key>")
@needs(PERMISSION)
def save(key: str) -> ResponseReturnValue:
    """Save the entries, live with the next event. Refused when a table could no longer use the list."""
    text = request.form.get("members", "")
    if len(text) > FORM_CHARS:
        raise refuse(422, gettext("A list has at most %(n)s entries. Nothing was saved.", n=MAX_MEMBERS))
    with services().db.write() as connection:
        saved = _list(connection, key)
        wanted = replace(
            saved,
            label=request.form.get("label", ""),
            members=tuple(line for line in text.splitlines() if line.strip()),
            saves=request.form.get("seen", -1, type=a_number),
        )
        try:
            members = lists.clean_members(wanted.members, people=saved.people)
            if wanted.saves != saved.saves:
                return _page(connection, saved, wanted, difference=_difference(saved.members, members)), 409
            broken = _broken(connection, services().live.current(connection), replace(wanted, members=members))
            if broken:
                return _page(connection, saved, wanted, problem=broken), 422
            lists.save_list(connection, wanted, _by())
        except SettingRefused as refused:
            return _page(connection, saved, wanted, problem=said(str(refused))), 422
        except StaleSetting as stale:
            raise refuse(409, str(stale)) from None
        rule_list.bump(connection)
    flash(gettext("The list is saved; the next event sees it."), "ok")
    return redirect(url_for("lists.page", key=key))


@pages.post("/lists/<key>/delete")
@needs(PERMISSION)
def delete(key: str) -> ResponseReturnValue:
    """Remove a list that nothing uses; otherwise say who does, and remove nothing."""
    with services().db.write() as connection:
        found = _list(connection, key)
        used = _uses(connection, key)
        if used:
            return _page(connection, found, found, problem=still_used(found.label, used)), 409
        lists.delete_list(connection, key, _by())
        rule_list.bump(connection)
    flash(gettext("The list %(label)s is deleted.", label=found.label), "ok")
    return redirect(url_for("lists.index"))


def _difference(saved: Sequence[str], mine: Sequence[str]) -> Difference:
    return Difference(
        tuple(one for one in saved if one not in set(mine)), tuple(one for one in mine if one not in set(saved))
    )


def _broken(connection: Connection, desk: Desk, wanted: ListSpec) -> str:
    """Why a table that uses the list could not be read any more, "" when all of them could."""
    listed = NamedList(wanted.label, wanted.members)
    after: Vocabulary = replace(desk.vocabulary, lists={**desk.vocabulary.lists, wanted.key: listed})
    for use in uses(rule_list.entries(connection, EntryKind.TABLE), "list", wanted.key, desk.vocabulary):
        content = _content(use.entry)
        known = {str(one) for one in parse.problems(content, desk.vocabulary)}
        new = [one for one in parse.problems(content, after) if str(one) not in known]
        if new:
            return gettext(
                "%(table)s could not be read any more: %(why)s Nothing was saved.",
                table=use.entry.name,
                why=said(new[0].message),
            )
    return ""


def _content(entry: Stored) -> dict[str, JSON]:
    return {**(entry.content or entry.draft or {}), "code": entry.code}


def _list(connection: Connection, key: str) -> ListSpec:
    found = lists.lists(connection).get(key)
    if found is None:
        abort(404)
    return found


def _uses(connection: Connection, key: str) -> list[Use]:
    return uses(rule_list.entries(connection), "list", key, services().live.current(connection).vocabulary)


def _by() -> Change:
    return Change(me().key, now())


def _page(
    connection: Connection, saved: ListSpec, shown: ListSpec, *, problem: str = "", difference: Difference | None = None
) -> str:
    return render_template(
        "lists_list.html",
        saved=saved,
        shown=shown,
        problem=problem,
        difference=difference,
        used=_uses(connection, saved.key),
        labels=Labels(names(connection)),
        most=MAX_MEMBERS,
    )
