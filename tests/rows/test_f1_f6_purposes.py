"""F1, F6: interactions are assigned by criteria to a user or a team; themes alert; replies keep their control."""

from __future__ import annotations

import pytest

from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import MailDesk


def test_f1_a_theme_in_what_customers_write_alerts_and_nothing_leaves_by_itself(mail_desk: MailDesk) -> None:
    mail_desk.browser("mia", "manager")
    rule = a_rule(
        mail_desk.desk,
        {"on": "message", "by": "customer"},
        {"on": "created"},
        when={"message.text": ("contains_any", ["lawyer", "avocat"])},
        then=[("notify", {"users": ["mia"], "text": "A customer speaks of a lawyer."})],
    )
    mail_desk.receive("I will call my LAWYER.", sender="kim@customer.test")
    mail_desk.receive("All is well.", sender="lee@customer.test")
    assert mail_desk.work() == []
    assert mail_desk.bells() == [("mia", "A customer speaks of a lawyer.")]
    switch(mail_desk.desk, rule, on=False)
    mail_desk.receive("Mon avocat vous écrira.", sender="camille@customer.test")
    mail_desk.work()
    assert len(mail_desk.bells()) == 1


@pytest.mark.parametrize("on", [True, False])
def test_f1_one_rule_assigns_prepares_a_reply_under_control_and_alerts(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    rule = a_rule(
        mail_desk.desk,
        {"on": "created"},
        when={"message.text": ("contains_any", ["cold", "froid"])},
        then=[
            ("assign_team", {"team": "billing"}),
            ("suggest_reply", {"text": "We are sorry that it was cold.", "approval": True}),
            ("notify", {"users": ["ana"], "text": "Somebody speaks of the cold."}),
        ],
    )
    switch(mail_desk.desk, rule, on=on)
    ticket = mail_desk.receive("Il faisait FROID.", sender="kim@customer.test").item_id
    assert ticket is not None
    assert mail_desk.work() == []  # the reply is prepared, and nobody has said yes
    page = ana.get(f"/tickets/{ticket}").get_data(as_text=True)
    assert ("We are sorry that it was cold." in page) is on
    assert mail_desk.desk.state(ticket).get("team") == ("billing" if on else None)
    assert mail_desk.bells() == ([("ana", "Somebody speaks of the cold.")] if on else [])
    assert len(mail_desk.said(ticket)) == 1


def test_f6_an_interaction_goes_to_a_user_or_to_a_team(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    rules = [
        a_rule(
            mail_desk.desk,
            {"on": "created"},
            when={"ticket.subject": ("contains_any", [word])},
            then=[then],
        )
        for word, then in (
            ("invoice", ("assign_team", {"team": "billing"})),
            ("ana", ("assign", {"users": ["ana"]})),
        )
    ]
    one, other = mail_desk.desk.ticket("My invoice"), mail_desk.desk.ticket("For Ana")
    mail_desk.work()
    assert (mail_desk.desk.state(one)["team"], mail_desk.desk.state(other)["assignees"]) == ("billing", ["ana"])
    for code in rules:
        switch(mail_desk.desk, code, on=False)
    off = mail_desk.desk.ticket("Invoice for Ana")
    mail_desk.work()
    assert {"team", "assignees"} & set(mail_desk.desk.state(off)) == set()
