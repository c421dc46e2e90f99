"""How well the tables and scripts do: what they did lately, what they cost, and what colleagues reversed."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from jobs import health
from jobs.health import Health
from rules import store as rule_list
from rules.store import EntryKind
from web.access import needs
from web.context import now, services
from web.rules_open import PERMISSION

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
        (one, own, health.advice(one, own, now(), since.get(one.code)), health.rows_never(one, own))
        for one in entries
        for own in [found.of.get(one.code, Health())]
    ]
    lines.sort(key=lambda line: (line[2] != "distrusted", line[2] != "never"))
    return render_template("rules_health.html", lines=lines, found=found, rules=health)
