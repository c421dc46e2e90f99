"""One person per address, whoever asks first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from tests.builders import MORNING
from tickets import people
from tickets.db import Database
from tickets.tables import Person, PersonAddress

ADDRESS = "Zoë.Ł@Example.com "


def _asked(database: Database, name: str = "Zoë") -> int:
    with database.write() as connection:
        return people.person_for(connection, email=ADDRESS, name=name, language="fr", now=MORNING)


def _there(database: Database) -> tuple[int, int]:
    with database.read() as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(one)).scalar_one() for one in (Person, PersonAddress)
        )  # type: ignore[return-value]


def test_an_address_nobody_had_makes_a_person_and_the_next_time_finds_them(database: Database) -> None:
    made = _asked(database)
    assert _asked(database, name="Somebody else") == made
    with database.read() as connection:
        [person] = connection.execute(
            select(Person.name, Person.language, Person.anonymous, Person.zone, Person.created_at)
        )
        [address] = connection.execute(
            select(PersonAddress.person_id, PersonAddress.kind, PersonAddress.address, PersonAddress.verified)
        )
    assert tuple(person) == ("Zoë", "fr", False, "", MORNING)
    assert tuple(address) == (made, "email", "zoë.ł@example.com", False)


@pytest.mark.postgres
def test_two_who_write_for_the_first_time_at_once_are_one_person(make_database: Callable[..., str]) -> None:
    database, found = Database(make_database("postgres")), list[int]()
    second = threading.Thread(target=lambda: found.append(_asked(database)))
    with database.write() as connection:
        first = people.person_for(connection, email=ADDRESS, name="Zoë", language="fr", now=MORNING)
        second.start()  # looks and finds nobody, or waits for us; either way it ends with ours
        second.join(0.2)
    second.join(60)
    assert found == [first]
    assert _there(database) == (1, 1)
    database.close()
