"""The catalogue holds together: no key twice, everything documented, everything that docs show works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import actions, fields, lint, operators, triggers
from rules.action import Action
from rules.asking import Grade
from rules.parse import parse_table
from rules.trace import RowVerdict, Verdict
from tests.rules.desk import DESK

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("module", [fields, operators, triggers, actions])
def test_a_key_listed_twice_is_an_error_at_import(module: Any) -> None:
    with pytest.raises(ValueError, match="same key"):
        module._by_key((*module._RECORDS, module._RECORDS[0]))


def test_everything_in_the_catalogue_is_in_the_docs() -> None:
    keys = [
        *operators.OPERATORS,
        *triggers.TRIGGERS,
        *actions.ACTIONS,
        *fields.FIELDS,
        *lint.CHECKS,
        *(verdict.value for verdict in Verdict),
        *(verdict.value for verdict in RowVerdict),
    ]
    assert [key for key in keys if f"`{key}`" not in PAGE] == []


@pytest.mark.parametrize("action", actions.ACTIONS.values(), ids=actions.ACTIONS.keys())
def test_every_parameter_of_an_action_is_in_its_line_of_the_docs(action: Action) -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| `{action.key}` |")]
    assert [param.key for param in action.params if f"`{param.key}`" not in line] == []


@pytest.mark.parametrize("grade", Grade)
def test_the_docs_tell_how_the_database_is_asked_for_each_operator(grade: Grade) -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {grade.value} |")]
    assert set(re.findall("`([a-z_]+)`", line)) == {
        key for key, one in operators.OPERATORS.items() if one.sql.grade is grade
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_tables_in_the_docs_can_be_published(example: str) -> None:
    table = parse_table(yaml.safe_load(example), DESK)
    assert lint.lint(table, DESK) == []


def test_the_docs_have_examples() -> None:
    assert len(EXAMPLES) == 5


def test_the_table_of_the_architecture_page_can_be_published() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_table(yaml.safe_load(example), DESK).code == "A01"


@pytest.mark.parametrize("key", list(operators.OPERATORS))
def test_an_operator_has_a_label_a_sentence_and_a_type(key: str) -> None:
    operator = operators.OPERATORS[key]
    assert operator.label
    assert operator.doc.endswith(".")
    assert operator.types
    assert ("{value}" in operator.sentence) is (operator.operand is not operators.Operand.NONE)
