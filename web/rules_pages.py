"""Rules: the list in run order, and one table's editor over its draft.

Every edit is a plain form that works by itself; the page's script sends the same forms in the background and puts the
grid that comes back in its place. The document lives on the server: it is saved with each edit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from jobs.preview import Preview, preview
from jobs.preview import why as why_different
from rules import files
from rules import store as rule_list
from rules.errors import TableInvalid
from rules.listed import is_listed
from rules.parse import KINDS
from rules.store import EntryKind, EntryNotFound, NothingToPublish, StaleDraft, Stored, Version
from rules.table import DEFAULT_WAIT_S, NEVER_WITHOUT, OTHERWISE, WhenUnknown
from rules.triggers import TRIGGERS
from rules.vocabulary import Vocabulary
from tickets import journal
from tickets.people import Permission
from web import rules_document as documents
from web import rules_groups, rules_store, rules_text, rules_words, scripts_content, shipped
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import Labels
from web.names_store import names
from web.rules_document import IF, Document, EditRefused
from web.rules_edits import Desk, edit
from web.rules_forms import (
    CellForm,
    action_menu,
    condition_form,
    field_menu,
    step_form,
    trigger_forms,
)
from web.rules_grid import Grid, check, grid

pages = Blueprint("rules", __name__)

#: Longest note of a publish, in characters; changed tickets that the dock lists; the furthest page of a grid.
NOTE_CHARS = 2_000
LISTED_CHANGES = 50
LAST_PAGE = 100
PERMISSION = Permission.EDIT_RULES


# The list --------------------------------------------------------------------------------------------------------


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
    """Every table, and every script with triggers of its own, in the order in which they run."""
    with services().db.read() as connection:
        desk = services().live.current(connection)
        tables = [one for one in rule_list.entries(connection) if _in_list(one)]
        acted = rules_store.last_acted(connection)
    return render_template(
        "rules_list.html",
        lines=[_line(one, desk.vocabulary) for one in tables],
        acted=acted,
        triggers=TRIGGERS,
        broken=desk.broken,
    )


def _in_list(stored: Stored) -> bool:
    """Whether the entry has a place in the order: a table, or a script whose live version or draft has triggers."""
    if stored.kind is EntryKind.SCRIPT:
        return any(is_listed(content) for content in (stored.content, stored.draft) if content is not None)
    return stored.kind is EntryKind.TABLE


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
    return render_template("rules_new.html", triggers=TRIGGERS, recipes=shipped.recipes())


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
        recipe = shipped.recipes().get(request.form["recipe"])
        if recipe is None:
            abort(404)
        draft = recipe.draft
    with services().db.write() as connection:
        code = rule_list.create(connection, EntryKind.TABLE, name, draft, author=me().key, now=now())
    return redirect(url_for("rules.table", code=code))


@pages.post("/rules/<code>/switch")
@needs(PERMISSION)
def switch(code: str) -> ResponseReturnValue:
    """Switch a table on or off, live at once."""
    with services().db.write() as connection:
        _table(connection, code)
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
        tables = [one.code for one in stored if _in_list(one)]
        if code not in tables:
            abort(404)
        at = tables.index(code)
        other = at - 1 if up else at + 1
        if 0 <= other < len(tables):
            here, there = order.index(code), order.index(tables[other])
            order[here], order[there] = order[there], order[here]
            rule_list.reorder(connection, order)
    return redirect(url_for("rules.index"))


# The editor --------------------------------------------------------------------------------------------------------


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


def _table(connection: Connection, code: str) -> Stored:
    try:
        stored = rule_list.entry(connection, code)
    except EntryNotFound:
        abort(404)
    if stored.kind is not EntryKind.TABLE:
        abort(404)
    return stored


def _open(connection: Connection, code: str) -> Open:
    stored = _table(connection, code)
    desk = services().live.current(connection)
    document = documents.tidy(stored.working)
    vocabulary = desk.vocabulary.of(document["kind"])
    return Open(stored, document, vocabulary, Labels(names(connection), vocabulary.custom_fields))


def _part() -> bool:
    """Whether the page's own script asks, for a piece of the page."""
    return request.headers.get("X-Part") == "1"


def _page() -> int:
    return min(max(1, request.values.get("page", 1, type=int)), LAST_PAGE)


@pages.get("/rules/<code>")
@needs(PERMISSION)
def table(code: str) -> ResponseReturnValue:
    """The grid over the draft, with the dock below it."""
    with services().db.read() as connection:
        found = _open(connection, code)
        before = _runs_after(connection, code)
    shown = _preview(found) if "preview" in request.args else None
    return render_template("rules_table.html", shown=shown, before=before, **_view(found, _page()))


def _view(found: Open, page: int = 1, *, thorough: bool = False) -> dict[str, Any]:
    """What every template about one table gets."""
    return {
        "entry": found.stored,
        "code": found.code,
        "document": found.document,
        "seen": found.stored.draft_count,
        "grid": found.grid(page, thorough=thorough),
        "base": url_for("rules.table", code=found.code),
        "words": rules_words,
        "vocabulary": found.vocabulary,
        "labels": found.labels,
        "part": _part(),
        "otherwise": OTHERWISE,
        "listed": LISTED_CHANGES,
        "hits_json": _hits_json,
        "row_numbers": _row_numbers,
        "effect_label": _effect_label,
    }


def _hits_json(made: Preview) -> str:
    """How often each row fires, for the bars in the grid: {row: [draft, live]}."""
    return json.dumps({row: [one.draft, one.live] for row, one in made.hits.items()})


def _row_numbers(rows: Sequence[str], content: Mapping[str, Any] | None) -> str:
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
    }
    return labels.get(kind, kind)


def _runs_after(connection: Connection, code: str) -> str:
    """The table or script that runs right before this one."""
    last = ""
    for one in rule_list.entries(connection):
        if one.code == code:
            return last
        if one.enabled and one.live_version is not None and _in_list(one):
            last = one.name
    return last


@pages.get("/rules/<code>/rows/<row>")
@needs(PERMISSION)
def row(code: str, row: str) -> ResponseReturnValue:
    """One row as a form; with `only` one of its cells."""
    with services().db.read() as connection:
        found = _open(connection, code)
        data = _row_data(found.document, row)
        only = request.args.get("only", "")
        heads = [(side, head) for side, head in _heads(found.document, row) if not only or head["id"] == only]
        if not heads and only:
            abort(404)
        forms = [_cell_form(connection, found, side, head, data) for side, head in heads]
    ids = [*(one["id"] for one in found.document["rows"]), OTHERWISE]
    at = ids.index(row)
    return render_template(
        "rules_cell.html" if only else "rules_row.html",
        forms=forms,
        was=documents.stamp(data[heads[0][0]].get(only) if only else data),
        row=row,
        data=data,
        number=at + 1 if row != OTHERWISE else 0,
        before=ids[at - 1] if at else "",
        after=ids[at + 1] if at + 1 < len(ids) else "",
        **_view(found),
    )


@pages.get("/rules/<code>/rows/<row>/menu")
@needs(PERMISSION)
def row_menu(code: str, row: str) -> ResponseReturnValue:
    """What can be done with a whole row."""
    with services().db.read() as connection:
        found = _open(connection, code)
    data = _row_data(found.document, row)
    number = next((n for n, one in enumerate(found.document["rows"], 1) if one["id"] == row), 0)
    return render_template("rules_row_menu.html", row=row, data=data, number=number, **_view(found))


def _row_data(document: Document, row: str) -> Mapping[str, Any]:
    if row == OTHERWISE:
        last = document.get(OTHERWISE, {})
        return {"id": OTHERWISE, "if": {}, "then": last.get("then", {}), "rearm": last.get("rearm", "")}
    found = next((one for one in document["rows"] if one["id"] == row), None)
    if found is None:
        abort(404)
    return found


def _heads(document: Document, row: str) -> list[tuple[str, Mapping[str, Any]]]:
    left = [] if row == OTHERWISE else [(IF, head) for head in document["columns"]]
    return [*left, *(("then", head) for head in document["steps"])]


def _cell_form(
    connection: Connection, found: Open, side: str, head: Mapping[str, Any], data: Mapping[str, Any]
) -> CellForm:
    cell = data[side].get(head["id"])
    if side != IF:
        return step_form(head, cell, found.vocabulary)
    field = rules_words.field_or_none(str(head.get("field", "")), found.vocabulary)
    counts = None
    if field is not None and field.state_key:
        counts = rules_store.value_counts(connection, me(), field.state_key, now())
    return condition_form(head, cell, found.vocabulary, counts)


@pages.get("/rules/<code>/rows/<row>/groups")
@needs(PERMISSION)
def groups(code: str, row: str) -> ResponseReturnValue:
    """The groups of a row: conditions of which all, any or none hold. The row "scope" is the table's scope."""
    with services().db.read() as connection:
        found = _open(connection, code)
    if row != rules_groups.SCOPE:
        _row_data(found.document, row)
    if row == OTHERWISE:
        abort(404)
    menu = field_menu(found.vocabulary, outside=row != rules_groups.SCOPE)
    return render_template(
        "rules_groups.html",
        row=row,
        scope=row == rules_groups.SCOPE,
        nodes=rules_groups.forms(rules_groups.members_of(found.document, row), found.vocabulary),
        kinds=rules_groups.kinds(),
        fields=menu,
        **_view(found),
    )


@pages.get("/rules/<code>/settings")
@needs(PERMISSION)
def settings(code: str) -> ResponseReturnValue:
    """Name, kind, triggers, hit policy, wait and note."""
    with services().db.read() as connection:
        found = _open(connection, code)
    wait = found.document.get("wait_s", DEFAULT_WAIT_S)
    return render_template(
        "rules_settings.html",
        triggers=trigger_forms(found.document, found.vocabulary),
        kinds=KINDS,
        wait_how="never_without" if wait == NEVER_WITHOUT else "none" if wait == 0 else "some",
        wait_s=wait if isinstance(wait, (int, float)) and wait else DEFAULT_WAIT_S,
        **_view(found),
    )


@pages.get("/rules/<code>/columns/new")
@needs(PERMISSION)
def new_column(code: str) -> ResponseReturnValue:
    """Choose what a new column looks at, or does."""
    with services().db.read() as connection:
        found = _open(connection, code)
    return render_template(
        "rules_column_new.html",
        side="then" if request.args.get("side") == "then" else IF,
        fields=field_menu(found.vocabulary),
        actions=action_menu(),
        **_view(found),
    )


@pages.get("/rules/<code>/columns/<column>")
@needs(PERMISSION)
def column(code: str, column: str) -> ResponseReturnValue:
    """How a column compares, and where it stands."""
    with services().db.read() as connection:
        found = _open(connection, code)
    shown = found.grid()
    one = next((one for one in (*shown.left, *shown.right) if one.id == column), None)
    if one is None:
        abort(404)
    head = next((head for head in found.document["columns"] if head["id"] == column), None)
    ops = condition_form(head, None, found.vocabulary).ops if head is not None else ()
    outside = head is not None and rules_words.looks_outside(head, found.vocabulary)
    unknown = str(head.get("unknown", WhenUnknown.WAIT)) if head is not None else ""
    unknowns = rules_words.unknowns() if outside or unknown not in ("", WhenUnknown.WAIT) else {}
    return render_template("rules_column.html", column=one, ops=ops, unknowns=unknowns, unknown=unknown, **_view(found))


@pages.get("/rules/<code>/paste")
@needs(PERMISSION)
def paste(code: str) -> ResponseReturnValue:
    """Where to paste a block of cells, for browsers without our script."""
    with services().db.read() as connection:
        found = _open(connection, code)
    return render_template("rules_paste.html", row=request.args.get("row", ""), **_view(found))


@pages.post("/rules/<code>/paste")
@needs(PERMISSION)
def paste_preview(code: str) -> ResponseReturnValue:
    """What a paste would change, before it is saved."""
    with services().db.read() as connection:
        found = _open(connection, code)
        taken = rules_store.taken_ids(connection, code)
    form = MultiDict({**request.form.to_dict(), "do": "paste"})
    try:
        pasted = edit(found.document, form, Desk(found.vocabulary, taken, me().zone)).document
    except EditRefused as refused:
        return _refused(refused, code)
    errors, _ = check({**pasted, "code": code}, found.vocabulary, thorough=False)
    before, _ = check({**found.document, "code": code}, found.vocabulary, thorough=False)
    known = {str(one) for one in before}
    return render_template(
        "rules_paste_preview.html",
        lines=rules_words.changes(found.document, pasted, found.vocabulary),
        problems=[one.message for one in errors if str(one) not in known][:20],
        text=request.form.get("text", ""),
        row=request.form.get("row", ""),
        column=request.form.get("column", ""),
        **_view(found),
    )


@pages.post("/rules/<code>/edit")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Carry out one edit and save the draft."""
    seen = request.form.get("seen", -1, type=int)
    with services().db.write() as connection:
        found = _open(connection, code)
        desk = Desk(found.vocabulary, rules_store.taken_ids(connection, code), me().zone)
        try:
            edited = edit(found.document, request.form, desk)
        except EditRefused as refused:
            return _refused(refused, code)
        if seen != found.stored.draft_count and not _apart(found.document, request.form):
            return _stale(found, edited.document)
        count = found.stored.draft_count
        rule_list.save_draft(connection, code, edited.document, author=me().key, seen=count, now=now())
        found = _open(connection, code)
    if not _part():
        target = request.form.get("next", "")
        if target == "row" and edited.row:
            return redirect(url_for("rules.row", code=code, row=edited.row))
        if target == "groups" and edited.row and "done" not in request.form:
            return redirect(url_for("rules.groups", code=code, row=edited.row))
        anchor = f"row-{edited.row}" if edited.row else None
        return redirect(url_for("rules.table", code=code, _anchor=anchor, page=_page() if _page() > 1 else None))
    view = _view(found, _page())
    return jsonify(
        seen=found.stored.draft_count,
        document=found.document,
        row=edited.row,
        column=edited.column,
        grid=render_template("rules_grid.html", **view),
        head=render_template("rules_state.html", **view),
        facts=render_template("rules_facts.html", before="", **view),
    )


def _refused(refused: EditRefused, code: str) -> ResponseReturnValue:
    if _part():
        return jsonify(error=str(refused)), 422
    flash(str(refused), "bad")
    return redirect(url_for("rules.table", code=code))


def _apart(document: Document, form: Mapping[str, str]) -> bool:
    """Whether what this form changes is still what its editor saw: somebody changed something else meanwhile."""
    if form.get("do") not in ("cell", "row") or "was" not in form:
        return False
    row = next((one for one in document["rows"] if one["id"] == form.get("row")), None)
    if row is None:
        return False
    return form["was"] == documents.stamp(
        row if form["do"] == "row" else documents.cell(document, row["id"], form.get("column", ""))
    )


def _stale(found: Open, mine: Document) -> ResponseReturnValue:
    """Somebody changed the same since this page was opened: both versions side by side, nothing saved."""
    row = request.form.get("row", "")
    both = []
    for heading, document in ((gettext("Saved"), found.document), (gettext("Yours"), mine)):
        one = next((one for one in document["rows"] if one["id"] == row), None)
        if one is not None:
            both.append((heading, rules_words.row_sentence(document, one, found.vocabulary)))
    kept = [(key, value) for key, value in request.form.items(multi=True) if key not in ("seen", "csrf_token")]
    page = render_template(
        "rules_conflict.html",
        lines=rules_words.changes(found.document, mine, found.vocabulary),
        kept=kept,
        both=both,
        name=rules_words.row_name(found.document, row) if row else "",
        **_view(found),
    )
    return (jsonify(html=page, document=found.document), 409) if _part() else (page, 409)


@pages.post("/rules/<code>/discard")
@needs(PERMISSION)
def discard(code: str) -> ResponseReturnValue:
    """Throw the draft away; the live version stays."""
    with services().db.write() as connection:
        stored = _table(connection, code)
        if stored.draft_count != request.form.get("seen", -1, type=int):
            raise refuse(409, gettext("Somebody saved this draft since you opened it. It was not thrown away."))
        rule_list.discard_draft(connection, code)
    flash(gettext("The draft is gone; version %(version)s is live as before.", version=stored.live_version), "ok")
    return redirect(url_for("rules.table", code=code))


@pages.post("/rules/<code>/delete")
@needs(PERMISSION)
def delete(code: str) -> ResponseReturnValue:
    """Take a table off the list, live at once. What it did stays explained; its code is never given again."""
    with services().db.write() as connection:
        stored = _table(connection, code)
        if stored.draft_count != request.form.get("seen", -1, type=int):
            raise refuse(409, gettext("Somebody saved this draft since you opened it. The table was not deleted."))
        rule_list.remove(connection, code, now=now())
        journal.record(connection, journal.Change(me().key, now()), "table", code, {"label": stored.name}, None)
    flash(gettext("%(name)s is deleted; the next event passes without it.", name=stored.name), "ok")
    return redirect(url_for("rules.index"))


# The dock --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """The preview, or the reason why there is none."""

    preview: Preview | None
    reason: str = ""
    bars: tuple[tuple[str, float, float], ...] = ()


def _preview(found: Open) -> Shown:
    """The draft against live over the newest events this person may see."""
    try:
        made = preview(services(), found.code, found.document, me())
    except TableInvalid as error:
        return Shown(
            None,
            gettext(
                "The preview comes when the problems above are mended. There are %(number)s.",
                number=len(error.problems),
            ),
        )
    tallest = max((events for _, events, _ in made.days), default=1)
    bars = tuple(
        (format_date(date.fromisoformat(day), "d MMM"), events / tallest, changed / tallest)
        for day, events, changed in made.days[-14:]
    )
    return Shown(made, "", bars)


@pages.get("/rules/<code>/preview")
@needs(PERMISSION)
def dock(code: str) -> ResponseReturnValue:
    """What would be different if the draft were live."""
    with services().db.read() as connection:
        found = _open(connection, code)
    if not _part():
        return redirect(url_for("rules.table", code=code, preview=1, _anchor="dock"))
    return render_template("rules_dock.html", shown=_preview(found), **_view(found))


@pages.get("/rules/<code>/why/<int:event_id>")
@needs(PERMISSION)
def why(code: str, event_id: int) -> ResponseReturnValue:
    """Both decisions on one event, row by row."""
    with services().db.read() as connection:
        found = _open(connection, code)
    try:
        made = why_different(services(), code, found.document, me(), event_id)
    except TableInvalid:
        raise refuse(422, gettext("The draft has problems; mend them to see what it would do.")) from None
    if made is None:
        abort(404)
    sides = [
        (gettext("If you publish this draft"), next((one for one in made.draft.entries if one.code == code), None)),
        (gettext("What is live"), next((one for one in made.live.entries if one.code == code), None)),
    ]
    return render_template("rules_why.html", made=made, sides=sides, **_view(found))


# Publishing, versions ----------------------------------------------------------------------------------------------


@pages.get("/rules/<code>/review")
@needs(PERMISSION)
def review(code: str) -> ResponseReturnValue:
    """What publishing would change, in words, and on the tickets of the last days."""
    with services().db.read() as connection:
        found = _open(connection, code)
    view = _view(found, thorough=True)
    return render_template("rules_review.html", shown=_preview(found), note="", problem="", **view)


@pages.post("/rules/<code>/publish")
@needs(PERMISSION)
def publish(code: str) -> ResponseReturnValue:
    """Make the draft the next version, live with the next event."""
    note = request.form.get("note", "").replace("\r\n", "\n").strip()
    seen = request.form.get("seen", -1, type=int)
    problem = ""
    with services().db.write() as connection:
        found = _open(connection, code)
        errors, _ = check({**found.document, "code": code}, found.vocabulary, thorough=False)
        if errors:
            problem = gettext("The draft has problems that must be mended first. Nothing was published.")
        elif not note:
            problem = gettext("Say in a sentence what changes and why. Nothing was published.")
        elif len(note) > NOTE_CHARS:
            problem = gettext("The note has at most %(n)s characters. Nothing was published.", n=NOTE_CHARS)
        else:
            try:
                version = rule_list.publish(connection, code, author=me().key, note=note, seen=seen, now=now())
            except StaleDraft as stale:
                raise refuse(409, str(stale)) from None
            except NothingToPublish as nothing:
                raise refuse(422, str(nothing)) from None
    if problem:
        page = render_template("rules_review.html", shown=_preview(found), note=note, problem=problem, **_view(found))
        return page, 422
    flash(gettext("Version %(version)s is live.", version=version), "ok")
    return redirect(url_for("rules.table", code=code))


@pages.get("/rules/<code>/versions")
@needs(PERMISSION)
def versions(code: str) -> ResponseReturnValue:
    """Every version, and what differs between two of them."""
    with services().db.read() as connection:
        found = _open(connection, code)
        every = rule_list.versions(connection, code)
    numbers = {one.version: one for one in every}
    chosen = request.args.get("version", type=int)
    against = request.args.get("against", type=int)
    new = numbers.get(chosen or 0)
    old = numbers.get(against if against is not None else (chosen or 0) - 1)
    return render_template(
        "rules_versions.html",
        versions=every,
        chosen=new,
        against=old,
        lines=_between(old, new, found.vocabulary),
        **_view(found),
    )


def _between(old: Version | None, new: Version | None, vocabulary: Vocabulary) -> list[rules_words.ChangeLine]:
    if new is None:
        return []
    return rules_words.changes(old.content if old is not None else {}, new.content, vocabulary)


@pages.post("/rules/<code>/roll-back")
@needs(PERMISSION)
def roll_back(code: str) -> ResponseReturnValue:
    """Publish an earlier version again. Refused while there is a draft, which would be lost."""
    number = request.form.get("version", 0, type=int)
    with services().db.write() as connection:
        found = _open(connection, code)
        if found.stored.draft_count != request.form.get("seen", -1, type=int):
            raise refuse(
                409, gettext("Somebody changed this table since you opened the page. Nothing was rolled back.")
            )
        if found.stored.draft is not None:
            raise refuse(422, gettext("There is a draft. Publish it or throw it away first. Nothing was rolled back."))
        old = next((one for one in rule_list.versions(connection, code) if one.version == number), None)
        if old is None:
            abort(404)
        errors, _ = check({**old.content, "code": code}, found.vocabulary, thorough=False)
        if errors:
            raise refuse(
                422,
                gettext(
                    "Version %(version)s names things that no longer exist, e.g. %(why)s Nothing was rolled back.",
                    version=number,
                    why=errors[0].message,
                ),
            )
        version = rule_list.roll_back(connection, code, number, author=me().key, now=now())
    flash(gettext("Version %(version)s is live; it says what version %(old)s said.", version=version, old=number), "ok")
    return redirect(url_for("rules.table", code=code))


@pages.get("/rules/<code>.<any(csv, tsv):form>")
@needs(PERMISSION)
def export_grid(code: str, form: str) -> ResponseReturnValue:
    """The grid for a spreadsheet: TSV is cells alone, to be pasted back; CSV has row numbers and headings, too."""
    with services().db.read() as connection:
        found = _open(connection, code)
    cells = rules_text.lines(found.document, found.vocabulary)
    if form == "csv":
        heads = [(IF, one) for one in found.document["columns"]] + [("then", one) for one in found.document["steps"]]
        labels = [rules_words.column_label(head, side, found.vocabulary) for side, head in heads]
        rows = [[gettext("Row"), *labels], *([str(number), *line] for number, line in enumerate(cells, 1))]
        text = rules_text.separated(rows, ",")
    else:
        text = rules_text.separated(cells, "\t")
    return Response(
        text,
        mimetype="text/csv" if form == "csv" else "text/tab-separated-values",
        headers={"Content-Disposition": f'attachment; filename="{json.dumps(code)[1:-1]}.{form}"'},
    )


@pages.get("/rules/<code>.yaml")
@needs(PERMISSION)
def export(code: str) -> ResponseReturnValue:
    """The draft, or what is live, as a file that `flask rules import` reads."""
    with services().db.read() as connection:
        stored = _table(connection, code)
    text = files.dump({"tables": [{**stored.working, "code": code}]})
    return Response(
        text,
        mimetype="application/yaml",
        headers={"Content-Disposition": f'attachment; filename="{json.dumps(code)[1:-1]}.yaml"'},
    )
