"""H4: on arrival a mail gets its department, its priority and its service level, and the page shows the clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.jobs.levels import a_policy, clock
from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import ADDRESS, MailDesk


@pytest.mark.parametrize("on", [True, False])
def test_h4_a_mail_gets_department_priority_and_service_level_on_arrival(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    a_policy(mail_desk.services, "a_standard")
    # It comes second, so nobody has it unless a rule says so.
    a_policy(mail_desk.services, "b_urgent", targets={"first_reply": 3_600})
    rule = a_rule(
        mail_desk.desk,
        {"on": "created"},
        when={"message.text": ("contains_any", ["refund"])},
        then=[
            ("assign_team", {"team": "billing"}),
            ("set_priority", {"priority": "high"}),
            ("apply_sla", {"policy": "b_urgent"}),
        ],
    )
    switch(mail_desk.desk, rule, on=on)
    tickets = [
        mail_desk.receive(text, sender=f"{who}@customer.test", to=ADDRESS).item_id
        for who, text in (("kim", "I want a refund."), ("lee", "Where is it?"))
    ]
    wanted, other = (one for one in tickets if one is not None)
    found = []
    for one in (wanted, other):
        state, due = mail_desk.desk.state(one), clock(mail_desk.services, one)
        assert due.due_at is not None
        found.append((state.get("team"), state["priority"], due.policy, due.due_at - mail_desk.desk.clock.now()))
    plain = (None, "normal", "a_standard", timedelta(hours=4))
    assert found == [("billing", "high", "b_urgent", timedelta(hours=1)) if on else plain, plain]
    assert ("b_urgent" in ana.get(f"/tickets/{wanted}").get_data(as_text=True)) is on
