"""O1 O31: the three families of automations, made by page: a message, an e-mail template, a workflow."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rules import store as rule_list
from tests.rows.maildesk import ADDRESS, MailDesk, recipient, template, text_of
from tests.web.desk import send

pytestmark = pytest.mark.slow


def by_page(mail_desk: MailDesk, boss: FlaskClient, name: str, action: str, **params: object) -> str:
    """A rule for new tickets with this one step, chosen in the editor's menus and published; its code."""
    code = send(boss, "/rules", {"name": name, "trigger": "created"}).headers["Location"].rpartition("/")[2]

    def edit(**fields: object) -> None:
        with mail_desk.services.db.read() as connection:
            seen = rule_list.entry(connection, code).draft_count
        assert send(boss, f"/rules/{code}/edit", {"seen": seen, **fields}).status_code == 302

    edit(do="add_step", action=action)
    edit(do="delete_column", column="s1")
    edit(do="cell", row="r1", column="s2", **{f"s2.{key}": value for key, value in params.items()})
    with mail_desk.services.db.read() as connection:
        seen = rule_list.entry(connection, code).draft_count
    assert send(boss, f"/rules/{code}/publish", {"seen": seen, "note": "By page"}).status_code == 302
    return code


@pytest.mark.parametrize("on", [True, False])
def test_o1_o31_a_message_is_posted_a_template_e_mailed_and_a_workflow_moves_the_ticket(
    mail_desk: MailDesk, on: bool
) -> None:
    boss = mail_desk.browser("boss", "manager", "agent")
    template(mail_desk)
    codes = [
        by_page(mail_desk, boss, "Message", "post_message", text="We have it, {{customer.name}}.", public="true"),
        by_page(mail_desk, boss, "Template", "send_template", template="E01", to="customer"),
        by_page(mail_desk, boss, "Workflow", "set_status", status="waiting_team"),
    ]
    if not on:
        for code in codes:
            send(boss, f"/rules/{code}/switch", {"enabled": "0"})
    camille = "Camille Laurent <camille@customer.test>"
    ticket = mail_desk.receive("Where is it?", sender=camille, to=ADDRESS, Subject="Parcel").item_id
    assert ticket is not None
    mails = [text_of(one).splitlines()[0] for one in mail_desk.work() if recipient(one) == "camille@customer.test"]
    posted = [text for author, text in mail_desk.said(ticket) if author == "bot"]
    status = mail_desk.desk.state(ticket)["status"]
    if on:
        # The message stands in the conversation and goes out by mail; the template goes out and stands nowhere.
        assert sorted(mails) == [f"Hello, see {ticket}.", "We have it, Camille Laurent."]
        assert (posted, status) == (["We have it, Camille Laurent."], "waiting_team")
    else:
        assert (mails, posted, status) == ([], [], "open")
