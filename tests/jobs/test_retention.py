"""What is too old goes, in pieces, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from connectors.store import CallTable, add_call, add_record, newest_record
from jobs import retention
from jobs.retention import prune
from jobs.services import Services
from jobs.tables import DecisionRow, IdempotencyKey, OutboxRow, RunRow, UndoItemRow, UndoRow
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, item, table, work
from tests.jobs.tables import TRIAGE
from tickets.tables import EventRow, History, Message


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


def test_answers_and_calls_of_connections_and_old_keys_go(desk: Services) -> None:
    now = desk.clock.now()
    call = {"at": now, "connection": "crm", "operation": "find", "kind": "read", "cause": "", "inputs": {}}
    call |= {"inputs_hash": "h", "status": "ok", "error": "", "http_status": 200, "ms": 1, "requests": 1}
    record: dict[str, Any] = {
        "key": "k",
        "connection": "crm",
        "operation": "find",
        "inputs_hash": "h",
        "data": {"v": 1},
    }
    record |= {"truncated": False, "external_url": "", "fetched_at": now, "fresh_until": now, "stale_until": now}
    stands_in = {**record, "key": "still of use", "stale_until": now + timedelta(days=desk.settings.keep_answers_days)}
    with desk.db.write() as connection:
        add_call(connection, {**call, "answer_bytes": 1, "request_id": ""})
        add_record(connection, record)
        add_record(connection, stands_in)
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
