"""Full text: words of subjects and messages, from their beginning, whatever case and accents; kept by the database."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select, text, update

from tests.builders import ANA, MORNING, a_ticket
from tickets import migrate, search
from tickets.db import Database
from tickets.store import NewMessage, change_item, read_item
from tickets.tables import Message, WorkItem


def found(connection: Connection, question: str) -> list[int]:
    query = select(WorkItem.id).where(search.mentions(connection, question)).order_by(WorkItem.id)
    return list(connection.execute(query).scalars())


def say(database: Database, item_id: int, words: str, *, public: bool = True) -> None:
    with database.write() as connection:
        item = read_item(connection, item_id, lock=True)
        message = NewMessage(author="agent", public=public, channel="api", text=words)
        change_item(connection, item, lines=(), actor=ANA, now=MORNING, messages=(message,))


@pytest.fixture
def first(database: Database) -> int:
    item_id = a_ticket(database, subject="Réclamation n° 4711").item_id
    a_ticket(database, subject="Something else")
    say(database, item_id, "Zwrot pieniędzy: order ORD-88, café crème, 2×25 €.")
    say(database, item_id, "The refund went out on Friday.")
    return item_id


@pytest.mark.parametrize(
    "question",
    [
        "reclam",
        "RÉCLAMATION",
        "4711",
        "pieniedzy",
        "zwrot PIENIĘDZY",
        "ord-88",
        "cafe",
        "refund friday",
        '"refund" (out',
    ],
)
def test_words_are_found_from_their_beginning_whatever_case_and_accents(
    database: Database, first: int, question: str
) -> None:
    with database.read() as connection:
        assert found(connection, question) == [first]


@pytest.mark.parametrize(
    "question", ["", "***", "clamation", "refund zwrot", "nobody", "refund AND nothing", "' OR 1=1 --"]
)
def test_what_is_not_there_together_is_not_found(database: Database, first: int, question: str) -> None:
    with database.read() as connection:
        assert found(connection, question) == []


def test_a_changed_or_erased_text_is_found_as_it_is_now(database: Database, first: int) -> None:
    with database.write() as connection:
        connection.execute(update(Message).where(Message.text.contains("Zwrot")).values(text="Something new"))
        connection.execute(update(WorkItem).where(WorkItem.id == first).values(subject="Changed"))
        search.forget(connection)
    with database.read() as connection:
        assert [found(connection, one) for one in ("zwrot", "reclamation", "changed", "something new")] == [
            [],
            [],
            [first],
            [first],
        ]


def test_the_words_around_what_was_found_are_shown(database: Database, first: int) -> None:
    with database.read() as connection:
        assert search.where_found(connection, "CREME", [first]) == {first: "…order ORD-88, café crème, 2×25 €."}
        assert search.where_found(connection, "4711", [first]) == {}
    long = "a " * 400 + "needle " + "b " * 400
    line = search.around(long, ["needle"])
    assert (line[:3], line[-3:], "a needle b" in line, len(line) < 140) == ("…a ", " b…", True, True)


def test_an_index_a_migration_lost_is_made_anew(database: Database, first: int) -> None:
    with database.write() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER search_messages_change"))
        else:
            connection.execute(text("DROP INDEX search_messages"))
        connection.execute(update(Message).where(Message.text.contains("Zwrot")).values(text="unseen words"))
    migrate.upgrade(database.url)
    with database.read() as connection:
        assert found(connection, "zwrot") == []
        assert found(connection, "unseen words") == [first]


def test_a_very_long_message_of_different_words_is_stored_and_found(database: Database, first: int) -> None:
    say(database, first, " ".join(f"word{number}é" for number in range(18_000)))
    with database.read() as connection:
        assert found(connection, "word17e") == [first]
