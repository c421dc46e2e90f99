"""O1 O5 O16 O18 O19 O20 O21: the messages centre lists, previews, tests, switches and guards what is sent."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rules import store as rule_list
from tests.rows.maildesk import HELLO, MailDesk, a_table, recipient, template, text_of
from tests.web.desk import send
from tickets import store as items
from tickets.events import Actor, ActorKind
from tickets.item import ItemKind


@pytest.fixture
def boss(mail_desk: MailDesk) -> FlaskClient:
    return mail_desk.browser("boss", "manager", name="Bea Boss")


def page(client: FlaskClient, path: str = "/messages") -> str:
    return " ".join(client.get(path).get_data(as_text=True).split())


def test_o1_o5_every_message_is_listed_with_id_audience_languages_sender_and_state(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    template(mail_desk)
    template(mail_desk, name="Unused")
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer"]}))
    off = mail_desk.desk.publish(a_table("post_message", {"text": "We are closed.", "public": False}))
    with mail_desk.services.db.write() as connection:
        rule_list.switch(connection, off, enabled=False)
    shown = page(boss)
    for words in ("M01", "M02", "always on", "E01", "E02", "A02/r1", "We are closed.", "A01 Tests send_template"):
        assert words in shown
    system, rest = shown.split("E01</td>", 1)
    row = rest.split("</tr>")[0]
    assert "Customers" in row
    assert 'title="French"' in row
    assert "Switch off" not in system  # what belongs to the system has no switch
    assert "nobody yet" in shown.split("E02</td>", 1)[1].split("</tr>")[0]
    assert "off" in shown.split("A02/r1</td>", 1)[1].split("</tr>")[0]


def test_o18_an_edit_is_sent_by_every_automation_that_uses_the_template(mail_desk: MailDesk, boss: FlaskClient) -> None:
    template(mail_desk)
    mail_desk.desk.publish(a_table("post_message", {"template": "E01"}))
    mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer"]}))
    new = {"en.body": "Anew: {{ticket.subject}}", "name": "Hello", "seen": 2, "do": "publish", "note": "Shorter"}
    assert send(boss, "/templates/E01", new).status_code == 302
    mail_desk.desk.ticket("Parcel", language="en")
    mails = mail_desk.work()
    assert [text_of(mail).splitlines()[0] for mail in mails] == ["Anew: Parcel", "Anew: Parcel"]


def test_o18_a_template_may_name_the_fields_of_every_kind_and_no_other(mail_desk: MailDesk, boss: FlaskClient) -> None:
    template(mail_desk)
    assert "ticket.fields.hours" in page(boss, "/templates/E01")
    wrong = {"en.body": "{{ticket.fields.days}} days", "seen": 2, "do": "publish", "note": "Days"}
    assert send(boss, "/templates/E01", wrong).status_code == 422
    right = {"en.body": "{{ticket.fields.hours}} hours", "seen": 2, "do": "publish", "note": "Hours"}
    assert send(boss, "/templates/E01", right).status_code == 302
    sends = a_table("send_template", {"template": "E01", "to": ["assignees"]})
    mail_desk.desk.publish({**sends, "kind": "timesheet"})
    sheet = {"subject": "Week 47", "assignees": "ana", "fields.hours": "8"}
    assert send(mail_desk.browser("ana"), "/items/timesheet/new", sheet).status_code == 303
    assert [text_of(mail).splitlines()[0] for mail in mail_desk.work()] == ["8 hours"]


@pytest.mark.parametrize("state", ["live", "switched off", "draft", "only in the draft", "only in what is live"])
def test_o19_a_template_that_something_names_is_not_deleted(mail_desk: MailDesk, boss: FlaskClient, state: str) -> None:
    code = template(mail_desk)
    table = a_table("send_template", {"template": "E01", "to": ["customer"]})
    if state == "draft":
        with mail_desk.services.db.write() as connection:
            rule_list.create(
                connection, rule_list.EntryKind.TABLE, "D", table, author="ana", now=mail_desk.desk.clock.now()
            )
    else:
        without = a_table("add_tags", {"tags": ["x"]})
        user = mail_desk.desk.publish(without if state == "only in the draft" else table)
        if state in ("only in the draft", "only in what is live"):
            draft = table if state == "only in the draft" else without
            with mail_desk.services.db.write() as connection:
                now = mail_desk.desk.clock.now()
                seen = rule_list.entry(connection, user).draft_count
                rule_list.save_draft(connection, user, draft, author="ana", seen=seen, now=now)
        if state == "switched off":
            with mail_desk.services.db.write() as connection:
                rule_list.switch(connection, user, enabled=False)
    answer = send(boss, f"/messages/{code}/delete")
    assert answer.status_code == 422
    assert "is used by A01" in answer.get_data(as_text=True)
    with mail_desk.services.db.read() as connection:
        assert rule_list.entry(connection, code).live_version == 1


def test_o19_after_its_automations_are_gone_it_is_deleted_and_what_was_sent_stays(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    code = template(mail_desk)
    user = mail_desk.desk.publish(a_table("post_message", {"template": "E01"}))
    ticket = mail_desk.desk.ticket("Parcel", language="en")
    mail_desk.work()
    with mail_desk.services.db.write() as connection:
        rule_list.remove(connection, user, now=mail_desk.desk.clock.now())
    assert send(boss, f"/messages/{code}/delete").status_code == 303
    assert "E01</td>" not in page(boss)
    assert mail_desk.said(ticket)[1:] == [("bot", f"Hello, see {ticket}.")]
    assert boss.get(f"/tickets/{ticket}").status_code == 200
    assert template(mail_desk, name="Next") == "E02"  # a code is never given again


def test_o20_a_new_template_has_its_own_id_is_not_live_and_has_a_shortcut_to_a_rule_once_it_is(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    template(mail_desk)
    made = send(boss, "/templates", {"name": "Farewell"}).location
    assert made == "/templates/E02"
    assert "not live yet" in page(boss).split("E02</td>", 1)[1].split("</tr>")[0]
    assert send(boss, "/messages/E02/automation").status_code == 422
    send(boss, made, {"name": "Farewell", "en.body": "Goodbye", "seen": 1, "do": "publish", "note": "First"})
    table = send(boss, "/messages/E02/automation").location
    shown = page(boss, table)
    assert "Send Farewell" in shown
    mail_desk.desk.ticket()
    assert mail_desk.work() == []  # a draft does nothing


def test_a_test_goes_to_me_with_the_values_of_a_ticket_and_nothing_is_posted(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    template(mail_desk)
    first = mail_desk.desk.ticket("Parcel", language="en")
    mail_desk.desk.ticket("Refund", email="b@customer.test")
    shown = page(boss, f"/templates/E01?ticket={first}")
    assert f"Hello, see {first}." in shown
    assert "camille@customer.test" in shown  # a sample value beside its placeholder
    send(boss, "/messages/E01/test", {"language": "fr", "ticket": first})
    [mail] = mail_desk.deliver()
    assert recipient(mail) == "boss@deskhand.test"
    assert mail["Subject"] == f"Test: À propos de Parcel [#{first}]"
    assert text_of(mail).startswith(f"Bonjour, voir {first}.")
    assert len(mail_desk.said(first)) == 1


def test_a_ticket_i_may_not_see_lends_no_values(mail_desk: MailDesk, boss: FlaskClient) -> None:
    template(mail_desk)
    mail_desk.desk.ticket("Harassment", email="secret@customer.test", team="ethics")
    shown = page(boss, "/templates/E01?ticket=1")
    assert "secret@customer.test" not in shown
    assert send(boss, "/messages/E01/test", {"language": "en", "ticket": 1}).status_code == 422
    assert mail_desk.deliver() == []


def test_an_agent_has_no_messages_centre_and_can_switch_nothing(mail_desk: MailDesk) -> None:
    code = template(mail_desk, HELLO)
    ana = mail_desk.browser("ana")
    assert ana.get("/messages").status_code == 403
    for what in ("switch", "delete", "reword", "test", "automation"):
        assert send(ana, f"/messages/{code}/{what}").status_code == 403
    with mail_desk.services.db.read() as connection:
        assert rule_list.entry(connection, code).enabled


def test_o16_a_template_used_by_two_automations_stands_once_in_the_list_and_in_each_of_them(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    template(mail_desk)
    first = mail_desk.desk.publish(a_table("post_message", {"template": "E01"}))
    second = mail_desk.desk.publish(a_table("send_template", {"template": "E01", "to": ["customer"]}))
    row = page(boss).split("E01</td>", 1)[1].split("</tr>")[0]
    assert f"{first} Tests post_message" in row
    assert f"{second} Tests send_template" in row
    assert page(boss).count("E01</td>") == 1
    for code in (first, second):
        assert "Hello" in page(boss, f"/rules/{code}")


def test_o10_a_message_is_kept_in_the_draft_and_said_only_once_it_is_published(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    table = a_table("post_message", {"text": "We received it."})
    with mail_desk.services.db.write() as connection:
        code = rule_list.create(
            connection, rule_list.EntryKind.TABLE, "T", table, author="boss", now=mail_desk.desk.clock.now()
        )
    before = mail_desk.desk.ticket()
    mail_desk.work()
    assert "We received it." in page(boss)
    send(boss, f"/rules/{code}/publish", {"seen": 1, "note": "Goes live"})
    after = mail_desk.desk.ticket(email="b@customer.test")
    mail_desk.work()
    assert (len(mail_desk.said(before)), mail_desk.said(after)[1:]) == (1, [("bot", "We received it.")])


@pytest.mark.parametrize("on", [True, False])
def test_o15_messages_go_to_tickets_tasks_and_projects_and_stand_in_the_centre(
    mail_desk: MailDesk, boss: FlaskClient, on: bool
) -> None:
    kinds = ("ticket", "task", "project")
    for kind in kinds:
        table = {**a_table("post_message", {"text": f"A {kind} begins.", "public": False}), "kind": kind}
        code = mail_desk.desk.publish(table)
        with mail_desk.services.db.write() as connection:
            rule_list.switch(connection, code, enabled=on)
    made = []
    with mail_desk.services.db.write() as connection:
        for kind in kinds:
            item = items.create_item(
                connection,
                kind=ItemKind(kind),
                state={"subject": kind},
                actor=Actor(ActorKind.AGENT, "boss", "Bea Boss"),
                now=mail_desk.desk.clock.now(),
            )
            made.append(item.item_id)
    mail_desk.work()
    said = [text for item_id in made for _, text in mail_desk.said(item_id)]
    assert said == ([f"A {kind} begins." for kind in kinds] if on else [])
    assert all(f"A {kind} begins." in page(boss) for kind in kinds)


def test_o21_a_template_is_renamed_edited_and_switched_off_by_page(mail_desk: MailDesk, boss: FlaskClient) -> None:
    code = template(mail_desk)
    new = {"name": "Greeting", "en.body": "Good morning.", "seen": 2, "do": "publish", "note": "A better name"}
    send(boss, f"/templates/{code}", new)
    send(boss, f"/messages/{code}/switch", {"on": "0"})
    row = page(boss).split(f"{code}</td>", 1)[1].split("</tr>")[0]
    assert "Greeting" in row
    assert ">off<" in row.replace(" ", "")
    mail_desk.desk.publish(a_table("post_message", {"template": code}))
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    assert len(mail_desk.said(ticket)) == 1
    send(boss, f"/messages/{code}/switch", {"on": "1"})
    again = mail_desk.desk.ticket(email="b@customer.test")
    mail_desk.work()
    assert mail_desk.said(again)[1:] == [("bot", "Good morning.")]
