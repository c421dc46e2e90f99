"""Snoozed tickets on the pages: out of the queues, in their own, and back; service levels beside them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from jobs import timers
from tests.web.desk import NOW, Desk, let_in, send
from tickets.tables import SlaPolicy


def listed(agent: FlaskClient, queue: str) -> bool:
    return "Refund please" in agent.get(f"/?queue={queue}").get_data(as_text=True)


def test_a_snoozed_ticket_leaves_the_queues_for_its_own_and_comes_back_on_time(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund please", assignees=["ana"])
    assert listed(agent, "mine")
    send(agent, f"/tickets/{item_id}/snooze", {"for": "4 h"})
    assert desk.state(item_id)["status"] == "snoozed"
    assert [queue for queue in ("mine", "all", "waiting", "snoozed") if listed(agent, queue)] == ["snoozed"]
    page = agent.get(f"/tickets/{item_id}").get_data(as_text=True)
    assert "back from its snooze" in page
    desk.clock.move(hours=4)
    timers.tick(desk.services, budget_s=5)
    assert desk.state(item_id)["status"] == "open"
    assert [queue for queue in ("mine", "all", "snoozed") if listed(agent, queue)] == ["mine", "all"]


def test_a_ticket_is_woken_by_hand(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund please")
    send(agent, f"/tickets/{item_id}/snooze", {"answer": "team"})
    send(agent, f"/tickets/{item_id}/wake")
    assert desk.state(item_id)["status"] == "open"
    assert not [key for key in desk.state(item_id) if key.startswith("snoozed")]


def test_h11_a_ticket_put_away_on_its_page_sleeps_until_that_team_or_colleague_answers(
    desk: Desk, agent: FlaskClient, client: FlaskClient
) -> None:
    desk.user("tea", "agent", name="Tea Ward")
    colleague = client
    let_in(colleague, "tea@deskhand.test")
    for awaits, shown in (("team:billing", "Billing"), ("person:tea", "Tea Ward")):
        item_id = desk.ticket("Refund please")
        page = agent.get(f"/tickets/{item_id}").get_data(as_text=True)
        assert f'value="{awaits}"' in page
        send(agent, f"/tickets/{item_id}/snooze", {"for": "", "answer": awaits})
        assert desk.state(item_id)["snoozed_for"] == awaits
        assert f"Sleeps until the answer of</dt><dd>{shown}" in agent.get(f"/tickets/{item_id}").get_data(as_text=True)
        waking, other = (agent, colleague) if awaits == "team:billing" else (colleague, agent)
        send(other, f"/tickets/{item_id}/messages", {"text": "I know nothing of it", "kind": "note"})
        assert desk.state(item_id)["status"] == "snoozed"
        send(waking, f"/tickets/{item_id}/messages", {"text": "It is paid back", "kind": "note"})
        assert desk.state(item_id)["status"] == "open"


def test_h11_several_tickets_are_put_away_and_woken_from_the_inbox(desk: Desk, agent: FlaskClient) -> None:
    first, second = (desk.ticket(f"Refund please {n}", assignees=["ana"], status="waiting_team") for n in (1, 2))
    done = desk.ticket("Refund please 3", status="closed")
    inbox = agent.get("/?queue=all").get_data(as_text=True)
    assert '<option value="snooze:1 d">a day</option>' in inbox
    assert 'value="wake"' not in inbox
    chosen = [str(one) for one in (first, second, done)]
    send(agent, "/bulk", {"do": "snooze:1 d", "item": chosen})
    states = [desk.state(one) for one in (first, second, done)]
    assert [one["status"] for one in states] == ["snoozed", "snoozed", "closed"]
    assert [str(one.get("snoozed_until"))[:16] for one in states] == ["2026-11-22T09:31", "2026-11-22T09:31", "None"]
    assert "1 was left as it was" in agent.get("/?queue=snoozed").get_data(as_text=True)
    assert '<option value="wake">Wake</option>' in agent.get("/?queue=snoozed").get_data(as_text=True)
    send(agent, "/bulk", {"do": "wake", "item": [str(first)]})
    assert [desk.state(one)["status"] for one in (first, second)] == ["waiting_team", "snoozed"]
    desk.clock.move(days=1)
    timers.tick(desk.services, budget_s=5)
    assert desk.state(second)["status"] == "waiting_team"


@pytest.mark.parametrize("do", ["snooze:", "snooze:9 years", "status:snoozed", "wake"])
def test_a_snooze_of_several_that_says_nothing_sensible_changes_none(do: str, desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket()
    send(agent, "/bulk", {"do": do, "item": [str(item_id)]})
    assert desk.state(item_id)["status"] == "open"


def test_no_menu_of_statuses_puts_a_ticket_to_sleep_without_an_end(desk: Desk, agent: FlaskClient) -> None:
    awake, sleeping = desk.ticket(), desk.ticket(status="snoozed")
    page, inbox = (agent.get(path).get_data(as_text=True) for path in (f"/tickets/{awake}", "/?queue=all"))
    assert '<option value="snoozed">' not in page
    assert "then: Snoozed" not in page
    assert 'value="status:snoozed"' not in inbox
    # One that sleeps shows its status in the menu, from which it is given another.
    assert '<option value="snoozed" selected>' in agent.get(f"/tickets/{sleeping}").get_data(as_text=True)


@pytest.mark.parametrize("whom", ["team:gone", "person:nobody", "team:", "person:", "boss"])
def test_a_ticket_does_not_sleep_until_the_answer_of_nobody(whom: str, desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket()
    assert send(agent, f"/tickets/{item_id}/snooze", {"answer": whom}).status_code == 422
    assert desk.state(item_id)["status"] == "open"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Say how long, until when"),
        ({"for": "soon"}, "is not a duration"),
        ({"until": "2026-01-01T09:00"}, "until a time to come"),
        ({"until": "tomorrow"}, "A time is written like"),
        ({"answer": "boss", "for": "1 d"}, "the answer of the customer, a team or a colleague"),
    ],
)
def test_a_snooze_that_says_nothing_is_refused(
    form: dict[str, object], said: str, desk: Desk, agent: FlaskClient
) -> None:
    item_id = desk.ticket()
    answer = send(agent, f"/tickets/{item_id}/snooze", form)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert desk.state(item_id)["status"] == "open"


@pytest.mark.parametrize(
    ("hours", "status", "words"),
    [(0, "open", "4 h left"), (3.5, "open", "30 min left"), (5, "open", "breached"), (1, "waiting_customer", "paused")],
)
def test_the_ticket_and_the_inbox_show_how_the_service_level_stands(
    hours: float, status: str, words: str, desk: Desk, agent: FlaskClient
) -> None:
    with desk.services.db.write() as connection:
        body = {"targets": {"first_reply": 14_400}, "pauses": ["waiting_customer"], "near_s": 3_600}
        connection.execute(
            insert(SlaPolicy).values(key="gold", label="Gold", position=1, enabled=True, body=body, updated_at=NOW)
        )
    item_id = desk.ticket("Refund please")
    desk.clock.move(hours=hours)
    send(agent, f"/tickets/{item_id}/fields/status", {"value": status})
    for address in (f"/tickets/{item_id}", "/?queue=all"):
        assert words in agent.get(address).get_data(as_text=True)
    assert desk.clock.now() - NOW == timedelta(hours=hours)
