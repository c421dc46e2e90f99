"""Templates: the texts that rules send, per language, with their placeholders. Published like tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from rules import store as rule_list
from rules.store import EntryKind, EntryNotFound, NothingToPublish, StaleDraft, Stored
from rules.templates import MAX_TEXT_CHARS, placeholders, text_problems
from rules.vocabulary import Vocabulary
from tickets.item import LANGUAGES
from tickets.people import Permission
from tickets.values import JSON, json_problem
from web import rules_store
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.names_store import names

pages = Blueprint("templates", __name__)

SUBJECT_CHARS = 300
NOTE_CHARS = 2_000
PERMISSION = Permission.EDIT_RULES


@pages.get("/templates")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every template, and who sends it."""
    with services().db.read() as connection:
        stored = rule_list.entries(connection)
    found = [one for one in stored if one.kind is EntryKind.TEMPLATE]
    return render_template(
        "rules_templates.html",
        templates=found,
        used={one.code: rules_store.used_by(stored, one.code) for one in found},
        languages=LANGUAGES,
    )


@pages.post("/templates")
@needs(PERMISSION)
def create() -> ResponseReturnValue:
    """A new template, as a draft."""
    name = " ".join(request.form.get("name", "").split())[:200]
    if not name:
        raise refuse(422, gettext("The template needs a name. Nothing was created."))
    with services().db.write() as connection:
        draft: dict[str, JSON] = {"texts": {"en": {"subject": "", "body": ""}}}
        code = rule_list.create(connection, EntryKind.TEMPLATE, name, draft, author=me().key, now=now())
    return redirect(url_for("templates.template", code=code))


@pages.get("/templates/<code>")
@needs(PERMISSION)
def template(code: str) -> ResponseReturnValue:
    """One template: subject and text per language."""
    with services().db.read() as connection:
        stored = _template(connection, code)
        return _page(connection, stored, stored.working, {}, "")


@pages.post("/templates/<code>")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Save the draft, or publish it when asked to. What does not read is shown again with its problems."""
    seen = request.form.get("seen", -1, type=int)
    publishing = request.form.get("do") == "publish"
    note = request.form.get("note", "").replace("\r\n", "\n").strip()[:NOTE_CHARS]
    with services().db.write() as connection:
        stored = _template(connection, code)
        vocabulary = services().live.current(connection).vocabulary
        content = _read(request.form, stored)
        problems = problems_of(content, vocabulary)
        if publishing and not note:
            problems["note"] = gettext("Say in a sentence what changes and why.")
        if problems and (publishing or any(key.endswith(".size") for key in problems)):
            return _page(connection, stored, content, problems, note), 422
        try:
            count = rule_list.save_draft(connection, code, content, author=me().key, seen=seen, now=now())
            if publishing:
                version = rule_list.publish(connection, code, author=me().key, note=note, seen=count, now=now())
        except StaleDraft as stale:
            return _page(connection, stored, content, {"name": str(stale)}, note), 409
        except NothingToPublish as nothing:
            raise refuse(422, str(nothing)) from None
    if publishing:
        flash(gettext("Version %(version)s is live.", version=version), "ok")
    else:
        flash(gettext("The draft is saved."), "ok")
    return redirect(url_for("templates.template", code=code))


@pages.post("/templates/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = _template(connection, code)
        if stored.draft_count != request.form.get("seen", -1, type=int):
            raise refuse(409, gettext("Somebody saved this draft since you opened it. It was not thrown away."))
        rule_list.discard_draft(connection, code)
    return redirect(url_for("templates.template", code=code))


def problems_of(content: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, str]:
    """What is wrong with a template's content, by form field; empty when it can be published."""
    problems: dict[str, str] = {}
    texts = content.get("texts")
    if not isinstance(texts, Mapping) or not any(isinstance(t, Mapping) and t.get("body") for t in texts.values()):
        return {"en.body": gettext("Write the text in at least one language.")}
    for language, text in texts.items():
        for part in ("subject", "body"):
            found = text_problems(str(text.get(part, "")), vocabulary)
            if found:
                problems[f"{language}.{part}"] = " ".join(found)
    return problems


def _template(connection: Connection, code: str) -> Stored:
    try:
        stored = rule_list.entry(connection, code)
    except EntryNotFound:
        abort(404)
    if stored.kind is not EntryKind.TEMPLATE:
        abort(404)
    return stored


def _read(form: MultiDict[str, str], stored: Stored) -> dict[str, JSON]:
    """The form as content. A language without any text is left out."""
    texts: dict[str, JSON] = {}
    for language in LANGUAGES:
        subject = " ".join(form.get(f"{language}.subject", "").split())[:SUBJECT_CHARS]
        body = form.get(f"{language}.body", "").replace("\r\n", "\n")[: MAX_TEXT_CHARS + 1]
        if json_problem(subject + body):
            raise refuse(422, gettext("The text holds characters that cannot be stored. Nothing was saved."))
        if subject or body.strip():
            texts[language] = {"subject": subject, "body": body}
    name = " ".join(form.get("name", "").split())[:200] or stored.name
    return {"code": stored.code, "name": name, "texts": texts}


def _page(
    connection: Connection, stored: Stored, content: Mapping[str, Any], problems: Mapping[str, str], note: str
) -> str:
    vocabulary = services().live.current(connection).vocabulary
    return render_template(
        "rules_template.html",
        entry=stored,
        content=content,
        problems=problems or (problems_of(content, vocabulary) if stored.draft is not None else {}),
        note=note,
        languages=LANGUAGES,
        placeholders=placeholders(vocabulary),
        used=rules_store.used_by(rule_list.entries(connection), stored.code),
        versions=rule_list.versions(connection, stored.code)[:20],
        labels=Labels(names(connection)),
    )
