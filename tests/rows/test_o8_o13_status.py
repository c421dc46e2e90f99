"""O8 O13 O12: A06, A28 and A02 as they ship: a status that changes by page is told in public, by the company's bot."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from rules import store as rule_list
from tests.rows.desk import item_named, shown_messages
from tests.rows.maildesk import ADDRESS, MailDesk, recipient, text_of
from tests.web.desk import send
from tickets.tables import Follower

CAMILLE = "camille@customer.test"


def shipped(mail_desk: MailDesk) -> None:
    done = mail_desk.app.test_cli_runner().invoke(args=["rules", "defaults"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("A06", "task", '"Kitchen" is now: In progress.'),
        ("A28", "project", 'your project "Kitchen" is now: In progress.'),
    ],
)
@pytest.mark.parametrize("on", [True, False])
def test_o8_o13_a_status_that_changes_is_told_to_customer_and_followers(
    mail_desk: MailDesk, code: str, kind: str, says: str, on: bool
) -> None:
    boss = mail_desk.browser("boss", "manager", "agent", name="Bea Boss")
    mail_desk.browser("ion")
    shipped(mail_desk)
    if not on:
        assert send(boss, f"/rules/{code}/switch", {"enabled": "0"}).status_code == 302
    made = send(boss, f"/items/{kind}/new", {"subject": "Kitchen", "email": CAMILLE, "language": "en"})
    assert made.status_code == 303
    item = item_named(mail_desk.desk, "Kitchen")
    with mail_desk.services.db.write() as connection:
        connection.execute(insert(Follower).values(item_id=item, user="ion"))
    mail_desk.work()
    send(boss, f"/tickets/{item}/fields/priority", {"value": "high"})
    assert mail_desk.work() == []  # not its status
    send(boss, f"/tickets/{item}/fields/status", {"value": "in_progress"})
    mails = {recipient(one): text_of(one) for one in mail_desk.work()}
    shown = shown_messages(boss.get(f"/tickets/{item}").get_data(as_text=True))
    assert [(who, public, says in text) for who, public, text in shown] == ([("Deskhand", True, True)] if on else [])
    assert sorted(mails) == ([CAMILLE, "ion@deskhand.test"] if on else [])
    assert all(says in text for text in mails.values())


def test_o12_the_invitation_of_a_new_desk_is_reworded_by_page_and_leads_to_the_portal(mail_desk: MailDesk) -> None:
    boss = mail_desk.browser("boss", "manager", "agent")
    shipped(mail_desk)
    with mail_desk.services.db.read() as connection:
        table = rule_list.entry(connection, "A02").working
        template = str(table["rows"][0]["then"]["say"]["template"])
        seen = rule_list.entry(connection, template).draft_count
    first = mail_desk.receive("Where is it?", sender=CAMILLE, to=ADDRESS)
    # The ticket is in the portal: its customer has a minute to see it there.
    assert [one for one in mail_desk.work() if recipient(one) == CAMILLE] == []
    [mail] = [one for one in mail_desk.later(minutes=1) if recipient(one) == CAMILLE]
    assert f"https://desk.shop.example/portal/items/{first.item_id}" in text_of(mail)
    new = {"en.body": "Come in, {{customer.email}}", "seen": seen, "do": "publish", "note": "Shorter"}
    assert send(boss, f"/templates/{template}", new).status_code == 302
    second = mail_desk.receive("And mine?", sender="lee@customer.test", to=ADDRESS)
    mail_desk.work()
    [mail] = [one for one in mail_desk.later(minutes=1) if recipient(one) == "lee@customer.test"]
    assert text_of(mail).startswith("Come in, lee@customer.test")
    assert first.item_id != second.item_id
    send(boss, "/rules/A02/switch", {"enabled": "0"})
    mail_desk.receive("And he?", sender="zoe@customer.test", to=ADDRESS)
    mail_desk.work()
    assert [one for one in mail_desk.later(minutes=1) if recipient(one) == "zoe@customer.test"] == []
