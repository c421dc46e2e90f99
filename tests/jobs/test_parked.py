"""An event that could not be handled is listed with its reason, and is handled again when somebody says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, update

from jobs import automation
from jobs.aside import Aside
from jobs.deciding import Read
from jobs.doctor import examine
from jobs.parked import Rehearsal, handle_again, parked
from jobs.recipients import MOST_COLLEAGUES
from jobs.services import Services
from jobs.telling import tell_of_parked
from tests.builders import MORNING, a_ticket, user_row
from tests.jobs.desk import by_hand, clock_of, decisions, item, table, work
from tests.jobs.tables import TRIAGE
from tickets.effects import SetField
from tickets.tables import EventRow, User
from web import create_app


@pytest.fixture
def poisoned(desk: Services) -> int:
    """A ticket whose first event was set aside, and was cured since; a person has lowered its priority meanwhile."""
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("priority", "low"))
    of_it = EventRow.item_id == ticket.item_id
    with desk.db.write() as connection:
        connection.execute(update(EventRow).where(of_it, EventRow.seq == 1).values(kind="unheard-of"))
    for _ in range(8):
        clock_of(desk).forward(seconds=60)
        work(desk)
    with desk.db.write() as connection:
        connection.execute(update(EventRow).where(of_it, EventRow.seq == 1).values(kind="created"))
    return ticket.item_id


def statuses(services: Services) -> list[str]:
    with services.db.read() as connection:
        return list(connection.execute(select(EventRow.status).order_by(EventRow.id)).scalars())


def test_it_is_listed_with_its_reason(desk: Services, poisoned: int) -> None:
    with desk.db.read() as connection:
        [one] = parked(connection)
    assert (one.item_id, one.seq, one.tries) == (poisoned, 1, 5)
    assert "unheard-of" in one.error
    assert [found.todo for found in examine(desk) if found.name == "events"] == ["flask events list"]


def test_those_who_edit_rules_are_told_however_many_colleagues_come_before_them(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    with desk.db.write() as connection:
        connection.execute(insert(User), [user_row(f"a{number:03}", "agent") for number in range(MOST_COLLEAGUES + 1)])
        assert tell_of_parked(connection, ticket.item_id, "ValueError: broken", desk.clock.now()) == ("ana", "root")


def test_handled_again_it_does_what_still_applies_once(desk: Services, poisoned: int) -> None:
    assert "team" not in item(desk, poisoned).state
    with desk.db.write() as connection:
        assert handle_again(connection, desk.clock.now()) == 1
        assert handle_again(connection, desk.clock.now()) == 0
    work(desk)
    state = item(desk, poisoned).state
    assert (state["team"], state["tags"]) == ("billing", ["double-charge"])
    assert state["priority"] == "low"  # what the person did since is not overwritten
    results = [step["result"] for one in decisions(desk, poisoned) for step in one.done]
    assert sorted(results) == ["done", "done", "overtaken"]
    assert set(statuses(desk)) == {"done"}
    assert work(desk) == 0


def test_given_back_by_two_people_at_once_it_is_handled_once(desk: Services, poisoned: int) -> None:
    both = threading.Barrier(2, timeout=60)

    def give_back(_person: int) -> int:
        both.wait()
        with desk.db.write() as connection:
            return handle_again(connection, desk.clock.now())

    with ThreadPoolExecutor(2) as people:
        assert sorted(people.map(give_back, range(2))) == [0, 1]
    work(desk)
    assert item(desk, poisoned).state["tags"] == ["double-charge"]
    results = [step["result"] for one in decisions(desk, poisoned) for step in one.done]
    assert sorted(results) == ["done", "done", "overtaken"]


def test_given_back_while_a_later_event_is_decided_it_is_handled(
    desk: Services, poisoned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker in hand found nothing behind its event, and gave the lane back as empty."""
    by_hand(desk, poisoned, SetField("subject", "Charged twice again"))
    usual = automation.decided
    given_back: list[int] = []

    def meanwhile(read: Read) -> object:
        if not given_back:
            with desk.db.write() as connection:
                given_back.append(handle_again(connection, desk.clock.now()))
        return usual(read)

    monkeypatch.setattr(automation, "decided", meanwhile)
    work(desk)
    assert given_back == [1]
    assert set(statuses(desk)) == {"done"}
    assert item(desk, poisoned).state["team"] == "billing"
    # Each was settled once, in what order they could be: the later one was decided again behind it.
    settled = [one.event_id for one in decisions(desk, poisoned)]
    assert len(settled) == len(set(settled)) == len(statuses(desk))


def test_an_event_that_rows_wait_for_is_not_said_to_have_nothing_left_to_do() -> None:
    event = Aside(1, 1, 1, "script_finished", MORNING, "")
    assert [Rehearsal(event, waits=rows).nothing for rows in ((), ("A02/r1",))] == [True, False]


def test_an_event_that_is_not_set_aside_is_left_alone(desk: Services, poisoned: int) -> None:
    with desk.db.write() as connection:
        done = connection.execute(select(EventRow.id).where(EventRow.status == "done")).scalars().all()
        assert handle_again(connection, desk.clock.now(), [*done, 999]) == 0
    assert statuses(desk) == ["parked", "done"]


def test_the_command_lists_and_retries(desk: Services, poisoned: int) -> None:
    flask = create_app(desk).test_cli_runner()
    assert f"ticket {poisoned}, created, 5 tries: " in flask.invoke(args=["events", "list"]).output
    unsaid = flask.invoke(args=["events", "retry"])
    assert (unsaid.exit_code, statuses(desk)) == (2, ["parked", "done"])
    assert flask.invoke(args=["events", "retry", "--all"]).output == "1 will be handled again.\n"
    assert flask.invoke(args=["events", "list"]).output == "No event is set aside.\n"
