"""The desk that ./run chaos works on: tables that answer, ask, run, tell, write elsewhere and wait; their systems."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from connectors import store as connections
from rules import store as rule_list
from rules.store import EntryKind
from tests.chaos_feed import MAILBOX, SECRET
from tests.jobs.desk import a_desk_with_a_crm, connect_hooks, publish, table
from tickets.tables import Mailbox
from tickets.values import utc_now
from web import api_store

ANSWER_ALL = """
code: C01
name: Answer everything
kind: ticket
triggers: [{on: created}, {on: message, by: customer, visibility: public}]
hit: every
steps: [{id: s1, do: post_message}]
rows:
  - id: r1
    then: {s1: {text: "We answer you about {{ticket.subject}}.", public: true}}
"""
#: What every new ticket asks of the sandbox and of the CRM.
SCRIPT = """
try:
    known = crm.find_customer(email=customer.email)
    ticket.add_note("S01: " + known.name)
except Unavailable:
    ticket.add_note("S01: the CRM is away")
"""
RUN_ALL = """
code: C02
name: Run a script about everything new
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""
ASK_ALL = """
code: C03
name: Tag by tier
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 60
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: gold}}, then: {s1: {tags: [gold]}}}]
"""
TELL_ALL = """
code: C04
name: Tell the receiver
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: webhook}]
rows: [{id: r1, then: {s1: {connection: hooks, event: ticket.created}}}]
"""
#: What a ticket that waits for a time does when it comes.
TIME = "T05: its time has come"
AT_ITS_TIME = f"""
code: C05
name: When its time comes
kind: ticket
triggers: [{{on: after_date, field: ticket.due_at}}]
hit: every
steps: [{{id: s1, do: add_note}}]
rows: [{{id: r1, then: {{s1: {{text: "{TIME}"}}}}}}]
"""
#: What every new ticket has written into the books.
WRITE_ALL = """
code: C06
name: Write it into the books
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: change_system}]
rows: [{id: r1, then: {s1: {change: books.enter, inputs: {ticket: "{{ticket.id}}"}}}}]
"""
#: The card that holds the answer.
ENTERED = "books_enter"
BOOKS: dict[str, Any] = {
    "operations": [
        {
            "name": "enter",
            "kind": "write",
            "inputs": [{"name": "ticket", "type": "text"}],
            "method": "POST",
            "path": "/entries",
            "body": {"ticket": "{ticket}"},
            "map": {"id": {"path": "id", "type": "text"}},
        }
    ],
    "idempotent": True,
    "calls_per_minute": 6000,
}


def fill(folder: Path, url: str, redis_url: str, *, crm: str, hooks: str, books: str) -> str:
    """Fill the desk, with its systems at these addresses; returns a token for its API."""
    with a_desk_with_a_crm(url, folder, crm, "", redis_url=redis_url) as services:
        with services.db.write() as connection:
            digest = sha256(SECRET.encode()).hexdigest()
            connection.execute(
                insert(Mailbox).values(key=MAILBOX, address="support@shop.example", secret_sha256=digest)
            )
            connect_hooks(connection, services, hooks)
            config = {**BOOKS, "base_url": books}
            connections.save_connection(
                connection,
                services.box,
                name="books",
                kind="http_json",
                config=config,
                allow_write=True,
                now=services.clock.now(),
            )
            rule_list.bump(connection)
            token = api_store.new_token(connection, user="ana", name="", now=utc_now(), days=None)
        publish(services, EntryKind.SCRIPT, {"code": "S01", "name": "Ask the CRM", "source": SCRIPT})
        for content in (ANSWER_ALL, RUN_ALL, ASK_ALL, TELL_ALL, AT_ITS_TIME, WRITE_ALL):
            table(services, content)
    return token
