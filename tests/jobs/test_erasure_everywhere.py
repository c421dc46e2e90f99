"""Every column of every table that hangs on a person: what is written there is gone afterwards, or is nobody's words.

The tables are asked for what they are, so a new table or column fails here until it is said what erasure does to it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    inspect,
    select,
    true,
    update,
)
from sqlalchemy.sql.expression import text as sql

from connectors.store import RecordTable
from jobs import bounces, lanes
from jobs.erasure import erase
from jobs.services import Services
from jobs.tables import (
    LedgerRow,
    LookupRow,
    ReplayItemRow,
    ReplayRow,
    RowSetAside,
    RunRow,
    SkippedRow,
    UndoItemRow,
    UndoRow,
)
from tests.builders import ANA, BY_ANA, a_ticket
from tests.jobs.desk import decisions, item, work
from tickets import requests, store, tokens
from tickets.db import Base
from tickets.effects import SetField
from tickets.errors import Fenced
from tickets.events import Actor, ActorKind, Cause
from tickets.questions import questions_from
from tickets.store import AnyRow, NewMessage
from tickets.tables import CustomField, EventRow, History, Message, PersonAddress, Seen, SlaClockRow, Timer

#: Tables that hang on nobody: what the desk's own people set up and write about how they work, and numbers (shadows).
OF_THE_DESK = frozenset(
    "api_tokens brands calendars clock_state compiled_scripts connections custom_fields entries entry_versions"
    " job_statuses location_group_members location_groups locations mail_accounts mailboxes named_lists pipelines"
    " question_lists replays rotations rule_revision setting_changes shadows sla_policies stages team_members teams"
    " time_triggers undos users".split()
)
#: Tables about people that no key leads to.
LOOSE = ("blobs", "connector_calls", "connector_records", "held_addresses", "idempotency_keys")
#: What rows are found by: a mark of its own stands there already.
FOUND_BY = ("person_addresses.address", "held_addresses.address")
#: Columns in which nobody's words stand, and why nothing is erased there.
KEPT: Mapping[str, str] = {
    "blobs.sha256": "the name of bytes that are gone",
    "connector_calls.connection": "the name of a system",
    "connector_calls.operation": "the name of a system's operation",
    "connector_calls.inputs_hash": "what the row is found by",
    "connector_records.connection": "the name of a system",
    "connector_records.operation": "the name of a system's operation",
    "connector_records.inputs_hash": "what the row is found by",
    "events.kind": "a word of ours",
    "events.actor_kind": "a word of ours",
    "events.actor_ref": "a number, or a colleague",
    "events.status": "a word of ours",
    "fired.row_key": "a row of a table",
    "history.field": "the name of a field",
    "history.outcome": "a word of ours",
    "history.cause": "a person, or a row of a table",
    "idempotency_keys.principal": "a token",
    "inbound_mails.fingerprint": "a hash",
    "inbound_mails.outcome": "a word of ours",
    "items.kind": "a word of ours",
    "items.status": "a word of the desk's",
    "items.priority": "a word of ours",
    "items.assignees": "colleagues",
    "items.tags": "words of the desk's",
    "items.channel": "a word of ours",
    "items.language": "a language",
    "items.due_at": "a date",
    "items.sla": "a policy",
    "items.snoozed_until": "a date",
    "items.snoozed_for": "a word of ours",
    "items.snoozed_from": "a word of the desk's",
    "lanes.token": "of a worker",
    "links.kind": "a word of ours",
    "lookups.connection": "the name of a system",
    "lookups.operation": "the name of a system's operation",
    "lookups.state": "a word of ours",
    "messages.author_kind": "a word of ours",
    "messages.channel": "a word of ours",
    "messages.language": "a language",
    "messages.cause": "a person, or a row of a table",
    "replay_items.status": "a word of ours",
    "row_ledger.row_key": "a row of a table",
    "runs.key": "a step of a table",
    "runs.cause": "a row of a table",
    "runs.status": "a word of ours",
    "seen.who": "a number, or a colleague",
    "skipped_rows.row_key": "a row of a table",
    "sla_clocks.target": "a word of ours",
    "sla_clocks.policy": "a policy",
    "timers.key": "a table's timer",
    "undo_items.status": "a word of ours",
    "timers.outcome": "a word of ours",
}
#: The fields that hold what somebody wrote, or a fact about them.
WRITTEN = ("subject", "fields.born")
#: Of these only what the customer did carries their name; who of ours worked on it stays.
THEIRS: Mapping[str, ColumnElement[bool]] = {
    "events.actor_name": EventRow.actor_kind.in_(("customer", "third_party")),
    "history.actor_name": History.event_id.in_(
        select(EventRow.id).where(EventRow.actor_kind.in_(("customer", "third_party")))
    ),
    "messages.author_name": Message.author_kind.in_(("customer", "third_party")),
    "messages.author_address": Message.author_kind.in_(("customer", "third_party")),
    "row_ledger.episode": LedgerRow.episode.startswith("fields."),
    "timers.episode": Timer.episode.startswith("fields."),
    "history.change": History.field.in_(WRITTEN),
    "events.progress": EventRow.status == "waiting",
}


def leads_to_a_person(table: Table, seen: frozenset[str] = frozenset()) -> bool:
    return table.name in ("persons", "items") or any(
        leads_to_a_person(key.column.table, seen | {table.name})
        for key in table.foreign_keys
        if key.column.table.name not in seen | {table.name}
    )


def personal_tables() -> list[Table]:
    return [one for name, one in Base.metadata.tables.items() if name in LOOSE or leads_to_a_person(one)]


def holds_words(column: Column[Any]) -> bool:
    return isinstance(column.type, (String, Text, JSON, LargeBinary)) and not column.foreign_keys


def columns() -> Iterator[tuple[str, Column[Any]]]:
    for one in personal_tables():
        for column in one.columns:
            if holds_words(column):
                yield f"{one.name}.{column.name}", column


def everything(services: Services) -> dict[str, str]:
    """Every table there is, those of the search index too, as text."""
    with services.db.read() as connection:
        names = inspect(connection).get_table_names()
        found = {}
        for name in names:
            rows = connection.execute(sql(f'SELECT * FROM "{name}"')).all()
            found[name] = "\n".join(
                " ".join(one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in row) for row in rows
            )
        return found


def with_mark(column: Column[Any], value: Any, mark: str) -> Any:
    """What a column holds with the mark in it, where there is room for what somebody said."""
    if isinstance(column.type, LargeBinary):
        return value + mark.encode()
    if not isinstance(column.type, JSON):
        return f"{value} {mark}" if column.name == "episode" else mark
    if column.name == "changes":
        return [{**one, "after": mark} if one["field"] in WRITTEN else one for one in value]
    if column.name == "change":
        return {"before": mark, "after": mark}
    return [*value, mark] if isinstance(value, list) else {**(value or {}), "said": mark}


def test_every_table_is_about_somebody_or_about_the_desk() -> None:
    """A new table about people needs a row in `full`; one about nobody is named in OF_THE_DESK."""
    assert {one.name for one in personal_tables()} | OF_THE_DESK == set(Base.metadata.tables)
    assert {one.name for one in personal_tables()} & OF_THE_DESK == set()


def test_what_is_said_to_be_nobodys_words_is_a_column_that_there_is() -> None:
    there = {name for name, _ in columns()}
    assert (set(KEPT) | set(THEIRS)) - there == set()
    assert set(KEPT) & set(THEIRS) == set()


@pytest.fixture
def full(desk: Services, dana: int) -> int:
    """Dana's ticket with a row in every table that hangs on one; her number as a person."""
    current = item(desk, dana)
    person = current.state["customer"]
    assert isinstance(person, int)
    other = a_ticket(desk.db, email="camille@example.com")
    work(desk)
    now = desk.clock.now()
    with desk.db.write() as connection:
        connection.execute(insert(CustomField).values(kind="ticket", key="born", label="Born", type="time", options={}))
        connection.execute(
            insert(CustomField).values(kind="ticket", key="size", label="Size", type="choice", options={"m": "M"})
        )
        changed = store.Lines(
            (SetField("fields.born", "1980-02-03T00:00:00+00:00"), SetField("fields.size", "m")), BY_ANA
        )
        theirs = Actor(ActorKind.CUSTOMER, str(person), "Dana Scully")
        store.change_item(connection, current, lines=[changed], actor=theirs, now=now)
        connection.execute(sql("INSERT INTO followers (item_id, \"user\") VALUES (:item, 'ana')"), {"item": dana})
        connection.execute(
            sql("INSERT INTO links (kind, from_item, to_item) VALUES ('contains', :item, :other)"),
            {"item": dana, "other": other.item_id},
        )
        event = connection.execute(select(func.max(EventRow.id)).where(EventRow.item_id == dana)).scalar_one()
        connection.execute(
            update(EventRow).where(EventRow.id == event).values(status="waiting", progress={"at": "A01"})
        )
        for key in ("fields.born 1980-02-03T00:00:00+00:00", "open since 1"):
            connection.execute(
                insert(LedgerRow).values(item_id=dana, row_key="A01/r1", episode=key, event_id=event, at=now)
            )
        connection.execute(
            insert(Timer).values(
                item_id=dana, key="A01:x", episode="fields.born 1980-02-03T00:00:00+00:00", due_at=None, outcome="fired"
            )
        )
        connection.execute(
            insert(SlaClockRow).values(item_id=dana, target="first_reply", policy="p", start=now, due_at=now, left_s=0)
        )
        connection.execute(
            insert(RowSetAside).values(event_id=event, item_id=dana, row_key="A01/r1", reason="x", at=now)
        )
        lookup = connection.execute(sql("SELECT min(id) FROM lookups")).scalar_one()
        connection.execute(insert(SkippedRow).values(event_id=event, lookup_id=lookup, row_key="A01/r1"))
        undone = {"code": "A01", "version": 1, "since": now, "until": now, "asked_by": "ana", "asked_at": now}
        undo = connection.execute(insert(UndoRow).values(undone).returning(UndoRow.id)).scalar_one()
        taken_back = {"undo_id": undo, "item_id": dana, "status": "done", "outcome": {"back": ["team"]}}
        connection.execute(insert(UndoItemRow).values(taken_back))
        asked = {"asked_by": "ana", "asked_at": now, "drafts": {}, "revision": 1, "picked": {}, "scripts": True}
        state = {"hidden": 0, "status": "done", "problem": "", "worked_ms": 0, "tries": 0}
        replay = connection.execute(insert(ReplayRow).values(**asked, **state).returning(ReplayRow.id)).scalar_one()
        played = {"replay_id": replay, "item_id": dana, "status": "same", "outcome": {"lines": {}}}
        connection.execute(insert(ReplayItemRow).values(played))
        connection.execute(sql("INSERT INTO fired (root_id, row_key) VALUES (:event, 'A01/r9')"), {"event": event})
        connection.execute(
            insert(PersonAddress).values(person_id=person, kind="email", address="zq-address@example.com")
        )
        bounces.hold(connection, "zq-address@example.com", "no such user", now)
        mine = Message.item_id == dana
        seen = connection.execute(select(func.min(Message.id)).where(mine)).scalar_one()
        connection.execute(insert(Seen).values(message_id=seen, who=f"person:{person}", at=now))
        store.notify(connection, ["ana"], dana, "Dana", cause=Cause("system"), key="again", now=now)
        tokens.new(connection, "sign_in", person=person, request=None, now=now)
    return dana


def their_rows(connection: Connection, found: Table, item_id: int, person: int) -> list[AnyRow]:
    """The rows of this table that are about Dana."""
    here = found.c
    messages = select(Message.id).where(Message.item_id == item_id)
    events = select(EventRow.id).where(EventRow.item_id == item_id)
    of: dict[str, ColumnElement[bool]] = {
        "attachments": here.message_id.in_(messages) if "message_id" in here else true(),
        "blobs": here.size > 0 if "size" in here else true(),
        "connector_records": here.key != "c" if "key" in here else true(),
        "persons": here.id == person if "id" in here else true(),
        "items": here.id == item_id if "id" in here else true(),
        "links": here.from_item == item_id if "from_item" in here else true(),
    }
    if found.name in of:
        where = of[found.name]
    elif "item_id" in here:
        where = here.item_id == item_id
    elif "person_id" in here:
        where = here.person_id == person
    elif "event_id" in here or "root_id" in here:
        where = (here.event_id if "event_id" in here else here.root_id).in_(events)
    elif "message_id" in here:
        where = here.message_id.in_(messages)
    else:
        where = true()
    return list(connection.execute(select(found).where(where)))


def plant(desk: Services, item_id: int, person: int) -> dict[str, str]:
    """Write a mark of its own into every column that is not KEPT, in every row of Dana's; the marks by column."""
    marks: dict[str, str] = {}
    with desk.db.write() as connection:
        for number, (name, column) in enumerate(columns()):
            if name in KEPT or name in FOUND_BY:
                continue
            found = column.table
            assert isinstance(found, Table)
            rows = their_rows(connection, found, item_id, person)
            assert rows, f"nothing of Dana's stands in {found.name}: the test says nothing about it"
            marks[name] = f"zq{number:03}x"
            for row, at in zip(rows, itertools.count(), strict=False):
                key = and_(*(one == getattr(row, one.name) for one in found.primary_key.columns))
                if name in THEIRS:
                    key = and_(key, THEIRS[name])
                value = with_mark(column, getattr(row, column.name), f"{marks[name]}{at}")
                connection.execute(update(found).where(key).values({column.name: value}))
        # The answer is found by what was asked.
        args = connection.execute(select(LookupRow.args).where(LookupRow.item_id == item_id)).scalars().one()
        digest = hashlib.sha256(json.dumps(args, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        connection.execute(
            update(RecordTable).where(RecordTable.data.cast(Text).contains("party-of-dana")).values(inputs_hash=digest)
        )
    return marks


def test_nothing_that_was_written_about_a_person_is_left_in_any_column(desk: Services, full: int) -> None:
    person = item(desk, full).state["customer"]
    assert isinstance(person, int)
    marks = plant(desk, full, person)
    before = everything(desk)
    assert {name for name, mark in marks.items() if not any(mark in text for text in before.values())} == set()
    erase(desk, person, by="a test")
    after = everything(desk)
    left = {
        f"{name} is left in {where}" for name, mark in marks.items() for where, text in after.items() if mark in text
    }
    assert left == set()
    assert [where for where, text in after.items() if "zq-address" in text or "1980-02-03" in text] == []
    assert item(desk, full).state["fields.size"] == "m"
    assert "somebody else" in after["connector_records"]
    assert work(desk) == 0


def test_a_worker_that_has_read_an_erased_ticket_writes_nothing_of_it_down(desk: Services, dana: int) -> None:
    """It was about to commit what it decided on the facts of before."""
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    with desk.db.write() as connection:
        current = store.read_item(connection, dana, lock=True)
        lines = [store.Lines((SetField("subject", "Dana Scully again"),), BY_ANA)]
        store.change_item(connection, current, lines=lines, actor=ANA, now=desk.clock.now())
    taken = lanes.claim(desk.db, desk.clock.now(), lease_s=60)
    assert taken.items == (dana,)
    erase(desk, person, by="a test")
    with desk.db.write() as connection, pytest.raises(Fenced):
        lanes.fence(connection, dana, taken.token, now=desk.clock.now(), lease_s=60)
    assert work(desk) == 1  # the event is decided after all, on what is left
    assert [where for where, text in everything(desk).items() if "Dana Scully" in text] == []


def test_a_run_that_is_under_way_when_its_person_is_erased_ends_without_a_word(desk: Services, dana: int) -> None:
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    with desk.db.write() as connection:
        under_way = {"status": "running", "token": "mine", "finished_at": None, "attempt": 1}
        connection.execute(update(RunRow).values(**under_way))
    erase(desk, person, by="a test")
    with desk.db.write() as connection:
        late = update(RunRow).where(RunRow.token == "mine").values(outcome={"log": ["Dana Scully"]})
        assert connection.execute(late).rowcount == 0  # what its worker does when it is done
        assert connection.execute(select(RunRow.status, RunRow.outcome)).one() == ("cancelled", {})


def test_what_was_decided_about_their_words_on_tickets_of_others_goes_and_the_rest_stays(
    desk: Services,
    dana: int,
) -> None:
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    other = a_ticket(desk.db, text="Where is my parcel?", email="camille@example.com")
    work(desk)
    with desk.db.write() as connection:
        current = store.read_item(connection, other.item_id, lock=True)
        said = NewMessage(author="third_party", public=False, channel="email", text="zq of mine", author_person=person)
        actor = Actor(ActorKind.THIRD_PARTY, str(person), "")
        made = store.change_item(connection, current, lines=(), messages=[said], actor=actor, now=desk.clock.now())
        for text, event in (("zq of mine", f"{made.event_id}"), ("Camille called", f"{made.event_id}9")):
            store.notify(
                connection, ["ana"], other.item_id, text, cause=Cause("system"), key=f"ev{event}:A01/r1:s1",
                now=desk.clock.now(),
            )  # fmt: skip
    work(desk)
    assert {where for where, text in everything(desk).items() if "zq of mine" in text} >= {"decisions", "messages"}
    kept = len(decisions(desk, other.item_id)) - 1
    erase(desk, person, by="a test")
    after = everything(desk)
    assert [where for where, text in after.items() if "zq of mine" in text] == []
    assert len(decisions(desk, other.item_id)) == kept > 0
    assert "Camille called" in after["notifications"]
    assert "Where is my parcel?" in after["messages"]


def test_what_somebody_else_was_asked_about_their_ticket_goes(desk: Services, dana: int) -> None:
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    other = a_ticket(desk.db, email="camille@example.com")
    camille = item(desk, other.item_id).state["customer"]
    assert isinstance(camille, int)
    with desk.db.write() as connection:
        questions = questions_from([{"key": "plan", "label": "What for?"}])
        for number, (title, about) in enumerate((("zq of Dana", dana), ("Your parcel", other.item_id))):
            asked = requests.QuestionsToAsk(title, questions)
            made = requests.send(
                connection, asked, person=camille, item=about, key=f"c{number}", cause=BY_ANA, now=desk.clock.now()
            )
            tokens.new(connection, f"secret{number}", person=camille, request=made, now=desk.clock.now())
    erase(desk, person, by="a test")
    after = everything(desk)
    assert [where for where, text in after.items() if "zq of Dana" in text] == []
    assert "Your parcel" in after["requests"]
    assert len(after["portal_tokens"].splitlines()) == 1
