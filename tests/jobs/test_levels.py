"""Service levels on tickets: kept with every write, near and over as events, worked out anew when a policy changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from jobs import timers
from jobs.services import Services
from rules import store as rule_list
from tests.builders import ANA, MORNING, a_ticket
from tests.jobs.desk import bells, clock_of, example, item, save, say, switched_off, table, tags, tick
from tests.jobs.levels import FOUR_HOURS, a_policy, clock
from tests.jobs.tables import WAITING
from tickets import clocks, store
from tickets.item import ItemKind
from tickets.sla import State, Target
from tickets.tables import EventRow, SlaPolicy, Timer


@pytest.mark.parametrize(("answered", "off"), [(False, False), (True, False), (False, True)])
def test_h14_close_to_the_limit_reprioritises_and_over_it_escalates(desk: Services, answered: bool, off: bool) -> None:
    a_policy(desk)
    example(desk, "H14_near_breach")
    if off:
        switched_off(desk, "H14")
    item_id = a_ticket(desk.db, team="first_line").item_id
    clock_of(desk).forward(hours=3)
    if answered:
        say(desk, item_id, "agent")
    tick(desk)
    state = item(desk, item_id).state
    assert (state["priority"], state["team"]) == ("normal" if answered or off else "high", "first_line")
    clock_of(desk).forward(hours=1)
    tick(desk)
    state = item(desk, item_id).state
    expected = ("normal", "first_line", []) if answered or off else ("urgent", "billing", ["ana"])
    assert (state["priority"], state["team"], bells(desk)) == expected


def test_the_first_reply_is_waited_for_from_when_the_customer_wrote_and_not_from_when_a_colleague_began(
    desk: Services,
) -> None:
    a_policy(desk)
    with desk.db.write() as connection:
        state = {"subject": "Call them back", "status": "open"}
        begun = store.create_item(connection, kind=ItemKind.TICKET, state=state, actor=ANA, now=desk.clock.now())
    clock_of(desk).forward(days=2)
    say(desk, begun.item_id, "customer")
    wrote = desk.clock.now()
    found = clock(desk, begun.item_id)
    assert (found.state(wrote), found.due_at) == (State.RUNNING, wrote + timedelta(hours=4))
    clock_of(desk).forward(hours=1)
    say(desk, begun.item_id, "agent")
    found = clock(desk, begun.item_id)
    assert (found.state(desk.clock.now()), found.start) == (State.MET, wrote)


def test_a_note_or_the_bot_does_not_meet_a_target(desk: Services) -> None:
    a_policy(desk)
    item_id = a_ticket(desk.db).item_id
    say(desk, item_id, "agent", public=False)
    say(desk, item_id, "bot")
    assert clock(desk, item_id).met_at is None
    say(desk, item_id, "agent")
    assert clock(desk, item_id).met_at == MORNING


def test_waiting_for_the_customer_pauses_and_the_time_goes_on_where_it_was(desk: Services) -> None:
    a_policy(desk)
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=2)
    save(desk, item_id, status="waiting_customer")
    assert clock(desk, item_id, Target.RESOLUTION).left_s == 22 * 3_600
    clock_of(desk).forward(days=9)
    tick(desk)
    assert clock(desk, item_id, Target.RESOLUTION).state(desk.clock.now()) is State.PAUSED
    save(desk, item_id, status="open")
    due_at = clock(desk, item_id, Target.RESOLUTION).due_at
    assert due_at == desk.clock.now() + timedelta(hours=22)


@pytest.mark.parametrize(
    ("trigger", "hours", "left"), [("sla_near", 23, "waiting_customer"), ("sla_breached", 24, "solved")]
)
def test_what_came_of_a_clock_does_not_come_again_when_it_was_paused_or_the_ticket_opened_again(
    desk: Services, trigger: str, hours: int, left: str
) -> None:
    a_policy(desk)
    table(desk, WAITING.replace("time_in_state, status: waiting_team, for: 72 h", f"{trigger}, target: resolution"))
    tick(desk)
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=hours)
    tick(desk)
    assert tags(desk, item_id) == ["too-long"]
    save(desk, item_id, tags="", status=left)
    clock_of(desk).forward(days=1)
    tick(desk)
    save(desk, item_id, status="open")
    tick(desk)
    assert tags(desk, item_id) == []


@pytest.mark.parametrize("late", [False, True])
def test_a_changed_policy_is_worked_out_from_the_start_but_takes_no_breach_back(desk: Services, late: bool) -> None:
    a_policy(desk)
    item_id = a_ticket(desk.db).item_id
    tick(desk)
    clock_of(desk).forward(hours=5 if late else 2)
    events = events_of(desk, item_id)
    with desk.db.write() as connection:
        body = {**FOUR_HOURS, "targets": {"first_reply": 10 * 3_600}}
        connection.execute(update(SlaPolicy).values(body=body))
        clocks.recount(connection, desk.clock.now())
    tick(desk)
    found = clock(desk, item_id)
    assert found.due_at is not None
    assert (found.due_at - MORNING).total_seconds() == 10 * 3_600
    assert found.state(desk.clock.now()) is (State.BREACHED if late else State.RUNNING)
    # It is no change of the ticket: no event, no new version.
    assert events_of(desk, item_id) == events


def events_of(services: Services, item_id: int) -> int:
    with services.db.read() as connection:
        return len(connection.execute(select(EventRow.id).where(EventRow.item_id == item_id)).all())


@pytest.mark.parametrize("enabled", [True, False])
def test_h13_a_rule_gives_a_kind_of_request_its_targets(desk: Services, enabled: bool) -> None:
    a_policy(desk)
    a_policy(desk, "vip", targets={"first_reply": 3_600})
    code = table(
        desk,
        """
code: A30
name: VIPs
triggers: [{on: created}]
columns: [{id: c1, field: ticket.tags, op: has_any}]
steps: [{id: s1, do: apply_sla}]
rows: [{id: r1, if: {c1: {value: [vip]}}, then: {s1: {policy: vip}}}]
""",
    )
    with desk.db.write() as connection:
        rule_list.switch(connection, code, enabled=enabled)
    vip, other = (a_ticket(desk.db, tags=tags).item_id for tags in (["vip"], None))
    assert clock(desk, vip).policy == "standard"
    tick(desk)
    wanted = ("vip", 3_600) if enabled else ("standard", 14_400)
    for item_id, expected in ((vip, wanted), (other, ("standard", 14_400))):
        found = clock(desk, item_id)
        assert (found.policy, (found.due_at - MORNING).total_seconds()) == expected  # type: ignore[operator]


def test_conditions_see_how_the_clocks_stand(desk: Services) -> None:
    a_policy(desk)
    table(
        desk,
        """
code: A31
name: How it stands
triggers: [{on: message, by: customer}]
columns:
  - {id: c1, field: sla.first_reply_state}
  - {id: c2, field: sla.first_reply_due, op: older_than}
  - {id: c3, field: sla.policy}
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: breached, c2: 1 h, c3: standard}, then: {s1: {tags: [late]}}}]
""",
    )
    item_id = a_ticket(desk.db).item_id
    clock_of(desk).forward(hours=4)
    say(desk, item_id, "customer")
    tick(desk)
    assert tags(desk, item_id) == []
    clock_of(desk).forward(hours=1)
    say(desk, item_id, "customer")
    tick(desk)
    assert tags(desk, item_id) == ["late"]


@pytest.mark.parametrize(
    ("state", "policy", "hours"),
    [({"tags": ["vip"]}, "a_vip", 1), ({"channel": "form"}, "b_forms", 2), ({"priority": "low"}, "c_everyone", 4)],
)
def test_h13_targets_go_by_request_type_and_customer_group(
    desk: Services, state: dict[str, Any], policy: str, hours: int
) -> None:
    a_policy(desk, "c_everyone")
    a_policy(desk, "b_forms", applies={"channel": ["form"]}, targets={"first_reply": 2 * 3_600})
    a_policy(desk, "a_vip", applies={"tags": ["vip", "gold"]}, targets={"first_reply": 3_600})
    found = clock(desk, a_ticket(desk.db, **state).item_id)
    assert (found.policy, found.due_at) == (policy, MORNING + timedelta(hours=hours))


NEAR = """
code: A41
name: Close to the first reply
triggers: [{on: sla_near, target: first_reply}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [near]}}}]
"""


@pytest.mark.parametrize(
    ("hours", "answered", "became"),
    [(2, False, "waiting"), (2.9, False, "waiting"), (3.5, False, "before"), (2, True, "")],
    ids=["still to come", "comes while the walk goes on", "was near before", "met"],
)
def test_a_rule_about_levels_that_goes_live_is_for_tickets_that_were_there_too(
    desk: Services, hours: float, answered: bool, became: str
) -> None:
    a_policy(desk)
    item_id = a_ticket(desk.db, team="first_line").item_id
    if answered:
        say(desk, item_id, "agent")
    clock_of(desk).forward(hours=hours)
    tick(desk)
    table(desk, NEAR)
    timers.sync(desk)
    timers.walk(desk)
    near = select(Timer.outcome).where(Timer.item_id == item_id)
    with desk.db.read() as connection:
        first = connection.execute(near).scalar_one_or_none()
    # Only what comes due in the next quarter of an hour is there after the first look.
    assert first == ("waiting" if hours == 2.9 else None)
    tick(desk)
    with desk.db.read() as connection:
        assert (connection.execute(near).scalar_one_or_none() or "") == became
    clock_of(desk).at = MORNING + timedelta(hours=3.75)
    tick(desk)
    assert tags(desk, item_id) == (["near"] if became == "waiting" else [])
