"""Items, events and lanes are written together, and what changes nothing writes nothing."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from tests.builders import ANA, BY_ANA, MORNING, a_desk, a_ticket
from tickets import store
from tickets.attachments import ATTACHMENT_BYTES, NewAttachment
from tickets.db import Database
from tickets.effects import AddTo, RemoveFrom, SetField
from tickets.errors import AttachmentRefused, BadValue, ItemNotFound, StaleItem, UnknownField
from tickets.events import Change, EventKind
from tickets.people import viewer
from tickets.tables import Attachment, Blob, EventRow, History, Lane, Message, WorkItem


def change(db: Database, item_id: int, *effects: object, **options: object) -> store.Written:
    with db.write() as connection:
        item = store.read_item(connection, item_id, lock=True)
        return store.change_item(
            connection,
            item,
            lines=[store.Lines(effects, BY_ANA)],  # type: ignore[arg-type]
            actor=ANA,
            now=MORNING,
            **options,  # type: ignore[arg-type]
        )


def count(db: Database, table: object) -> int:
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def test_a_new_ticket_stands_with_its_message_its_event_and_its_lane(database: Database) -> None:
    a_desk(database)
    written = a_ticket(database)
    with database.read() as connection:
        item = store.read_item(connection, written.item_id)
        event = store.event(connection, written.event_id or 0)
        lane = connection.execute(select(Lane.last_seq, Lane.due_at)).one()
        text = connection.execute(select(Message.text)).scalar_one()
    assert item.state["status"] == "open"
    assert item.state["priority"] == "normal"
    assert (event.kind, event.seq, event.root_id, event.depth) == (EventKind.CREATED, 1, event.id, 0)
    assert Change("subject", None, "Charged twice") in event.changes
    assert tuple(lane) == (1, MORNING)
    assert text == "I was charged twice for order 20-7714."


def test_what_was_only_said_is_no_later_change_and_the_end_of_a_script_is_one(database: Database) -> None:
    a_desk(database)
    item_id = a_ticket(database).item_id
    said = store.NewMessage("agent", False, "email", "A note", author_user="ana")
    written = [
        change(database, item_id, messages=(said,)),
        change(database, item_id, SetField("priority", "high")),
        change(database, item_id, kind=EventKind.SCRIPT),
        change(database, item_id, SetField("priority", "low"), messages=(said,)),
    ]
    with database.read() as connection:
        later = store.later_events(connection, item_id, 1)
        changes = store.later_changes(connection, item_id, 1)
        assert store.later_changes(connection, item_id, 4) == [later[3]]
        assert store.later_changes(connection, item_id, 5) == []
    assert [one.id for one in later] == [one.event_id for one in written]
    assert changes == [later[1], later[2], later[3]]


def test_a_change_is_one_event_with_the_net_change_and_a_history_line_each(database: Database) -> None:
    a_desk(database)
    ticket = a_ticket(database)
    written = change(
        database,
        ticket.item_id,
        SetField("priority", "high"),
        SetField("priority", "urgent"),
        AddTo("tags", ("vip", "refund")),
        RemoveFrom("tags", ("refund",)),
    )
    assert written.changes == (Change("priority", "normal", "urgent"), Change("tags", None, ["vip"]))
    assert written.seq == 2
    with database.read() as connection:
        fields = list(connection.execute(select(History.field, History.cause).order_by(History.id)))
    assert [row.field for row in fields] == ["priority", "tags"]
    assert all(row.cause["kind"] == "person" for row in fields)


def test_a_write_that_ends_where_it_began_stores_nothing(database: Database) -> None:
    a_desk(database)
    ticket = a_ticket(database)
    written = change(
        database, ticket.item_id, SetField("priority", "high"), SetField("priority", "normal"), AddTo("tags", ())
    )
    assert written.event_id is None
    assert count(database, EventRow) == 1
    assert count(database, History) == 0


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (SetField("status", "lost"), BadValue),
        (SetField("subject", "x" * 501), BadValue),
        (SetField("colour", "red"), UnknownField),
        (SetField("fields.unheard", "red"), UnknownField),
        (SetField("due_at", "2026-11-21T09:00:00"), BadValue),
        (SetField("due_at", "2026-11-21"), BadValue),
        (SetField("due_at", "0001-01-01T00:00:00+02:00"), BadValue),
    ],
)
def test_a_value_the_field_does_not_take_is_refused_and_nothing_changes(
    sqlite_database: Database, effect: SetField, error: type[Exception]
) -> None:
    a_desk(sqlite_database)
    ticket = a_ticket(sqlite_database)
    with pytest.raises(error):
        change(sqlite_database, ticket.item_id, SetField("priority", "high"), effect)
    assert count(sqlite_database, EventRow) == 1
    with sqlite_database.read() as connection:
        assert store.read_item(connection, ticket.item_id).state["priority"] == "normal"


def test_a_save_over_a_newer_version_is_refused(sqlite_database: Database) -> None:
    a_desk(sqlite_database)
    ticket = a_ticket(sqlite_database)
    change(sqlite_database, ticket.item_id, SetField("priority", "high"), seen_version=1)
    with pytest.raises(StaleItem):
        change(sqlite_database, ticket.item_id, SetField("priority", "low"), seen_version=1)


def test_writers_at_the_same_time_get_sequences_without_gaps(database: Database) -> None:
    a_desk(database)
    ticket = a_ticket(database)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            change(database, ticket.item_id, AddTo("tags", (f"t{number}",)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.read() as connection:
        seqs = list(connection.execute(select(EventRow.seq).order_by(EventRow.seq)).scalars())
        item = store.read_item(connection, ticket.item_id)
    assert seqs == list(range(1, 10))
    assert item.state["tags"] == [f"t{number}" for number in range(8)]


def test_a_restricted_teams_ticket_is_seen_by_its_members_alone(database: Database) -> None:
    a_desk(database)
    ticket = a_ticket(database, team="hr")
    with database.read() as connection:
        hania, ana, root = (viewer(connection, key) for key in ("hania", "ana", "root"))
        assert hania is not None
        assert ana is not None
        assert root is not None
        assert store.read_item(connection, ticket.item_id, viewer=hania).id == ticket.item_id
        for other in (ana, root):
            with pytest.raises(ItemNotFound):
                store.read_item(connection, ticket.item_id, viewer=other)


def test_an_inactive_user_is_nobody(sqlite_database: Database) -> None:
    a_desk(sqlite_database)
    from sqlalchemy import update

    from tickets.tables import User

    with sqlite_database.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(active=False))
    with sqlite_database.read() as connection:
        assert viewer(connection, "ana") is None


def test_the_same_attachment_twice_is_kept_once(database: Database) -> None:
    a_desk(database)
    ticket = a_ticket(database)
    attachment = NewAttachment("statement.pdf", "application/pdf", b"%PDF- one")
    for _ in range(2):
        message = store.NewMessage(
            "agent", False, "email", "see the file", author_user="ana", attachments=(attachment,)
        )
        change(database, ticket.item_id, messages=[message])
    assert count(database, Attachment) == 2
    assert count(database, Blob) == 1


def test_an_attachment_over_the_cap_is_refused_and_the_message_with_it(sqlite_database: Database) -> None:
    a_desk(sqlite_database)
    ticket = a_ticket(sqlite_database)
    big = NewAttachment("big.bin", "application/octet-stream", b"x" * (ATTACHMENT_BYTES + 1))
    message = store.NewMessage("agent", False, "email", "see the file", author_user="ana", attachments=(big,))
    with pytest.raises(AttachmentRefused, match="10 MB"):
        change(sqlite_database, ticket.item_id, messages=[message])
    assert count(sqlite_database, Message) == 1
    assert count(sqlite_database, Blob) == 0


def test_only_a_persons_change_moves_last_modified(sqlite_database: Database) -> None:
    from datetime import timedelta

    from tickets.events import AUTOMATION, Cause

    a_desk(sqlite_database)
    ticket = a_ticket(sqlite_database)
    with sqlite_database.write() as connection:
        item = store.read_item(connection, ticket.item_id, lock=True)
        lines = [store.Lines((SetField("priority", "high"),), Cause("table", "A01", 1, "r1"))]
        later = MORNING + timedelta(hours=1)
        store.change_item(connection, item, lines=lines, actor=AUTOMATION, now=later)
    with sqlite_database.read() as connection:
        row = connection.execute(select(WorkItem.modified_at, WorkItem.updated_at)).one()
    assert row.modified_at == MORNING
    assert row.updated_at == later
