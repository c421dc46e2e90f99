"""What a version of a script says besides its source: parameters, its place in the rule list. Checked at publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rules import parse
from rules.listed import as_table, is_listed
from rules.script_params import ParamsInvalid, declared
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from web.rules_document import tidy
from web.rules_store import used_by

#: Most rows named that a new version would put wrong.
ROWS_NAMED = 10


def with_script(vocabulary: Vocabulary, code: str, content: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary as it is once this content is live. Raises `ParamsInvalid`."""
    takes = declared(content)
    others = {key: value for key, value in vocabulary.script_params.items() if key != code}
    return replace(
        vocabulary,
        scripts={**vocabulary.scripts, code: str(content.get("name") or code)},
        script_params={**others, code: takes} if takes else others,
    )


def problems_of(code: str, content: Mapping[str, Any], vocabulary: Vocabulary) -> list[str]:
    """What is wrong with the parameters, triggers and scope of a script's content, as sentences."""
    try:
        words = with_script(vocabulary, code, content)
    except ParamsInvalid as invalid:
        return list(invalid.problems)
    if not is_listed(content):
        return []
    return [one.message for one in parse.problems(as_table(code, content), words)]


def rows_put_wrong(
    entries: Sequence[Stored], code: str, content: Mapping[str, Any], vocabulary: Vocabulary
) -> list[str]:
    """The rows of live tables that would no longer be right once this content is live, as sentences.

    Such a table would be left out of the rule list as a whole, so nothing is published that puts one wrong."""
    after = with_script(vocabulary, code, content)
    found: list[str] = []
    for one in used_by(entries, code):
        if one.kind is not EntryKind.TABLE or one.content is None:
            continue
        before = {str(problem) for problem in parse.problems(one.content, vocabulary)}
        numbers = {row["id"]: number for number, row in enumerate(tidy(one.content)["rows"], 1)}
        for problem in parse.problems(one.content, after):
            if str(problem) not in before:
                number = numbers.get(problem.where.get("row", ""))
                row = f", row {number}" if number else ""
                found.append(f"{one.code} ({one.name}){row}: {problem.message}")
    return found[:ROWS_NAMED]
