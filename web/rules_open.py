"""A table opened for its pages: the draft with the desk's words, and what every template about one table gets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.preview import Preview
from rules import store as rule_list
from rules.listed import is_listed
from rules.store import EntryKind, EntryNotFound, Stored
from rules.table import OTHERWISE
from rules.vocabulary import Vocabulary
from tickets.people import Permission
from web import rules_document as documents
from web import rules_words
from web.context import services
from web.forms import a_number
from web.labels import Labels
from web.names_store import names
from web.rules_document import Document
from web.rules_grid import Grid, grid

#: Who may open any page about rules.
PERMISSION = Permission.EDIT_RULES
#: Changed tickets that the dock lists; the furthest page of a grid.
LISTED_CHANGES = 50
LAST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Open:
    """A table opened for editing."""

    stored: Stored
    document: Document
    vocabulary: Vocabulary
    labels: Labels

    @property
    def code(self) -> str:
        return self.stored.code

    def grid(self, page: int = 1, *, thorough: bool = False) -> Grid:
        return grid(self.document, self.stored.content, self.vocabulary, self.code, page=page, thorough=thorough)


def table_or_404(connection: Connection, code: str) -> Stored:
    try:
        stored = rule_list.entry(connection, code)
    except EntryNotFound:
        abort(404)
    if stored.kind is not EntryKind.TABLE:
        abort(404)
    return stored


def open_table(connection: Connection, code: str) -> Open:
    stored = table_or_404(connection, code)
    desk = services().live.current(connection)
    document = documents.tidy(stored.working)
    vocabulary = desk.vocabulary.of(document["kind"])
    return Open(stored, document, vocabulary, Labels(names(connection), vocabulary.custom_fields))


def in_list(stored: Stored) -> bool:
    """Whether the entry has a place in the order: a table, or a script whose live version or draft has triggers."""
    if stored.kind is EntryKind.SCRIPT:
        return any(is_listed(content) for content in (stored.content, stored.draft) if content is not None)
    return stored.kind is EntryKind.TABLE


def runs_after(connection: Connection, code: str) -> str:
    """The table or script that runs right before this one."""
    last = ""
    for one in rule_list.entries(connection):
        if one.code == code:
            return last
        if one.enabled and one.live_version is not None and in_list(one):
            last = one.name
    return last


def is_part() -> bool:
    """Whether the page's own script asks, for a piece of the page."""
    return request.headers.get("X-Part") == "1"


def is_fragment() -> bool:
    """Whether a part of a page that is open asks for what stands in it."""
    return request.headers.get("HX-Request") == "true"


def page_number() -> int:
    return min(max(1, request.values.get("page", 1, type=a_number)), LAST_PAGE)


def view_of(found: Open, page: int = 1, *, thorough: bool = False) -> dict[str, Any]:
    """What every template about one table gets."""
    return {
        "entry": found.stored,
        "code": found.code,
        "document": found.document,
        "seen": found.stored.draft_count,
        "grid": found.grid(page, thorough=thorough),
        "base": url_for("rules.editor.table", code=found.code),
        "words": rules_words,
        "vocabulary": found.vocabulary,
        "labels": found.labels,
        "part": is_part(),
        "otherwise": OTHERWISE,
        "listed": LISTED_CHANGES,
        "hits_json": _hits_json,
        "row_numbers": row_numbers,
        "effect_label": _effect_label,
    }


def _hits_json(made: Preview) -> str:
    """How often each row fires, for the bars in the grid: {row: [draft, live]}."""
    return json.dumps({row: [one.draft, one.live] for row, one in made.hits.items()})


def row_numbers(rows: Sequence[str], content: Mapping[str, Any] | None) -> str:
    """Rows as people count them, e.g. "3" or "1, 4"; "∞" for the last one, "–" for none."""
    numbers = {one["id"]: str(n) for n, one in enumerate(documents.tidy(content or {})["rows"], 1)}
    return ", ".join("∞" if one == OTHERWISE else numbers.get(one, one) for one in rows) or "–"


def _effect_label(kind: str) -> str:
    labels = {
        "message": gettext("message"),
        "note": gettext("internal note"),
        "notify": gettext("notification to"),
        "card": gettext("card"),
        "script": gettext("script"),
        "lookup": gettext("look-up"),
        "change": gettext("change in a system"),
    }
    return labels.get(kind, kind)
