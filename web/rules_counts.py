"""How many tickets match now, beside each row, for the table, and for a row while it is being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext, ngettext
from sqlalchemy import Connection

from jobs import counting
from jobs.counting import MOST_ITEMS, Count, Counts, Why
from rules.compiled import CompiledTable
from rules.decision import Entry
from rules.errors import TableInvalid
from rules.parse import parse_table
from rules.table import OTHERWISE
from web import rules_groups, rules_store
from web.access import me, needs
from web.context import now, services
from web.labels import in_words
from web.refusals import said
from web.rules_document import Document, EditRefused
from web.rules_edits import Desk, edit
from web.rules_grid import PAGE_ROWS
from web.rules_open import PERMISSION, Open, is_fragment, open_table, page_number

counts = Blueprint("counts", __name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A count in words: what stands in the grid, and the whole sentence."""

    short: str
    sentence: str


@counts.get("/rules/<code>/counts")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """The counts of one page of the grid; each goes to its row. A browser without scripts gets the page with them."""
    if not is_fragment():
        return redirect(url_for("rules.editor.table", code=code, counted=1))
    with services().db.read() as connection:
        found = open_table(connection, code)
        told, table = of_page(connection, found, page_number())
    return render_template("rules_counts.html", told=told, table=table)


@counts.post("/rules/<code>/rows/<row>/count")
@needs(PERMISSION)
def draft_row(code: str, row: str) -> ResponseReturnValue:
    """The count of a row as the sent form has it, which is not saved."""
    with services().db.read() as connection:
        found = open_table(connection, code)
        desk = Desk(found.vocabulary, rules_store.taken_ids(connection, code), me().zone)
        try:
            document = edit(found.document, request.form, desk).document
        except EditRefused as refused:
            return render_template("rules_count.html", sentence=said(str(refused)))
        return render_template("rules_count.html", sentence=of_row(connection, found, document, row))


def of_page(connection: Connection, found: Open, page: int) -> tuple[dict[str, Told], str]:
    """(the counts of this page's rows by id, the table's in a sentence)."""
    first = (page - 1) * PAGE_ROWS
    rows = [str(one["id"]) for one in found.document["rows"][first : first + PAGE_ROWS]]
    made = _counted(connection, found, found.document, rows)
    if made is None:
        return {}, gettext("Tickets are counted when the problems are mended.")
    return {row: told(one) for row, one in made.rows.items()}, told(made.table).sentence


def of_row(connection: Connection, found: Open, document: Document, row: str) -> str:
    """How many tickets match this row of the document, in a sentence; "" for the last row, which has no conditions."""
    if row == OTHERWISE:
        return ""
    alone = [one for one in document["rows"] if one["id"] == row]
    if row == rules_groups.SCOPE:
        alone = [{"id": "r1", "if": {}, "then": {}}]
    # What is wrong with other rows is no reason not to count this one.
    made = _counted(connection, found, {**document, "rows": alone}, [one["id"] for one in alone])
    if made is None or not made.rows:
        return gettext("Not counted: the row has problems.")
    return told(next(iter(made.rows.values()))).sentence


def _counted(connection: Connection, found: Open, document: Mapping[str, Any], rows: Sequence[str]) -> Counts | None:
    """The counts of these rows; of those that can be read, and None where the table's own head cannot."""
    compiled = _compiled(found, document)
    if compiled is None:
        return None
    scripts = services().live.current(connection).scripts
    return counting.counts(connection, compiled, found.vocabulary, scripts, me(), now(), rows=rows)


def _compiled(found: Open, document: Mapping[str, Any]) -> CompiledTable | None:
    table = None
    data: dict[str, Any] = {**document, "code": found.code}
    try:
        table = parse_table(data, found.vocabulary)
    except TableInvalid as invalid:
        bad = {one.where.get("row") for one in invalid.problems}
        data["rows"] = [one for one in document["rows"] if one["id"] not in bad]
        if OTHERWISE in bad:
            data[OTHERWISE] = None
        try:
            table = parse_table(data, found.vocabulary)
        except TableInvalid:
            return None
    entry = Entry(found.code, found.stored.name, 0, 0, True, table)
    return CompiledTable.of(entry, 0, table, found.vocabulary)


def told(count: Count) -> Told:
    """A count as people read it."""
    number = format_decimal(count.number)
    if count.exact:
        return Told(number, ngettext("%(num)s ticket matches now.", "%(num)s tickets match now.", count.number))
    if count.number == 0 and count.why is not Why.MORE_ITEMS:
        return Told("–", _not_counted(count))
    return Told(f"≥ {number}", _at_least(count))


def _not_counted(count: Count) -> str:
    match count.why:
        case Why.OUTSIDE:
            return gettext("Not counted: %(system)s would have to be asked.", system=in_words(count.about))
        case Why.EVENT:
            field = in_words(count.about)
            return gettext("Not counted: it depends on what happens to a ticket (%(field)s).", field=field)
        case Why.TOO_MANY:
            return gettext("Not counted: to look at all of them would take too long.")
        case _:
            return gettext("Not counted: a condition cannot be decided.")


def _at_least(count: Count) -> str:
    n = count.number
    match count.why:
        case Why.OUTSIDE:
            return ngettext(
                "At least %(num)s ticket matches now; for others %(system)s would have to be asked.",
                "At least %(num)s tickets match now; for others %(system)s would have to be asked.",
                n,
                system=in_words(count.about),
            )
        case Why.EVENT:
            return ngettext(
                "At least %(num)s ticket matches now; for others it depends on what happens to them (%(field)s).",
                "At least %(num)s tickets match now; for others it depends on what happens to them (%(field)s).",
                n,
                field=in_words(count.about),
            )
        case Why.MORE_ITEMS:
            return ngettext(
                "At least %(num)s ticket matches now; only the newest %(most)s were looked at.",
                "At least %(num)s tickets match now; only the newest %(most)s were looked at.",
                n,
                most=format_decimal(MOST_ITEMS),
            )
        case Why.TOO_MANY:
            return ngettext(
                "At least %(num)s ticket matches now; to look at all of them would take too long.",
                "At least %(num)s tickets match now; to look at all of them would take too long.",
                n,
            )
        case _:
            return ngettext(
                "At least %(num)s ticket matches now; for others a condition cannot be decided.",
                "At least %(num)s tickets match now; for others a condition cannot be decided.",
                n,
            )
