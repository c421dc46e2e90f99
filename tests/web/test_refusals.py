"""Refusals in the reader's language: the catalogue is complete, and the pages that show them speak it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from connectors import errors
from jobs.tables import RunRow
from rules.errors import no_such
from sandbox.contract import Param, ParamType, type_problem
from sandbox.messages import LANGUAGES, translated
from tests.web.desk import Desk
from tests.web.pages import text_of, words
from tests.web.scripts import a_script
from tickets.tables import EventRow, User
from web.refusals import FAILURES, NOTES, PROBLEMS, REFUSALS, known, told


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


ROOT = Path(__file__).parents[2]
#: What raises sentences that a run or a step is refused with, by file: the names of what is given the sentence.
SAYING = {
    **{str(path.relative_to(ROOT)): {"ActionRefused"} for path in sorted((ROOT / "rules").glob("*.py"))},
    "tickets/item.py": {"BadValue"},
    "rules/script_params.py": {"ActionRefused", "ParamsInvalid"},
    "rules/store.py": {"StaleDraft", "NothingToPublish"},
    "jobs/script_tests.py": {"BadTest", "RunNotFound", "differences"},
}
#: What says how a connected system failed; `BadConfig` is said to whoever edits it, problem by problem.
FAILED = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)} - {
    "BadConfig",
    "Exception",
}
FAILING = {
    str(path.relative_to(ROOT)): FAILED
    for path in sorted((ROOT / "connectors").rglob("*.py"))
    if "channels" not in path.parts
}
#: What says what became of a step, a decision or a mail.
NOTING = {
    "jobs/beside.py": {"NotPossible"},
    "jobs/applying.py": {"reason"},
    "jobs/deciding.py": {"reason"},
    "rules/passes.py": {"note", "append", "stopped"},
    "jobs/outbox.py": {"_give_up", "NotNeeded", "MailNotTaken"},
    "jobs/changes.py": {"ChangeCapped"},
}
#: What is wrong with a table as it is written, and what it says without meaning it.
REFUSING = {"OperandRefused", "ConditionFailed"}
WRONG = {
    "rules/parse.py": {"report", "_broken", "OperandRefused"},
    "rules/lint.py": {"Problem"},
    "rules/conflicts.py": {"Problem"},
    "rules/reach.py": {"Problem"},
    **dict.fromkeys(("rules/operands.py", "rules/operators.py", "rules/comparisons.py"), REFUSING),
    **dict.fromkeys(("rules/triggers.py", "rules/rearm.py"), REFUSING),
    "rules/fields.py": {"UnknownField"},
    "rules/files.py": {"FileInvalid"},
    "tickets/lists.py": {"SettingRefused", "StaleSetting"},
    "web/rules_files_lists.py": {"SettingRefused"},
    **{f"tickets/{name}.py": {"SettingRefused"} for name in ("custom_fields", "journal", "places", "staff")},
    "web/hours_store.py": {"SettingRefused"},
}
#: Only a label and what another one says.
JOINED = {"x: x"}
#: Where in the file stands right behind the head of the sentence, and is filled in with it.
PLACED = {"This is not YAMLx: x": "This is not YAML at line 2, column 1: x"}


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


def said(saying: dict[str, set[str]], *but: str) -> list[str]:
    """Every sentence those raise or note, with "x" for what is filled in. What only hands on another's is left out."""
    found = set()
    for path, names in saying.items():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            given: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = node.args if name in names else []
            elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Tuple, ast.Constant, ast.JoinedStr)):
                targets = [*getattr(node.targets[0], "elts", node.targets)]
                told_there = [getattr(one, "attr", getattr(one, "id", "")) in names for one in targets]
                given = getattr(node.value, "elts", [node.value]) if any(told_there) else []
            for text in map(filled, given):
                # A refusal may begin with its line, which is told around it.
                text = text[1:] if text.startswith("xthis chain") else text
                sentence = f"{text}." if path == "tickets/item.py" and text else text
                if sentence.strip("x.: ") and " " in sentence and sentence not in but:
                    found.add(sentence)
    return sorted(found)


# Read by the tests that ask for it, not in every process that collects this file: it is the syntax of a hundred files.


@pytest.fixture(scope="module")
def refusals() -> list[str]:
    return said(SAYING)


@pytest.fixture(scope="module")
def failures() -> list[str]:
    return said(FAILING, *JOINED)


@pytest.fixture(scope="module")
def noted() -> list[str]:
    """Its two endings are said below."""
    return said(NOTING, "x was x x")


@pytest.fixture(scope="module")
def problems() -> list[str]:
    return [PLACED.get(text, text) for text in said(WRONG, *JOINED)]


def unknown(texts: list[str], is_known: Callable[[str], object]) -> list[str]:
    """What no catalogue has."""
    return [text for text in texts if not is_known(text)]


def within(path: str, name: str) -> list[str]:
    """Every text this function may give back, as it stands in the sentence around it."""
    tree = ast.parse((ROOT / path).read_text())
    function = next(one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == name)
    found = set()
    for node in ast.walk(function):
        parts = getattr(node.value, "elts", [node.value]) if isinstance(node, ast.Return) else []
        for one in parts:
            choices = [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]
            choices = [part for choice in choices for part in getattr(choice, "elts", [choice])]
            found |= {text for text in map(filled, choices) if " " in text}
    assert found, f"{name} of {path} gives back no text"
    return sorted(found)


def test_the_code_is_really_read(
    refusals: list[str], failures: list[str], noted: list[str], problems: list[str]
) -> None:
    assert len(refusals) > 40
    assert "The script needs x (x)." in refusals
    assert len(failures) > 35
    assert "x failed on its side (x).x" in failures
    assert len(noted) > 20
    assert len(problems) > 50
    assert "x changed x in between" in noted


def test_every_failure_of_a_connected_system_is_in_the_catalogue(failures: list[str]) -> None:
    assert unknown(failures, lambda text: FAILURES.known(text.removesuffix("x") if text.endswith(".x") else text)) == []


def test_what_may_stand_in_a_failure_is_told_in_every_language() -> None:
    reasons = within("connectors/addresses.py", "_refusal")
    inputs = within("connectors/system.py", "_clean")
    assert len(reasons) >= 6
    assert len(inputs) >= 9
    for why, text in [
        *((why, f"x leads to y, {why}. Nothing was sent.") for why in reasons),
        *((why, f"find: day {why}. It takes: day. Nothing was sent.") for why in inputs),
    ]:
        for language in LANGUAGES:
            assert why not in told(text, language), (language, told(text, language))


def test_how_a_stored_test_came_out_is_told_in_every_language() -> None:
    assert told("status: expected finished, got failed", "fr") == "status : attendu finished, obtenu failed"
    assert told("error: expected none, got VALUE", "pl") == "error: oczekiwano none, jest VALUE"
    assert told("effect 2: expected add_tags tags, got nothing", "ro") == (
        "efectul 2: se aștepta add_tags tags, s-a obținut nimic"
    )


@pytest.mark.parametrize("did", ["suggested it", "asked for it"])
def test_why_a_second_look_kept_something_from_leaving_is_told_in_every_language(did: str) -> None:
    for text in within("jobs/rechecking.py", "row_says_no"):
        sentence = text.replace("which x", f"which {did}").replace("that x", f"that {did}")
        assert did in sentence
        for language in LANGUAGES:
            assert did not in told(sentence, language), (language, told(sentence, language))


def test_both_endings_of_a_table_without_an_answer_are_told() -> None:
    for text in ("A01 was decided without erp.x", "A01 was not decided: it never goes without erp.x"):
        assert NOTES.known(text)


@pytest.mark.parametrize("error", sorted(FAILED))
def test_what_a_failure_says_where_no_more_is_known_is_told_in_every_language(error: str) -> None:
    text = getattr(errors, error)().sentence
    for language in LANGUAGES:
        assert told(text, language) != text


def test_every_note_of_a_decision_is_in_the_catalogue(noted: list[str]) -> None:
    assert unknown(noted, NOTES.known) == []


def test_what_stands_in_a_sentence_is_told_in_the_same_language() -> None:
    assert told("Priority is one of low, high, not 'x'.", "fr") == "Priorité est l'un de low, high, pas 'x'."
    assert told("Set status needs status.", "pl") == "Ustaw status: brakuje: status."
    assert told("There is no parameter of 'assign' 'user'. Allowed: users.", "ro") == (
        "Parametru al acțiunii 'assign': nu există 'user'. Permise: users."
    )
    assert told("A01/r1 could not be done: Set priority: Priority is one of low, not 'x'.", "pl") == (
        "Nie udało się wykonać A01/r1: Ustaw priorytet: Priorytet to jedno z low, nie 'x'."
    )
    assert told("find: email is missing; there is no input 'x'. It takes: email. Nothing was sent.", "fr") == (
        "find : email manque; il n'y a pas d'entrée 'x'. Il faut : email. Rien n'a été envoyé."
    )
    assert told("Tryton failed on its side (500). It says: full", "pl") == (
        "Tryton: błąd po stronie systemu (500). System mówi: full"
    )
    # A field that the desk calls something of its own keeps its name.
    assert told("Vorgang takes a number.", "fr") == "Vorgang attend un nombre."


def test_every_problem_of_a_table_a_cell_or_a_file_is_in_the_catalogue(problems: list[str]) -> None:
    deep = [text.replace("levels deepx", "levels deep at line 2") for text in problems]
    assert unknown(deep, known) == []


def test_what_rows_say_against_each_other_is_told_with_its_example() -> None:
    text = (
        "Row 2 writes over what row 1 wrote: Priority becomes High, then Low. "
        "For example: Channel = (empty); Subject = refund."
    )
    assert told(text, "fr") == (
        "La ligne 2 écrase ce que la ligne 1 a écrit : Priorité devient High, puis Low. "
        "Par exemple : Canal = (vide); Objet = refund."
    )
    assert told("Row 3 is fine", "fr") == "Row 3 is fine"


def test_every_refusal_of_the_code_is_in_the_catalogue(refusals: list[str]) -> None:
    assert unknown(refusals, known) == []


@pytest.mark.parametrize("allowed", [[], ["billing"], {"billing": "Billing"}])
def test_names_that_are_not_there_are_told_in_every_language(allowed: list[str]) -> None:
    for given in ("biling", "zzz"):
        text = no_such("team", given, allowed)
        for language in LANGUAGES:
            assert told(text, language) != text


def test_a_translation_is_not_the_english_refusal_again() -> None:
    for catalogue in (REFUSALS, NOTES, FAILURES, PROBLEMS):
        assert len(catalogue.sentences) > 40
        for english, others in catalogue.sentences.items():
            assert english not in others.values()


TYPES: tuple[ParamType, ...] = ("text", "number", "integer", "decimal", "bool", "date", "list")


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_error_of_a_call_is_told_in_every_language(type_: ParamType) -> None:
    for value in ("x y", 1.5, True, ["a"], {"a": 1}, None):
        problem = type_problem(Param("days", type_, True), value)
        if problem is None:
            continue
        for language in LANGUAGES:
            assert translated(problem, language) != problem, (problem, language)
    assert type_problem(Param("days", type_, True), None) == "days needs a value, not None"


def test_the_line_and_what_was_not_done_are_told_around_the_refusal() -> None:
    text = "Line 7: There is no team 'x'. Allowed: billing. Nothing of this run was applied."
    assert told(text, "fr") == (
        "Ligne 7 : Équipe : il n'y a pas de 'x'. Possibles : billing. Rien de cette exécution n'a été appliqué."
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


CARD_ERRORS = {
    "en": "Tryton failed on its side (500). It says: database is full",
    "fr": "Tryton a échoué de son côté (500). Il dit : database is full",
    "pl": "Tryton: błąd po stronie systemu (500). System mówi: database is full",
    "ro": "Tryton a eșuat de partea sa (500). El spune: database is full",
}


@pytest.mark.parametrize("language", CARD_ERRORS)
def test_a_card_says_how_its_system_failed_in_the_readers_language(
    desk: Desk, developer: FlaskClient, language: str
) -> None:
    ticket = desk.ticket()
    desk.card(ticket, "erp", None, error=CARD_ERRORS["en"])
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "dev").values(language=language))
    assert CARD_ERRORS[language] in words(text_of(developer.get(f"/tickets/{ticket}")))
