"""Why and why not in the reader's language: what a trace kept in English is said in French, Polish and Romanian."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from flask_babel import force_locale

from rules.operators import OPERATORS
from rules.trace import Seen, Truth
from sandbox.messages import LANGUAGES
from tests.web.desk import Desk, let_in
from tests.web.test_refusals import said, within
from tests.web.test_rules_language import english, reads, seen
from tickets.values import JSON
from web import catalogs, traced
from web.refusals import TRACES, known, told

TABLE: dict[str, JSON] = {
    "name": "Tri",
    "kind": "ticket",
    "triggers": [{"on": "created"}],
    "columns": [
        {"id": "c1", "field": "ticket.channel"},
        {"id": "c2", "field": "message.text"},
        {"id": "c3", "field": "ticket.team"},
        {"id": "c4", "field": "ticket.priority", "op": "changed_to"},
    ],
    "steps": [{"id": "s1", "do": "set_priority"}, {"id": "s2", "do": "assign_team"}],
    "rows": [
        {"id": "r1", "if": {"c1": {"op": "any_of", "value": ["chat", "form"]}}, "then": {"s1": {"priority": "low"}}},
        {"id": "r2", "if": {"c3": {"value": "sales"}}, "then": {"s1": {"priority": "low"}}},
        {"id": "r3", "if": {"c4": {"value": ["high"]}}, "then": {"s1": {"priority": "low"}}},
        {
            "id": "r4",
            "if": {"c2": {"op": "contains_all", "value": ["due", "Monday"]}},
            "then": {"s1": {"priority": "high"}, "s2": {"team": "billing"}},
            "groups": [{"none": [{"field": "ticket.status", "op": "is", "value": "closed"}]}],
        },
    ],
}


@pytest.fixture
def triaged(desk: Desk) -> int:
    desk.publish(TABLE)
    item = desk.ticket()
    desk.work()
    return item


@pytest.fixture
def agent(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing", "sales")))
    return browser


def page(agent: FlaskClient, path: str) -> str:
    return agent.get(path).get_data(as_text=True)


@pytest.mark.parametrize("language", catalogs.OTHERS)
def test_no_page_that_tells_why_says_an_operator_in_english(
    desk: Desk, triaged: int, agent: FlaskClient, language: str
) -> None:
    pages = [f"/tickets/{triaged}", f"/tickets/{triaged}/why/A01"]
    assert english("".join(page(agent, one) for one in pages)) > {"is any of", "contains all of"}
    reads(desk, language)
    for one in pages:
        text = page(agent, one)
        assert f'<html lang="{language}"' in text
        assert english(text) == set()
        assert not {"did not change", "is empty", "Set priority", "None of:", "not_matched"} & set(
            re.findall("did not change|is empty|Set priority|None of:|not_matched", seen(text))
        )


def test_why_and_why_not_in_french(desk: Desk, triaged: int, agent: FlaskClient) -> None:
    reads(desk, "fr")
    why = seen(page(agent, f"/tickets/{triaged}/why/A01"))
    for words in (
        "Canal est l'un de Chat, Formulaire web “E-mail”",
        "Équipe est Sales Équipe est vide",
        "Priorité est devenu Haute “rien → Normale”, de événement",
        "Message contient à la fois due, Monday “It was due on Monday.”, de message",
        "Aucune: Statut est Fermé “Ouvert”",
        "Définir la priorité: Haute",
        "Billing",
    ):
        assert words in why
    told_there = seen(page(agent, f"/tickets/{triaged}"))
    assert "1 Canal est l'un de Chat, Formulaire web valait “E-mail”" in told_there


@pytest.mark.parametrize(
    ("language", "word"),
    [("en", "Automation"), ("fr", "Automatisation"), ("pl", "Automatyzacja"), ("ro", "Automatizare")],
)
def test_the_menu_of_events_says_in_the_readers_language_that_a_rule_did_it(
    desk: Desk, agent: FlaskClient, language: str, word: str
) -> None:
    desk.publish(TABLE)
    desk.publish({**TABLE, "name": "Then", "triggers": [{"on": "changed", "field": "team"}]})
    item = desk.ticket()
    desk.work()
    reads(desk, language)
    choices = re.findall(r"<option value=\"\d+\"[^>]*>([^<]*)</option>", page(agent, f"/tickets/{item}/why/A02"))
    assert {one.split(", ")[1] for one in choices} == {word, "Camille Laurent"}


def a_seen(operator: str, expected: str, field: str = "ticket.status", label: str = "Status", actual: str = "") -> Seen:
    return Seen("c", field, label, operator, expected, actual, "", "", Truth.TRUE)


def test_every_operator_a_trace_keeps_is_said_in_every_language(app: APIFlask) -> None:
    for language in catalogs.OTHERS:
        with app.test_request_context(), force_locale(language):
            for key, one in OPERATORS.items():
                kept = one.sentence.replace("{value}", "xyz")
                assert traced.expected(a_seen(key, kept)) == catalogs.phrase(
                    one.sentence, catalogs.OPERATOR, language
                ).replace("{value}", "xyz")


def test_what_people_named_and_what_nobody_knows_any_more_stays_as_it_was_kept(app: APIFlask) -> None:
    with app.test_request_context(), force_locale("fr"):
        # "Open" is a status of ours; in the text of a customer and as somebody's own team it is a word of theirs.
        assert traced.expected(a_seen("is", "is Open")) == "est Ouvert"
        assert traced.expected(a_seen("contains_any", "contains Open, High", "message.text")) == "contient Open, High"
        assert traced.expected(a_seen("is", "is Open", "ticket.team")) == "est Open"
        assert traced.expected(a_seen("gone", "is gone")) == "is gone"
        assert traced.expected(a_seen("is", "was said otherwise")) == "was said otherwise"
        assert traced.expected(a_seen("is", "is the list VIPs", "customer.email")) == "est liste VIPs"
        assert traced.expected(a_seen("between", "is between 1 and 5", "customer.open_items")) == "est entre 1 et 5"
        assert traced.actual(a_seen("changed", "changed", actual="Open → Solved")) == "Ouvert → Résolu"
        assert traced.label(a_seen("is", "is", label="One of: None of: Team")) == "Au moins une: Aucune: Équipe"
        assert traced.reason("The ticket is out of its scope: Team is none of Sales; Brand is empty.") == (
            "La table n'est pas pour ce ticket. Il lui faut : Équipe n'est aucun de Sales; Marque est vide."
        )
        assert traced.step_words("gone", "Do it: High") == "Do it: High"
        assert traced.step_words("set_priority", "Set priority: High (nothing to change)") == (
            "Définir la priorité: Haute (rien à changer)"
        )
    with app.test_request_context():
        assert traced.expected(a_seen("is", "is the list VIPs")) == "is the list VIPs"
        assert traced.step_words("set_priority", "Set priority: High") == "Set priority: High"


#: Why there is no value and why a row or table came out as it did, as the code says it.
REASONS = [
    *said({"rules/fields.py": {"Missing"}}),
    *within("rules/rearm.py", "_reason"),
    "The ticket has no customer",
    "The event brought no message",
    "The event is not about a script",
    "There is no event",
    "ERP: Find has not answered yet",
    "ERP: Find is asked with one value, and shop: emails holds several",
    "the card that Find double charges may be writing",
    "ERP: Find found nothing",
    "This event did not change it",
    "It matched, but had fired before in this chain of events.",
    "No row matched",
    "The row has no conditions",
    "It is switched off.",
    "This event is none of its triggers.",
    "The ticket is out of its scope: Team is Billing.",
]


def test_every_reason_of_a_trace_is_told_in_every_language() -> None:
    assert len(REASONS) > 15
    for text in REASONS:
        # What is filled in is "x"; where a system, a time or a quoted name belongs, one stands here.
        sentence = text.replace("x has", "S: x has").replace("x needs x: x", "S: x needs x: y")
        sentence = sentence.replace("card x", "card 'x'").replace("fired x", "fired on x").replace("one x", "one on x")
        for language in LANGUAGES:
            assert told(sentence, language) != sentence, sentence


def test_what_somebody_else_said_is_not_taken_for_a_reason_of_ours() -> None:
    for text in ("The account has no credit", "No such host", "HTTP 500"):
        assert not TRACES.known(text)
        assert not known(text)
