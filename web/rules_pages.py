"""Rules: the list in run order. What is done with one table has its own modules, whose pages are nested here."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from rules import store as rule_list
from rules.listed import is_listed
from rules.store import EntryKind, Stored
from rules.triggers import TRIGGERS
from rules.vocabulary import ANY_KIND, Vocabulary
from tickets import journal
from tickets.item import ItemKind
from tickets.kinds import KIND_PLURALS
from web import rules_document as documents
from web import rules_store, rules_words, scripts_content
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.recipes import recipes
from web.replays_pages import lab
from web.rules_counts import counts
from web.rules_dock import dock
from web.rules_editor import editor
from web.rules_export import exports
from web.rules_grid import check
from web.rules_health import report
from web.rules_import import imports
from web.rules_open import PERMISSION, in_list, table_or_404
from web.rules_python import shown as python
from web.rules_shadow import beside
from web.rules_versions import versions
from web.undo_pages import undoing
from web.versions import sent_seen

pages = Blueprint("rules", __name__)
for part in (
    editor,
    dock,
    counts,
    versions,
    exports,
    imports,
    report,
    lab,
    beside,
    python,
    undoing(EntryKind.TABLE, PERMISSION),
):
    pages.register_blueprint(part)


@dataclass(frozen=True, slots=True)
class Line:
    """One table in the list, or a script that stands in it itself; a script has no rows."""

    entry: Stored
    trigger: str
    rows: int | None
    errors: int
    warnings: int
    changes: int


@pages.get("/rules")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every table, and every script with triggers of its own, in the order in which they run; or those of one kind."""
    wanted = request.args.get("kind", "")
    with services().db.read() as connection:
        desk = services().live.current(connection)
        tables = [one for one in rule_list.entries(connection) if in_list(one)]
        acted = rules_store.last_acted(connection)
    kinds = {one.code: str(one.working.get("kind") or ItemKind.TICKET) for one in tables}
    wanted = wanted if wanted in KIND_PLURALS else ""
    shown = [(place, one) for place, one in enumerate(tables, 1) if not wanted or kinds[one.code] in (wanted, ANY_KIND)]
    return render_template(
        "rules_list.html",
        lines=[(place, _line(one, desk.vocabulary)) for place, one in shown],
        wanted=wanted,
        kinds=[
            (gettext("All"), url_for("rules.index"), not wanted, len(tables)),
            *(
                (
                    gettext(label),
                    url_for("rules.index", kind=kind),
                    kind == wanted,
                    sum(1 for one in kinds.values() if one in (kind, ANY_KIND)),
                )
                for kind, label in KIND_PLURALS.items()
            ),
        ],
        acted=acted,
        triggers=TRIGGERS,
        broken=desk.broken,
    )


def _line(stored: Stored, vocabulary: Vocabulary) -> Line:
    if stored.kind is EntryKind.SCRIPT:
        working = stored.working
        wrong = scripts_content.problems_of(stored.code, {**working, "name": stored.name}, vocabulary)
        trigger = rules_words.triggers(working, vocabulary) if is_listed(working) else ""
        return Line(stored, trigger, None, len(wrong), 0, 0)
    document = documents.tidy(stored.working)
    errors, warnings = check({**document, "code": stored.code}, vocabulary, thorough=False)
    changed = rules_words.changes(stored.content, document, vocabulary) if stored.content and stored.draft else []
    return Line(
        stored,
        rules_words.triggers(document, vocabulary),
        len(document["rows"]),
        len(errors),
        sum(1 for one in warnings if one.code != "not_compared"),
        len(changed),
    )


@pages.get("/rules/new")
@needs(PERMISSION)
def new() -> ResponseReturnValue:
    """What a new table can begin with: nothing, or a recipe."""
    return render_template("rules_new.html", triggers=TRIGGERS, recipes=recipes())


@pages.post("/rules")
@needs(PERMISSION)
def create() -> ResponseReturnValue:
    """A new table, as a draft: an empty one, or a recipe's."""
    name = " ".join(request.form.get("name", "").split())[:200]
    if not name:
        raise refuse(422, gettext("The table needs a name. Nothing was created."))
    trigger = request.form.get("trigger", "created")
    draft = documents.blank(name, trigger if trigger in TRIGGERS else "created")
    if "recipe" in request.form:
        recipe = recipes().get(request.form["recipe"])
        if recipe is None:
            abort(404)
        draft = {**recipe.draft, "name": name}
    with services().db.write() as connection:
        code = rule_list.create(connection, EntryKind.TABLE, name, draft, author=me().key, now=now())
    return redirect(url_for("rules.editor.table", code=code))


@pages.post("/rules/<code>/switch")
@needs(PERMISSION)
def switch(code: str) -> ResponseReturnValue:
    """Switch a table on or off, live at once."""
    with services().db.write() as connection:
        table_or_404(connection, code)
        rule_list.switch(connection, code, enabled=request.form.get("enabled") == "1")
    return redirect(url_for("rules.index"))


@pages.post("/rules/<code>/move")
@needs(PERMISSION)
def move(code: str) -> ResponseReturnValue:
    """Move a table, or a script in the list, one place up or down, live at once."""
    up = request.form.get("to") == "up"
    with services().db.write() as connection:
        stored = rule_list.entries(connection)
        order = [one.code for one in stored]
        tables = [one.code for one in stored if in_list(one)]
        if code not in tables:
            abort(404)
        at = tables.index(code)
        other = at - 1 if up else at + 1
        if 0 <= other < len(tables):
            here, there = order.index(code), order.index(tables[other])
            order[here], order[there] = order[there], order[here]
            rule_list.reorder(connection, order)
    return redirect(url_for("rules.index"))


@pages.post("/rules/<code>/delete")
@needs(PERMISSION)
def delete(code: str) -> ResponseReturnValue:
    """Take a table off the list, live at once. What it did stays explained; its code is never given again."""
    with services().db.write() as connection:
        stored = table_or_404(connection, code)
        if stored.draft_count != sent_seen():
            raise refuse(409, gettext("Somebody saved this draft since you opened it. The table was not deleted."))
        rule_list.remove(connection, code, now=now())
        journal.record(connection, journal.Change(me().key, now()), "table", code, {"label": stored.name}, None)
    flash(gettext("%(name)s is deleted; the next event passes without it.", name=stored.name), "ok")
    return redirect(url_for("rules.index"))
