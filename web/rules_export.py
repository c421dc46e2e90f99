"""A table as a file to take away: the cells for a spreadsheet, the whole of it as YAML."""

from __future__ import annotations

import json

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from rules import files
from web import rules_text, rules_words
from web.access import needs
from web.context import services
from web.rules_document import IF
from web.rules_files import switched
from web.rules_open import PERMISSION, open_table, table_or_404

exports = Blueprint("exports", __name__)


@exports.get("/rules/<code>.<any(csv, tsv):form>")
@needs(PERMISSION)
def grid(code: str, form: str) -> ResponseReturnValue:
    """The grid for a spreadsheet: TSV is cells alone, to be pasted back; CSV has row numbers and headings, too.

    Its words are English, whoever takes it: then it is the same file for all who work on it."""
    with services().db.read() as connection:
        found = open_table(connection, code)
    cells = rules_text.lines(found.document, found.vocabulary)
    if form == "csv":
        heads = [(IF, one) for one in found.document["columns"]] + [("then", one) for one in found.document["steps"]]
        labels = [rules_words.heading(head, side, found.vocabulary) for side, head in heads]
        rows = [["Row", *labels], *([str(number), *line] for number, line in enumerate(cells, 1))]
        text = rules_text.separated(rows, ",")
    else:
        text = rules_text.separated(cells, "\t")
    return Response(
        text,
        mimetype="text/csv" if form == "csv" else "text/tab-separated-values",
        headers={"Content-Disposition": f'attachment; filename="{json.dumps(code)[1:-1]}.{form}"'},
    )


@exports.get("/rules/<code>.yaml")
@needs(PERMISSION)
def table(code: str) -> ResponseReturnValue:
    """The draft, or what is live, as a file that `flask rules import` reads."""
    with services().db.read() as connection:
        stored = table_or_404(connection, code)
    content = {key: value for key, value in stored.working.items() if key != "enabled"}
    text = files.dump({"tables": [{**content, "code": code, **switched(stored)}]})
    return Response(
        text,
        mimetype="application/yaml",
        headers={"Content-Disposition": f'attachment; filename="{json.dumps(code)[1:-1]}.yaml"'},
    )
