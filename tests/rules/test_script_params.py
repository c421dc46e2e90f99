"""What a script declares to take, and what a step gives checked against it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rules import files
from rules.actions import clean_params, plan, step_sentence
from rules.errors import ActionRefused, TableInvalid
from rules.listed import as_table
from rules.parse import parse_table
from rules.script_params import ParamsInvalid, clean_given, complete, declared, declared_or_none
from rules.vocabulary import GivenType, ScriptParam
from tests.rules.desk import DESK, a_table_as_data, some_facts
from tickets.effects import RunScript
from tickets.values import json_problem

CONTENT: dict[str, Any] = {
    "params": [
        {"name": "days", "label": "Days back", "type": "number", "required": True},
        {"name": "tone", "type": "choice", "options": ["warm", "plain"], "default": "plain"},
        {"name": "note", "type": "text"},
        {"name": "loud", "type": "bool", "default": False},
        {"name": "until", "type": "date"},
        {"name": "words", "type": "texts"},
    ]
}
TAKES = declared(CONTENT)
WITH = replace(DESK, script_params={"double_charge": TAKES})


def test_a_declaration_is_read_with_its_labels_and_defaults() -> None:
    assert TAKES[0] == ScriptParam("days", "Days back", GivenType.NUMBER, required=True)
    assert TAKES[1] == ScriptParam("tone", "Tone", GivenType.CHOICE, default="plain", options=("warm", "plain"))
    assert declared({}) == ()
    assert declared({"params": []}) == ()


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        ({"name": "Days"}, "Parameter 1 needs a name of small letters"),
        ({"name": "dаys"}, "Parameter 1 needs a name of small letters"),  # a Cyrillic а
        ({"name": "days\n"}, "Parameter 1 needs a name of small letters"),
        ({"name": "class"}, "Parameter class: this name is taken by Python"),
        ({"name": "match"}, "Parameter match: this name is taken by Python"),
        ({"name": "get"}, "Parameter get: this name is taken by Python"),
        ({"name": "x" * 41}, "Parameter 1 needs a name of small letters"),
        ({"name": "a", "type": "money"}, "Parameter a: There is no type 'money'."),
        ({"name": "a", "type": ["text"]}, "Parameter a: There is no type"),
        ({"name": "a", "kind": "text"}, "Parameter 1: There is no key of a parameter 'kind'."),
        ({"name": "a", "required": "yes"}, "Parameter a: required is true or false."),
        ({"name": "a", "type": "choice"}, "Parameter a: a choice needs 1 to 100 options"),
        ({"name": "a", "type": "choice", "options": ["x", ""]}, "Parameter a: a choice needs 1 to 100 options"),
        ({"name": "a", "type": "text", "options": ["x"]}, "Parameter a: only a choice has options."),
        ({"name": "a", "type": "number", "default": "3"}, "Parameter a: the default does not fit. A takes a number"),
        ({"name": "a", "type": "choice", "options": ["x"], "default": "y"}, "Parameter a: the default does not fit."),
        ({"name": "a", "label": "\x00"}, "Parameter a: the label is a text"),
        ("days", "Parameter 1 is a mapping"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused_with_its_parameter(one: Any, sentence: str) -> None:
    with pytest.raises(ParamsInvalid) as invalid:
        declared({"params": [one]})
    assert str(invalid.value).startswith(sentence)
    assert declared_or_none({"params": [one]}) == ()


def test_every_problem_of_a_declaration_is_said_at_once_and_there_is_a_most() -> None:
    with pytest.raises(ParamsInvalid) as invalid:
        declared({"params": [{"name": "A"}, {"name": "a"}, {"name": "a"}]})
    assert [one[:20] for one in invalid.value.problems] == ["Parameter 1 needs a ", "Two parameters are c"]
    with pytest.raises(ParamsInvalid, match="at most 20 parameters, not 21"):
        declared({"params": [{"name": f"a{number}"} for number in range(21)]})
    with pytest.raises(ParamsInvalid, match="are a list"):
        declared({"params": {"name": "a"}})


GIVEN: list[tuple[dict[str, Any], str]] = [
    ({}, "The script needs Days back (days)."),
    ({"days": ""}, "The script needs Days back (days)."),
    ({"days": "3"}, "Days back takes a number, not a text."),
    ({"days": True}, "Days back takes a number, not yes or no."),
    ({"days": float("nan")}, "Days back takes a number of at most"),
    ({"days": 10**30}, "Days back takes a number of at most"),
    ({"days": 3, "dayz": 1}, "There is no parameter of this script 'dayz'. Did you mean 'days'?"),
    ({"days": 3, "tone": "loud"}, "There is no Tone 'loud'."),
    ({"days": 3, "note": 1}, "Note takes a text, not a number."),
    ({"days": 3, "note": "x" * 2_001}, "Note takes at most 2000 characters, not 2001."),
    ({"days": 3, "note": "a\x00"}, "Note"),
    ({"days": 3, "loud": "yes"}, "Loud takes yes or no, not a text. Write true or false."),
    ({"days": 3, "until": "22.11.2026"}, "Until takes a date, YYYY-MM-DD, not '22.11.2026'."),
    ({"days": 3, "until": "20261122"}, "Until takes a date"),
    ({"days": 3, "until": "2026-02-30"}, "Until takes a date"),
    ({"days": 3, "words": "a"}, "Words takes a list of texts, not a text."),
    ({"days": 3, "words": ["a", 1]}, "Words takes a text, not a number."),
    ({"days": 3, "words": ["a"] * 101}, "Words takes at most 100 texts, not 101."),
]


@pytest.mark.parametrize(("given", "sentence"), GIVEN)
def test_a_step_that_gives_the_wrong_thing_is_refused_in_its_cell_and_when_it_is_planned(
    given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ActionRefused) as refused:
        clean_given(TAKES, given)
    assert str(refused.value).startswith(sentence)
    with pytest.raises(ActionRefused):
        plan("run_script", {"script": "double_charge", "params": given}, some_facts(), WITH)
    if json_problem(given) is not None:
        return  # a cell with these is no JSON, which is said before
    row = {"id": "r1", "then": {"s1": {"script": "double_charge", "params": given}}}
    table = a_table_as_data([row], columns=[], steps=[{"id": "s1", "do": "run_script"}])
    with pytest.raises(TableInvalid) as invalid:
        parse_table(table, WITH)
    assert [(one.where, one.message) for one in invalid.value.problems if one.code == "step"] == [
        ({"row": "r1", "column": "s1"}, str(refused.value))
    ]


def test_what_is_given_is_completed_with_defaults_and_none() -> None:
    cell: dict[str, Any] = {"script": "double_charge", "params": {"days": 3, "note": "", "words": ["a"]}, "wait_s": 30}
    assert clean_params("run_script", cell, WITH)["params"] == {"days": 3, "words": ["a"]}
    given: dict[str, Any] = {"days": 3, "tone": "plain", "note": None, "loud": False, "until": None, "words": ["a"]}
    assert plan("run_script", cell, some_facts(), WITH) == (RunScript("double_charge", given, 30),)
    assert complete(TAKES, {"days": 1.5, "tone": "warm"})["tone"] == "warm"


def test_a_script_that_declares_nothing_takes_anything() -> None:
    assert clean_given((), {"x": [1]}) == {"x": [1]}
    [effect] = plan("run_script", {"script": "double_charge", "params": {"x": 1}}, some_facts(), DESK)
    assert effect == RunScript("double_charge", {"x": 1})


@pytest.mark.parametrize("wait_s", [-1, 601, 1.5, "60", True])
def test_a_steps_wait_is_bounded(wait_s: Any) -> None:
    with pytest.raises(ActionRefused):
        plan("run_script", {"script": "double_charge", "wait_s": wait_s}, some_facts(), DESK)
    [effect] = plan("run_script", {"script": "double_charge", "wait_s": 600}, some_facts(), DESK)
    assert isinstance(effect, RunScript)
    assert effect.wait_s == 600


def test_a_step_in_words_says_what_it_gives() -> None:
    cell: dict[str, Any] = {
        "script": "double_charge",
        "params": {"days": 3, "loud": True, "words": ["a", "b"]},
        "wait_s": 5,
    }
    words = "Run script: Double charge · days: 3, loud: yes, words: a, b · seconds to wait 5"
    assert step_sentence("run_script", cell, WITH) == words
    assert step_sentence("run_script", {"script": "double_charge", "params": {}}, WITH) == "Run script: Double charge"


def test_the_examples_of_the_scripting_page_can_be_published() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scripting.md").read_text(encoding="utf-8")
    params, listed = (files.load(one) for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    assert [one.name for one in declared(params)] == ["days", "tone"]
    words = replace(DESK, scripts={**DESK.scripts, listed["code"]: listed["name"]})
    assert parse_table(as_table(listed["code"], listed), words).scope
