"""F7 F8: an interaction is archived, or set to handled without an answer; the customer hears nothing of it."""

from __future__ import annotations

import pytest

from rules import store as rule_list
from tests.rows.maildesk import MailDesk, a_table


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("do", "params", "field", "value"),
    [
        ("archive", {"archived": True}, "archived", True),
        ("handled_without_reply", {"status": "solved"}, "status", "solved"),
    ],
    ids=["f7_archive", "f8_handled_without_reply"],
)
def test_f7_f8_it_is_put_away_and_the_customer_hears_nothing(
    mail_desk: MailDesk, do: str, params: dict[str, object], field: str, value: object, on: bool
) -> None:
    mail_desk.browser("ana")
    table = a_table(do, params)
    code = mail_desk.desk.publish(table)
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=on)
    ticket = mail_desk.desk.ticket("Five stars, thank you")
    assert mail_desk.work() == []
    assert len(mail_desk.said(ticket)) == 1
    assert (mail_desk.desk.state(ticket).get(field) == value) is on
