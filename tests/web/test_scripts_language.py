"""The editor speaks the reader's language: completion, hover, problems, what it says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from connectors import store as connections
from rules import store as rule_list
from tests.web.desk import Desk, send, token
from tests.web.pages import text_of, words
from tests.web.scripts import BAD, a_script
from tickets.tables import User


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


EDITOR = Path(__file__).parents[2] / "web" / "assets" / "editor.js"


@pytest.fixture
def billing(desk: Desk) -> None:
    with desk.services.db.write() as connection:
        for name, kind, config in (
            ("billing", "stripe", {"api_key": "sk_test_51canary"}),
            ("erp", "tryton", {"base_url": "http://erp.test", "database": "d", "username": "u", "password": "p"}),
        ):
            connections.save_connection(
                connection, desk.services.box, name=name, kind=kind, config=config, now=desk.clock.now()
            )
        rule_list.bump(connection)


def reads(desk: Desk, language: str) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "dev").values(language=language))


def sentences(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every doc that is offered, with where it stands."""
    for key, value in data.items():
        if key == "doc":
            yield path, value
        elif isinstance(value, dict):
            yield from sentences(value, f"{path}.{key}")


@pytest.mark.usefixtures("billing")
@pytest.mark.parametrize("language", ["fr", "pl", "ro"])
def test_every_sentence_of_completion_is_in_the_readers_language(
    desk: Desk, developer: FlaskClient, language: str
) -> None:
    english = dict(sentences(developer.get("/scripts/api.json").get_json()))
    reads(desk, language)
    said = dict(sentences(developer.get("/scripts/api.json").get_json()))
    assert said.keys() == english.keys()
    assert len(said) > 90
    assert "erp.members.find_party" in " ".join(said)
    left = {path: doc for path, doc in said.items() if " " in doc and doc == english[path]}
    assert left == {}


@pytest.mark.parametrize(
    ("language", "doc"),
    [
        ("en", "Put these tags on the ticket. tags: Up to 100 tags."),
        ("fr", "Mettre ces étiquettes sur le ticket. tags: Jusqu'à 100 étiquettes."),
        ("pl", "Dodaje te tagi do zgłoszenia. tags: Do 100 tagów."),
        ("ro", "Pune aceste etichete pe tichet. tags: Până la 100 de etichete."),
    ],
)
def test_an_action_is_explained_and_keeps_its_python_names(
    desk: Desk, developer: FlaskClient, language: str, doc: str
) -> None:
    reads(desk, language)
    offered = developer.get("/scripts/api.json").get_json()["types"]["Ticket"]["members"]["add_tags"]
    assert offered["doc"] == doc
    assert offered["sig"] == "(tags: list)"
    choices = developer.get("/scripts/api.json").get_json()["types"]["Ticket"]["members"]["set_priority"]["doc"]
    assert "low, normal, high" in choices


def test_problems_and_what_the_editor_says_of_itself_are_in_the_readers_language(
    desk: Desk, developer: FlaskClient
) -> None:
    code = a_script(desk, BAD, live=False)
    reads(desk, "fr")
    page = text_of(developer.get(f"/scripts/{code}"))
    assert "os ne peut pas être importé." in words(page)
    own = json.loads(unescape(re.search(r'data-words="([^"]*)"', page)[1]))  # type: ignore[index]
    editor = re.search(r"const WORDS = \{(.*?)\n\};", EDITOR.read_text(), re.S)
    assert editor is not None
    assert set(re.findall(r"^  (\w+):", editor[1], re.M)) <= own.keys()
    assert own["unchecked"].startswith("Non vérifié")
    answer = developer.post(
        "/scripts/check", json={"source": BAD}, headers={"X-CSRF-Token": token(developer.get("/scripts"))}
    )
    assert answer.get_json()["problems"][0]["message"] == "os ne peut pas être importé."
    assert send(developer, f"/scripts/{code}/publish", {"note": "x", "seen": 1}).status_code == 422


@pytest.mark.parametrize(
    ("language", "trigger", "field"), [("fr", "est créé", "Priorité"), ("en", "is created", "Priority")]
)
def test_when_it_runs_offers_triggers_and_fields_in_the_readers_language(
    desk: Desk, developer: FlaskClient, language: str, trigger: str, field: str
) -> None:
    code = a_script(desk)
    reads(desk, language)
    page = text_of(developer.get(f"/scripts/{code}/settings"))
    assert re.search(rf'<option value="created"[^>]*>{trigger}</option>', page)
    assert f'<option value="ticket.priority">{field}</option>' in page
