"""A template in a reply: filled with this ticket's values, behind what was typed, and sent by nobody but the agent."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from rules import store as rule_list
from rules.store import EntryKind
from tests.web.desk import NOW, Desk, send

TEXTS = {
    "en": {"subject": "s", "body": "Dear {{customer.name}},\nabout {{ticket.subject}}: we look."},
    "fr": {"subject": "s", "body": "Bonjour {{customer.name}}, nous regardons."},
}


@pytest.fixture
def template(desk: Desk) -> str:
    with desk.services.db.write() as connection:
        code = rule_list.create(connection, EntryKind.TEMPLATE, "We look", {"texts": TEXTS}, author="ana", now=NOW)
        rule_list.publish(connection, code, author="ana", note="", seen=1, now=NOW)
    return code


def reply_field(page: str) -> str:
    found = re.search(r'<textarea id="reply"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Dear Camille Laurent,\nabout Parcel &lt;b&gt;: we look."),
        ("fr", "Bonjour Camille Laurent, nous regardons."),
    ],
)
def test_a_template_stands_in_the_reply_behind_what_was_typed_and_nothing_is_sent(
    desk: Desk, agent: FlaskClient, template: str, scripts: bool, language: str, text: str
) -> None:
    ticket = desk.ticket("Parcel <b>", language=language)
    assert f'<option value="{template}">{template} We look</option>' in agent.get(f"/tickets/{ticket}").get_data(True)
    for typed, wanted in (("", text), ("Hello there.\r\n", f"Hello there.\n\n{text}")):
        headers = {"HX-Request": "true"} if scripts else {}
        answer = send(agent, f"/tickets/{ticket}/template", {"text": typed, "template": template}, headers=headers)
        assert answer.status_code == 200
        assert reply_field(answer.get_data(as_text=True)) == wanted
        assert ("<h1>" in answer.get_data(as_text=True)) != scripts
    page = agent.get(f"/tickets/{ticket}").get_data(as_text=True)
    assert reply_field(page) == ""
    assert "nous regardons" not in page
    assert "we look." not in page


def test_a_template_that_is_off_or_of_the_system_is_not_offered_and_not_inserted(
    desk: Desk, agent: FlaskClient, template: str
) -> None:
    ticket = desk.ticket()
    with desk.services.db.write() as connection:
        rule_list.switch(connection, template, enabled=False)
    assert 'id="canned"' not in agent.get(f"/tickets/{ticket}").get_data(as_text=True)
    for code in (template, "E99", "A01"):
        assert send(agent, f"/tickets/{ticket}/template", {"text": "Kept", "template": code}).status_code == 404


def test_no_template_chosen_and_a_reply_that_would_be_too_long_are_said_and_the_text_stays(
    desk: Desk, agent: FlaskClient, template: str
) -> None:
    ticket = desk.ticket()
    for typed, code, said in (("Hello", "", "Choose a template first."), ("x" * 49_990, template, "at most 50000")):
        answer = send(agent, f"/tickets/{ticket}/template", {"text": typed, "template": code})
        assert answer.status_code == 422
        assert said in answer.get_data(as_text=True)
        assert reply_field(answer.get_data(as_text=True)) == typed


def test_a_ticket_one_may_not_see_fills_no_template(desk: Desk, agent: FlaskClient, template: str) -> None:
    ticket = desk.ticket("Zorgon", team="ethics")
    answer = send(agent, f"/tickets/{ticket}/template", {"text": "", "template": template})
    assert answer.status_code == 404
    assert "Zorgon" not in answer.get_data(as_text=True)
