"""F9: "continue validating manually?" yes: the reply waits for a person, who approves, edits or rejects it."""

from __future__ import annotations

import pytest

from tests.rows.desk import switch
from tests.rows.maildesk import MailDesk, a_table, row_id, template, text_of
from tests.web.desk import send

SUGGEST = a_table("suggest_reply", {"text": "Dear {{customer.name}}, we are sorry."})


def test_it_waits_for_a_person_and_is_sent_as_theirs_in_the_wording_they_left(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    mail_desk.desk.publish(SUGGEST)
    ticket = mail_desk.desk.ticket()
    assert mail_desk.work() == []
    assert mail_desk.later(hours=30) == []  # it waits as long as it takes
    page = ana.get(f"/tickets/{ticket}").get_data(as_text=True)
    assert "Dear Camille Laurent, we are sorry." in page
    assert "Dear Camille Laurent, we are sorry." in ana.get("/outbox").get_data(as_text=True)
    answer = send(ana, f"/outbox/{row_id(mail_desk)}/approve", {"text": "Dear Camille, we are very sorry."})
    assert answer.status_code == 303
    [mail] = mail_desk.work()
    assert text_of(mail).startswith("Dear Camille, we are very sorry.")
    assert mail["Auto-Submitted"] is None
    assert mail_desk.said(ticket)[1:] == [("agent", "Dear Camille, we are very sorry.")]


def test_a_rejected_one_is_never_sent(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana", name="Ana Nowak")
    mail_desk.desk.publish(SUGGEST)
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    send(ana, f"/outbox/{row_id(mail_desk)}/reject")
    assert mail_desk.later(days=1) == []
    assert mail_desk.outbox() == [("reply", "cancelled", "Ana Nowak rejected it")]
    assert len(mail_desk.said(ticket)) == 1


def test_of_two_who_answer_at_once_the_second_is_told_and_nothing_is_sent_twice(mail_desk: MailDesk) -> None:
    ana, ion = mail_desk.browser("ana"), mail_desk.browser("ion")
    mail_desk.desk.publish(SUGGEST)
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    first = send(ana, f"/outbox/{row_id(mail_desk)}/approve", {"text": "One."})
    send(ion, f"/outbox/{row_id(mail_desk)}/approve", {"text": "Two."})
    assert first.status_code == 303
    assert "This reply was sent or rejected in the meantime" in ion.get("/outbox").get_data(as_text=True)
    assert len(mail_desk.deliver()) == 1
    assert [text for _, text in mail_desk.said(ticket)[1:]] == ["One."]


@pytest.mark.parametrize("what", ["approve", "edit", "reject", "cancel", "again"])
def test_who_may_not_see_the_ticket_can_do_nothing_with_its_reply(mail_desk: MailDesk, what: str) -> None:
    ion = mail_desk.browser("ion")
    mail_desk.desk.publish(SUGGEST)
    ticket = mail_desk.desk.ticket(team="ethics")
    mail_desk.work()
    before = mail_desk.outbox()
    page = ion.get("/outbox").get_data(as_text=True)
    assert "we are sorry" not in page
    assert "1 more is about a ticket that is hidden from you" in page
    assert send(ion, f"/outbox/{row_id(mail_desk)}/{what}", {"text": "Mine."}).status_code == 404
    assert mail_desk.outbox() == before
    assert len(mail_desk.said(ticket)) == 1


def test_an_empty_wording_is_refused_and_the_reply_waits_on(mail_desk: MailDesk) -> None:
    ana = mail_desk.browser("ana")
    mail_desk.desk.publish(SUGGEST)
    mail_desk.desk.ticket()
    mail_desk.work()
    send(ana, f"/outbox/{row_id(mail_desk)}/approve", {"text": "  "})
    assert "There is nothing to send yet" in ana.get("/outbox").get_data(as_text=True)
    assert mail_desk.outbox() == [("reply", "approval", "")]


@pytest.mark.parametrize("on", [True, False])
def test_f9_with_the_rule_off_nothing_is_suggested(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    switch(mail_desk.desk, mail_desk.desk.publish(SUGGEST), on=on)
    ticket = mail_desk.desk.ticket()
    mail_desk.work()
    assert mail_desk.outbox() == ([("reply", "approval", "")] if on else [])
    assert ("Dear Camille Laurent, we are sorry." in ana.get(f"/tickets/{ticket}").get_data(as_text=True)) == on


def test_f9_a_rule_for_something_else_suggests_nothing(mail_desk: MailDesk) -> None:
    mail_desk.desk.publish({**SUGGEST, "triggers": [{"on": "changed", "field": "status"}]})
    mail_desk.desk.ticket()
    mail_desk.work()
    assert mail_desk.outbox() == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_f9_a_reply_suggested_from_a_template_speaks_the_tickets_language_and_is_sent_when_approved(
    mail_desk: MailDesk, language: str
) -> None:
    ana = mail_desk.browser("ana")
    template(mail_desk)
    mail_desk.desk.publish(a_table("suggest_reply", {"template": "E01"}))
    ticket = mail_desk.desk.ticket("Parcel", language=language)
    assert mail_desk.work() == []
    words, subject = {
        "en": (f"Hello, see {ticket}.", "About Parcel"),
        "fr": (f"Bonjour, voir {ticket}.", "À propos de Parcel"),
    }[language]
    assert words in ana.get(f"/tickets/{ticket}").get_data(as_text=True)
    # An edit of the template does not reword what somebody may have read already.
    template(mail_desk, {"texts": {"en": {"subject": "s", "body": "Other"}}}, "Other")
    send(ana, f"/outbox/{row_id(mail_desk)}/approve", {"text": words})
    [mail] = mail_desk.work()
    assert mail["Subject"] == f"{subject} [#{ticket}]"
    assert text_of(mail).startswith(words)
    assert mail_desk.said(ticket)[1:] == [("agent", words)]


def test_f9_a_template_that_is_switched_off_suggests_nothing(mail_desk: MailDesk) -> None:
    code = template(mail_desk)
    mail_desk.desk.publish(a_table("suggest_reply", {"template": "E01"}))
    switch(mail_desk.desk, code, on=False)
    mail_desk.desk.ticket()
    mail_desk.work()
    assert mail_desk.outbox() == []
