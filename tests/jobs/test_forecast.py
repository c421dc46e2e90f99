"""What the forecast says will happen happens when it says, and what was called off does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from jobs import automation, enrichment, lanes, outbox
from jobs.forecast import Coming, NotComing, Waits, call_off, forecast
from jobs.portal_mail import queue_request
from jobs.services import Services
from jobs.tables import LookupRow, OutboxRow, RunRow
from tests.builders import ANA, BY_ANA, a_ticket
from tests.connectors.upstream import Reply, Upstream, as_json
from tests.jobs.desk import BY_TIER, a_desk_with_a_crm, clock_of, decisions, item, say, table, tick, work
from tests.jobs.sink import MailSink
from tests.jobs.tables import ANSWER_AND_TAG, RUNS_IT, WAITING, script
from tests.jobs.workers import until, waits_for_a_lock
from tickets import people, requests, store, tokens
from tickets.effects import StateEffect
from tickets.errors import Fenced, ItemNotFound
from tickets.questions import questions_from
from tickets.sla import Policy, Target
from tickets.snooze import snooze
from tickets.tables import EventRow, History, Lane, SlaPolicy

#: How far from what was said a thing may happen, in seconds: the clock looks every half second.
TOLERANCE_S = 1


@pytest.fixture
def crm() -> Iterator[Upstream]:
    server = Upstream(lambda _: Reply(status=503))
    yield server
    server.close()


@pytest.fixture
def desk(database_url: str, tmp_path: Path, crm: Upstream) -> Iterator[Services]:
    with a_desk_with_a_crm(database_url, tmp_path, crm.url, "") as services:
        yield services


def coming(desk: Services, item_id: int) -> dict[str, Coming]:
    with desk.db.read() as connection:
        return {one.kind: one for one in forecast(connection, item_id, desk.clock.now())}


def all_coming(desk: Services, item_id: int) -> list[Coming]:
    with desk.db.read() as connection:
        return forecast(connection, item_id, desk.clock.now())


def off(desk: Services, item_id: int, entry: Coming, *, who: str = "ana", why: str = "not needed") -> None:
    with desk.db.write() as connection:
        viewer = people.viewer(connection, who)
        assert viewer is not None
        call_off(
            connection,
            item_id,
            entry.source,
            entry.ref,
            viewer=viewer,
            actor=ANA,
            why=why,
            now=desk.clock.now(),
        )


def change(desk: Services, item_id: int, *effects: StateEffect) -> None:
    with desk.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        store.change_item(connection, current, lines=[store.Lines(effects, BY_ANA)], actor=ANA, now=desk.clock.now())


def called_off(desk: Services) -> list[tuple[str, str, str]]:
    """Who called what off, and why, from the history."""
    with desk.db.read() as connection:
        rows = connection.execute(
            select(History.actor_name, History.change).where(History.outcome == "cancelled").order_by(History.id)
        )
        return [(row.actor_name, row.change["before"]["kind"], row.change["before"]["why"]) for row in rows]


def forward_to(desk: Services, entry: Coming, *, by_s: float) -> None:
    assert entry.at is not None
    clock_of(desk).at = entry.at
    clock_of(desk).forward(seconds=by_s)


def test_a_wait_ends_when_it_was_said_to_end(desk: Services) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    wait = coming(desk, ticket.item_id)["wait"]
    assert wait.what == "A01"
    forward_to(desk, wait, by_s=-TOLERANCE_S)
    automation.drain(desk)
    assert "wait" in coming(desk, ticket.item_id)
    forward_to(desk, wait, by_s=TOLERANCE_S)
    automation.drain(desk)
    assert "wait" not in coming(desk, ticket.item_id)
    assert any("crm" in note.lower() for note in decisions(desk, ticket.item_id)[-1].notes)


def test_a_wait_that_is_called_off_ends_at_once_whoever_holds_the_lane(desk: Services) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    stopped = lanes.claim(desk.db, desk.clock.now(), lease_s=1)
    off(desk, ticket.item_id, coming(desk, ticket.item_id)["wait"])
    automation.drain(desk)
    assert "wait" not in coming(desk, ticket.item_id)
    with desk.db.read() as connection:
        assert set(connection.execute(select(EventRow.status)).scalars()) == {"done"}
    assert called_off(desk) == [("Ana", "wait", "not needed")]
    assert stopped.items == ()


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"])
def test_who_calls_a_wait_off_while_its_event_fails_and_the_worker_do_not_wait_for_each_other(desk: Services) -> None:
    """Both want the item, its lane and the event: in one order."""
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:
        connection.execute(update(Lane).values(due_at=desk.clock.now()))
    claim = lanes.claim(desk.db, desk.clock.now(), lease_s=60)
    assert claim.items == (ticket.item_id,)
    [wait] = [one for one in coming(desk, ticket.item_id).values() if one.kind == "wait"]
    ended: list[object] = []

    def fail() -> None:
        with desk.db.read() as connection:
            row = lanes.next_open(connection, ticket.item_id)
        assert row is not None
        try:
            ended.append(automation._failed(desk, desk.db, claim.token, ticket.item_id, row, ValueError("broken")))
        except Exception as error:
            ended.append(type(error))

    worker = threading.Thread(target=fail)
    with desk.db.write() as connection:
        store.read_item(connection, ticket.item_id, lock=True)
        connection.execute(update(EventRow).where(EventRow.id == int(wait.ref)).values(error=""))
        worker.start()
        assert until(lambda: waits_for_a_lock(desk))
        assert Waits().call_off(connection, ticket.item_id, wait.ref, "not needed", desk.clock.now())
    worker.join()
    assert ended == [Fenced]
    with desk.db.read() as connection:
        assert connection.execute(select(EventRow.tries).where(EventRow.id == int(wait.ref))).scalar_one() == 0


def test_a_lookup_is_asked_again_when_it_was_said_to_be(desk: Services, crm: Upstream) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    work(desk)
    again = coming(desk, ticket.item_id)["lookup_again"]
    assert again.what == "crm.find_customer"
    crm.answer = lambda _: as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])
    forward_to(desk, again, by_s=-TOLERANCE_S)
    assert enrichment.enrich(desk) == 0
    forward_to(desk, again, by_s=TOLERANCE_S)
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert coming(desk, ticket.item_id) == {}


def test_a_lookup_that_is_called_off_is_not_asked_again(desk: Services, crm: Upstream) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    work(desk)
    asked = len(crm.asked)
    off(desk, ticket.item_id, coming(desk, ticket.item_id)["lookup_again"])
    clock_of(desk).forward(days=3)
    work(desk)
    assert len(crm.asked) == asked
    assert coming(desk, ticket.item_id) == {}
    with desk.db.read() as connection:
        assert connection.execute(select(LookupRow.reason)).scalar_one() == "Called off by Ana: not needed"
    assert called_off(desk) == [("Ana", "lookup_again", "not needed")]


def test_a_run_that_is_called_off_applies_nothing_even_when_a_worker_has_it(desk: Services) -> None:
    script(desk, "ticket.add_tags(['done'])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    queued = coming(desk, ticket.item_id)["run"]
    assert queued.what == "S01"
    with desk.db.write() as connection:  # a worker has taken it
        connection.execute(update(RunRow).values(status="running", token="mine", attempt=1))
    running = coming(desk, ticket.item_id)["running"]
    off(desk, ticket.item_id, running)
    with desk.db.write() as connection:  # what that worker does when it is done
        late = connection.execute(update(RunRow).where(RunRow.token == "mine").values(status="finished"))
        assert late.rowcount == 0
    work(desk)
    assert "tags" not in item(desk, ticket.item_id).state
    assert coming(desk, ticket.item_id) == {}
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.status)).scalar_one() == "cancelled"


def test_a_mail_that_is_called_off_is_not_sent_and_one_that_is_not_is(desk: Services, sink: MailSink) -> None:
    table(desk, ANSWER_AND_TAG)
    kept, dropped = a_ticket(desk.db), a_ticket(desk.db, email="ion@example.com")
    work(desk)
    settings = desk.settings.model_copy(update={"smtp_url": sink.url, "mail_from": "help@shop.example"})
    off(desk, dropped.item_id, coming(desk, dropped.item_id)["send"])
    clock_of(desk).forward(minutes=2)
    assert outbox.deliver(replace(desk, settings=settings)) == 1
    assert [one["To"] for one in sink.taken] == ["Camille Laurent <camille@example.com>"]
    assert coming(desk, kept.item_id) == {}
    with desk.db.read() as connection:
        assert sorted(connection.execute(select(OutboxRow.status)).scalars()) == ["cancelled", "sent"]


def test_what_is_on_its_way_cannot_be_called_back(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    ticket = a_ticket(desk.db)
    work(desk)
    clock_of(desk).forward(minutes=2)
    with desk.db.write() as connection:
        until = desk.clock.now().replace(microsecond=1)
        connection.execute(update(OutboxRow).values(lease_until=until, token="t", tries=1))
    entry = coming(desk, ticket.item_id)["sending"]
    assert not entry.can_be_called_off
    with pytest.raises(NotComing):
        off(desk, ticket.item_id, entry)
    assert called_off(desk) == []
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.status)).scalar_one() == "due"


def test_a_reminder_is_told_while_its_request_is_open_and_its_link_works(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    now = desk.clock.now()
    days = tokens.REQUEST_DAYS // 2
    with desk.db.write() as connection:
        number = people.person_by_email(connection, "camille@example.com")
        assert number is not None
        person = people.customer(connection, number)
        asked = requests.QuestionsToAsk("Your papers", questions_from([{"key": "year", "label": "Which year?"}]))
        made = requests.send(connection, asked, person=person.id, item=ticket.item_id, key="r", cause=BY_ANA, now=now)
        assert made is not None
        queue_request(desk, connection, made, person, ticket.item_id, now, remind_h=24 * days)
    assert [one.at for one in all_coming(desk, ticket.item_id)] == [now, now + timedelta(days=days)]
    with desk.db.write() as connection:
        requests.withdraw(connection, made, now=now)
    assert all_coming(desk, ticket.item_id) == []


def test_the_same_thing_is_called_off_once_and_only_by_who_sees_the_ticket(desk: Services) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    work(desk)
    entry = coming(desk, ticket.item_id)["lookup_again"]
    with desk.db.write() as connection:
        events = connection.execute(select(func.count()).select_from(EventRow)).scalar_one()
    for wrong in (replace(entry, ref="999"), replace(entry, source="nothing"), replace(entry, ref="x")):
        with pytest.raises(NotComing):
            off(desk, ticket.item_id, wrong)
    hidden = a_ticket(desk.db, team="hr")
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(item_id=hidden.item_id))
    with pytest.raises(ItemNotFound):
        off(desk, hidden.item_id, entry, who="ion")
    assert called_off(desk) == []
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(item_id=ticket.item_id))
        assert connection.execute(select(func.count()).select_from(EventRow)).scalar_one() == events + 1
    off(desk, ticket.item_id, entry)
    with pytest.raises(NotComing):
        off(desk, ticket.item_id, entry)
    assert len(called_off(desk)) == 1


def test_a_time_comes_when_it_was_said_to_and_one_that_is_called_off_never(desk: Services) -> None:
    table(desk, WAITING)
    tick(desk)
    kept, dropped = (a_ticket(desk.db, status="waiting_team").item_id for _ in range(2))
    tick(desk)
    timer = coming(desk, kept)["timer"]
    assert timer.what == "A21"
    off(desk, dropped, coming(desk, dropped)["timer"])
    work(desk)
    assert coming(desk, dropped) == {}
    forward_to(desk, timer, by_s=-TOLERANCE_S)
    tick(desk)
    assert "tags" not in item(desk, kept).state
    forward_to(desk, timer, by_s=TOLERANCE_S)
    tick(desk)
    assert item(desk, kept).state["tags"] == ["too-long"]
    clock_of(desk).forward(days=30)
    tick(desk)
    assert "tags" not in item(desk, dropped).state
    assert called_off(desk) == [("Ana", "timer", "not needed")]


def test_of_many_the_soonest_are_told_and_no_more_than_the_bound(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    now = desk.clock.now()
    rows = [
        {
            "item_id": ticket.item_id,
            "connection": "crm",
            "operation": f"op{number}",
            "args": {},
            "args_key": str(number),
            "state": "asked",
            "answer": {},
            "reason": "",
            "depth": 0,
            "asked_at": now,
            "due_at": now,
            "tries": 0,
        }
        for number in range(30)
    ]
    with desk.db.write() as connection:
        connection.execute(insert(LookupRow), rows)
        assert len(forecast(connection, ticket.item_id, now)) == 20


def test_a_snooze_ends_when_it_was_said_to_and_one_that_is_called_off_ends_with_the_answer(desk: Services) -> None:
    kept, dropped = (a_ticket(desk.db).item_id for _ in range(2))
    work(desk)
    until = clock_of(desk).now() + timedelta(hours=4)
    for one in (kept, dropped):
        change(desk, one, *snooze(item(desk, one).state, until, "team"))
    tick(desk)
    entry = coming(desk, kept)["wake"]
    assert (entry.at, entry.can_be_called_off) == (until, True)
    off(desk, dropped, coming(desk, dropped)["wake"])
    assert coming(desk, dropped) == {}
    assert called_off(desk) == [("Ana", "wake", "not needed")]
    forward_to(desk, entry, by_s=-TOLERANCE_S)
    tick(desk)
    assert item(desk, kept).state["status"] == "snoozed"
    forward_to(desk, entry, by_s=TOLERANCE_S)
    tick(desk)
    assert (item(desk, kept).state["status"], coming(desk, kept)) == ("open", {})
    clock_of(desk).forward(days=30)
    tick(desk)
    asleep = item(desk, dropped).state
    assert (asleep["status"], asleep["snoozed_for"], "snoozed_until" in asleep) == ("snoozed", "team", False)
    say(desk, dropped, "agent", public=False)  # who was waited for
    work(desk)
    assert item(desk, dropped).state["status"] == "open"


def test_a_snooze_that_nothing_else_would_end_is_not_called_off(desk: Services) -> None:
    ticket = a_ticket(desk.db).item_id
    change(desk, ticket, *snooze(item(desk, ticket).state, clock_of(desk).now() + timedelta(hours=4)))
    work(desk)
    entry = coming(desk, ticket)["wake"]
    assert not entry.can_be_called_off
    before = item(desk, ticket)
    with pytest.raises(NotComing):
        off(desk, ticket, entry)
    assert (item(desk, ticket), called_off(desk)) == (before, [])
    forward_to(desk, entry, by_s=TOLERANCE_S)
    tick(desk)
    assert item(desk, ticket).state["status"] == "open"


def test_a_service_level_is_over_when_it_was_said_to_be_and_is_not_called_off(desk: Services) -> None:
    with desk.db.write() as connection:
        body = Policy("fast", "Fast", {Target.FIRST_REPLY: 4 * 3_600}).to_json()
        values = {"key": "fast", "label": "Fast", "body": body, "position": 1, "enabled": True}
        connection.execute(insert(SlaPolicy).values(**values, updated_at=desk.clock.now()))
    ticket = a_ticket(desk.db).item_id
    work(desk)
    entry = coming(desk, ticket)["breach"]
    assert (entry.what, entry.can_be_called_off) == ("first_reply", False)
    assert entry.at == clock_of(desk).now() + timedelta(hours=4)
    before = item(desk, ticket)
    with pytest.raises(NotComing):
        off(desk, ticket, entry)
    assert (item(desk, ticket), called_off(desk)) == (before, [])
    say(desk, ticket, "agent")  # it is kept
    assert "breach" not in coming(desk, ticket)
    late = a_ticket(desk.db, now=desk.clock.now()).item_id
    forward_to(desk, entry, by_s=TOLERANCE_S)
    assert "breach" not in coming(desk, late)  # it has come
