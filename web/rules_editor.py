"""One table's editor over its draft: the grid, its forms, and every edit.

Every edit is a plain form that works by itself; the page's script sends the same forms in the background and puts the
grid that comes back in its place. The document lives on the server: it is saved with each edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from rules import store as rule_list
from rules.parse import KINDS
from rules.table import DEFAULT_WAIT_S, NEVER_WITHOUT, OTHERWISE, WhenUnknown
from web import rules_document as documents
from web import rules_groups, rules_store, rules_words
from web.access import me, needs
from web.context import now, services
from web.look import clock
from web.refusals import said
from web.rules_counts import of_page
from web.rules_dock import shown_preview
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
from web.rules_grid import check
from web.rules_open import PERMISSION, Open, is_part, open_table, page_number, runs_after, view_of
from web.versions import sent_seen

editor = Blueprint("editor", __name__)


@editor.get("/rules/<code>")
@needs(PERMISSION)
def table(code: str) -> ResponseReturnValue:
    """The grid over the draft, with the dock below it."""
    with services().db.read() as connection:
        found = open_table(connection, code)
        before = runs_after(connection, code)
        counted, counted_table = of_page(connection, found, page_number()) if "counted" in request.args else ({}, "")
    shown = shown_preview(found) if "preview" in request.args else None
    return render_template(
        "rules_table.html",
        shown=shown,
        before=before,
        counted=counted,
        counted_table=counted_table,
        **view_of(found, page_number()),
    )


@editor.get("/rules/<code>/rows/<row>")
@needs(PERMISSION)
def row(code: str, row: str) -> ResponseReturnValue:
    """One row as a form; with `only` one of its cells."""
    with services().db.read() as connection:
        found = open_table(connection, code)
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
        **view_of(found),
    )


@editor.get("/rules/<code>/rows/<row>/menu")
@needs(PERMISSION)
def row_menu(code: str, row: str) -> ResponseReturnValue:
    """What can be done with a whole row."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    data = _row_data(found.document, row)
    number = next((n for n, one in enumerate(found.document["rows"], 1) if one["id"] == row), 0)
    return render_template("rules_row_menu.html", row=row, data=data, number=number, **view_of(found))


def _row_data(document: Document, row: str) -> Mapping[str, Any]:
    if row == OTHERWISE:
        last = document.get(OTHERWISE, {})
        return {"id": OTHERWISE, "if": {}, "then": last.get("then", {}), "rearm": last.get("rearm", "")}
    found = next((one for one in document["rows"] if one["id"] == row), None)
    if found is None:
        abort(404)
    return found


def _row_named(document: Document) -> str:
    """The row whose form led to this page and is gone back to, "" for none."""
    row = request.args.get("row", "") or (request.view_args or {}).get("row", "")
    known = row == OTHERWISE or any(one["id"] == row for one in document["rows"])
    return row if known and request.args.get("back") == "row" else ""


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


@editor.get("/rules/<code>/rows/<row>/groups")
@needs(PERMISSION)
def groups(code: str, row: str) -> ResponseReturnValue:
    """The groups of a row: conditions of which all, any or none hold. The row "scope" is the table's scope."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    if row != rules_groups.SCOPE:
        _row_data(found.document, row)
    if row == OTHERWISE:
        abort(404)
    menu = field_menu(found.vocabulary, outside=row != rules_groups.SCOPE)
    return render_template(
        "rules_groups.html",
        row=row,
        back=_row_named(found.document),
        scope=row == rules_groups.SCOPE,
        nodes=rules_groups.forms(rules_groups.members_of(found.document, row), found.vocabulary),
        kinds=rules_groups.kinds(),
        fields=menu,
        **view_of(found),
    )


@editor.get("/rules/<code>/settings")
@needs(PERMISSION)
def settings(code: str) -> ResponseReturnValue:
    """Name, kind, triggers, hit policy, wait and note."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    wait = found.document.get("wait_s", DEFAULT_WAIT_S)
    return render_template(
        "rules_settings.html",
        triggers=trigger_forms(found.document, found.vocabulary),
        kinds=KINDS,
        wait_how="never_without" if wait == NEVER_WITHOUT else "none" if wait == 0 else "some",
        wait_s=wait if isinstance(wait, (int, float)) and wait else DEFAULT_WAIT_S,
        **view_of(found),
    )


@editor.get("/rules/<code>/columns/new")
@needs(PERMISSION)
def new_column(code: str) -> ResponseReturnValue:
    """Choose what a new column looks at, or does."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    return render_template(
        "rules_column_new.html",
        back=_row_named(found.document),
        side="then" if request.args.get("side") == "then" else IF,
        fields=field_menu(found.vocabulary),
        actions=action_menu(),
        **view_of(found),
    )


@editor.get("/rules/<code>/columns/<column>")
@needs(PERMISSION)
def column(code: str, column: str) -> ResponseReturnValue:
    """How a column compares, and where it stands."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    shown = found.grid()
    one = next((one for one in (*shown.left, *shown.right) if one.id == column), None)
    if one is None:
        abort(404)
    head = next((head for head in found.document["columns"] if head["id"] == column), None)
    ops = condition_form(head, None, found.vocabulary).ops if head is not None else ()
    outside = head is not None and rules_words.looks_outside(head, found.vocabulary)
    unknown = str(head.get("unknown", WhenUnknown.WAIT)) if head is not None else ""
    unknowns = rules_words.unknowns() if outside or unknown not in ("", WhenUnknown.WAIT) else {}
    return render_template(
        "rules_column.html", column=one, ops=ops, unknowns=unknowns, unknown=unknown, **view_of(found)
    )


@editor.get("/rules/<code>/paste")
@needs(PERMISSION)
def paste(code: str) -> ResponseReturnValue:
    """Where to paste a block of cells, for browsers without our script."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    return render_template("rules_paste.html", row=request.args.get("row", ""), **view_of(found))


@editor.post("/rules/<code>/paste")
@needs(PERMISSION)
def paste_preview(code: str) -> ResponseReturnValue:
    """What a paste would change, before it is saved."""
    with services().db.read() as connection:
        found = open_table(connection, code)
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
        problems=[said(one.message) for one in errors if str(one) not in known][:20],
        text=request.form.get("text", ""),
        row=request.form.get("row", ""),
        column=request.form.get("column", ""),
        **view_of(found),
    )


@editor.post("/rules/<code>/edit")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Carry out one edit and save the draft."""
    seen = sent_seen()
    with services().db.write() as connection:
        found = open_table(connection, code)
        desk = Desk(found.vocabulary, rules_store.taken_ids(connection, code), me().zone)
        try:
            edited = edit(found.document, request.form, desk)
        except EditRefused as refused:
            return _refused(refused, code)
        if seen != found.stored.draft_count and not _apart(found.document, request.form):
            return _stale(found, edited.document)
        count = found.stored.draft_count
        if edited.document != found.document or _leads_on(request.form) is None:
            rule_list.save_draft(connection, code, edited.document, author=me().key, seen=count, now=now())
        found = open_table(connection, code)
        before = runs_after(connection, code) if is_part() else ""
    if not is_part():
        target = request.form.get("next", "")
        endpoint = _leads_on(request.form)
        if endpoint is not None and edited.row:
            side = "then" if request.form["go"] == "then" else IF
            return redirect(url_for(endpoint, code=code, row=edited.row, side=side, back="row"))
        if target == "row" and edited.row:
            if request.form.get("do") == "row":
                flash(gettext("The draft is saved."), "ok")
            fresh = f"box-{edited.column}" if request.form.get("do") in ("add_condition", "add_step") else None
            return redirect(url_for("rules.editor.row", code=code, row=edited.row, _anchor=fresh))
        if target == "groups" and edited.row and "done" not in request.form:
            back = "row" if request.form.get("back") == "row" else None
            return redirect(url_for("rules.editor.groups", code=code, row=edited.row, back=back))
        if target == "groups" and edited.row and request.form.get("back") == "row":
            return redirect(url_for("rules.editor.row", code=code, row=edited.row))
        anchor = f"row-{edited.row}" if edited.row else None
        return redirect(
            url_for("rules.editor.table", code=code, _anchor=anchor, page=page_number() if page_number() > 1 else None)
        )
    view = view_of(found, page_number())
    return jsonify(
        seen=found.stored.draft_count,
        document=found.document,
        row=edited.row,
        column=edited.column,
        grid=render_template("rules_grid.html", **view),
        head=render_template("rules_state.html", **view),
        facts=render_template("rules_facts.html", before=before, **view),
        saved=clock(found.stored.draft_at),
    )


def _leads_on(form: Mapping[str, str]) -> str | None:
    """Where a row's form leads besides saving it: what was typed there comes along. None for its own button."""
    if form.get("do") != "row":
        return None
    return {
        "if": "rules.editor.new_column",
        "then": "rules.editor.new_column",
        "groups": "rules.editor.groups",
    }.get(form.get("go", ""))


def _refused(refused: EditRefused, code: str) -> ResponseReturnValue:
    if is_part():
        return jsonify(error=said(str(refused))), 422
    flash(said(str(refused)), "bad")
    return redirect(url_for("rules.editor.table", code=code))


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
    if len({text for _, text in both}) == 1:
        both = []  # only its place differs, which is said below
    kept = [(key, value) for key, value in request.form.items(multi=True) if key not in ("seen", "csrf_token")]
    page = render_template(
        "rules_conflict.html",
        lines=rules_words.changes(found.document, mine, found.vocabulary, moved=row),
        kept=kept,
        both=both,
        name=rules_words.row_name(found.document, row) if row else "",
        **view_of(found),
    )
    return (jsonify(html=page, document=found.document), 409) if is_part() else (page, 409)
