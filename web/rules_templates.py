"""Templates: the texts that rules send, per language, with their placeholders. Published like tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection, select
from werkzeug.datastructures import MultiDict

from jobs.facts import facts_now
from jobs.system_texts import SYSTEM_TEXTS
from rules import store as rule_list
from rules.facts import Facts, Known
from rules.fields import Field
from rules.store import EntryKind, EntryNotFound, NothingToPublish, StaleDraft, Stored
from rules.templates import MAX_TEXT_CHARS, placeholders, render, shown, text_problems
from rules.vocabulary import ANY_KIND, Vocabulary
from tickets import store as items
from tickets.item import LANGUAGES
from tickets.people import Permission
from tickets.tables import WorkItem
from tickets.values import JSON, json_problem
from tickets.visibility import visible
from web import versions
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.labels import Labels
from web.names_store import names
from web.refusals import said
from web.used_by import uses

pages = Blueprint("templates", __name__)

SUBJECT_CHARS = 300
#: Characters of a sample value.
VALUE_CHARS = 120
PERMISSION = Permission.EDIT_RULES


@pages.get("/templates")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Templates stand in the messages centre, with everything else that is sent by itself."""
    return redirect(url_for("messages.index"))


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
        stored = template_or_404(connection, code)
        return _page(connection, stored, stored.working, {}, "")


@pages.post("/templates/<code>")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Save the draft, or publish it when asked to. What does not read is shown again with its problems."""
    seen = versions.sent_seen()
    publishing = request.form.get("do") == "publish"
    note = versions.sent_note()
    with services().db.write() as connection:
        stored = template_or_404(connection, code)
        vocabulary = services().live.current(connection).vocabulary
        content = _read(request.form, stored)
        problems = problems_of(content, vocabulary, extra_values(code))
        if publishing and versions.note_problem(note):
            problems["note"] = versions.note_problem(note)
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
        versions.say_live(version)
    else:
        flash(gettext("The draft is saved."), "ok")
    return redirect(url_for("templates.template", code=code))


@pages.post("/templates/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = template_or_404(connection, code)
        versions.discard(connection, stored)
    return redirect(url_for("templates.template", code=code))


def problems_of(content: Mapping[str, Any], vocabulary: Vocabulary, extra: Collection[str] = ()) -> dict[str, str]:
    """What is wrong with a template's content, by form field; empty when it can be published.

    A template may be sent about items of any kind, so it may name the fields of all of them. `extra` are the
    placeholders that only this text knows."""
    problems: dict[str, str] = {}
    vocabulary = vocabulary.of(ANY_KIND)
    texts = content.get("texts")
    if not isinstance(texts, Mapping) or not any(isinstance(t, Mapping) and t.get("body") for t in texts.values()):
        return {"en.body": gettext("Write the text in at least one language.")}
    for language, text in texts.items():
        for part in ("subject", "body"):
            found = text_problems(str(text.get(part, "")), vocabulary, extra)
            if found:
                problems[f"{language}.{part}"] = " ".join(said(one) for one in found)
    return problems


def extra_values(code: str) -> dict[str, str]:
    """The placeholders that only this text knows, each with what stands for it in a sample."""
    known = SYSTEM_TEXTS.get(code)
    return {name: f"[{meaning}]" for name, meaning in known.extra.items()} if known is not None else {}


def sample(connection: Connection, wanted: int | None) -> int | None:
    """The ticket whose values samples show: the one wanted if I may see it, else the newest I may see."""
    query = select(WorkItem.id).where(visible(me())).order_by(WorkItem.id.desc()).limit(1)
    if wanted is not None:
        found = connection.execute(query.where(WorkItem.id == wanted)).scalar_one_or_none()
        if found is not None:
            return found
    return connection.execute(query).scalar_one_or_none()


def template_or_404(connection: Connection, code: str) -> Stored:
    """The template with this code, the system's reworded ones too."""
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
    extra = extra_values(stored.code)
    chosen = sample(connection, request.args.get("ticket", type=a_number))
    facts = None
    if chosen is not None:
        facts = facts_now(connection, items.read_item(connection, chosen, viewer=me()), now())
    picker = [(one.key, one.label, _value(one, facts)) for one in placeholders(vocabulary.of(ANY_KIND))]
    return render_template(
        "rules_template.html",
        entry=stored,
        content=content,
        problems=problems or (problems_of(content, vocabulary, extra) if stored.draft is not None else {}),
        note=note,
        languages=LANGUAGES,
        placeholders=[*((name, meaning, "") for name, meaning in _extra_words(stored.code)), *picker],
        sample=chosen,
        previews=_previews(content, facts, vocabulary, extra) if facts is not None else {},
        system=stored.code in SYSTEM_TEXTS,
        used=uses(rule_list.entries(connection), "template", stored.code, vocabulary),
        versions=rule_list.versions(connection, stored.code)[:20],
        labels=Labels(names(connection)),
    )


def _extra_words(code: str) -> list[tuple[str, str]]:
    known = SYSTEM_TEXTS.get(code)
    return list(known.extra.items()) if known is not None else []


def _value(field: Field, facts: Facts | None) -> str:
    """What stands for a placeholder on the sample ticket, "" when it has none there."""
    if facts is None:
        return ""
    reading = field.read(facts)
    return shown(field, reading.value)[:VALUE_CHARS] if isinstance(reading, Known) else ""


def _previews(
    content: Mapping[str, Any], facts: Facts, vocabulary: Vocabulary, extra: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Subject and text per language as the sample ticket would make them."""
    return {
        language: (
            render(str(text.get("subject", "")), facts, vocabulary, extra).text,
            render(str(text.get("body", "")), facts, vocabulary, extra).text,
        )
        for language, text in content.get("texts", {}).items()
        if text.get("body")
    }
