"""The rule forms speak the reader's language: operators, headings, triggers; files say the same to everybody."""

from __future__ import annotations

import re
from html import unescape

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import update

from rules import store as rule_list
from rules.operators import OPERATORS, Looks
from rules.store import EntryKind
from rules.triggers import TRIGGERS
from tests.rules.desk import DESK
from tests.web.cells import cells, the_condition
from tests.web.desk import Desk, let_in
from tests.web.pages import edit, stored, text_of
from tickets.tables import User
from tickets.values import JSON
from web import catalogs
from web import rules_text as texts
from web.rules_document import IF

#: A column for every sort of field, so that their menus have every operator but those about facts from outside.
FIELDS = ("ticket.channel", "message.text", "ticket.created_at", "ticket.tags", "customer.open_items")
TABLE: dict[str, JSON] = {
    "name": "Tri",
    "kind": "ticket",
    "triggers": [
        {"on": "message", "by": "customer", "visibility": "public"},
        {"on": "time_in_state", "status": ["open"], "for": "72 h"},
        {"on": "changed", "field": "ticket.priority", "to": ["high"]},
    ],
    "columns": [{"id": f"c{n}", "field": field} for n, field in enumerate(FIELDS, 1)],
    "steps": [{"id": "s1", "do": "set_priority"}],
    "rows": [
        {
            "id": "r1",
            "if": {
                "c1": {"op": "is_not", "value": "chat"},
                "c2": {"op": "contains_none", "value": ["refund"]},
                "c3": {"op": "older_than", "value": "72 h"},
                "c4": {"op": "has_all", "value": ["vip", "late"]},
                "c5": {"op": "between", "value": [1, 5]},
            },
            "then": {"s1": {"priority": "high"}},
            "groups": [{"any": [{"field": "ticket.team", "op": "empty"}, {"field": "ticket.status", "value": "open"}]}],
        }
    ],
}
#: What no page in another language says: the English operators of more than one word, as labels and in sentences.
ENGLISH = {
    text
    for one in OPERATORS.values()
    for text in (one.label, one.sentence.partition("{value}")[0].strip())
    if " " in text
}


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("ana", "manager", "agent", name="Ana Nowak"))
    return browser


def reads(desk: Desk, language: str) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(language=language))


def seen(page: str) -> str:
    """What a reader sees of a page, with the titles of its elements."""
    titles = " ".join(re.findall(r'(?:title|aria-label|data-label)="([^"]*)"', page))
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S))
    return " ".join(unescape(f"{plain} {titles}").split())


#: A plain run tries one of them.
LANGUAGES = [catalogs.OTHERS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in catalogs.OTHERS[1:])]


def english(page: str) -> set[str]:
    return {text for text in ENGLISH if re.search(rf"\b{re.escape(text)}\b", seen(page))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_form_of_a_rule_says_an_operator_in_english(desk: Desk, manager: FlaskClient, language: str) -> None:
    code = desk.publish(TABLE)
    pages = [f"/rules/{code}", f"/rules/{code}/rows/r1", f"/rules/{code}/rows/r1/groups"]
    assert english("".join(text_of(manager.get(page)) for page in pages)) > {"is not", "contains none of", "is empty"}
    reads(desk, language)
    for page in pages:
        text = text_of(manager.get(page))
        assert f'<html lang="{language}"' in text
        assert english(text) == set(), page
        assert not re.search(r">(is|changed)<", text)
    offered = set(re.findall(r'<option value="(\w+)"', text_of(manager.get(pages[1]))))
    looked_at = {key for key, one in OPERATORS.items() if one.looks is not Looks.FETCHED}
    assert looked_at <= offered


def test_a_row_reads_as_a_sentence_in_french(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish(TABLE)
    reads(desk, "fr")
    grid = seen(text_of(manager.get(f"/rules/{code}")))
    for words in (
        "n'est pas Chat",
        "ne contient aucun de refund",
        "est plus ancien que 72 h",
        "a à la fois vip , ou late",
        "est entre 1 et 5",
        "au moins une des conditions (Équipe est vide; Statut est Ouvert)",
        "reçoit un message de Client (public)",
        "reste dans un statut qui est Ouvert depuis 72 h",
        "est modifié (Priorité) vers haute",
    ):
        assert words in grid
    for heading in ("Canal", "Message", "Étiquettes", "Définir la priorité"):
        assert f">{heading}<" in text_of(manager.get(f"/rules/{code}"))
    assert "<legend>Ticket: Équipe</legend>" in text_of(manager.get(f"/rules/{code}/rows/r1/groups"))


def test_what_narrows_a_trigger_is_asked_in_french(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish(TABLE)
    asked = r'<label for="w-t0[^"]*">([^<]*)<'
    english_labels = set(re.findall(asked, text_of(manager.get(f"/rules/{code}/settings"))))
    known = {param.label for record in TRIGGERS.values() for param in record.params}
    assert {"visibility", "for", "from"} < english_labels <= known
    reads(desk, "fr")
    page = text_of(manager.get(f"/rules/{code}/settings"))
    labels = {unescape(one) for one in re.findall(asked, page)}
    assert labels & known == {"date", "script", "questions"} & labels
    assert {"visibilité", "depuis", "de"} < labels
    assert '<option value="customer" selected>Client</option>' in page
    assert "p. ex. 30 min" in page


def test_what_starts_a_new_table_is_offered_in_french(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish(TABLE)
    for path in ("/rules/new", "/rules"):
        assert '<option value="message">gets a message</option>' in text_of(manager.get(path))
    reads(desk, "fr")
    for path in ("/rules/new", "/rules"):
        assert '<option value="message">reçoit un message</option>' in text_of(manager.get(path))
    settings = text_of(manager.get(f"/rules/{code}/settings"))
    assert '<option value="timesheet">Feuille de temps</option>' in settings


def test_menus_of_new_columns_are_in_french(desk: Desk, manager: FlaskClient) -> None:
    code = desk.publish(TABLE)
    reads(desk, "fr")
    page = unescape(text_of(manager.get(f"/rules/{code}/columns/new?side=if")))
    assert {"Client", "Événement", "Exécution", "SLA"} < set(re.findall(r"<legend>([^<]*)</legend>", page))
    steps = unescape(text_of(manager.get(f"/rules/{code}/columns/new?side=then")))
    assert "<b>Ajouter des étiquettes</b>" in steps
    assert "Put these tags on the ticket." not in steps


@pytest.mark.parametrize("form", ["tsv", "csv"])
def test_a_file_is_the_same_for_whoever_takes_it_and_comes_back_as_the_same_table(
    desk: Desk, manager: FlaskClient, form: str
) -> None:
    code = desk.publish({**TABLE, "rows": [{**TABLE["rows"][0], "groups": []}]})  # type: ignore[index,dict-item]
    before = stored(desk).working["rows"]
    taken = text_of(manager.get(f"/rules/{code}.{form}"))
    for language in catalogs.OTHERS:
        reads(desk, language)
        assert text_of(manager.get(f"/rules/{code}.{form}")) == taken
        if form == "tsv":
            edit(manager, desk, do="paste", row="r1", column="c1", text=taken)
            assert stored(desk).working["rows"] == before


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_operator_written_in_the_readers_words_is_understood(app: APIFlask, language: str) -> None:
    """What somebody reads in the grid and writes into a spreadsheet means the same there."""
    understood = set()
    with app.test_request_context(), force_locale(language):
        for field, operator, cell in cells():
            if operator.key in ("is", "changed", "any_of", "none_of"):
                continue
            head = {"id": "c", "field": field.key, "op": "is_not" if operator.key != "is_not" else "is"}
            said = texts.cell_text(IF, {**head, "op": operator.key}, cell, DESK)
            values = said.removeprefix(operator.label).strip()
            if values.startswith(("{", f"{operator.key}:")):
                continue  # no words to write
            text = f"{catalogs.phrase(operator.label, catalogs.OPERATOR, language)} {values}".strip()
            understood.add(operator.key)
            again = texts.from_text(IF, head, text, DESK)
            assert isinstance(again, dict)
            assert (text, the_condition(field, {"op": head["op"], **again})) == (text, the_condition(field, cell))
    assert set(OPERATORS) - understood == {"is", "changed", "any_of", "none_of"}


@pytest.mark.parametrize("word", ["n'est pas vide", "jest puste", "nu este gol", "est vide", "liste MONEY"])
def test_a_value_that_another_reader_would_take_for_an_operator_stays_a_value(app: APIFlask, word: str) -> None:
    head = {"id": "c", "field": "message.text"}
    cell: JSON = {"value": [word]}
    with app.test_request_context():
        text = texts.cell_text(IF, head, cell, DESK)
        for language in texts.READERS:
            again = texts.from_text(IF, head, text, DESK, language)
            assert the_condition(DESK_TEXT, again) == ("contains_any", [word])


DESK_TEXT = next(field for field, _operator, _cell in cells() if field.key == "message.text")


#: A value that does not exist, a row that another catches, and one that writes over another.
WRONG: dict[str, JSON] = {
    **TABLE,
    "rows": [
        {"id": "r1", "if": {"c1": {"op": "is", "value": "fax"}}, "then": {"s1": {"priority": "high"}}},
        {"id": "r2", "if": {"c5": {"op": "greater", "value": "many"}}, "then": {"s1": {"priority": "low"}}},
    ],
}
DOUBTFUL: dict[str, JSON] = {
    **TABLE,
    "hit": "every",
    "rows": [
        {"id": "r1", "if": {"c1": {"op": "is", "value": "chat"}}, "then": {"s1": {"priority": "high"}}},
        {"id": "r2", "if": {"c5": {"op": "greater", "value": 3}}, "then": {"s1": {"priority": "low"}}},
    ],
}
TOLD = {
    "fr": ("il n'y a pas de 'fax'", "n'est pas un nombre", "La ligne 2 écrase ce que la ligne 1 a écrit"),
    "pl": ("nie ma 'fax'", "nie jest liczbą", "Wiersz 2 nadpisuje to, co zapisał wiersz 1"),
    "ro": ("nu există 'fax'", "nu este un număr", "Rândul 2 suprascrie ce a scris rândul 1"),
}


@pytest.mark.parametrize("language", TOLD)
def test_what_is_wrong_with_a_table_is_said_in_the_readers_language(
    desk: Desk, manager: FlaskClient, language: str
) -> None:
    for table in (TABLE, DOUBTFUL):
        desk.publish(table)
    with desk.services.db.write() as connection:
        seen_count = rule_list.entry(connection, "A01").draft_count
        rule_list.save_draft(connection, "A01", WRONG, author="ana", seen=seen_count, now=desk.clock.now())
    first, second, third = TOLD[language]
    assert "There is no" in seen(text_of(manager.get("/rules/A01")))
    reads(desk, language)
    page = seen(text_of(manager.get("/rules/A01")))
    assert first in page
    assert second in page
    assert "There is no" not in page
    assert third in seen(text_of(manager.get("/rules/A02")))


def test_what_is_wrong_with_a_template_is_said_in_the_readers_language(desk: Desk, manager: FlaskClient) -> None:
    texts = {"en": {"subject": "We have it", "body": "Hello {{customer.nom}}, {{ticket.id"}}
    with desk.services.db.write() as connection:
        made = rule_list.create(
            connection, EntryKind.TEMPLATE, "We have it", {"texts": texts}, author="ana", now=desk.clock.now()
        )
    assert "There is no placeholder 'customer.nom'." in seen(text_of(manager.get(f"/templates/{made}")))
    reads(desk, "pl")
    page = seen(text_of(manager.get(f"/templates/{made}")))
    assert "nie ma 'customer.nom'" in page
    assert "ale niezamknięte przez" in page
    assert "There is no placeholder" not in page
