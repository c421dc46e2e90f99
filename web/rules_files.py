"""Rule lists as files: reading them, saying what is wrong with file, row and cell, and putting them in, all or nothing.

A file is one entry, a list of entries, or `{tables: [...], templates: [...], scripts: [...]}`; a table has rows, a
template texts, a script a source. The same data as in the editor; see docs/rules.md. Where scripts stand among the
tables of the rule list, `order: [...]` names the codes of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import gettext
from sqlalchemy import Connection

from jobs import live
from rules import files
from rules import store as rule_list
from rules.errors import Problem
from rules.listed import is_listed
from rules.script_params import declared_or_none
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from sandbox.contract import Checked
from tickets.values import json_problem
from web import scripts_content
from web.refusals import said
from web.rules_document import IF, THEN, canonical, tidy
from web.rules_grid import check
from web.rules_templates import problems_of
from web.rules_words import ChangeLine, changes, column_label

#: Most entries in one file.
MAX_ENTRIES = 500
#: What publishing a script adds to its version. A file neither carries it out nor brings it in; of the manifest it
#: carries what the version may do, which is compared with the text when it is read.
AGREED = frozenset({"manifest_sha256", "asked", "agreed_by"})
#: What is no difference between two versions of a script or template: the entry's own code and switch.
_NOT_COMPARED = AGREED | {"code", "enabled", "manifest"}
#: The parts of a script or template in words.
_WORDS = {"source": "text", "texts": "text", "params": "list of parameters", "wait_s": "wait", "tests": "list of tests",
          "triggers": "list of triggers"}  # fmt: skip
#: Where a file has its named lists; see `web.rules_files_lists`.
NAMED_LISTS = "lists"
#: Where it says in which order new tables and scripts with triggers come into the rule list.
ORDER = "order"
_LISTS = {"templates": EntryKind.TEMPLATE, "scripts": EntryKind.SCRIPT, "tables": EntryKind.TABLE}


class FileRefused(Exception):
    """The file has problems; `problems` lists all of them, each with its place. Nothing was imported."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems[:3]))


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One table, template or script of a file."""

    kind: EntryKind
    code: str
    name: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What importing one entry comes to: "new", "changed" or "same", and the differences in words.

    `changes` are those of a table, cell by cell. `publishes`: it makes a new version; a switch alone does not. `asks`:
    it is only asked for, since it may do more than the live version and somebody else has to agree."""

    entry: FileEntry
    what: str
    lines: tuple[str, ...] = ()
    publishes: bool = True
    asks: bool = False
    changes: tuple[ChangeLine, ...] = ()


def read(text: str, name: str) -> list[FileEntry]:
    """The entries of a file. Raises `FileRefused` for what is not a list of entries."""
    try:
        data = files.load(text)
    except files.FileInvalid as error:
        raise FileRefused([f"{name}: {said(str(error))}"]) from None
    problem = json_problem(data, name, most=files.MAX_FILE_VALUES)
    if problem is not None:
        raise FileRefused([f"{problem}"])
    if data is None:
        raise FileRefused([gettext("%(file)s: there is nothing in it", file=name)])
    found: list[tuple[EntryKind | None, Any]]
    if isinstance(data, Mapping) and any(key in data for key in (*_LISTS, NAMED_LISTS)):
        unknown = sorted(set(data) - {*_LISTS, NAMED_LISTS, ORDER})
        if unknown:
            raise FileRefused(
                [
                    gettext(
                        "%(file)s: there is no list %(list)s; a file has %(known)s",
                        file=name,
                        list=repr(unknown[0]),
                        known=", ".join((*_LISTS, NAMED_LISTS, ORDER)),
                    )
                ]
            )
        found = []
        for key, listed_kind in _LISTS.items():
            listed = data.get(key) or []
            if not isinstance(listed, list):
                raise FileRefused(
                    [
                        gettext(
                            "%(file)s: %(key)s is a list, not %(given)s",
                            file=name,
                            key=key,
                            given=type(listed).__name__,
                        )
                    ]
                )
            found += [(listed_kind, one) for one in listed]
    else:
        found = [(None, one) for one in (data if isinstance(data, list) else [data])]
    if len(found) > MAX_ENTRIES:
        raise FileRefused(
            [
                gettext(
                    "%(file)s: has %(n)s entries; at most %(most)s fit in one file",
                    file=name,
                    n=len(found),
                    most=MAX_ENTRIES,
                )
            ]
        )
    entries: list[FileEntry] = []
    problems: list[str] = []
    for number, (kind, one) in enumerate(found, 1):
        try:
            entries.append(_entry(kind, one))
        except ValueError as error:
            problems.append(gettext("%(file)s: entry %(n)s: %(why)s", file=name, n=number, why=str(error)))
    codes = [one.code for one in entries]
    problems += [
        gettext("%(file)s: %(code)s stands there twice", file=name, code=code)
        for code in sorted({c for c in codes if codes.count(c) > 1})
    ]
    order = (data.get(ORDER) or []) if isinstance(data, Mapping) else []
    if not isinstance(order, list):
        problems.append(
            gettext("%(file)s: %(key)s is a list, not %(given)s", file=name, key=ORDER, given=type(order).__name__)
        )
    else:
        problems += [
            gettext("%(file)s: %(key)s names %(code)s, which is not in the file", file=name, key=ORDER, code=str(code))
            for code in order[:MAX_ENTRIES]
            if code not in codes
        ]
    if problems:
        raise FileRefused(problems)
    places = {code: place for place, code in reversed(list(enumerate(order[:MAX_ENTRIES])))}
    return sorted(entries, key=lambda one: places.get(one.code, MAX_ENTRIES))


def _entry(given: EntryKind | None, data: Any) -> FileEntry:
    """Raises `ValueError` with a sentence."""
    if not isinstance(data, Mapping):
        raise ValueError(gettext("an entry is a mapping, not %(given)s", given=type(data).__name__))
    guessed = EntryKind.SCRIPT if "source" in data else EntryKind.TEMPLATE if "texts" in data else EntryKind.TABLE
    kind = given or guessed
    code = data.get("code")
    if not isinstance(code, str) or not code or len(code) > 10 or not code.isalnum():
        raise ValueError(gettext("needs a code of up to 10 letters and digits, e.g. A01"))
    name = data.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(gettext("%(code)s needs a name", code=code))
    return FileEntry(kind, code, name.strip()[:200], _plain(data))


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in AGREED}


def _carried(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of a version. The texts of fields and the order of lists stay; the manifest goes last.

    Whether it is on is the entry's own: the version may still say what the file said that it came in by."""
    plain = _plain(content)
    plain.pop("enabled", None)
    manifest = plain.pop("manifest", None)
    return plain if manifest is None else {**plain, "manifest": manifest}


def problems(
    entries: Sequence[FileEntry],
    vocabulary: Vocabulary,
    name: str,
    check_script: Callable[[str], Checked] | None,
    *,
    thorough: bool = True,
) -> tuple[list[str], list[str]]:
    """(what must be mended, what is only worth a look), each with file, entry, row and cell.

    The vocabulary is what exists already; templates and scripts of the file itself count as existing. Without
    `check_script` the sources of scripts are not looked at; `thorough` as in `web.rules_grid.check`."""
    vocabulary = with_entries(vocabulary, entries)
    errors: list[str] = []
    hints: list[str] = []
    for one in entries:
        match one.kind:
            case EntryKind.TABLE:
                wrong, doubtful = check(one.content, vocabulary, thorough=thorough)
                errors += [place(one, problem, vocabulary, name) for problem in wrong]
                hints += [place(one, problem, vocabulary, name) for problem in doubtful]
            case EntryKind.TEMPLATE:
                found = problems_of(one.content, vocabulary)
                errors += [f"{name}: {one.code}, {where}: {said(sentence)}" for where, sentence in found.items()]
            case EntryKind.SCRIPT:
                wrong_script = scripts_content.problems_of(one.code, one.content, vocabulary)
                errors += [f"{name}: {one.code}: {said(sentence)}" for sentence in wrong_script]
                if check_script is None:
                    continue
                for bad in check_script(str(one.content.get("source", ""))).problems:
                    sentence = f"{name}: {one.code}, line {bad.line}, column {bad.column}: {bad.message} {bad.hint}"
                    (errors if bad.severity == "error" else hints).append(sentence.strip())
    return errors, hints


def with_entries(vocabulary: Vocabulary, entries: Sequence[FileEntry]) -> Vocabulary:
    """The vocabulary with the file's own templates and scripts in it."""
    return replace(
        vocabulary,
        templates={
            **vocabulary.templates,
            **{one.code: live.template(one.code, one.content) for one in entries if one.kind is EntryKind.TEMPLATE},
        },
        scripts={
            **vocabulary.scripts,
            **{one.code: one.name for one in entries if one.kind is EntryKind.SCRIPT},
        },
        script_params={
            **{
                code: takes
                for code, takes in vocabulary.script_params.items()
                if code not in {one.code for one in entries}
            },
            **{
                one.code: takes
                for one in entries
                if one.kind is EntryKind.SCRIPT and (takes := declared_or_none(one.content))
            },
        },
    )


def place(entry: FileEntry, problem: Problem, vocabulary: Vocabulary, name: str) -> str:
    """The problem with its file, table, row and cell."""
    document = tidy(entry.content)
    heads = {head["id"]: column_label(head, IF, vocabulary) for head in document["columns"]}
    heads |= {head["id"]: column_label(head, THEN, vocabulary) for head in document["steps"]}
    parts = [f"{name}: {entry.code}"]
    row, column = problem.where.get("row"), problem.where.get("column")
    if row is not None:
        number = next((n for n, one in enumerate(document["rows"], 1) if one["id"] == row), 0)
        parts.append(gettext("row %(place)s", place=f"{number} ({row})" if number else row))
    if column is not None:
        at = f"{column} ({heads[column]})" if column in heads else column
        parts.append(gettext("column %(place)s", place=at))
    if problem.where.get("group"):
        parts.append(gettext("group %(place)s", place=problem.where["group"]))
    elif problem.where.get("table") == "scope" and "index" in problem.where:
        parts.append(gettext("scope, condition %(place)s", place=int(problem.where["index"]) + 1))
    elif row is None and column is None:
        parts.append(_counted(problem.where))
    return f"{', '.join(parts)}: {said(problem.message)}"


def _counted(where: Mapping[str, str]) -> str:
    """A part of a table, or one of several, as people count them."""
    part = where.get("table", "")
    if "index" not in where:
        return part
    place = int(where["index"]) + 1
    match part:
        case "triggers":
            return gettext("trigger %(place)s", place=place)
        case "columns":
            return gettext("column %(place)s", place=place)
        case "steps":
            return gettext("step %(place)s", place=place)
        case _:
            return gettext("row %(place)s", place=place)


def plan(
    connection: Connection,
    entries: Sequence[FileEntry],
    vocabulary: Vocabulary,
    *,
    to_agree: Collection[str] = frozenset(),
) -> list[Step]:
    """What importing would do, entry by entry. Raises `FileRefused` for entries with a draft somebody works on.

    `to_agree` are scripts that may do more than before, where the desk wants a second person's yes."""
    present = {one.code: one for one in rule_list.entries(connection)}
    vocabulary = with_entries(vocabulary, entries)
    steps: list[Step] = []
    refused: list[str] = []
    for one in entries:
        old = present.get(one.code)
        if old is not None and old.kind is not one.kind:
            refused.append(f"{one.code} is a {old.kind} here and a {one.kind} in the file")
        elif old is not None and old.draft is not None:
            who = old.draft_by or "Somebody"
            refused.append(f"{who} has a draft of {one.code}; publish it or throw it away first")
        else:
            found = step(one, old, vocabulary)
            steps.append(replace(found, asks=found.publishes and found.what != "same" and one.code in to_agree))
    if refused:
        raise FileRefused(refused)
    return steps


def step(entry: FileEntry, old: Stored | None, vocabulary: Vocabulary) -> Step:
    """What importing this entry comes to, where `old` is what is there."""
    if old is None or old.content is None:
        return Step(entry, "new")
    lines: list[str] = []
    found: list[ChangeLine] = []
    if entry.kind is EntryKind.TABLE:
        if canonical(old.content) != canonical(entry.content):
            found = changes(old.content, entry.content, vocabulary)
            lines = [
                f"{line.where}: {line.before} -> {line.after}" if line.before else f"{line.where}: {line.after}"
                for line in found
            ] or ["written differently, says the same"]
    else:
        keys = dict.fromkeys((*old.content, *entry.content))
        lines = [
            f"its {_WORDS.get(key, key)} differs"
            for key in keys
            if key not in _NOT_COMPARED and (old.content.get(key) or None) != (entry.content.get(key) or None)
        ]
    publishes = bool(lines)
    if _enabled(entry) is not None and _enabled(entry) != old.enabled:
        lines.append("switched on" if _enabled(entry) else "switched off")
    return Step(entry, "changed" if lines else "same", tuple(lines), publishes, changes=tuple(found))


def _enabled(entry: FileEntry) -> bool | None:
    value = entry.content.get("enabled")
    return value if isinstance(value, bool) else None


def apply(
    connection: Connection,
    steps: Sequence[Step],
    *,
    author: str,
    note: str,
    now: datetime,
    contents: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Publish what is new or changed, in the caller's transaction; returns how many entries that were.

    `contents` are those of scripts, with what each may do. Raises `FileRefused` when a table or listed script that runs
    today, or one of the file, could not run afterwards; the caller's transaction is to be rolled back then."""
    done = 0
    created: set[str] = set()
    whole_before = live.load(connection, 0).broken
    for step in sorted(steps, key=lambda step: list(_LISTS.values()).index(step.entry.kind)):
        entry = step.entry
        if step.what == "same":
            continue
        content = {**(contents or {}).get(entry.code, entry.content), "name": entry.name}
        if step.asks:
            content["asked"] = {"by": author, "note": note}
        present = {one.code: one for one in rule_list.entries(connection)}.get(entry.code)
        seen = 1
        if present is None:
            rule_list.create(connection, entry.kind, entry.name, content, author=author, now=now, code=entry.code)
            created.add(entry.code)
        elif step.publishes:
            seen = rule_list.save_draft(
                connection, entry.code, content, author=author, seen=present.draft_count, now=now
            )
        if step.asks:
            done += 1
            continue
        if step.publishes:
            rule_list.publish(connection, entry.code, author=author, note=note, seen=seen, now=now)
        enabled = _enabled(entry)
        if enabled is not None and enabled != (present.enabled if present is not None else True):
            rule_list.switch(connection, entry.code, enabled=enabled)
        done += 1
    # They came kind by kind, since tables name scripts and templates; in the list they stand as in the file.
    new = [step.entry.code for step in steps if step.entry.code in created]
    before = [one.code for one in rule_list.entries(connection)]
    after = [code for code in before if code not in created] + new
    if after != before:
        rule_list.reorder(connection, after)
    broken = {code: why for code, why in live.load(connection, 0).broken.items() if code not in whole_before}
    if broken:
        asked = [step.entry.code for step in steps if step.asks]
        wait = f" {', '.join(asked)} is not live before somebody else agrees; import it first." if asked else ""
        raise FileRefused([f"{code} could not run afterwards: {why}.{wait}" for code, why in broken.items()])
    return done


def keep(connection: Connection, steps: Sequence[Step], *, author: str, now: datetime) -> int:
    """Save what is new or changed as drafts, in the caller's transaction; what is live stays as it is. Returns how
    many entries that were. A switch has no draft: that of an entry which exists stays as it is."""
    done = 0
    for one in steps:
        if one.what == "same" or not one.publishes:
            continue
        entry = one.entry
        content = {key: value for key, value in entry.content.items() if key not in ("manifest", "enabled")}
        content["name"] = entry.name
        present = {stored.code: stored for stored in rule_list.entries(connection)}.get(entry.code)
        if present is None:
            rule_list.create(connection, entry.kind, entry.name, content, author=author, now=now, code=entry.code)
            if _enabled(entry) is False:
                rule_list.switch(connection, entry.code, enabled=False)
        else:
            rule_list.save_draft(connection, entry.code, content, author=author, seen=present.draft_count, now=now)
        done += 1
    return done


def switched(one: Stored) -> dict[str, Any]:
    """How a file says that an entry is switched off; of one that is on it says nothing."""
    return {} if one.enabled else {"enabled": False}


def export(entries: Sequence[Stored], lists: Mapping[str, Any] | None = None, *, as_json: bool = False) -> str:
    """What is live, and the named `lists`, as a file that `read` reads back: YAML, or JSON."""
    data: dict[str, Any] = {NAMED_LISTS: dict(lists)} if lists else {}
    for key, kind in _LISTS.items():
        found = [
            {**_carried(one.content), "code": one.code, "name": one.name, **switched(one)}
            for one in entries
            if one.kind is kind and one.content is not None
        ]
        if found:
            data[key] = found
    run = [one for one in entries if one.kind is EntryKind.TABLE or is_listed(one.content or {})]
    order = [one.code for one in run if one.content is not None]
    if order != [one["code"] for key in _LISTS for one in data.get(key, ()) if one["code"] in order]:
        data[ORDER] = order
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n" if as_json else files.dump(data)
