"""W14: the four families of actions in one rule: update, change, alert, activity."""

from __future__ import annotations

from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import MailDesk


def test_w14_one_rule_updates_changes_alerts_and_leaves_a_trace(mail_desk: MailDesk) -> None:
    mail_desk.browser("mia", "manager", name="Mia Manager")
    rule = a_rule(
        mail_desk.desk,
        {"on": "created"},
        when={"ticket.subject": ("contains_any", ["fraud"])},
        then=[
            ("set_priority", {"priority": "urgent"}),
            ("assign_team", {"team": "billing"}),
            ("notify", {"users": ["mia"], "text": "A report of fraud came in."}),
            ("add_note", {"text": "Taken up by the fraud procedure."}),
        ],
    )
    report, other = mail_desk.desk.ticket("Fraud at the till"), mail_desk.desk.ticket("A broken lamp")
    mail_desk.work()
    state = mail_desk.desk.state(report)
    assert (state["priority"], state["team"]) == ("urgent", "billing")
    assert mail_desk.bells() == [("mia", "A report of fraud came in.")]
    assert mail_desk.said(report)[1:] == [("bot", "Taken up by the fraud procedure.")]
    assert "team" not in mail_desk.desk.state(other)

    switch(mail_desk.desk, rule, on=False)
    off = mail_desk.desk.ticket("Fraud again")
    mail_desk.work()
    assert (mail_desk.desk.state(off)["priority"], len(mail_desk.bells()), len(mail_desk.said(off))) == ("normal", 1, 1)
