"""The way between tables and scripts: a table shown as Python and made a script of, a simple script made a table.

Nothing goes live on the way: what is made is a draft, beside what it was made from.
"""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Iterable, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup, escape
from sqlalchemy import Connection

from rules import store as rule_list
from rules.as_python import Gap, Said, Written, as_python
from rules.errors import TableInvalid
from rules.from_python import Line, NotATable, Why, from_python
from rules.listed import KEYS, is_listed
from rules.parse import parse_table
from rules.store import EntryKind, Stored
from tickets.people import Permission
from tickets.values import JSON
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.labels import in_words
from web.refusals import said
from web.rules_open import PERMISSION, Open, open_table, view_of
from web.scripts_content import source_of
from web.scripts_tests import stored_script
from web.scripts_versions import checked_source

shown = Blueprint("python", __name__)
folded = Blueprint("table", __name__)

#: How long the rules behind the new script wait for it, in seconds: then it keeps the table's place in the order.
WAIT_S = 60


@shown.get("/rules/<code>/python")
@needs(PERMISSION)
def look(code: str) -> ResponseReturnValue:
    """The draft, or what is live, as Python, and what Python does not say."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    written = _written(found)
    return render_template(
        "rules_python.html",
        source=coloured(written.source) if written is not None else "",
        missing=_lines(written.missing) if written is not None else [],
        told=_lines(written.told) if written is not None else [],
        wait_s=WAIT_S,
        **view_of(found),
    )


@shown.post("/rules/<code>/python")
@needs(PERMISSION)
def make(code: str) -> ResponseReturnValue:
    """A draft script that says the same, right behind the table. Refused where it would not come to the same."""
    with services().db.write() as connection:
        found = open_table(connection, code)
        if not me().may(Permission.EDIT_SCRIPTS):
            abort(403)
        written = _written(found)
        if written is None:
            raise refuse(422, gettext("The draft has problems that must be mended first. No script was made."))
        if written.missing:
            raise refuse(422, gettext("A script cannot say all of this table. No script was made."))
        draft: dict[str, JSON] = {
            "source": written.source,
            "wait_s": WAIT_S,
            **{key: found.document[key] for key in KEYS if found.document.get(key)},
        }
        name = _name(found.stored)
        made = rule_list.create(connection, EntryKind.SCRIPT, name, draft, author=me().key, now=now())
        _beside(connection, made, code)
    flash(
        gettext(
            "%(name)s is a script now, as a draft. Nothing changes until you publish it; then switch %(code)s off.",
            name=name,
            code=code,
        ),
        "ok",
    )
    return redirect(url_for("scripts.script", code=made))


@folded.get("/scripts/<code>/table")
@needs(Permission.EDIT_SCRIPTS)
def ask(code: str) -> ResponseReturnValue:
    """Whether the draft, or what is live, says what a table can say; else the lines that do not."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
    _, why = _as_table(stored)
    return render_template("scripts_table.html", entry=stored, code=code, why=why)


@folded.post("/scripts/<code>/table")
@needs(Permission.EDIT_SCRIPTS)
def fold(code: str) -> ResponseReturnValue:
    """A draft table that says the same, right behind the script."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
    if not me().may(PERMISSION):
        abort(403)
    draft, _ = _as_table(stored)
    if draft is None:
        raise refuse(422, gettext("A table cannot say all of this script. No table was made."))
    with services().db.write() as connection:
        stored_script(connection, code)
        name = _name(stored)
        made = rule_list.create(connection, EntryKind.TABLE, name, draft, author=me().key, now=now())
        _beside(connection, made, code)
    flash(
        gettext(
            "%(name)s is a table now, as a draft. Nothing changes until you publish it; then switch %(code)s off.",
            name=name,
            code=code,
        ),
        "ok",
    )
    return redirect(url_for("rules.editor.table", code=made))


def _written(found: Open) -> Written | None:
    """The table as Python; None while it has problems."""
    try:
        table = parse_table({**found.document, "code": found.code}, found.vocabulary)
    except TableInvalid:
        return None
    return as_python(table, found.vocabulary)


def _as_table(stored: Stored) -> tuple[dict[str, JSON] | None, list[str]]:
    """(the table that the script says, None when it says more, and then why)."""
    content = stored.working
    if not is_listed(content):
        return None, [gettext("It does not stand in the rule list itself. Say on “When it runs” when it runs.")]
    if content.get("params"):
        return None, [gettext("It takes parameters, and a table has none.")]
    checked = checked_source(source_of(content))
    if not checked.ok:
        return None, [
            gettext("Line %(line)s: %(why)s", line=one.line, why=said(one.message))
            for one in checked.problems
            if one.severity == "error"
        ]
    with services().db.read() as connection:
        vocabulary = services().live.current(connection).vocabulary
    around: dict[str, JSON] = {key: content[key] for key in KEYS if content.get(key)}
    try:
        # The jail has read this text just now, so Python's parser may be given it here.
        made = from_python(source_of(content), {"code": stored.code, "name": _name(stored), **around}, vocabulary)
    except NotATable as refused:
        return None, [_reason(one) for one in refused.lines]
    return {key: value for key, value in made.items() if key != "code"}, []


def _name(stored: Stored) -> str:
    """As the draft calls it, if there is one: what is made is made of that."""
    return str(stored.working.get("name") or stored.name)


def _beside(connection: Connection, made: str, code: str) -> None:
    """Put what was made right behind what it was made from. It is not live, so the order of what runs stays."""
    order = [one.code for one in rule_list.entries(connection) if one.code != made]
    order.insert(order.index(code) + 1, made)
    rule_list.reorder(connection, order)


# In words -----------------------------------------------------------------------------------------------------------


def _lines(said_of: Iterable[Said]) -> list[str]:
    """A sentence for each thing, with the rows that it is about."""
    rows: dict[str, list[str]] = {}
    for one in said_of:
        numbers = rows.setdefault(_gap(one), [])
        if one.row:
            numbers.append(one.row)
    return [_of_rows(numbers) + sentence for sentence, numbers in rows.items()]


def _of_rows(numbers: Sequence[str]) -> str:
    if not numbers:
        return ""
    if len(numbers) == 1:
        return gettext("Row %(number)s", number=numbers[0]) + ": "
    return gettext("Rows %(numbers)s", numbers=", ".join(numbers)) + ": "


def _gap(one: Said) -> str:
    about = in_words(one.about)
    match one.gap:
        case Gap.FIELD:
            return gettext("Scripts cannot look at “%(what)s”.", what=about)
        case Gap.OPERATOR:
            return gettext("Scripts have no word for “%(what)s”.", what=about)
        case Gap.ACTION:
            return gettext("A script does “%(what)s” in another way, with its own checks.", what=about)
        case Gap.PLACEHOLDER:
            return gettext("A script cannot fill in “%(what)s” as people read it.", what=about)
        case Gap.REARM:
            return gettext("It does not fire every time, and only a table keeps what has fired for a ticket.")
        case Gap.RUN_AGAIN:
            return gettext("The table runs again when a later entry changes what it reads; a script runs once.")
        case Gap.NEVER_WITHOUT:
            return gettext("The table is never decided without its look-ups; a script goes on without them.")
        case Gap.BROKEN:
            return gettext("“%(what)s” is not there any more.", what=about)
        case Gap.LIST:
            return gettext(
                "What the list %(what)s holds now stands in the source; later changes of it do not.", what=about
            )
        case Gap.ASKS:
            return gettext(
                "“%(what)s” is asked whenever the script runs, also when no row needs its answer.", what=about
            )
        case Gap.UNKNOWN:
            return gettext("“%(what)s”: a script waits for the answer no longer than the call takes.", what=about)
        case Gap.TOGETHER:
            return gettext("All steps are applied together: when one is refused or a condition fails, none is.")
        case Gap.BESIDE:
            return gettext("What sets it off and for which tickets it is stands beside the source, on “When it runs”.")


def _reason(line: Line) -> str:
    return gettext("Line %(line)s: %(why)s", line=line.number, why=_why(line))


def _why(line: Line) -> str:
    match line.why:
        case Why.PYTHON:
            return gettext("It cannot be read.")
        case Why.STATEMENT:
            return gettext("A table only has rows: if, elif, else, steps of the ticket, and stop at the end of a row.")
        case Why.CONDITION:
            return gettext("This is no condition of a table.")
        case Why.FIELD:
            return gettext("“%(what)s” is nothing that a table looks at.", what=line.about)
        case Why.OPERATOR:
            return gettext("A table does not compare like this (%(what)s).", what=line.about)
        case Why.VALUE:
            return gettext("A table only has values that are written out.")
        case Why.ACTION:
            return gettext("A table has no step “%(what)s”.", what=line.about)
        case Why.ORDER:
            return gettext("In a table either the first row that matches counts, or every row: if and elif do not mix.")
        case Why.BEHIND:
            return gettext("In a table no row stands behind a stop, or behind what is done when no row matches.")
        case Why.ASKING:
            return gettext("A table asks a connection in one way only; see a table's tab “As Python”.")
        case Why.TABLE:
            return said(line.about)


def coloured(source: str) -> Markup:
    """Python text that we wrote, with its comments, texts and words of the language marked."""
    found, at = [], (1, 0)
    # Lines as Python counts them: a text may hold other characters that `splitlines` takes for the end of one.
    lines = io.StringIO(source).readlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = "c" if token.type == tokenize.COMMENT else "s" if token.type == tokenize.STRING else ""
        if not kind and token.type == tokenize.NAME and keyword.iskeyword(token.string):
            kind = "k"
        if not kind:
            continue
        found.append(escape(_between(lines, at, token.start)))
        found.append(Markup('<span class="py-{}">{}</span>').format(kind, token.string))
        at = token.end
    found.append(escape(_between(lines, at, (len(lines) + 1, 0))))
    return Markup("").join(found)


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (line, column) to another."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return (
        lines[start[0] - 1][start[1] :] + "".join(lines[start[0] : end[0] - 1]) + last if start[0] <= len(lines) else ""
    )
