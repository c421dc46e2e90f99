"""A template's versions: compared language by language, and published again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from rules import store as rule_list
from tickets.item import LANGUAGES
from tickets.people import Permission
from web import rules_templates
from web import versions as published
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.names_store import names
from web.refusals import said
from web.scripts_content import DiffLine, diff

pages = Blueprint("template_versions", __name__)

PERMISSION = Permission.EDIT_RULES


@dataclass(frozen=True, slots=True)
class TextChange:
    """How one language's text differs between two versions: its subject before and after, the lines of its body."""

    language: str  # its key
    subjects: tuple[str, str]
    lines: list[DiffLine]


@pages.get("/templates/<code>/versions")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """Every version, and the texts that differ between two of them."""
    with services().db.read() as connection:
        stored = rules_templates.template_or_404(connection, code)
        every = rule_list.versions(connection, code)
        labels = Labels(names(connection))
    chosen = published.compared(every)
    old, new = chosen.contents
    return render_template(
        "templates_versions.html",
        entry=stored,
        code=code,
        seen=stored.draft_count,
        versions=every,
        compared=chosen,
        names=(str((old or {}).get("name", "")), str((new or {}).get("name", ""))),
        texts=_texts(old or {}, new) if new is not None else [],
        labels=labels,
    )


@pages.post("/templates/<code>/roll-back")
@needs(PERMISSION)
def roll_back(code: str) -> ResponseReturnValue:
    """Publish an earlier version again. Refused while there is a draft, or when it names what is gone."""
    with services().db.write() as connection:
        stored = rules_templates.template_or_404(connection, code)
        old = published.earlier(connection, stored)
        vocabulary = services().live.current(connection).vocabulary
        problems = rules_templates.problems_of(old.content, vocabulary, rules_templates.extra_values(code))
        if problems:
            raise refuse(
                422,
                gettext(
                    "Version %(version)s names things that no longer exist, e.g. %(why)s Nothing was rolled back.",
                    version=old.version,
                    why=said(next(iter(problems.values()))),
                ),
            )
        version = rule_list.roll_back(connection, code, old.version, author=me().key, now=now())
    published.say_back(version, old.version)
    return redirect(url_for("templates.template", code=code))


def _texts(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[TextChange]:
    """The languages whose text differs, in the order of the languages."""
    found = []
    for key in LANGUAGES:
        before, after = (content.get("texts", {}).get(key, {}) for content in (old, new))
        if before == after:
            continue
        subjects = (str(before.get("subject", "")), str(after.get("subject", "")))
        found.append(TextChange(key, subjects, diff(str(before.get("body", "")), str(after.get("body", "")))))
    return found
