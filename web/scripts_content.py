"""What a version of a script says besides its source: parameters, its place in the rule list. Checked at publish."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask_babel import gettext

from jobs.holding import wait_s
from rules import parse
from rules.listed import as_table, is_listed
from rules.parse import KINDS
from rules.script_params import ParamsInvalid, declared
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from web.rules_document import tidy
from web.rules_store import used_by
from web.rules_words import members, triggers

#: Most rows named that a new version would put wrong; most lines of a difference between two sources.
ROWS_NAMED = 10
DIFF_LINES = 2_000
#: What publishing adds to a version. Never carried over from a draft: nobody may bring an agreement along.
_ADDED = frozenset({"manifest", "manifest_sha256", "asked", "agreed_by"})


def source_of(content: Mapping[str, Any] | None) -> str:
    """The Python text of a version or draft, "" where there is none."""
    return str((content or {}).get("source", ""))


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without what publishing adds."""
    return {key: value for key, value in content.items() if key not in _ADDED}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a difference between two sources: "+", "-" or " "."""

    sign: str
    text: str


def diff(before: str, after: str, context: int = 3) -> list[DiffLine]:
    """The lines that differ between two sources, with some around them; at most DIFF_LINES."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    found = [DiffLine("…", "") if line.startswith("@@") else DiffLine(line[:1], line[1:]) for line in list(lines)[2:]]
    return found[:DIFF_LINES]


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


@dataclass(frozen=True, slots=True)
class Use:
    """An entry whose live version or draft names a script. `rows` are the numbers of the rows that run it."""

    entry: Stored
    rows: tuple[str, ...]
    live: bool


def uses(entries: Sequence[Stored], code: str) -> list[Use]:
    """Who calls this script, row by row; of a table with a draft the rows of either. A draft alone is not live."""
    found = []
    for one in used_by(entries, code):
        rows: set[str] = set()
        for content in (one.content, one.draft):
            if one.kind is EntryKind.TABLE and content is not None:
                rows.update(_rows_running(tidy(content), code))
        ordered = sorted(rows, key=lambda row: (not row.isdecimal(), len(row), row))
        found.append(Use(one, tuple(ordered), bool(one.content) and bool(used_by([replace(one, draft=None)], code))))
    return found


def _rows_running(document: Mapping[str, Any], code: str) -> list[str]:
    """The numbers of the rows whose steps run this script, "∞" for the last one."""
    runs = {step["id"] for step in document["steps"] if step.get("do") == "run_script"}
    rows = [(str(number), row["then"]) for number, row in enumerate(document["rows"], 1)]
    if "otherwise" in document:
        rows.append(("∞", document["otherwise"]["then"]))
    return [
        number
        for number, then in rows
        if any(isinstance(then.get(id), Mapping) and then[id].get("script") == code for id in runs)
    ]


def beside_source(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], vocabulary: Vocabulary
) -> list[tuple[str, str, str]]:
    """What differs between two contents besides the source: (what, before, after) in words."""
    old, new = _in_words(before or {}, vocabulary), _in_words(after, vocabulary)
    return [(what, old[what], new[what]) for what in new if old[what] != new[what]]


def _in_words(content: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, str]:
    none = gettext("none")
    runs = gettext("when a row runs it")
    scope = content.get("scope") or []
    kind = str(content.get("kind") or "ticket")
    tests = content.get("tests") or []
    return {
        gettext("Name"): str(content.get("name") or none),
        gettext("Runs"): triggers(content, vocabulary) if is_listed(content) else runs,
        gettext("Runs on"): gettext(KINDS.get(kind, kind)),
        gettext("Only for"): members(scope, vocabulary.of(kind)) or none,
        gettext("Rules wait for it, seconds"): str(wait_s(content)),
        gettext("Parameters"): ", ".join(_param_words(one) for one in content.get("params") or ()) or none,
        gettext("Tests"): str(len(tests)) if not tests else ", ".join(_test_words(one) for one in tests),
    }


def _param_words(param: Any) -> str:
    if not isinstance(param, Mapping):
        return str(param)
    rest = {key: value for key, value in param.items() if key not in ("name", "label", "doc")}
    return f"{param.get('name')} ({', '.join(f'{key} {value}' for key, value in rest.items())})"


def _test_words(test: Any) -> str:
    """A test by its name and by what it says, so that a changed one is seen too."""
    said = hashlib.sha256(json.dumps(test, sort_keys=True, default=str).encode()).hexdigest()[:6]
    return f"{test.get('name') if isinstance(test, Mapping) else test} ({said})"


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
