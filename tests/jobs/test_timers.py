"""Trip (d): a moment comes, an event goes into the lane, and the rule list says what to do. No clock runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, update

from jobs import clock, timers
from jobs.live import Desk, Live
from jobs.queues import Work
from jobs.services import Services
from rules import files
from rules import store as rule_list
from tests.builders import ANA, BY_ANA, MORNING, a_ticket
from tests.jobs.desk import CAMILLE, clock_of, decisions, item, save, say, table, tags, tick, work
from tests.jobs.tables import WAITING
from tickets import requests, store
from tickets.item import ItemKind
from tickets.questions import questions_from
from tickets.tables import CustomField, EventRow, Timer, TimeTrigger


def timer(services: Services, item_id: int) -> tuple[str, str]:
    with services.db.read() as connection:
        row = connection.execute(select(Timer.outcome, Timer.due_at).where(Timer.item_id == item_id)).one()
    return row.outcome, row.due_at.isoformat(timespec="minutes") if row.due_at else ""


def a_task(services: Services) -> int:
    state = {"subject": "Call them back", "status": "waiting_team"}
    with services.db.write() as connection:
        return store.create_item(
            connection, kind=ItemKind.TASK, state=state, actor=ANA, now=services.clock.now()
        ).item_id


def test_a_time_in_a_status_comes_once_and_only_when_it_has_passed(desk: Services) -> None:
    table(desk, WAITING)
    tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    tick(desk)
    assert timer(desk, item_id) == ("waiting", "2026-11-24T09:30+00:00")
    clock_of(desk).forward(hours=72, seconds=-1)
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(seconds=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]
    save(desk, item_id, tags="")
    clock_of(desk).forward(days=30)
    tick(desk)
    assert tags(desk, item_id) == []
    assert timer(desk, item_id) == ("fired", "")


def test_leaving_the_status_takes_the_timer_away_and_coming_back_begins_anew(desk: Services) -> None:
    table(desk, WAITING)
    tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(hours=71)
    save(desk, item_id, status="open")
    with desk.db.read() as connection:
        assert connection.execute(select(Timer.key)).all() == []
    clock_of(desk).forward(hours=10)
    save(desk, item_id, status="waiting_team")
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


def test_a_timer_changes_nothing_of_the_ticket_that_an_editor_would_trip_over(desk: Services) -> None:
    table(
        desk,
        WAITING.replace("rows:\n", "columns: [{id: c1, field: ticket.priority}]\nrows:\n").replace(
            "id: r1,", "id: r1, if: {c1: urgent},"
        ),
    )
    tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    before = item(desk, item_id)
    clock_of(desk).forward(hours=72)
    tick(desk)
    after = item(desk, item_id)
    assert (after.version, after.updated_at, after.stamps) == (before.version, before.updated_at, before.stamps)
    assert after.last_seq == before.last_seq + 1
    [entry] = decisions(desk, item_id)[-1].trace["entries"]
    assert (entry["code"], entry["verdict"]) == ("A21", "not_matched")


def test_after_downtime_late_timers_fire_once_the_oldest_first(desk: Services) -> None:
    table(desk, WAITING)
    tick(desk)
    ids = [a_ticket(desk.db, status="waiting_team").item_id for _ in range(3)]
    with desk.db.write() as connection:
        for offset, item_id in enumerate(reversed(ids)):
            due = MORNING + timedelta(hours=offset)
            connection.execute(update(Timer).where(Timer.item_id == item_id).values(due_at=due + timedelta(hours=72)))
    clock_of(desk).forward(days=10)
    assert timers.fire(desk, items=2) == 2
    with desk.db.read() as connection:
        fired = connection.execute(select(EventRow.item_id).where(EventRow.kind == "timer")).scalars().all()
    assert sorted(fired) == sorted(ids[1:])
    tick(desk)
    tick(desk)
    with desk.db.read() as connection:
        told = connection.execute(select(EventRow.payload).where(EventRow.kind == "timer")).scalars().all()
    assert len(told) == 3
    assert {one["late_s"] for one in told} == {7 * 86_400 - hours * 3_600 for hours in range(3)}
    assert [tags(desk, one) for one in ids] == [["too-long"]] * 3


@pytest.mark.parametrize("answered", [True, False])
def test_an_answer_before_the_event_has_its_turn_overtakes_it(desk: Services, answered: bool) -> None:
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: no_reply, for: 2 h}"))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    work(desk)
    clock_of(desk).forward(hours=2)
    assert timers.fire(desk) == 1
    if answered:
        say(desk, item_id, "agent")
    work(desk)
    assert tags(desk, item_id) == ([] if answered else ["too-long"])


# What each trigger counts from --------------------------------------------------------------------------------------


def test_no_reply_counts_from_the_oldest_unanswered_message_and_only_a_public_reply_ends_it(desk: Services) -> None:
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: no_reply, for: 4 h}"))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=3)
    say(desk, item_id, "customer")
    say(desk, item_id, "agent", public=False)
    say(desk, item_id, "bot")
    clock_of(desk).forward(hours=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


def test_no_reply_is_over_when_somebody_here_answered(desk: Services) -> None:
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: no_reply, for: 4 h}"))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=3)
    say(desk, item_id, "agent")
    clock_of(desk).forward(days=3)
    tick(desk)
    assert tags(desk, item_id) == []


def test_no_reply_by_the_customer_counts_from_our_newest_reply(desk: Services) -> None:
    trigger = "{on: no_reply, by: customer, for: 4 h}"
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    say(desk, item_id, "agent")
    clock_of(desk).forward(hours=3)
    say(desk, item_id, "agent")
    clock_of(desk).forward(hours=3)
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(hours=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


@pytest.mark.parametrize(
    ("trigger", "hours"),
    [
        ("{on: before_date, field: due_at, by: 1 d}", 24),
        ("{on: after_date, field: due_at}", 48),
        ("{on: after_date, field: ticket.due_at, by: 6 h}", 54),
    ],
)
def test_a_date_of_the_ticket_is_waited_for_and_moves_with_it(desk: Services, trigger: str, hours: int) -> None:
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    item_id = a_ticket(desk.db, due_at="2026-11-22T09:30:00+00:00").item_id
    save(desk, item_id, due_at="2026-11-23T10:30:00+01:00")
    clock_of(desk).forward(hours=hours, seconds=-1)
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(seconds=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


def test_a_date_set_into_the_past_is_past_at_once(desk: Services) -> None:
    trigger = "{on: after_date, field: due_at}"
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    save(desk, item_id, due_at="2026-01-01T00:00:00+00:00")
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


def test_a_date_that_came_does_not_come_again_when_the_ticket_is_opened_again_but_when_it_is_set_again(
    desk: Services,
) -> None:
    trigger, due_at = "{on: after_date, field: due_at}", "2026-11-22T09:30:00+00:00"
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    item_id = a_ticket(desk.db, due_at=due_at).item_id
    clock_of(desk).forward(days=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]
    save(desk, item_id, tags="", status="closed")
    save(desk, item_id, status="open")
    tick(desk)
    assert tags(desk, item_id) == []
    save(desk, item_id, due_at="")
    save(desk, item_id, due_at=due_at)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


@pytest.mark.parametrize(("brand", "before_h"), [("shop", 1), (None, 0)])
def test_a_date_that_a_customer_answers_comes_at_midnight_in_the_zone_of_the_brand(
    desk: Services, brand: str | None, before_h: int
) -> None:
    """The shop is in Paris, one hour ahead of the world's clock; without a brand it is the world's midnight."""
    with desk.db.write() as connection:
        connection.execute(
            insert(CustomField).values(key="leaves", label="Leaves", kind="ticket", type="time", options={})
        )
        rule_list.bump(connection)
    trigger = "{on: after_date, field: ticket.fields.leaves}"
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    item_id = a_ticket(desk.db, brand=brand).item_id
    with desk.db.write() as connection:
        asked = questions_from([{"key": "leaves", "label": "When do you leave?", "type": "date"}])
        made = requests.send(
            connection,
            requests.QuestionsToAsk("Travel", asked),
            person=int(str(item(desk, item_id).state["customer"])),
            item=item_id,
            key="k",
            cause=BY_ANA,
            now=desk.clock.now(),
        )
        assert made is not None
        requests.save(connection, requests.read(connection, made), {"leaves": "2026-11-24"}, seen_version=1)
        requests.complete(connection, made, actor=CAMILLE, now=desk.clock.now())
    midnight = datetime(2026, 11, 24, tzinfo=UTC) - timedelta(hours=before_h)
    clock_of(desk).forward(seconds=(midnight - desk.clock.now()).total_seconds() - 1)
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(seconds=1)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]


def test_finished_tickets_wait_for_nothing_but_the_time_in_their_status(desk: Services) -> None:
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: no_reply, for: 4 h}"))
    table(desk, WAITING.replace("A21", "A22").replace("waiting_team", "solved").replace("too-long", "long-solved"))
    tick(desk)
    item_id = a_ticket(desk.db, status="solved").item_id
    clock_of(desk).forward(hours=80)
    tick(desk)
    assert tags(desk, item_id) == ["long-solved"]


# Publishing ---------------------------------------------------------------------------------------------------------


def test_on_publish_only_what_is_still_to_come_gets_a_timer_and_what_was_is_entered_as_before(desk: Services) -> None:
    old = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(hours=71)
    young = a_ticket(desk.db, status="waiting_team", now=desk.clock.now()).item_id
    clock_of(desk).forward(hours=2)
    table(desk, WAITING)
    timers.sync(desk)
    while timers.walk(desk):
        pass
    assert timer(desk, old) == ("before", "")
    tick(desk)
    assert timer(desk, old) == ("before", "")
    assert timer(desk, young) == ("waiting", "2026-11-27T08:30+00:00")
    save(desk, old, priority="high")
    clock_of(desk).forward(hours=70)
    tick(desk)
    assert (tags(desk, old), tags(desk, young)) == ([], ["too-long"])


def test_a_walk_over_the_items_stops_after_a_batch_and_goes_on_where_it_was(desk: Services) -> None:
    ids = [a_ticket(desk.db, status="waiting_team").item_id for _ in range(5)]
    table(desk, WAITING)
    timers.sync(desk)
    timers.walk(desk)
    assert timers.walk(desk, items=2) == 2
    with desk.db.read() as connection:
        assert connection.execute(select(Timer.item_id).order_by(Timer.item_id)).scalars().all() == ids[:2]
        assert connection.execute(select(TimeTrigger.walked_to)).scalar_one() == ids[1]
    assert [timers.walk(desk, items=2) for _ in range(3)] == [2, 1, 0]
    with desk.db.read() as connection:
        assert connection.execute(select(Timer.item_id).order_by(Timer.item_id)).scalars().all() == ids


def test_what_is_due_while_the_walk_goes_on_is_given_its_timer_first(desk: Services) -> None:
    ids = [a_ticket(desk.db, status="waiting_team", now=MORNING + timedelta(minutes=5)).item_id for _ in range(4)]
    soon = a_ticket(desk.db, status="waiting_team", now=MORNING - timedelta(minutes=10)).item_id
    clock_of(desk).forward(hours=71, minutes=45)
    table(desk, WAITING)
    timers.sync(desk)
    timers.walk(desk, items=2)
    with desk.db.read() as connection:
        assert connection.execute(select(Timer.item_id)).scalars().all() == [soon]
    assert [timers.walk(desk, items=2) for _ in range(4)] == [2, 2, 1, 0]
    with desk.db.read() as connection:
        assert connection.execute(select(Timer.item_id).order_by(Timer.item_id)).scalars().all() == [*ids, soon]


def test_a_write_before_the_walk_came_by_enters_the_old_episode_too(desk: Services) -> None:
    old = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(hours=80)
    table(desk, WAITING)
    timers.sync(desk)
    save(desk, old, priority="high")
    assert timer(desk, old) == ("before", "")


@pytest.mark.parametrize("trigger", ["time_in_state, status: waiting_team, for: 72 h", "schedule, cron: 0 9 * * *"])
def test_a_table_that_is_now_for_another_kind_of_item_waits_for_those(desk: Services, trigger: str) -> None:
    content = WAITING.replace("time_in_state, status: waiting_team, for: 72 h", trigger)
    table(desk, content)
    tick(desk)
    old = a_task(desk)
    clock_of(desk).forward(hours=71)
    young = a_task(desk)
    clock_of(desk).forward(hours=2)
    with desk.db.write() as connection:
        now, draft = desk.clock.now(), {**files.load(content), "kind": "task"}
        seen = rule_list.entry(connection, "A21").draft_count
        seen = rule_list.save_draft(connection, "A21", draft, author="ana", seen=seen, now=now)
        rule_list.publish(connection, "A21", author="ana", note="", seen=seen, now=now)
    tick(desk)
    clock_of(desk).forward(hours=72)
    tick(desk)
    # The time of the old one in its status was over before the table was for tasks.
    assert (tags(desk, old), tags(desk, young)) == ([] if "status" in trigger else ["too-long"], ["too-long"])


@pytest.mark.parametrize("off", [True, False])
def test_a_table_that_is_switched_off_has_no_timers_any_more(desk: Services, off: bool) -> None:
    table(desk, WAITING)
    tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    if off:
        with desk.db.write() as connection:
            rule_list.switch(connection, "A21", enabled=False)
    clock_of(desk).forward(hours=72)
    tick(desk)
    assert tags(desk, item_id) == ([] if off else ["too-long"])
    if off:
        with desk.db.write() as connection:
            rule_list.switch(connection, "A21", enabled=True)
        tick(desk)
        assert timer(desk, item_id) == ("before", "")
        assert tags(desk, item_id) == []


def test_one_table_does_not_fire_on_the_timer_of_another(desk: Services) -> None:
    table(desk, WAITING)
    tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    clock_of(desk).forward(hours=10)
    table(desk, WAITING.replace("A21", "A22").replace("too-long", "second"))
    tick(desk)
    clock_of(desk).forward(hours=62)
    tick(desk)
    assert tags(desk, item_id) == ["second", "too-long"]
    codes = [[entry["code"] for entry in one.trace["entries"]] for one in decisions(desk, item_id)]
    assert ["A21"] in codes
    assert ["A22"] in codes


# Schedules ----------------------------------------------------------------------------------------------------------


def test_a_schedule_comes_for_every_open_ticket_once_per_tick_and_once_after_downtime(desk: Services) -> None:
    trigger = "{on: schedule, cron: '0 9 * * *', zone: Europe/Paris}"
    table(desk, WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", trigger))
    tick(desk)
    first, second = a_ticket(desk.db).item_id, a_ticket(desk.db).item_id
    done = a_ticket(desk.db, status="solved").item_id
    tick(desk)
    assert tags(desk, first) == []
    clock_of(desk).at = MORNING.replace(day=22, hour=8, minute=0)  # 09:00 in Paris
    tick(desk)
    assert (tags(desk, first), tags(desk, second), tags(desk, done)) == (["too-long"], ["too-long"], [])
    save(desk, first, tags="")
    tick(desk)
    assert tags(desk, first) == []
    clock_of(desk).forward(days=5, hours=3)
    tick(desk)
    tick(desk)
    assert tags(desk, first) == ["too-long"]
    with desk.db.read() as connection:
        ticks = connection.execute(select(EventRow.id).where(EventRow.kind == "timer", EventRow.item_id == first)).all()
    assert len(ticks) == 2


def test_a_schedule_that_cannot_tick_holds_up_no_other_and_ticks_when_it_can_again(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Its zone is gone with an update of the system, say."""
    daily = WAITING.replace("{on: time_in_state, status: waiting_team, for: 72 h}", "{on: schedule, cron: '0 9 * * *'}")
    table(desk, daily)
    table(desk, daily.replace("A21", "A22").replace("too-long", "second"))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    work(desk)
    with desk.db.write() as connection:
        mine = TimeTrigger.entry == "A21"
        kept = connection.execute(select(TimeTrigger.rule).where(mine)).scalar_one()
        gone = {"rule": {**kept, "zone": "Atlantis/Poseidonis"}, "next_at": MORNING}  # and it is the oldest
        connection.execute(update(TimeTrigger).where(mine).values(**gone))
    clock_of(desk).forward(days=1)
    failing: set[str] = set()
    for _ in range(2):
        clock.tick(desk, failing)
    work(desk)
    assert tags(desk, item_id) == ["second"]
    told = [one.message for one in caplog.records if one.name == "jobs.clock"]
    assert told == ["clock.failing", "clock.works_again"]
    with desk.db.write() as connection:
        connection.execute(update(TimeTrigger).where(TimeTrigger.entry == "A21").values(rule=kept))
    clock_of(desk).forward(seconds=timers.BROKEN_S)
    tick(desk)
    assert tags(desk, item_id) == ["second", "too-long"]


class Failing(Live):
    """A rule list that cannot be had for a while."""

    fails = True

    def current(self, connection: Connection, revision: int | None = None) -> Desk:
        if self.fails:
            raise RuntimeError("not now")
        return super().current(connection, revision)


def test_a_part_of_the_clock_that_fails_keeps_no_other_from_its_work_and_is_told_once(
    desk: Services, caplog: pytest.LogCaptureFixture
) -> None:
    table(desk, WAITING)
    clock.tick(desk)
    a_ticket(desk.db, status="waiting_team")
    work(desk)
    clock_of(desk).forward(hours=72)
    a_ticket(desk.db)
    live = Failing()
    failing: set[str] = set()
    for _ in range(2):
        assert Work.DRAIN in clock.tick(replace(desk, live=live), failing)
    assert failing == {"timers"}
    assert [one.message for one in caplog.records if one.name == "jobs.clock"] == ["clock.failing"]
    live.fails = False
    clock.tick(replace(desk, live=live), failing)
    assert failing == set()
    assert caplog.records[-1].message == "clock.works_again"


def test_a_look_of_the_clock_fires_what_is_due_and_tells_the_workers(desk: Services) -> None:
    table(desk, WAITING)
    clock.tick(desk)
    item_id = a_ticket(desk.db, status="waiting_team").item_id
    work(desk)
    assert Work.DRAIN not in clock.tick(desk)
    clock_of(desk).forward(hours=72)
    assert Work.DRAIN in clock.tick(desk)
    work(desk)
    assert tags(desk, item_id) == ["too-long"]
