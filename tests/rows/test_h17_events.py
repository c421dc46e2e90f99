"""H17: events of a ticket and who caused them; conditions before and after a change; stop further processing."""

from __future__ import annotations

import itertools

import pytest

from tests.rows.desk import a_rule, switch
from tests.rows.maildesk import MailDesk
from tests.web.desk import TRIAGE, send
from tickets.values import JSON

CAMILLE = "camille@customer.test"


@pytest.mark.parametrize(
    ("by", "tag"), [("customer", "from customer"), ("third_party", "from third party"), ("agent", "from staff")]
)
def test_h17_a_message_fires_the_rule_of_its_sender_and_no_other(mail_desk: MailDesk, by: str, tag: str) -> None:
    ana = mail_desk.browser("ana")
    codes = [
        a_rule(mail_desk.desk, {"on": "message", "by": one}, then=[("add_tags", {"tags": [name]})])
        for one, name in (("customer", "from customer"), ("third_party", "from third party"), ("agent", "from staff"))
    ]
    ticket = mail_desk.receive("Where is it?", sender=CAMILLE, Message_ID="<first@customer.test>").item_id
    assert ticket is not None
    before = set(_tags(mail_desk, ticket))
    numbers = itertools.count(1)

    def happens() -> None:
        if by == "agent":
            send(ana, f"/tickets/{ticket}/messages", {"text": "We look into it.", "kind": "reply"})
        else:
            sender = CAMILLE if by == "customer" else "lawyer@other.test"
            own = f"<{next(numbers)}@other.test>"
            mail_desk.receive("And?", sender=sender, In_Reply_To="<first@customer.test>", Message_ID=own)
        mail_desk.work()

    happens()
    assert set(_tags(mail_desk, ticket)) - before == {tag}
    for code in codes:
        switch(mail_desk.desk, code, on=False)
    mail_desk.set(ticket, tags=None)
    happens()
    assert _tags(mail_desk, ticket) == []


def _tags(desk: MailDesk, ticket: int) -> list[str]:
    tags: JSON = desk.desk.state(ticket).get("tags") or []
    assert isinstance(tags, list)
    return [str(one) for one in tags]


def test_h17_a_rule_looks_at_a_field_before_its_change_and_now(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    rule = a_rule(
        mail_desk.desk,
        {"on": "changed", "field": "ticket.status", "from": ["waiting_customer"], "to": ["open"]},
        then=[("add_tags", {"tags": ["reopened"]})],
    )
    one, other, off = (mail_desk.desk.ticket(f"T{n}", status="waiting_customer") for n in range(3))
    send(ana, f"/tickets/{other}/fields/status", {"value": "waiting_team"})
    send(ana, f"/tickets/{other}/fields/status", {"value": "open"})
    send(ana, f"/tickets/{one}/fields/status", {"value": "open"})
    mail_desk.work()
    assert (_tags(mail_desk, one), _tags(mail_desk, other)) == (["reopened"], [])
    switch(mail_desk.desk, rule, on=False)
    send(ana, f"/tickets/{off}/fields/status", {"value": "open"})
    mail_desk.work()
    assert _tags(mail_desk, off) == []


def test_h17_the_first_row_that_matches_ends_its_table(mail_desk: MailDesk) -> None:
    rows: list[JSON] = [
        {"id": f"r{n}", "if": {"c2": {"value": ["refund"]}}, "then": {"s1": {"team": team}}}
        for n, team in enumerate(("billing", "sales"), 1)
    ]
    code = mail_desk.desk.publish({**TRIAGE, "rows": rows, "otherwise": {"then": {}}})
    ticket = mail_desk.desk.ticket("A refund")
    mail_desk.work()
    assert mail_desk.desk.state(ticket)["team"] == "billing"
    switch(mail_desk.desk, code, on=False)
    off = mail_desk.desk.ticket("A refund")
    mail_desk.work()
    assert "team" not in mail_desk.desk.state(off)
