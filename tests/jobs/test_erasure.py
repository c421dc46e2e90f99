"""A person who is erased is nowhere any more; everybody else is where they were."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from jobs.erasure import erase
from jobs.outbox import queue_message
from jobs.services import Services
from jobs.tables import OutboxRow
from tests.builders import a_ticket
from tests.jobs.desk import item, work
from tickets import people, store
from tickets.db import Base
from tickets.errors import PersonNotFound
from tickets.tables import Notification
from web import create_app

#: What must be found nowhere afterwards.
SECRETS = ("dana.scully", "Dana Scully", "20-7714", "a secret plan", "IBAN-4711", "quoted by Ana", "party-of-dana")


def everything(services: Services) -> dict[str, str]:
    """Every table as text, blobs included."""
    with services.db.read() as connection:
        return {
            name: "\n".join(
                " | ".join(
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)
                    for value in row
                )
                for row in connection.execute(select(found))
            )
            for name, found in Base.metadata.tables.items()
        }


def where(services: Services, secret: str) -> list[str]:
    return [name for name, text in everything(services).items() if secret.lower() in text.lower()]


def test_nothing_of_an_erased_person_is_left_in_any_table(desk: Services, dana: int) -> None:
    for secret in SECRETS:
        assert where(desk, secret), f"the test says nothing about {secret}"
    before = item(desk, dana)
    person = before.state["customer"]
    assert isinstance(person, int)
    done = erase(desk, person, by="a test")
    assert {secret: where(desk, secret) for secret in SECRETS} == {secret: [] for secret in SECRETS}
    assert done.rows["messages"] >= 2
    assert done.rows["mails"] == 2
    after = item(desk, dana)
    assert (after.id, after.state["status"], after.state["team"]) == (dana, "open", before.state["team"])
    assert "somebody else" in everything(desk)["connector_records"]
    with desk.db.read() as connection:
        erased = people.customer(connection, person)
    assert (erased.name, erased.emails, erased.anonymous) == ("", (), True)
    assert work(desk) == 0  # erasing is no event


def test_other_people_stay_as_they_were(desk: Services, dana: int) -> None:
    other = a_ticket(desk.db, text="Where is my parcel?", email="camille@example.com")
    work(desk)
    with desk.db.write() as connection:
        queue_message(connection, store.read_item(connection, other.item_id), 1, desk.clock.now())
    before = {one: where(desk, one) for one in ("camille@example.com", "Where is my parcel?", "Camille Laurent")}
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    assert {one: where(desk, one) for one in before} == before


def test_an_unknown_person_is_refused_and_nothing_is_changed(desk: Services, dana: int) -> None:
    before = everything(desk)
    with pytest.raises(PersonNotFound):
        erase(desk, 999, by="a test")
    assert everything(desk) == before


def test_what_a_worker_still_holds_of_an_erased_ticket_goes_nowhere(desk: Services, dana: int) -> None:
    person = item(desk, dana).state["customer"]
    assert isinstance(person, int)
    erase(desk, person, by="a test")
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.id)).all() == []
        assert connection.execute(select(Notification.id)).all() == []


def test_the_command_says_whom_first_and_erases_only_with_yes(desk: Services, dana: int) -> None:
    flask = create_app(desk).test_cli_runner()
    before = everything(desk)
    asked = flask.invoke(args=["person", "erase", "Dana.Scully@example.com"])
    assert "Dana Scully, dana.scully@example.com. Nothing was changed." in asked.output
    nobody = flask.invoke(args=["person", "erase", "nobody@example.com", "--yes"])
    assert (nobody.exit_code, "There is no person nobody@example.com" in nobody.output) == (1, True)
    assert everything(desk) == before
    done = flask.invoke(args=["person", "erase", "dana.scully@example.com", "--yes"])
    assert (done.exit_code, "was erased: " in done.output) == (0, True)
    assert where(desk, "dana.scully") == []
