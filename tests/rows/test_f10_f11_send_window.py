"""F10 F11: "continue validating manually?" no: the reply publishes itself, on the days and in the hours chosen."""

from __future__ import annotations

from tests.rows.desk import switch
from tests.rows.maildesk import WINDOW, MailDesk, a_table, text_of


def test_it_publishes_itself_when_the_window_opens_and_not_before(mail_desk: MailDesk) -> None:
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    ticket = mail_desk.desk.ticket()
    assert mail_desk.work() == []
    assert mail_desk.later(hours=46, minutes=28) == []  # Monday 08:59 in Paris
    [mail] = mail_desk.later(minutes=2)
    assert text_of(mail).startswith("We received it.")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail_desk.said(ticket)[1:] == [("bot", "We received it.")]


def test_inside_the_window_it_leaves_at_once(mail_desk: MailDesk) -> None:
    mail_desk.desk.publish(a_table("suggest_reply", {**WINDOW, "days": ["sat"]}))
    mail_desk.desk.ticket()
    assert len(mail_desk.work()) == 1


def test_what_nobody_sent_while_the_window_was_open_waits_for_the_next_one(mail_desk: MailDesk) -> None:
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    mail_desk.desk.ticket()
    mail_desk.desk.work()
    assert mail_desk.later(hours=60) == []  # no worker looked on Monday; now it is Monday 22:31
    assert mail_desk.outbox() == [("reply", "due", "its window was closed")]
    assert len(mail_desk.later(hours=11)) == 1  # Tuesday 09:31


def test_a_person_may_send_it_before_its_window(mail_desk: MailDesk) -> None:
    from tests.rows.maildesk import row_id
    from tests.web.desk import send

    ana = mail_desk.browser("ana")
    mail_desk.desk.publish(a_table("suggest_reply", WINDOW))
    mail_desk.desk.ticket()
    mail_desk.desk.work()
    send(ana, f"/outbox/{row_id(mail_desk)}/approve", {"text": "We received it."})
    assert len(mail_desk.deliver()) == 1
    assert mail_desk.later(days=3) == []


def test_f10_with_its_rule_off_nothing_is_published_and_nobody_is_alerted(mail_desk: MailDesk) -> None:
    mail_desk.browser("ana")
    table = a_table("suggest_reply", {**WINDOW, "days": ["sat"]})
    table["steps"].append({"id": "s2", "do": "notify"})
    table["rows"][0]["then"]["s2"] = {"users": ["ana"], "text": "It answers itself."}
    code = mail_desk.desk.publish(table)
    mail_desk.desk.ticket()
    assert (len(mail_desk.work()), mail_desk.bells()) == (1, [("ana", "It answers itself.")])
    switch(mail_desk.desk, code, on=False)
    mail_desk.desk.ticket(email="b@customer.test")
    assert (mail_desk.work(), len(mail_desk.bells())) == ([], 1)
