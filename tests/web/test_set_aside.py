"""What was set aside is looked at first, and then handled again: once, and without overwriting what people did."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from jobs import automation
from jobs.parked import rehearse
from jobs.tables import DecisionRow, RowSetAside
from rules import store as rule_list
from tests.web.desk import Desk, send
from tests.web.pages import ticket_page, words
from tests.web.runs import a_run
from tickets import people
from tickets import store as items
from tickets.effects import SetField
from tickets.events import AUTOMATION, Actor, ActorKind, Cause, EventKind
from tickets.tables import EventRow, History, Message, WorkItem

NOBODY_NEXT: dict[str, Any] = {
    "name": "Give it to somebody",
    "kind": "ticket",
    "enabled": True,
    "triggers": [{"on": "created"}],
    "hit": "every",
    "wait_s": 0,
    "columns": [],
    "steps": [{"id": "s1", "do": "set_priority"}, {"id": "s2", "do": "assign_next"}],
    "rows": [{"id": "r1", "then": {"s1": {"priority": "urgent"}, "s2": {"turns": "round_robin"}}}],
}


@pytest.fixture
def poisoned(desk: Desk) -> int:
    """A ticket whose first event was set aside, and was cured since; somebody has lowered its priority meanwhile."""
    desk.publish()
    item_id = desk.ticket("A refund, please")
    break_it(desk)
    for _ in range(desk.services.settings.event_tries):
        automation.drain(desk.services)
        desk.clock.move(seconds=60)
    cure_it(desk)
    with desk.services.db.write() as connection:
        item = items.read_item(connection, item_id, lock=True)
        lines = [items.Lines((SetField("priority", "low"),), Cause("person", label="Ana Nowak"))]
        ana = Actor(ActorKind.AGENT, "ana", "Ana Nowak")
        items.change_item(connection, item, lines=lines, actor=ana, now=desk.clock.now())
    automation.drain(desk.services)
    return item_id


def break_it(desk: Desk) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(EventRow).where(EventRow.seq == 1).values(kind="unheard-of"))


def cure_it(desk: Desk) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(EventRow).where(EventRow.seq == 1).values(kind="created"))


def counts(desk: Desk) -> tuple[int, ...]:
    with desk.services.db.read() as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(rows)).scalar_one()
            for rows in (EventRow, DecisionRow, History, Message)
        )


def status(desk: Desk, item_id: int) -> str:
    with desk.services.db.read() as connection:
        first = select(EventRow.status).where(EventRow.item_id == item_id, EventRow.seq == 1)
        return str(connection.execute(first).scalar_one())


def test_the_page_shows_what_would_still_apply_and_changes_nothing(
    desk: Desk, manager: FlaskClient, poisoned: int
) -> None:
    assert "unheard-of" in words(manager.get("/set-aside").get_data(as_text=True))
    before = counts(desk), desk.state(poisoned)
    page = words(manager.get("/set-aside/look").get_data(as_text=True))
    assert "still applies" in page
    assert "Billing" in page
    assert "overtaken by a person" in page
    assert (counts(desk), desk.state(poisoned)) == before
    assert status(desk, poisoned) == "parked"


def test_handled_again_it_does_exactly_what_was_shown_and_once(desk: Desk, manager: FlaskClient, poisoned: int) -> None:
    with desk.services.db.read() as connection:
        [key] = connection.execute(select(EventRow.id).where(EventRow.status == "parked")).scalars()
    for _ in range(2):
        send(manager, "/set-aside/again", {"event": str(key)})
    automation.drain(desk.services)
    state = desk.state(poisoned)
    assert (state["team"], state["priority"]) == ("billing", "low")
    assert status(desk, poisoned) == "done"
    assert "Nothing is set aside" in words(manager.get("/set-aside").get_data(as_text=True))
    with desk.services.db.read() as connection:
        assert connection.execute(select(func.count()).where(DecisionRow.event_id == key)).scalar_one() == 1


def test_one_that_would_fail_again_says_so(desk: Desk, manager: FlaskClient, poisoned: int) -> None:
    break_it(desk)
    page = words(manager.get("/set-aside/look").get_data(as_text=True))
    assert "would fail again" in page
    assert "unheard-of" in page


def test_events_of_hidden_tickets_are_counted_and_cannot_be_handled(
    desk: Desk, manager: FlaskClient, poisoned: int
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).values(team="ethics"))
        [key] = connection.execute(select(EventRow.id).where(EventRow.status == "parked")).scalars()
    page = words(manager.get("/set-aside").get_data(as_text=True))
    assert "refund" not in page
    assert "1 more is on a ticket hidden from you" in page
    assert "Nothing to look at" in words(manager.get(f"/set-aside/look?event={key}").get_data(as_text=True))
    send(manager, "/set-aside/again", {"event": str(key)})
    assert status(desk, poisoned) == "parked"


def test_without_a_choice_nothing_is_handled_and_nonsense_is_no_choice(
    desk: Desk, manager: FlaskClient, poisoned: int
) -> None:
    for chosen in ("", "x", "-1", "99999999999"):
        send(manager, "/set-aside/again", {"event": chosen})
    assert status(desk, poisoned) == "parked"


@pytest.fixture
def aside(desk: Desk) -> int:
    """A ticket for which a row could not be done, because nobody could be next; the table was repaired since."""
    code = desk.publish(NOBODY_NEXT)
    item_id = desk.ticket("A refund, please")
    automation.drain(desk.services)
    repaired = {**NOBODY_NEXT, "rows": [{"id": "r1", "then": {"s1": {"priority": "urgent"}}}]}
    with desk.services.db.write() as connection:
        now, seen = desk.clock.now(), rule_list.entry(connection, code).draft_count
        seen = rule_list.save_draft(connection, code, repaired, author="mara", seen=seen, now=now)
        rule_list.publish(connection, code, author="mara", note="", seen=seen, now=now)
    return item_id


def test_rows_set_aside_are_looked_at_and_decided_again(desk: Desk, manager: FlaskClient, aside: int) -> None:
    listed = words(manager.get("/set-aside").get_data(as_text=True))
    assert "Rows that could not be decided" in listed
    assert "Nobody can be next" in listed
    before = counts(desk), desk.state(aside)
    with desk.services.db.read() as connection:
        [key] = connection.execute(select(RowSetAside.event_id)).scalars()
    for address in ("/set-aside/look", f"/set-aside/look?rows={key}"):
        page = manager.get(address).get_data(as_text=True)
        assert "still applies" in words(page)
        assert f'name="rows" value="{key}" checked' in page
    assert "Nothing to look at" in words(manager.get(f"/set-aside/look?event={key}").get_data(as_text=True))
    assert (counts(desk), desk.state(aside)) == before
    for _ in range(2):
        send(manager, "/set-aside/again", {"rows": str(key)})
    automation.drain(desk.services)
    assert desk.state(aside)["priority"] == "urgent"
    assert counts(desk)[0] == before[0][0] + 2  # rows decided again, and the change that came of it
    assert "Nothing is set aside" in words(manager.get("/set-aside").get_data(as_text=True))


def test_rows_for_hidden_tickets_are_counted_and_cannot_be_decided(
    desk: Desk, manager: FlaskClient, aside: int
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).values(team="ethics"))
        [key] = connection.execute(select(RowSetAside.event_id)).scalars()
    before = counts(desk)
    page = words(manager.get("/set-aside").get_data(as_text=True))
    assert "refund" not in page
    assert "1 more is on a ticket hidden from you" in page
    assert "Nothing to look at" in words(manager.get(f"/set-aside/look?rows={key}").get_data(as_text=True))
    send(manager, "/set-aside/again", {"rows": str(key)})
    assert counts(desk) == before


@pytest.fixture
def kept(desk: Desk) -> int:
    """A ticket with a row that waits for a script, whose own event was set aside."""
    desk.publish()
    item_id = desk.ticket("A refund, please")
    automation.drain(desk.services)
    run = a_run(desk, item_id)
    with desk.services.db.write() as connection:
        skipped = [{"row": "A01/r1", "reason": "the card that S01 may be writing", "lookups": [], "runs": [run]}]
        connection.execute(update(DecisionRow).where(DecisionRow.item_id == item_id).values(skipped=skipped))
        ended = items.change_item(
            connection,
            items.read_item(connection, item_id, lock=True),
            lines=(),
            actor=AUTOMATION,
            now=desk.clock.now(),
            kind=EventKind.SCRIPT,
            chain=items.Chain(payload={"run_id": run, "script": "S01", "version": 1}),
        )
        aside = update(EventRow).where(EventRow.id == ended.event_id)
        connection.execute(aside.values(status="parked", error="The disk was full"))
    return item_id


def test_rows_that_wait_for_the_end_of_a_script_are_named_where_it_is_set_aside(
    desk: Desk, manager: FlaskClient, agent: FlaskClient, kept: int
) -> None:
    for who, link in ((manager, True), (agent, False)):
        page = ticket_page(who, kept)
        assert "Rows that wait for it until it is handled again: A01/r1" in words(page)
        assert ("Look at it in Set aside, and handle it again" in words(page)) is link
    assert "(A01), r1 waits for it" in words(manager.get("/set-aside").get_data(as_text=True))
    page = words(manager.get("/set-aside/look").get_data(as_text=True))
    assert "(A01), r1 waits for it, and is decided afterwards" in page
    assert "nothing left to do" not in page


def test_who_does_not_edit_rules_may_not_look(desk: Desk, agent: FlaskClient, poisoned: int) -> None:
    assert agent.get("/set-aside").status_code == 403
    assert send(agent, "/set-aside/again", {"event": "1"}).status_code == 403
    assert status(desk, poisoned) == "parked"


def test_a_rehearsal_leaves_no_lock_behind(desk: Desk, poisoned: int) -> None:
    desk.user("root2", "admin")
    with desk.services.db.read() as connection:
        viewer = people.viewer(connection, "root2")
    assert viewer is not None
    [found] = rehearse(desk.services, viewer)
    assert [one.result for one in found.outcomes] == ["done", "overtaken"]
    desk.ticket("Another one")
    assert automation.drain(desk.services) == 2
