"""A CRM that tickets are noted in: what tests of changes in connected systems begin with."""

from __future__ import annotations

from jobs.services import Services
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, let_write, table, work
from tests.rows.changes import ADD_NOTE, Crm
from tickets.values import utc_now

NOTE = """
code: A01
name: Note it in the CRM
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: change_system}]
rows: [{id: r1, then: {s1: {change: crm.add_note, inputs: {email: a@b.test, text: "{{ticket.subject}}"}}}}]
"""


def allow(desk: Services, crm: Crm, *, careful: bool) -> None:
    """Rules may write in it from now on; `careful`: it carries out a key once, and the connection says so."""
    crm.careful = careful
    let_write(desk, [ADD_NOTE], careful=careful)


def a_change(desk: Services) -> int:
    """A ticket that is to be noted, by the clock of the machine; its number."""
    clock_of(desk).at = utc_now()
    table(desk, NOTE)
    ticket = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    return ticket.item_id
