"""A person decides about a suggested reply as it is about to publish itself: what the person says counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest
from sqlalchemy import Connection, select

from jobs import automation
from jobs.outbox import deliver
from jobs.services import Services
from jobs.suggestions import approve, edit, reject
from jobs.tables import OutboxRow
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import ana, publish
from tests.jobs.workers import until, waits_for_a_lock
from tickets import store
from tickets.people import Viewer
from tickets.tables import Message

Decide: TypeAlias = Callable[[Services, Connection, Viewer, int], int]

#: A table that answers every new ticket by itself, at once.
ANSWERS: dict[str, Any] = {
    "code": "A01",
    "name": "Answers",
    "kind": "ticket",
    "triggers": [{"on": "created"}],
    "hit": "first",
    "columns": [],
    "steps": [{"id": "s1", "do": "suggest_reply"}],
    "rows": [{"id": "r1", "if": {}, "then": {"s1": {"text": "We received it.", "approval": False}}}],
}
REJECTED = ("cancelled", "Ana rejected it")


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"])
@pytest.mark.parametrize(
    ("decide", "reply", "said"),
    [
        (reject, REJECTED, []),
        (partial(approve, text="It comes today."), ("sent", ""), [("agent", "It comes today.")]),
        (partial(edit, text="We have it."), ("sent", ""), [("bot", "We have it.")]),
    ],
    ids=["reject", "approve", "edit"],
)
def test_who_decides_about_a_reply_while_it_is_about_to_publish_itself_is_heard(
    desk: Services, decide: Decide, reply: tuple[str, str], said: list[tuple[str, str]]
) -> None:
    """SQLite has one writer: there, one of the two is over before the other begins."""
    publish(desk, EntryKind.TABLE, ANSWERS)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.read() as connection:
        row = connection.execute(select(OutboxRow.id).where(OutboxRow.kind == "reply")).scalar_one()
    worker = threading.Thread(target=deliver, args=(desk,))
    with desk.db.write() as connection:
        store.read_item(connection, ticket.item_id, lock=True)
        worker.start()
        assert until(lambda: waits_for_a_lock(desk))
        decide(desk, connection, ana(desk), row)
    worker.join()
    with desk.db.read() as connection:
        became = select(OutboxRow.status, OutboxRow.last_error).where(OutboxRow.id == row)
        assert tuple(connection.execute(became).one()) == reply
        ours = select(Message.author_kind, Message.text).where(Message.author_kind != "customer")
        assert [tuple(one) for one in connection.execute(ours)] == said
