"""What is too old goes, in pieces, and nothing else does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from connectors.store import CallTable, add_call, add_record, newest_record
from jobs import retention
from jobs.retention import prune
from jobs.services import Services
from jobs.tables import DecisionRow, IdempotencyKey, LookupRow, OutboxRow, RunRow, SkippedRow, UndoItemRow, UndoRow
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, item, table, work
from tests.jobs.tables import TRIAGE
from tickets import store
from tickets.events import Cause
from tickets.tables import EventRow, History, Message, Notification


def count(services: Services, model: type) -> int:
    with services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(model)).scalar_one()


def mails(services: Services, *statuses: str) -> None:
    now = services.clock.now()
    with services.db.write() as connection:
        for status in statuses:
            number = connection.execute(select(func.count()).select_from(OutboxRow)).scalar_one()
            connection.execute(
                insert(OutboxRow).values(
                    key=f"k{number}",
                    kind="email",
                    payload={},
                    status=status,
                    due_at=now,
                    tries=1,
                    last_error="",
                    created_at=now,
                    sent_at=now if status == "sent" else None,
                )
            )


def test_a_decision_that_found_nothing_to_do_goes_sooner_than_one_that_acted(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db)
    work(desk)
    clock_of(desk).forward(days=desk.settings.keep_checked_days - 1)
    assert not any(prune(desk).values())
    clock_of(desk).forward(days=2)
    assert prune(desk)["checked"] == 1
    with desk.db.read() as connection:
        assert list(connection.execute(select(DecisionRow.outcome)).scalars()) == ["acted"]


def test_what_was_not_delivered_stays_as_long_as_a_decision_and_what_waits_for_ever(desk: Services) -> None:
    mails(desk, "failed", "capped", "cancelled", "due")
    clock_of(desk).forward(days=desk.settings.keep_decisions_days - 1)
    prune(desk)
    assert count(desk, OutboxRow) == 4
    clock_of(desk).forward(days=2)
    assert prune(desk)["undelivered"] == 3
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.status)).scalar_one() == "due"


def test_a_decision_is_dropped_when_it_is_too_old_and_what_it_did_stays(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    work(desk)
    before = (count(desk, EventRow), count(desk, History), count(desk, Message), item(desk, ticket.item_id))
    clock_of(desk).forward(days=desk.settings.keep_decisions_days - 1)
    assert prune(desk)["decisions"] == 0  # of the two, the one that found nothing to do went sooner
    younger = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    clock_of(desk).forward(days=2)
    assert prune(desk)["decisions"] == 1
    with desk.db.read() as connection:
        left = set(connection.execute(select(DecisionRow.item_id)).scalars())
    assert left == {younger.item_id}
    assert before[0] + 2 == count(desk, EventRow)
    assert before[2] + 1 == count(desk, Message)
    assert before[1] * 2 == count(desk, History)
    assert before[3] == item(desk, ticket.item_id)


def test_only_sent_mail_is_forgotten_and_not_what_waits_or_was_given_up(desk: Services) -> None:
    mails(desk, "sent", "due", "failed", "capped")
    clock_of(desk).forward(days=desk.settings.keep_sent_days, seconds=1)
    mails(desk, "sent")
    assert prune(desk)["sent"] == 1
    with desk.db.read() as connection:
        left = sorted(connection.execute(select(OutboxRow.status)).scalars())
    assert left == ["capped", "due", "failed", "sent"]


def test_a_run_that_has_not_ended_is_never_dropped(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    now = desk.clock.now()
    run: dict[str, Any] = {
        "item_id": ticket.item_id,
        "event_id": ticket.event_id,
        "script": "A01",
        "version": 1,
        "params": {},
        "cause": {},
        "root_id": ticket.event_id,
        "depth": 0,
        "attempt": 1,
        "outcome": {},
        "created_at": now,
    }
    with desk.db.write() as connection:
        connection.execute(insert(RunRow).values(key="ended", status="finished", finished_at=now, **run))
        connection.execute(insert(RunRow).values(key="waits", status="retrying", finished_at=None, **run))
    clock_of(desk).forward(days=desk.settings.keep_decisions_days + 1)
    assert prune(desk)["runs"] == 1
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.key)).scalars().all() == ["waits"]


def an_answer(fetched_at: datetime, *, stale_until: datetime, key: str = "k") -> dict[str, Any]:
    """What the CRM said, kept for the next who asks."""
    times = {"fetched_at": fetched_at, "fresh_until": fetched_at, "stale_until": stale_until}
    what = {"key": key, "connection": "crm", "operation": "find", "inputs_hash": "h", "data": {"v": 1}}
    return {**what, **times, "truncated": False, "external_url": ""}


def test_answers_and_calls_of_connections_and_old_keys_go(desk: Services) -> None:
    now = desk.clock.now()
    call = {"at": now, "connection": "crm", "operation": "find", "kind": "read", "cause": "", "inputs": {}}
    call |= {"inputs_hash": "h", "status": "ok", "error": "", "http_status": 200, "ms": 1, "requests": 1}
    still_of_use = now + timedelta(days=desk.settings.keep_answers_days)
    with desk.db.write() as connection:
        add_call(connection, {**call, "answer_bytes": 1, "request_id": ""})
        add_record(connection, an_answer(now, stale_until=now))
        add_record(connection, an_answer(now, key="still of use", stale_until=still_of_use))
        connection.execute(
            insert(IdempotencyKey).values(
                principal="p", key="k", request_sha256="", status=200, body={}, created_at=desk.clock.now()
            )
        )
    assert not any(prune(desk).values())
    clock_of(desk).forward(hours=retention.KEY_H + 1)
    assert (prune(desk)["keys"], count(desk, CallTable)) == (1, 1)
    clock_of(desk).forward(days=desk.settings.keep_answers_days)
    gone = prune(desk)
    assert (gone["answers"], gone["calls"]) == (1, 1)
    with desk.db.read() as connection:
        assert newest_record(connection, "k") is None
        assert newest_record(connection, "still of use") is not None
    clock_of(desk).forward(days=desk.settings.keep_answers_days)
    assert prune(desk)["answers"] == 1


def test_one_round_is_bounded_and_says_so_and_the_next_goes_on(
    desk: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "ROUNDS", 2)
    mails(desk, *["sent"] * 7)
    clock_of(desk).forward(days=desk.settings.keep_sent_days, seconds=1)
    assert prune(desk)["sent"] == 4
    assert [vars(one)["table"] for one in caplog.records if one.message == "retention.behind"] == ["outbox"]
    assert [prune(desk)["sent"] for _ in range(2)] == [3, 0]
    assert [one.message for one in caplog.records].count("retention.behind") == 1


def test_an_undo_of_many_items_goes_in_pieces_and_itself_when_nothing_of_it_is_left(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(desk, TRIAGE)
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "ROUNDS", 1)
    now = desk.clock.now()
    asked = {"code": "A01", "version": 1, "since": now, "until": now, "asked_by": "ana", "asked_at": now}
    items = [a_ticket(desk.db).item_id for _ in range(3)]
    with desk.db.write() as connection:
        for status in ("done", "waiting"):
            undo_id = connection.execute(insert(UndoRow).values(asked).returning(UndoRow.id)).scalar_one()
            of_it: list[dict[str, Any]] = [
                {"undo_id": undo_id, "item_id": one, "status": status, "outcome": {}} for one in items
            ]
            connection.execute(insert(UndoItemRow), of_it)
    clock_of(desk).forward(days=desk.settings.keep_decisions_days, seconds=1)
    found = [prune(desk) for _ in range(3)]
    assert [(one["undone"], one["undos"]) for one in found] == [(2, 0), (1, 1), (0, 0)]
    assert (count(desk, UndoRow), count(desk, UndoItemRow)) == (1, 3)


def a_lookup(services: Services, item_id: int, **values: Any) -> int:
    """A question that was asked now, and answered now."""
    now = services.clock.now()
    row: dict[str, Any] = {"item_id": item_id, "connection": "crm", "operation": "find", "args": {}, "state": "known"}
    row |= {
        "args_key": f"k{count(services, LookupRow)}",
        "answer": {"data": {"tier": "gold"}},
        "reason": "",
        "depth": 1,
    }
    row |= {"tries": 1, "asked_at": now, "answered_at": now, "fetched_at": now, "fresh_until": now + timedelta(hours=1)}
    with services.db.write() as connection:
        return connection.execute(insert(LookupRow).values(row | values).returning(LookupRow.id)).scalar_one()


def lookups(services: Services) -> set[int]:
    with services.db.read() as connection:
        return set(connection.execute(select(LookupRow.id)).scalars())


def test_what_was_asked_for_a_ticket_stays_as_long_as_a_decision_that_may_have_used_it(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    a_lookup(desk, ticket.item_id)
    a_lookup(desk, ticket.item_id, state="failed", fetched_at=None, fresh_until=None)
    clock_of(desk).forward(days=desk.settings.keep_decisions_days - 1)
    assert prune(desk)["lookups"] == 0
    younger = a_lookup(desk, ticket.item_id)
    clock_of(desk).forward(days=2)
    assert prune(desk)["lookups"] == 2
    assert lookups(desk) == {younger}


@pytest.mark.parametrize("waits", ["to be asked", "in somebody's hands", "asked again", "answered late", "fresh"])
def test_a_lookup_that_somebody_waits_for_or_may_still_use_stays_however_old_it_is(desk: Services, waits: str) -> None:
    now = desk.clock.now()
    days = desk.settings.keep_decisions_days + 1
    ticket = a_ticket(desk.db)
    values: dict[str, dict[str, Any]] = {
        "to be asked": {"due_at": now},
        "in somebody's hands": {"lease_until": now},
        "asked again": {"asked_at": now + timedelta(days=days)},
        "answered late": {"answered_at": now + timedelta(days=days)},
        "fresh": {"fresh_until": now + timedelta(days=days)},
    }
    one = a_lookup(desk, ticket.item_id, **values[waits])
    a_lookup(desk, ticket.item_id)
    clock_of(desk).forward(days=days)
    assert prune(desk)["lookups"] == 1
    assert lookups(desk) == {one}


def test_a_lookup_stays_while_a_row_may_be_decided_again_and_goes_with_the_decision(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    work(desk)
    one = a_lookup(desk, ticket.item_id)
    clock_of(desk).forward(days=desk.settings.keep_decisions_days - 1)
    younger = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    with desk.db.write() as connection:
        # Of a decision that is still there, and of one that is gone by then.
        for event in (ticket.event_id, younger.event_id):
            connection.execute(insert(SkippedRow).values(event_id=event, row_key="A01/r1", lookup_id=one))
    clock_of(desk).forward(days=2)
    gone = prune(desk)
    assert (gone["skipped"], gone["lookups"]) == (1, 0)
    clock_of(desk).forward(days=desk.settings.keep_decisions_days)
    gone = prune(desk)
    assert (gone["skipped"], gone["lookups"]) == (1, 1)


def test_a_lookup_by_which_an_erasure_finds_a_stored_answer_stays_as_long_as_the_answer(desk: Services) -> None:
    now, days = desk.clock.now(), desk.settings.keep_decisions_days + 1
    ticket = a_ticket(desk.db)
    one = a_lookup(desk, ticket.item_id)
    with desk.db.write() as connection:
        add_record(connection, an_answer(now, stale_until=now + timedelta(days=days + 1)))
    clock_of(desk).forward(days=days)
    gone = prune(desk)
    assert (gone["answers"], gone["lookups"], lookups(desk)) == (0, 0, {one})
    clock_of(desk).forward(days=desk.settings.keep_answers_days + 2)
    gone = prune(desk)
    assert (gone["answers"], gone["lookups"]) == (1, 1)


def test_lines_of_the_bell_go_when_they_are_too_old_read_or_not(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    cause = Cause("system", label="A01")
    with desk.db.write() as connection:
        for key in ("first", "second"):
            store.notify(connection, ["ana"], ticket.item_id, key, cause=cause, key=key, now=desk.clock.now())
        connection.execute(update(Notification).where(Notification.text == "first").values(read_at=desk.clock.now()))
    clock_of(desk).forward(days=desk.settings.keep_bell_days - 1)
    assert prune(desk)["bell"] == 0
    with desk.db.write() as connection:
        store.notify(connection, ["ana"], ticket.item_id, "third", cause=cause, key="third", now=desk.clock.now())
    clock_of(desk).forward(days=2)
    assert prune(desk)["bell"] == 2
    with desk.db.read() as connection:
        assert connection.execute(select(Notification.text)).scalar_one() == "third"


def test_neither_goes_before_the_decisions_that_a_replay_compares_with(desk: Services) -> None:
    few = {"keep_bell_days": 7, "keep_answers_days": 7, "keep_decisions_days": 30}
    many = {"keep_bell_days": 60, "keep_answers_days": 90, "keep_decisions_days": 30}
    for values, expected in ((few, (30, 30)), (many, (90, 60))):
        found = {one.what: one.days for one in retention.kept(desk.settings.model_copy(update=values))}
        assert (found["lookups"], found["bell"]) == expected
