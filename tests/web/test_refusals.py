"""Refusals in the reader's language: the catalogue is complete, and the pages that show them speak it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from jobs.tables import RunRow
from rules.errors import no_such
from sandbox.contract import Param, ParamType, type_problem
from sandbox.messages import LANGUAGES, translated
from tests.web.desk import Desk
from tests.web.test_scripts_pages import a_script, desk, developer, text_of, words
from tickets.tables import EventRow, User
from web.refusals import REFUSALS, known, told

__all__ = ["desk", "developer"]

ROOT = Path(__file__).parents[2]
#: What raises sentences that a run or a step is refused with, by file: the names of what is given the sentence.
SAYING = {
    **{str(path.relative_to(ROOT)): {"ActionRefused"} for path in sorted((ROOT / "rules").glob("*.py"))},
    "tickets/item.py": {"BadValue"},
    "rules/script_params.py": {"ActionRefused", "ParamsInvalid"},
}


def filled(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)
        case ast.List(elts=[one]):
            return filled(one)
        case _:
            return ""


def said() -> list[str]:
    """Every sentence those raise, with "x" for what is filled in. What only hands on another's sentence is left out."""
    found = set()
    for path, names in SAYING.items():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names and node.args:
                text = filled(node.args[0])
                # A refusal may begin with its line, which is told around it.
                text = text[1:] if text.startswith("xthis chain") else text
                sentence = f"{text}." if path == "tickets/item.py" else text
                if sentence.strip("x.: "):
                    found.add(sentence)
    return sorted(found)


SAID = said()


def test_the_code_is_really_read() -> None:
    assert len(SAID) > 40
    assert "The script needs x (x)." in SAID


@pytest.mark.parametrize("text", SAID)
def test_every_refusal_of_the_code_is_in_the_catalogue(text: str) -> None:
    assert known(text)


@pytest.mark.parametrize("allowed", [[], ["billing"], {"billing": "Billing"}])
def test_names_that_are_not_there_are_told_in_every_language(allowed: list[str]) -> None:
    for given in ("biling", "zzz"):
        text = no_such("team", given, allowed)
        for language in LANGUAGES:
            assert told(text, language) != text


def test_a_translation_is_not_the_english_refusal_again() -> None:
    assert len(REFUSALS.sentences) > 60
    for english, others in REFUSALS.sentences.items():
        assert english not in others.values()


TYPES: tuple[ParamType, ...] = ("text", "number", "integer", "decimal", "bool", "date", "list")


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_error_of_a_call_is_told_in_every_language(type_: ParamType) -> None:
    for value in ("x y", 1.5, True, ["a"], {"a": 1}, None):
        problem = type_problem(Param("days", type_, True), value)
        for language in LANGUAGES if problem is not None else ():
            assert translated(problem, language) != problem, (problem, language)
    assert type_problem(Param("days", type_, True), None) == "days needs a value, not None"


def test_the_line_and_what_was_not_done_are_told_around_the_refusal() -> None:
    text = "Line 7: There is no team 'x'. Allowed: billing. Nothing of this run was applied."
    assert told(text, "fr") == (
        "Ligne 7 : Il n'y a pas de team 'x'. Possibles : billing. Rien de cette exécution n'a été appliqué."
    )
    assert told(text, "en") == text
    assert told("Somebody else's sentence", "fr") == "Somebody else's sentence"
    assert told("days takes text, not a number", "pl") == "days przyjmuje tekst, nie liczbę"


@pytest.mark.parametrize(
    ("language", "message", "hint"),
    [
        ("fr", "days attend du texte, pas un nombre", "Coupez-le en deux."),
        ("pl", "days przyjmuje tekst, nie liczbę", "Podziel go na dwa."),
        ("ro", "days primește text, nu un număr", "Împărțiți-l în două."),
        ("en", "days takes text, not a number", "Split it in two."),
    ],
)
def test_a_run_is_told_in_the_readers_language_on_its_page_in_the_list_and_on_the_ticket(
    desk: Desk, developer: FlaskClient, language: str, message: str, hint: str
) -> None:
    a_script(desk)
    ticket = desk.ticket()
    desk.work()
    error = {
        "code": "VALUE",
        "message": "days takes text, not a number",
        "line": 2,
        "column": 0,
        "hint": "Split it in two.",
    }
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        event = connection.execute(select(EventRow.id).where(EventRow.item_id == ticket)).scalars().first()
        run = connection.execute(
            insert(RunRow)
            .values(
                key="k", item_id=ticket, event_id=event, script="S01", version=1, params={}, cause={"kind": "person"},
                root_id=event, depth=1, status="failed", attempt=1, due_at=None, created_at=now, finished_at=now,
                outcome={"error": error, "actions": [], "calls": [], "log": []},
            )
            .returning(RunRow.id)
        ).scalar_one()  # fmt: skip
        connection.execute(update(User).where(User.key == "dev").values(language=language))
    page = words(text_of(developer.get(f"/runs/{run}")))
    assert message in page
    assert hint in page
    assert message in words(text_of(developer.get("/runs")))
    told_there = words(text_of(developer.get(f"/tickets/{ticket}")))
    assert message in told_there
