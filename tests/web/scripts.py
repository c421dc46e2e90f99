"""Scripts for tests of their pages."""

from __future__ import annotations

from rules import store as rule_list
from rules.store import EntryKind, Stored
from tests.web import pages
from tests.web.desk import Desk
from tickets.values import JSON

GOOD = 'log("looking at", ticket.id)\nticket.set_priority("high")\nticket.add_note("Call them")\n'

BAD = "import os\nticket.set_priorty('high')\n"


def stored(desk: Desk, code: str = "S01") -> Stored:
    """A script with its draft and versions."""
    return pages.stored(desk, code)


def a_script(desk: Desk, source: str = GOOD, *, live: bool = True) -> str:
    """A script of this source, live or a draft; its code."""
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        code = rule_list.create(connection, EntryKind.SCRIPT, "Enrich", {"source": source}, author="dev", now=now)
        if live:
            rule_list.publish(connection, code, author="dev", note="First", seen=1, now=now)
    return code


TEST: dict[str, JSON] = {
    "name": "Calls them",
    "facts": {
        "item": {"id": 1, "kind": "ticket", "priority": "normal"},
        "event": {"id": 1, "kind": "created"},
        "now": "2026-11-22T12:00:00+00:00",
    },
    "expect": {
        "status": "finished",
        "error": "",
        "effects": [
            {"action": "set_priority", "kind": "field", "about": "priority", "after": "high", "text": ""},
            {"action": "add_note", "kind": "note", "about": "Call them", "after": None, "text": "Call them"},
        ],
    },
}
