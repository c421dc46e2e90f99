"""How well the tables and scripts do: what they did lately, what they cost, and what colleagues reversed."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from jobs import health
from jobs.health import Health
from rules import store as rule_list
from rules.store import EntryKind, Stored
from web.access import needs
from web.context import now, services
from web.rules_open import PERMISSION, row_numbers

#: Rows named that did nothing; more of them are dots.
ROWS_NAMED = 8

report = Blueprint("health", __name__)


@report.get("/rules/health")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every table and script, those to look at first."""
    with services().db.read() as connection:
        found = health.report(connection, now())
        entries = [
            one
            for one in rule_list.entries(connection)
            if one.kind in (EntryKind.TABLE, EntryKind.SCRIPT) and one.live_version is not None
        ]
        since = rule_list.first_published(connection)
    lines = [
        (one, own, health.advice(one, own, now(), since.get(one.code)), _idle(one, health.rows_never(one, own)))
        for one in entries
        for own in [found.of.get(one.code, Health())]
    ]
    lines.sort(key=lambda line: (line[2] != "distrusted", line[2] != "never"))
    return render_template("rules_health.html", lines=lines, found=found, rules=health)


def _idle(entry: Stored, rows: Sequence[str]) -> str:
    """The rows that did nothing, by the numbers of the grid; "" for none."""
    named = row_numbers(rows[:ROWS_NAMED], entry.content) if rows else ""
    return f"{named} …" if len(rows) > ROWS_NAMED else named
