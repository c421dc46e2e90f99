"""What a person may not see is in no count, no menu and no suggestion either."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.desk import Desk
from tests.web.test_runs_pages import a_run
from tickets import people
from tickets.people import Viewer
from web import inbox_store, rules_store, runs_store, shell_store
from web.inbox_store import Filter


@pytest.fixture
def hidden(desk: Desk, agent: FlaskClient) -> int:
    """The only ticket there is: of the restricted team, assigned to ana all the same."""
    return desk.ticket("About a colleague", team="ethics", assignees=["ana"], tags=["complaint"])


@pytest.fixture
def ana(desk: Desk, hidden: int) -> Viewer:
    with desk.services.db.read() as connection:
        found = people.viewer(connection, "ana")
    assert found is not None
    return found


@pytest.mark.parametrize("queue", ["mine", "all", "waiting", "closed"])
def test_a_hidden_ticket_is_in_no_total_of_the_inbox(desk: Desk, ana: Viewer, queue: str) -> None:
    with desk.services.db.read() as connection:
        assert inbox_store.inbox(connection, ana, Filter(queue=queue)).total == 0
        assert inbox_store.any_in(connection, ana, queue) is False


def test_the_menu_counts_no_hidden_ticket(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert shell_store.waiting(connection, ana, cap=10) == shell_store.Waiting(0, 0, 0)


def test_tags_of_hidden_tickets_are_not_suggested(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert inbox_store.tags_in_use(connection, ana) == []


def test_values_of_hidden_tickets_are_not_counted_for_a_rule(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert rules_store.value_counts(connection, ana, "tags", desk.clock.now()) == {}


def test_a_script_is_not_tried_on_hidden_tickets_and_their_runs_are_not_counted(
    desk: Desk, hidden: int, ana: Viewer
) -> None:
    a_run(desk, hidden)
    with desk.services.db.read() as connection:
        assert runs_store.recent_tickets(connection, ana) == []
        assert runs_store.lately(connection, ana, ["S01"]) == {"S01": dict.fromkeys(runs_store.OUTCOMES, 0)}
