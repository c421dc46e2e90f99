"""Trip (a): an event is decided on what was true then, and its effects are applied to what is true now, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from jobs import automation, lanes
from jobs.deciding import Read
from jobs.services import Services
from jobs.tables import DecisionRow, Fired, OutboxRow
from rules import store as rule_list
from tests.builders import MORNING, a_ticket
from tests.jobs.desk import by_hand, clock_of, decisions, item, say, table, work
from tests.jobs.tables import TRIAGE
from tickets import store
from tickets.effects import AddTo, SetField
from tickets.errors import Fenced
from tickets.tables import ContextFact, EventRow, History, Lane, Message, Notification


def test_a_matching_row_changes_the_ticket_once_with_its_cause(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    assert work(desk) == 2  # the creation, and the change it caused
    state = item(desk, ticket.item_id).state
    assert (state["team"], state["priority"], state["tags"]) == ("billing", "high", ["double-charge"])
    with desk.db.read() as connection:
        causes = list(connection.execute(select(History.field, History.cause).order_by(History.id)))
        follow_up = store.event(connection, 2)
    assert {row.field for row in causes} == {"team", "priority", "tags"}
    assert {(row.cause["code"], row.cause["version"], row.cause["row"]) for row in causes} == {("A01", 1, "r1")}
    assert (follow_up.root_id, follow_up.depth) == (1, 1)
    assert work(desk) == 0


def test_a_ticket_no_row_matches_takes_the_otherwise_row(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    state = item(desk, ticket.item_id).state
    assert (state["team"], state["priority"]) == ("first_line", "normal")
    assert "tags" not in state


def test_a_switched_off_table_does_nothing(desk: Services) -> None:
    table(desk, TRIAGE)
    with desk.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    ticket = a_ticket(desk.db)
    work(desk)
    assert "team" not in item(desk, ticket.item_id).state


def test_a_new_version_is_live_with_the_next_event(desk: Services) -> None:
    table(desk, TRIAGE)
    work(desk)
    with desk.db.write() as connection:
        content = rule_list.entry(connection, "A01").content
        assert content is not None
        changed = {**content, "otherwise": {"then": {"s1": {"team": "hr"}}}}
        seen = rule_list.entry(connection, "A01").draft_count
        seen = rule_list.save_draft(connection, "A01", changed, author="ana", seen=seen, now=MORNING)
        rule_list.publish(connection, "A01", author="ana", note="", seen=seen, now=MORNING)
    ticket = a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "hr"


def test_a_field_a_person_changed_meanwhile_is_not_overwritten(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("priority", "low"))
    work(desk)
    state = item(desk, ticket.item_id).state
    assert (state["team"], state["priority"]) == ("billing", "low")
    with desk.db.read() as connection:
        overtaken = list(connection.execute(select(History.field).where(History.outcome == "overtaken")).scalars())
    assert overtaken == ["priority"]
    steps = {one["action"]: one for one in decisions(desk, ticket.item_id)[0].done}
    assert steps["set_priority"]["result"] == "overtaken"
    assert "Ana" in steps["set_priority"]["reason"]


def test_conditions_read_the_ticket_as_of_their_event(desk: Services) -> None:
    table(
        desk,
        """
code: A01
name: Normal ones
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.priority, op: is}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: normal}}, then: {s1: {tags: [was-normal]}}}]
""",
    )
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("priority", "urgent"))
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["was-normal"]


def test_events_of_one_ticket_are_decided_in_their_order(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    for number in range(5):
        by_hand(desk, ticket.item_id, AddTo("tags", (f"t{number}",)))
    work(desk)
    with desk.db.read() as connection:
        seqs = list(
            connection.execute(
                select(EventRow.seq).join(DecisionRow, DecisionRow.event_id == EventRow.id).order_by(DecisionRow.id)
            ).scalars()
        )
        lane = connection.execute(select(Lane.due_at, Lane.token)).one()
    assert seqs == [1, 2, 3, 4, 5, 6]
    assert tuple(lane) == (None, None)


PING_PONG = """
code: {code}
name: {code}
kind: ticket
triggers: [{{on: changed, field: priority}}]
hit: every
columns: [{{id: c1, field: ticket.priority, op: is}}]
steps: [{{id: s1, do: set_priority}}]
rows:
  - {{id: r1, if: {{c1: {{value: {a}}}}}, then: {{s1: {{priority: {b}}}}}}}
"""


def test_tables_that_undo_each_other_stop_because_a_row_fires_once_per_root(desk: Services) -> None:
    table(desk, PING_PONG.format(code="A01", a="high", b="low"))
    table(desk, PING_PONG.format(code="A02", a="low", b="high"))
    ticket = a_ticket(desk.db)
    work(desk)
    by_hand(desk, ticket.item_id, SetField("priority", "high"))
    assert work(desk) < 10
    with desk.db.read() as connection:
        fired = list(connection.execute(select(Fired.row_key, func.count()).group_by(Fired.row_key)))
        events = list(connection.execute(select(EventRow.status, EventRow.tries)))
    assert all(count == 1 for _, count in fired)
    assert {tuple(one) for one in events} == {("done", 0)}


def test_a_row_that_has_fired_stays_quiet_for_the_rest_of_its_chain(desk: Services) -> None:
    """The list's first table is the one that undoes the second, so each turn takes an event of its own."""
    table(desk, PING_PONG.format(code="A01", a="low", b="high"))
    table(desk, PING_PONG.format(code="A02", a="high", b="low"))
    ticket = a_ticket(desk.db)
    work(desk)
    by_hand(desk, ticket.item_id, SetField("priority", "high"))
    # The hand's event (A02: low), its follow-up (A01: high, A02 has fired), and one that nothing is left to say about.
    assert work(desk) == 3
    assert item(desk, ticket.item_id).state["priority"] == "high"


def test_a_row_fires_again_for_a_new_root(desk: Services) -> None:
    table(desk, PING_PONG.format(code="A01", a="high", b="low"))
    ticket = a_ticket(desk.db)
    for _ in range(2):
        by_hand(desk, ticket.item_id, SetField("priority", "high"))
        work(desk)
        assert item(desk, ticket.item_id).state["priority"] == "low"


def test_a_worker_whose_lease_passed_on_writes_nothing(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    stopped = lanes.claim(desk.db, clock_of(desk).now(), lease_s=1)
    assert stopped.items == (ticket.item_id,)
    clock_of(desk).forward(seconds=5)
    assert work(desk) == 2
    with pytest.raises(Fenced):
        automation.work_lane(desk, stopped.token, ticket.item_id)
    with desk.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(DecisionRow)).scalar_one() == 2


def meanwhile(desk: Services, monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Have this happen once, between the next look at an event and the commit of its decision."""
    decide, left = automation.decided, [what]

    def decided(read: Read) -> object:
        made = decide(read)
        if left:
            left.pop()()
        return made

    monkeypatch.setattr(automation, "decided", decided)


def test_what_comes_while_nothing_is_decided_about_an_event_is_handled_after_it(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(desk, TRIAGE.replace("on: created", "on: message"))
    ticket = a_ticket(desk.db)
    meanwhile(desk, monkeypatch, lambda: by_hand(desk, ticket.item_id, SetField("priority", "low")))
    assert work(desk) == 2
    with desk.db.read() as connection:
        done = connection.execute(select(EventRow.seq, EventRow.status).order_by(EventRow.id)).all()
        lane = connection.execute(select(Lane.due_at, Lane.token, Lane.last_seq)).one()
    assert [tuple(one) for one in done] == [(1, "done"), (2, "done")]
    assert tuple(lane) == (None, None, 2)


def test_a_message_that_comes_while_nothing_is_decided_about_an_event_is_handled_by_itself(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shares no commit with the event before it, whose lane must not have ended."""
    table(desk, TRIAGE.replace("on: created", "on: message"))
    ticket = a_ticket(desk.db)
    meanwhile(desk, monkeypatch, lambda: say(desk, ticket.item_id, "customer"))
    work(desk)
    assert item(desk, ticket.item_id).state["team"] == "first_line"
    with desk.db.read() as connection:
        assert set(connection.execute(select(EventRow.status)).scalars()) == {"done"}
        assert tuple(connection.execute(select(Lane.due_at, Lane.token)).one()) == (None, None)


def test_a_version_that_comes_while_nothing_is_decided_about_an_event_decides_it(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(desk, TRIAGE.replace("on: created", "on: message"))
    ticket = a_ticket(desk.db)
    meanwhile(desk, monkeypatch, lambda: table(desk, TRIAGE.replace("A01", "A02")))
    assert work(desk) == 2  # its creation, and the change that the new version made
    assert item(desk, ticket.item_id).state["team"] == "billing"
    with desk.db.read() as connection:
        assert set(connection.execute(select(DecisionRow.revision)).scalars()) == {2}


def test_a_worker_whose_lane_passed_on_while_nothing_was_decided_writes_nothing(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = a_ticket(desk.db)
    token = lanes.claim(desk.db, clock_of(desk).now(), lease_s=1).token
    clock_of(desk).forward(seconds=5)
    meanwhile(desk, monkeypatch, lambda: lanes.claim(desk.db, clock_of(desk).now(), lease_s=60))
    with pytest.raises(Fenced):
        automation.work_lane(desk, token, ticket.item_id)
    with desk.db.read() as connection:
        assert connection.execute(select(EventRow.status)).scalars().all() == ["pending"]
        assert connection.execute(select(Lane.due_at)).scalar_one() is not None
        assert connection.execute(select(func.count()).select_from(DecisionRow)).scalar_one() == 0


def test_a_poison_event_is_parked_with_its_reason_and_the_lane_goes_on(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    by_hand(desk, ticket.item_id, SetField("status", "solved"))
    with desk.db.write() as connection:
        connection.execute(update(EventRow).where(EventRow.seq == 1).values(kind="unheard-of"))
    for _ in range(20):
        clock_of(desk).forward(seconds=60)
        work(desk)
    with desk.db.read() as connection:
        events = {row.seq: row for row in connection.execute(select(EventRow.seq, EventRow.status, EventRow.error))}
    assert events[1].status == "parked"
    assert "unheard-of" in events[1].error
    assert events[2].status == "done"


def test_messages_notes_bell_and_cards_come_out_of_one_row(desk: Services) -> None:
    table(
        desk,
        """
code: A01
name: Welcome
kind: ticket
triggers: [{on: created}]
hit: every
steps:
  - {id: s1, do: post_message}
  - {id: s2, do: add_note}
  - {id: s3, do: notify}
  - {id: s4, do: set_context}
rows:
  - id: r1
    then:
      s1: {text: "Hello {{customer.name}}, we look at '{{ticket.subject}}'.", public: true}
      s2: {text: For billing.}
      s3: {teams: [billing], text: "New: {{ticket.subject}}"}
      s4: {key: origin, data: {campaign: autumn}, title: Origin}
""",
    )
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        messages = list(
            connection.execute(
                select(Message.text, Message.public, Message.author_kind).where(Message.item_id == ticket.item_id)
            )
        )
        bell = list(connection.execute(select(Notification.user, Notification.text)))
        card = connection.execute(select(ContextFact.key, ContextFact.body, ContextFact.cause)).one()
    assert ("Hello Camille Laurent, we look at 'Charged twice'.", True, "bot") in [tuple(one) for one in messages]
    assert ("For billing.", False, "bot") in [tuple(one) for one in messages]
    assert [tuple(one) for one in bell] == [("ana", "New: Charged twice")]
    assert card.body == {"data": {"campaign": "autumn"}}
    assert card.cause["code"] == "A01"


def test_deciding_an_event_again_after_a_crash_before_the_commit_changes_nothing_twice(desk: Services) -> None:
    """A worker that dies after reading leaves only its lease; the next one does the same work from the start."""
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    lanes.claim(desk.db, clock_of(desk).now(), lease_s=10)
    assert automation.drain(desk) == 0
    clock_of(desk).forward(seconds=11)
    work(desk)
    with desk.db.read() as connection:
        done = connection.execute(select(func.count()).select_from(History)).scalar_one()
    assert done == 3
    assert item(desk, ticket.item_id).version == 2


def test_the_budget_of_a_chain_stops_it_visibly(desk: Services) -> None:
    rows = "\n".join(f"  - {{id: r{n}, then: {{s1: {{tags: [t{n}]}}}}}}" for n in range(101))
    table(
        desk,
        f"""
code: A01
name: Many
kind: ticket
triggers: [{{on: created}}]
hit: every
steps: [{{id: s1, do: add_tags}}]
rows:
{rows}
""",
    )
    ticket = a_ticket(desk.db)
    work(desk)
    assert len(item(desk, ticket.item_id).state["tags"]) == 100  # type: ignore[arg-type]
    assert any("limit of effects" in note for note in decisions(desk, ticket.item_id)[0].notes)


def test_an_hour_of_waiting_in_the_lane_does_not_change_what_the_event_saw(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db, now=MORNING - timedelta(hours=1))
    work(desk)
    facts = decisions(desk, ticket.item_id)[0].facts
    assert facts["item"]["status"] == "open"
    assert facts["event"]["at"] < facts["now"]


def test_only_public_messages_leave_the_house_and_all_of_them_do(desk: Services) -> None:
    """A note after an answer, in the same row, once went to the customer in place of the answer."""
    table(
        desk,
        """
code: A01
name: Answers and notes
kind: ticket
triggers: [{on: created}]
hit: every
steps: [{id: s1, do: post_message}, {id: s2, do: add_note}]
rows:
  - {id: r1, then: {s1: {text: First answer., public: true}, s2: {text: Between us.}}}
  - {id: r2, then: {s1: {text: Second answer., public: true}, s2: {text: Between us too.}}}
""",
    )
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        queued = list(connection.execute(select(OutboxRow.payload).order_by(OutboxRow.id)).scalars())
        texts = {row.id: row.text for row in connection.execute(select(Message.id, Message.text))}
    assert [texts[one["message_id"]] for one in queued] == ["First answer.", "Second answer."]
